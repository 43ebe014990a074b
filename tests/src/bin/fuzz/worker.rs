//! The process in which cases run. What goes wrong ends it: its parent knows of which case, since the seed was written before.

use std::io::{self, Write as _};

use memgen_cli::{
    diagnostic::Diagnostics,
    emit::{self, Dependency},
    infer, inspect, lower, spec,
};
use rustix::process::{Resource, Rlimit, setrlimit};

use crate::{damage::Corpus, rust};

/// The argument by which a process is one of these.
pub(crate) const WORKER: &str = "--worker";
/// The most memory that a document may take. They are short: the real ones take a hundredth of it.
pub(crate) const BYTES_MAX: u64 = 1 << 30;

/// Runs so many cases, with every `step`th seed. Before each it writes its seed, and how many crates there were so far; at the end the number alone.
///
/// The stack is that of the main thread, as it is for the command `memgen`.
pub(crate) fn run(corpus: &Corpus, first: u64, step: u64, count: u64) {
    let limit = Rlimit {
        current: Some(BYTES_MAX),
        maximum: Some(BYTES_MAX),
    };
    setrlimit(Resource::As, limit).expect("a process may have less memory");
    let mut out = io::stdout().lock();
    let mut crates = 0;
    for number in 0..count {
        let seed = first + number * step;
        // Whoever reads it may be gone.
        let said = writeln!(out, "{crates} {seed}").and_then(|()| out.flush());
        if said.is_err() {
            return;
        }
        crates += u64::from(has_crate(&corpus.damaged(seed)));
    }
    let _ = writeln!(out, "{crates}");
}

/// Whether a document becomes a crate.
fn has_crate(document: &[u8]) -> bool {
    let mut diagnostics = Diagnostics::default();
    let (sources, spec) = spec::read_bytes("fuzz.yaml", document, &mut diagnostics);
    let written = spec.map(|mut spec| {
        let mut api = lower::lower(&mut spec, &mut diagnostics);
        infer::infer(&mut api, &spec, &mut diagnostics);
        let options = emit::Options {
            name: "fuzz".to_owned(),
            dependency: Dependency::Version("0.1.0".to_owned()),
            alone: true,
            known: Vec::new(),
        };
        drop(inspect::table(&api, &sources));
        drop(inspect::json(&api, &sources));
        let files = emit::emit(&api, &options);
        if let Err(why) = rust::check(&files) {
            panic!("{why}");
        }
    });
    // Each message can be shown.
    for one in &diagnostics {
        drop(sources.render(one, true));
    }
    written.is_some()
}

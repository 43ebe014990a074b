//! Documents with a few things wrong, each put through the whole generator: there are messages, or a crate that could compile.

mod damage;
mod rust;
mod schema;
mod short;

use memgen_cli::{
    diagnostic::Diagnostics,
    emit::{self, Dependency},
    infer, inspect, lower, spec,
};

use self::damage::Corpus;
use super::Target;

/// The reader of OpenAPI documents, and all that comes after it. What is damaged are the repository's own documents.
pub(super) struct Document(Corpus);

impl Document {
    pub(super) fn new() -> Self {
        Self(Corpus::read())
    }
}

impl Target for Document {
    fn name(&self) -> &'static str {
        "document"
    }

    fn input(&self, seed: u64) -> Vec<u8> {
        self.0.damaged(seed)
    }

    fn check(&self, document: &[u8]) -> bool {
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

    /// A reference brings in what it refers to, as often as it is written: the limit of the process bounds it.
    fn bytes_max(&self, _: usize) -> usize {
        usize::MAX
    }

    fn chunk(&self) -> u64 {
        1
    }
}

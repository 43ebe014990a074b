//! The process in which cases run. What goes wrong ends it: its parent knows of which cases, since their seed was written before.

use std::{
    io::{self, Write as _},
    panic,
    process::abort,
};

use memgen_tests::fuzz::{self, TARGETS, Target};
use rustix::process::{Resource, Rlimit, setrlimit};

/// The argument by which a process is one of these.
pub(crate) const WORKER: &str = "--worker";
/// The most memory that a process may take. Inputs are short: the real ones take a hundredth of it.
pub(crate) const BYTES_MAX: u64 = 2 << 30;

/// The target of this name.
pub(crate) fn target(name: &str) -> Box<dyn Target> {
    let named = TARGETS.iter().find(|(known, _)| *known == name);
    named.expect("the name was looked up before").1()
}

/// Runs so many cases, with every `step`th seed. Before so many as a `chunk`, or as the target says if that is 0, it writes the seed of the first, and how many inputs could be read so far; at the end
/// that number alone.
///
/// The stack is that of the main thread, as it is for the command `memgen`.
pub(crate) fn run(name: &str, first: u64, step: u64, count: u64, chunk: u64) {
    let limit = Rlimit {
        current: Some(BYTES_MAX),
        maximum: Some(BYTES_MAX),
    };
    setrlimit(Resource::As, limit).expect("a process may have less memory");
    // Whichever thread it is in: a task of a service that panics is no less wrong.
    let say = panic::take_hook();
    panic::set_hook(Box::new(move |what| {
        say(what);
        abort();
    }));
    let target = target(name);
    let chunk = if chunk == 0 { target.chunk() } else { chunk };
    let mut out = io::stdout().lock();
    let mut read = 0_u64;
    let mut number = 0;
    while number < count {
        // Whoever reads it may be gone.
        let said = writeln!(out, "{read} {}", first + number * step).and_then(|()| out.flush());
        if said.is_err() {
            return;
        }
        for _ in 0..chunk.min(count - number) {
            let input = target.input(first + number * step);
            read += u64::from(fuzz::run(&*target, &input));
            number += 1;
        }
    }
    let _ = writeln!(out, "{read}");
}

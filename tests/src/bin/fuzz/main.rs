//! Damages documents at random and puts each through the whole generator: `cargo run -p memgen-tests --bin fuzz -- --seconds 120`.
//!
//! Whatever a document holds, there is an answer in bounded time and memory: messages, or a crate that could compile. The cases run in processes of their own, one
//! for each processor, so that whatever ends a case is seen: a panic, an abort, a stack that overflows, too much memory, no answer. Its document is kept in
//! `target/fuzz`, and `--seed N` runs it again. The corpus are the repository's own documents.

mod damage;
mod rust;
mod schema;
mod short;
mod watch;
mod worker;

use std::{
    env, fs,
    process::ExitCode,
    sync::atomic::AtomicBool,
    thread,
    time::{Duration, Instant},
};

use memgen_tests::project::repository;

use self::{
    damage::Corpus,
    watch::{Cases, Finding, Run},
    worker::WORKER,
};

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let numbers: Vec<u64> = words.iter().filter_map(|it| it.parse().ok()).collect();
    let (seconds, only) = match (words.as_slice(), numbers.as_slice()) {
        ([], _) => (60, None),
        (["--seconds", _], [seconds]) => (*seconds, None),
        (["--seed", _], [seed]) => (0, Some(*seed)),
        ([WORKER, ..], [first, step, count]) => {
            worker::run(&Corpus::read(), *first, *step, *count);
            return ExitCode::SUCCESS;
        }
        _ => {
            eprintln!("usage: fuzz [--seconds N] [--seed N]");
            return ExitCode::from(2);
        }
    };
    let started = Instant::now();
    let first = only.unwrap_or_else(|| u64::from(std::process::id()) << 32);
    let workers = match only {
        Some(_) => 1,
        None => thread::available_parallelism().map_or(1, |it| it.get() as u64),
    };
    let until = started + Duration::from_secs(seconds);
    let stop = AtomicBool::new(false);
    let outcomes: Vec<Result<Cases, Finding>> = thread::scope(|scope| {
        let watch = |number| {
            let run = Run {
                first: first + number,
                step: workers,
                count: only.map_or(u64::MAX, |_| 1),
                until: only.is_none().then_some(until),
                stop: &stop,
            };
            scope.spawn(move || run.watch())
        };
        let threads: Vec<_> = (0..workers).map(watch).collect();
        let ends = threads.into_iter().map(thread::ScopedJoinHandle::join);
        ends.map(|end| end.expect("a watch does not panic"))
            .collect()
    });
    let mut all = Cases::default();
    let mut good = true;
    for outcome in outcomes {
        match outcome {
            Ok(cases) => {
                all.documents += cases.documents;
                all.crates += cases.crates;
            }
            Err(finding) => {
                good = false;
                report(&finding, started);
            }
        }
    }
    if !good {
        return ExitCode::FAILURE;
    }
    println!(
        "{} documents, {} crates, from seed {first} on: each had an answer, in less than {} s and {} MiB",
        all.documents,
        all.crates,
        watch::PATIENCE.as_secs(),
        worker::BYTES_MAX >> 20,
    );
    ExitCode::SUCCESS
}

/// Keeps the document, and says where it is.
fn report(finding: &Finding, started: Instant) {
    let after = started.elapsed().as_secs();
    let Some(seed) = finding.seed else {
        println!("no case was run: {}", finding.why);
        return;
    };
    let folder = repository().join("target/fuzz");
    let path = folder.join(format!("{seed}.yaml"));
    let kept = fs::create_dir_all(&folder)
        .and_then(|()| fs::write(&path, Corpus::read().damaged(seed)))
        .map_or_else(
            |error| format!("the document could not be kept: {error}"),
            |()| format!("the document is {}", path.display()),
        );
    println!("seed {seed}, after {after} s: {}; {kept}", finding.why);
}

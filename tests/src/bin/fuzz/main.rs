//! Damages documents at random and puts each through the whole generator: `cargo run -p memgen-tests --bin fuzz -- --seconds 120`.
//!
//! Whatever a document holds, there is an answer in bounded time: a crate that could compile or messages, and never a panic. The corpus are the repository's own
//! documents. A case that fails is printed with its seed (`--seed N` runs it alone) and kept in `target/fuzz`. A stack that overflows ends the whole process:
//! then the document is in `target/fuzz/running.yaml`.

mod damage;
mod rust;

use std::{
    env, fs,
    panic::{self, AssertUnwindSafe},
    process::ExitCode,
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use memgen_cli::{
    diagnostic::Diagnostics,
    emit::{self, Dependency},
    infer, inspect, lower, spec,
};

use self::damage::Corpus;

/// The longest that one document may take. They are short: the real ones take a hundredth of it.
const PATIENCE: Duration = Duration::from_secs(30);

fn main() -> ExitCode {
    let mut arguments = env::args().skip(1);
    let (mut seconds, mut only) = (60, None);
    while let Some(argument) = arguments.next() {
        let value = arguments.next().and_then(|value| value.parse::<u64>().ok());
        match (argument.as_str(), value) {
            ("--seconds", Some(value)) => seconds = value,
            ("--seed", Some(value)) => only = Some(value),
            _ => {
                eprintln!("usage: fuzz [--seconds N] [--seed N]");
                return ExitCode::from(2);
            }
        }
    }
    let corpus = Corpus::read();
    let folder = damage::kept();
    let running = folder.join("running.yaml");
    let _ = fs::create_dir_all(&folder);
    // A panic is a finding; its message comes with the seed.
    panic::set_hook(Box::new(|_| {}));
    let started = Instant::now();
    let first = only.unwrap_or_else(|| u64::from(std::process::id()) << 32);
    let mut cases: u64 = 0;
    let mut generated: u64 = 0;
    while only.map_or(started.elapsed().as_secs() < seconds, |_| cases == 0) {
        let seed = first + cases;
        let document = corpus.damaged(seed);
        let _ = fs::write(&running, &document);
        match answer(document.clone()) {
            Ok(crate_written) => generated += u64::from(crate_written),
            Err(why) => {
                let path = folder.join(format!("{seed}.yaml"));
                let _ = fs::write(&path, &document);
                println!("seed {seed}: {why}; the document is {}", path.display());
                return ExitCode::FAILURE;
            }
        }
        cases += 1;
        if cases.is_multiple_of(2000) {
            println!(
                "{cases} documents, {generated} crates, {} s",
                started.elapsed().as_secs()
            );
        }
    }
    let _ = fs::remove_file(&running);
    println!(
        "{cases} documents, {generated} crates, from seed {first} on: no panic, none took {} s",
        PATIENCE.as_secs()
    );
    ExitCode::SUCCESS
}

/// What becomes of a document: whether there is a crate, or why there is no answer.
fn answer(document: Vec<u8>) -> Result<bool, String> {
    let (sender, receiver) = mpsc::channel();
    let work = thread::Builder::new().spawn(move || {
        let outcome = panic::catch_unwind(AssertUnwindSafe(|| generate(&document)));
        let _ = sender.send(outcome.map_err(|panic| {
            let text = panic.downcast_ref::<String>().cloned();
            text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
                .unwrap_or_default()
        }));
    });
    if let Err(error) = work {
        return Err(format!("no thread: {error}"));
    }
    match receiver.recv_timeout(PATIENCE) {
        Ok(Ok(written)) => Ok(written),
        Ok(Err(message)) => Err(format!("panic: {message}")),
        Err(mpsc::RecvTimeoutError::Timeout) => Err("no answer in time".to_owned()),
        Err(mpsc::RecvTimeoutError::Disconnected) => Err("the thread was lost".to_owned()),
    }
}

fn generate(document: &[u8]) -> bool {
    let mut diagnostics = Diagnostics::default();
    let (sources, spec) = spec::read_bytes("fuzz.yaml", document, &mut diagnostics);
    let written = spec.map(|mut spec| {
        let mut api = lower::lower(&mut spec, &mut diagnostics);
        infer::infer(&mut api, &spec, &mut diagnostics);
        let options = emit::Options {
            name: "fuzz".to_owned(),
            dependency: Dependency::Version("0.1.0".to_owned()),
            alone: true,
        };
        drop(inspect::table(&api, &sources));
        let files = emit::emit(&api, &options);
        if let Err(why) = rust::check(&files) {
            panic!("{why}");
        }
        files
    });
    // Each message can be shown.
    for one in &diagnostics {
        drop(sources.render(one, true));
    }
    written.is_some_and(|files| !files.is_empty())
}

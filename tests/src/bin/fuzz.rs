//! Damages documents at random and puts each through the whole generator: `cargo run -p memgen-tests --bin fuzz -- --seconds 120`.
//!
//! Whatever a document holds, there is an answer in bounded time: a crate or messages, and never a panic. The corpus are the repository's own
//! documents. A case that fails is printed with its seed (`--seed N` runs it alone) and kept in `target/fuzz`.

use std::{
    env, fs,
    panic::{self, AssertUnwindSafe},
    path::{Path, PathBuf},
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
use memgen_tests::Random;

/// The longest that one document may take. They are short: the real ones take a hundredth of it.
const PATIENCE: Duration = Duration::from_secs(30);

/// Words that mean something somewhere.
const WORDS: [&str; 44] = [
    "$ref",
    "'#/components/schemas/Pet'",
    "'#'",
    "'#/paths'",
    "allOf",
    "oneOf",
    "anyOf",
    "not",
    "items",
    "properties",
    "additionalProperties",
    "required",
    "enum",
    "type",
    "format",
    "discriminator",
    "nullable",
    "const",
    "null",
    "true",
    "-1",
    "1e999",
    "99999999999999999999",
    "{}",
    "[]",
    "''",
    "\"\\u0000\"",
    "&a",
    "*a",
    "<<: *a",
    "? ",
    "- ",
    ": ",
    "|",
    ">-",
    "parameters",
    "responses",
    "content",
    "schema",
    "in: path",
    "x-memgen-action: handler",
    "x-memgen-state",
    "r#type",
    "*/ fn main() {} /*",
];

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
    let corpus = corpus();
    assert!(!corpus.is_empty(), "there is no document to damage");
    // A panic is a finding; its message comes with the seed.
    panic::set_hook(Box::new(|_| {}));
    let started = Instant::now();
    let first = only.unwrap_or_else(|| u64::from(std::process::id()) << 32);
    let mut cases: u64 = 0;
    let mut generated: u64 = 0;
    while only.map_or(started.elapsed().as_secs() < seconds, |_| cases == 0) {
        let seed = first + cases;
        let document = damaged(&corpus, seed);
        match answer(document.clone()) {
            Ok(crate_written) => generated += u64::from(crate_written),
            Err(why) => {
                let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/fuzz");
                let path = folder.join(format!("{seed}.yaml"));
                let _ = fs::create_dir_all(&folder);
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
    println!(
        "{cases} documents, {generated} crates, from seed {first} on: no panic, none took {} s",
        PATIENCE.as_secs()
    );
    ExitCode::SUCCESS
}

/// The documents of the repository.
fn corpus() -> Vec<Vec<u8>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut paths: Vec<PathBuf> = vec![
        root.join("examples/petstore/openapi.yaml"),
        root.join("examples/petstore/src/generated/openapi.json"),
        root.join("templates/openapi/openapi.yaml"),
    ];
    let more = fs::read_dir(root.join("tests/specs"))
        .into_iter()
        .flatten()
        .flatten();
    paths.extend(more.map(|entry| entry.path()));
    paths.sort();
    paths
        .iter()
        .filter_map(|path| fs::read(path).ok())
        .collect()
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
        for file in files.iter().filter(|file| {
            Path::new(&file.path)
                .extension()
                .is_some_and(|it| it == "rs")
        }) {
            if let Err(error) = syn::parse_file(&file.text) {
                panic!("{} is no Rust: {error}", file.path);
            }
        }
        files
    });
    // Each message can be shown.
    for one in &diagnostics {
        drop(sources.render(one, true));
    }
    written.is_some_and(|files| !files.is_empty())
}

/// A place in something that is this long.
fn below(random: &mut Random, bound: usize) -> usize {
    let bound = u32::try_from(bound).unwrap_or(u32::MAX);
    random.below(bound) as usize
}

/// A document with a few things wrong.
fn damaged(corpus: &[Vec<u8>], seed: u64) -> Vec<u8> {
    let mut random = Random::from_seed(seed);
    let pick = |random: &mut Random| corpus[below(random, corpus.len())].clone();
    let mut document = pick(&mut random);
    for _ in 0..=below(&mut random, 6) {
        let at = below(&mut random, document.len() + 1);
        match below(&mut random, 7) {
            0 => {
                if let Some(byte) = document.get_mut(at) {
                    *byte ^= 1 << below(&mut random, 8);
                }
            }
            1 => {
                let end = (at + below(&mut random, 200)).min(document.len());
                document.drain(at..end);
            }
            2 => {
                let end = (at + below(&mut random, 2000)).min(document.len());
                let copy = document[at..end].to_vec();
                let to = below(&mut random, document.len() + 1);
                document.splice(to..to, copy);
            }
            3 => {
                let word = WORDS[below(&mut random, WORDS.len())];
                document.splice(at..at, word.bytes());
            }
            // A word takes the place of another one.
            4 | 5 => {
                let word = |byte: &u8| byte.is_ascii_alphanumeric();
                let from = document[..at]
                    .iter()
                    .rposition(|byte| !word(byte))
                    .map_or(0, |place| place + 1);
                let to = document[at..]
                    .iter()
                    .position(|byte| !word(byte))
                    .map_or(document.len(), |place| at + place);
                let new = WORDS[below(&mut random, WORDS.len())];
                document.splice(from..to, new.bytes());
            }
            // A line of another document, as deep as it is there.
            _ => {
                let other = pick(&mut random);
                let lines: Vec<&[u8]> = other.split(|byte| *byte == b'\n').collect();
                let line = [lines[below(&mut random, lines.len())], b"\n"].concat();
                let start = document[..at]
                    .iter()
                    .rposition(|byte| *byte == b'\n')
                    .map_or(0, |place| place + 1);
                document.splice(start..start, line);
            }
        }
    }
    document
}

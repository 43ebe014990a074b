//! Documents that nobody should write: each comes to an end, in bounded memory, with code that compiles or with words.
//!
//! A row is a document, what the whole command makes of it, and nothing else. The limit of memory is what the process gets; the time only ends what would hang.

#[path = "hostile_documents/amount.rs"]
mod amount;
#[path = "hostile_documents/nesting.rs"]
mod nesting;
#[path = "hostile_documents/places.rs"]
mod places;
#[path = "hostile_documents/text.rs"]
mod text;

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use memgen_tests::{Folder, binaries::binary, project::runtime};
use serde_json::{Map, Value, json};

/// What a process may have, in bytes of address space.
const MEMORY: u64 = 3 << 30;
/// When a process is given up. Each of them takes seconds.
const PATIENCE: Duration = Duration::from_secs(300);
/// As deep and as many as it is asked for.
const MANY: usize = 100_000;

/// What becomes of a document.
#[derive(Clone, Copy, Debug)]
enum Ends {
    /// A crate, without a word.
    Well,
    /// A crate, and a warning with this in it.
    Warning(&'static str),
    /// No crate, and an error with this in it.
    Error(&'static str),
}
use Ends::{Error, Warning, Well};

/// Runs the command under the limits: whether it made it, and what it said.
fn run(folder: &Path, args: &[&str]) -> (bool, String) {
    let errors = folder.join("stderr");
    let to = fs::File::create(&errors).expect("there is room");
    let mut process = Command::new("prlimit")
        .arg(format!("--as={MEMORY}"))
        .arg(binary("memgen"))
        .args(args)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(to)
        .spawn()
        .expect("prlimit is there");
    let started = Instant::now();
    let status = loop {
        if let Some(status) = process.try_wait().expect("it is ours") {
            break status;
        }
        if started.elapsed() > PATIENCE {
            let _ = process.kill();
            panic!("{args:?} hangs");
        }
        thread::sleep(Duration::from_millis(20));
    };
    let said = fs::read(&errors).expect("it is there");
    let said = String::from_utf8(said).expect("it says texts");
    match status.code() {
        Some(0) => (true, said),
        Some(1) => (false, said),
        other => {
            let from = said.lines().count().saturating_sub(20);
            let end: Vec<&str> = said.lines().skip(from).collect();
            panic!(
                "{args:?} ended with {other:?} ({status}):\n{}",
                end.join("\n")
            );
        }
    }
}

/// Generates, and looks at the document, which must agree.
fn check(folder: &Path, name: &str, ends: Ends) {
    let args = [
        "generate",
        name,
        "--out",
        "out",
        "--name",
        "hostile",
        "--memgen-path",
    ];
    let (made, said) = run(folder, &[&args[..], &[&runtime()]].concat());
    let shown: String = said.chars().take(2000).collect();
    let expected = match ends {
        Well => made && !said.contains("warning") && !said.contains("error"),
        Warning(text) => made && said.contains("warning: ") && said.contains(text),
        Error(text) => !made && said.contains("error: ") && said.contains(text),
    };
    assert!(expected, "{name} is not {ends:?}: {made}, {shown}");
    assert_eq!(folder.join("out/Cargo.toml").exists(), made, "{name}");
    // Nothing in what is said obeys the document.
    let hard = |one: char| one != '\n' && (one.is_control() || one == '\u{202E}');
    assert!(!said.contains(hard), "{name}: {shown:?}");
    let (looked, _) = run(folder, &["inspect", name]);
    assert_eq!(looked, made, "{name}");
}

/// Rows of one file each.
fn rows(rows: Vec<(&str, Vec<u8>, Ends)>) {
    for (name, bytes, ends) in rows {
        let folder = Folder::new();
        fs::write(folder.path().join(name), bytes).expect("there is room");
        check(folder.path(), name, ends);
    }
}

/// A document of 3.0 with these paths and schemas.
fn document(paths: &Value, schemas: &Value) -> Vec<u8> {
    let document = json!({
        "openapi": "3.0.3",
        "info": { "title": "Hostile", "version": "1" },
        "paths": paths,
        "components": { "schemas": schemas },
    });
    document.to_string().into_bytes()
}

/// The start of a document in YAML.
const HEAD: &str = "openapi: 3.0.3\ninfo: {title: Hostile, version: '1'}\npaths: {}\n";

fn yaml(rest: &str) -> Vec<u8> {
    format!("{HEAD}{rest}").into_bytes()
}

/// The same in JSON; the rest is the last member.
fn open(rest: &str) -> Vec<u8> {
    let head = r#""openapi":"3.0.3","info":{"title":"Hostile","version":"1"},"paths":{}"#;
    format!("{{{head},{rest}}}").into_bytes()
}

fn nested(begin: &str, inside: &str, end: &str, levels: usize) -> String {
    format!("{}{inside}{}", begin.repeat(levels), end.repeat(levels))
}

/// So many members by their numbers.
fn members(count: usize, name: impl Fn(usize) -> String, value: impl Fn(usize) -> Value) -> Value {
    let members: Map<String, Value> = (0..count).map(|at| (name(at), value(at))).collect();
    Value::Object(members)
}

fn reference(name: impl std::fmt::Display) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// A path with one operation that answers this.
fn answers(schema: &Value) -> Value {
    json!({ "get": { "responses": { "200": {
        "description": "It",
        "content": { "application/json": { "schema": schema } },
    } } } })
}

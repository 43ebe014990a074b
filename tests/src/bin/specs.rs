//! Generates and checks a crate for each document: `cargo run -p memgen-tests --bin specs -- FOLDER-OR-FILE…`.
//!
//! It prints the table that is in BENCHMARKS.md, and fails if a crate does not compile without a warning, or if a second run changes something.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    time::{Duration, Instant},
};

use memgen_cli::{
    diagnostic::{Diagnostics, Severity},
    generate::{self, Generated, Options},
    model::{Decision, TypeKind},
};

fn main() -> ExitCode {
    let documents: Vec<PathBuf> = env::args_os()
        .skip(1)
        .map(PathBuf::from)
        .flat_map(list)
        .collect();
    if documents.is_empty() {
        eprintln!("usage: specs FOLDER-OR-FILE…");
        return ExitCode::from(2);
    }
    println!(
        "| document | operations | routed | on state | lines of Rust | per operation | per property | generated in | checked in | |"
    );
    println!("|---|---:|---:|---:|---:|---:|---:|---:|---:|---|");
    let mut good = true;
    for document in documents {
        let name = document
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        match row(&document, &name) {
            Ok(row) => println!("| {name} {row} |"),
            Err(error) => {
                good = false;
                println!(
                    "| {name} | | | | | | | | | **{}** |",
                    error.replace('\n', " ")
                );
            }
        }
    }
    if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// The documents of a folder, the small ones first; a file is itself.
fn list(path: PathBuf) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(&path) else {
        return vec![path];
    };
    let known = |path: &Path| {
        let extension = path.extension().and_then(|extension| extension.to_str());
        matches!(extension, Some("json" | "yaml" | "yml"))
    };
    let mut found: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| known(path))
        .collect();
    found.sort_by_key(|path| {
        (
            fs::metadata(path).map_or(0, |data| data.len()),
            path.clone(),
        )
    });
    found
}

fn row(document: &Path, name: &str) -> Result<String, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let work = root.join("target/specs");
    let out = work.join(name.replace('.', "-"));
    let _ = fs::remove_dir_all(&out);
    let options = Options {
        name: None,
        overlay: None,
        source: generate::Source {
            memgen_path: Some(root.join("runtime").to_string_lossy().into_owned()),
            ..generate::Source::default()
        },
        force: false,
        out: out.clone(),
    };
    let (generated, took) = run(document, &options)?;
    generated.plan.apply().map_err(|error| error.to_string())?;
    let (again, _) = run(document, &options)?;
    if !again.plan.is_empty() {
        return Err("a second run changes something".to_owned());
    }
    let started = Instant::now();
    let checked = Command::new(env!("CARGO"))
        .args(["check", "--quiet", "--manifest-path"])
        .arg(out.join("Cargo.toml"))
        .env("CARGO_TARGET_DIR", work.join("target"))
        .output()
        .map_err(|error| error.to_string())?;
    let checked_in = started.elapsed();
    let said = String::from_utf8_lossy(&checked.stderr);
    if let Some(line) = said
        .lines()
        .find(|line| line.starts_with("error") || line.starts_with("warning"))
    {
        eprintln!("{said}");
        return Err(line.to_owned());
    }
    if !checked.status.success() {
        return Err(format!("cargo check: {}", checked.status));
    }
    Ok(figures(&generated, took, checked_in))
}

fn run(document: &Path, options: &Options) -> Result<(Generated, Duration), String> {
    let mut diagnostics = Diagnostics::default();
    let started = Instant::now();
    let (_, generated) = generate::generate(document, options, &mut diagnostics)
        .map_err(|error| error.to_string())?;
    let took = started.elapsed();
    generated.map(|generated| (generated, took)).ok_or_else(|| {
        let errors = diagnostics
            .iter()
            .filter(|one| one.severity == Severity::Error);
        errors
            .map(|one| one.message.as_str())
            .collect::<Vec<_>>()
            .join("; ")
    })
}

fn figures(generated: &Generated, took: Duration, checked_in: Duration) -> String {
    let api = &generated.api;
    let operations = &api.operations;
    let count = |is: fn(&Decision) -> bool| {
        let decisions = operations.iter().map(|operation| &operation.decision);
        decisions.filter(|decision| is(decision)).count()
    };
    let handlers = count(|it| *it == Decision::Handler);
    let states = count(|it| matches!(it, Decision::State { .. }));
    let properties: usize = api
        .types
        .iter()
        .map(|def| match &def.kind {
            TypeKind::Struct(inner) => inner.fields.len(),
            _ => 0,
        })
        .sum();
    let (mut all, mut types) = (0, 0);
    for change in &generated.plan.changes {
        let rust = Path::new(&change.path)
            .extension()
            .is_some_and(|it| it == "rs")
            && change.path.starts_with("src/generated/");
        if let Some(text) = change.after.as_ref().filter(|_| rust) {
            let lines = text.lines().count();
            all += lines;
            if change.path.starts_with("src/generated/types") {
                types += lines;
            }
        }
    }
    format!(
        "| {} | {} | {states} | {all} | {} | {} | {} | {:.1} s |",
        operations.len(),
        handlers + states,
        average(all - types, operations.len()),
        average(types, properties),
        milliseconds(took),
        checked_in.as_secs_f64(),
    )
}

fn average(lines: usize, things: usize) -> String {
    if things == 0 {
        return "-".to_owned();
    }
    let tenths = lines * 10 / things;
    format!("{}.{}", tenths / 10, tenths % 10)
}

fn milliseconds(time: Duration) -> String {
    format!("{} ms", time.as_millis())
}

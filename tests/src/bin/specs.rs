//! Generates and checks a crate for each document: `cargo run --release -p memgen-tests --bin specs -- FOLDER-OR-FILE…`.
//!
//! It prints the table that is in BENCHMARKS.md, and fails if a crate does not compile without a warning, if a second run changes something, or if nothing comes of an operation.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, Instant},
};

use memgen_tests::{
    outcome::Outcome,
    project::{cargo, repository},
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
        "| document | operations | of them functions | on state | not possible | lines of Rust | per operation | per property | generated in | checked in |"
    );
    println!("|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|");
    let mut good = true;
    for document in documents {
        let name = document
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        match row(&document, &name) {
            Ok(row) => println!("| {name} | {row} |"),
            Err(error) => {
                good = false;
                println!("| {name} | **{}** |", error.replace('\n', " "));
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
    let out = repository()
        .join("target/specs")
        .join(name.replace('.', "-"));
    let _ = fs::remove_dir_all(&out);
    let outcome = Outcome::of(document, &out)?;
    let started = Instant::now();
    let checked = cargo(&out, &["check", "--quiet"]);
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
    let [all, functions, states, impossible] = outcome.operations();
    let lines = outcome.lines();
    Ok(format!(
        "{all} | {functions} | {states} | {impossible} | {} | {} | {} | {} | {:.1} s",
        lines.operations + lines.types,
        average(lines.operations, all),
        average(lines.types, outcome.properties()),
        milliseconds(outcome.took),
        checked_in.as_secs_f64(),
    ))
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

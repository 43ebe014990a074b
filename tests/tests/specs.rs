//! Documents of others: each becomes a crate, of which nothing is missing. They are not in the repository; see `project::specs`.
//!
//! The crates of all of them are compiled by `cargo run --release -p memgen-tests --bin specs -- FOLDER`, which takes minutes; here it is a sample.

use std::fs;

use memgen_tests::{
    Folder,
    outcome::Outcome,
    project::{cargo_clean, memgen, specs},
};

/// Those that are compiled here: of both versions, with unions, circles, forms, uploads, headers, events, states and none.
const COMPILED: [&str; 7] = [
    "all-the-components.yaml",
    "autorest-header.json",
    "circular-tests.yaml",
    "oxide-propolis-server.json",
    "petstore-v3-swaggerio.json",
    "st31-webscraping.ai-3.0.0.json",
    "wikimedia.yaml",
];

/// The bounds of what is generated, on average over a document.
const LINES_PER_OPERATION: usize = 60;
const LINES_PER_PROPERTY: usize = 15;
/// With fewer operations or properties than this, most lines are the heads of files.
const FEW: usize = 3;

#[test]
fn each_becomes_a_crate() {
    let folder = Folder::new();
    let manifest = fs::read_to_string(specs().join("manifest.tsv")).expect("it is a list");
    let mut rows = manifest
        .lines()
        .map(|line| line.split('\t').collect::<Vec<_>>());
    let head = rows.next().expect("it has a head");
    let column = |name| {
        head.iter()
            .position(|it| *it == name)
            .expect("it is in the list")
    };
    let (file, operations) = (column("file"), column("n_operations"));
    let mut seen = 0;
    let mut failed = Vec::new();
    for row in rows {
        let name = row[file];
        seen += 1;
        if let Err(why) = becomes_a_crate(&folder, name, row[operations]) {
            failed.push(format!("{name}: {why}"));
        }
    }
    assert!(seen >= 28, "only {seen} documents");
    assert!(failed.is_empty(), "{failed:#?}");
}

fn becomes_a_crate(folder: &Folder, name: &str, operations: &str) -> Result<(), String> {
    let document = specs().join(name);
    let out = folder.path().join(name.replace('.', "-"));
    let outcome = Outcome::of(&document, &out)?;
    let [all, ..] = outcome.operations();
    if all.to_string() != operations {
        return Err(format!("{all} operations instead of {operations}"));
    }
    let lines = outcome.lines();
    if lines.operations > LINES_PER_OPERATION * all.max(FEW) {
        return Err(format!("{} lines for {all} operations", lines.operations));
    }
    let properties = outcome.properties();
    if lines.types > LINES_PER_PROPERTY * properties.max(FEW) {
        return Err(format!("{} lines for {properties} properties", lines.types));
    }
    // The commands agree.
    let (document, to) = (document.display().to_string(), out.display().to_string());
    let (code, _, said) = memgen(
        folder.path(),
        &["generate", &document, "--out", &to, "--check"],
    );
    if code != 0 {
        return Err(format!("--check ends with {code}: {said}"));
    }
    let (code, table, said) = memgen(folder.path(), &["inspect", &document, "--format", "json"]);
    let rows =
        serde_json::from_str::<serde_json::Value>(&table).map_err(|error| error.to_string())?;
    if code != 0 || rows["operations"].as_array().map(Vec::len) != Some(all) {
        return Err(format!("inspect ends with {code}: {said}"));
    }
    Ok(())
}

#[test]
fn a_sample_compiles_without_a_warning() {
    for name in COMPILED {
        let folder = Folder::new();
        let out = folder.path().join(name.replace('.', "-"));
        if let Err(why) = Outcome::of(&specs().join(name), &out) {
            panic!("{name}: {why}");
        }
        cargo_clean(&out, &["check", "--quiet"]);
    }
}

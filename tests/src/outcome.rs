//! What comes of a whole document: its crate, written twice, of which nothing may be missing.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use memgen_cli::{
    diagnostic::{Diagnostics, Severity},
    generate::{self, Generated, Options, Source},
    model::{Api, Decision, TypeKind},
};
use serde_json::Value;

use crate::project::runtime;

/// The methods of a path item that are operations.
const METHODS: [&str; 8] = [
    "get", "put", "post", "delete", "options", "head", "patch", "trace",
];

/// The crate of a document, which is in its folder.
#[derive(Debug)]
pub struct Outcome {
    /// What the document says, and what was written.
    pub generated: Generated,
    /// How long it took, without the writing.
    pub took: Duration,
}

/// Lines of Rust that were generated.
#[derive(Clone, Copy, Debug, Default)]
pub struct Lines {
    /// Those of the types.
    pub types: usize,
    /// All others.
    pub operations: usize,
}

impl Outcome {
    /// Generates the crate of a document twice, and looks at what came of each operation.
    ///
    /// # Errors
    /// In words what is wrong: the document, a second run that changes something, or an operation of which nothing is said.
    pub fn of(document: &Path, out: &Path) -> Result<Self, String> {
        let (generated, took) = run(document, out)?;
        generated.plan.apply().map_err(|error| error.to_string())?;
        let (again, _) = run(document, out)?;
        if let Some(change) = again.plan.changes.first() {
            return Err(format!("a second run changes {}", change.path));
        }
        account(&generated)?;
        Ok(Self { generated, took })
    }

    /// How many operations there are, and how many of them users write, the state serves, and nobody can do.
    #[must_use]
    pub fn operations(&self) -> [usize; 4] {
        let operations = &self.generated.api.operations;
        let count = |is: fn(&Decision) -> bool| {
            let decisions = operations.iter().map(|operation| &operation.decision);
            decisions.filter(|decision| is(decision)).count()
        };
        [
            operations.len(),
            count(|it| *it == Decision::Handler),
            count(|it| matches!(it, Decision::State { .. })),
            count(|it| *it == Decision::Unsupported),
        ]
    }

    /// The fields of all structs.
    #[must_use]
    pub fn properties(&self) -> usize {
        let types = self.generated.api.types.iter();
        let fields = types.map(|def| match &def.kind {
            TypeKind::Struct(inner) => inner.fields.len(),
            _ => 0,
        });
        fields.sum()
    }

    /// How much Rust it is, without what the user begins with.
    #[must_use]
    pub fn lines(&self) -> Lines {
        let mut lines = Lines::default();
        for (path, text) in rust(&self.generated) {
            let count = text.lines().count();
            if path.starts_with("src/generated/types") {
                lines.types += count;
            } else {
                lines.operations += count;
            }
        }
        lines
    }
}

/// The generated files of Rust: path and text.
fn rust(generated: &Generated) -> impl Iterator<Item = (&str, &str)> {
    let files = generated.plan.changes.iter().filter_map(|change| {
        let text = change.after.as_deref()?;
        Some((change.path.as_str(), text))
    });
    files.filter(|(path, _)| {
        let rust = Path::new(path).extension().is_some_and(|it| it == "rs");
        rust && path.starts_with("src/generated/")
    })
}

fn run(document: &Path, out: &Path) -> Result<(Generated, Duration), String> {
    let options = Options {
        name: None,
        overlay: None,
        source: Source {
            memgen_path: Some(runtime()),
            ..Source::default()
        },
        force: false,
        out: out.to_owned(),
    };
    let mut diagnostics = Diagnostics::default();
    let started = Instant::now();
    let (_, generated) = generate::generate(document, &options, &mut diagnostics)
        .map_err(|error| error.to_string())?;
    let took = started.elapsed();
    generated.map(|generated| (generated, took)).ok_or_else(|| {
        let errors = diagnostics
            .iter()
            .filter(|one| one.severity == Severity::Error);
        let errors: Vec<&str> = errors.map(|one| one.message.as_str()).collect();
        errors.join("; ")
    })
}

/// Whether each operation of the document is a method, is served from state, or says why neither can be; and whether there is none besides.
fn account(generated: &Generated) -> Result<(), String> {
    let api = &generated.api;
    let text: String = rust(generated).map(|(_, text)| text).collect();
    for operation in &api.operations {
        let of = |name: &str| {
            let pointer = format!("{}/x-memgen/{name}", operation.pointer);
            let text = api.document.pointer(&pointer).and_then(Value::as_str);
            text.is_some_and(|text| !text.is_empty())
        };
        let good = match operation.decision {
            Decision::Handler => text.contains(&format!("#[operation({:?})]", operation.id)),
            Decision::State { .. } => of("state") && of("action"),
            Decision::Unsupported => of("unsupported"),
        };
        if !good || operation.reason.is_empty() {
            return Err(format!("nothing comes of {}", operation.pointer));
        }
    }
    let mut due = in_document(api);
    let mut found: Vec<String> = api.operations.iter().map(|it| it.pointer.clone()).collect();
    due.sort();
    found.sort();
    if due != found {
        return Err(format!("there should be {due:?}, and there are {found:?}"));
    }
    Ok(())
}

/// Where the operations stand, by the document alone.
fn in_document(api: &Api) -> Vec<String> {
    let paths = api.document["paths"].as_object().into_iter().flatten();
    let operations = paths.flat_map(|(path, item)| {
        let at = format!("/paths/{}", path.replace('~', "~0").replace('/', "~1"));
        let methods = METHODS
            .into_iter()
            .filter(|method| item.get(*method).is_some());
        methods
            .map(move |method| format!("{at}/{method}"))
            .collect::<Vec<_>>()
    });
    operations.collect()
}

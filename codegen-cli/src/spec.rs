//! Reading OpenAPI documents: YAML or JSON, 3.0 or 3.1, one file or many.
//!
//! ```text
//! files -> yaml, json -> nodes with places -> bundle -> convert -> tree (3.0) and document (3.1)
//! ```
//!
//! Everything that is wrong becomes a diagnostic, all of it in one run. What is broken is left out, and the rest goes on.

mod bundle;
mod convert;
mod grammar;
mod json;
mod limits;
mod mend;
mod node;
mod object;
mod overlay;
mod parameter;
mod pattern;
mod sources;
#[cfg(test)]
mod tests;
mod yaml;

use std::path::Path;

use serde_json::Value as Json;

use self::{bundle::Bundler, limits::Budget, pattern::Patterns};
pub use self::{
    bundle::UNSUPPORTED,
    grammar::Kind,
    node::{Member, Mismatch, Node, Text, Value, escape, unescape},
    object::Object,
    sources::Sources,
};
use crate::diagnostic::{Diagnostic, Diagnostics, Severity};

/// A document that was read.
#[derive(Debug)]
pub struct Spec {
    /// The document in one tree, in OpenAPI 3.0, in its own order and with the place of each value.
    pub tree: Node,
    /// The document in one piece, in OpenAPI 3.1. Both have the same names at the same places.
    pub document: Json,
}

/// The versions of OpenAPI that can be told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    V30,
    V31,
}

/// Reads a document and the files that it refers to.
///
/// ```
/// use memgen_cli::{diagnostic::Diagnostics, spec};
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("openapi.yaml");
/// std::fs::write(&path, "openapi: 3.0.3\ninfo: {title: Pets, version: '1'}\npaths: {}\n")?;
/// let mut diagnostics = Diagnostics::default();
/// let (_, spec) = spec::read(&path, &mut diagnostics);
/// assert_eq!(spec.unwrap().document["openapi"], "3.1.0");
/// assert_eq!(diagnostics.iter().count(), 0);
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// The sources are there in either case, since messages need them; the rest is `None` if nothing can be made of the document.
pub fn read(path: &Path, diagnostics: &mut Diagnostics) -> (Sources, Option<Spec>) {
    read_with(path, None, diagnostics)
}

/// The same with an overlay (OpenAPI Overlay 1.0): changes to the document in a file of their own.
pub fn read_with(
    path: &Path,
    overlay: Option<&Path>,
    diagnostics: &mut Diagnostics,
) -> (Sources, Option<Spec>) {
    let mut sources = Sources::default();
    for path in [Some(path), overlay].into_iter().flatten() {
        if let Err(message) = sources.read(path, &file_name(path)) {
            diagnostics.push(Diagnostic {
                severity: Severity::Error,
                span: None,
                pointer: String::new(),
                message,
                help: None,
            });
            return (sources, None);
        }
    }
    let folder = path
        .canonicalize()
        .ok()
        .and_then(|path| path.parent().map(Path::to_owned));
    let overlay = overlay.map(file_name);
    assemble(
        sources,
        Some(path),
        folder,
        &file_name(path),
        overlay.as_deref(),
        diagnostics,
    )
}

/// A text of YAML as JSON, whatever it is about: nothing of it is followed, converted or left out. `None` if it is none.
#[must_use]
pub fn yaml(text: &str) -> Option<Json> {
    let mut diagnostics = Diagnostics::default();
    let node = yaml::parse(text, 0, &mut Budget::default(), &mut diagnostics)?;
    (diagnostics.count(Severity::Error) == 0).then(|| node.to_json())
}

fn file_name(path: &Path) -> String {
    path.file_name().map_or_else(
        || path.display().to_string(),
        |name| name.to_string_lossy().into_owned(),
    )
}

/// Reads a document of one file from memory. References to other files lead nowhere.
pub fn read_bytes(
    name: &str,
    bytes: &[u8],
    diagnostics: &mut Diagnostics,
) -> (Sources, Option<Spec>) {
    let mut sources = Sources::default();
    match sources.add(name, bytes.to_vec()) {
        Ok(_) => assemble(sources, None, None, name, None, diagnostics),
        Err(message) => {
            diagnostics.push(Diagnostic {
                severity: Severity::Error,
                span: None,
                pointer: String::new(),
                message,
                help: None,
            });
            (sources, None)
        }
    }
}

/// A file that is called JSON, or begins like it, is JSON; everything else is YAML. What is no JSON may be YAML all the same, which has braces, too.
fn parse(
    text: &str,
    name: &str,
    file: u32,
    budget: &mut Budget,
    diagnostics: &mut Diagnostics,
) -> Option<Node> {
    let json = Path::new(name)
        .extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("json"));
    if !json && !text.trim_start().starts_with('{') {
        return yaml::parse(text, file, budget, diagnostics);
    }
    let mut said = Diagnostics::default();
    let before = *budget;
    let mut node = json::parse(text, file, budget, &mut said);
    let no_json = |one: &&Diagnostic| one.message.starts_with(json::NO_JSON);
    if let Some(why) = said.iter().find(no_json) {
        let mut other = Diagnostics::default();
        *budget = before;
        node =
            yaml::parse(text, file, budget, &mut other).filter(|node| node.as_object().is_some());
        if node.is_some() {
            if json {
                other.push(Diagnostic {
                    severity: Severity::Warning,
                    message: format!("{}; it is read as YAML", why.message),
                    ..why.clone()
                });
            }
            said = other;
        }
    }
    said.iter().for_each(|one| diagnostics.push(one.clone()));
    node
}

/// Makes one document of what was read first and what it refers to.
fn assemble(
    sources: Sources,
    path: Option<&Path>,
    folder: Option<std::path::PathBuf>,
    name: &str,
    overlay: Option<&str>,
    diagnostics: &mut Diagnostics,
) -> (Sources, Option<Spec>) {
    let mut budget = Budget::default();
    let Some(mut root) = parse(sources.text(0), name, 0, &mut budget, diagnostics) else {
        return (sources, None);
    };
    if let Some(name) = overlay {
        // It was read right behind the document.
        let Some(overlay) = parse(sources.text(1), name, 1, &mut budget, diagnostics) else {
            return (sources, None);
        };
        overlay::apply(&mut root, &overlay, &mut budget, diagnostics);
        if budget.is_spent() {
            return (sources, None);
        }
    }
    let Some(version) = version(&root, diagnostics) else {
        return (sources, None);
    };
    let mut bundler = Bundler::new(sources, folder, budget, diagnostics);
    bundler.root(path, root);
    let made = bundler.bundle(version == Version::V31);
    let sources = bundler.into_sources();
    let Some(mut tree) = made else {
        return (sources, None);
    };
    complete(&mut tree, diagnostics);
    let mut patterns = Patterns::default();
    convert::each_schema(
        &mut tree,
        Kind::Document,
        &mut String::new(),
        &mut |schema, pointer| {
            convert::repair(schema, pointer, diagnostics);
            patterns.check(schema, pointer, diagnostics);
        },
    );
    // One of the two is changed in place: there is never a second tree.
    let mut document = match version {
        Version::V30 => convert::raised(&tree, Kind::Document),
        Version::V31 => {
            let document = tree.to_json();
            convert::each_schema(
                &mut tree,
                Kind::Document,
                &mut String::new(),
                &mut |schema, _| {
                    convert::lower(schema);
                },
            );
            if let Some(webhooks) = tree.member("webhooks") {
                diagnostics.warning(
                    webhooks.span,
                    "#/webhooks",
                    "webhooks are described and not made: a service answers requests, and a function of yours may send some",
                );
            }
            tree.take("webhooks");
            document
        }
    };
    document["openapi"] = "3.1.0".into();
    tree.set("openapi", Node::text("3.0.3", tree.span));
    (sources, Some(Spec { tree, document }))
}

/// Which version it is, if it is one that can be read.
fn version(root: &Node, diagnostics: &mut Diagnostics) -> Option<Version> {
    if let Some(swagger) = root.member("swagger") {
        diagnostics.error(
            swagger.span,
            "#/swagger",
            "this is Swagger 2.0, which came before OpenAPI",
        );
        diagnostics.help("convert it first: `npx swagger2openapi FILE --outfile openapi.yaml`");
        return None;
    }
    let Some(node) = root.member("openapi") else {
        diagnostics.error(
            root.span,
            "#",
            "there is no `openapi` here, so this is no OpenAPI document",
        );
        diagnostics.help("a document begins with `openapi: 3.1.0`");
        return None;
    };
    let text = match &node.value {
        Value::String(text) => text.to_string(),
        Value::Number(number) => {
            let text = number.to_string();
            diagnostics.warning(
                node.span,
                "#/openapi",
                format!("the version is the number {text}; it is taken as a text"),
            );
            diagnostics.help(format!("write `openapi: {text}.0`, or put it in quotes"));
            text
        }
        _ => String::new(),
    };
    let mut parts = text.split('.');
    match (parts.next(), parts.next()) {
        (Some("3"), Some("0") | None) => Some(Version::V30),
        (Some("3"), Some("1")) => Some(Version::V31),
        (Some("3"), Some("2")) => {
            diagnostics.warning(
                node.span,
                "#/openapi",
                "what is new in OpenAPI 3.2 is not known; the document is read as 3.1",
            );
            Some(Version::V31)
        }
        _ => {
            diagnostics.error(
                node.span,
                "#/openapi",
                format!("`{text}` is no version of OpenAPI that is understood"),
            );
            diagnostics.help("3.0 and 3.1 are");
            None
        }
    }
}

/// Adds what each document must have.
fn complete(tree: &mut Node, diagnostics: &mut Diagnostics) {
    let span = tree.span;
    let object = || Node::new(Value::Object(Object::new()), span);
    if tree.member("info").is_none() {
        diagnostics.warning(span, "#", "there is no `info`; the API is called `API`");
        tree.set("info", object());
    }
    if let Some(info) = tree.as_object_mut().and_then(|tree| tree.get_mut("info")) {
        for (name, text) in [("title", "API"), ("version", "0")] {
            if info.node.member(name).is_none() {
                info.node.set(name, Node::text(text, span));
            }
        }
    }
    if tree.member("paths").is_none() {
        diagnostics.warning(
            span,
            "#",
            "there are no `paths`, so there is nothing to serve",
        );
        tree.set("paths", object());
    }
}

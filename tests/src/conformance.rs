//! Whether a reply is one that the document describes.
//!
//! It looks at the document with eyes of its own: nothing of the runtime is used, but for the crate that checks values by JSON Schema.

use std::path::Path;

use jsonschema::{Draft, Registry, Validator};
use memgen_cli::{diagnostic::Diagnostics, spec};
use serde_json::{Value, json};

use crate::client::Reply;

/// The name of the document among schemas.
const URI: &str = "urn:tests:document";

/// A document that replies are held to.
#[derive(Debug)]
pub struct Conformance {
    /// In OpenAPI 3.1, in one piece.
    pub document: Value,
    registry: Registry<'static>,
}

impl Conformance {
    /// Of a document in a file.
    #[must_use]
    pub fn of(file: &Path) -> Self {
        let mut diagnostics = Diagnostics::default();
        let (_, spec) = spec::read(file, &mut diagnostics);
        let document = spec.expect("the document can be read").document;
        let registry = Registry::new()
            .draft(Draft::Draft202012)
            .add(URI, document.clone())
            .and_then(jsonschema::RegistryBuilder::prepare)
            .expect("its schemas can be read");
        Self { document, registry }
    }

    /// Checks a reply to a request: its status, its media type and its body are among those that the document has for the operation.
    ///
    /// What each service says by itself, in problem documents, needs no description: unless the document has another form for that status.
    pub fn check(&self, method: &str, target: &str, reply: &Reply) {
        let path = target.split('?').next().unwrap_or_default();
        let method = method.to_ascii_lowercase();
        let operation = self
            .operation(&method, path)
            .unwrap_or_else(|| panic!("the document has no {method} {path}"));
        let status = reply.status.to_string();
        let class = format!("{}XX", reply.status / 100);
        let declared = [status.as_str(), &class, "default"]
            .into_iter()
            .find_map(|name| Some((name, self.at(&format!("{operation}/responses/{name}"))?)));
        let media_type = reply.header("content-type").unwrap_or_default();
        let is_problem = reply.status >= 400 && media_type == "application/problem+json";
        let Some((name, (response, at))) = declared else {
            assert!(
                is_problem,
                "{method} {target}: {status} is not declared: {reply:?}"
            );
            return;
        };
        let content = response.get("content").and_then(Value::as_object);
        let Some(content) = content.filter(|content| !content.is_empty()) else {
            assert!(
                reply.body.is_empty() || is_problem,
                "{method} {target}: {name} has no body: {reply:?}"
            );
            return;
        };
        let essence = |name: &str| {
            name.split(';')
                .next()
                .unwrap_or_default()
                .trim()
                .to_ascii_lowercase()
        };
        let found = content.keys().find(|known| {
            let (known, given) = (essence(known), essence(media_type));
            known == given
                || known == "*/*"
                || known
                    .strip_suffix('*')
                    .is_some_and(|kind| given.starts_with(kind))
        });
        let Some(found) = found else {
            assert!(
                is_problem,
                "{method} {target}: {name} has no `{media_type}`: {reply:?}"
            );
            return;
        };
        if content[found].get("schema").is_none() || !media_type.contains("json") {
            return;
        }
        let schema = format!("{at}/content/{}/schema", escape(found));
        let body = reply.json();
        let errors: Vec<String> = self
            .validator(&schema)
            .iter_errors(&body)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(
            errors.is_empty(),
            "{method} {target}: {}\n{body:#}",
            errors.join("\n")
        );
    }

    /// The JSON pointer of an operation by the path of a request: the most literal one.
    fn operation(&self, method: &str, path: &str) -> Option<String> {
        let paths = self.document.get("paths")?.as_object()?;
        let mut found: Vec<(usize, &String)> = paths
            .iter()
            .filter(|(template, item)| item.get(method).is_some() && fits(template, path))
            .map(|(template, _)| (template.matches('{').count(), template))
            .collect();
        found.sort();
        let (_, template) = found.first()?;
        Some(format!("/paths/{}/{method}", escape(template)))
    }

    /// What is at a pointer, with references followed, and where that is.
    fn at(&self, pointer: &str) -> Option<(&Value, String)> {
        let mut pointer = pointer.to_owned();
        loop {
            let value = self.document.pointer(&pointer)?;
            match value.get("$ref").and_then(Value::as_str) {
                Some(reference) => reference.strip_prefix('#')?.clone_into(&mut pointer),
                None => return Some((value, pointer)),
            }
        }
    }

    fn validator(&self, pointer: &str) -> Validator {
        // A fragment of a URI has no braces.
        let fragment = pointer
            .replace('%', "%25")
            .replace('{', "%7B")
            .replace('}', "%7D");
        jsonschema::options()
            .with_draft(Draft::Draft202012)
            .with_registry(&self.registry)
            .offline()
            .should_validate_formats(true)
            .should_ignore_unknown_formats(true)
            .build(&json!({ "$ref": format!("{URI}#{fragment}") }))
            .unwrap_or_else(|error| panic!("{pointer}: {error}"))
    }
}

fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// Whether a path is one of a template, segment by segment.
fn fits(template: &str, path: &str) -> bool {
    let (templates, segments) = (template.split('/'), path.split('/'));
    templates.clone().count() == segments.clone().count()
        && templates.zip(segments).all(|(template, segment)| {
            template == segment || (template.contains('{') && !segment.is_empty())
        })
}

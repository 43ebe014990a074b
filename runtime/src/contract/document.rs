//! The document as schemas are checked by: what requests may hold, and what replies do.

use std::sync::{Arc, OnceLock};

use jsonschema::{Draft, Registry, ValidationError, Validator, error::ValidationErrorKind};
use serde_json::{Value, json};

use super::{adapt::adapted, schema::Schema};
use crate::problem::Problem;

/// The places of a value that a problem lists. A body that is wrong everywhere says so once.
const ERRORS_MAX: usize = 20;

/// Which side of the service a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// Properties that only replies have are not asked for.
    Request,
    /// Properties that only requests have are not asked for.
    Reply,
}

/// A document and its schemas.
pub(crate) struct Document {
    /// As it was embedded, with the decisions of the generator.
    pub(crate) value: Arc<Value>,
    request: OnceLock<Registry<'static>>,
    reply: OnceLock<Registry<'static>>,
}

impl std::fmt::Debug for Document {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Document").finish_non_exhaustive()
    }
}

/// The name of the document among schemas.
const URI: &str = "urn:memgen:document";

impl Document {
    pub(crate) fn new(value: Value) -> Self {
        Self {
            value: Arc::new(value),
            request: OnceLock::new(),
            reply: OnceLock::new(),
        }
    }

    /// A schema of the document.
    pub(crate) fn schema<'d>(&'d self, value: &'d Value) -> Schema<'d> {
        Schema::new(&self.value, value)
    }

    fn registry(&self, side: Side) -> &Registry<'static> {
        let (slot, left_out) = match side {
            Side::Request => (&self.request, "readOnly"),
            Side::Reply => (&self.reply, "writeOnly"),
        };
        slot.get_or_init(|| {
            let seen_by = adapted(&self.value, left_out);
            let made = Registry::new()
                .draft(Draft::Draft202012)
                .add(URI, seen_by)
                .and_then(jsonschema::RegistryBuilder::prepare);
            made.unwrap_or_else(|error| {
                // Only a document that was changed by hand gets here: the generator reads each of its schemas.
                tracing::error!(%error, "the document's schemas can't be read; nothing is checked by them");
                let nothing = Registry::new().add(URI, json!({}));
                nothing
                    .and_then(jsonschema::RegistryBuilder::prepare)
                    .expect("an empty document is a resource")
            })
        })
    }

    fn compile(&self, pointer: &str, side: Side) -> Result<Validator, String> {
        let schema = json!({ "$ref": format!("{URI}#{}", fragment(pointer)) });
        jsonschema::options()
            .with_draft(Draft::Draft202012)
            .with_registry(self.registry(side))
            .offline()
            .should_validate_formats(true)
            .should_ignore_unknown_formats(true)
            .with_format("byte", |text: &str| super::types::is_base64(text))
            .with_format("base64", |text: &str| super::types::is_base64(text))
            .with_format("decimal", |text: &str| {
                text.parse::<super::Decimal>().is_ok()
            })
            .build(&schema)
            .map_err(|error| error.to_string())
    }
}

/// A JSON pointer as the fragment of a URI.
fn fragment(pointer: &str) -> String {
    const ASIDE: &percent_encoding::AsciiSet = &percent_encoding::NON_ALPHANUMERIC
        .remove(b'/')
        .remove(b'~')
        .remove(b'-')
        .remove(b'_')
        .remove(b'.');
    percent_encoding::utf8_percent_encode(pointer, ASIDE).to_string()
}

/// A check by one schema of the document, made when it is first asked for: a document may have thousands, and a service starts at once.
pub(crate) struct Check {
    document: Arc<Document>,
    pointer: String,
    side: Side,
    compiled: OnceLock<Option<Validator>>,
}

impl std::fmt::Debug for Check {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Check({})", self.pointer)
    }
}

impl Check {
    /// A check by the schema at a JSON pointer of the document.
    pub(crate) fn new(document: &Arc<Document>, pointer: String, side: Side) -> Self {
        Self {
            document: document.clone(),
            pointer,
            side,
            compiled: OnceLock::new(),
        }
    }

    /// What is wrong with a value: its place, and why.
    pub(crate) fn errors(&self, value: &Value) -> Vec<(String, String)> {
        let compiled = self.compiled.get_or_init(|| {
            match self.document.compile(&self.pointer, self.side) {
                Ok(validator) => Some(validator),
                Err(error) => {
                    tracing::error!(schema = self.pointer, %error, "this schema can't be checked; values are let through");
                    None
                }
            }
        });
        let Some(validator) = compiled else {
            return Vec::new();
        };
        if validator.is_valid(value) {
            return Vec::new();
        }
        let mut errors = Vec::new();
        for error in validator.iter_errors(value).take(ERRORS_MAX) {
            describe(&error, "", &mut errors);
        }
        errors.truncate(ERRORS_MAX);
        errors
    }

    /// 422 if the value is not what the schema says.
    pub(crate) fn check(&self, what: &str, value: &Value) -> Result<(), Problem> {
        let errors = self.errors(value);
        if errors.is_empty() {
            return Ok(());
        }
        Err(invalid(what, errors))
    }
}

/// 422 that lists what is wrong. The sentence names all of it: documents with errors of their own often have room for no more.
pub(crate) fn invalid(what: &str, errors: Vec<(String, String)>) -> Problem {
    let named: Vec<String> = errors
        .iter()
        .map(|(pointer, detail)| located(pointer, detail))
        .collect();
    let problem = Problem::invalid(format!("{what}: {}", named.join("; ")));
    errors
        .into_iter()
        .fold(problem, |problem, (pointer, detail)| {
            problem.with_error(pointer, detail)
        })
}

/// What is wrong, and where.
pub(super) fn located(pointer: &str, detail: &str) -> String {
    match pointer {
        "" => detail.to_owned(),
        pointer => format!("`{pointer}` {detail}"),
    }
}

/// An error in the words of this service, at the field that is wrong.
fn describe(error: &ValidationError<'_>, before: &str, errors: &mut Vec<(String, String)>) {
    let at = format!("{before}{}", error.instance_path().as_str());
    let beside = |name: &str| format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"));
    match error.kind() {
        ValidationErrorKind::Required { property } => {
            errors.push((
                beside(property.as_str().unwrap_or_default()),
                "is missing".to_owned(),
            ));
        }
        ValidationErrorKind::AdditionalProperties { unexpected }
        | ValidationErrorKind::UnevaluatedProperties { unexpected } => {
            for name in unexpected {
                errors.push((
                    beside(name),
                    "is not a property that is known here".to_owned(),
                ));
            }
        }
        // The alternative that is nearest says more than that none fits.
        ValidationErrorKind::AnyOf { context } | ValidationErrorKind::OneOfNotValid { context } => {
            let nearest = context
                .iter()
                .filter(|errors| {
                    !errors.iter().any(|error| {
                        error.instance_path().as_str().is_empty()
                            && matches!(error.kind(), ValidationErrorKind::Type { .. })
                    })
                })
                .min_by_key(|errors| errors.len());
            match nearest {
                Some(nearest) if context.len() > 1 => {
                    for error in nearest.iter().take(3) {
                        // Places within an alternative are counted from the whole value.
                        describe(error, "", errors);
                    }
                }
                _ => errors.push((at, error.masked_with("the value").to_string())),
            }
        }
        _ => errors.push((at, error.masked_with("the value").to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(schemas: &Value) -> Arc<Document> {
        Arc::new(Document::new(
            json!({ "components": { "schemas": schemas } }),
        ))
    }

    #[test]
    fn each_keyword_names_the_field() {
        let document = document(&json!({
            "Pet": {
                "type": "object",
                "required": ["id", "name", "address"],
                "additionalProperties": false,
                "properties": {
                    "id": { "type": "integer", "format": "int64", "readOnly": true },
                    "name": { "type": "string", "minLength": 2, "pattern": "^[a-z]+$" },
                    "bad": { "type": "string", "pattern": "(?<" },
                    "age": { "type": "integer", "format": "int32" },
                    "born": { "type": ["string", "null"], "format": "date" },
                    "photo": { "type": "string", "format": "byte" },
                    "address": { "$ref": "#/components/schemas/Address" },
                    "toy": { "oneOf": [
                        { "type": "object", "required": ["kind", "size"], "properties": { "kind": { "const": "ball" }, "size": { "type": "integer" } } },
                        { "type": "string" },
                    ] },
                },
                "patternProperties": { "(?<": { "type": "integer" }, "^x-": { "type": "integer" } },
            },
            "Address": { "type": "object", "required": ["zip/code"], "properties": { "zip/code": { "type": "string", "maxLength": 5 } } },
        }));
        let check = Check::new(
            &document,
            "/components/schemas/Pet".to_owned(),
            Side::Request,
        );
        let right = json!({ "name": "rex", "address": { "zip/code": "1" } });
        assert_eq!(check.errors(&right), []);
        let rows = [
            ("/name", json!("x"), "/name"),
            ("/name", json!("X1"), "/name"),
            ("/name", json!(7), "/name"),
            ("/age", json!(3_000_000_000_u64), "/age"),
            ("/age", json!(1.5), "/age"),
            ("/born", json!("yesterday"), "/born"),
            ("/photo", json!("*"), "/photo"),
            ("/address", json!({}), "/address/zip~1code"),
            (
                "/address",
                json!({ "zip/code": "123456" }),
                "/address/zip~1code",
            ),
            ("/colour", json!("red"), "/colour"),
            (
                "/toy",
                json!({ "kind": "ball", "size": "big" }),
                "/toy/size",
            ),
            ("/toy", json!(7), "/toy"),
            ("/x-rank", json!("first"), "/x-rank"),
        ];
        for (place, value, pointer) in rows {
            let mut wrong = right.clone();
            wrong[&place[1..]] = value.clone();
            let errors = check.errors(&wrong);
            assert!(
                errors.iter().any(|(at, _)| at == pointer),
                "{place} {value}: {errors:?}"
            );
        }
        for (place, value) in [
            ("bad", json!("anything")),
            ("born", json!(null)),
            ("photo", json!("aGk=")),
            ("id", json!(1)),
            ("toy", json!("ball")),
        ] {
            let mut also_right = right.clone();
            also_right[place] = value;
            assert_eq!(check.errors(&also_right), [], "{place}");
        }
        let reply = Check::new(&document, "/components/schemas/Pet".to_owned(), Side::Reply);
        assert_eq!(
            reply.errors(&right),
            [("/id".to_owned(), "is missing".to_owned())]
        );
        let nowhere = Check::new(
            &document,
            "/components/schemas/None".to_owned(),
            Side::Reply,
        );
        assert_eq!(nowhere.errors(&right), []);
    }
}

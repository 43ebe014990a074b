//! The document as schemas are checked by: what requests may hold, and what replies do.

use std::sync::{Arc, OnceLock};

use jsonschema::{Draft, Registry, ValidationError, Validator, error::ValidationErrorKind};
use serde_json::{Map, Value, json};

use super::schema::Schema;
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
            let seen_by = adapted(&self.value, &self.value, left_out, false);
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

/// 422 that lists what is wrong.
pub(crate) fn invalid(what: &str, errors: Vec<(String, String)>) -> Problem {
    let first = errors.first().map(|(pointer, detail)| {
        if pointer.is_empty() {
            detail.clone()
        } else {
            format!("`{pointer}` {detail}")
        }
    });
    let problem = Problem::invalid(format!("{what}: {}", first.unwrap_or_default()));
    errors
        .into_iter()
        .fold(problem, |problem, (pointer, detail)| {
            problem.with_error(pointer, detail)
        })
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

/// The document as one side of the service is held to it: `required` without what the other side fills in, and the limits that a format of numbers means.
///
/// `names` says that the members of this object are no keywords but names, of properties for example.
fn adapted(document: &Value, value: &Value, left_out: &str, names: bool) -> Value {
    match value {
        Value::Array(items) => items
            .iter()
            .map(|item| adapted(document, item, left_out, false))
            .collect(),
        Value::Object(object) => {
            let mut result = Map::new();
            for (name, inner) in object {
                let inner = match name.as_str() {
                    _ if names => adapted(document, inner, left_out, false),
                    "properties" | "$defs" | "schemas" => adapted(document, inner, left_out, true),
                    "patternProperties" => {
                        let mut usable = inner.clone();
                        if let Value::Object(schemas) = &mut usable {
                            schemas.retain(|pattern, _| is_pattern(pattern));
                        }
                        adapted(document, &usable, left_out, true)
                    }
                    // Data, in which nothing is a schema.
                    "example" | "examples" | "enum" | "const" | "default" | "x-memgen" => {
                        inner.clone()
                    }
                    "required" if inner.is_array() => needed(document, value, inner, left_out),
                    // A bad pattern would take the whole schema with it; the generator has warned of it.
                    "pattern" if inner.as_str().is_some_and(|pattern| !is_pattern(pattern)) => {
                        continue;
                    }
                    _ => adapted(document, inner, left_out, false),
                };
                result.insert(name.clone(), inner);
            }
            if !names {
                limit_integers(&mut result);
            }
            Value::Object(result)
        }
        plain => plain.clone(),
    }
}

/// The names in `required` that this side gives.
fn needed(document: &Value, schema: &Value, required: &Value, left_out: &str) -> Value {
    let properties = Schema::new(document, schema).properties();
    let names = required.as_array().into_iter().flatten();
    names
        .filter(|name| {
            let property = name.as_str().and_then(|name| properties.get(name));
            !property.is_some_and(|property| property.flag(left_out))
        })
        .cloned()
        .collect()
}

/// `format: int32` and the like, which JSON Schema does not check.
fn limit_integers(schema: &mut Map<String, Value>) {
    let (least, most) = match schema.get("format").and_then(Value::as_str) {
        Some("int32") => (json!(i32::MIN), json!(i32::MAX)),
        Some("int64") => (json!(i64::MIN), json!(i64::MAX)),
        Some("uint32") => (json!(0), json!(u32::MAX)),
        Some("uint64") => (json!(0), json!(u64::MAX)),
        _ => return,
    };
    let integer = match schema.get("type") {
        Some(Value::String(name)) => name == "integer",
        Some(Value::Array(names)) => names.iter().any(|name| name == "integer"),
        _ => false,
    };
    if integer {
        let limits = json!({ "minimum": least, "maximum": most });
        match schema.get_mut("allOf") {
            Some(Value::Array(all)) => all.push(limits),
            _ => drop(schema.insert("allOf".to_owned(), json!([limits]))),
        }
    }
}

/// Whether the engine takes a pattern.
fn is_pattern(pattern: &str) -> bool {
    jsonschema::options()
        .build(&json!({ "pattern": pattern }))
        .is_ok()
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

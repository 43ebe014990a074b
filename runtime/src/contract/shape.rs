//! Errors in the document's own shape.
//!
//! The runtime says what is wrong in problem documents (RFC 9457). A document that declares another schema for the status gets that, where it can be made.

use std::sync::Arc;

use axum::{
    body::Body,
    http::{HeaderValue, header},
    response::Response,
};
use http_body_util::{BodyExt as _, Limited};
use serde_json::{Map, Value};

use super::{
    body::{Family, essence},
    document::{Check, Document, Side, located},
    parameters::{escape, follow},
    schema::Schema,
    states::instance::instance,
};
use crate::problem::{MEDIA_TYPE, Problem};

/// The longest problem document that is looked at. Its texts are bounded far below.
const PROBLEM_BYTES_MAX: usize = 1 << 20;

/// Names of fields that hold a text for people.
const TEXTS: [&str; 8] = [
    "message",
    "detail",
    "error",
    "description",
    "title",
    "msg",
    "reason",
    "error_description",
];

/// Names of fields that hold the status.
const CODES: [&str; 4] = ["code", "status", "statusCode", "status_code"];

/// The errors that an operation declares.
#[derive(Debug, Default)]
pub(crate) struct Shapes {
    /// By what the document has as the status: `404`, `4XX`, `default`.
    shapes: Vec<(String, Shape)>,
}

#[derive(Debug)]
struct Shape {
    media_type: String,
    schema: String,
    check: Check,
}

/// Names of fields that hold the place of what is wrong.
const PLACES: [&str; 7] = [
    "field",
    "path",
    "pointer",
    "param",
    "parameter",
    "property",
    "location",
];

impl Shapes {
    /// The errors of the operation at a JSON pointer.
    pub(crate) fn of_operation(document: &Arc<Document>, operation: &str) -> Self {
        let at = format!("{operation}/responses");
        let responses = document.value.pointer(&at).and_then(Value::as_object);
        let mut shapes = Vec::new();
        for (status, written) in responses.into_iter().flatten() {
            if status.starts_with(['1', '2', '3']) {
                continue;
            }
            let at = format!("{at}/{}", escape(status));
            let Some((response, at)) = follow(document, written, at) else {
                continue;
            };
            let content = response.get("content").and_then(Value::as_object);
            let Some(content) = content else { continue };
            // What is sent anyway is declared.
            if content.contains_key(MEDIA_TYPE) && content.len() == 1 {
                continue;
            }
            let json = content
                .iter()
                .filter(|(name, _)| Family::of(&essence(name)) == Family::Json)
                .find(|(_, inner)| inner.get("schema").is_some());
            if let Some((media_type, _)) = json {
                let schema = format!("{at}/content/{}/schema", escape(media_type));
                let shape = Shape {
                    media_type: if media_type.contains('*') {
                        "application/json".to_owned()
                    } else {
                        media_type.clone()
                    },
                    check: Check::new(document, schema.clone(), Side::Reply),
                    schema,
                };
                shapes.push((status.clone(), shape));
            }
        }
        Self { shapes }
    }

    fn find(&self, status: u16) -> Option<&Shape> {
        let class = format!("{}XX", status / 100);
        let by = |wanted: &str| {
            let mut shapes = self.shapes.iter();
            shapes
                .find(|(name, _)| name.eq_ignore_ascii_case(wanted))
                .map(|(_, shape)| shape)
        };
        by(&status.to_string())
            .or_else(|| by(&class))
            .or_else(|| by("default"))
    }

    /// The response as it is, or with the problem in it as the document wants it.
    pub(crate) async fn apply(&self, document: &Document, response: Response) -> Response {
        let status = response.status();
        if status.is_success() || self.shapes.is_empty() {
            return response;
        }
        let problem = response
            .headers()
            .get(header::CONTENT_TYPE)
            .is_some_and(|media_type| media_type.as_bytes() == MEDIA_TYPE.as_bytes());
        let Some(shape) = self.find(status.as_u16()).filter(|_| problem) else {
            return response;
        };
        let (mut parts, body) = response.into_parts();
        let Ok(body) = Limited::new(body, PROBLEM_BYTES_MAX).collect().await else {
            return axum::response::IntoResponse::into_response(Problem::internal(
                "an error was too long",
            ));
        };
        let body = body.to_bytes();
        let shaped = serde_json::from_slice::<Map<String, Value>>(&body)
            .ok()
            .and_then(|problem| shape.of_problem(document, &problem));
        parts.headers.remove(header::CONTENT_LENGTH);
        match shaped.and_then(|value| serde_json::to_vec(&value).ok()) {
            Some(bytes) => {
                if let Ok(media_type) = HeaderValue::from_str(&shape.media_type) {
                    parts.headers.insert(header::CONTENT_TYPE, media_type);
                }
                Response::from_parts(parts, Body::from(bytes))
            }
            None => Response::from_parts(parts, Body::from(body)),
        }
    }
}

impl Shape {
    /// The problem by the schema, if what comes of it is right.
    fn of_problem(&self, document: &Document, problem: &Map<String, Value>) -> Option<Value> {
        let schema = document.value.pointer(&self.schema)?;
        let schema = Schema::new(&document.value, schema);
        // A document whose schema is a problem's needs nothing made up.
        let whole = Value::Object(problem.clone());
        let says = |name: &str| schema.properties().contains_key(name);
        if says("type") && says("title") && says("status") && self.check.errors(&whole).is_empty() {
            return Some(whole);
        }
        // Where there is no room for each error, there may be for their sentence.
        let sentence = [
            known(problem, "title"),
            known(problem, "status"),
            known(problem, "detail"),
        ];
        [problem.clone(), sentence.into_iter().collect()]
            .iter()
            .map(|problem| {
                let mut value = instance(schema)
                    .filter(Value::is_object)
                    .unwrap_or_else(|| Value::Object(Map::new()));
                fill(schema, &mut value, problem, 3);
                // What no schema is written for keeps what is known.
                if schema.properties().is_empty() && value.as_object().is_some_and(Map::is_empty) {
                    value = whole.clone();
                }
                value
            })
            .find(|value| self.check.errors(value).is_empty())
    }
}

/// A member of a problem, or null.
fn known(problem: &Map<String, Value>, name: &str) -> (String, Value) {
    let value = problem.get(name).cloned().unwrap_or_default();
    (name.to_owned(), value)
}

/// A problem for each thing that is wrong; the problem itself if it lists nothing.
fn parts(problem: &Map<String, Value>) -> Vec<Map<String, Value>> {
    let errors = problem.get("errors").and_then(Value::as_array);
    let errors = errors.map(Vec::as_slice).unwrap_or_default();
    if errors.is_empty() {
        return vec![problem.clone()];
    }
    let text = |error: &Value, name: &str| error[name].as_str().unwrap_or_default().to_owned();
    let part = |error: &Value| {
        let pointer = text(error, "pointer");
        let detail = located(&pointer, &text(error, "detail"));
        Map::from_iter([
            known(problem, "title"),
            known(problem, "status"),
            ("detail".to_owned(), detail.into()),
            ("pointer".to_owned(), pointer.into()),
        ])
    };
    errors.iter().map(part).collect()
}

/// Puts what is known of the problem into the fields that are there for it, also one level further in: `{"error": {"message": …}}`.
fn fill(schema: Schema<'_>, value: &mut Value, problem: &Map<String, Value>, depth: usize) {
    if depth == 0 {
        return;
    }
    let detail = problem.get("detail").cloned().unwrap_or_default();
    let status = problem.get("status").cloned().unwrap_or_default();
    for (name, property) in schema.properties() {
        let types = property.types();
        let free = property.keyword("enum").is_none()
            && property.keyword("const").is_none()
            && property.keyword("format").is_none();
        let text = types.contains(&"string")
            || types.is_empty() && property.keyword("properties").is_none();
        if TEXTS.contains(&name) && text && free {
            let title = problem.get("title").filter(|_| name == "title");
            value[name] = title.unwrap_or(&detail).clone();
        } else if CODES.contains(&name) && (types.contains(&"integer") || types.contains(&"number"))
        {
            value[name] = status.clone();
        } else if CODES.contains(&name) && types.contains(&"string") && free {
            value[name] = status.to_string().into();
        } else if let Some(pointer) = problem.get("pointer").filter(|pointer| **pointer != "")
            && PLACES.contains(&name)
            && text
            && free
        {
            value[name] = pointer.clone();
        } else if matches!(name, "error" | "errors") {
            match value.get_mut(name) {
                Some(inner @ Value::Object(_)) => fill(property, inner, problem, depth - 1),
                None if types.contains(&"object") || property.keyword("properties").is_some() => {
                    let mut inner = instance(property).unwrap_or_else(|| Value::Object(Map::new()));
                    fill(property, &mut inner, problem, depth - 1);
                    value[name] = inner;
                }
                Some(Value::Array(_)) | None if types.contains(&"array") => {
                    if let Some(item) = property.items() {
                        let one = |part: Map<String, Value>| {
                            let mut inner = instance(item).unwrap_or_default();
                            if inner.is_string() {
                                inner = part.get("detail").cloned().unwrap_or_default();
                            } else if inner.is_object() {
                                fill(item, &mut inner, &part, depth - 1);
                            }
                            inner
                        };
                        value[name] = parts(problem).into_iter().map(one).collect();
                    }
                }
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[tokio::test]
    async fn problems_take_the_shape_that_is_declared() {
        let rows = [
            (
                json!({ "type": "object", "required": ["code", "message"], "properties": { "code": { "type": "integer" }, "message": { "type": "string" } } }),
                Some(json!({ "code": 404, "message": "there is no pet `7`" })),
            ),
            (
                json!({ "type": "object", "properties": { "error": { "type": "object", "required": ["kind"], "properties": { "kind": { "enum": ["a", "b"] }, "message": { "type": "string" } } } } }),
                Some(json!({ "error": { "kind": "a", "message": "there is no pet `7`" } })),
            ),
            (
                json!({ "type": "object", "properties": { "errors": { "type": "array", "items": { "type": "object", "properties": { "message": { "type": "string" } } } } } }),
                Some(json!({ "errors": [{ "message": "there is no pet `7`" }] })),
            ),
            (
                json!({ "type": "object", "required": ["reason"], "properties": { "reason": { "type": "string", "maxLength": 3 } } }),
                None,
            ),
            (json!({ "type": "array" }), None),
        ];
        for (schema, expected) in rows {
            let document = Arc::new(Document::new(json!({ "o": { "responses": { "default": {
                "content": { "application/json": { "schema": schema } } } } } })));
            let shapes = Shapes::of_operation(&document, "/o");
            let problem = axum::response::IntoResponse::into_response(Problem::not_found(
                "there is no pet `7`",
            ));
            let response = shapes.apply(&document, problem).await;
            assert_eq!(response.status(), 404);
            let media_type = response.headers()[header::CONTENT_TYPE].clone();
            let body = response.into_body().collect().await.unwrap().to_bytes();
            let body: Value = serde_json::from_slice(&body).unwrap();
            match expected {
                Some(expected) => {
                    assert_eq!(body, expected, "{schema}");
                    assert_eq!(media_type, "application/json");
                }
                None => assert_eq!(media_type, MEDIA_TYPE, "{schema}"),
            }
        }
    }

    /// Every field is named: one by one where there is a list, and in the sentence otherwise.
    #[test]
    fn each_field_is_named() {
        let errors = (0..5).map(|n| (format!("/f{n}"), "is missing".to_owned()));
        let problem = super::super::document::invalid("the body", errors.collect());
        let problem = serde_json::to_value(&problem).unwrap();
        let problem = problem.as_object().unwrap();
        let item = json!({ "type": "object", "properties": { "field": { "type": "string" }, "message": { "type": "string" } } });
        let shaped = |schema: Value| {
            let document = Arc::new(Document::new(json!({ "s": schema })));
            let shape = Shape {
                media_type: "application/json".to_owned(),
                schema: "/s".to_owned(),
                check: Check::new(&document, "/s".to_owned(), Side::Reply),
            };
            shape.of_problem(&document, problem).unwrap()
        };
        let list = |most: usize| {
            shaped(
                json!({ "properties": { "errors": { "type": "array", "maxItems": most, "items": item } } }),
            )
        };
        let all = list(9);
        let all = all["errors"].as_array().unwrap();
        assert_eq!(all.len(), 5);
        assert_eq!(
            all[4],
            json!({ "field": "/f4", "message": "`/f4` is missing" })
        );
        let one = list(1);
        let sentence = shaped(json!({ "properties": { "message": { "type": "string" } } }));
        for text in [&one["errors"][0]["message"], &sentence["message"]] {
            let text = text.as_str().unwrap();
            assert!(
                (0..5).all(|n| text.contains(&format!("`/f{n}` is missing"))),
                "{text}"
            );
        }
    }
}

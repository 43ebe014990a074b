//! The body of a request: by media type to JSON, text or bytes.

use std::sync::{Arc, OnceLock};

use axum::http::{HeaderMap, header};
use bytes::Bytes;
use serde_json::{Map, Value};

use super::{
    coerce::Kinds,
    document::{Check, Document, Side, invalid},
    form::{Form, PartHeaders},
    parameters::{self, escape, follow},
    schema::Schema,
    states::projection::{Direction, Projection},
};
use crate::problem::Problem;

/// How deep defaults are filled in.
const DEFAULTS_DEPTH_MAX: usize = 16;

/// The patches that states understand: RFC 7396 and RFC 6902.
const PATCHES: [&str; 2] = ["application/merge-patch+json", JSON_PATCH];

/// JSON Patch.
pub(crate) const JSON_PATCH: &str = "application/json-patch+json";

/// The body that an operation takes.
#[derive(Debug)]
pub(crate) struct RequestBody {
    required: bool,
    contents: Vec<Content>,
    /// The media types, for `Accept`.
    accept: String,
}

/// One media type of it.
#[derive(Debug)]
struct Content {
    media_type: String,
    family: Family,
    /// Where it is in the document.
    at: String,
    schema: Option<String>,
    check: Option<Check>,
    /// Of a multipart form.
    headers: PartHeaders,
    /// Made when it is first needed.
    incoming: OnceLock<Projection>,
}

/// What a media type is read as. The generator has the same rules (`lower/operation.rs`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    Json,
    UrlEncoded,
    Multipart,
    Text,
    Binary,
}

impl Family {
    /// The family of a media type without parameters, in lower case.
    pub(crate) fn of(essence: &str) -> Self {
        match essence {
            "application/json" | "*/*" | "application/*" | "text/json" => Self::Json,
            "application/x-www-form-urlencoded" => Self::UrlEncoded,
            "application/xml"
            | "application/yaml"
            | "application/x-yaml"
            | "application/graphql"
            | "application/javascript" => Self::Text,
            essence if essence.ends_with("+json") => Self::Json,
            essence if essence.starts_with("multipart/") => Self::Multipart,
            essence
                if essence.starts_with("text/")
                    || essence.ends_with("+xml")
                    || essence.ends_with("+yaml") =>
            {
                Self::Text
            }
            _ => Self::Binary,
        }
    }
}

/// A body that was read.
#[derive(Clone, Debug, Default)]
pub struct Body {
    /// The media type as the document has it, such as `application/json` or `image/*`; none without a body.
    pub(crate) media_type: Option<String>,
    pub(crate) payload: Payload,
}

/// What a body holds.
#[derive(Clone, Debug, Default)]
pub(crate) enum Payload {
    #[default]
    Nothing,
    Value(Value),
    Text(String),
    Bytes(Bytes),
}

/// A media type without its parameters, in lower case.
pub(crate) fn essence(media_type: &str) -> String {
    let essence = media_type.split(';').next().unwrap_or_default();
    essence.trim().to_ascii_lowercase()
}

fn names(contents: &[Content]) -> String {
    let names: Vec<&str> = contents.iter().map(|it| it.media_type.as_str()).collect();
    names.join(", ")
}

/// The headers that the document asks of parts (`encoding`).
fn part_headers(document: &Arc<Document>, content: &Value, at: &str) -> PartHeaders {
    let encoding = content.get("encoding").and_then(Value::as_object);
    let headers = encoding.into_iter().flatten().map(|(name, _)| {
        let at = format!("{at}/encoding/{}/headers", escape(name));
        (name.clone(), parameters::of_part(document, &at))
    });
    headers.filter(|(_, headers)| !headers.is_empty()).collect()
}

impl RequestBody {
    /// The body of the operation at a JSON pointer.
    pub(crate) fn of_operation(document: &Arc<Document>, operation: &str) -> Option<Self> {
        let at = format!("{operation}/requestBody");
        let written = document.value.pointer(&at)?;
        let (body, at) = follow(document, written, at)?;
        let contents: Vec<Content> = body
            .get("content")?
            .as_object()?
            .iter()
            .map(|(media_type, inner)| {
                let at = format!("{at}/content/{}", escape(media_type));
                let schema = inner.get("schema").map(|_| format!("{at}/schema"));
                let family = Family::of(&essence(media_type));
                Content {
                    media_type: media_type.clone(),
                    family,
                    headers: if family == Family::Multipart {
                        part_headers(document, inner, &at)
                    } else {
                        PartHeaders::new()
                    },
                    at,
                    check: schema
                        .as_ref()
                        .map(|at| Check::new(document, at.clone(), Side::Request)),
                    schema,
                    incoming: OnceLock::new(),
                }
            })
            .collect();
        if contents.is_empty() {
            return None;
        }
        Some(Self {
            required: body.get("required").and_then(Value::as_bool) == Some(true),
            accept: names(&contents),
            contents,
        })
    }

    /// Leaves the media types that a state understands. A patch of another kind than the two of the RFCs would change what it does not mean.
    pub(crate) fn for_states(mut self) -> Self {
        let is_known = |content: &Content| {
            let essence = essence(&content.media_type);
            matches!(
                content.family,
                Family::Json | Family::UrlEncoded | Family::Multipart
            ) && (!essence.contains("-patch+") || PATCHES.contains(&essence.as_str()))
        };
        if self.contents.iter().any(is_known) {
            self.contents.retain(is_known);
            self.accept = names(&self.contents);
        }
        self
    }

    /// Reads and checks a body. `whole` says that it stands for a whole entity, of which what is left out has its default.
    pub(crate) async fn read(
        &self,
        document: &Document,
        headers: &HeaderMap,
        bytes: Bytes,
        depth_max: usize,
        whole: bool,
    ) -> Result<Body, Problem> {
        let given = headers
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok());
        let Some(given) = given else {
            if bytes.is_empty() {
                if self.required {
                    return Err(
                        Problem::bad_request("the body is missing").with_error("", "is missing")
                    );
                }
                return Ok(Body::default());
            }
            return Err(Problem::unsupported_media_type(&self.accept));
        };
        let content = self
            .find(&essence(given))
            .ok_or_else(|| Problem::unsupported_media_type(&self.accept))?;
        if bytes.is_empty() && !self.required && content.family != Family::Multipart {
            return Ok(Body::default());
        }
        let payload = content
            .read(document, given, bytes, depth_max, whole)
            .await?;
        Ok(Body {
            media_type: Some(content.media_type.clone()),
            payload,
        })
    }

    /// The content for a media type: its own, that of a range, or anything.
    fn find(&self, given: &str) -> Option<&Content> {
        let is = |pattern: &str| {
            let found = |content: &&Content| essence(&content.media_type) == pattern;
            self.contents.iter().find(found)
        };
        let range = given.split_once('/').map(|(kind, _)| format!("{kind}/*"));
        is(given).or_else(|| is(&range?)).or_else(|| is("*/*"))
    }
}

impl Content {
    async fn read(
        &self,
        document: &Document,
        given: &str,
        bytes: Bytes,
        depth_max: usize,
        whole: bool,
    ) -> Result<Payload, Problem> {
        let found = self
            .schema
            .as_deref()
            .and_then(|at| document.value.pointer(at));
        let anything = Value::Bool(true);
        let schema = Schema::new(&document.value, found.unwrap_or(&anything));
        // A range stands for many types, each of which is read as what it is.
        let family = match Family::of(&essence(given)) {
            Family::Binary | Family::Text if self.family == Family::Json => self.family,
            own if self.media_type.contains('*') => own,
            _ => self.family,
        };
        let mut value = match family {
            Family::Binary => return checked(schema, bytes),
            Family::Text => return self.text(schema, bytes),
            // Bytes that may be of any type.
            Family::Json
                if self.media_type.contains('*')
                    && schema.keyword("format").and_then(Value::as_str) == Some("binary") =>
            {
                return checked(schema, bytes);
            }
            Family::Json => {
                crate::json::check_depth(&bytes, depth_max)?;
                serde_json::from_slice(&bytes).map_err(|error| {
                    Problem::bad_request(format!("the body is not JSON: {error}"))
                })?
            }
            Family::UrlEncoded => self.form(document, schema).urlencoded(&bytes)?,
            Family::Multipart => self.form(document, schema).multipart(given, bytes).await?,
        };
        whole_numbers(&mut value);
        // A list of changes (RFC 6902) is not what the schema of the entity describes.
        let changes = essence(given) == JSON_PATCH && value.is_array() && !Kinds::of(schema).list();
        if !changes {
            let incoming = || Projection::new(schema, Direction::Request);
            self.incoming.get_or_init(incoming).apply(&mut value);
            if whole {
                fill_defaults(schema, &mut value, DEFAULTS_DEPTH_MAX);
            }
            if let Some(check) = &self.check {
                check.check("the body", &value)?;
            }
        }
        Ok(Payload::Value(value))
    }

    fn form<'d>(&'d self, document: &'d Document, schema: Schema<'d>) -> Form<'d> {
        let content = document.value.pointer(&self.at);
        let encoding = content.and_then(|content| content.get("encoding"));
        Form::new(document, schema, encoding, &self.headers)
    }

    /// A text, which is what its schema says: a number as JSON writes it, or the text itself. Of XML and the like nothing is known.
    fn text(&self, schema: Schema<'_>, bytes: Bytes) -> Result<Payload, Problem> {
        let text = String::from_utf8(bytes.into())
            .map_err(|_| Problem::bad_request("the body is not UTF-8"))?;
        let kinds = Kinds::of(schema);
        match (kinds.read(&text), &self.check) {
            (Some(value), Some(check)) => check.check("the body", &value)?,
            (None, Some(_)) if kinds.scalar() => {
                let why = format!("is not {}", kinds.expected());
                return Err(invalid("the body", vec![(String::new(), why)]));
            }
            _ => {}
        }
        Ok(Payload::Text(text))
    }
}

/// Bytes, whose length is all that a schema can say of them.
fn checked(schema: Schema<'_>, bytes: Bytes) -> Result<Payload, Problem> {
    let limit = |name| schema.keyword(name).and_then(Value::as_u64);
    let length = bytes.len() as u64;
    let wrong = match (limit("minLength"), limit("maxLength")) {
        (Some(least), _) if length < least => Some(format!("has less than {least} bytes")),
        (_, Some(most)) if length > most => Some(format!("has more than {most} bytes")),
        _ => None,
    };
    match wrong {
        Some(why) => Err(invalid("the body", vec![(String::new(), why)])),
        None => Ok(Payload::Bytes(bytes)),
    }
}

/// `6.0` is an integer to JSON Schema, and none to the types that read it.
fn whole_numbers(value: &mut Value) {
    /// Integers up to here have no neighbours that a float takes for them.
    const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
    match value {
        Value::Number(number) if number.is_f64() => {
            if let Some(float) = number
                .as_f64()
                .filter(|it| it.fract() == 0.0 && it.abs() <= EXACT_MAX)
            {
                #[allow(clippy::cast_possible_truncation, reason = "it is whole and small")]
                let whole = float as i64;
                *value = whole.into();
            }
        }
        Value::Array(items) => items.iter_mut().for_each(whole_numbers),
        Value::Object(fields) => fields.values_mut().for_each(whole_numbers),
        _ => {}
    }
}

/// Adds the defaults of properties that are left out, at each level that is there.
fn fill_defaults(schema: Schema<'_>, value: &mut Value, depth: usize) {
    if depth == 0 {
        return;
    }
    match value {
        Value::Object(fields) => {
            for (name, property) in schema.properties() {
                if let Some(inner) = fields.get_mut(name) {
                    fill_defaults(property, inner, depth - 1);
                } else if let Some(default) = property.default_value()
                    && !property.flag("readOnly")
                {
                    fields.insert(name.to_owned(), default.clone());
                }
            }
        }
        Value::Array(items) => {
            if let Some(schema) = schema.items() {
                for item in items {
                    fill_defaults(schema, item, depth - 1);
                }
            }
        }
        _ => {}
    }
}

impl Body {
    /// Whether something was sent.
    pub(crate) fn is_there(&self) -> bool {
        self.media_type.is_some()
    }
}

/// What a handler's parameters are made of.
pub(crate) type Parameters = Map<String, Value>;

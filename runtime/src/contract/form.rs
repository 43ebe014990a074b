//! Forms: URL-encoded and multipart, as the JSON that their schema asks for.

use std::collections::BTreeMap;

use axum::http::HeaderMap;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde_json::{Map, Value};

use super::{
    body::{Family, essence},
    coerce::{self, Kinds},
    document::{Document, invalid},
    nested::Nested,
    parameters::{Parameter, Style, Unfit, check_part, escape, pairs},
    schema::Schema,
    types::File,
};
use crate::problem::Problem;

/// The most parts of a form.
const PARTS_MAX: usize = 10_000;

/// The headers that parts have to have, by the names of the parts.
pub(super) type PartHeaders = BTreeMap<String, Vec<Parameter>>;

/// What a form consists of.
pub(super) struct Form<'d> {
    document: &'d Document,
    schema: Schema<'d>,
    encoding: Option<&'d Map<String, Value>>,
    headers: &'d PartHeaders,
}

/// How one property is written (`encoding`).
#[derive(Clone, Copy)]
struct Encoding<'d>(Option<&'d Value>);

impl Encoding<'_> {
    /// The media types that it may have, if the document says so.
    fn media_types(self) -> Vec<String> {
        let named = self.0.and_then(|it| it.get("contentType")?.as_str());
        named
            .into_iter()
            .flat_map(|names| names.split(','))
            .map(essence)
            .collect()
    }

    fn is_json(self) -> bool {
        self.media_types()
            .first()
            .is_some_and(|name| Family::of(name) == Family::Json)
    }

    /// The style, if the property is written as a parameter is.
    fn style(self) -> Option<(Style, bool)> {
        let encoding = self.0?;
        let (style, explode) = (encoding.get("style"), encoding.get("explode"));
        if style.is_none() && explode.is_none() {
            return None;
        }
        let style = style
            .and_then(Value::as_str)
            .and_then(Style::of)
            .unwrap_or(Style::Form);
        let explode = explode.and_then(Value::as_bool);
        Some((style, explode.unwrap_or(style == Style::Form)))
    }
}

/// One part of a multipart form.
struct Part {
    name: String,
    file_name: Option<String>,
    media_type: Option<String>,
    headers: HeaderMap,
    bytes: Bytes,
}

impl<'d> Form<'d> {
    pub(super) fn new(
        document: &'d Document,
        schema: Schema<'d>,
        encoding: Option<&'d Value>,
        headers: &'d PartHeaders,
    ) -> Self {
        Self {
            document,
            schema,
            encoding: encoding.and_then(Value::as_object),
            headers,
        }
    }

    fn encoding(&self, name: &str) -> Encoding<'d> {
        Encoding(self.encoding.and_then(|all| all.get(name)))
    }

    /// `a=1&b[c]=2&d[]=3` as an object.
    pub(super) fn urlencoded(&self, body: &[u8]) -> Result<Value, Problem> {
        let mut read = Map::new();
        let mut rest = Nested::default();
        for (index, (name, text)) in form_urlencoded::parse(body).enumerate() {
            if index == PARTS_MAX {
                return Err(too_many());
            }
            match self.by_encoding(&name, &text) {
                Ok(Some(value)) => {
                    add(&mut read, &name, value).map_err(|why| unread(&name, "", &why))?;
                }
                Ok(None) => self.put(&mut rest, &name, &text)?,
                Err(why) => return Err(unread(&name, "", &why)),
            }
        }
        self.whole(read, rest)
    }

    /// The value of a property whose encoding says how it is written.
    fn by_encoding(&self, name: &str, text: &str) -> Result<Option<Value>, String> {
        let encoding = self.encoding(name);
        let Some(property) = self.schema.any_property(name) else {
            return Ok(None);
        };
        if encoding.is_json() {
            return json(text).map(Some);
        }
        let Some((style, false)) = encoding.style() else {
            return Ok(None);
        };
        let kinds = Kinds::of(property);
        let separator = style.separator();
        if kinds.list() {
            let items = text.split(separator).filter(|_| !text.is_empty());
            return coerce::list(property, items.map(str::to_owned)).map(Some);
        }
        if kinds.object() {
            let parts: Vec<&str> = text.split(separator).collect();
            let pairs = pairs(&parts, false)?;
            return coerce::object(property, pairs).map(Some);
        }
        Ok(None)
    }

    fn put(&self, nested: &mut Nested, name: &str, text: &str) -> Result<(), Problem> {
        // A property may be called `a[b]` itself.
        let whole = [name];
        let path: Vec<&str> = if self.schema.any_property(name).is_some() {
            whole.to_vec()
        } else {
            let bracketed = name
                .split_once('[')
                .and_then(|(first, rest)| Some((first, rest.strip_suffix(']')?)));
            match bracketed {
                Some((first, rest)) => std::iter::once(first).chain(rest.split("][")).collect(),
                None => self.exploded(name).into_iter().chain([name]).collect(),
            }
        };
        nested
            .put(&path, text)
            .map_err(|(pointer, why)| unread(name, &pointer, &why))
    }

    /// The property whose own properties stand beside the others (`style: form`, `explode: true`).
    fn exploded(&self, name: &str) -> Option<&'d str> {
        self.encoding?.iter().find_map(|(outer, encoding)| {
            let flat = matches!(Encoding(Some(encoding)).style(), Some((Style::Form, true)));
            let property = self.schema.any_property(outer).filter(|_| flat)?;
            let known = Kinds::of(property).object() && property.any_property(name).is_some();
            known.then_some(outer.as_str())
        })
    }

    fn whole(&self, mut read: Map<String, Value>, rest: Nested) -> Result<Value, Problem> {
        if !rest.is_empty() {
            let object = rest.read_object(self.schema).map_err(|(pointer, why)| {
                let name = pointer.split('/').nth(1).unwrap_or_default().to_owned();
                let inner = pointer.get(name.len() + 1..).unwrap_or_default();
                unread(
                    &super::schema::tokens(&format!("/{name}"))
                        .next()
                        .unwrap_or_default(),
                    inner,
                    &why,
                )
            })?;
            for (name, value) in object {
                add(&mut read, &name, value).map_err(|why| unread(&name, "", &why))?;
            }
        }
        Ok(Value::Object(read))
    }

    /// The parts of a multipart form as an object; files as [`File`] is written.
    pub(super) async fn multipart(
        &self,
        content_type: &str,
        body: Bytes,
    ) -> Result<Value, Problem> {
        let broken = |error: multer::Error| {
            Problem::bad_request(format!("the multipart form can't be read: {error}"))
        };
        let boundary = multer::parse_boundary(content_type).map_err(broken)?;
        let whole =
            futures_util::stream::once(async move { Ok::<_, std::convert::Infallible>(body) });
        let mut form = multer::Multipart::new(whole, boundary);
        let (mut read, mut rest) = (Map::new(), Nested::default());
        let mut count = 0;
        while let Some(field) = form.next_field().await.map_err(broken)? {
            count += 1;
            if count > PARTS_MAX {
                return Err(too_many());
            }
            let part = Part {
                name: field.name().unwrap_or_default().to_owned(),
                file_name: field.file_name().map(str::to_owned),
                media_type: field.content_type().map(ToString::to_string),
                headers: field.headers().clone(),
                bytes: field.bytes().await.map_err(broken)?,
            };
            self.part(part, &mut read, &mut rest)?;
        }
        self.whole(read, rest)
    }

    fn part(
        &self,
        part: Part,
        read: &mut Map<String, Value>,
        rest: &mut Nested,
    ) -> Result<(), Problem> {
        let Part {
            name,
            file_name,
            media_type,
            headers,
            bytes,
        } = part;
        if let Some(wanted) = self.headers.get(&name) {
            check_part(self.document, wanted, &headers).map_err(|(unfit, why)| match unfit {
                Unfit::Unread => unread(&name, "", &why),
                Unfit::Wrong => invalid("the form", vec![(format!("/{}", escape(&name)), why)]),
            })?;
        }
        let encoding = self.encoding(&name);
        let right = encoding.media_types();
        if let Some(given) = media_type.as_deref().map(essence)
            && !right.is_empty()
            && !right.iter().any(|right| covers(right, &given))
        {
            let why = format!("is `{given}`, not {}", right.join(" or "));
            return Err(invalid(
                "the form",
                vec![(format!("/{}", escape(&name)), why)],
            ));
        }
        let property = self.schema.any_property(&name);
        let kinds = property.map(Kinds::of).unwrap_or_default();
        let of_objects = property
            .and_then(Schema::any_items)
            .is_some_and(|items| Kinds::of(items).object());
        let is_json = match &media_type {
            Some(given) => Family::of(&essence(given)) == Family::Json,
            None => encoding.is_json(),
        };
        let structured = is_json || kinds.object() || (kinds.list() && of_objects);
        let text = std::str::from_utf8(&bytes).ok();
        let value = match text {
            Some(text)
                if structured && file_name.is_none() && (is_json || text.starts_with('{')) =>
            {
                json(text).map_err(|why| unread(&name, "", &why))?
            }
            _ if property.is_some_and(is_base64) => Value::String(match text {
                Some(text) if super::types::is_base64(text) => text.to_owned(),
                _ => STANDARD.encode(&bytes),
            }),
            Some(text) if file_name.is_none() || property.is_some_and(|it| !is_file(it)) => {
                let plain = media_type
                    .as_deref()
                    .is_none_or(|it| it.starts_with("text/plain"));
                if plain || property.is_some_and(|it| !is_file(it)) {
                    return self.put(rest, &name, text);
                }
                file(file_name, media_type, bytes)
            }
            _ => file(file_name, media_type, bytes),
        };
        let value = match value {
            Value::Array(items) if kinds.list() => Value::Array(items),
            one if kinds.list() => Value::Array(vec![one]),
            one => one,
        };
        add(read, &name, value).map_err(|why| unread(&name, "", &why))
    }
}

fn file(name: Option<String>, media_type: Option<String>, bytes: Bytes) -> Value {
    Value::String(
        File {
            name,
            media_type,
            bytes,
        }
        .to_text(),
    )
}

/// Whether values of a property are files. What has no type may be anything, so it may be one.
fn is_file(property: Schema<'_>) -> bool {
    let property = property.any_items().unwrap_or(property);
    let says = |name| property.keyword(name).and_then(Value::as_str);
    says("format") == Some("binary")
        || (says("contentMediaType").is_some() && says("contentEncoding").is_none())
        || Kinds::of(property).nothing()
}

fn is_base64(property: Schema<'_>) -> bool {
    let says = |name| property.keyword(name).and_then(Value::as_str);
    matches!(says("format"), Some("byte" | "base64")) || says("contentEncoding") == Some("base64")
}

/// Whether a media type is one of a range.
fn covers(range: &str, media_type: &str) -> bool {
    match range.strip_suffix('*') {
        Some("*/") => true,
        Some(kind) => media_type.starts_with(kind),
        None => range == media_type,
    }
}

/// Adds a value; those of a list come one by one.
fn add(fields: &mut Map<String, Value>, name: &str, value: Value) -> Result<(), String> {
    match (fields.get_mut(name), value) {
        (Some(Value::Array(items)), Value::Array(more)) => items.extend(more),
        (Some(_), _) => return Err("is given more than once".to_owned()),
        (None, value) => drop(fields.insert(name.to_owned(), value)),
    }
    Ok(())
}

fn json(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|error| format!("is not JSON: {error}"))
}

fn unread(name: &str, inner: &str, why: &str) -> Problem {
    Problem::bad_request(format!("the form: `{name}{inner}` {why}"))
        .with_error(format!("/{}{inner}", escape(name)), why)
}

fn too_many() -> Problem {
    Problem::bad_request(format!("the form has more than {PARTS_MAX} fields"))
        .with_extension("limit", PARTS_MAX)
}

//! Forms: URL-encoded and multipart, as the JSON that their schema asks for.

use bytes::Bytes;
use serde_json::{Map, Value};

use super::{coerce::Kinds, schema::Schema, types::File};
use crate::problem::Problem;

/// The deepest nesting of names such as `a[b][c]`.
const DEPTH_MAX: usize = 16;

/// The most parts of a form.
const PARTS_MAX: usize = 10_000;

/// Puts a text where a name such as `a[b][]` says.
pub(super) fn put(
    root: &mut Value,
    schema: Schema<'_>,
    path: &[&str],
    text: &str,
) -> Result<(), String> {
    if path.len() > DEPTH_MAX {
        return Err(format!("is nested deeper than {DEPTH_MAX} levels"));
    }
    let kinds = Kinds::of(schema);
    let Some((name, rest)) = path.split_first() else {
        let value = if kinds.list() {
            super::coerce::list(schema, [text.to_owned()])?
        } else {
            kinds
                .read(text)
                .ok_or_else(|| format!("`{text}` is not {}", kinds.expected()))?
        };
        match (root, value) {
            (Value::Array(items), Value::Array(more)) => items.extend(more),
            (root, value) => *root = value,
        }
        return Ok(());
    };
    if kinds.list() || (name.is_empty() && !kinds.object()) {
        // `a[]=1&a[]=2`, or with numbers, which are taken in their order.
        if !root.is_array() {
            *root = Value::Array(Vec::new());
        }
        let Value::Array(items) = root else {
            return Ok(());
        };
        let index = match name.parse::<usize>() {
            Ok(index) if index < items.len() => index,
            Ok(_) | Err(_) => {
                items.push(Value::Null);
                items.len() - 1
            }
        };
        let anything = Value::Bool(true);
        let item = schema
            .items()
            .unwrap_or(Schema::new(schema.document, &anything));
        return put(&mut items[index], item, rest, text);
    }
    if !root.is_object() {
        *root = Value::Object(Map::new());
    }
    let Value::Object(fields) = root else {
        return Ok(());
    };
    let anything = Value::Bool(true);
    let inner = schema
        .property(name)
        .or_else(|| {
            let alternatives = schema.alternatives();
            alternatives.into_iter().find_map(|one| one.property(name))
        })
        .or_else(|| {
            let more = schema.keyword("additionalProperties")?;
            more.is_object().then(|| Schema::new(schema.document, more))
        })
        .unwrap_or(Schema::new(schema.document, &anything));
    put(
        fields.entry((*name).to_owned()).or_insert(Value::Null),
        inner,
        rest,
        text,
    )
}

/// `a=1&b[c]=2&d[]=3` as an object.
pub(super) fn urlencoded(schema: Schema<'_>, body: &[u8]) -> Result<Value, Problem> {
    let mut result = Value::Object(Map::new());
    for (index, (name, text)) in form_urlencoded::parse(body).enumerate() {
        if index == PARTS_MAX {
            return Err(too_many());
        }
        place(&mut result, schema, &name, &text)?;
    }
    Ok(result)
}

fn too_many() -> Problem {
    Problem::bad_request(format!("the form has more than {PARTS_MAX} fields"))
        .with_extension("limit", PARTS_MAX)
}

fn place(result: &mut Value, schema: Schema<'_>, name: &str, text: &str) -> Result<(), Problem> {
    let wrong = |why: String| {
        Problem::bad_request(format!("the form: `{name}` can't be read: {why}"))
            .with_error(format!("/{}", super::parameters::escape(name)), why)
    };
    // A property may be called `a[b]` itself.
    let whole = [name];
    let path: Vec<&str> = if schema.property(name).is_some() {
        whole.to_vec()
    } else {
        match name
            .split_once('[')
            .and_then(|(first, rest)| Some((first, rest.strip_suffix(']')?)))
        {
            Some((first, rest)) => std::iter::once(first).chain(rest.split("][")).collect(),
            None => whole.to_vec(),
        }
    };
    put(result, schema, &path, text).map_err(wrong)
}

/// The parts of a multipart form as an object; files as [`File`] is written.
pub(super) async fn multipart(
    schema: Schema<'_>,
    content_type: &str,
    body: Bytes,
) -> Result<Value, Problem> {
    let broken = |error: multer::Error| {
        Problem::bad_request(format!("the multipart form can't be read: {error}"))
    };
    let boundary = multer::parse_boundary(content_type).map_err(broken)?;
    let whole = futures_util::stream::once(async move { Ok::<_, std::convert::Infallible>(body) });
    let mut form = multer::Multipart::new(whole, boundary);
    let mut result = Value::Object(Map::new());
    let mut count = 0;
    while let Some(part) = form.next_field().await.map_err(broken)? {
        count += 1;
        if count > PARTS_MAX {
            return Err(too_many());
        }
        let name = part.name().unwrap_or_default().to_owned();
        let file_name = part.file_name().map(str::to_owned);
        let media_type = part.content_type().map(ToString::to_string);
        let bytes = part.bytes().await.map_err(broken)?;
        let property = schema.property(&name);
        let kinds = property.map(Kinds::of).unwrap_or_default();
        let json = media_type
            .as_deref()
            .is_some_and(|it| it.starts_with("application/json"));
        let text = std::str::from_utf8(&bytes).ok();
        let structured = json && file_name.is_none() || (kinds.object() && file_name.is_none());
        if let (true, Some(text)) = (structured, text) {
            let value: Value = serde_json::from_str(text).map_err(|error| {
                let why = format!("is not JSON: {error}");
                Problem::bad_request(format!("the form: `{name}` {why}"))
                    .with_error(format!("/{}", super::parameters::escape(&name)), why)
            })?;
            result[&name] = value;
            continue;
        }
        match text {
            Some(text)
                if file_name.is_none()
                    && media_type
                        .as_deref()
                        .is_none_or(|it| it.starts_with("text/plain")) =>
            {
                place(&mut result, schema, &name, text)?;
            }
            _ => {
                let file = File {
                    name: file_name,
                    media_type,
                    bytes,
                };
                let value = Value::String(file.to_text());
                if kinds.list() {
                    match &mut result[&name] {
                        Value::Array(items) => items.push(value),
                        slot => *slot = Value::Array(vec![value]),
                    }
                } else {
                    result[&name] = value;
                }
            }
        }
    }
    Ok(result)
}

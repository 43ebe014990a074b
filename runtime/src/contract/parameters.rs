//! Parameters: from path, query, headers and cookies to one JSON object.
//!
//! [`texts`] is what a request has of them, [`style`] how it is written, and [`value`] what it means.

mod style;
#[cfg(test)]
mod tests;
mod texts;
mod value;

use std::sync::Arc;

use axum::http::{HeaderMap, request::Parts};
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

pub(super) use self::style::{Style, pairs};
use self::texts::Texts;
pub(crate) use self::texts::cookie;
use super::{
    body::{Family, essence},
    coerce::Kinds,
    document::{Check, Document, Side},
};
use crate::problem::Problem;

/// Where a parameter is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Path,
    Query,
    Header,
    Cookie,
}

/// A parameter of an operation.
#[derive(Debug)]
pub(crate) struct Parameter {
    /// As it is called on the wire.
    name: String,
    /// As the handler's argument has it: `query:id`, if the path has an `id` as well.
    pub(crate) field: String,
    place: Place,
    style: Style,
    explode: bool,
    required: bool,
    /// The schema, if there is one.
    schema: Option<String>,
    kinds: Kinds,
    default: Option<Value>,
    check: Option<Check>,
}

/// The parameters of an operation, those of its path among them, in the order path, query, header, cookie.
pub(crate) fn of_operation(
    document: &Arc<Document>,
    path: &str,
    method: &str,
) -> Result<Vec<Parameter>, String> {
    let root = &*document.value;
    let item = format!("/paths/{}", escape(path));
    let lists = [
        format!("{item}/parameters"),
        format!("{item}/{method}/parameters"),
    ];
    let mut all: Vec<Parameter> = Vec::new();
    for list in &lists {
        let parameters = root.pointer(list).and_then(Value::as_array);
        for (index, written) in parameters.into_iter().flatten().enumerate() {
            let at = format!("{list}/{index}");
            let (value, at) = follow(document, written, at).ok_or("a parameter leads nowhere")?;
            let Some(parameter) = Parameter::read(document, value, &at)? else {
                continue;
            };
            if parameter.place == Place::Path && !path.contains(&format!("{{{}}}", parameter.name))
            {
                continue;
            }
            match all
                .iter_mut()
                .find(|other| (other.place, &other.name) == (parameter.place, &parameter.name))
            {
                Some(other) => *other = parameter,
                None => all.push(parameter),
            }
        }
    }
    let undeclared: Vec<String> = placeholders(path)
        .filter(|name| {
            !all.iter()
                .any(|it| it.place == Place::Path && it.name == *name)
        })
        .map(str::to_owned)
        .collect();
    all.extend(undeclared.into_iter().map(Parameter::plain));
    all.sort_by_key(|parameter| parameter.place);
    let mut taken: Vec<String> = Vec::new();
    for parameter in &mut all {
        if taken.contains(&parameter.name) {
            let place = match parameter.place {
                Place::Path => "path",
                Place::Query => "query",
                Place::Header => "header",
                Place::Cookie => "cookie",
            };
            parameter.field = format!("{place}:{}", parameter.name);
        }
        taken.push(parameter.field.clone());
    }
    Ok(all)
}

/// The headers that a part of a multipart form has to have, by the map at a JSON pointer. Each is written as a parameter is, but for its name and place.
pub(super) fn of_part(document: &Arc<Document>, at: &str) -> Vec<Parameter> {
    let headers = document.value.pointer(at).and_then(Value::as_object);
    let headers = headers.into_iter().flatten();
    headers
        // OpenAPI says that this one means nothing here.
        .filter(|(name, _)| !name.eq_ignore_ascii_case("content-type"))
        .filter_map(|(name, written)| {
            let at = format!("{at}/{}", escape(name));
            let (value, at) = follow(document, written, at)?;
            Some(Parameter::of(
                document,
                value,
                &at,
                Place::Header,
                name.clone(),
            ))
        })
        .collect()
}

/// The value at the end of references, and its JSON pointer.
pub(crate) fn follow<'d>(
    document: &'d Document,
    value: &'d Value,
    at: String,
) -> Option<(&'d Value, String)> {
    let (mut value, mut at) = (value, at);
    for _ in 0..64 {
        let Some(reference) = value.get("$ref").and_then(Value::as_str) else {
            return Some((value, at));
        };
        let pointer = percent_decode_str(reference.strip_prefix('#')?)
            .decode_utf8()
            .ok()?;
        value = document.value.pointer(&pointer)?;
        at = pointer.into_owned();
    }
    None
}

/// A name as a part of a JSON pointer.
pub(crate) fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

fn placeholders(path: &str) -> impl Iterator<Item = &str> {
    path.split('{')
        .skip(1)
        .filter_map(|rest| Some(rest.split_once('}')?.0))
}

impl Parameter {
    fn plain(name: String) -> Self {
        Self {
            field: name.clone(),
            name,
            place: Place::Path,
            style: Style::Simple,
            explode: false,
            required: true,
            schema: None,
            kinds: Kinds::default(),
            default: None,
            check: None,
        }
    }

    /// `None` for those that OpenAPI tells to ignore.
    fn read(document: &Arc<Document>, value: &Value, at: &str) -> Result<Option<Self>, String> {
        let text = |name: &str| value.get(name).and_then(Value::as_str);
        let name = text("name")
            .ok_or_else(|| format!("{at} has no name"))?
            .to_owned();
        let place = match text("in") {
            Some("path") => Place::Path,
            Some("query") => Place::Query,
            Some("header") => Place::Header,
            Some("cookie") => Place::Cookie,
            other => return Err(format!("{at} is in {other:?}")),
        };
        let own = ["accept", "content-type", "authorization"];
        if place == Place::Header && own.contains(&name.to_ascii_lowercase().as_str()) {
            return Ok(None);
        }
        Ok(Some(Self::of(document, value, at, place, name)))
    }

    fn of(document: &Arc<Document>, value: &Value, at: &str, place: Place, name: String) -> Self {
        let text = |name: &str| value.get(name).and_then(Value::as_str);
        let content = value.get("content").and_then(Value::as_object);
        let (schema, style) =
            if let Some((media_type, inner)) = content.and_then(|content| content.iter().next()) {
                let at = format!("{at}/content/{}/schema", escape(media_type));
                let style = if Family::of(&essence(media_type)) == Family::Json {
                    Style::Json
                } else {
                    Style::Whole
                };
                (inner.get("schema").map(|_| at), style)
            } else {
                let usual = match place {
                    Place::Query | Place::Cookie => Style::Form,
                    Place::Path | Place::Header => Style::Simple,
                };
                let style = text("style").and_then(Style::of).unwrap_or(usual);
                (value.get("schema").map(|_| format!("{at}/schema")), style)
            };
        let explode = value.get("explode").and_then(Value::as_bool);
        let found = schema.as_deref().and_then(|at| document.value.pointer(at));
        let found = found.map(|value| document.schema(value));
        Self {
            field: name.clone(),
            name,
            place,
            style,
            explode: explode.unwrap_or(style == Style::Form),
            required: place == Place::Path
                || value.get("required").and_then(Value::as_bool) == Some(true),
            kinds: found.map(Kinds::of).unwrap_or_default(),
            default: found.and_then(|schema| schema.keyword("default")).cloned(),
            check: schema
                .as_ref()
                .map(|at| Check::new(document, at.clone(), Side::Request)),
            schema,
        }
    }
}

/// What was found of parameters.
#[derive(Default)]
struct Found {
    values: Map<String, Value>,
    /// What can't be read or is missing, and why.
    unread: Vec<(String, String)>,
    /// What the schema refuses: the name with the place within, and why.
    wrong: Vec<(String, String)>,
}

fn find(document: &Document, parameters: &[Parameter], request: &Texts<'_>) -> Found {
    let mut found = Found::default();
    for parameter in parameters {
        let name = &parameter.name;
        match parameter.value(document, request) {
            Err(why) => found.unread.push((name.clone(), why)),
            Ok(None) => {
                if let Some(default) = &parameter.default {
                    let field = parameter.field.clone();
                    found.values.insert(field, default.clone());
                } else if parameter.required {
                    found.unread.push((name.clone(), "is missing".to_owned()));
                }
            }
            Ok(Some(value)) => {
                if let Some(check) = &parameter.check {
                    let errors = check.errors(&value).into_iter();
                    let errors = errors.map(|(pointer, why)| (format!("{name}{pointer}"), why));
                    found.wrong.extend(errors);
                }
                found.values.insert(parameter.field.clone(), value);
            }
        }
    }
    found
}

/// Reads all parameters of a request: 400 for what can't be read or is missing, 422 for what the schema refuses.
pub(crate) fn read(
    document: &Document,
    parameters: &[Parameter],
    path: Vec<(&str, String)>,
    head: &Parts,
) -> Result<Map<String, Value>, Problem> {
    if parameters.is_empty() {
        return Ok(Map::new());
    }
    let query = head.uri.query().unwrap_or_default();
    let request = Texts {
        path,
        query: form_urlencoded::parse(query.as_bytes())
            .into_owned()
            .collect(),
        headers: &head.headers,
    };
    let Found {
        values,
        unread,
        wrong,
    } = find(document, parameters, &request);
    if let Some((first, why)) = unread.first() {
        let problem = Problem::bad_request(format!("`{first}` {}", sentence(why)));
        return Err(unread.into_iter().fold(problem, |problem, (name, why)| {
            problem.with_error(name, why)
        }));
    }
    if !wrong.is_empty() {
        return Err(super::document::invalid("the parameters", wrong));
    }
    Ok(values)
}

/// Reads the headers of a part of a form. What is wrong is told apart in the same way: what can't be read, or what the schema refuses.
pub(super) fn check_part(
    document: &Document,
    parameters: &[Parameter],
    headers: &HeaderMap,
) -> Result<(), (Unfit, String)> {
    let request = Texts {
        path: Vec::new(),
        query: Vec::new(),
        headers,
    };
    let found = find(document, parameters, &request);
    let said = |(name, why): &(String, String)| format!("header `{name}`: {why}");
    if let Some(first) = found.unread.first() {
        return Err((Unfit::Unread, said(first)));
    }
    if let Some(first) = found.wrong.first() {
        return Err((Unfit::Wrong, said(first)));
    }
    Ok(())
}

/// In which way something does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unfit {
    /// It can't be read, or is missing.
    Unread,
    /// The schema refuses it.
    Wrong,
}

fn sentence(why: &str) -> String {
    if why.starts_with('`') {
        format!("can't be read: {why}")
    } else {
        why.to_owned()
    }
}

//! Parameters: from path, query, headers and cookies to one JSON object.

use std::sync::Arc;

use axum::http::{HeaderMap, HeaderName, header, request::Parts};
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

use super::{
    body::{Family, essence},
    coerce::{self, Kinds},
    document::{Check, Document, Side},
    nested::Nested,
    schema::Schema,
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

/// How a list or an object is written as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    Simple,
    Label,
    Matrix,
    Form,
    SpaceDelimited,
    PipeDelimited,
    DeepObject,
    /// `content`: JSON as it is.
    Json,
    /// `content`: a text as it is.
    Whole,
}

impl Style {
    /// The style of this name.
    pub(super) fn of(name: &str) -> Option<Self> {
        Some(match name {
            "simple" => Self::Simple,
            "label" => Self::Label,
            "matrix" => Self::Matrix,
            "form" => Self::Form,
            "spaceDelimited" => Self::SpaceDelimited,
            "pipeDelimited" => Self::PipeDelimited,
            "deepObject" => Self::DeepObject,
            _ => return None,
        })
    }

    /// What stands between the items of a list that is one text.
    pub(super) const fn separator(self) -> char {
        match self {
            Self::SpaceDelimited => ' ',
            Self::PipeDelimited => '|',
            _ => ',',
        }
    }
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
        Ok(Some(Self {
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
        }))
    }

    /// The value that a request has for it.
    fn value(&self, document: &Document, request: &Texts<'_>) -> Result<Option<Value>, String> {
        let schema = self
            .schema
            .as_deref()
            .and_then(|at| document.value.pointer(at));
        let nothing = Value::Bool(true);
        let schema = document.schema(schema.unwrap_or(&nothing));
        let raw = match self.place {
            Place::Query => return self.of_query(schema, &request.query),
            Place::Path => request
                .path
                .iter()
                .find(|(name, _)| *name == self.name)
                .map(|(_, text)| text.clone()),
            Place::Header => request.header(&self.name)?,
            Place::Cookie => request.cookie(&self.name),
        };
        let Some(raw) = raw else { return Ok(None) };
        if raw.contains('\0') {
            return Err("contains NUL".to_owned());
        }
        let (text, separator) = match self.style {
            Style::Json => return json(&raw).map(Some),
            Style::Whole => return Ok(Some(Value::String(raw))),
            Style::Label => {
                let text = raw.strip_prefix('.').ok_or("does not begin with `.`")?;
                (text.to_owned(), if self.explode { '.' } else { ',' })
            }
            Style::Matrix => return self.of_matrix(schema, &raw).map(Some),
            _ => (raw, ','),
        };
        if self.kinds.list() {
            let items = text.split(separator).filter(|_| !text.is_empty());
            // Lists in headers may have blanks after the commas (RFC 9110).
            let header = self.place == Place::Header;
            let items = items.map(|item| if header { item.trim() } else { item });
            return coerce::list(schema, items.map(str::to_owned)).map(Some);
        }
        if self.kinds.object() {
            let parts: Vec<&str> = text.split(separator).collect();
            return pairs(&parts, self.explode)
                .and_then(|pairs| coerce::object(schema, pairs))
                .map(Some);
        }
        self.plain_value(&text).map(Some)
    }

    fn plain_value(&self, text: &str) -> Result<Value, String> {
        self.kinds
            .read(text)
            .ok_or_else(|| format!("`{text}` is not {}", self.kinds.expected()))
    }

    /// `;color=blue;color=black`, `;color=blue,black`, `;R=100;G=200`
    fn of_matrix(&self, schema: Schema<'_>, raw: &str) -> Result<Value, String> {
        let text = raw.strip_prefix(';').ok_or("does not begin with `;`")?;
        let parts: Vec<&str> = text.split(';').collect();
        if self.kinds.object() && self.explode {
            return pairs(&parts, true).and_then(|pairs| coerce::object(schema, pairs));
        }
        let own = |part: &&str| -> Result<String, String> {
            match part.split_once('=') {
                Some((name, value)) if name == self.name => Ok(value.to_owned()),
                None if *part == self.name => Ok(String::new()),
                _ => Err(format!("does not begin with `;{}=`", self.name)),
            }
        };
        let texts: Vec<String> = parts.iter().map(own).collect::<Result<_, _>>()?;
        if self.kinds.list() {
            let items = texts
                .iter()
                .flat_map(|text| text.split(','))
                .map(str::to_owned);
            return coerce::list(schema, items);
        }
        let text = texts.first().cloned().unwrap_or_default();
        if self.kinds.object() {
            let parts: Vec<&str> = text.split(',').collect();
            return pairs(&parts, false).and_then(|pairs| coerce::object(schema, pairs));
        }
        self.plain_value(&text)
    }

    fn of_query(
        &self,
        schema: Schema<'_>,
        query: &[(String, String)],
    ) -> Result<Option<Value>, String> {
        let own: Vec<&String> = query
            .iter()
            .filter(|(name, _)| *name == self.name)
            .map(|(_, text)| text)
            .collect();
        let first = own.first().map(|text| text.as_str());
        match self.style {
            Style::Json => return first.map(json).transpose(),
            Style::Whole => return Ok(first.map(|text| Value::String(text.to_owned()))),
            Style::DeepObject => return self.deep(schema, query),
            Style::Form if self.explode && self.kinds.object() => {
                let known = schema.properties();
                let mine = query
                    .iter()
                    .filter(|(name, _)| known.contains_key(name.as_str()));
                let mine: Vec<_> = mine.cloned().collect();
                if mine.is_empty() {
                    return Ok(None);
                }
                return coerce::object(schema, mine).map(Some);
            }
            _ => {}
        }
        let Some(first) = first else {
            // Many clients write lists so, whatever the document says.
            let bracketed = format!("{}[]", self.name);
            let texts: Vec<String> = query
                .iter()
                .filter(|(name, _)| *name == bracketed)
                .map(|(_, text)| text.clone())
                .collect();
            if self.kinds.list() && !texts.is_empty() {
                return coerce::list(schema, texts).map(Some);
            }
            return Ok(None);
        };
        let separator = self.style.separator();
        if self.kinds.list() {
            let exploded = self.explode || own.len() > 1;
            let texts: Vec<String> = if exploded {
                own.into_iter().cloned().collect()
            } else if first.is_empty() {
                Vec::new()
            } else {
                first.split(separator).map(str::to_owned).collect()
            };
            return coerce::list(schema, texts).map(Some);
        }
        if self.kinds.object() {
            let parts: Vec<&str> = first.split(separator).collect();
            return pairs(&parts, false)
                .and_then(|pairs| coerce::object(schema, pairs))
                .map(Some);
        }
        if own.len() > 1 {
            return Err("is given more than once".to_owned());
        }
        self.plain_value(first).map(Some)
    }

    /// `price[min]=1&price[max]=2`, and objects within: `a[b][c]=1`.
    fn deep(
        &self,
        schema: Schema<'_>,
        query: &[(String, String)],
    ) -> Result<Option<Value>, String> {
        let prefix = format!("{}[", self.name);
        let mut nested = Nested::default();
        let why = |(pointer, why): (String, String)| match pointer.trim_start_matches('/') {
            "" => why,
            pointer => format!("`{pointer}`: {why}"),
        };
        for (name, text) in query {
            let Some(rest) = name.strip_prefix(&prefix) else {
                continue;
            };
            let path: Vec<&str> = rest
                .strip_suffix(']')
                .ok_or_else(|| format!("`{name}` has no `]` at its end"))?
                .split("][")
                .collect();
            nested.put(&path, text).map_err(why)?;
        }
        if nested.is_empty() {
            return Ok(None);
        }
        nested.read(schema).map(Some).map_err(why)
    }
}

fn json(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|error| format!("is not JSON: {error}"))
}

/// `name,value,name,value`, or `name=value` in each part.
pub(super) fn pairs(parts: &[&str], explode: bool) -> Result<Vec<(String, String)>, String> {
    if explode {
        let pair = |part: &&str| {
            let (name, value) = part
                .split_once('=')
                .ok_or_else(|| format!("`{part}` has no `=`"))?;
            Ok((name.to_owned(), value.to_owned()))
        };
        return parts.iter().map(pair).collect();
    }
    if parts.len() % 2 == 1 {
        return Err("is no list of names and values".to_owned());
    }
    let pairs = parts
        .chunks(2)
        .map(|pair| (pair[0].to_owned(), pair[1].to_owned()));
    Ok(pairs.collect())
}

/// The texts of a request's head.
struct Texts<'r> {
    path: Vec<(&'r str, String)>,
    query: Vec<(String, String)>,
    headers: &'r HeaderMap,
}

impl Texts<'_> {
    /// A header; several of one name are one list.
    fn header(&self, name: &str) -> Result<Option<String>, String> {
        let Ok(name) = HeaderName::try_from(name) else {
            return Ok(None);
        };
        let mut texts = Vec::new();
        for value in self.headers.get_all(name) {
            let text = std::str::from_utf8(value.as_bytes()).map_err(|_| "is not UTF-8")?;
            texts.push(text.trim());
        }
        Ok((!texts.is_empty()).then(|| texts.join(",")))
    }

    fn cookie(&self, name: &str) -> Option<String> {
        cookie(self.headers, name)
    }
}

/// The value of a cookie.
pub(crate) fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    let all = headers.get_all(header::COOKIE).iter();
    let texts = all.filter_map(|value| value.to_str().ok());
    for text in texts {
        for pair in text.split(';') {
            if let Some((own, value)) = pair.trim().split_once('=')
                && own == name
            {
                let value = value.trim_matches('"');
                return Some(percent_decode_str(value).decode_utf8_lossy().into_owned());
            }
        }
    }
    None
}

/// Reads all parameters of a request: 400 for what can't be read or is missing, 422 for what the schema refuses.
pub(crate) fn read(
    document: &Document,
    parameters: &[Parameter],
    path: Vec<(&str, String)>,
    head: &Parts,
) -> Result<Map<String, Value>, Problem> {
    let mut values = Map::new();
    if parameters.is_empty() {
        return Ok(values);
    }
    let query = head.uri.query().unwrap_or_default();
    let request = Texts {
        path,
        query: form_urlencoded::parse(query.as_bytes())
            .into_owned()
            .collect(),
        headers: &head.headers,
    };
    let (mut unread, mut wrong) = (Vec::new(), Vec::new());
    for parameter in parameters {
        match parameter.value(document, &request) {
            Err(why) => unread.push((parameter, why)),
            Ok(None) => {
                if let Some(default) = &parameter.default {
                    values.insert(parameter.field.clone(), default.clone());
                } else if parameter.required {
                    unread.push((parameter, "is missing".to_owned()));
                }
            }
            Ok(Some(value)) => {
                if let Some(check) = &parameter.check {
                    let errors = check.errors(&value).into_iter();
                    wrong.extend(
                        errors.map(|(pointer, why)| (format!("{}{pointer}", parameter.name), why)),
                    );
                }
                values.insert(parameter.field.clone(), value);
            }
        }
    }
    if !unread.is_empty() {
        let (first, why) = &unread[0];
        let problem = Problem::bad_request(format!("`{}` {}", first.name, sentence(why)));
        return Err(unread.iter().fold(problem, |problem, (parameter, why)| {
            problem.with_error(parameter.name.clone(), why.clone())
        }));
    }
    if !wrong.is_empty() {
        return Err(super::document::invalid("the parameters", wrong));
    }
    Ok(values)
}

fn sentence(why: &str) -> String {
    if why.starts_with('`') {
        format!("can't be read: {why}")
    } else {
        why.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use axum::http::Request;
    use serde_json::json;

    use super::*;

    /// What one parameter is read as: its value, or the status of the refusal.
    fn read_one(
        parameter: &Value,
        path: &str,
        uri: &str,
        headers: &[(&str, &str)],
    ) -> Result<Option<Value>, u16> {
        let template = "/x/{p}";
        let document = Arc::new(Document::new(json!({
            "paths": { template: { "get": { "parameters": [parameter] } } },
            "components": { "schemas": { "Rgb": {
                "type": "object",
                "properties": { "R": { "type": "integer" }, "G": { "type": "integer" }, "B": { "type": "integer" } },
            } } },
        })));
        let parameters = of_operation(&document, template, "get").expect("it is right");
        let mut request = Request::builder().uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (head, ()) = request.body(()).expect("it is right").into_parts();
        let field = parameter["name"].as_str().expect("it has a name");
        read(&document, &parameters, vec![("p", path.to_owned())], &head)
            .map(|values| values.get(field).cloned())
            .map_err(|problem| problem.status().as_u16())
    }

    /// `name`, `in`, style, explode and schema.
    fn parameter(place: &str, style: &str, explode: bool, schema: &Value) -> Value {
        let name = if place == "path" { "p" } else { "color" };
        json!({ "name": name, "in": place, "required": place == "path", "style": style, "explode": explode, "schema": schema })
    }

    /// The examples of OpenAPI's own table.
    #[allow(clippy::too_many_lines, reason = "a table")]
    #[test]
    fn each_style_is_read() {
        let text = json!({ "type": "string" });
        let list = json!({ "type": "array", "items": { "type": "string" } });
        let object = json!({ "$ref": "#/components/schemas/Rgb" });
        let blue = json!("blue");
        let colors = json!(["blue", "black", "brown"]);
        let rgb = json!({ "R": 100, "G": 200, "B": 150 });
        let rows = [
            ("path", "simple", false, &text, "blue", &blue),
            ("path", "simple", false, &list, "blue,black,brown", &colors),
            ("path", "simple", false, &object, "R,100,G,200,B,150", &rgb),
            ("path", "simple", true, &object, "R=100,G=200,B=150", &rgb),
            ("path", "label", false, &text, ".blue", &blue),
            ("path", "label", false, &list, ".blue,black,brown", &colors),
            ("path", "label", true, &list, ".blue.black.brown", &colors),
            ("path", "label", true, &object, ".R=100.G=200.B=150", &rgb),
            ("path", "matrix", false, &text, ";p=blue", &blue),
            (
                "path",
                "matrix",
                false,
                &list,
                ";p=blue,black,brown",
                &colors,
            ),
            (
                "path",
                "matrix",
                true,
                &list,
                ";p=blue;p=black;p=brown",
                &colors,
            ),
            (
                "path",
                "matrix",
                false,
                &object,
                ";p=R,100,G,200,B,150",
                &rgb,
            ),
            ("path", "matrix", true, &object, ";R=100;G=200;B=150", &rgb),
            ("query", "form", true, &text, "color=blue", &blue),
            (
                "query",
                "form",
                true,
                &list,
                "color=blue&color=black&color=brown",
                &colors,
            ),
            (
                "query",
                "form",
                false,
                &list,
                "color=blue,black,brown",
                &colors,
            ),
            (
                "query",
                "form",
                true,
                &list,
                "color[]=blue&color[]=black&color[]=brown",
                &colors,
            ),
            ("query", "form", true, &object, "R=100&G=200&B=150", &rgb),
            (
                "query",
                "form",
                false,
                &object,
                "color=R,100,G,200,B,150",
                &rgb,
            ),
            (
                "query",
                "spaceDelimited",
                false,
                &list,
                "color=blue%20black%20brown",
                &colors,
            ),
            (
                "query",
                "pipeDelimited",
                false,
                &list,
                "color=blue|black|brown",
                &colors,
            ),
            (
                "query",
                "deepObject",
                true,
                &object,
                "color[R]=100&color[G]=200&color[B]=150",
                &rgb,
            ),
            (
                "header",
                "simple",
                false,
                &list,
                "blue, black,brown",
                &colors,
            ),
            ("header", "simple", true, &object, "R=100,G=200,B=150", &rgb),
            ("cookie", "form", false, &text, "a=b; color=blue", &blue),
            (
                "cookie",
                "form",
                false,
                &list,
                "color=blue,black,brown",
                &colors,
            ),
        ];
        for (place, style, explode, schema, written, expected) in rows {
            let parameter = parameter(place, style, explode, schema);
            let read = match place {
                "path" => read_one(&parameter, written, "/x/y", &[]),
                "query" => read_one(&parameter, "y", &format!("/x/y?{written}"), &[]),
                "header" => read_one(&parameter, "y", "/x/y", &[("color", written)]),
                _ => read_one(&parameter, "y", "/x/y", &[("cookie", written)]),
            };
            assert_eq!(
                read,
                Ok(Some(expected.clone())),
                "{place} {style} {explode} {written}"
            );
        }
    }

    #[test]
    fn what_is_wrong_is_told_apart() {
        let number = json!({ "type": "integer", "maximum": 9 });
        let query = |schema: &Value| parameter("query", "form", true, schema);
        let mut required = query(&number);
        required["required"] = true.into();
        let mut defaulted = query(&number);
        defaulted["schema"]["default"] = 3.into();
        let json_content = json!({ "name": "color", "in": "query", "content": { "application/json": { "schema": { "type": "object" } } } });
        let rows = [
            (query(&number), "", Ok(None)),
            (required.clone(), "", Err(400)),
            (required, "color=7", Ok(Some(json!(7)))),
            (defaulted, "", Ok(Some(json!(3)))),
            (query(&number), "color=seven", Err(400)),
            (query(&number), "color=1&color=2", Err(400)),
            (query(&number), "color=10", Err(422)),
            (
                query(&json!({ "type": "array", "items": { "type": "integer" } })),
                "color=1&color=x",
                Err(400),
            ),
            (
                query(&json!({ "type": "string", "enum": ["a"] })),
                "color=b",
                Err(422),
            ),
            (
                query(&json!({ "type": "string" })),
                "color=%00",
                Ok(Some(json!("\0"))),
            ),
            (
                parameter("query", "deepObject", true, &json!({ "type": "object" })),
                "color[a=1",
                Err(400),
            ),
            (
                json_content.clone(),
                "color={\"a\":1}",
                Ok(Some(json!({ "a": 1 }))),
            ),
            (json_content, "color={", Err(400)),
        ];
        for (parameter, query, expected) in rows {
            let query = query
                .replace('{', "%7B")
                .replace('}', "%7D")
                .replace('"', "%22");
            let uri = format!("/x/y?{query}");
            assert_eq!(
                read_one(&parameter, "y", &uri, &[]),
                expected,
                "{parameter} {query}"
            );
        }
        // OpenAPI says that these mean nothing.
        let accept = json!({ "name": "Accept", "in": "header", "required": true, "schema": { "type": "string" } });
        assert_eq!(read_one(&accept, "y", "/x/y", &[]), Ok(None));
    }

    #[test]
    fn names_that_meet_are_told_apart() {
        let document = Arc::new(Document::new(json!({ "paths": { "/x/{id}/{other}": {
            "parameters": [{ "name": "a", "in": "query" }],
            "get": { "parameters": [
                { "name": "id", "in": "query" }, { "name": "a", "in": "query", "required": true }, { "name": "id", "in": "path", "required": true }, { "name": "gone", "in": "path" },
            ] },
        } } })));
        let parameters = of_operation(&document, "/x/{id}/{other}", "get").expect("it is right");
        let fields: Vec<(&str, bool)> = parameters
            .iter()
            .map(|one| (one.field.as_str(), one.required))
            .collect();
        assert_eq!(
            fields,
            [
                ("id", true),
                ("other", true),
                ("a", true),
                ("query:id", false)
            ]
        );
    }
}

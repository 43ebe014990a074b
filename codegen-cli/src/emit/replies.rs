//! What an operation answers: an enum with a variant for each status and each kind of body.

use hyper::StatusCode;

use super::{
    named::Named,
    operations::media_words,
    text::{Text, literal},
};
use crate::{
    model::{Payload, Response, Status},
    names::{Scope, ident, type_name, value_name},
};

/// The enum of these responses.
pub(super) fn emit(named: &Named<'_>, name: &str, responses: &[Response], text: &mut Text) {
    let of_errors = of_errors(responses);
    text.line("#[derive(Debug, Reply)]");
    if let Some(media_type) = of_errors {
        let errors = format!("errors = {}", literal(media_type));
        text.attribute("reply", &[errors]);
    }
    text.open(&format!("pub enum {name} {{"));
    let mut scope = Scope::of_variants();
    let mut variants = Vec::new();
    for response in responses {
        let base = status_name(response.status);
        for (index, body) in bodies(named, response).into_iter().enumerate() {
            let suffix = match &body {
                Some(body) if index > 0 => type_name(&media_words(body.media_type)),
                _ => String::new(),
            };
            variants.push((scope.claim(format!("{base}{suffix}")), response, body));
        }
    }
    let silent = !responses.iter().any(|response| succeeds(response.status));
    // rustfmt leaves fields in one line only where all variants have one line, or none has.
    let lines = variants.iter().map(|(name, response, body)| {
        let mut alone = Text::default();
        alone.open("{");
        variant(
            named,
            name,
            response,
            body.as_ref(),
            of_errors,
            true,
            &mut alone,
        );
        alone.finish().lines().count() - 1
    });
    let lines: Vec<usize> = lines.chain(silent.then_some(2)).collect();
    let flat = lines.iter().all(|count| *count == 1) || lines.iter().all(|count| *count > 1);
    for (name, response, body) in &variants {
        variant(named, name, response, body.as_ref(), of_errors, flat, text);
    }
    if silent {
        text.line("/// The document does not say how it succeeds.");
        text.line(&format!("{},", scope.claim("NoContent".to_owned())));
    }
    text.close("}");
}

/// The media type of JSON in most replies that may be errors, where it is worth a line.
fn of_errors(responses: &[Response]) -> Option<&str> {
    let mut counts: Vec<(&str, usize)> = Vec::new();
    let mut plain = 0;
    let contents = responses.iter().filter(|it| fails(it.status));
    for content in contents.flat_map(|it| &it.contents) {
        let media_type = content.media_type.as_str();
        if !matches!(content.payload, Payload::Value(_)) || media_type.contains('*') {
            continue;
        }
        if media_type == JSON {
            plain += 1;
            continue;
        }
        match counts.iter_mut().find(|(known, _)| *known == media_type) {
            Some((_, count)) => *count += 1,
            None => counts.push((media_type, 1)),
        }
    }
    let most = counts.into_iter().rev().max_by_key(|(_, count)| *count)?;
    (most.1 > plain + 1).then_some(most.0)
}

/// Whether a status may be that of an error.
const fn fails(status: Status) -> bool {
    matches!(
        status,
        Status::Code(400..) | Status::Class(4 | 5) | Status::Default
    )
}

/// Whether an operation can end well so.
const fn succeeds(status: Status) -> bool {
    matches!(
        status,
        Status::Code(200..400) | Status::Class(2 | 3) | Status::Default
    )
}

/// The widest fields of a variant that rustfmt leaves in one line.
const FLAT: usize = 34;
/// The media type that goes without saying.
const JSON: &str = "application/json";

struct Body<'a> {
    media_type: &'a str,
    ty: String,
    /// JSON, as most bodies are: its media type goes without saying.
    json: bool,
    /// A range of media types: who answers says which one it is.
    range: bool,
}

/// The bodies that a response can have; one of nothing if it has none. Values of one type are one, however they are labelled.
fn bodies<'a>(named: &Named<'_>, response: &'a Response) -> Vec<Option<Body<'a>>> {
    let mut bodies: Vec<Option<Body<'a>>> = Vec::new();
    let mut values: Vec<(&Payload, usize)> = Vec::new();
    for content in &response.contents {
        let media_type = content.media_type.as_str();
        let ty = match &content.payload {
            Payload::Value(ty) => named.ty(ty),
            Payload::Text => "String".to_owned(),
            Payload::Binary => "Bytes".to_owned(),
            Payload::Events(ty) => format!("EventStream<{}>", named.ty(ty)),
        };
        let value = matches!(content.payload, Payload::Value(_));
        let json = value && matches!(media_type, JSON | "*/*" | "application/*");
        let body = Body {
            media_type,
            ty,
            json,
            range: !json && media_type.contains('*'),
        };
        let known = values.iter().find(|(known, _)| **known == content.payload);
        if let Some((_, index)) = known {
            if json {
                bodies[*index] = Some(body);
            }
            continue;
        }
        if value {
            values.push((&content.payload, bodies.len()));
        }
        bodies.push(Some(body));
    }
    // JSON comes first: it is what most clients ask for.
    if let Some(json) = bodies.iter().flatten().position(|body| body.json) {
        bodies[..=json].rotate_right(1);
    }
    if bodies.is_empty() {
        bodies.push(None);
    }
    bodies
}

fn variant(
    named: &Named<'_>,
    name: &str,
    response: &Response,
    body: Option<&Body<'_>>,
    of_errors: Option<&str>,
    flat: bool,
    text: &mut Text,
) {
    let (status, free) = match response.status {
        Status::Code(code) => (code.to_string(), false),
        Status::Class(class) => (format!("\"{class}XX\""), true),
        Status::Default => ("default".to_owned(), true),
    };
    let unsaid = of_errors.filter(|_| fails(response.status)).unwrap_or(JSON);
    let media_type = body
        .map(|body| if body.json { JSON } else { body.media_type })
        .filter(|media_type| *media_type != unsaid)
        .map(literal);
    // The name says it, where it is the status's own.
    if media_type.is_some() || name != status_name(response.status) {
        let arguments: Vec<String> = [status].into_iter().chain(media_type).collect();
        text.attribute("reply", &arguments);
    }
    let range = body.is_some_and(|body| body.range);
    if response.headers.is_empty() && !range {
        let mut held: Vec<&str> = Vec::new();
        if free {
            held.push("StatusCode");
        }
        held.extend(body.map(|body| body.ty.as_str()));
        text.variant(name, &held, "");
        return;
    }
    let mut scope = Scope::default();
    let mut fields: Vec<(String, String)> = Vec::new();
    if free {
        fields.push((scope.claim("status".to_owned()), "StatusCode".to_owned()));
    }
    if let Some(body) = body {
        fields.push((scope.claim("body".to_owned()), body.ty.clone()));
    }
    if range {
        fields.push((scope.claim("content_type".to_owned()), "String".to_owned()));
    }
    let own = fields.len();
    let mut headers = Vec::new();
    for header in &response.headers {
        let field = scope.claim(value_name(&header.name));
        // Without it, a field is the header of its name.
        let said = field.replace('_', "-") == header.name.to_ascii_lowercase()
            && !matches!(field.as_str(), "status" | "body");
        headers.push((!said).then(|| literal(&header.name)));
        let ty = if header.required {
            named.ty(&header.ty)
        } else {
            named.optional(&header.ty)
        };
        fields.push((ident(&field), ty));
    }
    let line: Vec<String> = fields
        .iter()
        .map(|(name, ty)| format!("{name}: {ty}"))
        .collect();
    let line = line.join(", ");
    if flat && line.chars().count() <= FLAT && headers.iter().all(Option::is_none) {
        text.line(&format!("{name} {{ {line} }},"));
        return;
    }
    text.open(&format!("{name} {{"));
    for (index, (name, ty)) in fields.iter().enumerate() {
        let header = index
            .checked_sub(own)
            .and_then(|index| headers[index].clone());
        text.attribute("header", &header.into_iter().collect::<Vec<_>>());
        text.field(name, ty);
    }
    text.close("},");
}

/// `404` is `NotFound`.
pub(super) fn status_name(status: Status) -> String {
    match status {
        Status::Code(code) => StatusCode::from_u16(code)
            .ok()
            .and_then(|status| status.canonical_reason())
            .map_or_else(|| format!("Status{code}"), type_name),
        Status::Class(2) => "Success".to_owned(),
        Status::Class(3) => "Redirection".to_owned(),
        Status::Class(4) => "ClientError".to_owned(),
        Status::Class(5) => "ServerError".to_owned(),
        Status::Class(class) => format!("Class{class}"),
        Status::Default => "Default".to_owned(),
    }
}

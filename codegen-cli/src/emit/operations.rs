//! `<tag>.rs`: the trait of a tag, and what its operations take and answer.

use super::{
    doc,
    named::{Named, NamedOperation, Tag},
    replies,
    text::{Text, literal},
    types,
};
use crate::{
    model::{Body, Field, Operation, Payload, Struct},
    names::{Scope, type_name},
};

/// The most lines of an operation's description.
const LINES: usize = 8;

pub(super) fn file(named: &Named<'_>, tag: &Tag<'_>) -> String {
    let what = if tag.is_gone() {
        "No operations any more"
    } else {
        "Operations"
    };
    let about = format!("{what} of the tag `{}`.", tag.name.replace('`', "'"));
    let about = doc::lines(&about, 1).join(" ");
    let mut text = super::file(&about, &["pub use super::types::*;"]);
    text.gap();
    text.doc(&[about]);
    text.line("#[operations]");
    if tag.is_gone() {
        text.line(&format!("pub trait {} {{}}", tag.api));
        return text.finish();
    }
    text.open(&format!("pub trait {} {{", tag.api));
    for operation in &tag.operations {
        method(named, operation, &mut text);
    }
    text.close("}");
    for operation in &tag.operations {
        parts(named, tag, operation, &mut text);
    }
    text.finish()
}

/// What the document says of an operation, and where it is.
pub(super) fn about(operation: &Operation) -> Vec<String> {
    let mut about = doc::lines(&operation.summary, 3);
    if operation.description.trim() != operation.summary.trim() {
        let more = doc::lines(&operation.description, LINES);
        if !about.is_empty() && !more.is_empty() {
            about.push(String::new());
        }
        about.extend(more);
    }
    if operation.deprecated {
        doc::paragraph(&mut about, "Deprecated.".to_owned());
    }
    let hard = |one: char| one == '`' || one.is_whitespace() || one.is_control();
    let path = operation.path.replace(hard, "'");
    let route = format!("`{} {path}`", operation.method.to_ascii_uppercase());
    doc::paragraph(&mut about, doc::lines(&route, 1).join(" "));
    about
}

fn method(named: &Named<'_>, it: &NamedOperation<'_>, text: &mut Text) {
    text.gap();
    text.doc(&about(it.operation));
    text.line(&format!("#[operation({})]", literal(&it.operation.id)));
    let mut arguments = vec!["cx: Cx".to_owned()];
    if !it.operation.parameters.is_empty() {
        arguments.push(format!("parameters: {}", it.parameters));
    }
    if let Some(body) = &it.operation.body {
        let ty = match payloads(body).as_slice() {
            [(only, _)] => argument(named, only),
            _ => it.body.clone(),
        };
        arguments.push(if body.required {
            format!("body: {ty}")
        } else {
            format!("body: Option<{ty}>")
        });
    }
    text.call(
        &format!("async fn {}", it.method),
        &arguments,
        &format!(" -> Result<{}>;", it.reply),
    );
}

/// The structs and enums of an operation.
fn parts(named: &Named<'_>, tag: &Tag<'_>, it: &NamedOperation<'_>, text: &mut Text) {
    let operation = it.operation;
    if !operation.parameters.is_empty() {
        let fields = operation.parameters.iter().map(|parameter| Field {
            name: parameter.field.clone(),
            doc: parameter.doc.clone(),
            ty: parameter.ty.clone(),
            required: parameter.required,
            read_only: false,
            write_only: false,
            deprecated: false,
            default: None,
        });
        let inner = Struct {
            fields: fields.collect(),
            extra: None,
        };
        let doc = [format!("The parameters of [`{}`].", path(tag, it))];
        text.gap();
        let derives = ["Clone", "Debug", "PartialEq", "Deserialize"];
        types::structure(named, &it.parameters, &doc, &derives, &inner, text);
    }
    if let Some(body) = &operation.body {
        let payloads = payloads(body);
        if payloads.len() > 1 {
            text.gap();
            text.doc(&[format!("What [`{}`] takes.", path(tag, it))]);
            bodies(named, &it.body, &payloads, text);
        }
    }
    text.gap();
    text.doc(&[format!("What [`{}`] answers.", path(tag, it))]);
    replies::emit(named, &it.reply, &operation.responses, text);
}

/// How comments refer to the method.
fn path(tag: &Tag<'_>, it: &NamedOperation<'_>) -> String {
    format!("{}::{}", tag.api, it.method)
}

/// Each payload of a body, and the media types that hold it.
pub(super) fn payloads(body: &Body) -> Vec<(&Payload, Vec<&str>)> {
    let mut payloads: Vec<(&Payload, Vec<&str>)> = Vec::new();
    for content in &body.contents {
        let media_type = content.media_type.as_str();
        match payloads
            .iter_mut()
            .find(|(known, _)| **known == content.payload)
        {
            Some((_, media_types)) => media_types.push(media_type),
            None => payloads.push((&content.payload, vec![media_type])),
        }
    }
    payloads
}

fn argument(named: &Named<'_>, payload: &Payload) -> String {
    match payload {
        Payload::Value(ty) => format!("Json<{}>", named.ty(ty)),
        Payload::Text | Payload::Events(_) => "String".to_owned(),
        Payload::Binary => "Bytes".to_owned(),
    }
}

fn bodies(named: &Named<'_>, name: &str, payloads: &[(&Payload, Vec<&str>)], text: &mut Text) {
    text.line("#[derive(Debug, Body)]");
    text.open(&format!("pub enum {name} {{"));
    let mut scope = Scope::of_variants();
    for (payload, media_types) in payloads {
        let ty = match payload {
            Payload::Value(ty) => named.ty(ty),
            other => argument(named, other),
        };
        let words = media_types
            .first()
            .map_or_else(String::new, |first| media_words(first));
        let media_types: Vec<String> = media_types.iter().map(|one| literal(one)).collect();
        text.attribute("body", &media_types);
        text.variant(&scope.claim(type_name(&words)), &[&ty], "");
    }
    text.close("}");
}

/// Words for a media type: `json`, `form`, `csv`, `image`.
pub(super) fn media_words(media_type: &str) -> String {
    let lower = media_type.to_ascii_lowercase();
    let (family, subtype) = lower.split_once('/').unwrap_or((lower.as_str(), ""));
    match (family, subtype.trim()) {
        ("*", _) => "any".to_owned(),
        (family, "*" | "") => family.to_owned(),
        (_, "x-www-form-urlencoded") => "form".to_owned(),
        (_, "form-data") => "multipart".to_owned(),
        (_, "octet-stream") => "bytes".to_owned(),
        (_, "plain") => "text".to_owned(),
        (_, "event-stream") => "events".to_owned(),
        (_, subtype) => {
            let subtype = subtype.strip_prefix("vnd.").unwrap_or(subtype);
            subtype.strip_prefix("x-").unwrap_or(subtype).to_owned()
        }
    }
}

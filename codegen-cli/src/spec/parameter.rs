//! Parameters and headers as authors write them who come from Swagger 2, or who are in a hurry: what is meant is clear.

use super::{
    grammar::Kind,
    node::{Member, Node, Value},
    object::Object,
};
use crate::diagnostic::Span;

/// What was read otherwise than it is written, and what to write.
pub(super) struct Note {
    pub(super) span: Span,
    pub(super) message: String,
    pub(super) help: &'static str,
}

/// A parameter or a header with the schema and the style that it must have.
pub(super) fn complete(node: &Node, kind: Kind) -> (Node, Vec<Note>) {
    let mut whole = node.clone();
    let mut notes = Vec::new();
    schema(&mut whole, kind, &mut notes);
    style(&mut whole, kind, &mut notes);
    (whole, notes)
}

fn schema(parameter: &mut Node, kind: Kind, notes: &mut Vec<Note>) {
    let is_there = |name: &str| {
        parameter
            .member(name)
            .is_some_and(|it| it.value != Value::Null)
    };
    let holds = |node: &Node| node.as_object().is_none_or(|object| !object.is_empty());
    if is_there("schema") || is_there("content") && parameter.member("content").is_some_and(holds) {
        return;
    }
    parameter.take("content");
    let span = parameter.span;
    let mut schema = Object::new();
    let Some(object) = parameter.as_object() else {
        return;
    };
    for (name, member) in object {
        let of_schema = Kind::Schema.shape(name).is_some() && kind.shape(name).is_none();
        if of_schema && !name.starts_with('$') {
            let (name_at, node) = (member.name, member.node.clone());
            schema.insert(
                name.clone(),
                Member {
                    name: name_at,
                    node,
                },
            );
        }
    }
    let moved: Vec<String> = schema.keys().map(ToString::to_string).collect();
    for name in &moved {
        parameter.take(name);
    }
    let help = "write `schema: {type: …}`";
    let node = match moved.first() {
        Some(first) => {
            let message = format!(
                "a {} has no `{first}` of its own; it is read as that of its schema",
                kind.noun()
            );
            notes.push(Note {
                span,
                message,
                help,
            });
            Node::new(Value::Object(schema), span)
        }
        None => {
            let message = format!(
                "this {} has neither `schema` nor `content`; it is taken as a text",
                kind.noun()
            );
            notes.push(Note {
                span,
                message,
                help,
            });
            let mut text = Node::new(Value::Object(schema), span);
            text.set("type", Node::text("string", span));
            text
        }
    };
    parameter.set("schema", node);
}

fn style(parameter: &mut Node, kind: Kind, notes: &mut Vec<Note>) {
    let place = match kind {
        Kind::Header => "header",
        _ => parameter
            .member("in")
            .and_then(Node::as_str)
            .unwrap_or_default(),
    };
    let styles: &[&str] = match place {
        "path" => &["simple", "label", "matrix"],
        "query" => &["form", "spaceDelimited", "pipeDelimited", "deepObject"],
        "header" => &["simple"],
        "cookie" => &["form"],
        _ => return,
    };
    let Some(style) = parameter.member("style") else {
        return;
    };
    if style.as_str().is_some_and(|style| styles.contains(&style)) {
        return;
    }
    let message = format!(
        "what is in the {place} is written in the style {}; the one that is given here is left out",
        styles.join(", ")
    );
    let help = "leave `style` out, unless it is one of these";
    notes.push(Note {
        span: style.span,
        message,
        help,
    });
    parameter.take("style");
}

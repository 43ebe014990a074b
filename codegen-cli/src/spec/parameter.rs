//! Parameters and headers as authors write them who come from Swagger 2, or who are in a hurry: what is meant is clear.

use super::{
    grammar::Kind,
    node::{Node, Value},
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
    let holds = |name| match parameter.member(name).map(|it| &it.value) {
        None | Some(Value::Null) => false,
        Some(Value::Object(object)) => name == "schema" || !object.is_empty(),
        Some(_) => true,
    };
    if holds("schema") || holds("content") {
        return;
    }
    parameter.take("content");
    let span = parameter.span;
    let mut schema = Object::new();
    for (name, member) in parameter.as_object().into_iter().flatten() {
        let of_schema = Kind::Schema.shape(name).is_some() && kind.shape(name).is_none();
        if of_schema && !name.starts_with('$') {
            schema.insert(name.clone(), member.clone());
        }
    }
    for name in schema.keys() {
        parameter.take(name);
    }
    let noun = kind.noun();
    let message = match schema.keys().next() {
        Some(first) => {
            format!("a {noun} has no `{first}` of its own; it is read as that of its schema")
        }
        None => format!("this {noun} has neither `schema` nor `content`; it is taken as a text"),
    };
    notes.push(Note {
        span,
        message,
        help: "write `schema: {type: …}`",
    });
    let is_text = schema.is_empty();
    let mut schema = Node::new(Value::Object(schema), span);
    if is_text {
        schema.set("type", Node::text("string", span));
    }
    parameter.set("schema", schema);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{diagnostic::Diagnostics, spec};

    #[test]
    fn what_is_meant_is_clear() {
        // What is written; what it becomes; what is said.
        let rows = [
            (
                "{in: query, name: a, schema: {type: string}}",
                r#"{"in":"query","name":"a","schema":{"type":"string"}}"#,
                "",
            ),
            (
                "{in: query, name: a, content: {a/b: {}}}",
                r#"{"content":{"a/b":{}},"in":"query","name":"a"}"#,
                "",
            ),
            (
                "{in: query, name: a, type: array, items: {type: string}, example: [b]}",
                r#"{"example":["b"],"in":"query","name":"a","schema":{"items":{"type":"string"},"type":"array"}}"#,
                "a parameter has no `type` of its own; it is read as that of its schema",
            ),
            (
                "{in: query, name: a, $id: b}",
                r#"{"$id":"b","in":"query","name":"a","schema":{"type":"string"}}"#,
                "this parameter has neither `schema` nor `content`; it is taken as a text",
            ),
            (
                "{in: query, name: a, schema: null, content: {}}",
                r#"{"in":"query","name":"a","schema":{"type":"string"}}"#,
                "this parameter has neither `schema` nor `content`; it is taken as a text",
            ),
            // Beside a schema it is what any other unknown name is.
            (
                "{in: query, name: a, type: array, schema: {type: string}}",
                r#"{"in":"query","name":"a","schema":{"type":"string"},"type":"array"}"#,
                "",
            ),
            (
                "{in: path, name: a, style: form, schema: {}}",
                r#"{"in":"path","name":"a","schema":{}}"#,
                "what is in the path is written in the style simple, label, matrix; the one that is given here is left out",
            ),
            (
                "{in: query, name: a, style: deepObject, schema: {}}",
                r#"{"in":"query","name":"a","schema":{},"style":"deepObject"}"#,
                "",
            ),
            (
                "{in: cookie, name: a, style: [], schema: {}}",
                r#"{"in":"cookie","name":"a","schema":{}}"#,
                "what is in the cookie is written in the style form; the one that is given here is left out",
            ),
        ];
        for (text, expected, message) in rows {
            check(text, Kind::Parameter, expected, message);
        }
        let rows = [
            (
                "{type: integer, description: a}",
                r#"{"description":"a","schema":{"type":"integer"}}"#,
                "a header has no `type` of its own; it is read as that of its schema",
            ),
            (
                "{style: form, schema: {}}",
                r#"{"schema":{}}"#,
                "what is in the header is written in the style simple; the one that is given here is left out",
            ),
        ];
        for (text, expected, message) in rows {
            check(text, Kind::Header, expected, message);
        }
    }

    fn check(text: &str, kind: Kind, expected: &str, message: &str) {
        let mut diagnostics = Diagnostics::default();
        let mut budget = spec::limits::Budget::default();
        let node = spec::yaml::parse(text, 0, &mut budget, &mut diagnostics).unwrap();
        let (whole, notes) = complete(&node, kind);
        assert_eq!(whole.to_json().to_string(), expected, "{text}");
        let said: Vec<&str> = notes.iter().map(|note| note.message.as_str()).collect();
        let due: Vec<&str> = Some(message)
            .into_iter()
            .filter(|it| !it.is_empty())
            .collect();
        assert_eq!(said, due, "{text}");
    }
}

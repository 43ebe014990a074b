//! YAML -> nodes.
//!
//! Events of the parser, put together without recursion. Plain scalars are resolved by the core schema of YAML 1.2: `no` is a text.
//! Aliases repeat what their anchor holds, as far as the budget goes.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, StrInput};

use super::{
    json::{duplicate, number},
    limits::{Budget, DEPTH_MAX},
    mend::Mended,
    node::{Member, Node, Object, Value},
};
use crate::diagnostic::{Diagnostics, Span};

/// Reads the first document of a YAML text. `None`: what is wrong is in `diagnostics`.
pub(super) fn parse(text: &str, file: u32, diagnostics: &mut Diagnostics) -> Option<Node> {
    let mut mended = Mended::new(text);
    loop {
        let mut found = Diagnostics::default();
        let builder = Builder {
            file,
            open: Vec::new(),
            anchors: HashMap::new(),
            budget: Budget::default(),
            diagnostics: &mut found,
            mended: &mended,
            done: None,
        };
        let read = builder.run(Parser::new_from_str(&mended.text));
        match read {
            Err(Wrong {
                syntax: Some((why, line, column)),
                ..
            }) if mended.mend(&why, line, column) => {}
            read => {
                for one in &found {
                    diagnostics.push(one.clone());
                }
                return read
                    .map_err(|wrong| diagnostics.error(wrong.span, "#", wrong.message))
                    .ok();
            }
        }
    }
}

/// Why it can't be read.
struct Wrong {
    span: Span,
    message: String,
    /// What the parser said, at which line and column of the mended text.
    syntax: Option<(String, usize, usize)>,
}

impl Wrong {
    const fn new(span: Span, message: String) -> Self {
        Self {
            span,
            message,
            syntax: None,
        }
    }
}

/// A list or an object whose end was not seen yet.
struct Open {
    span: Span,
    anchor: usize,
    kind: OpenKind,
}

enum OpenKind {
    List(Vec<Node>),
    /// The members, the name whose value comes next, and the objects to be merged in at the end (`<<`).
    Object(Object, Option<(String, Span)>, Vec<Node>),
    /// A name that is no scalar, with what it holds: it is left out with its value.
    Skipped,
}

struct Builder<'d> {
    file: u32,
    open: Vec<Open>,
    anchors: HashMap<usize, (Node, usize)>,
    budget: Budget,
    diagnostics: &'d mut Diagnostics,
    mended: &'d Mended<'d>,
    done: Option<Node>,
}

impl Builder<'_> {
    fn run(mut self, parser: Parser<'_, StrInput<'_>>) -> Result<Node, Wrong> {
        for event in parser {
            let (event, place) = event.map_err(|error| self.syntax(&error))?;
            let span = self.span(place.start.line(), place.start.col());
            match event {
                Event::Scalar(text, style, anchor, tag) => {
                    let tag = tag.as_ref().map(|tag| tag.suffix.as_str());
                    let node = Node::new(scalar(&text, style, tag), span);
                    self.complete(node, anchor)?;
                }
                Event::SequenceStart(anchor, _) => {
                    self.begin(span, anchor, OpenKind::List(Vec::new()))?;
                }
                Event::MappingStart(anchor, _) => {
                    self.begin(
                        span,
                        anchor,
                        OpenKind::Object(Object::new(), None, Vec::new()),
                    )?;
                }
                Event::SequenceEnd | Event::MappingEnd => {
                    if let Some(open) = self.open.pop() {
                        let value = match open.kind {
                            OpenKind::List(items) => Value::List(items),
                            OpenKind::Object(mut object, _, merges) => {
                                for node in merges {
                                    merge(&mut object, node);
                                }
                                Value::Object(object)
                            }
                            OpenKind::Skipped => Value::Null,
                        };
                        self.complete(Node::new(value, open.span), open.anchor)?;
                    }
                }
                Event::Alias(anchor) => {
                    let Some((node, size)) = self.anchors.get(&anchor) else {
                        let why = "this alias has no anchor before it, or stands inside of it";
                        return Err(Wrong::new(span, why.to_owned()));
                    };
                    let message = |message| Wrong::new(span, message);
                    self.budget.take(*size).map_err(message)?;
                    let node = node.clone();
                    if self.open.len() + depth(&node) > DEPTH_MAX {
                        return Err(message(too_deep()));
                    }
                    self.complete(node, 0)?;
                }
                Event::DocumentEnd => {
                    // What follows the first document is none of ours.
                    break;
                }
                Event::Nothing
                | Event::StreamStart
                | Event::StreamEnd
                | Event::DocumentStart(_) => {}
            }
        }
        let start = self.span(1, 0);
        self.done
            .ok_or_else(|| Wrong::new(start, "the file is empty".to_owned()))
    }

    fn span(&self, line: usize, column: usize) -> Span {
        let number = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        Span {
            file: self.file,
            line: number(line),
            column: number(self.mended.column(line, column)).saturating_add(1),
        }
    }

    fn syntax(&self, error: &ScanError) -> Wrong {
        let (line, column) = (error.marker().line(), error.marker().col());
        Wrong {
            span: self.span(line, column),
            message: format!("this is no YAML: {}", error.info()),
            syntax: Some((error.info().to_owned(), line, column)),
        }
    }

    fn begin(&mut self, span: Span, anchor: usize, kind: OpenKind) -> Result<(), Wrong> {
        let wrong = |message| Wrong::new(span, message);
        self.budget.take(1).map_err(wrong)?;
        if self.open.len() > DEPTH_MAX {
            return Err(wrong(too_deep()));
        }
        // A list or an object as a name: YAML has that, OpenAPI has not.
        let as_name = matches!(
            self.open.last(),
            Some(Open {
                kind: OpenKind::Object(_, None, _),
                ..
            })
        );
        let kind = if as_name { OpenKind::Skipped } else { kind };
        self.open.push(Open { span, anchor, kind });
        Ok(())
    }

    /// Puts a value where it belongs.
    fn complete(&mut self, node: Node, anchor: usize) -> Result<(), Wrong> {
        let span = node.span;
        self.budget
            .take(1)
            .map_err(|message| Wrong::new(span, message))?;
        if anchor > 0 {
            let size = size(&node);
            self.anchors.insert(anchor, (node.clone(), size));
        }
        match self.open.last_mut().map(|open| &mut open.kind) {
            None => self.done = Some(node),
            Some(OpenKind::Skipped) => {}
            Some(OpenKind::List(items)) => items.push(node),
            Some(OpenKind::Object(_, name @ None, _)) => {
                let Some(text) = name_of(&node) else {
                    let why = "a name is a text or a number, not a list or an object";
                    return Err(Wrong::new(span, why.to_owned()));
                };
                *name = Some((text, span));
            }
            Some(OpenKind::Object(object, name, merges)) => {
                let Some((name, at)) = name.take() else {
                    return Ok(());
                };
                if name == "<<" {
                    merges.push(node);
                } else if object.contains_key(&name) {
                    duplicate(self.diagnostics, at, &name);
                } else {
                    object.insert(name, Member { name: at, node });
                }
            }
        }
        Ok(())
    }
}

fn too_deep() -> String {
    format!("values are nested deeper than {DEPTH_MAX} levels")
}

/// A merge key: members of another object, or of several, that are not there already.
fn merge(object: &mut Object, node: Node) {
    match node.value {
        Value::Object(others) => {
            for (name, member) in others {
                object.entry(name).or_insert(member);
            }
        }
        Value::List(items) => items.into_iter().for_each(|item| merge(object, item)),
        _ => {}
    }
}

/// A scalar as a name: `200` is the text "200".
fn name_of(node: &Node) -> Option<String> {
    Some(match &node.value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Bool(value) => value.to_string(),
        Value::Null => "null".to_owned(),
        Value::List(_) | Value::Object(_) => return None,
    })
}

/// How many values it is.
fn size(node: &Node) -> usize {
    1 + match &node.value {
        Value::List(items) => items.iter().map(size).sum(),
        Value::Object(object) => object.values().map(|member| size(&member.node)).sum(),
        _ => 0,
    }
}

/// How many levels it has.
fn depth(node: &Node) -> usize {
    1 + match &node.value {
        Value::List(items) => items.iter().map(depth).max().unwrap_or(0),
        Value::Object(object) => {
            let members = object.values().map(|member| depth(&member.node));
            members.max().unwrap_or(0)
        }
        _ => 0,
    }
}

/// A scalar by the core schema.
fn scalar(text: &str, style: ScalarStyle, tag: Option<&str>) -> Value {
    let string = || Value::String(text.to_owned());
    if style != ScalarStyle::Plain || tag == Some("str") || tag == Some("!") {
        return string();
    }
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        _ => {}
    }
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if !digits.starts_with(|first: char| first.is_ascii_digit() || first == '.') {
        return string();
    }
    let radix = |prefix: &str, radix| {
        let digits = text.strip_prefix(prefix)?;
        i64::from_str_radix(digits, radix).ok()
    };
    if let Some(value) = radix("0x", 16).or_else(|| radix("0o", 8)) {
        return Value::Number(value.into());
    }
    let numeric = digits
        .chars()
        .all(|one| matches!(one, '0'..='9' | '.' | 'e' | 'E' | '+' | '-'));
    let number = numeric
        .then(|| number(text.strip_prefix('+').unwrap_or(text)))
        .flatten();
    number.map_or_else(string, Value::Number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> Result<String, Vec<String>> {
        let mut diagnostics = Diagnostics::default();
        let node = parse(text, 0, &mut diagnostics);
        node.map(|node| node.to_json().to_string())
            .ok_or_else(|| diagnostics.iter().map(|one| one.message.clone()).collect())
    }

    #[test]
    fn scalars_follow_the_core_schema() {
        let rows = [
            ("no", r#""no""#),
            ("on", r#""on""#),
            ("yes", r#""yes""#),
            ("true", "true"),
            ("~", "null"),
            ("''", r#""""#),
            ("\"true\"", r#""true""#),
            ("!!str 200", r#""200""#),
            ("200", "200"),
            ("-1", "-1"),
            ("3.0", "3.0"),
            ("1e3", "1000.0"),
            ("0x1F", "31"),
            ("1.2.3", r#""1.2.3""#),
            ("2024-01-02", r#""2024-01-02""#),
            ("1_000", r#""1_000""#),
            (".", r#"".""#),
            ("-", "[null]"),
            ("12345678901234567890", "12345678901234567890"),
        ];
        for (text, expected) in rows {
            assert_eq!(json(text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn structure() {
        let rows = [
            ("a: 1\nb: [x, {y: z}]", r#"{"a":1,"b":["x",{"y":"z"}]}"#),
            ("200: ok\n404: no", r#"{"200":"ok","404":"no"}"#),
            ("a: &x {p: 1}\nb: *x", r#"{"a":{"p":1},"b":{"p":1}}"#),
            (
                "a: &x {p: 1, q: 2}\nb: {<<: *x, p: 3}",
                r#"{"a":{"p":1,"q":2},"b":{"p":3,"q":2}}"#,
            ),
            ("a: |\n  x\n  y\n", "{\"a\":\"x\\ny\\n\"}"),
            ("a: 1\r\nb: 2\r\n", r#"{"a":1,"b":2}"#),
            ("a: 1\n---\nb: 2\n", r#"{"a":1}"#),
        ];
        for (text, expected) in rows {
            assert_eq!(json(text).unwrap(), expected, "{text}");
        }
    }
}

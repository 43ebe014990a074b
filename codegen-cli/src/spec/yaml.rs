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
    node::{Member, Names, Node, Text, Value},
    object::Object,
};
use crate::diagnostic::{Diagnostics, Span};

/// Reads the first document of a YAML text. `None`: what is wrong is in `diagnostics`.
pub(super) fn parse(
    text: &str,
    file: u32,
    budget: &mut Budget,
    diagnostics: &mut Diagnostics,
) -> Option<Node> {
    let mut mended = Mended::new(text);
    loop {
        let mut found = Diagnostics::default();
        let mut left = *budget;
        let builder = Builder {
            file,
            open: Vec::new(),
            anchors: HashMap::new(),
            names: Names::default(),
            budget: &mut left,
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
                *budget = left;
                found.iter().for_each(|one| diagnostics.push(one.clone()));
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
    /// How many values are in it.
    size: usize,
    /// The levels of the deepest value in it.
    depth: usize,
}

/// What an anchor holds, how many values that is, and how many levels they have.
struct Anchor {
    node: Node,
    size: usize,
    depth: usize,
}

enum OpenKind {
    List(Vec<Node>),
    /// The members, the name whose value comes next, and the objects to be merged in at the end (`<<`).
    Object(Object, Option<(Text, Span)>, Vec<Node>),
}

struct Builder<'d> {
    file: u32,
    open: Vec<Open>,
    anchors: HashMap<usize, Anchor>,
    names: Names,
    budget: &'d mut Budget,
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
                    self.take(span, 1)?;
                    self.complete(node, anchor, (1, 1))?;
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
                            OpenKind::List(mut items) => {
                                items.shrink_to_fit();
                                Value::List(items)
                            }
                            OpenKind::Object(mut object, _, merges) => {
                                for node in merges {
                                    merge(&mut object, node);
                                }
                                object.shrink_to_fit();
                                Value::Object(object)
                            }
                        };
                        let node = Node::new(value, open.span);
                        self.complete(node, open.anchor, (open.size + 1, open.depth + 1))?;
                    }
                }
                Event::Alias(anchor) => {
                    let Some(found) = self.anchors.get(&anchor) else {
                        let why = "this alias has no anchor before it, or stands inside of it";
                        return Err(Wrong::new(span, why.to_owned()));
                    };
                    let (size, depth) = (found.size, found.depth);
                    // Before it is copied: a copy may be what there is no room for.
                    self.take(span, size)?;
                    if self.open.len() + depth > DEPTH_MAX {
                        return Err(Wrong::new(span, too_deep()));
                    }
                    let node = self.anchors[&anchor].node.clone();
                    self.complete(node, 0, (size, depth))?;
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
            syntax: Some((error.info().to_owned(), line, column)),
            message: if error.info().contains("recursion limit") {
                too_deep()
            } else {
                format!("this is no YAML: {}", error.info())
            },
        }
    }

    fn take(&mut self, span: Span, values: usize) -> Result<(), Wrong> {
        self.budget
            .take(values)
            .map_err(|message| Wrong::new(span, message))
    }

    fn begin(&mut self, span: Span, anchor: usize, kind: OpenKind) -> Result<(), Wrong> {
        self.take(span, 1)?;
        if self.open.len() > DEPTH_MAX {
            return Err(Wrong::new(span, too_deep()));
        }
        if let Some(Open {
            kind: OpenKind::Object(_, None, _),
            ..
        }) = self.open.last()
        {
            let why = "a name is a text or a number, not a list or an object: quote it if it begins with `{` or `[`";
            return Err(Wrong::new(span, why.to_owned()));
        }
        self.open.push(Open {
            span,
            anchor,
            kind,
            size: 0,
            depth: 0,
        });
        Ok(())
    }

    /// Puts a value where it belongs: so many values, on so many levels.
    fn complete(
        &mut self,
        node: Node,
        anchor: usize,
        (size, depth): (usize, usize),
    ) -> Result<(), Wrong> {
        let span = node.span;
        if anchor > 0 {
            // The anchor's copy costs as much as one that is used.
            self.take(span, size)?;
            let node = node.clone();
            self.anchors.insert(anchor, Anchor { node, size, depth });
        }
        if let Some(open) = self.open.last_mut() {
            open.depth = open.depth.max(depth);
            open.size += size;
        }
        match self.open.last_mut().map(|open| &mut open.kind) {
            None => self.done = Some(node),
            Some(OpenKind::List(items)) => items.push(node),
            Some(OpenKind::Object(_, name @ None, _)) => {
                let Some(text) = name_of(&node) else {
                    let why = "a name is a text or a number, not a list or an object";
                    return Err(Wrong::new(span, why.to_owned()));
                };
                *name = Some((self.names.share(&text), span));
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
                object.get_or_insert_with(&name, || member);
            }
        }
        Value::List(items) => items.into_iter().for_each(|item| merge(object, item)),
        _ => {}
    }
}

/// A scalar as a name: `200` is the text "200".
fn name_of(node: &Node) -> Option<String> {
    Some(match &node.value {
        Value::String(text) => text.to_string(),
        Value::Number(number) => number.to_string(),
        Value::Bool(value) => value.to_string(),
        Value::Null => "null".to_owned(),
        Value::List(_) | Value::Object(_) => return None,
    })
}

/// A scalar by the core schema.
fn scalar(text: &str, style: ScalarStyle, tag: Option<&str>) -> Value {
    let string = || Value::String(text.into());
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
    let number = numeric.then(|| number(text)).flatten();
    number.map_or_else(string, Value::Number)
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    fn json(text: &str) -> Result<String, Vec<String>> {
        let mut diagnostics = Diagnostics::default();
        let node = parse(text, 0, &mut Budget::default(), &mut diagnostics);
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
            ("! 200", r#""200""#),
            ("200", "200"),
            ("-1", "-1"),
            ("+12", "12"),
            ("+1.5", "1.5"),
            ("3.0", "3.0"),
            ("1e3", "1000.0"),
            ("0x1F", "31"),
            ("0o17", "15"),
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
            (
                "a: [&x {p: 1}, &y {p: 2, q: 3}]\nb: {<<: [*x, *y]}",
                r#"{"a":[{"p":1},{"p":2,"q":3}],"b":{"p":1,"q":3}}"#,
            ),
            ("1.5: 1\n~: 2\ntrue: 3", r#"{"1.5":1,"null":2,"true":3}"#),
            ("a: 1\na: 2", r#"{"a":1}"#),
            ("a: |\n  x\n  y\n", "{\"a\":\"x\\ny\\n\"}"),
            ("a: 1\r\nb: 2\r\n", r#"{"a":1,"b":2}"#),
            ("a: 1\n---\nb: 2\n", r#"{"a":1}"#),
        ];
        for (text, expected) in rows {
            assert_eq!(json(text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_document_is_refused_in_words() {
        // Each level is the one before in a list: no line is deep, and what they make is.
        let mut levels = "- &a0 []\n".to_owned();
        for level in 1..=DEPTH_MAX {
            let _ = writeln!(levels, "- &a{level} [*a{}]", level - 1);
        }
        // What aliases repeat counts, also where nothing is kept by another anchor.
        let repeated = format!("- &a [{}]\n- [{}]\n", "1,".repeat(2000), "*a,".repeat(2000));
        let rows = [
            (repeated.as_str(), "more than 4000000 values"),
            ("{id}: 1", "quote it"),
            ("? [a, b]\n: 1\nc: 2", "quote it"),
            ("a: *x", "unknown anchor"),
            ("a: &x [*x]", "no anchor before it"),
            (levels.as_str(), "nested deeper than"),
        ];
        for (text, part) in rows {
            let errors = json(text).expect_err(part);
            assert!(errors.concat().contains(part), "{part}: {errors:?}");
        }
    }
}

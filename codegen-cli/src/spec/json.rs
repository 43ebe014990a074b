//! JSON -> nodes.

use serde_json::Number;
use struson::reader::{
    JsonReader, JsonStreamReader, JsonSyntaxError, ReaderError, ReaderSettings, ValueType,
};

use super::{
    limits::{Budget, DEPTH_MAX},
    node::{Member, Names, Node, Value},
    object::Object,
};
use crate::diagnostic::{Diagnostics, Span};

/// How messages begin about what is no JSON at all, and might be YAML.
pub(super) const NO_JSON: &str = "this is no JSON";

/// Reads a JSON text. `None`: what is wrong is in `diagnostics`.
pub(super) fn parse(
    text: &str,
    file: u32,
    budget: &mut Budget,
    diagnostics: &mut Diagnostics,
) -> Option<Node> {
    let settings = ReaderSettings {
        track_path: false,
        // The depth is watched below, where it can be said in our words.
        max_nesting_depth: None,
        restrict_number_values: false,
        ..ReaderSettings::default()
    };
    let mut parser = Parser {
        json: JsonStreamReader::new_custom(text.as_bytes(), settings),
        file,
        depth: 0,
        names: Names::default(),
        budget,
        diagnostics,
    };
    let read = parser.value();
    let read = match read {
        Ok(node) => match parser.json.consume_trailing_whitespace() {
            Ok(()) => Ok(node),
            Err(error) => Err(wrong(file, &error, Span::default())),
        },
        Err(wrong) => Err(wrong),
    };
    match read {
        Ok(node) => Some(node),
        Err(Wrong { span, message }) => {
            diagnostics.error(span, "#", message);
            None
        }
    }
}

/// Why it is no JSON.
struct Wrong {
    span: Span,
    message: String,
}

fn wrong(file: u32, error: &ReaderError, here: Span) -> Wrong {
    match error {
        ReaderError::SyntaxError(JsonSyntaxError { kind, location }) => Wrong {
            span: location
                .line_pos
                .map_or(here, |at| place(file, at.line, at.column)),
            message: format!("{NO_JSON}: {}", words(&kind.to_string())),
        },
        other => Wrong {
            span: here,
            message: format!("{NO_JSON}: {other}"),
        },
    }
}

/// `IncompleteDocument` in words.
fn words(name: &str) -> String {
    let mut words = String::new();
    for one in name.chars() {
        if one.is_ascii_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.push(one.to_ascii_lowercase());
    }
    words
}

fn place(file: u32, line: u64, column: u64) -> Span {
    let from_one = |number: u64| u32::try_from(number + 1).unwrap_or(u32::MAX);
    Span {
        file,
        line: from_one(line),
        column: from_one(column),
    }
}

struct Parser<'a, 'd> {
    json: JsonStreamReader<&'a [u8]>,
    file: u32,
    depth: usize,
    names: Names,
    budget: &'d mut Budget,
    diagnostics: &'d mut Diagnostics,
}

impl Parser<'_, '_> {
    fn here(&self) -> Span {
        let at = self.json.current_position(false).line_pos;
        at.map_or(Span::default(), |at| place(self.file, at.line, at.column))
    }

    fn ok<T>(&self, read: Result<T, ReaderError>) -> Result<T, Wrong> {
        read.map_err(|error| wrong(self.file, &error, self.here()))
    }

    fn value(&mut self) -> Result<Node, Wrong> {
        let kind = self.json.peek();
        let kind = self.ok(kind)?;
        let span = self.here();
        let too_much = |message| Wrong { span, message };
        self.budget.take(1).map_err(too_much)?;
        if self.depth > DEPTH_MAX {
            return Err(too_much(format!(
                "values are nested deeper than {DEPTH_MAX} levels"
            )));
        }
        self.depth += 1;
        let value = match kind {
            ValueType::Null => {
                let read = self.json.next_null();
                self.ok(read)?;
                Value::Null
            }
            ValueType::Boolean => {
                let read = self.json.next_bool();
                Value::Bool(self.ok(read)?)
            }
            ValueType::String => {
                let read = self.json.next_string();
                Value::String(self.ok(read)?.into())
            }
            ValueType::Number => {
                let read = self.json.next_number_as_string();
                let text = self.ok(read)?;
                number(&text).map(Value::Number).ok_or_else(|| {
                    too_much(format!("the number {text} is too large to be understood"))
                })?
            }
            ValueType::Array => Value::List(self.list()?),
            ValueType::Object => Value::Object(self.object()?),
        };
        self.depth -= 1;
        Ok(Node::new(value, span))
    }

    fn list(&mut self) -> Result<Vec<Node>, Wrong> {
        let begun = self.json.begin_array();
        self.ok(begun)?;
        let mut items = Vec::new();
        loop {
            let more = self.json.has_next();
            if !self.ok(more)? {
                break;
            }
            items.push(self.value()?);
        }
        let ended = self.json.end_array();
        self.ok(ended)?;
        items.shrink_to_fit();
        Ok(items)
    }

    fn object(&mut self) -> Result<Object, Wrong> {
        let begun = self.json.begin_object();
        self.ok(begun)?;
        let mut object = Object::new();
        loop {
            let more = self.json.has_next();
            if !self.ok(more)? {
                break;
            }
            let name_span = self.here();
            let name = self.json.next_name_owned();
            let name = self.ok(name)?;
            let name = self.names.share(&name);
            let node = self.value()?;
            if object.contains_key(&name) {
                duplicate(self.diagnostics, name_span, &name);
                continue;
            }
            let member = Member {
                name: name_span,
                node,
            };
            object.insert(name, member);
        }
        let ended = self.json.end_object();
        self.ok(ended)?;
        object.shrink_to_fit();
        Ok(object)
    }
}

/// A name that an object has already: the first one counts.
pub(super) fn duplicate(diagnostics: &mut Diagnostics, span: Span, name: &str) {
    diagnostics.warning(
        span,
        "",
        format!("`{name}` is there a second time, and left out"),
    );
    diagnostics.help("keep one of the two");
}

/// A number as `serde_json` has it.
pub(super) fn number(text: &str) -> Option<Number> {
    if let Ok(number) = text.parse::<i64>() {
        return Some(number.into());
    }
    if let Ok(number) = text.parse::<u64>() {
        return Some(number.into());
    }
    Number::from_f64(text.parse().ok()?)
}

//! The type itself, asked whether it reads a value.

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

/// Reads a value and writes it again.
pub(crate) type Reads<'a> = dyn Fn(&Value) -> Result<Value, Unread> + 'a;

/// A value that can't be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Unread {
    /// What the type says.
    pub(crate) what: String,
    /// The line at which it stopped, from 1, if the value is written with a line for each of its parts.
    line: usize,
}

/// Asks a type.
///
/// # Errors
/// [`Unread`] if it does not read the value, or does not write what it read.
pub(crate) fn ask<T: Serialize + DeserializeOwned>(value: &Value) -> Result<Value, Unread> {
    let failed = |error: &serde_json::Error| {
        let what = error.to_string();
        let place = format!(" at line {} column {}", error.line(), error.column());
        Unread {
            what: what.strip_suffix(&place).unwrap_or(&what).to_owned(),
            line: error.line(),
        }
    };
    let text = serde_json::to_string_pretty(value).map_err(|error| failed(&error))?;
    let read: T = serde_json::from_str(&text).map_err(|error| failed(&error))?;
    // By way of text, since that is how it gets into the log: a float of 32 bits is shorter there.
    let written = serde_json::to_string(&read).map_err(|error| failed(&error))?;
    serde_json::from_str(&written).map_err(|error| failed(&error))
}

/// A place in a value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    Field(String),
    Item(usize),
}

/// A place, and a value that can be read as a whole, to put other values into.
#[derive(Clone, Debug)]
pub(crate) struct Point {
    base: Value,
    path: Vec<Step>,
}

impl Point {
    /// The whole value.
    pub(crate) fn root() -> Self {
        Self {
            base: Value::Null,
            path: Vec::new(),
        }
    }

    /// The whole, with this value here.
    pub(crate) fn with(&self, value: Value) -> Value {
        let mut whole = self.base.clone();
        put(&mut whole, &self.path, value);
        whole
    }

    /// The whole, as it is.
    pub(crate) fn whole(&self) -> &Value {
        &self.base
    }

    /// The same place in a whole that has this value here.
    pub(crate) fn based(&self, value: Value) -> Self {
        Self {
            base: self.with(value),
            path: self.path.clone(),
        }
    }

    /// A place within.
    pub(crate) fn step(&self, step: Step) -> Self {
        let mut path = self.path.clone();
        path.push(step);
        Self {
            base: self.base.clone(),
            path,
        }
    }

    /// The field of this name.
    pub(crate) fn field(&self, name: &str) -> Self {
        self.step(Step::Field(name.to_owned()))
    }

    /// What is here in another whole.
    pub(crate) fn in_whole<'v>(&self, whole: &'v Value) -> Option<&'v Value> {
        get(whole, &self.path)
    }

    /// What is here.
    pub(crate) fn here(&self) -> Option<&Value> {
        self.in_whole(&self.base)
    }

    /// The whole, without what is here: a field is left out.
    pub(crate) fn without(&self) -> Value {
        let mut whole = self.base.clone();
        if let Some((Step::Field(name), parent)) = self.path.split_last()
            && let Some(Value::Object(object)) = get_mut(&mut whole, parent)
        {
            object.remove(name);
        }
        whole
    }

    /// The place within this one at which a value of this place could not be read; none if it was elsewhere.
    pub(crate) fn blame(&self, value: &Value, unread: &Unread) -> Option<Vec<Step>> {
        let whole = self.with(value.clone());
        let (mut place, closes) = place_of_line(&whole, unread.line)?;
        // What is found wrong with the last part only after it was read is reported where the whole closes.
        if closes && !unread.what.starts_with("missing field") {
            place.extend(match get(&whole, &place)? {
                Value::Object(object) => object.keys().next_back().cloned().map(Step::Field),
                Value::Array(items) => items.len().checked_sub(1).map(Step::Item),
                _ => None,
            });
        }
        place
            .strip_prefix(self.path.as_slice())
            .map(<[Step]>::to_vec)
    }
}

fn get<'v>(mut value: &'v Value, path: &[Step]) -> Option<&'v Value> {
    for step in path {
        value = match step {
            Step::Field(name) => value.get(name)?,
            Step::Item(index) => value.get(index)?,
        };
    }
    Some(value)
}

fn get_mut<'v>(mut value: &'v mut Value, path: &[Step]) -> Option<&'v mut Value> {
    for step in path {
        value = match step {
            Step::Field(name) => value.get_mut(name)?,
            Step::Item(index) => value.get_mut(index)?,
        };
    }
    Some(value)
}

fn put(whole: &mut Value, path: &[Step], value: Value) {
    let Some((last, parent)) = path.split_last() else {
        *whole = value;
        return;
    };
    match (get_mut(whole, parent), last) {
        (Some(Value::Object(object)), Step::Field(name)) => {
            object.insert(name.clone(), value);
        }
        (Some(Value::Array(items)), Step::Item(index)) => match items.get_mut(*index) {
            Some(item) => *item = value,
            None => items.push(value),
        },
        _ => {}
    }
}

/// Which part of a value stands in a line, if it is written with a line for each; and whether it is what closes it.
fn place_of_line(whole: &Value, line: usize) -> Option<(Vec<Step>, bool)> {
    fn walk(value: &Value, at: &mut usize, line: usize, path: &mut Vec<Step>) -> Option<bool> {
        if *at == line {
            return Some(false);
        }
        let parts: Vec<(Step, &Value)> = match value {
            Value::Object(object) => object
                .iter()
                .map(|(name, value)| (Step::Field(name.clone()), value))
                .collect(),
            Value::Array(items) => items
                .iter()
                .enumerate()
                .map(|(index, value)| (Step::Item(index), value))
                .collect(),
            _ => Vec::new(),
        };
        // Where there is nothing inside, it closes in the line in which it opens.
        let closing = usize::from(!parts.is_empty());
        for (step, value) in parts {
            *at += 1;
            path.push(step);
            if let Some(closes) = walk(value, at, line, path) {
                return Some(closes);
            }
            path.pop();
        }
        *at += closing;
        (*at == line).then_some(true)
    }
    let (mut at, mut path) = (1, Vec::new());
    let closes = walk(whole, &mut at, line, &mut path)?;
    Some((path, closes))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_line_has_its_place() {
        let whole = json!({"a": [1, {"b": [], "c": "x"}], "d": {}, "e": {"f": null}});
        let text = serde_json::to_string_pretty(&whole).unwrap();
        for (index, line) in text.lines().enumerate() {
            let (path, closes) = place_of_line(&whole, index + 1).unwrap();
            let line = line.trim_start();
            assert_eq!(closes, line.starts_with(['}', ']']), "{line}: {path:?}");
            if let (false, Some(Step::Field(name))) = (closes, path.last()) {
                assert!(
                    line.starts_with(&format!("\"{name}\": ")),
                    "{line}: {path:?}"
                );
            }
        }
        assert_eq!(place_of_line(&whole, text.lines().count() + 1), None);
        assert_eq!(place_of_line(&whole, 1), Some((vec![], false)));
        let deep = [
            Step::Field("a".into()),
            Step::Item(1),
            Step::Field("b".into()),
        ];
        assert_eq!(place_of_line(&whole, 5), Some((deep.to_vec(), false)));
    }

    #[test]
    fn values_are_put_at_places() {
        let point = Point::root().based(json!({"a": [{"b": 1}]}));
        let point = point.field("a").step(Step::Item(0)).field("b");
        assert_eq!(point.with(json!(2)), json!({"a": [{"b": 2}]}));
        assert_eq!(point.without(), json!({"a": [{}]}));
        assert_eq!(point.here(), Some(&json!(1)));
        assert_eq!(point.in_whole(&json!({"a": []})), None);
    }

    #[test]
    fn what_can_not_be_read_has_a_place() {
        #[derive(serde::Serialize, serde::Deserialize)]
        struct Inner {
            b: u8,
        }
        #[derive(serde::Serialize, serde::Deserialize)]
        struct Outer {
            a: Vec<Inner>,
        }
        let point = Point::root();
        let value = json!({"a": [{"b": 1}, {"b": 300}]});
        let unread = ask::<Outer>(&value).unwrap_err();
        assert_eq!(unread.what, "invalid value: integer `300`, expected u8");
        let place = [
            Step::Field("a".into()),
            Step::Item(1),
            Step::Field("b".into()),
        ];
        assert_eq!(point.blame(&value, &unread), Some(place.to_vec()));
        assert_eq!(
            ask::<Outer>(&json!({"a": [{"b": 1, "c": 2}]})),
            Ok(json!({"a": [{"b": 1}]}))
        );
    }
}

//! Filters of selections: equality of one place of an entity, by value.

use serde::{Deserialize, Serialize};
use serde_json::{Number, Value};

/// Only states that have one of these values in one place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Filter {
    /// The place, as a JSON pointer into the state.
    pub(crate) at: String,
    /// The values, of which one is enough.
    pub(crate) any: Vec<Value>,
}

impl Filter {
    /// Whether a state passes. Of a list in the place one item is enough.
    pub(crate) fn passes(&self, state: &Value) -> bool {
        let is_one = |value: &Value| self.any.iter().any(|wanted| equal(wanted, value));
        match state.pointer(&self.at) {
            None => false,
            Some(Value::Array(items)) => items.iter().any(is_one),
            Some(value) => is_one(value),
        }
    }
}

/// Whether two values are the same one, whatever they are written like: 1 is 1.0, and a moment is the same in each time zone.
fn equal(wanted: &Value, value: &Value) -> bool {
    match (wanted, value) {
        (Value::Number(wanted), Value::Number(value)) => equal_numbers(wanted, value),
        (Value::String(wanted), Value::String(value)) => {
            wanted == value || is_same_moment(wanted, value)
        }
        // A parameter without a type is a text.
        (Value::String(text), Value::Number(number))
        | (Value::Number(number), Value::String(text)) => number.to_string() == **text,
        (Value::String(text), Value::Bool(is)) | (Value::Bool(is), Value::String(text)) => {
            text == if *is { "true" } else { "false" }
        }
        _ => wanted == value,
    }
}

fn equal_numbers(one: &Number, other: &Number) -> bool {
    match (one.as_i128(), other.as_i128()) {
        (Some(one), Some(other)) => one == other,
        // One of them is a fraction, or written as one.
        #[allow(clippy::float_cmp)] // both were read from text, by the same rule
        _ => one.as_f64() == other.as_f64(),
    }
}

#[cfg(feature = "contract")]
fn is_same_moment(one: &str, other: &str) -> bool {
    let moment = chrono::DateTime::parse_from_rfc3339;
    // The first look is cheap, and spares most texts the second.
    one.as_bytes().first().is_some_and(u8::is_ascii_digit)
        && matches!((moment(one), moment(other)), (Ok(one), Ok(other)) if one == other)
}

#[cfg(not(feature = "contract"))]
fn is_same_moment(_: &str, _: &str) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_compared_by_value() {
        let state = json!({"pet": {
            "status": "sold", "age": 3, "weight": 2.5, "tame": true, "tags": ["a", "b"], "since": "2020-01-01T01:00:00+01:00",
            "owner": {"name": "x/y"}, "none": null, "big": 9_007_199_254_740_993_i64,
        }});
        for (at, any, passes) in [
            ("/pet/status", json!(["sold"]), true),
            ("/pet/status", json!(["new", "sold"]), true),
            ("/pet/status", json!(["new"]), false),
            ("/pet/status", json!([]), false),
            ("/pet/age", json!([3]), true),
            ("/pet/age", json!([3.0]), true),
            ("/pet/age", json!(["3"]), true),
            ("/pet/age", json!([30]), false),
            ("/pet/big", json!([9_007_199_254_740_992_i64]), false),
            ("/pet/weight", json!([2.5]), true),
            ("/pet/weight", json!([2]), false),
            ("/pet/tame", json!([true]), true),
            ("/pet/tame", json!(["true"]), true),
            ("/pet/tame", json!([false]), false),
            ("/pet/tags", json!(["b"]), true),
            ("/pet/tags", json!(["c"]), false),
            (
                "/pet/since",
                json!(["2020-01-01T00:00:00Z"]),
                cfg!(feature = "contract"),
            ),
            ("/pet/since", json!(["2020-01-01T00:00:01Z"]), false),
            ("/pet/owner/name", json!(["x/y"]), true),
            ("/pet/none", json!([null]), true),
            ("/pet/nothing", json!([null]), false),
        ] {
            let Value::Array(any) = any else {
                unreachable!()
            };
            let filter = Filter {
                at: at.to_owned(),
                any,
            };
            assert_eq!(filter.passes(&state), passes, "{filter:?}");
        }
    }
}

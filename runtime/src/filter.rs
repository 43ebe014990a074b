//! Filters of selections: one place of an entity by its value, or by limits of it.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};
use serde_json::{Number, Value};

/// Only states that have one of these values in one place, or one within these limits.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Filter {
    /// The place, as a JSON pointer into the state.
    pub(crate) at: String,
    /// The values, of which one is enough.
    pub(crate) any: Vec<Value>,
    /// Limits, all of which hold. Then there are no values.
    #[serde(default)]
    pub(crate) limits: Vec<(Limit, Value)>,
}

/// On which side of a limit a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Limit {
    Above,
    From,
    Below,
    To,
}

impl Limit {
    fn holds(self, limit: &Value, value: &Value) -> bool {
        let Some(order) = compare(value, limit) else {
            return false;
        };
        match self {
            Self::Above => order.is_gt(),
            Self::From => order.is_ge(),
            Self::Below => order.is_lt(),
            Self::To => order.is_le(),
        }
    }
}

impl Filter {
    /// Whether a state passes. Of a list in the place one item is enough.
    pub(crate) fn passes(&self, state: &Value) -> bool {
        let is_one = |value: &Value| {
            if self.limits.is_empty() {
                return self.any.iter().any(|wanted| equal(wanted, value));
            }
            let mut limits = self.limits.iter();
            limits.all(|(limit, bound)| limit.holds(bound, value))
        };
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
            wanted == value || moments(wanted, value) == Some(Ordering::Equal)
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

/// The order of two values: numbers, moments, or else texts as they are written.
fn compare(one: &Value, other: &Value) -> Option<Ordering> {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => match (one.as_i128(), other.as_i128()) {
            (Some(one), Some(other)) => Some(one.cmp(&other)),
            _ => one.as_f64()?.partial_cmp(&other.as_f64()?),
        },
        (Value::String(one), Value::String(other)) => {
            moments(one, other).or_else(|| Some(one.cmp(other)))
        }
        _ => None,
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

/// The order of two moments, if both are some.
#[cfg(feature = "contract")]
fn moments(one: &str, other: &str) -> Option<Ordering> {
    // The first look is cheap, and spares most texts the second.
    if !one.as_bytes().first().is_some_and(u8::is_ascii_digit) {
        return None;
    }
    let moment = chrono::DateTime::parse_from_rfc3339;
    Some(moment(one).ok()?.cmp(&moment(other).ok()?))
}

#[cfg(not(feature = "contract"))]
fn moments(_: &str, _: &str) -> Option<Ordering> {
    None
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
                limits: Vec::new(),
            };
            assert_eq!(filter.passes(&state), passes, "{filter:?}");
        }
    }

    #[test]
    fn limits_of_values() {
        let state = json!({
            "age": 3, "weight": 2.5, "name": "m", "since": "2020-01-01T01:00:00+01:00", "none": null, "all": [1, 9],
        });
        for (at, limits, passes) in [
            ("/age", vec![(Limit::Above, json!(2))], true),
            ("/age", vec![(Limit::Above, json!(3))], false),
            (
                "/age",
                vec![(Limit::From, json!(3)), (Limit::To, json!(3.0))],
                true,
            ),
            (
                "/age",
                vec![(Limit::From, json!(3)), (Limit::Below, json!(3))],
                false,
            ),
            ("/weight", vec![(Limit::Below, json!(3))], true),
            (
                "/name",
                vec![(Limit::From, json!("a")), (Limit::To, json!("m"))],
                true,
            ),
            ("/name", vec![(Limit::Above, json!(1))], false),
            (
                "/since",
                vec![(Limit::To, json!("2020-01-01T00:00:00Z"))],
                cfg!(feature = "contract"),
            ),
            ("/none", vec![(Limit::From, json!(0))], false),
            ("/nothing", vec![(Limit::From, json!(0))], false),
            ("/all", vec![(Limit::Above, json!(8))], true),
            (
                "/all",
                vec![(Limit::Above, json!(2)), (Limit::Below, json!(8))],
                false,
            ),
        ] {
            let filter = Filter {
                at: at.to_owned(),
                any: Vec::new(),
                limits,
            };
            assert_eq!(filter.passes(&state), passes, "{filter:?}");
        }
    }
}

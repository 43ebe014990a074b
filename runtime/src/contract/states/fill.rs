//! What the server sets in an entity by itself.

use chrono::{DateTime, SecondsFormat};
use serde_json::{Value, json};

use super::{
    decision::Fill,
    schema::{Schema, put},
};

/// What is set in one place.
#[derive(Clone, Debug)]
pub(crate) struct Filled {
    at: String,
    what: Fill,
    form: Form,
}

/// How a time is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    DateTime,
    Date,
    Seconds,
    Milliseconds,
}

impl Filled {
    pub(crate) fn new(entity: Schema<'_>, at: &str, what: Fill) -> Self {
        let schema = entity.at(at);
        let format = schema
            .and_then(|schema| schema.keyword("format"))
            .and_then(Value::as_str);
        let is = |name| schema.is_some_and(|schema| schema.types().contains(&name));
        // A bound or an example of an integer says whether it counts seconds or milliseconds.
        let in_ms = ["minimum", "example", "default"].iter().any(|name| {
            schema
                .and_then(|schema| schema.keyword(name)?.as_i64())
                .is_some_and(|number| number > 100_000_000_000)
        });
        let form = match format {
            Some("date") => Form::Date,
            _ if (is("integer") || is("number")) && in_ms => Form::Milliseconds,
            _ if is("integer") || is("number") => Form::Seconds,
            _ => Form::DateTime,
        };
        Self {
            at: at.to_owned(),
            what,
            form,
        }
    }

    /// Sets it in an entity that was `before`, if there was one.
    pub(crate) fn apply(&self, before: Option<&Value>, entity: &mut Value, now_ms: u64) {
        let old = before.and_then(|before| before.pointer(&self.at));
        let given = entity.pointer(&self.at);
        let value = match (&self.what, old, given) {
            (Fill::Updated, ..) | (Fill::Created, None, None) => self.time(now_ms),
            (_, _, Some(_)) => return,
            (_, Some(old), None) => old.clone(),
            (Fill::Value(value), None, None) => value.clone(),
        };
        put(entity, &self.at, value);
    }

    fn time(&self, now_ms: u64) -> Value {
        let moment = i64::try_from(now_ms)
            .ok()
            .and_then(DateTime::from_timestamp_millis)
            .unwrap_or_default();
        match self.form {
            Form::DateTime => json!(moment.to_rfc3339_opts(SecondsFormat::Millis, true)),
            Form::Date => json!(moment.format("%Y-%m-%d").to_string()),
            Form::Seconds => json!(now_ms / 1000),
            Form::Milliseconds => json!(now_ms),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_server_sets() {
        let schema = json!({"properties": {
            "made": {"type": "string", "format": "date-time"}, "day": {"type": "string", "format": "date"},
            "seconds": {"type": "integer"}, "ms": {"type": "integer", "example": 1_700_000_000_000_i64},
        }});
        let entity = Schema::new(&schema, &schema);
        let now = 1_600_000_000_123;
        for (at, what, before, given, expected) in [
            (
                "/made",
                Fill::Created,
                None,
                json!({}),
                json!({"made": "2020-09-13T12:26:40.123Z"}),
            ),
            (
                "/day",
                Fill::Updated,
                None,
                json!({}),
                json!({"day": "2020-09-13"}),
            ),
            (
                "/seconds",
                Fill::Created,
                None,
                json!({}),
                json!({"seconds": 1_600_000_000}),
            ),
            (
                "/ms",
                Fill::Created,
                None,
                json!({}),
                json!({"ms": 1_600_000_000_123_u64}),
            ),
            (
                "/made",
                Fill::Created,
                Some(json!({"made": "x"})),
                json!({}),
                json!({"made": "x"}),
            ),
            (
                "/made",
                Fill::Updated,
                Some(json!({"made": "x"})),
                json!({"made": "x"}),
                json!({"made": "2020-09-13T12:26:40.123Z"}),
            ),
            (
                "/made",
                Fill::Created,
                None,
                json!({"made": "y"}),
                json!({"made": "y"}),
            ),
            (
                "/state",
                Fill::Value(json!("new")),
                None,
                json!({}),
                json!({"state": "new"}),
            ),
            (
                "/state",
                Fill::Value(json!("new")),
                None,
                json!({"state": "old"}),
                json!({"state": "old"}),
            ),
            (
                "/a/b",
                Fill::Value(json!(1)),
                None,
                json!({"c": 1}),
                json!({"a": {"b": 1}, "c": 1}),
            ),
        ] {
            let mut filled = given.clone();
            Filled::new(entity, at, what.clone()).apply(before.as_ref(), &mut filled, now);
            assert_eq!(filled, expected, "{at} {what:?} {given}");
        }
    }
}

//! The smallest value that a schema allows, for what must be there and nobody gave.

use serde_json::{Map, Number, Value, json};

use super::{pattern::shortest, schema::Schema};

/// How deep required parts are followed. A schema that demands itself has no instance.
const DEPTH_MAX: usize = 32;

/// Items and characters that are made for `minItems` and `minLength`; a schema that asks for more gets these.
const LENGTH_MAX: u64 = 1024;

/// The smallest instance, if there is a finite one.
pub(crate) fn instance(schema: Schema<'_>) -> Option<Value> {
    within(schema, DEPTH_MAX)
}

fn within(schema: Schema<'_>, depth: usize) -> Option<Value> {
    let depth = depth.checked_sub(1)?;
    if let Some(value) = schema.keyword("const").or_else(|| schema.default_value()) {
        return Some(value.clone());
    }
    if let Some(Value::Array(values)) = schema.keyword("enum") {
        return values
            .iter()
            .find(|value| !value.is_null())
            .or(values.first())
            .cloned();
    }
    let types = schema.types();
    if types.contains(&"null") {
        return Some(Value::Null);
    }
    let alternatives = schema.alternatives();
    if !alternatives.is_empty() {
        let chosen = alternatives
            .into_iter()
            .find_map(|alternative| within(alternative, depth))?;
        return merged(chosen, schema, depth);
    }
    match types.first().copied().or_else(|| implied(schema)) {
        Some("object") => object(schema, depth),
        Some("array") => list(schema, depth),
        Some("string") => Some(text(schema).into()),
        Some("integer") => Some(number(schema, true)),
        Some("number") => Some(number(schema, false)),
        Some("boolean") => Some(false.into()),
        _ => Some(Value::Null),
    }
}

/// The type that a schema without `type` has in mind.
fn implied(schema: Schema<'_>) -> Option<&'static str> {
    let says = |keywords: &[&str]| keywords.iter().any(|name| schema.keyword(name).is_some());
    if says(&[
        "properties",
        "required",
        "additionalProperties",
        "minProperties",
    ]) {
        Some("object")
    } else if says(&["items", "prefixItems", "minItems"]) {
        Some("array")
    } else if says(&["minLength", "maxLength", "pattern", "format"]) {
        Some("string")
    } else if says(&["minimum", "maximum", "multipleOf"]) {
        Some("number")
    } else {
        None
    }
}

/// An alternative's instance with what stands beside the alternatives.
fn merged(chosen: Value, schema: Schema<'_>, depth: usize) -> Option<Value> {
    let Value::Object(mut fields) = chosen else {
        return Some(chosen);
    };
    if let Value::Object(more) = object(schema, depth)? {
        for (name, value) in more {
            fields.entry(name).or_insert(value);
        }
    }
    Some(Value::Object(fields))
}

fn object(schema: Schema<'_>, depth: usize) -> Option<Value> {
    let properties = schema.properties();
    let mut fields = Map::new();
    for name in schema.required() {
        let value = match properties.get(name) {
            Some(property) => within(*property, depth)?,
            None => match extra(schema) {
                Some(extra) => within(extra, depth)?,
                None => Value::Null,
            },
        };
        fields.insert(name.to_owned(), value);
    }
    Some(Value::Object(fields))
}

fn extra(schema: Schema<'_>) -> Option<Schema<'_>> {
    schema
        .keyword("additionalProperties")
        .filter(|extra| extra.is_object())
        .map(|extra| Schema::new(schema.document, extra))
}

fn list(schema: Schema<'_>, depth: usize) -> Option<Value> {
    let least = schema.keyword("minItems").and_then(Value::as_u64);
    let first = schema.keyword("prefixItems").and_then(Value::as_array);
    let mut items = Vec::new();
    for index in 0..least.unwrap_or(0).min(LENGTH_MAX) {
        let place = usize::try_from(index).ok();
        let value = match place.and_then(|index| first?.get(index)) {
            Some(value) => within(Schema::new(schema.document, value), depth)?,
            None => match schema.items() {
                Some(schema) => within(schema, depth)?,
                None => Value::Null,
            },
        };
        items.push(value);
    }
    Some(items.into())
}

fn text(schema: Schema<'_>) -> String {
    let keyword = |name| schema.keyword(name);
    let known = match keyword("format").and_then(Value::as_str) {
        Some("date-time") => "1970-01-01T00:00:00Z",
        Some("date") => "1970-01-01",
        Some("time") => "00:00:00Z",
        Some("duration") => "PT0S",
        Some("uuid") => "00000000-0000-0000-0000-000000000000",
        Some("email" | "idn-email") => "nobody@example.com",
        Some("hostname" | "idn-hostname") => "example.com",
        Some("uri" | "iri" | "url") => "https://example.com/",
        Some("uri-reference" | "iri-reference") => "/",
        Some("ipv4") => "0.0.0.0",
        Some("ipv6") => "::",
        Some("decimal") => "0",
        _ => "",
    };
    if !known.is_empty() {
        return known.to_owned();
    }
    let least = keyword("minLength").and_then(Value::as_u64).unwrap_or(0);
    let least = usize::try_from(least.min(LENGTH_MAX)).unwrap_or_default();
    if let Some(pattern) = keyword("pattern").and_then(Value::as_str) {
        // Where a pattern is beyond reading, what the author shows is likely to fit.
        let shown = keyword("example").or_else(|| keyword("examples")?.as_array()?.first());
        let shown = || shown.and_then(Value::as_str).map(str::to_owned);
        if let Some(text) = shortest(pattern, least).or_else(shown) {
            return text;
        }
    }
    "-".repeat(least)
}

/// The number that is next to zero.
fn number(schema: Schema<'_>, whole: bool) -> Value {
    let bound = |name| schema.keyword(name).and_then(Value::as_f64);
    let integer = |name| schema.keyword(name).and_then(Value::as_i64);
    let step = bound("multipleOf").filter(|step| *step > 0.0);
    if whole || (step.is_none() && fits(schema, 0.0)) {
        // Integers beyond 2^53 stay exact.
        let least = integer("minimum").or_else(|| integer("exclusiveMinimum")?.checked_add(1));
        let most = integer("maximum").or_else(|| integer("exclusiveMaximum")?.checked_sub(1));
        let mut value = match (least, most) {
            (Some(least), _) if least > 0 => least,
            (_, Some(most)) if most < 0 => most,
            _ => 0,
        };
        if let Some(step) = integer("multipleOf").filter(|step| *step > 0) {
            let rest = value.rem_euclid(step);
            if rest != 0 {
                value = if value > 0 {
                    value.saturating_add(step - rest)
                } else {
                    value - rest
                };
            }
        }
        return json!(value);
    }
    let least = bound("minimum").or(bound("exclusiveMinimum"));
    let most = bound("maximum").or(bound("exclusiveMaximum"));
    let step_or_one = step.unwrap_or(1.0);
    let candidates = [
        0.0,
        least.unwrap_or(0.0),
        most.unwrap_or(0.0),
        (least.unwrap_or(0.0) / step_or_one).ceil() * step_or_one,
        ((least.unwrap_or(0.0) / step_or_one).floor() + 1.0) * step_or_one,
        (most.unwrap_or(0.0) / step_or_one).floor() * step_or_one,
        f64::midpoint(least.unwrap_or(0.0), most.unwrap_or(0.0)),
    ];
    let value = candidates.into_iter().find(|value| fits(schema, *value));
    Number::from_f64(value.unwrap_or(0.0)).map_or_else(|| json!(0), Value::Number)
}

fn fits(schema: Schema<'_>, value: f64) -> bool {
    let bound = |name| schema.keyword(name).and_then(Value::as_f64);
    bound("minimum").is_none_or(|least| value >= least)
        && bound("exclusiveMinimum").is_none_or(|least| value > least)
        && bound("maximum").is_none_or(|most| value <= most)
        && bound("exclusiveMaximum").is_none_or(|most| value < most)
        && bound("multipleOf").is_none_or(|step| step <= 0.0 || (value / step).fract() == 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(schema: &Value, expected: &Value) {
        let document = json!({"components": {"schemas": {
            "Name": {"type": "string", "minLength": 2},
            "Kind": {"enum": [null, "cat", "dog"]},
            "Endless": {"type": "object", "properties": {"me": {"$ref": "#/components/schemas/Endless"}}, "required": ["me"]},
        }}});
        let found = instance(Schema::new(&document, schema)).unwrap_or(json!("none"));
        // Compared as JSON text, so that 1 and 1.0 are told apart.
        assert_eq!(found.to_string(), expected.to_string(), "{schema}");
    }

    #[test]
    fn smallest_instances() {
        for (schema, expected) in [
            (json!({}), json!(null)),
            (json!(true), json!(null)),
            (json!({"const": 3}), json!(3)),
            (json!({"type": "string", "default": "x"}), json!("x")),
            (json!({"$ref": "#/components/schemas/Kind"}), json!("cat")),
            (json!({"$ref": "#/components/schemas/Name"}), json!("--")),
            (
                json!({"$ref": "#/components/schemas/Endless"}),
                json!("none"),
            ),
            (json!({"type": ["string", "null"]}), json!(null)),
            (
                json!({"type": "string", "format": "date-time"}),
                json!("1970-01-01T00:00:00Z"),
            ),
            (
                json!({"type": "string", "format": "uuid"}),
                json!("00000000-0000-0000-0000-000000000000"),
            ),
            (
                json!({"type": "string", "pattern": "^[A-Z]+(?=x)$", "example": "ABC"}),
                json!("ABC"),
            ),
            (json!({"type": "boolean"}), json!(false)),
            (json!({"type": "integer"}), json!(0)),
            (json!({"type": "number"}), json!(0)),
            (
                json!({"type": "integer", "minimum": 5, "multipleOf": 3}),
                json!(6),
            ),
            (json!({"type": "integer", "exclusiveMaximum": 0}), json!(-1)),
            (
                json!({"type": "integer", "minimum": 9_007_199_254_740_993_i64}),
                json!(9_007_199_254_740_993_i64),
            ),
            (json!({"type": "number", "minimum": 0.5}), json!(0.5)),
            (
                json!({"type": "number", "exclusiveMinimum": 0, "maximum": 1}),
                json!(1.0),
            ),
            (
                json!({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}),
                json!(0.5),
            ),
            (json!({"type": "array"}), json!([])),
            (
                json!({"minItems": 2, "items": {"type": "integer"}}),
                json!([0, 0]),
            ),
            (
                json!({"type": "object", "properties": {"a": {"type": "string"}}}),
                json!({}),
            ),
            (
                json!({"type": "object", "required": ["a", "b", "c"], "properties": {"a": {"type": "array"}, "b": {"$ref": "#/components/schemas/Name"}}}),
                json!({"a": [], "b": "--", "c": null}),
            ),
            (
                json!({"allOf": [{"$ref": "#/components/schemas/Name"}, {"maxLength": 5}]}),
                json!("--"),
            ),
            (
                json!({"oneOf": [{"$ref": "#/components/schemas/Endless"}, {"type": "object", "required": ["x"]}], "required": ["y"]}),
                json!({"x": null, "y": null}),
            ),
        ] {
            check(&schema, &expected);
        }
    }
}

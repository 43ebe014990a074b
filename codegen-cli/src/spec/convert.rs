//! Schemas of OpenAPI 3.0 <-> 3.1.
//!
//! The tree becomes 3.0, which is what `openapiv3` models; the document becomes 3.1, whose schemas are JSON Schema 2020-12. Both keep the places of what they hold.

use super::{
    grammar::{Kind, Shape},
    node::{Node, Object, Value},
};
use crate::diagnostic::Diagnostics;

/// Calls `change` with each schema of the tree, the inner ones first.
pub(super) fn each_schema(node: &mut Node, kind: Kind, pointer: &str, change: &mut dyn FnMut(&mut Node, &str)) {
    if let Value::Object(object) = &mut node.value {
        for (name, member) in object.iter_mut() {
            if name.starts_with("x-") {
                continue;
            }
            let Some(shape) = kind.shape(name) else { continue };
            let at = format!("{pointer}/{}", super::node::escape(name));
            shaped(&mut member.node, shape, &at, change);
        }
    }
    if kind == Kind::Schema {
        change(node, pointer);
    }
}

fn shaped(node: &mut Node, shape: Shape, pointer: &str, change: &mut dyn FnMut(&mut Node, &str)) {
    match (shape, &mut node.value) {
        (Shape::Data | Shape::Text, _) => {}
        (Shape::One(kind), _) => each_schema(node, kind, pointer, change),
        (Shape::List(kind), Value::List(items)) => {
            for (index, item) in items.iter_mut().enumerate() {
                each_schema(item, kind, &format!("{pointer}/{index}"), change);
            }
        }
        (Shape::SchemaOrList, Value::List(_)) => shaped(node, Shape::List(Kind::Schema), pointer, change),
        (Shape::SchemaOrBool | Shape::SchemaOrList, _) => each_schema(node, Kind::Schema, pointer, change),
        (Shape::Map(kind), Value::Object(object)) => {
            for (name, member) in object.iter_mut() {
                let extension = name.starts_with("x-") && matches!(kind, Kind::PathItem | Kind::Response);
                if !extension {
                    let at = format!("{pointer}/{}", super::node::escape(name));
                    each_schema(&mut member.node, kind, &at, change);
                }
            }
        }
        (Shape::List(_) | Shape::Map(_), _) => {}
    }
}

/// Types that JSON Schema has.
const TYPES: [&str; 7] = ["string", "number", "integer", "boolean", "array", "object", "null"];

/// Keywords whose value is a number that is not negative.
const COUNTS: [&str; 6] = ["maxLength", "minLength", "maxItems", "minItems", "maxProperties", "minProperties"];

/// Takes out of a schema what no version of OpenAPI knows the meaning of.
pub(super) fn repair(schema: &mut Node, pointer: &str, diagnostics: &mut Diagnostics) {
    let Some(object) = schema.as_object() else { return };
    let mut gone: Vec<(&'static str, String)> = Vec::new();
    for (name, member) in object {
        let node = &member.node;
        let wrong = |what: &str| format!("`{name}` is {what}");
        match (name.as_str(), &node.value) {
            ("type", Value::String(name)) if !TYPES.contains(&&**name) => {
                gone.push(("type", format!("`{name}` is no type: JSON has string, number, integer, boolean, array and object")));
            }
            ("type", Value::String(_) | Value::List(_)) => {}
            ("type", _) => gone.push(("type", wrong("neither a text nor a list"))),
            ("required", Value::List(_)) => {}
            ("required", Value::Bool(true)) => gone.push(("required", "`required` is the list of names of the object around it".to_owned())),
            ("required", Value::Bool(false)) => gone.push(("required", String::new())),
            ("required", _) => gone.push(("required", wrong("not a list of names"))),
            ("enum", Value::List(items)) if !items.is_empty() => {}
            ("enum", Value::List(_)) => gone.push(("enum", wrong("empty: no value would be right"))),
            ("enum", _) => gone.push(("enum", wrong("not a list"))),
            ("pattern", Value::String(_)) => {}
            ("pattern", _) => gone.push(("pattern", wrong("not a text"))),
            (count, Value::Number(number)) if COUNTS.contains(&count) && number.as_u64().is_some() => {}
            (count, _) if COUNTS.contains(&count) => {
                let name = COUNTS.iter().find(|known| **known == count).copied().unwrap_or_default();
                gone.push((name, wrong("not a whole number from 0")));
            }
            ("maximum", Value::Number(_)) => {}
            ("maximum", _) => gone.push(("maximum", wrong("not a number"))),
            ("minimum", Value::Number(_)) => {}
            ("minimum", _) => gone.push(("minimum", wrong("not a number"))),
            ("multipleOf", Value::Number(number)) if number.as_f64().is_some_and(|number| number > 0.0) => {}
            ("multipleOf", _) => gone.push(("multipleOf", wrong("not a number above 0"))),
            _ => {}
        }
    }
    for (name, why) in gone {
        let taken = schema.take(name);
        if let Some(node) = taken.filter(|_| !why.is_empty()) {
            diagnostics.warning(node.span, format!("#{pointer}/{name}"), format!("{why}; it is left out"));
            if name == "type" && node.as_str() == Some("file") {
                schema.set("type", Node::text("string", node.span));
                schema.set("format", Node::text("binary", node.span));
            }
        }
    }
}

/// A schema of 3.0 as one of 3.1.
pub(super) fn raise(schema: &mut Node) {
    let span = schema.span;
    if schema.as_object().is_none() {
        return;
    }
    for (limit, exclusive) in [("maximum", "exclusiveMaximum"), ("minimum", "exclusiveMinimum")] {
        let flag = schema.member(exclusive).map(|node| node.value.clone());
        match flag {
            Some(Value::Bool(true)) => {
                schema.take(exclusive);
                if let Some(limit) = schema.take(limit) {
                    schema.set(exclusive, limit);
                }
            }
            Some(Value::Number(_)) | None => {}
            Some(_) => drop(schema.take(exclusive)),
        }
    }
    if let Some(example) = schema.take("example") {
        schema.set("examples", Node::new(Value::List(vec![example]), span));
    }
    let nullable = schema.take("nullable").is_some_and(|node| node.value == Value::Bool(true));
    if nullable {
        allow_null(schema);
    }
}

/// Lets `null` through a schema of 3.1.
fn allow_null(schema: &mut Node) {
    let span = schema.span;
    let null = || Node::text("null", span);
    match schema.member("type").map(|node| node.value.clone()) {
        Some(Value::String(name)) if name != "null" => {
            let types = vec![Node::text(name, span), null()];
            schema.set("type", Node::new(Value::List(types), span));
            if let Some(Value::List(values)) = schema.member("enum").map(|node| node.value.clone())
                && !values.iter().any(|value| value.value == Value::Null)
            {
                let values = values.into_iter().chain([Node::new(Value::Null, span)]);
                schema.set("enum", Node::new(Value::List(values.collect()), span));
            }
        }
        Some(_) => {}
        None => {
            let constrains = ["allOf", "anyOf", "oneOf", "$ref", "enum", "not"];
            if constrains.iter().any(|name| schema.member(name).is_some()) {
                let mut only_null = Node::new(Value::Object(Object::new()), span);
                only_null.set("type", null());
                let inner = std::mem::replace(schema, Node::new(Value::Object(Object::new()), span));
                schema.set("anyOf", Node::new(Value::List(vec![inner, only_null]), span));
            }
        }
    }
}

/// Keywords that 3.0 does not have and that types do not depend on. The service checks by the document, which keeps them.
const ONLY_31: [&str; 26] = [
    "$schema", "$id", "$anchor", "$dynamicAnchor", "$dynamicRef", "$comment", "$vocabulary", "$defs", "definitions", "const", "examples",
    "maxContains", "minContains", "dependentRequired", "contentEncoding", "contentMediaType", "contentSchema", "patternProperties",
    "unevaluatedProperties", "propertyNames", "dependentSchemas", "unevaluatedItems", "contains", "if", "then", "else",
];

/// A schema of 3.1 as one of 3.0.
pub(super) fn lower(schema: &mut Node) {
    let span = schema.span;
    if let Value::Bool(allowed) = schema.value {
        let mut lowered = Node::new(Value::Object(Object::new()), span);
        if !allowed {
            lowered.set("not", Node::new(Value::Object(Object::new()), span));
        }
        *schema = lowered;
        return;
    }
    let Some(object) = schema.as_object() else { return };
    if object.len() > 1 && object.contains_key("$ref") {
        // Beside a reference nothing counts in 3.0.
        if let Some(reference) = schema.take("$ref") {
            let mut referred = Node::new(Value::Object(Object::new()), span);
            referred.set("$ref", reference);
            let mut all = vec![referred];
            if let Some(Value::List(others)) = schema.take("allOf").map(|node| node.value) {
                all.extend(others);
            }
            schema.set("allOf", Node::new(Value::List(all), span));
        }
    }
    let mut nullable = false;
    for name in ["anyOf", "oneOf"] {
        let Some(node) = schema.take(name) else { continue };
        let Value::List(variants) = node.value else { continue };
        let is_null = |node: &Node| node.member("type").and_then(Node::as_str) == Some("null");
        let before = variants.len();
        let mut rest: Vec<Node> = variants.into_iter().filter(|variant| !is_null(variant)).collect();
        nullable |= rest.len() < before;
        let plain = schema.as_object().is_some_and(Object::is_empty);
        match rest.pop() {
            Some(only) if rest.is_empty() && plain && only.member("$ref").is_none() => *schema = only,
            Some(last) => {
                rest.push(last);
                schema.set(name, Node::new(Value::List(rest), node.span));
            }
            None => {}
        }
    }
    nullable |= lower_type(schema);
    if let Some(value) = schema.member("const").cloned() {
        schema.set("enum", Node::new(Value::List(vec![value]), span));
    }
    for (limit, exclusive) in [("maximum", "exclusiveMaximum"), ("minimum", "exclusiveMinimum")] {
        if let Some(Value::Number(number)) = schema.member(exclusive).map(|node| node.value.clone()) {
            let tighter = match (schema.member(limit).map(|node| &node.value), limit) {
                (Some(Value::Number(other)), "maximum") => other.as_f64() < number.as_f64(),
                (Some(Value::Number(other)), _) => other.as_f64() > number.as_f64(),
                _ => false,
            };
            if tighter {
                schema.take(exclusive);
            } else {
                schema.set(limit, Node::new(Value::Number(number), span));
                schema.set(exclusive, Node::new(Value::Bool(true), span));
            }
        }
    }
    let format = match (schema.member("contentEncoding"), schema.member("contentMediaType")) {
        (Some(encoding), _) if encoding.as_str().is_some_and(|name| name.starts_with("base64")) => Some("byte"),
        (None, Some(_)) => Some("binary"),
        _ => None,
    };
    if let Some(format) = format.filter(|_| schema.member("format").is_none()) {
        schema.set("format", Node::text(format, span));
    }
    if let Some(Value::List(examples)) = schema.member("examples").map(|node| node.value.clone())
        && let Some(first) = examples.into_iter().next()
    {
        schema.set("example", first);
    }
    if schema.take("prefixItems").is_some() {
        schema.set("items", Node::new(Value::Object(Object::new()), span));
    }
    for name in ONLY_31 {
        schema.take(name);
    }
    if nullable {
        schema.set("nullable", Node::new(Value::Bool(true), span));
    }
}

/// Several types become `anyOf`; `null` among them is returned.
fn lower_type(schema: &mut Node) -> bool {
    let span = schema.span;
    let Some(node) = schema.member("type").cloned() else {
        return false;
    };
    let types: Vec<Node> = match node.value {
        Value::List(types) => types,
        Value::String(ref name) if name == "null" => vec![node],
        _ => return false,
    };
    let before = types.len();
    let mut rest: Vec<Node> = types.into_iter().filter(|name| name.as_str() != Some("null")).collect();
    let nullable = rest.len() < before;
    schema.take("type");
    match rest.len() {
        0 if nullable => schema.set("enum", Node::new(Value::List(vec![Node::new(Value::Null, span)]), span)),
        0 => {}
        1 => schema.set("type", rest.remove(0)),
        _ => {
            let variants = rest.into_iter().map(|name| {
                let mut variant = Node::new(Value::Object(Object::new()), span);
                if name.as_str() == Some("array")
                    && let Some(items) = schema.member("items").cloned()
                {
                    variant.set("items", items);
                }
                variant.set("type", name);
                variant
            });
            let variants = Node::new(Value::List(variants.collect()), span);
            if schema.member("anyOf").is_none() {
                schema.set("anyOf", variants);
            }
        }
    }
    nullable
}

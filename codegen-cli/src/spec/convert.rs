//! Schemas of OpenAPI 3.0 <-> 3.1.
//!
//! The tree becomes 3.0, which is what `openapiv3` models; the document becomes 3.1, whose schemas are JSON Schema 2020-12. Both keep the places of what they hold.

use super::{
    grammar::{Kind, Shape},
    node::{Node, Object, Value},
};
use crate::diagnostic::Diagnostics;

/// Calls `change` with each schema of the tree, the inner ones first.
pub(super) fn each_schema(
    node: &mut Node,
    kind: Kind,
    pointer: &str,
    change: &mut dyn FnMut(&mut Node, &str),
) {
    if let Value::Object(object) = &mut node.value {
        for (name, member) in object.iter_mut() {
            if name.starts_with("x-") {
                continue;
            }
            let Some(shape) = kind.shape(name) else {
                continue;
            };
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
        (Shape::One(kind), _) => each_schema(node, kind, pointer, change),
        (Shape::List(kind), Value::List(items)) => {
            for (index, item) in items.iter_mut().enumerate() {
                each_schema(item, kind, &format!("{pointer}/{index}"), change);
            }
        }
        (Shape::SchemaOrList, Value::List(_)) => {
            shaped(node, Shape::List(Kind::Schema), pointer, change);
        }
        (Shape::SchemaOrBool | Shape::SchemaOrList, _) => {
            each_schema(node, Kind::Schema, pointer, change);
        }
        (Shape::Map(kind), Value::Object(object)) => {
            for (name, member) in object.iter_mut() {
                let extension =
                    name.starts_with("x-") && matches!(kind, Kind::PathItem | Kind::Response);
                if !extension {
                    let at = format!("{pointer}/{}", super::node::escape(name));
                    each_schema(&mut member.node, kind, &at, change);
                }
            }
        }
        (Shape::Data | Shape::Text | Shape::List(_) | Shape::Map(_), _) => {}
    }
}

/// Types that JSON Schema has.
const TYPES: [&str; 7] = [
    "string", "number", "integer", "boolean", "array", "object", "null",
];

/// Keywords whose value is a number that is not negative.
const COUNTS: [&str; 6] = [
    "maxLength",
    "minLength",
    "maxItems",
    "minItems",
    "maxProperties",
    "minProperties",
];

/// Takes out of a schema what no version of OpenAPI knows the meaning of.
pub(super) fn repair(schema: &mut Node, pointer: &str, diagnostics: &mut Diagnostics) {
    let Some(object) = schema.as_object() else {
        return;
    };
    let wrong = object.iter().filter_map(|(name, member)| {
        let why = mistake(name, &member.node)?;
        Some((name.clone(), why))
    });
    for (name, why) in wrong.collect::<Vec<_>>() {
        let Some(node) = schema.take(&name) else {
            continue;
        };
        // A habit of JSON Schema's early drafts that changes nothing.
        if name == "required" && node.value == Value::Bool(false) {
            continue;
        }
        let at = format!("#{pointer}/{name}");
        diagnostics.warning(node.span, at, format!("{why}; it is left out"));
        if name == "type" && node.as_str() == Some("file") {
            schema.set("type", Node::text("string", node.span));
            schema.set("format", Node::text("binary", node.span));
        }
    }
}

/// What is wrong with the value of a keyword.
fn mistake(name: &str, node: &Node) -> Option<String> {
    let (right, should) = match name {
        "type" => match &node.value {
            Value::String(text) => {
                let what = format!(
                    "`{text}` is no type: JSON has string, number, integer, boolean, array and object"
                );
                return (!TYPES.contains(&&**text)).then_some(what);
            }
            _ => (node.as_list().is_some(), "a text or a list of texts"),
        },
        "required" => {
            if let Value::Bool(_) = node.value {
                return Some("`required` is the list of names of the object around it".to_owned());
            }
            (node.as_list().is_some(), "a list of names")
        }
        "enum" => match node.as_list() {
            Some([]) => return Some("`enum` is empty: no value would be right".to_owned()),
            items => (items.is_some(), "a list"),
        },
        "pattern" => (node.as_str().is_some(), "a text"),
        "maximum" | "minimum" => (matches!(node.value, Value::Number(_)), "a number"),
        "multipleOf" => {
            let above = |number: &serde_json::Number| number.as_f64().is_some_and(|it| it > 0.0);
            let right = matches!(&node.value, Value::Number(number) if above(number));
            (right, "a number above 0")
        }
        name if COUNTS.contains(&name) => {
            let right = matches!(&node.value, Value::Number(number) if number.as_u64().is_some());
            (right, "a whole number from 0")
        }
        _ => return None,
    };
    (!right).then(|| format!("`{name}` is not {should}"))
}

/// A schema of 3.0 as one of 3.1.
pub(super) fn raise(schema: &mut Node) {
    let span = schema.span;
    if schema.as_object().is_none() {
        return;
    }
    for (limit, exclusive) in [
        ("maximum", "exclusiveMaximum"),
        ("minimum", "exclusiveMinimum"),
    ] {
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
    let nullable = schema
        .take("nullable")
        .is_some_and(|node| node.value == Value::Bool(true));
    if nullable {
        allow_null(schema);
    }
}

/// Keywords that are about the whole of a property.
const REMARKS: [&str; 7] = [
    "title",
    "description",
    "default",
    "readOnly",
    "writeOnly",
    "deprecated",
    "examples",
];

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
                let mut inner =
                    std::mem::replace(schema, Node::new(Value::Object(Object::new()), span));
                // What is said of the property, and not of one kind of its values.
                let said: Vec<(&str, Node)> = REMARKS
                    .into_iter()
                    .filter_map(|name| Some((name, inner.take(name)?)))
                    .collect();
                schema.set(
                    "anyOf",
                    Node::new(Value::List(vec![inner, only_null]), span),
                );
                for (name, node) in said {
                    schema.set(name, node);
                }
            }
        }
    }
}

/// Keywords that 3.0 does not have and that types do not depend on. The service checks by the document, which keeps them.
const ONLY_31: [&str; 26] = [
    "$schema",
    "$id",
    "$anchor",
    "$dynamicAnchor",
    "$dynamicRef",
    "$comment",
    "$vocabulary",
    "$defs",
    "definitions",
    "const",
    "examples",
    "maxContains",
    "minContains",
    "dependentRequired",
    "contentEncoding",
    "contentMediaType",
    "contentSchema",
    "patternProperties",
    "unevaluatedProperties",
    "propertyNames",
    "dependentSchemas",
    "unevaluatedItems",
    "contains",
    "if",
    "then",
    "else",
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
    let Some(object) = schema.as_object() else {
        return;
    };
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
    let mut nullable = lower_variants(schema);
    nullable |= lower_type(schema);
    if let Some(value) = schema.member("const").cloned() {
        schema.set("enum", Node::new(Value::List(vec![value]), span));
    }
    lower_limits(schema);
    let format = match (
        schema.member("contentEncoding"),
        schema.member("contentMediaType"),
    ) {
        (Some(encoding), _)
            if encoding
                .as_str()
                .is_some_and(|name| name.starts_with("base64")) =>
        {
            Some("byte")
        }
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

/// Takes `null` out of the variants, and says whether it was there.
fn lower_variants(schema: &mut Node) -> bool {
    let mut nullable = false;
    for name in ["anyOf", "oneOf"] {
        let Some(node) = schema.take(name) else {
            continue;
        };
        let Value::List(variants) = node.value else {
            continue;
        };
        let before = variants.len();
        let mut rest: Vec<Node> = variants
            .into_iter()
            .filter(|variant| !is_null(variant))
            .collect();
        nullable |= rest.len() < before;
        let plain = schema.as_object().is_some_and(Object::is_empty);
        match rest.pop() {
            Some(only) if rest.is_empty() && plain && only.member("$ref").is_none() => {
                *schema = only;
            }
            Some(last) => {
                rest.push(last);
                schema.set(name, Node::new(Value::List(rest), node.span));
            }
            None => {}
        }
    }
    nullable
}

/// Exclusive limits become flags beside the limits.
fn lower_limits(schema: &mut Node) {
    let span = schema.span;
    for (limit, exclusive) in [
        ("maximum", "exclusiveMaximum"),
        ("minimum", "exclusiveMinimum"),
    ] {
        if let Some(Value::Number(number)) = schema.member(exclusive).map(|node| node.value.clone())
        {
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
}

/// Whether only `null` is right: as it is written, or lowered already.
fn is_null(schema: &Node) -> bool {
    let only = |node: &Node| {
        let items = node.as_list();
        items.is_some_and(|items| matches!(items, [item] if item.value == Value::Null))
    };
    schema.member("type").and_then(Node::as_str) == Some("null")
        || schema.member("enum").is_some_and(only)
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
    let mut rest: Vec<Node> = types
        .into_iter()
        .filter(|name| name.as_str() != Some("null"))
        .collect();
    let nullable = rest.len() < before;
    schema.take("type");
    match rest.len() {
        0 if nullable => schema.set(
            "enum",
            Node::new(Value::List(vec![Node::new(Value::Null, span)]), span),
        ),
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

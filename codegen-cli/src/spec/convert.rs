//! Schemas of OpenAPI 3.0 <-> 3.1.
//!
//! The tree becomes 3.0, which is what `openapiv3` models; the document becomes 3.1, whose schemas are JSON Schema 2020-12. Both keep the places of what they hold.

use serde_json::{Value as Json, json};

use super::{
    grammar::{Kind, Shape},
    node::{Node, Value, escape},
    object::Object,
};
use crate::diagnostic::Diagnostics;

/// Calls `change` with each schema of the tree and its JSON pointer, the inner ones first. `pointer` is that of the node, and is so again afterwards.
pub(super) fn each_schema(
    node: &mut Node,
    kind: Kind,
    pointer: &mut String,
    change: &mut dyn FnMut(&mut Node, &str),
) {
    if let Value::Object(object) = &mut node.value {
        for (name, member) in object {
            if name.starts_with("x-") {
                continue;
            }
            let Some(shape) = kind.shape(name) else {
                continue;
            };
            inside(pointer, &escape(name), |pointer| {
                shaped(&mut member.node, shape, pointer, change);
            });
        }
    }
    if kind == Kind::Schema {
        change(node, pointer);
    }
}

/// Does something with the pointer of a part.
fn inside(pointer: &mut String, part: &str, run: impl FnOnce(&mut String)) {
    let before = pointer.len();
    pointer.push('/');
    pointer.push_str(part);
    run(pointer);
    pointer.truncate(before);
}

fn shaped(
    node: &mut Node,
    shape: Shape,
    pointer: &mut String,
    change: &mut dyn FnMut(&mut Node, &str),
) {
    match (shape, &mut node.value) {
        (Shape::One(kind), _) => each_schema(node, kind, pointer, change),
        (Shape::List(kind), Value::List(items)) => {
            for (index, item) in items.iter_mut().enumerate() {
                inside(pointer, &index.to_string(), |pointer| {
                    each_schema(item, kind, pointer, change);
                });
            }
        }
        (Shape::SchemaOrList, Value::List(_)) => {
            shaped(node, Shape::List(Kind::Schema), pointer, change);
        }
        (Shape::SchemaOrBool | Shape::SchemaOrList, _) => {
            each_schema(node, Kind::Schema, pointer, change);
        }
        (Shape::Map(kind), Value::Object(object)) => {
            for (name, member) in object {
                if !kind.is_extension(name) {
                    inside(pointer, &escape(name), |pointer| {
                        each_schema(&mut member.node, kind, pointer, change);
                    });
                }
            }
        }
        (Shape::Data | Shape::Text | Shape::Flag | Shape::List(_) | Shape::Map(_), _) => {}
    }
}

/// A tree of 3.0 as JSON of 3.1.
pub(super) fn raised(node: &Node, kind: Kind) -> Json {
    let Value::Object(object) = &node.value else {
        return node.to_json();
    };
    let members = object.iter().map(|(name, member)| {
        let shape = kind.shape(name).filter(|_| !name.starts_with("x-"));
        let json = match shape {
            Some(shape) => raised_shape(&member.node, shape),
            None => member.node.to_json(),
        };
        (name.to_string(), json)
    });
    let mut json = Json::Object(members.collect());
    if kind == Kind::Schema {
        raise(&mut json);
    }
    json
}

fn raised_shape(node: &Node, shape: Shape) -> Json {
    match (shape, &node.value) {
        (Shape::List(kind), Value::List(items)) => {
            items.iter().map(|item| raised(item, kind)).collect()
        }
        (Shape::SchemaOrList, Value::List(_)) => raised_shape(node, Shape::List(Kind::Schema)),
        (Shape::Map(kind), Value::Object(object)) => {
            let members = object.iter().map(|(name, member)| {
                let json = if kind.is_extension(name) {
                    member.node.to_json()
                } else {
                    raised(&member.node, kind)
                };
                (name.to_string(), json)
            });
            Json::Object(members.collect())
        }
        (Shape::One(kind), _) => raised(node, kind),
        (Shape::SchemaOrBool | Shape::SchemaOrList, _) => raised(node, Kind::Schema),
        (Shape::Data | Shape::Text | Shape::Flag | Shape::List(_) | Shape::Map(_), _) => {
            node.to_json()
        }
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
                return (!TYPES.contains(&text.as_str())).then_some(what);
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
fn raise(schema: &mut Json) {
    let Json::Object(object) = schema else {
        return;
    };
    for (limit, exclusive) in [
        ("maximum", "exclusiveMaximum"),
        ("minimum", "exclusiveMinimum"),
    ] {
        match object.get(exclusive) {
            Some(Json::Number(_)) | None => {}
            Some(flag) => {
                let flag = *flag == Json::Bool(true);
                object.remove(exclusive);
                if let Some(limit) = flag.then(|| object.remove(limit)).flatten() {
                    object.insert(exclusive.to_owned(), limit);
                }
            }
        }
    }
    if let Some(example) = object.remove("example") {
        object.insert("examples".to_owned(), Json::Array(vec![example]));
    }
    if object.remove("nullable") == Some(Json::Bool(true)) {
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
fn allow_null(schema: &mut Json) {
    let Json::Object(object) = schema else {
        return;
    };
    match object.get_mut("type") {
        Some(Json::String(name)) if name != "null" => {
            let name = std::mem::take(name);
            object.insert("type".to_owned(), json!([name, "null"]));
            if let Some(Json::Array(values)) = object.get_mut("enum")
                && !values.contains(&Json::Null)
            {
                values.push(Json::Null);
            }
        }
        Some(_) => {}
        None => {
            let constrains = ["allOf", "anyOf", "oneOf", "$ref", "enum", "not"];
            if constrains.iter().any(|name| object.contains_key(*name)) {
                let inner = schema.take();
                *schema = json!({ "anyOf": [inner, { "type": "null" }] });
                // What is said of the property, and not of one kind of its values.
                for name in REMARKS {
                    let said = schema["anyOf"][0].as_object_mut();
                    if let Some(said) = said.and_then(|inner| inner.remove(name)) {
                        schema[name] = said;
                    }
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

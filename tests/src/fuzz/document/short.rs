//! A part of a document that stands alone: short documents are many in the same time.

use std::collections::BTreeSet;

use serde_json::Value;

use super::schema::escape;
use crate::{Random, fuzz::below};

/// The most paths, and the most schemas, besides what they refer to.
const KEPT_MAX: usize = 4;

/// Leaves a few paths and schemas, and what they refer to.
pub(super) fn shorten(document: &mut Value, random: &mut Random) {
    let mut open = Vec::new();
    for within in ["/paths", "/components/schemas"] {
        let object = document.pointer(within).and_then(Value::as_object);
        let names: Vec<&String> = object.into_iter().flatten().map(|it| it.0).collect();
        for _ in 0..=below(random, KEPT_MAX) {
            let name = names.get(below(random, names.len()));
            open.extend(name.map(|name| format!("{within}/{}", escape(name))));
        }
    }
    let mut kept = BTreeSet::new();
    while let Some(at) = open.pop() {
        if let Some(value) = document.pointer(&at) {
            let mut found = Vec::new();
            references(value, &mut found);
            if kept.insert(at) {
                open.append(&mut found);
            }
        }
    }
    let components = document.get("components").and_then(Value::as_object);
    let sections = components.into_iter().flatten().map(|it| it.0.as_str());
    // Security schemes are called by their names.
    let sections = sections.filter(|section| *section != "securitySchemes");
    let mut all: Vec<String> = sections.map(|it| format!("/components/{it}")).collect();
    all.push("/paths".to_owned());
    for within in all {
        if let Some(Value::Object(object)) = document.pointer_mut(&within) {
            object.retain(|name, _| kept.contains(&format!("{within}/{}", escape(name))));
        }
    }
}

/// The components, or paths, that a value refers to.
fn references(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            for (name, inner) in object {
                let reference = (name == "$ref").then(|| inner.as_str()?.strip_prefix("#/"));
                if let Some(reference) = reference.flatten() {
                    let depth = if reference.starts_with("components/") {
                        3
                    } else {
                        2
                    };
                    let parts: Vec<&str> = reference.split('/').take(depth).collect();
                    found.push(format!("/{}", parts.join("/")));
                }
                references(inner, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|inner| references(inner, found)),
        _ => {}
    }
}

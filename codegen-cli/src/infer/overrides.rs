//! What the author of a document decides: `x-memgen-…` beats what was inferred.
//!
//! - At the root, `x-memgen-states` adds states, changes them, or (`false`) takes them away.
//! - In the schema of an entity, `x-memgen-topic`, `x-memgen-partitions`, `x-memgen-partition-by` and `x-memgen-fill` change its states.
//! - In an operation, `x-memgen-action` and its companions say what it does.
//!
//! `OVERRIDES.md` has all of them.

mod operation;
mod state;
#[cfg(test)]
mod tests;

use crate::{
    diagnostic::{Diagnostics, Span},
    model::{Api, Decision, Resource},
    spec::{Node, Spec, escape},
};

const OF_DOCUMENT: [&str; 1] = ["x-memgen-states"];
const OF_SCHEMA: [&str; 4] = [
    "x-memgen-topic",
    "x-memgen-partitions",
    "x-memgen-partition-by",
    "x-memgen-fill",
];
const OF_OPERATION: [&str; 9] = [
    "x-memgen-action",
    "x-memgen-state",
    "x-memgen-key",
    "x-memgen-request",
    "x-memgen-reply",
    "x-memgen-status",
    "x-memgen-missing",
    "x-memgen-list",
    "x-memgen-parent",
];
/// Applies all of them. What is wrong with one is an error at its place.
pub(super) fn apply(api: &mut Api, spec: &Spec, diagnostics: &mut Diagnostics) {
    unknown(&spec.tree, diagnostics);
    state::states(api, spec, diagnostics);
    state::schemas(api, spec, diagnostics);
    for index in 0..api.operations.len() {
        let pointer = api.operations[index].pointer.clone();
        if let Some(node) = spec.tree.pointer(&pointer)
            && OF_OPERATION.iter().any(|name| node.member(name).is_some())
        {
            operation::operation(api, index, node, diagnostics);
        }
    }
}

/// A wrong value, with its place.
struct Wrong(Span, String, String);

impl Wrong {
    fn new(node: &Node, pointer: &str, what: impl Into<String>) -> Self {
        Self(node.span, format!("#{pointer}"), what.into())
    }

    fn report(self, diagnostics: &mut Diagnostics) {
        diagnostics.error(self.0, self.1, self.2);
    }
}

/// Warns of extensions that look like ours and are none.
fn unknown(tree: &Node, diagnostics: &mut Diagnostics) {
    let known: Vec<&str> = OF_DOCUMENT
        .into_iter()
        .chain(OF_SCHEMA)
        .chain(OF_OPERATION)
        .collect();
    let mut open = vec![(tree, String::new())];
    while let Some((node, pointer)) = open.pop() {
        for (index, item) in node.as_list().into_iter().flatten().enumerate() {
            open.push((item, format!("{pointer}/{index}")));
        }
        for (name, member) in node.as_object().into_iter().flatten() {
            let place = format!("{pointer}/{}", escape(name));
            if name.starts_with("x-memgen-") && !known.contains(&name.as_str()) {
                diagnostics.warning(
                    member.name,
                    format!("#{place}"),
                    format!("`{name}` means nothing to memgen"),
                );
                if let Some(near) = nearest(name, known.iter().copied()) {
                    diagnostics.help(format!("`{near}` does"));
                }
            } else if !name.starts_with("x-")
                && !matches!(name.as_str(), "example" | "examples" | "default")
            {
                open.push((&member.node, place));
            }
        }
    }
}

fn nearest<'n>(word: &str, words: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    words
        .map(|other| (strsim::osa_distance(word, other), other))
        .filter(|(distance, _)| *distance <= word.len() / 3)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, other)| other)
}

/// One of some words, or what is nearest to it.
fn one_of<'w>(node: &Node, pointer: &str, words: &[&'w str]) -> Result<&'w str, Wrong> {
    let text = node.as_str().unwrap_or_default();
    if let Some(word) = words.iter().find(|word| **word == text) {
        return Ok(word);
    }
    let near = nearest(text, words.iter().copied())
        .map_or(String::new(), |near| format!("; `{near}` is near"));
    Err(Wrong::new(
        node,
        pointer,
        format!("`{text}` is none of {}{near}", words.join(", ")),
    ))
}

fn text<'n>(node: &'n Node, pointer: &str) -> Result<&'n str, Wrong> {
    node.as_str()
        .ok_or_else(|| Wrong::new(node, pointer, "this has to be a text"))
}

fn no_state(api: &Api, node: &Node, pointer: &str, name: &str) -> Wrong {
    let names = || api.resources.iter().map(|resource| resource.words.as_str());
    let all = names().collect::<Vec<_>>().join(", ");
    let near = nearest(name, names()).map_or(String::new(), |near| format!("; `{near}` is near"));
    let all = if all.is_empty() {
        "there are none".to_owned()
    } else {
        format!("there are {all}")
    };
    Wrong::new(
        node,
        pointer,
        format!("there is no state `{name}`: {all}{near}"),
    )
}

/// Where the schema of a state's entities is, as a JSON pointer.
fn schema_of<'a>(api: &'a Api, resource: &Resource) -> &'a str {
    let pointer = &api.types[resource.entity.0].pointer;
    pointer.strip_prefix('#').unwrap_or(pointer)
}

fn to_handler(api: &mut Api, index: usize, reason: &str) {
    let operation = &mut api.operations[index];
    operation.decision = Decision::Handler;
    reason.clone_into(&mut operation.reason);
    if let Some(serde_json::Value::Object(written)) = api.document.pointer_mut(&operation.pointer) {
        written.remove("x-memgen");
    }
}

/// A JSON pointer.
fn place(node: &Node, pointer: &str) -> Result<String, Wrong> {
    let place = text(node, pointer)?;
    if place.is_empty() || place.starts_with('/') {
        return Ok(place.to_owned());
    }
    Err(Wrong::new(
        node,
        pointer,
        format!("`{place}` is no place: it is a JSON pointer, such as `/data`, or the empty text"),
    ))
}

//! Overlays (OpenAPI Overlay 1.0): changes to a document that are kept in a file of their own.
//!
//! They are applied to the document as it was written, before anything else is done with it. What they add knows its place in the overlay.

use serde_json_path::{JsonPath, PathElement};

use super::{
    limits::Budget,
    node::{Member, Node, Value},
};
use crate::diagnostic::Diagnostics;

/// A step from a value to one of its parts.
enum Step {
    Name(String),
    Index(usize),
}

/// Does what the overlay says to the document.
pub(super) fn apply(
    document: &mut Node,
    overlay: &Node,
    budget: &mut Budget,
    diagnostics: &mut Diagnostics,
) {
    let Some(fields) = overlay.as_object() else {
        diagnostics.error(overlay.span, "#", "an overlay is an object");
        return;
    };
    match overlay.member("overlay") {
        None => {
            diagnostics.error(
                overlay.span,
                "#",
                "there is no `overlay` here, so this is no overlay",
            );
            diagnostics.help("an overlay begins with `overlay: 1.0.0`");
            return;
        }
        Some(version) => {
            let text = match &version.value {
                Value::Number(number) => number.to_string(),
                _ => version.as_str().unwrap_or_default().to_owned(),
            };
            if text != "1" && !text.starts_with("1.") {
                diagnostics.error(
                    version.span,
                    "#/overlay",
                    format!("`{text}` is no version of overlays that is understood"),
                );
                diagnostics.help("1.0.0 is");
                return;
            }
        }
    }
    for (name, member) in fields {
        if !["overlay", "info", "extends", "actions"].contains(&name.as_str())
            && !name.starts_with("x-")
        {
            diagnostics.warning(
                member.name,
                format!("#/{name}"),
                format!("an overlay has no `{name}`"),
            );
        }
    }
    let Some(actions) = overlay.member("actions").and_then(Node::as_list) else {
        diagnostics.error(overlay.span, "#", "an overlay has a list of `actions`");
        return;
    };
    for (index, action) in actions.iter().enumerate() {
        let pointer = format!("#/actions/{index}");
        one(document, action, &pointer, budget, diagnostics);
        if budget.is_spent() {
            return;
        }
    }
}

fn one(
    document: &mut Node,
    action: &Node,
    pointer: &str,
    budget: &mut Budget,
    diagnostics: &mut Diagnostics,
) {
    for (name, member) in action.as_object().into_iter().flatten() {
        if !["target", "description", "update", "remove"].contains(&name.as_str())
            && !name.starts_with("x-")
        {
            diagnostics.warning(
                member.name,
                format!("{pointer}/{name}"),
                format!("an action of an overlay has no `{name}`"),
            );
        }
    }
    let Some(target) = action.member("target") else {
        diagnostics.error(
            action.span,
            pointer,
            "an action of an overlay has a `target`, a JSONPath",
        );
        return;
    };
    let at_target = format!("{pointer}/target");
    let path = match target.as_str().map(JsonPath::parse) {
        Some(Ok(path)) => path,
        Some(Err(error)) => {
            diagnostics.error(
                target.span,
                at_target,
                format!("this is no JSONPath: {error}"),
            );
            return;
        }
        None => {
            diagnostics.error(target.span, at_target, "a target is a JSONPath, a text");
            return;
        }
    };
    let json = document.to_json();
    let found: Vec<Vec<Step>> = path
        .query_located(&json)
        .locations()
        .map(|place| {
            place
                .iter()
                .map(|element| match element {
                    PathElement::Name(name) => Step::Name((*name).to_owned()),
                    PathElement::Index(index) => Step::Index(*index),
                })
                .collect()
        })
        .collect();
    if found.is_empty() {
        diagnostics.warning(
            target.span,
            at_target,
            "nothing in the document is there, so nothing is changed",
        );
        return;
    }
    let remove = action
        .member("remove")
        .is_some_and(|remove| remove.value == Value::Bool(true));
    if remove {
        // From the end, so that the places of those before stay what they are.
        for place in found.iter().rev() {
            if !take(document, place) {
                diagnostics.error(
                    target.span,
                    at_target.clone(),
                    "the document itself can't be removed",
                );
            }
        }
    } else if let Some(update) = action.member("update") {
        if let Err(message) = budget.take(update.size().saturating_mul(found.len())) {
            diagnostics.error(update.span, pointer, message);
            return;
        }
        change(
            document,
            &found,
            (target, at_target),
            (update, pointer),
            diagnostics,
        );
    } else {
        diagnostics.warning(
            action.span,
            pointer,
            "neither `update` nor `remove: true`, so nothing is changed",
        );
    }
}

/// Merges an update into what was found, or adds it to lists.
fn change(
    document: &mut Node,
    found: &[Vec<Step>],
    (target, at_target): (&Node, String),
    (update, pointer): (&Node, &str),
    diagnostics: &mut Diagnostics,
) {
    for place in found {
        let Some(node) = find(document, place) else {
            continue;
        };
        let both = node.as_object().is_some() && update.as_object().is_some();
        if both {
            merge(node, update);
            continue;
        }
        match &mut node.value {
            Value::List(items) => items.push(update.clone()),
            Value::Object(_) => {
                diagnostics.error(
                    update.span,
                    format!("{pointer}/update"),
                    "the target is an object, so the update has to be one",
                );
                return;
            }
            _ => {
                diagnostics.error(
                    target.span,
                    at_target,
                    "the target is neither an object nor a list; aim at the object that it is in",
                );
                return;
            }
        }
    }
}

fn find<'n>(document: &'n mut Node, place: &[Step]) -> Option<&'n mut Node> {
    place
        .iter()
        .try_fold(document, |node, step| match (step, &mut node.value) {
            (Step::Name(name), Value::Object(fields)) => {
                Some(&mut fields.get_mut(name.as_str())?.node)
            }
            (Step::Index(index), Value::List(items)) => items.get_mut(*index),
            _ => None,
        })
}

/// Takes a value out of what it is in. Says no to the document itself.
fn take(document: &mut Node, place: &[Step]) -> bool {
    let Some((last, above)) = place.split_last() else {
        return false;
    };
    let Some(parent) = find(document, above) else {
        // It went with something that it was in.
        return true;
    };
    match (last, &mut parent.value) {
        (Step::Name(name), Value::Object(fields)) => drop(fields.remove(name.as_str())),
        (Step::Index(index), Value::List(items)) if *index < items.len() => {
            drop(items.remove(*index));
        }
        _ => {}
    }
    true
}

/// Merges objects: lists grow, other values are replaced.
fn merge(into: &mut Node, update: &Node) {
    let (Value::Object(fields), Value::Object(more)) = (&mut into.value, &update.value) else {
        *into = update.clone();
        return;
    };
    for (name, member) in more {
        match fields.get_mut(name) {
            None => {
                let added = Member {
                    name: member.name,
                    node: member.node.clone(),
                };
                fields.insert(name.clone(), added);
            }
            Some(old) => match (&mut old.node.value, &member.node.value) {
                (Value::Object(_), Value::Object(_)) => merge(&mut old.node, &member.node),
                (Value::List(items), Value::List(more)) => items.extend(more.iter().cloned()),
                _ => old.node = member.node.clone(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::*;
    use crate::spec::{Sources, parse};

    fn changed(actions: &str) -> (Json, Vec<String>) {
        let mut sources = Sources::default();
        let mut diagnostics = Diagnostics::default();
        let document = r#"{"paths": {"/a": {"get": {"tags": ["x"]}, "put": {"tags": []}}, "/b": {"get": {"deprecated": true}}}}"#;
        let overlay = format!(
            "overlay: 1.0.0
info: {{title: T, version: '1'}}
actions: {actions}
"
        );
        let mut budget = Budget::default();
        let mut read = |name: &str, text: &str| {
            let file = sources.add(name, text.into()).unwrap();
            parse(text, name, file, &mut budget, &mut diagnostics).unwrap()
        };
        let mut document = read("a.json", document);
        let overlay = read("overlay.yaml", &overlay);
        apply(&mut document, &overlay, &mut budget, &mut diagnostics);
        let messages = diagnostics.iter().map(|one| {
            assert_eq!(one.span.unwrap().file, 1, "what is wrong is in the overlay");
            format!("{} {}", one.pointer, one.message)
        });
        (document.to_json()["paths"].clone(), messages.collect())
    }

    #[test]
    fn documents_are_changed() {
        for (actions, expected) in [
            (
                "[{target: '$.paths[\"/a\"].get', update: {summary: S, tags: [y]}}]",
                json!({"/a": {"get": {"tags": ["x", "y"], "summary": "S"}, "put": {"tags": []}}, "/b": {"get": {"deprecated": true}}}),
            ),
            (
                "[{target: '$.paths.*.get', update: {x-memgen-action: handler}}]",
                json!({"/a": {"get": {"tags": ["x"], "x-memgen-action": "handler"}, "put": {"tags": []}}, "/b": {"get": {"deprecated": true, "x-memgen-action": "handler"}}}),
            ),
            (
                "[{target: '$.paths[\"/a\"].*.tags', update: z}, {target: '$.paths[?@.get.deprecated]', remove: true}]",
                json!({"/a": {"get": {"tags": ["x", "z"]}, "put": {"tags": ["z"]}}}),
            ),
            (
                "[{target: '$.paths[\"/a\"]', remove: true}, {target: '$.paths', update: {/c: {}}}]",
                json!({"/b": {"get": {"deprecated": true}}, "/c": {}}),
            ),
            (
                "[{target: '$..tags[*]', remove: true}]",
                json!({"/a": {"get": {"tags": []}, "put": {"tags": []}}, "/b": {"get": {"deprecated": true}}}),
            ),
        ] {
            assert_eq!(changed(actions), (expected, Vec::new()), "{actions}");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (actions, message) in [
            (
                "[{target: $.nowhere, remove: true}]",
                "#/actions/0/target nothing in the document",
            ),
            (
                "[{target: '$.[', remove: true}]",
                "#/actions/0/target this is no JSONPath",
            ),
            ("[{target: 3}]", "#/actions/0/target a target is a JSONPath"),
            (
                "[{update: {}}]",
                "#/actions/0 an action of an overlay has a `target`",
            ),
            ("[{target: $}]", "#/actions/0 neither"),
            (
                "[{target: $, remove: true}]",
                "#/actions/0/target the document itself",
            ),
            (
                "[{target: $.paths, update: 3}]",
                "#/actions/0/update the target is an object",
            ),
            (
                "[{target: '$.paths[\"/b\"].get.deprecated', update: {}}]",
                "#/actions/0/target the target is neither",
            ),
            (
                "[{target: $, update: {}, updates: {}}]",
                "#/actions/0/updates an action of an overlay has no `updates`",
            ),
            ("3", "# an overlay has a list of `actions`"),
        ] {
            let (_, messages) = changed(actions);
            assert!(
                messages.iter().any(|it| it.starts_with(message)),
                "{actions}: {messages:?}"
            );
        }
    }
}

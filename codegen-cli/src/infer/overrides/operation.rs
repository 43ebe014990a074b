//! What the extensions of an operation make of it.

use serde_json::{Map, Value, json};

use super::{
    super::{
        field, list, placeholders,
        shape::{self, Shape},
        word,
    },
    Wrong, no_state, one_of, place, schema_of, text, to_handler,
};
use crate::{
    diagnostic::Diagnostics,
    model::{Action, Api, Decision, Operation, Place, Resource, Status, TypeRef},
    spec::{Node, Value as NodeValue, escape},
};

const ACTIONS: [(&str, Action); 6] = [
    ("create", Action::Create),
    ("list", Action::List),
    ("get", Action::Get),
    ("replace", Action::Replace),
    ("update", Action::Update),
    ("delete", Action::Delete),
];

/// The extensions of one operation.
pub(super) fn operation(api: &mut Api, index: usize, node: &Node, diagnostics: &mut Diagnostics) {
    if api.operations[index].decision == Decision::Unsupported {
        return;
    }
    if let Some(action) = node.member("x-memgen-action")
        && action.as_str() == Some("handler")
    {
        to_handler(api, index, "`x-memgen-action` says so");
        return;
    }
    match decide(api, index, node) {
        Ok((decision, value)) => {
            let operation = &mut api.operations[index];
            operation.decision = decision;
            "the document says so (`x-memgen-…`)".clone_into(&mut operation.reason);
            if let Some(written) = api.document.pointer_mut(&operation.pointer) {
                written["x-memgen"] = value;
            }
        }
        Err(wrong) => wrong.report(diagnostics),
    }
}

fn decide(api: &Api, index: usize, node: &Node) -> Result<(Decision, Value), Wrong> {
    let operation = &api.operations[index];
    let at = |name: &str| format!("{}/{name}", operation.pointer);
    let (inferred, was) = match operation.decision {
        Decision::State { resource, action } => (Some(resource), Some(action)),
        _ => (None, None),
    };
    let resource = match node.member("x-memgen-state") {
        Some(state) => {
            let name = text(state, &at("x-memgen-state"))?;
            let found = api
                .resources
                .iter()
                .position(|resource| resource.words == name);
            found.ok_or_else(|| no_state(api, state, &at("x-memgen-state"), name))?
        }
        None => inferred.ok_or_else(|| {
            Wrong::new(
                node,
                &operation.pointer,
                "`x-memgen-state` is missing: the name of the state on which this works",
            )
        })?,
    };
    let action = match node.member("x-memgen-action") {
        Some(action) => {
            let words: Vec<&str> = ACTIONS
                .iter()
                .map(|(word, _)| *word)
                .chain(["handler"])
                .collect();
            let chosen = one_of(action, &at("x-memgen-action"), &words)?;
            ACTIONS
                .iter()
                .find(|(word, _)| *word == chosen)
                .map(|(_, action)| *action)
        }
        None => was,
    };
    let action = action.ok_or_else(|| {
        Wrong::new(
            node,
            &operation.pointer,
            "`x-memgen-action` is missing: what this does with the state",
        )
    })?;
    let state = &api.resources[resource];
    let written = api
        .document
        .pointer(&format!("{}/x-memgen", operation.pointer));
    let mut value = match written {
        Some(value) if inferred == Some(resource) && was == Some(action) => value.clone(),
        _ => usual(api, operation, state, action),
    };
    value["state"] = state.words.clone().into();
    value["action"] = word(action).into();
    if let Some(key) = node.member("x-memgen-key") {
        value["key"] = sources(operation, state, key, &at("x-memgen-key"))?;
    }
    let parts = value["key"].as_array().map_or(0, Vec::len);
    let fits = match action {
        Action::List => parts < state.key.len(),
        _ => parts == state.key.len(),
    };
    if !fits {
        let names: Vec<&str> = state
            .key
            .iter()
            .map(|field| field.parameter.as_str())
            .collect();
        let what = format!(
            "the key of `{}` is ({}), and {parts} of its parts are known here; say in `x-memgen-key` where each comes from",
            state.words,
            names.join(", ")
        );
        let node = node.member("x-memgen-key").unwrap_or(node);
        return Err(Wrong::new(node, &operation.pointer, what));
    }
    details(api, operation, node, &mut value)?;
    Ok((Decision::State { resource, action }, value))
}

/// What is said of a decision besides state, action and key.
fn details(api: &Api, operation: &Operation, node: &Node, value: &mut Value) -> Result<(), Wrong> {
    let at = |name: &str| format!("{}/{name}", operation.pointer);
    for (extension, field) in [("x-memgen-request", "request"), ("x-memgen-reply", "reply")] {
        if let Some(node) = node.member(extension) {
            value[field] = place(node, &at(extension))?.into();
        }
    }
    if let Some(node) = node.member("x-memgen-status") {
        let code = match &node.value {
            NodeValue::Number(number) => number.as_u64().filter(|code| (200..300).contains(code)),
            _ => None,
        };
        value["status"] = code
            .ok_or_else(|| {
                Wrong::new(
                    node,
                    &at("x-memgen-status"),
                    "this is the status of a success, such as 201",
                )
            })?
            .into();
    }
    if let Some(node) = node.member("x-memgen-missing") {
        value["missing"] = match &node.value {
            NodeValue::Number(number) if number.as_u64() == Some(404) => "404".into(),
            _ => one_of(node, &at("x-memgen-missing"), &["create", "404"])?.into(),
        };
    }
    if let Some(node) = node.member("x-memgen-parent") {
        let name = text(node, &at("x-memgen-parent"))?;
        if !api.resources.iter().any(|resource| resource.words == name) {
            return Err(no_state(api, node, &at("x-memgen-parent"), name));
        }
        value["parent"] = json!({ "state": name });
    }
    if let Some(node) = node.member("x-memgen-list") {
        read_list(operation, node, &at("x-memgen-list"), value)?;
    }
    Ok(())
}

/// What an operation would be if nothing more is said than what it does.
fn usual(api: &Api, operation: &Operation, state: &Resource, action: Action) -> Value {
    let parts = if action == Action::List {
        state.key.len() - 1
    } else {
        state.key.len()
    };
    let mut key: Vec<Value> = placeholders(&operation.path)
        .into_iter()
        .take(parts)
        .map(|name| json!({ "parameter": field(operation, name) }))
        .collect();
    if let Some(last) = state.key.last()
        && key.len() + 1 == state.key.len()
        && matches!(action, Action::Create | Action::Replace | Action::Update)
        && let Some(at) = &last.at
    {
        key.push(json!({ "body": at }));
    }
    let entity = Shape::at_pointer(&api.document, schema_of(api, state));
    if action == Action::List
        && let Some(entity) = &entity
        && let Some(value) = list::decide(operation, &api.document, entity, &key)
    {
        return value;
    }
    let status = operation
        .responses
        .iter()
        .find_map(|response| match response.status {
            Status::Code(code @ 200..300) => Some(code),
            _ => None,
        });
    let mut value = json!({ "status": status.unwrap_or(200), "key": key });
    if !shape::is_bodiless(operation) {
        let reply = shape::reply(&api.document, operation, entity.as_ref());
        if action != Action::Delete || reply.is_some() {
            value["reply"] = reply
                .map_or(String::new(), |(_, found)| found.pointer)
                .into();
        }
    }
    if operation.body.is_some() && !matches!(action, Action::Get | Action::Delete | Action::List) {
        let request = entity.and_then(|entity| shape::request(&api.document, operation, &entity));
        value["request"] = request.map_or(String::new(), |found| found.pointer).into();
    }
    if action == Action::Replace {
        value["missing"] = if shape::declares(operation, 404) {
            "404"
        } else {
            "create"
        }
        .into();
    }
    value
}

/// `[ownerId, body:/id]`, `[server]`, or as the runtime has it.
fn sources(
    operation: &Operation,
    state: &Resource,
    node: &Node,
    pointer: &str,
) -> Result<Value, Wrong> {
    let parts = match node.as_list() {
        Some(parts) => parts.iter().collect(),
        None => vec![node],
    };
    let mut sources = Vec::new();
    for (index, part) in parts.into_iter().enumerate() {
        let pointer = format!("{pointer}/{index}");
        let said = text(part, &pointer)?;
        let kind = state.key.get(index).map(|field| match &field.ty {
            TypeRef::I32 | TypeRef::U32 => "int32",
            TypeRef::I64 | TypeRef::U64 => "int64",
            TypeRef::Uuid => "uuid",
            _ => "string",
        });
        sources.push(match (said, said.strip_prefix("body:")) {
            ("server", _) => json!({ "server": kind.unwrap_or("string") }),
            (_, Some(at)) if at.starts_with('/') => json!({ "body": at }),
            (name, None) if placeholders(&operation.path).contains(&name) => json!({ "parameter": field(operation, name) }),
            _ => {
                let what = format!("`{said}` is no place of a key: it is a parameter of the path, `body:/id`, or `server`");
                return Err(Wrong::new(part, &pointer, what));
            }
        });
    }
    Ok(sources.into())
}

/// `{limit: max, next: /next, filters: {status: /status}}`; `null` takes away what was inferred.
fn read_list(
    operation: &Operation,
    node: &Node,
    pointer: &str,
    value: &mut Value,
) -> Result<(), Wrong> {
    const PARAMETERS: [&str; 4] = ["limit", "after", "offset", "page"];
    const PLACES: [&str; 3] = ["next", "total", "more"];
    let fields = node.as_object().ok_or_else(|| {
        Wrong::new(
            node,
            pointer,
            "this is an object: parameters and places by what they are for",
        )
    })?;
    let parameter = |node: &Node, pointer: &str, name: &str| {
        let found = operation
            .parameters
            .iter()
            .find(|parameter| parameter.place == Place::Query && parameter.name == name);
        found
            .map(|parameter| parameter.field.clone())
            .ok_or_else(|| {
                Wrong::new(
                    node,
                    pointer,
                    format!("there is no query parameter `{name}` here"),
                )
            })
    };
    if !value["list"].is_object() {
        value["list"] = json!({});
    }
    let mut served = Vec::new();
    for (name, member) in fields {
        let pointer = format!("{pointer}/{}", escape(name));
        let node = &member.node;
        let new = if node.value == NodeValue::Null {
            Value::Null
        } else if PARAMETERS.contains(&name.as_str()) {
            let field = parameter(node, &pointer, text(node, &pointer)?)?;
            served.push(field.clone());
            field.into()
        } else if PLACES.contains(&name.as_str()) {
            place(node, &pointer)?.into()
        } else if name == "filters" {
            let mut filters = Map::new();
            for (name, member) in node.as_object().into_iter().flatten() {
                let pointer = format!("{pointer}/{}", escape(name));
                let field = parameter(&member.node, &pointer, name)?;
                served.push(field.clone());
                filters.insert(field, place(&member.node, &pointer)?.into());
            }
            filters.into()
        } else {
            let all: Vec<&str> = PARAMETERS
                .into_iter()
                .chain(PLACES)
                .chain(["filters"])
                .collect();
            return Err(Wrong(
                member.name,
                format!("#{pointer}"),
                format!("`{name}` is none of {}", all.join(", ")),
            ));
        };
        if new.is_null() {
            value["list"].as_object_mut().map(|list| list.remove(name));
        } else {
            value["list"][name] = new;
        }
    }
    if let Some(refuses) = value.get_mut("refuses").and_then(Value::as_array_mut) {
        refuses.retain(|name| !served.iter().any(|served| name == served));
    }
    Ok(())
}

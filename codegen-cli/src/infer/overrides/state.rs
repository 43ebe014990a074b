//! What the extensions of the document and of schemas make of the states.

use serde_json::{Map, Value, json};

use super::{
    OF_DOCUMENT, OF_SCHEMA, Wrong, nearest, no_state, one_of, place, schema_of, text, to_handler,
};
use crate::{
    diagnostic::Diagnostics,
    infer::PARTITIONS,
    model::{Api, Decision, KeyField, Resource, TypeDef, TypeId, TypeKind, TypeRef},
    spec::{Node, Spec, Value as NodeValue, escape},
};

/// What `x-memgen-states` says of one state.
const OF_STATE: [&str; 6] = [
    "schema",
    "key",
    "topic",
    "partitions",
    "partition-by",
    "fill",
];
const KINDS: [&str; 6] = ["int32", "int64", "uint32", "uint64", "string", "uuid"];
/// More partitions than anybody wants.
const PARTITIONS_MAX: u64 = 4096;

/// `x-memgen-states`.
pub(super) fn states(api: &mut Api, spec: &Spec, diagnostics: &mut Diagnostics) {
    let Some(states) = spec.tree.member(OF_DOCUMENT[0]) else {
        return;
    };
    let root = format!("/{}", OF_DOCUMENT[0]);
    let Some(fields) = states.as_object() else {
        Wrong::new(
            states,
            &root,
            "this is an object: what is said of each state, by its name",
        )
        .report(diagnostics);
        return;
    };
    for (name, member) in fields {
        let pointer = format!("{root}/{}", escape(name));
        let outcome = match &member.node.value {
            NodeValue::Bool(false) => {
                remove(api, name).ok_or_else(|| no_state(api, &member.node, &pointer, name))
            }
            _ => state(api, name, &member.node, &pointer),
        };
        if let Err(wrong) = outcome {
            wrong.report(diagnostics);
        }
    }
}

/// Takes a state away: its operations are functions of the user's.
fn remove(api: &mut Api, name: &str) -> Option<()> {
    let gone = api
        .resources
        .iter()
        .position(|resource| resource.words == name)?;
    api.resources.remove(gone);
    for index in 0..api.operations.len() {
        match &mut api.operations[index].decision {
            Decision::State { resource, .. } if *resource == gone => {
                to_handler(api, index, "`x-memgen-states` takes the state away");
            }
            Decision::State { resource, .. } if *resource > gone => *resource -= 1,
            _ => {}
        }
    }
    if let Some(states) = api
        .document
        .pointer_mut("/x-memgen/states")
        .and_then(Value::as_object_mut)
    {
        states.remove(name);
    }
    // A new entity asks for no parent that nobody keeps.
    for operation in &api.operations {
        let parent = api
            .document
            .pointer_mut(&format!("{}/x-memgen", operation.pointer));
        if let Some(Value::Object(decision)) = parent
            && decision
                .get("parent")
                .is_some_and(|parent| parent["state"] == name)
        {
            decision.remove("parent");
        }
    }
    Some(())
}

/// Adds a state, or changes one.
fn state(api: &mut Api, name: &str, node: &Node, pointer: &str) -> Result<(), Wrong> {
    let fields = node
        .as_object()
        .ok_or_else(|| Wrong::new(node, pointer, "this is an object, or `false`"))?;
    for (field, member) in fields {
        if !OF_STATE.contains(&field.as_str()) {
            let near = nearest(field, OF_STATE.into_iter())
                .map_or(String::new(), |near| format!("; `{near}` is near"));
            let what = format!("nothing called `{field}` can be said of a state{near}");
            return Err(Wrong(
                member.name,
                format!("#{pointer}/{}", escape(field)),
                what,
            ));
        }
    }
    let is_name = name.starts_with(|first: char| first.is_ascii_lowercase())
        && name
            .chars()
            .all(|one| one.is_ascii_lowercase() || one.is_ascii_digit() || one == '_');
    if !is_name {
        let what = format!("`{name}` is no name of a state: small letters, digits and `_` are");
        return Err(Wrong::new(node, pointer, what));
    }
    let index = api
        .resources
        .iter()
        .position(|resource| resource.words == name);
    let entity = match node.member("schema") {
        None => None,
        Some(schema) => Some(entity(api, schema, &format!("{pointer}/schema"))?),
    };
    let key = match node.member("key") {
        None => None,
        Some(key) => Some(key_fields(key, &format!("{pointer}/key"))?),
    };
    let index = match (index, entity, &key) {
        (Some(index), ..) => index,
        (None, Some(entity), Some(key)) => {
            api.resources.push(Resource {
                words: name.to_owned(),
                doc: String::new(),
                collection: format!("/{name}"),
                entity,
                key: key.clone(),
                partition_by: 1,
                partitions: PARTITIONS,
                topic: name.to_owned(),
            });
            api.resources.len() - 1
        }
        _ => {
            let Wrong(span, place, what) = no_state(api, node, pointer, name);
            return Err(Wrong(
                span,
                place,
                format!("{what}; a new one needs `schema` and `key`"),
            ));
        }
    };
    let resource = &mut api.resources[index];
    if let Some(entity) = entity {
        resource.entity = entity;
    }
    if let Some(key) = key {
        resource.partition_by = resource.partition_by.min(key.len());
        resource.key = key;
    }
    for (field, extension) in [
        ("topic", OF_SCHEMA[0]),
        ("partitions", OF_SCHEMA[1]),
        ("partition-by", OF_SCHEMA[2]),
    ] {
        if let Some(value) = node.member(field) {
            layout(resource, extension, value, &format!("{pointer}/{field}"))?;
        }
    }
    let fill = node
        .member("fill")
        .map(|fill| fill_of(fill, &format!("{pointer}/fill")))
        .transpose()?;
    write_state(api, index, fill);
    Ok(())
}

fn entity(api: &Api, node: &Node, pointer: &str) -> Result<TypeId, Wrong> {
    let place = text(node, pointer)?;
    let is_it = |def: &TypeDef| def.pointer == place && matches!(def.kind, TypeKind::Struct(_));
    api.types.iter().position(is_it).map(TypeId).ok_or_else(|| {
        Wrong::new(
            node,
            pointer,
            "there is no schema of an object at this place, such as `#/components/schemas/Pet`",
        )
    })
}

/// `[{parameter: petId, type: int64, at: /id}]`
fn key_fields(node: &Node, pointer: &str) -> Result<Vec<KeyField>, Wrong> {
    let parts = node.as_list().filter(|parts| !parts.is_empty());
    let parts = parts.ok_or_else(|| {
        Wrong::new(
            node,
            pointer,
            "a key is a list of its parts: `[{parameter: petId, type: int64, at: /id}]`",
        )
    })?;
    let part = |(index, part): (usize, &Node)| {
        let pointer = format!("{pointer}/{index}");
        let parameter = part.member("parameter").ok_or_else(|| {
            Wrong::new(
                part,
                &pointer,
                "a part of a key has a `parameter`: its name in the path",
            )
        })?;
        let kind = part.member("type").ok_or_else(|| {
            Wrong::new(
                part,
                &pointer,
                format!("a part of a key has a `type`: one of {}", KINDS.join(", ")),
            )
        })?;
        let ty = match one_of(kind, &format!("{pointer}/type"), &KINDS)? {
            "int32" => TypeRef::I32,
            "int64" => TypeRef::I64,
            "uint32" => TypeRef::U32,
            "uint64" => TypeRef::U64,
            "uuid" => TypeRef::Uuid,
            _ => TypeRef::String,
        };
        let at = match part.member("at") {
            None => None,
            Some(at) => Some(place(at, &format!("{pointer}/at"))?),
        };
        Ok(KeyField {
            parameter: text(parameter, &format!("{pointer}/parameter"))?.to_owned(),
            ty,
            at,
        })
    };
    parts.iter().enumerate().map(part).collect()
}

/// Topic and partitions of a state.
fn layout(
    resource: &mut Resource,
    extension: &str,
    node: &Node,
    pointer: &str,
) -> Result<(), Wrong> {
    let number = match &node.value {
        NodeValue::Number(number) => number.as_u64(),
        _ => None,
    };
    match extension {
        "x-memgen-topic" => {
            let topic = text(node, pointer)?;
            let good = |one: char| one.is_ascii_alphanumeric() || matches!(one, '.' | '_' | '-');
            if topic.is_empty()
                || topic.len() > 200
                || !topic.chars().all(good)
                || topic.starts_with('.')
            {
                return Err(Wrong::new(
                    node,
                    pointer,
                    format!(
                        "`{topic}` is no name of a topic: letters, digits, `.`, `_` and `-` are"
                    ),
                ));
            }
            topic.clone_into(&mut resource.topic);
        }
        "x-memgen-partitions" => match number {
            Some(count @ 1..=PARTITIONS_MAX) => {
                resource.partitions = u32::try_from(count).unwrap_or(u32::MAX);
            }
            _ => {
                return Err(Wrong::new(
                    node,
                    pointer,
                    format!("this is a number of partitions, from 1 to {PARTITIONS_MAX}"),
                ));
            }
        },
        _ => {
            let names: Vec<&str> = resource
                .key
                .iter()
                .map(|field| field.parameter.as_str())
                .collect();
            let by_name = node
                .as_str()
                .and_then(|name| names.iter().position(|known| *known == name));
            let count = number
                .and_then(|count| usize::try_from(count).ok())
                .or(by_name.map(|index| index + 1));
            match count {
                Some(count) if (1..=names.len()).contains(&count) => resource.partition_by = count,
                _ => {
                    let what = format!(
                        "this is the last part of the key that decides the partition: one of {}, or how many parts do",
                        names.join(", ")
                    );
                    return Err(Wrong::new(node, pointer, what));
                }
            }
        }
    }
    Ok(())
}

/// `{/createdAt: created, /status: {value: new}}`
fn fill_of(node: &Node, pointer: &str) -> Result<Value, Wrong> {
    let fields = node.as_object().ok_or_else(|| {
        Wrong::new(
            node,
            pointer,
            "this is an object: what the server sets, by place",
        )
    })?;
    let mut fill = Map::new();
    for (at, member) in fields {
        let pointer = format!("{pointer}/{}", escape(at));
        if !at.starts_with('/') {
            return Err(Wrong::new(
                &member.node,
                &pointer,
                format!("`{at}` is no place in the entity, such as `/createdAt`"),
            ));
        }
        let value = member.node.to_json();
        let is_value = value
            .as_object()
            .is_some_and(|value| value.len() == 1 && value.contains_key("value"));
        if value != "created" && value != "updated" && !is_value {
            return Err(Wrong::new(
                &member.node,
                &pointer,
                "this is `created`, `updated`, or `{value: …}`",
            ));
        }
        fill.insert(at.clone(), value);
    }
    Ok(fill.into())
}

/// Extensions in the schemas of entities.
pub(super) fn schemas(api: &mut Api, spec: &Spec, diagnostics: &mut Diagnostics) {
    for index in 0..api.resources.len() {
        let pointer = schema_of(api, &api.resources[index]).to_owned();
        let Some(schema) = spec.tree.pointer(&pointer) else {
            continue;
        };
        let mut fill = None;
        for extension in OF_SCHEMA {
            let Some(value) = schema.member(extension) else {
                continue;
            };
            let place = format!("{pointer}/{extension}");
            let outcome = if extension == "x-memgen-fill" {
                fill_of(value, &place).map(|value| fill = Some(value))
            } else {
                layout(&mut api.resources[index], extension, value, &place)
            };
            if let Err(wrong) = outcome {
                wrong.report(diagnostics);
            }
        }
        write_state(api, index, fill);
    }
    let mut topics: Vec<(&str, &str)> = Vec::new();
    for resource in &api.resources {
        if let Some((_, other)) = topics.iter().find(|(topic, _)| *topic == resource.topic) {
            let message = format!(
                "the states `{other}` and `{}` both have the topic `{}`",
                resource.words, resource.topic
            );
            diagnostics.error(spec.tree.span, "#", message);
            diagnostics.help("name one in `x-memgen-states`");
        }
        topics.push((&resource.topic, &resource.words));
    }
}

/// Writes a state into the document as the runtime reads it.
fn write_state(api: &mut Api, index: usize, fill: Option<Value>) {
    let resource = &api.resources[index];
    let key = resource.key.iter().map(|field| {
        let kind = match &field.ty {
            TypeRef::I32 => "int32",
            TypeRef::I64 => "int64",
            TypeRef::U32 => "uint32",
            TypeRef::U64 => "uint64",
            TypeRef::Uuid => "uuid",
            _ => "string",
        };
        let mut part = json!({"parameter": field.parameter, "type": kind});
        if let Some(at) = &field.at {
            part["at"] = at.clone().into();
        }
        part
    });
    let mut state = json!({
        "schema": format!("#{}", schema_of(api, resource)),
        "topic": resource.topic,
        "partitions": resource.partitions,
        "partition_by": resource.partition_by,
        "key": key.collect::<Vec<_>>(),
    });
    let states = &mut api.document["x-memgen"]["states"];
    if let Some(fill) = fill.or_else(|| states.get(&resource.words)?.get("fill").cloned()) {
        state["fill"] = fill;
    }
    states[&resource.words] = state;
}

//! The operations that a state has without code, described from its definition.

use std::collections::HashMap;

use axum::http::Method;
use schemars::Schema;
use serde_json::{Map, Value, json};

use crate::{
    operation::{Convention, Operation, placeholders, resolve},
    state::{Crud, Definition},
};

/// Where an operation is, and what it is called.
pub(super) struct Route {
    pub(super) method: Method,
    pub(super) path: &'static str,
    pub(super) id: String,
    pub(super) doc: String,
}

impl Route {
    /// Feeds have none: they are another form of what `get` and `list` answer.
    pub(super) fn of(crud: Crud, definition: &Definition) -> Option<Self> {
        let name = definition.name;
        let (method, path, verb, doc) = match crud {
            Crud::Get => (Method::GET, definition.item, "get", format!("One {name}.")),
            Crud::List => (
                Method::GET,
                definition.collection,
                "list",
                format!("All of {name}, in the order of their keys, by pages."),
            ),
            Crud::Post => (
                Method::POST,
                definition.collection,
                "create",
                format!("Creates {name}.\n\nIts key must not exist: 409 otherwise."),
            ),
            Crud::Put => (
                Method::PUT,
                definition.item,
                "put",
                format!(
                    "Creates or replaces one {name}.\n\nThe key is that of the path; the body may leave it out."
                ),
            ),
            Crud::Patch => (
                Method::PATCH,
                definition.item,
                "patch",
                format!(
                    "Changes some fields of one {name}.\n\nJSON merge patch, RFC 7396: a field that is there is set, one that is \
                     `null` is removed, others stay."
                ),
            ),
            Crud::Delete => (
                Method::DELETE,
                definition.item,
                "delete",
                format!("Deletes one {name}."),
            ),
            Crud::Watch => return None,
        };
        Some(Self {
            method,
            path,
            id: format!("{verb}_{}", snake_case(name)),
            doc,
        })
    }
}

/// Describes one operation, whose entity has this schema.
pub(super) fn describe(
    crud: Crud,
    definition: &Definition,
    schema: &Schema,
    operation: &mut Operation<'_>,
) {
    let entity = schema.as_value();
    match crud {
        Crud::Get => {
            operation.convention(Convention::IfNoneMatch);
            operation.reply_with(200, entity);
            operation.reply_empty(304);
            operation.success_header("ETag", "ETag");
            operation.problem(404);
        }
        Crud::List => {
            for parameter in ["ListLimit", "ListAfter", "ListPrefix"] {
                operation.shared_parameter(parameter);
            }
            operation.reply_with(200, &page(entity));
            operation.problem(400);
        }
        Crud::Post => {
            let given = placeholders(definition.collection);
            let body = operation.derived(schema, "Post", |object| optional(object, &given));
            operation.body_with("application/json", &body);
            operation.reply_with(201, entity);
            operation.success_header("ETag", "ETag");
            operation.problem(409);
        }
        Crud::Put => {
            let given = placeholders(definition.item);
            let body = operation.derived(schema, "Put", |object| optional(object, &given));
            operation.convention(Convention::IfMatch);
            operation.convention(Convention::IfNoneMatch);
            operation.body_with("application/json", &body);
            operation.reply_with(200, entity);
            operation.reply_with(201, entity);
            minimal(operation);
            operation.success_header("ETag", "ETag");
            operation.problem(412);
        }
        Crud::Patch => {
            let body = operation.derived(schema, "Patch", merge_patch);
            operation.convention(Convention::IfMatch);
            operation.body_with("application/merge-patch+json", &body);
            operation.body_with("application/json", &body);
            operation.reply_with(200, entity);
            minimal(operation);
            operation.success_header("ETag", "ETag");
            operation.problem(404);
            operation.problem(412);
        }
        Crud::Delete => {
            operation.convention(Convention::IfMatch);
            operation.reply_empty(204);
            operation.problem(404);
            operation.problem(412);
        }
        Crud::Watch => {}
    }
    if matches!(crud, Crud::Get | Crud::List) {
        if definition.is_watched() {
            operation.feed();
        }
        for header in Convention::READ {
            operation.convention(header);
        }
    } else {
        operation.convention(Convention::IdempotencyKey);
        if crud != Crud::Delete {
            operation.convention(Convention::Prefer);
        }
        operation.success_header("Memgen-Position", "MemgenPosition");
        operation.problem(507);
    }
    operation.problem(503);
}

/// The answer without a body that `Prefer: return=minimal` asks for.
fn minimal(operation: &mut Operation<'_>) {
    operation.reply_empty(204);
    operation.reply_header(204, "Preference-Applied", "PreferenceApplied");
}

fn page(entity: &Value) -> Value {
    json!({
        "type": "object",
        "required": ["items"],
        "properties": {
            "items": { "type": "array", "items": entity },
            "next": {
                "type": ["string", "null"],
                "description": "The `after` of the next page; `null` on the last.",
            },
        },
    })
}

/// The schema with some fields no longer required.
fn optional(object: &mut Map<String, Value>, fields: &[String]) {
    let Some(Value::Array(required)) = object.get_mut("required") else {
        return;
    };
    required.retain(|field| !fields.iter().any(|given| field == given));
    if required.is_empty() {
        object.remove("required");
    }
}

/// The schema of a merge patch: no field is required, and each may be `null`.
fn merge_patch(object: &mut Map<String, Value>) {
    object.remove("required");
    let Some(Value::Object(properties)) = object.get_mut("properties") else {
        return;
    };
    for property in properties.values_mut() {
        let null = json!("null");
        let nullable = property["type"]
            .as_array()
            .is_some_and(|types| types.contains(&null));
        if !nullable && !property.is_boolean() {
            *property = json!({ "anyOf": [property.take(), { "type": "null" }] });
        }
    }
}

/// The schemas of the key fields. A field that serde renames is not found, and is a text then.
pub(super) fn key_schemas(
    definition: &Definition,
    definitions: &Map<String, Value>,
    schema: &Schema,
) -> HashMap<&'static str, Value> {
    let properties =
        resolve(definitions, schema).and_then(|schema| schema["properties"].as_object());
    definition
        .key_fields
        .iter()
        .filter_map(|field| Some((*field, properties?.get(*field)?.clone())))
        .collect()
}

/// `BookOrder` as `book_order`.
pub(super) fn snake_case(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 4);
    let mut before = '_';
    let mut letters = name.chars().peekable();
    while let Some(letter) = letters.next() {
        let next_is_small = letters.peek().is_some_and(|next| next.is_lowercase());
        if letter.is_uppercase() && before != '_' && (!before.is_uppercase() || next_is_small) {
            snake.push('_');
        }
        snake.extend(letter.to_lowercase());
        before = letter;
    }
    snake
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_snake_case() {
        for (name, snake) in [
            ("Vertex", "vertex"),
            ("BookOrder", "book_order"),
            ("HTTPRoute", "http_route"),
            ("Order2", "order2"),
            ("A", "a"),
            ("my_state", "my_state"),
        ] {
            assert_eq!(snake_case(name), snake);
        }
    }
}

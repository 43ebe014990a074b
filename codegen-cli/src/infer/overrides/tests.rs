//! Overrides of a small document: what they make of it, and what is said of wrong ones.

use serde_json::Value;

use crate::{diagnostic::Diagnostics, infer, inspect, lower, model::Api, spec};

/// A document with what a row adds: at the root, in the schema, and in `POST /pets/{id}/sell`.
fn read(root: &str, schema: &str, operation: &str) -> (Api, Vec<String>) {
    let text = format!(
        "openapi: 3.1.0
info: {{title: Pets, version: '1'}}
{root}
paths:
  /pets:
    get: {{operationId: list, responses: {{'200': {{description: All, content: {{application/json: {{schema: {{type: array, items: {{$ref: '#/components/schemas/Pet'}}}}}}}}}}}}, parameters: [{{name: size, in: query, schema: {{type: integer}}}}, {{name: max, in: query, schema: {{type: integer}}}}]}}
    post: {{operationId: create, requestBody: {{content: {{application/json: {{schema: {{$ref: '#/components/schemas/Pet'}}}}}}}}, responses: {{'201': {{description: Made, content: {{application/json: {{schema: {{$ref: '#/components/schemas/Pet'}}}}}}}}}}}}
  /pets/{{id}}:
    parameters: [{{name: id, in: path, required: true, schema: {{type: integer, format: int64}}}}]
    get: {{operationId: read, responses: {{'200': {{description: One, content: {{application/json: {{schema: {{$ref: '#/components/schemas/Pet'}}}}}}}}}}}}
  /pets/{{id}}/sell:
    parameters: [{{name: id, in: path, required: true, schema: {{type: integer, format: int64}}}}]
    post:
      operationId: sell
      requestBody: {{content: {{application/json: {{schema: {{$ref: '#/components/schemas/Pet'}}}}}}}}
      responses: {{'200': {{description: Sold, content: {{application/json: {{schema: {{$ref: '#/components/schemas/Pet'}}}}}}}}}}
      {operation}
components:
  schemas:
    Pet:
      type: object
      required: [id]
      properties: {{id: {{type: integer, format: int64, readOnly: true}}, name: {{type: string}}}}
      {schema}
    Toy:
      type: object
      properties: {{id: {{type: string}}}}
"
    );
    let mut diagnostics = Diagnostics::default();
    let (_, spec) = spec::read_bytes("pets.yaml", text.as_bytes(), &mut diagnostics);
    let spec = spec.expect("it can be read");
    let mut api = lower::lower(&spec, &mut diagnostics);
    infer::infer(&mut api, &spec, &mut diagnostics);
    let messages = diagnostics.iter().map(|one| {
        assert!(one.span.is_some_and(|span| span.line > 0), "{one:?}");
        format!(
            "{} {} {}",
            one.pointer,
            one.message,
            one.help.as_deref().unwrap_or_default()
        )
    });
    let messages = messages.collect();
    (api, messages)
}

fn verdict(api: &Api, id: &str) -> (&'static str, Value) {
    let operation = api
        .operations
        .iter()
        .find(|operation| operation.id == id)
        .expect("it is there");
    let value = api
        .document
        .pointer(&format!("{}/x-memgen", operation.pointer));
    (
        inspect::verdict(operation),
        value.cloned().unwrap_or_default(),
    )
}

#[test]
fn the_author_decides() {
    let (api, messages) = read("", "", "");
    assert_eq!(messages, [""; 0]);
    assert_eq!(verdict(&api, "sell"), ("handler", Value::Null));
    assert_eq!(verdict(&api, "create").0, "create");

    let (api, messages) = read(
        "",
        "x-memgen-topic: animals",
        "x-memgen-action: update\n      x-memgen-state: pet",
    );
    assert_eq!(messages, [""; 0]);
    let (what, value) = verdict(&api, "sell");
    assert_eq!(
        (what, &value["key"], &value["request"]),
        (
            "update",
            &serde_json::json!([{"parameter": "id"}]),
            &"".into()
        )
    );
    assert_eq!(api.resources[0].topic, "animals");
    assert_eq!(
        api.document["x-memgen"]["states"]["pet"]["topic"],
        "animals"
    );

    let (api, messages) = read(
        "x-memgen-states: {toy: {schema: '#/components/schemas/Toy', key: [{parameter: id, type: string, at: /id}], partitions: 3}, pet: {fill: {/name: {value: Rex}}}}",
        "x-memgen-partitions: 5\n      x-memgen-partition-by: id",
        "x-memgen-action: create\n      x-memgen-state: toy\n      x-memgen-key: server\n      x-memgen-status: 200\n      x-memgen-parent: pet",
    );
    assert_eq!(messages, [""; 0]);
    assert_eq!(api.document["x-memgen"]["states"]["toy"]["partitions"], 3);
    assert_eq!(
        api.document["x-memgen"]["states"]["pet"]["fill"]["/name"]["value"],
        "Rex"
    );
    assert_eq!(api.resources[0].partitions, 5);
    let (what, value) = verdict(&api, "sell");
    assert_eq!(
        (what, &value["key"]),
        ("create", &serde_json::json!([{"server": "string"}]))
    );
    assert_eq!(value["parent"]["state"], "pet");

    let (api, messages) = read("x-memgen-states: {pet: false}", "", "");
    assert_eq!(messages, [""; 0]);
    assert_eq!(verdict(&api, "create"), ("handler", Value::Null));
    assert!(api.resources.is_empty());
}

#[test]
fn wrong_ones_are_named() {
    for (root, schema, operation, message) in [
        (
            "",
            "",
            "x-memgen-acton: get",
            "sell/post/x-memgen-acton `x-memgen-acton` means nothing to memgen `x-memgen-action` does",
        ),
        (
            "",
            "",
            "x-memgen-action: updat\n      x-memgen-state: pet",
            "x-memgen-action `updat` is none of",
        ),
        (
            "",
            "",
            "x-memgen-action: get",
            "`x-memgen-state` is missing",
        ),
        (
            "",
            "",
            "x-memgen-state: pet",
            "`x-memgen-action` is missing",
        ),
        (
            "",
            "",
            "x-memgen-action: get\n      x-memgen-state: pets",
            "there is no state `pets`: there are pet; `pet` is near",
        ),
        (
            "",
            "",
            "x-memgen-action: get\n      x-memgen-state: pet\n      x-memgen-key: [petId]",
            "x-memgen-key/0 `petId` is no place of a key",
        ),
        (
            "",
            "",
            "x-memgen-action: get\n      x-memgen-state: pet\n      x-memgen-key: [id, id]",
            "2 of its parts are known here",
        ),
        (
            "",
            "",
            "x-memgen-action: get\n      x-memgen-state: pet\n      x-memgen-reply: data",
            "x-memgen-reply `data` is no place",
        ),
        (
            "",
            "",
            "x-memgen-action: get\n      x-memgen-state: pet\n      x-memgen-status: 404",
            "x-memgen-status this is the status of a success",
        ),
        (
            "",
            "",
            "x-memgen-action: list\n      x-memgen-state: pet\n      x-memgen-key: []\n      x-memgen-list: {limit: many}",
            "x-memgen-list/limit there is no query parameter `many`",
        ),
        (
            "",
            "x-memgen-partitions: 0",
            "",
            "Pet/x-memgen-partitions this is a number of partitions",
        ),
        (
            "",
            "x-memgen-partition-by: 2",
            "",
            "Pet/x-memgen-partition-by this is the last part of the key",
        ),
        ("", "x-memgen-topic: a/b", "", "`a/b` is no name of a topic"),
        (
            "x-memgen-states: {pet: {partition: 3}}",
            "",
            "",
            "#/x-memgen-states/pet/partition nothing called `partition` can be said",
        ),
        (
            "x-memgen-states: {toy: {}}",
            "",
            "",
            "a new one needs `schema` and `key`",
        ),
        (
            "x-memgen-states: {toys: false}",
            "",
            "",
            "there is no state `toys`",
        ),
        (
            "x-memgen-states: {toy: {schema: '#/components/schemas/Pet', key: [{parameter: id, type: int}]}}",
            "",
            "",
            "`int` is none of",
        ),
        (
            "x-memgen-states: {toy: {schema: '#/components/schemas/Pets', key: [{parameter: id, type: int64}]}}",
            "",
            "",
            "there is no schema of an object",
        ),
        (
            "x-memgen-states: {toy: {schema: '#/components/schemas/Pet', key: [{parameter: id, type: int64}], topic: pet}}",
            "",
            "",
            "both have the topic `pet`",
        ),
        (
            "x-memgen-states: 3",
            "",
            "",
            "#/x-memgen-states this is an object",
        ),
    ] {
        let (_, messages) = read(root, schema, operation);
        assert!(
            messages.iter().any(|it| it.contains(message)),
            "{root} {schema} {operation}: {messages:?}"
        );
    }
}

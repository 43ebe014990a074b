//! Every keyword of a schema is enforced where a request has a value of it, and the field that is wrong is named.

use memgen_tests::Client;
use serde_json::{Map, Value, json};

use super::kit::{Document, Started, pointers};

/// A schema, values that it lets through, and values that it refuses with the field that is named.
struct Row {
    schema: Value,
    good: Vec<Value>,
    bad: Vec<(Value, &'static str)>,
}

fn row(schema: Value, good: &[Value], bad: &[(Value, &'static str)]) -> Row {
    Row {
        schema,
        good: good.to_vec(),
        bad: bad.to_vec(),
    }
}

/// One operation for each row, which takes `{"it": …}`.
fn document(version: &str, rows: &[Row], schemas: &Value) -> Document {
    let mut paths = Map::new();
    for (index, row) in rows.iter().enumerate() {
        let schema = json!({
            "type": "object", "required": ["it"], "properties": { "it": row.schema },
        });
        let operation = json!({
            "operationId": format!("op{index}"),
            "requestBody": { "required": true, "content": { "application/json": { "schema": schema } } },
            "responses": { "200": { "description": "Done." } },
        });
        paths.insert(format!("/op{index}"), json!({ "post": operation }));
    }
    let document = json!({
        "openapi": version,
        "info": { "title": "Values", "version": "1" },
        "paths": paths,
        "components": { "schemas": schemas },
    });
    Document::new(&document.to_string())
}

async fn check(version: &str, rows: &[Row], schemas: &Value) {
    let document = document(version, rows, schemas);
    let service = memgen::service!().contract(document.contract());
    let started = Started::new(service, 1).await;
    let client = started.client(0);
    let mut wrong = Vec::new();
    for (index, row) in rows.iter().enumerate() {
        let path = format!("/op{index}");
        for value in &row.good {
            if let Err(what) = good(&client, &path, value).await {
                wrong.push(format!("{} {value}: {what}", row.schema));
            }
        }
        for (value, field) in &row.bad {
            if let Err(what) = bad(&client, &path, value, field).await {
                wrong.push(format!("{} {value} {field}: {what}", row.schema));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    started.stop().await;
}

async fn good(client: &Client, path: &str, value: &Value) -> Result<(), String> {
    let reply = client.post(path, &json!({ "it": value })).await;
    if reply.status != 200 {
        return Err(format!("{} {}", reply.status, reply.text()));
    }
    let read = reply.json()["body"]["holds"]["it"].clone();
    if read != *value {
        return Err(format!("it was read as {read}"));
    }
    Ok(())
}

async fn bad(client: &Client, path: &str, value: &Value, field: &str) -> Result<(), String> {
    let reply = client.post(path, &json!({ "it": value })).await;
    if reply.status != 422 {
        return Err(format!("{} {}", reply.status, reply.text()));
    }
    let named = pointers(&reply);
    if !named.iter().any(|named| named == field) {
        return Err(format!("it names {named:?}"));
    }
    Ok(())
}

#[tokio::test]
#[allow(clippy::too_many_lines, reason = "a table")]
async fn keywords_of_3_1() {
    let schemas = json!({
        "Tree": { "type": "object", "required": ["name"], "properties": {
            "name": { "type": "string", "minLength": 1 },
            "children": { "type": "array", "items": { "$ref": "#/components/schemas/Tree" } },
        } },
        "Cat": { "type": "object", "required": ["kind", "lives"], "properties": { "kind": { "type": "string" }, "lives": { "type": "integer", "maximum": 9 } } },
        "Dog": { "type": "object", "required": ["kind"], "properties": { "kind": { "type": "string" }, "tricks": { "type": "array", "items": { "type": "string", "maxLength": 3 } } } },
        "Animal": {
            "oneOf": [{ "$ref": "#/components/schemas/Cat" }, { "$ref": "#/components/schemas/Dog" }],
            "discriminator": { "propertyName": "kind", "mapping": { "cat": "#/components/schemas/Cat", "puppy": "Dog", "hound": "#/components/schemas/Dog" } },
        },
        "Base": { "type": "object", "required": ["id"], "properties": { "id": { "type": "integer" } } },
    });
    let reference = |name: &str| json!({ "$ref": format!("#/components/schemas/{name}") });
    let rows = [
        // Texts.
        row(
            json!({ "type": "string", "minLength": 2, "maxLength": 3 }),
            &[json!("ab"), json!("äöü"), json!("😀😀😀")],
            &[
                (json!("a"), "/it"),
                (json!("abcd"), "/it"),
                (json!("😀"), "/it"),
                (json!(7), "/it"),
                (json!(null), "/it"),
            ],
        ),
        row(
            json!({ "type": "string", "pattern": "^\\d{3}$" }),
            &[json!("123")],
            &[(json!("12a"), "/it"), (json!("1234"), "/it")],
        ),
        // A pattern that is not anchored may match anywhere, and looks ahead as in JavaScript.
        row(
            json!({ "type": "string", "pattern": "b(?!a)" }),
            &[json!("abc")],
            &[(json!("ba"), "/it"), (json!("x"), "/it")],
        ),
        row(
            json!({ "type": "string", "pattern": "^\\p{L}+$" }),
            &[json!("größe")],
            &[(json!("1"), "/it")],
        ),
        row(
            json!({ "type": "string", "format": "uuid" }),
            &[json!("0192f0c1-2b7e-7cc0-98f5-1c4e7a9b0d11")],
            &[(json!("0192f0c1"), "/it"), (json!(""), "/it")],
        ),
        row(
            json!({ "type": "string", "format": "date" }),
            &[json!("2024-02-29")],
            &[
                (json!("2023-02-29"), "/it"),
                (json!("24-2-9"), "/it"),
                (json!("2024-02-29T00:00:00Z"), "/it"),
            ],
        ),
        row(
            json!({ "type": "string", "format": "date-time" }),
            &[
                json!("2024-02-29T12:00:00Z"),
                json!("2024-02-29T12:00:00.123456+01:00"),
            ],
            &[
                (json!("2024-02-29"), "/it"),
                (json!("2024-02-30T12:00:00Z"), "/it"),
                (json!("2024-02-29T12:00:00"), "/it"),
            ],
        ),
        row(
            json!({ "type": "string", "format": "byte" }),
            &[json!("aGk="), json!("aGk"), json!("")],
            &[(json!("*"), "/it")],
        ),
        row(
            json!({ "type": "string", "contentEncoding": "base64" }),
            &[json!("aGk=")],
            &[(json!("*"), "/it")],
        ),
        row(
            json!({ "type": "string", "format": "email" }),
            &[json!("a@b.org")],
            &[(json!("a"), "/it")],
        ),
        row(
            json!({ "type": "string", "format": "uri" }),
            &[json!("https://a.org/b?c")],
            &[(json!("not a uri"), "/it")],
        ),
        row(
            json!({ "type": "string", "format": "ipv4" }),
            &[json!("10.0.0.1")],
            &[(json!("10.0.0.256"), "/it")],
        ),
        row(
            json!({ "type": "string", "format": "ipv6" }),
            &[json!("::1")],
            &[(json!("10.0.0.1"), "/it")],
        ),
        row(
            json!({ "type": "string", "format": "hostname" }),
            &[json!("a.example")],
            &[(json!("a_b!"), "/it")],
        ),
        // Numbers.
        row(
            json!({ "type": "integer", "format": "int32" }),
            &[json!(-2_147_483_648), json!(2_147_483_647)],
            &[
                (json!(2_147_483_648_i64), "/it"),
                (json!(1.5), "/it"),
                (json!("1"), "/it"),
            ],
        ),
        row(
            json!({ "type": "integer", "format": "int64" }),
            &[json!(i64::MIN), json!(i64::MAX)],
            &[
                (json!(9_223_372_036_854_775_808_u64), "/it"),
                (json!(1e30), "/it"),
            ],
        ),
        row(
            json!({ "type": "integer" }),
            &[json!(0), json!(-1)],
            &[(json!(0.5), "/it"), (json!(true), "/it")],
        ),
        row(
            json!({ "type": "integer", "minimum": 1, "exclusiveMaximum": 5, "multipleOf": 2 }),
            &[json!(2), json!(4)],
            &[(json!(0), "/it"), (json!(3), "/it"), (json!(6), "/it")],
        ),
        row(
            json!({ "type": "number", "exclusiveMinimum": 0, "maximum": 1.5, "multipleOf": 0.1 }),
            &[json!(0.1), json!(0.3), json!(1.5), json!(1.1)],
            &[(json!(0), "/it"), (json!(1.6), "/it"), (json!(0.15), "/it")],
        ),
        row(
            json!({ "type": "number", "format": "float" }),
            &[json!(1.5), json!(7)],
            &[(json!("1.5"), "/it"), (json!(1e39), "/it")],
        ),
        row(
            json!({ "type": "number", "format": "double" }),
            &[json!(1.5e300)],
            &[(json!("x"), "/it")],
        ),
        row(
            json!({ "type": "string", "format": "decimal" }),
            &[json!("3.10"), json!("-0.0001")],
            &[(json!("3,10"), "/it"), (json!(""), "/it")],
        ),
        // Values.
        row(
            json!({ "enum": ["a", 1, true, null, 2.5] }),
            &[json!("a"), json!(1), json!(true), json!(null), json!(2.5)],
            &[
                (json!("b"), "/it"),
                (json!(2), "/it"),
                (json!(false), "/it"),
            ],
        ),
        row(
            json!({ "const": { "a": 1 } }),
            &[json!({ "a": 1 })],
            &[(json!({ "a": 2 }), "/it")],
        ),
        row(
            json!({ "type": ["string", "null"], "enum": ["a", null] }),
            &[json!("a"), json!(null)],
            &[(json!("b"), "/it")],
        ),
        row(
            json!({ "type": ["integer", "string", "null"] }),
            &[json!(1), json!("a"), json!(null)],
            &[(json!(true), "/it"), (json!([]), "/it")],
        ),
        row(
            json!({ "type": "boolean" }),
            &[json!(true)],
            &[(json!("true"), "/it"), (json!(0), "/it")],
        ),
        row(
            json!({ "type": "null" }),
            &[json!(null)],
            &[(json!(0), "/it")],
        ),
        // Lists.
        row(
            json!({ "type": "array", "minItems": 1, "maxItems": 2, "uniqueItems": true, "items": { "type": "integer", "minimum": 0 } }),
            &[json!([1]), json!([1, 2])],
            &[
                (json!([]), "/it"),
                (json!([1, 2, 3]), "/it"),
                (json!([1, 1]), "/it"),
                (json!([1, -1]), "/it/1"),
                (json!({}), "/it"),
            ],
        ),
        row(
            json!({ "type": "array", "prefixItems": [{ "type": "string" }, { "type": "integer" }], "items": false }),
            &[json!(["a", 1]), json!(["a"])],
            &[
                (json!([1]), "/it/0"),
                (json!(["a", "b"]), "/it/1"),
                (json!(["a", 1, 2]), "/it/2"),
            ],
        ),
        row(
            json!({ "type": "array", "contains": { "const": 7 }, "minContains": 1, "maxContains": 2 }),
            &[json!([7, 1])],
            &[(json!([1]), "/it"), (json!([7, 7, 7]), "/it")],
        ),
        row(
            json!({ "type": "array", "prefixItems": [{ "type": "string" }], "unevaluatedItems": false }),
            &[json!(["a"])],
            &[(json!(["a", 1]), "/it")],
        ),
        // Objects.
        row(
            json!({ "type": "object", "required": ["a", "x/y~z"], "properties": { "a": { "type": "string" }, "x/y~z": { "type": "integer" } } }),
            &[json!({ "a": "b", "x/y~z": 1, "more": true })],
            &[
                (json!({ "x/y~z": 1 }), "/it/a"),
                (json!({ "a": "b" }), "/it/x~1y~0z"),
                (json!({ "a": "b", "x/y~z": "c" }), "/it/x~1y~0z"),
            ],
        ),
        row(
            json!({ "type": "object", "minProperties": 1, "maxProperties": 2 }),
            &[json!({ "a": 1 })],
            &[
                (json!({}), "/it"),
                (json!({ "a": 1, "b": 2, "c": 3 }), "/it"),
            ],
        ),
        row(
            json!({ "type": "object", "properties": { "a": {} }, "additionalProperties": false }),
            &[json!({ "a": 1 }), json!({})],
            &[(json!({ "b": 1 }), "/it/b")],
        ),
        row(
            json!({ "type": "object", "additionalProperties": { "type": "integer" } }),
            &[json!({ "a": 1 })],
            &[(json!({ "a": "b" }), "/it/a")],
        ),
        row(
            json!({ "type": "object", "patternProperties": { "^n_": { "type": "integer" } }, "additionalProperties": { "type": "string" } }),
            &[json!({ "n_a": 1, "b": "c" })],
            &[
                (json!({ "n_a": "x" }), "/it/n_a"),
                (json!({ "b": 1 }), "/it/b"),
            ],
        ),
        row(
            json!({ "type": "object", "propertyNames": { "pattern": "^[a-z]+$" } }),
            &[json!({ "abc": 1 })],
            &[(json!({ "A": 1 }), "/it")],
        ),
        row(
            json!({ "type": "object", "properties": { "card": {}, "address": {} }, "dependentRequired": { "card": ["address"] } }),
            &[json!({ "card": 1, "address": 2 }), json!({})],
            &[(json!({ "card": 1 }), "/it/address")],
        ),
        row(
            json!({ "type": "object", "properties": { "card": {} }, "dependentSchemas": { "card": { "required": ["address"] } } }),
            &[json!({ "card": 1, "address": 2 })],
            &[(json!({ "card": 1 }), "/it/address")],
        ),
        row(
            json!({ "allOf": [reference("Base"), { "type": "object", "properties": { "name": { "type": "string" } } }], "unevaluatedProperties": false }),
            &[json!({ "id": 1, "name": "a" })],
            &[
                (json!({ "id": 1, "other": 2 }), "/it/other"),
                (json!({ "name": "a" }), "/it/id"),
            ],
        ),
        // Combinations.
        row(
            json!({ "allOf": [{ "minimum": 1 }, { "type": "integer", "maximum": 3 }] }),
            &[json!(1), json!(3)],
            &[(json!(0), "/it"), (json!(4), "/it")],
        ),
        row(
            json!({ "anyOf": [{ "type": "integer" }, { "type": "string", "maxLength": 1 }] }),
            &[json!(1), json!("a")],
            &[(json!("ab"), "/it"), (json!(null), "/it")],
        ),
        row(
            json!({ "oneOf": [{ "type": "integer", "multipleOf": 3 }, { "type": "integer", "multipleOf": 5 }] }),
            &[json!(3), json!(5)],
            &[(json!(15), "/it"), (json!(1), "/it")],
        ),
        row(
            json!({ "not": { "type": "string" } }),
            &[json!(1)],
            &[(json!("a"), "/it")],
        ),
        row(
            json!({
                "type": "object", "properties": { "country": { "type": "string" }, "zip": { "type": "string" } },
                "if": { "properties": { "country": { "const": "DE" } }, "required": ["country"] },
                "then": { "properties": { "zip": { "pattern": "^[0-9]{5}$" } }, "required": ["zip"] },
                "else": { "properties": { "zip": { "maxLength": 3 } } },
            }),
            &[
                json!({ "country": "DE", "zip": "89073" }),
                json!({ "zip": "abc" }),
            ],
            &[
                (json!({ "country": "DE", "zip": "abc" }), "/it/zip"),
                (json!({ "country": "DE" }), "/it/zip"),
                (json!({ "country": "UK", "zip": "abcd" }), "/it/zip"),
            ],
        ),
        row(
            reference("Tree"),
            &[json!({ "name": "a", "children": [{ "name": "b", "children": [] }] })],
            &[
                (
                    json!({ "name": "a", "children": [{ "name": "" }] }),
                    "/it/children/0/name",
                ),
                (
                    json!({ "name": "a", "children": [{ "name": "b", "children": [{}] }] }),
                    "/it/children/0/children/0/name",
                ),
            ],
        ),
        // The discriminator says which one is meant.
        row(
            reference("Animal"),
            &[
                json!({ "kind": "cat", "lives": 9 }),
                json!({ "kind": "puppy", "tricks": ["sit"] }),
                json!({ "kind": "Dog" }),
            ],
            &[
                (json!({ "kind": "cat", "lives": 10 }), "/it/lives"),
                (json!({ "kind": "cat" }), "/it/lives"),
                (
                    json!({ "kind": "puppy", "tricks": ["rollover"] }),
                    "/it/tricks/0",
                ),
                (json!({ "kind": "fish" }), "/it/kind"),
                (json!({ "lives": 1 }), "/it/kind"),
            ],
        ),
    ];
    check("3.1.0", &rows, &schemas).await;
}

#[tokio::test]
async fn keywords_of_3_0() {
    let schemas = json!({
        "Kind": { "type": "string", "enum": ["a", "b"] },
        "Cat": { "allOf": [{ "$ref": "#/components/schemas/Pet" }, { "type": "object", "required": ["lives"], "properties": { "lives": { "type": "integer", "maximum": 9 } } }] },
        "Pet": { "type": "object", "required": ["petType"], "properties": { "petType": { "type": "string" } }, "discriminator": { "propertyName": "petType" } },
    });
    let rows = [
        row(
            json!({ "type": "string", "nullable": true, "maxLength": 1 }),
            &[json!("a"), json!(null)],
            &[(json!("ab"), "/it")],
        ),
        row(
            json!({ "type": "string", "nullable": true, "enum": ["a", null] }),
            &[json!("a"), json!(null)],
            &[(json!("b"), "/it")],
        ),
        row(
            json!({ "type": "integer", "minimum": 0, "exclusiveMinimum": true, "maximum": 5, "exclusiveMaximum": false }),
            &[json!(1), json!(5)],
            &[(json!(0), "/it"), (json!(6), "/it"), (json!(null), "/it")],
        ),
        row(
            json!({ "nullable": true, "allOf": [{ "$ref": "#/components/schemas/Kind" }] }),
            &[json!("a"), json!(null)],
            &[(json!("c"), "/it")],
        ),
        row(
            json!({ "type": "object", "additionalProperties": { "type": "string", "nullable": true } }),
            &[json!({ "a": null, "b": "c" })],
            &[(json!({ "a": 1 }), "/it/a")],
        ),
        row(
            json!({ "type": "array", "items": { "type": "integer", "format": "int32", "nullable": true } }),
            &[json!([1, null])],
            &[(json!([1, "a"]), "/it/1")],
        ),
        row(
            json!({ "$ref": "#/components/schemas/Cat" }),
            &[json!({ "petType": "Cat", "lives": 9 })],
            &[
                (json!({ "petType": "Cat", "lives": 10 }), "/it/lives"),
                (json!({ "lives": 1 }), "/it/petType"),
            ],
        ),
        row(
            json!({ "oneOf": [{ "type": "integer" }, { "type": "boolean" }], "nullable": true }),
            &[json!(1), json!(null)],
            &[(json!("a"), "/it")],
        ),
    ];
    check("3.0.3", &rows, &schemas).await;
}

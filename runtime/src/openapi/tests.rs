use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::*;
use crate::{
    key::{KeyError, KeyReader, KeyWriter},
    state::Crud,
};

/// An order of a customer.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[allow(
    clippy::struct_field_names,
    reason = "a key field is named as its placeholder"
)]
struct Order {
    /// Who ordered.
    customer: u32,
    order: String,
    lines: Vec<Line>,
    note: Option<String>,
}

/// One line of an order.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
struct Line {
    article: String,
    count: u16,
}

impl State for Order {
    type Key = (u32, String);
    const DEFINITION: Definition = Definition {
        name: "Order",
        doc: " An order of a customer.\n\n It has lines.",
        collection: "/customers/{customer}/orders",
        item: "/customers/{customer}/orders/{order}",
        topic: "order",
        partitions: 4,
        global: false,
        crud: &[
            Crud::Get,
            Crud::List,
            Crud::Post,
            Crud::Put,
            Crud::Patch,
            Crud::Delete,
        ],
        ack: &[],
        key_fields: &["customer", "order"],
        key_names: &["customer", "order"],
        partition_by: &["customer"],
        entity: None,
    };
    fn key(&self) -> Self::Key {
        (self.customer, self.order.clone())
    }
    fn write_key(key: &Self::Key, writer: &mut KeyWriter<'_>) {
        writer.part(&key.0);
        writer.part(&key.1);
    }
    fn read_key(reader: &mut KeyReader<'_>) -> Result<Self::Key, KeyError> {
        Ok((reader.part("customer")?, reader.part("order")?))
    }
}

/// The user's own struct of a name that memgen uses too.
#[derive(Serialize, Deserialize, JsonSchema)]
struct Problem {
    mine: bool,
}

/// Any JSON under a renamed field, and a tree.
#[derive(Serialize, Deserialize, JsonSchema)]
struct Tree {
    #[serde(rename = "any-value")]
    value: Value,
    children: Vec<Tree>,
}

fn document() -> Value {
    let mut api = OpenApi::new("shop", "1.2.3").with_description(" A shop.");
    api.state::<Order>();
    let lines = "/customers/{customer}/orders/{order}/lines/{at}";
    api.handler(
        &Order::DEFINITION,
        &Method::POST,
        lines,
        "add_line",
        " Adds a line.",
        |operation| {
            operation.path_parameter::<usize>("at");
            operation.body::<Line>();
            operation.reply::<Line>(201);
            operation.problem(409);
        },
    );
    api.handler(
        &Order::DEFINITION,
        &Method::GET,
        lines,
        "line",
        " One line.",
        |operation| {
            operation.reply::<Line>(200);
        },
    );
    api.free_handler(
        &Method::POST,
        "/audit",
        "get_order",
        " Its name is taken.",
        |operation| {
            operation.query::<Line>();
            operation.header_parameter("X-Audit", " Who audits.");
            operation.reply::<Tree>(200);
        },
    );
    api.free_handler(&Method::GET, "/files/{*path}", "file", "", |operation| {
        operation.reply::<Problem>(200);
    });
    api.document()
}

fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(object) => {
            found.extend(object.get("$ref").and_then(Value::as_str));
            object.values().for_each(|value| references(value, found));
        }
        Value::Array(items) => items.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

fn operations(document: &Value) -> impl Iterator<Item = (&str, &str, &Value)> {
    document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, item)| {
            item.as_object()
                .unwrap()
                .iter()
                .map(move |(method, operation)| (path.as_str(), method.as_str(), operation))
        })
}

fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    match value["$ref"].as_str() {
        Some(reference) => document
            .pointer(reference.strip_prefix('#').unwrap())
            .unwrap(),
        None => value,
    }
}

#[test]
fn every_reference_leads_somewhere() {
    let document = document();
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(found.len() > 50);
    for reference in found {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(
            document.pointer(pointer).is_some(),
            "{reference} leads nowhere"
        );
    }
}

#[test]
fn ids_are_unique_and_stable() {
    let document = document();
    let ids: Vec<&str> = operations(&document)
        .map(|(_, _, operation)| operation["operationId"].as_str().unwrap())
        .collect();
    let mut sorted = ids.clone();
    sorted.sort_unstable();
    assert_eq!(
        sorted,
        [
            "create_order",
            "delete_order",
            "file",
            "get_order",
            "get_order_2",
            "list_order",
            "order_add_line",
            "order_line",
            "patch_order",
            "put_order",
        ]
    );
}

/// The rules of OpenAPI 3.1 that the shape of JSON alone does not keep.
#[test]
fn the_document_keeps_the_rules_of_openapi() {
    let document = document();
    assert_eq!(document["openapi"], "3.1.0");
    for member in ["title", "version"] {
        assert!(document["info"][member].is_string());
    }
    let tags: BTreeSet<&str> = document["tags"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tag| tag["name"].as_str().unwrap())
        .collect();
    assert_eq!(tags.len(), document["tags"].as_array().unwrap().len());
    for (path, method, operation) in operations(&document) {
        assert!(path.starts_with('/') && !path.contains('*'), "{path}");
        assert!(["get", "post", "put", "patch", "delete"].contains(&method));
        assert!(tags.contains(operation["tags"][0].as_str().unwrap()));
        let mut seen = BTreeSet::new();
        let mut in_path = BTreeSet::new();
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let parameter = resolved(&document, parameter);
            let (place, name) = (
                parameter["in"].as_str().unwrap(),
                parameter["name"].as_str().unwrap(),
            );
            assert!(seen.insert((place, name)), "{path}: {name} twice");
            assert!(parameter["schema"].is_object() || parameter["schema"].is_boolean());
            if place == "path" {
                assert_eq!(parameter["required"], true);
                in_path.insert(name.to_owned());
            }
        }
        let expected: BTreeSet<String> = crate::operation::placeholders(path).into_iter().collect();
        assert_eq!(in_path, expected, "{method} {path}");
        let responses = operation["responses"].as_object().unwrap();
        assert!(
            responses
                .keys()
                .any(|status| status.starts_with(['2', '3']))
        );
        for (status, response) in responses {
            assert!(
                status == "default"
                    || status
                        .parse::<u16>()
                        .is_ok_and(|status| (100..600).contains(&status))
            );
            let response = resolved(&document, response);
            assert!(response["description"].is_string());
            for header in response["headers"]
                .as_object()
                .into_iter()
                .flat_map(|headers| headers.values())
            {
                assert!(resolved(&document, header)["schema"].is_object());
            }
        }
        assert!(!(method == "get" && operation.get("requestBody").is_some()));
    }
    let legal = |name: &str| {
        name.chars()
            .all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
    };
    for kind in document["components"].as_object().unwrap().values() {
        assert!(kind.as_object().unwrap().keys().all(|name| legal(name)));
    }
}

#[test]
fn bodies_leave_out_what_the_path_says() {
    let document = document();
    let schemas = &document["components"]["schemas"];
    let required = |name: &str| schemas[name].get("required").cloned().unwrap_or_default();
    assert_eq!(required("Order"), json!(["customer", "order", "lines"]));
    assert_eq!(required("Order.Post"), json!(["order", "lines"]));
    assert_eq!(required("Order.Put"), json!(["lines"]));
    assert_eq!(required("Order.Patch"), Value::Null);
    assert_eq!(
        schemas["Order.Patch"]["properties"]["lines"]["anyOf"][1],
        json!({ "type": "null" })
    );
    let item = &document["paths"]["/customers/{customer}/orders/{order}"];
    let body = |method: &str, media: &str| {
        &item[method]["requestBody"]["content"][media]["schema"]["$ref"]
    };
    assert_eq!(
        body("put", "application/json"),
        "#/components/schemas/Order.Put"
    );
    assert_eq!(
        body("patch", "application/merge-patch+json"),
        "#/components/schemas/Order.Patch"
    );
}

#[test]
fn keys_in_the_path_have_their_type() {
    let document = document();
    for (path, method, operation) in operations(&document) {
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            if parameter["in"] == "path" && parameter["name"] == "customer" {
                assert_eq!(parameter["schema"]["format"], "uint32", "{method} {path}");
                assert_eq!(parameter["description"], "Who ordered.");
            }
        }
    }
}

#[test]
fn conventions_stand_where_they_hold() {
    let document = document();
    let names = |path: &str, method: &str| -> BTreeSet<String> {
        let parameters = document["paths"][path][method]["parameters"]
            .as_array()
            .unwrap();
        parameters
            .iter()
            .map(|parameter| resolved(&document, parameter))
            .filter(|parameter| parameter["in"] != "path")
            .map(|parameter| parameter["name"].as_str().unwrap().to_owned())
            .collect()
    };
    let set = |names: &[&str]| -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    };
    let (collection, item) = (Order::DEFINITION.collection, Order::DEFINITION.item);
    let reads = [
        "Memgen-Max-Staleness-Ms",
        "Memgen-Min-Position",
        "Memgen-Read",
    ];
    assert_eq!(
        names(item, "get"),
        set(&[&reads[..], &["If-None-Match"]].concat())
    );
    assert_eq!(
        names(collection, "get"),
        set(&[&reads[..], &["limit", "after", "prefix"]].concat())
    );
    assert_eq!(
        names(collection, "post"),
        set(&["Idempotency-Key", "Prefer"])
    );
    assert_eq!(
        names(item, "put"),
        set(&["If-Match", "If-None-Match", "Idempotency-Key", "Prefer"])
    );
    assert_eq!(
        names(item, "patch"),
        set(&["If-Match", "Idempotency-Key", "Prefer"])
    );
    assert_eq!(names(item, "delete"), set(&["If-Match", "Idempotency-Key"]));
    assert_eq!(
        names("/audit", "post"),
        set(&["Idempotency-Key", "X-Audit", "article", "count"])
    );
    let lines = "/customers/{customer}/orders/{order}/lines/{at}";
    assert_eq!(names(lines, "get"), set(&reads));
    assert_eq!(
        names(lines, "post"),
        set(&["If-Match", "If-None-Match", "Idempotency-Key", "Prefer"])
    );
    for status in ["201", "409", "404", "507"] {
        assert!(
            document["paths"][lines]["post"]["responses"][status].is_object(),
            "{status}"
        );
    }
    let headers = document["paths"][item]["put"]["responses"]["201"]["headers"]
        .as_object()
        .unwrap();
    assert_eq!(
        headers.keys().collect::<Vec<_>>(),
        ["ETag", "Location", "Memgen-Position"]
    );
}

#[test]
fn a_struct_of_the_user_may_be_called_problem() {
    let document = document();
    let reply = &document["paths"]["/files/{path}"]["get"]["responses"]["200"]["content"]["application/json"];
    assert!(resolved(&document, &reply["schema"])["properties"]["mine"].is_object());
    let problem = &document["components"]["responses"]["Problem"]["content"]
        [crate::problem::MEDIA_TYPE]["schema"];
    let problem = resolved(&document, problem);
    assert_eq!(
        problem["required"],
        json!(["type", "title", "status", "detail"])
    );
}

#[test]
fn descriptions_come_from_doc_comments() {
    let document = document();
    assert_eq!(document["info"]["description"], "A shop.");
    assert_eq!(
        document["tags"][0]["description"],
        "An order of a customer.\n\nIt has lines."
    );
    assert_eq!(
        document["components"]["schemas"]["Order"]["properties"]["customer"]["description"],
        "Who ordered."
    );
    let line = &document["paths"]["/customers/{customer}/orders/{order}/lines/{at}"]["post"];
    assert_eq!(line["summary"], "Adds a line");
    assert_eq!(
        document["paths"]["/audit"]["post"]["parameters"][2]["description"],
        "Who audits."
    );
}

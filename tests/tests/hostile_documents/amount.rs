//! What is large, and what is many.

use serde_json::{Value, json};

use super::{Error, MANY, Warning, Well, answers, document, members, open, reference, rows, yaml};

/// 50 MB of one thing.
#[test]
fn size() {
    let get = |description: String| json!({ "/a": { "get": { "description": description, "responses": { "200": { "description": "It" } } } } });
    let values = |count| {
        (0..count)
            .map(|at| format!("value-{at:030}"))
            .collect::<Vec<_>>()
    };
    rows(vec![
        (
            "words.json",
            document(&get("x ".repeat(25_000_000)), &json!({})),
            Well,
        ),
        (
            "word.yaml",
            yaml(&format!("x-a: {}\n", "x".repeat(50_000_000))),
            Well,
        ),
        (
            "enum.json",
            document(
                &json!({ "/a": answers(&reference("E")) }),
                &json!({ "E": { "type": "string", "enum": values(1_200_000) } }),
            ),
            Well,
        ),
        (
            "example.json",
            open(&format!("\"x-a\":[{}1]", "1,".repeat(25_000_000))),
            Error("more than 4000000 values"),
        ),
        (
            "too-long.yaml",
            vec![b'#'; (64 << 20) + 1],
            Error("is too long"),
        ),
    ]);
}

/// Many of one thing: none of it is looked for among all others.
#[test]
#[allow(clippy::too_many_lines)] // rows of data
fn number() {
    let text = json!({ "type": "string" });
    let object = json!({ "type": "object", "properties": { "id": { "type": "string" } } });
    let content = json!({ "application/json": { "schema": reference("S") } });
    let crud = members(
        6000,
        |at| format!("/p{}{}", at / 2, if at % 2 == 0 { "" } else { "/{id}" }),
        |at| {
            let reply = json!({ "description": "It", "content": content });
            if at % 2 == 0 {
                json!({ "post": { "requestBody": { "content": content }, "responses": { "201": reply } } })
            } else {
                let id = json!({ "name": "id", "in": "path", "required": true, "schema": text });
                json!({ "parameters": [id], "get": { "responses": { "200": reply } } })
            }
        },
    );
    let parameters: Vec<Value> = (0..20_000)
        .map(|at| json!({ "name": format!("p{at}"), "in": "query", "schema": text }))
        .collect();
    let same = |at: usize| format!("S{}{}", "-".repeat(at % 100), "_".repeat(at / 100));
    rows(vec![
        (
            "paths.json",
            document(
                &members(
                    20_000,
                    |at| format!("/p{}/{at}", at % 50),
                    |_| answers(&text),
                ),
                &json!({}),
            ),
            Well,
        ),
        (
            "resources.json",
            document(&crud, &json!({ "S": object })),
            Well,
        ),
        (
            "routes.json",
            document(
                &members(10_000, |at| format!("/{{p{at}}}"), |_| answers(&text)),
                &json!({}),
            ),
            Warning("is the same route"),
        ),
        (
            "schemas.json",
            document(
                &json!({}),
                &members(20_000, |at| format!("S{at}"), |_| object.clone()),
            ),
            Well,
        ),
        (
            "same-name.json",
            document(&json!({}), &members(10_000, same, |_| object.clone())),
            Well,
        ),
        (
            "properties.json",
            document(
                &json!({}),
                &json!({ "S": { "properties": members(20_000, same, |_| text.clone()) } }),
            ),
            Well,
        ),
        (
            "values.json",
            document(
                &json!({ "/a": answers(&reference("E")) }),
                &json!({ "E": { "enum": (0..MANY).collect::<Vec<_>>() } }),
            ),
            Well,
        ),
        (
            "parameters.json",
            document(
                &json!({ "/a": { "get": { "parameters": parameters, "responses": {} } } }),
                &json!({}),
            ),
            Well,
        ),
        (
            "warnings.json",
            document(
                &json!({}),
                &members(
                    20_000,
                    |at| format!("S{at}"),
                    |_| json!({ "type": "strange" }),
                ),
            ),
            Warning("`strange` is no type"),
        ),
        (
            "again.json",
            open(&format!("\"x-a\":{{{}\"a\":1}}", "\"a\":1,".repeat(20_000))),
            Warning("`a` is there a second time"),
        ),
        (
            "parts.json",
            document(
                &json!({}),
                &json!({ "S": { "allOf": (0..20_000).map(|at| json!({ "properties": { format!("p{at}"): text } })).collect::<Vec<_>>() } }),
            ),
            Warning("`allOf` puts this together from more than"),
        ),
    ]);
}

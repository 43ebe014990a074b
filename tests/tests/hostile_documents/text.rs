//! Names and texts of all sorts.

use std::fs;

use memgen_tests::{Folder, project::cargo_clean};
use serde_json::{Map, Value, json};

use super::{Warning, check, reference};

/// Names and texts of all sorts, at all places where there are some.
const TEXTS: [&str; 26] = [
    "*/ fn main() {} /*",
    "\"# ; fn main() {} r#\"",
    "\"\"\"",
    "#![allow(warnings)]",
    "//! //// /** */",
    "\\",
    "\\\" \\u{41} \\x41 \\n",
    "{} {0} {name} {{ }} ${HOME} $crate",
    "a\nb\r\nc\rd\u{2028}e\u{2029}f",
    "```\nfn main() { panic!() }\n```",
    "[link][crate::Nothing] [`Self`] <script>alert(1)</script> &lt;",
    "\u{202E}txet desrever\u{202C} \u{200B}\u{FEFF}",
    "\u{0}\u{1}\u{7}\u{1B}[31mred\u{7F}\u{9B}31m",
    "type",
    "self",
    "Self",
    "r#fn",
    "_",
    "",
    "   ",
    "!@#$%^&*()",
    "Ünïcödé 名前 имя 🦀",
    "9lives",
    "String",
    "Option<Vec<u8>>",
    "'static",
];

/// One document with each of the texts at each place. It is generated and compiled.
#[test]
#[allow(clippy::too_many_lines)] // one document
fn text_never_becomes_code() {
    let long = "long ".repeat(2000);
    let texts: Vec<&str> = TEXTS.into_iter().chain([long.as_str()]).collect();
    let mut paths = Map::new();
    let mut schemas = Map::new();
    for (at, text) in texts.iter().enumerate() {
        // What can stand in a path: no `/`, and no braces but those of parameters.
        let segment: String = text.chars().filter(|one| !"/{}?#".contains(*one)).collect();
        schemas.insert((*text).to_owned(), json!({
            "title": text, "description": text, "type": "object",
            "required": [text],
            "properties": {
                *text: { "type": "string", "description": text, "default": text, "example": text, "enum": [text, "other"] },
                format!("{text} "): { "type": "string", "pattern": text },
                text.to_uppercase(): { "description": text },
                text.to_lowercase(): { "type": "integer" },
            },
            "additionalProperties": { "type": "string", "description": text },
            "discriminator": { "propertyName": text },
            (format!("x-{text}")): text,
        }));
        let schema = reference(
            text.replace('~', "~0")
                .replace('/', "~1")
                .replace('%', "%25"),
        );
        paths.insert(format!("/t{at}/{segment}/{{id}}"), json!({
            "summary": text,
            "parameters": [{ "name": "id", "in": "path", "required": true, "description": text, "schema": { "type": "string" } }],
            "post": {
                "operationId": text, "tags": [text], "summary": text, "description": text,
                "parameters": [
                    { "name": text, "in": "query", "description": text, "schema": { "type": "string", "default": text, "enum": [text] } },
                    { "name": text, "in": "cookie", "schema": schema },
                    { "name": format!("X-{at}"), "in": "header", "description": text, "schema": {} },
                ],
                "requestBody": { "description": text, "content": {
                    "application/json": { "schema": schema, "example": text },
                    (format!("text/{text}")): { "schema": { "type": "string" } },
                } },
                "responses": {
                    "200": { "description": text, "headers": { *text: { "description": text, "schema": { "type": "string" } } },
                        "content": { "application/json": { "schema": schema }, *text: {} } },
                    "default": { "description": text },
                },
                "security": [{ *text: [text] }],
            },
        }));
    }
    // Names that differ in case, or in nothing that an identifier could show.
    for (at, name) in [
        "thing",
        "Thing",
        "THING",
        "t h i n g",
        "thing!",
        "thing?",
        "ｔｈｉｎｇ",
        "th\u{200B}ing",
    ]
    .iter()
    .enumerate()
    {
        schemas.insert(
            (*name).to_owned(),
            json!({ "type": "object", "properties": { "a": { "type": "string" } } }),
        );
        paths.insert(
            format!("/{name}/x{at}"),
            json!({ "get": { "operationId": name, "tags": [name], "responses": {} } }),
        );
    }
    // They are told apart by nothing but the names of their parameters.
    for name in ["a", "b"] {
        let id =
            json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } });
        paths.insert(
            format!("/same/{{{name}}}"),
            json!({ "parameters": [id], "get": { "responses": {} } }),
        );
    }
    let security: Map<String, Value> = texts
        .iter()
        .map(|text| {
            (
                (*text).to_owned(),
                json!({ "type": "http", "scheme": "bearer", "description": text }),
            )
        })
        .collect();
    for (name, version) in [("new.json", "3.1.0"), ("old.json", "3.0.3")] {
        let all = texts.join(" ");
        let document = json!({
            "openapi": version,
            "info": { "title": all, "version": all, "description": all },
            "servers": [{ "url": all, "description": all }],
            "tags": texts.iter().map(|text| json!({ "name": text, "description": text })).collect::<Vec<_>>(),
            "paths": paths,
            "components": { "schemas": schemas, "securitySchemes": security },
        });
        let folder = Folder::new();
        fs::write(folder.path().join(name), document.to_string()).expect("there is room");
        check(folder.path(), name, Warning("is the same route"));
        let project = folder.path().join("out");
        cargo_clean(&project, &["check", "--quiet"]);
    }
}

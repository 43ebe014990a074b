//! What is deep, long, or a circle.

use std::{fmt::Write as _, fs};

use memgen_tests::Folder;
use serde_json::{Map, Value, json};

use super::{
    Error, MANY, Warning, Well, answers, check, document, members, nested, open, reference, rows,
    yaml,
};

#[test]
fn depth() {
    let deep = Error("values are nested deeper than 200 levels");
    let schema = |begin, end| {
        open(&format!(
            "\"components\":{{\"schemas\":{{\"A\":{}}}}}",
            nested(begin, "{}", end, MANY)
        ))
    };
    let inline = |begin: &str, inside, end: &str, levels| {
        open(&format!(
            "\"components\":{{\"schemas\":{{\"A\":{}}}}}",
            nested(begin, inside, end, levels)
        ))
    };
    rows(vec![
        (
            "lists.json",
            open(&format!("\"x-a\":{}", nested("[", "", "]", MANY))),
            deep,
        ),
        (
            "objects.json",
            open(&format!("\"x-a\":{}", nested("{\"a\":", "1", "}", MANY))),
            deep,
        ),
        ("unclosed.json", "[".repeat(MANY).into_bytes(), deep),
        (
            "flow.yaml",
            yaml(&format!("x-a: {}", nested("[", "", "]", MANY))),
            deep,
        ),
        (
            "flow-objects.yaml",
            yaml(&format!("x-a: {}", nested("{a: ", "1", "}", MANY))),
            deep,
        ),
        (
            "items.yaml",
            yaml(&format!("x-a:\n  {}1", "- ".repeat(MANY))),
            deep,
        ),
        (
            "blocks.yaml",
            yaml(&(0..1000).fold("x-a:\n".to_owned(), |text, level| {
                text + &" ".repeat(level + 1) + "a:\n"
            })),
            deep,
        ),
        (
            "properties.json",
            schema("{\"properties\":{\"a\":", "}}"),
            deep,
        ),
        ("all-of.json", schema("{\"allOf\":[", "]}"), deep),
        (
            "example.json",
            open(&format!(
                "\"components\":{{\"schemas\":{{\"A\":{{\"example\":{}}}}}}}",
                nested("[", "", "]", MANY)
            )),
            deep,
        ),
        // Below the limit all of it is done.
        (
            "many-properties.json",
            inline("{\"properties\":{\"a\":", "{}", "}}", 90),
            Well,
        ),
        (
            "many-items.json",
            inline("{\"type\":\"array\",\"items\":", "{}", "}", 180),
            Well,
        ),
        (
            "many-all-of.json",
            inline(
                "{\"allOf\":[",
                "{\"properties\":{\"a\":{\"type\":\"string\"}}}",
                "]}",
                90,
            ),
            Well,
        ),
    ]);
}

/// So many in a row: a stack overflows long before, and what takes the square of it does not end.
const CHAIN: usize = 20_000;

/// One thing refers to the next, many times.
#[test]
fn chains() {
    let chain = |link: fn(Value) -> Value| {
        let last = json!({ "type": "string" });
        let schemas = members(
            CHAIN + 1,
            |at| format!("S{at}"),
            |at| {
                if at == CHAIN {
                    last.clone()
                } else {
                    link(reference(format!("S{}", at + 1)))
                }
            },
        );
        document(&json!({ "/a": answers(&reference("S0")) }), &schemas)
    };
    let section = |section: &str, last: Value| {
        let links = members(
            CHAIN + 1,
            |at| format!("S{at}"),
            |at| {
                if at == CHAIN {
                    last.clone()
                } else {
                    json!({ "$ref": format!("#/components/{section}/S{}", at + 1) })
                }
            },
        );
        let mut document: Value =
            serde_json::from_slice(&document(&json!({}), &json!({}))).expect("it is JSON");
        document["components"] = json!({ section: links });
        document.to_string().into_bytes()
    };
    let inside = Warning("from here on it is any value");
    rows(vec![
        ("ref.json", chain(|next| next), inside),
        (
            "items.json",
            chain(|next| json!({ "type": "array", "items": next })),
            inside,
        ),
        (
            "all-of.json",
            chain(|next| json!({ "allOf": [next] })),
            Warning("`allOf` puts this together from more than"),
        ),
        (
            "values.json",
            chain(|next| json!({ "additionalProperties": next })),
            inside,
        ),
        (
            "responses.json",
            section("responses", json!({ "description": "It" })),
            Well,
        ),
        (
            "parameters.json",
            section(
                "parameters",
                json!({ "name": "p", "in": "query", "schema": {} }),
            ),
            Well,
        ),
        (
            "paths.json",
            document(
                &members(
                    5000,
                    |at| format!("/p{at}"),
                    |at| json!({ "$ref": format!("#/paths/~1p{}", at + 1) }),
                ),
                &json!({}),
            ),
            Warning("references away"),
        ),
        // Each holds the next twice: 2^60 of them, if somebody counts.
        (
            "twice.json",
            document(
                &json!({ "/a": answers(&reference("S0")) }),
                &members(
                    60,
                    |at| format!("S{at}"),
                    |at| json!({ "allOf": [reference(format!("S{}", at + 1)), reference(format!("S{}", at + 1))] }),
                ),
            ),
            Warning("`allOf` puts this together from more than"),
        ),
    ]);
}

#[test]
fn circles() {
    let schemas = json!({
        "A": reference("B"), "B": reference("A"), "C": reference("C"),
        "D": { "allOf": [reference("D")] }, "E": { "allOf": [reference("F")] }, "F": { "allOf": [reference("E")] },
        "G": { "oneOf": [reference("G")] }, "H": { "type": "array", "items": reference("H") },
        "I": { "type": "object", "required": ["i"], "properties": { "i": reference("I") } },
        "J": { "not": reference("J") }, "K": { "additionalProperties": reference("K") },
    });
    let paths: Map<String, Value> = ('A'..='K')
        .map(|name| (format!("/{name}"), answers(&reference(name))))
        .collect();
    let around = |count: usize| {
        members(
            count,
            |at| format!("S{at}"),
            |at| reference(format!("S{}", (at + 1) % count)),
        )
    };
    rows(vec![
        (
            "all.json",
            document(&paths.into(), &schemas),
            Warning("leads back to itself"),
        ),
        (
            "long.json",
            document(&json!({}), &around(20_000)),
            Warning("leads back to itself"),
        ),
        (
            "root.json",
            document(
                &json!({ "/a": answers(&json!({ "$ref": "#" })) }),
                &json!({}),
            ),
            Warning("it is left out"),
        ),
    ]);
    // Two files that are made of one another.
    let folder = Folder::new();
    let of = |other: &str| {
        json!({ "type": "object", "properties": { "other": { "$ref": other } } }).to_string()
    };
    fs::write(folder.path().join("a.json"), of("b.json")).expect("there is room");
    fs::write(folder.path().join("b.json"), of("a.json")).expect("there is room");
    let main = document(
        &json!({ "/a": answers(&json!({ "$ref": "a.json" })) }),
        &json!({}),
    );
    fs::write(folder.path().join("main.json"), main).expect("there is room");
    check(folder.path(), "main.json", Well);
}

#[test]
fn laughs() {
    let laughs = |begin: &str, line: fn(usize) -> String, levels: usize| {
        let mut text = begin.to_owned();
        for level in 1..levels {
            writeln!(text, "{}", line(level)).expect("it is a text");
        }
        yaml(&text)
    };
    let too_many = Error("more than 4000000 values");
    rows(vec![
        (
            "lists.yaml",
            laughs(
                "x-a: &a0 [lol, lol]\n",
                |level| {
                    let inner = vec![format!("*a{}", level - 1); 10].join(", ");
                    format!("x-{level}: &a{level} [{inner}]")
                },
                12,
            ),
            too_many,
        ),
        (
            "merges.yaml",
            laughs(
                "x-a: &a0 {a: lol}\n",
                |level| {
                    let before = level - 1;
                    format!(
                        "x-{level}: &a{level} {{x{level}: *a{before}, y{level}: *a{before}, <<: [*a{before}, *a{before}]}}"
                    )
                },
                40,
            ),
            too_many,
        ),
        (
            "itself.yaml",
            yaml("x-a: &a [*a, *a]\n"),
            Error("this alias has no anchor before it"),
        ),
        // What is inside of an anchor has one, too: each would be kept with all that is in it.
        (
            "anchors.yaml",
            yaml(&format!(
                "x-a: {}{}{}\n",
                (0..190).fold(String::new(), |text, at| text + &format!("&a{at} [")),
                "1,".repeat(50_000),
                "]".repeat(190)
            )),
            too_many,
        ),
    ]);
}

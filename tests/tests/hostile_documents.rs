//! Documents that nobody should write: each comes to an end, in bounded memory, with code that compiles or with words.
//!
//! A row is a document, what the whole command makes of it, and nothing else. The limit of memory is what the process gets; the time only ends what would hang.

use std::{
    fmt::Write as _,
    fs,
    os::unix::fs::symlink,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use memgen_tests::{
    Folder,
    binaries::binary,
    project::{cargo_clean, runtime},
};
use serde_json::{Map, Value, json};

/// What a process may have, in bytes of address space.
const MEMORY: u64 = 3 << 30;
/// When a process is given up. Each of them takes seconds.
const PATIENCE: Duration = Duration::from_secs(300);
/// As deep, as long and as many as it is asked for.
const MANY: usize = 100_000;

/// What becomes of a document.
#[derive(Clone, Copy, Debug)]
enum Ends {
    /// A crate, without a word.
    Well,
    /// A crate, and a warning with this in it.
    Warning(&'static str),
    /// No crate, and an error with this in it.
    Error(&'static str),
}
use Ends::{Error, Warning, Well};

/// Runs the command under the limits: whether it made it, and what it said.
fn run(folder: &Path, args: &[&str]) -> (bool, String) {
    let errors = folder.join("stderr");
    let to = fs::File::create(&errors).expect("there is room");
    let mut process = Command::new("prlimit")
        .arg(format!("--as={MEMORY}"))
        .arg(binary("memgen"))
        .args(args)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(to)
        .spawn()
        .expect("prlimit is there");
    let started = Instant::now();
    let status = loop {
        if let Some(status) = process.try_wait().expect("it is ours") {
            break status;
        }
        if started.elapsed() > PATIENCE {
            let _ = process.kill();
            panic!("{args:?} hangs");
        }
        thread::sleep(Duration::from_millis(20));
    };
    let said = fs::read(&errors).expect("it is there");
    let said = String::from_utf8(said).expect("it says texts");
    match status.code() {
        Some(0) => (true, said),
        Some(1) => (false, said),
        other => {
            let from = said.lines().count().saturating_sub(20);
            let end: Vec<&str> = said.lines().skip(from).collect();
            panic!(
                "{args:?} ended with {other:?} ({status}):\n{}",
                end.join("\n")
            );
        }
    }
}

/// Generates, and looks at the document, which must agree.
fn check(folder: &Path, name: &str, ends: Ends) {
    let args = [
        "generate",
        name,
        "--out",
        "out",
        "--name",
        "hostile",
        "--memgen-path",
    ];
    let (made, said) = run(folder, &[&args[..], &[&runtime()]].concat());
    let shown: String = said.chars().take(2000).collect();
    let expected = match ends {
        Well => made && !said.contains("warning") && !said.contains("error"),
        Warning(text) => made && said.contains("warning: ") && said.contains(text),
        Error(text) => !made && said.contains("error: ") && said.contains(text),
    };
    assert!(expected, "{name} is not {ends:?}: {made}, {shown}");
    assert_eq!(folder.join("out/Cargo.toml").exists(), made, "{name}");
    // Nothing in what is said obeys the document.
    let hard = |one: char| one != '\n' && (one.is_control() || one == '\u{202E}');
    assert!(!said.contains(hard), "{name}: {shown:?}");
    let (looked, _) = run(folder, &["inspect", name]);
    assert_eq!(looked, made, "{name}");
}

/// Rows of one file each.
fn rows(rows: Vec<(&str, Vec<u8>, Ends)>) {
    for (name, bytes, ends) in rows {
        let folder = Folder::new();
        fs::write(folder.path().join(name), bytes).expect("there is room");
        check(folder.path(), name, ends);
    }
}

/// A document of 3.0 with these paths and schemas.
fn document(paths: &Value, schemas: &Value) -> Vec<u8> {
    let document = json!({
        "openapi": "3.0.3",
        "info": { "title": "Hostile", "version": "1" },
        "paths": paths,
        "components": { "schemas": schemas },
    });
    document.to_string().into_bytes()
}

/// The start of a document in YAML.
const HEAD: &str = "openapi: 3.0.3\ninfo: {title: Hostile, version: '1'}\npaths: {}\n";

fn yaml(rest: &str) -> Vec<u8> {
    format!("{HEAD}{rest}").into_bytes()
}

/// The same in JSON; the rest is the last member.
fn open(rest: &str) -> Vec<u8> {
    let head = r#""openapi":"3.0.3","info":{"title":"Hostile","version":"1"},"paths":{}"#;
    format!("{{{head},{rest}}}").into_bytes()
}

fn nested(begin: &str, inside: &str, end: &str, levels: usize) -> String {
    format!("{}{inside}{}", begin.repeat(levels), end.repeat(levels))
}

/// So many members by their numbers.
fn members(count: usize, name: impl Fn(usize) -> String, value: impl Fn(usize) -> Value) -> Value {
    let members: Map<String, Value> = (0..count).map(|at| (name(at), value(at))).collect();
    Value::Object(members)
}

fn reference(name: impl std::fmt::Display) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// A path with one operation that answers this.
fn answers(schema: &Value) -> Value {
    json!({ "get": { "responses": { "200": {
        "description": "It",
        "content": { "application/json": { "schema": schema } },
    } } } })
}

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

/// One thing refers to the next, a hundred thousand times.
#[test]
fn chains() {
    let chain = |link: fn(Value) -> Value| {
        let last = json!({ "type": "string" });
        let schemas = members(
            MANY + 1,
            |at| format!("S{at}"),
            |at| {
                if at == MANY {
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
            MANY + 1,
            |at| format!("S{at}"),
            |at| {
                if at == MANY {
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

/// What is no document, or one of other bytes.
#[test]
fn files() {
    let text = |text: &str| text.as_bytes().to_vec();
    let good = format!("{HEAD}");
    let wide: Vec<u8> = good.encode_utf16().flat_map(u16::to_le_bytes).collect();
    rows(vec![
        (
            "mark.yaml",
            [b"\xEF\xBB\xBF", good.as_bytes()].concat(),
            Well,
        ),
        ("lines.yaml", good.replace('\n', "\r\n").into_bytes(), Well),
        (
            "wide.yaml",
            [b"\xFF\xFE".to_vec(), wide].concat(),
            Error("is UTF-16; save it as UTF-8"),
        ),
        (
            "latin.yaml",
            b"openapi: 3.0.3\ninfo: {title: \xE9}\n".to_vec(),
            Error("is not UTF-8"),
        ),
        (
            "program.yaml",
            b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec(),
            Error("is no"),
        ),
        ("zeros.yaml", vec![0; 1000], Error("")),
        ("empty.yaml", Vec::new(), Error("the file is empty")),
        ("empty.json", Vec::new(), Error("this is no JSON")),
        (
            "tabs.yaml",
            text("openapi: 3.0.3\ninfo:\n\ttitle: T\n"),
            Error("this is no YAML"),
        ),
        ("word.yaml", text("hello"), Error("no OpenAPI document")),
        ("list.json", text("[1]"), Error("no OpenAPI document")),
        (
            "half.json",
            text("{\"openapi\": \"3.0.3\""),
            Error("this is no JSON"),
        ),
        (
            "swagger.yaml",
            text("swagger: '2.0'\n"),
            Error("this is Swagger 2.0"),
        ),
        (
            "again.yaml",
            yaml("x-a: {a: 1, a: 2}\n"),
            Warning("`a` is there a second time"),
        ),
    ]);
    let folder = Folder::new();
    let path = folder.path();
    fs::create_dir(path.join("folder.yaml")).expect("there is room");
    symlink("loop.yaml", path.join("loop.yaml")).expect("there is room");
    symlink("/dev/zero", path.join("zero.yaml")).expect("there is room");
    check(path, "folder.yaml", Error("can't be read"));
    check(path, "loop.yaml", Error("can't be read"));
    check(path, "nowhere.yaml", Error("can't be read"));
    check(path, "zero.yaml", Error("is too long"));
}

/// References are relative, to documents, and to nothing else.
#[test]
fn references() {
    for (reference, why) in [
        ("/etc/passwd", "is not relative to this file"),
        (
            "../../../../../../etc/passwd",
            "is not called .yaml, .yml or .json",
        ),
        ("file:///etc/passwd", "is somewhere in the network"),
        ("http://127.0.0.1:1/a.yaml", "is somewhere in the network"),
        ("//127.0.0.1/a.yaml", "is somewhere in the network"),
        ("C:/a.yaml", "is not relative to this file"),
        ("folder.yaml", "is in something that is no file"),
        ("loop.yaml", "can't be read"),
        ("zero.yaml", "is in something that is no file"),
        ("nowhere.yaml", "can't be read"),
        ("latin.yaml", "is not UTF-8"),
        ("", "is empty"),
        ("#/nowhere", "leads nowhere"),
        ("#nowhere", "names the anchor"),
    ] {
        let folder = Folder::new();
        let path = folder.path();
        fs::create_dir(path.join("folder.yaml")).expect("there is room");
        symlink("loop.yaml", path.join("loop.yaml")).expect("there is room");
        symlink("/dev/zero", path.join("zero.yaml")).expect("there is room");
        fs::write(path.join("latin.yaml"), b"\xE9").expect("there is room");
        let main = document(
            &json!({ "/a": answers(&json!({ "$ref": reference })) }),
            &json!({}),
        );
        fs::write(path.join("main.json"), main).expect("there is room");
        check(path, "main.json", Warning(why));
    }
    // A folder beside is as good as one within.
    let folder = Folder::new();
    fs::create_dir_all(folder.path().join("api")).expect("there is room");
    fs::create_dir_all(folder.path().join("common")).expect("there is room");
    fs::write(
        folder.path().join("common/Pet.yaml"),
        "type: object\nproperties: {name: {type: string}}\n",
    )
    .expect("there is room");
    let main = document(
        &json!({ "/a": answers(&json!({ "$ref": "../common/Pet.yaml" })) }),
        &json!({}),
    );
    fs::write(folder.path().join("api/main.json"), main).expect("there is room");
    check(folder.path(), "api/main.json", Well);
}

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
    let schemes: Map<String, Value> = texts
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
            "components": { "schemas": schemas, "securitySchemes": schemes },
        });
        let folder = Folder::new();
        fs::write(folder.path().join(name), document.to_string()).expect("there is room");
        check(folder.path(), name, Warning("is the same route"));
        let project = folder.path().join("out");
        cargo_clean(&project, &["check", "--quiet"]);
    }
}

//! What is no document, and what a document refers to.

use std::{fs, os::unix::fs::symlink};

use memgen_tests::Folder;
use serde_json::json;

use super::{Error, HEAD, Warning, Well, answers, check, document, open, rows, yaml};

/// What is no document, or one of other bytes.
#[test]
fn files() {
    let text = |text: &str| text.as_bytes().to_vec();
    let good = HEAD.to_owned();
    let wide: Vec<u8> = good.encode_utf16().flat_map(u16::to_le_bytes).collect();
    rows(vec![
        (
            "mark.yaml",
            [b"\xEF\xBB\xBF", good.as_bytes()].concat(),
            Well,
        ),
        (
            "mark.json",
            [b"\xEF\xBB\xBF", &open("\"x-a\":1")[..]].concat(),
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

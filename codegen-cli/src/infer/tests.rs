//! Which operations work on state.

use std::path::Path;

use crate::{
    diagnostic::{Diagnostics, Severity},
    generate, inspect, lower,
    model::{Api, Decision},
    spec,
};

/// The decisions of a document.
fn api(text: &str) -> (Api, Diagnostics) {
    let mut diagnostics = Diagnostics::default();
    let (sources, spec) = spec::read_bytes("t.yaml", text.as_bytes(), &mut diagnostics);
    let rendered: Vec<String> = diagnostics
        .iter()
        .map(|one| sources.render(one, false))
        .collect();
    let mut spec = spec.unwrap_or_else(|| panic!("{rendered:?}"));
    let mut api = lower::lower(&mut spec, &mut diagnostics);
    super::infer(&mut api, &spec, &mut diagnostics);
    (api, diagnostics)
}

/// `get pet`, `handler`, … for each operation in the order of the document.
fn verdicts(api: &Api) -> Vec<String> {
    let operations = api
        .operations
        .iter()
        .map(|operation| match operation.decision {
            Decision::State { resource, .. } => {
                format!(
                    "{} {}",
                    inspect::verdict(operation),
                    api.resources[resource].words
                )
            }
            _ => inspect::verdict(operation).to_owned(),
        });
    operations.collect()
}

fn check(paths: &str, schemas: &str, expected: &[&str]) {
    let text = format!(
        "{{openapi: 3.1.0, info: {{title: T, version: '1'}}, paths: {{{paths}}}, components: {{schemas: {{{schemas}}}}}}}"
    );
    // The first character makes it YAML: a document that begins with a brace is JSON.
    let (api, diagnostics) = api(&format!("# flow\n{text}"));
    assert_eq!(diagnostics.count(Severity::Error), 0, "{paths}");
    assert_eq!(verdicts(&api), expected, "{paths}");
}

const PET: &str = "Pet: {type: object, required: [id, name], properties: {id: {type: integer, format: int64}, name: {type: string}, kind: {type: string}}}";
const BODY: &str =
    "requestBody: {content: {application/json: {schema: {$ref: '#/components/schemas/Pet'}}}}";

fn ok(status: u16) -> String {
    format!(
        "responses: {{'{status}': {{description: '', content: {{application/json: {{schema: {{$ref: '#/components/schemas/Pet'}}}}}}}}}}"
    )
}

const ID: &str =
    "parameters: [{name: petId, in: path, required: true, schema: {type: integer, format: int64}}]";
const NONE: &str = "responses: {'204': {description: ''}}";
const PAGE: &str = "responses: {'200': {description: '', content: {application/json: {schema: {type: object, properties: {data: {type: array, items: {$ref: '#/components/schemas/Pet'}}, next_cursor: {type: string}, has_more: {type: boolean}, total: {type: integer}}}}}}}";

/// The table of the example, as `memgen inspect` prints it. After a change that is meant: `EXPECT=overwrite cargo test -p memgen-cli`.
#[test]
fn the_petstore() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut diagnostics = Diagnostics::default();
    let document = root.join("../examples/petstore/openapi.yaml");
    let (sources, read) = generate::read(&document, None, &mut diagnostics);
    let api = read.expect("it can be read");
    assert!(diagnostics.is_empty());
    let table = inspect::table(&api, &sources);
    let golden = root.join("src/infer/petstore.txt");
    if std::env::var("EXPECT").is_ok_and(|value| value == "overwrite") {
        std::fs::write(&golden, &table).expect("it can be written");
    }
    let expected = std::fs::read_to_string(&golden).expect("it is there");
    assert_eq!(table, expected);
    let json = inspect::json(&api, &sources);
    assert_eq!(json["operations"].as_array().map(Vec::len), Some(26));
    assert_eq!(json["operations"][0]["becomes"], "list");
    assert_eq!(json["resources"][0]["key"][0]["at"], "/id");
}

/// A state knows where it is and what it is tagged with; the rest is told of, and what must be there is a warning.
#[test]
fn headers_that_no_state_knows_are_told_of() {
    let headers = "headers: {ETag: {schema: {type: string}}, X-Rate: {required: true, schema: {type: integer}}, X-Other: {schema: {type: integer}}}";
    let read = ok(200).replace("description: ''", &format!("description: '', {headers}"));
    let made = ok(201);
    let (api, diagnostics) = api(&format!(
        "# flow\n{{openapi: 3.1.0, info: {{title: T, version: '1'}}, paths: {{/pets: {{post: {{{BODY}, {made}}}}}, '/pets/{{petId}}': {{{ID}, get: {{{read}}}}}}}, components: {{schemas: {{{PET}}}}}}}"
    ));
    let reasons: Vec<&str> = api
        .operations
        .iter()
        .map(|operation| operation.reason.as_str())
        .collect();
    assert!(
        reasons[1].ends_with("; does not send `X-Rate`; does not send `X-Other`"),
        "{reasons:?}"
    );
    assert!(!reasons[0].contains("does not send"), "{reasons:?}");
    let warnings: Vec<String> = diagnostics
        .iter()
        .map(|diagnostic| diagnostic.message.clone())
        .collect();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(
        warnings[0].starts_with("the header `X-Rate`"),
        "{warnings:?}"
    );
}

#[test]
fn resources_are_seen() {
    let (made, read, changed) = (ok(201), ok(200), ok(200));
    // Client's keys, pages, everything.
    check(
        &format!(
            "/pets: {{get: {{{PAGE}}}, post: {{{BODY}, {made}}}}}, '/pets/{{petId}}': {{{ID}, get: {{{read}}}, put: {{{BODY}, {changed}}}, patch: {{{BODY}, {changed}}}, delete: {{{NONE}}}}}"
        ),
        PET,
        &[
            "list pet",
            "create pet",
            "get pet",
            "replace pet",
            "delete pet",
            "update pet",
        ],
    );
    // `PUT` alone makes them.
    check(
        &format!("'/pets/{{petId}}': {{{ID}, get: {{{read}}}, put: {{{BODY}, {changed}}}}}"),
        PET,
        &["get pet", "replace pet"],
    );
    // The key is in the body of the `PUT`.
    check(
        &format!(
            "/pets: {{put: {{{BODY}, {changed}}}, post: {{{BODY}, {changed}}}}}, '/pets/{{petId}}': {{{ID}, get: {{{read}}}}}"
        ),
        PET,
        &["replace pet", "create pet", "get pet"],
    );
    // An envelope, a key that the server makes, and a `PUT` that says that it is partial.
    let data = "schema: {type: object, properties: {data: {$ref: '#/components/schemas/Task'}}}";
    let body = format!("requestBody: {{content: {{application/json: {{{data}}}}}}}");
    let reply = |status: u16| {
        format!(
            "responses: {{'{status}': {{description: '', content: {{application/json: {{{data}}}}}}}}}"
        )
    };
    check(
        &format!(
            "/tasks: {{post: {{{body}, {}}}}}, '/tasks/{{task_gid}}': {{parameters: [{{name: task_gid, in: path, required: true, schema: {{type: string}}}}], get: {{{}}}, put: {{description: 'Only the fields provided are changed.', {body}, {}}}, delete: {{responses: {{'200': {{description: '', content: {{application/json: {{schema: {{type: object, properties: {{data: {{type: object}}}}}}}}}}}}}}}}}}",
            reply(201),
            reply(200),
            reply(200),
        ),
        "Task: {type: object, properties: {gid: {type: string, readOnly: true}, name: {type: string}}}",
        &["create task", "get task", "update task", "delete task"],
    );
}

#[test]
fn what_is_not_clear_is_a_handler() {
    let (made, read) = (ok(201), ok(200));
    // Nothing makes one.
    check(
        &format!("'/pets/{{petId}}': {{{ID}, get: {{{read}}}, delete: {{{NONE}}}}}"),
        PET,
        &["handler", "handler"],
    );
    // A `PUT` that wants one to be there makes none.
    check(
        &format!(
            "'/pets/{{petId}}': {{{ID}, get: {{{read}}}, put: {{{BODY}, responses: {{'200': {{description: '', content: {{application/json: {{schema: {{$ref: '#/components/schemas/Pet'}}}}}}}}, '404': {{description: ''}}}}}}}}"
        ),
        PET,
        &["handler", "handler"],
    );
    // Actions, searches, and a list that demands more than a state knows.
    check(
        &format!(
            "/pets: {{post: {{{BODY}, {made}}}, get: {{parameters: [{{name: near, in: query, required: true, schema: {{type: string}}}}], {PAGE}}}}}, '/pets/{{petId}}': {{{ID}, get: {{{read}}}}}, '/pets/{{petId}}/feed': {{{ID}, post: {{{read}}}}}, /pets/search: {{get: {{{PAGE}}}}}"
        ),
        PET,
        &["handler", "create pet", "get pet", "handler", "handler"],
    );
    // A body of another kind.
    check(
        &format!(
            "/pets: {{post: {{requestBody: {{content: {{application/json: {{schema: {{type: object, properties: {{url: {{type: string}}}}}}}}}}}}, {made}}}}}, '/pets/{{petId}}': {{{ID}, get: {{{read}}}}}"
        ),
        PET,
        &["handler", "handler"],
    );
    // Nobody would learn the key.
    check(
        &format!(
            "/pets: {{post: {{{BODY}, {made}}}}}, '/pets/{{x}}': {{parameters: [{{name: x, in: path, required: true, schema: {{type: string}}}}], get: {{{read}}}}}"
        ),
        "Pet: {type: object, properties: {name: {type: string}, kind: {type: string}}}",
        &["handler", "handler"],
    );
}

/// Words for pages are no wish that could go unheard, where there is no list. A word that may mean something else is one.
#[test]
fn pages_ask_for_nothing_where_there_is_no_list() {
    let (made, read) = (ok(201), ok(200));
    let query = "{name: limit, in: query, required: true, schema: {type: integer}}, {name: offset, in: query, schema: {type: string}}, \
                 {name: limits, in: query, schema: {type: integer}}, {name: size, in: query, schema: {type: integer}}, {name: page, in: query, schema: {type: boolean}}";
    let text = format!(
        "openapi: 3.1.0\ninfo: {{title: T, version: '1'}}\npaths: {{/pets: {{post: {{{BODY}, {made}}}}}, '/pets/{{petId}}': {{{ID}, get: {{parameters: [{query}], {read}}}}}}}\ncomponents: {{schemas: {{{PET}}}}}\n"
    );
    let (api, _) = api(&text);
    assert_eq!(verdicts(&api), ["create pet", "get pet"]);
    assert_eq!(
        api.operations[1].reason,
        "reads one of `pet` by its key, whatever page is asked for (limit, offset)"
    );
    let decision = &api.document["paths"]["/pets/{petId}"]["get"]["x-memgen"];
    assert_eq!(
        decision["refuses"],
        serde_json::json!(["limits", "size", "page"])
    );
}

#[test]
fn decisions_say_where_things_are() {
    let (made, read) = (ok(201), ok(200));
    let text = format!(
        "openapi: 3.1.0\ninfo: {{title: T, version: '1'}}\npaths: {{'/owners/{{owner}}/pets': {{parameters: [{{name: owner, in: path, required: true, schema: {{type: string}}}}], post: {{{BODY}, {made}}}, get: {{parameters: [{{name: limit, in: query, schema: {{type: integer}}}}, {{name: cursor, in: query, schema: {{type: string}}}}, {{name: kind, in: query, schema: {{type: string}}}}, {{name: colour, in: query, schema: {{type: string}}}}, {{name: fields, in: query, schema: {{type: string}}}}], {PAGE}}}}}, '/owners/{{owner}}/pets/{{petId}}': {{parameters: [{{name: owner, in: path, required: true, schema: {{type: string}}}}, {{name: petId, in: path, required: true, schema: {{type: integer, format: int64}}}}], get: {{{read}}}}}}}\ncomponents: {{schemas: {{{PET}}}}}\n"
    );
    let (api, _) = api(&text);
    assert_eq!(verdicts(&api), ["list pet", "create pet", "get pet"]);
    let at = |pointer: &str| api.document.pointer(pointer).cloned().unwrap_or_default();
    assert_eq!(
        at("/x-memgen/states/pet"),
        serde_json::json!({
            "schema": "#/components/schemas/Pet", "topic": "pet", "partitions": 16, "partition_by": 1,
            "key": [{ "parameter": "owner", "type": "string" }, { "parameter": "petId", "type": "int64", "at": "/id" }],
        })
    );
    assert_eq!(
        at("/paths/~1owners~1{owner}~1pets/get/x-memgen"),
        serde_json::json!({
            "state": "pet", "action": "list", "status": 200, "key": [{ "parameter": "owner" }], "reply": "/data",
            "list": { "limit": "limit", "after": "cursor", "next": "/next_cursor", "total": "/total", "more": "/has_more", "filters": { "kind": "/kind" } },
            "refuses": ["colour"],
        })
    );
    assert_eq!(
        at("/paths/~1owners~1{owner}~1pets/post/x-memgen"),
        serde_json::json!({
            "state": "pet", "action": "create", "status": 201, "key": [{ "parameter": "owner" }, { "body": "/id" }], "request": "", "reply": "",
        })
    );
}

/// They become code, so that nothing but a path may be in them.
#[test]
fn older_types_are_paths() {
    let good = serde_json::json!(["crate::V1", "crate::old::pet::PetState_2"]);
    let paths = super::wishes::paths(&good);
    assert_eq!(
        paths.as_deref(),
        Some(
            &[
                "crate::V1".to_owned(),
                "crate::old::pet::PetState_2".to_owned()
            ][..]
        )
    );
    let bad = [
        "",
        "crate",
        "crate::",
        "V1",
        "std::process::Child",
        "crate::a::",
        "crate::::a",
        "crate::1a",
        "crate::a b",
        "crate::a<b>",
        "crate::a)] fn x() {} #[a(",
        "crate::type",
        "crate::self::a",
        "crate::_",
        "crate::\u{fc}",
        "crate::a\n",
        " crate::a",
    ];
    for path in bad {
        assert_eq!(
            super::wishes::paths(&serde_json::json!([path])),
            None,
            "{path}"
        );
    }
    for list in [
        "\"crate::V1\"",
        "[[\"crate::V1\"]]",
        "[\"crate::V1\", \"crate::V1\"]",
        "{\"a\": \"crate::V1\"}",
        "null",
    ] {
        let list = serde_json::from_str(list).expect("it is JSON");
        assert_eq!(super::wishes::paths(&list), None, "{list}");
    }
}

#[test]
fn authors_decide() {
    let (made, read) = (ok(201), ok(200));
    let paths = |more: &str| {
        format!(
            "/pets: {{post: {{{BODY}, {made}}}}}, '/pets/{{petId}}': {{{ID}, get: {{{read}}}, delete: {{{more}{NONE}}}}}"
        )
    };
    check(
        &paths("x-memgen-action: handler, "),
        PET,
        &["create pet", "get pet", "handler"],
    );
    let named = PET.replace(
        "Pet: {",
        "Pet: {x-memgen-name: animal, x-memgen-partitions: 4, x-memgen-topic: zoo, ",
    );
    check(
        &paths(""),
        &named,
        &["create animal", "get animal", "delete animal"],
    );
    let never = PET.replace("Pet: {", "Pet: {x-memgen-state: false, ");
    check(&paths(""), &never, &["handler", "handler", "handler"]);
    let rows = [
        (
            paths("x-memgen-action: destroy, "),
            PET.to_owned(),
            "`destroy` is no action",
        ),
        (
            paths("x-memgen-state: pet, "),
            PET.to_owned(),
            "beside `x-memgen-state`",
        ),
        (
            paths("x-memgen-action: delete, x-memgen-state: pat, "),
            PET.to_owned(),
            "there is no state `pat`, only pet",
        ),
        (
            paths(""),
            PET.replace("Pet: {", "Pet: {x-memgen-key: /nothing, "),
            "JSON pointer",
        ),
        (
            paths(""),
            PET.replace("Pet: {", "Pet: {x-memgen-partitions: 0, "),
            "from 1 to 4096",
        ),
        (
            paths(""),
            PET.replace("Pet: {", "Pet: {x-memgen-topic: 'a b', "),
            "a topic has letters",
        ),
        (
            paths(""),
            PET.replace("Pet: {", "Pet: {x-memgen-ack: [leader, all], "),
            "`all` or `leader` for Kafka",
        ),
        (
            paths(""),
            PET.replace("Pet: {", "Pet: {x-memgen-ack: [], "),
            "is a list such as [leader, os]",
        ),
        (
            paths(""),
            PET.replace("Pet: {", "Pet: {x-memgen-migrate: 'crate::V1', "),
            "list of different types",
        ),
        (
            paths("x-memgen-acton: handler, "),
            PET.to_owned(),
            "`x-memgen-acton` means nothing here",
        ),
    ];
    for (paths, schemas, message) in rows {
        let text = format!(
            "openapi: 3.1.0\ninfo: {{title: T, version: '1'}}\npaths: {{{paths}}}\ncomponents: {{schemas: {{{schemas}}}}}\n"
        );
        let (_, diagnostics) = api(&text);
        let found = diagnostics.iter().find(|one| one.message.contains(message));
        let found = found.unwrap_or_else(|| panic!("`{message}` is not said of {paths} {schemas}"));
        assert!(
            found.span.is_some_and(|span| span.line > 1),
            "{message}: {found:?}"
        );
    }
}

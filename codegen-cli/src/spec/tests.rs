//! Documents as people write them, and what is read.

use std::{fmt::Write as _, fs};

use super::*;

/// A document with these `paths` and `components`, as YAML of one level.
fn document(version: &str, rest: &str) -> String {
    format!("openapi: {version}\ninfo: {{title: Test, version: '1'}}\n{rest}\n")
}

/// What was read, and each message as `severity line:column pointer message`.
fn check(text: &str) -> (Option<Spec>, Vec<String>) {
    let mut diagnostics = Diagnostics::default();
    let (sources, spec) = read_bytes("test.yaml", text.as_bytes(), &mut diagnostics);
    for one in &diagnostics {
        assert!(sources.render(one, false).contains(&one.message));
    }
    (spec, messages(&diagnostics))
}

fn messages(diagnostics: &Diagnostics) -> Vec<String> {
    let message = |one: &Diagnostic| {
        let place = one
            .span
            .map(|span| format!("{}:{}", span.line, span.column));
        let severity = format!("{:?}", one.severity).to_lowercase();
        format!(
            "{severity} {} {} {}",
            place.unwrap_or_default(),
            one.pointer,
            one.message
        )
    };
    diagnostics.iter().map(message).collect()
}

#[test]
#[allow(clippy::too_many_lines)] // rows of data
fn schemas_become_those_of_both_versions() {
    // version, schema; in the document (3.1); in the tree (3.0)
    let rows = [
        (
            "3.0.0",
            "{type: string, nullable: true}",
            r#"{"type":["string","null"]}"#,
            r#"{"nullable":true,"type":"string"}"#,
        ),
        (
            "3.0.0",
            "{type: string, enum: [a], nullable: true}",
            r#"{"enum":["a",null],"type":["string","null"]}"#,
            r#"{"enum":["a"],"nullable":true,"type":"string"}"#,
        ),
        (
            "3.0.0",
            "{allOf: [{type: object}], nullable: true}",
            r#"{"anyOf":[{"allOf":[{"type":"object"}]},{"type":"null"}]}"#,
            r#"{"allOf":[{"type":"object"}],"nullable":true}"#,
        ),
        (
            "3.0.0",
            "{type: number, minimum: 1, exclusiveMinimum: true}",
            r#"{"exclusiveMinimum":1,"type":"number"}"#,
            r#"{"exclusiveMinimum":true,"minimum":1,"type":"number"}"#,
        ),
        (
            "3.0.0",
            "{type: number, maximum: 1, exclusiveMaximum: false}",
            r#"{"maximum":1,"type":"number"}"#,
            r#"{"exclusiveMaximum":false,"maximum":1,"type":"number"}"#,
        ),
        (
            "3.0.0",
            "{type: string, example: a}",
            r#"{"examples":["a"],"type":"string"}"#,
            r#"{"example":"a","type":"string"}"#,
        ),
        // Data is data, whatever it looks like.
        (
            "3.0.0",
            "{default: {$ref: x, nullable: true}}",
            r#"{"default":{"$ref":"x","nullable":true}}"#,
            r#"{"default":{"$ref":"x","nullable":true}}"#,
        ),
        (
            "3.1.0",
            "{type: [string, 'null']}",
            r#"{"type":["string","null"]}"#,
            r#"{"nullable":true,"type":"string"}"#,
        ),
        (
            "3.1.0",
            "{type: [string, integer]}",
            r#"{"type":["string","integer"]}"#,
            r#"{"anyOf":[{"type":"string"},{"type":"integer"}]}"#,
        ),
        (
            "3.1.0",
            "{const: a}",
            r#"{"const":"a"}"#,
            r#"{"enum":["a"]}"#,
        ),
        (
            "3.1.0",
            "{type: number, exclusiveMinimum: 0}",
            r#"{"exclusiveMinimum":0,"type":"number"}"#,
            r#"{"exclusiveMinimum":true,"minimum":0,"type":"number"}"#,
        ),
        (
            "3.1.0",
            "{type: number, minimum: 5, exclusiveMinimum: 0}",
            r#"{"exclusiveMinimum":0,"minimum":5,"type":"number"}"#,
            r#"{"minimum":5,"type":"number"}"#,
        ),
        (
            "3.1.0",
            "{anyOf: [{type: string}, {type: 'null'}]}",
            r#"{"anyOf":[{"type":"string"},{"type":"null"}]}"#,
            r#"{"nullable":true,"type":"string"}"#,
        ),
        (
            "3.1.0",
            "{type: string, contentEncoding: base64}",
            r#"{"contentEncoding":"base64","type":"string"}"#,
            r#"{"format":"byte","type":"string"}"#,
        ),
        (
            "3.1.0",
            "{type: array, prefixItems: [{type: string}]}",
            r#"{"prefixItems":[{"type":"string"}],"type":"array"}"#,
            r#"{"items":{},"type":"array"}"#,
        ),
        (
            "3.1.0",
            "{properties: {a: true, b: false}}",
            r#"{"properties":{"a":true,"b":false}}"#,
            r#"{"properties":{"a":{},"b":{"not":{}}}}"#,
        ),
        (
            "3.1.0",
            "{$ref: '#/components/schemas/T', description: x}",
            r##"{"$ref":"#/components/schemas/T","description":"x"}"##,
            r##"{"allOf":[{"$ref":"#/components/schemas/T"}],"description":"x"}"##,
        ),
        (
            "3.0.0",
            "{$ref: '#/components/schemas/T', description: x}",
            r##"{"$ref":"#/components/schemas/T"}"##,
            r##"{"$ref":"#/components/schemas/T"}"##,
        ),
    ];
    for (version, schema, raised, lowered) in rows {
        let text = document(
            version,
            &format!("paths: {{}}\ncomponents: {{schemas: {{T: {{}}, S: {schema}}}}}"),
        );
        let (spec, messages) = check(&text);
        let spec = spec.unwrap();
        assert_eq!(messages, [""; 0], "{schema}");
        assert_eq!(
            spec.document["components"]["schemas"]["S"].to_string(),
            raised,
            "{schema}"
        );
        let tree = spec.tree.pointer("/components/schemas/S").unwrap();
        assert_eq!(tree.to_json().to_string(), lowered, "{schema}");
    }
}

#[test]
#[allow(clippy::too_many_lines)] // rows of data
fn what_is_broken_is_named_and_left_out() {
    let rows = [
        (
            "swagger: '2.0'",
            "error 1:10 #/swagger this is Swagger 2.0, which came before OpenAPI",
        ),
        (
            "\u{feff}swagger: '2.0'",
            "error 1:10 #/swagger this is Swagger 2.0",
        ),
        (
            "{\"openapi\": \"3.0.0\", \"paths\": {}, \"paths\": {\"/a\": {}}, \"info\": {}}",
            "warning 1:35  `paths` is there a second time",
        ),
        (
            "a: 1",
            "error 1:1 # there is no `openapi` here, so this is no OpenAPI document",
        ),
        (
            "openapi: 4.0.0",
            "error 1:10 #/openapi `4.0.0` is no version of OpenAPI that is understood",
        ),
        ("", "error 1:1 # the file is empty"),
        ("a: [", "error 2:1 # this is no YAML"),
        (
            "{\"openapi\": ",
            "error 1:13 # this is no JSON: incomplete document",
        ),
        (
            "openapi: 3.0\ninfo: {title: a, version: b}\npaths: {}",
            "warning 1:10 #/openapi the version is the number 3.0",
        ),
        (
            "openapi: 3.0.0\npaths: {}",
            "warning 1:1 # there is no `info`",
        ),
        (
            "openapi: 3.0.0\ninfo: {title: a, version: b}",
            "warning 1:1 # there are no `paths`",
        ),
        (
            "openapi: 3.0.0\nopenapi: 3.1.0\ninfo: {}\npaths: {}",
            "warning 2:1  `openapi` is there a second time",
        ),
    ];
    for (text, message) in rows {
        let (_, messages) = check(text);
        assert!(messages[0].starts_with(message), "{text}: {messages:?}");
    }
    // In a document that is right but for one thing on line 4.
    let rows = [
        (
            "paths: {a: {}}",
            "4:9 #/paths/a the path `a` does not begin with `/`",
        ),
        (
            "paths: {/a: []}",
            "4:13 #/paths/~1a a path item is a list, not an object",
        ),
        (
            "paths: {/a: {gett: {}}}",
            "4:14 #/paths/~1a/gett a path item has no `gett`",
        ),
        (
            "paths: {/a: {get: {parameters: {}}}}",
            "4:32 #/paths/~1a/get/parameters this is an object, not a list of parameters",
        ),
        (
            "paths: {/a: {get: {parameters: [{$ref: '#/x'}]}}}",
            "4:40 #/paths/~1a/get/parameters/0 the reference to a parameter `#/x` leads nowhere",
        ),
        (
            "paths: {/a: {get: {parameters: [{$ref: 3}]}}}",
            "4:40 #/paths/~1a/get/parameters/0 `$ref` is a number, not a text",
        ),
        (
            "components: {schemas: {A: {$ref: ''}}}",
            "4:34 #/components/schemas/A the reference to a schema `` is empty",
        ),
        (
            "components: {schemas: {A: {$ref: 'http://x/y#/z'}}}",
            "4:34 #/components/schemas/A the reference to a schema `http://x/y#/z` is somewhere in the network",
        ),
        (
            "components: {schemas: {A: {$ref: 'b.yaml#/z'}}}",
            "4:34 #/components/schemas/A the reference to a schema `b.yaml#/z` is in another file",
        ),
        (
            "components: {schemas: {A: {$ref: '#/components/schemas/A'}}}",
            "4:27 #/components/schemas/A `A` is a reference that leads back to itself",
        ),
        (
            "components: {schemas: {A: {type: any}}}",
            "4:34 #/components/schemas/A/type `any` is no type",
        ),
        (
            "components: {schemas: {A: {minLength: -1}}}",
            "4:39 #/components/schemas/A/minLength `minLength` is not a whole number",
        ),
        (
            "components: {schemas: {A: {required: true}}}",
            "4:38 #/components/schemas/A/required `required` is the list of names",
        ),
        (
            "components: {schemas: {A: {enum: []}}}",
            "4:34 #/components/schemas/A/enum `enum` is empty",
        ),
        (
            "components: {schemas: {A: {multipleOf: 0}}}",
            "4:40 #/components/schemas/A/multipleOf `multipleOf` is not a number above 0",
        ),
        (
            "components: {schemas: {A: {title: []}}}",
            "4:35 #/components/schemas/A/title this is a list, not a text",
        ),
        (
            "components: {schemas: {A: {nullable: 'true'}}}",
            "4:38 #/components/schemas/A/nullable this is the text `true`; it is read as the value",
        ),
        (
            "components: {schemas: {A: {readOnly: 1}}}",
            "4:38 #/components/schemas/A/readOnly this is a number, not `true` or `false`",
        ),
        (
            "components: {schemas: {A: {deprecated: 'yes'}}}",
            "4:40 #/components/schemas/A/deprecated this is a text, not `true` or `false`",
        ),
        (
            "components: {parameters: {A: {in: query, name: a}}}",
            "4:30 #/components/parameters/A this parameter has neither `schema` nor `content`; it is taken as a text",
        ),
    ];
    for (rest, message) in rows {
        let paths = if rest.starts_with("paths") {
            "x-paths: {}"
        } else {
            "paths: {}"
        };
        let text = document("3.0.0", &format!("{paths}\n{rest}"));
        let (spec, messages) = check(&text);
        assert!(
            messages.len() == 1 && messages[0].starts_with(&format!("warning {message}")),
            "{rest}: {messages:?}"
        );
        assert!(spec.is_some(), "{rest}");
    }
}

#[test]
fn an_operation_that_lost_something_says_so() {
    let text = document(
        "3.0.0",
        "paths:\n  /a:\n    get: {requestBody: {$ref: '#/x'}, responses: {}}\n    put: {responses: {}}\n  \
         /b:\n    get: {responses: {}}\n    parameters: [{$ref: '#/y'}]\n  /c:\n    get: {responses: {'200': {description: [], links: {l: {$ref: '#/z'}}, content: {a/b: {schema: {$ref: '#/z'}}}}}}",
    );
    let (spec, messages) = check(&text);
    assert_eq!(messages.len(), 5, "{messages:?}");
    let tree = spec.unwrap().tree;
    let rows = [
        (
            "/paths/~1a/get",
            Some("the reference to a request body `#/x` leads nowhere"),
        ),
        ("/paths/~1a/put", None),
        (
            "/paths/~1b/get",
            Some("the reference to a parameter `#/y` leads nowhere"),
        ),
        ("/paths/~1c/get", None),
    ];
    for (pointer, expected) in rows {
        let operation = tree.pointer(pointer).unwrap();
        let why = operation.member(UNSUPPORTED).and_then(Node::as_str);
        assert_eq!(why, expected, "{pointer}");
    }
}

#[test]
fn what_is_only_in_one_version_stays_there() {
    let (spec, messages) = check(&document(
        "3.1.0",
        "paths: {}\nwebhooks: {a: {post: {responses: {}}}}",
    ));
    let spec = spec.unwrap();
    assert_eq!(messages.len(), 1, "{messages:?}");
    assert!(messages[0].contains("webhooks are described and not made"));
    assert!(spec.document["webhooks"]["a"].is_object());
    assert!(spec.tree.member("webhooks").is_none());
}

#[test]
fn unknown_names_are_counted_and_near_ones_suggested() {
    let schemas: Vec<String> = (0..5)
        .map(|number| format!("    S{number}: {{propertys: {{}}}}\n"))
        .collect();
    let schemas = schemas.concat();
    let text = document(
        "3.0.0",
        &format!("paths: {{}}\ncomponents:\n  schemas:\n{schemas}"),
    );
    let mut diagnostics = Diagnostics::default();
    read_bytes("test.yaml", text.as_bytes(), &mut diagnostics);
    let messages = messages(&diagnostics);
    assert_eq!(messages.len(), 2, "{messages:?}");
    assert!(messages[0].contains("a schema has no `propertys`"));
    assert!(messages[1].contains("`propertys` in 4 other schemas is unknown too"));
    let help = diagnostics
        .iter()
        .next()
        .and_then(|one| one.help.clone())
        .unwrap();
    assert!(help.contains("`properties`"), "{help}");
}

#[test]
fn files_become_one() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    let main = document(
        "3.1.0",
        "paths:\n  /pets: {$ref: paths/pets.yaml}\n  /odd: {get: {parameters: [{$ref: '#/paths/~1pets2/get/parameters/0'}], responses: {}}}\n  \
         /pets2: {get: {parameters: [{name: a, in: query, schema: {$ref: 'types/pet.json#name'}}], responses: {}}}\n\
         components: {schemas: {Pet: {$ref: types/pet.json}, Owner: {type: object}}}",
    );
    write("openapi.yaml", &main);
    write(
        "paths/pets.yaml",
        "get:\n  responses:\n    '200':\n      description: ok\n      content:\n        application/json:\n          schema: {type: array, items: {$ref: ../types/pet.json}}\n",
    );
    write(
        "types/pet.json",
        r##"{"type": "object", "properties": {"name": {"$anchor": "name", "type": "string"}, "mother": {"$ref": "#"}, "owner": {"$ref": "owner.json#/$defs/Owner"}}}"##,
    );
    write(
        "types/owner.json",
        r#"{"$defs": {"Owner": {"type": "object", "properties": {"pet": {"$ref": "pet.json"}}}}}"#,
    );
    let mut diagnostics = Diagnostics::default();
    let (sources, spec) = read(&folder.path().join("openapi.yaml"), &mut diagnostics);
    assert_eq!(messages(&diagnostics), [""; 0]);
    let names: Vec<_> = sources.names().collect();
    assert_eq!(
        names,
        [
            "openapi.yaml",
            "types/pet.json",
            "paths/pets.yaml",
            "types/owner.json"
        ]
    );
    let document = spec.unwrap().document;
    let schemas = &document["components"]["schemas"];
    let names: Vec<_> = schemas.as_object().unwrap().keys().collect();
    assert_eq!(names, ["Owner", "Owner2", "Pet", "name"], "{schemas}");
    let at = |pointer: &str| {
        document
            .pointer(pointer)
            .and_then(|value| value["$ref"].as_str())
            .unwrap_or_default()
    };
    assert_eq!(
        at("/paths/~1pets/get/responses/200/content/application~1json/schema/items"),
        "#/components/schemas/Pet"
    );
    assert_eq!(
        at("/components/schemas/Pet/properties/mother"),
        "#/components/schemas/Pet"
    );
    assert_eq!(
        at("/components/schemas/Pet/properties/owner"),
        "#/components/schemas/Owner2"
    );
    assert_eq!(
        at("/components/schemas/Owner2/properties/pet"),
        "#/components/schemas/Pet"
    );
    assert_eq!(
        at("/paths/~1odd/get/parameters/0"),
        "#/components/parameters/0"
    );
    assert_eq!(
        at("/components/parameters/0/schema"),
        "#/components/schemas/name"
    );
}

#[test]
fn a_document_without_mistakes_is_read_without_a_word() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/petstore/openapi.yaml");
    let mut diagnostics = Diagnostics::default();
    let (_, spec) = read(&path, &mut diagnostics);
    let spec = spec.unwrap();
    assert_eq!(messages(&diagnostics), [""; 0]);
    let api: openapiv3::OpenAPI = spec.tree.deserialize().unwrap();
    assert_eq!(api.operations().count(), 26);
    let paths = spec.document["paths"].as_object().unwrap();
    assert_eq!(paths.len(), api.paths.paths.len());
}

#[test]
fn path_items_that_contain_themselves_end() {
    let text = document(
        "3.0.0",
        "paths:\n  /a: &a\n    get:\n      responses: {}\n      callbacks: {c: {x: {$ref: '#/paths/~1a'}}}\n",
    );
    let (spec, messages) = check(&text);
    assert!(
        messages
            .iter()
            .any(|message| message.contains("contains itself")),
        "{messages:?}"
    );
    assert!(spec.is_some());
}

#[test]
fn hostile_documents_are_refused_in_words() {
    let deep =
        |open: &str, close: &str| format!("{}{}", open.repeat(100_000), close.repeat(100_000));
    let mut laughs = "a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n".to_owned();
    for level in 1..12 {
        let inner = vec![format!("*a{}", level - 1); 10].join(", ");
        writeln!(laughs, "a{level}: &a{level} [{inner}]").unwrap();
    }
    let circles = document(
        "3.0.0",
        "paths: {}\ncomponents: {schemas: {A: {$ref: '#/components/schemas/B'}, B: {$ref: '#/components/schemas/A'}, C: {allOf: [{$ref: '#/components/schemas/C/allOf/0'}]}}}",
    );
    let rows = [
        (
            format!("{{\"openapi\": {}}}", deep("[", "]")),
            "nested deeper than 200 levels",
        ),
        (
            format!("{{\"openapi\": {}}}", deep("{\"a\":", "}")),
            "nested deeper than 200 levels",
        ),
        (
            format!("openapi: {}", deep("[", "]")),
            "nested deeper than 200 levels",
        ),
        (
            (0..1000)
                .map(|level| format!("{}a:\n", " ".repeat(level)))
                .collect::<Vec<_>>()
                .concat(),
            "nested deeper than 200 levels",
        ),
        (laughs, "counted each time that aliases"),
        (
            "a: &x [*x]".to_owned(),
            "no anchor before it, or stands inside of it",
        ),
        (circles, "leads back to itself"),
        ("{\"a\": 1e999}".to_owned(), "too large"),
        ("{\"a\": \"\\ud800\"}".to_owned(), "this is no JSON"),
    ];
    for (text, message) in rows {
        let (_, messages) = check(&text);
        let shown: String = text.chars().take(60).collect();
        assert!(
            messages.iter().any(|one| one.contains(message)),
            "{shown}: {messages:?}"
        );
    }
}

/// Bytes of documents changed at random: whatever comes of it, it comes to an end, with a message if nothing can be read.
#[test]
fn documents_that_were_damaged_at_random_end() {
    let yaml = document(
        "3.1.0",
        "paths: &p\n  /a/{b}:\n    get:\n      parameters: [{name: b, in: path, required: true, schema: {$ref: '#/components/schemas/B'}}]\n      \
         responses: {'200': {description: ok, content: {application/json: {schema: {type: [array, 'null'], items: {$ref: '#/components/schemas/B'}}}}}}\n\
         components:\n  schemas:\n    B: &b {allOf: [{$ref: '#/components/schemas/C'}], nullable: true}\n    C: {<<: *b, type: object, properties: {b: {$ref: '#/components/schemas/B'}}}\n",
    );
    let (spec, messages) = check(&yaml);
    assert!(messages.len() < 3, "{messages:?}");
    let json = spec.unwrap().document.to_string();
    let pieces = [
        "$ref",
        "#/components/schemas/C",
        "allOf",
        "[",
        "]",
        "{",
        "}",
        ":",
        "\"",
        "\n  ",
        "*b",
        "&b ",
        "- ",
        "null",
        "-1",
        "<<",
        "\\ud800",
        "\0",
    ];
    for seed in 0..3000 {
        let mut random = fastrand::Rng::with_seed(seed);
        let source = if random.bool() { &yaml } else { &json };
        let mut bytes = source.clone().into_bytes();
        for _ in 0..random.usize(1..6) {
            let at = random.usize(..bytes.len());
            match random.u8(0..4) {
                0 => bytes[at] = random.u8(..),
                1 => drop(bytes.drain(at..(at + random.usize(..20)).min(bytes.len()))),
                2 => drop(bytes.splice(at..at, random.choice(pieces).unwrap_or_default().bytes())),
                _ => {
                    let from = random.usize(..bytes.len());
                    let piece = bytes[from..(from + random.usize(..60)).min(bytes.len())].to_vec();
                    drop(bytes.splice(at..at, piece));
                }
            }
            if bytes.is_empty() {
                break;
            }
        }
        let mut diagnostics = Diagnostics::default();
        let (sources, spec) = read_bytes("damaged", &bytes, &mut diagnostics);
        assert!(
            spec.is_some() || diagnostics.count(Severity::Error) > 0,
            "seed {seed}"
        );
        for one in &diagnostics {
            let shown = sources.render(one, true);
            assert!(shown.contains(&one.message), "seed {seed}");
        }
    }
}

/// The document keeps such a pattern; the service leaves it aside.
#[test]
fn patterns_that_nothing_can_be_checked_by_are_told_of() {
    let text = document(
        "3.1.0",
        "paths: {}\ncomponents: {schemas: {A: {pattern: '(?<'}, B: {pattern: '(?<!x)y\\d+$'}, C: {properties: {c: {pattern: '(?<'}}}, \
         D: {patternProperties: {'[': {}, '^x': {}}}, E: {pattern: '(x\\w{1000}y){1000}'}}}",
    );
    let (spec, messages) = check(&text);
    let expected = [
        "warning 4:37 #/components/schemas/A/pattern the pattern `(?<` can't be used: nothing is checked by it",
        "warning 4:104 #/components/schemas/C/properties/c/pattern the pattern `(?<` can't be used: nothing is checked by it",
    ];
    for message in expected {
        assert!(messages.iter().any(|one| one == message), "{messages:#?}");
    }
    let places: Vec<&str> = messages
        .iter()
        .filter_map(|one| one.split(' ').nth(2))
        .collect();
    assert!(places.contains(&"#/components/schemas/D/patternProperties"));
    assert!(places.contains(&"#/components/schemas/E/pattern"));
    assert_eq!(messages.len(), 4, "{messages:#?}");
    let document = spec.unwrap().document;
    assert_eq!(document["components"]["schemas"]["A"]["pattern"], "(?<");
}

use super::*;
use crate::{diagnostic::Diagnostics, lower, spec};

/// The files of a document, each of which must be Rust.
fn files(document: &str) -> Vec<File> {
    let mut diagnostics = Diagnostics::default();
    // What begins with a brace would be read as JSON.
    let document = document.replacen("{openapi", "# YAML\n{openapi", 1);
    let (_, spec) = spec::read_bytes("api.yaml", document.as_bytes(), &mut diagnostics);
    let mut spec = spec.unwrap_or_else(|| panic!("{diagnostics:?}"));
    let api = lower::lower(&mut spec, &mut diagnostics);
    let options = Options {
        name: "api".to_owned(),
        dependency: Dependency::Version("1".to_owned()),
        alone: false,
        known: Vec::new(),
    };
    let files = emit(&api, &options);
    assert_eq!(files, emit(&api, &options), "same input, same bytes");
    for file in files.iter().filter(|file| is_rust(file)) {
        syn::parse_file(&file.text)
            .unwrap_or_else(|error| panic!("{}: {error}\n{}", file.path, file.text));
    }
    files
}

fn text<'a>(files: &'a [File], path: &str) -> &'a str {
    files
        .iter()
        .find(|file| file.path == path)
        .map_or("", |file| &file.text)
}

/// Each schema, and what it must become.
#[test]
fn schemas_become_types() {
    let rows = [
        (
            "{type: object, required: [petId], properties: {petId: {type: integer}, type: {type: string}}}",
            "pub struct Pet {\n    #[serde(rename = \"petId\")]\n    pub pet_id: i64,\n    #[serde(skip_serializing_if = \"Option::is_none\")]\n    pub r#type: Option<String>,\n}",
        ),
        // One word for all of them.
        (
            "{type: object, required: [aB, cD, e-f], properties: {aB: {type: boolean}, cD: {type: number}, e-f: {type: string, format: uuid}}}",
            "#[serde(rename_all = \"camelCase\")]\npub struct Pet {\n    pub a_b: bool,\n    pub c_d: f64,\n    #[serde(rename = \"e-f\")]\n    pub e_f: Uuid,\n}",
        ),
        // Required and null; and what goes in one direction only.
        (
            "{type: object, required: [a, b], properties: {a: {type: string, nullable: true}, b: {type: string, readOnly: true}}}",
            "    pub a: Option<String>,\n    /// Only in replies.\n    #[serde(skip_serializing_if = \"Option::is_none\")]\n    pub b: Option<String>,\n",
        ),
        // Left out or null.
        (
            "{type: object, properties: {a: {type: string, nullable: true}}}",
            "    #[serde(default, with = \"nullable\", skip_serializing_if = \"Option::is_none\")]\n    pub a: Option<Option<String>>,\n",
        ),
        (
            "{type: object, properties: {extra: {type: string, default: \"x\"}}, additionalProperties: {type: integer}}",
            "    /// If it is left out: `\"x\"`.\n    #[serde(skip_serializing_if = \"Option::is_none\")]\n    pub extra: Option<String>,\n    /// All other properties.\n    #[serde(flatten)]\n    pub extra2: BTreeMap<String, i64>,\n",
        ),
        (
            "{type: object, required: [next], properties: {next: {$ref: '#/components/schemas/Pet'}, all: {type: array, items: {$ref: '#/components/schemas/Pet'}}}}",
            "#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]\npub struct Pet {\n    pub next: Box<Pet>,\n    #[serde(skip_serializing_if = \"Option::is_none\")]\n    pub all: Option<Vec<Pet>>,\n}",
        ),
        (
            "{type: string, enum: [in-stock, sold-out]}",
            "#[serde(rename_all = \"kebab-case\")]\npub enum Pet {\n    InStock,\n    SoldOut,\n}",
        ),
        (
            "{type: string, enum: ['', self, Self, '<=', 'a', A]}",
            "pub enum Pet {\n    #[serde(rename = \"\")]\n    Empty,\n    #[serde(rename = \"self\")]\n    Self2,\n    #[serde(rename = \"Self\")]\n    Self3,\n    #[serde(rename = \"<=\")]\n    LessEqual,\n    #[serde(rename = \"a\")]\n    A,\n    #[serde(rename = \"A\")]\n    A2,\n}",
        ),
        (
            "{enum: [1, -2, low]}",
            "memgen::values! {\n    pub enum Pet {\n        Value1 = 1,\n        ValueMinus2 = -2,\n        Low = \"low\",\n    }\n}",
        ),
        (
            "{oneOf: [{type: integer}, {type: array, items: {type: string}}, {type: object, properties: {a: {type: string}}}]}",
            "#[serde(untagged)]\npub enum Pet {\n    Integer(i64),\n    List(Vec<String>),\n    Option3(PetOption3),\n}",
        ),
        (
            "{oneOf: [{$ref: '#/components/schemas/Cat'}, {$ref: '#/components/schemas/Dog'}], discriminator: {propertyName: kind, mapping: {tom: '#/components/schemas/Cat', kitten: '#/components/schemas/Cat'}}}",
            "memgen::union! {\n    pub enum Pet by \"kind\" {\n        Cat(Cat) = \"tom\" | \"kitten\",\n        Dog(Dog) = \"Dog\",\n    }\n}",
        ),
    ];
    for (schema, expected) in rows {
        let document = format!(
            "{{openapi: 3.0.3, info: {{title: T, version: '1'}}, paths: {{}}, components: {{schemas: {{Pet: {schema}, \
             Cat: {{type: object, properties: {{kind: {{type: string}}}}}}, Dog: {{type: object, properties: {{kind: {{type: string}}}}}}}}}}}}"
        );
        let files = files(&document);
        let types = text(&files, "src/generated/types.rs");
        assert!(
            types.contains(expected),
            "{schema}\n{expected}\n---\n{types}"
        );
    }
}

/// Each operation, and what must be in the file of its tag.
#[test]
fn operations_become_methods() {
    let rows = [
        (
            "get: {operationId: listPets, summary: All of them., parameters: [{name: limit, in: query, schema: {type: integer, format: int32}}], responses: {'200': {description: d, content: {application/json: {schema: {type: array, items: {type: string}}}}}, default: {description: e, content: {application/json: {schema: {type: string}}}}}}",
            vec![
                "    /// All of them.\n    ///\n    /// `GET /pets`\n    #[operation(\"listPets\")]\n    async fn list_pets(cx: Cx, parameters: ListPetsParameters) -> Result<ListPetsReply>;",
                "#[derive(Clone, Debug, PartialEq, Deserialize)]\npub struct ListPetsParameters {\n    pub limit: Option<i32>,\n}",
                "#[derive(Debug, Reply)]\npub enum ListPetsReply {\n    Ok(Vec<String>),\n    Default(StatusCode, String),\n}",
            ],
        ),
        (
            "post: {operationId: a, requestBody: {required: true, content: {application/json: {schema: {type: string}}, application/x-www-form-urlencoded: {schema: {type: string}}, image/*: {}, text/plain: {}}}, responses: {'404': {description: d}}}",
            vec![
                "async fn a(cx: Cx, body: ABody) -> Result<AReply>;",
                "pub enum ABody {\n    #[body(\"application/json\", \"application/x-www-form-urlencoded\")]\n    Json(String),\n    #[body(\"image/*\")]\n    Image(Bytes),\n    #[body(\"text/plain\")]\n    Text(String),\n}",
                "    NotFound,\n    /// The document does not say how it succeeds.\n    NoContent,\n",
            ],
        ),
        (
            "put: {operationId: b, requestBody: {content: {application/octet-stream: {}}}, responses: {2XX: {description: d, headers: {X-Rate-Limit: {required: true, schema: {type: integer}}, Next: {schema: {type: string}}}, content: {application/xml: {}, application/json: {schema: {type: object}}, image/*: {}, text/event-stream: {schema: {type: string}}}}}}",
            vec![
                "async fn b(cx: Cx, body: Option<Bytes>) -> Result<BReply>;",
                "    Success {\n        status: StatusCode,\n        body: BTreeMap<String, Value>,\n        x_rate_limit: i64,\n        next: Option<String>,\n    },\n    #[reply(\"2XX\", \"application/xml\")]\n    SuccessXml {",
                "    SuccessImage {\n        status: StatusCode,\n        body: Bytes,\n        content_type: String,\n",
                "    SuccessEvents {\n        status: StatusCode,\n        body: EventStream<String>,\n",
            ],
        ),
        // What most errors are labelled as is said once.
        (
            "get: {operationId: d, responses: {'200': {description: d, headers: {ETag: {required: true, schema: {type: string}}, Status: {schema: {type: integer}}}}, '400': {description: d, content: {application/problem+json: {schema: {type: string}}}}, '404': {description: d, content: {application/json: {schema: {type: string}}}}, '409': {description: d, content: {application/problem+json: {schema: {type: string}}}}, 5XX: {description: d, content: {application/problem+json: {schema: {type: string}}}}}}",
            vec![
                "#[derive(Debug, Reply)]\n#[reply(errors = \"application/problem+json\")]\npub enum DReply {\n    Ok {\n        #[header(\"ETag\")]\n        e_tag: String,\n        #[header(\"Status\")]\n        status: Option<i64>,\n    },\n",
                "    BadRequest(String),\n    #[reply(404, \"application/json\")]\n    NotFound(String),\n    Conflict(String),\n    ServerError(StatusCode, String),\n",
            ],
        ),
        (
            "get: {operationId: e, responses: {'400': {description: d, content: {application/problem+json: {schema: {type: string}}}}, '404': {description: d, content: {application/json: {schema: {type: string}}}}}}",
            vec![
                "#[derive(Debug, Reply)]\npub enum EReply {\n    #[reply(400, \"application/problem+json\")]\n    BadRequest(String),\n    NotFound(String),\n",
            ],
        ),
        // As rustfmt has it: in one line where all have one.
        (
            "get: {operationId: f, responses: {'200': {description: d, headers: {Age: {schema: {type: integer}}}}, '404': {description: d}}}",
            vec!["pub enum FReply {\n    Ok { age: Option<i64> },\n    NotFound,\n}"],
        ),
        (
            "get: {operationId: g, responses: {'200': {description: d, headers: {Age: {schema: {type: integer}}}}, '404': {description: d, content: {text/plain: {}}}}}",
            vec![
                "pub enum GReply {\n    Ok {\n        age: Option<i64>,\n    },\n    #[reply(404, \"text/plain\")]\n",
            ],
        ),
        // A body of its own is no name for the enum of bodies.
        (
            "post: {operationId: make, requestBody: {required: true, content: {application/json: {schema: {type: object, properties: {a: {type: string}}}}}}, responses: {'200': {description: d, content: {application/json: {schema: {type: object, properties: {a: {type: string}}}}}}}}",
            vec![
                "body: Json<MakeBody>) -> Result<MakeReply>;",
                "Ok(MakeReplyValue),",
            ],
        ),
    ];
    for (operation, expected) in rows {
        let document = format!(
            "{{openapi: 3.0.3, info: {{title: T, version: '1'}}, paths: {{/pets: {{{operation}}}}}}}"
        );
        let files = files(&document);
        let tag = text(&files, "src/generated/pets.rs");
        for expected in expected {
            assert!(tag.contains(expected), "{expected}\n---\n{tag}");
        }
    }
}

/// The macro `Reply` knows the status of each variant that is called by its status.
#[test]
fn names_are_statuses() {
    let macros = concat!(env!("CARGO_MANIFEST_DIR"), "/../macros/src/status.rs");
    let macros = std::fs::read_to_string(macros).unwrap();
    for code in 200..600 {
        let name = replies::status_name(crate::model::Status::Code(code));
        let known = macros.contains(&format!("({code}, \"{name}\"),"));
        assert!(known || name == format!("Status{code}"), "{code} {name}");
    }
    for class in 2..6 {
        let name = replies::status_name(crate::model::Status::Class(class));
        let known = format!("    (\"{name}\", {}),\n", class >= 4);
        assert!(macros.contains(&known), "{name}");
    }
}

/// What stands in the prelude, too, hides it, and is found all the same: in one file and in many.
#[test]
fn types_hide_the_prelude() {
    let document = |more: &str| {
        format!(
            "{{openapi: 3.0.3, info: {{title: T, version: '1'}}, paths: {{}}, components: {{schemas: {{{more} \
             NotFound: {{type: object, properties: {{a: {{type: string}}}}}}}}}}}}"
        )
    };
    let one = files(&document(""));
    assert!(text(&one, "src/generated/types.rs").contains("pub struct NotFound {"));
    let more = (0..400).map(|number| {
        format!("T{number}: {{type: object, properties: {{x: {{type: string}}}}}}, ")
    });
    let many = files(&document(&more.collect::<String>()));
    let types = text(&many, "src/generated/types.rs");
    assert!(types.contains("\npub use self::n::NotFound;\n"), "{types}");
}

/// Texts that want to be more than text.
#[test]
fn no_text_becomes_code() {
    let rows = [
        "*/ fn evil() {} /*",
        "\"# ]; fn evil() {} //",
        "x\n}\nfn evil() {}\n",
        "x\r}\rfn evil() {}",
        "\u{2028}fn evil() {}",
        "\u{202E}fn evil() {}\u{2066}",
        "```\nfn evil() {}",
        "    fn evil() {}",
        "#![evil]",
        "r#evil",
        "`evil`; fn evil() {}",
        "{{evil}}",
        "\0\u{1}\"\\",
        "}\n\nmod evil;",
        "/evil/../../x",
    ];
    for row in rows {
        let row = serde_json::to_string(row).unwrap();
        let row = &row[1..row.len() - 1];
        let document = format!(
            r##"{{"openapi": "3.1.0", "info": {{"title": "{row}", "version": "{row}", "description": "{row}"}},
            "paths": {{"/a{row}": {{"post": {{"operationId": "{row}", "tags": ["{row}"], "summary": "{row}", "description": "{row}",
              "parameters": [{{"name": "{row}", "in": "query", "description": "{row}", "schema": {{"type": "string", "enum": ["{row}", "a"], "default": "{row}"}}}}],
              "requestBody": {{"content": {{"text/{row}": {{}}, "application/json": {{"schema": {{"$ref": "#/components/schemas/A"}}}}}}}},
              "responses": {{"200": {{"description": "{row}", "headers": {{"{row}": {{"schema": {{"type": "string"}}}}}}, "content": {{"a/{row}": {{}}}}}}}}}}}}}},
            "components": {{"securitySchemes": {{"{row}": {{"type": "http", "scheme": "{row}"}}}}, "schemas": {{"A": {{"title": "{row}", "description": "{row}", "type": "object", "required": ["{row}"],
              "properties": {{"{row}": {{"type": "string", "description": "{row}", "default": "{row}"}}, "u": {{"oneOf": [{{"title": "{row}", "type": "object", "properties": {{"{row}": {{}}}}}}, {{"type": "integer"}}],
              "discriminator": {{"propertyName": "{row}"}}}}}}}}}}}}}}"##
        );
        for file in files(&document) {
            assert!(
                !file.path.contains("..") && file.path.bytes().all(|one| one.is_ascii_graphic()),
                "{}",
                file.path
            );
            if !is_rust(&file) {
                continue;
            }
            let parsed = syn::parse_file(&file.text).unwrap();
            for item in &parsed.items {
                let evil = match item {
                    syn::Item::Fn(it) => it.sig.ident == "evil",
                    syn::Item::Mod(it) => {
                        it.ident == "evil"
                            && it.semi.is_some()
                            && file.path != "src/generated/mod.rs"
                    }
                    _ => false,
                };
                assert!(!evil, "{row}: {}", file.text);
            }
            let turning =
                |one: char| matches!(one, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\r');
            assert!(!file.text.contains(turning), "{row}: {}", file.text);
        }
    }
}

#[test]
fn descriptions_are_harmless() {
    let rows = [
        ("one\ntwo\n\n\n\nthree", vec!["one two", "", "three"]),
        ("- a\n- b\nc", vec!["- a", "- b c"]),
        (
            "```rust\nfn main() {}\n```",
            vec!["```text", "fn main() {}", "```"],
        ),
        ("```\nfn main() {}", vec!["```text", "fn main() {}", "```"]),
        ("     code?", vec!["   code?"]),
        (
            "see [Pet] and [this](Self::x)",
            vec!["see \\[Pet\\] and \\[this\\](Self::x)"],
        ),
        ("see [it](https://a.b/c)", vec!["see [it](https://a.b/c)"]),
        ("`[a]<b>` [`c`]", vec!["`[a]<b>` \\[`c`\\]"]),
        ("<p>a <b class='x'>bold</b> word</p>", vec!["a bold word"]),
        ("Vec<T> and <script>", vec!["Vec\\<T> and \\<script>"]),
        ("a\u{202E}b\u{0}c\td", vec!["abc d"]),
        ("", vec![]),
        ("1\n\n2\n\n3\n\n4\n\n5\n\n6", vec!["1", "", "2", "", "3 …"]),
        (
            "a\n```\n1\n2\n3\n4\n5\n6\n```",
            vec!["a", "```text", "1", "2", "3", "4", "```"],
        ),
    ];
    for (text, expected) in rows {
        assert_eq!(doc::lines(text, 6), expected, "{text}");
    }
    let long = doc::lines(&"word ".repeat(10_000), 3);
    assert_eq!(long.len(), 3);
    assert!(long.iter().all(|line| line.chars().count() < 100));
}

/// What is added elsewhere changes no name.
#[test]
fn names_stay() {
    let document = |more: &str, paths: &str| {
        format!(
            "{{openapi: 3.0.3, info: {{title: T, version: '1'}}, paths: {{{paths}}}, components: {{schemas: {{{more} \
             Pet: {{type: object, properties: {{a: {{type: object, properties: {{b: {{type: string}}}}}}}}}}}}}}}}"
        )
    };
    let before = files(&document("", ""));
    let names = |files: &[File]| -> Vec<String> {
        let file = syn::parse_file(text(files, "src/generated/types.rs")).unwrap();
        let items = file.items.iter().filter_map(|item| match item {
            syn::Item::Struct(it) => Some(it.ident.to_string()),
            _ => None,
        });
        items.collect()
    };
    assert_eq!(names(&before), ["Pet", "PetA"]);
    let rows = [
        (
            "pet: {type: object, properties: {x: {type: string}}},",
            "",
            vec!["Pet", "Pet2", "PetA"],
        ),
        (
            "Zoo: {type: object, properties: {x: {type: string}}},",
            "",
            vec!["Pet", "PetA", "Zoo"],
        ),
        (
            "",
            "/pet: {get: {operationId: pet, responses: {'200': {description: d, content: {application/json: {schema: {type: object, properties: {b: {type: string}}}}}}}}}",
            vec!["Pet", "PetA", "PetReplyValue"],
        ),
    ];
    for (more, paths, expected) in rows {
        assert_eq!(
            names(&files(&document(more, paths))),
            expected,
            "{more}{paths}"
        );
    }
}

fn is_rust(file: &File) -> bool {
    std::path::Path::new(&file.path)
        .extension()
        .is_some_and(|it| it == "rs")
}

/// Hundreds of types are in files of their own, and no file moves when one is added.
#[test]
fn many_types_are_many_files() {
    let schemas = (0..400).map(|number| {
        let letter = char::from(b'a' + u8::try_from(number % 26).unwrap());
        format!("{letter}{number}: {{type: object, properties: {{x: {{type: string}}}}}}, ")
    });
    let schemas: Vec<String> = schemas.collect();
    let schemas = schemas.concat();
    let files = files(&format!(
        "{{openapi: 3.0.3, info: {{title: T, version: '1'}}, paths: {{}}, components: {{schemas: {{{schemas}}}}}}}"
    ));
    assert!(text(&files, "src/generated/types.rs").contains("mod a;\n"));
    assert!(text(&files, "src/generated/types/z.rs").contains("pub struct Z25 {"));
}

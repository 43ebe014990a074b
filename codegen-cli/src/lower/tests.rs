//! What schemas and operations become.

use super::*;
use crate::{
    model::{Payload, Place as Where, Status, TypeKind, TypeRef},
    spec,
};

/// The model of a document with these `components/schemas` and paths.
fn api(schemas: &str, paths: &str) -> (Api, Vec<String>) {
    let text = format!(
        "openapi: 3.1.0\ninfo: {{title: T, version: '1'}}\npaths:\n{}\ncomponents:\n  schemas:\n{}\n",
        indented(paths, 2),
        indented(schemas, 4),
    );
    let mut diagnostics = Diagnostics::default();
    let (sources, spec) = spec::read_bytes("t.yaml", text.as_bytes(), &mut diagnostics);
    let read: Vec<String> = diagnostics
        .iter()
        .map(|one| sources.render(one, false))
        .collect();
    let mut spec = spec.unwrap_or_else(|| panic!("{read:?}\n{text}"));
    let mut found = Diagnostics::default();
    let api = lower(&mut spec, &mut found);
    (api, found.iter().map(|one| one.message.clone()).collect())
}

fn indented(text: &str, by: usize) -> String {
    let lines = text
        .trim_end()
        .lines()
        .filter(|line| !line.trim().is_empty());
    let lines = lines.map(|line| format!("{}{line}\n", " ".repeat(by)));
    lines.collect::<Vec<_>>().concat()
}

/// A type in short: `{a: i64, b?: [Pet]}`, `"x" | 1`, `<Cat | Dog by kind>`.
fn short(api: &Api, ty: &TypeRef) -> String {
    match ty {
        TypeRef::Named(id) => api.types[id.0].words.clone(),
        TypeRef::Boxed(inner) => format!("box {}", short(api, inner)),
        TypeRef::Nullable(inner) => format!("{}?", short(api, inner)),
        TypeRef::List(inner) => format!("[{}]", short(api, inner)),
        TypeRef::Map(inner) => format!("{{*: {}}}", short(api, inner)),
        plain => format!("{plain:?}").to_lowercase(),
    }
}

fn kind(api: &Api, kind: &TypeKind) -> String {
    match kind {
        TypeKind::Enum(values) => {
            let values: Vec<String> = values.iter().map(ToString::to_string).collect();
            values.join(" | ")
        }
        TypeKind::Struct(inner) => {
            let fields = inner.fields.iter().map(|field| {
                let open = if field.required { "" } else { "?" };
                let side = match (field.read_only, field.write_only) {
                    (true, _) => " (out)",
                    (_, true) => " (in)",
                    _ => "",
                };
                format!("{}{open}: {}{side}", field.name, short(api, &field.ty))
            });
            let extra = inner
                .extra
                .iter()
                .map(|ty| format!("*: {}", short(api, ty)));
            let all: Vec<String> = fields.chain(extra).collect();
            format!("{{{}}}", all.join(", "))
        }
        TypeKind::Union(union) => {
            let variants = union.variants.iter().map(|variant| {
                let tags = if variant.tags.is_empty() {
                    String::new()
                } else {
                    format!("={}", variant.tags.join(","))
                };
                format!("{}{tags}", short(api, &variant.ty))
            });
            let by = union.discriminator.iter().map(|name| format!(" by {name}"));
            let variants: Vec<String> = variants.collect();
            format!("<{}{}>", variants.join(" | "), by.collect::<String>())
        }
    }
}

/// The type `name` of a document with these schemas.
fn check(schemas: &str, name: &str, expected: &str) {
    let (api, _) = api(schemas, "");
    let found = api.types.iter().find(|def| def.words == name);
    let found = found.unwrap_or_else(|| panic!("no `{name}` in {schemas}"));
    assert_eq!(kind(&api, &found.kind), expected, "{schemas}");
}

#[test]
fn objects() {
    check(
        "A: {type: object, required: [a, n], properties: {a: {type: integer}, b: {type: string, readOnly: true}, n: {type: [string, 'null']}, w: {type: boolean, writeOnly: true}}}",
        "A",
        "{a: i64, b?: string (out), n: string?, w?: bool (in)}",
    );
    check(
        "A: {type: object, properties: {a: {type: integer}}, additionalProperties: {type: number}}",
        "A",
        "{a?: i64, *: f64}",
    );
    check(
        "A: {properties: {a: {}}, additionalProperties: true}",
        "A",
        "{a?: any, *: any}",
    );
    check(
        "A: {properties: {a: {}}, additionalProperties: false}",
        "A",
        "{a?: any}",
    );
    check(
        "A: {properties: {m: {type: object}, t: {type: object, additionalProperties: {type: integer}}, l: {type: array, items: {type: array, items: {type: string}}}, e: {type: array}}}",
        "A",
        "{m?: {*: any}, t?: {*: i64}, l?: [[string]], e?: [any]}",
    );
    check(
        "A: {properties: {inner: {type: object, properties: {x: {type: string}}}}}",
        "A inner",
        "{x?: string}",
    );
}

/// A circle of `allOf` through properties has an end, and what is inherited is one type for all heirs.
#[test]
fn inherited_properties_are_one_type() {
    let (api, _) = api(
        "Base: {type: object, properties: {id: {type: object, properties: {no: {type: integer}}}, next: {type: array, items: {allOf: [{$ref: '#/components/schemas/Base'}, {properties: {x: {type: string}}}]}}}}
Able: {allOf: [{$ref: '#/components/schemas/Base'}, {type: object, properties: {kind: {enum: [a, b]}}}]}
Cain: {allOf: [{$ref: '#/components/schemas/Able'}, {properties: {y: {type: string}}}]}",
        "",
    );
    let words: Vec<&str> = api.types.iter().map(|def| def.words.as_str()).collect();
    assert_eq!(
        words,
        [
            "Base",
            "Able",
            "Cain",
            "Base id",
            "Base next item",
            "Able kind"
        ]
    );
}

/// What several operations answer or take is one type, by the name that the document has for it.
#[test]
fn shared_parts_are_one_type() {
    let text = "
openapi: 3.0.3
info: {title: T, version: '1'}
paths:
  /a:
    get: {operationId: a, parameters: [{$ref: '#/components/parameters/Page'}], responses: {'200': {description: d}, '404': {$ref: '#/components/responses/Gone'}}}
    post: {operationId: b, parameters: [{$ref: '#/components/parameters/Page'}], requestBody: {$ref: '#/components/requestBodies/New'}, responses: {'404': {$ref: '#/components/responses/Gone'}}}
    put: {operationId: c, requestBody: {$ref: '#/components/requestBodies/New'}, responses: {'200': {description: d}}}
components:
  parameters:
    Page: {name: page, in: query, schema: {type: object, properties: {no: {type: integer}}}}
  requestBodies:
    New: {content: {application/json: {schema: {type: object, properties: {x: {type: string}}}}}}
  responses:
    Gone: {description: d, content: {application/json: {schema: {type: object, properties: {why: {type: string}}}}}}
";
    let mut diagnostics = Diagnostics::default();
    let (_, spec) = spec::read_bytes("t.yaml", text.as_bytes(), &mut diagnostics);
    let api = lower(&mut spec.unwrap(), &mut diagnostics);
    let words: Vec<&str> = api.types.iter().map(|def| def.words.as_str()).collect();
    assert_eq!(words, ["Page", "Gone reply", "New body"]);
}

#[test]
fn formats() {
    let rows = [
        ("{type: string, format: uuid}", "uuid"),
        ("{type: string, format: date}", "date"),
        ("{type: string, format: date-time}", "datetime"),
        ("{type: string, format: byte}", "base64"),
        ("{type: string, contentEncoding: base64}", "base64"),
        ("{type: string, format: binary}", "file"),
        ("{type: string, format: decimal}", "decimal"),
        ("{type: string, format: email}", "string"),
        ("{type: number, format: decimal}", "decimal"),
        ("{type: number, format: float}", "f64"),
        ("{type: integer, format: int32}", "i32"),
        ("{type: integer, format: uint32}", "u32"),
        ("{type: integer, format: uint64}", "u64"),
        ("{type: integer, minimum: 0}", "i64"),
        ("{type: [integer, 'null']}", "i64?"),
        ("{const: x}", "A f"),
        ("{enum: [true]}", "bool"),
        ("{enum: [1.5, 2]}", "f64"),
        ("{enum: [null]}", "any"),
        ("{enum: [{}]}", "any"),
        ("true", "any"),
        ("{not: {type: string}}", "any"),
    ];
    for (schema, expected) in rows {
        let schemas = format!("A: {{required: [f], properties: {{f: {schema}}}}}");
        check(&schemas, "A", &format!("{{f: {expected}}}"));
    }
}

#[test]
fn enums() {
    check("A: {type: string, enum: [a, b, a]}", "A", "\"a\" | \"b\"");
    check("A: {enum: [1, -2, x]}", "A", "1 | -2 | \"x\"");
    // `null` among the values makes the use nullable.
    check(
        "A: {properties: {e: {type: [string, 'null'], enum: [a, null]}}}",
        "A",
        "{e?: A e?}",
    );
    let many: Vec<String> = (0..101).map(|number| format!("v{number}")).collect();
    check(
        &format!(
            "A: {{properties: {{e: {{type: string, enum: [{}]}}}}}}",
            many.join(", ")
        ),
        "A",
        "{e?: string}",
    );
}

#[test]
fn all_of_is_one_schema() {
    check(
        "A: {allOf: [{$ref: '#/components/schemas/B'}, {required: [b], properties: {a: {type: string}}}]}\nB: {required: [c], properties: {b: {type: integer}, c: {type: integer}}}",
        "A",
        "{b: i64, c: i64, a?: string}",
    );
    check(
        "A: {properties: {b: {allOf: [{$ref: '#/components/schemas/B'}], description: why}}}\nB: {properties: {x: {type: string}}}",
        "A",
        "{b?: B}",
    );
    check(
        "A: {properties: {b: {$ref: '#/components/schemas/B', description: why}}}\nB: {properties: {x: {type: string}}}",
        "A",
        "{b?: B}",
    );
    // What the child says is closer.
    check(
        "A: {allOf: [{$ref: '#/components/schemas/B'}], properties: {k: {enum: [a]}}}\nB: {properties: {k: {type: string}, o: {type: string}}}",
        "A",
        "{k?: A k, o?: string}",
    );
    // Circles add nothing.
    check(
        "A: {allOf: [{$ref: '#/components/schemas/B'}, {properties: {a: {type: string}}}]}\nB: {allOf: [{$ref: '#/components/schemas/A'}, {properties: {b: {type: string}}}]}",
        "A",
        "{a?: string, b?: string}",
    );
}

#[test]
fn choices() {
    let animals = "Cat: {required: [kind, lives], properties: {kind: {type: string}, lives: {type: integer}}}\nDog: {required: [kind], properties: {kind: {type: string}, tricks: {type: string}}}\n";
    check(
        &format!(
            "{animals}A: {{oneOf: [{{$ref: '#/components/schemas/Dog'}}, {{$ref: '#/components/schemas/Cat'}}]}}"
        ),
        "A",
        "<Cat | Dog>",
    );
    check(
        &format!(
            "{animals}A: {{oneOf: [{{$ref: '#/components/schemas/Dog'}}, {{$ref: '#/components/schemas/Cat'}}], discriminator: {{propertyName: kind, mapping: {{puss: '#/components/schemas/Cat', puppy: '#/components/schemas/Dog', dog: '#/components/schemas/Dog'}}}}}}"
        ),
        "A",
        "<Cat=puss | Dog=puppy,dog by kind>",
    );
    check(
        &format!(
            "{animals}A: {{oneOf: [{{$ref: '#/components/schemas/Dog'}}, {{$ref: '#/components/schemas/Cat'}}], discriminator: {{propertyName: kind}}}}"
        ),
        "A",
        "<Cat=Cat | Dog=Dog by kind>",
    );
    check(
        "A: {anyOf: [{type: string}, {type: integer}, {type: array, items: {type: string}}]}",
        "A",
        "<i64 | [string] | string>",
    );
    // One type reads all of these.
    check(
        "A: {properties: {x: {anyOf: [{type: string}, {type: string, enum: [auto]}]}, y: {oneOf: [{type: string, format: date}, {type: string}]}}}",
        "A",
        "{x?: string, y?: string}",
    );
    check(
        &format!(
            "{animals}A: {{properties: {{x: {{anyOf: [{{$ref: '#/components/schemas/Dog'}}, {{type: 'null'}}]}}}}}}"
        ),
        "A",
        "{x?: Dog?}",
    );
    // What a choice adds to properties is kept as it comes.
    check(
        &format!(
            "{animals}A: {{properties: {{x: {{type: string}}}}, oneOf: [{{$ref: '#/components/schemas/Dog'}}, {{$ref: '#/components/schemas/Cat'}}]}}"
        ),
        "A",
        "{x?: string, *: any}",
    );
    check(
        "A: {properties: {x: {type: string}, y: {type: string}}, anyOf: [{required: [x]}, {required: [y]}]}",
        "A",
        "{x?: string, y?: string}",
    );
    // A parent with a discriminator stands for its children.
    check(
        "A: {properties: {kind: {type: string}}, discriminator: {propertyName: kind}}\nB: {allOf: [{$ref: '#/components/schemas/A'}, {properties: {b: {type: string}}}]}",
        "A",
        "{kind?: string, *: any}",
    );
    check(
        "A: {properties: {kind: {type: string}}, discriminator: {propertyName: kind}}\nB: {allOf: [{$ref: '#/components/schemas/A'}, {properties: {b: {type: string}}}]}",
        "B",
        "{kind?: string, b?: string}",
    );
}

#[test]
fn types_that_hold_themselves() {
    check(
        "A: {properties: {a: {$ref: '#/components/schemas/A'}, l: {type: array, items: {$ref: '#/components/schemas/A'}}}}",
        "A",
        "{a?: box A, l?: [A]}",
    );
    check(
        "A: {properties: {b: {$ref: '#/components/schemas/B'}, n: {anyOf: [{$ref: '#/components/schemas/B'}, {type: 'null'}]}}}\nB: {properties: {a: {$ref: '#/components/schemas/A'}, c: {$ref: '#/components/schemas/C'}}}\nC: {properties: {x: {type: string}}}",
        "A",
        "{b?: box B, n?: box B?}",
    );
    check(
        "A: {oneOf: [{type: string}, {type: array, items: {$ref: '#/components/schemas/A'}}, {$ref: '#/components/schemas/A'}]}",
        "A",
        "<[A] | box A | string>",
    );
    // A list of itself, and nothing else, is no type of Rust.
    check(
        "L: {type: array, items: {$ref: '#/components/schemas/L'}}\nA: {properties: {l: {$ref: '#/components/schemas/L'}}}",
        "A",
        "{l?: [any]}",
    );
}

#[test]
fn operations() {
    let paths = "
/pets/{petId}/{kind}:
  parameters:
    - {name: petId, in: path, required: true, schema: {type: integer}}
    - {name: x, in: query, schema: {type: string}}
  get:
    tags: [pets]
    operationId: read
    parameters:
      - {name: petId, in: query, schema: {type: string}}
      - {name: x, in: query, required: true, schema: {type: boolean}}
      - {name: x, in: header, schema: {type: string, enum: [a]}}
      - {name: Accept, in: header, schema: {type: string}}
      - {name: gone, in: path, required: true, schema: {type: string}}
      - {name: c, in: cookie, content: {application/json: {schema: {type: array, items: {type: integer}}}}}
    responses:
      '200':
        description: ''
        headers: {X-Rate: {required: true, schema: {type: integer}}}
        content:
          application/xml: {}
          application/json: {schema: {type: string}}
          application/vnd.x+json: {schema: {type: string}}
          text/event-stream: {schema: {type: integer}}
          image/png: {}
      '204': {description: '', content: {application/json: {}}}
      4XX: {description: ''}
      default: {description: ''}
      '101': {description: ''}
  trace: {responses: {'200': {description: ''}}}
/pets/{id}/{other}:
  get: {operationId: read, responses: {'200': {description: ''}}}
  post:
    requestBody:
      required: true
      content:
        application/json: {schema: {type: object, properties: {a: {type: string}}}}
        application/x-www-form-urlencoded: {schema: {type: object, properties: {a: {type: string}}}}
        multipart/form-data: {schema: {type: object, properties: {f: {type: string, format: binary}}}}
        text/plain: {}
        application/pdf: {}
        '*/*': {schema: {type: string, format: binary}}
    responses: {}
";
    let (api, warnings) = api("", paths);
    let ids: Vec<&str> = api
        .operations
        .iter()
        .map(|operation| operation.id.as_str())
        .collect();
    assert_eq!(
        ids,
        [
            "read",
            "tracePetsByPetIdByKind",
            "getPetsByIdByOther",
            "postPetsByIdByOther"
        ]
    );
    let [read, trace, twin, post] = api.operations.as_slice() else {
        panic!("there are four");
    };
    let parameters: Vec<(Where, &str, String, bool)> = read
        .parameters
        .iter()
        .map(|one| {
            (
                one.place,
                one.field.as_str(),
                short(&api, &one.ty),
                one.required,
            )
        })
        .collect();
    assert_eq!(
        parameters,
        [
            (Where::Path, "petId", "i64".to_owned(), true),
            (Where::Path, "kind", "string".to_owned(), true),
            (Where::Query, "x", "bool".to_owned(), true),
            (Where::Query, "query:petId", "string".to_owned(), false),
            (Where::Header, "header:x", "x".to_owned(), false),
            (Where::Cookie, "c", "[i64]".to_owned(), false),
        ]
    );
    let statuses: Vec<Status> = read
        .responses
        .iter()
        .map(|response| response.status)
        .collect();
    assert_eq!(
        statuses,
        [
            Status::Code(200),
            Status::Code(204),
            Status::Class(4),
            Status::Default
        ]
    );
    let contents = |contents: &[crate::model::Content]| -> Vec<(String, String)> {
        let payload = |payload: &Payload| match payload {
            Payload::Value(ty) => short(&api, ty),
            Payload::Events(ty) => format!("events {}", short(&api, ty)),
            Payload::Text => "text".to_owned(),
            Payload::Binary => "bytes".to_owned(),
        };
        contents
            .iter()
            .map(|one| (one.media_type.clone(), payload(&one.payload)))
            .collect()
    };
    let pairs = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        pairs
            .iter()
            .map(|(one, other)| ((*one).to_owned(), (*other).to_owned()))
            .collect()
    };
    assert_eq!(
        contents(&read.responses[0].contents),
        pairs(&[
            ("application/xml", "text"),
            ("application/json", "string"),
            ("application/vnd.x+json", "string"),
            ("text/event-stream", "events i64"),
            ("image/png", "bytes")
        ])
    );
    assert!(read.responses[1].contents.is_empty(), "204 has no body");
    assert_eq!(read.responses[0].headers[0].name, "X-Rate");
    let body = post.body.as_ref().expect("it has a body");
    let taken = contents(&body.contents);
    assert_eq!(
        taken[3..],
        pairs(&[
            ("text/plain", "text"),
            ("application/pdf", "bytes"),
            ("*/*", "bytes")
        ])[..]
    );
    assert_eq!(
        (
            trace.decision == Decision::Unsupported,
            twin.decision == Decision::Unsupported
        ),
        (true, true)
    );
    assert!(twin.reason.contains("same route"), "{}", twin.reason);
    assert_eq!((read.tag.as_str(), post.tag.as_str()), ("pets", "pets"));
    for part in ["`{gone}`", "`{kind}`", "`101`", "can't be reached"] {
        assert!(
            warnings.iter().any(|warning| warning.contains(part)),
            "{part}: {warnings:?}"
        );
    }
    // Each has an id in the document, too.
    let pointer = format!("{}/operationId", post.pointer);
    assert_eq!(
        api.document.pointer(&pointer),
        Some(&"postPetsByIdByOther".into())
    );
}

#[test]
fn what_can_not_be_read_makes_one_operation_unsupported() {
    let paths = "
/a:
  get: {parameters: [{name: x, in: nowhere, schema: {}}, {name: y, in: here, schema: {}}], responses: {'200': {description: ''}}}
  put: {responses: {'200': {description: ''}}}
";
    let (api, warnings) = api("", paths);
    let decisions: Vec<&Decision> = api
        .operations
        .iter()
        .map(|operation| &operation.decision)
        .collect();
    assert_eq!(decisions, [&Decision::Unsupported, &Decision::Handler]);
    assert_eq!(warnings.len(), 2, "all of them: {warnings:?}");
    let why = api.document.pointer("/paths/~1a/get/x-memgen/unsupported");
    assert!(why.is_some_and(|why| why.as_str() == Some(api.operations[0].reason.as_str())));
}

/// What else is wrong with an operation is said in the same run.
#[test]
fn a_broken_operation_is_read_to_its_end() {
    let paths = "
/a/{id}:
  get:
    parameters: [{$ref: '#/x'}, {name: y, in: here, schema: {}}]
    servers: [{url: 'https://a.example'}]
    responses: {'999': {description: ''}, '200': {description: '', headers: {X-A: {schema: {}, required: maybe, style: odd}}}, '201': {description: '', headers: {X-B: {style: odd}}}}
";
    let (api, warnings) = api("", paths);
    assert_eq!(api.operations[0].decision, Decision::Unsupported);
    assert!(api.operations[0].reason.contains("`#/x` leads nowhere"));
    let said = |part: &str| warnings.iter().any(|one| one.contains(part));
    assert!(said("not in `here`"), "{warnings:?}");
    assert!(said("`999` is no status"), "{warnings:?}");
    assert!(said("servers of its own"), "{warnings:?}");
    assert!(!said("is not among the parameters"), "{warnings:?}");
}

#[test]
fn names_that_tell_nothing_apart_are_told_of() {
    let paths = "
/a:
  get: {operationId: same, responses: {}}
  put: {operationId: same, responses: {}, security: [{key: []}, {}]}
";
    let (api, warnings) = api("", paths);
    assert_eq!(
        warnings,
        [
            "the document has no security scheme `key`: what asks for it is closed",
            "another operation is called `same`, too; this one becomes `putA`",
        ]
    );
    assert_eq!(api.operations[1].security, ["key"]);
}

#[test]
fn what_is_clear_all_the_same_takes_nothing_with_it() {
    let paths = "
/a:
  get: {parameters: [{name: x, in: body}], responses: {}}
  put: {parameters: [{name: x}], responses: {}}
  post:
    parameters: [{name: x, in: query, type: integer, required: 'true'}, {name: y, in: header, style: form, schema: {type: integer}}]
    responses: {'200': {description: '', headers: {X-A: {type: integer}}, content: {application/json: {schema: {$ref: '#/components/schemas/A'}}}}}
";
    let schemas = "A: {type: object, properties: {a: {type: integer, nullable: 'true', externalDocs: wrong, discriminator: wrong}}}";
    let (api, warnings) = api(schemas, paths);
    let reasons: Vec<(Decision, &str)> = api
        .operations
        .iter()
        .map(|operation| (operation.decision.clone(), operation.reason.as_str()))
        .collect();
    let body =
        "a parameter in the body is one of Swagger 2; since OpenAPI 3 there is `requestBody`";
    let none = "a parameter says by `in` whether it is in `query`, `header`, `path` or `cookie`; this one does not";
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert_eq!(
        reasons,
        [
            (Decision::Unsupported, body),
            (Decision::Unsupported, none),
            (Decision::Handler, ""),
        ]
    );
    let post = &api.operations[2];
    let read: Vec<(&str, bool, String)> = post
        .parameters
        .iter()
        .map(|one| (one.name.as_str(), one.required, short(&api, &one.ty)))
        .collect();
    assert_eq!(
        read,
        [
            ("x", true, "i64".to_owned()),
            ("y", false, "i64".to_owned())
        ]
    );
    check(schemas, "A", "{a?: i64?}");
}

//! What a service publishes is the document that it came from: the same paths, parameters, schemas and statuses.
//!
//! The document is read here as it was written, and compared by what it means: references followed, 3.0 raised to 3.1, remarks aside.

use std::{collections::BTreeSet, fs};

use serde_json::{Map, Value, json};

use memgen_cli::spec;

use super::{
    adyen::ADYEN, asana::ASANA, kubernetes::KUBERNETES, service::Document, stripe::STRIPE,
};

const METHODS: [&str; 8] = [
    "get", "put", "post", "delete", "options", "head", "patch", "trace",
];

/// Keywords of schemas that say what values are.
const KEYWORDS: [&str; 22] = [
    "type",
    "format",
    "enum",
    "const",
    "pattern",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "uniqueItems",
    "minProperties",
    "maxProperties",
    "default",
    "readOnly",
    "writeOnly",
    "discriminator",
    "deprecated",
];

/// Keywords without which a schema without a type lets everything through, `null` too.
const CONSTRAINTS: [&str; 6] = ["allOf", "anyOf", "oneOf", "$ref", "enum", "not"];

/// Two documents that should mean the same.
struct Pair<'d> {
    source: &'d Value,
    published: &'d Value,
    /// Whether the source is 3.0.
    is_old: bool,
    /// References that were compared, or are being.
    seen: BTreeSet<(String, String)>,
    differences: Vec<String>,
}

fn follow<'d>(root: &'d Value, value: &'d Value) -> (&'d Value, String) {
    let (mut value, mut name) = (value, String::new());
    while let Some(reference) = value.get("$ref").and_then(Value::as_str) {
        reference.clone_into(&mut name);
        let pointer = reference
            .strip_prefix('#')
            .expect("a reference within the document");
        value = root
            .pointer(pointer)
            .unwrap_or_else(|| panic!("`{reference}` leads nowhere"));
    }
    (value, name)
}

fn names(value: Option<&Value>) -> BTreeSet<String> {
    let object = value.and_then(Value::as_object);
    let names = object.into_iter().flat_map(Map::keys);
    names
        .filter(|name| !name.starts_with("x-"))
        .cloned()
        .collect()
}

/// A schema of 3.0 as one of 3.1.
fn raised(schema: &Value) -> Value {
    let Value::Object(fields) = schema else {
        return schema.clone();
    };
    let mut fields = fields.clone();
    for (limit, exclusive) in [
        ("minimum", "exclusiveMinimum"),
        ("maximum", "exclusiveMaximum"),
    ] {
        if let Some(Value::Bool(is)) = fields.get(exclusive).cloned() {
            fields.remove(exclusive);
            if let Some(limit) = is.then(|| fields.remove(limit)).flatten() {
                fields.insert(exclusive.to_owned(), limit);
            }
        }
    }
    if fields.remove("nullable") == Some(Value::Bool(true)) {
        match fields.get("type").cloned() {
            Some(name) => {
                fields.insert("type".to_owned(), json!([name, "null"]));
                if let Some(Value::Array(values)) = fields.get_mut("enum")
                    && !values.contains(&Value::Null)
                {
                    values.push(Value::Null);
                }
            }
            None if CONSTRAINTS.iter().any(|name| fields.contains_key(*name)) => {
                // What is said of a property stays with it.
                let remarks = ["default", "readOnly", "writeOnly", "deprecated"];
                let mut whole = Map::new();
                for name in remarks {
                    whole.extend(fields.remove_entry(name));
                }
                whole.insert("anyOf".to_owned(), json!([fields, { "type": "null" }]));
                fields = whole;
            }
            None => {}
        }
    }
    Value::Object(fields)
}

impl Pair<'_> {
    fn same(&mut self, at: &str, one: Option<&Value>, other: Option<&Value>) {
        if one != other {
            self.differences
                .push(format!("{at}: {one:?} became {other:?}"));
        }
    }

    fn documents(&mut self) {
        let (source, published) = (self.source, self.published);
        let (one, other) = (&source["paths"], &published["paths"]);
        self.names("paths", Some(one), Some(other));
        for path in names(Some(one)) {
            let (one, other) = (&one[&path], &other[&path]);
            for method in METHODS {
                let at = format!("{method} {path}");
                match (one.get(method), other.get(method)) {
                    (Some(operation), Some(published)) => {
                        self.parameters(&at, [one, operation], [other, published]);
                        self.operation(&at, operation, published);
                    }
                    (None, None) => {}
                    _ => self.differences.push(format!("{at}: is in one of them")),
                }
            }
        }
        self.same("info", source.get("info"), published.get("info"));
        self.same(
            "security",
            source.get("security"),
            published.get("security"),
        );
        let security = "/components/securitySchemes";
        self.names(
            "schemes",
            source.pointer(security),
            published.pointer(security),
        );
        let schemas = "/components/schemas";
        self.names(
            "schemas",
            source.pointer(schemas),
            published.pointer(schemas),
        );
        for name in names(source.pointer(schemas)) {
            let (one, other) = (
                &source["components"]["schemas"][&name],
                &published["components"]["schemas"][&name],
            );
            self.schema(&name, one, other);
        }
    }

    fn names(&mut self, at: &str, one: Option<&Value>, other: Option<&Value>) {
        let (one, other) = (names(one), names(other));
        for name in one.symmetric_difference(&other) {
            self.differences
                .push(format!("{at}: `{name}` is in one of them"));
        }
    }

    /// The parameters of a path and of an operation, by place and name.
    fn parameters(&mut self, at: &str, one: [&Value; 2], other: [&Value; 2]) {
        let collect = |root: &Value, holders: [&Value; 2]| {
            let mut all = Map::new();
            for parameter in holders
                .into_iter()
                .filter_map(|it| it.get("parameters")?.as_array())
                .flatten()
            {
                let (parameter, _) = follow(root, parameter);
                all.insert(
                    format!("{} {}", parameter["in"], parameter["name"]),
                    parameter.clone(),
                );
            }
            Value::Object(all)
        };
        let (one, other) = (collect(self.source, one), collect(self.published, other));
        self.names(at, Some(&one), Some(&other));
        for name in names(Some(&one)) {
            let at = format!("{at}, {name}");
            let (one, other) = (&one[&name], &other[&name]);
            for part in [
                "required",
                "style",
                "explode",
                "allowEmptyValue",
                "allowReserved",
                "deprecated",
            ] {
                self.same(&format!("{at}: {part}"), one.get(part), other.get(part));
            }
            self.schemas(&at, one.get("schema"), other.get("schema"));
            self.contents(&at, one, other);
        }
    }

    fn operation(&mut self, at: &str, one: &Value, other: &Value) {
        for part in ["operationId", "tags", "security", "deprecated"] {
            self.same(&format!("{at}: {part}"), one.get(part), other.get(part));
        }
        match (one.get("requestBody"), other.get("requestBody")) {
            (Some(one), Some(other)) => {
                let (one, other) = (
                    follow(self.source, one).0.clone(),
                    follow(self.published, other).0.clone(),
                );
                self.same(
                    &format!("{at}: body"),
                    one.get("required"),
                    other.get("required"),
                );
                self.contents(&format!("{at}: body"), &one, &other);
            }
            (one, other) => self.same(&format!("{at}: body"), one, other),
        }
        self.names(at, one.get("responses"), other.get("responses"));
        for status in names(one.get("responses")) {
            let at = format!("{at}: {status}");
            let (one, other) = (&one["responses"][&status], &other["responses"][&status]);
            let (one, other) = (
                follow(self.source, one).0.clone(),
                follow(self.published, other).0.clone(),
            );
            self.names(&at, one.get("headers"), other.get("headers"));
            self.contents(&at, &one, &other);
        }
    }

    fn contents(&mut self, at: &str, one: &Value, other: &Value) {
        self.names(at, one.get("content"), other.get("content"));
        for media_type in names(one.get("content")) {
            let (one, other) = (&one["content"][&media_type], &other["content"][&media_type]);
            let at = format!("{at} {media_type}");
            self.same(
                &format!("{at}: encoding"),
                one.get("encoding"),
                other.get("encoding"),
            );
            self.schemas(&at, one.get("schema"), other.get("schema"));
        }
    }

    fn schemas(&mut self, at: &str, one: Option<&Value>, other: Option<&Value>) {
        match (one, other) {
            (Some(one), Some(other)) => self.schema(at, one, other),
            (one, other) => self.same(at, one, other),
        }
    }

    fn schema(&mut self, at: &str, one: &Value, other: &Value) {
        let ((one, from), (other, to)) = (follow(self.source, one), follow(self.published, other));
        if !from.is_empty() && !self.seen.insert((from, to)) {
            return;
        }
        let one = if self.is_old {
            raised(one)
        } else {
            one.clone()
        };
        let other = other.clone();
        for keyword in KEYWORDS {
            self.same(
                &format!("{at}: {keyword}"),
                one.get(keyword),
                other.get(keyword),
            );
        }
        let required = |schema: &Value| -> BTreeSet<String> {
            let names = schema
                .get("required")
                .and_then(Value::as_array)
                .into_iter()
                .flatten();
            names
                .filter_map(|name| Some(name.as_str()?.to_owned()))
                .collect()
        };
        if required(&one) != required(&other) {
            self.differences
                .push(format!("{at}: other properties are required"));
        }
        self.names(at, one.get("properties"), other.get("properties"));
        for name in names(one.get("properties")) {
            self.schema(
                &format!("{at}/{name}"),
                &one["properties"][&name],
                &other["properties"][&name],
            );
        }
        for keyword in ["items", "additionalProperties", "not"] {
            self.schemas(
                &format!("{at}: {keyword}"),
                one.get(keyword),
                other.get(keyword),
            );
        }
        for keyword in ["allOf", "oneOf", "anyOf"] {
            let list = |schema: &Value| {
                schema
                    .get(keyword)
                    .and_then(Value::as_array)
                    .cloned()
                    .unwrap_or_default()
            };
            let (one, other) = (list(&one), list(&other));
            if one.len() != other.len() {
                self.differences
                    .push(format!("{at}: {keyword} has other parts"));
            }
            for (index, (one, other)) in one.iter().zip(&other).enumerate() {
                self.schema(&format!("{at}: {keyword}/{index}"), one, other);
            }
        }
    }
}

async fn check(document: Document) {
    let driven = document.start().await;
    // The description of a service is for everybody.
    let published = driven.request("GET", "/openapi.json").send().await.json();
    let text = fs::read_to_string(document.path()).expect("it is there");
    let source: Value = match serde_json::from_str(&text) {
        Ok(json) => json,
        Err(_) => spec::yaml(&text).expect("it is YAML"),
    };
    let mut pair = Pair {
        is_old: source["openapi"]
            .as_str()
            .is_some_and(|version| version.starts_with("3.0")),
        source: &source,
        published: &published,
        seen: BTreeSet::new(),
        differences: Vec::new(),
    };
    pair.documents();
    assert!(pair.seen.len() > 20, "it looks at schemas");
    let all = pair.differences.len();
    pair.differences.truncate(30);
    assert!(
        pair.differences.is_empty(),
        "{all} differences:\n{}",
        pair.differences.join("\n")
    );
    assert!(
        !published.to_string().contains("\"x-memgen\""),
        "decisions are not for clients"
    );
}

#[tokio::test]
async fn kubernetes_comes_back() {
    check(KUBERNETES).await;
}

#[tokio::test]
async fn adyen_comes_back() {
    check(ADYEN).await;
}

#[tokio::test]
async fn asana_comes_back() {
    check(ASANA).await;
}

#[tokio::test]
async fn stripe_comes_back() {
    check(STRIPE).await;
}

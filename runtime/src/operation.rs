//! The description of one route, which becomes an operation of the OpenAPI document.

use axum::http::Method;
use schemars::{JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

/// What is known of one route. The description of a handler adds its arguments and its reply.
///
/// ```
/// use axum::http::Method;
/// use memgen::{openapi, operation::Operation};
///
/// let mut schemas = openapi::schemas();
/// let doc = " How many edges the vertex has.\n\n Answered from memory.";
/// let mut operation =
///     Operation::new(&Method::GET, "/vertex/{id}/degree", "vertex_degree", doc, "Vertex", &mut schemas);
/// operation.path_parameter::<u32>("id");
/// operation.reply::<usize>(200);
/// let operation = operation.into_value();
/// assert_eq!(operation["summary"], "How many edges the vertex has");
/// assert_eq!(operation["description"], "Answered from memory.");
/// assert_eq!(operation["parameters"][0]["schema"]["format"], "uint32");
/// ```
#[derive(Debug)]
pub struct Operation<'a> {
    schemas: &'a mut SchemaGenerator,
    placeholders: Vec<String>,
    method: Method,
    id: String,
    summary: String,
    description: String,
    tag: String,
    parameters: Vec<Value>,
    body: Option<Value>,
    responses: Map<String, Value>,
}

/// A header that a service of memgen understands on many routes, described once for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Convention {
    /// `If-Match`: only if the entity is still this one.
    IfMatch,
    /// `If-None-Match`: only if the entity is not this one, or with `*` only if there is none.
    IfNoneMatch,
    /// `Idempotency-Key`: the same key gets the first answer again.
    IdempotencyKey,
    /// `Prefer: return=minimal`: no body in the answer.
    Prefer,
    /// `Memgen-Min-Position`: wait until memory shows this log position.
    MinPosition,
    /// `Memgen-Max-Staleness-Ms`: how old the answer of a replica may be.
    MaxStaleness,
    /// `Memgen-Read`: who may answer.
    Read,
}

impl Convention {
    /// What each write understands.
    pub const WRITE: [Self; 2] = [Self::IdempotencyKey, Self::Prefer];
    /// What each read understands.
    pub const READ: [Self; 3] = [Self::Read, Self::MinPosition, Self::MaxStaleness];

    /// The name of its entry in `#/components/parameters`.
    #[must_use]
    pub const fn component(self) -> &'static str {
        match self {
            Self::IfMatch => "IfMatch",
            Self::IfNoneMatch => "IfNoneMatch",
            Self::IdempotencyKey => "IdempotencyKey",
            Self::Prefer => "Prefer",
            Self::MinPosition => "MemgenMinPosition",
            Self::MaxStaleness => "MemgenMaxStaleness",
            Self::Read => "MemgenRead",
        }
    }
}

impl<'a> Operation<'a> {
    /// The route `method path`. `name` becomes the `operationId`, the first paragraph of `doc` the summary and the rest the
    /// description; `tag` is the group it is shown in.
    pub fn new(
        method: &Method,
        path: &str,
        name: &str,
        doc: &str,
        tag: &str,
        schemas: &'a mut SchemaGenerator,
    ) -> Self {
        let (summary, description) = summary_and_description(doc);
        Self {
            schemas,
            placeholders: placeholders(path),
            method: method.clone(),
            id: name.to_owned(),
            summary,
            description,
            tag: tag.to_owned(),
            parameters: Vec::new(),
            body: None,
            responses: Map::new(),
        }
    }

    /// The method of the route.
    #[must_use]
    pub const fn method(&self) -> &Method {
        &self.method
    }

    /// The placeholder `{name}` of the path is a `T`.
    pub fn path_parameter<T: JsonSchema>(&mut self, name: &str) {
        let schema = self.schemas.subschema_for::<T>().to_value();
        self.parameter(json!({ "name": name, "in": "path", "required": true, "schema": schema }));
    }

    /// The placeholder `{name}` of the path has this schema.
    pub fn path_parameter_with(&mut self, name: &str, schema: &Value) {
        let mut parameter =
            json!({ "name": name, "in": "path", "required": true, "schema": schema });
        move_description(&mut parameter);
        self.parameter(parameter);
    }

    /// The query string is read as a `T`: each of its fields is a parameter.
    pub fn query<T: JsonSchema>(&mut self) {
        // Inline, since a parameter is a field of `T` and `T` itself stands nowhere in the document.
        let mut inline = settings()
            .with(|settings| settings.inline_subschemas = true)
            .into_generator();
        let schema = inline.subschema_for::<T>().to_value();
        // Only a type that contains itself leaves a reference behind.
        for (name, definition) in inline.take_definitions(true) {
            self.schemas
                .definitions_mut()
                .entry(name)
                .or_insert(definition);
        }
        let required: Vec<&str> = schema["required"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        for (name, field) in schema["properties"].as_object().into_iter().flatten() {
            let mut parameter = json!({
                "name": name, "in": "query", "required": required.contains(&name.as_str()), "schema": field,
            });
            move_description(&mut parameter);
            self.parameter(parameter);
        }
    }

    /// The request has a header `name`, a text, that may be left out.
    pub fn header_parameter(&mut self, name: &str, doc: &str) {
        self.parameter(json!({
            "name": name, "in": "header", "required": false, "description": paragraphs(doc).join("\n\n"),
            "schema": { "type": "string" },
        }));
    }

    /// The request may have a header of the conventions that all services share.
    pub fn convention(&mut self, convention: Convention) {
        self.shared_parameter(convention.component());
    }

    pub(crate) fn shared_parameter(&mut self, component: &str) {
        let reference = json!({ "$ref": format!("#/components/parameters/{component}") });
        if !self.parameters.contains(&reference) {
            self.parameters.push(reference);
        }
    }

    /// The request has a JSON body, a `T`.
    pub fn body<T: JsonSchema>(&mut self) {
        let schema = self.schemas.subschema_for::<T>().to_value();
        self.body_with("application/json", &schema);
    }

    /// The request has a body of this media type and schema.
    pub fn body_with(&mut self, media_type: &str, schema: &Value) {
        let body = self
            .body
            .get_or_insert_with(|| json!({ "required": true, "content": {} }));
        body["content"][media_type] = json!({ "schema": schema });
        for status in [400, 413, 415, 422] {
            self.problem(status);
        }
    }

    /// An answer with this status has a JSON body, a `T`.
    pub fn reply<T: JsonSchema>(&mut self, status: u16) {
        let schema = self.schemas.subschema_for::<T>().to_value();
        self.reply_with(status, &schema);
    }

    /// An answer with this status has a JSON body of this schema.
    pub fn reply_with(&mut self, status: u16, schema: &Value) {
        self.reply_empty(status);
        self.responses[&status.to_string()]["content"] =
            json!({ "application/json": { "schema": schema } });
    }

    /// The answer may be asked for as a feed.
    pub(crate) fn feed(&mut self) {
        for parameter in ["LastEventId", "LastEventIdQuery"] {
            self.shared_parameter(parameter);
        }
        self.responses["200"]["content"]["text/event-stream"] = json!({
            "schema": {
                "type": "string",
                "description": "A feed, if `Accept` asks for it; a WebSocket gives the same events as JSON. `reset`: forget what came before, the current values \
                    follow. `value`: an entity has this value. `absent`: there is none with this key. `current`: all that is there was shown. Then come changes. \
                    With the `id` of the last event a feed goes on where it was.",
            },
        });
    }

    /// There is an answer with this status, and it has no body, or one that nothing is known of.
    pub fn reply_empty(&mut self, status: u16) {
        let mut response = json!({ "description": meaning(status) });
        if matches!(status, 201 | 202 | 303) {
            response["headers"] =
                json!({ "Location": { "$ref": "#/components/headers/Location" } });
        }
        self.responses.insert(status.to_string(), response);
    }

    /// Answers with this status carry a header of `#/components/headers`.
    pub(crate) fn reply_header(&mut self, status: u16, name: &str, component: &str) {
        if let Some(response) = self.responses.get_mut(&status.to_string()) {
            response["headers"][name] =
                json!({ "$ref": format!("#/components/headers/{component}") });
        }
    }

    /// Answers that are no errors carry a header of `#/components/headers`.
    pub(crate) fn success_header(&mut self, name: &str, component: &str) {
        for status in 200..400 {
            self.reply_header(status, name, component);
        }
    }

    /// There is a problem document with this status. Problems of other statuses are not excluded: each operation says so by
    /// its `default` answer.
    pub fn problem(&mut self, status: u16) {
        let response = if crate::openapi::components::PROBLEMS
            .iter()
            .any(|(known, _)| *known == status)
        {
            json!({ "$ref": format!("#/components/responses/Problem{status}") })
        } else {
            json!({
                "description": meaning(status),
                "content": crate::openapi::components::problem_content(),
            })
        };
        self.responses.entry(status.to_string()).or_insert(response);
    }

    /// A schema made from another one by `change`, shared under the name of the other one and a suffix. The dot keeps it
    /// apart from the names of Rust types.
    pub(crate) fn derived(
        &mut self,
        schema: &Schema,
        suffix: &str,
        change: impl FnOnce(&mut Map<String, Value>),
    ) -> Value {
        let Some(mut object) = resolve(self.schemas.definitions(), schema)
            .and_then(Value::as_object)
            .cloned()
        else {
            return schema.as_value().clone();
        };
        change(&mut object);
        let name = schema
            .get("$ref")
            .and_then(Value::as_str)
            .and_then(|reference| reference.rsplit('/').next());
        let Some(name) = name.map(|name| format!("{name}.{suffix}")) else {
            return object.into();
        };
        let reference = json!({ "$ref": format!("#/components/schemas/{name}") });
        self.schemas.definitions_mut().insert(name, object.into());
        reference
    }

    /// Adds a parameter, in the place of an earlier one of the same name if there is one.
    fn parameter(&mut self, parameter: Value) {
        let same = |other: &&mut Value| {
            other["name"] == parameter["name"] && other["in"] == parameter["in"]
        };
        match self.parameters.iter_mut().find(same) {
            Some(place) => *place = parameter,
            None => self.parameters.push(parameter),
        }
    }

    /// The placeholders of the path that nothing was said of yet.
    pub(crate) fn unknown_placeholders(&self) -> Vec<String> {
        let known = |name: &&String| {
            self.parameters
                .iter()
                .any(|other| other["in"] == "path" && other["name"] == **name)
        };
        self.placeholders
            .iter()
            .filter(|name| !known(name))
            .cloned()
            .collect()
    }

    /// The operation as OpenAPI has it. A placeholder that nothing was said of is a text, and an operation that
    /// nothing was said of the reply of has a success without a known body.
    #[must_use]
    pub fn into_value(mut self) -> Value {
        for name in self.unknown_placeholders() {
            self.path_parameter_with(&name, &json!({ "type": "string" }));
        }
        if !self
            .responses
            .keys()
            .any(|status| status.starts_with(['2', '3']))
        {
            self.reply_empty(200);
        }
        self.responses.insert(
            "default".to_owned(),
            json!({ "$ref": "#/components/responses/Problem" }),
        );
        // A reader expects the path's parameters first and in the path's order.
        let place = |parameter: &Value| match parameter["in"].as_str() {
            Some("path") => self
                .placeholders
                .iter()
                .position(|name| parameter["name"] == **name)
                .unwrap_or(0),
            Some("query") => self.placeholders.len(),
            _ => self.placeholders.len() + 1,
        };
        self.parameters.sort_by_key(place);
        let mut operation = json!({
            "operationId": self.id, "tags": [self.tag], "responses": self.responses,
        });
        for (name, text) in [("summary", self.summary), ("description", self.description)] {
            if !text.is_empty() {
                operation[name] = text.into();
            }
        }
        if !self.parameters.is_empty() {
            operation["parameters"] = self.parameters.into();
        }
        if let Some(body) = self.body {
            operation["requestBody"] = body;
        }
        operation
    }
}

/// How the schemas of a document are made: JSON Schema 2020-12, shared in `#/components/schemas`.
pub(crate) fn settings() -> SchemaSettings {
    SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    })
}

/// The names in `{…}` of a path, without the `*` of one that takes the rest.
pub(crate) fn placeholders(path: &str) -> Vec<String> {
    path.split('/')
        .filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
        .map(|name| name.trim_start_matches('*').to_owned())
        .collect()
}

/// OpenAPI shows the description of a parameter, not that of its schema.
fn move_description(parameter: &mut Value) {
    let description = parameter["schema"]
        .as_object_mut()
        .and_then(|schema| schema.remove("description"));
    if let Some(description) = description {
        parameter["description"] = description;
    }
}

/// The paragraphs of a doc comment, without the space that each line has behind `///`.
pub(crate) fn paragraphs(doc: &str) -> Vec<String> {
    let lines: Vec<&str> = doc
        .lines()
        .map(|line| line.strip_prefix(' ').unwrap_or(line).trim_end())
        .collect();
    lines
        .split(|line| line.is_empty())
        .filter(|lines| !lines.is_empty())
        .map(|lines| lines.join("\n"))
        .collect()
}

/// The first paragraph on one line, without its full stop and without backticks, since a summary is plain text; and the others.
fn summary_and_description(doc: &str) -> (String, String) {
    let mut paragraphs = paragraphs(doc).into_iter();
    let first = paragraphs
        .next()
        .unwrap_or_default()
        .replace('\n', " ")
        .replace('`', "");
    let summary = match first.strip_suffix('.') {
        Some(sentence) if !sentence.ends_with('.') => sentence.to_owned(),
        _ => first,
    };
    (summary, paragraphs.collect::<Vec<_>>().join("\n\n"))
}

/// What a status means here.
fn meaning(status: u16) -> String {
    match status {
        200 => "Done.".to_owned(),
        201 => "Created.".to_owned(),
        202 => "Noted; the work goes on.".to_owned(),
        204 => "Done; nothing to say.".to_owned(),
        303 => "Done; the result is at `Location`.".to_owned(),
        304 => "It is still the one that the client has.".to_owned(),
        _ => axum::http::StatusCode::from_u16(status)
            .ok()
            .and_then(|status| status.canonical_reason())
            .map_or_else(
                || format!("Status {status}."),
                |reason| format!("{reason}."),
            ),
    }
}

/// The schema that a reference names, or the schema itself if it is none.
pub(crate) fn resolve<'a>(
    definitions: &'a Map<String, Value>,
    schema: &'a Schema,
) -> Option<&'a Value> {
    match schema.get("$ref").and_then(Value::as_str) {
        Some(reference) => definitions.get(reference.rsplit('/').next()?),
        None => Some(schema.as_value()),
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::openapi::schemas;

    fn describe(path: &str, describe: impl FnOnce(&mut Operation<'_>)) -> Value {
        let mut schemas = schemas();
        let mut operation = Operation::new(&Method::POST, path, "name", "", "Tag", &mut schemas);
        describe(&mut operation);
        operation.into_value()
    }

    #[test]
    fn a_doc_comment_is_split_into_summary_and_description() {
        let rows = [
            ("", "", ""),
            (" One line.", "One line", ""),
            (" No stop", "No stop", ""),
            (" An ellipsis...", "An ellipsis...", ""),
            (" Two\n lines.", "Two lines", ""),
            (" Of `code`.\n\n Of `code`.", "Of code", "Of `code`."),
            (
                " First.\n\n Second\n goes on.\n\n Third.",
                "First",
                "Second\ngoes on.\n\nThird.",
            ),
            ("\n\n First.\n\n\n   indented", "First", "  indented"),
        ];
        for (doc, summary, description) in rows {
            let expected = (summary.to_owned(), description.to_owned());
            assert_eq!(summary_and_description(doc), expected, "{doc:?}");
        }
    }

    #[test]
    fn every_placeholder_becomes_a_parameter_in_the_order_of_the_path() {
        let operation = describe("/a/{x}/b/{y}/{*rest}", |operation| {
            operation.header_parameter("X-Trace", " A trace.");
            operation.path_parameter::<u8>("y");
        });
        let parameters = operation["parameters"].as_array().unwrap();
        let names: Vec<&str> = parameters
            .iter()
            .map(|parameter| parameter["name"].as_str().unwrap())
            .collect();
        assert_eq!(names, ["x", "y", "rest", "X-Trace"]);
        assert_eq!(parameters[0]["schema"], json!({ "type": "string" }));
        assert_eq!(parameters[1]["schema"]["maximum"], 255);
    }

    #[test]
    fn the_fields_of_a_query_become_parameters() {
        #[derive(Deserialize, JsonSchema)]
        #[allow(dead_code, reason = "only its schema is used")]
        struct Filter {
            /// At least so many.
            min: Option<u32>,
            sort: Sort,
        }
        #[derive(Deserialize, JsonSchema)]
        #[serde(rename_all = "lowercase")]
        enum Sort {
            #[allow(dead_code, reason = "only its schema is used")]
            Up,
            #[allow(dead_code, reason = "only its schema is used")]
            Down,
        }
        let operation = describe("/", |operation| {
            operation.query::<Filter>();
        });
        let parameters = operation["parameters"].as_array().unwrap();
        assert_eq!(parameters.len(), 2);
        assert_eq!(
            (
                &parameters[0]["name"],
                &parameters[0]["required"],
                &parameters[0]["description"]
            ),
            (&json!("min"), &json!(false), &json!("At least so many."))
        );
        assert_eq!(parameters[1]["required"], true);
        assert_eq!(parameters[1]["schema"]["enum"], json!(["up", "down"]));
    }

    #[test]
    fn a_body_brings_its_problems() {
        let operation = describe("/", |operation| {
            operation.body::<Vec<u8>>();
        });
        assert_eq!(operation["requestBody"]["required"], true);
        for status in ["400", "413", "415", "422"] {
            assert!(
                operation["responses"][status]["$ref"].is_string(),
                "{status}"
            );
        }
    }

    #[test]
    fn replies_have_what_belongs_to_their_status() {
        let operation = describe("/", |operation| {
            operation.reply::<u8>(201);
            operation.reply_empty(303);
            operation.problem(409);
            operation.problem(418);
        });
        let responses = &operation["responses"];
        assert!(responses["201"]["content"]["application/json"]["schema"].is_object());
        for status in ["201", "303"] {
            assert!(responses[status]["headers"]["Location"].is_object());
        }
        assert!(responses["303"].get("content").is_none());
        assert_eq!(
            responses["409"]["$ref"],
            "#/components/responses/Problem409"
        );
        assert!(responses["418"]["content"]["application/problem+json"].is_object());
        assert!(
            responses.get("200").is_none(),
            "a success is assumed only if none is described"
        );
        assert!(describe("/", |_| {})["responses"]["200"].is_object());
    }

    #[test]
    fn a_parameter_said_twice_is_there_once() {
        let operation = describe("/{a}", |operation| {
            operation.path_parameter::<String>("a");
            operation.path_parameter::<u32>("a");
            operation.convention(Convention::Prefer);
            operation.convention(Convention::Prefer);
        });
        let parameters = operation["parameters"].as_array().unwrap();
        assert_eq!(parameters.len(), 2);
        assert_eq!(parameters[0]["schema"]["format"], "uint32");
    }
}

//! The OpenAPI 3.1 document of the routes that a service really has.
//!
//! States and handlers are added as they are mounted; what is not mounted is not described. Schemas are those of `schemars`,
//! which follow the same serde attributes that the bodies do.

pub(crate) mod components;
mod crud;

use std::collections::{BTreeSet, HashMap};

use axum::http::Method;
use schemars::SchemaGenerator;
use serde_json::{Map, Value, json};

use crate::{
    operation::{Convention, Operation, paragraphs, settings},
    state::{Definition, State},
};

/// A generator of schemas as the document needs them.
#[must_use]
pub fn schemas() -> SchemaGenerator {
    settings().into_generator()
}

/// The document, as it grows.
///
/// ```
/// use axum::http::Method;
/// use memgen::openapi::OpenApi;
///
/// let mut api = OpenApi::new("graph", "0.1.0");
/// api.free_handler(&Method::POST, "/connect/{a}/{b}", "connect", " Connects two vertices.", |operation| {
///     operation.path_parameter::<u32>("a");
///     operation.path_parameter::<u32>("b");
///     operation.reply_empty(303);
///     operation.problem(404);
/// });
/// let document = api.document();
/// assert_eq!(document["openapi"], "3.1.0");
/// assert_eq!(document["paths"]["/connect/{a}/{b}"]["post"]["operationId"], "connect");
/// ```
#[derive(Debug)]
pub struct OpenApi {
    title: String,
    version: String,
    description: String,
    schemas: SchemaGenerator,
    paths: Map<String, Value>,
    ids: BTreeSet<String>,
    tags: Vec<Value>,
    // The schemas of each state's key fields, by the state's name.
    keys: HashMap<&'static str, HashMap<&'static str, Value>>,
}

impl OpenApi {
    /// An empty document.
    pub fn new(title: impl Into<String>, version: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            version: version.into(),
            description: String::new(),
            schemas: schemas(),
            paths: Map::new(),
            ids: BTreeSet::new(),
            tags: Vec::new(),
            keys: HashMap::new(),
        }
    }

    /// Says what the service is. A doc comment or Markdown.
    #[must_use]
    pub fn with_description(mut self, doc: &str) -> Self {
        self.description = paragraphs(doc).join("\n\n");
        self
    }

    /// Adds a state: its tag and the operations that need no code.
    pub fn state<S: State>(&mut self) {
        let definition = &S::DEFINITION;
        self.tag(definition.name, definition.doc);
        let schema = self.schemas.subschema_for::<S>();
        let keys = crud::key_schemas(definition, self.schemas.definitions(), &schema);
        self.keys.insert(definition.name, keys);
        for operation in definition.crud {
            let Some(route) = crud::Route::of(*operation, definition) else {
                continue;
            };
            self.add(
                &route.method,
                route.path,
                &route.id,
                &route.doc,
                definition.name,
                |described| {
                    crud::describe(*operation, definition, &schema, described);
                },
            );
        }
    }

    /// Adds a handler of a state. `path` is the full path; `describe` says what the arguments and the reply are.
    ///
    /// What follows from the conventions is added here: the schemas of key fields, the headers of reads
    /// (`GET`) or of writes (everything else), 404 for a key that does not exist, 503 and 507.
    pub fn handler(
        &mut self,
        definition: &Definition,
        method: &Method,
        path: &str,
        name: &str,
        doc: &str,
        describe: impl FnOnce(&mut Operation<'_>),
    ) {
        let id = format!("{}_{name}", crud::snake_case(definition.name));
        self.add(method, path, &id, doc, definition.name, |operation| {
            describe(operation);
            let read = *method == Method::GET;
            if read {
                for header in Convention::READ {
                    operation.convention(header);
                }
            } else {
                operation.convention(Convention::IfMatch);
                operation.convention(Convention::IfNoneMatch);
                operation.problem(412);
                for header in Convention::WRITE {
                    operation.convention(header);
                }
                operation.success_header("Memgen-Position", "MemgenPosition");
                operation.problem(507);
            }
            operation.problem(404);
            operation.problem(503);
        });
    }

    /// Adds a free handler. `describe` says what the arguments and the reply are.
    pub fn free_handler(
        &mut self,
        method: &Method,
        path: &str,
        name: &str,
        doc: &str,
        describe: impl FnOnce(&mut Operation<'_>),
    ) {
        self.tag(FREE_TAG, "");
        self.add(method, path, name, doc, FREE_TAG, |operation| {
            describe(operation);
            if !method.is_safe() {
                operation.convention(Convention::IdempotencyKey);
            }
            operation.problem(503);
        });
    }

    fn add(
        &mut self,
        method: &Method,
        path: &str,
        id: &str,
        doc: &str,
        tag: &str,
        describe: impl FnOnce(&mut Operation<'_>),
    ) {
        let id = self.unique(id);
        let mut operation = Operation::new(method, path, &id, doc, tag, &mut self.schemas);
        describe(&mut operation);
        if let Some(keys) = self.keys.get(tag) {
            for name in operation.unknown_placeholders() {
                if let Some(schema) = keys.get(name.as_str()) {
                    operation.path_parameter_with(&name, schema);
                }
            }
        }
        let operation = operation.into_value();
        // `{*rest}` is the router's way to say that a placeholder takes the rest; OpenAPI has no way.
        let item = self
            .paths
            .entry(path.replace("{*", "{"))
            .or_insert_with(|| json!({}));
        item[method.as_str().to_ascii_lowercase()] = operation;
    }

    /// The id, or the id with a number if it is taken.
    fn unique(&mut self, id: &str) -> String {
        let mut unique = id.to_owned();
        let mut number = 2;
        while !self.ids.insert(unique.clone()) {
            unique = format!("{id}_{number}");
            number += 1;
        }
        unique
    }

    fn tag(&mut self, name: &str, doc: &str) {
        if self.tags.iter().any(|tag| tag["name"] == name) {
            return;
        }
        let mut tag = json!({ "name": name });
        if !doc.trim().is_empty() {
            tag["description"] = paragraphs(doc).join("\n\n").into();
        }
        self.tags.push(tag);
    }

    /// The document.
    #[must_use]
    pub fn document(mut self) -> Value {
        let mut shared = components::components(&mut self.schemas);
        shared["schemas"] = self.schemas.take_definitions(true).into();
        let mut document = json!({
            "openapi": "3.1.0",
            "info": { "title": self.title, "version": self.version },
            "servers": [{ "url": "/" }],
            "paths": self.paths,
            "components": shared,
            "tags": self.tags,
        });
        if !self.description.is_empty() {
            document["info"]["description"] = self.description.into();
        }
        document
    }
}

/// The tag of handlers that belong to no state.
const FREE_TAG: &str = "operations";

#[cfg(test)]
mod tests;

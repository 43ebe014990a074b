//! A service that keeps a document: operations are decoded, checked and answered by what OpenAPI says of them.
//!
//! `memgen generate` writes the types and embeds the document; what stands in it decides at run time. In the order in which a request travels:
//! `routes` finds the `operation` · `security` asks who it is · `parameters` and `body` read (`coerce`, `form`, `nested`) and check (`document`, `adapt`) ·
//! `states` carries it out on a state, or `handlers` calls what the user wrote · `shape` gives errors the form that the document declares.

mod accept;
mod adapt;
mod body;
mod coerce;
mod cx;
mod document;
mod entity;
mod form;
mod handlers;
mod nested;
pub mod nullable;
mod operation;
mod parameters;
pub mod prelude;
#[doc(hidden)]
pub mod reply;
mod routes;
mod schema;
#[doc(hidden)]
pub mod schemas;
mod security;
mod shape;
mod states;
mod types;
#[doc(hidden)]
pub mod values;

use std::{
    collections::{BTreeMap, HashMap},
    future::Future,
    sync::Arc,
    time::Instant,
};

use axum::{
    body::Body as HttpBody,
    http::{Method, Request, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

#[doc(hidden)]
pub use memgen_macros::written;

#[doc(hidden)]
pub use self::handlers::{no_variant, not_written};
pub use self::{
    body::Body,
    cx::Cx,
    entity::Entity,
    handlers::{FromBody, OperationRoute},
    reply::EventStream,
    security::{Attempt, Credentials, Principal},
    types::{Base64, Date, DateTime, Decimal, File, now},
};
use self::{
    body::RequestBody,
    document::{Check, Document, Side},
    operation::{Operation, Shared, What},
    routes::{Found, Routes},
    security::{Authenticate, Configured, Demand},
    shape::Shapes,
    states::{StateActions, States},
};
use crate::{
    call::{Call, Via},
    metrics::RouteMetrics,
    node::Node,
    problem::{Problem, Result},
    template::Template,
};

/// The methods that an operation of a document can have.
const METHODS: [&str; 8] = [
    "get", "put", "post", "delete", "options", "head", "patch", "trace",
];

/// A document, and what answers its operations.
///
/// Operations on states are answered by the runtime, as `memgen generate` has decided and written into the document; the others by functions of the user, and
/// by 501 where there is none.
///
/// ```
/// use memgen::{contract::Contract, prelude::*};
///
/// const DOCUMENT: &str = r#"{
///     "openapi": "3.1.0",
///     "info": {"title": "Hello", "version": "1"},
///     "paths": {"/hello": {"get": {"operationId": "hello", "responses": {"200": {"description": "A greeting."}}}}}
/// }"#;
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let service = memgen::service!().contract(Contract::new(DOCUMENT));
/// # drop(service);
/// # Ok(())
/// # }
/// ```
pub struct Contract {
    document: &'static str,
    entities: Vec<(&'static str, Arc<dyn StateActions>)>,
    operations: Vec<OperationRoute>,
    authenticate: Option<Authenticate>,
}

impl std::fmt::Debug for Contract {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Contract")
            .field("operations", &self.operations)
            .finish_non_exhaustive()
    }
}

impl Contract {
    /// A contract by an OpenAPI 3.1 document in JSON, as `memgen generate` embeds it. One that is damaged is an error when the service starts.
    #[must_use]
    pub const fn new(document: &'static str) -> Self {
        Self {
            document,
            entities: Vec::new(),
            operations: Vec::new(),
            authenticate: None,
        }
    }

    /// Says which type keeps the state that the document calls `name`. The type is a part of the service, too.
    #[must_use]
    pub fn entity<S: Entity>(mut self, name: &'static str) -> Self {
        self.entities.push((name, states::actions::<S>()));
        self
    }

    /// Adds functions: those that `#[operations]` has made of a trait.
    #[must_use]
    pub fn operations(mut self, operations: Vec<OperationRoute>) -> Self {
        self.operations.extend(operations);
        self
    }

    /// Says who decides whether credentials are right. Without it, the setting `credentials` does.
    #[must_use]
    pub fn authenticate<F, W>(mut self, authenticate: F) -> Self
    where
        F: Fn(Attempt) -> W + Send + Sync + 'static,
        W: Future<Output = Result<Principal>> + Send + 'static,
    {
        self.authenticate = Some(Arc::new(move |attempt| Box::pin(authenticate(attempt))));
        self
    }

    /// Reads the document and finds out what answers each operation.
    pub(crate) fn prepare(self) -> Result<Prepared, Vec<String>> {
        let value: Value = serde_json::from_str(self.document)
            .map_err(|error| vec![format!("the document of the service is no JSON: {error}")])?;
        let document = Arc::new(Document::new(value));
        let actions: BTreeMap<String, Arc<dyn StateActions>> = self
            .entities
            .into_iter()
            .map(|(name, actions)| (name.to_owned(), actions))
            .collect();
        let mut builder = Builder {
            states: States::new(document.value.clone(), actions).map_err(|error| vec![error])?,
            written: self
                .operations
                .into_iter()
                .map(|route| (route.id, route))
                .collect(),
            document: &document,
            mistakes: Vec::new(),
        };
        let mut routes = Routes::new();
        let mut operations = Vec::new();
        let paths = document.value.get("paths").and_then(Value::as_object);
        for (path, item) in paths.into_iter().flatten() {
            for method in METHODS {
                let Some(written) = item.get(method) else {
                    continue;
                };
                let Some(operation) = builder.operation(path, method, written) else {
                    continue;
                };
                let Ok(verb) = Method::from_bytes(method.to_ascii_uppercase().as_bytes()) else {
                    continue;
                };
                // A second operation at the same address can't be reached; the generator has said so.
                if routes.add(&verb, path, operations.len()).is_ok() {
                    operations.push(Arc::new(operation));
                }
            }
        }
        let mut mistakes = builder.mistakes;
        mistakes.extend(builder.written.keys().map(|id| {
            format!("the document has no operation `{id}`, for which there is a function")
        }));
        if !mistakes.is_empty() {
            return Err(mistakes);
        }
        Ok(Prepared {
            published: published(&document.value),
            shared: (document, self.authenticate),
            operations,
            routes,
        })
    }
}

/// Makes operations.
struct Builder<'d> {
    document: &'d Arc<Document>,
    states: States,
    written: HashMap<&'static str, OperationRoute>,
    mistakes: Vec<String>,
}

impl Builder<'_> {
    fn operation(&mut self, path: &str, method: &str, written: &Value) -> Option<Operation> {
        let document = self.document;
        let at = format!("/paths/{}/{method}", parameters::escape(path));
        let id = written.get("operationId").and_then(Value::as_str);
        let id = id.map_or_else(|| format!("{method} {path}"), str::to_owned);
        let parameters = match parameters::of_operation(document, path, method) {
            Ok(parameters) => parameters,
            Err(why) => {
                self.mistakes
                    .push(format!("{} {path}: {why}", method.to_uppercase()));
                return None;
            }
        };
        let what = self.what(path, method, &id, written)?;
        let body = RequestBody::of_operation(document, &at);
        Some(Operation {
            parameters,
            body: match what {
                What::State(_) => body.map(RequestBody::for_states),
                What::Handler(_) | What::Nobody(_) => body,
            },
            demand: Demand::of_operation(document, &at),
            shapes: Shapes::of_operation(document, &at),
            template: Template::new(path),
            method: method.to_ascii_uppercase(),
            what,
            id: id.into(),
        })
    }

    fn what(&mut self, path: &str, method: &str, id: &str, written: &Value) -> Option<What> {
        let unsupported = written.get("x-memgen").and_then(|it| it.get("unsupported"));
        if let Some(why) = unsupported.and_then(Value::as_str) {
            return Some(What::Nobody(format!("`{id}` is not supported: {why}")));
        }
        // What the user wrote goes before what the runtime does by itself.
        if let Some(route) = self.written.remove(id) {
            return Some(What::Handler(route));
        }
        let made = self
            .states
            .schema_of(written)
            .map(|schema| schema.map(str::to_owned));
        let made = made.and_then(|schema| {
            let Some(schema) = schema else {
                return Ok(None);
            };
            let pointer = schema.trim_start_matches('#').to_owned();
            let check = Arc::new(Check::new(self.document, pointer, Side::Reply));
            let check: states::Check =
                Arc::new(move |value: &Value| check.check("the entity", value));
            self.states.operation(method, path, check).map(Some)
        });
        match made {
            Ok(Some(operation)) => Some(What::State(Arc::new(operation))),
            Ok(None) => Some(What::Nobody(format!(
                "`{id}` is not written yet; write the function of its name in src/handlers"
            ))),
            Err(why) => {
                self.mistakes.push(why);
                None
            }
        }
    }
}

/// The document as clients see it: without the decisions of the generator.
fn published(document: &Value) -> Value {
    let mut document = document.clone();
    let Value::Object(root) = &mut document else {
        return json!({});
    };
    root.remove("x-memgen");
    let paths = root.get_mut("paths").and_then(Value::as_object_mut);
    for item in paths.into_iter().flatten().map(|(_, item)| item) {
        for method in METHODS {
            if let Some(Value::Object(operation)) = item.get_mut(method) {
                operation.remove("x-memgen");
            }
        }
    }
    document
}

/// A contract that is ready to be served.
pub(crate) struct Prepared {
    /// The document for clients.
    pub(crate) published: Value,
    shared: (Arc<Document>, Option<Authenticate>),
    operations: Vec<Arc<Operation>>,
    routes: Routes<usize>,
}

/// A contract on one node.
pub(crate) struct Served {
    prepared: Arc<Prepared>,
    shared: Shared,
    node: Arc<Node>,
    /// By the place of the operation.
    metrics: Vec<RouteMetrics>,
    templates: Vec<Arc<Template>>,
    via: Via,
}

impl Prepared {
    /// Whether the document has something of its own at this path.
    pub(crate) fn has(&self, path: &str) -> bool {
        matches!(
            self.routes.find(&Method::GET, path),
            Found::Operation(_, values) if values.is_empty()
        )
    }

    /// The contract on a node.
    pub(crate) fn serve(self: &Arc<Self>, node: &Arc<Node>, via: Via) -> Served {
        let (document, authenticate) = self.shared.clone();
        let metrics = self.operations.iter().map(|operation| {
            let method = Method::from_bytes(operation.method.as_bytes()).unwrap_or_default();
            node.metrics.route(&method, operation.template.text())
        });
        Served {
            metrics: metrics.collect(),
            templates: self
                .operations
                .iter()
                .map(|operation| Arc::new(operation.template.clone()))
                .collect(),
            shared: Shared {
                document,
                authenticate,
                configured: Configured::new(&node.config.credentials),
            },
            prepared: self.clone(),
            node: node.clone(),
            via,
        }
    }
}

impl Served {
    /// Answers a request.
    pub(crate) async fn answer(&self, request: Request<HttpBody>) -> Response {
        let path = request.uri().path();
        let (index, values) = match self.prepared.routes.find(request.method(), path) {
            Found::Operation(index, values) => {
                let values = values
                    .into_iter()
                    .map(|(name, text)| (name.to_owned(), text));
                (*index, values.collect::<Vec<_>>())
            }
            Found::Nothing => {
                return Problem::not_found(format!("there is no `{path}` here")).into_response();
            }
            Found::OtherMethods(methods) => {
                let problem = Problem::method_not_allowed(&methods);
                if request.method() == Method::OPTIONS {
                    let allow = problem.into_response().headers()[header::ALLOW].clone();
                    return (StatusCode::NO_CONTENT, [(header::ALLOW, allow)]).into_response();
                }
                return problem.into_response();
            }
            Found::NotText(name) => {
                let problem = Problem::bad_request(format!("`{name}` in the path is not UTF-8"));
                return problem.with_error(name, "is not UTF-8").into_response();
            }
        };
        let started = Instant::now();
        let template = self.templates[index].clone();
        let call = Call::new(self.node.clone(), template, request, self.via);
        let operation = self.prepared.operations[index].clone();
        let answer = |call| {
            let operation = operation.clone();
            Box::pin(operation.answer(self.shared.clone(), call, values.clone()))
        };
        let response = crate::route::answer(call, answer).await;
        self.metrics[index].observe(response.status(), started.elapsed());
        response
    }
}

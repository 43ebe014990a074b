//! An operation on a state, made of the document once.

mod plan;

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use axum::http::{HeaderMap, Uri, header};
use serde_json::{Map, Value};

use super::{
    actions::StateActions,
    decision::{Action, Decisions, KeyKind, KeySource, Missing},
    fill::Filled,
    made::{Bounds, Seed},
    page::Paging,
    projection::{Projection, Projections},
    reference::References,
    schema::{put, tokens},
    success::Success,
};
use crate::{call::CallFuture, contract::document::invalid, idempotency, problem::Problem};

/// Says what of a value is against the schema of an entity.
pub(crate) type Check = Arc<dyn Fn(&Value) -> Result<(), Problem> + Send + Sync>;

/// A request, as far as the document's schemas have been applied to it.
pub(crate) struct StateRequest {
    /// The request itself. Its body was read, so that it can be forwarded.
    pub(crate) call: crate::call::Call,
    /// The parameters by the names of their fields.
    pub(crate) parameters: Map<String, Value>,
    /// The body.
    pub(crate) body: Option<Value>,
    /// Whether the body is a JSON Patch (RFC 6902).
    pub(crate) is_json_patch: bool,
}

/// All states of a document.
pub(crate) struct States {
    document: Arc<Value>,
    decisions: Decisions,
    actions: BTreeMap<String, Arc<dyn StateActions>>,
    projections: Projections,
}

/// An operation on a state.
pub(crate) struct StateOperation {
    /// Its `operationId`, or method and path.
    pub(crate) id: String,
    /// The name of the state, as the document has it.
    pub(crate) state: String,
    pub(crate) key: Vec<KeySource>,
    pub(crate) entity: Arc<EntityPlan>,
    /// Where the request's body has the entity.
    pub(crate) request: Option<String>,
    /// What of it passes.
    pub(crate) incoming: Arc<Projection>,
    /// What of it the entity has in another form.
    pub(crate) references: References,
    /// Properties that are read-only in the entity, and not in the request.
    pub(crate) writable: Vec<String>,
    /// Whether the request has a schema of its own, so that what it lets through may not be an entity.
    pub(crate) is_other: bool,
    pub(crate) success: Success,
    /// The success of a `replace` that made the entity.
    pub(crate) created: Success,
    pub(crate) missing: Missing,
    pub(crate) paging: Paging,
    pub(crate) parent: Option<Parent>,
    /// Query parameters that the state can't serve.
    refuses: Vec<String>,
    /// The segments of the operation's own path template.
    segments: usize,
    actions: Arc<dyn StateActions>,
    action: Action,
}

/// The state of which a new entity is a part.
pub(crate) struct Parent {
    pub(crate) state: String,
    pub(crate) actions: Arc<dyn StateActions>,
}

/// What is known of the entities of a state.
pub(crate) struct EntityPlan {
    pub(crate) key: Vec<KeyField>,
    pub(crate) fill: Vec<Filled>,
    /// Adds what must be there.
    pub(crate) complete: Arc<Projection>,
    /// Protects what is read-only.
    pub(crate) protect: Arc<Projection>,
    pub(crate) check: Check,
    /// Properties that must be there, and may be null.
    pub(crate) nullable: Vec<String>,
    /// The path of one entity, if the document has one.
    item: Option<String>,
}

/// A part of the key.
pub(crate) struct KeyField {
    pub(crate) parameter: String,
    pub(crate) kind: KeyKind,
    /// Where the entity has it.
    pub(crate) at: Option<String>,
    pub(crate) bounds: Bounds,
    /// How the entity has it, if that is not as its type says.
    form: KeyForm,
}

/// How an entity has a part of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum KeyForm {
    AsItIs,
    Text,
    Number,
}

impl StateOperation {
    /// Whether a request holds only what is to be changed.
    pub(crate) fn is_update(&self) -> bool {
        self.action == Action::Update
    }

    /// Carries a request out.
    pub(crate) fn perform(self: &Arc<Self>, request: StateRequest) -> CallFuture {
        if let Some(name) = self.refused(&request.call.parts().uri) {
            // To leave it aside in silence would be another answer than the one that was asked for.
            let problem =
                Problem::not_implemented(format!("`{name}` is not supported here; leave it out"));
            let problem = problem.with_error(name, "is not supported here");
            return Box::pin(async { Err(problem.into()) });
        }
        self.actions.perform(self.action, self.clone(), request)
    }

    /// A parameter in the query that the state can't serve.
    fn refused(&self, uri: &Uri) -> Option<&str> {
        if self.refuses.is_empty() {
            return None;
        }
        let given: Vec<String> = uri
            .query()?
            .split('&')
            .map(|pair| {
                let name = pair.split(['=', '[']).next().unwrap_or_default();
                let name = name.split("%5B").next().unwrap_or_default();
                percent_encoding::percent_decode_str(name)
                    .decode_utf8_lossy()
                    .into_owned()
            })
            .collect();
        self.refuses
            .iter()
            .map(|name| name.strip_prefix("query:").unwrap_or(name))
            .find(|name| given.iter().any(|given| given == name))
    }

    /// The entity in a request, without what may not come in.
    pub(crate) fn entity_in(&self, body: Option<&Value>) -> Result<Value, Problem> {
        let Some(at) = &self.request else {
            return Ok(Value::Object(Map::new()));
        };
        let mut entity = match body.map(|body| (body, body.pointer(at))) {
            Some((_, Some(entity))) => entity.clone(),
            None | Some((_, None)) => Value::Object(Map::new()),
        };
        if !entity.is_object() {
            let problem = Problem::invalid(format!("a {} is a JSON object", self.state));
            return Err(problem.with_error(at.clone(), "is no object"));
        }
        self.incoming.apply(&mut entity);
        if let Err(name) = self.references.apply(&mut entity) {
            let detail = format!(
                "`{name}` can't be kept: what requests give and what replies show have nothing in common. Leave it out, or write the function of `{}`",
                self.id
            );
            let problem = Problem::not_implemented(detail);
            return Err(problem.with_error(format!("{at}/{name}"), "can't be kept here"));
        }
        Ok(entity)
    }

    /// The parts of the key that the path or the body gives; none for one that the server makes.
    pub(crate) fn given_key(
        &self,
        parameters: &Map<String, Value>,
        entity: &Value,
    ) -> Result<Vec<Option<String>>, Problem> {
        let part = |source: &KeySource| match source {
            KeySource::Parameter(name) => match parameters.get(name).and_then(part_text) {
                Some(text) => Ok(Some(text)),
                None => Err(Problem::bad_request(format!("`{name}` is missing"))
                    .with_error(name.clone(), "is missing")),
            },
            KeySource::Body(at) => match entity.pointer(at) {
                None | Some(Value::Null) => Ok(None),
                Some(value) => match part_text(value) {
                    Some(text) => Ok(Some(text)),
                    None => Err(self.invalid_at(at, "is no key: it has to be a text or a number")),
                },
            },
            KeySource::Server(_) => Ok(None),
        };
        self.key.iter().map(part).collect()
    }

    /// What is wrong with an entity, as far as the request is to blame: only for what it gave.
    pub(crate) fn fault(&self, problem: &Problem, given: &Value) -> Result<(), Problem> {
        let above = self.request.as_deref().unwrap_or_default();
        let own = problem.errors().iter();
        let own = own.filter(|error| {
            given
                .pointer(&error.pointer)
                .is_some_and(|it| !it.is_object())
        });
        let own: Vec<_> = own
            .map(|error| (format!("{above}{}", error.pointer), error.detail.clone()))
            .collect();
        if own.is_empty() {
            return Ok(());
        }
        Err(invalid(&format!("a {}", self.state), own))
    }

    /// What is wrong with an entity, at the places where a request has it.
    pub(crate) fn in_request(&self, problem: Problem) -> Problem {
        let Some(above) = self.request.as_deref().filter(|above| !above.is_empty()) else {
            return problem;
        };
        let errors = problem.errors().iter();
        let errors =
            errors.map(|error| (format!("{above}{}", error.pointer), error.detail.clone()));
        invalid("the body", errors.collect())
    }

    /// 422 for a place of the entity.
    pub(crate) fn invalid_at(&self, at: &str, what: &str) -> Problem {
        let pointer = format!("{}{at}", self.request.as_deref().unwrap_or_default());
        let name = tokens(&pointer).last().unwrap_or_default();
        Problem::invalid(format!("`{name}` {what}")).with_error(pointer, what)
    }

    /// Puts the key into the entity. What the entity says itself must not be another one, unless the server makes it.
    pub(crate) fn put_key(&self, entity: &mut Value, key: &[Value]) -> Result<(), Problem> {
        for ((field, value), source) in self.entity.key.iter().zip(key).zip(&self.key) {
            let Some(at) = &field.at else {
                continue;
            };
            let given = entity.pointer(at).filter(|given| !given.is_null());
            if let (Some(given), KeySource::Parameter(name)) = (given, source)
                && !field.is_same(given, value)
            {
                let what = format!("is {given}, but `{name}` in the path is {value}");
                return Err(self.invalid_at(at, &what));
            }
            put(entity, at, field.in_entity(value));
        }
        Ok(())
    }

    /// Sets in the entity what the server sets.
    pub(crate) fn fill(&self, before: Option<&Value>, entity: &mut Value) {
        let now_ms = crate::ambient::now_ms();
        for filled in &self.entity.fill {
            filled.apply(before, entity, now_ms);
        }
    }

    /// What the keys of a new entity are made of.
    pub(crate) fn seed(&self, headers: &HeaderMap, uri: &Uri) -> Seed {
        let target = uri.path_and_query().map_or("", |target| target.as_str());
        match headers.get(idempotency::HEADER) {
            Some(key) => Seed::of(&self.id, target, key.as_bytes()),
            None => Seed::Random,
        }
    }

    /// The path of the entity with this key, if the document has one, below the same root as the request's own path.
    pub(crate) fn location(&self, uri: &Uri, key: &[Cow<'_, str>]) -> Option<String> {
        let mut path = self.entity.item.clone()?;
        for (field, part) in self.entity.key.iter().zip(key) {
            let encoded = percent_encoding::utf8_percent_encode(part, crate::crud::SEGMENT);
            path = path.replacen(&format!("{{{}}}", field.parameter), &encoded.to_string(), 1);
        }
        let above = uri
            .path()
            .matches('/')
            .count()
            .saturating_sub(self.segments);
        let root: String = uri.path().split_inclusive('/').take(above + 1).collect();
        Some(format!("{}{path}", root.trim_end_matches('/')))
    }

    /// 404.
    pub(crate) fn not_found(&self, key: &str) -> Problem {
        Problem::not_found(format!("there is no {} `{key}`", self.state))
    }

    /// The base URL of links to the service, as its client sees it.
    pub(crate) fn base(headers: &HeaderMap) -> String {
        headers
            .get(header::HOST)
            .and_then(|host| host.to_str().ok())
            .and_then(|host| host.parse::<axum::http::uri::Authority>().ok())
            .map_or_else(String::new, |host| format!("http://{host}"))
    }
}

impl KeyField {
    /// A part of the key as the entity's schema has it.
    fn in_entity(&self, value: &Value) -> Value {
        match (self.form, value) {
            (KeyForm::Text, Value::Number(number)) => Value::String(number.to_string()),
            (KeyForm::Number, Value::String(text)) => {
                serde_json::from_str(text).unwrap_or_else(|_| value.clone())
            }
            _ => value.clone(),
        }
    }

    /// Whether two values are the same part of a key.
    fn is_same(&self, one: &Value, other: &Value) -> bool {
        let (Some(one), Some(other)) = (part_text(one), part_text(other)) else {
            return false;
        };
        // A UUID may be written in several ways.
        let uuid = |text: &str| text.parse::<uuid::Uuid>().ok();
        one == other
            || (self.kind == KeyKind::Uuid && uuid(&one).is_some() && uuid(&one) == uuid(&other))
    }
}

/// A value as a part of a key.
pub(crate) fn part_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(is) => Some(is.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

//! An operation on a state, made of the document once.

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use axum::http::{HeaderMap, StatusCode, Uri, header};
use serde_json::{Map, Value};

use super::{
    actions::StateActions,
    decision::{
        Action, Decisions, EXTENSION, KeyKind, KeySource, Missing, OperationDecision, StateDecision,
    },
    fill::Filled,
    made::{Bounds, Seed},
    page::Paging,
    projection::{Direction, Projection, Projections, is_same},
    reference::References,
    schema::{Schema, put, tokens},
    success::{Success, declares},
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

impl States {
    /// The states of a document, each with its type.
    ///
    /// # Errors
    /// What is wrong with the decisions in the document, or with the types.
    pub(crate) fn new(
        document: Arc<Value>,
        actions: BTreeMap<String, Arc<dyn StateActions>>,
    ) -> Result<Self, String> {
        let decisions = match document.get(EXTENSION) {
            None => Decisions::default(),
            Some(decisions) => serde_json::from_value(decisions.clone())
                .map_err(|error| format!("`{EXTENSION}` of the document: {error}"))?,
        };
        for (name, decision) in &decisions.states {
            let Some(actions) = actions.get(name) else {
                return Err(format!(
                    "no type keeps the state `{name}`: `Contract::entity` lacks it"
                ));
            };
            let (here, there) = (actions.key_fields().len(), decision.key.len());
            if here != there {
                return Err(format!(
                    "the key of the state `{name}` has {there} parts in the document, and {here} in its type"
                ));
            }
        }
        if let Some(name) = actions
            .keys()
            .find(|name| !decisions.states.contains_key(*name))
        {
            return Err(format!("the document has no state `{name}`"));
        }
        Ok(Self {
            document,
            decisions,
            actions,
            projections: Projections::default(),
        })
    }

    /// Where the schema of the entities of the state is on which this operation works; none if it works on no state.
    ///
    /// # Errors
    /// What is wrong with the decision in the document.
    pub(crate) fn schema_of(&self, operation: &Value) -> Result<Option<&str>, String> {
        let Some(decision) = read_decision(operation)? else {
            return Ok(None);
        };
        Ok(Some(&self.decision(&decision.state)?.schema))
    }

    fn decision(&self, state: &str) -> Result<&StateDecision, String> {
        self.decisions
            .states
            .get(state)
            .ok_or_else(|| format!("the document has no state `{state}`"))
    }

    /// The operation with this method (in lower case) and path. `check` is of the schema that [`schema_of`](Self::schema_of) names.
    ///
    /// # Errors
    /// What is wrong with the decision in the document.
    pub(crate) fn operation(
        &mut self,
        method: &str,
        path: &str,
        check: Check,
    ) -> Result<StateOperation, String> {
        let document = self.document.clone();
        let wrong = |what: String| format!("{} {path}: {what}", method.to_uppercase());
        let operation = document
            .get("paths")
            .and_then(|paths| paths.get(path)?.get(method))
            .ok_or_else(|| wrong("there is no such operation".to_owned()))?;
        let decision = read_decision(operation)
            .and_then(|decision| decision.ok_or_else(|| "it is on no state".to_owned()))
            .map_err(wrong)?;
        let state = self.decision(&decision.state).map_err(wrong)?.clone();
        let entity = Schema::by_reference(&document, &state.schema)
            .ok_or_else(|| wrong(format!("there is no schema `{}`", state.schema)))?;
        let expected = match decision.action {
            Action::List => 0..=state.key.len() - 1,
            _ => state.key.len()..=state.key.len(),
        };
        if !expected.contains(&decision.key.len()) {
            return Err(wrong(format!(
                "its key has {} parts, that of the state {}",
                decision.key.len(),
                state.key.len()
            )));
        }
        let actions = self.actions[&decision.state].clone();
        let parent = match &decision.parent {
            None => None,
            Some(parent) => Some(Parent {
                state: parent.state.clone(),
                actions: self
                    .actions
                    .get(&parent.state)
                    .cloned()
                    .ok_or_else(|| wrong(format!("there is no state `{}`", parent.state)))?,
            }),
        };
        let (replaced, created) = statuses(&decision, operation).map_err(wrong)?;
        let paging = Paging::new(&document, path, operation, &decision);
        let list = (decision.action == Action::List).then_some(&paging);
        let mut success = |status| {
            Success::new(
                &document,
                operation,
                status,
                decision.reply.as_deref(),
                entity,
                list,
                &mut self.projections,
            )
        };
        let (success, created) = (success(replaced), success(created));
        let given = given(&document, operation, &decision).filter(|given| !is_same(*given, entity));
        let incoming = match given {
            Some(given) => self.projections.get(given, Direction::OtherRequest),
            None => self.projections.get(entity, Direction::Request),
        };
        Ok(StateOperation {
            id: operation
                .get("operationId")
                .and_then(Value::as_str)
                .map_or_else(|| format!("{method} {path}"), str::to_owned),
            paging,
            incoming,
            references: given
                .map(|given| References::new(given, entity))
                .unwrap_or_default(),
            writable: given
                .map(|given| writable(given, entity))
                .unwrap_or_default(),
            is_other: given.is_some(),
            entity: Arc::new(plan(
                &document,
                &decision.state,
                &state,
                entity,
                check,
                &mut self.projections,
            )),
            state: decision.state,
            key: decision.key,
            request: decision.request,
            success,
            created,
            missing: decision.missing,
            parent,
            refuses: decision.refuses,
            segments: path.matches('/').count(),
            actions,
            action: decision.action,
        })
    }
}

/// The decision in an operation, if it is on a state.
fn read_decision(operation: &Value) -> Result<Option<OperationDecision>, String> {
    match operation.get(EXTENSION) {
        Some(decision) if decision.get("state").is_some() => {
            serde_json::from_value(decision.clone())
                .map(Some)
                .map_err(|error| format!("`{EXTENSION}`: {error}"))
        }
        _ => Ok(None),
    }
}

/// The status of a success, and of one that made an entity.
fn statuses(
    decision: &OperationDecision,
    operation: &Value,
) -> Result<(StatusCode, StatusCode), String> {
    let usual = if decision.action == Action::Create {
        201
    } else {
        200
    };
    let number = decision.status.unwrap_or(usual);
    let status = StatusCode::from_u16(number)
        .ok()
        .filter(StatusCode::is_success)
        .ok_or_else(|| format!("`{EXTENSION}`: {number} is no status of a success"))?;
    if decision.action != Action::Replace {
        return Ok((status, status));
    }
    let declared = |wanted: &[StatusCode]| {
        wanted
            .iter()
            .copied()
            .find(|status| declares(operation, *status))
    };
    let replaced = [StatusCode::OK, StatusCode::NO_CONTENT, StatusCode::ACCEPTED];
    let replaced = if status == StatusCode::CREATED {
        declared(&replaced).unwrap_or(status)
    } else {
        status
    };
    Ok((replaced, declared(&[StatusCode::CREATED]).unwrap_or(status)))
}

/// The schema of the entity in a request's body, if there is one.
fn given<'d>(
    document: &'d Value,
    operation: &'d Value,
    decision: &OperationDecision,
) -> Option<Schema<'d>> {
    let body = operation.get("requestBody")?;
    let body = match body.get("$ref").and_then(Value::as_str) {
        Some(reference) => Schema::by_reference(document, reference)?.value,
        None => body,
    };
    body.get("content")?
        .as_object()?
        .iter()
        // A JSON Patch is a list of steps; what they lead to is checked as a whole.
        .filter(|(media_type, _)| !media_type.starts_with("application/json-patch"))
        .find_map(|(_, content)| content.get("schema"))
        .and_then(|schema| Schema::new(document, schema).at(decision.request.as_deref()?))
}

fn writable(given: Schema<'_>, entity: Schema<'_>) -> Vec<String> {
    let kept = entity.properties();
    let offered = given.properties().into_iter().filter(|(name, property)| {
        let is_read_only = kept.get(name).is_some_and(|kept| kept.flag("readOnly"));
        is_read_only && !property.flag("readOnly")
    });
    offered.map(|(name, _)| name.to_owned()).collect()
}

fn plan(
    document: &Value,
    name: &str,
    state: &StateDecision,
    entity: Schema<'_>,
    check: Check,
    projections: &mut Projections,
) -> EntityPlan {
    let key = state.key.iter().map(|field| {
        let schema = field.at.as_deref().and_then(|at| entity.at(at));
        KeyField {
            parameter: field.parameter.clone(),
            kind: field.kind,
            at: field.at.clone(),
            bounds: schema.map(Bounds::new).unwrap_or_default(),
            form: form_of(schema),
        }
    });
    let fill = state.fill.iter();
    EntityPlan {
        key: key.collect(),
        fill: fill
            .map(|(at, what)| Filled::new(entity, at, what.clone()))
            .collect(),
        complete: projections.get(entity, Direction::Stored),
        protect: projections.get(entity, Direction::Request),
        nullable: nullable(entity),
        check,
        item: item(document, name, state),
    }
}

fn nullable(entity: Schema<'_>) -> Vec<String> {
    let properties = entity.properties();
    let may_be_null = |name: &&str| {
        properties.get(name).is_some_and(|property| {
            let mut all = std::iter::once(*property).chain(property.alternatives());
            all.any(|one| one.types().contains(&"null"))
        })
    };
    let names = entity.required().into_iter().filter(may_be_null);
    names.map(str::to_owned).collect()
}

fn form_of(schema: Option<Schema<'_>>) -> KeyForm {
    let types = schema.map(Schema::types).unwrap_or_default();
    if types.contains(&"string") {
        KeyForm::Text
    } else if types.contains(&"integer") || types.contains(&"number") {
        KeyForm::Number
    } else {
        KeyForm::AsItIs
    }
}

/// The path of one entity: that of an operation whose whole key is in its path.
fn item(document: &Value, name: &str, state: &StateDecision) -> Option<String> {
    let paths = document.get("paths")?.as_object()?;
    let is_item = |operation: &Value| {
        let Ok(Some(decision)) = read_decision(operation) else {
            return None;
        };
        let by_path = decision.key.len() == state.key.len()
            && decision
                .key
                .iter()
                .all(|source| matches!(source, KeySource::Parameter(_)));
        (decision.state == name && by_path && decision.action != Action::List).then_some(decision)
    };
    // That of `get`, where there are several.
    let mut found = None;
    for (path, operations) in paths {
        for operation in operations
            .as_object()
            .into_iter()
            .flatten()
            .map(|(_, operation)| operation)
        {
            if let Some(decision) = is_item(operation) {
                let path = named(path, &decision, state);
                if decision.action == Action::Get {
                    return Some(path);
                }
                found.get_or_insert(path);
            }
        }
    }
    found
}

/// A path template with the names of the state's own key.
fn named(path: &str, decision: &OperationDecision, state: &StateDecision) -> String {
    let mut path = path.to_owned();
    for (source, field) in decision.key.iter().zip(&state.key) {
        if let KeySource::Parameter(name) = source {
            path = path.replacen(
                &format!("{{{name}}}"),
                &format!("{{{}}}", field.parameter),
                1,
            );
        }
    }
    path
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
        let now_ms = crate::takeover::now_ms();
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

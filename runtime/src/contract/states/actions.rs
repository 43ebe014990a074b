//! The operations on a state, for each type of state.

use std::{borrow::Cow, marker::PhantomData, sync::Arc};

use axum::{
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use futures_util::future::BoxFuture;
use serde_json::{Map, Value};

use super::{
    change::Change,
    decision::{Action, KeySource, Missing},
    made::{TRIES_MAX, make},
    operation::{StateOperation, StateRequest},
    page::{Outcome, cursor},
    patch::PatchLimits,
    success::Success,
};
use crate::{
    call::{Call, CallFuture, Halt, Why},
    contract::Entity,
    crud::SEGMENT,
    key::{KeyReader, key_text, key_values, parse_key, push_part},
    mailbox::RETRY_AFTER_SECONDS,
    node::Node,
    problem::Problem,
    select::{Found, LOOKED_AT_MAX, select},
    store::Store,
    writer::Phase,
};

/// Between peers: the parts of the key that the first node made.
const MADE: HeaderName = HeaderName::from_static("memgen-made-key");
/// On the answer to a request with a made key: it is taken, another one may do.
const TAKEN: HeaderName = HeaderName::from_static("memgen-key-taken");

/// What a type of state does.
pub(crate) trait StateActions: Send + Sync {
    /// The fields of its key.
    fn key_fields(&self) -> &'static [&'static str];

    /// Carries out an operation.
    fn perform(
        &self,
        action: Action,
        operation: Arc<StateOperation>,
        request: StateRequest,
    ) -> CallFuture;

    /// Whether there is an entity with this key.
    fn look(
        &self,
        node: &Arc<Node>,
        key: &[String],
    ) -> BoxFuture<'static, Result<Existence, Problem>>;
}

/// Whether an entity exists.
pub(crate) enum Existence {
    /// A peer said so, just now.
    Known(bool),
    /// Memory says so, whenever it is asked.
    InMemory(Box<dyn Fn() -> bool + Send>),
}

impl Existence {
    fn holds(&self) -> bool {
        match self {
            Self::Known(exists) => *exists,
            Self::InMemory(look) => look(),
        }
    }
}

/// What the type `S` does.
pub(crate) fn actions<S: Entity>() -> Arc<dyn StateActions> {
    Arc::new(Actions::<S>(PhantomData))
}

struct Actions<S>(PhantomData<fn() -> S>);

impl<S: Entity> StateActions for Actions<S> {
    fn key_fields(&self) -> &'static [&'static str] {
        S::DEFINITION.key_fields
    }

    fn perform(
        &self,
        action: Action,
        operation: Arc<StateOperation>,
        request: StateRequest,
    ) -> CallFuture {
        match action {
            Action::Create => Box::pin(create::<S>(operation, request)),
            Action::List => Box::pin(list::<S>(operation, request)),
            Action::Get => Box::pin(get::<S>(operation, request)),
            Action::Replace => Box::pin(replace::<S>(operation, request)),
            Action::Update => Box::pin(update::<S>(operation, request)),
            Action::Delete => Box::pin(delete::<S>(operation, request)),
        }
    }

    fn look(
        &self,
        node: &Arc<Node>,
        key: &[String],
    ) -> BoxFuture<'static, Result<Existence, Problem>> {
        let (node, key) = (node.clone(), read_key::<S>(key));
        Box::pin(async move {
            // A key that can't be is one that nothing has.
            let Ok(key) = key else {
                return Ok(Existence::Known(false));
            };
            if let Some(here) = node.partitions::<S>()?.locate(&key).here()
                && *here.phase.borrow() == Phase::Serving
            {
                return Ok(Existence::InMemory(Box::new(move || {
                    here.memory.with(&key, |_| ()).is_some()
                })));
            }
            let found = Store::<S>::of(node.clone()).get(&key).await?;
            Ok(Existence::Known(found.is_some()))
        })
    }
}

async fn get<S: Entity>(
    operation: Arc<StateOperation>,
    request: StateRequest,
) -> Result<Response, Halt> {
    let StateRequest {
        call, parameters, ..
    } = request;
    let key = key_of::<S>(&operation, &call, &parameters, &Value::Null)?;
    let media_type = operation.success.media_type(&call.parts().headers)?;
    let keyed = call.enter_at::<S>(key).await?;
    let found = keyed
        .look(|_, state| operation.success.entity(&media_type, state.value()))
        .await?;
    Ok(found.ok_or_else(|| operation.not_found(&key_text::<S>(keyed.key())))?)
}

async fn delete<S: Entity>(
    operation: Arc<StateOperation>,
    request: StateRequest,
) -> Result<Response, Halt> {
    let StateRequest {
        call, parameters, ..
    } = request;
    let key = key_of::<S>(&operation, &call, &parameters, &Value::Null)?;
    let media_type = operation.success.media_type(&call.parts().headers)?;
    let keyed = call.enter_at::<S>(key).await?;
    keyed
        .command(move |entry| match entry.remove() {
            Some(state) => operation.success.entity(&media_type, state.value()),
            None => operation
                .not_found(&key_text::<S>(entry.key()))
                .into_response(),
        })
        .await
}

async fn replace<S: Entity>(
    operation: Arc<StateOperation>,
    request: StateRequest,
) -> Result<Response, Halt> {
    let StateRequest {
        call,
        parameters,
        body,
        ..
    } = request;
    let given = operation.entity_in(body.as_ref())?;
    let key = key_of::<S>(&operation, &call, &parameters, &given)?;
    let location = operation.location(&call.parts().uri, &parts_of::<S>(&key));
    let headers = &call.parts().headers;
    let replaced = operation.success.media_type(headers)?;
    let created = operation.created.media_type(headers)?;
    let keyed = call.enter_at::<S>(key).await?;
    keyed
        .command(move |entry| {
            let before = match entry
                .get()
                .map(|state| serde_json::to_value(state.value()))
                .transpose()
            {
                Ok(before) => before,
                Err(error) => return Problem::internal(error).into_response(),
            };
            let mut entity = given;
            let (success, media_type) = match &before {
                None if operation.missing == Missing::NotFound => {
                    return operation
                        .not_found(&key_text::<S>(entry.key()))
                        .into_response();
                }
                None => (&operation.created, &created),
                Some(before) => {
                    operation.incoming.keep(before, &mut entity);
                    (&operation.success, &replaced)
                }
            };
            match build::<S>(&operation, before.as_ref(), entity, entry.key()) {
                Ok(state) => {
                    let response = success.entity(media_type, state.value());
                    entry.insert(state);
                    let location = location.filter(|_| before.is_none());
                    with_location(response, success, location)
                }
                Err(problem) => problem.into_response(),
            }
        })
        .await
}

async fn update<S: Entity>(
    operation: Arc<StateOperation>,
    request: StateRequest,
) -> Result<Response, Halt> {
    let StateRequest {
        call,
        parameters,
        body,
        is_json_patch,
    } = request;
    let given = if is_json_patch {
        body.unwrap_or(Value::Null)
    } else {
        operation.entity_in(body.as_ref())?
    };
    let limits = &call.node().config.limits;
    let limits = PatchLimits {
        bytes_max: limits.body_bytes_max,
        depth_max: limits.json_depth_max,
    };
    let key = key_of::<S>(&operation, &call, &parameters, &given)?;
    let change = if is_json_patch {
        Change::Patch(given, limits)
    } else {
        Change::Merge(given)
    };
    let media_type = operation.success.media_type(&call.parts().headers)?;
    let keyed = call.enter_at::<S>(key).await?;
    keyed
        .command(move |entry| {
            let Some(state) = entry.get() else {
                return operation
                    .not_found(&key_text::<S>(entry.key()))
                    .into_response();
            };
            let changed = changed(&operation, state, entry.key(), &change);
            match changed {
                Ok(state) => {
                    let response = operation.success.entity(&media_type, state.value());
                    entry.insert(state);
                    response
                }
                Err(problem) => problem.into_response(),
            }
        })
        .await
}

async fn create<S: Entity>(
    operation: Arc<StateOperation>,
    request: StateRequest,
) -> Result<Response, Halt> {
    let StateRequest {
        mut call,
        parameters,
        body,
        ..
    } = request;
    let given = operation.entity_in(body.as_ref())?;
    let parts = operation.given_key(&parameters, &given)?;
    if parts.iter().all(Option::is_some) {
        let key = parts.into_iter().flatten().collect();
        return create_at::<S>(operation, call, key, given, false).await;
    }
    // The node that was asked first makes the key, so that it knows to whom the request belongs.
    if call.is_from_peer()
        && let Some(made) = call.parts().headers.get(&MADE)
    {
        let made = made.to_str().map_err(Problem::internal)?.to_owned();
        let mut made = made.split(',').map(|part| {
            let part = percent_encoding::percent_decode_str(part);
            part.decode_utf8_lossy().into_owned()
        });
        let key = parts
            .into_iter()
            .filter_map(|part| part.or_else(|| made.next()));
        let key = key.collect();
        return create_at::<S>(operation, call, key, given, true).await;
    }
    // Read before the call is made again from it.
    call.body().await?;
    let seed = operation.seed(&call.parts().headers, &call.parts().uri);
    for attempt in 0..TRIES_MAX {
        let mut made = Vec::new();
        let fields = operation.entity.key.iter();
        let key = parts.iter().zip(fields).map(|(part, field)| {
            part.clone().unwrap_or_else(|| {
                let text = make(field.kind, &field.bounds, seed, attempt);
                let encoded = percent_encoding::utf8_percent_encode(&text, SEGMENT);
                made.push(encoded.to_string());
                text
            })
        });
        let key = key.collect();
        let mut attempted = call.again();
        let value = HeaderValue::from_str(&made.join(",")).map_err(Problem::internal)?;
        attempted.parts_mut().headers.insert(MADE, value);
        let answer = create_at::<S>(operation.clone(), attempted, key, given.clone(), true).await;
        let response = match answer {
            Ok(response) => response,
            Err(Halt(Why::Answered(response))) => *response,
            // The call as it came, which has no key yet.
            Err(Halt(Why::Moved(_))) => return Err(Halt(Why::Moved(call))),
        };
        if !response.headers().contains_key(&TAKEN) {
            return Ok(response);
        }
    }
    Err(Problem::unavailable("no key was found that is not taken", RETRY_AFTER_SECONDS).into())
}

/// Makes the entity with this key, at its owner.
async fn create_at<S: Entity>(
    operation: Arc<StateOperation>,
    call: Call,
    parts: Vec<String>,
    given: Value,
    is_made: bool,
) -> Result<Response, Halt> {
    let bytes_max = call.node().config.limits.key_bytes_max;
    if parts.iter().map(String::len).sum::<usize>() > bytes_max {
        return Err(Problem::invalid(format!("the key is longer than {bytes_max} bytes")).into());
    }
    let key =
        read_key::<S>(&parts).map_err(|error| Problem::invalid(format!("the key: {error}")))?;
    let shown: Vec<_> = parts
        .iter()
        .map(|part| Cow::Borrowed(part.as_str()))
        .collect();
    let location = operation.location(&call.parts().uri, &shown);
    let media_type = operation.success.media_type(&call.parts().headers)?;
    let mut keyed = call.enter_at::<S>(key).await?;
    let parent = match &operation.parent {
        None => None,
        Some(parent) => {
            let above = &parts[..parent.actions.key_fields().len().min(parts.len())];
            let looked = parent.actions.look(keyed.call().node(), above).await?;
            Some((
                looked,
                format!("there is no {} `{}`", parent.state, above.join("/")),
            ))
        }
    };
    keyed
        .command(move |entry| {
            if let Some((parent, missing)) = parent
                && !parent.holds()
            {
                return Problem::not_found(missing).into_response();
            }
            if entry.get().is_some() {
                let what = format!(
                    "there is a {} `{}` already",
                    operation.state,
                    key_text::<S>(entry.key())
                );
                // A made key that is taken is no outcome of the request, so it must not be remembered as one.
                return if is_made {
                    Problem::unavailable(what, RETRY_AFTER_SECONDS)
                        .with_header(TAKEN, "true")
                        .into_response()
                } else {
                    Problem::conflict(what).into_response()
                };
            }
            match build::<S>(&operation, None, given, entry.key()) {
                Ok(state) => {
                    let response = operation.success.entity(&media_type, state.value());
                    entry.insert(state);
                    with_location(response, &operation.success, location)
                }
                Err(problem) => problem.into_response(),
            }
        })
        .await
}

async fn list<S: Entity>(
    operation: Arc<StateOperation>,
    request: StateRequest,
) -> Result<Response, Halt> {
    let StateRequest {
        call, parameters, ..
    } = request;
    let above: Vec<_> = operation.given_key(&parameters, &Value::Null)?;
    let above: Vec<String> = above.into_iter().flatten().collect();
    let mut within = String::new();
    for part in &above {
        push_part(&mut within, part);
        within.push('/');
    }
    let left = &operation.entity.key[above.len()..];
    let limits = &call.node().config.limits;
    let paging = &operation.paging;
    let mut page = paging.page(&parameters, limits, within.clone(), left.len(), S::FIELD)?;
    if !within.is_empty() {
        let smallest: Vec<&str> = left.iter().map(|field| field.kind.smallest()).collect();
        let from = format!("{within}{}", smallest.join("/"));
        parse_key::<S>(&from)?;
        page.selection.from = Some(from);
    }
    if let Some(after) = &page.selection.after {
        parse_key::<S>(after).map_err(|error| paging.wrong_cursor(&error.what))?;
    }
    let headers = &call.parts().headers;
    let media_type = operation.success.media_type(headers)?;
    let selected = select::<S>(call.node(), headers, &page.selection).await?;
    if page.is_beyond() && selected.total > LOOKED_AT_MAX as u64 {
        return Err(paging.too_far().into());
    }
    let entities = selected.items.iter().map(|item| match &item.entity {
        Found::Here(stored) => serde_json::to_value(stored.state.value()),
        Found::There(json) => serde_json::from_str::<S>(json.get())
            .and_then(|state| serde_json::to_value(state.value())),
    });
    let entities: Vec<Value> = entities
        .collect::<Result<_, _>>()
        .map_err(Problem::internal)?;
    let outcome = Outcome {
        count: entities.len(),
        next: selected.next.map(|key| cursor(&within, left.len(), &key)),
        total: selected.total,
    };
    let mut link = None;
    let mut response = operation.success.list(&media_type, entities, |whole| {
        let base = StateOperation::base(headers);
        link = paging.describe(whole, &page, &outcome, &base, &call.parts().uri);
    });
    // Also where the document does not say so: there may be no other way to the next page.
    if let Some(link) = link
        && let Ok(value) = HeaderValue::try_from(format!("<{link}>; rel=\"next\""))
    {
        response.headers_mut().insert(header::LINK, value);
    }
    Ok(response)
}

/// The state that a whole entity in a request leaves.
fn build<S: Entity>(
    operation: &StateOperation,
    before: Option<&Value>,
    mut entity: Value,
    key: &S::Key,
) -> Result<S, Problem> {
    let given = operation.is_other.then(|| entity.clone());
    operation.put_key(&mut entity, &key_values::<S>(key))?;
    operation.fill(before, &mut entity);
    operation.entity.complete.apply(&mut entity);
    if let Some(given) = given {
        // What a request may say is not always what an entity may be.
        (operation.entity.check)(&entity).or_else(|problem| operation.fault(&problem, &given))?;
    }
    read_entity(entity, key)
}

/// The state that a change leaves.
fn changed<S: Entity>(
    operation: &StateOperation,
    state: &S,
    key: &S::Key,
    change: &Change,
) -> Result<S, Problem> {
    let mut before = serde_json::to_value(state.value()).map_err(Problem::internal)?;
    // What the document demands since the entity was written is not for this request to bring.
    operation.entity.complete.apply(&mut before);
    let mut entity = change.apply(operation, &before)?;
    operation.put_key(&mut entity, &key_values::<S>(key))?;
    operation.fill(Some(&before), &mut entity);
    let check = &operation.entity.check;
    if let Err(problem) = check(&entity) {
        // Only the request's own fault is one.
        if check(&before).is_ok() {
            return Err(operation.in_request(problem));
        }
    }
    read_entity(entity, key)
}

fn read_entity<S: Entity>(entity: Value, key: &S::Key) -> Result<S, Problem> {
    let value = serde_json::from_value(entity)
        .map_err(|error| Problem::invalid(format!("the body: {error}")))?;
    Ok(S::with(key.clone(), value))
}

fn with_location(mut response: Response, success: &Success, location: Option<String>) -> Response {
    if success.has_location
        && let Some(location) = location
        && let Ok(value) = HeaderValue::try_from(location)
        && response.status() != StatusCode::INTERNAL_SERVER_ERROR
    {
        response.headers_mut().insert(header::LOCATION, value);
    }
    response
}

/// The key of a request on an entity that exists: from the path, or from the entity in the body.
fn key_of<S: Entity>(
    operation: &StateOperation,
    call: &Call,
    parameters: &Map<String, Value>,
    entity: &Value,
) -> Result<S::Key, Halt> {
    let parts = operation.given_key(parameters, entity)?;
    let parts = parts.into_iter().zip(&operation.key).map(|(part, source)| {
        part.ok_or_else(|| match source {
            KeySource::Body(at) => operation.invalid_at(at, "is missing"),
            KeySource::Parameter(_) | KeySource::Server(_) => {
                Problem::internal("the key of an entity is neither in the path nor in the body")
            }
        })
    });
    let parts: Vec<String> = parts.collect::<Result<_, Problem>>()?;
    let bytes_max = call.node().config.limits.key_bytes_max;
    if parts.iter().map(String::len).sum::<usize>() > bytes_max {
        return Err(Problem::uri_too_long(bytes_max as u64).into());
    }
    Ok(read_key::<S>(&parts)?)
}

fn read_key<S: Entity>(parts: &[String]) -> Result<S::Key, crate::key::KeyError> {
    let parts: Vec<_> = parts
        .iter()
        .map(|part| Cow::Borrowed(part.as_str()))
        .collect();
    S::read_key(&mut KeyReader::new(&parts))
}

/// The parts of a key as texts.
fn parts_of<S: Entity>(key: &S::Key) -> Vec<Cow<'static, str>> {
    let values = key_values::<S>(key);
    let texts = values
        .iter()
        .map(|value| super::operation::part_text(value).unwrap_or_default());
    texts.map(Cow::Owned).collect()
}

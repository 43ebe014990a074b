//! What nodes offer each other besides forwarded requests: entities by key, their part of a selection or of a feed, and what transactions need.
//!
//! These routes exist on the peer listener only.

use std::sync::Arc;

use axum::{
    http::{Method, StatusCode},
    response::IntoResponse,
};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{
    call::{Call, CallFuture, Halt},
    crud::SEGMENT,
    feed::relay,
    key::parse_key,
    partitions::Here,
    problem::Problem,
    route::Endpoint,
    select,
    state::State,
    stream, tx,
};

/// The path of an entity for peers.
pub(crate) fn entity_path(topic: &str, key: &str) -> String {
    format!(
        "/_memgen/{topic}/entity/{}",
        percent_encoding::utf8_percent_encode(key, SEGMENT)
    )
}

/// The path of a node's part of a selection.
pub(crate) fn select_path(topic: &str) -> String {
    format!("/_memgen/{topic}/select")
}

/// The routes for one state.
pub(crate) fn endpoints<S: State>() -> Vec<Endpoint> {
    let topic = S::DEFINITION.topic;
    let entity = format!("/_memgen/{topic}/entity/{{key}}");
    vec![
        Endpoint::new(Method::GET, entity.clone(), get::<S>),
        Endpoint::new(Method::PUT, entity.clone(), put::<S>),
        Endpoint::new(Method::DELETE, entity, delete::<S>),
        Endpoint::new(Method::POST, tx::template(topic), tx::receive::<S>),
        Endpoint::new(Method::POST, stream::template(topic), stream::receive::<S>),
        Endpoint::new(Method::POST, select_path(topic), select::part::<S>),
        Endpoint::new(Method::POST, relay::path(topic), relay::serve::<S>),
    ]
}

/// How long a message to the owner of a partition may be: whatever one transaction may write, its keys and its answer fit in, and far more than events that are handed over.
const MESSAGE_BYTES_MAX: usize = 64 << 20;

/// What a peer says to the owner of the partition that the path names, and that owner, if it is here.
pub(crate) async fn message<S: State, M: DeserializeOwned>(
    call: &mut Call,
) -> Result<(M, Option<Arc<Here<S>>>), Halt> {
    let number = call
        .template()
        .value(call.parts().uri.path(), "partition")?;
    let number: Option<usize> = number.parse().ok();
    let body = call.body_within(MESSAGE_BYTES_MAX).await?;
    let message = serde_json::from_slice(&body)
        .map_err(|error| Problem::bad_request(format!("no message: {error}")))?;
    let slots = &call.node().partitions::<S>()?.slots;
    let here = number.and_then(|number| slots.get(number)?.here());
    Ok((message, here))
}

fn key<S: State>(call: &Call) -> Result<S::Key, Halt> {
    let text = call.template().value(call.parts().uri.path(), "key")?;
    Ok(parse_key::<S>(&text)?)
}

fn get<S: State>(call: Call) -> CallFuture {
    Box::pin(async move {
        let key = key::<S>(&call)?;
        let keyed = call.enter_at::<S>(key).await?;
        keyed
            .read(|_, state| axum::Json(state).into_response())
            .await
    })
}

fn put<S: State>(call: Call) -> CallFuture {
    Box::pin(async move {
        let key = key::<S>(&call)?;
        let mut keyed = call.enter_at::<S>(key).await?;
        let value: Value = keyed.call().read_json(None).await?;
        let state: S = serde_json::from_value(value).map_err(Problem::internal)?;
        keyed
            .command(move |entry| {
                entry.insert(state);
                StatusCode::NO_CONTENT.into_response()
            })
            .await
    })
}

fn delete<S: State>(call: Call) -> CallFuture {
    Box::pin(async move {
        let key = key::<S>(&call)?;
        let keyed = call.enter_at::<S>(key).await?;
        keyed
            .command(|entry| {
                entry.remove();
                StatusCode::NO_CONTENT.into_response()
            })
            .await
    })
}

//! The states of a service for handlers that belong to no single key.

use std::sync::Arc;

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header, request::Parts},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http_body_util::BodyExt;
use tokio::time::Instant;

use crate::{
    ambient::unique,
    call::patiently,
    cluster::{Pause, Peer, Unanswered},
    conditional::{Conditions, Etag},
    entry::{Edit, Entry},
    forward::Envelope,
    idempotency,
    key::key_text,
    mailbox::{Command, Job, RETRY_AFTER_SECONDS, Refusal},
    memory::{Memory, Stored},
    node::{Context, Node},
    partitions::{Here, Owner, Slot, just},
    peer_api::entity_path,
    problem::{Problem, Result},
    select::{Found, Selection, select},
    state::State,
};

/// How often an update at another node is tried again because someone else changed the entity meanwhile.
const TRIES_MAX: usize = 64;

/// All entities of a state, wherever their owners are. An argument of this type can stand in a `#[handler]`.
///
/// Each operation is atomic on its key, and durable when its future is ready. The futures borrow nothing, so many can run side by side. Several operations are not atomic together: write sequences
/// that are right when they run again.
///
/// ```
/// use memgen::prelude::*;
///
/// #[stateful_api(path = "/account", partitions = 4, crud(get, put))]
/// #[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
/// pub struct Account {
///     #[key]
///     pub id: u32,
///     pub balance: i64,
/// }
///
/// #[handler(post, "/deposit/{id}/{amount}")]
/// async fn deposit(accounts: Store<Account>, id: u32, amount: i64) -> Result<Json<i64>> {
///     let balance = accounts
///         .update(id, move |entry| {
///             let account = entry.or_insert_with(|| Account { id, balance: 0 });
///             account.balance += amount;
///             Ok(account.balance)
///         })
///         .await?;
///     Ok(Json(balance))
/// }
/// # fn main() {}
/// ```
pub struct Store<S: State> {
    node: Arc<Node>,
    state: std::marker::PhantomData<fn() -> S>,
}

impl<S: State> Clone for Store<S> {
    fn clone(&self) -> Self {
        Self {
            node: self.node.clone(),
            state: std::marker::PhantomData,
        }
    }
}

impl<S: State> std::fmt::Debug for Store<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Store<{}>", S::DEFINITION.name)
    }
}

impl<S: State> FromRequestParts<Context> for Store<S> {
    type Rejection = Problem;

    async fn from_request_parts(_: &mut Parts, context: &Context) -> Result<Self> {
        context.0.partitions::<S>()?;
        Ok(Self {
            node: context.0.clone(),
            state: std::marker::PhantomData,
        })
    }
}

impl<S: State> Store<S> {
    /// All entities, as this node finds them.
    #[cfg(feature = "contract")]
    pub(crate) fn of(node: Arc<Node>) -> Self {
        Self {
            node,
            state: std::marker::PhantomData,
        }
    }

    /// The entity with this key.
    ///
    /// # Errors
    /// 503 if its owner can't be reached.
    pub fn get(&self, key: &S::Key) -> BoxFuture<'static, Result<Option<Arc<S>>>> {
        let (store, key) = (self.clone(), key.clone());
        Box::pin(async move {
            let deadline = store.deadline();
            let slot = store.node.partitions::<S>()?.locate(&key);
            let mut pause = Pause::new(deadline);
            loop {
                let got = match slot.owner(deadline).await? {
                    Owner::Here(here) => {
                        let look = |memory: &Memory<S>| {
                            memory.with(&key, |stored| Arc::new(stored.state.clone()))
                        };
                        patiently(deadline, here.read(false, just(&key), look)).await
                    }
                    Owner::Peer(peer) => {
                        let stored = store.fetch(&peer, &key, deadline).await;
                        stored.map(|stored| stored.map(|stored| Arc::new(stored.state)))
                    }
                };
                match got {
                    Ok(found) => return Ok(found),
                    Err(unanswered) => pause.after(unanswered, &slot.cluster).await?,
                }
            }
        })
    }

    /// The entities behind a key, in the order of keys: at most `limit` of them, from all partitions. An empty answer is the end.
    ///
    /// Each partition is seen at a moment of its own.
    ///
    /// # Errors
    /// 503 if an owner can't be reached.
    pub fn list(&self, after: Option<&S::Key>, limit: usize) -> BoxFuture<'static, Result<Vec<S>>> {
        let node = self.node.clone();
        let selection = Selection {
            after: after.map(key_text::<S>),
            limit,
            ..Selection::default()
        };
        Box::pin(async move {
            let selected = select::<S>(&node, &HeaderMap::new(), &selection).await?;
            let entities = selected.items.into_iter().map(|item| match item.entity {
                Found::Here(stored) => Ok(stored.state.clone()),
                Found::There(json) => serde_json::from_str(json.get()).map_err(Problem::internal),
            });
            entities.collect()
        })
    }

    /// Changes, creates or removes the entity with this key, in one step. `change` may run several times, so it must
    /// have no effect but on the entry. If it fails, nothing changes.
    ///
    /// # Errors
    /// What `change` says; 503 if the owner can't be reached or the log does not confirm, 507 if the log is full.
    pub fn update<R, F>(&self, key: S::Key, change: F) -> BoxFuture<'static, Result<R>>
    where
        R: Send + 'static,
        F: Fn(&mut Entry<S>) -> Result<R> + Send + Sync + 'static,
    {
        let store = self.clone();
        Box::pin(async move {
            crate::key::parse_key::<S>(&key_text::<S>(&key))
                .map_err(|error| Problem::invalid(format!("the key: {error}")))?;
            let deadline = store.deadline();
            let slot = store.node.partitions::<S>()?.locate(&key);
            let change = Arc::new(change);
            let mut pause = Pause::new(deadline);
            loop {
                let updated = match slot.owner(deadline).await? {
                    Owner::Here(here) => {
                        store
                            .update_here(&here, key.clone(), change.clone(), deadline)
                            .await
                    }
                    Owner::Peer(peer) => {
                        store
                            .update_there(slot, &peer, &key, &*change, deadline)
                            .await
                    }
                };
                match updated {
                    Ok(value) => return Ok(value),
                    Err(unanswered) => pause.after(unanswered, &slot.cluster).await?,
                }
            }
        })
    }

    /// Removes the entity with this key. Removing one that does not exist is right too.
    ///
    /// # Errors
    /// As [`update`](Self::update).
    pub fn remove(&self, key: S::Key) -> BoxFuture<'static, Result<()>> {
        self.update(key, |entry| {
            entry.remove();
            Ok(())
        })
    }

    fn deadline(&self) -> Instant {
        Instant::now() + self.node.config.limits.request_timeout
    }

    async fn update_here<R, F>(
        &self,
        here: &Here<S>,
        key: S::Key,
        change: Arc<F>,
        deadline: Instant,
    ) -> Result<R, Unanswered>
    where
        R: Send + 'static,
        F: Fn(&mut Entry<S>) -> Result<R> + Send + Sync + 'static,
    {
        let (sender, mut outcome) = tokio::sync::oneshot::channel();
        let asked = here.mailbox.ask(|slot| {
            Job::Command(Command {
                key,
                conditions: Conditions::default(),
                request: None,
                run: Box::new(move |entry| match change(entry) {
                    Ok(_) if !entry.emits().is_empty() => {
                        let problem = emits_nothing();
                        let status = problem.status();
                        drop(sender.send(Err(problem)));
                        status.into_response()
                    }
                    Ok(value) => {
                        drop(sender.send(Ok(value)));
                        StatusCode::NO_CONTENT.into_response()
                    }
                    Err(problem) => {
                        let status = problem.status();
                        drop(sender.send(Err(problem)));
                        status.into_response()
                    }
                }),
                slot,
            })
        });
        let answer = match patiently(deadline, asked).await {
            // It has no id, so it must not be asked for again.
            Err(Unanswered::Unknown) => return Err(Problem::from(Refusal::Unknown).into()),
            answer => answer?,
        };
        let outcome = outcome
            .try_recv()
            .map_err(|_| Problem::internal("an update panicked"))?;
        // A change that the writer refused (too long, another key) did not happen whatever the function said.
        if outcome.is_ok() && !answer.response.status().is_success() {
            return Err(Problem::new(answer.response.status(), "the change was refused").into());
        }
        Ok(outcome?)
    }

    async fn update_there<R, F>(
        &self,
        slot: &Slot<S>,
        peer: &Peer,
        key: &S::Key,
        change: &F,
        deadline: Instant,
    ) -> Result<R, Unanswered>
    where
        F: Fn(&mut Entry<S>) -> Result<R>,
    {
        for _ in 0..TRIES_MAX {
            let before = self.fetch(peer, key, deadline).await?.map(Arc::new);
            let version = before.as_ref().map(|stored| Etag(stored.etag));
            let mut entry = Entry::new(key.clone(), before);
            let value = change(&mut entry)?;
            let (_, edit, emits) = entry.into_parts();
            if !emits.is_empty() {
                return Err(emits_nothing().into());
            }
            let write = match edit {
                Edit::Untouched => return Ok(value),
                Edit::Removed => Write::new(key, version, None)?,
                Edit::Set(state) => Write::new(key, version, Some(state))?,
            };
            if self.write(slot, key, &write, deadline).await? {
                return Ok(value);
            }
        }
        Err(Problem::unavailable("too many others change this entity", RETRY_AFTER_SECONDS).into())
    }

    async fn fetch(
        &self,
        peer: &Peer,
        key: &S::Key,
        deadline: Instant,
    ) -> Result<Option<Stored<S>>, Unanswered> {
        let target = entity_path(S::DEFINITION.topic, &key_text::<S>(key));
        let cluster = &self.node.cluster;
        let envelope = Envelope::own(deadline);
        let (get, peers) = (Method::GET, &cluster.peers);
        let asked = peers.call(peer, get, &target, &[], Bytes::new(), envelope);
        let response = cluster.while_there(peer, asked).await?;
        match response.status() {
            StatusCode::OK => {
                // The owner's tag, since only the log's own bytes have it.
                let tag = response
                    .headers()
                    .get(header::ETAG)
                    .and_then(|tag| tag.to_str().ok());
                let etag = tag.and_then(Etag::parse).ok_or_else(|| {
                    Problem::internal("a peer answered with an entity without its tag")
                })?;
                let body = response.into_body().collect().await;
                let body = body.map_err(|_| Unanswered::Unknown)?;
                let mut stored = Stored::decode(&body.to_bytes()).map_err(Problem::internal)?;
                stored.etag = etag.0;
                Ok(Some(stored))
            }
            StatusCode::NOT_FOUND => Ok(None),
            _ => Err(refused(&response).into()),
        }
    }

    /// Writes, wherever the owner is by now, if the entity still has the version that the write is based upon: whether it had. It happens once, however often it
    /// has to be sent.
    async fn write(
        &self,
        slot: &Slot<S>,
        key: &S::Key,
        write: &Write<S>,
        deadline: Instant,
    ) -> Result<bool, Problem> {
        let mut pause = Pause::new(deadline);
        loop {
            let status = match slot.owner(deadline).await? {
                Owner::Here(here) => {
                    let asked = here.mailbox.ask(|slot| write.command(key, slot));
                    let answer = patiently(deadline, asked).await;
                    answer.map(|answer| answer.response.status())
                }
                Owner::Peer(peer) => {
                    let envelope = Envelope {
                        request: Some(&write.id),
                        ..Envelope::own(deadline)
                    };
                    let json = HeaderValue::from_static("application/json");
                    let headers = [write.condition.clone(), (header::CONTENT_TYPE, json)];
                    let cluster = &self.node.cluster;
                    let (method, body) = (write.method.clone(), write.body.clone());
                    let (peers, target) = (&cluster.peers, &write.target);
                    let asked = peers.call(&peer, method, target, &headers, body, envelope);
                    let answered = cluster.while_there(&peer, asked).await;
                    answered.map(|response| response.status())
                }
            };
            match status {
                Ok(status) if status.is_success() => return Ok(true),
                Ok(StatusCode::PRECONDITION_FAILED) => return Ok(false),
                Ok(status) => {
                    return Err(Problem::new(status, "the owner of the entity refused")
                        .with_retry_after(RETRY_AFTER_SECONDS));
                }
                Err(unanswered) => pause.after(unanswered, &slot.cluster).await?,
            }
        }
    }
}

/// A write that is based upon a version, in the form in which it can be sent again and again.
struct Write<S: State> {
    id: String,
    method: Method,
    target: String,
    condition: (HeaderName, HeaderValue),
    body: Bytes,
    state: Option<S>,
}

impl<S: State> Write<S> {
    fn new(key: &S::Key, version: Option<Etag>, state: Option<S>) -> Result<Self> {
        let body = match &state {
            Some(state) => serde_json::to_vec(state).map_err(Problem::internal)?,
            None => Vec::new(),
        };
        Ok(Self {
            id: unique().to_string(),
            method: if state.is_some() {
                Method::PUT
            } else {
                Method::DELETE
            },
            target: entity_path(S::DEFINITION.topic, &key_text::<S>(key)),
            condition: match version {
                Some(etag) => (header::IF_MATCH, etag.header_value()),
                None => (header::IF_NONE_MATCH, HeaderValue::from_static("*")),
            },
            body: Bytes::from(body),
            state,
        })
    }

    /// The same write as a peer would have done it.
    fn command(&self, key: &S::Key, slot: crate::mailbox::Slot<crate::mailbox::Answer>) -> Job<S> {
        let (name, value) = self.condition.clone();
        let conditions = Conditions::parse(&HeaderMap::from_iter([(name, value)]));
        let uri = Uri::try_from(&self.target).unwrap_or_default();
        let state = self.state.clone();
        Job::Command(Command {
            key: key.clone(),
            conditions: conditions.unwrap_or_default(),
            request: Some(idempotency::routed_id(
                &self.id,
                &self.method,
                &uri,
                &self.body,
            )),
            run: Box::new(move |entry| {
                match state {
                    Some(state) => {
                        entry.insert(state);
                    }
                    None => drop(entry.remove()),
                }
                StatusCode::NO_CONTENT.into_response()
            }),
            slot,
        })
    }
}

/// A `Store` may be far from the entity that it changes, and has no part in what is kept there.
fn emits_nothing() -> Problem {
    Problem::internal(
        "an update by a `Store` can't emit: commands, transactions and functions of events can",
    )
}

fn refused(response: &Response) -> Problem {
    Problem::new(response.status(), "the owner of the entity refused")
        .with_retry_after(RETRY_AFTER_SECONDS)
}

//! The owners of all partitions, in this node or at its peers.

use std::{
    collections::BTreeMap,
    ops::ControlFlow,
    sync::{Arc, OnceLock, Weak},
    time::Duration,
};

use axum::{
    Json,
    http::{HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures_util::future::{BoxFuture, try_join_all};
use http_body_util::BodyExt;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;
use tokio::{
    sync::oneshot,
    time::{Instant, timeout_at},
};

use super::{
    Attempt, Commit, Committed, Fate, KeyRange, Lost, Others, Part, Prepare, Range, TxId, Version,
    Vote, Was, handle::KEYS_MAX,
};
use crate::{
    call::{Call, CallFuture, patiently},
    cluster::{Cluster, Pause, Peer, Unanswered},
    forward::{self, Envelope},
    key::{key_text, parse_key},
    log::TopicPartition,
    mailbox::{Job, RETRY_AFTER_SECONDS, Refusal, TxJob},
    memory::{Memory, Stored},
    node::Node,
    partitions::{Here, Owner, Partitions, Slot, just},
    problem::Problem,
    state::State,
};

/// How long one message may take. Whoever sends it tries again, or gives up.
const MESSAGE_MAX: Duration = Duration::from_secs(5);

/// How long one message may be: whatever one transaction may write, its keys and its answer fit in.
const MESSAGE_BYTES_MAX: usize = 64 << 20;

/// What nodes say to the owners of partitions.
#[derive(Serialize, Deserialize)]
enum Message {
    Prepare(Box<Prepare>),
    Finish(TxId, Attempt),
    Abort(TxId, Attempt),
    Ask(TxId, Attempt),
    Commit(Box<Commit>),
    /// The entity with this key, and which one it is.
    Read(String),
    /// The entities in this range.
    List(Range),
    /// Whether what was read is still so, and nobody is about to write it.
    AreStill(Part),
}

/// The path of a partition for transactions.
fn path(partition: &TopicPartition) -> String {
    format!("/_memgen/{}/tx/{}", partition.topic, partition.partition)
}

/// The template of these paths.
pub(crate) fn template(topic: &str) -> String {
    format!("/_memgen/{topic}/tx/{{partition}}")
}

/// The partitions of some state, without its type.
pub(crate) trait Places: Send + Sync {
    /// Who owns a partition, once somebody does.
    fn place(&self, number: u32, deadline: Instant) -> BoxFuture<'_, Result<Place, Lost>>;

    /// Whether what was read in a partition is still so, and nobody is about to write it.
    fn are_still<'a>(
        &'a self,
        number: u32,
        part: &'a Part,
        deadline: Instant,
    ) -> BoxFuture<'a, Result<bool, Problem>>;
}

/// Where a partition is.
pub(crate) enum Place {
    Here(Box<dyn Inbox>),
    Peer(Peer),
}

/// The queue of a writer, without its type.
pub(crate) trait Inbox: Send + Sync {
    fn send(&self, job: TxJob) -> Result<(), Refusal>;
}

impl<S: State> Inbox for crate::mailbox::Mailbox<S> {
    fn send(&self, job: TxJob) -> Result<(), Refusal> {
        Self::send(self, Job::Tx(job))
    }
}

impl<S: State> Places for Partitions<S> {
    fn place(&self, number: u32, deadline: Instant) -> BoxFuture<'_, Result<Place, Lost>> {
        Box::pin(async move {
            let slot = self.slots.get(number as usize);
            let slot = slot.ok_or_else(|| Lost(format!("there is no partition {number}")))?;
            match slot.owner(deadline).await {
                Ok(Owner::Here(here)) => Ok(Place::Here(Box::new(here.mailbox.clone()))),
                Ok(Owner::Peer(peer)) => Ok(Place::Peer(peer)),
                Err(problem) => Err(Lost(problem.to_string())),
            }
        })
    }

    fn are_still<'a>(
        &'a self,
        number: u32,
        part: &'a Part,
        deadline: Instant,
    ) -> BoxFuture<'a, Result<bool, Problem>> {
        Box::pin(async move {
            let slot = self.slots.get(number as usize);
            let slot = slot.ok_or_else(|| Problem::internal("there is no such partition"))?;
            let mut pause = Pause::new(deadline);
            loop {
                let answered = match slot.owner(deadline).await? {
                    Owner::Here(here) => are_still_here(&here, part, deadline).await,
                    Owner::Peer(peer) => {
                        let message = Message::AreStill(part.clone());
                        post(&slot.cluster, &peer, &slot.partition, &message, deadline).await
                    }
                };
                match answered {
                    Ok(are_still) => return Ok(are_still),
                    Err(unanswered) => pause.after(unanswered, &slot.cluster).await?,
                }
            }
        })
    }
}

async fn are_still_here<S: State>(
    here: &Here<S>,
    part: &Part,
    deadline: Instant,
) -> Result<bool, Unanswered> {
    let Part { reads, lists, .. } = part;
    let ranges = lists.iter().map(|list| list.range.typed::<S>());
    let ranges: Result<Vec<_>, _> = ranges.collect();
    let ranges = ranges.map_err(Problem::internal)?;
    let keys = reads.iter().map(|read| parse_key::<S>(&read.key));
    let keys: Result<Vec<_>, _> = keys.collect();
    let keys = keys.map_err(Problem::internal)?;
    let looked = here.read(false, None, |memory| {
        let all_there = ranges.iter().zip(lists).all(|(range, list)| {
            !memory.held().is_held_within(range) && comings(here, memory) == list.comings
        });
        all_there
            && keys.iter().zip(reads).all(|(key, read)| {
                // First this: see `Held`.
                !memory.held().is_held(key) && look(here, memory, key).0 == read.was
            })
    });
    patiently(deadline, looked).await
}

/// The last time that a key of the partition has come or gone.
fn comings<S: State>(here: &Here<S>, memory: &Memory<S>) -> Version {
    Version {
        incarnation: here.incarnation,
        number: memory.comings(),
    }
}

/// What memory has at a key, and how to know that it was so all the while.
fn look<S: State>(
    here: &Here<S>,
    memory: &Memory<S>,
    key: &S::Key,
) -> (Was, Option<Arc<Stored<S>>>) {
    // First this: a key that goes while it is looked for is counted before it does.
    let comings = comings(here, memory);
    match memory.get(key) {
        Some(stored) => (Was::There(version(here, &stored)), Some(stored)),
        None => (Was::Absent(comings), None),
    }
}

fn version<S: State>(here: &Here<S>, stored: &Stored<S>) -> Version {
    Version {
        incarnation: here.incarnation,
        number: stored.version(),
    }
}

/// The entities in a range, and the last time that a key of the partition had come or gone.
pub(super) type Listed<S> = (Version, Vec<(Version, Arc<Stored<S>>)>);

/// One more than a transaction can have is enough to say so.
fn list_here<S: State>(here: &Here<S>, memory: &Memory<S>, range: &KeyRange<S::Key>) -> Listed<S> {
    let comings = comings(here, memory);
    let mut listed = Vec::new();
    memory.walk(range.start(), |key, stored| {
        if listed.len() > KEYS_MAX {
            return ControlFlow::Break(());
        }
        if range.place(key)? {
            listed.push((version(here, &stored), stored));
        }
        ControlFlow::Continue(())
    });
    (comings, listed)
}

/// The entities in a range, as its owner has them, in the order of their keys.
pub(super) async fn list<S: State>(
    slot: &Slot<S>,
    range: &Range,
    deadline: Instant,
) -> Result<Listed<S>, Problem> {
    let keys = range.typed::<S>().map_err(Problem::internal)?;
    let mut pause = Pause::new(deadline);
    loop {
        let answered = match slot.owner(deadline).await? {
            Owner::Here(here) => {
                let look = |memory: &Memory<S>| list_here(&here, memory, &keys);
                patiently(deadline, here.read(false, keys.bounds(), look)).await
            }
            Owner::Peer(peer) => {
                let message = Message::List(range.clone());
                let (cluster, at) = (&slot.cluster, &slot.partition);
                let found = post::<(Version, Vec<(Version, Box<RawValue>)>)>(
                    cluster, &peer, at, &message, deadline,
                );
                match found.await {
                    Ok((comings, found)) => {
                        let listed = found.into_iter().map(|(version, value)| {
                            let stored = Stored::decode(value.get().as_bytes())?;
                            Ok((version, Arc::new(stored)))
                        });
                        let listed: serde_json::Result<Vec<_>> = listed.collect();
                        listed
                            .map(|listed| (comings, listed))
                            .map_err(|error| Problem::internal(error).into())
                    }
                    Err(unanswered) => Err(unanswered),
                }
            }
        };
        match answered {
            Ok(found) => return Ok(found),
            Err(unanswered) => pause.after(unanswered, &slot.cluster).await?,
        }
    }
}

/// Whether all of what was read is still so: then there was a moment at which all of it was so at once.
pub(super) async fn are_still(
    node: &Node,
    parts: &BTreeMap<TopicPartition, Part>,
    deadline: Instant,
) -> Result<bool, Problem> {
    let reads = parts.values().map(|part| part.reads.len());
    let lists = parts.values().map(|part| part.lists.len());
    // One key is read at one moment. What is in a range is looked at one after the other.
    if reads.sum::<usize>() < 2 && lists.sum::<usize>() == 0 {
        return Ok(true);
    }
    let asked = parts.iter().map(async |(at, part)| {
        let places = node.places(&at.topic).map_err(Problem::internal)?;
        places.are_still(at.partition, part, deadline).await
    });
    let answered = try_join_all(asked).await?;
    Ok(answered.into_iter().all(|are_still| are_still))
}

/// The entity with a key, as its owner has it, and which one that is.
pub(super) async fn read<S: State>(
    slot: &Slot<S>,
    key: &S::Key,
    deadline: Instant,
) -> Result<(Was, Option<Arc<Stored<S>>>), Problem> {
    let mut pause = Pause::new(deadline);
    loop {
        let answered = match slot.owner(deadline).await? {
            Owner::Here(here) => {
                let look = |memory: &Memory<S>| look(&here, memory, key);
                patiently(deadline, here.read(false, just(key), look)).await
            }
            Owner::Peer(peer) => {
                let message = Message::Read(key_text::<S>(key));
                let (cluster, at) = (&slot.cluster, &slot.partition);
                let found =
                    post::<(Was, Option<Box<RawValue>>)>(cluster, &peer, at, &message, deadline);
                match found.await {
                    Ok((was, value)) => value
                        .map(|value| Stored::decode(value.get().as_bytes()).map(Arc::new))
                        .transpose()
                        .map(|stored| (was, stored))
                        .map_err(|error| Problem::internal(error).into()),
                    Err(unanswered) => Err(unanswered),
                }
            }
        };
        match answered {
            Ok(found) => return Ok(found),
            Err(unanswered) => pause.after(unanswered, &slot.cluster).await?,
        }
    }
}

/// What came of asking home to commit.
pub(super) enum Asked {
    Answered(Committed),
    /// Nothing happened, and it may be asked again.
    Undone,
    /// Nobody knows.
    Unknown,
    /// Nothing happened, and nothing will.
    Refused(Problem),
}

/// Asks home to commit.
pub(super) async fn commit(
    node: &Node,
    home: &TopicPartition,
    commit: Commit,
    deadline: Instant,
) -> Asked {
    let places = match node.places(&home.topic) {
        Ok(places) => places,
        Err(lost) => return Asked::Refused(Problem::internal(lost)),
    };
    match places.place(home.partition, deadline).await {
        Err(_) => Asked::Undone,
        Ok(Place::Here(inbox)) => {
            let (slot, outcome) = oneshot::channel();
            let sent = inbox.send(TxJob::Commit(Box::new(commit), slot));
            let outcome = match sent {
                Ok(()) => timeout_at(deadline, outcome).await,
                Err(refusal) => Ok(Ok(Err(refusal))),
            };
            match outcome {
                Ok(Ok(Ok(committed))) => Asked::Answered(committed),
                Ok(Ok(Err(refusal @ Refusal::Full(_)))) => Asked::Refused(refusal.into()),
                Ok(Ok(Err(_))) => Asked::Undone,
                Ok(Err(_)) | Err(_) => Asked::Unknown,
            }
        }
        Ok(Place::Peer(peer)) => {
            let message = Message::Commit(Box::new(commit));
            match post(&node.cluster, &peer, home, &message, deadline).await {
                Ok(committed) => Asked::Answered(committed),
                Err(Unanswered::Moved | Unanswered::Undone(_)) => Asked::Undone,
                Err(Unanswered::Unknown) => Asked::Unknown,
                Err(Unanswered::Refused(problem)) => Asked::Refused(problem),
            }
        }
    }
}

/// Tells the owner of a partition, at a peer, and reads its answer.
async fn post<T: DeserializeOwned>(
    cluster: &Cluster,
    peer: &Peer,
    to: &TopicPartition,
    message: &Message,
    deadline: Instant,
) -> Result<T, Unanswered> {
    let body = serde_json::to_vec(message).map_err(Problem::internal)?;
    let headers = [(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    )];
    let target = path(to);
    let asked = cluster.peers.call(
        peer,
        Method::POST,
        &target,
        &headers,
        Bytes::from(body),
        Envelope::own(deadline),
    );
    let response = cluster.while_there(peer, asked).await?;
    let status = response.status();
    if status == StatusCode::SERVICE_UNAVAILABLE {
        let problem = Problem::unavailable("the owner is busy", RETRY_AFTER_SECONDS);
        return Err(Unanswered::Undone(problem));
    }
    if status == StatusCode::GATEWAY_TIMEOUT {
        return Err(Unanswered::Unknown);
    }
    if !status.is_success() {
        let what = format!("the owner of {to} refuses");
        return Err(Unanswered::Refused(Problem::new(status, what)));
    }
    let body = response.into_body().collect().await;
    let body = body.map_err(|_| Unanswered::Unknown)?.to_bytes();
    serde_json::from_slice(&body).map_err(|error| Problem::internal(error).into())
}

/// The way of a node to the owners of all partitions.
#[derive(Clone, Default)]
pub(crate) struct Courier {
    /// The writers are there before the node is.
    node: Arc<OnceLock<Weak<Node>>>,
}

impl Courier {
    /// From now on it knows the way.
    pub(crate) fn know(&self, node: &Arc<Node>) {
        // A node is made once.
        drop(self.node.set(Arc::downgrade(node)));
    }

    fn tell<T: DeserializeOwned + Send + 'static>(
        &self,
        to: &TopicPartition,
        message: Message,
    ) -> BoxFuture<'static, Result<T, Lost>> {
        let node = self.node.get().and_then(Weak::upgrade);
        let to = to.clone();
        Box::pin(async move {
            let Some(node) = node else {
                return Err(Lost("this node is not ready".to_owned()));
            };
            let deadline = Instant::now() + MESSAGE_MAX;
            let places = node.places(&to.topic)?;
            match places.place(to.partition, deadline).await? {
                Place::Here(inbox) => {
                    let response = deliver(&*inbox, message, deadline).await;
                    let status = response.status();
                    if !status.is_success() {
                        return Err(Lost(format!("the writer of {to} answers {status}")));
                    }
                    let body = response.into_body().collect().await;
                    let body = body.map_err(|error| Lost(error.to_string()))?.to_bytes();
                    serde_json::from_slice(&body).map_err(|error| Lost(error.to_string()))
                }
                Place::Peer(peer) => post(&node.cluster, &peer, &to, &message, deadline)
                    .await
                    .map_err(|unanswered| lost(&to, unanswered)),
            }
        })
    }
}

fn lost(to: &TopicPartition, unanswered: Unanswered) -> Lost {
    Lost(match unanswered {
        Unanswered::Moved => format!("{to} has another owner"),
        Unanswered::Unknown => format!("the owner of {to} does not answer"),
        Unanswered::Undone(problem) | Unanswered::Refused(problem) => problem.to_string(),
    })
}

impl Others for Courier {
    fn prepare(
        &self,
        to: &TopicPartition,
        prepare: Prepare,
    ) -> BoxFuture<'static, Result<Vote, Lost>> {
        self.tell(to, Message::Prepare(Box::new(prepare)))
    }

    fn finish(
        &self,
        to: &TopicPartition,
        id: TxId,
        attempt: Attempt,
    ) -> BoxFuture<'static, Result<(), Lost>> {
        self.tell(to, Message::Finish(id, attempt))
    }

    fn abort(
        &self,
        to: &TopicPartition,
        id: TxId,
        attempt: Attempt,
    ) -> BoxFuture<'static, Result<(), Lost>> {
        self.tell(to, Message::Abort(id, attempt))
    }

    fn ask(
        &self,
        home: &TopicPartition,
        id: TxId,
        attempt: Attempt,
    ) -> BoxFuture<'static, Result<Fate, Lost>> {
        self.tell(home, Message::Ask(id, attempt))
    }
}

/// Gives a message to the writer of its partition, and its answer back.
async fn deliver(inbox: &dyn Inbox, message: Message, deadline: Instant) -> Response {
    async fn answer<T: Serialize>(
        inbox: &dyn Inbox,
        deadline: Instant,
        job: impl FnOnce(crate::mailbox::Slot<T>) -> TxJob,
    ) -> Response {
        let (slot, outcome) = tokio::sync::oneshot::channel();
        if let Err(refusal) = inbox.send(job(slot)) {
            return refused(refusal);
        }
        match timeout_at(deadline, outcome).await {
            Ok(Ok(Ok(answer))) => Json(answer).into_response(),
            Ok(Ok(Err(refusal))) => refused(refusal),
            // Nobody knows.
            Ok(Err(_)) | Err(_) => StatusCode::GATEWAY_TIMEOUT.into_response(),
        }
    }
    match message {
        Message::Prepare(prepare) => {
            answer(inbox, deadline, |slot| TxJob::Prepare(prepare, slot)).await
        }
        Message::Finish(id, attempt) => {
            let job = |slot| TxJob::Finish(id, attempt, Some(slot));
            answer(inbox, deadline, job).await
        }
        Message::Commit(commit) => {
            answer(inbox, deadline, |slot| TxJob::Commit(commit, slot)).await
        }
        Message::Read(_) | Message::List(_) | Message::AreStill(_) => {
            Problem::internal("a read is no job of the writer").into_response()
        }
        Message::Ask(id, attempt) => {
            answer(inbox, deadline, |slot| TxJob::Ask(id, attempt, slot)).await
        }
        Message::Abort(id, attempt) => match inbox.send(TxJob::Abort(id, attempt)) {
            Ok(()) => Json(()).into_response(),
            Err(refusal) => refused(refusal),
        },
    }
}

fn refused(refusal: Refusal) -> Response {
    match refusal {
        Refusal::Moved => forward::moved(),
        other => Problem::from(other).into_response(),
    }
}

/// Answers a peer.
pub(crate) fn receive<S: State>(mut call: Call) -> CallFuture {
    Box::pin(async move {
        let number = call
            .template()
            .value(call.parts().uri.path(), "partition")?;
        let number: Option<usize> = number.parse().ok();
        let body = call.body_within(MESSAGE_BYTES_MAX).await?;
        let message: Message = serde_json::from_slice(&body)
            .map_err(|error| Problem::bad_request(format!("no message: {error}")))?;
        let node = call.node().clone();
        let slots = &node.partitions::<S>()?.slots;
        let here = number.and_then(|number| slots.get(number)?.here());
        let Some(here) = here else {
            return Ok(forward::moved());
        };
        let deadline = call.deadline();
        let unanswered = match message {
            Message::Read(key) => {
                let key = parse_key::<S>(&key)?;
                let look = |memory: &Memory<S>| look(&here, memory, &key);
                match patiently(deadline, here.read(false, just(&key), look)).await {
                    Ok((was, stored)) => {
                        let state = stored.as_ref().map(|stored| &stored.state);
                        return Ok(Json((was, state)).into_response());
                    }
                    Err(unanswered) => unanswered,
                }
            }
            Message::List(range) => {
                let keys = range.typed::<S>()?;
                let look = |memory: &Memory<S>| list_here(&here, memory, &keys);
                match patiently(deadline, here.read(false, keys.bounds(), look)).await {
                    Ok((comings, listed)) => {
                        let listed = listed.iter();
                        let listed = listed.map(|(version, stored)| (version, &stored.state));
                        let listed: Vec<_> = listed.collect();
                        return Ok(Json((comings, listed)).into_response());
                    }
                    Err(unanswered) => unanswered,
                }
            }
            Message::AreStill(part) => match are_still_here(&here, &part, deadline).await {
                Ok(are_still) => return Ok(Json(are_still).into_response()),
                Err(unanswered) => unanswered,
            },
            message => return Ok(deliver(&here.mailbox, message, deadline).await),
        };
        match unanswered {
            Unanswered::Moved | Unanswered::Unknown => Ok(forward::moved()),
            Unanswered::Undone(problem) | Unanswered::Refused(problem) => Err(problem.into()),
        }
    })
}

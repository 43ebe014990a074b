//! What is said to the owners of partitions, in this node or at its peers, and what they answer.

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock, Weak},
    time::Duration,
};

use axum::{
    Json,
    http::{HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures_util::future::{BoxFuture, join_all};
use http_body_util::BodyExt;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::{
    sync::oneshot,
    time::{Instant, timeout_at},
};

use super::{
    Attempt, Claim, Commit, Committed, Fate, Lost, Others, Part, Poll, Prepare, Range, TxId, Vote,
    places::{Inbox, Place, whereabouts},
    reading::{are_still_here, list_here, look},
};
use crate::{
    ambient::spawn,
    call::{Call, CallFuture, patiently},
    cluster::{Cluster, Peer, Unanswered},
    forward::{self, Envelope},
    key::parse_key,
    log::TopicPartition,
    mailbox::{RETRY_AFTER_SECONDS, Refusal, Slot, TxJob},
    memory::Memory,
    node::Node,
    partitions::just,
    peer_api,
    problem::Problem,
    state::State,
};

/// How long one message may take. Whoever sends it tries again, or gives up.
const MESSAGE_MAX: Duration = Duration::from_secs(5);

/// How long claims may take. They are worth no more.
const CLAIMING_MAX: Duration = Duration::from_millis(200);

/// What nodes say to the owners of partitions.
#[derive(Serialize, Deserialize)]
pub(super) enum Message {
    Prepare(Box<Prepare>),
    Poll(Poll),
    Finish(TxId, Attempt),
    Abort(TxId, Attempt),
    Ask(TxId, Attempt),
    Commit(Arc<Commit>),
    /// Others are to leave it these keys for a moment.
    Claim(Claim),
    /// It needs what it has claimed no more.
    Release(TxId),
    /// The entity with this key, and which one it is.
    Read(String),
    /// The entities in this range.
    List(Range),
    /// Whether what was read is still so, and nobody is about to write it.
    AreStill(Part),
}

/// For the fuzzer.
#[cfg(feature = "fuzzing")]
pub(crate) fn message_again(bytes: &[u8]) -> crate::fuzzing::Again {
    crate::fuzzing::json::<Message>(bytes)
}

/// The path of a partition for transactions.
pub(super) fn path(partition: &TopicPartition) -> String {
    format!("/_memgen/{}/tx/{}", partition.topic, partition.partition)
}

/// The template of these paths.
pub(crate) fn template(topic: &str) -> String {
    format!("/_memgen/{topic}/tx/{{partition}}")
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
    commit: &Arc<Commit>,
    deadline: Instant,
) -> Asked {
    let places = match node.places(&home.topic) {
        Ok(places) => places,
        Err(lost) => return Asked::Refused(Problem::internal(lost)),
    };
    match whereabouts(&**places, home, deadline).await {
        Err(_) => Asked::Undone,
        Ok(Place::Here(inbox)) => {
            let (slot, outcome) = oneshot::channel();
            let sent = inbox.send(TxJob::Commit(commit.clone(), slot));
            let outcome = match sent {
                Ok(()) => timeout_at(deadline, outcome).await,
                Err(refusal) => Ok(Ok(Err(refusal))),
            };
            match outcome {
                Ok(Ok(Ok(committed))) => Asked::Answered(committed),
                Ok(Ok(Err(refusal @ Refusal::Full(_)))) => Asked::Refused(refusal.into()),
                Ok(Ok(Err(Refusal::Unknown)) | Err(_)) | Err(_) => Asked::Unknown,
                Ok(Ok(Err(_))) => Asked::Undone,
            }
        }
        Ok(Place::Peer(peer)) => {
            let message = Message::Commit(commit.clone());
            let target = path(home);
            match post(&node.cluster, &peer, &target, home, &message, deadline).await {
                Ok(committed) => Asked::Answered(committed),
                Err(Unanswered::Moved | Unanswered::Undone(_)) => Asked::Undone,
                Err(Unanswered::Unknown) => Asked::Unknown,
                Err(Unanswered::Refused(problem)) => Asked::Refused(problem),
            }
        }
    }
}

/// Tells the owner of a partition, at a peer, and reads its answer. `target` is the path of the partition for such messages.
///
/// In a place of its own, since most of what is asked is in this node.
pub(crate) fn post<'a, T: DeserializeOwned>(
    cluster: &'a Cluster,
    peer: &'a Peer,
    target: &'a str,
    to: &'a TopicPartition,
    message: &'a (impl Serialize + Sync),
    deadline: Instant,
) -> BoxFuture<'a, Result<T, Unanswered>> {
    Box::pin(async move {
        let body = serde_json::to_vec(message).map_err(Problem::internal)?;
        let headers = [(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        )];
        let asked = cluster.peers.call(
            peer,
            Method::POST,
            target,
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
    })
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

    fn tell<P: Send + 'static, T: DeserializeOwned + Send + 'static>(
        &self,
        to: &TopicPartition,
        what: P,
        forms: Forms<P, T>,
    ) -> BoxFuture<'static, Result<T, Lost>> {
        let node = self.node.get().and_then(Weak::upgrade);
        let to = to.clone();
        Box::pin(async move {
            let Some(node) = node else {
                return Err(Lost("this node is not ready".to_owned()));
            };
            tell(&node, &to, what, forms, Instant::now() + MESSAGE_MAX).await
        })
    }
}

/// The same thing as a job of a writer in this process, and as a message to another node.
struct Forms<P, T> {
    job: fn(P, Slot<T>) -> TxJob,
    message: fn(P) -> Message,
}

/// Tells the owner of a partition once, wherever it is, and reads its answer.
async fn tell<P, T: DeserializeOwned>(
    node: &Node,
    to: &TopicPartition,
    what: P,
    forms: Forms<P, T>,
    deadline: Instant,
) -> Result<T, Lost> {
    let places = node.places(&to.topic)?;
    match whereabouts(&**places, to, deadline).await? {
        Place::Here(inbox) => {
            let (slot, outcome) = oneshot::channel();
            let sent = inbox.send((forms.job)(what, slot));
            let outcome = match sent {
                Ok(()) => timeout_at(deadline, outcome).await,
                Err(refusal) => Ok(Ok(Err(refusal))),
            };
            match outcome {
                Ok(Ok(Ok(answer))) => Ok(answer),
                Ok(Ok(Err(refusal))) => Err(Lost(format!(
                    "the writer of {to}: {}",
                    Problem::from(refusal)
                ))),
                Ok(Err(_)) | Err(_) => Err(Lost(format!("the writer of {to} does not answer"))),
            }
        }
        Place::Peer(peer) => {
            let message = (forms.message)(what);
            post(&node.cluster, &peer, &path(to), to, &message, deadline)
                .await
                .map_err(|unanswered| lost(to, unanswered))
        }
    }
}

/// A job that the writer has no answer to: whoever asks knows that it was handed over.
fn unasked(job: TxJob, slot: Slot<()>) -> TxJob {
    drop(slot.send(Ok(())));
    job
}

/// Keys by partition.
pub(super) type Keys = BTreeMap<TopicPartition, Vec<String>>;

/// Asks the owners of keys to leave them to a transaction that has lost so often. Whoever does not hear it in time does not.
pub(super) async fn claim(node: &Node, id: TxId, losses: u32, keys: &Keys, deadline: Instant) {
    let deadline = deadline.min(Instant::now() + CLAIMING_MAX);
    let told = keys.iter().map(async |(to, keys)| {
        let keys = keys.clone();
        let forms = Forms {
            job: TxJob::Claim,
            message: Message::Claim,
        };
        drop(tell(node, to, Claim { id, losses, keys }, forms, deadline).await);
    });
    join_all(told).await;
}

/// Gives back what was claimed. Who does not hear it gives it back after a moment.
pub(super) fn release(node: &Arc<Node>, id: TxId, keys: Keys) {
    if tokio::runtime::Handle::try_current().is_err() {
        // The process ends.
        return;
    }
    for to in keys.into_keys() {
        let node = node.clone();
        spawn(async move {
            let deadline = Instant::now() + CLAIMING_MAX;
            let forms = Forms {
                job: |id, slot| unasked(TxJob::Release(id), slot),
                message: Message::Release,
            };
            drop(tell(&node, &to, id, forms, deadline).await);
        });
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
        let forms = Forms {
            job: TxJob::Prepare,
            message: Message::Prepare,
        };
        self.tell(to, Box::new(prepare), forms)
    }

    fn poll(&self, to: &TopicPartition, poll: Poll) -> BoxFuture<'static, Result<bool, Lost>> {
        let forms = Forms {
            job: TxJob::Poll,
            message: Message::Poll,
        };
        self.tell(to, poll, forms)
    }

    fn finish(
        &self,
        to: &TopicPartition,
        id: TxId,
        attempt: Attempt,
    ) -> BoxFuture<'static, Result<(), Lost>> {
        let forms = Forms {
            job: |(id, attempt), slot| TxJob::Finish(id, attempt, Some(slot)),
            message: |(id, attempt)| Message::Finish(id, attempt),
        };
        self.tell(to, (id, attempt), forms)
    }

    fn abort(
        &self,
        to: &TopicPartition,
        id: TxId,
        attempt: Attempt,
    ) -> BoxFuture<'static, Result<(), Lost>> {
        let forms = Forms {
            job: |(id, attempt), slot| unasked(TxJob::Abort(id, attempt), slot),
            message: |(id, attempt)| Message::Abort(id, attempt),
        };
        self.tell(to, (id, attempt), forms)
    }

    fn ask(
        &self,
        home: &TopicPartition,
        id: TxId,
        attempt: Attempt,
    ) -> BoxFuture<'static, Result<Fate, Lost>> {
        let forms = Forms {
            job: |(id, attempt), slot| TxJob::Ask(id, attempt, slot),
            message: |(id, attempt)| Message::Ask(id, attempt),
        };
        self.tell(home, (id, attempt), forms)
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
        Message::Poll(poll) => answer(inbox, deadline, |slot| TxJob::Poll(poll, slot)).await,
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
        Message::Claim(claim) => answer(inbox, deadline, |slot| TxJob::Claim(claim, slot)).await,
        Message::Abort(id, attempt) => unanswered(inbox.send(TxJob::Abort(id, attempt))),
        Message::Release(id) => unanswered(inbox.send(TxJob::Release(id))),
    }
}

/// The answer to what the writer has no answer to.
fn unanswered(sent: Result<(), Refusal>) -> Response {
    match sent {
        Ok(()) => Json(()).into_response(),
        Err(refusal) => refused(refusal),
    }
}

fn refused(refusal: Refusal) -> Response {
    match refusal {
        Refusal::Moved => forward::moved(),
        Refusal::Unknown => StatusCode::GATEWAY_TIMEOUT.into_response(),
        other => Problem::from(other).into_response(),
    }
}

/// Answers a peer.
pub(crate) fn receive<S: State>(mut call: Call) -> CallFuture {
    Box::pin(async move {
        let (message, here) = peer_api::message::<S, Message>(&mut call).await?;
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

//! The owners of all partitions, in this node or at its peers.

use std::{
    sync::{Arc, OnceLock, Weak},
    time::Duration,
};

use axum::{
    Json,
    http::{HeaderValue, Method, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http_body_util::BodyExt;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::time::{Instant, timeout_at};

use super::{Attempt, Fate, Lost, Others, Prepare, TxId, Vote};
use crate::{
    call::{Call, CallFuture},
    cluster::{Peer, Unanswered},
    forward::{self, Envelope},
    log::TopicPartition,
    mailbox::{Job, Refusal, TxJob},
    node::Node,
    partitions::{Owner, Partitions},
    problem::Problem,
    state::State,
};

/// How long one message may take. Whoever sends it tries again, or gives up.
const MESSAGE_MAX: Duration = Duration::from_secs(5);

/// What owners of partitions say to each other.
#[derive(Serialize, Deserialize)]
enum Message {
    Prepare(Box<Prepare>),
    Finish(TxId, Attempt),
    Abort(TxId, Attempt),
    Ask(TxId, Attempt),
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
            let response = match places.place(to.partition, deadline).await? {
                Place::Here(inbox) => deliver(&*inbox, message, deadline).await,
                Place::Peer(peer) => {
                    let body = serde_json::to_vec(&message);
                    let body = body.map_err(|error| Lost(error.to_string()))?;
                    let json = HeaderValue::from_static("application/json");
                    let headers = [(header::CONTENT_TYPE, json)];
                    let cluster = &node.cluster;
                    let target = path(&to);
                    let asked = cluster.peers.call(
                        &peer,
                        Method::POST,
                        &target,
                        &headers,
                        Bytes::from(body),
                        Envelope::own(deadline),
                    );
                    let answered = cluster.while_there(&peer, asked).await;
                    answered.map_err(|unanswered| lost(&to, unanswered))?
                }
            };
            if !response.status().is_success() {
                return Err(Lost(format!(
                    "the owner of {to} answers {}",
                    response.status()
                )));
            }
            let body = response.into_body().collect().await;
            let body = body.map_err(|error| Lost(error.to_string()))?.to_bytes();
            serde_json::from_slice(&body).map_err(|error| Lost(error.to_string()))
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
            Ok(Err(_)) | Err(_) => refused(Refusal::Moved),
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
        let message: Message = call.read_json(None).await?;
        let node = call.node().clone();
        let slots = &node.partitions::<S>()?.slots;
        let here = number.and_then(|number| slots.get(number)?.here());
        let Some(here) = here else {
            return Ok(forward::moved());
        };
        Ok(deliver(&here.mailbox, message, call.deadline()).await)
    })
}

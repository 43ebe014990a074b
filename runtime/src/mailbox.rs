//! The way to a partition's writer: a bounded queue, and a slot for each reply.

use std::sync::Arc;

use axum::response::Response;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};

use crate::{
    conditional::Conditions,
    entry::Entry,
    problem::Problem,
    record::Offset,
    state::State,
    stream::{Batch, Reached, Taken},
    tx::{Attempt, Claim, Commit, Committed, Fate, Poll, Prepare, TxId, Vote},
};

/// What `Retry-After` says where nothing better is known.
pub(crate) const RETRY_AFTER_SECONDS: u32 = 1;

/// The id that a client gave to a request, and the hash of what it asked for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct RequestId {
    #[serde(with = "crate::tx::text::latin")]
    pub(crate) id: Bytes,
    #[serde(with = "crate::tx::text::hex")]
    pub(crate) fingerprint: u128,
}

/// A request to the writer of one partition.
pub(crate) enum Job<S: State> {
    /// Decide on one key.
    Command(Command<S>),
    /// Prove that this is still the owner: answered once a record that was appended later is acknowledged (rule 8, `strict`).
    Fence(Slot<Offset>),
    /// Ask for the remembered reply of a request that runs outside of the writer.
    Recall(RequestId, Slot<Recall>),
    /// Remember the reply of such a request, unless there is one: whatever is remembered is the answer.
    Remember(RequestId, Bytes, Slot<Answer>),
    /// Such a request ended without a reply.
    Forget(RequestId),
    /// A message of a transaction.
    Tx(TxJob),
    /// Take events in.
    Events(Box<Batch<S>>, Slot<Taken>),
    /// What else concerns streams.
    Stream(StreamJob),
}

/// What concerns streams, whatever the state is.
pub(crate) enum StreamJob {
    /// How far was this input partition taken in?
    Reached(Arc<str>, Slot<Reached>),
    /// What was emitted has arrived, up to this sequence number of the outbox.
    Sent(u64),
}

/// What concerns a transaction over several keys. Each message but the first is about one attempt of its home, and does nothing to others.
pub(crate) enum TxJob {
    /// Home: commit it.
    Commit(Arc<Commit>, Slot<Committed>),
    /// Home: all are prepared, home by the record at this offset.
    Decide(TxId, Attempt, Option<Offset>),
    /// Home: it can't be committed.
    GiveUp(TxId, Attempt, Committed, Why),
    /// Home: what is its fate?
    Ask(TxId, Attempt, Slot<Fate>),
    /// Home: all others have finished.
    Done(TxId, Attempt),
    /// Participant: prepare.
    Prepare(Box<Prepare>, Slot<Vote>),
    /// Participant: is it prepared?
    Poll(Poll, Slot<bool>),
    /// Participant: it is committed.
    Finish(TxId, Attempt, Option<Slot<()>>),
    /// Participant: it is given up.
    Abort(TxId, Attempt),
    /// Others are to leave it some keys for a moment.
    Claim(Claim, Slot<()>),
    /// It needs what it has claimed no more.
    Release(TxId),
}

/// Why home gives an attempt up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// Somebody has refused to prepare it, so that nobody will ever find it prepared everywhere.
    Refused,
    /// Somebody was not heard in time: it may be prepared everywhere.
    Unheard,
}

/// The function of a command.
pub(crate) type Run<S> = Box<dyn FnOnce(&mut Entry<S>) -> Response + Send>;

/// A command on the entity of one key.
pub(crate) struct Command<S: State> {
    pub(crate) key: S::Key,
    pub(crate) conditions: Conditions,
    pub(crate) request: Option<RequestId>,
    pub(crate) run: Run<S>,
    pub(crate) slot: Slot<Answer>,
}

/// What a command came to, durable where it changed something.
pub(crate) struct Answer {
    pub(crate) response: Response,
    /// The record that holds it, if there is one.
    pub(crate) offset: Option<Offset>,
}

/// What is known of a request that runs outside of the writer.
pub(crate) enum Recall {
    /// It was carried out; this is its reply.
    Done(Bytes, Offset),
    /// Another request had this id.
    Differs,
    /// It runs at this moment.
    Running,
    /// It is new, and counts as running from now on.
    New,
}

/// Why a job was not carried out. Nothing of it is in the log, and nothing will be, unless it says otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The queue has as many jobs as it may.
    QueueFull,
    /// There is no room in the log.
    Full(String),
    /// The log does not take writes now.
    Unavailable(String),
    /// It did not happen, for the reason given, and may if it is asked for again: this node owns on.
    Undone(String),
    /// This node is not the owner any more. It can be asked again, at the new owner.
    Moved,
    /// It may be in the log, or come to be. It can be asked for again only under the same id, or if it changes nothing.
    Unknown,
}

pub(crate) type Slot<T> = oneshot::Sender<Result<T, Refusal>>;

/// The sending half of a writer's queue.
pub(crate) struct Mailbox<S: State> {
    jobs: mpsc::Sender<Job<S>>,
}

impl<S: State> Clone for Mailbox<S> {
    fn clone(&self) -> Self {
        Self {
            jobs: self.jobs.clone(),
        }
    }
}

/// A way to a writer's queue that does not keep it open.
pub(crate) struct WeakMailbox<S: State> {
    jobs: mpsc::WeakSender<Job<S>>,
}

impl<S: State> Clone for WeakMailbox<S> {
    fn clone(&self) -> Self {
        Self {
            jobs: self.jobs.clone(),
        }
    }
}

impl<S: State> WeakMailbox<S> {
    /// Hands a job over as soon as there is room. If the writer has ended, there is nothing left to do.
    pub(crate) async fn send_patiently(&self, job: Job<S>) {
        if let Some(jobs) = self.jobs.upgrade() {
            drop(jobs.send(job).await);
        }
    }
}

impl<S: State> Mailbox<S> {
    /// The same, without keeping it open.
    pub(crate) fn downgrade(&self) -> WeakMailbox<S> {
        WeakMailbox {
            jobs: self.jobs.downgrade(),
        }
    }

    /// A queue of at most `queue_max` jobs. Beyond that a request is refused at once (503), so that waiting stays short.
    pub(crate) fn new(queue_max: usize) -> (Self, mpsc::Receiver<Job<S>>) {
        let (jobs, inbox) = mpsc::channel(queue_max);
        (Self { jobs }, inbox)
    }

    /// Hands a job over and waits for its outcome. If it is dropped on the way, nobody knows.
    pub(crate) async fn ask<T>(&self, job: impl FnOnce(Slot<T>) -> Job<S>) -> Result<T, Refusal> {
        let (slot, outcome) = oneshot::channel();
        self.send(job(slot))?;
        outcome.await.unwrap_or(Err(Refusal::Unknown))
    }

    /// Hands a job over.
    pub(crate) fn send(&self, job: Job<S>) -> Result<(), Refusal> {
        self.jobs.try_send(job).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => Refusal::QueueFull,
            mpsc::error::TrySendError::Closed(_) => Refusal::Moved,
        })
    }

    /// Hands a job over as soon as there is room. If the writer has ended, there is nothing left to do.
    pub(crate) async fn send_patiently(&self, job: Job<S>) {
        drop(self.jobs.send(job).await);
    }

    /// Waits until the writer takes no more jobs.
    pub(crate) async fn closed(&self) {
        self.jobs.closed().await;
    }

    /// How many jobs wait.
    pub(crate) fn waiting(&self) -> usize {
        self.jobs.max_capacity() - self.jobs.capacity()
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::QueueFull => Self::unavailable(
                "too many writes wait for this partition",
                RETRY_AFTER_SECONDS,
            ),
            Refusal::Full(what) => Self::insufficient_storage(format!(
                "the log has no room left, so nothing was written; reads go on ({what})"
            )),
            Refusal::Unavailable(what) | Refusal::Undone(what) => {
                Self::unavailable(what, RETRY_AFTER_SECONDS)
            }
            Refusal::Moved => Self::unavailable(
                "the partition of this key is on its way to another node",
                RETRY_AFTER_SECONDS,
            ),
            Refusal::Unknown => Self::unavailable(
                "the log did not confirm in time; the write may still happen. Repeat it with the same \
                 `Idempotency-Key` to be sure that it happens once",
                RETRY_AFTER_SECONDS,
            ),
        }
    }
}

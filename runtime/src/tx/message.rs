//! What homes and participants say to each other.

use std::{any::Any, fmt, sync::Arc};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{Attempt, Floor, Range, TxId};
use crate::{
    log::TopicPartition,
    mailbox::RequestId,
    record::Offset,
    stream::{Emitted, Taking},
};

/// Which value of a key was read. Each process gives each value that it takes into memory another number, so that equal versions mean that nothing was
/// written in between; a number is used again after 2^32 others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Version {
    pub(crate) incarnation: u64,
    pub(crate) number: u32,
}

/// What was found at a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Was {
    /// An entity, of this version.
    There(Version),
    /// None. The number is that of the last time that a key of the partition had come or gone: one that came and went since is not overlooked.
    Absent(Version),
}

impl Was {
    /// The version of the entity, if there was one.
    pub(crate) fn version(self) -> Option<Version> {
        match self {
            Self::There(version) => Some(version),
            Self::Absent(_) => None,
        }
    }
}

/// A key that was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Read {
    pub(crate) key: String,
    pub(crate) was: Was,
}

/// A range of keys that was read. What was in it is among the keys that were read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Listing {
    pub(crate) range: Range,
    /// How many entities there were.
    pub(crate) count: usize,
    /// The last time that a key of the partition had come or gone.
    pub(crate) comings: Version,
}

/// A key that is to be written.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Write {
    pub(crate) key: String,
    /// The new value; none deletes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) value: Option<Box<RawValue>>,
    /// What the value says, an `Arc<Stored<S>>`, if it was read in this process.
    #[serde(skip)]
    pub(crate) stored: Option<Arc<dyn Any + Send + Sync>>,
}

impl fmt::Debug for Write {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.value.as_ref().map(|value| value.get());
        write!(f, "Write({} = {value:?})", self.key)
    }
}

impl Write {
    /// How long the value is.
    pub(crate) fn bytes(&self) -> usize {
        self.value.as_ref().map_or(0, |value| value.get().len())
    }
}

/// What a transaction did in one partition.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Part {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) reads: Vec<Read>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) lists: Vec<Listing>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) writes: Vec<Write>,
}

/// A transaction that has lost so often that others are to leave it these keys of a partition for a moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Claim {
    pub(crate) id: TxId,
    pub(crate) losses: u32,
    pub(crate) keys: Vec<String>,
}

/// What home is asked for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Commit {
    pub(crate) id: TxId,
    /// How often the function has run. Of two that arrive, the later run is meant.
    pub(crate) run: u32,
    /// By which the transaction happens once, however often home is asked (rule 10). One that can't be asked for again needs none.
    pub(crate) request: Option<RequestId>,
    /// What is to be answered when the same request comes again.
    #[serde(with = "super::text::latin")]
    pub(crate) reply: Bytes,
    /// What it did at home.
    pub(crate) own: Part,
    /// What it did elsewhere.
    pub(crate) others: Vec<(TopicPartition, Part)>,
    /// What it emits.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) emitted: Vec<Emitted>,
    /// The event that it is the effect of. It happens only if that was not taken in before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) taking: Option<Taking>,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Committed {
    /// It is committed: this is the record, and the answer that is kept, if one is.
    Yes(Option<Offset>, #[serde(with = "super::text::latin")] Bytes),
    /// Somebody else changed or locks what it read or writes. Nothing happened; the function may run again.
    Conflict(String),
    /// The event that it is the effect of was taken in before.
    Taken,
    /// It can't be committed, however often it is tried.
    Never(Never),
}

/// Why a transaction can't be committed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Never {
    /// Another request had this id.
    Differs,
    /// A record would be longer than the log takes, which is so many bytes.
    TooLong(usize),
    /// What it writes is none of this state.
    Wrong(String),
    /// There is no room for what it writes.
    Full(String),
}

/// Home asks a partition to prepare.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Prepare {
    pub(crate) id: TxId,
    pub(crate) attempt: Attempt,
    pub(crate) home: TopicPartition,
    pub(crate) part: Part,
}

/// A new owner of home asks whether a partition has prepared. From then on that is to prepare nothing any more for those who owned home before.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Poll {
    pub(crate) id: TxId,
    pub(crate) attempt: Attempt,
    pub(crate) home: TopicPartition,
    /// The new owner.
    pub(crate) floor: Floor,
}

/// What a partition says to that.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Vote {
    /// It is prepared, durably.
    Yes,
    /// It is not, and never will be in this attempt.
    No(String),
    /// Nor in any other.
    TooLong(usize),
    /// Nor in any other.
    Wrong(String),
    /// Nor in any other, until there is room.
    Full(String),
}

/// What home says of a transaction that is in doubt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Fate {
    /// It is committed.
    Committed,
    /// It is not decided yet.
    Open,
    /// This attempt will never be committed.
    Aborted,
}

/// Nobody knows whether the message arrived.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Lost(pub(crate) String);

/// The owners of the other partitions, as a writer reaches them.
///
/// Messages may get lost, and arrive late. Each may arrive more than once but [`prepare`](Self::prepare): of that each call makes at most one arrive. A participant keeps no list of what it has
/// finished, so a second one would prepare what is finished already, and home, asked for it, would say that it is committed.
pub(crate) trait Others: Send + Sync {
    fn prepare(
        &self,
        to: &TopicPartition,
        prepare: Prepare,
    ) -> BoxFuture<'static, Result<Vote, Lost>>;

    /// Whether it is prepared: for good, if it is not, and until home says what became of it, if it is.
    fn poll(&self, to: &TopicPartition, poll: Poll) -> BoxFuture<'static, Result<bool, Lost>>;

    /// The transaction is committed. The answer is the confirmation.
    fn finish(
        &self,
        to: &TopicPartition,
        id: TxId,
        attempt: Attempt,
    ) -> BoxFuture<'static, Result<(), Lost>>;

    /// The attempt is given up.
    fn abort(
        &self,
        to: &TopicPartition,
        id: TxId,
        attempt: Attempt,
    ) -> BoxFuture<'static, Result<(), Lost>>;

    /// Asks home.
    fn ask(
        &self,
        home: &TopicPartition,
        id: TxId,
        attempt: Attempt,
    ) -> BoxFuture<'static, Result<Fate, Lost>>;
}

//! Events on their way to the writer of a partition.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{
    mailbox::Run,
    record::{Offset, Record},
    state::State,
};

/// Events of one input partition for one partition of a state, in order.
pub(crate) struct Batch<S: State> {
    /// The input partition, such as `payments/3`.
    pub(crate) input: Arc<str>,
    pub(crate) events: Vec<Event<S>>,
    /// With them, and with those between them that are not for this partition, it has been taken in up to this offset (exclusive).
    pub(crate) next: Offset,
    /// Of all records up to there, in order: where each is, when it was written, and its source and number if it has them.
    pub(crate) seen: Arc<[Seen]>,
    /// Where what can't be taken in goes; none stops the input.
    pub(crate) dead_letters: Option<Arc<str>>,
}

/// A record of an input partition, taken in or passed over.
pub(crate) struct Seen {
    pub(crate) offset: Offset,
    pub(crate) time_ms: u64,
    pub(crate) origin: Option<(Box<str>, u64)>,
}

/// One event.
pub(crate) struct Event<S: State> {
    pub(crate) offset: Offset,
    pub(crate) record: Record,
    pub(crate) work: Work<S>,
}

/// What is to be done with it.
pub(crate) enum Work<S: State> {
    /// This is run on the entity of its key.
    Run(S::Key, Run<S>),
    /// It can't be taken in, for this reason.
    Poison(String),
}

/// How far a batch was taken in, durably.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Taken {
    /// All of it.
    All,
    /// Up to this offset (exclusive): a transaction has its key, for a moment, or a record has no more room.
    Until(Offset),
    /// Up to this offset (exclusive): it can't be taken in.
    Poison(Offset, String),
}

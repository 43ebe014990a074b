//! Records that go to the log together, and the replies that wait for them.

use std::time::Instant;

use axum::response::Response;

use crate::{
    clock::Moment,
    mailbox::{Answer, Refusal, Slot},
    memory::Changes,
    record::{Kind, Offset, Record},
    state::State,
};

/// A group on its way to the log.
pub(super) struct Group<S: State> {
    pub(super) number: u64,
    pub(super) records: Vec<Record>,
    /// What each record changes; none for control records, and for those that repeat what a batch before them has changed.
    pub(super) changes: Vec<Changes<S>>,
    /// Whether a batch is among them, which is to be closed.
    pub(super) batched: bool,
    /// Whether home prepares in it, at the same time as others.
    pub(super) leads: bool,
    /// Whether nobody waits for it.
    pub(super) is_rest: bool,
    pub(super) waiting: Vec<Waiting>,
    pub(super) bytes: usize,
    pub(super) started: Instant,
    /// When it was handed to the log, as far as that matters to the replica.
    pub(super) sent: Option<Moment>,
}

impl<S: State> Group<S> {
    pub(super) fn new(number: u64) -> Self {
        Self {
            number,
            records: Vec::new(),
            changes: Vec::new(),
            batched: false,
            leads: false,
            is_rest: false,
            waiting: Vec::new(),
            bytes: 0,
            started: Instant::now(),
            sent: None,
        }
    }
}

impl<S: State> Group<S> {
    /// Takes away what repeats its last batch, if that is all that follows it. Whoever waits for it waits for the batch, which says as much.
    pub(super) fn split_follow_ups(&mut self) -> Vec<Record> {
        let is_more = |record: &Record| record.kind != Kind::FollowUp;
        let Some(last) = self.records.iter().rposition(is_more) else {
            return Vec::new();
        };
        if self.records[last].kind != Kind::Batch {
            return Vec::new();
        }
        for waiting in &mut self.waiting {
            waiting.after = waiting.after.min(last + 1);
            waiting.record = waiting.record.min(last);
        }
        self.changes.truncate(last + 1);
        self.records.split_off(last + 1)
    }
}

/// A reply that waits for the first `after` records of its group, since it was decided upon them.
pub(super) struct Waiting {
    pub(super) after: usize,
    /// The record whose offset the reply names: the one that it made, or the last one that it was decided upon.
    pub(super) record: usize,
    pub(super) reply: Reply,
}

/// A reply and where it goes.
pub(super) enum Reply {
    Command(Response, Slot<Answer>),
    /// The offset of the first, remembered answer is known already.
    Again(Response, Offset, Slot<Answer>),
    Fence(Slot<Offset>),
    /// Whatever is to happen then. Only what was written has an offset.
    Then(Box<dyn FnOnce(Result<Option<Offset>, Refusal>) + Send>),
}

impl Reply {
    pub(super) fn send(self, offset: Option<Offset>) {
        // A client that went away needs no reply.
        match self {
            Self::Command(response, slot) => drop(slot.send(Ok(Answer { response, offset }))),
            Self::Again(response, offset, slot) => {
                drop(slot.send(Ok(Answer {
                    response,
                    offset: Some(offset),
                })));
            }
            Self::Fence(slot) => drop(slot.send(Ok(offset.unwrap_or_default()))),
            Self::Then(then) => then(Ok(offset)),
        }
    }

    pub(super) fn refuse(self, refusal: Refusal) {
        match self {
            Self::Command(_, slot) | Self::Again(_, _, slot) => drop(slot.send(Err(refusal))),
            Self::Fence(slot) => drop(slot.send(Err(refusal))),
            Self::Then(then) => then(Err(refusal)),
        }
    }
}

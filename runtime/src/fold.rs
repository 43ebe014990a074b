//! The one rule of what counts in a log. Everything that reads a log folds it with this.
//!
//! *A record counts if and only if no record before it carries a higher ballot.* See `log-protocol.md` of the design, rules 1,
//! 5, 6 and 10; the names here are those of its executable model.

mod replies;

use std::collections::BTreeSet;

use bytes::Bytes;

use self::replies::Replies;
pub use self::replies::{Horizon, Remembered};
use crate::{
    batch,
    record::{Ballot, Kind, Offset, ROUTED_ID_PREFIX, Record},
};

/// For how long replies to requests that came by another node are remembered: longer than any of them is repeated, since their time is limited.
const ROUTED_AGE_MS: u64 = 2 * 60 * 1000;

/// The state of the protocol after a prefix of a partition's log. The entities themselves are in `memory`.
#[derive(Debug)]
pub struct Fold {
    ballot: Ballot,
    next: Offset,
    /// Keys whose valid value a stale record may hide from compaction (rule 6).
    dirty: BTreeSet<Bytes>,
    /// Keys of the last batch whose plain record has not been seen (rule 5).
    torn: BTreeSet<Bytes>,
    /// To requests whose id the client chose.
    replies: Replies,
    /// To requests that came by another node and can be repeated by it for a short time only. They are many, and must not crowd out the others.
    routed: Replies,
}

/// What a record does to the entities.
#[derive(Debug, PartialEq, Eq)]
pub enum Effect {
    /// Nothing: it is stale, or a control record.
    Nothing,
    /// One key gets this value, or is deleted.
    One(Bytes, Option<Bytes>),
    /// Several keys change together.
    Batch(Vec<batch::Change>),
}

impl Fold {
    /// The fold of an empty log.
    #[must_use]
    pub fn new(horizon: Horizon) -> Self {
        Self {
            ballot: Ballot::FOREIGN,
            next: 0,
            dirty: BTreeSet::new(),
            torn: BTreeSet::new(),
            replies: Replies::new(horizon),
            routed: Replies::new(Horizon {
                age_ms: horizon.age_ms.min(ROUTED_AGE_MS),
                ..horizon
            }),
        }
    }

    /// The highest ballot seen.
    #[must_use]
    pub fn ballot(&self) -> Ballot {
        self.ballot
    }

    /// Where the log goes on: the offset after the last record seen, or after those that compaction removed behind it.
    #[must_use]
    pub fn next(&self) -> Offset {
        self.next
    }

    /// The records before `next` that were not seen are gone: compaction removed them.
    pub fn skip_to(&mut self, next: Offset) {
        self.next = self.next.max(next);
    }

    /// Takes the next record in.
    ///
    /// # Errors
    /// If a batch that counts can't be read. Such a partition must halt: skipping would lose writes in silence.
    pub fn step(&mut self, offset: Offset, record: &Record) -> Result<Effect, String> {
        self.next = offset + 1;
        if record.ballot < self.ballot {
            match record.kind {
                Kind::Data | Kind::FollowUp => {
                    self.dirty.insert(copy(&record.key));
                }
                // A stale batch that can't be read changes nothing, and its keys' own records follow it or never come.
                Kind::Batch => {
                    let changes = record.value.as_ref().map(batch::decode);
                    for change in changes.and_then(Result::ok).unwrap_or_default() {
                        self.dirty.insert(copy(&change.key));
                    }
                }
                Kind::Barrier | Kind::Reply | Kind::Fence => {}
            }
            return Ok(Effect::Nothing);
        }
        self.ballot = record.ballot;
        let effect = match record.kind {
            Kind::Data | Kind::FollowUp => {
                if record.kind == Kind::FollowUp {
                    self.torn.remove(&record.key);
                }
                self.dirty.remove(&record.key);
                Effect::One(record.key.clone(), record.value.clone())
            }
            Kind::Batch => {
                let value = record.value.as_ref().ok_or("a batch without a value")?;
                let changes = batch::decode(value).map_err(|error| error.to_string())?;
                self.torn = changes.iter().map(|change| copy(&change.key)).collect();
                for change in &changes {
                    self.dirty.remove(&change.key);
                }
                Effect::Batch(changes)
            }
            Kind::Barrier | Kind::Reply | Kind::Fence => Effect::Nothing,
        };
        if let Some(answered) = &record.answered {
            let replies = if is_routed(&answered.id) {
                &mut self.routed
            } else {
                &mut self.replies
            };
            replies.remember(offset, record.timestamp_ms, answered);
        }
        Ok(effect)
    }

    /// The reply to the request with this id, if it was carried out within the horizon before `now_ms`.
    #[must_use]
    pub fn reply(&self, id: &[u8], now_ms: u64) -> Option<&Remembered> {
        let replies = if is_routed(id) {
            &self.routed
        } else {
            &self.replies
        };
        replies.get(id, now_ms)
    }

    /// How many replies are remembered.
    #[must_use]
    pub fn replies(&self) -> usize {
        self.replies.len() + self.routed.len()
    }

    /// The keys whose plain record is missing after a torn batch. A new owner writes them before it serves (rule 5).
    #[must_use]
    pub fn torn(&self) -> &BTreeSet<Bytes> {
        &self.torn
    }

    /// The keys that need repair: the owner appends their current values (rule 6). One stays until a record of it that counts follows.
    #[must_use]
    pub fn dirty(&self) -> &BTreeSet<Bytes> {
        &self.dirty
    }
}

fn is_routed(id: &[u8]) -> bool {
    id.first() == Some(&ROUTED_ID_PREFIX)
}

/// A copy of its own, since the record's bytes are a window on a whole chunk of the log, which it would keep alive.
fn copy(bytes: &Bytes) -> Bytes {
    Bytes::copy_from_slice(bytes)
}

//! The one rule of what counts in a log. Everything that reads a log folds it with this.
//!
//! *A record counts if and only if no record before it carries a higher ballot.* See `log-protocol.md` of the design, rules 1,
//! 5, 6 and 10; the names here are those of its executable model.
//!
//! Where the log may lose its tail ([`Ack::Leader`](crate::log::Ack)), what an owner writes next may have been decided upon what was lost. There a record names its
//! place, and counts only there, right behind a record of the same ballot that counts: so what counts of an owner is a prefix of what it sent.

mod replies;

use std::collections::BTreeSet;

use bytes::Bytes;

use self::replies::Replies;
pub use self::replies::{Horizon, Remembered};
use crate::{
    batch,
    broken::{Bug, is_broken},
    record::{
        Answered, BATCH_KEY, Ballot, Kind, Offset, RESERVED_KEY_PREFIX, ROUTED_ID_PREFIX, Record,
    },
    tx::Pending,
};

/// For how long replies to requests that came by another node are remembered: longer than any of them is repeated, since their time is limited.
const ROUTED_AGE_MS: u64 = 2 * 60 * 1000;

/// The state of the protocol after a prefix of a partition's log. The entities themselves are in `memory`.
#[derive(Clone, Debug)]
pub struct Fold {
    ballot: Ballot,
    /// The highest one before it.
    before: Ballot,
    next: Offset,
    last: Option<Seen>,
    /// Whether `last` counts.
    last_counts: bool,
    /// Keys whose valid value a stale record may hide from compaction (rule 6).
    dirty: BTreeSet<Bytes>,
    /// Keys of the last batch whose plain record has not been seen (rule 5).
    torn: BTreeSet<Bytes>,
    /// Whether the end of the last batch has not been seen: behind all its plain records, the deletion of its own key.
    open: bool,
    /// Transactions that are prepared or decided, and not done.
    pending: Pending,
    /// To requests whose id the client chose.
    replies: Replies,
    /// To requests that came by another node and can be repeated by it for a short time only. They are many, and must not crowd out the others.
    routed: Replies,
}

/// What tells the record at an offset from any other that could be there: a log that was made anew has others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Where it is.
    pub offset: Offset,
    /// Its ballot: no two starts of processes have the same.
    pub ballot: Ballot,
    /// When it was written, as it says itself.
    pub timestamp_ms: u64,
}

impl Seen {
    /// What tells this record.
    #[must_use]
    pub fn of(offset: Offset, record: &Record) -> Self {
        Self {
            offset,
            ballot: record.ballot,
            timestamp_ms: record.timestamp_ms,
        }
    }
}

/// What a snapshot keeps of a fold besides the answers.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) ballot: Ballot,
    pub(crate) next: Offset,
    pub(crate) last: Option<Seen>,
    pub(crate) last_counts: bool,
    pub(crate) dirty: BTreeSet<Bytes>,
    pub(crate) torn: BTreeSet<Bytes>,
    pub(crate) pending: Pending,
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
            before: Ballot::FOREIGN,
            next: 0,
            last: None,
            last_counts: true,
            dirty: BTreeSet::new(),
            torn: BTreeSet::new(),
            open: false,
            pending: Pending::default(),
            replies: Replies::new(horizon),
            routed: Replies::new(Horizon {
                age_ms: horizon.age_ms.min(ROUTED_AGE_MS),
                ..horizon
            }),
        }
    }

    /// The fold that a snapshot kept. The answers follow, oldest first: see [`recall`](Self::recall).
    pub(crate) fn resume(horizon: Horizon, mut kept: Kept) -> Self {
        let open = !kept.torn.is_empty();
        kept.torn.remove(BATCH_KEY);
        Self {
            open,
            ballot: kept.ballot,
            next: kept.next,
            last: kept.last,
            last_counts: kept.last_counts,
            dirty: kept.dirty,
            torn: kept.torn,
            pending: kept.pending,
            ..Self::new(horizon)
        }
    }

    /// Remembers an answer that a snapshot kept.
    pub(crate) fn recall(&mut self, offset: Offset, timestamp_ms: u64, answered: &Answered) {
        let replies = if is_routed(&answered.id) {
            &mut self.routed
        } else {
            &mut self.replies
        };
        replies.remember(offset, timestamp_ms, answered);
    }

    /// All answers that are remembered, with the ids of their requests; oldest first among those of one kind.
    pub(crate) fn answers(&self) -> impl Iterator<Item = (&Bytes, &Remembered)> {
        self.replies.iter().chain(self.routed.iter())
    }

    /// The last record seen.
    #[must_use]
    pub fn last(&self) -> Option<Seen> {
        self.last
    }

    /// The highest ballot seen.
    #[must_use]
    pub fn ballot(&self) -> Ballot {
        self.ballot
    }

    /// Whose tenure came before that of the highest ballot, by what was seen since this fold was begun or resumed.
    pub(crate) fn before(&self) -> Ballot {
        self.before
    }

    /// Whether the last record seen counts.
    pub(crate) fn last_counts(&self) -> bool {
        self.last_counts
    }

    /// Whether the next record counts.
    #[must_use]
    pub fn counts(&self, offset: Offset, record: &Record) -> bool {
        if record.ballot < self.ballot && !is_broken(Bug::AnyBallot) {
            return false;
        }
        let Some(place) = record.place else {
            return true;
        };
        // What compaction has taken from before it is not asked for: it was seen when it was there, and repaired.
        let follows = |last: Seen| {
            last.offset + 1 != offset || (self.last_counts && last.ballot == record.ballot)
        };
        place == offset && self.last.is_none_or(follows)
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
        self.last_counts = self.counts(offset, record);
        self.next = offset + 1;
        self.last = Some(Seen::of(offset, record));
        if !self.last_counts {
            match record.kind {
                Kind::Data | Kind::FollowUp => {
                    self.dirty.insert(copy(&record.key));
                }
                // A stale batch that can't be read changes nothing, and its keys' own records follow it or never come. It is to be
                // closed as one that counts, since it stays in the log otherwise, and what showed that it does not count may not.
                Kind::Batch => {
                    self.dirty.insert(copy(&record.key));
                    let changes = record.value.as_ref().map(batch::decode);
                    for change in changes.and_then(Result::ok).unwrap_or_default() {
                        self.dirty.insert(copy(&change.key));
                    }
                }
                Kind::Barrier | Kind::Reply | Kind::Fence => {}
            }
            return Ok(Effect::Nothing);
        }
        if record.ballot != self.ballot {
            self.before = self.ballot;
            self.ballot = record.ballot;
        }
        let effect = match record.kind {
            Kind::Data | Kind::FollowUp => {
                self.torn.remove(&record.key);
                self.open &= record.key != BATCH_KEY;
                self.dirty.remove(&record.key);
                if self.is_ours(&record.key, record.value.as_ref(), record.schema)? {
                    Effect::Nothing
                } else {
                    Effect::One(record.key.clone(), record.value.clone())
                }
            }
            Kind::Batch => {
                let value = record.value.as_ref().ok_or("a batch without a value")?;
                let mut changes = batch::decode(value).map_err(|error| error.to_string())?;
                self.torn = changes.iter().map(|change| copy(&change.key)).collect();
                self.open = true;
                for change in &changes {
                    self.dirty.remove(&change.key);
                    self.is_ours(&change.key, change.value.as_ref(), record.schema)?;
                }
                changes.retain(|change| !Pending::keeps(&change.key));
                Effect::Batch(changes)
            }
            Kind::Barrier | Kind::Reply | Kind::Fence => Effect::Nothing,
        };
        if let Some(answered) = &record.answered {
            self.recall(offset, record.timestamp_ms, answered);
        }
        Ok(effect)
    }

    /// Takes in the value of a key that is memgen's own. Whether it is one.
    fn is_ours(&mut self, key: &[u8], value: Option<&Bytes>, schema: u64) -> Result<bool, String> {
        if key.first() != Some(&RESERVED_KEY_PREFIX) {
            return Ok(false);
        }
        self.pending.set(key, value, schema)?;
        Ok(Pending::keeps(key) || key == BATCH_KEY)
    }

    /// Transactions that are prepared or decided, and not done.
    pub(crate) fn pending(&self) -> &Pending {
        &self.pending
    }

    pub(crate) fn pending_mut(&mut self) -> &mut Pending {
        &mut self.pending
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

    /// Whether the last batch is to be ended, once all its plain records are there. A batch that stayed in the log would bring back what is deleted after it, when
    /// compaction has taken the deletion.
    #[must_use]
    pub fn has_open_batch(&self) -> bool {
        self.open
    }

    /// The torn keys as a snapshot keeps them: if nothing else says that a batch is open, the batch's own key does.
    pub(crate) fn kept_torn(&self) -> impl Iterator<Item = &[u8]> {
        let open = (self.open && self.torn.is_empty()).then_some(BATCH_KEY);
        self.torn.iter().map(|key| &key[..]).chain(open)
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

//! The one rule of what counts in a log. Everything that reads a log folds it with this.
//!
//! *A record counts if and only if no record before it carries a higher ballot.* See `log-protocol.md` of the design, rules 1,
//! 5, 6 and 10; the names here are those of its executable model.

use std::collections::{BTreeSet, HashMap, VecDeque};

use bytes::Bytes;

use crate::{
    batch,
    record::{Answered, Ballot, Kind, Offset, Record},
};

/// How long, and how many, replies are remembered per partition.
#[derive(Clone, Copy, Debug)]
pub struct Horizon {
    /// Replies older than this are forgotten. Measured between the timestamps of records.
    pub age_ms: u64,
    /// At most this many are kept; the oldest go first.
    pub replies_max: usize,
    /// At most this many bytes of them are kept; the oldest go first.
    pub replies_bytes_max: usize,
}

/// The state of the protocol after a prefix of a partition's log. The entities themselves are in `memory`.
#[derive(Debug)]
pub struct Fold {
    horizon: Horizon,
    ballot: Ballot,
    next: Offset,
    /// Keys whose valid value a stale record may hide from compaction (rule 6).
    dirty: BTreeSet<Bytes>,
    /// Keys of the last batch whose plain record has not been seen (rule 5).
    torn: BTreeSet<Bytes>,
    replies: HashMap<Bytes, Remembered>,
    /// Ids of `replies`, oldest first.
    reply_order: VecDeque<Bytes>,
    replies_bytes: usize,
    newest_ms: u64,
}

/// The remembered reply to a request (rule 10).
#[derive(Clone, Debug)]
pub struct Remembered {
    /// The hash of the request.
    pub fingerprint: u128,
    /// The reply, encoded by the HTTP layer.
    pub reply: Bytes,
    /// Where the record is that carries it.
    pub offset: Offset,
    /// When that record was written.
    pub timestamp_ms: u64,
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
            horizon,
            ballot: Ballot::FOREIGN,
            next: 0,
            dirty: BTreeSet::new(),
            torn: BTreeSet::new(),
            replies: HashMap::new(),
            reply_order: VecDeque::new(),
            replies_bytes: 0,
            newest_ms: 0,
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
            self.remember(offset, record.timestamp_ms, answered);
        }
        Ok(effect)
    }

    /// The reply to the request with this id, if it was carried out within the horizon before `now_ms`.
    #[must_use]
    pub fn reply(&self, id: &[u8], now_ms: u64) -> Option<&Remembered> {
        let found = self.replies.get(id)?;
        (now_ms.saturating_sub(found.timestamp_ms) <= self.horizon.age_ms).then_some(found)
    }

    /// How many replies are remembered.
    #[must_use]
    pub fn replies(&self) -> usize {
        self.replies.len()
    }

    /// Takes the keys whose plain record is missing after a torn batch. A new owner writes them before it serves (rule 5).
    pub fn take_torn(&mut self) -> BTreeSet<Bytes> {
        std::mem::take(&mut self.torn)
    }

    /// Takes the keys that need repair; the owner appends their current values (rule 6).
    pub fn take_dirty(&mut self) -> BTreeSet<Bytes> {
        std::mem::take(&mut self.dirty)
    }

    fn remember(&mut self, offset: Offset, timestamp_ms: u64, answered: &Answered) {
        self.newest_ms = self.newest_ms.max(timestamp_ms);
        let id = copy(&answered.id);
        let remembered = Remembered {
            fingerprint: answered.fingerprint,
            reply: copy(&answered.reply),
            offset,
            timestamp_ms,
        };
        self.replies_bytes += remembered.bytes();
        // An id that comes again is one whose first reply was beyond the horizon: it starts anew, as the youngest.
        if let Some(before) = self.replies.insert(id.clone(), remembered) {
            self.replies_bytes -= before.bytes();
            self.reply_order.retain(|known| *known != id);
        }
        self.reply_order.push_back(id);
        while let Some(oldest) = self.reply_order.front() {
            let age_ms = self
                .newest_ms
                .saturating_sub(self.replies[oldest].timestamp_ms);
            let Horizon {
                age_ms: age_ms_max,
                replies_max,
                replies_bytes_max,
            } = self.horizon;
            if age_ms <= age_ms_max
                && self.replies.len() <= replies_max
                && self.replies_bytes <= replies_bytes_max
            {
                break;
            }
            if let Some(forgotten) = self.replies.remove(oldest) {
                self.replies_bytes -= forgotten.bytes();
            }
            self.reply_order.pop_front();
        }
    }
}

impl Remembered {
    fn bytes(&self) -> usize {
        self.reply.len()
    }
}

/// A copy of its own, since the record's bytes are a window on a whole chunk of the log, which it would keep alive.
fn copy(bytes: &Bytes) -> Bytes {
    Bytes::copy_from_slice(bytes)
}

//! What a partition keeps beside its entities, as the fold knows it: transactions that are prepared or decided and not done yet, what was emitted and has not arrived yet, and how far inputs
//! were taken in.
//!
//! Each is the value of a key of memgen's own, and ends with the deletion of that key. So it survives compaction for as long as it matters, and goes afterwards.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{Attempt, Range, TxId, Write};
use crate::{
    log::TopicPartition,
    mailbox::RequestId,
    record::Ballot,
    stream::{Emitted, Outgoing, Reached, Taking},
};

/// The keys of what is prepared: this, and the transaction's id.
const PREPARED: &str = "\0prepared/";
/// The keys of what is decided.
const DECIDED: &str = "\0decided/";
/// The keys of what is not prepared any more: this, and the home.
const FLOOR: &str = "\0floor/";
/// The keys of what was emitted: this, and the sequence number of the first of it.
const OUTBOX: &str = "\0outbox/";
/// The keys of how far inputs were taken in: this, and the input partition.
const INPUT: &str = "\0input/";

/// The key of what a transaction has prepared in a partition.
pub(crate) fn prepared_key(id: TxId) -> Bytes {
    Bytes::from(format!("{PREPARED}{id}"))
}

/// The key of what was decided at a transaction's home.
pub(crate) fn decided_key(id: TxId) -> Bytes {
    Bytes::from(format!("{DECIDED}{id}"))
}

/// The key of what is not prepared any more for a home.
pub(crate) fn floor_key(home: &TopicPartition) -> Bytes {
    Bytes::from(format!("{FLOOR}{home}"))
}

/// The key of what was emitted together.
pub(crate) fn outbox_key(sequence: u64) -> Bytes {
    Bytes::from(format!("{OUTBOX}{sequence}"))
}

/// The key of how far an input partition was taken in.
pub(crate) fn reached_key(input: &str) -> Bytes {
    Bytes::from(format!("{INPUT}{input}"))
}

/// A transaction that is prepared in this partition: its keys are locked, until it is finished or aborted.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Prepared {
    pub(crate) attempt: Attempt,
    /// Who decides.
    pub(crate) home: TopicPartition,
    /// The keys that it read. The versions were checked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) reads: Vec<String>,
    /// The ranges of keys that it read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) ranges: Vec<Range>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) writes: Vec<Write>,
    /// What home itself prepares beside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) lead: Option<Lead>,
    /// The layout of the values; it is that of the record.
    #[serde(skip)]
    pub(crate) schema: u64,
}

/// What home prepares beside its own part: all that its next owner needs to find out what became of the transaction, and to end it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Lead {
    /// Who else prepares. When all have, it is committed.
    pub(crate) others: Vec<TopicPartition>,
    /// How often its function had run.
    pub(crate) run: u32,
    pub(crate) request: Option<RequestId>,
    #[serde(with = "super::text::latin")]
    pub(crate) reply: Bytes,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) emitted: Vec<Emitted>,
    /// The event that it is the effect of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) taking: Option<Taking>,
}

/// The owners of a home before this one prepare nothing any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Floor {
    pub(crate) epoch: u64,
    pub(crate) incarnation: u64,
}

impl From<Ballot> for Floor {
    fn from(ballot: Ballot) -> Self {
        Self {
            epoch: ballot.epoch,
            incarnation: ballot.incarnation,
        }
    }
}

/// A transaction that was committed with this partition as its home, and that others have yet to finish.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Decided {
    pub(crate) attempt: Attempt,
    pub(crate) participants: Vec<TopicPartition>,
}

impl Prepared {
    /// As the log has it.
    pub(crate) fn encode(&self) -> Bytes {
        encode(self)
    }
}

impl Decided {
    /// As the log has it.
    pub(crate) fn encode(&self) -> Bytes {
        encode(self)
    }
}

impl Floor {
    /// As the log has it.
    pub(crate) fn encode(self) -> Bytes {
        encode(&self)
    }
}

fn encode(entry: &impl Serialize) -> Bytes {
    let json = serde_json::to_vec(entry);
    Bytes::from(json.expect("text and numbers always serialize"))
}

/// All of it, of one partition.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pending {
    prepared: BTreeMap<TxId, Arc<Prepared>>,
    decided: BTreeMap<TxId, Arc<Decided>>,
    outbox: BTreeMap<u64, Arc<Outgoing>>,
    reached: BTreeMap<String, Arc<Reached>>,
    /// By home.
    floors: BTreeMap<String, Floor>,
    /// Those whose prepared entry has changed since it was last asked.
    news: Vec<TxId>,
    /// How often a transaction has changed.
    changes: u64,
}

/// What a key of the log belongs to.
enum Entry {
    Prepared(TxId),
    Decided(TxId),
    Outbox(u64),
    Reached(String),
    Floor(String),
}

fn entry(key: &[u8]) -> Option<Entry> {
    let key = std::str::from_utf8(key).ok()?;
    if let Some(id) = key.strip_prefix(PREPARED) {
        return Some(Entry::Prepared(id.parse().ok()?));
    }
    if let Some(sequence) = key.strip_prefix(OUTBOX) {
        return Some(Entry::Outbox(sequence.parse().ok()?));
    }
    if let Some(input) = key.strip_prefix(INPUT) {
        return Some(Entry::Reached(input.to_owned()));
    }
    if let Some(home) = key.strip_prefix(FLOOR) {
        return Some(Entry::Floor(home.to_owned()));
    }
    let id = key.strip_prefix(DECIDED)?;
    Some(Entry::Decided(id.parse().ok()?))
}

impl Pending {
    /// Whether the value of this key is kept here.
    pub(crate) fn keeps(key: &[u8]) -> bool {
        entry(key).is_some()
    }

    /// The transaction is prepared in this partition.
    pub(crate) fn prepare(&mut self, id: TxId, prepared: Prepared) {
        self.changes += 1;
        self.news.push(id);
        self.prepared.insert(id, Arc::new(prepared));
    }

    /// The transaction is committed, and others have yet to finish it.
    pub(crate) fn decide(&mut self, id: TxId, decided: Decided) {
        self.changes += 1;
        self.decided.insert(id, Arc::new(decided));
    }

    /// Sets or deletes the value of such a key.
    ///
    /// # Errors
    /// If it can't be read: the partition must halt, since what is locked is not known.
    pub(crate) fn set(
        &mut self,
        key: &[u8],
        value: Option<&Bytes>,
        schema: u64,
    ) -> Result<(), String> {
        match entry(key) {
            Some(Entry::Prepared(id)) => {
                if let Some(value) = value {
                    let prepared = Prepared {
                        schema,
                        ..decode(value)?
                    };
                    self.prepare(id, prepared);
                } else {
                    self.changes += 1;
                    self.news.push(id);
                    self.prepared.remove(&id);
                }
            }
            Some(Entry::Decided(id)) => {
                if let Some(value) = value {
                    self.decide(id, decode(value)?);
                } else {
                    self.changes += 1;
                    self.decided.remove(&id);
                }
            }
            Some(Entry::Outbox(sequence)) => match value {
                Some(value) => drop(self.outbox.insert(sequence, Arc::new(decode(value)?))),
                None => drop(self.outbox.remove(&sequence)),
            },
            Some(Entry::Reached(input)) => match value {
                Some(value) => drop(self.reached.insert(input, Arc::new(decode(value)?))),
                None => drop(self.reached.remove(&input)),
            },
            Some(Entry::Floor(home)) => match value {
                Some(value) => drop(self.floors.insert(home, decode(value)?)),
                None => drop(self.floors.remove(&home)),
            },
            None => {}
        }
        Ok(())
    }

    /// The value of such a key, with the layout of what is in it. None if it is none, or has no value.
    pub(crate) fn value(&self, key: &[u8]) -> Option<(Bytes, u64)> {
        match entry(key)? {
            Entry::Prepared(id) => {
                let prepared = self.prepared.get(&id)?;
                Some((prepared.encode(), prepared.schema))
            }
            Entry::Decided(id) => Some((self.decided.get(&id)?.encode(), 0)),
            Entry::Outbox(sequence) => Some((encode(&**self.outbox.get(&sequence)?), 0)),
            Entry::Reached(input) => Some((encode(&**self.reached.get(&input)?), 0)),
            Entry::Floor(home) => Some((self.floors.get(&home)?.encode(), 0)),
        }
    }

    /// All keys that have a value.
    pub(crate) fn keys(&self) -> impl Iterator<Item = Bytes> {
        let prepared = self.prepared.keys().copied().map(prepared_key);
        prepared
            .chain(self.decided.keys().copied().map(decided_key))
            .chain(self.outbox.keys().copied().map(outbox_key))
            .chain(self.reached.keys().map(|input| reached_key(input)))
            .chain(
                self.floors
                    .keys()
                    .map(|home| Bytes::from(format!("{FLOOR}{home}"))),
            )
    }

    pub(crate) fn prepared(&self) -> &BTreeMap<TxId, Arc<Prepared>> {
        &self.prepared
    }

    pub(crate) fn decided(&self) -> &BTreeMap<TxId, Arc<Decided>> {
        &self.decided
    }

    /// What was emitted and has not arrived yet, by the sequence number of the first of it.
    pub(crate) fn outbox(&self) -> &BTreeMap<u64, Arc<Outgoing>> {
        &self.outbox
    }

    /// How far inputs were taken in.
    pub(crate) fn reached(&self) -> &BTreeMap<String, Arc<Reached>> {
        &self.reached
    }

    /// Whether an attempt of this home is of an owner that prepares nothing any more.
    pub(crate) fn is_below_floor(&self, home: &TopicPartition, owner: Floor) -> bool {
        let floor = self.floors.get(&home.to_string());
        floor.is_some_and(|floor| owner < *floor)
    }

    /// Whether nothing below this is prepared for a home any more.
    pub(crate) fn is_at_floor(&self, home: &TopicPartition, owner: Floor) -> bool {
        let floor = self.floors.get(&home.to_string());
        floor.is_some_and(|floor| owner <= *floor)
    }

    /// Whether nothing is in doubt, and nobody has anything to finish.
    pub(crate) fn is_empty(&self) -> bool {
        self.prepared.is_empty() && self.decided.is_empty()
    }

    /// How often a transaction has changed.
    pub(crate) fn changes(&self) -> u64 {
        self.changes
    }

    /// The transactions of which what is prepared has changed since the last call.
    pub(crate) fn take_news(&mut self) -> Vec<TxId> {
        std::mem::take(&mut self.news)
    }
}

fn decode<T: DeserializeOwned>(value: &Bytes) -> Result<T, String> {
    serde_json::from_slice(value).map_err(|error| format!("what is pending: {error}"))
}

//! The state of one partition in memory.
//!
//! It changes in one place, [`Memory::apply`], for live traffic and for replay alike, and only the partition's writer calls that.
//! Readers walk the same ordered map without waiting: a lock-free skip list, whose cells are swapped whole, beside what a snapshot gave.

mod base;
mod piece;

use std::{
    ops::{Bound, ControlFlow},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
};

use arc_swap::ArcSwap;
use bytes::Bytes;
use crossbeam_skiplist::SkipMap;
use tokio::sync::SetOnce;

use self::base::Base;
pub(crate) use self::piece::{Piece, Place};
use crate::{
    ambient::next_number, feed::Recent, migration::Readers, record::Offset, state::State, tx::Held,
};

/// Why a lock can't be poisoned: nothing panics while one is held.
const UNPOISONED: &str = "nothing panics while it holds this lock";

/// An entity in memory, and what is known of its bytes in the log.
#[derive(Debug)]
pub struct Stored<S> {
    /// The entity.
    pub state: S,
    /// The hash of the value's bytes as this build writes them, so the same at each node and after each replay.
    pub etag: u64,
    bytes: u32,
    /// What tells it from what the key had before and will have, in this process (see [`tx`](crate::tx)).
    version: u32,
}

/// A value as it is in the log, where it says more than this build can read: it is written again as it is, as long as nobody changes it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Written {
    /// Its layout.
    pub(crate) schema: u64,
    pub(crate) value: Bytes,
}

impl<S: State> Stored<S> {
    /// Reads an entity from its value in the log.
    ///
    /// # Errors
    /// If the bytes are not an `S` in the state's format.
    pub fn decode(value: &[u8]) -> Result<Self, serde_json::Error> {
        Ok(Self {
            state: serde_json::from_slice(value)?,
            etag: xxhash_rust::xxh3::xxh3_64(value),
            bytes: u32::try_from(value.len()).unwrap_or(u32::MAX),
            version: next_number(),
        })
    }

    /// Reads an entity from a snapshot, which keeps what is known of its bytes in the log beside the value.
    ///
    /// # Errors
    /// If the bytes are not an `S` in the state's format.
    pub(crate) fn restore(value: &[u8], etag: u64, bytes: u32) -> Result<Self, serde_json::Error> {
        Ok(Self {
            state: serde_json::from_slice(value)?,
            etag,
            bytes,
            version: next_number(),
        })
    }

    /// The length of its value in the log.
    pub(crate) fn bytes(&self) -> u32 {
        self.bytes
    }

    /// An entity whose value in the log was not written by this build, so that the bytes there say less or more than it does. Its tag is that of the value
    /// as it would be written now: it changes with what clients see.
    pub(crate) fn of_older(state: S, value: &[u8]) -> Self {
        let now = serde_json::to_vec(&state);
        Self {
            state,
            etag: xxhash_rust::xxh3::xxh3_64(now.as_deref().unwrap_or(value)),
            bytes: u32::try_from(value.len()).unwrap_or(u32::MAX),
            version: next_number(),
        }
    }

    /// What tells it from what the key had before and will have, in this process.
    pub(crate) fn version(&self) -> u32 {
        self.version
    }
}

/// The offset of a change whose record was yet to be written: it is the one that is applied.
pub(crate) const UNKNOWN: Offset = Offset::MAX;

/// What one record does to the memory of its partition.
#[derive(Debug)]
pub struct Change<S: State> {
    pub(crate) key: S::Key,
    /// The record that made it.
    pub(crate) offset: Offset,
    /// None deletes.
    pub(crate) stored: Option<Arc<Stored<S>>>,
    /// Its value in the log, if that says more than `stored`.
    pub(crate) written: Option<Arc<Written>>,
}

impl<S: State> Clone for Change<S> {
    fn clone(&self) -> Self {
        Self {
            key: self.key.clone(),
            offset: self.offset,
            stored: self.stored.clone(),
            written: self.written.clone(),
        }
    }
}

/// What one record does, for records of which most change one key or none.
pub(crate) enum Changes<S: State> {
    None,
    One(Change<S>),
    Many(Vec<Change<S>>),
}

impl<S: State> Changes<S> {
    pub(crate) fn as_slice(&self) -> &[Change<S>] {
        match self {
            Self::None => &[],
            Self::One(change) => std::slice::from_ref(change),
            Self::Many(changes) => changes,
        }
    }
}

impl<S: State> From<Option<Change<S>>> for Changes<S> {
    fn from(change: Option<Change<S>>) -> Self {
        change.map_or(Self::None, Self::One)
    }
}

impl<S: State> Change<S> {
    /// Reads a change from a record's key and value, and the layout that it names.
    ///
    /// # Errors
    /// Says which of the two is not of this state.
    pub(crate) fn decode(
        readers: &Readers<S>,
        offset: Offset,
        schema: u64,
        key: &Bytes,
        value: Option<&Bytes>,
    ) -> Result<Self, String> {
        let text = std::str::from_utf8(key).map_err(|error| format!("its key: {error}"))?;
        let key = crate::key::parse_key::<S>(text).map_err(|error| format!("its key: {error}"))?;
        let written = value.filter(|_| readers.is_wider(schema)).map(|value| {
            // Not a window on the chunk of the log that it came with, which would stay as long.
            let value = Bytes::copy_from_slice(value);
            Arc::new(Written { schema, value })
        });
        let stored = value
            .map(|value| readers.read(schema, &key, value).map(Arc::new))
            .transpose()
            .map_err(|error| format!("its value: {error}"))?;
        Ok(Self {
            key,
            offset,
            stored,
            written,
        })
    }
}

/// What all entities of a partition add up to, at one position of its log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// The offset up to which the log was applied (exclusive).
    pub applied: Offset,
    /// The bytes of all values, as they are in the log.
    pub bytes: i64,
    /// The sum of the entities' tags. Whoever has applied the log up to the same offset has the same: owner, standby, and a replay from the start.
    pub digest: u64,
}

impl Summary {
    /// The digest as `/status` and `--verify-log` show it: in hexadecimal, since numbers of JSON are not exact.
    #[must_use]
    pub fn shown_digest(&self) -> String {
        format!("{:016x}", self.digest)
    }

    /// Adds an entity: its tag, and the length of its value in the log.
    pub(crate) fn add(&mut self, etag: u64, bytes: u32) {
        self.bytes += i64::from(bytes);
        self.digest = self.digest.wrapping_add(etag);
    }

    fn remove<S>(&mut self, stored: &Stored<S>) {
        self.bytes -= i64::from(stored.bytes);
        self.digest = self.digest.wrapping_sub(stored.etag);
    }
}

/// All entities of one partition, ordered by key.
#[derive(Debug)]
pub struct Memory<S: State> {
    /// Those whose keys were in the snapshot that this was made from.
    base: Base<S>,
    /// All others.
    entities: SkipMap<S::Key, ArcSwap<Stored<S>>>,
    /// The values in the log of those of which it says more than this build has a place for. They lie beside, so that no other entity pays for them.
    written: SkipMap<S::Key, Arc<Written>>,
    /// The same as in `summary`, for readers, who never wait.
    applied: AtomicU64,
    /// Up to where the log is being applied (exclusive): nothing that a reader sees is of a later record.
    applying: AtomicU64,
    summary: Mutex<Summary>,
    /// A number that no memory of this process had before, since a key came or went last, or was about to.
    comings: AtomicU32,
    /// The keys that readers must wait for.
    held: Held<S::Key>,
    /// What changed of late, for feeds.
    recent: Recent<S>,
}

impl<S: State> Default for Memory<S> {
    fn default() -> Self {
        Self {
            base: Base::empty(),
            entities: SkipMap::new(),
            written: SkipMap::new(),
            applied: AtomicU64::new(0),
            applying: AtomicU64::new(0),
            summary: Mutex::default(),
            comings: AtomicU32::new(next_number()),
            held: Held::default(),
            recent: Recent::default(),
        }
    }
}

impl<S: State> Memory<S> {
    /// The keys that prepared transactions will write: whoever must not miss what is committed waits for them before it looks.
    pub(crate) fn held(&self) -> &Held<S::Key> {
        &self.held
    }

    /// The entities of a snapshot, and what they add up to; none if the pieces do not lie behind one another.
    pub(crate) fn restore(
        pieces: Vec<Piece<S>>,
        written: Vec<(S::Key, Arc<Written>)>,
        summary: Summary,
    ) -> Option<Self> {
        Some(Self {
            base: Base::of(pieces)?,
            entities: SkipMap::new(),
            written: written.into_iter().collect(),
            applied: AtomicU64::new(summary.applied),
            applying: AtomicU64::new(summary.applied),
            summary: Mutex::new(summary),
            comings: AtomicU32::new(next_number()),
            held: Held::default(),
            recent: Recent::default(),
        })
    }

    /// Decodes a piece of the snapshot that this was made from, if nobody has: whether there is such a piece, and it could be decoded.
    pub(crate) fn decode(&self, piece: usize) -> bool {
        self.base.decode(piece)
    }

    /// Why what came of a snapshot can't be decoded, once that is so. Nothing is known of its entities then.
    pub(crate) fn spoilt(&self) -> &SetOnce<String> {
        self.base.spoilt()
    }

    /// A number for the last time that a key came or went. What is not there, and was not there when this was the same as now, was not there in between.
    pub(crate) fn comings(&self) -> u32 {
        self.comings.load(Ordering::SeqCst)
    }

    /// A key comes or goes now: said before it does.
    fn comes_or_goes(&self) {
        self.comings.store(next_number(), Ordering::SeqCst);
    }

    /// The entity with this key. Never waits.
    pub fn get(&self, key: &S::Key) -> Option<Arc<Stored<S>>> {
        match self.base.cell(key) {
            Some(cell) => cell.load_full(),
            None => self.entities.get(key).map(|cell| cell.value().load_full()),
        }
    }

    /// Calls `see` with the entity with this key, without touching its reference count.
    pub fn with<R>(&self, key: &S::Key, see: impl FnOnce(&Stored<S>) -> R) -> Option<R> {
        match self.base.cell(key) {
            Some(cell) => cell.load().as_deref().map(see),
            None => self.entities.get(key).map(|cell| see(&cell.value().load())),
        }
    }

    /// Walks the entities from `from` upwards until `visit` says to stop.
    pub fn walk(
        &self,
        from: Bound<&S::Key>,
        mut visit: impl FnMut(&S::Key, Arc<Stored<S>>) -> ControlFlow<()>,
    ) {
        let mut base = self.base.upwards(from).peekable();
        for cell in self.entities.range((from, Bound::Unbounded)) {
            while let Some((key, stored)) = base.next_if(|(key, _)| *key < cell.key()) {
                if visit(key, stored).is_break() {
                    return;
                }
            }
            if visit(cell.key(), cell.value().load_full()).is_break() {
                return;
            }
        }
        for (key, stored) in base {
            if visit(key, stored).is_break() {
                return;
            }
        }
    }

    /// The value of a key in the log, if that says more than the entity.
    pub(crate) fn written(&self, key: &S::Key) -> Option<Arc<Written>> {
        self.written.get(key).map(|place| place.value().clone())
    }

    /// Calls `visit` with all values in the log that say more than their entities, by key, until it says to stop. Only together with what is applied next they are of one time.
    pub(crate) fn walk_written(&self, mut visit: impl FnMut(&S::Key, &Written) -> ControlFlow<()>) {
        for place in &self.written {
            if visit(place.key(), place.value()).is_break() {
                return;
            }
        }
    }

    /// How many entities there are.
    pub fn len(&self) -> usize {
        self.base.len() + self.entities.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What all entities add up to. They agree with each other, whatever is being applied.
    ///
    /// # Panics
    /// Never: nothing panics while it holds the lock.
    pub fn summary(&self) -> Summary {
        *self.summary.lock().expect(UNPOISONED)
    }

    /// The offset up to which the log was applied (exclusive).
    pub fn applied(&self) -> Offset {
        self.applied.load(Ordering::Acquire)
    }

    /// What changed of late.
    pub(crate) fn recent(&self) -> &Recent<S> {
        &self.recent
    }

    /// An offset that lies behind all records of which a reader can have seen anything until now.
    pub(crate) fn applying(&self) -> Offset {
        self.applying.load(Ordering::Acquire)
    }

    /// Applies what the record before `next` changed. Only the partition's writer calls it.
    ///
    /// # Errors
    /// If what came of a snapshot can't be decoded. Then nothing is known of the memory any more.
    pub(crate) fn apply(
        &self,
        changes: impl IntoIterator<Item = Change<S>>,
        next: Offset,
    ) -> Result<(), String> {
        let mut summary = self.summary();
        // Before the first change: who sees a change sees this too.
        self.applying.store(next, Ordering::SeqCst);
        let is_watched = S::DEFINITION.is_watched();
        let mut news = Vec::new();
        for Change {
            key,
            offset,
            stored,
            written,
        } in changes
        {
            match written {
                Some(written) => drop(self.written.insert(key.clone(), written)),
                None if self.written.is_empty() => {}
                None => drop(self.written.remove(&key)),
            }
            let offset = offset.min(next.saturating_sub(1));
            let seen = is_watched.then(|| (offset, key.clone(), stored.clone()));
            let etag = stored.as_ref().map(|stored| stored.etag);
            let before = match stored {
                Some(stored) => {
                    summary.add(stored.etag, stored.bytes);
                    self.set(key, stored)?
                }
                None => self.remove(&key)?,
            };
            if let Some(before) = &before {
                summary.remove(before);
            }
            // A value that is written again, as by a repair, is no change.
            if before.map(|before| before.etag) != etag {
                news.extend(seen);
            }
        }
        summary.applied = next;
        *self.summary.lock().expect(UNPOISONED) = summary;
        self.applied.store(next, Ordering::Release);
        if is_watched {
            self.recent.push(news, next);
        }
        Ok(())
    }

    /// Sets the entity of a key, and returns the one that was there.
    fn set(&self, key: S::Key, stored: Arc<Stored<S>>) -> Result<Option<Arc<Stored<S>>>, String> {
        if let Some(cell) = self.base.try_cell(&key)? {
            if cell.load().is_none() {
                self.comes_or_goes();
            }
            return Ok(self.base.swap(cell, Some(stored)));
        }
        let mut inserted = false;
        // One search, whether the key is there or not: in a large map the searches are most of the work of a replay.
        let cell = self.entities.get_or_insert_with(key, || {
            inserted = true;
            self.comes_or_goes();
            ArcSwap::new(Arc::clone(&stored))
        });
        Ok((!inserted).then(|| cell.value().swap(stored)))
    }

    /// Removes the entity of a key, and returns it.
    fn remove(&self, key: &S::Key) -> Result<Option<Arc<Stored<S>>>, String> {
        let cell = self.base.try_cell(key)?;
        self.comes_or_goes();
        Ok(match cell {
            Some(cell) => self.base.swap(cell, None),
            None => self
                .entities
                .remove(key)
                .map(|cell| cell.value().load_full()),
        })
    }
}

#[cfg(test)]
mod tests;

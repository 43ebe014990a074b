//! Part: what a transaction did in one partition, as values of its state, and whether that can be so.

use std::{ops::ControlFlow, sync::Arc};

use bytes::Bytes;
use serde_json::value::RawValue;

use super::{Running, events::Changed};
use crate::{
    broken::{Bug, is_broken},
    key::{key_text, parse_key},
    memory::{Change, Stored, UNKNOWN},
    state::State,
    tx::{KeyRange, Never, Part, TxId, Version, Write},
};

/// What a record takes at most for each partition that has to finish, and for what is there once.
pub(super) const PARTICIPANT_BYTES: usize = 512;

/// A part that was read.
pub(super) struct TypedPart<S: State> {
    pub(super) reads: Vec<(S::Key, Option<Version>)>,
    /// Ranges, and how many entities were in them.
    pub(super) lists: Vec<(KeyRange<S::Key>, usize)>,
    pub(super) writes: Vec<(Change<S>, Option<Bytes>)>,
}

impl<S: State> TypedPart<S> {
    /// At most so many bytes are these writes in a batch.
    pub(super) fn bytes(&self) -> usize {
        let writes = self.writes.iter().map(|(change, value)| {
            key_text::<S>(&change.key).len() + value.as_ref().map_or(0, Bytes::len) + 8
        });
        writes.sum::<usize>() + PARTICIPANT_BYTES
    }

    pub(super) fn read_keys(&self) -> impl Iterator<Item = S::Key> {
        self.reads.iter().map(|(key, _)| key.clone())
    }

    pub(super) fn ranges(&self) -> impl Iterator<Item = KeyRange<S::Key>> {
        self.lists.iter().map(|(range, _)| range.clone())
    }

    /// The writes as they are kept until they are carried out.
    pub(super) fn as_written(&self) -> Vec<Write> {
        let writes = self.writes.iter().map(|(change, value)| Write {
            key: key_text::<S>(&change.key),
            value: value.as_ref().map(|value| raw(value)),
            stored: change.stored.clone().map(|stored| stored as _),
        });
        writes.collect()
    }

    pub(super) fn written_keys(&self) -> impl Iterator<Item = S::Key> {
        self.writes.iter().map(|(change, _)| change.key.clone())
    }
}

impl<S: State> Running<S> {
    /// What a part is, as values of this state.
    pub(super) fn typed(&self, part: &Part) -> Result<TypedPart<S>, Never> {
        let key = |text: &str| {
            parse_key::<S>(text).map_err(|error| Never::Wrong(format!("the key: {error}")))
        };
        let mut typed = TypedPart {
            reads: Vec::with_capacity(part.reads.len()),
            lists: Vec::with_capacity(part.lists.len()),
            writes: Vec::with_capacity(part.writes.len()),
        };
        for read in &part.reads {
            typed.reads.push((key(&read.key)?, read.was.version()));
        }
        for list in &part.lists {
            let range = list.range.typed::<S>();
            let range = range.map_err(|error| Never::Wrong(format!("the range: {error}")))?;
            typed.lists.push((range, list.count));
        }
        for write in &part.writes {
            let key = key(&write.key)?;
            let (stored, value) = self.typed_write(&key, write)?;
            let change = Change {
                offset: UNKNOWN,
                key,
                stored,
                written: None,
            };
            typed.writes.push((change, value));
        }
        match self.budget.refuses(&self.replica.partition) {
            Some(why) if self.grows(&typed) => Err(Never::Full(why)),
            _ => Ok(typed),
        }
    }

    /// The value of a write, for memory and for the log.
    fn typed_write(&self, key: &S::Key, write: &Write) -> Result<Changed<S>, Never> {
        let Some(value) = &write.value else {
            return Ok((None, None));
        };
        let here = write
            .stored
            .clone()
            .and_then(|stored| stored.downcast().ok());
        if let Some(stored) = here
            && value.get().len() <= self.bounds.value_bytes_max
        {
            return Ok((
                Some(stored),
                Some(Bytes::copy_from_slice(value.get().as_bytes())),
            ));
        }
        // From another node, whose build may write it otherwise.
        let state: S = serde_json::from_str(value.get())
            .map_err(|error| Never::Wrong(format!("`{}`: {error}", write.key)))?;
        if state.key() != *key {
            return Err(Never::Wrong(format!(
                "the key `{}` is to get an entity of the key `{}`",
                write.key,
                key_text::<S>(&state.key())
            )));
        }
        let encoded = self.encode(&state);
        let (stored, value) = encoded.map_err(|problem| Never::Wrong(problem.to_string()))?;
        Ok((Some(Arc::new(stored)), Some(value)))
    }

    /// Whether the partition is larger afterwards.
    fn grows(&self, part: &TypedPart<S>) -> bool {
        let bytes = |stored: &Option<Arc<Stored<S>>>| {
            stored
                .as_ref()
                .map_or(0, |stored| u64::from(stored.bytes()))
        };
        let writes = || part.writes.iter().map(|(change, _)| change);
        let before: u64 = writes().map(|change| bytes(&self.look(&change.key))).sum();
        let after: u64 = writes().map(|change| bytes(&change.stored)).sum();
        after > before
    }

    /// Whether what was read is still so, and all keys can be had.
    pub(super) fn check(&self, id: TxId, part: &TypedPart<S>) -> Result<(), String> {
        let written = part.writes.iter().map(|(change, _)| &change.key);
        let mut keys = part.reads.iter().map(|(key, _)| key).chain(written);
        if let Some(key) = keys.find(|key| !self.tx.claims.may_have(key, Some(id))) {
            let key = key_text::<S>(key);
            return Err(format!("`{key}` is left to one that has lost more often"));
        }
        for (key, version) in &part.reads {
            let now = self.look(key).map(|stored| Version {
                incarnation: self.incarnation,
                number: stored.version(),
            });
            if now != *version && !is_broken(Bug::NoVersion) {
                return Err(format!("`{}` was changed meanwhile", key_text::<S>(key)));
            }
            if !self.tx.locks.may_read(key) {
                return Err(format!("`{}` is being written", key_text::<S>(key)));
            }
        }
        for (range, count) in &part.lists {
            // The keys that were in it are among those that were read.
            if self.count(range) != *count && !is_broken(Bug::NoVersion) {
                return Err("a key has come into a range, or gone from it".to_owned());
            }
            if !self.tx.locks.may_list(range) {
                return Err("a range is being written to".to_owned());
            }
        }
        for (change, _) in &part.writes {
            let locks = &self.tx.locks;
            let may_write = if is_broken(Bug::NoReadLocks) {
                locks.may_read(&change.key)
            } else {
                locks.may_write(&change.key)
            };
            if !may_write {
                let key = key_text::<S>(&change.key);
                return Err(format!("`{key}` is being read or written"));
            }
        }
        Ok(())
    }

    /// How many entities are in a range, with what is in flight.
    fn count(&self, range: &KeyRange<S::Key>) -> usize {
        let Some(bounds) = range.bounds() else {
            return 0;
        };
        let mut count = 0;
        self.memory().walk(range.start(), |key, _| {
            let is_in = range.place(key)?;
            count += usize::from(is_in && !self.speculation.contains_key(key));
            ControlFlow::Continue(())
        });
        let in_flight = self.speculation.range(bounds);
        let there = in_flight.filter(|(key, it)| it.stored.is_some() && range.contains(key));
        count + there.count()
    }
}

fn raw(value: &[u8]) -> Box<RawValue> {
    let text = String::from_utf8(value.to_vec()).expect("serde_json writes UTF-8");
    RawValue::from_string(text).expect("serde_json writes JSON")
}

//! The keys that the writer must not let others have: what prepared transactions read and write, and those that run with this partition as their home.

use std::collections::{BTreeMap, HashMap, btree_map::Entry};

use super::{KeyRange, TxId};
use crate::broken::{Bug, is_broken};

/// Who has a key. Readers may be many; a writer is alone, but for itself.
#[derive(Debug, Default)]
struct Holders {
    writer: Option<TxId>,
    readers: Vec<TxId>,
}

/// All keys that are locked. A lock is never waited for by one who has another.
#[derive(Debug)]
pub(crate) struct Locks<K> {
    keys: BTreeMap<K, Holders>,
    /// Ranges that are read. They are few.
    ranges: Vec<(TxId, KeyRange<K>)>,
    by_tx: HashMap<TxId, Vec<K>>,
}

/// What nobody has any more; of the ranges others may have parts.
#[derive(Debug)]
pub(crate) struct Freed<K> {
    pub(crate) keys: Vec<K>,
    pub(crate) ranges: Vec<KeyRange<K>>,
}

impl<K> Default for Locks<K> {
    fn default() -> Self {
        Self {
            keys: BTreeMap::new(),
            ranges: Vec::new(),
            by_tx: HashMap::new(),
        }
    }
}

impl<K: Ord + Clone> Locks<K> {
    /// Whether somebody has the key, in whatever way. A command is to wait then, since nobody knows before it has run whether it writes.
    pub(crate) fn is_locked(&self, key: &K) -> bool {
        (!self.keys.is_empty() && self.keys.contains_key(key))
            || (!is_broken(Bug::NoRangeLocks)
                && self.ranges.iter().any(|(_, range)| range.contains(key)))
    }

    /// Whether a transaction that has no locks may read the key.
    pub(crate) fn may_read(&self, key: &K) -> bool {
        self.keys.get(key).is_none_or(|it| it.writer.is_none())
    }

    /// Whether a transaction that has no locks may read the range.
    pub(crate) fn may_list(&self, range: &KeyRange<K>) -> bool {
        let Some(bounds) = range.bounds() else {
            return true;
        };
        let mut within = self.keys.range(bounds);
        within.all(|(key, holders)| holders.writer.is_none() || !range.contains(key))
    }

    /// Whether a transaction that has no locks may write the key.
    pub(crate) fn may_write(&self, key: &K) -> bool {
        !self.is_locked(key)
    }

    /// Gives a transaction its locks.
    pub(crate) fn lock(
        &mut self,
        id: TxId,
        reads: impl IntoIterator<Item = K>,
        ranges: impl IntoIterator<Item = KeyRange<K>>,
        writes: impl IntoIterator<Item = K>,
    ) {
        let mut mine = Vec::new();
        for key in reads {
            self.keys.entry(key.clone()).or_default().readers.push(id);
            mine.push(key);
        }
        for key in writes {
            self.keys.entry(key.clone()).or_default().writer = Some(id);
            mine.push(key);
        }
        let ranges = ranges.into_iter().map(|range| (id, range));
        self.ranges.extend(ranges);
        self.by_tx.insert(id, mine);
    }

    /// Takes a transaction's locks away.
    pub(crate) fn unlock(&mut self, id: TxId) -> Freed<K> {
        let ranges = self.ranges.extract_if(.., |(of, _)| *of == id);
        let ranges = ranges.map(|(_, range)| range).collect();
        let mut free = Vec::new();
        for key in self.by_tx.remove(&id).unwrap_or_default() {
            if let Entry::Occupied(mut entry) = self.keys.entry(key.clone()) {
                let holders = entry.get_mut();
                holders.readers.retain(|reader| *reader != id);
                if holders.writer == Some(id) {
                    holders.writer = None;
                }
                if holders.writer.is_none() && holders.readers.is_empty() {
                    entry.remove();
                    free.push(key);
                }
            }
        }
        Freed { keys: free, ranges }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readers_share_and_a_writer_is_alone() {
        let (one, two) = (TxId::of(1), TxId::of(2));
        let mut locks = Locks::default();
        locks.lock(one, ["a", "b"], [], ["b"]);
        locks.lock(two, ["a"], [], []);
        assert!(locks.may_read(&"a") && !locks.may_write(&"a"));
        assert!(!locks.may_read(&"b") && !locks.may_write(&"b"));
        assert!(locks.may_write(&"c"));
        assert_eq!(
            locks.unlock(one).keys,
            ["b"],
            "the other one still reads `a`"
        );
        assert!(locks.may_write(&"b") && locks.is_locked(&"a"));
        assert_eq!(locks.unlock(one).keys, [""; 0]);
        assert_eq!(locks.unlock(two).keys, ["a"]);
        assert!(!locks.is_locked(&"a"));
    }
}

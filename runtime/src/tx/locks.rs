//! The keys that the writer must not let others have: what prepared transactions read and write, and those that run with this partition as their home.

use std::collections::{BTreeMap, HashMap, btree_map::Entry};

use super::TxId;

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
    by_tx: HashMap<TxId, Vec<K>>,
}

impl<K> Default for Locks<K> {
    fn default() -> Self {
        Self {
            keys: BTreeMap::new(),
            by_tx: HashMap::new(),
        }
    }
}

impl<K: Ord + Clone> Locks<K> {
    /// Whether somebody has the key, in whatever way. A command is to wait then, since nobody knows before it has run whether it writes.
    pub(crate) fn is_locked(&self, key: &K) -> bool {
        !self.keys.is_empty() && self.keys.contains_key(key)
    }

    /// Whether a transaction that has no locks may read the key.
    pub(crate) fn may_read(&self, key: &K) -> bool {
        self.keys.get(key).is_none_or(|it| it.writer.is_none())
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
        self.by_tx.insert(id, mine);
    }

    /// Takes a transaction's locks away. The keys that nobody has now.
    pub(crate) fn unlock(&mut self, id: TxId) -> Vec<K> {
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
        free
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readers_share_and_a_writer_is_alone() {
        let (one, two) = (TxId::of(1), TxId::of(2));
        let mut locks = Locks::default();
        locks.lock(one, ["a", "b"], ["b"]);
        locks.lock(two, ["a"], []);
        assert!(locks.may_read(&"a") && !locks.may_write(&"a"));
        assert!(!locks.may_read(&"b") && !locks.may_write(&"b"));
        assert!(locks.may_write(&"c"));
        assert_eq!(locks.unlock(one), ["b"], "the other one still reads `a`");
        assert!(locks.may_write(&"b") && locks.is_locked(&"a"));
        assert_eq!(locks.unlock(one), [""; 0]);
        assert_eq!(locks.unlock(two), ["a"]);
        assert!(!locks.is_locked(&"a"));
    }
}

//! The keys that readers must wait for: a prepared transaction writes them, and may be committed already.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    ops::Bound,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::sync::watch;

use super::TxId;

/// The keys that prepared transactions will write. It changes with memory: a key is held before anyone can learn that the transaction is prepared, and
/// released after its new value is there.
///
/// A read looks here *first* and then at memory. If the key was free, then nothing was committed before that moment that memory does not show.
#[derive(Debug)]
pub(crate) struct Held<K> {
    /// How many keys there are, for the readers of a partition without any.
    count: AtomicUsize,
    keys: Mutex<Keys<K>>,
    changed: watch::Sender<()>,
}

#[derive(Debug)]
struct Keys<K> {
    by_key: BTreeMap<K, TxId>,
    by_tx: HashMap<TxId, Vec<K>>,
}

impl<K> Default for Held<K> {
    fn default() -> Self {
        Self {
            count: AtomicUsize::new(0),
            keys: Mutex::new(Keys {
                by_key: BTreeMap::new(),
                by_tx: HashMap::new(),
            }),
            changed: watch::Sender::new(()),
        }
    }
}

impl<K: Ord + Clone> Held<K> {
    fn keys(&self) -> MutexGuard<'_, Keys<K>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A transaction holds these keys from now on, and no others.
    pub(crate) fn set(&self, id: TxId, now: Vec<K>) {
        let mut keys = self.keys();
        for key in keys.by_tx.remove(&id).unwrap_or_default() {
            keys.by_key.remove(&key);
        }
        if !now.is_empty() {
            for key in &now {
                keys.by_key.insert(key.clone(), id);
            }
            keys.by_tx.insert(id, now);
        }
        self.count.store(keys.by_key.len(), Ordering::SeqCst);
        drop(keys);
        self.changed.send_replace(());
    }

    /// Whether no key is held at this moment.
    pub(crate) fn is_empty(&self) -> bool {
        self.count.load(Ordering::SeqCst) == 0
    }

    /// Whether a key is held at this moment.
    pub(crate) fn is_held(&self, key: &K) -> bool {
        !self.is_empty() && self.keys().by_key.contains_key(key)
    }

    /// Waits until all that holds keys of this range at this moment is decided and done.
    pub(crate) async fn released_within(&self, from: Bound<&K>, to: Bound<&K>) {
        if self.is_empty() {
            return;
        }
        let mut changed = self.changed.subscribe();
        let mut holders: BTreeSet<TxId> = {
            let keys = self.keys();
            keys.by_key.range((from, to)).map(|(_, id)| *id).collect()
        };
        while !holders.is_empty() {
            // The sender is `self`, so it is there.
            drop(changed.changed().await);
            let keys = self.keys();
            holders.retain(|id| keys.by_tx.contains_key(id));
        }
    }
}

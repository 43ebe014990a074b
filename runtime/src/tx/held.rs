//! The keys that readers must wait for: a prepared transaction writes them, and may be committed already.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    ops::Bound,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

use super::{KeyRange, TxId};
use crate::log::TopicPartition;

/// Mostly the decision is there within milliseconds. A transaction that is prepared for longer is shown as in doubt.
const SHOWN_AFTER: Duration = Duration::from_millis(100);

/// The keys that prepared transactions will write. It changes with memory: a key is held before anyone can learn that the transaction is prepared, and
/// released after its new value is there.
///
/// A read looks here *first* and then at memory. If the key was free, then nothing was committed before that moment that memory does not show.
#[derive(Debug)]
pub(crate) struct Held<K> {
    /// How many keys there are, for the readers of a partition without any.
    count: AtomicUsize,
    keys: Mutex<Keys<K>>,
    /// Wakes whoever waits in the order in which they came; a `watch` does so by chance, and a simulation could not repeat it.
    changed: Notify,
    wanted: Notify,
}

#[derive(Debug)]
struct Keys<K> {
    by_key: BTreeMap<K, TxId>,
    by_tx: HashMap<TxId, Holder<K>>,
}

/// A prepared transaction.
#[derive(Debug)]
struct Holder<K> {
    keys: Vec<K>,
    home: TopicPartition,
    /// When this process learned of it.
    since: Instant,
}

/// A transaction that is prepared, and of which nothing was heard for some time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InDoubt {
    pub(crate) id: TxId,
    /// The partition that knows what became of it.
    pub(crate) home: TopicPartition,
    pub(crate) age: Duration,
}

impl<K> Default for Held<K> {
    fn default() -> Self {
        Self {
            count: AtomicUsize::new(0),
            keys: Mutex::new(Keys {
                by_key: BTreeMap::new(),
                by_tx: HashMap::new(),
            }),
            changed: Notify::new(),
            wanted: Notify::new(),
        }
    }
}

impl<K: Ord + Clone> Held<K> {
    fn keys(&self) -> MutexGuard<'_, Keys<K>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A transaction of this home holds these keys from now on, and no others; or is done.
    pub(crate) fn set(&self, id: TxId, now: Option<(Vec<K>, TopicPartition)>) {
        let mut keys = self.keys();
        if let Some(before) = keys.by_tx.remove(&id) {
            for key in before.keys {
                keys.by_key.remove(&key);
            }
        }
        if let Some((now, home)) = now {
            for key in &now {
                keys.by_key.insert(key.clone(), id);
            }
            let holder = Holder {
                keys: now,
                home,
                since: Instant::now(),
            };
            keys.by_tx.insert(id, holder);
        }
        self.count.store(keys.by_key.len(), Ordering::SeqCst);
        drop(keys);
        self.changed.notify_waiters();
    }

    /// Whether no key is held at this moment.
    pub(crate) fn is_empty(&self) -> bool {
        self.count.load(Ordering::SeqCst) == 0
    }

    /// Whether a key is held at this moment. If it is, it is wanted.
    pub(crate) fn is_held(&self, key: &K) -> bool {
        !self.is_empty() && self.want_if(self.keys().by_key.contains_key(key))
    }

    /// Whether a key between these is held at this moment. If one is, it is wanted.
    pub(crate) fn is_held_between(&self, from: Bound<&K>, to: Bound<&K>) -> bool {
        let is_held = || self.keys().by_key.range((from, to)).next().is_some();
        !self.is_empty() && self.want_if(is_held())
    }

    /// Whether a key of this range is held at this moment. If one is, it is wanted.
    pub(crate) fn is_held_within(&self, range: &KeyRange<K>) -> bool {
        let Some(bounds) = range.bounds().filter(|_| !self.is_empty()) else {
            return false;
        };
        let keys = self.keys();
        let mut within = keys.by_key.range(bounds);
        self.want_if(within.any(|(key, _)| range.contains(key)))
    }

    fn want_if(&self, is_held: bool) -> bool {
        if is_held {
            self.want();
        }
        is_held
    }

    /// Something that is held is wanted.
    pub(crate) fn want(&self) {
        self.wanted.notify_one();
    }

    /// Waits until somebody wants to read what is held, if nobody did since this ended last: whoever can release it need not be asked twice.
    pub(crate) async fn wanted(&self) {
        self.wanted.notified().await;
    }

    /// The transactions that are in doubt, the oldest first.
    pub(crate) fn in_doubt(&self) -> Vec<InDoubt> {
        let keys = self.keys();
        let all = keys.by_tx.iter().map(|(id, holder)| InDoubt {
            id: *id,
            home: holder.home.clone(),
            age: holder.since.elapsed(),
        });
        let mut old: Vec<_> = all.filter(|it| it.age >= SHOWN_AFTER).collect();
        old.sort_by_key(|it| std::cmp::Reverse(it.age));
        old
    }

    /// Waits until all that holds keys of this range at this moment is decided and done.
    pub(crate) async fn released_within(&self, from: Bound<&K>, to: Bound<&K>) {
        if self.is_empty() {
            return;
        }
        // It hears of each change from here on, although it is not awaited yet.
        let mut changed = self.changed.notified();
        let mut holders: BTreeSet<TxId> = {
            let keys = self.keys();
            keys.by_key.range((from, to)).map(|(_, id)| *id).collect()
        };
        while self.want_if(!holders.is_empty()) {
            changed.await;
            changed = self.changed.notified();
            let keys = self.keys();
            holders.retain(|id| keys.by_tx.contains_key(id));
        }
    }
}

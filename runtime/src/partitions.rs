//! All partitions of one state as one node sees them: key -> partition -> here, or at a peer.

use std::{
    ops::Bound,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use arc_swap::ArcSwapOption;
use axum::http::{HeaderMap, HeaderValue};
use tokio::{
    sync::watch,
    time::{Instant, timeout_at},
};

use crate::{
    ambient::select,
    broken::{Bug, is_broken},
    cluster::{Cluster, Peer, no_owner},
    coordinator::Lock,
    key::{key_text, partition_text},
    log::{Log, TopicPartition},
    mailbox::{Job, Mailbox, RETRY_AFTER_SECONDS, Refusal},
    memory::Memory,
    metrics::PartitionMetrics,
    partitioner::partition,
    position::{self, ReadOptions},
    problem::Problem,
    record::Offset,
    snapshot::Keeper,
    state::State,
    writer::Phase,
};

/// How often a read that waits for a position looks again.
const POSITION_POLL: Duration = Duration::from_millis(2);

/// The partitions of one state.
pub(crate) struct Partitions<S: State> {
    pub(crate) slots: Vec<Arc<Slot<S>>>,
}

/// One partition, wherever it is. What is here is put in by the partition's tender; all else is looked up in the view of the cluster.
pub(crate) struct Slot<S: State> {
    pub(crate) partition: TopicPartition,
    pub(crate) cluster: Cluster,
    pub(crate) metrics: PartitionMetrics,
    /// The partition, while this node owns it.
    here: ArcSwapOption<Here<S>>,
    /// What this node has of it, owned or followed.
    copy: ArcSwapOption<Copy<S>>,
    /// Tells of each change of `here`.
    changed: watch::Sender<()>,
    /// Why this node can't own it.
    halted: ArcSwapOption<String>,
    /// Who keeps its snapshot, if its log is one of which that is worth while.
    pub(crate) keeper: Option<Arc<Keeper>>,
    /// Since when nobody owns it, as this node sees it.
    ownerless_since: Mutex<Option<Instant>>,
}

/// A partition that this node owns, or is about to.
pub(crate) struct Here<S: State> {
    pub(crate) partition: TopicPartition,
    pub(crate) memory: Arc<Memory<S>>,
    pub(crate) mailbox: Mailbox<S>,
    pub(crate) phase: watch::Receiver<Phase>,
    pub(crate) lock: Arc<dyn Lock>,
    pub(crate) metrics: PartitionMetrics,
    /// Of the process; it makes versions of values unique.
    pub(crate) incarnation: u64,
}

/// The range of keys that is read, if what is about to be written in it is to be waited for.
pub(crate) type Keys<'k, K> = Option<(Bound<&'k K>, Bound<&'k K>)>;

/// One key, as a range.
#[allow(
    clippy::unnecessary_wraps,
    reason = "no keys at all are another possibility"
)]
pub(crate) fn just<K>(key: &K) -> Keys<'_, K> {
    Some((Bound::Included(key), Bound::Included(key)))
}

/// All keys.
#[allow(
    clippy::unnecessary_wraps,
    reason = "no keys at all are another possibility"
)]
pub(crate) fn any<'k, K>() -> Keys<'k, K> {
    Some((Bound::Unbounded, Bound::Unbounded))
}

/// A copy of a partition that follows the log.
pub(crate) struct Copy<S: State> {
    pub(crate) partition: TopicPartition,
    pub(crate) memory: Arc<Memory<S>>,
    log: Arc<dyn Log>,
    /// Memory shows all that was acknowledged up to then.
    current_as_of: Mutex<Instant>,
}

impl<S: State> Copy<S> {
    pub(crate) fn new(
        partition: TopicPartition,
        memory: Arc<Memory<S>>,
        log: Arc<dyn Log>,
    ) -> Self {
        Self {
            partition,
            memory,
            log,
            current_as_of: Mutex::new(Instant::now()),
        }
    }

    /// Memory shows all that was acknowledged up to `moment`.
    pub(crate) fn is_current_as_of(&self, moment: Instant) {
        let mut known = self
            .current_as_of
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *known = moment.max(*known);
    }

    /// How old what memory shows may be.
    pub(crate) fn age(&self) -> Duration {
        let known = self
            .current_as_of
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        known.elapsed()
    }

    /// Says in an answer how old what it shows may be, if it can be known, and up to where it goes.
    pub(crate) fn say_age(&self, age: Option<Duration>, headers: &mut HeaderMap) {
        if let Some(age) = age {
            let age = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
            headers.insert(position::STALENESS, HeaderValue::from(age));
        }
        if let Some(last) = self.memory.applied().checked_sub(1) {
            let value = position::header_value(&self.partition, last);
            headers.insert(position::POSITION, value);
        }
    }

    /// How old what memory shows of a key may be. It can't be known while a transaction is in doubt that writes it, and that may have been committed long ago.
    ///
    /// To be asked *before* memory is: see [`Held`](crate::tx::Held).
    pub(crate) fn age_of(&self, key: &S::Key) -> Option<Duration> {
        let age = self.age();
        (!self.memory.held().is_held(key)).then_some(age)
    }

    /// Waits until memory is as new as a read of these keys wants it. A copy that does not get there in time, or can't know, leaves the read to the owner.
    pub(crate) async fn satisfies(
        &self,
        options: &ReadOptions<'_>,
        keys: Keys<'_, S::Key>,
        deadline: Instant,
    ) -> bool {
        if options.max_staleness.is_none() && options.min_position(&self.partition).is_none() {
            return true;
        }
        let is_young = async {
            match options.max_staleness {
                Some(bound) => self.is_younger_than(bound, deadline).await,
                None => true,
            }
        };
        // What is held is looked at last: if it is free then, all that was committed by the moment that memory is known to be current as of is there, or that has the position.
        self.has_reached(options, deadline).await
            && is_young.await
            && keys.is_none_or(|(from, to)| !self.memory.held().is_held_between(from, to))
    }

    async fn has_reached(&self, options: &ReadOptions<'_>, deadline: Instant) -> bool {
        let Some(position) = options.min_position(&self.partition) else {
            return true;
        };
        reach(&self.partition, &self.memory, position, deadline)
            .await
            .is_ok()
    }

    async fn is_younger_than(&self, bound: Duration, deadline: Instant) -> bool {
        if self.age() <= bound {
            return true;
        }
        // Nothing was heard of the log for longer than that, maybe since nothing happened: ask.
        let asked = Instant::now();
        let Ok(Ok(end)) = timeout_at(deadline, self.log.end(&self.partition)).await else {
            return false;
        };
        let Some(last) = end.checked_sub(1) else {
            return true;
        };
        if reach(&self.partition, &self.memory, last, deadline)
            .await
            .is_err()
        {
            return false;
        }
        self.is_current_as_of(asked);
        true
    }
}

/// Who answers for a partition.
pub(crate) enum Owner<S: State> {
    Here(Arc<Here<S>>),
    Peer(Peer),
}

impl<S: State> Partitions<S> {
    /// The partition that the key belongs to.
    pub(crate) fn locate(&self, key: &S::Key) -> &Arc<Slot<S>> {
        let text = key_text::<S>(key);
        self.locate_text(&partition_text::<S>(&text))
    }

    /// The partition that this text hashes to.
    pub(crate) fn locate_text(&self, text: &str) -> &Arc<Slot<S>> {
        self.locate_bytes(text.as_bytes())
    }

    /// The partition that these bytes hash to.
    pub(crate) fn locate_bytes(&self, bytes: &[u8]) -> &Arc<Slot<S>> {
        let count = u32::try_from(self.slots.len()).expect("partitions are counted in a u32");
        &self.slots[partition(bytes, count) as usize]
    }
}

impl<S: State> Slot<S> {
    /// A partition that is not here yet.
    pub(crate) fn new(
        partition: TopicPartition,
        cluster: Cluster,
        metrics: PartitionMetrics,
        keeper: Option<Arc<Keeper>>,
    ) -> Self {
        Self {
            partition,
            cluster,
            metrics,
            keeper,
            here: ArcSwapOption::empty(),
            copy: ArcSwapOption::empty(),
            changed: watch::Sender::new(()),
            halted: ArcSwapOption::empty(),
            ownerless_since: Mutex::new(Some(Instant::now())),
        }
    }

    /// The partition, if this node owns it at this moment, or is about to.
    pub(crate) fn here(&self) -> Option<Arc<Here<S>>> {
        self.here.load_full()
    }

    /// This node owns it from now on, or no longer.
    pub(crate) fn set_here(&self, here: Option<Arc<Here<S>>>) {
        self.here.store(here);
        self.changed.send_replace(());
    }

    /// What this node has of it.
    pub(crate) fn copy(&self) -> Option<Arc<Copy<S>>> {
        self.copy.load_full()
    }

    /// This node has a copy from now on, or no longer.
    pub(crate) fn set_copy(&self, copy: Option<Arc<Copy<S>>>) {
        let memory = copy.as_ref().map(|copy| copy.memory.clone());
        // Feeds of a memory that nobody follows any more go on elsewhere.
        if let Some(before) = self.copy.swap(copy)
            && memory.is_none_or(|memory| !Arc::ptr_eq(&memory, &before.memory))
        {
            before.memory.recent().close();
        }
    }

    /// This node can't own it, or can again.
    pub(crate) fn set_halted(&self, why: Option<String>) {
        self.halted.store(why.map(Arc::new));
        self.changed.send_replace(());
    }

    /// Why this node can't own it.
    pub(crate) fn halted(&self) -> Option<Arc<String>> {
        self.halted.load_full()
    }

    /// Some node owns it from now on, or none does any more.
    pub(crate) fn set_owned(&self, owned: bool) {
        let mut since = self
            .ownerless_since
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *since = (!owned).then(|| since.unwrap_or_else(Instant::now));
    }

    /// For how long nobody has owned it.
    pub(crate) fn ownerless(&self) -> Duration {
        let since = self
            .ownerless_since
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// This node, if it serves the partition at this moment.
    pub(crate) fn served_here(&self) -> Option<Arc<Here<S>>> {
        let here = self.here.load();
        let here = here.as_ref()?;
        here.phase.borrow().answers().then(|| here.clone())
    }

    /// Who answers for it: waits while nobody does.
    pub(crate) async fn owner(&self, deadline: Instant) -> Result<Owner<S>, Problem> {
        match self.served_here() {
            // What nearly always holds, without a look at anything else, and without room for what waiting takes.
            Some(here) => Ok(Owner::Here(here)),
            None => Box::pin(self.any_owner(deadline)).await,
        }
    }

    async fn any_owner(&self, deadline: Instant) -> Result<Owner<S>, Problem> {
        loop {
            let mut changed = self.changed.subscribe();
            let (view, mut views) = self.cluster.view();
            let here = self.here();
            let mut phase = here.as_ref().map(|here| here.phase.clone());
            if let (Some(here), Some(phase)) = (here, &mut phase)
                && phase.borrow_and_update().answers()
            {
                return Ok(Owner::Here(here));
            }
            if let Some(peer) = view.owner_besides(&self.cluster.me, &self.partition) {
                return Ok(Owner::Peer(peer));
            }
            if self.halted().is_some() {
                return Err(self.has_halted());
            }
            if view.is_nobodys(&self.partition) {
                return Err(crate::call::nobody());
            }
            let phase_changes = async {
                let moved = match &mut phase {
                    Some(phase) => phase.changed().await.is_ok(),
                    None => false,
                };
                if !moved {
                    std::future::pending::<()>().await;
                }
            };
            let any = async {
                select! {
                    _ = changed.changed() => {}
                    _ = views.changed() => {}
                    () = phase_changes => {}
                }
            };
            if timeout_at(deadline, any).await.is_err() {
                return Err(no_owner(&self.partition));
            }
        }
    }

    /// The partition, once this node owns it and serves it.
    pub(crate) async fn serving(&self) -> Arc<Here<S>> {
        loop {
            let mut changed = self.changed.subscribe();
            let Some(here) = self.here() else {
                drop(changed.changed().await);
                continue;
            };
            let mut phase = here.phase.clone();
            if phase.borrow_and_update().answers() {
                return here;
            }
            select! {
                Ok(()) = phase.changed() => {}
                _ = changed.changed() => {}
            }
        }
    }

    /// Whether no node may have it.
    pub(crate) fn is_nobodys(&self) -> bool {
        self.cluster.now().is_nobodys(&self.partition)
    }

    fn has_halted(&self) -> Problem {
        Problem::unavailable(
            format!(
                "partition {} has halted; the operator's log says where and why",
                self.partition
            ),
            RETRY_AFTER_SECONDS,
        )
    }
}

impl<S: State> Here<S> {
    /// What `see` finds in memory, when that is sure not to be stale (rule 8): by the lease, or where that has lapsed by the log itself, which
    /// needs no clock and no coordinator. `strict` asks the log in any case. `keys` are those that it looks at.
    ///
    /// The log is asked *before* memory is looked at. The other way round the partition may have been another node's meanwhile: a writer that was deposed can
    /// have taken it over again by the time at which it appends the fence.
    pub(crate) async fn read<R>(
        &self,
        strict: bool,
        keys: Keys<'_, S::Key>,
        see: impl FnOnce(&Memory<S>) -> R,
    ) -> Result<R, Refusal> {
        if strict || !self.may_answer() {
            if !strict {
                self.metrics.lapsed.inc();
            }
            self.mailbox.ask(Job::Fence).await?;
            self.released(keys).await?;
            return Ok(see(&self.memory));
        }
        self.released(keys).await?;
        let seen = see(&self.memory);
        // If it has lapsed in between, the next try asks the log.
        if self.may_answer() {
            Ok(seen)
        } else {
            Err(Refusal::Moved)
        }
    }

    /// Whether memory can be shown without the log being asked (rule 8). Who has the lock may still be taking over, or have found no room in the log for its barrier: then it is the memory of a
    /// standby.
    fn may_answer(&self) -> bool {
        (self.lock.holds() || is_broken(Bug::NoLease)) && *self.phase.borrow() == Phase::Serving
    }

    /// Waits for the transactions that are prepared and write these keys at this moment: they may be committed, and memory does not show it yet.
    async fn released(&self, keys: Keys<'_, S::Key>) -> Result<(), Refusal> {
        let held = self.memory.held();
        match keys.filter(|_| !held.is_empty()) {
            None => Ok(()),
            Some((from, to)) => Box::pin(self.released_within(from, to)).await,
        }
    }

    async fn released_within(
        &self,
        from: Bound<&S::Key>,
        to: Bound<&S::Key>,
    ) -> Result<(), Refusal> {
        let mut phase = self.phase.clone();
        select! {
            () = self.memory.held().released_within(from, to) => Ok(()),
            _ = phase.wait_for(|phase| *phase == Phase::Leaving) => Err(Refusal::Moved),
        }
    }

    /// Waits until memory shows the record at `position`.
    pub(crate) async fn reach(&self, position: Offset, deadline: Instant) -> Result<(), Problem> {
        reach(&self.partition, &self.memory, position, deadline).await
    }
}

/// Waits until memory shows the record at `position`.
async fn reach<S: State>(
    partition: &TopicPartition,
    memory: &Memory<S>,
    position: Offset,
    deadline: Instant,
) -> Result<(), Problem> {
    let reached = async {
        while memory.applied() <= position {
            tokio::time::sleep(POSITION_POLL).await;
        }
    };
    if memory.applied() > position {
        return Ok(());
    }
    timeout_at(deadline, reached).await.map_err(|_| {
        Problem::unavailable(
            format!(
                "partition {partition} is at offset {}, short of the `Memgen-Min-Position` {position}",
                memory.applied()
            ),
            RETRY_AFTER_SECONDS,
        )
    })
}

#[cfg(all(test, feature = "testing"))]
mod tests;

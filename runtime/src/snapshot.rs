//! Snapshots: what a node keeps of its partitions, so that a restart reads only the tail of the log.
//!
//! A snapshot is never the truth, and nothing rests upon it: whoever loses all of them loses time and nothing else.
//!
//! # Why it is right although nobody stops
//!
//! A snapshot is a *cut* and a *walk*. The cut is a copy of the fold between two records, as of the offset B; it is small. The walk goes through the memory
//! afterwards, in pieces, while records go on being applied. So the entities are of different times: each is as it was at some moment between the cut and the end
//! of the walk, when nothing at or behind the offset E had been applied. Such a thing never was the state. It becomes the state when the log is read from B to E, since
//!
//! - the fold is exactly that of B, so that the same records count, the same keys are owed a repair and the same requests are answered again as without a snapshot;
//! - a record sets or deletes a whole value, so what is applied a second time is as if it had been applied once;
//! - a key whose value was seen too new is set by the very record that made it so, or by a later one if compaction has taken that; and a deletion is in the log for as long
//!   as rule 11 lets the snapshot be used.
//!
//! Before E nothing is read from such a copy, and it does not count as in sync. A log that ends before E is another log, or one that has lost something.
//!
//! # When it may be used (rule 11)
//!
//! A deletion may be gone from the log `delete.retention.ms` after it was written. What was last caught up longer ago than 0.8 of that is not continued: neither a snapshot
//! nor the memory of a node that was away. It is discarded, and the log read from its start. See [`clock`](crate::clock) for how that time is measured.
//!
//! | module | what |
//! |---|---|
//! | `format` | the bytes |
//! | `write` | a cut and a walk -> bytes |
//! | `load` | bytes -> fold and memory |
//! | `depot` | the seam to where they are kept |
//! | `build` | which build it has to be of |
//! | `peers` | from node to node |
//! | `restore` | the newest one that can be used -> a replica that goes on from it |

#[cfg(feature = "fuzzing")]
pub(crate) mod again;
pub(crate) mod build;
pub(crate) mod depot;
mod format;
mod load;
pub(crate) mod peers;
mod restore;
mod write;

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwapOption;
use tokio::sync::{Semaphore, watch};
use tracing::{debug, warn};

use self::{
    depot::Depot,
    format::{Head, Reader, Unusable},
};
pub(crate) use self::{
    restore::{Restored, restore},
    write::Cut,
};
use crate::{
    ambient::{let_others_work, processors, spawn, work},
    broken::{Bug, is_broken},
    clock::{Clock, Moment},
    fold::Seen,
    log::{Retention, TopicPartition},
    memory::Memory,
    metrics::PartitionMetrics,
    record::Offset,
    state::State,
};

/// How long after it was loaded a snapshot begins to be decoded, if nobody asks for what is in it: other partitions that start have the processors until then.
const DECODE_AFTER: Duration = Duration::from_secs(1);

/// How long to wait, after a try that failed, before a snapshot is renewed because it gets old.
const RENEW_EVERY_MIN: Duration = Duration::from_secs(60);

/// What all snapshots of a node have in common.
pub(crate) struct Snapshots {
    pub(crate) clock: Arc<dyn Clock>,
    /// Where they are kept; none if none are made.
    pub(crate) depot: Option<Arc<dyn Depot>>,
    /// How much the log of a partition grows at least before a new one is made.
    pub(crate) records_min: u64,
    /// Those that are loaded at once, or copied from a peer.
    loads: Semaphore,
    /// One is written at a time: it takes a processor and the disk, and nobody waits for it.
    turn: Arc<Semaphore>,
    /// Those that wait for their turn or are being written.
    pending: watch::Sender<usize>,
    cancelled: AtomicBool,
}

impl Snapshots {
    pub(crate) fn new(
        clock: Arc<dyn Clock>,
        depot: Option<Arc<dyn Depot>>,
        records_min: u64,
    ) -> Arc<Self> {
        Arc::new(Self {
            clock,
            depot,
            records_min,
            loads: Semaphore::new(processors()),
            turn: Arc::new(Semaphore::new(1)),
            pending: watch::Sender::new(0),
            cancelled: AtomicBool::new(false),
        })
    }

    /// Waits until what was begun is written, for so long at most. What is not is given up.
    pub(crate) async fn settle(&self, patience: Duration) {
        let mut pending = self.pending.subscribe();
        let settled = pending.wait_for(|pending| *pending == 0);
        if tokio::time::timeout(patience, settled).await.is_err() {
            warn!("a snapshot was not written when the time to stop was up");
        }
        self.cancelled.store(true, Ordering::Release);
    }

    /// What is awaited after each piece of a walk.
    async fn between(&self) -> io::Result<()> {
        let_others_work().await;
        if self.cancelled.load(Ordering::Acquire) {
            return Err(io::Error::other("the node stops"));
        }
        Ok(())
    }
}

/// What is known of the snapshot that is kept of a partition.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kept {
    /// Where the log goes on.
    pub(crate) position: Offset,
    /// The last record before that.
    last: Option<Seen>,
    pub(crate) current: Moment,
    pub(crate) bytes: u64,
}

/// Keeps the snapshot of one partition, and says what is too old.
pub(crate) struct Keeper {
    pub(crate) common: Arc<Snapshots>,
    pub(crate) partition: TopicPartition,
    retention: Retention,
    /// The fingerprint of the layout that is written.
    layout: u64,
    /// The build that it has to be of, if that matters.
    build: Option<u64>,
    kept: ArcSwapOption<Kept>,
    /// Where the log went on when the last one was begun, whatever became of it.
    tried: AtomicU64,
    /// When, in milliseconds since the machine's start.
    tried_ms: AtomicU64,
    busy: AtomicBool,
    /// The one that is being made shows what may be lost.
    spoilt: AtomicBool,
    metrics: PartitionMetrics,
}

impl Keeper {
    /// The keeper of a partition. A snapshot that can't be used is discarded now.
    pub(crate) fn new(
        common: Arc<Snapshots>,
        partition: TopicPartition,
        retention: Retention,
        layout: u64,
        build: Option<u64>,
        metrics: PartitionMetrics,
    ) -> Arc<Self> {
        let keeper = Self {
            common,
            partition,
            retention,
            layout,
            build,
            kept: ArcSwapOption::empty(),
            tried: AtomicU64::new(0),
            tried_ms: AtomicU64::new(0),
            busy: AtomicBool::new(false),
            spoilt: AtomicBool::new(false),
            metrics,
        };
        match keeper.look() {
            Ok(Some(kept)) => keeper.set_kept(kept),
            Ok(None) => {}
            Err(unusable) => keeper.discard(&unusable),
        }
        Arc::new(keeper)
    }

    /// What is kept, by its head alone.
    fn look(&self) -> Result<Option<Kept>, Unusable> {
        let Some(depot) = &self.common.depot else {
            return Ok(None);
        };
        let Some((input, bytes)) = depot.open(&self.partition)? else {
            return Ok(None);
        };
        let first = Reader::begin(input)?.next()?;
        let head = first.ok_or(Unusable::NoSnapshot)?.head()?;
        self.admit(&head)?;
        Ok(Some(Kept {
            position: head.next,
            last: head.last(),
            current: head.current,
            bytes,
        }))
    }

    /// Whether a snapshot is of this partition, as this build writes it, and new enough.
    fn admit(&self, head: &Head) -> Result<(), Unusable> {
        let foreign = |what: &str, is: &dyn std::fmt::Display, must: &dyn std::fmt::Display| {
            Err(Unusable::Foreign(format!("{what} {is}, not {must}")))
        };
        let of = TopicPartition::new(head.topic.as_str(), head.partition);
        if of != self.partition {
            return foreign("the partition", &of, &self.partition);
        }
        if head.topic_id != self.retention.topic_id {
            return foreign(
                "a topic that had this name before:",
                &head.topic_id,
                &self.retention.topic_id,
            );
        }
        if head.layout != self.layout {
            // What it has no place for is in the log only.
            return foreign(
                "a build that lays values out in another way:",
                &format_args!("{:016x}", head.layout),
                &format_args!("{:016x}", self.layout),
            );
        }
        if head.build != self.build {
            return Err(Unusable::Foreign(
                "another build, whose migrations may have made something else of older values"
                    .to_owned(),
            ));
        }
        match self.too_old(&head.current) {
            Some(why) => Err(Unusable::TooOld(why)),
            None => Ok(()),
        }
    }

    /// What it is that a moment is too long ago for, if it is (rule 11).
    pub(crate) fn too_old(&self, current: &Moment) -> Option<String> {
        let limit = self.retention.deletions * 4 / 5;
        match current.age_at(&self.common.clock.now()) {
            Some(age) if age <= limit || is_broken(Bug::AnyAge) => None,
            age => Some(format!(
                "it was last caught up {}, and deletions are in the log for {} s: it is not continued after {} s",
                age.map_or_else(
                    || "at a time that is to come".to_owned(),
                    |age| format!("{} s ago", age.as_secs())
                ),
                self.retention.deletions.as_secs(),
                limit.as_secs()
            )),
        }
    }

    /// Whether a snapshot would be worth its while, now that the log goes on at `next`: half as many records are new as there are keys, and not too few.
    pub(crate) fn is_due(&self, next: Offset, keys: usize) -> bool {
        if self.busy.load(Ordering::Acquire) {
            return false;
        }
        let grown = next.saturating_sub(self.tried.load(Ordering::Acquire));
        if grown >= self.common.records_min.max(keys as u64 / 2) {
            return self.makes_any();
        }
        // One of which the log does not grow gets old as well.
        let Some(kept) = &*self.kept.load() else {
            return false;
        };
        let now = self.common.clock.now();
        let tried = Duration::from_millis(
            now.since_boot_ms
                .saturating_sub(self.tried_ms.load(Ordering::Acquire)),
        );
        let age = kept.current.age_at(&now);
        age.is_none_or(|age| age > self.retention.deletions / 4) && tried > RENEW_EVERY_MIN
    }

    /// Whether the tail is long enough for a last snapshot before the copy goes.
    pub(crate) fn is_due_at_the_end(&self, next: Offset) -> bool {
        let grown = next.saturating_sub(self.tried.load(Ordering::Acquire));
        grown >= self.common.records_min && self.makes_any()
    }

    /// The memory gets what may be lost: a snapshot that is being made of it is given up.
    pub(crate) fn spoil(&self) {
        self.spoilt.store(true, Ordering::Release);
    }

    fn makes_any(&self) -> bool {
        self.common.depot.is_some()
    }

    /// Makes a snapshot in the background, unless one is being made.
    pub(crate) fn make<S: State>(self: &Arc<Self>, cut: Cut<S>) {
        let Some(depot) = self.common.depot.clone() else {
            return;
        };
        if self.busy.swap(true, Ordering::AcqRel) {
            return;
        }
        self.spoilt.store(false, Ordering::Release);
        self.tried.store(cut.fold.next(), Ordering::Release);
        let now = self.common.clock.now();
        self.tried_ms.store(now.since_boot_ms, Ordering::Release);
        self.common.pending.send_modify(|pending| *pending += 1);
        let pending = Pending(Arc::clone(self));
        let turn = self.common.turn.clone();
        spawn(async move {
            let _turn = turn.acquire_owned().await;
            // A panic is this snapshot's only.
            drop(work(async move { pending.0.write(&*depot, &cut).await }).await);
        });
    }

    /// Decodes in the background what was loaded and nobody has asked for yet.
    pub(crate) fn decode<S: State>(self: &Arc<Self>, memory: &Arc<Memory<S>>) {
        let (keeper, memory) = (Arc::clone(self), Arc::downgrade(memory));
        spawn(async move {
            tokio::time::sleep(DECODE_AFTER).await;
            let common = keeper.common.clone();
            let _turn = common.turn.acquire().await;
            let decode = async move {
                let mut pieces = 0..;
                // One that is used no more need not be decoded.
                while let Some((memory, piece)) = memory.upgrade().zip(pieces.next())
                    && memory.decode(piece)
                    && keeper.common.between().await.is_ok()
                {}
            };
            // A type that panics while it is read does so again for whoever looks.
            drop(work(decode).await);
        });
    }

    async fn write<S: State>(&self, depot: &dyn Depot, cut: &Cut<S>) {
        let begun = tokio::time::Instant::now();
        match self.try_write(depot, cut).await {
            Ok(kept) => {
                debug!(
                    partition = %self.partition,
                    position = kept.position,
                    bytes = kept.bytes,
                    seconds = begun.elapsed().as_secs_f64(),
                    "wrote a snapshot"
                );
                self.metrics.snapshots.inc();
                self.set_kept(kept);
            }
            Err(error) => {
                warn!(partition = %self.partition, %error, "no snapshot: a restart will read more of the log");
            }
        }
    }

    async fn try_write<S: State>(&self, depot: &dyn Depot, cut: &Cut<S>) -> io::Result<Kept> {
        let ballot = |ballot: crate::record::Ballot| (ballot.epoch, ballot.incarnation);
        let last = cut.fold.last();
        let head = Head {
            topic: self.partition.topic.to_string(),
            partition: self.partition.partition,
            topic_id: self.retention.topic_id.clone(),
            layout: self.layout,
            build: self.build,
            next: cut.fold.next(),
            ballot: ballot(cut.fold.ballot()),
            last: last.map(|last| (last.offset, ballot(last.ballot), last.timestamp_ms)),
            last_is_stale: !cut.fold.last_counts(),
            current: cut.current,
        };
        let draft = depot.begin(&self.partition)?;
        let (draft, bytes) = write::write(cut, &head, draft, || self.common.between()).await?;
        if self.spoilt.load(Ordering::Acquire) {
            return Err(io::Error::other("the memory got what may be lost"));
        }
        draft.keep()?;
        Ok(Kept {
            position: head.next,
            last,
            current: head.current,
            bytes,
        })
    }

    /// Another one is kept now, or none.
    fn look_again(&self) {
        if let Ok(Some(kept)) = self.look() {
            self.set_kept(kept);
        }
    }

    fn set_kept(&self, kept: Kept) {
        self.tried.fetch_max(kept.position, Ordering::AcqRel);
        let bytes = i64::try_from(kept.bytes).unwrap_or(i64::MAX);
        self.metrics.snapshot_bytes.set(bytes);
        let seconds = i64::try_from(kept.current.wall_ms / 1000).unwrap_or(i64::MAX);
        self.metrics.snapshot_seconds.set(seconds);
        self.kept.store(Some(Arc::new(kept)));
    }

    /// What is kept.
    pub(crate) fn kept(&self) -> Option<Kept> {
        self.kept.load().as_ref().map(|kept| **kept)
    }

    /// The snapshot can't be used, and is removed.
    pub(crate) fn discard(&self, why: &dyn std::fmt::Display) {
        let Some(depot) = &self.common.depot else {
            return;
        };
        warn!(partition = %self.partition, "discards the snapshot: {why}");
        self.metrics.snapshots_discarded.inc();
        if let Err(error) = depot.discard(&self.partition) {
            warn!(partition = %self.partition, %error, "can't remove the snapshot");
        }
        self.forget();
    }

    fn forget(&self) {
        self.kept.store(None);
        self.tried.store(0, Ordering::Release);
        self.metrics.snapshot_bytes.set(0);
        self.metrics.snapshot_seconds.set(0);
    }

    /// How many were written.
    #[cfg(all(test, feature = "testing"))]
    pub(crate) fn written(&self) -> u64 {
        self.metrics.snapshots.get()
    }

    /// How many could not be used.
    #[cfg(all(test, feature = "testing"))]
    pub(crate) fn discarded(&self) -> u64 {
        self.metrics.snapshots_discarded.get()
    }
}

/// A snapshot that is under way, whatever becomes of it.
struct Pending(Arc<Keeper>);

impl Drop for Pending {
    fn drop(&mut self) {
        self.0.busy.store(false, Ordering::Release);
        let pending = &self.0.common.pending;
        pending.send_modify(|pending| *pending = pending.saturating_sub(1));
    }
}

#[cfg(all(test, feature = "testing"))]
mod tests;

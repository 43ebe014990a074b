//! What looks after one partition at this node: follows its log as a standby, takes it over, owns it, and gives it away.
//!
//! It does what the plan says. The coordinator's lock nominates, the log decides; both in `log-protocol.md`, rule 2.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{Semaphore, SemaphorePermit, watch},
    time::Instant,
};
use tracing::{debug, error, info, warn};

use crate::{
    ambient::{select, spawn, work},
    budget::Budget,
    cluster::{Cluster, Part},
    coordinator::{CoordinatorError, Lock, View},
    feed::History,
    fold::Horizon,
    log::{Log, LogError, TopicPartition},
    mailbox::Mailbox,
    migration::Readers,
    partitions::{Copy, Here, Slot},
    record::Record,
    replay_progress::ReplayProgress,
    replica::{ReplayError, Replica},
    schemas::Schemas,
    snapshot::{Restored, Snapshots, restore},
    state::State,
    tx::Others,
    writer::{Bounds, Order, Phase, Writer},
};

/// How long to wait before the next try where the log or the coordinator does not answer.
const RETRY: Duration = Duration::from_millis(200);

/// How often a standby looks at the end of a log of which it hears nothing, so that it knows that it misses nothing (rule 11).
const LOOK_EVERY: Duration = Duration::from_secs(600);

/// What a snapshot may lack so that it is read on like any standby, as one of many at the same time: most of that is waiting for the log.
const SHORT_TAIL: u64 = 1000;

/// What tenders of all partitions have in common.
pub(crate) struct Tending {
    pub(crate) log: Arc<dyn Log>,
    pub(crate) cluster: Cluster,
    pub(crate) horizon: Horizon,
    pub(crate) bounds: Bounds,
    pub(crate) budget: Arc<Budget>,
    /// What is kept for feeds.
    pub(crate) history: History,
    pub(crate) queue_max: usize,
    pub(crate) incarnation: u64,
    /// The owners of all partitions, for transactions.
    pub(crate) others: Arc<dyn Others>,
    pub(crate) schemas: Arc<Schemas>,
    /// Long replays that run at once.
    pub(crate) replays: Arc<Semaphore>,
    pub(crate) progress: Arc<ReplayProgress>,
    pub(crate) snapshots: Arc<Snapshots>,
    /// Whether nothing of the log answers.
    pub(crate) cut_off: watch::Receiver<bool>,
    pub(crate) stop: watch::Receiver<bool>,
}

/// A copy, and what became of reading the log for it.
struct Replayed<S: State> {
    replica: Replica<S>,
    /// It shows all that was acknowledged before, if it is caught up.
    begun: Instant,
    caught_up: Result<(), ReplayError>,
}

/// Looks after one partition.
pub(crate) struct Tender<S: State> {
    common: Arc<Tending>,
    slot: Arc<Slot<S>>,
    readers: Arc<Readers<S>>,
    /// The copy, if there is one.
    replica: Option<Replica<S>>,
    /// Whether the others know that the copy is up to date.
    announced: bool,
}

impl<S: State> Tender<S> {
    pub(crate) fn new(common: Arc<Tending>, slot: Arc<Slot<S>>, readers: Arc<Readers<S>>) -> Self {
        Self {
            common,
            slot,
            readers,
            replica: None,
            announced: false,
        }
    }

    /// Does what the plan says, until the node stops.
    pub(crate) async fn run(mut self) {
        let (_, mut views) = self.common.cluster.view();
        let mut stop = self.common.stop.clone();
        let mut cut_off = self.common.cut_off.clone();
        loop {
            if *stop.borrow() {
                if let Some(replica) = &self.replica {
                    replica.last_snapshot();
                }
                return;
            }
            if *cut_off.borrow_and_update() {
                self.announce(false);
            }
            let view = views.borrow_and_update().clone();
            self.slot.set_owned(view.holder(self.partition()).is_some());
            let done = match view.part(&self.common.cluster.me, self.partition()) {
                Part::Nothing => {
                    self.drop_copy();
                    Ok(())
                }
                Part::Standby => self.follow().await,
                Part::Owner => self.own(&mut views, &mut stop).await,
            };
            if let Err(halt) = done {
                self.halt(&halt).await;
                continue;
            }
            let spoilt = async {
                match &self.replica {
                    Some(replica) => replica.until_spoilt().await,
                    None => std::future::pending().await,
                }
            };
            let grown = async {
                match &self.replica {
                    // A log that can't say so is asked again after a while.
                    Some(replica) => {
                        let grown = self
                            .common
                            .log
                            .grown(self.partition(), replica.reads_from());
                        if grown.await.is_err() {
                            tokio::time::sleep(RETRY).await;
                        }
                    }
                    None => std::future::pending().await,
                }
            };
            select! {
                _ = views.changed() => {}
                // Also if that was said while the partition was owned.
                () = async { drop(stop.wait_for(|stop| *stop).await) } => {}
                Ok(()) = cut_off.changed() => {}
                () = grown => {}
                spoilt = spoilt => self.halt(&spoilt).await,
                // A log that does not grow is caught up with, and its snapshot may get old.
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    fn partition(&self) -> &TopicPartition {
        &self.slot.partition
    }

    /// Follows the log to its end, or until the node stops.
    async fn follow(&mut self) -> Result<(), ReplayError> {
        let partition = self.partition().clone();
        let Replayed {
            replica,
            begun,
            caught_up,
        } = if let Some(mut replica) = self.replica.take() {
            let begun = Instant::now();
            let mut stop = self.common.stop.clone();
            let caught_up = select! {
                caught_up = replica.catch_up(None, |_, _, _| ()) => Some(caught_up),
                _ = stop.wait_for(|stop| *stop) => None,
            };
            let Some(caught_up) = caught_up else {
                let applied = replica.apply_gathered();
                self.replica = Some(replica);
                return applied;
            };
            Replayed {
                replica,
                begun,
                caught_up,
            }
        } else {
            self.replay().await?
        };
        let copy = self.slot.copy();
        let copy = copy.unwrap_or_else(|| {
            let (memory, log) = (replica.memory().clone(), self.common.log.clone());
            Arc::new(Copy::new(partition, memory, log))
        });
        copy.is_current_as_of(begun);
        self.slot
            .metrics
            .epoch
            .set(i64::try_from(replica.fold.ballot().epoch).unwrap_or(i64::MAX));
        if caught_up.is_ok() {
            replica.snapshot_if_due();
        }
        self.replica = Some(replica);
        caught_up?;
        self.slot.set_copy(Some(copy));
        self.announce(true);
        Ok(())
    }

    /// Makes a copy of the partition: from its snapshot and the tail of the log, or from the whole log.
    async fn replay(&self) -> Result<Replayed<S>, ReplayError> {
        let (common, slot) = (&self.common, &self.slot);
        if let Some(keeper) = &slot.keeper {
            let asked = keeper.ask(&common.log);
            let progress = common.progress.clone();
            let restored = restore(
                common.log.clone(),
                keeper,
                Some(&common.cluster),
                common.horizon,
                self.readers.clone(),
                asked,
                move |bytes| progress.add_bytes(bytes),
            );
            if let Some(Restored { replica, end }) = restored.await? {
                let lacks = end.saturating_sub(replica.reads_from());
                let turn = if lacks > SHORT_TAIL {
                    self.turn().await
                } else {
                    None
                };
                let replayed = self.read_on(replica, turn).await?;
                match replayed.caught_up {
                    // The log is not what it was, or it took too long to get here.
                    Err(
                        error @ (ReplayError::TooOld { .. }
                        | ReplayError::Log(LogError::OutOfRange { .. })),
                    ) => keeper.discard(&error),
                    _ => return Ok(replayed),
                }
            }
        }
        let turn = self.turn().await;
        let mut replica = Replica::new(
            common.log.clone(),
            slot.partition.clone(),
            common.horizon,
            self.readers.clone(),
        );
        if let Some(keeper) = &slot.keeper {
            // An empty memory at the start of the log misses nothing.
            replica.keep(keeper.clone(), keeper.common.clock.now(), 0);
        }
        self.read_on(replica, turn).await
    }

    /// The right to read what takes long; some at once have it, so that the first of many partitions need not wait for the last.
    async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        // It is never closed.
        self.common.replays.acquire().await.ok()
    }

    /// Reads the log from where a new copy is to its end. Who has a `turn` does so off the threads that serve requests.
    async fn read_on(
        &self,
        mut replica: Replica<S>,
        turn: Option<SemaphorePermit<'_>>,
    ) -> Result<Replayed<S>, ReplayError> {
        replica.memory().recent().bound(self.common.history);
        let (metrics, progress) = (self.slot.metrics.clone(), self.common.progress.clone());
        let seen = move |_, record: &Record, _| {
            metrics.replayed.inc();
            progress.add(record);
        };
        let reading = async move {
            let begun = Instant::now();
            let caught_up = replica.catch_up(None, seen).await;
            Replayed {
                replica,
                begun,
                caught_up,
            }
        };
        if turn.is_none() {
            return Ok(reading.await);
        }
        work(reading)
            .await
            .map_err(|panic| ReplayError::panicked(self.partition(), &panic))
    }

    /// Gets the lock if it is free, takes the partition over by the log, and serves until it has to go.
    async fn own(
        &mut self,
        views: &mut watch::Receiver<Arc<View>>,
        stop: &mut watch::Receiver<bool>,
    ) -> Result<(), ReplayError> {
        let partition = self.partition().clone();
        let me = self.common.cluster.me.clone();
        let coordinator = self.common.cluster.coordinator.clone();
        let view = views.borrow().clone();
        let holder = view.holder(&partition);
        let holder = holder.filter(|holder| *holder.node != *me);
        let is_held = holder.is_some_and(|holder| !self.common.cluster.is_gone(holder));
        // Before the lock is asked for, so that nobody waits for a node that has yet to read. One that is in sync reads what little it lacks as the owner.
        if is_held || !self.announced {
            self.follow().await?;
        }
        if is_held {
            return Ok(());
        }
        if let Some(holder) = holder {
            match coordinator.remove(&partition, holder).await {
                Ok(true) => {
                    info!(%partition, of = holder.node, "removed the lock of a process that is gone");
                }
                Ok(false) => return self.follow().await,
                Err(error) => return self.later(&error, views).await,
            }
        }
        let lock = match coordinator.acquire(&partition).await {
            Ok(Some(lock)) => lock,
            Ok(None) => {
                debug!(%partition, "another node was faster");
                return self.follow().await;
            }
            Err(error) => return self.later(&error, views).await,
        };
        let ended = self.serve(&lock, views, stop).await;
        lock.release().await;
        // What made it end was seen while it owned; that may be the last that changes for long, and the plan may still want it to own.
        views.mark_changed();
        ended
    }

    /// Tries again after a while, since the coordinator does not answer.
    async fn later(
        &self,
        error: &CoordinatorError,
        views: &mut watch::Receiver<Arc<View>>,
    ) -> Result<(), ReplayError> {
        warn!(partition = %self.partition(), %error, "can't contend for the partition");
        tokio::time::sleep(RETRY).await;
        views.mark_changed();
        Ok(())
    }

    /// Owns the partition for as long as the plan says, the lock is not known to be lost, and the log agrees.
    async fn serve(
        &mut self,
        lock: &Arc<dyn Lock>,
        views: &mut watch::Receiver<Arc<View>>,
        stop: &mut watch::Receiver<bool>,
    ) -> Result<(), ReplayError> {
        let Some(replica) = self.replica.take() else {
            return Ok(());
        };
        let partition = self.partition().clone();
        let memory = replica.memory().clone();
        let is_spoilt = || memory.spoilt().get().is_some();
        let (mailbox, inbox) = Mailbox::new(self.common.queue_max);
        let may_lose_its_tail = replica.may_lose_its_tail();
        let (phase, phase_seen) = watch::channel(Phase::Starting);
        let (order, orders) = watch::channel(Order::Serve);
        let way_back = mailbox.downgrade();
        let here = Arc::new(Here {
            partition: partition.clone(),
            memory: memory.clone(),
            mailbox,
            phase: phase_seen,
            lock: lock.clone(),
            metrics: self.slot.metrics.clone(),
            incarnation: self.common.incarnation,
        });
        self.slot.set_here(Some(here));
        self.slot.set_owned(true);
        self.slot.metrics.owned.set(1);
        let writer = Writer {
            replica,
            inbox,
            mailbox: way_back,
            others: self.common.others.clone(),
            schemas: self.common.schemas.clone(),
            phase,
            orders,
            lock: lock.clone(),
            bounds: self.common.bounds,
            budget: self.common.budget.clone(),
            metrics: self.slot.metrics.clone(),
            incarnation: self.common.incarnation,
        };
        let me = self.common.cluster.me.clone();
        // A task of its own, so that a panic in it is this partition's only.
        let mut running = spawn(writer.run());
        let mut cut_off = self.common.cut_off.clone();
        let ended = loop {
            select! {
                ended = &mut running => break ended,
                _ = views.changed() => {}
                _ = stop.changed() => {}
                Ok(()) = cut_off.changed() => {}
                _ = memory.spoilt().wait(), if !is_spoilt() => {}
            }
            let goes_on = views.borrow_and_update().part(&me, &partition) == Part::Owner;
            if !goes_on || is_spoilt() || lock.is_lost() || *stop.borrow() {
                // What is on its way to a log that does not answer is for the next owner to find.
                let settles = !*cut_off.borrow();
                debug!(%partition, settles, "leaves");
                order.send_replace(if settles {
                    Order::Leave
                } else {
                    Order::Abandon
                });
                // While it settles: the log keeps its writes apart from those of the next owner, and without the lock it answers nothing by its lease. Where the log may lose its
                // tail, an acknowledgement needs the lease.
                if !may_lose_its_tail {
                    drop(lock.release());
                }
            }
        };
        self.slot.set_here(None);
        self.slot.metrics.owned.set(0);
        if let Some(why) = memory.spoilt().get() {
            let why = why.clone();
            return Err(ReplayError::Spoilt { partition, why });
        }
        let Ok((replica, ended)) = ended else {
            return Err(ReplayError::Poison {
                partition,
                offset: 0,
                what: "the writer panicked".to_owned(),
            });
        };
        self.replica = Some(replica);
        ended
    }

    fn announce(&mut self, in_sync: bool) {
        if self.announced == in_sync {
            return;
        }
        self.announced = in_sync;
        let partition = self.partition().clone();
        self.common.cluster.coordinator.update(&mut |node| {
            if in_sync {
                node.in_sync.insert(partition.clone());
            } else {
                node.in_sync.remove(&partition);
            }
        });
    }

    fn drop_copy(&mut self) {
        if let Some(replica) = self.replica.take() {
            replica.last_snapshot();
            debug!(partition = %self.partition(), "no longer followed here");
        }
        self.slot.set_copy(None);
        self.announce(false);
    }

    /// This node can't follow the log any further. It says so, and tries again after a while only if it was the log that did not answer.
    async fn halt(&mut self, halt: &ReplayError) {
        if let ReplayError::TooOld { .. }
        | ReplayError::LostTail { .. }
        | ReplayError::Spoilt { .. } = halt
        {
            let keeper = self.slot.keeper.as_ref();
            if let ReplayError::Spoilt { why, .. } = halt
                && let Some(keeper) = keeper
            {
                keeper.discard(why);
            }
            if let ReplayError::LostTail { lost, .. } = halt {
                self.slot.metrics.tails_lost.inc();
                self.slot.metrics.records_lost.inc_by(*lost);
                error!("{halt}. What is in memory is discarded, and read anew");
            } else {
                warn!("{halt}. What is in memory is discarded, and read anew");
            }
            self.replica = None;
            self.slot.set_copy(None);
            self.announce(false);
            return;
        }
        error!(partition = %self.partition(), "{halt}");
        self.slot.set_halted(Some(halt.to_string()));
        self.announce(false);
        let mut stop = self.common.stop.clone();
        let retry = matches!(halt, ReplayError::Log(LogError::Io { .. }));
        if retry {
            drop(tokio::time::timeout(RETRY * 5, stop.wait_for(|stop| *stop)).await);
            self.slot.set_halted(None);
        } else {
            drop(stop.wait_for(|stop| *stop).await);
        }
    }
}

#[cfg(all(test, feature = "testing"))]
mod tests;

//! How much memory the process takes, and may take.
//!
//! State lives in memory, so a service that only ever takes in more is killed by the system one day, and its standbys, which hold the same, soon after it. Before that a
//! write that makes its partition grow is refused (507), at this node or where a standby of the partition has no room; reads go on, and writes that free room.
//!
//! The system says what the process takes, which counts all there is. What is freed stays with the process, ready to be used again, so that number hardly ever falls:
//! from the moment at which it is too high, what the entities add up to says whether there is room again (see [`Ceiling`]).

mod machine;

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use serde::Serialize;
use tokio::{
    sync::watch,
    time::{MissedTickBehavior, interval},
};
use tracing::{info, warn};

pub(crate) use self::machine::resident_bytes;
use crate::{
    admin::Health,
    ambient::select,
    broken::{Bug, is_broken},
    coordinator::View,
    log::TopicPartition,
};

/// How often the process is looked at. In that time a machine takes in some megabytes.
const EVERY: Duration = Duration::from_millis(100);

/// What an entity takes beside its key and value: places in maps, counts of references, what the allocator rounds up.
const ENTITY_BYTES: u64 = 128;

/// How much memory one node may take. Clones of the [`Arc`] are the same.
#[derive(Debug)]
pub(crate) struct Budget {
    /// In bytes.
    max: u64,
    resident: AtomicU64,
    spent: AtomicBool,
    /// Partitions of which another node that follows them has no room.
    crowded: ArcSwap<BTreeSet<TopicPartition>>,
}

/// What `/status` says of it.
#[derive(Debug, Serialize)]
pub(crate) struct MemoryStatus {
    bytes: u64,
    max_bytes: u64,
    /// Writes that need more are refused.
    full: bool,
}

impl Budget {
    /// That of a process that may take so much, or four fifths of what the machine or the container has.
    pub(crate) fn new(max: Option<usize>) -> Self {
        let max = match max {
            Some(max) => max as u64,
            None => machine::memory_bytes().map_or(u64::MAX, |bytes| bytes / 5 * 4),
        };
        Self {
            max,
            resident: AtomicU64::new(resident_bytes().unwrap_or(0)),
            spent: AtomicBool::new(false),
            crowded: ArcSwap::default(),
        }
    }

    /// Why a partition may not grow, if it may not.
    pub(crate) fn refuses(&self, partition: &TopicPartition) -> Option<String> {
        if is_broken(Bug::NoBudget) {
            return None;
        }
        if self.spent.load(Ordering::Relaxed) {
            let (resident, max) = (self.resident.load(Ordering::Relaxed), self.max);
            return Some(format!(
                "this node has no memory left for more state: it takes {} MiB of the {} that it may take (--memory-max)",
                resident >> 20,
                max >> 20
            ));
        }
        let crowded = self.crowded.load();
        (!crowded.is_empty() && crowded.contains(partition))
            .then(|| format!("a node that follows {partition} has no memory left for more state"))
    }

    pub(crate) fn status(&self) -> MemoryStatus {
        MemoryStatus {
            bytes: self.resident.load(Ordering::Relaxed),
            max_bytes: self.max,
            full: self.spent.load(Ordering::Relaxed),
        }
    }
}

#[cfg(test)]
impl Budget {
    /// From now on these partitions may not grow.
    pub(crate) fn refuse(&self, partition: TopicPartition) {
        self.crowded.store(Arc::new([partition].into()));
    }
}

/// No bound at all.
#[cfg(test)]
impl Default for Budget {
    fn default() -> Self {
        Self::new(Some(usize::MAX))
    }
}

/// From when on there is no room.
///
/// As soon as the process takes too much, what its entities add up to at that moment is as much as there is room for. If they go on to be replaced and the process grows
/// all the same, since what is freed is of other sizes than what is needed, it is less.
#[derive(Debug, Default)]
struct Ceiling {
    /// What the process took when it was seen to take too much, and what the entities added up to.
    reached: Option<(u64, u64)>,
}

impl Ceiling {
    /// Whether there is no room. `held` says what the entities add up to.
    fn see(&mut self, resident: u64, max: u64, held: impl FnOnce() -> u64) -> bool {
        if resident <= max {
            self.reached = None;
            return false;
        }
        let held = held();
        let (at, ceiling) = *self.reached.get_or_insert((resident, held));
        if resident > at + at / 16 {
            self.reached = Some((resident, held.min(ceiling)));
            return true;
        }
        held >= ceiling
    }
}

/// What keeps the budget of a node up to date.
pub(crate) struct BudgetWatch(pub(crate) Arc<Health>);

impl BudgetWatch {
    /// Runs until the node stops.
    pub(crate) async fn run(self, mut stopped: watch::Receiver<bool>) {
        let Health {
            budget,
            metrics,
            nodes,
            ..
        } = &*self.0;
        let max = budget.max;
        metrics
            .memory_max
            .set(i64::try_from(max).unwrap_or(i64::MAX));
        let mut ceiling = Ceiling::default();
        select! {
            () = machine::is_told() => {}
            () = async { drop(stopped.wait_for(|stopped| *stopped).await) } => return,
        }
        let (view, mut views) = nodes.view();
        self.look_around(&view);
        let mut tick = interval(EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            select! {
                _ = tick.tick() => {}
                Ok(()) = views.changed() => {
                    let view = views.borrow_and_update().clone();
                    self.look_around(&view);
                    continue;
                }
                () = async { drop(stopped.wait_for(|stopped| *stopped).await) } => return,
            }
            let resident = resident_bytes().unwrap_or(0);
            budget.resident.store(resident, Ordering::Relaxed);
            let spent = ceiling.see(resident, max, || self.held());
            if spent != budget.spent.swap(spent, Ordering::Relaxed) {
                self.tell(spent, resident);
            }
        }
    }

    /// What the entities of all partitions add up to, and the values of external states.
    fn held(&self) -> u64 {
        let partitions = self.0.watched.iter().map(|partition| partition.size());
        partitions
            .chain(self.0.externals.sizes())
            .map(|(keys, bytes)| keys as u64 * ENTITY_BYTES + u64::try_from(bytes).unwrap_or(0))
            .sum()
    }

    fn tell(&self, spent: bool, resident: u64) {
        let (mebibytes, max) = (resident >> 20, self.0.budget.max >> 20);
        if spent {
            warn!(
                mebibytes,
                max, "there is no memory left: writes that need more are refused (--memory-max)"
            );
        } else {
            info!(mebibytes, max, "there is memory for writes again");
        }
        self.0.metrics.memory_full.set(i64::from(spent));
        let coordinator = &self.0.nodes.coordinator;
        coordinator.update(&mut |node| node.full = spent);
    }

    /// Learns from the others.
    fn look_around(&self, view: &View) {
        let Health { budget, nodes, .. } = &*self.0;
        let crowded = crowded(view, &nodes.me);
        if !(crowded.is_empty() && budget.crowded.load().is_empty()) {
            budget.crowded.store(Arc::new(crowded));
        }
    }
}

/// Which partitions may not grow, since nodes besides `me` that follow them have no room.
fn crowded(view: &View, me: &str) -> BTreeSet<TopicPartition> {
    let is_full = |node: &String| node != me && view.nodes.get(node).is_some_and(|node| node.full);
    let assignments = view.plan.assignments.iter();
    let crowded = assignments.filter(|(_, assignment)| assignment.standbys.iter().any(is_full));
    crowded.map(|(partition, _)| partition.clone()).collect()
}

#[cfg(test)]
mod tests;

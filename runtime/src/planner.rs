//! Makes the plan, at the node that the coordinator elected for it. Every node runs it; at all but one it only watches.
//!
//! The plan follows from what the nodes announce and from who holds the locks, by the pure function [`plan`]. When it is made
//! anew is decided here: at once if a partition is without a living owner while others are served, and otherwise when no node has come for a while, so that
//! a cluster whose nodes start one after another hands nothing around.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use tokio::time::{Instant, sleep_until};
use tracing::{info, warn};

use crate::{
    ambient::select,
    coordinator::{Coordinator, Node, StateTopic, View},
    log::TopicPartition,
    plan::{Assignment, Facts, Member, plan},
};

/// How long after a failure the plan is tried again, if nothing changes before.
const RETRY: Duration = Duration::from_millis(200);

/// The plan is made when no node has come for the settling time, but at the latest after so many of them.
const SETTLE_MAX: u32 = 6;

/// How long the same nodes have to be cut off from the log before the plan takes their partitions away. If it is the log that is gone, or has just come back, each node notices that
/// at a time of its own, and the partitions would go around among them.
const CUT_SETTLE: Duration = Duration::from_secs(2);

/// What one node does for the plan.
pub struct Planner {
    /// The coordinator.
    pub coordinator: Arc<dyn Coordinator>,
    /// The node's name.
    pub node: String,
    /// How many nodes follow each partition besides its owner (`--replicas`).
    pub standbys: usize,
    /// How long to wait for more nodes after one has come. Zero where all of them are known to be there, as in one process.
    pub settle: Duration,
}

impl Planner {
    /// Runs until the coordinator is gone.
    pub async fn run(self) {
        let mut view = self.coordinator.view();
        let mut unrest = Unrest::new(self.settle);
        loop {
            let now = Arc::clone(&view.borrow_and_update());
            unrest.observe(&now);
            let again = self.step(&now, &mut unrest).await;
            let waited = async {
                match again {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            select! {
                changed = view.changed() => if changed.is_err() { return },
                () = waited => {}
            }
        }
    }

    /// Publishes a plan if it is time to: when to look again, even if nothing changes.
    async fn step(&self, view: &View, unrest: &mut Unrest) -> Option<Instant> {
        if !view.connected || view.planner.as_ref() != Some(&self.node) {
            unrest.since = None;
            return None;
        }
        let next = next_plan(view, self.standbys);
        if next == view.plan.assignments {
            unrest.since = None;
            return None;
        }
        if !is_urgent(view, &next) {
            let over = unrest.cut_off_over().max(Some(unrest.over()));
            if over > Some(Instant::now()) {
                return over;
            }
        }
        match self.coordinator.publish(view.plan.version, &next).await {
            Ok(true) => {
                info!(
                    version = view.plan.version + 1,
                    nodes = view.nodes.len(),
                    moves = moves(view, &next),
                    "a new plan"
                );
                None
            }
            // Another one was faster, or what was seen is old.
            Ok(false) => Some(Instant::now() + RETRY),
            Err(error) => {
                warn!(%error, "the plan can't be published");
                Some(Instant::now() + RETRY)
            }
        }
    }
}

/// Nodes that come one after another.
struct Unrest {
    settle: Duration,
    nodes: BTreeSet<(String, u64)>,
    last_came: Instant,
    /// The nodes that are cut off from the log, and since when they are just these.
    cut_off: (BTreeSet<String>, Option<Instant>),
    /// Since when a plan is due.
    since: Option<Instant>,
}

impl Unrest {
    fn new(settle: Duration) -> Self {
        Self {
            settle,
            nodes: BTreeSet::new(),
            last_came: Instant::now(),
            cut_off: (BTreeSet::new(), None),
            since: None,
        }
    }

    fn observe(&mut self, view: &View) {
        let nodes = view.nodes.values();
        let nodes: BTreeSet<_> = nodes
            .map(|node| (node.id.clone(), node.incarnation))
            .collect();
        if !nodes.is_subset(&self.nodes) {
            self.last_came = Instant::now();
        }
        self.nodes = nodes;
        let cut_off = view.nodes.values().filter(|node| node.cut_off);
        let cut_off: BTreeSet<_> = cut_off.map(|node| node.id.clone()).collect();
        if cut_off != self.cut_off.0 {
            self.cut_off = (cut_off, Some(Instant::now()));
        }
    }

    /// When the plan may follow from who is cut off.
    fn cut_off_over(&self) -> Option<Instant> {
        self.cut_off.1.map(|since| since + CUT_SETTLE)
    }

    /// When a plan that is due since now or before shall be made.
    fn over(&mut self) -> Instant {
        let since = *self.since.get_or_insert_with(Instant::now);
        (self.last_came + self.settle).min(since + self.settle * SETTLE_MAX)
    }
}

/// Whether partitions wait for this plan. When nothing is served at all, the cluster starts, and more nodes are likely to come.
fn is_urgent(view: &View, next: &BTreeMap<TopicPartition, Assignment>) -> bool {
    let stays = |id: &String| view.nodes.get(id).is_some_and(|node| !node.draining);
    !view.holders.is_empty()
        && next.iter().any(|(partition, next)| {
            let planned = view.plan.assignments.get(partition);
            let planned = planned.and_then(|planned| planned.owner.as_ref());
            next.owner.as_ref() != planned && !planned.is_some_and(stays)
        })
}

fn moves(view: &View, next: &BTreeMap<TopicPartition, Assignment>) -> usize {
    let before = &view.plan.assignments;
    next.iter()
        .filter(|(partition, next)| {
            before
                .get(*partition)
                .is_none_or(|before| before.owner != next.owner)
        })
        .count()
}

/// The plan that follows from a view.
#[must_use]
pub fn next_plan(view: &View, standbys: usize) -> BTreeMap<TopicPartition, Assignment> {
    let members: Vec<Member> = view.nodes.values().map(Node::member).collect();
    let facts = facts(view);
    let assignments = plan(&members, &facts, standbys);
    let partitions = facts.into_iter().map(|facts| facts.partition);
    partitions.zip(assignments).collect()
}

/// What is known of each partition of each topic that a node has.
fn facts(view: &View) -> Vec<Facts> {
    let mut topics: BTreeMap<&Arc<str>, StateTopic> = BTreeMap::new();
    for node in view.nodes.values() {
        topics.extend(node.topics.iter().map(|(name, topic)| (name, *topic)));
    }
    let mut in_sync: BTreeMap<&TopicPartition, BTreeSet<String>> = BTreeMap::new();
    for node in view.nodes.values() {
        for partition in &node.in_sync {
            in_sync
                .entry(partition)
                .or_default()
                .insert(node.id.clone());
        }
    }
    let partitions = topics.into_iter().flat_map(|(name, topic)| {
        (0..topic.partitions)
            .map(move |number| (TopicPartition::new(Arc::clone(name), number), topic))
    });
    partitions
        .map(|(partition, topic)| {
            let in_sync = in_sync.remove(&partition).unwrap_or_default();
            Facts {
                owner: owner(view, &partition, &in_sync),
                standbys: view
                    .plan
                    .assignments
                    .get(&partition)
                    .map(|planned| planned.standbys.clone())
                    .unwrap_or_default(),
                global: topic.global,
                in_sync,
                partition,
            }
        })
        .collect()
}

/// Who has a partition: the one that holds its lock. One that was chosen to take it over, and can, has it as good as that, so that a plan
/// that is made meanwhile does not change its mind.
fn owner(view: &View, partition: &TopicPartition, in_sync: &BTreeSet<String>) -> Option<String> {
    let planned = view.plan.assignments.get(partition);
    let planned = planned.and_then(|planned| planned.owner.as_ref());
    let holder = view.holders.get(partition).map(|holder| &holder.node);
    let living = |id: &&String| view.nodes.contains_key(*id);
    let ready = |id: &&String| in_sync.contains(*id);
    planned
        .filter(living)
        .filter(ready)
        .or(holder.filter(living))
        .or(planned)
        .cloned()
}

#[cfg(test)]
mod tests;

//! The seam to the coordinator: who is there, who shall have which partition, and who may try to own it.
//!
//! The coordinator nominates, the log decides (`log-protocol.md`, rule 2). Whatever a coordinator does, no acknowledged write is lost or doubled; what it
//! decides is how soon somebody serves, and whether an owner may answer reads from memory without asking the log (rule 8).
//!
//! [`local`] is for the nodes of one process, `sim` (feature `testing`) a seeded model of one that nodes reach over a network. All implementations pass `conformance`. [`crate::planner`] makes the plan, by whichever of them.

#[cfg(feature = "testing")]
pub mod conformance;
pub mod local;
mod open;
mod partition_ranges;
#[cfg(feature = "testing")]
pub mod sim;
pub mod zookeeper;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::Arc,
};

use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

pub(crate) use self::open::open;
use crate::{
    log::{Topic, TopicPartition},
    plan::{Assignment, Member},
};

/// A node, as the others see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Its name, unique in the cluster (`--node`).
    pub id: String,
    /// Unique per start of the process; a part of its ballots.
    pub incarnation: u64,
    /// Where other nodes reach it.
    pub peer: SocketAddr,
    /// The name that its certificate is for, where nodes speak TLS (`--advertise`); the address if `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Where clients reach it.
    pub http: SocketAddr,
    /// Where its operator reaches it.
    pub admin: SocketAddr,
    /// Where it stands (`--zone`).
    pub zone: Option<String>,
    /// The partitions that it may have (`--serve`); all if `None`.
    pub serve: Option<BTreeSet<u32>>,
    /// The topics of its states. It can have partitions of no others, so that versions of a service with more or fewer states can run beside one another.
    pub topics: BTreeMap<Arc<str>, StateTopic>,
    /// The version of the service.
    pub version: String,
    /// It is about to leave, and gives its partitions away.
    pub draining: bool,
    /// It can't reach the log, and gives its partitions to nodes that can. It goes on to follow others.
    #[serde(default)]
    pub cut_off: bool,
    /// It has no memory left for more state: partitions that it follows may not grow.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub full: bool,
    /// The partitions of which it has a copy that is at most moments behind, owned or not.
    #[serde(with = "partition_ranges")]
    pub in_sync: BTreeSet<TopicPartition>,
}

/// A state's topic, as far as the plan is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateTopic {
    /// How many partitions it has.
    pub partitions: u32,
    /// Each node has a copy of all of it.
    pub global: bool,
}

impl Node {
    /// Whether it can take partitions over.
    #[must_use]
    pub fn can_own(&self) -> bool {
        !self.draining && !self.cut_off
    }

    /// The node as the planner sees it.
    #[must_use]
    pub fn member(&self) -> Member {
        Member {
            id: self.id.clone(),
            zone: self.zone.clone(),
            serve: self.serve.clone(),
            topics: Some(self.topics.keys().cloned().collect()),
            draining: self.draining,
            cut_off: self.cut_off,
        }
    }
}

/// Who holds the lock of a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The node.
    pub node: String,
    /// Its incarnation.
    pub incarnation: u64,
    /// What tells this holding from every other one of the same lock: a later one never has the same number.
    pub lock: u64,
}

/// What is known of the cluster at a moment. It may be old: nothing that must be right may rest upon it alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// Whether the coordinator can be reached. If not, the rest is as it was last seen.
    pub connected: bool,
    /// The nodes that are there, by name.
    pub nodes: BTreeMap<String, Node>,
    /// Who shall have each partition.
    pub plan: Plan,
    /// Who holds the lock of each partition; a partition without an owner is not in it.
    pub holders: BTreeMap<TopicPartition, Holder>,
    /// The node that makes the plan.
    pub planner: Option<String>,
}

/// The plan of all partitions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Counts the changes of the plan.
    pub version: u64,
    /// Who shall have each partition.
    pub assignments: BTreeMap<TopicPartition, Assignment>,
}

/// The right to contend for a partition by the log, and for as long as [`holds`](Self::holds) says so, to answer reads from memory.
pub trait Lock: Send + Sync {
    /// Whether no other node can have the lock at this moment: the lease of rule 8. It is cheap, and asked after each read.
    ///
    /// The lease runs from when the last successful round trip to the coordinator was *sent*, for 0.75 of the session's time-out, on a clock that goes on
    /// while the machine is suspended. Once a lock was lost it never holds again; a lease that lapsed may be renewed if the session turns out to live.
    fn holds(&self) -> bool;

    /// Whether it is known to be lost for good: its session ended, or somebody removed it.
    fn is_lost(&self) -> bool;

    /// Gives the lock back: it never holds again, and others see it at once. Dropping the last handle does the same, but later.
    fn release(&self) -> BoxFuture<'static, ()>;
}

/// Why the coordinator refuses.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum CoordinatorError {
    /// It can't be reached now. Whether something happened is not known; asking again is safe.
    #[error("the coordinator can't be reached: {0}")]
    Unreachable(String),
    /// Another node has this name.
    #[error("a node named `{0}` is there already; give each node a name of its own (`--node`)")]
    NameTaken(String),
    /// A topic was declared differently by the nodes that are or were there.
    #[error("topic `{topic}`: {what}")]
    Shape {
        /// The topic.
        topic: String,
        /// What differs, from what to what.
        what: String,
    },
    /// What is kept there is not what this version can work with, or access to it is refused.
    #[error("{0}")]
    Refused(String),
}

/// A coordinator, as one node sees it.
///
/// # Contract
///
/// 1. *Members.* [`join`](Self::join) makes the node known to all that watch; it stays until [`leave`](Self::leave), or until the coordinator has not heard of it
///    for the session's time-out. After a lost session the node is announced anew without another call; its locks are lost.
/// 2. *Locks.* Of each partition's lock there is one holder at most. A holder whose session ended loses it. A lock is never taken twice by mistake: if the outcome of
///    an attempt is unknown, it is looked up (whose ephemeral node is it?) before anything else.
/// 3. *Lease.* While [`Lock::holds`] is true at a node, no other node can get that lock, unless by [`remove`](Self::remove) with proof of death.
/// 4. *View.* What [`view`](Self::view) shows follows what happens without polling by the caller. It may lag, but never goes back to an older plan.
/// 5. *Plan.* A plan is published by the planner alone, on top of the version that it has seen; of two that compete one fails.
/// 6. *Shapes.* [`declare`](Self::declare) refuses a topic whose kept shape differs, and the version of what is kept.
/// 7. *Outage.* While the coordinator can't be reached, `view` says so, and nothing else changes: locks stay until it says otherwise. It is reconnected without end.
pub trait Coordinator: Send + Sync + 'static {
    /// Creates what is kept about a topic, or compares it.
    ///
    /// # Errors
    /// [`CoordinatorError::Shape`], [`CoordinatorError::Refused`], [`CoordinatorError::Unreachable`].
    fn declare<'a>(&'a self, topic: &'a Topic) -> BoxFuture<'a, Result<(), CoordinatorError>>;

    /// Becomes a member.
    ///
    /// # Errors
    /// [`CoordinatorError::NameTaken`] if another incarnation has the name for longer than a session takes to end.
    fn join(&self, node: Node) -> BoxFuture<'_, Result<(), CoordinatorError>>;

    /// Changes what the others see of this node: that it drains, or what it has copies of. Frequent changes may be gathered for some milliseconds.
    fn update(&self, change: &mut dyn FnMut(&mut Node));

    /// What is known of the cluster.
    fn view(&self) -> watch::Receiver<Arc<View>>;

    /// Tries to take the lock of a partition: `None` if it is held, by another node or by this one.
    ///
    /// # Errors
    /// [`CoordinatorError::Unreachable`]; also if this node is not there (it has not joined, or has left, or its session was lost just now).
    fn acquire<'a>(
        &'a self,
        partition: &'a TopicPartition,
    ) -> BoxFuture<'a, Result<Option<Arc<dyn Lock>>, CoordinatorError>>;

    /// Removes the lock of a process of which there is proof that it is gone (rule 12), if it is still that holder's: whether it was removed.
    ///
    /// # Errors
    /// [`CoordinatorError::Unreachable`].
    fn remove<'a>(
        &'a self,
        partition: &'a TopicPartition,
        holder: &'a Holder,
    ) -> BoxFuture<'a, Result<bool, CoordinatorError>>;

    /// Publishes a plan that follows the version `seen`, if this node is the planner: whether it is now the plan.
    ///
    /// # Errors
    /// [`CoordinatorError::Unreachable`].
    fn publish<'a>(
        &'a self,
        seen: u64,
        assignments: &'a BTreeMap<TopicPartition, Assignment>,
    ) -> BoxFuture<'a, Result<bool, CoordinatorError>>;

    /// Gives all locks back and is gone.
    fn leave(&self) -> BoxFuture<'_, ()>;
}

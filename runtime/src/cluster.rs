//! The cluster, as one node sees it: who is there, who owns what, how they are reached, and how one waits for that to change.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use tokio::{sync::watch, time::Instant};

use crate::{
    ambient::{select, spawn},
    coordinator::{Coordinator, Holder, Node, View},
    deaths,
    forward::Peers,
    log::TopicPartition,
    mailbox::RETRY_AFTER_SECONDS,
    problem::Problem,
};

/// One node's access to the cluster. Clones are the same.
#[derive(Clone)]
pub(crate) struct Cluster {
    pub(crate) coordinator: Arc<dyn Coordinator>,
    /// The name of this node.
    pub(crate) me: Arc<str>,
    pub(crate) peers: Peers,
    /// What the coordinator shows, without nodes that are known to be gone.
    view: watch::Receiver<Arc<View>>,
    /// The incarnations of processes of which there is proof that they are gone.
    dead: watch::Sender<BTreeSet<u64>>,
}

/// Another node that owns a partition.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    pub(crate) node: Arc<str>,
    pub(crate) address: std::net::SocketAddr,
}

impl Cluster {
    /// Access for the node `me`. It must be called within a runtime.
    pub(crate) fn new(coordinator: Arc<dyn Coordinator>, me: &str, peers: Peers) -> Self {
        let me: Arc<str> = me.into();
        let seen = coordinator.view();
        let (shown, view) = watch::channel(seen.borrow().clone());
        let dead = watch::Sender::new(BTreeSet::new());
        let bury = deaths::bury(me.clone(), peers.clone(), seen, shown, dead.clone());
        drop(spawn(bury));
        Self {
            coordinator,
            me,
            peers,
            view,
            dead,
        }
    }

    /// How many processes of other nodes are proved to be gone.
    pub(crate) fn deaths(&self) -> usize {
        self.dead.borrow().len()
    }

    /// Whether there is proof that the process that holds a lock is gone.
    pub(crate) fn is_gone(&self, holder: &Holder) -> bool {
        self.dead.borrow().contains(&holder.incarnation)
    }

    /// What is known, with a handle that tells of changes since.
    pub(crate) fn view(&self) -> (Arc<View>, watch::Receiver<Arc<View>>) {
        let mut receiver = self.view.clone();
        let view = receiver.borrow_and_update().clone();
        (view, receiver)
    }

    /// What is known now.
    pub(crate) fn now(&self) -> Arc<View> {
        self.view.borrow().clone()
    }

    /// What a peer answers, for as long as it is there. One that is silent and has lost its session will not answer in time, and somebody else can.
    pub(crate) async fn while_there<T>(
        &self,
        peer: &Peer,
        asked: impl Future<Output = Result<T, Unanswered>>,
    ) -> Result<T, Unanswered> {
        let mut views = self.view.clone();
        let is_gone = |view: &Arc<View>| {
            let node = view.nodes.get(&*peer.node);
            node.is_none_or(|node| node.peer != peer.address)
        };
        select! {
            answered = asked => answered,
            _ = views.wait_for(is_gone) => Err(Unanswered::Unknown),
        }
    }

    /// Whether there are others.
    pub(crate) fn is_shared(&self) -> bool {
        self.view.borrow().nodes.len() > 1
    }
}

impl View {
    /// Who owns a partition, unless it is `me`.
    pub(crate) fn owner_besides(&self, me: &str, partition: &TopicPartition) -> Option<Peer> {
        let holder = self.holders.get(partition)?;
        let node = self.nodes.get(&holder.node)?;
        (holder.node != me).then(|| node.peer())
    }

    /// Whether the plan says that no node may have a partition.
    pub(crate) fn is_nobodys(&self, partition: &TopicPartition) -> bool {
        let assignment = self.plan.assignments.get(partition);
        assignment.is_some_and(|assignment| assignment.owner.is_none())
    }

    /// What `me` shall be to a partition.
    pub(crate) fn part(&self, me: &str, partition: &TopicPartition) -> Part {
        let Some(assignment) = self.plan.assignments.get(partition) else {
            return Part::Nothing;
        };
        let is = |node: &String| node == me;
        if assignment.owner.as_ref().is_some_and(is) {
            return Part::Owner;
        }
        if !assignment.standbys.iter().any(is) {
            return Part::Nothing;
        }
        // A dead owner is not waited for: the next one in the plan contends at once, and a new plan follows.
        let lives = |node: &&String| self.nodes.contains_key(*node);
        let first = assignment
            .owner
            .iter()
            .chain(&assignment.standbys)
            .find(lives);
        if first.is_some_and(is) {
            Part::Owner
        } else {
            Part::Standby
        }
    }

    /// Who holds the lock of a partition.
    pub(crate) fn holder(&self, partition: &TopicPartition) -> Option<&Holder> {
        self.holders.get(partition)
    }
}

impl Node {
    pub(crate) fn peer(&self) -> Peer {
        Peer {
            node: self.id.as_str().into(),
            address: self.peer,
        }
    }
}

/// What a node shall be to a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Owner,
    Standby,
    Nothing,
}

/// The answer when the time of a request is up before its partition has an owner.
pub(crate) fn no_owner(partition: &TopicPartition) -> Problem {
    Problem::unavailable(
        format!("partition {partition} has no owner at this moment"),
        RETRY_AFTER_SECONDS,
    )
}

/// Why an owner, here or elsewhere, gave no answer.
#[derive(Debug)]
pub(crate) enum Unanswered {
    /// Nothing happened: it was not reached, or is not the owner any more.
    Moved,
    /// Nothing happened, though the owner was reached, and it may if it is asked again. The answer is for those who can't.
    Undone(Problem),
    /// Nobody knows whether something happened. The same request may be made again only if it has an id, or changes nothing.
    Unknown,
    /// It is answered all the same: there is no point in another try.
    Refused(Problem),
}

impl From<Problem> for Unanswered {
    fn from(problem: Problem) -> Self {
        Self::Refused(problem)
    }
}

/// The pauses between tries while a partition goes from one node to another: they end early when something is known to have changed.
pub(crate) struct Pause {
    deadline: Instant,
    next: Duration,
    /// Kept from one try to the next: what changes in the middle of a try is not waited for again. Only who has to wait needs it.
    views: Option<watch::Receiver<Arc<View>>>,
}

impl Pause {
    const FIRST: Duration = Duration::from_millis(5);
    const LONGEST: Duration = Duration::from_millis(100);

    pub(crate) fn new(deadline: Instant) -> Self {
        Self {
            deadline,
            next: Self::FIRST,
            views: None,
        }
    }

    /// Waits a little before the next try.
    ///
    /// # Errors
    /// 503 if the time for the answer is up.
    pub(crate) async fn wait(&mut self, cluster: &Cluster) -> Result<(), Problem> {
        let views = self.views.get_or_insert_with(|| cluster.view().1);
        if Instant::now() + self.next >= self.deadline {
            return Err(Problem::unavailable(
                "the owner of this key does not answer",
                RETRY_AFTER_SECONDS,
            ));
        }
        if tokio::time::timeout(self.next, views.changed())
            .await
            .is_err()
        {
            self.next = (self.next * 2).min(Self::LONGEST);
        }
        Ok(())
    }

    /// Waits before the next try, if there may be one.
    ///
    /// # Errors
    /// The answer, if it is one, or 503 if the time for it is up.
    pub(crate) async fn after(
        &mut self,
        unanswered: Unanswered,
        cluster: &Cluster,
    ) -> Result<(), Problem> {
        match unanswered {
            Unanswered::Refused(problem) => Err(problem),
            Unanswered::Moved | Unanswered::Undone(_) | Unanswered::Unknown => {
                self.wait(cluster).await
            }
        }
    }
}

//! What the ensemble knows.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use fastrand::Rng;
use tokio::time::Instant;

use crate::{
    coordinator::{CoordinatorError, Holder, Node, View},
    log::{Topic, TopicPartition},
    plan::Assignment,
};

pub(super) type SessionId = u64;

/// What is there, however the nodes see it.
#[derive(Debug)]
pub(super) struct Ensemble {
    random: Rng,
    pub(super) delay_max: Duration,
    /// After that a session of which nothing was heard ends.
    pub(super) timeout: Duration,
    topics: BTreeMap<String, Topic>,
    view: View,
    /// Grows with each change of the view.
    pub(super) version: u64,
    /// When each session was last heard of, and which node it has announced.
    sessions: HashMap<SessionId, Session>,
    /// The session of each holder.
    held_by: BTreeMap<TopicPartition, SessionId>,
    order: Vec<String>,
    ids: u64,
}

#[derive(Debug)]
struct Session {
    heard: Instant,
    node: Option<String>,
}

impl Ensemble {
    pub(super) fn new(seed: u64, session_timeout: Duration) -> Self {
        Self {
            random: Rng::with_seed(seed),
            delay_max: Duration::from_millis(2),
            timeout: session_timeout,
            topics: BTreeMap::new(),
            view: View {
                connected: true,
                ..View::default()
            },
            version: 1,
            sessions: HashMap::new(),
            held_by: BTreeMap::new(),
            order: Vec::new(),
            ids: 0,
        }
    }

    pub(super) fn delay(&mut self) -> Duration {
        let most = u64::try_from(self.delay_max.as_micros()).unwrap_or(u64::MAX);
        Duration::from_micros(self.random.u64(0..=most))
    }

    pub(super) fn view(&self) -> (u64, View) {
        (self.version, self.view.clone())
    }

    fn id(&mut self) -> u64 {
        self.ids += 1;
        self.ids
    }

    /// Ends the sessions of which nothing was heard for too long.
    pub(super) fn expire(&mut self, now: Instant) {
        let timeout = self.timeout;
        let silent =
            |(id, session): (&SessionId, &Session)| (now >= session.heard + timeout).then_some(*id);
        let mut silent: Vec<_> = self.sessions.iter().filter_map(silent).collect();
        silent.sort_unstable();
        for id in silent {
            self.end(id);
        }
    }

    /// When the next session ends if nothing is heard of it.
    pub(super) fn next_end(&self) -> Option<Instant> {
        let heard = self.sessions.values().map(|session| session.heard).min();
        heard.map(|heard| heard + self.timeout)
    }

    pub(super) fn begin(&mut self, now: Instant) -> SessionId {
        let id = self.id();
        self.sessions.insert(
            id,
            Session {
                heard: now,
                node: None,
            },
        );
        id
    }

    /// Something was heard of a session: whether it is still there.
    pub(super) fn hear(&mut self, id: SessionId, now: Instant) -> bool {
        let session = self.sessions.get_mut(&id);
        session.map(|session| session.heard = now).is_some()
    }

    /// Ends a session: its node and its locks are gone.
    pub(super) fn end(&mut self, id: SessionId) {
        let Some(session) = self.sessions.remove(&id) else {
            return;
        };
        let held = self.held_by.iter().filter(|(_, by)| **by == id);
        let held: Vec<_> = held.map(|(partition, _)| partition.clone()).collect();
        for partition in held {
            self.held_by.remove(&partition);
            self.view.holders.remove(&partition);
        }
        if let Some(node) = session.node {
            self.order.retain(|other| *other != node);
            self.view.nodes.remove(&node);
            self.view.planner = self.order.first().cloned();
        }
        self.version += 1;
    }

    pub(super) fn declare(&mut self, topic: &Topic) -> Result<(), CoordinatorError> {
        let kept = self.topics.entry(topic.name.clone());
        let kept = kept.or_insert_with(|| topic.clone());
        match kept.difference(topic) {
            None => Ok(()),
            Some(what) => Err(CoordinatorError::Shape {
                topic: topic.name.clone(),
                what,
            }),
        }
    }

    /// Announces a node, or what has changed of it. Not if another session has announced one of this name.
    pub(super) fn announce(&mut self, id: SessionId, node: &Node) -> Result<(), CoordinatorError> {
        let lost = || CoordinatorError::Unreachable("the session was lost".to_owned());
        let session = self.sessions.get_mut(&id).ok_or_else(lost)?;
        if session.node.as_ref() != Some(&node.id) {
            if self.view.nodes.contains_key(&node.id) {
                return Err(CoordinatorError::NameTaken(node.id.clone()));
            }
            session.node = Some(node.id.clone());
            self.order.push(node.id.clone());
        }
        if self.view.nodes.get(&node.id) != Some(node) {
            self.view.nodes.insert(node.id.clone(), node.clone());
            self.view.planner = self.order.first().cloned();
            self.version += 1;
        }
        Ok(())
    }

    /// Takes the lock of a partition for a node: its number, if it is free.
    pub(super) fn acquire(
        &mut self,
        id: SessionId,
        node: &Node,
        partition: &TopicPartition,
    ) -> Result<Option<u64>, CoordinatorError> {
        let session = self.sessions.get(&id);
        if session.is_none_or(|session| session.node.as_ref() != Some(&node.id)) {
            let why = "the session was lost, or the node is no member".to_owned();
            return Err(CoordinatorError::Unreachable(why));
        }
        if self.held_by.contains_key(partition) {
            return Ok(None);
        }
        let lock = self.id();
        let holder = Holder {
            node: node.id.clone(),
            incarnation: node.incarnation,
            lock,
        };
        self.held_by.insert(partition.clone(), id);
        self.view.holders.insert(partition.clone(), holder);
        self.version += 1;
        Ok(Some(lock))
    }

    /// Takes a lock from its holder, if the holding is still the one that `is` knows: whether it was.
    pub(super) fn release(
        &mut self,
        partition: &TopicPartition,
        is: impl FnOnce(&Holder) -> bool,
    ) -> bool {
        let held = self.view.holders.get(partition).is_some_and(is);
        if held {
            self.held_by.remove(partition);
            self.view.holders.remove(partition);
            self.version += 1;
        }
        held
    }

    /// Whether a lock is still held by the holding with this number.
    pub(super) fn is_held(&self, partition: &TopicPartition, lock: u64) -> bool {
        let holder = self.view.holders.get(partition);
        holder.is_some_and(|holder| holder.lock == lock)
    }

    /// Whether a session holds the lock of a partition.
    pub(super) fn is_held_by(&self, partition: &TopicPartition, id: SessionId) -> bool {
        self.held_by.get(partition) == Some(&id)
    }

    /// The number of the lock of a partition, if it is held.
    pub(super) fn number(&self, partition: &TopicPartition) -> Option<u64> {
        self.view.holders.get(partition).map(|holder| holder.lock)
    }

    pub(super) fn publish(
        &mut self,
        id: SessionId,
        seen: u64,
        assignments: &BTreeMap<TopicPartition, Assignment>,
    ) -> bool {
        let session = self.sessions.get(&id);
        let node = session.and_then(|session| session.node.as_ref());
        let planner = node.is_some() && node == self.view.planner.as_ref();
        if !planner || self.view.plan.version != seen {
            return false;
        }
        self.view.plan.version += 1;
        self.view.plan.assignments.clone_from(assignments);
        self.version += 1;
        true
    }
}

/// As a node sees it that can't know whether it is still so.
pub(super) fn unconnected(view: &View) -> Arc<View> {
    Arc::new(View {
        connected: false,
        ..view.clone()
    })
}

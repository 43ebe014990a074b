//! The coordinator of the nodes of one process: they share memory, so nothing can be lost between them.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! use memgen::{coordinator::{Coordinator, Node, local::LocalCluster}, log::TopicPartition};
//!
//! let cluster = LocalCluster::new();
//! let node = cluster.node();
//! # let address = "127.0.0.1:7081".parse().unwrap();
//! node.join(Node {
//!     id: "1".into(), incarnation: 7, peer: address, host: None, http: address, admin: address, zone: None, serve: None,
//!     topics: Default::default(), version: "1.0.0".into(), draining: false, cut_off: false, full: false, in_sync: Default::default(),
//! }).await?;
//! let partition = TopicPartition::new("graph", 0);
//! let lock = node.acquire(&partition).await?.expect("nobody else is there");
//! assert!(lock.holds());
//! assert_eq!(node.view().borrow().holders[&partition].node, "1");
//! # Ok::<(), memgen::coordinator::CoordinatorError>(())
//! # }).unwrap();
//! ```

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
};

use futures_util::{FutureExt, future::BoxFuture};
use tokio::sync::watch;

use super::{Coordinator, CoordinatorError, Holder, Lock, Node, View};
use crate::{
    log::{Topic, TopicPartition},
    plan::Assignment,
};

/// The nodes of one process.
#[derive(Clone, Debug, Default)]
pub struct LocalCluster {
    shared: Arc<Mutex<Shared>>,
}

impl LocalCluster {
    /// A cluster without nodes.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The coordinator as one more node sees it. When it is dropped, the node is gone.
    #[must_use]
    pub fn node(&self) -> Local {
        Local {
            shared: Arc::clone(&self.shared),
            me: Mutex::default(),
        }
    }
}

/// What the nodes share.
#[derive(Debug)]
struct Shared {
    view: watch::Sender<Arc<View>>,
    topics: BTreeMap<String, Topic>,
    /// What tells the holder of each lock that it lost it.
    held: BTreeMap<TopicPartition, Arc<AtomicBool>>,
    /// How many locks were taken so far.
    locks: u64,
    /// The nodes in the order in which they came: the first is the planner.
    order: Vec<String>,
}

impl Default for Shared {
    fn default() -> Self {
        let view = View {
            connected: true,
            ..View::default()
        };
        Self {
            view: watch::Sender::new(Arc::new(view)),
            topics: BTreeMap::new(),
            held: BTreeMap::new(),
            locks: 0,
            order: Vec::new(),
        }
    }
}

impl Shared {
    /// Changes the view, and tells all that watch it.
    fn change(&self, change: impl FnOnce(&mut View)) {
        // It is copied only while somebody still looks at the last one.
        self.view.send_modify(|view| change(Arc::make_mut(view)));
    }

    fn join(&mut self, node: Node) -> Result<(), CoordinatorError> {
        let known = self.view.borrow().nodes.get(&node.id).cloned();
        match known {
            Some(known) if known.incarnation != node.incarnation => {
                return Err(CoordinatorError::NameTaken(node.id));
            }
            Some(_) => {}
            None => self.order.push(node.id.clone()),
        }
        let planner = self.order.first().cloned();
        self.change(|view| {
            view.nodes.insert(node.id.clone(), node);
            view.planner = planner;
        });
        Ok(())
    }

    fn leave(&mut self, me: &Me) {
        self.order.retain(|id| *id != me.id);
        let planner = self.order.first().cloned();
        let locks: Vec<TopicPartition> = self
            .view
            .borrow()
            .holders
            .iter()
            .filter(|(_, holder)| holder.node == me.id)
            .map(|(partition, _)| partition.clone())
            .collect();
        for partition in &locks {
            self.no_longer_held(partition);
        }
        self.change(|view| {
            view.nodes.remove(&me.id);
            view.planner = planner;
            for partition in &locks {
                view.holders.remove(partition);
            }
        });
    }

    fn acquire(&mut self, partition: &TopicPartition, me: &Me) -> Option<(u64, Arc<AtomicBool>)> {
        if self.held.contains_key(partition) {
            return None;
        }
        self.locks += 1;
        let held = Arc::new(AtomicBool::new(true));
        self.held.insert(partition.clone(), Arc::clone(&held));
        let holder = Holder {
            node: me.id.clone(),
            incarnation: me.incarnation,
            lock: self.locks,
        };
        self.change(|view| {
            view.holders.insert(partition.clone(), holder);
        });
        Some((self.locks, held))
    }

    /// Takes a lock from its holder, if the holding is still the one that `is` knows: whether it was.
    fn release(&mut self, partition: &TopicPartition, is: impl FnOnce(&Holder) -> bool) -> bool {
        let held = self.view.borrow().holders.get(partition).is_some_and(is);
        if held {
            self.no_longer_held(partition);
            self.change(|view| {
                view.holders.remove(partition);
            });
        }
        held
    }

    fn no_longer_held(&mut self, partition: &TopicPartition) {
        if let Some(held) = self.held.remove(partition) {
            held.store(false, Ordering::Release);
        }
    }
}

/// The coordinator, as one node of the process sees it.
#[derive(Debug)]
pub struct Local {
    shared: Arc<Mutex<Shared>>,
    me: Mutex<Option<Me>>,
}

/// Who this node is, while it is a member.
#[derive(Clone, Debug)]
struct Me {
    id: String,
    incarnation: u64,
}

const UNPOISONED: &str = "nothing in here panics";

impl Local {
    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().expect(UNPOISONED)
    }

    fn me(&self) -> MutexGuard<'_, Option<Me>> {
        self.me.lock().expect(UNPOISONED)
    }

    fn leave_now(&self) {
        if let Some(me) = self.me().take() {
            self.shared().leave(&me);
        }
    }

    fn acquire_now(
        &self,
        partition: &TopicPartition,
    ) -> Result<Option<Arc<dyn Lock>>, CoordinatorError> {
        let me = self
            .me()
            .clone()
            .ok_or_else(|| CoordinatorError::Unreachable("this node is not a member".to_owned()))?;
        let taken = self.shared().acquire(partition, &me);
        Ok(taken.map(|(number, held)| -> Arc<dyn Lock> {
            Arc::new(LocalLock {
                shared: Arc::clone(&self.shared),
                partition: partition.clone(),
                number,
                held,
            })
        }))
    }
}

impl Coordinator for Local {
    fn declare<'a>(&'a self, topic: &'a Topic) -> BoxFuture<'a, Result<(), CoordinatorError>> {
        let topics = &mut self.shared().topics;
        let kept = topics
            .entry(topic.name.clone())
            .or_insert_with(|| topic.clone());
        let declared = match kept.difference(topic) {
            None => Ok(()),
            Some(what) => Err(CoordinatorError::Shape {
                topic: topic.name.clone(),
                what,
            }),
        };
        std::future::ready(declared).boxed()
    }

    fn join(&self, node: Node) -> BoxFuture<'_, Result<(), CoordinatorError>> {
        let me = Me {
            id: node.id.clone(),
            incarnation: node.incarnation,
        };
        let joined = self.shared().join(node);
        if joined.is_ok() {
            *self.me() = Some(me);
        }
        std::future::ready(joined).boxed()
    }

    fn update(&self, change: &mut dyn FnMut(&mut Node)) {
        let Some(me) = self.me().clone() else { return };
        self.shared().view.send_if_modified(|view| {
            let Some(node) = view.nodes.get(&me.id) else {
                return false;
            };
            let mut changed = node.clone();
            change(&mut changed);
            if changed == *node {
                return false;
            }
            Arc::make_mut(view).nodes.insert(me.id.clone(), changed);
            true
        });
    }

    fn view(&self) -> watch::Receiver<Arc<View>> {
        self.shared().view.subscribe()
    }

    fn acquire<'a>(
        &'a self,
        partition: &'a TopicPartition,
    ) -> BoxFuture<'a, Result<Option<Arc<dyn Lock>>, CoordinatorError>> {
        std::future::ready(self.acquire_now(partition)).boxed()
    }

    fn remove<'a>(
        &'a self,
        partition: &'a TopicPartition,
        holder: &'a Holder,
    ) -> BoxFuture<'a, Result<bool, CoordinatorError>> {
        let removed = self.shared().release(partition, |now| now == holder);
        std::future::ready(Ok(removed)).boxed()
    }

    fn publish<'a>(
        &'a self,
        seen: u64,
        assignments: &'a BTreeMap<TopicPartition, Assignment>,
    ) -> BoxFuture<'a, Result<bool, CoordinatorError>> {
        let me = self.me().clone();
        let published = self.shared().view.send_if_modified(|view| {
            let planner = me.is_some_and(|me| view.planner.as_ref() == Some(&me.id));
            if !planner || view.plan.version != seen {
                return false;
            }
            let plan = &mut Arc::make_mut(view).plan;
            plan.version += 1;
            plan.assignments.clone_from(assignments);
            true
        });
        std::future::ready(Ok(published)).boxed()
    }

    fn leave(&self) -> BoxFuture<'_, ()> {
        self.leave_now();
        std::future::ready(()).boxed()
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        self.leave_now();
    }
}

/// A lock of one of the process's nodes.
struct LocalLock {
    shared: Arc<Mutex<Shared>>,
    partition: TopicPartition,
    number: u64,
    held: Arc<AtomicBool>,
}

impl Lock for LocalLock {
    /// One process is paused and suspended as a whole, so no lease can lapse unseen.
    fn holds(&self) -> bool {
        self.held.load(Ordering::Acquire)
    }

    fn is_lost(&self) -> bool {
        !self.holds()
    }

    fn release(&self) -> BoxFuture<'static, ()> {
        self.release_now();
        std::future::ready(()).boxed()
    }
}

impl LocalLock {
    fn release_now(&self) {
        let mut shared = self.shared.lock().expect(UNPOISONED);
        shared.release(&self.partition, |holder| holder.lock == self.number);
    }
}

impl Drop for LocalLock {
    fn drop(&mut self) {
        self.release_now();
    }
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    use super::*;
    use crate::coordinator::conformance;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn conforms() {
        let cluster = LocalCluster::new();
        conformance::suite(&|| Arc::new(cluster.node())).await;
    }
}

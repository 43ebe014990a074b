//! The coordinator that is a ZooKeeper ensemble.
//!
//! - [`address`](Address), `root`, `layout`: where it is, and what lies there.
//! - `keeper`, `session`, `lease`: a session that is kept, and how long its locks hold.
//! - `follower`: what lies there -> [`View`].
//! - `membership`, `locks`: what this node puts there.

mod address;
mod error;
mod follower;
mod keeper;
mod layout;
mod lease;
mod locks;
mod membership;
mod process;
mod root;
mod session;
mod shared;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures_util::{FutureExt, future::BoxFuture};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep},
};
use zookeeper_client::{CreateMode, Error};

pub use self::address::Address;
use self::{
    keeper::keep,
    layout::{PLAN, PlanEntry, Shape},
    root::Root,
    shared::Shared,
};
use super::{Coordinator, CoordinatorError, Holder, Lock, Node, View};
use crate::{
    log::{Topic, TopicPartition},
    plan::Assignment,
};

/// How long until a declaration is tried again that did not get through.
const RETRY: Duration = Duration::from_millis(50);

/// What it takes to work with an ensemble.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where it is.
    pub address: Address,
    /// The cluster's name. The root belongs to it, and is `/memgen/<cluster>` if the address names none.
    pub cluster: String,
    /// How long a node may be silent. The ensemble has bounds of its own.
    pub session_timeout: Duration,
}

/// The coordinator, as one node sees it. When it is dropped, the node is gone.
#[derive(Debug)]
pub struct ZooKeeper {
    shared: Arc<Shared>,
}

impl ZooKeeper {
    /// Begins to connect, and goes on for ever; whether it worked is told by what is asked for next.
    ///
    /// ```no_run
    /// use std::time::Duration;
    /// use memgen::{coordinator::{Coordinator, zookeeper::{Settings, ZooKeeper}}, log::Topic};
    ///
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// let coordinator = ZooKeeper::start(Settings {
    ///     address: "zookeeper://127.0.0.1:2181/memgen/graph".parse()?,
    ///     cluster: "graph".to_owned(),
    ///     session_timeout: Duration::from_secs(6),
    /// });
    /// coordinator.declare(&Topic {
    ///     name: "vertex".into(), partitions: 4, partitioner: "murmur2 key".into(), format: "json".into(),
    /// }).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Panics
    /// Outside of a runtime of tokio.
    #[must_use]
    pub fn start(settings: Settings) -> Self {
        let (look_again, places) = mpsc::unbounded_channel();
        let root = Root::new(&settings);
        let shared = Arc::new(Shared::new(root, settings.session_timeout, look_again));
        tokio::spawn(keep(shared.clone(), settings.address, places));
        Self { shared }
    }

    async fn declare(&self, topic: &Topic) -> Result<(), CoordinatorError> {
        let shared = &self.shared;
        let (path, bytes) = (
            layout::topic(&topic.name),
            layout::to_bytes(&Shape::of(topic)),
        );
        let lasting = CreateMode::Persistent.with_acls(shared.root.acls());
        let deadline = Instant::now() + shared.session_timeout;
        loop {
            let session = shared.session().await?;
            let kept = async {
                let client = session.client()?;
                match client.create(&path, &bytes, &lasting).await {
                    Err(Error::NodeExists) => client.get_data(&path).await.map(Some),
                    created => created.map(|_| None),
                }
            };
            match kept.await {
                Ok(None) => return Ok(()),
                Ok(Some((kept, _))) => {
                    let Some(kept) = layout::from_bytes::<Shape>(&kept) else {
                        return Err(CoordinatorError::Refused(format!(
                            "what lies at {}{path} can't be read",
                            shared.root.path()
                        )));
                    };
                    return match kept.into_topic(&topic.name).difference(topic) {
                        None => Ok(()),
                        Some(what) => Err(CoordinatorError::Shape {
                            topic: topic.name.clone(),
                            what,
                        }),
                    };
                }
                Err(error) if error::is_denied(&error) || Instant::now() > deadline => {
                    return Err(error::of_caller(&error));
                }
                Err(_) => sleep(RETRY).await,
            }
        }
    }

    async fn remove(
        &self,
        partition: &TopicPartition,
        holder: &Holder,
    ) -> Result<bool, CoordinatorError> {
        let session = self.shared.connected_session()?;
        let removed =
            async { locks::remove(&session.client()?, partition, holder.lock.cast_signed()).await };
        within(session.timeout, removed).await
    }

    async fn publish(
        &self,
        seen: u64,
        assignments: &BTreeMap<TopicPartition, Assignment>,
    ) -> Result<bool, CoordinatorError> {
        let session = self.shared.connected_session()?;
        let me = self.shared.member().map(|node| node.id);
        let Ok(seen) = i32::try_from(seen) else {
            return Ok(false);
        };
        if me.is_none() || self.shared.view.borrow().planner != me {
            return Ok(false);
        }
        let bytes = layout::to_bytes(&PlanEntry::of(assignments));
        let published = async {
            let client = session.client()?;
            match client.set_data(PLAN, &bytes, Some(seen)).await {
                Ok(_) => Ok(true),
                Err(Error::BadVersion) => Ok(false),
                Err(error) => Err(error),
            }
        };
        within(session.timeout, published).await
    }

    async fn leave(&self) {
        let mut connection = self.shared.connection.subscribe();
        self.shared.leave();
        // The keeper says so when it has closed the session.
        let closed =
            connection.wait_for(|connection| matches!(connection, shared::Connection::Left));
        drop(closed.await);
    }
}

/// What was asked for, unless it takes too long.
async fn within<T>(
    limit: Duration,
    asked: impl Future<Output = Result<T, Error>>,
) -> Result<T, CoordinatorError> {
    match tokio::time::timeout(limit, asked).await {
        Ok(answered) => answered.map_err(|error| error::of_caller(&error)),
        Err(_) => Err(CoordinatorError::Unreachable(format!(
            "no answer within {limit:?}"
        ))),
    }
}

impl Coordinator for ZooKeeper {
    fn declare<'a>(&'a self, topic: &'a Topic) -> BoxFuture<'a, Result<(), CoordinatorError>> {
        self.declare(topic).boxed()
    }

    fn join(&self, node: Node) -> BoxFuture<'_, Result<(), CoordinatorError>> {
        membership::join(&self.shared, node).boxed()
    }

    fn update(&self, change: &mut dyn FnMut(&mut Node)) {
        self.shared.update(change);
    }

    fn view(&self) -> watch::Receiver<Arc<View>> {
        self.shared.view.subscribe()
    }

    fn acquire<'a>(
        &'a self,
        partition: &'a TopicPartition,
    ) -> BoxFuture<'a, Result<Option<Arc<dyn Lock>>, CoordinatorError>> {
        locks::acquire(&self.shared, partition).boxed()
    }

    fn remove<'a>(
        &'a self,
        partition: &'a TopicPartition,
        holder: &'a Holder,
    ) -> BoxFuture<'a, Result<bool, CoordinatorError>> {
        self.remove(partition, holder).boxed()
    }

    fn publish<'a>(
        &'a self,
        seen: u64,
        assignments: &'a BTreeMap<TopicPartition, Assignment>,
    ) -> BoxFuture<'a, Result<bool, CoordinatorError>> {
        self.publish(seen, assignments).boxed()
    }

    fn leave(&self) -> BoxFuture<'_, ()> {
        self.leave().boxed()
    }
}

impl Drop for ZooKeeper {
    fn drop(&mut self) {
        self.shared.leave();
    }
}

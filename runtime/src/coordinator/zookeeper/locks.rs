//! Locks of partitions: taken, given back, taken away, and known to be lost.
//!
//! A lock is an ephemeral node. The transaction that makes it also writes to the partition's node below `/tenures`, so that the version of that one counts tenures. Who
//! deletes a lock checks it in the same transaction: thus only the holding that is meant can go, whatever happened since it was looked at.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use futures_util::{FutureExt, future::BoxFuture};
use tokio::time::timeout;
use tracing::{debug, warn};
use zookeeper_client::{Client, CreateMode, Error, MultiWriteError, MultiWriteResult};

use super::{
    Shared, error,
    layout::{self, HolderEntry, Place},
    session::Session,
};
use crate::{
    coordinator::{CoordinatorError, Lock},
    log::TopicPartition,
};

/// What this process has, or is about to have, of a lock.
#[derive(Debug)]
pub(super) struct Claim {
    pub(super) session: Arc<Session>,
    /// Set once the lock was got.
    held: OnceLock<Held>,
    lost: AtomicBool,
    released: AtomicBool,
}

/// A lock that was got.
#[derive(Clone, Copy, Debug)]
struct Held {
    /// The transaction that made it.
    czxid: i64,
    /// Which tenure of the partition it is.
    tenure: i32,
}

impl Claim {
    /// The transaction that made the lock, once it was got.
    pub(super) fn czxid(&self) -> Option<i64> {
        self.held.get().map(|held| held.czxid)
    }
}

/// All claims of this process, by partition.
#[derive(Debug, Default)]
pub(super) struct Claims(Mutex<BTreeMap<TopicPartition, Arc<Claim>>>);

impl Claims {
    fn all(&self) -> MutexGuard<'_, BTreeMap<TopicPartition, Arc<Claim>>> {
        self.0.lock().expect("nothing in here panics")
    }

    pub(super) fn contains(&self, partition: &TopicPartition) -> bool {
        self.all().contains_key(partition)
    }

    /// The claims of these partitions that are locks by now.
    pub(super) fn held(
        &self,
        of: impl Fn(&TopicPartition) -> bool,
    ) -> Vec<(TopicPartition, Arc<Claim>)> {
        let all = self.all();
        let held = all
            .iter()
            .filter(|(partition, claim)| claim.held.get().is_some() && of(partition));
        held.map(|(partition, claim)| (partition.clone(), claim.clone()))
            .collect()
    }

    /// Begins to contend, unless this process does already, or has the lock.
    fn begin(&self, partition: &TopicPartition, session: &Arc<Session>) -> Option<Arc<Claim>> {
        let mut all = self.all();
        if all.contains_key(partition) {
            return None;
        }
        let claim = Arc::new(Claim {
            session: session.clone(),
            held: OnceLock::new(),
            lost: AtomicBool::new(false),
            released: AtomicBool::new(false),
        });
        all.insert(partition.clone(), claim.clone());
        Some(claim)
    }

    fn end(&self, partition: &TopicPartition, claim: &Arc<Claim>) {
        let mut all = self.all();
        if all
            .get(partition)
            .is_some_and(|now| Arc::ptr_eq(now, claim))
        {
            all.remove(partition);
        }
    }

    /// It is known to be lost.
    pub(super) fn lose(&self, partition: &TopicPartition, claim: &Arc<Claim>) {
        claim.lost.store(true, Ordering::Release);
        self.end(partition, claim);
    }

    /// All of a session that ended are.
    pub(super) fn lose_all(&self) {
        let all = std::mem::take(&mut *self.all());
        for claim in all.into_values() {
            claim.lost.store(true, Ordering::Release);
        }
    }
}

/// A claim that becomes a lock, or ends: also where nobody waits for it any more.
struct Attempt<'a> {
    shared: &'a Arc<Shared>,
    partition: &'a TopicPartition,
    claim: Option<Arc<Claim>>,
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if let Some(claim) = self.claim.take() {
            self.shared.claims.end(self.partition, &claim);
            // If it was got after all, it goes again.
            self.shared.look_again(Place::Lock(self.partition.clone()));
        }
    }
}

/// Tries to get a lock. See [`Coordinator::acquire`](crate::coordinator::Coordinator::acquire).
pub(super) async fn acquire(
    shared: &Arc<Shared>,
    partition: &TopicPartition,
) -> Result<Option<Arc<dyn Lock>>, CoordinatorError> {
    let session = shared.connected_session()?;
    let holder = shared
        .holder_entry()
        .ok_or_else(|| CoordinatorError::Unreachable("this node is not a member".to_owned()))?;
    let Some(claim) = shared.claims.begin(partition, &session) else {
        return Ok(None);
    };
    let mut attempt = Attempt {
        shared,
        partition,
        claim: Some(claim),
    };
    let got = timeout(
        session.timeout,
        contend(shared, &session, partition, &holder),
    )
    .await;
    let got = got.map_err(|_| {
        CoordinatorError::Unreachable(format!("no answer within {:?}", session.timeout))
    })?;
    let held = got?;
    let claim = attempt.claim.take().expect("it was not dropped");
    let Some(held) = held else {
        shared.claims.end(partition, &claim);
        return Ok(None);
    };
    claim.held.set(held).expect("it is set here alone");
    // The session may have ended since.
    if claim.lost.load(Ordering::Acquire) {
        return Err(CoordinatorError::Unreachable(
            "the session was lost".to_owned(),
        ));
    }
    Ok(Some(Arc::new(ZooKeeperLock {
        shared: shared.clone(),
        partition: partition.clone(),
        claim,
    })))
}

async fn contend(
    shared: &Arc<Shared>,
    session: &Arc<Session>,
    partition: &TopicPartition,
    holder: &HolderEntry,
) -> Result<Option<Held>, CoordinatorError> {
    loop {
        let client = session.client().map_err(|error| error::of_caller(&error))?;
        match create(shared, &client, partition, holder).await {
            Ok(held) => return Ok(Some(held)),
            Err(MultiWriteError::OperationFailed {
                source: Error::NodeExists,
                ..
            }) => return Ok(None),
            Err(MultiWriteError::OperationFailed {
                source: Error::NoNode,
                ..
            }) => {
                let made = create_parents(shared, &client, partition).await;
                made.map_err(|error| error::of_caller(&error))?;
            }
            Err(MultiWriteError::RequestFailed {
                source: Error::ConnectionLoss | Error::Custom(_),
            }) => {
                debug!(%partition, "whether the lock was got is not known: looked up");
                shared.connected(session).await?;
                match look_up(session, partition).await {
                    Ok(Some(held)) => return Ok(Some(held)),
                    Ok(None) | Err(Error::ConnectionLoss | Error::Custom(_)) => {}
                    Err(error) => return Err(error::of_caller(&error)),
                }
            }
            Err(error) => return Err(error::of_caller(&error.into())),
        }
    }
}

/// The lock, and one more tenure, at once.
async fn create(
    shared: &Shared,
    client: &Client,
    partition: &TopicPartition,
    holder: &HolderEntry,
) -> Result<Held, MultiWriteError> {
    let bytes = layout::to_bytes(holder);
    let ephemeral = CreateMode::Ephemeral.with_acls(shared.root.acls());
    let mut writer = client.new_multi_writer();
    writer.add_set_data(&layout::tenure(partition), &bytes, None)?;
    writer.add_create(&layout::lock(partition), &bytes, &ephemeral)?;
    let results = writer.commit().await?;
    match results.first() {
        // The state of the lock's own node is not told by every server.
        Some(MultiWriteResult::SetData { stat }) => Ok(Held {
            czxid: stat.mzxid,
            tenure: stat.version,
        }),
        _ => Err(Error::UnexpectedError("a transaction without a result".to_owned()).into()),
    }
}

async fn create_parents(
    shared: &Shared,
    client: &Client,
    partition: &TopicPartition,
) -> Result<(), Error> {
    let lasting = CreateMode::Persistent.with_acls(shared.root.acls());
    for path in [
        format!("{}/{}", layout::TENURES, partition.topic),
        layout::tenure(partition),
        format!("{}/{}", layout::LOCKS, partition.topic),
    ] {
        match client.create(&path, &[], &lasting).await {
            Ok(_) | Err(Error::NodeExists) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The lock, if it is this session's. What was sent before the connection broke has happened by then, or never will.
async fn look_up(session: &Session, partition: &TopicPartition) -> Result<Option<Held>, Error> {
    let client = session.client()?;
    client.sync("/").await?;
    let (tenure, lock) = stat(&client, partition).await?;
    let ours = lock.filter(|lock| lock.ephemeral_owner == session.id);
    Ok(tenure.zip(ours).map(|(tenure, lock)| Held {
        czxid: lock.czxid,
        tenure: tenure.version,
    }))
}

type Stats = (
    Option<zookeeper_client::Stat>,
    Option<zookeeper_client::Stat>,
);

/// The tenure's node, and then the lock: if the lock is one's own, or the one that is meant, then nobody had another tenure before the first was read.
async fn stat(client: &Client, partition: &TopicPartition) -> Result<Stats, Error> {
    let (tenure, lock) = (layout::tenure(partition), layout::lock(partition));
    // They are sent in the order of the calls, and answered in the same.
    futures_util::future::try_join(client.check_stat(&tenure), client.check_stat(&lock)).await
}

/// Deletes the lock that this transaction made, if it is still there: whether it was.
pub(super) async fn remove(
    client: &Client,
    partition: &TopicPartition,
    czxid: i64,
) -> Result<bool, Error> {
    let (Some(tenure), Some(lock)) = stat(client, partition).await? else {
        return Ok(false);
    };
    if lock.czxid != czxid {
        return Ok(false);
    }
    delete(client, partition, tenure.version).await
}

/// Deletes the lock of a tenure, if it is still there: whether it was.
async fn delete(client: &Client, partition: &TopicPartition, tenure: i32) -> Result<bool, Error> {
    let mut writer = client.new_multi_writer();
    writer.add_check_version(&layout::tenure(partition), tenure)?;
    writer.add_delete(&layout::lock(partition), None)?;
    match writer.commit().await {
        Ok(_) => Ok(true),
        Err(MultiWriteError::OperationFailed {
            source: Error::BadVersion | Error::NoNode,
            ..
        }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// A lock of this process. Its claim ends with it.
struct ZooKeeperLock {
    shared: Arc<Shared>,
    partition: TopicPartition,
    claim: Arc<Claim>,
}

impl Lock for ZooKeeperLock {
    fn holds(&self) -> bool {
        let over = self.claim.released.load(Ordering::Acquire) || self.is_lost();
        !over && self.claim.session.lease.holds()
    }

    fn is_lost(&self) -> bool {
        self.claim.lost.load(Ordering::Acquire)
    }

    fn release(&self) -> BoxFuture<'static, ()> {
        let Some(released) = self.give_back() else {
            return std::future::ready(()).boxed();
        };
        // By a task of its own, so that it happens even if nobody waits for it.
        let task = self.shared.runtime.spawn(released);
        async move { drop(task.await) }.boxed()
    }
}

impl ZooKeeperLock {
    /// Gives it back, once.
    fn give_back(&self) -> Option<impl Future<Output = ()> + Send + 'static> {
        if self.claim.released.swap(true, Ordering::AcqRel) || self.is_lost() {
            return None;
        }
        self.shared.claims.end(&self.partition, &self.claim);
        let (shared, partition) = (self.shared.clone(), self.partition.clone());
        let session = self.claim.session.clone();
        let tenure = self.claim.held.get()?.tenure;
        Some(async move {
            let deleted = async { delete(&session.client()?, &partition, tenure).await };
            match timeout(session.timeout, deleted).await {
                Ok(Ok(_)) => {}
                failed => {
                    if let Ok(Err(error)) = failed {
                        warn!(%partition, %error, "the lock could not be given back yet");
                    }
                    // Nobody claims it any more, so it is deleted when it is seen next.
                    shared.look_again(Place::Lock(partition));
                }
            }
        })
    }
}

impl Drop for ZooKeeperLock {
    fn drop(&mut self) {
        if let Some(released) = self.give_back() {
            self.shared.runtime.spawn(released);
        }
    }
}

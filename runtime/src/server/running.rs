//! A service that runs, and how it ends.

use std::{sync::Arc, time::Duration};

use tokio::{sync::watch, task::JoinSet};
use tracing::warn;

use super::Addresses;
use crate::{
    admin::{self, Health},
    cluster::Cluster,
    coordinator::Node as Member,
    log::Log,
    snapshot::Snapshots,
};

/// How often a node that is about to stop looks whether it still owns something.
const DRAIN_POLL: Duration = Duration::from_millis(20);

/// A service that runs. Dropping it leaves it running; [`stop`](Self::stop) ends it.
pub struct Running {
    pub(super) nodes: Vec<Addresses>,
    pub(super) health: Vec<Arc<Health>>,
    pub(super) stop: watch::Sender<bool>,
    pub(super) leave: watch::Sender<bool>,
    pub(super) tasks: Tasks,
    pub(super) clusters: Vec<Cluster>,
    pub(super) log: Arc<dyn Log>,
    pub(super) snapshots: Vec<Arc<Snapshots>>,
    pub(super) grace: Duration,
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running")
            .field("nodes", &self.nodes)
            .finish_non_exhaustive()
    }
}

/// The tasks of all nodes of a process.
#[derive(Default)]
pub(super) struct Tasks {
    pub(super) listeners: JoinSet<()>,
    pub(super) tenders: JoinSet<()>,
}

impl Running {
    /// Where each node listens.
    #[must_use]
    pub fn nodes(&self) -> &[Addresses] {
        &self.nodes
    }

    /// Waits until every partition serves.
    ///
    /// # Errors
    /// Why a partition halted.
    pub async fn ready(&self) -> Result<(), String> {
        while !self.is_ready()? {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        Ok(())
    }

    /// Whether every partition serves.
    ///
    /// # Errors
    /// Why a partition halted.
    pub(crate) fn is_ready(&self) -> Result<bool, String> {
        let statuses: Vec<_> = self
            .health
            .iter()
            .map(|health| health.readiness())
            .collect();
        match statuses.iter().find_map(admin::Readiness::halted) {
            Some(halted) => Err(halted),
            None => Ok(statuses.iter().all(admin::Readiness::is_ready)),
        }
    }

    /// Stops: partitions go to other nodes, if there are any; no new connections, requests in progress end, writes are settled, the log is closed.
    pub async fn stop(mut self) {
        if tokio::time::timeout(self.grace, self.drain())
            .await
            .is_err()
        {
            warn!("partitions were still here when the time to stop was up");
        }
        self.stop.send_replace(true);
        while self.tasks.listeners.join_next().await.is_some() {}
        self.leave.send_replace(true);
        let settled = async { while self.tasks.tenders.join_next().await.is_some() {} };
        if tokio::time::timeout(self.grace, settled).await.is_err() {
            warn!("writes were not settled when the time to stop was up");
            self.tasks.tenders.abort_all();
        }
        for snapshots in &self.snapshots {
            snapshots.settle(self.grace).await;
        }
        for cluster in &self.clusters {
            cluster.coordinator.leave().await;
        }
        self.log.close().await;
    }

    /// Gives all partitions to nodes that stay, for as long as there are such.
    async fn drain(&self) {
        for cluster in &self.clusters {
            cluster.coordinator.update(&mut |node| node.draining = true);
        }
        for (cluster, health) in self.clusters.iter().zip(&self.health) {
            loop {
                let (view, mut views) = cluster.view();
                let mut others = view.nodes.values().filter(|node| *node.id != *cluster.me);
                if !others.any(Member::can_own) || !health.readiness().owns_any() {
                    break;
                }
                drop(tokio::time::timeout(DRAIN_POLL, views.changed()).await);
            }
        }
    }
}

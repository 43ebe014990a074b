//! The coordinator that the settings ask for.

use std::sync::Arc;

use super::{
    Coordinator,
    local::LocalCluster,
    zookeeper::{Settings, ZooKeeper},
};
use crate::config::{Config, CoordinatorChoice};

/// The coordinator of one more node of this process. `local` is what its nodes share if they have no other.
pub(crate) fn open(config: &Config, local: &LocalCluster) -> Arc<dyn Coordinator> {
    #[cfg(feature = "testing")]
    if let Some(process) = crate::testing::Process::current() {
        return Arc::new(super::sim::Shared(process.machine().coordinator.clone()));
    }
    match &config.coordinator {
        CoordinatorChoice::Local => Arc::new(local.node()),
        CoordinatorChoice::ZooKeeper(address) => Arc::new(ZooKeeper::start(Settings {
            address: address.clone(),
            cluster: config.cluster.clone(),
            session_timeout: config.session_timeout,
        })),
    }
}

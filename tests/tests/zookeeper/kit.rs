//! One server for all tests that leave it alone, and what they do with it.

use std::{
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use memgen::coordinator::{
    Coordinator,
    zookeeper::{Settings, ZooKeeper},
};
use memgen_cli::servers::{Jars, ZooKeeper as Ensemble};
use memgen_tests::Folder;

pub(crate) const SESSION_TIMEOUT: Duration = Duration::from_secs(2);

/// An ensemble that lasts as long as the tests.
pub(crate) struct Running {
    pub(crate) ensemble: Mutex<Ensemble>,
    servers: String,
    _folder: Folder,
}

impl Running {
    pub(crate) fn start(servers: usize) -> Self {
        let folder = Folder::new();
        let jars = Jars::fetch().expect("Java and Maven are installed");
        let mut ensemble = Ensemble::create(&jars, folder.path(), servers).expect("free ports");
        ensemble.start().expect("it answers");
        Self {
            servers: ensemble.addresses(),
            ensemble: Mutex::new(ensemble),
            _folder: folder,
        }
    }

    /// `zookeeper://…` of all servers, with this root.
    pub(crate) fn address(&self, root: &str) -> String {
        format!("zookeeper://{}{root}", self.servers)
    }

    pub(crate) fn servers(&self) -> &str {
        &self.servers
    }
}

/// The server that nobody hurts. Tests that run at the same time share it; the last one ends it.
pub(crate) fn one_server() -> Arc<Running> {
    static ONE: Mutex<Weak<Running>> = Mutex::new(Weak::new());
    let mut one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    one.upgrade().unwrap_or_else(|| {
        let running = Arc::new(Running::start(1));
        *one = Arc::downgrade(&running);
        running
    })
}

pub(crate) fn settings(address: &str) -> Settings {
    Settings {
        address: address.parse().expect("an address"),
        cluster: "tests".to_owned(),
        session_timeout: SESSION_TIMEOUT,
    }
}

pub(crate) fn node_of(address: &str) -> Arc<dyn Coordinator> {
    Arc::new(ZooKeeper::start(settings(address)))
}

//! One server for all tests that leave it alone, and what they do with it.

use std::{
    fs,
    sync::{Arc, Mutex, PoisonError, Weak},
    thread,
    time::{Duration, Instant},
};

use memgen::coordinator::{
    Coordinator,
    zookeeper::{Settings, ZooKeeper},
};
use memgen_cli::servers::{Jars, ZooKeeper as Ensemble};
use memgen_tests::{Folder, proxy::Proxy};

pub(crate) const SESSION_TIMEOUT: Duration = Duration::from_secs(2);

/// An ensemble that lasts as long as the tests.
pub(crate) struct Running {
    pub(crate) ensemble: Mutex<Ensemble>,
    servers: String,
    _folder: Folder,
}

impl Running {
    fn one() -> Self {
        let (mut ensemble, folder) = create(1);
        ensemble.start().expect("it answers");
        Self::of(ensemble, folder)
    }

    /// Three servers, of which the third leads. The first one reaches it over a network that can be cut.
    pub(crate) fn three() -> (Self, Proxy) {
        let (mut ensemble, folder) = create(3);
        let settings = folder.path().join("zookeeper-1/zoo.cfg");
        let text = fs::read_to_string(&settings).expect("it was written");
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("server.3=127.0.0.1:"));
        let (port, election) = line
            .and_then(|line| line.split_once(':'))
            .expect("its ports");
        let proxy = Proxy::to(format!("127.0.0.1:{port}").parse().expect("an address"));
        let (direct, through) = (
            format!("server.3=127.0.0.1:{port}:{election}"),
            format!("server.3={}:{election}", proxy.address()),
        );
        fs::write(&settings, text.replace(&direct, &through)).expect("it is ours");
        // Two make a majority, and of those that know the same the one with the highest number leads.
        for number in [2, 0] {
            ensemble.server(number).spawn().expect("Java is there");
        }
        let deadline = Instant::now() + Duration::from_secs(60);
        while ensemble.leader() != Some(2) {
            assert!(Instant::now() < deadline, "the third one does not lead");
            thread::sleep(Duration::from_millis(20));
        }
        ensemble.start().expect("it answers");
        (Self::of(ensemble, folder), proxy)
    }

    fn of(ensemble: Ensemble, folder: Folder) -> Self {
        Self {
            servers: ensemble.addresses(),
            ensemble: Mutex::new(ensemble),
            _folder: folder,
        }
    }

    /// `zookeeper://…` of one server, counted from 0.
    pub(crate) fn address_of(&self, number: usize, root: &str) -> String {
        let server = self
            .servers
            .split(',')
            .nth(number)
            .expect("there are so many");
        format!("zookeeper://{server}{root}")
    }

    /// `zookeeper://…` of all servers, with this root.
    pub(crate) fn address(&self, root: &str) -> String {
        format!("zookeeper://{}{root}", self.servers)
    }

    pub(crate) fn servers(&self) -> &str {
        &self.servers
    }
}

fn create(servers: usize) -> (Ensemble, Folder) {
    let folder = Folder::new();
    let jars = Jars::fetch().expect("Java and Maven are installed");
    let ensemble = Ensemble::create(&jars, folder.path(), servers).expect("free ports");
    (ensemble, folder)
}

/// The server that nobody hurts. Tests that run at the same time share it; the last one ends it.
pub(crate) fn one_server() -> Arc<Running> {
    static ONE: Mutex<Weak<Running>> = Mutex::new(Weak::new());
    let mut one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    one.upgrade().unwrap_or_else(|| {
        let running = Arc::new(Running::one());
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

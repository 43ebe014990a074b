//! The nodes of a service in a simulation.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use axum::http::Method;
use tokio::time::{Instant, sleep};
use tracing::{error, info};

use super::{
    Request, World,
    network::OUTSIDE,
    process::{Machine, Process, UNPOISONED},
};
use crate::{
    Service,
    clock::SimulatedClock,
    config::{Config, CoordinatorChoice, LogChoice},
    coordinator::{
        CoordinatorError,
        sim::{Client as CoordinatorClient, Sim as Ensemble},
    },
    log::sim::{Client as LogClient, Sim as SimLog},
    server::{Running, StartError},
    snapshot::depot::memory::Memory as Depot,
};

/// The time-out of sessions with the coordinator, unless the settings name another.
pub const SESSION_TIMEOUT: Duration = Duration::from_secs(2);

/// Longer than it takes a cluster to serve that can.
const READY_WITHIN: Duration = Duration::from_secs(120);

const HTTP_PORT: u16 = 8081;
const ADMIN_PORT: u16 = 9081;
const PEER_PORT: u16 = 7081;

type MakeService = Arc<dyn Fn() -> Service + Send + Sync>;
type SetConfig = Arc<dyn Fn(&mut Config) + Send + Sync>;

/// The nodes of a service. Clones are the same. Nodes are named by their numbers, from 0.
#[derive(Clone)]
pub struct Cluster(Arc<Inner>);

struct Inner {
    world: World,
    service: MakeService,
    config: SetConfig,
    ensemble: Ensemble,
    nodes: Vec<Mutex<Slot>>,
}

/// A machine, and the process that runs there, if one does.
struct Slot {
    host: IpAddr,
    clock: Arc<SimulatedClock>,
    depot: Depot,
    process: Option<Run>,
}

struct Run {
    process: Arc<Process>,
    log: Arc<LogClient>,
    coordinator: Arc<CoordinatorClient>,
    running: Arc<Mutex<Start>>,
}

/// How far the start of a process is.
enum Start {
    Starting,
    Done(Running),
    Failed(String),
    /// The coordinator could not be reached.
    Unreached,
    Stopping,
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cluster").finish_non_exhaustive()
    }
}

impl Cluster {
    pub(super) fn start(
        world: &World,
        service: MakeService,
        nodes: usize,
        config: SetConfig,
    ) -> Self {
        let mut asked = Config {
            session_timeout: SESSION_TIMEOUT,
            ..Config::default()
        };
        config(&mut asked);
        let slots = (0..nodes).map(|_| {
            let host = world.new_host();
            Mutex::new(Slot {
                host,
                clock: world.new_clock(host),
                depot: Depot::default(),
                process: None,
            })
        });
        let cluster = Self(Arc::new(Inner {
            service,
            config,
            ensemble: Ensemble::new(world.seed(), asked.session_timeout),
            nodes: slots.collect(),
            world: world.clone(),
        }));
        for node in 0..nodes {
            cluster.begin(node);
        }
        cluster
    }

    fn slot(&self, node: usize) -> MutexGuard<'_, Slot> {
        let slot = self.0.nodes.get(node);
        let slot = slot.unwrap_or_else(|| panic!("there is no node {node}"));
        slot.lock().expect(UNPOISONED)
    }

    /// Starts the process of a node.
    fn begin(&self, node: usize) {
        let mut slot = self.slot(node);
        let process = self.0.world.process(slot.host, &slot.clock);
        let log = Arc::new(self.0.world.log().client());
        let entered = process.enter();
        let coordinator = self.0.ensemble.client();
        drop(entered);
        process.set_machine(Machine {
            log: log.clone(),
            coordinator: coordinator.clone(),
            depot: slot.depot.clone(),
        });
        let config = self.config(node, slot.host);
        let service = (self.0.service)();
        let running = Arc::new(Mutex::new(Start::Starting));
        let told = running.clone();
        let start = process.task(async move {
            let started = service.start(config).await;
            *told.lock().expect(UNPOISONED) = match started {
                Ok(running) => Start::Done(running),
                Err(why) => {
                    error!(node, %why, "does not start");
                    match why {
                        StartError::Coordinator(CoordinatorError::Unreachable(_)) => {
                            Start::Unreached
                        }
                        why => Start::Failed(why.to_string()),
                    }
                }
            };
        });
        drop(tokio::spawn(start));
        slot.process = Some(Run {
            process,
            log,
            coordinator,
            running,
        });
    }

    fn config(&self, node: usize, host: IpAddr) -> Config {
        let at = |port| SocketAddr::new(host, port);
        let address = "zookeeper://simulated:2181".parse();
        let mut config = Config {
            cluster: "simulated".to_owned(),
            session_timeout: SESSION_TIMEOUT,
            ..Config::default()
        };
        (self.0.config)(&mut config);
        Config {
            node: Some(node.to_string()),
            http: at(HTTP_PORT),
            admin: at(ADMIN_PORT),
            peer: at(PEER_PORT),
            nodes: 1,
            // What the process opens is the simulation's; these say what it is like.
            log: LogChoice::Kafka("simulated:9092".to_owned()),
            coordinator: CoordinatorChoice::ZooKeeper(address.expect("it is an address")),
            ..config
        }
    }

    /// How many nodes it has, whether they run or not.
    #[must_use]
    pub fn size(&self) -> usize {
        self.0.nodes.len()
    }

    /// A node, to send requests to.
    ///
    /// # Panics
    /// If there is no such node.
    #[must_use]
    pub fn node(&self, node: usize) -> Node {
        let host = self.slot(node).host;
        Node {
            world: self.0.world.clone(),
            host,
        }
    }

    /// Waits until every node that runs has started, and sees all partitions served. One that ended since it could not reach the coordinator is started again, as whoever
    /// supervises it would.
    ///
    /// # Panics
    /// If that takes more than two minutes of the simulation's time, or a node can't start.
    pub async fn ready(&self) {
        let patience = Instant::now() + READY_WITHIN;
        loop {
            let waits_for = (0..self.size()).find(|node| !self.is_ready(*node));
            let Some(node) = waits_for else { return };
            assert!(
                Instant::now() < patience,
                "node {node} is not ready within {READY_WITHIN:?}"
            );
            sleep(Duration::from_millis(10)).await;
        }
    }

    fn is_ready(&self, node: usize) -> bool {
        let slot = self.slot(node);
        let Some(run) = &slot.process else {
            return true;
        };
        if run.process.is_paused() {
            return true;
        }
        let running = run.running.clone();
        drop(slot);
        match &*running.lock().expect(UNPOISONED) {
            Start::Starting => false,
            Start::Stopping => true,
            Start::Failed(why) => panic!("node {node} does not start: {why}"),
            Start::Done(running) => match running.is_ready() {
                Ok(ready) => ready,
                Err(why) => panic!("node {node} has halted: {why}"),
            },
            Start::Unreached => {
                self.crash(node);
                self.restart(node);
                false
            }
        }
    }

    /// Whether a process runs there, paused or not.
    #[must_use]
    pub fn is_running(&self, node: usize) -> bool {
        self.slot(node).process.is_some()
    }

    /// Whether its process is paused.
    #[must_use]
    pub fn is_paused(&self, node: usize) -> bool {
        let slot = self.slot(node);
        slot.process
            .as_ref()
            .is_some_and(|run| run.process.is_paused())
    }

    /// Ends the process of a node between two instructions, as `kill -9` does. What it had sent to the log may land. Its snapshots stay, and its session ends after its time-out, or earlier, by
    /// proof of its death.
    pub fn crash(&self, node: usize) {
        let run = self.slot(node).process.take();
        let Some(run) = run else { return };
        info!(target: "memgen::testing", node, "crashes");
        self.0.world.log().crash(&run.log);
        run.process.kill();
        let _entered = run.process.enter();
        drop(run.running);
    }

    /// Starts the process of a node that does not run. It goes on with the snapshots that it has.
    pub fn restart(&self, node: usize) {
        if !self.is_running(node) {
            info!(target: "memgen::testing", node, "starts");
            self.begin(node);
        }
    }

    /// The node loses all that it has on its disk: its snapshots. It must not run.
    ///
    /// # Panics
    /// If it runs.
    pub fn lose_snapshots(&self, node: usize) {
        let mut slot = self.slot(node);
        assert!(slot.process.is_none(), "node {node} runs");
        slot.depot = Depot::default();
    }

    /// What a node has on its disk is damaged, as chance will have it: some snapshots end early, in some are other bytes than were written, and some are those of before. It must not run.
    ///
    /// # Panics
    /// If it runs.
    pub fn damage_snapshots(&self, node: usize) {
        let slot = self.slot(node);
        assert!(slot.process.is_none(), "node {node} runs");
        info!(target: "memgen::testing", node, "its snapshots are damaged");
        slot.depot.damage(&mut self.0.world.random());
    }

    /// The disk of a node takes nothing more in, or does again. What is there can be read.
    pub fn fill_disk(&self, node: usize, full: bool) {
        info!(target: "memgen::testing", node, full, "its disk is full, or no more");
        self.slot(node).depot.set_full(full);
    }

    /// A node has no memory left, or has it again. What makes its partitions grow is refused (507), by it and by the owners of those that it follows; reads and deletions go on. Nodes look
    /// ten times in a second, and what is deleted makes no room.
    pub fn fill_memory(&self, node: usize, full: bool) {
        info!(target: "memgen::testing", node, full, "its memory is full, or no more");
        let host = self.slot(node).host;
        self.0.world.memories().set_full(host, full);
    }

    /// From now on the clocks of a node go `rate` times as fast as time does, and its wall clock is `ahead_ms` milliseconds ahead of what it would be.
    ///
    /// What a node waits for is not longer or shorter by that: see [`set_coordinator_rate`](Self::set_coordinator_rate).
    pub fn set_clock(&self, node: usize, rate: f64, ahead_ms: i64) {
        info!(target: "memgen::testing", node, rate, ahead_ms, "its clocks go like this now");
        self.slot(node).clock.set(rate, ahead_ms);
    }

    /// From now on the coordinator's clock goes `rate` times as fast as those of all nodes, so that sessions end earlier or later than they believe. Leases allow for 1.33.
    pub fn set_coordinator_rate(&self, rate: f64) {
        info!(target: "memgen::testing", rate, "the coordinator's clock goes like this now");
        self.0.ensemble.set_rate(rate);
    }

    /// Stops a node as `SIGTERM` does: others take its partitions over, requests in progress end.
    ///
    /// # Panics
    /// If there is no such node.
    pub async fn stop(&self, node: usize) {
        let run = {
            let slot = self.slot(node);
            let run = slot.process.as_ref();
            run.map(|run| (run.process.clone(), run.running.clone()))
        };
        let Some((process, running)) = run else {
            return;
        };
        info!(target: "memgen::testing", node, "stops");
        let running = std::mem::replace(&mut *running.lock().expect(UNPOISONED), Start::Stopping);
        if let Start::Done(running) = running {
            // What crashes meanwhile does not stop any more.
            let stopped = tokio::spawn(process.task(running.stop()));
            while !stopped.is_finished() && !process.is_gone() {
                sleep(Duration::from_millis(5)).await;
            }
        }
        let mut slot = self.slot(node);
        if slot
            .process
            .as_ref()
            .is_some_and(|run| Arc::ptr_eq(&run.process, &process))
        {
            slot.process = None;
            drop(slot);
            process.kill();
        }
    }

    /// Stops all instructions of a node, as `SIGSTOP` does, until [`resume`](Self::resume). Its kernel still accepts connections, and beyond
    /// [`SESSION_TIMEOUT`] others take its partitions over.
    pub fn pause(&self, node: usize) {
        self.set_paused(node, true);
    }

    /// Lets a node go on that was paused.
    pub fn resume(&self, node: usize) {
        self.set_paused(node, false);
    }

    fn set_paused(&self, node: usize, paused: bool) {
        if let Some(run) = &self.slot(node).process {
            info!(target: "memgen::testing", node, paused, "is paused or goes on");
            run.process.set_paused(paused);
        }
    }

    /// Nothing gets through between two nodes, in either direction, until [`heal`](Self::heal).
    pub fn partition(&self, one: usize, other: usize) {
        self.cut(one, other);
        self.cut(other, one);
    }

    /// Nothing gets from one node to another, until [`heal`](Self::heal). The other direction works.
    pub fn cut(&self, from: usize, to: usize) {
        info!(target: "memgen::testing", from, to, "are cut off");
        let (from, to) = (self.slot(from).host, self.slot(to).host);
        self.0.world.network().set_cut(from, to, true);
    }

    /// All connections between two nodes break. New ones can be made.
    pub fn break_connections(&self, one: usize, other: usize) {
        let (one, other) = (self.slot(one).host, self.slot(other).host);
        self.0.world.network().break_connections(one, other);
    }

    /// Clients don't reach a node any more, nor it them, until [`heal`](Self::heal).
    pub fn isolate_from_clients(&self, node: usize) {
        let host = self.slot(node).host;
        self.0.world.network().set_cut(OUTSIDE, host, true);
        self.0.world.network().set_cut(host, OUTSIDE, true);
    }

    /// A node does not reach the log any more, or does again.
    pub fn cut_off_from_log(&self, node: usize, cut_off: bool) {
        if let Some(run) = &self.slot(node).process {
            info!(target: "memgen::testing", node, cut_off, "is cut off from the log, or no more");
            self.0.world.log().set_cut_off(&run.log, cut_off);
        }
    }

    /// A node does not reach the coordinator any more, or does again. Beyond [`SESSION_TIMEOUT`] its session ends, and its locks are lost.
    pub fn cut_off_from_coordinator(&self, node: usize, cut_off: bool) {
        if let Some(run) = &self.slot(node).process {
            info!(target: "memgen::testing", node, cut_off, "is cut off from the coordinator, or no more");
            self.0.ensemble.set_cut_off(&run.coordinator, cut_off);
        }
    }

    /// The coordinator ends the session of a node, although it is heard of: its locks are lost. A node that is cut off from the coordinator, or paused, could not hear of that, and would
    /// read from its memory for as long as its lease lasts: nothing happens to it.
    pub fn expire_session(&self, node: usize) {
        if let Some(run) = &self.slot(node).process
            && !run.process.is_paused()
        {
            info!(target: "memgen::testing", node, "its session ends");
            self.0.ensemble.expire(&run.coordinator);
        }
    }

    /// How long anything may take between nodes and the coordinator.
    pub fn set_coordinator_delay_max(&self, delay_max: Duration) {
        self.0.ensemble.set_delay_max(delay_max);
    }

    /// All that is cut gets through again: between nodes, to clients, to the log, to the coordinator. Who is paused goes on, disks and memory have room. What has crashed stays so, and clocks go as they do.
    pub fn heal(&self) {
        info!(target: "memgen::testing", "all is healed");
        self.0.world.network().heal();
        for node in 0..self.size() {
            if self.is_paused(node) {
                self.resume(node);
            }
            let slot = self.slot(node);
            slot.depot.set_full(false);
            self.0.world.memories().set_full(slot.host, false);
            if let Some(run) = &slot.process {
                self.0.world.log().set_cut_off(&run.log, false);
                self.0.ensemble.set_cut_off(&run.coordinator, false);
            }
        }
    }

    /// The log, to inject faults and to look at what is in it.
    #[must_use]
    pub fn log(&self) -> &SimLog {
        self.0.world.log()
    }
}

/// A node, as its clients see it.
#[derive(Clone, Debug)]
pub struct Node {
    world: World,
    host: IpAddr,
}

impl Node {
    /// A request with any method.
    pub fn request(&self, method: Method, path: &str) -> Request {
        let to = SocketAddr::new(self.host, HTTP_PORT);
        Request::new(self.world.network(), to, method, path)
    }

    /// `GET`.
    pub fn get(&self, path: &str) -> Request {
        self.request(Method::GET, path)
    }

    /// `POST`.
    pub fn post(&self, path: &str) -> Request {
        self.request(Method::POST, path)
    }

    /// `PUT`.
    pub fn put(&self, path: &str) -> Request {
        self.request(Method::PUT, path)
    }

    /// `PATCH`.
    pub fn patch(&self, path: &str) -> Request {
        self.request(Method::PATCH, path)
    }

    /// `DELETE`.
    pub fn delete(&self, path: &str) -> Request {
        self.request(Method::DELETE, path)
    }

    /// `GET` at the operator's address: `/status`, `/readyz`, `/metrics`.
    pub fn admin(&self, path: &str) -> Request {
        self.operate(Method::GET, path)
    }

    /// Asks it to drain, as `memgen drain` does: others take its partitions over while it runs, and it gets none until it is started again.
    pub fn drain(&self) -> Request {
        self.operate(Method::POST, "/drain")
    }

    fn operate(&self, method: Method, path: &str) -> Request {
        let to = SocketAddr::new(self.host, ADMIN_PORT);
        Request::new(self.world.network(), to, method, path)
    }
}

//! A service under test in memory: whole nodes in one thread, with faults on cue, in simulated time, and all of it again by the same seed. For tests (feature `testing`).
//!
//! Nothing of a service is replaced: what runs is what [`Service::start`](crate::Service::start) starts, with its listeners, its HTTP, its calls from node to node, its takeovers and its snapshots. What it
//! stands on is simulated: the log ([`log::sim`](crate::log::sim)), the coordinator ([`coordinator::sim`](crate::coordinator::sim)), the network between nodes and to clients, the disk, the clocks,
//! chance, and which of the tasks that are ready runs next. Time passes when nothing else is to be done, so a test takes milliseconds, also one that waits for hours.
//!
//! ```
//! use memgen::{prelude::*, testing::Simulation};
//! use serde_json::{Value, json};
//!
//! /// An account.
//! #[stateful_api(path = "/accounts", partitions = 2, crud(get))]
//! #[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
//! struct Account {
//!     #[key]
//!     name: String,
//!     cents: u64,
//! }
//!
//! #[handlers]
//! impl Account {
//!     /// Pays something in.
//!     #[post("/{name}/deposits")]
//!     fn deposit(entry: &mut Entry<Self>, name: String, cents: Json<u64>) -> Json<Account> {
//!         let account = entry.or_insert_with(|| Account { name, cents: 0 });
//!         account.cents += cents.0;
//!         Json(account.clone())
//!     }
//! }
//!
//! // In a test: #[test] fn a_deposit_survives_a_crash() {
//! Simulation::new(1).run(async |world| {
//!     let cluster = world.cluster(|| memgen::service!(Account), 3).await;
//!     cluster.node(0).post("/accounts/ann/deposits").json(&5).await.expect(200);
//!
//!     cluster.crash(0);
//!     let account: Value = cluster.node(1).get("/accounts/ann").await.json();
//!     assert_eq!(account, json!({ "name": "ann", "cents": 5 }));
//!
//!     // The write lands, but nobody is told so; the request is carried out once all the same.
//!     cluster.log().lose_next_acknowledgement();
//!     let deposit = cluster.node(2).post("/accounts/ann/deposits").once("d2").json(&5);
//!     deposit.clone().await.expect(200);
//!     let account: Value = deposit.await.json();
//!     assert_eq!(account["cents"], 10);
//! });
//! ```
//!
//! # What follows from the seed
//! All of it, for as long as the code under test takes chance and time from nowhere else: the [`trace_hash`](World::trace_hash) of two runs is the same. Handlers that ask for `SystemTime::now`,
//! for random numbers, or that iterate over a `HashMap`, differ from run to run by themselves; so does what a test spawns with `tokio::spawn` rather than [`World::spawn`].
//!
//! A test that fails prints its seed, and the last lines of what all nodes said.

mod cluster;
mod feed;
mod memory;
pub(crate) mod network;
mod process;
mod request;
mod schedule;
mod trace;

use std::{
    net::{IpAddr, Ipv4Addr},
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use tokio::{
    task::JoinHandle,
    time::{Instant, sleep},
};
pub use tracing::Level;

pub(crate) use self::process::{Process, UNPOISONED};
pub use self::{
    cluster::{Cluster, Node, SESSION_TIMEOUT},
    feed::{Event, Feed},
    request::{NoReply, Reply, Request},
};
use self::{memory::Memories, network::Network, schedule::Schedule, trace::Trace};
#[doc(hidden)]
pub use crate::broken::{Bug, set_broken};
pub use crate::log::sim::{Compaction, Faults, Sim as Log};
use crate::{Service, clock::SimulatedClock, config::Config};

/// So many lines are printed where a test fails.
const LINES_PRINTED: usize = 200;

/// A test that follows from a seed.
#[derive(Clone, Debug)]
pub struct Simulation {
    seed: u64,
    faults: Faults,
    level: Level,
    lines: usize,
}

impl Simulation {
    /// A simulation in which nothing goes wrong by itself.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            faults: Faults::none(),
            level: Level::INFO,
            lines: LINES_PRINTED,
        }
    }

    /// What goes wrong in the log by itself, and how often.
    #[must_use]
    pub fn faults(mut self, faults: Faults) -> Self {
        self.faults = faults;
        self
    }

    /// What is kept of what nodes say, to be printed if the test fails: all of this level and above, and so many of the last lines.
    #[must_use]
    pub fn trace(mut self, level: Level, lines: usize) -> Self {
        self.level = level;
        self.lines = lines;
        self
    }

    /// Runs a test with one seed after the other, each in a simulation of its own.
    ///
    /// ```
    /// use memgen::testing::Simulation;
    ///
    /// Simulation::seeds(0..5, async |world| {
    ///     world.advance(std::time::Duration::from_secs(3600)).await;
    /// });
    /// ```
    pub fn seeds(seeds: Range<u64>, mut test: impl AsyncFnMut(World)) {
        for seed in seeds {
            Self::new(seed).run(&mut test);
        }
    }

    /// Runs a test. It ends when the test ends, wherever its nodes are.
    ///
    /// # Panics
    /// If the test does; the seed is printed then.
    pub fn run<T>(self, test: impl AsyncFnOnce(World) -> T) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime without sockets needs nothing of the system");
        runtime.block_on(async move {
            let mut random = fastrand::Rng::with_seed(self.seed);
            let clock = Arc::new(SimulatedClock::new());
            let schedule = Schedule::new(random.fork(), clock.start());
            let network = Network::new(random.fork());
            let memories = Arc::new(Memories::default());
            let outside = Process::new(network::OUTSIDE, &schedule, &network, &clock, &memories);
            let trace = Trace::default();
            let subscriber = trace.subscriber(self.level, clock.start());
            let _default = tracing::subscriber::set_default(subscriber);
            let _told = Told {
                seed: self.seed,
                trace: trace.clone(),
                lines: self.lines,
            };
            let opener = tokio::spawn(schedule.clone().run());
            let world = World(Arc::new(Inner {
                seed: self.seed,
                log: Log::new(random.u64(..), self.faults),
                schedule,
                network,
                memories,
                clock,
                outside: outside.clone(),
                hosts: AtomicU8::new(0),
                trace,
            }));
            let done = outside.run(test(world)).await;
            opener.abort();
            done
        })
    }
}

/// Tells of a test that fails.
struct Told {
    seed: u64,
    trace: Trace,
    lines: usize,
}

impl Drop for Told {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!(
                "the simulation with seed {} failed; the last lines:",
                self.seed
            );
            for line in self.trace.last(self.lines) {
                eprintln!("{line}");
            }
        }
    }
}

/// What a simulation has besides its services. Clones are the same.
#[derive(Clone)]
pub struct World(Arc<Inner>);

struct Inner {
    seed: u64,
    log: Log,
    schedule: Arc<Schedule>,
    network: Network,
    memories: Arc<Memories>,
    clock: Arc<SimulatedClock>,
    /// Where the test itself is, and its clients.
    outside: Arc<Process>,
    hosts: AtomicU8,
    trace: Trace,
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World")
            .field("seed", &self.0.seed)
            .finish_non_exhaustive()
    }
}

impl World {
    /// Starts the nodes of a service, and waits until they serve.
    pub async fn cluster(
        &self,
        service: impl Fn() -> Service + Send + Sync + 'static,
        nodes: usize,
    ) -> Cluster {
        let cluster = self.cluster_with(service, nodes, |_| ());
        cluster.ready().await;
        cluster
    }

    /// Starts the nodes of a service with settings of the test's own. Where nodes listen, and what they stand on, is the simulation's.
    ///
    /// ```
    /// use memgen::testing::Simulation;
    ///
    /// Simulation::new(1).run(async |world| {
    ///     let cluster = world.cluster_with(|| memgen::service!(), 2, |config| config.replicas = 0);
    ///     cluster.ready().await;
    ///     cluster.node(1).get("/openapi.json").await.expect(200);
    /// });
    /// ```
    pub fn cluster_with(
        &self,
        service: impl Fn() -> Service + Send + Sync + 'static,
        nodes: usize,
        config: impl Fn(&mut Config) + Send + Sync + 'static,
    ) -> Cluster {
        Cluster::start(self, Arc::new(service), nodes, Arc::new(config))
    }

    /// Lets time pass, with all that happens in it.
    pub async fn advance(&self, time: Duration) {
        sleep(time).await;
    }

    /// How much time has passed.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        Instant::now() - self.0.clock.start()
    }

    /// Spawns something that the test does at the same time.
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        tokio::spawn(self.0.outside.task(future))
    }

    /// The log of all services.
    #[must_use]
    pub fn log(&self) -> &Log {
        &self.0.log
    }

    /// The longest time that bytes take from one host to another; 2 ms at first.
    pub fn set_latency_max(&self, latency_max: Duration) {
        self.0.network.set_latency_max(latency_max);
    }

    /// The seed of the simulation.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.0.seed
    }

    /// Chance of its own, from the seed.
    #[must_use]
    pub fn random(&self) -> fastrand::Rng {
        self.0.schedule.fork()
    }

    /// A number that is the same for the same history up to now, and hardly ever for another.
    #[must_use]
    pub fn trace_hash(&self) -> u64 {
        self.0.schedule.hash()
    }

    /// The last lines of what nodes said and what was done to them.
    #[must_use]
    pub fn trace(&self, lines: usize) -> Vec<String> {
        self.0.trace.last(lines)
    }

    fn network(&self) -> &Network {
        &self.0.network
    }

    fn memories(&self) -> &Memories {
        &self.0.memories
    }

    fn new_host(&self) -> IpAddr {
        let number = self.0.hosts.fetch_add(1, Ordering::Relaxed);
        IpAddr::V4(Ipv4Addr::new(10, 0, 0, number + 1))
    }

    /// The clocks of a machine, which has run since the beginning.
    fn new_clock(&self, host: IpAddr) -> Arc<SimulatedClock> {
        let boot = match host {
            IpAddr::V4(host) => u64::from(host.to_bits()),
            IpAddr::V6(_) => 0,
        };
        Arc::new(SimulatedClock::of(self.0.clock.start(), boot))
    }

    fn process(&self, host: IpAddr, clock: &Arc<SimulatedClock>) -> Arc<Process> {
        let Inner {
            schedule,
            network,
            memories,
            ..
        } = &*self.0;
        Process::new(host, schedule, network, clock, memories)
    }
}

#[cfg(test)]
mod tests;

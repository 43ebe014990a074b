//! A service on several nodes, as processes, with real Kafka and ZooKeeper.

use std::{
    net::Ipv4Addr,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use memgen_cli::servers::{Jars, Kafka, ZooKeeper};
use rdkafka::{
    ClientConfig,
    consumer::{BaseConsumer, Consumer as _},
    metadata::MetadataTopic,
};
use serde_json::Value;

use crate::{
    Client, Folder, Running, Service,
    network::{Net, Network},
    service::process_state,
};

/// Brokers and an ensemble, for all clusters of a test binary.
pub struct Servers {
    /// The brokers.
    pub kafka: Kafka,
    /// The ensemble.
    pub zookeeper: ZooKeeper,
    // Behind those that write into it.
    _folder: Folder,
}

impl Servers {
    /// Starts so many brokers and servers of ZooKeeper.
    #[must_use]
    pub fn start(brokers: usize, ensemble: usize) -> Self {
        Self::start_at([Ipv4Addr::LOCALHOST; 2], brokers, ensemble)
    }

    /// The same, where nodes on hosts of their own reach them.
    #[must_use]
    pub fn start_in(_network: &Network, brokers: usize, ensemble: usize) -> Self {
        let hosts = [Net::Kafka.here(), Net::ZooKeeper.here()];
        Self::start_at(hosts, brokers, ensemble)
    }

    fn start_at([kafka, zookeeper]: [Ipv4Addr; 2], brokers: usize, ensemble: usize) -> Self {
        let jars = Jars::fetch().expect("Java and Maven are installed");
        let folder = Folder::new();
        let mut kafka = Kafka::create_at(&jars, folder.path(), kafka, brokers).expect("brokers");
        let mut zookeeper =
            ZooKeeper::create_at(&jars, folder.path(), zookeeper, ensemble).expect("an ensemble");
        zookeeper.start().expect("it answers");
        kafka.start().expect("they answer");
        Self {
            kafka,
            zookeeper,
            _folder: folder,
        }
    }

    /// Restarts one broker after another, as an operator does: the next one when all have what they should have.
    pub async fn restart_brokers(&mut self) -> Vec<Outage> {
        let mut outages = Vec::new();
        for broker in 0..self.kafka.servers().len() {
            let (from, before) = (Instant::now(), self.kafka.server(broker).pid());
            self.kafka.server(broker).stop().expect("it runs");
            tokio::time::sleep(Duration::from_secs(1)).await;
            self.kafka.start().expect("it comes back");
            self.all_in_sync().await;
            let is_another = self.kafka.server(broker).pid() != before;
            outages.push(Outage::restart(from, is_another));
        }
        outages
    }

    /// Lets one broker after another stand still for so long, with all that it leads and with its connections open; the next one when all have what they should have.
    pub async fn pause_brokers(&mut self, time: Duration) -> Vec<Outage> {
        let mut outages = Vec::new();
        for broker in 0..self.kafka.servers().len() {
            let from = Instant::now();
            let server = self.kafka.server(broker);
            server.pause().expect("it runs");
            tokio::time::sleep(time).await;
            let state = server.pid().map(process_state);
            server.resume().expect("it is there");
            outages.push(Outage {
                from,
                to: Instant::now(),
                sign: (state == Some('T')).then(|| "the process was seen to be stopped".to_owned()),
            });
            self.all_in_sync().await;
        }
        outages
    }

    /// Restarts one server of the ensemble after another. A single one is away for a second.
    pub async fn restart_ensemble(&mut self) -> Vec<Outage> {
        let mut outages = Vec::new();
        for server in 0..self.zookeeper.servers().len() {
            let (from, before) = (Instant::now(), self.zookeeper.server(server).pid());
            self.zookeeper.server(server).stop().expect("it runs");
            tokio::time::sleep(Duration::from_secs(1)).await;
            self.zookeeper.start().expect("it comes back");
            let is_another = self.zookeeper.server(server).pid() != before;
            outages.push(Outage::restart(from, is_another));
        }
        outages
    }

    /// Waits until every broker has all that it should have: only then may the next one go.
    async fn all_in_sync(&self) {
        let brokers = self.kafka.addresses();
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", &brokers)
            .create()
            .expect("a client");
        let waited = async {
            loop {
                let metadata = consumer
                    .fetch_metadata(None, Duration::from_secs(10))
                    .expect("two brokers answer");
                let mut partitions = metadata.topics().iter().flat_map(MetadataTopic::partitions);
                if partitions.all(|partition| partition.isr().len() == partition.replicas().len()) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(60), waited).await;
        waited.expect("all are in sync again");
    }
}

/// A server that was away for a while.
#[derive(Clone, Debug)]
pub struct Outage {
    /// When it was told to end, or to stand still.
    pub from: Instant,
    /// When it was back.
    pub to: Instant,
    /// What shows that it was away.
    pub sign: Option<String>,
}

impl Outage {
    /// A restart that is over.
    fn restart(from: Instant, is_another: bool) -> Self {
        Self {
            from,
            to: Instant::now(),
            sign: is_another.then(|| "another process answers".to_owned()),
        }
    }
}

/// The name of a node, counted from 0.
#[must_use]
pub fn name_of(node: usize) -> String {
    format!("n{}", node + 1)
}

/// Nodes of one service.
pub struct Cluster {
    services: Vec<Service>,
    running: Vec<Option<Running>>,
}

impl Cluster {
    /// Prepares `nodes` nodes of the service `program`, of a cluster with a name of its own; on hosts of their own if there is a network of them.
    #[must_use]
    pub fn new(
        servers: &Servers,
        network: Option<&Network>,
        program: &Path,
        nodes: u8,
        args: &[&str],
    ) -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let name = format!(
            "c{}-{}",
            std::process::id(),
            NUMBER.fetch_add(1, Ordering::Relaxed)
        );
        let log = format!("kafka://{}", servers.kafka.addresses());
        let coordinator = format!("zookeeper://{}/{name}", servers.zookeeper.addresses());
        let services = (1..=nodes).map(|number| {
            let node = name_of(usize::from(number - 1));
            let service = Service::of(program.to_owned());
            let service = match network {
                Some(network) => network.place(number - 1, service),
                // One that listens on all addresses, as in a container, and so has to say at which it is reached.
                None if number == 1 => {
                    let service = service.set("--peer", "0.0.0.0:0");
                    service.args(&["--advertise", "localhost"])
                }
                None => service,
            };
            service
                .args(&["--cluster", &name, "--node", &node])
                .args(&["--log", &log, "--coordinator", &coordinator])
                .args(&["--peer-secret", "open, said Ali Baba"])
                .args(args)
        });
        Self {
            services: services.collect(),
            running: (0..nodes).map(|_| None).collect(),
        }
    }

    /// Has a node run another program from its next start on.
    pub fn install(&mut self, node: usize, program: PathBuf) {
        self.services[node] = self.services[node].clone().with_program(program);
    }

    /// How one node is started.
    #[must_use]
    pub fn service(&self, node: usize) -> &Service {
        &self.services[node]
    }

    /// How many nodes there are, running or not.
    #[must_use]
    pub fn size(&self) -> usize {
        self.services.len()
    }

    /// Starts all nodes that do not run, and waits until each is ready.
    pub async fn start(&mut self) {
        for node in 0..self.services.len() {
            if self.running[node].is_none() {
                self.launch(node);
            }
        }
        self.ready().await;
    }

    /// Starts one node.
    pub fn launch(&mut self, node: usize) {
        self.running[node] = Some(self.services[node].launch());
    }

    /// Waits until all nodes that run are ready.
    pub async fn ready(&mut self) {
        for running in self.running.iter_mut().flatten() {
            running.ready().await;
        }
    }

    /// The data folder of one node.
    #[must_use]
    pub fn data(&self, node: usize) -> &Path {
        self.services[node].data()
    }

    /// One node that runs.
    pub fn node(&mut self, node: usize) -> &mut Running {
        self.running[node].as_mut().expect("it runs")
    }

    /// The clients of the nodes that run, by number.
    #[must_use]
    pub fn clients(&self) -> Vec<(usize, Client)> {
        let running = self.running.iter().enumerate();
        let running = running.filter_map(|(node, running)| Some((node, running.as_ref()?)));
        running
            .map(|(node, running)| (node, running.client()))
            .collect()
    }

    /// `kill -9` of one node.
    pub fn kill_9(&mut self, node: usize) {
        let mut running = self.running[node].take().expect("it runs");
        running.kill_9();
    }

    /// Asks one node to end, and waits until it has.
    pub async fn stop(&mut self, node: usize) {
        let mut running = self.running[node].take().expect("it runs");
        let status = running.terminate().await;
        assert!(status.success(), "{status}:\n{}", running.output());
    }

    /// What a node says of the cluster.
    pub async fn status(&mut self, node: usize) -> Value {
        self.node(node).admin().get("/status").await.json()
    }

    /// The owner of each partition of a topic, as a node sees it.
    pub async fn owners(&mut self, node: usize, topic: &str) -> Vec<Option<String>> {
        let status = self.status(node).await;
        let partitions = status["partitions"].as_array().expect("partitions");
        let of_topic = partitions.iter().filter(|one| one["topic"] == topic);
        of_topic
            .map(|one| one["owner"].as_str().map(str::to_owned))
            .collect()
    }

    /// The first standby of each partition of a topic, as a node sees it.
    pub async fn standbys(&mut self, node: usize, topic: &str) -> Vec<Option<String>> {
        let status = self.status(node).await;
        let partitions = status["partitions"].as_array().expect("partitions");
        let of_topic = partitions.iter().filter(|one| one["topic"] == topic);
        of_topic
            .map(|one| one["standbys"][0].as_str().map(str::to_owned))
            .collect()
    }

    /// How often partitions of a topic were taken over so far, in all: each takeover has an epoch of its own.
    pub async fn epochs(&mut self, topic: &str) -> u64 {
        let mut epochs: Vec<u64> = Vec::new();
        for node in 0..self.services.len() {
            if self.running[node].is_none() {
                continue;
            }
            let status = self.status(node).await;
            let partitions = status["partitions"].as_array().expect("partitions");
            let of_topic = partitions.iter().filter(|one| one["topic"] == topic);
            for (at, one) in of_topic.enumerate() {
                epochs.resize(epochs.len().max(at + 1), 0);
                epochs[at] = epochs[at].max(one["epoch"].as_u64().unwrap_or(0));
            }
        }
        epochs.into_iter().sum()
    }

    /// Where each node that owns or follows a partition is in its log, and the digest of what it has there.
    pub async fn digests(&mut self, topic: &str, partition: usize) -> Vec<(u64, String)> {
        let mut digests = Vec::new();
        for node in 0..self.services.len() {
            if self.running[node].is_none() {
                continue;
            }
            let status = self.status(node).await;
            let partitions = status["partitions"].as_array().expect("partitions");
            let mut partitions = partitions.iter();
            let one = partitions
                .find(|one| one["topic"] == topic && one["partition"] == partition)
                .expect("each node knows each partition");
            if one["phase"] == "serving" || one["phase"] == "standby" {
                let position = one["position"].as_u64().expect("a position");
                let digest = one["digest"].as_str().expect("a digest").to_owned();
                digests.push((position, digest));
            }
        }
        digests
    }

    /// The digest of what a replay of a partition up to a position gives, by a process of its own.
    #[must_use]
    pub fn replay(&self, topic: &str, partition: usize, position: u64) -> String {
        let task = format!("--verify-log={topic}/{partition}@{position}");
        let output = self.services[0].ask(&[&task]);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{task}: {errors}");
        let verified: Value = serde_json::from_slice(&output.stdout).expect("it prints JSON");
        assert_eq!(verified["position"], position, "{verified}");
        verified["digest"].as_str().expect("a digest").to_owned()
    }

    /// What the nodes that run have printed, by name.
    #[must_use]
    pub fn outputs(&self) -> Vec<(String, String)> {
        let running = self.running.iter().enumerate();
        let running = running.filter_map(|(node, running)| Some((node, running.as_ref()?)));
        running
            .map(|(node, running)| (name_of(node), running.output()))
            .collect()
    }

    /// Checks that no node panicked.
    pub fn assert_sound(&mut self) {
        for running in self.running.iter_mut().flatten() {
            running.assert_sound();
        }
    }
}

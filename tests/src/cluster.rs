//! A service on several nodes, as processes, with real Kafka and ZooKeeper; and a load on it whose history is checked.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use memgen_cli::servers::{Jars, Kafka, ZooKeeper};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::{
    Client, Folder, Random, Running, Service,
    history::{History, Operation, Outcome},
};

/// How long a client repeats a request before it gives up.
pub const PATIENCE: Duration = Duration::from_secs(20);

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
        let jars = Jars::fetch().expect("Java and Maven are installed");
        let folder = Folder::new();
        let mut kafka = Kafka::create(&jars, folder.path(), brokers).expect("brokers");
        let mut zookeeper = ZooKeeper::create(&jars, folder.path(), ensemble).expect("an ensemble");
        zookeeper.start().expect("it answers");
        kafka.start().expect("they answer");
        Self {
            kafka,
            zookeeper,
            _folder: folder,
        }
    }
}

/// Nodes of one service.
pub struct Cluster {
    services: Vec<Service>,
    running: Vec<Option<Running>>,
}

impl Cluster {
    /// Prepares `nodes` nodes of the service `program`, of a cluster with a name of its own.
    #[must_use]
    pub fn new(servers: &Servers, program: &Path, nodes: usize, args: &[&str]) -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let name = format!(
            "c{}-{}",
            std::process::id(),
            NUMBER.fetch_add(1, Ordering::Relaxed)
        );
        let log = format!("kafka://{}", servers.kafka.addresses());
        let coordinator = format!("zookeeper://{}/{name}", servers.zookeeper.addresses());
        let services = (1..=nodes).map(|number| {
            let node = format!("n{number}");
            let service = Service::of(program.to_owned());
            // One that listens on all addresses, as in a container, and so has to say at which it is reached.
            let service = if number == 1 {
                let service = service.set("--peer", "0.0.0.0:0");
                service.args(&["--advertise", "localhost"])
            } else {
                service
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

    /// Checks that no node panicked.
    pub fn assert_sound(&mut self) {
        for running in self.running.iter_mut().flatten() {
            running.assert_sound();
        }
    }
}

/// Clients that append to lists of `register` and read them, each at a node of its own.
pub struct Load {
    stop: Arc<AtomicBool>,
    clients: JoinSet<Done>,
}

/// What the clients of a load did.
#[derive(Debug, Default)]
pub struct Done {
    /// All operations.
    pub history: History,
    /// Requests that were answered with an error, or not at all, with what was said: a client repeats such a request under its id.
    pub failed: Vec<String>,
    /// How long each operation took, with when it began and its key.
    pub waits: Vec<(Instant, Duration, String)>,
}

impl Load {
    /// Starts `clients` clients spread over `nodes`. Items of different loads on the same keys must differ: `first` says where they begin.
    #[must_use]
    pub fn start(nodes: &[Client], clients: u64, keys: &[String], random: &mut Random) -> Self {
        static ITEM: AtomicU64 = AtomicU64::new(1);
        let stop = Arc::new(AtomicBool::new(false));
        let mut tasks = JoinSet::new();
        for client in 0..clients {
            let node = nodes[usize::try_from(client).unwrap_or(0) % nodes.len()].clone();
            let (stop, keys, mut random) = (stop.clone(), keys.to_vec(), random.split());
            tasks.spawn(async move {
                let mut done = Done::default();
                while !stop.load(Ordering::Relaxed) {
                    let key = &keys[random.below(u32::try_from(keys.len()).unwrap_or(1)) as usize];
                    let item = (random.below(4) > 0).then(|| ITEM.fetch_add(1, Ordering::Relaxed));
                    let operation = operate(&node, key, item, &mut done.failed).await;
                    let wait = operation.ended - operation.began;
                    done.waits.push((operation.began, wait, key.clone()));
                    done.history.add(key, operation);
                }
                done
            });
        }
        Self {
            stop,
            clients: tasks,
        }
    }

    /// Lets the operations under way end.
    pub async fn stop(mut self) -> Done {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Done::default();
        while let Some(done) = self.clients.join_next().await {
            let done = done.expect("clients do not panic");
            all.history.extend(done.history);
            all.failed.extend(done.failed);
            all.waits.extend(done.waits);
        }
        all
    }
}

/// One operation, repeated under its id until it is answered.
async fn operate(
    node: &Client,
    key: &str,
    item: Option<u64>,
    failed: &mut Vec<String>,
) -> Operation {
    let began = Instant::now();
    let outcome = loop {
        let request = match item {
            Some(item) => node
                .request("POST", &format!("/r/{key}/append"))
                .header("idempotency-key", &format!("item-{item}"))
                .json(&json!({"item": item})),
            None => node.request("GET", &format!("/r/{key}")),
        };
        match request.try_send().await {
            Ok(reply) if reply.status == 200 => break Outcome::Seen(items(&reply.json()["value"])),
            Ok(reply) if reply.status == 404 && item.is_none() => break Outcome::Seen(Vec::new()),
            Ok(reply) => failed.push(format!("{} {}", reply.status, reply.text())),
            Err(error) => failed.push(format!("no answer: {error}")),
        }
        if began.elapsed() > PATIENCE {
            break Outcome::Unknown;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    Operation {
        item,
        began,
        ended: Instant::now(),
        outcome,
    }
}

/// The lists of all keys.
pub async fn lists(client: &Client, keys: &[String]) -> BTreeMap<String, Vec<u64>> {
    let mut lists = BTreeMap::new();
    for key in keys {
        let reply = client
            .request("GET", &format!("/r/{key}"))
            .header("memgen-read", "strict")
            .send()
            .await;
        let list = match reply.status {
            200 => items(&reply.json()["value"]),
            404 => Vec::new(),
            _ => panic!("{reply:?}"),
        };
        lists.insert(key.clone(), list);
    }
    lists
}

fn items(list: &Value) -> Vec<u64> {
    let items = list.as_array().map_or(&[][..], Vec::as_slice);
    items.iter().filter_map(Value::as_u64).collect()
}

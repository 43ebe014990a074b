//! A load on a cluster of `register` whose history is checked.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::{
    Client, Random,
    history::{History, Operation, Outcome},
};

/// How long a client repeats a request before it gives up.
const PATIENCE: Duration = Duration::from_secs(20);
/// Keys, by partition.
pub type Keys = Vec<Vec<String>>;

/// Clients that append to lists of `register` and read them, each at a node of its own, on keys of one partition.
///
/// A client waits for its answer, so one that had keys of all partitions would soon wait for the one that is without an owner, and tell nothing of the others.
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
    pub failed: Vec<Failed>,
    /// How long each operation took.
    pub waits: Vec<Wait>,
}

/// An error that a client was told, or that it was told nothing.
#[derive(Clone, Debug)]
pub struct Failed {
    /// When.
    pub at: Instant,
    /// What.
    pub said: String,
}

/// How long an operation took.
#[derive(Clone, Copy, Debug)]
pub struct Wait {
    /// Which client's it was.
    pub client: usize,
    /// The partition of its key.
    pub partition: usize,
    /// When it began.
    pub began: Instant,
    /// How long it took.
    pub took: Duration,
}

impl Load {
    /// Starts one client at each of the nodes for each partition. It rests for less than `rest_ms_max` between two operations.
    #[must_use]
    pub fn start(nodes: &[Client], keys: &Keys, rest_ms_max: u32, random: &mut Random) -> Self {
        static ITEM: AtomicU64 = AtomicU64::new(1);
        let stop = Arc::new(AtomicBool::new(false));
        let mut clients = JoinSet::new();
        for (partition, keys) in keys.iter().enumerate() {
            for node in nodes {
                let (client, node) = (clients.len(), node.clone());
                let (stop, keys, mut random) = (stop.clone(), keys.clone(), random.split());
                clients.spawn(async move {
                    let mut done = Done::default();
                    while !stop.load(Ordering::Relaxed) {
                        let count = u32::try_from(keys.len()).expect("a few keys");
                        let key = &keys[random.below(count) as usize];
                        let item =
                            (random.below(4) > 0).then(|| ITEM.fetch_add(1, Ordering::Relaxed));
                        let operation = operate(&node, key, item, &mut done.failed).await;
                        let began = operation.began;
                        done.waits.push(Wait {
                            client,
                            partition,
                            began,
                            took: operation.ended - began,
                        });
                        done.history.add(key, operation);
                        let rest = u64::from(random.below(rest_ms_max));
                        tokio::time::sleep(Duration::from_millis(rest)).await;
                    }
                    done
                });
            }
        }
        Self { stop, clients }
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

impl Done {
    /// The longest wait of each client of these partitions, of what was under way in this time or began in it: what a client saw of a takeover.
    #[must_use]
    pub fn longest(
        &self,
        from: Instant,
        to: Instant,
        partitions: &BTreeSet<usize>,
    ) -> Vec<Duration> {
        let mut longest: BTreeMap<usize, Duration> = BTreeMap::new();
        for wait in &self.waits {
            let overlaps = wait.began < to && wait.began + wait.took > from;
            if overlaps && partitions.contains(&wait.partition) {
                let known = longest.entry(wait.client).or_default();
                *known = wait.took.max(*known);
            }
        }
        longest.into_values().collect()
    }

    /// All waits of what began in this time, on all partitions but these.
    #[must_use]
    pub fn besides(
        &self,
        from: Instant,
        to: Instant,
        partitions: &BTreeSet<usize>,
    ) -> Vec<Duration> {
        let waits = self.waits.iter().filter(|wait| {
            (from..to).contains(&wait.began) && !partitions.contains(&wait.partition)
        });
        waits.map(|wait| wait.took).collect()
    }
}

/// One operation, repeated under its id until it is answered.
async fn operate(
    node: &Client,
    key: &str,
    item: Option<u64>,
    failed: &mut Vec<Failed>,
) -> Operation {
    let began = Instant::now();
    let mut fail = |said: String| {
        let at = Instant::now();
        failed.push(Failed { at, said });
    };
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
            Ok(reply) => fail(format!(
                "{} after {:?}: {}",
                reply.status,
                began.elapsed(),
                reply.text()
            )),
            Err(error) => fail(format!("no answer: {error}")),
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
pub async fn lists(client: &Client, keys: &Keys) -> BTreeMap<String, Vec<u64>> {
    let mut lists = BTreeMap::new();
    for key in keys.iter().flatten() {
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

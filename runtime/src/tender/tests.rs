//! Tenders of several nodes over one simulated log and one local coordinator, in paused time.

#![allow(clippy::unwrap_used)] // the whole file is a test

mod leases;
mod spoilt;
mod turns;

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{http::StatusCode, response::IntoResponse};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use tokio::{
    sync::{Semaphore, watch},
    task::JoinHandle,
    time::{sleep, timeout},
};

use super::{Tender, Tending};
use crate::{
    clock::SimulatedClock,
    cluster::Cluster,
    conditional::Conditions,
    coordinator::{
        Coordinator, Lock, Node as Member, StateTopic,
        local::{Local, LocalCluster},
    },
    fold::{Fold, Horizon},
    forward::Peers,
    log::{
        Log, Topic, TopicPartition,
        sim::{Client, Faults, Sim},
    },
    log_watch::LogWatch,
    mailbox::{Answer, Command, Job, Mailbox, Recall, Refusal, RequestId},
    metrics::Metrics,
    migration::Readers,
    partitions::{Here, Slot, just},
    peer_link::Connector,
    peer_secret::PeerSecret,
    planner::Planner,
    prelude::*,
    record::Kind,
    replay_progress::ReplayProgress,
    replica::Replica,
    snapshot::{Keeper, Snapshots},
    tx::Courier,
    writer::{Bounds, Order, Phase, Writer},
};

const HORIZON: Horizon = Horizon {
    age_ms: 3_600_000,
    replies_max: 1000,
    replies_bytes_max: usize::MAX,
};
const BOUNDS: Bounds = Bounds {
    group_records_max: 8,
    group_bytes_max: 1 << 20,
    value_bytes_max: 1 << 20,
};

/// A key and what was appended to it.
#[stateful_api(path = "/pile")]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
struct Pile {
    #[key]
    key: String,
    #[serde(deserialize_with = "spoilt::items")]
    items: Vec<u64>,
}

fn partition() -> TopicPartition {
    TopicPartition::new("pile", 0)
}

async fn declared(sim: &Sim) -> Client {
    let client = sim.client();
    let topic = Topic {
        name: "pile".into(),
        partitions: 1,
        partitioner: "murmur2 key".into(),
        format: "json".into(),
    };
    client.declare(&topic).await.unwrap();
    client
}

fn key() -> String {
    "a".to_owned()
}

struct Node {
    coordinator: Arc<Local>,
    slot: Arc<Slot<Pile>>,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
    client: Arc<Client>,
}

impl Node {
    async fn start(sim: &Sim, cluster: &LocalCluster, id: &str, incarnation: u64) -> Self {
        Self::start_with(sim, cluster, id, incarnation, None).await
    }

    /// One that keeps snapshots.
    async fn start_with(
        sim: &Sim,
        cluster: &LocalCluster,
        id: &str,
        incarnation: u64,
        keeper: Option<Arc<Keeper>>,
    ) -> Self {
        let turns = Arc::new(Semaphore::new(2));
        Self::start_by_turns(sim, cluster, (id, incarnation), keeper, turns).await
    }

    /// One whose long replays take turns.
    async fn start_by_turns(
        sim: &Sim,
        cluster: &LocalCluster,
        (id, incarnation): (&str, u64),
        keeper: Option<Arc<Keeper>>,
        replays: Arc<Semaphore>,
    ) -> Self {
        let client = Arc::new(declared(sim).await);
        let coordinator = Arc::new(cluster.node());
        let connector = Connector::new(None, coordinator.view());
        let peers = Peers::new(PeerSecret::default(), connector);
        let seen = Cluster::new(coordinator.clone(), id, peers);
        let (stop, told) = watch::channel(false);
        let (cut_off, told_cut_off) = watch::channel(false);
        let metrics = Metrics::new().partition(&partition());
        let slot = Arc::new(Slot::new(partition(), seen.clone(), metrics, keeper));
        let common = Arc::new(Tending {
            log: client.clone(),
            cluster: seen,
            horizon: HORIZON,
            bounds: BOUNDS,
            budget: Arc::default(),
            history: crate::feed::History::default(),
            queue_max: 64,
            incarnation,
            others: Arc::new(Courier::default()),
            schemas: Arc::default(),
            replays,
            progress: Arc::new(ReplayProgress::new(None)),
            snapshots: Snapshots::new(Arc::new(SimulatedClock::new()), None, 0),
            cut_off: told_cut_off,
            stop: told,
        });
        let watch = LogWatch {
            log: client.clone(),
            coordinator: coordinator.clone(),
            metrics: Metrics::new(),
            cut_off,
        };
        let tender = tokio::spawn(Tender::new(common, slot.clone(), Readers::current(0)).run());
        let address: SocketAddr = "127.0.0.1:1".parse().unwrap();
        let topic = StateTopic {
            partitions: 1,
            global: false,
        };
        coordinator
            .join(Member {
                id: id.to_owned(),
                incarnation,
                peer: address,
                host: None,
                http: address,
                admin: address,
                zone: None,
                serve: None,
                topics: [("pile".into(), topic)].into(),
                version: "1".to_owned(),
                draining: false,
                cut_off: false,
                full: false,
                in_sync: std::collections::BTreeSet::new(),
            })
            .await
            .unwrap();
        let planner = Planner {
            coordinator: coordinator.clone(),
            node: id.to_owned(),
            standbys: 1,
            settle: Duration::ZERO,
        };
        Self {
            coordinator,
            slot,
            stop,
            tasks: vec![
                tender,
                tokio::spawn(planner.run()),
                tokio::spawn(watch.run()),
            ],
            client,
        }
    }

    /// As `kill -9`: nothing of it runs any more, and the coordinator notices at once.
    async fn crash(self) {
        for task in &self.tasks {
            task.abort();
        }
        self.coordinator.leave().await;
    }
}

/// What says that the partition was given up is seen while it still settles: nothing else may be waited for after that.
#[tokio::test(start_paused = true)]
async fn an_owner_that_stops_alone_ends_at_once() {
    let sim = Sim::new(1, Faults::none());
    let mut nodes = vec![Node::start(&sim, &LocalCluster::new(), "n1", 1).await];
    append_all(&nodes, 0..3).await;
    nodes[0].stop.send_replace(true);
    let tender = nodes[0].tasks.remove(0);
    let ended = timeout(Duration::from_secs(1), tender).await;
    ended.expect("it ends").unwrap();
    stop(nodes);
}

/// `n1` to `n3`.
async fn three(sim: &Sim, cluster: &LocalCluster) -> Vec<Node> {
    let mut nodes = Vec::new();
    for number in 1..=3 {
        nodes.push(Node::start(sim, cluster, &format!("n{number}"), number).await);
    }
    nodes
}

fn stop(nodes: Vec<Node>) {
    for node in nodes {
        node.stop.send_replace(true);
        for task in node.tasks {
            task.abort();
        }
    }
}

/// Whoever serves, as soon as somebody does.
async fn owner(nodes: &[Node]) -> (usize, Arc<Here<Pile>>) {
    let found = async {
        loop {
            for (index, node) in nodes.iter().enumerate() {
                if let Some(here) = node.slot.here()
                    && *here.phase.borrow() == Phase::Serving
                {
                    return (index, here);
                }
            }
            sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(Duration::from_secs(60), found).await.unwrap()
}

async fn append(mailbox: &Mailbox<Pile>, item: u64) -> Result<Answer, Refusal> {
    append_as(mailbox, item, None).await
}

async fn append_as(
    mailbox: &Mailbox<Pile>,
    item: u64,
    request: Option<RequestId>,
) -> Result<Answer, Refusal> {
    let asked = mailbox.ask(|slot| {
        Job::Command(Command {
            key: "a".to_owned(),
            conditions: Conditions::default(),
            request,
            run: Box::new(move |entry: &mut Entry<Pile>| {
                let key = entry.key().clone();
                let items = Vec::new();
                let pile = entry.or_insert_with(|| Pile { key, items });
                pile.items.push(item);
                StatusCode::OK.into_response()
            }),
            slot,
        })
    });
    asked.await
}

/// Appends all of `items`, each at whoever serves at the moment; one that moved is tried again.
async fn append_all(nodes: &[Node], items: std::ops::Range<u64>) {
    for item in items {
        loop {
            let (_, here) = owner(nodes).await;
            match append(&here.mailbox, item).await {
                Ok(_) => break,
                Err(refusal) => {
                    assert!(
                        matches!(refusal, Refusal::Moved | Refusal::Undone(_)),
                        "{refusal:?}"
                    );
                }
            }
        }
    }
}

fn items(here: &Here<Pile>) -> Vec<u64> {
    let pile = here.memory.get(&"a".to_owned()).unwrap();
    pile.state.items.clone()
}

#[tokio::test(start_paused = true)]
async fn a_partition_goes_from_node_to_node_and_loses_nothing() {
    for seed in 0..20 {
        let sim = Sim::new(seed, Faults::none());
        let cluster = LocalCluster::new();
        let mut nodes = three(&sim, &cluster).await;
        append_all(&nodes, 0..10).await;
        // It is given away while others write: nobody is refused but for a moment.
        let (first, _) = owner(&nodes).await;
        nodes[first]
            .coordinator
            .update(&mut |node| node.draining = true);
        append_all(&nodes, 10..30).await;
        let second = timeout(Duration::from_secs(60), async {
            loop {
                let (second, _) = owner(&nodes).await;
                if second != first {
                    return second;
                }
                sleep(Duration::from_millis(1)).await;
            }
        });
        let second = second.await.unwrap();
        append_all(&nodes, 30..40).await;
        // The new owner dies.
        nodes.remove(second).crash().await;
        append_all(&nodes, 40..60).await;
        let (_, here) = owner(&nodes).await;
        assert_eq!(items(&here), (0..60).collect::<Vec<_>>(), "seed {seed}");
        // Those that follow have the same.
        sleep(Duration::from_secs(5)).await;
        for node in &nodes {
            if let Some(copy) = node.slot.copy() {
                let pile = copy.memory.get(&"a".to_owned()).unwrap();
                assert_eq!(pile.state.items.len(), 60);
            }
        }
        stop(nodes);
    }
}

/// Whoever serves and is not this one.
async fn owner_besides(nodes: &[Node], other: usize) -> Arc<Here<Pile>> {
    let found = async {
        loop {
            let (index, here) = owner(nodes).await;
            if index != other {
                return here;
            }
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(Duration::from_secs(60), found).await.unwrap()
}

/// What was on its way when the owner was cut off landed, and nobody heard of it: who asks for it again at the next owner gets the first answer.
#[tokio::test(start_paused = true)]
async fn an_owner_that_is_cut_off_from_the_log_gives_its_partition_away() {
    for seed in 0..20 {
        let sim = Sim::new(seed, Faults::none());
        let cluster = LocalCluster::new();
        let nodes = three(&sim, &cluster).await;
        append_all(&nodes, 0..10).await;
        let (first, here) = owner(&nodes).await;
        let id = |number: u8| {
            Some(RequestId {
                id: Bytes::from(vec![number]),
                fingerprint: u128::from(number),
            })
        };
        let sent = {
            let mailbox = here.mailbox.clone();
            tokio::spawn(async move { append_as(&mailbox, 10, id(1)).await })
        };
        sleep(Duration::from_micros(1500)).await;
        sim.set_cut_off(&nodes[first].client, true);
        let never_sent = {
            let mailbox = here.mailbox.clone();
            tokio::spawn(async move { append_as(&mailbox, 11, id(2)).await })
        };
        let next = owner_besides(&nodes, first).await;
        for (asked, number, item) in [(sent, 1, 10), (never_sent, 2, 11)] {
            let answer = asked.await.unwrap();
            assert!(
                matches!(answer, Err(Refusal::Unknown | Refusal::Moved)),
                "seed {seed}, {item}: {:?}",
                answer.err()
            );
            append_as(&next.mailbox, item, id(number)).await.unwrap();
        }
        assert_eq!(items(&next), (0..12).collect::<Vec<_>>(), "seed {seed}");
        // It is back, follows again, and may have the partition back.
        sim.set_cut_off(&nodes[first].client, false);
        append_all(&nodes, 12..20).await;
        sleep(Duration::from_secs(10)).await;
        for node in &nodes {
            if let Some(copy) = node.slot.copy() {
                let pile = copy.memory.get(&"a".to_owned()).unwrap();
                assert_eq!(pile.state.items, (0..20).collect::<Vec<_>>());
            }
        }
        let (last, _) = owner(&nodes).await;
        nodes[last]
            .coordinator
            .update(&mut |node| node.draining = true);
        owner_besides(&nodes, last).await;
        stop(nodes);
    }
}

/// If it is the log that is gone, every node keeps what it has: it can answer reads.
#[tokio::test(start_paused = true)]
async fn a_log_that_answers_nobody_moves_nothing() {
    let sim = Sim::new(1, Faults::none());
    let cluster = LocalCluster::new();
    let nodes = three(&sim, &cluster).await;
    append_all(&nodes, 0..10).await;
    let (first, here) = owner(&nodes).await;
    for cut_off in [true, false] {
        for node in &nodes {
            sim.set_cut_off(&node.client, cut_off);
            sleep(Duration::from_millis(300)).await;
        }
        sleep(Duration::from_secs(30)).await;
        assert_eq!(here.read(false, None, |_| ()).await, Ok(()));
    }
    append_all(&nodes, 10..20).await;
    assert_eq!(owner(&nodes).await.0, first);
    assert_eq!(items(&here), (0..20).collect::<Vec<_>>());
}

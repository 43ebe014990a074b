//! The real writer, fold and replica over the simulated log: random histories, checked against the log's own truth.
//!
//! It mirrors the executable model of the log protocol. Three nodes share one partition and depose each other all the time, since each takes
//! over when a job finds it without a tenure. Clients repeat requests at any node. Nodes crash, acknowledgements get lost, late
//! writes of deposed owners land, outsiders write, compaction goes on. `MEMGEN_SIMULATION_SEEDS` says how many histories are run, or which: `200` or `200..400`.

#![allow(clippy::unwrap_used)] // the whole file is a test

mod cases;
mod leader;
mod snapshots;
mod streams;
mod transactions;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    ops::Range,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{http::StatusCode, response::IntoResponse};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};

use crate::{
    batch,
    broken::{Bug, set_broken},
    conditional::Conditions,
    coordinator::Lock,
    fold::{Effect, Fold, Horizon},
    log::{
        Log, Topic, TopicPartition,
        sim::{Client, Compaction, Faults, Sim},
    },
    mailbox::{Answer, Command, Job, Mailbox, Refusal, RequestId},
    memory::Memory,
    metrics::{Metrics, PartitionMetrics},
    migration::Readers,
    prelude::*,
    record::{BATCH_KEY, Ballot, Kind, Offset, Record},
    replica::Replica,
    tx::Courier,
    writer::{Bounds, Order, Phase, Writer},
};

const NODES: usize = 3;
const KEYS: [&str; 6] = ["a", "b", "c", "d", "e", "f"];
const HORIZON: Horizon = Horizon {
    age_ms: 3_600_000,
    replies_max: 1_000_000,
    replies_bytes_max: usize::MAX,
};

/// A key and all that was appended to it.
#[stateful_api(path = "/pile", crud(get, watch))]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
struct Pile {
    #[key]
    key: String,
    items: Vec<u64>,
}

fn partition() -> TopicPartition {
    TopicPartition::new("pile", 0)
}

/// A lock that all hold at once: the nodes contend by the log alone.
struct Everybodys;

impl Lock for Everybodys {
    fn holds(&self) -> bool {
        true
    }

    fn is_lost(&self) -> bool {
        false
    }

    fn release(&self) -> BoxFuture<'static, ()> {
        Box::pin(std::future::ready(()))
    }
}

/// One node: a writer over its own connection.
struct Node {
    client: Arc<Client>,
    mailbox: Mailbox<Pile>,
    memory: Arc<Memory<Pile>>,
    metrics: PartitionMetrics,
    task: JoinHandle<()>,
}

fn start(sim: &Sim, incarnation: u64) -> Node {
    let client = Arc::new(sim.client());
    let replica = Replica::new(client.clone(), partition(), HORIZON, Readers::current(0));
    serve(client, replica, incarnation)
}

fn serve(client: Arc<Client>, replica: Replica<Pile>, incarnation: u64) -> Node {
    let memory = replica.memory().clone();
    let (mailbox, inbox) = Mailbox::new(64);
    let (phase, _) = watch::channel(Phase::Starting);
    let (_, orders) = watch::channel(Order::Serve);
    let metrics = Metrics::new().partition(&partition());
    let writer = Writer {
        replica,
        inbox,
        mailbox: mailbox.downgrade(),
        others: Arc::new(Courier::default()),
        schemas: Arc::default(),
        phase,
        orders,
        lock: Arc::new(Everybodys),
        bounds: Bounds {
            group_records_max: 8,
            group_bytes_max: 1 << 20,
            value_bytes_max: 1 << 20,
        },
        budget: Arc::default(),
        metrics: metrics.clone(),
        incarnation,
    };
    Node {
        client,
        metrics,
        mailbox,
        memory,
        task: tokio::spawn(async { drop(writer.run().await) }),
    }
}

/// What a client did, and what it was told.
#[derive(Clone, Debug)]
struct Operation {
    id: u64,
    key: &'static str,
    acknowledged: bool,
}

type Nodes = Arc<Mutex<Vec<Node>>>;

/// Appends `id` to the pile of `key`, at random nodes, until one says that it is done or patience ends.
async fn append(nodes: Nodes, mut random: fastrand::Rng, key: &'static str, id: u64) -> Operation {
    let mut operation = Operation {
        id,
        key,
        acknowledged: false,
    };
    for _ in 0..20 {
        let mailbox = {
            let nodes = nodes.lock().unwrap();
            nodes[random.usize(..nodes.len())].mailbox.clone()
        };
        let request = RequestId {
            id: Bytes::from(format!("r{id}")),
            fingerprint: u128::from(id),
        };
        let asked = mailbox.ask(|slot| {
            Job::Command(Command {
                key: key.to_owned(),
                conditions: Conditions::default(),
                request: Some(request),
                run: Box::new(move |entry: &mut Entry<Pile>| {
                    let key = entry.key().clone();
                    entry
                        .or_insert_with(|| Pile {
                            key,
                            items: Vec::new(),
                        })
                        .items
                        .push(id);
                    StatusCode::OK.into_response()
                }),
                slot,
            })
        });
        // A client that gives up and asks elsewhere is a fault of its own.
        let patience = Duration::from_millis(random.u64(5..2000));
        let outcome: Result<Result<Answer, Refusal>, _> = timeout(patience, asked).await;
        if let Ok(Ok(answer)) = outcome {
            assert_eq!(answer.response.status(), StatusCode::OK);
            assert!(answer.offset.is_some(), "a write names its record");
            operation.acknowledged = true;
            break;
        }
        sleep(Duration::from_millis(random.u64(1..200))).await;
    }
    operation
}

/// A strict read: it sees every append that was acknowledged before it began.
async fn read_strictly(
    nodes: Nodes,
    mut random: fastrand::Rng,
    acknowledged: Arc<Mutex<BTreeMap<&'static str, BTreeSet<u64>>>>,
) -> Option<String> {
    let (mailbox, memory) = {
        let nodes = nodes.lock().unwrap();
        let node = &nodes[random.usize(..nodes.len())];
        (node.mailbox.clone(), node.memory.clone())
    };
    let before = acknowledged.lock().unwrap().clone();
    let Ok(Ok(_)) = timeout(Duration::from_secs(2), mailbox.ask(Job::Fence)).await else {
        return None;
    };
    for (key, ids) in before {
        let seen: BTreeSet<u64> = memory
            .get(&key.to_owned())
            .map(|stored| stored.state.items.iter().copied().collect())
            .unwrap_or_default();
        if let Some(id) = ids.iter().find(|id| !seen.contains(id)) {
            return Some(format!(
                "a strict read of `{key}` misses {id}, which was acknowledged before"
            ));
        }
    }
    None
}

/// Everything that the log says, and what is wrong with it.
struct Truth {
    entities: HashMap<Bytes, Option<Bytes>>,
    /// Offsets at which a request took effect.
    applied: HashMap<u64, Vec<Offset>>,
    stale: usize,
    takeovers: usize,
    wrong: Vec<String>,
}

fn truth(history: &[(Offset, Record)]) -> Truth {
    let mut fold = Fold::new(HORIZON);
    let mut truth = Truth {
        entities: HashMap::new(),
        applied: HashMap::new(),
        stale: 0,
        takeovers: 0,
        wrong: Vec::new(),
    };
    for (offset, record) in history {
        let counts = fold.counts(*offset, record);
        truth.stale += usize::from(!counts);
        truth.takeovers += usize::from(record.kind == Kind::Barrier && counts);
        let changes = match fold.step(*offset, record).unwrap() {
            Effect::Nothing => Vec::new(),
            Effect::One(key, value) => vec![batch::Change { key, value }],
            Effect::Batch(changes) => changes,
        };
        for batch::Change { key, value } in changes {
            let before = truth.entities.get(&key).cloned().flatten();
            if let Some(answered) = &record.answered {
                let id: u64 = std::str::from_utf8(&answered.id[1..])
                    .unwrap()
                    .parse()
                    .unwrap();
                truth.applied.entry(id).or_default().push(*offset);
                let items = |value: Option<&Bytes>| {
                    value.map_or_else(Vec::new, |value| {
                        serde_json::from_slice::<Pile>(value).unwrap().items
                    })
                };
                let mut expected = items(before.as_ref());
                expected.push(id);
                if value.is_some() && items(value.as_ref()) != expected {
                    truth
                        .wrong
                        .push(format!("an update of {key:?} is lost at {offset}"));
                }
            } else if before != value && record.ballot != Ballot::FOREIGN {
                truth
                    .wrong
                    .push(format!("repair or follow-up changed {key:?} at {offset}"));
            }
            truth.entities.insert(key, value);
        }
    }
    truth
}

/// What clients were told against what the log says.
fn check_operations(operations: &[Operation], truth: &Truth) -> Vec<String> {
    let mut wrong = Vec::new();
    for operation in operations {
        let applied = truth.applied.get(&operation.id).map_or(0, Vec::len);
        if applied > 1 {
            wrong.push(format!(
                "request {} took effect {applied} times",
                operation.id
            ));
        }
        if operation.acknowledged && applied == 0 {
            wrong.push(format!(
                "request {} was acknowledged and is lost",
                operation.id
            ));
        }
        let value = truth
            .entities
            .get(operation.key.as_bytes())
            .cloned()
            .flatten();
        let items = value.map_or_else(Vec::new, |value| {
            serde_json::from_slice::<Pile>(&value).unwrap().items
        });
        if operation.acknowledged && !items.contains(&operation.id) {
            wrong.push(format!(
                "{} is not in the pile of {}",
                operation.id, operation.key
            ));
        }
    }
    wrong
}

/// Whoever reads the compacted log from its start sees the same.
async fn check_replay(sim: &Sim, truth: &Truth) -> Vec<String> {
    let mut wrong = Vec::new();
    let reader = sim.client();
    let mut replica =
        Replica::<Pile>::new(Arc::new(reader), partition(), HORIZON, Readers::current(0));
    replica.catch_up(None, |_, _, _| ()).await.unwrap();
    for (key, value) in &truth.entities {
        let text = std::str::from_utf8(key).unwrap().to_owned();
        let replayed = replica
            .memory()
            .get(&text)
            .map(|stored| stored.state.clone());
        let expected = value
            .as_ref()
            .map(|value| serde_json::from_slice::<Pile>(value).unwrap());
        if replayed != expected {
            wrong.push(format!("a replay of the compacted log differs in {text:?}"));
        }
    }
    let values = truth.entities.values().flatten();
    let tags = values.map(|value| xxhash_rust::xxh3::xxh3_64(value));
    let digest = tags.fold(0, u64::wrapping_add);
    if replica.memory().summary().digest != digest {
        wrong.push("a replay of the compacted log has another digest".to_owned());
    }
    wrong
}

/// One history. Returns what went wrong, and how much happened.
async fn run(seed: u64, quiet: bool) -> (Vec<String>, Truth, usize) {
    let mut random = fastrand::Rng::with_seed(seed);
    let sim = Sim::new(seed, faults(seed));
    sim.client().declare(&topic(1)).await.unwrap();
    let mut incarnation = 0;
    let mut next_incarnation = || {
        incarnation += 1;
        incarnation
    };
    let nodes: Nodes = Arc::new(Mutex::new(
        (0..NODES)
            .map(|_| start(&sim, next_incarnation()))
            .collect(),
    ));
    let acknowledged = Arc::new(Mutex::new(BTreeMap::<_, BTreeSet<u64>>::new()));
    let mut clients = Vec::new();
    let mut readers = Vec::new();
    let end = Instant::now() + Duration::from_secs(30);
    let mut id = 0;
    while Instant::now() < end {
        for _ in 0..random.usize(0..6) {
            id += 1;
            let key = KEYS[random.usize(..KEYS.len())];
            let (nodes, acknowledged) = (nodes.clone(), acknowledged.clone());
            let random = random.fork();
            clients.push(tokio::spawn(async move {
                let operation = append(nodes, random, key, id).await;
                if operation.acknowledged {
                    acknowledged
                        .lock()
                        .unwrap()
                        .entry(key)
                        .or_default()
                        .insert(operation.id);
                }
                operation
            }));
        }
        if random.f64() < 0.3 {
            readers.push(tokio::spawn(read_strictly(
                nodes.clone(),
                random.fork(),
                acknowledged.clone(),
            )));
        }
        if random.f64() < 0.05 {
            let index = random.usize(..NODES);
            let fresh = start(&sim, next_incarnation());
            let gone = std::mem::replace(&mut nodes.lock().unwrap()[index], fresh);
            gone.task.abort();
            sim.crash(&gone.client);
        }
        sleep(Duration::from_millis(random.u64(1..400))).await;
        // A quiet spell that outlasts the compaction lag: what nobody looks at must not get lost.
        if quiet && random.f64() < 0.01 {
            sleep(Duration::from_secs(40)).await;
        }
    }
    let mut wrong = Vec::new();
    let mut operations = Vec::new();
    for client in clients {
        operations.push(client.await.unwrap());
    }
    for reader in readers {
        wrong.extend(reader.await.unwrap());
    }
    // Quiet: no more faults, late writes have landed, every owner has looked at the end of its log.
    sim.set_faults(Faults {
        compaction: None,
        ..Faults::none()
    });
    sleep(Duration::from_secs(60)).await;
    sim.compact(&partition());
    let truth = truth(&sim.history(&partition()));
    wrong.extend(check_operations(&operations, &truth));
    wrong.extend(check_replay(&sim, &truth).await);
    let done = operations
        .iter()
        .filter(|operation| operation.acknowledged)
        .count();
    for node in nodes.lock().unwrap().drain(..) {
        node.task.abort();
    }
    (wrong, truth, done)
}

fn faults(seed: u64) -> Faults {
    Faults {
        records_in_flight_max: if seed.is_multiple_of(2) {
            4
        } else {
            usize::MAX
        },
        compaction: Some(Compaction {
            every: Duration::from_secs(1),
            lag: Duration::from_secs(25),
            deletions: None,
        }),
        ..Faults::some()
    }
}

fn topic(partitions: u32) -> Topic {
    Topic {
        name: "pile".to_owned(),
        partitions,
        partitioner: "murmur2 key".to_owned(),
        format: "json".to_owned(),
    }
}

/// The seeds of the histories that are run: so many, unless `MEMGEN_SIMULATION_SEEDS` says otherwise.
fn seeds(usually: u64) -> Range<u64> {
    let told = std::env::var("MEMGEN_SIMULATION_SEEDS");
    told.map_or(0..usually, |told| {
        let (first, end) = told.split_once("..").unwrap_or(("0", &told));
        let number = |text: &str| text.parse().expect("a number of seeds, or `FIRST..END`");
        number(first)..number(end)
    })
}

/// Fewer of them, where a history takes longer.
fn fewer_seeds(usually: u64, divisor: u64) -> Range<u64> {
    let Range { start, end } = seeds(usually);
    start..end.min(start + ((end - start) / divisor).max(1))
}

/// How many these are, for what happens at least in so many histories.
fn count_of(seeds: &Range<u64>) -> usize {
    usize::try_from(seeds.end - seeds.start).unwrap()
}

/// One history in a paused time of its own.
fn run_paused(seed: u64, quiet: bool) -> (Vec<String>, Truth, usize) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let (mut wrong, mut truth, done) = runtime.block_on(run(seed, quiet));
    wrong.append(&mut truth.wrong);
    (wrong, truth, done)
}

fn histories(quiet: bool) {
    let (mut acknowledged, mut stale, mut takeovers) = (0, 0, 0);
    let seeds = seeds(100);
    for seed in seeds.clone() {
        let (mut wrong, truth, done) = run_paused(seed, quiet);
        acknowledged += done;
        stale += truth.stale;
        takeovers += truth.takeovers;
        wrong.truncate(3);
        assert!(wrong.is_empty(), "seed {seed}: {wrong:#?}");
    }
    println!("{acknowledged} acknowledged, {takeovers} takeovers, {stale} stale records");
    // A simulation in which nothing went wrong would show nothing.
    let seeds = count_of(&seeds);
    assert!(acknowledged > 100 * seeds && takeovers > 5 * seeds && stale > seeds);
}

#[test]
fn random_histories_hold() {
    histories(false);
}

/// Owners meet here as no lock lets them meet in a whole cluster, so that this is where rule 2 is seen to be needed.
#[test]
fn an_owner_that_serves_behind_a_higher_ballot_is_found() {
    set_broken(Some(Bug::AnyBarrier));
    let found = (0..20).find(|seed| !run_paused(*seed, false).0.is_empty());
    set_broken(None);
    println!("found at seed {found:?}");
    assert!(found.is_some(), "20 histories without rule 2 show nothing");
}

#[test]
fn quiet_spells_longer_than_the_compaction_lag_lose_nothing() {
    histories(true);
}

//! Histories in which nodes make snapshots at any moment, start from them again, and are away for longer than deletions stay in the log.
//!
//! What clients are told and what the log says are checked as ever: an answer that a snapshot has lost would let a request happen twice, a repair that it has lost would let
//! compaction take a valid value, and a memory that it has spoilt would lose an update. In the end each node's memory is compared with the truth.

use super::{
    cases::{append_what_a_newer_build_wrote, written_again_by},
    *,
};
use crate::{
    clock::{Clock, SimulatedClock},
    snapshot::{Keeper, Snapshots, depot, restore},
};

/// How much the log grows at least until the next snapshot.
const SNAPSHOT_RECORDS: u64 = 20;
/// Nothing is compacted before that; and for how long deletions stay.
const LAG: Duration = Duration::from_secs(25);
const DELETIONS: Duration = Duration::from_secs(20);
/// A node that is away for so long must not go on from where it was.
const AWAY: Duration = Duration::from_secs(60);
/// One request of so many deletes.
const DELETES: u64 = 4;

/// The disk and the clock of a machine.
#[derive(Clone)]
struct Machine {
    depot: depot::memory::Memory,
    clock: Arc<dyn Clock>,
}

/// A node, and the snapshots that it makes.
struct Started {
    node: Node,
    snapshots: Arc<Snapshots>,
    keeper: Arc<Keeper>,
    from_snapshot: bool,
}

impl Started {
    /// A node starts: from its snapshot, if that can be used.
    async fn new(sim: &Sim, incarnation: u64, machine: &Machine) -> Self {
        let client = Arc::new(sim.client());
        let log: Arc<dyn Log> = client.clone();
        let snapshots = Snapshots::new(
            machine.clock.clone(),
            Some(Arc::new(machine.depot.clone())),
            SNAPSHOT_RECORDS,
        );
        let retention = log.retention("pile").unwrap();
        let metrics = Metrics::new().partition(&partition());
        let keeper = Keeper::new(snapshots.clone(), partition(), retention, 0, None, metrics);
        let readers = Readers::current(0);
        let asked = keeper.ask(&log);
        let restored = restore(
            log.clone(),
            &keeper,
            None,
            HORIZON,
            readers.clone(),
            asked,
            |_| (),
        );
        let restored = restored.await.unwrap().map(|restored| restored.replica);
        let from_snapshot = restored.is_some();
        let replica = restored.unwrap_or_else(|| {
            let mut replica = Replica::new(log, partition(), HORIZON, readers);
            replica.keep(keeper.clone(), machine.clock.now(), 0);
            replica
        });
        Self {
            node: serve(client, replica, incarnation),
            snapshots,
            keeper,
            from_snapshot,
        }
    }

    /// As `kill -9`. A snapshot that is being written is never finished.
    async fn crash(&self, sim: &Sim) {
        self.node.task.abort();
        sim.crash(&self.node.client);
        self.snapshots.settle(Duration::ZERO).await;
    }
}

/// A standby of the old build has kept a snapshot; started again from it, it owes what is hidden and torn of the newer build's values, and writes it as that wrote it.
#[tokio::test(start_paused = true)]
async fn what_a_newer_build_wrote_is_written_again_from_a_snapshot() {
    let sim = Sim::new(1, Faults::none());
    let expected = append_what_a_newer_build_wrote(&sim).await;
    sim.set_faults(Faults {
        compaction: Some(Compaction {
            every: DELETIONS,
            lag: LAG,
            deletions: Some(DELETIONS),
        }),
        ..Faults::none()
    });
    let machine = Machine {
        depot: depot::memory::Memory::default(),
        clock: Arc::new(SimulatedClock::new()),
    };
    let log: Arc<dyn Log> = Arc::new(sim.client());
    let depot = Arc::new(machine.depot.clone());
    let snapshots = Snapshots::new(machine.clock.clone(), Some(depot), 1);
    let retention = log.retention("pile").unwrap();
    let metrics = Metrics::new().partition(&partition());
    let keeper = Keeper::new(snapshots.clone(), partition(), retention, 0, None, metrics);
    let mut standby = Replica::<Pile>::new(log, partition(), HORIZON, Readers::current(0));
    standby.keep(keeper, machine.clock.now(), 0);
    standby.catch_up(None, |_, _, _| ()).await.unwrap();
    standby.snapshot_if_due();
    snapshots.settle(AWAY).await;

    let started = Started::new(&sim, 8, &machine).await;
    assert!(started.from_snapshot);
    started.node.mailbox.ask(Job::Fence).await.unwrap();
    assert_eq!(written_again_by(&sim, 8), expected);
}

/// What happened.
#[derive(Default)]
struct Seen {
    acknowledged: usize,
    snapshots: u64,
    from_snapshots: u64,
    discarded: u64,
}

type Mailboxes = Arc<Mutex<Vec<Mailbox<Pile>>>>;

/// Appends `id` to the pile of `key`, or removes it, at random nodes, until one says that it is done or patience ends.
async fn change(
    mailboxes: Mailboxes,
    mut random: fastrand::Rng,
    key: &'static str,
    id: u64,
) -> Operation {
    let mut operation = Operation {
        id,
        key,
        acknowledged: false,
    };
    for _ in 0..20 {
        let mailbox = {
            let mailboxes = mailboxes.lock().unwrap();
            mailboxes[random.usize(..mailboxes.len())].clone()
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
                    if id.is_multiple_of(DELETES) {
                        entry.remove();
                        return StatusCode::OK.into_response();
                    }
                    let key = entry.key().clone();
                    let items = Vec::new();
                    let pile = entry.or_insert_with(|| Pile { key, items });
                    pile.items.push(id);
                    StatusCode::OK.into_response()
                }),
                slot,
            })
        });
        let patience = Duration::from_millis(random.u64(5..2000));
        if let Ok(Ok(answer)) = timeout(patience, asked).await {
            assert_eq!(answer.response.status(), StatusCode::OK);
            operation.acknowledged = true;
            break;
        }
        sleep(Duration::from_millis(random.u64(1..200))).await;
    }
    operation
}

#[allow(clippy::too_many_lines)] // a history, from its beginning to its end
async fn run(seed: u64) -> (Vec<String>, Truth, Seen) {
    let mut random = fastrand::Rng::with_seed(seed);
    let sim = Sim::new(
        seed,
        Faults {
            compaction: Some(Compaction {
                every: Duration::from_secs(1),
                lag: LAG,
                deletions: Some(DELETIONS),
            }),
            ..Faults::some()
        },
    );
    sim.client().declare(&topic(1)).await.unwrap();
    let clock: Arc<dyn Clock> = Arc::new(SimulatedClock::new());
    let machines: Vec<Machine> = (0..NODES)
        .map(|_| Machine {
            depot: depot::memory::Memory::default(),
            clock: clock.clone(),
        })
        .collect();
    let mut happened = Seen::default();
    let mut incarnation = 0;
    let mut nodes = Vec::new();
    for machine in &machines {
        incarnation += 1;
        nodes.push(Started::new(&sim, incarnation, machine).await);
    }
    let mailboxes: Mailboxes = Arc::new(Mutex::new(
        nodes.iter().map(|it| it.node.mailbox.clone()).collect(),
    ));
    // Until when each node is away.
    let mut away = [None; NODES];
    let mut clients = Vec::new();
    let begun = Instant::now();
    let mut id = 0;
    while begun.elapsed() < Duration::from_secs(150) {
        for _ in 0..random.usize(0..4) {
            id += 1;
            let key = KEYS[random.usize(..KEYS.len())];
            let random = random.fork();
            clients.push(tokio::spawn(change(mailboxes.clone(), random, key, id)));
        }
        if random.f64() < 0.03 {
            let index = random.usize(..NODES);
            if away[index].is_none() {
                nodes[index].crash(&sim).await;
                let others_are_there = away.iter().all(Option::is_none);
                let long = others_are_there && random.f64() < 0.3;
                let rest = if long { AWAY } else { Duration::ZERO };
                away[index] = Some(Instant::now() + rest);
            }
        }
        for index in 0..NODES {
            // One whose memory is too old ends by itself, and starts again.
            let ended = nodes[index].node.task.is_finished() && away[index].is_none();
            if ended || away[index].is_some_and(|until| until <= Instant::now()) {
                incarnation += 1;
                nodes[index].crash(&sim).await;
                happened.snapshots += nodes[index].keeper.written();
                nodes[index] = Started::new(&sim, incarnation, &machines[index]).await;
                happened.from_snapshots += u64::from(nodes[index].from_snapshot);
                happened.discarded += nodes[index].keeper.discarded();
                mailboxes.lock().unwrap()[index] = nodes[index].node.mailbox.clone();
                away[index] = None;
            }
        }
        sleep(Duration::from_millis(random.u64(1..400))).await;
    }
    let mut operations = Vec::new();
    for client in clients {
        operations.push(client.await.unwrap());
    }
    // Quiet: no more faults, and late writes have landed.
    sim.set_faults(Faults {
        compaction: None,
        ..Faults::none()
    });
    sleep(Duration::from_secs(10)).await;
    let mut wrong = Vec::new();
    // All start once more, one after another, from what they have kept; each takes over, and has the truth then.
    for (index, machine) in machines.iter().enumerate() {
        nodes[index].crash(&sim).await;
        incarnation += 1;
        let started = Started::new(&sim, incarnation, machine).await;
        happened.from_snapshots += u64::from(started.from_snapshot);
        let fence = started.node.mailbox.ask(Job::Fence);
        if timeout(Duration::from_secs(60), fence).await.is_err() {
            wrong.push(format!("node {index} does not serve again"));
        }
        let truth = truth(&sim.history(&partition()));
        wrong.extend(check_memory(index, &started.node.memory, &truth));
        started.crash(&sim).await;
    }
    sleep(Duration::from_secs(10)).await;
    let truth = truth(&sim.history(&partition()));
    for operation in &operations {
        let applied = truth.applied.get(&operation.id).map_or(0, Vec::len);
        happened.acknowledged += usize::from(operation.acknowledged);
        if applied > 1 {
            wrong.push(format!(
                "request {} took effect {applied} times",
                operation.id
            ));
        }
        let deletes = operation.id.is_multiple_of(DELETES);
        if operation.acknowledged && applied == 0 && !deletes {
            wrong.push(format!(
                "request {} was acknowledged and is lost",
                operation.id
            ));
        }
    }
    (wrong, truth, happened)
}

/// A node's memory, against what the log says.
pub(super) fn check_memory(node: usize, memory: &Memory<Pile>, truth: &Truth) -> Vec<String> {
    let mut wrong = Vec::new();
    for (key, value) in &truth.entities {
        let text = std::str::from_utf8(key).unwrap().to_owned();
        let has = memory.get(&text).map(|stored| stored.state.clone());
        let expected = value
            .as_ref()
            .map(|value| serde_json::from_slice::<Pile>(value).unwrap());
        if has != expected {
            wrong.push(format!("node {node} has {has:?} and not {expected:?}"));
        }
    }
    let values = truth.entities.values().flatten();
    let tags = values.map(|value| xxhash_rust::xxh3::xxh3_64(value));
    if memory.summary().digest != tags.fold(0, u64::wrapping_add) {
        wrong.push(format!("node {node} has another digest"));
    }
    wrong
}

#[test]
fn snapshots_change_nothing_but_time() {
    let seeds = fewer_seeds(100, 4);
    let mut all = Seen::default();
    for seed in seeds.clone() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        let (wrong, truth, happened) = runtime.block_on(run(seed));
        all.acknowledged += happened.acknowledged;
        all.snapshots += happened.snapshots;
        all.from_snapshots += happened.from_snapshots;
        all.discarded += happened.discarded;
        let wrong: Vec<_> = wrong.iter().chain(&truth.wrong).take(3).collect();
        assert!(wrong.is_empty(), "seed {seed}: {wrong:#?}");
    }
    let Seen {
        acknowledged,
        snapshots,
        from_snapshots,
        discarded,
    } = all;
    println!(
        "{acknowledged} acknowledged, {snapshots} snapshots, {from_snapshots} starts from one, {discarded} discarded"
    );
    // A simulation in which no snapshot was used, or none was too old, would show nothing.
    assert!(acknowledged > 200 * count_of(&seeds));
    let seeds = seeds.end - seeds.start;
    assert!(snapshots > 5 * seeds && from_snapshots > 5 * seeds && discarded > seeds / 2);
}

//! Transactions over several partitions: the real writers over the simulated log, with a network that loses, delays and repeats messages.
//!
//! Each history is checked for strict serializability, as Elle does it: the log says in which order the values of a key followed each other; from this, what each
//! transaction read, and which were over before others began, follows who must have been before whom. A circle is a violation. Each rule that is switched off must be found.

mod cases;
mod checker;
mod client;
mod network;

use std::{
    sync::{Arc, LazyLock, Mutex},
    time::Duration,
};

use tokio::time::{Instant, sleep, timeout};

use self::{
    checker::{Did, Told, check},
    client::Client,
    network::{Cells, Network, start},
};
use super::{HORIZON, Pile, count_of, seeds, topic};
use crate::{
    broken::{Bug, set_broken},
    log::{
        Log, TopicPartition,
        sim::{Compaction, Faults, Sim},
    },
    mailbox::Job,
    migration::Readers,
    replica::Replica,
};

const PARTITIONS: u32 = 3;
/// How many histories are run: each takes as long as many of the log alone.
const SEEDS: u64 = 6;
/// Each broken rule must be found by so many.
const FOUND_WITHIN: u64 = 120;
/// Keys to which transactions append what they read and themselves; and keys that they overwrite without a look.
const KEYS: [&str; 3] = ["a", "b", "blind"];
/// Keys that come to be one after the other, and are read as a range.
static ROOM: LazyLock<Vec<&'static str>> =
    LazyLock::new(|| (0..30).map(|it| &*format!("r{it:02}").leak()).collect());

/// A key, and its partition.
type At = (u32, &'static str);

fn partition(number: u32) -> TopicPartition {
    TopicPartition::new("pile", number)
}

fn all_keys() -> Vec<At> {
    let of = |number| KEYS.map(|key| (number, key));
    (0..PARTITIONS).flat_map(of).collect()
}

thread_local! {
    /// A rule that is kept by whoever asks, and so is broken here: transactions that change nothing do not look a second time.
    static NO_CHECK: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// What a client does.
#[derive(Clone, Copy)]
enum Act {
    Look,
    Command,
    Transact,
}

/// How much happened.
#[derive(Debug, Default, PartialEq, Eq)]
struct Count {
    /// Transactions that wrote.
    committed: usize,
    /// Those that only read.
    looks: usize,
    commands: usize,
    refused: usize,
    unknown: usize,
    takeovers: usize,
    batches: usize,
    prepared: usize,
}

impl Count {
    fn tell(&mut self, act: Act, told: Told) {
        *match (told, act) {
            (Told::Yes, Act::Transact) => &mut self.committed,
            (Told::Yes, Act::Look) => &mut self.looks,
            (Told::Yes, Act::Command) => &mut self.commands,
            (Told::No, _) => &mut self.refused,
            (Told::Unknown, _) => &mut self.unknown,
        } += 1;
    }

    fn add(&mut self, other: &Self) {
        self.committed += other.committed;
        self.looks += other.looks;
        self.commands += other.commands;
        self.refused += other.refused;
        self.unknown += other.unknown;
        self.takeovers += other.takeovers;
        self.batches += other.batches;
        self.prepared += other.prepared;
    }
}

/// One history. What went wrong, and how much happened.
async fn run(seed: u64) -> (Vec<String>, Count) {
    let mut random = fastrand::Rng::with_seed(seed);
    let sim = Sim::new(seed, faults());
    sim.client().declare(&topic(PARTITIONS)).await.unwrap();
    let mut incarnation = 0;
    let cells: Cells = Arc::new(Mutex::new(vec![Vec::new(), Vec::new(), Vec::new()]));
    let network = Arc::new(Network::new(cells.clone(), random.fork()));
    for number in 0..PARTITIONS {
        incarnation += 1;
        let cell = start(&sim, number, incarnation, network.clone());
        cells.lock().unwrap()[number as usize].push(cell);
    }
    let end = Instant::now() + Duration::from_secs(20);
    let mut clients = Vec::new();
    let mut id = 0;
    while Instant::now() < end {
        for _ in 0..random.usize(1..4) {
            id += 1;
            let mut keys = all_keys();
            random.shuffle(&mut keys);
            keys.truncate(random.usize(1..4));
            if random.f64() < 0.2 {
                keys = vec![(0, "a"), (1, "a")];
                random.shuffle(&mut keys);
            }
            let mut client = Client {
                cells: cells.clone(),
                random: random.fork(),
            };
            let act = match random.u32(..5) {
                0 => Act::Look,
                1 => Act::Command,
                _ => Act::Transact,
            };
            if matches!(act, Act::Look) && random.bool() {
                // A single read is not looked at twice.
                keys.truncate(1);
            }
            let did = async move {
                match act {
                    Act::Look => {
                        let mut did = Did::new(id, Instant::now());
                        did.told = Told::No;
                        if let Some(seen) = client.look(keys).await {
                            did.looked(seen);
                        }
                        did
                    }
                    Act::Command => {
                        let enters = client.random.f64() < 0.3;
                        let key = ROOM[client.random.usize(..ROOM.len())];
                        let at = if enters { (keys[0].0, key) } else { keys[0] };
                        client.command(id, at).await
                    }
                    Act::Transact => client.transact(id, keys).await,
                }
            };
            clients.push((act, tokio::spawn(did)));
        }
        if random.f64() < 0.06 {
            let number = random.u32(..PARTITIONS);
            incarnation += 1;
            let fresh = start(&sim, number, incarnation, network.clone());
            network.replace(number, fresh, &sim);
        }
        sleep(Duration::from_millis(random.u64(1..150))).await;
    }
    let mut count = Count::default();
    let mut dids = Vec::new();
    for (act, client) in clients {
        let did = client.await.unwrap();
        count.tell(act, did.told);
        dids.push(did);
    }
    // Quiet: no more faults, late messages have arrived, and what is in doubt is resolved.
    network.set_quiet();
    sim.set_faults(Faults {
        compaction: faults().compaction,
        ..Faults::none()
    });
    resolve(&cells).await;
    let mut wrong = Vec::new();
    for number in 0..PARTITIONS {
        sim.compact(&partition(number));
    }
    let truth = checker::truth(&sim, &mut count);
    wrong.extend(check(&dids, &truth));
    wrong.extend(check_replay(&sim, &truth).await);
    for cell in cells.lock().unwrap().drain(..).flatten() {
        cell.task.abort();
    }
    (wrong, count)
}

/// Asks all owners again and again until what is in doubt has had time to be resolved.
async fn resolve(cells: &Cells) {
    for _ in 0..120 {
        for number in 0..PARTITIONS {
            // An owner that was deposed by one that is gone takes over again when somebody asks.
            let mailbox = cells.lock().unwrap()[number as usize]
                .last()
                .unwrap()
                .mailbox
                .clone();
            drop(timeout(Duration::from_secs(1), mailbox.ask(Job::Fence)).await);
        }
        sleep(Duration::from_secs(1)).await;
    }
}

/// Whoever reads the compacted log from its start sees the same, and nothing is in doubt.
async fn check_replay(sim: &Sim, truth: &checker::Truth) -> Vec<String> {
    let mut wrong = Vec::new();
    for number in 0..PARTITIONS {
        let log: Arc<dyn Log> = Arc::new(sim.client());
        let readers = Readers::current(0);
        let mut replica = Replica::<Pile>::new(log, partition(number), HORIZON, readers);
        replica.catch_up(None, |_, _, _| ()).await.unwrap();
        if !replica.fold().pending().is_empty() {
            wrong.push(format!(
                "partition {number} still has {:?}",
                replica.fold().pending()
            ));
        }
        for key in KEYS.into_iter().chain(ROOM.iter().copied()) {
            let stored = replica.memory().get(&key.to_owned());
            let items = stored.map_or_else(Vec::new, |stored| stored.state.items.clone());
            let last = truth.last(&(number, key));
            if items != last {
                wrong.push(format!(
                    "a replay has {items:?} in {number} {key}, not {last:?}"
                ));
            }
            if replica.memory().held().is_held(&key.to_owned()) {
                wrong.push(format!("{number} {key} is still held"));
            }
        }
    }
    wrong
}

fn faults() -> Faults {
    Faults {
        foreign: 0.0,
        compaction: Some(Compaction {
            every: Duration::from_secs(1),
            lag: Duration::from_secs(15),
            deletions: Some(Duration::from_secs(15)),
        }),
        ..Faults::some()
    }
}

fn history(seed: u64) -> (Vec<String>, Count) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(run(seed))
}

#[test]
fn random_histories_are_strictly_serializable() {
    let seeds = seeds(SEEDS);
    let mut sum = Count::default();
    for seed in seeds.clone() {
        let (wrong, count) = history(seed);
        let wrong: Vec<_> = wrong.into_iter().take(3).collect();
        assert!(wrong.is_empty(), "seed {seed}: {wrong:#?}");
        sum.add(&count);
        if seed % 100 == 99 {
            println!("up to {seed}: {sum:?}");
        }
    }
    println!("{sum:?}");
    // A simulation in which nothing happened would show nothing.
    let seeds = count_of(&seeds);
    assert!(sum.committed > 80 * seeds && sum.looks > 20 * seeds && sum.commands > 20 * seeds);
    assert!(sum.takeovers > 5 * seeds && sum.prepared > 30 * seeds && sum.refused > seeds);
}

#[test]
fn a_history_follows_from_its_seed() {
    for seed in 3..5 {
        let (first, again) = (history(seed).1, history(seed).1);
        assert_eq!(first, again, "seed {seed}");
    }
}

/// Breaks a rule, and expects that one of few histories shows it.
fn is_found(bug: Option<Bug>) {
    set_broken(bug);
    NO_CHECK.set(bug.is_none());
    let found = (0..FOUND_WITHIN).find(|seed| !history(*seed).0.is_empty());
    set_broken(None);
    NO_CHECK.set(false);
    println!("{bug:?} is found at seed {found:?}");
    assert!(found.is_some(), "{bug:?} is not found");
}

#[test]
fn without_locks_of_what_was_read_histories_break() {
    is_found(Some(Bug::NoReadLocks));
}

#[test]
fn without_locks_of_ranges_histories_break() {
    is_found(Some(Bug::NoRangeLocks));
}

#[test]
fn a_decision_before_all_are_prepared_breaks_histories() {
    is_found(Some(Bug::Early));
}

#[test]
fn a_decision_before_home_is_prepared_breaks_histories() {
    is_found(Some(Bug::Unstaged));
}

#[test]
fn presumed_abort_breaks_histories() {
    is_found(Some(Bug::GuessAbort));
}

#[test]
fn a_late_prepare_for_an_owner_that_is_gone_breaks_histories() {
    is_found(Some(Bug::NoFloor));
}

#[test]
fn without_versions_histories_break() {
    is_found(Some(Bug::NoVersion));
}

#[test]
fn reads_of_what_is_being_written_break_histories() {
    is_found(Some(Bug::DirtyRead));
}

#[test]
fn presumed_commit_breaks_histories() {
    is_found(Some(Bug::CommitDoubt));
}

#[test]
fn an_abort_of_any_attempt_breaks_histories() {
    is_found(Some(Bug::NoAttempt));
}

#[test]
fn reads_without_a_second_look_break_histories() {
    is_found(None);
}

//! Transactions over several partitions: the real writers over the simulated log, with a network that loses, delays and repeats messages.
//!
//! Each history is checked for strict serializability, as Elle does it: the log says in which order the values of a key followed each other; from this, what each
//! transaction read, and which were over before others began, follows who must have been before whom. A circle is a violation. Each rule that is switched off must be found.

mod cases;
mod checker;
mod network;

use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock, Mutex},
    time::Duration,
};

use axum::{http::StatusCode, response::IntoResponse};
use bytes::Bytes;
use tokio::time::{Instant, sleep, timeout};

use self::{
    checker::{Accessed, Did, Told, check},
    network::{Cells, Network, start},
};
use super::{HORIZON, Pile};
use crate::{
    conditional::Conditions,
    log::{
        Log, Topic, TopicPartition,
        sim::{Compaction, Faults, Sim},
    },
    mailbox::{Command, Job, Mailbox, RequestId, TxJob},
    memory::Memory,
    migration::Readers,
    partitions::just,
    prelude::*,
    replica::Replica,
    tx::{
        Bug, Commit, Committed, Listing, Part, Range, Read, TxId, Version, Was, Write, is_broken,
        set_broken,
    },
};

const PARTITIONS: u32 = 3;
/// Keys to which transactions append what they read and themselves; and keys that they overwrite without a look.
const KEYS: [&str; 3] = ["a", "b", "blind"];
/// Keys that come to be one after the other, and are read as a range.
static ROOM: LazyLock<Vec<&'static str>> =
    LazyLock::new(|| (0..30).map(|it| &*format!("r{it:02}").leak()).collect());
const RUNS_MAX: u32 = 8;

/// A key, and its partition.
type At = (u32, &'static str);

fn partition(number: u32) -> TopicPartition {
    TopicPartition::new("pile", number)
}

fn all_keys() -> Vec<At> {
    let of = |number| KEYS.map(|key| (number, key));
    (0..PARTITIONS).flat_map(of).collect()
}

fn room() -> Range {
    Range::of::<Pile>(&("r".to_owned().."s".to_owned()), 1).unwrap()
}

/// What one client needs.
#[derive(Clone)]
struct Client {
    cells: Cells,
    random: fastrand::Rng,
}

/// A value that was read.
#[derive(Clone)]
struct Seen {
    items: Vec<u64>,
    was: Was,
}

fn look(memory: &Memory<Pile>, incarnation: u64, key: &String) -> Seen {
    let version = |number| Version {
        incarnation,
        number,
    };
    let comings = memory.comings();
    match memory.get(key) {
        Some(stored) => Seen {
            items: stored.state.items.clone(),
            was: Was::There(version(stored.version())),
        },
        None => Seen {
            items: Vec::new(),
            was: Was::Absent(version(comings)),
        },
    }
}

/// What was in the room of a partition.
struct Listed {
    items: BTreeMap<At, Vec<u64>>,
    reads: Vec<Read>,
    listing: Listing,
}

impl Client {
    /// Mostly the owner.
    fn owner(&mut self, number: u32) -> (Mailbox<Pile>, Arc<Memory<Pile>>, u64) {
        let cells = self.cells.lock().unwrap();
        let cells = &cells[number as usize];
        let cell = if self.random.f64() < 0.05 {
            &cells[self.random.usize(..cells.len())]
        } else {
            cells.last().unwrap()
        };
        (cell.mailbox.clone(), cell.memory.clone(), cell.incarnation)
    }

    /// A strict read.
    async fn read(&mut self, (number, key): At) -> Option<Seen> {
        let (mailbox, memory, incarnation) = self.owner(number);
        let key = key.to_owned();
        let read = async {
            mailbox.ask(Job::Fence).await.ok()?;
            if !is_broken(Bug::DirtyRead) {
                let (from, to) = just(&key).unwrap();
                memory.held().released_within(from, to).await;
            }
            Some(())
        };
        timeout(Duration::from_secs(2), read).await.ok()??;
        Some(look(&memory, incarnation, &key))
    }

    /// Whether what was read is still so, and nobody is about to write it.
    async fn is_still(&mut self, (number, key): At, seen: &Seen) -> bool {
        let (mailbox, memory, incarnation) = self.owner(number);
        let fenced = timeout(Duration::from_secs(2), mailbox.ask(Job::Fence)).await;
        if !matches!(fenced, Ok(Ok(_))) {
            return false;
        }
        let key = key.to_owned();
        if memory.held().is_held(&key) {
            return false;
        }
        look(&memory, incarnation, &key).was == seen.was
    }

    /// What is in the room of a partition: as a strict read.
    async fn list(&mut self, number: u32) -> Option<Listed> {
        let (mailbox, memory, incarnation) = self.owner(number);
        let range = room().typed::<Pile>().unwrap();
        let (from, to) = range.bounds().unwrap();
        let read = async {
            mailbox.ask(Job::Fence).await.ok()?;
            if !is_broken(Bug::DirtyRead) {
                memory.held().released_within(from, to).await;
            }
            Some(())
        };
        timeout(Duration::from_secs(2), read).await.ok()??;
        let comings = Version {
            incarnation,
            number: memory.comings(),
        };
        let (mut items, mut reads) = (BTreeMap::new(), Vec::new());
        for key in ROOM.iter() {
            let seen = look(&memory, incarnation, &(*key).to_owned());
            items.insert((number, *key), seen.items);
            if let Was::There(_) = seen.was {
                let (key, was) = ((*key).to_owned(), seen.was);
                reads.push(Read { key, was });
            }
        }
        let listing = Listing {
            range: room(),
            count: reads.len(),
            comings,
        };
        Some(Listed {
            items,
            reads,
            listing,
        })
    }

    /// Whether nobody has come into the room of a partition since, and nobody is about to.
    async fn is_room_still(&mut self, number: u32, listed: &Listed) -> bool {
        let (mailbox, memory, incarnation) = self.owner(number);
        let fenced = timeout(Duration::from_secs(2), mailbox.ask(Job::Fence)).await;
        if !matches!(fenced, Ok(Ok(_))) {
            return false;
        }
        let range = room().typed::<Pile>().unwrap();
        if memory.held().is_held_within(&range) {
            return false;
        }
        let comings = Version {
            incarnation,
            number: memory.comings(),
        };
        comings == listed.listing.comings
            && listed.reads.iter().all(|read| {
                let was = look(&memory, incarnation, &read.key).was;
                was == read.was
            })
    }

    async fn pause(&mut self, most_ms: u64) {
        sleep(Duration::from_millis(self.random.u64(0..most_ms))).await;
    }

    /// A transaction that changes nothing: collects values, then looks whether all are still the same.
    async fn look(&mut self, keys: Vec<At>) -> Option<BTreeMap<At, Vec<u64>>> {
        for _ in 0..RUNS_MAX {
            let mut all = BTreeMap::new();
            let listed = if self.random.f64() < 0.3 {
                Some(self.list(keys[0].0).await?)
            } else {
                None
            };
            for key in &keys {
                all.insert(*key, self.read(*key).await?);
                self.pause(20).await;
            }
            let mut same = true;
            if keys.len() > 1 && !NO_CHECK.get() {
                for (key, seen) in &all {
                    same = same && self.is_still(*key, seen).await;
                }
            }
            if let Some(listed) = &listed
                && !NO_CHECK.get()
            {
                same = same && self.is_room_still(keys[0].0, listed).await;
            }
            if same {
                let all = all.into_iter().map(|(key, seen)| (key, seen.items));
                let listed = listed.into_iter().flat_map(|listed| listed.items);
                return Some(all.chain(listed).collect());
            }
            self.pause(100).await;
        }
        None
    }

    /// A transaction that appends `id` to some of `keys`.
    async fn transact(&mut self, id: u64, keys: Vec<At>) -> Did {
        let start = Instant::now();
        let mut did = Did::new(id, start);
        let home = self.random.u32(..PARTITIONS);
        let home = if self.random.f64() < 0.9 {
            keys[0].0
        } else {
            home
        };
        let tx = TxId::of(u128::from(id));
        let mut unknown = false;
        for run in 0..RUNS_MAX {
            let Some((accessed, parts)) = self.function(id, &keys).await else {
                self.pause(50).await;
                continue;
            };
            let mut others: BTreeMap<u32, Part> = parts;
            let commit = Commit {
                id: tx,
                run,
                request: Some(request(id)),
                reply: Bytes::from(run.to_string()),
                own: others.remove(&home).unwrap_or_default(),
                others: others
                    .into_iter()
                    .map(|(number, part)| (partition(number), part))
                    .collect(),
            };
            did.by_run.insert(run, accessed);
            match self.ask(home, &commit, &mut unknown).await {
                Some(Committed::Yes(_, reply)) => {
                    did.committed(&reply);
                    return did;
                }
                Some(Committed::Conflict(_)) => {}
                Some(never @ Committed::Never(_)) => panic!("{never:?}"),
                None => {
                    did.told = Told::Unknown;
                    return did;
                }
            }
            self.pause(50 << run.min(4)).await;
        }
        if unknown {
            // What was asked for may still be on its way: it must never happen after this was said.
            let settle = Commit {
                id: tx,
                run: RUNS_MAX,
                request: Some(request(id)),
                reply: Bytes::from_static(b"no"),
                own: Part::default(),
                others: Vec::new(),
            };
            match self.ask(home, &settle, &mut unknown).await {
                Some(Committed::Yes(_, reply)) if &*reply == b"no" => {}
                Some(Committed::Yes(_, reply)) => {
                    did.committed(&reply);
                    return did;
                }
                _ => {
                    did.told = Told::Unknown;
                    return did;
                }
            }
        }
        did.told = Told::No;
        let rooms = (0..PARTITIONS).flat_map(|number| ROOM.iter().map(move |key| (number, *key)));
        did.writes = all_keys().into_iter().chain(rooms).collect();
        did.end = Some(Instant::now());
        did
    }

    /// What the user's function would do: reads and writes, by partition.
    async fn function(&mut self, id: u64, keys: &[At]) -> Option<(Accessed, BTreeMap<u32, Part>)> {
        let (mut reads, mut writes, mut parts) =
            (BTreeMap::new(), Vec::new(), BTreeMap::<u32, Part>::new());
        // Often one key alone, and not that of home: two that read the same keys and write different ones are told apart by the locks of what they read, and by nothing else.
        let written = self.random.usize(..keys.len());
        let share = if self.random.bool() { 0.1 } else { 0.6 };
        for (index, (number, key)) in keys.iter().copied().enumerate() {
            let part = parts.entry(number).or_default();
            let mut items = Vec::new();
            if key != "blind" {
                let seen = self.read((number, key)).await?;
                part.reads.push(Read {
                    key: key.to_owned(),
                    was: seen.was,
                });
                items.clone_from(&seen.items);
                reads.insert((number, key), seen.items);
                self.pause(15).await;
            }
            if index == written || key == "blind" || self.random.f64() < share {
                items.push(id);
                let pile = Pile {
                    key: key.to_owned(),
                    items,
                };
                part.writes.push(Write {
                    key: key.to_owned(),
                    value: Some(serde_json::value::to_raw_value(&pile).unwrap()),
                });
                writes.push((number, key));
            }
        }
        if self.random.f64() < 0.3 {
            // Looks who is in one room, and enters another one.
            let (looked_at, entered) = (keys[0].0, self.random.u32(..PARTITIONS));
            let listed = self.list(looked_at).await?;
            let part = parts.entry(looked_at).or_default();
            part.reads.extend(listed.reads);
            part.lists.push(listed.listing);
            reads.extend(listed.items);
            self.pause(15).await;
            let at = (entered, ROOM[self.random.usize(..ROOM.len())]);
            if !reads.contains_key(&at) {
                let seen = self.read(at).await?;
                let (key, was) = (at.1.to_owned(), seen.was);
                let part = parts.entry(entered).or_default();
                let read = key.clone();
                part.reads.push(Read { key: read, was });
                reads.insert(at, seen.items);
            }
            let mut items = reads[&at].clone();
            items.push(id);
            let pile = Pile {
                key: at.1.to_owned(),
                items,
            };
            parts.entry(entered).or_default().writes.push(Write {
                key: at.1.to_owned(),
                value: Some(serde_json::value::to_raw_value(&pile).unwrap()),
            });
            writes.push(at);
        }
        Some(((reads, writes), parts))
    }

    /// Asks home until it says something definite.
    async fn ask(&mut self, home: u32, commit: &Commit, unknown: &mut bool) -> Option<Committed> {
        for _ in 0..20 {
            let (mailbox, ..) = self.owner(home);
            let asked = mailbox.ask(|slot| Job::Tx(TxJob::Commit(Box::new(commit.clone()), slot)));
            let patience = Duration::from_millis(self.random.u64(20..3000));
            match timeout(patience, asked).await {
                Ok(Ok(outcome)) => return Some(outcome),
                Ok(Err(_)) => {}
                Err(_) => *unknown = true,
            }
            self.pause(200).await;
        }
        None
    }

    /// A command on one key.
    async fn command(&mut self, id: u64, at: At) -> Did {
        let mut did = Did::new(id, Instant::now());
        did.writes.push(at);
        did.told = Told::Unknown;
        for _ in 0..20 {
            let (mailbox, ..) = self.owner(at.0);
            let asked = mailbox.ask(|slot| {
                Job::Command(Command {
                    key: at.1.to_owned(),
                    conditions: Conditions::default(),
                    request: Some(request(id)),
                    run: Box::new(move |entry: &mut Entry<Pile>| {
                        let key = entry.key().clone();
                        let empty = || Pile {
                            key,
                            items: Vec::new(),
                        };
                        let pile = entry.or_insert_with(empty);
                        if at.1 == "blind" {
                            pile.items.clear();
                        }
                        pile.items.push(id);
                        StatusCode::OK.into_response()
                    }),
                    slot,
                })
            });
            let patience = Duration::from_millis(self.random.u64(20..3000));
            if let Ok(Ok(answer)) = timeout(patience, asked).await {
                assert_eq!(answer.response.status(), StatusCode::OK);
                did.told = Told::Yes;
                did.end = Some(Instant::now());
                break;
            }
            self.pause(200).await;
        }
        did
    }
}

fn request(id: u64) -> RequestId {
    RequestId {
        id: Bytes::from(format!("r{id}")),
        fingerprint: u128::from(id),
    }
}

thread_local! {
    /// A rule that is kept by whoever asks, and so is broken here: transactions that change nothing do not look a second time.
    static NO_CHECK: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// How much happened.
#[derive(Debug, Default)]
struct Count {
    committed: usize,
    refused: usize,
    unknown: usize,
    takeovers: usize,
    batches: usize,
    prepared: usize,
}

/// One history. What went wrong, and how much happened.
async fn run(seed: u64) -> (Vec<String>, Count) {
    let mut random = fastrand::Rng::with_seed(seed);
    let sim = Sim::new(seed, faults());
    sim.client().declare(&topic()).await.unwrap();
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
            let what = random.f64();
            clients.push(tokio::spawn(async move {
                let start = Instant::now();
                if what < 0.2 {
                    let mut did = Did::new(id, start);
                    did.told = Told::No;
                    if let Some(seen) = client.look(keys).await {
                        did.looked(seen);
                    }
                    did
                } else if what < 0.4 {
                    let enters = client.random.f64() < 0.3;
                    let key = ROOM[client.random.usize(..ROOM.len())];
                    let at = if enters { (keys[0].0, key) } else { keys[0] };
                    client.command(id, at).await
                } else {
                    client.transact(id, keys).await
                }
            }));
        }
        if random.f64() < 0.06 {
            let number = random.u32(..PARTITIONS);
            incarnation += 1;
            let fresh = start(&sim, number, incarnation, network.clone());
            network.replace(number, fresh, &sim);
        }
        sleep(Duration::from_millis(random.u64(1..150))).await;
    }
    let mut dids = Vec::new();
    for client in clients {
        dids.push(client.await.unwrap());
    }
    // Quiet: no more faults, late messages have arrived, and what is in doubt is resolved.
    network.set_quiet();
    sim.set_faults(Faults {
        compaction: faults().compaction,
        ..Faults::none()
    });
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
    let mut count = Count::default();
    let mut wrong = Vec::new();
    for number in 0..PARTITIONS {
        sim.compact(&partition(number));
    }
    let truth = checker::truth(&sim, &mut count);
    for did in &dids {
        match did.told {
            Told::Yes => count.committed += 1,
            Told::No => count.refused += 1,
            Told::Unknown => count.unknown += 1,
        }
    }
    wrong.extend(check(&dids, &truth));
    wrong.extend(check_replay(&sim, &truth).await);
    for cell in cells.lock().unwrap().drain(..).flatten() {
        cell.task.abort();
    }
    (wrong, count)
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

fn topic() -> Topic {
    Topic {
        name: "pile".to_owned(),
        partitions: PARTITIONS,
        partitioner: "murmur2 key".to_owned(),
        format: "json".to_owned(),
    }
}

fn seeds() -> u64 {
    std::env::var("MEMGEN_SIMULATION_SEEDS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(6)
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
    let mut sum = Count::default();
    for seed in 0..seeds() {
        let (wrong, count) = history(seed);
        let wrong: Vec<_> = wrong.into_iter().take(3).collect();
        assert!(wrong.is_empty(), "seed {seed}: {wrong:#?}");
        sum.committed += count.committed;
        sum.refused += count.refused;
        sum.unknown += count.unknown;
        sum.takeovers += count.takeovers;
        sum.batches += count.batches;
        sum.prepared += count.prepared;
    }
    println!("{sum:?}");
    // A simulation in which nothing happened would show nothing.
    let seeds = usize::try_from(seeds()).unwrap();
    assert!(sum.committed > 100 * seeds && sum.takeovers > 5 * seeds);
    assert!(sum.prepared > 30 * seeds && sum.refused > seeds);
}

/// Breaks a rule, and expects that some history shows it.
fn is_found(bug: Option<Bug>) {
    set_broken(bug);
    NO_CHECK.set(bug.is_none());
    let found = (0..400).find(|seed| !history(*seed).0.is_empty());
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

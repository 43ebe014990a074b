//! Clients: what handlers and the runtime around them do, without HTTP.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use axum::{http::StatusCode, response::IntoResponse};
use bytes::Bytes;
use tokio::time::{Instant, sleep, timeout};

use super::{
    At, NO_CHECK, PARTITIONS, Pile, ROOM, all_keys,
    checker::{Accessed, Did, Told},
    network::Cells,
    partition,
};
use crate::{
    broken::{Bug, is_broken},
    conditional::Conditions,
    mailbox::{Command, Job, Mailbox, Refusal, RequestId, TxJob},
    memory::Memory,
    partitions::just,
    prelude::*,
    tx::{Claim, Commit, Committed, Listing, Part, Range, Read, TxId, Version, Was, Write},
};

const RUNS_MAX: u32 = 8;
/// One that has lost so often claims its keys.
const LOSSES_MAX: u32 = 2;

fn room() -> Range {
    Range::of::<Pile>(&("r".to_owned().."s".to_owned()), 1).unwrap()
}

/// What one client needs.
#[derive(Clone)]
pub(super) struct Client {
    pub(super) cells: Cells,
    pub(super) random: fastrand::Rng,
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
    pub(super) async fn look(&mut self, keys: Vec<At>) -> Option<BTreeMap<At, Vec<u64>>> {
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
    pub(super) async fn transact(&mut self, id: u64, keys: Vec<At>) -> Did {
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
        // One without an id can't ask again when nobody knows.
        let anonymous = self.random.f64() < 0.2;
        let request = || (!anonymous).then(|| request(id));
        let claims = self.random.f64() < 0.3;
        for run in 0..RUNS_MAX {
            if claims && run >= LOSSES_MAX {
                self.claim(tx, run, &keys).await;
            }
            let Some((accessed, parts)) = self.function(id, &keys).await else {
                self.pause(50).await;
                continue;
            };
            let mut others: BTreeMap<u32, Part> = parts;
            let commit = Commit {
                id: tx,
                run,
                request: request(),
                reply: Bytes::from(run.to_string()),
                own: others.remove(&home).unwrap_or_default(),
                others: others
                    .into_iter()
                    .map(|(number, part)| (partition(number), part))
                    .collect(),
                emitted: Vec::new(),
                taking: None,
            };
            did.by_run.insert(run, accessed);
            match self.ask(home, &commit, &mut unknown).await {
                Some(Committed::Yes(_, reply)) => {
                    did.committed(&reply);
                    return did;
                }
                Some(Committed::Conflict(_)) => {}
                Some(never @ (Committed::Never(_) | Committed::Taken)) => panic!("{never:?}"),
                None => {
                    did.told = Told::Unknown;
                    return did;
                }
            }
            self.pause(50 << run.min(4)).await;
        }
        for (number, _) in &keys {
            // Those that do not hear it give up what was claimed by themselves.
            drop(self.owner(*number).0.send(Job::Tx(TxJob::Release(tx))));
        }
        if unknown {
            // What was asked for may still be on its way: it must never happen after this was said.
            let settle = Commit {
                id: tx,
                run: RUNS_MAX,
                request: request(),
                reply: Bytes::from_static(b"no"),
                own: Part::default(),
                others: Vec::new(),
                emitted: Vec::new(),
                taking: None,
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

    /// Others are to leave it the keys for a moment. Some do not hear it, or too late.
    async fn claim(&mut self, id: TxId, losses: u32, keys: &[At]) {
        for (number, key) in keys {
            let (mailbox, ..) = self.owner(*number);
            let keys = vec![(*key).to_owned()];
            let claim = Claim { id, losses, keys };
            let asked = mailbox.ask(|slot| Job::Tx(TxJob::Claim(claim, slot)));
            drop(timeout(Duration::from_millis(50), asked).await);
        }
    }

    /// What the user's function would do: reads and writes, by partition.
    async fn function(&mut self, id: u64, keys: &[At]) -> Option<(Accessed, BTreeMap<u32, Part>)> {
        let (mut reads, mut writes, mut parts) =
            (BTreeMap::new(), Vec::new(), BTreeMap::<u32, Part>::new());
        // Often one key alone, and not that of home: two that read the same keys and write different ones are told apart by the locks of what they read, and by nothing else.
        let written = self.random.usize(..keys.len());
        let share = if self.random.bool() { 0.1 } else { 0.6 };
        let rooms = self.random.f64() < 0.3;
        let others: &[At] = if rooms && self.random.bool() {
            &[]
        } else {
            keys
        };
        for (index, (number, key)) in others.iter().copied().enumerate() {
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
                    stored: None,
                });
                writes.push((number, key));
            }
        }
        if rooms {
            // Looks who is in one room, and enters another one: two of them that do it the other way round must not both find nobody.
            let (looked_at, entered) = (keys[0].0, (keys[0].0 + 1) % 2);
            let listed = self.list(looked_at).await?;
            let part = parts.entry(looked_at).or_default();
            part.reads.extend(listed.reads);
            part.lists.push(listed.listing);
            reads.extend(listed.items);
            self.pause(15).await;
            let at = (entered, ROOM[self.random.usize(..ROOM.len())]);
            let mut items = if let Some(items) = reads.get(&at) {
                items.clone()
            } else {
                let seen = self.read(at).await?;
                let (key, was) = (at.1.to_owned(), seen.was);
                let part = parts.entry(entered).or_default();
                part.reads.push(Read { key, was });
                reads.insert(at, seen.items.clone());
                seen.items
            };
            items.push(id);
            let pile = Pile {
                key: at.1.to_owned(),
                items,
            };
            parts.entry(entered).or_default().writes.push(Write {
                key: at.1.to_owned(),
                value: Some(serde_json::value::to_raw_value(&pile).unwrap()),
                stored: None,
            });
            writes.push(at);
        }
        Some(((reads, writes), parts))
    }

    /// Asks home until it says something definite.
    async fn ask(&mut self, home: u32, commit: &Commit, unknown: &mut bool) -> Option<Committed> {
        for _ in 0..20 {
            let (mailbox, ..) = self.owner(home);
            let asked = mailbox.ask(|slot| Job::Tx(TxJob::Commit(Arc::new(commit.clone()), slot)));
            let patience = Duration::from_millis(self.random.u64(20..3000));
            match timeout(patience, asked).await {
                Ok(Ok(outcome)) => return Some(outcome),
                Ok(Err(Refusal::Unknown)) | Err(_) if commit.request.is_none() => return None,
                Ok(Err(Refusal::Unknown)) | Err(_) => *unknown = true,
                Ok(Err(_)) => {}
            }
            self.pause(200).await;
        }
        None
    }

    /// A command on one key.
    pub(super) async fn command(&mut self, id: u64, at: At) -> Did {
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

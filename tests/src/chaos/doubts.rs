//! Transactions in doubt, as the owners say it, and for how long they are although somebody could know.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use serde_json::Value;
use tokio::{task::JoinSet, time::timeout};

use crate::{Client, Places};

/// How often each node is asked.
const EVERY: Duration = Duration::from_millis(50);
/// A node that is stopped does not answer.
const ANSWER_MAX: Duration = Duration::from_secs(1);
/// In doubt for longer is for ever.
const PATIENCE: Duration = Duration::from_secs(60);

/// Asks all nodes again and again.
///
/// What counts is the time in which a transaction was in doubt *and* both its home and the partition that waits had an owner, without interruption: before that nobody can know what
/// became of it, or nobody can be told. An owner counts from when it first said so, until it is harmed or another one has a higher epoch.
pub(super) struct Doubts {
    nodes: Places,
    seen: Arc<Mutex<Seen>>,
    _watchers: JoinSet<()>,
}

#[derive(Default)]
struct Seen {
    /// By partition.
    owners: HashMap<String, Owner>,
    epochs: HashMap<String, i64>,
    /// The longest that each was in doubt, by partition and transaction.
    longest: HashMap<(String, String), Duration>,
}

struct Owner {
    node: usize,
    epoch: i64,
    since: Instant,
}

impl Doubts {
    /// Watches so many nodes, once they are there.
    pub(super) fn watch(count: usize) -> Self {
        let (nodes, seen) = (Places::new(count), Arc::new(Mutex::new(Seen::default())));
        let mut watchers = JoinSet::new();
        for node in 0..count {
            let (nodes, seen) = (nodes.clone(), seen.clone());
            watchers.spawn(async move {
                loop {
                    let admin = nodes.client(node).await;
                    let status = status(&admin).await;
                    // One that is away by now said what was so before.
                    if let Some(status) = status.filter(|_| nodes.now(node).is_some()) {
                        lock(&seen).take(node, &status, Instant::now());
                    }
                    tokio::time::sleep(EVERY).await;
                }
            });
        }
        Self {
            nodes,
            seen,
            _watchers: watchers,
        }
    }

    /// The node is there, or goes on.
    pub(super) fn come(&self, node: usize, admin: Client) {
        self.nodes.set(node, Some(admin));
    }

    /// The node is harmed now.
    pub(super) fn go(&self, node: usize) {
        self.nodes.set(node, None);
        lock(&self.seen)
            .owners
            .retain(|_, owner| owner.node != node);
    }

    /// How many were seen.
    pub(super) fn count(&self) -> usize {
        lock(&self.seen).longest.len()
    }

    /// How long each was in doubt.
    pub(super) fn longest(&self) -> Vec<Duration> {
        lock(&self.seen).longest.values().copied().collect()
    }

    /// Waits until a node has nothing in doubt any more. What it still has is returned.
    pub(super) async fn resolved(&self, node: usize) -> Vec<String> {
        let admin = self.nodes.client(node).await;
        let began = Instant::now();
        loop {
            let status = status(&admin).await;
            let left = status.as_ref().map_or_else(
                || vec!["anything: it does not answer".to_owned()],
                |status| {
                    all_in_doubt(status)
                        .map(|doubt| format!("{doubt:?}"))
                        .collect()
                },
            );
            if left.is_empty() || began.elapsed() > PATIENCE {
                return left;
            }
            tokio::time::sleep(EVERY).await;
        }
    }
}

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn status(admin: &Client) -> Option<Value> {
    let asked = admin.request("GET", "/status").try_send();
    let reply = timeout(ANSWER_MAX, asked).await.ok()?.ok()?;
    (reply.status == 200).then(|| reply.json())
}

/// One transaction in doubt.
#[derive(Debug)]
struct Doubt<'a> {
    partition: String,
    id: &'a str,
    home: &'a str,
    age: Duration,
}

/// The partitions that a node owns, by what it says: name, epoch, and what is in doubt there.
fn served(status: &Value) -> impl Iterator<Item = (String, i64, &Value)> {
    let partitions = status["partitions"].as_array().expect("partitions");
    let served = partitions.iter().filter(|one| one["phase"] == "serving");
    served.map(|one| {
        let topic = one["topic"].as_str().expect("a name");
        let epoch = one["epoch"].as_i64().expect("a number");
        let name = format!("{topic}/{}", one["partition"]);
        (name, epoch, &one["in_doubt"])
    })
}

fn all_in_doubt(status: &Value) -> impl Iterator<Item = Doubt<'_>> {
    served(status).flat_map(|(partition, _, listed)| {
        let listed = listed.as_array().map_or(&[][..], Vec::as_slice);
        listed.iter().map(move |one| Doubt {
            partition: partition.clone(),
            id: one["transaction"].as_str().expect("an id"),
            home: one["home"].as_str().expect("a partition"),
            age: Duration::from_millis(one["age_ms"].as_u64().expect("a number")),
        })
    })
}

impl Seen {
    fn take(&mut self, node: usize, status: &Value, now: Instant) {
        for (partition, epoch, _) in served(status) {
            let last = self.epochs.entry(partition.clone()).or_insert(epoch);
            // One that does not know yet that it owns nothing any more says nothing of now.
            if epoch < *last {
                continue;
            }
            *last = epoch;
            let known = self.owners.get(&partition);
            if known.is_none_or(|known| (known.node, known.epoch) != (node, epoch)) {
                let owner = Owner {
                    node,
                    epoch,
                    since: now,
                };
                self.owners.insert(partition, owner);
            }
        }
        for doubt in all_in_doubt(status) {
            let here = self.owners.get(&doubt.partition);
            let home = self.owners.get(doubt.home);
            let (Some(here), Some(home)) = (here.filter(|here| here.node == node), home) else {
                continue;
            };
            let together = now - here.since.max(home.since);
            let at = (doubt.partition, doubt.id.to_owned());
            let longest = self.longest.entry(at).or_default();
            *longest = together.min(doubt.age).max(*longest);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_counts_is_the_time_with_an_owner_at_both_ends() {
        let start = Instant::now();
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        let says = |partition: u32, epoch: u32, age: Option<u32>| {
            let doubt = age.map(|age| json!({"transaction": "x", "home": "a/1", "age_ms": age}));
            let in_doubt: Vec<Value> = doubt.into_iter().collect();
            json!({"partitions": [
                {"topic": "a", "partition": partition, "phase": "serving", "epoch": epoch, "in_doubt": in_doubt},
                {"topic": "b", "partition": 0, "phase": "elsewhere", "epoch": 9},
            ]})
        };
        let mut seen = Seen::default();
        seen.take(0, &says(0, 1, Some(5000)), at(0));
        assert!(seen.longest.is_empty(), "its home has no owner");
        seen.take(1, &says(1, 4, None), at(100));
        seen.take(0, &says(0, 1, Some(5700)), at(700));
        let longest = |seen: &Seen| seen.longest.values().next().copied();
        assert_eq!(longest(&seen), Some(Duration::from_millis(600)));
        // Another owner at home: it has its time, and who was there before says nothing more.
        seen.take(2, &says(1, 5, None), at(1000));
        seen.take(1, &says(1, 4, None), at(1050));
        seen.take(0, &says(0, 1, Some(6200)), at(1200));
        assert_eq!(longest(&seen), Some(Duration::from_millis(600)));
        seen.take(0, &says(0, 1, Some(6900)), at(1900));
        assert_eq!(longest(&seen), Some(Duration::from_millis(900)));
    }
}

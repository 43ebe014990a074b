//! What lies where in ZooKeeper, below the root, and how it is written.
//!
//! ```text
//! /layout                     {"version":1,"cluster":"graph"}: refused if another
//! /topics/<topic>             the declared shape
//! /tenures/<topic>/<number>   its version counts the tenures of a partition; who had the last one
//! /sessions/<id>              ephemeral; written to again and again, to renew the lease
//! /view/members/<node>        ephemeral; the node as others see it, and its process
//! /view/locks/<topic>/<number>  ephemeral; who holds the partition's lock
//! /view/planner               ephemeral; who makes the plan
//! /view/plan                  the plan; its version is the node's
//! ```
//! What is in `/view` is what [`View`](crate::coordinator::View) shows: one recursive watch covers it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::process::Process;
use crate::{
    coordinator::{Node, Plan},
    log::{Topic, TopicPartition},
    plan::Assignment,
};

/// The version of all of this.
const VERSION: u32 = 1;

pub(super) const LAYOUT: &str = "/layout";
pub(super) const TOPICS: &str = "/topics";
pub(super) const TENURES: &str = "/tenures";
pub(super) const SESSIONS: &str = "/sessions";
pub(super) const VIEW: &str = "/view";
pub(super) const MEMBERS: &str = "/view/members";
pub(super) const LOCKS: &str = "/view/locks";
pub(super) const PLANNER: &str = "/view/planner";
pub(super) const PLAN: &str = "/view/plan";

/// The nodes that stay, parents first.
pub(super) const LASTING: [&str; 6] = [TOPICS, TENURES, SESSIONS, VIEW, MEMBERS, LOCKS];

pub(super) fn topic(name: &str) -> String {
    format!("{TOPICS}/{name}")
}

pub(super) fn tenure(partition: &TopicPartition) -> String {
    format!("{TENURES}/{partition}")
}

pub(super) fn lock(partition: &TopicPartition) -> String {
    format!("{LOCKS}/{partition}")
}

pub(super) fn member(id: &str) -> String {
    format!("{MEMBERS}/{id}")
}

pub(super) fn session(id: i64) -> String {
    format!("{SESSIONS}/{id:016x}")
}

/// Which part of the view a node is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    Member(String),
    Lock(TopicPartition),
    Planner,
    Plan,
}

impl Place {
    pub(super) fn of(path: &str) -> Option<Self> {
        let below = |folder: &str| path.strip_prefix(folder)?.strip_prefix('/');
        match path {
            PLANNER => Some(Self::Planner),
            PLAN => Some(Self::Plan),
            _ => below(MEMBERS)
                .map(|id| Self::Member(id.to_owned()))
                .or_else(|| below(LOCKS)?.parse().ok().map(Self::Lock)),
        }
    }

    pub(super) fn path(&self) -> String {
        match self {
            Self::Member(id) => member(id),
            Self::Lock(partition) => lock(partition),
            Self::Planner => PLANNER.to_owned(),
            Self::Plan => PLAN.to_owned(),
        }
    }
}

/// `/layout`.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Layout {
    version: u32,
    cluster: String,
}

impl Layout {
    pub(super) fn of(cluster: &str) -> Self {
        Self {
            version: VERSION,
            cluster: cluster.to_owned(),
        }
    }

    /// Why this service can't work with what is kept, if it can't.
    pub(super) fn difference(&self, root: &str, kept: &[u8]) -> Option<String> {
        /// Only what every version has.
        #[derive(Deserialize)]
        struct AnyVersion {
            version: u32,
        }
        let Ok(AnyVersion { version }) = serde_json::from_slice(kept) else {
            return Some(format!(
                "what lies at {root}{LAYOUT} is not memgen's: choose another root"
            ));
        };
        if version != VERSION {
            return Some(format!(
                "{root} is laid out in version {version}, and this memgen knows version {VERSION}: run the one that made it, or choose another root"
            ));
        }
        let kept: Self = match serde_json::from_slice(kept) {
            Ok(kept) => kept,
            Err(error) => return Some(format!("{root}{LAYOUT} can't be read: {error}")),
        };
        (kept != *self).then(|| {
            format!(
                "{root} belongs to the cluster `{}`, and this one is `{}`: choose another root, or the same --cluster",
                kept.cluster, self.cluster
            )
        })
    }
}

/// `/topics/<topic>`.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Shape {
    partitions: u32,
    partitioner: String,
    format: String,
}

impl Shape {
    pub(super) fn of(topic: &Topic) -> Self {
        Self {
            partitions: topic.partitions,
            partitioner: topic.partitioner.clone(),
            format: topic.format.clone(),
        }
    }

    pub(super) fn into_topic(self, name: &str) -> Topic {
        Topic {
            name: name.to_owned(),
            partitions: self.partitions,
            partitioner: self.partitioner,
            format: self.format,
        }
    }
}

/// `/view/members/<node>`.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct MemberEntry {
    pub(super) node: Node,
    pub(super) process: Option<Process>,
}

/// `/view/locks/<topic>/<number>` and `/view/planner`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct HolderEntry {
    pub(super) node: String,
    pub(super) incarnation: u64,
}

/// `/view/plan`: small even for thousands of partitions, since a node of ZooKeeper holds 1 MiB.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct PlanEntry {
    nodes: Vec<String>,
    /// Of each topic, its partitions in order: who shall own it (an index into `nodes`, or -1) and then who shall follow it.
    topics: BTreeMap<String, Vec<Vec<i32>>>,
}

impl PlanEntry {
    pub(super) fn of(assignments: &BTreeMap<TopicPartition, Assignment>) -> Self {
        let all = assignments.values();
        let names: BTreeSet<&String> = all
            .flat_map(|planned| planned.owner.iter().chain(&planned.standbys))
            .collect();
        let index: BTreeMap<&String, i32> = names.iter().copied().zip(0..).collect();
        let mut topics: BTreeMap<String, Vec<Vec<i32>>> = BTreeMap::new();
        for (partition, planned) in assignments {
            let row = topics.entry(partition.topic.to_string()).or_default();
            let number = partition.partition as usize;
            if row.len() <= number {
                row.resize(number + 1, Vec::new());
            }
            let owner = planned.owner.as_ref().map_or(-1, |owner| index[owner]);
            let standbys = planned.standbys.iter().map(|node| index[node]);
            row[number] = std::iter::once(owner).chain(standbys).collect();
        }
        Self {
            nodes: names.into_iter().cloned().collect(),
            topics,
        }
    }

    pub(super) fn into_plan(self, version: i32) -> Plan {
        let node = |index: &i32| {
            let index = usize::try_from(*index).ok()?;
            self.nodes.get(index).cloned()
        };
        let assignment = |row: &Vec<i32>| Assignment {
            owner: row.first().and_then(node),
            standbys: row.iter().skip(1).filter_map(node).collect(),
        };
        let partitions = self.topics.iter().flat_map(|(topic, rows)| {
            let topic: std::sync::Arc<str> = topic.as_str().into();
            // A partition without a row is not planned.
            let rows = (0..).zip(rows).filter(|(_, row)| !row.is_empty());
            rows.map(move |(number, row)| (TopicPartition::new(topic.clone(), number), row))
        });
        Plan {
            version: u64::try_from(version).unwrap_or_default(),
            assignments: partitions
                .map(|(partition, row)| (partition, assignment(row)))
                .collect(),
        }
    }
}

/// As it is kept.
pub(super) fn to_bytes(entry: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(entry).expect("plain data with text as keys has a form in JSON")
}

/// What was kept; `None` if another hand wrote it.
pub(super) fn from_bytes<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    serde_json::from_slice(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_found_by_their_paths() {
        for place in [
            Place::Member("a".to_owned()),
            Place::Lock(TopicPartition::new("graph", 17)),
            Place::Planner,
            Place::Plan,
        ] {
            assert_eq!(Place::of(&place.path()), Some(place));
        }
        for path in [
            "/view",
            "/view/locks",
            "/view/locks/graph",
            "/view/members",
            "/layout",
        ] {
            assert_eq!(Place::of(path), None, "{path}");
        }
    }

    #[test]
    fn a_plan_comes_back_as_it_was_and_is_small() {
        let partition = |topic: &str, number| TopicPartition::new(topic, number);
        let assignments: BTreeMap<_, _> = (0..4096)
            .map(|number| {
                let assignment = Assignment {
                    owner: (number != 3).then(|| format!("db-{}.example.com-7081", number % 7)),
                    standbys: (1..number % 3)
                        .map(|at| format!("db-{at}.example.com-7081"))
                        .collect(),
                };
                (partition("graph", number), assignment)
            })
            // One of which not all partitions are planned.
            .chain([(partition("settings", 1), Assignment::default())])
            .collect();
        let bytes = to_bytes(&PlanEntry::of(&assignments));
        assert!(bytes.len() < 4096 * 10, "{} bytes", bytes.len());
        let plan = from_bytes::<PlanEntry>(&bytes).unwrap().into_plan(7);
        assert_eq!(plan.version, 7);
        assert_eq!(plan.assignments, assignments);
    }

    #[test]
    fn another_layout_is_refused_with_what_to_do() {
        let mine = Layout::of("graph");
        let difference = |kept: &str| mine.difference("/r", kept.as_bytes());
        assert_eq!(difference(r#"{"version":1,"cluster":"graph"}"#), None);
        for (kept, expected) in [
            (
                r#"{"version":1,"cluster":"shop"}"#,
                "belongs to the cluster `shop`",
            ),
            (r#"{"version":2,"more":[]}"#, "laid out in version 2"),
            ("", "is not memgen's"),
            ("[]", "is not memgen's"),
        ] {
            let what = difference(kept).unwrap();
            assert!(what.contains(expected) && what.contains("/r"), "{what}");
        }
    }
}

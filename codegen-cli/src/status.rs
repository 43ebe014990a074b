//! What the nodes of a service say about themselves, as a table.

use std::{collections::BTreeMap, fmt, net::SocketAddr};

use serde::Deserialize;

use crate::{
    fetch::{self, Base, FetchError},
    table::Table,
};

/// A node's `/status`. What a later version adds is left out.
#[derive(Debug, Deserialize)]
pub(crate) struct Status {
    service: String,
    version: String,
    cluster: String,
    node: String,
    pub(crate) ready: bool,
    log: Log,
    #[serde(default)]
    pub(crate) nodes: Vec<Node>,
    /// Older builds don't say.
    #[serde(default)]
    acks: BTreeMap<String, Ack>,
    partitions: Vec<Partition>,
    /// Older builds don't say.
    #[serde(default)]
    inputs: Vec<Input>,
}

/// A partition of a topic whose events a function takes in.
#[derive(Debug, Deserialize)]
struct Input {
    topic: String,
    partition: u32,
    function: String,
    phase: String,
    stopped_because: Option<String>,
    waiting_for: Option<String>,
    position: u64,
    lag: u64,
    /// How old what an external state shows of it may be.
    staleness_ms: Option<u64>,
    /// Records of it that can't be read.
    #[serde(default)]
    skipped: u64,
    last_skipped: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Log {
    kind: String,
    bytes: Option<u64>,
}

/// When the writes of a topic count.
#[derive(Debug, Deserialize)]
struct Ack {
    level: String,
    /// What a weaker level gives up.
    gives_up: Option<String>,
}

/// A node of the cluster.
#[derive(Debug, Deserialize)]
#[allow(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(crate) struct Node {
    pub(crate) id: String,
    http: SocketAddr,
    pub(crate) admin: SocketAddr,
    zone: Option<String>,
    version: String,
    draining: bool,
    /// Older builds don't say.
    #[serde(default)]
    cut_off: bool,
    /// Older builds don't say.
    #[serde(default)]
    full: bool,
    planner: bool,
}

#[derive(Debug, Deserialize)]
struct Partition {
    topic: String,
    #[serde(rename = "partition")]
    number: u32,
    phase: String,
    halted_because: Option<String>,
    owner: Option<String>,
    #[serde(default)]
    epoch: i64,
    #[serde(default)]
    standbys: Vec<String>,
    staleness_ms: Option<u64>,
    keys: u64,
    bytes: i64,
    position: u64,
    #[serde(default)]
    digest: String,
    queue: u64,
    /// Older builds don't say.
    #[serde(default)]
    in_doubt: Vec<InDoubt>,
    snapshot: Option<Snapshot>,
}

/// A transaction that a partition has prepared, and of which it has heard nothing for some time.
#[derive(Debug, Deserialize)]
struct InDoubt {
    transaction: String,
    home: String,
    age_ms: u64,
}

/// What a node keeps of a partition for its next start.
#[derive(Debug, Deserialize)]
struct Snapshot {
    /// None if the node can't say.
    age_seconds: Option<u64>,
}

impl Snapshot {
    fn shown(&self) -> String {
        match self.age_seconds {
            None => "?".to_owned(),
            Some(seconds @ 0..120) => format!("{seconds} s"),
            Some(seconds @ 120..7200) => format!("{} min", seconds / 60),
            Some(seconds @ 7200..172_800) => format!("{} h", seconds / 3600),
            Some(seconds) => format!("{} d", seconds / 86_400),
        }
    }
}

/// What a node has of a partition in memory.
#[derive(Debug)]
pub(crate) struct Copy {
    pub(crate) position: u64,
    pub(crate) digest: String,
    pub(crate) keys: u64,
}

/// What all nodes say, as far as they answer.
#[derive(Debug)]
pub(crate) struct Overview {
    asked: Status,
    /// Those besides the one that was asked.
    others: BTreeMap<String, Status>,
}

impl Status {
    /// Reads the JSON.
    pub(crate) fn read(json: &[u8]) -> serde_json::Result<Self> {
        serde_json::from_slice(json)
    }

    /// Whether there are nodes that stay besides this one.
    pub(crate) fn has_others(&self, node: &str) -> bool {
        let mut nodes = self.nodes.iter();
        nodes.any(|other| other.id != node && !other.draining && !other.cut_off)
    }

    /// How many partitions a node owns.
    pub(crate) fn owned_by(&self, node: &str) -> usize {
        let owners = self.partitions.iter().map(|partition| &partition.owner);
        owners
            .filter(|owner| owner.as_deref() == Some(node))
            .count()
    }

    fn partition(&self, like: &Partition) -> Option<&Partition> {
        let same = |one: &&Partition| one.topic == like.topic && one.number == like.number;
        self.partitions.iter().find(same)
    }
}

impl Overview {
    /// Asks all nodes that the asked one knows. One that does not answer is left out, and is seen by what is missing.
    pub(crate) fn of(asked: Status) -> Self {
        let others = asked.nodes.iter().filter(|node| node.id != asked.node);
        let others = others.filter_map(|node| {
            let answer = fetch::get(&Base::from(node.admin), "/status").ok()?;
            Some((node.id.clone(), Status::read(&answer).ok()?))
        });
        Self {
            others: others.collect(),
            asked,
        }
    }

    fn at(&self, node: &str, like: &Partition) -> Option<&Partition> {
        if node == self.asked.node {
            return self.asked.partition(like);
        }
        self.others.get(node)?.partition(like)
    }

    fn row(&self, seen: &Partition) -> [String; HEAD.len()] {
        let at_owner = seen.owner.as_deref().and_then(|owner| self.at(owner, seen));
        let shown = at_owner.unwrap_or(seen);
        let phase = match (&seen.owner, at_owner) {
            (None, _) if seen.phase != "halted" => "leaderless",
            (Some(_), None) if seen.phase != "halted" => "unreachable",
            _ => &shown.phase,
        };
        let standbys = seen.standbys.iter().map(|standby| {
            let there = self.at(standby, seen);
            match there.and_then(|there| there.staleness_ms) {
                Some(ms) => {
                    let behind = shown
                        .position
                        .saturating_sub(there.map_or(0, |it| it.position));
                    format!("{standby} (-{behind}, {ms} ms)")
                }
                None => format!("{standby} (?)"),
            }
        });
        let standbys: Vec<String> = standbys.collect();
        [
            format!("{}/{}", seen.topic, seen.number),
            phase.to_owned(),
            seen.owner.clone().unwrap_or_else(|| "-".to_owned()),
            standbys.join(", "),
            shown.epoch.to_string(),
            shown.keys.to_string(),
            size(u64::try_from(shown.bytes).unwrap_or(0)),
            shown.position.to_string(),
            shown.queue.to_string(),
            shown
                .snapshot
                .as_ref()
                .map_or_else(|| "-".to_owned(), Snapshot::shown),
        ]
    }
}

/// The admin listener of a node of the cluster that another node belongs to.
///
/// # Errors
/// If there is no such node.
pub(crate) fn admin_of(asked: &Base, node: &str) -> Result<Base, Box<dyn std::error::Error>> {
    let status = read(asked)?;
    let found = status.nodes.iter().find(|known| known.id == node);
    let names = || {
        let names: Vec<&str> = status.nodes.iter().map(|node| &*node.id).collect();
        format!("there is no node `{node}`; there are {}", names.join(", "))
    };
    Ok(Base::from(found.ok_or_else(names)?.admin))
}

/// The name of the node that is asked, and what it has of a partition.
///
/// # Errors
/// If it has nothing of it, or does not answer.
pub(crate) fn copy(
    asked: &Base,
    topic: &str,
    number: u32,
) -> Result<(String, Copy), Box<dyn std::error::Error>> {
    let status = read(asked)?;
    let node = status.node;
    let partition = status
        .partitions
        .into_iter()
        .find(|partition| partition.topic == topic && partition.number == number)
        .ok_or_else(|| format!("node {node} knows no partition {topic}/{number}"))?;
    if partition.phase == "elsewhere" {
        let owner = partition.owner.as_deref().unwrap_or("nobody");
        return Err(format!(
            "node {node} has nothing of {topic}/{number}; its owner is {owner}, and its standbys are {}",
            partition.standbys.join(", ")
        )
        .into());
    }
    let copy = Copy {
        position: partition.position,
        digest: partition.digest,
        keys: partition.keys,
    };
    Ok((node, copy))
}

/// What a node says of itself.
///
/// # Errors
/// If it does not answer, or something else does.
pub(crate) fn read(asked: &Base) -> Result<Status, Box<dyn std::error::Error>> {
    let body = fetch::get(asked, "/status").map_err(|error: FetchError| Box::new(error))?;
    let status = Status::read(&body).map_err(|error| {
        format!("what {asked}/status answers is not the status of a memgen service: {error}")
    })?;
    Ok(status)
}

/// The columns. The first ones are text, the others numbers.
const HEAD: [&str; 10] = [
    "PARTITION",
    "PHASE",
    "OWNER",
    "STANDBYS",
    "EPOCH",
    "KEYS",
    "MEMORY",
    "POSITION",
    "QUEUE",
    "SNAPSHOT",
];
const TEXT_COLUMNS: usize = 4;

impl fmt::Display for Overview {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Status {
            service,
            version,
            cluster,
            node,
            log,
            ready,
            nodes,
            acks,
            partitions,
            inputs: _,
        } = &self.asked;
        let ready = if *ready { "ready" } else { "not ready" };
        writeln!(f, "{service} {version}, node {node} of {cluster}: {ready}")?;
        match log.bytes {
            Some(bytes) => writeln!(f, "log: {}, {}", log.kind, size(bytes))?,
            None => writeln!(f, "log: {}", log.kind)?,
        }
        for (topic, Ack { level, gives_up }) in acks {
            if let Some(gives_up) = gives_up {
                writeln!(f, "ack of {topic}: {level}, so {gives_up}")?;
            }
        }
        if nodes.len() > 1 {
            for node in nodes {
                let zone = node.zone.as_ref().map(|zone| format!(", zone {zone}"));
                let planner = if node.planner { ", makes the plan" } else { "" };
                let draining = if node.draining { ", drains" } else { "" };
                let cut_off = if node.cut_off {
                    ", cut off from the log"
                } else {
                    ""
                };
                let full = if node.full { ", no memory left" } else { "" };
                let Node {
                    id, http, version, ..
                } = node;
                let zone = zone.unwrap_or_default();
                writeln!(
                    f,
                    "node {id}: http://{http}, {version}{zone}{planner}{draining}{cut_off}{full}"
                )?;
            }
        }
        let mut table = Table::new(HEAD, TEXT_COLUMNS);
        table.extend(partitions.iter().map(|partition| self.row(partition)));
        write!(f, "{table}")?;
        for partition in partitions {
            if let Some(reason) = &partition.halted_because {
                writeln!(
                    f,
                    "{}/{} halted: {reason}",
                    partition.topic, partition.number
                )?;
            }
            let owner = partition.owner.as_deref();
            let at_owner = owner.and_then(|owner| self.at(owner, partition));
            for in_doubt in at_owner.map_or(&[][..], |there| &there.in_doubt) {
                let InDoubt {
                    transaction,
                    home,
                    age_ms,
                } = in_doubt;
                let (topic, number) = (&partition.topic, partition.number);
                writeln!(
                    f,
                    "{topic}/{number} is in doubt for {age_ms} ms of transaction {transaction}: {home} knows what became of it"
                )?;
            }
        }
        let all = [&self.asked].into_iter().chain(self.others.values());
        let inputs = all.flat_map(|status| &status.inputs);
        for input in inputs.filter(|input| input.phase != "elsewhere") {
            writeln!(f, "{input}")?;
        }
        Ok(())
    }
}

/// What is said of a partition of a topic of others.
impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            topic,
            partition,
            function,
            position,
            lag,
            ..
        } = self;
        let is_external = self.staleness_ms.is_some() || self.phase == "filling";
        let how = if is_external {
            "shown as"
        } else {
            "taken in by"
        };
        write!(
            f,
            "{topic}/{partition}, {how} {function}: at {position}, {lag} behind"
        )?;
        if let Some(age) = self.staleness_ms {
            write!(f, ", {age} ms old")?;
        }
        if self.phase == "filling" {
            write!(f, ", filling")?;
        }
        if let Some(last) = &self.last_skipped {
            write!(f, ", {} can't be read, the last one {last}", self.skipped)?;
        }
        match (&self.stopped_because, &self.waiting_for) {
            (Some(why), _) => write!(f, ", stopped {why}"),
            (None, Some(what)) => write!(f, ", waits for {what}"),
            (None, None) => Ok(()),
        }
    }
}

/// Bytes, in the largest unit that leaves a digit in front.
fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut tenths = u128::from(bytes) * 10 / 1024;
    let mut unit = 0;
    while tenths >= 10_240 && unit + 1 < UNITS.len() {
        tenths /= 1024;
        unit += 1;
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        let rows = [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1536, "1.5 KiB"),
            (1 << 20, "1.0 MiB"),
            (u64::MAX, "16777215.9 TiB"),
        ];
        for (bytes, expected) in rows {
            assert_eq!(size(bytes), expected, "{bytes}");
        }
    }

    fn status(json: &str) -> Status {
        Status::read(json.as_bytes()).unwrap()
    }

    #[test]
    fn ages() {
        let rows = [
            (None, "?"),
            (Some(119), "119 s"),
            (Some(120), "2 min"),
            (Some(7199), "119 min"),
            (Some(7200), "2 h"),
            (Some(172_800), "2 d"),
        ];
        for (age_seconds, expected) in rows {
            assert_eq!(Snapshot { age_seconds }.shown(), expected);
        }
    }

    #[test]
    fn a_table() {
        let asked = status(
            r#"{
            "service": "graph", "version": "0.1.0", "cluster": "c", "node": "a", "ready": false,
            "log": {"kind": "embedded", "bytes": 2048, "later": 1},
            "acks": {"edge": {"level": "fsync", "gives_up": null}, "vertex": {"level": "os", "gives_up": "some are lost"}},
            "nodes": [
                {"id": "a", "http": "127.0.0.1:1", "admin": "127.0.0.1:2", "zone": "x", "version": "0.1.0", "draining": false, "planner": true},
                {"id": "b", "http": "127.0.0.1:3", "admin": "127.0.0.1:4", "zone": null, "version": "0.2.0", "draining": true, "planner": false}
            ],
            "partitions": [
                {"topic": "vertex", "partition": 0, "phase": "serving", "owner": "a", "epoch": 7, "standbys": ["b"],
                 "keys": 12, "bytes": 100, "position": 40, "queue": 0,
                 "in_doubt": [{"transaction": "07", "home": "vertex/2", "age_ms": 1200}], "snapshot": {"position": 38, "bytes": 100, "age_seconds": 200}},
                {"topic": "vertex", "partition": 1, "phase": "halted", "halted_because": "a bad record", "owner": null, "standbys": [],
                 "keys": 0, "bytes": 0, "position": 3, "queue": 1},
                {"topic": "vertex", "partition": 2, "phase": "elsewhere", "owner": "c", "standbys": ["a"],
                 "keys": 0, "bytes": 0, "position": 0, "queue": 0},
                {"topic": "vertex", "partition": 3, "phase": "standby", "owner": null, "standbys": ["a"], "staleness_ms": 5,
                 "keys": 0, "bytes": 0, "position": 0, "queue": 0}
            ],
            "inputs": [
                {"topic": "edges", "partition": 0, "function": "linked", "phase": "reading", "position": 7, "lag": 2, "event_time_ms": 5},
                {"topic": "edges", "partition": 1, "function": "linked", "phase": "elsewhere", "position": 0, "lag": 0, "event_time_ms": 0},
                {"topic": "rates", "partition": 0, "function": "Rate", "phase": "reading", "position": 9, "lag": 0, "event_time_ms": 5, "staleness_ms": 12,
                 "skipped": 2, "last_skipped": "at offset 4: its value: no number"},
                {"topic": "rates", "partition": 1, "function": "Rate", "phase": "filling", "position": 1, "lag": 8, "event_time_ms": 5},
                {"topic": "edges", "partition": 2, "function": "linked", "phase": "reading", "position": 0, "lag": 1, "event_time_ms": 0,
                 "waiting_for": "the schema registry, for the schema 3: no route"}
            ]
        }"#,
        );
        let other = status(
            r#"{
            "service": "graph", "version": "0.2.0", "cluster": "c", "node": "b", "ready": true, "log": {"kind": "kafka"},
            "partitions": [
                {"topic": "vertex", "partition": 0, "phase": "standby", "owner": "a", "epoch": 7, "standbys": ["b"], "staleness_ms": 3,
                 "keys": 12, "bytes": 100, "position": 38, "queue": 0}
            ],
            "inputs": [{"topic": "edges", "partition": 1, "function": "linked", "phase": "stopped", "position": 3, "lag": 4,
                        "stopped_because": "at offset 3: 404: no such vertex", "event_time_ms": 5}]
        }"#,
        );
        let overview = Overview {
            asked,
            others: BTreeMap::from([("b".to_owned(), other)]),
        };
        let expected = "\
graph 0.1.0, node a of c: not ready
log: embedded, 2.0 KiB
ack of vertex: os, so some are lost
node a: http://127.0.0.1:1, 0.1.0, zone x, makes the plan
node b: http://127.0.0.1:3, 0.2.0, drains
PARTITION  PHASE        OWNER  STANDBYS      EPOCH  KEYS  MEMORY  POSITION  QUEUE  SNAPSHOT
vertex/0   serving      a      b (-2, 3 ms)      7    12   100 B        40      0     3 min
vertex/1   halted       -                        0     0     0 B         3      1         -
vertex/2   unreachable  c      a (?)             0     0     0 B         0      0         -
vertex/3   leaderless   -      a (-0, 5 ms)      0     0     0 B         0      0         -
vertex/0 is in doubt for 1200 ms of transaction 07: vertex/2 knows what became of it
vertex/1 halted: a bad record
edges/0, taken in by linked: at 7, 2 behind
rates/0, shown as Rate: at 9, 0 behind, 12 ms old, 2 can't be read, the last one at offset 4: its value: no number
rates/1, shown as Rate: at 1, 8 behind, filling
edges/2, taken in by linked: at 0, 1 behind, waits for the schema registry, for the schema 3: no route
edges/1, taken in by linked: at 3, 4 behind, stopped at offset 3: 404: no such vertex
";
        assert_eq!(overview.to_string(), expected);
    }
}

//! A cluster of `register`, what may happen to it, and what its clients see of that.
//!
//! Each part does one thing as often as it is told to: the tests a few times, the program `chaos` as often as the figures in BENCHMARKS.md want it.
//! What is wrong goes into the [`Report`], beside the times that were measured. [`ledger`] and [`graph`] are storms over a service with transactions instead, and [`counts`] and [`payments`] are storms over what comes in by a topic.

mod cuts;
mod doubts;
mod events;
mod links;
mod owners;
mod page;
mod pauses;
mod report;
mod restarts;
mod storm;
mod timeline;

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use self::timeline::Fault;
pub use self::{
    events::{counts, payments},
    page::Page,
    report::Report,
    storm::{Harm, IN_DOUBT, graph, ledger},
    timeline::Timeline,
};
use crate::{
    Client, Random,
    binaries::binary,
    cluster::{Cluster, Servers},
    load::{Done, Keys, Load, lists},
    network::Network,
};

/// How many nodes there are.
pub const NODES: u8 = 3;
/// How many partitions `register` has.
pub const PARTITIONS: usize = 8;
/// Keys of each partition: so many that no list becomes long.
const KEYS: usize = 12;
/// Sessions of two seconds; the ensemble has ticks of half a second.
const SESSION: [&str; 2] = ["--session-timeout-ms", "2000"];
/// Snapshots so often that a disk without room is missed soon.
const SNAPSHOTS: [&str; 2] = ["--snapshot-records", "100"];

/// So much do clients want unless they are told otherwise: as much as two processors can do, brokers included.
const REST_MS_MAX: u32 = 10;
/// How long a load runs before something happens: what it saw then is what it is compared with.
const BEFORE: Duration = Duration::from_millis(1500);
/// What is waited for takes less, however busy the machine is.
const PATIENCE: Duration = Duration::from_secs(60);

/// A cluster that things happen to.
pub struct Chaos {
    /// The brokers and the ensemble.
    pub servers: Servers,
    /// The nodes.
    pub cluster: Cluster,
    /// What was seen so far.
    pub report: Report,
    /// How long a client rests at most between two operations, in milliseconds: more than 0.
    pub rest_ms_max: u32,
    network: Option<Network>,
    random: Random,
    parts: usize,
}

impl Chaos {
    /// Starts the servers and the nodes; on hosts of their own if there is a network of them.
    pub async fn start(network: Option<Network>) -> Self {
        let servers = match &network {
            Some(network) => Servers::start_in(network, 3, 1),
            None => Servers::start(3, 1),
        };
        let program = binary("register");
        let args = [SESSION, SNAPSHOTS].concat();
        let mut cluster = Cluster::new(&servers, network.as_ref(), &program, NODES, &args);
        cluster.start().await;
        Self {
            servers,
            cluster,
            report: Report::default(),
            rest_ms_max: REST_MS_MAX,
            network,
            random: Random::new(),
            parts: 0,
        }
    }

    /// Keys that nobody has used.
    fn keys(&mut self) -> Keys {
        self.parts += 1;
        (0..PARTITIONS)
            .map(|partition| self.keys_of(partition))
            .collect()
    }

    fn keys_of(&self, partition: usize) -> Vec<String> {
        let count = u32::try_from(PARTITIONS).expect("a few");
        (0..)
            .map(|number| format!("part{}-{number}", self.parts))
            .filter(|key| {
                memgen::partitioner::partition(key.as_bytes(), count) as usize == partition
            })
            .take(KEYS)
            .collect()
    }

    fn load(&mut self, nodes: &[Client], keys: &Keys) -> Load {
        Load::start(nodes, keys, self.rest_ms_max, &mut self.random)
    }

    /// A load at all nodes that run but one, which is running for a while.
    async fn load_besides(&mut self, node: usize, keys: &Keys) -> Load {
        let others: Vec<Client> = self
            .cluster
            .clients()
            .into_iter()
            .filter(|(other, _)| *other != node)
            .map(|(_, client)| client)
            .collect();
        let load = self.load(&others, keys);
        tokio::time::sleep(BEFORE).await;
        load
    }

    /// The partitions that a node owns.
    async fn owned_by(&mut self, node: usize) -> BTreeSet<usize> {
        let name = crate::cluster::name_of(node);
        let owners = self.cluster.owners(node, "register").await;
        let owned = owners.iter().enumerate();
        owned
            .filter(|(_, owner)| owner.as_ref() == Some(&name))
            .map(|(partition, _)| partition)
            .collect()
    }

    /// Nobody was told of an error, and the history is right. The last word has a node that is not `besides`.
    async fn check(&mut self, what: &str, besides: usize, keys: &Keys, done: &Done) {
        self.report.add("requests", done.waits.len());
        self.report.timeline.add(done);
        for failed in &done.failed {
            self.report.violation(format!("{what}: {}", failed.said));
        }
        if done.history.answered() < 100 {
            let answered = done.history.answered();
            self.report
                .violation(format!("{what}: only {answered} were answered"));
        }
        let mut clients = self.cluster.clients().into_iter();
        let (_, client) = clients
            .find(|(node, _)| *node != besides)
            .expect("another node runs");
        if let Err(wrong) = done.history.check(&lists(&client, keys).await) {
            self.report.violation(format!("{what}: {wrong}"));
        }
    }

    /// Something was done to the cluster: whether that was seen, and what clients of these partitions, which it was done to, waited. A client's answer may come later than its end.
    fn happened(
        &mut self,
        kind: &str,
        [from, to]: [Instant; 2],
        sign: Option<String>,
        done: &Done,
        partitions: &BTreeSet<usize>,
    ) {
        let longest = done.longest(from, to, partitions);
        self.report.timeline.faults.push(Fault {
            kind: kind.to_owned(),
            from,
            to,
            sign,
            recovery: longest.into_iter().max(),
        });
    }

    fn network(&self) -> &Network {
        let network = self.network.as_ref();
        network.expect("nodes have hosts of their own")
    }

    /// What clients of the partitions that moved waited, and those of the others before and after.
    fn measure(&mut self, what: &str, done: &Done, happened: Instant, moved: &BTreeSet<usize>) {
        let end = Instant::now();
        let waits = done.longest(happened, end, moved);
        self.report
            .waits(&format!("{what}: keys that moved"), waits);
        let earlier = happened.checked_sub(BEFORE * 2 / 3);
        let earlier = earlier.expect("the load ran before");
        let before = done.besides(earlier, happened, moved);
        self.report
            .waits(&format!("{what}: other keys, the second before"), before);
        let after = done.besides(happened, happened + BEFORE * 2 / 3, moved);
        self.report
            .waits(&format!("{what}: other keys, the second after"), after);
    }

    /// After all that: owner, standbys, and a replay of the log by a process of its own have the same.
    pub async fn all_have_the_same(&mut self) {
        self.cluster.ready().await;
        self.balanced(usize::from(NODES)).await;
        let mut copies = 0;
        for partition in 0..PARTITIONS {
            // Owners write a little by themselves, and standbys follow.
            let same = async {
                loop {
                    let seen = self.cluster.digests("register", partition).await;
                    let position = seen[0].0;
                    if seen.iter().all(|(other, _)| *other == position) {
                        return (position, seen);
                    }
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            };
            let same = tokio::time::timeout(PATIENCE, same).await;
            let (position, digests) = same.expect("standbys follow");
            copies += digests.len();
            let replayed = self.cluster.replay("register", partition, position);
            if digests.iter().any(|(_, digest)| *digest != replayed) {
                self.report.violation(format!(
                    "register/{partition} at {position}: {digests:?}, and replayed {replayed}"
                ));
            }
        }
        if copies < 2 * PARTITIONS {
            self.report
                .violation(format!("only {copies} copies were there"));
        }
        self.cluster.assert_sound();
    }
}

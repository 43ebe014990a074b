//! Cables that carry one way only, or little; and disks without room.

use std::time::{Duration, Instant};

use super::{Chaos, NODES};
use crate::{
    cluster::name_of,
    network::{Flow, Lane, Net},
};

/// How long a way is lost at least: longer than a session, and shorter than a request may take.
const LOST: Duration = Duration::from_secs(6);
/// How long a cable is slow.
const SLOW: Duration = Duration::from_secs(5);
/// How long a disk may take to be missed.
const FULL_MAX: Duration = Duration::from_secs(30);
/// How long the load goes on when all is well again.
const AFTER: Duration = Duration::from_secs(2);
/// What a node says that could write no snapshot.
const NO_SNAPSHOT: &str = "no snapshot: a restart will read more of the log";

/// Little is said to the ensemble: no bucket that lets anything pass is too small for it.
const BUSY_NETS: [(Net, &str); 2] = [(Net::Kafka, "Kafka"), (Net::Peers, "its peers")];
const NETS: [(Net, &str); 3] = [
    (Net::Kafka, "Kafka"),
    (Net::ZooKeeper, "ZooKeeper"),
    (Net::Peers, "its peers"),
];

impl Chaos {
    /// Everything that there is, again and again: 33 faults each time.
    pub async fn everything(&mut self, rounds: usize) {
        for round in 0..rounds {
            self.kills(3).await;
            self.pauses(3).await;
            self.restarts(1).await;
            self.drains(1).await;
            self.servers_restart(1).await;
            self.brokers_pause(1).await;
            self.one_after_another(round).await;
            self.report.progress("everything", round, rounds);
        }
    }

    /// What concerns cables and disks, of another node in each round.
    async fn one_after_another(&mut self, round: usize) {
        self.cut_off_of_each_kind(round).await;
        self.one_way_cut_of_each_kind(round).await;
        self.slow_link_of_each_kind(round).await;
        self.full_disk(round).await;
    }

    /// Lets one node after another be heard by nobody, or hear nobody, so many times each; of the brokers, the ensemble and its peers in turn.
    pub async fn one_way_cuts(&mut self, rounds: usize) {
        for round in 0..rounds {
            self.one_way_cut_of_each_kind(round).await;
            self.report.progress("one-way cuts", round, rounds);
        }
    }

    async fn one_way_cut_of_each_kind(&mut self, round: usize) {
        for (net, name) in NETS {
            for lane in Lane::BOTH {
                let kind = match lane {
                    Lane::Out => format!("not heard by {name}"),
                    Lane::In => format!("hears nothing of {name}"),
                };
                self.throttled(round, &kind, net, &[lane], Flow::Nothing, LOST)
                    .await;
            }
        }
    }

    /// Makes the cables of one node after another slow, so many times.
    pub async fn slow_links(&mut self, rounds: usize) {
        for round in 0..rounds {
            self.slow_link_of_each_kind(round).await;
            self.report.progress("slow links", round, rounds);
        }
    }

    async fn slow_link_of_each_kind(&mut self, round: usize) {
        for (net, name) in BUSY_NETS {
            let kind = format!("slow to {name}");
            self.throttled(round, &kind, net, &Lane::BOTH, Flow::Slow, SLOW)
                .await;
        }
    }

    async fn throttled(
        &mut self,
        round: usize,
        kind: &str,
        net: Net,
        lanes: &[Lane],
        flow: Flow,
        time: Duration,
    ) {
        let node = u8::try_from(round).unwrap_or(0) % NODES;
        let victim = usize::from(node);
        let part = format!("{kind}, {} ({round})", name_of(victim));
        self.balanced(usize::from(NODES)).await;
        let (keys, owned) = (self.keys(), self.owned_by(victim).await);
        let at_victim = [self.cluster.node(victim).client()];
        let at_victim = self.load(&at_victim, &keys);
        let load = self.load_besides(victim, &keys).await;
        let from = Instant::now();
        for lane in lanes {
            self.network().throttle(node, net, *lane, flow);
        }
        tokio::time::sleep(time).await;
        let packets = lanes
            .iter()
            .map(|lane| self.network().free(node, net, *lane));
        let packets: u64 = packets.sum();
        let to = Instant::now();
        tokio::time::sleep(AFTER).await;
        let mut done = load.stop().await;
        let sign = (packets > 0).then(|| format!("{packets} packets were lost or late"));
        self.happened(kind, [from, to], sign, &done, &owned);
        self.check_both(&part, victim, &keys, &mut done, at_victim.stop().await)
            .await;
        self.cluster.ready().await;
    }

    /// Takes all room from the disk of one node after another, so many times: it can keep no snapshot, and goes on.
    pub async fn full_disks(&mut self, rounds: usize) {
        for round in 0..rounds {
            self.full_disk(round).await;
            self.report.progress("full disks", round, rounds);
        }
    }

    async fn full_disk(&mut self, round: usize) {
        let node = u8::try_from(round).unwrap_or(0) % NODES;
        let victim = usize::from(node);
        self.balanced(usize::from(NODES)).await;
        let (keys, owned) = (self.keys(), self.owned_by(victim).await);
        let load = self.load_besides(victim, &keys).await;
        let said = self.cluster.node(victim).output().len();
        let from = Instant::now();
        self.network().fill_disk(node);
        let missed = loop {
            let output = self.cluster.node(victim).output();
            let line = output[said..]
                .lines()
                .find(|line| line.contains(NO_SNAPSHOT));
            if line.is_some() || from.elapsed() > FULL_MAX {
                // Without its time.
                break line.and_then(|line| Some(line[line.find(NO_SNAPSHOT)?..].to_owned()));
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        };
        self.network().free_disk(node);
        let to = Instant::now();
        tokio::time::sleep(AFTER).await;
        let done = load.stop().await;
        self.happened("a full disk", [from, to], missed, &done, &owned);
        let part = format!("a full disk, {} ({round})", name_of(victim));
        self.check(&part, victim, &keys, &done).await;
    }
}

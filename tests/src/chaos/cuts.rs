//! Nodes that are cut off: from everything, or from one of what they need. Silence proves nothing, so only the session tells.

use std::time::{Duration, Instant};

use serde_json::json;

use super::{Chaos, NODES};
use crate::{
    load::{Done, Keys},
    network::Net,
};

/// How long a node stays cut off at least: longer than its session, and shorter than a request may take.
const CUT: Duration = Duration::from_secs(6);
/// How long the load goes on when it is back.
const AFTER: Duration = Duration::from_secs(2);

/// What a node is cut off from.
struct Cut {
    name: &'static str,
    nets: &'static [Net],
    /// Whether clients of other nodes wait no longer for it than for a session to end.
    taken_over: bool,
}

const HOST: Cut = Cut {
    name: "a host that is cut off",
    nets: &Net::ALL,
    taken_over: true,
};

/// Its clients still reach it: what it answers them must be right, while others write.
const MINORITY: Cut = Cut {
    name: "cut off from all but its clients",
    nets: &[Net::Kafka, Net::ZooKeeper, Net::Peers],
    taken_over: true,
};

const PARTS: [Cut; 3] = [
    Cut {
        name: "cut off from ZooKeeper",
        nets: &[Net::ZooKeeper],
        taken_over: true,
    },
    // The ensemble hears of it, so it says itself that it can own nothing.
    Cut {
        name: "cut off from Kafka",
        nets: &[Net::Kafka],
        taken_over: true,
    },
    // It lives, by all that the others know, and its partitions stay with it.
    Cut {
        name: "cut off from its peers",
        nets: &[Net::Peers],
        taken_over: false,
    },
];

impl Chaos {
    /// Cuts one host after another off, so many times; every other time its clients still reach it.
    pub async fn cut_offs(&mut self, rounds: usize) {
        for round in 0..rounds {
            let cut = [HOST, MINORITY];
            self.cut_off(round, &cut[round % cut.len()]).await;
            self.report.progress("cut-offs", round, rounds);
        }
    }

    /// Cuts one node after another off from one of what it needs, so many times each.
    pub async fn partial_cuts(&mut self, rounds: usize) {
        for round in 0..rounds {
            for cut in PARTS {
                self.cut_off(round, &cut).await;
            }
            self.report.progress("partial cuts", round, rounds);
        }
    }

    /// Each cut once, of the node whose turn it is.
    pub(super) async fn cut_off_of_each_kind(&mut self, round: usize) {
        for cut in [HOST, MINORITY].into_iter().chain(PARTS) {
            self.cut_off(round, &cut).await;
        }
    }

    async fn cut_off(&mut self, round: usize, cut: &Cut) {
        let node = u8::try_from(round).unwrap_or(0) % NODES;
        let victim = usize::from(node);
        let part = format!(
            "{}, {} ({round})",
            cut.name,
            crate::cluster::name_of(victim)
        );
        self.balanced(usize::from(NODES)).await;
        let (keys, owned) = (self.keys(), self.owned_by(victim).await);
        let at_victim = if cut.nets.contains(&Net::Clients) {
            None
        } else {
            let client = [self.cluster.node(victim).client()];
            Some(self.load(&client, &keys))
        };
        let load = self.load_besides(victim, &keys).await;
        let probes = self.keys();
        let other = self.cluster.node((victim + 1) % usize::from(NODES));
        let other = other.client();
        let happened = Instant::now();
        self.network().cut(node, cut.nets);
        let sent = self.network().sent(node, cut.nets);
        tokio::time::sleep(CUT).await;
        if cut.taken_over {
            // It is back only when others answer for all that it had.
            for partition in &owned {
                let path = format!("/r/{}", probes[*partition][0]);
                let reply = other.put(&path, &json!({"value": "meanwhile"})).await;
                if reply.status != 201 {
                    self.report.violation(format!("{part}: {reply:?}"));
                }
            }
        }
        // What it sent meanwhile went nowhere.
        let lost = self.network().sent(node, cut.nets) - sent;
        self.network().mend(node, cut.nets);
        let over = Instant::now();
        tokio::time::sleep(AFTER).await;
        let mut done = load.stop().await;
        let sign = (lost > 0).then(|| format!("{lost} packets went nowhere"));
        self.happened(cut.name, [happened, over], sign, &done, &owned);
        if cut.taken_over {
            self.measure(cut.name, &done, happened, &owned);
        }
        let at_victim = if let Some(load) = at_victim {
            load.stop().await
        } else {
            // It was out of reach, and answers again.
            let client = [self.cluster.node(victim).client()];
            let load = self.load(&client, &keys);
            tokio::time::sleep(AFTER).await;
            load.stop().await
        };
        self.check_both(&part, victim, &keys, &mut done, at_victim)
            .await;
        self.report.add(cut.name, 1);
        self.cluster.ready().await;
    }

    /// What clients of the others saw, and those of the node that was cut off, is one history.
    pub(super) async fn check_both(
        &mut self,
        part: &str,
        victim: usize,
        keys: &Keys,
        done: &mut Done,
        at_victim: Done,
    ) {
        for failed in at_victim.failed {
            // They may be told to try again, and nothing else.
            self.report.timeline.failed.push(failed.at);
            if failed.said.starts_with("503 ") {
                self.report.add("503 at a node that is cut off", 1);
            } else {
                self.report
                    .violation(format!("{part}: at it: {}", failed.said));
            }
        }
        done.history.extend(at_victim.history);
        self.check(part, victim, keys, done).await;
    }
}

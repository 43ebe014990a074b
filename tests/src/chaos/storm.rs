//! Storms: nodes of a service with transactions are killed or stopped every few seconds, while clients go on.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use super::{NODES, Report, SESSION, doubts::Doubts};
use crate::{
    Places, Random,
    binaries::binary,
    cluster::{Cluster, Servers, name_of},
    graph, ledger,
};

/// Between two things that happen.
const CALM_MS: u32 = 2000;
/// So long a node is away at most after `kill -9`.
const AWAY_MS: u32 = 1000;
/// So long a node is stopped at most: some times less than its session lasts, and mostly longer.
const STOPPED_MS: u32 = 5000;

/// The row that says how long transactions were in doubt while their homes had owners: see [`Doubts`].
pub const IN_DOUBT: &str = "in doubt while its home had an owner";

/// What happens to nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Harm {
    /// `kill -9` of one node, or of two at once.
    Kill,
    /// One node is stopped for a while (SIGSTOP).
    Stop,
}

/// A cluster of a service that is harmed.
pub(super) struct Storm {
    pub(super) cluster: Cluster,
    pub(super) report: Report,
    /// Where clients reach the nodes.
    pub(super) api: Places,
    /// What its topics begin with.
    pub(super) prefix: String,
    doubts: Doubts,
    random: Random,
}

/// The example `ledger`: each audit sums to the same total, each transfer happens once or not at all. Says how long transactions were in doubt.
pub async fn ledger(servers: &Servers, harm: Harm, time: Duration) -> Report {
    let mut storm = Storm::start(servers, "ledger").await;
    let load = ledger::start(&storm.api, &mut storm.random).await;
    let part = format!("ledger, {harm}");
    let until = Instant::now() + time;
    while Instant::now() < until {
        storm.harm(harm).await;
        let (transfers, audits) = load.so_far();
        storm.tell(format_args!(
            "{part}: {transfers} transfers, {audits} audits"
        ));
    }
    load.has_seen(50, 10).await;
    let mut done = load.stop().await;
    done.check(&storm.api.client(0).await).await;
    storm
        .report
        .add(&format!("{part}: transfers that happened"), done.happened());
    storm.report.waits(
        &format!("{part}: transfers, with their repetitions"),
        done.waits,
    );
    storm.report.waits(&format!("{part}: audits"), done.audits);
    storm.end(&part, done.wrong).await
}

/// The example `graph`: at each moment that is seen, and at the end, components are what the edges make of them.
pub async fn graph(servers: &Servers, harm: Harm, time: Duration) -> Report {
    let mut storm = Storm::start(servers, "graph").await;
    let load = graph::start(&storm.api, &mut storm.random);
    let part = format!("graph, {harm}");
    let until = Instant::now() + time;
    while Instant::now() < until {
        storm.harm(harm).await;
        let (changes, looks) = load.so_far();
        storm.tell(format_args!("{part}: {changes} changes, {looks} looks"));
    }
    load.has_seen(50, 5).await;
    let mut done = load.stop().await;
    done.check(&storm.api.client(0).await).await;
    storm.report.add(
        &format!("{part}: looks that nobody answered"),
        done.unanswered,
    );
    storm.report.waits(
        &format!("{part}: changes, with their repetitions"),
        done.waits,
    );
    storm
        .report
        .waits(&format!("{part}: looks at everything"), done.looks);
    storm.end(&part, done.wrong).await
}

impl std::fmt::Display for Harm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Kill => "kill -9",
            Self::Stop => "SIGSTOP",
        })
    }
}

impl Storm {
    pub(super) async fn start(servers: &Servers, service: &str) -> Self {
        // Each storm has topics of its own.
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let prefix = format!("storm{}-", NUMBER.fetch_add(1, Ordering::Relaxed));
        let program = binary(service);
        let args = [&SESSION[..], &["--topic-prefix", &prefix]].concat();
        let mut cluster = Cluster::new(servers, None, &program, NODES, &args);
        cluster.start().await;
        let nodes = usize::from(NODES);
        let mut storm = Self {
            doubts: Doubts::watch(nodes),
            cluster,
            report: Report::default(),
            api: Places::new(nodes),
            prefix,
            random: Random::new(),
        };
        for node in 0..nodes {
            storm.is_there(node);
        }
        storm
    }

    /// Says how far it is.
    #[allow(clippy::print_stdout, reason = "a long run shows how far it is")]
    pub(super) fn tell(&self, what: std::fmt::Arguments<'_>) {
        println!("{what}, {} in doubt by now", self.doubts.count());
    }

    pub(super) fn is_there(&mut self, node: usize) {
        let running = self.cluster.node(node);
        self.api.set(node, Some(running.client()));
        self.doubts.come(node, running.admin());
    }

    fn below(&mut self, milliseconds: u32) -> Duration {
        Duration::from_millis(u64::from(self.random.below(milliseconds)))
    }

    /// Some time passes, and then it happens, and is over.
    pub(super) async fn harm(&mut self, harm: Harm) {
        tokio::time::sleep(self.below(CALM_MS)).await;
        let first = self.random.below(u32::from(NODES)) as usize;
        match harm {
            Harm::Kill => {
                let second = (first + 1) % usize::from(NODES);
                let two = self.random.below(4) == 0;
                let victims = if two {
                    vec![first, second]
                } else {
                    vec![first]
                };
                for node in &victims {
                    self.api.set(*node, None);
                    self.doubts.go(*node);
                    self.cluster.kill_9(*node);
                    self.report.add("nodes killed", 1);
                }
                tokio::time::sleep(self.below(AWAY_MS)).await;
                for node in &victims {
                    self.cluster.launch(*node);
                }
                self.cluster.ready().await;
                for node in victims {
                    self.is_there(node);
                }
            }
            Harm::Stop => {
                self.cluster.node(first).signal("STOP");
                self.doubts.go(first);
                self.report.add("nodes stopped", 1);
                tokio::time::sleep(self.below(STOPPED_MS)).await;
                self.cluster.node(first).signal("CONT");
                let admin = self.cluster.node(first).admin();
                self.doubts.come(first, admin);
            }
        }
    }

    /// Nothing is in doubt any more, and no node has panicked.
    pub(super) async fn end(mut self, part: &str, wrong: Vec<String>) -> Report {
        for what in wrong {
            self.report.violation(format!("{part}: {what}"));
        }
        self.cluster.ready().await;
        for node in 0..usize::from(NODES) {
            let left = self.doubts.resolved(node).await;
            for what in left {
                let node = name_of(node);
                self.report
                    .violation(format!("{part}: {node} does not resolve {what}"));
            }
        }
        self.report
            .waits(&format!("{part}: {IN_DOUBT}"), self.doubts.longest());
        self.cluster.assert_sound();
        self.report
    }
}

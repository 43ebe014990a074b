//! What is planned: restarts of nodes and servers, nodes that come and go. Nobody sees an error, and nothing moves that need not.

use std::time::{Duration, Instant};

use tokio::process::Command;

use super::{Chaos, NODES, PARTITIONS};
use crate::{binaries::binary, cluster::Outage, load::Done};

/// How long a broker stands still: longer than its session, which takes 3 s, and shorter than a request may take.
const STANDS_STILL: Duration = Duration::from_secs(5);

impl Chaos {
    /// Restarts all nodes, one after another, so many times.
    pub async fn restarts(&mut self, rounds: usize) {
        for round in 0..rounds {
            for node in 0..usize::from(NODES) {
                self.restart("restart", node, false).await;
            }
            self.report.progress("rolling restarts", round, rounds);
        }
    }

    /// The same by `memgen drain NODE` first.
    pub async fn drains(&mut self, rounds: usize) {
        for round in 0..rounds {
            for node in 0..usize::from(NODES) {
                self.restart("drain", node, true).await;
            }
            self.report.progress("drains", round, rounds);
        }
    }

    async fn restart(&mut self, what: &str, node: usize, drain: bool) {
        let part = format!("{what} of {}", crate::cluster::name_of(node));
        self.balanced(usize::from(NODES)).await;
        let keys = self.keys();
        let mut moved = self.owned_by(node).await;
        let load = self.load_besides(node, &keys).await;
        let before = self.before().await;
        let stopped = Instant::now();
        if drain {
            self.drain(node).await;
        }
        self.cluster.stop(node).await;
        self.balanced(usize::from(NODES) - 1).await;
        self.no_more_moves(&part, &before).await;
        let before = self.before().await;
        self.cluster.launch(node);
        self.cluster.ready().await;
        self.balanced(usize::from(NODES)).await;
        self.no_more_moves(&format!("{part}: its return"), &before)
            .await;
        moved.append(&mut self.owned_by(node).await);
        let over = Instant::now();
        let done = load.stop().await;
        let sign = Some("the process was seen to have ended, and another to be ready".to_owned());
        self.happened(what, [stopped, over], sign, &done, &moved);
        self.measure(what, &done, stopped, &moved);
        self.check(&part, node, &keys, &done).await;
        self.report.add(what, 1);
    }

    async fn drain(&mut self, node: usize) {
        let admin = self.cluster.node(node).admin();
        let drained = Command::new(binary("memgen"))
            .args(["drain", &crate::cluster::name_of(node)])
            .args(["--admin", admin.base()])
            .output()
            .await
            .expect("the command is built");
        let said = String::from_utf8_lossy(&drained.stderr);
        assert!(drained.status.success(), "{said}");
        let left = self.owned_by(node).await;
        if !left.is_empty() {
            self.report.violation(format!("drained, but owns {left:?}"));
        }
    }

    /// Nodes leave and come back under load; the plan is balanced again each time.
    pub async fn from_three_nodes_to_one_and_back(&mut self, rounds: usize) {
        for round in 0..rounds {
            let keys = self.keys();
            self.balanced(3).await;
            let client = [self.cluster.node(0).client()];
            let load = self.load(&client, &keys);
            for (node, running) in [(2, 2), (1, 1)] {
                let before = self.before().await;
                self.cluster.stop(node).await;
                self.balanced(running).await;
                self.no_more_moves("a node leaves", &before).await;
            }
            for (node, running) in [(1, 2), (2, 3)] {
                let before = self.before().await;
                self.cluster.launch(node);
                self.cluster.ready().await;
                self.balanced(running).await;
                self.no_more_moves("a node comes", &before).await;
            }
            let done = load.stop().await;
            self.check("nodes from 3 to 1 to 3", 1, &keys, &done).await;
            self.report.add("from 3 nodes to 1 to 3", 1);
            self.report
                .progress("nodes from 3 to 1 to 3", round, rounds);
        }
    }

    /// One broker after another, and then ZooKeeper, are restarted under load.
    pub async fn servers_restart(&mut self, rounds: usize) {
        for round in 0..rounds {
            let keys = self.keys();
            let clients = [self.cluster.node(0).client(), self.cluster.node(1).client()];
            let load = self.load(&clients, &keys);
            let brokers = self.servers.restart_brokers().await;
            let ensemble = self.servers.restart_ensemble().await;
            self.cluster.ready().await;
            tokio::time::sleep(Duration::from_secs(1)).await;
            let done = load.stop().await;
            self.servers_were_away("restart of a broker", brokers, &done);
            self.servers_were_away("restart of ZooKeeper", ensemble, &done);
            self.check("restarts of brokers and ensemble", 1, &keys, &done)
                .await;
            self.report.add("restarts of all brokers and ZooKeeper", 1);
            self.report.progress("restarts of servers", round, rounds);
        }
    }

    /// One broker after another stands still under load, until others lead what it led, and goes on in its own view.
    pub async fn brokers_pause(&mut self, rounds: usize) {
        for round in 0..rounds {
            let keys = self.keys();
            let clients = [self.cluster.node(0).client(), self.cluster.node(1).client()];
            let load = self.load(&clients, &keys);
            let brokers = self.servers.pause_brokers(STANDS_STILL).await;
            tokio::time::sleep(Duration::from_secs(1)).await;
            let done = load.stop().await;
            self.servers_were_away("a broker that stands still", brokers, &done);
            self.check("brokers that stand still", 1, &keys, &done)
                .await;
            self.report.progress("pauses of brokers", round, rounds);
        }
    }

    /// All partitions need any server.
    fn servers_were_away(&mut self, kind: &str, outages: Vec<Outage>, done: &Done) {
        let all = (0..PARTITIONS).collect();
        for Outage { from, to, sign } in outages {
            self.happened(kind, [from, to], sign, done, &all);
        }
    }
}

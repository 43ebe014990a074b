//! Owners that die, and owners that stand still.

use std::time::{Duration, Instant};

use serde_json::json;

use super::{Chaos, NODES};

/// How long a load goes on after an owner was killed.
const AFTER: Duration = Duration::from_millis(2500);

impl Chaos {
    /// `kill -9` of one node after another under load: nothing acknowledged is lost or doubled, and clients at other nodes get answers.
    pub async fn kills(&mut self, rounds: usize) {
        for round in 0..rounds {
            let victim = round % usize::from(NODES);
            let part = format!("kill {round} of {}", crate::cluster::name_of(victim));
            self.balanced(usize::from(NODES)).await;
            let (keys, owned) = (self.keys(), self.owned_by(victim).await);
            let load = self.load_besides(victim, &keys).await;
            let killed = Instant::now();
            self.cluster.kill_9(victim);
            tokio::time::sleep(AFTER).await;
            let done = load.stop().await;
            let sign = Some("the process was seen to have ended".to_owned());
            self.happened("kill -9", [killed, killed + AFTER], sign, &done, &owned);
            self.measure("kill -9", &done, killed, &owned);
            self.check(&part, victim, &keys, &done).await;
            self.report.add("kill -9", 1);
            self.cluster.launch(victim);
            self.cluster.ready().await;
            self.report.progress("kills", round, rounds);
        }
    }

    /// An owner that is stopped beyond its session, while others write: when it goes on, it answers nothing that is not so any more.
    pub async fn pauses(&mut self, rounds: usize) {
        for round in 0..rounds {
            let paused = round % usize::from(NODES);
            let part = format!("pause {round} of {}", crate::cluster::name_of(paused));
            self.balanced(usize::from(NODES)).await;
            let keys = self.keys();
            let owned = self.owned_by(paused).await;
            let ours = self.keys();
            let old = self.cluster.node(paused).client();
            let other = self
                .cluster
                .node((paused + 1) % usize::from(NODES))
                .client();
            let paths: Vec<(String, String)> = owned
                .iter()
                .map(|partition| {
                    let keys = &ours[*partition];
                    (format!("/r/{}", keys[0]), format!("/r/{}/add", keys[1]))
                })
                .collect();
            for (path, _) in &paths {
                let reply = old.put(path, &json!({"value": "before"})).await;
                assert!(reply.status < 300, "{reply:?}");
            }
            let load = self.load_besides(paused, &keys).await;
            let stopped = Instant::now();
            self.cluster.node(paused).signal("STOP");
            for (path, _) in &paths {
                // It waits until somebody else owns the key.
                let reply = other.put(path, &json!({"value": "after"})).await;
                if reply.status != 200 {
                    self.report.violation(format!("{part}: {reply:?}"));
                }
            }
            let state = self.cluster.node(paused).state();
            self.cluster.node(paused).signal("CONT");
            let over = Instant::now();
            for (path, add) in &paths {
                let added = json!({"by": 1});
                let (read, written) = tokio::join!(old.get(path), old.post(add, &added));
                if read.status != 200 || read.json()["value"] != "after" {
                    self.report
                        .violation(format!("{part}: a stale read: {read:?}"));
                }
                if written.status != 200 || written.json()["value"] != 1 {
                    self.report.violation(format!("{part}: {written:?}"));
                }
                self.report
                    .add("reads and writes at a node that was paused", 2);
            }
            let done = load.stop().await;
            let kind = "paused beyond its session";
            let sign = (state == 'T').then(|| "the process was seen to be stopped".to_owned());
            self.happened(kind, [stopped, over], sign, &done, &owned);
            self.measure(kind, &done, stopped, &owned);
            self.check(&part, paused, &keys, &done).await;
            self.report.add("pauses", 1);
            self.cluster.ready().await;
            self.report.progress("pauses", round, rounds);
        }
    }
}

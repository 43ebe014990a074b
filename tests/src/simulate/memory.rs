//! Whether nodes without memory take more in, and whether all know what they hold.

use std::{collections::BTreeMap, time::Duration};

use memgen::testing::Cluster;
use serde_json::Value;
use tokio::time::Instant;

use super::{
    client::{Did, Told},
    plan::Harm,
};

/// So long after whatever happened all nodes know what they may take in: they look ten times in a second.
const KNOWN_AFTER: Duration = Duration::from_secs(1);
/// For so long what is deleted makes no room in a machine that has none left.
const CROWDED_FOR: Duration = Duration::from_secs(20);

/// When what happened, in order.
#[derive(Debug, Default)]
pub(super) struct Harmed(Vec<(Instant, Harm)>);

impl Harmed {
    pub(super) fn note(&mut self, harm: Harm) {
        self.0.push((Instant::now(), harm));
    }

    /// Whether no node had memory while something was done, and each had known that since before.
    fn nobody_has_memory(&self, did: &Did) -> bool {
        let is_before = |at: &Instant| *at < did.ended;
        let before: Vec<_> = self.0.iter().filter(|(at, _)| is_before(at)).collect();
        let has_settled = before
            .last()
            .is_some_and(|(last, _)| *last + KNOWN_AFTER <= did.began);
        let of_memory = before
            .iter()
            .rev()
            .take_while(|(_, harm)| !matches!(harm, Harm::Heal));
        let first = of_memory
            .filter(|(_, harm)| matches!(harm, Harm::NoMemory(None)))
            .last();
        has_settled && first.is_some_and(|(since, _)| did.ended < *since + CROWDED_FOR)
    }

    /// While no node has memory, nothing more goes in: all that clients append.
    pub(super) fn check(&self, dids: &[Did]) -> Result<(), String> {
        let appended = dids.iter().filter(|did| did.item.is_some());
        let mut taken = appended.filter(|did| matches!(did.told, Told::Seen(_)));
        match taken.find(|did| self.nobody_has_memory(did)) {
            None => Ok(()),
            Some(did) => Err(format!(
                "no node had memory left, and this went in: {did:?}"
            )),
        }
    }
}

/// Copies of a partition at the same position know that they hold the same: its digest, how many entities there are, and what they add up to in bytes.
pub(super) async fn copies_agree(cluster: &Cluster, nodes: usize) -> Result<(), String> {
    let mut copies: BTreeMap<(String, u64), (usize, String)> = BTreeMap::new();
    for node in 0..nodes {
        let status: Value = cluster.node(node).admin("/status").await.json();
        for partition in status["partitions"].as_array().into_iter().flatten() {
            if partition["phase"] == "elsewhere" {
                continue;
            }
            let name = format!("{}/{}", partition["topic"], partition["partition"]);
            let position = partition["position"].as_u64().unwrap_or_default();
            let holds = format!(
                "{} with {} entities of {} bytes",
                partition["digest"], partition["keys"], partition["bytes"]
            );
            let first = copies
                .entry((name.clone(), position))
                .or_insert_with(|| (node, holds.clone()));
            if first.1 != holds {
                return Err(format!(
                    "{name} at {position} is {} at node {}, and {holds} at node {node}",
                    first.1, first.0
                ));
            }
        }
    }
    Ok(())
}

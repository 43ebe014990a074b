//! What happens to nodes, done.

use std::time::Duration;

use memgen::testing::{Cluster, World};
use tokio::{task::JoinHandle, time::sleep};

use super::plan::{Disk, Harm};

/// Acknowledgements that are lost where many are, and how long after each the next one is.
const ACKS_LOST: usize = 10;
const BETWEEN_ACKS_LOST: Duration = Duration::from_millis(50);

/// What takes its time is a task.
pub(super) fn inflict(world: &World, cluster: &Cluster, harm: Harm) -> Option<JoinHandle<()>> {
    match harm {
        Harm::Crash(node) => cluster.crash(node),
        Harm::Restart { node, disk } => {
            if !cluster.is_running(node) {
                match disk {
                    Disk::Whole => {}
                    Disk::Damaged => cluster.damage_snapshots(node),
                    Disk::Lost => cluster.lose_snapshots(node),
                }
                cluster.restart(node);
            }
        }
        Harm::Stop(node) => {
            let cluster = cluster.clone();
            return Some(world.spawn(async move { cluster.stop(node).await }));
        }
        Harm::Drain(node) => {
            let asked = cluster.node(node).drain().try_send();
            drop(world.spawn(async move { drop(asked.await) }));
        }
        Harm::Pause(node) => cluster.pause(node),
        Harm::Partition(one, other) => cluster.partition(one, other),
        Harm::Cut(from, to) => cluster.cut(from, to),
        Harm::Break(one, other) => cluster.break_connections(one, other),
        Harm::NoLog(node) => cluster.cut_off_from_log(node, true),
        Harm::NoCoordinator(node) => cluster.cut_off_from_coordinator(node, true),
        Harm::Expire(node) => cluster.expire_session(node),
        Harm::Full => world.log().set_full(true),
        Harm::Room => world.log().set_full(false),
        Harm::LoseAck => world.log().lose_next_acknowledgement(),
        Harm::LoseAcks => {
            let log = world.log().clone();
            return Some(world.spawn(async move {
                for _ in 0..ACKS_LOST {
                    log.lose_next_acknowledgement();
                    sleep(BETWEEN_ACKS_LOST).await;
                }
            }));
        }
        Harm::FailAppend => world.log().fail_next_append(),
        Harm::FullDisk(node) => cluster.fill_disk(node, true),
        Harm::NoMemory(node) => {
            let nodes = node.map_or(0..cluster.size(), |node| node..node + 1);
            for node in nodes {
                cluster.fill_memory(node, true);
            }
        }
        Harm::Clock {
            node,
            rate,
            ahead_ms,
        } => cluster.set_clock(node, rate, ahead_ms),
        Harm::Coordinator { rate } => cluster.set_coordinator_rate(rate),
        Harm::Heal => cluster.heal(),
    }
    None
}

//! What goes wrong in a machine of a simulation, and with its coordinator: disks, memory, clocks, sessions; and a node that is drained.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    log::TopicPartition,
    prelude::*,
    testing::{Cluster, SESSION_TIMEOUT, Simulation, World},
};

/// A number under a name.
#[stateful_api(path = "/numbers", partitions = 2, crud(get, put))]
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
struct Number {
    #[key]
    name: String,
    value: u64,
}

fn service() -> crate::Service {
    crate::service!(Number)
}

async fn put(cluster: &Cluster, node: usize, value: u64) {
    let number = Number {
        name: "a".to_owned(),
        value,
    };
    let put = cluster.node(node).put("/numbers/a").json(&number);
    let reply = put.once(format!("put {value}")).await;
    assert!(matches!(reply.status(), 200 | 201), "{}", reply.text());
}

async fn get(cluster: &Cluster, node: usize) -> u64 {
    let reply = cluster.node(node).get("/numbers/a").await.expect(200);
    reply.json::<Number>().value
}

/// A counter, over all partitions.
async fn counted(cluster: &Cluster, node: usize, name: &str) -> u64 {
    let metrics = cluster.node(node).admin("/metrics").await.expect(200);
    let metrics = metrics.text();
    let lines = metrics.lines().filter(|line| line.starts_with(name));
    let values = lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok());
    values.sum()
}

async fn owned(cluster: &Cluster, node: usize) -> usize {
    let status: Value = cluster.node(node).admin("/status").await.expect(200).json();
    let partitions = status["partitions"].as_array().unwrap();
    let me = node.to_string();
    let mine = partitions.iter().filter(|it| it["owner"] == me.as_str());
    mine.count()
}

/// Which node owns the partition of `a`.
async fn owner(cluster: &Cluster) -> usize {
    let status: Value = cluster.node(0).admin("/status").await.expect(200).json();
    let partition = crate::partitioner::partition(b"a", 2) as usize;
    let owner = status["partitions"][partition]["owner"].as_str();
    owner.unwrap().parse().unwrap()
}

/// Nodes that keep a number, and which of them does.
async fn kept(world: &World, nodes: usize) -> (Cluster, usize) {
    let cluster = world.cluster(service, nodes).await;
    put(&cluster, 0, 1).await;
    let owner = owner(&cluster).await;
    (cluster, owner)
}

#[test]
fn a_snapshot_that_is_damaged_is_not_used() {
    let mut discarded = 0;
    for seed in 0..8 {
        discarded += Simulation::new(seed).run(async |world| {
            let cluster = world.cluster_with(service, 1, |config| config.snapshot_records = 2);
            cluster.ready().await;
            for value in 1..=20 {
                put(&cluster, 0, value).await;
            }
            world.advance(Duration::from_secs(2)).await;
            cluster.crash(0);
            cluster.damage_snapshots(0);
            cluster.restart(0);
            cluster.ready().await;
            assert_eq!(get(&cluster, 0).await, 20, "seed {seed}");
            counted(&cluster, 0, "memgen_snapshots_discarded_total").await
        });
    }
    assert!(discarded > 0, "some were damaged");
}

#[test]
fn a_full_disk_costs_snapshots_and_nothing_else() {
    Simulation::new(1).run(async |world| {
        let cluster = world.cluster_with(service, 1, |config| config.snapshot_records = 2);
        cluster.ready().await;
        cluster.fill_disk(0, true);
        for value in 1..=20 {
            put(&cluster, 0, value).await;
        }
        world.advance(Duration::from_secs(2)).await;
        assert_eq!(counted(&cluster, 0, "memgen_snapshots_total").await, 0);
        cluster.heal();
        for value in 21..=40 {
            put(&cluster, 0, value).await;
        }
        world.advance(Duration::from_secs(120)).await;
        assert!(counted(&cluster, 0, "memgen_snapshots_total").await > 0);
        assert_eq!(get(&cluster, 0).await, 40);
    });
}

/// The owner itself, or the other node, which follows the partition.
#[test]
fn a_machine_without_memory_takes_nothing_more() {
    for is_owner in [true, false] {
        Simulation::new(6).run(async |world| {
            let (cluster, owner) = kept(&world, 2).await;
            put(&cluster, 0, 100).await;
            let full = if is_owner { owner } else { 1 - owner };
            cluster.fill_memory(full, true);
            world.advance(Duration::from_secs(1)).await;
            let larger = |node| {
                let number = json!({ "name": "a", "value": 1000 });
                cluster.node(node).put("/numbers/a").json(&number)
            };
            for node in 0..2 {
                let refused = larger(node).await.expect(507).text();
                assert!(refused.contains("no memory left"), "{refused}");
            }
            // What needs no more goes in, and all can be read.
            put(&cluster, 1, 42).await;
            assert_eq!(get(&cluster, 0).await, 42);
            cluster.fill_memory(full, false);
            world.advance(Duration::from_secs(1)).await;
            larger(0).await.expect(200);
            assert_eq!(get(&cluster, 1).await, 1000);
        });
    }
}

#[test]
fn each_machine_has_clocks_of_its_own() {
    Simulation::new(2).run(async |world| {
        let (cluster, owner) = kept(&world, 2).await;
        let partition = crate::partitioner::partition(b"a", 2);
        let partition = TopicPartition::new("number", partition);
        let written_at = || {
            let history = world.log().history(&partition);
            history.last().unwrap().1.timestamp_ms
        };
        let first = written_at();
        cluster.set_clock(1 - owner, 0.5, -1_000_000);
        world.advance(Duration::from_secs(10)).await;
        put(&cluster, 0, 2).await;
        let (second, between) = (written_at(), 10_000);
        assert!(
            (between..between + 100).contains(&(second - first)),
            "it is the other one's"
        );
        // Twice as fast, and an hour ahead.
        cluster.set_clock(owner, 2.0, 3_600_000);
        world.advance(Duration::from_secs(10)).await;
        put(&cluster, 1, 3).await;
        let (third, between) = (written_at(), 3_620_000);
        assert!(
            (between..between + 100).contains(&(third - second)),
            "{}",
            third - second
        );
        assert_eq!(get(&cluster, 1).await, 3);
    });
}

#[test]
fn a_coordinator_whose_clock_is_fast_ends_sessions_early() {
    Simulation::new(3).run(async |world| {
        let (cluster, owner) = kept(&world, 2).await;
        cluster.set_coordinator_rate(1.3);
        cluster.pause(owner);
        world.advance(SESSION_TIMEOUT.mul_f64(0.85)).await;
        assert_eq!(owned(&cluster, 1 - owner).await, 2);
        put(&cluster, 1 - owner, 2).await;
        cluster.resume(owner);
        assert_eq!(get(&cluster, owner).await, 2, "its lease was over before");
    });
}

/// Others would have its locks, and it would not know. Later it does: then all that changes is shown at once, its own return among it, and it has to contend without another sign.
#[test]
fn a_session_does_not_end_before_its_time_where_its_node_does_not_hear_of_it() {
    Simulation::new(4).run(async |world| {
        let (cluster, owner) = kept(&world, 2).await;
        cluster.cut_off_from_coordinator(owner, true);
        cluster.expire_session(owner);
        world.advance(SESSION_TIMEOUT / 4).await;
        assert_eq!(get(&cluster, owner).await, 1);
        assert_eq!(owned(&cluster, owner).await, 1);
        cluster.heal();
        cluster.expire_session(owner);
        put(&cluster, 1 - owner, 2).await;
        assert_eq!(get(&cluster, owner).await, 2);
    });
}

#[test]
fn a_node_that_is_drained_owns_nothing_and_passes_on() {
    Simulation::new(5).run(async |world| {
        let (cluster, drained) = kept(&world, 3).await;
        assert_eq!(counted(&cluster, drained, "memgen_keys").await, 1);
        cluster.node(drained).drain().await.expect(202);
        world.advance(Duration::from_secs(2)).await;
        assert_eq!(owned(&cluster, drained).await, 0);
        // Its successor shows what it has.
        assert_eq!(counted(&cluster, drained, "memgen_keys").await, 0);
        put(&cluster, drained, 2).await;
        assert_eq!(get(&cluster, drained).await, 2);
        cluster.crash(drained);
        cluster.restart(drained);
        cluster.ready().await;
        assert_eq!(get(&cluster, drained).await, 2);
    });
}

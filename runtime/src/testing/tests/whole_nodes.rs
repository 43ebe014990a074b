//! Whole nodes in a simulation: what a user's test of a service looks like, and that a seed says all.

use std::time::Duration;

use serde_json::Value;

use crate::{
    prelude::*,
    testing::{Cluster, Faults, Simulation, World},
};

/// A list under a name.
#[stateful_api(path = "/lists", partitions = 2, crud(get, list, put, delete))]
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
struct Listed {
    #[key]
    name: String,
    items: Vec<u64>,
}

#[handlers]
impl Listed {
    /// Appends to a list, and makes it if it is not there.
    #[post("/{name}/items")]
    fn append(entry: &mut Entry<Self>, name: String, item: Json<u64>) -> Json<Listed> {
        let listed = entry.or_insert_with(|| Listed {
            name,
            items: Vec::new(),
        });
        listed.items.push(item.0);
        Json(listed.clone())
    }
}

/// The items of a list, as a transaction sees them.
#[handler(post, "/looks/{name}")]
async fn look(tx: &Tx, name: String) -> Result<Json<Vec<u64>>> {
    let listed = tx.get::<Listed>(&name).await?;
    Ok(Json(listed.map(|listed| listed.items).unwrap_or_default()))
}

fn service() -> crate::Service {
    crate::service!(Listed, look)
}

async fn append(cluster: &Cluster, node: usize, name: &str, item: u64) -> Vec<u64> {
    let path = format!("/lists/{name}/items");
    let request = cluster.node(node).post(&path).once(format!("{name}{item}"));
    let reply = request.json(&item).await.expect(200);
    items(&reply.json())
}

fn items(listed: &Value) -> Vec<u64> {
    serde_json::from_value(listed["items"].clone()).unwrap()
}

async fn read(cluster: &Cluster, node: usize, name: &str) -> Vec<u64> {
    let reply = cluster.node(node).get(&format!("/lists/{name}")).await;
    items(&reply.expect(200).json())
}

#[test]
fn one_node_keeps_what_it_acknowledged() {
    Simulation::new(1).run(async |world| {
        let cluster = world.cluster(service, 1).await;
        assert_eq!(append(&cluster, 0, "a", 1).await, [1]);
        cluster.crash(0);
        let gone = cluster.node(0).get("/lists/a").try_send().await;
        assert!(!gone.unwrap_err().was_sent(), "nobody is there");
        cluster.restart(0);
        cluster.ready().await;
        assert_eq!(append(&cluster, 0, "a", 2).await, [1, 2]);
        assert_eq!(append(&cluster, 0, "a", 2).await, [1, 2], "once");
    });
}

#[test]
fn any_node_answers_for_any_key() {
    Simulation::new(2).run(async |world| {
        let cluster = world.cluster(service, 3).await;
        for (node, item) in [0, 1, 2, 0].into_iter().zip(1..) {
            append(&cluster, node, "a", item).await;
            append(&cluster, node, "b", item).await;
        }
        for node in 0..3 {
            assert_eq!(read(&cluster, node, "a").await, [1, 2, 3, 4]);
        }
        let owners = owners(&cluster, 0).await;
        assert!(
            owners.iter().all(Option::is_some) && owners[0] != owners[1],
            "two partitions are at two nodes: {owners:?}"
        );
    });
}

/// Who owns each partition, as a node sees it.
async fn owners(cluster: &Cluster, node: usize) -> Vec<Option<String>> {
    let status: Value = cluster.node(node).admin("/status").await.expect(200).json();
    let partitions = status["partitions"].as_array().unwrap();
    let owner = |partition: &Value| partition["owner"].as_str().map(str::to_owned);
    partitions.iter().map(owner).collect()
}

#[test]
fn another_node_takes_over_at_once_from_one_that_died() {
    Simulation::new(3).run(async |world| {
        let cluster = world.cluster(service, 3).await;
        append(&cluster, 1, "a", 1).await;
        let owner: usize = owner_of_a(&cluster).await;
        let other = (owner + 1) % 3;
        cluster.crash(owner);
        let before = world.elapsed();
        assert_eq!(append(&cluster, other, "a", 2).await, [1, 2]);
        let took = world.elapsed().saturating_sub(before);
        assert!(
            took < Duration::from_secs(1),
            "there is proof of its death, so its session is not waited for: {took:?}"
        );
    });
}

/// The node that owns the partition of `a`.
async fn owner_of_a(cluster: &Cluster) -> usize {
    let owners = owners(cluster, 0).await;
    let partition = crate::partitioner::partition(b"a", 2);
    let owner = owners[partition as usize].clone().unwrap();
    owner.parse().unwrap()
}

#[test]
fn a_paused_owner_is_waited_for_until_its_session_ends() {
    Simulation::new(4).run(async |world| {
        let cluster = world.cluster(service, 3).await;
        append(&cluster, 0, "a", 1).await;
        let owner = owner_of_a(&cluster).await;
        let other = (owner + 1) % 3;
        cluster.pause(owner);
        let before = world.elapsed();
        assert_eq!(append(&cluster, other, "a", 2).await, [1, 2]);
        let took = world.elapsed().saturating_sub(before);
        assert!(
            took > Duration::from_secs(1),
            "silence proves nothing: {took:?}"
        );
        cluster.resume(owner);
        cluster.ready().await;
        assert_eq!(append(&cluster, owner, "a", 3).await, [1, 2, 3]);
    });
}

#[test]
fn nodes_that_do_not_reach_each_other_serve_again_when_they_do() {
    Simulation::new(5).run(async |world| {
        let cluster = world.cluster(service, 2).await;
        let owner = owner_of_a(&cluster).await;
        let other = 1 - owner;
        cluster.partition(0, 1);
        assert_eq!(append(&cluster, owner, "a", 1).await, [1]);
        let far = world.spawn({
            let cluster = cluster.clone();
            async move { append(&cluster, other, "a", 2).await }
        });
        world.advance(Duration::from_secs(5)).await;
        assert!(!far.is_finished(), "it can't be passed on");
        cluster.heal();
        assert_eq!(far.await.unwrap(), [1, 2]);
    });
}

/// As long as a node takes them of its clients, by whatever way they go to the other one.
#[test]
fn long_heads_and_long_bodies_reach_the_owner() {
    Simulation::new(17).run(async |world| {
        let cluster = world.cluster(service, 2).await;
        let long = "v".repeat(60_000);
        for (name, length) in [("a", 1), ("b", 1), ("c", 40_000), ("d", 40_000)] {
            let items: Vec<u64> = (0..length).collect();
            for node in [0, 1] {
                let listed = Listed {
                    name: name.to_owned(),
                    items: items.clone(),
                };
                let put = cluster.node(node).put(&format!("/lists/{name}"));
                let put = put.header("x-long", &long).json(&listed);
                let status = put.await.status();
                assert!([200, 201].contains(&status), "{status} {name} {node}");
                let get = cluster.node(node).get(&format!("/lists/{name}"));
                let reply = get.header("x-long", &long).await.expect(200);
                assert_eq!(self::items(&reply.json()), items);
            }
        }
    });
}

#[test]
fn what_landed_unseen_is_not_done_again() {
    Simulation::new(6).run(async |world| {
        let cluster = world.cluster(service, 2).await;
        append(&cluster, 0, "a", 1).await;
        cluster.log().lose_next_acknowledgement();
        assert_eq!(append(&cluster, 0, "a", 2).await, [1, 2]);
        cluster.log().fail_next_append();
        assert_eq!(append(&cluster, 1, "a", 3).await, [1, 2, 3]);
    });
}

#[test]
fn a_full_log_refuses_and_recovers() {
    Simulation::new(7).run(async |world| {
        let cluster = world.cluster(service, 1).await;
        append(&cluster, 0, "a", 1).await;
        cluster.log().set_full(true);
        let post = cluster.node(0).post("/lists/a/items").json(&2);
        post.await.expect(507);
        assert_eq!(read(&cluster, 0, "a").await, [1]);
        cluster.log().set_full(false);
        cluster.ready().await;
        assert_eq!(append(&cluster, 0, "a", 3).await, [1, 3]);
    });
}

#[test]
fn a_node_that_stops_hands_its_partitions_over() {
    Simulation::new(8).run(async |world| {
        let cluster = world.cluster(service, 3).await;
        append(&cluster, 0, "a", 1).await;
        let owner = owner_of_a(&cluster).await;
        cluster.stop(owner).await;
        assert!(!cluster.is_running(owner));
        let other = (owner + 1) % 3;
        assert_eq!(append(&cluster, other, "a", 2).await, [1, 2]);
        cluster.restart(owner);
        cluster.ready().await;
        assert_eq!(read(&cluster, owner, "a").await, [1, 2]);
    });
}

#[test]
fn a_node_that_is_cut_off_from_the_log_gives_its_partitions_away() {
    Simulation::new(9).run(async |world| {
        let cluster = world.cluster(service, 3).await;
        append(&cluster, 0, "a", 1).await;
        let owner = owner_of_a(&cluster).await;
        cluster.cut_off_from_log(owner, true);
        assert_eq!(append(&cluster, owner, "a", 2).await, [1, 2]);
        assert_ne!(owner_of_a(&cluster).await, owner);
        cluster.heal();
        cluster.ready().await;
    });
}

/// Who has the lock, and can't take over since it does not reach the log, has the memory of a standby that is behind.
#[test]
fn who_has_yet_to_take_over_shows_nothing() {
    Simulation::new(12).run(async |world| {
        let cluster = world.cluster_with(service, 3, |config| config.replicas = 2);
        cluster.ready().await;
        append(&cluster, 0, "a", 1).await;
        let owner = owner_of_a(&cluster).await;
        let others = [(owner + 1) % 3, (owner + 2) % 3];
        for other in others {
            cluster.cut_off_from_log(other, true);
        }
        assert_eq!(append(&cluster, owner, "a", 2).await, [1, 2]);
        cluster.crash(owner);
        world.advance(Duration::from_millis(300)).await;
        let looks = others.map(|node| {
            let look = cluster.node(node).post("/looks/a").try_send();
            world.spawn(look)
        });
        world.advance(Duration::from_secs(2)).await;
        cluster.heal();
        for look in looks {
            let seen = look.await.unwrap().unwrap();
            if seen.status() == 200 {
                assert_eq!(seen.json::<Vec<u64>>(), [1, 2]);
            }
        }
        let look = cluster.node(others[0]).post("/looks/a").await;
        assert_eq!(look.expect(200).json::<Vec<u64>>(), [1, 2]);
    });
}

#[test]
fn a_session_that_ends_costs_no_write() {
    Simulation::new(10).run(async |world| {
        let cluster = world.cluster(service, 3).await;
        append(&cluster, 0, "a", 1).await;
        let owner = owner_of_a(&cluster).await;
        cluster.expire_session(owner);
        assert_eq!(append(&cluster, owner, "a", 2).await, [1, 2]);
        cluster.cut_off_from_coordinator(owner, true);
        assert_eq!(append(&cluster, (owner + 1) % 3, "a", 3).await, [1, 2, 3]);
        world.advance(Duration::from_secs(10)).await;
        cluster.heal();
        cluster.ready().await;
        assert_eq!(read(&cluster, owner, "a").await, [1, 2, 3]);
    });
}

#[test]
fn snapshots_survive_a_crash_and_can_be_lost() {
    Simulation::new(11).run(async |world| {
        let cluster = world.cluster_with(service, 1, |config| config.snapshot_records = 10);
        cluster.ready().await;
        for item in 1..=40 {
            append(&cluster, 0, "a", item).await;
        }
        world.advance(Duration::from_secs(2)).await;
        cluster.crash(0);
        cluster.restart(0);
        cluster.ready().await;
        let metrics = cluster.node(0).admin("/metrics").await.expect(200).text();
        let loaded = |metrics: &str| {
            let mut lines = metrics.lines();
            lines.any(|line| {
                line.starts_with("memgen_snapshots_loaded_total") && !line.ends_with(" 0")
            })
        };
        assert!(loaded(&metrics), "{metrics}");
        cluster.crash(0);
        cluster.lose_snapshots(0);
        cluster.restart(0);
        cluster.ready().await;
        let metrics = cluster.node(0).admin("/metrics").await.expect(200).text();
        assert!(!loaded(&metrics));
        assert_eq!(read(&cluster, 0, "a").await.len(), 40);
    });
}

/// A history with some of everything.
async fn history(world: World) -> (u64, Vec<Vec<u64>>) {
    let cluster = world.cluster(service, 3).await;
    let mut clients = Vec::new();
    for client in 0..4_u64 {
        let (cluster, mut random) = (cluster.clone(), world.random());
        clients.push(world.spawn(async move {
            for step in 0..20 {
                let (node, name) = (random.usize(..3), ["a", "b", "c"][random.usize(..3)]);
                let item = client * 1000 + step;
                let path = format!("/lists/{name}/items");
                let request = cluster.node(node).post(&path).once(format!("i{item}"));
                let sent = request.json(&item).try_send();
                drop(tokio::time::timeout(Duration::from_secs(3), sent).await);
            }
        }));
    }
    world.advance(Duration::from_millis(30)).await;
    cluster.crash(1);
    world.advance(Duration::from_millis(30)).await;
    cluster.pause(0);
    world.advance(Duration::from_secs(4)).await;
    cluster.heal();
    cluster.restart(1);
    for client in clients {
        client.await.unwrap();
    }
    world.log().set_faults(Faults::none());
    cluster.ready().await;
    let mut seen = Vec::new();
    for name in ["a", "b", "c"] {
        seen.push(read(&cluster, 2, name).await);
    }
    (world.trace_hash(), seen)
}

#[test]
fn a_seed_says_all() {
    let run = |seed| Simulation::new(seed).faults(Faults::some()).run(history);
    let mut hashes = std::collections::BTreeSet::new();
    for seed in 0..5 {
        let (first, again) = (run(seed), run(seed));
        assert_eq!(first, again, "seed {seed}");
        assert!(!first.1.iter().flatten().collect::<Vec<_>>().is_empty());
        hashes.insert(first.0);
    }
    assert_eq!(hashes.len(), 5, "another seed is another history");
}

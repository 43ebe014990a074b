//! Several nodes with real Kafka and ZooKeeper: takeovers, handovers, pauses; what was acknowledged, what clients elsewhere see.
//!
//! `MEMGEN_CLUSTER_ROUNDS` says how often each thing is done: 5 by default, more for the figures in BENCHMARKS.md.

use std::{collections::BTreeMap, env, process::Command, time::Duration};

use memgen_tests::{
    Client, Random, Running,
    binaries::binary,
    browser::Browser,
    cluster::{Cluster, Done, Load, Servers, lists},
};
use rdkafka::{
    ClientConfig,
    consumer::{BaseConsumer, Consumer as _},
    metadata::MetadataTopic,
};
use serde_json::json;

const NODES: usize = 3;
const PARTITIONS: usize = 8;
/// Sessions of two seconds, with ticks of half a second.
const SESSION: [&str; 2] = ["--session-timeout-ms", "2000"];

fn rounds() -> usize {
    env::var("MEMGEN_CLUSTER_ROUNDS")
        .map_or(5, |rounds| rounds.parse().expect("a number of rounds"))
}

/// Keys of their own for each part, so that no list becomes long.
fn keys(part: &str) -> Vec<String> {
    (0..24).map(|number| format!("{part}-{number}")).collect()
}

/// Everything, one after another: the servers are started once, and what one part leaves behind is what the next one meets.
#[tokio::test(flavor = "multi_thread")]
async fn a_cluster() {
    let mut servers = Servers::start(3, 1);
    let mut random = Random::new();
    let mut cluster = Cluster::new(&servers, &binary("register"), NODES, &SESSION);
    cluster.start().await;

    nodes_are_one_service(&mut cluster).await;
    owners_that_are_killed(&mut cluster, &mut random).await;
    nodes_that_are_restarted(&mut cluster, &mut random).await;
    an_owner_that_is_paused(&mut cluster).await;
    from_three_nodes_to_one_and_back(&mut cluster, &mut random).await;
    servers_that_are_restarted(&mut servers, &mut cluster, &mut random).await;
    all_have_the_same(&mut cluster).await;
    a_page_shows_it(&mut cluster).await;
    cluster.assert_sound();
}

/// `/cluster` of one node, in a browser: nodes, owners, standbys and takeovers, as they change.
async fn a_page_shows_it(cluster: &mut Cluster) {
    balanced(cluster, NODES).await;
    let browser = Browser::start().await;
    let page = format!("{}/cluster", cluster.node(0).admin().base());
    browser.open(&page).await;
    let states = browser
        .wait_for("#nodes tbody td:nth-child(2)", |states| {
            states.len() == NODES
        })
        .await;
    assert_eq!(states, ["ready"; NODES]);
    let owners = cluster.owners(0, "register").await;
    let owners: Vec<String> = owners.into_iter().flatten().collect();
    assert_eq!(browser.texts(OWNERS).await, owners);
    let first = browser.texts("#partitions tbody tr:first-child td").await;
    assert_eq!(first[..2], ["register/0", "serving"]);
    assert!(
        first[3].ends_with(" ms)"),
        "a standby, and its lag: {first:?}"
    );
    let epochs = browser.texts(EPOCHS).await;

    // What the last node had goes to the others, and the page tells.
    let gone = format!("n{NODES}");
    cluster.kill_9(NODES - 1);
    let owners = browser
        .wait_for(OWNERS, |owners| {
            owners.len() == PARTITIONS
                && !owners.contains(&gone)
                && !owners.contains(&String::new())
        })
        .await;
    let serving = |states: &[String]| states.iter().all(|state| state == "serving");
    browser
        .wait_for("#partitions tbody td:nth-child(2)", serving)
        .await;
    let later = browser.texts(EPOCHS).await;
    assert!(epochs != later, "{epochs:?}, {later:?}");
    let standbys = browser.texts("#partitions tbody td:nth-child(4)").await;
    for (owner, standbys) in owners.iter().zip(&standbys) {
        assert!(!standbys.contains(&gone), "{standbys} is no more");
        assert!(!standbys.contains(owner), "{owner} does not follow itself");
    }
    let last = browser.texts("#takeovers tbody tr:first-child td").await;
    assert!(owners.contains(&last[1]), "{last:?}");
    assert!(last[3].ends_with(" s ago"), "{last:?}");
    browser
        .wait_for("#nodes tbody td:first-child", |nodes| {
            nodes.len() == NODES - 1
        })
        .await;
    assert_eq!(browser.complaints().await, [""; 0]);
    if let Ok(file) = env::var("MEMGEN_SCREENSHOT") {
        std::fs::write(file, browser.screenshot().await).expect("a file that can be written");
    }

    cluster.launch(NODES - 1);
    cluster.ready().await;
}

/// Where the page has the owner of each partition, and its epoch.
const OWNERS: &str = "#partitions tbody td:nth-child(3)";
const EPOCHS: &str = "#partitions tbody td:nth-child(5)";

/// One broker after another, and then ZooKeeper, are restarted under load: nobody sees an error.
async fn servers_that_are_restarted(
    servers: &mut Servers,
    cluster: &mut Cluster,
    random: &mut Random,
) {
    let keys = keys("servers");
    let load = load_at(
        &[cluster.node(0).client(), cluster.node(1).client()],
        &keys,
        random,
    );
    for broker in 0..servers.kafka.servers().len() {
        servers.kafka.server(broker).stop().expect("it runs");
        tokio::time::sleep(Duration::from_secs(1)).await;
        servers.kafka.start().expect("it comes back");
        all_in_sync(servers).await;
    }
    servers.zookeeper.server(0).stop().expect("it runs");
    tokio::time::sleep(Duration::from_secs(1)).await;
    servers.zookeeper.start().expect("it comes back");
    cluster.ready().await;
    let done = load.stop().await;
    check(cluster, 1, &keys, &done).await;
}

/// Waits until every broker has all that it should have: only then may the next one go.
async fn all_in_sync(servers: &Servers) {
    let brokers = servers.kafka.addresses();
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &brokers)
        .create()
        .expect("a client");
    let waited = async {
        loop {
            let metadata = consumer
                .fetch_metadata(None, Duration::from_secs(10))
                .expect("two brokers answer");
            let mut partitions = metadata.topics().iter().flat_map(MetadataTopic::partitions);
            if partitions.all(|partition| partition.isr().len() == partition.replicas().len()) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(60), waited).await;
    waited.expect("all are in sync again");
}

/// After all that: owner, standbys, and a replay of the log by a process of its own have the same.
async fn all_have_the_same(cluster: &mut Cluster) {
    cluster.ready().await;
    let mut copies = 0;
    for partition in 0..PARTITIONS {
        // Owners write a little by themselves, and standbys follow.
        let (position, digests) = loop {
            let seen = cluster.digests("register", partition).await;
            let position = seen[0].0;
            if seen.iter().all(|(other, _)| *other == position) {
                break (position, seen);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        copies += digests.len();
        let replayed = cluster.replay("register", partition, position);
        assert!(
            digests.iter().all(|(_, digest)| *digest == replayed),
            "register/{partition} at {position}: {digests:?}, and replayed {replayed}"
        );
    }
    assert!(copies >= 2 * PARTITIONS, "{copies} copies were compared");
}

/// Any node takes any request; partitions are balanced; standbys answer reads that say that they may.
async fn nodes_are_one_service(cluster: &mut Cluster) {
    let clients = cluster.clients();
    for (node, client) in &clients {
        for number in 0..20 {
            let path = format!("/r/node{node}-{number}");
            let reply = client.put(&path, &json!({"value": number})).await;
            assert_eq!(reply.status, 201, "{reply:?}");
            let position = reply.header("memgen-position").expect("a position");
            for (_, other) in &clients {
                let read = other.get(&path).await;
                assert_eq!(read.json()["value"], number, "{read:?}");
                // One's own write, at a standby.
                let read = other
                    .request("GET", &path)
                    .header("memgen-read", "replica")
                    .header("memgen-min-position", position)
                    .send()
                    .await;
                assert_eq!(read.json()["value"], number, "{read:?}");
                let read = other
                    .request("GET", &path)
                    .header("memgen-read", "replica")
                    .header("memgen-max-staleness-ms", "0")
                    .send()
                    .await;
                assert_eq!(read.json()["value"], number, "{read:?}");
            }
        }
    }
    for (_, client) in &clients {
        let list = client.get("/r?limit=100&prefix=node").await;
        let items = list.json()["items"].as_array().map(Vec::len);
        assert_eq!(items, Some(20 * NODES), "{list:?}");
    }
    balanced(cluster, NODES).await;
}

/// `kill -9` of one node after another under load: nothing acknowledged is lost or doubled, and clients at other nodes get answers.
async fn owners_that_are_killed(cluster: &mut Cluster, random: &mut Random) {
    for round in 0..rounds() {
        let victim = round % NODES;
        let keys = keys(&format!("kill{round}"));
        let load = load_besides(cluster, victim, &keys, random);
        tokio::time::sleep(Duration::from_millis(700)).await;
        cluster.kill_9(victim);
        tokio::time::sleep(Duration::from_millis(2500)).await;
        let done = load.stop().await;
        check(cluster, victim, &keys, &done).await;
        cluster.launch(victim);
        cluster.ready().await;
    }
}

/// Planned restarts of all nodes under load: nobody sees an error.
async fn nodes_that_are_restarted(cluster: &mut Cluster, random: &mut Random) {
    for node in 0..NODES {
        let keys = keys(&format!("restart{node}"));
        let load = load_besides(cluster, node, &keys, random);
        tokio::time::sleep(Duration::from_millis(500)).await;
        cluster.stop(node).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        cluster.launch(node);
        cluster.ready().await;
        let done = load.stop().await;
        check(cluster, node, &keys, &done).await;
    }
}

/// An owner that is stopped beyond its session, while others write: when it goes on, it answers nothing that is not so any more.
async fn an_owner_that_is_paused(cluster: &mut Cluster) {
    for round in 0..rounds() {
        balanced(cluster, NODES).await;
        let names = cluster.owners(0, "register").await;
        let paused = round % NODES;
        let name = format!("n{}", paused + 1);
        let Some(partition) = names.iter().position(|owner| owner.as_ref() == Some(&name)) else {
            panic!("{name} owns nothing: {names:?}");
        };
        let path = format!("/r/{}", key_of(partition, round * 2000));
        let old = cluster.node(paused).client();
        let other = cluster.node((paused + 1) % NODES).client();
        let before = format!("before {round}");
        assert!(old.put(&path, &json!({"value": before})).await.status < 300);
        signal(cluster.node(paused), "STOP");
        // It waits until somebody else owns the key.
        let after = format!("after {round}");
        let reply = other.put(&path, &json!({"value": after})).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        signal(cluster.node(paused), "CONT");
        let (read, added) = (old.get(&path), json!({"by": 1}));
        let add = format!("/r/{}/add", key_of(partition, round * 2000 + 1000));
        let (read, written) = tokio::join!(read, old.post(&add, &added));
        assert_eq!(read.json()["value"], after, "a stale read: {read:?}");
        assert_eq!(written.json()["value"], 1, "{written:?}");
        cluster.ready().await;
    }
}

/// Nodes leave and come back under load; the plan is balanced again each time.
async fn from_three_nodes_to_one_and_back(cluster: &mut Cluster, random: &mut Random) {
    let keys = keys("joining");
    let load = load_at(&[cluster.node(0).client()], &keys, random);
    for (node, running) in [(2, 2), (1, 1)] {
        cluster.stop(node).await;
        balanced(cluster, running).await;
    }
    for (node, running) in [(1, 2), (2, 3)] {
        cluster.launch(node);
        cluster.ready().await;
        balanced(cluster, running).await;
    }
    let done = load.stop().await;
    check(cluster, 1, &keys, &done).await;
}

fn load_besides(cluster: &Cluster, node: usize, keys: &[String], random: &mut Random) -> Load {
    let others = cluster.clients().into_iter();
    let others: Vec<Client> = others
        .filter(|(other, _)| *other != node)
        .map(|(_, client)| client)
        .collect();
    load_at(&others, keys, random)
}

fn load_at(nodes: &[Client], keys: &[String], random: &mut Random) -> Load {
    Load::start(nodes, 16, keys, random)
}

/// Nobody was told of an error, and the history is right.
async fn check(cluster: &mut Cluster, besides: usize, keys: &[String], done: &Done) {
    assert!(done.failed.is_empty(), "{:?}", &done.failed[..1]);
    assert!(done.history.answered() > 100, "{}", done.history.answered());
    let asked = (besides + 1) % NODES;
    let client = match cluster
        .clients()
        .into_iter()
        .find(|(node, _)| *node == asked)
    {
        Some((_, client)) => client,
        None => cluster.node(0).client(),
    };
    let last: BTreeMap<String, Vec<u64>> = lists(&client, keys).await;
    if let Err(what) = done.history.check(&last) {
        panic!("{what}");
    }
}

fn is_balanced(owners: &[Option<String>], nodes: usize) -> bool {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for owner in owners.iter().flatten() {
        *counts.entry(owner).or_default() += 1;
    }
    let (least, most) = (counts.values().min(), counts.values().max());
    owners.iter().all(Option::is_some)
        && counts.len() == nodes
        && least
            .zip(most)
            .is_some_and(|(least, most)| most - least <= 1)
}

/// Waits until each partition has an owner, and each node as many as the others, within one.
async fn balanced(cluster: &mut Cluster, nodes: usize) {
    let mut owners = Vec::new();
    for _ in 0..400 {
        owners = cluster.owners(0, "register").await;
        assert_eq!(owners.len(), PARTITIONS);
        if is_balanced(&owners, nodes) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{nodes} nodes: {owners:?}");
}

/// A key of a partition of `register`, and another one for each `from` that is far enough away.
fn key_of(partition: usize, from: usize) -> String {
    (from..from + 1000)
        .map(|number| format!("p{number}"))
        .find(|key| memgen::partitioner::partition(key.as_bytes(), 8) as usize == partition)
        .expect("there are keys of each partition")
}

fn signal(running: &Running, name: &str) {
    let id = running.id().to_string();
    let sent = Command::new("kill")
        .args([&format!("-{name}"), &id])
        .status();
    assert!(sent.is_ok_and(|status| status.success()));
}

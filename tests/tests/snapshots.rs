//! Snapshots with real Kafka and ZooKeeper: a node that starts again reads the tail of the log, and is what it would be without.

use std::{fs, path::PathBuf, time::Duration};

use memgen_tests::{
    Client,
    binaries::binary,
    cluster::{Cluster, Servers},
};
use serde_json::{Value, json};

const PARTITIONS: usize = 8;
const KEYS: usize = 800;

/// A snapshot after half a hundred records or so.
const SETTINGS: [&str; 4] = ["--replication-factor", "1", "--snapshot-records", "40"];

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_starts_again_reads_only_the_tail() {
    let servers = Servers::start(1, 1);
    let mut cluster = Cluster::new(&servers, None, &binary("register"), 2, &SETTINGS);
    cluster.start().await;
    write(&cluster.node(0).client(), 0..KEYS).await;
    has_all(&mut cluster, 1).await;

    // It ends, and so keeps what is worth while.
    cluster.stop(1).await;
    cluster.launch(1);
    has_all(&mut cluster, 1).await;
    let kept = snapshots(&mut cluster, 1).await;
    let ends = positions(&cluster.status(1).await);
    for (end, kept) in ends.iter().zip(&kept) {
        assert!(end - kept < 50, "a long tail: {ends:?} after {kept:?}");
    }

    // It is killed, and others go on writing, over what it has and beside it.
    cluster.kill_9(1);
    write(&cluster.node(0).client(), KEYS - 40..KEYS + 40).await;
    cluster.launch(1);
    has_all(&mut cluster, 1).await;
    let positions = positions(&cluster.status(1).await);
    assert_eq!(
        counted(&mut cluster, 1, "memgen_snapshots_loaded_total").await,
        8
    );
    let replayed = counted(&mut cluster, 1, "memgen_replay_records_total").await;
    let tails = positions.iter().zip(&kept).map(|(end, kept)| end - kept);
    let (tail, all) = (tails.sum::<u64>(), positions.iter().sum::<u64>());
    assert!(
        replayed <= tail,
        "{replayed} were read, of {tail} after {kept:?}"
    );
    assert!(tail < all / 2, "{tail} of {all}: the test shows nothing");
    all_have_the_same(&mut cluster).await;

    // One of its files is damaged, and one is half written; nothing else changes.
    let folder = cluster.data(1).join("snapshots/1/register");
    cluster.stop(1).await;
    let damaged = folder.join("3.snapshot");
    let mut bytes = fs::read(&damaged).expect("there is one of each partition");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&damaged, bytes).expect("the folder is ours");
    fs::write(folder.join("4.snapshot.tmp"), "half").expect("the folder is ours");
    // Nobody is asked for another one.
    cluster.stop(0).await;
    cluster.launch(1);
    has_all(&mut cluster, 1).await;
    assert_eq!(
        counted(&mut cluster, 1, "memgen_snapshots_loaded_total").await,
        7
    );
    assert_eq!(
        counted(&mut cluster, 1, "memgen_snapshots_discarded_total").await,
        1
    );
    let said = "discards the snapshot: it is damaged";
    cluster.node(1).prints(said).await;
    assert!(!folder.join("4.snapshot.tmp").exists());
    cluster.launch(0);
    has_all(&mut cluster, 0).await;
    all_have_the_same(&mut cluster).await;

    // One without any files gets them from the other.
    cluster.kill_9(1);
    let folder: PathBuf = cluster.data(1).join("snapshots");
    fs::remove_dir_all(&folder).expect("they are there");
    cluster.launch(1);
    has_all(&mut cluster, 1).await;
    let copied = counted(&mut cluster, 1, "memgen_snapshots_copied_total").await;
    assert!(
        copied >= 7,
        "{copied}: all but the one that was damaged at least"
    );
    assert!(folder.join("1/register/0.snapshot").exists());
    write(&cluster.node(1).client(), 0..20).await;
    all_have_the_same(&mut cluster).await;
    cluster.assert_sound();
}

async fn write(client: &Client, numbers: std::ops::Range<usize>) {
    let mut writes = tokio::task::JoinSet::new();
    for number in numbers {
        let client = client.clone();
        writes.spawn(async move {
            let value = json!({"value": format!("{number}")});
            let reply = client.put(&format!("/r/key{number}"), &value).await;
            assert!(reply.status < 300, "{reply:?}");
        });
        if writes.len() >= 32 {
            writes
                .join_next()
                .await
                .expect("there are some")
                .expect("it does not panic");
        }
    }
    while let Some(written) = writes.join_next().await {
        written.expect("it does not panic");
    }
}

fn of_register(status: &Value) -> Vec<&Value> {
    let partitions = status["partitions"].as_array().expect("partitions");
    partitions
        .iter()
        .filter(|one| one["topic"] == "register")
        .collect()
}

fn positions(status: &Value) -> Vec<u64> {
    let partitions = of_register(status).into_iter();
    partitions
        .map(|one| one["position"].as_u64().expect("a position"))
        .collect()
}

/// Waits until a node has a copy of each partition: it is ready before the plan gives it any.
async fn has_all(cluster: &mut Cluster, node: usize) {
    cluster.ready().await;
    for _ in 0..1000 {
        let status = cluster.status(node).await;
        let phases = of_register(&status).into_iter().map(|one| &one["phase"]);
        let copies = phases.filter(|phase| **phase == "serving" || **phase == "standby");
        if copies.count() == PARTITIONS {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("it does not get there: {}", cluster.status(node).await);
}

/// Waits until a node has a snapshot of each partition. Where each ends.
async fn snapshots(cluster: &mut Cluster, node: usize) -> Vec<u64> {
    for _ in 0..500 {
        let status = cluster.status(node).await;
        let kept = of_register(&status)
            .into_iter()
            .filter_map(|one| one["snapshot"]["position"].as_u64());
        let kept: Vec<u64> = kept.collect();
        if kept.len() == PARTITIONS {
            return kept;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("no snapshots: {}", cluster.status(node).await);
}

/// What a node has counted over all partitions of `register`.
async fn counted(cluster: &mut Cluster, node: usize, name: &str) -> u64 {
    let metrics = cluster.node(node).admin().get("/metrics").await;
    let lines = metrics.text().lines().filter(|line| {
        line.starts_with(&format!("{name}{{")) && line.contains("topic=\"register\"")
    });
    lines
        .map(|line| {
            let (_, number) = line.rsplit_once(' ').expect("a number");
            number.parse::<u64>().expect("a count")
        })
        .sum()
}

async fn all_have_the_same(cluster: &mut Cluster) {
    for partition in 0..PARTITIONS {
        let (position, digests) = loop {
            let seen = cluster.digests("register", partition).await;
            let position = seen[0].0;
            if seen.len() == 2 && seen.iter().all(|(other, _)| *other == position) {
                break (position, seen);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        let replayed = cluster.replay("register", partition, position);
        assert!(
            digests.iter().all(|(_, digest)| *digest == replayed),
            "register/{partition} at {position}: {digests:?}, and replayed {replayed}"
        );
    }
}

//! Several nodes with real Kafka and ZooKeeper: takeovers, handovers, pauses, cuts; what was acknowledged, what clients elsewhere see.
//!
//! The program `chaos` does the same more often, for the figures in BENCHMARKS.md.

#[path = "cluster/feeds.rs"]
mod feeds;
#[path = "cluster/upgrade.rs"]
mod upgrade;

use std::{env, process::Command};

use memgen_tests::{
    binaries::binary,
    browser::Browser,
    chaos::{Chaos, NODES, PARTITIONS},
};
use serde_json::json;

/// Everything, one after another: the servers are started once, and what one part leaves behind is what the next one meets.
#[tokio::test(flavor = "multi_thread")]
async fn a_cluster() {
    let mut chaos = Chaos::start(None).await;
    nodes_are_one_service(&mut chaos).await;
    chaos.kills(4).await;
    chaos.restarts(1).await;
    chaos.pauses(4).await;
    feeds::feeds_go_on(&mut chaos).await;
    chaos.from_three_nodes_to_one_and_back(1).await;
    chaos.drains(1).await;
    chaos.servers_restart(1).await;
    chaos.all_have_the_same().await;
    chaos.report.assert_sound();
    a_page_shows_it(&mut chaos).await;
    upgrade::a_service_is_upgraded(&chaos.servers).await;
    chaos.cluster.assert_sound();
    drop(chaos);
    nodes_that_are_cut_off();
}

/// Nodes on hosts of their own that lose the network, or one of what they need. It takes namespaces, which are a process's: so the program does it.
fn nodes_that_are_cut_off() {
    let status = Command::new(binary("chaos"))
        .args(["--cut-offs", "2", "--partial-cuts", "1"])
        .args([
            "--one-way-cuts",
            "1",
            "--slow-links",
            "1",
            "--full-disks",
            "1",
        ])
        .status();
    assert!(status.is_ok_and(|status| status.success()));
}

/// `/cluster` of one node, in a browser: nodes, owners, standbys and takeovers, as they change.
async fn a_page_shows_it(chaos: &mut Chaos) {
    let nodes = usize::from(NODES);
    chaos.balanced(nodes).await;
    let cluster = &mut chaos.cluster;
    let browser = Browser::start().await;
    let page = format!("{}/cluster", cluster.node(0).admin().base());
    browser.open(&page).await;
    let states = browser
        .wait_for("#nodes tbody td:nth-child(2)", |states| {
            states.len() == nodes
        })
        .await;
    assert_eq!(states, ["ready"; NODES as usize]);
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
    cluster.kill_9(nodes - 1);
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
        .wait_for("#nodes tbody td:first-child", |living| {
            living.len() == nodes - 1
        })
        .await;
    assert_eq!(browser.complaints().await, [""; 0]);
    if let Ok(file) = env::var("MEMGEN_SCREENSHOT") {
        std::fs::write(file, browser.screenshot().await).expect("a file that can be written");
    }

    cluster.launch(nodes - 1);
    cluster.ready().await;
}

/// Where the page has the owner of each partition, and its epoch.
const OWNERS: &str = "#partitions tbody td:nth-child(3)";
const EPOCHS: &str = "#partitions tbody td:nth-child(5)";

/// Any node takes any request; partitions are balanced; standbys answer reads that say that they may.
async fn nodes_are_one_service(chaos: &mut Chaos) {
    let nodes = usize::from(NODES);
    let clients = chaos.cluster.clients();
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
        assert_eq!(items, Some(20 * nodes), "{list:?}");
    }
    chaos.balanced(nodes).await;
}

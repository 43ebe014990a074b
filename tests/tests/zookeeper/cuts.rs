//! A node that is cut off from the ensemble, by the contract of `Coordinator`.

use std::time::Duration;

use memgen::{
    coordinator::{
        Coordinator as _,
        conformance::{Faults, lost_session, node, outage, take, until},
        zookeeper::ZooKeeper,
    },
    log::TopicPartition,
};
use memgen_tests::proxy::{Proxy, Way};

use crate::kit::{one_server, settings};

/// A node behind a network of its own, and one that reaches the server directly.
async fn two_nodes(root: &str, through: &Proxy, direct: &str) -> (ZooKeeper, ZooKeeper) {
    let a = ZooKeeper::start(settings(&format!(
        "zookeeper://{}{root}",
        through.address()
    )));
    let b = ZooKeeper::start(settings(direct));
    a.join(node("a", 7)).await.expect("it joins");
    b.join(node("b", 7)).await.expect("it joins");
    (a, b)
}

fn faults(proxy: &Proxy, way: Way) -> Faults<'_> {
    Faults {
        cut: Box::new(move || Box::pin(async move { proxy.cut(way) })),
        mend: Box::new(|| Box::pin(async { proxy.mend() })),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_short_cut_loses_nothing() {
    let server = one_server();
    let proxy = Proxy::to(server.servers().parse().expect("one server"));
    let (a, b) = two_nodes("/short", &proxy, &server.address("/short")).await;
    for way in [Way::Both, Way::There, Way::Back] {
        outage(&a, &b, &faults(&proxy, way)).await;
    }
    // Connections that are closed while something is under way are an outage too.
    let closed = Faults {
        cut: Box::new(|| {
            Box::pin(async {
                proxy.cut(Way::Both);
                proxy.close_connections();
            })
        }),
        mend: Box::new(|| Box::pin(async { proxy.mend() })),
    };
    outage(&a, &b, &closed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_cut_loses_the_session() {
    let server = one_server();
    let proxy = Proxy::to(server.servers().parse().expect("one server"));
    let (a, b) = two_nodes("/long", &proxy, &server.address("/long")).await;
    for way in [Way::Both, Way::There] {
        lost_session(&a, &b, "a", &faults(&proxy, way)).await;
    }
}

/// Between what a removal looks at and what it does, the lock changes hands.
#[tokio::test(flavor = "multi_thread")]
async fn a_removal_that_comes_late_removes_no_other_lock() {
    const DELAY: Duration = Duration::from_millis(200);
    let server = one_server();
    let proxy = Proxy::to(server.servers().parse().expect("one server"));
    let (slow, fast) = two_nodes("/late", &proxy, &server.address("/late")).await;
    let partition = TopicPartition::new("late", 0);
    let first = take(&fast, &partition).await;
    let seen = until(&slow, "the holder is seen", |view| !view.holders.is_empty()).await;
    proxy.delay(DELAY);
    let remove = slow.remove(&partition, &seen.holders[&partition]);
    let change_hands = async {
        // By now the removal has looked, and is on its way back.
        tokio::time::sleep(DELAY + DELAY / 2).await;
        first.release().await;
        take(&fast, &partition).await
    };
    let (_, second) = tokio::join!(remove, change_hands);
    let mut looked = fast.view();
    // Whatever it did is seen by now at the latest.
    fast.update(&mut |node| node.draining = true);
    let draining = looked.wait_for(|view| view.nodes["b"].draining).await;
    drop(draining.expect("it is there"));
    assert!(second.holds() && !second.is_lost());
}

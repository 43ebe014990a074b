//! A node that is cut off from the ensemble, by the contract of `Coordinator`.

use memgen::coordinator::{
    Coordinator as _,
    conformance::{Faults, lost_session, node, outage},
    zookeeper::ZooKeeper,
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

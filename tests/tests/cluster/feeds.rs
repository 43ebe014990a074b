//! Feeds go on wherever their partitions go, and wherever their clients do.

use std::time::Duration;

use memgen_tests::{
    chaos::{Chaos, NODES},
    cluster::Cluster,
    watchers::Watchers,
};

/// Writes of each key between two events.
const WRITES: u64 = 4;

/// Each watcher sees each change of its keys once and in order: at owners, at standbys and at nodes that have neither, while one node after another is killed or stopped.
pub(crate) async fn feeds_go_on(chaos: &mut Chaos) {
    let nodes = usize::from(NODES);
    chaos.balanced(nodes).await;
    let rest = Duration::from_millis(100);
    let mut watchers = Watchers::start(bases(&chaos.cluster), "feed", 24, 12, 6, rest).await;
    for node in 0..nodes {
        watchers.write(WRITES).await;
        if node + 1 < nodes {
            chaos.cluster.kill_9(node);
        } else {
            chaos.cluster.stop(node).await;
        }
        watchers.servers_are_at(bases(&chaos.cluster));
        // Those who take over go on.
        watchers.write(WRITES).await;
        chaos.cluster.launch(node);
        chaos.cluster.ready().await;
        watchers.servers_are_at(bases(&chaos.cluster));
        chaos.balanced(nodes).await;
    }
    watchers.write(WRITES).await;
    let seen = watchers.finish().await;
    assert_eq!(seen.len(), 24 * 12 + 6);
    for one in &seen {
        assert_eq!(one.resets, 1, "each begins once, and goes on: {one:?}");
        let writes = 2 * u64::from(NODES) * WRITES;
        assert!(one.changes >= writes, "it saw all: {one:?}");
        // Once at first, and again whenever its node ended, which each of them did once.
        assert!(
            one.connected <= 1 + nodes,
            "a node that lives keeps its feeds: {one:?}"
        );
    }
}

fn bases(cluster: &Cluster) -> Vec<String> {
    let clients = cluster.clients();
    clients
        .iter()
        .map(|(_, client)| client.base().to_owned())
        .collect()
}

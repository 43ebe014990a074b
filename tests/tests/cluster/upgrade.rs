//! A service is brought from one build to the next, node by node, under load.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use memgen_tests::{
    Client,
    cluster::{Cluster, Servers, name_of},
    versions::{FIRST, Versions},
};
use serde_json::{Value, json};
use tokio::task::JoinSet;

/// What a service ends with that could not read what is there.
const INCOMPATIBLE: i32 = 5;
const PARTITIONS: usize = 2;

/// A new optional field comes without a failed request, in both directions; a field that older values lack is refused at the start, and the nodes that are there go on.
pub(crate) async fn a_service_is_upgraded(servers: &Servers) {
    let wider = format!("{FIRST}\n    #[serde(default)]\n    pub weight: u32,");
    let broken = format!("{wider}\n    pub color: String,");
    let versions = Versions::new(&[
        ("rolling_first", "", FIRST, ""),
        ("rolling_wider", "", &wider, ""),
        ("rolling_broken", "", &broken, ""),
    ]);
    versions.build();
    let session = ["--session-timeout-ms", "2000"];
    let first = versions.program("rolling_first");
    let mut cluster = Cluster::new(servers, None, &first, 2, &session);
    cluster.start().await;
    balanced(&mut cluster).await;

    // The first node is new, the second one old.
    let load = Load::start(&cluster.node(1).client());
    restart_with(&mut cluster, 0, versions.program("rolling_wider")).await;
    load.stop().await;
    let (at_new, at_old) = (key_at(&mut cluster, 0).await, key_at(&mut cluster, 1).await);
    let (new, old) = (cluster.node(0).client(), cluster.node(1).client());
    for (key, by) in [(at_new, &old), (at_old, &new)] {
        let body = json!({"rank": "1", "weight": 7});
        let reply = by.put(&format!("/vertex/{key}"), &body).await;
        assert_eq!(reply.status, 201, "{reply:?}");
    }
    for client in [&new, &old] {
        // The owner's build decides what is kept and what is shown, whichever node was asked.
        let kept = json!({"id": at_new, "rank": "1", "weight": 7});
        assert_eq!(get(client, at_new).await, kept);
        assert_eq!(
            get(client, at_old).await,
            json!({"id": at_old, "rank": "1"})
        );
    }

    // The old node starts again beside the new one, whose layout it knows from the log now.
    restart_with(&mut cluster, 1, versions.program("rolling_first")).await;
    let old = cluster.node(1).client();

    // The old node owns what the new one wrote: it does not show the new field, and does not lose it by that.
    let load = Load::start(&old);
    cluster.stop(0).await;
    assert_eq!(get(&old, at_new).await, json!({"id": at_new, "rank": "1"}));
    cluster.launch(0);
    cluster.ready().await;
    balanced(&mut cluster).await;
    load.stop().await;

    // Both are new.
    let new = cluster.node(0).client();
    let load = Load::start(&new);
    restart_with(&mut cluster, 1, versions.program("rolling_wider")).await;
    load.stop().await;
    for node in 0..2 {
        let client = cluster.node(node).client();
        let kept = json!({"id": at_new, "rank": "1", "weight": 7});
        assert_eq!(get(&client, at_new).await, kept);
        let lost = json!({"id": at_old, "rank": "1", "weight": 0});
        assert_eq!(get(&client, at_old).await, lost);
    }

    // Another node, with a build that can't read what is there.
    let load = Load::start(&new);
    let refused = cluster.service(0).clone().set("--node", "n3");
    let refused = refused.with_program(versions.program("rolling_broken"));
    let (status, said) = refused.run().await;
    assert_eq!(status.code(), Some(INCOMPATIBLE), "{said}");
    assert!(said.contains("`Vertex.color`"), "{said}");
    balanced(&mut cluster).await;
    load.stop().await;
    cluster.assert_sound();
}

/// Restarts a node with another build.
async fn restart_with(cluster: &mut Cluster, node: usize, program: PathBuf) {
    cluster.stop(node).await;
    cluster.install(node, program);
    cluster.launch(node);
    cluster.ready().await;
    balanced(cluster).await;
}

async fn get(client: &Client, key: u32) -> Value {
    let reply = client.get(&format!("/vertex/{key}")).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.json()
}

/// A key of a partition that a node owns, out of the way of the load.
async fn key_at(cluster: &mut Cluster, node: usize) -> u32 {
    let owners = cluster.owners(node, "vertex").await;
    let owned = owners
        .iter()
        .position(|owner| owner.as_deref() == Some(&*name_of(node)))
        .expect("each has one");
    (1000..2000)
        .find(|key: &u32| {
            let text = key.to_string();
            memgen::partitioner::partition(text.as_bytes(), 2) as usize == owned
        })
        .expect("there are keys of each partition")
}

/// Waits until each of the two nodes owns one of the two partitions.
async fn balanced(cluster: &mut Cluster) {
    let owners = async {
        loop {
            let owners = cluster.owners(0, "vertex").await;
            assert_eq!(owners.len(), PARTITIONS);
            if owners.iter().all(Option::is_some) && owners[0] != owners[1] {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(60), owners).await;
    waited.expect("each node owns one of the two");
    cluster.ready().await;
}

/// Each client writes so often, however soon it is told to stop.
const WRITES_MIN: usize = 6;

/// Clients that write and read what they wrote, each its own key, and see no error.
struct Load {
    stop: Arc<AtomicBool>,
    clients: JoinSet<()>,
}

impl Load {
    fn start(node: &Client) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let mut clients = JoinSet::new();
        for id in 0..8 {
            let (stop, node) = (stop.clone(), node.clone());
            clients.spawn(async move {
                let mut count = 0;
                while count < WRITES_MIN || !stop.load(Ordering::Relaxed) {
                    let rank = count.to_string();
                    let reply = node
                        .put(&format!("/vertex/{id}"), &json!({"rank": rank}))
                        .await;
                    assert!(reply.status < 300, "{reply:?}");
                    assert_eq!(get(&node, id).await["rank"], rank);
                    count += 1;
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            });
        }
        Self { stop, clients }
    }

    async fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        // Those that saw an error have panicked.
        self.clients.join_all().await;
    }
}

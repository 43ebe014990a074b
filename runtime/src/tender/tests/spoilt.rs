//! A snapshot that was loaded, and of which a part can't be decoded: nobody is told what is not so, and the log is read instead.

use std::cell::Cell;

use serde::{Deserialize as _, Deserializer, de::Error as _};

use super::*;
use crate::{log::Retention, snapshot::depot::memory::Memory as Depot};

/// How many items are in the snapshot of these tests.
pub(super) const KEPT: u64 = 10;

thread_local! {
    /// How often a pile with as many items can't be read from now on.
    static REFUSALS: Cell<u32> = const { Cell::new(0) };
}

/// Reads what a pile holds, unless that is to fail.
pub(super) fn items<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u64>, D::Error> {
    let items = Vec::deserialize(from)?;
    let left = REFUSALS.get();
    if items.len() as u64 == KEPT && left > 0 {
        REFUSALS.set(left - 1);
        return Err(D::Error::custom("not now"));
    }
    Ok(items)
}

/// One that makes a snapshot once the log has grown by so many records.
pub(super) fn keeper(depot: &Depot, records_min: u64) -> Arc<Keeper> {
    let (clock, depot) = (Arc::new(SimulatedClock::new()), Arc::new(depot.clone()));
    let common = Snapshots::new(clock, Some(depot), records_min);
    let retention = Retention {
        topic_id: "cluster/pile@1".to_owned(),
        deletions: Duration::from_secs(7 * 24 * 3600),
    };
    let metrics = Metrics::new().partition(&partition());
    Keeper::new(common, partition(), retention, 0, None, metrics)
}

/// A log with some items in it, and a snapshot of them.
pub(super) async fn with_a_snapshot(sim: &Sim, depot: &Depot) {
    let cluster = LocalCluster::new();
    let nodes = [Node::start(sim, &cluster, "n1", 1).await];
    append_all(&nodes, 0..KEPT).await;
    stop(nodes.into());
    let (client, readers) = (Arc::new(sim.client()), Readers::current(0));
    let mut replica = Replica::<Pile>::new(client, partition(), HORIZON, readers);
    let keeper = keeper(depot, 1);
    replica.keep(keeper.clone(), keeper.common.clock.now(), 0);
    replica.catch_up(None, |_, _, _| ()).await.unwrap();
    replica.snapshot_if_due();
    keeper.common.settle(Duration::from_secs(60)).await;
    assert!(keeper.kept().is_some());
}

/// A node that started with the snapshot, and can't decode it once.
async fn restarted(sim: &Sim, depot: &Depot) -> (Arc<Keeper>, Vec<Node>) {
    // None that it makes looks at all of memory.
    let keeper = keeper(depot, 1_000_000);
    let cluster = LocalCluster::new();
    let node = Node::start_with(sim, &cluster, "n1", 2, Some(keeper.clone())).await;
    let nodes = vec![node];
    owner(&nodes).await;
    assert_eq!(keeper.discarded(), 0, "nobody has looked yet");
    REFUSALS.set(1);
    (keeper, nodes)
}

async fn is_mended(keeper: &Keeper, nodes: &[Node], held: std::ops::Range<u64>) {
    assert_eq!((keeper.discarded(), REFUSALS.get()), (1, 0));
    let (_, here) = owner(nodes).await;
    assert_eq!(super::items(&here), held.collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn it_is_noticed_though_nobody_asks() {
    let (sim, depot) = (Sim::new(1, Faults::none()), Depot::default());
    with_a_snapshot(&sim, &depot).await;
    let (keeper, nodes) = restarted(&sim, &depot).await;
    sleep(Duration::from_secs(5)).await;
    is_mended(&keeper, &nodes, 0..KEPT).await;
    stop(nodes);
}

/// The write that meets it did not happen, and nobody is told that it did; the next one finds all that there was.
#[tokio::test(start_paused = true)]
async fn a_write_that_meets_it_changes_nothing() {
    let (sim, depot) = (Sim::new(1, Faults::none()), Depot::default());
    with_a_snapshot(&sim, &depot).await;
    let (keeper, nodes) = restarted(&sim, &depot).await;
    let (_, here) = owner(&nodes).await;
    let met = append(&here.mailbox, KEPT).await;
    let refusal = met.map(drop).unwrap_err();
    assert!(
        matches!(refusal, Refusal::Moved | Refusal::Unknown),
        "{refusal:?}"
    );
    append_all(&nodes, KEPT..20).await;
    is_mended(&keeper, &nodes, 0..20).await;
    stop(nodes);
}

#[tokio::test(start_paused = true)]
async fn a_standby_that_meets_it_reads_the_log() {
    let (sim, depot) = (Sim::new(1, Faults::none()), Depot::default());
    with_a_snapshot(&sim, &depot).await;
    let cluster = LocalCluster::new();
    let mut nodes = vec![Node::start(&sim, &cluster, "n1", 2).await];
    owner(&nodes).await;
    let keeper = keeper(&depot, 1_000_000);
    nodes.push(Node::start_with(&sim, &cluster, "n2", 3, Some(keeper.clone())).await);
    while nodes[1].slot.copy().is_none() {
        sleep(Duration::from_millis(1)).await;
    }
    REFUSALS.set(1);
    // It applies them before it would have decoded anything by itself.
    append_all(&nodes[..1], KEPT..20).await;
    sleep(Duration::from_millis(500)).await;
    is_mended(&keeper, &nodes, 0..20).await;
    let copy = nodes[1].slot.copy().unwrap();
    let pile = copy.memory.get(&key()).unwrap();
    assert_eq!(pile.state.items, (0..20).collect::<Vec<_>>());
    stop(nodes);
}

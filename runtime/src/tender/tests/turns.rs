//! Long replays take turns; what a snapshot lacks is mostly short, and waits for nobody.

use super::{
    super::SHORT_TAIL,
    spoilt::{KEPT, keeper, with_a_snapshot},
    *,
};
use crate::snapshot::depot::memory::Memory as Depot;

/// A log with a snapshot that lacks so many items, and what says whose turn it is: nobody's yet.
async fn world(lacks: u64) -> (Sim, Depot, Arc<Semaphore>) {
    let (sim, depot) = (Sim::new(1, Faults::none()), Depot::default());
    with_a_snapshot(&sim, &depot).await;
    let nodes = [Node::start(&sim, &LocalCluster::new(), "n1", 2).await];
    append_all(&nodes, KEPT..KEPT + lacks).await;
    stop(nodes.into());
    (sim, depot, Arc::new(Semaphore::new(0)))
}

async fn start(sim: &Sim, keeper: Option<Arc<Keeper>>, turns: &Arc<Semaphore>) -> [Node; 1] {
    let cluster = LocalCluster::new();
    let turns = turns.clone();
    [Node::start_by_turns(sim, &cluster, ("n1", 3), keeper, turns).await]
}

/// It does not serve before it is its turn, and then it has all items.
async fn takes_its_turn(nodes: [Node; 1], turns: &Semaphore, held: u64) {
    sleep(Duration::from_secs(60)).await;
    assert!(nodes[0].slot.copy().is_none());
    turns.add_permits(1);
    let (_, here) = owner(&nodes).await;
    assert_eq!(items(&here), (0..held).collect::<Vec<_>>());
    assert_eq!(turns.available_permits(), 1, "it is the next one's turn");
    stop(nodes.into());
}

#[tokio::test(start_paused = true)]
async fn a_short_tail_waits_for_no_turn() {
    let lacks = SHORT_TAIL / 2;
    let (sim, depot, turns) = world(lacks).await;
    let nodes = start(&sim, Some(keeper(&depot, 1_000_000)), &turns).await;
    let (_, here) = owner(&nodes).await;
    assert_eq!(items(&here), (0..KEPT + lacks).collect::<Vec<_>>());
    stop(nodes.into());
}

#[tokio::test(start_paused = true)]
async fn a_long_tail_waits_for_its_turn() {
    let (sim, depot, turns) = world(SHORT_TAIL).await;
    let nodes = start(&sim, Some(keeper(&depot, 1_000_000)), &turns).await;
    takes_its_turn(nodes, &turns, KEPT + SHORT_TAIL).await;
}

#[tokio::test(start_paused = true)]
async fn a_whole_log_waits_for_its_turn() {
    let (sim, _, turns) = world(1).await;
    let nodes = start(&sim, None, &turns).await;
    takes_its_turn(nodes, &turns, KEPT + 1).await;
}

//! Nodes of one process, in paused time.

use super::*;
use crate::coordinator::local::{Local, LocalCluster};

const SETTLE: Duration = Duration::from_millis(500);

fn node(id: &str) -> Node {
    let nowhere = "127.0.0.1:1".parse().unwrap();
    let topic = StateTopic {
        partitions: 4,
        global: false,
    };
    Node {
        id: id.to_owned(),
        incarnation: 1,
        peer: nowhere,
        host: None,
        http: nowhere,
        admin: nowhere,
        zone: None,
        serve: None,
        topics: BTreeMap::from([(Arc::from("graph"), topic)]),
        version: "1".to_owned(),
        draining: false,
        cut_off: false,
        full: false,
        in_sync: BTreeSet::new(),
    }
}

/// A node that joined and makes the plan if it is its turn.
async fn start(cluster: &LocalCluster, id: &str, settle: Duration) -> Arc<Local> {
    let local = Arc::new(cluster.node());
    local.join(node(id)).await.unwrap();
    let planner = Planner {
        coordinator: Arc::clone(&local) as Arc<dyn Coordinator>,
        node: id.to_owned(),
        standbys: 1,
        settle,
    };
    tokio::spawn(planner.run());
    local
}

fn owned(view: &View, id: &str) -> usize {
    let assignments = view.plan.assignments.values();
    assignments
        .filter(|planned| planned.owner.as_deref() == Some(id))
        .count()
}

#[tokio::test(start_paused = true)]
async fn a_single_node_has_a_plan_at_once() {
    let before = Instant::now();
    let local = start(&LocalCluster::new(), "1", Duration::ZERO).await;
    let mut view = local.view();
    view.wait_for(|view| owned(view, "1") == 4).await.unwrap();
    assert_eq!(Instant::now(), before, "it did not wait");
    assert_eq!(view.borrow().plan.version, 1);
}

#[tokio::test(start_paused = true)]
async fn nodes_that_start_together_get_one_plan() {
    let cluster = LocalCluster::new();
    let before = Instant::now();
    let first = start(&cluster, "1", SETTLE).await;
    let mut nodes = Vec::new();
    for id in ["2", "3", "4"] {
        tokio::time::sleep(SETTLE / 2).await;
        nodes.push(start(&cluster, id, SETTLE).await);
    }
    let mut view = first.view();
    view.wait_for(|view| view.plan.version > 0).await.unwrap();
    assert_eq!(before.elapsed(), SETTLE / 2 * 3 + SETTLE);
    for id in ["1", "2", "3", "4"] {
        assert_eq!(owned(&view.borrow(), id), 1, "{id}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_cluster_to_which_nodes_come_without_end_is_planned_too() {
    let cluster = LocalCluster::new();
    let before = Instant::now();
    let first = start(&cluster, "0", SETTLE).await;
    let mut view = first.view();
    let mut nodes = Vec::new();
    while view.borrow_and_update().plan.version == 0 {
        tokio::time::sleep(SETTLE / 2).await;
        nodes.push(start(&cluster, &nodes.len().to_string().repeat(2), SETTLE).await);
    }
    assert!(before.elapsed() <= SETTLE * (SETTLE_MAX + 1));
}

#[tokio::test(start_paused = true)]
async fn partitions_of_a_node_that_died_wait_for_nobody() {
    let cluster = LocalCluster::new();
    let first = start(&cluster, "1", SETTLE).await;
    let second = start(&cluster, "2", SETTLE).await;
    let mut view = first.view();
    view.wait_for(|view| owned(view, "2") == 2).await.unwrap();
    let mut locks = Vec::new();
    let plan = view.borrow_and_update().plan.clone();
    for (partition, planned) in &plan.assignments {
        let of_first = planned.owner.as_deref() == Some("1");
        let owner = if of_first { &first } else { &second };
        locks.push(owner.acquire(partition).await.unwrap());
    }
    // A third one has just come: its partitions can wait for more, those of the dead one can't.
    let third = start(&cluster, "3", SETTLE).await;
    let before = Instant::now();
    second.leave().await;
    view.wait_for(|view| owned(view, "2") == 0).await.unwrap();
    assert_eq!(Instant::now(), before, "it did not wait");
    drop(third);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_cut_off_keeps_nothing_unless_all_are() {
    let cluster = LocalCluster::new();
    let first = start(&cluster, "1", SETTLE).await;
    let second = start(&cluster, "2", SETTLE).await;
    let all: BTreeSet<_> = (0..4)
        .map(|number| TopicPartition::new("graph", number))
        .collect();
    for node in [&first, &second] {
        node.update(&mut |node| node.in_sync.clone_from(&all));
    }
    let mut view = first.view();
    view.wait_for(|view| owned(view, "2") == 2).await.unwrap();
    let version = view.borrow().plan.version;
    // One after the other notices, within the time that is left to them.
    for node in [&second, &first] {
        node.update(&mut |node| node.cut_off = true);
        tokio::time::sleep(CUT_SETTLE / 2).await;
    }
    tokio::time::sleep(CUT_SETTLE * 10).await;
    assert_eq!(view.borrow().plan.version, version, "nothing moved");
    first.update(&mut |node| node.cut_off = false);
    let before = Instant::now();
    view.wait_for(|view| owned(view, "1") == 4).await.unwrap();
    assert_eq!(before.elapsed(), CUT_SETTLE);
    second.update(&mut |node| node.cut_off = false);
    view.wait_for(|view| owned(view, "2") == 2).await.unwrap();
}

#[tokio::test]
async fn a_node_gets_partitions_of_topics_that_it_knows() {
    let cluster = LocalCluster::new();
    let old = cluster.node();
    old.join(node("old")).await.unwrap();
    let new = cluster.node();
    let mut with_more = node("new");
    let settings = StateTopic {
        partitions: 2,
        global: true,
    };
    with_more.topics.insert(Arc::from("settings"), settings);
    new.join(with_more).await.unwrap();
    let plan = next_plan(&old.view().borrow(), 1);
    assert_eq!(plan.len(), 6);
    for (partition, planned) in plan {
        let knows_both = &*partition.topic == "graph";
        assert_eq!(planned.standbys.len(), usize::from(knows_both));
        assert!(knows_both || planned.owner.as_deref() == Some("new"));
    }
}

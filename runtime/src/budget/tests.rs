//! When there is room, and when not.

use super::*;
use crate::{
    coordinator::{Coordinator as _, Node, local::LocalCluster},
    plan::Assignment,
};

#[test]
fn what_is_freed_is_room_although_the_process_keeps_it() {
    let mut ceiling = Ceiling::default();
    assert!(!ceiling.see(100, 100, || unreachable!("nobody asks while there is room")));
    assert!(ceiling.see(101, 100, || 70), "it is full");
    assert!(ceiling.see(101, 100, || 75), "still");
    assert!(
        !ceiling.see(101, 100, || 69),
        "some went, and its room is there for others"
    );
    assert!(ceiling.see(101, 100, || 70), "which took it");
    assert!(!ceiling.see(99, 100, || unreachable!("nobody asks while there is room")));
    assert!(
        ceiling.see(101, 100, || 40),
        "what was learned before is forgotten"
    );
}

#[test]
fn a_process_that_grows_although_its_entities_do_not_is_full_earlier() {
    let mut ceiling = Ceiling::default();
    assert!(ceiling.see(160, 100, || 70));
    assert!(!ceiling.see(170, 100, || 60), "a little more is nothing");
    assert!(ceiling.see(171, 100, || 60), "a sixteenth is");
    assert!(ceiling.see(171, 100, || 60));
    assert!(!ceiling.see(171, 100, || 59));
}

#[test]
fn what_may_not_grow_says_why() {
    let (here, there) = (
        TopicPartition::new("pile", 0),
        TopicPartition::new("pile", 1),
    );
    let budget = Budget::new(Some(300 << 20));
    assert_eq!(budget.refuses(&here), None);
    budget.refuse(there.clone());
    assert_eq!(budget.refuses(&here), None);
    let why = budget.refuses(&there).unwrap();
    assert!(why.contains("pile/1"), "{why}");
    budget.spent.store(true, Ordering::Relaxed);
    budget.resident.store(301 << 20, Ordering::Relaxed);
    let why = budget.refuses(&here).unwrap();
    assert!(
        why.contains("301 MiB of the 300") && why.contains("--memory-max"),
        "{why}"
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_followed_by_a_node_without_room_may_not_grow() {
    let nowhere = "127.0.0.1:1".parse().unwrap();
    let cluster = LocalCluster::new();
    let nodes = [cluster.node(), cluster.node()];
    for (id, node) in ["a", "b"].iter().zip(&nodes) {
        let member = Node {
            id: (*id).to_owned(),
            incarnation: 1,
            peer: nowhere,
            host: None,
            http: nowhere,
            admin: nowhere,
            zone: None,
            serve: None,
            topics: std::collections::BTreeMap::default(),
            version: "1".to_owned(),
            draining: false,
            cut_off: false,
            full: false,
            in_sync: BTreeSet::new(),
        };
        node.join(member).await.unwrap();
    }
    let (own, followed) = (
        TopicPartition::new("pile", 0),
        TopicPartition::new("pile", 1),
    );
    let assigned = |owner: &str, standby: &str| Assignment {
        owner: Some(owner.to_owned()),
        standbys: vec![standby.to_owned()],
    };
    let mut view = View::clone(&nodes[0].view().borrow());
    let plan = &mut view.plan.assignments;
    plan.insert(own.clone(), assigned("b", "a"));
    plan.insert(followed.clone(), assigned("a", "b"));
    assert_eq!(crowded(&view, "a"), BTreeSet::new());
    nodes[1].update(&mut |node| node.full = true);
    let mut later = nodes[0].view();
    let seen = later.wait_for(|view| view.nodes["b"].full).await.unwrap();
    view.nodes.clone_from(&seen.nodes);
    assert_eq!(crowded(&view, "a"), [followed].into());
    // A node knows itself what it has.
    assert_eq!(crowded(&view, "b"), BTreeSet::new());
}

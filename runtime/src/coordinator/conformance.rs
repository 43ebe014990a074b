//! The suite that every [`Coordinator`] passes: the points of its contract, one check each.
//!
//! [`suite`] is for a cluster in which nothing goes wrong, [`outage`] and [`lost_session`] for one that can be cut off.
//! All of them panic, with the point, if it is broken.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use futures_util::future::{BoxFuture, join_all};
use tokio::time::timeout;

use super::{Coordinator, CoordinatorError, Lock, Node, StateTopic, View};
use crate::{
    log::{Topic, TopicPartition, conformance::topic},
    plan::Assignment,
};

/// Longer than anything takes that comes at all.
const LONG: Duration = Duration::from_secs(40);

/// The coordinator as one more node of the same cluster sees it.
pub type Connect<'a> = &'a (dyn Fn() -> Arc<dyn Coordinator> + Sync);

/// A node with this name, as it may be announced.
#[must_use]
pub fn node(id: &str, incarnation: u64) -> Node {
    let at = |port| ([127, 0, 0, 1], port).into();
    let states = StateTopic {
        partitions: 8,
        global: false,
    };
    Node {
        id: id.to_owned(),
        incarnation,
        peer: at(1),
        host: Some("node-7.example".to_owned()),
        http: at(2),
        admin: at(3),
        zone: Some("x".to_owned()),
        serve: Some(BTreeSet::from([0, 1, 2, 7])),
        topics: BTreeMap::from([(Arc::from("graph"), states)]),
        version: "1.2.3".to_owned(),
        draining: false,
        cut_off: false,
        full: false,
        in_sync: (0..5)
            .map(|number| TopicPartition::new("graph", number))
            .collect(),
    }
}

/// Waits until the view is as it should be.
///
/// # Panics
/// If it does not become so.
pub async fn until(
    coordinator: &dyn Coordinator,
    what: &str,
    is: impl Fn(&View) -> bool,
) -> Arc<View> {
    let mut view = coordinator.view();
    let waited = timeout(LONG, view.wait_for(|view| is(view))).await;
    let seen = match waited {
        Ok(Ok(view)) => return Arc::clone(&view),
        Ok(Err(_)) => panic!("{what}: the view ended"),
        Err(_) => Arc::clone(&coordinator.view().borrow()),
    };
    panic!("{what}: it does not happen; seen was {seen:#?}");
}

/// Takes a lock that is free, or about to be.
///
/// # Panics
/// If it does not become free.
pub async fn take(coordinator: &dyn Coordinator, partition: &TopicPartition) -> Arc<dyn Lock> {
    let taken = timeout(LONG, async {
        loop {
            match coordinator.acquire(partition).await {
                Ok(Some(lock)) => return lock,
                Ok(None) | Err(CoordinatorError::Unreachable(_)) => {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                Err(error) => panic!("locks: {partition} can't be taken: {error}"),
            }
        }
    });
    let taken = taken.await;
    taken.unwrap_or_else(|_| panic!("locks: {partition} does not become free"))
}

async fn joined(connect: Connect<'_>, id: &str) -> Arc<dyn Coordinator> {
    let coordinator = connect();
    coordinator
        .join(node(id, 7))
        .await
        .unwrap_or_else(|error| panic!("members: {id} can't join: {error}"));
    coordinator
}

/// Every check of a cluster in which nothing goes wrong. The nodes and topics are the suite's own, and gone afterwards.
///
/// # Panics
/// If a point of the contract is broken.
pub async fn suite(connect: Connect<'_>) {
    let monitor = connect();
    let checks = async {
        tokio::join!(
            members(connect),
            a_name_is_taken_once(connect),
            locks(connect),
            contention(connect),
            leases(connect),
            removal(connect),
            shapes(connect),
        );
        // The planner is one for all, so these have the cluster for themselves.
        plans(connect).await;
    };
    tokio::select! {
        never = plans_never_go_back(&*monitor) => match never {},
        () = checks => {}
    }
}

async fn plans_never_go_back(coordinator: &dyn Coordinator) -> std::convert::Infallible {
    let mut views = coordinator.view();
    let mut version = 0;
    loop {
        let seen = views.borrow_and_update().plan.version;
        assert!(seen >= version, "view: a plan never goes back");
        version = seen;
        views
            .changed()
            .await
            .expect("view: it lasts as long as the coordinator");
    }
}

async fn members(connect: Connect<'_>) {
    let stranger = connect();
    let view = until(&*stranger, "view: connected", |view| view.connected).await;
    assert!(!view.nodes.contains_key("members-a"));
    let refused = stranger.acquire(&TopicPartition::new("members", 0)).await;
    assert!(
        matches!(refused, Err(CoordinatorError::Unreachable(_))),
        "locks: one that did not join gets none"
    );

    let (a, b) = tokio::join!(joined(connect, "members-a"), joined(connect, "members-b"));
    for one in [&*a, &*b, &*stranger] {
        let view = until(one, "members: all that watch see who joined", |view| {
            view.nodes.contains_key("members-a") && view.nodes.contains_key("members-b")
        });
        assert_eq!(view.await.nodes["members-a"], node("members-a", 7));
    }
    for number in 0..50 {
        a.update(&mut |node| {
            node.in_sync.insert(TopicPartition::new("graph", number));
        });
    }
    a.update(&mut |node| node.draining = true);
    let is_last = |view: &View| view.nodes["members-a"].draining;
    let view = until(&*b, "members: changes are seen", is_last).await;
    assert_eq!(
        view.nodes["members-a"].in_sync.len(),
        50,
        "members: in order"
    );

    a.leave().await;
    until(&*b, "members: one that left is gone", |view| {
        !view.nodes.contains_key("members-a")
    })
    .await;
    drop(b);
    until(
        &*stranger,
        "members: one that was dropped is gone",
        |view| !view.nodes.contains_key("members-b"),
    )
    .await;
}

async fn a_name_is_taken_once(connect: Connect<'_>) {
    let first = joined(connect, "name").await;
    let second = connect();
    let refused = second.join(node("name", 8)).await;
    assert_eq!(
        refused,
        Err(CoordinatorError::NameTaken("name".to_owned())),
        "members: a name belongs to one incarnation"
    );
    first.leave().await;
    second
        .join(node("name", 8))
        .await
        .expect("members: a name that is given back is free");
}

async fn locks(connect: Connect<'_>) {
    let (a, b) = tokio::join!(joined(connect, "locks-a"), joined(connect, "locks-b"));
    let partition = TopicPartition::new("locks", 3);
    let none = "locks: one holder at most";
    let mut numbers = Vec::new();
    for _ in 0..3 {
        for (id, holder, other) in [("locks-a", &a, &b), ("locks-b", &b, &a)] {
            let lock = take(&**holder, &partition).await;
            assert!(
                lock.holds() && !lock.is_lost(),
                "lease: it begins with the lock"
            );
            let taken = other.acquire(&partition).await.expect("it can be reached");
            assert!(taken.is_none(), "{none}");
            let again = holder.acquire(&partition).await.expect("it can be reached");
            assert!(again.is_none(), "{none}, and it is asked once");
            let view = until(&**other, "view: shows the holder", |view| {
                view.holders
                    .get(&partition)
                    .is_some_and(|holder| holder.node == id)
            });
            let holder = view.await.holders[&partition].clone();
            assert_eq!(holder.incarnation, 7);
            numbers.push(holder.lock);
            lock.release().await;
            assert!(!lock.holds(), "lease: it ends with the release");
            let free = other.acquire(&partition).await.expect("it can be reached");
            let free = free.expect("locks: others see a release at once");
            free.release().await;
        }
    }
    let distinct: BTreeSet<_> = numbers.iter().collect();
    assert_eq!(
        distinct.len(),
        numbers.len(),
        "locks: each holding has its own number"
    );

    drop(take(&*a, &partition).await);
    take(&*b, &partition).await.release().await;
    let of_a = take(&*a, &partition).await;
    a.leave().await;
    assert!(
        !of_a.holds() && of_a.is_lost(),
        "locks: one that left has none"
    );
    take(&*b, &partition).await;
}

/// Many nodes want the same locks again and again: each has one holder at a time.
async fn contention(connect: Connect<'_>) {
    const NODES: usize = 4;
    const PARTITIONS: u32 = 4;
    const ROUNDS: usize = 10;
    let names: Vec<String> = (0..NODES)
        .map(|number| format!("contention-{number}"))
        .collect();
    let nodes = join_all(names.iter().map(|name| joined(connect, name))).await;
    let held: Vec<_> = (0..PARTITIONS)
        .map(|_| std::sync::atomic::AtomicBool::new(false))
        .collect();
    let contenders = nodes.iter().flat_map(|node| {
        (0..PARTITIONS)
            .zip(&held)
            .map(move |(number, held)| async move {
                let partition = TopicPartition::new("contention", number);
                for _ in 0..ROUNDS {
                    let lock = take(&**node, &partition).await;
                    let before = held.swap(true, std::sync::atomic::Ordering::SeqCst);
                    assert!(!before, "locks: one holder at most");
                    tokio::task::yield_now().await;
                    held.store(false, std::sync::atomic::Ordering::SeqCst);
                    lock.release().await;
                }
            })
    });
    join_all(contenders).await;
}

/// While all is well, a lease never lapses.
async fn leases(connect: Connect<'_>) {
    let a = joined(connect, "leases-a").await;
    let lock = take(&*a, &TopicPartition::new("leases", 0)).await;
    for _ in 0..300 {
        assert!(lock.holds() && !lock.is_lost(), "lease: it is renewed");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn removal(connect: Connect<'_>) {
    let (a, b) = tokio::join!(joined(connect, "removal-a"), joined(connect, "removal-b"));
    let partition = TopicPartition::new("removal", 1);
    let holder = async |of: &str| {
        let view = until(&*b, "view: shows the holder", |view| {
            view.holders
                .get(&partition)
                .is_some_and(|holder| holder.node == of)
        });
        view.await.holders[&partition].clone()
    };
    let first = take(&*a, &partition).await;
    let of_first = holder("removal-a").await;
    first.release().await;
    let second = take(&*a, &partition).await;
    let of_second = {
        let view = until(&*b, "view: shows the new holding", |view| {
            view.holders
                .get(&partition)
                .is_some_and(|holder| *holder != of_first)
        });
        view.await.holders[&partition].clone()
    };
    let removed = b.remove(&partition, &of_first).await;
    assert_eq!(removed, Ok(false), "removal: of that holding only");
    assert!(second.holds(), "removal: of that holding only");

    let removed = b.remove(&partition, &of_second).await;
    assert_eq!(removed, Ok(true), "removal: of the holding that is meant");
    let mine = b.acquire(&partition).await.expect("it can be reached");
    let mine = mine.expect("removal: the lock is free at once");
    let lost = timeout(LONG, async {
        while !second.is_lost() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    lost.await.expect("removal: the holder learns of it");
    assert!(
        !second.holds(),
        "lease: a lock that was lost never holds again"
    );
    second.release().await;
    assert!(mine.holds(), "removal: who lost a lock can't give it back");
    let again = b.remove(&partition, &of_second).await;
    assert_eq!(again, Ok(false), "removal: once");
    assert!(mine.holds() && !mine.is_lost());
}

async fn shapes(connect: Connect<'_>) {
    let (a, b) = (connect(), connect());
    let shape = topic("shapes", 4);
    let (by_a, by_b) = tokio::join!(a.declare(&shape), b.declare(&shape));
    assert_eq!(
        (by_a, by_b),
        (Ok(()), Ok(())),
        "shapes: who is first does not matter"
    );
    let others = [
        Topic {
            partitions: 5,
            ..shape.clone()
        },
        Topic {
            partitioner: "murmur2 customer".to_owned(),
            ..shape.clone()
        },
        Topic {
            format: "avro".to_owned(),
            ..shape.clone()
        },
    ];
    for other in others {
        let refused = b.declare(&other).await;
        assert!(
            matches!(&refused, Err(CoordinatorError::Shape { topic, .. }) if topic == "shapes"),
            "shapes: a topic keeps its shape; {other:?} gave {refused:?}"
        );
    }
    assert_eq!(
        a.declare(&shape).await,
        Ok(()),
        "shapes: a refusal changes nothing"
    );
}

async fn plans(connect: Connect<'_>) {
    let (a, b) = tokio::join!(joined(connect, "plans-a"), joined(connect, "plans-b"));
    let looker = connect();
    let nodes = BTreeMap::from([("plans-a", a), ("plans-b", b)]);
    let assignments = |owner: &str| -> BTreeMap<_, _> {
        let planned = |number| {
            let assignment = Assignment {
                owner: Some(owner.to_owned()).filter(|_| number != 2),
                standbys: vec!["plans-b".to_owned(), format!("more-{number}")],
            };
            (TopicPartition::new("plans", number), assignment)
        };
        (0..4).map(planned).collect()
    };
    // Nodes of other checks may be it until they are gone.
    let planner = |view: &View| {
        let planner = view.planner.as_deref();
        planner
            .filter(|planner| nodes.contains_key(planner))
            .map(str::to_owned)
    };
    let everybody: Vec<String> = nodes.keys().map(|id| (*id).to_owned()).collect();
    let mut version = 0;
    let mut left = None;
    for _ in 0..2 {
        let view = until(&*looker, "planner: there is one", |view| {
            planner(view).is_some_and(|id| Some(&id) != left.as_ref())
        });
        let id = planner(&*view.await).expect("it is one of them");
        let (one, other) = {
            let other = everybody
                .iter()
                .find(|other| **other != id)
                .expect("there are two");
            (&nodes[&*id], &nodes[&**other])
        };
        // Each sees it in its own time.
        let view = until(&**one, "planner: it learns of it", |view| {
            planner(view).as_ref() == Some(&id) && view.plan.version >= version
        });
        let seen = view.await.plan.version;
        if left.is_none() {
            let by_other = other.publish(seen, &assignments("x")).await;
            assert_eq!(by_other, Ok(false), "plan: by the planner alone");
        }
        let (first, second) = (assignments("first"), assignments("second"));
        let (by_one, by_two) = tokio::join!(one.publish(seen, &first), one.publish(seen, &second));
        assert_eq!(
            (by_one, by_two),
            (Ok(true), Ok(false)),
            "plan: of two that compete one fails"
        );
        for coordinator in [one, &looker] {
            let view = until(&**coordinator, "plan: all see it", |view| {
                view.plan.version > seen
            });
            let view = view.await;
            assert_eq!(
                view.plan.assignments, first,
                "plan: it arrives as it was published"
            );
            version = view.plan.version;
        }
        let old = one.publish(seen, &second).await;
        assert_eq!(old, Ok(false), "plan: on top of the last one only");
        let next = one.publish(version, &second).await;
        assert_eq!(next, Ok(true), "plan: on top of the last one");
        until(&*looker, "plan: all see it", |view| {
            view.plan.assignments == second
        })
        .await;
        one.leave().await;
        left = Some(id);
    }
}

/// What can be done to the connection of one node.
pub struct Faults<'a> {
    /// It reaches the coordinator no more.
    pub cut: Box<dyn Fn() -> BoxFuture<'a, ()> + 'a>,
    /// It does again.
    pub mend: Box<dyn Fn() -> BoxFuture<'a, ()> + 'a>,
}

/// A cut that is shorter than a session: nothing is lost. `a` must have joined, and is the one that `faults` are about.
///
/// # Panics
/// If a point of the contract is broken.
pub async fn outage(a: &dyn Coordinator, b: &dyn Coordinator, faults: &Faults<'_>) {
    let partition = TopicPartition::new("outage", 0);
    let lock = take(a, &partition).await;
    (faults.cut)().await;
    until(a, "outage: the view says so", |view| !view.connected).await;
    let tried = timeout(LONG, a.acquire(&TopicPartition::new("outage", 1))).await;
    let tried = tried.expect("outage: nothing waits for ever");
    assert!(
        matches!(tried, Err(CoordinatorError::Unreachable(_))),
        "outage: nothing is granted"
    );
    assert!(!lock.is_lost(), "outage: locks stay");
    (faults.mend)().await;
    until(a, "outage: it is reconnected", |view| view.connected).await;
    let other = b.acquire(&partition).await.expect("it can be reached");
    assert!(other.is_none() && !lock.is_lost(), "outage: locks stay");
    let renewed = timeout(LONG, async {
        while !lock.holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    renewed.await.expect("lease: one that lapsed is renewed");
    lock.release().await;
    take(b, &partition).await.release().await;
    take(a, &TopicPartition::new("outage", 1))
        .await
        .release()
        .await;
}

/// A cut that outlasts the session of `a`: its locks are lost, others get them only when its lease has ended, and it is announced anew.
///
/// # Panics
/// If a point of the contract is broken.
pub async fn lost_session(a: &dyn Coordinator, b: &dyn Coordinator, id: &str, faults: &Faults<'_>) {
    let partition = TopicPartition::new("lost", 0);
    let lock = take(a, &partition).await;
    a.update(&mut |node| "9.9.9".clone_into(&mut node.version));
    (faults.cut)().await;
    let gone = until(b, "members: one that is silent is gone", |view| {
        !view.nodes.contains_key(id)
    });
    let (_, taken) = tokio::join!(gone, take(b, &partition));
    assert!(!lock.holds(), "lease: it ended before anybody got the lock");
    (faults.mend)().await;
    let view = until(b, "members: it is announced anew", |view| {
        view.nodes.contains_key(id)
    });
    assert_eq!(
        view.await.nodes[id].version,
        "9.9.9",
        "members: as it was last"
    );
    let lost = timeout(LONG, async {
        while !lock.is_lost() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    lost.await.expect("locks: of a lost session are lost");
    assert!(!lock.holds() && taken.holds() && !taken.is_lost());
    lock.release().await;
    assert!(
        taken.holds() && !taken.is_lost(),
        "locks: who lost one can't give it back"
    );
    until(a, "outage: it is reconnected", |view| view.connected).await;
    taken.release().await;
    let again = take(a, &partition).await;
    assert!(
        again.holds() && !lock.holds(),
        "locks: a lost one stays lost"
    );
    again.release().await;
}

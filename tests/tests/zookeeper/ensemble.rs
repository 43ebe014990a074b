//! An ensemble of three, of which servers are paused, killed and started again, while nodes contend for locks.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use memgen::{
    coordinator::{
        Coordinator,
        conformance::{node, suite, take},
    },
    log::TopicPartition,
};
use memgen_cli::servers::ZooKeeper as Ensemble;
use memgen_tests::{moment, proxy::Way};
use tokio::task::JoinSet;

use crate::kit::{Running, SESSION_TIMEOUT, node_of};

const NODES: usize = 4;
/// Longer than the client waits before it gives a session up.
const LONG: Duration = SESSION_TIMEOUT.saturating_mul(2);

/// One holding of a lock: from when it was known, to the last moment at which it was believed.
#[derive(Clone, Copy, Debug)]
struct Tenure {
    node: usize,
    got: u64,
    last_held: u64,
}

/// Nodes that contend for one lock.
struct Contention {
    tenures: Arc<Mutex<Vec<Tenure>>>,
    stop: Arc<AtomicBool>,
    tasks: JoinSet<()>,
}

impl Contention {
    async fn start(address: &str) -> Self {
        let tenures = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let mut tasks = JoinSet::new();
        for number in 0..NODES {
            let coordinator = node_of(address);
            let id = format!("contends-{number}");
            coordinator.join(node(&id, 7)).await.expect("it joins");
            tasks.spawn(contend(number, coordinator, tenures.clone(), stop.clone()));
        }
        Self {
            tenures,
            stop,
            tasks,
        }
    }

    fn count(&self) -> usize {
        self.tenures.lock().expect("nobody panicked").len()
    }

    /// Waits until each node had the lock again.
    async fn goes_on(&self, after: &str) {
        let before = self.count();
        let all = async {
            loop {
                let nodes: std::collections::BTreeSet<usize> = {
                    let tenures = self.tenures.lock().expect("nobody panicked");
                    tenures[before..].iter().map(|tenure| tenure.node).collect()
                };
                if nodes.len() == NODES {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let limit = Duration::from_secs(60);
        let all = tokio::time::timeout(limit, all).await;
        all.unwrap_or_else(|_| panic!("{after}: not all nodes go on"));
    }

    /// Ends it, and checks that nobody ever believed to have what another one had.
    async fn check(self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        self.tasks.join_all().await;
        let mut tenures = self.tenures.lock().expect("nobody panicked").clone();
        tenures.sort_by_key(|tenure| tenure.got);
        for pair in tenures.windows(2) {
            assert!(
                pair[0].last_held < pair[1].got,
                "two at once: {:?} and {:?}",
                pair[0],
                pair[1]
            );
        }
        tenures.len()
    }
}

async fn contend(
    number: usize,
    coordinator: Arc<dyn Coordinator>,
    tenures: Arc<Mutex<Vec<Tenure>>>,
    stop: Arc<AtomicBool>,
) {
    let partition = TopicPartition::new("contended", 0);
    let mut turn = 0;
    while !stop.load(Ordering::Relaxed) {
        let Ok(Some(lock)) = coordinator.acquire(&partition).await else {
            tokio::time::sleep(Duration::from_millis(5)).await;
            continue;
        };
        let got = moment();
        let mut last_held = got;
        // Now and then one keeps it until it is taken away, or for longer than anything else here takes.
        turn += 1;
        let keeps = if turn % 10 == 0 {
            LONG
        } else {
            Duration::from_millis(20)
        };
        let until = tokio::time::Instant::now() + keeps;
        while tokio::time::Instant::now() < until
            && !lock.is_lost()
            && !stop.load(Ordering::Relaxed)
        {
            let before = moment();
            if lock.holds() {
                last_held = before;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        lock.release().await;
        let tenure = Tenure {
            node: number,
            got,
            last_held,
        };
        tenures.lock().expect("nobody panicked").push(tenure);
    }
    coordinator.leave().await;
}

fn leader(ensemble: &Ensemble) -> usize {
    ensemble.leader().expect("all servers serve")
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_go_on_whatever_happens_to_servers() {
    let (running, to_the_leader) = Running::three();
    suite(&|| node_of(&running.address("/suite"))).await;

    let address = running.address("/contended");
    let contention = Contention::start(&address).await;
    let keeper = node_of(&address);
    keeper.join(node("keeper", 7)).await.expect("it joins");
    contention.goes_on("the start").await;
    let hurt = |what: &str, hurt: &dyn Fn(&mut Ensemble)| {
        println!("{what}");
        tokio::task::block_in_place(|| hurt(&mut running.ensemble.lock().expect("one at a time")));
    };
    let comes_back = |ensemble: &mut Ensemble| ensemble.start().expect("it starts");

    // It answers reads until it gives the leader up, after 5 s. The leader ends the sessions of its clients long before.
    println!("a follower is cut off from the leader");
    let behind = node_of(&running.address_of(0, "/contended"));
    behind.join(node("behind", 7)).await.expect("it joins");
    let partition = TopicPartition::new("behind", 0);
    let lock = take(&*behind, &partition).await;
    let ahead = node_of(&running.address_of(2, "/contended"));
    ahead.join(node("ahead", 7)).await.expect("it joins");
    to_the_leader.cut(Way::Both);
    let taken = take(&*ahead, &partition).await;
    assert!(!lock.holds(), "a server without its leader renews no lease");
    to_the_leader.mend();
    drop((lock, taken));
    contention.goes_on("a follower was cut off").await;

    hurt("a follower is killed", &|ensemble| {
        let follower = (leader(ensemble) + 1) % 3;
        ensemble.server(follower).kill().expect("it runs");
    });
    contention.goes_on("a follower was killed").await;
    hurt("it comes back", &comes_back);

    hurt("the leader is killed", &|ensemble| {
        let leader = leader(ensemble);
        ensemble.server(leader).kill().expect("it runs");
    });
    contention.goes_on("the leader was killed").await;
    hurt("it comes back", &comes_back);

    // Its followers wait for it for 5 s. When it wakes, sessions have been silent for long, as it sees it.
    hurt(
        "the leader is paused for longer than sessions last",
        &|ensemble| {
            let leader = leader(ensemble);
            ensemble.server(leader).pause().expect("it runs");
            std::thread::sleep(LONG);
            ensemble.server(leader).resume().expect("it is there");
        },
    );
    contention.goes_on("the leader was paused").await;

    let kept = take(&*keeper, &TopicPartition::new("kept", 0)).await;
    hurt(
        "there is no leader for longer than sessions last",
        &|ensemble| {
            for server in &mut ensemble.servers()[..2] {
                server.kill().expect("it runs");
            }
            std::thread::sleep(LONG);
            assert!(!kept.holds(), "no lease outlasts its session's time-out");
            ensemble.start().expect("they start");
        },
    );
    contention.goes_on("there was no leader").await;
    let renewed = async {
        while !kept.holds() {
            assert!(!kept.is_lost(), "no session ends while there is no leader");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), renewed)
        .await
        .expect("a session that lives is gone on with");

    hurt("all servers are killed, and come back", &|ensemble| {
        for server in ensemble.servers() {
            server.kill().expect("it runs");
        }
        ensemble.start().expect("they start");
    });
    contention.goes_on("all servers were killed").await;
    let tenures = contention.check().await;
    println!("{tenures} tenures, never two at once");
    keeper.leave().await;
}

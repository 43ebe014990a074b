//! Services with transactions on three nodes, with real Kafka and ZooKeeper, while nodes are killed or stopped every few seconds.
//!
//! The program `chaos` does the same for longer, for the figures in BENCHMARKS.md.

use std::time::Duration;

use memgen::partitioner::partition;
use memgen_tests::{
    Service,
    chaos::{Harm, Report, counts, graph, ledger, payments},
    cluster::Servers,
    ledger::transfer,
    soak::{Times, soak},
};
use serde_json::json;

/// How long each storm lasts.
const TIME: Duration = Duration::from_secs(12);

/// How many events are taken in, and how long nodes are left in peace meanwhile.
const COUNTED: usize = 50_000;
const PAYMENTS: usize = 1000;
const CALM: Duration = Duration::from_secs(3);

/// One after another: the servers are started once.
#[tokio::test(flavor = "multi_thread")]
async fn transactions_in_storms() {
    let servers = Servers::start(3, 1);
    check(&ledger(&servers, Harm::Kill, TIME).await);
    check(&ledger(&servers, Harm::Stop, TIME).await);
    check(&graph(&servers, Harm::Kill, TIME).await);
    check(&counts(&servers, COUNTED, CALM).await);
    check(&payments(&servers, PAYMENTS, CALM).await);
    where_a_tail_may_be_lost_nothing_rests_on_it(&servers).await;
    a_steady_load_is_measured(&servers).await;
}

/// As `soak` does for an hour. What it holds in a few seconds says nothing.
async fn a_steady_load_is_measured(servers: &Servers) {
    let times = Times {
        warm_up: Duration::from_secs(2),
        probe: Duration::from_secs(4),
        steady: Duration::from_secs(10),
    };
    let report = soak(servers, times, 2, |_| ()).await;
    println!("{report}");
    assert!(report.wrong.is_empty(), "{report}");
    for part in &report.parts {
        assert!(part.waits.times().len() > 10, "{report}");
        assert!(
            part.memory.iter().all(|megabytes| *megabytes > 1.0),
            "{report}"
        );
        assert!(part.files.iter().all(|open| *open > 10.0), "{report}");
    }
}

fn check(report: &Report) {
    println!("{report}");
    report.assert_sound();
}

/// What several partitions write together, or what goes out to others, must not rest on a log that may lose its tail: part of it might be lost.
async fn where_a_tail_may_be_lost_nothing_rests_on_it(servers: &Servers) {
    let log = format!("kafka://{}", servers.kafka.addresses());
    let service = Service::new("ledger");
    let service = service.args(&[
        "--topic-prefix",
        "weak-",
        "--log",
        &log,
        "--ack",
        "accounts=leader",
    ]);
    let mut running = service.start().await;
    let client = running.client();
    let place = |id: u32| partition(id.to_string().as_bytes(), 16);
    let other = |is_near: bool| (1..1000).find(|id| (place(*id) == place(0)) == is_near);
    let (near, far) = (other(true).expect("some"), other(false).expect("many"));
    for id in [0, near, far] {
        let opening = json!({"balance": 10});
        let opened = client.put(&format!("/accounts/{id}"), &opening).await;
        assert_eq!(opened.status, 201, "{opened:?}");
    }
    let refused = client.post("/transfers", &transfer(0, far, 1)).await;
    assert_eq!(refused.status, 500, "{refused:?}");
    running.prints("--ack accounts=all").await;
    // One partition could commit it, but not the receipt with it: that has gone out when the tail is lost.
    let refused = client.post("/transfers", &transfer(0, near, 2)).await;
    assert_eq!(refused.status, 500, "{refused:?}");
    running.prints("nothing can be emitted").await;
    for id in [0, near, far] {
        let account = client.get(&format!("/accounts/{id}")).await;
        assert_eq!(account.json()["balance"], 10, "{id}");
    }
    running.assert_sound();
}

//! The ledger example: transfers happen as a whole or not at all, over partitions, nodes and crashes.

use std::{net::TcpListener, time::Duration};

use memgen_tests::{
    Client, Places, Random, Running, Service,
    browser::Browser,
    ledger::{self, ACCOUNTS, OPENING, balances, transfer},
};
use serde_json::json;

#[tokio::test]
async fn contract() {
    let running = Service::new("ledger").start().await;
    let client = running.client();
    for id in 0..ACCOUNTS {
        let opening = json!({"balance": OPENING});
        let opened = client.put(&format!("/accounts/{id}"), &opening).await;
        assert_eq!(opened.status, 201, "{opened:?}");
    }
    let again = client.put("/accounts/0", &json!({"balance": 1})).await;
    assert_eq!(again.status, 409);
    for (body, status) in [
        (transfer(0, 1, 400), 204),
        (transfer(0, 1, 601), 409),
        (transfer(0, 99, 1), 404),
        (transfer(99, 0, 1), 404),
        (transfer(0, 0, 1), 422),
        (transfer(0, 1, 0), 422),
    ] {
        let reply = client.post("/transfers", &body).await;
        assert_eq!(reply.status, status, "{body}: {reply:?}");
    }
    let balances = balances(&client, ACCOUNTS).await;
    assert_eq!((balances[&0], balances[&1]), (600, 1400));
    let all = json!({"accounts": (0..ACCOUNTS).collect::<Vec<_>>()});
    let audit = client.post("/audit", &all).await;
    assert_eq!(
        audit.json(),
        json!({"total": u64::from(ACCOUNTS) * OPENING})
    );
    let unknown = client.post("/audit", &json!({"accounts": [0, 99]})).await;
    assert_eq!(unknown.status, 404);

    // The same request, by its id, happens once, and so does a refusal.
    for (key, body, status) in [
        ("once", transfer(1, 2, 10), 204),
        ("never", transfer(1, 2, 10_000), 409),
    ] {
        for _ in 0..3 {
            let request = client.request("POST", "/transfers").json(&body);
            let reply = request.header("idempotency-key", key).send().await;
            assert_eq!(reply.status, status, "{reply:?}");
        }
    }
    let other = client
        .request("POST", "/transfers")
        .json(&transfer(1, 2, 11))
        .header("idempotency-key", "once")
        .send()
        .await;
    assert_eq!(other.status, 422);
    assert_eq!(client.get("/accounts/2").await.json()["balance"], 1010);
}

/// Clients transfer at random while others add up, and the process is killed again and again. Each transfer has an id and is repeated until it is answered.
async fn chaos(nodes: usize, kills: usize) {
    let service = Service::new("ledger").args(&["--nodes", &nodes.to_string()]);
    let mut running = service.start().await;
    let places = Places::new(nodes);
    let tell = |running: Option<&Running>| {
        for node in 0..nodes {
            places.set(node, running.map(|running| running.client_of(node)));
        }
    };
    tell(Some(&running));
    let mut random = Random::new();
    let load = ledger::start(&places, &mut random).await;
    for _ in 0..kills {
        let calm = u64::from(500 + random.below(1000));
        tokio::time::sleep(Duration::from_millis(calm)).await;
        tell(None);
        running.kill_9();
        running = service.start().await;
        tell(Some(&running));
    }
    load.has_seen(100, 20).await;
    let mut done = load.stop().await;
    done.check(&running.client()).await;
    assert_eq!(done.wrong, [""; 0]);
    running.assert_sound();
}

/// The page shows balances as they change, also over a crash.
#[tokio::test]
async fn a_page_shows_balances_live() {
    const BALANCES: &str = "#accounts td:nth-child(2)";
    let unused = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = unused.local_addr().expect("it is bound").to_string();
    drop(unused);
    // The page asks for it again where it was.
    let service = Service::new("ledger").set("--http", &address);
    let mut running = service.start().await;
    for id in [2, 10] {
        let opened = json!({"balance": 100});
        let opened = running
            .client()
            .put(&format!("/accounts/{id}"), &opened)
            .await;
        assert_eq!(opened.status, 201, "{opened:?}");
    }
    let browser = Browser::start().await;
    browser
        .open(&format!("{}/page", running.client().base()))
        .await;
    let shows = async |expected: [&str; 2]| {
        browser.wait_for(BALANCES, |cells| cells == expected).await;
    };
    shows(["100", "100"]).await;
    let pay = async |client: Client, amount: u64| {
        let reply = client.post("/transfers", &transfer(2, 10, amount)).await;
        assert_eq!(reply.status, 204, "{reply:?}");
    };
    pay(running.client(), 30).await;
    shows(["70", "130"]).await;
    running.kill_9();
    let mut running = service.start().await;
    pay(running.client(), 20).await;
    shows(["50", "150"]).await;
    let accounts = browser.wait_for("#accounts td:first-child", |cells| cells.len() == 2);
    assert_eq!(accounts.await, ["2", "10"], "by number");
    running.assert_sound();
}

#[tokio::test]
async fn one_node_is_killed() {
    chaos(1, 3).await;
}

#[tokio::test]
async fn two_nodes_are_killed() {
    chaos(2, 3).await;
}

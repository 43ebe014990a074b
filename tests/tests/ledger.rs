//! The ledger example: transfers happen as a whole or not at all, over partitions, nodes and crashes.

use std::{
    collections::BTreeMap,
    net::TcpListener,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use memgen_tests::{Client, Service, browser::Browser};
use serde_json::{Value, json};
use tokio::{sync::RwLock, task::JoinHandle};

const ACCOUNTS: u32 = 12;
const OPENING: u64 = 1000;
const TOTAL: u64 = ACCOUNTS as u64 * OPENING;

async fn open_all(client: &Client) {
    for id in 0..ACCOUNTS {
        let opened = client
            .put(&format!("/accounts/{id}"), &json!({"balance": OPENING}))
            .await;
        assert_eq!(opened.status, 201, "{opened:?}");
    }
}

fn transfer(from: u32, to: u32, amount: u64) -> Value {
    json!({"from": from, "to": to, "amount": amount})
}

async fn total(client: &Client) -> Option<u64> {
    let all = json!({"accounts": (0..ACCOUNTS).collect::<Vec<_>>()});
    let audit = client.request("POST", "/audit").json(&all).try_send().await;
    let audit = audit.ok().filter(|audit| audit.status != 503)?;
    assert_eq!(audit.status, 200, "{audit:?}");
    audit.json()["total"].as_u64()
}

async fn balances(client: &Client) -> BTreeMap<u32, u64> {
    let mut balances = BTreeMap::new();
    for id in 0..ACCOUNTS {
        let account = client.get(&format!("/accounts/{id}")).await.json();
        balances.insert(id, account["balance"].as_u64().expect("a number"));
    }
    balances
}

#[tokio::test]
async fn contract() {
    let running = Service::new("ledger").start().await;
    let client = running.client();
    open_all(&client).await;
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
    let balances = balances(&client).await;
    assert_eq!((balances[&0], balances[&1]), (600, 1400));
    assert_eq!(total(&client).await, Some(TOTAL));
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

type Process = RwLock<Option<memgen_tests::Running>>;

/// A client of a node, once there is one.
async fn client_of(process: &Process, node: usize) -> Client {
    loop {
        if let Some(running) = &*process.read().await {
            return running.client_of(node);
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Asks for a transfer until it is answered. Whether it happened.
async fn insist(process: &Process, node: usize, body: &Value, key: &str) -> bool {
    loop {
        let client = client_of(process, node).await;
        let reply = client
            .request("POST", "/transfers")
            .json(body)
            .header("idempotency-key", key)
            .try_send()
            .await;
        match reply {
            Ok(reply) if reply.status == 204 => return true,
            Ok(reply) if reply.status == 409 => {
                // Another one with this id may still run.
                let detail = reply.problem()["detail"].to_string();
                if !detail.contains("still runs") {
                    return false;
                }
            }
            Ok(reply) => assert_eq!(reply.status, 503, "{reply:?}"),
            Err(_) => {}
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Clients transfer at random while others add up, and the process is killed again and again. Each transfer has an id and is repeated until it is answered.
async fn chaos(nodes: usize, kills: usize) {
    let service = Service::new("ledger").args(&["--nodes", &nodes.to_string()]);
    let running = service.start().await;
    open_all(&running.client()).await;
    let running = Arc::new(RwLock::new(Some(running)));
    let stop = Arc::new(AtomicBool::new(false));
    let (transfers, audits) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let mut clients = Vec::new();
    for index in 0..16_usize {
        let (running, stop, transfers) = (running.clone(), stop.clone(), transfers.clone());
        clients.push(tokio::spawn(async move {
            let mut done = Vec::new();
            let mut number = 0;
            while !stop.load(Ordering::SeqCst) {
                number += 1;
                let (from, to) = (fastrand::u32(..ACCOUNTS), fastrand::u32(..ACCOUNTS));
                if from == to {
                    continue;
                }
                let amount = fastrand::u64(1..300);
                let body = transfer(from, to, amount);
                let key = format!("{index}-{number}");
                let happened = insist(&running, index % nodes, &body, &key).await;
                if happened {
                    transfers.fetch_add(1, Ordering::SeqCst);
                    done.push((from, to, amount));
                }
            }
            done
        }));
    }
    let mut auditors = Vec::new();
    for index in 0..4 {
        let (running, stop, audits) = (running.clone(), stop.clone(), audits.clone());
        auditors.push(tokio::spawn(async move {
            while !stop.load(Ordering::SeqCst) {
                let client = client_of(&running, index % nodes).await;
                if let Some(total) = total(&client).await {
                    assert_eq!(total, TOTAL);
                    audits.fetch_add(1, Ordering::SeqCst);
                } else {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
        }));
    }
    for _ in 0..kills {
        tokio::time::sleep(Duration::from_millis(fastrand::u64(500..1500))).await;
        // It is killed on drop.
        drop(running.write().await.take());
        let fresh = service.start().await;
        *running.write().await = Some(fresh);
    }
    // However slow the machine is. One that has ended has panicked.
    while (transfers.load(Ordering::SeqCst) <= 100 || audits.load(Ordering::SeqCst) <= 20)
        && !clients.iter().any(JoinHandle::is_finished)
        && !auditors.iter().any(JoinHandle::is_finished)
    {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    stop.store(true, Ordering::SeqCst);
    let mut expected: BTreeMap<u32, i128> =
        (0..ACCOUNTS).map(|id| (id, i128::from(OPENING))).collect();
    for client in clients {
        for (from, to, amount) in client.await.expect("no client panics") {
            *expected.get_mut(&from).expect("it is one of them") -= i128::from(amount);
            *expected.get_mut(&to).expect("it is one of them") += i128::from(amount);
        }
    }
    for auditor in auditors {
        auditor.await.expect("no auditor panics");
    }
    let running = running.write().await.take().expect("it runs");
    let found = balances(&running.client()).await;
    let found: BTreeMap<u32, i128> = found
        .into_iter()
        .map(|(id, balance)| (id, i128::from(balance)))
        .collect();
    assert_eq!(found, expected, "each transfer happened once");
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

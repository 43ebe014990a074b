//! Transactions of a service of two nodes in this process, over HTTP.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use memgen::{Config, prelude::*, server::Running};
use memgen_tests::{Client, Folder};
use serde_json::json;

const ACCOUNTS: u32 = 8;
const OPENING: u64 = 100;
const TOTAL: u64 = ACCOUNTS as u64 * OPENING;

/// An account.
#[stateful_api(path = "/accounts", topic = "accounts", partitions = 4, crud(get, put))]
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
struct Account {
    #[key]
    id: u32,
    balance: u64,
}

/// From one account to another.
#[handler(post, "/transfer/{from}/{to}/{amount}")]
async fn transfer(tx: &mut Tx, from: u32, to: u32, amount: u64) -> Result<NoContent> {
    let payer = tx.get::<Account>(&from).await?;
    let mut payer = payer.ok_or_else(|| NotFound::new("no payer"))?;
    let left = payer.balance.checked_sub(amount);
    payer.balance = left.ok_or_else(|| Conflict::new("there is not enough"))?;
    tx.put(payer)?;
    let paid = tx.update(&to, |entry: &mut Entry<Account>| {
        entry.get_mut().map(|payee| payee.balance += amount)
    });
    paid.await?.ok_or_else(|| NotFound::new("no payee"))?;
    Ok(NoContent)
}

/// What is in all accounts.
#[handler(get, "/total")]
async fn total(tx: &Tx) -> Result<Json<u64>> {
    let mut total = 0;
    for id in 0..ACCOUNTS {
        total += tx.get::<Account>(&id).await?.map_or(0, |it| it.balance);
    }
    Ok(Json(total))
}

/// An order of a customer.
#[stateful_api(path = "/customers/{customer}/orders", partitions = 4)]
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
struct Order {
    #[key]
    #[partition_by]
    customer: String,
    #[key]
    number: u32,
}

/// A new order of the one customer, with the next number. The other one is told how many there are.
#[handler(post, "/order/{customer}/{other}")]
async fn order(tx: &mut Tx, customer: String, other: String) -> Result<Json<[usize; 2]>> {
    let first = (customer.clone(), 0);
    let number = tx.list::<Order>(first.clone()..).await?.len();
    let number = u32::try_from(number).map_err(Problem::internal)?;
    tx.put(Order { customer, number })?;
    let own = tx.list::<Order>(first..).await?.len();
    Ok(Json([own, tx.list::<Order>((other, 0)..).await?.len()]))
}

/// The numbers of the orders of a customer, from some on.
#[handler(get, "/orders/{customer}/{from}")]
async fn orders(tx: &Tx, customer: String, from: u32) -> Result<Json<Vec<u32>>> {
    let orders = tx.list::<Order>((customer, from)..).await?;
    Ok(Json(orders.into_iter().map(|it| it.number).collect()))
}

/// Accounts have no ranges.
#[handler(get, "/accounts-from/{id}")]
async fn accounts_from(tx: &Tx, id: u32) -> Result<Json<usize>> {
    Ok(Json(tx.list::<Account>(id..).await?.len()))
}

async fn start(data: &Path, nodes: u16) -> (Running, Vec<Client>) {
    let anywhere = "127.0.0.1:0".parse().expect("an address");
    let config = Config {
        http: anywhere,
        admin: anywhere,
        peer: anywhere,
        data: data.to_owned(),
        nodes,
        ..Config::default()
    };
    let service = memgen::service!(
        Account,
        Order,
        transfer,
        total,
        order,
        orders,
        accounts_from
    );
    let running = service.start(config).await.expect("it starts");
    let clients = running.nodes().iter();
    let clients = clients.map(|node| Client::new(format!("http://{}", node.http)));
    let clients = clients.collect();
    (running, clients)
}

async fn balance(client: &Client, id: u32) -> i64 {
    let account = client.get(&format!("/accounts/{id}")).await.json();
    account["balance"].as_i64().expect("a number")
}

/// Each customer's orders are numbered without a gap, and the two of one answer are of one moment: none of two has seen less of both than another one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_into_a_range_is_not_overlooked() {
    const EACH: usize = 20;
    let folder = Folder::new();
    let (running, clients) = start(folder.path(), 2).await;
    let workers = (0..4).map(|index| {
        let client = clients[index % 2].clone();
        let turned = index < 2;
        async move {
            let mut seen = Vec::new();
            for _ in 0..EACH {
                let (one, other) = if turned { ("b/", "a") } else { ("a", "b/") };
                let path = format!(
                    "/order/{}/{}",
                    one.replace('/', "%2F"),
                    other.replace('/', "%2F")
                );
                let reply = client.post_empty(&path).await;
                assert_eq!(reply.status, 200, "{reply:?}");
                let [own, others]: [usize; 2] =
                    serde_json::from_value(reply.json()).expect("two numbers");
                seen.push(if turned { (others, own) } else { (own, others) });
            }
            seen
        }
    });
    let seen = futures_util::future::join_all(workers).await;
    let mut seen: Vec<_> = seen.into_iter().flatten().collect();
    seen.sort_unstable();
    for pair in seen.windows(2) {
        let [(a, b), (later_a, later_b)] = pair else {
            unreachable!("windows of two");
        };
        assert!(a <= later_a && b <= later_b, "{seen:?}");
        assert_eq!(a + b + 1, later_a + later_b, "{seen:?}");
    }
    for client in &clients {
        for customer in ["a", "b%2F"] {
            let numbers = client.get(&format!("/orders/{customer}/30")).await;
            assert_eq!(numbers.json(), json!((30..40).collect::<Vec<_>>()));
        }
        let none = client.get("/orders/c/0").await;
        assert_eq!(none.json(), json!([]));
        assert_eq!(client.get("/accounts-from/0").await.status, 500);
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transfers_over_two_nodes_and_a_restart() {
    let folder = Folder::new();
    let (running, clients) = start(folder.path(), 2).await;
    for id in 0..ACCOUNTS {
        let path = format!("/accounts/{id}");
        let account = json!({"id": id, "balance": OPENING});
        assert_eq!(clients[0].put(&path, &account).await.status, 201);
    }
    let refused = clients[0].post_empty("/transfer/0/1/101").await;
    assert_eq!(refused.status, 409, "{refused:?}");
    let refused = clients[1].post_empty("/transfer/0/99/1").await;
    assert_eq!(refused.status, 404, "nothing of it happened: {refused:?}");
    assert_eq!(balance(&clients[0], 0).await, 100);

    let stop = Arc::new(AtomicBool::new(false));
    let mut transfers = Vec::new();
    for index in 0..8_usize {
        let client = clients[index % 2].clone();
        transfers.push(tokio::spawn(async move {
            let mut done = Vec::new();
            for number in 0..60 {
                let (from, to) = (fastrand::u32(..ACCOUNTS), fastrand::u32(..ACCOUNTS));
                let amount = fastrand::u32(1..30);
                let path = format!("/transfer/{from}/{to}/{amount}");
                let key = format!("{index}-{number}");
                // With an id, which is sent twice, or without.
                let times = if number % 2 == 0 { 2 } else { 1 };
                let mut last = None;
                for _ in 0..times {
                    let mut request = client.request("POST", &path);
                    if times == 2 {
                        request = request.header("idempotency-key", &key);
                    }
                    let reply = request.send().await;
                    assert!(matches!(reply.status, 204 | 409), "{reply:?}");
                    assert!(last.is_none_or(|last| last == reply.status), "{reply:?}");
                    last = Some(reply.status);
                }
                if last == Some(204) {
                    done.push((from, to, i64::from(amount)));
                }
            }
            done
        }));
    }
    let mut audits = Vec::new();
    for client in clients.clone() {
        let stop = stop.clone();
        audits.push(tokio::spawn(async move {
            let mut seen = 0;
            while !stop.load(Ordering::SeqCst) {
                let total = client.get("/total").await;
                assert_eq!((total.status, total.text()), (200, &*TOTAL.to_string()));
                seen += 1;
            }
            seen
        }));
    }
    let mut expected: BTreeMap<u32, i64> = (0..ACCOUNTS).map(|id| (id, 100)).collect();
    for client in transfers {
        for (from, to, amount) in client.await.expect("no client panics") {
            *expected.entry(from).or_default() -= amount;
            *expected.entry(to).or_default() += amount;
        }
    }
    stop.store(true, Ordering::SeqCst);
    for audit in audits {
        assert!(audit.await.expect("no audit panics") > 0);
    }
    running.stop().await;

    for nodes in [1, 2] {
        let (running, clients) = start(folder.path(), nodes).await;
        for (id, expected) in &expected {
            let found = balance(clients.last().expect("a node"), *id).await;
            assert_eq!(found, *expected, "account {id}, with {nodes} nodes");
        }
        running.stop().await;
    }
}

//! `kill -9` in the middle: each payment of the ledger happens once, and each has a receipt.

use std::{collections::BTreeSet, fmt::Write as _};

use memgen_tests::Service;

use super::*;

const ACCOUNTS: u32 = 20;
const OPENING: u64 = 1_000_000;
const PAYMENTS: u32 = 4000;

/// A payment, by its number. Every hundredth can't be made.
fn payment(number: u32) -> Value {
    let from = if number % 100 == 99 {
        999
    } else {
        number % ACCOUNTS
    };
    json!({
        "id": format!("payment-{number}"),
        "from": from,
        "to": (number + 7) % ACCOUNTS,
        "amount": 1 + number % 50,
    })
}

/// What a payment does to an account.
fn effect(number: u32, id: u32) -> i64 {
    let payment = payment(number);
    if payment["from"] == 999 {
        return 0;
    }
    let amount = payment["amount"].as_i64().expect("a number");
    if payment["from"] == id {
        -amount
    } else if payment["to"] == id {
        amount
    } else {
        0
    }
}

async fn chaos(nodes: &str, kills: usize) {
    let service = Service::new("ledger").args(&["--nodes", nodes]);
    let file = service.folder().join("payments.jsonl");
    let mut lines = String::new();
    for number in 0..PAYMENTS {
        writeln!(lines, "{}", json!({"value": payment(number)})).expect("a string");
    }
    std::fs::write(&file, lines).expect("the folder can be written");
    {
        let running = service.start().await;
        for id in 0..ACCOUNTS {
            let opening = json!({"balance": OPENING});
            let reply = running
                .client()
                .put(&format!("/accounts/{id}"), &opening)
                .await;
            assert_eq!(reply.status, 201, "{reply:?}");
        }
    }
    let service = service.args(&["--replay", &file.to_string_lossy()]);
    for _ in 0..kills {
        let mut running = service.start().await;
        tokio::time::sleep(Duration::from_millis(fastrand::u64(20..600))).await;
        running.kill_9();
    }
    let mut running = service.start().await;
    let count: usize = nodes.parse().expect("a number");
    let admins: Vec<_> = running.addresses("admin").iter().map(Client::new).collect();
    assert_eq!(admins.len(), count);
    caught_up(&admins, "payments", PAYMENTS.into()).await;
    let client = running.client();
    for id in 0..ACCOUNTS {
        let account = client.get(&format!("/accounts/{id}")).await.json();
        let changes: i64 = (0..PAYMENTS).map(|number| effect(number, id)).sum();
        let expected = i64::try_from(OPENING).expect("it fits") + changes;
        assert_eq!(account["balance"], expected, "account {id}");
    }
    // Each that was made has a receipt, and no other.
    let made: BTreeSet<String> = (0..PAYMENTS)
        .filter(|number| number % 100 != 99)
        .map(|number| format!("payment-{number}"))
        .collect();
    let ids = async |topic: &str| {
        let mut ids = Vec::new();
        for partition in records(service.data(), topic).await {
            for record in without_repeats(&partition) {
                let value: Value =
                    serde_json::from_slice(record.value.as_ref().expect("a value")).expect("JSON");
                ids.push(value["id"].as_str().expect("text").to_owned());
            }
        }
        ids
    };
    let receipts = until("all receipts arrive", async || {
        let receipts = ids("receipts").await;
        (receipts.len() >= made.len()).then_some(receipts)
    })
    .await;
    assert_eq!(
        receipts.len(),
        made.len(),
        "without repeats each is there once"
    );
    assert_eq!(receipts.into_iter().collect::<BTreeSet<_>>(), made);
    let refused = until("all others are refused", async || {
        let refused = ids("payments-refused").await;
        (refused.len() >= PAYMENTS as usize / 100).then_some(refused)
    })
    .await;
    assert_eq!(refused.len(), PAYMENTS as usize / 100);
    running.assert_sound();
    running.terminate().await;

    // Position and state agree after a replay of the log from its start.
    let running = service.start().await;
    let admins: Vec<_> = running.addresses("admin").iter().map(Client::new).collect();
    caught_up(&admins, "payments", PAYMENTS.into()).await;
    let client = running.client();
    let all = json!({"accounts": (0..ACCOUNTS).collect::<Vec<_>>()});
    let total = client.post("/audit", &all).await.json();
    assert_eq!(total["total"], u64::from(ACCOUNTS) * OPENING);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn payments_happen_once_over_kills() {
    chaos("1", 6).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn payments_happen_once_over_kills_of_two_nodes() {
    chaos("2", 4).await;
}

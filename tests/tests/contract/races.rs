//! Many at once, and requests that come again: each id is given once, and nothing is done twice.

use memgen_tests::{Client, Random};
use serde_json::{Value, json};

use super::owners::{create_owner, restart, start};

#[tokio::test]
async fn many_create_at_once() {
    let started = start(2).await;
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..8 {
        let client = started.client(task % 2);
        tasks.spawn(async move {
            let mut ids = Vec::new();
            for n in 0..25 {
                ids.push(
                    create_owner(
                        &client,
                        &json!({"name": format!("{task} {n}"), "city": "Ulm"}),
                    )
                    .await,
                );
            }
            ids
        });
    }
    let mut ids: Vec<i64> = tasks.join_all().await.into_iter().flatten().collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 200, "each has an id of its own");
    // Of many that want one name, one gets it.
    let pets = format!("/owners/{}/pets", ids[0]);
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..8 {
        let (client, pets) = (started.client(task % 2), pets.clone());
        tasks.spawn(async move {
            client
                .post(&pets, &json!({"name": "one", "status": "sold"}))
                .await
                .status
        });
    }
    let mut statuses = tasks.join_all().await;
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409, 409, 409, 409, 409, 409, 409]);
    started.running.stop().await;
}

#[tokio::test]
async fn a_request_that_comes_again_makes_nothing_twice() {
    let mut started = start(2).await;
    let mut random = Random::new();
    for round in 0..10 {
        let id = format!("key {round} {}", random.below(1_000_000));
        let body = json!({"data": {"name": "o"}});
        let send = |client: Client, body: Value| {
            let id = id.clone();
            async move {
                client
                    .request("POST", "/owners")
                    .header("idempotency-key", &id)
                    .json(&body)
                    .send()
                    .await
            }
        };
        let first = send(started.client(0), body.clone()).await;
        assert_eq!(first.status, 201, "{first:?}");
        if round == 5 {
            started = restart(started, 2).await;
        }
        for node in 0..2 {
            let again = send(started.client(node), body.clone()).await;
            assert_eq!(
                (again.status, again.json()),
                (201, first.json()),
                "{again:?}"
            );
            assert_eq!(again.header("location"), first.header("location"));
            let other = send(started.client(node), json!({"data": {"name": "p"}})).await;
            assert_eq!(
                other.status, 422,
                "another request with the same key: {other:?}"
            );
        }
    }
    let all = started.client(0).get("/owners").await;
    assert_eq!(all.json()["total"], 10, "{all:?}");
    started.running.stop().await;
}

#[tokio::test]
async fn taken_keys_are_tried_around_and_not_remembered() {
    let started = start(2).await;
    let create = |node: usize, key: usize| {
        let client = started.client(node);
        async move {
            let request = client
                .request("POST", "/slots")
                .header("idempotency-key", &format!("slot {key}"));
            request.json(&json!({"label": "x"})).send().await
        }
    };
    let mut made = Vec::new();
    let mut refused = None;
    for key in 0..200 {
        let reply = create(key % 2, key).await;
        match reply.status {
            201 => made.push((key, reply.json()["id"].as_i64().expect("an id"))),
            503 => refused = Some(key),
            _ => panic!("{reply:?}"),
        }
    }
    let mut ids: Vec<i64> = made.iter().map(|(_, id)| *id).collect();
    ids.sort_unstable();
    assert_eq!(
        ids,
        (1..=10).collect::<Vec<_>>(),
        "each slot is taken, once"
    );
    for (key, id) in &made {
        let again = create(0, *key).await;
        assert_eq!(
            (again.status, &again.json()["id"]),
            (201, &json!(id)),
            "{again:?}"
        );
    }
    let client = started.client(0);
    let label = |id: i64, label: &str| json!({"id": id, "label": label});
    assert_eq!(
        client.put("/slots", &label(3, "y")).await.json(),
        label(3, "y")
    );
    for id in ids {
        assert_eq!(client.delete(&format!("/slots/{id}")).await.status, 204);
    }
    assert_eq!(client.put("/slots", &label(3, "y")).await.status, 404);
    let refused = refused.expect("there are only ten");
    assert_eq!(
        create(1, refused).await.status,
        201,
        "a refusal is no outcome"
    );
    started.running.stop().await;
}

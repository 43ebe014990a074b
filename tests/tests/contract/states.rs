//! The operations that the runtime does by a document on its states: over HTTP, on two nodes, across restarts.

use memgen_tests::Reply;
use serde_json::{Value, json};

use super::owners::{create_owner, restart, start};

/// The reply without what the clock decides.
fn without_times(reply: &Reply) -> Value {
    let mut body = reply.json();
    for at in ["", "/data"] {
        if let Some(Value::Object(fields)) = body.pointer_mut(at) {
            fields.remove("createdAt");
            fields.remove("updatedAt");
        }
    }
    body
}

#[tokio::test]
async fn an_entity_from_its_beginning_to_its_end() {
    let started = start(2).await;
    let (client, other) = (started.client(0), started.client(1));
    for round in 0..10 {
        let owner = json!({"name": format!("a{round}"), "city": "Ulm", "password": "secret", "id": 3, "createdAt": "1999-01-01T00:00:00Z"});
        let reply = client.post("/owners", &json!({"data": owner})).await;
        assert_eq!(reply.status, 201, "{reply:?}");
        let made = reply.json();
        let id = made["data"]["id"].as_i64().expect("an id");
        assert!(id > 3, "the server makes it: {reply:?}");
        assert_ne!(made["data"]["createdAt"], "1999-01-01T00:00:00Z");
        assert_eq!(made["kind"], "owner");
        assert_eq!(made["data"].get("password"), None);
        let path = format!("/owners/{id}");
        assert_eq!(reply.header("location"), Some(path.as_str()));
        assert!(reply.header("memgen-position").is_some());

        let read = other.get(&path).await;
        assert_eq!(
            (read.status, read.json(), read.etag()),
            (200, made.clone(), reply.etag())
        );

        let stale = client
            .request("PUT", &path)
            .header("if-match", "\"0000000000000000\"");
        assert_eq!(stale.json(&json!({"name": "b"})).send().await.status, 412);
        let fresh = client
            .request("PUT", &path)
            .header("if-match", reply.etag());
        let replaced = fresh
            .json(&json!({"name": "b", "since": "2020-01-01T00:00:00Z"}))
            .send()
            .await;
        assert_eq!(replaced.status, 200, "{replaced:?}");
        assert_eq!(
            without_times(&replaced),
            json!({"id": id, "name": "b", "since": "2020-01-01T00:00:00Z"})
        );
        assert_eq!(
            replaced.json()["createdAt"],
            made["data"]["createdAt"],
            "it is made once"
        );

        let patched = other.patch(&path, &json!({"city": "Bonn"})).await;
        assert_eq!(without_times(&patched)["city"], "Bonn", "{patched:?}");
        let steps = json!([{"op": "replace", "path": "/city", "value": "Köln"}, {"op": "add", "path": "/id", "value": 5}]);
        let patched = client
            .request("PATCH", &path)
            .header("content-type", "application/json-patch+json");
        let patched = patched.body(steps.to_string()).send().await;
        assert_eq!(patched.status, 200, "{patched:?}");
        assert_eq!(
            (&patched.json()["city"], &patched.json()["id"]),
            (&json!("Köln"), &json!(id))
        );
        let wrong = client.patch(&path, &json!({"name": null})).await;
        assert_eq!(wrong.status, 422, "{wrong:?}");
        assert!(wrong.text().contains("name"), "{wrong:?}");
        let wrong = client.patch(&path, &json!({"name": ""})).await;
        assert_eq!(wrong.status, 422, "the result is checked: {wrong:?}");
        assert!(wrong.text().contains("/name"), "{wrong:?}");

        let gone = other.delete(&path).await;
        assert_eq!((gone.status, gone.body.len()), (204, 0));
        for (method, body) in [
            ("GET", None),
            ("DELETE", None),
            ("PUT", Some(json!({"name": "b"}))),
            ("PATCH", Some(json!({}))),
        ] {
            let request = client.request(method, &path);
            let reply = match (method, body) {
                ("PATCH", _) => client.patch(&path, &json!({})).await,
                (_, Some(body)) => request.json(&body).send().await,
                (_, None) => request.send().await,
            };
            assert_eq!(reply.status, 404, "{method}: {reply:?}");
        }
    }
    started.running.stop().await;
}

#[tokio::test]
async fn a_resource_within_another() {
    let started = start(2).await;
    let (client, other) = (started.client(0), started.client(1));
    let nobody = client
        .post("/owners/77/pets", &json!({"name": "x", "status": "sold"}))
        .await;
    assert_eq!(nobody.status, 404, "{nobody:?}");
    for _ in 0..5 {
        let owner = create_owner(&client, &json!({"name": "o"})).await;
        let pets = format!("/owners/{owner}/pets");
        let rex = json!({"name": "re/x", "status": "sold"});
        let reply = client.post(&pets, &rex).await;
        assert_eq!(
            (reply.status, reply.json()),
            (201, rex.clone()),
            "{reply:?}"
        );
        let path = format!("{pets}/re%2Fx");
        assert_eq!(reply.header("location"), Some(path.as_str()));
        let again = other.post(&pets, &rex).await;
        assert_eq!(again.status, 409, "{again:?}");
        assert!(
            again.json()["message"].as_str().is_some(),
            "in the document's shape: {again:?}"
        );
        assert_eq!(other.get(&path).await.json(), rex);

        let minka = json!({"name": "minka", "status": "available", "tame": true, "weight": 3.5});
        let path = format!("{pets}/minka");
        assert_eq!(other.put(&path, &minka).await.status, 201);
        assert_eq!(client.put(&path, &minka).await.status, 200);
        let other_name = client
            .put(&path, &json!({"name": "rex", "status": "sold"}))
            .await;
        assert_eq!(other_name.status, 422, "{other_name:?}");
        assert!(other_name.text().contains("/name"), "{other_name:?}");

        for (query, names) in [
            ("", vec!["minka", "re/x"]),
            ("?status=sold", vec!["re/x"]),
            ("?status=sold&status=available", vec!["minka", "re/x"]),
            ("?tame=true", vec!["minka"]),
            ("?tame=false", vec![]),
            ("?weight=3.50", vec!["minka"]),
            ("?size=1&page=1", vec!["minka"]),
            ("?size=1&page=2", vec!["re/x"]),
            ("?size=1&page=3", vec![]),
            ("?page=99999999999", vec![]),
        ] {
            for client in [&client, &other] {
                let reply = client.get(&format!("{pets}{query}")).await;
                let Value::Array(found) = reply.json() else {
                    panic!("{reply:?}")
                };
                let found: Vec<_> = found
                    .iter()
                    .filter_map(|pet| pet["name"].as_str())
                    .collect();
                assert_eq!(found, names, "{query}");
            }
        }
        let gone = client.delete(&path).await;
        assert_eq!((gone.status, gone.json()), (200, json!({"deleted": true})));
    }
    started.running.stop().await;
}

#[tokio::test]
async fn what_is_wrong_is_said() {
    let started = start(1).await;
    let client = started.client(0);
    let owner = create_owner(&client, &json!({"name": "o"})).await;
    for (method, path, body, status, word) in [
        ("GET", "/owners/x".to_owned(), None, 400, "ownerId"),
        ("GET", "/owners/5".to_owned(), None, 404, "owner"),
        ("GET", "/owners?cursor=x".to_owned(), None, 400, "cursor"),
        ("GET", "/owners?limit=0".to_owned(), None, 422, "limit"),
        (
            "GET",
            "/owners?limit=1&sort=name".to_owned(),
            None,
            501,
            "sort",
        ),
        ("POST", "/owners".to_owned(), Some(json!({})), 422, "data"),
        (
            "POST",
            "/owners".to_owned(),
            Some(json!({"data": {}})),
            422,
            "name",
        ),
        (
            "POST",
            "/owners".to_owned(),
            Some(json!({"data": {"name": ""}})),
            422,
            "/data/name",
        ),
        (
            "POST",
            format!("/owners/{owner}/pets"),
            Some(json!({"status": "sold"})),
            422,
            "name",
        ),
        (
            "POST",
            format!("/owners/{owner}/pets"),
            Some(json!({"name": "a", "status": "lost"})),
            422,
            "/status",
        ),
        (
            "PUT",
            format!("/owners/{owner}"),
            Some(json!({"city": "x"})),
            422,
            "name",
        ),
    ] {
        let request = client.request(method, &path);
        let reply = match body {
            Some(body) => request.json(&body).send().await,
            None => request.send().await,
        };
        assert_eq!(reply.status, status, "{method} {path}: {reply:?}");
        assert!(reply.text().contains(word), "{method} {path}: {reply:?}");
    }
    started.running.stop().await;
}

#[tokio::test]
async fn a_restart_keeps_all() {
    let mut started = start(1).await;
    let client = started.client(0);
    let owner = create_owner(&client, &json!({"name": "o", "password": "p"})).await;
    let pets = format!("/owners/{owner}/pets");
    assert_eq!(
        client
            .post(&pets, &json!({"name": "a", "status": "sold"}))
            .await
            .status,
        201
    );
    let before = client.get(&format!("/owners/{owner}")).await;
    started = restart(started, 1).await;
    let client = started.client(0);
    let after = client.get(&format!("/owners/{owner}")).await;
    assert_eq!((after.json(), after.etag()), (before.json(), before.etag()));
    assert_eq!(
        client.get(&pets).await.json(),
        json!([{"name": "a", "status": "sold"}])
    );
    started.running.stop().await;
}

//! The HTTP contract, row by row, on the register example.

use memgen_tests::{Client, Reply, Running, Service};
use serde_json::{Value, json};

async fn register() -> (Running, Client) {
    let running = Service::new("register").start().await;
    let client = running.client();
    (running, client)
}

/// Sends `request` (`PUT /r/a`) with a JSON body, if it isn't empty.
async fn send(client: &Client, request: &str, body: &str) -> Reply {
    let (method, path) = request.split_once(' ').expect("a method and a path");
    let outgoing = client.request(method, path);
    let outgoing = match (method, body) {
        (_, "") => outgoing,
        ("PATCH", _) => outgoing
            .header("content-type", "application/merge-patch+json")
            .body(body.to_owned()),
        _ => outgoing
            .header("content-type", "application/json")
            .body(body.to_owned()),
    };
    outgoing.send().await
}

/// One request and what must come back: a body that is this JSON, none for null, a problem document for an error.
async fn check(client: &Client, request: &str, body: &str, status: u16, expected: Value) -> Reply {
    let reply = send(client, request, body).await;
    assert_eq!(reply.status, status, "{request} {body}: {reply:?}");
    if status >= 400 {
        reply.problem();
    } else if expected.is_null() {
        assert!(reply.body.is_empty(), "{request} {body}: {reply:?}");
    } else {
        assert_eq!(
            reply.header("content-type"),
            Some("application/json"),
            "{request} {body}"
        );
        assert_eq!(reply.json(), expected, "{request} {body}");
    }
    reply
}

#[tokio::test]
async fn entities() {
    let (mut running, client) = register().await;
    let none = Value::Null;
    let a = |value: Value| json!({"key": "a", "value": value});
    let rows = [
        ("GET /r/a", "", 404, none.clone()),
        ("PUT /r/a", r#"{"value": 1}"#, 201, a(json!(1))),
        ("GET /r/a", "", 200, a(json!(1))),
        ("PUT /r/a", r#"{"value": [2]}"#, 200, a(json!([2]))),
        ("PUT /r/a", r#"{"key": "a", "value": 3}"#, 200, a(json!(3))),
        ("PUT /r/a", r#"{"key": "b", "value": 3}"#, 422, none.clone()),
        ("PUT /r/a", r#"{"value": null}"#, 200, a(json!(null))),
        ("PUT /r/a", r"{}", 422, none.clone()),
        ("PUT /r/a", r"[]", 422, none.clone()),
        ("PUT /r/a", r#"{"value": 1"#, 400, none.clone()),
        (
            "PUT /r/a",
            r#"{"value": {"x": 1, "y": {"z": 2}}}"#,
            200,
            a(json!({"x": 1, "y": {"z": 2}})),
        ),
        (
            "PATCH /r/a",
            r#"{"value": {"x": null, "y": {"w": 3}}}"#,
            200,
            a(json!({"y": {"z": 2, "w": 3}})),
        ),
        ("PATCH /r/a", r#"{"value": 7}"#, 200, a(json!(7))),
        ("PATCH /r/a", r#"{"key": "b"}"#, 422, none.clone()),
        ("PATCH /r/missing", r#"{"value": 7}"#, 404, none.clone()),
        (
            "POST /r",
            r#"{"key": "b", "value": "x"}"#,
            201,
            json!({"key": "b", "value": "x"}),
        ),
        (
            "POST /r",
            r#"{"key": "b", "value": "x"}"#,
            409,
            none.clone(),
        ),
        ("POST /r", r#"{"value": "x"}"#, 422, none.clone()),
        ("DELETE /r/a", "", 204, none.clone()),
        ("DELETE /r/a", "", 404, none.clone()),
        ("GET /r/a", "", 404, none.clone()),
        ("PUT /r/a", r#"{"value": 1}"#, 201, a(json!(1))),
        ("GET /nowhere", "", 404, none.clone()),
        ("GET /r/a/add", "", 405, none.clone()),
        ("DELETE /r", "", 405, none),
    ];
    for (request, body, status, expected) in rows {
        let reply = check(&client, request, body, status, expected).await;
        if status == 200 || status == 201 {
            assert!(!reply.etag().is_empty(), "{request}");
        }
    }
    let created = check(
        &client,
        "POST /r",
        r#"{"key": "c/d", "value": 1}"#,
        201,
        json!({"key": "c/d", "value": 1}),
    )
    .await;
    assert_eq!(created.header("location"), Some("/r/c%2Fd"));
    let allowed = send(&client, "GET /r/a/add", "").await;
    assert_eq!(allowed.header("allow"), Some("POST"));
    running.assert_sound();
}

#[tokio::test]
async fn add_and_append() {
    let (_running, client) = register().await;
    let n = |value: Value| json!({"key": "n", "value": value});
    let l = |value: Value| json!({"key": "l", "value": value});
    let none = Value::Null;
    let rows = [
        ("POST /r/n/add", r#"{"by": 2}"#, 200, n(json!(2))),
        ("POST /r/n/add", r#"{"by": -5}"#, 200, n(json!(-3))),
        ("POST /r/n/add", r#"{"by": 0.5}"#, 200, n(json!(-2.5))),
        ("POST /r/n/add", r#"{"by": "1"}"#, 422, none.clone()),
        ("POST /r/n/add", r"{}", 422, none.clone()),
        (
            "POST /r/n/add",
            r#"{"by": 1, "twice": true}"#,
            422,
            none.clone(),
        ),
        ("POST /r/n/add", r"", 415, none.clone()),
        (
            "PUT /r/n",
            r#"{"value": 18446744073709551615}"#,
            200,
            n(json!(u64::MAX)),
        ),
        ("POST /r/n/add", r#"{"by": 1}"#, 409, none.clone()),
        ("GET /r/n", "", 200, n(json!(u64::MAX))),
        ("POST /r/n/append", r#"{"item": 1}"#, 409, none.clone()),
        ("POST /r/l/append", r#"{"item": 1}"#, 200, l(json!([1]))),
        (
            "POST /r/l/append",
            r#"{"item": {"a": null}}"#,
            200,
            l(json!([1, {"a": null}])),
        ),
        (
            "POST /r/l/append",
            r#"{"item": null}"#,
            200,
            l(json!([1, {"a": null}, null])),
        ),
        ("POST /r/l/append", r"{}", 422, none.clone()),
        ("POST /r/l/add", r#"{"by": 1}"#, 409, none.clone()),
        // A refused command on a missing key leaves nothing.
        ("POST /r/x/add", r#"{"by": "1"}"#, 422, none.clone()),
        ("GET /r/x", "", 404, none),
    ];
    for (request, body, status, expected) in rows {
        let reply = check(&client, request, body, status, expected).await;
        if status == 200 {
            assert!(!reply.etag().is_empty(), "{request}");
        }
    }
}

#[tokio::test]
async fn conditions() {
    let (_running, client) = register().await;
    let first = client
        .put("/r/a", &json!({"value": 1}))
        .await
        .etag()
        .to_owned();
    let second = client
        .put("/r/a", &json!({"value": 2}))
        .await
        .etag()
        .to_owned();
    assert_ne!(first, second);
    assert_eq!(client.get("/r/a").await.etag(), second);

    let body = r#"{"value": 2}"#;
    let other = "\"other\"";
    let both = format!("{other}, {second}");
    let rows = [
        ("GET", "/r/a", "if-none-match", second.as_str(), 304),
        ("GET", "/r/a", "if-none-match", &first, 200),
        ("GET", "/r/a", "if-none-match", "*", 304),
        ("GET", "/r/a", "if-none-match", &both, 304),
        ("GET", "/r/a", "if-match", &first, 412),
        ("PUT", "/r/a", "if-match", &first, 412),
        ("PUT", "/r/a", "if-match", &second, 200),
        ("PUT", "/r/a", "if-match", "*", 200),
        ("PUT", "/r/a", "if-match", &both, 200),
        ("PUT", "/r/a", "if-none-match", "*", 412),
        ("PUT", "/r/new", "if-none-match", "*", 201),
        ("PUT", "/r/missing", "if-match", "*", 412),
        ("PATCH", "/r/a", "if-match", &first, 412),
        ("DELETE", "/r/a", "if-match", &first, 412),
        ("DELETE", "/r/a", "if-match", "*", 204),
    ];
    for (method, path, header, value, status) in rows {
        let request = client.request(method, path).header(header, value);
        let request = match method {
            "PUT" => request
                .header("content-type", "application/json")
                .body(body),
            "PATCH" => request
                .header("content-type", "application/merge-patch+json")
                .body(body),
            _ => request,
        };
        let reply = request.send().await;
        assert_eq!(
            reply.status, status,
            "{method} {path} {header}: {value}: {reply:?}"
        );
        if status == 412 {
            reply.problem();
        }
    }
}

#[tokio::test]
async fn handlers_take_conditions_too() {
    let (_running, client) = register().await;
    let tag = client
        .post("/r/n/add", &json!({"by": 1}))
        .await
        .etag()
        .to_owned();
    let add = async |tag: &str| {
        let request = client.request("POST", "/r/n/add").header("if-match", tag);
        request.json(&json!({"by": 1})).send().await.status
    };
    assert_eq!(add(&tag).await, 200);
    assert_eq!(add(&tag).await, 412);
    assert_eq!(client.get("/r/n").await.json()["value"], 2);
}

#[tokio::test]
async fn a_request_with_an_id_happens_once() {
    let (mut running, client) = register().await;
    let add = async |client: &Client, id: &str, by: u32| {
        let request = client.request("POST", "/r/n/add");
        let request = request.header("idempotency-key", id);
        request.json(&json!({"by": by})).send().await
    };
    let first = add(&client, "one", 5).await;
    assert_eq!(
        (first.status, first.json()["value"].as_u64()),
        (200, Some(5))
    );
    assert_eq!(add(&client, "two", 1).await.json()["value"], 6);
    let again = add(&client, "one", 5).await;
    assert_eq!((again.status, &again.body), (200, &first.body));
    assert_eq!(again.header("etag"), first.header("etag"));
    assert_eq!(
        again.header("memgen-position"),
        first.header("memgen-position")
    );
    let other = add(&client, "one", 6).await;
    assert_eq!(other.status, 422);
    other.problem();
    assert_eq!(client.get("/r/n").await.json()["value"], 6);

    // A refusal is an answer, too, and is kept.
    client.put("/r/s", &json!({"value": "text"})).await;
    let refused = async || {
        let request = client
            .request("POST", "/r/s/add")
            .header("idempotency-key", "three");
        request.json(&json!({"by": 1})).send().await.status
    };
    assert_eq!(refused().await, 409);
    client.put("/r/s", &json!({"value": 1})).await;
    assert_eq!(refused().await, 409);

    // Many at once: one of them does it.
    let requests = (0..20).map(|_| add(&client, "many", 100));
    for reply in futures_util::future::join_all(requests).await {
        assert!(
            (reply.status, reply.json()["value"].as_u64()) == (200, Some(106))
                || reply.status == 409,
            "{reply:?}"
        );
    }
    assert_eq!(client.get("/r/n").await.json()["value"], 106);
    running.assert_sound();
}

#[tokio::test]
async fn ids_that_are_no_ids() {
    let (_running, client) = register().await;
    for id in ["", &"x".repeat(256)] {
        let request = client.request("PUT", "/r/a").header("idempotency-key", id);
        let reply = request.json(&json!({"value": 1})).send().await;
        assert_eq!(reply.status, 400, "{reply:?}");
        reply.problem();
    }
    let id = "x".repeat(255);
    let request = client.request("PUT", "/r/a").header("idempotency-key", &id);
    assert_eq!(request.json(&json!({"value": 1})).send().await.status, 201);
}

#[tokio::test]
async fn a_minimal_reply_has_no_body() {
    let (_running, client) = register().await;
    for (status, value) in [(201, 1), (204, 2)] {
        let request = client
            .request("PUT", "/r/a")
            .header("prefer", "return=minimal");
        let reply = request.json(&json!({"value": value})).send().await;
        assert_eq!(reply.status, status, "{reply:?}");
        assert!(reply.body.is_empty(), "{reply:?}");
        assert_eq!(reply.header("preference-applied"), Some("return=minimal"));
        assert!(!reply.etag().is_empty());
    }
}

#[tokio::test]
async fn lists() {
    let (_running, client) = register().await;
    let empty = check(
        &client,
        "GET /r",
        "",
        200,
        json!({"items": [], "next": null}),
    )
    .await;
    assert_eq!(empty.header("etag"), None);
    let mut keys: Vec<String> = (0..25).map(|n| format!("k{n:02}")).collect();
    keys.extend(["a".to_owned(), "k".to_owned(), "z/ä %".to_owned()]);
    for key in &keys {
        let reply = client.post("/r", &json!({"key": key, "value": key})).await;
        assert_eq!(reply.status, 201, "{reply:?}");
    }
    keys.sort();
    let list = async |query: &str| {
        let reply = client.get(&format!("/r{query}")).await;
        assert_eq!(reply.status, 200, "{query}: {reply:?}");
        let list = reply.json();
        let items = list["items"].as_array().expect("a list").iter();
        let keys = items.map(|item| item["key"].as_str().expect("a text").to_owned());
        (keys.collect::<Vec<_>>(), list["next"].clone())
    };
    assert_eq!(list("").await, (keys.clone(), Value::Null));
    assert_eq!(list("?limit=28").await, (keys.clone(), Value::Null));
    assert_eq!(
        list("?prefix=&after=&limit=").await,
        (keys.clone(), Value::Null),
        "an empty value counts as one that is left out"
    );
    assert_eq!(list("?prefix=k2").await.0, keys[22..27]);
    assert_eq!(list("?prefix=k&limit=3").await.0, keys[1..4]);
    assert_eq!(list("?prefix=nothing").await, (vec![], Value::Null));
    assert_eq!(list("?prefix=k1&after=k18").await.0, ["k19"]);
    assert_eq!(list("?after=z").await.0, ["z/ä %"]);

    for limit in [1, 7, 28] {
        let mut found = Vec::new();
        let mut query = format!("?limit={limit}");
        loop {
            let (page, next) = list(&query).await;
            assert!(page.len() <= limit);
            found.extend(page);
            let Some(next) = next.as_str() else { break };
            let next = next.bytes().map(|byte| format!("%{byte:02X}"));
            query = format!("?limit={limit}&after={}", next.collect::<String>());
        }
        assert_eq!(found, keys, "by {limit}");
    }
    for query in [
        "?limit=0",
        "?limit=-1",
        "?limit=1001",
        "?limit=x",
        "?unknown=1",
    ] {
        let reply = client.get(&format!("/r{query}")).await;
        assert_eq!(reply.status, 400, "{query}: {reply:?}");
        reply.problem();
    }
}

#[tokio::test]
async fn unusual_keys() {
    let (mut running, client) = register().await;
    let longest = "k".repeat(1024);
    let rows = [
        ("a%20b", 201, "a b"),
        ("%2F", 201, "/"),
        ("a%2fb%2Fc", 201, "a/b/c"),
        ("%25", 201, "%"),
        ("%C3%A4", 201, "ä"),
        ("%F0%9F%A6%80", 201, "🦀"),
        ("%2E", 201, "."),
        ("%2E%2E", 201, ".."),
        ("a;b=c,d", 201, "a;b=c,d"),
        ("%7B%22%7D", 201, "{\"}"),
        (&longest, 201, &longest),
    ];
    for (path, status, key) in rows {
        let path = format!("/r/{path}");
        let reply = client.put(&path, &json!({"value": 1})).await;
        assert_eq!(reply.status, status, "{path}: {reply:?}");
        assert_eq!(reply.json()["key"], key, "{path}");
        assert_eq!(client.get(&path).await.json()["key"], key, "{path}");
    }
    let too_long = "k".repeat(1025);
    let rows = [
        ("%00", 400),
        ("a%00b", 400),
        ("%FF", 400),
        ("%C3%28", 400),
        (&too_long, 414),
    ];
    for (path, status) in rows {
        let path = format!("/r/{path}");
        let reply = client.put(&path, &json!({"value": 1})).await;
        assert_eq!(reply.status, status, "{path}: {reply:?}");
        reply.problem();
        let reply = client.get(&path).await;
        assert_eq!(reply.status, status, "{path}: {reply:?}");
    }
    let body_key = client.post("/r", &json!({"key": "a\0b", "value": 1})).await;
    assert_eq!(body_key.status, 422, "{body_key:?}");
    let empty = client.post("/r", &json!({"key": "", "value": 1})).await;
    assert_eq!(empty.status, 422, "{empty:?}");
    running.assert_sound();
}

#[tokio::test]
async fn media_types() {
    let (_running, client) = register().await;
    let rows = [
        ("application/json", 201),
        ("application/json; charset=utf-8", 200),
        ("text/plain", 415),
        ("application/xml", 415),
        ("application/x-www-form-urlencoded", 415),
    ];
    for (media_type, status) in rows {
        let request = client.request("PUT", "/r/a").body(r#"{"value": 1}"#);
        let reply = request.header("content-type", media_type).send().await;
        assert_eq!(reply.status, status, "{media_type}: {reply:?}");
        if status >= 400 {
            reply.problem();
        }
    }
    for encoding in ["gzip", "br", "zstd"] {
        let request = client
            .request("PUT", "/r/a")
            .header("content-encoding", encoding);
        let reply = request.json(&json!({"value": 1})).send().await;
        assert_eq!(reply.status, 415, "{encoding}: {reply:?}");
    }
}

#[tokio::test]
async fn positions_and_ways_to_read() {
    let (_running, client) = register().await;
    let reply = client.put("/r/a", &json!({"value": 1})).await;
    let position = reply
        .header("memgen-position")
        .expect("a write has a position")
        .to_owned();
    let read = async |header: &str, value: &str| {
        let reply = client
            .request("GET", "/r/a")
            .header(header, value)
            .send()
            .await;
        if reply.status >= 400 {
            reply.problem();
        }
        reply.status
    };
    assert_eq!(read("memgen-min-position", &position).await, 200);
    assert_eq!(read("memgen-min-position", "nonsense").await, 400);
    assert_eq!(read("memgen-max-staleness-ms", "0").await, 200);
    assert_eq!(read("memgen-max-staleness-ms", "x").await, 400);
    for (way, status) in [
        ("owner", 200),
        ("replica", 200),
        ("strict", 200),
        ("dirty", 400),
    ] {
        assert_eq!(read("memgen-read", way).await, status, "{way}");
    }
}

#[tokio::test]
async fn nobody_loses_an_addition() {
    let (mut running, client) = register().await;
    let workers = (0..16).map(|_| async {
        for _ in 0..25 {
            let reply = client.post("/r/n/add", &json!({"by": 1})).await;
            assert_eq!(reply.status, 200, "{reply:?}");
        }
    });
    futures_util::future::join_all(workers).await;
    assert_eq!(client.get("/r/n").await.json()["value"], 400);
    running.assert_sound();
}

#[tokio::test]
async fn a_stop_loses_nothing() {
    let service = Service::new("register");
    let mut running = service.start().await;
    let client = running.client();
    for n in 0..50 {
        assert_eq!(
            client
                .put(&format!("/r/{n}"), &json!({"value": n}))
                .await
                .status,
            201
        );
    }
    let before = client.get("/r?limit=1000").await.json();
    assert!(running.terminate().await.success());
    let running = service.start().await;
    assert_eq!(running.client().get("/r?limit=1000").await.json(), before);
}

#[tokio::test]
async fn two_nodes_are_one_service() {
    let running = Service::new("register")
        .args(&["--nodes", "2"])
        .start()
        .await;
    let (one, two) = (running.client_of(0), running.client_of(1));
    for n in 0..30 {
        let path = format!("/r/key{n}");
        let reply = one.put(&path, &json!({"value": n})).await;
        assert_eq!(reply.status, 201, "{reply:?}");
        let other = two.get(&path).await;
        assert_eq!(
            (other.status, other.etag()),
            (200, reply.etag()),
            "{other:?}"
        );
        assert_eq!(
            two.post(&format!("{path}/add"), &json!({"by": 1}))
                .await
                .status,
            200
        );
        assert_eq!(one.get(&path).await.json()["value"], n + 1);
    }
    assert_eq!(one.get("/r").await.json(), two.get("/r").await.json());
    assert_eq!(
        one.get("/r").await.json()["items"].as_array().map(Vec::len),
        Some(30)
    );
}

#[tokio::test]
async fn settings_that_are_wrong_are_named() {
    let rows: [(&[&str], &str); 6] = [
        (&["--http", "nowhere"], "--http"),
        (&["--nodes", "0"], "--nodes"),
        (&["--serve", "8"], "--serve"),
        (&["--log", "paper"], "--log"),
        (&["--no-such-flag"], "--no-such-flag"),
        (&["--config", "/no/such/file.toml"], "/no/such/file.toml"),
    ];
    for (args, named) in rows {
        let (status, output) = Service::new("register").only_args(args).run().await;
        assert!(!status.success(), "{args:?}: {output}");
        assert!(output.contains(named), "{args:?}: {output}");
        assert!(!output.contains("panicked"), "{args:?}: {output}");
    }
    let (status, help) = Service::new("register").only_args(&["--help"]).run().await;
    assert!(status.success(), "{help}");
    for flag in ["--http", "--admin", "--data", "--nodes", "MEMGEN_HTTP"] {
        assert!(help.contains(flag), "{flag} is not in {help}");
    }
}

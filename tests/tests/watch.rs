//! What operators and tools look at: health, metrics, status, the description of the API, and its page.

use std::{collections::BTreeSet, time::Duration};

use memgen_tests::{Client, Running, Service};
use serde_json::{Value, json};

async fn graph() -> (Running, Client, Client) {
    let running = Service::new("graph").start().await;
    let (client, admin) = (running.client(), running.admin());
    (running, client, admin)
}

#[tokio::test]
async fn health() {
    let (mut running, client, admin) = graph().await;
    for path in ["/healthz", "/readyz"] {
        assert_eq!(admin.get(path).await.status, 200, "{path}");
        // Each listener has its own paths.
        assert_eq!(client.get(path).await.status, 404, "{path}");
    }
    assert_eq!(admin.get("/vertex").await.status, 404);
    assert_eq!(admin.get("/nowhere").await.status, 404);
    assert!(running.terminate().await.success(), "{}", running.output());
}

/// The value of the samples whose line begins with `name` and contains all of `labels`, added up.
fn metric(metrics: &str, name: &str, labels: &[&str]) -> f64 {
    let mut found = false;
    let mut sum = 0.0;
    for line in metrics.lines().filter(|line| !line.starts_with('#')) {
        let (series, value) = line.rsplit_once(' ').expect("a sample has a value");
        let family = series.split('{').next().unwrap_or_default();
        if family == name && labels.iter().all(|label| series.contains(label)) {
            found = true;
            sum += value.parse::<f64>().expect("a number");
        }
    }
    assert!(found, "no {name} {labels:?} in\n{metrics}");
    sum
}

#[tokio::test]
async fn metrics() {
    let running = Service::new("register").start().await;
    let (client, admin) = (running.client(), running.admin());
    for n in 0..10 {
        client
            .put(&format!("/r/{n}"), &json!({"value": "x".repeat(100)}))
            .await;
    }
    for _ in 0..5 {
        client.get("/r/1").await;
        client.get("/r/missing").await;
    }
    let reply = admin.get("/metrics").await;
    let media_type = reply.header("content-type").unwrap_or_default();
    assert!(media_type.starts_with("text/plain"), "{media_type}");
    let metrics = reply.text();
    let requests = "memgen_http_requests_total";
    let put = ["method=\"PUT\"", "route=\"/r/{key}\"", "status=\"201\""];
    let get = ["method=\"GET\"", "route=\"/r/{key}\""];
    assert!(
        (metric(metrics, requests, &put) - 10.0).abs() < 0.5,
        "{metrics}"
    );
    assert!(
        (metric(metrics, requests, &get) - 10.0).abs() < 0.5,
        "{metrics}"
    );
    let found = [get[0], get[1], "status=\"404\""];
    assert!(
        (metric(metrics, requests, &found) - 5.0).abs() < 0.5,
        "{metrics}"
    );
    assert!((metric(metrics, "memgen_keys", &["topic=\"register\""]) - 10.0).abs() < 0.5);
    assert!(
        metric(
            metrics,
            "memgen_commit_seconds_count",
            &["topic=\"register\""]
        ) >= 1.0
    );
    assert!(metric(metrics, "memgen_group_records_sum", &["topic=\"register\""]) >= 10.0);
    assert!(metric(metrics, "memgen_bytes", &["topic=\"register\""]) >= 1000.0);
    assert!(metric(metrics, "memgen_log_position", &["topic=\"register\""]) >= 10.0);
    assert!(metric(metrics, "memgen_queue_length", &["topic=\"register\""]) >= 0.0);
    for line in metrics.lines().filter(|line| line.starts_with("# HELP")) {
        assert!(line.split_whitespace().count() > 3, "no help: {line}");
    }
}

#[tokio::test]
async fn status() {
    let (_running, client, admin) = graph().await;
    client.post_empty("/connect/1/2").await;
    let status = admin.get("/status").await.json();
    let partitions = status["partitions"].as_array().expect("a list");
    assert_eq!(
        partitions.len(),
        9,
        "4 vertex, 4 component, 1 settings: {status}"
    );
    // Owners count what they have after they have answered.
    let counted = async {
        loop {
            let status = admin.get("/status").await.json();
            let partitions = status["partitions"].as_array().expect("a list");
            let vertices = partitions.iter().filter(|one| one["topic"] == "vertex");
            let keys = vertices.map(|one| one["keys"].as_u64().expect("a number"));
            if keys.sum::<u64>() == 2 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let counted = tokio::time::timeout(Duration::from_secs(60), counted).await;
    counted.expect("there are two vertices");
}

#[tokio::test]
async fn a_weaker_level_says_what_it_gives_up() {
    let running = Service::new("graph")
        .args(&["--ack", "vertex=os"])
        .start()
        .await;
    let status = running.admin().get("/status").await.json();
    let given_up = status["acks"]["vertex"]["gives_up"].as_str().unwrap_or("");
    assert_eq!(status["acks"]["vertex"]["level"], "os", "{status}");
    assert!(given_up.contains("loses power"), "{status}");
    let strong = json!({"level": "fsync", "gives_up": null});
    assert_eq!(status["acks"]["component"], strong, "{status}");
    running.prints(given_up).await;
    let told = running.output();
    let warned = told.lines().filter(|line| line.contains(given_up));
    let warned: Vec<_> = warned.collect();
    assert!(
        warned.len() == 1 && warned[0].contains("WARN") && warned[0].contains("vertex"),
        "{told}"
    );

    let (exit, told) = Service::new("graph")
        .args(&["--ack", "vertx=os"])
        .run()
        .await;
    assert_eq!(exit.code(), Some(1), "{told}");
    assert!(
        told.contains("no topic of this service") && told.contains("`vertex`"),
        "{told}"
    );
}

#[tokio::test]
async fn the_description_is_of_the_real_routes() {
    let (mut running, client, _admin) = graph().await;
    client.post_empty("/connect/1/2").await;
    let document = client.get("/openapi.json").await.json();
    assert!(
        document["openapi"]
            .as_str()
            .is_some_and(|version| version.starts_with("3.1")),
        "{document}"
    );
    let paths = document["paths"].as_object().expect("paths");
    let mut described = BTreeSet::new();
    for (path, item) in paths {
        for (method, operation) in item.as_object().expect("operations") {
            if !["get", "put", "post", "patch", "delete"].contains(&method.as_str()) {
                continue;
            }
            described.insert(format!("{method} {path}"));
            let text = |name: &str| operation[name].as_str().unwrap_or_default().len();
            assert!(
                text("summary") + text("description") > 0,
                "{method} {path}: {operation}"
            );
            let real = path
                .replace("{id}", "1")
                .replace("{a}", "1")
                .replace("{b}", "2")
                .replace("{name}", "n");
            let reply = client.request(&method.to_uppercase(), &real).send().await;
            assert_ne!(reply.status, 405, "{method} {path}");
            let problem = String::from_utf8_lossy(&reply.body).into_owned();
            assert!(
                reply.status != 404 || method == "get" || method == "delete",
                "{method} {path}: {problem}"
            );
        }
    }
    let expected = [
        "get /vertex",
        "get /vertex/{id}",
        "get /vertex/{id}/degree",
        "get /component",
        "get /component/{id}",
        "get /settings",
        "get /settings/{name}",
        "put /settings/{name}",
        "delete /settings/{name}",
        "post /connect/{a}/{b}",
        "post /disconnect/{a}/{b}",
        "post /view",
    ];
    for operation in expected {
        assert!(described.remove(operation), "{operation} is not described");
    }
    assert_eq!(described, BTreeSet::new(), "more than there is");
    let connect = &paths["/connect/{a}/{b}"]["post"];
    assert!(
        connect
            .to_string()
            .contains("Vertices that do not exist are made"),
        "{connect}"
    );
    assert!(connect["responses"]["303"].is_object(), "{connect}");
    references(&document, &document);
    running.assert_sound();
}

/// Checks that what is referred to is there.
fn references(document: &Value, part: &Value) {
    match part {
        Value::Object(fields) => {
            if let Some(reference) = fields.get("$ref").and_then(Value::as_str) {
                let pointer = reference
                    .strip_prefix('#')
                    .expect("a reference into the document");
                assert!(
                    document.pointer(pointer).is_some(),
                    "{reference} leads nowhere"
                );
            }
            fields.values().for_each(|part| references(document, part));
        }
        Value::Array(items) => items.iter().for_each(|part| references(document, part)),
        _ => {}
    }
}

#[tokio::test]
async fn the_page_works_offline() {
    let (_running, client, _admin) = graph().await;
    let mut page = client.get("/docs").await;
    let mut base = "/docs".to_owned();
    while let (301..=308, Some(location)) = (page.status, page.header("location")) {
        base = location.to_owned();
        page = client.get(&base).await;
    }
    assert_eq!(page.status, 200, "{page:?}");
    let media_type = page.header("content-type").unwrap_or_default();
    assert!(media_type.starts_with("text/html"), "{media_type}");
    let folder = base.rsplit_once('/').map_or("", |(folder, _)| folder);
    let html = page.text();
    let mut assets = 0;
    for attribute in ["src=\"", "href=\""] {
        for rest in html.split(attribute).skip(1) {
            let asset = rest.split('"').next().expect("it ends");
            assert!(!asset.contains("//"), "{asset} is elsewhere");
            if asset.starts_with('#') || asset.starts_with("data:") {
                continue;
            }
            let asset = asset.trim_start_matches("./");
            let path = if asset.starts_with('/') {
                asset.to_owned()
            } else {
                format!("{folder}/{asset}")
            };
            let reply = client.get(&path).await;
            assert_eq!(reply.status, 200, "{path}");
            assert!(!reply.body.is_empty(), "{path}");
            assets += 1;
        }
    }
    assert!(assets >= 2, "{html}");
}

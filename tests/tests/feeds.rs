//! Change feeds of one node: what they show, how they go on, what bounds them. Those of a cluster are in `cluster.rs`.

use std::{env, net::TcpListener, time::Duration};

use futures_util::{SinkExt as _, StreamExt as _};
use memgen_tests::{
    Client, Running, Service,
    browser::Browser,
    feed::{Event, Feed},
    watchers::Watchers,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::{Value, json};
use tokio_tungstenite::{
    connect_async,
    tungstenite::{self, Message, client::IntoClientRequest as _},
};

/// What a node says that did not end in time.
const STILL_RAN: &str = "still ran";

fn base(running: &Running) -> String {
    running.client().base().to_owned()
}

/// An event without its id.
fn told(event: &str, data: Value) -> (String, Value) {
    (event.to_owned(), data)
}

async fn next(feed: &mut Feed) -> (String, Value) {
    let Event { event, data, .. } = feed.next().await;
    (event, data)
}

async fn put(client: &Client, key: &str, value: u32) -> String {
    let reply = client
        .put(&format!("/r/{key}"), &json!({"value": value}))
        .await;
    assert!(reply.status < 300, "{reply:?}");
    reply
        .header("memgen-position")
        .expect("a position")
        .to_owned()
}

fn value(key: &str, value: u32) -> (String, Value) {
    told("value", json!({"key": key, "value": value}))
}

fn absent(key: &str) -> (String, Value) {
    told("absent", json!({"key": key}))
}

fn reset() -> (String, Value) {
    told("reset", json!({}))
}

#[tokio::test]
async fn a_key() {
    let mut running = Service::new("register").start().await;
    let client = running.client();
    let mut feed = Feed::of(&base(&running), "/r/a");
    assert_eq!(next(&mut feed).await, reset());
    assert_eq!(next(&mut feed).await, absent("a"));
    let position = put(&client, "a", 1).await;
    let event = feed.next().await;
    assert_eq!((event.event, event.data), value("a", 1));
    assert_eq!(event.id, position, "the id is the position of the change");
    // The same value again is no change, and other keys are none of this feed.
    put(&client, "a", 1).await;
    put(&client, "b", 1).await;
    let second = put(&client, "a", 2).await;
    assert_eq!(client.delete("/r/a").await.status, 204);
    put(&client, "a", 3).await;
    let changes = [value("a", 2), absent("a"), value("a", 3)];
    for change in &changes {
        assert_eq!(next(&mut feed).await, *change);
    }

    // Behind any event, the others; and in the query, for those who can't send headers.
    let mut again = Feed::of(&base(&running), "/r/a").after(&position);
    for change in &changes {
        assert_eq!(next(&mut again).await, *change);
    }
    let path = format!("/r/a?last_event_id={}", second.replace('/', "%2F"));
    let mut again = Feed::of(&base(&running), &path);
    for change in &changes[1..] {
        assert_eq!(next(&mut again).await, *change);
    }

    // Ids that are none of this feed: it says so, and begins anew.
    for id in ["x", "register/0@999999", "register@1", "other/1@0"] {
        let mut wrong = Feed::of(&base(&running), "/r/a").after(id);
        assert_eq!(next(&mut wrong).await, reset(), "{id}");
        assert_eq!(next(&mut wrong).await, value("a", 3), "{id}");
    }

    // Whoever does not ask for a feed gets none.
    for accept in ["*/*", "application/json", "text/event-stream;q=0"] {
        let request = client.request("GET", "/r/a").header("accept", accept);
        let reply = request.send().await;
        assert_eq!(reply.json()["value"], 3, "{accept}");
    }
    let wrong = client
        .request("GET", "/r/a")
        .header("accept", "text/event-stream");
    let wrong = wrong.header("memgen-min-position", "x").send().await;
    assert_eq!(wrong.status, 400);
    wrong.problem();
    running.assert_sound();
}

#[tokio::test]
async fn a_collection() {
    let service = Service::new("register");
    let mut running = service.start().await;
    let client = running.client();
    for (key, number) in [("a1", 1), ("b1", 1), ("a2", 2), ("a3", 3)] {
        put(&client, key, number).await;
    }
    let mut feed = Feed::of(&base(&running), "/r?prefix=a");
    assert_eq!(next(&mut feed).await, reset());
    let mut values = Vec::new();
    for _ in 0..3 {
        let event = feed.next().await;
        assert_eq!(event.id, "", "who has not seen all begins anew");
        values.push((event.event, event.data));
    }
    values.sort_by_key(|(_, data)| data["key"].to_string());
    assert_eq!(values, [value("a1", 1), value("a2", 2), value("a3", 3)]);
    let current = feed.next().await;
    assert_eq!((&*current.event, &current.data), ("current", &json!({})));

    put(&client, "b1", 7).await;
    put(&client, "a1", 4).await;
    let event = feed.next().await;
    assert_eq!((event.event, event.data), value("a1", 4));
    assert_eq!(client.delete("/r/a2").await.status, 204);
    assert_eq!(next(&mut feed).await, absent("a2"));
    put(&client, "a5", 5).await;
    let last = feed.next().await;
    assert_eq!((last.event, last.data), value("a5", 5));

    // Behind an event of one key come the later ones of all, also after a restart.
    running.kill_9();
    let mut running = service.start().await;
    let mut again = Feed::of(&base(&running), "/r?prefix=a").after(&event.id);
    let mut rest = vec![next(&mut again).await, next(&mut again).await];
    rest.sort_by_key(|(_, data)| data["key"].to_string());
    assert_eq!(rest, [absent("a2"), value("a5", 5)]);
    put(&running.client(), "a1", 6).await;
    assert_eq!(next(&mut again).await, value("a1", 6));

    let document = running.client().get("/openapi.json").await.json();
    for path in ["/r", "/r/{key}"] {
        let content = &document["paths"][path]["get"]["responses"]["200"]["content"];
        assert!(
            content["text/event-stream"].is_object(),
            "{path}: {content}"
        );
    }
    let metrics = running.admin().get("/metrics").await;
    assert!(
        metrics.text().contains("\nmemgen_feeds 1\n"),
        "{}",
        metrics.text()
    );
    running.assert_sound();
}

type Socket =
    tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>>;

async fn socket(running: &Running, path: &str, origin: Option<&str>) -> Result<Socket, u16> {
    let url = format!("{}{path}", base(running)).replace("http://", "ws://");
    let mut request = url.into_client_request().expect("a URL");
    if let Some(origin) = origin {
        let origin = origin.parse().expect("a header's value");
        request.headers_mut().insert("origin", origin);
    }
    match connect_async(request).await {
        Ok((socket, _)) => Ok(socket),
        Err(tungstenite::Error::Http(response)) => Err(response.status().as_u16()),
        Err(error) => panic!("{error}"),
    }
}

async fn message(socket: &mut Socket) -> Value {
    let message = tokio::time::timeout(Duration::from_secs(60), socket.next()).await;
    let message = message
        .expect("in time")
        .expect("a message")
        .expect("no error");
    serde_json::from_str(message.to_text().expect("text")).expect("JSON")
}

#[tokio::test]
async fn a_web_socket() {
    let service = Service::new("register").args(&["--feed-keep-alive-ms", "300"]);
    let mut running = service.start().await;
    let client = running.client();
    let mut feed = socket(&running, "/r/a", None).await.expect("a socket");
    assert_eq!(message(&mut feed).await, json!({"event": "reset"}));
    let first = message(&mut feed).await;
    assert_eq!(
        (&first["event"], &first["data"]),
        (&json!("absent"), &json!({"key": "a"}))
    );
    let position = put(&client, "a", 1).await;
    let event = loop {
        let event = message(&mut feed).await;
        if event["event"] != "progress" {
            break event;
        }
        assert!(event["id"].is_string(), "{event}");
    };
    let data = json!({"key": "a", "value": 1});
    assert_eq!(
        event,
        json!({"event": "value", "id": position, "data": data})
    );
    assert_eq!(message(&mut feed).await["event"], "progress");

    put(&client, "a", 2).await;
    let same = base(&running);
    let path = format!("/r/a?last_event_id={position}");
    let mut again = socket(&running, &path, Some(&same))
        .await
        .expect("a socket");
    // What clients say does no harm.
    again
        .send(Message::Text("hello".into()))
        .await
        .expect("it is sent");
    assert_eq!(message(&mut again).await["data"]["value"], 2);
    let mut all = socket(&running, "/r", None).await.expect("a socket");
    assert_eq!(message(&mut all).await["event"], "reset");
    assert_eq!(message(&mut all).await["data"]["value"], 2);
    assert_eq!(message(&mut all).await["event"], "current");

    for origin in ["http://evil.example", "null"] {
        assert_eq!(
            socket(&running, "/r/a", Some(origin)).await.err(),
            Some(403)
        );
    }

    // A node that stops says so, and does not wait for those who watch; in either form.
    let mut events = Feed::of(&same, "/r/a");
    assert_eq!(next(&mut events).await, reset());
    let status = running.terminate().await;
    assert!(status.success(), "{status}");
    assert!(
        !running.output().contains(STILL_RAN),
        "{}",
        running.output()
    );
    let code = loop {
        match again.next().await {
            Some(Ok(Message::Close(frame))) => break frame.map(|frame| u16::from(frame.code)),
            Some(Ok(_)) => {}
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(code, Some(1001));
}

/// What browsers have for it, in a page: `EventSource`, which goes on by itself behind the last event, and `WebSocket`.
#[tokio::test]
async fn a_browser() {
    const FOLLOW: &str = r#"
        const show = (kind, text) => {
            const item = document.createElement("li");
            item.className = kind;
            item.textContent = text;
            document.body.append(item);
        };
        const events = new EventSource("/r/a");
        for (const kind of ["reset", "value", "absent"]) {
            events.addEventListener(kind, ({data}) => show("event", `${kind} ${data}`));
        }
        const socket = new WebSocket(`ws://${location.host}/r?prefix=a`);
        socket.onmessage = ({data}) => show("message", data);
    "#;
    let unused = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = unused.local_addr().expect("it is bound").to_string();
    drop(unused);
    let service = Service::new("register").set("--http", &address);
    let mut running = service.start().await;
    let browser = Browser::start().await;
    browser.open(&format!("{}/docs/", base(&running))).await;
    browser.run(FOLLOW, &json!([])).await;
    let seen = async |kind: &str, count: usize| {
        let items = format!("li.{kind}");
        browser.wait_for(&items, |items| items.len() >= count).await
    };
    seen("event", 2).await;
    seen("message", 2).await;
    put(&running.client(), "a", 1).await;
    let message = seen("message", 3).await.remove(2);
    let message: Value = serde_json::from_str(&message).expect("JSON");
    assert_eq!(message["data"], json!({"key": "a", "value": 1}));
    seen("event", 3).await;
    running.kill_9();
    let mut running = service.start().await;
    put(&running.client(), "a", 2).await;
    let events = [
        "reset {}",
        r#"absent {"key":"a"}"#,
        r#"value {"key":"a","value":1}"#,
        r#"value {"key":"a","value":2}"#,
    ];
    assert_eq!(seen("event", 4).await, events);
    running.assert_sound();
}

/// Each watcher sees each change of its key once and in order, however often the node is killed: three times, unless `MEMGEN_FEED_ROUNDS` says otherwise.
#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_watchers_of_a_node_that_is_killed() {
    const WRITES: u64 = 4;
    let files = getrlimit(Resource::Nofile);
    let most = Rlimit {
        current: files.maximum,
        ..files
    };
    setrlimit(Resource::Nofile, most).expect("up to the maximum one may");
    let service = Service::new("register");
    let mut running = service.start().await;
    let rest = Duration::from_millis(200);
    let mut watchers = Watchers::start(vec![base(&running)], "w", 50, 20, 10, rest).await;
    let rounds = env::var("MEMGEN_FEED_ROUNDS");
    let rounds = rounds.map_or(3_u64, |rounds| rounds.parse().expect("a number of rounds"));
    for _ in 0..rounds {
        watchers.write(WRITES).await;
        running.kill_9();
        running = service.start().await;
        watchers.servers_are_at(vec![base(&running)]);
    }
    watchers.write(WRITES).await;
    let seen = watchers.finish().await;
    assert_eq!(seen.len(), 1010);
    for one in &seen {
        assert_eq!(one.resets, 1, "each begins once, and goes on: {one:?}");
        assert!(one.connected >= 2, "it went on elsewhere: {one:?}");
        // What was written before the first kill may have been there when it began.
        assert!(one.changes >= rounds * WRITES, "it saw all: {one:?}");
    }
    running.assert_sound();
}

/// What the log was compacted over is still there for feeds, as far as their history goes; and what is not is not left out without a word.
#[tokio::test]
async fn a_compacted_log() {
    const CHANGES: u64 = 300;
    for (history, is_whole) in [("10000", true), ("20", false)] {
        let service = Service::new("register").args(&["--ack", "os", "--segment-bytes", "64KiB"]);
        let service = service.args(&["--feed-history-max", history]);
        let mut running = service.start().await;
        let client = running.client();
        let text = "x".repeat(1000);
        let mut positions = Vec::new();
        for number in 0..CHANGES {
            let body = json!({"value": {"number": number, "text": text}});
            let reply = client.put("/r/a", &body).await;
            let position = reply.header("memgen-position").expect("a position");
            positions.push(position.to_owned());
        }
        wait_for_compaction(&service).await;
        running.kill_9();
        // Those who want more than before don't find it.
        let service = service.set("--feed-history-max", "10000");
        let mut running = service.start().await;
        let mut feed = Feed::of(&base(&running), "/r/a").after(&positions[4]);
        if !is_whole {
            assert_eq!(next(&mut feed).await, reset());
        }
        for number in if is_whole { 5 } else { CHANGES - 1 }..CHANGES {
            let event = feed.next().await;
            assert_eq!(event.data["value"]["number"], number, "{}", event.event);
        }
        running.assert_sound();
    }
}

async fn wait_for_compaction(service: &Service) {
    let compacted = || {
        let files = std::fs::read_dir(service.data().join("log")).expect("the log's folder");
        let mut names = files.map(|file| file.expect("a file").file_name());
        names.any(|name| name.to_string_lossy().starts_with("compacted-"))
    };
    let waited = async {
        while !compacted() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(60), waited).await;
    waited.expect("it is compacted");
}

/// Who does not read is left behind, holds nothing, and is told; those who do see everything.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reader() {
    const CHANGES: u32 = 3000;
    let service = Service::new("register").args(&["--ack", "os", "--feed-history-max", "200"]);
    let mut running = service.start().await;
    let client = running.client();
    let text = "x".repeat(10_000);
    let write = async |number: u32| {
        let body = json!({"value": {"number": number, "text": text}});
        let reply = client.put("/r/a", &body).await;
        assert!(reply.status < 300, "{reply:?}");
    };
    let number = |event: &Event| event.data["value"]["number"].as_u64();
    write(0).await;
    let mut slow = Feed::of(&base(&running), "/r/a");
    assert_eq!(next(&mut slow).await, reset());
    assert_eq!(number(&slow.next().await), Some(0));
    let mut fast = Feed::of(&base(&running), "/r/a");
    assert_eq!(next(&mut fast).await, reset());
    assert_eq!(number(&fast.next().await), Some(0));
    let before = running.resident_bytes();
    let reading = async {
        for change in 1..=u64::from(CHANGES) {
            assert_eq!(number(&fast.next().await), Some(change), "none is left out");
        }
    };
    let writing = async {
        for change in 1..=CHANGES {
            write(change).await;
        }
    };
    tokio::join!(reading, writing);
    // All changes together have 30 MB; what is kept are 200 of them.
    let metrics = running.admin().get("/metrics").await;
    let none = "\nmemgen_feed_resets_total 0\n";
    assert!(metrics.text().contains(none), "{}", metrics.text());
    let grown = running.resident_bytes().saturating_sub(before);
    assert!(grown < 20 << 20, "{grown} bytes");

    // What it had before, in order; then it is told, and goes on from what is there now.
    let mut expected = 1;
    loop {
        let event = slow.next().await;
        if event.event == "reset" {
            break;
        }
        assert_eq!(number(&event), Some(expected));
        expected += 1;
    }
    assert!(
        expected < u64::from(CHANGES),
        "it was left behind: {expected}"
    );
    assert_eq!(number(&slow.next().await), Some(CHANGES.into()));
    write(CHANGES + 1).await;
    assert_eq!(number(&slow.next().await), Some((CHANGES + 1).into()));
    assert_eq!((slow.connected, fast.connected), (1, 1));
    let metrics = running.admin().get("/metrics").await;
    let one = "\nmemgen_feed_resets_total 1\n";
    assert!(metrics.text().contains(one), "{}", metrics.text());
    running.assert_sound();
}

#[tokio::test]
async fn feeds_are_bounded() {
    let service = Service::new("register").args(&["--feeds-max", "9"]);
    let mut running = service.start().await;
    let mut all = Feed::of(&base(&running), "/r");
    assert_eq!(next(&mut all).await, reset());
    let mut one = Feed::of(&base(&running), "/r/a");
    assert_eq!(next(&mut one).await, reset());
    for path in ["/r", "/r/a"] {
        let request = running.client();
        let request = request
            .request("GET", path)
            .header("accept", "text/event-stream");
        let reply = request.send().await;
        assert_eq!(reply.status, 503);
        assert!(reply.header("retry-after").is_some(), "{reply:?}");
        reply.problem();
    }
    // A client that goes makes room.
    drop(one);
    let mut one = Feed::of(&base(&running), "/r/a");
    assert_eq!(next(&mut one).await, reset());
    running.assert_sound();
}

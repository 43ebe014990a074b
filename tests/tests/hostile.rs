//! What no client should send, and what is sent all the same: each gets a 4xx or a clean end, the memory stays flat, others are
//! served meanwhile, and nothing panics.

use std::{process::Command, time::Duration};

use futures_util::future::join_all;
use memgen_tests::{Client, Running, Service, raw::Raw};
use serde_json::json;

/// How much more memory a test may leave the server with.
const GROWTH_BYTES_MAX: u64 = 64 << 20;

/// The default limits, which the tests meet at their edges.
const BODY_BYTES_MAX: usize = 1 << 20;
const JSON_DEPTH_MAX: usize = 64;

async fn assert_well(running: &mut Running) {
    assert_eq!(running.admin().get("/healthz").await.status, 200);
    let reply = running.client().put("/r/well", &json!({"value": 1})).await;
    assert!(matches!(reply.status, 200 | 201), "{reply:?}");
    running.assert_sound();
}

/// Runs `attack` on a service that was warmed up, and checks that it does well during and after it.
async fn survive(service: &Service, attack: impl AsyncFn(Client)) {
    let mut running = service.start().await;
    assert_well(&mut running).await;
    let before = running.resident_bytes();
    attack(running.client()).await;
    assert_well(&mut running).await;
    let growth = running.resident_bytes().saturating_sub(before);
    assert!(
        growth < GROWTH_BYTES_MAX,
        "the memory grew by {growth} bytes"
    );
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "it is a table")]
async fn bytes_that_are_no_http() {
    const HOST: &str = "Host: x\r\n";
    let put = "PUT /r/a HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n";
    let many = "GET /r/a HTTP/1.1\r\nHost: x\r\n\r\n".repeat(50);
    let rows: Vec<(&str, Vec<u8>)> = vec![
        ("nothing but zeros", vec![0; 5000]),
        (
            "a TLS hello",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".repeat(40),
        ),
        ("lines", b"hello\r\nworld\r\n\r\n".to_vec()),
        ("HTTP/0.9", b"GET /r/a\r\n\r\n".to_vec()),
        ("HTTP/9.9", b"GET /r/a HTTP/9.9\r\n\r\n".to_vec()),
        (
            "HTTP/2 without prior knowledge",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\x08\0\0\0\0\0".to_vec(),
        ),
        (
            "NUL in a header",
            format!("GET /r/a HTTP/1.1\r\n{HOST}X: a\0b\r\n\r\n").into(),
        ),
        (
            "a header without a colon",
            format!("GET /r/a HTTP/1.1\r\n{HOST}nothing\r\n\r\n").into(),
        ),
        (
            "a space in a header's name",
            format!("GET /r/a HTTP/1.1\r\n{HOST}Con tent: 1\r\n\r\n").into(),
        ),
        (
            "two lengths",
            format!("{put}Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!").into(),
        ),
        (
            "a negative length",
            format!("{put}Content-Length: -1\r\n\r\n").into(),
        ),
        (
            "a length that is none",
            format!("{put}Content-Length: abc\r\n\r\n").into(),
        ),
        (
            "a length beyond 64 bits",
            format!("{put}Content-Length: 99999999999999999999999\r\n\r\n").into(),
        ),
        (
            "an unknown coding",
            format!("{put}Transfer-Encoding: gzip\r\n\r\nx").into(),
        ),
        (
            "a chunk beyond 64 bits",
            format!("{put}Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\nx").into(),
        ),
        (
            "a chunk that is none",
            format!("{put}Transfer-Encoding: chunked\r\n\r\nzz\r\nx").into(),
        ),
        (
            "an endless chunk extension",
            format!(
                "{put}Transfer-Encoding: chunked\r\n\r\n1;{}",
                "x".repeat(1 << 20)
            )
            .into(),
        ),
        (
            "a long method",
            format!("{} /r/a HTTP/1.1\r\n{HOST}\r\n", "M".repeat(10_000)).into(),
        ),
        (
            "an unknown method",
            format!("FOO /r/a HTTP/1.1\r\n{HOST}\r\n").into(),
        ),
        (
            "CONNECT",
            format!("CONNECT x:80 HTTP/1.1\r\n{HOST}\r\n").into(),
        ),
        // Of a path that is there: nothing else is wrong with these two.
        ("no host", b"GET /r HTTP/1.1\r\n\r\n".to_vec()),
        (
            "two hosts",
            format!("GET /r HTTP/1.1\r\n{HOST}{HOST}\r\n").into(),
        ),
        ("TRACE", format!("TRACE /r/a HTTP/1.1\r\n{HOST}\r\n").into()),
        (
            "OPTIONS *",
            format!("OPTIONS * HTTP/1.1\r\n{HOST}\r\n").into(),
        ),
        (
            "a raw NUL in the path",
            format!("GET /r/a\0b HTTP/1.1\r\n{HOST}\r\n").into(),
        ),
        (
            "a raw byte in the path",
            [&b"GET /r/\xff HTTP/1.1\r\n"[..], HOST.as_bytes(), b"\r\n"].concat(),
        ),
        (
            "a half escape",
            format!("GET /r/%4 HTTP/1.1\r\n{HOST}\r\n").into(),
        ),
        (
            "a broken escape",
            format!("GET /r/%zz HTTP/1.1\r\n{HOST}\r\n").into(),
        ),
        (
            "a long path",
            format!("GET /r/{} HTTP/1.1\r\n{HOST}\r\n", "x".repeat(60_000)).into(),
        ),
        (
            "a path beyond the head",
            format!("GET /r/{} HTTP/1.1\r\n{HOST}\r\n", "x".repeat(200_000)).into(),
        ),
        (
            "a long query",
            format!(
                "GET /r?prefix={} HTTP/1.1\r\n{HOST}\r\n",
                "x".repeat(60_000)
            )
            .into(),
        ),
        (
            "a long header",
            format!(
                "GET /r/a HTTP/1.1\r\n{HOST}X: {}\r\n\r\n",
                "x".repeat(200_000)
            )
            .into(),
        ),
        (
            "many headers",
            format!("GET /r/a HTTP/1.1\r\n{HOST}{}\r\n", "X: 1\r\n".repeat(101)).into(),
        ),
        (
            "an endless header",
            format!("GET /r/a HTTP/1.1\r\nX: {}", "x".repeat(2 << 20)).into(),
        ),
        (
            "requests and then noise",
            format!("{many}\x01\x02\x03\r\n\r\n").into(),
        ),
    ];
    let service = Service::new("register");
    let mut running = service.start().await;
    assert_well(&mut running).await;
    for (what, bytes) in rows {
        let mut raw = Raw::connect(running.client().base())
            .await
            .expect("it listens");
        raw.send(&bytes).await;
        let ending = raw.reply().await;
        let text = ending.text();
        let fine = match (what, ending.status()) {
            ("requests and then noise", status) => status == Some(404),
            // A prefix that no key has is no mistake.
            ("a long query", Some(200)) => true,
            // Nobody listens to a client that goes on talking: the reply may be lost in the reset.
            (_, None) => ending.closed,
            (_, Some(status)) => {
                (400..500).contains(&status) && text.contains("application/problem+json")
                    || status == 505
            }
        };
        assert!(fine, "{what}: {text}");
        assert!(
            !text.contains("HTTP/1.1 5") || text.contains("HTTP/1.1 505"),
            "{what}: {text}"
        );
        assert_well(&mut running).await;
    }
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let mut running = Service::new("register").start().await;
    let mut raw = Raw::connect(running.client().base())
        .await
        .expect("it listens");
    let requests = "GET /r/missing HTTP/1.1\r\nHost: x\r\n\r\n".repeat(100);
    raw.send(format!("{requests}\x01\x02\x03\r\n\r\n")).await;
    let text = raw.end().await.text();
    assert_eq!(text.matches("HTTP/1.1 404").count(), 100, "{text}");
    assert!(text.contains("HTTP/1.1 400"), "{text}");
    assert_well(&mut running).await;
}

#[tokio::test]
async fn bodies() {
    survive(&Service::new("register"), async |client: Client| {
        let put = async |body: String| {
            let request = client
                .request("PUT", "/r/a")
                .header("content-type", "application/json");
            let reply = request.body(body).send().await;
            if reply.status >= 400 {
                reply.problem();
            }
            reply.status
        };
        let nested = |depth: usize| {
            // The object itself is the first level.
            let (open, close) = ("[".repeat(depth - 1), "]".repeat(depth - 1));
            format!("{{\"value\": {open}{close}}}")
        };
        assert_eq!(put(nested(JSON_DEPTH_MAX)).await, 201);
        assert_eq!(put(nested(JSON_DEPTH_MAX + 1)).await, 400);
        assert_eq!(put(nested(100_000)).await, 400);
        assert_eq!(put("[".repeat(500_000)).await, 400);
        assert_eq!(put(r#"{"value": {"a": "#.repeat(50_000)).await, 400);
        // Brackets in text are no depth.
        assert_eq!(
            put(format!("{{\"value\": \"{}\\\"[\"}}", "[".repeat(1000))).await,
            200
        );

        let sized = |bytes: usize| {
            let frame = r#"{"value": ""}"#.len();
            format!(r#"{{"value": "{}"}}"#, "x".repeat(bytes - frame))
        };
        assert_eq!(put(sized(BODY_BYTES_MAX)).await, 200);
        let request = client
            .request("PUT", "/r/a")
            .header("content-type", "application/json");
        let reply = request.body(sized(BODY_BYTES_MAX + 1)).send().await;
        assert_eq!(reply.status, 413);
        assert_eq!(
            reply.header("connection"),
            Some("close"),
            "what is left of the body ends the connection, and the next request must not go there"
        );

        let rows: &[(&[u8], u16)] = &[
            (b"", 400),
            (b"{", 400),
            (b"{\"value\": 1}}", 400),
            (b"{\"value\": 1} {}", 400),
            (b"{\"value\": \"\xff\xfe\"}", 400),
            (b"{\"value\": \"\\ud800\"}", 400),
            (b"{'value': 1}", 400),
            (b"{\"value\": NaN}", 400),
            (b"{\"value\": 1e999}", 400),
            (b"{\"value\": 01}", 400),
            (b"\xef\xbb\xbf{\"value\": 1}", 400),
            (b"\0", 400),
            (b"null", 422),
        ];
        for (body, status) in rows {
            let request = client.request("PUT", "/r/a").body(body.to_vec());
            let reply = request
                .header("content-type", "application/json")
                .send()
                .await;
            let text = String::from_utf8_lossy(body);
            assert_eq!(reply.status, *status, "{text}: {reply:?}");
            reply.problem();
        }
    })
    .await;
}

#[tokio::test]
async fn bodies_of_a_gigabyte() {
    survive(&Service::new("register"), async |client: Client| {
        let head = "PUT /r/a HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n";
        let attacks = (0..8).map(|number| {
            let client = client.clone();
            async move {
                let mut raw = Raw::connect(client.base()).await.expect("it listens");
                if number % 2 == 0 {
                    raw.send(format!("{head}Content-Length: 1073741824\r\n\r\n{{"))
                        .await;
                    // Refused by what it says, before the body is there.
                    assert_eq!(raw.reply().await.status(), Some(413));
                }
                let mut raw = Raw::connect(client.base()).await.expect("it listens");
                raw.send(format!("{head}Transfer-Encoding: chunked\r\n\r\n"))
                    .await;
                let chunk = format!("10000\r\n{}\r\n", " ".repeat(65536));
                let mut sent = 0;
                while sent < 1 << 30 && raw.send(&chunk).await {
                    sent += 65536;
                }
                assert!(sent < 256 << 20, "{sent} bytes were taken");
                let ending = raw.reply().await;
                // The reply may be lost: a reset overtakes it where the client goes on sending.
                assert!(
                    matches!(ending.status(), Some(413) | None),
                    "{}",
                    ending.text()
                );
            }
        });
        join_all(attacks).await;
        // A client that stops to listen sees why.
        let mut raw = Raw::connect(client.base()).await.expect("it listens");
        raw.send(format!("{head}Transfer-Encoding: chunked\r\n\r\n"))
            .await;
        for _ in 0..17 {
            raw.send(format!("10000\r\n{}\r\n", " ".repeat(65536)))
                .await;
        }
        let ending = raw.reply().await;
        assert_eq!(ending.status(), Some(413), "{}", ending.text());
        assert!(
            ending.text().contains("application/problem+json"),
            "{}",
            ending.text()
        );
    })
    .await;
}

#[tokio::test]
async fn slow_clients() {
    let limits = ["--header-timeout-ms", "300", "--body-timeout-ms", "300"];
    survive(&Service::new("register").args(&limits), async |client: Client| {
        let clients = (0..50).map(|number| {
            let client = client.clone();
            async move {
                let mut raw = Raw::connect(client.base()).await.expect("it listens");
                match number % 3 {
                    // Half a head.
                    0 => {
                        raw.send("GET /r/a HTTP/1.1\r\nHost: x\r\nX: ").await;
                        assert!(raw.end().await.closed);
                    }
                    // One byte of it at a time.
                    1 => {
                        raw.send("GET /r/a HTTP/1.1\r\nHost: x\r\nX: ").await;
                        while raw.send("x").await {
                            tokio::time::sleep(Duration::from_millis(50)).await;
                        }
                    }
                    // A body that never comes.
                    _ => {
                        let head = "PUT /r/a HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
                                    Content-Length: 100\r\n\r\n{";
                        raw.send(head).await;
                        assert_eq!(raw.reply().await.status(), Some(408));
                    }
                }
            }
        });
        join_all(clients).await;
    })
    .await;
}

#[tokio::test]
async fn ten_thousand_idle_connections() {
    const CONNECTIONS: usize = 10_000;
    // This process and its children may open more files than the usual 1024.
    let id = std::process::id().to_string();
    let raised = Command::new("prlimit")
        .args(["--pid", &id, &format!("--nofile={}:", CONNECTIONS + 2000)])
        .status();
    assert!(
        raised.is_ok_and(|status| status.success()),
        "{CONNECTIONS} connections take as many open files: raise the hard limit (ulimit -Hn)"
    );
    let service = Service::new("register").args(&["--header-timeout-ms", "600000"]);
    let mut running = service.start().await;
    assert_well(&mut running).await;
    let before = running.resident_bytes();
    let base = running.client().base().to_owned();
    let mut idle = Vec::new();
    for number in 0..CONNECTIONS {
        let mut raw = Raw::connect(&base)
            .await
            .unwrap_or_else(|error| panic!("{number}: {error}"));
        match number % 10 {
            0 => {
                raw.send("GET /r/a HTTP/1.1\r\n").await;
            }
            1 => {
                raw.send("GET /r/missing HTTP/1.1\r\nHost: x\r\n\r\n").await;
                assert_eq!(raw.reply().await.status(), Some(404), "{number}");
            }
            _ => {}
        }
        idle.push(raw);
    }
    assert_well(&mut running).await;
    let each = running.resident_bytes().saturating_sub(before) / CONNECTIONS as u64;
    assert!(each < 16 << 10, "an idle connection takes {each} bytes");
    drop(idle);
    assert_well(&mut running).await;
}

#[tokio::test]
async fn connections_beyond_the_limit() {
    let service = Service::new("register").args(&["--connections-max", "4"]);
    let mut running = service.start().await;
    let base = running.client().base().to_owned();
    let get = "GET /r/missing HTTP/1.1\r\nHost: x\r\n\r\n";
    let mut held = Vec::new();
    for number in 0..4 {
        let mut raw = Raw::connect(&base).await.expect("it listens");
        raw.send(get).await;
        assert_eq!(raw.reply().await.status(), Some(404), "{number}");
        held.push(raw);
    }
    // The admin listener counts for itself.
    assert_eq!(running.admin().get("/healthz").await.status, 200);
    let mut beyond = Raw::connect(&base).await.expect("the system accepts");
    beyond.send(get).await;
    let waiting = tokio::spawn(async move { beyond.reply().await });
    held.pop();
    // It waited for its turn, or was refused at once; then a new one has it.
    let ending = waiting.await.expect("it ends");
    assert!(
        ending.closed || matches!(ending.status(), Some(404 | 503)),
        "{}",
        ending.text()
    );
    drop(held);
    assert_well(&mut running).await;
}

#[tokio::test]
async fn a_full_queue_says_so() {
    let service = Service::new("register").args(&["--queue-max", "1"]);
    let mut running = service.start().await;
    let client = running.client();
    let mut done = 0;
    let mut refused = 0;
    while refused == 0 && done < 20_000 {
        let add = json!({"by": 1});
        let adds = (0..64).map(|_| client.post("/r/n/add", &add));
        for reply in join_all(adds).await {
            if reply.status == 200 {
                done += 1;
            } else {
                assert_eq!(reply.status, 503, "{reply:?}");
                assert!(reply.header("retry-after").is_some(), "{reply:?}");
                reply.problem();
                refused += 1;
            }
        }
    }
    assert!(refused > 0, "64 at once fit into a queue of 1");
    assert_eq!(client.get("/r/n").await.json()["value"], done);
    assert_well(&mut running).await;
}

/// How much more than at its start a service may take, in [`a_service_without_memory_left`].
const MEMORY: u64 = 48 << 20;

#[tokio::test]
async fn a_service_without_memory_left() {
    let service = Service::new("register");
    let mut first = service.start().await;
    assert_well(&mut first).await;
    let max = (first.resident_bytes() + MEMORY).to_string();
    first.terminate().await;
    let service = service.args(&["--memory-max", &max]);
    let mut running = service.start().await;
    let client = running.client();
    let value = |letter: &str, length: usize| json!({"value": letter.repeat(length)});
    let large = value("x", 512 << 10);
    let mut kept = 0;
    let refused = loop {
        let reply = client.put(&format!("/r/{kept}"), &large).await;
        if reply.status != 201 {
            break reply;
        }
        kept += 1;
        assert!(kept < 1000, "nothing was refused");
    };
    assert_eq!(refused.status, 507, "{refused:?}");
    let detail = refused.problem()["detail"].to_string();
    assert!(detail.contains("--memory-max"), "{detail}");
    assert!(kept > 10, "{kept} fit");
    // What was refused did not happen, and the rest is there.
    let missing = client.get(&format!("/r/{kept}")).await;
    assert_eq!(missing.status, 404);
    assert_eq!(client.get("/r/0").await.json()["value"], large["value"]);
    let status = running.admin().get("/status").await.json();
    assert_eq!(status["memory"]["full"], true, "{status}");
    assert_eq!(status["nodes"][0]["full"], true, "{status}");
    let metrics = running.admin().get("/metrics").await;
    assert!(metrics.text().contains("memgen_memory_full 1"));
    // What needs no more goes on, and so does what frees some: then there is room for others.
    let same = client.put("/r/0", &value("y", 512 << 10)).await;
    assert_eq!(same.status, 200, "{same:?}");
    let longer = client.put("/r/0", &value("z", 600 << 10)).await;
    assert_eq!(longer.status, 507, "{longer:?}");
    for key in 0..8 {
        assert_eq!(client.delete(&format!("/r/{key}")).await.status, 204);
    }
    let mut again = client.put("/r/again", &large).await;
    for _ in 0..100 {
        if again.status == 201 {
            break;
        }
        assert_eq!(again.status, 507, "{again:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
        again = client.put("/r/again", &large).await;
    }
    assert_eq!(again.status, 201, "what was freed is room: {again:?}");
    running.assert_sound();
    assert_eq!(running.terminate().await.code(), Some(0));
}

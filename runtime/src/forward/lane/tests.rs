use std::{net::SocketAddr, sync::Arc};

use axum::{
    Router,
    body::{Body, HttpBody as _},
    extract::{DefaultBodyLimit, Request},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use bytes::Bytes;
use futures_util::StreamExt as _;
use http_body_util::BodyExt as _;
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Notify, Semaphore, mpsc, watch},
    task::{AbortHandle, JoinSet},
};

use crate::{
    ambient::Executor,
    call::Caller,
    forward::{
        HEAD_BYTES_MAX,
        channel::{Channels, Failure, Use},
    },
    peer_link::{Connector, Refusal},
    peer_secret::PeerSecret,
};

/// A node's peer listener, with functions to be asked for.
struct Peer {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    /// One for each that was accepted.
    connections: mpsc::UnboundedReceiver<AbortHandle>,
    /// Told when somebody waits at `/wait`, who goes on when there is a permit.
    arrived: Arc<Notify>,
    go_on: Arc<Semaphore>,
}

impl Peer {
    async fn start(secret: Option<&str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let (stop, stopped) = watch::channel(false);
        let (arrived, go_on) = (Arc::new(Notify::new()), Arc::new(Semaphore::new(0)));
        let (told, permits) = (arrived.clone(), go_on.clone());
        let wait = move || async move {
            told.notify_one();
            permits.acquire().await.expect("nobody closes it").forget();
            "waited"
        };
        let router = Router::new()
            .route("/echo", post(echo))
            .route("/pieces", post(pieces))
            .route(
                "/panic",
                get(async || -> StatusCode { panic!("as it is asked to") }),
            )
            .route("/breaks", get(async || Body::from_stream(broken())))
            .route("/caller", get(caller))
            .route("/wait", get(wait))
            .layer(DefaultBodyLimit::disable());
        let lanes = super::router(router.clone(), stopped);
        let router = PeerSecret::new(secret).guard(router.merge(lanes));
        let (told, connections) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            let mut all = JoinSet::new();
            while let Ok((stream, address)) = listener.accept().await {
                let connection = all.spawn(serve(stream, address, router.clone()));
                // The test may be at its end.
                drop(told.send(connection));
            }
        });
        Self {
            address,
            stop,
            connections,
            arrived,
            go_on,
        }
    }

    fn connection(&mut self) -> AbortHandle {
        self.connections.try_recv().expect("a connection")
    }

    fn has_one_connection(&mut self) {
        self.connection();
        assert!(self.connections.is_empty(), "there is one connection");
    }
}

async fn serve(stream: TcpStream, address: SocketAddr, router: Router) {
    let service = hyper::service::service_fn(move |request: Request<hyper::body::Incoming>| {
        let mut request = request.map(Body::new);
        let address = Some(address);
        request.extensions_mut().insert(Caller { address });
        tower::ServiceExt::oneshot(router.clone(), request)
    });
    let connection = hyper::server::conn::http2::Builder::new(Executor)
        .max_header_list_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service);
    drop(connection.await);
}

/// The same fields and body, with a status.
async fn echo(mut headers: HeaderMap, body: Bytes) -> Response {
    headers.remove(header::CONTENT_LENGTH);
    (StatusCode::ACCEPTED, headers, body).into_response()
}

/// The same body in pieces, whose sum is not said.
async fn pieces(body: Bytes) -> Body {
    let pieces: Vec<_> = body.chunks(10_000).map(Bytes::copy_from_slice).collect();
    Body::from_stream(futures_util::stream::iter(pieces).map(Ok::<_, std::io::Error>))
}

fn broken() -> impl futures_util::Stream<Item = std::io::Result<Bytes>> {
    let pieces = [
        Ok(Bytes::from_static(b"x")),
        Err(std::io::Error::other("it broke")),
    ];
    futures_util::stream::iter(pieces)
}

async fn caller(request: Request) -> String {
    let caller: &Caller = request.extensions().get().expect("it is there");
    caller.address.expect("it is known").to_string()
}

fn channels(secret: Option<&str>) -> Channels {
    Channels::new(
        Connector::new(None, watch::channel(Arc::default()).1),
        PeerSecret::new(secret),
        Use::Requests,
    )
}

fn ask(path: &str) -> axum::http::Request<Bytes> {
    let request = axum::http::Request::get(path);
    request.body(Bytes::new()).expect("it is a request")
}

fn tell(path: &str, body: impl Into<Bytes>) -> axum::http::Request<Bytes> {
    let request = axum::http::Request::post(path);
    request.body(body.into()).expect("it is a request")
}

async fn bytes(reply: Response) -> Bytes {
    let body = reply.into_body().collect().await;
    body.expect("all of it comes").to_bytes()
}

#[tokio::test]
async fn requests_of_one_connection_do_not_wait_for_each_other() {
    let mut peer = Peer::start(None).await;
    let channels = channels(None);
    let waits = tokio::spawn({
        let (channels, address) = (channels.clone(), peer.address);
        async move { channels.send(address, ask("/wait")).await }
    });
    peer.arrived.notified().await;
    let others = (0..500).map(|number: u32| {
        let (channels, address) = (channels.clone(), peer.address);
        async move {
            let body = number.to_string();
            let reply = channels.send(address, tell("/echo", body.clone())).await;
            assert_eq!(bytes(reply.expect("a reply")).await, body);
        }
    });
    futures_util::future::join_all(others).await;
    assert!(!waits.is_finished());
    peer.go_on.add_permits(1);
    let reply = waits.await.expect("it does not panic").expect("a reply");
    assert_eq!(bytes(reply).await, "waited");
    peer.has_one_connection();
}

#[tokio::test]
async fn bodies_of_any_length_come_back() {
    let peer = Peer::start(None).await;
    let channels = channels(None);
    let short = super::SHORT_BYTES_MAX;
    for length in [0, 1, 300, short - 1, short, short + 1, 1 << 20, 3 << 20] {
        for path in ["/echo", "/pieces"] {
            let body = Bytes::from(vec![7; length]);
            let sent = channels.send(peer.address, tell(path, body.clone())).await;
            let reply = sent.expect("a reply");
            if path == "/echo" {
                let exact = reply.body().size_hint().exact();
                assert_eq!(exact, Some(length as u64));
            }
            assert_eq!(bytes(reply).await, body, "{path} {length}");
        }
    }
}

#[tokio::test]
async fn status_and_fields_come_as_they_are() {
    let peer = Peer::start(None).await;
    let mut request = tell("/echo?a=%20b", "x");
    let fields = request.headers_mut();
    for (name, value) in [
        ("x-twice", "one"),
        ("x-twice", "two"),
        ("etag", "\"ü\""),
        ("x-none", ""),
    ] {
        let value = HeaderValue::from_bytes(value.as_bytes()).expect("a value");
        fields.append(name, value);
    }
    let fields = fields.clone();
    let reply = channels(None).send(peer.address, request).await;
    let reply = reply.expect("a reply");
    assert_eq!(reply.status(), StatusCode::ACCEPTED);
    for name in fields.keys() {
        let [sent, came] =
            [&fields, reply.headers()].map(|it| it.get_all(name).iter().collect::<Vec<_>>());
        assert_eq!(sent, came);
    }
}

/// A request with a head of this many bytes, as HTTP/2 counts them, without its target.
fn with_head(
    mut bytes: usize,
    mut request: axum::http::Request<Bytes>,
) -> axum::http::Request<Bytes> {
    const FIELD_BYTES: usize = 32 + "x-1000".len();
    for number in 1000.. {
        if bytes <= FIELD_BYTES {
            break;
        }
        let value = vec![b'v'; (bytes - FIELD_BYTES).min(4_000)];
        bytes -= FIELD_BYTES + value.len();
        let name = header::HeaderName::try_from(format!("x-{number}")).expect("a name");
        let value = HeaderValue::from_bytes(&value).expect("a value");
        request.headers_mut().insert(name, value);
    }
    request
}

/// By a lane, and by a stream of their own.
#[tokio::test]
async fn long_heads_come_back() {
    let peer = Peer::start(None).await;
    let channels = channels(None);
    for length in [1, super::SHORT_BYTES_MAX + 1] {
        for head in [10_000, 100_000, 1_100_000] {
            let body = Bytes::from(vec![7; length]);
            let request = with_head(head, tell("/echo", body.clone()));
            let fields = request.headers().clone();
            let reply = channels.send(peer.address, request).await;
            let reply = reply.expect("a reply");
            for (name, value) in &fields {
                assert_eq!(reply.headers().get(name), Some(value), "{head} {length}");
            }
            assert_eq!(bytes(reply).await, body, "{head} {length}");
        }
    }
}

#[tokio::test]
async fn a_head_that_is_too_long_is_not_sent() {
    let mut peer = Peer::start(None).await;
    let channels = channels(None);
    for length in [1, super::SHORT_BYTES_MAX + 1] {
        let long = 2 * HEAD_BYTES_MAX as usize;
        let request = with_head(long, tell("/echo", vec![7; length]));
        let failure = channels.send(peer.address, request).await;
        assert!(matches!(failure, Err(Failure::TooLong)), "{failure:?}");
    }
    let reply = channels.send(peer.address, tell("/echo", "x")).await;
    assert_eq!(bytes(reply.expect("a reply")).await, "x");
    peer.has_one_connection();
}

#[tokio::test]
async fn a_function_that_panics_answers_nobody_and_harms_nobody() {
    let mut peer = Peer::start(None).await;
    let channels = channels(None);
    let failure = channels.send(peer.address, ask("/panic")).await;
    assert!(matches!(failure, Err(Failure::Broken(_))), "{failure:?}");
    let reply = channels.send(peer.address, ask("/breaks")).await;
    // It may be heard of before its head.
    if let Ok(reply) = reply {
        let body = reply.into_body().collect().await;
        assert!(body.is_err(), "what breaks off is no body");
    }
    let reply = channels.send(peer.address, tell("/echo", "x")).await;
    assert_eq!(bytes(reply.expect("a reply")).await, "x");
    peer.has_one_connection();
}

#[tokio::test]
async fn who_does_not_wait_any_more_is_in_nobodys_way() {
    let mut peer = Peer::start(None).await;
    let channels = channels(None);
    for _ in 0..3 {
        let waits = channels.send(peer.address, ask("/wait"));
        tokio::select! {
            reply = waits => panic!("it waits: {reply:?}"),
            () = peer.arrived.notified() => {}
        }
    }
    peer.go_on.add_permits(3);
    let reply = channels.send(peer.address, tell("/echo", "x")).await;
    assert_eq!(bytes(reply.expect("a reply")).await, "x");
    peer.has_one_connection();
}

#[tokio::test]
async fn who_asked_knows_whether_it_was_sent() {
    let mut peer = Peer::start(None).await;
    let channels = channels(None);
    let waits = channels.send(peer.address, ask("/wait"));
    tokio::pin!(waits);
    tokio::select! {
        reply = &mut waits => panic!("it waits: {reply:?}"),
        () = peer.arrived.notified() => peer.connection().abort(),
    }
    let failure = waits.await;
    assert!(matches!(failure, Err(Failure::Broken(_))), "{failure:?}");
    let reply = channels.send(peer.address, tell("/echo", "x")).await;
    assert_eq!(bytes(reply.expect("a reply")).await, "x");
    peer.connection();
}

#[tokio::test]
async fn a_node_that_stops_answers_what_it_was_asked() {
    let mut peer = Peer::start(None).await;
    let channels = channels(None);
    let waits = tokio::spawn({
        let (channels, address) = (channels.clone(), peer.address);
        async move { channels.send(address, ask("/wait")).await }
    });
    peer.arrived.notified().await;
    peer.connection();
    peer.stop.send_replace(true);
    // Whoever hears of it asks elsewhere, which is here by another connection.
    for _ in 0..1000 {
        let reply = channels.send(peer.address, tell("/echo", "x")).await;
        match reply {
            Ok(reply) => assert_eq!(bytes(reply).await, "x"),
            Err(failure) => assert!(matches!(failure, Failure::Unsent(_)), "{failure:?}"),
        }
        if !peer.connections.is_empty() {
            break;
        }
    }
    assert!(!peer.connections.is_empty(), "nobody heard of it");
    peer.go_on.add_permits(1);
    let reply = waits.await.expect("it does not panic").expect("a reply");
    assert_eq!(bytes(reply).await, "waited");
}

#[tokio::test]
async fn a_connection_ends_when_nobody_needs_it() {
    let mut peer = Peer::start(None).await;
    let channels = channels(None);
    let reply = channels.send(peer.address, tell("/echo", "x")).await;
    assert_eq!(bytes(reply.expect("a reply")).await, "x");
    let connection = peer.connection();
    drop(channels);
    while !connection.is_finished() {
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn strangers_get_no_lane() {
    let peer = Peer::start(Some("0123456789abcdef")).await;
    for wrong in [None, Some("0123456789abcdeF")] {
        let failure = channels(wrong).send(peer.address, ask("/caller")).await;
        let Err(Failure::Unsent(error)) = failure else {
            panic!("{failure:?}");
        };
        assert!(Refusal::behind(&*error).is_some(), "{error}");
    }
    let known = channels(Some("0123456789abcdef"));
    let reply = known.send(peer.address, ask("/caller")).await;
    let caller: SocketAddr = String::from_utf8(bytes(reply.expect("a reply")).await.into())
        .expect("it is text")
        .parse()
        .expect("an address");
    assert!(caller.ip().is_loopback());
}

/// As during a rolling upgrade from a build without lanes.
#[tokio::test]
async fn where_there_are_no_lanes_each_request_has_a_stream() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    tokio::spawn(async move {
        let router = Router::new().route("/echo", post(echo));
        while let Ok((stream, address)) = listener.accept().await {
            tokio::spawn(serve(stream, address, router.clone()));
        }
    });
    let channels = channels(None);
    for body in ["a", "b"] {
        let reply = channels.send(address, tell("/echo", body)).await;
        assert_eq!(bytes(reply.expect("a reply")).await, body);
    }
}

#[tokio::test]
async fn what_is_asked_is_not_sent_beyond_what_is_taken() {
    let peer = Peer::start(None).await;
    let channels = channels(None);
    // More than a peer takes at a time, and each of them waits.
    let waits: Vec<_> = (0..2000)
        .map(|_| {
            let (channels, address) = (channels.clone(), peer.address);
            tokio::spawn(async move { channels.send(address, ask("/wait")).await })
        })
        .collect();
    peer.arrived.notified().await;
    peer.go_on.add_permits(2000);
    for wait in waits {
        let reply = wait.await.expect("it does not panic").expect("a reply");
        assert_eq!(bytes(reply).await, "waited");
    }
    let reply = channels.send(peer.address, tell("/echo", "x")).await;
    assert_eq!(bytes(reply.expect("a reply")).await, "x");
}

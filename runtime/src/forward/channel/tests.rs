use axum::http::StatusCode;
use h2::server;
use http_body_util::BodyExt as _;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{mpsc, watch},
    task::JoinHandle,
};

use super::*;

/// A peer that answers each request with its own body in pieces, and says of each connection that it has it.
struct Peer {
    address: SocketAddr,
    connections: mpsc::UnboundedReceiver<JoinHandle<()>>,
}

impl Peer {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let (told, connections) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                told.send(tokio::spawn(serve(stream)))
                    .expect("the test goes on");
            }
        });
        Self {
            address,
            connections,
        }
    }

    fn connection(&mut self) -> JoinHandle<()> {
        self.connections.try_recv().expect("a connection")
    }
}

async fn serve(stream: TcpStream) {
    let mut connection = server::handshake(stream).await.expect("a peer");
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        tokio::spawn(async move {
            let (head, mut data) = request.into_parts();
            let mut reply = Response::new(());
            if let Some(length) = head.headers.get(header::CONTENT_LENGTH) {
                reply
                    .headers_mut()
                    .insert(header::CONTENT_LENGTH, length.clone());
            }
            if data.is_end_stream() {
                *reply.status_mut() = StatusCode::NO_CONTENT;
                respond
                    .send_response(reply, true)
                    .expect("the connection is there");
                return;
            }
            let mut back = respond
                .send_response(reply, false)
                .expect("the connection is there");
            while let Some(Ok(piece)) = data.data().await {
                data.flow_control()
                    .release_capacity(piece.len())
                    .expect("it was received");
                back.send_data(piece, false)
                    .expect("the connection is there");
            }
            back.send_data(Bytes::new(), true)
                .expect("the connection is there");
        });
    }
}

/// Connections without TLS and without a lane, so that each request has its stream.
fn channels() -> Channels {
    Channels::new(
        Connector::new(None, watch::channel(Arc::default()).1),
        PeerSecret::default(),
        Use::Feeds,
    )
}

fn post(body: &Bytes, says_its_length: bool) -> Request<Bytes> {
    let mut request = Request::post("/echo")
        .body(body.clone())
        .expect("it is a request");
    if says_its_length {
        request
            .headers_mut()
            .insert(header::CONTENT_LENGTH, body.len().into());
    }
    request
}

#[tokio::test]
async fn all_requests_share_a_connection_and_get_another_when_it_broke() {
    let mut peer = Peer::start().await;
    let channels = channels();
    for _ in 0..2 {
        let requests = (0..50).map(|number: usize| {
            let body = Bytes::from(number.to_string());
            let (channels, address) = (channels.clone(), peer.address);
            async move {
                let reply = channels.send(address, post(&body, true)).await;
                let reply = reply.expect("a reply").into_body();
                assert_eq!(reply.collect().await.expect("a body").to_bytes(), body);
            }
        });
        futures_util::future::join_all(requests).await;
        let connection = peer.connection();
        assert!(peer.connections.is_empty());
        connection.abort();
        // The end of it may not have been seen yet when the next request is made.
        while !is_over(&channels.opened.lock().expect("nobody panicked")[&peer.address]) {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn bodies_of_any_length_come_back() {
    let peer = Peer::start().await;
    let channels = channels();
    for length in [0, 1, 300, 70_000, 3 << 20] {
        for says_its_length in [true, false] {
            let body = Bytes::from(vec![7; length]);
            let sent = channels.send(peer.address, post(&body, says_its_length));
            let reply = sent.await.expect("a reply");
            let whole = length == 0 || says_its_length && length <= 1 << 20;
            let exact = reply.body().size_hint().exact();
            assert_eq!(exact.is_some(), length == 0 || says_its_length, "{length}");
            if whole {
                assert_eq!(exact, Some(length as u64));
            }
            let back = reply
                .into_body()
                .collect()
                .await
                .expect("a body")
                .to_bytes();
            assert_eq!(back, body, "{length} {says_its_length}");
        }
    }
}

#[tokio::test]
async fn where_nobody_listens_nothing_was_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    drop(listener);
    let body = Bytes::from_static(b"x");
    let failure = channels().send(address, post(&body, true)).await;
    assert!(matches!(failure, Err(Failure::Unsent(_))), "{failure:?}");
}

#[tokio::test]
async fn a_peer_that_is_silent_is_not_waited_for() {
    // The system accepts, as it does for a process that is paused.
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let body = Bytes::from_static(b"x");
    let failure = channels().send(address, post(&body, true)).await;
    assert!(matches!(failure, Err(Failure::Broken(_))), "{failure:?}");
}

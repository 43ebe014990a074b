//! Calls to the other nodes of the cluster, over multiplexed HTTP/2 to their peer address.

use std::{net::SocketAddr, time::Duration};

use axum::{
    body::{Body, HttpBody as _},
    http::{
        HeaderName, HeaderValue, Method, Request, StatusCode, Uri, header, request::Parts,
        uri::PathAndQuery,
    },
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper_util::{
    client::legacy::{Builder, Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use tokio::time::Instant;

use crate::{
    cluster::{Peer, Unanswered},
    mailbox::RETRY_AFTER_SECONDS,
    peer_secret::{self, PeerSecret},
    problem::Problem,
};

/// How many nodes a request has passed. Only believed on the peer listener.
pub(crate) const HOPS: HeaderName = HeaderName::from_static("memgen-hops");
/// The address of the client that a forwarded request came from. Only believed on the peer listener.
pub(crate) const CALLER: HeaderName = HeaderName::from_static("memgen-caller");
/// How many milliseconds are left for the answer. Only believed on the peer listener.
pub(crate) const TIME_LEFT: HeaderName = HeaderName::from_static("memgen-time-left-ms");
/// Tells one request from every other: it happens once, however often it is sent. Only believed on the peer listener.
pub(crate) const REQUEST: HeaderName = HeaderName::from_static("memgen-request");
/// The answer of a node that is not the owner, and did nothing.
pub(crate) const MOVED: HeaderName = HeaderName::from_static("memgen-moved");

/// How often a request may be forwarded. The node that a client asks knows the owner or waits to know; nobody else needs to pass it on.
pub(crate) const HOPS_MAX: u8 = 1;

/// Replies up to this length are read before they are passed on, so that an owner that dies in the middle of one is no broken reply.
const WHOLE_REPLY_BYTES_MAX: u64 = 1 << 20;

/// How often a connection with requests on it is tested, and how long it may be silent then.
const TEST_EVERY: Duration = Duration::from_millis(500);
const SILENT_MAX: Duration = Duration::from_millis(1500);

/// So much of one feed is sent by a peer before it is read here, and of all of them: that of one is never in the way of another's.
const FEED_WINDOW_BYTES: u32 = 64 << 10;
const FEEDS_WINDOW_BYTES: u32 = 1 << 30;

/// Headers that belong to one connection and are not passed on (RFC 9110, section 7.6.1).
const HOP_BY_HOP: [HeaderName; 6] = [
    header::CONNECTION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::CONTENT_LENGTH,
];

/// The way to the other nodes.
#[derive(Clone)]
pub(crate) struct Peers {
    client: Client<HttpConnector, Body>,
    secret: PeerSecret,
}

/// What a forwarded request carries besides what the client sent.
pub(crate) struct Envelope<'a> {
    pub(crate) hops: u8,
    pub(crate) caller: Option<SocketAddr>,
    pub(crate) deadline: Instant,
    pub(crate) request: Option<&'a str>,
}

impl Envelope<'_> {
    /// That of a call which a node makes on its own account.
    pub(crate) fn own(deadline: Instant) -> Self {
        Self {
            hops: 0,
            caller: None,
            deadline,
            request: None,
        }
    }
}

impl Peers {
    /// Nodes that know this secret.
    pub(crate) fn new(secret: PeerSecret) -> Self {
        Self::with(secret, |_| ())
    }

    /// The same, by connections of their own for feeds: what nobody reads stays small, and holds up nothing else.
    pub(crate) fn for_feeds(secret: PeerSecret) -> Self {
        Self::with(secret, |client| {
            client.http2_initial_stream_window_size(FEED_WINDOW_BYTES);
            client.http2_initial_connection_window_size(FEEDS_WINDOW_BYTES);
        })
    }

    fn with(secret: PeerSecret, set: impl FnOnce(&mut Builder)) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(SILENT_MAX));
        let mut client = Client::builder(TokioExecutor::new());
        client
            .timer(TokioTimer::new())
            .http2_only(true)
            .http2_keep_alive_interval(TEST_EVERY)
            .http2_keep_alive_timeout(SILENT_MAX);
        set(&mut client);
        let client = client.build(connector);
        Self { client, secret }
    }

    /// Passes a request on as it is.
    pub(crate) async fn forward(
        &self,
        peer: &Peer,
        parts: &Parts,
        body: Bytes,
        envelope: Envelope<'_>,
    ) -> Result<Response, Unanswered> {
        let target = parts.uri.path_and_query().cloned();
        let target = target.unwrap_or_else(|| PathAndQuery::from_static("/"));
        let mut request = Request::new(Body::from(body));
        *request.method_mut() = parts.method.clone();
        *request.uri_mut() = uri(peer, target)?;
        for (name, value) in &parts.headers {
            if !HOP_BY_HOP.contains(name) && *name != header::HOST {
                request.headers_mut().append(name, value.clone());
            }
        }
        self.send(peer, request, envelope).await
    }

    /// Asks a peer for something of its own.
    pub(crate) async fn call(
        &self,
        peer: &Peer,
        method: Method,
        target: &str,
        headers: &[(HeaderName, HeaderValue)],
        body: Bytes,
        envelope: Envelope<'_>,
    ) -> Result<Response, Unanswered> {
        let target = PathAndQuery::try_from(target)
            .map_err(|error| Unanswered::Refused(Problem::internal(error)))?;
        let mut request = Request::new(Body::from(body));
        *request.method_mut() = method;
        *request.uri_mut() = uri(peer, target)?;
        for (name, value) in headers {
            request.headers_mut().insert(name, value.clone());
        }
        self.send(peer, request, envelope).await
    }

    async fn send(
        &self,
        peer: &Peer,
        mut request: Request<Body>,
        envelope: Envelope<'_>,
    ) -> Result<Response, Unanswered> {
        let Envelope {
            hops,
            caller,
            deadline,
            request: id,
        } = envelope;
        let left = deadline.saturating_duration_since(Instant::now());
        let left = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
        let text = |text: &str| HeaderValue::from_str(text).ok();
        let headers = request.headers_mut();
        headers.insert(HOPS, HeaderValue::from(u16::from(hops) + 1));
        headers.insert(TIME_LEFT, HeaderValue::from(left));
        if let Some(value) = caller.and_then(|caller| text(&caller.to_string())) {
            headers.insert(CALLER, value);
        }
        self.secret.show(headers);
        headers.remove(REQUEST);
        if let Some(value) = id.and_then(text) {
            headers.insert(REQUEST, value);
        }
        let sent = async {
            let response = self.client.request(request).await.map_err(|error| {
                tracing::debug!(node = &*peer.node, %error, "a peer does not answer");
                if error.is_connect() {
                    Unanswered::Moved
                } else {
                    Unanswered::Unknown
                }
            })?;
            whole(response.map(Body::new)).await
        };
        let response = tokio::time::timeout_at(deadline, sent)
            .await
            .unwrap_or(Err(Unanswered::Unknown))?;
        if response.headers().contains_key(MOVED) {
            return Err(Unanswered::Moved);
        }
        if peer_secret::is_refused(&response) {
            return Err(Unanswered::Refused(Problem::unavailable(
                format!(
                    "node {} does not know this node's `--peer-secret`",
                    peer.node
                ),
                RETRY_AFTER_SECONDS,
            )));
        }
        Ok(response)
    }
}

/// The response with all of its body, if that is short.
async fn whole(response: Response) -> Result<Response, Unanswered> {
    let length = response.body().size_hint().exact();
    if length.is_none_or(|length| length > WHOLE_REPLY_BYTES_MAX) {
        return Ok(response);
    }
    let (parts, body) = response.into_parts();
    let body = body.collect().await.map_err(|_| Unanswered::Unknown)?;
    Ok(Response::from_parts(parts, Body::from(body.to_bytes())))
}

fn uri(peer: &Peer, target: PathAndQuery) -> Result<Uri, Unanswered> {
    Uri::builder()
        .scheme("http")
        .authority(peer.address.to_string())
        .path_and_query(target)
        .build()
        .map_err(|error| Unanswered::Refused(Problem::internal(error)))
}

/// What a node answers that is not the owner, to a node that believed so.
pub(crate) fn moved() -> Response {
    let mut response = StatusCode::MISDIRECTED_REQUEST.into_response();
    response
        .headers_mut()
        .insert(MOVED, HeaderValue::from_static("?1"));
    response
}

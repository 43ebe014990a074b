//! Calls to the other nodes of the cluster, over multiplexed HTTP/2 to their peer address.

mod channel;
pub(crate) mod lane;

use std::net::SocketAddr;

use axum::{
    http::{
        HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, header, request::Parts,
        uri::PathAndQuery,
    },
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use futures_util::{FutureExt, future::BoxFuture};
use tokio::time::Instant;

use self::channel::{Channels, Failure, Use};
use crate::{
    cluster::{Peer, Unanswered},
    mailbox::RETRY_AFTER_SECONDS,
    peer_link::{Connector, Refusal},
    peer_secret::{PeerSecret, SECRET},
    problem::Problem,
};

/// The address of the client that a forwarded request came from. Only believed on the peer listener.
pub(crate) const CALLER: HeaderName = HeaderName::from_static("memgen-caller");
/// How many milliseconds are left for the answer. Only believed on the peer listener.
pub(crate) const TIME_LEFT: HeaderName = HeaderName::from_static("memgen-time-left-ms");
/// Tells one request from every other: it happens once, however often it is sent. Only believed on the peer listener.
pub(crate) const REQUEST: HeaderName = HeaderName::from_static("memgen-request");
/// The answer of a node that is not the owner, and did nothing.
pub(crate) const MOVED: HeaderName = HeaderName::from_static("memgen-moved");

/// Headers that belong to one connection and are not passed on (RFC 9110, section 7.6.1), and those that only a node may write.
const NOT_PASSED_ON: [HeaderName; 12] = [
    header::HOST,
    header::CONNECTION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    CALLER,
    TIME_LEFT,
    REQUEST,
    SECRET,
];

/// A head of a request between nodes is at most this long, with all that HTTP/2 counts. Whatever a node takes of its clients fits (`--header-bytes-max`, `--header-count-max`), with what
/// nodes say of it besides.
pub(crate) const HEAD_BYTES_MAX: u32 = 2 << 20;

/// The time that is left is said in steps of this. Most requests have the same then, for which HTTP/2 sends one byte on a stream of its own.
const TIME_LEFT_STEP_MS: u64 = 10;

/// The way to the other nodes.
#[derive(Clone)]
pub(crate) struct Peers(Channels);

/// What a forwarded request carries besides what the client sent.
pub(crate) struct Envelope<'a> {
    pub(crate) caller: Option<SocketAddr>,
    pub(crate) deadline: Instant,
    pub(crate) request: Option<&'a str>,
}

impl Envelope<'_> {
    /// That of a call which a node makes on its own account.
    pub(crate) fn own(deadline: Instant) -> Self {
        Self {
            caller: None,
            deadline,
            request: None,
        }
    }
}

/// What a peer will answer. It has a place of its own, since it takes kilobytes: whoever has what is asked for in this process, and only might have to ask, does not carry room for it.
pub(crate) type Asked<'a> = BoxFuture<'a, Result<Response, Unanswered>>;

impl Peers {
    /// Nodes that know this secret, and are connected to in this way.
    pub(crate) fn new(secret: PeerSecret, connector: Connector) -> Self {
        Self(Channels::new(connector, secret, Use::Requests))
    }

    /// The same, by connections of their own for feeds: what nobody reads stays small, and holds up nothing else.
    pub(crate) fn for_feeds(secret: PeerSecret, connector: Connector) -> Self {
        Self(Channels::new(connector, secret, Use::Feeds))
    }

    /// Passes a request on as it is.
    pub(crate) fn forward<'a>(
        &'a self,
        peer: &'a Peer,
        parts: &'a Parts,
        body: Bytes,
        envelope: Envelope<'a>,
    ) -> Asked<'a> {
        async move {
            let target = parts.uri.path_and_query().cloned();
            let target = target.unwrap_or_else(|| PathAndQuery::from_static("/"));
            let headers = passed_on(&parts.headers);
            self.send(peer, parts.method.clone(), target, headers, body, envelope)
                .await
        }
        .boxed()
    }

    /// Asks a peer for something of its own.
    pub(crate) fn call<'a>(
        &'a self,
        peer: &'a Peer,
        method: Method,
        target: &'a str,
        headers: &'a [(HeaderName, HeaderValue)],
        body: Bytes,
        envelope: Envelope<'a>,
    ) -> Asked<'a> {
        async move {
            let target = PathAndQuery::try_from(target)
                .map_err(|error| Unanswered::Refused(Problem::internal(error)))?;
            let headers = headers.iter().cloned().collect();
            self.send(peer, method, target, headers, body, envelope)
                .await
        }
        .boxed()
    }

    async fn send(
        &self,
        peer: &Peer,
        method: Method,
        target: PathAndQuery,
        mut headers: HeaderMap,
        body: Bytes,
        envelope: Envelope<'_>,
    ) -> Result<Response, Unanswered> {
        let Envelope {
            caller,
            deadline,
            request: id,
        } = envelope;
        let left = deadline.saturating_duration_since(Instant::now());
        let left = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
        headers.insert(
            TIME_LEFT,
            HeaderValue::from(left - left % TIME_LEFT_STEP_MS),
        );
        let once = |text: &str| {
            let mut value = HeaderValue::from_str(text).ok()?;
            // What is hardly ever the same again has no place in HTTP/2's table of what was sent before.
            value.set_sensitive(true);
            Some(value)
        };
        if let Some(value) = caller.and_then(|caller| once(&caller.to_string())) {
            headers.insert(CALLER, value);
        }
        if let Some(value) = id.and_then(once) {
            headers.insert(REQUEST, value);
        }
        let mut request = Request::new(body);
        *request.method_mut() = method;
        // Without an authority, as it came from the client.
        *request.uri_mut() = target.into();
        *request.headers_mut() = headers;
        let sent = self.0.send(peer.address, request);
        let sent = tokio::time::timeout_at(deadline, sent).await;
        let sent = sent.map_err(|_| Unanswered::Unknown)?;
        let response = sent.map_err(|failure| {
            tracing::debug!(node = &*peer.node, %failure, "a peer does not answer");
            match failure {
                Failure::Unsent(error) => match Refusal::behind(&*error) {
                    None => Unanswered::Moved,
                    Some(refusal) => {
                        let what = format!("no connection to node {}: {refusal}", peer.node);
                        Unanswered::Refused(Problem::unavailable(what, RETRY_AFTER_SECONDS))
                    }
                },
                Failure::Broken(_) => Unanswered::Unknown,
                Failure::TooLong => {
                    Unanswered::Refused(Problem::header_too_large(failure.to_string()))
                }
            }
        })?;
        if response.headers().contains_key(MOVED) {
            return Err(Unanswered::Moved);
        }
        Ok(response)
    }
}

/// What another node gets of a client's headers.
fn passed_on(headers: &HeaderMap) -> HeaderMap {
    // With room for what nodes say besides.
    let mut passed_on = HeaderMap::with_capacity(headers.len() + 4);
    for (name, value) in headers {
        if !NOT_PASSED_ON.contains(name) {
            passed_on.append(name, value.clone());
        }
    }
    passed_on
}

/// What a node answers that is not the owner, to a node that believed so.
pub(crate) fn moved() -> Response {
    let mut response = StatusCode::MISDIRECTED_REQUEST.into_response();
    response
        .headers_mut()
        .insert(MOVED, HeaderValue::from_static("?1"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_nodes_may_say_is_not_passed_on() {
        let mut headers = HeaderMap::new();
        for name in &NOT_PASSED_ON {
            headers.append(name, HeaderValue::from_static("x"));
        }
        assert!(passed_on(&headers).is_empty());
        for name in [
            "memgen-caller",
            "memgen-time-left-ms",
            "memgen-request",
            "memgen-peer-secret",
            "host",
            "connection",
        ] {
            assert!(headers.contains_key(name), "{name}");
        }
        headers.append("x-twice", HeaderValue::from_static("one"));
        headers.append("x-twice", HeaderValue::from_static("two"));
        headers.append("idempotency-key", HeaderValue::from_static("k"));
        let passed_on = passed_on(&headers);
        assert_eq!(passed_on.len(), 3);
        let twice: Vec<_> = passed_on.get_all("x-twice").iter().collect();
        assert_eq!(twice, ["one", "two"]);
    }
}

//! Calls to the other nodes of the cluster, over multiplexed HTTP/2 to their peer address.

use std::{net::SocketAddr, time::Duration};

use axum::{
    body::Body,
    http::{
        HeaderName, HeaderValue, Method, Request, Uri, header, request::Parts, uri::PathAndQuery,
    },
    response::Response,
};
use bytes::Bytes;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};

use crate::{mailbox::RETRY_AFTER_SECONDS, problem::Problem};

/// How many nodes a request has passed. Only believed on the peer listener.
pub(crate) const HOPS: HeaderName = HeaderName::from_static("memgen-hops");
/// The address of the client that a forwarded request came from. Only believed on the peer listener.
pub(crate) const CALLER: HeaderName = HeaderName::from_static("memgen-caller");

/// How often a request may be forwarded: once is enough when all nodes agree on the owners, more while they change.
pub(crate) const HOPS_MAX: u8 = 3;

/// Headers that belong to one connection and are not passed on (RFC 9110, section 7.6.1).
const HOP_BY_HOP: [HeaderName; 6] = [
    header::CONNECTION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::CONTENT_LENGTH,
];

/// The other nodes, by index.
#[derive(Clone)]
pub(crate) struct Peers {
    addresses: Vec<SocketAddr>,
    client: Client<HttpConnector, Body>,
    patience: Duration,
}

impl Peers {
    pub(crate) fn new(addresses: Vec<SocketAddr>, patience: Duration) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(patience));
        let client = Client::builder(TokioExecutor::new())
            .http2_only(true)
            .build(connector);
        Self {
            addresses,
            client,
            patience,
        }
    }

    /// Passes a request on as it is.
    pub(crate) async fn forward(
        &self,
        node: usize,
        parts: &Parts,
        body: Bytes,
        hops: u8,
        caller: Option<SocketAddr>,
    ) -> Result<Response, Problem> {
        if hops >= HOPS_MAX {
            return Err(Problem::unavailable(
                "the nodes do not agree on who owns this key",
                RETRY_AFTER_SECONDS,
            ));
        }
        let target = parts.uri.path_and_query().cloned();
        let mut request = Request::builder()
            .method(parts.method.clone())
            .uri(self.uri(
                node,
                target.unwrap_or_else(|| PathAndQuery::from_static("/")),
            )?)
            .body(Body::from(body))
            .map_err(Problem::internal)?;
        for (name, value) in &parts.headers {
            if !HOP_BY_HOP.contains(name) && *name != header::HOST {
                request.headers_mut().append(name, value.clone());
            }
        }
        request
            .headers_mut()
            .insert(HOPS, HeaderValue::from(u16::from(hops) + 1));
        if let Some(value) =
            caller.and_then(|caller| HeaderValue::from_str(&caller.to_string()).ok())
        {
            request.headers_mut().insert(CALLER, value);
        }
        self.send(node, request).await
    }

    /// Asks a peer for something of its own.
    pub(crate) async fn call(
        &self,
        node: usize,
        method: Method,
        target: &str,
        headers: &[(HeaderName, HeaderValue)],
        body: Bytes,
    ) -> Result<Response, Problem> {
        let target = PathAndQuery::try_from(target).map_err(Problem::internal)?;
        let mut request = Request::builder()
            .method(method)
            .uri(self.uri(node, target)?)
            .body(Body::from(body))
            .map_err(Problem::internal)?;
        request.headers_mut().insert(HOPS, HeaderValue::from(1_u16));
        for (name, value) in headers {
            request.headers_mut().insert(name, value.clone());
        }
        self.send(node, request).await
    }

    fn uri(&self, node: usize, target: PathAndQuery) -> Result<Uri, Problem> {
        let address = self
            .addresses
            .get(node)
            .ok_or_else(|| Problem::internal(format!("no address of node {node}")))?;
        Uri::builder()
            .scheme("http")
            .authority(address.to_string())
            .path_and_query(target)
            .build()
            .map_err(Problem::internal)
    }

    async fn send(&self, node: usize, request: Request<Body>) -> Result<Response, Problem> {
        let unreachable = |what: String| {
            tracing::warn!(node, what, "a peer does not answer");
            Problem::unavailable("the owner of this key does not answer", RETRY_AFTER_SECONDS)
        };
        match tokio::time::timeout(self.patience, self.client.request(request)).await {
            Ok(Ok(response)) => Ok(response.map(Body::new)),
            Ok(Err(error)) => Err(unreachable(error.to_string())),
            Err(_) => Err(unreachable("time is up".to_owned())),
        }
    }
}

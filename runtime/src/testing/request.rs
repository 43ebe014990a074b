//! Requests to a node of a simulation, by HTTP over its network.

use std::{future::IntoFuture, net::SocketAddr};

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use serde::{Serialize, de::DeserializeOwned};
use tracing::info;

use super::network::{Network, OUTSIDE};
use crate::ambient::spawn;

/// A request that is sent when it is awaited.
#[derive(Clone, Debug)]
#[must_use = "it is sent when it is awaited"]
pub struct Request {
    network: Network,
    to: SocketAddr,
    method: Method,
    path: String,
    headers: HeaderMap,
    body: Bytes,
}

/// A request has no reply: it was not sent, or its connection broke, and nobody knows what it did.
#[derive(Debug, thiserror::Error)]
#[error("{method} {path}: {why}")]
pub struct NoReply {
    method: Method,
    path: String,
    why: String,
    sent: bool,
}

impl NoReply {
    /// Whether it may have been carried out.
    #[must_use]
    pub fn was_sent(&self) -> bool {
        self.sent
    }
}

impl Request {
    pub(super) fn new(network: &Network, to: SocketAddr, method: Method, path: &str) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, HeaderValue::from_static("simulated"));
        Self {
            network: network.clone(),
            to,
            method,
            path: path.to_owned(),
            headers,
            body: Bytes::new(),
        }
    }

    /// Adds a header.
    ///
    /// # Panics
    /// If it is none.
    pub fn header(mut self, name: &str, value: impl AsRef<str>) -> Self {
        let name = HeaderName::try_from(name).expect("the name of a header");
        let value = HeaderValue::from_str(value.as_ref()).expect("the value of a header");
        self.headers.append(name, value);
        self
    }

    /// Names the request, so that it is carried out once, however often it is made: the header `Idempotency-Key`.
    ///
    /// # Panics
    /// If it can't be the value of a header.
    pub fn once(self, name: impl AsRef<str>) -> Self {
        self.header("idempotency-key", name)
    }

    /// Gives it a body of JSON.
    ///
    /// # Panics
    /// If the value is none of JSON.
    pub fn json(mut self, value: &impl Serialize) -> Self {
        self.body = Bytes::from(serde_json::to_vec(value).expect("a value of JSON"));
        self.header(header::CONTENT_TYPE.as_str(), "application/json")
    }

    /// Sends it, and waits for what comes of it: a reply, or none since the node is not there, or goes away in the middle. A node that is paused or cut off does not answer at all.
    ///
    /// # Errors
    /// [`NoReply`].
    ///
    /// # Panics
    /// If the path is none.
    pub async fn try_send(self) -> Result<Reply, NoReply> {
        let none = self.no_reply();
        let (head, body) = self.open().await?.into_parts();
        let body = body.collect().await;
        let body = body.map_err(|error| none(true, error.to_string()))?;
        Ok(Reply {
            status: head.status,
            headers: head.headers,
            body: body.to_bytes(),
        })
    }

    /// What is said where there is none, by whether the request was sent, and why.
    pub(super) fn no_reply(&self) -> impl Fn(bool, String) -> NoReply + Send + 'static {
        let (method, path) = (self.method.clone(), self.path.clone());
        move |sent, why| NoReply {
            method: method.clone(),
            path: path.clone(),
            why,
            sent,
        }
    }

    /// Sends it, and waits for the head of the reply.
    pub(super) async fn open(self) -> Result<Response<Incoming>, NoReply> {
        let none = self.no_reply();
        let Self {
            network,
            to,
            method,
            path,
            headers,
            body,
        } = self;
        let connected = network.connect(OUTSIDE, to).await;
        let stream = connected.map_err(|error| none(false, error.to_string()))?;
        let opened = http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = opened.map_err(|error| none(false, error.to_string()))?;
        spawn(async move { drop(connection.await) });
        let mut request = axum::http::Request::new(Full::new(body));
        *request.method_mut() = method.clone();
        *request.uri_mut() = path.parse().expect("the path of a request");
        *request.headers_mut() = headers;
        let answered = sender.send_request(request).await;
        let answered = answered.map_err(|error| none(true, error.to_string()))?;
        info!(target: "memgen::testing", %to, %method, path, status = answered.status().as_u16(), "was answered");
        Ok(answered)
    }
}

impl IntoFuture for Request {
    type Output = Reply;
    type IntoFuture = BoxFuture<'static, Reply>;

    /// # Panics
    /// If there is no reply; [`try_send`](Request::try_send) says so instead.
    fn into_future(self) -> BoxFuture<'static, Reply> {
        Box::pin(async {
            match self.try_send().await {
                Ok(reply) => reply,
                Err(none) => panic!("{none}"),
            }
        })
    }
}

/// What a node answered.
#[derive(Clone, Debug)]
pub struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Reply {
    /// The status, as a number.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status.as_u16()
    }

    /// A header, if it is there and is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body, as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body, read as JSON.
    ///
    /// # Panics
    /// If it is something else.
    #[must_use]
    pub fn json<T: DeserializeOwned>(&self) -> T {
        match serde_json::from_slice(&self.body) {
            Ok(value) => value,
            Err(error) => panic!("{error}: {} {}", self.status, self.text()),
        }
    }

    /// The same reply, if it has this status.
    ///
    /// # Panics
    /// If it has another one.
    #[allow(
        clippy::must_use_candidate,
        clippy::return_self_not_must_use,
        reason = "most often it is an assertion and nothing else"
    )]
    pub fn expect(self, status: u16) -> Self {
        assert!(
            self.status() == status,
            "{status} was expected: {} {}",
            self.status,
            self.text()
        );
        self
    }
}

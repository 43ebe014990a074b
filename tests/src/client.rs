//! HTTP as a well-behaved client speaks it.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{HeaderMap, Method, Request, header};
use hyper_util::{
    client::legacy::{self, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::Value;

/// How long a request may take before the test fails: far longer than any should.
const PATIENCE: Duration = Duration::from_secs(60);

/// A client of one node. Clones share their connections.
#[derive(Clone, Debug)]
pub struct Client {
    base: String,
    http: legacy::Client<HttpConnector, Full<Bytes>>,
}

/// Why there is no reply.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

impl Client {
    /// A client of the server at `base`, such as `http://127.0.0.1:8081`.
    pub fn new(base: impl Into<String>) -> Self {
        let http = legacy::Client::builder(TokioExecutor::new()).build_http();
        let base = base.into();
        Self { base, http }
    }

    /// The server, without a `/` at the end.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.base
    }

    /// A request that is about to be sent.
    pub fn request(&self, method: &str, path: &str) -> Outgoing<'_> {
        let method = Method::from_bytes(method.as_bytes()).expect("tests use valid methods");
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .body(Full::default())
            .unwrap_or_else(|error| panic!("`{path}` is no path: {error}"));
        Outgoing {
            client: self,
            request,
        }
    }

    /// `GET path`.
    pub async fn get(&self, path: &str) -> Reply {
        self.request("GET", path).send().await
    }

    /// `PUT path` with a JSON body.
    pub async fn put(&self, path: &str, body: &Value) -> Reply {
        self.request("PUT", path).json(body).send().await
    }

    /// `POST path` with a JSON body.
    pub async fn post(&self, path: &str, body: &Value) -> Reply {
        self.request("POST", path).json(body).send().await
    }

    /// `POST path` without a body.
    pub async fn post_empty(&self, path: &str) -> Reply {
        self.request("POST", path).send().await
    }

    /// `PATCH path` with a JSON merge patch.
    pub async fn patch(&self, path: &str, body: &Value) -> Reply {
        let media_type = "application/merge-patch+json";
        let request = self.request("PATCH", path).body(body.to_string());
        request.header("content-type", media_type).send().await
    }

    /// `DELETE path`.
    pub async fn delete(&self, path: &str) -> Reply {
        self.request("DELETE", path).send().await
    }
}

/// A request that is about to be sent.
#[must_use = "it is not sent yet"]
#[derive(Debug)]
pub struct Outgoing<'a> {
    client: &'a Client,
    request: Request<Full<Bytes>>,
}

impl Outgoing<'_> {
    /// Sets a header field.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let name = header::HeaderName::from_bytes(name.as_bytes()).expect("a header's name");
        let value = value.parse().expect("a header's value");
        self.request.headers_mut().insert(name, value);
        self
    }

    /// Sets the body.
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        *self.request.body_mut() = Full::new(body.into());
        self
    }

    /// Sets the body, and says that it is JSON.
    pub fn json(self, body: &Value) -> Self {
        self.header("content-type", "application/json")
            .body(body.to_string())
    }

    /// Sends it, and waits for the reply.
    pub async fn send(self) -> Reply {
        let what = format!("{} {}", self.request.method(), self.request.uri());
        match self.try_send().await {
            Ok(reply) => reply,
            Err(error) => panic!("{what}: {error}"),
        }
    }

    /// Sends it, and waits for the reply, if there is one.
    ///
    /// # Errors
    /// If the connection fails or ends first, or after a minute.
    pub async fn try_send(self) -> Result<Reply, Failure> {
        let exchange = async {
            let response = self.client.http.request(self.request).await?;
            let (head, body) = response.into_parts();
            Ok::<_, Failure>(Reply {
                status: head.status.as_u16(),
                headers: head.headers,
                body: body.collect().await?.to_bytes(),
            })
        };
        tokio::time::timeout(PATIENCE, exchange).await?
    }
}

/// What a server answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The header fields.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Reply {
    /// A header field, if it is there.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("the body is text")
    }

    /// The body as JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error} in the body of {self:?}"))
    }

    /// The entity's tag.
    #[must_use]
    pub fn etag(&self) -> &str {
        self.header("etag")
            .unwrap_or_else(|| panic!("no ETag in {self:?}"))
    }

    /// Checks that this is a problem document of RFC 9457 and that it fits the status. Returns it.
    pub fn problem(&self) -> Value {
        assert!(self.status >= 400, "not an error: {self:?}");
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json"),
            "{self:?}"
        );
        let problem = self.json();
        assert_eq!(problem["status"], self.status, "{self:?}");
        for text in ["type", "title", "detail"] {
            let text = problem[text].as_str();
            assert!(text.is_some_and(|text| !text.is_empty()), "{self:?}");
        }
        problem
    }
}

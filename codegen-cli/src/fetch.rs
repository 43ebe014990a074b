//! One HTTP request.

use std::{fmt, net::SocketAddr, str::FromStr, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::{Method, Request, StatusCode, Uri, header};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// How long the node may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// The longest answer that is read: enough for some hundred thousand partitions.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// Scheme, host and port of a node, without a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Base {
    /// Without the brackets in which an IPv6 address stands in a URL.
    host: String,
    port: u16,
}

impl Base {
    fn authority(&self) -> String {
        let Self { host, port } = self;
        if host.contains(':') {
            format!("[{host}]:{port}")
        } else {
            format!("{host}:{port}")
        }
    }
}

impl FromStr for Base {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || "expected http://HOST:PORT".to_owned();
        let with_scheme = if text.contains("://") {
            text.to_owned()
        } else {
            format!("http://{text}")
        };
        let uri: Uri = with_scheme.parse().map_err(|_| expected())?;
        if uri.scheme_str() != Some("http")
            || !matches!(uri.path(), "" | "/")
            || uri.query().is_some()
        {
            return Err(expected());
        }
        let host = uri.host().filter(|host| !host.is_empty());
        let host = host.ok_or_else(expected)?;
        Ok(Self {
            host: host.trim_matches(['[', ']']).to_owned(),
            port: uri.port_u16().ok_or_else(expected)?,
        })
    }
}

impl From<SocketAddr> for Base {
    fn from(address: SocketAddr) -> Self {
        Self {
            host: address.ip().to_string(),
            port: address.port(),
        }
    }
}

impl fmt::Display for Base {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}", self.authority())
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FetchError {
    #[error("can't start: {0}")]
    Runtime(std::io::Error),
    #[error("can't reach {base}: {source}; is the service running, and is this its admin address?")]
    Connect { base: Base, source: std::io::Error },
    #[error("{base}{path}: {source}")]
    Http {
        base: Base,
        path: String,
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("{base}{path} answers {status}; is this its admin address?")]
    Status {
        base: Base,
        path: String,
        status: StatusCode,
    },
    #[error("{base} does not answer within {PATIENCE:?}")]
    Patience { base: Base },
}

/// The body that a node answers `GET path` with.
pub(crate) fn get(base: &Base, path: &str) -> Result<Bytes, FetchError> {
    ask(base, Method::GET, path)
}

/// The body that a node answers `POST path` with, sent without a body.
pub(crate) fn post(base: &Base, path: &str) -> Result<Bytes, FetchError> {
    ask(base, Method::POST, path)
}

fn ask(base: &Base, method: Method, path: &str) -> Result<Bytes, FetchError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(FetchError::Runtime)?;
    runtime.block_on(async {
        let patience = tokio::time::timeout(PATIENCE, exchange(base, method, path)).await;
        patience.unwrap_or_else(|_| Err(FetchError::Patience { base: base.clone() }))
    })
}

async fn exchange(base: &Base, method: Method, path: &str) -> Result<Bytes, FetchError> {
    let stream = TcpStream::connect((base.host.as_str(), base.port)).await;
    let stream = stream.map_err(|source| FetchError::Connect {
        base: base.clone(),
        source,
    })?;
    let http = |source: Box<dyn std::error::Error + Send + Sync>| FetchError::Http {
        base: base.clone(),
        path: path.to_owned(),
        source,
    };
    let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(|error| http(error.into()))?;
    // It drives the request; whatever ends it ends the request too.
    tokio::spawn(connection);
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, base.authority())
        .body(Empty::<Bytes>::new())
        .map_err(|error| http(error.into()))?;
    let response = sender
        .send_request(request)
        .await
        .map_err(|error| http(error.into()))?;
    let status = response.status();
    if !status.is_success() {
        let (base, path) = (base.clone(), path.to_owned());
        return Err(FetchError::Status { base, path, status });
    }
    let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX)
        .collect()
        .await;
    Ok(body.map_err(http)?.to_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bases() {
        let rows = [
            ("http://127.0.0.1:9081", Some("http://127.0.0.1:9081")),
            ("http://127.0.0.1:9081/", Some("http://127.0.0.1:9081")),
            ("localhost:9081", Some("http://localhost:9081")),
            ("http://[::1]:9081", Some("http://[::1]:9081")),
            ("[::1]:9081", Some("http://[::1]:9081")),
            ("http://127.0.0.1", None),
            ("https://127.0.0.1:9081", None),
            ("http://127.0.0.1:9081/status", None),
            ("http://127.0.0.1:99999", None),
            ("http://:9081", None),
            ("9081", None),
            ("", None),
        ];
        for (text, expected) in rows {
            let base = text.parse::<Base>().map(|base| base.to_string());
            assert_eq!(base.ok().as_deref(), expected, "{text}");
        }
        // As a socket and as a URL have it.
        let address: SocketAddr = "[::1]:9081".parse().unwrap();
        let base = Base::from(address);
        assert_eq!((base.host.as_str(), base.port), ("::1", 9081));
        assert_eq!("http://[::1]:9081".parse(), Ok(base));
    }
}

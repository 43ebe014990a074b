//! `Idempotency-Key`: the same request gets its first answer again, and changes nothing (rule 10).
//!
//! The answer travels in the record of the change. Encoded, it is JSON: `[status, [[name, value], …], body]`, the body as
//! text if it is UTF-8 and as a list of bytes otherwise.

use axum::{
    body::Body,
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures_util::FutureExt;
use http_body_util::BodyExt;
use serde::{Deserialize, Serialize};

use crate::{mailbox::RequestId, problem::Problem, record::ROUTED_ID_PREFIX};

/// The header's name.
pub(crate) const HEADER: HeaderName = HeaderName::from_static("idempotency-key");

/// The longest key that a client may choose, in bytes.
pub(crate) const KEY_BYTES_MAX: usize = 255;

#[derive(Serialize, Deserialize)]
struct Kept(u16, Vec<(String, String)>, KeptBody);

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum KeptBody {
    Text(String),
    Bytes(Vec<u8>),
}

/// The id of a request, if the client gave one.
pub(crate) fn request_id(
    headers: &HeaderMap,
    method: &Method,
    uri: &Uri,
    body: &[u8],
) -> Result<Option<RequestId>, Problem> {
    let mut values = headers.get_all(HEADER).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(Problem::bad_request(
            "`Idempotency-Key` is given more than once",
        ));
    }
    if value.is_empty() || value.len() > KEY_BYTES_MAX {
        return Err(Problem::bad_request(format!(
            "`Idempotency-Key` has {} bytes; it must have 1 to {KEY_BYTES_MAX}",
            value.len()
        )));
    }
    Ok(Some(RequestId {
        id: Bytes::copy_from_slice(value.as_bytes()),
        fingerprint: fingerprint(method, uri, body),
    }))
}

/// The id of a request that one node passes to another.
pub(crate) fn routed_id(id: &str, method: &Method, uri: &Uri, body: &[u8]) -> RequestId {
    RequestId {
        id: [&[ROUTED_ID_PREFIX], id.as_bytes()].concat().into(),
        fingerprint: fingerprint(method, uri, body),
    }
}

fn fingerprint(method: &Method, uri: &Uri, body: &[u8]) -> u128 {
    let mut hash = xxhash_rust::xxh3::Xxh3::new();
    let target = uri.path_and_query().map_or("", |target| target.as_str());
    for part in [method.as_str().as_bytes(), target.as_bytes(), body] {
        hash.update(&(part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hash.digest128()
}

/// The answer to another request with an id that is taken.
pub(crate) fn differs() -> Problem {
    Problem::invalid("this `Idempotency-Key` was used with another request; choose a new one")
        .with_type("urn:memgen:problem:idempotency-key-reused")
}

/// The reply in the form in which it is kept. Returns the reply too, since its body has to be read for it.
pub(crate) fn encode(response: Response) -> (Response, Bytes) {
    let (parts, body) = response.into_parts();
    // The body of a command's reply is in memory; a stream that isn't ready can't be kept.
    let Some(Ok(body)) = body.collect().now_or_never() else {
        let problem = Problem::internal("a command's reply is a stream, which can't be kept");
        return encode(problem.into_response());
    };
    let body = body.to_bytes();
    let headers = parts.headers.iter().filter_map(|(name, value)| {
        Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
    });
    let kept_body = match std::str::from_utf8(&body) {
        Ok(text) => KeptBody::Text(text.to_owned()),
        Err(_) => KeptBody::Bytes(body.to_vec()),
    };
    let kept = Kept(parts.status.as_u16(), headers.collect(), kept_body);
    let bytes = serde_json::to_vec(&kept).expect("numbers and text always serialize");
    (
        Response::from_parts(parts, Body::from(body)),
        Bytes::from(bytes),
    )
}

/// The reply that was kept.
pub(crate) fn decode(kept: &[u8]) -> Response {
    let Ok(Kept(status, headers, body)) = serde_json::from_slice(kept) else {
        return Problem::internal("a remembered reply can't be read").into_response();
    };
    let body = match body {
        KeptBody::Text(text) => Body::from(text),
        KeptBody::Bytes(bytes) => Body::from(bytes),
    };
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    for (name, value) in headers {
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), value.parse::<HeaderValue>()) {
            response.headers_mut().append(name, value);
        }
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_comes_back_whole() {
        for body in [&b"{\"a\": 1}"[..], b"", b"\xff\xfe", "größer".as_bytes()] {
            let mut response = Response::new(Body::from(body.to_vec()));
            *response.status_mut() = StatusCode::CREATED;
            response
                .headers_mut()
                .append("etag", HeaderValue::from_static("\"x\""));
            response
                .headers_mut()
                .append("vary", HeaderValue::from_static("a"));
            response
                .headers_mut()
                .append("vary", HeaderValue::from_static("b"));
            let (first, kept) = encode(response);
            let again = decode(&kept);
            assert_eq!(first.status(), again.status());
            assert_eq!(first.headers(), again.headers());
            let read = |response: Response| {
                response
                    .into_body()
                    .collect()
                    .now_or_never()
                    .unwrap()
                    .unwrap()
                    .to_bytes()
            };
            assert_eq!(
                (read(first), read(again)),
                (Bytes::from(body), Bytes::from(body))
            );
        }
    }

    #[test]
    fn another_method_target_or_body_has_another_fingerprint() {
        let mut headers = HeaderMap::new();
        headers.insert(HEADER, HeaderValue::from_static("k"));
        let print = |method: Method, uri: &'static str, body: &[u8]| {
            let uri = Uri::from_static(uri);
            request_id(&headers, &method, &uri, body)
                .unwrap()
                .unwrap()
                .fingerprint
        };
        let first = print(Method::PUT, "/a?x=1", b"b");
        assert_eq!(first, print(Method::PUT, "/a?x=1", b"b"));
        assert_ne!(first, print(Method::POST, "/a?x=1", b"b"));
        assert_ne!(first, print(Method::PUT, "/a?x=2", b"b"));
        assert_ne!(first, print(Method::PUT, "/a?x=1", b"c"));
        assert_ne!(
            print(Method::PUT, "/a", b"bc"),
            print(Method::PUT, "/ab", b"c")
        );
    }
}

//! What a handler returns when the status is not plainly 200.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde::Serialize;

use crate::problem::Problem;

/// 201 with the new thing as JSON, and where it is if [`at`](Self::at) says so.
///
/// ```
/// use axum::response::IntoResponse;
/// use memgen::reply::Created;
///
/// let response = Created::new("an edge").at("/vertex/1/edges/2").into_response();
/// assert_eq!(response.status(), 201);
/// assert_eq!(response.headers()["location"], "/vertex/1/edges/2");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Created<T> {
    value: T,
    location: Option<String>,
}

impl<T> Created<T> {
    /// 201 with `value` as its body.
    pub const fn new(value: T) -> Self {
        Self {
            value,
            location: None,
        }
    }

    /// Sets the `Location` header: the path of the new thing.
    #[must_use]
    pub fn at(mut self, location: impl Into<String>) -> Self {
        self.location = Some(location.into());
        self
    }

    /// What the body says.
    pub const fn value(&self) -> &T {
        &self.value
    }
}

impl<T: Serialize> IntoResponse for Created<T> {
    fn into_response(self) -> Response {
        json(StatusCode::CREATED, &self.value, self.location.as_deref())
    }
}

/// 202 with JSON: the work is noted, and goes on after the answer.
///
/// ```
/// use axum::response::IntoResponse;
/// use memgen::reply::Accepted;
/// assert_eq!(Accepted::new("queued").at("/jobs/7").into_response().status(), 202);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted<T> {
    value: T,
    location: Option<String>,
}

impl<T> Accepted<T> {
    /// 202 with `value` as its body.
    pub const fn new(value: T) -> Self {
        Self {
            value,
            location: None,
        }
    }

    /// Sets the `Location` header: where the outcome can be seen.
    #[must_use]
    pub fn at(mut self, location: impl Into<String>) -> Self {
        self.location = Some(location.into());
        self
    }

    /// What the body says.
    pub const fn value(&self) -> &T {
        &self.value
    }
}

impl<T: Serialize> IntoResponse for Accepted<T> {
    fn into_response(self) -> Response {
        json(StatusCode::ACCEPTED, &self.value, self.location.as_deref())
    }
}

/// 303: done, and the result is to be seen with `GET` at another path.
///
/// ```
/// use axum::response::IntoResponse;
/// use memgen::reply::SeeOther;
/// let response = SeeOther::to("/vertex/7").into_response();
/// assert_eq!((response.status().as_u16(), &response.headers()["location"]), (303, &"/vertex/7".parse().unwrap()));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeeOther {
    location: String,
}

impl SeeOther {
    /// 303 to `location`.
    pub fn to(location: impl Into<String>) -> Self {
        Self {
            location: location.into(),
        }
    }

    /// Where to.
    #[must_use]
    pub fn location(&self) -> &str {
        &self.location
    }
}

impl IntoResponse for SeeOther {
    fn into_response(self) -> Response {
        (
            StatusCode::SEE_OTHER,
            [(header::LOCATION, location_value(&self.location))],
        )
            .into_response()
    }
}

/// 204: done, nothing to say.
///
/// ```
/// use axum::response::IntoResponse;
/// assert_eq!(memgen::reply::NoContent.into_response().status(), 204);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NoContent;

impl IntoResponse for NoContent {
    fn into_response(self) -> Response {
        StatusCode::NO_CONTENT.into_response()
    }
}

/// A JSON answer. A value that does not serialize is a fault of the service, answered as such.
fn json<T: Serialize>(status: StatusCode, value: &T, location: Option<&str>) -> Response {
    let body = match serde_json::to_vec(value) {
        Ok(body) => body,
        Err(error) => return Problem::internal(error).into_response(),
    };
    let mut response = (status, body).into_response();
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    if let Some(location) = location {
        headers.insert(header::LOCATION, location_value(location));
    }
    response
}

/// What can't stand in a URL at all. Everything else, `%` too, is left as the handler wrote it.
const NOT_IN_A_URL: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'<')
    .add(b'>')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// A location as a header value: bytes that can't stand in a URL are percent-encoded, so that no text makes
/// a header of its own.
fn location_value(location: &str) -> HeaderValue {
    let encoded = utf8_percent_encode(location, NOT_IN_A_URL).to_string();
    HeaderValue::try_from(encoded).expect("percent-encoding leaves visible ASCII only")
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use http_body_util::BodyExt as _;

    use super::*;

    async fn body(response: Response) -> String {
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    #[tokio::test]
    async fn created_and_accepted_carry_json() {
        let response = Created::new(vec![1, 2]).into_response();
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/json");
        assert!(!response.headers().contains_key(header::LOCATION));
        assert_eq!(body(response).await, "[1,2]");
        let response = Accepted::new(7).at("/jobs/7").into_response();
        assert_eq!(response.headers()[header::LOCATION], "/jobs/7");
        assert_eq!(body(response).await, "7");
    }

    #[test]
    fn a_location_can_not_break_out_of_its_header() {
        let rows = [
            ("/vertex/7", "/vertex/7"),
            ("/a b", "/a%20b"),
            ("/a%2Fb?c=d&e=f#g", "/a%2Fb?c=d&e=f#g"),
            ("/x\r\nSet-Cookie: a=b", "/x%0D%0ASet-Cookie:%20a=b"),
            ("/ä", "/%C3%A4"),
            ("/\0", "/%00"),
            ("", ""),
        ];
        for (location, header_value) in rows {
            let response = SeeOther::to(location).into_response();
            assert_eq!(response.headers()[header::LOCATION], header_value);
        }
    }

    #[test]
    fn a_value_that_does_not_serialize_is_a_500() {
        let keys_are_no_strings = HashMap::from([(vec![1], 1)]);
        let response = Created::new(keys_are_no_strings).into_response();
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    }

    #[test]
    fn no_content_has_no_content() {
        let response = NoContent.into_response();
        assert!(!response.headers().contains_key(header::CONTENT_TYPE));
    }
}

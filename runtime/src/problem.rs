//! What a client is told when something is wrong: problem documents, RFC 9457.
//!
//! A [`Problem`] is both the error of a handler and its response. Shorthands such as [`Conflict`]
//! are for signatures that say more: `Result<Created<Edge>, Conflict>`.

use std::{borrow::Cow, fmt, fmt::Display};

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::{
    extract::rejection::{JsonRejection, PathRejection, QueryRejection},
    response::{IntoResponse, Response},
};
use futures_util::FutureExt;
use serde::Serialize;
use serde_json::{Map, Value};

/// The media type of a problem document.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// How each `type` of memgen's own begins.
pub const TYPE_PREFIX: &str = "urn:memgen:problem:";

/// The result of a handler. An error is a [`Problem`] unless the signature says otherwise.
///
/// ```
/// use memgen::problem::{NotFound, Result};
///
/// fn find(names: &[&str], name: &str) -> Result<usize> {
///     let place = names.iter().position(|other| *other == name);
///     Ok(place.ok_or_else(|| NotFound::new(format!("there is no `{name}`")))?)
/// }
/// assert_eq!(find(&["a"], "b").unwrap_err().status().as_u16(), 404);
/// ```
pub type Result<T, E = Problem> = std::result::Result<T, E>;

/// An error as the client sees it: a status, a stable `type` for programs, a `detail` for people.
///
/// ```
/// use axum::http::StatusCode;
/// use memgen::Problem;
///
/// let problem = Problem::new(StatusCode::CONFLICT, "the account has 3, not 5")
///     .with_type("https://example.com/problems/insufficient-funds")
///     .with_extension("balance", 3);
/// assert_eq!(
///     serde_json::to_value(&problem).unwrap(),
///     serde_json::json!({
///         "type": "https://example.com/problems/insufficient-funds",
///         "title": "Conflict",
///         "status": 409,
///         "detail": "the account has 3, not 5",
///         "balance": 3,
///     }),
/// );
/// ```
#[derive(Clone, Debug)]
pub struct Problem(Box<Parts>);

// Boxed, so that a `Result<_, Problem>` stays as small as a pointer on the path where all goes well.
#[derive(Clone, Debug)]
struct Parts {
    status: StatusCode,
    kind: Cow<'static, str>,
    title: Cow<'static, str>,
    detail: String,
    errors: Vec<FieldError>,
    extensions: Map<String, Value>,
    headers: HeaderMap,
}

/// What is wrong with one place of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct FieldError {
    /// The place, as a JSON pointer into the body (`/edges/0/target`), or the name of a parameter or header.
    pub pointer: String,
    /// What is wrong there.
    pub detail: String,
}

/// What a response that is an error says, in short.
pub(crate) fn said(response: Response) -> String {
    const BYTES_MAX: usize = 64 << 10;
    let status = response.status();
    // A body that is there needs no waiting.
    let body = axum::body::to_bytes(response.into_body(), BYTES_MAX).now_or_never();
    let body = body.and_then(Result::ok).unwrap_or_default();
    let problem: Option<Value> = serde_json::from_slice(&body).ok();
    let detail = problem
        .as_ref()
        .and_then(|problem| problem["detail"].as_str());
    match detail {
        Some(detail) => format!("{}: {detail}", status.as_u16()),
        None => status.to_string(),
    }
}

impl Problem {
    /// A problem with the stable type that belongs to the status.
    ///
    /// A status that is not an error (below 400) becomes 500: a problem never looks like a success.
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        let status = if status.is_client_error() || status.is_server_error() {
            status
        } else {
            StatusCode::INTERNAL_SERVER_ERROR
        };
        Self(Box::new(Parts {
            status,
            kind: kind(status),
            title: Cow::Borrowed(status.canonical_reason().unwrap_or("Error")),
            detail: detail.into(),
            errors: Vec::new(),
            extensions: Map::new(),
            headers: HeaderMap::new(),
        }))
    }

    /// 400: the request can't be understood.
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// 401: nobody knows who asks.
    pub fn unauthorized(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, detail)
    }

    /// 403: who asks may not.
    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, detail)
    }

    /// 404: there is no such thing.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    /// 405: the path exists, with other methods. They become the `Allow` header.
    ///
    /// ```
    /// use axum::{http::Method, response::IntoResponse};
    /// use memgen::Problem;
    /// let response = Problem::method_not_allowed([&Method::GET, &Method::HEAD]).into_response();
    /// assert_eq!(response.headers()["allow"], "GET, HEAD");
    /// ```
    pub fn method_not_allowed<'a>(allow: impl IntoIterator<Item = &'a axum::http::Method>) -> Self {
        let allow: Vec<&str> = allow.into_iter().map(axum::http::Method::as_str).collect();
        let allow = allow.join(", ");
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            format!("this path has only {allow}"),
        )
        .with_header(header::ALLOW, &allow)
    }

    /// 406: no form of the answer is one that the client accepts.
    pub fn not_acceptable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_ACCEPTABLE, detail)
    }

    /// 408: the request did not arrive in time.
    pub fn request_timeout(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, detail)
    }

    /// 409: the request is right, the state is not so that it could be done.
    pub fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, detail)
    }

    /// 410: it was there and will not be again.
    pub fn gone(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::GONE, detail)
    }

    /// 412: `If-Match` or `If-None-Match` does not hold.
    pub fn precondition_failed(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::PRECONDITION_FAILED, detail)
    }

    /// 413: the body is longer than the limit, which becomes the extension `limit`.
    #[must_use]
    pub fn content_too_large(limit_bytes: u64) -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("the body is longer than {limit_bytes} bytes, the limit of this service"),
        )
        .with_extension("limit", limit_bytes)
    }

    /// 414: the path and query are longer than the limit, which becomes the extension `limit`.
    #[must_use]
    pub fn uri_too_long(limit_bytes: u64) -> Self {
        Self::new(
            StatusCode::URI_TOO_LONG,
            format!("the path or the query is longer than {limit_bytes} bytes"),
        )
        .with_extension("limit", limit_bytes)
    }

    /// 415: the body is of another media type than the one that is expected.
    #[must_use]
    pub fn unsupported_media_type(expected: &str) -> Self {
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            format!("the body has to be `Content-Type: {expected}`"),
        )
        .with_header(header::ACCEPT, expected)
    }

    /// 422: the request is well formed, but what it says is not valid. See [`with_error`](Self::with_error).
    pub fn invalid(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
    }

    /// 428: this request has to be conditional.
    pub fn precondition_required(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::PRECONDITION_REQUIRED, detail)
    }

    /// 429: too many requests; the next one is welcome after `retry_after_seconds`.
    pub fn too_many_requests(detail: impl Into<String>, retry_after_seconds: u32) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, detail).with_retry_after(retry_after_seconds)
    }

    /// 431: the header is longer than the limit.
    pub fn header_too_large(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, detail)
    }

    /// 500: a fault of this service. The cause goes to the log of the operator; the client gets only the
    /// fact, since a cause may name files, addresses or data of others.
    ///
    /// ```
    /// use memgen::Problem;
    /// let problem = Problem::internal("/var/lib/x: permission denied");
    /// assert!(!serde_json::to_string(&problem).unwrap().contains("/var/lib"));
    /// ```
    pub fn internal(cause: impl Display) -> Self {
        tracing::error!(%cause, "internal error");
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the service has failed to handle this request; its log says why",
        )
    }

    /// 501: described, but not written yet.
    pub fn not_implemented(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_IMPLEMENTED, detail)
    }

    /// 503: not now; worth another try after `retry_after_seconds`.
    pub fn unavailable(detail: impl Into<String>, retry_after_seconds: u32) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, detail).with_retry_after(retry_after_seconds)
    }

    /// 507: no room for this write. Reads go on.
    pub fn insufficient_storage(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::INSUFFICIENT_STORAGE, detail)
    }

    /// Sets the `type`: a URI by which programs tell this problem from others.
    #[must_use]
    pub fn with_type(mut self, kind: impl Into<Cow<'static, str>>) -> Self {
        self.0.kind = kind.into();
        self
    }

    /// Sets the `title`: the same words for each problem of this type.
    #[must_use]
    pub fn with_title(mut self, title: impl Into<Cow<'static, str>>) -> Self {
        self.0.title = title.into();
        self
    }

    /// Adds a member to the document. The five members that RFC 9457 defines, and `errors`, can't be
    /// replaced this way: an extension of such a name is dropped.
    #[must_use]
    pub fn with_extension(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        let name = name.into();
        if !RESERVED.contains(&name.as_str()) {
            self.0.extensions.insert(name, value.into());
        }
        self
    }

    /// Adds what is wrong with one place of the request to the list `errors`.
    ///
    /// ```
    /// use memgen::Problem;
    /// let problem = Problem::invalid("2 fields are wrong")
    ///     .with_error("/by", "is not an integer")
    ///     .with_error("/name", "is missing");
    /// assert_eq!(serde_json::to_value(&problem).unwrap()["errors"][1]["pointer"], "/name");
    /// ```
    #[must_use]
    pub fn with_error(mut self, pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        self.0.errors.push(FieldError {
            pointer: pointer.into(),
            detail: detail.into(),
        });
        self
    }

    /// Sets the `Retry-After` header, in seconds.
    #[must_use]
    pub fn with_retry_after(mut self, seconds: u32) -> Self {
        self.0
            .headers
            .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        self
    }

    /// Sets a header of the response. A value that no header can have is left out.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.0.headers.insert(name, value);
        }
        self
    }

    /// The status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// The `type`.
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.0.kind
    }

    /// The `title`.
    #[must_use]
    pub fn title(&self) -> &str {
        &self.0.title
    }

    /// The `detail`.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.0.detail
    }

    /// What is wrong with each place.
    #[must_use]
    pub fn errors(&self) -> &[FieldError] {
        &self.0.errors
    }
}

/// The members that no extension replaces.
const RESERVED: [&str; 6] = ["type", "title", "status", "detail", "instance", "errors"];

/// The stable type of a status: its registered name in small letters. A status without one has no
/// more to say than its number, which is what `about:blank` means.
fn kind(status: StatusCode) -> Cow<'static, str> {
    match status.canonical_reason() {
        Some(reason) => {
            let name = reason
                .to_ascii_lowercase()
                .replace(' ', "-")
                .replace('\'', "");
            Cow::Owned(format!("{TYPE_PREFIX}{name}"))
        }
        None => Cow::Borrowed("about:blank"),
    }
}

impl Serialize for Problem {
    fn serialize<S: serde::Serializer>(
        &self,
        serializer: S,
    ) -> std::result::Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap as _;
        let parts = &*self.0;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("type", &parts.kind)?;
        map.serialize_entry("title", &parts.title)?;
        map.serialize_entry("status", &parts.status.as_u16())?;
        map.serialize_entry("detail", &parts.detail)?;
        if !parts.errors.is_empty() {
            map.serialize_entry("errors", &parts.errors)?;
        }
        for (name, value) in &parts.extensions {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = serde_json::to_vec(&self).expect("strings, numbers and JSON values serialize");
        let mut response = (self.0.status, body).into_response();
        let headers = response.headers_mut();
        headers.extend(self.0.headers);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        response
    }
}

// What `Problem` serializes as, for its schema alone.
/// A problem document, RFC 9457.
#[derive(schemars::JsonSchema)]
#[schemars(rename = "Problem")]
#[allow(dead_code, reason = "only its schema is used")]
pub(crate) struct Document {
    /// Tells this kind of problem from others, for programs.
    #[schemars(rename = "type")]
    kind: String,
    /// The same words for each problem of this kind.
    title: String,
    /// The HTTP status.
    #[schemars(range(min = 400, max = 599))]
    status: u16,
    /// What is wrong with this request, for people.
    detail: String,
    /// What is wrong with each place of the request.
    #[schemars(default)]
    errors: Vec<FieldError>,
}

impl Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {}: {}",
            self.0.status.as_u16(),
            self.0.title,
            self.0.detail
        )
    }
}

impl std::error::Error for Problem {}

impl From<JsonRejection> for Problem {
    fn from(rejection: JsonRejection) -> Self {
        Self::new(rejection.status(), rejection.body_text())
    }
}

impl From<QueryRejection> for Problem {
    fn from(rejection: QueryRejection) -> Self {
        Self::new(rejection.status(), rejection.body_text())
    }
}

impl From<PathRejection> for Problem {
    fn from(rejection: PathRejection) -> Self {
        Self::new(rejection.status(), rejection.body_text())
    }
}

/// Defines a type per kind of problem, so that a signature can name the only error that it has.
macro_rules! shorthands {
    ($($(#[$doc:meta])* $name:ident = $status:ident;)*) => { $(
        $(#[$doc])*
        #[derive(Clone, Debug)]
        pub struct $name(Problem);

        impl $name {
            /// The status of all problems of this kind.
            pub const STATUS: StatusCode = StatusCode::$status;

            /// A problem of this kind that says `detail`.
            pub fn new(detail: impl Into<String>) -> Self {
                Self(Problem::new(Self::STATUS, detail))
            }

            /// As [`Problem::with_type`].
            #[must_use]
            pub fn with_type(self, kind: impl Into<Cow<'static, str>>) -> Self {
                Self(self.0.with_type(kind))
            }

            /// As [`Problem::with_extension`].
            #[must_use]
            pub fn with_extension(self, name: impl Into<String>, value: impl Into<Value>) -> Self {
                Self(self.0.with_extension(name, value))
            }

            /// As [`Problem::with_error`].
            #[must_use]
            pub fn with_error(self, pointer: impl Into<String>, detail: impl Into<String>) -> Self {
                Self(self.0.with_error(pointer, detail))
            }
        }

        impl From<$name> for Problem {
            fn from(shorthand: $name) -> Self {
                shorthand.0
            }
        }

        impl IntoResponse for $name {
            fn into_response(self) -> Response {
                self.0.into_response()
            }
        }

        impl Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                Display::fmt(&self.0, f)
            }
        }

        impl std::error::Error for $name {}
    )* };
}

shorthands! {
    /// 400: the request can't be understood.
    BadRequest = BAD_REQUEST;
    /// 403: who asks may not.
    Forbidden = FORBIDDEN;
    /// 404: there is no such thing.
    NotFound = NOT_FOUND;
    /// 409: the request is right, the state is not so that it could be done.
    ///
    /// ```
    /// use memgen::{Problem, problem::Conflict};
    /// let problem = Problem::from(Conflict::new("not connected"));
    /// assert_eq!(problem.to_string(), "409 Conflict: not connected");
    /// ```
    Conflict = CONFLICT;
    /// 410: it was there and will not be again.
    Gone = GONE;
    /// 412: a condition of the request does not hold.
    PreconditionFailed = PRECONDITION_FAILED;
    /// 422: well formed, but not valid.
    Invalid = UNPROCESSABLE_ENTITY;
    /// 503: not now. [`Unavailable::retry_after`] says when.
    Unavailable = SERVICE_UNAVAILABLE;
}

impl Unavailable {
    /// Sets the `Retry-After` header, in seconds.
    #[must_use]
    pub fn retry_after(self, seconds: u32) -> Self {
        Self(self.0.with_retry_after(seconds))
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    async fn parts(response: impl IntoResponse) -> (u16, HeaderMap, Value) {
        let (head, body) = response.into_response().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        (
            head.status.as_u16(),
            head.headers,
            serde_json::from_slice(&body).unwrap(),
        )
    }

    #[tokio::test]
    async fn each_constructor_has_its_status_and_type() {
        let rows: [(Problem, u16, &str); 20] = [
            (Problem::bad_request("x"), 400, "bad-request"),
            (Problem::unauthorized("x"), 401, "unauthorized"),
            (Problem::forbidden("x"), 403, "forbidden"),
            (Problem::not_found("x"), 404, "not-found"),
            (
                Problem::method_not_allowed([&axum::http::Method::GET]),
                405,
                "method-not-allowed",
            ),
            (Problem::not_acceptable("x"), 406, "not-acceptable"),
            (Problem::request_timeout("x"), 408, "request-timeout"),
            (Problem::conflict("x"), 409, "conflict"),
            (Problem::gone("x"), 410, "gone"),
            (
                Problem::precondition_failed("x"),
                412,
                "precondition-failed",
            ),
            (Problem::content_too_large(7), 413, "payload-too-large"),
            (Problem::uri_too_long(7), 414, "uri-too-long"),
            (
                Problem::unsupported_media_type("a/b"),
                415,
                "unsupported-media-type",
            ),
            (Problem::invalid("x"), 422, "unprocessable-entity"),
            (
                Problem::precondition_required("x"),
                428,
                "precondition-required",
            ),
            (Problem::too_many_requests("x", 1), 429, "too-many-requests"),
            (
                Problem::header_too_large("x"),
                431,
                "request-header-fields-too-large",
            ),
            (Problem::not_implemented("x"), 501, "not-implemented"),
            (Problem::unavailable("x", 2), 503, "service-unavailable"),
            (
                Problem::insufficient_storage("x"),
                507,
                "insufficient-storage",
            ),
        ];
        for (problem, status, name) in rows {
            let (got, headers, body) = parts(problem).await;
            assert_eq!(got, status);
            assert_eq!(headers[header::CONTENT_TYPE], MEDIA_TYPE);
            assert_eq!(body["type"], format!("{TYPE_PREFIX}{name}"), "{status}");
            assert_eq!(body["status"], status);
            assert!(!body["title"].as_str().unwrap().is_empty());
            assert!(!body["detail"].as_str().unwrap().is_empty());
        }
    }

    #[tokio::test]
    async fn headers_and_extensions_are_sent() {
        let (_, headers, body) = parts(Problem::unavailable("wait", 3)).await;
        assert_eq!(headers[header::RETRY_AFTER], "3");
        assert_eq!(body["detail"], "wait");
        let (_, headers, _) = parts(Unavailable::new("wait").retry_after(4)).await;
        assert_eq!(headers[header::RETRY_AFTER], "4");
        let (_, headers, _) = parts(Problem::unsupported_media_type("application/json")).await;
        assert_eq!(headers[header::ACCEPT], "application/json");
        let (_, _, body) = parts(Problem::content_too_large(1024)).await;
        assert_eq!(body["limit"], 1024);
    }

    #[tokio::test]
    async fn no_extension_replaces_a_standard_member() {
        let problem = RESERVED
            .iter()
            .fold(Problem::conflict("x"), |problem, name| {
                problem.with_extension(*name, "mine")
            });
        let (_, _, body) = parts(problem.with_extension("other", "mine")).await;
        assert_eq!(
            body,
            serde_json::json!({
                "type": "urn:memgen:problem:conflict",
                "title": "Conflict", "status": 409, "detail": "x", "other": "mine",
            })
        );
    }

    #[test]
    fn a_status_that_is_no_error_becomes_500() {
        for status in [100, 200, 204, 303, 304] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(
                Problem::new(status, "x").status(),
                StatusCode::INTERNAL_SERVER_ERROR
            );
        }
        let unknown = Problem::new(StatusCode::from_u16(499).unwrap(), "x");
        assert_eq!(
            (unknown.status().as_u16(), unknown.kind()),
            (499, "about:blank")
        );
    }

    #[test]
    fn an_internal_problem_keeps_its_cause_to_itself() {
        let problem = Problem::internal("secret /path");
        let text = format!("{problem} {}", serde_json::to_string(&problem).unwrap());
        assert!(!text.contains("secret"), "{text}");
    }

    #[test]
    fn shorthands_have_their_status() {
        let rows = [
            (Problem::from(BadRequest::new("x")), 400),
            (Forbidden::new("x").into(), 403),
            (NotFound::new("x").into(), 404),
            (Conflict::new("x").into(), 409),
            (Gone::new("x").into(), 410),
            (PreconditionFailed::new("x").into(), 412),
            (Invalid::new("x").with_error("/a", "no").into(), 422),
            (Unavailable::new("x").into(), 503),
        ];
        for (problem, status) in rows {
            assert_eq!(problem.status().as_u16(), status);
        }
    }

    #[test]
    fn a_bad_header_value_is_left_out() {
        let response = Problem::conflict("x")
            .with_header(header::ALLOW, "a\nb")
            .into_response();
        assert!(!response.headers().contains_key(header::ALLOW));
    }
}

//! From what a handler returns to a response, and to the description of that response.
//!
//! A type may be a response itself, or only data. Rust has no "else" between traits, so the call site chooses: it asks
//! a [`Probe`] behind several references, and the first reference at which a trait of [`dispatch`] fits wins.
//!
//! | references | fits | response | described as |
//! |---|---|---|---|
//! | 3 | text and bytes on loan, `Json`, `Created`, … | itself | its own status and schema |
//! | 2 | anything that is `IntoResponse` | itself | 200 without a schema |
//! | 1 | anything that is `Serialize` | 200 with JSON | 200, with a schema if it has one |
//! | 0 | anything else | none: the error says what can be returned | |

use std::{borrow::Cow, marker::PhantomData};

use axum::{
    Json,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    operation::Operation,
    problem::Problem,
    reply::{Accepted, Created, NoContent, SeeOther},
};

/// Stands for a `T` while its traits are asked for.
#[derive(Debug)]
pub struct Probe<T>(PhantomData<fn() -> T>);

impl<T> Probe<T> {
    /// A probe for a `T`.
    #[expect(clippy::new_without_default, reason = "only macros make one")]
    #[must_use]
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}

/// The traits that a call site needs, without their names.
pub mod dispatch {
    pub use super::{
        DescribeIntoResponse as _, DescribeKnown as _, DescribeNothing as _, DescribeSchema as _,
        ReplyBorrowed as _, ReplyIntoResponse as _, ReplyNothing as _, ReplySerialize as _,
    };
}

/// The reply of a function that returns nothing: 204.
#[must_use]
pub fn nothing() -> Response {
    StatusCode::NO_CONTENT.into_response()
}

/// The reply of a function that returns `None`: 404.
#[must_use]
pub fn missing() -> Response {
    Problem::not_found("there is no such thing").into_response()
}

/// The reply of a function that returns `Err`.
pub fn error<E: ErrorReply>(error: E) -> Response {
    error.into_response()
}

/// What can be the `E` of a `Result<T, E>`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be the error of a handler",
    label = "not a response",
    note = "return `Result<T>`, whose error is `Problem`, a kind of it like `Result<T, Conflict>`, or implement `IntoResponse` \
            for `{Self}`"
)]
pub trait ErrorReply: IntoResponse {}

#[diagnostic::do_not_recommend]
impl<E: IntoResponse> ErrorReply for E {}

/// What can be returned at all. No type has it: it is asked for only where nothing else fits.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be the reply of a handler",
    label = "neither data nor a response",
    note = "return data that derives `Serialize` (and `JsonSchema`, to be described), `Json<T>`, `Created<T>`, `()`, or \
            anything that implements `IntoResponse`; or a `Result` or `Option` of them"
)]
pub trait Reply {
    /// The response.
    fn into_reply(self) -> Response;
}

/// Text or bytes that the state lends: axum has responses for them only if they are `'static`, so they are copied.
pub trait Loan {
    /// The response.
    fn copied(self) -> Response;
}

impl Loan for &str {
    fn copied(self) -> Response {
        self.to_owned().into_response()
    }
}

impl Loan for &String {
    fn copied(self) -> Response {
        self.clone().into_response()
    }
}

impl Loan for &[u8] {
    fn copied(self) -> Response {
        self.to_vec().into_response()
    }
}

impl Loan for Cow<'_, str> {
    fn copied(self) -> Response {
        self.into_owned().into_response()
    }
}

impl Loan for Cow<'_, [u8]> {
    fn copied(self) -> Response {
        self.into_owned().into_response()
    }
}

/// The way of a [`Loan`].
#[derive(Debug)]
pub struct ByCopy;

impl ByCopy {
    /// The response.
    pub fn respond<T: Loan>(self, reply: T) -> Response {
        reply.copied()
    }
}

/// The way of what is a response.
#[derive(Debug)]
pub struct ByIntoResponse;

impl ByIntoResponse {
    /// The response.
    pub fn respond<T: IntoResponse>(self, reply: T) -> Response {
        reply.into_response()
    }
}

/// The way of data.
#[derive(Debug)]
pub struct BySerialize;

impl BySerialize {
    /// 200 with JSON. Data that does not serialize is a fault of the service, answered as such.
    // By value, as the other ways: the call site does not know which one it takes.
    #[allow(clippy::needless_pass_by_value)]
    pub fn respond<T: Serialize>(self, reply: T) -> Response {
        match serde_json::to_vec(&reply) {
            Ok(body) => ([(header::CONTENT_TYPE, "application/json")], body).into_response(),
            Err(error) => Problem::internal(error).into_response(),
        }
    }
}

/// The way of what is neither.
#[derive(Debug)]
pub struct ByNothing;

impl ByNothing {
    /// Does not compile, and says what would.
    pub fn respond<T: Reply>(self, reply: T) -> Response {
        reply.into_reply()
    }
}

/// Three references.
pub trait ReplyBorrowed {
    /// Which way.
    fn memgen_reply(&self) -> ByCopy {
        ByCopy
    }
}

impl<T: Loan> ReplyBorrowed for &&&Probe<T> {}

/// Two references.
pub trait ReplyIntoResponse {
    /// Which way.
    fn memgen_reply(&self) -> ByIntoResponse {
        ByIntoResponse
    }
}

impl<T: IntoResponse> ReplyIntoResponse for &&Probe<T> {}

/// One reference.
pub trait ReplySerialize {
    /// Which way.
    fn memgen_reply(&self) -> BySerialize {
        BySerialize
    }
}

impl<T: Serialize> ReplySerialize for &Probe<T> {}

/// No reference.
pub trait ReplyNothing {
    /// Which way.
    fn memgen_reply(&self) -> ByNothing {
        ByNothing
    }
}

impl<T> ReplyNothing for Probe<T> {}

/// Describes a function that returns nothing.
pub fn describe_nothing(operation: &mut Operation<'_>) {
    operation.reply_empty(204);
}

/// Describes that a function may return `None`.
pub fn describe_missing(operation: &mut Operation<'_>) {
    operation.problem(404);
}

/// Three references: responses whose status and schema are known by their type.
pub trait DescribeKnown {
    /// Adds the reply.
    fn memgen_describe(&self, operation: &mut Operation<'_>);
}

impl<T: JsonSchema> DescribeKnown for &&&Probe<Json<T>> {
    fn memgen_describe(&self, operation: &mut Operation<'_>) {
        operation.reply::<T>(200);
    }
}

impl<T: JsonSchema> DescribeKnown for &&&Probe<Created<T>> {
    fn memgen_describe(&self, operation: &mut Operation<'_>) {
        operation.reply::<T>(201);
    }
}

impl<T: JsonSchema> DescribeKnown for &&&Probe<Accepted<T>> {
    fn memgen_describe(&self, operation: &mut Operation<'_>) {
        operation.reply::<T>(202);
    }
}

impl DescribeKnown for &&&Probe<NoContent> {
    fn memgen_describe(&self, operation: &mut Operation<'_>) {
        operation.reply_empty(204);
    }
}

impl DescribeKnown for &&&Probe<SeeOther> {
    fn memgen_describe(&self, operation: &mut Operation<'_>) {
        operation.reply_empty(303);
    }
}

/// Two references: any other response. Its status and schema are nobody's knowledge.
pub trait DescribeIntoResponse {
    /// Adds the reply.
    fn memgen_describe(&self, operation: &mut Operation<'_>);
}

impl<T: IntoResponse> DescribeIntoResponse for &&Probe<T> {
    fn memgen_describe(&self, operation: &mut Operation<'_>) {
        operation.reply_empty(200);
    }
}

/// One reference: data with a schema.
pub trait DescribeSchema {
    /// Adds the reply.
    fn memgen_describe(&self, operation: &mut Operation<'_>);
}

impl<T: Serialize + JsonSchema> DescribeSchema for &Probe<T> {
    fn memgen_describe(&self, operation: &mut Operation<'_>) {
        operation.reply::<T>(200);
    }
}

/// No reference: data without a schema.
pub trait DescribeNothing {
    /// Adds the reply.
    fn memgen_describe(&self, operation: &mut Operation<'_>);
}

impl<T> DescribeNothing for Probe<T> {
    fn memgen_describe(&self, operation: &mut Operation<'_>) {
        operation.reply_empty(200);
    }
}

#[cfg(test)]
mod tests {
    use axum::{body::to_bytes, http::Method};

    use super::{dispatch::*, *};
    use crate::openapi;

    /// Data without a schema.
    #[derive(Serialize)]
    struct Plain {
        a: u32,
    }

    /// Data that is a response as well.
    #[derive(Serialize)]
    struct Both;

    impl IntoResponse for Both {
        fn into_response(self) -> Response {
            StatusCode::IM_A_TEAPOT.into_response()
        }
    }

    async fn seen(response: Response) -> (u16, String, String) {
        let status = response.status().as_u16();
        let media_type = response.headers().get(header::CONTENT_TYPE);
        let media_type = media_type
            .map(|value| value.to_str().unwrap().to_owned())
            .unwrap_or_default();
        let body = to_bytes(response.into_body(), 1024).await.unwrap();
        (
            status,
            media_type,
            String::from_utf8(body.to_vec()).unwrap(),
        )
    }

    macro_rules! reply {
        ($ty:ty, $value:expr) => {{
            let value: $ty = $value;
            (&&&&Probe::<$ty>::new()).memgen_reply().respond(value)
        }};
    }

    macro_rules! described {
        ($ty:ty) => {{
            let mut schemas = openapi::schemas();
            let mut operation = Operation::new(&Method::GET, "/x", "x", "", "X", &mut schemas);
            (&&&&Probe::<$ty>::new()).memgen_describe(&mut operation);
            let responses = operation.into_value()["responses"].clone();
            responses
        }};
    }

    #[tokio::test]
    async fn the_most_special_way_wins() {
        let json = "application/json";
        let text = "text/plain; charset=utf-8";
        let owner = String::from("on loan");
        let rows = [
            (reply!(usize, 5), 200, json, "5"),
            (reply!(Vec<u32>, vec![1, 2]), 200, json, "[1,2]"),
            (reply!(&Vec<u32>, &vec![1, 2]), 200, json, "[1,2]"),
            (reply!(Plain, Plain { a: 1 }), 200, json, "{\"a\":1}"),
            (reply!(&Plain, &Plain { a: 1 }), 200, json, "{\"a\":1}"),
            (reply!(Json<u32>, Json(1)), 200, json, "1"),
            (reply!(Created<u32>, Created::new(1)), 201, json, "1"),
            (reply!(NoContent, NoContent), 204, "", ""),
            (reply!(StatusCode, StatusCode::ACCEPTED), 202, "", ""),
            (reply!(Both, Both), 418, "", ""),
            (reply!(String, owner.clone()), 200, text, "on loan"),
            (reply!(&str, &owner[..]), 200, text, "on loan"),
            (reply!(&String, &owner), 200, text, "on loan"),
            (
                reply!(Cow<'_, str>, Cow::Borrowed(&owner[..])),
                200,
                text,
                "on loan",
            ),
            (
                reply!(&[u8], owner.as_bytes()),
                200,
                "application/octet-stream",
                "on loan",
            ),
            (nothing(), 204, "", ""),
        ];
        for (response, status, media_type, body) in rows {
            assert_eq!(
                seen(response).await,
                (status, media_type.to_owned(), body.to_owned())
            );
        }
        assert_eq!(seen(missing()).await.0, 404);
        assert_eq!(seen(error(Problem::conflict("x"))).await.0, 409);
    }

    #[tokio::test]
    async fn data_that_does_not_serialize_is_a_500() {
        let response = reply!(
            std::collections::BTreeMap<Vec<u8>, u8>,
            [(vec![1], 1)].into()
        );
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    }

    #[test]
    fn descriptions() {
        let schema = |responses: &serde_json::Value, status: &str| {
            responses[status]["content"]["application/json"]["schema"]["type"].clone()
        };
        assert_eq!(schema(&described!(u32), "200"), "integer");
        assert_eq!(schema(&described!(&Vec<u32>), "200"), "array");
        assert_eq!(schema(&described!(Json<u32>), "200"), "integer");
        assert_eq!(schema(&described!(Created<u32>), "201"), "integer");
        assert_eq!(schema(&described!(Accepted<u32>), "202"), "integer");
        for (responses, status) in [
            (described!(Plain), "200"),
            (described!(Json<Plain>), "200"),
            (described!(String), "200"),
            (described!(NoContent), "204"),
            (described!(SeeOther), "303"),
        ] {
            assert!(responses[status].is_object(), "{responses}");
            assert!(responses[status].get("content").is_none(), "{responses}");
        }
    }
}

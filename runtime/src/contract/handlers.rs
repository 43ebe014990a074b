//! The operations that users write: from decoded parameters and bodies to typed arguments, and from replies to responses.

use std::{fmt, future::Future, pin::Pin, sync::Arc};

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{
    body::{Body, Parameters, Payload},
    cx::Cx,
};
use crate::problem::{Problem, Result};

/// The future of a handler's response.
pub(crate) type Answer = Pin<Box<dyn Future<Output = Result<Response>> + Send>>;

type Function = Arc<dyn Fn(Cx, Parameters, Body) -> Answer + Send + Sync>;

/// The function that answers one operation of the document. `#[operations]` makes them.
#[derive(Clone)]
pub struct OperationRoute {
    pub(crate) id: &'static str,
    /// None if the user has written nothing for it.
    pub(crate) call: Function,
}

impl fmt::Debug for OperationRoute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OperationRoute({})", self.id)
    }
}

impl OperationRoute {
    /// A function without arguments but [`Cx`].
    pub fn plain<F, R>(id: &'static str, function: fn(Cx) -> F) -> Self
    where
        F: Future<Output = Result<R>> + Send + 'static,
        R: IntoResponse + 'static,
    {
        Self {
            id,
            call: Arc::new(move |cx, _, _| respond(function(cx))),
        }
    }

    /// A function of parameters.
    pub fn with_parameters<P, F, R>(id: &'static str, function: fn(Cx, P) -> F) -> Self
    where
        P: DeserializeOwned + 'static,
        F: Future<Output = Result<R>> + Send + 'static,
        R: IntoResponse + 'static,
    {
        let call = move |cx: Cx, parameters, _| match arguments(parameters) {
            Ok(parameters) => respond(function(cx, parameters)),
            Err(problem) => refuse(problem),
        };
        Self {
            id,
            call: Arc::new(call),
        }
    }

    /// A function of a body.
    pub fn with_body<B, F, R>(id: &'static str, function: fn(Cx, B) -> F) -> Self
    where
        B: FromBody + 'static,
        F: Future<Output = Result<R>> + Send + 'static,
        R: IntoResponse + 'static,
    {
        let call = move |cx: Cx, _, body| match B::from_body(body) {
            Ok(body) => respond(function(cx, body)),
            Err(problem) => refuse(problem),
        };
        Self {
            id,
            call: Arc::new(call),
        }
    }

    /// A function of both.
    pub fn with_both<P, B, F, R>(id: &'static str, function: fn(Cx, P, B) -> F) -> Self
    where
        P: DeserializeOwned + 'static,
        B: FromBody + 'static,
        F: Future<Output = Result<R>> + Send + 'static,
        R: IntoResponse + 'static,
    {
        let call = move |cx: Cx, parameters, body| {
            let read =
                arguments(parameters).and_then(|parameters| Ok((parameters, B::from_body(body)?)));
            match read {
                Ok((parameters, body)) => respond(function(cx, parameters, body)),
                Err(problem) => refuse(problem),
            }
        };
        Self {
            id,
            call: Arc::new(call),
        }
    }
}

/// The default of each operation: 501.
#[doc(hidden)]
#[allow(clippy::missing_errors_doc, reason = "not for use by hand")]
pub fn not_written<R>(
    operation: &'static str,
    of_trait: &'static str,
    method: &'static str,
) -> std::future::Ready<Result<R>> {
    std::future::ready(Err(Problem::not_implemented(format!(
        "`{operation}` is not written yet: the method `{method}` of `{of_trait}` answers it"
    ))))
}

/// A media type of the document for which a body has no variant.
#[doc(hidden)]
#[must_use]
pub fn no_variant(media_type: &str) -> Problem {
    if media_type.is_empty() {
        return Problem::bad_request("the body is missing").with_error("", "is missing");
    }
    Problem::unsupported_media_type("another media type")
}

fn respond<R: IntoResponse>(answer: impl Future<Output = Result<R>> + Send + 'static) -> Answer {
    Box::pin(async move { Ok(answer.await?.into_response()) })
}

fn refuse(problem: Problem) -> Answer {
    Box::pin(std::future::ready(Err(problem)))
}

/// What passed the document's schema and is no such type all the same, such as a number that is too large.
fn arguments<P: DeserializeOwned>(parameters: Parameters) -> Result<P> {
    serde_json::from_value(Value::Object(parameters))
        .map_err(|error| Problem::invalid(format!("the parameters: {error}")))
}

/// An argument that a request's body is read as.
///
/// `Json<T>` for JSON and for forms, `String` for text, `Bytes` for anything, `Option` of them where the body may be left out, and enums
/// with `#[derive(Body)]` where there are several media types.
#[diagnostic::on_unimplemented(
    message = "a request's body can't be read as `{Self}`",
    label = "not a body",
    note = "write `Json<T>`, `String`, `Bytes`, an `Option` of one of them, or an enum with `#[derive(Body)]`"
)]
pub trait FromBody: Sized {
    /// Reads it.
    ///
    /// # Errors
    /// 400 if there is no body, 422 if it is no such type.
    fn from_body(body: Body) -> Result<Self>;
}

impl<T: DeserializeOwned> FromBody for Json<T> {
    fn from_body(body: Body) -> Result<Self> {
        body.json().map(Json)
    }
}

impl FromBody for String {
    fn from_body(body: Body) -> Result<Self> {
        body.text()
    }
}

impl FromBody for Bytes {
    fn from_body(body: Body) -> Result<Self> {
        body.bytes()
    }
}

impl<B: FromBody> FromBody for Option<B> {
    fn from_body(body: Body) -> Result<Self> {
        body.is_there().then(|| B::from_body(body)).transpose()
    }
}

impl Body {
    /// The media type as the document has it, such as `application/json` or `image/*`. Empty without a body.
    #[must_use]
    pub fn media_type(&self) -> &str {
        self.media_type.as_deref().unwrap_or_default()
    }

    /// The body as a value.
    ///
    /// # Errors
    /// 400 if there is none, 422 if it is no `T`.
    pub fn json<T: DeserializeOwned>(self) -> Result<T> {
        let value = match self.payload {
            Payload::Value(value) => value,
            Payload::Text(text) => Value::String(text),
            Payload::Nothing => return Err(Problem::bad_request("the body is missing")),
            Payload::Bytes(_) => {
                return Err(Problem::internal(
                    "bytes are read as a value; the handler should take `Bytes`",
                ));
            }
        };
        serde_json::from_value(value)
            .map_err(|error| Problem::invalid(format!("the body: {error}")))
    }

    /// The body as text.
    ///
    /// # Errors
    /// 400 if it is none.
    pub fn text(self) -> Result<String> {
        match self.payload {
            Payload::Text(text) | Payload::Value(Value::String(text)) => Ok(text),
            Payload::Value(value) => Ok(value.to_string()),
            Payload::Nothing => Ok(String::new()),
            Payload::Bytes(bytes) => String::from_utf8(bytes.into())
                .map_err(|_| Problem::bad_request("the body is not UTF-8")),
        }
    }

    /// The body as bytes.
    ///
    /// # Errors
    /// None; the others have some.
    pub fn bytes(self) -> Result<Bytes> {
        Ok(match self.payload {
            Payload::Bytes(bytes) => bytes,
            Payload::Text(text) => text.into(),
            Payload::Value(value) => value.to_string().into(),
            Payload::Nothing => Bytes::new(),
        })
    }
}

//! Replies of handlers: what `#[derive(Reply)]` is made of.

use std::{fmt, pin::Pin};

use axum::{
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use serde::Serialize;
use serde_json::Value;

use crate::problem::Problem;

/// `text/event-stream`: a reply that goes on, each item of which is an event with JSON.
///
/// ```
/// use memgen::contract::EventStream;
/// let counted: EventStream<u32> = EventStream::unfold(1, |number| async move {
///     (number <= 3).then_some((number, number + 1))
/// });
/// ```
///
/// What is a stream already, such as one of the crates `futures-util` or `tokio-stream`, is taken as it is by [`new`](Self::new).
pub struct EventStream<T>(Pin<Box<dyn Stream<Item = T> + Send>>);

impl<T> EventStream<T> {
    /// Events that are made one after another: `next` is given what it left the last time, `first` at the beginning, and gives an item and what it leaves for the
    /// next time. The reply ends when it gives nothing. It is called when there is room for more: a slow client is waited for.
    pub fn unfold<L, F>(first: L, next: impl FnMut(L) -> F + Send + 'static) -> Self
    where
        L: Send + 'static,
        F: Future<Output = Option<(T, L)>> + Send + 'static,
        T: 'static,
    {
        Self::new(futures_util::stream::unfold(first, next))
    }

    /// Events of what the stream yields. The reply ends with it.
    ///
    /// ```
    /// use futures_util::stream;
    /// use memgen::contract::EventStream;
    /// let counted: EventStream<u32> = EventStream::new(stream::iter([1, 2, 3]));
    /// ```
    pub fn new(stream: impl Stream<Item = T> + Send + 'static) -> Self {
        Self(Box::pin(stream))
    }
}

impl<T> fmt::Debug for EventStream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EventStream")
    }
}

impl<T: Serialize + 'static> IntoResponse for EventStream<T> {
    fn into_response(self) -> Response {
        let events = self.0.map(|item| Event::default().json_data(item));
        Sse::new(events)
            .keep_alive(KeepAlive::default())
            .into_response()
    }
}

/// A reply without a body.
#[must_use]
pub fn empty(status: StatusCode) -> Response {
    status.into_response()
}

/// A reply in JSON, or in a media type that is JSON by another name.
pub fn json<T: Serialize>(status: StatusCode, media_type: &'static str, value: &T) -> Response {
    match serde_json::to_vec(value) {
        Ok(body) => with(status, media_type, body.into()),
        Err(error) => Problem::internal(error).into_response(),
    }
}

/// A reply of text or bytes.
pub fn with(status: StatusCode, media_type: &'static str, body: Bytes) -> Response {
    let mut response = (status, body).into_response();
    // A range is what the document allows, not what a reply is.
    let media_type = if media_type.contains('*') {
        "application/octet-stream"
    } else {
        media_type
    };
    match HeaderValue::from_str(media_type) {
        Ok(value) => drop(response.headers_mut().insert(header::CONTENT_TYPE, value)),
        Err(error) => return Problem::internal(error).into_response(),
    }
    response
}

/// A reply that goes on.
#[must_use]
pub fn events<T: Serialize + 'static>(status: StatusCode, events: EventStream<T>) -> Response {
    let mut response = events.into_response();
    *response.status_mut() = status;
    response
}

/// The status of a reply whose document leaves it open (`default`, `4XX`).
#[must_use]
pub fn status(code: u16) -> StatusCode {
    StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// Adds a header in the style `simple`: lists with commas, nothing for null.
pub fn header<T: Serialize>(response: &mut Response, name: &'static str, value: &T) {
    let Ok(value) = serde_json::to_value(value) else {
        return;
    };
    let Some(text) = simple(&value) else { return };
    if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(text)) {
        drop(response.headers_mut().insert(name, value));
    } else {
        tracing::error!(
            header = name,
            "this value can't stand in a header; it is left out"
        );
    }
}

fn simple(value: &Value) -> Option<String> {
    Some(match value {
        Value::Null => return None,
        Value::String(text) => text.clone(),
        Value::Array(items) => items
            .iter()
            .filter_map(simple)
            .collect::<Vec<_>>()
            .join(","),
        Value::Object(fields) => fields
            .iter()
            .filter_map(|(name, value)| Some(format!("{name},{}", simple(value)?)))
            .collect::<Vec<_>>()
            .join(","),
        plain => plain.to_string(),
    })
}

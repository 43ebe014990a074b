//! A feed as `text/event-stream`.

use std::convert::Infallible;

use axum::{
    body::Body,
    http::{HeaderName, HeaderValue, header},
    response::Response,
};
use bytes::{BufMut as _, Bytes, BytesMut};
use futures_util::{StreamExt as _, stream};

use super::{Event, Feed};
use crate::state::State;

pub(super) const MEDIA_TYPE: &str = "text/event-stream";

/// How a feed begins: how long a client waits before it comes again after a lost connection.
const BEGIN: &[u8] = b"retry: 1000\n\n";

/// Keeps nginx, and those that do as it does, from gathering events.
const BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

pub(super) fn reply<S: State>(feed: Feed<S>) -> Response {
    let begin = stream::iter([Bytes::from_static(BEGIN)]);
    let events = stream::unfold(feed, |mut feed| async move {
        let event = feed.next().await?;
        Some((write(&event), feed))
    });
    let body = begin.chain(events).map(Ok::<_, Infallible>);
    let mut response = Response::new(Body::from_stream(body));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(BUFFERING, HeaderValue::from_static("no"));
    response
}

/// An event as it is sent. Ids and JSON have no line breaks.
fn write(event: &Event) -> Bytes {
    let mut text = BytesMut::new();
    let mut line = |name: &str, value: &[u8]| {
        text.put_slice(name.as_bytes());
        text.put_slice(b": ");
        text.put_slice(value);
        text.put_slice(b"\n");
    };
    match event {
        Event::Value(data, id) | Event::Absent(data, id) => {
            if let Some(id) = id {
                line("id", id.as_bytes());
            }
            line("event", event.name().as_bytes());
            line("data", data);
        }
        Event::Current(id) => {
            line("id", id.as_bytes());
            line("event", event.name().as_bytes());
            line("data", b"{}");
        }
        Event::Reset => {
            // A client that comes again before it has all of what follows must begin anew.
            line("id", b"");
            line("event", event.name().as_bytes());
            line("data", b"{}");
        }
        // Without data it is no event: clients take the id, and proxies see that something is sent.
        Event::Progress(Some(id)) => line("id", id.as_bytes()),
        Event::Progress(None) => line("", b""),
    }
    text.put_slice(b"\n");
    text.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_written_as_browsers_read_them() {
        let (data, id) = (Bytes::from_static(b"{\"a\":1}"), || "t/0@7".to_owned());
        for (event, text) in [
            (
                Event::Value(data.clone(), Some(id())),
                "id: t/0@7\nevent: value\ndata: {\"a\":1}\n\n",
            ),
            (
                Event::Value(data.clone(), None),
                "event: value\ndata: {\"a\":1}\n\n",
            ),
            (
                Event::Absent(data, Some(id())),
                "id: t/0@7\nevent: absent\ndata: {\"a\":1}\n\n",
            ),
            (
                Event::Current(id()),
                "id: t/0@7\nevent: current\ndata: {}\n\n",
            ),
            (Event::Reset, "id: \nevent: reset\ndata: {}\n\n"),
            (Event::Progress(Some(id())), "id: t/0@7\n\n"),
            (Event::Progress(None), ": \n\n"),
        ] {
            assert_eq!(write(&event), text.as_bytes());
        }
    }
}

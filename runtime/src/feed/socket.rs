//! A feed as text messages of a WebSocket.

use axum::{
    extract::{
        FromRequestParts as _,
        ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade, close_code},
    },
    http::{HeaderMap, Uri, header, request::Parts},
    response::Response,
};
use serde::Serialize;
use serde_json::value::RawValue;

use super::{Event, Feed};
use crate::{problem::Problem, state::State};

/// What clients say is not looked at, and may not be long.
const MESSAGE_BYTES_MAX: usize = 4096;

/// An event as a message.
#[derive(Serialize)]
struct Sent<'a> {
    event: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a RawValue>,
}

/// The request as one that becomes a WebSocket.
///
/// A page of another origin may open one with the user's cookies, and read what comes, which it could not do with an answer (cross-site WebSocket hijacking). So whoever
/// names an origin, as browsers do, must come from this host.
pub(super) async fn upgrade(parts: &mut Parts) -> Result<WebSocketUpgrade, Problem> {
    if !is_same_origin(&parts.headers) {
        return Err(Problem::forbidden(
            "a WebSocket is opened by pages of the same origin only",
        ));
    }
    let upgrade = WebSocketUpgrade::from_request_parts(parts, &()).await;
    upgrade.map_err(|rejection| Problem::new(rejection.status(), rejection.body_text()))
}

fn is_same_origin(headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else {
        return true;
    };
    let origin: Option<Uri> = origin.to_str().ok().and_then(|origin| origin.parse().ok());
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    let named = origin
        .as_ref()
        .filter(|origin| origin.scheme().is_some())
        .and_then(|origin| Some(origin.authority()?.as_str()));
    named
        .zip(host)
        .is_some_and(|(a, b)| a.eq_ignore_ascii_case(b))
}

pub(super) fn reply<S: State>(upgrade: WebSocketUpgrade, feed: Feed<S>) -> Response {
    upgrade
        .max_message_size(MESSAGE_BYTES_MAX)
        .max_frame_size(MESSAGE_BYTES_MAX)
        .on_upgrade(|socket| run(socket, feed))
}

/// Sends events until one side ends. What the client does not read is not sent, and the feed waits.
async fn run<S: State>(mut socket: WebSocket, mut feed: Feed<S>) {
    loop {
        let event = tokio::select! {
            // Answers to pings go out with the next message, or at once.
            said = socket.recv() => match said {
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                Some(Ok(_)) => continue,
            },
            event = feed.next() => event,
        };
        let Some(event) = event else {
            let reason = Utf8Bytes::from_static("the node stops; come again");
            let code = close_code::AWAY;
            let end = CloseFrame { code, reason };
            // Whoever does not hear it sees the connection end.
            drop(socket.send(Message::Close(Some(end))).await);
            return;
        };
        if socket
            .send(Message::Text(write(&event).into()))
            .await
            .is_err()
        {
            return;
        }
    }
}

fn write(event: &Event) -> String {
    let (id, data) = match event {
        Event::Value(data, id) | Event::Absent(data, id) => (id.as_deref(), Some(data)),
        Event::Current(id) => (Some(&**id), None),
        Event::Progress(id) => (id.as_deref(), None),
        Event::Reset => (None, None),
    };
    let sent = Sent {
        event: event.name(),
        id,
        data: data.and_then(|data| serde_json::from_slice(data).ok()),
    };
    serde_json::to_string(&sent).expect("words and JSON are JSON")
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use bytes::Bytes;

    use super::*;

    #[test]
    fn messages_are_json() {
        let data = Bytes::from_static(b"{\"a\":1.50}");
        for (event, text) in [
            (
                Event::Value(data.clone(), Some("t/0@7".to_owned())),
                r#"{"event":"value","id":"t/0@7","data":{"a":1.50}}"#,
            ),
            (
                Event::Absent(data, None),
                r#"{"event":"absent","data":{"a":1.50}}"#,
            ),
            (
                Event::Current("t@1".to_owned()),
                r#"{"event":"current","id":"t@1"}"#,
            ),
            (Event::Reset, r#"{"event":"reset"}"#),
            (Event::Progress(None), r#"{"event":"progress"}"#),
        ] {
            assert_eq!(write(&event), text);
        }
    }

    #[test]
    fn pages_of_other_origins_are_refused() {
        for (origin, host, is_same) in [
            (None, Some("a.example"), true),
            (Some("https://a.example"), Some("a.example"), true),
            (Some("http://A.example:8081"), Some("a.example:8081"), true),
            (Some("http://a.example:8082"), Some("a.example:8081"), false),
            (Some("https://b.example"), Some("a.example"), false),
            (Some("null"), Some("null"), false),
            (Some("https://a.example"), None, false),
            (Some(""), Some(""), false),
        ] {
            let mut headers = HeaderMap::new();
            let mut set = |name, value: Option<&'static str>| {
                if let Some(value) = value {
                    headers.insert(name, HeaderValue::from_static(value));
                }
            };
            set(header::ORIGIN, origin);
            set(header::HOST, host);
            assert_eq!(is_same_origin(&headers), is_same, "{origin:?} {host:?}");
        }
    }
}

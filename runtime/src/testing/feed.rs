//! Change feeds of a node of a simulation, as a browser's `EventSource` reads them.

use axum::http::header;
use bytes::BytesMut;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use serde::de::DeserializeOwned;

use super::{NoReply, Request};

const MEDIA_TYPE: &str = "text/event-stream";
const LAST_EVENT_ID: &str = "last-event-id";
/// Between two events.
const END: &[u8] = b"\n\n";

/// A change feed, for as long as its connection holds.
///
/// ```
/// use memgen::{prelude::*, testing::Simulation};
///
/// /// A lamp.
/// #[stateful_api(path = "/lamps", crud(get, put, watch))]
/// #[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
/// struct Lamp {
///     #[key]
///     name: String,
///     is_on: bool,
/// }
///
/// Simulation::new(1).run(async |world| {
///     let cluster = world.cluster(|| memgen::service!(Lamp), 2).await;
///     let mut feed = cluster.node(0).get("/lamps/red").watch("").await.unwrap();
///     assert_eq!(feed.next().await.unwrap().kind, "reset");
///     assert_eq!(feed.next().await.unwrap().kind, "absent");
///
///     let lamp = Lamp { name: "red".to_owned(), is_on: true };
///     cluster.node(1).put("/lamps/red").json(&lamp).await.expect(201);
///     assert!(feed.next().await.unwrap().json::<Lamp>().is_on);
///
///     // Any node goes on from there.
///     let mut feed = cluster.node(1).get("/lamps/red").watch(feed.id()).await.unwrap();
///     cluster.node(0).put("/lamps/red").json(&Lamp { is_on: false, ..lamp }).await.expect(200);
///     assert!(!feed.next().await.unwrap().json::<Lamp>().is_on);
/// });
/// ```
#[derive(Debug)]
pub struct Feed {
    body: Incoming,
    read: BytesMut,
    id: String,
}

/// What a feed says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// `value`, `absent`, `reset` or `current`.
    pub kind: String,
    /// JSON.
    pub data: String,
}

impl Event {
    /// The data, read as JSON.
    ///
    /// # Panics
    /// If it is something else.
    #[must_use]
    pub fn json<T: DeserializeOwned>(&self) -> T {
        match serde_json::from_str(&self.data) {
            Ok(value) => value,
            Err(error) => panic!("{error}: {self:?}"),
        }
    }
}

impl Request {
    /// Sends it, for the change feed of what it names: behind the event with this id, or from the beginning if that is empty.
    ///
    /// # Errors
    /// [`NoReply`], also if the reply is no feed.
    ///
    /// # Panics
    /// If the id can't be the value of a header, or the path is none.
    pub async fn watch(self, last_event_id: &str) -> Result<Feed, NoReply> {
        let mut request = self.header(header::ACCEPT.as_str(), MEDIA_TYPE);
        if !last_event_id.is_empty() {
            request = request.header(LAST_EVENT_ID, last_event_id);
        }
        let none = request.no_reply();
        let (head, body) = request.open().await?.into_parts();
        let media_type = head.headers.get(header::CONTENT_TYPE);
        if media_type.is_none_or(|media_type| media_type != MEDIA_TYPE) {
            return Err(none(true, format!("{} and no feed", head.status)));
        }
        Ok(Feed {
            body,
            read: BytesMut::new(),
            id: last_event_id.to_owned(),
        })
    }
}

impl Feed {
    /// The id of the last event that had one.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The next event; none if the connection has ended.
    ///
    /// # Panics
    /// If what comes is no event.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.take() {
                return Some(event);
            }
            let frame = self.body.frame().await?.ok()?;
            if let Ok(data) = frame.into_data() {
                self.read.extend_from_slice(&data);
            }
        }
    }

    /// Takes blocks off what was read, up to the first that is an event and not only an id, or nothing.
    fn take(&mut self) -> Option<Event> {
        loop {
            let end = self.read.windows(END.len()).position(|two| two == END)?;
            let block = self.read.split_to(end + END.len());
            let block = std::str::from_utf8(&block).expect("events are UTF-8");
            let (mut kind, mut data) = (None, None);
            for line in block.lines() {
                match line.split_once(": ").unwrap_or((line, "")) {
                    ("id", id) => id.clone_into(&mut self.id),
                    ("event", text) => kind = Some(text.to_owned()),
                    ("data", text) => data = Some(text.to_owned()),
                    _ => {}
                }
            }
            if let (Some(kind), Some(data)) = (kind, data) {
                return Some(Event { kind, data });
            }
        }
    }
}

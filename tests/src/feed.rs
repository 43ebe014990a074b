//! Change feeds, as a browser's `EventSource` reads them: a lost connection is made again, at any node, behind the last event.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::{Request, body::Incoming};
use hyper_util::{
    client::legacy::{self, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::Value;
use tokio::sync::watch;

use crate::client::Failure;

/// How long an event may be waited for before the test fails: far longer than any should take.
const PATIENCE: Duration = Duration::from_secs(120);

/// Where a feed can be had now. It changes as nodes come and go.
pub type Bases = watch::Receiver<Arc<Vec<String>>>;

/// An event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its kind.
    pub event: String,
    /// The id of the last event that had one.
    pub id: String,
    /// What it says.
    pub data: Value,
}

/// A client of a feed.
pub struct Feed {
    bases: Bases,
    path: String,
    http: legacy::Client<HttpConnector, Empty<Bytes>>,
    /// Which of the bases is tried next.
    turn: usize,
    body: Option<Incoming>,
    read: Vec<u8>,
    id: String,
    /// How often it was connected.
    pub connected: usize,
}

impl Feed {
    /// A feed of one server.
    #[must_use]
    pub fn of(base: &str, path: &str) -> Self {
        Self::at(watch::channel(Arc::new(vec![base.to_owned()])).1, path, 0)
    }

    /// A feed that is had from any of the servers, first from number `turn`.
    #[must_use]
    pub fn at(bases: Bases, path: &str, turn: usize) -> Self {
        Self {
            bases,
            path: path.to_owned(),
            http: legacy::Client::builder(TokioExecutor::new()).build_http(),
            turn,
            body: None,
            read: Vec::new(),
            id: String::new(),
            connected: 0,
        }
    }

    /// Begins behind the event with this id.
    #[must_use]
    pub fn after(mut self, id: &str) -> Self {
        id.clone_into(&mut self.id);
        self
    }

    /// The id that it would go on from.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Connects now.
    ///
    /// # Errors
    /// If that fails, or the answer is no feed: its status and body.
    pub async fn connect(&mut self) -> Result<(), Failure> {
        let bases = self.bases.borrow().clone();
        let base = bases.get(self.turn % bases.len().max(1));
        let base = base.ok_or("there is no server")?;
        let mut request = Request::get(format!("{base}{}", self.path));
        request = request.header("accept", "text/event-stream");
        if !self.id.is_empty() {
            request = request.header("last-event-id", &self.id);
        }
        let request = request.body(Empty::new()).expect("a path");
        let response = self.http.request(request).await?;
        if response.status() != 200 || response.headers()["content-type"] != "text/event-stream" {
            let status = response.status();
            let body = response.into_body().collect().await?.to_bytes();
            return Err(format!("{status}: {}", String::from_utf8_lossy(&body)).into());
        }
        self.connected += 1;
        self.read.clear();
        self.body = Some(response.into_body());
        Ok(())
    }

    /// The next event, however often it has to connect for it.
    pub async fn next(&mut self) -> Event {
        let what = format!("{} behind {}", self.path, self.id);
        let next = async {
            loop {
                if let Some(event) = self.event() {
                    return event;
                }
                let frame = match &mut self.body {
                    Some(body) => body.frame().await,
                    None => None,
                };
                match frame
                    .and_then(Result::ok)
                    .map(hyper::body::Frame::into_data)
                {
                    Some(Ok(bytes)) => self.read.extend_from_slice(&bytes),
                    Some(Err(_)) => {}
                    None => {
                        self.body = None;
                        while self.connect().await.is_err() {
                            self.turn += 1;
                            tokio::time::sleep(Duration::from_millis(50)).await;
                        }
                    }
                }
            }
        };
        let next = tokio::time::timeout(PATIENCE, next).await;
        next.unwrap_or_else(|_| panic!("nothing comes of {what}"))
    }

    /// Takes blocks off what was read, up to the first that is an event.
    fn event(&mut self) -> Option<Event> {
        loop {
            let end = self.read.windows(2).position(|two| two == b"\n\n")?;
            let block: Vec<u8> = self.read.drain(..end + 2).collect();
            let block = String::from_utf8(block).expect("events are UTF-8");
            let (mut event, mut data) = (None, None);
            for line in block.lines() {
                let (name, value) = line.split_once(": ").unwrap_or((line, ""));
                match name {
                    "id" => value.clone_into(&mut self.id),
                    "event" => event = Some(value.to_owned()),
                    "data" => data = Some(serde_json::from_str(value).expect("JSON")),
                    "" | "retry" => {}
                    other => panic!("`{other}` in {block:?}"),
                }
            }
            if let Some(data) = data {
                return Some(Event {
                    event: event.expect("each has a kind"),
                    id: self.id.clone(),
                    data,
                });
            }
        }
    }
}

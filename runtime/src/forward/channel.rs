//! Multiplexed connections to the peers: one of HTTP/2 for each address, opened when it is first needed and again after it broke.
//!
//! Requests are handed to the connection by whoever makes them, with no task in between: a forwarded request costs little more than its frames.

use std::{
    collections::HashMap,
    future::poll_fn,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::{
    body::{Body, HttpBody},
    http::{Request, header},
    response::Response,
};
use bytes::{Bytes, BytesMut};
use futures_util::{
    FutureExt as _, TryFutureExt as _,
    future::{BoxFuture, Shared},
};
use h2::{
    Ping, PingPong, RecvStream,
    client::{Builder, SendRequest},
};
use hyper::body::{Frame, SizeHint};
use tokio::time::timeout;
use tracing::debug;

use crate::{
    ambient::{select, spawn},
    gather::gather,
    peer_link::Connector,
};

/// Replies up to this length are read before they are passed on, so that an owner that dies in the middle of one is no broken reply.
const WHOLE_REPLY_BYTES_MAX: u64 = 1 << 20;

/// How often a connection is tested, and how long the other side may be silent then.
const TEST_EVERY: Duration = Duration::from_millis(500);
const SILENT_MAX: Duration = Duration::from_millis(1500);

/// What a peer may send of one reply, and of all, before what came is taken.
#[derive(Clone, Copy)]
pub(super) struct Windows {
    stream_bytes: u32,
    connection_bytes: u32,
}

impl Windows {
    pub(super) const OF_REQUESTS: Self = Self {
        stream_bytes: 2 << 20,
        connection_bytes: 16 << 20,
    };
    /// Little of each feed, and so much of all that one which is not read is never in the way of another.
    pub(super) const OF_FEEDS: Self = Self {
        stream_bytes: 64 << 10,
        connection_bytes: 1 << 30,
    };
}

/// Requests of a connection at a time, until the peer has said how many it takes.
const STREAMS_AT_FIRST: usize = 100;

/// Why there is no reply.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// Nothing was sent.
    #[error("it is not reached: {0}")]
    Unsent(Arc<io::Error>),
    /// Nobody knows what the peer did.
    #[error("the connection broke: {0}")]
    Broken(#[from] h2::Error),
}

/// The connections to all peers.
#[derive(Clone)]
pub(super) struct Channels {
    connector: Connector,
    windows: Windows,
    opened: Arc<Mutex<HashMap<SocketAddr, Opening>>>,
}

/// A connection, or the one attempt to open it that all wait for.
type Opening = Shared<BoxFuture<'static, Result<Channel, Arc<io::Error>>>>;

/// A connection to one peer. Clones are the same.
#[derive(Clone)]
struct Channel {
    requests: SendRequest<Bytes>,
    /// It takes no more requests.
    over: Arc<AtomicBool>,
}

impl Channels {
    pub(super) fn new(connector: Connector, windows: Windows) -> Self {
        Self {
            connector,
            windows,
            opened: Arc::default(),
        }
    }

    /// Sends a request and waits for the reply, with all of its body if that is short.
    pub(super) async fn send(
        &self,
        address: SocketAddr,
        head: Request<()>,
        body: Bytes,
    ) -> Result<Response, Failure> {
        let mut channel = self.usable(address).await?;
        let all = body.is_empty();
        let sent = channel.requests.send_request(head, all);
        let unsent = |error| Failure::Unsent(Arc::new(io::Error::other(error)));
        let (reply, mut rest) = sent.map_err(unsent)?;
        if !all {
            rest.send_data(body, true)?;
        }
        let (head, data) = reply.await?.into_parts();
        let length = if data.is_end_stream() {
            Some(0)
        } else {
            let length = head.headers.get(header::CONTENT_LENGTH);
            length.and_then(|length| length.to_str().ok()?.parse().ok())
        };
        let body = Reply { data, left: length };
        let body = match length {
            Some(length) if length <= WHOLE_REPLY_BYTES_MAX => Body::from(body.whole().await?),
            _ => Body::new(body),
        };
        Ok(Response::from_parts(head, body))
    }

    /// A connection that takes a request. One that turns out to take none any more is opened anew, once: the peer may have started again.
    async fn usable(&self, address: SocketAddr) -> Result<Channel, Failure> {
        let mut channel = self.to(address).await.map_err(Failure::Unsent)?;
        if poll_fn(|context| channel.requests.poll_ready(context))
            .await
            .is_ok()
        {
            return Ok(channel);
        }
        channel.over.store(true, Ordering::Relaxed);
        self.to(address).await.map_err(Failure::Unsent)
    }

    async fn to(&self, address: SocketAddr) -> Result<Channel, Arc<io::Error>> {
        let opening = {
            let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
            let known = opened.get(&address).filter(|opening| !is_over(opening));
            if let Some(known) = known {
                if let Some(Ok(channel)) = known.peek() {
                    return Ok(channel.clone());
                }
                known.clone()
            } else {
                opened.retain(|_, opening| !is_over(opening));
                let opening = open(self.connector.clone(), self.windows, address);
                let opening = opening.map_err(Arc::new).boxed().shared();
                opened.insert(address, opening.clone());
                opening
            }
        };
        opening.await
    }
}

/// Whether it takes no requests any more, or never did.
fn is_over(opening: &Opening) -> bool {
    match opening.peek() {
        None => false,
        Some(Err(_)) => true,
        Some(Ok(channel)) => channel.over.load(Ordering::Relaxed),
    }
}

async fn open(connector: Connector, windows: Windows, address: SocketAddr) -> io::Result<Channel> {
    let stream = connector.connect(address).await?;
    let (requests, mut connection) = Builder::new()
        .initial_window_size(windows.stream_bytes)
        .initial_connection_window_size(windows.connection_bytes)
        .initial_max_send_streams(STREAMS_AT_FIRST)
        .enable_push(false)
        .handshake(stream)
        .await
        .map_err(io::Error::other)?;
    let over = Arc::new(AtomicBool::new(false));
    let channel = Channel {
        requests,
        over: over.clone(),
    };
    let pings = connection.ping_pong();
    spawn(async move {
        let why = select! {
            ended = gather(connection) => {
                ended.as_ref().map_or_else(ToString::to_string, |()| "it was closed".to_owned())
            }
            () = silence(pings) => "the peer is silent".to_owned(),
        };
        debug!(%address, why, "the connection to a peer ended");
        over.store(true, Ordering::Relaxed);
    });
    Ok(channel)
}

/// Waits until the other side is silent.
async fn silence(pings: Option<PingPong>) {
    let Some(mut pings) = pings else {
        return std::future::pending().await;
    };
    loop {
        tokio::time::sleep(TEST_EVERY).await;
        let pong = timeout(SILENT_MAX, pings.ping(Ping::opaque())).await;
        if !matches!(pong, Ok(Ok(_))) {
            return;
        }
    }
}

/// The body of a reply, as it comes.
struct Reply {
    data: RecvStream,
    /// What is still to come, if the head says so.
    left: Option<u64>,
}

impl Reply {
    /// All of it.
    async fn whole(mut self) -> Result<Bytes, h2::Error> {
        let Some(first) = poll_fn(|context| self.poll_data(context)).await else {
            return Ok(Bytes::new());
        };
        let first = first?;
        if self.data.is_end_stream() {
            return Ok(first);
        }
        let mut whole = BytesMut::from(first);
        while let Some(next) = poll_fn(|context| self.poll_data(context)).await {
            whole.extend_from_slice(&next?);
        }
        Ok(whole.freeze())
    }

    fn poll_data(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, h2::Error>>> {
        let data = ready!(self.data.poll_data(context));
        if let Some(Ok(data)) = &data {
            if let Some(left) = &mut self.left {
                *left = left.saturating_sub(data.len() as u64);
            }
            // It fails only where the stream has ended, which the next look says.
            drop(self.data.flow_control().release_capacity(data.len()));
        }
        Poll::Ready(data)
    }
}

impl HttpBody for Reply {
    type Data = Bytes;
    type Error = h2::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, h2::Error>>> {
        let data = ready!(self.poll_data(context));
        Poll::Ready(data.map(|data| data.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.data.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.left
            .map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

#[cfg(test)]
mod tests;

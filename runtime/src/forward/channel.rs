//! Multiplexed connections to the peers: one of HTTP/2 for each address, opened when it is first needed and again after it broke.
//!
//! Short requests go by the connection's lane. Others have a stream of their own, which is handed to the connection by whoever makes them, with no task in between.

use std::{
    collections::HashMap,
    error::Error,
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
    http::{Request, StatusCode, header},
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

use super::{
    HEAD_BYTES_MAX,
    lane::{Lane, NoReply, ReplyBody, SHORT_BYTES_MAX, left_path},
};
use crate::{
    ambient::{select, spawn},
    gather::gather,
    peer_link::Connector,
    peer_secret::{self, PeerSecret},
};

/// Replies up to this length are read before they are passed on, so that an owner that dies in the middle of one is no broken reply.
const WHOLE_REPLY_BYTES_MAX: u64 = 1 << 20;

/// How often a connection is tested, and how long the other side may be silent then.
const TEST_EVERY: Duration = Duration::from_millis(500);
const SILENT_MAX: Duration = Duration::from_millis(1500);

/// What connections are for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    Requests,
    /// Replies that go on.
    Feeds,
}

impl Use {
    /// What a peer may send of one reply, and of all, before what came is taken.
    fn windows_bytes(self) -> (u32, u32) {
        match self {
            Self::Requests => (2 << 20, 16 << 20),
            // Little of each feed, and so much of all that one which is not read is never in the way of another.
            Self::Feeds => (64 << 10, 1 << 30),
        }
    }
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
    Broken(Box<dyn Error + Send + Sync>),
    /// Nothing was sent, since no node would take it.
    #[error("a request for another node has a head of at most {HEAD_BYTES_MAX} bytes")]
    TooLong,
}

impl Failure {
    fn unsent(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Unsent(Arc::new(io::Error::other(error)))
    }
}

impl From<h2::Error> for Failure {
    fn from(error: h2::Error) -> Self {
        Self::Broken(error.into())
    }
}

/// The connections to all peers.
#[derive(Clone)]
pub(super) struct Channels {
    connector: Connector,
    secret: PeerSecret,
    used_for: Use,
    opened: Arc<Mutex<HashMap<SocketAddr, Opening>>>,
}

/// A connection, or the one attempt to open it that all wait for.
type Opening = Shared<BoxFuture<'static, Result<Channel, Arc<io::Error>>>>;

/// A connection to one peer. Clones are the same.
#[derive(Clone)]
struct Channel {
    requests: SendRequest<Bytes>,
    /// None to a peer of a build without lanes, and for feeds.
    lane: Option<Lane>,
    /// It takes no more requests.
    over: Arc<AtomicBool>,
}

impl Channels {
    pub(super) fn new(connector: Connector, secret: PeerSecret, used_for: Use) -> Self {
        Self {
            connector,
            secret,
            used_for,
            opened: Arc::default(),
        }
    }

    /// Sends a request and waits for the reply, with all of its body if that is short.
    pub(super) async fn send(
        &self,
        address: SocketAddr,
        request: Request<Bytes>,
    ) -> Result<Response, Failure> {
        let channel = self.usable(address).await?;
        if let Some(lane) = &channel.lane
            && request.body().len() <= SHORT_BYTES_MAX
        {
            match lane.send(&request).await {
                Ok(reply) => return self.whole(channel.requests, reply).await,
                Err(NoReply::TooLong) => return Err(Failure::TooLong),
                Err(NoReply::Unsent) => return Err(Failure::unsent("its lane is closed")),
                Err(NoReply::Broken) => return Err(Failure::Broken("its lane broke".into())),
            }
        }
        // What few requests need has a place of its own, here and below.
        Box::pin(self.by_stream(channel.requests, request)).await
    }

    /// A request that is not for a lane, and its reply.
    async fn by_stream(
        &self,
        mut requests: SendRequest<Bytes>,
        mut request: Request<Bytes>,
    ) -> Result<Response, Failure> {
        self.secret.show(request.headers_mut());
        if head_bytes(&request) > HEAD_BYTES_MAX as usize {
            return Err(Failure::TooLong);
        }
        let (head, body) = request.into_parts();
        let head = Request::from_parts(head, ());
        let all = body.is_empty();
        let sent = requests.send_request(head, all);
        let (reply, mut rest) = sent.map_err(Failure::unsent)?;
        if !all {
            rest.send_data(body, true)?;
        }
        let reply = reply.await?;
        peer_secret::admitted(&reply)
            .map_err(|refusal| Failure::Unsent(Arc::new(refusal.into())))?;
        whole(reply).await
    }

    /// A reply of a lane with its body.
    async fn whole(
        &self,
        requests: SendRequest<Bytes>,
        reply: Response<ReplyBody>,
    ) -> Result<Response, Failure> {
        let (head, body) = reply.into_parts();
        let body = match body {
            ReplyBody::Whole(body) => Body::from(body),
            ReplyBody::Left(number) => Box::pin(self.left(requests, number)).await?,
        };
        Ok(Response::from_parts(head, body))
    }

    /// The body of a reply that was too long for its lane. It is asked for on the same connection: another may lead to a process that never heard of it.
    async fn left(&self, requests: SendRequest<Bytes>, number: u64) -> Result<Body, Failure> {
        let mut get = Request::new(());
        *get.uri_mut() = left_path(number);
        self.secret.show(get.headers_mut());
        let (reply, _) = requests.ready().await?.send_request(get, true)?;
        let reply = reply.await?;
        if reply.status() != StatusCode::OK {
            return Err(Failure::Broken("its reply is not there any more".into()));
        }
        Ok(whole(reply).await?.into_body())
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
                let opening = self.clone().open(address);
                let opening = opening.map_err(Arc::new).boxed().shared();
                opened.insert(address, opening.clone());
                opening
            }
        };
        opening.await
    }

    async fn open(self, address: SocketAddr) -> io::Result<Channel> {
        let stream = self.connector.connect(address).await?;
        let (stream_bytes, connection_bytes) = self.used_for.windows_bytes();
        let (requests, mut connection) = Builder::new()
            .initial_window_size(stream_bytes)
            .initial_connection_window_size(connection_bytes)
            .initial_max_send_streams(STREAMS_AT_FIRST)
            .enable_push(false)
            .handshake(stream)
            .await
            .map_err(io::Error::other)?;
        let over = Arc::new(AtomicBool::new(false));
        let (is_over, pings) = (over.clone(), connection.ping_pong());
        spawn(async move {
            let why = select! {
                ended = gather(connection) => {
                    ended.as_ref().map_or_else(ToString::to_string, |()| "it was closed".to_owned())
                }
                () = silence(pings) => "the peer is silent".to_owned(),
            };
            debug!(%address, why, "the connection to a peer ended");
            is_over.store(true, Ordering::Relaxed);
        });
        let lane = match self.used_for {
            Use::Requests => Lane::open(requests.clone(), &self.secret).await?,
            Use::Feeds => None,
        };
        Ok(Channel {
            requests,
            lane,
            over,
        })
    }
}

impl Channel {
    fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed) || self.lane.as_ref().is_some_and(Lane::is_closed)
    }
}

/// The length of the head as HTTP/2 counts it (RFC 9113, section 6.5.2), without what is the same for all.
fn head_bytes(request: &Request<Bytes>) -> usize {
    const FIELD_BYTES: usize = 32;
    let target = request.uri().path_and_query();
    let target = target.map_or(0, |target| target.as_str().len());
    let fields = request.headers().iter();
    let fields = fields.map(|(name, value)| name.as_str().len() + value.len() + FIELD_BYTES);
    target + fields.sum::<usize>()
}

/// A reply with all of its body, if that is short.
async fn whole(reply: Response<RecvStream>) -> Result<Response, Failure> {
    let (head, data) = reply.into_parts();
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

/// Whether it takes no requests any more, or never did.
fn is_over(opening: &Opening) -> bool {
    match opening.peek() {
        None => false,
        Some(Err(_)) => true,
        Some(Ok(channel)) => channel.is_over(),
    }
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

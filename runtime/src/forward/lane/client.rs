//! The side of a lane that asks.

use std::{
    collections::BTreeMap,
    error::Error,
    future::poll_fn,
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
};

use axum::{
    http::{Request, StatusCode},
    response::Response,
};
use bytes::{Bytes, BytesMut};
use h2::{RecvStream, SendStream, client::SendRequest};
use tokio::sync::{mpsc, oneshot};
use tracing::debug;

use super::{
    frame::{Decoder, Encoded, Frame, ReplyBody},
    opening,
};
use crate::{
    ambient::{select, spawn},
    gather::gather,
    peer_secret::{self, PeerSecret},
};

/// Why a lane gave no reply.
#[derive(Debug)]
pub(in super::super) enum NoReply {
    /// The request does not fit into a lane.
    TooLong,
    /// Nothing was sent.
    Unsent,
    /// Nobody knows what the peer did.
    Broken,
}

type Told = Result<Response<ReplyBody>, NoReply>;

/// A request on its way.
struct Ask {
    number: u64,
    frame: Encoded,
    reply: oneshot::Sender<Told>,
}

/// A lane to a peer. Clones are the same; when the last one is dropped it is closed.
#[derive(Clone)]
pub(in super::super) struct Lane {
    asks: mpsc::UnboundedSender<Ask>,
    numbers: Arc<AtomicU64>,
}

impl Lane {
    /// Opens a lane on a connection, unless the peer is of a build that has none.
    ///
    /// # Errors
    /// Why there is none; behind it a [`Refusal`](crate::peer_link::Refusal) if the peer takes this node for a stranger.
    pub(in super::super) async fn open(
        requests: SendRequest<Bytes>,
        secret: &PeerSecret,
    ) -> io::Result<Option<Self>> {
        let mut head = opening();
        secret.show(head.headers_mut());
        let mut requests = requests.ready().await.map_err(io::Error::other)?;
        let opened = requests.send_request(head, false);
        let (reply, send) = opened.map_err(io::Error::other)?;
        let reply = reply.await.map_err(io::Error::other)?;
        peer_secret::admitted(&reply)?;
        if reply.status() != StatusCode::OK {
            return Ok(None);
        }
        let (asks, asked) = mpsc::unbounded_channel();
        let replies = reply.into_body();
        spawn(async move {
            let mut driver = Driver {
                asked,
                chunk: BytesMut::new(),
                send: Some(send),
                waiting: BTreeMap::new(),
            };
            if let Err(error) = gather(driver.run(replies)).await {
                debug!(%error, "a lane broke");
            }
            driver.end();
        });
        Ok(Some(Self {
            asks,
            numbers: Arc::default(),
        }))
    }

    /// Sends a request and waits for the reply.
    pub(in super::super) async fn send(&self, request: &Request<Bytes>) -> Told {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let frame = Encoded::request(number, request).map_err(|_| NoReply::TooLong)?;
        let (reply, told) = oneshot::channel();
        let ask = Ask {
            number,
            frame,
            reply,
        };
        self.asks.send(ask).map_err(|_| NoReply::Unsent)?;
        told.await.unwrap_or(Err(NoReply::Broken))
    }

    /// Whether it takes no more requests.
    pub(in super::super) fn is_closed(&self) -> bool {
        self.asks.is_closed()
    }
}

/// What moves a lane.
struct Driver {
    asked: mpsc::UnboundedReceiver<Ask>,
    /// What is to be sent next.
    chunk: BytesMut,
    /// Nothing once all has been said.
    send: Option<SendStream<Bytes>>,
    waiting: BTreeMap<u64, oneshot::Sender<Told>>,
}

impl Driver {
    /// Runs until the peer has answered all, and has nothing more to say.
    async fn run(&mut self, mut replies: RecvStream) -> Result<(), Box<dyn Error + Send + Sync>> {
        let mut decoder = Decoder::default();
        loop {
            select! {
                data = replies.data() => {
                    let Some(data) = data.transpose()? else { return Ok(()) };
                    replies.flow_control().release_capacity(data.len())?;
                    decoder.push(&data);
                    while let Some((number, frame)) = decoder.next()? {
                        self.take(number, frame)?;
                    }
                }
                sent = poll_fn(|context| self.poll_send(context)) => sent?,
            }
        }
    }

    fn take(&mut self, number: u64, frame: Frame) -> Result<(), &'static str> {
        let told = match frame {
            Frame::Reply(reply) => Ok(reply),
            Frame::NoReply => Err(NoReply::Broken),
            Frame::Closing => {
                self.asked.close();
                return Ok(());
            }
            Frame::Request(_) => return Err("a peer asks where it is asked"),
        };
        let waiting = self.waiting.remove(&number);
        let waiting = waiting.ok_or("a reply to nobody")?;
        // Who asked may have gone meanwhile.
        drop(waiting.send(told));
        Ok(())
    }

    /// Sends a piece of what is asked; ready if it did. After the last one it never is.
    fn poll_send(&mut self, context: &mut Context<'_>) -> Poll<Result<(), h2::Error>> {
        let Some(send) = &mut self.send else {
            return Poll::Pending;
        };
        let mut all = false;
        while self.chunk.len() < super::SHORT_BYTES_MAX {
            match self.asked.poll_recv(context) {
                Poll::Ready(Some(ask)) => {
                    self.chunk.extend_from_slice(ask.frame.bytes());
                    self.waiting.insert(ask.number, ask.reply);
                }
                Poll::Ready(None) => {
                    all = true;
                    break;
                }
                Poll::Pending => break,
            }
        }
        if self.chunk.is_empty() {
            if all {
                send.send_data(Bytes::new(), true)?;
                self.send = None;
            }
            return Poll::Pending;
        }
        send.reserve_capacity(self.chunk.len());
        let capacity = match send.capacity() {
            // Only capacity that is new is told of.
            0 => ready!(send.poll_capacity(context)),
            there => Some(Ok(there)),
        };
        if let Some(capacity) = capacity {
            let piece = self.chunk.split_to(capacity?.min(self.chunk.len()));
            return Poll::Ready(send.send_data(piece.freeze(), false));
        }
        // The stream has ended, as the replies will say.
        self.send = None;
        Poll::Pending
    }

    /// Nothing comes any more.
    fn end(&mut self) {
        self.asked.close();
        while let Ok(ask) = self.asked.try_recv() {
            drop(ask.reply.send(Err(NoReply::Unsent)));
        }
        for (_, reply) in std::mem::take(&mut self.waiting) {
            drop(reply.send(Err(NoReply::Broken)));
        }
    }
}

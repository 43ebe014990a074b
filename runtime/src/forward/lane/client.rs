//! The side of a lane that asks.

use std::{
    collections::BTreeMap,
    error::Error,
    future::poll_fn,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
};

use axum::{
    http::{Request, StatusCode},
    response::Response,
};
use bytes::Bytes;
use h2::{RecvStream, SendStream, client::SendRequest};
use tokio::sync::oneshot;
use tracing::debug;

use super::{
    frame::{Decoder, Frame, ReplyBody, put_request},
    opening,
    outgoing::Outgoing,
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

/// A lane to a peer. Clones are the same; when the last one is dropped it is closed.
#[derive(Clone)]
pub(in super::super) struct Lane(Arc<Asking>);

/// Whoever has a lane.
struct Asking(Arc<Mutex<Asked>>);

/// What was asked, and is not answered yet.
#[derive(Default)]
struct Asked {
    outgoing: Outgoing,
    waiting: BTreeMap<u64, oneshot::Sender<Told>>,
    /// The number of the next request.
    next: u64,
    /// The first one of which nothing was sent.
    unsent: u64,
    /// No more requests are taken.
    closed: bool,
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
        let asked: Arc<Mutex<Asked>> = Arc::default();
        let mut driver = Driver {
            asked: asked.clone(),
            chunk: Bytes::new(),
            send: Some(send),
        };
        let replies = reply.into_body();
        spawn(async move {
            if let Err(error) = gather(driver.run(replies)).await {
                debug!(%error, "a lane broke");
            }
        });
        Ok(Some(Self(Arc::new(Asking(asked)))))
    }

    /// Sends a request and waits for the reply.
    pub(in super::super) async fn send(&self, request: &Request<Bytes>) -> Told {
        let (reply, told) = oneshot::channel();
        let driver = {
            let mut asked = lock(&self.0.0);
            if asked.closed {
                return Err(NoReply::Unsent);
            }
            let number = asked.next;
            let put = put_request(&mut asked.outgoing.frames, number, request);
            put.map_err(|_| NoReply::TooLong)?;
            asked.next += 1;
            asked.waiting.insert(number, reply);
            asked.outgoing.waiting()
        };
        if let Some(driver) = driver {
            driver.wake();
        }
        told.await.unwrap_or(Err(NoReply::Broken))
    }

    /// Whether it takes no more requests.
    pub(in super::super) fn is_closed(&self) -> bool {
        lock(&self.0.0).closed
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        let driver = {
            let mut asked = lock(&self.0);
            asked.closed = true;
            asked.outgoing.waiting()
        };
        if let Some(driver) = driver {
            driver.wake();
        }
    }
}

fn lock(asked: &Mutex<Asked>) -> MutexGuard<'_, Asked> {
    asked.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What moves a lane.
struct Driver {
    asked: Arc<Mutex<Asked>>,
    /// What is to be sent next.
    chunk: Bytes,
    /// Nothing once all has been said.
    send: Option<SendStream<Bytes>>,
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

    fn take(&self, number: u64, frame: Frame) -> Result<(), &'static str> {
        let told = match frame {
            Frame::Reply(reply) => Ok(reply),
            Frame::NoReply => Err(NoReply::Broken),
            Frame::Closing => {
                lock(&self.asked).closed = true;
                return Ok(());
            }
            Frame::Request(_) => return Err("a peer asks where it is asked"),
        };
        let waiting = lock(&self.asked).waiting.remove(&number);
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
        if self.chunk.is_empty() {
            let mut asked = lock(&self.asked);
            match asked.outgoing.poll_take(context) {
                Poll::Ready(chunk) => {
                    asked.unsent = asked.next;
                    self.chunk = chunk;
                }
                Poll::Pending if asked.closed => {
                    drop(asked);
                    let end = send.send_data(Bytes::new(), true);
                    self.send = None;
                    return Poll::Ready(end);
                }
                Poll::Pending => return Poll::Pending,
            }
        }
        send.reserve_capacity(self.chunk.len());
        let capacity = match send.capacity() {
            // Only capacity that is new is told of.
            0 => ready!(send.poll_capacity(context)),
            there => Some(Ok(there)),
        };
        if let Some(capacity) = capacity {
            let piece = self.chunk.split_to(capacity?.min(self.chunk.len()));
            return Poll::Ready(send.send_data(piece, false));
        }
        // The stream has ended, as the replies will say.
        self.send = None;
        Poll::Pending
    }
}

impl Drop for Driver {
    /// Nothing comes any more.
    fn drop(&mut self) {
        let (waiting, unsent) = {
            let mut asked = lock(&self.asked);
            asked.closed = true;
            (std::mem::take(&mut asked.waiting), asked.unsent)
        };
        for (number, reply) in waiting {
            let why = if number < unsent {
                NoReply::Broken
            } else {
                NoReply::Unsent
            };
            drop(reply.send(Err(why)));
        }
    }
}

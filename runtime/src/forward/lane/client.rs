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
use bytes::{Bytes, BytesMut};
use futures_util::task::AtomicWaker;
use h2::{RecvStream, SendStream, client::SendRequest};
use tokio::sync::oneshot;
use tracing::debug;

use super::{
    frame::{Decoder, Frame, ReplyBody, put_request},
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

/// A lane to a peer. Clones are the same; when the last one is dropped it is closed.
#[derive(Clone)]
pub(in super::super) struct Lane(Arc<Asking>);

/// Whoever has a lane.
struct Asking(Arc<Shared>);

/// What those who ask and the driver have in common.
#[derive(Default)]
struct Shared {
    asked: Mutex<Asked>,
    /// Woken when there is something to send, or to end.
    driver: AtomicWaker,
}

/// What was asked, and is not answered yet.
#[derive(Default)]
struct Asked {
    /// What is to be sent next.
    frames: BytesMut,
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
        let shared: Arc<Shared> = Arc::default();
        let mut driver = Driver {
            shared: shared.clone(),
            chunk: Bytes::new(),
            send: Some(send),
        };
        let replies = reply.into_body();
        spawn(async move {
            if let Err(error) = gather(driver.run(replies)).await {
                debug!(%error, "a lane broke");
            }
        });
        Ok(Some(Self(Arc::new(Asking(shared)))))
    }

    /// Sends a request and waits for the reply.
    pub(in super::super) async fn send(&self, request: &Request<Bytes>) -> Told {
        let (reply, told) = oneshot::channel();
        let shared = &self.0.0;
        {
            let mut asked = shared.asked();
            if asked.closed {
                return Err(NoReply::Unsent);
            }
            let number = asked.next;
            let put = put_request(&mut asked.frames, number, request);
            put.map_err(|_| NoReply::TooLong)?;
            asked.next += 1;
            asked.waiting.insert(number, reply);
        }
        // Best when nobody is kept from it meanwhile.
        shared.driver.wake();
        told.await.unwrap_or(Err(NoReply::Broken))
    }

    /// Whether it takes no more requests.
    pub(in super::super) fn is_closed(&self) -> bool {
        self.0.0.asked().closed
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        self.0.asked().closed = true;
        self.0.driver.wake();
    }
}

impl Shared {
    fn asked(&self) -> MutexGuard<'_, Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What moves a lane.
struct Driver {
    shared: Arc<Shared>,
    /// What is being sent.
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
                self.shared.asked().closed = true;
                return Ok(());
            }
            Frame::Request(_) => return Err("a peer asks where it is asked"),
        };
        let waiting = self.shared.asked().waiting.remove(&number);
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
            self.shared.driver.register(context.waker());
            let mut asked = self.shared.asked();
            if !asked.frames.is_empty() {
                asked.unsent = asked.next;
                self.chunk = asked.frames.split().freeze();
            } else if asked.closed {
                drop(asked);
                let end = send.send_data(Bytes::new(), true);
                self.send = None;
                return Poll::Ready(end);
            } else {
                return Poll::Pending;
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
            let mut asked = self.shared.asked();
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

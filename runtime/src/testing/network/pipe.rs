//! One direction of a connection, and the two of them together.

use std::{
    collections::VecDeque,
    future::poll_fn,
    io,
    net::IpAddr,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard},
    task::{Context, Poll, Waker, ready},
};

use bytes::{Buf as _, Bytes};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep_until},
};

use super::{super::process::UNPOISONED, Network};

/// So many bytes may be on their way before the writer waits.
const BYTES_MAX: usize = 256 << 10;

/// Bytes from one host to another.
#[derive(Debug)]
pub(super) struct Pipe {
    network: Network,
    from: IpAddr,
    to: IpAddr,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// What is on its way, and when it arrives.
    on_its_way: VecDeque<(Instant, Bytes)>,
    bytes: usize,
    /// When the last of it arrives.
    last: Option<Instant>,
    /// The writer has closed it: when the reader learns of it.
    ended: Option<Instant>,
    /// The reader is gone.
    unread: bool,
    reset: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl State {
    fn wake(&mut self) -> [Option<Waker>; 2] {
        [self.reader.take(), self.writer.take()]
    }
}

impl Pipe {
    pub(super) fn new(network: &Network, from: IpAddr, to: IpAddr) -> Arc<Self> {
        Arc::new(Self {
            network: network.clone(),
            from,
            to,
            state: Mutex::default(),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect(UNPOISONED)
    }

    pub(super) fn is_between(&self, one: IpAddr, other: IpAddr) -> bool {
        (self.from, self.to) == (one, other) || (self.from, self.to) == (other, one)
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let woken = {
            let mut state = self.state();
            change(&mut state);
            state.wake()
        };
        for waker in woken.into_iter().flatten() {
            waker.wake();
        }
    }

    pub(super) fn reset(&self) {
        self.change(|state| state.reset = true);
    }

    /// Nothing more is written.
    fn end(&self) {
        let at = Instant::now() + self.network.latency();
        self.change(|state| {
            let at = state.last.map_or(at, |last| last.max(at));
            state.ended.get_or_insert(at);
        });
    }

    /// Nobody reads it any more.
    fn abandon(&self) {
        self.change(|state| {
            state.unread = true;
            state.on_its_way.clear();
        });
    }

    fn poll_write(&self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let at = Instant::now() + self.network.latency();
        let mut state = self.state();
        if state.reset {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        if state.ended.is_some() {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        // Who is cut off does not learn of it.
        if state.unread && !self.network.is_cut(self.to, self.from) {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if state.bytes >= BYTES_MAX {
            state.writer = Some(context.waker().clone());
            return Poll::Pending;
        }
        let at = state.last.map_or(at, |last| last.max(at));
        state.last = Some(at);
        state.bytes += bytes.len();
        state
            .on_its_way
            .push_back((at, Bytes::copy_from_slice(bytes)));
        let reader = state.reader.take();
        drop(state);
        if let Some(reader) = reader {
            reader.wake();
        }
        Poll::Ready(Ok(bytes.len()))
    }

    /// What has arrived, as far as `take` takes it; nothing at the end.
    fn poll_read(
        &self,
        context: &mut Context<'_>,
        timer: &mut Option<Pin<Box<Sleep>>>,
        mut take: impl FnMut(&mut Bytes),
    ) -> Poll<io::Result<()>> {
        loop {
            let arrives = {
                let mut state = self.state();
                if state.reset {
                    return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
                }
                state.reader = Some(context.waker().clone());
                let first = state.on_its_way.front().map(|(at, _)| *at);
                let Some(at) = first.or(state.ended) else {
                    return Poll::Pending;
                };
                if at > Instant::now() {
                    at
                } else if self.network.waits(self.from, self.to, context.waker()) {
                    return Poll::Pending;
                } else {
                    let Some((_, mut bytes)) = state.on_its_way.pop_front() else {
                        return Poll::Ready(Ok(()));
                    };
                    let before = bytes.len();
                    take(&mut bytes);
                    state.bytes -= before - bytes.len();
                    if !bytes.is_empty() {
                        state.on_its_way.push_front((at, bytes));
                    }
                    let writer = state.writer.take();
                    drop(state);
                    if let Some(writer) = writer {
                        writer.wake();
                    }
                    return Poll::Ready(Ok(()));
                }
            };
            let sleep = timer.insert(Box::pin(sleep_until(arrives)));
            ready!(sleep.as_mut().poll(context));
        }
    }
}

/// One end of a connection.
#[derive(Debug)]
pub(crate) struct SimStream {
    read: Arc<Pipe>,
    write: Arc<Pipe>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl SimStream {
    pub(super) fn new(read: Arc<Pipe>, write: Arc<Pipe>) -> Self {
        Self {
            read,
            write,
            timer: None,
        }
    }

    pub(crate) async fn peek(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut seen = 0;
        let (read, timer) = (self.read.clone(), &mut self.timer);
        poll_fn(|context| {
            read.poll_read(context, timer, |bytes| {
                seen = bytes.len().min(buffer.len());
                buffer[..seen].copy_from_slice(&bytes[..seen]);
            })
        })
        .await?;
        Ok(seen)
    }
}

impl AsyncRead for SimStream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let me = self.get_mut();
        me.read.poll_read(context, &mut me.timer, |bytes| {
            let length = bytes.len().min(buffer.remaining());
            buffer.put_slice(&bytes[..length]);
            bytes.advance(length);
        })
    }
}

impl AsyncWrite for SimStream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.write.poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.write.end();
        Poll::Ready(Ok(()))
    }
}

impl Drop for SimStream {
    fn drop(&mut self) {
        self.write.end();
        self.read.abandon();
    }
}

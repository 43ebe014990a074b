//! Frames that are to be sent together.

use std::task::{Context, Poll, Waker};

use bytes::{Bytes, BytesMut};

/// What is to be sent next. Many put frames there, and one takes them.
#[derive(Default)]
pub(super) struct Outgoing {
    pub(super) frames: BytesMut,
    /// Who takes them, if it waits.
    taker: Option<Waker>,
}

impl Outgoing {
    /// All that is there, once there is something.
    pub(super) fn poll_take(&mut self, context: &Context<'_>) -> Poll<Bytes> {
        if !self.frames.is_empty() {
            return Poll::Ready(self.frames.split().freeze());
        }
        match &mut self.taker {
            Some(taker) => taker.clone_from(context.waker()),
            None => self.taker = Some(context.waker().clone()),
        }
        Poll::Pending
    }

    /// Who is to be woken, since there is something: best when nobody is kept from it meanwhile.
    pub(super) fn waiting(&mut self) -> Option<Waker> {
        self.taker.take()
    }
}

//! The side of a lane that answers.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, HttpBody as _},
    extract::Path,
    http::{Request, StatusCode},
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::Frame as BodyFrame;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tower::Service as _;
use tracing::debug;

use super::{
    PATH, SHORT_BYTES_MAX,
    frame::{Decoder, Encoded, Frame, NoFrame, ReplyBody},
};
use crate::{
    ambient::{select, spawn},
    call::Caller,
};

/// Requests of a lane at a time. Further ones wait at whoever asks.
const REQUESTS_MAX: usize = 1024;

/// How long a long reply waits to be fetched.
const LEFT_MAX: Duration = Duration::from_secs(10);

/// Lanes in which `router` answers. When `stopped` says so, they take no more requests.
pub(crate) fn router(router: Router, stopped: watch::Receiver<bool>) -> Router {
    let left = Arc::new(Left::default());
    let fetched = left.clone();
    let open = move |request: Request<Body>| {
        let (replies, body) = mpsc::unbounded_channel();
        let (head, requests) = request.into_parts();
        let caller = head.extensions.get().copied();
        let lane = Lane {
            router: router.clone(),
            caller: caller.unwrap_or(Caller { address: None }),
            left: left.clone(),
            slots: Arc::new(Semaphore::new(REQUESTS_MAX)),
            replies,
        };
        spawn(lane.run(requests, stopped.clone()));
        let body = Body::new(Replies {
            frames: body,
            was_woken: false,
        });
        async move { Response::new(body) }
    };
    let fetch = move |Path(number): Path<u64>| {
        let body = fetched.take(number);
        async move {
            let gone = || StatusCode::NOT_FOUND.into_response();
            body.map_or_else(gone, Response::new)
        }
    };
    Router::new()
        .route(PATH, post(open))
        .route(&format!("{PATH}/{{number}}"), get(fetch))
}

/// One lane.
struct Lane {
    router: Router,
    caller: Caller,
    left: Arc<Left>,
    slots: Arc<Semaphore>,
    replies: mpsc::UnboundedSender<Encoded>,
}

impl Lane {
    /// Takes requests until there will be no more. What was taken is answered afterwards, too.
    async fn run(self, mut requests: Body, mut stopped: watch::Receiver<bool>) {
        let mut decoder = Decoder::default();
        let mut closing = false;
        loop {
            let data = select! {
                data = requests.frame() => data,
                () = async { drop(stopped.wait_for(|stopped| *stopped).await) }, if !closing => {
                    closing = true;
                    drop(self.replies.send(Encoded::closing()));
                    continue;
                }
            };
            // An error is the end of the connection.
            let Some(Ok(data)) = data else { return };
            let Ok(data) = data.into_data() else { continue };
            decoder.push(&data);
            if let Err(error) = self.take(&mut decoder).await {
                debug!(%error, "a lane");
                return;
            }
        }
    }

    async fn take(&self, decoder: &mut Decoder) -> Result<(), NoFrame> {
        while let Some((number, frame)) = decoder.next()? {
            let Frame::Request(request) = frame else {
                return Err(NoFrame::UNEXPECTED);
            };
            let slot = self.slots.clone().acquire_owned().await;
            let answering = Answering {
                number,
                replies: Some(self.replies.clone()),
                _slot: slot.expect("nobody closes it"),
            };
            let mut request = request.map(Body::from);
            request.extensions_mut().insert(self.caller);
            spawn(answering.answer(self.router.clone(), request, self.left.clone()));
        }
        Ok(())
    }
}

/// A request that is being answered. Whatever becomes of it, who asked is told.
struct Answering {
    number: u64,
    replies: Option<mpsc::UnboundedSender<Encoded>>,
    _slot: OwnedSemaphorePermit,
}

impl Answering {
    async fn answer(mut self, mut router: Router, request: Request<Body>, left: Arc<Left>) {
        let answered: Result<Response, Infallible> = router.call(request).await;
        let Ok(response) = answered;
        let (head, body) = response.into_parts();
        let short = body
            .size_hint()
            .exact()
            .is_some_and(|length| length <= SHORT_BYTES_MAX as u64);
        let body = if short {
            let Ok(body) = body.collect().await else {
                return;
            };
            ReplyBody::Whole(body.to_bytes())
        } else {
            ReplyBody::Left(left.leave(body))
        };
        let reply = Response::from_parts(head, body);
        if let Ok(frame) = Encoded::reply(self.number, &reply) {
            self.tell(frame);
        }
    }

    fn tell(&mut self, frame: Encoded) {
        if let Some(replies) = self.replies.take() {
            // If nobody hears it, the connection is gone.
            drop(replies.send(frame));
        }
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.tell(Encoded::no_reply(self.number));
    }
}

/// Long replies until they are fetched.
#[derive(Default)]
struct Left {
    bodies: Mutex<BTreeMap<u64, Body>>,
    numbers: AtomicU64,
}

impl Left {
    fn leave(self: Arc<Self>, body: Body) -> u64 {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        self.bodies().insert(number, body);
        spawn(async move {
            tokio::time::sleep(LEFT_MAX).await;
            drop(self.take(number));
        });
        number
    }

    fn take(&self, number: u64) -> Option<Body> {
        self.bodies().remove(&number)
    }

    fn bodies(&self) -> std::sync::MutexGuard<'_, BTreeMap<u64, Body>> {
        self.bodies.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The replies of a lane. It ends when all is answered that was asked, and nothing more will be.
struct Replies {
    frames: mpsc::UnboundedReceiver<Encoded>,
    was_woken: bool,
}

impl axum::body::HttpBody for Replies {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<BodyFrame<Bytes>, Infallible>>> {
        // As in `gather`: those that are ready to answer do so first.
        self.was_woken = !self.was_woken;
        if self.was_woken {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let mut chunk = BytesMut::new();
        loop {
            match self.frames.poll_recv(context) {
                Poll::Ready(Some(frame)) => chunk.extend_from_slice(frame.bytes()),
                Poll::Ready(None) if chunk.is_empty() => return Poll::Ready(None),
                Poll::Pending if chunk.is_empty() => return Poll::Pending,
                Poll::Ready(None) | Poll::Pending => break,
            }
            if chunk.len() >= SHORT_BYTES_MAX {
                break;
            }
        }
        Poll::Ready(Some(Ok(BodyFrame::data(chunk.freeze()))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_long_reply_that_nobody_fetches_is_dropped() {
        let left = Arc::new(Left::default());
        let [one, other] = [(); 2].map(|()| left.clone().leave(Body::from("x")));
        assert!(left.take(one).is_some());
        assert!(left.take(one).is_none(), "it is fetched once");
        tokio::time::sleep(LEFT_MAX + Duration::from_millis(1)).await;
        assert!(left.take(other).is_none());
    }
}

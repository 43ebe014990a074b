//! The side of a lane that answers.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, HttpBody},
    extract::Path,
    http::{Request, StatusCode},
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use bytes::{Bytes, BytesMut};
use futures_util::task::AtomicWaker;
use http_body_util::BodyExt as _;
use hyper::body::Frame as BodyFrame;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tower::Service as _;
use tracing::debug;

use super::{
    PATH, SHORT_BYTES_MAX,
    frame::{Decoder, Frame, NoFrame, ReplyBody, put_closing, put_no_reply, put_reply},
};
use crate::{
    ambient::{select, spawn},
    call::Caller,
    gather::Turn,
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
        let replies = Sink::default();
        let body = Body::new(Replies {
            shared: replies.0.0.clone(),
            turn: Turn::default(),
        });
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
    replies: Sink,
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
                    self.replies.put(put_closing);
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
                replies: self.replies.clone(),
                is_told: false,
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
    replies: Sink,
    is_told: bool,
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
        let number = self.number;
        let fits = self.replies.put(|out| put_reply(out, number, &reply));
        self.is_told = fits.is_ok();
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        if !self.is_told {
            self.replies.put(|out| put_no_reply(out, self.number));
        }
    }
}

/// Where the replies of a lane go. Clones are the same; when the last one is dropped the lane ends.
#[derive(Clone, Default)]
struct Sink(Arc<Telling>);

/// Whoever may still say something.
#[derive(Default)]
struct Telling(Arc<Shared>);

/// What those who answer and the connection have in common.
#[derive(Default)]
struct Shared {
    told: Mutex<Told>,
    /// Woken when there is something to send, or to end.
    connection: AtomicWaker,
}

#[derive(Default)]
struct Told {
    /// What is to be sent next.
    frames: BytesMut,
    /// Nothing comes behind it.
    closed: bool,
}

impl Shared {
    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sink {
    fn put<R>(&self, put: impl FnOnce(&mut BytesMut) -> R) -> R {
        let shared = &self.0.0;
        let result = put(&mut shared.told().frames);
        // Best when nobody is kept from it meanwhile.
        shared.connection.wake();
        result
    }
}

impl Drop for Telling {
    fn drop(&mut self) {
        self.0.told().closed = true;
        self.0.connection.wake();
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

    fn bodies(&self) -> MutexGuard<'_, BTreeMap<u64, Body>> {
        self.bodies.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The replies of a lane. It ends when all is answered that was asked, and nothing more will be.
struct Replies {
    shared: Arc<Shared>,
    turn: Turn,
}

impl HttpBody for Replies {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<BodyFrame<Bytes>, Infallible>>> {
        // As in `gather`: those that are ready to answer do so first.
        ready!(self.turn.poll(context));
        self.shared.connection.register(context.waker());
        let mut told = self.shared.told();
        if !told.frames.is_empty() {
            return Poll::Ready(Some(Ok(BodyFrame::data(told.frames.split().freeze()))));
        }
        if told.closed {
            return Poll::Ready(None);
        }
        Poll::Pending
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

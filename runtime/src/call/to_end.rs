//! What a function began is not left half done: it goes on if its client goes away in the middle.

use std::{
    panic::AssertUnwindSafe,
    pin::Pin,
    task::{Context, Poll, ready},
};

use axum::response::Response;
use futures_util::{FutureExt, future::BoxFuture};
use tokio::runtime::Handle;

use super::Halt;
use crate::{ambient::spawn, problem::Problem};

type Outcome = Result<Response, Halt>;

/// Runs with whoever waits for it, and on its own once nobody does. A task of its own from the beginning would cost each request that nobody gives up, and those are nearly all.
pub(super) struct ToEnd(Option<BoxFuture<'static, Outcome>>);

/// Runs `function` to its end, also if the answer is not waited for. A panic is answered as a fault.
pub(super) fn to_end(function: impl Future<Output = Outcome> + Send + 'static) -> ToEnd {
    let caught = AssertUnwindSafe(function).catch_unwind();
    let ran = caught.map(|outcome| {
        outcome.unwrap_or_else(|_| Err(Problem::internal("a handler panicked").into()))
    });
    ToEnd(Some(ran.boxed()))
}

impl Future for ToEnd {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Outcome> {
        let Some(running) = &mut self.0 else {
            unreachable!("it has ended, so nobody asks");
        };
        let outcome = ready!(running.as_mut().poll(context));
        self.0 = None;
        Poll::Ready(outcome)
    }
}

impl Drop for ToEnd {
    fn drop(&mut self) {
        // Without a runtime the process ends.
        if let Some(running) = self.0.take()
            && Handle::try_current().is_ok()
        {
            drop(spawn(running));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    };

    use axum::{http::StatusCode, response::IntoResponse};
    use tokio::sync::oneshot;

    use super::*;
    use crate::call::Why;

    #[tokio::test]
    async fn what_is_given_up_goes_on() {
        let (go, told) = oneshot::channel::<()>();
        let (done, is_done) = oneshot::channel();
        let began = Arc::new(AtomicBool::new(false));
        let begins = began.clone();
        let mut running = to_end(async move {
            begins.store(true, Ordering::SeqCst);
            told.await.unwrap();
            done.send(()).unwrap();
            Ok(StatusCode::OK.into_response())
        });
        assert!(futures_util::poll!(&mut running).is_pending());
        assert!(began.load(Ordering::SeqCst));
        drop(running);
        go.send(()).unwrap();
        is_done.await.unwrap();
    }

    #[tokio::test]
    async fn a_panic_is_an_answer() {
        let ran = to_end(async { panic!("as it happens") }).await;
        let Err(Halt(Why::Answered(response))) = ran else {
            panic!("{ran:?}");
        };
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    }
}

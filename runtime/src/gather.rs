//! Connections that do at once what all that is ready asks of them.

use std::{
    future::poll_fn,
    pin::pin,
    task::{Context, Poll, ready},
};

/// Runs a connection that many tasks share. Whenever it is woken, it lets the tasks that are ready to run at this moment go first.
///
/// The runtime runs next what the running task wakes. So each request would wake its connection, which would make a system call for this request alone, before the next one is
/// looked at. No clock is involved: a lone request goes through at once.
pub(crate) async fn gather<F: Future>(connection: F) -> F::Output {
    let mut connection = pin!(connection);
    let mut turn = Turn::default();
    poll_fn(move |context| {
        ready!(turn.poll(context));
        connection.as_mut().poll(context)
    })
    .await
}

/// Whose turn it is when something is woken.
#[derive(Default)]
pub(crate) struct Turn {
    waited: bool,
}

impl Turn {
    /// Ready when those that were ready before have gone.
    pub(crate) fn poll(&mut self, context: &Context<'_>) -> Poll<()> {
        self.waited = !self.waited;
        if self.waited {
            // A task that wakes itself is put behind all that are ready.
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    };

    use tokio::{runtime::Builder, sync::Notify};

    use super::*;

    /// What runs next is what was woken last only where a worker runs tasks: neither in the task of a test nor in a `LocalSet`.
    #[test]
    fn what_many_tasks_ask_for_is_done_at_once() {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .build()
            .expect("a thread can be started");
        let batches = runtime.block_on(async {
            tokio::spawn(batches_of(10))
                .await
                .expect("it does not panic")
        });
        assert_eq!(batches, [10]);
    }

    /// How many of `count` requests, which are all ready at the same time, a connection saw together each time.
    async fn batches_of(count: usize) -> Vec<usize> {
        let (asked, wake) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
        let batches = Arc::new(Mutex::new(Vec::new()));
        let connection = {
            let (asked, wake, batches) =
                (Arc::clone(&asked), Arc::clone(&wake), Arc::clone(&batches));
            async move {
                let mut seen = 0;
                while seen < count {
                    wake.notified().await;
                    let together = asked.swap(0, Ordering::SeqCst);
                    if together > 0 {
                        batches.lock().expect("no holder panics").push(together);
                    }
                    seen += together;
                }
            }
        };
        let connection = tokio::spawn(gather(connection));
        tokio::task::yield_now().await;
        for _ in 0..count {
            let (asked, wake) = (Arc::clone(&asked), Arc::clone(&wake));
            tokio::spawn(async move {
                asked.fetch_add(1, Ordering::SeqCst);
                wake.notify_one();
            });
        }
        connection.await.expect("it does not panic");
        let batches = batches.lock().expect("no holder panics");
        batches.clone()
    }
}

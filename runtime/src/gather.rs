//! Connections that do at once what all that is ready asks of them.

use std::{future::poll_fn, pin::pin, task::Poll};

/// Runs a connection that many tasks share. Whenever it is woken, it lets the tasks that are ready to run at this moment go first.
///
/// The runtime runs next what the running task wakes. So each request would wake its connection, which would make a system call for this request alone, before the next one is
/// looked at. No clock is involved: a lone request goes through at once.
pub(crate) async fn gather<F: Future>(connection: F) -> F::Output {
    let mut connection = pin!(connection);
    let mut waited = false;
    poll_fn(move |context| {
        waited = !waited;
        if waited {
            // A task that wakes itself is put behind all that are ready.
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        connection.as_mut().poll(context)
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::{
        cell::{Cell, RefCell},
        rc::Rc,
    };

    use tokio::{sync::Notify, task::LocalSet};

    use super::*;

    #[tokio::test]
    async fn what_many_tasks_ask_for_is_done_at_once() {
        let local = LocalSet::new();
        let (asked, batches) = (Rc::new(Cell::new(0)), Rc::new(RefCell::new(Vec::new())));
        let (wake, done) = (Rc::new(Notify::new()), Rc::clone(&batches));
        let connection = {
            let (asked, wake) = (Rc::clone(&asked), Rc::clone(&wake));
            async move {
                loop {
                    wake.notified().await;
                    let together = asked.take();
                    if together > 0 {
                        done.borrow_mut().push(together);
                    }
                }
            }
        };
        local.spawn_local(gather(connection));
        local
            .run_until(async {
                tokio::task::yield_now().await;
                let tasks: Vec<_> = (0..10)
                    .map(|_| {
                        let (asked, wake) = (Rc::clone(&asked), Rc::clone(&wake));
                        tokio::task::spawn_local(async move {
                            asked.set(asked.get() + 1);
                            wake.notify_one();
                        })
                    })
                    .collect();
                for task in tasks {
                    task.await.expect("it does not panic");
                }
                while asked.get() > 0 {
                    tokio::task::yield_now().await;
                }
            })
            .await;
        assert_eq!(*batches.borrow(), [10]);
    }
}

//! The threads of librdkafka.

use std::{io, thread};

use tracing::debug;

use crate::log::LogError;

/// Starts a client by a thread whose policy its own threads take over: they do not interrupt whoever fills their queues.
///
/// A client wakes its thread for the first record of a group. Where that thread is given the core at once, the second record is not there yet: so each record goes in a batch of its own, which costs
/// each broker as much as all of them in one. A thread of `SCHED_BATCH` waits until whoever fills the queue has to wait itself, or has had its time; where there is a free core it goes there, as ever.
pub(super) fn start<C: Send>(
    client: impl FnOnce() -> Result<C, LogError> + Send,
) -> Result<C, LogError> {
    thread::scope(|scope| {
        let started = thread::Builder::new().spawn_scoped(scope, || {
            do_not_interrupt();
            client()
        });
        let started = started.map_err(|source| LogError::Io {
            what: "can't start a thread that starts a client".to_owned(),
            source,
        })?;
        started.join().unwrap_or_else(|_| {
            Err(LogError::Io {
                what: "can't start a client".to_owned(),
                source: io::Error::other("its start panicked"),
            })
        })
    })
}

#[cfg(target_os = "linux")]
fn do_not_interrupt() {
    use thread_priority::{
        NormalThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy,
        set_thread_priority_and_policy, thread_native_id,
    };

    // As the library counts, this is a nice value of 0.
    let as_ever = ThreadPriority::Crossplatform(48.try_into().expect("it is below 100"));
    let policy = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Batch);
    let set = set_thread_priority_and_policy(thread_native_id(), as_ever, policy);
    if let Err(error) = set {
        // It only costs time.
        debug!(
            ?error,
            "the threads of a producer are scheduled as others are"
        );
    }
}

#[cfg(not(target_os = "linux"))]
fn do_not_interrupt() {}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use thread_priority::{
        NormalThreadSchedulePolicy::Batch, ThreadSchedulePolicy, thread_schedule_policy,
    };

    use super::*;
    use crate::log::TopicPartition;

    #[test]
    fn threads_of_a_client_are_those_of_whoever_starts_it() {
        let policy = || thread_schedule_policy().expect("each thread has one");
        let before = policy();
        let started = start(|| Ok(thread::spawn(policy).join().expect("it ends")));
        assert_eq!(started.unwrap(), ThreadSchedulePolicy::Normal(Batch));
        assert_eq!(policy(), before, "only theirs");
        let refused =
            start(|| Err::<(), _>(LogError::UnknownPartition(TopicPartition::new("t", 0))));
        assert!(matches!(refused, Err(LogError::UnknownPartition(_))));
    }
}

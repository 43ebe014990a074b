//! What a process takes from its surroundings without asking for it by a parameter: tasks, chance, and the time of the wall.
//!
//! On a machine that is tokio, the system's random numbers, and its clock. In a simulation (feature `testing`) it is what the [simulated process](crate::testing) has
//! of them whose task is running, so that the very same code runs in both. Logs, coordinators, sockets and depots of snapshots are opened in the same way, each in its own module.
//!
//! All tasks of a node are spawned with [`spawn`], or are wrapped by [`task`] where a set of tasks spawns them.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use tokio::{
    runtime::{Handle, RuntimeFlavor},
    task::JoinHandle,
};
use uuid::Uuid;

#[cfg(feature = "testing")]
use crate::testing::Process;

/// Spawns a task of this process.
pub(crate) fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    tokio::spawn(task(future))
}

/// Makes a future a task of this process, whoever spawns it.
#[cfg(not(feature = "testing"))]
pub(crate) fn task<F: Future>(future: F) -> F {
    future
}

/// Makes a future a task of this process, whoever spawns it.
#[cfg(feature = "testing")]
pub(crate) fn task<F>(future: F) -> futures_util::future::BoxFuture<'static, F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    match Process::current() {
        Some(process) => process.task(future),
        None => Box::pin(future),
    }
}

/// Does what takes a processor for long, on a thread of its own; but where the runtime has one thread for all, on that.
///
/// # Errors
/// If it panicked.
pub(crate) async fn work<F>(future: F) -> Result<F::Output, tokio::task::JoinError>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    if has_one_thread() {
        return spawn(future).await;
    }
    let handle = Handle::current();
    tokio::task::spawn_blocking(move || handle.block_on(future)).await
}

/// Between two pieces of such work: where there is one thread for all, others have a turn.
pub(crate) async fn let_others_work() {
    if has_one_thread() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn has_one_thread() -> bool {
    Handle::current().runtime_flavor() == RuntimeFlavor::CurrentThread
}

/// What hyper spawns tasks with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Executor;

impl<F> hyper::rt::Executor<F> for Executor
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, future: F) {
        drop(spawn(future));
    }
}

/// An id that nothing else has.
pub(crate) fn unique() -> Uuid {
    #[cfg(feature = "testing")]
    if let Some(process) = Process::current() {
        return uuid::Builder::from_random_bytes(process.random().to_le_bytes()).into_uuid();
    }
    Uuid::new_v4()
}

/// The next number of a process that is not simulated.
static NEXT_NUMBER: AtomicU32 = AtomicU32::new(0);

/// The next number of this process. It comes around after 2^32.
pub(crate) fn next_number() -> u32 {
    #[cfg(feature = "testing")]
    if let Some(process) = Process::current() {
        return process.next_number();
    }
    NEXT_NUMBER.fetch_add(1, Ordering::Relaxed)
}

/// Milliseconds since the Unix epoch.
pub(crate) fn now_ms() -> u64 {
    #[cfg(feature = "testing")]
    if let Some(process) = Process::current() {
        return process.now_ms();
    }
    let since = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// How much this process can do at once.
pub(crate) fn processors() -> usize {
    if is_simulated() {
        return 2;
    }
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// Whether the surroundings are a simulation.
pub(crate) fn is_simulated() -> bool {
    #[cfg(feature = "testing")]
    return Process::current().is_some();
    #[cfg(not(feature = "testing"))]
    false
}

/// `tokio::select!`, which looks at its branches in the order in which they are written: chance of which nobody knows the seed has no part in what a node does.
macro_rules! select {
    ($($branches:tt)*) => { ::tokio::select! { biased; $($branches)* } };
}
pub(crate) use select;

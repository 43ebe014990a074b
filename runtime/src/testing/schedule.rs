//! Which task runs next: one of those that are ready, by the seed. So another seed is also another interleaving.
//!
//! Tokio's own order would not do: what wakes many tasks at once (`tokio::sync::watch`) wakes them in an order that nobody can repeat.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
    task::{Poll, Waker},
};

use tokio::time::Instant;
use xxhash_rust::xxh3::Xxh3;

use super::process::{Gate, UNPOISONED};

/// The tasks of a simulation that are ready to run.
pub(crate) struct Schedule(Mutex<State>);

struct State {
    random: fastrand::Rng,
    tasks: u64,
    ready: BTreeMap<u64, Arc<Gate>>,
    start: Instant,
    /// What wakes the one that opens gates.
    opener: Option<Waker>,
    /// All turns so far.
    hash: Xxh3,
}

impl Schedule {
    pub(crate) fn new(random: fastrand::Rng, start: Instant) -> Arc<Self> {
        Arc::new(Self(Mutex::new(State {
            random,
            tasks: 0,
            ready: BTreeMap::new(),
            start,
            opener: None,
            hash: Xxh3::new(),
        })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect(UNPOISONED)
    }

    /// Chance of its own for a part of the simulation.
    pub(crate) fn fork(&self) -> fastrand::Rng {
        self.state().random.fork()
    }

    pub(crate) fn new_task(&self) -> u64 {
        let mut state = self.state();
        state.tasks += 1;
        state.tasks
    }

    /// A task has something to do.
    pub(crate) fn ready(&self, gate: Arc<Gate>) {
        let mut state = self.state();
        state.ready.insert(gate.id, gate);
        if let Some(opener) = &state.opener {
            opener.wake_by_ref();
        }
    }

    /// Some may run now that could not before.
    pub(crate) fn look(&self) {
        if let Some(opener) = &self.state().opener {
            opener.wake_by_ref();
        }
    }

    pub(crate) fn forget(&self, id: u64) {
        // It may hold the last handle of what looks here when it is dropped.
        let gate = self.state().ready.remove(&id);
        drop(gate);
    }

    /// A number that is the same for the same history, and hardly ever for another.
    pub(crate) fn hash(&self) -> u64 {
        self.state().hash.digest()
    }

    /// Opens one gate after the other for as long as the simulation runs.
    pub(crate) async fn run(self: Arc<Self>) {
        std::future::poll_fn(|context| {
            let gate = self.state().next(context.waker());
            if let Some(gate) = gate {
                gate.open();
                // Behind the task that was woken just now.
                context.waker().wake_by_ref();
            }
            Poll::<()>::Pending
        })
        .await;
    }
}

impl State {
    fn next(&mut self, opener: &Waker) -> Option<Arc<Gate>> {
        self.opener = Some(opener.clone());
        let may_run = self.ready.values().filter(|gate| gate.may_run());
        let count = may_run.count();
        if count == 0 {
            return None;
        }
        let turn = self.random.usize(..count);
        let mut may_run = self.ready.values().filter(|gate| gate.may_run());
        let id = may_run.nth(turn).expect("it was counted").id;
        self.hash.update(&id.to_le_bytes());
        let now = self.start.elapsed().as_micros();
        self.hash.update(&now.to_le_bytes());
        self.ready.remove(&id)
    }
}

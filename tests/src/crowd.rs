//! Clients that change things and look at them, until they are told to stop.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::task::JoinSet;

use crate::{Random, insist::PATIENCE};

/// What all clients know.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    stop: Arc<AtomicBool>,
    changes: Arc<AtomicUsize>,
    looks: Arc<AtomicUsize>,
}

impl Tally {
    /// Rests for less than so long: whether the client is to go on.
    pub(crate) async fn goes_on(&self, random: &mut Random, rest_ms_max: u32) -> bool {
        let rest = u64::from(random.below(rest_ms_max));
        tokio::time::sleep(Duration::from_millis(rest)).await;
        !self.stop.load(Ordering::Relaxed)
    }

    /// Something has changed.
    pub(crate) fn changed(&self) {
        self.changes.fetch_add(1, Ordering::Relaxed);
    }

    /// A look was answered.
    pub(crate) fn looked(&self) {
        self.looks.fetch_add(1, Ordering::Relaxed);
    }
}

/// What clients were told, and what must not be.
pub trait Told: Default + Send + 'static {
    /// Adds what another client was told.
    fn add(&mut self, other: Self);
}

/// Clients.
#[derive(Debug)]
pub struct Crowd<T> {
    tally: Tally,
    clients: JoinSet<T>,
}

impl<T: Told> Crowd<T> {
    /// Nobody yet.
    pub(crate) fn new() -> Self {
        Self {
            tally: Tally::default(),
            clients: JoinSet::new(),
        }
    }

    /// What one more client needs to know.
    pub(crate) fn tally(&self) -> Tally {
        self.tally.clone()
    }

    /// Adds a client.
    pub(crate) fn add(&mut self, client: impl Future<Output = T> + Send + 'static) {
        self.clients.spawn(client);
    }

    /// How much has changed, and how many looks were answered.
    #[must_use]
    pub fn so_far(&self) -> (usize, usize) {
        let count = |number: &AtomicUsize| number.load(Ordering::Relaxed);
        (count(&self.tally.changes), count(&self.tally.looks))
    }

    /// Waits until so much has changed, and so many looks were answered, however slow the machine is.
    pub async fn has_seen(&self, changes: usize, looks: usize) {
        let began = Instant::now();
        while self.so_far().0 < changes || self.so_far().1 < looks {
            assert!(began.elapsed() < PATIENCE, "only {:?}", self.so_far());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Lets what is under way end.
    pub async fn stop(mut self) -> T {
        self.tally.stop.store(true, Ordering::Relaxed);
        let mut all = T::default();
        while let Some(told) = self.clients.join_next().await {
            all.add(told.expect("clients do not panic"));
        }
        all
    }
}

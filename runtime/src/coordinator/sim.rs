//! A model of a coordinator that nodes reach over a network, with sessions that end: for simulations.
//!
//! It runs on tokio's clock, and all chance comes from a seed. [`Sim`] is the ensemble, and [`Client`] how one node sees it: late, through a session which ends when nothing was heard of the node for
//! the time-out, and by which the node holds its locks. What a client asks takes its time, is refused as unreachable after a while if the node is cut off, and arrives
//! or does not.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
//! use std::time::Duration;
//! use memgen::coordinator::{Coordinator, sim::{Shared, Sim}};
//!
//! let ensemble = Sim::new(7, Duration::from_secs(6));
//! let node = Shared(ensemble.client());
//! let mut view = node.view();
//! assert!(view.wait_for(|view| view.connected).await.is_ok());
//! # });
//! ```

mod client;
mod ensemble;

use std::{
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use tokio::{sync::watch, time::Instant};

pub use self::client::{Client, Shared};
use self::ensemble::Ensemble;

const UNPOISONED: &str = "nothing panics while it holds this";

/// The ensemble, from outside.
#[derive(Clone, Debug)]
pub struct Sim {
    ensemble: Arc<Mutex<Ensemble>>,
    /// Counts what has changed.
    changed: watch::Sender<u64>,
    session_timeout: Duration,
}

impl Sim {
    /// An ensemble that nobody has joined. The same seed and calls give the same history.
    #[must_use]
    pub fn new(seed: u64, session_timeout: Duration) -> Self {
        Self {
            ensemble: Arc::new(Mutex::new(Ensemble::new(seed, session_timeout))),
            changed: watch::Sender::new(0),
            session_timeout,
        }
    }

    /// The coordinator as one more node sees it. It must be called within a runtime.
    #[must_use]
    pub fn client(&self) -> Arc<Client> {
        Client::start(self.clone())
    }

    /// How long anything may take on its way to or from a node.
    pub fn set_delay_max(&self, delay_max: Duration) {
        self.lock().delay_max = delay_max;
    }

    /// The ensemble's clock goes so many times as fast as those of the nodes: sessions end so much earlier.
    pub fn set_rate(&self, rate: f64) {
        let timeout = self.session_timeout.div_f64(rate);
        self.change(|ensemble| {
            ensemble.timeout = timeout;
            // Whoever waits for the end of a session looks again.
            ensemble.version += 1;
        });
    }

    /// Nothing that a node sends arrives any more, and it hears nothing; or it is as before again.
    pub fn set_cut_off(&self, client: &Client, cut_off: bool) {
        client.set_cut_off(cut_off);
    }

    /// The session of a node ends at once, although it is heard of. The node hears of that first, since others may have its locks afterwards; if it is cut off it can't, so that it keeps
    /// its session until the time-out.
    pub fn expire(&self, client: &Client) {
        if client.is_cut_off() {
            return;
        }
        if let Some(session) = client.session() {
            client.forget_session();
            self.change(|ensemble| ensemble.end(session));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Ensemble> {
        self.ensemble.lock().expect(UNPOISONED)
    }

    /// Does something, once everything that is due has happened, and tells those who watch.
    fn change<T>(&self, change: impl FnOnce(&mut Ensemble) -> T) -> T {
        let (done, version) = {
            let mut ensemble = self.lock();
            ensemble.expire(Instant::now());
            let done = change(&mut ensemble);
            (done, ensemble.version)
        };
        self.changed.send_if_modified(|seen| {
            let changed = *seen != version;
            *seen = version;
            changed
        });
        done
    }
}

#[cfg(test)]
mod tests;

//! The memory of machines in a simulation: there is enough, or none is left.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{Mutex, MutexGuard},
};

use tokio::sync::Notify;

use super::process::UNPOISONED;

/// What a process takes at first that takes too much: more than any machine has.
const TOO_MUCH: u64 = 1 << 40;
/// More than that it never takes.
const MOST: u64 = 1 << 62;

/// The memory of all machines.
#[derive(Default)]
pub(crate) struct Memories {
    state: Mutex<State>,
    /// Somebody has asked for the first time that a machine has none left.
    told: Notify,
}

#[derive(Default)]
struct State {
    is_told: bool,
    /// What the process takes, where there is none left.
    spent: BTreeMap<IpAddr, u64>,
}

impl Memories {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect(UNPOISONED)
    }

    /// A machine has none left, or has it again.
    pub(crate) fn set_full(&self, host: IpAddr, full: bool) {
        let mut state = self.state();
        if !full {
            state.spent.remove(&host);
            return;
        }
        state.spent.entry(host).or_insert(TOO_MUCH);
        state.is_told = true;
        drop(state);
        self.told.notify_waiters();
    }

    /// What the process of a machine takes. Where none is left it is more each time, as if nothing that is freed were of use, so that there is no room although something is deleted.
    pub(crate) fn resident_bytes(&self, host: IpAddr) -> u64 {
        let mut state = self.state();
        let Some(bytes) = state.spent.get_mut(&host) else {
            return 0;
        };
        *bytes = (*bytes + *bytes / 15).min(MOST);
        *bytes
    }

    /// Waits until a test is about memory: others need not look at it all the time.
    pub(crate) async fn told(&self) {
        let told = self.told.notified();
        if !self.state().is_told {
            told.await;
        }
    }
}

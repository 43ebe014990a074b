//! What follows the last batch: each of its keys on its own, and its end (rule 5).
//!
//! The batch says all of it, so nobody waits for them: they go with what is written next, or soon. Before the next batch they are there in any case, since who takes over finds
//! what is missing of the last one alone.

use std::time::Duration;

use tokio::time::Instant;

use super::Running;
use crate::{record::Record, state::State};

/// After so long what nobody waits for goes on its own. Outsiders see the plain values of a batch that much later.
pub(crate) const SOON: Duration = Duration::from_millis(50);

/// Records of this tenure that have yet to be written.
#[derive(Debug, Default)]
pub(super) struct Owed {
    records: Vec<Record>,
    until: Option<Instant>,
}

impl Owed {
    pub(super) const fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// When they go on their own.
    pub(super) fn until(&self) -> Instant {
        self.until.unwrap_or_else(Instant::now)
    }

    pub(super) fn take(&mut self) -> Vec<Record> {
        std::mem::take(&mut self.records)
    }
}

impl<S: State> Running<S> {
    /// Keeps records back that repeat a batch. There are none yet, since a group begins with those that there were.
    pub(super) fn owe(&mut self, records: Vec<Record>) {
        if !records.is_empty() {
            self.owed = Owed {
                records,
                until: Some(Instant::now() + SOON),
            };
        }
    }
}

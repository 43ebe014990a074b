//! What follows the last batch: each of its keys on its own, and its end (rule 5).
//!
//! The batch says all of it, so it is [rest](super::rest). Before the next batch it is there in any case, since who takes over finds what is missing of the last one alone.

use super::{Running, rest::Until};
use crate::{record::Record, state::State};

/// Records of this tenure that have yet to be written.
#[derive(Debug, Default)]
pub(super) struct Owed {
    records: Vec<Record>,
    pub(super) until: Until,
}

impl Owed {
    pub(super) fn take(&mut self) -> Vec<Record> {
        std::mem::take(self).records
    }
}

impl<S: State> Running<S> {
    /// Keeps records back that repeat a batch. There are none yet, since a group begins with those that there were.
    pub(super) fn owe(&mut self, records: Vec<Record>) {
        if !records.is_empty() {
            self.owed.records = records;
            self.owed.until.soon();
        }
    }
}

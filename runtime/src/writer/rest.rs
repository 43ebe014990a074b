//! The rest: what is to be written and nobody waits for. It goes with what is written next, or after a while on its own.

use std::time::Duration;

use tokio::time::Instant;

use super::Running;
use crate::state::State;

/// After so long what others can see goes on its own: outsiders the plain values of a batch, and standbys what is committed.
pub(crate) const SOON: Duration = Duration::from_millis(50);
/// After so long home forgets, on its own, what all others have finished. Until then a new owner would tell them once more.
const FORGET_AFTER: Duration = Duration::from_secs(1);

/// When the rest of one kind goes, if there is any.
#[derive(Debug, Default)]
pub(super) struct Until(pub(super) Option<Instant>);

impl Until {
    /// There is something, which others can see later than they could.
    pub(super) fn soon(&mut self) {
        self.0.get_or_insert_with(|| Instant::now() + SOON);
    }

    /// There is something to be forgotten.
    pub(super) fn at_leisure(&mut self) {
        self.0.get_or_insert_with(|| Instant::now() + FORGET_AFTER);
    }
}

impl<S: State> Running<S> {
    /// Writes what there is before this owner leaves.
    pub(super) fn write_the_last(&mut self) {
        if self.tenure.is_some() {
            let mut group = self.new_group();
            self.give_up_all(&mut group);
            self.append(group);
            self.write_the_rest();
        }
    }

    /// Writes the rest although nothing else is written. What would follow it goes with it, and is no rest once more.
    pub(super) fn write_the_rest(&mut self) {
        if self.tenure.is_some() {
            let mut group = self.new_group();
            group.is_rest = true;
            self.end_done(&mut group);
            self.finish_all(&mut group);
            self.append(group);
        }
    }
}

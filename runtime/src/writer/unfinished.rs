//! Transactions that are known to be committed, and whose writes here are not in the log yet.
//!
//! Home and what is prepared say all of it, so these writes are [rest](super::rest). Until then their keys stay locked, as they were; who wants one of them does not wait for long.

use super::{Running, group::Group, rest::Until};
use crate::{
    mailbox::{Refusal, Slot},
    record::Offset,
    state::State,
    tx::{Attempt, TxId},
};

/// With so many bytes of writes they wait no longer: they are to fit into a group beside others.
const BYTES_MAX: usize = 64 * 1024;

/// A transaction, and who is to be told that it is finished.
#[derive(Debug)]
pub(super) struct Finish {
    pub(super) id: TxId,
    pub(super) attempt: Attempt,
    pub(super) slot: Option<Slot<()>>,
}

impl Finish {
    /// What is to happen once it is in the log.
    pub(super) fn confirmation(self) -> impl FnOnce(Result<Option<Offset>, Refusal>) + Send {
        move |outcome| {
            if let Some(slot) = self.slot {
                drop(slot.send(outcome.map(|_| ())));
            }
        }
    }
}

/// Those of one partition.
#[derive(Debug, Default)]
pub(super) struct Unfinished {
    all: Vec<Finish>,
    bytes: usize,
    pub(super) until: Until,
}

impl Unfinished {
    pub(super) const fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    pub(super) fn take(&mut self) -> Vec<Finish> {
        std::mem::take(self).all
    }
}

impl<S: State> Running<S> {
    /// It is committed.
    pub(super) fn finish(&mut self, finish: Finish, group: &mut Group<S>) {
        let prepared = self.tx.pending.prepared().get(&finish.id);
        let Some(prepared) = prepared.filter(|prepared| prepared.attempt == finish.attempt) else {
            // It was finished before. But an owner that was deposed and does not know it must not say so of what a later one has prepared.
            return self.after_fence(group, finish.confirmation());
        };
        let doubt = self.tx.doubts.get(&(finish.id, finish.attempt));
        let is_wanted = doubt.is_some_and(|doubt| doubt.is_wanted);
        let unfinished = &mut self.tx.unfinished;
        let writes = prepared.writes.iter();
        unfinished.bytes += writes
            .map(|write| write.value.as_ref().map_or(0, |value| value.get().len()))
            .sum::<usize>();
        unfinished.all.push(finish);
        unfinished.until.soon();
        if is_wanted || unfinished.bytes > BYTES_MAX {
            self.finish_all(group);
        }
    }

    /// Writes down what is committed. Whoever waits for its keys goes on.
    pub(super) fn finish_all(&mut self, group: &mut Group<S>) {
        for finish in self.tx.unfinished.take() {
            self.finish_now(finish, group);
        }
    }
}

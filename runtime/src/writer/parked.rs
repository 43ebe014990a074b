//! Parked: commands on keys that a transaction has locked. They hold nothing themselves, so they may wait.

use super::{Running, group::Group};
use crate::{
    mailbox::{Command, Refusal},
    state::State,
    tx::Freed,
};

/// Commands of one partition that may wait for locked keys; beyond it they are refused (503).
const PARKED_MAX: usize = 10_000;

impl<S: State> Running<S> {
    /// The command, if its key is free. Otherwise it waits, behind those that wait already.
    pub(super) fn park(&mut self, command: Command<S>) -> Option<Command<S>> {
        if !self.tx.locks.is_locked(&command.key) {
            return Some(command);
        }
        if self.tx.parked_count >= PARKED_MAX {
            drop(command.slot.send(Err(Refusal::QueueFull)));
            return None;
        }
        self.tx.parked_count += 1;
        let queue = self.tx.parked.entry(command.key.clone());
        queue.or_default().push_back(command);
        None
    }

    /// These keys are free: the commands that waited for them go on, before anyone else gets the keys. Of a range some may have other locks: those wait again.
    pub(super) fn unpark(&mut self, freed: Freed<S::Key>, group: &mut Group<S>) {
        let Freed { mut keys, ranges } = freed;
        for range in &ranges {
            let parked = range.bounds().map(|bounds| self.tx.parked.range(bounds));
            let parked = parked.into_iter().flatten().map(|(key, _)| key);
            keys.extend(parked.filter(|key| range.contains(key)).cloned());
        }
        for key in keys {
            let Some(queue) = self.tx.parked.remove(&key) else {
                continue;
            };
            self.tx.parked_count -= queue.len();
            for command in queue {
                // Of one that nobody waits for any longer nothing has happened.
                if !command.slot.is_closed() {
                    self.decide_command(command, group);
                }
            }
        }
    }

    pub(super) fn refuse_parked(&mut self) {
        self.tx.parked_count = 0;
        for command in std::mem::take(&mut self.tx.parked).into_values().flatten() {
            drop(command.slot.send(Err(Refusal::Moved)));
        }
    }
}

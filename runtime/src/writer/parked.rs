//! Parked: commands on keys that a transaction has locked, or claimed. They hold nothing themselves, so they may wait.

use tokio::time::Instant;

use super::{Running, group::Group};
use crate::{
    key::parse_key,
    mailbox::{Command, Refusal, Slot},
    state::State,
    tx::{Claim, Freed, TxId},
};

/// Commands of one partition that may wait for locked keys; beyond it they are refused (503).
const PARKED_MAX: usize = 10_000;

impl<S: State> Running<S> {
    /// The command, if its key is free. Otherwise it waits, behind those that wait already.
    pub(super) fn park(&mut self, command: Command<S>, group: &mut Group<S>) -> Option<Command<S>> {
        let key = &command.key;
        if self.tx.locks.is_locked(key) {
            self.finish_all(group);
        }
        if !self.tx.locks.is_locked(key) && self.tx.claims.may_have(key, None) {
            return Some(command);
        }
        if self.tx.parked_count >= PARKED_MAX {
            drop(command.slot.send(Err(Refusal::QueueFull)));
            return None;
        }
        self.memory().held().want();
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

    /// Others leave these keys alone for a moment.
    pub(super) fn claim(&mut self, claim: Claim, slot: Slot<()>) {
        let Claim { id, losses, keys } = claim;
        let now = Instant::now();
        // What is no key can't be written either.
        for key in keys.iter().filter_map(|key| parse_key::<S>(key).ok()) {
            self.tx.claims.claim(key, id, losses, now);
        }
        drop(slot.send(Ok(())));
    }

    /// The transaction has its locks, or is over.
    pub(super) fn release(&mut self, id: TxId, group: &mut Group<S>) {
        if !self.tx.claims.is_empty() {
            let keys = self.tx.claims.release(id);
            let ranges = Vec::new();
            self.unpark(Freed { keys, ranges }, group);
        }
    }

    /// Ends claims that have lasted long enough.
    pub(super) fn expire_claims(&mut self) {
        if self.tx.claims.is_empty() || self.tenure.is_none() {
            return;
        }
        let keys = self.tx.claims.expire(Instant::now());
        if !keys.is_empty() {
            let mut group = self.new_group();
            let ranges = Vec::new();
            self.unpark(Freed { keys, ranges }, &mut group);
            self.append(group);
        }
    }

    pub(super) fn refuse_parked(&mut self) {
        self.tx.parked_count = 0;
        for command in std::mem::take(&mut self.tx.parked).into_values().flatten() {
            drop(command.slot.send(Err(Refusal::Moved)));
        }
    }
}

//! Tenure: taking over, rolling forward, repairing, and looking after an idle log.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;

use super::{Order, Phase, Running, group::Group};
use crate::{
    ambient::now_ms,
    broken::{Bug, is_broken},
    mailbox::Refusal,
    memory::{Change, Changes, UNKNOWN},
    record::{BATCH_KEY, FENCE_KEY, Kind, Offset, RESERVED_KEY_PREFIX, Record},
    replica::ReplayError,
    state::State,
    takeover::{TakeoverError, take_over},
    tx::Pending,
};

/// How often a writer that took over looks whether its lease was renewed.
const LEASE_POLL: Duration = Duration::from_millis(5);

impl<S: State> Running<S> {
    /// Makes sure that jobs can be decided: there is a tenure, and the lock was held after its barrier had landed.
    ///
    /// A barrier without the lock, as of a process that was paused or that resolves an unknown outcome, may depose a node that has the lock and answers reads by its
    /// lease. So nothing new may be acknowledged under it. Where the lock was held later than the barrier, whoever gets it next finds all that was acknowledged.
    pub(super) async fn ensure_tenure(&mut self) -> Result<Result<(), Refusal>, ReplayError> {
        if self.tenure.is_none()
            && let Err(refusal) = self.try_take_over(|_, _, _| ()).await?
        {
            return Ok(Err(refusal));
        }
        if !self.nominated && !self.has_lock().await {
            self.tenure = None;
            self.drop_speculation();
            return Ok(Err(Refusal::Moved));
        }
        self.nominated = true;
        self.phase.send_if_modified(|phase| {
            let begins = matches!(phase, Phase::Starting | Phase::Reading);
            if begins {
                *phase = Phase::Serving;
            }
            begins
        });
        Ok(Ok(()))
    }

    /// Whether the lock is held. A lease that lapsed may be renewed, so this waits until that is known.
    async fn has_lock(&mut self) -> bool {
        while !self.lock.holds() {
            if self.lock.is_lost()
                || *self.orders.borrow() != Order::Serve
                || self.inbox.is_closed()
            {
                return false;
            }
            tokio::time::sleep(LEASE_POLL).await;
        }
        true
    }

    /// Takes over, rolls a torn batch forward (rule 5) and repairs (rule 6).
    pub(super) async fn try_take_over(
        &mut self,
        seen: impl FnMut(Offset, &Record, bool),
    ) -> Result<Result<(), Refusal>, ReplayError> {
        let taken = take_over(
            &mut self.replica,
            self.incarnation,
            &mut self.epoch,
            self.schema,
            seen,
        );
        match taken.await {
            Ok(tenure) => {
                let epoch = i64::try_from(tenure.ballot.epoch).unwrap_or(i64::MAX);
                self.metrics.epoch.set(epoch);
                self.metrics.takeovers.inc();
                let now = i64::try_from(now_ms() / 1000).unwrap_or(i64::MAX);
                self.metrics.taken_over.set(now);
                self.tenure = Some(tenure);
                self.nominated = false;
                // It is found again among what is torn.
                drop(self.owed.take());
                self.take_up_transactions();
                let mut torn = self.replica.fold.torn().clone();
                if is_broken(Bug::NoRollForward) {
                    torn.clear();
                }
                self.metrics.rolled_forward.inc_by(torn.len() as u64);
                let is_open = self.replica.fold.has_open_batch();
                let mut group = self.rewrite(torn, Kind::FollowUp);
                group.batched = is_open;
                self.append(group);
                self.repair();
                Ok(Ok(()))
            }
            Err(TakeoverError::Full(what)) => Ok(Err(Refusal::Full(what))),
            Err(TakeoverError::Refused(what)) => Ok(Err(Refusal::Unavailable(what))),
            Err(TakeoverError::Replay(error)) => Err(error),
        }
    }

    /// Takes in what others appended while this owner wrote nothing.
    ///
    /// Where the log may lose its tail, what this one wrote is read back first. If it is not to be had, another record is written: its place shows whether it is lost.
    pub(super) async fn look_at_the_end(&mut self) -> Result<(), ReplayError> {
        self.replica.read_back().await?;
        let Some(tenure) = &self.tenure else {
            if *self.phase.borrow() == Phase::Reading {
                self.replica.catch_up(None, |_, _, _| ()).await?;
            }
            return Ok(());
        };
        let (ballot, expected) = (tenure.ballot, tenure.next);
        if !self.in_flight.is_empty() {
            return Ok(());
        }
        self.vain = if self.replica.tail() > 0 {
            self.vain.saturating_add(1)
        } else {
            0
        };
        // Less and less often: replicas may be away for long.
        if self.vain.is_power_of_two() {
            let mut group = self.new_group();
            let fence = self.record(Kind::Fence, Bytes::from_static(FENCE_KEY), None);
            self.push(&mut group, fence, Changes::None);
            self.append(group);
        }
        if self.vain > 0 {
            return Ok(());
        }
        self.replica.catch_up(None, |_, _, _| ()).await?;
        if self.replica.fold.ballot() > ballot {
            self.deposed(Vec::new());
            return Ok(());
        }
        if self.replica.may_lose_its_tail() && self.replica.fold.next() != expected {
            // Nothing of this ballot counts behind records of others. The next barrier is followed by what does.
            self.tenure = None;
            return self.try_take_over(|_, _, _| ()).await.map(drop);
        }
        if let Some(tenure) = &mut self.tenure {
            tenure.next = self.replica.fold.next();
        }
        Ok(())
    }

    /// Appends again what a stale record may hide from compaction (rule 6), in order with the other writes.
    pub(super) fn repair(&mut self) {
        if self.tenure.is_none() || is_broken(Bug::NoRepair) {
            return;
        }
        let dirty = self.replica.fold.dirty();
        if dirty.is_empty() {
            self.repairs.clear();
            return;
        }
        self.repairs.retain(|key| dirty.contains(key));
        let new: Vec<_> = dirty.difference(&self.repairs).cloned().collect();
        if new.is_empty() {
            return;
        }
        self.metrics.repairs.inc_by(new.len() as u64);
        self.repairs.extend(new.iter().cloned());
        let group = self.rewrite(new, Kind::Data);
        self.append(group);
    }

    /// A group that writes the current values of `keys` once more; those of which the log says more than this build does as they are there.
    pub(super) fn rewrite(
        &mut self,
        keys: impl IntoIterator<Item = Bytes>,
        kind: Kind,
    ) -> Group<S> {
        let mut group = self.new_group();
        for key in keys {
            if key.first() == Some(&RESERVED_KEY_PREFIX) {
                self.rewrite_own(&mut group, key, kind);
                continue;
            }
            // A key that outsiders wrote and that is none of this state has no value to protect.
            let Ok(Change { key: typed, .. }) =
                Change::decode(&self.replica.readers, UNKNOWN, 0, &key, None)
            else {
                continue;
            };
            let now = self.look(&typed);
            let written = self.written(&typed);
            let (record, stored) = if let Some(written) = &written {
                let mut record = self.record(kind, key, Some(written.value.clone()));
                record.schema = written.schema;
                (record, now)
            } else {
                let again = now.map(|stored| {
                    self.encode(&stored.state)
                        .expect("an entity in memory was encoded before")
                });
                let (stored, value) = again.unzip();
                (self.record(kind, key, value), stored.map(Arc::new))
            };
            let change = Change {
                key: typed,
                offset: UNKNOWN,
                stored,
                written,
            };
            self.push(&mut group, record, Changes::One(change));
        }
        group
    }

    /// Writes the value of a key of memgen's own once more.
    fn rewrite_own(&mut self, group: &mut Group<S>, key: Bytes, kind: Kind) {
        if key == BATCH_KEY {
            // Last of all: before it everything that the batch changed is there on its own.
            group.batched = true;
        } else if Pending::keeps(&key) {
            let (value, schema) = self.tx.pending.value(&key).unzip();
            let mut record = self.record(kind, key, value);
            record.schema = schema.unwrap_or(self.schema);
            self.push(group, record, Changes::None);
        }
    }
}

//! Settle: what the log says of a group -> memory and replies (rules 3 and 4).

use std::{collections::VecDeque, time::Duration};

use tracing::warn;

use super::{
    Running,
    group::{Group, Waiting},
};
use crate::{
    broken::{Bug, is_broken},
    log::{AppendError, Offsets, Receipt},
    mailbox::Refusal,
    record::{Ballot, Offset, Record},
    replica::ReplayError,
    state::State,
    takeover::Tenure,
};

/// How long a writer that lost its tenure for an unknown reason waits between tries, doubled up to a second.
const RETRY_MIN: Duration = Duration::from_millis(10);

impl<S: State> Running<S> {
    /// The log acknowledged the oldest group in flight: check rule 3, apply, reply.
    pub(super) async fn acknowledge(&mut self, offsets: &Offsets) -> Result<(), ReplayError> {
        if let Some(doubt) = self.doubt(offsets)? {
            // What is on its way lands before the next barrier, so that it does not come between what counts then.
            for (_, receipt) in self.in_flight.iter_mut().skip(1) {
                drop(receipt.await);
            }
            return self.fail(&AppendError::Unknown(doubt)).await;
        }
        let (group, _) = self
            .in_flight
            .pop_front()
            .expect("a receipt belongs to a group");
        debug_assert_eq!(offsets.len(), group.records.len());
        let Group {
            number,
            records,
            changes,
            waiting,
            started,
            sent,
            ..
        } = group;
        let mut waiting = waiting.into_iter().peekable();
        let mut given = Vec::with_capacity(records.len());
        for ((record, changes), &offset) in records.iter().zip(changes).zip(offsets) {
            let tenure = self
                .tenure
                .as_mut()
                .expect("acknowledged groups have a tenure");
            if offset != tenure.next {
                self.metrics.gaps.inc();
                let ballot = tenure.ballot;
                self.replica.catch_up(Some(offset), |_, _, _| ()).await?;
                if self.replica.fold.ballot() > ballot {
                    let rest: Vec<_> = waiting.collect();
                    self.deposed(rest);
                    return Ok(());
                }
            }
            let tenure = self.tenure.as_mut().expect("it was there above");
            tenure.next = offset + 1;
            for change in changes.as_slice() {
                if let Some(last) = self.speculation.get(&change.key)
                    && (last.group, last.record) == (number, given.len())
                {
                    self.speculation.remove(&change.key);
                }
            }
            self.replica.step_own(offset, record, changes)?;
            given.push(offset);
            if let Some(answered) = &record.answered {
                self.pending_replies.remove(&answered.id);
            }
            while let Some(next) = waiting.next_if(|next| next.after <= given.len()) {
                next.reply.send(Some(given[next.record]));
            }
        }
        // Whatever others had written until then was read.
        self.replica.is_current_as_of(sent);
        self.metrics
            .commit_seconds
            .observe(started.elapsed().as_secs_f64());
        Ok(())
    }

    /// Where the log may lose its tail: why the oldest group in flight, which has these offsets, may not count. A leader that was replaced and does not know it yet acknowledges as
    /// ever, so that only who has the lease may believe it; and a record counts at the place that it names alone.
    ///
    /// # Errors
    /// [`ReplayError::LostTail`] if they show that it has.
    fn doubt(&self, offsets: &Offsets) -> Result<Option<String>, ReplayError> {
        let Some(tenure) = &self.tenure else {
            return Ok(None);
        };
        if !self.replica.may_lose_its_tail() {
            return Ok(None);
        }
        let mut places = offsets.iter().zip(tenure.next..);
        match places.find(|(offset, place)| **offset != *place) {
            Some((offset, place)) if *offset < place => Err(self.replica.lost_its_tail(*offset)),
            Some(_) => {
                self.metrics.gaps.inc();
                Ok(Some("records of others lie between".to_owned()))
            }
            None if !self.lock.holds() => Ok(Some("the lease has lapsed".to_owned())),
            None => Ok(None),
        }
    }

    /// A higher ballot is in the log: nothing that lies behind it counts, and nothing in flight ever will.
    pub(super) fn deposed(&mut self, rest: Vec<Waiting>) {
        warn!(partition = %self.replica.partition, "another owner took over");
        self.metrics.deposed.inc();
        let refusal = Refusal::Moved;
        self.tenure = None;
        for waiting in rest {
            waiting.reply.refuse(refusal.clone());
        }
        for (group, _) in self.drop_speculation() {
            for waiting in group.waiting {
                waiting.reply.refuse(refusal.clone());
            }
        }
    }

    /// The oldest group in flight has no offsets, so none behind it has (rule 2 of the log's contract). Find out what
    /// happened, never guess (rule 4).
    pub(super) async fn fail(&mut self, error: &AppendError) -> Result<(), ReplayError> {
        let groups = self.drop_speculation();
        let tenure = self.tenure.take().expect("groups in flight have a tenure");
        let refusal = match error {
            AppendError::Full(what) => Refusal::Full(what.clone()),
            // Perhaps it does not refuse a new producer: the next job finds out.
            AppendError::Refused(what) => Refusal::Undone(what.clone()),
            AppendError::Unknown(what) if is_broken(Bug::Guess) => Refusal::Undone(what.clone()),
            AppendError::Unknown(what) => {
                warn!(partition = %self.replica.partition, what, "outcome unknown, taking over again");
                self.metrics.unknown.inc();
                let Tenure {
                    producer,
                    ballot,
                    next,
                } = tenure;
                drop(producer);
                return self.resolve(groups, ballot, next).await;
            }
        };
        warn!(partition = %self.replica.partition, %error, "writes refused");
        for (group, _) in groups {
            for waiting in group.waiting {
                waiting.reply.refuse(refusal.clone());
            }
        }
        Ok(())
    }

    /// Takes over with a new ballot. What lies before the new barrier happened; what does not, never will. What landed of one
    /// producer is a prefix of what it sent, so counting its records says which.
    pub(super) async fn resolve(
        &mut self,
        groups: VecDeque<(Group<S>, Receipt)>,
        ballot: Ballot,
        next: Offset,
    ) -> Result<(), ReplayError> {
        let mut landed = Vec::new();
        let mut count = |offset, record: &Record, counts| {
            if record.ballot == ballot && offset >= next && counts {
                landed.push(offset);
            }
        };
        let mut backoff = RETRY_MIN;
        let refusal = loop {
            self.replica.catch_up(None, &mut count).await?;
            if self.replica.fold.ballot() > ballot && !self.lock.holds() {
                // The barrier of another owner says as much as one of ours, and that one is left alone.
                self.metrics.deposed.inc();
                break Refusal::Moved;
            }
            let outcome = self.try_take_over(&mut count).await?;
            match outcome {
                Ok(()) => {
                    break Refusal::Undone("the write did not happen; try again".to_owned());
                }
                // Without a barrier nobody can say; the log will take one, or the process ends.
                Err(refusal) => {
                    warn!(partition = %self.replica.partition, ?refusal, "still without an owner");
                    if self.inbox.is_closed() {
                        break refusal;
                    }
                    tokio::time::sleep(backoff).await;
                    backoff = (backoff * 2).min(Duration::from_secs(1));
                }
            }
        };
        let mut rest = landed.as_slice();
        for (group, _) in groups {
            let (mine, others) = rest.split_at(rest.len().min(group.records.len()));
            rest = others;
            for waiting in group.waiting {
                if waiting.after <= mine.len() {
                    waiting.reply.send(Some(mine[waiting.record]));
                } else {
                    waiting.reply.refuse(refusal.clone());
                }
            }
        }
        Ok(())
    }

    pub(super) fn drop_speculation(&mut self) -> VecDeque<(Group<S>, Receipt)> {
        if !is_broken(Bug::KeepSpeculation) {
            self.speculation.clear();
        }
        self.pending_replies.clear();
        self.repairs.clear();
        // The next tenure finds out by itself.
        drop(self.owed.take());
        self.drop_transactions();
        std::mem::take(&mut self.in_flight)
    }
}

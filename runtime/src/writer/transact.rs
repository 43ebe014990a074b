//! Home: a transaction is checked, and written where it concerns this partition alone; else it is [led](super::lead).

use std::sync::Arc;

use axum::http::StatusCode;
use bytes::Bytes;
use tokio::time::Instant;

use super::{
    Running,
    group::{Group, Reply},
    once::Known,
    part::PARTICIPANT_BYTES,
};
use crate::{
    batch,
    key::key_text,
    mailbox::{Refusal, RequestId, Slot},
    memory::{Change, Changes},
    record::{BATCH_KEY, FENCE_KEY, Kind, REPLY_KEY},
    state::State,
    stream::{Emitted, Taking},
    tx::{Commit, Committed, Never, Pending},
};

/// What is written at once.
pub(super) struct Writing<S: State> {
    pub(super) changes: Vec<(Change<S>, Option<Bytes>)>,
    /// Keys of memgen's own that change with them.
    pub(super) own: Vec<(Bytes, Option<Bytes>)>,
    /// The layout of the values.
    pub(super) schema: u64,
    pub(super) answers: Option<(RequestId, Bytes)>,
}

impl<S: State> Running<S> {
    #[allow(
        clippy::too_many_lines,
        reason = "one decision, from the question to the record"
    )]
    pub(super) fn commit(
        &mut self,
        commit: Arc<Commit>,
        slot: Slot<Committed>,
        group: &mut Group<S>,
    ) {
        if let Some(request) = &commit.request
            && let Some(known) = self.known_by_now(request, group)
        {
            return self.commit_again(known, slot, group);
        }
        let Some((commit, slot)) = self.join(commit, slot, group) else {
            return;
        };
        if let Some(taking) = &commit.taking {
            // What is committed, and not written yet, may be what took it in.
            self.finish_all(group);
            if self.has_taken(taking) {
                return self.wait(group, None, taken_already(slot));
            }
        }
        let emitted = match self.may_emit(commit.emitted.clone()) {
            Ok(emitted) => emitted,
            Err(problem) if problem.status() == StatusCode::SERVICE_UNAVAILABLE => {
                return drop(slot.send(Err(Refusal::QueueFull)));
            }
            Err(problem) => {
                let never = Never::Wrong(problem.detail().to_owned());
                return drop(slot.send(Ok(Committed::Never(never))));
            }
        };
        let own = match self.typed(&commit.own) {
            Ok(own) => own,
            Err(never) => return drop(slot.send(Ok(Committed::Never(never)))),
        };
        let began = Instant::now();
        if commit.run > 0 {
            self.metrics.tx_retries.inc();
        }
        let mut checked = self.check(commit.id, &own);
        if checked.is_err() {
            // What is in its way may be over.
            self.finish_all(group);
            checked = self.check(commit.id, &own);
        }
        if let Err(what) = checked {
            self.memory().held().want();
            self.metrics.tx_conflicts.inc();
            return drop(slot.send(Ok(Committed::Conflict(what))));
        }
        let emitted_bytes: usize = emitted.iter().map(Emitted::bytes).sum();
        let bytes = own.bytes()
            + commit.reply.len()
            + commit.others.len() * PARTICIPANT_BYTES
            + emitted_bytes;
        if bytes > self.record_bytes_max {
            let never = Never::TooLong(self.record_bytes_max);
            return drop(slot.send(Ok(Committed::Never(never))));
        }
        if commit.others.is_empty() {
            let (id, request, reply) = (commit.id, commit.request.clone(), commit.reply.clone());
            let does = !own.writes.is_empty() || !emitted.is_empty() || commit.taking.is_some();
            // One without writes gives up what was asked for before.
            let done = does.then(|| self.will_be_committed(began));
            let writing = Writing {
                changes: own.writes,
                own: self.own_of(emitted, commit.taking.clone()),
                schema: self.schema,
                answers: request.map(|request| (request, reply.clone())),
            };
            let answer = Reply::Then(Box::new(move |outcome| {
                if let (Ok(_), Some(done)) = (&outcome, done) {
                    done();
                }
                drop(slot.send(outcome.map(|offset| Committed::Yes(offset, reply))));
            }));
            self.write(group, writing, answer);
            return self.release(id, group);
        }
        self.lead(&commit, &own, emitted, slot, group);
    }

    /// What is known of a request, when what is committed is written.
    pub(super) fn known_by_now(
        &mut self,
        request: &RequestId,
        group: &mut Group<S>,
    ) -> Option<Known> {
        let prepared = self.tx.requests.get(&request.id);
        if prepared.is_some_and(|id| !self.tx.runs.contains_key(id)) {
            self.finish_all(group);
        }
        self.known(request)
    }

    /// What counts a transaction once it is committed.
    pub(super) fn will_be_committed(&self, began: Instant) -> impl FnOnce() + Send + use<S> {
        let metrics = &self.metrics;
        let (committed, seconds) = (metrics.tx_committed.clone(), metrics.tx_seconds.clone());
        move || {
            committed.inc();
            seconds.observe(began.elapsed().as_secs_f64());
        }
    }

    /// What a transaction changes beside entities: the outbox, and how far an input was taken in.
    pub(super) fn own_of(
        &mut self,
        emitted: Vec<Emitted>,
        taking: Option<Taking>,
    ) -> Vec<(Bytes, Option<Bytes>)> {
        let mut own = Vec::new();
        if let Some(taking) = taking {
            self.metrics.events.inc();
            own.push(self.reach(&taking.input, &taking.reached));
        }
        if !emitted.is_empty() {
            own.push(self.emission(emitted));
        }
        own
    }

    fn commit_again(&mut self, known: Known, slot: Slot<Committed>, group: &mut Group<S>) {
        match known {
            Known::Differs => drop(slot.send(Ok(Committed::Never(Never::Differs)))),
            Known::Done(reply, offset) => {
                drop(slot.send(Ok(Committed::Yes(Some(offset), reply))));
            }
            Known::InFlight {
                group: number,
                record,
                reply,
            } => {
                let answer = Reply::Then(Box::new(move |outcome| {
                    drop(slot.send(outcome.map(|offset| Committed::Yes(offset, reply))));
                }));
                self.wait_for(group, number, record, answer);
            }
        }
    }

    /// Lets something happen when a record that is written now is acknowledged: then this was the owner all the while, and knew all.
    pub(super) fn after_fence(
        &mut self,
        group: &mut Group<S>,
        then: impl FnOnce(Result<Option<u64>, Refusal>) + Send + 'static,
    ) {
        let fence = self.record(Kind::Fence, Bytes::from_static(FENCE_KEY), None);
        let index = self.push(group, fence, Changes::None);
        self.wait(group, Some(index), Reply::Then(Box::new(then)));
    }

    /// Deletes the value of a key of memgen's own. The record's place in the group.
    pub(super) fn end_own(&mut self, key: Bytes, group: &mut Group<S>) -> usize {
        self.tx.note(&key, None);
        let record = self.record(Kind::Data, key, None);
        self.push(group, record, Changes::None)
    }

    /// Writes several keys at once: as a batch, and then each on its own, so that compaction works (rule 5). One key alone is a plain record.
    pub(super) fn write(&mut self, group: &mut Group<S>, writing: Writing<S>, answer: Reply) {
        let Writing {
            changes,
            own,
            schema,
            answers,
        } = writing;
        let text = |change: &Change<S>| Bytes::from(key_text::<S>(&change.key));
        let entries = changes.iter().map(|(change, value)| batch::Change {
            key: text(change),
            value: value.clone(),
        });
        let own = own
            .into_iter()
            .map(|(key, value)| batch::Change { key, value });
        let entries: Vec<_> = entries.chain(own).collect();
        let changes: Vec<_> = changes.into_iter().map(|(change, _)| change).collect();
        let changes = if changes.is_empty() {
            Changes::None
        } else {
            Changes::Many(changes)
        };
        let mut record = match entries.as_slice() {
            [] if answers.is_none() => return self.wait(group, None, answer),
            [] => self.record(Kind::Reply, Bytes::from_static(REPLY_KEY), None),
            [one] => self.record(Kind::Data, one.key.clone(), one.value.clone()),
            all => {
                let value = batch::encode(all);
                self.record(Kind::Batch, Bytes::from_static(BATCH_KEY), Some(value))
            }
        };
        record.schema = schema;
        let index = match answers {
            None => self.push(group, record, changes),
            Some((request, reply)) => self.push_answered(group, record, changes, &request, reply),
        };
        // The record is the whole of it: what follows only repeats it.
        self.wait(group, Some(index), answer);
        if entries.len() > 1 {
            for batch::Change { key, value } in entries {
                let mut record = self.record(Kind::FollowUp, key, value);
                record.schema = schema;
                self.push(group, record, Changes::None);
            }
            group.batched = true;
        }
    }
}

/// Says that an event had been taken in before, once that is durable.
fn taken_already(slot: Slot<Committed>) -> Reply {
    Reply::Then(Box::new(move |outcome| {
        drop(slot.send(outcome.map(|_| Committed::Taken)));
    }))
}

impl<S: State> super::tx::Transactions<S> {
    /// A record in flight sets the value of this key of memgen's own, or deletes it.
    pub(super) fn note(&mut self, key: &Bytes, value: Option<&Bytes>) {
        debug_assert!(Pending::keeps(key));
        self.pending
            .set(key, value, 0)
            .expect("it was encoded just now");
        drop(self.pending.take_news());
    }
}

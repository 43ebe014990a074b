//! Participant: this partition takes part in a transaction that another one decides.

use bytes::Bytes;
use tracing::error;

use super::{
    Running,
    group::{Group, Reply},
    part::TypedPart,
    transact::Writing,
    unfinished::Finish,
};
use crate::{
    broken::{Bug, is_broken},
    key::parse_key,
    mailbox::{Refusal, Slot},
    memory::{Change, Changes, UNKNOWN},
    record::Kind,
    state::State,
    tx::{
        Attempt, Decided, Never, Poll, Prepare, Prepared, TxId, Vote, decided_key, floor_key,
        prepared_key,
    },
};

/// Transactions that may be prepared at once in one partition; beyond it they are told to try again.
const PREPARED_MAX: usize = 10_000;

/// A record is longer than the log takes.
pub(super) struct TooLong;

impl<S: State> Running<S> {
    /// Locks what the transaction read and wrote here, and writes that down: from now on this partition can finish it, whoever owns it then.
    pub(super) fn prepare(&mut self, prepare: Prepare, slot: Slot<Vote>, group: &mut Group<S>) {
        let Prepare {
            id,
            attempt,
            home,
            part,
        } = prepare;
        self.finish_all(group);
        // First this: what is prepared may be committed, by an owner of home that has asked for it.
        if self
            .tx
            .pending
            .is_below_floor(&home, attempt.ballot().into())
        {
            let what = "home has another owner, who has asked what is prepared".to_owned();
            return drop(slot.send(Ok(Vote::No(what))));
        }
        if let Some(before) = self.tx.pending.prepared().get(&id) {
            if before.attempt >= attempt {
                let what = "a later attempt of this transaction is prepared".to_owned();
                return drop(slot.send(Ok(Vote::No(what))));
            }
            // Home is at a newer attempt, so the older one is dead.
            self.end_prepared(id, group);
        }
        if self.tx.pending.prepared().len() >= PREPARED_MAX {
            let what = "too many transactions are prepared in this partition".to_owned();
            return drop(slot.send(Ok(Vote::No(what))));
        }
        let typed = match self.typed(&part) {
            Ok(typed) => typed,
            Err(Never::Wrong(what)) => return drop(slot.send(Ok(Vote::Wrong(what)))),
            Err(Never::TooLong(bytes)) => return drop(slot.send(Ok(Vote::TooLong(bytes)))),
            Err(Never::Full(what)) => return drop(slot.send(Ok(Vote::Full(what)))),
            Err(Never::Differs) => unreachable!("a part has no id of a request"),
        };
        if let Err(what) = self.check(id, &typed) {
            self.memory().held().want();
            return drop(slot.send(Ok(Vote::No(what))));
        }
        let prepared = Prepared {
            attempt,
            home,
            reads: part.reads.into_iter().map(|read| read.key).collect(),
            ranges: part.lists.into_iter().map(|list| list.range).collect(),
            writes: typed.as_written(),
            lead: None,
            schema: self.schema,
        };
        let Ok(index) = self.write_prepared(id, prepared, &typed, group) else {
            return drop(slot.send(Ok(Vote::TooLong(self.record_bytes_max))));
        };
        let answer = Reply::Then(Box::new(move |outcome| {
            drop(slot.send(outcome.map(|_| Vote::Yes)));
        }));
        self.wait(group, Some(index), answer);
    }

    /// Locks what is prepared, and writes it down. The record's place in the group.
    ///
    /// # Errors
    /// If it, or what is to follow it, is longer than the log takes. Then nothing happened.
    pub(super) fn write_prepared(
        &mut self,
        id: TxId,
        prepared: Prepared,
        typed: &TypedPart<S>,
        group: &mut Group<S>,
    ) -> Result<usize, TooLong> {
        let (key, value) = (prepared_key(id), prepared.encode());
        if key.len() + value.len().max(typed.bytes()) > self.record_bytes_max {
            return Err(TooLong);
        }
        self.tx.pending.prepare(id, prepared);
        drop(self.tx.pending.take_news());
        let (reads, ranges) = (typed.read_keys(), typed.ranges());
        self.tx.locks.lock(id, reads, ranges, typed.written_keys());
        self.release(id, group);
        let record = self.record(Kind::Data, key, Some(value));
        Ok(self.push(group, record, Changes::None))
    }

    /// A new owner of home asks. Whatever it is told is so for good: of those before it nothing is prepared any more, neither what is not yet, nor a later attempt in the place of what is.
    pub(super) fn poll(&mut self, poll: &Poll, slot: Slot<bool>, group: &mut Group<S>) {
        let Poll {
            id,
            attempt,
            home,
            floor,
        } = poll;
        let prepared = self.tx.pending.prepared().get(id);
        let is_prepared = prepared.is_some_and(|prepared| prepared.attempt == *attempt);
        let is_late = is_prepared && is_broken(Bug::LateFloor);
        let has_floor = self.tx.pending.is_at_floor(home, *floor) || is_broken(Bug::NoFloor);
        if !(has_floor || is_late) {
            let (key, value) = (floor_key(home), floor.encode());
            self.tx.note(&key, Some(&value));
            let record = self.record(Kind::Data, key, Some(value));
            self.push(group, record, Changes::None);
        }
        // A deposed owner that does not know it yet knows nothing of what was prepared after it.
        self.after_fence(group, move |outcome| {
            drop(slot.send(outcome.map(|_| is_prepared)));
        });
    }

    /// Writes down a transaction that is committed: its writes, and the end of what was prepared, in one.
    pub(super) fn finish_now(&mut self, finish: Finish, group: &mut Group<S>) {
        let (id, attempt) = (finish.id, finish.attempt);
        let confirm = finish.confirmation();
        let prepared = self.tx.pending.prepared().get(&id);
        let Some(prepared) = prepared.filter(|prepared| prepared.attempt == attempt) else {
            // Home has said it twice.
            return self.after_fence(group, confirm);
        };
        let prepared = prepared.clone();
        if let Some(request) = prepared
            .lead
            .as_ref()
            .and_then(|lead| lead.request.as_ref())
        {
            self.tx.requests.remove(&request.id);
        }
        let changes = prepared.writes.iter().map(|write| {
            let key = write.key.clone().into();
            let value = write.value.as_ref();
            let value = value.map(|value| Bytes::copy_from_slice(value.get().as_bytes()));
            let here = write.stored.clone();
            let change = if let Some(stored) = here.and_then(|stored| stored.downcast().ok()) {
                Change {
                    key: parse_key::<S>(&write.key).map_err(|error| error.to_string())?,
                    offset: UNKNOWN,
                    stored: Some(stored),
                    written: None,
                }
            } else {
                // It was prepared by another owner, or deletes.
                let readers = &self.replica.readers;
                Change::decode(readers, UNKNOWN, prepared.schema, &key, value.as_ref())?
            };
            Ok((change, value))
        });
        let changes = match changes.collect::<Result<Vec<_>, String>>() {
            Ok(changes) => changes,
            Err(what) => {
                // It was read when it was prepared, maybe by a newer build. It stays in doubt, and its keys locked.
                error!(partition = %self.replica.partition, %id, what, "can't read what is prepared");
                return confirm(Err(Refusal::Unavailable(what)));
            }
        };
        let key = prepared_key(id);
        self.tx.note(&key, None);
        let (mut own, mut answers) = (vec![(key, None)], None);
        if let Some(lead) = prepared.lead.clone() {
            // It is home's: now the others may finish.
            let decided = Decided {
                attempt,
                participants: lead.others,
            };
            own.extend(self.own_of(lead.emitted, lead.taking));
            own.push((decided_key(id), Some(decided.encode())));
            self.tx.pending.decide(id, decided);
            answers = lead.request.map(|request| (request, lead.reply));
        }
        let writing = Writing {
            changes,
            own,
            schema: prepared.schema,
            answers,
        };
        self.write(group, writing, Reply::Then(Box::new(confirm)));
        let free = self.tx.locks.unlock(id);
        self.unpark(free, group);
    }

    /// It is given up.
    pub(super) fn abort(&mut self, id: TxId, attempt: Attempt, group: &mut Group<S>) {
        let prepared = self.tx.pending.prepared().get(&id);
        let is_it = |attempt_held: Attempt| attempt_held == attempt || is_broken(Bug::NoAttempt);
        if prepared.is_some_and(|prepared| is_it(prepared.attempt)) {
            self.end_prepared(id, group);
        }
    }

    /// The end of what is prepared; its place in the group.
    pub(super) fn end_prepared(&mut self, id: TxId, group: &mut Group<S>) -> usize {
        let index = self.end_own(prepared_key(id), group);
        let free = self.tx.locks.unlock(id);
        self.unpark(free, group);
        index
    }
}

//! Decide: command + memory + what is in flight -> record + reply.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use axum::{
    http::header,
    response::{IntoResponse, Response},
};
use bytes::Bytes;

use super::{
    Running,
    group::{Group, Reply, Waiting},
    once::PendingReply,
    transact::Writing,
};
use crate::{
    ambient::now_ms,
    conditional::Etag,
    entry::{Edit, Entry},
    idempotency,
    key::key_text,
    mailbox::{Command, Job, Refusal, RequestId, Run},
    memory::{Change, Changes, Stored, UNKNOWN, Written},
    problem::Problem,
    record::{Answered, FENCE_KEY, Kind, REPLY_KEY, Record},
    state::State,
    stream::Emitted,
    the_entity::TheEntity,
};

/// After so many turns of all tasks that are ready, whoever is asked to prepare in this process has done so.
const TURNS: usize = 2;

/// A value in flight, and the record that carries it.
pub(super) struct Speculative<S> {
    pub(super) group: u64,
    pub(super) record: usize,
    pub(super) stored: Option<Arc<Stored<S>>>,
    pub(super) written: Option<Arc<Written>>,
}

impl<S: State> Running<S> {
    pub(super) async fn decide_group(&mut self, jobs: Vec<Job<S>>) {
        let mut group = self.new_group();
        for job in jobs {
            if group.bytes >= self.bounds.group_bytes_max {
                self.append(group);
                group = self.new_group();
            }
            self.decide(job, &mut group);
        }
        if group.leads {
            // Those who prepare with it are on their way to the same disk, and one wait for it is enough for all.
            for _ in 0..TURNS {
                tokio::task::yield_now().await;
            }
        }
        self.append(group);
    }

    pub(super) fn new_group(&mut self) -> Group<S> {
        self.group_number += 1;
        let mut group = Group::new(self.group_number);
        for record in self.owed.take() {
            self.push(&mut group, record, Changes::None);
        }
        group
    }

    pub(super) fn decide(&mut self, job: Job<S>, group: &mut Group<S>) {
        match job {
            Job::Command(command) => self.decide_command(command, group),
            Job::Fence(slot) => {
                let record = self.record(Kind::Fence, Bytes::from_static(FENCE_KEY), None);
                let index = self.push(group, record, Changes::None);
                self.wait(group, Some(index), Reply::Fence(slot));
            }
            Job::Recall(request, slot) => self.recall(request, slot, group),
            Job::Remember(request, reply, slot) => {
                self.outside.remove(&request.id);
                // It may have run twice, the other time for a node that had the partition before. The first outcome stands: the second saw what that one did.
                if let Some(known) = self.known_by_now(&request, group) {
                    return self.answer_again(known, group, slot);
                }
                if let Some(behind) = self.adopted(&request) {
                    return behind.push(Job::Remember(request, reply, slot));
                }
                if reply.len() > self.record_bytes_max {
                    let what = format!(
                        "a reply of {} bytes is too long to be kept for its `Idempotency-Key`",
                        reply.len()
                    );
                    return drop(slot.send(Err(Refusal::Unavailable(what))));
                }
                let record = self.record(Kind::Reply, Bytes::from_static(REPLY_KEY), None);
                let response = idempotency::decode(&reply);
                let index = self.push_answered(group, record, Changes::None, &request, reply);
                self.wait(group, Some(index), Reply::Command(response, slot));
            }
            Job::Forget(request) => drop(self.outside.remove(&request.id)),
            Job::Tx(job) => self.decide_tx(job, group),
            Job::Events(batch, slot) => self.take(*batch, slot, group),
            Job::Stream(job) => self.decide_stream(job, group),
        }
    }

    pub(super) fn decide_command(&mut self, command: Command<S>, group: &mut Group<S>) {
        let Some(command) = self.park(command, group) else {
            return;
        };
        let Command {
            key,
            conditions,
            request,
            run,
            slot,
        } = command;
        if let Some(request) = &request
            && let Some(known) = self.known(request)
        {
            self.metrics.repeated.inc();
            return self.answer_again(known, group, slot);
        }
        let before = self.look(&key);
        let refused = conditions.check(before.as_ref().map(|stored| Etag(stored.etag)));
        let decided = match refused {
            Err(problem) => Decided::unchanged(key, problem.into_response()),
            Ok(()) => self.execute(key, before.clone(), run),
        };
        let Decided {
            key,
            mut response,
            edit,
            emitted,
        } = decided;
        let etag = match &edit {
            DecidedEdit::Set(stored, _) => Some(stored.etag),
            DecidedEdit::Removed => None,
            DecidedEdit::Unchanged => before.as_ref().map(|stored| stored.etag),
        };
        if let Some(etag) = etag
            && (response.status().is_success() || response.status().is_redirection())
        {
            response
                .headers_mut()
                .insert(header::ETAG, Etag(etag).header_value());
        }
        let record = self.record_of(key, edit);
        // A fault is no outcome: the same request may be tried again.
        let request = request.filter(|_| !response.status().is_server_error());
        let answer = request.map(|request| {
            let (kept, reply) = idempotency::encode(std::mem::take(&mut response));
            response = kept;
            (request, reply)
        });
        let bytes = record.as_ref().map_or(0, |(record, _)| record.bytes())
            + answer.as_ref().map_or(0, |(_, reply)| reply.len())
            + emitted.iter().map(Emitted::bytes).sum::<usize>();
        if bytes > self.record_bytes_max {
            // The log would refuse it, and all that was sent behind it.
            let problem = Problem::content_too_large(self.record_bytes_max as u64);
            return self.wait(group, None, Reply::Command(problem.into_response(), slot));
        }
        if !emitted.is_empty() {
            let writing = Writing {
                changes: record
                    .map(|(record, change)| (change, record.value))
                    .into_iter()
                    .collect(),
                own: vec![self.emission(emitted)],
                schema: self.schema,
                answers: answer,
            };
            return self.write(group, writing, Reply::Command(response, slot));
        }
        let index = match (record, answer) {
            (None, None) => None,
            (Some((record, change)), None) => Some(self.push(group, record, Changes::One(change))),
            (record, Some((request, reply))) => {
                let (record, change) = match record {
                    Some((record, change)) => (record, Some(change)),
                    // Nothing changed, but the same request must get this answer again.
                    None => (
                        self.record(Kind::Reply, Bytes::from_static(REPLY_KEY), None),
                        None,
                    ),
                };
                Some(self.push_answered(group, record, change.into(), &request, reply))
            }
        };
        self.wait(group, index, Reply::Command(response, slot));
    }

    /// The record of what a command did, and what it changes in memory.
    fn record_of(&self, key: S::Key, edit: DecidedEdit<S>) -> Option<(Record, Change<S>)> {
        let (stored, value) = match edit {
            DecidedEdit::Unchanged => return None,
            DecidedEdit::Set(stored, value) => (Some(Arc::new(stored)), Some(value)),
            DecidedEdit::Removed => (None, None),
        };
        let record = self.record(Kind::Data, Bytes::from(key_text::<S>(&key)), value);
        let change = Change {
            key,
            offset: UNKNOWN,
            stored,
            written: None,
        };
        Some((record, change))
    }

    /// Runs a command's function. Whatever goes wrong in it, nothing is written and the client gets an answer.
    pub(super) fn execute(
        &self,
        key: S::Key,
        before: Option<Arc<Stored<S>>>,
        run: Run<S>,
    ) -> Decided<S> {
        let mut entry = Entry::new(key, before.clone());
        let Ok(response) = catch_unwind(AssertUnwindSafe(|| run(&mut entry))) else {
            let what = format!("a command on `{}` panicked", key_text::<S>(entry.key()));
            let (key, ..) = entry.into_parts();
            return Decided::unchanged(key, Problem::internal(what).into_response());
        };
        let (key, edit, emits) = entry.into_parts();
        if response.status().as_u16() >= 400 {
            return Decided::unchanged(key, response);
        }
        let emitted = match emits.finish().and_then(|emitted| self.may_emit(emitted)) {
            Ok(emitted) => emitted,
            Err(problem) => return Decided::unchanged(key, problem.into_response()),
        };
        match self.settle_edit(&key, before, edit) {
            Ok((edit, value)) => Decided {
                key,
                response: TheEntity::fill(response, value),
                edit,
                emitted,
            },
            Err(problem) => Decided::unchanged(key, problem.into_response()),
        }
    }

    /// What an edit changes, and the bytes of the entity as the command leaves it.
    fn settle_edit(
        &self,
        key: &S::Key,
        before: Option<Arc<Stored<S>>>,
        edit: Edit<S>,
    ) -> Result<(DecidedEdit<S>, Option<Bytes>), Problem> {
        let state = match edit {
            Edit::Untouched => return Ok((DecidedEdit::Unchanged, None)),
            Edit::Removed => return Ok((DecidedEdit::Removed, None)),
            Edit::Set(state) => state,
        };
        if state.key() != *key {
            return Err(Problem::internal(format!(
                "a command on the key `{}` left an entity of the key `{}`",
                key_text::<S>(key),
                key_text::<S>(&state.key())
            )));
        }
        let (stored, value) = self.encode(&state)?;
        if stored.bytes() > before.as_ref().map_or(0, |before| before.bytes())
            && let Some(why) = self.budget.refuses(&self.replica.partition)
        {
            return Err(Problem::insufficient_storage(why));
        }
        let edit = if before.is_some_and(|before| before.etag == stored.etag) {
            DecidedEdit::Unchanged
        } else {
            DecidedEdit::Set(stored, value.clone())
        };
        Ok((edit, Some(value)))
    }

    /// The value for the log, and the entity as every replay will read it. Reading it back before it is written means that no
    /// record gets into the log that can't be read out of it.
    pub(super) fn encode(&self, state: &S) -> Result<(Stored<S>, Bytes), Problem> {
        let value = serde_json::to_vec(state).map_err(Problem::internal)?;
        if value.len() > self.bounds.value_bytes_max {
            return Err(Problem::content_too_large(
                self.bounds.value_bytes_max as u64,
            ));
        }
        let stored: Stored<S> = Stored::decode(&value).map_err(|error| {
            Problem::internal(format!(
                "a {} does not survive its own serialization: {error}",
                S::DEFINITION.name
            ))
        })?;
        if stored.state.key() != state.key() {
            return Err(Problem::internal(format!(
                "the key of a {} changes in its own serialization",
                S::DEFINITION.name
            )));
        }
        Ok((stored, Bytes::from(value)))
    }

    /// Memory plus what is in flight.
    pub(super) fn look(&self, key: &S::Key) -> Option<Arc<Stored<S>>> {
        match self.speculation.get(key) {
            Some(speculative) => speculative.stored.clone(),
            None => self.memory().get(key),
        }
    }

    /// The value of a key in the log, with what is in flight, if that says more than the entity.
    pub(super) fn written(&self, key: &S::Key) -> Option<Arc<Written>> {
        match self.speculation.get(key) {
            Some(speculative) => speculative.written.clone(),
            None => self.memory().written(key),
        }
    }

    pub(super) fn record(&self, kind: Kind, key: Bytes, value: Option<Bytes>) -> Record {
        let tenure = self
            .tenure
            .as_ref()
            .expect("jobs are decided only with a tenure");
        Record {
            place: None,
            ballot: tenure.ballot,
            kind,
            timestamp_ms: now_ms(),
            schema: self.schema,
            answered: None,
            key,
            value,
        }
    }

    pub(super) fn push(
        &mut self,
        group: &mut Group<S>,
        record: Record,
        changes: Changes<S>,
    ) -> usize {
        for change in changes.as_slice() {
            let (group, record) = (group.number, group.records.len());
            let speculative = Speculative {
                group,
                record,
                stored: change.stored.clone(),
                written: change.written.clone(),
            };
            self.speculation.insert(change.key.clone(), speculative);
        }
        group.bytes += record.key.len() + record.value.as_ref().map_or(0, Bytes::len);
        group.records.push(record);
        group.changes.push(changes);
        group.records.len() - 1
    }

    pub(super) fn push_answered(
        &mut self,
        group: &mut Group<S>,
        mut record: Record,
        changes: Changes<S>,
        request: &RequestId,
        reply: Bytes,
    ) -> usize {
        group.bytes += reply.len();
        record.answered = Some(Answered {
            id: request.id.clone(),
            fingerprint: request.fingerprint,
            reply: reply.clone(),
        });
        let index = self.push(group, record, changes);
        let pending = PendingReply {
            fingerprint: request.fingerprint,
            reply,
            group: group.number,
            record: index,
        };
        self.pending_replies.insert(request.id.clone(), pending);
        index
    }

    /// Lets a reply wait for everything that it was decided upon.
    pub(super) fn wait(&mut self, group: &mut Group<S>, record: Option<usize>, reply: Reply) {
        if group.records.is_empty() {
            match self.in_flight.back_mut() {
                None if self.lock.holds() => {
                    reply.send(self.replica.memory.applied().checked_sub(1));
                }
                // Decided upon memory alone, which may be stale: the log says whether it was (rule 8).
                None => {
                    let fence = self.record(Kind::Fence, Bytes::from_static(FENCE_KEY), None);
                    let index = self.push(group, fence, Changes::None);
                    self.wait(group, Some(index), reply);
                }
                Some((last, _)) => {
                    last.waiting.push(Waiting {
                        after: last.records.len(),
                        record: last.records.len() - 1,
                        reply,
                    });
                }
            }
        } else {
            group.waiting.push(Waiting {
                after: group.records.len(),
                record: record.unwrap_or(group.records.len() - 1),
                reply,
            });
        }
    }
}

/// The outcome of a command's function.
pub(super) struct Decided<S: State> {
    pub(super) key: S::Key,
    pub(super) response: Response,
    pub(super) edit: DecidedEdit<S>,
    pub(super) emitted: Vec<Emitted>,
}

pub(super) enum DecidedEdit<S> {
    Unchanged,
    Set(Stored<S>, Bytes),
    Removed,
}

impl<S: State> Decided<S> {
    fn unchanged(key: S::Key, response: Response) -> Self {
        Self {
            key,
            response,
            edit: DecidedEdit::Unchanged,
            emitted: Vec::new(),
        }
    }
}

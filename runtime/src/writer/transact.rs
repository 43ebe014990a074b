//! Home: a transaction is checked, decided and answered.

use std::{ops::ControlFlow, sync::Arc, time::Duration};

use axum::http::StatusCode;
use bytes::Bytes;
use futures_util::{StreamExt, stream::FuturesUnordered};
use serde_json::value::RawValue;
use tokio::{
    sync::oneshot,
    time::{Instant, timeout},
};

use super::{
    Running,
    events::Changed,
    group::{Group, Reply},
    once::Known,
    rest::Until,
    unfinished::Finish,
};
use crate::{
    ambient::{spawn, task},
    batch,
    broken::{Bug, is_broken},
    key::{key_text, parse_key},
    log::TopicPartition,
    mailbox::{Job, Refusal, RequestId, Slot, TxJob, WeakMailbox, Why},
    memory::{Change, Changes, Stored, UNKNOWN},
    record::{BATCH_KEY, FENCE_KEY, Kind, Offset, REPLY_KEY},
    state::State,
    stream::{Emitted, Taking},
    tx::{
        Attempt, Commit, Committed, Fate, KeyRange, Lead, Lost, Never, Others, Part, Pending,
        Prepare, Prepared, TxId, Version, Vote, Write, decided_key,
    },
};

/// How long home waits for a partition to prepare. Meanwhile others are refused what is locked.
const PREPARE_MAX: Duration = Duration::from_secs(1);

/// Transactions that may run at once with one partition as their home; beyond it they are told to try again.
const RUNS_MAX: usize = 10_000;

/// What a record takes at most for each partition that has to finish, and for what is there once.
const PARTICIPANT_BYTES: usize = 512;

/// A transaction that is prepared here, and of which it is not known whether it is everywhere.
pub(super) struct Run {
    attempt: Attempt,
    /// How often its function has run.
    number: u32,
    waiting: Vec<Slot<Committed>>,
    /// What is to be looked at when it is known what became of this.
    behind: Vec<(Arc<Commit>, Slot<Committed>)>,
    began: Instant,
    /// Whether an owner before this one has begun it: then that one may have answered already.
    pub(super) is_adopted: bool,
    /// Whether somebody wants to have what it holds: then it is written as soon as it is committed.
    pub(super) is_wanted: bool,
}

impl Run {
    /// One that an owner before this one has begun.
    pub(super) fn adopted(attempt: Attempt, lead: &Lead, waiting: Vec<Slot<Committed>>) -> Self {
        Self {
            attempt,
            number: lead.run,
            waiting,
            behind: Vec::new(),
            began: Instant::now(),
            is_adopted: true,
            is_wanted: true,
        }
    }

    /// The tenure has ended. Whoever waits behind it is told to ask again.
    pub(super) fn leave(self) -> (Attempt, Vec<Slot<Committed>>) {
        for (_, slot) in self.behind {
            drop(slot.send(Err(Refusal::Moved)));
        }
        (self.attempt, self.waiting)
    }
}

/// A record is longer than the log takes.
pub(super) struct TooLong;

/// A part that was read.
pub(super) struct TypedPart<S: State> {
    pub(super) reads: Vec<(S::Key, Option<Version>)>,
    /// Ranges, and how many entities were in them.
    pub(super) lists: Vec<(KeyRange<S::Key>, usize)>,
    pub(super) writes: Vec<(Change<S>, Option<Bytes>)>,
}

impl<S: State> TypedPart<S> {
    /// At most so many bytes are these writes in a batch.
    pub(super) fn bytes(&self) -> usize {
        let writes = self.writes.iter().map(|(change, value)| {
            key_text::<S>(&change.key).len() + value.as_ref().map_or(0, Bytes::len) + 8
        });
        writes.sum::<usize>() + PARTICIPANT_BYTES
    }

    pub(super) fn read_keys(&self) -> impl Iterator<Item = S::Key> {
        self.reads.iter().map(|(key, _)| key.clone())
    }

    pub(super) fn ranges(&self) -> impl Iterator<Item = KeyRange<S::Key>> {
        self.lists.iter().map(|(range, _)| range.clone())
    }

    /// The writes as they are kept until they are carried out.
    pub(super) fn as_written(&self) -> Vec<Write> {
        let writes = self.writes.iter().map(|(change, value)| Write {
            key: key_text::<S>(&change.key),
            value: value.as_ref().map(|value| raw(value)),
            stored: change.stored.clone().map(|stored| stored as _),
        });
        writes.collect()
    }

    pub(super) fn written_keys(&self) -> impl Iterator<Item = S::Key> {
        self.writes.iter().map(|(change, _)| change.key.clone())
    }
}

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
        if let Some(run) = self.tx.runs.get_mut(&commit.id) {
            if run.number == commit.run {
                // Whoever asked first may not be there any longer.
                return run.waiting.push(slot);
            }
            let attempt = run.attempt;
            let later = Committed::Conflict("a later run of this transaction came".to_owned());
            if run.number > commit.run {
                return drop(slot.send(Ok(later)));
            }
            if run.is_adopted {
                return run.behind.push((commit, slot));
            }
            self.give_up(commit.id, attempt, &later, Why::Unheard, group);
        }
        if let Some(other) = self.same_before(&commit)
            && let Some(run) = self.tx.runs.get_mut(&other)
        {
            return run.behind.push((commit, slot));
        }
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
        let (id, request, reply) = (commit.id, commit.request.clone(), commit.reply.clone());
        if commit.others.is_empty() {
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
        if self.tx.runs.len() >= RUNS_MAX {
            return drop(slot.send(Err(Refusal::QueueFull)));
        }
        let Some(tenure) = &self.tenure else {
            return drop(slot.send(Err(Refusal::Moved)));
        };
        self.tx.attempts += 1;
        let attempt = Attempt {
            epoch: tenure.ballot.epoch,
            incarnation: tenure.ballot.incarnation,
            number: self.tx.attempts,
        };
        let home = self.replica.partition.clone();
        let prepared = Prepared {
            attempt,
            home: home.clone(),
            reads: commit.own.reads.iter().map(|it| it.key.clone()).collect(),
            ranges: commit.own.lists.iter().map(|it| it.range.clone()).collect(),
            writes: own.as_written(),
            lead: Some(Lead {
                others: commit.others.iter().map(|(to, _)| to.clone()).collect(),
                run: commit.run,
                request: request.clone(),
                reply,
                emitted,
                taking: commit.taking.clone(),
            }),
            schema: self.schema,
        };
        let Ok(index) = self.write_prepared(id, prepared, &own, group) else {
            let never = Never::TooLong(self.record_bytes_max);
            return drop(slot.send(Ok(Committed::Never(never))));
        };
        group.leads = true;
        let (here, is_here) = oneshot::channel();
        let answer = Reply::Then(Box::new(move |outcome| drop(here.send(outcome))));
        self.wait(group, Some(index), answer);
        self.tx.tasks.spawn(task(coordinate(
            self.tx.mailbox.clone(),
            self.tx.others.clone(),
            home,
            (id, attempt),
            commit.others.clone(),
            is_here,
        )));
        if let Some(request) = request {
            self.tx.requests.insert(request.id, id);
        }
        let run = Run {
            attempt,
            number: commit.run,
            waiting: vec![slot],
            behind: Vec::new(),
            began,
            is_adopted: false,
            is_wanted: false,
        };
        self.tx.runs.insert(id, run);
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

    /// Another transaction that is the same request, or the effect of the same event, and of which it is not known whether it is committed.
    fn same_before(&self, commit: &Commit) -> Option<TxId> {
        let request = commit.request.as_ref();
        let same = request.and_then(|request| self.tx.requests.get(&request.id));
        if same.is_some() || commit.taking.is_none() {
            return same.copied();
        }
        let input = |taking: &Option<Taking>| taking.as_ref().map(|taking| taking.input.clone());
        let prepared = self.tx.pending.prepared().iter();
        let mut leads = prepared.filter_map(|(id, prepared)| Some((id, prepared.lead.as_ref()?)));
        leads
            .find(|(_, lead)| input(&lead.taking) == input(&commit.taking))
            .map(|(id, _)| *id)
    }

    /// What counts a transaction once it is committed.
    fn will_be_committed(&self, began: Instant) -> impl FnOnce() + Send + use<S> {
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

    /// All are prepared: this is the commit. It is known, so its writes are [rest](super::rest).
    pub(super) fn decide_run(
        &mut self,
        id: TxId,
        attempt: Attempt,
        offset: Option<Offset>,
        group: &mut Group<S>,
    ) {
        let Some(run) = self.take_run(id, attempt) else {
            return;
        };
        let prepared = self.tx.pending.prepared().get(&id);
        let Some(lead) = prepared.and_then(|prepared| prepared.lead.as_ref()) else {
            return;
        };
        let committed = Committed::Yes(offset, lead.reply.clone());
        self.will_be_committed(run.began)();
        for slot in run.waiting {
            drop(slot.send(Ok(committed.clone())));
        }
        let slot = None;
        self.finish(Finish { id, attempt, slot }, group);
        if run.is_wanted {
            self.finish_all(group);
        }
        self.go_on_behind(run.behind, group);
    }

    /// It won't be committed in this attempt. Those that prepared are told; if they don't hear it, they ask.
    pub(super) fn give_up(
        &mut self,
        id: TxId,
        attempt: Attempt,
        outcome: &Committed,
        why: Why,
        group: &mut Group<S>,
    ) {
        let run = self.tx.runs.get(&id);
        if why == Why::Unheard && run.is_some_and(|run| run.is_adopted) {
            // An owner before this one may have found it prepared everywhere, and have answered. The others are being asked.
            return;
        }
        let Some(run) = self.take_run(id, attempt) else {
            return;
        };
        if matches!(outcome, Committed::Conflict(_)) {
            self.metrics.tx_conflicts.inc();
        }
        let prepared = self.tx.pending.prepared().get(&id);
        let lead = prepared.and_then(|prepared| prepared.lead.clone());
        let lead = lead.expect("a run leads what is prepared");
        if let Some(request) = lead.request {
            self.tx.requests.remove(&request.id);
        }
        let index = self.end_prepared(id, group);
        let (slots, outcome, others) = (run.waiting, outcome.clone(), self.tx.others.clone());
        let tell = move |ended: Result<(), Refusal>| {
            for to in lead.others.iter().filter(|_| ended.is_ok()) {
                let told = others.abort(to, id, attempt);
                spawn(async move { drop(told.await) });
            }
            for slot in slots {
                drop(slot.send(ended.clone().map(|()| outcome.clone())));
            }
        };
        if why == Why::Refused || is_broken(Bug::EarlyAbort) {
            tell(Ok(()));
        } else {
            // Until then another owner may find it prepared everywhere, and commit it.
            let answer = Reply::Then(Box::new(move |ended| {
                tell(ended.map(|_| ()).map_err(|_| Refusal::Unknown));
            }));
            self.wait(group, Some(index), answer);
        }
        self.go_on_behind(run.behind, group);
    }

    /// This owner leaves: it gives up what it does not know the outcome of, so that it can be asked for again elsewhere.
    pub(super) fn give_up_all(&mut self, group: &mut Group<S>) {
        let runs = self.tx.runs.iter().filter(|(_, run)| !run.is_adopted);
        let runs: Vec<_> = runs.map(|(id, run)| (*id, run.attempt)).collect();
        for (id, attempt) in runs {
            let moved = Committed::Conflict("its home has another owner".to_owned());
            self.give_up(id, attempt, &moved, Why::Unheard, group);
        }
    }

    fn take_run(&mut self, id: TxId, attempt: Attempt) -> Option<Run> {
        let is_it = |run: &Run| run.attempt == attempt;
        self.tx.runs.get(&id).is_some_and(is_it).then_some(())?;
        self.tx.runs.remove(&id)
    }

    fn go_on_behind(&mut self, behind: Vec<(Arc<Commit>, Slot<Committed>)>, group: &mut Group<S>) {
        for (commit, slot) in behind {
            self.commit(commit, slot, group);
        }
    }

    /// Somebody has prepared and heard nothing.
    pub(super) fn say_fate(
        &mut self,
        id: TxId,
        attempt: Attempt,
        slot: Slot<Fate>,
        group: &mut Group<S>,
    ) {
        if self
            .tx
            .runs
            .get(&id)
            .is_some_and(|run| run.attempt == attempt)
        {
            return drop(slot.send(Ok(Fate::Open)));
        }
        // What is committed is decided in the log before anyone finishes it.
        self.finish_all(group);
        let decided = self.tx.pending.decided().get(&id);
        let is_decided = decided.is_some_and(|decided| decided.attempt == attempt);
        let fate = if is_decided || is_broken(Bug::CommitDoubt) {
            Fate::Committed
        } else {
            Fate::Aborted
        };
        // A deposed owner that does not know it yet knows nothing of what was decided after it.
        self.after_fence(group, move |outcome| {
            drop(slot.send(outcome.map(|_| fate)));
        });
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

    /// All others have finished. The record that says so is [rest](super::rest).
    pub(super) fn forget_decided(&mut self, id: TxId, attempt: Attempt) {
        let decided = self.tx.pending.decided().get(&id);
        if decided.is_some_and(|decided| decided.attempt == attempt) {
            self.tx.done.push(id);
            self.tx.done_until.at_leisure();
        }
    }

    /// Writes down what is done.
    pub(super) fn end_done(&mut self, group: &mut Group<S>) {
        self.tx.done_until = Until::default();
        for id in std::mem::take(&mut self.tx.done) {
            self.end_own(decided_key(id), group);
        }
    }

    /// Deletes the value of a key of memgen's own. The record's place in the group.
    pub(super) fn end_own(&mut self, key: Bytes, group: &mut Group<S>) -> usize {
        self.tx.note(&key, None);
        let record = self.record(Kind::Data, key, None);
        self.push(group, record, Changes::None)
    }

    /// What a part is, as values of this state.
    pub(super) fn typed(&self, part: &Part) -> Result<TypedPart<S>, Never> {
        let key = |text: &str| {
            parse_key::<S>(text).map_err(|error| Never::Wrong(format!("the key: {error}")))
        };
        let mut typed = TypedPart {
            reads: Vec::with_capacity(part.reads.len()),
            lists: Vec::with_capacity(part.lists.len()),
            writes: Vec::with_capacity(part.writes.len()),
        };
        for read in &part.reads {
            typed.reads.push((key(&read.key)?, read.was.version()));
        }
        for list in &part.lists {
            let range = list.range.typed::<S>();
            let range = range.map_err(|error| Never::Wrong(format!("the range: {error}")))?;
            typed.lists.push((range, list.count));
        }
        for write in &part.writes {
            let key = key(&write.key)?;
            let (stored, value) = self.typed_write(&key, write)?;
            let change = Change {
                offset: UNKNOWN,
                key,
                stored,
                written: None,
            };
            typed.writes.push((change, value));
        }
        match self.budget.refuses(&self.replica.partition) {
            Some(why) if self.grows(&typed) => Err(Never::Full(why)),
            _ => Ok(typed),
        }
    }

    /// The value of a write, for memory and for the log.
    fn typed_write(&self, key: &S::Key, write: &Write) -> Result<Changed<S>, Never> {
        let Some(value) = &write.value else {
            return Ok((None, None));
        };
        let here = write
            .stored
            .clone()
            .and_then(|stored| stored.downcast().ok());
        if let Some(stored) = here
            && value.get().len() <= self.bounds.value_bytes_max
        {
            return Ok((
                Some(stored),
                Some(Bytes::copy_from_slice(value.get().as_bytes())),
            ));
        }
        // From another node, whose build may write it otherwise.
        let state: S = serde_json::from_str(value.get())
            .map_err(|error| Never::Wrong(format!("`{}`: {error}", write.key)))?;
        if state.key() != *key {
            return Err(Never::Wrong(format!(
                "the key `{}` is to get an entity of the key `{}`",
                write.key,
                key_text::<S>(&state.key())
            )));
        }
        let encoded = self.encode(&state);
        let (stored, value) = encoded.map_err(|problem| Never::Wrong(problem.to_string()))?;
        Ok((Some(Arc::new(stored)), Some(value)))
    }

    /// Whether the partition is larger afterwards.
    fn grows(&self, part: &TypedPart<S>) -> bool {
        let bytes = |stored: &Option<Arc<Stored<S>>>| {
            stored
                .as_ref()
                .map_or(0, |stored| u64::from(stored.bytes()))
        };
        let writes = || part.writes.iter().map(|(change, _)| change);
        let before: u64 = writes().map(|change| bytes(&self.look(&change.key))).sum();
        let after: u64 = writes().map(|change| bytes(&change.stored)).sum();
        after > before
    }

    /// Whether what was read is still so, and all keys can be had.
    pub(super) fn check(&self, id: TxId, part: &TypedPart<S>) -> Result<(), String> {
        let written = part.writes.iter().map(|(change, _)| &change.key);
        let mut keys = part.reads.iter().map(|(key, _)| key).chain(written);
        if let Some(key) = keys.find(|key| !self.tx.claims.may_have(key, Some(id))) {
            let key = key_text::<S>(key);
            return Err(format!("`{key}` is left to one that has lost more often"));
        }
        for (key, version) in &part.reads {
            let now = self.look(key).map(|stored| Version {
                incarnation: self.incarnation,
                number: stored.version(),
            });
            if now != *version && !is_broken(Bug::NoVersion) {
                return Err(format!("`{}` was changed meanwhile", key_text::<S>(key)));
            }
            if !self.tx.locks.may_read(key) {
                return Err(format!("`{}` is being written", key_text::<S>(key)));
            }
        }
        for (range, count) in &part.lists {
            // The keys that were in it are among those that were read.
            if self.count(range) != *count && !is_broken(Bug::NoVersion) {
                return Err("a key has come into a range, or gone from it".to_owned());
            }
            if !self.tx.locks.may_list(range) {
                return Err("a range is being written to".to_owned());
            }
        }
        for (change, _) in &part.writes {
            let locks = &self.tx.locks;
            let may_write = if is_broken(Bug::NoReadLocks) {
                locks.may_read(&change.key)
            } else {
                locks.may_write(&change.key)
            };
            if !may_write {
                let key = key_text::<S>(&change.key);
                return Err(format!("`{key}` is being read or written"));
            }
        }
        Ok(())
    }

    /// How many entities are in a range, with what is in flight.
    fn count(&self, range: &KeyRange<S::Key>) -> usize {
        let Some(bounds) = range.bounds() else {
            return 0;
        };
        let mut count = 0;
        self.memory().walk(range.start(), |key, _| {
            let is_in = range.place(key)?;
            count += usize::from(is_in && !self.speculation.contains_key(key));
            ControlFlow::Continue(())
        });
        let in_flight = self.speculation.range(bounds);
        let there = in_flight.filter(|(key, it)| it.stored.is_some() && range.contains(key));
        count + there.count()
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

/// Asks the others to prepare, and says what came of it, when it is prepared here as well.
async fn coordinate<S: State>(
    mailbox: WeakMailbox<S>,
    others: Arc<dyn Others>,
    home: TopicPartition,
    (id, attempt): (TxId, Attempt),
    parts: Vec<(TopicPartition, Part)>,
    is_here: oneshot::Receiver<Result<Option<Offset>, Refusal>>,
) {
    let mut needed = parts.len();
    if is_broken(Bug::Early) {
        needed -= 1;
    }
    let prepares = parts.into_iter().map(|(to, part)| {
        let prepare = Prepare {
            id,
            attempt,
            home: home.clone(),
            part,
        };
        let asked = others.prepare(&to, prepare);
        async move {
            timeout(PREPARE_MAX, asked)
                .await
                .unwrap_or_else(|_| Err(Lost(format!("{to} does not answer"))))
        }
    });
    let mut votes: FuturesUnordered<_> = prepares.collect();
    while needed > 0
        && let Some(vote) = votes.next().await
    {
        let why = if vote.is_ok() {
            Why::Refused
        } else {
            Why::Unheard
        };
        let outcome = match vote {
            Ok(Vote::Yes) => {
                needed -= 1;
                continue;
            }
            Ok(Vote::No(what)) | Err(Lost(what)) => Committed::Conflict(what),
            Ok(Vote::TooLong(bytes)) => Committed::Never(Never::TooLong(bytes)),
            Ok(Vote::Wrong(what)) => Committed::Never(Never::Wrong(what)),
            Ok(Vote::Full(what)) => Committed::Never(Never::Full(what)),
        };
        let job = TxJob::GiveUp(id, attempt, outcome, why);
        return mailbox.send_patiently(Job::Tx(job)).await;
    }
    let offset = if is_broken(Bug::Unstaged) {
        None
    } else {
        let Ok(Ok(offset)) = is_here.await else {
            // So the tenure has ended, and this with it.
            return;
        };
        offset
    };
    let job = TxJob::Decide(id, attempt, offset);
    mailbox.send_patiently(Job::Tx(job)).await;
    // A broken one goes on asking.
    while votes.next().await.is_some() {}
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

fn raw(value: &[u8]) -> Box<RawValue> {
    let text = String::from_utf8(value.to_vec()).expect("serde_json writes UTF-8");
    RawValue::from_string(text).expect("serde_json writes JSON")
}

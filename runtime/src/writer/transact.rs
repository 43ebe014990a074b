//! Home: a transaction is checked, decided and answered.

use std::{ops::ControlFlow, sync::Arc, time::Duration};

use axum::http::StatusCode;
use bytes::Bytes;
use futures_util::{StreamExt, stream::FuturesUnordered};
use tokio::time::{Instant, timeout};

use super::{
    Running,
    events::Changed,
    group::{Group, Reply},
    once::Known,
    rest::Until,
};
use crate::{
    ambient::task,
    batch,
    broken::{Bug, is_broken},
    key::{key_text, parse_key},
    log::TopicPartition,
    mailbox::{Job, Refusal, RequestId, Slot, TxJob, WeakMailbox},
    memory::{Change, Changes, Stored, UNKNOWN},
    record::{BATCH_KEY, FENCE_KEY, Kind, REPLY_KEY},
    state::State,
    stream::{Emitted, Taking},
    tx::{
        Attempt, Commit, Committed, Decided, Fate, KeyRange, Lost, Never, Others, Part, Pending,
        Prepare, TxId, Version, Vote, Write, decided_key,
    },
};

/// How long home waits for a partition to prepare. Meanwhile others are refused what is locked.
const PREPARE_MAX: Duration = Duration::from_secs(1);

/// Transactions that may run at once with one partition as their home; beyond it they are told to try again.
const RUNS_MAX: usize = 10_000;

/// What a record takes at most for each partition that has to finish, and for what is there once.
const PARTICIPANT_BYTES: usize = 512;

/// A transaction that waits for the others to prepare.
pub(super) struct Run<S: State> {
    attempt: Attempt,
    /// How often its function has run.
    number: u32,
    request: Option<RequestId>,
    reply: Bytes,
    own: TypedPart<S>,
    others: Vec<TopicPartition>,
    emitted: Vec<Emitted>,
    /// The event that it is the effect of.
    taking: Option<Taking>,
    waiting: Vec<Slot<Committed>>,
    began: Instant,
}

impl<S: State> Run<S> {
    pub(super) fn refuse(self, refusal: &Refusal) {
        for slot in self.waiting {
            drop(slot.send(Err(refusal.clone())));
        }
    }
}

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
    pub(super) fn commit(&mut self, commit: &Commit, slot: Slot<Committed>, group: &mut Group<S>) {
        if let Some(request) = &commit.request
            && let Some(known) = self.known(request)
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
            self.give_up(commit.id, attempt, &later, group);
        }
        if let Some(taking) = &commit.taking
            && self.has_taken(taking)
        {
            return self.wait(group, None, taken_already(slot));
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
        let Commit {
            id,
            run: number,
            others,
            ..
        } = commit;
        let (id, number) = (*id, *number);
        let (request, reply, taking) = (
            commit.request.clone(),
            commit.reply.clone(),
            commit.taking.clone(),
        );
        if others.is_empty() {
            let does = !own.writes.is_empty() || !emitted.is_empty() || taking.is_some();
            // One without writes gives up what was asked for before.
            let done = does.then(|| self.will_be_committed(began));
            let writing = Writing {
                changes: own.writes,
                own: self.own_of(emitted, taking),
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
        let (reads, ranges) = (own.read_keys(), own.ranges());
        self.tx.locks.lock(id, reads, ranges, own.written_keys());
        self.release(id, group);
        let participants = others.iter().map(|(to, _)| to.clone()).collect();
        self.tx.tasks.spawn(task(coordinate(
            self.tx.mailbox.clone(),
            self.tx.others.clone(),
            self.replica.partition.clone(),
            (id, attempt),
            others.clone(),
        )));
        let run = Run {
            attempt,
            number,
            request,
            reply,
            own,
            others: participants,
            emitted,
            taking,
            waiting: vec![slot],
            began,
        };
        self.tx.runs.insert(id, run);
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
    fn own_of(
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

    /// All others are prepared: this is the commit.
    pub(super) fn decide_run(&mut self, id: TxId, attempt: Attempt, group: &mut Group<S>) {
        let Some(run) = self.tx.runs.get(&id).filter(|run| run.attempt == attempt) else {
            return;
        };
        if let Some(request) = &run.request
            && self.known(request).is_some()
        {
            // The same request was carried out meanwhile, by another run of which the client had heard nothing.
            let what = "the same request was carried out meanwhile".to_owned();
            return self.give_up(id, attempt, &Committed::Conflict(what), group);
        }
        if run.taking.as_ref().is_some_and(|it| self.has_taken(it)) {
            // So was the event, by another reader of its input.
            let what = "the same event was taken in meanwhile".to_owned();
            return self.give_up(id, attempt, &Committed::Conflict(what), group);
        }
        let Some(run) = self.tx.runs.remove(&id) else {
            return;
        };
        let key = decided_key(id);
        let decided = Decided {
            attempt,
            participants: run.others,
        };
        let value = decided.encode();
        self.tx.pending.decide(id, decided);
        let mut own = self.own_of(run.emitted, run.taking);
        own.push((key, Some(value)));
        let writing = Writing {
            changes: run.own.writes,
            own,
            schema: self.schema,
            answers: run.request.map(|request| (request, run.reply.clone())),
        };
        let (slots, reply) = (run.waiting, run.reply);
        let done = self.will_be_committed(run.began);
        let answer = Reply::Then(Box::new(move |outcome| {
            if outcome.is_ok() {
                done();
            }
            for slot in slots {
                let outcome = outcome.clone();
                drop(slot.send(outcome.map(|offset| Committed::Yes(offset, reply.clone()))));
            }
        }));
        self.write(group, writing, answer);
        let free = self.tx.locks.unlock(id);
        self.unpark(free, group);
    }

    /// It won't be committed in this attempt. Those that prepared are told; if they don't hear it, they ask.
    pub(super) fn give_up(
        &mut self,
        id: TxId,
        attempt: Attempt,
        outcome: &Committed,
        group: &mut Group<S>,
    ) {
        let is_it = |run: &Run<S>| run.attempt == attempt;
        if !self.tx.runs.get(&id).is_some_and(is_it) {
            return;
        }
        let Some(run) = self.tx.runs.remove(&id) else {
            return;
        };
        if matches!(outcome, Committed::Conflict(_)) {
            self.metrics.tx_conflicts.inc();
        }
        for slot in run.waiting {
            drop(slot.send(Ok(outcome.clone())));
        }
        for to in run.others {
            let told = self.tx.others.abort(&to, id, attempt);
            self.tx.tasks.spawn(task(async move { drop(told.await) }));
        }
        let free = self.tx.locks.unlock(id);
        self.unpark(free, group);
    }

    /// Somebody has prepared and heard nothing.
    pub(super) fn say_fate(
        &mut self,
        id: TxId,
        attempt: Attempt,
        slot: Slot<Fate>,
        group: &mut Group<S>,
    ) {
        let decided = self.tx.pending.decided().get(&id);
        let fate = if decided.is_some_and(|decided| decided.attempt == attempt) {
            Fate::Committed
        } else if self
            .tx
            .runs
            .get(&id)
            .is_some_and(|run| run.attempt == attempt)
        {
            return drop(slot.send(Ok(Fate::Open)));
        } else if is_broken(Bug::CommitDoubt) {
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

    /// Deletes the value of a key of memgen's own.
    pub(super) fn end_own(&mut self, key: Bytes, group: &mut Group<S>) {
        self.tx.note(&key, None);
        let record = self.record(Kind::Data, key, None);
        self.push(group, record, Changes::None);
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

/// Asks the others to prepare, and says what came of it.
async fn coordinate<S: State>(
    mailbox: WeakMailbox<S>,
    others: Arc<dyn Others>,
    home: TopicPartition,
    (id, attempt): (TxId, Attempt),
    parts: Vec<(TopicPartition, Part)>,
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
        let job = TxJob::GiveUp(id, attempt, outcome);
        return mailbox.send_patiently(Job::Tx(job)).await;
    }
    let job = TxJob::Decide(id, attempt);
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

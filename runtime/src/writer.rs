//! The one task that changes a partition: decide -> append -> apply -> reply.
//!
//! A command is decided on memory plus the writes that are still in flight before it (speculation, rule 9). Its record
//! goes to the log together with those of all commands that were waiting: a group. Only when the log has acknowledged the group, and rule 3
//! holds, is it applied to memory and answered. No timer delays a lone write: a group is whatever is there.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    http::header,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use tokio::sync::{mpsc, watch};
use tracing::{error, warn};

use crate::{
    conditional::Etag,
    entry::{Edit, Entry},
    idempotency,
    key::key_text,
    log::{AppendError, Offsets, Receipt},
    mailbox::{Answer, Command, Job, Recall, Refusal, RequestId, Slot},
    memory::{Change, Memory, Stored},
    metrics::PartitionMetrics,
    problem::Problem,
    record::{Answered, Ballot, FENCE_KEY, Kind, Offset, REPLY_KEY, Record},
    replica::{ReplayError, Replica},
    state::State,
    takeover::{TakeoverError, Tenure, now_ms, take_over},
};

/// Groups that may be in flight at once. While one is on its way to the disk, the next ones are decided and handed over, so that the
/// log can take them together; at the bound commands wait in the mailbox.
const GROUPS_IN_FLIGHT_MAX: usize = 64;

/// Requests outside of the writer that run at once with an id; beyond it they are refused.
const RUNNING_MAX: usize = 10_000;

/// How often an owner looks at the end of its log although it writes nothing. A late record of a deposed owner may hide the valid value
/// of its key; if nobody saw it for the whole compaction lag, that value would be lost (rules 6 and 7).
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// How long a writer that lost its tenure for an unknown reason waits between tries, doubled up to a second.
const RETRY_MIN: Duration = Duration::from_millis(10);

/// The bounds of a writer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) group_records_max: usize,
    pub(crate) group_bytes_max: usize,
    /// The longest value; a longer one is refused with 413 before it is sent.
    pub(crate) value_bytes_max: usize,
}

/// How far a partition is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Its log is being read.
    Replaying,
    /// It serves.
    Serving,
    /// It can't go on; the reason says where and why.
    Halted(String),
}

/// The owner of one partition.
pub(crate) struct Writer<S: State> {
    pub(crate) replica: Replica<S>,
    pub(crate) inbox: mpsc::Receiver<Job<S>>,
    pub(crate) phase: watch::Sender<Phase>,
    pub(crate) bounds: Bounds,
    pub(crate) metrics: PartitionMetrics,
    pub(crate) incarnation: u64,
    pub(crate) schema: u64,
}

impl<S: State> Writer<S> {
    /// Takes the partition over and serves until all mailboxes are gone or the partition has to halt.
    pub(crate) async fn run(self) {
        let phase = self.phase.clone();
        let partition = self.replica.partition.clone();
        if let Err(halt) = Running::new(self).run().await {
            error!(%partition, "{halt}");
            phase.send_replace(Phase::Halted(halt.to_string()));
        }
    }
}

/// A group on its way to the log.
struct Group<S: State> {
    number: u64,
    records: Vec<Record>,
    /// What each record changes; none for control records.
    changes: Vec<Option<Change<S>>>,
    waiting: Vec<Waiting>,
    bytes: usize,
    started: Instant,
}

impl<S: State> Group<S> {
    fn new(number: u64) -> Self {
        Self {
            number,
            records: Vec::new(),
            changes: Vec::new(),
            waiting: Vec::new(),
            bytes: 0,
            started: Instant::now(),
        }
    }
}

/// A reply that waits for the first `after` records of its group, since it was decided upon them.
struct Waiting {
    after: usize,
    /// The record whose offset the reply names.
    record: Option<usize>,
    reply: Reply,
}

/// A reply and where it goes.
enum Reply {
    Command(Response, Slot<Answer>),
    /// The offset of the first, remembered answer is known already.
    Again(Response, Offset, Slot<Answer>),
    Fence(Slot<Offset>),
}

impl Reply {
    fn send(self, offset: Option<Offset>) {
        // A client that went away needs no reply.
        match self {
            Self::Command(response, slot) => drop(slot.send(Ok(Answer { response, offset }))),
            Self::Again(response, offset, slot) => {
                drop(slot.send(Ok(Answer {
                    response,
                    offset: Some(offset),
                })));
            }
            Self::Fence(slot) => drop(slot.send(Ok(offset.unwrap_or_default()))),
        }
    }

    fn refuse(self, refusal: Refusal) {
        match self {
            Self::Command(_, slot) | Self::Again(_, _, slot) => drop(slot.send(Err(refusal))),
            Self::Fence(slot) => drop(slot.send(Err(refusal))),
        }
    }
}

/// A value in flight, and the record that carries it.
struct Speculative<S> {
    group: u64,
    record: usize,
    stored: Option<Arc<Stored<S>>>,
}

/// A request whose reply is in flight.
struct PendingReply {
    fingerprint: u128,
    reply: Bytes,
    group: u64,
    record: usize,
}

/// A writer with what it holds while it runs.
struct Running<S: State> {
    replica: Replica<S>,
    inbox: mpsc::Receiver<Job<S>>,
    phase: watch::Sender<Phase>,
    bounds: Bounds,
    metrics: PartitionMetrics,
    incarnation: u64,
    schema: u64,
    /// The highest epoch that was tried.
    epoch: u64,
    tenure: Option<Tenure>,
    in_flight: VecDeque<(Group<S>, Receipt)>,
    /// The latest value in flight per key.
    speculation: BTreeMap<S::Key, Speculative<S>>,
    pending_replies: HashMap<Bytes, PendingReply>,
    /// Requests outside of the writer that run now.
    running: HashMap<Bytes, u128>,
    group_number: u64,
    look: tokio::time::Interval,
}

/// What woke the writer.
enum Event<S: State> {
    Settled(Result<Offsets, AppendError>),
    Jobs(Vec<Job<S>>),
    Look,
    Closed,
}

impl<S: State> Running<S> {
    fn new(writer: Writer<S>) -> Self {
        Self {
            replica: writer.replica,
            inbox: writer.inbox,
            phase: writer.phase,
            bounds: writer.bounds,
            metrics: writer.metrics,
            incarnation: writer.incarnation,
            schema: writer.schema,
            epoch: 0,
            tenure: None,
            in_flight: VecDeque::new(),
            speculation: BTreeMap::new(),
            pending_replies: HashMap::new(),
            running: HashMap::new(),
            group_number: 0,
            look: tokio::time::interval(LOOK_EVERY),
        }
    }

    fn memory(&self) -> &Memory<S> {
        &self.replica.memory
    }

    async fn run(mut self) -> Result<(), ReplayError> {
        // A log without room still serves reads: the takeover is tried again with the first write.
        if let Err(refusal) = self.ensure_tenure().await? {
            warn!(partition = %self.replica.partition, ?refusal, "reads only until the log takes writes");
        }
        self.phase.send_replace(Phase::Serving);
        self.gauge();
        loop {
            match self.next_event().await {
                Event::Settled(Ok(offsets)) => self.acknowledge(&offsets).await?,
                Event::Settled(Err(error)) => self.fail(&error).await?,
                Event::Jobs(jobs) => match self.ensure_tenure().await? {
                    Ok(()) => self.decide_group(jobs),
                    Err(refusal) => refuse_all(jobs, &refusal),
                },
                Event::Look => self.look_at_the_end().await?,
                Event::Closed => return self.drain().await,
            }
            self.repair();
            self.gauge();
        }
    }

    async fn next_event(&mut self) -> Event<S> {
        let Self { in_flight, inbox, bounds, look, .. } = self;
        let room = in_flight.len() < GROUPS_IN_FLIGHT_MAX;
        let idle = in_flight.is_empty();
        let mut jobs = Vec::new();
        tokio::select! {
            biased;
            settled = async { (&mut in_flight[0].1).await }, if !idle => Event::Settled(settled),
            count = inbox.recv_many(&mut jobs, bounds.group_records_max), if room => {
                if count == 0 { Event::Closed } else { Event::Jobs(jobs) }
            }
            _ = look.tick(), if idle => Event::Look,
        }
    }

    /// Takes in what others appended while this owner wrote nothing.
    async fn look_at_the_end(&mut self) -> Result<(), ReplayError> {
        let Some(tenure) = &self.tenure else { return Ok(()) };
        let ballot = tenure.ballot;
        self.replica.catch_up(None, |_, _, _| ()).await?;
        if self.replica.fold.ballot() > ballot {
            return self.deposed(Vec::new());
        }
        if let Some(tenure) = &mut self.tenure {
            tenure.next = self.replica.fold.next();
        }
        Ok(())
    }

    /// Waits for what is in flight, so that no acknowledged outcome is left unsaid.
    async fn drain(mut self) -> Result<(), ReplayError> {
        while let Some((_, receipt)) = self.in_flight.front_mut() {
            match receipt.await {
                Ok(offsets) => self.acknowledge(&offsets).await?,
                Err(error) => self.fail(&error).await?,
            }
        }
        Ok(())
    }

    // ---- decide

    fn decide_group(&mut self, jobs: Vec<Job<S>>) {
        let mut group = self.new_group();
        for job in jobs {
            if group.bytes >= self.bounds.group_bytes_max {
                self.append(group);
                group = self.new_group();
            }
            self.decide(job, &mut group);
        }
        self.append(group);
    }

    fn new_group(&mut self) -> Group<S> {
        self.group_number += 1;
        Group::new(self.group_number)
    }

    fn decide(&mut self, job: Job<S>, group: &mut Group<S>) {
        match job {
            Job::Command(command) => self.decide_command(command, group),
            Job::Fence(slot) => {
                let record = self.record(Kind::Fence, Bytes::from_static(FENCE_KEY), None);
                let index = self.push(group, record, None);
                self.wait(group, Some(index), Reply::Fence(slot));
            }
            Job::Recall(request, slot) => {
                let recall = self.recall(&request);
                drop(slot.send(recall));
            }
            Job::Remember(request, reply, slot) => {
                self.running.remove(&request.id);
                let record = self.record(Kind::Reply, Bytes::from_static(REPLY_KEY), None);
                let index = self.push_answered(group, record, None, &request, reply);
                self.wait(group, Some(index), Reply::Fence(slot));
            }
            Job::Forget(request) => drop(self.running.remove(&request.id)),
        }
    }

    fn decide_command(&mut self, command: Command<S>, group: &mut Group<S>) {
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
            return self.answer_again(known, group, slot);
        }
        let before = self.look(&key);
        let refused = conditions.check(before.as_ref().map(|stored| Etag(stored.etag)));
        let decided = match refused {
            Err(problem) => Decided::unchanged(problem.into_response()),
            Ok(()) => self.execute(key.clone(), before.clone(), run),
        };
        let Decided { mut response, edit } = decided;
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
        let record = match edit {
            DecidedEdit::Unchanged => None,
            DecidedEdit::Set(stored, value) => Some((
                Some(value),
                Change {
                    key,
                    stored: Some(Arc::new(stored)),
                },
            )),
            DecidedEdit::Removed => Some((None, Change { key, stored: None })),
        }
        .map(|(value, change)| {
            let key = Bytes::from(key_text::<S>(&change.key));
            (self.record(Kind::Data, key, value), change)
        });
        let index = match (record, request) {
            (None, None) => None,
            (Some((record, change)), None) => Some(self.push(group, record, Some(change))),
            (record, Some(request)) => {
                let reply;
                (response, reply) = idempotency::encode(response);
                let (record, change) = match record {
                    Some((record, change)) => (record, Some(change)),
                    // Nothing changed, but the same request must get this answer again.
                    None => (
                        self.record(Kind::Reply, Bytes::from_static(REPLY_KEY), None),
                        None,
                    ),
                };
                Some(self.push_answered(group, record, change, &request, reply))
            }
        };
        self.wait(group, index, Reply::Command(response, slot));
    }

    /// Runs a command's function. Whatever goes wrong in it, nothing is written and the client gets an answer.
    fn execute(
        &self,
        key: S::Key,
        before: Option<Arc<Stored<S>>>,
        run: Box<dyn FnOnce(&mut Entry<S>) -> Response + Send>,
    ) -> Decided<S> {
        let mut entry = Entry::new(key.clone(), before.clone());
        let Ok(response) = catch_unwind(AssertUnwindSafe(|| run(&mut entry))) else {
            let what = format!("a command on `{}` panicked", key_text::<S>(&key));
            return Decided::unchanged(Problem::internal(what).into_response());
        };
        if response.status().as_u16() >= 400 {
            return Decided::unchanged(response);
        }
        let edit = match entry.into_edit() {
            Edit::Untouched => DecidedEdit::Unchanged,
            Edit::Removed => DecidedEdit::Removed,
            Edit::Set(state) if state.key() != key => {
                let what = format!(
                    "a command on the key `{}` left an entity of the key `{}`",
                    key_text::<S>(&key),
                    key_text::<S>(&state.key())
                );
                return Decided::unchanged(Problem::internal(what).into_response());
            }
            Edit::Set(state) => match self.encode(&state) {
                Ok((stored, _)) if before.is_some_and(|before| before.etag == stored.etag) => {
                    DecidedEdit::Unchanged
                }
                Ok((stored, value)) => DecidedEdit::Set(stored, value),
                Err(problem) => return Decided::unchanged(problem.into_response()),
            },
        };
        Decided { response, edit }
    }

    /// The value for the log, and the entity as every replay will read it. Reading it back before it is written means that no
    /// record gets into the log that can't be read out of it.
    fn encode(&self, state: &S) -> Result<(Stored<S>, Bytes), Problem> {
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
    fn look(&self, key: &S::Key) -> Option<Arc<Stored<S>>> {
        match self.speculation.get(key) {
            Some(speculative) => speculative.stored.clone(),
            None => self.memory().get(key),
        }
    }

    fn record(&self, kind: Kind, key: Bytes, value: Option<Bytes>) -> Record {
        let tenure = self
            .tenure
            .as_ref()
            .expect("jobs are decided only with a tenure");
        Record {
            ballot: tenure.ballot,
            kind,
            timestamp_ms: now_ms(),
            schema: self.schema,
            answered: None,
            key,
            value,
        }
    }

    fn push(&mut self, group: &mut Group<S>, record: Record, change: Option<Change<S>>) -> usize {
        if let Some(Change { key, stored }) = &change {
            let (group, record) = (group.number, group.records.len());
            let speculative = Speculative {
                group,
                record,
                stored: stored.clone(),
            };
            self.speculation.insert(key.clone(), speculative);
        }
        group.bytes += record.key.len() + record.value.as_ref().map_or(0, Bytes::len);
        group.records.push(record);
        group.changes.push(change);
        group.records.len() - 1
    }

    fn push_answered(
        &mut self,
        group: &mut Group<S>,
        mut record: Record,
        change: Option<Change<S>>,
        request: &RequestId,
        reply: Bytes,
    ) -> usize {
        group.bytes += reply.len();
        record.answered = Some(Answered {
            id: request.id.clone(),
            fingerprint: request.fingerprint,
            reply: reply.clone(),
        });
        let index = self.push(group, record, change);
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
    fn wait(&mut self, group: &mut Group<S>, record: Option<usize>, reply: Reply) {
        if group.records.is_empty() {
            match self.in_flight.back_mut() {
                None => reply.send(None),
                Some((last, _)) => {
                    last.waiting.push(Waiting {
                        after: last.records.len(),
                        record: None,
                        reply,
                    });
                }
            }
        } else {
            group.waiting.push(Waiting {
                after: group.records.len(),
                record,
                reply,
            });
        }
    }

    // ---- once (rule 10)

    fn known(&self, request: &RequestId) -> Option<Known> {
        if let Some(pending) = self.pending_replies.get(&request.id) {
            return Some(if pending.fingerprint == request.fingerprint {
                Known::InFlight {
                    group: pending.group,
                    record: pending.record,
                    reply: pending.reply.clone(),
                }
            } else {
                Known::Differs
            });
        }
        let remembered = self.replica.fold.reply(&request.id, now_ms())?;
        Some(if remembered.fingerprint == request.fingerprint {
            Known::Done(remembered.reply.clone(), remembered.offset)
        } else {
            Known::Differs
        })
    }

    fn answer_again(&mut self, known: Known, group: &mut Group<S>, slot: Slot<Answer>) {
        match known {
            Known::Differs => {
                let reply = Reply::Command(idempotency::differs().into_response(), slot);
                reply.send(None);
            }
            Known::Done(reply, offset) => {
                Reply::Again(idempotency::decode(&reply), offset, slot).send(None);
            }
            Known::InFlight {
                group: number,
                record,
                reply,
            } => {
                let reply = Reply::Command(idempotency::decode(&reply), slot);
                let waiting = Waiting {
                    after: record + 1,
                    record: Some(record),
                    reply,
                };
                let flying = self.in_flight.iter_mut().map(|(group, _)| group);
                match flying.chain([group]).find(|group| group.number == number) {
                    Some(group) => group.waiting.push(waiting),
                    None => unreachable!("a pending reply names a group in flight"),
                }
            }
        }
    }

    fn recall(&mut self, request: &RequestId) -> Result<Recall, Refusal> {
        Ok(match self.known(request) {
            Some(Known::Differs) => Recall::Differs,
            Some(Known::Done(reply, offset)) => Recall::Done(reply, offset),
            // Its reply is durable in a moment.
            Some(Known::InFlight { .. }) => Recall::Running,
            None => match self.running.get(&request.id) {
                Some(fingerprint) if *fingerprint == request.fingerprint => Recall::Running,
                Some(_) => Recall::Differs,
                None if self.running.len() >= RUNNING_MAX => return Err(Refusal::QueueFull),
                None => {
                    self.running.insert(request.id.clone(), request.fingerprint);
                    Recall::New
                }
            },
        })
    }

    // ---- append

    fn append(&mut self, group: Group<S>) {
        if group.records.is_empty() {
            return;
        }
        #[allow(clippy::cast_precision_loss)] // a group has at most some thousand records
        self.metrics
            .group_records
            .observe(group.records.len() as f64);
        let tenure = self
            .tenure
            .as_mut()
            .expect("a group is made only with a tenure");
        let receipt = tenure.producer.append(group.records.clone());
        self.in_flight.push_back((group, receipt));
    }

    /// Appends again what a stale record may hide from compaction (rule 6), in order with the other writes.
    fn repair(&mut self) {
        if self.tenure.is_none() {
            return;
        }
        let dirty = self.replica.fold.take_dirty();
        if dirty.is_empty() {
            return;
        }
        let group = self.rewrite(dirty, Kind::Data);
        self.append(group);
    }

    /// A group that writes the current values of `keys` once more.
    fn rewrite(&mut self, keys: impl IntoIterator<Item = Bytes>, kind: Kind) -> Group<S> {
        let mut group = self.new_group();
        for key in keys {
            // A key that outsiders wrote and that is none of this state has no value to protect.
            let Ok(Change { key: typed, .. }) = Change::<S>::decode(&key, None) else {
                continue;
            };
            let again = self.look(&typed).map(|stored| {
                self.encode(&stored.state)
                    .expect("an entity in memory was encoded before")
            });
            let (stored, value) = again.unzip();
            let record = self.record(kind, key, value);
            let change = Change {
                key: typed,
                stored: stored.map(Arc::new),
            };
            self.push(&mut group, record, Some(change));
        }
        group
    }

    // ---- settle

    /// The log acknowledged the oldest group in flight: check rule 3, apply, reply.
    async fn acknowledge(&mut self, offsets: &Offsets) -> Result<(), ReplayError> {
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
            ..
        } = group;
        let mut waiting = waiting.into_iter().peekable();
        let mut given = Vec::with_capacity(records.len());
        for ((record, change), &offset) in records.iter().zip(changes).zip(offsets) {
            let tenure = self
                .tenure
                .as_mut()
                .expect("acknowledged groups have a tenure");
            if offset != tenure.next {
                let ballot = tenure.ballot;
                self.replica.catch_up(Some(offset), |_, _, _| ()).await?;
                if self.replica.fold.ballot() > ballot {
                    let rest: Vec<_> = waiting.collect();
                    return self.deposed(rest);
                }
            }
            let tenure = self.tenure.as_mut().expect("it was there above");
            tenure.next = offset + 1;
            let settled = change.as_ref().map(|change| change.key.clone());
            self.replica.step_own(offset, record, change)?;
            if let Some(key) = settled
                && let Some(last) = self.speculation.get(&key)
                && (last.group, last.record) == (number, given.len())
            {
                self.speculation.remove(&key);
            }
            given.push(offset);
            if let Some(answered) = &record.answered {
                self.pending_replies.remove(&answered.id);
            }
            while let Some(next) = waiting.next_if(|next| next.after <= given.len()) {
                next.reply.send(next.record.map(|record| given[record]));
            }
        }
        self.metrics
            .commit_seconds
            .observe(started.elapsed().as_secs_f64());
        Ok(())
    }

    /// A higher ballot is in the log: nothing that lies behind it counts, and nothing in flight ever will.
    fn deposed(&mut self, rest: Vec<Waiting>) -> Result<(), ReplayError> {
        warn!(partition = %self.replica.partition, "another owner took over");
        let refusal = Refusal::Unavailable("another node took the partition over".to_owned());
        self.tenure = None;
        for waiting in rest {
            waiting.reply.refuse(refusal.clone());
        }
        for (group, _) in self.drop_speculation() {
            for waiting in group.waiting {
                waiting.reply.refuse(refusal.clone());
            }
        }
        Ok(())
    }

    /// The oldest group in flight has no offsets, so none behind it has (rule 2 of the log's contract). Find out what
    /// happened, never guess (rule 4).
    async fn fail(&mut self, error: &AppendError) -> Result<(), ReplayError> {
        let groups = self.drop_speculation();
        let tenure = self.tenure.take().expect("groups in flight have a tenure");
        let refusal = match error {
            AppendError::Full(what) => Refusal::Full(what.clone()),
            AppendError::Refused(what) => Refusal::Unavailable(what.clone()),
            AppendError::Unknown(what) => {
                warn!(partition = %self.replica.partition, what, "outcome unknown, taking over again");
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
    async fn resolve(
        &mut self,
        groups: VecDeque<(Group<S>, Receipt)>,
        ballot: Ballot,
        next: Offset,
    ) -> Result<(), ReplayError> {
        let mut landed = Vec::new();
        let mut backoff = RETRY_MIN;
        let refusal = loop {
            let outcome = self
                .try_take_over(|offset, record, counts| {
                    if record.ballot == ballot && offset >= next && counts {
                        landed.push(offset);
                    }
                })
                .await?;
            match outcome {
                Ok(()) => {
                    break Refusal::Unavailable("the write did not happen; try again".to_owned());
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
                    waiting
                        .reply
                        .send(waiting.record.map(|record| mine[record]));
                } else {
                    waiting.reply.refuse(refusal.clone());
                }
            }
        }
        Ok(())
    }

    fn drop_speculation(&mut self) -> VecDeque<(Group<S>, Receipt)> {
        self.speculation.clear();
        self.pending_replies.clear();
        std::mem::take(&mut self.in_flight)
    }

    // ---- tenure

    async fn ensure_tenure(&mut self) -> Result<Result<(), Refusal>, ReplayError> {
        if self.tenure.is_some() {
            return Ok(Ok(()));
        }
        self.try_take_over(|_, _, _| ()).await
    }

    /// Takes over, rolls a torn batch forward (rule 5) and repairs (rule 6).
    async fn try_take_over(
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
                self.tenure = Some(tenure);
                let torn = self.replica.fold.take_torn();
                let group = self.rewrite(torn, Kind::FollowUp);
                self.append(group);
                self.repair();
                Ok(Ok(()))
            }
            Err(TakeoverError::Full(what)) => Ok(Err(Refusal::Full(what))),
            Err(TakeoverError::Refused(what)) => Ok(Err(Refusal::Unavailable(what))),
            Err(TakeoverError::Replay(error)) => Err(error),
        }
    }

    fn gauge(&self) {
        let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        self.metrics.queue.set(count(self.inbox.len()));
        self.metrics.keys.set(count(self.memory().len()));
        self.metrics.bytes.set(self.memory().bytes());
        self.metrics
            .position
            .set(i64::try_from(self.memory().applied()).unwrap_or(i64::MAX));
        self.metrics.replies.set(count(self.replica.fold.replies()));
    }
}

fn refuse_all<S: State>(jobs: Vec<Job<S>>, refusal: &Refusal) {
    for job in jobs {
        let refusal = refusal.clone();
        match job {
            Job::Command(command) => drop(command.slot.send(Err(refusal))),
            Job::Fence(slot) | Job::Remember(_, _, slot) => drop(slot.send(Err(refusal))),
            Job::Recall(_, slot) => drop(slot.send(Err(refusal))),
            Job::Forget(_) => {}
        }
    }
}

/// What is known of a request with an id.
enum Known {
    Differs,
    Done(Bytes, Offset),
    InFlight {
        group: u64,
        record: usize,
        reply: Bytes,
    },
}

/// The outcome of a command's function.
struct Decided<S> {
    response: Response,
    edit: DecidedEdit<S>,
}

enum DecidedEdit<S> {
    Unchanged,
    Set(Stored<S>, Bytes),
    Removed,
}

impl<S> Decided<S> {
    fn unchanged(response: Response) -> Self {
        Self {
            response,
            edit: DecidedEdit::Unchanged,
        }
    }
}

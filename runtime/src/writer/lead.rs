//! Home of a transaction over several partitions: it leads what it prepares, knows when that is prepared everywhere, and answers.

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt, stream::FuturesUnordered};
use tokio::{
    sync::oneshot,
    time::{Instant, timeout},
};

use super::{
    Running,
    group::{Group, Reply},
    part::TypedPart,
    refuse_all,
    rest::Until,
    unfinished::Finish,
};
use crate::{
    ambient::{spawn, task},
    broken::{Bug, is_broken},
    log::TopicPartition,
    mailbox::{Job, Refusal, RequestId, Slot, StreamJob, TxJob, WeakMailbox, Why},
    record::Offset,
    state::State,
    stream::{Emitted, Reached},
    tx::{
        Attempt, Commit, Committed, Fate, Lead, Lost, Never, Others, Part, Prepare, Prepared, TxId,
        Vote, decided_key,
    },
};

/// How long home waits for a partition to prepare. Meanwhile others are refused what is locked.
const PREPARE_MAX: Duration = Duration::from_secs(1);

/// Transactions that may run at once with one partition as their home; beyond it they are told to try again.
const RUNS_MAX: usize = 10_000;

/// A transaction that is prepared here, and of which it is not known whether it is everywhere.
pub(super) struct Run<S: State> {
    attempt: Attempt,
    /// How often its function has run.
    number: u32,
    waiting: Vec<Slot<Committed>>,
    /// What is to be looked at when it is known what became of this.
    behind: Vec<Job<S>>,
    began: Instant,
    /// Whether an owner before this one has begun it: then that one may have answered already.
    pub(super) is_adopted: bool,
    /// Whether somebody wants to have what it holds: then it is written as soon as it is committed.
    pub(super) is_wanted: bool,
}

impl<S: State> Run<S> {
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
        refuse_all(self.behind, &Refusal::Moved);
        (self.attempt, self.waiting)
    }
}

impl<S: State> Running<S> {
    /// Prepares what it did here, which was checked, and asks the others to do the same.
    pub(super) fn lead(
        &mut self,
        commit: &Commit,
        own: &TypedPart<S>,
        emitted: Vec<Emitted>,
        slot: Slot<Committed>,
        group: &mut Group<S>,
    ) {
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
        let (id, request) = (commit.id, commit.request.clone());
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
                reply: commit.reply.clone(),
                emitted,
                taking: commit.taking.clone(),
            }),
            schema: self.schema,
        };
        let Ok(index) = self.write_prepared(id, prepared, own, group) else {
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
            began: Instant::now(),
            is_adopted: false,
            is_wanted: false,
        };
        self.tx.runs.insert(id, run);
    }

    /// What is to be committed, unless it is under way already: then it waits for what becomes of that, or has come too late.
    pub(super) fn join(
        &mut self,
        commit: Arc<Commit>,
        slot: Slot<Committed>,
        group: &mut Group<S>,
    ) -> Option<(Arc<Commit>, Slot<Committed>)> {
        if let Some(run) = self.tx.runs.get_mut(&commit.id) {
            if run.number == commit.run {
                // Whoever asked first may not be there any longer.
                run.waiting.push(slot);
                return None;
            }
            let attempt = run.attempt;
            let later = Committed::Conflict("a later run of this transaction came".to_owned());
            if run.number > commit.run {
                drop(slot.send(Ok(later)));
                return None;
            }
            if run.is_adopted {
                run.behind.push(Job::Tx(TxJob::Commit(commit, slot)));
                return None;
            }
            self.give_up(commit.id, attempt, &later, Why::Unheard, group);
        }
        if let Some(other) = self.same_before(&commit)
            && let Some(run) = self.tx.runs.get_mut(&other)
        {
            run.behind.push(Job::Tx(TxJob::Commit(commit, slot)));
            return None;
        }
        Some((commit, slot))
    }

    /// Another transaction that is the same request, or the effect of the same event, and of which it is not known whether it is committed.
    fn same_before(&self, commit: &Commit) -> Option<TxId> {
        if let Some(request) = &commit.request
            && let Some(id) = self.tx.requests.get(&request.id)
        {
            return Some(*id);
        }
        self.taking_from(&commit.taking.as_ref()?.input)
    }

    /// The transaction that takes in the next event of an input partition, while it is not written that it is committed.
    fn taking_from(&self, input: &str) -> Option<TxId> {
        let prepared = self.tx.pending.prepared().iter();
        let mut taking = prepared
            .filter_map(|(id, prepared)| Some((id, prepared.lead.as_ref()?.taking.as_ref()?)));
        taking
            .find(|(_, taking)| taking.input == input)
            .map(|(id, _)| *id)
    }

    /// Says how far an input partition was taken in, all that is committed with it: whoever was told that an event is taken in goes on behind it.
    pub(super) fn say_reached(
        &mut self,
        input: Arc<str>,
        slot: Slot<Reached>,
        group: &mut Group<S>,
    ) {
        // What is committed, and not written yet.
        self.finish_all(group);
        // What an owner before this one may have found to be.
        if let Some(id) = self.taking_from(&input)
            && let Some(run) = self.tx.runs.get_mut(&id)
        {
            let again = StreamJob::Reached(input, slot);
            return run.behind.push(Job::Stream(again));
        }
        drop(slot.send(Ok(self.reached(&input))));
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
        // Of its own attempt, what somebody has not prepared is prepared by nobody. Whoever has not prepared that of an owner before may have finished it, as another owner committed it meanwhile.
        let is_dead = why == Why::Refused && !run.is_adopted;
        if is_dead || is_broken(Bug::EarlyAbort) {
            tell(Ok(()));
        } else {
            // Until then another owner may find it prepared everywhere, and commit it; or has.
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

    fn take_run(&mut self, id: TxId, attempt: Attempt) -> Option<Run<S>> {
        let is_it = |run: &Run<S>| run.attempt == attempt;
        self.tx.runs.get(&id).is_some_and(is_it).then_some(())?;
        self.tx.runs.remove(&id)
    }

    fn go_on_behind(&mut self, behind: Vec<Job<S>>, group: &mut Group<S>) {
        for job in behind {
            self.decide(job, group);
        }
    }

    /// What a request waits for that an owner before this one had led: it is known in a moment what became of that.
    pub(super) fn adopted(&mut self, request: &RequestId) -> Option<&mut Vec<Job<S>>> {
        let id = self.tx.requests.get(&request.id)?;
        let run = self.tx.runs.get_mut(id).filter(|run| run.is_adopted)?;
        Some(&mut run.behind)
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

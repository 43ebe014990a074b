//! What a writer knows of the transactions that concern its partition.

use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use tokio::{task::JoinSet, time::Instant};

use super::{
    Running,
    lead::Run,
    rest::Until,
    unfinished::{Finish, Unfinished},
};
use crate::{
    mailbox::{Command, Refusal, Slot, TxJob, WeakMailbox},
    schemas::Schemas,
    state::State,
    stream::Outlet,
    tx::{Attempt, Claims, Committed, Locks, Others, Pending, TxId},
    writer::group::Group,
};

/// How often transactions are looked after that are not done.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(50);

/// The transactions of a partition, as the writer decides upon them: with what is in flight. What streams keep goes with them.
pub(super) struct Transactions<S: State> {
    pub(super) mailbox: WeakMailbox<S>,
    pub(super) others: Arc<dyn Others>,
    pub(super) schemas: Arc<Schemas>,
    /// What is prepared and decided.
    pub(super) pending: Pending,
    /// The keys of what is prepared here, and of what runs with this partition as its home.
    pub(super) locks: Locks<S::Key>,
    /// Those with this partition as their home, of which it is not known whether they are prepared everywhere.
    pub(super) runs: BTreeMap<TxId, Run<S>>,
    /// Who waited for them when the tenure ended.
    pub(super) orphans: Vec<(TxId, Attempt, Vec<Slot<Committed>>)>,
    /// The requests that are prepared with this partition as their home, by their ids.
    pub(super) requests: HashMap<Bytes, TxId>,
    /// How many were begun.
    pub(super) attempts: u64,
    /// What others leave alone for a moment. It is in no log either.
    pub(super) claims: Claims<S::Key>,
    /// Commands that wait for keys.
    pub(super) parked: BTreeMap<S::Key, VecDeque<Command<S>>>,
    pub(super) parked_count: usize,
    /// What talks to other partitions, and sends what was emitted.
    pub(super) tasks: JoinSet<()>,
    /// Where the tenure begins in the log, and as many more as writes of it have emitted something: no offset that the next tenure can begin at.
    pub(super) next_emission: u64,
    /// The way of what was emitted in this partition, if there is something.
    pub(super) outlet: Option<Outlet>,
    /// Those that were prepared here and are committed, but not written yet.
    pub(super) unfinished: Unfinished,
    /// The decided ones of which the others are being told.
    pub(super) finishing: HashSet<(TxId, Attempt)>,
    /// The decided ones that all others have finished.
    pub(super) done: Vec<TxId>,
    /// When they are forgotten although nothing else is written.
    pub(super) done_until: Until,
    /// Those of former owners of which the others are being asked.
    pub(super) polled: HashSet<(TxId, Attempt)>,
    /// The prepared ones of other homes.
    pub(super) doubts: HashMap<(TxId, Attempt), Doubt>,
    /// When what is pending is to be looked at again.
    pub(super) look_at: Instant,
    /// How often what is pending had changed when it was last looked at.
    pub(super) looked: u64,
}

/// What is prepared, and not heard of yet.
pub(super) struct Doubt {
    /// When home is asked; none if it is being asked.
    pub(super) ask_at: Option<Instant>,
    /// Whether somebody wants to have what it holds: then it is written as soon as it is known to be committed.
    pub(super) is_wanted: bool,
}

impl Doubt {
    /// Home is asked then, if it says nothing by itself.
    pub(super) const fn until(ask_at: Instant) -> Self {
        Self {
            ask_at: Some(ask_at),
            is_wanted: false,
        }
    }
}

impl<S: State> Transactions<S> {
    pub(super) fn new(
        mailbox: WeakMailbox<S>,
        others: Arc<dyn Others>,
        schemas: Arc<Schemas>,
    ) -> Self {
        Self {
            mailbox,
            others,
            schemas,
            pending: Pending::default(),
            locks: Locks::default(),
            claims: Claims::default(),
            runs: BTreeMap::new(),
            orphans: Vec::new(),
            requests: HashMap::new(),
            attempts: 0,
            parked: BTreeMap::new(),
            parked_count: 0,
            tasks: JoinSet::new(),
            next_emission: 0,
            outlet: None,
            unfinished: Unfinished::default(),
            finishing: HashSet::new(),
            done: Vec::new(),
            done_until: Until::default(),
            polled: HashSet::new(),
            doubts: HashMap::new(),
            look_at: Instant::now(),
            looked: 0,
        }
    }
}

impl<S: State> Running<S> {
    pub(super) fn decide_tx(&mut self, job: TxJob, group: &mut Group<S>) {
        match job {
            TxJob::Commit(commit, slot) => self.commit(commit, slot, group),
            TxJob::Decide(id, attempt, offset) => self.decide_run(id, attempt, offset, group),
            TxJob::GiveUp(id, attempt, outcome, why) => {
                self.give_up(id, attempt, &outcome, why, group);
            }
            TxJob::Ask(id, attempt, slot) => self.say_fate(id, attempt, slot, group),
            TxJob::Done(id, attempt) => self.forget_decided(id, attempt),
            TxJob::Prepare(prepare, slot) => self.prepare(*prepare, slot, group),
            TxJob::Poll(poll, slot) => self.poll(&poll, slot, group),
            TxJob::Finish(id, attempt, slot) => {
                let finish = Finish { id, attempt, slot };
                self.finish(finish, group);
            }
            TxJob::Abort(id, attempt) => self.abort(id, attempt, group),
            TxJob::Claim(claim, slot) => self.claim(claim, slot),
            TxJob::Release(id) => self.release(id, group),
        }
    }

    /// The tenure has begun: what is prepared is locked, whoever prepared it.
    pub(super) fn take_up_transactions(&mut self) {
        let tx = &mut self.tx;
        tx.pending = self.replica.fold.pending().clone();
        tx.next_emission = self.tenure.as_ref().map_or(0, |tenure| tenure.next);
        tx.locks = Locks::default();
        let key = |text: &String| crate::key::parse_key::<S>(text).ok();
        for (id, prepared) in tx.pending.prepared() {
            let reads = prepared.reads.iter().filter_map(key);
            let writes = prepared.writes.iter();
            let writes = writes.filter_map(|write| key(&write.key));
            let ranges = prepared.ranges.iter();
            let ranges = ranges.filter_map(|range| range.typed::<S>().ok());
            tx.locks.lock(*id, reads, ranges, writes);
            if let Some(lead) = &prepared.lead {
                let mut orphans = tx.orphans.iter_mut();
                let waiting =
                    orphans.find(|(of, attempt, _)| (of, attempt) == (id, &prepared.attempt));
                let waiting = waiting.map(|(_, _, slots)| std::mem::take(slots));
                let run = Run::adopted(prepared.attempt, lead, waiting.unwrap_or_default());
                tx.runs.insert(*id, run);
                if let Some(request) = &lead.request {
                    tx.requests.insert(request.id.clone(), *id);
                }
            } else {
                // Whoever knew what became of it may be gone.
                tx.doubts
                    .insert((*id, prepared.attempt), Doubt::until(Instant::now()));
            }
        }
        let before = self.replica.fold.before();
        for (_, attempt, slots) in tx.orphans.drain(..) {
            let refusal = if attempt.ballot() == before {
                // So it is in no log, and never will be.
                Refusal::Moved
            } else {
                // Another owner in between may have found it prepared everywhere, and be done with it.
                Refusal::Unknown
            };
            for slot in slots {
                drop(slot.send(Err(refusal.clone())));
            }
        }
        tx.look_at = Instant::now();
    }

    /// The tenure has ended. What is prepared stays, and is taken up by the next one.
    pub(super) fn drop_transactions(&mut self) {
        let tx = &mut self.tx;
        tx.tasks.abort_all();
        tx.outlet = None;
        tx.pending = Pending::default();
        tx.locks = Locks::default();
        tx.claims = Claims::default();
        tx.unfinished = Unfinished::default();
        tx.finishing.clear();
        tx.done.clear();
        tx.done_until = Until::default();
        tx.polled.clear();
        tx.doubts.clear();
        tx.requests.clear();
        for (id, run) in std::mem::take(&mut tx.runs) {
            let (attempt, waiting) = run.leave();
            tx.orphans.push((id, attempt, waiting));
        }
        self.refuse_parked();
    }

    /// There will be no other tenure here: whoever waits may ask the next owner.
    pub(super) fn refuse_orphans(&mut self) {
        for slot in self.tx.orphans.drain(..).flat_map(|(_, _, slots)| slots) {
            drop(slot.send(Err(Refusal::Unknown)));
        }
    }
}

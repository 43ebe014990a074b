//! The one task that changes a partition: decide -> append -> apply -> reply.
//!
//! A command is decided on memory plus the writes that are still in flight before it (speculation, rule 9). Its record
//! goes to the log together with those of all commands that were waiting: a group. Only when the log has acknowledged the group, and rule 3
//! holds, is it applied to memory and answered. No timer delays a lone write: a group is whatever is there.

mod decide;
mod events;
mod group;
mod in_doubt;
mod lead;
mod once;
mod outbox;
mod owed;
mod parked;
mod part;
mod participant;
mod rest;
mod settle;
mod tenure;
mod transact;
mod tx;
mod unfinished;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    sync::{mpsc, watch},
    time::{MissedTickBehavior, sleep_until},
};
use tracing::warn;

#[cfg(all(test, feature = "testing"))]
pub(crate) use self::rest::SOON;
use self::{decide::Speculative, group::Group, once::PendingReply, owed::Owed, tx::Transactions};
use crate::{
    ambient::select,
    broken::{Bug, is_broken},
    budget::Budget,
    config::Config,
    coordinator::Lock,
    log::{AppendError, Offsets, Receipt},
    mailbox::{Job, Refusal, StreamJob, TxJob, WeakMailbox},
    memory::{Changes, Memory},
    metrics::PartitionMetrics,
    record::{BATCH_KEY, Kind, Offset},
    replica::{ReplayError, Replica},
    schemas::Schemas,
    state::State,
    takeover::Tenure,
    tx::Others,
};

/// Groups that may be in flight at once. While one is on its way to the disk, the next ones are decided and handed over, so that the
/// log can take them together; at the bound commands wait in the mailbox.
const GROUPS_IN_FLIGHT_MAX: usize = 64;

/// How often an owner looks at the end of its log although it writes nothing. A late record of a deposed owner may hide the valid value
/// of its key; if nobody saw it for the whole compaction lag, that value would be lost (rules 6 and 7).
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// How often it reads back what it wrote, where the log may lose its tail.
const READ_BACK_EVERY: Duration = Duration::from_millis(200);

/// With so many records that may be lost no more are written: it is the most that the log may lose, and what is remembered of them is bounded.
const TAIL_RECORDS_MAX: usize = 100_000;

/// The bounds of a writer.
#[derive(Clone, Copy, Debug)]
#[allow(clippy::struct_field_names)] // each is a bound, and says so as all bounds do
pub(crate) struct Bounds {
    pub(crate) group_records_max: usize,
    pub(crate) group_bytes_max: usize,
    /// The longest value; a longer one is refused with 413 before it is sent.
    pub(crate) value_bytes_max: usize,
}

impl Bounds {
    /// Those of the settings.
    pub(crate) fn of(config: &Config) -> Self {
        let limits = &config.limits;
        Self {
            group_records_max: limits.group_records_max,
            group_bytes_max: limits.group_bytes_max,
            value_bytes_max: limits.body_bytes_max.saturating_mul(2),
        }
    }
}

/// How far an owner is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// It takes the partition over.
    Starting,
    /// It serves reads, and asks the log for each: the log takes no barrier of it yet, so whoever had the partition before may still write.
    Reading,
    /// It serves.
    Serving,
    /// It takes no new jobs, and settles what it has.
    Leaving,
}

impl Phase {
    /// Whether requests find what they want here.
    pub(crate) fn answers(self) -> bool {
        matches!(self, Self::Reading | Self::Serving)
    }
}

/// What a writer is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// To own the partition.
    Serve,
    /// To settle what it has, and end.
    Leave,
    /// To end at once, since the log does not answer. Whoever waits for it is told that nobody knows.
    Abandon,
}

/// The owner of one partition.
pub(crate) struct Writer<S: State> {
    pub(crate) replica: Replica<S>,
    pub(crate) inbox: mpsc::Receiver<Job<S>>,
    /// The other end of the inbox.
    pub(crate) mailbox: WeakMailbox<S>,
    /// The owners of all partitions, for transactions.
    pub(crate) others: Arc<dyn Others>,
    pub(crate) schemas: Arc<Schemas>,
    pub(crate) phase: watch::Sender<Phase>,
    pub(crate) orders: watch::Receiver<Order>,
    pub(crate) lock: Arc<dyn Lock>,
    pub(crate) bounds: Bounds,
    pub(crate) budget: Arc<Budget>,
    pub(crate) metrics: PartitionMetrics,
    pub(crate) incarnation: u64,
}

impl<S: State> Writer<S> {
    /// Takes the partition over and serves until it is told otherwise, all mailboxes are gone, or the partition has to halt. Gives the replica back, to go on
    /// following.
    pub(crate) async fn run(self) -> (Replica<S>, Result<(), ReplayError>) {
        let mut orders = self.orders.clone();
        let mut running = Running::new(self);
        let ended = select! {
            ended = running.run() => ended,
            // In the middle of whatever it does. What it sent may land: if it does before the next owner's barrier, that one knows the outcome by the request's id.
            Ok(_) = orders.wait_for(|order| *order == Order::Abandon) => Ok(()),
        };
        let applied = running.replica.apply_gathered();
        running.phase.send_replace(Phase::Leaving);
        running.drop_transactions();
        running.refuse_orphans();
        running.refuse_parked();
        // Whoever still waits is told to look for the new owner.
        running.inbox.close();
        while let Ok(job) = running.inbox.try_recv() {
            refuse_all(vec![job], &Refusal::Moved);
        }
        (running.replica, ended.and(applied))
    }
}

/// A writer with what it holds while it runs.
struct Running<S: State> {
    replica: Replica<S>,
    inbox: mpsc::Receiver<Job<S>>,
    phase: watch::Sender<Phase>,
    orders: watch::Receiver<Order>,
    lock: Arc<dyn Lock>,
    bounds: Bounds,
    budget: Arc<Budget>,
    /// What the log takes as one record: key, value and answer.
    record_bytes_max: usize,
    metrics: PartitionMetrics,
    incarnation: u64,
    schema: u64,
    /// The highest epoch that was tried.
    epoch: u64,
    tenure: Option<Tenure>,
    /// Whether the lock was held after the barrier of this tenure had landed.
    nominated: bool,
    in_flight: VecDeque<(Group<S>, Receipt)>,
    owed: Owed,
    /// Keys whose repair is in flight.
    repairs: BTreeSet<Bytes>,
    /// The latest value in flight per key.
    speculation: BTreeMap<S::Key, Speculative<S>>,
    pending_replies: HashMap<Bytes, PendingReply>,
    /// Requests that run now outside of the writer.
    outside: HashMap<Bytes, u128>,
    group_number: u64,
    look: tokio::time::Interval,
    /// How often what may be lost was to be read back in vain.
    vain: u32,
    tx: Transactions<S>,
}

/// What woke the writer.
enum Event<S: State> {
    Settled(Result<Offsets, AppendError>),
    Jobs(Vec<Job<S>>),
    Look,
    /// Transactions are to be looked after.
    Pending,
    /// Nothing came that the rest could have gone with.
    Rest,
    /// Somebody wants to read what is prepared.
    Wanted,
    /// It is told to leave.
    Leave,
    /// Nobody can send anything any more.
    Closed,
}

impl<S: State> Running<S> {
    fn new(writer: Writer<S>) -> Self {
        let schema = writer.replica.readers.fingerprint();
        let partition = &writer.replica.partition;
        let record_bytes_max = writer.replica.log.record_bytes_max(&partition.topic);
        let look_every = if writer.replica.may_lose_its_tail() {
            READ_BACK_EVERY
        } else {
            LOOK_EVERY
        };
        let mut look = tokio::time::interval(look_every);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            record_bytes_max,
            replica: writer.replica,
            inbox: writer.inbox,
            phase: writer.phase,
            orders: writer.orders,
            lock: writer.lock,
            bounds: writer.bounds,
            budget: writer.budget,
            metrics: writer.metrics,
            incarnation: writer.incarnation,
            schema,
            epoch: 0,
            tenure: None,
            nominated: false,
            in_flight: VecDeque::new(),
            owed: Owed::default(),
            repairs: BTreeSet::new(),
            speculation: BTreeMap::new(),
            pending_replies: HashMap::new(),
            outside: HashMap::new(),
            group_number: 0,
            look,
            vain: 0,
            tx: Transactions::new(writer.mailbox, writer.others, writer.schemas),
        }
    }

    /// Whether another node has it, by all that is known: then this one contends no more.
    fn has_lost_it(&self) -> bool {
        self.tenure.is_none() && !self.lock.holds()
    }

    fn memory(&self) -> &Memory<S> {
        &self.replica.memory
    }

    async fn run(&mut self) -> Result<(), ReplayError> {
        // A log without room still serves reads: the takeover is tried again with the first write.
        if let Err(refusal) = self.ensure_tenure().await? {
            if self.has_lost_it() {
                return Ok(());
            }
            self.replica.catch_up(None, |_, _, _| ()).await?;
            warn!(partition = %self.replica.partition, ?refusal, "reads only until the log takes writes");
            self.phase.send_replace(Phase::Reading);
        }
        self.gauge();
        loop {
            match self.next_event().await {
                Event::Settled(Ok(offsets)) => self.acknowledge(&offsets).await?,
                Event::Settled(Err(error)) => self.fail(&error).await?,
                Event::Jobs(mut jobs) => {
                    self.gather(&mut jobs).await;
                    match self.ensure_tenure().await? {
                        Ok(()) => self.decide_group(jobs).await,
                        Err(refusal) => self.refuse(jobs, &refusal).await?,
                    }
                }
                Event::Look => self.look_at_the_end().await?,
                Event::Pending => {
                    // What is in doubt is resolved although nobody asks for anything.
                    drop(self.ensure_tenure().await?);
                }
                Event::Rest => {
                    if self.ensure_tenure().await?.is_ok() {
                        self.write_the_rest();
                    }
                }
                Event::Wanted => {
                    if self.ensure_tenure().await?.is_ok() {
                        self.hurry();
                    }
                }
                Event::Leave => {
                    self.phase.send_replace(Phase::Leaving);
                    self.inbox.close();
                }
                Event::Closed => {
                    self.write_the_last();
                    return self.drain().await;
                }
            }
            if self.has_lost_it() {
                return Ok(());
            }
            self.repair();
            self.expire_claims();
            self.pursue();
            self.send_outbox();
            self.gauge();
            if !self.replica.may_lose_its_tail() {
                self.replica.snapshot_if_due();
            }
        }
    }

    async fn next_event(&mut self) -> Event<S> {
        let Self {
            in_flight,
            inbox,
            bounds,
            look,
            orders,
            tenure,
            tx,
            replica,
            owed,
            ..
        } = self;
        let records_max = tenure
            .as_ref()
            .map_or(usize::MAX, |tenure| tenure.producer.records_in_flight_max());
        let records = in_flight.iter().map(|(group, _)| group.records.len());
        let records: usize = records.sum();
        let room = in_flight.len() < GROUPS_IN_FLIGHT_MAX
            && records < records_max
            && replica.tail() < TAIL_RECORDS_MAX;
        let idle = in_flight.is_empty();
        let looks = idle || replica.may_lose_its_tail();
        let open = !inbox.is_closed();
        let look_at = tx.look_at;
        let any =
            !replica.fold.pending().is_empty() || !tx.claims.is_empty() || !tx.orphans.is_empty();
        let rest = [&owed.until, &tx.unfinished.until, &tx.done_until];
        let rest_at = rest.into_iter().filter_map(|until| until.0).min();
        let (hastens, wanted) = (tx.can_be_hastened(), replica.memory.held().wanted());
        let mut jobs = Vec::new();
        select! {
            Ok(_) = orders.wait_for(|order| *order != Order::Serve), if open => Event::Leave,
            settled = async { (&mut in_flight[0].1).await }, if !idle => Event::Settled(settled),
            count = inbox.recv_many(&mut jobs, bounds.group_records_max), if room => {
                if count == 0 { Event::Closed } else { Event::Jobs(jobs) }
            }
            () = sleep_until(look_at), if any => Event::Pending,
            () = sleep_until(rest_at.unwrap_or(look_at)), if rest_at.is_some() => Event::Rest,
            () = wanted, if hastens => Event::Wanted,
            _ = look.tick(), if looks => Event::Look,
        }
    }

    /// Adds what the requests that are ready to run at this moment will ask for. The runtime wakes a writer next after the first of
    /// them, so without this every group would be a group of one. No clock is involved: a lone write goes through at once.
    async fn gather(&mut self, jobs: &mut Vec<Job<S>>) {
        tokio::task::yield_now().await;
        while jobs.len() < self.bounds.group_records_max
            && let Ok(job) = self.inbox.try_recv()
        {
            jobs.push(job);
        }
    }

    /// Refuses what can't be decided. Who only reads needs no barrier: the log says by now what there is, whoever owns it.
    async fn refuse(&mut self, jobs: Vec<Job<S>>, refusal: &Refusal) -> Result<(), ReplayError> {
        let reads = *self.phase.borrow() == Phase::Reading;
        let (mut fences, mut others) = (Vec::new(), Vec::new());
        for job in jobs {
            match job {
                Job::Fence(slot) if reads => fences.push(slot),
                other => others.push(other),
            }
        }
        refuse_all(others, refusal);
        if fences.is_empty() {
            return Ok(());
        }
        self.replica.catch_up(None, |_, _, _| ()).await?;
        let last = self.memory().applied().saturating_sub(1);
        for slot in fences {
            drop(slot.send(Ok(last)));
        }
        Ok(())
    }

    /// Waits for what is in flight, so that no acknowledged outcome is left unsaid.
    async fn drain(&mut self) -> Result<(), ReplayError> {
        while let Some((_, receipt)) = self.in_flight.front_mut() {
            match receipt.await {
                Ok(offsets) => self.acknowledge(&offsets).await?,
                Err(error) => self.fail(&error).await?,
            }
        }
        Ok(())
    }

    fn append(&mut self, mut group: Group<S>) {
        if group.records.is_empty() && !group.batched {
            return;
        }
        #[allow(clippy::cast_precision_loss)] // a group has at most some thousand records
        self.metrics
            .group_records
            .observe(group.records.len() as f64);
        group.sent = self.replica.moment();
        self.end_done(&mut group);
        self.finish_all(&mut group);
        if group.batched {
            // A batch must not outlast the deletion of what it wrote: with everything there on its own, it goes.
            let close = self.record(Kind::FollowUp, Bytes::from_static(BATCH_KEY), None);
            self.push(&mut group, close, Changes::None);
            if !group.is_rest {
                self.owe(group.split_follow_ups());
            }
        }
        let before: usize = self.in_flight.iter().map(|(it, _)| it.records.len()).sum();
        let tenure = self
            .tenure
            .as_mut()
            .expect("a group is made only with a tenure");
        if self.replica.may_lose_its_tail() {
            let places = tenure.next + before as Offset..;
            for (record, place) in group.records.iter_mut().zip(places) {
                record.place = Some(place);
            }
        }
        if is_broken(Bug::EarlyReply) {
            for waiting in std::mem::take(&mut group.waiting) {
                let place = tenure.next + (before + waiting.record) as Offset;
                waiting.reply.send(Some(place));
            }
        }
        let receipt = tenure.producer.append(&group.records);
        self.in_flight.push_back((group, receipt));
    }

    fn gauge(&self) {
        let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        self.metrics.queue.set(count(self.inbox.len()));
        self.metrics.keys.set(count(self.memory().len()));
        self.metrics.bytes.set(self.memory().summary().bytes);
        self.metrics
            .position
            .set(i64::try_from(self.memory().applied()).unwrap_or(i64::MAX));
        self.metrics.replies.set(count(self.replica.fold.replies()));
        let outbox = self.replica.fold.pending().outbox();
        self.metrics.outbox.set(count(outbox.len()));
    }
}

fn refuse_all<S: State>(jobs: Vec<Job<S>>, refusal: &Refusal) {
    for job in jobs {
        let refusal = refusal.clone();
        match job {
            Job::Command(command) => drop(command.slot.send(Err(refusal))),
            Job::Fence(slot) => drop(slot.send(Err(refusal))),
            Job::Remember(_, _, slot) => drop(slot.send(Err(refusal))),
            Job::Recall(_, slot) => drop(slot.send(Err(refusal))),
            Job::Tx(job) => refuse_tx(job, refusal),
            Job::Events(_, slot) => drop(slot.send(Err(refusal))),
            Job::Stream(StreamJob::Reached(_, slot)) => drop(slot.send(Err(refusal))),
            Job::Forget(_) | Job::Stream(StreamJob::Sent(_)) => {}
        }
    }
}

fn refuse_tx(job: TxJob, refusal: Refusal) {
    match job {
        TxJob::Commit(_, slot) => drop(slot.send(Err(refusal))),
        TxJob::Ask(_, _, slot) => drop(slot.send(Err(refusal))),
        TxJob::Prepare(_, slot) => drop(slot.send(Err(refusal))),
        TxJob::Poll(_, slot) => drop(slot.send(Err(refusal))),
        TxJob::Finish(_, _, Some(slot)) | TxJob::Claim(_, slot) => {
            drop(slot.send(Err(refusal)));
        }
        TxJob::Decide(..)
        | TxJob::GiveUp(..)
        | TxJob::Done(..)
        | TxJob::Finish(..)
        | TxJob::Abort(..)
        | TxJob::Release(..) => {}
    }
}

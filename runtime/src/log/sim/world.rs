//! The model itself: one place that knows everything, moved on by whoever looks.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use fastrand::Rng;
use tokio::{sync::Notify, time::Instant};

use super::{Compaction, Faults};
use crate::{
    log::{
        AppendError, KeptLayout, LogError, Offsets, STREAM_FORMAT, Topic, TopicPartition,
        no_stream, stream,
    },
    record::{Ballot, Kind, Offset, RESERVED_KEY_PREFIX, Record},
};

mod contents;

pub(super) type ClientId = u64;
pub(super) type ProducerId = u64;
pub(super) type RequestId = u64;

/// An append lands in at most so many pieces.
const PIECES_MAX: usize = 3;

#[derive(Debug)]
pub(super) struct World {
    rng: Rng,
    faults: Faults,
    pub(super) full: bool,
    /// What becomes of the next append.
    pub(super) cue: Option<Cue>,
    topics: BTreeMap<String, Topic>,
    layouts: BTreeMap<(String, u64), KeptLayout>,
    partitions: BTreeMap<TopicPartition, Partition>,
    ids: u64,
    producers: BTreeMap<ProducerId, ProducerModel>,
    closed: HashSet<ClientId>,
    cut_off: HashSet<ClientId>,
    requests: BTreeMap<RequestId, Request>,
    /// What lands when: the request, and how many of its records.
    landings: BTreeMap<(Instant, u64), (RequestId, usize)>,
    next_compaction: Option<Instant>,
    pub(super) tails_lost: usize,
    /// Told when something is sent, or appended by others.
    sent: Arc<Notify>,
    /// Told when a client is not cut off any more.
    mended: Arc<Notify>,
}

/// What a test wants of the next append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cue {
    /// It is refused, and nothing of it is ever there.
    Fail,
    /// It lands, and whoever sent it does not learn of it.
    LoseAck,
}

#[derive(Debug, Default)]
struct Partition {
    log: Vec<Entry>,
    history: Vec<(Offset, Record)>,
    /// When readers see each record of the history. Until then it may be lost.
    seen_at: Vec<Instant>,
}

impl Partition {
    /// As far as readers see.
    fn seen_end(&self, now: Instant) -> Offset {
        self.seen_at.partition_point(|at| *at <= now) as Offset
    }
}

#[derive(Clone, Debug)]
struct Entry {
    offset: Offset,
    record: Record,
    landed: Instant,
}

#[derive(Debug)]
struct ProducerModel {
    client: ClientId,
    partition: TopicPartition,
    /// When the last piece that it sent lands; the next can't before.
    last_landing: Instant,
    /// When its last acknowledgement comes.
    last_ack: Instant,
    state: ProducerState,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum ProducerState {
    Working,
    /// It is gone or will find out that it failed, at this time; what it still sends may land if everything before did.
    Failing {
        known: Instant,
        may_land: bool,
    },
    /// There was no room for something that it sent.
    Full,
}

#[derive(Debug)]
struct Request {
    producer: ProducerId,
    /// Those that have not landed, in order.
    records: Vec<Record>,
    landed: Offsets,
    acknowledged: Instant,
    /// It is acknowledged when readers see it.
    is_barrier: bool,
    /// The error that it ends with; none if it is acknowledged once everything landed.
    error: Option<AppendError>,
}

impl World {
    pub(super) fn new(seed: u64, faults: Faults, now: Instant) -> Self {
        let mut world = Self {
            rng: Rng::with_seed(seed),
            faults: Faults::none(),
            full: false,
            cue: None,
            topics: BTreeMap::new(),
            layouts: BTreeMap::new(),
            partitions: BTreeMap::new(),
            ids: 0,
            producers: BTreeMap::new(),
            closed: HashSet::new(),
            cut_off: HashSet::new(),
            requests: BTreeMap::new(),
            landings: BTreeMap::new(),
            next_compaction: None,
            tails_lost: 0,
            sent: Arc::default(),
            mended: Arc::default(),
        };
        world.set_faults(faults, now);
        world
    }

    pub(super) fn records_in_flight_max(&self) -> usize {
        self.faults.records_in_flight_max
    }

    pub(super) fn set_faults(&mut self, faults: Faults, now: Instant) {
        self.next_compaction = faults
            .compaction
            .as_ref()
            .map(|compaction| now + compaction.every);
        self.faults = faults;
    }

    /// Lets everything happen that is due, in its order.
    pub(super) fn advance(&mut self, now: Instant) {
        loop {
            let landing = self
                .landings
                .keys()
                .next()
                .copied()
                .filter(|(at, _)| *at <= now);
            let compaction = self.next_compaction.filter(|at| *at <= now);
            match (landing, compaction) {
                (Some(key), compaction) if compaction.is_none_or(|at| key.0 <= at) => {
                    let (request, count) =
                        self.landings.remove(&key).expect("it was just found there");
                    self.land(request, count, key.0);
                }
                (_, Some(at)) => {
                    let every = self
                        .faults
                        .compaction
                        .as_ref()
                        .map(|compaction| compaction.every);
                    self.next_compaction =
                        every.map(|every| at + every.max(Duration::from_millis(1)));
                    // Events are not values of keys: they stay.
                    let all = self.partitions.keys();
                    let kept = all.filter(|partition| self.is_changelog(&partition.topic));
                    for partition in kept.cloned().collect::<Vec<_>>() {
                        self.compact(&partition, at);
                    }
                }
                _ => return,
            }
        }
    }

    fn chance(&mut self, share: f64) -> bool {
        self.rng.f64() < share
    }

    fn id(&mut self) -> u64 {
        self.ids += 1;
        self.ids
    }

    fn up_to(&mut self, from: Duration, to: Duration) -> Duration {
        let micros = |duration: Duration| u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let (from, to) = (micros(from), micros(to).max(micros(from)));
        Duration::from_micros(self.rng.u64(from..=to))
    }

    pub(super) fn delay(&mut self) -> Duration {
        self.up_to(self.faults.delay_min, self.faults.delay_max)
    }

    pub(super) fn new_client(&mut self) -> ClientId {
        self.id()
    }

    pub(super) fn set_cut_off(&mut self, client: ClientId, cut_off: bool, now: Instant) {
        if !cut_off {
            self.cut_off.remove(&client);
            self.mended.notify_waiters();
            return;
        }
        self.cut_off.insert(client);
        // What is on its way lands, and its acknowledgement gets lost.
        let known = now + self.faults.ack_timeout;
        let producers = self.producers.iter_mut();
        let mut cut = HashSet::new();
        for (id, producer) in producers.filter(|(_, producer)| producer.client == client) {
            cut.insert(*id);
            if producer.state == ProducerState::Working {
                producer.last_ack = producer.last_ack.max(known);
                producer.state = ProducerState::Failing {
                    known,
                    may_land: false,
                };
            }
        }
        for request in self.requests.values_mut() {
            if cut.contains(&request.producer) && request.acknowledged > now {
                request.acknowledged = request.acknowledged.max(known);
                request.error.get_or_insert_with(unknown);
            }
        }
    }

    pub(super) fn is_cut_off(&self, client: ClientId) -> bool {
        self.cut_off.contains(&client)
    }

    pub(super) fn mended(&self) -> Arc<Notify> {
        Arc::clone(&self.mended)
    }

    pub(super) fn declare(&mut self, topic: &Topic) -> Result<(), LogError> {
        if let Some(kept) = self.topics.get(&topic.name) {
            let Some(what) = kept.difference(topic) else {
                return Ok(());
            };
            return Err(LogError::Shape {
                topic: topic.name.clone(),
                what,
            });
        }
        self.topics.insert(topic.name.clone(), topic.clone());
        for partition in 0..topic.partitions {
            let partition = TopicPartition::new(topic.name.as_str(), partition);
            self.partitions.insert(partition, Partition::default());
        }
        Ok(())
    }

    /// A topic of events, made if it is not there.
    pub(super) fn open_stream(&mut self, topic: &str, partitions: u32) -> Result<u32, LogError> {
        match self.topics.get(topic) {
            Some(kept) if kept.format == STREAM_FORMAT => Ok(kept.partitions),
            Some(_) => Err(no_stream(topic)),
            None => {
                self.declare(&stream(topic, partitions))?;
                Ok(partitions)
            }
        }
    }

    pub(super) fn is_changelog(&self, topic: &str) -> bool {
        let topic = self.topics.get(topic);
        topic.is_some_and(|topic| topic.format != STREAM_FORMAT)
    }

    pub(super) fn layouts(&self, topic: &str) -> Vec<KeptLayout> {
        let of_topic = self.layouts.iter().filter(|((name, _), _)| name == topic);
        of_topic.map(|(_, layout)| layout.clone()).collect()
    }

    pub(super) fn keep_layout(&mut self, topic: &str, layout: &KeptLayout) {
        let key = (topic.to_owned(), layout.fingerprint);
        self.layouts.insert(key, layout.clone());
    }

    fn partition(&self, partition: &TopicPartition) -> Result<&Partition, LogError> {
        self.partitions
            .get(partition)
            .ok_or_else(|| LogError::UnknownPartition(partition.clone()))
    }

    pub(super) fn new_producer(
        &mut self,
        client: ClientId,
        partition: &TopicPartition,
    ) -> Result<ProducerId, LogError> {
        self.partition(partition)?;
        let id = self.id();
        let now = Instant::now();
        self.producers.insert(
            id,
            ProducerModel {
                client,
                partition: partition.clone(),
                last_landing: now,
                last_ack: now,
                state: ProducerState::Working,
            },
        );
        Ok(id)
    }

    fn producer(&mut self, id: ProducerId) -> &mut ProducerModel {
        self.producers
            .get_mut(&id)
            .expect("producers are never forgotten")
    }

    /// Sends records: decides when and whether they land, and when their sender learns of it.
    pub(super) fn send(
        &mut self,
        id: ProducerId,
        records: Vec<Record>,
        now: Instant,
    ) -> Result<RequestId, AppendError> {
        let refuse = |why: &str| Err(AppendError::Refused(why.to_owned()));
        let client = self.producer(id).client;
        if self.closed.contains(&client) {
            return refuse("it is closed");
        }
        match self.producer(id).state {
            ProducerState::Full => return refuse("an earlier append of this producer failed"),
            ProducerState::Failing { known, .. } if known <= now => {
                return refuse("an earlier append of this producer failed");
            }
            _ => {}
        }
        let cue = self.cue.take();
        if cue == Some(Cue::Fail) {
            self.producer(id).state = ProducerState::Full;
            return refuse("the test wants it so");
        }
        let lost = cue.is_some() || self.chance(self.faults.ack_lost);
        if self.producer(id).state == ProducerState::Working && lost {
            self.begin_to_fail(id, true, now);
        }
        if self.cut_off.contains(&client) {
            self.begin_to_fail(id, false, now);
        }
        let lands = match self.producer(id).state {
            // What lands of a producer is a prefix of what it sent.
            ProducerState::Failing {
                may_land: false, ..
            } => 0,
            ProducerState::Failing { .. } if cue.is_none() => self.lands_of_failing(records.len()),
            _ => records.len(),
        };
        if let ProducerState::Failing { may_land, .. } = &mut self.producer(id).state
            && lands < records.len()
        {
            *may_land = false;
        }

        self.sent.notify_waiters();
        let request = self.id();
        let mut at = self.producer(id).last_landing;
        if self.producer(id).state != ProducerState::Working {
            at = at.max(now + self.up_to(Duration::ZERO, self.faults.late_max));
        }
        let pieces = if self.chance(self.faults.split) {
            self.rng.usize(1..=PIECES_MAX)
        } else {
            1
        };
        let mut left = lands;
        for piece in 0..pieces {
            let count = if piece + 1 == pieces {
                left
            } else {
                self.rng.usize(0..=left)
            };
            if count == 0 {
                continue;
            }
            at = at.max(now + self.delay());
            let key = (at, self.id());
            self.landings.insert(key, (request, count));
            left -= count;
        }
        let delay = self.delay();
        let producer = self.producer(id);
        producer.last_landing = at;
        let (acknowledged, error) = match producer.state {
            ProducerState::Failing { known, .. } => (known, Some(unknown())),
            _ => (producer.last_ack.max(at.max(now) + delay), None),
        };
        producer.last_ack = acknowledged;
        let is_barrier = records.iter().any(|record| record.kind == Kind::Barrier);
        self.requests.insert(
            request,
            Request {
                producer: id,
                is_barrier,
                records,
                landed: Vec::new(),
                acknowledged,
                error,
            },
        );
        Ok(request)
    }

    /// It will find out that it failed, once it has waited for long enough.
    fn begin_to_fail(&mut self, id: ProducerId, may_land: bool, now: Instant) {
        let timeout = self.faults.ack_timeout;
        let producer = self.producer(id);
        let known = producer.last_ack.max(now + timeout);
        producer.state = ProducerState::Failing { known, may_land };
    }

    /// How many of `count` records land that a producer sends which is gone or about to fail.
    fn lands_of_failing(&mut self, count: usize) -> usize {
        if self.chance(self.faults.late_whole) {
            count
        } else if self.chance(self.faults.late_torn) {
            self.rng.usize(0..=count)
        } else {
            0
        }
    }

    fn land(&mut self, id: RequestId, count: usize, at: Instant) {
        let Some(producer) = self.requests.get(&id).map(|request| request.producer) else {
            return;
        };
        let partition = self.producer(producer).partition.clone();
        if self.full {
            self.no_room(producer, id);
            return;
        }
        if self.chance(self.faults.foreign)
            && let Some(record) = self.foreign_record(&partition)
        {
            self.append(&partition, record, at);
        }
        let request = self.requests.get_mut(&id).expect("it was just found there");
        let records: Vec<Record> = request.records.drain(..count).collect();
        for record in records {
            let offset = self.append(&partition, record, at);
            self.requests
                .get_mut(&id)
                .expect("it is still there")
                .landed
                .push(offset);
        }
        let seen_at = self.partitions[&partition].seen_at.last().copied();
        let request = self.requests.get_mut(&id).expect("it is still there");
        if request.is_barrier {
            request.acknowledged = request.acknowledged.max(seen_at.unwrap_or(at));
        }
        if self.faults.tail_lost > 0.0 && self.chance(self.faults.tail_lost) {
            self.lose_tail(&partition, at);
        }
    }

    /// The leader of a partition is lost, and with it some of what readers have not seen.
    fn lose_tail(&mut self, partition: &TopicPartition, now: Instant) {
        let of = self
            .partitions
            .get_mut(partition)
            .expect("the partition is declared");
        let (seen, end) = (of.seen_end(now), of.history.len() as Offset);
        if seen == end {
            return;
        }
        let cut = self.rng.u64(seen..end);
        of.history.retain(|(offset, _)| *offset < cut);
        of.seen_at.truncate(of.history.len());
        of.log.retain(|entry| entry.offset < cut);
        self.tails_lost += 1;
        for request in self.requests.values_mut() {
            let of = &self.producers[&request.producer].partition;
            let is_lost = request.landed.iter().any(|offset| *offset >= cut);
            if request.is_barrier && of == partition && is_lost && request.acknowledged > now {
                request.error.get_or_insert_with(unknown);
            }
        }
    }

    /// Nothing of this request, nor of what its producer sent behind it, lands.
    fn no_room(&mut self, producer: ProducerId, id: RequestId) {
        self.producer(producer).state = ProducerState::Full;
        for (_, request) in self.requests.range_mut(id..) {
            if request.producer == producer && request.error.is_none() {
                request.error = Some(if request.landed.is_empty() {
                    AppendError::Full("the simulated disk is full".to_owned())
                } else {
                    unknown()
                });
            }
        }
        let requests = &self.requests;
        self.landings.retain(|_, (request, _)| {
            requests
                .get(request)
                .is_none_or(|request| request.producer != producer)
        });
    }

    /// Someone writes something to a key that is in use.
    fn foreign_record(&mut self, partition: &TopicPartition) -> Option<Record> {
        let keys: Vec<Bytes> = self.partitions[partition]
            .log
            .iter()
            .filter(|entry| entry.record.key.first() != Some(&RESERVED_KEY_PREFIX))
            .map(|entry| entry.record.key.clone())
            .collect();
        let key = self.rng.choice(keys)?;
        let value = self
            .rng
            .bool()
            .then(|| Bytes::from(format!("{}", self.rng.u32(..))));
        Some(Record {
            place: None,
            ballot: Ballot::FOREIGN,
            kind: Kind::Data,
            timestamp_ms: 0,
            schema: 0,
            answered: None,
            key,
            value,
        })
    }

    pub(super) fn append(
        &mut self,
        partition: &TopicPartition,
        record: Record,
        landed: Instant,
    ) -> Offset {
        let seen_at = if self.faults.replication_max.is_zero() {
            landed
        } else {
            landed + self.up_to(Duration::ZERO, self.faults.replication_max)
        };
        let partition = self
            .partitions
            .get_mut(partition)
            .expect("the partition is declared");
        let offset = partition.history.len() as Offset;
        partition.history.push((offset, record.clone()));
        let last = partition.seen_at.last().copied();
        partition
            .seen_at
            .push(last.map_or(seen_at, |last| last.max(seen_at)));
        partition.log.push(Entry {
            offset,
            record,
            landed,
        });
        self.sent.notify_waiters();
        offset
    }

    /// The outcome of a request, or when to ask again.
    pub(super) fn outcome(
        &mut self,
        id: RequestId,
        now: Instant,
    ) -> Result<Result<Offsets, AppendError>, Instant> {
        let request = self
            .requests
            .get(&id)
            .expect("requests are never forgotten");
        if now < request.acknowledged {
            return Err(request.acknowledged);
        }
        Ok(match &request.error {
            Some(error) => Err(error.clone()),
            None => Ok(request.landed.clone()),
        })
    }

    /// What is on its way from a producer that is gone lands late, in part, or never.
    fn scatter(&mut self, producer: ProducerId, now: Instant) {
        let pending: Vec<_> = self
            .landings
            .iter()
            .filter(|(_, (request, _))| {
                self.requests
                    .get(request)
                    .is_some_and(|request| request.producer == producer)
            })
            .map(|(key, landing)| (*key, *landing))
            .collect();
        if pending.is_empty() {
            return;
        }
        let late = self.up_to(Duration::ZERO, self.faults.late_max);
        let mut may_land = true;
        for (key, (request, count)) in pending {
            self.landings.remove(&key);
            let lands = if may_land {
                self.lands_of_failing(count)
            } else {
                0
            };
            may_land &= lands == count;
            if lands > 0 {
                self.landings
                    .insert((key.0 + late, key.1), (request, lands));
            }
            let timeout = now + self.faults.ack_timeout;
            let request = self
                .requests
                .get_mut(&request)
                .expect("it was just found there");
            if lands < count || late > Duration::ZERO {
                request.error.get_or_insert_with(unknown);
                request.acknowledged = request.acknowledged.max(timeout);
            }
        }
    }

    pub(super) fn drop_producer(&mut self, id: ProducerId, now: Instant) {
        self.scatter(id, now);
        let producer = self.producer(id);
        if producer.state == ProducerState::Working {
            producer.state = ProducerState::Failing {
                known: now,
                may_land: false,
            };
        }
    }

    pub(super) fn crash(&mut self, client: ClientId, now: Instant) {
        self.closed.insert(client);
        let producers: Vec<_> = self
            .producers
            .iter()
            .filter(|(_, producer)| producer.client == client)
            .map(|(id, _)| *id)
            .collect();
        for producer in producers {
            self.drop_producer(producer, now);
        }
    }

    /// Refuses later appends of a client. When to ask again, if some of it is not settled.
    pub(super) fn close(&mut self, client: ClientId) -> Option<Instant> {
        self.closed.insert(client);
        let last = self
            .producers
            .values()
            .filter(|producer| producer.client == client)
            .map(|producer| producer.last_ack)
            .max();
        last.filter(|at| *at > Instant::now())
    }
}

fn unknown() -> AppendError {
    AppendError::Unknown("the simulated acknowledgement was lost".to_owned())
}

//! One partition that is read, and waited for.

use std::{
    collections::HashSet,
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use rdkafka::{
    Message, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _, base_consumer::PartitionQueue},
    error::KafkaError,
};
use tokio::sync::{Mutex, Notify, OwnedMutexGuard};
use tracing::{debug, warn};

use super::{
    UNPOISONED,
    chunk::ChunkBuilder,
    context::Context,
    error::{is_permanent, is_unknown},
    trouble::{Trouble, Unanswered},
};
use crate::{
    log::{Chunk, LogError, TopicPartition},
    record::Offset,
};

/// How long a call to a broker may take before it is made again.
const CALL: Duration = Duration::from_secs(2);
/// How long to wait after a call that failed.
const BACKOFF: Duration = Duration::from_millis(50);
/// How long to wait for a record that is known to be there, before the leader is asked again.
const WAIT: Duration = Duration::from_millis(500);
/// How long to wait for more of what is known to be there, once there is something.
const FILL: Duration = Duration::from_millis(10);
/// A partition is given back when nobody read it or waited for it for so long.
const IDLE: Duration = Duration::from_secs(2);
/// How often who waits looks again without having been told.
const LOOK: Duration = Duration::from_secs(1);
/// How often it looks while somebody reads.
const LOOK_WHILE_READ: Duration = Duration::from_millis(2);
/// How often it looks while somebody else reads further back, or something went wrong.
const LOOK_ASIDE: Duration = Duration::from_millis(50);
/// For how long brokers may not know a topic, as is so while they start, before it is held to be gone.
const UNKNOWN_TOPIC: Duration = Duration::from_secs(15);
/// How long to ask for the end of a partition, if somebody only wants to know, or to read a log that is closed.
const ASK: Duration = Duration::from_secs(5);
/// For how long a partition has to end before what is known of it, until that is believed. A broker that was stopped leads in its own view until it
/// hears of its successor, and tells whoever knows of none either where the partition ended in its time.
const DOUBT: Duration = Duration::from_secs(5);

/// The topics whose leaders the consumer was made to look for.
pub(super) type KnownTopics = std::sync::Mutex<HashSet<String>>;

/// One partition that is read.
pub(super) struct Follower {
    partition: TopicPartition,
    /// Its topic's name in Kafka, and its number there.
    topic: String,
    number: i32,
    consumer: Arc<BaseConsumer<Context>>,
    /// Asks leaders, and is not behind what they are asked to send.
    asker: Arc<BaseConsumer<Context>>,
    /// Told when there is something in the queue.
    filled: Arc<Notify>,
    /// Those who wait for more.
    waiting: AtomicUsize,
    known: Arc<KnownTopics>,
    closed: Arc<AtomicBool>,
    /// As far as leaders have said that the partition reaches.
    reached: AtomicU64,
    /// Since when no leader has answered.
    unanswered: std::sync::Mutex<Unanswered>,
    /// A partition has become shorter, or could not be asked for too long: nobody goes on with these clients.
    outdated: Arc<AtomicBool>,
    state: Arc<Mutex<State>>,
}

struct State {
    queue: PartitionQueue<Context>,
    /// Whether the consumer fetches the partition.
    assigned: bool,
    /// The next read goes on here if it begins here, which is where the last one ended.
    position: Option<Offset>,
    /// What was taken from the queue, and not read yet.
    stash: ChunkBuilder,
    /// As far as the leader said that the partition reaches.
    end: Offset,
    /// From here to there is nothing that readers see, but marks of somebody's transactions.
    hole: Option<(Offset, Offset)>,
    used: Instant,
}

/// What whoever waits sees.
enum Look {
    Grown,
    Again(Duration),
}

/// What a queue gave.
enum Event {
    Record,
    /// At that moment there was no more.
    End,
    Nothing,
    Failed(KafkaError),
    Unreadable(LogError),
}

impl Follower {
    pub(super) fn new(
        consumer: &Arc<BaseConsumer<Context>>,
        asker: &Arc<BaseConsumer<Context>>,
        partition: &TopicPartition,
        topic: &str,
        known: Arc<KnownTopics>,
        closed: Arc<AtomicBool>,
        outdated: Arc<AtomicBool>,
    ) -> Result<Self, LogError> {
        let number =
            i32::try_from(partition.partition).expect("a declared partition is one that Kafka has");
        // Once it is split off it stays so, whether the partition is assigned or not.
        let mut queue = consumer
            .split_partition_queue(topic, number)
            .ok_or_else(|| LogError::UnknownPartition(partition.clone()))?;
        let filled = Arc::new(Notify::new());
        let fills = Arc::clone(&filled);
        queue.set_nonempty_callback(move || fills.notify_waiters());
        Ok(Self {
            partition: partition.clone(),
            topic: topic.to_owned(),
            number,
            consumer: Arc::clone(consumer),
            asker: Arc::clone(asker),
            filled,
            waiting: AtomicUsize::new(0),
            known,
            closed,
            reached: AtomicU64::new(0),
            unanswered: std::sync::Mutex::default(),
            outdated,
            state: Arc::new(Mutex::new(State {
                queue,
                assigned: false,
                position: None,
                stash: ChunkBuilder::default(),
                end: 0,
                hole: None,
                used: Instant::now(),
            })),
        })
    }

    /// Reads about `bytes_max` bytes at or after `from`; nothing at all, if that is for new clients to do.
    pub(super) async fn read(
        self: Arc<Self>,
        from: Offset,
        bytes_max: usize,
    ) -> Result<Option<Chunk>, LogError> {
        let state = Arc::clone(&self.state).lock_owned().await;
        self.blocking(move |follower| follower.read_now(state, from, bytes_max))
            .await
    }

    /// The first offset that is there, and the one after the last; nothing at all, if that is for new clients to ask.
    pub(super) async fn range(self: Arc<Self>) -> Result<Option<(Offset, Offset)>, LogError> {
        self.blocking(|follower| follower.ask(0, Trouble::until(Instant::now() + ASK)))
            .await
    }

    /// Waits until a read at `from` gets further.
    pub(super) async fn grown(self: Arc<Self>, from: Offset) -> Result<(), LogError> {
        let _waiting = Waiting::new(&self.waiting);
        loop {
            // Told of all that comes from now on, before it looks.
            let filled = self.filled.notified();
            let look = match self.look(from).await? {
                Look::Grown => return Ok(()),
                Look::Again(after) => after,
            };
            if self.is_outdated() {
                return Ok(());
            }
            if self.closed.load(Ordering::Acquire) {
                return std::future::pending().await;
            }
            tokio::select! {
                () = filled => {}
                () = tokio::time::sleep(look) => {}
            }
        }
    }

    /// Whether there is something at or after `from`, or when to look again unless something comes before. The state is free again then: whoever
    /// waits may not be polled for long.
    async fn look(self: &Arc<Self>, from: Offset) -> Result<Look, LogError> {
        let Ok(mut state) = Arc::clone(&self.state).try_lock_owned() else {
            // Somebody reads.
            return Ok(Look::Again(LOOK_WHILE_READ));
        };
        let again = match state.position {
            Some(position) if position > from => return Ok(Look::Grown),
            Some(position) if position == from => {
                state.used = Instant::now();
                if self.peek(&mut state) {
                    return Ok(Look::Grown);
                }
                if state.position.is_none() {
                    LOOK_ASIDE
                } else {
                    LOOK
                }
            }
            // Somebody reads further back, and is not to be disturbed.
            Some(_) if state.used.elapsed() < IDLE => {
                drop(state);
                let range = Arc::clone(self).range().await;
                if range.is_ok_and(|range| range.is_some_and(|(_, end)| end > from)) {
                    return Ok(Look::Grown);
                }
                LOOK_ASIDE
            }
            _ => {
                let grown = Arc::clone(self)
                    .blocking(move |follower| follower.wait_from(state, from))
                    .await?;
                if grown {
                    return Ok(Look::Grown);
                }
                Duration::ZERO
            }
        };
        Ok(Look::Again(again))
    }

    /// Runs something that waits for brokers, on a thread where that is no harm.
    async fn blocking<R: Send + 'static>(
        self: Arc<Self>,
        run: impl FnOnce(&Self) -> Result<R, LogError> + Send + 'static,
    ) -> Result<R, LogError> {
        let partition = self.partition.clone();
        tokio::task::spawn_blocking(move || run(&self))
            .await
            .unwrap_or_else(|error| {
                Err(LogError::Io {
                    what: format!("can't read {partition}"),
                    source: io::Error::other(error),
                })
            })
    }

    fn read_now(
        &self,
        mut guard: OwnedMutexGuard<State>,
        from: Offset,
        bytes_max: usize,
    ) -> Result<Option<Chunk>, LogError> {
        let state = &mut *guard;
        state.used = Instant::now();
        let mut chunk = std::mem::take(&mut state.stash);
        if state.position != Some(from) {
            chunk = ChunkBuilder::default();
            state.position = None;
        }
        let mut trouble = Trouble::endless();
        // The partition was assigned after the leader had said that it reaches as far as this: only then the queue's end says that there is nothing.
        let mut assigned_at = None;
        loop {
            let mut unreadable = None;
            while state.position == Some(from) {
                let more = chunk.next().is_some_and(|next| next < state.end);
                match self.step(state, &mut chunk, if more { FILL } else { Duration::ZERO }) {
                    Event::Record if chunk.size_bytes() < bytes_max => {}
                    Event::Record | Event::End | Event::Nothing => break,
                    Event::Failed(error) => {
                        state.position = None;
                        if chunk.is_empty() {
                            self.endure(&mut trouble, &error)?;
                        }
                    }
                    Event::Unreadable(error) => {
                        state.position = None;
                        unreadable = Some(error);
                    }
                }
            }
            state.used = Instant::now();
            if let Some(next) = chunk.next() {
                if state.position.is_some() {
                    state.position = Some(next);
                }
                self.reached.fetch_max(next, Ordering::AcqRel);
                return Ok(Some(chunk.finish(next)));
            }
            if let Some(error) = unreadable {
                return Err(error);
            }

            let Some((start, end)) = self.ask(from, Trouble::endless())? else {
                return Ok(None);
            };
            self.check(from, start, end)?;
            if self.is_outdated() {
                return Ok(None);
            }
            if from == end || state.hole == Some((from, end)) {
                return Ok(Some(chunk.finish(from)));
            }
            // A log that is closed can be read, but is not worth an endless wait.
            if self.closed.load(Ordering::Acquire) && trouble.lasts(Instant::now()) > ASK {
                return Err(LogError::Io {
                    what: format!("can't read {} from Kafka", self.partition),
                    source: io::Error::other("the log is closed, and nothing comes"),
                });
            }
            state.end = end;
            if state.position.is_none() {
                self.assign(state, from, &mut trouble)?;
                assigned_at = Some(end);
            }
            match self.step(state, &mut chunk, WAIT) {
                Event::Record | Event::Nothing => {}
                Event::End if assigned_at == Some(end) => state.hole = Some((from, end)),
                Event::End => state.position = None,
                Event::Failed(error) => {
                    state.position = None;
                    self.endure(&mut trouble, &error)?;
                }
                Event::Unreadable(error) => {
                    state.position = None;
                    return Err(error);
                }
            }
        }
    }

    /// Whether there is something at or after `from`; otherwise the partition is assigned from there.
    fn wait_from(&self, mut state: OwnedMutexGuard<State>, from: Offset) -> Result<bool, LogError> {
        let Some((start, end)) = self.ask(from, Trouble::endless())? else {
            return Ok(false);
        };
        self.check(from, start, end)?;
        if end > from && state.hole != Some((from, end)) {
            return Ok(true);
        }
        self.assign(&mut state, from, &mut Trouble::endless())?;
        Ok(false)
    }

    /// Whether there is something in the queue. It goes to the stash.
    fn peek(&self, state: &mut State) -> bool {
        let mut stash = std::mem::take(&mut state.stash);
        let found = loop {
            if !stash.is_empty() {
                break true;
            }
            match self.step(state, &mut stash, Duration::ZERO) {
                Event::Record | Event::End => {}
                Event::Nothing => break false,
                // The leader is to be asked what there is.
                Event::Failed(error) => {
                    debug!(partition = %self.partition, %error, "waiting for records");
                    state.position = None;
                    break false;
                }
                // Whoever reads it will be told.
                Event::Unreadable(_) => {
                    state.position = None;
                    break true;
                }
            }
        };
        state.stash = stash;
        found
    }

    /// Takes the next event from the queue, if there is one in time.
    fn step(&self, state: &State, chunk: &mut ChunkBuilder, wait: Duration) -> Event {
        match state.queue.poll(wait) {
            None => Event::Nothing,
            Some(Ok(message)) => {
                let offset = Offset::try_from(message.offset())
                    .expect("a message that was fetched has an offset");
                match chunk.push(offset, &message) {
                    Ok(()) => Event::Record,
                    Err(what) => Event::Unreadable(LogError::Unreadable {
                        partition: self.partition.clone(),
                        offset,
                        what,
                    }),
                }
            }
            Some(Err(KafkaError::PartitionEOF(_))) => Event::End,
            Some(Err(error)) => Event::Failed(error),
        }
    }

    /// Has the partition fetched from `from` on.
    fn assign(
        &self,
        state: &mut State,
        from: Offset,
        trouble: &mut Trouble,
    ) -> Result<(), LogError> {
        state.stash = ChunkBuilder::default();
        loop {
            self.give_back(state);
            let assigned = self
                .assignment(Some(from))
                .and_then(|it| self.consumer.incremental_assign(&it));
            match assigned {
                Ok(()) => {
                    state.assigned = true;
                    state.position = Some(from);
                    self.find_leaders();
                    return Ok(());
                }
                Err(error) => self.endure(trouble, &error)?,
            }
        }
    }

    /// Has the consumer ask at once who leads the partitions of this topic, the first time that one of them is assigned. Left to itself it asks when its next second is over.
    fn find_leaders(&self) {
        let is_new = {
            let mut known = self.known.lock().expect(UNPOISONED);
            known.insert(self.topic.clone())
        };
        if is_new && let Err(error) = self.consumer.fetch_metadata(Some(&self.topic), CALL) {
            debug!(partition = %self.partition, %error, "looking for leaders");
            self.known.lock().expect(UNPOISONED).remove(&self.topic);
        }
    }

    fn assignment(&self, from: Option<Offset>) -> Result<TopicPartitionList, KafkaError> {
        let mut list = TopicPartitionList::new();
        let offset = match from.map(i64::try_from) {
            Some(Ok(from)) => rdkafka::Offset::Offset(from),
            _ => rdkafka::Offset::Invalid,
        };
        list.add_partition_offset(&self.topic, self.number, offset)?;
        Ok(list)
    }

    fn give_back(&self, state: &mut State) {
        state.position = None;
        state.hole = None;
        if std::mem::take(&mut state.assigned) {
            let given_back = self
                .assignment(None)
                .and_then(|it| self.consumer.incremental_unassign(&it));
            if let Err(error) = given_back {
                debug!(partition = %self.partition, %error, "giving back");
            }
        }
    }

    /// Gives the partition back if nobody reads it or waits for it.
    pub(super) fn give_back_if_idle(&self) {
        let Ok(mut state) = self.state.try_lock() else {
            return;
        };
        if state.assigned
            && self.waiting.load(Ordering::Acquire) == 0
            && state.used.elapsed() > IDLE
        {
            self.give_back(&mut state);
        }
    }

    fn check(&self, from: Offset, start: Offset, end: Offset) -> Result<(), LogError> {
        if (start..=end).contains(&from) {
            return Ok(());
        }
        Err(LogError::OutOfRange {
            partition: self.partition.clone(),
            from,
            start,
            end,
        })
    }

    /// Asks the leader what there is, which should reach as far as `known`. Nothing, if that is for new clients to do.
    fn ask(
        &self,
        known: Offset,
        mut trouble: Trouble,
    ) -> Result<Option<(Offset, Offset)>, LogError> {
        let mut doubted: Option<Instant> = None;
        loop {
            // Before it is asked: the answers to others, who ask at the same time, may come in another order.
            let reached = self.reached.load(Ordering::Acquire);
            match self.asker.fetch_watermarks(&self.topic, self.number, CALL) {
                Ok((start, end)) => {
                    *self.unanswered.lock().expect(UNPOISONED) = Unanswered::default();
                    let [start, end] = [start, end].map(|it| Offset::try_from(it).unwrap_or(0));
                    self.reached.fetch_max(end, Ordering::AcqRel);
                    if end < reached.max(known) {
                        let since = *doubted.get_or_insert_with(Instant::now);
                        if since.elapsed() < DOUBT {
                            self.look_for_leaders();
                            std::thread::sleep(BACKOFF);
                            continue;
                        }
                    }
                    if end < reached {
                        self.outdated.store(true, Ordering::Release);
                    }
                    return Ok(Some((start, end)));
                }
                Err(error) => {
                    let mut unanswered = self.unanswered.lock().expect(UNPOISONED);
                    let is_too_long = unanswered.once_more(Instant::now());
                    drop(unanswered);
                    if is_too_long {
                        self.outdated.store(true, Ordering::Release);
                    }
                    self.endure(&mut trouble, &error)?;
                    if self.is_outdated() {
                        return Ok(None);
                    }
                    if error.rdkafka_error_code().is_some_and(is_unknown) {
                        self.look_for_leaders();
                    }
                }
            }
        }
    }

    /// Who asks for a partition's ends goes by what it knows of leaders, and does not look for another one (librdkafka 2.12): neither if it knows of none, which is then said to be no such
    /// partition, nor if one was elected since, of which the one before can't tell that it is not meant.
    fn look_for_leaders(&self) {
        if let Err(error) = self.asker.fetch_metadata(Some(&self.topic), CALL) {
            debug!(partition = %self.partition, %error, "looking for leaders");
        }
    }

    fn is_outdated(&self) -> bool {
        self.outdated.load(Ordering::Acquire)
    }

    /// Waits a moment after an error that may pass. Otherwise it is given back.
    fn endure(&self, trouble: &mut Trouble, error: &KafkaError) -> Result<(), LogError> {
        let fail = |error: &KafkaError| {
            Err(LogError::Io {
                what: format!("can't read {} from Kafka", self.partition),
                source: io::Error::other(error.clone()),
            })
        };
        let code = error.rdkafka_error_code();
        if code.is_some_and(is_permanent) || self.closed.load(Ordering::Acquire) {
            return fail(error);
        }
        let now = Instant::now();
        if trouble.is_over(now) {
            return fail(error);
        }
        if code.is_some_and(is_unknown) && trouble.lasts(now) > UNKNOWN_TOPIC {
            self.outdated.store(true, Ordering::Release);
            return fail(error);
        }
        if trouble.is_to_be_told(now) {
            warn!(partition = %self.partition, %error, "can't be read for now");
        }
        std::thread::sleep(BACKOFF);
        Ok(())
    }
}

/// Somebody waits for a partition to grow.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn new(waiting: &'a AtomicUsize) -> Self {
        waiting.fetch_add(1, Ordering::AcqRel);
        Self(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

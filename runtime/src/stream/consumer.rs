//! Who reads an input partition: one node at a time, the owner of its home.

use std::{sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};
use tracing::{error, warn};

use super::{Reached, Seen, Taken, gauges::Gauge, origin};
use crate::{
    ambient::select,
    log::{Log, LogError, TopicPartition},
    mailbox::Refusal,
    node::Node,
    record::{Offset, Record},
};

/// How much of an input partition is read at once.
const CHUNK_BYTES: usize = 1 << 20;
/// So many records at most are taken in together.
const RECORDS_MAX: usize = 512;
/// How long to wait before the next try where something does not answer.
const RETRY: Duration = Duration::from_millis(200);
/// How long to wait where a transaction has a key.
const LOCKED: Duration = Duration::from_millis(1);
/// How long to wait before it begins again, at a new home or the same.
const AGAIN: Duration = Duration::from_millis(20);
/// How often the end of an input partition is asked for, while it is read.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What is needed to read an input partition.
pub(crate) struct Reading {
    pub(crate) node: Arc<Node>,
    pub(crate) log: Arc<dyn Log>,
    /// The input partition.
    pub(crate) partition: TopicPartition,
    /// By this name the log knows who reads it.
    pub(crate) reader: String,
    pub(crate) gauge: Arc<Gauge>,
    pub(crate) stop: watch::Receiver<bool>,
}

/// What becomes of events.
pub(crate) trait Take: Send + Sync + 'static {
    /// The home, while it is here.
    type Home: Send + Sync;

    /// Waits until it is.
    fn home(&self) -> BoxFuture<'_, Self::Home>;

    /// Waits until it isn't any more.
    fn left<'a>(&'a self, home: &'a Self::Home) -> BoxFuture<'a, ()>;

    /// How far the input partition was taken in, as home knows it.
    fn reached<'a>(&'a self, home: &'a Self::Home) -> BoxFuture<'a, Result<Reached, Refusal>>;

    /// Takes in these records, which are in order; `next` follows them. They are no repeats; `seen` has those as well.
    fn take<'a>(
        &'a self,
        home: &'a Self::Home,
        records: &'a [&'a (Offset, Record)],
        seen: Arc<[Seen]>,
        next: Offset,
    ) -> BoxFuture<'a, Result<Taken, Refusal>>;

    /// What would come next is not there: it was deleted, or the topic is another one. Whether all that is there is taken in once more, from the start; otherwise that stops the input.
    fn begins_again(&self) -> bool {
        false
    }

    /// All that was there when it began, or began again, was taken in.
    fn caught_up(&self) {}
}

/// Why a reader does not go on.
enum Ended {
    /// It begins again, from what home knows.
    Again,
    /// Somebody has to do something.
    Stopped(String),
}

/// Reads an input partition whenever its home is here.
pub(crate) async fn run<T: Take>(reading: Reading, take: T) {
    let mut stop = reading.stop.clone();
    let consumer = Consumer { reading, take };
    select! {
        () = consumer.run() => {}
        _ = stop.wait_for(|stop| *stop) => {}
    }
}

struct Consumer<T> {
    reading: Reading,
    take: T,
}

impl<T: Take> Consumer<T> {
    async fn run(&self) {
        let Reading {
            partition, gauge, ..
        } = &self.reading;
        loop {
            let home = self.take.home().await;
            gauge.begin();
            let ended = select! {
                ended = self.consume(&home) => ended,
                () = self.take.left(&home) => Ended::Again,
            };
            match ended {
                Ended::Again => {
                    gauge.end();
                    sleep(AGAIN).await;
                }
                Ended::Stopped(why) => {
                    error!(input = %partition, why, "this input has stopped; nothing of it was skipped");
                    gauge.stop(why);
                    self.take.left(&home).await;
                    gauge.end();
                }
            }
        }
    }

    async fn consume(&self, home: &T::Home) -> Ended {
        let Reading {
            log,
            partition,
            reader,
            gauge,
            ..
        } = &self.reading;
        let Ok(mut reached) = self.take.reached(home).await else {
            sleep(RETRY).await;
            return Ended::Again;
        };
        let mut looked: Option<Instant> = None;
        loop {
            gauge.reach(&reached);
            log.consumed(partition, reader, reached.next);
            let asked = Instant::now();
            if looked.is_none_or(|looked| looked.elapsed() > LOOK_EVERY)
                && let Ok(end) = log.end(partition).await
            {
                looked = Some(Instant::now());
                gauge.see_end(asked, end);
            }
            if gauge.has_caught_up() {
                self.take.caught_up();
            }
            let asked = Instant::now();
            let chunk = match log.read(partition, reached.next, CHUNK_BYTES).await {
                Ok(chunk) => chunk,
                // Nothing was taken in yet: it begins with what is there.
                Err(LogError::OutOfRange { start, end, .. })
                    if reached == Reached::default() && 0 < start && start <= end =>
                {
                    reached.next = start;
                    continue;
                }
                Err(error @ LogError::Io { .. }) => {
                    warn!(input = %partition, %error, "can't read the input");
                    sleep(RETRY).await;
                    continue;
                }
                Err(error) => {
                    if let LogError::OutOfRange { start, .. } = error
                        && self.take.begins_again()
                    {
                        warn!(input = %partition, %error, "the input is not what it was: it is read from its start once more");
                        reached = Reached {
                            next: start,
                            ..Reached::default()
                        };
                        gauge.begin_again();
                        looked = None;
                        sleep(AGAIN).await;
                        continue;
                    }
                    return Ended::Stopped(error.to_string());
                }
            };
            if chunk.records.is_empty() {
                if chunk.next > reached.next {
                    reached.next = chunk.next;
                    continue;
                }
                gauge.at_end(asked);
                if gauge.has_caught_up() {
                    self.take.caught_up();
                }
                self.idle(reached.next).await;
                continue;
            }
            if let Err(ended) = self.take_all(home, &mut reached, &chunk.records).await {
                return ended;
            }
        }
    }

    /// Waits until there may be more. What is asked how old it is looks again now and then: only so it is known that there is none.
    async fn idle(&self, next: Offset) {
        let Reading {
            log,
            partition,
            gauge,
            ..
        } = &self.reading;
        let grown = async {
            if log.grown(partition, next).await.is_err() {
                sleep(RETRY).await;
            }
        };
        if !gauge.is_external {
            return grown.await;
        }
        select! {
            () = grown => {}
            () = gauge.asked() => {}
            () = sleep(LOOK_EVERY) => {}
        }
    }

    /// Takes in records that were read, all of them.
    async fn take_all(
        &self,
        home: &T::Home,
        reached: &mut Reached,
        records: &[(Offset, Record)],
    ) -> Result<(), Ended> {
        let gauge = &self.reading.gauge;
        let mut at = 0;
        while at < records.len() {
            let some = &records[at..records.len().min(at + RECORDS_MAX)];
            let Some((last, _)) = some.last() else { break };
            let mut known = reached.clone();
            let (mut fresh, mut seen) = (Vec::new(), Vec::with_capacity(some.len()));
            for one @ (offset, record) in some {
                let origin = origin::of(record);
                seen.push(Seen {
                    offset: *offset,
                    time_ms: record.timestamp_ms,
                    origin: origin.map(|(source, number)| (source.into(), number)),
                });
                if let Some((source, number)) = origin {
                    if known.has(source, number) {
                        gauge.repeats.inc();
                        continue;
                    }
                    known.add(source, number);
                }
                fresh.push(one);
            }
            let seen: Arc<[Seen]> = seen.into();
            let taken = self.take.take(home, &fresh, seen.clone(), last + 1).await;
            let until = match taken {
                Ok(Taken::All) => last + 1,
                Ok(Taken::Until(until)) => {
                    sleep(LOCKED).await;
                    until
                }
                Ok(Taken::Poison(until, why)) => {
                    reached.pass(&seen, until);
                    gauge.reach(reached);
                    return Err(Ended::Stopped(format!("at offset {until}: {why}")));
                }
                Err(Refusal::QueueFull) => {
                    sleep(RETRY).await;
                    continue;
                }
                Err(refusal) => {
                    if refusal != Refusal::Moved {
                        sleep(RETRY).await;
                    }
                    return Err(Ended::Again);
                }
            };
            reached.pass(&seen, until);
            gauge.reach(reached);
            at += some
                .iter()
                .take_while(|(offset, _)| *offset < until)
                .count();
        }
        Ok(())
    }
}

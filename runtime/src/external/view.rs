//! What a node has of an external state.

use std::{
    ops::RangeBounds,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use arc_swap::ArcSwap;
use crossbeam_skiplist::SkipMap;
use futures_util::future::BoxFuture;
use serde::Serialize;
use tokio::time::{Instant, sleep, timeout_at};

use super::{ExternalState, values::Change};
use crate::{
    log::TopicPartition, mailbox::RETRY_AFTER_SECONDS, position::ReadOptions, problem::Problem,
    stream::Gauge,
};

/// How often it is looked whether a view is as new as somebody wants it.
const POLL: Duration = Duration::from_millis(2);

/// All values, ordered by key. They are read without waiting; each partition of the topic has one task that writes.
pub(crate) struct View<R: ExternalState> {
    /// What is seen of each partition, by number.
    gauges: Vec<Arc<Gauge>>,
    values: SkipMap<R::Key, ArcSwap<Shown<R>>>,
    /// Held by who writes.
    filling: Mutex<Filling>,
}

/// A value, and where it comes from.
struct Shown<R> {
    value: Arc<R>,
    /// The length of it in the log.
    bytes: usize,
    partition: u32,
    turn: u32,
}

struct Filling {
    bytes: usize,
    /// How often each partition was read from its start, and whether something may be left of the turn before.
    turns: Vec<(u32, bool)>,
}

impl<R: ExternalState> View<R> {
    /// A view of a topic, of whose partitions this is what is seen.
    pub(super) fn new(gauges: Vec<Arc<Gauge>>) -> Self {
        Self {
            values: SkipMap::new(),
            filling: Mutex::new(Filling {
                bytes: 0,
                turns: vec![(0, false); gauges.len()],
            }),
            gauges,
        }
    }

    /// Does what records of a partition do, in order. Each comes with the length of its value.
    pub(super) fn fold(
        &self,
        partition: u32,
        changes: impl IntoIterator<Item = (Change<R>, usize)>,
    ) {
        let mut filling = self.filling.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = filling.turns[partition as usize].0;
        for (change, bytes) in changes {
            let before = match change {
                Change::Put(key, value) => {
                    filling.bytes += bytes;
                    let shown = Arc::new(Shown {
                        value: Arc::new(value),
                        bytes,
                        partition,
                        turn,
                    });
                    if let Some(entry) = self.values.get(&key) {
                        entry.value().swap(shown).bytes
                    } else {
                        self.values.insert(key, ArcSwap::new(shown));
                        0
                    }
                }
                // What can't be read is not what the key was before. So all nodes have the same, whenever they began to read.
                Change::Delete(key) | Change::Unreadable(key, _) => self
                    .values
                    .remove(&key)
                    .map_or(0, |entry| entry.value().load().bytes),
                Change::Keyless(_) => 0,
            };
            filling.bytes -= before;
        }
    }

    /// A partition is read from its start once more. What it gave stays until it has come as far again.
    pub(super) fn begin_again(&self, partition: u32) {
        let mut filling = self.filling.lock().unwrap_or_else(PoisonError::into_inner);
        let (turn, is_left) = &mut filling.turns[partition as usize];
        (*turn, *is_left) = (turn.wrapping_add(1), true);
    }

    /// All that is in a partition was read: what it gave before and does not have any more goes.
    pub(super) fn caught_up(&self, partition: u32) {
        let mut filling = self.filling.lock().unwrap_or_else(PoisonError::into_inner);
        let (turn, is_left) = filling.turns[partition as usize];
        if !is_left {
            return;
        }
        for entry in &self.values {
            let value = entry.value().load();
            if value.partition == partition && value.turn != turn && entry.remove() {
                filling.bytes -= value.bytes;
            }
        }
        filling.turns[partition as usize].1 = false;
    }

    /// The value of a key, and the partition that it comes from.
    pub(super) fn find(&self, key: &R::Key) -> Option<(Arc<R>, &Gauge)> {
        let entry = self.values.get(key)?;
        let value = entry.value().load();
        Some((value.value.clone(), &*self.gauges[value.partition as usize]))
    }

    /// The values of a range of keys, in order.
    pub(super) fn range<'v, B>(&'v self, keys: B) -> impl Iterator<Item = (R::Key, Arc<R>)> + 'v
    where
        B: RangeBounds<R::Key> + 'v,
    {
        let entries = self.values.range::<R::Key, B>(keys);
        entries.map(|entry| {
            let value = entry.value().load().value.clone();
            (entry.key().clone(), value)
        })
    }

    /// How old what it shows may be, once it shows all that was there when it began.
    pub(super) fn age(&self) -> Option<Duration> {
        let ages = self.gauges.iter().map(|gauge| gauge.age());
        ages.collect::<Option<Vec<_>>>()?.into_iter().max()
    }

    /// Waits until it is as new as a read wants it.
    ///
    /// # Errors
    /// 503 if that takes too long: nobody else could answer.
    pub(super) async fn satisfies(
        &self,
        options: &ReadOptions<'_>,
        deadline: Instant,
    ) -> Result<(), Problem> {
        let begun = Instant::now();
        for gauge in &self.gauges {
            let position = options.min_position(&gauge.partition);
            let satisfies = || {
                position.is_none_or(|position| gauge.next() > position)
                    && gauge.current_as_of().is_some_and(|moment| {
                        let bound = options.max_staleness.unwrap_or(Duration::MAX);
                        moment.elapsed() <= bound && (!options.strict || moment >= begun)
                    })
            };
            let waited = async {
                while !satisfies() {
                    gauge.ask();
                    sleep(POLL).await;
                }
            };
            if !satisfies() && timeout_at(deadline, waited).await.is_err() {
                return Err(too_old(gauge, position, options));
            }
        }
        Ok(())
    }
}

/// What is said where a view is not as new as a read wants it.
fn too_old(gauge: &Gauge, position: Option<u64>, options: &ReadOptions<'_>) -> Problem {
    let TopicPartition { topic, partition } = &gauge.partition;
    let at = gauge.next();
    let what = match (gauge.age(), position) {
        (None, _) => format!("{topic}/{partition} is still being read, and is at offset {at}"),
        (Some(_), Some(position)) if at <= position => {
            format!(
                "{topic}/{partition} is at offset {at}, short of the `Memgen-Min-Position` {position}"
            )
        }
        (Some(age), _) if options.strict => format!(
            "{topic}/{partition} was last seen as it is {} ms ago, and `strict` reads see it as it is now",
            age.as_millis()
        ),
        (Some(age), _) => format!(
            "{topic}/{partition} was last seen as it is {} ms ago, longer than `Memgen-Max-Staleness-Ms`",
            age.as_millis()
        ),
    };
    Problem::unavailable(what, RETRY_AFTER_SECONDS)
}

/// A view without its type.
pub(crate) trait AnyView: Send + Sync {
    /// As `/status` shows it.
    fn status(&self) -> ExternalStatus;

    /// How many values it has, and the bytes of them in the log.
    fn size(&self) -> (usize, i64);

    /// Whether it shows all that was in the topic when it began.
    fn is_filled(&self) -> bool;

    /// Waits until it does.
    fn filled(&self) -> BoxFuture<'_, ()>;
}

/// A view as `/status` shows it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ExternalStatus {
    name: &'static str,
    topic: &'static str,
    keys: usize,
    bytes: i64,
    /// How old what it shows may be; none while it is filled for the first time.
    #[serde(skip_serializing_if = "Option::is_none")]
    staleness_ms: Option<u64>,
}

impl ExternalStatus {
    pub(super) fn name(&self) -> &'static str {
        self.name
    }
}

impl<R: ExternalState> AnyView for View<R> {
    fn status(&self) -> ExternalStatus {
        let (keys, bytes) = self.size();
        let ms = |age: Duration| u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
        ExternalStatus {
            name: R::DEFINITION.name,
            topic: R::DEFINITION.topic,
            keys,
            bytes,
            staleness_ms: self.age().map(ms),
        }
    }

    fn size(&self) -> (usize, i64) {
        let filling = self.filling.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = i64::try_from(filling.bytes).unwrap_or(i64::MAX);
        (self.values.len(), bytes)
    }

    fn is_filled(&self) -> bool {
        let mut gauges = self.gauges.iter();
        gauges.all(|gauge| gauge.current_as_of().is_some())
    }

    fn filled(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            while !self.is_filled() {
                sleep(POLL).await;
            }
        })
    }
}

#[cfg(test)]
mod tests;

//! What is seen of inputs from outside: `/status`, `/metrics`.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use prometheus::IntCounter;
use serde::Serialize;
use tokio::{sync::Notify, time::Instant};

use super::Reached;
use crate::{log::TopicPartition, metrics::InputMetrics, record::Offset};

/// All inputs of a node.
pub(crate) type Inputs = Vec<Arc<Gauge>>;

/// An input partition, as one node sees it.
pub(crate) struct Gauge {
    pub(crate) partition: TopicPartition,
    pub(super) function: &'static str,
    /// What takes it in is an external state, which is at each node and is asked how old it is.
    pub(super) is_external: bool,
    metrics: InputMetrics,
    /// Records that were passed over, since they had been taken in before.
    pub(super) repeats: IntCounter,
    now: Mutex<Now>,
    /// Somebody wants to know at once whether there is more.
    asked: Notify,
}

#[derive(Clone, Debug, Default)]
struct Now {
    phase: InputPhase,
    next: Offset,
    end: Offset,
    time_ms: u64,
    waiting_for: Option<String>,
    stopped_because: Option<String>,
    /// When an end was asked for that is yet to be reached, and that end.
    looked: Option<(Instant, Offset)>,
    /// All that was there at this moment was taken in.
    current_as_of: Option<Instant>,
    skipped: u64,
    last_skipped: Option<String>,
    /// All that was there when it began, or began again, was taken in.
    has_caught_up: bool,
}

impl Now {
    /// All that was there at this moment was taken in.
    fn is_current_as_of(&mut self, moment: Instant) {
        self.current_as_of = self.current_as_of.max(Some(moment));
        self.looked = None;
        self.has_caught_up = true;
    }

    /// It may have got as far as the end that was seen.
    fn settle(&mut self) {
        if let Some((moment, end)) = self.looked
            && self.next >= end
        {
            self.is_current_as_of(moment);
        }
    }
}

/// What this node is to an input partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum InputPhase {
    /// Another node reads it, or none.
    #[default]
    Elsewhere,
    /// It reads what was there when it began, of an external state: until it has, nothing is looked up there.
    Filling,
    /// It reads it.
    Reading,
    /// It can't take in what comes next.
    Stopped,
}

/// An input partition as `/status` shows it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct InputStatus {
    topic: String,
    partition: u32,
    /// The function that takes its events in.
    function: &'static str,
    phase: InputPhase,
    #[serde(skip_serializing_if = "Option::is_none")]
    stopped_because: Option<String>,
    /// What is away that it can't do without.
    #[serde(skip_serializing_if = "Option::is_none")]
    waiting_for: Option<String>,
    /// The offset of the next event.
    position: Offset,
    /// How many offsets lie between that and the end of the partition, as far as this node knows.
    lag: u64,
    /// When the last event that was taken in was written, in milliseconds since the Unix epoch; 0 if none was.
    event_time_ms: u64,
    /// How old what an external state shows of it may be.
    #[serde(skip_serializing_if = "Option::is_none")]
    staleness_ms: Option<u64>,
    /// How many records of an external state could not be read since this node was started.
    #[serde(skip_serializing_if = "is_zero")]
    skipped: u64,
    /// Where the last of them is, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_skipped: Option<String>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes it so")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Gauge {
    pub(crate) fn new(
        partition: TopicPartition,
        function: &'static str,
        is_external: bool,
        metrics: InputMetrics,
    ) -> Self {
        Self {
            partition,
            function,
            is_external,
            repeats: metrics.repeats.clone(),
            metrics,
            now: Mutex::default(),
            asked: Notify::new(),
        }
    }

    fn change(&self, change: impl FnOnce(&mut Now)) {
        change(&mut self.now.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// This node reads it from now on.
    pub(super) fn begin(&self) {
        self.change(|now| {
            *now = Now {
                phase: InputPhase::Reading,
                ..Now::default()
            };
        });
    }

    /// It does no longer.
    pub(super) fn end(&self) {
        self.change(|now| *now = Now::default());
    }

    /// It can't take in what comes next.
    pub(super) fn stop(&self, why: String) {
        self.change(|now| {
            now.phase = InputPhase::Stopped;
            now.stopped_because = Some(why);
        });
    }

    /// It waits for something, or for nothing any more.
    pub(crate) fn wait(&self, what: Option<String>) {
        self.change(|now| now.waiting_for = what);
    }

    pub(crate) fn reach(&self, reached: &Reached) {
        self.change(|now| {
            now.next = reached.next;
            now.end = now.end.max(reached.next);
            now.time_ms = reached.time_ms;
            now.settle();
        });
    }

    /// The end was here, at a moment no earlier than this one. An end that was seen before is reached first, so that this happens also where they follow one another fast.
    pub(super) fn see_end(&self, asked: Instant, end: Offset) {
        self.change(|now| {
            now.end = end.max(now.next);
            now.looked.get_or_insert((asked, end));
            now.settle();
        });
    }

    /// There was nothing more to be read, at a moment no earlier than this one.
    pub(crate) fn at_end(&self, asked: Instant) {
        self.change(|now| {
            now.end = now.next;
            now.is_current_as_of(asked);
        });
    }

    /// It is read from the start once more.
    pub(super) fn begin_again(&self) {
        self.change(|now| {
            (now.next, now.end, now.looked) = (0, 0, None);
            now.has_caught_up = false;
        });
    }

    /// Whether all that was there when it began, or began again, was taken in.
    pub(super) fn has_caught_up(&self) -> bool {
        self.now().has_caught_up
    }

    /// So many records can't be read; the last of them for this reason.
    pub(crate) fn skip(&self, records: u64, why: String) {
        self.metrics.skipped.inc_by(records);
        self.change(|now| {
            now.skipped += records;
            now.last_skipped = Some(why);
        });
    }

    /// The offset of the next record.
    pub(crate) fn next(&self) -> Offset {
        self.now().next
    }

    /// The moment of which all that was there was taken in, once that was so.
    pub(crate) fn current_as_of(&self) -> Option<Instant> {
        self.now().current_as_of
    }

    /// How long ago that was.
    pub(crate) fn age(&self) -> Option<Duration> {
        self.current_as_of().map(|moment| moment.elapsed())
    }

    /// Has whoever reads it look at once whether there is more.
    pub(crate) fn ask(&self) {
        self.asked.notify_one();
    }

    /// Waits until somebody asks for that.
    pub(super) async fn asked(&self) {
        self.asked.notified().await;
    }

    /// What keeps an external state from being looked at, if anything does; and whether that stays so.
    pub(crate) fn unfilled(&self) -> Option<(String, bool)> {
        let now = self.now();
        (self.is_external && now.current_as_of.is_none()).then(|| {
            let (partition, name) = (&self.partition, self.function);
            match now.stopped_because {
                Some(why) => (format!("{partition} of `{name}` has stopped {why}"), true),
                None => (format!("{partition} of `{name}` is filling"), false),
            }
        })
    }

    fn now(&self) -> Now {
        let now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        now.clone()
    }

    /// As `/status` shows it.
    pub(crate) fn status(&self) -> InputStatus {
        let now = self.now();
        InputStatus {
            topic: self.partition.topic.to_string(),
            partition: self.partition.partition,
            function: self.function,
            phase: match now.phase {
                InputPhase::Reading if self.unfilled().is_some() => InputPhase::Filling,
                phase => phase,
            },
            stopped_because: now.stopped_because,
            waiting_for: now.waiting_for,
            position: now.next,
            lag: now.end - now.next,
            event_time_ms: now.time_ms,
            staleness_ms: self.age().filter(|_| self.is_external).map(ms),
            skipped: now.skipped,
            last_skipped: now.last_skipped,
        }
    }

    /// Brings its metrics up to date.
    pub(crate) fn measure(&self) {
        let now = self.now();
        let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        self.metrics.lag.set(number(now.end - now.next));
        self.metrics.position.set(number(now.next));
        self.metrics.time.set(number(now.time_ms / 1000));
        let stopped = now.phase == InputPhase::Stopped;
        self.metrics.stopped.set(stopped.into());
        let reads = now.phase != InputPhase::Elsewhere;
        self.metrics.reads.set(reads.into());
        if let (true, Some(age)) = (self.is_external, self.age()) {
            self.metrics.staleness.set(age.as_secs_f64());
        }
    }
}

fn ms(age: Duration) -> u64 {
    u64::try_from(age.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;

    fn gauge(is_external: bool) -> Gauge {
        let partition = TopicPartition::new("rates", 0);
        let metrics = Metrics::new().input(&partition, "Rate");
        Gauge::new(partition, "Rate", is_external, metrics)
    }

    fn reach(gauge: &Gauge, next: Offset) {
        gauge.reach(&Reached {
            next,
            ..Reached::default()
        });
    }

    #[test]
    fn it_is_as_new_as_the_end_that_it_has_reached() {
        let gauge = gauge(true);
        gauge.begin();
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(gauge.status().phase, InputPhase::Filling);
        gauge.see_end(at(1), 10);
        reach(&gauge, 9);
        // What was seen first is reached first, however far it has gone on.
        gauge.see_end(at(2), 20);
        assert_eq!(
            (gauge.current_as_of(), gauge.has_caught_up()),
            (None, false)
        );
        assert!(
            gauge
                .unfilled()
                .is_some_and(|(_, has_stopped)| !has_stopped)
        );
        reach(&gauge, 10);
        assert_eq!(gauge.current_as_of(), Some(at(1)));
        assert_eq!(gauge.status().phase, InputPhase::Reading);
        gauge.see_end(at(3), 20);
        assert_eq!(gauge.current_as_of(), Some(at(1)));
        // At its end there may be a hole, behind which there is nothing.
        gauge.at_end(at(4));
        assert_eq!(
            (gauge.current_as_of(), gauge.status().lag),
            (Some(at(4)), 0)
        );

        // Read once more it shows what it had, until it has caught up.
        gauge.begin_again();
        assert_eq!((gauge.next(), gauge.has_caught_up()), (0, false));
        assert_eq!(gauge.current_as_of(), Some(at(4)));
        assert!(gauge.unfilled().is_none());
        gauge.see_end(at(5), 2);
        reach(&gauge, 2);
        assert!(gauge.has_caught_up());
        assert_eq!(gauge.current_as_of(), Some(at(5)));
    }

    #[test]
    fn what_stops_before_it_is_filled_never_will_be() {
        let gauge = gauge(true);
        gauge.begin();
        gauge.see_end(Instant::now(), 10);
        gauge.stop("at offset 3: nonsense".to_owned());
        let (what, has_stopped) = gauge.unfilled().unwrap();
        assert!(has_stopped && what.contains("at offset 3"), "{what}");
        assert!(
            self::gauge(false).unfilled().is_none(),
            "a function has nothing to fill"
        );
    }
}

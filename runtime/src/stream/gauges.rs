//! What is seen of inputs from outside: `/status`, `/metrics`.

use std::sync::{Arc, Mutex, PoisonError};

use prometheus::IntCounter;
use serde::Serialize;

use super::Reached;
use crate::{log::TopicPartition, metrics::InputMetrics, record::Offset};

/// All inputs of a node.
pub(crate) type Inputs = Vec<Arc<Gauge>>;

/// An input partition, as one node sees it.
pub(crate) struct Gauge {
    partition: TopicPartition,
    pub(super) function: &'static str,
    metrics: InputMetrics,
    /// Records that were passed over, since they had been taken in before.
    pub(super) repeats: IntCounter,
    now: Mutex<Now>,
}

#[derive(Clone, Debug, Default)]
struct Now {
    phase: InputPhase,
    next: Offset,
    end: Offset,
    time_ms: u64,
    waiting_for: Option<String>,
    stopped_because: Option<String>,
}

/// What this node is to an input partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum InputPhase {
    /// Another node reads it, or none.
    #[default]
    Elsewhere,
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
}

impl Gauge {
    pub(crate) fn new(
        partition: TopicPartition,
        function: &'static str,
        metrics: InputMetrics,
    ) -> Self {
        Self {
            partition,
            function,
            repeats: metrics.repeats.clone(),
            metrics,
            now: Mutex::default(),
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
    pub(super) fn wait(&self, what: Option<String>) {
        self.change(|now| now.waiting_for = what);
    }

    pub(super) fn reach(&self, reached: &Reached) {
        self.change(|now| {
            now.next = reached.next;
            now.end = now.end.max(reached.next);
            now.time_ms = reached.time_ms;
        });
    }

    pub(super) fn see_end(&self, end: Offset) {
        self.change(|now| now.end = end.max(now.next));
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
            phase: now.phase,
            stopped_because: now.stopped_because,
            waiting_for: now.waiting_for,
            position: now.next,
            lag: now.end - now.next,
            event_time_ms: now.time_ms,
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
    }
}

//! What is counted of each input partition.

use prometheus::{Gauge, GaugeVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Registry};

use super::{counters, gauges, seconds};
use crate::log::TopicPartition;

/// The metrics of all inputs.
#[derive(Clone)]
pub(super) struct InputFamilies {
    reads: IntGaugeVec,
    stopped: IntGaugeVec,
    lag: IntGaugeVec,
    position: IntGaugeVec,
    time: IntGaugeVec,
    repeats: IntCounterVec,
    skipped: IntCounterVec,
    staleness: GaugeVec,
}

impl InputFamilies {
    pub(super) fn new(registry: &Registry) -> Self {
        let input = ["topic", "partition", "function"];
        Self {
            reads: gauges(
                registry,
                "memgen_input_reads",
                "1 while this node reads the input partition.",
                &input,
            ),
            stopped: gauges(
                registry,
                "memgen_input_stopped",
                "1 while the input partition has stopped here, at an event that can't be taken in.",
                &input,
            ),
            lag: gauges(
                registry,
                "memgen_input_lag",
                "How many offsets lie between what was taken in and the end of the input partition; 0 where this node does not read it.",
                &input,
            ),
            position: gauges(
                registry,
                "memgen_input_position",
                "The offset of the next event of the input partition; 0 where this node does not read it.",
                &input,
            ),
            time: gauges(
                registry,
                "memgen_input_event_seconds",
                "When the last event that was taken in was written, in seconds since the Unix epoch; 0 if none was.",
                &input,
            ),
            repeats: counters(
                registry,
                "memgen_input_repeats_total",
                "Records that were passed over, since their source had sent them before.",
                &input,
            ),
            skipped: counters(
                registry,
                "memgen_input_skipped_total",
                "Records of an external state that can't be read: their keys have no value.",
                &input,
            ),
            staleness: seconds(
                registry,
                "memgen_input_staleness_seconds",
                "How old what an external state shows of the input partition may be; 0 before it was read to its end.",
                &input,
            ),
        }
    }

    /// The handle of one input partition.
    pub(super) fn of(&self, partition: &TopicPartition, function: &str) -> InputMetrics {
        let number = partition.partition.to_string();
        let labels: [&str; 3] = [&partition.topic, &number, function];
        InputMetrics {
            reads: self.reads.with_label_values(&labels),
            stopped: self.stopped.with_label_values(&labels),
            lag: self.lag.with_label_values(&labels),
            position: self.position.with_label_values(&labels),
            time: self.time.with_label_values(&labels),
            repeats: self.repeats.with_label_values(&labels),
            skipped: self.skipped.with_label_values(&labels),
            staleness: self.staleness.with_label_values(&labels),
        }
    }
}

/// The metrics of one input partition.
#[derive(Clone, Debug)]
pub(crate) struct InputMetrics {
    pub(crate) reads: IntGauge,
    pub(crate) stopped: IntGauge,
    pub(crate) lag: IntGauge,
    pub(crate) position: IntGauge,
    /// In seconds since the Unix epoch.
    pub(crate) time: IntGauge,
    pub(crate) repeats: IntCounter,
    pub(crate) skipped: IntCounter,
    pub(crate) staleness: Gauge,
}

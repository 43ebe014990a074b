//! What is counted of each partition.

use prometheus::{
    Gauge, GaugeVec, Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec,
    Registry,
};

use super::{SECONDS, counters, gauges, histograms, seconds};
use crate::log::TopicPartition;

/// How many records went into one write.
const RECORDS: &[f64] = &[
    1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0,
];

/// The metrics of all partitions.
#[derive(Clone)]
pub(super) struct Families {
    commit_seconds: HistogramVec,
    group_records: HistogramVec,
    lag: GaugeVec,
    ownerless: GaugeVec,
    halted: IntGaugeVec,
    lapsed: IntCounterVec,
    repeated: IntCounterVec,
    rolled_forward: IntCounterVec,
    queue: IntGaugeVec,
    keys: IntGaugeVec,
    bytes: IntGaugeVec,
    position: IntGaugeVec,
    replayed: IntCounterVec,
    replies: IntGaugeVec,
    epoch: IntGaugeVec,
    owned: IntGaugeVec,
    takeovers: IntCounterVec,
    taken_over: IntGaugeVec,
    deposed: IntCounterVec,
    repairs: IntCounterVec,
    gaps: IntCounterVec,
    unknown: IntCounterVec,
    tails_lost: IntCounterVec,
    records_lost: IntCounterVec,
    snapshots: IntCounterVec,
    snapshots_loaded: IntCounterVec,
    snapshots_copied: IntCounterVec,
    snapshots_discarded: IntCounterVec,
    snapshot_seconds: IntGaugeVec,
    snapshot_bytes: IntGaugeVec,
    tx_committed: IntCounterVec,
    tx_conflicts: IntCounterVec,
    tx_retries: IntCounterVec,
    tx_in_doubt: IntGaugeVec,
    tx_seconds: HistogramVec,
    events: IntCounterVec,
    dead_letters: IntCounterVec,
    emitted: IntCounterVec,
    outbox: IntGaugeVec,
}

impl Families {
    #[allow(
        clippy::too_many_lines,
        reason = "a table, of a name and a text for each"
    )]
    pub(super) fn new(registry: &Registry) -> Self {
        let partition = ["topic", "partition"];
        Self {
            commit_seconds: histograms(
                registry,
                "memgen_commit_seconds",
                "Time from handing records to the log to its acknowledgement.",
                &["topic"],
                SECONDS,
            ),
            group_records: histograms(
                registry,
                "memgen_group_records",
                "Records that went to the log in one write.",
                &["topic"],
                RECORDS,
            ),
            lag: seconds(
                registry,
                "memgen_standby_lag_seconds",
                "How old what a standby shows may be; 0 where this node is none.",
                &partition,
            ),
            ownerless: seconds(
                registry,
                "memgen_ownerless_seconds",
                "For how long this node has seen no node own the partition; 0 while one does.",
                &partition,
            ),
            halted: gauges(
                registry,
                "memgen_halted",
                "1 while this node can't follow the partition's log any further.",
                &partition,
            ),
            lapsed: counters(
                registry,
                "memgen_lease_lapsed_total",
                "Reads that asked the log, since the owner's lease had lapsed.",
                &partition,
            ),
            repeated: counters(
                registry,
                "memgen_repeated_total",
                "Requests that came again and got the first answer.",
                &partition,
            ),
            rolled_forward: counters(
                registry,
                "memgen_rolled_forward_total",
                "Records of torn batches that a new owner wrote.",
                &partition,
            ),
            queue: gauges(
                registry,
                "memgen_queue_length",
                "Commands that wait for their writer.",
                &partition,
            ),
            keys: gauges(registry, "memgen_keys", "Keys in memory.", &partition),
            bytes: gauges(
                registry,
                "memgen_bytes",
                "Bytes of keys and values in memory, as in the log.",
                &partition,
            ),
            position: gauges(
                registry,
                "memgen_log_position",
                "The log position that memory shows.",
                &partition,
            ),
            replayed: counters(
                registry,
                "memgen_replay_records_total",
                "Records read from the log to build memory.",
                &partition,
            ),
            replies: gauges(
                registry,
                "memgen_dedupe_replies",
                "Answers kept for requests that come again.",
                &partition,
            ),
            epoch: gauges(
                registry,
                "memgen_epoch",
                "The epoch of the last owner that the log shows.",
                &partition,
            ),
            owned: gauges(
                registry,
                "memgen_owned",
                "1 while this node owns the partition.",
                &partition,
            ),
            takeovers: counters(
                registry,
                "memgen_takeovers_total",
                "Times that this node took the partition over.",
                &partition,
            ),
            taken_over: gauges(
                registry,
                "memgen_taken_over_seconds",
                "When this node took the partition over for the last time, in seconds since the Unix epoch; 0 if it never did.",
                &partition,
            ),
            deposed: counters(
                registry,
                "memgen_deposed_total",
                "Times that the log showed this owner that another one had taken over.",
                &partition,
            ),
            repairs: counters(
                registry,
                "memgen_repairs_total",
                "Values that were written again because a stale record may hide them from compaction.",
                &partition,
            ),
            gaps: counters(
                registry,
                "memgen_gaps_total",
                "Times that records of others lay between this owner's.",
                &partition,
            ),
            unknown: counters(
                registry,
                "memgen_unknown_outcomes_total",
                "Writes to the log whose outcome had to be found out by a new takeover.",
                &partition,
            ),
            tails_lost: counters(
                registry,
                "memgen_log_tails_lost_total",
                "Times that the log had lost acknowledged records together with the broker that led the partition (`ack(leader)`), so that memory was read anew.",
                &partition,
            ),
            records_lost: counters(
                registry,
                "memgen_log_records_lost_total",
                "Acknowledged records that the log had lost.",
                &partition,
            ),
            snapshots: counters(
                registry,
                "memgen_snapshots_total",
                "Snapshots that were written.",
                &partition,
            ),
            snapshots_loaded: counters(
                registry,
                "memgen_snapshots_loaded_total",
                "Snapshots from which memory was built, to read only the tail of the log.",
                &partition,
            ),
            snapshots_copied: counters(
                registry,
                "memgen_snapshots_copied_total",
                "Those of them that came from another node.",
                &partition,
            ),
            snapshots_discarded: counters(
                registry,
                "memgen_snapshots_discarded_total",
                "Snapshots that could not be used: damaged, too old, or of something else.",
                &partition,
            ),
            snapshot_seconds: gauges(
                registry,
                "memgen_snapshot_seconds",
                "Up to when the snapshot that is kept shows the partition, in seconds since the Unix epoch; 0 if there is none.",
                &partition,
            ),
            snapshot_bytes: gauges(
                registry,
                "memgen_snapshot_bytes",
                "The length of the snapshot that is kept.",
                &partition,
            ),
            tx_committed: counters(
                registry,
                "memgen_transactions_committed_total",
                "Transactions that were committed with the partition as their home.",
                &partition,
            ),
            tx_conflicts: counters(
                registry,
                "memgen_transactions_conflicts_total",
                "Times that others kept such a transaction from being committed.",
                &partition,
            ),
            tx_retries: counters(
                registry,
                "memgen_transactions_retried_total",
                "Further runs of such transactions that came to be committed.",
                &partition,
            ),
            tx_in_doubt: gauges(
                registry,
                "memgen_transactions_in_doubt",
                "Transactions that the partition has prepared, and of which it has heard nothing for a tenth of a second.",
                &partition,
            ),
            tx_seconds: histograms(
                registry,
                "memgen_transaction_seconds",
                "Time from asking home to commit a transaction to its being durable.",
                &["topic"],
                SECONDS,
            ),
            events: counters(
                registry,
                "memgen_events_total",
                "Events that the partition has taken in, those among them that became dead letters.",
                &partition,
            ),
            dead_letters: counters(
                registry,
                "memgen_dead_letters_total",
                "Events that could not be taken in, and went to a topic of their own.",
                &partition,
            ),
            emitted: counters(
                registry,
                "memgen_emitted_total",
                "Records that the partition has emitted.",
                &partition,
            ),
            outbox: gauges(
                registry,
                "memgen_outbox_length",
                "Writes of which something that they emitted has not arrived yet.",
                &partition,
            ),
        }
    }

    /// The handle of one partition.
    pub(super) fn of(&self, partition: &TopicPartition) -> PartitionMetrics {
        let number = partition.partition.to_string();
        let labels: [&str; 2] = [&partition.topic, &number];
        // One histogram per topic, not per partition: thousands of partitions would be more lines than
        // anyone stores, and the partitions of a topic behave alike.
        let topic = &labels[..1];
        PartitionMetrics {
            commit_seconds: self.commit_seconds.with_label_values(topic),
            group_records: self.group_records.with_label_values(topic),
            lag: self.lag.with_label_values(&labels),
            ownerless: self.ownerless.with_label_values(&labels),
            halted: self.halted.with_label_values(&labels),
            lapsed: self.lapsed.with_label_values(&labels),
            repeated: self.repeated.with_label_values(&labels),
            rolled_forward: self.rolled_forward.with_label_values(&labels),
            queue: self.queue.with_label_values(&labels),
            keys: self.keys.with_label_values(&labels),
            bytes: self.bytes.with_label_values(&labels),
            position: self.position.with_label_values(&labels),
            replayed: self.replayed.with_label_values(&labels),
            replies: self.replies.with_label_values(&labels),
            epoch: self.epoch.with_label_values(&labels),
            owned: self.owned.with_label_values(&labels),
            takeovers: self.takeovers.with_label_values(&labels),
            taken_over: self.taken_over.with_label_values(&labels),
            deposed: self.deposed.with_label_values(&labels),
            repairs: self.repairs.with_label_values(&labels),
            gaps: self.gaps.with_label_values(&labels),
            unknown: self.unknown.with_label_values(&labels),
            tails_lost: self.tails_lost.with_label_values(&labels),
            records_lost: self.records_lost.with_label_values(&labels),
            snapshots: self.snapshots.with_label_values(&labels),
            snapshots_loaded: self.snapshots_loaded.with_label_values(&labels),
            snapshots_copied: self.snapshots_copied.with_label_values(&labels),
            snapshots_discarded: self.snapshots_discarded.with_label_values(&labels),
            snapshot_seconds: self.snapshot_seconds.with_label_values(&labels),
            snapshot_bytes: self.snapshot_bytes.with_label_values(&labels),
            tx_committed: self.tx_committed.with_label_values(&labels),
            tx_conflicts: self.tx_conflicts.with_label_values(&labels),
            tx_retries: self.tx_retries.with_label_values(&labels),
            tx_in_doubt: self.tx_in_doubt.with_label_values(&labels),
            tx_seconds: self.tx_seconds.with_label_values(topic),
            events: self.events.with_label_values(&labels),
            dead_letters: self.dead_letters.with_label_values(&labels),
            emitted: self.emitted.with_label_values(&labels),
            outbox: self.outbox.with_label_values(&labels),
        }
    }
}

/// The metrics of one partition. Clones are cheap and share them.
#[derive(Clone, Debug)]
pub struct PartitionMetrics {
    /// Time from handing records to the log to its acknowledgement; by topic.
    pub commit_seconds: Histogram,
    /// Records per write to the log; by topic.
    pub group_records: Histogram,
    /// How old what this standby shows may be, in seconds.
    pub lag: Gauge,
    /// For how long no node has owned it, in seconds.
    pub ownerless: Gauge,
    /// 1 while this node can't follow the log.
    pub halted: IntGauge,
    /// Reads that asked the log, since the lease had lapsed.
    pub lapsed: IntCounter,
    /// Requests that came again and got the first answer.
    pub repeated: IntCounter,
    /// Records of torn batches that were written at takeovers.
    pub rolled_forward: IntCounter,
    /// Commands that wait for the writer.
    pub queue: IntGauge,
    /// Keys in memory.
    pub keys: IntGauge,
    /// Bytes of keys and values in memory.
    pub bytes: IntGauge,
    /// The log position that memory shows.
    pub position: IntGauge,
    /// Records read from the log to build memory.
    pub replayed: IntCounter,
    /// Answers kept for requests that come again.
    pub replies: IntGauge,
    /// The epoch of the last owner that the log shows.
    pub epoch: IntGauge,
    /// 1 while this node owns the partition.
    pub owned: IntGauge,
    /// Times that this node took the partition over.
    pub takeovers: IntCounter,
    /// When this node took the partition over for the last time, in seconds since the Unix epoch; 0 if it never did.
    pub taken_over: IntGauge,
    /// Times that the log showed this owner that another one had taken over.
    pub deposed: IntCounter,
    /// Values that were written again because a stale record may hide them from compaction.
    pub repairs: IntCounter,
    /// Times that records of others lay between this owner's.
    pub gaps: IntCounter,
    /// Writes whose outcome had to be found out by a new takeover.
    pub unknown: IntCounter,
    /// Times that the log had lost what it had acknowledged.
    pub tails_lost: IntCounter,
    /// The records of those times.
    pub records_lost: IntCounter,
    /// Snapshots that were written.
    pub snapshots: IntCounter,
    /// Snapshots from which memory was built.
    pub snapshots_loaded: IntCounter,
    /// Those of them that came from another node.
    pub snapshots_copied: IntCounter,
    /// Snapshots that could not be used.
    pub snapshots_discarded: IntCounter,
    /// Up to when the snapshot that is kept shows the partition, in seconds since the Unix epoch; 0 if there is none.
    pub snapshot_seconds: IntGauge,
    /// The length of the snapshot that is kept.
    pub snapshot_bytes: IntGauge,
    /// Transactions that were committed with the partition as their home.
    pub tx_committed: IntCounter,
    /// Times that others kept such a transaction from being committed.
    pub tx_conflicts: IntCounter,
    /// Further runs of such transactions that came to be committed.
    pub tx_retries: IntCounter,
    /// Transactions that the partition has prepared, and of which it has heard nothing for a tenth of a second.
    pub tx_in_doubt: IntGauge,
    /// Time from asking home to commit a transaction to its being durable; by topic.
    pub tx_seconds: Histogram,
    /// Events that were taken in.
    pub events: IntCounter,
    /// Those of them that became dead letters.
    pub dead_letters: IntCounter,
    /// Records that were emitted.
    pub emitted: IntCounter,
    /// Writes of which something that they emitted has not arrived yet.
    pub outbox: IntGauge,
}

impl PartitionMetrics {
    /// What an owner shows of it is no more: another node shows it.
    pub(crate) fn owns_nothing(&self) {
        for gauge in [
            &self.queue,
            &self.keys,
            &self.bytes,
            &self.position,
            &self.replies,
            &self.outbox,
        ] {
            gauge.set(0);
        }
    }
}

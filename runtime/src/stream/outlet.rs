//! The way of what was emitted to its topics: in order, until it has arrived.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use futures_util::future::join_all;
use tokio::{sync::mpsc, time::sleep};
use tracing::warn;

use super::{Outgoing, handed::event_record, origin};
use crate::{
    ambient::now_ms,
    log::{AppendError, Log, LogError, TopicPartition},
    mailbox::{Job, StreamJob, WeakMailbox},
    partitioner::partition,
    record::Record,
    schemas::Schemas,
    state::State,
};

/// So many entries of the outbox at most are on their way together.
const ENTRIES_MAX: usize = 256;
/// The pause before something is sent again, doubled each time up to the other.
const PAUSE_MIN: Duration = Duration::from_millis(20);
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// The way to the task that sends what was emitted.
pub(crate) struct Outlet {
    entries: mpsc::UnboundedSender<(u64, Arc<Outgoing>)>,
    /// The last that was handed over.
    handed: Option<u64>,
}

impl Outlet {
    /// An outlet, and what it hands over, for [`deliver`]. What is in it is bounded by what the outbox may have.
    pub(crate) fn new() -> (Self, mpsc::UnboundedReceiver<(u64, Arc<Outgoing>)>) {
        let (entries, received) = mpsc::unbounded_channel();
        let handed = None;
        (Self { entries, handed }, received)
    }

    /// The last sequence number that was handed over.
    pub(crate) fn handed(&self) -> Option<u64> {
        self.handed
    }

    /// Sends an entry after all before it.
    pub(crate) fn hand_over(&mut self, sequence: u64, outgoing: Arc<Outgoing>) {
        self.handed = Some(sequence);
        // The other end goes with the tenure.
        drop(self.entries.send((sequence, outgoing)));
    }
}

/// Sends what was emitted in a partition, and says to its writer how far it is. Topics that are missing get as many partitions as the state has.
pub(crate) async fn deliver<S: State>(
    (log, schemas): (Arc<dyn Log>, Arc<Schemas>),
    source: TopicPartition,
    mailbox: WeakMailbox<S>,
    mut entries: mpsc::UnboundedReceiver<(u64, Arc<Outgoing>)>,
) {
    let source = source.to_string();
    let mut topics: HashMap<String, u32> = HashMap::new();
    let mut some = Vec::new();
    loop {
        some.clear();
        if entries.recv_many(&mut some, ENTRIES_MAX).await == 0 {
            return;
        }
        let mut pause = PAUSE_MIN;
        let ways = (&*log, &*schemas);
        while let Err(what) =
            send(ways, &source, S::DEFINITION.partitions, &mut topics, &some).await
        {
            warn!(source, what, "what was emitted is not sent yet");
            sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
        if let Some((last, _)) = some.last() {
            let job = Job::Stream(StreamJob::Sent(*last));
            mailbox.send_patiently(job).await;
        }
    }
}

/// Sends entries, those of one partition in order, and waits until all have arrived.
async fn send(
    (log, schemas): (&dyn Log, &Schemas),
    source: &str,
    partitions: u32,
    topics: &mut HashMap<String, u32>,
    entries: &[(u64, Arc<Outgoing>)],
) -> Result<(), String> {
    let mut by_partition: BTreeMap<TopicPartition, Vec<Record>> = BTreeMap::new();
    for (first, outgoing) in entries {
        for (sequence, emitted) in (*first..).zip(&outgoing.emitted) {
            let count = if let Some(count) = topics.get(&emitted.topic) {
                *count
            } else {
                let opened = log.open_stream(&emitted.topic, partitions).await;
                let count = opened.map_err(|error| error.to_string())?;
                topics.insert(emitted.topic.clone(), count);
                count
            };
            let to = TopicPartition::new(&*emitted.topic, partition(&emitted.key, count));
            let value = if emitted.schema.is_empty() {
                emitted.value.clone()
            } else {
                let framed = schemas.frame(&emitted.topic, &emitted.schema, &emitted.value);
                framed.await?
            };
            let event = event_record(now_ms(), emitted.key.clone(), Some(value));
            let origin = origin::origin(source, sequence, emitted.note.clone());
            let record = Record {
                answered: Some(origin),
                ..event
            };
            by_partition.entry(to).or_default().push(record);
        }
    }
    let sent = by_partition
        .iter()
        .map(|(to, records)| append(log, to, records));
    join_all(sent).await.into_iter().collect()
}

/// Appends records to a partition of a stream.
pub(super) async fn append(
    log: &dyn Log,
    to: &TopicPartition,
    records: &[Record],
) -> Result<(), String> {
    let appended = async {
        let mut producer = log
            .producer(to)
            .map_err(|error: LogError| error.to_string())?;
        let receipt = producer.append(records);
        receipt
            .await
            .map_err(|error: AppendError| error.to_string())
    };
    appended
        .await
        .map(drop)
        .map_err(|what| format!("{to}: {what}"))
}

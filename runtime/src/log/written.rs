//! Under which layouts the values in a topic were written.

use std::collections::HashSet;

use super::{Chunk, Log, LogError, Topic, TopicPartition};
use crate::record::Kind;

/// How much of the log is read at once.
const CHUNK_BYTES: usize = 1 << 20;

/// The fingerprints of the layouts under which there are values in a topic that is declared.
pub(crate) async fn written(log: &dyn Log, topic: &Topic) -> Result<HashSet<u64>, LogError> {
    let mut fingerprints = HashSet::new();
    for partition in 0..topic.partitions {
        let partition = TopicPartition::new(topic.name.as_str(), partition);
        let mut from = 0;
        loop {
            let chunk = log.read(&partition, from, CHUNK_BYTES).await?;
            if chunk.next == from {
                break;
            }
            add(&chunk, &mut fingerprints);
            from = chunk.next;
        }
    }
    Ok(fingerprints)
}

/// Adds those of some records.
fn add(chunk: &Chunk, fingerprints: &mut HashSet<u64>) {
    let values = chunk.records.iter().filter(|(_, record)| {
        record.value.is_some() && matches!(record.kind, Kind::Data | Kind::FollowUp | Kind::Batch)
    });
    fingerprints.extend(values.map(|(_, record)| record.schema));
}

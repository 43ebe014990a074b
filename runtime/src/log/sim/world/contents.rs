//! What readers see of a simulated log, and what compaction takes away.

use std::{collections::HashMap, sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::{sync::Notify, time::Instant};

use super::{Compaction, Entry, World};
use crate::{
    log::{Chunk, LogError, TopicPartition},
    record::{Kind, Offset, Record, codec},
};

impl World {
    pub(in crate::log::sim) fn read(
        &self,
        partition: &TopicPartition,
        from: Offset,
        bytes_max: usize,
    ) -> Result<Chunk, LogError> {
        let end = self.reaches(partition, from)?;
        let log = &self.partition(partition)?.log;
        let first = log.partition_point(|entry| entry.offset < from);
        let mut chunk = Chunk {
            records: Vec::new(),
            next: from,
        };
        let mut bytes = 0;
        for entry in log[first..].iter().take_while(|entry| entry.offset < end) {
            bytes += codec::encoded_bytes(&entry.record);
            if bytes > bytes_max && !chunk.records.is_empty() {
                return Ok(chunk);
            }
            chunk.records.push((entry.offset, entry.record.clone()));
            chunk.next = entry.offset + 1;
        }
        // Compaction may have removed the last ones.
        chunk.next = end;
        Ok(chunk)
    }

    /// The partition's end, if it reaches as far as `from`.
    pub(in crate::log::sim) fn reaches(
        &self,
        partition: &TopicPartition,
        from: Offset,
    ) -> Result<Offset, LogError> {
        let end = self.end(partition)?;
        if from > end {
            return Err(LogError::OutOfRange {
                partition: partition.clone(),
                from,
                start: 0,
                end,
            });
        }
        Ok(end)
    }

    /// Told when something is sent.
    pub(in crate::log::sim) fn sent(&self) -> Arc<Notify> {
        Arc::clone(&self.sent)
    }

    /// When the next record lands, or is seen by readers, as far as it is known.
    pub(in crate::log::sim) fn next_landing(&self) -> Option<Instant> {
        let now = Instant::now();
        let landing = self.landings.keys().next().map(|(at, _)| *at);
        let seen = self.partitions.values().filter_map(|partition| {
            let next = partition.seen_at.partition_point(|at| *at <= now);
            partition.seen_at.get(next).copied()
        });
        seen.chain(landing).min()
    }

    pub(in crate::log::sim) fn end(&self, partition: &TopicPartition) -> Result<Offset, LogError> {
        Ok(self.partition(partition)?.seen_end(Instant::now()))
    }

    /// Whether the log may lose its tail.
    pub(in crate::log::sim) fn may_lose_its_tail(&self) -> bool {
        !self.faults.replication_max.is_zero()
    }

    /// For how long a deletion is there at least.
    pub(in crate::log::sim) fn deletions_kept(&self) -> Duration {
        /// As good as for ever.
        const LONG: Duration = Duration::from_secs(u32::MAX as u64);
        let compaction = self.faults.compaction.as_ref();
        compaction
            .and_then(|compaction| compaction.deletions)
            .unwrap_or(LONG)
    }

    pub(in crate::log::sim) fn size_bytes(&self) -> u64 {
        self.partitions
            .values()
            .flat_map(|partition| &partition.log)
            .map(|entry| codec::encoded_bytes(&entry.record) as u64)
            .sum()
    }

    pub(in crate::log::sim) fn history(&self, partition: &TopicPartition) -> Vec<(Offset, Record)> {
        self.partitions
            .get(partition)
            .map(|it| it.history.clone())
            .unwrap_or_default()
    }

    /// Keeps the last record of each key before a place that chance chooses among those older than the lag.
    pub(in crate::log::sim) fn compact(&mut self, partition: &TopicPartition, now: Instant) {
        let (lag, deletions) = match &self.faults.compaction {
            Some(Compaction { lag, deletions, .. }) => (*lag, *deletions),
            None => (Duration::ZERO, None),
        };
        if !self.is_changelog(&partition.topic) {
            return;
        }
        let Some(partition) = self.partitions.get_mut(partition) else {
            return;
        };
        let age = |entry: &Entry| now.saturating_duration_since(entry.landed);
        // The log is in the order of landing, so the old ones come first.
        let seen = partition.seen_end(now);
        let old = partition
            .log
            .partition_point(|entry| age(entry) > lag && entry.offset < seen);
        if old == 0 {
            return;
        }
        let cut = partition.log[self.rng.usize(..old)].offset;
        let mut last: HashMap<Bytes, Offset> = HashMap::new();
        let mut first: HashMap<Bytes, Offset> = HashMap::new();
        for entry in partition.log.iter().take_while(|entry| entry.offset <= cut) {
            last.insert(entry.record.key.clone(), entry.offset);
            first
                .entry(entry.record.key.clone())
                .or_insert(entry.offset);
        }
        partition.log.retain(|entry| {
            let key = &entry.record.key;
            let expired = entry.record.value.is_none()
                && matches!(entry.record.kind, Kind::Data | Kind::FollowUp)
                && deletions.is_some_and(|retention| age(entry) > lag + retention)
                && first.get(key) == Some(&entry.offset);
            entry.offset > cut || (last[key] == entry.offset && !expired)
        });
    }
}

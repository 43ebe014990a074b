//! Events from a file, for topics of the embedded log: `--replay events.jsonl`.
//!
//! Each line is `{"topic": …, "key": …, "value": …}`; the key may be left out where the event has it, and the topic where the service takes in one alone. Each line is an event of the source that
//! the file is, numbered by line. So whatever of it is there already is not written again: a file that was replayed, or half of it, may be replayed once more, and may have grown meanwhile.

use std::{
    collections::HashMap,
    io::{BufRead as _, BufReader},
    path::Path,
    sync::Arc,
};

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use tracing::info;

use super::{intake::Intake, origin, outlet::append};
use crate::{
    log::TopicPartition,
    record::{Offset, Record},
};

/// Lines that are written together.
const LINES_MAX: usize = 1000;
/// How much of a stream is read at once.
const CHUNK_BYTES: usize = 1 << 20;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    topic: Option<String>,
    key: Option<String>,
    value: Box<RawValue>,
}

/// Writes the events of a file to their topics. Returns how many were new.
///
/// # Errors
/// Says which line is wrong; those before it were written.
pub(crate) async fn replay(intake: &Arc<Intake>, path: &Path) -> Result<u64, String> {
    let of_file = |error: std::io::Error| format!("`--replay` {}: {error}", path.display());
    let file = std::fs::File::open(path).map_err(of_file)?;
    // It is read in large pieces, and what is done with them takes longer than that.
    let lines = BufReader::new(file).lines();
    let mut replay = Replay {
        intake,
        path,
        source: String::new(),
        written: HashMap::new(),
        waiting: Vec::new(),
    };
    let (mut number, mut new) = (0, 0);
    for line in lines {
        let line = line.map_err(of_file)?;
        number += 1;
        if number == 1 {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let hash = xxhash_rust::xxh3::xxh3_64(line.as_bytes());
            replay.source = format!("{name}#{hash:016x}");
        }
        if !line.trim().is_empty() {
            let read = replay.take(number, &line).await;
            new += read
                .map_err(|what| format!("`--replay` {}, line {number}: {what}", path.display()))?;
        }
        if replay.waiting.len() >= LINES_MAX {
            replay.write().await?;
        }
    }
    replay.write().await?;
    info!(path = %path.display(), lines = number, new, "replayed events");
    Ok(new)
}

struct Replay<'a> {
    intake: &'a Arc<Intake>,
    path: &'a Path,
    /// Which file it is: its name, and its first line.
    source: String,
    /// Of each partition, the last line that it has.
    written: HashMap<TopicPartition, u64>,
    waiting: Vec<(TopicPartition, Record)>,
}

impl Replay<'_> {
    /// Takes a line in. Returns 1 if it is new, and 0 otherwise.
    async fn take(&mut self, number: u64, line: &str) -> Result<u64, String> {
        let line: Line = serde_json::from_str(line).map_err(|error| error.to_string())?;
        let topics = &self.intake.topics;
        let only = || (topics.len() == 1).then(|| topics.keys().next().map(ToString::to_string));
        let topic = line.topic.or_else(|| only().flatten()).ok_or_else(|| {
            let topics: Vec<_> = topics.keys().map(|topic| format!("`{topic}`")).collect();
            format!("it needs a `topic`, one of {}", topics.join(", "))
        })?;
        let value = Bytes::from(line.value.get().to_owned());
        let placed = self
            .intake
            .place(&topic, value, line.key.map(Bytes::from), true);
        let (to, mut record) = placed
            .await
            .map_err(|problem| problem.detail().to_owned())?;
        let last = if let Some(last) = self.written.get(&to) {
            *last
        } else {
            let last = self.last_written(&to).await?;
            self.written.insert(to.clone(), last);
            last
        };
        if number <= last {
            return Ok(0);
        }
        record.answered = Some(origin::origin(&self.source, number, Bytes::new()));
        self.waiting.push((to, record));
        Ok(1)
    }

    /// The last line of the file that a partition has; 0 if it has none.
    async fn last_written(&self, partition: &TopicPartition) -> Result<u64, String> {
        let (mut from, mut last): (Offset, u64) = (0, 0);
        loop {
            let chunk = self.intake.log.read(partition, from, CHUNK_BYTES).await;
            let chunk = chunk.map_err(|error| error.to_string())?;
            if chunk.next == from {
                return Ok(last);
            }
            from = chunk.next;
            for (_, record) in &chunk.records {
                if let Some((source, number)) = origin::of(record)
                    && source == self.source
                {
                    last = last.max(number);
                }
            }
        }
    }

    async fn write(&mut self) -> Result<(), String> {
        let mut by_partition: HashMap<TopicPartition, Vec<Record>> = HashMap::new();
        for (to, record) in self.waiting.drain(..) {
            by_partition.entry(to).or_default().push(record);
        }
        for (to, records) in by_partition {
            let appended = append(&*self.intake.log, &to, &records).await;
            appended.map_err(|what| format!("`--replay` {}: {what}", self.path.display()))?;
        }
        Ok(())
    }
}

//! Each record of a partition, and whether it counts.

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use bytes::Bytes;
use serde::Serialize;
use serde_json::value::RawValue;

use super::{open, said};
use crate::{
    batch,
    config::Config,
    log::TopicPartition,
    record::{Ballot, Kind, Offset, Record},
    service::Service,
};

/// How much of the log is read at once.
const CHUNK_BYTES: usize = 1 << 20;

/// A record as a line shows it.
#[derive(Serialize)]
struct Line<'a> {
    offset: Offset,
    timestamp_ms: u64,
    kind: &'static str,
    /// `epoch.incarnation` of who wrote it; none if memgen did not.
    ballot: Option<String>,
    counts: bool,
    /// Why it does not count.
    #[serde(skip_serializing_if = "Option::is_none")]
    because: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<Value<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    changes: Vec<Change>,
    schema: String,
    /// The id of the request that it answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    answers: Option<String>,
}

/// One change of a batch.
#[derive(Serialize)]
struct Change {
    key: String,
    value: Option<Box<RawValue>>,
}

type Text<'a> = std::borrow::Cow<'a, str>;

/// A value: as the JSON that it is, or as text.
#[derive(Serialize)]
#[serde(untagged)]
enum Value<'a> {
    /// It deletes the key.
    Null,
    Json(&'a RawValue),
    Text(Text<'a>),
}

/// Prints them, a line of JSON each.
pub(super) async fn run(
    service: &Service,
    partition: &TopicPartition,
    config: &Config,
) -> Result<ExitCode, String> {
    let log = open(service, partition, config).await?;
    let mut out = io::BufWriter::new(io::stdout().lock());
    let mut highest = (Ballot::FOREIGN, 0);
    let mut from = 0;
    loop {
        let chunk = log.read(partition, from, CHUNK_BYTES).await.map_err(said)?;
        if chunk.next == from {
            break;
        }
        for (offset, record) in &chunk.records {
            let line = line(*offset, record, highest);
            if record.ballot > highest.0 {
                highest = (record.ballot, *offset);
            }
            let written = serde_json::to_writer(&mut out, &line).map_err(io::Error::from);
            match written.and_then(|()| out.write_all(b"\n")) {
                Ok(()) => {}
                // Whoever reads has seen enough.
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                    return Ok(ExitCode::SUCCESS);
                }
                Err(error) => return Err(error.to_string()),
            }
        }
        from = chunk.next;
    }
    log.close().await;
    match out.flush() {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.to_string()),
        _ => Ok(ExitCode::SUCCESS),
    }
}

/// A record, after others of which the highest ballot and its first place are given.
fn line(offset: Offset, record: &Record, (highest, since): (Ballot, Offset)) -> Line<'_> {
    // Rule 1.
    let counts = record.ballot >= highest;
    let holds_entity = matches!(record.kind, Kind::Data | Kind::FollowUp);
    let (key, value) = if holds_entity {
        (
            Some(text(&record.key)),
            Some(record.value.as_ref().map_or(Value::Null, value)),
        )
    } else {
        (None, None)
    };
    Line {
        offset,
        timestamp_ms: record.timestamp_ms,
        kind: name(record.kind),
        ballot: (record.ballot != Ballot::FOREIGN).then(|| shown(record.ballot)),
        counts,
        because: (!counts).then(|| {
            format!(
                "the record at {since} has the higher ballot {}",
                shown(highest)
            )
        }),
        key,
        value,
        changes: match (record.kind, &record.value) {
            (Kind::Batch, Some(value)) => changes(value),
            _ => Vec::new(),
        },
        schema: format!("{:016x}", record.schema),
        answers: record
            .answered
            .as_ref()
            .map(|answered| String::from_utf8_lossy(&answered.id).into_owned()),
    }
}

fn changes(value: &Bytes) -> Vec<Change> {
    let changes = batch::decode(value).unwrap_or_default();
    let changes = changes.into_iter().map(|change| Change {
        key: text(&change.key).into_owned(),
        value: change
            .value
            .and_then(|value| serde_json::from_slice(&value).ok()),
    });
    changes.collect()
}

fn value(value: &Bytes) -> Value<'_> {
    match serde_json::from_slice(value) {
        Ok(json) => Value::Json(json),
        Err(_) => Value::Text(text(value)),
    }
}

fn text(bytes: &Bytes) -> Text<'_> {
    String::from_utf8_lossy(bytes)
}

fn shown(ballot: Ballot) -> String {
    format!("{}.{:016x}", ballot.epoch, ballot.incarnation)
}

fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Data => "data",
        Kind::FollowUp => "follow-up",
        Kind::Batch => "batch",
        Kind::Barrier => "barrier",
        Kind::Reply => "reply",
        Kind::Fence => "fence",
    }
}

//! Messages of Kafka as records of the log.

use std::{
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind},
};

use bytes::Bytes;
use rdkafka::{
    Message,
    message::{BorrowedMessage, Headers},
};

use super::header::{self, Header};
use crate::{
    log::Chunk,
    record::{Answered, Ballot, Kind, Offset, Record},
    stream::origin,
};

/// What is counted for each record beside its bytes.
const RECORD_BYTES: usize = 64;

/// Records in the making. The bytes of all of them are in one piece of memory.
#[derive(Default)]
pub(super) struct ChunkBuilder {
    bytes: Vec<u8>,
    records: Vec<Pieces>,
}

/// A record whose bytes are ranges.
struct Pieces {
    offset: Offset,
    ballot: Ballot,
    kind: Kind,
    timestamp_ms: u64,
    schema: u64,
    place: Option<Offset>,
    /// Id, fingerprint, reply.
    answered: Option<(Range<usize>, u128, Range<usize>)>,
    key: Range<usize>,
    value: Option<Range<usize>>,
}

impl ChunkBuilder {
    pub(super) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// About how much memory it takes.
    pub(super) fn size_bytes(&self) -> usize {
        self.bytes.len() + self.records.len() * RECORD_BYTES
    }

    /// The offset after the last record, if there is one.
    pub(super) fn next(&self) -> Option<Offset> {
        self.records.last().map(|record| record.offset + 1)
    }

    /// Takes a message in. The error says what is wrong with it; it is not taken in then.
    pub(super) fn push(
        &mut self,
        offset: Offset,
        message: &BorrowedMessage<'_>,
    ) -> Result<(), String> {
        let pieces = with_header(message, header::NAME, |own| {
            let head = match own {
                Some(bytes) => Header::decode(bytes).map_err(|error| error.to_string())?,
                // Someone wrote it who knows nothing of memgen.
                None => return Ok(self.foreign(offset, message)),
            };
            Ok::<_, String>(Pieces {
                offset,
                ballot: head.ballot,
                kind: head.kind,
                timestamp_ms: head.timestamp_ms,
                schema: head.schema,
                place: head.place,
                answered: head
                    .answered
                    .map(|(id, fingerprint, reply)| (self.keep(id), fingerprint, self.keep(reply))),
                key: self.keep(message.key().unwrap_or_default()),
                value: message.payload().map(|value| self.keep(value)),
            })
        })?;
        self.records.push(pieces);
        Ok(())
    }

    /// What somebody wrote who knows nothing of the fold: an event, maybe with an origin.
    fn foreign(&mut self, offset: Offset, message: &BorrowedMessage<'_>) -> Pieces {
        let timestamp = message.timestamp().to_millis();
        let source = with_header(message, origin::SOURCE, |it| it.map(|it| self.keep(it)));
        let sequence = with_header(message, origin::SEQUENCE, |it| {
            std::str::from_utf8(it?).ok()?.parse::<u64>().ok()
        });
        let note = with_header(message, origin::NOTE, |it| {
            self.keep(it.unwrap_or_default())
        });
        Pieces {
            offset,
            ballot: Ballot::FOREIGN,
            kind: Kind::Data,
            timestamp_ms: timestamp.and_then(|ms| ms.try_into().ok()).unwrap_or(0),
            schema: 0,
            place: None,
            answered: source
                .zip(sequence)
                .map(|(source, sequence)| (source, sequence.into(), note)),
            key: self.keep(message.key().unwrap_or_default()),
            value: message.payload().map(|value| self.keep(value)),
        }
    }

    fn keep(&mut self, bytes: &[u8]) -> Range<usize> {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        start..self.bytes.len()
    }

    /// The chunk, which is to be followed by a read at `next`.
    pub(super) fn finish(self, next: Offset) -> Chunk {
        let bytes = Bytes::from(self.bytes);
        let records = self.records.into_iter().map(|pieces| {
            let record = Record {
                place: pieces.place,
                ballot: pieces.ballot,
                kind: pieces.kind,
                timestamp_ms: pieces.timestamp_ms,
                schema: pieces.schema,
                answered: pieces.answered.map(|(id, fingerprint, reply)| Answered {
                    id: bytes.slice(id),
                    fingerprint,
                    reply: bytes.slice(reply),
                }),
                key: bytes.slice(pieces.key),
                value: pieces.value.map(|value| bytes.slice(value)),
            };
            (pieces.offset, record)
        });
        Chunk {
            records: records.collect(),
            next,
        }
    }
}

/// Calls `see` with the content of a header of a message, if it has one of this name.
fn with_header<R>(
    message: &BorrowedMessage<'_>,
    name: &str,
    see: impl FnOnce(Option<&[u8]>) -> R,
) -> R {
    let Some(headers) = message.headers() else {
        return see(None);
    };
    for index in 0..headers.count() {
        // The client panics at a name that is not UTF-8. It is a stranger's, so it is none of ours.
        let header = catch_unwind(AssertUnwindSafe(|| headers.try_get(index)));
        if let Ok(Some(header)) = header
            && header.key == name
        {
            return see(Some(header.value.unwrap_or_default()));
        }
    }
    see(None)
}

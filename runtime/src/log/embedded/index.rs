//! Where each stream's frames are, in memory, and reading by it.
//!
//! A lone write makes a frame of its own, so an entry is small: 24 bytes.

use std::{
    collections::HashMap,
    os::unix::fs::FileExt,
    sync::{Arc, RwLock},
};

use bytes::Bytes;
use tokio::sync::Notify;

use super::{
    error::{corrupt, io_error},
    frame::{self, Header},
    segment::Segment,
};
use crate::{
    log::{Chunk, LogError},
    record::{Offset, Record, codec},
};

/// Why a lock can't be poisoned: nothing panics while one is held.
pub(super) const UNPOISONED: &str = "nothing panics while it holds this lock";

/// A segment's number in this process: files come and go, numbers are never used again.
pub(super) type SegmentId = u32;

/// Where one frame is.
#[derive(Clone, Copy, Debug)]
pub(super) struct FrameRef {
    pub(super) base: Offset,
    pub(super) span: u32,
    pub(super) segment: SegmentId,
    /// Fits, since a segment is closed before it reaches 2 GiB.
    pub(super) position: u32,
    pub(super) body_bytes: u32,
}

impl FrameRef {
    pub(super) fn new(header: &Header, segment: SegmentId) -> Self {
        Self {
            base: header.base,
            span: header.span,
            segment,
            position: u32::try_from(header.position).expect("a segment is closed before 2 GiB"),
            body_bytes: header.body_bytes,
        }
    }

    fn next(&self) -> Offset {
        self.base + u64::from(self.span)
    }

    fn bytes(&self) -> usize {
        frame::HEADER_BYTES + self.body_bytes as usize
    }
}

/// The frames of one stream, ascending.
#[derive(Debug, Default)]
pub(super) struct Stream {
    pub(super) frames: Vec<FrameRef>,
    /// The offset that the next record will be given.
    pub(super) end: Offset,
    /// Told when `end` moves.
    pub(super) grown: Arc<Notify>,
}

/// The frames of all streams, and the segments that hold them.
///
/// Lock order: streams, one stream, segments. A reader resolves its segments while it holds its stream, so
/// a segment may be dropped from the map as soon as no stream names it.
#[derive(Debug, Default)]
pub(super) struct Index {
    streams: RwLock<Vec<Arc<RwLock<Stream>>>>,
    segments: RwLock<HashMap<SegmentId, Arc<Segment>>>,
    ids: std::sync::atomic::AtomicU32,
}

impl Index {
    /// Makes room for streams with numbers below `count`.
    pub(super) fn grow(&self, count: u32) {
        let mut streams = self.streams.write().expect(UNPOISONED);
        while streams.len() < count as usize {
            streams.push(Arc::default());
        }
    }

    /// How many streams there are.
    pub(super) fn len(&self) -> u32 {
        let length = self.streams.read().expect(UNPOISONED).len();
        u32::try_from(length).expect("`grow` takes a u32")
    }

    /// The stream with this number.
    pub(super) fn stream(&self, number: u32) -> Option<Arc<RwLock<Stream>>> {
        self.streams
            .read()
            .expect(UNPOISONED)
            .get(number as usize)
            .cloned()
    }

    /// Takes a segment in.
    pub(super) fn add_segment(&self, segment: Arc<Segment>) -> SegmentId {
        let id = self.ids.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        self.segments.write().expect(UNPOISONED).insert(id, segment);
        id
    }

    /// Forgets a segment that no stream names any more.
    pub(super) fn remove_segment(&self, id: SegmentId) -> Option<Arc<Segment>> {
        self.segments.write().expect(UNPOISONED).remove(&id)
    }

    /// The segment with this number.
    pub(super) fn segment(&self, id: SegmentId) -> Option<Arc<Segment>> {
        self.segments.read().expect(UNPOISONED).get(&id).cloned()
    }

    /// Bytes of all segments.
    pub(super) fn size_bytes(&self) -> u64 {
        self.segments
            .read()
            .expect(UNPOISONED)
            .values()
            .map(|segment| segment.length())
            .sum()
    }

    /// Reads about `bytes_max` bytes of a stream at or after `from`.
    pub(super) fn read(
        &self,
        stream: &RwLock<Stream>,
        from: Offset,
        bytes_max: usize,
    ) -> Result<Chunk, LogError> {
        let mut at = from;
        loop {
            let (runs, next, end) = {
                let stream = stream.read().expect(UNPOISONED);
                let first = stream.frames.partition_point(|frame| frame.next() <= at);
                let runs = self.plan(&stream.frames[first..], bytes_max);
                let frames: usize = runs.iter().map(|run| run.frames.len()).sum();
                (
                    runs,
                    stream.frames.get(first + frames).map(|frame| frame.base),
                    stream.end,
                )
            };
            let mut records = Vec::new();
            for run in &runs {
                run.read(from, &mut records)?;
            }
            if let Some((last, _)) = records.last() {
                let next = last + 1;
                return Ok(Chunk { records, next });
            }
            // Compaction may have left a frame whose records all lie before `from`.
            match next {
                Some(next) => at = next,
                None => {
                    return Ok(Chunk {
                        records,
                        next: end.max(from),
                    });
                }
            }
        }
    }

    /// The first of `frames` up to `bytes_max` bytes, at least one, as runs that lie side by side.
    fn plan(&self, frames: &[FrameRef], bytes_max: usize) -> Vec<Run> {
        let segments = self.segments.read().expect(UNPOISONED);
        let mut runs: Vec<Run> = Vec::new();
        let mut bytes = 0;
        for frame in frames {
            if bytes > 0 && bytes + frame.bytes() > bytes_max {
                break;
            }
            bytes += frame.bytes();
            if let Some(run) = runs.last_mut()
                && run.id == frame.segment
                && run.end() == u64::from(frame.position)
            {
                run.bytes += frame.bytes();
                run.frames.push(*frame);
                continue;
            }
            let segment = segments
                .get(&frame.segment)
                .expect("a segment stays in the map for as long as a stream names it");
            runs.push(Run {
                id: frame.segment,
                segment: Arc::clone(segment),
                position: u64::from(frame.position),
                bytes: frame.bytes(),
                frames: vec![*frame],
            });
        }
        runs
    }
}

/// Frames of one stream that lie side by side in one segment.
struct Run {
    id: SegmentId,
    segment: Arc<Segment>,
    position: u64,
    bytes: usize,
    frames: Vec<FrameRef>,
}

impl Run {
    fn end(&self) -> u64 {
        self.position + self.bytes as u64
    }

    /// Adds the records at or after `from` to `records`.
    fn read(&self, from: Offset, records: &mut Vec<(Offset, Record)>) -> Result<(), LogError> {
        let path = &self.segment.path;
        let mut buffer = vec![0; self.bytes];
        self.segment
            .file
            .read_exact_at(&mut buffer, self.position)
            .map_err(io_error("read", path))?;
        let buffer = Bytes::from(buffer);
        let most: usize = self.frames.iter().map(|frame| frame.span as usize).sum();
        records.reserve(most.min(self.bytes / codec::HEADER_BYTES));
        let mut at = 0;
        for frame in &self.frames {
            let position = u64::from(frame.position);
            let header =
                Header::decode(&buffer[at..], self.segment.salt, position).ok_or_else(|| {
                    corrupt(
                        path,
                        position,
                        "the header of a frame does not match its checksum",
                    )
                })?;
            let body = at + frame::HEADER_BYTES;
            let end = at + frame.bytes();
            if header.body_bytes != frame.body_bytes || header.base != frame.base {
                return Err(corrupt(
                    path,
                    position,
                    "another frame is where this one was",
                ));
            }
            if crc32c::crc32c(&buffer[body..end]) != header.body_crc {
                return Err(corrupt(
                    path,
                    position,
                    "the records of a frame do not match their checksum",
                ));
            }
            at = body;
            let mut least = frame.base;
            while at < end {
                let place = self.position + at as u64;
                let (offset, record, next) = codec::decode(&buffer, at, frame.base)
                    .map_err(|error| corrupt(path, place, &error.to_string()))?;
                if next > end || offset >= frame.next() {
                    return Err(corrupt(path, place, "a record is longer than its frame"));
                }
                if offset < least {
                    return Err(corrupt(
                        path,
                        place,
                        "a record lies before the one before it",
                    ));
                }
                least = offset + 1;
                if offset >= from {
                    records.push((offset, record));
                }
                at = next;
            }
        }
        Ok(())
    }
}

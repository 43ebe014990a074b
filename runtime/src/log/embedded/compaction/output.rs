//! What a compaction writes: frames of records that are kept, in segments of its own.

use std::{
    fs,
    os::unix::fs::FileExt,
    sync::{Arc, atomic::Ordering},
};

use super::Compactor;
use crate::{
    log::{
        LogError,
        embedded::{
            error::io_error,
            frame::{self, Header},
            hook::Step,
            index::FrameRef,
            manifest::compacted_name,
            segment::{self, Kind, Segment, UNFINISHED, sync_folder},
        },
    },
    record::{Offset, Record, codec},
};

/// Records that are kept are gathered into frames of about this many bytes.
const FRAME_BYTES: usize = 256 << 10;
/// The result is synced each time after so many bytes, so that no sync of the journal has to wait for much of it.
const SYNC_BYTES: u64 = 4 << 20;
/// The numbers of one compaction's segments fit into 16 bits of their sequence.
const SEGMENTS_MAX: u64 = 1 << 16;

/// The segments that a compaction makes, under unfinished names until all are there.
pub(super) struct Output<'a> {
    compactor: &'a Compactor,
    compaction: u64,
    pub(super) segments: Vec<Arc<Segment>>,
    /// Where the next frame goes in the last segment.
    position: u64,
    unsynced: u64,
    /// Per stream the frames; the segment's number is its place in `segments`.
    pub(super) frames: Vec<(u32, Vec<FrameRef>)>,
    stream: u32,
    base: Offset,
    span: u32,
    body: Vec<u8>,
}

impl<'a> Output<'a> {
    pub(super) fn new(compactor: &'a Compactor, compaction: u64) -> Self {
        Self {
            compactor,
            compaction,
            segments: Vec::new(),
            position: 0,
            unsynced: 0,
            frames: Vec::new(),
            stream: 0,
            base: 0,
            span: 0,
            body: Vec::new(),
        }
    }

    pub(super) fn begin(&mut self, stream: u32) {
        self.stream = stream;
        self.frames.push((stream, Vec::new()));
    }

    pub(super) fn push(&mut self, offset: Offset, record: &Record) -> Result<(), LogError> {
        let length = codec::encoded_bytes(record);
        if !self.body.is_empty() {
            let near = u32::try_from(offset - self.base).is_ok_and(|delta| delta < u32::MAX);
            if !near || self.body.len() + length > FRAME_BYTES {
                self.flush()?;
            }
        }
        if self.body.is_empty() {
            self.base = offset;
        }
        let delta = u32::try_from(offset - self.base).expect("a new frame was begun otherwise");
        codec::encode(record, delta, &mut self.body).expect("it was read in the same format");
        self.span = delta + 1;
        Ok(())
    }

    /// Ends the stream: the offset `end` is never given again, even if its last records went.
    pub(super) fn end(&mut self, end: Offset) -> Result<(), LogError> {
        if !self.body.is_empty() {
            self.flush()?;
        }
        self.base = end;
        self.flush()
    }

    fn flush(&mut self) -> Result<(), LogError> {
        let bytes = (frame::HEADER_BYTES + self.body.len()) as u64;
        let full = self.position + bytes > self.compactor.options.segment_bytes;
        if self.segments.is_empty() || (full && self.position > segment::HEADER_BYTES as u64) {
            self.next_segment()?;
        }
        let segment = self.segments.last().expect("one was just made");
        let header = Header {
            body_crc: crc32c::crc32c(&self.body),
            body_bytes: u32::try_from(self.body.len()).expect("a frame is below 4 GiB"),
            stream: self.stream,
            span: self.span,
            base: self.base,
            position: self.position,
            durable: 0,
        };
        let mut frame = header.encode(segment.salt).to_vec();
        frame.append(&mut self.body);
        self.compactor
            .options
            .hook
            .at(Step::CompactionWrite)
            .and_then(|()| segment.file.write_all_at(&frame, self.position))
            .map_err(io_error("write", &segment.path))?;
        self.unsynced += bytes;
        if self.unsynced > SYNC_BYTES {
            segment
                .file
                .sync_data()
                .map_err(io_error("sync", &segment.path))?;
            self.unsynced = 0;
        }
        if header.body_bytes > 0 {
            let number = u32::try_from(self.segments.len() - 1).expect("checked by next_segment");
            let frames = &mut self.frames.last_mut().expect("begin was called").1;
            frames.push(FrameRef::new(&header, number));
        }
        self.position = header.end();
        segment.length.store(self.position, Ordering::Relaxed);
        self.span = 0;
        Ok(())
    }

    fn next_segment(&mut self) -> Result<(), LogError> {
        self.sync_last()?;
        let number = self.segments.len() as u64;
        let folder = &self.compactor.folder;
        if number == SEGMENTS_MAX {
            return Err(LogError::Io {
                what: format!(
                    "can't compact {} into {SEGMENTS_MAX} segments",
                    folder.display()
                ),
                source: std::io::Error::other("segment_bytes is too small for this much data"),
            });
        }
        let name = format!("{}{UNFINISHED}", compacted_name(self.compaction, number));
        let sequence = self.compaction << 16 | number;
        let segment = Segment::create(folder, &name, Kind::Compacted, sequence)
            .map_err(io_error("make a segment in", folder))?;
        self.segments.push(Arc::new(segment));
        self.position = segment::HEADER_BYTES as u64;
        Ok(())
    }

    fn sync_last(&mut self) -> Result<(), LogError> {
        if let Some(segment) = self.segments.last() {
            segment
                .file
                .sync_all()
                .map_err(io_error("sync", &segment.path))?;
            self.unsynced = 0;
        }
        Ok(())
    }

    /// Gives the segments their names. They still mean nothing before the manifest says so.
    pub(super) fn name(&mut self) -> Result<(), LogError> {
        self.sync_last()?;
        let folder = &self.compactor.folder;
        let hook = &self.compactor.options.hook;
        hook.at(Step::CompactionWritten)
            .map_err(io_error("compact", folder))?;
        for (number, segment) in self.segments.iter_mut().enumerate() {
            let path = folder.join(compacted_name(self.compaction, number as u64));
            fs::rename(&segment.path, &path).map_err(io_error("name", &path))?;
            let named = Arc::get_mut(segment).expect("the index does not have it yet");
            named.path = path;
        }
        sync_folder(folder).map_err(io_error("sync", folder))
    }

    /// After a failure: makes room.
    pub(super) fn remove(&self) {
        for segment in &self.segments {
            // Otherwise it is removed at the next start.
            let _ = fs::remove_file(&segment.path);
        }
    }
}

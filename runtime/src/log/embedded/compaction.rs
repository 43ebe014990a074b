//! Compaction: a thread of its own rewrites what is sealed, stream by stream, and keeps per stream
//!
//! - the last record of each key;
//! - each record that carries a reply younger than the horizon, the newest of them if there are too many;
//! - of topics whose readers go on from where they were, the newest records, so many and so many bytes;
//! - its last record, so that its ballot stays;
//! - of topics of events all records but those that are old enough, and that all have read who say so; of those that are tables, the last record of each key besides.
//!
//! A deletion goes unless something that is kept before it touches its key: a record that is kept for its reply, or
//! a batch. Records that never counted (one before them carries a higher ballot) go: what showed that they do not
//! count may go as well.
//!
//! The result takes effect by one replacement of the manifest; a crash leaves what was before or what is after.
//! Memory: per key of one stream some 50 bytes, far less than the state itself takes; what is read and written at a time.

mod output;

use std::{
    collections::{HashMap, HashSet, VecDeque},
    fs,
    hash::{BuildHasher, RandomState},
    path::PathBuf,
    sync::{
        Arc, Condvar, Mutex, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;

use self::output::Output;
use super::{
    Options,
    error::io_error,
    hook::Step,
    index::{FrameRef, Index, SegmentId, Stream, UNPOISONED},
    manifest::{Manifest, TopicEntry},
};
use crate::{
    batch,
    log::{LogError, STREAM_FORMAT, embedded::committer::Journals},
    record::{self, Ballot, Offset, Record},
};

/// How much of a stream is read at a time.
const READ_BYTES: usize = 1 << 20;

/// What the last compaction left.
#[derive(Debug, Default)]
pub(super) struct Compacted {
    pub(super) segments: Vec<SegmentId>,
    pub(super) bytes: u64,
    /// The highest number that a compaction of this process had, whether it was finished or not.
    attempted: u64,
}

/// By how much the priority of compaction is below that of the other threads.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 10;

/// The state of compaction.
pub(super) struct Compactor {
    folder: PathBuf,
    options: Options,
    index: Arc<Index>,
    journals: Arc<Journals>,
    manifest: Arc<Mutex<Manifest>>,
    /// Held while one runs.
    compacted: Mutex<Compacted>,
    stopped: AtomicBool,
    awake: Mutex<bool>,
    waker: Condvar,
    /// What those who read streams of events need no more: by stream, and by reader.
    consumed: Mutex<HashMap<u32, HashMap<String, Offset>>>,
    /// 128 bits of a keyed hash stand for a key.
    hashers: (RandomState, RandomState),
}

/// A key's hash. Whoever chooses keys does not know the hashers' keys, so no two keys share one.
type Digest = (u64, u64);

impl Compactor {
    pub(super) fn new(
        folder: PathBuf,
        options: Options,
        index: Arc<Index>,
        journals: Arc<Journals>,
        manifest: Arc<Mutex<Manifest>>,
        compacted: Compacted,
    ) -> Self {
        Self {
            folder,
            options,
            index,
            journals,
            manifest,
            compacted: Mutex::new(compacted),
            stopped: AtomicBool::new(false),
            // What a crash left may be due at once.
            awake: Mutex::new(true),
            waker: Condvar::new(),
            consumed: Mutex::default(),
            hashers: (RandomState::new(), RandomState::new()),
        }
    }

    /// A reader of a stream needs nothing before this offset any more.
    pub(super) fn consumed(&self, number: u32, reader: &str, before: Offset) {
        let mut consumed = self.consumed.lock().expect(UNPOISONED);
        let readers = consumed.entry(number).or_default();
        match readers.get_mut(reader) {
            Some(known) => *known = before,
            None => drop(readers.insert(reader.to_owned(), before)),
        }
    }

    /// Says that a journal was sealed.
    pub(super) fn wake(&self) {
        *self.awake.lock().expect(UNPOISONED) = true;
        self.waker.notify_one();
    }

    /// Ends [`run`](Self::run), in the middle of a compaction too.
    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
        self.wake();
    }

    /// Compacts whenever it is due, until [`stop`](Self::stop).
    pub(super) fn run(&self) {
        // What serves goes first, and what is replayed. Elsewhere this would slow the whole process down.
        #[cfg(target_os = "linux")]
        if let Err(error) = rustix::process::nice(NICENESS) {
            tracing::debug!(%error, "compaction runs at the priority of everything else");
        }
        loop {
            let mut awake = self.awake.lock().expect(UNPOISONED);
            while !*awake {
                awake = self.waker.wait(awake).expect(UNPOISONED);
            }
            *awake = false;
            drop(awake);
            if self.stopped.load(Ordering::Relaxed) {
                return;
            }
            if self.is_due()
                && let Err(error) = self.compact()
                && !self.stopped.load(Ordering::Relaxed)
            {
                tracing::warn!(%error, "the log could not be compacted; it is tried again when the next journal is full");
            }
        }
    }

    /// Whether the sealed journals hold enough for the bound in the [module's text](super).
    fn is_due(&self) -> bool {
        let compacted = self.compacted.lock().expect(UNPOISONED).bytes;
        let allowed = compacted.saturating_mul(u64::from(self.options.growth_percent)) / 100;
        let sealed: u64 = self
            .sealed()
            .iter()
            .filter_map(|(_, id)| self.index.segment(*id))
            .map(|segment| segment.length())
            .sum();
        // A sealed journal is a bit shorter than the limit, by up to the group that did not fit.
        sealed > 0 && sealed >= allowed.max(self.options.segment_bytes / 2)
    }

    /// All journals but the one that is being written.
    fn sealed(&self) -> Vec<(u64, SegmentId)> {
        let mut journals = self.journals.list.lock().expect(UNPOISONED).clone();
        journals.pop();
        journals
    }

    /// Compacts what is sealed now.
    pub(super) fn compact(&self) -> Result<(), LogError> {
        let mut compacted = self.compacted.lock().expect(UNPOISONED);
        let sealed = self.sealed();
        let Some((last_sealed, _)) = sealed.last().copied() else {
            return Ok(());
        };
        let finished = self.manifest.lock().expect(UNPOISONED).compaction;
        let compaction = finished.max(compacted.attempted) + 1;
        compacted.attempted = compaction;
        let old: HashSet<SegmentId> = sealed
            .iter()
            .map(|(_, id)| *id)
            .chain(compacted.segments.iter().copied())
            .collect();
        let mut output = Output::new(self, compaction);
        let written = self.write(&old, &mut output).and_then(|()| output.name());
        let step = |step| {
            self.options
                .hook
                .at(step)
                .map_err(io_error("compact", &self.folder))
        };
        let written = written
            .and_then(|()| step(Step::CompactionNamed))
            .and_then(|()| self.point_at(compaction, output.segments.len(), last_sealed + 1));
        if let Err(error) = written {
            // The manifest may have been replaced although making that durable failed.
            let named = Manifest::read(&self.folder).map_or(true, |manifest| {
                manifest.is_none_or(|it| it.compaction == compaction)
            });
            if !named {
                output.remove();
            }
            return Err(error);
        }
        let before: u64 = old
            .iter()
            .filter_map(|id| self.index.segment(*id))
            .map(|segment| segment.length())
            .sum();
        *compacted = Compacted {
            attempted: compaction,
            ..self.switch(&old, output)
        };
        self.journals
            .list
            .lock()
            .expect(UNPOISONED)
            .retain(|(sequence, _)| *sequence > last_sealed);
        tracing::debug!(before, after = compacted.bytes, "compacted the log");
        step(Step::CompactionSwitched)?;
        for (at, id) in old.iter().enumerate() {
            if let Some(segment) = self.index.remove_segment(*id) {
                // What stays is removed at the next start.
                fs::remove_file(&segment.path).map_err(io_error("remove", &segment.path))?;
            }
            if at == 0 {
                step(Step::CompactionRemovedOne)?;
            }
        }
        step(Step::CompactionDone)
    }

    /// Makes a compaction's segments, and the journals from `first_journal` on, the log.
    fn point_at(
        &self,
        compaction: u64,
        segments: usize,
        first_journal: u64,
    ) -> Result<(), LogError> {
        let mut manifest = self.manifest.lock().expect(UNPOISONED);
        let mut next = manifest.clone();
        next.compaction = compaction;
        next.compacted_segments = segments as u64;
        next.first_journal = first_journal;
        next.write(&self.folder)
            .map_err(io_error("write the manifest of", &self.folder))?;
        *manifest = next;
        Ok(())
    }

    /// Writes what is kept of the segments `old`.
    fn write(&self, old: &HashSet<SegmentId>, output: &mut Output<'_>) -> Result<(), LogError> {
        for number in 0..self.index.len() {
            let stream = self
                .index
                .stream(number)
                .expect("streams are never removed");
            let frames: Vec<FrameRef> = {
                let stream = stream.read().expect(UNPOISONED);
                let count = stream
                    .frames
                    .partition_point(|frame| old.contains(&frame.segment));
                stream.frames[..count].to_vec()
            };
            let Some(last) = frames.last() else {
                continue;
            };
            let end = last.base + u64::from(last.span);
            let source = RwLock::new(Stream {
                frames,
                end,
                ..Stream::default()
            });
            let keep = match self.kind(number) {
                StreamKind::Events {
                    forgotten,
                    is_table,
                } => self.choose_events(&source, forgotten, is_table)?,
                StreamKind::State { keeps_recent } => self.choose(&source, keeps_recent)?,
            };
            output.begin(number);
            self.each(&source, |offset, record| {
                if keep.keeps(self.digest(&record.key), offset) {
                    output.push(offset, record)?;
                }
                Ok(())
            })?;
            output.end(end)?;
        }
        Ok(())
    }

    /// Goes through the records of a stream that count.
    fn each(
        &self,
        stream: &RwLock<Stream>,
        mut each: impl FnMut(Offset, &Record) -> Result<(), LogError>,
    ) -> Result<(), LogError> {
        let mut ballot = Ballot::default();
        let mut from = 0;
        loop {
            if self.stopped.load(Ordering::Relaxed) {
                return Err(LogError::Io {
                    what: "compaction ends with the log".to_owned(),
                    source: std::io::ErrorKind::Interrupted.into(),
                });
            }
            let chunk = self.index.read(stream, from, READ_BYTES)?;
            if chunk.next == from {
                return Ok(());
            }
            for (offset, record) in &chunk.records {
                if record.ballot >= ballot {
                    ballot = record.ballot;
                    each(*offset, record)?;
                }
            }
            from = chunk.next;
            // Whoever serves requests goes first.
            std::thread::yield_now();
        }
    }

    /// What a stream holds.
    fn kind(&self, number: u32) -> StreamKind {
        let manifest = self.manifest.lock().expect(UNPOISONED);
        let has = |topic: &TopicEntry| {
            let number = number.checked_sub(topic.first_stream);
            number.is_some_and(|number| number < topic.partitions)
        };
        let Some(topic) = manifest.topics.iter().find(|topic| has(topic)) else {
            let keeps_recent = false;
            return StreamKind::State { keeps_recent };
        };
        if topic.format != STREAM_FORMAT {
            let keeps_recent = self.options.recent_topics.contains(&topic.name);
            return StreamKind::State { keeps_recent };
        }
        let readers = self.options.stream_readers.get(&topic.name);
        let consumed = self.consumed.lock().expect(UNPOISONED);
        let known = consumed.get(&number);
        let forgotten = match (readers, known) {
            (None | Some(0), _) => Offset::MAX,
            (Some(count), Some(known)) if known.len() >= *count => {
                known.values().copied().min().unwrap_or_default()
            }
            // Somebody has yet to say so.
            (Some(_), _) => 0,
        };
        let is_table = self.options.tables.contains(&topic.name);
        StreamKind::Events {
            forgotten,
            is_table,
        }
    }

    /// Decides what is kept of a stream of events: all from the first on that is not old enough, or before which somebody has yet to read; and of a table the last record of each key, unless it
    /// deletes.
    fn choose_events(
        &self,
        stream: &RwLock<Stream>,
        forgotten: Offset,
        is_table: bool,
    ) -> Result<Keep, LogError> {
        let horizon_ms = before_now_ms(self.options.stream_retention);
        let mut keep = Keep::default();
        self.each(stream, |offset, record| {
            let goes = offset < forgotten && record.timestamp_ms < horizon_ms;
            if !goes && keep.recent.is_none() {
                keep.recent = Some(offset);
            }
            if is_table {
                let deleted = record.value.is_none();
                let last = Last { offset, deleted };
                keep.last.insert(self.digest(&record.key), last);
            }
            keep.end = Some(offset);
            Ok(())
        })?;
        Ok(keep)
    }

    /// Decides what is kept of a stream.
    fn choose(&self, stream: &RwLock<Stream>, keeps_recent: bool) -> Result<Keep, LogError> {
        let horizon_ms = before_now_ms(self.options.answer_horizon);
        let mut keep = Keep::default();
        let mut batches: HashMap<Digest, (Offset, Vec<Digest>)> = HashMap::new();
        let mut answers: VecDeque<(Offset, Vec<Digest>)> = VecDeque::new();
        let mut recent = Newest::default();
        self.each(stream, |offset, record| {
            let digest = self.digest(&record.key);
            keep.last.insert(
                digest,
                Last {
                    offset,
                    deleted: record.value.is_none(),
                },
            );
            keep.end = Some(offset);
            if keeps_recent {
                recent.push(offset, record, &self.options);
            }
            if record.kind == record::Kind::Batch {
                batches.insert(digest, (offset, self.touched(record)));
            }
            if record.answered.is_some() && record.timestamp_ms >= horizon_ms {
                answers.push_back((offset, self.touched(record)));
                if answers.len() > self.options.answers_max {
                    answers.pop_front();
                }
            }
            Ok(())
        })?;
        keep.recent = recent.records.front().map(|(offset, _)| *offset);
        keep.answers = answers.iter().map(|(offset, _)| *offset).collect();
        // Deletions are needed where something that is kept before them would bring their key back.
        for (offset, touched) in answers.iter().chain(batches.values()) {
            for digest in touched {
                if let Some(last) = keep.last.get_mut(digest)
                    && *offset < last.offset
                {
                    last.deleted = false;
                }
            }
        }
        Ok(keep)
    }

    /// The keys that a record changes.
    fn touched(&self, record: &Record) -> Vec<Digest> {
        let changes = match (&record.value, record.kind) {
            (Some(value), record::Kind::Batch) => batch::decode(value).unwrap_or_default(),
            _ => Vec::new(),
        };
        std::iter::once(self.digest(&record.key))
            .chain(changes.iter().map(|change| self.digest(&change.key)))
            .collect()
    }

    fn digest(&self, key: &[u8]) -> Digest {
        (self.hashers.0.hash_one(key), self.hashers.1.hash_one(key))
    }

    /// Lets readers use the result. Who still holds an old segment reads on in it.
    fn switch(&self, old: &HashSet<SegmentId>, output: Output<'_>) -> Compacted {
        let mut compacted = Compacted::default();
        for segment in output.segments {
            compacted.bytes += segment.length();
            compacted.segments.push(self.index.add_segment(segment));
        }
        for (number, frames) in output.frames {
            let stream = self
                .index
                .stream(number)
                .expect("streams are never removed");
            let mut stream = stream.write().expect(UNPOISONED);
            let replaced = stream
                .frames
                .partition_point(|frame| old.contains(&frame.segment));
            let frames = frames.into_iter().map(|frame| FrameRef {
                segment: compacted.segments[frame.segment as usize],
                ..frame
            });
            stream.frames.splice(..replaced, frames);
        }
        compacted
    }
}

/// So long ago, in milliseconds since the Unix epoch.
fn before_now_ms(ago: Duration) -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let then = now.unwrap_or_default().saturating_sub(ago);
    then.as_millis().try_into().unwrap_or(u64::MAX)
}

/// What a stream holds.
enum StreamKind {
    /// A partition of a state. The newest of its records may have to stay.
    State { keeps_recent: bool },
    /// Events. Nobody who reads it needs those before `forgotten` any more, but for the last one of each key of a table.
    Events { forgotten: Offset, is_table: bool },
}

/// Where a key's last record is.
struct Last {
    offset: Offset,
    /// It is a deletion, and nothing before it needs it.
    deleted: bool,
}

/// What is kept of a stream.
#[derive(Default)]
struct Keep {
    last: HashMap<Digest, Last>,
    answers: HashSet<Offset>,
    /// From here on all of it.
    recent: Option<Offset>,
    /// The stream's last record.
    end: Option<Offset>,
}

/// The newest records of a stream, and the bytes of each.
#[derive(Default)]
struct Newest {
    records: VecDeque<(Offset, usize)>,
    bytes: usize,
}

impl Newest {
    fn push(&mut self, offset: Offset, record: &Record, options: &Options) {
        let bytes = record.key.len() + record.value.as_ref().map_or(0, Bytes::len);
        self.records.push_back((offset, bytes));
        self.bytes += bytes;
        while self.records.len() > options.recent_max || self.bytes > options.recent_bytes_max {
            let Some((_, bytes)) = self.records.pop_front() else {
                return;
            };
            self.bytes -= bytes;
        }
    }
}

impl Keep {
    fn keeps(&self, key: Digest, offset: Offset) -> bool {
        self.end == Some(offset)
            || self.answers.contains(&offset)
            || self.recent.is_some_and(|from| offset >= from)
            || self
                .last
                .get(&key)
                .is_some_and(|last| last.offset == offset && !last.deleted)
    }
}

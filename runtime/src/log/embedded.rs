//! The log of a single node: files in a folder, nothing else to install.
//!
//! All partitions of all topics share one journal, so that one sync of the disk serves whoever waits. The
//! layout of the folder and of its files is drawn in ARCHITECTURE.md.
//!
//! | module | what |
//! |---|---|
//! | `frame`, `segment`, `manifest`, `layouts` | bytes on the disk |
//! | `recovery` | opening: everything is checked; a torn tail is cut, damage is refused |
//! | `index` | where each partition's frames are; reading |
//! | `committer` | the one thread that writes |
//! | `compaction` | the one thread that rewrites what is sealed |
//! | `peek` | a look at a log that is in use |
//!
//! A topic whose records count once the system has them ([`Sync::Os`]) shares the journal with the others. What it appends is acknowledged when it is written, and is
//! made durable with the next group that somebody waits for, or a second later.
//!
//! # Disk
//! Let *live* be the bytes of what the last compaction kept: the last record of each key, and the remembered
//! replies. At rest the log takes less than
//! `live + max(segment_bytes, live * growth_percent / 100) + segment_bytes`, that is, at the default, two times
//! live and two segments; in addition, what is appended while a compaction runs, and while it does, its result.
//! A group that is longer than a segment (8 MiB, or one append) may lengthen one by itself.

mod committer;
mod compaction;
mod error;
mod frame;
mod hook;
mod index;
mod layouts;
mod manifest;
mod peek;
mod recovery;
mod segment;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs::File,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use futures_util::{FutureExt, future::BoxFuture};
use tokio::sync::oneshot;

use self::{
    committer::{Job, JobFrame, ProducerState, Queue},
    compaction::Compactor,
    error::io_error,
    index::{Index, Stream, UNPOISONED},
    manifest::{Manifest, TopicEntry},
};
pub use self::{
    hook::{Hook, Step},
    peek::Peek,
};
use super::{
    Ack, AppendError, Chunk, KeptLayout, Log, LogError, Producer, Receipt, Retention,
    STREAM_FORMAT, Topic, TopicPartition, no_stream,
};
use crate::record::{Offset, Record, codec};

/// Records are gathered into frames of about this many bytes: what is checked and read as a whole.
const FRAME_BYTES: usize = 1 << 20;
/// One append is at most this long.
const APPEND_BYTES_MAX: usize = 256 << 20;
/// Bounds of [`Options::segment_bytes`].
const SEGMENT_BYTES_MIN: u64 = 4 << 10;
const SEGMENT_BYTES_MAX: u64 = 1 << 30;
/// Why a closed log refuses.
const CLOSED: &str = "it is closed";

/// When a record counts as written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sync {
    /// Once the disk has it: it survives a crash of the machine.
    #[default]
    Fsync,
    /// Once the operating system has it: it survives a crash of the process only. The disk has it about a second later.
    Os,
}

/// How the embedded log works.
#[derive(Clone, Debug)]
pub struct Options {
    /// When a record counts as written.
    pub sync: Sync,
    /// When it does in these topics.
    pub syncs: BTreeMap<String, Sync>,
    /// A journal is sealed, and can be compacted, once it is this long. Between 4 KiB and 1 GiB.
    pub segment_bytes: u64,
    /// Compaction begins once sealed journals hold at least a segment's bytes, and this share of what the
    /// last compaction kept: 100 allows as much again.
    pub growth_percent: u32,
    /// Whether compaction runs in the background.
    pub compact: bool,
    /// For how long replies to requests with an id are remembered.
    pub answer_horizon: Duration,
    /// At most so many of them per partition; the oldest go first.
    pub answers_max: usize,
    /// Topics whose newest records stay, also if later ones have their keys: readers go on from them.
    pub recent_topics: BTreeSet<String>,
    /// So many of them per partition, at least, of those that compaction finds.
    pub recent_max: usize,
    /// So many bytes of keys and values of them, at most.
    pub recent_bytes_max: usize,
    /// For how long the records of streams are kept at least, whether they were read or not.
    pub stream_retention: Duration,
    /// How many read each stream and say how far they are ([`Log::consumed`]): what is older goes once all of them have read it.
    pub stream_readers: BTreeMap<String, usize>,
    /// Streams that are tables ([`Log::open_table`]): the last record of each key stays.
    pub tables: BTreeSet<String>,
    /// What fails, in tests.
    pub hook: Hook,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            sync: Sync::Fsync,
            syncs: BTreeMap::new(),
            segment_bytes: 64 << 20,
            growth_percent: 100,
            compact: true,
            answer_horizon: Duration::from_secs(60 * 60),
            answers_max: 100_000,
            recent_topics: BTreeSet::new(),
            recent_max: 0,
            recent_bytes_max: 0,
            stream_retention: Duration::from_secs(7 * 24 * 60 * 60),
            stream_readers: BTreeMap::new(),
            tables: BTreeSet::new(),
            hook: Hook::default(),
        }
    }
}

impl Options {
    fn sync_of(&self, topic: &str) -> Sync {
        self.syncs.get(topic).copied().unwrap_or(self.sync)
    }

    /// Whether records count anywhere before the disk has them.
    fn relies_on_the_system(&self) -> bool {
        self.sync == Sync::Os || self.syncs.values().any(|sync| *sync == Sync::Os)
    }
}

/// The embedded log. See the [module](self).
///
/// ```
/// use memgen::{
///     log::{Log, Topic, TopicPartition, embedded::{Embedded, Options}},
///     record::{Ballot, Kind, Record},
/// };
/// # let folder = std::env::temp_dir().join(format!("memgen-doc-{}", std::process::id()));
/// # let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
/// # runtime.block_on(async {
/// let log = Embedded::open(&folder, Options::default()).unwrap();
/// log.declare(&Topic {
///     name: "vertex".into(), partitions: 4, partitioner: "murmur2 key".into(), format: "json".into(),
/// }).await.unwrap();
/// let partition = TopicPartition::new("vertex", 3);
/// let mut producer = log.producer(&partition).unwrap();
/// let record = Record {
///     place: None,
///     ballot: Ballot::new(1, 1), kind: Kind::Data, timestamp_ms: 0, schema: 0, answered: None,
///     key: "7".into(), value: Some("{}".into()),
/// };
/// assert_eq!(producer.append(std::slice::from_ref(&record)).await, Ok(vec![0]));
/// assert_eq!(log.read(&partition, 0, 1 << 20).await.unwrap().records, [(0, record)]);
/// log.close().await;
/// # });
/// # std::fs::remove_dir_all(&folder).unwrap();
/// ```
#[derive(Debug)]
pub struct Embedded {
    shared: Arc<Shared>,
}

struct Shared {
    folder: PathBuf,
    options: Options,
    index: Arc<Index>,
    queue: Arc<Queue>,
    /// Declaring and compacting both replace it.
    manifest: Arc<Mutex<Manifest>>,
    topics: RwLock<HashMap<String, TopicEntry>>,
    compactor: Arc<Compactor>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// Kept for its lock, until the threads are gone.
    lock: Mutex<Option<File>>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("folder", &self.folder)
            .finish_non_exhaustive()
    }
}

impl Embedded {
    /// Opens the log in `folder`, or makes one. Everything in it is read and checked.
    ///
    /// # Errors
    /// [`LogError::InUse`] if another process has it open. [`LogError::Corrupt`] if something that was durable
    /// is damaged; nothing was changed then. [`LogError::Io`].
    #[expect(
        clippy::missing_panics_doc,
        reason = "nothing has panicked yet with the new locks"
    )]
    pub fn open(folder: impl AsRef<Path>, options: Options) -> Result<Self, LogError> {
        let folder = folder.as_ref().to_owned();
        let options = Options {
            segment_bytes: options
                .segment_bytes
                .clamp(SEGMENT_BYTES_MIN, SEGMENT_BYTES_MAX),
            ..options
        };
        let opened = recovery::open(&folder, &options)?;
        let index = opened.committer.index.clone();
        let queue = opened.committer.queue.clone();
        let manifest = Arc::new(Mutex::new(opened.manifest));
        let topics = {
            let manifest = manifest.lock().expect(UNPOISONED);
            manifest
                .topics
                .iter()
                .map(|topic| (topic.name.clone(), topic.clone()))
                .collect()
        };
        let compactor = Arc::new(Compactor::new(
            folder.clone(),
            options.clone(),
            Arc::clone(&index),
            Arc::clone(&opened.committer.journals),
            Arc::clone(&manifest),
            opened.compacted,
        ));
        let log = Self {
            shared: Arc::new(Shared {
                folder,
                options: options.clone(),
                index,
                queue,
                manifest,
                topics: RwLock::new(topics),
                compactor: Arc::clone(&compactor),
                threads: Mutex::default(),
                lock: Mutex::new(Some(opened.lock)),
            }),
        };
        let committer = opened.committer;
        let waker = Arc::clone(&compactor);
        log.spawn("memgen-commit", move || committer.run(&|| waker.wake()))?;
        if options.compact {
            log.spawn("memgen-compact", move || compactor.run())?;
        }
        Ok(log)
    }

    fn spawn(&self, name: &str, run: impl FnOnce() + Send + 'static) -> Result<(), LogError> {
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(run)
            .map_err(io_error("start the threads of", &self.shared.folder))?;
        self.shared.threads.lock().expect(UNPOISONED).push(thread);
        Ok(())
    }

    /// Compacts what is sealed, at once and on this thread, whether it is due or not.
    ///
    /// # Errors
    /// [`LogError::Io`] if there is no room for the result; [`LogError::Corrupt`]. The log is as before, then.
    pub fn compact(&self) -> Result<(), LogError> {
        self.shared.compactor.compact()
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        self.shared.close();
    }
}

impl Shared {
    fn close(&self) {
        self.queue.refuse(CLOSED, false);
        self.compactor.stop();
        // Held meanwhile, so that whoever else closes waits as well.
        let mut threads = self.threads.lock().expect(UNPOISONED);
        for thread in threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread of the log panicked");
            }
        }
        if let Some(file) = self.lock.lock().expect(UNPOISONED).take() {
            // A child that this process is just starting has a copy of the file for a moment, and with it the lock: closing is not enough.
            let _ = file.unlock();
        }
    }

    fn stream(&self, partition: &TopicPartition) -> Result<(u32, Arc<RwLock<Stream>>), LogError> {
        self.topics
            .read()
            .expect(UNPOISONED)
            .get(&*partition.topic)
            .filter(|topic| partition.partition < topic.partitions)
            .map(|topic| topic.first_stream + partition.partition)
            .and_then(|number| Some((number, self.index.stream(number)?)))
            .ok_or_else(|| LogError::UnknownPartition(partition.clone()))
    }
}

impl Shared {
    fn declare(&self, topic: &Topic) -> Result<(), LogError> {
        let mut manifest = self.manifest.lock().expect(UNPOISONED);
        if let Some(kept) = manifest.topic(&topic.name) {
            return kept.compare(topic);
        }
        let first_stream = manifest.streams();
        let streams = first_stream
            .checked_add(topic.partitions)
            .filter(|_| topic.partitions > 0);
        let Some(streams) = streams.filter(|streams| *streams < frame::MARK_STREAM) else {
            return Err(LogError::Shape {
                topic: topic.name.clone(),
                what: format!("{} partitions are too few or too many", topic.partitions),
            });
        };
        let entry = TopicEntry {
            name: topic.name.clone(),
            partitions: topic.partitions,
            partitioner: topic.partitioner.clone(),
            format: topic.format.clone(),
            first_stream,
        };
        let mut grown = manifest.clone();
        grown.topics.push(entry.clone());
        grown
            .write(&self.folder)
            .map_err(io_error("write the manifest of", &self.folder))?;
        *manifest = grown;
        self.index.grow(streams);
        self.topics
            .write()
            .expect(UNPOISONED)
            .insert(entry.name.clone(), entry);
        Ok(())
    }

    /// A topic of events, made if it is not there.
    fn open_stream(&self, topic: &str, partitions: u32) -> Result<u32, LogError> {
        let kept = {
            let manifest = self.manifest.lock().expect(UNPOISONED);
            manifest.topic(topic).cloned()
        };
        match kept {
            None => {
                self.declare(&super::stream(topic, partitions))?;
                Ok(partitions)
            }
            Some(kept) if kept.format == STREAM_FORMAT => Ok(kept.partitions),
            Some(_) => Err(no_stream(topic)),
        }
    }

    /// The partition's stream, if it reaches as far as `from`.
    fn stream_up_to(
        &self,
        partition: &TopicPartition,
        from: Offset,
    ) -> Result<Arc<RwLock<Stream>>, LogError> {
        let (_, stream) = self.stream(partition)?;
        let end = stream.read().expect(UNPOISONED).end;
        if from > end {
            return Err(LogError::OutOfRange {
                partition: partition.clone(),
                from,
                start: 0,
                end,
            });
        }
        Ok(stream)
    }
}

impl Log for Embedded {
    fn declare<'a>(&'a self, topic: &'a Topic) -> BoxFuture<'a, Result<(), LogError>> {
        async move { self.shared.declare(topic) }.boxed()
    }

    fn open_stream<'a>(
        &'a self,
        topic: &'a str,
        partitions: u32,
    ) -> BoxFuture<'a, Result<u32, LogError>> {
        async move { self.shared.open_stream(topic, partitions) }.boxed()
    }

    fn open_table<'a>(&'a self, topic: &'a str) -> BoxFuture<'a, Result<u32, LogError>> {
        self.open_stream(topic, 1)
    }

    fn is_changelog(&self, topic: &str) -> bool {
        let topics = self.shared.topics.read().expect(UNPOISONED);
        topics
            .get(topic)
            .is_some_and(|topic| topic.format != STREAM_FORMAT)
    }

    fn consumed(&self, partition: &TopicPartition, reader: &str, before: Offset) {
        if let Ok((number, _)) = self.shared.stream(partition) {
            self.shared.compactor.consumed(number, reader, before);
        }
    }

    fn layouts<'a>(&'a self, topic: &'a str) -> BoxFuture<'a, Result<Vec<KeptLayout>, LogError>> {
        std::future::ready(layouts::read(&self.shared.folder, topic)).boxed()
    }

    fn keep_layout<'a>(
        &'a self,
        topic: &'a str,
        layout: &'a KeptLayout,
    ) -> BoxFuture<'a, Result<(), LogError>> {
        std::future::ready(layouts::keep(&self.shared.folder, topic, layout)).boxed()
    }

    fn producer(&self, partition: &TopicPartition) -> Result<Box<dyn Producer>, LogError> {
        let (stream, _) = self.shared.stream(partition)?;
        Ok(Box::new(EmbeddedProducer {
            stream,
            queue: Arc::clone(&self.shared.queue),
            sync: self.shared.options.sync_of(&partition.topic),
            state: Arc::default(),
            refused: AtomicBool::new(false),
        }))
    }

    fn read<'a>(
        &'a self,
        partition: &'a TopicPartition,
        from: Offset,
        bytes_max: usize,
    ) -> BoxFuture<'a, Result<Chunk, LogError>> {
        async move {
            let stream = self.shared.stream_up_to(partition, from)?;
            let index = Arc::clone(&self.shared.index);
            tokio::task::spawn_blocking(move || index.read(&stream, from, bytes_max))
                .await
                .map_err(|error| LogError::Io {
                    what: format!("can't read {partition}"),
                    source: std::io::Error::other(error),
                })?
        }
        .boxed()
    }

    fn grown<'a>(
        &'a self,
        partition: &'a TopicPartition,
        from: Offset,
    ) -> BoxFuture<'a, Result<(), LogError>> {
        async move {
            let stream = self.shared.stream_up_to(partition, from)?;
            let grown = Arc::clone(&stream.read().expect(UNPOISONED).grown);
            loop {
                // Told of all that comes from now on, before it looks.
                let grew = grown.notified();
                if stream.read().expect(UNPOISONED).end > from {
                    return Ok(());
                }
                grew.await;
            }
        }
        .boxed()
    }

    fn end<'a>(&'a self, partition: &'a TopicPartition) -> BoxFuture<'a, Result<Offset, LogError>> {
        let end = self
            .shared
            .stream(partition)
            .map(|(_, stream)| stream.read().expect(UNPOISONED).end);
        std::future::ready(end).boxed()
    }

    fn answers(&self) -> BoxFuture<'_, bool> {
        std::future::ready(true).boxed()
    }

    fn record_bytes_max(&self, _topic: &str) -> usize {
        APPEND_BYTES_MAX - codec::HEADER_BYTES - 16
    }

    fn ack(&self, topic: &str) -> Ack {
        match self.shared.options.sync_of(topic) {
            Sync::Fsync => Ack::Fsync,
            Sync::Os => Ack::Os,
        }
    }

    fn retention(&self, _: &str) -> Option<Retention> {
        None
    }

    fn size_bytes(&self) -> Option<u64> {
        Some(self.shared.index.size_bytes())
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        let shared = Arc::clone(&self.shared);
        async move {
            // Without a runtime's blocking threads, as when it shuts down, `drop` closes.
            let _ = tokio::task::spawn_blocking(move || shared.close()).await;
        }
        .boxed()
    }
}

struct EmbeddedProducer {
    stream: u32,
    sync: Sync,
    queue: Arc<Queue>,
    state: Arc<ProducerState>,
    /// An append was refused before it reached the queue.
    refused: AtomicBool,
}

impl Producer for EmbeddedProducer {
    fn append(&mut self, records: &[Record]) -> Receipt {
        if self.refused.load(Ordering::Relaxed) || self.state.failed.load(Ordering::Acquire) {
            return refused("an earlier append of this producer failed".to_owned());
        }
        if records.is_empty() {
            return std::future::ready(Ok(Vec::new())).boxed();
        }
        let (bytes, frames) = match encode(records) {
            Ok(encoded) => encoded,
            Err(reason) => {
                self.refused.store(true, Ordering::Relaxed);
                return refused(reason);
            }
        };
        let (receipt, outcome) = oneshot::channel();
        let accepted = self.queue.push(Job {
            stream: self.stream,
            sync: self.sync,
            bytes,
            frames,
            records: records.len() as u64,
            producer: Arc::clone(&self.state),
            receipt,
        });
        if !accepted {
            self.refused.store(true, Ordering::Relaxed);
        }
        outcome
            .map(|outcome| {
                outcome.unwrap_or_else(|_| {
                    Err(AppendError::Unknown(
                        "the thread that writes is gone".to_owned(),
                    ))
                })
            })
            .boxed()
    }
}

fn refused(reason: String) -> Receipt {
    std::future::ready(Err(AppendError::Refused(reason))).boxed()
}

/// The records as frames without headers. It is done here, so that the one thread that writes need not.
fn encode(records: &[Record]) -> Result<(Vec<u8>, Vec<JobFrame>), String> {
    let bytes = records
        .iter()
        .map(codec::encoded_bytes)
        .fold(0, usize::saturating_add);
    if bytes > APPEND_BYTES_MAX {
        return Err(format!(
            "an append of {bytes} bytes is over the limit of {APPEND_BYTES_MAX}"
        ));
    }
    let mut out = Vec::with_capacity(bytes + (bytes / FRAME_BYTES + 1) * frame::HEADER_BYTES);
    let mut frames = Vec::with_capacity(1);
    let mut left = records.iter().peekable();
    while left.peek().is_some() {
        let at = out.len();
        out.extend_from_slice(&[0; frame::HEADER_BYTES]);
        let body = out.len();
        let mut span = 0;
        while let Some(record) = left.next_if(|record| {
            span == 0 || out.len() - body + codec::encoded_bytes(record) <= FRAME_BYTES
        }) {
            codec::encode(record, span, &mut out).map_err(|error| error.to_string())?;
            span += 1;
        }
        frames.push(JobFrame {
            at,
            body_crc: crc32c::crc32c(&out[body..]),
            body_bytes: u32::try_from(out.len() - body).expect("an append is below 4 GiB"),
            span,
        });
    }
    Ok((out, frames))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As when another thread starts a program at the moment of closing: the child has a copy of every file until it is on its own.
    #[test]
    fn a_copy_of_the_lock_does_not_hold_it() {
        let folder = std::env::temp_dir().join(format!("memgen-lock-{}", std::process::id()));
        let log = Embedded::open(&folder, Options::default()).unwrap();
        let copy = log
            .shared
            .lock
            .lock()
            .unwrap()
            .as_ref()
            .unwrap()
            .try_clone();
        drop(log);
        let again = Embedded::open(&folder, Options::default());
        assert!(again.is_ok(), "{again:?}");
        drop((again, copy));
        std::fs::remove_dir_all(&folder).unwrap();
    }
}

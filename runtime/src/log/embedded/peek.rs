//! A look at a log that another process may have open: nothing is locked, and nothing is changed.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, RwLock},
    time::Duration,
};

use futures_util::{FutureExt, future::BoxFuture};

use super::{
    index::{Index, Stream, UNPOISONED},
    layouts,
    manifest::{self, Manifest, journal_name, journal_sequence},
    recovery::take_in,
    segment::{Kind, Segment},
};
use crate::{
    log::{
        Chunk, KeptLayout, Log, LogError, Producer, Retention, STREAM_FORMAT, Topic,
        TopicPartition, no_stream,
    },
    record::Offset,
};

/// So often it is looked again if a compaction replaces meanwhile what is looked at.
const ATTEMPTS: u32 = 5;
/// How often it is looked for more.
const GROWTH_POLL: Duration = Duration::from_millis(50);

/// The log in a folder as it was at some moment, to be read only. It is no matter whether another process has it open.
///
/// ```
/// use memgen::log::{Log, embedded::{Embedded, Options, Peek}};
/// # let folder = std::env::temp_dir().join(format!("memgen-peek-{}", std::process::id()));
/// # let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
/// # runtime.block_on(async {
/// let log = Embedded::open(&folder, Options::default()).unwrap();
/// let peek = Peek::open(&folder).unwrap();
/// assert!(peek.layouts("vertex").await.unwrap().is_empty());
/// # log.close().await;
/// # });
/// # std::fs::remove_dir_all(&folder).unwrap();
/// ```
#[derive(Debug)]
pub struct Peek {
    folder: PathBuf,
    seen: RwLock<Arc<Seen>>,
}

/// What was there.
#[derive(Debug, Default)]
struct Seen {
    manifest: Option<Manifest>,
    index: Index,
}

impl Peek {
    /// Looks at what is in `folder` now. A folder without a log is an empty one.
    ///
    /// # Errors
    /// [`LogError::Corrupt`], [`LogError::Io`].
    pub fn open(folder: impl AsRef<Path>) -> Result<Self, LogError> {
        let folder = folder.as_ref().to_owned();
        Ok(Self {
            seen: RwLock::new(Arc::new(Seen::of(&folder)?)),
            folder,
        })
    }

    fn seen(&self) -> Arc<Seen> {
        Arc::clone(&self.seen.read().expect(UNPOISONED))
    }

    /// What is there now.
    fn look_again(&self) -> Result<(), LogError> {
        let seen = Arc::new(Seen::of(&self.folder)?);
        *self.seen.write().expect(UNPOISONED) = seen;
        Ok(())
    }
}

impl Seen {
    fn of(folder: &Path) -> Result<Self, LogError> {
        let mut attempts = 1..ATTEMPTS;
        loop {
            match Self::attempt(folder) {
                Err(_) if attempts.next().is_some() => {}
                result => return result,
            }
        }
    }

    fn attempt(folder: &Path) -> Result<Self, LogError> {
        let Some(manifest) = Manifest::read(folder)? else {
            return Ok(Self::default());
        };
        let index = index(folder, &manifest)?;
        Ok(Self {
            manifest: Some(manifest),
            index,
        })
    }

    fn stream(&self, partition: &TopicPartition) -> Result<Arc<RwLock<Stream>>, LogError> {
        let manifest = self.manifest.as_ref();
        manifest
            .and_then(|manifest| manifest.topic(&partition.topic))
            .filter(|topic| partition.partition < topic.partitions)
            .and_then(|topic| self.index.stream(topic.first_stream + partition.partition))
            .ok_or_else(|| LogError::UnknownPartition(partition.clone()))
    }
}

impl Log for Peek {
    /// Only compares: a topic that is not there is not made.
    fn declare<'a>(&'a self, topic: &'a Topic) -> BoxFuture<'a, Result<(), LogError>> {
        let seen = self.seen();
        let kept = seen
            .manifest
            .as_ref()
            .and_then(|manifest| manifest.topic(&topic.name));
        let result = match kept {
            Some(kept) => kept.compare(topic),
            None => Err(LogError::Setup(format!(
                "there is no topic `{}` in the log in {}: the service has not run with it yet",
                topic.name,
                self.folder.display()
            ))),
        };
        std::future::ready(result).boxed()
    }

    fn open_stream<'a>(
        &'a self,
        topic: &'a str,
        _partitions: u32,
    ) -> BoxFuture<'a, Result<u32, LogError>> {
        let seen = self.seen();
        let manifest = seen.manifest.as_ref();
        let kept = manifest.and_then(|manifest| manifest.topic(topic));
        let opened = match kept {
            Some(kept) if kept.format == STREAM_FORMAT => Ok(kept.partitions),
            Some(_) => Err(no_stream(topic)),
            None => Err(LogError::Setup(format!(
                "there is no topic `{topic}` in the log in {}",
                self.folder.display()
            ))),
        };
        std::future::ready(opened).boxed()
    }

    fn open_table<'a>(&'a self, topic: &'a str) -> BoxFuture<'a, Result<u32, LogError>> {
        self.open_stream(topic, 1)
    }

    fn is_changelog(&self, topic: &str) -> bool {
        let seen = self.seen();
        let kept = seen.manifest.as_ref().and_then(|it| it.topic(topic));
        kept.is_some_and(|kept| kept.format != STREAM_FORMAT)
    }

    fn layouts<'a>(&'a self, topic: &'a str) -> BoxFuture<'a, Result<Vec<KeptLayout>, LogError>> {
        std::future::ready(layouts::read(&self.folder, topic)).boxed()
    }

    fn keep_layout<'a>(
        &'a self,
        _topic: &'a str,
        _layout: &'a KeptLayout,
    ) -> BoxFuture<'a, Result<(), LogError>> {
        std::future::ready(Err(self.read_only())).boxed()
    }

    fn producer(&self, _partition: &TopicPartition) -> Result<Box<dyn Producer>, LogError> {
        Err(self.read_only())
    }

    fn read<'a>(
        &'a self,
        partition: &'a TopicPartition,
        from: Offset,
        bytes_max: usize,
    ) -> BoxFuture<'a, Result<Chunk, LogError>> {
        let seen = self.seen();
        let read = || {
            let stream = seen.stream(partition)?;
            seen.index.read(&stream, from, bytes_max)
        };
        std::future::ready(read()).boxed()
    }

    fn grown<'a>(
        &'a self,
        partition: &'a TopicPartition,
        from: Offset,
    ) -> BoxFuture<'a, Result<(), LogError>> {
        async move {
            while self.end(partition).await? <= from {
                tokio::time::sleep(GROWTH_POLL).await;
                self.look_again()?;
            }
            Ok(())
        }
        .boxed()
    }

    fn end<'a>(&'a self, partition: &'a TopicPartition) -> BoxFuture<'a, Result<Offset, LogError>> {
        let end = self.seen().stream(partition);
        let end = end.map(|stream| stream.read().expect(UNPOISONED).end);
        std::future::ready(end).boxed()
    }

    fn answers(&self) -> BoxFuture<'_, bool> {
        std::future::ready(true).boxed()
    }

    fn record_bytes_max(&self, _topic: &str) -> usize {
        0
    }

    fn ack(&self, _topic: &str) -> crate::log::Ack {
        // Nothing is written.
        crate::log::Ack::Fsync
    }

    fn retention(&self, _: &str) -> Option<Retention> {
        None
    }

    fn size_bytes(&self) -> Option<u64> {
        Some(self.seen().index.size_bytes())
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        std::future::ready(()).boxed()
    }
}

impl Peek {
    fn read_only(&self) -> LogError {
        LogError::Setup(format!(
            "the log in {} was opened to be read only",
            self.folder.display()
        ))
    }
}

/// Where the frames are. What another process writes just now is not there yet.
fn index(folder: &Path, manifest: &Manifest) -> Result<Index, LogError> {
    let mut journals: Vec<u64> = manifest::names(folder)?
        .iter()
        .filter_map(|(name, _)| journal_sequence(name))
        .filter(|sequence| *sequence >= manifest.first_journal)
        .collect();
    journals.sort_unstable();
    let index = Index::default();
    index.grow(manifest.streams());
    let mut ends = vec![0; manifest.streams() as usize];
    let compacted = manifest
        .compacted()
        .zip(0..)
        .map(|(name, number): (_, u64)| {
            let sequence = manifest.compaction << 16 | number;
            (name, Kind::Compacted, sequence)
        });
    let journals = journals
        .into_iter()
        .map(|sequence| (journal_name(sequence), Kind::Journal, sequence));
    for (name, kind, sequence) in compacted.chain(journals) {
        let segment = Arc::new(Segment::open(&folder.join(name), kind, sequence)?);
        let scan = segment.scan()?;
        let id = index.add_segment(Arc::clone(&segment));
        let contiguous = kind == Kind::Journal;
        take_in(&index, &mut ends, &segment, id, &scan.frames, contiguous)?;
    }
    Ok(index)
}

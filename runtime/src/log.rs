//! The seam to the log: what memgen needs of it, and what it may rely on.
//!
//! A log holds, for each partition of each topic, a totally ordered sequence of [`Record`]s.
//! [`embedded`] keeps them in files of this node; `sim` (feature `testing`) is a seeded model of a
//! shared log with everything that may go wrong. All pass `conformance`.

use std::{fmt, io, path::PathBuf, str::FromStr, sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[cfg(feature = "kafka")]
pub(crate) use self::open::topics;
pub(crate) use self::{
    open::{Acks, Streams, open, open_to_read},
    written::written,
};
use crate::record::{Offset, Record};

#[cfg(feature = "testing")]
pub mod conformance;
pub mod embedded;
#[cfg(feature = "kafka")]
pub mod kafka;
mod open;
#[cfg(feature = "testing")]
pub mod sim;
mod written;

/// One partition of one topic.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicPartition {
    /// The topic: one per state struct.
    pub topic: Arc<str>,
    /// The partition's number, from 0.
    pub partition: u32,
}

impl TopicPartition {
    /// Partition `partition` of `topic`.
    pub fn new(topic: impl Into<Arc<str>>, partition: u32) -> Self {
        Self {
            topic: topic.into(),
            partition,
        }
    }
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.topic, self.partition)
    }
}

impl FromStr for TopicPartition {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.rsplit_once('/')
            .and_then(|(topic, partition)| Some(Self::new(topic, partition.parse().ok()?)))
            .ok_or_else(|| format!("`{text}` is no partition: write `topic/0`"))
    }
}

impl Serialize for TopicPartition {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TopicPartition {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

impl fmt::Debug for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The format of a topic that is a stream.
pub(crate) const STREAM_FORMAT: &str = "stream";

/// A stream, as far as something of it stays the same.
fn stream(topic: &str, partitions: u32) -> Topic {
    Topic {
        name: topic.to_owned(),
        partitions,
        partitioner: "murmur2 key".to_owned(),
        format: STREAM_FORMAT.to_owned(),
    }
}

/// A topic can't be a stream.
fn no_stream(topic: &str) -> LogError {
    LogError::Shape {
        topic: topic.to_owned(),
        what: "it holds a state: events have a topic of their own".to_owned(),
    }
}

/// What must stay the same for as long as a topic lives. It is kept with the log and compared at each start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    /// The topic's name.
    pub name: String,
    /// How many partitions it has: fixed, since a key's partition follows from it.
    pub partitions: u32,
    /// How a key's partition is found, as text that differs when the rule does (such as `murmur2 key` or
    /// `murmur2 customer`).
    pub partitioner: String,
    /// How values are encoded (`json`).
    pub format: String,
}

impl Topic {
    /// What differs in a declaration of this topic, and why it can't; `None` if nothing does.
    #[must_use]
    pub fn difference(&self, declared: &Self) -> Option<String> {
        const KEYS: &str =
            "it is fixed for the life of a topic, since it decides where each key lies";
        let mut differences = Vec::new();
        let mut differ = |what: &str, kept: &str, declared: &str, reason: &str| {
            if kept != declared {
                differences.push(format!(
                    "{what} was `{kept}` and is now `{declared}` ({reason})"
                ));
            }
        };
        differ(
            "the number of partitions",
            &self.partitions.to_string(),
            &declared.partitions.to_string(),
            KEYS,
        );
        differ(
            "the partitioner",
            &self.partitioner,
            &declared.partitioner,
            KEYS,
        );
        differ(
            "the format of values",
            &self.format,
            &declared.format,
            "the values that are there could not be read",
        );
        (!differences.is_empty()).then(|| {
            format!(
                "{}. Declare it as it was, or give the state another topic name and copy its data over",
                differences.join("; ")
            )
        })
    }
}

/// How values of a topic were laid out while some build wrote them, as the log keeps it. The log does not look into it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptLayout {
    /// What records of this layout carry ([`Record::schema`]).
    pub fingerprint: u64,
    /// The layout, as text.
    pub text: String,
}

/// A run of records, in order.
#[derive(Debug, Default)]
pub struct Chunk {
    /// The records with their offsets, ascending; holes are what compaction removed.
    pub records: Vec<(Offset, Record)>,
    /// Where to go on reading. It equals the `from` of the read if and only if that was the end; it may also lie behind the last
    /// record, where compaction removed what came next.
    pub next: Offset,
}

/// For how long a topic's log shows what was deleted, and which topic it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Tells the topic from every other one, also from one of the same name that was deleted.
    pub topic_id: String,
    /// How long a deletion is there for every reader, at least, after it was written.
    pub deletions: Duration,
}

/// When a record counts as written: how sure its acknowledgement is. Chosen for each topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Ack {
    /// All replicas in sync have it.
    All,
    /// The partition's leader has it: what it alone has is lost with it. Barriers are acknowledged by all replicas all the same.
    Leader,
    /// The disk has it.
    Fsync,
    /// The operating system has it: it survives a crash of the process, but not one of the machine.
    Os,
}

impl Ack {
    /// The word by which it is chosen.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Leader => "leader",
            Self::Fsync => "fsync",
            Self::Os => "os",
        }
    }

    /// The level of this word.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        [Self::All, Self::Leader, Self::Fsync, Self::Os]
            .into_iter()
            .find(|ack| ack.word() == word)
    }

    /// Whether it is a level of Kafka. The others are those of the embedded log.
    #[must_use]
    pub fn is_for_kafka(self) -> bool {
        matches!(self, Self::All | Self::Leader)
    }

    /// What a weaker level gives up, as an operator is told.
    #[must_use]
    pub fn gives_up(self) -> Option<&'static str> {
        match self {
            Self::All | Self::Fsync => None,
            Self::Leader => Some(
                "if the broker that leads a partition is lost, so are the acknowledged writes of the last moments, with the answers that were remembered for them; \
                 until then reads, `strict` ones too, may show them, and a `Memgen-Position` given for them means others afterwards",
            ),
            Self::Os => Some(
                "if the machine crashes or loses power, the acknowledged writes of the last second are lost, with the answers that were remembered for them",
            ),
        }
    }

    /// Whether a log that goes on may lose what it acknowledged, and give the same offsets to other records.
    #[must_use]
    pub fn may_lose_its_tail(self) -> bool {
        self == Self::Leader
    }
}

/// The offsets that appended records were given, in the order in which they were sent.
pub type Offsets = Vec<Offset>;

/// The outcome of one [`Producer::append`], once it is known.
pub type Receipt = BoxFuture<'static, Result<Offsets, AppendError>>;

/// A durable, ordered log per partition.
///
/// # Contract
///
/// 1. *Order.* Records of one partition have one order, the same for every reader, for ever. Offsets ascend.
/// 2. *Prefix.* What one [`Producer`] appends lands in the order sent, and what lands is a prefix of what was sent.
///    Records of other producers may lie between. Once one append failed, no later one of that producer lands
///    without everything before it having landed.
/// 3. *Durability.* Once a receipt resolves to offsets, the records are there after any crash that the log's
///    level of acknowledgement promises to survive (embedded: the process, the machine).
/// 4. *Unknown outcomes.* A receipt that resolves to [`AppendError::Unknown`] says nothing: the records may be there, may
///    appear later (until a record of a later producer is read back; after that, only behind it), or never.
///    Any other error says that the records are not in the log and never will be.
/// 5. *Reading.* [`read`](Self::read) returns what is durable, all of it up to `next`, without holes other than compaction's. A record
///    that can't be read is an error that names its place, never skipped.
/// 6. *Compaction* removes a record only if a later record has the same key, or if it is a deletion and nothing before
///    it has its key, or if it never counted (a record before it carries a higher ballot). It keeps every record that
///    carries an answer younger than the horizon, as far as a limit on their number allows, and never reorders or renumbers.
/// 7. *One topic, one shape.* [`declare`](Self::declare) refuses a topic whose kept shape differs.
/// 8. *Layouts* of a topic are a set that grows: what [`keep_layout`](Self::keep_layout) has kept is there for every reader, for as long as the
///    topic is.
/// 9. *No silent gaps.* What is to be read and is not there any more, or was never there, is an error: a partition whose first records were
///    deleted, or that was deleted and made again, is never read as if nothing had happened.
///
///    At [`Ack::Leader`] a *tail* may be lost: records that were appended and that no reader has seen yet, from some offset on. What is appended next gets their
///    offsets, whoever sends it. It is for the fold and for whoever appends to notice. What was read is there for ever, and so is everything before a [`Kind::Barrier`](crate::record::Kind::Barrier) that was
///    acknowledged. Rule 2 holds of barriers only: of what was sent behind a failure, something may land.
/// 10. *Deletions.* A reader that was at the end of a partition and reads on within [`Retention::deletions`] sees every key's deletion, or a later record of it.
pub trait Log: Send + Sync + 'static {
    /// Creates the topic if it does not exist, and otherwise compares its shape. Called once per topic before anything else.
    ///
    /// # Errors
    /// [`LogError::Shape`] if the topic was declared differently before; [`LogError::Io`].
    fn declare<'a>(&'a self, topic: &'a Topic) -> BoxFuture<'a, Result<(), LogError>>;

    /// A *stream*: a topic of events, which others write or read, and which is not compacted. It is made with so many partitions if it is not there and may be made; otherwise nothing is asked of it.
    /// How many partitions it has. Its records carry no ballot but that of strangers ([`Ballot::FOREIGN`](crate::record::Ballot)), nobody folds them, and each producer may be one of many at the
    /// same time.
    ///
    /// # Errors
    /// [`LogError::Shape`] if it is the changelog of a state; [`LogError::Setup`]; [`LogError::Io`].
    fn open_stream<'a>(
        &'a self,
        topic: &'a str,
        partitions: u32,
    ) -> BoxFuture<'a, Result<u32, LogError>>;

    /// A *table*: a topic that others write, of which the last record of each key says what the key is, or with no value that it is gone. Where others can't have made it, it is made;
    /// otherwise it has to be there. How many partitions it has. It is read as a stream is.
    ///
    /// # Errors
    /// As [`open_stream`](Self::open_stream).
    fn open_table<'a>(&'a self, topic: &'a str) -> BoxFuture<'a, Result<u32, LogError>>;

    /// Whether a declared topic of this name holds a state.
    fn is_changelog(&self, topic: &str) -> bool;

    /// One of those who read a partition of a stream needs nothing before this offset any more. A log that keeps what is not read may forget it, once it is old enough.
    fn consumed(&self, partition: &TopicPartition, reader: &str, before: Offset) {
        let _ = (partition, reader, before);
    }

    /// The layouts under which values of a topic were written, in no order; none if the topic is not there. It need not be declared, and is
    /// not changed: whoever can't read them goes away and leaves no trace.
    ///
    /// # Errors
    /// [`LogError::Io`].
    fn layouts<'a>(&'a self, topic: &'a str) -> BoxFuture<'a, Result<Vec<KeptLayout>, LogError>>;

    /// Keeps a layout with a declared topic, before the first record of it is appended. Keeping it again changes nothing, and others may keep theirs
    /// at the same time.
    ///
    /// # Errors
    /// [`LogError::Io`].
    fn keep_layout<'a>(
        &'a self,
        topic: &'a str,
        layout: &'a KeptLayout,
    ) -> BoxFuture<'a, Result<(), LogError>>;

    /// A new producer for one partition. A producer belongs to one ballot: a new ballot takes a new producer.
    ///
    /// # Errors
    /// [`LogError::UnknownPartition`] if the topic was not declared or has fewer partitions.
    fn producer(&self, partition: &TopicPartition) -> Result<Box<dyn Producer>, LogError>;

    /// Reads about `bytes_max` bytes of records at or after `from`; at least one record if there is any. It is cheapest where the last read
    /// of the partition ended.
    ///
    /// # Errors
    /// [`LogError::Corrupt`] with the place of a record that can't be read; [`LogError::OutOfRange`]; [`LogError::Io`].
    fn read<'a>(
        &'a self,
        partition: &'a TopicPartition,
        from: Offset,
        bytes_max: usize,
    ) -> BoxFuture<'a, Result<Chunk, LogError>>;

    /// Waits until the partition's [`end`](Self::end) lies behind `from`, so that a read there gets further; at once if it does. Dropping the future changes
    /// nothing. A closed log grows no more.
    ///
    /// # Errors
    /// [`LogError::Io`]; [`LogError::OutOfRange`], which may also be left to the next read.
    fn grown<'a>(
        &'a self,
        partition: &'a TopicPartition,
        from: Offset,
    ) -> BoxFuture<'a, Result<(), LogError>>;

    /// The offset that the next record will be given, as far as the log knows now.
    ///
    /// # Errors
    /// [`LogError::Io`].
    fn end<'a>(&'a self, partition: &'a TopicPartition) -> BoxFuture<'a, Result<Offset, LogError>>;

    /// Whether anything of the log answers within a second or two: not this partition or that, any of it. A node to which nothing answers is cut off.
    fn answers(&self) -> BoxFuture<'_, bool>;

    /// The most that the key, the value and the answer of a record of this topic may have in bytes, together. What is longer must not be appended: it
    /// would be refused, and its producer with it.
    fn record_bytes_max(&self, topic: &str) -> usize;

    /// How sure the acknowledgements of a topic are.
    fn ack(&self, topic: &str) -> Ack;

    /// For how long the deletions of a declared topic stay. None of a log where what was deleted can't be missed, and that is read as fast as anything that a node could
    /// keep beside it: no snapshots are made.
    fn retention(&self, topic: &str) -> Option<Retention>;

    /// Bytes that the log holds on disk, for metrics; none if that is not to be had.
    fn size_bytes(&self) -> Option<u64>;

    /// Waits until everything accepted is settled, then closes. Later appends are refused.
    fn close(&self) -> BoxFuture<'_, ()>;
}

/// Appends for one owner of one partition, in order.
pub trait Producer: Send {
    /// Hands records over, in order, and returns at once; the receipt resolves when their outcome is known.
    /// Dropping the receipt changes nothing. Never blocks; what is outstanding is bounded by the caller.
    fn append(&mut self, records: &[Record]) -> Receipt;

    /// While so many records are on their way, more of them would only wait in the log's own queues: they are better kept back, so that what comes meanwhile goes with them.
    fn records_in_flight_max(&self) -> usize {
        usize::MAX
    }
}

/// Why an append has no offsets.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum AppendError {
    /// There is no room. Nothing was written, and nothing will be.
    #[error("the log has no room left: {0}")]
    Full(String),
    /// The log refuses, for the reason given (it was closed, it failed before, an earlier append of this producer failed). Nothing was written, and nothing will be.
    #[error("the log refuses writes: {0}")]
    Refused(String),
    /// Nobody knows: see rule 4 of the contract of [`Log`].
    #[error("the outcome of the write is unknown: {0}")]
    Unknown(String),
}

/// Why a log can't be opened, declared or read.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The folder is in use by another process.
    #[error("{} is in use by another process; two processes can't share one embedded log", path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// A record that was durable can't be read any more.
    #[error("{}: the log is damaged at byte {position}: {what}", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// Bytes from the start of the file to the damaged frame.
        position: u64,
        /// What is wrong there, and what can be done.
        what: String,
    },
    /// A topic was declared differently when the log was made.
    #[error("topic `{topic}`: {what}")]
    Shape {
        /// The topic.
        topic: String,
        /// What differs, from what to what.
        what: String,
    },
    /// No such topic or partition.
    #[error("{0} is not a declared partition")]
    UnknownPartition(TopicPartition),
    /// The log can't be had like this: a setting is wrong, or something is missing.
    #[error("{0}")]
    Setup(String),
    /// A topic could lose what it is to keep.
    #[error("the topic `{topic}` is not safe to keep a state in:\n{what}")]
    Unsafe {
        /// The topic, by its name in the log.
        topic: String,
        /// What is, what must be, why, and how to change it.
        what: String,
    },
    /// A record is no record of memgen, though it says so.
    #[error("{partition} can't be read at offset {offset}: {what}. Nothing was skipped")]
    Unreadable {
        /// The partition.
        partition: TopicPartition,
        /// The record's offset.
        offset: Offset,
        /// What is wrong with it.
        what: String,
    },
    /// What was to be read next is not in the partition: its records were deleted, or the topic was deleted and made again.
    #[error(
        "{partition} holds the offsets from {start} to {end} (exclusive), and {from} was to be read next: records were deleted, or the topic was \
         deleted and made again. Nothing was changed. Restore the topic from a copy, or delete it to begin with nothing"
    )]
    OutOfRange {
        /// The partition.
        partition: TopicPartition,
        /// What was to be read.
        from: Offset,
        /// The first offset that is there.
        start: Offset,
        /// The offset after the last that is there.
        end: Offset,
    },
    /// The disk or the network said no.
    #[error("{what}: {source}")]
    Io {
        /// What was being done, and to which file.
        what: String,
        /// The system's own word.
        source: io::Error,
    },
}

//! One record of a changelog: a key, its new value, and what the protocol adds to them.
//!
//! Key and value are the user's and readable by other tools. Everything that is ours travels beside
//! them: in the fields of a frame in the embedded log, in record headers on Kafka.

use bytes::Bytes;

pub mod codec;

/// A position in the log of one partition. Offsets grow by one per record and are never reused;
/// compaction leaves holes but renumbers nothing.
pub type Offset = u64;

/// Keys that begin with this byte are memgen's own (control records). A state's key can't: NUL is
/// refused in keys.
pub const RESERVED_KEY_PREFIX: u8 = 0;

/// Ids of requests that begin with this byte were given by a node that passed the request on: no client can send it in a header. They need not be remembered for
/// longer than such a request can be repeated.
pub const ROUTED_ID_PREFIX: u8 = 0;

/// The key of every [`Kind::Barrier`].
pub const BARRIER_KEY: &[u8] = b"\0barrier";
/// The key of every [`Kind::Batch`].
pub const BATCH_KEY: &[u8] = b"\0batch";
/// The key of every [`Kind::Reply`].
pub const REPLY_KEY: &[u8] = b"\0reply";
/// The key of every [`Kind::Fence`].
pub const FENCE_KEY: &[u8] = b"\0fence";

/// Who wrote a record: unique, and totally ordered by epoch, then incarnation.
///
/// ```
/// use memgen::record::Ballot;
/// assert!(Ballot::new(2, 1) > Ballot::new(1, 9));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ballot {
    /// One more than the highest epoch that the owner found in the log when it took over.
    pub epoch: u64,
    /// Unique per start of a process, so that two candidates for one epoch differ.
    pub incarnation: u64,
}

impl Ballot {
    /// The ballot of records that memgen did not write. It is below every owner's.
    pub const FOREIGN: Self = Self {
        epoch: 0,
        incarnation: 0,
    };

    /// A ballot of this epoch and incarnation.
    #[must_use]
    pub const fn new(epoch: u64, incarnation: u64) -> Self {
        Self { epoch, incarnation }
    }
}

/// What a record is for. The numbers are part of record format v1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// The new value of a key, or its deletion.
    Data = 1,
    /// One key of the batch before it, written again on its own so that compaction by key works.
    /// It changes nothing that the batch did not change.
    FollowUp = 2,
    /// Several keys that change together; the value is a list of changes ([`crate::batch`]).
    Batch = 3,
    /// A new owner: what lies before it happened, what the old owner sent and lies after it did not.
    Barrier = 4,
    /// A reply that must be remembered although no state changed.
    Reply = 5,
    /// Changes nothing. Its acknowledgement proves that its writer was still the owner.
    Fence = 6,
}

impl Kind {
    /// The kind with this number in record format v1.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            1 => Self::Data,
            2 => Self::FollowUp,
            3 => Self::Batch,
            4 => Self::Barrier,
            5 => Self::Reply,
            6 => Self::Fence,
            _ => return None,
        })
    }
}

/// A request that was carried out once, and what was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// The id that the client chose (`Idempotency-Key`); unique within the partition. At most 255 bytes.
    pub id: Bytes,
    /// A hash of the request's method, path, query and body, so that another request with the same
    /// id is told apart.
    pub fingerprint: u128,
    /// The reply, encoded by the HTTP layer.
    pub reply: Bytes,
}

/// One record. See the drawing in ARCHITECTURE.md, "Record format v1".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The ballot of the owner that wrote it.
    pub ballot: Ballot,
    /// What it is for.
    pub kind: Kind,
    /// When it was written, in milliseconds since the Unix epoch. Nothing depends on it but the
    /// horizon of remembered replies.
    pub timestamp_ms: u64,
    /// A hash of the layout of the state that wrote it.
    pub schema: u64,
    /// The request that it answers, where the client gave it an id.
    pub answered: Option<Answered>,
    /// The offset at which its writer expects it, where the log may lose its tail
    /// ([`Ack::Leader`](crate::log::Ack)). Elsewhere it counts for nothing.
    pub place: Option<Offset>,
    /// The state's key as UTF-8 text, or a control record's reserved key.
    pub key: Bytes,
    /// The state's value; none deletes the key.
    pub value: Option<Bytes>,
}

impl Record {
    /// The bytes of its key, its value and its answer.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let answered = self.answered.as_ref();
        self.key.len()
            + self.value.as_ref().map_or(0, Bytes::len)
            + answered.map_or(0, |it| it.id.len() + it.reply.len())
    }
}

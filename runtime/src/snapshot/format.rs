//! Snapshot format v1: the bytes of a snapshot. Drawn in ARCHITECTURE.md, frozen by `tests/format/v1/snapshot.bin`.
//!
//! A file is a header and numbered sections, each with a checksum over its number, kind and content. The last one counts the items of all others, so that
//! what is cut off, left out or out of place is noticed. Nothing that is read is trusted before its checksum is right, and no length is taken for granted.

use std::io::{self, Read, Write};

use serde::{Deserialize, Serialize};

use crate::{
    clock::Moment,
    fold::Seen,
    record::{Ballot, Offset},
};

/// The first bytes of each snapshot.
const MAGIC: [u8; 8] = *b"memgensn";
/// The version of the format.
const VERSION: u32 = 1;
const FILE_HEADER_BYTES: usize = 16;
const SECTION_HEADER_BYTES: usize = 24;
/// No section is longer: the longest item is a value or an answer, which is far below it.
const SECTION_BYTES_MAX: u32 = 256 << 20;
/// A section is closed when it has so many bytes. It is what a thread decodes at once.
const SECTION_BYTES: usize = 256 << 10;

/// What is in a section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum Kind {
    /// A [`Head`] as JSON; the first section.
    Head = 1,
    /// Keys that need repair.
    Dirty = 2,
    /// Keys of the last batch whose plain record is missing.
    Torn = 3,
    /// Remembered answers, oldest first.
    Answers = 4,
    /// Entities, ordered by key.
    Entities = 5,
    /// An [`End`] as JSON; the last section.
    End = 6,
    /// Values as they are in the log, of which that says more than the entities do.
    Written = 7,
    /// Transactions that are not done, as the log has them.
    Pending = 8,
}

impl Kind {
    fn from_number(number: u32) -> Option<Self> {
        Some(match number {
            1 => Self::Head,
            2 => Self::Dirty,
            3 => Self::Torn,
            4 => Self::Answers,
            5 => Self::Entities,
            6 => Self::End,
            7 => Self::Written,
            8 => Self::Pending,
            _ => return None,
        })
    }
}

/// What a snapshot is of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Head {
    pub(super) topic: String,
    pub(super) partition: u32,
    /// Tells the topic from another one that had or has the same name.
    pub(super) topic_id: String,
    /// The fingerprint of the layout in which values are written here.
    pub(super) layout: u64,
    /// The build that wrote it, if the state has migrations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) build: Option<u64>,
    /// Where the log goes on: what the fold is as of.
    pub(super) next: Offset,
    /// Epoch and incarnation.
    pub(super) ballot: (u64, u64),
    /// Offset, ballot and timestamp of the last record before `next`.
    pub(super) last: Option<(Offset, (u64, u64), u64)>,
    /// When the partition was last caught up.
    pub(super) current: Moment,
}

impl Head {
    /// The last record before `next`.
    pub(super) fn last(&self) -> Option<Seen> {
        self.last
            .map(|(offset, (epoch, incarnation), timestamp_ms)| Seen {
                offset,
                ballot: Ballot::new(epoch, incarnation),
                timestamp_ms,
            })
    }
}

/// How much there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct End {
    pub(super) entities: u64,
    pub(super) answers: u64,
    pub(super) dirty: u64,
    pub(super) torn: u64,
    #[serde(default, skip_serializing_if = "is_none")]
    pub(super) written: u64,
    /// Mostly none: then what is written is as it was before there were any.
    #[serde(default, skip_serializing_if = "is_none")]
    pub(super) pending: u64,
    /// What the tags of the entities add up to.
    pub(super) digest: u64,
    /// No entity is newer than the records before this offset.
    pub(super) until: Offset,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // as serde asks for it
fn is_none(count: &u64) -> bool {
    *count == 0
}

/// Why bytes are no snapshot that can be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unusable {
    #[error("it can't be read: {0}")]
    Io(#[from] io::Error),
    #[error("it is no snapshot")]
    NoSnapshot,
    #[error("it is of format {0}, which a newer memgen may know; this one knows {VERSION}")]
    Version(u32),
    #[error("it is damaged in section {section}: {what}")]
    Damaged { section: u64, what: String },
    #[error("it is of {0}")]
    Foreign(String),
    #[error("{0}")]
    TooOld(String),
}

/// A section as it was read. Its checksum was right.
pub(super) struct Section {
    pub(super) number: u64,
    pub(super) kind: Kind,
    pub(super) items: u32,
    pub(super) bytes: Vec<u8>,
}

impl Section {
    #[allow(clippy::needless_pass_by_value)] // texts and errors alike, without a sign before each
    pub(super) fn damaged(&self, what: impl ToString) -> Unusable {
        Unusable::Damaged {
            section: self.number,
            what: what.to_string(),
        }
    }

    /// The head that this section is to hold.
    pub(super) fn head(&self) -> Result<Head, Unusable> {
        serde_json::from_slice(&self.bytes).map_err(|error| self.damaged(error))
    }

    /// The end that this section is to hold.
    pub(super) fn end(&self) -> Result<End, Unusable> {
        serde_json::from_slice(&self.bytes).map_err(|error| self.damaged(error))
    }

    /// Its items, one after another.
    pub(super) fn items(&self) -> Items<'_> {
        Items {
            section: self,
            rest: &self.bytes,
            left: self.items,
        }
    }
}

/// Reads items of a section: as many as it says, up to its last byte.
pub(super) struct Items<'s> {
    section: &'s Section,
    rest: &'s [u8],
    left: u32,
}

impl<'s> Items<'s> {
    /// How many there can be left, if each takes so many bytes at least.
    pub(super) fn at_most(&self, bytes_min: usize) -> usize {
        let left = usize::try_from(self.left).unwrap_or(usize::MAX);
        left.min(self.rest.len() / bytes_min)
    }

    /// Whether there is one more to be read.
    pub(super) fn more(&mut self) -> Result<bool, Unusable> {
        if self.left == 0 && !self.rest.is_empty() {
            return Err(self.section.damaged("there is more than it says"));
        }
        let more = self.left > 0;
        self.left = self.left.saturating_sub(1);
        Ok(more)
    }

    pub(super) fn bytes(&mut self, length: usize) -> Result<&'s [u8], Unusable> {
        let Some((bytes, rest)) = self.rest.split_at_checked(length) else {
            return Err(self.section.damaged("an item is cut off"));
        };
        self.rest = rest;
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Unusable> {
        let mut array = [0; N];
        array.copy_from_slice(self.bytes(N)?);
        Ok(array)
    }

    pub(super) fn length(&mut self) -> Result<usize, Unusable> {
        let length = self.u32()?;
        usize::try_from(length).map_err(|error| self.section.damaged(error))
    }

    pub(super) fn u32(&mut self) -> Result<u32, Unusable> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64, Unusable> {
        self.array().map(u64::from_le_bytes)
    }

    pub(super) fn u128(&mut self) -> Result<u128, Unusable> {
        self.array().map(u128::from_le_bytes)
    }
}

/// Writes the sections of a snapshot.
pub(super) struct Sections<W: Write> {
    out: W,
    number: u64,
    kind: Kind,
    items: u32,
    buffer: Vec<u8>,
    written: u64,
}

impl<W: Write> Sections<W> {
    /// Begins with the head.
    pub(super) fn begin(mut out: W, head: &Head) -> io::Result<Self> {
        let mut header = [0; FILE_HEADER_BYTES];
        header[0..8].copy_from_slice(&MAGIC);
        header[8..12].copy_from_slice(&VERSION.to_le_bytes());
        let crc = crc32c::crc32c(&header[0..12]);
        header[12..16].copy_from_slice(&crc.to_le_bytes());
        out.write_all(&header)?;
        let mut sections = Self {
            out,
            number: 0,
            kind: Kind::Head,
            items: 0,
            buffer: Vec::new(),
            written: FILE_HEADER_BYTES as u64,
        };
        let head = serde_json::to_vec(head)?;
        sections.item(Kind::Head, |buffer| buffer.extend_from_slice(&head))?;
        Ok(sections)
    }

    /// Adds an item, and closes the section before it if that is of another kind or long enough.
    pub(super) fn item(&mut self, kind: Kind, add: impl FnOnce(&mut Vec<u8>)) -> io::Result<()> {
        if kind != self.kind || self.buffer.len() >= SECTION_BYTES {
            self.close()?;
        }
        self.kind = kind;
        add(&mut self.buffer);
        self.items += 1;
        Ok(())
    }

    /// Whether the next item begins another section.
    pub(super) fn is_full(&self) -> bool {
        self.buffer.len() >= SECTION_BYTES
    }

    /// Closes the section, if there is anything in it.
    pub(super) fn close(&mut self) -> io::Result<()> {
        if self.items == 0 {
            return Ok(());
        }
        let length = u32::try_from(self.buffer.len())
            .ok()
            .filter(|length| *length <= SECTION_BYTES_MAX)
            .ok_or_else(|| io::Error::other("a section is too long"))?;
        let mut header = [0; SECTION_HEADER_BYTES];
        header[4..8].copy_from_slice(&(self.kind as u32).to_le_bytes());
        header[8..12].copy_from_slice(&length.to_le_bytes());
        header[12..16].copy_from_slice(&self.items.to_le_bytes());
        header[16..24].copy_from_slice(&self.number.to_le_bytes());
        let crc = checksum(&header, &self.buffer);
        header[0..4].copy_from_slice(&crc.to_le_bytes());
        self.out.write_all(&header)?;
        self.out.write_all(&self.buffer)?;
        self.written += (SECTION_HEADER_BYTES + self.buffer.len()) as u64;
        self.number += 1;
        self.items = 0;
        self.buffer.clear();
        Ok(())
    }

    /// Ends with how much there is. Gives back where it was written to, and its length.
    pub(super) fn end(mut self, end: &End) -> io::Result<(W, u64)> {
        let end = serde_json::to_vec(end)?;
        self.item(Kind::End, |buffer| buffer.extend_from_slice(&end))?;
        self.close()?;
        self.out.flush()?;
        Ok((self.out, self.written))
    }
}

fn checksum(header: &[u8; SECTION_HEADER_BYTES], body: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&header[4..]), body)
}

/// Reads the sections of a snapshot.
pub(super) struct Reader<R: Read> {
    input: R,
    number: u64,
    ended: bool,
}

impl<R: Read> Reader<R> {
    /// Reads the header of a file.
    pub(super) fn begin(mut input: R) -> Result<Self, Unusable> {
        let mut header = [0; FILE_HEADER_BYTES];
        input
            .read_exact(&mut header)
            .map_err(|error| match error.kind() {
                io::ErrorKind::UnexpectedEof => Unusable::NoSnapshot,
                _ => Unusable::Io(error),
            })?;
        let word = |at: usize| {
            let mut word = [0; 4];
            word.copy_from_slice(&header[at..at + 4]);
            u32::from_le_bytes(word)
        };
        if header[0..8] != MAGIC || word(12) != crc32c::crc32c(&header[0..12]) {
            return Err(Unusable::NoSnapshot);
        }
        if word(8) != VERSION {
            return Err(Unusable::Version(word(8)));
        }
        Ok(Self {
            input,
            number: 0,
            ended: false,
        })
    }

    /// The next section; none behind the end.
    pub(super) fn next(&mut self) -> Result<Option<Section>, Unusable> {
        let number = self.number;
        let damaged = |what: &str| Unusable::Damaged {
            section: number,
            what: what.to_owned(),
        };
        if self.ended {
            let more = self.input.by_ref().take(1).read_to_end(&mut Vec::new())?;
            return match more {
                0 => Ok(None),
                _ => Err(damaged("something follows the end")),
            };
        }
        let mut header = [0; SECTION_HEADER_BYTES];
        self.input
            .read_exact(&mut header)
            .map_err(|error| match error.kind() {
                io::ErrorKind::UnexpectedEof => damaged("it is cut off"),
                _ => Unusable::Io(error),
            })?;
        let mut fields = [0; 4];
        for (field, at) in fields.iter_mut().zip([0, 4, 8, 12]) {
            let mut word = [0; 4];
            word.copy_from_slice(&header[at..at + 4]);
            *field = u32::from_le_bytes(word);
        }
        let [crc, kind, length, items] = fields;
        if length > SECTION_BYTES_MAX {
            return Err(damaged("its length is beyond all bounds"));
        }
        // What it says of its length is not believed before so much is there.
        let room = usize::try_from(length)
            .unwrap_or(usize::MAX)
            .min(2 * SECTION_BYTES);
        let mut bytes = Vec::with_capacity(room);
        let read = self
            .input
            .by_ref()
            .take(length.into())
            .read_to_end(&mut bytes)?;
        if read as u64 != u64::from(length) {
            return Err(damaged("it is cut off"));
        }
        let mut placed = header;
        placed[16..24].copy_from_slice(&number.to_le_bytes());
        if crc != checksum(&header, &bytes) || placed != header {
            return Err(damaged("its checksum is wrong"));
        }
        let kind = Kind::from_number(kind).ok_or_else(|| damaged("its kind is unknown"))?;
        if (kind == Kind::Head) != (number == 0) {
            return Err(damaged("the head is not where it belongs"));
        }
        self.ended = kind == Kind::End;
        self.number += 1;
        Ok(Some(Section {
            number,
            kind,
            items,
            bytes,
        }))
    }
}

//! Record format v1: the bytes of one record in the embedded log. Drawn in ARCHITECTURE.md, frozen by
//! the files under `tests/format/v1`.
//!
//! Integers are little-endian and of fixed width. A record's offset is stored as its distance from the
//! first offset of the frame around it, so that records are encoded before their place is known.

use bytes::Bytes;

use super::{Answered, Ballot, Kind, Offset, Record};

/// Bytes before a record's key, or before its fingerprint if it has one.
pub const HEADER_BYTES: usize = 56;
/// Bytes of the fingerprint of a request.
const FINGERPRINT_BYTES: usize = 16;
/// A record, encoded, is at most this long: values are limited far below it by the HTTP layer.
pub const RECORD_BYTES_MAX: usize = 64 << 20;
/// A request's id is at most this long.
pub const ID_BYTES_MAX: usize = 255;

const HAS_VALUE: u8 = 1;
const HAS_ANSWER: u8 = 2;

/// A record that format v1 can't hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// The record as a whole is too long.
    #[error("a record of {bytes} bytes is over the limit of {RECORD_BYTES_MAX}")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// The id of the request that it answers is too long.
    #[error("a request id of {bytes} bytes is over the limit of {ID_BYTES_MAX}")]
    IdTooLong {
        /// Its length.
        bytes: usize,
    },
}

/// Bytes that are no record of format v1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The bytes end within the record.
    #[error("a record ends after {have} of {want} bytes")]
    Short {
        /// Bytes that are there.
        have: usize,
        /// Bytes that it should have.
        want: usize,
    },
    /// The lengths of the parts don't add up to the length of the record.
    #[error("the parts of a record of {length} bytes add up to {parts}")]
    Lengths {
        /// The record's length as it says itself.
        length: usize,
        /// What its parts add up to.
        parts: u64,
    },
    /// A kind that this version does not know.
    #[error("unknown kind of record {0}; a newer memgen may know it")]
    Kind(u8),
    /// Flags that this version does not know, or that contradict the lengths.
    #[error("unknown record flags {0:#04x}; a newer memgen may know them")]
    Flags(u8),
    /// An offset behind which no other can be.
    #[error("a record lies {delta} behind {base}, where no log ends")]
    Offset {
        /// The first offset of its frame.
        base: Offset,
        /// How far behind it is.
        delta: u32,
    },
}

/// The length of `record` once encoded.
#[must_use]
pub fn encoded_bytes(record: &Record) -> usize {
    HEADER_BYTES
        + record.key.len()
        + record.value.as_ref().map_or(0, Bytes::len)
        + record.answered.as_ref().map_or(0, |answered| {
            FINGERPRINT_BYTES + answered.id.len() + answered.reply.len()
        })
}

/// Appends the bytes of `record` to `out`. Its offset is `delta` more than the first of its frame.
///
/// # Errors
/// [`EncodeError`] if the record is over a limit; `out` is as it was.
#[expect(
    clippy::missing_panics_doc,
    reason = "lengths are checked before they are narrowed"
)]
pub fn encode(record: &Record, delta: u32, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    let length = encoded_bytes(record);
    if length > RECORD_BYTES_MAX {
        return Err(EncodeError::TooLong { bytes: length });
    }
    let (id, reply) = record
        .answered
        .as_ref()
        .map_or((&[][..], &[][..]), |answered| {
            (answered.id.as_ref(), answered.reply.as_ref())
        });
    if id.len() > ID_BYTES_MAX {
        return Err(EncodeError::IdTooLong { bytes: id.len() });
    }
    let value = record.value.as_deref().unwrap_or_default();
    let flags = if record.value.is_some() { HAS_VALUE } else { 0 }
        | if record.answered.is_some() {
            HAS_ANSWER
        } else {
            0
        };

    let mut header = [0; HEADER_BYTES];
    header[0..4].copy_from_slice(&narrow(length).to_le_bytes());
    header[4] = record.kind as u8;
    header[5] = flags;
    header[6..8].copy_from_slice(
        &u16::try_from(id.len())
            .expect("checked above")
            .to_le_bytes(),
    );
    header[8..12].copy_from_slice(&delta.to_le_bytes());
    header[12..16].copy_from_slice(&narrow(record.key.len()).to_le_bytes());
    header[16..20].copy_from_slice(&narrow(value.len()).to_le_bytes());
    header[20..24].copy_from_slice(&narrow(reply.len()).to_le_bytes());
    header[24..32].copy_from_slice(&record.timestamp_ms.to_le_bytes());
    header[32..40].copy_from_slice(&record.schema.to_le_bytes());
    header[40..48].copy_from_slice(&record.ballot.epoch.to_le_bytes());
    header[48..56].copy_from_slice(&record.ballot.incarnation.to_le_bytes());

    out.reserve(length);
    out.extend_from_slice(&header);
    if let Some(answered) = &record.answered {
        out.extend_from_slice(&answered.fingerprint.to_le_bytes());
    }
    out.extend_from_slice(&record.key);
    out.extend_from_slice(value);
    out.extend_from_slice(id);
    out.extend_from_slice(reply);
    Ok(())
}

fn narrow(length: usize) -> u32 {
    u32::try_from(length)
        .expect("no part is longer than its record, which is below RECORD_BYTES_MAX")
}

/// Decodes the record that begins at byte `at` of `bytes`, in a frame whose first offset is `base`.
/// Gives its offset, the record, and where the next one begins. Its parts are slices of `bytes`: nothing
/// is copied, and `bytes` lives for as long as any of them.
///
/// # Errors
/// [`DecodeError`] if there is no whole record.
#[expect(
    clippy::missing_panics_doc,
    reason = "slices have the lengths that they are made with"
)]
pub fn decode(
    bytes: &Bytes,
    at: usize,
    base: Offset,
) -> Result<(Offset, Record, usize), DecodeError> {
    let (delta, kind, length) = peek(bytes, at)?;
    // The next one has an offset, too.
    let offset = base.checked_add(delta.into());
    let offset = offset.filter(|offset| *offset < Offset::MAX);
    let offset = offset.ok_or(DecodeError::Offset { base, delta })?;
    let header = &bytes[at..at + HEADER_BYTES];
    let flags = header[5];
    if flags & !(HAS_VALUE | HAS_ANSWER) != 0 {
        return Err(DecodeError::Flags(flags));
    }
    let id_length = usize::from(u16::from_le_bytes([header[6], header[7]]));
    let key_length = length_at(header, 12);
    let value_length = length_at(header, 16);
    let reply_length = length_at(header, 20);
    let fingerprint_length = if flags & HAS_ANSWER == 0 {
        0
    } else {
        FINGERPRINT_BYTES
    };
    let parts = [
        HEADER_BYTES,
        fingerprint_length,
        key_length,
        value_length,
        id_length,
        reply_length,
    ]
    .into_iter()
    .fold(0, |sum: u64, part| sum + part as u64);
    if parts != length as u64 {
        return Err(DecodeError::Lengths { length, parts });
    }
    if (flags & HAS_VALUE == 0 && value_length > 0)
        || (flags & HAS_ANSWER == 0 && id_length + reply_length > 0)
    {
        return Err(DecodeError::Flags(flags));
    }

    let mut from = at + HEADER_BYTES + fingerprint_length;
    let mut part = |length: usize| {
        let slice = bytes.slice(from..from + length);
        from += length;
        slice
    };
    let key = part(key_length);
    let value = if flags & HAS_VALUE == 0 {
        None
    } else {
        Some(part(value_length))
    };
    let answered = if flags & HAS_ANSWER == 0 {
        None
    } else {
        let start = at + HEADER_BYTES;
        let fingerprint = bytes[start..start + FINGERPRINT_BYTES]
            .try_into()
            .map(u128::from_le_bytes)
            .expect("a slice of 16 bytes");
        Some(Answered {
            id: part(id_length),
            fingerprint,
            reply: part(reply_length),
        })
    };
    let record = Record {
        place: None,
        ballot: Ballot {
            epoch: u64_at(header, 40),
            incarnation: u64_at(header, 48),
        },
        kind,
        timestamp_ms: u64_at(header, 24),
        schema: u64_at(header, 32),
        answered,
        key,
        value,
    };
    Ok((offset, record, at + length))
}

/// The delta, kind and length of the record that begins at byte `at`, without the rest.
fn peek(bytes: &[u8], at: usize) -> Result<(u32, Kind, usize), DecodeError> {
    let have = bytes.len().saturating_sub(at);
    if have < HEADER_BYTES {
        return Err(DecodeError::Short {
            have,
            want: HEADER_BYTES,
        });
    }
    let length = length_at(bytes, at);
    if have < length {
        return Err(DecodeError::Short { have, want: length });
    }
    if length < HEADER_BYTES {
        return Err(DecodeError::Lengths {
            length,
            parts: HEADER_BYTES as u64,
        });
    }
    let kind = Kind::from_number(bytes[at + 4]).ok_or(DecodeError::Kind(bytes[at + 4]))?;
    let delta = u32::from_le_bytes(
        bytes[at + 8..at + 12]
            .try_into()
            .expect("a slice of 4 bytes"),
    );
    Ok((delta, kind, length))
}

fn length_at(bytes: &[u8], at: usize) -> usize {
    let length = u32::from_le_bytes(bytes[at..at + 4].try_into().expect("a slice of 4 bytes"));
    usize::try_from(length).expect("memgen runs where usize has at least 32 bits")
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("a slice of 8 bytes"))
}

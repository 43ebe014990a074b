//! A frame: a run of records of one stream (one partition of one topic), and the unit that is checked.
//!
//! Drawn byte by byte in ARCHITECTURE.md. The checksum of the header also covers the segment's salt and the
//! frame's own position, so that bytes inside a value, or left over from elsewhere, are never taken for a frame.

use crate::record::Offset;

/// Bytes of a frame's header.
pub(super) const HEADER_BYTES: usize = 48;
/// The first bytes of each frame.
pub(super) const MAGIC: [u8; 4] = *b"MgF1";
/// The stream of a mark: a frame without records that only says what is durable.
pub(super) const MARK_STREAM: u32 = u32::MAX;

/// What stands before the records of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// The checksum (crc32c) of the records.
    pub(super) body_crc: u32,
    /// Bytes of the records.
    pub(super) body_bytes: u32,
    /// Whose records they are.
    pub(super) stream: u32,
    /// How many offsets the frame covers: one per record, and those of records that compaction took.
    pub(super) span: u32,
    /// The offset of the first record, from which the records' deltas count.
    pub(super) base: Offset,
    /// Where the frame begins in its segment.
    pub(super) position: u64,
    /// Up to where the segment was known to be durable when this frame was written.
    pub(super) durable: u64,
}

impl Header {
    /// The header's bytes in a segment with this salt.
    pub(super) fn encode(&self, salt: u64) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[0..4].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&self.body_crc.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.body_bytes.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.stream.to_le_bytes());
        bytes[20..24].copy_from_slice(&self.span.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.base.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.position.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.durable.to_le_bytes());
        let crc = header_crc(&bytes, salt);
        bytes[4..8].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// The header in `bytes`, if they are the intact header of a frame at `position`.
    pub(super) fn decode(bytes: &[u8], salt: u64, position: u64) -> Option<Self> {
        let bytes = bytes.get(..HEADER_BYTES)?;
        if bytes[0..4] != MAGIC || u32_at(bytes, 4) != header_crc(bytes, salt) {
            return None;
        }
        let header = Self {
            body_crc: u32_at(bytes, 8),
            body_bytes: u32_at(bytes, 12),
            stream: u32_at(bytes, 16),
            span: u32_at(bytes, 20),
            base: u64_at(bytes, 24),
            position: u64_at(bytes, 32),
            durable: u64_at(bytes, 40),
        };
        let ends = header.base.checked_add(header.span.into()).is_some();
        (header.position == position && ends).then_some(header)
    }

    /// The offset after the last that the frame covers.
    pub(super) fn next(&self) -> Offset {
        self.base + u64::from(self.span)
    }

    /// Where the frame ends in its segment.
    pub(super) fn end(&self) -> u64 {
        self.position + HEADER_BYTES as u64 + u64::from(self.body_bytes)
    }
}

fn header_crc(bytes: &[u8], salt: u64) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&salt.to_le_bytes()), &bytes[8..HEADER_BYTES])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("a slice of 4 bytes"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("a slice of 8 bytes"))
}

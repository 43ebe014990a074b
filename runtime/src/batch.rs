//! The value of a [`Kind::Batch`](crate::record::Kind::Batch) record: several keys that change together.
//!
//! ```text
//! u8  version, 1
//! u32 number of changes
//! per change:
//!   u32 length of the key, the key
//!   u32 length of the value, the value      (length 0xffff_ffff and no bytes: the key is deleted)
//! ```
//! Integers are little-endian.

use bytes::Bytes;

const VERSION: u8 = 1;
/// The length that stands for a deletion.
const DELETED: u32 = u32::MAX;
/// Version and number of changes.
const HEADER_BYTES: usize = 5;
/// The least that a change takes: two lengths. It keeps a wrong number from reserving memory.
const CHANGE_BYTES_MIN: usize = 8;

/// One key's change within a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The state's key.
    pub key: Bytes,
    /// Its new value; none deletes it.
    pub value: Option<Bytes>,
}

/// Bytes that are no batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// A version that this build does not know.
    #[error("unknown version {0} of a batch; a newer memgen may know it")]
    Version(u8),
    /// The bytes end within the batch, or go on after it.
    #[error("a batch of {bytes} bytes does not end where its {changes} changes do")]
    Length {
        /// Bytes that are there.
        bytes: usize,
        /// Changes that it should hold.
        changes: u32,
    },
}

/// The bytes of `changes`.
///
/// ```
/// use memgen::batch::{Change, decode, encode};
/// let changes = [
///     Change { key: "a".into(), value: Some("1".into()) },
///     Change { key: "b".into(), value: None },
/// ];
/// assert_eq!(decode(&encode(&changes)).unwrap(), changes);
/// ```
///
/// # Panics
/// If there are 2^32 changes, or a key or value of 4 GiB: the limits of a request lie far below.
#[must_use]
pub fn encode(changes: &[Change]) -> Bytes {
    let bytes = changes.iter().fold(HEADER_BYTES, |sum, change| {
        sum + CHANGE_BYTES_MIN + change.key.len() + change.value.as_ref().map_or(0, Bytes::len)
    });
    let mut out = Vec::with_capacity(bytes);
    out.push(VERSION);
    out.extend_from_slice(&length(changes.len()).to_le_bytes());
    for change in changes {
        out.extend_from_slice(&length(change.key.len()).to_le_bytes());
        out.extend_from_slice(&change.key);
        match &change.value {
            Some(value) => {
                out.extend_from_slice(&length(value.len()).to_le_bytes());
                out.extend_from_slice(value);
            }
            None => out.extend_from_slice(&DELETED.to_le_bytes()),
        }
    }
    out.into()
}

fn length(length: usize) -> u32 {
    u32::try_from(length)
        .ok()
        .filter(|length| *length != DELETED)
        .expect("requests are limited to far less than 4 GiB")
}

/// The changes in `bytes`, in order, as slices of it.
///
/// # Errors
/// [`BatchError`] if the bytes are not exactly one batch.
pub fn decode(bytes: &Bytes) -> Result<Vec<Change>, BatchError> {
    match bytes.first() {
        None => {
            return Err(BatchError::Length {
                bytes: 0,
                changes: 0,
            });
        }
        Some(&VERSION) => {}
        Some(&version) => return Err(BatchError::Version(version)),
    }
    let mut at = 1;
    let count = u32_at(bytes, &mut at).ok_or(BatchError::Length {
        bytes: bytes.len(),
        changes: 0,
    })?;
    let wrong = BatchError::Length {
        bytes: bytes.len(),
        changes: count,
    };
    let mut changes = Vec::with_capacity((count as usize).min(bytes.len() / CHANGE_BYTES_MIN));
    for _ in 0..count {
        let key_length = u32_at(bytes, &mut at).ok_or(wrong)?;
        let key = part(bytes, &mut at, key_length).ok_or(wrong)?;
        let value = match u32_at(bytes, &mut at).ok_or(wrong)? {
            DELETED => None,
            value_length => Some(part(bytes, &mut at, value_length).ok_or(wrong)?),
        };
        changes.push(Change { key, value });
    }
    if at == bytes.len() {
        Ok(changes)
    } else {
        Err(wrong)
    }
}

fn u32_at(bytes: &[u8], at: &mut usize) -> Option<u32> {
    let number = bytes
        .get(*at..*at + 4)?
        .try_into()
        .ok()
        .map(u32::from_le_bytes)?;
    *at += 4;
    Some(number)
}

fn part(bytes: &Bytes, at: &mut usize, length: u32) -> Option<Bytes> {
    let end = at.checked_add(usize::try_from(length).ok()?)?;
    if end > bytes.len() {
        return None;
    }
    let part = bytes.slice(*at..end);
    *at = end;
    Some(part)
}

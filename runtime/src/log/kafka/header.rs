//! What memgen adds to a record of Kafka, beside its key and value: one header. It is drawn in ARCHITECTURE.md.

use crate::record::{Ballot, Kind, Offset};

/// The header's name.
pub const NAME: &str = "memgen";

const VERSION: u8 = 1;
/// The bytes that each has.
const HEAD_BYTES: usize = 36;
const FINGERPRINT_BYTES: usize = 16;
const PLACE_BYTES: usize = 8;
/// The most that it takes beside an id and a reply.
pub(super) const BYTES_MAX: usize = HEAD_BYTES + PLACE_BYTES + FINGERPRINT_BYTES;
/// A bit of the flags: the record answers a request.
const ANSWERS: u8 = 1;
/// A bit of the flags: the record names the offset at which its writer expects it.
const PLACED: u8 = 2;

/// The longest id of a request.
const ID_BYTES_MAX: usize = u8::MAX as usize;

/// A header's content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header<'a> {
    /// See [`Record`](crate::record::Record), whose fields these are.
    pub ballot: Ballot,
    /// What the record is for.
    pub kind: Kind,
    /// When it was written.
    pub timestamp_ms: u64,
    /// The layout of the state.
    pub schema: u64,
    /// Where its writer expects it.
    pub place: Option<Offset>,
    /// The id, fingerprint and reply of a request.
    pub answered: Option<(&'a [u8], u128, &'a [u8])>,
}

/// Why a header can't be written or read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// A newer memgen wrote it.
    #[error(
        "its header is of version {0}, which this version of memgen does not know: a newer one wrote it"
    )]
    Version(u8),
    /// It ends too early, or too late.
    #[error("its header has {0} bytes, which it can't have")]
    Length(usize),
    /// The kind is none.
    #[error("its kind {0} is none")]
    Kind(u8),
    /// A flag is not known.
    #[error("its flags {0:#04x} are not known")]
    Flags(u8),
    /// The id of the request is too long to be kept.
    #[error("the id of the request has {0} bytes; {ID_BYTES_MAX} are possible")]
    Id(usize),
}

impl<'a> Header<'a> {
    /// How many bytes it takes.
    #[must_use]
    pub fn encoded_bytes(&self) -> usize {
        let answered = self.answered.map_or(0, |(id, _, reply)| {
            FINGERPRINT_BYTES + id.len() + reply.len()
        });
        HEAD_BYTES + self.place.map_or(0, |_| PLACE_BYTES) + answered
    }

    /// Writes it behind what is in `out`.
    ///
    /// # Errors
    /// [`HeaderError::Id`]. Nothing was written then.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), HeaderError> {
        let (id, ..) = self.answered.unwrap_or_default();
        let id_bytes = u8::try_from(id.len()).map_err(|_| HeaderError::Id(id.len()))?;
        out.reserve(self.encoded_bytes());
        let flags = if self.answered.is_some() { ANSWERS } else { 0 }
            | if self.place.is_some() { PLACED } else { 0 };
        out.extend_from_slice(&[VERSION, self.kind as u8, flags, id_bytes]);
        for number in [
            self.timestamp_ms,
            self.schema,
            self.ballot.epoch,
            self.ballot.incarnation,
        ] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        if let Some(place) = self.place {
            out.extend_from_slice(&place.to_le_bytes());
        }
        if let Some((id, fingerprint, reply)) = self.answered {
            out.extend_from_slice(&fingerprint.to_le_bytes());
            out.extend_from_slice(id);
            out.extend_from_slice(reply);
        }
        Ok(())
    }

    /// Reads it.
    ///
    /// # Errors
    /// [`HeaderError`] says what is wrong.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, HeaderError> {
        let short = HeaderError::Length(bytes.len());
        match bytes.first() {
            None => return Err(short),
            Some(&VERSION) => {}
            Some(other) => return Err(HeaderError::Version(*other)),
        }
        let (head, rest) = bytes.split_at_checked(HEAD_BYTES).ok_or(short)?;
        let (kind, flags, id_bytes) = (head[1], head[2], usize::from(head[3]));
        let number = |at: usize| {
            let bytes = head[at..].first_chunk().copied();
            u64::from_le_bytes(bytes.unwrap_or_default())
        };
        let kind = Kind::from_number(kind).ok_or(HeaderError::Kind(kind))?;
        if flags & !(ANSWERS | PLACED) != 0 {
            return Err(HeaderError::Flags(flags));
        }
        let (place, rest) = if flags & PLACED == 0 {
            (None, rest)
        } else {
            let (place, rest) = rest.split_first_chunk().ok_or(short)?;
            (Some(u64::from_le_bytes(*place)), rest)
        };
        let answered = match flags & ANSWERS {
            0 if rest.is_empty() && id_bytes == 0 => None,
            0 => return Err(short),
            _ => {
                let (fingerprint, rest) = rest.split_first_chunk().ok_or(short)?;
                let (id, reply) = rest.split_at_checked(id_bytes).ok_or(short)?;
                Some((id, u128::from_le_bytes(*fingerprint), reply))
            }
        };
        Ok(Self {
            ballot: Ballot::new(number(20), number(28)),
            kind,
            timestamp_ms: number(4),
            schema: number(12),
            place,
            answered,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(answered: Option<(&'static [u8], u128, &'static [u8])>) -> Header<'static> {
        Header {
            ballot: Ballot::new(7, u64::MAX),
            kind: Kind::FollowUp,
            timestamp_ms: 1_700_000_000_000,
            schema: 0x0123_4567_89ab_cdef,
            place: None,
            answered,
        }
    }

    #[test]
    fn headers_come_back_as_they_were() {
        for (answered, place) in [
            (None, None),
            (None, Some(u64::MAX - 7)),
            (Some((&b"id"[..], u128::MAX - 1, &b"reply"[..])), None),
            (Some((&b"id"[..], u128::MAX - 1, &b"reply"[..])), Some(0)),
            (Some((b"", 0, b"")), None),
            (Some((&[b'i'; 255], 1, b"")), None),
        ] {
            let header = Header {
                place,
                ..header(answered)
            };
            let mut bytes = Vec::new();
            header.encode(&mut bytes).expect("the id is short enough");
            assert_eq!(bytes.len(), header.encoded_bytes());
            assert_eq!(Header::decode(&bytes), Ok(header));
            for length in 0..bytes.len() {
                // What is cut within the reply is a shorter reply: the record's checksum is Kafka's.
                let cut = Header::decode(&bytes[..length]);
                assert!(
                    cut.is_err() || length >= bytes.len() - answered.map_or(0, |it| it.2.len())
                );
            }
        }
        let long = [b'i'; 256];
        let mut bytes = Vec::new();
        let id_too_long = Header {
            answered: Some((&long, 0, b"")),
            ..header(None)
        };
        assert_eq!(id_too_long.encode(&mut bytes), Err(HeaderError::Id(256)));
        assert!(bytes.is_empty());
    }

    /// Version 1 is frozen: these bytes must be read for ever.
    #[test]
    fn headers_are_as_they_were_frozen() {
        let mut frozen = vec![1, 2, 1, 2];
        frozen.extend([0x00, 0x68, 0xe5, 0xcf, 0x8b, 0x01, 0x00, 0x00]);
        frozen.extend([0xef, 0xcd, 0xab, 0x89, 0x67, 0x45, 0x23, 0x01]);
        frozen.extend([7, 0, 0, 0, 0, 0, 0, 0]);
        frozen.extend([0xff; 8]);
        frozen.extend([0x0a, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x80]);
        frozen.extend(b"idreply");
        let header = header(Some((
            b"id",
            0x8000_0000_0000_0000_0000_0000_0000_000a,
            b"reply",
        )));
        assert_eq!(Header::decode(&frozen), Ok(header));
        let mut bytes = Vec::new();
        header.encode(&mut bytes).expect("the id is short enough");
        assert_eq!(bytes, frozen);
        // With a place, which was added later.
        frozen[2] = 3;
        frozen.splice(36..36, [9, 0, 0, 0, 0, 0, 0, 1]);
        let placed = Header {
            place: Some(0x0100_0000_0000_0009),
            ..header
        };
        assert_eq!(Header::decode(&frozen), Ok(placed));
        bytes.clear();
        placed.encode(&mut bytes).expect("the id is short enough");
        assert_eq!(bytes, frozen);
    }

    #[test]
    fn what_is_wrong_with_a_header_is_said() {
        let mut good = Vec::new();
        header(None).encode(&mut good).expect("there is no id");
        for (at, byte, wrong) in [
            (0, 2, HeaderError::Version(2)),
            (1, 0, HeaderError::Kind(0)),
            (1, 9, HeaderError::Kind(9)),
            (2, 4, HeaderError::Flags(4)),
            (2, 2, HeaderError::Length(36)),
            (2, 1, HeaderError::Length(36)),
            (3, 1, HeaderError::Length(36)),
        ] {
            let mut bytes = good.clone();
            bytes[at] = byte;
            assert_eq!(Header::decode(&bytes), Err(wrong), "byte {at} is {byte}");
        }
        assert_eq!(Header::decode(&[]), Err(HeaderError::Length(0)));
        good.push(0);
        assert_eq!(Header::decode(&good), Err(HeaderError::Length(37)));
    }
}

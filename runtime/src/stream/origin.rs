//! Where a record of a stream comes from: its source and the number that it has there, by which a repeat is told; and what is said of it beside.
//!
//! In memory and in the embedded log it takes the place of a request's id ([`Answered`]), which is the same thing: what is carried out once, however often it comes. In Kafka it is
//! headers of its own, which any consumer can read.

use bytes::Bytes;

use crate::record::{Answered, Ballot, Record};

/// The header with the source: of what memgen emits, the partition of the state.
#[cfg(feature = "kafka")]
pub(crate) const SOURCE: &str = "memgen-source";
/// The header with the number, in decimal digits: it grows with each record of the source.
#[cfg(feature = "kafka")]
pub(crate) const SEQUENCE: &str = "memgen-sequence";
/// The header with what is said of a dead letter, as JSON.
#[cfg(feature = "kafka")]
pub(crate) const NOTE: &str = "memgen-note";

/// The origin as a record carries it.
pub(crate) fn origin(source: &str, sequence: u64, note: Bytes) -> Answered {
    Answered {
        id: Bytes::copy_from_slice(source.as_bytes()),
        fingerprint: sequence.into(),
        reply: note,
    }
}

/// The source and the number of a record, if it has them.
pub(crate) fn of(record: &Record) -> Option<(&str, u64)> {
    let event = (record.ballot == Ballot::FOREIGN).then_some(record);
    let answered = event?.answered.as_ref()?;
    let source = std::str::from_utf8(&answered.id).ok()?;
    Some((source, u64::try_from(answered.fingerprint).ok()?))
}

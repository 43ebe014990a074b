//! Loading: the bytes of a snapshot -> memory and fold.
//!
//! All bytes are read and found to be those that were written; entities are decoded when they are looked at (see `memory/piece`).

use std::{collections::BTreeSet, io::Read, sync::Arc};

use bytes::Bytes;

use super::format::{End, Head, Items, Kind, Reader, Section, Unusable};
use crate::{
    fold::{Fold, Horizon, Kept},
    key::parse_key,
    memory::{Memory, Piece, Place, Stored, Summary, Written},
    record::{Answered, Ballot, Offset},
    state::State,
    tx::Pending,
};

/// No entity takes fewer bytes: two lengths, the tag, and the length in the log.
const ENTITY_BYTES: usize = 20;

/// A snapshot in memory.
pub(super) struct Loaded<S: State> {
    pub(super) head: Head,
    pub(super) memory: Memory<S>,
    pub(super) fold: Fold,
    /// Before the log was read up to here, memory shows what never was at one time.
    pub(super) until: Offset,
    pub(super) keys: u64,
}

/// Loads a snapshot. `admit` says whether it is one of the partition, and new enough; `seen` is told of the bytes of each section.
pub(super) fn load<S: State>(
    input: impl Read,
    horizon: Horizon,
    admit: impl FnOnce(&Head) -> Result<(), Unusable>,
    seen: impl Fn(usize),
) -> Result<Loaded<S>, Unusable> {
    let mut reader = Reader::begin(input)?;
    let head = match reader.next()? {
        Some(section) => section.head()?,
        None => return Err(Unusable::NoSnapshot),
    };
    admit(&head)?;
    let (mut pieces, mut written) = (Vec::new(), Vec::new());
    let (mut keys, mut summary) = (0, Summary::default());
    let rest = read_rest(&mut reader, horizon, &head, &seen, |section| {
        let mut items = section.items();
        if section.kind == Kind::Written {
            while items.more()? {
                written.push(as_written::<S>(&section, &mut items)?);
            }
        } else {
            keys += u64::from(section.items);
            pieces.extend(piece::<S>(section, &mut summary)?);
        }
        Ok(())
    });
    let Rest {
        end,
        fold,
        counts,
        last_section,
    } = rest?;
    let counted = End {
        entities: keys,
        written: written.len() as u64,
        digest: summary.digest,
        until: end.until,
        ..counts
    };
    if counted != end || end.until < head.next {
        return Err(Unusable::Damaged {
            section: last_section,
            what: format!("it should be {end:?}, and is {counted:?}"),
        });
    }
    summary.applied = head.next;
    let memory = Memory::restore(pieces, written, summary).ok_or_else(|| Unusable::Damaged {
        section: last_section,
        what: "its keys are not in order".to_owned(),
    })?;
    Ok(Loaded {
        head,
        memory,
        fold,
        until: end.until,
        keys,
    })
}

/// What is in the sections that are the same for all states.
struct Rest {
    end: End,
    fold: Fold,
    counts: End,
    last_section: u64,
}

fn read_rest(
    reader: &mut Reader<impl Read>,
    horizon: Horizon,
    head: &Head,
    seen: impl Fn(usize),
    mut take: impl FnMut(Section) -> Result<(), Unusable>,
) -> Result<Rest, Unusable> {
    let (epoch, incarnation) = head.ballot;
    let mut kept = Kept {
        ballot: Ballot::new(epoch, incarnation),
        next: head.next,
        last: head.last(),
        last_counts: !head.last_is_stale,
        dirty: BTreeSet::new(),
        torn: BTreeSet::new(),
        pending: Pending::default(),
    };
    let mut answers = Vec::new();
    let mut pending = 0;
    let mut end = None;
    let mut last_section = 0;
    while let Some(section) = reader.next()? {
        seen(section.bytes.len());
        last_section = section.number;
        let mut items = section.items();
        match section.kind {
            Kind::Head => return Err(section.damaged("there is a second head")),
            Kind::Dirty => {
                while items.more()? {
                    kept.dirty.insert(key(&mut items)?);
                }
            }
            Kind::Torn => {
                while items.more()? {
                    kept.torn.insert(key(&mut items)?);
                }
            }
            Kind::Pending => {
                while items.more()? {
                    let (key, value) = (items.length()?, items.length()?);
                    let schema = items.u64()?;
                    let key = Bytes::copy_from_slice(items.bytes(key)?);
                    let value = Bytes::copy_from_slice(items.bytes(value)?);
                    let read = kept.pending.set(&key, Some(&value), schema);
                    read.map_err(|error| section.damaged(error))?;
                    pending += 1;
                }
            }
            Kind::Answers => {
                while items.more()? {
                    answers.push(answer(&mut items)?);
                }
            }
            Kind::Entities | Kind::Written => take(section)?,
            Kind::End => end = Some(section.end()?),
        }
    }
    let Some(end) = end else {
        return Err(Unusable::Damaged {
            section: last_section,
            what: "it has no end".to_owned(),
        });
    };
    let counts = End {
        answers: answers.len() as u64,
        dirty: kept.dirty.len() as u64,
        torn: kept.torn.len() as u64,
        pending,
        ..End::default()
    };
    let mut fold = Fold::resume(horizon, kept);
    for (offset, timestamp_ms, answered) in &answers {
        fold.recall(*offset, *timestamp_ms, answered);
    }
    Ok(Rest {
        end,
        fold,
        counts,
        last_section,
    })
}

fn key(items: &mut Items<'_>) -> Result<Bytes, Unusable> {
    let length = items.length()?;
    Ok(Bytes::copy_from_slice(items.bytes(length)?))
}

fn answer(items: &mut Items<'_>) -> Result<(Offset, u64, Answered), Unusable> {
    let (id, reply) = (items.length()?, items.length()?);
    let (fingerprint, offset, timestamp_ms) = (items.u128()?, items.u64()?, items.u64()?);
    let answered = Answered {
        id: Bytes::copy_from_slice(items.bytes(id)?),
        fingerprint,
        reply: Bytes::copy_from_slice(items.bytes(reply)?),
    };
    Ok((offset, timestamp_ms, answered))
}

fn as_written<S: State>(
    section: &Section,
    items: &mut Items<'_>,
) -> Result<(S::Key, Arc<Written>), Unusable> {
    let (key, value, schema) = (items.length()?, items.length()?, items.u64()?);
    let key = typed_key::<S>(section, items.bytes(key)?)?;
    let value = Bytes::copy_from_slice(items.bytes(value)?);
    Ok((key, Arc::new(Written { schema, value })))
}

fn typed_key<S: State>(section: &Section, key: &[u8]) -> Result<S::Key, Unusable> {
    let key = std::str::from_utf8(key).map_err(|error| section.damaged(error))?;
    parse_key::<S>(key).map_err(|error| section.damaged(error))
}

/// An entity as it is in a section.
struct Item<'s> {
    key: &'s [u8],
    value: &'s [u8],
    etag: u64,
    bytes: u32,
}

impl<'s> Item<'s> {
    fn read(items: &mut Items<'s>) -> Result<Self, Unusable> {
        let (key, value) = (items.length()?, items.length()?);
        let (etag, bytes) = (items.u64()?, items.u32()?);
        let (key, value) = (items.bytes(key)?, items.bytes(value)?);
        Ok(Self {
            key,
            value,
            etag,
            bytes,
        })
    }
}

/// The entities of a section, to be decoded when they are looked at; none if it has none. `summary` gets what they add up to.
fn piece<S: State>(section: Section, summary: &mut Summary) -> Result<Option<Piece<S>>, Unusable> {
    let mut items = section.items();
    let mut ends = None;
    let mut len = 0;
    while items.more()? {
        let item = Item::read(&mut items)?;
        summary.add(item.etag, item.bytes);
        ends = Some((ends.map_or(item.key, |(first, _)| first), item.key));
        len += 1;
    }
    let Some((first, last)) = ends else {
        return Ok(None);
    };
    let first = typed_key::<S>(&section, first)?;
    let last = typed_key::<S>(&section, last)?;
    let decode = move || decode(&section).map_err(|unusable| unusable.to_string());
    Ok(Some(Piece::new(first, last, len, Box::new(decode))))
}

fn decode<S: State>(section: &Section) -> Result<Box<[Place<S>]>, Unusable> {
    let mut items = section.items();
    let mut places = Vec::with_capacity(items.at_most(ENTITY_BYTES));
    while items.more()? {
        let item = Item::read(&mut items)?;
        let key = typed_key::<S>(section, item.key)?;
        let stored = Stored::restore(item.value, item.etag, item.bytes)
            .map_err(|error| section.damaged(error))?;
        places.push(Place::new(key, stored));
    }
    Ok(places.into_boxed_slice())
}

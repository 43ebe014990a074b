//! Loading: the bytes of a snapshot -> memory and fold. Several threads decode; what they make is seen by nobody before all of it was found to be right.

use std::{
    collections::BTreeSet,
    io::Read,
    num::NonZero,
    sync::{Arc, mpsc},
    thread,
};

use bytes::Bytes;

use super::format::{End, Head, Items, Kind, Reader, Section, Unusable};
use crate::{
    fold::{Fold, Horizon, Kept},
    key::parse_key,
    memory::{Memory, Place, Stored, Summary, Written},
    record::{Answered, Ballot, Offset},
    state::State,
    tx::Pending,
};

/// Sections that wait for a thread. With those that are being decoded, they are all of a snapshot that is in memory as bytes.
const WAITING_MAX: usize = 4;
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

/// What threads have decoded.
struct Decoded<S: State> {
    /// The entities of each section, and its number.
    pieces: Vec<(u64, Box<[Place<S>]>)>,
    summary: Summary,
}

impl<S: State> Default for Decoded<S> {
    fn default() -> Self {
        Self {
            pieces: Vec::new(),
            summary: Summary::default(),
        }
    }
}

/// Loads a snapshot. `admit` says whether it is one of the partition, and new enough; `seen` is told of the bytes of each section.
pub(super) fn load<S: State>(
    input: impl Read,
    horizon: Horizon,
    threads: NonZero<usize>,
    admit: impl FnOnce(&Head) -> Result<(), Unusable>,
    seen: impl Fn(usize),
) -> Result<Loaded<S>, Unusable> {
    let mut reader = Reader::begin(input)?;
    let head = match reader.next()? {
        Some(section) => section.head()?,
        None => return Err(Unusable::NoSnapshot),
    };
    admit(&head)?;
    let mut written = Vec::new();
    let (rest, mut decoded) = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads.get())
            .map(|_| {
                let (sender, sections) = mpsc::sync_channel::<Section>(WAITING_MAX);
                (sender, scope.spawn(move || decode_all(&sections)))
            })
            .collect();
        let mut turn = workers.iter().cycle();
        let rest = read_rest(&mut reader, horizon, &head, &seen, |section| {
            if section.kind == Kind::Written {
                let mut items = section.items();
                while items.more()? {
                    written.push(as_written::<S>(&section, &mut items)?);
                }
                return Ok(true);
            }
            // A thread that has ended found something wrong, and says so below.
            let next = turn.next();
            Ok(next.is_some_and(|(sender, _)| sender.send(section).is_ok()))
        });
        let mut decoded = Decoded::<S>::default();
        for (sender, worker) in workers {
            drop(sender);
            let part = worker
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
            decoded.pieces.extend(part.pieces);
            decoded.summary.merge(part.summary);
        }
        Ok::<_, Unusable>((rest?, decoded))
    })?;
    let Rest {
        end,
        fold,
        counts,
        last_section,
    } = rest;
    decoded.pieces.sort_unstable_by_key(|(number, _)| *number);
    let pieces: Vec<_> = decoded.pieces.into_iter().map(|(_, piece)| piece).collect();
    let keys = pieces.iter().map(|piece| piece.len() as u64).sum();
    let counted = End {
        entities: keys,
        written: written.len() as u64,
        digest: decoded.summary.digest,
        until: end.until,
        ..counts
    };
    if counted != end || end.until < head.next {
        return Err(Unusable::Damaged {
            section: last_section,
            what: format!("it should be {end:?}, and is {counted:?}"),
        });
    }
    let summary = Summary {
        applied: head.next,
        ..decoded.summary
    };
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
    mut decode: impl FnMut(Section) -> Result<bool, Unusable>,
) -> Result<Rest, Unusable> {
    let (epoch, incarnation) = head.ballot;
    let mut kept = Kept {
        ballot: Ballot::new(epoch, incarnation),
        next: head.next,
        last: head.last(),
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
            Kind::Entities | Kind::Written => {
                if !decode(section)? {
                    break;
                }
            }
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

fn decode_all<S: State>(sections: &mpsc::Receiver<Section>) -> Result<Decoded<S>, Unusable> {
    let mut decoded = Decoded::default();
    for section in sections {
        let piece = decode(&section, &mut decoded.summary)?;
        decoded.pieces.push((section.number, piece));
    }
    Ok(decoded)
}

fn decode<S: State>(section: &Section, summary: &mut Summary) -> Result<Box<[Place<S>]>, Unusable> {
    reserve(2 * section.bytes.len());
    let mut items = section.items();
    let mut places = Vec::with_capacity(items.at_most(ENTITY_BYTES));
    while items.more()? {
        let (key, value) = (items.length()?, items.length()?);
        let (etag, bytes) = (items.u64()?, items.u32()?);
        let key = typed_key::<S>(section, items.bytes(key)?)?;
        let stored = Stored::restore(items.bytes(value)?, etag, bytes)
            .map_err(|error| section.damaged(error))?;
        summary.add(&stored);
        places.push(Place::new(key, stored));
    }
    Ok(places.into_boxed_slice())
}

/// Makes room for so many bytes in the heap of this thread, in one step. The heaps of all threads but the first grow by a page at a time otherwise, with a call of the system for each of them: that was
/// a tenth of what a load took. It is a hint to the allocator, and nothing else.
fn reserve(bytes: usize) {
    drop(std::hint::black_box(Vec::<u8>::with_capacity(bytes)));
}

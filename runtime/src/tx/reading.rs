//! What transactions read, at the owners of the partitions.

use std::{ops::ControlFlow, sync::Arc};

use futures_util::future::try_join_all;
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::{
    KeyRange, Part, Range, Version, Was,
    courier::{Message, path, post},
    handle::{KEYS_MAX, Parts},
};
use crate::{
    call::patiently,
    cluster::{Pause, Unanswered},
    key::{key_text, parse_key},
    memory::{Memory, Stored},
    node::Node,
    partitions::{Here, Owner, Slot, just},
    problem::Problem,
    state::State,
};

/// Whether what was read in a partition that is owned here is still so, and nobody is about to write it.
pub(super) async fn are_still_here<S: State>(
    here: &Here<S>,
    part: &Part,
    deadline: Instant,
) -> Result<bool, Unanswered> {
    let Part { reads, lists, .. } = part;
    let ranges = lists.iter().map(|list| list.range.typed::<S>());
    let ranges: Result<Vec<_>, _> = ranges.collect();
    let ranges = ranges.map_err(Problem::internal)?;
    let keys = reads.iter().map(|read| parse_key::<S>(&read.key));
    let keys: Result<Vec<_>, _> = keys.collect();
    let keys = keys.map_err(Problem::internal)?;
    let looked = here.read(false, None, |memory| {
        let all_there = ranges.iter().zip(lists).all(|(range, list)| {
            !memory.held().is_held_within(range) && comings(here, memory) == list.comings
        });
        all_there
            && keys.iter().zip(reads).all(|(key, read)| {
                // First this: see `Held`.
                !memory.held().is_held(key) && look(here, memory, key).0 == read.was
            })
    });
    patiently(deadline, looked).await
}

/// The last time that a key of the partition has come or gone.
fn comings<S: State>(here: &Here<S>, memory: &Memory<S>) -> Version {
    Version {
        incarnation: here.incarnation,
        number: memory.comings(),
    }
}

/// What memory has at a key, and how to know that it was so all the while.
pub(super) fn look<S: State>(
    here: &Here<S>,
    memory: &Memory<S>,
    key: &S::Key,
) -> (Was, Option<Arc<Stored<S>>>) {
    // First this: a key that goes while it is looked for is counted before it does.
    let comings = comings(here, memory);
    match memory.get(key) {
        Some(stored) => (Was::There(version(here, &stored)), Some(stored)),
        None => (Was::Absent(comings), None),
    }
}

fn version<S: State>(here: &Here<S>, stored: &Stored<S>) -> Version {
    Version {
        incarnation: here.incarnation,
        number: stored.version(),
    }
}

/// The entities in a range, and the last time that a key of the partition had come or gone.
pub(super) type Listed<S> = (Version, Vec<(Version, Arc<Stored<S>>)>);

/// One more than a transaction can have is enough to say so.
pub(super) fn list_here<S: State>(
    here: &Here<S>,
    memory: &Memory<S>,
    range: &KeyRange<S::Key>,
) -> Listed<S> {
    let comings = comings(here, memory);
    let mut listed = Vec::new();
    memory.walk(range.start(), |key, stored| {
        if listed.len() > KEYS_MAX {
            return ControlFlow::Break(());
        }
        if range.place(key)? {
            listed.push((version(here, &stored), stored));
        }
        ControlFlow::Continue(())
    });
    (comings, listed)
}

/// The entities in a range, as its owner has them, in the order of their keys.
pub(super) async fn list<S: State>(
    slot: &Slot<S>,
    range: &Range,
    deadline: Instant,
) -> Result<Listed<S>, Problem> {
    let keys = range.typed::<S>().map_err(Problem::internal)?;
    let mut pause = Pause::new(deadline);
    loop {
        let answered = match slot.owner(deadline).await? {
            Owner::Here(here) => {
                let look = |memory: &Memory<S>| list_here(&here, memory, &keys);
                patiently(deadline, here.read(false, keys.bounds(), look)).await
            }
            Owner::Peer(peer) => {
                let message = Message::List(range.clone());
                let (cluster, at) = (&slot.cluster, &slot.partition);
                let target = path(at);
                let found = post::<(Version, Vec<(Version, Box<RawValue>)>)>(
                    cluster, &peer, &target, at, &message, deadline,
                );
                match found.await {
                    Ok((comings, found)) => {
                        let listed = found.into_iter().map(|(version, value)| {
                            let stored = Stored::decode(value.get().as_bytes())?;
                            Ok((version, Arc::new(stored)))
                        });
                        let listed: serde_json::Result<Vec<_>> = listed.collect();
                        listed
                            .map(|listed| (comings, listed))
                            .map_err(|error| Problem::internal(error).into())
                    }
                    Err(unanswered) => Err(unanswered),
                }
            }
        };
        match answered {
            Ok(found) => return Ok(found),
            Err(unanswered) => pause.after(unanswered, &slot.cluster).await?,
        }
    }
}

/// Whether all of what was read is still so: then there was a moment at which all of it was so at once.
pub(super) async fn are_still(
    node: &Node,
    parts: &Parts,
    deadline: Instant,
) -> Result<bool, Problem> {
    let reads = parts.values().map(|part| part.reads.len());
    let lists = parts.values().map(|part| part.lists.len());
    // One key is read at one moment. What is in a range is looked at one after the other.
    if reads.sum::<usize>() < 2 && lists.sum::<usize>() == 0 {
        return Ok(true);
    }
    let asked = parts.iter().map(async |(at, part)| {
        let places = node.places(&at.topic).map_err(Problem::internal)?;
        places.are_still(at.partition, part, deadline).await
    });
    let answered = try_join_all(asked).await?;
    Ok(answered.into_iter().all(|are_still| are_still))
}

/// The entity with a key, as its owner has it, and which one that is.
pub(super) async fn read<S: State>(
    slot: &Slot<S>,
    key: &S::Key,
    deadline: Instant,
) -> Result<(Was, Option<Arc<Stored<S>>>), Problem> {
    let mut pause = Pause::new(deadline);
    loop {
        let answered = match slot.owner(deadline).await? {
            Owner::Here(here) => {
                let look = |memory: &Memory<S>| look(&here, memory, key);
                patiently(deadline, here.read(false, just(key), look)).await
            }
            Owner::Peer(peer) => {
                let message = Message::Read(key_text::<S>(key));
                let (cluster, at) = (&slot.cluster, &slot.partition);
                let target = path(at);
                let found = post::<(Was, Option<Box<RawValue>>)>(
                    cluster, &peer, &target, at, &message, deadline,
                );
                match found.await {
                    Ok((was, value)) => value
                        .map(|value| Stored::decode(value.get().as_bytes()).map(Arc::new))
                        .transpose()
                        .map(|stored| (was, stored))
                        .map_err(|error| Problem::internal(error).into()),
                    Err(unanswered) => Err(unanswered),
                }
            }
        };
        match answered {
            Ok(found) => return Ok(found),
            Err(unanswered) => pause.after(unanswered, &slot.cluster).await?,
        }
    }
}

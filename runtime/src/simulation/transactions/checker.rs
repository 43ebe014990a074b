//! Whether there is an order in which one after the other could have been carried out, each between its beginning and its end.

use std::collections::{BTreeMap, HashMap, HashSet};

use bytes::Bytes;
use tokio::time::Instant;

use super::{At, Count, KEYS, PARTITIONS, ROOM, partition};
use crate::{
    batch,
    fold::{Effect, Fold},
    log::sim::Sim,
    record::{Kind, Record},
    simulation::{HORIZON, Pile},
};

/// What a client was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    Yes,
    No,
    Unknown,
}

/// The values that were read, and the keys that were written.
pub(super) type Accessed = (BTreeMap<At, Vec<u64>>, Vec<At>);

/// What a client did.
#[derive(Clone, Debug)]
pub(super) struct Did {
    pub(super) id: u64,
    pub(super) start: Instant,
    pub(super) end: Option<Instant>,
    pub(super) told: Told,
    /// What each run of the function has read and written.
    pub(super) by_run: HashMap<u32, Accessed>,
    pub(super) reads: BTreeMap<At, Vec<u64>>,
    pub(super) writes: Vec<At>,
}

impl Did {
    pub(super) fn new(id: u64, start: Instant) -> Self {
        Self {
            id,
            start,
            end: None,
            told: Told::Unknown,
            by_run: HashMap::new(),
            reads: BTreeMap::new(),
            writes: Vec::new(),
        }
    }

    /// The reply says which run it was.
    pub(super) fn committed(&mut self, reply: &Bytes) {
        let run: u32 = std::str::from_utf8(reply).unwrap().parse().unwrap();
        (self.reads, self.writes) = self.by_run.remove(&run).unwrap();
        self.told = Told::Yes;
        self.end = Some(Instant::now());
    }

    pub(super) fn looked(&mut self, seen: BTreeMap<At, Vec<u64>>) {
        self.reads = seen;
        self.told = Told::Yes;
        self.end = Some(Instant::now());
    }
}

/// What the logs say.
pub(super) struct Truth {
    /// The values of each key, in their order, without the first, empty one.
    values: BTreeMap<At, Vec<Vec<u64>>>,
    wrong: Vec<String>,
}

impl Truth {
    pub(super) fn last(&self, at: &At) -> Vec<u64> {
        let values = self.values.get(at);
        values
            .and_then(|values| values.last().cloned())
            .unwrap_or_default()
    }
}

pub(super) fn truth(sim: &Sim, count: &mut Count) -> Truth {
    let mut truth = Truth {
        values: BTreeMap::new(),
        wrong: Vec::new(),
    };
    for number in 0..PARTITIONS {
        let mut fold = Fold::new(HORIZON);
        for (offset, record) in sim.history(&partition(number)) {
            note(&record, &fold, count);
            let changes = match fold.step(offset, &record).unwrap() {
                Effect::Nothing => Vec::new(),
                Effect::One(key, value) => vec![batch::Change { key, value }],
                Effect::Batch(changes) => changes,
            };
            for batch::Change { key, value } in changes {
                let mut known = KEYS.iter().chain(ROOM.iter()).copied();
                let key = known.find(|known| known.as_bytes() == &key[..]);
                let key = key.unwrap();
                // The repair of a key that never had a value deletes it.
                let items = value.map_or_else(Vec::new, |value| {
                    serde_json::from_slice::<Pile>(&value).unwrap().items
                });
                let values = truth.values.entry((number, key)).or_default();
                if values.last().map_or(&[][..], Vec::as_slice) == items {
                    continue;
                }
                let Some(last) = items.last() else {
                    truth.wrong.push(format!("{number} {key} was deleted"));
                    continue;
                };
                let mut expected = values.last().cloned().unwrap_or_default();
                expected.push(*last);
                if key != "blind" && expected != items {
                    let what = format!("{number} {key} is {items:?}, not {expected:?}");
                    truth.wrong.push(what);
                }
                values.push(items);
            }
        }
    }
    truth
}

fn note(record: &Record, fold: &Fold, count: &mut Count) {
    if record.ballot < fold.ballot() {
        return;
    }
    match record.kind {
        Kind::Barrier => count.takeovers += 1,
        Kind::Batch => count.batches += 1,
        Kind::Data if record.key.starts_with(b"\0prepared/") && record.value.is_some() => {
            count.prepared += 1;
        }
        _ => {}
    }
}

/// What is wrong with what the clients were told, given what the logs say.
pub(super) fn check(dids: &[Did], truth: &Truth) -> Vec<String> {
    let mut wrong = truth.wrong.clone();
    // Who wrote what, in the order of the log.
    let mut writers: BTreeMap<At, Vec<u64>> = BTreeMap::new();
    let mut wrote: HashMap<u64, HashSet<At>> = HashMap::new();
    for (at, values) in &truth.values {
        for items in values {
            let id = *items.last().unwrap();
            writers.entry(*at).or_default().push(id);
            if !wrote.entry(id).or_default().insert(*at) {
                wrong.push(format!("{id} wrote {at:?} twice"));
            }
        }
    }
    let index: HashMap<u64, usize> = dids.iter().map(|did| did.id).zip(0..).collect();
    let mut before: Vec<HashSet<usize>> = vec![HashSet::new(); dids.len()];
    for did in dids {
        let mine = wrote.get(&did.id);
        let written = did
            .writes
            .iter()
            .filter(|at| mine.is_some_and(|mine| mine.contains(at)));
        match (did.told, written.count()) {
            (Told::Yes, written) if written < did.writes.len() => {
                wrong.push(format!("{} was committed, and is lost: {did:?}", did.id));
            }
            (Told::No, 1..) => {
                wrong.push(format!("{} was refused, and happened", did.id));
            }
            _ => {}
        }
        if did.told == Told::No {
            continue;
        }
        let me = index[&did.id];
        for (at, items) in &did.reads {
            let none = Vec::new();
            let all = truth.values.get(at).unwrap_or(&none);
            // 0 is the value before the first.
            let place = if items.is_empty() {
                Some(0)
            } else {
                all.iter()
                    .position(|value| value == items)
                    .map(|place| place + 1)
            };
            let Some(place) = place else {
                wrong.push(format!("{} read {at:?} {items:?}, which never was", did.id));
                continue;
            };
            let by = &writers.get(at).cloned().unwrap_or_default();
            if place > 0 && by[place - 1] != did.id {
                before[me].insert(index[&by[place - 1]]);
            }
            if let Some(next) = by.get(place)
                && *next != did.id
            {
                before[index[next]].insert(me);
            }
        }
    }
    for by in writers.values() {
        for pair in by.windows(2) {
            before[index[&pair[1]]].insert(index[&pair[0]]);
        }
    }
    let ended: Vec<(Instant, Instant, usize)> = dids
        .iter()
        .zip(0..)
        .filter(|(did, _)| did.told == Told::Yes)
        .filter_map(|(did, index)| Some((did.start, did.end?, index)))
        .collect();
    for (did, before) in dids.iter().zip(&mut before) {
        let earlier = ended.iter().filter(|(_, end, _)| *end < did.start);
        // Whoever had ended before one of these began is before it, and so before all that is after it.
        let Some(last) = earlier.clone().map(|(start, ..)| *start).max() else {
            continue;
        };
        let direct = earlier.filter(|(_, end, _)| *end >= last);
        before.extend(direct.map(|(.., index)| *index));
    }
    wrong.extend(circle(&before, dids));
    wrong
}

/// A circle, if there is one: what is left when again and again all are taken away before which nothing is left.
fn circle(before: &[HashSet<usize>], dids: &[Did]) -> Option<String> {
    let mut after: Vec<Vec<usize>> = vec![Vec::new(); before.len()];
    let mut missing: Vec<usize> = before.iter().map(HashSet::len).collect();
    for (me, others) in before.iter().enumerate() {
        for other in others {
            after[*other].push(me);
        }
    }
    let mut free: Vec<usize> = (0..before.len()).filter(|me| missing[*me] == 0).collect();
    let mut taken = HashSet::new();
    while let Some(me) = free.pop() {
        taken.insert(me);
        for other in &after[me] {
            missing[*other] -= 1;
            if missing[*other] == 0 {
                free.push(*other);
            }
        }
    }
    if taken.len() == before.len() {
        return None;
    }
    // Going back from any that is left leads into a circle.
    let mut path = Vec::new();
    let mut at = (0..before.len()).find(|me| !taken.contains(me))?;
    while !path.contains(&at) {
        path.push(at);
        at = *before[at].iter().find(|other| !taken.contains(other))?;
    }
    let from = path.iter().position(|me| *me == at)?;
    let circle: Vec<u64> = path[from..].iter().map(|me| dids[*me].id).collect();
    Some(format!(
        "each of {circle:?} must come after the one behind it"
    ))
}

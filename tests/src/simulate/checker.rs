//! Whether what clients saw can be right.
//!
//! Items are appended once, and answers show whole piles. So the pile at the end says in which order all of its values followed each other, and each answer says between which two of them it
//! was. Who must have been before whom follows from that, and from who had ended before others began. There is an order that all of them could have happened in, one after
//! the other, if and only if nobody must have been before himself.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    time::Duration,
};

use super::client::{Did, Told};

type Piles = BTreeMap<String, Vec<u64>>;
type Wrong = (&'static str, String);

/// What kind of thing is wrong, if anything is, and what.
pub(super) fn check(dids: &[Did], last: &Piles) -> Result<(), Wrong> {
    let places = places(last)?;
    let empty = Vec::new();
    let pile = |name: &str| last.get(name).unwrap_or(&empty);
    let mut operations = Vec::new();
    for did in dids {
        let there = |name: &&str| {
            let item = did.item?;
            places.get(&((*name).to_owned(), item)).copied()
        };
        let wrote: BTreeMap<_, _> = did
            .names
            .iter()
            .filter_map(|name| Some((*name, there(name)?)))
            .collect();
        if !wrote.is_empty() && wrote.len() < did.names.len() {
            return Err(("part", format!("it happened in part: {did:?}")));
        }
        match &did.told {
            Told::Refused(status, text) if !wrote.is_empty() => {
                return Err((
                    "refused",
                    format!("it was refused ({status}: {text}), and is there: {did:?}"),
                ));
            }
            Told::Seen(_) if did.item.is_some() && wrote.is_empty() => {
                return Err(("lost", format!("it was acknowledged, and is lost: {did:?}")));
            }
            Told::Seen(seen) => {
                for (name, items) in seen {
                    if !pile(name).starts_with(items) {
                        let pile = pile(name);
                        return Err((
                            "seen",
                            format!("`{name}` was seen as {items:?}, and became {pile:?}"),
                        ));
                    }
                    if let Some(item) = did.item
                        && items.last() != Some(&item)
                    {
                        return Err(("answer", format!("the answer to {item} is {items:?}")));
                    }
                    if let Some(own) = did.own
                        && !items.contains(&own)
                    {
                        return Err((
                            "own",
                            format!("a client does not see its own {own}: {items:?}"),
                        ));
                    }
                }
            }
            Told::Refused(..) | Told::Unknown => {}
        }
        operations.push(Operation::of(did, wrote));
    }
    check_ages(dids)?;
    let fresh: Vec<_> = operations.into_iter().flatten().collect();
    circle(&fresh)
}

/// Where each item is. None may be there twice.
fn places(last: &Piles) -> Result<HashMap<(String, u64), usize>, Wrong> {
    let mut places = HashMap::new();
    for (name, items) in last {
        for (place, item) in items.iter().enumerate() {
            if places.insert((name.clone(), *item), place).is_some() {
                return Err(("twice", format!("{item} is in `{name}` twice: {items:?}")));
            }
        }
    }
    Ok(places)
}

/// A bounded read shows all that had been seen before the bound.
fn check_ages(dids: &[Did]) -> Result<(), Wrong> {
    for did in dids {
        let (Told::Seen(seen), Some(age)) = (&did.told, did.age_max) else {
            continue;
        };
        if age == Duration::MAX {
            continue;
        }
        for (name, items) in seen {
            let earlier = dids.iter().filter(|other| other.ended + age < did.began);
            let known = earlier.filter_map(|other| match &other.told {
                Told::Seen(seen) => seen.get(name).map(Vec::len),
                _ => None,
            });
            let known = known.max().unwrap_or_default();
            if items.len() < known {
                return Err((
                    "age",
                    format!(
                        "{} items of `{name}` were seen more than {age:?} after {known} had been: {did:?}",
                        items.len()
                    ),
                ));
            }
        }
    }
    Ok(())
}

/// What one operation did to the order.
struct Operation<'d> {
    did: &'d Did,
    /// How many items each pile had that it saw, without its own.
    saw: BTreeMap<String, usize>,
    /// Where its item is.
    wrote: BTreeMap<&'static str, usize>,
    ended: bool,
}

impl<'d> Operation<'d> {
    fn of(did: &'d Did, wrote: BTreeMap<&'static str, usize>) -> Option<Self> {
        let own = usize::from(did.item.is_some());
        let (saw, ended) = match &did.told {
            Told::Seen(_) if did.age_max.is_some() => return None,
            Told::Seen(seen) => {
                let saw = seen
                    .iter()
                    .map(|(name, items)| (name.clone(), items.len() - own));
                (saw.collect(), true)
            }
            Told::Unknown if !wrote.is_empty() => (BTreeMap::new(), false),
            _ => return None,
        };
        Some(Self {
            did,
            saw,
            wrote,
            ended,
        })
    }
}

/// Why one operation must have been before another one.
type After = Vec<Vec<(usize, String)>>;

fn circle(operations: &[Operation<'_>]) -> Result<(), Wrong> {
    let mut writers = HashMap::new();
    for (index, operation) in operations.iter().enumerate() {
        for (name, place) in &operation.wrote {
            writers.insert((*name, *place), index);
        }
    }
    let mut after: After = vec![Vec::new(); operations.len()];
    let mut follows = |before: usize, behind: usize, why: String| {
        if before != behind {
            after[before].push((behind, why));
        }
    };
    for (index, operation) in operations.iter().enumerate() {
        for (name, saw) in &operation.saw {
            if let Some(writer) = saw
                .checked_sub(1)
                .and_then(|place| writers.get(&(name.as_str(), place)))
            {
                follows(*writer, index, format!("its `{name}` was seen by"));
            }
            if let Some(writer) = writers.get(&(name.as_str(), *saw)) {
                follows(index, *writer, format!("did not see the `{name}` of"));
            }
        }
        for (name, place) in &operation.wrote {
            if let Some(next) = writers.get(&(*name, place + 1)) {
                follows(index, *next, format!("its `{name}` is before that of"));
            }
        }
        for (other, later) in operations.iter().enumerate() {
            if operation.ended && operation.did.ended < later.did.began {
                follows(index, other, "had ended before the beginning of".to_owned());
            }
        }
    }
    let Some(circle) = shortest_circle(&after) else {
        return Ok(());
    };
    let told = circle.iter().map(|(index, why)| {
        let did = operations[*index].did;
        format!("{did:?}\n  {why}\n")
    });
    Err((
        "order",
        format!("no order fits:\n{}the first", told.collect::<String>()),
    ))
}

/// The shortest of the circles, if there is one: who, and why before the next.
fn shortest_circle(after: &After) -> Option<Vec<(usize, String)>> {
    let mut shortest: Option<Vec<(usize, String)>> = None;
    for start in 0..after.len() {
        // By breadth: how each was reached first.
        let mut from: Vec<Option<(usize, &String)>> = vec![None; after.len()];
        let mut open = VecDeque::from([start]);
        while let Some(index) = open.pop_front() {
            for (behind, why) in &after[index] {
                if from[*behind].is_none() {
                    from[*behind] = Some((index, why));
                    open.push_back(*behind);
                }
            }
        }
        let mut circle = Vec::new();
        let mut at = from[start];
        while let Some((index, why)) = at {
            circle.push((index, why.clone()));
            if index == start {
                break;
            }
            at = from[index];
        }
        circle.reverse();
        let shorter = shortest
            .as_ref()
            .is_none_or(|known| circle.len() < known.len());
        if !circle.is_empty() && shorter {
            shortest = Some(circle);
        }
    }
    shortest
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use tokio::time::Instant;

    use super::*;

    fn did(item: Option<u64>, from: u64, to: u64, seen: &[(&'static str, &[u64])]) -> Did {
        let zero = Instant::now();
        Did {
            began: zero + Duration::from_secs(1000 + from),
            ended: zero + Duration::from_secs(1000 + to),
            item,
            names: seen.iter().map(|(name, _)| *name).collect::<BTreeSet<_>>(),
            told: Told::Seen(
                seen.iter()
                    .map(|(name, items)| ((*name).to_owned(), items.to_vec()))
                    .collect(),
            ),
            age_max: None,
            own: None,
        }
    }

    fn old(age: u64, mut did: Did) -> Did {
        did.age_max = Some(Duration::from_secs(age));
        did
    }

    #[test]
    fn what_is_wrong_is_found() {
        let last = |a: &[u64], b: &[u64]| {
            Piles::from([("a".to_owned(), a.to_vec()), ("b".to_owned(), b.to_vec())])
        };
        let one = || did(Some(1), 0, 10, &[("a", &[1])]);
        let rows: Vec<(&str, Vec<Did>, Piles)> = vec![
            ("", vec![], last(&[], &[])),
            (
                "",
                vec![one(), did(None, 20, 30, &[("a", &[1])])],
                last(&[1], &[]),
            ),
            (
                "it was acknowledged, and is lost",
                vec![one()],
                last(&[], &[]),
            ),
            ("1 is in `a` twice", vec![one()], last(&[1, 1], &[])),
            (
                "it happened in part",
                vec![did(Some(1), 0, 10, &[("a", &[1]), ("b", &[1])])],
                last(&[1], &[]),
            ),
            (
                "no order fits",
                vec![one(), did(None, 20, 30, &[("a", &[])])],
                last(&[1], &[]),
            ),
            // Each transaction misses what the other one wrote: snapshots alone would allow it.
            (
                "no order fits",
                vec![
                    one(),
                    did(Some(2), 0, 10, &[("b", &[2])]),
                    did(None, 0, 10, &[("a", &[1]), ("b", &[])]),
                    did(None, 0, 10, &[("a", &[]), ("b", &[2])]),
                ],
                last(&[1], &[2]),
            ),
            (
                "",
                vec![one(), old(20, did(None, 20, 30, &[("a", &[])]))],
                last(&[1], &[]),
            ),
            (
                "0 items of `a` were seen more than",
                vec![one(), old(5, did(None, 20, 30, &[("a", &[])]))],
                last(&[1], &[]),
            ),
        ];
        for (wrong, dids, last) in rows {
            let said = check(&dids, &last).err().unwrap_or_default().1;
            assert!(
                said.starts_with(wrong) && wrong.is_empty() == said.is_empty(),
                "{wrong}: {said}"
            );
        }
    }
}

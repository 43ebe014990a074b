//! Histories of lists that only grow, and whether they are linearizable.
//!
//! Each item is appended once, under an id of its own, and each answer shows the whole list. Then a history of one key is linearizable if and only if all lists that were seen
//! are prefixes of one another, an operation that began after another had ended sees at least as much, each acknowledged item is there once, and a
//! refused one never.

use std::{collections::BTreeMap, time::Instant};

/// What one operation came to.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// It was answered with this list.
    Seen(Vec<u64>),
    /// It was refused: it did not happen.
    Refused,
    /// Nobody knows.
    Unknown,
}

/// One operation on one key.
#[derive(Clone, Debug)]
pub struct Operation {
    /// The item that it appended; none for a read.
    pub item: Option<u64>,
    /// When it began.
    pub began: Instant,
    /// When it had ended.
    pub ended: Instant,
    /// What it came to.
    pub outcome: Outcome,
}

/// All operations, by key.
#[derive(Debug, Default)]
pub struct History {
    operations: BTreeMap<String, Vec<Operation>>,
}

impl History {
    /// Adds an operation.
    pub fn add(&mut self, key: &str, operation: Operation) {
        self.operations
            .entry(key.to_owned())
            .or_default()
            .push(operation);
    }

    /// Adds all of another history.
    pub fn extend(&mut self, other: Self) {
        for (key, operations) in other.operations {
            self.operations.entry(key).or_default().extend(operations);
        }
    }

    /// How many operations were answered.
    #[must_use]
    pub fn answered(&self) -> usize {
        let all = self.operations.values().flatten();
        all.filter(|one| matches!(one.outcome, Outcome::Seen(_)))
            .count()
    }

    /// All operations of all keys.
    pub fn all(&self) -> impl Iterator<Item = &Operation> {
        self.operations.values().flatten()
    }

    /// Checks each key. `last` is what each list was at the end, read when nothing was under way any more.
    ///
    /// # Errors
    /// What is wrong, with the key.
    pub fn check(&self, last: &BTreeMap<String, Vec<u64>>) -> Result<(), String> {
        for (key, operations) in &self.operations {
            let empty = Vec::new();
            let last = last.get(key).unwrap_or(&empty);
            check_key(operations, last).map_err(|what| format!("`{key}`: {what}"))?;
        }
        Ok(())
    }
}

fn check_key(operations: &[Operation], last: &[u64]) -> Result<(), String> {
    let mut count: BTreeMap<u64, usize> = BTreeMap::new();
    for item in last {
        *count.entry(*item).or_default() += 1;
    }
    if let Some((item, times)) = count.iter().find(|(_, times)| **times > 1) {
        return Err(format!("{item} was appended {times} times: {last:?}"));
    }
    let mut seen: Vec<(&Operation, usize)> = Vec::new();
    for operation in operations {
        match (&operation.outcome, operation.item) {
            (Outcome::Seen(shown), item) => {
                if !last.starts_with(shown) {
                    return Err(format!("{shown:?} was seen, but the list became {last:?}"));
                }
                if let Some(item) = item
                    && shown.last() != Some(&item)
                {
                    // A repeated request gets its first answer, so its own item is the last one.
                    return Err(format!("the answer to {item} is {shown:?}"));
                }
                seen.push((operation, shown.len()));
            }
            (Outcome::Refused, Some(item)) if count.contains_key(&item) => {
                return Err(format!("{item} was refused, and is there"));
            }
            (Outcome::Refused | Outcome::Unknown, _) => {}
        }
    }
    // By their ends; the longest list that had been seen when an operation began is a lower bound of what it sees.
    let mut ends: Vec<(Instant, usize)> = seen
        .iter()
        .map(|(one, length)| (one.ended, *length))
        .collect();
    ends.sort_unstable();
    let mut longest = 0;
    for end in &mut ends {
        longest = longest.max(end.1);
        end.1 = longest;
    }
    for (operation, length) in &seen {
        let before = ends.partition_point(|(ended, _)| *ended < operation.began);
        let known = before.checked_sub(1).map_or(0, |index| ends[index].1);
        let own = usize::from(operation.item.is_some());
        if *length < known + own {
            return Err(format!(
                "{length} items were seen after {known} had been: {operation:?}"
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn operation(item: Option<u64>, from: u64, to: u64, outcome: Outcome) -> Operation {
        let zero = Instant::now();
        Operation {
            item,
            began: zero + Duration::from_secs(from),
            ended: zero + Duration::from_secs(to),
            outcome,
        }
    }

    fn seen(list: &[u64]) -> Outcome {
        Outcome::Seen(list.to_vec())
    }

    #[test]
    fn what_is_wrong_is_found() {
        let rows: &[(&str, &[Operation], &[u64])] = &[
            ("", &[], &[]),
            (
                "",
                &[
                    operation(Some(1), 0, 10, seen(&[1])),
                    operation(Some(2), 20, 30, seen(&[1, 2])),
                    operation(None, 0, 30, seen(&[])),
                    operation(Some(3), 20, 30, Outcome::Unknown),
                    operation(Some(4), 20, 30, Outcome::Refused),
                ],
                &[1, 2, 3],
            ),
            (
                "1 was appended 2 times",
                &[operation(Some(1), 0, 10, seen(&[1]))],
                &[1, 1],
            ),
            (
                "[1] was seen, but the list became []",
                &[operation(Some(1), 0, 10, seen(&[1]))],
                &[],
            ),
            (
                "0 items were seen after 1 had been",
                &[
                    operation(Some(1), 0, 10, seen(&[1])),
                    operation(None, 100, 200, seen(&[])),
                ],
                &[1],
            ),
            (
                "4 was refused, and is there",
                &[operation(Some(4), 0, 10, Outcome::Refused)],
                &[4],
            ),
            (
                "the answer to 2 is [1]",
                &[operation(Some(2), 0, 10, seen(&[1]))],
                &[1, 2],
            ),
        ];
        for (wrong, operations, last) in rows {
            let said = check_key(operations, last).err().unwrap_or_default();
            assert!(
                said.starts_with(wrong) && wrong.is_empty() == said.is_empty(),
                "{wrong}: {said}"
            );
        }
    }
}

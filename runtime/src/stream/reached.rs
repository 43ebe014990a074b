//! How far an input partition was taken in.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Seen;
use crate::record::Offset;

/// How many sources of an input partition are remembered, whose repeats are told; beyond it the one with the lowest number goes, since others have gone on since.
const SOURCES_MAX: usize = 10_000;

/// How far an input partition was taken in. It is kept in the partition of the state that the events changed, and changes with them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Reached {
    /// All events before this offset were taken in, as far as this partition has to do with them.
    pub(crate) next: Offset,
    /// When the last of them was written, in milliseconds since the Unix epoch, as it says itself.
    #[serde(default)]
    pub(crate) time_ms: u64,
    /// Of each source that numbers what it sends, the last number that was taken in.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) sources: BTreeMap<String, u64>,
}

impl Reached {
    /// Whether a record of this source and number was taken in before.
    pub(crate) fn has(&self, source: &str, sequence: u64) -> bool {
        self.sources
            .get(source)
            .is_some_and(|last| sequence <= *last)
    }

    /// All that was `seen` before `next` was taken in, or passed over.
    pub(crate) fn pass(&mut self, seen: &[Seen], next: Offset) {
        let new = |seen: &&Seen| (self.next..next).contains(&seen.offset);
        let new: Vec<_> = seen.iter().filter(new).collect();
        for Seen {
            time_ms, origin, ..
        } in new
        {
            self.time_ms = *time_ms;
            if let Some((source, sequence)) = origin {
                self.add(source, *sequence);
            }
        }
        self.next = self.next.max(next);
    }

    /// A record of this source and number was taken in.
    pub(crate) fn add(&mut self, source: &str, sequence: u64) {
        if let Some(last) = self.sources.get_mut(source) {
            *last = sequence.max(*last);
            return;
        }
        if self.sources.len() >= SOURCES_MAX
            && let Some(oldest) = self.sources.iter().min_by_key(|(_, last)| **last)
        {
            let oldest = oldest.0.clone();
            self.sources.remove(&oldest);
        }
        self.sources.insert(source.to_owned(), sequence);
    }
}

/// The event whose effect a transaction is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Taking {
    /// The input partition.
    pub(crate) input: String,
    pub(crate) offset: Offset,
    /// How far the input partition has been taken in with it.
    pub(crate) reached: Reached,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeats_are_told_by_source() {
        let mut reached = Reached::default();
        assert!(!reached.has("a/0", 0));
        reached.add("a/0", 5);
        reached.add("a/0", 3);
        assert!(reached.has("a/0", 5) && reached.has("a/0", 1));
        assert!(!reached.has("a/0", 6) && !reached.has("a/1", 1));
    }

    #[test]
    fn sources_are_bounded() {
        let mut reached = Reached::default();
        for number in 0..=SOURCES_MAX as u64 {
            reached.add(&number.to_string(), number + 1);
        }
        assert_eq!(reached.sources.len(), SOURCES_MAX);
        assert!(!reached.has("0", 1) && reached.has("1", 2));
    }
}

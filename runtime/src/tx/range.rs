//! Ranges of keys of one partition, which a transaction has read: what comes into one of them or goes from it concerns the transaction.

use std::ops::{Bound, ControlFlow, RangeBounds};

use serde::{Deserialize, Serialize};

use crate::{
    key::{KeyError, key_text, parse_key, partition_text},
    state::State,
};

/// A range as text, for the log and for other nodes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Range {
    from: Bound<String>,
    to: Bound<String>,
    /// Only keys of this partition key, if there may be others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    within: Option<String>,
}

impl Range {
    /// The range that a handler asks for, in a state of so many partitions. A range of several partitions is none.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub(crate) fn of<S: State>(
        keys: &impl RangeBounds<S::Key>,
        partitions: usize,
    ) -> Result<Self, String> {
        let definition = S::DEFINITION;
        let text = |bound: Bound<&S::Key>| bound.map(key_text::<S>);
        let (from, to) = (text(keys.start_bound()), text(keys.end_bound()));
        let within = match &from {
            _ if partitions == 1 => None,
            _ if definition.partition_by.is_empty() => {
                return Err(format!(
                    "each {} may be in another partition: a range of them is in none. `#[partition_by]` keeps together what is listed together",
                    definition.name
                ));
            }
            Bound::Included(from) | Bound::Excluded(from) => {
                Some(partition_text::<S>(from).into_owned())
            }
            Bound::Unbounded => {
                return Err(format!(
                    "a range of {} has a start, whose partition key says where it is",
                    definition.name
                ));
            }
        };
        Ok(Self { from, to, within })
    }

    /// The text whose hash says where it is, if there is more than one partition.
    pub(crate) fn within(&self) -> Option<&str> {
        self.within.as_deref()
    }

    /// The range as keys.
    ///
    /// # Errors
    /// If a bound is no key of `S`.
    pub(crate) fn typed<S: State>(&self) -> Result<KeyRange<S::Key>, KeyError> {
        let key = |bound: &Bound<String>| {
            Ok(match bound {
                Bound::Included(text) => Bound::Included(parse_key::<S>(text)?),
                Bound::Excluded(text) => Bound::Excluded(parse_key::<S>(text)?),
                Bound::Unbounded => Bound::Unbounded,
            })
        };
        let definition = S::DEFINITION;
        Ok(KeyRange {
            from: key(&self.from)?,
            to: key(&self.to)?,
            within: self.within.clone(),
            partition_text: |key| partition_text::<S>(&key_text::<S>(key)).into_owned(),
            in_a_row: definition.key_fields.starts_with(definition.partition_by),
        })
    }
}

/// A range of keys.
#[derive(Clone, Debug)]
pub(crate) struct KeyRange<K> {
    from: Bound<K>,
    to: Bound<K>,
    within: Option<String>,
    partition_text: fn(&K) -> String,
    /// Whether the keys of one partition key follow one another.
    in_a_row: bool,
}

impl<K: Ord> KeyRange<K> {
    /// Where it begins.
    pub(crate) fn start(&self) -> Bound<&K> {
        self.from.as_ref()
    }

    /// The bounds, between which there may be others too. None if nothing is between them.
    pub(crate) fn bounds(&self) -> Option<(Bound<&K>, Bound<&K>)> {
        let bounds = (self.from.as_ref(), self.to.as_ref());
        let empty = match bounds {
            (Bound::Included(from), Bound::Included(to)) => from > to,
            (
                Bound::Included(from) | Bound::Excluded(from),
                Bound::Included(to) | Bound::Excluded(to),
            ) => from >= to,
            _ => false,
        };
        (!empty).then_some(bounds)
    }

    fn is_within(&self, key: &K) -> bool {
        let within = self.within.as_ref();
        within.is_none_or(|within| *within == (self.partition_text)(key))
    }

    /// Whether this key is in it.
    pub(crate) fn contains(&self, key: &K) -> bool {
        (self.from.as_ref(), self.to.as_ref()).contains(&key) && self.is_within(key)
    }

    /// For a walk upwards from the start: whether this key is in it, or else whether none can be any more.
    pub(crate) fn place(&self, key: &K) -> ControlFlow<(), bool> {
        let is_before_end = match &self.to {
            Bound::Included(to) => key <= to,
            Bound::Excluded(to) => key < to,
            Bound::Unbounded => true,
        };
        let is_in = is_before_end && self.is_within(key);
        if is_in || (is_before_end && !self.in_a_row) {
            ControlFlow::Continue(is_in)
        } else {
            ControlFlow::Break(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prelude::*;

    /// An order of a customer.
    #[stateful_api(path = "/customers/{customer}/orders", partitions = 4)]
    #[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
    struct Order {
        #[key]
        #[partition_by]
        customer: String,
        #[key]
        number: u32,
    }

    /// An account.
    #[stateful_api(path = "/accounts", partitions = 4)]
    #[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
    struct Account {
        #[key]
        id: u32,
    }

    fn key(customer: &str, number: u32) -> (String, u32) {
        (customer.to_owned(), number)
    }

    #[test]
    fn a_range_ends_with_the_partition_key_of_its_start() {
        let range = Range::of::<Order>(&(key("b/", 2)..), 4).unwrap();
        let json = serde_json::to_string(&range).unwrap();
        let range: Range = serde_json::from_str(&json).unwrap();
        assert_eq!(range.within(), Some("b/"));
        let range = range.typed::<Order>().unwrap();
        for (customer, number, is_in, goes_on) in [
            ("b", 3, false, false),
            ("b/", 1, false, true),
            ("b/", 2, true, true),
            ("b/", 9, true, true),
            ("c", 2, false, false),
        ] {
            let key = key(customer, number);
            assert_eq!(range.contains(&key), is_in, "{key:?}");
            assert_eq!(range.place(&key).is_continue(), goes_on, "{key:?}");
        }
    }

    #[test]
    fn only_a_range_of_one_partition_is_one() {
        assert!(Range::of::<Order>(&.., 4).is_err());
        assert!(Range::of::<Account>(&(1..5), 4).is_err());
        let all = Range::of::<Account>(&.., 1).unwrap();
        let all = all.typed::<Account>().unwrap();
        assert!(all.contains(&7) && all.bounds().is_some());
        let (two, five) = (2, 5);
        for range in [five..two, five..five] {
            let range = Range::of::<Account>(&range, 1);
            let range = range.unwrap().typed::<Account>().unwrap();
            assert!(range.bounds().is_none());
        }
    }
}

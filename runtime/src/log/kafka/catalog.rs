//! What must be known of topics before their records are read: shapes, and layouts of values.
//!
//! Kafka keeps nothing beside a topic's records, and reading all of them would be too late. So memgen has a topic of its own, `_memgen`, of one compacted
//! partition, for all topics of a cluster. Each entry is a record of its own key, which is never changed: of two nodes that declare a topic differently at
//! once, the one whose entry comes first is right, and the other sees that when it reads back what it wrote.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{
    log::{KeptLayout, LogError, Topic},
    record::{Ballot, Kind, Offset, Record},
};

/// The topic's name, behind the prefix.
pub(super) const NAME: &str = "_memgen";

/// Neither can stand in a topic's name.
const SHAPE: &str = "/shape/";
const LAYOUT: &str = "/layout/";

/// What is kept of a topic's shape; how many partitions it has is for Kafka to say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Shape {
    pub(super) partitioner: String,
    pub(super) format: String,
}

impl Shape {
    pub(super) fn of(topic: &Topic) -> Self {
        Self {
            partitioner: topic.partitioner.clone(),
            format: topic.format.clone(),
        }
    }

    /// Compares a declaration with what was kept.
    pub(super) fn compare(self, declared: &Topic) -> Result<(), LogError> {
        let kept = Topic {
            partitioner: self.partitioner,
            format: self.format,
            ..declared.clone()
        };
        match kept.difference(declared) {
            None => Ok(()),
            Some(what) => Err(LogError::Shape {
                topic: declared.name.clone(),
                what,
            }),
        }
    }
}

/// The entries, as far as they were read.
#[derive(Debug, Default)]
pub(super) struct Entries {
    /// By key, with where each is.
    entries: BTreeMap<String, (Offset, Bytes)>,
    next: Offset,
}

impl Entries {
    /// Where to go on reading.
    pub(super) fn next(&self) -> Offset {
        self.next
    }

    /// Takes in what was read.
    pub(super) fn take(&mut self, records: Vec<(Offset, Record)>, next: Offset) {
        for (offset, record) in records {
            // What is no text is none of ours.
            let Ok(key) = String::from_utf8(record.key.to_vec()) else {
                continue;
            };
            match record.value {
                // The first one counts; one that is the same is no other.
                Some(value) => drop(self.entries.entry(key).or_insert((offset, value))),
                None => drop(self.entries.remove(&key)),
            }
        }
        self.next = next;
    }

    /// The shape that was kept first, and where: a topic that is made anew has it elsewhere.
    pub(super) fn shape(&self, topic: &str) -> Result<Option<(Shape, Offset)>, LogError> {
        let first = self.of(topic, SHAPE).min_by_key(|(_, offset, _)| *offset);
        first
            .map(|(key, offset, value)| {
                let shape = serde_json::from_slice(value);
                shape
                    .map(|shape| (shape, offset))
                    .map_err(|error| LogError::Shape {
                        topic: topic.to_owned(),
                        what: format!(
                            "what is kept of it at `{key}` in `{NAME}` can't be read: {error}"
                        ),
                    })
            })
            .transpose()
    }

    /// The layouts that were kept.
    pub(super) fn layouts(&self, topic: &str) -> Result<Vec<KeptLayout>, LogError> {
        let layouts = self.of(topic, LAYOUT).map(|(key, _, value)| {
            let (_, fingerprint) = key.rsplit_once('/').unwrap_or_default();
            let fingerprint = u64::from_str_radix(fingerprint, 16).ok();
            let text = String::from_utf8(value.to_vec()).ok();
            fingerprint
                .zip(text)
                .map(|(fingerprint, text)| KeptLayout { fingerprint, text })
                .ok_or_else(|| LogError::Shape {
                    topic: topic.to_owned(),
                    what: format!("what is kept of it at `{key}` in `{NAME}` can't be read"),
                })
        });
        layouts.collect()
    }

    /// The entries of a topic of one kind: key, place, value.
    fn of(&self, topic: &str, kind: &str) -> impl Iterator<Item = (&str, Offset, &Bytes)> {
        let start = format!("{topic}{kind}");
        self.entries
            .iter()
            .filter(move |(key, _)| key.starts_with(&start))
            .map(|(key, (offset, value))| (key.as_str(), *offset, value))
    }

    /// What takes all entries of a topic away that were there when the catalog reached this far.
    pub(super) fn forget(&self, topic: &str, end: Offset) -> Vec<Record> {
        let all = self.of(topic, SHAPE).chain(self.of(topic, LAYOUT));
        let keys = all.filter(|(_, offset, _)| *offset < end);
        keys.map(|(key, ..)| entry(key.to_owned(), None)).collect()
    }
}

/// The entry that keeps a shape.
pub(super) fn shape_entry(topic: &str, shape: &Shape) -> Record {
    let text = serde_json::to_string(shape).expect("text serializes");
    let hash = xxhash_rust::xxh3::xxh3_64(text.as_bytes());
    entry(format!("{topic}{SHAPE}{hash:016x}"), Some(text))
}

/// The entry that keeps a layout.
pub(super) fn layout_entry(topic: &str, layout: &KeptLayout) -> Record {
    entry(
        format!("{topic}{LAYOUT}{:016x}", layout.fingerprint),
        Some(layout.text.clone()),
    )
}

fn entry(key: String, value: Option<String>) -> Record {
    Record {
        place: None,
        ballot: Ballot::FOREIGN,
        kind: Kind::Data,
        timestamp_ms: crate::ambient::now_ms(),
        schema: 0,
        answered: None,
        key: key.into(),
        value: value.map(Bytes::from),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(partitioner: &str) -> Shape {
        Shape {
            partitioner: partitioner.to_owned(),
            format: "json".to_owned(),
        }
    }

    #[test]
    fn the_first_shape_counts_and_layouts_are_a_set() {
        let layout = KeptLayout {
            fingerprint: 7,
            text: "{}".to_owned(),
        };
        let mut entries = Entries::default();
        let records = vec![
            (3, shape_entry("vertex", &shape("murmur2 key"))),
            (4, shape_entry("vertex", &shape("murmur2 other"))),
            (6, layout_entry("vertex", &layout)),
            (7, layout_entry("vertex", &layout)),
            (8, shape_entry("vertex2", &shape("murmur2 third"))),
        ];
        entries.take(records, 9);
        assert_eq!(
            entries.shape("vertex").ok(),
            Some(Some((shape("murmur2 key"), 3)))
        );
        assert_eq!(entries.shape("edge").ok(), Some(None));
        assert_eq!(entries.layouts("vertex").ok(), Some(vec![layout]));
        assert_eq!(entries.next(), 9);

        assert_eq!(entries.forget("vertex", 4).len(), 1);
        let forget = entries.forget("vertex", 9);
        assert_eq!(forget.len(), 3);
        entries.take((9..).zip(forget).collect(), 12);
        assert_eq!(entries.shape("vertex").ok(), Some(None));
        assert_eq!(entries.layouts("vertex").ok(), Some(Vec::new()));
        assert!(entries.shape("vertex2").is_ok_and(|kept| kept.is_some()));
    }

    #[test]
    fn a_difference_is_named() {
        let declared = Topic {
            name: "vertex".to_owned(),
            partitions: 4,
            partitioner: "murmur2 key".to_owned(),
            format: "json".to_owned(),
        };
        assert!(Shape::of(&declared).compare(&declared).is_ok());
        let error = shape("murmur2 other").compare(&declared);
        let text = error.expect_err("they differ").to_string();
        assert!(
            text.contains("murmur2 key") && text.contains("murmur2 other"),
            "{text}"
        );
    }
}

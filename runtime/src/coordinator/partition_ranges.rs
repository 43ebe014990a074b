//! Partitions in few words: `{"graph": "0-3,7"}`, for a node that has thousands of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    sync::Arc,
};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::log::TopicPartition;

pub(super) fn serialize<S: Serializer>(
    partitions: &BTreeSet<TopicPartition>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let mut topics: BTreeMap<&str, Vec<(u32, u32)>> = BTreeMap::new();
    for partition in partitions {
        let ranges = topics.entry(&partition.topic).or_default();
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == partition.partition => *last += 1,
            _ => ranges.push((partition.partition, partition.partition)),
        }
    }
    let texts: BTreeMap<&str, String> = topics
        .into_iter()
        .map(|(topic, ranges)| (topic, text(&ranges)))
        .collect();
    texts.serialize(serializer)
}

fn text(ranges: &[(u32, u32)]) -> String {
    let mut text = String::new();
    for (first, last) in ranges {
        let comma = if text.is_empty() { "" } else { "," };
        let _ = if first == last {
            write!(text, "{comma}{first}")
        } else {
            write!(text, "{comma}{first}-{last}")
        };
    }
    text
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeSet<TopicPartition>, D::Error> {
    let texts = BTreeMap::<String, String>::deserialize(deserializer)?;
    let mut partitions = BTreeSet::new();
    for (topic, text) in texts {
        let topic: Arc<str> = topic.into();
        let numbers = crate::config::partitions(&text).map_err(D::Error::custom)?;
        partitions.extend(
            numbers
                .into_iter()
                .map(|number| TopicPartition::new(topic.clone(), number)),
        );
    }
    Ok(partitions)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Held(#[serde(with = "super")] BTreeSet<TopicPartition>);

    #[test]
    fn they_come_back_as_they_were() {
        for (graph, expected) in [
            (&[][..], "{}"),
            (&[0], r#"{"graph":"0"}"#),
            (&[0, 1, 2, 3, 7, 9, 10], r#"{"graph":"0-3,7,9-10"}"#),
        ] {
            let held = Held(
                graph
                    .iter()
                    .map(|number| TopicPartition::new("graph", *number))
                    .collect(),
            );
            let text = serde_json::to_string(&held).unwrap();
            assert_eq!(text, expected);
            assert_eq!(serde_json::from_str::<Held>(&text).unwrap(), held);
        }
        for wrong in [r#"{"graph":"x"}"#, r#"{"graph":"3-1"}"#, r#"{"graph":""}"#] {
            assert!(serde_json::from_str::<Held>(wrong).is_err(), "{wrong}");
        }
    }
}

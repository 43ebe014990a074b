//! When the writes of each state count.

use std::collections::BTreeMap;

use super::LogChoice;
use crate::log::Ack;

/// When writes count: for all states, and for those of single topics. What is set here goes before what a state declares.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AckConfig {
    /// At most one level of each kind of log.
    pub all: Vec<Ack>,
    /// The same for a topic, which goes before that for all.
    pub topics: BTreeMap<String, Vec<Ack>>,
}

impl AckConfig {
    /// The level of a topic whose state declares these.
    pub(crate) fn of(&self, topic: &str, declared: &[Ack], log: &LogChoice) -> Ack {
        let (strong, weak) = match log {
            LogChoice::Kafka(_) => (Ack::All, Ack::Leader),
            LogChoice::Embedded => (Ack::Fsync, Ack::Os),
        };
        let own = self.topics.get(topic).into_iter().flatten();
        own.chain(&self.all)
            .chain(declared)
            .copied()
            .find(|ack| [strong, weak].contains(ack))
            .unwrap_or(strong)
    }
}

/// `os`, `leader,os` or `vertex=leader,edge=all`.
pub(super) fn parse(text: &str) -> Result<AckConfig, String> {
    let expected = || {
        "expected `all` or `leader` for Kafka, `fsync` or `os` for the embedded log, for one topic as in `vertex=leader`; several with \
         commas in between, one for each log"
            .to_owned()
    };
    let mut config = AckConfig::default();
    for item in text.split(',').map(str::trim) {
        let (topic, word) = match item.split_once('=') {
            Some((topic, word)) if !topic.trim().is_empty() => (Some(topic.trim()), word.trim()),
            Some(_) => return Err(expected()),
            None => (None, item),
        };
        let ack = Ack::of(word).ok_or_else(expected)?;
        let chosen = match topic {
            Some(topic) => config.topics.entry(topic.to_owned()).or_default(),
            None => &mut config.all,
        };
        if chosen
            .iter()
            .any(|other| other.is_for_kafka() == ack.is_for_kafka())
        {
            return Err(expected());
        }
        chosen.push(ack);
    }
    Ok(config)
}

/// What [`parse`] makes the same of.
pub(super) fn show(config: &AckConfig) -> String {
    let all = config.all.iter().map(|ack| ack.word().to_owned());
    let topics = config.topics.iter().flat_map(|(topic, acks)| {
        acks.iter()
            .map(move |ack| format!("{topic}={}", ack.word()))
    });
    all.chain(topics).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_for_the_log_decides() {
        let kafka = LogChoice::Kafka("host:1".to_owned());
        let embedded = LogChoice::Embedded;
        for (set, declared, log, expected) in [
            ("", &[][..], &kafka, Ack::All),
            ("", &[], &embedded, Ack::Fsync),
            ("", &[Ack::Leader, Ack::Os], &kafka, Ack::Leader),
            ("", &[Ack::Leader, Ack::Os], &embedded, Ack::Os),
            ("", &[Ack::Leader], &embedded, Ack::Fsync),
            ("all", &[Ack::Leader, Ack::Os], &kafka, Ack::All),
            ("all", &[Ack::Leader, Ack::Os], &embedded, Ack::Os),
            ("all,vertex=leader", &[], &kafka, Ack::Leader),
            ("leader,edge=all", &[], &kafka, Ack::Leader),
            ("leader,vertex=all,vertex=os", &[], &embedded, Ack::Os),
            ("os,vertex=leader", &[], &embedded, Ack::Os),
        ] {
            let config = match set {
                "" => AckConfig::default(),
                set => parse(set).expect(set),
            };
            let found = config.of("vertex", declared, log);
            assert_eq!(found, expected, "{set:?} {declared:?} {log:?}");
            assert_eq!(show(&config), set);
        }
    }
}

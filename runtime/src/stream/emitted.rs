//! What handlers emit, and what the outbox keeps of it.

use std::fmt::Display;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    problem::Problem,
    record::{Offset, Record},
    tx::text::latin,
};

/// The longest name of a topic that Kafka accepts.
const TOPIC_BYTES_MAX: usize = 249;

/// The longest key and value together: what topics of Kafka take unless they are told otherwise, with room for what goes with them.
const BYTES_MAX: usize = 1_000_000;

/// The most that one handler may emit at once. So many times the events that are taken in together are less than a sequence number can count.
const COUNT_MAX: usize = 1000;

/// One record for a topic that others read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Emitted {
    pub(crate) topic: String,
    #[serde(with = "latin")]
    pub(crate) key: Bytes,
    #[serde(with = "latin")]
    pub(crate) value: Bytes,
    /// The text of the schema of Avro that the value was written with; its id goes before it in the topic.
    #[serde(default, with = "latin", skip_serializing_if = "Bytes::is_empty")]
    pub(crate) schema: Bytes,
    /// What is said of it beside: of a dead letter, where it was and what is wrong with it.
    #[serde(default, with = "latin", skip_serializing_if = "Bytes::is_empty")]
    pub(crate) note: Bytes,
}

impl Emitted {
    /// An event that can't be taken in, for this reason.
    pub(crate) fn dead_letter(
        topic: &str,
        input: &str,
        offset: Offset,
        record: &Record,
        why: &str,
    ) -> Self {
        let note = json!({"position": format!("{input}@{offset}"), "error": why});
        Self {
            topic: topic.to_owned(),
            key: record.key.clone(),
            value: record.value.clone().unwrap_or_default(),
            schema: Bytes::new(),
            note: note.to_string().into(),
        }
    }

    /// Whether it is an event that could not be taken in.
    pub(crate) fn is_dead_letter(&self) -> bool {
        !self.note.is_empty()
    }

    /// How many bytes the outbox takes for it, at most.
    pub(crate) fn bytes(&self) -> usize {
        let as_text = |byte: &u8| match byte {
            0..0x20 | 0x7f => 6,
            b'"' | b'\\' | 0x80.. => 2,
            _ => 1,
        };
        let parts = [&self.key, &self.value, &self.schema, &self.note];
        let bytes = parts.into_iter().flat_map(|part| part.iter());
        self.topic.len() + bytes.map(as_text).sum::<usize>() + 64
    }
}

/// What one record or batch emits, under one key of the outbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Outgoing {
    pub(crate) emitted: Vec<Emitted>,
}

/// What a handler has emitted so far.
#[derive(Debug, Default)]
pub(crate) struct Emits {
    emitted: Vec<Emitted>,
    /// What was wrong first.
    wrong: Option<String>,
}

impl Emits {
    /// Emits a value as JSON.
    pub(crate) fn json(&mut self, topic: &str, key: &impl Display, value: &impl Serialize) {
        match serde_json::to_vec(value) {
            Ok(value) => self.bytes(topic, key.to_string().into(), value.into()),
            Err(error) => self.is_wrong(format!("what is emitted to `{topic}`: {error}")),
        }
    }

    /// Emits bytes as they are.
    pub(crate) fn bytes(&mut self, topic: &str, key: Bytes, value: Bytes) {
        self.add(topic, key, value, Bytes::new());
    }

    /// Emits a value of Avro.
    #[cfg(feature = "avro")]
    pub(crate) fn avro<T: apache_avro::AvroSchema + Serialize + 'static>(
        &mut self,
        topic: &str,
        key: &impl Display,
        value: &T,
    ) {
        match crate::schemas::written(value) {
            Ok((schema, body)) => self.add(topic, key.to_string().into(), body, schema),
            Err(error) => self.is_wrong(format!("what is emitted to `{topic}`: {error}")),
        }
    }

    fn add(&mut self, topic: &str, key: Bytes, value: Bytes, schema: Bytes) {
        let bytes = key.len() + value.len();
        match check_topic(topic) {
            Ok(()) if bytes > BYTES_MAX => self.is_wrong(format!(
                "what is emitted to `{topic}` has {bytes} bytes, and {BYTES_MAX} are possible"
            )),
            Ok(()) => self.emitted.push(Emitted {
                topic: topic.to_owned(),
                key,
                value,
                schema,
                note: Bytes::new(),
            }),
            Err(what) => self.is_wrong(what),
        }
    }

    /// Emits this.
    pub(crate) fn push(&mut self, emitted: Emitted) {
        self.emitted.push(emitted);
    }

    /// Emits what somebody else has gathered.
    pub(crate) fn append(&mut self, other: Self) {
        self.emitted.extend(other.emitted);
        if let Some(what) = other.wrong {
            self.is_wrong(what);
        }
    }

    fn is_wrong(&mut self, what: String) {
        self.wrong.get_or_insert(what);
    }

    /// Whether there is nothing, neither right nor wrong.
    pub(crate) fn is_empty(&self) -> bool {
        self.emitted.is_empty() && self.wrong.is_none()
    }

    /// All of it, if nothing was wrong.
    pub(crate) fn finish(self) -> Result<Vec<Emitted>, Problem> {
        match self.wrong {
            None if self.emitted.len() > COUNT_MAX => Err(Problem::internal(format!(
                "{} records were emitted at once, and {COUNT_MAX} are possible",
                self.emitted.len()
            ))),
            None => Ok(self.emitted),
            Some(what) => Err(Problem::internal(what)),
        }
    }
}

/// Whether others can read what is written to a topic of this name.
pub(crate) fn check_topic(topic: &str) -> Result<(), String> {
    let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if topic.is_empty() || topic.len() > TOPIC_BYTES_MAX || !topic.bytes().all(is_legal) {
        return Err(format!(
            "`{topic}` is no name of a topic: it has letters, digits, `.`, `_` and `-`, at most {TOPIC_BYTES_MAX}"
        ));
    }
    if topic == "." || topic == ".." || topic.starts_with("_memgen") {
        return Err(format!("the topic `{topic}` is not one for events"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_topics() {
        for topic in ["receipts", "a.b-c_D9", &"x".repeat(249)] {
            assert_eq!(check_topic(topic), Ok(()), "{topic}");
        }
        for topic in [
            "",
            "a b",
            "ä",
            "a/b",
            ".",
            "..",
            "_memgen",
            &"x".repeat(250),
        ] {
            assert!(check_topic(topic).is_err(), "{topic}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_at_the_end() {
        let mut emits = Emits::default();
        emits.json("receipts", &7, &"paid");
        emits.json("no topic", &7, &"paid");
        assert!(emits.finish().is_err());
        let mut emits = Emits::default();
        (0..=COUNT_MAX).for_each(|number| emits.json("receipts", &number, &()));
        assert!(emits.finish().is_err());
        let mut emits = Emits::default();
        emits.bytes("receipts", Bytes::new(), vec![0; BYTES_MAX + 1].into());
        assert!(emits.finish().is_err());
        let mut emits = Emits::default();
        emits.json("receipts", &7, &"paid");
        let emitted = emits.finish().unwrap();
        assert_eq!(
            (&emitted[0].key[..], &emitted[0].value[..]),
            (&b"7"[..], &b"\"paid\""[..])
        );
    }

    #[test]
    fn any_bytes_survive_the_outbox() {
        let all: Vec<u8> = (0..=255).collect();
        let outgoing = Outgoing {
            emitted: vec![Emitted {
                topic: "raw".to_owned(),
                key: all.clone().into(),
                value: all.into(),
                schema: Bytes::new(),
                note: Bytes::new(),
            }],
        };
        let json = serde_json::to_vec(&outgoing).unwrap();
        assert!(json.len() <= outgoing.emitted[0].bytes(), "{}", json.len());
        let read: Outgoing = serde_json::from_slice(&json).unwrap();
        assert_eq!(read, outgoing);
    }
}

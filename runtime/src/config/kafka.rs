//! What is set of Kafka, and what is passed through to librdkafka.

use std::{collections::BTreeMap, fmt, time::Duration};

/// Which Kafka, and what memgen makes of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KafkaConfig {
    /// What the names of all topics begin with.
    pub topic_prefix: String,
    /// What is done about topics that are missing.
    pub topics: Topics,
    /// How many brokers hold each record, at least. Fewer than three are for development.
    pub replication_factor: u32,
    /// For how long nothing is compacted that was written: longer than any spell in which nobody owns a partition.
    pub compaction_lag: Duration,
    /// Settings of librdkafka, by their own names.
    pub settings: KafkaSettings,
}

impl Default for KafkaConfig {
    fn default() -> Self {
        Self {
            topic_prefix: String::new(),
            topics: Topics::default(),
            replication_factor: REPLICATION_FACTOR,
            compaction_lag: Duration::from_secs(3600),
            settings: KafkaSettings::default(),
        }
    }
}

/// With so many brokers, what was acknowledged survives the loss of one, and can go on to be written.
pub const REPLICATION_FACTOR: u32 = 3;

/// What is done about topics that are missing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Topics {
    /// They are made.
    #[default]
    Create,
    /// The service does not start.
    Check,
}

/// Settings of librdkafka by their own names, such as `security.protocol`. Secrets are never shown.
///
/// ```
/// use memgen::config::KafkaSettings;
/// let mut settings = KafkaSettings::default();
/// settings.set("sasl.username", "me").unwrap();
/// settings.set("sasl.password", "hunter2").unwrap();
/// assert!(settings.set("acks", "1").is_err());
/// assert_eq!(format!("{settings:?}"), r#"{"sasl.password": "…", "sasl.username": "me"}"#);
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct KafkaSettings(BTreeMap<String, String>);

/// What the protocol of the log rests upon, with who decides it.
const NOT_OPEN: &[(&[&str], &str)] = &[
    (
        &["bootstrap.servers", "metadata.broker.list"],
        "`--log kafka://HOST:PORT,…` names the brokers",
    ),
    (&["acks", "request.required.acks"], "`ack` decides it"),
    (
        &[
            "enable.idempotence",
            "enable.gapless.guarantee",
            "transactional.id",
        ],
        "what lands of a producer must be a prefix of what it sent",
    ),
    (
        &["max.in.flight", "max.in.flight.requests.per.connection"],
        "records must land in the order in which they were sent",
    ),
    (
        &["message.max.bytes", "message.copy.max.bytes"],
        "it follows from `--body-bytes-max`, and from `max.message.bytes` of each topic",
    ),
    (
        &["message.timeout.ms", "delivery.timeout.ms"],
        "it follows from `--session-timeout-ms`",
    ),
    (
        &["group.id", "group.instance.id", "group.protocol"],
        "partitions are assigned, never by a consumer group",
    ),
    (
        &[
            "auto.offset.reset",
            "check.crcs",
            "isolation.level",
            "enable.partition.eof",
        ],
        "what is read must be all that is there",
    ),
    (
        &[
            "enable.auto.commit",
            "enable.auto.offset.store",
            "auto.commit.enable",
        ],
        "positions are kept with the state",
    ),
    (
        &["delivery.report.only.error", "plugin.library.paths"],
        "memgen needs it as it is",
    ),
];

/// A setting with one of these in its name has a secret for its value.
const SECRET: &[&str] = &["password", "secret", ".pem", "token", "jaas", "assertion"];

impl KafkaSettings {
    /// Sets one of librdkafka's settings. Whether there is such a setting is known when the log is opened.
    ///
    /// # Errors
    /// If the protocol of the log decides it.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        if let Some((_, why)) = NOT_OPEN.iter().find(|(names, _)| names.contains(&name)) {
            return Err(format!("it is not open to choice: {why}"));
        }
        self.0.insert(name.to_owned(), value.to_owned());
        Ok(())
    }

    /// All of them, with their secrets.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// All of them, with `…` for secrets.
    pub fn shown(&self) -> impl Iterator<Item = (&str, &str)> {
        self.all()
            .map(|(name, value)| (name, if is_secret(name) { "…" } else { value }))
    }
}

impl fmt::Debug for KafkaSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.shown()).finish()
    }
}

/// Whether the value of a setting must not be shown.
pub(crate) fn is_secret(name: &str) -> bool {
    SECRET.iter().any(|word| name.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_known_by_their_names() {
        for (name, secret) in [
            ("sasl.password", true),
            ("ssl.key.password", true),
            ("ssl.key.pem", true),
            ("sasl.oauthbearer.client.secret", true),
            ("sasl.username", false),
            ("ssl.key.location", false),
        ] {
            assert_eq!(is_secret(name), secret, "{name}");
        }
    }

    #[test]
    fn what_the_protocol_decides_is_not_open() {
        for (name, word) in [
            ("acks", "`ack`"),
            ("enable.idempotence", "prefix"),
            ("group.id", "group"),
            ("message.timeout.ms", "--session-timeout-ms"),
        ] {
            let error = KafkaSettings::default().set(name, "1");
            assert!(error.is_err_and(|why| why.contains(word)), "{name}");
        }
    }
}

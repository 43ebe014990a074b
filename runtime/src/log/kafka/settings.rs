//! What is passed through to librdkafka, and what is not left to anyone.

use std::{collections::BTreeMap, fmt, time::Duration};

use rdkafka::{ClientConfig, config::RDKafkaLogLevel, error::KafkaError};

/// Settings of librdkafka by their own names, such as `security.protocol`. Values of secrets are never shown.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Settings(BTreeMap<String, String>);

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
        "it follows from `max.message.bytes` of the topics",
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

/// The least of all words in names of settings whose values are secrets.
const SECRET: &[&str] = &[
    "password",
    "secret",
    ".pem",
    "key.pem",
    "token",
    "jaas",
    "assertion",
];

impl Settings {
    /// Sets one of librdkafka's settings.
    ///
    /// # Errors
    /// If there is no such setting, the value is not legal, or the protocol of the log decides it. The message holds no secrets.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        if let Some((_, why)) = NOT_OPEN.iter().find(|(names, _)| names.contains(&name)) {
            return Err(format!("it is not open to choice: {why}"));
        }
        let native = ClientConfig::new()
            .set(name, value)
            .create_native_config()
            .map(drop);
        native.map_err(|error| match error {
            KafkaError::ClientConfig(_, what, ..) if !is_secret(name) => what,
            KafkaError::ClientConfig(..) => "librdkafka does not take this value".to_owned(),
            other => other.to_string(),
        })?;
        self.0.insert(name.to_owned(), value.to_owned());
        Ok(())
    }

    /// All of them, with secrets replaced by `…`.
    pub fn shown(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| {
            let shown = if is_secret(name) {
                "…"
            } else {
                value.as_str()
            };
            (name.as_str(), shown)
        })
    }

    fn has_any(&self, names: &[&str]) -> bool {
        names.iter().any(|name| self.0.contains_key(*name))
    }

    /// A configuration of these settings, of `defaults` for what they leave open (each with the names that it has), and of `fixed`.
    fn config(&self, defaults: &[(&[&str], &str)], fixed: &[(&str, &str)]) -> ClientConfig {
        let mut config: ClientConfig = self.0.clone().into_iter().collect();
        for (names, value) in defaults {
            if !self.has_any(names) {
                config.set(names[0], *value);
            }
        }
        for (name, value) in fixed {
            config.set(*name, *value);
        }
        // What is written is decided by the service's own filter.
        config.set_log_level(RDKafkaLogLevel::Debug);
        config
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.shown()).finish()
    }
}

/// Whether a setting's value must not be shown.
pub(super) fn is_secret(name: &str) -> bool {
    SECRET.iter().any(|word| name.contains(word))
}

/// What holds for every client: a broker that is gone or paused is noticed within seconds, not minutes.
const SOCKET_TIMEOUT_MIN: Duration = Duration::from_secs(1);
const SOCKET_TIMEOUT_MAX: Duration = Duration::from_secs(5);

const COMMON: &[(&[&str], &str)] = &[
    (&["client.id"], "memgen"),
    (&["socket.keepalive.enable"], "true"),
    (&["socket.nagle.disable"], "true"),
    (
        &["reconnect.backoff.ms", "reconnect.backoff.jitter.ms"],
        "50",
    ),
    (&["reconnect.backoff.max.ms"], "1000"),
    (
        &["topic.metadata.refresh.interval.ms", "metadata.max.age.ms"],
        "5000",
    ),
];

fn with_common<'a>(more: &[(&'a [&'a str], &'a str)]) -> Vec<(&'a [&'a str], &'a str)> {
    COMMON.iter().chain(more).copied().collect()
}

/// For asking about topics, and making them.
pub(super) fn admin(settings: &Settings, brokers: &str) -> ClientConfig {
    settings.config(COMMON, &[("bootstrap.servers", brokers)])
}

/// For the records of all partitions of a node.
pub(super) fn producer(
    settings: &Settings,
    brokers: &str,
    message_timeout: Duration,
    batch_bytes_max: usize,
) -> ClientConfig {
    // A broker that does not answer is given up before the record is, so that another can take it.
    let socket = (message_timeout / 2).clamp(SOCKET_TIMEOUT_MIN, SOCKET_TIMEOUT_MAX);
    let socket = socket.as_millis().to_string();
    // A batch of several records must fit as well.
    let batch = batch_bytes_max.min(1_000_000).to_string();
    let message = batch_bytes_max.max(1000).to_string();
    settings.config(
        &with_common(&[
            // A lone write is sent at once; what comes meanwhile is the next batch.
            (&["linger.ms", "queue.buffering.max.ms"], "0"),
            (&["queue.buffering.max.messages"], "10000000"),
            (&["queue.buffering.max.kbytes"], "2097151"),
            (&["batch.size"], &batch),
            (&["socket.timeout.ms"], &socket),
        ]),
        &[
            ("bootstrap.servers", brokers),
            ("acks", "all"),
            ("enable.idempotence", "true"),
            ("enable.gapless.guarantee", "true"),
            // Time-outs are counted by whoever sends: see `producer`.
            ("message.timeout.ms", "0"),
            ("message.max.bytes", &message),
        ],
    )
}

/// For reading any number of partitions.
pub(super) fn consumer(settings: &Settings, brokers: &str) -> ClientConfig {
    settings.config(
        &with_common(&[
            (&["socket.timeout.ms"], "5000"),
            // Who comes to the partitions of a broker waits for as long as the broker is silent to the others.
            (&["fetch.wait.max.ms"], "100"),
            (&["fetch.error.backoff.ms"], "100"),
            (&["fetch.queue.backoff.ms"], "5"),
            (
                &["fetch.message.max.bytes", "max.partition.fetch.bytes"],
                "4194304",
            ),
            // What is read ahead, per partition.
            (&["queued.max.messages.kbytes"], "16384"),
        ]),
        &[
            ("bootstrap.servers", brokers),
            // librdkafka wants a name; there is no group, for nothing subscribes or commits.
            ("group.id", "memgen"),
            ("enable.auto.commit", "false"),
            ("enable.auto.offset.store", "false"),
            ("auto.offset.reset", "error"),
            ("enable.partition.eof", "true"),
            ("check.crcs", "true"),
            // The order of the log decides what counts; nobody's open transaction may hold it up.
            ("isolation.level", "read_uncommitted"),
        ],
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_pass_through_but_for_those_of_the_protocol() {
        let mut settings = Settings::default();
        for (name, value, wrong) in [
            ("security.protocol", "sasl_plaintext", None),
            ("sasl.password", "hunter2", None),
            ("linger.ms", "2", None),
            ("acks", "1", Some("`ack` decides it")),
            ("enable.idempotence", "false", Some("prefix")),
            ("no.such.thing", "1", Some("No such configuration property")),
            ("linger.ms", "soon", Some("Invalid value")),
        ] {
            let outcome = settings.set(name, value);
            match wrong {
                None => assert_eq!(outcome, Ok(()), "{name}"),
                Some(word) => assert!(outcome.is_err_and(|why| why.contains(word)), "{name}"),
            }
        }
        let shown = format!("{settings:?}");
        assert!(
            shown.contains("sasl_plaintext") && !shown.contains("hunter2"),
            "{shown}"
        );

        let config = producer(&settings, "host:1", Duration::from_secs(5), 500);
        for (name, value) in [
            ("linger.ms", Some("2")),
            ("queue.buffering.max.ms", None),
            ("acks", Some("all")),
            ("socket.timeout.ms", Some("2500")),
            ("batch.size", Some("500")),
            ("sasl.password", Some("hunter2")),
        ] {
            assert_eq!(config.get(name), value, "{name}");
        }
        for config in [
            config,
            consumer(&settings, "host:1"),
            admin(&settings, "host:1"),
        ] {
            config
                .create_native_config()
                .expect("every name and value is legal");
        }
    }

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
}

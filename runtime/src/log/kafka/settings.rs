//! The configurations of the clients.

use std::time::Duration;

use rdkafka::{ClientConfig, config::RDKafkaLogLevel};

use super::error::client_error;
use crate::{config::KafkaSettings, log::LogError};

/// Whether librdkafka knows a setting, and takes its value.
pub(super) fn check(settings: &KafkaSettings) -> Result<(), LogError> {
    for (name, value) in settings.all() {
        ClientConfig::new()
            .set(name, value)
            .create_native_config()
            .map_err(client_error("have a client"))?;
    }
    Ok(())
}

/// A configuration of `settings`, of `defaults` for what they leave open (each with all names that it has), and of `fixed`.
fn config(
    settings: &KafkaSettings,
    defaults: &[(&[&str], &str)],
    fixed: &[(&str, &str)],
) -> ClientConfig {
    let mut config = ClientConfig::new();
    for (name, value) in settings.all() {
        config.set(name, value);
    }
    for (names, value) in defaults {
        if names.iter().all(|name| config.get(name).is_none()) {
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
pub(super) fn admin(settings: &KafkaSettings, brokers: &str) -> ClientConfig {
    config(settings, COMMON, &[("bootstrap.servers", brokers)])
}

/// For the records of all partitions of a node.
pub(super) fn producer(
    settings: &KafkaSettings,
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
    config(
        settings,
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
pub(super) fn consumer(settings: &KafkaSettings, brokers: &str) -> ClientConfig {
    config(
        settings,
        &with_common(&[
            (&["socket.timeout.ms"], "5000"),
            // Who comes to the partitions of a broker waits for as long as the broker is silent to the others.
            (&["fetch.wait.max.ms"], "20"),
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
    fn settings_pass_through_and_replace_defaults_by_any_of_their_names() {
        let mut settings = KafkaSettings::default();
        for (name, value) in [
            ("security.protocol", "sasl_plaintext"),
            ("sasl.password", "hunter2"),
            ("linger.ms", "2"),
        ] {
            settings.set(name, value).expect("it is open to choice");
        }
        check(&settings).expect("every name and value is legal");
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
        let clients = [
            config,
            consumer(&settings, "host:1"),
            admin(&settings, "host:1"),
        ];
        for config in clients {
            config
                .create_native_config()
                .expect("every name and value is legal");
        }
    }

    #[test]
    fn what_is_wrong_is_named_without_secrets() {
        for (name, value, word) in [
            ("no.such.thing", "hunter2", "No such configuration property"),
            ("linger.ms", "soon", "Invalid value"),
            ("security.protocol", "tight", "Invalid value \"tight\""),
            ("sasl.oauthbearer.assertion.algorithm", "hunter2", ""),
        ] {
            let mut settings = KafkaSettings::default();
            settings.set(name, value).expect("it is open to choice");
            let error = check(&settings).expect_err(name).to_string();
            assert!(error.contains(&format!("`kafka.{name}`")), "{error}");
            assert!(error.contains(word), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}

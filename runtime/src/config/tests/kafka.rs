//! Settings of librdkafka.

use super::*;

#[test]
fn settings_of_librdkafka_pass_through_from_each_source() {
    let folder = Folder::with(
        "kafka",
        "log = \"kafka://h:1\"\nkafka.linger.ms = 2\nkafka.client.id = \"file\"\n\n\
         [kafka]\nenable.ssl.certificate.verification = false\n",
    );
    let error = load_in(&folder.0, &[], &[]);
    assert!(error.is_err(), "TOML has each table once: {error:?}");
    let folder = Folder::with(
        "kafka",
        "log = \"kafka://h:1\"\n[kafka]\nlinger.ms = 2\nclient.id = \"file\"\nsasl.username = \"file\"\n\
         \"enable.ssl.certificate.verification\" = false\n",
    );
    let variables = [
        ("MEMGEN_KAFKA_SASL_PASSWORD", "hunter2"),
        ("MEMGEN_KAFKA_SASL_USERNAME", "variable"),
        ("MEMGEN_KAFKA_CLIENT_ID", "variable"),
    ];
    let flags = ["--kafka.client.id", "flag", "--kafka.ssl.ca.location=/x"];
    let config = load_in(&folder.0, &flags, &variables).unwrap();
    assert_eq!(config.log, LogChoice::Kafka("h:1".to_owned()));
    let all: Vec<_> = config.kafka.settings.all().collect();
    assert_eq!(
        all,
        [
            ("client.id", "flag"),
            ("enable.ssl.certificate.verification", "false"),
            ("linger.ms", "2"),
            ("sasl.password", "hunter2"),
            ("sasl.username", "variable"),
            ("ssl.ca.location", "/x"),
        ]
    );
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn what_is_wrong_with_settings_of_librdkafka_is_said_without_secrets() {
    let folder = Folder::with("kafka-wrong", "kafka = 7\n");
    let text = wrong(load_in(&folder.0, &[], &[]));
    assert!(
        text.contains("memgen.toml:1: kafka: expected a string"),
        "{text}"
    );
    let folder = Folder::with(
        "kafka-wrong",
        "[kafka]\nacks = 1\ngroup.id = \"x\"\nx = [[1]]\n",
    );
    let text = wrong(load_in(
        &folder.0,
        &["--kafka.transactional.id", "t", "--kafka.x"],
        &[],
    ));
    for expected in [
        "memgen.toml:4: x: expected a string",
        "--kafka.x: its value is missing: expected VALUE",
    ] {
        assert!(text.contains(expected), "{text}");
    }
    for expected in [
        "memgen.toml:2: kafka.acks = 1: it is not open to choice: `ack` decides it",
        "memgen.toml:3: kafka.group.id = x: it is not open to choice",
        "--kafka.transactional.id t: it is not open to choice",
    ] {
        assert!(text.contains(expected), "{text}");
    }
}

//! What holds for every setting.

use std::collections::BTreeSet;

use super::*;

#[test]
fn each_setting_reads_what_it_shows() {
    let default = Config::default();
    for setting in SETTINGS {
        let text = (setting.show)(&default);
        if text.is_empty() {
            assert!(
                [
                    "ack",
                    "serve",
                    "node",
                    "zone",
                    "peer-secret",
                    "peer-tls-cert",
                    "peer-tls-key",
                    "peer-tls-ca",
                    "advertise",
                    "log-level",
                    "credentials",
                    "topic-prefix",
                    "replay",
                    "schema-registry",
                    "memory-max"
                ]
                .contains(&setting.name),
                "{}: no default",
                setting.name
            );
            continue;
        }
        let mut config = default.clone();
        (setting.set)(&mut config, &text)
            .unwrap_or_else(|error| panic!("{}: {error}", setting.name));
        assert_eq!(config, default, "{}", setting.name);
    }
}

#[test]
fn each_setting_changes_what_it_shows() {
    let others = [
        ("http", "10.0.0.1:1"),
        ("log", "kafka://one:9092,[::1]:9093"),
        ("topics", "check"),
        ("topic-prefix", "staging-"),
        ("admin", "10.0.0.1:2"),
        ("peer", "10.0.0.1:3"),
        ("data", "/x"),
        ("nodes", "3"),
        ("ack", "os"),
        ("segment-bytes", "1MiB"),
        ("cluster", "c"),
        ("node", "n"),
        ("zone", "z"),
        ("peer-secret", "sesame, open yourself"),
        ("peer-tls-cert", "tls/node.pem"),
        ("peer-tls-key", "/etc/tls/node.key"),
        ("peer-tls-ca", "ca.pem"),
        ("advertise", "host-7.example"),
        ("coordinator", "zookeeper://user:word@host:2181/root"),
        ("serve", "0,1"),
        ("credentials", "key=secret"),
        ("session-timeout-ms", "77"),
        ("log-format", "json"),
        ("log-level", "warn"),
        ("key-bytes-max", "77"),
        ("memory-max", "77MiB"),
        ("json-depth-max", "77"),
        ("header-count-max", "77"),
        ("header-bytes-max", "77KiB"),
    ];
    for setting in SETTINGS {
        let text = match others.iter().find(|(name, _)| *name == setting.name) {
            Some((_, text)) => text,
            None if setting.value == "BYTES" => "77KiB",
            None => "77",
        };
        let mut config = Config::default();
        (setting.set)(&mut config, text)
            .unwrap_or_else(|error| panic!("{}: {error}", setting.name));
        assert_eq!((setting.show)(&config), text, "{}", setting.name);
        // And nothing else changed: set back, it is the default again.
        let before = (setting.show)(&Config::default());
        if !before.is_empty() {
            (setting.set)(&mut config, &before).unwrap();
            assert_eq!(config, Config::default(), "{}", setting.name);
        }
    }
}

#[test]
fn names_are_unique_and_shaped_alike() {
    let names: BTreeSet<&str> = SETTINGS.iter().map(|setting| setting.name).collect();
    assert_eq!(names.len(), SETTINGS.len());
    for setting in SETTINGS {
        assert!(
            setting
                .name
                .chars()
                .all(|c| c.is_ascii_lowercase() || c == '-'),
            "{}",
            setting.name
        );
        assert!(
            !setting.help.contains("  ") && !setting.help.ends_with('.'),
            "{}",
            setting.name
        );
    }
    assert_eq!(
        find("session-timeout-ms").unwrap().variable(),
        "MEMGEN_SESSION_TIMEOUT_MS"
    );
}

#[test]
fn values_at_the_edges() {
    for (name, legal, wrong) in [
        ("nodes", &["1", "16"][..], &["0", "17", "-1", "x", ""][..]),
        ("json-depth-max", &["1", "127"], &["0", "128"]),
        ("key-bytes-max", &["1", "1024"], &["0", "1025"]),
        ("body-bytes-max", &["1", "1GiB"], &["0", "2GiB", "1MB"]),
        ("header-bytes-max", &["8KiB", "1MiB"], &["8191"]),
        (
            "session-timeout-ms",
            &["1", "2592000000"],
            &["0", "2592000001", "10s"],
        ),
        ("replicas", &["0", "100"], &["101", "x", "-1"]),
        ("zone", &["rack-7"], &["", "a b", ".x"]),
        (
            "peer-secret",
            &["0123456789abcdef"],
            &["", "0123456789abcde", "0123456789abcdé\n"],
        ),
        (
            "advertise",
            &["node-7", "a.example", "10.0.0.7", "::1"],
            &["", "a b", "a:1", "http://a", "0.0.0.0", "::"],
        ),
        (
            "log",
            &["embedded", "kafka://host:9092", "kafka://a:1,b:2"],
            &[
                "kafka://",
                "kafka://host",
                "kafka://host:0",
                "kafka://me:secret@host:1",
                "kafka://a:1,,b:1",
                "embeded",
                "",
            ],
        ),
        ("topics", &["create", "check"], &["make"]),
        ("topic-prefix", &["a.b-"], &["a/b", ""]),
        ("replication-factor", &["1", "3"], &["0", "x"]),
        (
            "coordinator",
            &["local", "zookeeper://host:2181/root"],
            &["zookeeper://", "http://host", "zk"],
        ),
        (
            "ack",
            &["fsync", "os", "leader,os", "vertex=leader,a.b=all"],
            &[
                "",
                "none",
                "FSYNC",
                "os,fsync",
                "vertex=",
                "=os",
                "a=os,a=fsync",
            ],
        ),
        ("log-format", &["text", "json"], &["xml"]),
        ("segment-bytes", &["64KiB", "4GiB"], &["1", "5GiB"]),
        ("data", &["x", "/a b"], &[""]),
        ("peer-tls-key", &["x", "/a b"], &[""]),
    ] {
        let setting = find(name).unwrap();
        for text in legal {
            assert_eq!(
                (setting.set)(&mut Config::default(), text),
                Ok(()),
                "{name} {text:?}"
            );
        }
        for text in wrong {
            let error = (setting.set)(&mut Config::default(), text).expect_err(text);
            assert!(error.contains("expected"), "{name} {text:?}: {error}");
        }
    }
}

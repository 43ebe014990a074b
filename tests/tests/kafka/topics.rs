//! What Kafka must promise of a topic: made so, checked, refused with what to do.

use std::process::Command;

use futures_util::future::join_all;
use memgen::log::{
    KeptLayout, Log, LogError,
    conformance::topic,
    kafka::{Kafka, Options, topics::Admin},
};

use memgen_tests::{Service, binaries::binary};
use serde_json::json;

use crate::common::{ONE, THREE, prefix};

#[tokio::test(flavor = "multi_thread")]
async fn topics_are_made_as_they_must_be() {
    let _steady = THREE.steady().await;
    let prefix = prefix();
    let log = THREE.open(&prefix).await;
    log.declare(&topic("vertex", 4)).await.expect("a new topic");
    let admin = Admin::connect(&THREE.options(&prefix))
        .await
        .expect("the brokers answer");
    for (name, partitions) in [("vertex", 4), ("_memgen", 1)] {
        let name = format!("{prefix}{name}");
        let found = admin.describe(&name).await.expect("the brokers answer");
        let found = found.expect("it was made");
        assert_eq!((found.partitions, found.replicas), (partitions, 3));
        assert_eq!(admin.findings(&found, partitions), []);
        for (setting, value) in [
            ("cleanup.policy", "compact"),
            ("min.compaction.lag.ms", "3600000"),
            ("delete.retention.ms", "604800000"),
            ("min.insync.replicas", "2"),
            ("unclean.leader.election.enable", "false"),
            ("message.timestamp.type", "LogAppendTime"),
        ] {
            assert_eq!(
                found.settings.get(setting).map(String::as_str),
                Some(value),
                "{setting}"
            );
        }
    }
    assert_eq!(
        admin
            .describe("no-such-topic")
            .await
            .expect("the brokers answer"),
        None
    );
}

/// Nodes that start at the same time find topics that one of them has made just now, and what the others say of them is left alone.
#[tokio::test(flavor = "multi_thread")]
async fn nodes_may_start_at_once() {
    let _steady = THREE.steady().await;
    let layout = KeptLayout {
        fingerprint: 7,
        text: "{}".to_owned(),
    };
    for _ in 0..4 {
        let prefix = prefix();
        let nodes = (0..8).map(async |_| {
            let log = THREE.open(&prefix).await;
            for name in ["vertex", "edge", "face", "loop", "path", "tree"] {
                log.declare(&topic(name, 2)).await?;
                log.keep_layout(name, &layout).await?;
            }
            let layouts = log.layouts("vertex").await?;
            Ok::<_, LogError>(layouts.len())
        });
        for layouts in join_all(nodes).await {
            assert_eq!(layouts.expect("all of them start"), 1);
        }
    }
}

/// Each promise that is not kept is named, with the command that keeps it.
#[tokio::test(flavor = "multi_thread")]
async fn topics_that_could_lose_something_are_refused() {
    let _steady = THREE.steady().await;
    let prefix = prefix();
    let name = format!("{prefix}vertex");
    // As `kafka-topics.sh --create` makes one.
    THREE.make(&name, 2, &[("min.insync.replicas", "1")]).await;
    let log = THREE.open(&prefix).await;
    let error = log
        .declare(&topic("vertex", 1))
        .await
        .expect_err("it is not safe");
    assert!(matches!(error, LogError::Unsafe { .. }), "{error}");
    let text = error.to_string();
    let command = format!("--alter --entity-type topics --entity-name {name} --add-config ");
    for (setting, value) in [
        ("cleanup.policy", "compact"),
        ("min.compaction.lag.ms", "3600000"),
        ("delete.retention.ms", "604800000"),
        ("min.insync.replicas", "2"),
        ("message.timestamp.type", "LogAppendTime"),
    ] {
        assert!(
            text.contains(&format!("  {setting} is `")),
            "{setting}: {text}"
        );
        assert!(
            text.contains(&format!("{command}{setting}={value}")),
            "{setting}: {text}"
        );
    }
    assert!(
        text.contains("the number of replicas is 2, and must be at least 3"),
        "{text}"
    );
    assert!(!text.contains("unclean"), "that one is kept: {text}");

    for (setting, value) in [
        ("cleanup.policy", "compact"),
        ("min.compaction.lag.ms", "3600000"),
        ("delete.retention.ms", "604800000"),
        ("min.insync.replicas", "2"),
        ("message.timestamp.type", "LogAppendTime"),
    ] {
        THREE.alter(&name, setting, value).await;
    }
    let error = log
        .declare(&topic("vertex", 1))
        .await
        .expect_err("two replicas are too few");
    assert_eq!(error.to_string().matches("must be").count(), 1, "{error}");
    let log = Kafka::open(Options {
        replication_factor: 2,
        ..THREE.options(&prefix)
    });
    let log = log.await.expect("the brokers answer");
    log.declare(&topic("vertex", 1))
        .await
        .expect("for development");
    let error = log
        .declare(&topic("vertex", 3))
        .await
        .expect_err("it has one");
    assert!(matches!(error, LogError::Shape { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_not_be_had_is_said() {
    let _steady = ONE.steady().await;
    let prefix = prefix();
    let with = |change: fn(&mut Options)| {
        let mut options = ONE.options(&prefix);
        change(&mut options);
        Kafka::open(options)
    };
    let log = with(|options| options.create_topics = false)
        .await
        .expect("the broker answers");
    let error = log
        .declare(&topic("vertex", 1))
        .await
        .expect_err("it may not be made");
    assert!(
        error.to_string().contains("memgen topics create"),
        "{error}"
    );

    let log = with(|options| options.replication_factor = 3)
        .await
        .expect("the broker answers");
    let error = log
        .declare(&topic("vertex", 1))
        .await
        .expect_err("one broker is not three");
    assert!(
        error.to_string().contains("--replication-factor 1"),
        "{error}"
    );

    let error = with(|options| {
        options.brokers = "127.0.0.1:1".to_owned();
        options.connect_timeout = std::time::Duration::from_secs(1);
    });
    let error = error.await.expect_err("nobody is there");
    assert!(error.to_string().contains("127.0.0.1:1"), "{error}");

    let error = with(|options| {
        options
            .settings
            .set("no.such.setting", "1")
            .expect("it is open");
    });
    let error = error.await.expect_err("librdkafka does not know it");
    assert!(
        error.to_string().contains("kafka.no.such.setting"),
        "{error}"
    );
}

/// `memgen topics`: made before the service runs, checked and shown by their names in Kafka.
#[tokio::test(flavor = "multi_thread")]
async fn a_command_makes_and_checks_topics() {
    let _steady = THREE.steady().await;
    let prefix = prefix();
    let topics = |action: &str| {
        let output = Command::new(binary("memgen"))
            .args(["topics", action, "--program"])
            .arg(binary("register"))
            .args(["--", "--log", &format!("kafka://{}", THREE.addresses)])
            .args(["--topic-prefix", &prefix, "--topics", "check"])
            .output()
            .expect("the command is built");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("it prints text");
        (
            output.status.code(),
            text(output.stdout),
            text(output.stderr),
        )
    };
    let (code, _, said) = topics("check");
    assert_eq!(code, Some(4), "{said}");
    for name in ["register", "_memgen"] {
        let missing = format!("there is no topic `{prefix}{name}`: `memgen topics create`");
        assert!(said.contains(&missing), "{said}");
    }
    let (code, _, said) = topics("create");
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains(&format!("Made {prefix}register, 8 partitions")),
        "{said}"
    );
    let (code, _, said) = topics("create");
    assert_eq!(code, Some(0), "{said}");
    assert!(!said.contains("Made"), "{said}");
    assert!(said.contains("Checked 2 topics"), "{said}");
    // The service finds all that it needs.
    let running = Service::new("register")
        .args(&["--log", &format!("kafka://{}", THREE.addresses)])
        .args(&["--topic-prefix", &prefix, "--topics", "check"])
        .start()
        .await;
    let put = running.client().put("/r/1", &json!({"value": 1})).await;
    assert_eq!(put.status, 201, "{put:?}");

    let name = format!("{prefix}register");
    THREE.alter(&name, "delete.retention.ms", "1000").await;
    let (code, _, said) = topics("check");
    assert_eq!(code, Some(4), "{said}");
    assert!(
        said.contains(&format!("`{name}`: delete.retention.ms is `1000`")),
        "{said}"
    );
    assert!(said.contains("mend: kafka-configs.sh"), "{said}");
    let (code, table, said) = topics("describe");
    assert_eq!(code, Some(0), "{said}");
    for (setting, value) in [
        ("partitions", "8"),
        ("replicas", "3"),
        ("delete.retention.ms", "1000"),
    ] {
        let mut lines = table
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>());
        assert!(lines.any(|line| line == [&name, setting, value]), "{table}");
    }
}

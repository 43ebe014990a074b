//! Brokers die, stop, and refuse: what was acknowledged is there, and what landed is a prefix of what was sent.

use std::time::Duration;

use memgen::{
    log::{
        AppendError, Log, LogError, TopicPartition,
        conformance::{self, data, read_all},
        kafka::{Kafka, Options},
    },
    record::Ballot,
};
use tokio::{
    sync::Notify,
    time::{sleep, timeout},
};

use crate::common::{THREE, declare, prefix, soon};

/// No matter how busy the machine is.
const SOON: Duration = Duration::from_secs(60);

/// `kill -9` of the leader, with writes in flight; and the same with the leader paused, so that its connections stay open. Who waits long enough gets an
/// answer; who does not, finds out.
#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_dies_or_stops_loses_nothing() {
    let mut brokers = THREE.shaken().await;
    for (pause, append_timeout) in [
        (false, Duration::from_secs(30)),
        (false, Duration::from_millis(300)),
        (true, Duration::from_secs(2)),
    ] {
        let prefix = prefix();
        let log = Kafka::open(Options {
            append_timeout,
            ..THREE.options(&prefix)
        });
        let log = log.await.expect("the brokers answer");
        declare(&log, "prefix").await;
        let leader = THREE.leader(&format!("{prefix}prefix")).await;
        let shake = async {
            sleep(Duration::from_millis(500)).await;
            let broker = brokers.server(leader);
            if pause {
                broker.pause().expect("it runs");
                sleep(Duration::from_secs(5)).await;
                broker.resume().expect("it is there");
            } else {
                broker.kill().expect("it runs");
            }
        };
        tokio::join!(shake, conformance::prefix(&log, 300));
        brokers.start().expect("they come back");
    }
}

/// A leader that stops for a while, and goes on, leads in its own view until it hears of its successor. What it says meanwhile of where a partition ends is not so any more.
#[tokio::test(flavor = "multi_thread")]
async fn an_earlier_leader_is_not_believed() {
    let mut brokers = THREE.shaken().await;
    let prefix = prefix();
    let topic = format!("{prefix}vertex");
    let log = THREE.open(&prefix).await;
    let partition = declare(&log, "vertex").await;
    append(&log, &partition, "before").await.expect("it leads");
    let another = THREE.open(&prefix).await;
    declare(&another, "vertex").await;
    // Who reads knows this leader, and hears of no other.
    assert_eq!(read_all(&log, &partition).await.len(), 1);
    let leader = THREE.leader(&topic).await;
    brokers.server(leader).pause().expect("it runs");
    another_leads(&topic, leader).await;
    for _ in 0..10 {
        append(&another, &partition, "after")
            .await
            .expect("it leads");
    }
    let go_on = async {
        // It finds the question when it goes on.
        sleep(Duration::from_millis(500)).await;
        brokers.server(leader).resume().expect("it is there");
    };
    let (read, ()) = tokio::join!(log.read(&partition, 11, 1), go_on);
    let chunk = read.expect("all of it is there");
    assert!(chunk.records.is_empty() && chunk.next == 11, "{chunk:?}");
}

/// Whoever asked while a partition had no leader finds it at once when it has one again.
#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_comes_back_is_found() {
    let mut brokers = THREE.shaken().await;
    let prefix = prefix();
    let log = THREE.open(&prefix).await;
    let (topic, partition) = (format!("{prefix}events"), TopicPartition::new("events", 0));
    THREE.make(&topic, 1, &[]).await;
    log.open_stream("events", 1).await.expect("it is there");
    emit(&log, &partition, 3).await;
    assert_eq!(log.end(&partition).await.expect("it has a leader"), 3);
    let is_led = async |led| {
        let becomes = async {
            while THREE.is_led(&topic).await != led {
                sleep(Duration::from_millis(100)).await;
            }
        };
        timeout(SOON, becomes).await.expect("the brokers know");
    };
    let leader = THREE.leader(&topic).await;
    brokers.server(leader).kill().expect("it runs");
    is_led(false).await;
    for _ in 0..2 {
        let end = log.end(&partition).await;
        assert!(end.is_err(), "nobody could know: {end:?}");
    }
    brokers.start().expect("it comes back");
    is_led(true).await;
    assert_eq!(log.end(&partition).await.expect("it has a leader"), 3);
}

/// A partition whose replicas are not in sync is not written, and is read; the others of the same node go on.
#[tokio::test(flavor = "multi_thread")]
async fn too_few_replicas_in_sync_delay_their_partition_only() {
    let mut brokers = THREE.shaken().await;
    let prefix = prefix();
    let log = Kafka::open(Options {
        append_timeout: Duration::from_secs(10),
        ..THREE.options(&prefix)
    });
    let log = log.await.expect("the brokers answer");
    let strict = declare(&log, "strict").await;
    let beside = declare(&log, "beside").await;
    append(&log, &strict, "before")
        .await
        .expect("all are in sync");
    THREE
        .alter(&format!("{prefix}strict"), "min.insync.replicas", "3")
        .await;
    let topics = [format!("{prefix}strict"), format!("{prefix}beside")];
    let leaders = [
        THREE.leader(&topics[0]).await,
        THREE.leader(&topics[1]).await,
    ];
    let lost = (0..3)
        .find(|broker| !leaders.contains(broker))
        .expect("two topics have two leaders at most");
    brokers.server(lost).kill().expect("it runs");
    // Until the brokers miss it, all partitions wait for its copy alike.
    let missed = async {
        for topic in &topics {
            while THREE.in_sync(topic).await.contains(&lost) {
                sleep(Duration::from_millis(100)).await;
            }
        }
    };
    timeout(SOON, missed).await.expect("it is missed");

    // Both share a client at first, which fails with the record that is refused: what is outstanding beside it then is unknown, too.
    let (failed, landed) = beside_a_refusal(&log, &strict, &beside).await;
    assert!(landed > 0, "nothing landed beside it");
    // What is asked for after that is refused.
    if let Some(error) = failed {
        let either = matches!(error, AppendError::Unknown(_) | AppendError::Refused(_));
        assert!(either, "{error:?}");
    }
    // From then on the suspect has a client of its own.
    let (failed, landed) = beside_a_refusal(&log, &strict, &beside).await;
    assert!(failed.is_none(), "two copies are enough: {failed:?}");
    assert!(landed > 0, "nothing landed beside a suspect");
    let there = read_all(&log, &strict).await;
    assert_eq!(there[0].1.key, "before");

    brokers.start().expect("it comes back");
    let again = async { while append(&log, &strict, "after").await.is_err() {} };
    timeout(SOON, again).await.expect("in sync again");
    let there = read_all(&log, &strict).await;
    assert_eq!(there.last().expect("it landed").1.key, "after");
}

/// Appends to a partition that refuses, and meanwhile to another with one producer: why that failed, if it did, and how often it landed.
async fn beside_a_refusal(
    log: &Kafka,
    strict: &TopicPartition,
    beside: &TopicPartition,
) -> (Option<AppendError>, usize) {
    let refused = Notify::new();
    let fail = async {
        let outcome = append(log, strict, "meanwhile").await;
        assert!(
            matches!(outcome, Err(AppendError::Unknown(_))),
            "three replicas were wanted, and two were there: {outcome:?}"
        );
        refused.notify_one();
    };
    let go_on = async {
        let mut producer = log.producer(beside).expect("a producer");
        let mut landed = 0;
        loop {
            let record = [data(Ballot::new(1, 1), "key", Some("value"))];
            tokio::select! {
                () = refused.notified() => return (None, landed),
                outcome = producer.append(&record) => if let Err(error) = outcome {
                    return (Some(error), landed);
                },
            }
            landed += 1;
        }
    };
    tokio::join!(fail, go_on).1
}

/// A topic begins with the first epoch of a leader. Clients that knew a greater one from the topic of before would ask in vain.
#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_is_made_anew_is_read_though_its_leaders_had_changed() {
    let mut brokers = THREE.shaken().await;
    let prefix = prefix();
    let log = THREE.open(&prefix).await;
    let (topic, partition) = (format!("{prefix}events"), TopicPartition::new("events", 0));
    // The records are of long ago, and are kept all the same.
    let kept = [("retention.ms", "-1")];
    THREE.make(&topic, 3, &kept).await;
    log.open_stream("events", 1).await.expect("it is there");
    // Each leader that is lost is one epoch more.
    for _ in 0..2 {
        let leader = THREE.leader(&topic).await;
        brokers.server(leader).kill().expect("it runs");
        another_leads(&topic, leader).await;
        brokers.start().expect("it comes back");
    }
    emit(&log, &partition, 10).await;
    assert_eq!(read_all(&log, &partition).await.len(), 10);

    let deleted = THREE.admin().delete_topics(&[&topic], &soon()).await;
    deleted.expect("it is deleted");
    // It may be there for a moment longer.
    let made = async { while !THREE.try_make(&topic, 3, &kept).await {} };
    timeout(SOON, made).await.expect("it is made anew");
    let another = THREE.open(&prefix).await;
    another.open_stream("events", 1).await.expect("it is there");
    emit(&another, &partition, 2).await;

    let shorter = async {
        while !matches!(
            log.read(&partition, 10, 1 << 20).await,
            Err(LogError::OutOfRange {
                start: 0,
                end: 2,
                ..
            })
        ) {
            sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(SOON, shorter).await.expect("that is seen");
    let read = async {
        loop {
            match log.read(&partition, 0, 1 << 20).await {
                Ok(chunk) if chunk.records.len() == 2 => return,
                Ok(_) | Err(LogError::Io { .. }) => sleep(Duration::from_millis(100)).await,
                Err(error) => panic!("{error}"),
            }
        }
    };
    timeout(SOON, read).await.expect("all of it is read");
}

/// Waits until another broker than this leads the topic.
async fn another_leads(topic: &str, before: usize) {
    let moved = async {
        while THREE.leader(topic).await == before {
            sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(SOON, moved).await.expect("another one leads");
}

/// Appends events.
async fn emit(log: &Kafka, partition: &TopicPartition, count: usize) {
    let event = data(Ballot::FOREIGN, "key", Some("value"));
    let mut producer = log.producer(partition).expect("a producer");
    let appended = producer.append(&vec![event; count]).await;
    appended.expect("the brokers take it");
}

/// A record that the brokers refuse for good is fatal to its producer, and to no other that comes after it.
#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_is_refused_is_fatal_to_its_producer() {
    let _steady = THREE.steady().await;
    let prefix = prefix();
    let log = THREE.open(&prefix).await;
    let partition = declare(&log, "vertex").await;
    let beside = declare(&log, "beside").await;
    // The log was told of more.
    THREE
        .alter(&format!("{prefix}vertex"), "max.message.bytes", "10000")
        .await;
    sleep(Duration::from_secs(1)).await;
    let ballot = Ballot::new(1, 1);
    let text = "x".repeat(100_000);
    let mut producer = log.producer(&partition).expect("a producer");
    let receipts: Vec<_> = [Some("first"), Some(&*text), Some("behind"), None]
        .into_iter()
        .map(|value| producer.append(&[data(ballot, "key", value)]))
        .collect();
    let mut outcomes = Vec::new();
    for receipt in receipts {
        outcomes.push(timeout(SOON, receipt).await.expect("an outcome"));
    }
    assert!(
        outcomes[1..]
            .iter()
            .all(|it| matches!(it, Err(AppendError::Unknown(_)))),
        "{outcomes:?}"
    );
    let refused = producer.append(&[data(ballot, "key", None)]).await;
    assert!(
        matches!(refused, Err(AppendError::Refused(_))),
        "{refused:?}"
    );

    let there = read_all(&log, &partition).await;
    assert!(
        there.len() <= 1,
        "what is behind the gap is not there: {there:?}"
    );
    for partition in [partition, beside] {
        append(&log, &partition, "after")
            .await
            .expect("a new client");
        let there = read_all(&log, &partition).await;
        assert_eq!(there.last().expect("it landed").1.key, "after");
    }
}

/// What is too long is known before it is sent.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_long_is_not_sent() {
    let _steady = THREE.steady().await;
    let prefix = prefix();
    THREE
        .make(
            &format!("{prefix}vertex"),
            3,
            &[
                ("cleanup.policy", "compact"),
                ("min.compaction.lag.ms", "3600000"),
                ("delete.retention.ms", "604800000"),
                ("min.insync.replicas", "2"),
                ("message.timestamp.type", "LogAppendTime"),
                ("max.message.bytes", "20000"),
            ],
        )
        .await;
    let log = THREE.open(&prefix).await;
    let partition = declare(&log, "vertex").await;
    let most = log.record_bytes_max("vertex");
    assert!((15_000..20_000).contains(&most), "{most}");
    let ballot = Ballot::new(1, 1);
    let value = |bytes: usize| "x".repeat(bytes - "key".len());
    let mut producer = log.producer(&partition).expect("a producer");
    // Many at once, too: no batch of them is longer than the topic takes.
    let records = vec![data(ballot, "key", Some(&value(most))); 20];
    producer
        .append(&records)
        .await
        .expect("that long it may be");
    let small = vec![data(ballot, "key", Some("value")); 2000];
    producer.append(&small).await.expect("they are small");
    let refused = producer
        .append(&[data(ballot, "key", Some(&value(most + 1)))])
        .await;
    assert!(
        matches!(refused, Err(AppendError::Refused(_))),
        "{refused:?}"
    );
    assert_eq!(read_all(&log, &partition).await.len(), 2020);
}

async fn append(
    log: &Kafka,
    partition: &TopicPartition,
    key: &str,
) -> Result<Vec<u64>, AppendError> {
    let mut producer = log.producer(partition).expect("a producer");
    producer
        .append(&[data(Ballot::new(1, 1), key, Some("value"))])
        .await
}

//! Topics whose records count once a partition's leader has them (`ack(leader)`).

use std::{collections::BTreeSet, time::Duration};

use memgen::{
    log::{
        Ack, AppendError, Log, TopicPartition,
        conformance::{self, data, read_all},
        kafka::{Kafka, Options},
    },
    record::{BARRIER_KEY, Ballot, Kind, Record},
};
use tokio::time::{sleep, timeout};

use crate::common::{Cluster, ONE, THREE, declare, prefix};

/// No matter how busy the machine is.
const SOON: Duration = Duration::from_secs(60);

async fn open(cluster: &Cluster, prefix: &str, topics: &[&str]) -> Kafka {
    let topics: BTreeSet<String> = topics.iter().map(|&topic| topic.to_owned()).collect();
    let log = Kafka::open(Options {
        append_timeout: Duration::from_secs(10),
        leader_acks: topics,
        ..cluster.options(prefix)
    });
    log.await.expect("the brokers answer")
}

fn barrier(ballot: Ballot) -> Record {
    Record {
        kind: Kind::Barrier,
        key: BARRIER_KEY.into(),
        ..data(ballot, "", None)
    }
}

/// By one broker, where what its leader has is what all have: the suite reads back at once, and with others that might be too early.
#[tokio::test(flavor = "multi_thread")]
async fn the_weaker_level_conforms() {
    let _steady = ONE.steady().await;
    let topics = ["vertex", "component", "prefix"];
    conformance::suite(async || open(&ONE, &prefix(), &topics).await).await;
    let prefix = prefix();
    conformance::reopened(async || open(&ONE, &prefix, &topics).await).await;
}

/// With too few replicas in sync, what all of them have to acknowledge is refused: other topics, and barriers.
#[tokio::test(flavor = "multi_thread")]
async fn a_leader_alone_is_enough_but_for_barriers() {
    let mut brokers = THREE.shaken().await;
    let prefix = prefix();
    let log = open(&THREE, &prefix, &["weak"]).await;
    let (weak, strict) = (declare(&log, "weak").await, declare(&log, "strict").await);
    assert_eq!(
        (log.ack("weak"), log.ack("strict")),
        (Ack::Leader, Ack::All)
    );
    for topic in ["weak", "strict"] {
        THREE
            .alter(&format!("{prefix}{topic}"), "min.insync.replicas", "3")
            .await;
    }
    let topics = [format!("{prefix}weak"), format!("{prefix}strict")];
    let leaders = [
        THREE.leader(&topics[0]).await,
        THREE.leader(&topics[1]).await,
    ];
    let lost = (0..3)
        .find(|broker| !leaders.contains(broker))
        .expect("two topics have two leaders at most");
    brokers.server(lost).kill().expect("it runs");
    let missed = async {
        for topic in &topics {
            while THREE.in_sync(topic).await.contains(&lost) {
                sleep(Duration::from_millis(100)).await;
            }
        }
    };
    timeout(SOON, missed).await.expect("it is missed");

    let ballot = Ballot::new(1, 1);
    let append = async |partition: &TopicPartition, record: Record| {
        let mut producer = log.producer(partition).expect("a producer");
        timeout(SOON, producer.append(&[record]))
            .await
            .expect("an outcome")
    };
    let record = data(ballot, "key", Some("value"));
    for offset in 0..3 {
        assert_eq!(append(&weak, record.clone()).await, Ok(vec![offset]));
    }
    let refused = append(&strict, record).await;
    assert!(
        matches!(refused, Err(AppendError::Unknown(_))),
        "{refused:?}"
    );
    let refused = append(&weak, barrier(ballot)).await;
    assert!(
        matches!(refused, Err(AppendError::Unknown(_))),
        "{refused:?}"
    );
    brokers.start().expect("it comes back");
    let again = async { while append(&weak, barrier(ballot)).await.is_err() {} };
    timeout(SOON, again).await.expect("in sync again");
    let there = read_all(&log, &weak).await;
    let keys = there.iter().take(3).map(|(_, record)| &record.key[..]);
    assert!(keys.eq([&b"key"[..]; 3]), "{there:?}");
}

/// `kill -9` of the leader while nobody else can have what it acknowledged.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_leader_alone_had_is_lost_with_it() {
    let mut brokers = THREE.shaken().await;
    let prefix = prefix();
    let log = open(&THREE, &prefix, &["weak"]).await;
    let weak = declare(&log, "weak").await;
    let ballot = Ballot::new(1, 1);
    let mut producer = log.producer(&weak).expect("a producer");
    let outcome = timeout(SOON, producer.append(&[barrier(ballot)])).await;
    outcome.expect("an outcome").expect("all are in sync");
    let leader = THREE.leader(&format!("{prefix}weak")).await;
    let others: Vec<_> = (0..3).filter(|broker| *broker != leader).collect();
    for other in &others {
        brokers.server(*other).pause().expect("it runs");
    }
    // What a replica had asked for before it was stopped may reach it all the same; not more.
    let mut acknowledged = 1;
    for number in 0..20 {
        let record = data(ballot, &format!("{number}"), Some("value"));
        let offsets = timeout(SOON, producer.append(&[record])).await;
        let offsets = offsets.expect("an outcome").expect("a leader is enough");
        assert_eq!(offsets, [acknowledged]);
        acknowledged += 1;
    }
    let seen = read_all(&log, &weak).await.len();
    assert!(seen < 10, "readers see what all replicas have: {seen}");
    brokers.server(leader).kill().expect("it runs");
    for other in &others {
        brokers.server(*other).resume().expect("it is there");
    }
    drop(producer);
    let taken_over = async {
        loop {
            let mut producer = log.producer(&weak).expect("a producer");
            if let Ok(offsets) = producer.append(&[barrier(Ballot::new(2, 1))]).await {
                return offsets[0];
            }
        }
    };
    let at = timeout(SOON, taken_over).await.expect("another leader");
    assert!(at < acknowledged, "{at} is behind what was acknowledged");
    brokers.start().expect("it comes back");
    let there = read_all(&log, &weak).await;
    let found = there.iter().find(|(offset, _)| *offset == at);
    assert_eq!(found.map(|(_, it)| it.ballot), Some(Ballot::new(2, 1)));
}

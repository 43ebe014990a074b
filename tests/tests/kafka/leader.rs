//! Topics whose records count once a partition's leader has them (`ack(leader)`).

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use memgen::{
    log::{
        Ack, AppendError, Chunk, KeptLayout, Log, LogError, Producer, Receipt, Retention, Topic,
        TopicPartition,
        conformance::{self, data, read_all},
        kafka::{Kafka, Options},
    },
    record::{BARRIER_KEY, Ballot, Kind, Offset, Record},
};
use tokio::time::{sleep, timeout};

use crate::common::{THREE, declare, prefix};

/// No matter how busy the machine is.
const SOON: Duration = Duration::from_secs(60);

async fn open(prefix: &str, topics: &[&str]) -> Kafka {
    let topics: BTreeSet<String> = topics.iter().map(|&topic| topic.to_owned()).collect();
    let log = Kafka::open(Options {
        append_timeout: Duration::from_secs(10),
        leader_acks: topics,
        ..THREE.options(prefix)
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

/// A log that acknowledges what its readers see: the suite reads back at once, and what a leader alone has is not to be read yet.
struct Seen(Arc<Kafka>);

impl Seen {
    async fn open(prefix: &str) -> Self {
        Self(Arc::new(
            open(prefix, &["vertex", "component", "prefix"]).await,
        ))
    }
}

struct SeenProducer {
    producer: Box<dyn Producer>,
    log: Arc<Kafka>,
    partition: TopicPartition,
}

impl Producer for SeenProducer {
    fn append(&mut self, records: &[Record]) -> Receipt {
        let receipt = self.producer.append(records);
        let (log, partition) = (Arc::clone(&self.log), self.partition.clone());
        Box::pin(async move {
            let offsets = receipt.await?;
            let unseen = |error: LogError| AppendError::Unknown(error.to_string());
            let next = offsets.last().map_or(0, |last| last + 1);
            loop {
                let end = log.end(&partition).await.map_err(unseen)?;
                if end >= next {
                    break;
                }
                log.grown(&partition, end).await.map_err(unseen)?;
            }
            Ok(offsets)
        })
    }
}

impl Log for Seen {
    fn declare<'a>(&'a self, topic: &'a Topic) -> BoxFuture<'a, Result<(), LogError>> {
        self.0.declare(topic)
    }

    fn layouts<'a>(&'a self, topic: &'a str) -> BoxFuture<'a, Result<Vec<KeptLayout>, LogError>> {
        self.0.layouts(topic)
    }

    fn keep_layout<'a>(
        &'a self,
        topic: &'a str,
        layout: &'a KeptLayout,
    ) -> BoxFuture<'a, Result<(), LogError>> {
        self.0.keep_layout(topic, layout)
    }

    fn producer(&self, partition: &TopicPartition) -> Result<Box<dyn Producer>, LogError> {
        Ok(Box::new(SeenProducer {
            producer: self.0.producer(partition)?,
            log: Arc::clone(&self.0),
            partition: partition.clone(),
        }))
    }

    fn read<'a>(
        &'a self,
        partition: &'a TopicPartition,
        from: Offset,
        bytes_max: usize,
    ) -> BoxFuture<'a, Result<Chunk, LogError>> {
        self.0.read(partition, from, bytes_max)
    }

    fn grown<'a>(
        &'a self,
        partition: &'a TopicPartition,
        from: Offset,
    ) -> BoxFuture<'a, Result<(), LogError>> {
        self.0.grown(partition, from)
    }

    fn end<'a>(&'a self, partition: &'a TopicPartition) -> BoxFuture<'a, Result<Offset, LogError>> {
        self.0.end(partition)
    }

    fn answers(&self) -> BoxFuture<'_, bool> {
        self.0.answers()
    }

    fn record_bytes_max(&self, topic: &str) -> usize {
        self.0.record_bytes_max(topic)
    }

    fn ack(&self, topic: &str) -> Ack {
        self.0.ack(topic)
    }

    fn retention(&self, topic: &str) -> Option<Retention> {
        self.0.retention(topic)
    }

    fn size_bytes(&self) -> Option<u64> {
        self.0.size_bytes()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        self.0.close()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_weaker_level_conforms() {
    let _steady = THREE.steady().await;
    conformance::suite(async || Seen::open(&prefix()).await).await;
    let prefix = prefix();
    conformance::reopened(async || Seen::open(&prefix).await).await;
}

/// With too few replicas in sync, what all of them have to acknowledge is refused: other topics, and barriers.
#[tokio::test(flavor = "multi_thread")]
async fn a_leader_alone_is_enough_but_for_barriers() {
    let mut brokers = THREE.shaken().await;
    let prefix = prefix();
    let log = open(&prefix, &["weak"]).await;
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
    let log = open(&prefix, &["weak"]).await;
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

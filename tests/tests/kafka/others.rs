//! What others do to topics: they read and write them, compact them, cut them, make them anew.

use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use memgen::{
    log::{
        Log, LogError,
        conformance::{data, every_form, read_all},
        kafka::{Kafka, Options},
    },
    record::{Ballot, Kind},
};
use rdkafka::{
    Message as _, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
    message::{Header, Headers as _, OwnedHeaders},
    producer::{BaseProducer, BaseRecord, FutureProducer, FutureRecord, Producer as _},
};
use tokio::time::{sleep, timeout};

use crate::common::{ONE, THREE, declare, prefix, soon};

/// No matter how busy the machine is.
const SOON: Duration = Duration::from_secs(60);

/// Keys and values are the state's own: a consumer that knows nothing of memgen reads them, and a producer that knows nothing of it is read.
#[tokio::test(flavor = "multi_thread")]
async fn plain_tools_read_and_write() {
    let _steady = THREE.steady().await;
    let prefix = prefix();
    let log = THREE.open(&prefix).await;
    let partition = declare(&log, "vertex").await;
    let name = format!("{prefix}vertex");
    let mut producer = log.producer(&partition).expect("a producer");
    let records = every_form();
    let offsets = producer.append(&records).await.expect("room");
    assert_eq!(offsets, (0..records.len() as u64).collect::<Vec<_>>());

    let consumer: BaseConsumer = THREE
        .client()
        .set("group.id", "plain")
        .create()
        .expect("a consumer");
    let mut all = TopicPartitionList::new();
    all.add_partition_offset(&name, 0, Offset::Beginning)
        .expect("an offset");
    consumer.assign(&all).expect("a partition");
    for record in &records {
        let message = loop {
            match consumer.poll(SOON).expect("a message") {
                Ok(message) => break message,
                // A connection that went, for one: it makes another.
                Err(error) => eprintln!("the plain consumer: {error}"),
            }
        };
        assert_eq!(message.key(), Some(&record.key[..]));
        assert_eq!(message.payload(), record.value.as_deref());
        let headers = message.headers().expect("what memgen adds");
        assert_eq!((headers.count(), headers.get(0).key), (1, "memgen"));
    }

    let foreign: FutureProducer = THREE.client().create().expect("a producer");
    let headers = OwnedHeaders::new().insert(Header {
        key: "trace",
        value: Some("7"),
    });
    let sent = FutureRecord::to(&name)
        .partition(0)
        .key("key")
        .payload("value")
        .headers(headers);
    foreign.send(sent, SOON).await.expect("it is acknowledged");
    let deleted = FutureRecord::<str, str>::to(&name).partition(0).key("key");
    foreign
        .send(deleted, SOON)
        .await
        .expect("it is acknowledged");
    let all = read_all(&log, &partition).await;
    let [.., (_, written), (_, deleted)] = &all[..] else {
        panic!("{all:?}")
    };
    for (record, value) in [(written, Some("value")), (deleted, None)] {
        assert_eq!((record.ballot, record.kind), (Ballot::FOREIGN, Kind::Data));
        assert_eq!(record.key, "key");
        assert_eq!(record.value.as_deref(), value.map(str::as_bytes));
        assert!(
            record.timestamp_ms > 1_700_000_000_000,
            "when it was written"
        );
    }
    // What is not acknowledged to be contiguous is a gap for the owner.
    let next = producer.append(&records[..1]).await.expect("room");
    assert_eq!(next, [records.len() as u64 + 2]);
}

/// A header that says to be memgen's and is not one that this version can read ends the reading there: nothing is skipped.
#[tokio::test(flavor = "multi_thread")]
async fn a_header_that_can_not_be_read_is_an_error_with_its_place() {
    let _steady = ONE.steady().await;
    let prefix = prefix();
    let log = ONE.open(&prefix).await;
    let partition = declare(&log, "vertex").await;
    let mut producer = log.producer(&partition).expect("a producer");
    let record = data(Ballot::new(1, 1), "key", Some("value"));
    producer
        .append(&vec![record.clone(); 3])
        .await
        .expect("room");
    let foreign: FutureProducer = ONE.client().create().expect("a producer");
    let name = format!("{prefix}vertex");
    let newer = OwnedHeaders::new().insert(Header {
        key: "memgen",
        value: Some(&[2_u8, 1, 0, 0]),
    });
    let sent = FutureRecord::to(&name)
        .partition(0)
        .key("key")
        .payload("value")
        .headers(newer);
    foreign.send(sent, SOON).await.expect("it is acknowledged");
    producer
        .append(std::slice::from_ref(&record))
        .await
        .expect("room");
    for _ in 0..2 {
        let before = log
            .read(&partition, 0, 1 << 20)
            .await
            .expect("three are well");
        assert_eq!((before.records.len(), before.next), (3, 3));
        let error = log
            .read(&partition, 3, 1 << 20)
            .await
            .expect_err("the fourth is not");
        assert!(
            matches!(&error, LogError::Unreadable { partition: it, offset: 3, .. } if *it == partition),
            "{error}"
        );
        assert!(error.to_string().contains("newer"), "{error}");
        let grown = timeout(SOON, log.grown(&partition, 3)).await;
        assert!(grown.is_ok_and(|it| it.is_ok()), "there is something");
    }
    let after = log
        .read(&partition, 4, 1 << 20)
        .await
        .expect("the fifth is well");
    assert_eq!(after.records, [(4, record)]);
}

/// Transactions of others leave marks that no reader sees. Reading stops at them, and goes on once there is something behind them; what is not committed
/// does not hold it up.
#[tokio::test(flavor = "multi_thread")]
async fn transactions_of_others_are_in_nobodys_way() {
    let _steady = THREE.steady().await;
    let prefix = prefix();
    let log = THREE.open(&prefix).await;
    let partition = declare(&log, "vertex").await;
    let name = format!("{prefix}vertex");
    let mut producer = log.producer(&partition).expect("a producer");
    let record = data(Ballot::new(1, 1), "key", Some("value"));
    producer
        .append(std::slice::from_ref(&record))
        .await
        .expect("room");

    let transact = move |commit: bool, name: String| {
        let foreign: BaseProducer = THREE
            .client()
            .set("transactional.id", &name)
            .create()
            .expect("a producer");
        foreign.init_transactions(SOON).expect("a transaction");
        foreign.begin_transaction().expect("a transaction");
        let sent = BaseRecord::to(&name)
            .partition(0)
            .key("foreign")
            .payload("");
        foreign
            .send(sent)
            .map_err(|it| it.0)
            .expect("there is room");
        foreign.flush(SOON).expect("it is acknowledged");
        if commit {
            foreign.commit_transaction(SOON).expect("it is committed");
        }
        foreign
    };
    let at = name.clone();
    let foreign = tokio::task::spawn_blocking(move || transact(true, at)).await;
    drop(foreign.expect("it does not panic"));
    assert_eq!(read_all(&log, &partition).await.len(), 2);
    // The mark is written when the commit has been confirmed already.
    let marked = async {
        while log.end(&partition).await.expect("an end") < 3 {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(SOON, marked).await.expect("a mark");
    assert_eq!(
        log.end(&partition).await.expect("an end"),
        3,
        "with the mark"
    );
    for _ in 0..3 {
        let chunk = log.read(&partition, 2, 1 << 20).await.expect("reading");
        assert!(chunk.records.is_empty() && chunk.next == 2, "{chunk:?}");
    }
    let mut grown = log.grown(&partition, 2);
    let early = timeout(Duration::from_millis(700), &mut grown).await;
    assert!(early.is_err(), "a mark is nothing to read");
    let offsets = producer.append(std::slice::from_ref(&record)).await;
    assert_eq!(offsets, Ok(vec![3]), "a gap");
    timeout(SOON, grown)
        .await
        .expect("it is told")
        .expect("it grew");
    let chunk = log.read(&partition, 2, 1 << 20).await.expect("reading");
    assert_eq!(chunk.records, [(3, record.clone())]);

    let at = name.clone();
    let open = tokio::task::spawn_blocking(move || transact(false, at)).await;
    assert_eq!(
        read_all(&log, &partition).await.len(),
        4,
        "it is not committed"
    );
    producer
        .append(std::slice::from_ref(&record))
        .await
        .expect("room");
    assert_eq!(read_all(&log, &partition).await.len(), 5, "nor in the way");
    drop(open);
}

/// Holes that compaction leaves change no offset, and hide nothing that is the last of its key.
#[tokio::test(flavor = "multi_thread")]
async fn compaction_leaves_the_last_of_each_key() {
    let _steady = ONE.steady().await;
    let prefix = prefix();
    ONE.make(
        &format!("{prefix}vertex"),
        1,
        &[
            ("cleanup.policy", "compact"),
            ("min.compaction.lag.ms", "0"),
            ("delete.retention.ms", "604800000"),
            ("message.timestamp.type", "LogAppendTime"),
            ("segment.ms", "500"),
            ("min.cleanable.dirty.ratio", "0.01"),
        ],
    )
    .await;
    let log = Kafka::open(Options {
        compaction_lag: Duration::ZERO,
        ..ONE.options(&prefix)
    });
    let log = log.await.expect("the broker answers");
    let partition = declare(&log, "vertex").await;
    let mut producer = log.producer(&partition).expect("a producer");
    let mut sent = Vec::new();
    let begun = Instant::now();
    let compacted = loop {
        let number = sent.len();
        let record = data(
            Ballot::new(1, 1),
            &format!("{}", number % 7),
            Some(&number.to_string()),
        );
        let offsets = producer.append(std::slice::from_ref(&record)).await;
        sent.push((offsets.expect("room")[0], record));
        let read = read_all(&log, &partition).await;
        if read.len() < sent.len() {
            break read;
        }
        assert!(begun.elapsed() < SOON, "it was not compacted");
        sleep(Duration::from_millis(100)).await;
    };
    assert!(
        sent.iter()
            .enumerate()
            .all(|(at, (offset, _))| *offset == at as u64)
    );
    for at in &compacted {
        assert!(sent.contains(at), "{at:?} was not sent");
    }
    for (offset, record) in &sent {
        let last = !sent
            .iter()
            .any(|(it, other)| it > offset && other.key == record.key);
        assert!(
            !last || compacted.iter().any(|(it, _)| it == offset),
            "{offset} is the last of its key"
        );
    }
    // Another log, which did not see it come.
    let log = Kafka::open(Options {
        compaction_lag: Duration::ZERO,
        ..ONE.options(&prefix)
    });
    let log = log.await.expect("the broker answers");
    declare(&log, "vertex").await;
    for from in 0..sent.len() as u64 {
        let chunk = log.read(&partition, from, 1 << 20).await.expect("reading");
        let first = chunk.records.first().expect("the last one is there").0;
        assert!(first >= from, "nothing before {from}");
        if let Some((expected, _)) = compacted.iter().find(|(it, _)| *it >= from) {
            assert!(first >= *expected, "nothing comes back");
        }
    }
}

/// Records that were deleted from the front are missed by whoever has not read them; the others go on.
#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_was_cut_is_detected() {
    let _steady = THREE.steady().await;
    let prefix = prefix();
    let log = THREE.open(&prefix).await;
    let partition = declare(&log, "vertex").await;
    let mut producer = log.producer(&partition).expect("a producer");
    let record = data(Ballot::new(1, 1), "key", Some("value"));
    producer.append(&vec![record; 10]).await.expect("room");
    // Somebody is in the middle of it.
    let chunk = log.read(&partition, 0, 1).await.expect("reading");
    assert!(chunk.next < 5, "{chunk:?}");
    // A follower that was read ahead for has them already; a new one has not.
    let mut cut = TopicPartitionList::new();
    let name = format!("{prefix}vertex");
    cut.add_partition_offset(&name, 0, Offset::Offset(5))
        .expect("an offset");
    // Kafka does not let it happen to a topic that is compacted.
    THREE.alter(&name, "cleanup.policy", "delete").await;
    let deleted = THREE.admin().delete_records(&cut, &soon()).await;
    let deleted = deleted.expect("the brokers answer");
    let errors = deleted
        .elements()
        .iter()
        .map(rdkafka::topic_partition_list::TopicPartitionListElem::error)
        .collect::<Vec<_>>();
    assert!(errors.iter().all(Result::is_ok), "{errors:?}");
    THREE.alter(&name, "cleanup.policy", "compact").await;
    let late = THREE.open(&prefix).await;
    declare(&late, "vertex").await;
    for from in [0, 4] {
        let error = late
            .read(&partition, from, 1)
            .await
            .expect_err("they are gone");
        assert!(
            matches!(&error, LogError::OutOfRange { partition: it, from: at, start: 5, end: 10 } if *it == partition && *at == from),
            "{error}"
        );
    }
    for from in 5..10 {
        let chunk = late.read(&partition, from, 1 << 20).await.expect("reading");
        assert_eq!(chunk.records.len() as u64, 10 - from);
    }
}

/// A topic that was deleted and made again holds less than was read of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_was_made_anew_is_detected() {
    let _steady = THREE.steady().await;
    let prefix = prefix();
    let log = THREE.open(&prefix).await;
    let partition = declare(&log, "vertex").await;
    let mut producer = log.producer(&partition).expect("a producer");
    let record = data(Ballot::new(1, 1), "key", Some("value"));
    producer
        .append(&vec![record.clone(); 10])
        .await
        .expect("room");
    assert_eq!(read_all(&log, &partition).await.len(), 10);
    let mut waiting = log.grown(&partition, 10);
    assert!((&mut waiting).now_or_never().is_none(), "nothing came");

    let name = format!("{prefix}vertex");
    let deleted = THREE.admin().delete_topics(&[&name], &soon()).await;
    deleted.expect("it is deleted");
    let another = THREE.open(&prefix).await;
    let declared = async {
        // It may be there for a moment longer.
        while let Err(error) = another
            .declare(&memgen::log::conformance::topic("vertex", 1))
            .await
        {
            assert!(!matches!(error, LogError::Shape { .. }), "{error}");
            sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(SOON, declared).await.expect("it is made anew");

    let read = async {
        loop {
            match log.read(&partition, 10, 1).await {
                Err(LogError::OutOfRange { start: 0, end, .. }) => return end,
                other => drop(other),
            }
            sleep(Duration::from_millis(100)).await;
        }
    };
    assert_eq!(timeout(SOON, read).await.expect("it is seen"), 0);
    let told = timeout(SOON, waiting).await.expect("who waits is told");
    drop(told);
}

//! The suite that every [`Log`] passes: the rules of its contract, one check each.
//!
//! [`suite`] is for a log in which nothing goes wrong, [`reopened()`] for one that outlives its process, and
//! [`prefix()`] also holds where everything goes wrong. Logs may compact meanwhile: what a check reads back is of one key
//! each, and not behind a higher ballot, so rule 6 lets it stay.
//!
//! All of them panic, with the name of the rule, if it is broken.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use futures_util::{
    FutureExt as _,
    future::{join_all, join3},
};
use tokio::time::timeout;

use super::{AppendError, KeptLayout, Log, LogError, Offsets, Topic, TopicPartition};
use crate::record::{
    Answered, BARRIER_KEY, BATCH_KEY, Ballot, FENCE_KEY, Kind, Offset, REPLY_KEY, Record,
};

mod prefix;
mod reopened;
mod streams;

pub use self::{prefix::prefix, reopened::reopened};

/// More than any check writes.
const PLENTY: usize = 1 << 24;

/// A topic with this name and number of partitions.
#[must_use]
pub fn topic(name: &str, partitions: u32) -> Topic {
    Topic {
        name: name.to_owned(),
        partitions,
        partitioner: "murmur2 key".to_owned(),
        format: "json".to_owned(),
    }
}

/// A record of a state; `value` none deletes the key.
#[must_use]
pub fn data(ballot: Ballot, key: &str, value: Option<&str>) -> Record {
    Record {
        place: None,
        ballot,
        kind: Kind::Data,
        timestamp_ms: 1_700_000_000_000,
        schema: 0x0123_4567_89ab_cdef,
        answered: None,
        key: Bytes::copy_from_slice(key.as_bytes()),
        value: value.map(|value| Bytes::copy_from_slice(value.as_bytes())),
    }
}

/// One record of each kind and form.
#[must_use]
pub fn every_form() -> Vec<Record> {
    let ballot = Ballot::new(3, u64::MAX);
    let plain = data(ballot, "vertex 7", Some("{\"id\":7}"));
    let answered = Answered {
        id: Bytes::from_static(b"01890a5d-ac96-774b-bcce-b302099a8057"),
        fingerprint: u128::MAX - 5,
        reply: Bytes::from_static(b"201 Created"),
    };
    let control = |kind, key: &'static [u8], value: Option<&'static [u8]>| Record {
        kind,
        key: Bytes::from_static(key),
        value: value.map(Bytes::from_static),
        ..plain.clone()
    };
    vec![
        plain.clone(),
        Record {
            value: None,
            ..plain.clone()
        },
        Record {
            value: Some(Bytes::new()),
            ..plain.clone()
        },
        Record {
            key: Bytes::new(),
            ..plain.clone()
        },
        Record {
            ballot: Ballot::FOREIGN,
            timestamp_ms: 0,
            schema: 0,
            ..plain.clone()
        },
        Record {
            timestamp_ms: u64::MAX,
            schema: u64::MAX,
            ..plain.clone()
        },
        Record {
            answered: Some(answered.clone()),
            ..plain.clone()
        },
        Record {
            answered: Some(answered.clone()),
            value: None,
            ..plain.clone()
        },
        Record {
            answered: Some(Answered {
                id: Bytes::from(vec![b'i'; 255]),
                reply: Bytes::new(),
                ..answered.clone()
            }),
            ..plain.clone()
        },
        Record {
            kind: Kind::FollowUp,
            ..plain.clone()
        },
        control(Kind::Batch, BATCH_KEY, Some(b"\x01\0\0\0\0")),
        control(Kind::Barrier, BARRIER_KEY, None),
        Record {
            answered: Some(answered),
            ..control(Kind::Reply, REPLY_KEY, Some(b""))
        },
        control(Kind::Fence, FENCE_KEY, None),
    ]
}

/// Everything in a partition, read as a start-up does.
///
/// # Panics
/// If it can't be read.
pub async fn read_all(log: &impl Log, partition: &TopicPartition) -> Vec<(Offset, Record)> {
    read_all_by(log, partition, PLENTY).await
}

async fn read_all_by(
    log: &impl Log,
    partition: &TopicPartition,
    bytes_max: usize,
) -> Vec<(Offset, Record)> {
    let mut all: Vec<(Offset, Record)> = Vec::new();
    let mut from = 0;
    loop {
        let chunk = log
            .read(partition, from, bytes_max)
            .await
            .expect("the log can be read");
        if chunk.next == from {
            assert!(
                chunk.records.is_empty(),
                "reading: `next` says that there was something"
            );
            return all;
        }
        assert!(
            chunk
                .records
                .last()
                .is_none_or(|(last, _)| chunk.next > *last),
            "reading: `next` lies behind what was read"
        );
        for (offset, record) in chunk.records {
            assert!(offset >= from, "reading: nothing before `from`");
            assert!(
                all.last().is_none_or(|(before, _)| *before < offset),
                "order: offsets ascend"
            );
            all.push((offset, record));
        }
        from = chunk.next;
    }
}

/// Runs every check, each on a new and empty log.
///
/// # Panics
/// If a rule is broken, with its name.
pub async fn suite<L: Log>(make: impl AsyncFn() -> L) {
    a_topic_has_one_shape(&make().await).await;
    a_new_partition_is_empty(&make().await).await;
    records_come_back_as_they_were(&make().await).await;
    partitions_are_apart(&make().await).await;
    producers_share_one_order(&make().await).await;
    reading_goes_on_where_it_ended(&make().await).await;
    growth_is_told(&make().await).await;
    large_appends_are_one(&make().await).await;
    nothing_need_wait_for_a_receipt(&make().await).await;
    a_closed_log_refuses(&make().await).await;
    layouts_are_a_set(&make().await).await;
    streams::streams(&make().await).await;
    prefix(&make().await, 20).await;
}

/// Rule 7.
async fn a_topic_has_one_shape(log: &impl Log) {
    let kept = topic("vertex", 4);
    log.declare(&kept).await.expect("a new topic");
    log.declare(&kept).await.expect("the same topic again");
    log.declare(&topic("component", 1))
        .await
        .expect("another topic");
    let others = [
        (
            Topic {
                partitions: 8,
                ..kept.clone()
            },
            ["4", "8"],
        ),
        (
            Topic {
                partitioner: "murmur2 customer".into(),
                ..kept.clone()
            },
            ["murmur2 key", "murmur2 customer"],
        ),
        (
            Topic {
                format: "avro".into(),
                ..kept.clone()
            },
            ["json", "avro"],
        ),
    ];
    for (other, words) in others {
        let error = log.declare(&other).await.expect_err("one topic, one shape");
        assert!(
            matches!(error, LogError::Shape { .. }),
            "one topic, one shape: {error}"
        );
        for word in words {
            assert!(
                error.to_string().contains(word),
                "shape: `{error}` names {word}"
            );
        }
    }
    log.declare(&kept)
        .await
        .expect("what was refused changed nothing");
    for unknown in [
        TopicPartition::new("vertex", 4),
        TopicPartition::new("edge", 0),
    ] {
        assert!(
            matches!(log.producer(&unknown), Err(LogError::UnknownPartition(it)) if it == unknown),
            "shape: no producer for {unknown}"
        );
        assert!(
            matches!(
                log.read(&unknown, 0, 1).await,
                Err(LogError::UnknownPartition(_))
            ),
            "shape: no reading of {unknown}"
        );
        assert!(
            matches!(log.end(&unknown).await, Err(LogError::UnknownPartition(_))),
            "shape: no end of {unknown}"
        );
    }
}

/// Rule 8.
async fn layouts_are_a_set(log: &impl Log) {
    let layout = |fingerprint, text: &str| KeptLayout {
        fingerprint,
        text: text.to_owned(),
    };
    let [one, two] = [layout(u64::MAX, "{\"a\": \"é\"}"), layout(0, "")];
    assert_eq!(layouts(log, "vertex").await, [], "no topic");
    for name in ["vertex", "component"] {
        log.declare(&topic(name, 1)).await.expect("a new topic");
    }
    assert_eq!(layouts(log, "vertex").await, [], "a new topic");
    for layout in [&one, &two, &one] {
        log.keep_layout("vertex", layout)
            .await
            .expect("there is room");
    }
    assert_eq!(
        layouts(log, "vertex").await,
        [two, one],
        "each is kept once"
    );
    assert_eq!(layouts(log, "component").await, [], "another topic");
}

async fn layouts(log: &impl Log, topic: &str) -> Vec<KeptLayout> {
    let mut layouts = log.layouts(topic).await.expect("layouts can be read");
    layouts.sort_by_key(|layout| layout.fingerprint);
    layouts
}

async fn a_new_partition_is_empty(log: &impl Log) {
    log.declare(&topic("vertex", 1)).await.expect("a new topic");
    let partition = TopicPartition::new("vertex", 0);
    assert_eq!(
        log.end(&partition).await.expect("an end"),
        0,
        "a new partition is empty"
    );
    let chunk = log
        .read(&partition, 0, PLENTY)
        .await
        .expect("reading an empty partition");
    assert!(
        chunk.records.is_empty() && chunk.next == 0,
        "reading at the end gives nothing"
    );
    for from in [1, Offset::MAX / 2] {
        let read = log.read(&partition, from, PLENTY).await;
        assert!(
            matches!(&read, Err(LogError::OutOfRange { partition: it, from: at, start: 0, end: 0 }) if *it == partition && *at == from),
            "no silent gaps: {read:?}"
        );
    }
    let mut producer = log.producer(&partition).expect("a producer");
    assert_eq!(
        producer.append(&[]).await,
        Ok(Vec::new()),
        "nothing can be appended"
    );
    assert_eq!(
        log.end(&partition).await.expect("an end"),
        0,
        "nothing changes nothing"
    );
}

async fn records_come_back_as_they_were(log: &impl Log) {
    log.declare(&topic("vertex", 1)).await.expect("a new topic");
    let partition = TopicPartition::new("vertex", 0);
    let records = every_form();
    let mut producer = log.producer(&partition).expect("a producer");
    let offsets = producer.append(&records).await.expect("room");
    let read = read_all(log, &partition).await;
    assert_eq!(
        read,
        offsets.into_iter().zip(records).collect::<Vec<_>>(),
        "records come back as they were"
    );
}

async fn partitions_are_apart(log: &impl Log) {
    log.declare(&topic("vertex", 3)).await.expect("a new topic");
    log.declare(&topic("component", 2))
        .await
        .expect("a new topic");
    let partitions: Vec<_> = [("vertex", 0), ("vertex", 2), ("component", 1)]
        .map(|(topic, number)| TopicPartition::new(topic, number))
        .into();
    let ballot = Ballot::new(1, 1);
    for round in 0..10 {
        for partition in &partitions {
            let mut producer = log.producer(partition).expect("a producer");
            let record = data(ballot, &format!("{partition} {round}"), Some(""));
            assert_eq!(
                producer.append(&[record]).await,
                Ok(vec![round]),
                "each partition counts for itself"
            );
        }
    }
    for partition in &partitions {
        let read = read_all(log, partition).await;
        assert_eq!(read.len(), 10, "partitions are apart");
        assert!(
            read.iter()
                .all(|(_, record)| record.key.starts_with(partition.to_string().as_bytes())),
            "partitions are apart"
        );
    }
    let untouched = TopicPartition::new("vertex", 1);
    assert!(
        read_all(log, &untouched).await.is_empty(),
        "partitions are apart"
    );
}

/// Rule 1, and the acknowledged part of rule 2.
async fn producers_share_one_order(log: &impl Log) {
    log.declare(&topic("vertex", 1)).await.expect("a new topic");
    let partition = TopicPartition::new("vertex", 0);
    let mut producers: Vec<_> = (0..8)
        .map(|_| log.producer(&partition).expect("a producer"))
        .collect();
    let ballot = Ballot::new(1, 1);
    let (mut sent, mut receipts) = (Vec::new(), Vec::new());
    for round in 0..50 {
        for (number, producer) in producers.iter_mut().enumerate() {
            let records: Vec<_> = (0..=round % 3)
                .map(|at| data(ballot, &format!("{number} {round} {at}"), Some("")))
                .collect();
            receipts.push(producer.append(&records));
            sent.push(records);
        }
    }
    let offsets: Vec<Offsets> = join_all(receipts)
        .await
        .into_iter()
        .map(|outcome| outcome.expect("room"))
        .collect();
    let read: BTreeMap<_, _> = read_all(log, &partition).await.into_iter().collect();
    let mut last = [None; 8];
    let mut count = 0;
    for (at, (records, offsets)) in sent.iter().zip(&offsets).enumerate() {
        assert_eq!(
            records.len(),
            offsets.len(),
            "order: an offset for each record"
        );
        for (record, offset) in records.iter().zip(offsets) {
            assert_eq!(
                read.get(offset),
                Some(record),
                "order: each is where its receipt says"
            );
            assert!(
                last[at % 8] < Some(*offset),
                "prefix: a producer's records land in the order sent"
            );
            last[at % 8] = Some(*offset);
            count += 1;
        }
    }
    assert_eq!(read.len(), count, "order: nothing is there twice");
    assert_eq!(
        log.end(&partition).await.expect("an end"),
        read.keys().last().map_or(0, |last| last + 1),
        "the end lies behind the last record"
    );
    assert!(log.size_bytes() != Some(0), "records take room");
}

/// Who follows is told of what comes, and of what is there already.
async fn growth_is_told(log: &impl Log) {
    /// No matter how busy the machine is.
    const SOON: Duration = Duration::from_secs(60);
    /// Nothing comes, so nothing is told, however long one waits.
    const NEVER: Duration = Duration::from_millis(300);
    log.declare(&topic("vertex", 2)).await.expect("a new topic");
    let partition = TopicPartition::new("vertex", 0);
    let other = TopicPartition::new("vertex", 1);
    let ballot = Ballot::new(1, 1);
    let mut producer = log.producer(&partition).expect("a producer");
    let mut others = log.producer(&other).expect("a producer");
    for round in 0..20 {
        // Two wait, and a third gives up.
        let (one, two) = (log.grown(&partition, round), log.grown(&partition, round));
        let mut gives_up = log.grown(&partition, round);
        assert!(
            (&mut gives_up).now_or_never().is_none(),
            "growth: nothing has come"
        );
        drop(gives_up);
        let append = async {
            let elsewhere = data(ballot, &round.to_string(), Some(""));
            others.append(&[elsewhere]).await.expect("room");
            if round == 10 {
                tokio::time::sleep(NEVER).await;
                let early = timeout(NEVER, log.grown(&partition, round)).await;
                assert!(early.is_err(), "growth: elsewhere is not here");
            }
            let record = data(ballot, &round.to_string(), Some(""));
            producer.append(&[record]).await.expect("room")
        };
        let (one, two, offsets) = join3(timeout(SOON, one), timeout(SOON, two), append).await;
        for told in [one, two] {
            told.expect("growth: what comes is told").expect("growth");
        }
        assert_eq!(offsets, [round], "growth");
        for from in [0, round] {
            timeout(SOON, log.grown(&partition, from))
                .await
                .expect("growth: what is there is told")
                .expect("growth");
        }
        let chunk = log.read(&partition, round, PLENTY).await.expect("reading");
        assert_eq!(chunk.next, round + 1, "growth: what is told can be read");
    }
    let unknown = TopicPartition::new("vertex", 2);
    assert!(
        matches!(log.grown(&unknown, 0).await, Err(LogError::UnknownPartition(it)) if it == unknown),
        "shape: no growth of {unknown}"
    );
}

/// Rule 5.
async fn reading_goes_on_where_it_ended(log: &impl Log) {
    log.declare(&topic("vertex", 2)).await.expect("a new topic");
    let partition = TopicPartition::new("vertex", 0);
    let other = TopicPartition::new("vertex", 1);
    let ballot = Ballot::new(1, 1);
    let mut producer = log.producer(&partition).expect("a producer");
    let mut others = log.producer(&other).expect("a producer");
    let mut receipts = Vec::new();
    for round in 0..40_usize {
        let value = "v".repeat(round * 20);
        let records = (0..round % 7).map(|at| data(ballot, &format!("{round} {at}"), Some(&value)));
        receipts.push(producer.append(&records.collect::<Vec<_>>()));
        receipts.push(others.append(&[data(ballot, "other", Some(&value))]));
    }
    for receipt in receipts {
        receipt.await.expect("room");
    }
    let all = read_all(log, &partition).await;
    for bytes_max in [0, 1, 100, 1000, 10_000] {
        assert_eq!(
            read_all_by(log, &partition, bytes_max).await,
            all,
            "reading by {bytes_max} bytes"
        );
    }
    for from in 0..=all.len() {
        let chunk = log
            .read(&partition, from as Offset, PLENTY)
            .await
            .expect("reading");
        assert_eq!(chunk.records, all[from..], "reading from the middle");
        assert_eq!(chunk.next, all.len() as Offset, "reading from the middle");
    }
}

async fn large_appends_are_one(log: &impl Log) {
    log.declare(&topic("vertex", 1)).await.expect("a new topic");
    let partition = TopicPartition::new("vertex", 0);
    let ballot = Ballot::new(1, 1);
    let value = "v".repeat(10_000);
    let records: Vec<_> = (0..300)
        .map(|number| data(ballot, &format!("{number}"), Some(&value)))
        .collect();
    let mut producer = log.producer(&partition).expect("a producer");
    assert_eq!(
        producer.append(&records).await,
        Ok((0..300).collect()),
        "a large append"
    );
    let whole = data(ballot, "large", Some(&"w".repeat(3 << 20)));
    assert!(
        whole.bytes() <= log.record_bytes_max("vertex"),
        "3 MiB is nothing special"
    );
    assert_eq!(
        producer.append(std::slice::from_ref(&whole)).await,
        Ok(vec![300]),
        "a large record"
    );
    let read: Vec<_> = read_all_by(log, &partition, 64 << 10)
        .await
        .into_iter()
        .map(|it| it.1)
        .collect();
    assert_eq!(read, [records, vec![whole]].concat(), "a large append");
}

/// Dropping a receipt changes nothing.
async fn nothing_need_wait_for_a_receipt(log: &impl Log) {
    log.declare(&topic("vertex", 1)).await.expect("a new topic");
    let partition = TopicPartition::new("vertex", 0);
    let ballot = Ballot::new(1, 1);
    let mut producer = log.producer(&partition).expect("a producer");
    for number in 0..20 {
        drop(producer.append(&[data(ballot, &number.to_string(), Some(""))]));
    }
    let last = producer.append(&[data(ballot, "last", Some(""))]);
    assert_eq!(
        last.await,
        Ok(vec![20]),
        "what came before the last receipt has landed"
    );
    assert_eq!(
        read_all(log, &partition).await.len(),
        21,
        "a dropped receipt changes nothing"
    );
}

async fn a_closed_log_refuses(log: &impl Log) {
    log.declare(&topic("vertex", 1)).await.expect("a new topic");
    let partition = TopicPartition::new("vertex", 0);
    let ballot = Ballot::new(1, 1);
    let mut producer = log.producer(&partition).expect("a producer");
    let accepted: Vec<_> = (0..10)
        .map(|number| producer.append(&[data(ballot, &number.to_string(), Some(""))]))
        .collect();
    log.close().await;
    log.close().await;
    let refused = producer.append(&[data(ballot, "late", Some(""))]).await;
    assert!(
        matches!(refused, Err(AppendError::Refused(_))),
        "closed: {refused:?}"
    );
    for outcome in join_all(accepted).await {
        assert!(
            outcome.is_ok(),
            "what was accepted before closing is settled: {outcome:?}"
        );
    }
    assert_eq!(
        read_all(log, &partition).await.len(),
        10,
        "closed: nothing landed late"
    );
}

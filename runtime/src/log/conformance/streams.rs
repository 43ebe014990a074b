//! Topics of events.

use bytes::Bytes;
use futures_util::future::join_all;

use super::{read_all, topic};
use crate::{
    ambient::now_ms,
    log::{Log, LogError, TopicPartition},
    record::{Answered, Ballot, Kind, Record},
};

fn event(number: u64, origin: Option<&str>) -> Record {
    Record {
        place: None,
        ballot: Ballot::FOREIGN,
        kind: Kind::Data,
        timestamp_ms: now_ms(),
        schema: 0,
        answered: origin.map(|source| Answered {
            id: Bytes::copy_from_slice(source.as_bytes()),
            fingerprint: number.into(),
            reply: Bytes::from_static(b"a note"),
        }),
        // All of one key: none may go for another.
        key: Bytes::from_static(b"key"),
        value: Some(Bytes::from(number.to_string())),
    }
}

/// Whoever opens a stream first makes it; many write to it at once, and all of it stays.
pub(super) async fn streams(log: &impl Log) {
    log.declare(&topic("vertex", 2)).await.expect("a new topic");
    assert!(log.is_changelog("vertex"), "streams: a state is none");
    let refused = log.open_stream("vertex", 2).await;
    assert!(
        matches!(refused, Err(LogError::Shape { .. })),
        "streams: the changelog of a state is none: {refused:?}"
    );
    assert_eq!(
        log.open_stream("events", 3).await.ok(),
        Some(3),
        "streams: one is made"
    );
    assert_eq!(
        log.open_stream("events", 5).await.ok(),
        Some(3),
        "streams: one that is there is as it is"
    );
    assert!(!log.is_changelog("events"), "streams: one is no state");
    let partition = TopicPartition::new("events", 2);
    let writers = (0..4_u64).map(|writer| {
        let mut producer = log.producer(&partition).expect("a producer");
        async move {
            for number in 0..5 {
                let source = (writer % 2 == 0).then_some("vertex/1");
                let record = event(writer * 100 + number, source);
                producer.append(&[record]).await.expect("it lands");
            }
        }
    });
    join_all(writers).await;
    let records = read_all(log, &partition).await;
    assert_eq!(records.len(), 20, "streams: all of it stays");
    for writer in 0..4_u64 {
        let of_writer = records.iter().filter_map(|(_, record)| {
            let text = std::str::from_utf8(record.value.as_ref()?).ok()?;
            let number: u64 = text.parse().ok()?;
            (number / 100 == writer).then_some((number, record))
        });
        for (expected, (number, record)) in (writer * 100..).zip(of_writer) {
            assert_eq!(number, expected, "streams: each producer's are in order");
            let written = event(number, (writer % 2 == 0).then_some("vertex/1"));
            assert_eq!(
                (&record.answered, &record.key, record.ballot, record.kind),
                (&written.answered, &written.key, Ballot::FOREIGN, Kind::Data),
                "streams: records come back as they were"
            );
        }
    }
}

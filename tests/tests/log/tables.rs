//! Topics that others write, of which the last record of each key stays.

use std::{collections::BTreeMap, ops::Range, path::Path, time::Duration};

use bytes::Bytes;
use memgen::{
    log::{
        Log as _, TopicPartition,
        conformance::read_all,
        embedded::{Embedded, Options, Sync},
    },
    record::{Ballot, Kind, Offset, Record},
};
use memgen_tests::Folder;

use super::common::quiet;

/// Keys from here on are beside the table.
const OTHERS: u32 = 1000;

fn record(key: u32, value: Option<u32>) -> Record {
    Record {
        place: None,
        ballot: Ballot::FOREIGN,
        kind: Kind::Data,
        // Long ago.
        timestamp_ms: 1,
        schema: 0,
        answered: None,
        key: Bytes::from(key.to_string()),
        value: value.map(|value| Bytes::from(value.to_string())),
    }
}

fn open(folder: &Path, tables: &[&str]) -> Embedded {
    let options = Options {
        sync: Sync::Os,
        segment_bytes: 4096,
        stream_retention: Duration::from_secs(3600),
        stream_readers: [("rates".to_owned(), 2)].into(),
        tables: tables.iter().map(|it| (*it).to_owned()).collect(),
        ..quiet()
    };
    Embedded::open(folder, options).expect("the log opens")
}

/// The last values, and how many records there are at these offsets.
fn fold(records: &[(Offset, Record)], offsets: Range<Offset>) -> (BTreeMap<Bytes, Bytes>, usize) {
    let mut table = BTreeMap::new();
    for (_, record) in records {
        match &record.value {
            Some(value) => drop(table.insert(record.key.clone(), value.clone())),
            None => drop(table.remove(&record.key)),
        }
    }
    // Those beside it have longer keys.
    table.retain(|key, _| key.len() < OTHERS.to_string().len());
    let at = records.iter().filter(|(at, _)| offsets.contains(at));
    (table, at.count())
}

/// Writes enough for what was written before to be compacted: other keys, which are not looked at.
async fn seal(log: &Embedded, partition: &TopicPartition) {
    let mut producer = log.producer(partition).expect("a producer");
    for number in 0..200 {
        let record = record(OTHERS + number, Some(1));
        producer.append(&[record]).await.expect("it lands");
    }
    log.compact().expect("it is compacted");
}

#[tokio::test]
async fn the_last_value_of_each_key_stays() {
    let folder = Folder::new();
    let log = open(folder.path(), &["rates"]);
    let partition = TopicPartition::new("rates", 0);
    assert_eq!(log.open_table("rates").await.ok(), Some(1));
    let mut producer = log.producer(&partition).expect("a producer");
    for number in 0..2000 {
        let deletes = number % 10 == 9;
        let record = record(number % 130, (!deletes).then_some(number));
        producer.append(&[record]).await.expect("it lands");
    }
    drop(producer);
    let (table, all) = fold(&read_all(&log, &partition).await, 0..2000);
    assert_eq!(all, 2000);

    // One of two has read it.
    log.consumed(&partition, "one", 1900);
    seal(&log, &partition).await;
    let kept = fold(&read_all(&log, &partition).await, 0..2000);
    assert_eq!(kept, (table.clone(), 2000));
    // The other one reads on from 1500, and will see what was deleted since.
    log.consumed(&partition, "other", 1500);
    seal(&log, &partition).await;
    let records = read_all(&log, &partition).await;
    assert_eq!(fold(&records, 0..1500), (table.clone(), 0), "all are newer");
    assert_eq!(fold(&records, 1500..2000).1, 500);
    // What is left after all of it was read.
    for reader in ["one", "other"] {
        log.consumed(&partition, reader, 2000);
    }
    seal(&log, &partition).await;
    let (kept, records) = fold(&read_all(&log, &partition).await, 0..2000);
    assert_eq!((&kept, records), (&table, table.len()), "one for each key");
    log.close().await;
    drop(log);

    // A stream that is no table forgets all that was read.
    let log = open(folder.path(), &[]);
    for reader in ["one", "other"] {
        log.consumed(&partition, reader, 2000);
    }
    seal(&log, &partition).await;
    let (kept, records) = fold(&read_all(&log, &partition).await, 0..2000);
    assert_eq!((kept.len(), records), (0, 0));
}

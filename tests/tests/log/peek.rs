//! A look at a log that is in use.

use std::{collections::HashSet, path::Path, sync::Arc};

use memgen::{
    log::{
        KeptLayout, Log as _,
        conformance::{data, read_all, topic},
        embedded::{Options, Peek},
    },
    record::{Ballot, Record},
};

use crate::common::{append_each, copy, open_with, partition, quiet};

/// The layouts of the values that are seen in a log's folder.
async fn look(folder: &Path) -> HashSet<u64> {
    let peek = Peek::open(folder).expect("it is whole");
    if peek.end(&partition()).await.is_err() {
        return HashSet::new();
    }
    let records = read_all(&peek, &partition()).await;
    let values = records.iter().filter(|(_, record)| record.value.is_some());
    values.map(|(_, record)| record.schema).collect()
}

fn record(key: &str, value: Option<&str>, schema: u64) -> Record {
    Record {
        schema,
        ..data(Ballot::new(1, 1), key, value)
    }
}

#[tokio::test]
async fn what_is_written_is_seen_while_the_log_is_open() {
    let folder = tempfile::tempdir().expect("a folder");
    assert!(look(folder.path()).await.is_empty(), "there is no log");
    let options = Options {
        segment_bytes: 4096,
        ..quiet()
    };
    let log = open_with(folder.path(), options.clone());
    let mut producer = log.producer(&partition()).expect("a producer");
    let text = "x".repeat(3000);
    let before = [
        record("a", Some(&text), 7),
        record("b", Some(&text), 8),
        record("c", None, 9),
    ];
    append_each(&mut producer, &before).await;
    assert_eq!(look(folder.path()).await, HashSet::from([7, 8]));

    // A crash in the middle of a write: what is whole is seen.
    let crashed = tempfile::tempdir().expect("a folder");
    copy(folder.path(), crashed.path());
    let after = [record("a", Some(&text), 10), record("a", Some(&text), 10)];
    append_each(&mut producer, &after).await;
    assert_eq!(look(folder.path()).await, HashSet::from([7, 8, 10]));
    assert_eq!(look(crashed.path()).await, HashSet::from([7, 8]));

    // What a compaction removes is not there any more.
    log.compact().expect("there is room");
    assert_eq!(look(folder.path()).await, HashSet::from([8, 10]));
    drop((log, producer));
    assert_eq!(look(folder.path()).await, HashSet::from([8, 10]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_compaction_in_between_does_not_disturb() {
    let folder = tempfile::tempdir().expect("a folder");
    let options = Options {
        segment_bytes: 4096,
        growth_percent: 0,
        compact: true,
        ..Options::default()
    };
    let log = Arc::new(open_with(folder.path(), options));
    let mut producer = log.producer(&partition()).expect("a producer");
    append_each(&mut producer, &[record("first", Some("1"), 7)]).await;
    let writer = tokio::spawn(async move {
        for round in 0..1500_u32 {
            let key = format!("{}", round % 10);
            append_each(&mut producer, &[record(&key, Some("1"), 8)]).await;
        }
    });
    while !writer.is_finished() {
        let seen = look(folder.path()).await;
        assert!(seen.contains(&7) && seen.len() <= 2, "{seen:?}");
    }
    writer.await.expect("it wrote");
}

#[tokio::test]
async fn it_goes_on_where_the_log_does() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = open_with(folder.path(), quiet());
    let mut producer = log.producer(&partition()).expect("a producer");
    append_each(&mut producer, &[record("a", Some("1"), 7)]).await;
    let peek = Peek::open(folder.path()).expect("it is whole");
    assert_eq!(peek.end(&partition()).await.expect("it is there"), 1);
    append_each(&mut producer, &[record("b", Some("2"), 7)]).await;
    peek.grown(&partition(), 1).await.expect("it is whole");
    let seen = peek
        .read(&partition(), 1, 1 << 20)
        .await
        .expect("it is whole");
    assert_eq!((seen.records[0].1.key.as_ref(), seen.next), (&b"b"[..], 2));
}

/// It neither makes a topic nor writes into one.
#[tokio::test]
async fn nothing_is_changed_by_a_look() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = open_with(folder.path(), quiet());
    let peek = Peek::open(folder.path()).expect("it is whole");
    let mut topic = topic("vertex", 2);
    peek.declare(&topic).await.expect("it is there as declared");
    topic.partitions += 1;
    let refused = peek.declare(&topic).await.expect_err("it has fewer");
    assert!(
        refused.to_string().contains("number of partitions"),
        "{refused}"
    );
    topic.name = "other".to_owned();
    let refused = peek.declare(&topic).await.expect_err("there is none");
    assert!(
        refused.to_string().contains("there is no topic `other`"),
        "{refused}"
    );
    assert!(peek.producer(&partition()).is_err());
    let layout = KeptLayout {
        fingerprint: 1,
        text: "{}".to_owned(),
    };
    assert!(peek.keep_layout("vertex", &layout).await.is_err());
    assert!(log.layouts("vertex").await.expect("it is whole").is_empty());
}

//! A look at a log that is in use.

use std::{collections::HashSet, sync::Arc};

use memgen::{
    log::{
        Log as _,
        conformance::data,
        embedded::{Embedded, Options},
    },
    record::{Ballot, Record},
};

use crate::common::{append_each, copy, open_with, partition, quiet};

fn record(key: &str, value: Option<&str>, schema: u64) -> Record {
    Record {
        schema,
        ..data(Ballot::new(1, 1), key, value)
    }
}

#[tokio::test]
async fn what_is_written_is_seen_while_the_log_is_open() {
    let folder = tempfile::tempdir().expect("a folder");
    let look = |topic: &str| Embedded::peek_written(folder.path(), topic).expect("it is whole");
    assert!(look("vertex").is_empty(), "there is no log");
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
    assert_eq!(look("vertex"), HashSet::from([7, 8]));
    assert!(look("component").is_empty(), "another topic");

    // A crash in the middle of a write: what is whole is seen.
    let crashed = tempfile::tempdir().expect("a folder");
    copy(folder.path(), crashed.path());
    let after = [record("a", Some(&text), 10), record("a", Some(&text), 10)];
    append_each(&mut producer, &after).await;
    assert_eq!(look("vertex"), HashSet::from([7, 8, 10]));
    let seen = Embedded::peek_written(crashed.path(), "vertex").expect("it is whole");
    assert_eq!(seen, HashSet::from([7, 8]));

    // What a compaction removes is not there any more.
    log.compact().expect("there is room");
    assert_eq!(look("vertex"), HashSet::from([8, 10]));
    drop((log, producer));
    assert_eq!(look("vertex"), HashSet::from([8, 10]));
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
        let path = folder.path().to_owned();
        let seen = tokio::task::spawn_blocking(move || Embedded::peek_written(path, "vertex"));
        let seen = seen.await.expect("it does not panic").expect("it is whole");
        assert!(seen.contains(&7) && seen.len() <= 2, "{seen:?}");
    }
    writer.await.expect("it wrote");
}

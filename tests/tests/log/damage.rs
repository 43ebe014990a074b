//! What happens to the files of the embedded log: torn tails are cut, damage is refused.

use std::{
    fs::{self, OpenOptions},
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use memgen::{
    log::{
        AppendError, Log, LogError, TopicPartition,
        conformance::{data, read_all, topic},
        embedded::{Embedded, Hook, Options, Step, Sync},
    },
    record::{Ballot, Offset, Record},
};

use super::common::{append_each, copy, has_extension, names, open, open_with, partition, quiet};

const JOURNAL: &str = "journal-0000000001.log";

fn records(count: usize) -> Vec<Record> {
    (0..count)
        .map(|it| data(Ballot::new(1, 1), &format!("key {it}"), Some("value")))
        .collect()
}

/// A log of three frames that was never closed, a place for copies, and where the last frame begins and ends.
async fn crashed(folder: &Path, options: Options) -> (Vec<(Offset, Record)>, u64, u64) {
    let log = open_with(&folder.join("log"), options);
    let mut producer = log.producer(&partition()).expect("a producer");
    let end = || frames_end(&folder.join("log").join(JOURNAL));
    let records = records(3);
    append_each(&mut producer, &records[..2]).await;
    let last = end();
    append_each(&mut producer, &records[2..]).await;
    let expected = read_all(&log, &partition()).await;
    copy(&folder.join("log"), &folder.join("crashed"));
    (expected, last, end())
}

/// Where the zeros at a file's end begin; the frames of these tests don't end in zeros.
fn frames_end(path: &Path) -> u64 {
    let bytes = fs::read(path).expect("the journal can be read");
    bytes.iter().rposition(|byte| *byte != 0).expect("a header") as u64 + 1
}

fn edit(path: &Path, edit: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).expect("the file can be read");
    edit(&mut bytes);
    fs::write(path, bytes).expect("the file can be written");
}

fn corrupt(folder: &Path, what: &str) -> (PathBuf, u64, String) {
    match Embedded::open(folder, quiet()) {
        Err(LogError::Corrupt {
            path,
            position,
            what,
        }) => (path, position, what),
        other => panic!("{what}: {other:?}"),
    }
}

/// Leaves nothing as it was from a place on.
type Tear = fn(&mut Vec<u8>, usize);

#[tokio::test]
async fn a_torn_tail_is_cut_wherever_it_was_torn() {
    let folder = tempfile::tempdir().expect("a folder");
    let (expected, last, end) = crashed(folder.path(), quiet()).await;
    let torn = folder.path().join("torn");
    let tears: [(&str, Tear); 3] = [
        ("cut", |bytes, at| bytes.truncate(at)),
        ("zeros", |bytes, at| bytes[at..].fill(0)),
        ("garbage", |bytes, at| bytes[at..].fill(0xa5)),
    ];
    for (name, tear) in tears {
        for at in last..end {
            copy(&folder.path().join("crashed"), &torn);
            edit(&torn.join(JOURNAL), |bytes| {
                tear(bytes, usize::try_from(at).expect("small"));
            });
            let log = open(&torn);
            assert_eq!(
                read_all(&log, &partition()).await,
                expected[..2],
                "{name} at {at}"
            );
            let mut producer = log.producer(&partition()).expect("a producer");
            let again = append_each(&mut producer, &[expected[2].1.clone()]).await;
            assert_eq!(
                again,
                [2],
                "{name} at {at}: offsets go on where the log ends"
            );
            drop(log);
            assert_eq!(
                read_all(&open(&torn), &partition()).await,
                expected,
                "{name} at {at}"
            );
        }
    }
    assert_eq!(
        read_all(&open(&folder.path().join("crashed")), &partition()).await,
        expected
    );
}

/// Each byte of a log that was closed, or that was opened again after a crash.
#[tokio::test]
async fn a_flipped_byte_is_refused_with_its_place() {
    for sync in [Sync::Fsync, Sync::Os] {
        for closed in [true, false] {
            let folder = tempfile::tempdir().expect("a folder");
            let options = Options { sync, ..quiet() };
            let (_, last, end) = crashed(folder.path(), options.clone()).await;
            let whole = folder.path().join("crashed");
            if closed {
                open_with(&whole, options).close().await;
            }
            let damaged = folder.path().join("damaged");
            // Of the last frame nobody knows whether it was torn, unless the log was closed or opened since.
            for at in 0..if closed { end } else { last } {
                copy(&whole, &damaged);
                let at = usize::try_from(at).expect("small");
                edit(&damaged.join(JOURNAL), |bytes| bytes[at] ^= 0x10);
                let before = fs::read(damaged.join(JOURNAL)).expect("the journal");
                let (path, position, _) = corrupt(&damaged, &format!("{sync:?} {closed} {at}"));
                assert_eq!(path, damaged.join(JOURNAL));
                assert!(position <= at as u64, "{position} is at or before {at}");
                assert!(at as u64 - position < 200, "{position} is near {at}");
                assert_eq!(
                    fs::read(path).expect("the journal"),
                    before,
                    "nothing was changed"
                );
            }
        }
    }
}

#[tokio::test]
async fn damage_to_sealed_and_compacted_segments_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let whole = folder.path().join("log");
    let options = Options {
        segment_bytes: 4096,
        ..quiet()
    };
    {
        let log = open_with(&whole, options);
        let mut producer = log.producer(&partition()).expect("a producer");
        append_each(&mut producer, &records(60)).await;
        log.compact().expect("there is room");
        append_each(&mut producer, &records(60)).await;
    }
    let files: Vec<_> = names(&whole)
        .into_iter()
        .filter(|name| has_extension(name, "log"))
        .collect();
    assert!(
        files.iter().any(|name| name.starts_with("compacted")),
        "{files:?}"
    );
    assert!(
        files
            .iter()
            .filter(|name| name.starts_with("journal"))
            .count()
            > 1,
        "{files:?}"
    );
    let damaged = folder.path().join("damaged");
    for name in &files {
        let length = fs::metadata(whole.join(name)).expect("a file").len();
        for at in (0..length - 100).step_by(61) {
            copy(&whole, &damaged);
            let at = usize::try_from(at).expect("small");
            edit(&damaged.join(name), |bytes| bytes[at] ^= 1);
            let (path, position, _) = corrupt(&damaged, &format!("{name} at {at}"));
            assert_eq!(path, damaged.join(name));
            assert!(position <= at as u64, "{position} is at or before {at}");
        }
        let is_last_journal = Some(name) == files.last();
        copy(&whole, &damaged);
        fs::remove_file(damaged.join(name)).expect("it is there");
        if !is_last_journal {
            assert!(
                Embedded::open(&damaged, quiet()).is_err(),
                "{name} is missing"
            );
        }
    }
}

/// Whole frames and whole journals that are gone leave no damage behind, only gaps.
#[tokio::test]
async fn what_is_missing_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let whole = folder.path().join("log");
    {
        let log = open_with(
            &whole,
            Options {
                segment_bytes: 4096,
                ..quiet()
            },
        );
        // Some journals hold records of both partitions, some of one.
        for (number, count) in [(1, 40), (0, 90), (1, 40)] {
            let partition = TopicPartition::new("vertex", number);
            let mut producer = log.producer(&partition).expect("a producer");
            append_each(&mut producer, &records(count)).await;
        }
    }
    let damaged = folder.path().join("damaged");
    let journals: Vec<_> = names(&whole)
        .into_iter()
        .filter(|it| has_extension(it, "log"))
        .collect();
    assert!(journals.len() > 4, "{journals:?}");
    for name in &journals[..journals.len() - 1] {
        copy(&whole, &damaged);
        fs::remove_file(damaged.join(name)).expect("it is there");
        let (path, ..) = corrupt(&damaged, &format!("{name} is missing"));
        assert_eq!(path, damaged.join(name));
    }
    copy(&whole, &damaged);
    edit(&damaged.join(JOURNAL), |bytes| {
        let frame = 48 + usize::from(u16::from_le_bytes([bytes[64 + 12], bytes[64 + 13]]));
        bytes.truncate(64 + 3 * frame);
    });
    let (path, position, what) = corrupt(&damaged, "frames are missing");
    assert_eq!((path, position), (damaged.join(&journals[1]), 64));
    assert!(what.contains("not at 3"), "{what}");
}

#[tokio::test]
async fn a_changed_manifest_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let whole = folder.path().join("log");
    drop(open(&whole));
    let damaged = folder.path().join("damaged");
    let length = fs::metadata(whole.join("manifest.json"))
        .expect("a manifest")
        .len();
    for at in 0..usize::try_from(length).expect("small") {
        copy(&whole, &damaged);
        edit(&damaged.join("manifest.json"), |bytes| bytes[at] ^= 4);
        if let Ok(log) = Embedded::open(&damaged, quiet()) {
            // A blank became another.
            log.declare(&topic("vertex", 2))
                .await
                .expect("it means the same");
        }
    }
    copy(&whole, &damaged);
    fs::remove_file(damaged.join("manifest.json")).expect("it is there");
    let (path, ..) = corrupt(&damaged, "without a manifest");
    assert_eq!(path, damaged.join("manifest.json"));
}

#[tokio::test]
async fn another_format_is_refused_with_a_way_out() {
    let folder = tempfile::tempdir().expect("a folder");
    drop(open(folder.path()));
    edit(&folder.path().join(JOURNAL), |bytes| bytes[8] = 2);
    let (_, position, what) = corrupt(folder.path(), "format 2");
    assert_eq!(position, 8);
    assert!(
        what.contains("format 2") && what.contains("version of memgen"),
        "{what}"
    );
    edit(&folder.path().join("manifest.json"), |bytes| {
        let text = String::from_utf8(bytes.clone()).expect("JSON");
        *bytes = text
            .replace("\"version\": 1", "\"version\": 7")
            .into_bytes();
    });
    let (path, _, what) = corrupt(folder.path(), "version 7");
    assert_eq!(path, folder.path().join("manifest.json"));
    assert!(
        what.contains("version 7") && what.contains("version 1"),
        "{what}"
    );
}

#[tokio::test]
async fn a_second_opening_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = open(folder.path());
    let error = Embedded::open(folder.path(), quiet()).expect_err("it is in use");
    assert!(
        matches!(&error, LogError::InUse { path } if path == folder.path()),
        "{error}"
    );
    log.close().await;
    drop(open(folder.path()));
}

/// Bytes that look like a frame prove nothing where they are not in their place: they may be those of a value.
#[tokio::test]
async fn what_only_looks_like_a_frame_is_none() {
    let folder = tempfile::tempdir().expect("a folder");
    let (expected, _, end) = crashed(folder.path(), quiet()).await;
    let crashed = folder.path().join("crashed");
    let bytes = fs::read(crashed.join(JOURNAL)).expect("the journal");
    let frames = &bytes[64..usize::try_from(end).expect("small")];
    let second = 64 + 48 + usize::from(u16::from_le_bytes([frames[12], frames[13]]));
    // The second frame is torn. Behind it lie, at other places, frames of this very journal; the third of them
    // says that where the second was is durable.
    edit(&crashed.join(JOURNAL), |bytes| {
        bytes.truncate(second + 50);
        bytes.extend_from_slice(frames);
    });
    assert_eq!(read_all(&open(&crashed), &partition()).await, expected[..1]);
}

/// After a sync that failed nothing is acknowledged any more; a restart finds out what is there.
#[tokio::test]
async fn a_failed_sync_stops_the_log() {
    let folder = tempfile::tempdir().expect("a folder");
    let failing = Arc::new(AtomicBool::new(false));
    let hook = Hook::new({
        let failing = Arc::clone(&failing);
        move |step| {
            // Only the first sync fails: the next would 'succeed'.
            if step == Step::Sync && failing.swap(false, Ordering::Relaxed) {
                return Err(io::Error::other("the disk is on fire"));
            }
            Ok(())
        }
    });
    let log = open_with(folder.path(), Options { hook, ..quiet() });
    let mut producer = log.producer(&partition()).expect("a producer");
    let records = records(4);
    append_each(&mut producer, &records[..1]).await;
    failing.store(true, Ordering::Relaxed);
    let unknown = producer.append(&[records[1].clone()]).await;
    assert!(
        matches!(&unknown, Err(AppendError::Unknown(why)) if why.contains("on fire")),
        "{unknown:?}"
    );
    let mut other = log.producer(&partition()).expect("a producer");
    for producer in [&mut producer, &mut other] {
        let refused = producer.append(&[records[2].clone()]).await;
        assert!(
            matches!(refused, Err(AppendError::Refused(_))),
            "{refused:?}"
        );
    }
    assert_eq!(
        read_all(&log, &partition()).await.len(),
        1,
        "reads go on, of what is durable"
    );
    drop((log, producer, other));
    let log = open(folder.path());
    let read = read_all(&log, &partition()).await;
    assert!(
        matches!(read.len(), 1 | 2),
        "what was unknown is there or not: {read:?}"
    );
    let mut producer = log.producer(&partition()).expect("a producer");
    let offsets = append_each(&mut producer, &records[3..]).await;
    assert_eq!(offsets, [read.len() as Offset]);
}

/// A record that can't be read any more is an error that names its place.
#[tokio::test]
async fn damage_under_an_open_log_is_noticed() {
    use std::os::unix::fs::FileExt;
    let folder = tempfile::tempdir().expect("a folder");
    let log = open(folder.path());
    let mut producer = log.producer(&partition()).expect("a producer");
    append_each(&mut producer, &records(3)).await;
    let path = folder.path().join(JOURNAL);
    let file = OpenOptions::new()
        .write(true)
        .open(&path)
        .expect("the journal");
    file.write_all_at(b"!", 64 + 48 + 60)
        .expect("it can be written");
    let error = log
        .read(&partition(), 0, 1 << 20)
        .await
        .expect_err("damage");
    assert!(
        matches!(&error, LogError::Corrupt { path: at, position: 64, .. } if *at == path),
        "{error}"
    );
}

//! A full disk, for real: a test runs itself again in a place with little room.

use std::{
    env,
    ffi::OsString,
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    process::Command,
};

use memgen::{
    log::{
        AppendError, Log, LogError, Producer,
        conformance::{data, read_all},
        embedded::Options,
    },
    record::{Ballot, Offset, Record},
};

use super::common::{copy, open_with, partition, quiet};

/// The folder of the test that runs in a place with little room.
const FOLDER: &str = "MEMGEN_TEST_SMALL_FOLDER";

fn options() -> Options {
    Options {
        segment_bytes: 256 << 10,
        ..quiet()
    }
}

fn record(number: usize) -> Record {
    data(
        Ballot::new(1, 1),
        &format!("{number}"),
        Some(&"v".repeat(3000)),
    )
}

/// Runs the test `name` of this program by a shell that has done `before`.
fn run(before: &str, name: &str, folder: &Path, in_namespace: bool) {
    let script = format!("{before} && exec \"$0\" \"$@\"");
    let mut command = Command::new(if in_namespace { "unshare" } else { "sh" });
    if in_namespace {
        // The mount ends with the namespace, however the test ends.
        command.args(["--user", "--map-root-user", "--mount", "sh"]);
    }
    let this = env::current_exe()
        .map(OsString::from)
        .expect("this program has a path");
    let output = command
        .args(["-c", &script])
        .arg(this)
        .args(["--exact", name, "--nocapture", "--test-threads", "1"])
        .env(FOLDER, folder)
        .output()
        .expect("`sh` and `unshare` (util-linux) are installed");
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "`{before}` and then `{name}` must work here: a full disk can't be tested otherwise\n{text}"
    );
}

/// The folder with little room, in the run of a test that another run of it started.
fn small_folder() -> Option<PathBuf> {
    env::var_os(FOLDER).map(PathBuf::from)
}

/// Runs the second half of a test, in the process that its first half started.
fn block_on<T>(half: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(half)
}

/// Writes until there is no room. What was acknowledged, and a receipt of each append behind the one that failed.
async fn fill(
    producer: &mut Box<dyn Producer>,
    acknowledged: &mut Vec<(Offset, Record)>,
) -> Vec<AppendError> {
    for round in 0.. {
        let records: Vec<_> = (0..8).map(|it| record(round * 8 + it)).collect();
        let receipts: Vec<_> = records
            .iter()
            .map(|record| producer.append(std::slice::from_ref(record)))
            .collect();
        let mut errors = Vec::new();
        for (record, receipt) in records.into_iter().zip(receipts) {
            match receipt.await {
                Ok(offsets) => {
                    assert!(errors.is_empty(), "nothing lands behind a failure");
                    acknowledged.push((offsets[0], record));
                }
                Err(error) => errors.push(error),
            }
        }
        if !errors.is_empty() {
            return errors;
        }
        assert!(round < 10_000, "it never gets full");
    }
    unreachable!("the loop has no end")
}

async fn refuses_and_still_reads(folder: &Path) -> Vec<(Offset, Record)> {
    let log = open_with(folder, options());
    let mut producer = log.producer(&partition()).expect("a producer");
    let mut acknowledged = Vec::new();
    let errors = fill(&mut producer, &mut acknowledged).await;
    assert!(
        errors
            .iter()
            .all(|error| matches!(error, AppendError::Full(_))),
        "{errors:?}"
    );
    let crashed = tempfile::tempdir().expect("a folder with room");
    copy(folder, crashed.path());
    assert_eq!(
        read_all(&open_with(crashed.path(), options()), &partition()).await,
        acknowledged,
        "what failed does not turn up after a crash either"
    );
    let later = producer.append(&[record(0)]).await;
    assert!(
        matches!(later, Err(AppendError::Refused(_))),
        "one failure ends a producer: {later:?}"
    );
    let mut other = log.producer(&partition()).expect("a producer");
    let large = data(Ballot::new(1, 1), "large", Some(&"v".repeat(2 << 20)));
    let still = other.append(&[large]).await;
    assert!(matches!(still, Err(AppendError::Full(_))), "{still:?}");
    assert_eq!(
        read_all(&log, &partition()).await,
        acknowledged,
        "reads go on"
    );
    drop((log, producer, other));
    let log = open_with(folder, options());
    assert_eq!(
        read_all(&log, &partition()).await,
        acknowledged,
        "what failed never turns up"
    );
    acknowledged
}

#[test]
fn a_full_disk_refuses_writes_and_recovers() {
    if let Some(folder) = small_folder() {
        return block_on(in_a_small_file_system(&folder));
    }
    let folder = tempfile::tempdir().expect("a folder");
    let mount = format!(
        "mount -t tmpfs -o size=3m memgen-test {}",
        folder.path().display()
    );
    run(
        &mount,
        "full::a_full_disk_refuses_writes_and_recovers",
        folder.path(),
        true,
    );
}

async fn in_a_small_file_system(folder: &Path) {
    let filler = folder.join("filler");
    fs::write(&filler, vec![1; 1 << 20]).expect("there is room for it");
    let log = folder.join("log");
    let mut acknowledged = refuses_and_still_reads(&log).await;
    assert!(acknowledged.len() > 100, "{}", acknowledged.len());

    let log = open_with(&log, options());
    let mut failed = log.producer(&partition()).expect("a producer");
    fill(&mut failed, &mut acknowledged).await;
    fs::remove_file(filler).expect("it is there");
    let refused = failed.append(&[record(0)]).await;
    assert!(
        matches!(refused, Err(AppendError::Refused(_))),
        "{refused:?}"
    );
    let mut producer = log.producer(&partition()).expect("a producer");
    let before = acknowledged.len();
    fill(&mut producer, &mut acknowledged).await;
    assert!(acknowledged.len() > before + 100, "there is room again");
    drop((failed, producer, log));
    let log = open_with(&folder.join("log"), options());
    assert_eq!(read_all(&log, &partition()).await, acknowledged);
}

/// Compaction needs room for its result. Without it, it changes nothing and leaves nothing.
#[test]
fn a_compaction_without_room_changes_nothing() {
    if let Some(folder) = small_folder() {
        return block_on(compacting_in_a_small_file_system(&folder));
    }
    let folder = tempfile::tempdir().expect("a folder");
    let mount = format!(
        "mount -t tmpfs -o size=3m memgen-test {}",
        folder.path().display()
    );
    run(
        &mount,
        "full::a_compaction_without_room_changes_nothing",
        folder.path(),
        true,
    );
}

async fn compacting_in_a_small_file_system(folder: &Path) {
    let log = open_with(&folder.join("log"), options());
    let mut producer = log.producer(&partition()).expect("a producer");
    let mut acknowledged = Vec::new();
    fill(&mut producer, &mut acknowledged).await;
    let names = super::common::names(&folder.join("log"));
    let error = log.compact().expect_err("there is no room");
    assert!(
        matches!(&error, LogError::Io { source, .. } if source.kind() == ErrorKind::StorageFull),
        "{error}"
    );
    assert_eq!(super::common::names(&folder.join("log")), names);
    assert_eq!(read_all(&log, &partition()).await, acknowledged);
}

#[test]
fn a_limit_on_the_length_of_files_is_a_full_disk() {
    if let Some(folder) = small_folder() {
        return block_on(below_a_limit(&folder));
    }
    let folder = tempfile::tempdir().expect("a folder");
    // Units of 512 or of 1024 bytes, by shell; either is below a segment's length.
    run(
        "trap '' XFSZ && ulimit -f 100",
        "full::a_limit_on_the_length_of_files_is_a_full_disk",
        folder.path(),
        false,
    );
}

async fn below_a_limit(folder: &Path) {
    let acknowledged = refuses_and_still_reads(folder).await;
    assert!(acknowledged.len() > 10, "{}", acknowledged.len());
}

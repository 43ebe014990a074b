//! Topics of the embedded log whose records count once the system has them, beside others.

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Condvar, Mutex},
    time::Duration,
};

use futures_util::FutureExt as _;
use memgen::{
    log::{
        Ack, AppendError, Log, TopicPartition, conformance,
        conformance::{data, read_all, topic},
        embedded::{Embedded, Hook, Options, Step, Sync},
    },
    record::Ballot,
};
use tokio::time::timeout;

/// No matter how busy the machine is.
const SOON: Duration = Duration::from_secs(60);

fn options(hook: Hook) -> Options {
    Options {
        syncs: BTreeMap::from([("weak".to_owned(), Sync::Os)]),
        hook,
        ..Options::default()
    }
}

async fn open(folder: &std::path::Path, hook: Hook) -> (Embedded, [TopicPartition; 2]) {
    let log = Embedded::open(folder, options(hook)).expect("it opens");
    for name in ["weak", "strong"] {
        log.declare(&topic(name, 1)).await.expect("a new topic");
    }
    let partitions = ["weak", "strong"].map(|name| TopicPartition::new(name, 0));
    (log, partitions)
}

/// What syncs do: `None` lets them wait.
#[derive(Default)]
struct Disk {
    answer: Mutex<Option<Result<(), ()>>>,
    asked: Mutex<usize>,
    changed: Condvar,
}

impl Disk {
    fn hook(self: &Arc<Self>) -> Hook {
        let disk = Arc::clone(self);
        Hook::new(move |step| {
            if step != Step::Sync {
                return Ok(());
            }
            *disk.asked.lock().expect("nothing panics") += 1;
            disk.changed.notify_all();
            let answer = disk.answer.lock().expect("nothing panics");
            let answer = disk
                .changed
                .wait_while(answer, |answer| answer.is_none())
                .expect("nothing panics");
            match *answer {
                Some(Err(())) => Err(io::Error::other("the disk is gone")),
                _ => Ok(()),
            }
        })
    }

    fn answers(&self, answer: Option<Result<(), ()>>) {
        *self.answer.lock().expect("nothing panics") = answer;
        self.changed.notify_all();
    }

    fn asked(&self) -> usize {
        *self.asked.lock().expect("nothing panics")
    }
}

#[tokio::test]
async fn both_levels_in_one_log_conform() {
    for weak in ["vertex", "component"] {
        let folder = tempfile::tempdir().expect("a folder");
        let options = Options {
            syncs: BTreeMap::from([(weak.to_owned(), Sync::Os)]),
            ..Options::default()
        };
        conformance::suite(async || {
            let folder = folder.path().join(fresh());
            Embedded::open(folder, options.clone()).expect("it opens")
        })
        .await;
        let folder = folder.path().join("reopened");
        conformance::reopened(async || Embedded::open(&folder, options.clone()).expect("it opens"))
            .await;
    }
}

/// A name that no other folder has.
fn fresh() -> String {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    NUMBER.fetch_add(1, Ordering::Relaxed).to_string()
}

/// One is answered while the disk is busy, and the other waits for it. After a sync that failed nothing is acknowledged.
#[tokio::test(flavor = "multi_thread")]
async fn the_weaker_level_does_not_wait_for_the_disk() {
    let folder = tempfile::tempdir().expect("a folder");
    let disk = Arc::new(Disk::default());
    disk.answers(Some(Ok(())));
    let (log, [weak, strong]) = open(folder.path(), disk.hook()).await;
    assert_eq!((log.ack("weak"), log.ack("strong")), (Ack::Os, Ack::Fsync));
    let record = [data(Ballot::new(1, 1), "key", Some("value"))];
    let (mut of_weak, mut of_strong) = (
        log.producer(&weak).expect("a producer"),
        log.producer(&strong).expect("a producer"),
    );
    let asked = disk.asked();
    disk.answers(None);
    let outcome = timeout(SOON, of_weak.append(&record)).await;
    assert_eq!(outcome.expect("it does not wait"), Ok(vec![0]));
    assert_eq!(read_all(&log, &weak).await.len(), 1, "it is seen");
    let mut waiting = of_strong.append(&record);
    while disk.asked() == asked {
        tokio::task::yield_now().await;
    }
    assert!((&mut waiting).now_or_never().is_none(), "it waits");
    assert_eq!(read_all(&log, &strong).await.len(), 0, "nor is it seen");
    disk.answers(Some(Ok(())));
    let outcome = timeout(SOON, waiting).await.expect("the disk answers");
    assert_eq!(outcome, Ok(vec![0]));

    disk.answers(Some(Err(())));
    let outcome = timeout(SOON, of_strong.append(&record)).await;
    let outcome = outcome.expect("an outcome");
    assert!(
        matches!(outcome, Err(AppendError::Unknown(_))),
        "{outcome:?}"
    );
    let refused = of_weak.append(&record).await;
    assert!(
        matches!(refused, Err(AppendError::Refused(_))),
        "{refused:?}"
    );
    log.close().await;
    disk.answers(Some(Ok(())));
    let (log, [weak, _]) = open(folder.path(), disk.hook()).await;
    assert_eq!(read_all(&log, &weak).await.len(), 1, "it is there again");
}

/// Nobody waits for the disk, and it is asked all the same; if it fails then, the log stops.
#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_waits_for_is_synced_soon() {
    let folder = tempfile::tempdir().expect("a folder");
    let disk = Arc::new(Disk::default());
    disk.answers(Some(Ok(())));
    let (log, [weak, _]) = open(folder.path(), disk.hook()).await;
    let record = [data(Ballot::new(1, 1), "key", Some("value"))];
    let mut producer = log.producer(&weak).expect("a producer");
    let asked = disk.asked();
    producer.append(&record).await.expect("room");
    let synced = async {
        while disk.asked() == asked {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(SOON, synced).await.expect("it is synced");
    disk.answers(Some(Err(())));
    let stopped = async { while producer.append(&record).await.is_ok() {} };
    timeout(SOON, stopped).await.expect("it stops");
}

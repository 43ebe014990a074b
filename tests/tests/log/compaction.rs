//! Compaction: what a reader makes of the log stays the same, whatever happens meanwhile, and the disk is bounded.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use fastrand::Rng;
use memgen::{
    batch::{self, Change},
    log::{
        Log, Producer, TopicPartition,
        conformance::{data, read_all},
        embedded::{Embedded, Hook, Options, Step, Sync},
    },
    record::{
        Answered, BARRIER_KEY, BATCH_KEY, Ballot, Kind, Offset, REPLY_KEY, RESERVED_KEY_PREFIX,
        Record,
    },
};

use super::common::{copy, has_extension, names, open_with, partition, quiet};

/// What a reader makes of a log: the one rule of what counts, applied record by record.
#[derive(Debug, Default, PartialEq, Eq)]
struct Folded {
    ballot: Ballot,
    state: BTreeMap<Bytes, Bytes>,
    answers: BTreeMap<Bytes, Bytes>,
}

fn fold(records: &[(Offset, Record)], horizon_ms: u64) -> Folded {
    let mut folded = Folded::default();
    for (_, record) in records {
        if record.ballot < folded.ballot {
            continue;
        }
        folded.ballot = record.ballot;
        let changes = match (&record.value, record.kind) {
            (Some(value), Kind::Batch) => batch::decode(value).expect("a batch"),
            (value, Kind::Data | Kind::FollowUp) => {
                vec![Change {
                    key: record.key.clone(),
                    value: value.clone(),
                }]
            }
            _ => Vec::new(),
        };
        for Change { key, value } in changes {
            match value {
                Some(value) => folded.state.insert(key, value),
                None => folded.state.remove(&key),
            };
        }
        if let Some(answered) = record
            .answered
            .as_ref()
            .filter(|_| record.timestamp_ms >= horizon_ms)
        {
            folded
                .answers
                .insert(answered.id.clone(), answered.reply.clone());
        }
    }
    folded
}

fn now_ms() -> u64 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("it is after 1970");
    u64::try_from(now.as_millis()).expect("it is before the year 500,000,000")
}

/// Old answers are so much older than the horizon, young ones so much younger, that the clock does not matter.
const HORIZON: Duration = Duration::from_secs(24 * 60 * 60);

fn horizon_ms() -> u64 {
    now_ms() - u64::try_from(HORIZON.as_millis()).expect("a day")
}

fn options() -> Options {
    // Whether the disk has it is tested elsewhere.
    Options {
        sync: Sync::Os,
        segment_bytes: 4096,
        answer_horizon: HORIZON,
        ..quiet()
    }
}

/// A random history as owners write it: barriers, changes, deletions, batches with their follow-ups, replies; and
/// now and then something that does not count.
struct Author {
    rng: Rng,
    epoch: u64,
    answers: u64,
}

impl Author {
    fn new(seed: u64) -> Self {
        Self {
            rng: Rng::with_seed(seed),
            epoch: 0,
            answers: 0,
        }
    }

    fn record(&mut self, kind: Kind, key: Bytes, value: Option<Bytes>) -> Record {
        let answered = (kind != Kind::FollowUp && self.rng.u8(..) < 40).then(|| {
            self.answers += 1;
            Answered {
                id: Bytes::from(format!("request {}", self.answers)),
                fingerprint: u128::from(self.answers),
                reply: Bytes::from(format!("reply {}", self.answers)),
            }
        });
        let timestamp_ms = if self.rng.bool() { now_ms() } else { 1000 };
        let ballot = Ballot::new(self.epoch, 1);
        Record {
            place: None,
            ballot,
            kind,
            timestamp_ms,
            schema: 1,
            answered,
            key,
            value,
        }
    }

    fn key(&mut self) -> Bytes {
        Bytes::from(format!("key {}", self.rng.u8(..12)))
    }

    fn value(&mut self) -> Option<Bytes> {
        let value = Bytes::from(vec![self.rng.alphanumeric() as u8; self.rng.usize(..80)]);
        (self.rng.u8(..) < 160).then_some(value)
    }

    /// What one request, or one take-over, makes.
    fn next(&mut self) -> Vec<Record> {
        let kind = self.rng.u8(..100);
        if self.epoch == 0 || kind < 3 {
            self.epoch += 1;
            return vec![self.record(Kind::Barrier, Bytes::from_static(BARRIER_KEY), None)];
        }
        match kind {
            3..15 => {
                let changes: Vec<_> = (0..self.rng.usize(1..5))
                    .map(|_| Change {
                        key: self.key(),
                        value: self.value(),
                    })
                    .collect();
                let value = batch::encode(&changes);
                let batch = self.record(Kind::Batch, Bytes::from_static(BATCH_KEY), Some(value));
                let last: BTreeMap<_, _> = changes
                    .into_iter()
                    .map(|change| (change.key, change.value))
                    .collect();
                let follow_ups: Vec<_> = last
                    .into_iter()
                    .map(|(key, value)| self.record(Kind::FollowUp, key, value))
                    .collect();
                [vec![batch], follow_ups].concat()
            }
            15..20 => {
                vec![self.record(
                    Kind::Reply,
                    Bytes::from_static(REPLY_KEY),
                    Some(Bytes::new()),
                )]
            }
            20..30 => {
                let (key, value) = (self.key(), self.value());
                let mut stale = self.record(Kind::Data, key, value);
                stale.ballot = Ballot::new(self.rng.u64(..self.epoch), 1);
                vec![stale]
            }
            _ => {
                let (key, value) = (self.key(), self.value());
                vec![self.record(Kind::Data, key, value)]
            }
        }
    }
}

async fn write(
    author: &mut Author,
    producer: &mut Box<dyn Producer>,
    all: &mut Vec<(Offset, Record)>,
    bytes: usize,
) {
    let mut left = bytes;
    while left > 0 {
        let records = author.next();
        let offsets = producer.append(&records).await.expect("there is room");
        left = left.saturating_sub(records.len() * 100);
        all.extend(offsets.into_iter().zip(records));
    }
}

/// The rules of what may go, by the contract of `Log`, record by record.
fn check_rules(all: &[(Offset, Record)], kept: &[(Offset, Record)], horizon_ms: u64) {
    let kept: BTreeMap<_, _> = kept
        .iter()
        .map(|(offset, record)| (*offset, record))
        .collect();
    for (offset, record) in &kept {
        let original = all
            .iter()
            .find(|(it, _)| it == offset)
            .map(|(_, record)| record);
        assert_eq!(original, Some(*record), "nothing is changed or renumbered");
    }
    let mut ballot = Ballot::default();
    for (at, (offset, record)) in all.iter().enumerate() {
        let counts = record.ballot >= ballot;
        ballot = ballot.max(record.ballot);
        if kept.contains_key(offset) || !counts {
            continue;
        }
        let later = all[at + 1..]
            .iter()
            .any(|(_, other)| other.key == record.key);
        let earlier = kept
            .range(..offset)
            .any(|(_, other)| other.key == record.key);
        let young = record.answered.is_some() && record.timestamp_ms >= horizon_ms;
        assert!(!young, "an answer younger than the horizon stays: {offset}");
        assert!(
            later || (record.value.is_none() && !earlier),
            "only what is overwritten or a deletion goes: {offset} {record:?}"
        );
    }
}

#[tokio::test]
async fn the_fold_of_a_compacted_log_is_that_of_the_whole() {
    let mut removed = 0;
    for seed in 0..60 {
        let folder = tempfile::tempdir().expect("a folder");
        let mut author = Author::new(seed);
        let mut all = Vec::new();
        let mut log = open_with(folder.path(), options());
        let mut producer = log.producer(&partition()).expect("a producer");
        let other = TopicPartition::new("vertex", 0);
        for round in 0..4 {
            let mut others = log.producer(&other).expect("a producer");
            others
                .append(&[data(Ballot::new(1, 1), "other", Some(&round.to_string()))])
                .await
                .expect("there is room");
            write(&mut author, &mut producer, &mut all, 12_000).await;
            let before = log.size_bytes();
            log.compact().expect("there is room");
            assert!(log.size_bytes() <= before, "seed {seed}");
            for reopened in [false, true] {
                if reopened {
                    drop((log, producer));
                    log = open_with(folder.path(), options());
                    producer = log.producer(&partition()).expect("a producer");
                }
                let kept = read_all(&log, &partition()).await;
                let horizon = horizon_ms();
                assert_eq!(fold(&kept, horizon), fold(&all, horizon), "seed {seed}");
                check_rules(&all, &kept, horizon);
                assert_eq!(
                    log.end(&partition()).await.expect("an end"),
                    all.len() as Offset,
                    "seed {seed}: offsets are never given again"
                );
                removed += all.len() - kept.len();
                let others = read_all(&log, &other).await;
                let last = others.last().map(|(_, record)| record.value.clone());
                assert_eq!(last, Some(Some(round.to_string().into())));
            }
        }
    }
    assert!(removed > 1000, "something was compacted: {removed}");
}

/// A deletion must outlive a batch that is kept and has its key.
#[tokio::test]
async fn a_deletion_stays_behind_a_batch_that_has_its_key() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = open_with(folder.path(), options());
    let ballot = Ballot::new(1, 1);
    let change = Change {
        key: "gone".into(),
        value: Some("1".into()),
    };
    let records = [
        Record {
            kind: Kind::Batch,
            key: Bytes::from_static(BATCH_KEY),
            value: Some(batch::encode(&[change])),
            ..data(ballot, "", None)
        },
        Record {
            kind: Kind::FollowUp,
            ..data(ballot, "gone", Some("1"))
        },
        data(ballot, "gone", None),
        data(ballot, "never there", None),
    ];
    let mut producer = log.producer(&partition()).expect("a producer");
    producer.append(&records).await.expect("there is room");
    for number in 0..200 {
        let filler = data(ballot, &format!("{}", number % 3), Some("filler"));
        producer.append(&[filler]).await.expect("there is room");
    }
    log.compact().expect("there is room");
    let kept = read_all(&log, &partition()).await;
    assert!(kept.len() < 200, "it was compacted");
    let offsets: Vec<_> = kept
        .iter()
        .map(|(offset, _)| *offset)
        .filter(|it| *it < 4)
        .collect();
    assert_eq!(offsets, [0, 2]);
    assert!(!fold(&kept, 0).state.contains_key("gone".as_bytes()));
}

#[tokio::test]
async fn remembered_answers_are_limited_in_age_and_number() {
    let folder = tempfile::tempdir().expect("a folder");
    let options = Options {
        answers_max: 10,
        ..options()
    };
    let log = open_with(folder.path(), options);
    let mut producer = log.producer(&partition()).expect("a producer");
    let mut record = data(Ballot::new(1, 1), "key", Some("value"));
    for number in 0..300 {
        let id = Bytes::from(format!("{number}"));
        record.answered = Some(Answered {
            id,
            fingerprint: 0,
            reply: Bytes::new(),
        });
        record.timestamp_ms = if number % 2 == 0 { now_ms() } else { 1000 };
        producer
            .append(std::slice::from_ref(&record))
            .await
            .expect("there is room");
    }
    log.compact().expect("there is room");
    let kept = read_all(&log, &partition()).await;
    // Behind the last hole lie the last one or two of the sealed journals, and all of the one that is being written.
    let hole = kept
        .windows(2)
        .rposition(|pair| pair[0].0 + 1 < pair[1].0)
        .expect("a hole");
    let sealed: Vec<_> = kept[..=hole].iter().map(|(offset, _)| *offset).collect();
    assert!((8..=10).contains(&sealed.len()), "{sealed:?}");
    assert!(
        sealed.iter().all(|offset| offset % 2 == 0),
        "old answers go: {sealed:?}"
    );
}

/// A copy of the folder at each step of a compaction is what a crash there leaves.
#[tokio::test]
async fn a_crash_at_any_step_loses_nothing() {
    for seed in 0..5 {
        let folder = tempfile::tempdir().expect("a folder");
        let whole = folder.path().join("log");
        let copies: Arc<Mutex<Vec<Step>>> = Arc::default();
        let hook = Hook::new({
            let (whole, folder, copies) = (whole.clone(), folder.path().to_owned(), copies.clone());
            move |step| {
                if !matches!(step, Step::Write | Step::Sync) {
                    let mut copies = copies.lock().expect("no copy failed");
                    copy(&whole, &folder.join(copies.len().to_string()));
                    copies.push(step);
                }
                Ok(())
            }
        });
        let mut author = Author::new(seed);
        let mut all = Vec::new();
        let log = open_with(&whole, Options { hook, ..options() });
        let mut producer = log.producer(&partition()).expect("a producer");
        for _ in 0..2 {
            write(&mut author, &mut producer, &mut all, 20_000).await;
            log.compact().expect("there is room");
        }
        // The crash comes in the second compaction; before the first there is less in the log.
        let steps = copies.lock().expect("no copy failed").clone();
        let second = steps
            .iter()
            .position(|step| *step == Step::CompactionDone)
            .expect("it ended")
            + 1;
        for (number, step) in steps.iter().enumerate().skip(second) {
            let crashed = folder.path().join(number.to_string());
            let log = open_with(&crashed, options());
            let kept = read_all(&log, &partition()).await;
            let horizon = horizon_ms();
            assert_eq!(
                fold(&kept, horizon),
                fold(&all, horizon),
                "seed {seed}, {step:?}"
            );
            let mut producer = log.producer(&partition()).expect("a producer");
            let offset = all.len() as Offset;
            let record = data(Ballot::new(u64::MAX, 1), "key", Some("later"));
            assert_eq!(
                producer.append(&[record]).await,
                Ok(vec![offset]),
                "{step:?}"
            );
            let (unfinished, finished): (Vec<_>, Vec<_>) = names(&crashed)
                .into_iter()
                .partition(|name| has_extension(name, "tmp"));
            assert!(unfinished.is_empty(), "{step:?}: {unfinished:?} is removed");
            let bytes: u64 = finished
                .iter()
                .filter(|name| has_extension(name, "log"))
                .map(|name| fs::metadata(crashed.join(name)).expect("a file").len())
                .sum();
            assert_eq!(
                Some(bytes),
                log.size_bytes(),
                "{step:?}: what was replaced is removed"
            );
            log.compact().expect("there is room");
            drop((log, producer));
            let kept = read_all(&open_with(&crashed, options()), &partition()).await;
            assert_eq!(kept.last().map(|(it, _)| *it), Some(offset), "{step:?}");
        }
        for step in [
            Step::CompactionWrite,
            Step::CompactionWritten,
            Step::CompactionNamed,
            Step::CompactionSwitched,
            Step::CompactionRemovedOne,
            Step::CompactionDone,
        ] {
            assert!(steps[second..].contains(&step), "{step:?} happened");
        }
    }
}

#[tokio::test]
async fn a_compaction_that_fails_at_any_step_loses_nothing() {
    let count = Arc::new(AtomicUsize::new(0));
    let failing = Arc::new(AtomicUsize::new(usize::MAX));
    let hook = Hook::new({
        let (count, failing) = (count.clone(), failing.clone());
        move |step| {
            if matches!(step, Step::Write | Step::Sync) {
                return Ok(());
            }
            if count.fetch_add(1, Ordering::Relaxed) == failing.load(Ordering::Relaxed) {
                return Err(io::ErrorKind::StorageFull.into());
            }
            Ok(())
        }
    });
    let folder = tempfile::tempdir().expect("a folder");
    let options = Options { hook, ..options() };
    let mut author = Author::new(7);
    let mut all = Vec::new();
    let mut log = open_with(folder.path(), options.clone());
    let mut producer = log.producer(&partition()).expect("a producer");
    for fail_at in 0..12 {
        write(&mut author, &mut producer, &mut all, 8_000).await;
        count.store(0, Ordering::Relaxed);
        failing.store(fail_at, Ordering::Relaxed);
        let failed = log.compact().is_err();
        failing.store(usize::MAX, Ordering::Relaxed);
        assert!(failed || fail_at > 4, "step {fail_at} comes");
        for reopened in [false, true] {
            if reopened && fail_at % 2 == 0 {
                drop((log, producer));
                log = open_with(folder.path(), options.clone());
                producer = log.producer(&partition()).expect("a producer");
            }
            let kept = read_all(&log, &partition()).await;
            let horizon = horizon_ms();
            assert_eq!(fold(&kept, horizon), fold(&all, horizon), "step {fail_at}");
        }
    }
    log.compact().expect("there is room");
    let horizon = horizon_ms();
    let kept = read_all(&log, &partition()).await;
    assert_eq!(fold(&kept, horizon), fold(&all, horizon));
}

fn bytes_of(folder: &Path) -> u64 {
    fs::read_dir(folder)
        .expect("the folder can be listed")
        .filter_map(|entry| entry.ok()?.metadata().ok())
        .map(|metadata| metadata.len())
        .sum()
}

fn is_temporary(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|it| it == "tmp")
}

/// The bound in the text of `memgen::log::embedded`, at rest.
#[tokio::test]
async fn the_disk_is_bounded() {
    const SEGMENT: u64 = 16 << 10;
    let folder = tempfile::tempdir().expect("a folder");
    let log = open_with(
        folder.path(),
        Options {
            segment_bytes: SEGMENT,
            compact: true,
            ..Options::default()
        },
    );
    let mut producer = log.producer(&partition()).expect("a producer");
    let mut written = 0;
    for round in 0..400 {
        let records: Vec<_> = (0..50)
            .map(|key| {
                data(
                    Ballot::new(1, 1),
                    &format!("{key}"),
                    Some(&format!("{round:0200}")),
                )
            })
            .collect();
        written += records.len() as u64 * 250;
        producer.append(&records).await.expect("there is room");
    }
    // Everything that is live once, with its frames, and a frame for the end of each stream.
    let live = 50 * 300 + 4096;
    let bound = 2 * live + 2 * SEGMENT + 4096;
    assert!(written > 10 * bound, "{written} is far beyond {bound}");
    // A compaction may still be running, or about to begin; when it ends is not the point.
    let (mut before, mut waited) = (Vec::new(), 0);
    let bytes = loop {
        let (names, bytes) = (names(folder.path()), bytes_of(folder.path()));
        let rests = names == before && names.iter().all(|name| !is_temporary(name));
        if rests && bytes <= bound {
            break bytes;
        }
        assert!(
            waited < 600,
            "{bytes} bytes are over the bound of {bound}: {names:?}"
        );
        waited += 1;
        before = names;
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    assert!(log.size_bytes() <= Some(bytes));
    let kept = read_all(&log, &partition()).await;
    let keys: BTreeSet<_> = kept.iter().map(|(_, record)| record.key.clone()).collect();
    assert_eq!(keys.len(), 50);
    let state = fold(&kept, 0).state;
    assert!(
        state
            .values()
            .all(|value| *value == format!("{:0200}", 399))
    );
}

/// Readers go on while journals roll and compactions switch files under them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_do_not_notice_compaction() {
    let folder = tempfile::tempdir().expect("a folder");
    let log: Arc<Embedded> = Arc::new(open_with(
        folder.path(),
        Options {
            segment_bytes: 4096,
            growth_percent: 0,
            compact: true,
            ..Options::default()
        },
    ));
    let mut producer = log.producer(&partition()).expect("a producer");
    let writer = tokio::spawn(async move {
        for round in 0..1500_u32 {
            let key = format!("{}", round % 10);
            let record = data(Ballot::new(1, 1), &key, Some(&round.to_string()));
            producer.append(&[record]).await.expect("there is room");
        }
    });
    let mut rounds = 0;
    let mut newest = BTreeMap::new();
    while !writer.is_finished() || rounds < 3 {
        let mut from = 0;
        let mut seen = BTreeMap::new();
        loop {
            let chunk = log
                .read(&partition(), from, 1000)
                .await
                .expect("reading goes on");
            if chunk.next == from {
                break;
            }
            for (offset, record) in chunk.records {
                assert!(offset >= from && record.key.first() != Some(&RESERVED_KEY_PREFIX));
                seen.insert(record.key, offset);
            }
            from = chunk.next;
        }
        for (key, offset) in &newest {
            assert!(
                seen.get(key) >= Some(offset),
                "what was the newest value stays or is replaced"
            );
        }
        newest = seen;
        rounds += 1;
    }
    writer.await.expect("it wrote");
    assert_eq!(
        newest.into_values().collect::<BTreeSet<_>>(),
        (1490..1500).collect()
    );
}

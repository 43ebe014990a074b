//! The embedded log by itself, against bare writes and against fjall: what the decision for files of its own rests on.

use std::{
    fs::OpenOptions,
    io::Write as _,
    time::{Duration, Instant},
};

use memgen::{
    log::{
        Log as _, Producer, TopicPartition,
        embedded::{self, Embedded},
    },
    record::{Record, codec},
};
use memgen_tests::Folder;
use tokio::runtime::Runtime;

use crate::{
    Outcome,
    fill::{self, Size},
    options::Options,
    register,
    report::{Compared, Report, Target, median},
};

/// Records per append, and appends per round.
const APPENDS: [(usize, usize); 3] = [(1, 500), (100, 200), (1000, 100)];

/// What appends durably.
trait Append {
    fn append(&mut self, records: &[Record]) -> Outcome<()>;
}

struct Bare(std::fs::File);

impl Append for Bare {
    fn append(&mut self, records: &[Record]) -> Outcome<()> {
        let mut bytes = Vec::new();
        for record in records {
            codec::encode(record, 0, &mut bytes)?;
        }
        self.0.write_all(&bytes)?;
        Ok(self.0.sync_data()?)
    }
}

struct Ours<'a>(&'a Runtime, Box<dyn Producer>);

impl Append for Ours<'_> {
    fn append(&mut self, records: &[Record]) -> Outcome<()> {
        self.0.block_on(self.1.append(records))?;
        Ok(())
    }
}

/// Appends, and reads everything again.
pub(crate) fn log(options: &Options, report: &mut Report) -> Outcome<()> {
    let folder = Folder::new();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let log = Embedded::open(
        folder.path().join("log"),
        embedded::Options {
            compact: false,
            ..embedded::Options::default()
        },
    )?;
    let topic = register::topic();
    runtime.block_on(log.declare(&topic))?;
    let partition = TopicPartition::new(&*topic.name, 0);
    let mut ours = Ours(&runtime, log.producer(&partition)?);
    let file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(folder.path().join("bare"))?;
    let mut bare = Bare(file);
    let others = others(folder.path())?;
    appends(options, report, &mut ours, &mut bare, "a bare file")?;
    for mut other in others {
        appends(options, report, &mut ours, &mut *other, "fjall")?;
    }
    drop(ours);

    let records = options.amount(1_000_000);
    let all = TopicPartition::new(&*topic.name, 1);
    let mut ours = Ours(&runtime, log.producer(&all)?);
    let mut appender = |append: &mut dyn Append| -> Outcome<()> {
        for start in (0..records).step_by(1000) {
            let end = records.min(start + 1000);
            let records: Vec<_> = (start..end)
                .map(|number| fill::record(number, Size::Json))
                .collect();
            append.append(&records)?;
        }
        Ok(())
    };
    appender(&mut ours)?;
    let scan = scanner(folder.path(), &mut appender)?;
    let mut rounds = Vec::new();
    for _ in 0..=options.rounds {
        let started = Instant::now();
        let read = runtime.block_on(read(&log, &all))?;
        let ours = rate(read, started.elapsed());
        let started = Instant::now();
        let theirs = match &scan {
            Some(scan) => rate(scan()?, started.elapsed()),
            None => f64::NAN,
        };
        rounds.push((ours, theirs));
    }
    let what = format!("log: read and decode {records} records, one partition");
    if scan.is_some() {
        let what = format!("{what}, against a scan of fjall");
        report.ratio(&what, "/s", Compared::new(&rounds[1..]), Target::None);
    } else {
        let rate = median(rounds[1..].iter().map(|(ours, _)| *ours));
        report.figure(&what, "/s", rate, Target::None);
    }
    drop(scan);
    runtime.block_on(log.close());
    Ok(())
}

fn appends(
    options: &Options,
    report: &mut Report,
    ours: &mut dyn Append,
    other: &mut dyn Append,
    name: &str,
) -> Outcome<()> {
    for (count, appends) in APPENDS {
        let records: Vec<Record> = (0..count)
            .map(|number| fill::record(number, Size::Json))
            .collect();
        let mut rounds = Vec::new();
        for round in 0..=options.rounds {
            let (mut mine, mut theirs) = (Vec::new(), Vec::new());
            // One by one in turn: the disk changes its mood from one second to the next.
            for _ in 0..options.amount(appends) {
                mine.push(timed(ours, &records)?);
                theirs.push(timed(other, &records)?);
            }
            if round > 0 {
                rounds.push((median(mine.into_iter()), median(theirs.into_iter())));
            }
        }
        let what = format!("log: durable append of {count} records, against {name}");
        report.ratio(&what, "µs", Compared::new(&rounds), Target::None);
    }
    Ok(())
}

/// Microseconds of one append.
fn timed(append: &mut dyn Append, records: &[Record]) -> Outcome<f64> {
    let started = Instant::now();
    append.append(records)?;
    Ok(started.elapsed().as_secs_f64() * 1e6)
}

async fn read(log: &Embedded, partition: &TopicPartition) -> Outcome<usize> {
    let (mut from, mut records) = (0, 0);
    loop {
        let chunk = log.read(partition, from, 1 << 20).await?;
        if chunk.next == from {
            return Ok(records);
        }
        from = chunk.next;
        records += chunk.records.len();
    }
}

#[allow(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn rate(records: usize, time: Duration) -> f64 {
    records as f64 / time.as_secs_f64()
}

/// Counts what is stored by decoding all of it.
type Scan = Box<dyn Fn() -> Outcome<usize>>;

#[cfg(not(feature = "fjall"))]
#[allow(clippy::unnecessary_wraps, reason = "as with fjall")]
fn others(_: &std::path::Path) -> Outcome<Vec<Box<dyn Append>>> {
    Ok(Vec::new())
}

#[cfg(not(feature = "fjall"))]
#[allow(clippy::unnecessary_wraps, reason = "as with fjall")]
fn scanner(
    _: &std::path::Path,
    _: &mut dyn FnMut(&mut dyn Append) -> Outcome<()>,
) -> Outcome<Option<Scan>> {
    Ok(None)
}

#[cfg(feature = "fjall")]
use with_fjall::{others, scanner};

#[cfg(feature = "fjall")]
mod with_fjall {
    //! The log as it would be on fjall: offset -> record.

    use std::path::Path;

    use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};
    use memgen::record::{Record, codec};

    use super::{Append, Scan};
    use crate::Outcome;

    struct Fjall {
        database: Database,
        keyspace: Keyspace,
        next: u64,
    }

    impl Fjall {
        fn open(folder: &Path) -> Outcome<Self> {
            let database = Database::builder(folder).open()?;
            let keyspace = database.keyspace("log", KeyspaceCreateOptions::default)?;
            Ok(Self {
                database,
                keyspace,
                next: 0,
            })
        }
    }

    impl Append for Fjall {
        fn append(&mut self, records: &[Record]) -> Outcome<()> {
            let mut batch = self
                .database
                .batch()
                .durability(Some(PersistMode::SyncData));
            for record in records {
                let mut bytes = Vec::with_capacity(codec::encoded_bytes(record));
                codec::encode(record, 0, &mut bytes)?;
                batch.insert(&self.keyspace, self.next.to_be_bytes(), bytes);
                self.next += 1;
            }
            Ok(batch.commit()?)
        }
    }

    pub(super) fn others(folder: &Path) -> Outcome<Vec<Box<dyn Append>>> {
        Ok(vec![Box::new(Fjall::open(&folder.join("fjall-appends"))?)])
    }

    pub(super) fn scanner(
        folder: &Path,
        fill: &mut dyn FnMut(&mut dyn Append) -> Outcome<()>,
    ) -> Outcome<Option<Scan>> {
        let mut fjall = Fjall::open(&folder.join("fjall-scan"))?;
        fill(&mut fjall)?;
        Ok(Some(Box::new(move || {
            let mut records = 0;
            for entry in fjall.keyspace.iter() {
                let (key, value) = entry.into_inner()?;
                let offset = u64::from_be_bytes(key.as_ref().try_into()?);
                codec::decode(&bytes::Bytes::copy_from_slice(&value), 0, offset)?;
                records += 1;
            }
            Ok(records)
        })))
    }
}

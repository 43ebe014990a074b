//! Starts of a node whose log is in Kafka: from its snapshots, and from the topic.

#![allow(clippy::print_stdout, reason = "its parent reads the outcome")]

use std::{
    ops::Range,
    path::Path,
    time::{Duration, Instant},
};

use memgen::{
    Config,
    log::{
        Log as _,
        kafka::{Kafka, Options as KafkaOptions},
    },
    record::{Ballot, Record},
};
use memgen_tests::{Folder, cluster::Servers};
use rdkafka::{
    ClientConfig, Message as _, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
    error::KafkaError,
};

use crate::{
    Outcome, entries,
    fill::{Size, append_all, record},
    options::Options,
    process,
    register::{self, Register, topic},
    report::{Compared, Report, Target, in_turn, median},
};

fn config(data: &Path, brokers: &str, snapshot_records: u64) -> Config {
    Config {
        snapshot_records,
        ..register::on_kafka(data, brokers, 1)
    }
}

/// Starts, prints how long it took to open the log and from there to serve all partitions, and stops: `FOLDER BROKERS SNAPSHOT_RECORDS`.
pub(crate) fn start(args: &[String]) -> Outcome<()> {
    let [folder, brokers, snapshot_records] = args else {
        return Err("a start needs a folder, brokers, and how many records make a snapshot".into());
    };
    let config = config(folder.as_ref(), brokers, snapshot_records.parse()?);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let started = Instant::now();
        let running = memgen::service!(Register).start(config).await?;
        let open = started.elapsed();
        running.ready().await?;
        let replay = started.elapsed().saturating_sub(open);
        println!("{} {}", open.as_secs_f64(), replay.as_secs_f64());
        running.stop().await;
        Ok(())
    })
}

/// What a start took, in seconds: to open the log, and from there to serve.
type Took = (f64, f64);

/// Starts a process that starts.
fn started(data: &Path, brokers: &str, snapshot_records: u64) -> Outcome<Took> {
    let data = data.display().to_string();
    let text = process::run(&["start", &data, brokers, &snapshot_records.to_string()])?;
    let numbers: Result<Vec<f64>, _> = text.split_whitespace().map(str::parse).collect();
    match numbers?[..] {
        [open, replay] => Ok((open, replay)),
        _ => Err(format!("`{text}` is not what a start prints").into()),
    }
}

/// How often each key is in the topic: once, as after a compaction of all of it, and as many times as it may well be before one. Kafka compacts when half of a log is new, and leaves what is
/// younger than the lag alone.
const WRITTEN: [usize; 2] = [1, 3];

/// A start with 1,000,000 keys from snapshots against one from the topic, in turn, on one broker of this machine.
pub(crate) fn restart(options: &Options, report: &mut Report) -> Outcome<()> {
    let keys = options.amount(1_000_000);
    let servers = Servers::start(1, 1);
    let brokers = servers.kafka.addresses();
    let (kept, none) = (Folder::new(), Folder::new());
    // It makes the topic, and says how it lays values out.
    started(none.path(), &brokers, 0)?;
    let mut there = 0;
    for written in WRITTEN {
        fill(&brokers, keys, Size::Json, there..written)?;
        there = written;
        // It reads all of it, and writes the snapshots before it ends.
        started(kept.path(), &brokers, 1)?;
        let rounds = in_turn(options.rounds, |ours, _| {
            if ours {
                // None are due: only the tail is new, which is what each start writes itself.
                started(kept.path(), &brokers, 1_000_000_000)
            } else {
                started(none.path(), &brokers, 0)
            }
        })?;
        let times = if written == 1 { "once" } else { "three times" };
        let what = format!(
            "start with {keys} keys, {times} in the topic: from snapshots against the topic"
        );
        report_starts(&what, keys, &rounds, report);
    }
    Ok(())
}

/// What starts took, from snapshots and from the topic.
#[allow(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn report_starts(what: &str, keys: usize, rounds: &[(Took, Took)], report: &mut Report) {
    let speeds = |seconds: fn(&Took) -> f64| {
        let rounds = rounds.iter();
        let pairs: Vec<_> = rounds
            .map(|(ours, theirs)| (keys as f64 / seconds(ours), keys as f64 / seconds(theirs)))
            .collect();
        Compared::new(&pairs)
    };
    let (unit, target) = ("keys/s", Target::AtLeast(10.0));
    report.ratio(what, unit, speeds(|(_, replay)| *replay), target);
    let whole = speeds(|(open, replay)| open + replay);
    report.ratio(
        &format!("{what}, with the time to open the log"),
        unit,
        whole,
        Target::None,
    );
    for (side, seconds) in [
        (
            "from snapshots",
            median(rounds.iter().map(|(ours, _)| ours.1)),
        ),
        (
            "from the topic",
            median(rounds.iter().map(|(_, theirs)| theirs.1)),
        ),
        (
            "to open the log",
            median(rounds.iter().map(|(ours, _)| ours.0)),
        ),
    ] {
        report.figure(&format!("{what}: {side}"), "s", seconds, Target::None);
    }
}

/// A start with 1,000,000 keys from the topic against a consumer that decodes the same records, in turn, on one broker of this machine.
#[allow(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
pub(crate) fn replay(options: &Options, report: &mut Report) -> Outcome<()> {
    let keys = options.amount(1_000_000);
    let servers = Servers::start(1, 1);
    let brokers = servers.kafka.addresses();
    let folder = Folder::new();
    started(folder.path(), &brokers, 0)?;
    fill(&brokers, keys, Size::Json, 0..1)?;
    let rounds = in_turn(options.rounds, |ours, _| {
        if ours {
            started(folder.path(), &brokers, 0).map(|(_, replay)| keys as f64 / replay)
        } else {
            let text = process::run(&["consume", &brokers, &keys.to_string()])?;
            Ok(keys as f64 / text.trim().parse::<f64>()?)
        }
    })?;
    report.ratio(
        &format!("replay of {keys} keys from Kafka"),
        "keys/s",
        Compared::new(&rounds),
        Target::AtLeast(0.8),
    );
    Ok(())
}

/// Reads the topic to its end and decodes what memgen would, prints how long it took: `BROKERS KEYS`.
pub(crate) fn consume(args: &[String]) -> Outcome<()> {
    let [brokers, keys] = args else {
        return Err("a consumer needs brokers and how many keys there are".into());
    };
    let keys: usize = keys.parse()?;
    let topic = topic();
    let mut all = TopicPartitionList::new();
    for number in 0..topic.partitions {
        all.add_partition_offset(&topic.name, i32::try_from(number)?, Offset::Beginning)?;
    }
    let started = Instant::now();
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("group.id", "bare")
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .create()?;
    consumer.assign(&all)?;
    let (mut decoded, mut ended) = (0, 0);
    while ended < topic.partitions {
        match consumer.poll(Duration::from_secs(60)) {
            None => return Err("the broker is silent".into()),
            Some(Err(KafkaError::PartitionEOF(_))) => ended += 1,
            Some(Err(error)) => return Err(error.into()),
            Some(Ok(message)) => {
                // Barriers have no value.
                if let Some(value) = message.payload() {
                    let entity: Register = serde_json::from_slice(value)?;
                    decoded += usize::from(message.key() == Some(entity.key.as_bytes()));
                }
            }
        }
    }
    println!("{}", started.elapsed().as_secs_f64());
    if decoded == keys {
        Ok(())
    } else {
        Err(format!("{decoded} of {keys} keys were there").into())
    }
}

/// Puts keys into the topic that a start has made: `BROKERS KEYS TIMES`.
pub(crate) fn fill_topic(args: &[String]) -> Outcome<()> {
    let [brokers, keys, times] = args else {
        return Err(
            "a topic needs brokers, a number of keys, and how often each is written".into(),
        );
    };
    fill(brokers, keys.parse()?, Size::Json, 0..times.parse()?)
}

/// Puts keys into the topic, as this build would have written them: all of them in no order, once for each of `times`.
pub(crate) fn fill(brokers: &str, keys: usize, size: Size, times: Range<usize>) -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let log = Kafka::open(KafkaOptions {
            brokers: brokers.to_owned(),
            replication_factor: 1,
            ..KafkaOptions::default()
        })
        .await?;
        let topic = topic();
        log.declare(&topic).await?;
        let layouts = log.layouts(&topic.name).await?;
        let layout = layouts.first().ok_or("the service has kept no layout")?;
        // Above those of the starts before.
        let ballot = Ballot::new(1_000_000 * times.end as u64, 1);
        let all = times.flat_map(|_| entries::shuffled(keys));
        let records = all.map(|number| Record {
            schema: layout.fingerprint,
            ballot,
            ..record(number, size)
        });
        append_all(&log, records).await?;
        log.close().await;
        Ok(())
    })
}

//! Starts of a node whose log is in Kafka: from its snapshots, and from the topic.

#![allow(clippy::print_stdout, reason = "its parent reads the outcome")]

use std::{path::Path, time::Instant};

use memgen::{
    Config,
    config::{KafkaConfig, LogChoice},
    log::{
        Log as _, TopicPartition,
        kafka::{Kafka, Options as KafkaOptions},
    },
    partitioner::partition,
    record::Ballot,
};
use memgen_tests::{Folder, cluster::Servers};

use crate::{
    Outcome, entries,
    fill::{Size, record},
    options::Options,
    process,
    register::{self, Register, topic},
    report::{Compared, Report, Target, in_turn, median},
};

/// Records per append, and appends under way per partition.
const APPEND: usize = 1000;
const UNDER_WAY: usize = 8;

fn config(data: &Path, brokers: &str, snapshot_records: u64) -> Config {
    Config {
        log: LogChoice::Kafka(brokers.to_owned()),
        kafka: KafkaConfig {
            replication_factor: 1,
            ..KafkaConfig::default()
        },
        snapshot_records,
        ..register::config(data)
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

/// What a start took: to open the log, and from there to serve.
fn started(data: &Path, brokers: &str, snapshot_records: u64) -> Outcome<(f64, f64)> {
    let data = data.display().to_string();
    let text = process::run(&["start", &data, brokers, &snapshot_records.to_string()])?;
    let numbers: Result<Vec<f64>, _> = text.split_whitespace().map(str::parse).collect();
    match numbers?[..] {
        [open, replay] => Ok((open, replay)),
        _ => Err(format!("`{text}` is not what a start prints").into()),
    }
}

/// A start with 1,000,000 keys from snapshots against one from the topic, in turn, on one broker of this machine.
#[allow(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
pub(crate) fn restart(options: &Options, report: &mut Report) -> Outcome<()> {
    let keys = options.amount(1_000_000);
    let servers = Servers::start(1, 1);
    let brokers = servers.kafka.addresses();
    let (kept, none) = (Folder::new(), Folder::new());
    // It makes the topic, and says how it lays values out.
    started(none.path(), &brokers, 0)?;
    fill(&brokers, keys)?;
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
    let what = format!("start with {keys} keys, from snapshots against the topic");
    let speeds = |seconds: fn(&(f64, f64)) -> f64| {
        let rounds = rounds.iter();
        let pairs: Vec<_> = rounds
            .map(|(ours, theirs)| (keys as f64 / seconds(ours), keys as f64 / seconds(theirs)))
            .collect();
        Compared::new(&pairs)
    };
    let (unit, target) = ("keys/s", Target::AtLeast(10.0));
    report.ratio(&what, unit, speeds(|(_, replay)| *replay), target);
    let whole = format!("{what}, with the time to open the log");
    report.ratio(
        &whole,
        unit,
        speeds(|(open, replay)| open + replay),
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
    Ok(())
}

/// Puts keys into the topic, as this build would have written them: each once, in no order.
fn fill(brokers: &str, keys: usize) -> Outcome<()> {
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
        let mut partitions = Vec::new();
        for number in 0..topic.partitions {
            let producer = log.producer(&TopicPartition::new(&*topic.name, number))?;
            let under_way = std::collections::VecDeque::new();
            partitions.push((producer, Vec::with_capacity(APPEND), under_way));
        }
        for number in entries::shuffled(keys) {
            let mut record = record(number, Size::Json);
            record.schema = layout.fingerprint;
            // Above that of the start that made the topic.
            record.ballot = Ballot::new(1000, 1);
            let index = partition(&record.key, topic.partitions);
            let (producer, records, under_way) = &mut partitions[usize::try_from(index)?];
            records.push(record);
            if records.len() == APPEND {
                under_way.push_back(producer.append(records));
                records.clear();
                if under_way.len() > UNDER_WAY
                    && let Some(receipt) = under_way.pop_front()
                {
                    receipt.await?;
                }
            }
        }
        for (mut producer, records, under_way) in partitions {
            for receipt in under_way {
                receipt.await?;
            }
            producer.append(&records).await?;
        }
        log.close().await;
        Ok(())
    })
}

//! A log that holds entries, made without the service: ten million over HTTP would take too long.

use std::{collections::VecDeque, path::Path};

use memgen::{
    log::{
        Log, TopicPartition,
        embedded::{Embedded, Options},
    },
    partitioner::partition,
    record::{Ballot, Kind, Record},
};

use crate::{Outcome, entries, register};

/// Records per append.
const APPEND: usize = 1000;
/// Appends that are under way per partition: enough to keep a disk or brokers busy.
const UNDER_WAY: usize = 8;

/// What a record of the log holds besides its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Size {
    /// A string of 100 bytes, as JSON with the key.
    Value,
    /// 100 bytes of JSON in all, the key among them.
    Json,
}

/// The record that puts entry `number` into the log.
pub(crate) fn record(number: usize, size: Size) -> Record {
    let (key, value) = (entries::key(number), entries::value(number));
    let mut json = format!("{{\"key\":\"{key}\",\"value\":\"{value}\"}}");
    if size == Size::Json {
        let over = json.len() - entries::VALUE_BYTES;
        let start = json.len() - "\"}".len() - value.len();
        json.replace_range(start..start + over, "");
    }
    Record {
        place: None,
        ballot: Ballot::new(1, 1),
        kind: Kind::Data,
        timestamp_ms: 0,
        schema: 0,
        answered: None,
        key: key.into(),
        value: Some(json.into()),
    }
}

/// Makes a data folder for a service: `count` entries with keys of their own, in no order. `compacted` is how a log looks that has been
/// in use for a while; otherwise it is as it was written.
pub(crate) fn fill(data: &Path, count: usize, size: Size, compacted: bool) -> Outcome<()> {
    let options = Options {
        compact: false,
        ..Options::default()
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let folder = data.join("log");
    std::fs::create_dir_all(&folder)?;
    let log = Embedded::open(folder, options)?;
    let topic = register::topic();
    runtime.block_on(log.declare(&topic))?;
    let records = entries::shuffled(count).map(|number| record(number, size));
    runtime.block_on(append_all(&log, records))?;
    if compacted {
        log.compact()?;
    }
    runtime.block_on(log.close());
    Ok(())
}

/// Appends records of the state to a log that has its topic, many at once.
pub(crate) async fn append_all(log: &impl Log, all: impl Iterator<Item = Record>) -> Outcome<()> {
    let topic = register::topic();
    let mut partitions = Vec::new();
    for number in 0..topic.partitions {
        let producer = log.producer(&TopicPartition::new(&*topic.name, number))?;
        partitions.push((producer, Vec::with_capacity(APPEND), VecDeque::new()));
    }
    for record in all {
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
    Ok(())
}

/// Makes a data folder whose log is as it was written: `FOLDER COUNT`.
pub(crate) fn run(args: &[String]) -> Outcome<()> {
    let [folder, count] = args else {
        return Err("a log needs a folder and a number of entries".into());
    };
    fill(folder.as_ref(), count.parse()?, Size::Value, false)
}

//! The log that the settings ask for.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::Ack;
use super::{
    Log, LogError,
    embedded::{self, Embedded, Peek},
};
#[cfg(feature = "kafka")]
use super::{
    Topic,
    kafka::{Kafka, topics::Report},
};
use crate::config::{Config, LogChoice};

/// The folder of the embedded log within the data folder.
const LOG_FOLDER: &str = "log";

/// How sure the acknowledgements of each topic are.
pub(crate) type Acks = BTreeMap<String, Ack>;

/// Who reads which topics of others.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    /// How many read each of them.
    pub(crate) readers: BTreeMap<String, usize>,
    /// Those that are tables.
    pub(crate) tables: BTreeSet<String>,
}

/// Opens the log of a service. It is empty or not; nothing is declared.
///
/// Of the `recent` topics the newest records stay, as many as the settings say.
pub(crate) async fn open(
    config: &Config,
    acks: &Acks,
    recent: BTreeSet<String>,
    streams: Streams,
) -> Result<Arc<dyn Log>, LogError> {
    #[cfg(feature = "testing")]
    if let Some(process) = crate::testing::Process::current() {
        return Ok(process.machine().log.clone());
    }
    match &config.log {
        LogChoice::Embedded => open_embedded(config, acks, recent, streams).await,
        // There it is the compaction lag that sees to it.
        LogChoice::Kafka(brokers) => Ok(Arc::new(
            open_kafka(config, brokers, Use::Write, acks).await?,
        )),
    }
}

/// Opens the log of a service to look at it: nothing is made or changed, and it may be in use.
pub(crate) async fn open_to_read(config: &Config) -> Result<Arc<dyn Log>, LogError> {
    match &config.log {
        LogChoice::Embedded => Ok(Arc::new(Peek::open(config.data.join(LOG_FOLDER))?)),
        LogChoice::Kafka(brokers) => Ok(Arc::new(
            open_kafka(config, brokers, Use::Read, &Acks::new()).await?,
        )),
    }
}

/// What a log on Kafka is opened for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Use {
    /// Reading and writing.
    Write,
    /// Reading alone.
    Read,
    /// Making topics, whatever the settings say of that.
    Make,
}

async fn open_embedded(
    config: &Config,
    acks: &Acks,
    recent_topics: BTreeSet<String>,
    streams: Streams,
) -> Result<Arc<dyn Log>, LogError> {
    let folder = config.data.join(LOG_FOLDER);
    std::fs::create_dir_all(&folder).map_err(|source| LogError::Io {
        what: format!("`--data` {}", config.data.display()),
        source,
    })?;
    let options = embedded::Options {
        syncs: acks
            .iter()
            .map(|(topic, ack)| match ack {
                Ack::Os => (topic.clone(), embedded::Sync::Os),
                _ => (topic.clone(), embedded::Sync::Fsync),
            })
            .collect(),
        segment_bytes: config.embedded.segment_bytes,
        answer_horizon: config.limits.idempotency_horizon,
        answers_max: config.limits.idempotency_replies_max,
        recent_topics,
        stream_retention: config.embedded.stream_retention,
        stream_readers: streams.readers,
        tables: streams.tables,
        recent_max: config.limits.feed_history_max,
        recent_bytes_max: config.limits.feed_history_bytes_max,
        ..embedded::Options::default()
    };
    // Opening reads and verifies all of it, which may take a while.
    let open = tokio::task::spawn_blocking(move || Embedded::open(folder, options));
    Ok(Arc::new(
        open.await.expect("opening the log does not panic")?,
    ))
}

/// What is known of the topics of a service in Kafka, and of memgen's own there. With `make`, those that are missing are made first.
#[cfg(feature = "kafka")]
pub(crate) async fn topics(
    config: &Config,
    topics: &[Topic],
    make: bool,
) -> Result<Vec<Report>, LogError> {
    let LogChoice::Kafka(brokers) = &config.log else {
        return Err(LogError::Setup(
            "the topics of the embedded log are made by the service when it starts; those that are looked after are in Kafka: `--log kafka://HOST:PORT`"
                .to_owned(),
        ));
    };
    let usage = if make { Use::Make } else { Use::Read };
    let log = open_kafka(config, brokers, usage, &Acks::new()).await?;
    let reports = log.report(topics, make).await;
    log.close().await;
    reports
}

#[cfg(feature = "kafka")]
async fn open_kafka(
    config: &Config,
    brokers: &str,
    usage: Use,
    acks: &Acks,
) -> Result<Kafka, LogError> {
    use super::kafka::Options;
    use crate::{config::Topics, writer::Bounds};

    /// What librdkafka takes at most.
    const RECORD_BYTES_MAX: usize = 900 << 20;
    /// Beside value and answer there are a key, and what is added to them.
    const SMALL_BYTES: usize = 64 << 10;

    let kafka = &config.kafka;
    // A value, and an answer that holds it once more, with each quote in it escaped.
    let record_bytes_max = Bounds::of(config)
        .value_bytes_max
        .saturating_mul(3)
        .saturating_add(SMALL_BYTES)
        .min(RECORD_BYTES_MAX);
    let options = Options {
        brokers: brokers.to_owned(),
        settings: kafka.settings.clone(),
        topic_prefix: kafka.topic_prefix.clone(),
        append_timeout: config.session_timeout * 3 / 4,
        compaction_lag: kafka.compaction_lag,
        record_bytes_max,
        create_topics: usage == Use::Make || kafka.topics == Topics::Create,
        read_only: usage == Use::Read,
        replication_factor: kafka.replication_factor,
        leader_acks: acks
            .iter()
            .filter(|(_, ack)| **ack == Ack::Leader)
            .map(|(topic, _)| topic.clone())
            .collect(),
        ..Options::default()
    };
    Kafka::open(options).await
}

#[cfg(not(feature = "kafka"))]
async fn open_kafka(
    _config: &Config,
    brokers: &str,
    _usage: Use,
    _acks: &Acks,
) -> Result<Embedded, LogError> {
    Err(LogError::Setup(format!(
        "`--log` kafka://{brokers}: this service was built without the feature `kafka` of memgen"
    )))
}

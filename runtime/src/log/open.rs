//! The log that the settings ask for.

use std::{collections::HashSet, sync::Arc};

use super::{
    KeptLayout, Log, LogError, Topic,
    embedded::{self, Embedded},
    written,
};
use crate::config::{Ack, Config, LogChoice};

/// The folder of the embedded log within the data folder.
const LOG_FOLDER: &str = "log";

/// Opens the log of a service. It is empty or not; nothing is declared.
pub(crate) async fn open(config: &Config) -> Result<Arc<dyn Log>, LogError> {
    match &config.log {
        LogChoice::Embedded => open_embedded(config).await,
        LogChoice::Kafka(brokers) => open_kafka(config, brokers).await,
    }
}

/// The layouts that are kept of each of these topics, without changing anything. The log may be in use.
pub(crate) async fn peek_layouts(
    config: &Config,
    topics: &[&str],
) -> Result<Vec<Vec<KeptLayout>>, LogError> {
    if config.log == LogChoice::Embedded {
        let folder = config.data.join(LOG_FOLDER);
        let peek = |topic: &&str| Embedded::peek_layouts(&folder, topic);
        return topics.iter().map(peek).collect();
    }
    let log = open(config).await?;
    let mut kept = Vec::new();
    for topic in topics {
        kept.push(log.layouts(topic).await?);
    }
    log.close().await;
    Ok(kept)
}

/// The fingerprints of the layouts under which there are values in a topic that is as it is declared, without changing anything. The log may be in use.
pub(crate) async fn peek_written(config: &Config, topic: &Topic) -> Result<HashSet<u64>, LogError> {
    if config.log == LogChoice::Embedded {
        return Embedded::peek_written(config.data.join(LOG_FOLDER), &topic.name);
    }
    let log = open(config).await?;
    log.declare(topic).await?;
    let written = written(&*log, topic).await;
    log.close().await;
    written
}

async fn open_embedded(config: &Config) -> Result<Arc<dyn Log>, LogError> {
    let folder = config.data.join(LOG_FOLDER);
    std::fs::create_dir_all(&folder).map_err(|source| LogError::Io {
        what: format!("`--data` {}", config.data.display()),
        source,
    })?;
    let options = embedded::Options {
        sync: match config.embedded.ack {
            Ack::Fsync => embedded::Sync::Fsync,
            Ack::Os => embedded::Sync::Os,
        },
        segment_bytes: config.embedded.segment_bytes,
        answer_horizon: config.limits.idempotency_horizon,
        answers_max: config.limits.idempotency_replies_max,
        ..embedded::Options::default()
    };
    // Opening reads and verifies all of it, which may take a while.
    let open = tokio::task::spawn_blocking(move || Embedded::open(folder, options));
    Ok(Arc::new(
        open.await.expect("opening the log does not panic")?,
    ))
}

#[cfg(feature = "kafka")]
async fn open_kafka(config: &Config, brokers: &str) -> Result<Arc<dyn Log>, LogError> {
    use super::kafka::{Kafka, Options};
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
        create_topics: kafka.topics == Topics::Create,
        replication_factor: kafka.replication_factor,
        ..Options::default()
    };
    Ok(Arc::new(Kafka::open(options).await?))
}

#[cfg(not(feature = "kafka"))]
async fn open_kafka(_config: &Config, brokers: &str) -> Result<Arc<dyn Log>, LogError> {
    Err(LogError::Setup(format!(
        "`--log` kafka://{brokers}: this service was built without the feature `kafka` of memgen"
    )))
}

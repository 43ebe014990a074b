//! The log of a cluster: a compacted topic of Kafka for each state.
//!
//! A record's key and value are the state's, for any tool to read; what memgen adds is in one header. There are no transactions and no consumer groups: the order of
//! a partition's log decides, as `log-protocol.md` has it.
//!
//! | module | what |
//! |---|---|
//! | `settings` | what is passed to librdkafka, and what is not open to choice |
//! | `topics` | what Kafka must promise of a topic |
//! | `catalog` | what is kept of topics beside their records |
//! | `header`, `chunk` | records as messages, and back |
//! | `producer`, `leader_acked` | appending |
//! | `reader`, `follower` | reading, and waiting for more |

mod catalog;
mod chunk;
mod context;
mod error;
mod follower;
pub mod header;
mod leader_acked;
mod producer;
mod reader;
mod settings;
mod threads;
pub mod topics;
mod trouble;

use std::{
    collections::{BTreeSet, HashMap},
    fmt,
    sync::{Arc, Mutex, RwLock},
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use futures_util::{FutureExt, future::BoxFuture};
use tracing::{info, warn};

use self::{
    catalog::{Entries, Shape, layout_entry, shape_entry},
    follower::Follower,
    leader_acked::LeaderAcked,
    producer::Clients,
    reader::Reader,
    topics::{Admin, Description, Report},
};
use super::{
    Ack, AppendError, Chunk, KeptLayout, Log, LogError, Producer, Retention, Topic, TopicPartition,
    no_stream,
};
use crate::{
    config::{KafkaSettings, REPLICATION_FACTOR},
    record::{Offset, Record},
};

/// Why a lock can't be poisoned: nothing panics while one is held.
const UNPOISONED: &str = "nothing panics while it holds this lock";
/// Longer than this is as good as for ever.
const DELETIONS_KEPT_MAX: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
/// How much of the catalog is read at once.
const CATALOG_BYTES: usize = 1 << 20;

/// How the log on Kafka works.
#[derive(Clone, Debug)]
pub struct Options {
    /// `host:port`, or several with commas in between.
    pub brokers: String,
    /// What is passed to librdkafka.
    pub settings: KafkaSettings,
    /// What the names of all topics begin with.
    pub topic_prefix: String,
    /// How long an append may take until its outcome is unknown. It has to be below the time-out of the coordinator's sessions.
    pub append_timeout: Duration,
    /// How long to wait for the brokers at the start.
    pub connect_timeout: Duration,
    /// For how long what was written is not compacted: longer than any spell in which nobody owns a partition.
    pub compaction_lag: Duration,
    /// The longest record that topics take which memgen makes, in bytes.
    pub record_bytes_max: usize,
    /// Whether topics that are missing are made.
    pub create_topics: bool,
    /// Whether it is only looked at: no topic is made, none is refused for its settings, and nothing is appended.
    pub read_only: bool,
    /// How many brokers hold each record, at least. With fewer than three, what was acknowledged may be lost with one of them.
    pub replication_factor: u32,
    /// The topics whose records count once a partition's leader has them ([`Ack::Leader`]).
    pub leader_acks: BTreeSet<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            brokers: "127.0.0.1:9092".to_owned(),
            settings: KafkaSettings::default(),
            topic_prefix: String::new(),
            append_timeout: Duration::from_millis(7500),
            connect_timeout: Duration::from_secs(30),
            compaction_lag: Duration::from_secs(3600),
            record_bytes_max: 8 << 20,
            create_topics: true,
            read_only: false,
            replication_factor: REPLICATION_FACTOR,
            leader_acks: BTreeSet::new(),
        }
    }
}

/// The log on Kafka. See the [module](self).
pub struct Kafka {
    options: Options,
    admin: Admin,
    clients: Clients,
    /// Those of topics where a leader's acknowledgement is enough, if there are any.
    leader_clients: Option<Clients>,
    reader: ArcSwap<Reader>,
    /// Held while another reader is started.
    renews: Mutex<()>,
    topics: RwLock<HashMap<Arc<str>, Declared>>,
    catalog: tokio::sync::Mutex<Entries>,
    /// Whether the catalog's topic is known to be there.
    has_catalog: Mutex<bool>,
}

/// What is known of a topic.
#[derive(Clone, Debug)]
struct Declared {
    partitions: u32,
    /// The longest record that it takes, in bytes.
    record_bytes_max: usize,
    /// None if it is only looked at.
    retention: Option<Retention>,
    /// It holds events, and no state.
    is_stream: bool,
}

impl fmt::Debug for Kafka {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kafka")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl Kafka {
    /// Connects to the brokers.
    ///
    /// # Errors
    /// [`LogError::Setup`] if none of them answers in time, or a setting is wrong.
    pub async fn open(options: Options) -> Result<Self, LogError> {
        settings::check(&options.settings)?;
        let admin = Admin::connect(&options).await?;
        let Options {
            brokers, settings, ..
        } = &options;
        let clients = |ack| {
            let (timeout, bytes_max) = (options.append_timeout, options.record_bytes_max);
            let config = settings::producer(settings, brokers, timeout, bytes_max, ack);
            let clients = Clients::new(config, timeout);
            clients.start().map(|()| clients)
        };
        let leader_clients = (!options.leader_acks.is_empty()).then(|| clients(Ack::Leader));
        let leader_clients = leader_clients.transpose()?;
        let clients = clients(Ack::All)?;
        let reader = Reader::start(&settings::consumer(settings, brokers))?;
        info!(brokers, ?settings, "the log is on Kafka");
        Ok(Self {
            admin,
            clients,
            leader_clients,
            reader: ArcSwap::new(reader),
            renews: Mutex::new(()),
            topics: RwLock::default(),
            catalog: tokio::sync::Mutex::default(),
            has_catalog: Mutex::new(false),
            options,
        })
    }

    /// What is known of these topics, and of memgen's own. With `make`, those that are missing are made first.
    ///
    /// # Errors
    /// [`LogError::Setup`] if the brokers can't have such a topic, [`LogError::Io`].
    pub async fn report(&self, topics: &[Topic], make: bool) -> Result<Vec<Report>, LogError> {
        let own = (catalog::NAME, 1);
        let declared = topics.iter().map(|topic| (&*topic.name, topic.partitions));
        let mut missing = Vec::new();
        for (topic, _) in declared.clone().chain([own]) {
            if self.admin.describe(&self.name_of(topic)).await?.is_none() {
                missing.push(topic);
            }
        }
        if make {
            for topic in topics {
                if missing.contains(&&*topic.name) {
                    self.declare(topic).await?;
                }
            }
        }
        let mut reports = Vec::new();
        for (topic, partitions) in declared.chain([own]) {
            let name = self.name_of(topic);
            let found = self.admin.describe(&name).await?;
            let findings = found
                .as_ref()
                .map_or_else(Vec::new, |found| self.admin.findings(found, partitions));
            reports.push(Report {
                name,
                partitions,
                made: found.is_some() && missing.contains(&topic),
                found,
                findings,
            });
        }
        Ok(reports)
    }

    /// A topic's name in Kafka.
    fn name_of(&self, topic: &str) -> String {
        format!("{}{topic}", self.options.topic_prefix)
    }

    fn declared(&self, partition: &TopicPartition) -> Result<Declared, LogError> {
        self.topics
            .read()
            .expect(UNPOISONED)
            .get(&partition.topic)
            .cloned()
            .filter(|topic| partition.partition < topic.partitions)
            .ok_or_else(|| LogError::UnknownPartition(partition.clone()))
    }

    fn follower(&self, partition: &TopicPartition) -> Result<Arc<Follower>, LogError> {
        self.declared(partition)?;
        self.reader()?
            .follower(partition, &self.name_of(&partition.topic))
    }

    /// The reader; a new one, if what its clients know is outdated.
    fn reader(&self) -> Result<Arc<Reader>, LogError> {
        let reader = self.reader.load_full();
        if !reader.is_outdated() {
            return Ok(reader);
        }
        let _one_at_a_time = self.renews.lock().expect(UNPOISONED);
        let reader = self.reader.load_full();
        if !reader.is_outdated() {
            return Ok(reader);
        }
        let Options {
            brokers, settings, ..
        } = &self.options;
        let fresh = Reader::start(&settings::consumer(settings, brokers))?;
        info!(
            "a partition has become shorter, or could not be asked for long: all is read by new clients"
        );
        self.reader.store(fresh.clone());
        Ok(fresh)
    }

    /// Takes a topic in that is as it must be. `said_at` is where its shape is kept.
    fn admit(
        &self,
        topic: &str,
        description: &Description,
        said_at: Option<Offset>,
        is_stream: bool,
    ) {
        let deletions = description.settings.get("delete.retention.ms");
        let deletions = deletions.and_then(|ms| ms.parse().ok());
        let deletions = deletions.map(Duration::from_millis);
        let retention = said_at
            .zip(deletions)
            .map(|(said_at, deletions)| Retention {
                topic_id: self.admin.topic_id(&description.name, said_at),
                deletions: deletions.min(DELETIONS_KEPT_MAX),
            });
        let limit = description
            .settings
            .get("max.message.bytes")
            .and_then(|bytes| bytes.parse().ok())
            .unwrap_or(self.options.record_bytes_max);
        self.clients.limit_batches(limit);
        if !is_stream && let Some(clients) = &self.leader_clients {
            clients.limit_batches(limit);
        }
        let declared = Declared {
            partitions: description.partitions,
            record_bytes_max: limit.min(self.options.record_bytes_max),
            retention,
            is_stream,
        };
        self.topics
            .write()
            .expect(UNPOISONED)
            .insert(topic.into(), declared);
    }

    /// The topic, made if need be and allowed, and whether it was made.
    async fn require(&self, topic: &str, partitions: u32) -> Result<(Description, bool), LogError> {
        let name = self.name_of(topic);
        let mut made = false;
        loop {
            match self.admin.describe(&name).await? {
                Some(found) => return Ok((found, made)),
                None if self.options.read_only => {
                    return Err(LogError::Setup(format!(
                        "there is no topic `{name}`: the service has not run with it yet"
                    )));
                }
                None if !self.options.create_topics => {
                    return Err(LogError::Setup(format!(
                        "there is no topic `{name}`, and this service may not make one; \
                         `memgen topics create` does"
                    )));
                }
                None => made = self.admin.create(&name, partitions).await?,
            }
        }
    }

    /// The catalog's partition, if there is one or it may be made.
    async fn catalog_partition(&self, make: bool) -> Result<Option<TopicPartition>, LogError> {
        let partition = TopicPartition::new(catalog::NAME, 0);
        if !*self.has_catalog.lock().expect(UNPOISONED) {
            let name = self.name_of(catalog::NAME);
            if !make && self.admin.describe(&name).await?.is_none() {
                return Ok(None);
            }
            let (found, _) = self.require(catalog::NAME, 1).await?;
            self.refuse_unsafe(catalog::NAME, &found, 1)?;
            self.admit(catalog::NAME, &found, None, false);
            *self.has_catalog.lock().expect(UNPOISONED) = true;
        }
        Ok(Some(partition))
    }

    fn refuse_unsafe(
        &self,
        topic: &str,
        found: &Description,
        partitions: u32,
    ) -> Result<(), LogError> {
        let findings = self.admin.findings(found, partitions);
        let looks_only = self.options.read_only && found.partitions == partitions;
        if findings.is_empty() || looks_only {
            return Ok(());
        }
        let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
        let what = lines.join("\n");
        if found.partitions == partitions {
            Err(LogError::Unsafe {
                topic: found.name.clone(),
                what,
            })
        } else {
            Err(LogError::Shape {
                topic: topic.to_owned(),
                what: format!("\n{what}"),
            })
        }
    }

    /// Reads what is new in the catalog.
    async fn refresh(
        &self,
        partition: &TopicPartition,
        entries: &mut Entries,
    ) -> Result<(), LogError> {
        loop {
            let chunk = self.read(partition, entries.next(), CATALOG_BYTES).await?;
            if chunk.next == entries.next() {
                return Ok(());
            }
            entries.take(chunk.records, chunk.next);
        }
    }

    async fn append_to_catalog(
        &self,
        partition: &TopicPartition,
        records: &[Record],
    ) -> Result<(), LogError> {
        if records.is_empty() {
            return Ok(());
        }
        // Entries that are there twice are as good as once, so an unknown outcome is no matter.
        let begun = Instant::now();
        loop {
            match self.producer(partition)?.append(records).await {
                Ok(_) => return Ok(()),
                Err(AppendError::Unknown(why))
                    if begun.elapsed() < self.options.connect_timeout =>
                {
                    warn!(
                        why,
                        "the catalog of topics could not be written, trying again"
                    );
                }
                Err(error) => {
                    return Err(LogError::Io {
                        what: format!("can't write to `{}`", self.name_of(catalog::NAME)),
                        source: std::io::Error::other(error),
                    });
                }
            }
        }
    }

    /// Where the catalog ends by now; at its start if there is none yet.
    async fn catalog_end(&self) -> Result<Offset, LogError> {
        let Some(partition) = self.catalog_partition(false).await? else {
            return Ok(0);
        };
        let mut entries = self.catalog.lock().await;
        self.refresh(&partition, &mut entries).await?;
        Ok(entries.next())
    }

    /// Keeps a topic's shape, or compares it with what was kept. Says where that is. If the topic was made just now, all that was kept before `forget_before` is of another one, which
    /// had the same name and is gone; what came after that is of nodes that start at the same time.
    async fn agree(
        &self,
        topic: &Topic,
        forget_before: Option<Offset>,
    ) -> Result<Option<Offset>, LogError> {
        let Some(partition) = self.catalog_partition(true).await? else {
            return Ok(None);
        };
        let shape = Shape::of(topic);
        let mut entries = self.catalog.lock().await;
        self.refresh(&partition, &mut entries).await?;
        if let Some(end) = forget_before {
            let forget = entries.forget(&topic.name, end);
            self.append_to_catalog(&partition, &forget).await?;
            self.refresh(&partition, &mut entries).await?;
        }
        if entries.shape(&topic.name)?.is_none() {
            let entry = shape_entry(&topic.name, &shape);
            self.append_to_catalog(&partition, &[entry]).await?;
            self.refresh(&partition, &mut entries).await?;
        }
        match entries.shape(&topic.name)? {
            Some((kept, offset)) => kept.compare(topic).map(|()| Some(offset)),
            None => Err(LogError::Shape {
                topic: topic.name.clone(),
                what: "its shape was taken away by somebody else; try again".to_owned(),
            }),
        }
    }
}

impl Log for Kafka {
    fn declare<'a>(&'a self, topic: &'a Topic) -> BoxFuture<'a, Result<(), LogError>> {
        async move {
            let existing = self.admin.describe(&self.name_of(&topic.name)).await?;
            let (found, forget_before) = if let Some(found) = existing {
                (found, None)
            } else {
                let end = self.catalog_end().await?;
                let (found, made) = self.require(&topic.name, topic.partitions).await?;
                (found, made.then_some(end))
            };
            self.refuse_unsafe(&topic.name, &found, topic.partitions)?;
            let said_at = if self.options.read_only {
                None
            } else {
                self.agree(topic, forget_before).await?
            };
            self.admit(&topic.name, &found, said_at, false);
            Ok(())
        }
        .boxed()
    }

    fn open_stream<'a>(
        &'a self,
        topic: &'a str,
        partitions: u32,
    ) -> BoxFuture<'a, Result<u32, LogError>> {
        async move {
            if self.is_changelog(topic) {
                return Err(no_stream(topic));
            }
            let name = self.name_of(topic);
            let found = loop {
                match self.admin.describe(&name).await? {
                    Some(found) => break found,
                    None if self.options.read_only || !self.options.create_topics => {
                        return Err(LogError::Setup(format!(
                            "there is no topic `{name}`, and this service may not make one"
                        )));
                    }
                    // Another node may have made it at the same time; then not every broker knows of it yet.
                    None => _ = self.admin.create_stream(&name, partitions).await?,
                }
            };
            // Another service may have a state there.
            if let Some(partition) = self.catalog_partition(false).await? {
                let mut entries = self.catalog.lock().await;
                self.refresh(&partition, &mut entries).await?;
                if entries.shape(topic)?.is_some() {
                    return Err(no_stream(topic));
                }
            }
            self.admit(topic, &found, None, true);
            Ok(found.partitions)
        }
        .boxed()
    }

    fn open_table<'a>(&'a self, topic: &'a str) -> BoxFuture<'a, Result<u32, LogError>> {
        async move {
            let name = self.name_of(topic);
            let brokers = &self.options.brokers;
            let Some(found) = self.admin.describe(&name).await? else {
                return Err(LogError::Setup(format!(
                    "there is no topic `{name}`, which an external state is folded from. Whoever writes it decides how many partitions it has, so it is not made here: \
                     kafka-topics.sh --bootstrap-server {brokers} --create --topic {name} --partitions … --config cleanup.policy=compact"
                )));
            };
            if let Some(policy) = found.settings.get("cleanup.policy")
                && policy != "compact"
            {
                warn!(
                    topic = &*name,
                    cleanup_policy = &**policy,
                    "an external state is folded from this topic, which forgets values that are old: they are gone for each node that starts after that. \
                     With cleanup.policy=compact it keeps the last one of each key"
                );
            }
            self.open_stream(topic, found.partitions).await
        }
        .boxed()
    }

    fn is_changelog(&self, topic: &str) -> bool {
        let topics = self.topics.read().expect(UNPOISONED);
        topics.get(topic).is_some_and(|topic| !topic.is_stream)
    }

    fn layouts<'a>(&'a self, topic: &'a str) -> BoxFuture<'a, Result<Vec<KeptLayout>, LogError>> {
        async move {
            if self.admin.describe(&self.name_of(topic)).await?.is_none() {
                return Ok(Vec::new());
            }
            let Some(partition) = self.catalog_partition(false).await? else {
                return Ok(Vec::new());
            };
            let mut entries = self.catalog.lock().await;
            self.refresh(&partition, &mut entries).await?;
            entries.layouts(topic)
        }
        .boxed()
    }

    fn keep_layout<'a>(
        &'a self,
        topic: &'a str,
        layout: &'a KeptLayout,
    ) -> BoxFuture<'a, Result<(), LogError>> {
        async move {
            let Some(partition) = self.catalog_partition(true).await? else {
                return Ok(());
            };
            let mut entries = self.catalog.lock().await;
            self.refresh(&partition, &mut entries).await?;
            if entries.layouts(topic)?.contains(layout) {
                return Ok(());
            }
            self.append_to_catalog(&partition, &[layout_entry(topic, layout)])
                .await
        }
        .boxed()
    }

    fn producer(&self, partition: &TopicPartition) -> Result<Box<dyn Producer>, LogError> {
        let declared = self.declared(partition)?;
        if self.options.read_only {
            return Err(LogError::Setup(
                "this log was opened to be read only".to_owned(),
            ));
        }
        let producer = |clients: &Clients| {
            let name = self.name_of(&partition.topic);
            clients.producer(partition, name, &declared)
        };
        let sure = producer(&self.clients)?;
        match &self.leader_clients {
            Some(clients) if self.ack(&partition.topic) == Ack::Leader => {
                Ok(Box::new(LeaderAcked {
                    barriers: sure,
                    others: producer(clients)?,
                }))
            }
            _ => Ok(sure),
        }
    }

    fn read<'a>(
        &'a self,
        partition: &'a TopicPartition,
        from: Offset,
        bytes_max: usize,
    ) -> BoxFuture<'a, Result<Chunk, LogError>> {
        async move {
            loop {
                let follower = self.follower(partition)?;
                if let Some(chunk) = follower.read(from, bytes_max).await? {
                    return Ok(chunk);
                }
            }
        }
        .boxed()
    }

    fn grown<'a>(
        &'a self,
        partition: &'a TopicPartition,
        from: Offset,
    ) -> BoxFuture<'a, Result<(), LogError>> {
        async move { self.follower(partition)?.grown(from).await }.boxed()
    }

    fn end<'a>(&'a self, partition: &'a TopicPartition) -> BoxFuture<'a, Result<Offset, LogError>> {
        async move {
            loop {
                if let Some((_, end)) = self.follower(partition)?.range().await? {
                    return Ok(end);
                }
            }
        }
        .boxed()
    }

    fn answers(&self) -> BoxFuture<'_, bool> {
        let reader = self.reader.load_full();
        let topic = self.name_of(catalog::NAME);
        async move { reader.answers(topic).await }.boxed()
    }

    fn record_bytes_max(&self, topic: &str) -> usize {
        let topics = self.topics.read().expect(UNPOISONED);
        topics.get(topic).map_or(0, |topic| {
            topic
                .record_bytes_max
                .saturating_sub(producer::OVERHEAD_BYTES)
        })
    }

    fn ack(&self, topic: &str) -> Ack {
        if self.options.leader_acks.contains(topic) {
            Ack::Leader
        } else {
            Ack::All
        }
    }

    fn retention(&self, topic: &str) -> Option<Retention> {
        let topics = self.topics.read().expect(UNPOISONED);
        topics.get(topic)?.retention.clone()
    }

    fn size_bytes(&self) -> Option<u64> {
        // Only brokers know, and librdkafka does not ask them.
        None
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        async move {
            let mut clients = self.clients.close();
            if let Some(others) = &self.leader_clients {
                clients.extend(others.close());
            }
            let settled = tokio::task::spawn_blocking(move || {
                for client in clients {
                    client.settle();
                }
            });
            // Without a runtime's blocking threads, as when it shuts down, what is on its way is left to itself.
            let _ = settled.await;
            self.reader.load().close();
        }
        .boxed()
    }
}

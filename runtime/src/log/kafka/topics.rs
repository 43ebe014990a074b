//! What Kafka must promise of a topic that holds a state: made so, or checked.

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use rdkafka::{
    admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication},
    error::{KafkaError, RDKafkaErrorCode},
};
use serde::Serialize;
use tracing::info;

use super::{Options, context::Context, error::client_error, settings};
use crate::{log::LogError, record::Offset};

/// How long a call may take.
const CALL: Duration = Duration::from_secs(10);
/// How long to wait until a topic that was made has a leader everywhere.
const LEADERS: Duration = Duration::from_secs(30);
const BACKOFF: Duration = Duration::from_millis(50);

/// So many brokers have a record before it is acknowledged, where there are enough to go on if one is lost.
const IN_SYNC_MIN: u32 = 2;
const DELETIONS_KEPT_MS: u64 = 7 * 24 * 3600 * 1000;
/// What the log is not compacted below, per partition.
const SEGMENT_BYTES: u64 = 128 << 20;

/// What holds of topics for events too that memgen makes.
const STREAM_PROMISES: [&str; 2] = ["min.insync.replicas", "unclean.leader.election.enable"];

/// A setting of a topic that memgen rests upon.
struct Promise {
    name: &'static str,
    /// What it is set to if memgen makes the topic.
    value: String,
    /// What it must be.
    must: String,
    holds: Box<dyn Fn(&str) -> bool>,
    why: &'static str,
}

fn promises(options: &Options) -> Vec<Promise> {
    let exactly = |name, value: &'static str, why| Promise {
        name,
        value: value.to_owned(),
        must: format!("`{value}`"),
        holds: Box::new(move |is| is == value),
        why,
    };
    let at_least = |name, least: u64, why| Promise {
        name,
        value: least.to_string(),
        must: format!("at least {least}"),
        holds: Box::new(move |is| is.parse::<u64>().is_ok_and(|is| is >= least)),
        why,
    };
    let lag = u64::try_from(options.compaction_lag.as_millis()).unwrap_or(u64::MAX);
    let in_sync = IN_SYNC_MIN.min(options.replication_factor.saturating_sub(1).max(1));
    vec![
        exactly(
            "cleanup.policy",
            "compact",
            "the last record of each key is the state, and must never be deleted",
        ),
        at_least(
            "min.compaction.lag.ms",
            lag,
            "what a deposed owner wrote late may hide a valid value for as long as nobody owns the partition",
        ),
        at_least(
            "delete.retention.ms",
            DELETIONS_KEPT_MS,
            "a copy that was away must still see what was deleted meanwhile",
        ),
        at_least(
            "min.insync.replicas",
            u64::from(in_sync),
            "what is acknowledged must survive the loss of a broker",
        ),
        exactly(
            "unclean.leader.election.enable",
            "false",
            "a broker that missed acknowledged records must not become the leader",
        ),
        exactly(
            "message.timestamp.type",
            "LogAppendTime",
            "the lag of compaction is counted by one clock, whatever the clocks of the nodes are",
        ),
    ]
}

/// A topic as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Description {
    /// Its name in Kafka.
    pub name: String,
    /// How many partitions it has.
    pub partitions: u32,
    /// How many replicas each partition has, at least.
    pub replicas: u32,
    /// All of its settings, the brokers' defaults included.
    pub settings: BTreeMap<String, String>,
}

/// Something about a topic that is not as it must be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What it is about, such as `min.insync.replicas`.
    pub setting: String,
    /// What it is.
    pub is: String,
    /// What it must be.
    pub must: String,
    /// Why.
    pub why: String,
    /// The command, or what else to do.
    pub remedy: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            setting,
            is,
            must,
            why,
            remedy,
        } = self;
        write!(
            f,
            "  {setting} is {is}, and must be {must}: {why}.\n    {remedy}"
        )
    }
}

/// A topic, as it is and as it must be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Its name in Kafka.
    pub name: String,
    /// How many partitions it must have.
    pub partitions: u32,
    /// Whether it was made just now.
    pub made: bool,
    /// How it is; none if it is not there.
    pub found: Option<Description>,
    /// What is not as it must be.
    pub findings: Vec<Finding>,
}

impl Report {
    /// Whether it is there, and as it must be.
    #[must_use]
    pub fn is_safe(&self) -> bool {
        self.found.is_some() && self.findings.is_empty()
    }
}

/// Asks about topics, and makes them.
#[derive(Clone)]
pub struct Admin {
    client: Arc<Client>,
    options: Options,
    /// What Kafka calls its cluster.
    cluster_id: String,
}

impl fmt::Debug for Admin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admin")
            .field("brokers", &self.options.brokers)
            .finish_non_exhaustive()
    }
}

impl Admin {
    /// Connects to a cluster, and waits until it answers.
    ///
    /// # Errors
    /// [`LogError::Setup`] if no broker answers in time, or a setting is wrong.
    pub async fn connect(options: &Options) -> Result<Self, LogError> {
        let mut admin = Self {
            client: Arc::new(Client(Some(
                settings::admin(&options.settings, &options.brokers)
                    .create_with_context(Context("admin"))
                    .map_err(client_error("start a client"))?,
            ))),
            options: options.clone(),
            cluster_id: String::new(),
        };
        let within = options.connect_timeout;
        let known = admin
            .blocking(move |client| Ok(client.inner().fetch_cluster_id(within)))
            .await?;
        match known {
            Some(id) => {
                admin.cluster_id = id;
                Ok(admin)
            }
            None => Err(LogError::Setup(format!(
                "no broker of Kafka at {} answers within {} s; the lines before this one say why",
                options.brokers,
                within.as_secs()
            ))),
        }
    }

    /// What tells a topic from every other one, of which memgen's own topic says something at an offset.
    pub(super) fn topic_id(&self, name: &str, said_at: Offset) -> String {
        format!("{}/{name}@{said_at}", self.cluster_id)
    }

    /// The topic of this name, if there is one.
    ///
    /// # Errors
    /// [`LogError::Io`], also if the brokers do not allow it.
    pub async fn describe(&self, name: &str) -> Result<Option<Description>, LogError> {
        // Asked first, since to ask for the partitions of a topic may make one.
        let resource = [ResourceSpecifier::Topic(name)];
        let found = self
            .client
            .describe_configs(&resource, &call())
            .await
            .map_err(client_error(&format!(
                "see the settings of the topic `{name}`"
            )))?;
        let settings: BTreeMap<_, _> = match found.into_iter().next() {
            // A topic has settings, if there is one.
            Some(Ok(found)) if found.entries.is_empty() => return Ok(None),
            Some(Ok(found)) => found
                .entries
                .into_iter()
                .filter_map(|entry| Some((entry.name, entry.value?)))
                .collect(),
            Some(Err(RDKafkaErrorCode::UnknownTopicOrPartition)) | None => return Ok(None),
            Some(Err(code)) => {
                return Err(client_error(&format!(
                    "see the settings of the topic `{name}`"
                ))(KafkaError::AdminOp(code)));
            }
        };
        let (partitions, replicas) = self.partitions(name).await?;
        Ok(Some(Description {
            name: name.to_owned(),
            partitions,
            replicas,
            settings,
        }))
    }

    /// How many partitions a topic has that is there, and how many replicas each has at least. Waits until all have leaders.
    async fn partitions(&self, name: &str) -> Result<(u32, u32), LogError> {
        let deadline = tokio::time::Instant::now() + LEADERS;
        loop {
            let topic = name.to_owned();
            let seen = self
                .blocking(move |client| {
                    let metadata = client.inner().fetch_metadata(Some(&topic), CALL)?;
                    let topic = metadata.topics().first();
                    let partitions = topic.map_or(&[][..], |topic| topic.partitions());
                    let led = partitions.iter().all(|it| it.leader() >= 0);
                    let replicas = partitions.iter().map(|it| it.replicas().len()).min();
                    Ok((led, partitions.len(), replicas.unwrap_or(0)))
                })
                .await?;
            let late = tokio::time::Instant::now() > deadline;
            match seen {
                (led, partitions @ 1.., replicas) if led || late => {
                    let count = |it: usize| u32::try_from(it).unwrap_or(u32::MAX);
                    return Ok((count(partitions), count(replicas)));
                }
                _ if late => {
                    return Err(LogError::Setup(format!(
                        "the topic `{name}` has no partitions yet; try again"
                    )));
                }
                _ => tokio::time::sleep(BACKOFF).await,
            }
        }
    }

    /// Makes a topic as memgen wants it, unless there is one: whether it was made.
    ///
    /// # Errors
    /// [`LogError::Setup`] if the cluster can't have such a topic; [`LogError::Io`].
    pub async fn create(&self, name: &str, partitions: u32) -> Result<bool, LogError> {
        let mut settings: Vec<(&str, String)> = promises(&self.options)
            .into_iter()
            .map(|promise| (promise.name, promise.value))
            .collect();
        settings.push((
            "max.message.bytes",
            self.options.record_bytes_max.to_string(),
        ));
        settings.push(("segment.bytes", SEGMENT_BYTES.to_string()));
        self.make(name, partitions, &settings).await
    }

    /// Makes a topic for events, unless there is one: whether it was made. How long they are kept is for the brokers to say.
    ///
    /// # Errors
    /// As [`create`](Self::create).
    pub async fn create_stream(&self, name: &str, partitions: u32) -> Result<bool, LogError> {
        let kept = promises(&self.options).into_iter();
        let kept = kept.filter(|promise| STREAM_PROMISES.contains(&promise.name));
        let mut settings: Vec<(&str, String)> =
            kept.map(|promise| (promise.name, promise.value)).collect();
        settings.push(("cleanup.policy", "delete".to_owned()));
        self.make(name, partitions, &settings).await
    }

    async fn make(
        &self,
        name: &str,
        partitions: u32,
        settings: &[(&str, String)],
    ) -> Result<bool, LogError> {
        let replicas = self.options.replication_factor;
        let topic = NewTopic {
            name,
            num_partitions: i32::try_from(partitions).unwrap_or(i32::MAX),
            replication: TopicReplication::Fixed(i32::try_from(replicas).unwrap_or(i32::MAX)),
            config: settings
                .iter()
                .map(|(name, value)| (*name, value.as_str()))
                .collect(),
        };
        let made = self
            .client
            .create_topics([&topic], &call().operation_timeout(Some(CALL)))
            .await
            .map_err(client_error(&format!("make the topic `{name}`")))?;
        match made.into_iter().next() {
            Some(Err((_, RDKafkaErrorCode::TopicAlreadyExists))) => Ok(false),
            Some(Err((_, RDKafkaErrorCode::InvalidReplicationFactor))) => {
                Err(LogError::Setup(format!(
                    "the topic `{name}` needs {replicas} brokers, so that what is acknowledged survives the loss of one, and the cluster at {} has fewer. \
                     For development, `--replication-factor 1` is enough",
                    self.options.brokers
                )))
            }
            Some(Err((_, code))) => Err(client_error(&format!("make the topic `{name}`"))(
                KafkaError::AdminOp(code),
            )),
            Some(Ok(_)) | None => {
                info!(topic = name, partitions, replicas, "made a topic");
                // Until it has leaders, it has no end either.
                self.partitions(name).await?;
                Ok(true)
            }
        }
    }

    /// What is not as it must be. `partitions` is what is declared.
    #[must_use]
    pub fn findings(&self, topic: &Description, partitions: u32) -> Vec<Finding> {
        let mut findings = Vec::new();
        let Options {
            brokers,
            replication_factor,
            ..
        } = &self.options;
        let name = &topic.name;
        if topic.partitions != partitions {
            findings.push(Finding {
                setting: "the number of partitions".to_owned(),
                is: topic.partitions.to_string(),
                must: partitions.to_string(),
                why: "each key's partition follows from it, so it is fixed when the topic is made"
                    .to_owned(),
                remedy: format!(
                    "declare `partitions = {}`, or begin with another topic",
                    topic.partitions
                ),
            });
        }
        if topic.replicas < *replication_factor {
            findings.push(Finding {
                setting: "the number of replicas".to_owned(),
                is: topic.replicas.to_string(),
                must: format!("at least {replication_factor}"),
                why: "what is acknowledged must survive the loss of a broker".to_owned(),
                remedy: format!(
                    "kafka-reassign-partitions.sh --bootstrap-server {brokers} …, or for development `--replication-factor {}`",
                    topic.replicas
                ),
            });
        }
        for promise in promises(&self.options) {
            let is = topic.settings.get(promise.name);
            if is.is_some_and(|is| (promise.holds)(is)) {
                continue;
            }
            findings.push(Finding {
                setting: promise.name.to_owned(),
                is: is.map_or_else(|| "not known to the brokers".to_owned(), |is| format!("`{is}`")),
                must: promise.must,
                why: promise.why.to_owned(),
                remedy: format!(
                    "kafka-configs.sh --bootstrap-server {brokers} --alter --entity-type topics --entity-name {name} --add-config {}={}",
                    promise.name, promise.value
                ),
            });
        }
        findings
    }

    /// Runs something that waits for brokers, on a thread where that is no harm.
    async fn blocking<R: Send + 'static>(
        &self,
        run: impl FnOnce(&AdminClient<Context>) -> Result<R, KafkaError> + Send + 'static,
    ) -> Result<R, LogError> {
        let client = Arc::clone(&self.client);
        tokio::task::spawn_blocking(move || run(&client))
            .await
            .unwrap_or(Err(KafkaError::Canceled))
            .map_err(client_error("ask the brokers"))
    }
}

/// A client that is dropped elsewhere, since that waits for its thread.
struct Client(Option<AdminClient<Context>>);

impl std::ops::Deref for Client {
    type Target = AdminClient<Context>;

    fn deref(&self) -> &Self::Target {
        self.0.as_ref().expect("it is there until it is dropped")
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let client = self.0.take();
        std::thread::spawn(move || drop(client));
    }
}

fn call() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(CALL))
}

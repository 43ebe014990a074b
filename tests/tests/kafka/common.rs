//! The brokers, logs on them, and what others can do to topics.

use std::{
    fs,
    path::Path,
    sync::{
        LazyLock,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use memgen::log::{
    Log, TopicPartition, conformance,
    kafka::{Kafka, Options},
};
use memgen_cli::servers::{Jars, Kafka as Brokers};
use rdkafka::{
    ClientConfig,
    admin::{
        AdminClient, AdminOptions, AlterConfig, NewTopic, ResourceSpecifier, TopicReplication,
    },
    client::DefaultClientContext,
    metadata::MetadataPartition,
};
use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Three brokers.
pub(crate) static THREE: LazyLock<Cluster> = LazyLock::new(|| Cluster::start("three", 3));
/// A single one.
pub(crate) static ONE: LazyLock<Cluster> = LazyLock::new(|| Cluster::start("one", 1));

/// Brokers, and where they are.
pub(crate) struct Cluster {
    pub(crate) addresses: String,
    brokers: RwLock<Brokers>,
}

impl Cluster {
    /// Brokers in a folder that is made anew; what an earlier run left there is of no use. They end with this process.
    fn start(name: &str, count: usize) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"))
            .join("kafka")
            .join(name);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).expect("a folder for the brokers");
        let jars = Jars::fetch().expect("Java and Maven are installed");
        let mut brokers = Brokers::create(&jars, &folder, count).expect("brokers");
        brokers.start().expect("they answer");
        Self {
            addresses: brokers.addresses(),
            brokers: RwLock::new(brokers),
        }
    }

    /// Nobody stops a broker meanwhile.
    pub(crate) async fn steady(&self) -> RwLockReadGuard<'_, Brokers> {
        self.brokers.read().await
    }

    /// For a test that stops brokers, while no other runs. It leaves them as they were.
    pub(crate) async fn shaken(&self) -> RwLockWriteGuard<'_, Brokers> {
        self.brokers.write().await
    }

    /// How a log on these brokers works, whose topics begin with `prefix`.
    pub(crate) fn options(&self, prefix: &str) -> Options {
        Options {
            brokers: self.addresses.clone(),
            topic_prefix: prefix.to_owned(),
            append_timeout: Duration::from_secs(30),
            replication_factor: if self.addresses.contains(',') { 3 } else { 1 },
            ..Options::default()
        }
    }

    /// A log on these brokers.
    pub(crate) async fn open(&self, prefix: &str) -> Kafka {
        Kafka::open(self.options(prefix))
            .await
            .expect("the brokers answer")
    }

    /// A client that knows nothing of memgen.
    pub(crate) fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.addresses);
        config
    }

    pub(crate) fn admin(&self) -> AdminClient<DefaultClientContext> {
        self.client().create().expect("a client")
    }

    /// Makes a topic with settings of its own.
    pub(crate) async fn make(&self, topic: &str, replicas: i32, settings: &[(&str, &str)]) {
        let made = self.try_make(topic, replicas, settings).await;
        assert!(made, "`{topic}` can't be made");
    }

    /// Whether such a topic could be made.
    pub(crate) async fn try_make(
        &self,
        topic: &str,
        replicas: i32,
        settings: &[(&str, &str)],
    ) -> bool {
        let made = NewTopic {
            name: topic,
            num_partitions: 1,
            replication: TopicReplication::Fixed(replicas),
            config: settings.to_vec(),
        };
        let made = self.admin().create_topics([&made], &soon()).await;
        made.is_ok_and(|made| made.iter().all(Result::is_ok))
    }

    /// Changes a setting of a topic, and leaves the others.
    pub(crate) async fn alter(&self, topic: &str, name: &str, value: &str) {
        let admin = self.admin();
        let resource = ResourceSpecifier::Topic(topic);
        let found = admin.describe_configs([&resource], &soon()).await;
        let found = found.expect("the brokers answer").remove(0);
        let entries = found.expect("the topic is there").entries;
        let mut altered = AlterConfig::new(ResourceSpecifier::Topic(topic)).set(name, value);
        for entry in &entries {
            let own = entry.source == rdkafka::admin::ConfigSource::DynamicTopic;
            if own && entry.name != name {
                let value = entry.value.as_deref().expect("a topic has no secrets");
                altered = altered.set(&entry.name, value);
            }
        }
        let altered = admin.alter_configs([&altered], &soon()).await;
        assert!(
            altered
                .as_ref()
                .is_ok_and(|it| it.iter().all(Result::is_ok)),
            "{altered:?}"
        );
    }

    /// The broker that leads a topic's first partition, counted from 0.
    pub(crate) async fn leader(&self, topic: &str) -> usize {
        let leader = self
            .of_first_partition(topic, MetadataPartition::leader)
            .await;
        counted(leader)
    }

    /// Whether a topic's first partition has a leader.
    pub(crate) async fn is_led(&self, topic: &str) -> bool {
        self.of_first_partition(topic, |it| it.leader() >= 0).await
    }

    /// The brokers whose copies of a topic's first partition are in sync, counted from 0.
    pub(crate) async fn in_sync(&self, topic: &str) -> Vec<usize> {
        self.of_first_partition(topic, |it| it.isr().iter().copied().map(counted).collect())
            .await
    }

    /// What the brokers say of a topic's first partition.
    async fn of_first_partition<T: Send + 'static>(
        &self,
        topic: &str,
        look: impl FnOnce(&MetadataPartition) -> T + Send + 'static,
    ) -> T {
        let (admin, topic) = (self.admin(), topic.to_owned());
        let asked = tokio::task::spawn_blocking(move || {
            let metadata = admin
                .inner()
                .fetch_metadata(Some(&topic), Duration::from_secs(10))
                .expect("the brokers answer");
            look(&metadata.topics()[0].partitions()[0])
        });
        asked.await.expect("it does not panic")
    }
}

/// Brokers' ids count from 1.
fn counted(id: i32) -> usize {
    usize::try_from(id - 1).expect("there is one")
}

pub(crate) fn soon() -> AdminOptions {
    AdminOptions::new()
        .request_timeout(Some(Duration::from_secs(30)))
        .operation_timeout(Some(Duration::from_secs(30)))
}

/// A prefix that no other test has.
pub(crate) fn prefix() -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    format!("t{}-", NUMBER.fetch_add(1, Ordering::Relaxed))
}

/// Declares a topic of one partition.
pub(crate) async fn declare(log: &Kafka, topic: &str) -> TopicPartition {
    log.declare(&conformance::topic(topic, 1))
        .await
        .expect("a new topic");
    TopicPartition::new(topic, 0)
}

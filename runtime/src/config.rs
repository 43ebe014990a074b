//! What can be set from outside, and from where: flags, `MEMGEN_…` variables, `memgen.toml`.
//!
//! [`Config`] and [`Limits`] are plain data whose `Default` is the only place where a default is written.
//! `config/settings.rs` is the only place where a setting is defined: its name, its legal values, its help.

mod ack;
#[cfg(feature = "fuzzing")]
pub(crate) mod again;
mod checks;
mod file;
mod flags;
mod help;
mod host;
mod kafka;
mod load;
mod open_files;
mod settings;
mod task;
mod values;

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

pub use ack::AckConfig;
#[cfg(feature = "kafka")]
pub(crate) use kafka::is_secret;
pub use kafka::{KafkaConfig, KafkaSettings, REPLICATION_FACTOR, Topics};
pub use load::{Sources, Stop};
pub use task::{LogTask, Task};
pub(crate) use values::partitions;

use crate::coordinator::zookeeper::Address;

/// How many nodes one process can run.
pub const NODES_MAX: u16 = 16;

/// How many nodes can follow a partition.
pub const REPLICAS_MAX: u32 = 100;

/// How many partitions a topic can have.
pub const PARTITIONS_MAX: u32 = 4096;

/// All settings of a service.
///
/// ```
/// use memgen::Config;
/// let config = Config { replicas: 2, ..Config::default() };
/// assert_eq!(config.http.to_string(), "127.0.0.1:8081");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The cluster: services of one name work together. The service's own name by default.
    pub cluster: String,
    /// The name of this node, unique in the cluster. See [`node_at`](Self::node_at) for what it is if `None`, and for several in one process.
    pub node: Option<String>,
    /// Where the API is served.
    pub http: SocketAddr,
    /// Where `/healthz`, `/metrics` and the like are served.
    pub admin: SocketAddr,
    /// Where other nodes forward requests to.
    pub peer: SocketAddr,
    /// The folder that holds the embedded log, or the snapshots of partitions whose log is elsewhere.
    pub data: PathBuf,
    /// Which log.
    pub log: LogChoice,
    /// Who says which node owns which partition.
    pub coordinator: CoordinatorChoice,
    /// How many nodes follow each partition besides its owner, if there are so many.
    pub replicas: u32,
    /// The host at which other nodes reach this one, where it listens on all addresses of the machine.
    pub advertise: Option<String>,
    /// What nodes show each other, so that nobody else is taken for one. The same at all nodes.
    pub peer_secret: Option<String>,
    /// The file of the certificate, and of those between it and the authority's, that this node shows others; PEM. With the two that follow, or not at all.
    pub peer_tls_cert: Option<PathBuf>,
    /// The file of that certificate's key; PEM.
    pub peer_tls_key: Option<PathBuf>,
    /// The file of the authority that signs the certificates of all nodes, and nobody else's; PEM.
    pub peer_tls_ca: Option<PathBuf>,
    /// Where this node stands: the copies of a partition are spread over zones.
    pub zone: Option<String>,
    /// The partitions that this node owns; all of them if `None`.
    pub serve: Option<BTreeSet<u32>>,
    /// How many nodes this process runs.
    pub nodes: u16,
    /// How long a node may be silent before others take over.
    pub session_timeout: Duration,
    /// The number of partitions that the positional form names. It must be what the service declares.
    pub partitions: Option<u32>,
    /// The bounds.
    pub limits: Limits,
    /// How sure the acknowledgement of a write is: for all states, and for single ones.
    pub ack: AckConfig,
    /// How the embedded log writes.
    pub embedded: EmbeddedConfig,
    /// What is set of Kafka.
    pub kafka: KafkaConfig,
    /// A file with events for the topics that the service takes in, where the log is embedded.
    pub replay: Option<PathBuf>,
    /// Where the schemas of events are whose format is Avro. The folder `schemas` below [`data`](Self::data) if `None` and the log is embedded.
    pub schema_registry: Option<SchemaRegistry>,
    /// How many records the log of a partition grows at least before a new snapshot of it is kept; none are if 0.
    pub snapshot_records: u64,
    /// What opens the operations of a document that demand to know who asks: the name of a security scheme, and a key, a token or `user:password` for it.
    pub credentials: Vec<(String, String)>,
    /// How lines of the operator's log look.
    pub log_format: LogFormat,
    /// Which lines are written, such as `info` or `memgen=debug,info`. `RUST_LOG` decides if `None`, and `info` without it.
    pub log_level: Option<String>,
    /// What is legal but likely not meant. [`crate::logging::start`] writes it to the log.
    pub warnings: Vec<String>,
}

/// Every bound that can be set. What happens at each is said with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most memory that the process may take, in bytes: 507 for writes that need more. Four fifths of what the machine or the container has, if it is not said.
    pub memory_max: Option<usize>,
    /// The longest request body, in bytes; 413 beyond it.
    pub body_bytes_max: usize,
    /// How deep arrays and objects of a body may nest; 400 beyond it. At most 127, the parser's own bound.
    pub json_depth_max: usize,
    /// The longest request head, in bytes; 431 beyond it.
    pub header_bytes_max: usize,
    /// The most header fields of a request; 431 beyond it.
    pub header_count_max: usize,
    /// How long the head of a request may take to arrive; the connection is closed then.
    pub header_timeout: Duration,
    /// How long the body may take to arrive; 408 then.
    pub body_timeout: Duration,
    /// How long an answer may take; 503 then.
    pub request_timeout: Duration,
    /// Connections at one time on one listener; more are closed at once. It is also bounded by the open files that the
    /// system allows.
    pub connections_max: usize,
    /// Commands that wait for the writer of one partition; 503 with `Retry-After` beyond it.
    pub queue_max: usize,
    /// Items of a list if the request does not say.
    pub list_limit_default: usize,
    /// The most items of a list; 400 beyond it.
    pub list_limit_max: usize,
    /// The longest key text, in bytes; 414 beyond it.
    pub key_bytes_max: usize,
    /// How long the answer to an `Idempotency-Key` is kept.
    pub idempotency_horizon: Duration,
    /// Answers kept per partition; the oldest go first.
    pub idempotency_replies_max: usize,
    /// Records that one write to the log takes together; more wait for the next.
    pub group_records_max: usize,
    /// Bytes that one write to the log takes together; more wait for the next.
    pub group_bytes_max: usize,
    /// Partitions that feeds of one node watch at a time; 503 beyond it. A feed of one key watches one, that of a collection all of its partitions.
    pub feeds_max: usize,
    /// Changes of a partition that are kept in memory, for feeds to go on from; a feed that is behind more of them begins anew.
    pub feed_history_max: usize,
    /// Bytes of those changes.
    pub feed_history_bytes_max: usize,
    /// How often a feed without events says that it is there.
    pub feed_keep_alive: Duration,
    /// How long requests in progress may take to end when the service is told to stop.
    pub shutdown_grace: Duration,
}

/// How the embedded log writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmbeddedConfig {
    /// The size at which a new segment file begins, in bytes.
    pub segment_bytes: u64,
    /// For how long events are kept at least; longer, where a function has yet to take them in.
    pub stream_retention: Duration,
}

/// Which log keeps the records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum LogChoice {
    /// Files in the data folder of this node.
    #[default]
    Embedded,
    /// Topics of Kafka, at these brokers: `host:port`, with commas in between.
    Kafka(String),
}

/// Who assigns partitions to nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum CoordinatorChoice {
    /// This process, for the nodes that it runs.
    #[default]
    Local,
    /// A ZooKeeper ensemble, for nodes of any process.
    ZooKeeper(Address),
}

/// Where schemas of Avro are.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SchemaRegistry {
    /// At a registry that speaks Confluent's REST API: the URL of what comes before `/subjects` and `/schemas`.
    Http(String),
    /// In a folder: `7.avsc` has the id 7.
    Folder(PathBuf),
}

/// How lines of the operator's log look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// What differs between the nodes of one process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeConfig {
    /// The node's id.
    pub node: String,
    /// Where it serves the API.
    pub http: SocketAddr,
    /// Where it serves `/healthz`, `/metrics` and the like.
    pub admin: SocketAddr,
    /// Where other nodes forward requests to.
    pub peer: SocketAddr,
}

impl Config {
    /// The settings of this process: from its arguments, then `MEMGEN_…` variables, then `memgen.toml`, then defaults.
    ///
    /// If help or the version was asked for it is printed, and the process ends with 0. If anything is wrong, all of it is
    /// printed with where it was set, and the process ends with 2.
    #[must_use]
    pub fn load(service: &str, version: &str) -> Self {
        match Self::from_sources(service, version, &Sources::of_this_process()) {
            Ok(config) => config,
            Err(stop) => stop.exit(),
        }
    }

    /// The settings that these sources make. See [`load`](Self::load).
    ///
    /// ```
    /// use memgen::{Config, config::{Sources, Stop}};
    ///
    /// let sources = |args: &[&str]| Sources {
    ///     args: args.iter().map(Into::into).collect(),
    ///     variables: vec![("MEMGEN_ACK".into(), "os".into())],
    ///     folder: std::env::temp_dir().join("no-such-folder"),
    /// };
    /// let config = Config::from_sources("graph", "0.1.0", &sources(&["--http", "127.0.0.1:0"])).unwrap();
    /// assert_eq!(config.http.port(), 0);
    ///
    /// let Err(Stop::Wrong(text)) = Config::from_sources("graph", "0.1.0", &sources(&["--htpp", "x"])) else { panic!() };
    /// assert!(text.contains("did you mean `--http`?"));
    /// ```
    ///
    /// # Errors
    /// [`Stop`] if there is nothing to run: help or the version was asked for, or settings are wrong.
    pub fn from_sources(service: &str, version: &str, sources: &Sources) -> Result<Self, Stop> {
        load::load(service, version, sources)
    }

    /// How many connections the API of each node may have at one time: what the settings say, or less if the system allows
    /// fewer open files. The soft limit of the system is raised to the hard one first.
    #[must_use]
    pub fn connections_allowed(&self) -> usize {
        /// Files that are not connections to the API: the log, the admin listener, forwarding to peers.
        const RESERVED: u64 = 512;
        let Some(files) = open_files::raise() else {
            return self.limits.connections_max;
        };
        let share = (files - RESERVED.min(files / 4)) / u64::from(self.nodes.max(1));
        usize::try_from(share.max(1))
            .unwrap_or(usize::MAX)
            .min(self.limits.connections_max)
    }

    /// The name and the addresses of node `index` (from 0) of this process: node `i` listens on each given port
    /// + `i`, and port 0 stays "any free port".
    ///
    /// Nodes without a given name are `1`, `2`, … among themselves; in a cluster of several processes they have the name of the host and the port for their
    /// peers, such as `db-7-7081`, which stay the same when they start again.
    ///
    /// ```
    /// use memgen::Config;
    /// let config = Config { nodes: 2, ..Config::default() };
    /// let second = config.node_at(1);
    /// assert_eq!((second.node.as_str(), second.http.port()), ("2", 8082));
    /// ```
    ///
    /// # Panics
    /// If a port would be above 65535, which [`load`](Self::load) refuses.
    #[must_use]
    pub fn node_at(&self, index: u16) -> NodeConfig {
        let shifted = |address: SocketAddr| match address.port() {
            0 => address,
            port => SocketAddr::new(
                address.ip(),
                port.checked_add(index)
                    .expect("`load` checks the ports of all nodes"),
            ),
        };
        let peer = shifted(self.peer);
        let number = index + 1;
        let node = match (&self.node, &self.coordinator) {
            (Some(node), _) if self.nodes == 1 => node.clone(),
            (Some(node), _) => format!("{node}-{number}"),
            (None, CoordinatorChoice::Local) => number.to_string(),
            (None, CoordinatorChoice::ZooKeeper(_)) => match peer.port() {
                // Any port that is free: nothing stays the same, but it must differ.
                0 => format!("{}-{}-{number}", host::name(), std::process::id()),
                port => format!("{}-{port}", host::name()),
            },
        };
        NodeConfig {
            node,
            http: shifted(self.http),
            admin: shifted(self.admin),
            peer,
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        let local = |port| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
        Self {
            cluster: "memgen".to_owned(),
            node: None,
            http: local(8081),
            admin: local(9081),
            peer: local(7081),
            data: PathBuf::from("./data"),
            log: LogChoice::default(),
            coordinator: CoordinatorChoice::default(),
            replicas: 1,
            advertise: None,
            peer_secret: None,
            peer_tls_cert: None,
            peer_tls_key: None,
            peer_tls_ca: None,
            zone: None,
            serve: None,
            nodes: 1,
            session_timeout: Duration::from_secs(6),
            partitions: None,
            limits: Limits::default(),
            ack: AckConfig::default(),
            embedded: EmbeddedConfig::default(),
            kafka: KafkaConfig::default(),
            replay: None,
            schema_registry: None,
            snapshot_records: 10_000,
            credentials: Vec::new(),
            log_format: LogFormat::default(),
            log_level: None,
            warnings: Vec::new(),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_max: None,
            body_bytes_max: 1 << 20,
            json_depth_max: 64,
            header_bytes_max: 64 << 10,
            header_count_max: 100,
            header_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(30),
            request_timeout: Duration::from_secs(30),
            connections_max: 16_384,
            queue_max: 4096,
            list_limit_default: 100,
            list_limit_max: 1000,
            key_bytes_max: crate::key::KEY_BYTES_MAX,
            idempotency_horizon: Duration::from_secs(3600),
            idempotency_replies_max: 100_000,
            group_records_max: 1024,
            group_bytes_max: 4 << 20,
            feeds_max: 10_000,
            feed_history_max: 10_000,
            feed_history_bytes_max: 8 << 20,
            feed_keep_alive: Duration::from_secs(15),
            shutdown_grace: Duration::from_secs(10),
        }
    }
}

impl Default for EmbeddedConfig {
    fn default() -> Self {
        Self {
            segment_bytes: 64 << 20,
            stream_retention: Duration::from_secs(7 * 24 * 3600),
        }
    }
}

#[cfg(test)]
mod tests;

//! The table of all settings. Flags, variables, keys of the file, the help, and what is legal all come from here.

use super::{
    Config, CoordinatorChoice, LogChoice, LogFormat, NODES_MAX, REPLICAS_MAX, Topics, ack, values,
};
use crate::key::KEY_BYTES_MAX;

/// One thing that can be set.
pub(super) struct Setting {
    /// The flag without its dashes, and the key in the file.
    pub(super) name: &'static str,
    pub(super) group: &'static str,
    /// What stands for the value in the help.
    pub(super) value: &'static str,
    pub(super) help: &'static str,
    /// Sets it from text. The error says what is legal.
    pub(super) set: fn(&mut Config, &str) -> Result<(), String>,
    /// Its value as text, of which `set` makes the same value; empty if there is none.
    pub(super) show: fn(&Config) -> String,
}

impl Setting {
    /// The variable: `MEMGEN_SESSION_TIMEOUT_MS` for `session-timeout-ms`.
    pub(super) fn variable(&self) -> String {
        format!(
            "{VARIABLE_PREFIX}{}",
            self.name.to_ascii_uppercase().replace('-', "_")
        )
    }
}

pub(super) const VARIABLE_PREFIX: &str = "MEMGEN_";

/// The setting of this name.
pub(super) fn find(name: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.name == name)
}

const NODE: &str = "Node";
const LOG: &str = "Log";
const CLUSTER: &str = "Cluster";
const LIMITS: &str = "Limits";
const OUTPUT: &str = "Output";

/// A setting whose value is stored by one assignment.
macro_rules! setting {
    ($group:ident, $name:literal, $value:literal, $help:expr,
     |$config:ident| $place:expr, |$text:ident| $parse:expr, |$shown:ident| $show:expr) => {
        Setting {
            name: $name,
            group: $group,
            value: $value,
            help: $help,
            set: |$config, $text| {
                $place = $parse?;
                Ok(())
            },
            show: |$config| {
                let $shown = &$place;
                $show
            },
        }
    };
}

/// A bound that is a plain number.
macro_rules! count {
    ($name:literal, $field:ident, $legal:expr, $help:expr) => {
        setting!(
            LIMITS,
            $name,
            "N",
            $help,
            |config| config.limits.$field,
            |text| values::number(text, $legal),
            |n| n.to_string()
        )
    };
}

/// A bound in bytes.
macro_rules! bytes {
    ($name:literal, $field:ident, $legal:expr, $help:expr) => {
        setting!(
            LIMITS,
            $name,
            "BYTES",
            $help,
            |config| config.limits.$field,
            |text| values::size(text, $legal),
            |n| { values::show_bytes(*n as u64) }
        )
    };
}

/// A bound in milliseconds.
macro_rules! time {
    ($group:ident, $name:literal, |$config:ident| $place:expr, $help:expr) => {
        setting!(
            $group,
            $name,
            "MS",
            $help,
            |$config| $place,
            |text| values::milliseconds(text),
            |time| time.as_millis().to_string()
        )
    };
}

pub(super) static SETTINGS: &[Setting] = &[
    setting!(
        NODE,
        "http",
        "ADDR",
        "Where the API is served: HOST:PORT; port 0 is any free port",
        |config| config.http,
        |text| values::address(text),
        |address| address.to_string()
    ),
    setting!(
        NODE,
        "admin",
        "ADDR",
        "Where /healthz, /readyz, /metrics and /status are served. They ask nobody who they are: \
        keep them on loopback or in a closed network",
        |config| config.admin,
        |text| values::address(text),
        |address| address.to_string()
    ),
    setting!(
        NODE,
        "data",
        "DIR",
        "The folder of the embedded log, or of snapshots of partitions whose log is in Kafka; one process at a time",
        |config| config.data,
        |text| if text.is_empty() {
            Err("expected a folder".to_owned())
        } else {
            Ok(text.into())
        },
        |folder| folder.display().to_string()
    ),
    setting!(
        NODE,
        "nodes",
        "N",
        "Run N nodes in this process. Node i (from 0) listens on each given port + i, and each owns its \
        share of the partitions",
        |config| config.nodes,
        |text| values::number(text, 1..=NODES_MAX),
        |number| number.to_string()
    ),
    time!(
        NODE,
        "shutdown-grace-ms",
        |config| config.limits.shutdown_grace,
        "How long requests in progress may take to end when the service is told to stop"
    ),
    setting!(
        LOG,
        "log",
        "LOG",
        "Which log keeps the records: `embedded`, in files of this node, or `kafka://host:port,…`, in topics of Kafka. Settings of \
        its client, librdkafka, have their own names: `kafka.security.protocol = \"ssl\"` in memgen.toml, \
        --kafka.security.protocol ssl, MEMGEN_KAFKA_SECURITY_PROTOCOL=ssl",
        |config| config.log,
        |text| log(text),
        |log| match log {
            LogChoice::Embedded => "embedded".to_owned(),
            LogChoice::Kafka(brokers) => format!("{KAFKA_SCHEME}{brokers}"),
        }
    ),
    setting!(
        LOG,
        "topics",
        "WHAT",
        "What is done about topics that Kafka does not have: `create` makes them, `check` refuses to start",
        |config| config.kafka.topics,
        |text| values::word(text, TOPICS),
        |topics| show_word(TOPICS, *topics)
    ),
    setting!(
        LOG,
        "topic-prefix",
        "TEXT",
        "What the names of all topics of Kafka begin with, such as `staging-`",
        |config| config.kafka.topic_prefix,
        |text| values::name(text),
        |prefix| prefix.clone()
    ),
    setting!(
        LOG,
        "replication-factor",
        "N",
        "How many brokers of Kafka hold each record, at least. Fewer than 3 is for development: what was acknowledged may be lost \
        with one of them",
        |config| config.kafka.replication_factor,
        |text| values::number(text, 1..=100),
        |number| number.to_string()
    ),
    time!(
        LOG,
        "compaction-lag-ms",
        |config| config.kafka.compaction_lag,
        "For how long Kafka must not compact what was written. It has to be longer than any spell in which nobody owns a partition"
    ),
    setting!(
        LOG,
        "snapshot-records",
        "N",
        "How many records the log of a partition in Kafka grows, at least, before a new snapshot of it is kept in the data folder, so that a \
        restart reads only what came since; 0 keeps none",
        |config| config.snapshot_records,
        |text| values::number(text, 0..=1_000_000_000),
        |number| number.to_string()
    ),
    setting!(
        LOG,
        "ack",
        "WHEN",
        "When a write counts, instead of what its state says: in Kafka `all`, once all replicas in sync have it, or `leader`, once the broker that leads its \
        partition has it; in the embedded log `fsync`, once it is on the disk, or `os`, once the system has it, which survives a crash of the process but not of \
        the machine. For single topics as in `vertex=leader`; several with commas in between",
        |config| config.ack,
        |text| ack::parse(text),
        |config| ack::show(config)
    ),
    setting!(
        LOG,
        "segment-bytes",
        "BYTES",
        "The size at which the embedded log begins a new file",
        |config| config.embedded.segment_bytes,
        |text| values::bytes(text, 64 << 10..=4 << 30),
        |bytes| values::show_bytes(*bytes)
    ),
    time!(
        LOG,
        "stream-retention-ms",
        |config| config.embedded.stream_retention,
        "For how long the embedded log keeps the events of topics at least; longer, where a function has yet to take them in"
    ),
    setting!(
        LOG,
        "replay",
        "FILE",
        "A file with events for the topics that the service takes in, where the log is embedded: in each line \
        {\"topic\": …, \"key\": …, \"value\": …}, or less where the rest is clear. What of it was replayed before is not replayed again",
        |config| config.replay,
        |text| values::file(text).map(Some),
        |file| values::show_file(file.as_deref())
    ),
    setting!(
        LOG,
        "schema-registry",
        "URL|FOLDER",
        "Where the schemas of Avro are: http://HOST:PORT/PATH of a registry that speaks Confluent's REST API, or a folder with 7.avsc for the id 7. \
        Where the log is embedded, the folder `schemas` of the data folder, if it is not said",
        |config| config.schema_registry,
        |text| values::schema_registry(text).map(Some),
        |registry| values::show_schema_registry(registry.as_ref())
    ),
    setting!(
        CLUSTER,
        "cluster",
        "NAME",
        "The cluster: services of one name work together",
        |config| config.cluster,
        |text| values::name(text),
        |name| name.clone()
    ),
    setting!(
        CLUSTER,
        "node",
        "ID",
        "The name of this node, unique in the cluster. By default `1` if there is one process, and otherwise the host's name with \
        the port of --peer. With --nodes, the nodes are `1`, `2`, …, or `ID-1`, `ID-2`, …",
        |config| config.node,
        |text| values::name(text).map(Some),
        |name| name.clone().unwrap_or_default()
    ),
    setting!(
        CLUSTER,
        "peer",
        "ADDR",
        "Where other nodes forward requests to",
        |config| config.peer,
        |text| values::address(text),
        |address| address.to_string()
    ),
    setting!(
        CLUSTER,
        "serve",
        "PARTITIONS",
        "The partitions that this node owns, such as 0,1,2,3 or 0-3; all by default",
        |config| config.serve,
        |text| values::partitions(text).map(Some),
        |serve| serve
            .iter()
            .flatten()
            .map(u32::to_string)
            .collect::<Vec<_>>()
            .join(",")
    ),
    setting!(
        CLUSTER,
        "coordinator",
        "WHO",
        "Who assigns partitions to nodes: `local`, this process, to those that it runs; or an ensemble, \
        `zookeeper://host:port,…/root`, with `user:password@` before the hosts if it asks for them (better in the file or a \
        variable: other users of the machine can read flags). The root is /memgen/CLUSTER if none is given",
        |config| config.coordinator,
        |text| coordinator(text),
        |coordinator| match coordinator {
            CoordinatorChoice::Local => "local".to_owned(),
            CoordinatorChoice::ZooKeeper(address) => address.secret_text(),
        }
    ),
    setting!(
        CLUSTER,
        "replicas",
        "N",
        "How many nodes follow each partition besides its owner, if there are so many, to take it over or to answer reads",
        |config| config.replicas,
        |text| values::number(text, 0..=REPLICAS_MAX),
        |number| number.to_string()
    ),
    setting!(
        CLUSTER,
        "advertise",
        "HOST",
        "The name or address of this machine at which the other nodes reach this one, where --http, --peer and --admin listen on all (0.0.0.0)",
        |config| config.advertise,
        |text| values::host(text).map(Some),
        |host| host.clone().unwrap_or_default()
    ),
    setting!(
        CLUSTER,
        "peer-secret",
        "SECRET",
        "What nodes show each other, the same at all nodes: without it, no request at --peer is answered. 16 letters or more; better in the file or the \
        environment, since other users of the machine can read flags",
        |config| config.peer_secret,
        |text| values::peer_secret(text).map(Some),
        |secret| secret.clone().unwrap_or_default()
    ),
    setting!(
        CLUSTER,
        "peer-tls-cert",
        "FILE",
        "The certificate that this node shows others at --peer (PEM), for the name or address at which they reach it; with --peer-tls-key and --peer-tls-ca \
        nodes speak TLS with each other, and with nobody else. Each file may be replaced while the node runs",
        |config| config.peer_tls_cert,
        |text| values::file(text).map(Some),
        |file| values::show_file(file.as_deref())
    ),
    setting!(
        CLUSTER,
        "peer-tls-key",
        "FILE",
        "The key of that certificate (PEM)",
        |config| config.peer_tls_key,
        |text| values::file(text).map(Some),
        |file| values::show_file(file.as_deref())
    ),
    setting!(
        CLUSTER,
        "peer-tls-ca",
        "FILE",
        "The authority whose certificates make a node (PEM): what it signs gets in at --peer",
        |config| config.peer_tls_ca,
        |text| values::file(text).map(Some),
        |file| values::show_file(file.as_deref())
    ),
    setting!(
        CLUSTER,
        "zone",
        "NAME",
        "Where this node stands, such as a rack or a building: the copies of a partition are spread over zones",
        |config| config.zone,
        |text| values::name(text).map(Some),
        |zone| zone.clone().unwrap_or_default()
    ),
    time!(
        CLUSTER,
        "session-timeout-ms",
        |config| config.session_timeout,
        "How long a node may be silent before others take over, where nothing else shows that its process is gone"
    ),
    setting!(
        LIMITS,
        "memory-max",
        "BYTES",
        "The most memory that the process may take: 507 for writes that need more, while reads, and writes that free some, go on. Four \
        fifths of what the machine or the container has, if it is not said",
        |config| config.limits.memory_max,
        |text| values::size(text, 16 << 20..=1 << 50).map(Some),
        |bytes| bytes.map_or_else(String::new, |bytes| values::show_bytes(bytes as u64))
    ),
    bytes!(
        "body-bytes-max",
        body_bytes_max,
        1..=1 << 30,
        "The longest request body; 413 beyond it"
    ),
    count!(
        "json-depth-max",
        json_depth_max,
        1..=127,
        "How deep arrays and objects of a body may nest; 400 beyond it"
    ),
    // Below 8 KiB the HTTP parser has no room to work in.
    bytes!(
        "header-bytes-max",
        header_bytes_max,
        8 << 10..=1 << 20,
        "The longest request head; 431 beyond it"
    ),
    count!(
        "header-count-max",
        header_count_max,
        8..=1024,
        "The most header fields of a request; 431 beyond it"
    ),
    time!(
        LIMITS,
        "header-timeout-ms",
        |config| config.limits.header_timeout,
        "How long the head of a request may take to arrive; the connection is closed then"
    ),
    time!(
        LIMITS,
        "body-timeout-ms",
        |config| config.limits.body_timeout,
        "How long the body of a request may take to arrive; 408 then"
    ),
    time!(
        LIMITS,
        "request-timeout-ms",
        |config| config.limits.request_timeout,
        "How long an answer may take; 503 then"
    ),
    count!(
        "connections-max",
        connections_max,
        1..=1_000_000,
        "Connections at one time on one listener; more are closed at once. Also \
        bounded by the open files that the system allows"
    ),
    count!(
        "queue-max",
        queue_max,
        1..=1_000_000,
        "Commands that wait for the writer of one partition; 503 beyond it"
    ),
    count!(
        "list-limit-default",
        list_limit_default,
        1..=100_000,
        "Items of a list if the request does not say"
    ),
    count!(
        "list-limit-max",
        list_limit_max,
        1..=100_000,
        "The most items of a list; 400 beyond it"
    ),
    count!(
        "key-bytes-max",
        key_bytes_max,
        1..=KEY_BYTES_MAX,
        "The longest key text, in bytes; 414 beyond it"
    ),
    time!(
        LIMITS,
        "idempotency-horizon-ms",
        |config| config.limits.idempotency_horizon,
        "How long the answer to an Idempotency-Key is kept"
    ),
    count!(
        "idempotency-replies-max",
        idempotency_replies_max,
        1..=10_000_000,
        "Answers kept per partition; the oldest go first"
    ),
    count!(
        "group-records-max",
        group_records_max,
        1..=100_000,
        "Records that one write to the log takes together"
    ),
    bytes!(
        "group-bytes-max",
        group_bytes_max,
        1 << 10..=1 << 30,
        "Bytes that one write to the log takes together"
    ),
    count!(
        "feeds-max",
        feeds_max,
        1..=1_000_000,
        "Partitions that feeds of one node watch at a time; 503 beyond it. A feed of one key watches one, that of a collection all"
    ),
    count!(
        "feed-history-max",
        feed_history_max,
        0..=10_000_000,
        "Changes of a partition that are kept in memory, for feeds to go on from; a feed that is behind more of them begins anew"
    ),
    bytes!(
        "feed-history-bytes-max",
        feed_history_bytes_max,
        0..=1 << 30,
        "Bytes of those changes"
    ),
    time!(
        LIMITS,
        "feed-keep-alive-ms",
        |config| config.limits.feed_keep_alive,
        "How often a feed without events says that it is there, and how far it is"
    ),
    setting!(
        NODE,
        "credentials",
        "NAME=SECRET,…",
        "What opens the operations of an OpenAPI document that demand to know who asks: names of security schemes, \
        each with a key, a token or user:password. Other users of the machine can read flags: better in the file",
        |config| config.credentials,
        |text| values::credentials(text),
        |credentials| values::show_credentials(credentials)
    ),
    setting!(
        OUTPUT,
        "log-format",
        "FORMAT",
        "How log lines look: `text` for people, `json` for machines",
        |config| config.log_format,
        |text| values::word(text, FORMATS),
        |format| show_word(FORMATS, *format)
    ),
    setting!(
        OUTPUT,
        "log-level",
        "LEVEL",
        "Which log lines are written: off, error, warn, info, debug, trace, or memgen=debug,info. \
        RUST_LOG is used if this is not set, and `info` without it",
        |config| config.log_level,
        |text| values::log_level(text).map(Some),
        |level| level.clone().unwrap_or_default()
    ),
];

const FORMATS: &[(&str, LogFormat)] = &[("text", LogFormat::Text), ("json", LogFormat::Json)];

fn show_word<T: PartialEq + Copy>(words: &[(&str, T)], value: T) -> String {
    words
        .iter()
        .find(|(_, other)| *other == value)
        .map_or_else(String::new, |(word, _)| (*word).to_owned())
}

const TOPICS: &[(&str, Topics)] = &[("create", Topics::Create), ("check", Topics::Check)];
const KAFKA_SCHEME: &str = "kafka://";

fn log(text: &str) -> Result<LogChoice, String> {
    match text.strip_prefix(KAFKA_SCHEME) {
        Some(brokers) => values::hosts(brokers).map(LogChoice::Kafka),
        None if text == "embedded" => Ok(LogChoice::Embedded),
        None => Err("expected `embedded` or kafka://HOST:PORT,…".to_owned()),
    }
}

fn coordinator(text: &str) -> Result<CoordinatorChoice, String> {
    if text.contains("://") {
        return text.parse().map(CoordinatorChoice::ZooKeeper);
    }
    match text {
        "local" => Ok(CoordinatorChoice::Local),
        _ => Err("expected `local` or zookeeper://HOST:PORT,…/ROOT".to_owned()),
    }
}

#[cfg(test)]
mod tests;

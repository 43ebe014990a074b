//! The admin listener: `/healthz`, `/readyz`, `/metrics`, `/status`, `/cluster`, `/drain`.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};

use axum::{
    Json, Router,
    extract::OriginalUri,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    budget::{Budget, MemoryStatus},
    cluster::Cluster,
    cluster_page,
    config::{Config, LogChoice},
    external::{ExternalStatus, Externals},
    log::{Ack, Log},
    mailbox::RETRY_AFTER_SECONDS,
    metrics::Metrics,
    problem::Problem,
    stream::{InputStatus, Inputs},
    watched::{PartitionPhase, PartitionStatus, Watched},
};

/// Where a node says to others what it is and has.
pub(crate) const PEER_STATUS_PATH: &str = "/_memgen/status";

/// What can be asked about one node.
pub(crate) struct Health {
    pub(crate) service: &'static str,
    pub(crate) version: &'static str,
    pub(crate) config: Arc<Config>,
    pub(crate) node: String,
    pub(crate) incarnation: u64,
    pub(crate) watched: Vec<Box<dyn Watched>>,
    pub(crate) inputs: Inputs,
    pub(crate) externals: Arc<Externals>,
    pub(crate) budget: Arc<Budget>,
    pub(crate) log: Arc<dyn Log>,
    pub(crate) nodes: Cluster,
    pub(crate) metrics: Metrics,
}

/// How far a node is.
pub(crate) struct Readiness {
    partitions: Vec<PartitionStatus>,
    /// Partitions of the topics of external states that were not read yet, and whether they never will be.
    unfilled: Vec<(String, bool)>,
}

impl Readiness {
    /// Whether this node has all that it shall have, and somebody owns each partition.
    pub(crate) fn is_ready(&self) -> bool {
        self.unfilled.is_empty() && self.partitions.iter().all(PartitionStatus::is_ready)
    }

    /// Whether this node owns a partition.
    pub(crate) fn owns_any(&self) -> bool {
        let mut phases = self.partitions.iter().map(|status| status.phase);
        phases.any(|phase| phase == PartitionPhase::Serving)
    }

    /// Whether none replays any more.
    pub(crate) fn is_settled(&self) -> bool {
        let mut phases = self.partitions.iter().map(|status| status.phase);
        phases.all(|phase| phase != PartitionPhase::Replaying)
    }

    /// Why the first halted one did.
    pub(crate) fn halted(&self) -> Option<String> {
        let mut partitions = self.partitions.iter();
        let halted = partitions.find_map(|status| status.halted_because.clone());
        halted.or_else(|| {
            let mut unfilled = self.unfilled.iter();
            unfilled.find_map(|(what, has_stopped)| has_stopped.then(|| what.clone()))
        })
    }
}

impl Health {
    pub(crate) fn readiness(&self) -> Readiness {
        Readiness {
            partitions: self
                .watched
                .iter()
                .map(|watched| watched.status())
                .collect(),
            unfilled: self
                .inputs
                .iter()
                .filter_map(|input| input.unfilled())
                .collect(),
        }
    }

    fn render(&self) -> String {
        if let Some(bytes) = self.log.size_bytes() {
            let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
            self.metrics.log_size_bytes.set(bytes);
        }
        for watched in &self.watched {
            watched.measure();
        }
        for input in &self.inputs {
            input.measure();
        }
        let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        let connected = self.nodes.now().connected;
        self.metrics.coordinator_connected.set(connected.into());
        self.metrics
            .proofs_of_death
            .set(number(self.nodes.deaths()));
        self.metrics.render()
    }
}

#[derive(Serialize)]
struct Status<'a> {
    service: &'a str,
    version: &'a str,
    cluster: &'a str,
    node: &'a str,
    ready: bool,
    log: LogStatus,
    /// What the process takes of the machine's memory.
    memory: MemoryStatus,
    coordinator: CoordinatorStatus,
    /// All nodes that are there, this one too.
    nodes: Vec<NodeStatus<'a>>,
    /// When the writes of each topic count.
    acks: BTreeMap<String, AckStatus>,
    partitions: Vec<PartitionStatus>,
    /// The partitions of topics whose events functions take in, as far as this node reads them, and of those that external states are folded from.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    inputs: Vec<InputStatus>,
    /// What this node has of external states.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    externals: Vec<ExternalStatus>,
}

/// When the writes of a topic count.
#[derive(Serialize)]
struct AckStatus {
    level: Ack,
    /// What a weaker level gives up.
    gives_up: Option<&'static str>,
}

#[derive(Serialize)]
struct CoordinatorStatus {
    connected: bool,
    /// The version of the plan.
    plan: u64,
}

#[derive(Serialize)]
#[allow(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
struct NodeStatus<'a> {
    id: &'a str,
    http: SocketAddr,
    admin: SocketAddr,
    peer: SocketAddr,
    zone: Option<&'a str>,
    version: &'a str,
    draining: bool,
    /// It can't reach the log.
    cut_off: bool,
    /// It has no memory left for more state.
    full: bool,
    /// It makes the plan.
    planner: bool,
}

#[derive(Serialize)]
struct LogStatus {
    kind: &'static str,
    /// The brokers of Kafka.
    #[serde(skip_serializing_if = "Option::is_none")]
    brokers: Option<String>,
    /// What is passed to librdkafka, without secrets.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    kafka: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
}

impl LogStatus {
    fn of(health: &Health) -> Self {
        let bytes = health.log.size_bytes();
        match &health.config.log {
            LogChoice::Embedded => Self {
                kind: "embedded",
                brokers: None,
                kafka: BTreeMap::new(),
                bytes,
            },
            LogChoice::Kafka(brokers) => Self {
                kind: "kafka",
                brokers: Some(brokers.clone()),
                kafka: health
                    .config
                    .kafka
                    .settings
                    .shown()
                    .map(|(name, value)| (name.to_owned(), value.to_owned()))
                    .collect(),
                bytes,
            },
        }
    }
}

/// The routes of the admin listener.
pub(crate) fn router(health: &Arc<Health>) -> Router {
    let (ready, metrics) = (health.clone(), health.clone());
    let leaving = health.clone();
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(move || async move { readyz(&ready) }))
        .route(
            "/metrics",
            get(move || async move {
                (
                    [(header::CONTENT_TYPE, "text/plain; version=0.0.4")],
                    metrics.render(),
                )
            }),
        )
        .merge(status_route("/status", health))
        .merge(cluster_page::router(health))
        .route("/drain", post(move || async move { drain(&leaving) }))
        .fallback(|OriginalUri(uri): OriginalUri| async move {
            Problem::not_found(format!("there is no `{}` here", uri.path()))
        })
}

/// What a node says of itself, at some path.
fn status_route(path: &str, health: &Arc<Health>) -> Router {
    let health = health.clone();
    let answer = move || async move { Json(status(&health)) };
    Router::new().route(path, get(answer))
}

/// What other nodes ask, to show it beside what they know.
pub(crate) fn peer_router(health: &Arc<Health>) -> Router {
    status_route(PEER_STATUS_PATH, health)
}

/// The node gives its partitions away, and gets none from now on. It goes on passing requests on.
fn drain(health: &Health) -> Response {
    tracing::info!("asked to drain");
    let coordinator = &health.nodes.coordinator;
    coordinator.update(&mut |node| node.draining = true);
    (StatusCode::ACCEPTED, Json(json!({"draining": true}))).into_response()
}

fn readyz(health: &Health) -> Response {
    let readiness = health.readiness();
    if readiness.is_ready() {
        return "ready\n".into_response();
    }
    let waiting = readiness.partitions.iter();
    let waiting = waiting.filter(|status| !status.is_ready());
    let unfilled = readiness.unfilled.iter().map(|(what, _)| what.clone());
    let detail = waiting
        .map(|status| {
            let (topic, partition) = (&status.topic, status.partition);
            format!("{topic}/{partition} is {}", status.phase.word())
        })
        .chain(unfilled)
        .collect::<Vec<_>>()
        .join(", ");
    Problem::unavailable(detail, RETRY_AFTER_SECONDS).into_response()
}

/// What the node says of itself.
pub(crate) fn status(health: &Health) -> Value {
    let readiness = health.readiness();
    let view = health.nodes.now();
    let nodes = view.nodes.values().map(|node| NodeStatus {
        id: &node.id,
        http: node.http,
        admin: node.admin,
        peer: node.peer,
        zone: node.zone.as_deref(),
        version: &node.version,
        draining: node.draining,
        cut_off: node.cut_off,
        full: node.full,
        planner: view.planner.as_ref() == Some(&node.id),
    });
    let status = Status {
        service: health.service,
        version: health.version,
        cluster: &health.config.cluster,
        node: &health.node,
        ready: readiness.is_ready(),
        log: LogStatus::of(health),
        memory: health.budget.status(),
        coordinator: CoordinatorStatus {
            connected: view.connected,
            plan: view.plan.version,
        },
        nodes: nodes.collect(),
        acks: readiness
            .partitions
            .iter()
            .map(|status| {
                let level = health.log.ack(&status.topic);
                let gives_up = level.gives_up();
                (status.topic.clone(), AckStatus { level, gives_up })
            })
            .collect(),
        partitions: readiness.partitions,
        inputs: health.inputs.iter().map(|input| input.status()).collect(),
        externals: health.externals.status(),
    };
    serde_json::to_value(&status).unwrap_or_default()
}

//! Starts, watches and stops the nodes of a service: log, replay, listeners; and back.

mod addresses;
mod inputs;
mod running;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use tokio::{
    sync::{Semaphore, watch},
    task::JoinSet,
};
use tracing::{info, warn};

pub use self::{addresses::Addresses, running::Running};
use self::{
    addresses::{Sockets, advertised, bind_all, is_alone},
    inputs::{externals, gauges, intake, replay_file, start_inputs},
    running::Tasks,
};
use crate::{
    admin::{self, Health},
    ambient::{processors, select, spawn, task, unique},
    budget::{Budget, BudgetWatch},
    call::Via,
    clock,
    cluster::Cluster,
    config::{Config, LogChoice},
    contract::{Contract, Prepared},
    coordinator::{
        self, Coordinator, CoordinatorError, Node as Member, StateTopic, local::LocalCluster,
    },
    deaths::{self, ALIVE_PATH},
    docs,
    feed::{Feeds, History},
    fold::Horizon,
    forward::{Peers, lane},
    layout::{self, Admitted, AskedState, Refused},
    listener::{Listener, Protocol},
    log::{self, Log, LogError},
    log_watch::LogWatch,
    metrics::Metrics,
    node::Node,
    openapi::OpenApi,
    peer_link::{Connector, Entrance, PeerTls, certified_host},
    peer_secret::PeerSecret,
    planner::Planner,
    replay_progress::ReplayProgress,
    route::{Endpoint, router},
    schemas::Schemas,
    service::{Service, Starting, topic},
    snapshot::{Snapshots, depot, peers},
    stream::{self, Consume, Intake},
    tender::Tending,
    tx::Courier,
    writer::Bounds,
};

/// How long the plan waits for more nodes after one has come, so that nodes which start one after another hand nothing around.
const SETTLE: Duration = Duration::from_millis(300);

/// The folder within the data folder that has a folder of snapshots for each node of the process.
const SNAPSHOTS_FOLDER: &str = "snapshots";

/// Why a service does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The parts do not fit together.
    #[error("the service is made of parts that do not fit together:\n{}", .0.join("\n"))]
    Parts(Vec<String>),
    /// A setting does not fit the service.
    #[error("{0}")]
    Setting(String),
    /// What is in the log could not be read. Nothing was changed, so the service that wrote it starts as before.
    #[error(
        "this service could not read what is in its log, so it does not start. Nothing was changed:\n{0}"
    )]
    Incompatible(String),
    /// The log can't be opened, or holds something else.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The coordinator refuses.
    #[error(transparent)]
    Coordinator(#[from] CoordinatorError),
    /// An address can't be listened on.
    #[error("`{setting}` {address}: {source}")]
    Listen {
        /// The flag.
        setting: &'static str,
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
}

impl From<Refused> for StartError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Incompatible(verdict) => Self::Incompatible(verdict.problems()),
            Refused::Unreadable(what) => Self::Setting(what),
            Refused::Log(error) => Self::Log(error),
        }
    }
}

/// What the nodes of a process share.
struct Shared {
    config: Arc<Config>,
    log: Arc<dyn Log>,
    replays: Arc<Semaphore>,
    progress: Arc<ReplayProgress>,
    document: Arc<serde_json::Value>,
    contract: Option<Arc<Prepared>>,
    admitted: Admitted,
    /// What takes events in, and how many partitions the topic of each has.
    inputs: Vec<(Arc<dyn Consume>, u32)>,
    /// The topics that this process feeds itself.
    intake: Option<Arc<Intake>>,
    schemas: Arc<Schemas>,
    tls: Option<Arc<PeerTls>>,
    stopped: watch::Receiver<bool>,
    told_to_leave: watch::Receiver<bool>,
}

/// A node that is about to join the others.
struct Started {
    cluster: Cluster,
    member: Member,
    health: Arc<Health>,
    snapshots: Arc<Snapshots>,
}

impl Service {
    /// Opens the log, starts to replay it and listens. Requests are answered as soon as their partition is replayed.
    ///
    /// # Errors
    /// [`StartError`] names the setting, the folder or the part.
    pub async fn start(mut self, config: Config) -> Result<Running, StartError> {
        let mistakes = self.mistakes();
        if !mistakes.is_empty() {
            return Err(StartError::Parts(mistakes));
        }
        let contract = self.contract.take().map(Contract::prepare).transpose();
        let contract = contract.map_err(StartError::Parts)?.map(Arc::new);
        self.check_partitions(&config)?;
        let acks = self.acks(&config)?;
        let schemas = self.schemas(&config)?;
        let config = Arc::new(config);
        let advertised = advertised(&config).await?;
        let tls = peer_tls(&config, advertised)?;
        let sockets = bind_all(&config).await?;
        let watched = self.watched_topics();
        let log = log::open(&config, &acks, watched, self.streams(&config)).await?;
        warn_of(&acks);
        let admitted = self.admit(&*log).await?;
        let inputs = self.open_inputs(&*log).await?;
        let intake = intake(&config, &log, &schemas, &inputs)?;

        let (stop, stopped) = watch::channel(false);
        let (leave, told_to_leave) = watch::channel(false);
        let nodes: Vec<_> = sockets.iter().map(Sockets::addresses).collect();
        let shared = Shared {
            progress: Arc::new(ReplayProgress::new(log.size_bytes())),
            replays: replays(),
            document: Arc::new(match &contract {
                Some(contract) => contract.published.clone(),
                None => self.document(),
            }),
            config,
            log,
            contract,
            admitted,
            inputs,
            intake,
            schemas,
            tls,
            stopped,
            told_to_leave,
        };
        if let Some(tls) = shared.tls.clone() {
            spawn(tls.follow(shared.stopped.clone()));
        }
        let local = LocalCluster::new();
        let mut tasks = Tasks::default();
        let mut started = Vec::new();
        for (index, sockets) in sockets.into_iter().enumerate() {
            let coordinator = coordinator::open(&shared.config, &local);
            let reached = nodes[index].reached_at(advertised);
            let member = self.member(&shared.config, index, &reached);
            let snapshots = self.snapshots(&shared, index);
            started.push(self.start_node(
                &shared,
                coordinator,
                member,
                snapshots,
                sockets,
                &mut tasks,
            ));
        }
        let (mut health, mut clusters) = (Vec::new(), Vec::new());
        let mut snapshots = Vec::new();
        for Started {
            cluster,
            member,
            health: of_node,
            snapshots: kept,
        } in started
        {
            self.join(&shared.config, &cluster, member).await?;
            snapshots.push(kept);
            health.push(of_node);
            clusters.push(cluster);
        }
        replay_file(&shared);
        watch_replay(&shared.progress, health.clone(), shared.stopped);
        Ok(Running {
            nodes,
            health,
            stop,
            leave,
            tasks,
            clusters,
            log: shared.log,
            snapshots,
            grace: shared.config.limits.shutdown_grace,
        })
    }

    /// Starts one node. It has no partitions before it joins the others.
    fn start_node(
        &self,
        shared: &Shared,
        coordinator: Arc<dyn Coordinator>,
        member: Member,
        snapshots: Arc<Snapshots>,
        sockets: Sockets,
        tasks: &mut Tasks,
    ) -> Started {
        let config = &shared.config;
        let metrics = Metrics::new();
        metrics.set_build(self.name, self.version);
        if let LogChoice::Kafka(_) = config.log {
            let lag = config.kafka.compaction_lag.as_secs();
            metrics
                .compaction_lag
                .set(i64::try_from(lag).unwrap_or(i64::MAX));
        }
        let (cut_off, told_cut_off) = watch::channel(false);
        let secret = PeerSecret::new(config.peer_secret.as_deref());
        let connector = Connector::new(shared.tls.clone(), coordinator.view());
        let feeds = Feeds::new(
            Peers::for_feeds(secret.clone(), connector.clone()),
            shared.stopped.clone(),
            config.limits.feeds_max,
        );
        let cluster = Cluster::new(coordinator, &member.id, Peers::new(secret, connector));
        let courier = Courier::default();
        let budget = Arc::new(Budget::new(config.limits.memory_max));
        let common = Arc::new(Tending {
            log: shared.log.clone(),
            cluster: cluster.clone(),
            horizon: horizon(config),
            bounds: Bounds::of(config),
            budget: budget.clone(),
            history: History {
                changes_max: config.limits.feed_history_max,
                bytes_max: config.limits.feed_history_bytes_max,
            },
            queue_max: config.limits.queue_max,
            incarnation: member.incarnation,
            others: Arc::new(courier.clone()),
            schemas: shared.schemas.clone(),
            replays: shared.replays.clone(),
            progress: shared.progress.clone(),
            snapshots: snapshots.clone(),
            cut_off: told_cut_off,
            stop: shared.told_to_leave.clone(),
        });
        // The embedded log is where the process is.
        if config.log != LogChoice::Embedded {
            let watch = LogWatch {
                log: shared.log.clone(),
                coordinator: cluster.coordinator.clone(),
                metrics: metrics.clone(),
                cut_off,
            };
            spawn(watch.run());
        }
        let mut node = Node::new(config.clone(), metrics.clone(), cluster.clone(), feeds);
        node.intake.clone_from(&shared.intake);
        node.schemas.clone_from(&shared.schemas);
        let gauges = gauges(shared, &metrics);
        node.externals = externals(shared, &gauges);
        let mut watched = Vec::new();
        for part in &self.parts {
            let mut starting = Starting {
                common: &common,
                metrics: &metrics,
                admitted: &shared.admitted,
                tasks: &mut tasks.tenders,
            };
            watched.extend(part.start(&mut starting, &mut node));
        }
        let node = Arc::new(node);
        courier.know(&node);
        start_inputs(shared, &node, &gauges, &mut tasks.tenders);
        let health = Arc::new(Health {
            service: self.name,
            version: self.version,
            config: config.clone(),
            node: member.id.clone(),
            incarnation: member.incarnation,
            watched,
            budget,
            inputs: gauges.into_iter().flatten().collect(),
            externals: node.externals.clone(),
            log: shared.log.clone(),
            nodes: cluster.clone(),
            metrics,
        });
        spawn(BudgetWatch(health.clone()).run(shared.stopped.clone()));
        self.listen(&mut tasks.listeners, sockets, &node, &health, shared);
        Started {
            cluster,
            member,
            health,
            snapshots,
        }
    }

    /// Where node `index` of this process keeps snapshots, if the log is one of which that is worth while.
    fn snapshots(&self, shared: &Shared, index: usize) -> Arc<Snapshots> {
        let config = &shared.config;
        let topics: BTreeMap<String, u32> = self
            .topics()
            .filter(|topic| shared.log.retention(&topic.name).is_some())
            .map(|topic| (topic.name, topic.partitions))
            .collect();
        let depot = (config.snapshot_records > 0 && !topics.is_empty()).then(|| {
            let folder = config.data.join(SNAPSHOTS_FOLDER);
            let folder = folder.join((index + 1).to_string());
            depot::open(folder, &topics)
        });
        Snapshots::new(clock::open(), depot, config.snapshot_records)
    }

    /// Becomes a member of the cluster: from now on the plan counts on the node.
    async fn join(
        &self,
        config: &Config,
        cluster: &Cluster,
        member: Member,
    ) -> Result<(), StartError> {
        for definition in self.parts.iter().filter_map(|part| part.definition()) {
            cluster.coordinator.declare(&topic(definition)).await?;
        }
        let planner = Planner {
            coordinator: cluster.coordinator.clone(),
            node: member.id.clone(),
            standbys: config.replicas as usize,
            settle: if is_alone(config) {
                Duration::ZERO
            } else {
                SETTLE
            },
        };
        cluster.coordinator.join(member).await?;
        spawn(planner.run());
        Ok(())
    }

    /// Node `index` of this process, as the others see it.
    fn member(&self, config: &Config, index: usize, addresses: &Addresses) -> Member {
        let id = config
            .node_at(u16::try_from(index).unwrap_or(u16::MAX))
            .node;
        let states = self.parts.iter().filter_map(|part| part.definition());
        let topics = states.map(|definition| {
            let topic = StateTopic {
                partitions: definition.partitions,
                global: definition.global,
            };
            (definition.topic.into(), topic)
        });
        Member {
            id,
            incarnation: incarnation(),
            // A node alone has nobody to talk to.
            peer: addresses.peer.unwrap_or(config.peer),
            host: certified_host(config).map(str::to_owned),
            http: addresses.http,
            admin: addresses.admin,
            zone: config.zone.clone(),
            serve: config.serve.clone(),
            topics: topics.collect(),
            version: self.version.to_owned(),
            draining: false,
            cut_off: false,
            full: false,
            in_sync: BTreeSet::new(),
        }
    }

    /// The positional form names a number of partitions; it has to be what the states declare.
    fn check_partitions(&self, config: &Config) -> Result<(), StartError> {
        let states = self.parts.iter().filter_map(|part| part.definition());
        for definition in states.filter(|definition| !definition.global) {
            if let Some(given) = config.partitions
                && given != definition.partitions
            {
                return Err(StartError::Setting(format!(
                    "`PARTITIONS` is {given}, but `{}` is declared with `partitions = {}`; the number is fixed in \
                     the code, since it decides where each key is",
                    definition.name, definition.partitions
                )));
            }
            if let Some(serve) = &config.serve
                && let Some(beyond) = serve.iter().find(|one| **one >= definition.partitions)
            {
                return Err(StartError::Setting(format!(
                    "`--serve` names partition {beyond}, but `{}` has 0 to {}",
                    definition.name,
                    definition.partitions - 1
                )));
            }
        }
        Ok(())
    }

    /// The topics whose feeds go on behind the newest records.
    fn watched_topics(&self) -> BTreeSet<String> {
        let definitions = self.parts.iter().filter_map(|part| part.definition());
        let watched = definitions.filter(|definition| definition.is_watched());
        watched
            .map(|definition| definition.topic.to_owned())
            .collect()
    }

    /// Makes sure that what is in the log can be read before anything is replayed, or written.
    async fn admit(&self, log: &dyn Log) -> Result<Admitted, StartError> {
        let states = self.asked();
        let mistakes: Vec<_> = states.iter().flat_map(AskedState::mistakes).collect();
        if !mistakes.is_empty() {
            return Err(StartError::Parts(mistakes));
        }
        Ok(layout::admit(log, &states).await?)
    }

    fn document(&self) -> serde_json::Value {
        let mut document = OpenApi::new(self.name, self.version);
        for part in &self.parts {
            part.describe(&mut document);
        }
        document.document()
    }

    fn listen(
        &self,
        listeners: &mut JoinSet<()>,
        sockets: Sockets,
        node: &Arc<Node>,
        health: &Arc<Health>,
        shared: &Shared,
    ) {
        let (contract, stopped) = (shared.contract.as_ref(), &shared.stopped);
        let endpoints: Vec<Endpoint> = self
            .parts
            .iter()
            .flat_map(|part| part.endpoints())
            .collect();
        let mut limits = node.config.limits.clone();
        limits.connections_max = node.config.connections_allowed();
        let fed = node.intake.iter().flat_map(|_| stream::endpoints());
        let public: Vec<Endpoint> = endpoints.iter().cloned().chain(fed).collect();
        let mut api = router(node, &public, contract, Via::Public);
        // What the document has there itself goes before the pages about it.
        let free = |path| !contract.is_some_and(|contract| contract.has(path));
        if free(docs::OPENAPI_PATH) {
            api = api.merge(docs::openapi_router(&shared.document));
        }
        if free(docs::DOCS_PATH) {
            api = api.merge(docs::docs_router());
        }
        let mut start = |socket, protocol, router, metrics| {
            let limits = limits.clone();
            let listener = Listener {
                socket,
                protocol,
                router,
                limits,
                metrics,
            };
            listeners.spawn(task(listener.run(stopped.clone())));
        };
        start(
            sockets.http,
            Protocol::Http1,
            api,
            Some(node.metrics.clone()),
        );
        start(sockets.admin, Protocol::Http1, admin::router(health), None);
        if let Some(socket) = sockets.peer {
            let more = self.parts.iter().flat_map(|part| part.peer_endpoints());
            let endpoints: Vec<Endpoint> = endpoints.into_iter().chain(more).collect();
            let (alive, incarnation) = (stopped.clone(), health.incarnation);
            let alive =
                axum::routing::get(move || async move { deaths::alive(incarnation, alive) });
            let router = router(node, &endpoints, contract, Via::Peer);
            let router = router
                .route(ALIVE_PATH, alive)
                .merge(admin::peer_router(health))
                .merge(peers::router(health));
            let secret = PeerSecret::new(node.config.peer_secret.as_deref());
            let entrance = Entrance::new(shared.tls.clone(), node.metrics.clone());
            let protocol = Protocol::Http2(Arc::new(entrance));
            let router = router.clone().merge(lane::router(router, stopped.clone()));
            start(socket, protocol, secret.guard(router), None);
        }
    }
}

/// Says what weaker levels of acknowledgement give up.
fn warn_of(acks: &log::Acks) {
    for (topic, ack) in acks {
        if let Some(given_up) = ack.gives_up() {
            warn!(topic, ack = ack.word(), "{given_up}");
        }
    }
}

/// What nodes need to speak TLS with each other, if there are others and the settings say so.
fn peer_tls(
    config: &Config,
    advertised: Option<IpAddr>,
) -> Result<Option<Arc<PeerTls>>, StartError> {
    if is_alone(config) {
        return Ok(None);
    }
    let address = advertised.filter(|_| config.peer.ip().is_unspecified());
    let address = address.unwrap_or(config.peer.ip());
    PeerTls::of(config, address).map_err(StartError::Setting)
}

/// Bytes of remembered replies that one partition keeps in memory.
const REPLIES_BYTES_MAX: usize = 64 << 20;

pub(crate) fn horizon(config: &Config) -> Horizon {
    let limits = &config.limits;
    Horizon {
        age_ms: u64::try_from(limits.idempotency_horizon.as_millis()).unwrap_or(u64::MAX),
        replies_max: limits.idempotency_replies_max,
        replies_bytes_max: REPLIES_BYTES_MAX,
    }
}

/// As many replays at once as there are processors.
fn replays() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(processors()))
}

/// Unique per start of a process and per node (rule 2).
fn incarnation() -> u64 {
    unique().as_u64_pair().0
}

/// Says how far a long replay is, and when it is done.
fn watch_replay(
    progress: &Arc<ReplayProgress>,
    health: Vec<Arc<Health>>,
    mut stopped: watch::Receiver<bool>,
) {
    let progress = progress.clone();
    spawn(async move {
        let mut tick = tokio::time::interval(std::time::Duration::from_millis(100));
        loop {
            select! {
                _ = tick.tick() => {}
                () = async { drop(stopped.wait_for(|stopped| *stopped).await) } => return,
            }
            if health.iter().all(|health| health.readiness().is_settled()) {
                progress.finish();
                info!(
                    records = progress.records(),
                    seconds = progress.elapsed().as_secs_f64(),
                    "replayed"
                );
                return;
            }
            progress.report();
        }
    });
}

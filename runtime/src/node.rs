//! What one node knows while it serves: its settings, its states, its peers.

use std::{
    any::{Any, TypeId, type_name},
    collections::HashMap,
    sync::Arc,
};

use crate::{
    ambient::unique,
    cluster::Cluster,
    config::Config,
    external::Externals,
    feed::Feeds,
    log::TopicPartition,
    metrics::Metrics,
    partitions::Partitions,
    problem::Problem,
    schemas::Schemas,
    state::State,
    stream::{Intake, Taker},
    tx::{Lost, Places},
};

/// One node of a service.
pub(crate) struct Node {
    pub(crate) config: Arc<Config>,
    pub(crate) metrics: Metrics,
    pub(crate) cluster: Cluster,
    pub(crate) feeds: Feeds,
    /// `Partitions<S>` by the type of `S`.
    states: HashMap<TypeId, Arc<dyn Any + Send + Sync>>,
    /// The same, by topic.
    places: HashMap<&'static str, Arc<dyn Places>>,
    /// The state whose partitions remember the replies of free handlers.
    pub(crate) home: Option<Arc<dyn crate::home::Home>>,
    /// Its topic.
    home_topic: Option<&'static str>,
    /// `Taker<S>` by the type of `S` and the topic of the input.
    takers: HashMap<(TypeId, &'static str), Arc<dyn Any + Send + Sync>>,
    /// What it has of the topics that others write.
    pub(crate) externals: Arc<Externals>,
    /// The topics that this process feeds with events itself.
    pub(crate) intake: Option<Arc<Intake>>,
    /// By which events are read whose format is Avro.
    pub(crate) schemas: Arc<Schemas>,
}

impl Node {
    pub(crate) fn new(
        config: Arc<Config>,
        metrics: Metrics,
        cluster: Cluster,
        feeds: Feeds,
    ) -> Self {
        Self {
            config,
            metrics,
            cluster,
            feeds,
            states: HashMap::new(),
            places: HashMap::new(),
            home: None,
            home_topic: None,
            takers: HashMap::new(),
            externals: Arc::default(),
            intake: None,
            schemas: Arc::default(),
        }
    }

    pub(crate) fn add<S: State>(&mut self, partitions: Arc<Partitions<S>>) {
        if self.home.is_none() {
            self.home = Some(partitions.clone());
            self.home_topic = Some(S::DEFINITION.topic);
        }
        self.places.insert(S::DEFINITION.topic, partitions.clone());
        self.states.insert(TypeId::of::<S>(), partitions);
    }

    /// A partition of the state whose partitions remember the replies of free handlers, if there is one.
    pub(crate) fn any_home(&self) -> Option<TopicPartition> {
        self.home_of_input(unique().as_fields().0)
    }

    /// The partition of that state that keeps how far an input partition was taken in, whose events are transactions.
    pub(crate) fn home_of_input(&self, number: u32) -> Option<TopicPartition> {
        let topic = self.home_topic?;
        let count = self.places.get(topic)?.count();
        Some(TopicPartition::new(topic, number % count))
    }

    /// Events of this topic, which other nodes hand over, are taken in like this.
    pub(crate) fn add_taker<S: State>(&mut self, topic: &'static str, taker: Arc<Taker<S>>) {
        self.takers.insert((TypeId::of::<S>(), topic), taker);
    }

    /// How events of a topic change entities of `S`, if they do.
    pub(crate) fn taker<S: State>(&self, topic: &str) -> Option<Arc<Taker<S>>> {
        let of_state =
            |(state, of_topic): &(TypeId, &str)| *state == TypeId::of::<S>() && *of_topic == topic;
        let mut takers = self.takers.iter();
        let (_, taker) = takers.find(|(at, _)| of_state(at))?;
        taker.clone().downcast().ok()
    }

    /// The partitions of the state with this topic.
    pub(crate) fn places(&self, topic: &str) -> Result<&Arc<dyn Places>, Lost> {
        let places = self.places.get(topic);
        places.ok_or_else(|| Lost(format!("no state of this service has the topic `{topic}`")))
    }

    /// The partitions of a state.
    pub(crate) fn partitions<S: State>(&self) -> Result<&Partitions<S>, Problem> {
        self.states
            .get(&TypeId::of::<S>())
            .and_then(|partitions| partitions.downcast_ref())
            .ok_or_else(|| {
                Problem::internal(format!(
                    "`{}` is not a part of this service; add it to `memgen::main!`",
                    type_name::<S>()
                ))
            })
    }
}

/// What extractors of request parts get as their state. It is opaque; `Store` is the way to reach states.
#[derive(Clone)]
pub struct Context(pub(crate) Arc<Node>);

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context").finish_non_exhaustive()
    }
}

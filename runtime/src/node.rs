//! What one node knows while it serves: its settings, its states, its peers.

use std::{
    any::{Any, TypeId, type_name},
    collections::HashMap,
    sync::Arc,
};

use crate::{
    cluster::Cluster,
    config::Config,
    feed::Feeds,
    metrics::Metrics,
    partitions::Partitions,
    problem::Problem,
    state::State,
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
        }
    }

    pub(crate) fn add<S: State>(&mut self, partitions: Arc<Partitions<S>>) {
        if self.home.is_none() {
            self.home = Some(partitions.clone());
        }
        self.places.insert(S::DEFINITION.topic, partitions.clone());
        self.states.insert(TypeId::of::<S>(), partitions);
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

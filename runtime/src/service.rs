//! A service: its parts, and what each of them brings to a node.

mod mistakes;

use std::{marker::PhantomData, num::NonZero, process::ExitCode, sync::Arc, thread};

use axum::http::Method;
use futures_util::{FutureExt, future::BoxFuture};

use crate::{
    ambient::task,
    call::{Call, CallFuture},
    config::Config,
    contract::Contract,
    crud,
    external::{ExternalState, PartOfExternal},
    layout::{Admitted, AskedState},
    list,
    log::{Acks, Topic, TopicPartition},
    metrics::Metrics,
    node::Node,
    openapi::OpenApi,
    partitions::{Partitions, Slot},
    peer_api,
    private::{EventHandler, FreeHandler, Handlers, Route},
    process::{Verified, Verify},
    replica::ReplayError,
    route::Endpoint,
    server::StartError,
    snapshot::{Keeper, build::required},
    state::{Crud, Definition, State},
    stream::Consume,
    tender::{Tender, Tending},
    watched::Watched,
};

/// How values are written.
const FORMAT: &str = "json";
/// A document's types may lead to one another a thousand deep.
const ASKING_STACK_BYTES: usize = 64 << 20;

/// The states and handlers that work together, as `memgen::service!` or `memgen::main!` lists them.
///
/// ```no_run
/// use memgen::prelude::*;
///
/// /// A greeting for each name.
/// #[stateful_api(path = "/greeting", crud(get, put))]
/// #[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
/// pub struct Greeting {
///     #[key]
///     pub name: String,
///     pub text: String,
/// }
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let service = memgen::service!(Greeting);
/// let running = service.start(memgen::Config::default()).await?;
/// println!("listening on http://{}", running.nodes()[0].http);
/// running.stop().await;
/// # Ok(())
/// # }
/// ```
pub struct Service {
    pub(crate) name: &'static str,
    pub(crate) version: &'static str,
    pub(crate) parts: Vec<Box<dyn AsPart>>,
    pub(crate) contract: Option<Contract>,
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let parts: Vec<_> = self.parts.iter().map(|part| part.name()).collect();
        f.debug_struct("Service")
            .field("name", &self.name)
            .field("parts", &parts)
            .finish_non_exhaustive()
    }
}

impl Service {
    /// A service without parts. `memgen::service!` is the usual way to make one.
    #[must_use]
    pub fn new(name: &'static str, version: &'static str) -> Self {
        Self {
            name,
            version,
            parts: Vec::new(),
            contract: None,
        }
    }

    /// Keeps a document: its operations are the API of the service.
    #[cfg(feature = "contract")]
    #[must_use]
    pub fn contract(mut self, contract: Contract) -> Self {
        self.contract = Some(contract);
        self
    }

    /// Adds a part.
    #[doc(hidden)]
    #[must_use]
    pub fn with(mut self, part: Box<dyn AsPart>) -> Self {
        self.parts.push(part);
        self
    }

    /// Adds the parts of another service: states and handlers beside those that were generated.
    ///
    /// ```
    /// use memgen::prelude::*;
    ///
    /// /// Says that all is well.
    /// #[handler(get, "/ping")]
    /// async fn ping() -> &'static str {
    ///     "pong"
    /// }
    ///
    /// # fn main() {
    /// let service = memgen::service!().and(memgen::service!(ping));
    /// # drop(service);
    /// # }
    /// ```
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.parts.extend(other.parts);
        self.contract = self.contract.or(other.contract);
        self
    }

    /// Runs as a process: settings from arguments, environment and file; ends on SIGINT or SIGTERM.
    #[must_use]
    pub fn main(self) -> ExitCode {
        crate::process::run(self)
    }

    /// The states, to be asked what they can read of what was written before. This takes a while, so all processors do it.
    ///
    /// # Panics
    /// If finding out how a state is laid out does.
    pub(crate) fn asked(&self) -> Vec<AskedState> {
        let threads = thread::available_parallelism().map_or(1, NonZero::get);
        let share = self.parts.len().div_ceil(threads).max(1);
        thread::scope(|scope| {
            let ask = |parts: &[Box<dyn AsPart>]| -> Vec<AskedState> {
                parts.iter().filter_map(|part| part.asked()).collect()
            };
            let shares = self.parts.chunks(share).map(|parts| {
                let asking = thread::Builder::new().stack_size(ASKING_STACK_BYTES);
                let asking = asking.spawn_scoped(scope, move || ask(parts));
                asking.expect("the system has room for a few threads at the start")
            });
            // All are started before the first is waited for.
            let shares: Vec<_> = shares.collect();
            let asked = shares.into_iter().map(|share| {
                share
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            });
            asked.flatten().collect()
        })
    }

    /// The topics of the states.
    pub(crate) fn topics(&self) -> impl Iterator<Item = Topic> {
        let definitions = self.parts.iter().filter_map(|part| part.definition());
        definitions.map(topic)
    }

    /// When the writes of each state count, by its topic.
    ///
    /// # Errors
    /// If a level is set for a topic that there is not.
    pub(crate) fn acks(&self, config: &Config) -> Result<Acks, StartError> {
        let definitions = self.parts.iter().filter_map(|part| part.definition());
        let acks: Acks = definitions
            .map(|definition| {
                let topic = definition.topic;
                (
                    topic.to_owned(),
                    config.ack.of(topic, definition.ack, &config.log),
                )
            })
            .collect();
        if let Some(topic) = config.ack.topics.keys().find(|it| !acks.contains_key(*it)) {
            let topics: Vec<_> = acks.keys().map(|topic| format!("`{topic}`")).collect();
            return Err(StartError::Setting(format!(
                "`ack` is set for `{topic}`, which is no topic of this service: it has {}",
                topics.join(", ")
            )));
        }
        Ok(acks)
    }

    /// Replays a partition of one of the states.
    ///
    /// # Panics
    /// If none of them has the topic.
    pub(crate) async fn verify(&self, verify: Verify<'_>) -> Result<Verified, ReplayError> {
        let part = self.parts.iter().find(|part| {
            let definition = part.definition();
            definition.is_some_and(|definition| definition.topic == &*verify.partition.topic)
        });
        let replay = part.and_then(|part| part.verify(verify));
        replay.expect("its topic is one of the service's").await
    }

    /// What reads topics of others: functions of events, and external states.
    pub(crate) fn inputs(&self) -> impl Iterator<Item = Arc<dyn Consume>> {
        self.parts.iter().filter_map(|part| part.input())
    }
}

/// What a part needs to start on a node.
pub struct Starting<'a> {
    pub(crate) common: &'a Arc<Tending>,
    pub(crate) metrics: &'a Metrics,
    pub(crate) admitted: &'a Admitted,
    pub(crate) tasks: &'a mut tokio::task::JoinSet<()>,
}

/// A part, without its type.
#[doc(hidden)]
#[allow(private_interfaces)] // sealed: only this crate has implementations
pub trait AsPart: Send + Sync {
    fn name(&self) -> &'static str;
    fn definition(&self) -> Option<&'static Definition>;
    /// The state, to be asked what it can read of what was written before. This takes a while.
    fn asked(&self) -> Option<AskedState>;
    fn needs(&self) -> Vec<&'static str>;
    fn endpoints(&self) -> Vec<Endpoint>;
    fn peer_endpoints(&self) -> Vec<Endpoint>;
    fn describe(&self, document: &mut OpenApi);
    fn start(&self, starting: &mut Starting<'_>, node: &mut Node) -> Vec<Box<dyn Watched>>;
    /// What it takes in, if it is a function of events.
    fn input(&self) -> Option<Arc<dyn Consume>> {
        None
    }
    /// Replays a partition of the state, and looks at what came of it.
    fn verify<'v>(
        &self,
        verify: Verify<'v>,
    ) -> Option<BoxFuture<'v, Result<Verified, ReplayError>>>;
}

/// The topic of a state.
pub(crate) fn topic(definition: &Definition) -> Topic {
    let by = match definition.partition_by {
        [] => "key".to_owned(),
        fields => fields.join("/"),
    };
    Topic {
        name: definition.topic.to_owned(),
        partitions: definition.partitions,
        partitioner: format!("murmur2 {by}"),
        format: FORMAT.to_owned(),
    }
}

/// A state as a part.
struct PartOfState<S: State> {
    handlers: Vec<Route>,
    state: PhantomData<fn() -> S>,
}

impl<S: State> PartOfState<S> {
    const DEFINITION: &'static Definition = &S::DEFINITION;

    /// The endpoint of an operation, if it has one of its own.
    fn crud(operation: Crud) -> Option<Endpoint> {
        let definition = Self::DEFINITION;
        let (method, path, call): (_, _, fn(Call) -> CallFuture) = match operation {
            Crud::Get => (Method::GET, definition.item, crud::get::<S>),
            Crud::List => (Method::GET, definition.collection, list::list::<S>),
            Crud::Post => (Method::POST, definition.collection, crud::post::<S>),
            Crud::Put => (Method::PUT, definition.item, crud::put::<S>),
            Crud::Patch => (Method::PATCH, definition.item, crud::patch::<S>),
            Crud::Delete => (Method::DELETE, definition.item, crud::delete::<S>),
            // Those of `get` and `list` answer it.
            Crud::Watch => return None,
        };
        Some(Endpoint::new(method, path, call))
    }
}

#[allow(private_interfaces)]
impl<S: State> AsPart for PartOfState<S> {
    fn name(&self) -> &'static str {
        S::DEFINITION.name
    }

    fn definition(&self) -> Option<&'static Definition> {
        Some(Self::DEFINITION)
    }

    fn asked(&self) -> Option<AskedState> {
        Some(AskedState::of::<S>(topic(Self::DEFINITION)))
    }

    fn needs(&self) -> Vec<&'static str> {
        let handlers = self.handlers.iter();
        let externals = handlers.flat_map(|route| route.externals);
        externals.copied().collect()
    }

    fn endpoints(&self) -> Vec<Endpoint> {
        let handlers = self.handlers.iter().map(|route| {
            let path = format!("{}{}", S::DEFINITION.collection, route.path);
            Endpoint::new(route.method.clone(), path, route.call)
        });
        S::DEFINITION
            .crud
            .iter()
            .copied()
            .filter_map(Self::crud)
            .chain(handlers)
            .collect()
    }

    fn peer_endpoints(&self) -> Vec<Endpoint> {
        peer_api::endpoints::<S>()
    }

    fn describe(&self, document: &mut OpenApi) {
        document.state::<S>();
        for route in &self.handlers {
            let path = format!("{}{}", S::DEFINITION.collection, route.path);
            let Route {
                method,
                name,
                doc,
                describe,
                ..
            } = route;
            document.handler(Self::DEFINITION, method, &path, name, doc, describe);
        }
    }

    fn start(&self, starting: &mut Starting<'_>, node: &mut Node) -> Vec<Box<dyn Watched>> {
        let definition = Self::DEFINITION;
        let retention = starting.common.log.retention(definition.topic);
        let build = retention.as_ref().and_then(|_| required::<S>());
        let readers = starting.admitted.readers::<S>(retention.is_some());
        let mut watched: Vec<Box<dyn Watched>> = Vec::new();
        let mut slots = Vec::new();
        for number in 0..definition.partitions {
            let partition = TopicPartition::new(definition.topic, number);
            let metrics = starting.metrics.partition(&partition);
            let cluster = starting.common.cluster.clone();
            let keeper = retention.clone().map(|retention| {
                Keeper::new(
                    starting.common.snapshots.clone(),
                    partition.clone(),
                    retention,
                    readers.fingerprint(),
                    build,
                    metrics.clone(),
                )
            });
            let slot = Arc::new(Slot::<S>::new(partition, cluster, metrics, keeper));
            let tender = Tender::new(starting.common.clone(), slot.clone(), readers.clone());
            starting.tasks.spawn(task(tender.run()));
            watched.push(Box::new(slot.clone()));
            slots.push(slot);
        }
        node.add::<S>(Arc::new(Partitions { slots }));
        watched
    }

    fn verify<'v>(
        &self,
        verify: Verify<'v>,
    ) -> Option<BoxFuture<'v, Result<Verified, ReplayError>>> {
        Some(verify.replay::<S>().boxed())
    }
}

/// A free handler as a part.
struct PartOfHandler {
    route: Route,
    states: Vec<&'static str>,
}

#[allow(private_interfaces)]
impl AsPart for PartOfHandler {
    fn name(&self) -> &'static str {
        self.route.name
    }

    fn definition(&self) -> Option<&'static Definition> {
        None
    }

    fn asked(&self) -> Option<AskedState> {
        None
    }

    fn needs(&self) -> Vec<&'static str> {
        let externals = self.route.externals.iter().copied();
        self.states.iter().copied().chain(externals).collect()
    }

    fn endpoints(&self) -> Vec<Endpoint> {
        vec![Endpoint::new(
            self.route.method.clone(),
            self.route.path,
            self.route.call,
        )]
    }

    fn peer_endpoints(&self) -> Vec<Endpoint> {
        Vec::new()
    }

    fn describe(&self, document: &mut OpenApi) {
        let Route {
            method,
            path,
            name,
            doc,
            describe,
            ..
        } = &self.route;
        document.free_handler(method, path, name, doc, describe);
    }

    fn start(&self, _: &mut Starting<'_>, _: &mut Node) -> Vec<Box<dyn Watched>> {
        Vec::new()
    }

    fn verify<'v>(&self, _: Verify<'v>) -> Option<BoxFuture<'v, Result<Verified, ReplayError>>> {
        None
    }
}

/// A function of events as a part.
struct PartOfInput {
    input: Arc<dyn Consume>,
}

#[allow(private_interfaces)]
impl AsPart for PartOfInput {
    fn name(&self) -> &'static str {
        self.input.declared().name
    }

    fn definition(&self) -> Option<&'static Definition> {
        None
    }

    fn asked(&self) -> Option<AskedState> {
        None
    }

    fn needs(&self) -> Vec<&'static str> {
        let state = self.input.state().map(|state| state.name);
        let externals = self.input.declared().externals.iter().copied();
        state.into_iter().chain(externals).collect()
    }

    fn endpoints(&self) -> Vec<Endpoint> {
        Vec::new()
    }

    fn peer_endpoints(&self) -> Vec<Endpoint> {
        Vec::new()
    }

    fn describe(&self, _: &mut OpenApi) {}

    fn start(&self, _: &mut Starting<'_>, node: &mut Node) -> Vec<Box<dyn Watched>> {
        self.input.enlist(node);
        Vec::new()
    }

    fn input(&self) -> Option<Arc<dyn Consume>> {
        Some(self.input.clone())
    }

    fn verify<'v>(&self, _: Verify<'v>) -> Option<BoxFuture<'v, Result<Verified, ReplayError>>> {
        None
    }
}

/// Finds out at the place where a part is listed what it is: the traits below are tried in the order in which the compiler takes
/// references away ("autoref specialization").
#[doc(hidden)]
#[derive(Debug)]
pub struct Probe<T>(PhantomData<fn() -> T>);

impl<T> Probe<T> {
    /// The probe.
    pub const NEW: Self = Self(PhantomData);
}

/// A state with handlers.
#[doc(hidden)]
pub trait StateWithHandlersPart {
    /// The part.
    fn part(&self) -> Box<dyn AsPart>;
}

impl<S: Handlers> StateWithHandlersPart for &&Probe<S> {
    fn part(&self) -> Box<dyn AsPart> {
        Box::new(PartOfState::<S> {
            handlers: S::routes(),
            state: PhantomData,
        })
    }
}

/// A state without.
#[doc(hidden)]
pub trait StatePart {
    /// The part.
    fn part(&self) -> Box<dyn AsPart>;
}

impl<S: State> StatePart for &Probe<S> {
    fn part(&self) -> Box<dyn AsPart> {
        Box::new(PartOfState::<S> {
            handlers: Vec::new(),
            state: PhantomData,
        })
    }
}

/// An external state.
#[doc(hidden)]
pub trait ExternalPart {
    /// The part.
    fn part(&self) -> Box<dyn AsPart>;
}

impl<R: ExternalState> ExternalPart for Probe<R> {
    fn part(&self) -> Box<dyn AsPart> {
        Box::new(PartOfExternal::<R>::default())
    }
}

/// A function of events.
#[doc(hidden)]
pub trait InputPart {
    /// The part.
    fn part(&self) -> Box<dyn AsPart>;
}

impl<F: EventHandler> InputPart for Probe<F> {
    fn part(&self) -> Box<dyn AsPart> {
        Box::new(PartOfInput {
            input: F::input().0,
        })
    }
}

/// A free handler.
#[doc(hidden)]
pub trait FreePart {
    /// The part.
    fn part(&self) -> Box<dyn AsPart>;
}

impl<F: FreeHandler> FreePart for Probe<F> {
    fn part(&self) -> Box<dyn AsPart> {
        Box::new(PartOfHandler {
            route: F::route(),
            states: F::states(),
        })
    }
}

//! What a function takes in, without the types of its events and of its state.

use std::{
    any::TypeId,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use bytes::Bytes;
use futures_util::future::BoxFuture;

use super::{
    Event, Format, Gauge, Work,
    consumer::Reading,
    entries::{Entries, RunEntry},
    transactions::{RunTransaction, Transactions},
};
use crate::{
    external::{Externals, Kept},
    node::Node,
    record::{Ballot, Record},
    schemas::Schemas,
    state::{Definition, State},
};

/// What is said of an event whose function, or the reading of it, panicked.
pub(super) const PANICKED: &str = "the function panicked";

/// What `#[on_event(…)]` says.
#[derive(Clone, Debug)]
pub struct Declared {
    /// The function's name.
    pub name: &'static str,
    /// The topic whose events it takes in.
    pub topic: &'static str,
    /// The topic of what can't be taken in. Without one, that stops the input.
    pub dead_letters: Option<&'static str>,
    /// The names of the external states that it looks things up in.
    pub externals: &'static [&'static str],
}

impl Declared {
    /// The views that have to be filled before it is called.
    pub(super) fn needed(&self, node: &Node) -> Option<Arc<Externals>> {
        (!self.externals.is_empty()).then(|| node.externals.clone())
    }
}

/// What one function takes in.
pub struct Input(pub(crate) Arc<dyn Consume>);

impl std::fmt::Debug for Input {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Input").field(self.0.declared()).finish()
    }
}

impl Input {
    /// A function of the entity of each event's key. Without `key`, that is the record's.
    #[must_use]
    pub fn entries<S: State, E: Send + 'static>(
        declared: Declared,
        format: Format<E>,
        key: Option<fn(&E) -> S::Key>,
        run: RunEntry<S, E>,
    ) -> Self {
        Self(Arc::new(Entries {
            declared,
            format,
            key,
            run,
        }))
    }

    /// A function that is a transaction. `key` is for those who write to the topic by this service.
    #[must_use]
    pub fn transactions<E: Send + 'static>(
        declared: Declared,
        format: Format<E>,
        key: Option<fn(&E) -> String>,
        run: RunTransaction<E>,
    ) -> Self {
        Self(Arc::new(Transactions {
            declared,
            format,
            key,
            run,
        }))
    }
}

/// Where an event belongs that is written by this service.
pub(crate) struct Placed {
    /// The record's key.
    pub(crate) key: Bytes,
    /// What decides the partition.
    pub(crate) hashed: Bytes,
    /// It has no value: of a table, its key goes.
    pub(crate) deletes: bool,
}

/// A function that takes events in.
pub(crate) trait Consume: Send + Sync {
    fn declared(&self) -> &Declared;

    /// The state that it changes; none if it is a transaction, which changes any.
    fn state(&self) -> Option<&'static Definition>;

    /// Whether it is an external state, and no function.
    fn is_external(&self) -> bool {
        false
    }

    /// A view that it fills, if it is an external state; with what is seen of each partition of its topic.
    fn view(&self, gauges: &[Arc<Gauge>]) -> Option<(TypeId, Kept)> {
        let _ = gauges;
        None
    }

    /// Says to the node how events are read, which other nodes hand over.
    fn enlist(&self, node: &mut Node);

    /// Whether it can't be without a registry of schemas.
    fn has_schemas(&self) -> bool;

    /// The value for the topic of an event that came from outside, perhaps as JSON; then it can be [placed](Self::place). It may wait for a registry of schemas.
    ///
    /// # Errors
    /// Says what is wrong with it.
    fn admit<'a>(
        &'a self,
        schemas: &'a Schemas,
        value: Bytes,
        is_json: bool,
    ) -> BoxFuture<'a, Result<Bytes, String>>;

    /// Where an event belongs. `key` is what the record's key shall be, if that is said.
    ///
    /// # Errors
    /// If it is none, or has no such key.
    fn place(
        &self,
        schemas: &Schemas,
        value: &Bytes,
        key: Option<Bytes>,
    ) -> Result<Option<Placed>, String>;

    /// Reads an input partition whenever its home is here, and takes its events in.
    fn consume(&self, reading: Reading) -> BoxFuture<'static, ()>;
}

/// Reads an event.
type Read<S> = dyn Fn(&Record) -> Work<S> + Send + Sync;

/// How the events of an input become work on entities of `S`.
pub(crate) struct Taker<S: State> {
    work: Box<Read<S>>,
    /// What its format takes besides.
    schemas: Option<Arc<Schemas>>,
    /// The views that have to be filled before.
    externals: Option<Arc<Externals>>,
    pub(crate) dead_letters: Option<Arc<str>>,
}

impl<S: State> Taker<S> {
    pub(crate) fn new(
        declared: &Declared,
        node: &Node,
        schemas: Option<Arc<Schemas>>,
        work: impl Fn(&Record) -> Work<S> + Send + Sync + 'static,
    ) -> Self {
        Self {
            work: Box::new(work),
            schemas,
            externals: declared.needed(node),
            dead_letters: declared.dead_letters.map(Into::into),
        }
    }

    /// Makes ready what it takes to take in these records, however long that takes. `say` is told what it waits for, and at the end that it does not any more.
    pub(crate) async fn prepare(
        &self,
        records: impl Iterator<Item = &Record>,
        say: impl Fn(Option<String>),
    ) {
        if let Some(externals) = &self.externals {
            externals.filled(&say).await;
        }
        if let Some(schemas) = &self.schemas {
            let values = records.filter_map(|record| record.value.as_ref());
            schemas.bring(values, say).await;
        }
    }

    /// The event that a record is.
    pub(crate) fn event(&self, offset: u64, record: &Record) -> Event<S> {
        let read = || match foreign(record) {
            Ok(()) => (self.work)(record),
            Err(what) => Work::Poison(what),
        };
        let read = catch_unwind(AssertUnwindSafe(read));
        let work = read.unwrap_or_else(|_| Work::Poison(PANICKED.to_owned()));
        Event {
            offset,
            record: record.clone(),
            work,
        }
    }
}

/// Whether a record is an event, and not one of a changelog, of which only the fold knows what counts.
///
/// # Errors
/// If it isn't.
pub(crate) fn foreign(record: &Record) -> Result<(), String> {
    if record.ballot == Ballot::FOREIGN {
        Ok(())
    } else {
        Err("it is a record of a state's changelog, and no event".to_owned())
    }
}

//! Events that change the entity of their key.

use std::{collections::BTreeMap, sync::Arc};

use axum::response::Response;
use bytes::Bytes;
use futures_util::future::{BoxFuture, join_all};

use super::{
    Batch, Consume, Declared, Event, Format, Gauge, Reached, Seen, Taken, Taker, Work,
    consumer::{self, Reading, Take},
    handed::hand_over,
    input::Placed,
};
use crate::{
    entry::Entry,
    external::Externals,
    key::{key_text, parse_key, partition_text},
    mailbox::{Job, Refusal, StreamJob},
    node::Node,
    partitioner,
    partitions::{Here, Slot},
    record::{Offset, Record},
    schemas::Schemas,
    state::{Definition, State},
};

/// The function, with what it may look things up in.
pub(super) type RunEntry<S, E> = fn(&mut Entry<S>, E, &Externals) -> Response;

/// A function of an entity and an event.
pub(super) struct Entries<S: State, E> {
    pub(super) declared: Declared,
    pub(super) format: Format<E>,
    pub(super) key: Option<fn(&E) -> S::Key>,
    pub(super) run: RunEntry<S, E>,
}

impl<S: State, E: Send + 'static> Entries<S, E> {
    const STATE: &'static Definition = &S::DEFINITION;

    /// The key of an event, and the event itself.
    fn read(
        (format, schemas): (&Format<E>, &Schemas),
        key: Option<fn(&E) -> S::Key>,
        record_key: &Bytes,
        value: Bytes,
    ) -> Result<(S::Key, E), String> {
        let event = format.read(schemas, value)?;
        let own = key.map(|key| key_text::<S>(&key(&event)));
        let text = match &own {
            Some(text) => Ok(text.as_str()),
            None => std::str::from_utf8(record_key),
        };
        let text = text.map_err(|error| format!("its key: {error}"))?;
        // Its own key can be a text that none may be.
        let key = parse_key::<S>(text).map_err(|error| format!("its key: {error}"))?;
        Ok((key, event))
    }

    fn taker(&self, node: &Node) -> Taker<S> {
        let (format, key, run) = (self.format.clone(), self.key, self.run);
        let schemas = node.schemas.clone();
        let needed = format.needed(&schemas);
        let externals = node.externals.clone();
        Taker::new(&self.declared, node, needed, move |record| {
            let value = record.value.clone().unwrap_or_default();
            match Self::read((&format, &schemas), key, &record.key, value) {
                Ok((key, event)) => {
                    let externals = externals.clone();
                    Work::Run(key, Box::new(move |entry| run(entry, event, &externals)))
                }
                Err(what) => Work::Poison(what),
            }
        })
    }
}

impl<S: State, E: Send + 'static> Consume for Entries<S, E> {
    fn declared(&self) -> &Declared {
        &self.declared
    }

    fn state(&self) -> Option<&'static Definition> {
        Some(Self::STATE)
    }

    fn enlist(&self, node: &mut Node) {
        let taker = Arc::new(self.taker(node));
        node.add_taker::<S>(self.declared.topic, taker);
    }

    fn has_schemas(&self) -> bool {
        self.format.has_schemas()
    }

    fn admit<'a>(
        &'a self,
        schemas: &'a Schemas,
        value: Bytes,
        is_json: bool,
    ) -> BoxFuture<'a, Result<Bytes, String>> {
        let topic = self.declared.topic;
        Box::pin(self.format.admit(schemas, topic, value, is_json))
    }

    fn place(
        &self,
        schemas: &Schemas,
        value: &Bytes,
        key: Option<Bytes>,
    ) -> Result<Option<Placed>, String> {
        if key.is_none() && self.key.is_none() {
            return Err("it needs a key, such as `?key=7`".to_owned());
        }
        let record_key = key.unwrap_or_default();
        let format = (&self.format, schemas);
        let (typed, _) = Self::read(format, self.key, &record_key, value.clone())?;
        let text = key_text::<S>(&typed);
        let hashed = Bytes::copy_from_slice(partition_text::<S>(&text).as_bytes());
        Ok(Some(Placed {
            key: text.into(),
            hashed,
            deletes: false,
        }))
    }

    fn consume(&self, reading: Reading) -> BoxFuture<'static, ()> {
        let take = EntriesTake {
            input: reading.partition.to_string().into(),
            number: reading.partition.partition as usize,
            node: reading.node.clone(),
            taker: Arc::new(self.taker(&reading.node)),
            gauge: reading.gauge.clone(),
        };
        Box::pin(consumer::run(reading, take))
    }
}

/// Takes in the events of one input partition.
struct EntriesTake<S: State> {
    /// The input partition.
    input: Arc<str>,
    /// Its number.
    number: usize,
    node: Arc<Node>,
    taker: Arc<Taker<S>>,
    gauge: Arc<Gauge>,
}

impl<S: State> EntriesTake<S> {
    fn slots(&self) -> &[Arc<Slot<S>>] {
        let partitions = self.node.partitions::<S>();
        let partitions = partitions.expect("the parts of a service were checked at the start");
        &partitions.slots
    }

    /// The number of the partition of the state that keeps how far this input partition was taken in.
    fn home_number(&self) -> usize {
        self.number % self.slots().len()
    }

    /// The records by the partitions that they are for; what is for none is for home, which says so.
    fn targets<'r>(
        &self,
        records: &'r [&'r (Offset, Record)],
    ) -> BTreeMap<usize, Vec<&'r (Offset, Record)>> {
        let count = u32::try_from(self.slots().len()).expect("partitions are counted in a u32");
        let mut targets: BTreeMap<usize, Vec<_>> = BTreeMap::new();
        for one @ (offset, record) in records.iter().copied() {
            let target = match self.taker.event(*offset, record).work {
                Work::Run(key, _) => {
                    let text = key_text::<S>(&key);
                    let text = partition_text::<S>(&text);
                    partitioner::partition(text.as_bytes(), count) as usize
                }
                Work::Poison(_) => self.home_number(),
            };
            targets.entry(target).or_default().push(one);
        }
        targets
    }

    async fn take(
        &self,
        home: &Here<S>,
        records: &[&(Offset, Record)],
        seen: Arc<[Seen]>,
        next: Offset,
    ) -> Result<Taken, Refusal> {
        let needed = records.iter().map(|(_, record)| record);
        let prepared = self.taker.prepare(needed, |what| self.gauge.wait(what));
        prepared.await;
        let mut targets = self.targets(records);
        let own = targets.remove(&self.home_number()).unwrap_or_default();
        let slots = self.slots();
        // First the others, so that what home has reached is done everywhere.
        let handed = targets.iter().map(|(number, records)| {
            hand_over(
                &self.node,
                &slots[*number],
                &self.input,
                &self.taker,
                records,
                next,
            )
        });
        let mut stopped = Taken::All;
        for taken in join_all(handed).await {
            match (&taken, &stopped) {
                (
                    Taken::Until(at) | Taken::Poison(at, _),
                    Taken::Until(before) | Taken::Poison(before, _),
                ) if at >= before => {}
                (Taken::All, _) => {}
                _ => stopped = taken,
            }
        }
        let next = match &stopped {
            Taken::Until(at) | Taken::Poison(at, _) => *at,
            Taken::All => next,
        };
        let own = own.into_iter().take_while(|(offset, _)| *offset < next);
        let batch = Batch {
            input: self.input.clone(),
            events: events(&self.taker, own),
            next,
            seen,
            dead_letters: self.taker.dead_letters.clone(),
        };
        let taken = home.mailbox.ask(|slot| Job::Events(Box::new(batch), slot));
        Ok(match taken.await? {
            Taken::All => stopped,
            taken => taken,
        })
    }
}

impl<S: State> Take for EntriesTake<S> {
    type Home = Arc<Here<S>>;

    fn home(&self) -> BoxFuture<'_, Self::Home> {
        Box::pin(async {
            let slot = &self.slots()[self.home_number()];
            slot.serving().await
        })
    }

    fn left<'a>(&'a self, home: &'a Self::Home) -> BoxFuture<'a, ()> {
        Box::pin(home.mailbox.closed())
    }

    fn reached<'a>(&'a self, home: &'a Self::Home) -> BoxFuture<'a, Result<Reached, Refusal>> {
        let input = self.input.clone();
        Box::pin(async move {
            let job = |slot| Job::Stream(StreamJob::Reached(input, slot));
            home.mailbox.ask(job).await
        })
    }

    fn take<'a>(
        &'a self,
        home: &'a Self::Home,
        records: &'a [&'a (Offset, Record)],
        seen: Arc<[Seen]>,
        next: Offset,
    ) -> BoxFuture<'a, Result<Taken, Refusal>> {
        Box::pin(self.take(home, records, seen, next))
    }
}

/// Events for a writer, of records.
pub(super) fn events<'r, S: State>(
    taker: &Taker<S>,
    records: impl IntoIterator<Item = &'r (Offset, Record)>,
) -> Vec<Event<S>> {
    let records = records.into_iter();
    records
        .map(|(offset, record)| taker.event(*offset, record))
        .collect()
}

//! A partition of the topic -> the view.

use std::{any::TypeId, sync::Arc};

use bytes::Bytes;
use futures_util::future::{self, BoxFuture};
use tracing::warn;

use super::{
    ExternalState,
    folded::Folded,
    handle::Kept,
    values::{Change, NULL, Values},
    view::View,
};
use crate::{
    key::{key_text, parse_key},
    mailbox::Refusal,
    node::Node,
    record::{Offset, Record},
    schemas::Schemas,
    state::Definition,
    stream::{Consume, Declared, Gauge, Placed, Reached, Reading, Seen, Take, Taken, read_input},
};

/// What fills the views of an external state.
pub(super) struct Follows<R: ExternalState> {
    declared: Declared,
    values: Values<R>,
}

impl<R: ExternalState> Default for Follows<R> {
    fn default() -> Self {
        Self {
            declared: Declared {
                name: R::DEFINITION.name,
                topic: R::DEFINITION.topic,
                dead_letters: None,
                externals: &[],
            },
            values: R::values(),
        }
    }
}

impl<R: ExternalState> Consume for Follows<R> {
    fn declared(&self) -> &Declared {
        &self.declared
    }

    fn state(&self) -> Option<&'static Definition> {
        None
    }

    fn view(&self, gauges: &[Arc<Gauge>]) -> Option<(TypeId, Kept)> {
        let view = View::<R>::new(gauges.to_vec());
        Some((TypeId::of::<R>(), Kept::new(Arc::new(view))))
    }

    fn is_external(&self) -> bool {
        true
    }

    fn enlist(&self, _: &mut Node) {}

    fn has_schemas(&self) -> bool {
        self.values.has_schemas()
    }

    fn admit<'a>(
        &'a self,
        schemas: &'a Schemas,
        value: Bytes,
        is_json: bool,
    ) -> BoxFuture<'a, Result<Bytes, String>> {
        let topic = self.declared.topic;
        Box::pin(self.values.admit(schemas, topic, value, is_json))
    }

    fn place(
        &self,
        schemas: &Schemas,
        value: &Bytes,
        key: Option<Bytes>,
    ) -> Result<Option<Placed>, String> {
        let key = key.ok_or("it needs a key, such as `?key=7`: that of the record")?;
        let text = std::str::from_utf8(&key).map_err(|error| format!("its key: {error}"))?;
        let typed = parse_key::<Folded<R>>(text).map_err(|error| format!("its key: {error}"))?;
        let deletes = value == NULL;
        if !deletes {
            self.values.read(schemas, &typed, value)?;
        }
        let text = key_text::<Folded<R>>(&typed);
        let key = Bytes::from(text);
        Ok(Some(Placed {
            hashed: key.clone(),
            key,
            deletes,
        }))
    }

    fn consume(&self, reading: Reading) -> BoxFuture<'static, ()> {
        let view = reading.node.externals.view::<R>();
        let follow = Follow {
            view: view.expect("the views of a node are made before it reads their topics"),
            number: reading.partition.partition,
            values: self.values.clone(),
            schemas: reading.node.schemas.clone(),
            gauge: reading.gauge.clone(),
        };
        Box::pin(read_input(reading, follow))
    }
}

/// Follows one partition.
struct Follow<R: ExternalState> {
    view: Arc<View<R>>,
    number: u32,
    values: Values<R>,
    schemas: Arc<Schemas>,
    gauge: Arc<Gauge>,
}

impl<R: ExternalState> Follow<R> {
    /// What these records do, with the lengths of their values. What can't be read is said.
    fn changes(&self, records: &[&(Offset, Record)]) -> Vec<(Change<R>, usize)> {
        let mut skipped = Vec::new();
        let changes = records.iter().map(|(offset, record)| {
            let change = self.values.change(&self.schemas, record);
            if let Change::Unreadable(_, why) | Change::Keyless(why) = &change {
                skipped.push(format!("at offset {offset}: {why}"));
            }
            (change, record.value.as_ref().map_or(0, Bytes::len))
        });
        let changes = changes.collect();
        if let (Some(first), Some(last)) = (skipped.first(), skipped.last()) {
            let (partition, records) = (&self.gauge.partition, skipped.len());
            warn!(%partition, records, first, last, "records of an external state can't be read: their keys have no value");
            self.gauge.skip(records as u64, last.clone());
        }
        changes
    }
}

impl<R: ExternalState> Take for Follow<R> {
    /// It is at every node.
    type Home = ();

    fn home(&self) -> BoxFuture<'_, ()> {
        Box::pin(future::ready(()))
    }

    fn left<'a>(&'a self, (): &'a ()) -> BoxFuture<'a, ()> {
        Box::pin(future::pending())
    }

    fn reached<'a>(&'a self, (): &'a ()) -> BoxFuture<'a, Result<Reached, Refusal>> {
        Box::pin(future::ready(Ok(Reached::default())))
    }

    fn take<'a>(
        &'a self,
        (): &'a (),
        records: &'a [&'a (Offset, Record)],
        _: Arc<[Seen]>,
        _: Offset,
    ) -> BoxFuture<'a, Result<Taken, Refusal>> {
        Box::pin(async move {
            if let Some(schemas) = self.values.needed(&self.schemas) {
                let values = records.iter();
                let values = values.filter_map(|(_, record)| record.value.as_ref());
                schemas.bring(values, |what| self.gauge.wait(what)).await;
            }
            self.view.fold(self.number, self.changes(records));
            Ok(Taken::All)
        })
    }

    fn begins_again(&self) -> bool {
        self.view.begin_again(self.number);
        true
    }

    fn caught_up(&self) {
        self.view.caught_up(self.number);
    }
}

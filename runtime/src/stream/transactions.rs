//! Events that are transactions: each changes any keys of any states, and how far its input partition was taken in, as a whole.

use std::{panic::AssertUnwindSafe, pin::Pin, sync::Arc, time::Duration};

use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::{FutureExt, future::BoxFuture};
use tokio::{
    sync::oneshot,
    time::{Instant, sleep},
};

use super::{
    Consume, Declared, Emitted, Format, Gauge, Reached, Seen, Taken, Taking,
    consumer::{self, Reading, Take},
    input::{PANICKED, Placed, foreign},
    is_no_fault_of_the_event,
};
use crate::{
    external::Externals,
    log::TopicPartition,
    mailbox::{Refusal, StreamJob},
    node::Node,
    private::reply,
    problem::{Problem, said},
    record::{Offset, Record},
    schemas::Schemas,
    state::Definition,
    tx::{Inbox, Tx, take_in},
};

/// One run of the function.
pub type EventRan<'t> = Pin<Box<dyn Future<Output = Response> + Send + 't>>;

/// The function, with what it may look things up in.
pub(super) type RunTransaction<E> = for<'t> fn(E, &'t mut Tx, &Externals) -> EventRan<'t>;

/// The pause before an event is tried again that could not be taken in now, doubled each time up to the other.
const PAUSE_MIN: Duration = Duration::from_millis(10);
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// A function of a transaction and an event.
pub(super) struct Transactions<E> {
    pub(super) declared: Declared,
    pub(super) format: Format<E>,
    pub(super) key: Option<fn(&E) -> String>,
    pub(super) run: RunTransaction<E>,
}

impl<E: Send + 'static> Consume for Transactions<E> {
    fn declared(&self) -> &Declared {
        &self.declared
    }

    fn state(&self) -> Option<&'static Definition> {
        None
    }

    fn enlist(&self, _: &mut Node) {}

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
        let event = self.format.read(schemas, value.clone())?;
        let declared = self.key.map(|key| Bytes::from(key(&event)));
        let key = key.or(declared);
        Ok(key.map(|key| Placed {
            hashed: key.clone(),
            key,
            deletes: false,
        }))
    }

    fn consume(&self, reading: Reading) -> BoxFuture<'static, ()> {
        let home = reading.node.home_of_input(reading.partition.partition);
        let home = home.expect("a service with inputs has a state: its parts were checked");
        let take = TransactionsTake {
            input: reading.partition.to_string(),
            node: reading.node.clone(),
            home,
            dead_letters: self.declared.dead_letters,
            externals: self.declared.needed(&reading.node),
            format: self.format.clone(),
            gauge: reading.gauge.clone(),
            run: self.run,
        };
        Box::pin(consumer::run(reading, take))
    }
}

struct TransactionsTake<E> {
    /// The input partition.
    input: String,
    node: Arc<Node>,
    /// The partition of a state that keeps how far the input partition was taken in.
    home: TopicPartition,
    dead_letters: Option<&'static str>,
    /// The views that have to be filled before.
    externals: Option<Arc<Externals>>,
    format: Format<E>,
    gauge: Arc<Gauge>,
    run: RunTransaction<E>,
}

impl<E: Send + 'static> TransactionsTake<E> {
    /// Takes an event in. The error says why it can't be.
    async fn take_one(
        &self,
        offset: Offset,
        record: &Record,
        reached: Reached,
    ) -> Result<(), String> {
        let taking = Taking {
            input: self.input.clone(),
            offset,
            reached,
        };
        let value = record.value.clone().unwrap_or_default();
        let mut taken = foreign(record);
        if taken.is_ok() {
            let run = self.insist(&taking, |tx| self.run_on(value.clone(), tx));
            taken = run.await;
        }
        let (Err(why), Some(topic)) = (&taken, self.dead_letters) else {
            return taken;
        };
        let letter = Emitted::dead_letter(topic, &self.input, offset, record, why);
        let buried = self.insist(&taking, |tx| {
            tx.emits_mut().push(letter.clone());
            Box::pin(std::future::ready(reply::nothing()))
        });
        let buried = buried.await;
        buried.map_err(|problem| format!("{why}; and it is no dead letter: {problem}"))
    }

    /// Runs a function until what it does has happened with the event, or can't.
    async fn insist(
        &self,
        taking: &Taking,
        function: impl for<'t> Fn(&'t mut Tx) -> EventRan<'t> + Send + Sync,
    ) -> Result<(), String> {
        let mut pause = PAUSE_MIN;
        loop {
            let deadline = Instant::now() + self.node.config.limits.request_timeout;
            let ran = take_in(&self.node, (&self.home, taking), deadline, &function);
            match ran.await {
                Ok(response) if response.status().as_u16() < 400 => return Ok(()),
                Ok(response) if is_no_fault_of_the_event(response.status()) => {}
                Err(problem) if is_no_fault_of_the_event(problem.status()) => {}
                Ok(response) => return Err(said(response)),
                Err(problem) => return Err(problem.to_string()),
            }
            sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    /// One run of the user's function. Whatever goes wrong in it, the reader goes on.
    fn run_on<'t>(&self, value: Bytes, tx: &'t mut Tx) -> EventRan<'t> {
        let (format, schemas) = (self.format.clone(), self.node.schemas.clone());
        let (run, externals) = (self.run, self.node.externals.clone());
        let ran = async move {
            match format.read(&schemas, value) {
                Ok(event) => run(event, tx, &externals).await,
                Err(what) => Problem::invalid(what).into_response(),
            }
        };
        Box::pin(async {
            let ran = AssertUnwindSafe(ran).catch_unwind().await;
            ran.unwrap_or_else(|_| Problem::internal(PANICKED).into_response())
        })
    }
}

impl<E: Send + 'static> Take for TransactionsTake<E> {
    type Home = Box<dyn Inbox>;

    fn home(&self) -> BoxFuture<'_, Self::Home> {
        let places = self.node.places(&self.home.topic);
        let places = places.expect("the home of an input is a state of this service");
        places.serving(self.home.partition)
    }

    fn left<'a>(&'a self, home: &'a Self::Home) -> BoxFuture<'a, ()> {
        home.closed()
    }

    fn reached<'a>(&'a self, home: &'a Self::Home) -> BoxFuture<'a, Result<Reached, Refusal>> {
        Box::pin(async move {
            let (slot, reached) = oneshot::channel();
            home.stream(StreamJob::Reached(self.input.as_str().into(), slot))?;
            reached.await.unwrap_or(Err(Refusal::Moved))
        })
    }

    fn take<'a>(
        &'a self,
        home: &'a Self::Home,
        records: &'a [&'a (Offset, Record)],
        seen: Arc<[Seen]>,
        _: Offset,
    ) -> BoxFuture<'a, Result<Taken, Refusal>> {
        Box::pin(async move {
            if let Some(externals) = &self.externals {
                externals.filled(|what| self.gauge.wait(what)).await;
            }
            if let Some(schemas) = self.format.needed(&self.node.schemas) {
                let values = records.iter();
                let values = values.filter_map(|(_, record)| record.value.as_ref());
                schemas.bring(values, |what| self.gauge.wait(what)).await;
            }
            let mut reached = self.reached(home).await?;
            for (offset, record) in records {
                if *offset < reached.next {
                    continue;
                }
                reached.pass(&seen, offset + 1);
                if let Err(why) = self.take_one(*offset, record, reached.clone()).await {
                    return Ok(Taken::Poison(*offset, why));
                }
            }
            Ok(Taken::All)
        })
    }
}

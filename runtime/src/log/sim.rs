//! A model of a log that several nodes share, with everything that may go wrong, for tests of the protocol.
//!
//! It runs on tokio's clock. Under a paused clock, on one thread, everything that happens follows from the seed.
//! No task runs in the background: whoever looks at the model first lets everything happen that is due.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
//! use memgen::log::{Log, Topic, TopicPartition, sim::{Faults, Sim}};
//! let sim = Sim::new(7, Faults::none());
//! let node = sim.client();
//! node.declare(&Topic {
//!     name: "vertex".into(), partitions: 1, partitioner: "murmur2 key".into(), format: "json".into(),
//! }).await.unwrap();
//! assert_eq!(node.end(&TopicPartition::new("vertex", 0)).await.unwrap(), 0);
//! # });
//! ```

mod faults;
#[cfg(test)]
mod tests;
mod world;

use std::{
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use futures_util::{FutureExt, future::BoxFuture};
use tokio::time::{Instant, sleep, sleep_until};

pub use self::faults::{Compaction, Faults};
use self::world::{ClientId, Cue, ProducerId, World};
use super::{
    Ack, AppendError, Chunk, KeptLayout, Log, LogError, Producer, Receipt, Retention, Topic,
    TopicPartition,
};
use crate::{
    ambient::select,
    record::{Offset, Record},
};

/// The simulated log, from outside: makes clients, injects faults, and knows the whole truth.
#[derive(Clone, Debug)]
pub struct Sim {
    world: Arc<Mutex<World>>,
}

impl Sim {
    /// An empty log. The same seed, faults and calls give the same history.
    #[must_use]
    pub fn new(seed: u64, faults: Faults) -> Self {
        Self {
            world: Arc::new(Mutex::new(World::new(seed, faults, Instant::now()))),
        }
    }

    /// A connection to the log, as a node has one.
    #[must_use]
    pub fn client(&self) -> Client {
        let id = self.now().new_client();
        Client {
            world: Arc::clone(&self.world),
            id,
        }
    }

    /// The node of this client is gone. What it had sent may land, in part or late, or never.
    pub fn crash(&self, client: &Client) {
        self.now().crash(client.id, Instant::now());
    }

    /// Nothing that this client sends arrives any more, and it hears nothing; or it is as before again.
    pub fn set_cut_off(&self, client: &Client, cut_off: bool) {
        self.now().set_cut_off(client.id, cut_off, Instant::now());
    }

    /// From now on there is no room, or there is again.
    pub fn set_full(&self, full: bool) {
        self.now().full = full;
    }

    /// The next append of any node is refused: nothing of it is ever there, and its producer takes no more.
    pub fn fail_next_append(&self) {
        self.now().cue = Some(Cue::Fail);
    }

    /// The next append of any node lands, but its acknowledgement gets lost: after a while its sender learns that nobody knows what came of it.
    pub fn lose_next_acknowledgement(&self) {
        self.now().cue = Some(Cue::LoseAck);
    }

    /// Changes what may go wrong from now on.
    pub fn set_faults(&self, faults: Faults) {
        self.now().set_faults(faults, Instant::now());
    }

    /// Someone who knows nothing of memgen writes a record.
    ///
    /// # Panics
    /// If the partition was not declared.
    pub fn append_foreign(&self, partition: &TopicPartition, record: Record) -> Offset {
        self.now().append(partition, record, Instant::now())
    }

    /// Compacts a partition by key up to a place that chance chooses among the records older than the lag.
    pub fn compact(&self, partition: &TopicPartition) {
        self.now().compact(partition, Instant::now());
    }

    /// Everything that was ever in a partition, also what compaction removed.
    #[must_use]
    pub fn history(&self, partition: &TopicPartition) -> Vec<(Offset, Record)> {
        self.now().history(partition)
    }

    /// How often the tail of a partition was lost.
    #[must_use]
    pub fn tails_lost(&self) -> usize {
        self.now().tails_lost
    }

    /// The model, once everything that is due has happened.
    fn now(&self) -> MutexGuard<'_, World> {
        look(&self.world)
    }
}

fn look(world: &Mutex<World>) -> MutexGuard<'_, World> {
    let mut world = world
        .lock()
        .expect("a test that panicked within the model has failed already");
    world.advance(Instant::now());
    world
}

/// One node's connection to a [`Sim`].
#[derive(Debug)]
pub struct Client {
    world: Arc<Mutex<World>>,
    id: ClientId,
}

impl Client {
    /// Waits for as long as nothing gets through.
    async fn reach(&self) {
        loop {
            let mended = look(&self.world).mended();
            let mended = mended.notified();
            if !look(&self.world).is_cut_off(self.id) {
                return;
            }
            mended.await;
        }
    }

    /// Waits as long as it takes to ask for something and to be answered.
    async fn ask(&self) {
        self.reach().await;
        let delay = look(&self.world).delay();
        sleep(delay).await;
        self.reach().await;
    }
}

impl Log for Client {
    fn declare<'a>(&'a self, topic: &'a Topic) -> BoxFuture<'a, Result<(), LogError>> {
        std::future::ready(look(&self.world).declare(topic)).boxed()
    }

    fn open_stream<'a>(
        &'a self,
        topic: &'a str,
        partitions: u32,
    ) -> BoxFuture<'a, Result<u32, LogError>> {
        std::future::ready(look(&self.world).open_stream(topic, partitions)).boxed()
    }

    fn open_table<'a>(&'a self, topic: &'a str) -> BoxFuture<'a, Result<u32, LogError>> {
        self.open_stream(topic, 1)
    }

    fn is_changelog(&self, topic: &str) -> bool {
        look(&self.world).is_changelog(topic)
    }

    fn layouts<'a>(&'a self, topic: &'a str) -> BoxFuture<'a, Result<Vec<KeptLayout>, LogError>> {
        async move {
            self.ask().await;
            Ok(look(&self.world).layouts(topic))
        }
        .boxed()
    }

    fn keep_layout<'a>(
        &'a self,
        topic: &'a str,
        layout: &'a KeptLayout,
    ) -> BoxFuture<'a, Result<(), LogError>> {
        async move {
            self.ask().await;
            look(&self.world).keep_layout(topic, layout);
            Ok(())
        }
        .boxed()
    }

    fn producer(&self, partition: &TopicPartition) -> Result<Box<dyn Producer>, LogError> {
        let id = look(&self.world).new_producer(self.id, partition)?;
        Ok(Box::new(SimProducer {
            world: Arc::clone(&self.world),
            id,
        }))
    }

    fn read<'a>(
        &'a self,
        partition: &'a TopicPartition,
        from: Offset,
        bytes_max: usize,
    ) -> BoxFuture<'a, Result<Chunk, LogError>> {
        async move {
            self.ask().await;
            look(&self.world).read(partition, from, bytes_max)
        }
        .boxed()
    }

    fn grown<'a>(
        &'a self,
        partition: &'a TopicPartition,
        from: Offset,
    ) -> BoxFuture<'a, Result<(), LogError>> {
        async move {
            let sent = look(&self.world).sent();
            loop {
                // Told of all that is sent from now on, before it looks.
                let sent = sent.notified();
                let next_landing = {
                    let world = look(&self.world);
                    if world.reaches(partition, from)? > from {
                        break;
                    }
                    world.next_landing()
                };
                let landed = async {
                    match next_landing {
                        Some(at) => sleep_until(at).await,
                        None => std::future::pending().await,
                    }
                };
                select! {
                    () = sent => {}
                    () = landed => {}
                }
                self.reach().await;
            }
            self.ask().await;
            Ok(())
        }
        .boxed()
    }

    fn end<'a>(&'a self, partition: &'a TopicPartition) -> BoxFuture<'a, Result<Offset, LogError>> {
        async move {
            self.ask().await;
            look(&self.world).end(partition)
        }
        .boxed()
    }

    fn answers(&self) -> BoxFuture<'_, bool> {
        async move {
            let answered = tokio::time::timeout(Duration::from_secs(1), self.ask());
            answered.await.is_ok()
        }
        .boxed()
    }

    fn record_bytes_max(&self, _topic: &str) -> usize {
        usize::MAX
    }

    fn ack(&self, _topic: &str) -> Ack {
        if look(&self.world).may_lose_its_tail() {
            Ack::Leader
        } else {
            Ack::All
        }
    }

    fn retention(&self, _: &str) -> Option<Retention> {
        Some(Retention {
            topic_id: "simulated".to_owned(),
            deletions: look(&self.world).deletions_kept(),
        })
    }

    fn size_bytes(&self) -> Option<u64> {
        Some(look(&self.world).size_bytes())
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        async move {
            loop {
                let settled = look(&self.world).close(self.id);
                match settled {
                    Some(at) => sleep_until(at).await,
                    None => return,
                }
            }
        }
        .boxed()
    }
}

struct SimProducer {
    world: Arc<Mutex<World>>,
    id: ProducerId,
}

impl Producer for SimProducer {
    fn records_in_flight_max(&self) -> usize {
        look(&self.world).records_in_flight_max()
    }

    fn append(&mut self, records: &[Record]) -> Receipt {
        let request = match look(&self.world).send(self.id, records.to_vec(), Instant::now()) {
            Ok(request) => request,
            Err(error) => return std::future::ready(Err::<Vec<_>, AppendError>(error)).boxed(),
        };
        let world = Arc::clone(&self.world);
        async move {
            loop {
                let outcome = look(&world).outcome(request, Instant::now());
                match outcome {
                    Ok(outcome) => return outcome,
                    Err(at) => sleep_until(at).await,
                }
            }
        }
        .boxed()
    }
}

impl Drop for SimProducer {
    fn drop(&mut self) {
        // Not while a panic unwinds: the lock may be held or poisoned.
        if !std::thread::panicking() {
            look(&self.world).drop_producer(self.id, Instant::now());
        }
    }
}

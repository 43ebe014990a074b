//! Reading: one consumer for all partitions that a node follows.
//!
//! Each partition has a queue of its own, so that whoever reads it decodes on its own thread, and is read ahead for up to a bound. A partition is
//! assigned while somebody reads it or waits for it, and given back when nobody did for a while: an owner need not be sent what it wrote.
//!
//! What is assigned has no group. The offset to begin at is given, and a wrong one is an error. Whether there is anything to be read is asked of the
//! partition's leader, since a queue that is empty says nothing. A second consumer asks, which fetches nothing: a broker answers the requests of a connection in turn, and a fetch
//! waits there for something to come.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rdkafka::{
    ClientConfig,
    consumer::{BaseConsumer, Consumer as _},
    error::KafkaError,
};
use tracing::debug;

use super::{
    UNPOISONED,
    context::Context,
    error::client_error,
    follower::{Follower, KnownTopics},
};
use crate::log::{LogError, TopicPartition};

/// How often the consumer's own events are looked after, and idle partitions given back.
const SERVE: Duration = Duration::from_millis(200);
/// How long a broker may take to say that it is there.
const ANSWER: Duration = Duration::from_secs(1);
/// How often it is looked whether the last queue of a consumer is gone.
const GOING: Duration = Duration::from_millis(20);

/// The consumer of a node.
pub(super) struct Reader {
    consumer: Arc<BaseConsumer<Context>>,
    asker: Arc<BaseConsumer<Context>>,
    followers: Mutex<HashMap<TopicPartition, Arc<Follower>>>,
    known: Arc<KnownTopics>,
    closed: Arc<AtomicBool>,
    /// A partition has become shorter than it was, or could not be asked for too long: what the clients know of it is outdated.
    outdated: Arc<AtomicBool>,
}

impl Reader {
    pub(super) fn start(config: &ClientConfig) -> Result<Arc<Self>, LogError> {
        let consumer = |name| {
            let consumer: Result<BaseConsumer<Context>, _> =
                config.create_with_context(Context(name));
            consumer
                .map(Arc::new)
                .map_err(client_error("start a consumer"))
        };
        let reader = Arc::new(Self {
            consumer: consumer("consumer")?,
            asker: consumer("asker")?,
            followers: Mutex::default(),
            known: Arc::default(),
            closed: Arc::default(),
            outdated: Arc::default(),
        });
        let weak = Arc::downgrade(&reader);
        let (consumer, asker) = (Arc::clone(&reader.consumer), Arc::clone(&reader.asker));
        std::thread::Builder::new()
            .name("memgen-kafka-read".to_owned())
            .spawn(move || serve(&weak, &consumer, &asker))
            .map_err(|source| LogError::Io {
                what: "can't start the thread of a consumer".to_owned(),
                source,
            })?;
        Ok(reader)
    }

    /// Who follows a partition. `topic` is its name in Kafka.
    pub(super) fn follower(
        &self,
        partition: &TopicPartition,
        topic: &str,
    ) -> Result<Arc<Follower>, LogError> {
        let mut followers = self.followers.lock().expect(UNPOISONED);
        if let Some(follower) = followers.get(partition) {
            return Ok(Arc::clone(follower));
        }
        let follower = Arc::new(Follower::new(
            &self.consumer,
            &self.asker,
            partition,
            topic,
            Arc::clone(&self.known),
            Arc::clone(&self.closed),
            Arc::clone(&self.outdated),
        )?);
        followers.insert(partition.clone(), Arc::clone(&follower));
        Ok(follower)
    }

    /// Whether any broker answers. Both consumers ask, since each asks one broker that chance chooses, and that one may be the one that is ill.
    pub(super) async fn answers(&self, topic: String) -> bool {
        let asked = [&self.asker, &self.consumer].map(|client| {
            let (client, topic) = (Arc::clone(client), topic.clone());
            let ask = move || client.fetch_metadata(Some(&topic), ANSWER);
            async { tokio::task::spawn_blocking(ask).await.ok()?.ok() }
        });
        let [one, other] = asked;
        tokio::pin!(one, other);
        tokio::select! {
            Some(_) = &mut one => true,
            Some(_) = &mut other => true,
            else => false,
        }
    }

    /// Whether another reader is to be started in its place. A topic that is made anew begins with the first epoch of a leader, and librdkafka (2.12) takes none that is less than what it
    /// knows from the one before: it would ask in vain for as long as it lives.
    pub(super) fn is_outdated(&self) -> bool {
        self.outdated.load(Ordering::Acquire)
    }

    /// From now on nobody waits for a broker.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        // Whoever still reads by one that was replaced looks for its successor by himself.
        if !self.is_outdated() {
            self.close();
        }
    }
}

/// Looks after the consumers' events, and gives back what is idle. The consumers are dropped here, since that takes a while.
fn serve(
    reader: &Weak<Reader>,
    consumer: &Arc<BaseConsumer<Context>>,
    asker: &Arc<BaseConsumer<Context>>,
) {
    while let Some(reader) = reader.upgrade() {
        let followers: Vec<_> = {
            let followers = reader.followers.lock().expect(UNPOISONED);
            followers.values().cloned().collect()
        };
        drop(reader);
        for follower in followers {
            follower.give_back_if_idle();
        }
        for event in [consumer.poll(SERVE), asker.poll(Duration::ZERO)] {
            match event {
                // Messages go to the queues of their partitions.
                None | Some(Ok(_) | Err(KafkaError::PartitionEOF(_))) => {}
                Some(Err(error)) => debug!(%error, "a consumer"),
            }
        }
    }
    // The queues of partitions go before the consumer that they belong to.
    while Arc::strong_count(consumer) > 1 {
        std::thread::sleep(GOING);
    }
}

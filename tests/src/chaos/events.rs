//! Storms over events: nodes are killed while they take them in, and each event must have had its effect once.

mod counts;
mod payments;

use std::{
    collections::BTreeMap,
    fs, io,
    time::{Duration, Instant},
};

use futures_util::{StreamExt as _, stream};
use rdkafka::{
    ClientConfig,
    consumer::{BaseConsumer, Consumer as _},
    producer::{FutureProducer, FutureRecord},
};
use serde_json::Value;

use super::{Harm, PATIENCE, storm::Storm};
use crate::cluster::Servers;

pub use self::{counts::counts, payments::payments};

/// Events that are on their way to the broker at a time.
const ON_THEIR_WAY: usize = 2000;
/// How often it is asked how far nodes are.
const LOOK: Duration = Duration::from_millis(200);

/// Has a stranger write these events, with their keys, and waits until all are taken in; and every so often a node is killed, or two.
async fn take_in(
    storm: &mut Storm,
    part: &str,
    topics: &Topics,
    topic: &str,
    events: impl ExactSizeIterator<Item = (String, Value)> + Send + 'static,
    every: Duration,
) {
    let count = events.len();
    let begun = Instant::now();
    let feeding = tokio::spawn(topics.clone().feed(topics.name(topic), events));
    loop {
        let calm = Instant::now();
        let mut taken = storm.taken_in().await;
        while calm.elapsed() < every && taken < count {
            tokio::time::sleep(LOOK).await;
            taken = storm.taken_in().await;
        }
        storm.tell(format_args!("{part}: {taken} of {count}"));
        if taken >= count {
            break;
        }
        storm.harm(Harm::Kill).await;
    }
    feeding.await.expect("the brokers take them");
    let seconds = usize::try_from(begun.elapsed().as_secs()).unwrap_or(usize::MAX);
    storm.report.add(&format!("{part}: events"), count);
    storm.report.add(&format!("{part}: seconds"), seconds);
}

/// The topics of a storm, as a stranger sees them.
#[derive(Clone)]
struct Topics {
    brokers: String,
    prefix: String,
}

impl Topics {
    fn of(servers: &Servers, storm: &Storm) -> Self {
        Self {
            brokers: servers.kafka.addresses(),
            prefix: storm.prefix.clone(),
        }
    }

    fn name(&self, topic: &str) -> String {
        format!("{}{topic}", self.prefix)
    }

    fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.brokers);
        config
    }

    fn consumer(&self) -> BaseConsumer {
        let config = self.client().set("group.id", "strangers").clone();
        config.create().expect("a client")
    }

    fn partitions(&self, topic: &str) -> i32 {
        let metadata = self.consumer().fetch_metadata(Some(topic), PATIENCE);
        let metadata = metadata.expect("the brokers answer");
        i32::try_from(metadata.topics()[0].partitions().len()).expect("a few")
    }

    /// Writes events, each once.
    async fn feed(self, topic: String, events: impl Iterator<Item = (String, Value)> + Send) {
        let producer: FutureProducer = self
            .client()
            .set("enable.idempotence", "true")
            .create()
            .expect("a client");
        let partitions = self.partitions(&topic);
        let send = async |(number, (key, event)): (usize, (String, Value))| {
            let event = event.to_string();
            let partition = i32::try_from(number).expect("fewer than 2^31 events") % partitions;
            let record = FutureRecord::to(&topic).partition(partition);
            let sent = producer.send(record.key(&key).payload(&event), PATIENCE);
            sent.await.expect("the broker takes it");
        };
        let sending = stream::iter(events.enumerate()).map(send);
        sending.buffered(ON_THEIR_WAY).for_each(async |()| ()).await;
    }
}

impl Storm {
    /// How far each partition of the payments was taken in, as the nodes say that read them.
    async fn positions(&mut self) -> BTreeMap<u64, u64> {
        let mut positions = BTreeMap::new();
        for node in 0..self.cluster.size() {
            let status = self.cluster.status(node).await;
            let inputs = status["inputs"].as_array().expect("a list");
            for input in inputs.iter().filter(|it| it["phase"] != "elsewhere") {
                let number = |name: &str| input[name].as_u64().expect("a number");
                let position = positions.entry(number("partition")).or_insert(0);
                *position = number("position").max(*position);
            }
        }
        positions
    }

    async fn taken_in(&mut self) -> usize {
        let positions = self.positions().await;
        usize::try_from(positions.values().sum::<u64>()).expect("as many as events")
    }

    /// Ends all nodes, and starts them with nothing but the log. Says what is wrong if they do not come to where they were.
    async fn replay_all(&mut self) -> Option<String> {
        let before = self.positions().await;
        for node in 0..self.cluster.size() {
            self.cluster.kill_9(node);
        }
        for node in 0..self.cluster.size() {
            // Who has taken in little has no snapshot.
            if let Err(error) = fs::remove_dir_all(self.cluster.data(node)) {
                assert_eq!(error.kind(), io::ErrorKind::NotFound, "{error}");
            }
        }
        self.cluster.start().await;
        for node in 0..self.cluster.size() {
            self.is_there(node);
        }
        let began = Instant::now();
        loop {
            let after = self.positions().await;
            if after == before {
                return None;
            }
            if began.elapsed() > PATIENCE {
                return Some(format!("at {before:?}, and {after:?} after a replay"));
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

//! With Kafka: topics that strangers write and read, partitioned as the state is or otherwise.

use std::{fs, path::Path, thread, time::Instant};

use memgen::config::LogChoice;
use memgen_cli::servers::{Jars, Kafka as Brokers, Server, ZooKeeper};
use memgen_tests::{Folder, Service};
use rdkafka::{
    ClientConfig, Message as _, TopicPartitionList,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    consumer::{BaseConsumer, Consumer as _},
    error::RDKafkaErrorCode,
    message::{BorrowedMessage, Headers as _},
    producer::{FutureProducer, FutureRecord},
};

use super::*;

/// A broker, and clients that know nothing of memgen.
pub(super) struct Strangers {
    brokers: Brokers,
    producer: FutureProducer,
    _folder: Folder,
}

/// A record as a stranger sees it.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) key: String,
    /// The value as it is, and as text.
    pub(super) bytes: Vec<u8>,
    value: String,
    pub(super) headers: BTreeMap<String, String>,
}

impl Seen {
    fn of(message: &BorrowedMessage<'_>) -> Self {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
        let headers = message
            .headers()
            .into_iter()
            .flat_map(|headers| headers.iter());
        Self {
            key: text(message.key().unwrap_or_default()),
            bytes: message.payload().unwrap_or_default().to_vec(),
            value: String::from_utf8_lossy(message.payload().unwrap_or_default()).into_owned(),
            headers: headers
                .map(|header| {
                    (
                        header.key.to_owned(),
                        text(header.value.unwrap_or_default()),
                    )
                })
                .collect(),
        }
    }
}

impl Strangers {
    pub(super) fn start() -> Self {
        let jars = Jars::fetch().expect("Java and Maven are installed");
        let folder = Folder::new();
        let mut brokers = Brokers::create(&jars, folder.path(), 1).expect("a broker");
        brokers.start().expect("it answers");
        let producer = client(&brokers).create().expect("a client");
        Self {
            brokers,
            producer,
            _folder: folder,
        }
    }

    pub(super) fn addresses(&self) -> String {
        self.brokers.addresses()
    }

    pub(super) async fn make(&self, topic: &str, partitions: i32) {
        let admin: AdminClient<DefaultClientContext> =
            client(&self.brokers).create().expect("a client");
        let made = NewTopic::new(topic, partitions, TopicReplication::Fixed(1));
        let options = AdminOptions::new().operation_timeout(Some(PATIENCE));
        let made = admin.create_topics([&made], &options).await;
        assert!(made.is_ok_and(|made| made.iter().all(Result::is_ok)));
    }

    pub(super) async fn send(
        &self,
        topic: &str,
        partition: i32,
        key: &str,
        value: impl AsRef<[u8]>,
    ) {
        self.put(topic, partition, key, Some(value.as_ref())).await;
    }

    /// A record without a value.
    pub(super) async fn delete(&self, topic: &str, partition: usize, key: &str) {
        let partition = i32::try_from(partition).expect("a few");
        self.put(topic, partition, key, None).await;
    }

    async fn put(&self, topic: &str, partition: i32, key: &str, value: Option<&[u8]>) {
        until("the broker takes it", async || {
            let record = FutureRecord::to(topic).partition(partition).key(key);
            let sent = self.producer.send(
                FutureRecord {
                    payload: value,
                    ..record
                },
                PATIENCE,
            );
            match sent.await {
                Ok(_) => Some(()),
                // Of a topic that was just made, the client may not know all partitions yet.
                Err((error, _)) => {
                    let code = error.rdkafka_error_code();
                    assert_eq!(code, Some(RDKafkaErrorCode::UnknownPartition), "{error}");
                    None
                }
            }
        })
        .await;
    }

    /// Removes a topic, and waits until it is gone.
    pub(super) async fn unmake(&self, topic: &str) {
        let admin: AdminClient<DefaultClientContext> =
            client(&self.brokers).create().expect("a client");
        let options = AdminOptions::new().operation_timeout(Some(PATIENCE));
        let gone = admin.delete_topics(&[topic], &options).await;
        assert!(gone.is_ok_and(|gone| gone.iter().all(Result::is_ok)));
        until("the topic is gone", async || {
            let known = admin.inner().fetch_metadata(None, PATIENCE);
            let known = known.expect("it answers");
            known
                .topics()
                .iter()
                .all(|it| it.name() != topic)
                .then_some(())
        })
        .await;
    }

    /// The broker as a process.
    pub(super) fn broker(&mut self) -> &mut Server {
        self.brokers.server(0)
    }

    /// All that a topic holds, by partition.
    pub(super) fn read(&self, topic: &str) -> Vec<Vec<Seen>> {
        let consumer: BaseConsumer = client(&self.brokers)
            .set("group.id", "strangers")
            .create()
            .expect("a client");
        let metadata = consumer
            .fetch_metadata(Some(topic), PATIENCE)
            .expect("it answers");
        let count = metadata.topics()[0].partitions().len();
        let mut all = Vec::new();
        for partition in 0..i32::try_from(count).expect("a few") {
            let (start, end) = marks(&consumer, topic, partition);
            let mut list = TopicPartitionList::new();
            list.add_partition_offset(topic, partition, rdkafka::Offset::Offset(start))
                .expect("an offset");
            consumer.assign(&list).expect("it is assigned");
            let mut seen = Vec::new();
            let mut next = start;
            while next < end {
                // It also gives nothing after what is no message.
                let Some(message) = consumer.poll(PATIENCE) else {
                    continue;
                };
                let message = message.expect("it can be read");
                next = message.offset() + 1;
                seen.push(Seen::of(&message));
            }
            all.push(seen);
        }
        all
    }
}

/// Where a partition begins and ends. The leader of a new one is not known everywhere at once.
fn marks(consumer: &BaseConsumer, topic: &str, partition: i32) -> (i64, i64) {
    let began = Instant::now();
    loop {
        match consumer.fetch_watermarks(topic, partition, PATIENCE) {
            Ok(marks) => return marks,
            Err(why) => assert!(began.elapsed() < PATIENCE, "{topic}/{partition}: {why}"),
        }
        thread::sleep(Duration::from_millis(50));
    }
}

fn client(brokers: &Brokers) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers.addresses());
    config
}

/// Without repeats, as a stranger drops them.
fn fresh(records: &[Seen]) -> Vec<&Seen> {
    let mut last: BTreeMap<&str, u64> = BTreeMap::new();
    let mut kept = Vec::new();
    for record in records {
        let source = record.headers["memgen-source"].as_str();
        let number: u64 = record.headers["memgen-sequence"].parse().expect("a number");
        if last.get(source).is_none_or(|last| number > *last) {
            last.insert(source, number);
            kept.push(record);
        }
    }
    kept
}

async fn serve(
    strangers: &Strangers,
    data: &Path,
    nodes: u16,
) -> (Running, Vec<Client>, Vec<Client>) {
    let mut config = config(data, nodes);
    config.log = LogChoice::Kafka(strangers.addresses());
    config.kafka.replication_factor = 1;
    start(config).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn topics_of_strangers() {
    let strangers = Strangers::start();
    let folder = Folder::new();
    // Three partitions are not the four of the state; what strangers partition by chance is handed over in any case.
    strangers.make("sightings", 3).await;
    for number in 0..300_i32 {
        let event = json!({"place": format!("p{}", number % 10), "count": 1}).to_string();
        strangers
            .send("sightings", number % 3, "anything", &event)
            .await;
    }
    strangers.send("sightings", 0, "bad", "no JSON").await;
    let (running, apis, admins) = serve(&strangers, folder.path(), 2).await;
    caught_up(&admins, "sightings", 301).await;
    for number in 0..10 {
        assert_eq!(seen(&apis[0], &format!("p{number}")).await, Some(30));
    }
    // By the topic alone, and not by HTTP.
    let reply = apis[0]
        .post("/_events/sightings", &json!({"place": "x", "count": 1}))
        .await;
    assert_eq!(reply.status, 404, "{reply:?}");

    let told = until("all that is emitted arrives", async || {
        let told = strangers.read("seen");
        let told: Vec<Seen> = told
            .iter()
            .flat_map(|it| fresh(it).into_iter().cloned())
            .collect();
        (told.len() >= 300).then_some(told)
    })
    .await;
    assert_eq!(told.len(), 300);
    for number in 0..10 {
        let place = format!("p{number}");
        let counts = told.iter().filter(|record| record.key == place);
        let counts: Vec<u64> = counts
            .map(|record| {
                serde_json::from_str::<Value>(&record.value).expect("JSON")["seen"]
                    .as_u64()
                    .expect("a number")
            })
            .collect();
        assert_eq!(counts, (1..=30).collect::<Vec<_>>(), "in order");
    }
    let letters = until("the dead letter arrives", async || {
        let letters: Vec<_> = strangers.read("strange").into_iter().flatten().collect();
        (!letters.is_empty()).then_some(letters)
    })
    .await;
    assert_eq!((letters.len(), letters[0].value.as_str()), (1, "no JSON"));
    let note: Value = serde_json::from_str(&letters[0].headers["memgen-note"]).expect("JSON");
    assert_eq!(note["position"], "sightings/0@100");

    // What is emitted by one service is taken in by another one once, though it comes twice: a copy of a record with its headers is a repeat.
    let position: u64 = inputs(&admins, "sightings")
        .await
        .iter()
        .map(|it| it["position"].as_u64().expect("a number"))
        .sum();
    for _ in 0..2 {
        let event = json!({"place": "twice", "count": 7}).to_string();
        let headers = rdkafka::message::OwnedHeaders::new()
            .insert(rdkafka::message::Header {
                key: "memgen-source",
                value: Some("elsewhere/0"),
            })
            .insert(rdkafka::message::Header {
                key: "memgen-sequence",
                value: Some("5"),
            });
        let record = FutureRecord::to("sightings")
            .partition(1)
            .key("k")
            .payload(&event)
            .headers(headers);
        strangers
            .producer
            .send(record, PATIENCE)
            .await
            .expect("the broker takes it");
    }
    caught_up(&admins, "sightings", position + 2).await;
    assert_eq!(seen(&apis[0], "twice").await, Some(7));
    running.stop().await;

    // Where it was it goes on, also on one node alone.
    strangers
        .send("sightings", 2, "k", r#"{"place": "p0", "count": 5}"#)
        .await;
    let (running, apis, admins) = serve(&strangers, folder.path(), 1).await;
    caught_up(&admins, "sightings", position + 3).await;
    assert_eq!(seen(&apis[0], "p0").await, Some(35));
    assert_eq!(seen(&apis[0], "twice").await, Some(7));
    running.stop().await;

    a_changelog_is_no_topic_of_events(&strangers, folder.path()).await;
    payments_over_takeovers(&strangers).await;
}

async fn a_changelog_is_no_topic_of_events(strangers: &Strangers, data: &Path) {
    /// Another state, whose events are another service's changelog.
    #[stateful_api(path = "/copy", topic = "copies")]
    #[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
    struct Copy {
        #[key]
        name: String,
    }

    #[on_event(topic = "places", key = "name")]
    fn copied(_: &mut Entry<Copy>, _: Place) {}

    let mut config = config(data, 1);
    config.log = LogChoice::Kafka(strangers.addresses());
    config.kafka.replication_factor = 1;
    let error = memgen::service!(Copy, copied).start(config).await;
    let error = error.expect_err("it is a changelog").to_string();
    assert!(error.contains("it holds a state"), "{error}");
}

/// Two nodes of the ledger, as processes, one of which is killed again and again: each payment happens once, and each has a receipt.
async fn payments_over_takeovers(strangers: &Strangers) {
    const ACCOUNTS: u32 = 12;
    const PAYMENTS: u32 = 1500;
    let folder = Folder::new();
    let jars = Jars::fetch().expect("Java and Maven are installed");
    fs::create_dir_all(folder.path()).expect("a folder");
    let mut zookeeper = ZooKeeper::create(&jars, folder.path(), 1).expect("an ensemble");
    zookeeper.start().expect("it answers");
    strangers.make("payments", 5).await;
    let log = format!("kafka://{}", strangers.addresses());
    let coordinator = format!("zookeeper://{}/ledger", zookeeper.addresses());
    let services = ["n1", "n2"].map(|node| {
        Service::new("ledger")
            .args(&["--cluster", "streams", "--node", node, "--log", &log])
            .args(&["--coordinator", &coordinator, "--replication-factor", "1"])
            .args(&["--peer-secret", "open, said Ali Baba"])
    });
    let (first, second) = (services[0].launch(), services[1].launch());
    let mut running = [first, second];
    for node in &mut running {
        node.ready().await;
    }
    for id in 0..ACCOUNTS {
        let opening = json!({"balance": 100_000});
        let reply = running[0]
            .client()
            .put(&format!("/accounts/{id}"), &opening)
            .await;
        assert_eq!(reply.status, 201, "{reply:?}");
    }
    let amount = |number: u32| u64::from(1 + number % 30);
    let mut kills = 0;
    for number in 0..PAYMENTS {
        let (from, to) = (number % ACCOUNTS, (number + 5) % ACCOUNTS);
        let event =
            json!({"id": number.to_string(), "from": from, "to": to, "amount": amount(number)});
        let partition = i32::try_from(number % 5).expect("a few");
        strangers
            .send("payments", partition, "k", &event.to_string())
            .await;
        if number % 400 == 399 {
            let victim = kills % 2;
            running[victim].kill_9();
            running[victim] = services[victim].launch();
            running[victim].ready().await;
            kills += 1;
        }
    }
    let admins: Vec<_> = running.iter().map(memgen_tests::Running::admin).collect();
    caught_up(&admins, "payments", PAYMENTS.into()).await;
    for id in 0..ACCOUNTS {
        let account = running[0]
            .client()
            .get(&format!("/accounts/{id}"))
            .await
            .json();
        let paid: u64 = (0..PAYMENTS)
            .filter(|number| number % ACCOUNTS == id)
            .map(amount)
            .sum();
        let got: u64 = (0..PAYMENTS)
            .filter(|number| (number + 5) % ACCOUNTS == id)
            .map(amount)
            .sum();
        assert_eq!(account["balance"], 100_000 + got - paid, "account {id}");
    }
    let mut receipts = until("all receipts arrive", async || {
        let receipts = strangers.read("receipts");
        let receipts = receipts
            .iter()
            .flat_map(|partition| fresh(partition).into_iter().cloned());
        let receipts: Vec<u32> = receipts
            .map(|receipt| {
                serde_json::from_str::<Value>(&receipt.value).expect("JSON")["id"]
                    .as_str()
                    .expect("text")
                    .parse()
                    .expect("a number")
            })
            .collect();
        (receipts.len() >= PAYMENTS as usize).then_some(receipts)
    })
    .await;
    receipts.sort_unstable();
    assert_eq!(
        receipts,
        (0..PAYMENTS).collect::<Vec<_>>(),
        "each once, without repeats"
    );
    for node in &mut running {
        node.assert_sound();
    }
}

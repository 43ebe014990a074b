//! Streams: events that come in change the state exactly once, and what is emitted arrives; on the embedded log and on Kafka, over crashes and takeovers.

#[path = "streams/avro.rs"]
mod avro;
#[path = "streams/crashes.rs"]
mod crashes;
#[path = "streams/embedded.rs"]
mod embedded;
#[path = "streams/external.rs"]
mod external;
#[path = "streams/external_kafka.rs"]
mod external_kafka;
#[path = "streams/global.rs"]
mod global;
#[path = "streams/kafka.rs"]
mod kafka;

use std::{collections::BTreeMap, path::Path, time::Duration};

use memgen::{
    Config,
    log::{Log as _, TopicPartition, embedded::Peek},
    prelude::*,
    record::Record,
    server::Running,
};
use memgen_tests::{Client, logging::log_to_tests};
use serde_json::{Value, json};

/// How long something may take that surely happens.
const PATIENCE: Duration = Duration::from_secs(180);

/// How often something was seen at a place.
#[stateful_api(path = "/place", topic = "places", partitions = 4, crud(get, put))]
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
struct Place {
    #[key]
    name: String,
    seen: u64,
}

/// Something was seen.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Sighting {
    place: String,
    count: u64,
}

/// Counts it, and says so. It can't be nothing that was seen, and nobody counts to 13.
#[on_event(topic = "sightings", key = "place", dead_letters = "strange")]
fn sighted(entry: &mut Entry<Place>, sighting: Sighting) -> Result<(), Conflict> {
    if sighting.count == 0 {
        return Err(Conflict::new("nothing was seen"));
    }
    assert_ne!(sighting.count, 13, "a bad number");
    let name = entry.key().clone();
    let place = entry.or_insert_with(|| Place {
        name: name.clone(),
        seen: 0,
    });
    place.seen += sighting.count;
    let seen = place.seen;
    entry.emit("seen", &name, &json!({"place": name, "seen": seen}));
    Ok(())
}

/// Only what is known already is counted, and nothing is skipped.
#[on_event(topic = "tolls", key = "place")]
fn tolled(entry: &mut Entry<Place>, toll: Sighting) -> Result<(), NotFound> {
    let place = entry.get_mut();
    let place = place.ok_or_else(|| NotFound::new("no such place"))?;
    place.seen += toll.count;
    Ok(())
}

/// Something went from one place to another.
#[derive(Clone, Debug, Deserialize)]
struct Move {
    from: String,
    to: String,
}

/// A transaction over both. If nothing was there, somebody has to look at it.
#[on_event(topic = "moves", key = "from")]
async fn moved(tx: &mut Tx, event: Move) -> Result<()> {
    let from = tx.get::<Place>(&event.from).await?;
    let mut from = from.ok_or_else(|| NotFound::new("no such place"))?;
    let left = from.seen.checked_sub(1);
    from.seen = left.ok_or_else(|| Conflict::new("nothing is there"))?;
    tx.put(from)?;
    tx.update(&event.to, |entry: &mut Entry<Place>| {
        let name = entry.key().clone();
        entry.or_insert_with(|| Place { name, seen: 0 }).seen += 1;
    })
    .await?;
    tx.emit("moved", &event.from, &event.to);
    Ok(())
}

#[handlers]
impl Place {
    /// Emits so many records, and changes nothing; or fails, and emits none.
    #[post("/{name}/shout/{times}/{status}")]
    fn shout(entry: &mut Entry<Self>, times: u64, status: u16) -> StatusCode {
        let name = entry.key().clone();
        for number in 0..times {
            entry.emit("shouts", &name, &number);
        }
        StatusCode::from_u16(status).expect("a status")
    }
}

/// A transaction that only reads and emits.
#[handler(post, "/whisper/{what}")]
async fn whisper(tx: &mut Tx, what: String) -> Result<NoContent> {
    let known = tx.get::<Word>(&what).await?.is_some();
    tx.emit_bytes("whispers", what, known.to_string());
    Ok(NoContent)
}

/// A word of somebody, by the key of its record.
#[stateful_api(path = "/word", topic = "words", crud(get))]
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
struct Word {
    #[key]
    who: String,
    last: String,
}

#[on_event(topic = "raw", format = "bytes")]
fn heard(entry: &mut Entry<Word>, word: Vec<u8>) -> Result<()> {
    let last = String::from_utf8(word).map_err(|_| Invalid::new("no word"))?;
    let who = entry.key().clone();
    entry.insert(Word { who, last });
    Ok(())
}

fn service() -> memgen::Service {
    memgen::service!(Place, Word, sighted, tolled, moved, heard, whisper)
}

fn config(data: &Path, nodes: u16) -> Config {
    let anywhere = "127.0.0.1:0".parse().expect("an address");
    Config {
        http: anywhere,
        admin: anywhere,
        peer: anywhere,
        data: data.to_owned(),
        nodes,
        ..Config::default()
    }
}

async fn start(config: Config) -> (Running, Vec<Client>, Vec<Client>) {
    start_service(service(), config).await
}

async fn start_service(
    service: memgen::Service,
    config: Config,
) -> (Running, Vec<Client>, Vec<Client>) {
    log_to_tests();
    let running = service.start(config).await.expect("it starts");
    running.ready().await.expect("all partitions serve");
    let apis = running.nodes().iter();
    let apis = apis.map(|node| Client::new(format!("http://{}", node.http)));
    let admins = running.nodes().iter();
    let admins = admins.map(|node| Client::new(format!("http://{}", node.admin)));
    let (apis, admins) = (apis.collect(), admins.collect());
    (running, apis, admins)
}

/// What is seen at a place, if it is known.
async fn seen(client: &Client, place: &str) -> Option<u64> {
    let reply = client.get(&format!("/place/{place}")).await;
    (reply.status == 200).then(|| reply.json()["seen"].as_u64().expect("a number"))
}

/// Waits until something is so.
async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let waited = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waited)
        .await
        .unwrap_or_else(|_| panic!("in vain: {what}"))
}

/// What all nodes say of the partitions of a topic that they read.
async fn inputs(admins: &[Client], topic: &str) -> Vec<Value> {
    let mut all = Vec::new();
    for admin in admins {
        let status = admin.get("/status").await.json();
        let inputs = status["inputs"].as_array().expect("a list").clone();
        all.extend(
            inputs
                .into_iter()
                .filter(|input| input["topic"] == topic && input["phase"] != "elsewhere"),
        );
    }
    all
}

/// Waits until as many events of a topic were taken in as it has.
async fn caught_up(admins: &[Client], topic: &str, events: u64) {
    until("all events were taken in", async || {
        let inputs = inputs(admins, topic).await;
        let number = |input: &Value, name: &str| input[name].as_u64().expect("a number");
        let position: u64 = inputs.iter().map(|it| number(it, "position")).sum();
        let lag: u64 = inputs.iter().map(|it| number(it, "lag")).sum();
        (position == events && lag == 0).then_some(())
    })
    .await;
}

/// All records of a stream of the embedded log, by partition.
async fn records(data: &Path, topic: &str) -> Vec<Vec<Record>> {
    let Ok(peek) = Peek::open(data.join("log")) else {
        return Vec::new();
    };
    let Ok(count) = peek.open_stream(topic, 0).await else {
        return Vec::new();
    };
    let mut all = Vec::new();
    for number in 0..count {
        let partition = TopicPartition::new(topic, number);
        let (mut from, mut records) = (0, Vec::new());
        loop {
            let chunk = peek.read(&partition, from, 1 << 20).await;
            let chunk = chunk.expect("it can be read");
            if chunk.next == from {
                break;
            }
            from = chunk.next;
            records.extend(chunk.records.into_iter().map(|(_, record)| record));
        }
        all.push(records);
    }
    all
}

/// Where a record comes from, and its number there.
fn origin(record: &Record) -> (String, u128) {
    let origin = record.answered.as_ref().expect("it was emitted");
    let source = String::from_utf8(origin.id.to_vec()).expect("text");
    (source, origin.fingerprint)
}

/// What of these records a reader takes in that drops repeats: of each source, only higher numbers than before.
fn without_repeats(records: &[Record]) -> Vec<&Record> {
    let mut last: BTreeMap<String, u128> = BTreeMap::new();
    let mut kept = Vec::new();
    for record in records {
        let (source, number) = origin(record);
        if last.get(&source).is_none_or(|last| number > *last) {
            last.insert(source, number);
            kept.push(record);
        }
    }
    kept
}

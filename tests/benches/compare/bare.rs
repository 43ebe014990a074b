//! The bare server: the least that could be called the same. The same map as memgen's, a file or a producer, and axum.

use std::{
    fs::OpenOptions,
    io::Write as _,
    sync::{Arc, mpsc},
    thread,
};

use arc_swap::ArcSwap;
use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse as _, Response},
    routing::get,
};
use crossbeam_skiplist::SkipMap;
use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    producer::{FutureProducer, FutureRecord},
    util::Timeout,
};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use crate::{
    Outcome,
    entries::{ENTRIES, key, shuffled, value},
    process::announce_and_wait,
};

#[derive(Debug, Serialize)]
struct Entry {
    key: String,
    value: String,
}

#[derive(Debug, Deserialize)]
struct Body {
    value: String,
}

/// The topic of the server that has its log in Kafka, and its partitions: as many as memgen's has.
pub(crate) const TOPIC: &str = "bare";
const PARTITIONS: i32 = 8;

/// A record and whom to tell once the disk has it.
type Write = (Vec<u8>, oneshot::Sender<()>);

/// What the handlers share.
#[derive(Clone)]
struct Shared {
    map: Arc<SkipMap<String, ArcSwap<Entry>>>,
    log: Log,
}

/// Where records go.
#[derive(Clone)]
enum Log {
    /// To the thread that writes the file.
    File(mpsc::Sender<Write>),
    Kafka(FutureProducer),
}

impl Log {
    /// Waits until the record is durable.
    async fn append(&self, key: &str, record: Vec<u8>) -> Outcome<()> {
        match self {
            Self::File(writes) => {
                let (done, durable) = oneshot::channel();
                writes.send((record, done))?;
                durable.await?;
            }
            Self::Kafka(producer) => {
                let record = FutureRecord::to(TOPIC).key(key).payload(&record);
                let sent = producer.send(record, Timeout::Never).await;
                sent.map_err(|(error, _)| error)?;
            }
        }
        Ok(())
    }
}

async fn read(State(shared): State<Shared>, Path(key): Path<String>) -> Response {
    match shared.map.get(&key) {
        Some(entry) => Json(&**entry.value().load()).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn write(
    State(shared): State<Shared>,
    Path(key): Path<String>,
    Json(body): Json<Body>,
) -> Result<Response, StatusCode> {
    let entry = Entry {
        key,
        value: body.value,
    };
    let mut record = serde_json::to_vec(&entry).map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    record.push(b'\n');
    let appended = shared.log.append(&entry.key, record).await;
    appended.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    let entry = Arc::new(entry);
    let status = if let Some(cell) = shared.map.get(&entry.key) {
        cell.value().store(Arc::clone(&entry));
        StatusCode::OK
    } else {
        shared
            .map
            .insert(entry.key.clone(), ArcSwap::new(Arc::clone(&entry)));
        StatusCode::CREATED
    };
    Ok((status, Json(&*entry)).into_response())
}

/// Appends what is waiting, all of it with one `write` and one `fdatasync`.
fn commit(mut file: std::fs::File, waiting: &mpsc::Receiver<Write>) {
    while let Ok(first) = waiting.recv() {
        let group: Vec<Write> = std::iter::once(first).chain(waiting.try_iter()).collect();
        let mut bytes = Vec::with_capacity(group.iter().map(|(record, _)| record.len()).sum());
        for (record, _) in &group {
            bytes.extend_from_slice(record);
        }
        file.write_all(&bytes).expect("there is room");
        file.sync_data().expect("the disk works");
        for (_, done) in group {
            // Whoever waited may be gone.
            let _ = done.send(());
        }
    }
}

/// Serves, with all entries in memory: `FILE`, or `kafka BROKERS`.
pub(crate) fn serve(args: &[String]) -> Outcome<()> {
    // As memgen's own `main` makes it.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let log = match args {
        [file] => {
            let file = OpenOptions::new().create(true).append(true).open(file)?;
            let (writes, waiting) = mpsc::channel();
            thread::spawn(move || commit(file, &waiting));
            Log::File(writes)
        }
        [_, brokers] => Log::Kafka(runtime.block_on(producer(brokers))?),
        _ => return Err("a bare server needs a file, or brokers".into()),
    };
    let map = Arc::new(SkipMap::new());
    for number in shuffled(ENTRIES) {
        let entry = Entry {
            key: key(number),
            value: value(number),
        };
        map.insert(entry.key.clone(), ArcSwap::from_pointee(entry));
    }
    let router = Router::new()
        .route("/r/{key}", get(read).put(write))
        .with_state(Shared { map, log });
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))?;
    let address = listener.local_addr()?;
    let listener = axum::serve::ListenerExt::tap_io(listener, |stream| {
        // Only loses time if it fails.
        let _ = stream.set_nodelay(true);
    });
    runtime.spawn(async move { axum::serve(listener, router).await });
    announce_and_wait(address);
    Ok(())
}

/// A producer, and a topic for it.
async fn producer(brokers: &str) -> Outcome<FutureProducer> {
    let config = producer_config(brokers);
    let admin: AdminClient<DefaultClientContext> = config.create()?;
    let topic = NewTopic::new(TOPIC, PARTITIONS, TopicReplication::Fixed(3));
    let topic = topic.set("min.insync.replicas", "2");
    for made in admin.create_topics([&topic], &AdminOptions::new()).await? {
        made.map_err(|(_, error)| error.to_string())?;
    }
    Ok(config.create()?)
}

/// One that waits for as many brokers as memgen does.
pub(crate) fn producer_config(brokers: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", brokers)
        .set("acks", "all")
        .set("enable.idempotence", "true")
        .set("linger.ms", "0");
    config
}

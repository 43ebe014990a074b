//! Appending: the clients that a node's partitions share, and the receipts of what they send.
//!
//! librdkafka hands its delivery reports to one thread per client; a group of records has one receipt. What lands of a producer is a
//! prefix of what it sent: the client is idempotent and without gaps, so the first record that fails is fatal to it. Then the outcome of everything
//! outstanding is unknown, the client is purged and dropped on its own thread, and whoever asks for a producer gets one of another client.
//!
//! Time-outs are counted here: librdkafka would give up one record after the other, and might still send the second when it had just given up the first.
//!
//! A partition whose records make a client fail, since its leader is gone or has too few replicas, must not do so again to all others. Until one
//! of its records lands, its producers are made of a second client, which only such partitions share. A client of which nothing has landed yet
//! suspects nobody: it may be the brokers that are slow to give it an id. For the same reason there is a spare client, which has its id already.

use std::{
    collections::{HashSet, VecDeque},
    sync::{
        Arc, Mutex, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::FutureExt;
use rdkafka::{
    ClientConfig, ClientContext, Message,
    config::RDKafkaLogLevel,
    error::{KafkaError, RDKafkaErrorCode},
    message::{Header as KafkaHeader, OwnedHeaders},
    producer::{
        BaseProducer, BaseRecord, DeliveryResult, Producer as _, ProducerContext, PurgeConfig,
    },
};
use tokio::sync::{oneshot, watch};
use tracing::{debug, warn};

use super::{
    Declared, UNPOISONED,
    context::Context,
    error::client_error,
    header::{self, Header},
    threads,
};
use crate::{
    log::{AppendError, LogError, Offsets, Producer, Receipt, TopicPartition},
    record::{Offset, Record},
    stream::origin,
};

/// How long the thread of a client waits for reports before it looks whether the client failed, or is needed no more. The last millisecond of it is waited for on a processor, by
/// the client's library, which counts in whole ones.
const POLL: Duration = Duration::from_millis(100);
/// How many records of a partition may be on their way before the next ones are kept back. librdkafka sends an idempotent producer's records only while less than five
/// of their partition have no report yet, however they are batched; while others wait for that, its thread spins. One is left over, since the first record of a group may go
/// ahead of the rest.
const RECORDS_IN_FLIGHT_MAX: usize = 4;
/// What is added to a record that is alone in its batch, at most: the batch's head, the record's lengths, and a header with a fingerprint.
pub(super) const OVERHEAD_BYTES: usize = 61 + 64 + header::BYTES_MAX;
/// What the headers of an event are longer than memgen's own, at most.
const ORIGIN_BYTES: usize = 64;
/// Why a closed log refuses.
const CLOSED: &str = "it is closed";
/// Why a producer refuses after its first failure.
const FAILED_BEFORE: &str = "an earlier append of this producer failed";

/// The clients of a node.
pub(super) struct Clients {
    config: Mutex<ClientConfig>,
    timeout: Duration,
    suspects: Suspects,
    current: Mutex<Current>,
}

/// The partitions whose records made a client fail, and of which none has landed since.
type Suspects = Arc<Mutex<HashSet<TopicPartition>>>;

#[derive(Default)]
struct Current {
    healthy: Option<Arc<Client>>,
    suspect: Option<Arc<Client>>,
    /// What takes the place of the first of them that fails.
    spare: Option<Arc<Client>>,
    closed: bool,
}

impl Current {
    /// All of them, which are used no more.
    fn take(&mut self) -> impl Iterator<Item = Arc<Client>> + use<> {
        let clients = [self.healthy.take(), self.suspect.take(), self.spare.take()];
        clients.into_iter().flatten()
    }
}

impl Clients {
    /// Clients of this configuration, which fail if a record has no report in time.
    pub(super) fn new(config: ClientConfig, timeout: Duration) -> Self {
        Self {
            config: Mutex::new(config),
            timeout,
            suspects: Suspects::default(),
            current: Mutex::default(),
        }
    }

    /// Starts the client that will be needed first, and the spare one: it takes a moment until brokers have given it an id, and a takeover should not wait for that.
    pub(super) fn start(&self) -> Result<(), LogError> {
        let (healthy, spare) = (self.client()?, self.client()?);
        let mut current = self.current.lock().expect(UNPOISONED);
        current.healthy = Some(healthy);
        current.spare = Some(spare);
        Ok(())
    }

    /// A new client.
    fn client(&self) -> Result<Arc<Client>, LogError> {
        Client::start(
            &self.config.lock().expect(UNPOISONED),
            self.timeout,
            &self.suspects,
        )
    }

    /// A producer of a client that has not failed.
    pub(super) fn producer(
        &self,
        partition: &TopicPartition,
        topic: String,
        declared: &Declared,
    ) -> Result<Box<dyn Producer>, LogError> {
        let suspect = self.suspects.lock().expect(UNPOISONED).contains(partition);
        let client = {
            let mut current = self.current.lock().expect(UNPOISONED);
            let Current {
                healthy,
                suspect: suspected,
                spare,
                closed,
            } = &mut *current;
            let slot = if suspect { suspected } else { healthy };
            let usable = slot
                .as_ref()
                .filter(|client| *closed || client.failed().is_none());
            if let Some(client) = usable {
                Some(Arc::clone(client))
            } else if *closed {
                None
            } else {
                let client = match spare.take() {
                    Some(spare) if spare.failed().is_none() => spare,
                    _ => self.client()?,
                };
                if let Some(failed) = slot.replace(Arc::clone(&client)) {
                    failed.retire();
                }
                *spare = Some(self.client()?);
                Some(client)
            }
        };
        let number =
            i32::try_from(partition.partition).expect("a declared partition is one that Kafka has");
        Ok(Box::new(KafkaProducer {
            client,
            topic,
            number,
            record_bytes_max: declared.record_bytes_max,
            is_stream: declared.is_stream,
            state: Arc::new(State {
                partition: partition.clone(),
                failed: AtomicBool::new(false),
                suspect: AtomicBool::new(suspect),
            }),
        }))
    }

    /// From now on no batch is longer than this: a topic does not take it.
    pub(super) fn limit_batches(&self, bytes_max: usize) {
        let mut config = self.config.lock().expect(UNPOISONED);
        let limit = config.get("batch.size").and_then(|it| it.parse().ok());
        if limit.is_some_and(|limit: usize| limit <= bytes_max) {
            return;
        }
        config.set("batch.size", bytes_max.to_string());
        drop(config);
        let mut current = self.current.lock().expect(UNPOISONED);
        current.take().for_each(|client| client.retire());
    }

    /// Refuses later appends, and gives the clients whose reports are to be waited for.
    pub(super) fn close(&self) -> Vec<Arc<Client>> {
        let mut current = self.current.lock().expect(UNPOISONED);
        current.closed = true;
        let clients: Vec<_> = current.take().collect();
        for client in &clients {
            client.closed.store(true, Ordering::Release);
            client.retire();
        }
        clients
    }
}

impl Drop for Clients {
    fn drop(&mut self) {
        self.close();
    }
}

/// One client of librdkafka.
pub(super) struct Client {
    producer: BaseProducer<Reports>,
    timeout: Duration,
    /// What was sent, oldest first; those at the front that are settled are forgotten.
    sent: Mutex<VecDeque<(Instant, Weak<Append>)>>,
    /// No producer will be made of it any more.
    retired: AtomicBool,
    closed: AtomicBool,
}

impl Client {
    fn start(
        config: &ClientConfig,
        timeout: Duration,
        suspects: &Suspects,
    ) -> Result<Arc<Self>, LogError> {
        let reports = Reports {
            context: Context("producer"),
            failed: watch::Sender::new(None),
            landed: AtomicBool::new(false),
            suspects: Arc::clone(suspects),
        };
        let producer = threads::start(|| {
            config
                .create_with_context(reports)
                .map_err(client_error("start a producer"))
        })?;
        let client = Arc::new(Self {
            producer,
            timeout,
            sent: Mutex::default(),
            retired: AtomicBool::new(false),
            closed: AtomicBool::new(false),
        });
        let polled = Arc::clone(&client);
        std::thread::Builder::new()
            .name("memgen-kafka-ack".to_owned())
            .spawn(move || polled.poll())
            .map_err(|source| LogError::Io {
                what: "can't start the thread of a producer".to_owned(),
                source,
            })?;
        Ok(client)
    }

    /// Takes the reports until the client is needed no more. It is dropped here, since that may take a while.
    fn poll(self: Arc<Self>) {
        let mut purged = false;
        while !(self.retired.load(Ordering::Acquire) && Arc::strong_count(&self) == 1) {
            self.producer.poll(POLL);
            self.expire();
            if !purged && let Some(reason) = self.failed() {
                warn!(%reason, "a producer failed; the outcome of what it sent is found out by those who sent it");
                purged = true;
                self.producer
                    .purge(PurgeConfig::default().queue().inflight());
            }
        }
        debug!("a producer is dropped");
    }

    /// Forgets what is settled, and fails if something takes too long.
    fn expire(&self) {
        let mut sent = self.sent.lock().expect(UNPOISONED);
        while let Some((_, append)) = sent.front()
            && append.upgrade().is_none_or(|append| append.is_settled())
        {
            sent.pop_front();
        }
        let late = |(at, _): &&(Instant, _)| at.elapsed() > self.timeout;
        let overdue: Vec<_> = sent
            .iter()
            .take_while(late)
            .filter_map(|(_, append)| append.upgrade())
            .filter(|append| !append.is_settled())
            .collect();
        drop(sent);
        let Some(first) = overdue.first() else {
            return;
        };
        let reports = self.producer.context();
        if reports.landed.load(Ordering::Relaxed) {
            let culprits = overdue
                .iter()
                .map(|append| append.producer.partition.clone());
            reports.suspects.lock().expect(UNPOISONED).extend(culprits);
        }
        reports.fail(&format!(
            "{}: no acknowledgement within {} ms",
            first.producer.partition,
            self.timeout.as_millis()
        ));
    }

    fn failed(&self) -> Option<Arc<str>> {
        self.producer.context().failed.borrow().clone()
    }

    fn retire(&self) {
        self.retired.store(true, Ordering::Release);
    }

    /// Waits until all that was sent has its report. It blocks.
    pub(super) fn settle(&self) {
        while self.failed().is_none() && self.producer.in_flight_count() > 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Takes what librdkafka reports of a client.
pub(super) struct Reports {
    context: Context,
    /// Why the client can't go on.
    failed: watch::Sender<Option<Arc<str>>>,
    /// Something that it sent is there.
    landed: AtomicBool,
    suspects: Suspects,
}

impl Reports {
    fn fail(&self, reason: &str) {
        self.failed.send_if_modified(|failed| {
            let first = failed.is_none();
            failed.get_or_insert_with(|| reason.into());
            first
        });
    }
}

impl ClientContext for Reports {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.context.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::Fatal) {
            self.fail(reason);
        }
        self.context.error(error, reason);
    }
}

impl ProducerContext for Reports {
    type DeliveryOpaque = Box<Sent>;

    fn delivery(&self, result: &DeliveryResult<'_>, sent: Box<Sent>) {
        let Sent { append, index } = *sent;
        let producer = &append.producer;
        if let Err((error, _)) = result
            && !is_aftermath(error)
        {
            self.suspects
                .lock()
                .expect(UNPOISONED)
                .insert(producer.partition.clone());
        }
        // What has no report by then has no outcome, so that none is acknowledged behind one that isn't.
        if producer.failed.load(Ordering::Acquire) || self.failed.borrow().is_some() {
            return append.fail("an earlier record of its producer failed");
        }
        let message = match result {
            Ok(message) => message,
            Err((error, _)) => {
                producer.failed.store(true, Ordering::Release);
                let reason = format!("{}: {error}", producer.partition);
                append.fail(&reason);
                return self.fail(&reason);
            }
        };
        let Ok(offset) = Offset::try_from(message.offset()) else {
            // It was sent twice, and the broker knows no more than that it has it.
            producer.failed.store(true, Ordering::Release);
            return append.fail("the broker does not say where the record is");
        };
        self.landed.store(true, Ordering::Relaxed);
        if producer.suspect.swap(false, Ordering::Relaxed) {
            self.suspects
                .lock()
                .expect(UNPOISONED)
                .remove(&producer.partition);
        }
        append.land(index, offset);
    }
}

/// Whether a record failed only because its client had failed already.
fn is_aftermath(error: &KafkaError) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        error.rdkafka_error_code(),
        Some(Code::PurgeQueue | Code::PurgeInflight | Code::Fatal)
    )
}

/// A record on its way.
pub(super) struct Sent {
    append: Arc<Append>,
    index: usize,
}

/// What became of an append so far.
struct Append {
    producer: Arc<State>,
    pending: Mutex<Pending>,
}

struct Pending {
    offsets: Offsets,
    /// Records without a report.
    left: usize,
    receipt: Option<oneshot::Sender<Result<Offsets, AppendError>>>,
}

impl Append {
    fn is_settled(&self) -> bool {
        self.pending.lock().expect(UNPOISONED).receipt.is_none()
    }

    fn land(&self, index: usize, offset: Offset) {
        let mut pending = self.pending.lock().expect(UNPOISONED);
        pending.offsets[index] = offset;
        pending.left -= 1;
        if pending.left == 0
            && let Some(receipt) = pending.receipt.take()
        {
            let offsets = std::mem::take(&mut pending.offsets);
            let _ = receipt.send(Ok(offsets));
        }
    }

    fn fail(&self, reason: &str) {
        let mut pending = self.pending.lock().expect(UNPOISONED);
        if let Some(receipt) = pending.receipt.take() {
            let _ = receipt.send(Err(AppendError::Unknown(reason.to_owned())));
        }
    }
}

/// What a producer and its records on their way know of one another.
struct State {
    partition: TopicPartition,
    failed: AtomicBool,
    /// The partition is a suspect until a record lands.
    suspect: AtomicBool,
}

struct KafkaProducer {
    /// None once the log was closed.
    client: Option<Arc<Client>>,
    topic: String,
    number: i32,
    record_bytes_max: usize,
    /// Its records are events, for any consumer.
    is_stream: bool,
    state: Arc<State>,
}

impl KafkaProducer {
    /// The first record that is too long, or can't be written at all.
    fn refusal(&self, records: &[Record]) -> Option<String> {
        records.iter().find_map(|record| {
            let headers = if self.is_stream { ORIGIN_BYTES } else { 0 };
            let bytes = record.bytes() + OVERHEAD_BYTES + headers;
            (bytes > self.record_bytes_max).then(|| {
                format!(
                    "a record of {bytes} bytes is over the limit of {} of the topic `{}`",
                    self.record_bytes_max, self.topic
                )
            })
        })
    }
}

impl Producer for KafkaProducer {
    fn records_in_flight_max(&self) -> usize {
        RECORDS_IN_FLIGHT_MAX
    }

    fn append(&mut self, records: &[Record]) -> Receipt {
        let Some(client) = self
            .client
            .as_ref()
            .filter(|client| !client.closed.load(Ordering::Acquire))
        else {
            return refused(CLOSED);
        };
        if self.state.failed.load(Ordering::Acquire) || client.failed().is_some() {
            return refused(FAILED_BEFORE);
        }
        if records.is_empty() {
            return std::future::ready(Ok(Vec::new())).boxed();
        }
        if let Some(refusal) = self.refusal(records) {
            self.state.failed.store(true, Ordering::Release);
            return refused(&refusal);
        }
        let (receipt, outcome) = oneshot::channel();
        let append = Arc::new(Append {
            producer: Arc::clone(&self.state),
            pending: Mutex::new(Pending {
                offsets: vec![0; records.len()],
                left: records.len(),
                receipt: Some(receipt),
            }),
        });
        client
            .sent
            .lock()
            .expect(UNPOISONED)
            .push_back((Instant::now(), Arc::downgrade(&append)));
        let mut failed = client.producer.context().failed.subscribe();
        let mut buffer = Vec::new();
        for (index, record) in records.iter().enumerate() {
            let sent = Box::new(Sent {
                append: Arc::clone(&append),
                index,
            });
            if let Err(reason) = self.send(client, record, sent, &mut buffer) {
                self.state.failed.store(true, Ordering::Release);
                if index == 0 {
                    return refused(&reason);
                }
                // Those before it may land.
                append.fail(&reason);
                break;
            }
        }
        async move {
            let failure = async {
                match failed.wait_for(Option::is_some).await {
                    Ok(reason) => reason.as_deref().unwrap_or_default().to_owned(),
                    Err(_) => "the client is gone".to_owned(),
                }
            };
            tokio::select! {
                biased;
                Ok(outcome) = outcome => outcome,
                reason = failure => Err(AppendError::Unknown(reason)),
            }
        }
        .boxed()
    }
}

impl KafkaProducer {
    fn send(
        &self,
        client: &Client,
        record: &Record,
        sent: Box<Sent>,
        buffer: &mut Vec<u8>,
    ) -> Result<(), String> {
        let headers = if self.is_stream {
            origin_headers(record)
        } else {
            buffer.clear();
            header_of(record)
                .encode(buffer)
                .map_err(|error| error.to_string())?;
            OwnedHeaders::new_with_capacity(1).insert(KafkaHeader {
                key: header::NAME,
                value: Some(buffer.as_slice()),
            })
        };
        let message = BaseRecord {
            topic: &self.topic,
            partition: Some(self.number),
            payload: record.value.as_deref(),
            key: Some(&record.key[..]),
            // For other tools, if the topic takes its writers' word. 0 would be now.
            timestamp: i64::try_from(record.timestamp_ms).ok().filter(|at| *at > 0),
            headers: Some(headers),
            delivery_opaque: sent,
        };
        client
            .producer
            .send(message)
            .map_err(|(error, _)| error.to_string())
    }
}

/// What is said of an event beside its key and value.
fn origin_headers(record: &Record) -> OwnedHeaders {
    let mut headers = OwnedHeaders::new();
    let Some((source, sequence)) = origin::of(record) else {
        return headers;
    };
    headers = headers
        .insert(KafkaHeader {
            key: origin::SOURCE,
            value: Some(source),
        })
        .insert(KafkaHeader {
            key: origin::SEQUENCE,
            value: Some(&sequence.to_string()),
        });
    match &record.answered {
        Some(it) if !it.reply.is_empty() => headers.insert(KafkaHeader {
            key: origin::NOTE,
            value: Some(&it.reply[..]),
        }),
        _ => headers,
    }
}

fn header_of(record: &Record) -> Header<'_> {
    Header {
        ballot: record.ballot,
        kind: record.kind,
        timestamp_ms: record.timestamp_ms,
        schema: record.schema,
        place: record.place,
        answered: record
            .answered
            .as_ref()
            .map(|it| (&it.id[..], it.fingerprint, &it.reply[..])),
    }
}

fn refused(reason: &str) -> Receipt {
    std::future::ready(Err(AppendError::Refused(reason.to_owned()))).boxed()
}

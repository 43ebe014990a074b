//! Bytes at the peer listener of a service that runs, in this process: nothing panics, no partition halts, others are served meanwhile, and what was written can be replayed.

mod frames;

use std::{
    net::SocketAddr,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use memgen::{Config, Limits, prelude::*, server::Running};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    runtime::{Builder, Runtime},
    time::{Instant, timeout, timeout_at},
};

use self::frames::{Request, answers, ends};
use super::{Mutator, Target, below, message, texts};
use crate::{Client, Folder, Random};

const WORDS: [&str; 26] = [
    "/_memgen/thing/",
    "/_memgen/lane",
    "\0\0\0\x09\0\0\0\0\0\0\0\0\x04",
    "tx",
    "events",
    "entity",
    "select",
    "feed",
    "alive",
    "/0",
    "/4294967296",
    "/thing",
    "%2F",
    "%00",
    "PUT ",
    "POST ",
    "GET ",
    "DELETE ",
    "memgen-request: \0a",
    "memgen-time-left-ms: 18446744073709551615",
    "memgen-caller: 1.2.3.4:5",
    "memgen-min-position: thing/0@18446744073709551615",
    "idempotency-key: a",
    "if-match: *",
    "\n",
    "\n\n",
];

/// How long an answer may be awaited before the next input: some wait for what never comes.
const ANSWER_MAX: Duration = Duration::from_millis(30);
/// After so many inputs others are served, and after so many the service starts again.
const OTHERS_EVERY: u64 = 100;
const RESTART_EVERY: u64 = 5000;

/// What is under attack.
#[stateful_api(path = "/thing", partitions = 2, crud(get, list, put, delete, watch))]
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
struct Thing {
    #[key]
    name: String,
    count: u64,
}

/// What others ask for meanwhile.
#[stateful_api(path = "/other", partitions = 2, crud(get, put))]
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
struct Other {
    #[key]
    number: u64,
}

/// Something that was counted.
#[derive(Serialize, Deserialize)]
struct Counted {
    name: String,
}

#[on_event(topic = "counts", key = "name", dead_letters = "strange-counts")]
fn counted(entry: &mut Entry<Thing>, counted: Counted) {
    let name = counted.name;
    let thing = entry.or_insert_with(|| Thing { name, count: 0 });
    thing.count = thing.count.wrapping_add(1);
}

/// Two things at once.
#[handler(post, "/both/{one}/{other}")]
async fn both(tx: &mut Tx, one: String, other: String) -> Result<NoContent> {
    for name in [one, other] {
        let thing = tx.get::<Thing>(&name).await?;
        let count = thing.map_or(0, |thing| thing.count.wrapping_add(1));
        tx.put(Thing { name, count })?;
    }
    Ok(NoContent)
}

/// A service of two nodes in this process, and requests to one of them by its peer listener.
pub(super) struct Peer {
    requests: Mutator,
    bodies: Mutator,
    runtime: Runtime,
    data: Folder,
    running: Mutex<Option<Running>>,
    cases: AtomicU64,
}

impl Peer {
    pub(super) fn new() -> Self {
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build();
        let peer = Self {
            requests: Mutator::new(texts("peer"), &WORDS),
            bodies: Mutator::new(message::bodies(), &message::WORDS),
            runtime: runtime.expect("a runtime starts"),
            data: Folder::new(),
            running: Mutex::default(),
            cases: AtomicU64::new(0),
        };
        *peer.running() = Some(peer.runtime.block_on(peer.start()));
        peer
    }

    fn running(&self) -> MutexGuard<'_, Option<Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn start(&self) -> Running {
        let local = SocketAddr::from(([127, 0, 0, 1], 0));
        let config = Config {
            http: local,
            admin: local,
            peer: local,
            nodes: 2,
            data: self.data.path().to_owned(),
            limits: Limits {
                request_timeout: Duration::from_millis(500),
                shutdown_grace: Duration::from_secs(1),
                memory_max: Some(512 << 20),
                ..Limits::default()
            },
            ..Config::default()
        };
        let running = memgen::service!(Thing, Other, counted, both)
            .start(config)
            .await;
        let running = running.unwrap_or_else(|error| panic!("the service does not start: {error}"));
        let ready = timeout(Duration::from_secs(20), running.ready()).await;
        let ready = ready.expect("what was written is replayed in time");
        ready.unwrap_or_else(|why| panic!("what was written can't be replayed: {why}"));
        running
    }

    /// Whoever has nothing to do with it is served, and no partition has halted.
    async fn others_are_served(running: &Running, case: u64) {
        let ready = timeout(Duration::from_secs(10), running.ready()).await;
        let ready = ready.expect("partitions stay");
        ready.unwrap_or_else(|why| panic!("a partition has halted: {why}"));
        let client = Client::new(format!("http://{}", running.nodes()[1].http));
        let path = format!("/other/{}", case % 1000);
        let reply = client.put(&path, &serde_json::json!({})).await;
        assert!(matches!(reply.status, 200 | 201), "{reply:?}");
        let reply = client.get(&path).await;
        assert_eq!(reply.status, 200, "{reply:?}");
    }

    /// Sends the bytes, and reads until each request in them is answered.
    async fn send(address: SocketAddr, bytes: &[u8]) -> bool {
        let mut stream = TcpStream::connect(address)
            .await
            .expect("the peer listener accepts");
        // A connection that is closed meanwhile is an answer.
        if stream.write_all(bytes).await.is_err() {
            return false;
        }
        let wanted = ends(bytes);
        let deadline = Instant::now() + ANSWER_MAX;
        let mut read = Vec::new();
        let mut buffer = vec![0; 16 << 10];
        while wanted == 0 || answers(&read) < wanted {
            match timeout_at(deadline, stream.read(&mut buffer)).await {
                Ok(Ok(length)) if length > 0 => read.extend(&buffer[..length]),
                _ => return answers(&read) > 0,
            }
        }
        true
    }
}

impl Target for Peer {
    fn name(&self) -> &'static str {
        "peer"
    }

    fn input(&self, seed: u64) -> Vec<u8> {
        let mut random = Random::from_seed(seed);
        let random = &mut random;
        let mut requests = Vec::new();
        for _ in 0..=below(random, 3) {
            let text = if random.below(3) == 0 {
                self.requests.input(random)
            } else {
                self.requests.pick(random).to_vec()
            };
            let mut request = Request::of_text(&text);
            if random.below(3) == 0 {
                request.body = message::body(&self.bodies, random);
            } else if random.below(2) == 0 {
                self.bodies.change(&mut request.body, random);
            }
            requests.push(request);
        }
        let mut bytes = frames::connection(&requests);
        if random.below(4) == 0 {
            self.requests.change(&mut bytes, random);
        }
        bytes
    }

    fn check(&self, input: &[u8]) -> bool {
        // The files of the corpus are texts.
        let is_text = !input.starts_with(frames::PREFACE)
            && input.contains(&b'\n')
            && std::str::from_utf8(input).is_ok();
        let bytes = if is_text {
            frames::connection(&[Request::of_text(input)])
        } else {
            input.to_vec()
        };
        let case = self.cases.fetch_add(1, Ordering::Relaxed);
        let mut running = self.running().take().expect("it was started");
        let (running, answered) = self.runtime.block_on(async move {
            if case % RESTART_EVERY == RESTART_EVERY - 1 {
                running.stop().await;
                running = self.start().await;
            }
            let address = running.nodes()[0].peer.expect("there are two nodes");
            let answered = Self::send(address, &bytes).await;
            if case.is_multiple_of(OTHERS_EVERY) {
                Self::others_are_served(&running, case).await;
            }
            (running, answered)
        });
        *self.running() = Some(running);
        answered
    }

    /// What a connection may hold, and what happens beside.
    fn bytes_max(&self, _: usize) -> usize {
        128 << 20
    }

    fn chunk(&self) -> u64 {
        50
    }
}

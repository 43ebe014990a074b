//! A cluster of the example `ledger` under a steady load for as long as one likes: does anything grow?
//!
//! First it is measured how much the cluster can do, with clients that ask again as soon as they are answered. Then requests come at 70 % of that, each at its time, whether those before were
//! answered or not, and times are counted from when it was to be sent. So what makes others wait is seen in all of their times.

use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::json;
use tokio::{task::JoinSet, time::sleep};

use crate::{
    Client, Random,
    binaries::binary,
    cluster::{Cluster, Servers, name_of},
    feed::Feed,
    ledger::{balances, open_accounts, transfer},
    waits::Waits,
};

const NODES: u8 = 3;
/// Accounts: what the state is, all the time.
const ACCOUNTS: u32 = 4096;
const OPENING: u64 = 1 << 40;
/// Accounts of one audit.
const AUDITED: u32 = 8;
/// The answer to a request is remembered for so long, so that what is remembered does not grow after that.
const HORIZON: [&str; 2] = ["--idempotency-horizon-ms", "120000"];
/// The part of what the cluster can do that it is asked for, in percent.
const LOAD_PERCENT: u32 = 70;
/// Clients, while it is measured what the cluster can do.
const PROBING: u32 = 32;
/// Clients of the steady load: so many that one of them is free when a request is due.
const STEADY: u32 = 96;
/// Those who follow an account, and for how long each does before it connects anew.
const WATCHERS: u32 = 30;
const WATCHED: Duration = Duration::from_secs(20);
/// How often it is looked at what nodes hold.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// How long each part of a soak is.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// With clients that ask again at once, before anything is measured.
    pub warm_up: Duration,
    /// While it is measured what the cluster can do.
    pub probe: Duration,
    /// The steady load.
    pub steady: Duration,
}

/// What a node held, and what clients saw, in one part of the time.
#[derive(Clone, Debug)]
pub struct Part {
    /// When it ended, from the beginning of the steady load.
    pub until: Duration,
    /// The memory of each node, in MB: the mean of all looks.
    pub memory: Vec<f64>,
    /// The open files of each node, sockets among them: the mean of all looks.
    pub files: Vec<f64>,
    /// How long requests took.
    pub waits: Waits,
}

/// What was seen in all of the time.
#[derive(Clone, Debug)]
pub struct Report {
    /// Requests a second that the cluster can do, and how many it was asked for.
    pub most: f64,
    /// See `most`.
    pub asked: f64,
    /// Parts of the time, of which all are as long.
    pub parts: Vec<Part>,
    /// What must not be.
    pub wrong: Vec<String>,
}

/// Puts a cluster under load, in so many parts. `tell` hears of each part as it ends.
pub async fn soak(servers: &Servers, times: Times, parts: u32, tell: impl Fn(&Part)) -> Report {
    let args = [&HORIZON[..], &["--topic-prefix", "soak-"]].concat();
    let mut cluster = Cluster::new(servers, None, &binary("ledger"), NODES, &args);
    cluster.start().await;
    let clients: Arc<[Client]> = cluster.clients().into_iter().map(|(_, it)| it).collect();
    open_accounts(&clients[0], ACCOUNTS, OPENING).await;
    let load = Load::new(clients.clone());

    let most = load.probe(times).await;
    let asked = most * f64::from(LOAD_PERCENT) / 100.0;
    load.steady(asked);
    let began = Instant::now();
    let mut done = Vec::new();
    for number in 1..=parts {
        let until = times.steady * number / parts;
        let (mut memory, mut files, mut looks) =
            (vec![0.0; NODES.into()], vec![0.0; NODES.into()], 0.0);
        load.take();
        while began.elapsed() < until {
            sleep(LOOK_EVERY.min(until.saturating_sub(began.elapsed()))).await;
            looks += 1.0;
            for node in 0..usize::from(NODES) {
                let running = cluster.node(node);
                #[allow(clippy::cast_precision_loss, reason = "less than 2^52")]
                let (bytes, open) = (running.resident_bytes() as f64, running.open_files() as f64);
                memory[node] += bytes / 1e6;
                files[node] += open;
            }
        }
        let mean = |sums: Vec<f64>| sums.into_iter().map(|sum| sum / looks).collect();
        let mut waits = Waits::default();
        waits.add(load.take());
        let part = Part {
            until,
            memory: mean(memory),
            files: mean(files),
            waits,
        };
        tell(&part);
        done.push(part);
    }
    let mut wrong = load.stop().await;
    let total: i128 = balances(&clients[0], ACCOUNTS).await.values().sum();
    let expected = i128::from(OPENING) * i128::from(ACCOUNTS);
    if total != expected {
        wrong.push(format!("there is {total} in all accounts, not {expected}"));
    }
    cluster.assert_sound();
    Report {
        most,
        asked,
        parts: done,
        wrong,
    }
}

/// Who asks, and what they saw.
struct Load {
    shared: Arc<Shared>,
    tasks: Mutex<JoinSet<()>>,
}

struct Shared {
    clients: Arc<[Client]>,
    stop: AtomicBool,
    answered: AtomicU64,
    ids: AtomicU64,
    waits: Mutex<Vec<Duration>>,
    wrong: Mutex<Vec<String>>,
}

impl Load {
    fn new(clients: Arc<[Client]>) -> Self {
        let shared = Shared {
            clients,
            stop: AtomicBool::new(false),
            answered: AtomicU64::new(0),
            ids: AtomicU64::new(0),
            waits: Mutex::default(),
            wrong: Mutex::default(),
        };
        Self {
            shared: Arc::new(shared),
            tasks: Mutex::default(),
        }
    }

    /// Requests a second that are answered if each client asks again at once.
    async fn probe(&self, times: Times) -> f64 {
        let mut random = Random::new();
        let mut clients = JoinSet::new();
        for _ in 0..PROBING {
            let (shared, mut random) = (self.shared.clone(), random.split());
            clients.spawn(async move {
                loop {
                    shared.ask(&mut random).await;
                    shared.answered.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        sleep(times.warm_up).await;
        let (before, began) = (self.shared.answered.load(Ordering::Relaxed), Instant::now());
        sleep(times.probe).await;
        let answered = self.shared.answered.load(Ordering::Relaxed) - before;
        #[allow(clippy::cast_precision_loss, reason = "less than 2^52")]
        let answered = answered as f64;
        answered / began.elapsed().as_secs_f64()
    }

    /// From now on so many requests come each second, and there are watchers.
    fn steady(&self, each_second: f64) {
        let mut random = Random::new();
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        let every = Duration::from_secs_f64(f64::from(STEADY) / each_second);
        let begin = tokio::time::Instant::now();
        for number in 0..STEADY {
            let (shared, mut random) = (self.shared.clone(), random.split());
            let mut due = begin + every * number / STEADY;
            tasks.spawn(async move {
                while !shared.stop.load(Ordering::Relaxed) {
                    tokio::time::sleep_until(due).await;
                    shared.ask(&mut random).await;
                    lock(&shared.waits).push(due.elapsed());
                    due += every;
                }
            });
        }
        for number in 0..WATCHERS {
            let shared = self.shared.clone();
            tasks.spawn(async move { shared.watch(number).await });
        }
    }

    /// How long requests took since it was asked last.
    fn take(&self) -> Vec<Duration> {
        std::mem::take(&mut *lock(&self.shared.waits))
    }

    /// Lets what is under way end: what was wrong.
    async fn stop(self) -> Vec<String> {
        self.shared.stop.store(true, Ordering::Relaxed);
        let mut tasks = self
            .tasks
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        while let Some(ended) = tasks.join_next().await {
            if let Err(error) = ended {
                lock(&self.shared.wrong).push(error.to_string());
            }
        }
        std::mem::take(&mut *lock(&self.shared.wrong))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// Asks a node for something: mostly reads of one account, many of them of a copy; transfers, half of them with an id; and audits.
    async fn ask(&self, random: &mut Random) {
        let client = &self.clients[random.below(NODES.into()) as usize];
        let account = random.below(ACCOUNTS);
        let path = format!("/accounts/{account}");
        let (request, right) = match random.below(100) {
            0..40 => (client.request("GET", &path), 200),
            40..60 => {
                let get = client.request("GET", &path);
                (get.header("memgen-read", "replica"), 200)
            }
            60..95 => {
                let to = (account + 1 + random.below(ACCOUNTS - 1)) % ACCOUNTS;
                let amount = u64::from(1 + random.below(99));
                let post = client.request("POST", "/transfers");
                let post = post.json(&transfer(account, to, amount));
                let post = if random.below(2) == 0 {
                    let id = self.ids.fetch_add(1, Ordering::Relaxed);
                    post.header("idempotency-key", &format!("soak-{id}"))
                } else {
                    post
                };
                (post, 204)
            }
            _ => {
                let accounts = (0..AUDITED).map(|next| (account + next) % ACCOUNTS);
                let audit = json!({"accounts": accounts.collect::<Vec<_>>()});
                (client.request("POST", "/audit").json(&audit), 200)
            }
        };
        match request.try_send().await {
            Ok(reply) if reply.status == right => {}
            Ok(reply) => lock(&self.wrong).push(format!("{reply:?}")),
            Err(error) => lock(&self.wrong).push(error.to_string()),
        }
    }

    /// Follows an account, for a while each time.
    async fn watch(&self, number: u32) {
        let client = &self.clients[(number % u32::from(NODES)) as usize];
        let path = format!("/accounts/{number}");
        while !self.stop.load(Ordering::Relaxed) {
            let mut feed = Feed::of(client.base(), &path);
            let until = tokio::time::Instant::now() + WATCHED;
            while tokio::time::timeout_at(until, feed.next()).await.is_ok() {}
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "| {:.0} min |", self.until.as_secs_f64() / 60.0)?;
        for memory in &self.memory {
            write!(f, " {memory:.0} |")?;
        }
        for files in &self.files {
            write!(f, " {files:.0} |")?;
        }
        let [requests, half, most, all] = self.waits.cells();
        write!(f, " {requests} | {half} | {most} | {all} |")
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (most, asked) = (self.most, self.asked);
        writeln!(
            f,
            "{most:.0} requests a second at most, {asked:.0} asked for\n"
        )?;
        write!(f, "| until |")?;
        for what in ["MB", "files"] {
            for node in 0..usize::from(NODES) {
                write!(f, " {what} of {} |", name_of(node))?;
            }
        }
        writeln!(f, " requests | p50 | p99 | max |")?;
        writeln!(f, "|---|{}", "---:|".repeat(2 * usize::from(NODES) + 4))?;
        for part in &self.parts {
            writeln!(f, "{part}")?;
        }
        writeln!(f, "\n{} failed or wrong", self.wrong.len())?;
        for wrong in self.wrong.iter().take(20) {
            writeln!(f, "- {wrong}")?;
        }
        Ok(())
    }
}

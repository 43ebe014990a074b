//! Many watchers of registers that count up: each must see each number once, and in order.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serde_json::{Value, json};
use tokio::{
    sync::{Semaphore, watch},
    task::{JoinHandle, JoinSet},
};

use crate::{
    Client,
    feed::{Bases, Event, Feed},
};

/// How long writes may take before the test fails: far longer than they should.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long a writer waits before it asks another node.
const RETRY: Duration = Duration::from_millis(20);

/// What a watcher has seen.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen {
    /// How often it began anew. Once is right.
    pub resets: usize,
    /// How often it was connected.
    pub connected: usize,
    /// How many numbers it saw, the first ones apart.
    pub changes: u64,
}

/// Watchers, and those who write what they see.
pub struct Watchers {
    bases: watch::Sender<Arc<Vec<String>>>,
    stop: watch::Sender<bool>,
    /// How many writes of each writer were acknowledged.
    written: Vec<watch::Receiver<u64>>,
    watching: Vec<JoinHandle<Seen>>,
    writing: JoinSet<(String, u64)>,
    last: watch::Sender<Option<Arc<BTreeMap<String, u64>>>>,
}

impl Watchers {
    /// Starts `each` watchers of each key, and `all` of all keys that begin with `prefix`, at one server after another; and a writer for each key, which rests a while after each
    /// write. All watchers are connected when this returns.
    pub async fn start(
        bases: Vec<String>,
        prefix: &str,
        keys: usize,
        each: usize,
        all: usize,
        rest: Duration,
    ) -> Self {
        let (bases, seen_bases) = watch::channel(Arc::new(bases));
        let (last, seen_last) = watch::channel(None);
        let stop = watch::Sender::new(false);
        let keys: Vec<String> = (0..keys)
            .map(|number| format!("{prefix}{number}"))
            .collect();
        let paths = keys.iter().map(|key| format!("/r/{key}"));
        let paths = paths.flat_map(|path| vec![path; each]);
        let paths = paths.chain(vec![format!("/r?prefix={prefix}"); all]);
        // Not all at once: a listener has a queue, and this is no test of that.
        let room = Arc::new(Semaphore::new(64));
        let mut connecting = JoinSet::new();
        for (turn, path) in paths.enumerate() {
            let mut feed = Feed::at(seen_bases.clone(), &path, turn);
            let room = room.clone();
            connecting.spawn(async move {
                let _room = room.acquire().await;
                feed.connect()
                    .await
                    .unwrap_or_else(|error| panic!("{path}: {error}"));
                feed
            });
        }
        let mut watching = Vec::new();
        for feed in connecting.join_all().await {
            watching.push(tokio::spawn(follow(feed, seen_last.clone())));
        }
        let (mut writing, mut written) = (JoinSet::new(), Vec::new());
        for (turn, key) in keys.into_iter().enumerate() {
            let (bases, stop) = (seen_bases.clone(), stop.subscribe());
            let (count, counted) = watch::channel(0);
            written.push(counted);
            writing.spawn(write(bases, key, turn, rest, stop, count));
        }
        Self {
            bases,
            stop,
            written,
            watching,
            writing,
            last,
        }
    }

    /// Waits until each writer has written so often more.
    pub async fn write(&mut self, more: u64) {
        let until = |written: &watch::Receiver<u64>| *written.borrow() + more;
        let until: Vec<u64> = self.written.iter().map(until).collect();
        for (written, until) in self.written.iter_mut().zip(until) {
            let waited = tokio::time::timeout(PATIENCE, written.wait_for(|count| *count >= until));
            let waited = waited.await.expect("it can write");
            waited.expect("its writer goes on");
        }
    }

    /// Says where the servers are from now on.
    pub fn servers_are_at(&self, bases: Vec<String>) {
        self.bases.send_replace(Arc::new(bases));
    }

    /// Ends the writers, and waits until each watcher has seen all. What each of them saw.
    pub async fn finish(self) -> Vec<Seen> {
        self.stop.send_replace(true);
        let last = self.writing.join_all().await.into_iter().collect();
        self.last.send_replace(Some(Arc::new(last)));
        let mut seen = Vec::new();
        for watcher in self.watching {
            seen.push(watcher.await.expect("it panicked"));
        }
        seen
    }
}

/// Adds to a register until it is told to stop. The number that is there then.
async fn write(
    bases: Bases,
    key: String,
    turn: usize,
    rest: Duration,
    stop: watch::Receiver<bool>,
    count: watch::Sender<u64>,
) -> (String, u64) {
    let path = format!("/r/{key}");
    let client = |turn: usize| {
        let bases = bases.borrow().clone();
        bases.get(turn % bases.len().max(1)).map(Client::new)
    };
    let mut turn = turn;
    loop {
        let last = *stop.borrow();
        let done = async {
            let client = client(turn)?;
            if last {
                let reply = client.request("GET", &path).try_send().await.ok()?;
                return (reply.status == 200).then(|| reply.json()["value"].as_u64());
            }
            let add = format!("{path}/add");
            let add = client.request("POST", &add).json(&json!({"by": 1}));
            (add.try_send().await.ok()?.status == 200).then_some(None)
        };
        match done.await {
            Some(None) => {
                count.send_modify(|count| *count += 1);
                tokio::time::sleep(rest).await;
            }
            Some(Some(number)) => return (key, number),
            // Whether it was written or not: the number that follows is one more than the one before.
            None => {
                turn += 1;
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}

/// Checks each event, until the last numbers were seen.
async fn follow(
    mut feed: Feed,
    mut last: watch::Receiver<Option<Arc<BTreeMap<String, u64>>>>,
) -> Seen {
    let mut seen = Seen::default();
    let mut numbers: BTreeMap<String, u64> = BTreeMap::new();
    // What is not there counts as 0, once it was said that it isn't.
    let (mut all_known, mut ended) = (false, false);
    loop {
        let wanted = last.borrow().clone();
        if let Some(wanted) = wanted
            && numbers
                .iter()
                .all(|(key, number)| wanted.get(key) <= Some(number))
            && (numbers.len() == 1 || numbers.len() == wanted.len())
        {
            seen.connected = feed.connected;
            return seen;
        }
        let event = tokio::select! {
            event = feed.next() => event,
            _ = last.changed(), if !ended => {
                ended = true;
                continue;
            }
        };
        let Event { event, data, id } = event;
        match &*event {
            "reset" => {
                seen.resets += 1;
                numbers.clear();
                all_known = false;
            }
            "value" => {
                let key = data["key"].as_str().expect("a key").to_owned();
                let number = data["value"].as_u64().expect("a number");
                let before = numbers.insert(key.clone(), number);
                if let Some(before) = before.or(all_known.then_some(0)) {
                    assert_eq!(number, before + 1, "{key} at {id}");
                    seen.changes += 1;
                }
            }
            "absent" => {
                assert_eq!(data.get("value"), None::<&Value>, "{data}");
                assert!(numbers.is_empty(), "it is never deleted: {data} at {id}");
                all_known = true;
            }
            "current" => all_known = true,
            other => panic!("{other}"),
        }
    }
}

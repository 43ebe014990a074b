//! `kill -9`, torn and damaged files, a full disk, two processes: what was acknowledged is there, nothing is half there, and
//! where that can't be, it is said.

use std::{collections::BTreeMap, env, fs, path::PathBuf, time::Duration};

use futures_util::future::join_all;
use memgen_tests::{Client, Random, Reply, Running, Service, folder};
use serde_json::{Value, json};

/// How often the process is killed, unless `MEMGEN_CRASH_ROUNDS` says otherwise.
const ROUNDS: u32 = 200;
/// How many clients write at the same time, each over a connection of its own.
const WORKERS: usize = 8;
/// How many keys each of them has.
const KEYS: u32 = 5;
/// The key that all of them count on.
const SHARED: &str = "/r/shared";

/// One request, as it can be sent again.
#[derive(Clone, Debug)]
struct Operation {
    id: String,
    path: String,
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    Put(Value),
    Delete,
    Add(u64),
    Append(Value),
}

impl Operation {
    async fn send(&self, client: &Client) -> Result<Reply, memgen_tests::client::Failure> {
        let Self { id, path, kind } = self;
        let (method, path, body) = match kind {
            Kind::Put(value) => ("PUT", path.clone(), json!({"value": value})),
            Kind::Delete => ("DELETE", path.clone(), Value::Null),
            Kind::Add(by) => ("POST", format!("{path}/add"), json!({"by": by})),
            Kind::Append(item) => ("POST", format!("{path}/append"), json!({"item": item})),
        };
        let request = client.request(method, &path).header("idempotency-key", id);
        let request = if body.is_null() {
            request
        } else {
            request.json(&body)
        };
        request.try_send().await
    }

    /// The value after it, and the status of its answer.
    fn apply(&self, before: Option<&Value>) -> (Option<Value>, u16) {
        let kept = || before.cloned();
        match (&self.kind, before) {
            (Kind::Put(value), None) => (Some(value.clone()), 201),
            (Kind::Put(value), Some(_)) => (Some(value.clone()), 200),
            (Kind::Delete, None) => (None, 404),
            (Kind::Delete, Some(_)) => (None, 204),
            (Kind::Add(by), None) => (Some(json!(by)), 200),
            (Kind::Add(by), Some(value)) => match value.as_u64() {
                Some(value) => (Some(json!(value + by)), 200),
                None => (kept(), 409),
            },
            (Kind::Append(item), None) => (Some(json!([item])), 200),
            (Kind::Append(item), Some(Value::Array(list))) => {
                let mut list = list.clone();
                list.push(item.clone());
                (Some(Value::Array(list)), 200)
            }
            (Kind::Append(_), Some(_)) => (kept(), 409),
        }
    }
}

/// One client, and all that it knows.
struct Worker {
    number: usize,
    random: Random,
    count: u64,
    /// What each of its keys holds, by what was acknowledged.
    values: BTreeMap<String, Value>,
    /// What it added to the shared key, acknowledged.
    shared: u64,
    /// Requests with their answers, to be asked again.
    answered: Vec<(Operation, Reply)>,
    /// Sent, and not answered.
    unknown: Option<Operation>,
}

impl Worker {
    fn new(number: usize, random: Random) -> Self {
        Self {
            number,
            random,
            count: 0,
            values: BTreeMap::new(),
            shared: 0,
            answered: Vec::new(),
            unknown: None,
        }
    }

    fn operation(&mut self) -> Operation {
        self.count += 1;
        let id = format!("{}-{}", self.number, self.count);
        if self.random.below(4) == 0 {
            let (path, kind) = (SHARED.to_owned(), Kind::Add(1));
            return Operation { id, path, kind };
        }
        // Long values reach over many blocks of the disk.
        let length = [3, 30, 5000][self.random.below(3) as usize];
        let value = json!([self.count, "x".repeat(length), self.count]);
        let kind = match self.random.below(6) {
            0 | 1 => Kind::Put(value),
            2 => Kind::Put(json!(self.count)),
            3 => Kind::Delete,
            4 => Kind::Add(7),
            _ => Kind::Append(json!(self.count)),
        };
        let path = format!("/r/w{}-{}", self.number, self.random.below(KEYS));
        Operation { id, path, kind }
    }

    /// Writes until the server is gone.
    async fn write(mut self, client: Client) -> Self {
        loop {
            let operation = self.operation();
            let Ok(reply) = operation.send(&client).await else {
                self.unknown = Some(operation);
                return self;
            };
            self.learn(operation, reply);
        }
    }

    fn learn(&mut self, operation: Operation, reply: Reply) {
        if operation.path == SHARED {
            assert_eq!(reply.status, 200, "{operation:?}: {reply:?}");
            self.shared += 1;
        } else {
            let (after, status) = operation.apply(self.values.get(&operation.path));
            assert_eq!(reply.status, status, "{operation:?}: {reply:?}");
            self.set(&operation.path, after);
        }
        self.answered.push((operation, reply));
    }

    fn set(&mut self, path: &str, value: Option<Value>) {
        match value {
            Some(value) => self.values.insert(path.to_owned(), value),
            None => self.values.remove(path),
        };
    }

    /// Compares each key with what is there after a restart, and settles what is unknown by asking again.
    async fn check(mut self, client: Client) -> Self {
        for key in 0..KEYS {
            let path = format!("/r/w{}-{key}", self.number);
            let expected = self.values.get(&path);
            let found = value(&client, &path).await;
            let unknown = self.unknown.as_ref().filter(|unknown| unknown.path == path);
            let after = unknown.map(|unknown| unknown.apply(expected).0);
            assert!(
                found.as_ref() == expected || Some(&found) == after.as_ref(),
                "{path}: {found:?}, not {expected:?} nor {after:?} after {unknown:?}"
            );
        }
        if let Some(unknown) = self.unknown.take() {
            let reply = unknown.send(&client).await.expect("the server runs");
            // It happened once, then or now: `learn` compares its answer with what a first time gives.
            self.learn(unknown, reply);
        }
        for _ in 0..2 {
            if self.answered.is_empty() {
                break;
            }
            let bound = u32::try_from(self.answered.len()).expect("there are not so many");
            let (operation, first) = &self.answered[self.random.below(bound) as usize];
            let again = operation.send(&client).await.expect("the server runs");
            assert_eq!(
                (again.status, &again.body),
                (first.status, &first.body),
                "{operation:?}"
            );
            for header in ["etag", "memgen-position", "location"] {
                assert_eq!(
                    again.header(header),
                    first.header(header),
                    "{header} of {operation:?}"
                );
            }
        }
        // Twice nothing: the state is what it was before the repeated requests.
        for (path, expected) in &self.values {
            assert_eq!(
                value(&client, path).await.as_ref(),
                Some(expected),
                "{path}"
            );
        }
        self
    }
}

async fn value(client: &Client, path: &str) -> Option<Value> {
    let reply = client.get(path).await;
    match reply.status {
        200 => Some(reply.json()["value"].clone()),
        404 => None,
        _ => panic!("{path}: {reply:?}"),
    }
}

/// Kills the process after a while of chance, again and again, while the workers write.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_kill_9() {
    // Small segments, so that the log begins new ones and is compacted while processes die.
    survives_kill_9(&["--segment-bytes", "1MiB"], ROUNDS).await;
}

/// The weaker level gives up what a crash of the machine takes, and nothing of this.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_system_has_survives_kill_9() {
    survives_kill_9(&["--segment-bytes", "1MiB", "--ack", "os"], ROUNDS / 5).await;
}

async fn survives_kill_9(args: &[&str], rounds: u32) {
    let asked = env::var("MEMGEN_CRASH_ROUNDS");
    let rounds = asked.map_or(rounds, |asked| asked.parse().expect("a number of rounds"));
    let mut random = Random::new();
    let service = Service::new("register").args(args);
    let mut workers: Vec<_> = (0..WORKERS)
        .map(|number| Worker::new(number, random.split()))
        .collect();
    for round in 0..rounds {
        if random.below(5) == 0 {
            // Also while it starts.
            let mut starting = service.launch();
            tokio::time::sleep(Duration::from_millis(random.below(60).into())).await;
            starting.kill_9();
        }
        let mut running = service.start().await;
        let checks = workers.into_iter().map(|worker| {
            let client = running.client();
            async move {
                tokio::spawn(worker.check(client))
                    .await
                    .expect("the check holds")
            }
        });
        workers = join_all(checks).await;
        let counted = workers.iter().map(|worker| worker.shared).sum::<u64>();
        let shared = value(&running.client(), SHARED).await;
        assert_eq!(shared.unwrap_or(json!(0)), json!(counted), "round {round}");

        let writing: Vec<_> = workers
            .into_iter()
            .map(|worker| tokio::spawn(worker.write(running.client())))
            .collect();
        let patience = random.below(60).into();
        tokio::time::sleep(Duration::from_millis(patience)).await;
        running.assert_sound();
        running.kill_9();
        workers = join_all(writing)
            .await
            .into_iter()
            .map(|worker| worker.expect("the writer sees what it expects"))
            .collect();
    }
    let answered: usize = workers.iter().map(|worker| worker.answered.len()).sum();
    assert!(
        answered > rounds as usize,
        "only {answered} requests in {rounds} rounds"
    );
}

/// A stopped service with `count` keys, written one after the other, and its last journal up to what is used of it.
async fn written(count: u32) -> (Service, PathBuf, usize) {
    let service = Service::new("register");
    let mut running = service.start().await;
    let client = running.client();
    for n in 0..count {
        let reply = client.put(&format!("/r/{n}"), &json!({"value": n})).await;
        assert_eq!(reply.status, 201, "{reply:?}");
    }
    running.kill_9();
    let journal = folder::files(service.data())
        .into_iter()
        .rfind(|path| {
            let name = path.file_name().and_then(|name| name.to_str());
            name.is_some_and(|name| name.starts_with("journal-"))
        })
        .expect("the log has a journal");
    let bytes = fs::read(&journal).expect("the journal can be read");
    // Space that was made ahead of its use is zero.
    let used = bytes
        .iter()
        .rposition(|byte| *byte != 0)
        .map_or(0, |last| last + 1);
    (service, journal, used)
}

/// The service on a copy of its folder that `change` changed.
fn changed(
    service: &Service,
    journal: &std::path::Path,
    name: &str,
    change: impl FnOnce(&mut Vec<u8>),
) -> Service {
    let copy = service.folder().join(name);
    folder::copy(service.data(), &copy);
    let relative = journal
        .strip_prefix(service.data())
        .expect("it is in the folder");
    let path = copy.join(relative);
    let mut bytes = fs::read(&path).expect("it was copied");
    change(&mut bytes);
    fs::write(&path, bytes).expect("it can be changed");
    service.clone().with_data(copy)
}

/// How many of the keys 0, 1, 2, … are there; checks that no later one is.
async fn prefix(running: &Running, count: u32) -> u32 {
    let client = running.client();
    let list = client.get("/r?limit=1000").await.json();
    let items = list["items"].as_array().expect("a list");
    let length = u32::try_from(items.len()).expect("there are not so many");
    assert!(length <= count);
    for n in 0..length {
        assert_eq!(
            value(&client, &format!("/r/{n}")).await,
            Some(json!(n)),
            "{n} of {length}"
        );
    }
    length
}

#[tokio::test]
async fn a_torn_tail_is_cut() {
    const COUNT: u32 = 60;
    let mut random = Random::new();
    let (service, journal, used) = written(COUNT).await;
    let rest = service.clone();
    let mut running = rest.start().await;
    assert_eq!(prefix(&running, COUNT).await, COUNT);
    running.kill_9();
    for round in 0..20 {
        let torn = random.below(400) as usize;
        let service = changed(&service, &journal, &format!("torn-{round}"), |bytes| {
            bytes.truncate(used - torn);
            if round % 2 == 1 {
                // The length was stored before the bytes were.
                bytes.resize(used, 0);
            }
        });
        let mut running = service.start().await;
        let length = prefix(&running, COUNT).await;
        assert!(
            torn == 0 || length < COUNT,
            "{torn} bytes were torn off, and nothing is missing"
        );
        assert!(
            length >= COUNT - 10,
            "{torn} bytes were torn off, and {length} keys are left"
        );
        // It goes on from there, and after one more restart it is what it was.
        let reply = running.client().put("/r/new", &json!({"value": 1})).await;
        assert_eq!(reply.status, 201);
        let before = running.client().get("/r?limit=1000").await.json();
        running.kill_9();
        let running = service.start().await;
        assert_eq!(running.client().get("/r?limit=1000").await.json(), before);
    }
}

#[tokio::test]
async fn a_flipped_bit_is_refused_with_its_place() {
    const COUNT: u32 = 60;
    let mut random = Random::new();
    let (original, journal, used) = written(COUNT).await;
    let middle = u32::try_from(used * 8 / 10).expect("it is short");
    for round in 0..25 {
        let place = random.below(middle) as usize;
        let bit = 1 << random.below(8);
        let service = changed(&original, &journal, &format!("flipped-{round}"), |bytes| {
            bytes[place] ^= bit;
        });
        let relative = journal.strip_prefix(original.data());
        let changed_journal = service.data().join(relative.expect("it is in the folder"));
        let before = fs::read(&changed_journal).expect("it is there");
        let (status, output) = service.run().await;
        assert!(!status.success(), "byte {place} is flipped: {output}");
        let name = journal
            .file_name()
            .and_then(|name| name.to_str())
            .expect("a name");
        assert!(output.contains(name), "byte {place} is flipped: {output}");
        let said = output.split("byte ").nth(1).expect("it says where");
        let digits: String = said.chars().take_while(char::is_ascii_digit).collect();
        let position: usize = digits.parse().expect("a position");
        assert!(
            position <= place && place - position < 4096,
            "byte {place} is flipped: {output}"
        );
        let after = fs::read(&changed_journal).expect("it is there");
        assert!(before == after, "a refused log is left as it is");
    }
}

#[tokio::test]
async fn a_second_process_is_refused() {
    let service = Service::new("register");
    let mut first = service.start().await;
    let (status, output) = service.run().await;
    assert!(!status.success(), "{output}");
    assert!(output.contains("in use by another process"), "{output}");
    assert!(
        output.contains(&service.data().display().to_string()),
        "{output}"
    );
    assert_eq!(
        first
            .client()
            .put("/r/a", &json!({"value": 1}))
            .await
            .status,
        201
    );
    first.assert_sound();
    first.kill_9();
    let second = service.start().await;
    assert_eq!(second.client().get("/r/a").await.status, 200);
}

#[tokio::test]
async fn another_service_is_refused() {
    let register = Service::new("register");
    let mut running = register.start().await;
    assert!(running.terminate().await.success());
    // The same topic with another number of partitions: there is no such service here, so the kept number is changed.
    let manifest = register.data().join("log/manifest.json");
    let text = fs::read_to_string(&manifest).expect("the log has a manifest");
    let compact = without_blanks(&text);
    let other = compact.replace("\"partitions\":8", "\"partitions\":16");
    assert_ne!(compact, other, "{text}");
    let (unsigned, _) = other
        .rsplit_once("\"checksum\":")
        .expect("it is the last field");
    // Signed anew: it is a manifest of another service, not a damaged one.
    let checksum = crc32c::crc32c(format!("{unsigned}\"checksum\":0}}").as_bytes());
    let signed = format!("{unsigned}\"checksum\":{checksum}}}");
    fs::write(&manifest, signed).expect("it can be changed");
    let (status, output) = register.run().await;
    assert!(!status.success(), "{output}");
    assert!(
        output.contains("register") && output.contains("16"),
        "{output}"
    );
}

/// The same JSON without blanks outside of its texts.
fn without_blanks(json: &str) -> String {
    let mut in_text = false;
    let kept = json.chars().filter(|character| {
        in_text ^= *character == '"';
        in_text || !character.is_whitespace()
    });
    kept.collect()
}

/// A service whose log is on a disk of 12 MB that only it sees, and the way to that disk from here.
async fn on_a_small_disk() -> (Service, Running, PathBuf) {
    let service = Service::new("register").args(&["--segment-bytes", "1MiB"]);
    let mount = "mkdir -p \"$0\" && mount -t tmpfs -o size=12m memgen \"$0\" && exec \"$@\"";
    let data = service.data().display().to_string();
    let words = [
        "unshare",
        "--user",
        "--map-root-user",
        "--mount",
        "sh",
        "-c",
        mount,
        &data,
    ];
    let service = service.wrapped(&words);
    let running = service.start().await;
    let seen = format!("/proc/{}/root{data}", running.id());
    (service, running, PathBuf::from(seen))
}

#[tokio::test]
async fn a_full_disk_stops_writes_only() {
    let (_service, mut running, disk) = on_a_small_disk().await;
    let ballast = disk.join("ballast");
    fs::write(&ballast, vec![1; 5 << 20]).expect("there is room for the ballast");
    let client = running.client();
    let mut acknowledged = 0;
    let refusal = loop {
        let body = json!({"value": [acknowledged, "x".repeat(50_000)]});
        let reply = client.put(&format!("/r/{acknowledged}"), &body).await;
        if reply.status != 201 {
            break reply;
        }
        acknowledged += 1;
        assert!(acknowledged < 1000, "a disk of 12 MB does not get full");
    };
    assert!(matches!(refusal.status, 507 | 503), "{refusal:?}");
    refusal.problem();
    assert!(acknowledged > 10, "{acknowledged}");
    // Reads go on, and what was refused is not there.
    let there = async |client: &Client| {
        for n in 0..acknowledged {
            assert_eq!(client.get(&format!("/r/{n}")).await.json()["value"][0], n);
        }
    };
    there(&client).await;
    assert_eq!(client.get(&format!("/r/{acknowledged}")).await.status, 404);
    assert_eq!(running.admin().get("/healthz").await.status, 200);
    running.assert_sound();

    fs::remove_file(&ballast).expect("the ballast is ours");
    let mut tries = 0;
    loop {
        let reply = client.put("/r/after", &json!({"value": 1})).await;
        if reply.status == 201 {
            break;
        }
        assert!(matches!(reply.status, 507 | 503), "{reply:?}");
        tries += 1;
        assert!(
            tries < 100,
            "it does not recover: {reply:?}\n{}",
            running.output()
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    there(&client).await;
    assert_eq!(client.get(&format!("/r/{acknowledged}")).await.status, 404);

    // The disk goes away with the process, so what is on it is looked at on a copy.
    let copy = running.folder().join("copy");
    folder::copy(&disk, &copy);
    running.assert_sound();
    let restarted = Service::new("register").with_data(copy).start().await;
    there(&restarted.client()).await;
    assert_eq!(restarted.client().get("/r/after").await.status, 200);
    assert_eq!(
        restarted
            .client()
            .get(&format!("/r/{acknowledged}"))
            .await
            .status,
        404
    );
}

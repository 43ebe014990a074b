//! The load: a number of connections, each with one request under way at a time, on one thread.
//!
//! It does the least that keeps a server busy: requests are made of parts that are ready, and of a reply only the
//! status and the length are looked at.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    time::{Duration, Instant},
};

use memgen_tests::Random;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::LocalSet,
};

/// A key of 20 bytes.
pub(crate) fn key(number: usize) -> String {
    format!("key-{number:016}")
}

/// A string of 100 bytes.
pub(crate) fn value(number: usize) -> String {
    format!("{number:0100}")
}

/// When to stop.
#[derive(Clone, Copy, Debug)]
enum Until {
    Time(Duration),
    Count(usize),
}

struct Shared {
    started: Instant,
    until: Until,
    sent: Cell<usize>,
    latencies_ns: RefCell<Vec<u64>>,
}

impl Shared {
    /// The number of the next request, if there is one.
    fn next(&self) -> Option<usize> {
        let number = self.sent.get();
        let more = match self.until {
            Until::Time(time) => self.started.elapsed() < time,
            Until::Count(count) => number < count,
        };
        more.then(|| {
            self.sent.set(number + 1);
            number
        })
    }
}

/// Sends `what` over `connections` to `base`, for `amount` (`3s`, or a number of requests), and prints requests, seconds, and
/// the median and 99th percentile of the latency in microseconds.
///
/// `get:KEYS` reads random ones of so many keys; `put:KEYS` writes them; `fill` writes the keys 0, 1, 2, …, each once.
pub(crate) fn run(base: &str, what: &str, connections: usize, amount: &str, seed: usize) {
    let until = match amount.strip_suffix('s') {
        Some(seconds) => Until::Time(Duration::from_secs_f64(
            seconds.parse().expect("a number of seconds"),
        )),
        None => Until::Count(amount.parse().expect("a number of requests")),
    };
    let (kind, keys) = what.split_once(':').unwrap_or((what, "0"));
    let keys: u32 = keys.parse().expect("a number of keys");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime can be made");
    let shared = Rc::new(Shared {
        started: Instant::now(),
        until,
        sent: Cell::new(0),
        latencies_ns: RefCell::default(),
    });
    let local = LocalSet::new();
    for connection in 0..connections {
        let address = base.trim_start_matches("http://").to_owned();
        let shared = Rc::clone(&shared);
        let kind = kind.to_owned();
        let mut random = Random::from_seed((seed * 1000 + connection) as u64);
        local.spawn_local(async move {
            let mut connection = Connection::open(&address).await;
            while let Some(number) = shared.next() {
                let (path, body) = match &*kind {
                    "get" => (key(random.below(keys) as usize), None),
                    "put" => (key(random.below(keys) as usize), Some(value(number))),
                    "fill" => (key(number), Some(value(number))),
                    other => panic!("`{other}` is no load"),
                };
                let began = Instant::now();
                connection.exchange(&path, body.as_deref()).await;
                let latency = u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX);
                shared.latencies_ns.borrow_mut().push(latency);
            }
        });
    }
    runtime.block_on(local);
    report(&shared);
}

#[allow(clippy::print_stdout, reason = "its parent reads the outcome")]
fn report(shared: &Shared) {
    let seconds = shared.started.elapsed().as_secs_f64();
    let mut latencies = shared.latencies_ns.borrow_mut();
    latencies.sort_unstable();
    let at = |share: usize| latencies[(latencies.len() - 1) * share / 100] / 100;
    let tenths = |tenths: u64| format!("{}.{}", tenths / 10, tenths % 10);
    println!(
        "{} {seconds:.6} {} {}",
        latencies.len(),
        tenths(at(50)),
        tenths(at(99))
    );
}

struct Connection {
    stream: TcpStream,
    request: Vec<u8>,
    reply: Vec<u8>,
}

impl Connection {
    async fn open(address: &str) -> Self {
        let stream = TcpStream::connect(address)
            .await
            .expect("the server listens");
        stream.set_nodelay(true).expect("a socket has the option");
        Self {
            stream,
            request: Vec::new(),
            reply: Vec::with_capacity(4096),
        }
    }

    async fn exchange(&mut self, key: &str, body: Option<&str>) {
        self.request.clear();
        let method = if body.is_some() { "PUT" } else { "GET" };
        let mut add = |text: &str| self.request.extend_from_slice(text.as_bytes());
        for part in [method, " /r/", key, " HTTP/1.1\r\nhost: localhost\r\n"] {
            add(part);
        }
        if let Some(body) = body {
            let length = (body.len() + "{\"value\":\"\"}".len()).to_string();
            add("content-type: application/json\r\ncontent-length: ");
            for part in [&length, "\r\n\r\n{\"value\":\"", body, "\"}"] {
                add(part);
            }
        } else {
            add("\r\n");
        }
        self.stream
            .write_all(&self.request)
            .await
            .expect("the server reads");
        self.reply.clear();
        loop {
            let count = self.stream.read_buf(&mut self.reply).await;
            assert!(count.expect("the server answers") > 0, "the server closed");
            if let Some(length) = reply_length(&self.reply) {
                if self.reply.len() >= length {
                    break;
                }
            }
        }
        let fine = matches!(self.reply.get(9..12), Some(b"200" | b"201"));
        assert!(fine, "{}", String::from_utf8_lossy(&self.reply));
    }
}

/// How long the reply is, once its head is there.
fn reply_length(reply: &[u8]) -> Option<usize> {
    let head = reply.windows(4).position(|window| window == b"\r\n\r\n")?;
    let name = b"content-length: ";
    let field = reply[..head]
        .windows(name.len())
        .position(|window| window.eq_ignore_ascii_case(name))?;
    let digits = reply[field + name.len()..head]
        .iter()
        .take_while(|byte| byte.is_ascii_digit());
    let length = digits.fold(0, |length, digit| length * 10 + usize::from(digit - b'0'));
    Some(head + 4 + length)
}

//! The clients: a number of connections, each with one request under way at a time, on one thread.
//!
//! They do the least that keeps a server busy: requests are ready but for a few digits, and each reply is compared with the one
//! that is due.

#![allow(clippy::print_stdout, reason = "its parent reads the outcome")]

use std::{
    cell::RefCell,
    rc::Rc,
    time::{Duration, Instant},
};

use memgen::partitioner::partition;
use memgen_tests::Random;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::LocalSet,
};

use crate::{
    Outcome,
    entries::{ENTRIES, KEY_BYTES, VALUE_BYTES, key, overwrite, value},
    register::topic,
};

/// Digits of a value that change.
const DIGITS: usize = 20;

/// What a load saw.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    pub(crate) requests: f64,
    pub(crate) per_second: f64,
    pub(crate) median_us: f64,
    pub(crate) p99_us: f64,
    /// Processor time of the server per request.
    pub(crate) server_us: f64,
}

impl Seen {
    /// Reads what [`run`] printed.
    pub(crate) fn parse(text: &str) -> Outcome<Self> {
        let numbers: Result<Vec<f64>, _> = text.split_whitespace().map(str::parse).collect();
        let [requests, seconds, median_us, p99_us] = numbers?[..] else {
            return Err(format!("`{text}` is not what a load prints").into());
        };
        Ok(Self {
            requests,
            per_second: requests / seconds,
            median_us,
            p99_us,
            server_us: 0.0,
        })
    }
}

/// Which requests are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Get,
    Put,
}

/// A client that has one request under way at a time.
pub(crate) trait Exchange {
    /// Sends a request and checks its reply.
    async fn exchange(&mut self) -> Outcome<()>;
}

/// Sends requests with random keys: `ADDRESS get|put CONNECTIONS SECONDS SEED all|of:PARTITIONS|not-of:PARTITIONS`. Prints what [`drive`] does.
pub(crate) fn run(args: &[String]) -> Outcome<()> {
    let [address, kind, connections, seconds, seed, of] = args else {
        return Err("a load has six arguments".into());
    };
    let kind = match kind.as_str() {
        "get" => Kind::Get,
        "put" => Kind::Put,
        other => return Err(format!("`{other}` is no load").into()),
    };
    let seed: usize = seed.parse()?;
    let numbers = numbers(of)?;
    drive(connections, seconds, async |number| {
        Client::open(address, kind, seed, number, Rc::clone(&numbers)).await
    })
}

/// Lets so many clients work side by side, on this thread, for so many seconds. Prints the number of their requests, the seconds that they took, and the median and the 99th percentile of their
/// latencies in microseconds.
pub(crate) fn drive<C: Exchange + 'static>(
    connections: &str,
    seconds: &str,
    open: impl AsyncFn(usize) -> Outcome<C>,
) -> Outcome<()> {
    let connections: usize = connections.parse()?;
    let time = Duration::from_secs_f64(seconds.parse()?);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let latencies: Rc<RefCell<Vec<Duration>>> = Rc::default();
    let local = LocalSet::new();
    let elapsed = runtime.block_on(local.run_until(async {
        let mut clients = Vec::new();
        for number in 0..connections {
            clients.push(open(number).await?);
        }
        let started = Instant::now();
        let tasks: Vec<_> = clients
            .into_iter()
            .map(|mut client| {
                let latencies = Rc::clone(&latencies);
                tokio::task::spawn_local(async move {
                    let mut before = Instant::now();
                    while before - started < time {
                        client.exchange().await?;
                        let now = Instant::now();
                        latencies.borrow_mut().push(now - before);
                        before = now;
                    }
                    Outcome::Ok(())
                })
            })
            .collect();
        for task in tasks {
            task.await??;
        }
        Outcome::Ok(started.elapsed())
    }))?;
    let mut latencies = latencies.borrow_mut();
    latencies.sort_unstable();
    let at = |percent: usize| latencies[(latencies.len() - 1) * percent / 100].as_secs_f64() * 1e6;
    println!(
        "{} {} {} {}",
        latencies.len(),
        elapsed.as_secs_f64(),
        at(50),
        at(99)
    );
    Ok(())
}

/// The entries that are asked for: all, or those of some partitions, or those of all others.
pub(crate) fn numbers(of: &str) -> Outcome<Rc<[usize]>> {
    let (list, wanted) = match of.split_once(':') {
        Some(("of", list)) => (list, true),
        Some(("not-of", list)) => (list, false),
        _ => return Ok((0..ENTRIES).collect()),
    };
    let listed: Result<Vec<u32>, _> = list.split(',').map(str::parse).collect();
    let (listed, partitions) = (listed?, topic().partitions);
    let is_of = |number: &usize| {
        let partition = partition(key(*number).as_bytes(), partitions);
        listed.contains(&partition) == wanted
    };
    Ok((0..ENTRIES).filter(is_of).collect())
}

/// One connection.
pub(crate) struct Client {
    stream: TcpStream,
    kind: Kind,
    random: Random,
    /// The entries that it asks for.
    numbers: Rc<[usize]>,
    /// The request, whose digits are overwritten, and where they are.
    request: Vec<u8>,
    request_key: usize,
    request_value: usize,
    /// The body that is due, likewise.
    body: Vec<u8>,
    reply: Vec<u8>,
    /// What the digits of the next value say: no value is written twice in a row, since that would change nothing.
    value: usize,
}

impl Client {
    pub(crate) async fn open(
        address: &str,
        kind: Kind,
        seed: usize,
        number: usize,
        numbers: Rc<[usize]>,
    ) -> Outcome<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let mut request = match kind {
            Kind::Get => "GET /r/",
            Kind::Put => "PUT /r/",
        }
        .as_bytes()
        .to_vec();
        let request_key = request.len();
        request.extend(key(0).bytes());
        request.extend(b" HTTP/1.1\r\nhost: bench\r\n");
        if kind == Kind::Put {
            let body = format!("{{\"value\":\"{}\"}}", value(0));
            let head = format!(
                "content-type: application/json\r\ncontent-length: {}\r\n",
                body.len()
            );
            request.extend(head.bytes());
            request.extend(b"\r\n");
            request.extend(body.bytes());
        } else {
            request.extend(b"\r\n");
        }
        let request_value = request.len() - VALUE_BYTES.min(request.len()) - 2;
        let seed = seed * 1000 + number;
        Ok(Self {
            stream,
            kind,
            random: Random::from_seed(seed as u64),
            numbers,
            request,
            request_key,
            request_value,
            body: format!("{{\"key\":\"{}\",\"value\":\"{}\"}}", key(0), value(0)).into_bytes(),
            reply: Vec::with_capacity(4096),
            value: (seed + 1) * 1_000_000_000,
        })
    }

    /// The key of the last request.
    pub(crate) fn key(&self) -> String {
        String::from_utf8_lossy(&self.request[self.request_key..][..KEY_BYTES]).into_owned()
    }

    /// The last reply.
    pub(crate) fn reply(&self) -> &[u8] {
        &self.reply
    }
}

impl Exchange for Client {
    async fn exchange(&mut self) -> Outcome<()> {
        let bound = u32::try_from(self.numbers.len())?;
        let number = self.numbers[usize::try_from(self.random.below(bound))?];
        overwrite(&mut self.request[self.request_key..][..KEY_BYTES], number);
        let value = match self.kind {
            Kind::Get => number,
            Kind::Put => {
                self.value += 1;
                let value = &mut self.request[self.request_value..][..VALUE_BYTES];
                overwrite(&mut value[VALUE_BYTES - DIGITS..], self.value);
                self.value
            }
        };
        let due_value = self.body.len() - 2;
        overwrite(&mut self.body["{\"key\":\"".len()..][..KEY_BYTES], number);
        overwrite(&mut self.body[due_value - DIGITS..due_value], value);
        self.stream.write_all(&self.request).await?;
        let body = receive(&mut self.stream, &mut self.reply).await?;
        if self.reply.starts_with(b"HTTP/1.1 20") && self.reply[body..] == self.body {
            return Ok(());
        }
        Err(wrong(&self.reply, &self.request))
    }
}

/// Reads one reply. Says where its body begins.
pub(crate) async fn receive(stream: &mut TcpStream, reply: &mut Vec<u8>) -> Outcome<usize> {
    reply.clear();
    loop {
        if stream.read_buf(reply).await? == 0 {
            return Err("the server closed the connection".into());
        }
        if let Some((body, length)) = body_of(reply)
            && reply.len() >= body + length
        {
            return Ok(body);
        }
    }
}

/// A reply that is not the one that is due.
pub(crate) fn wrong(reply: &[u8], request: &[u8]) -> Box<dyn std::error::Error + Send + Sync> {
    let text = String::from_utf8_lossy;
    format!("{}\nis the reply to\n{}", text(reply), text(request)).into()
}

/// The value of a header, by its name in small letters.
pub(crate) fn header_of<'r>(reply: &'r [u8], name: &str) -> Option<&'r str> {
    let (head, _) = reply.split_at(body_of(reply)?.0);
    let mut lines = std::str::from_utf8(head).ok()?.lines();
    lines.find_map(|line| {
        let (field, value) = line.split_once(':')?;
        field.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// Where the body begins and how long it is, once the head is there.
pub(crate) fn body_of(reply: &[u8]) -> Option<(usize, usize)> {
    let mut length = 0;
    let mut at = 0;
    loop {
        let line = reply[at..].iter().position(|byte| *byte == b'\n')?;
        if line <= 1 {
            return Some((at + line + 1, length));
        }
        let name = b"content-length: ";
        if let Some((field, digits)) = reply[at..at + line].split_at_checked(name.len())
            && field.eq_ignore_ascii_case(name)
        {
            length = digits
                .iter()
                .take_while(|byte| byte.is_ascii_digit())
                .fold(0, |length, digit| length * 10 + usize::from(digit - b'0'));
        }
        at += line + 1;
    }
}

//! How far a standby is behind the owner, while the owner is given half of what it can write.
//!
//! The time is what a client sees: from the moment at which it has the owner's answer to a write until the standby has answered a read of the same key with that write in it
//! (`Memgen-Read: replica`, and the position of the write as `Memgen-Min-Position`). So the way to the standby and back is a part of it. The load is an open one: a write is due at
//! its time, however long those before it take.

#![allow(clippy::print_stdout, reason = "its parent reads the outcome")]

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    time::Duration,
};

use memgen_tests::cluster;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::LocalSet,
    time::{Instant, sleep_until},
};

use crate::{
    Outcome,
    load::{self, Exchange as _, Kind, body_of, header_of},
    nodes::Nodes,
    options::Options,
    process::Keys,
    report::{Report, Target, median},
};

/// Those that the limit is looked for with.
const CONNECTIONS: [usize; 3] = [32, 128, 256];
/// One of so many writes is asked for at the standby.
const SAMPLED: u32 = 4;

/// The lag of a standby at half of the write limit.
pub(crate) fn standby(options: &Options, report: &mut Report) -> Outcome<()> {
    let servers = cluster::Servers::start(3, 1);
    let nodes = Nodes::start(options, &servers)?;
    let (mut limit, mut at) = (0.0, 0);
    for connections in CONNECTIONS {
        let owner = &nodes.asked;
        let load = |round| owner.load("put", Keys::Owned, connections, options.load, round);
        load(0)?;
        let rounds: Outcome<Vec<_>> = (1..=options.rounds).map(load).collect();
        let rate = median(rounds?.iter().map(|seen| seen.per_second));
        if rate > limit {
            (limit, at) = (rate, connections);
        }
    }
    let what = "standby: the most that one owner writes with three brokers";
    report.figure(
        &format!("{what}, {at} connections"),
        "/s",
        limit,
        Target::None,
    );
    let mut seen = Vec::new();
    for _ in 0..=options.rounds {
        let text = nodes.asked.client(|owner, of| {
            vec![
                "lag".to_owned(),
                owner.to_owned(),
                nodes.other.address().to_owned(),
                at.to_string(),
                (limit / 2.0).to_string(),
                options.load.as_secs_f64().to_string(),
                format!("of:{of}"),
            ]
        })?;
        seen.push(Seen::parse(&text)?);
    }
    let of = |figure: fn(&Seen) -> f64| median(seen.iter().skip(1).map(figure));
    let what = "standby lag at half of that";
    let writes = of(|seen| seen.per_second);
    report.figure(
        &format!("{what}: writes meanwhile"),
        "/s",
        writes,
        Target::None,
    );
    let half = of(|seen| seen.median_ms);
    report.figure(&format!("{what}, median"), "ms", half, Target::None);
    let most = of(|seen| seen.p99_ms);
    report.figure(&format!("{what}, p99"), "ms", most, Target::AtMost(50.0));
    Ok(())
}

/// What a load saw of the lag.
struct Seen {
    per_second: f64,
    median_ms: f64,
    p99_ms: f64,
}

impl Seen {
    /// Reads what [`run`] printed.
    fn parse(text: &str) -> Outcome<Self> {
        let numbers: Result<Vec<f64>, _> = text.split_whitespace().map(str::parse).collect();
        let [per_second, median_ms, p99_ms] = numbers?[..] else {
            return Err(format!("`{text}` is not what a lag prints").into());
        };
        Ok(Self {
            per_second,
            median_ms,
            p99_ms,
        })
    }
}

/// Writes at a rate, and asks a standby for some of it: `OWNER STANDBY CONNECTIONS RATE SECONDS of:PARTITIONS`. Prints how many were written in a second, and the median and the 99th
/// percentile of the lag in milliseconds.
pub(crate) fn run(args: &[String]) -> Outcome<()> {
    let [owner, standby, connections, rate, seconds, of] = args else {
        return Err("a lag has six arguments".into());
    };
    let connections: usize = connections.parse()?;
    let every = Duration::from_secs_f64(1.0 / rate.parse::<f64>()?);
    let time = Duration::from_secs_f64(seconds.parse()?);
    let numbers = load::numbers(of)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let next = Rc::new(Cell::new(0_u32));
    let lags: Rc<RefCell<Vec<Duration>>> = Rc::default();
    let elapsed = runtime.block_on(LocalSet::new().run_until(async {
        let mut clients = Vec::new();
        for number in 0..connections {
            let numbers = Rc::clone(&numbers);
            let writes = load::Client::open(owner, Kind::Put, connections, number, numbers).await?;
            clients.push((writes, TcpStream::connect(standby).await?));
        }
        let started = Instant::now();
        let tasks: Vec<_> = clients
            .into_iter()
            .map(|(mut writes, mut reads)| {
                let (next, lags) = (Rc::clone(&next), Rc::clone(&lags));
                tokio::task::spawn_local(async move {
                    reads.set_nodelay(true)?;
                    loop {
                        let number = next.replace(next.get() + 1);
                        let due = every * number;
                        if due >= time {
                            return Outcome::Ok(());
                        }
                        sleep_until(started + due).await;
                        writes.exchange().await?;
                        if number % SAMPLED == 0 {
                            let acknowledged = Instant::now();
                            shows(&mut reads, &writes).await?;
                            lags.borrow_mut().push(acknowledged.elapsed());
                        }
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await??;
        }
        Outcome::Ok(started.elapsed())
    }))?;
    let written = f64::from(next.get()) - f64::from(u32::try_from(connections)?);
    let mut lags = lags.borrow_mut();
    lags.sort_unstable();
    let at = |percent: usize| lags[(lags.len() - 1) * percent / 100].as_secs_f64() * 1e3;
    println!("{} {} {}", written / elapsed.as_secs_f64(), at(50), at(99));
    Ok(())
}

/// Asks a standby for what was written last, until it shows it.
async fn shows(standby: &mut TcpStream, written: &load::Client) -> Outcome<()> {
    let position = header_of(written.reply(), "memgen-position")
        .ok_or("the answer to a write has no position")?;
    let request = format!(
        "GET /r/{} HTTP/1.1\r\nhost: bench\r\nmemgen-read: replica\r\nmemgen-min-position: {position}\r\n\r\n",
        written.key()
    );
    standby.write_all(request.as_bytes()).await?;
    let mut reply = Vec::with_capacity(1024);
    while body_of(&reply).is_none_or(|(body, length)| reply.len() < body + length) {
        if standby.read_buf(&mut reply).await? == 0 {
            return Err("the standby closed the connection".into());
        }
    }
    // The owner says nothing of that kind.
    let by_the_standby = header_of(&reply, "memgen-staleness-ms").is_some();
    if reply.starts_with(b"HTTP/1.1 200") && by_the_standby {
        return Ok(());
    }
    Err(format!(
        "the standby did not answer by itself:\n{}",
        String::from_utf8_lossy(&reply)
    )
    .into())
}

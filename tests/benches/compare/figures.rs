//! The figures, as a table for BENCHMARKS.md.

#![allow(clippy::print_stdout, reason = "a bench prints what it found")]

use std::{env, fmt::Write as _};

use memgen_tests::Folder;

use crate::{
    cores,
    server::{Outcome, Server},
};

/// How long the runs are.
struct Plan {
    pairs: usize,
    seconds: &'static str,
    lone_writes: &'static str,
    records: usize,
    growth: &'static [usize],
}

const QUICK: Plan = Plan {
    pairs: 2,
    seconds: "0.3s",
    lone_writes: "200",
    records: 20_000,
    growth: &[1000, 10_000],
};
const USUAL: Plan = Plan {
    pairs: 7,
    seconds: "2s",
    lone_writes: "1000",
    records: 1_000_000,
    growth: &[10_000, 100_000, 1_000_000],
};
const FULL: Plan = Plan {
    growth: &[10_000, 100_000, 1_000_000, 10_000_000],
    ..USUAL
};

/// Keys of the servers that are read from and written to.
const KEYS: usize = 100_000;
/// Bytes of a key and its string.
const ENTRY_BYTES: f64 = 120.0;

/// Measures, and prints the table.
pub(crate) fn run() {
    let plan = match env::var("MEMGEN_BENCH").as_deref() {
        Ok("quick") => QUICK,
        Ok("full") => FULL,
        Err(_) => USUAL,
        Ok(other) => panic!("MEMGEN_BENCH is `quick` or `full`, not `{other}`"),
    };
    println!("On {}.\n", cores::machine());
    reads(&plan);
    writes(&plan);
    replay(&plan);
    growth(&plan);
}

fn head(title: &str, columns: &[&str]) {
    println!("\n### {title}\n");
    println!("| {} |", columns.join(" | "));
    println!("|{}", "---|".repeat(columns.len()));
}

/// One load on both servers in turn. Returns the medians of both, and of the ratios of the pairs.
fn pairs(
    plan: &Plan,
    (ours, bare): (&Server, &Server),
    (what, connections, amount): (&str, usize, &str),
    of: impl Fn(Outcome) -> f64,
) -> (f64, f64, f64) {
    let (mut one, mut other, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for seed in 0..=plan.pairs {
        let mut outcomes = [0.0; 2];
        // Each comes first as often as the other.
        for turn in 0..2 {
            let which = (seed + turn) % 2;
            let server = [ours, bare][which];
            outcomes[which] = of(server.load(what, connections, amount, seed));
        }
        // The first pair warms both up.
        if seed > 0 {
            one.push(outcomes[0]);
            other.push(outcomes[1]);
            ratios.push(outcomes[0] / outcomes[1]);
        }
    }
    (median(one), median(other), median(ratios))
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

fn verdict(met: bool) -> &'static str {
    if met { "yes" } else { "**no**" }
}

fn reads(plan: &Plan) {
    let title =
        "Reads: `GET` of a random key of 100,000, against a bare axum handler on the same map";
    head(
        title,
        &[
            "connections",
            "memgen /s",
            "bare /s",
            "ratio",
            "at least 0.90",
        ],
    );
    let folder = Folder::new();
    let ours = Server::register(folder.path(), &["--ack", "os"]);
    ours.load("fill", 64, &KEYS.to_string(), 0);
    let bare = Server::bare(&["read", &KEYS.to_string()]);
    for connections in [1, 32, 128] {
        let load = (&*format!("get:{KEYS}"), connections, plan.seconds);
        let (one, other, ratio) = pairs(plan, (&ours, &bare), load, |outcome| outcome.per_second);
        let met = verdict(ratio >= 0.90);
        println!("| {connections} | {one:.0} | {other:.0} | {ratio:.2} | {met} |");
    }
}

fn writes(plan: &Plan) {
    let title = "Durable writes: `PUT` of 100 bytes, against a bare axum handler that appends to a file \
                 with group `fdatasync`";
    head(
        title,
        &["connections", "memgen", "bare", "ratio", "wanted", "met"],
    );
    let folder = Folder::new();
    let ours = Server::register(&folder.path().join("data"), &[]);
    let file = folder.path().join("bare").display().to_string();
    let bare = Server::bare(&["write", &file]);
    let what = &*format!("put:{KEYS}");
    let servers = (&ours, &bare);
    let load = (what, 1, plan.lone_writes);
    let (one, other, ratio) = pairs(plan, servers, load, |outcome| outcome.median_us);
    let met = verdict(ratio <= 1.3);
    println!(
        "| 1 (median latency) | {one:.0} µs | {other:.0} µs | {ratio:.2} | at most 1.30 | {met} |"
    );
    for connections in [32, 128] {
        let load = (what, connections, plan.seconds);
        let (one, other, ratio) = pairs(plan, servers, load, |outcome| outcome.per_second);
        let met = verdict(ratio >= 0.80);
        println!(
            "| {connections} | {one:.0}/s | {other:.0}/s | {ratio:.2} | at least 0.80 | {met} |"
        );
    }
}

fn replay(plan: &Plan) {
    let title = format!(
        "Replay: a start on a log of {} records of 100 bytes, each of a key of its own",
        plan.records
    );
    head(
        &title,
        &[
            "records",
            "until ready",
            "records/s",
            "at least 1,000,000/s",
        ],
    );
    let folder = Folder::new();
    filled(folder.path(), plan.records);
    let seconds = (0..plan.pairs)
        .map(|_| {
            Server::register(folder.path(), &[])
                .ready_after
                .as_secs_f64()
        })
        .collect();
    let seconds = median(seconds);
    let rate = plan.records as f64 / seconds;
    println!(
        "| {} | {seconds:.3} s | {rate:.0} | {} |",
        plan.records,
        verdict(rate >= 1e6)
    );
}

/// A log with the keys 0 to `keys`, each written once.
fn filled(folder: &std::path::Path, keys: usize) {
    let server = Server::register(folder, &["--ack", "os"]);
    server.load("fill", 128, &keys.to_string(), 0);
}

fn growth(plan: &Plan) {
    let title = "Growth: 20-byte keys with 100-byte strings, after a restart";
    let columns = [
        "keys",
        "bytes per entry",
        "of its bytes (at most 3.00)",
        "met",
        "start, µs per key",
        "`GET`/s over 32 connections",
    ];
    head(title, &columns);
    let empty = Folder::new();
    let empty = Server::register(empty.path(), &[]);
    empty.load("fill", 1, "1", 0);
    let base = empty.resident_bytes();
    drop(empty);
    for &keys in plan.growth {
        let folder = Folder::new();
        filled(folder.path(), keys);
        let server = Server::register(folder.path(), &[]);
        let each = (server.resident_bytes() - base) / keys as f64;
        let ratio = each / ENTRY_BYTES;
        let start = server.ready_after.as_secs_f64() * 1e6 / keys as f64;
        let load = format!("get:{keys}");
        let rates =
            (0..plan.pairs).map(|seed| server.load(&load, 32, plan.seconds, seed).per_second);
        let rate = median(rates.collect());
        let mut row = format!("| {keys} | {each:.0} | {ratio:.2} | ");
        // Below some number of keys the allocator's own pages outweigh them.
        let met = if keys < 100_000 {
            "-"
        } else {
            verdict(ratio <= 3.0)
        };
        write!(row, "{met} | {start:.2} | {rate:.0} |").expect("a text takes more");
        println!("{row}");
    }
}

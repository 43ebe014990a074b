//! A cluster under a steady load, at 70 % of what it can do: `cargo run --release -p memgen-tests --bin soak -- 60`, in minutes. What it prints is in RELIABILITY.md.

use std::{env, process::ExitCode, time::Duration};

use memgen_tests::{
    cluster::Servers,
    soak::{Times, soak},
};

/// So many rows has the table.
const PARTS: u32 = 12;

fn main() -> ExitCode {
    let minutes = env::args().nth(1).and_then(|text| text.parse::<u64>().ok());
    let Some(minutes) = minutes.filter(|minutes| *minutes > 0 && env::args().count() == 2) else {
        eprintln!("usage: soak MINUTES");
        return ExitCode::from(2);
    };
    let runtime = tokio::runtime::Runtime::new().expect("threads can be started");
    let times = Times {
        warm_up: Duration::from_secs(20),
        probe: Duration::from_secs(40),
        steady: Duration::from_secs(60 * minutes),
    };
    let servers = Servers::start(3, 1);
    let soaked = soak(&servers, times, PARTS, |part| println!("{part}"));
    let report = runtime.block_on(soaked);
    println!("\n{report}");
    if report.wrong.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

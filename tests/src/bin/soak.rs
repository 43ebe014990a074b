//! A cluster under a steady load, at 70 % of what it can do: `cargo run --release -p memgen-tests --bin soak -- 60`, in minutes. What it prints is in RELIABILITY.md.

use std::{env, process::ExitCode, time::Duration};

use memgen_tests::soak::soak;

/// So many rows has the table.
const PARTS: u32 = 12;

fn main() -> ExitCode {
    let minutes = env::args().nth(1).and_then(|text| text.parse::<u64>().ok());
    let Some(minutes) = minutes.filter(|minutes| *minutes > 0 && env::args().count() == 2) else {
        eprintln!("usage: soak MINUTES");
        return ExitCode::from(2);
    };
    let runtime = tokio::runtime::Runtime::new().expect("threads can be started");
    let time = Duration::from_secs(60 * minutes);
    let report = runtime.block_on(soak(time, PARTS, |part| println!("{part}")));
    println!("\n{report}");
    if report.wrong.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

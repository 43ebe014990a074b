//! Runs random histories over whole nodes in a simulation: `cargo run -p memgen-tests --bin simulate -- --seeds 1000`.
//!
//! `--without NoRepair` switches a rule off first ([`Bug`] names them): it is to be found soon. `--from 4711` begins with another seed, and `--trace` prints what all nodes said of a history that fails, as far as it goes back. A history that fails is made smaller, and printed with its seed; `--whole` leaves it as it is.

use std::{
    env,
    process::ExitCode,
    time::{Duration, Instant},
};

use memgen::testing::{Bug, Level, set_broken};
use memgen_tests::simulate::{Counts, Plan, run, shrink};
use mimalloc::MiMalloc;

/// A fifth faster here than the system's.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// The rules that can be switched off.
const RULES: [Bug; 12] = [
    Bug::AnyBallot,
    Bug::AnyBarrier,
    Bug::EarlyReply,
    Bug::Guess,
    Bug::NoRollForward,
    Bug::NoRepair,
    Bug::NoLease,
    Bug::KeepSpeculation,
    Bug::NoReplies,
    Bug::AnyAge,
    Bug::DeathBySilence,
    Bug::NoBudget,
];
/// How often it says how far it is.
const TELLS_EVERY: Duration = Duration::from_secs(5);

fn main() -> ExitCode {
    let (mut seeds, mut from, mut trace, mut whole) = (100, 0, None, false);
    let mut arguments = env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut number = || arguments.next().and_then(|text| text.parse().ok());
        let known = match argument.as_str() {
            "--seeds" => number().map(|number| seeds = number),
            "--from" => number().map(|number| from = number),
            "--whole" => {
                whole = true;
                Some(())
            }
            "--without" => arguments.next().and_then(|name| {
                let rule = RULES.iter().find(|rule| format!("{rule:?}") == name);
                rule.map(|rule| set_broken(Some(*rule)))
            }),
            "--trace" => {
                trace = Some(Level::DEBUG);
                Some(())
            }
            _ => None,
        };
        if known.is_none() {
            eprintln!(
                "usage: simulate [--seeds NUMBER] [--from SEED] [--without RULE] [--trace] [--whole]\nRULE is one of {RULES:?}"
            );
            return ExitCode::from(2);
        }
    }
    let (mut sum, begun, mut told) = (Counts::default(), Instant::now(), Instant::now());
    for seed in from..from + seeds {
        let plan = Plan::new(seed);
        match run(&plan, None) {
            Ok(counts) => sum.add(&counts),
            Err(failure) => {
                println!("seed {seed}: {}: {}", failure.kind, failure.what);
                let (smaller, failure) = if whole {
                    (plan.clone(), failure)
                } else {
                    shrink(&plan, &failure)
                };
                println!(
                    "{} steps of {} do it: {smaller:#?}",
                    smaller.size(),
                    plan.size()
                );
                println!("seed {seed}: {}: {}", failure.kind, failure.what);
                if trace.is_some() {
                    drop(run(&smaller, trace));
                }
                return ExitCode::FAILURE;
            }
        }
        if told.elapsed() >= TELLS_EVERY {
            told = Instant::now();
            println!("{} of {seeds} seeds: {sum:?}", seed + 1 - from);
        }
    }
    let seconds = begun.elapsed().as_secs_f64();
    println!("{seeds} seeds in {seconds:.1} s: {sum:?}");
    ExitCode::SUCCESS
}

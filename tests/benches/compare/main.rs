//! All figures of BENCHMARKS.md, in one run on one machine: `cargo compare`, or some sections of it by name: `cargo compare reads lone`.
//!
//! Each figure compares memgen with a *bare* server: an axum handler that does the least that could be called the same. Both run at
//! once as processes, and the load goes to one and then to the other, several times over, so that what disturbs the machine disturbs
//! both. What counts is the median of the ratios of such rounds.
//!
//! Where there are two or more cores, the last one makes the load and all others serve: a server that shares its cores with its
//! clients shows how fast the clients are. `--shared` lets all of them run anywhere.
//!
//! | module | what |
//! |---|---|
//! | `options` | what was asked for |
//! | `http`, `restart`, `tail`, `lag`, `journal`, `transactions` | the sections, and their targets |
//! | `register`, `bare`, `load` | what the processes do: memgen, the bare server, the clients |
//! | `accounts`, `postgres` | the same for transactions |
//! | `entries`, `fill` | the keys and values, and a log that holds them |
//! | `process`, `report` | starting processes; medians and the table |

mod accounts;
mod bare;
mod entries;
mod fill;
mod http;
mod journal;
mod lag;
mod load;
mod nodes;
mod options;
#[cfg(feature = "postgres")]
mod postgres;
mod process;
mod register;
mod report;
mod restart;
mod tail;
mod transactions;

use std::{env, error::Error, process::ExitCode};

use options::Options;
use report::Report;

/// What a part of the bench came to. A bench that can't measure stops with the reason.
type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    let outcome = match args.first().map(String::as_str) {
        // This program starts itself for its servers and clients.
        Some(process::ROLE) => role(&args[1..]),
        _ => Options::parse(&args).and_then(|options| compare(&options)),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn role(args: &[String]) -> Outcome<()> {
    let (name, args) = args.split_first().ok_or("a role is missing")?;
    match name.as_str() {
        "register" => register::serve(args),
        "two" => register::serve_two(args),
        "node" => register::serve_node(args),
        "restart" => register::restart(args),
        "start" => tail::start(args),
        "consume" => tail::consume(args),
        "bare" => bare::serve(args),
        "load" => load::run(args),
        "lag" => lag::run(args),
        "accounts" => accounts::serve(args),
        "post" => accounts::post(args),
        "produce" => transactions::produce(args),
        #[cfg(feature = "postgres")]
        "postgres" => postgres::serve(args),
        // By hand only: a log for `restart`, `start` and `register` under a profiler.
        "fill" => fill::run(args),
        "fill-topic" => tail::fill_topic(args),
        other => Err(format!("`{other}` is no role").into()),
    }
}

fn compare(options: &Options) -> Outcome<()> {
    let mut report = Report::new(options);
    for (section, run) in SECTIONS {
        if options.sections.is_empty() || options.sections.iter().any(|asked| asked == section) {
            eprintln!("{section} …");
            run(options, &mut report)?;
        }
    }
    report.print();
    Ok(())
}

type Section = fn(&Options, &mut Report) -> Outcome<()>;

/// The sections, in the order of the table.
const SECTIONS: [(&str, Section); 15] = [
    ("reads", http::reads),
    ("writes", http::writes),
    ("lone", http::lone),
    ("replay", restart::replay),
    ("memory", restart::memory),
    ("growth", restart::growth),
    ("log", journal::log),
    ("restart", tail::restart),
    ("forwarded", http::forwarded),
    ("kafka", http::kafka),
    ("tail", tail::replay),
    ("standby", lag::standby),
    ("transactions", transactions::one_partition),
    ("two", transactions::two_partitions),
    ("postgres", transactions::postgres),
];

//! All figures of BENCHMARKS.md, in one run on one machine: `cargo bench -p memgen-tests`.
//!
//! The service under test is `register`, built as this bench is. Each figure compares it with a *bare* server: an axum
//! handler that does the least that could be called the same. Both run at once, and the load goes to one and then to the other, several
//! times over, so that what disturbs the machine disturbs both; what counts is the median of the ratios of such pairs.
//!
//! Server and load run on cores of their own where there are two or more: a server that shares its core with its clients shows how
//! fast the clients are. All of them are processes: this program starts itself for the bare servers and for the load.
//!
//! `MEMGEN_BENCH=quick` makes each run short, to see that the bench works; `MEMGEN_BENCH=full` adds 10^7 keys.

mod bare;
mod cores;
mod figures;
mod load;
mod server;

use std::env;

fn main() {
    let args: Vec<String> = env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["bare", "read", keys] => bare::read(number(keys)),
        ["bare", "write", file] => bare::write(file),
        ["load", base, what, connections, amount, seed] => {
            load::run(base, what, number(connections), amount, number(seed));
        }
        // Cargo passes `--bench`, and a filter if there is one.
        _ => figures::run(),
    }
}

fn number(text: &str) -> usize {
    text.parse()
        .unwrap_or_else(|error| panic!("`{text}`: {error}"))
}

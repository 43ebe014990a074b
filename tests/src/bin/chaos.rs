//! Does to a cluster what may happen to it, as often as one likes, with real Kafka and ZooKeeper: `cargo run -p memgen-tests --bin chaos -- --kills 100 --pauses 50`.
//!
//! It prints the tables that are in BENCHMARKS.md, writes a page with a timeline, `target/chaos.html`, and fails if anything was wrong. What concerns cables and disks gives each node a
//! host of its own, by namespaces; `--everything 15` does all there is on such hosts, so many times. So do the storms over services with transactions, which are told how many minutes they last:
//! `--ledger-kills 10 --ledger-stops 10 --graph-kills 10`. `--count-kills` and
//! `--payment-kills` are told how many events there are: a node is killed every ten seconds until all were taken in.

use std::{
    env, fs,
    os::unix::process::CommandExt as _,
    process::{Command, ExitCode},
    time::Duration,
};

use memgen_tests::{
    chaos::{self, Chaos, Harm, IN_DOUBT, NODES, Page},
    cluster::Servers,
    network::Network,
    project::repository,
};

/// What can be done, so many times; but `--rest-ms` says how long clients rest at most between two operations from then on.
const ANYWHERE: [&str; 8] = [
    "--rest-ms",
    "--kills",
    "--pauses",
    "--restarts",
    "--drains",
    "--scales",
    "--servers",
    "--broker-pauses",
];
/// All of it, so many times.
const EVERYTHING: &str = "--everything";
/// What needs a network of its own.
const ON_HOSTS: [&str; 6] = [
    "--cut-offs",
    "--partial-cuts",
    "--one-way-cuts",
    "--slow-links",
    "--full-disks",
    EVERYTHING,
];
/// Where the page with the timeline is, below the repository.
const PAGE: &str = "target/chaos.html";
/// Storms over services with transactions, which last for so many minutes.
const LASTING: [&str; 4] = [
    "--ledger-kills",
    "--ledger-stops",
    "--graph-kills",
    "--graph-stops",
];
/// Storms over so many events.
const COUNTED: [&str; 2] = ["--count-kills", "--payment-kills"];
/// How long nodes are left in peace while they take in events.
const CALM: Duration = Duration::from_secs(9);
/// No transaction may be in doubt for longer while its home has an owner.
const IN_DOUBT_MAX: Duration = Duration::from_secs(2);
/// Says to the process that it has namespaces of its own.
const INSIDE: &str = "MEMGEN_CHAOS_INSIDE";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let runtime = tokio::runtime::Runtime::new().expect("threads can be started");
    if let Some(storms) = wanted(&arguments, &[&LASTING[..], &COUNTED].concat())
        && !storms.is_empty()
    {
        return runtime.block_on(storm(&storms));
    }
    let parts = [&ANYWHERE[..], &ON_HOSTS].concat();
    let Some(wanted) = wanted(&arguments, &parts) else {
        let parts = parts.join(" | ");
        let (lasting, counted) = (LASTING.join(" | "), COUNTED.join(" | "));
        eprintln!("usage: chaos [{parts} NUMBER]…");
        eprintln!("       chaos [{lasting} MINUTES | {counted} EVENTS]…");
        return ExitCode::from(2);
    };
    let on_hosts = wanted.iter().any(|(part, _)| ON_HOSTS.contains(part));
    if on_hosts && env::var_os(INSIDE).is_none() {
        let itself = env::current_exe().expect("a running program has a path");
        let error = Command::new("unshare")
            .args(["--map-root-user", "--net", "--mount"])
            .arg(itself)
            .args(&arguments)
            .env(INSIDE, "1")
            .exec();
        eprintln!("unshare: {error}");
        return ExitCode::from(2);
    }
    runtime.block_on(run(&wanted, on_hosts))
}

/// What is asked for, if it is all among what is known.
fn wanted<'a>(arguments: &[String], known: &[&'a str]) -> Option<Vec<(&'a str, usize)>> {
    let wanted = arguments.chunks(2).map(|pair| match pair {
        [part, number] => Some((
            *known.iter().find(|known| *known == part)?,
            number.parse().ok()?,
        )),
        _ => None,
    });
    wanted.collect()
}

async fn storm(wanted: &[(&str, usize)]) -> ExitCode {
    let servers = Servers::start(3, 1);
    let mut sound = true;
    for (part, number) in wanted {
        let time = Duration::from_secs(60 * *number as u64);
        let mut report = match *part {
            "--ledger-kills" => chaos::ledger(&servers, Harm::Kill, time).await,
            "--ledger-stops" => chaos::ledger(&servers, Harm::Stop, time).await,
            "--graph-kills" => chaos::graph(&servers, Harm::Kill, time).await,
            "--graph-stops" => chaos::graph(&servers, Harm::Stop, time).await,
            "--count-kills" => chaos::counts(&servers, *number, CALM).await,
            _ => chaos::payments(&servers, *number, CALM).await,
        };
        report.bound(IN_DOUBT, IN_DOUBT_MAX);
        println!("{report}");
        sound &= report.is_sound();
    }
    if sound {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

async fn run(wanted: &[(&str, usize)], on_hosts: bool) -> ExitCode {
    let network = on_hosts.then(|| Network::build(NODES));
    let mut chaos = Chaos::start(network).await;
    for (part, rounds) in wanted {
        match *part {
            "--rest-ms" => {
                chaos.rest_ms_max = u32::try_from(*rounds).unwrap_or(u32::MAX).max(1);
                continue;
            }
            "--kills" => chaos.kills(*rounds).await,
            "--pauses" => chaos.pauses(*rounds).await,
            "--restarts" => chaos.restarts(*rounds).await,
            "--drains" => chaos.drains(*rounds).await,
            "--scales" => chaos.from_three_nodes_to_one_and_back(*rounds).await,
            "--servers" => chaos.servers_restart(*rounds).await,
            "--broker-pauses" => chaos.brokers_pause(*rounds).await,
            "--cut-offs" => chaos.cut_offs(*rounds).await,
            "--partial-cuts" => chaos.partial_cuts(*rounds).await,
            "--one-way-cuts" => chaos.one_way_cuts(*rounds).await,
            "--slow-links" => chaos.slow_links(*rounds).await,
            "--full-disks" => chaos.full_disks(*rounds).await,
            _ => chaos.everything(*rounds).await,
        }
        chaos.all_have_the_same().await;
        println!("{}", chaos.report);
        // Also before the next part ends, which may take long.
        let page = repository().join(PAGE);
        fs::write(&page, Page(&chaos.report).to_string())
            .expect("the folder for what is built is there");
        println!("the same as a page: {}", page.display());
    }
    if chaos.report.is_sound() {
        return ExitCode::SUCCESS;
    }
    let folder = env::temp_dir().join(format!("chaos-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("the folder for temporary files is writable");
    for (node, output) in chaos.cluster.outputs() {
        let file = folder.join(format!("{node}.log"));
        fs::write(file, output).expect("the folder for temporary files is writable");
    }
    println!("what the nodes printed: {}", folder.display());
    ExitCode::FAILURE
}

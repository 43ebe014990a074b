//! Does to a cluster what may happen to it, as often as one likes, with real Kafka and ZooKeeper: `cargo run -p memgen-tests --bin chaos -- --kills 100 --pauses 50`.
//!
//! It prints the tables that are in BENCHMARKS.md, and fails if anything was wrong. `--cut-offs` and `--partial-cuts` give each node a host of its own, by
//! namespaces, so they run apart from the others.

use std::{
    env, fs,
    os::unix::process::CommandExt as _,
    process::{Command, ExitCode},
};

use memgen_tests::{
    chaos::{Chaos, NODES},
    network::Network,
};

/// What can be done, so many times; but `--rest-ms` says how long clients rest at most between two operations from then on.
const PARTS: [&str; 9] = [
    "--rest-ms",
    "--kills",
    "--pauses",
    "--restarts",
    "--drains",
    "--scales",
    "--servers",
    "--cut-offs",
    "--partial-cuts",
];
/// Those that need a network of their own.
const ON_HOSTS: [&str; 2] = ["--cut-offs", "--partial-cuts"];
/// Says to the process that it has namespaces of its own.
const INSIDE: &str = "MEMGEN_CHAOS_INSIDE";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let wanted = arguments.chunks(2).map(|pair| match pair {
        [part, rounds] => Some((
            *PARTS.iter().find(|known| *known == part)?,
            rounds.parse().ok()?,
        )),
        _ => None,
    });
    let Some(wanted) = wanted.collect::<Option<Vec<(&str, usize)>>>() else {
        eprintln!("usage: chaos [{} NUMBER]…", PARTS.join(" | "));
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
    let runtime = tokio::runtime::Runtime::new().expect("threads can be started");
    runtime.block_on(run(&wanted, on_hosts))
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
            "--cut-offs" => chaos.cut_offs(*rounds).await,
            _ => chaos.partial_cuts(*rounds).await,
        }
        chaos.all_have_the_same().await;
        println!("{}", chaos.report);
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

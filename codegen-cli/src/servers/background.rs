//! `memgen servers up|down`: Kafka and ZooKeeper in the background, for development.
//!
//! A process of its own keeps the servers: they end when it does. It holds a lock on the folder for as long as it runs, so that nobody is taken for it by
//! a number that another process has meanwhile.

use std::{
    fs::{self, File, TryLockError},
    io::{self, Write as _},
    net::Ipv4Addr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use clap::{Args, Subcommand};
use rustix::process::{Pid, Signal, kill_process, setsid};
use serde::{Deserialize, Serialize};
use tokio::signal::unix::{SignalKind, signal};

use super::{Jars, Kafka, ZooKeeper, at};
use crate::{cli::Failure, exit::Exit, ui::Ui};

/// What the keeper says once the servers answer.
const RUNNING: &str = "running.json";
/// What the keeper locks.
const LOCK: &str = "lock";
/// What the keeper prints.
const OUTPUT: &str = "keeper.log";
/// How long all servers may take to come up, the first time with a download, and to end.
const PATIENCE: Duration = Duration::from_secs(300);
const POLL: Duration = Duration::from_millis(50);
/// Brokers talk among themselves on ports that are so much higher.
const CONTROLLER_PORTS: u16 = 100;
/// The ensemble's servers, too.
const PEER_PORTS: u16 = 200;

/// What to do with the servers.
#[derive(Clone, Debug, Subcommand)]
pub enum Action {
    /// Starts Kafka and ZooKeeper in the background, and prints the flags for a service: `cargo run -- $(memgen servers up)`.
    Up(Options),
    /// Stops them. Their data stays.
    Down {
        /// Their folder.
        #[arg(long, value_name = "DIR", default_value = ".memgen/servers")]
        dir: PathBuf,
        /// Removes the data, too.
        #[arg(long)]
        purge: bool,
    },
    /// What `up` starts.
    #[command(hide = true)]
    Keep(Options),
}

/// Which servers, and where.
#[derive(Clone, Debug, Args)]
pub struct Options {
    /// Their folder.
    #[arg(long, value_name = "DIR", default_value = ".memgen/servers")]
    dir: PathBuf,
    /// How many brokers.
    #[arg(long, value_name = "N", default_value = "1", value_parser = clap::value_parser!(u16).range(1..=9))]
    brokers: u16,
    /// How many servers of `ZooKeeper`.
    #[arg(long, value_name = "N", default_value = "1", value_parser = clap::value_parser!(u16).range(1..=9))]
    ensemble: u16,
    /// The port of the first broker on 127.0.0.1; the others follow.
    #[arg(long, value_name = "PORT", default_value = "9092", value_parser = clap::value_parser!(u16).range(1024..=60_000))]
    kafka_port: u16,
    /// The port of the first server of `ZooKeeper`; the others follow.
    #[arg(long, value_name = "PORT", default_value = "2181", value_parser = clap::value_parser!(u16).range(1024..=60_000))]
    zookeeper_port: u16,
}

/// What is running.
#[derive(Debug, Serialize, Deserialize)]
struct Running {
    keeper: i32,
    kafka: String,
    zookeeper: String,
}

impl Running {
    fn read(dir: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(dir.join(RUNNING)).ok()?).ok()
    }

    /// The flags of a service.
    fn flags(&self) -> String {
        let replicas = self.kafka.split(',').count().min(3);
        format!(
            "--log kafka://{} --replication-factor {replicas} --coordinator zookeeper://{}",
            self.kafka, self.zookeeper
        )
    }
}

/// Does it.
///
/// # Errors
/// With the end of the output of a server that does not come up, and what to do where something is missing.
pub fn run(ui: Ui, action: &Action) -> Result<Exit, Failure> {
    match action {
        Action::Up(options) => up(ui, options),
        Action::Down { dir, purge } => down(ui, dir, *purge),
        Action::Keep(options) => keep(options),
    }
}

/// The lock of a folder; none if its keeper runs.
fn lock(dir: &Path) -> Result<Option<File>, Failure> {
    let path = dir.join(LOCK);
    let file = File::create(&path).map_err(at(&path))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(at(&path)(error).into()),
    }
}

fn up(ui: Ui, options: &Options) -> Result<Exit, Failure> {
    let dir = &options.dir;
    fs::create_dir_all(dir).map_err(at(dir))?;
    let mut keeper = None;
    if let Some(lock) = lock(dir)? {
        drop(lock);
        let _ = fs::remove_file(dir.join(RUNNING));
        ui.step("Starting", format_args!("servers in {}", dir.display()));
        let output = File::create(dir.join(OUTPUT)).map_err(at(dir))?;
        let errors = output.try_clone().map_err(at(dir))?;
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["servers", "keep", "--dir"]).arg(dir);
        for (flag, value) in [
            ("--brokers", options.brokers),
            ("--ensemble", options.ensemble),
            ("--kafka-port", options.kafka_port),
            ("--zookeeper-port", options.zookeeper_port),
        ] {
            command.args([flag, &value.to_string()]);
        }
        command.stdin(Stdio::null()).stdout(output).stderr(errors);
        keeper = Some(command.spawn()?);
    } else {
        ui.step("Running", format_args!("already, in {}", dir.display()));
    }
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(running) = Running::read(dir) {
            writeln!(io::stdout(), "{}", running.flags())?;
            return Ok(Exit::Done);
        }
        let ended = match &mut keeper {
            Some(keeper) => keeper.try_wait()?.is_some(),
            None => lock(dir)?.is_some(),
        };
        if ended || Instant::now() > deadline {
            let said = fs::read_to_string(dir.join(OUTPUT)).unwrap_or_default();
            let said = said.trim().trim_start_matches("error: ");
            return Err(format!("the servers did not come up: {said}").into());
        }
        std::thread::sleep(POLL);
    }
}

fn down(ui: Ui, dir: &Path, purge: bool) -> Result<Exit, Failure> {
    if dir.is_dir() && lock(dir)?.is_none() {
        let deadline = Instant::now() + PATIENCE;
        let mut told = false;
        while lock(dir)?.is_none() {
            // One that is just starting says its number later.
            if !told && let Some(running) = Running::read(dir) {
                let keeper = Pid::from_raw(running.keeper).ok_or("the keeper has no number")?;
                kill_process(keeper, Signal::TERM)?;
                told = true;
            }
            if Instant::now() > deadline {
                return Err(format!("they did not end; see {}", dir.join(OUTPUT).display()).into());
            }
            std::thread::sleep(POLL);
        }
        ui.step("Stopped", format_args!("the servers in {}", dir.display()));
    } else {
        ui.step(
            "Stopped",
            format_args!("none: no servers run in {}", dir.display()),
        );
    }
    if purge && dir.is_dir() {
        fs::remove_dir_all(dir).map_err(at(dir))?;
        ui.step("Removed", format_args!("{}", dir.display()));
    }
    Ok(Exit::Done)
}

/// Starts the servers, and ends with them when it is told to.
fn keep(options: &Options) -> Result<Exit, Failure> {
    // A terminal that is closed is no reason to end.
    setsid()?;
    let dir = options.dir.canonicalize().map_err(at(&options.dir))?;
    let Some(_lock) = lock(&dir)? else {
        return Err(format!("servers run in {} already", dir.display()).into());
    };
    let ports = |first: u16, count: u16| (first..first + count).collect::<Vec<_>>();
    let jars = Jars::fetch()?;
    let clients = ports(options.zookeeper_port, options.ensemble);
    let peers = ports(options.zookeeper_port + PEER_PORTS, options.ensemble * 2);
    let mut zookeeper = ZooKeeper::on_ports(&jars, &dir, Ipv4Addr::LOCALHOST, &clients, &peers)?;
    let clients = ports(options.kafka_port, options.brokers);
    let controllers = ports(options.kafka_port + CONTROLLER_PORTS, options.brokers);
    let mut kafka = Kafka::on_ports(&jars, &dir, Ipv4Addr::LOCALHOST, &clients, &controllers)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut told = signal(SignalKind::terminate())?;
        zookeeper.start()?;
        kafka.start()?;
        let running = Running {
            keeper: Pid::as_raw(Some(rustix::process::getpid())),
            kafka: kafka.addresses(),
            zookeeper: zookeeper.addresses(),
        };
        let path = dir.join(RUNNING);
        let unfinished = path.with_extension("tmp");
        fs::write(&unfinished, serde_json::to_string_pretty(&running)?).map_err(at(&path))?;
        fs::rename(&unfinished, &path).map_err(at(&path))?;
        told.recv().await;
        fs::remove_file(&path).map_err(at(&path))?;
        for server in kafka.servers().iter_mut().chain(zookeeper.servers()) {
            server.stop()?;
        }
        Ok(Exit::Done)
    })
}

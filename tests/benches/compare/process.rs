//! This program as a server or as a client: started on its cores, asked how much it used, ended.

use std::{
    env, fs,
    io::{BufRead, BufReader},
    process::{Child, ChildStdin, Command, Stdio},
    thread,
    time::Duration,
};

use crate::{Outcome, accounts::Post, load::Seen, options::Options, register::topic};

/// The first argument of a process that this program started.
pub(crate) const ROLE: &str = "--role";

/// Clock ticks per second in `/proc/…/stat`: 100 on every Linux.
const TICKS_PER_SECOND: f64 = 100.0;

/// Who runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cores {
    Server,
    Load,
    All,
}

/// The command that runs this program in a role.
fn command(cores: Cores, args: &[&str]) -> Outcome<Command> {
    let mut command = on_cores(cores, Command::new(env::current_exe()?));
    command
        .arg(ROLE)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    Ok(command)
}

/// The same command, on these cores alone.
fn on_cores(cores: Cores, command: Command) -> Command {
    let count = thread::available_parallelism().map_or(1, usize::from);
    let list = match cores {
        Cores::Server if count > 1 => format!("0-{}", count - 2),
        Cores::Load if count > 1 => format!("{}", count - 1),
        _ => return command,
    };
    let mut bound = Command::new("taskset");
    bound.arg("--cpu-list").arg(list).arg(command.get_program());
    bound.args(command.get_args());
    bound
}

/// A server that is another program, on the cores on which servers are.
#[cfg(feature = "postgres")]
pub(crate) fn on_cores_of_servers(options: &Options, command: Command) -> Command {
    let cores = if options.shared {
        Cores::All
    } else {
        Cores::Server
    };
    on_cores(cores, command)
}

/// A server. It ends when it is dropped, or when this process ends, since its standard input closes then.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    _input: Option<ChildStdin>,
    address: String,
    /// The partitions of the node at this address, where there is another one.
    owned: Option<String>,
    /// Another process whose children work for it.
    also: Option<u32>,
    shared: bool,
}

/// Which keys are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keys {
    All,
    /// Those that the node which is asked owns.
    Owned,
    /// Those that another one owns.
    Others,
}

impl Server {
    /// Starts a server, and waits until it serves.
    pub(crate) fn start(options: &Options, args: &[&str]) -> Outcome<Self> {
        Self::start_on(Cores::Server, options, args)
    }

    /// Starts a server that is not in the way of the one which is asked, and waits until it serves.
    pub(crate) fn start_beside_clients(options: &Options, args: &[&str]) -> Outcome<Self> {
        Self::start_on(Cores::Load, options, args)
    }

    fn start_on(cores: Cores, options: &Options, args: &[&str]) -> Outcome<Self> {
        let cores = if options.shared { Cores::All } else { cores };
        let mut child = command(cores, args)?.spawn()?;
        let mut line = String::new();
        let output = child.stdout.take().ok_or("no output")?;
        BufReader::new(output).read_line(&mut line)?;
        let input = child.stdin.take();
        let mut words = line.split_whitespace().map(str::to_owned);
        let Some(address) = words.next() else {
            return Err(format!("the server {args:?} did not start").into());
        };
        Ok(Self {
            child,
            _input: input,
            address,
            owned: words.next(),
            also: None,
            shared: options.shared,
        })
    }

    /// What the children of this process use counts, too.
    #[cfg(feature = "postgres")]
    pub(crate) fn also(mut self, process: u32) -> Self {
        self.also = Some(process);
        self
    }

    /// Sends a load for `time`. `seed` decides which keys and values.
    pub(crate) fn load(
        &self,
        kind: &str,
        keys: Keys,
        connections: usize,
        time: Duration,
        seed: usize,
    ) -> Outcome<Seen> {
        let seconds = time.as_secs_f64().to_string();
        self.measured(|address, owned| {
            let of = match keys {
                Keys::All => "all".to_owned(),
                Keys::Owned => format!("of:{owned}"),
                Keys::Others => format!("not-of:{owned}"),
            };
            let (connections, seed) = (connections.to_string(), seed.to_string());
            let args = ["load", address, kind, &connections, &seconds, &seed, &of];
            args.map(str::to_owned).to_vec()
        })
    }

    /// Sends posts for `time`. `seed` decides for which accounts.
    pub(crate) fn posts(
        &self,
        post: Post,
        connections: usize,
        time: Duration,
        seed: usize,
    ) -> Outcome<Seen> {
        let seconds = time.as_secs_f64().to_string();
        self.measured(|address, _| {
            let (connections, seed) = (connections.to_string(), seed.to_string());
            let args = ["post", address, post.name(), &connections, &seconds, &seed];
            args.map(str::to_owned).to_vec()
        })
    }

    /// Runs a client that prints what it saw.
    fn measured(&self, args: impl FnOnce(&str, &str) -> Vec<String>) -> Outcome<Seen> {
        let before = self.processor_seconds()?;
        let mut outcome = Seen::parse(&self.client(args)?)?;
        outcome.server_us = (self.processor_seconds()? - before) * 1e6 / outcome.requests;
        Ok(outcome)
    }

    /// Runs a client to its end, and gives back what it printed. `args` is told where the server listens, and the partitions that it owns.
    pub(crate) fn client(&self, args: impl FnOnce(&str, &str) -> Vec<String>) -> Outcome<String> {
        let cores = if self.shared { Cores::All } else { Cores::Load };
        let args = args(&self.address, self.owned.as_deref().unwrap_or_default());
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let output = command(cores, &args)?.stderr(Stdio::inherit()).output()?;
        if !output.status.success() {
            return Err(format!("the client {args:?} failed").into());
        }
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// The other of two nodes has said what it owns.
    pub(crate) fn owns_what_others_do_not(&mut self, other: &Self) {
        let owned: Vec<_> = other
            .owned
            .iter()
            .flat_map(|list| list.split(','))
            .collect();
        let numbers = (0..topic().partitions).map(|number| number.to_string());
        let rest: Vec<_> = numbers.filter(|one| !owned.contains(&&**one)).collect();
        self.owned = Some(rest.join(","));
    }

    /// The time that the server has been on processors.
    fn processor_seconds(&self) -> Outcome<f64> {
        let own = stat(self.child.id())?.ok_or("the server has ended")?;
        let mut ticks = own.ticks;
        if let Some(parent) = self.also {
            for entry in fs::read_dir("/proc")? {
                let id = entry?.file_name().to_string_lossy().parse();
                // One that ends while it is looked at does not count.
                if let Ok(id) = id
                    && let Some(stat) = stat(id)?
                    && (id == parent || stat.parent == parent)
                {
                    ticks += stat.ticks;
                }
            }
        }
        Ok(ticks / TICKS_PER_SECOND)
    }
}

/// What the kernel says of a process.
struct Stat {
    parent: u32,
    /// User and system time.
    ticks: f64,
}

fn stat(id: u32) -> Outcome<Option<Stat>> {
    let Ok(stat) = fs::read_to_string(format!("/proc/{id}/stat")) else {
        return Ok(None);
    };
    // The name, which may have blanks in it, ends at the last parenthesis; the parent is the 2nd word after it, user and system time the 12th and 13th.
    let (_, rest) = stat.rsplit_once(')').ok_or("no name in /proc/…/stat")?;
    let words: Vec<&str> = rest.split_whitespace().collect();
    let word = |at: usize| words.get(at).ok_or("a short /proc/…/stat");
    Ok(Some(Stat {
        parent: word(1)?.parse()?,
        ticks: word(11)?.parse::<f64>()? + word(12)?.parse::<f64>()?,
    }))
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a role to its end on all cores, and gives back what it printed.
pub(crate) fn run(args: &[&str]) -> Outcome<String> {
    let output = command(Cores::All, args)?
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        return Err(format!("{args:?} failed").into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// Says where this process serves, and perhaps more, and serves until the process that started it closes its input.
#[allow(clippy::print_stdout, reason = "its parent reads the address")]
pub(crate) fn announce_and_wait(line: impl std::fmt::Display) {
    println!("{line}");
    // Nothing is ever written there.
    let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
}

/// A line of `/proc/self/status`, in bytes.
pub(crate) fn own_memory(name: &str) -> Outcome<f64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let kilobytes = line
        .and_then(|line| line.split_whitespace().next())
        .ok_or("no such line")?;
    Ok(kilobytes.parse::<f64>()? * 1024.0)
}

/// What the figures were taken on.
pub(crate) fn machine() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("an unknown processor", |(_, model)| model);
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("{model}, {cores} cores, Linux {}", kernel.trim())
}

//! The servers as processes, and the load on them.

use std::{
    env, fs,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Stdio},
    thread,
    time::{Duration, Instant},
};

use memgen_tests::binaries::bench_binary;

use crate::cores::{self, Role};

/// A server. It is killed on drop.
pub(crate) struct Server {
    child: Child,
    base: String,
    /// From the start of the process to the moment at which it was ready.
    pub(crate) ready_after: Duration,
}

/// What a load saw.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outcome {
    pub(crate) per_second: f64,
    pub(crate) median_us: f64,
}

impl Server {
    /// A bare server.
    pub(crate) fn bare(args: &[&str]) -> Self {
        let own = env::current_exe().expect("a running program has a path");
        let mut command = cores::command(Role::Server, &own);
        command.arg("bare").args(args);
        Self::start(command)
    }

    /// `register` on a folder.
    pub(crate) fn register(data: &Path, args: &[&str]) -> Self {
        let mut command = cores::command(Role::Server, &bench_binary("register"));
        for flag in ["--http", "--admin", "--peer"] {
            command.args([flag, "127.0.0.1:0"]);
        }
        command
            .arg("--data")
            .arg(data)
            .args(["--log-level", "warn"])
            .args(args);
        Self::start(command)
    }

    fn start(mut command: std::process::Command) -> Self {
        let started = Instant::now();
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        let mut base = None;
        for line in lines {
            let line = line.expect("it prints text");
            let mut words = line.split_whitespace();
            match (words.next(), words.next()) {
                (Some("api"), Some(address)) => base = Some(address.to_owned()),
                // The last line of a service. A bare server has but one.
                (Some("admin"), Some(_)) => break,
                _ => {}
            }
            if base.is_some() && command.get_args().any(|arg| arg == "bare") {
                break;
            }
        }
        let base = base.expect("a server says where it listens");
        // Served from memory, so it waits for the end of the replay.
        while probe(&base).is_none() {
            thread::sleep(Duration::from_millis(1));
        }
        Self {
            child,
            base,
            ready_after: started.elapsed(),
        }
    }

    /// Sends a load and waits for its end.
    pub(crate) fn load(
        &self,
        what: &str,
        connections: usize,
        amount: &str,
        seed: usize,
    ) -> Outcome {
        let own = env::current_exe().expect("a running program has a path");
        let mut command = cores::command(Role::Load, &own);
        command.args(["load", &self.base, what, &connections.to_string(), amount]);
        let output = command
            .arg(seed.to_string())
            .stderr(Stdio::inherit())
            .output()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        assert!(
            output.status.success(),
            "{what} over {connections} connections"
        );
        let text = String::from_utf8(output.stdout).expect("it prints text");
        let mut numbers = text
            .split_whitespace()
            .map(|word| word.parse::<f64>().expect("it prints numbers"));
        let mut next = || numbers.next().expect("four numbers");
        let (requests, seconds, median_us, _p99_us) = (next(), next(), next(), next());
        Outcome {
            per_second: requests / seconds,
            median_us,
        }
    }

    /// The memory that it holds, in bytes.
    pub(crate) fn resident_bytes(&self) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.expect("the process runs, on Linux");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
        kilobytes.expect("VmRSS is in kB") * 1024.0
    }
}

/// The status of a read, if the server answers and is ready.
fn probe(base: &str) -> Option<u16> {
    use std::{io::Read as _, io::Write as _, net::TcpStream};
    let mut stream = TcpStream::connect(base.trim_start_matches("http://")).ok()?;
    let request = b"GET /r/none HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    stream.write_all(request).ok()?;
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply).ok()?;
    let status = std::str::from_utf8(reply.get(9..12)?).ok()?.parse().ok()?;
    matches!(status, 404 | 405).then_some(status)
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

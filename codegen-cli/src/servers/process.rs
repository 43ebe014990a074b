//! One server process, its folder and its output.

use std::{
    fs::{self, File, OpenOptions},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use super::{ServerError, at};

/// How long a server may take to end by itself.
const STOP_TIMEOUT: Duration = Duration::from_secs(30);
/// How much of its output an error shows.
const TAIL_LINES: usize = 20;

/// What ends a server when its input does: that is when the process that started the server is gone, however it went.
const REAPER: &str = "read line; kill -9 \"$0\"";

/// A server: a Java program in a folder of its own. It ends with this value at the latest, or with the process that started it.
#[derive(Debug)]
pub struct Server {
    name: String,
    port: u16,
    arguments: Vec<String>,
    log: PathBuf,
    child: Option<Child>,
    reaper: Option<Child>,
}

impl Server {
    pub(super) fn new(name: String, port: u16, folder: &Path, arguments: Vec<String>) -> Self {
        Self {
            log: folder.join("output.log"),
            name,
            port,
            arguments,
            child: None,
            reaper: None,
        }
    }

    /// What it is called in messages, such as `kafka 2`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The port on 127.0.0.1 that clients connect to. It stays the same over restarts.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The process, if it was started.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Starts the process, and does not wait until it answers.
    ///
    /// # Errors
    /// [`ServerError`] if Java can't be run.
    pub fn spawn(&mut self) -> Result<(), ServerError> {
        if self.is_running() {
            return Ok(());
        }
        let output = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.log)
            .map_err(at(&self.log))?;
        let errors = output.try_clone().map_err(at(&self.log))?;
        let child = Command::new("java")
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            // Ctrl-C in the terminal is for the program that uses the servers.
            .process_group(0)
            .spawn()
            .map_err(|error| self.down(&format!("can't be started: {error}")))?;
        let reaper = Command::new("sh")
            .args(["-c", REAPER, &child.id().to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn();
        self.child = Some(child);
        self.reaper =
            Some(reaper.map_err(|error| self.down(&format!("can't be watched: {error}")))?);
        Ok(())
    }

    /// Whether the process is there.
    pub fn is_running(&mut self) -> bool {
        self.child
            .as_mut()
            .is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    /// Ends it at once, as a power cut would.
    ///
    /// # Errors
    /// [`ServerError::Down`] if the system does not let us.
    pub fn kill(&mut self) -> Result<(), ServerError> {
        let Some(mut child) = self.child.take() else {
            return Ok(());
        };
        self.leave_reaper();
        let killed = child.kill().and_then(|()| child.wait());
        killed.map_err(|error| self.down(&format!("can't be killed: {error}")))?;
        Ok(())
    }

    /// Asks it to end, and waits until it has.
    ///
    /// # Errors
    /// [`ServerError::Down`] if it does not end in time; it is killed then.
    pub fn stop(&mut self) -> Result<(), ServerError> {
        self.signal(Signal::TERM)?;
        self.leave_reaper();
        let deadline = Instant::now() + STOP_TIMEOUT;
        while self.is_running() {
            if Instant::now() > deadline {
                self.kill()?;
                return Err(self.down("did not end when it was asked to, and was killed"));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        self.child = None;
        Ok(())
    }

    /// Stops its clock: it stays there, and answers nothing.
    ///
    /// # Errors
    /// As [`stop`](Self::stop).
    pub fn pause(&mut self) -> Result<(), ServerError> {
        self.signal(Signal::STOP)
    }

    /// Lets it go on after [`pause`](Self::pause).
    ///
    /// # Errors
    /// As [`stop`](Self::stop).
    pub fn resume(&mut self) -> Result<(), ServerError> {
        self.signal(Signal::CONT)
    }

    /// The number of a process that is gone may be another's soon.
    fn leave_reaper(&mut self) {
        if let Some(mut reaper) = self.reaper.take() {
            // It may be gone with the system's leave only.
            let _ = reaper.kill().and_then(|()| reaper.wait());
        }
    }

    fn signal(&mut self, signal: Signal) -> Result<(), ServerError> {
        if !self.is_running() {
            return Ok(());
        }
        let pid = self.child.as_ref().map(Pid::from_child);
        let Some(pid) = pid else { return Ok(()) };
        kill_process(pid, signal)
            .map_err(|error| self.down(&format!("can't be sent a signal: {error}")))
    }

    pub(super) fn down(&self, what: &str) -> ServerError {
        let text = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        ServerError::Down {
            name: self.name.clone(),
            what: what.to_owned(),
            log: self.log.clone(),
            tail: lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n"),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Nobody is left to tell.
        let _ = self.kill();
    }
}

/// Writes a settings file, one `name=value` a line.
pub(super) fn write_settings(path: &Path, settings: &[(&str, String)]) -> Result<(), ServerError> {
    use std::io::Write as _;
    let mut file = File::create(path).map_err(at(path))?;
    for (name, value) in settings {
        writeln!(file, "{name}={value}").map_err(at(path))?;
    }
    Ok(())
}

/// Arguments of Java for a program that is to start quickly and stay small.
pub(super) fn small(heap: &str) -> Vec<String> {
    vec![
        format!("-Xmx{heap}"),
        "-XX:+UseSerialGC".to_owned(),
        "-XX:TieredStopAtLevel=1".to_owned(),
        "-Djava.net.preferIPv4Stack=true".to_owned(),
    ]
}

/// The same, with the program's jars, its class and its own arguments.
pub(super) fn java(jars: &Path, heap: &str, main: &[&str]) -> Vec<String> {
    let mut arguments = small(heap);
    arguments.extend(["-cp".to_owned(), format!("{}/*", jars.display())]);
    arguments.extend(main.iter().map(|argument| (*argument).to_owned()));
    arguments
}

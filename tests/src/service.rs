//! Services as processes.

use std::{
    env, fs,
    io::{BufRead as _, BufReader, Read, Write as _},
    path::{Path, PathBuf},
    process::{self, Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use crate::{binaries::binary, client::Client, folder::Folder};

/// How long a process may take to become ready, or to end, before the test fails: far longer than either should.
const PATIENCE: Duration = Duration::from_secs(300);

/// How a service is started. It has free ports, and a folder of its own that all its starts share.
#[derive(Clone, Debug)]
pub struct Service {
    binary: PathBuf,
    args: Vec<String>,
    variables: Vec<(String, String)>,
    wrapper: Vec<String>,
    folder: Arc<Folder>,
    data: PathBuf,
}

impl Service {
    /// The service `name`, which is built if it isn't yet.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self::of(binary(name))
    }

    /// The service that a program is.
    #[must_use]
    pub fn of(program: PathBuf) -> Self {
        let folder = Folder::new();
        Self {
            binary: program,
            args: ["--http", "--admin", "--peer"]
                .iter()
                .flat_map(|flag| [(*flag).to_owned(), "127.0.0.1:0".to_owned()])
                .collect(),
            variables: Vec::new(),
            wrapper: Vec::new(),
            data: folder.path().join("data"),
            folder: Arc::new(folder),
        }
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<String>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args(self, args: &[&str]) -> Self {
        args.iter().fold(self, |service, arg| service.arg(*arg))
    }

    /// Gives another value to a flag that has one.
    #[must_use]
    pub fn set(mut self, flag: &str, value: &str) -> Self {
        let at = self.args.iter().position(|arg| arg == flag);
        let at = at.expect("the flag has a value") + 1;
        value.clone_into(&mut self.args[at]);
        self
    }

    /// Takes an argument away.
    #[must_use]
    pub fn without(mut self, arg: &str) -> Self {
        self.args.retain(|one| one != arg);
        self
    }

    /// Starts from no arguments at all: not even those for free ports and the folder.
    #[must_use]
    pub fn only_args(mut self, args: &[&str]) -> Self {
        self.args = args.iter().map(|arg| (*arg).to_owned()).collect();
        self
    }

    /// Sets a variable.
    #[must_use]
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Is another program, with all else as it is.
    #[must_use]
    pub fn with_program(mut self, program: PathBuf) -> Self {
        self.binary = program;
        self
    }

    /// Uses another folder for the log.
    #[must_use]
    pub fn with_data(mut self, data: impl Into<PathBuf>) -> Self {
        self.data = data.into();
        self
    }

    /// Runs the service by another program, such as `unshare -rm`.
    #[must_use]
    pub fn wrapped(mut self, wrapper: &[&str]) -> Self {
        self.wrapper = wrapper.iter().map(|word| (*word).to_owned()).collect();
        self
    }

    /// The folder that holds the log.
    #[must_use]
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// A folder for the test's own files.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Starts it and waits until all its nodes are ready.
    pub async fn start(&self) -> Running {
        let mut running = self.launch();
        running.ready().await;
        running
    }

    /// Starts it, for a test that looks at the time before it is ready.
    #[must_use]
    pub fn launch(&self) -> Running {
        let mut child = self
            .command()
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", self.binary.display()));
        let output = Output::default();
        let kept = kept(child.id());
        let readers = [
            output.follow(child.stdout.take().expect("it is piped"), None),
            output.follow(child.stderr.take().expect("it is piped"), kept),
        ];
        let nodes = self.args.iter().skip_while(|arg| *arg != "--nodes").nth(1);
        Running {
            child,
            nodes: nodes.map_or(1, |nodes| nodes.parse().expect("a number of nodes")),
            output,
            readers: readers.into(),
            folder: Arc::clone(&self.folder),
        }
    }

    /// What it prints and how it ends if it is asked to do something else than to serve.
    #[must_use]
    pub fn ask(&self, task: &[&str]) -> process::Output {
        let output = self.command().args(task).stdin(Stdio::null()).output();
        output.unwrap_or_else(|error| panic!("{}: {error}", self.binary.display()))
    }

    fn command(&self) -> Command {
        let words = self.wrapper.iter().map(PathBuf::from);
        let mut words = words.chain([self.binary.clone()]);
        let mut command = Command::new(words.next().expect("the binary at least"));
        command.args(words);
        // The working folder is the test's, so that a `memgen.toml` there is found and none elsewhere is.
        command.args(&self.args).current_dir(self.folder.path());
        // What is set for the tests is not for the service.
        for (name, _) in env::vars_os() {
            if name.to_string_lossy().starts_with("MEMGEN_") {
                command.env_remove(name);
            }
        }
        for (name, value) in &self.variables {
            command.env(name, value);
        }
        if self.args.iter().any(|arg| arg == "--http") {
            command.arg("--data").arg(&self.data);
        } else {
            command.env("MEMGEN_DATA", &self.data);
        }
        command
    }

    /// Starts it and waits for its end: for starts that must fail. Returns the status and all that it printed.
    pub async fn run(&self) -> (ExitStatus, String) {
        let mut running = self.launch();
        let status = running.wait().await;
        (status, running.output())
    }
}

/// Where a process's log is kept as well, if `MEMGEN_TEST_LOGS` names a folder: for looking at what happened in a long run.
fn kept(process: u32) -> Option<fs::File> {
    let folder = env::var_os("MEMGEN_TEST_LOGS")?;
    let file = Path::new(&folder).join(format!("{process}.log"));
    Some(fs::File::create(file).expect("the folder is there"))
}

/// All that a process printed so far.
#[derive(Clone, Debug, Default)]
struct Output(Arc<Mutex<String>>);

impl Output {
    fn text(&self) -> MutexGuard<'_, String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn follow(
        &self,
        source: impl Read + Send + 'static,
        mut kept: Option<fs::File>,
    ) -> thread::JoinHandle<()> {
        let output = self.clone();
        thread::spawn(move || {
            let mut source = BufReader::new(source);
            let mut line = Vec::new();
            while matches!(source.read_until(b'\n', &mut line), Ok(1..)) {
                output.text().push_str(&String::from_utf8_lossy(&line));
                if let Some(kept) = &mut kept {
                    kept.write_all(&line).expect("the folder can be written");
                }
                line.clear();
            }
        })
    }
}

/// A process. It is killed on drop.
#[derive(Debug)]
pub struct Running {
    child: Child,
    nodes: usize,
    output: Output,
    readers: Vec<thread::JoinHandle<()>>,
    /// Kept while the process may write into it.
    folder: Arc<Folder>,
}

impl Running {
    /// Waits until all nodes are ready.
    pub async fn ready(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Ok(Some(status)) = self.child.try_wait() {
                self.join_readers();
                panic!("it ended with {status}:\n{}", self.output());
            }
            assert!(
                Instant::now() < deadline,
                "not ready after {PATIENCE:?}:\n{}",
                self.output()
            );
            if self.is_ready().await {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn is_ready(&self) -> bool {
        let admins = self.addresses("admin");
        if admins.len() < self.nodes || self.addresses("api").len() < self.nodes {
            return false;
        }
        for admin in &admins {
            let reply = Client::new(admin)
                .request("GET", "/readyz")
                .try_send()
                .await;
            if !reply.is_ok_and(|reply| reply.status == 200) {
                return false;
            }
        }
        true
    }

    /// The addresses that the process printed: lines `api http://…` and `admin http://…`, after `node 1` and so on if there are several.
    #[must_use]
    pub fn addresses(&self, kind: &str) -> Vec<String> {
        let output = self.output.text();
        let address = |line: &str| {
            let mut words = line.split_whitespace().skip_while(|word| *word != kind);
            let address = words.nth(1)?;
            address.starts_with("http://").then(|| address.to_owned())
        };
        output.lines().filter_map(address).collect()
    }

    /// A new client of the first node.
    #[must_use]
    pub fn client(&self) -> Client {
        self.client_of(0)
    }

    /// A new client of node `index`, from 0.
    #[must_use]
    pub fn client_of(&self, index: usize) -> Client {
        Client::new(self.addresses("api").remove(index))
    }

    /// A new client of the first node's admin listener.
    #[must_use]
    pub fn admin(&self) -> Client {
        Client::new(self.addresses("admin").remove(0))
    }

    /// All that it printed so far.
    #[must_use]
    pub fn output(&self) -> String {
        self.output.text().clone()
    }

    /// Waits until it has printed something. What a process prints comes by a pipe, and so perhaps after its answer.
    ///
    /// # Panics
    /// If it does not.
    pub async fn prints(&self, what: &str) {
        let began = Instant::now();
        while !self.output().contains(what) {
            assert!(
                began.elapsed() < PATIENCE,
                "it does not print `{what}`:\n{}",
                self.output()
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// The process's id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The state of the process, see [`process_state`].
    #[must_use]
    pub fn state(&self) -> char {
        process_state(self.id())
    }

    /// The files that the process has open, sockets among them.
    #[must_use]
    pub fn open_files(&self) -> usize {
        let open = fs::read_dir(format!("/proc/{}/fd", self.id()));
        open.expect("the process runs, on Linux").count()
    }

    /// The memory that the process holds, in bytes.
    #[must_use]
    pub fn resident_bytes(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id()))
            .expect("the process runs, on Linux");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        kilobytes.expect("VmRSS is in kB") * 1024
    }

    /// `kill -9`, and waits for the end.
    pub fn kill_9(&mut self) {
        self.child.kill().expect("the process is ours");
        self.child.wait().expect("the process is ours");
        self.join_readers();
    }

    /// Asks it to end, and waits until it has.
    pub async fn terminate(&mut self) -> ExitStatus {
        self.signal("TERM");
        self.wait().await
    }

    /// Sends the process a signal, such as `STOP`.
    pub fn signal(&self, name: &str) {
        let id = self.id().to_string();
        let sent = Command::new("kill")
            .args([&format!("-{name}"), &id])
            .status();
        assert!(sent.is_ok_and(|status| status.success()), "-{name} {id}");
    }

    /// Waits for its end.
    pub async fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("the process is ours") {
                self.join_readers();
                return status;
            }
            assert!(
                Instant::now() < deadline,
                "it runs after {PATIENCE:?}:\n{}",
                self.output()
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// The folder for the test's own files.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Checks that the process runs and that no thread of it panicked.
    pub fn assert_sound(&mut self) {
        let ended = self.child.try_wait().expect("the process is ours");
        let output = self.output();
        assert_eq!(ended, None, "it ended:\n{output}");
        assert!(!output.contains("panicked at"), "{output}");
    }

    fn join_readers(&mut self) {
        for reader in self.readers.drain(..) {
            // A reader can't fail but by a panic, and it has none.
            let _ = reader.join();
        }
    }
}

/// The state of a process by the letter of `/proc`: `T` for one that is stopped.
#[must_use]
pub fn process_state(process: u32) -> char {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"));
    let stat = stat.expect("it runs");
    let (_, behind) = stat.rsplit_once(") ").expect("a name in parentheses");
    behind.chars().next().expect("a letter")
}

impl Drop for Running {
    #[allow(clippy::print_stderr, reason = "cargo shows it where a test fails")]
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("what the service printed:\n{}", self.output());
        }
    }
}

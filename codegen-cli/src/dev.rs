//! `memgen dev`: generate, build, run; and again when something changes.
//!
//! The service that runs goes on until a new one was built; then it ends in its own way (SIGTERM), and the new one takes over its data.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::{Duration, SystemTime},
};

use clap::Args;
use notify::{RecursiveMode, Watcher as _};
use tokio::{
    process::{Child, Command},
    signal::unix::{SignalKind, signal},
    sync::mpsc,
    time::{sleep, timeout},
};

use crate::{
    cargo::Build,
    cli::Failure,
    diagnostic::Diagnostics,
    exit::Exit,
    generate, lock, names, spec,
    ui::{Ui, count},
};

/// How long a burst of changes may be: editors write a file in several steps.
const QUIET: Duration = Duration::from_millis(80);
/// How long a service may take to end before it is killed. Its own limit for requests in progress is shorter.
const GRACE: Duration = Duration::from_secs(30);

/// What to run, and where.
#[derive(Clone, Debug, Args)]
pub struct Options {
    /// The document: YAML or JSON, OpenAPI 3.0 or 3.1.
    spec: PathBuf,
    /// The folder of the crate. Otherwise that of the document if it has a `memgen.lock`, else a new one that is called after the API.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// An overlay (OpenAPI Overlay 1.0) for the document.
    #[arg(long, value_name = "FILE")]
    overlay: Option<PathBuf>,
    #[command(flatten)]
    source: generate::Source,
    /// Builds with optimizations.
    #[arg(long)]
    release: bool,
    /// Ends when the service serves and nothing is left to do: for scripts. The service ends, too.
    #[arg(long, hide = true)]
    once: bool,
    /// Arguments for the service, such as `-- --http 127.0.0.1:8000`. Its data are in the folder `data` of the crate, if they don't say otherwise.
    #[arg(last = true, value_name = "SERVICE ARGUMENTS")]
    service: Vec<String>,
}

/// Runs until it is interrupted.
///
/// # Errors
/// If the folder can't be followed, or there is no cargo.
pub fn run(ui: Ui, options: &Options) -> Result<Exit, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(Dev::start(ui, options).run())
}

/// A session.
struct Dev<'a> {
    ui: Ui,
    options: &'a Options,
    dir: PathBuf,
    /// The files of the document, those that are missing among them.
    files: Vec<PathBuf>,
    running: Option<Child>,
    /// What the last round was made of.
    seen: Inputs,
    /// Whether it was said that a folder can't be followed.
    is_blind: bool,
}

/// The time and length of each file.
type Inputs = BTreeMap<PathBuf, (SystemTime, u64)>;

/// What happened.
enum Event {
    Changed,
    Ended(std::io::Result<ExitStatus>),
    Interrupted,
}

impl<'a> Dev<'a> {
    fn start(ui: Ui, options: &'a Options) -> Self {
        let dir = match &options.dir {
            Some(dir) => dir.clone(),
            None => folder(&options.spec),
        };
        Self {
            ui,
            options,
            dir,
            files: vec![options.spec.clone()],
            running: None,
            seen: Inputs::new(),
            is_blind: false,
        }
    }

    async fn run(mut self) -> Result<Exit, Failure> {
        // A name that is misspelt is nothing to wait for.
        let document = &self.options.spec;
        fs::metadata(document).map_err(|error| format!("{}: {error}", document.display()))?;
        let (sender, mut changes) = mpsc::unbounded_channel();
        let mut watcher =
            notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
                // Reading a file is no change of it.
                if event.is_ok_and(|event| !event.kind.is_access()) {
                    let _ = sender.send(());
                }
            })?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        loop {
            let built = tokio::select! {
                built = self.round() => built?,
                _ = interrupt.recv() => return Ok(self.end().await),
                _ = terminate.recv() => return Ok(self.end().await),
            };
            if self.options.once {
                self.stop().await;
                return Ok(if built { Exit::Done } else { Exit::Failed });
            }
            self.follow(&mut watcher);
            self.ui.step("Watching", "for changes; Ctrl-C ends it");
            loop {
                let event = tokio::select! {
                    _ = changes.recv() => Event::Changed,
                    ended = wait(&mut self.running) => Event::Ended(ended),
                    _ = interrupt.recv() => Event::Interrupted,
                    _ = terminate.recv() => Event::Interrupted,
                };
                match event {
                    Event::Interrupted => return Ok(self.end().await),
                    Event::Ended(status) => {
                        self.running = None;
                        match status {
                            Ok(status) => self.ui.warning(format_args!(
                                "the service has ended: {status}; it is started again at the next change"
                            )),
                            Err(error) => self
                                .ui
                                .warning(format_args!("the service is lost: {error}")),
                        }
                    }
                    Event::Changed => {
                        while timeout(QUIET, changes.recv()).await.is_ok() {}
                        // Folders may be new.
                        self.follow(&mut watcher);
                        if self.inputs() != self.seen {
                            break;
                        }
                    }
                }
            }
        }
    }

    async fn end(&mut self) -> Exit {
        self.stop().await;
        Exit::Done
    }

    /// Follows all folders, also those that were made anew.
    fn follow(&mut self, watcher: &mut notify::RecommendedWatcher) {
        for folder in self.folders() {
            if let Err(error) = watcher.watch(&folder, mode(&folder))
                && !self.is_blind
            {
                self.is_blind = true;
                self.ui.warning(format_args!(
                    "{} can't be followed, so changes in it go unseen: {error}",
                    folder.display()
                ));
            }
        }
    }

    /// Generates, builds, and lets the new service take the place of the old one. Says whether it serves.
    async fn round(&mut self) -> Result<bool, Failure> {
        // Before anything is read, so that no change is missed; and again, since files of the user's are written the first time.
        self.seen = self.inputs();
        if !self.generate() {
            return Ok(false);
        }
        self.seen = self.inputs();
        let Some(binary) = self.build().await? else {
            self.ui.error(if self.running.is_some() {
                "the build failed; the service as it was before goes on"
            } else {
                "the build failed"
            });
            return Ok(false);
        };
        if !self.can_read_the_log(&binary).await? {
            self.ui.error(format_args!(
                "the service could not read the log any more{}. Mend it, or remove {} if nothing in it is needed",
                if self.running.is_some() {
                    "; as it was before it goes on"
                } else {
                    ""
                },
                self.dir.join("data").display()
            ));
            return Ok(false);
        }
        self.stop().await;
        self.serve(&binary)?;
        if self.options.once {
            // Long enough for the service to say that it can't start.
            let early = timeout(Duration::from_secs(2), wait(&mut self.running)).await;
            return Ok(early.is_err());
        }
        Ok(true)
    }

    /// Brings the crate up to date. Says whether it could.
    fn generate(&mut self) -> bool {
        let mut diagnostics = Diagnostics::default();
        let options = generate::Options {
            out: self.dir.clone(),
            name: None,
            overlay: self.options.overlay.clone(),
            source: self.options.source.clone(),
            force: false,
        };
        let outcome = generate::generate(&self.options.spec, &options, &mut diagnostics);
        let (sources, generated) = match outcome {
            Ok(outcome) => outcome,
            Err(error) => {
                self.ui.error(error);
                return false;
            }
        };
        self.ui.diagnostics(&sources, &diagnostics);
        let base = self.options.spec.parent().unwrap_or(Path::new(""));
        let read = sources.names().map(|name| base.join(name));
        self.files = read.chain(sources.missing().map(Path::to_owned)).collect();
        let Some(generated) = generated else {
            return false;
        };
        generated.plan.warn(self.ui);
        if let Err(error) = generated.plan.apply() {
            self.ui.error(error);
            return false;
        }
        let changes = generated.plan.changes.len();
        if changes > 0 {
            let what = format!("{} in {}", count(changes, "file"), self.dir.display());
            self.ui.step("Generated", what);
        }
        true
    }

    /// Builds the crate, with cargo's own messages. The path of the program, if there is one.
    async fn build(&self) -> Result<Option<PathBuf>, Failure> {
        let manifest = self.dir.join("Cargo.toml");
        let build = Build {
            manifest: Some(&manifest),
            release: self.options.release,
            quiet: self.ui.quiet(),
            ..Build::default()
        };
        let Some(mut programs) = build.run().await? else {
            return Ok(None);
        };
        let program = programs.pop();
        let program =
            program.ok_or_else(|| format!("{} has no program to run", manifest.display()));
        Ok(Some(program?.path))
    }

    /// Whether the new service can read the log that is there. It says itself why not.
    async fn can_read_the_log(&self, binary: &Path) -> Result<bool, Failure> {
        let mut service = Command::new(binary);
        service
            .args(&self.options.service)
            .arg("--check-log")
            .current_dir(&self.dir)
            .stdout(Stdio::null())
            .kill_on_drop(true);
        let status = service.status().await?;
        Ok(status.code() != Some(i32::from(Exit::Incompatible as u8)))
    }

    fn serve(&mut self, binary: &Path) -> Result<(), Failure> {
        self.ui.step(
            "Running",
            format_args!(
                "{} with the data in {}",
                binary.display(),
                self.dir.join("data").display()
            ),
        );
        let mut service = Command::new(binary);
        service
            .args(&self.options.service)
            .current_dir(&self.dir)
            .kill_on_drop(true);
        self.running = Some(service.spawn()?);
        Ok(())
    }

    /// Ends the service that runs: it settles what it has, and closes its log.
    async fn stop(&mut self) {
        // It stays in its place until it has ended: an interrupt may come in between.
        let Some(child) = self.running.as_mut() else {
            return;
        };
        let process = child
            .id()
            .and_then(|id| rustix::process::Pid::from_raw(id.try_into().ok()?));
        if let Some(process) = process {
            let _ = rustix::process::kill_process(process, rustix::process::Signal::TERM);
        }
        if timeout(GRACE, child.wait()).await.is_err() {
            self.ui
                .warning("the service did not end in time; it is killed");
            let _ = child.kill().await;
        }
        self.running = None;
    }

    /// What the service is made of, with the time and length of each file: a burst of events that changed none of it is nothing.
    fn inputs(&self) -> Inputs {
        let mut inputs = Inputs::new();
        let mut add = |path: &Path| {
            if let Ok(metadata) = fs::metadata(path) {
                let time = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
                inputs.insert(path.to_owned(), (time, metadata.len()));
            }
        };
        for file in self.files.iter().chain(&self.options.overlay) {
            add(file);
        }
        for name in ["Cargo.toml", "memgen.toml", "build.rs"] {
            add(&self.dir.join(name));
        }
        let mut folders = vec![self.dir.join("src")];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
                let path = entry.path();
                match entry.file_type() {
                    // It is made of the document.
                    Ok(kind) if kind.is_dir() && entry.file_name() == "generated" => {}
                    Ok(kind) if kind.is_dir() => folders.push(path),
                    Ok(_) => add(&path),
                    Err(_) => {}
                }
            }
        }
        inputs
    }

    /// The folders in which changes count. Not the files: many editors put a new one in the place of the old.
    fn folders(&self) -> Vec<PathBuf> {
        let mut folders = vec![self.dir.clone(), self.dir.join("src")];
        for file in self.files.iter().chain(&self.options.overlay) {
            // A file that is missing may want a folder that is missing, too.
            let above = file.ancestors().skip(1);
            let mut above = above.map(|one| {
                if one.as_os_str().is_empty() {
                    Path::new(".")
                } else {
                    one
                }
            });
            folders.extend(above.find(|one| one.is_dir()).map(Path::to_owned));
        }
        folders.retain(|folder| folder.is_dir());
        folders.sort();
        folders.dedup();
        folders
    }
}

/// All below `src`; elsewhere only the folder itself, since `target` and `data` change all the time.
fn mode(folder: &Path) -> RecursiveMode {
    if folder.ends_with("src") {
        RecursiveMode::Recursive
    } else {
        RecursiveMode::NonRecursive
    }
}

/// The end of a process, if there is one; otherwise never.
async fn wait(running: &mut Option<Child>) -> std::io::Result<ExitStatus> {
    match running {
        Some(child) => child.wait().await,
        None => loop {
            sleep(Duration::from_secs(3600)).await;
        },
    }
}

/// The folder of the crate, where nobody says so: the document's own, or one that is called after the API.
fn folder(document: &Path) -> PathBuf {
    let own = document.parent().unwrap_or(Path::new(""));
    if own.join(lock::PATH).exists() {
        return if own.as_os_str().is_empty() {
            PathBuf::from(".")
        } else {
            own.to_owned()
        };
    }
    let mut unread = Diagnostics::default();
    let (_, spec) = spec::read(document, &mut unread);
    let title = spec.and_then(|spec| Some(spec.tree.pointer("/info/title")?.as_str()?.to_owned()));
    let name = names::value_name(title.as_deref().unwrap_or("service")).replace('_', "-");
    own.join(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::Color;

    #[test]
    fn a_crate_is_beside_its_document_or_in_its_own_folder() {
        let there = tempfile::tempdir().unwrap();
        let document = there.path().join("openapi.yaml");
        let of = |text: &str| {
            fs::write(&document, text).unwrap();
            folder(&document)
        };
        let titled = "openapi: 3.1.0\ninfo: {title: Pad of Notes, version: '1'}\npaths: {}\n";
        assert_eq!(of(titled), there.path().join("pad-of-notes"));
        assert_eq!(of("openapi: ["), there.path().join("service"));
        fs::write(there.path().join(lock::PATH), "").unwrap();
        assert_eq!(of(titled), there.path());
    }

    /// A file that is missing is seen as soon as it is there, and its folder before that.
    #[test]
    fn missing_files_are_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let document = folder.path().join("openapi.yaml");
        let text = "openapi: 3.1.0\ninfo: {title: T, version: '1'}\npaths: {}\ncomponents: {schemas: {A: {$ref: 'beside/parts/a.yaml'}}}\n";
        fs::write(&document, text).unwrap();
        let options = Options {
            spec: document,
            dir: Some(folder.path().join("out")),
            overlay: Some(folder.path().join("overlays/one.yaml")),
            source: generate::Source::default(),
            release: false,
            once: false,
            service: Vec::new(),
        };
        let mut dev = Dev::start(Ui::new(true, Color::Never), &options);
        assert!(!dev.generate(), "there is no overlay");
        let before = dev.inputs();
        fs::create_dir(folder.path().join("overlays")).unwrap();
        fs::write(
            options.overlay.as_ref().unwrap(),
            "overlay: 1.0.0\ninfo: {title: O, version: '1'}\nactions: []\n",
        )
        .unwrap();
        assert_ne!(dev.inputs(), before);

        assert!(dev.generate());
        let before = dev.inputs();
        let beside = folder.path().join("beside");
        let parts = beside.join("parts");
        assert!(dev.folders().contains(&folder.path().to_owned()));
        fs::create_dir(&beside).unwrap();
        assert!(dev.folders().contains(&beside), "the nearest that is there");
        fs::create_dir(&parts).unwrap();
        assert!(dev.folders().iter().any(|folder| folder.ends_with("parts")));
        assert_eq!(dev.inputs(), before);
        fs::write(parts.join("a.yaml"), "type: string\n").unwrap();
        assert_ne!(dev.inputs(), before);
    }
}

//! The one precedence: flag, then variable, then file, then default.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    fmt,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use super::{
    Config, checks, file, flags, help,
    kafka::is_secret,
    settings::{SETTINGS, Setting, VARIABLE_PREFIX},
    task::{Asked, Task},
    values,
};

/// The file that is read if none is named.
const FILE: &str = "memgen.toml";
const CONFIG_VARIABLE: &str = "MEMGEN_CONFIG";

/// No file of settings is longer; a longer one is something else.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Where settings come from.
#[derive(Clone, Debug)]
pub struct Sources {
    /// The arguments, without the program's name.
    pub args: Vec<OsString>,
    /// The environment.
    pub variables: Vec<(OsString, OsString)>,
    /// The working directory: `memgen.toml` is looked for here.
    pub folder: PathBuf,
}

impl Sources {
    /// Those of this process.
    #[must_use]
    pub fn of_this_process() -> Self {
        Self {
            args: std::env::args_os().skip(1).collect(),
            variables: std::env::vars_os().collect(),
            folder: PathBuf::new(),
        }
    }
}

/// Why there is nothing to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Help, or the version, was asked for: this is it.
    Asked(String),
    /// Something else than serving was asked for.
    Task(Task),
    /// Settings are wrong: this says which, where they were set, and what is legal.
    Wrong(String),
}

impl Stop {
    /// Prints the text where it belongs, and ends the process with 0 or 2.
    pub fn exit(self) -> ! {
        // A reader that went away (`| head`) is no reason to fail otherwise than said.
        match self {
            Self::Asked(text) => {
                let _ = io::stdout().write_all(text.as_bytes());
                std::process::exit(0)
            }
            Self::Task(_) => {
                let _ = io::stderr().write_all(b"only the whole service can do this\n");
                std::process::exit(2)
            }
            Self::Wrong(text) => {
                let _ = io::stderr().write_all(text.as_bytes());
                std::process::exit(2)
            }
        }
    }
}

/// Where a value was set.
#[derive(Clone, Debug)]
pub(super) enum Origin {
    Flag,
    Positional(&'static str),
    Variable,
    /// The file and the line.
    File(PathBuf, usize),
    Default,
}

/// A value that was set.
pub(super) struct Given {
    pub(super) setting: &'static Setting,
    pub(super) text: String,
    pub(super) origin: Origin,
}

impl Given {
    /// As whoever set it wrote it.
    fn shown(&self) -> String {
        let (name, text) = (self.setting.name, values::redact(&self.text));
        match &self.origin {
            Origin::Flag => format!("--{name} {text}"),
            Origin::Positional(place) => format!("{place} {text}"),
            Origin::Variable => format!("{}={text}", self.setting.variable()),
            Origin::File(path, line) => format!("{}:{line}: {name} = {text}", path.display()),
            Origin::Default => format!("{name} {text} (the default)"),
        }
    }
}

/// What the name of a setting of librdkafka begins with, in flags and in the file.
pub(super) const KAFKA: &str = "kafka.";
const KAFKA_VARIABLE: &str = "MEMGEN_KAFKA_";

/// A setting that is passed through to librdkafka.
pub(super) struct Passed {
    /// Its own name, such as `security.protocol`.
    pub(super) name: String,
    pub(super) text: String,
    pub(super) origin: Origin,
}

impl Passed {
    /// As whoever set it wrote it, without secrets.
    fn shown(&self) -> String {
        let name = &self.name;
        let text = if is_secret(name) { "…" } else { &self.text };
        match &self.origin {
            Origin::Variable => {
                let name = name.to_ascii_uppercase().replace('.', "_");
                format!("{KAFKA_VARIABLE}{name}={text}")
            }
            Origin::File(path, line) => {
                format!("{}:{line}: {KAFKA}{name} = {text}", path.display())
            }
            Origin::Flag | Origin::Positional(_) | Origin::Default => {
                format!("--{KAFKA}{name} {text}")
            }
        }
    }
}

/// All that one source sets.
#[derive(Default)]
pub(super) struct Said {
    pub(super) given: Vec<Given>,
    pub(super) passed: Vec<Passed>,
}

/// One thing that is wrong.
pub(super) struct Wrong {
    origin: Origin,
    subject: String,
    what: String,
}

impl Wrong {
    pub(super) fn new(origin: Origin, what: impl Into<String>) -> Self {
        Self {
            origin,
            subject: String::new(),
            what: what.into(),
        }
    }

    /// What it is about, as it was written.
    pub(super) fn of(self, subject: &str) -> Self {
        Self {
            subject: values::redact(subject),
            ..self
        }
    }

    /// The text that was given for a position.
    pub(super) fn given(self, text: &str) -> Self {
        self.of(text)
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            Origin::File(path, line) => write!(f, "{}:{line}: ", path.display())?,
            Origin::Positional(place) => write!(f, "{place} ")?,
            Origin::Flag | Origin::Variable | Origin::Default => {}
        }
        if self.subject.is_empty() {
            f.write_str(&self.what)
        } else {
            write!(f, "{}: {}", self.subject, self.what)
        }
    }
}

/// The value of each setting that is set, and where it was.
pub(super) struct Sourced(BTreeMap<&'static str, Given>);

impl Sourced {
    pub(super) fn is_set(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// The setting as it was written, or its name if it was not.
    pub(super) fn shown(&self, name: &str) -> String {
        self.0
            .get(name)
            .map_or_else(|| name.to_owned(), Given::shown)
    }
}

pub(super) fn load(service: &str, version: &str, sources: &Sources) -> Result<Config, Stop> {
    let mut wrong = Vec::new();
    let flags = flags::read(&sources.args, &mut wrong);
    if flags.help {
        return Err(Stop::Asked(help::help(service, version)));
    }
    if flags.version {
        return Err(Stop::Asked(format!(
            "{service} {version} (memgen {})\n",
            env!("CARGO_PKG_VERSION")
        )));
    }
    // These need no settings, and are not disturbed by them.
    let with_log = match flags.task {
        Some(Asked::PrintLayouts) if wrong.is_empty() => {
            return Err(Stop::Task(Task::PrintLayouts));
        }
        Some(Asked::CheckLayouts(file)) if wrong.is_empty() => {
            return Err(Stop::Task(Task::CheckLayouts(file)));
        }
        Some(Asked::WithLog(task)) => Some(task),
        _ => None,
    };
    let mut warnings = Vec::new();
    let (variables, config_variable) = variables(&sources.variables, &mut wrong, &mut warnings);
    let in_file = match (flags.config, config_variable) {
        (Some(path), _) => read_file(
            sources,
            Path::new(&path),
            &format!("--config {path}"),
            &mut wrong,
        ),
        (None, Some(path)) => {
            let shown = format!("{CONFIG_VARIABLE}={}", path.display());
            read_file(sources, &path, &shown, &mut wrong)
        }
        (None, None) if sources.folder.join(FILE).exists() => {
            read_file(sources, Path::new(FILE), FILE, &mut wrong)
        }
        (None, None) => Said::default(),
    };
    // The weakest first: what comes later replaces it.
    let said = [in_file, variables, flags.said];
    let mut config = settle(service, said, flags.partitions, wrong)?;
    warnings.append(&mut config.warnings);
    config.warnings = warnings;
    match with_log {
        Some(task) => Err(Stop::Task(Task::WithLog(task, Box::new(config)))),
        None => Ok(config),
    }
}

/// The settings of all sources, unless something is wrong with them, or already was.
pub(super) fn settle(
    service: &str,
    sources: impl IntoIterator<Item = Said>,
    partitions: Option<u32>,
    mut wrong: Vec<Wrong>,
) -> Result<Config, Stop> {
    let mut by_name = BTreeMap::new();
    let mut passed = BTreeMap::new();
    for said in sources {
        by_name.extend(said.given.into_iter().map(|it| (it.setting.name, it)));
        passed.extend(said.passed.into_iter().map(|it| (it.name.clone(), it)));
    }
    let settings = Sourced(by_name);
    // A service's name need not be legal as a cluster's: then it is what the default says.
    let cluster = values::name(service).unwrap_or_else(|_| Config::default().cluster);
    let mut config = Config {
        cluster,
        partitions,
        ..Config::default()
    };
    let mut set_wrong = Vec::new();
    // In the order of the help, so that the report has one order too.
    for setting in SETTINGS {
        let Some(given) = settings.0.get(setting.name) else {
            continue;
        };
        if let Err(what) = (setting.set)(&mut config, &given.text) {
            set_wrong.push(setting.name);
            wrong.push(Wrong::new(Origin::Default, what).of(&given.shown()));
        }
    }
    for passed in passed.values() {
        if let Err(what) = config.kafka.settings.set(&passed.name, &passed.text) {
            wrong.push(Wrong::new(Origin::Default, what).of(&passed.shown()));
        }
    }
    if wrong.is_empty() {
        for (name, what) in checks::check(&config) {
            let subject = settings.0.get(name).map_or_else(
                || {
                    let setting = super::settings::find(name).expect("checks name settings");
                    Given {
                        setting,
                        text: (setting.show)(&config),
                        origin: Origin::Default,
                    }
                    .shown()
                },
                Given::shown,
            );
            wrong.push(Wrong::new(Origin::Default, what).of(&subject));
        }
    }
    if !wrong.is_empty() {
        return Err(Stop::Wrong(report(service, &wrong)));
    }
    config.warnings = checks::warnings(&config, &settings);
    Ok(config)
}

fn report(service: &str, wrong: &[Wrong]) -> String {
    use fmt::Write as _;
    let mut text = match wrong.len() {
        1 => format!("{service}: a setting is wrong:\n"),
        number => format!("{service}: {number} settings are wrong:\n"),
    };
    for wrong in wrong {
        let _ = writeln!(text, "  {wrong}");
    }
    let _ = writeln!(
        text,
        "Nothing was started. `{service} --help` explains each setting."
    );
    text
}

/// The values that `MEMGEN_…` variables set, and the file that `MEMGEN_CONFIG` names.
fn variables(
    variables: &[(OsString, OsString)],
    wrong: &mut Vec<Wrong>,
    warnings: &mut Vec<String>,
) -> (Said, Option<PathBuf>) {
    let mut said = Said::default();
    let mut config = None;
    for (name, value) in variables {
        let Some(name) = name
            .to_str()
            .filter(|name| name.starts_with(VARIABLE_PREFIX))
        else {
            continue;
        };
        if name == CONFIG_VARIABLE {
            config = Some(PathBuf::from(value));
            continue;
        }
        let Some(setting) = SETTINGS.iter().find(|setting| setting.variable() == name) else {
            if let Some(passed) = name.strip_prefix(KAFKA_VARIABLE) {
                match value.to_str() {
                    // None of librdkafka's names has an underscore.
                    Some(text) => said.passed.push(Passed {
                        name: passed.to_ascii_lowercase().replace('_', "."),
                        text: text.to_owned(),
                        origin: Origin::Variable,
                    }),
                    None => wrong.push(not_text(name)),
                }
                continue;
            }
            // Not an error: the variable may be meant for something else of that name.
            let names: Vec<String> = SETTINGS.iter().map(Setting::variable).collect();
            let hint = values::did_you_mean(
                &name[VARIABLE_PREFIX.len()..].replace('_', "-"),
                SETTINGS.iter().map(|setting| setting.name),
            );
            let hint = names
                .iter()
                .zip(SETTINGS)
                .find(|(_, setting)| hint.contains(&format!("`{}`", setting.name)));
            let hint =
                hint.map_or_else(String::new, |(name, _)| format!("; did you mean `{name}`?"));
            warnings.push(format!("the variable {name} sets nothing{hint}"));
            continue;
        };
        match value.to_str() {
            Some(text) => said.given.push(Given {
                setting,
                text: text.to_owned(),
                origin: Origin::Variable,
            }),
            None => wrong.push(not_text(name)),
        }
    }
    (said, config)
}

fn not_text(variable: &str) -> Wrong {
    Wrong::new(Origin::Variable, "it is not valid UTF-8").of(variable)
}

fn read_file(sources: &Sources, path: &Path, shown: &str, wrong: &mut Vec<Wrong>) -> Said {
    if path.as_os_str() == OsStr::new("") {
        wrong.push(Wrong::new(Origin::Default, "expected a file").of(shown));
        return Said::default();
    }
    match read_bounded(&sources.folder.join(path)) {
        Ok(text) => file::read(path, &text, wrong),
        Err(error) => {
            wrong.push(
                Wrong::new(Origin::Default, format!("the file can't be read: {error}")).of(shown),
            );
            Said::default()
        }
    }
}

fn read_bounded(path: &Path) -> io::Result<String> {
    use io::Read as _;
    let mut text = String::new();
    std::fs::File::open(path)?
        .take(FILE_BYTES_MAX + 1)
        .read_to_string(&mut text)?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(io::Error::other("it is too long to be a file of settings"));
    }
    Ok(text)
}

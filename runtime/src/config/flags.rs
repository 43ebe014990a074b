//! The command line, split into flags and the positional form.
//!
//! `clap` renders the help, but does not parse: it stops at the first mistake, and here all mistakes are reported together with those
//! of the variables and the file.

use std::{collections::BTreeSet, ffi::OsString};

use super::{
    PARTITIONS_MAX,
    load::{Given, KAFKA, Origin, Passed, Said, Wrong},
    settings::{self, SETTINGS, Setting},
    task::{self, Asked, TASKS, TaskFlag},
    values,
};

/// What the command line says.
#[derive(Default)]
pub(super) struct Flags {
    pub(super) said: Said,
    pub(super) config: Option<String>,
    pub(super) partitions: Option<u32>,
    pub(super) help: bool,
    pub(super) version: bool,
    /// What is to be done instead of serving.
    pub(super) task: Option<Asked>,
}

/// The flags that are neither settings nor tasks.
const OTHERS: [&str; 3] = ["config", "help", "version"];

/// The positional form, by the names that the help and the errors use.
pub(super) const POSITIONS: [&str; 6] = [
    "SYSTEM",
    "PEER_PORT",
    "HOST",
    "HTTP_PORT",
    "PARTITIONS",
    "SERVED",
];

/// Splits the arguments, without the program's name. What is wrong is added to `wrong`.
pub(super) fn read(args: &[OsString], wrong: &mut Vec<Wrong>) -> Flags {
    let mut flags = Flags::default();
    let mut positional = Vec::new();
    let mut seen = BTreeSet::new();
    let mut args = args
        .iter()
        .map(|arg| arg.to_string_lossy())
        .zip(args)
        .peekable();
    while let Some((arg, raw)) = args.next() {
        if raw.to_str().is_none() {
            wrong.push(Wrong::new(Origin::Flag, "it is not valid UTF-8").of(&arg));
            continue;
        }
        match &*arg {
            "-h" | "--help" => flags.help = true,
            "-V" | "--version" => flags.version = true,
            _ => {
                let Some(flag) = arg.strip_prefix("--") else {
                    if arg.starts_with('-') {
                        wrong.push(
                            Wrong::new(Origin::Flag, "there is no such flag; see --help").of(&arg),
                        );
                    } else {
                        positional.push(arg.into_owned());
                    }
                    continue;
                };
                let (name, attached) = match flag.split_once('=') {
                    Some((name, value)) => (name, Some(value.to_owned())),
                    None => (flag, None),
                };
                let task = task::find(name);
                let takes_none = task.is_some_and(|task| task.value.is_none());
                // A value never begins with `--`, so that a forgotten one does not swallow the next flag.
                let value = attached.or_else(|| {
                    if takes_none {
                        return Some(String::new());
                    }
                    args.next_if(|(next, raw)| !next.starts_with("--") && raw.to_str().is_some())
                        .map(|(next, _)| next.into_owned())
                });
                let shown = format!("--{name}");
                let setting = settings::find(name);
                let passed = name.strip_prefix(KAFKA);
                if setting.is_none() && passed.is_none() && task.is_none() && name != "config" {
                    let settings = SETTINGS.iter().map(|setting| setting.name);
                    let tasks = TASKS.iter().map(|task| task.name);
                    let names = settings.chain(tasks).chain(OTHERS);
                    let hint = values::did_you_mean(name, names)
                        .replace('`', "`--")
                        .replace("`--?", "`?");
                    wrong.push(
                        Wrong::new(Origin::Flag, format!("there is no such flag{hint}")).of(&shown),
                    );
                } else if !seen.insert(name.to_owned()) {
                    wrong.push(Wrong::new(Origin::Flag, "it is given twice").of(&shown));
                } else if let (Some(task), Some(value)) = (task, &value) {
                    if let Err(what) = ask(task, value, &mut flags) {
                        wrong.push(Wrong::new(Origin::Flag, what).of(&shown));
                    }
                } else if let Some(value) = value {
                    match setting {
                        Some(setting) => {
                            flags.said.given.push(Given {
                                setting,
                                text: value,
                                origin: Origin::Flag,
                            });
                        }
                        None => match passed {
                            Some(name) => flags.said.passed.push(Passed {
                                name: name.to_owned(),
                                text: value,
                                origin: Origin::Flag,
                            }),
                            None => flags.config = Some(value),
                        },
                    }
                } else {
                    let what = format!(
                        "its value is missing: expected {}",
                        match (setting, passed) {
                            (Some(setting), _) => setting.value,
                            (None, Some(_)) => "VALUE",
                            (None, None) => task.and_then(|task| task.value).unwrap_or("FILE"),
                        }
                    );
                    wrong.push(Wrong::new(Origin::Flag, what).of(&shown));
                }
            }
        }
    }
    position(positional, &mut flags, wrong);
    flags
}

/// Takes a task in.
fn ask(task: &TaskFlag, value: &str, flags: &mut Flags) -> Result<(), String> {
    if task.value.is_none() && !value.is_empty() {
        return Err("it takes no value".to_owned());
    }
    if flags.task.is_some() {
        return Err("the service does one thing at a time".to_owned());
    }
    flags.task = Some(task.task(value)?);
    Ok(())
}

/// `SYSTEM PEER_PORT HOST HTTP_PORT PARTITIONS SERVED`, all or none.
fn position(args: Vec<String>, flags: &mut Flags, wrong: &mut Vec<Wrong>) {
    if args.is_empty() {
        return;
    }
    let [system, peer_port, host, http_port, partitions, served] =
        match <[String; 6]>::try_from(args) {
            Ok(args) => args,
            Err(args) => {
                let what = format!("expected flags, or all of {}", POSITIONS.join(" "));
                wrong.push(Wrong::new(Origin::Flag, what).of(&args.join(" ")));
                return;
            }
        };
    let mut port = |name, text: &str| match values::number(text, 0..=u16::MAX) {
        Ok(port) => Some(port),
        Err(what) => {
            wrong.push(Wrong::new(Origin::Positional(name), what).given(text));
            None
        }
    };
    let ports = (
        port(POSITIONS[1], &peer_port),
        port(POSITIONS[3], &http_port),
    );
    // An IPv6 address has to be told from its port.
    let host = if host.contains(':') && !host.starts_with('[') {
        format!("[{host}]")
    } else {
        host
    };
    let mut give = |setting: &str, place, text: String| {
        let setting: &'static Setting = settings::find(setting).expect("the table has it");
        if flags
            .said
            .given
            .iter()
            .any(|other| other.setting.name == setting.name)
        {
            let what =
                format!("{place} of the positional form already says it; use one of the two");
            wrong.push(Wrong::new(Origin::Flag, what).of(&format!("--{}", setting.name)));
        } else {
            flags.said.given.push(Given {
                setting,
                text,
                origin: Origin::Positional(place),
            });
        }
    };
    give("cluster", POSITIONS[0], system);
    // A port that is wrong is reported above; 0 lets the check for the same flag, and that of the host, go on.
    give(
        "peer",
        "HOST PEER_PORT",
        format!("{host}:{}", ports.0.unwrap_or(0)),
    );
    give(
        "http",
        "HOST HTTP_PORT",
        format!("{host}:{}", ports.1.unwrap_or(0)),
    );
    give("serve", POSITIONS[5], served);
    match values::number(&partitions, 1..=PARTITIONS_MAX) {
        Ok(number) => flags.partitions = Some(number),
        Err(what) => {
            wrong.push(Wrong::new(Origin::Positional(POSITIONS[4]), what).given(&partitions));
        }
    }
}

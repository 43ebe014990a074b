//! `memgen check`: whether a service could still read the log that earlier versions of it have written.
//!
//! The service itself knows (`--check-layouts`): it is built and asked. What was accepted is in `memgen.layouts`, beside its `Cargo.toml`.

use std::{
    fs,
    io::{self, Write as _},
    path::Path,
    process::Stdio,
};

use clap::{Args, ValueEnum};
use serde::Deserialize;
use serde_json::Value;
use tokio::{io::AsyncWriteExt as _, process::Command};

use crate::{
    cargo::Which,
    cli::Failure,
    exit::Exit,
    ui::{Ui, count},
};

/// The name of the file.
pub const PATH: &str = "memgen.layouts";

/// What to check.
#[derive(Clone, Debug, Args)]
pub struct Options {
    #[command(flatten)]
    which: Which,
    /// Records a compatible change in `memgen.layouts`.
    #[arg(long)]
    accept: bool,
    /// Forgets all that was recorded of a topic, and records it as it is now: no log that matters holds anything older.
    #[arg(long, value_name = "TOPIC")]
    forget: Vec<String>,
    /// For people or for programs.
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,
}

/// How the result is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Lines on standard error.
    Text,
    /// JSON on standard output.
    Json,
}

/// What the service says.
#[derive(Debug, Deserialize)]
struct Verdict {
    compatible: bool,
    recorded: bool,
    states: Vec<Judged>,
    gone: Vec<String>,
    accepted: String,
}

#[derive(Debug, Deserialize)]
struct Judged {
    state: String,
    topic: String,
    verdict: String,
    recorded: bool,
    problems: Vec<Said>,
    notes: Vec<Said>,
    migrated: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Said {
    place: String,
    what: String,
    #[serde(default)]
    because: String,
    mend: Option<String>,
}

/// Checks.
///
/// # Errors
/// If the service can't be built or asked, or the file can't be read or written.
pub async fn run(ui: Ui, options: &Options) -> Result<Exit, Failure> {
    let Some(program) = options.which.build(ui).await? else {
        return Ok(Exit::Failed);
    };
    let path = program.folder.join(PATH);
    let before = match fs::read_to_string(&path) {
        Ok(text) => Some(text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(format!("{}: {error}", path.display()).into()),
    };
    let known = match &before {
        Some(text) => Some(forget(text, &options.forget, &path)?),
        None => None,
    };
    let text = ask(&program.path, &path, known.as_deref()).await?;
    let verdict: Verdict = serde_json::from_str(&text).map_err(|error| {
        format!(
            "what {} says is not understood: {error}",
            program.path.display()
        )
    })?;
    if options.format == Format::Json {
        let mut value: Value = serde_json::from_str(&text)?;
        if let Some(object) = value.as_object_mut() {
            object.remove("accepted");
        }
        writeln!(io::stdout(), "{value:#}")?;
    } else {
        say(ui, &verdict);
    }
    if !verdict.compatible {
        let problems = verdict
            .states
            .iter()
            .map(|state| state.problems.len())
            .sum();
        ui.error(format_args!(
            "{}: the service could not read the log that earlier versions of it have written. Nothing was recorded",
            count(problems, "problem")
        ));
        return Ok(Exit::Incompatible);
    }
    let states = count(verdict.states.len(), "state");
    let write = || {
        fs::write(&path, &verdict.accepted).map_err(|error| format!("{}: {error}", path.display()))
    };
    let changed = before.as_deref() != Some(verdict.accepted.as_str());
    match &before {
        None => {
            write()?;
            ui.step(
                "Recorded",
                format_args!("{states} in {}: keep it in the repository", path.display()),
            );
        }
        Some(_) if changed && (options.accept || !options.forget.is_empty()) => {
            write()?;
            ui.step("Recorded", format_args!("{states} in {}", path.display()));
        }
        Some(_) if !verdict.recorded => {
            ui.error(format_args!(
                "the change is compatible, and not in {} yet: run `memgen check --accept`, and commit the file",
                path.display()
            ));
            return Ok(Exit::OutOfDate);
        }
        Some(_) => ui.step(
            "Compatible",
            format_args!("{states}: all that was written before can be read"),
        ),
    }
    Ok(Exit::Done)
}

/// What is recorded, without these topics.
fn forget(text: &str, topics: &[String], path: &Path) -> Result<String, Failure> {
    if topics.is_empty() {
        return Ok(text.to_owned());
    }
    let mut value: Value = serde_json::from_str(text).map_err(|error| {
        format!(
            "{} is damaged: {error}; restore it from the repository",
            path.display()
        )
    })?;
    let recorded = value.get_mut("topics").and_then(Value::as_object_mut);
    let recorded = recorded.ok_or_else(|| {
        format!(
            "{} is damaged; restore it from the repository",
            path.display()
        )
    })?;
    for topic in topics {
        if recorded.remove(topic).is_none() {
            let names: Vec<String> = recorded.keys().map(|name| format!("`{name}`")).collect();
            return Err(format!(
                "nothing is recorded of a topic `{topic}`, only of {}",
                names.join(", ")
            )
            .into());
        }
    }
    Ok(value.to_string())
}

/// Asks the service what it can read of what is recorded.
async fn ask(program: &Path, file: &Path, known: Option<&str>) -> Result<String, Failure> {
    let mut child = Command::new(program)
        .args(["--check-layouts", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("{}: {error}", program.display()))?;
    let mut input = child.stdin.take();
    // A file that is not there is one in which nothing is recorded.
    let text = known.unwrap_or_default().to_owned();
    let write = async move {
        if let Some(input) = &mut input {
            // A program that does not read it says why itself.
            let _ = input.write_all(text.as_bytes()).await;
        }
    };
    let ((), output) = tokio::join!(write, child.wait_with_output());
    let output = output?;
    let code = output.status.code();
    if code == Some(0) || code == Some(i32::from(Exit::Incompatible as u8)) {
        return Ok(String::from_utf8(output.stdout)?);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    // The service was given the text, and doesn't know the file.
    if let Some(wrong) = said.trim().strip_prefix("error: standard input: ") {
        return Err(format!(
            "{}: {wrong}; if it is damaged, restore it from the repository",
            file.display()
        )
        .into());
    }
    Err(format!(
        "{} --check-layouts: {}\n{}is it a service of this version of memgen?",
        program.display(),
        output.status,
        said
    )
    .into())
}

/// Says what is wrong, and what is new.
fn say(ui: Ui, verdict: &Verdict) {
    for state in &verdict.states {
        let topic = &state.topic;
        for said in &state.problems {
            let mut text = format!("`{}` (topic `{topic}`): {}", said.place, said.what);
            if !said.because.is_empty() {
                text += "\n   the type says: ";
                text += &said.because;
            }
            if let Some(mend) = &said.mend {
                text += "\n   mend: ";
                text += mend;
            }
            ui.error(text);
        }
        // What was said once, when it was accepted, is not said again.
        if state.recorded {
            continue;
        }
        for said in &state.notes {
            ui.warning(format_args!(
                "`{}` (topic `{topic}`): {}",
                said.place, said.what
            ));
        }
        match state.verdict.as_str() {
            "new" => ui.step("New", format_args!("`{}` (topic `{topic}`)", state.state)),
            "compatible" if state.migrated.is_empty() => ui.step(
                "Changed",
                format_args!(
                    "`{}` (topic `{topic}`): older values can be read",
                    state.state
                ),
            ),
            "compatible" => ui.step(
                "Changed",
                format_args!(
                    "`{}` (topic `{topic}`): older values are read as {}",
                    state.state,
                    state.migrated.join(", ")
                ),
            ),
            _ => {}
        }
    }
    for topic in &verdict.gone {
        ui.warning(format_args!(
            "no state has the topic `{topic}` any more: its log stays, and is not read. `memgen check --forget {topic}` forgets it"
        ));
    }
}

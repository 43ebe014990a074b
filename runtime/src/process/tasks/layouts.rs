//! How the values of the states are laid out, and whether the service could read what was written before.

use std::{collections::BTreeMap, fs, io, path::Path, process::ExitCode};

use super::super::EXIT_INCOMPATIBLE;
use crate::{
    config::Config,
    layout::{self, AskedState, History, StateVerdict, Verdict, Word},
    log,
};

/// Prints the layouts.
pub(super) fn print(states: &[AskedState]) {
    let accepted = Verdict::new(states, &History::default()).accepted;
    println!("{}", accepted.trim_end());
}

/// Says as JSON whether what is in the file can be read.
pub(super) fn check_file(states: &[AskedState], file: &Path) -> Result<ExitCode, String> {
    let verdict = Verdict::new(states, &of_file(file)?);
    println!(
        "{}",
        serde_json::to_string_pretty(&verdict).expect("a verdict is JSON")
    );
    Ok(end(&verdict))
}

/// Says whether what is in the log can be read.
pub(super) async fn check_log(states: &[AskedState], config: &Config) -> Result<ExitCode, String> {
    Ok(end(&Verdict::new(states, &of_log(states, config).await?)))
}

fn end(verdict: &Verdict) -> ExitCode {
    if verdict.compatible {
        return ExitCode::SUCCESS;
    }
    eprintln!("{}", verdict.problems());
    ExitCode::from(EXIT_INCOMPATIBLE)
}

/// The layouts in a file; none if it is not there yet. `-` is standard input.
fn of_file(path: &Path) -> Result<History, String> {
    if path == Path::new("-") {
        let text = io::read_to_string(io::stdin()).map_err(|error| error.to_string())?;
        if text.is_empty() {
            return Ok(History::default());
        }
        return History::parse(&text).map_err(|error| format!("standard input: {error}"));
    }
    match fs::read_to_string(path) {
        Ok(text) => History::parse(&text).map_err(|error| format!("{}: {error}", path.display())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(History::default()),
        Err(error) => Err(format!("{}: {error}", path.display())),
    }
}

/// The layouts of what is in the log. It may be in use.
async fn of_log(states: &[AskedState], config: &Config) -> Result<History, String> {
    let log = log::open_to_read(config).await;
    let log = log.map_err(|error| error.to_string())?;
    let mut topics = BTreeMap::new();
    for state in states {
        let topic = &state.topic;
        let kept = log.layouts(&topic.name).await;
        let kept = kept.map_err(|error| error.to_string())?;
        let mut layouts = layout::parse(&topic.name, &kept)?;
        let said = StateVerdict::new(state, &layouts);
        if said.verdict == Word::Incompatible && state.has_topic_of(&layouts) {
            let declared = log.declare(topic).await;
            declared.map_err(|error| error.to_string())?;
            let written = log::written(&*log, topic).await;
            layout::retain_written(&mut layouts, &written.map_err(|error| error.to_string())?);
        }
        topics.insert(topic.name.clone(), layouts);
    }
    log.close().await;
    Ok(History::of(topics))
}

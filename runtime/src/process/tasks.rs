//! What a service can be asked instead of serving: how its values are laid out, and whether it could read what was written before.

use std::{collections::BTreeMap, fs, io, path::Path, process::ExitCode};

use super::{EXIT_INCOMPATIBLE, EXIT_START};
use crate::{
    config::{Config, Task},
    layout::{self, AskedState, History, Verdict},
    log,
    service::Service,
};

/// Does it.
pub(super) fn run(service: &Service, task: &Task) -> ExitCode {
    let states = service.asked();
    let mistakes: Vec<_> = service
        .mistakes()
        .into_iter()
        .chain(states.iter().flat_map(AskedState::mistakes))
        .collect();
    if !mistakes.is_empty() {
        eprintln!("error: {}", mistakes.join("\n"));
        return ExitCode::from(EXIT_START);
    }
    let history = match task {
        Task::PrintLayouts => {
            println!(
                "{}",
                Verdict::new(&states, &History::default())
                    .accepted
                    .trim_end()
            );
            return ExitCode::SUCCESS;
        }
        Task::CheckLayouts(file) => of_file(file),
        Task::CheckLog(config) => of_log(&states, config),
    };
    let history = match history {
        Ok(history) => history,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::from(EXIT_START);
        }
    };
    let verdict = Verdict::new(&states, &history);
    if matches!(task, Task::CheckLayouts(_)) {
        println!(
            "{}",
            serde_json::to_string_pretty(&verdict).expect("a verdict is JSON")
        );
    }
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

/// The layouts that are kept with the log. It may be in use.
fn of_log(states: &[AskedState], config: &Config) -> Result<History, String> {
    let names: Vec<&str> = states
        .iter()
        .map(|state| state.topic.name.as_str())
        .collect();
    let runtime = tokio::runtime::Runtime::new().map_err(|error| error.to_string())?;
    let kept = runtime.block_on(log::peek_layouts(config, &names));
    let kept = kept.map_err(|error| error.to_string())?;
    let topics: Result<BTreeMap<_, _>, String> = names
        .into_iter()
        .zip(&kept)
        .map(|(name, kept)| Ok((name.to_owned(), layout::parse(name, kept)?)))
        .collect();
    Ok(History::of(topics?))
}

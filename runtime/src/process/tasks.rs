//! What a service can be asked instead of serving: how its values are laid out, and whether it could read what was written before.

use std::{collections::BTreeMap, fs, io, path::Path, process::ExitCode};

use super::{EXIT_INCOMPATIBLE, EXIT_START};
use crate::{
    config::{Config, Task},
    layout::{self, AskedState, History, StateVerdict, Verdict, Word},
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

/// The layouts of what is in the log. It may be in use.
fn of_log(states: &[AskedState], config: &Config) -> Result<History, String> {
    let runtime = tokio::runtime::Runtime::new().map_err(|error| error.to_string())?;
    runtime.block_on(async {
        let names: Vec<&str> = states
            .iter()
            .map(|state| state.topic.name.as_str())
            .collect();
        let kept = log::peek_layouts(config, &names).await;
        let kept = kept.map_err(|error| error.to_string())?;
        let mut topics = BTreeMap::new();
        for (state, kept) in states.iter().zip(&kept) {
            let topic = &state.topic;
            let mut layouts = layout::parse(&topic.name, kept)?;
            let said = StateVerdict::new(state, &layouts);
            if said.verdict == Word::Incompatible && state.has_topic_of(&layouts) {
                let written = log::peek_written(config, topic).await;
                layout::retain_written(&mut layouts, &written.map_err(|error| error.to_string())?);
            }
            topics.insert(topic.name.clone(), layouts);
        }
        Ok(History::of(topics))
    })
}

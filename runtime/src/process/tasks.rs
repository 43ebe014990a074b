//! What a service can be asked to do instead of serving.

mod dump;
mod layouts;
mod topics;
mod verify;

use std::{fmt::Display, process::ExitCode, sync::Arc};

pub(crate) use self::verify::{Verified, Verify};
use super::EXIT_START;
use crate::{
    config::{Config, LogTask, Task},
    layout::AskedState,
    log::{Log, Topic, TopicPartition},
    service::Service,
};

/// Does it.
pub(super) fn run(service: &Service, task: &Task) -> ExitCode {
    let outcome = match task {
        Task::PrintLayouts => asked(service).map(|states| {
            layouts::print(&states);
            ExitCode::SUCCESS
        }),
        Task::CheckLayouts(file) => {
            asked(service).and_then(|states| layouts::check_file(&states, file))
        }
        Task::WithLog(task, config) => with_log(service, task, config),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("error: {error}");
        ExitCode::from(EXIT_START)
    })
}

fn with_log(service: &Service, task: &LogTask, config: &Config) -> Result<ExitCode, String> {
    let runtime = tokio::runtime::Runtime::new().map_err(said)?;
    runtime.block_on(async {
        match task {
            LogTask::Check => layouts::check_log(&asked(service)?, config).await,
            LogTask::Dump(partition) => dump::run(service, partition, config).await,
            LogTask::Verify(partition, until) => {
                verify::run(service, partition, *until, config).await
            }
            LogTask::CreateTopics => topics::run(service, config, true).await,
            LogTask::CheckTopics => topics::run(service, config, false).await,
        }
    })
}

/// The states, if they fit together.
fn asked(service: &Service) -> Result<Vec<AskedState>, String> {
    let states = service.asked();
    let mistakes: Vec<_> = service
        .mistakes()
        .into_iter()
        .chain(states.iter().flat_map(AskedState::mistakes))
        .collect();
    if mistakes.is_empty() {
        Ok(states)
    } else {
        Err(mistakes.join("\n"))
    }
}

/// The log to be looked at, which has this partition.
async fn open(
    service: &Service,
    partition: &TopicPartition,
    config: &Config,
) -> Result<Arc<dyn Log>, String> {
    let topics: Vec<Topic> = service.topics().collect();
    let topic = topics.iter().find(|topic| *topic.name == *partition.topic);
    let topic = topic.ok_or_else(|| {
        let names = topics.iter().map(|topic| format!("`{}`", topic.name));
        let names: Vec<String> = names.collect();
        format!(
            "this service has no topic `{}`, but {}",
            partition.topic,
            names.join(", ")
        )
    })?;
    if partition.partition >= topic.partitions {
        let (topic, last) = (&topic.name, topic.partitions - 1);
        return Err(format!(
            "the topic `{topic}` has the partitions 0 to {last}"
        ));
    }
    let log = crate::log::open_to_read(config).await.map_err(said)?;
    log.declare(topic).await.map_err(said)?;
    Ok(log)
}

fn said(error: impl Display) -> String {
    error.to_string()
}

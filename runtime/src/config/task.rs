//! What a service can be asked to do instead of serving.

use std::path::PathBuf;

use super::Config;
use crate::{log::TopicPartition, record::Offset};

/// What a service can be asked to do instead of serving. [`Service::main`](crate::Service::main) does it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Task {
    /// Print how the values of the states are laid out (`--print-layouts`).
    PrintLayouts,
    /// Say whether values of the layouts in this file can be read (`--check-layouts FILE`).
    CheckLayouts(PathBuf),
    /// Something with the log that the settings name.
    WithLog(LogTask, Box<Config>),
}

/// What can be asked about a log. It may be in use meanwhile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogTask {
    /// Say whether it can be read (`--check-log`).
    Check,
    /// Print each record of a partition, and whether it counts (`--dump-log`).
    Dump(TopicPartition),
    /// Replay a partition, up to a position if one is given, and print what came of it (`--verify-log`).
    Verify(TopicPartition, Option<Offset>),
    /// Make the topics that are not there (`--create-topics`).
    CreateTopics,
    /// Print how the topics are, and what is not as it must be (`--check-topics`).
    CheckTopics,
}

/// A task as the command line has it: before the settings are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    PrintLayouts,
    CheckLayouts(PathBuf),
    WithLog(LogTask),
}

/// A flag that names a task.
pub(super) struct TaskFlag {
    pub(super) name: &'static str,
    /// What it takes, if it takes something.
    pub(super) value: Option<&'static str>,
    pub(super) help: &'static str,
    read: fn(&str) -> Result<Asked, String>,
}

impl TaskFlag {
    /// The task, of the flag's value (empty if it takes none).
    pub(super) fn task(&self, value: &str) -> Result<Asked, String> {
        (self.read)(value)
    }
}

/// In the order of the help.
pub(super) const TASKS: [TaskFlag; 7] = [
    TaskFlag {
        name: "check-log",
        value: None,
        help: "Say whether this service can read the log that the settings name, and end: with 0, or with 5 if it can't",
        read: |_| Ok(Asked::WithLog(LogTask::Check)),
    },
    TaskFlag {
        name: "dump-log",
        value: Some("TOPIC/PARTITION"),
        help: "Print each record of a partition as a line of JSON, and whether it counts, and end",
        read: |value| Ok(Asked::WithLog(LogTask::Dump(value.parse()?))),
    },
    TaskFlag {
        name: "verify-log",
        value: Some("TOPIC/PARTITION[@POSITION]"),
        help: "Replay a partition, to its end or up to a position, print as JSON what came of it, and end: with 0, or with 5 if it can't be read",
        read: |value| verify(value).map(Asked::WithLog),
    },
    TaskFlag {
        name: "create-topics",
        value: None,
        help: "Make the topics in Kafka that are not there yet, check the others, print all as JSON, and end: with 0, or with 4 if one is not as it must be",
        read: |_| Ok(Asked::WithLog(LogTask::CreateTopics)),
    },
    TaskFlag {
        name: "check-topics",
        value: None,
        help: "Print the topics in Kafka as JSON, with their settings and what is not as it must be, and end: with 0, or with 4 if something is not",
        read: |_| Ok(Asked::WithLog(LogTask::CheckTopics)),
    },
    TaskFlag {
        name: "check-layouts",
        value: Some("FILE"),
        help: "Say, as JSON, whether this service can read what was written under the layouts in a file (memgen.layouts, or - for standard input), and end: with 0, or with 5",
        read: |value| Ok(Asked::CheckLayouts(value.into())),
    },
    TaskFlag {
        name: "print-layouts",
        value: None,
        help: "Print how the values of the states are laid out, and end",
        read: |_| Ok(Asked::PrintLayouts),
    },
];

/// The flag of this name.
pub(super) fn find(name: &str) -> Option<&'static TaskFlag> {
    TASKS.iter().find(|task| task.name == name)
}

fn verify(value: &str) -> Result<LogTask, String> {
    let (partition, until) = match value.rsplit_once('@') {
        None => (value, None),
        Some((partition, position)) => {
            let until = position
                .parse()
                .map_err(|_| format!("`{position}` is no position: write `topic/0@1234`"))?;
            (partition, Some(until))
        }
    };
    Ok(LogTask::Verify(partition.parse()?, until))
}

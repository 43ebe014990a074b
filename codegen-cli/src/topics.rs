//! `memgen topics`: the topics of a service in Kafka.
//!
//! The service itself knows what they must be (`--create-topics`, `--check-topics`).

use std::{collections::BTreeMap, io};

use clap::Subcommand;
use serde::Deserialize;

use crate::{
    cli::Failure,
    exit::Exit,
    service::Service,
    table::Table,
    ui::{Ui, count},
};

/// What to do.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Action {
    /// Makes those that are not there yet, and checks the others.
    Create(Service),
    /// Says what is not as it must be, why, and how to change it. Fails with 4 if something is not.
    Check(Service),
    /// Shows how they are set.
    Describe(Service),
}

/// A topic, as the service says that it is.
#[derive(Debug, Deserialize)]
struct Topic {
    name: String,
    partitions: u32,
    made: bool,
    found: Option<Found>,
    findings: Vec<Finding>,
}

#[derive(Debug, Deserialize)]
struct Found {
    partitions: u32,
    replicas: u32,
    settings: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
struct Finding {
    setting: String,
    is: String,
    must: String,
    why: String,
    remedy: String,
}

/// The settings that a state rests upon, or that a reader asks for first.
const SHOWN: [&str; 6] = [
    "cleanup.policy",
    "min.compaction.lag.ms",
    "delete.retention.ms",
    "min.insync.replicas",
    "unclean.leader.election.enable",
    "max.message.bytes",
];

/// Does it.
///
/// # Errors
/// If the service can't be built or asked.
pub(crate) fn run(ui: Ui, action: &Action) -> Result<Exit, Failure> {
    let (Action::Create(service) | Action::Check(service) | Action::Describe(service)) = action;
    let Some(program) = service.find(ui)? else {
        return Ok(Exit::Failed);
    };
    let task = match action {
        Action::Create(_) => "--create-topics",
        Action::Check(_) | Action::Describe(_) => "--check-topics",
    };
    let answer = service.ask(&program, &[task])?;
    if ![Some(0), Some(i32::from(Exit::OutOfDate as u8))].contains(&answer.code) {
        return Ok(Exit::Failed);
    }
    let topics: Vec<Topic> = serde_json::from_slice(&answer.text)?;
    if matches!(action, Action::Describe(_)) {
        describe(&mut io::stdout(), &topics)?;
        return Ok(Exit::Done);
    }
    for topic in topics.iter().filter(|topic| topic.made) {
        let partitions = count(topic.partitions as usize, "partition");
        ui.step("Made", format_args!("{}, {partitions}", topic.name));
    }
    let wrong = topics.iter().filter(|topic| say(ui, topic)).count();
    if wrong > 0 {
        return Ok(Exit::OutOfDate);
    }
    ui.step("Checked", count(topics.len(), "topic"));
    Ok(Exit::Done)
}

/// Says what is wrong with a topic, and whether anything is.
fn say(ui: Ui, topic: &Topic) -> bool {
    let Topic { name, findings, .. } = topic;
    if topic.found.is_none() {
        ui.error(format_args!(
            "there is no topic `{name}`: `memgen topics create` makes it, or the service when it starts"
        ));
        return true;
    }
    for finding in findings {
        let Finding {
            setting,
            is,
            must,
            why,
            remedy,
        } = finding;
        ui.error(format_args!(
            "`{name}`: {setting} is {is}, and must be {must}: {why}\n   mend: {remedy}"
        ));
    }
    !findings.is_empty()
}

fn describe(out: &mut impl io::Write, topics: &[Topic]) -> io::Result<()> {
    let mut table = Table::new(["TOPIC", "SETTING", "VALUE"], 3);
    for topic in topics {
        let row = |setting: &str, value: String| [topic.name.clone(), setting.to_owned(), value];
        let Some(found) = &topic.found else {
            table.extend([row("-", "is not there".to_owned())]);
            continue;
        };
        table.extend([
            row("partitions", found.partitions.to_string()),
            row("replicas", found.replicas.to_string()),
        ]);
        let settings = SHOWN.iter().filter_map(|name| {
            let value = found.settings.get(*name)?;
            Some(row(name, value.clone()))
        });
        table.extend(settings);
    }
    write!(out, "{table}")
}

//! Which cores are for whom.

use std::{process::Command, thread};

/// Who runs.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Role {
    Server,
    Load,
}

/// The command that runs `program` on the cores of its role: the last core makes the load, all others serve.
pub(crate) fn command(role: Role, program: &std::path::Path) -> Command {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    if cores < 2 {
        return Command::new(program);
    }
    let mut command = Command::new("taskset");
    let list = match role {
        Role::Server => format!("0-{}", cores - 2),
        Role::Load => format!("{}", cores - 1),
    };
    command.arg("--cpu-list").arg(list).arg(program);
    command
}

/// What the figures were taken on.
pub(crate) fn machine() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info
        .lines()
        .find_map(|line| line.strip_prefix("model name"));
    let model = model.and_then(|rest| rest.split_once(": "));
    let model = model.map_or("an unknown processor", |(_, model)| model);
    let cores = thread::available_parallelism().map_or(1, usize::from);
    format!("{model}, {cores} cores")
}

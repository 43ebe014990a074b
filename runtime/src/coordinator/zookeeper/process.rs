//! Which process announced a node, so that the next one on the same machine need not wait for the session of one that is gone.

use std::fs;

use serde::{Deserialize, Serialize};

/// A process of this machine, for as long as it runs: numbers of processes are used again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Process {
    /// The start of the machine.
    boot: String,
    /// Within which namespace the number is meant: containers have their own.
    namespace: String,
    pid: u32,
    /// When it started, in ticks since the start of the machine.
    started: u64,
}

impl Process {
    /// This one, where the system tells.
    pub(super) fn this() -> Option<Self> {
        let pid = std::process::id();
        Some(Self {
            boot: boot()?,
            namespace: namespace()?,
            pid,
            started: started(pid)?,
        })
    }

    /// Whether there is proof that it is gone: it ran where this process could see it, and does not run any more.
    pub(super) fn is_gone(&self) -> bool {
        let visible =
            Some(&self.boot) == boot().as_ref() && Some(&self.namespace) == namespace().as_ref();
        visible && started(self.pid) != Some(self.started)
    }
}

fn boot() -> Option<String> {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(id.trim().to_owned())
}

fn namespace() -> Option<String> {
    let link = fs::read_link("/proc/self/ns/pid").ok()?;
    Some(link.to_string_lossy().into_owned())
}

/// When a process started; `None` if there is no such process, or nothing of it runs any more.
fn started(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name stands in parentheses, and may contain anything.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    let is_left_over = matches!(state, "Z" | "X")
        && fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count) <= 1;
    if is_left_over {
        return None;
    }
    // The 22nd field of all; the first that is left is the 4th.
    fields.nth(18)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn only_a_process_that_is_gone_is_gone() {
        let this = Process::this().unwrap();
        assert!(!this.is_gone());
        let later = Process {
            started: this.started + 1,
            ..this.clone()
        };
        assert!(later.is_gone(), "the number was used again");
        let elsewhere = Process {
            boot: "x".to_owned(),
            ..later.clone()
        };
        assert!(!elsewhere.is_gone(), "another machine can't be seen");
        let contained = Process {
            namespace: "x".to_owned(),
            ..later
        };
        assert!(!contained.is_gone(), "another container can't be seen");

        let mut child = Command::new("sleep").arg("100").spawn().unwrap();
        let process = Process {
            pid: child.id(),
            started: started(child.id()).unwrap(),
            ..this
        };
        assert!(!process.is_gone());
        child.kill().unwrap();
        // It is there until its parent looks, but nothing of it runs.
        while !process.is_gone() {
            std::thread::yield_now();
        }
        child.wait().unwrap();
        assert!(process.is_gone());
    }
}

//! What the machine, or the container, has and gives. Linux tells it in files; elsewhere nobody does.

use std::{fs, path::Path};

#[cfg(feature = "testing")]
use crate::testing::Process;

/// Where control groups are.
const GROUPS: &str = "/sys/fs/cgroup";

/// What the process takes of the machine's memory, in bytes. All nodes of a simulation are in one process, so there the test says it.
pub(crate) fn resident_bytes() -> Option<u64> {
    #[cfg(feature = "testing")]
    if let Some(process) = Process::current() {
        return Some(process.memories().resident_bytes(process.host()));
    }
    let status = fs::read_to_string("/proc/self/status").ok()?;
    kibibytes(&status, "VmRSS:")
}

/// Waits until somebody says what the process takes: that is at once, but for a simulation of something else, and never where the system does not tell.
pub(super) async fn is_told() {
    #[cfg(feature = "testing")]
    if let Some(process) = Process::current() {
        return process.memories().told().await;
    }
    if resident_bytes().is_none() {
        std::future::pending::<()>().await;
    }
}

/// What the process can have at most: the memory of the machine, or what its control group has, if that is less.
pub(super) fn memory_bytes() -> Option<u64> {
    let machine = fs::read_to_string("/proc/meminfo").ok();
    let machine = machine.and_then(|text| kibibytes(&text, "MemTotal:"));
    let groups = fs::read_to_string("/proc/self/cgroup").ok();
    let group = groups.and_then(|groups| group_bytes(Path::new(GROUPS), &groups));
    machine.into_iter().chain(group).min()
}

fn kibibytes(text: &str, name: &str) -> Option<u64> {
    let value = text.lines().find_map(|line| line.strip_prefix(name))?;
    let number: u64 = value.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(number * 1024)
}

/// The least that a group of the process and those around it may have. `groups` is `/proc/self/cgroup`; in a container the path there may not exist, and its group is the root.
fn group_bytes(root: &Path, groups: &str) -> Option<u64> {
    let limits = groups.lines().flat_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, path) = (parts.next().unwrap_or(""), parts.next().unwrap_or(""));
        let (root, file) = if controllers.is_empty() {
            (root.to_owned(), "memory.max")
        } else if controllers
            .split(',')
            .any(|controller| controller == "memory")
        {
            (root.join("memory"), "memory.limit_in_bytes")
        } else {
            return Vec::new();
        };
        let group = root.join(path.trim_start_matches('/'));
        let around = group
            .ancestors()
            .take_while(|folder| folder.starts_with(&root));
        let limits = around.filter_map(|folder| fs::read_to_string(folder.join(file)).ok());
        limits
            .filter_map(|limit| limit.trim().parse().ok())
            .collect()
    });
    limits.min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_memory_and_the_process_takes_some() {
        let resident = resident_bytes().unwrap();
        assert!((1 << 20..memory_bytes().unwrap()).contains(&resident));
    }

    #[test]
    fn the_least_of_a_group_and_those_around_it_counts() {
        let root = std::env::temp_dir().join(format!("memgen-groups-{}", std::process::id()));
        let inner = root.join("a/b");
        fs::create_dir_all(&inner).unwrap();
        fs::write(root.join("a/memory.max"), "700000\n").unwrap();
        fs::write(inner.join("memory.max"), "max\n").unwrap();
        assert_eq!(group_bytes(&root, "0::/a/b\n"), Some(700_000));
        fs::write(inner.join("memory.max"), "600000\n").unwrap();
        assert_eq!(group_bytes(&root, "0::/a/b\n"), Some(600_000));
        assert_eq!(group_bytes(&root, "0::/elsewhere\n"), None);
        // The older form, one tree for each controller.
        let older = root.join("memory/c");
        fs::create_dir_all(&older).unwrap();
        fs::write(older.join("memory.limit_in_bytes"), "500000\n").unwrap();
        let groups = "5:cpu,cpuacct:/c\n4:memory:/c\n";
        assert_eq!(group_bytes(&root, groups), Some(500_000));
        fs::remove_dir_all(root).unwrap();
    }
}

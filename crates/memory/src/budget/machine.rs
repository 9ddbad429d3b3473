//! What the machine leaves to this process: free memory, the control group's limit, the process's own limits. Knows
//! procfs and cgroups; elsewhere it knows nothing and says so.

use super::process::field;
use std::path::{Path, PathBuf};

/// Memory that could be had without swapping: over the whole machine, within this process's control groups (version 1
/// and 2, whichever of them is tightest), and within its own limit on data. Linux only.
pub fn available_memory() -> Option<u64> {
    let machine = std::fs::read_to_string("/proc/meminfo").ok().and_then(|info| field(&info, "MemAvailable:"));
    [machine, group_room(), data_room()].into_iter().flatten().min()
}

/// All memory of the machine; Linux only.
pub fn total_memory() -> Option<u64> {
    field(&std::fs::read_to_string("/proc/meminfo").ok()?, "MemTotal:")
}

/// What the process's control groups leave it. Pages of files that the group may drop count as left.
fn group_room() -> Option<u64> {
    let groups = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    groups_of(&groups).filter_map(|group| group.room()).min()
}

/// What `RLIMIT_DATA` and `RLIMIT_AS` leave to new memory.
fn data_room() -> Option<u64> {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, getrlimit};
        let status = std::fs::read_to_string("/proc/self/status").ok()?;
        let left = |limit: Resource, used: &str| {
            Some(getrlimit(limit).current?.saturating_sub(field(&status, used).unwrap_or(0)))
        };
        [left(Resource::Data, "VmData:"), left(Resource::As, "VmSize:")].into_iter().flatten().min()
    }
    #[cfg(not(unix))]
    None
}

/// One level of a control group's tree, and what its files are called.
struct Group {
    folder: PathBuf,
    limit: &'static [&'static str],
    used: &'static str,
    droppable: &'static str,
}

impl Group {
    fn room(&self) -> Option<u64> {
        let read = |name: &str| std::fs::read_to_string(self.folder.join(name)).ok();
        let number = |name: &str| read(name)?.trim().parse::<u64>().ok();
        let limit = self.limit.iter().filter_map(|name| number(name)).min()?;
        // "No limit" is a number too, in version 1: the largest whole page.
        let limit = Some(limit).filter(|limit| *limit < 1 << 60)?;
        let droppable = read("memory.stat").and_then(|stat| plain_field(&stat, self.droppable)).unwrap_or(0);
        Some((limit + droppable).saturating_sub(number(self.used)?).min(limit))
    }
}

/// All memory groups that a process of this `/proc/self/cgroup` is in, from its own up to the root.
fn groups_of(table: &str) -> impl Iterator<Item = Group> {
    let rows: Vec<(bool, String)> = table.lines().filter_map(row_of).collect();
    rows.into_iter().flat_map(|(second, path)| {
        let root = Path::new(if second { "/sys/fs/cgroup" } else { "/sys/fs/cgroup/memory" });
        let own = root.join(path.trim_start_matches('/'));
        let levels: Vec<PathBuf> = own.ancestors().take_while(|p| p.starts_with(root)).map(Path::to_path_buf).collect();
        levels.into_iter().map(move |folder| {
            if second {
                let limit = &["memory.max", "memory.high"];
                Group { folder, limit, used: "memory.current", droppable: "inactive_file" }
            } else {
                let limit = &["memory.limit_in_bytes"];
                Group { folder, limit, used: "memory.usage_in_bytes", droppable: "total_inactive_file" }
            }
        })
    })
}

/// A line `N:controllers:path`, if it is about memory; and whether it is of version 2.
fn row_of(line: &str) -> Option<(bool, String)> {
    let mut parts = line.splitn(3, ':');
    let (number, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
    let second = number == "0" && controllers.is_empty();
    (second || controllers.split(',').any(|c| c == "memory")).then(|| (second, path.to_owned()))
}

fn plain_field(table: &str, key: &str) -> Option<u64> {
    table.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_memory_groups_of_both_versions_are_found_up_to_the_root() {
        let table = "9:name=systemd:/\n4:cpu,memory:/a/b\n0::/user.slice/x.scope\n";
        let folders: Vec<_> = groups_of(table).map(|g| g.folder.display().to_string()).collect();
        let first = ["/sys/fs/cgroup/memory/a/b", "/sys/fs/cgroup/memory/a", "/sys/fs/cgroup/memory"];
        let second = ["/sys/fs/cgroup/user.slice/x.scope", "/sys/fs/cgroup/user.slice", "/sys/fs/cgroup"];
        assert_eq!(folders, [first, second].concat());
    }

    #[test]
    fn a_groups_room_is_its_limit_less_what_it_uses_and_cannot_drop() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
        let second = |folder: &Path| Group {
            folder: folder.to_owned(),
            limit: &["memory.max", "memory.high"],
            used: "memory.current",
            droppable: "inactive_file",
        };
        assert_eq!(second(dir.path()).room(), None, "no such group");
        write("memory.max", "max\n");
        write("memory.current", "700\n");
        assert_eq!(second(dir.path()).room(), None, "no limit");
        write("memory.max", "1000\n");
        write("memory.high", "900\n");
        write("memory.stat", "anon 500\ninactive_file 150\nactive_file 50\n");
        assert_eq!(second(dir.path()).room(), Some(350));
        let first = Group {
            folder: dir.path().to_owned(),
            limit: &["memory.limit_in_bytes"],
            used: "memory.usage_in_bytes",
            droppable: "total_inactive_file",
        };
        write("memory.limit_in_bytes", "9223372036854771712\n");
        assert_eq!(first.room(), None, "version 1 says no limit with a number");
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_machine_has_something_available() {
        assert!(available_memory().unwrap() > 1 << 20);
    }
}

//! What the operating system says this process holds. Knows procfs; elsewhere it knows nothing and says so.

/// Memory of this process, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ProcessMemory {
    /// Resident memory that belongs to the process alone: heaps, stacks, decoded weights.
    pub anonymous: u64,
    /// Resident pages of mapped files. The system takes them back when it needs them.
    pub file_backed: u64,
    /// The most that was resident at once (both kinds) since the start.
    pub peak: u64,
    /// Reserved addresses, resident or not.
    pub address_space: u64,
}

/// Reads this process's figures. `None` where there is no `/proc/self/status` (anything but Linux).
pub fn process_memory() -> Option<ProcessMemory> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    Some(parse(&status))
}

fn parse(status: &str) -> ProcessMemory {
    let get = |key| field(status, key).unwrap_or(0);
    ProcessMemory {
        anonymous: get("RssAnon:"),
        file_backed: get("RssFile:"),
        peak: get("VmHWM:"),
        address_space: get("VmSize:"),
    }
}

/// A value in kB of a procfs table.
pub(super) fn field(table: &str, key: &str) -> Option<u64> {
    let line = table.lines().find_map(|l| l.strip_prefix(key))?;
    line.split_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_file_is_read_by_its_keys_and_missing_ones_are_zero() {
        let m = parse("VmHWM:\t  3 kB\nRssAnon:\t 2 kB\n");
        assert_eq!((m.peak, m.anonymous, m.file_backed), (3072, 2048, 0));
    }
}

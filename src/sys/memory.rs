//! How much memory is free: in a file system, on the machine, and in the control group.

use std::fs;
use std::path::{Path, PathBuf};

/// The three figures that limit a new queue; `None` = not known, or no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FreeMemory {
    pub(crate) file_system: Option<u64>,
    pub(crate) machine: Option<u64>,
    pub(crate) control_group: Option<u64>,
}

impl FreeMemory {
    pub(crate) fn of(mount: &Path) -> FreeMemory {
        let file_system = nix::sys::statvfs::statvfs(mount)
            .ok()
            // A tmpfs without a size limit reports 0 blocks in total.
            .filter(|fs| fs.blocks() > 0)
            .map(|fs| fs.blocks_available().saturating_mul(fs.fragment_size()));
        let machine = fs::read_to_string("/proc/meminfo").ok();
        let machine = machine.and_then(|text| field(&text, "MemAvailable:")).map(|kib| kib * 1024);
        FreeMemory { file_system, machine, control_group: control_group() }
    }

    pub(crate) fn fits(&self, need: u64) -> bool {
        [self.file_system, self.machine, self.control_group]
            .iter()
            .flatten()
            .all(|free| *free >= need)
    }
}

/// The number after `key` in a text of "key number" lines.
fn field(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    line.split_whitespace().next()?.parse().ok()
}

/// The tightest limit of this process's control groups, of version 1 or 2.
fn control_group() -> Option<u64> {
    let own = fs::read_to_string("/proc/self/cgroup").ok()?;
    own.lines().filter_map(limit_of_line).min()
}

fn limit_of_line(line: &str) -> Option<u64> {
    let mut parts = line.splitn(3, ':');
    let (id, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
    let v1 = controllers.split(',').any(|name| name == "memory");
    let (root, files) = match (id, v1) {
        ("0", _) => ("/sys/fs/cgroup", ["memory.max", "memory.current", "inactive_file"]),
        (_, true) => (
            "/sys/fs/cgroup/memory",
            ["memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"],
        ),
        _ => return None,
    };
    let root = Path::new(root);
    let own: PathBuf = root.join(path.trim_start_matches('/'));
    own.ancestors()
        .take_while(|dir| dir.starts_with(root))
        .filter_map(|dir| {
            let number = |file| fs::read_to_string(dir.join(file)).ok()?.trim().parse::<u64>().ok();
            let limit = number(files[0]).filter(|limit| is_limit(*limit))?;
            let used = number(files[1])?;
            // Page cache that the kernel frees before it kills.
            let stat = fs::read_to_string(dir.join("memory.stat")).unwrap_or_default();
            let spare = field(&stat, &format!("{} ", files[2])).unwrap_or(0);
            Some(limit.saturating_sub(used.saturating_sub(spare)))
        })
        .min()
}

/// Without a limit, version 1 reports the largest number of whole pages, which depends on the page size.
fn is_limit(bytes: u64) -> bool {
    bytes < 1 << 62
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tightest_figure_decides() {
        let free = FreeMemory { file_system: Some(100), machine: Some(50), control_group: None };
        assert!(free.fits(50));
        assert!(!free.fits(51));
    }

    #[test]
    fn the_largest_number_of_pages_is_no_limit() {
        for page in [4096, 65536] {
            assert!(!is_limit(i64::MAX as u64 / page * page));
        }
        assert!(is_limit(1 << 50) && is_limit(0));
    }

    #[test]
    fn a_field_is_found_by_its_whole_name() {
        let stat = "active_file 1\ninactive_file 2\n";
        assert_eq!(field(stat, "inactive_file "), Some(2));
        assert_eq!(field(stat, "file "), None);
    }
}

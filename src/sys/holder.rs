//! Whether a process is known to hold a lease. The pids in records are those of each process's own pid namespace; in
//! this one they may belong to other processes.

use std::fs;

use nix::sys::stat::{major, minor};

/// Whether the process with this `pid` in this pid namespace holds `byte` of the file with this device and inode:
/// whether /proc shows the lock at one of its descriptors. False also where /proc does not tell.
pub(crate) fn holds(pid: u32, (device, inode): (u64, u64), byte: u64) -> bool {
    let file = format!("{:02x}:{:02x}:{inode}", major(device), minor(device));
    let Ok(descriptors) = fs::read_dir(format!("/proc/{pid}/fdinfo")) else { return false };
    let info = |entry: fs::DirEntry| fs::read_to_string(entry.path()).ok();
    let mut infos = descriptors.filter_map(|entry| info(entry.ok()?));
    infos.any(|info| info.lines().any(|line| covers(line, &file, byte))) && shows_this_namespace()
}

/// Whether this process holds it, if `pid` may be its own. A process of another namespace may have the same pid.
#[cold]
pub(crate) fn is_own(pid: Option<u32>, id: (u64, u64), byte: u64) -> bool {
    pid.is_some_and(|pid| pid == std::process::id() && holds(pid, id, byte))
}

/// Whether a line of fdinfo describes a lock of `byte` in `file`: "lock:", number, type, "ADVISORY", mode, pid, file,
/// first byte, last byte. One line may stand for locks of neighbouring bytes.
fn covers(line: &str, file: &str, byte: u64) -> bool {
    let mut words = line.split_whitespace();
    if words.next() != Some("lock:") || words.nth(1) != Some("OFDLCK") || words.nth(3) != Some(file)
    {
        return false;
    }
    let mut bound = |or: u64| words.next().map_or(or, |word| word.parse().unwrap_or(or));
    // An end that is not a number is "EOF".
    (bound(u64::MAX)..=bound(u64::MAX)).contains(&byte)
}

/// Whether /proc belongs to this process's pid namespace. If it does not, this process has several pids there, one for
/// each namespace in between.
fn shows_this_namespace() -> bool {
    let Ok(status) = fs::read_to_string("/proc/self/status") else { return false };
    let pids = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
    // A kernel without this line has no pid namespaces.
    pids.is_none_or(|pids| pids.split_whitespace().count() == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_told_by_type_file_and_range() {
        let line = |text: &str| covers(text, "00:1b:2", 512);
        assert!(line("lock:\t1: OFDLCK ADVISORY  WRITE -1 00:1b:2 512 512"));
        assert!(line("lock:\t1: OFDLCK ADVISORY  WRITE -1 00:1b:2 511 513"));
        assert!(line("lock:\t1: OFDLCK ADVISORY  WRITE -1 00:1b:2 0 EOF"));
        assert!(!line("lock:\t1: OFDLCK ADVISORY  WRITE -1 00:1b:2 513 513"));
        assert!(!line("lock:\t1: OFDLCK ADVISORY  WRITE -1 00:1b:2"));
        assert!(!line("lock:\t1: OFDLCK ADVISORY  WRITE -1 00:1b:22 512 512"));
        assert!(!line("lock:\t1: POSIX  ADVISORY  WRITE 7 00:1b:2 512 512"));
        assert!(!line("pos:\t0"));
    }
}

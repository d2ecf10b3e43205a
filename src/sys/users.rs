//! Users in user namespaces. Where a namespace has no uid for an owner, it shows the overflow uid. A process may have
//! that uid, too; so the uid alone does not tell the owner of a file.

use std::fs;
use std::fs::File;
use std::io;

use nix::fcntl::{FcntlArg, OFlag, fcntl};

const OVERFLOW_UID: u32 = 65534;
/// The number of uids. The first namespace maps them all.
const ALL: u64 = u32::MAX as u64;

/// Whether `uid`, shown here as the owner of `file`, stands for one user rather than for all users that are not mapped.
pub(crate) fn is_one_user(file: &File, uid: u32) -> io::Result<bool> {
    Ok(is_ours(file)? || uid != overflow_uid() || maps_all(&own_map()))
}

/// Whether the kernel treats this process as the owner, or as root for owners that its namespace maps: only such a
/// process may use O_NOATIME.
fn is_ours(file: &File) -> io::Result<bool> {
    let flags = OFlag::from_bits_retain(fcntl(file, FcntlArg::F_GETFL)?);
    let ours = fcntl(file, FcntlArg::F_SETFL(flags | OFlag::O_NOATIME)).is_ok();
    if ours {
        fcntl(file, FcntlArg::F_SETFL(flags))?;
    }
    Ok(ours)
}

fn overflow_uid() -> u32 {
    let text = fs::read_to_string("/proc/sys/kernel/overflowuid").unwrap_or_default();
    text.trim().parse().unwrap_or(OVERFLOW_UID)
}

/// Lines of "first uid here, first uid there, count" (user_namespaces(7)).
fn own_map() -> String {
    fs::read_to_string("/proc/self/uid_map").unwrap_or_default()
}

fn maps_all(map: &str) -> bool {
    let counts = map.lines().filter_map(|line| line.split_whitespace().nth(2)?.parse::<u64>().ok());
    counts.sum::<u64>() >= ALL
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_map_of_all_users_leaves_nobody_out() {
        assert!(maps_all("         0          0 4294967295\n"));
        assert!(maps_all("0 1 2147483648\n2147483648 0 2147483647\n"));
        for map in ["", "0 0 1\n", "0 100000 65536\n", "garbage\n"] {
            assert!(!maps_all(map), "{map:?}");
        }
    }
}

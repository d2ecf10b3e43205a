//! The process group of a command: how its leader ended, and what is left of it.

#![allow(unsafe_code)]

use std::fs;
use std::io::{self, ErrorKind};
use std::mem::MaybeUninit;
use std::process::Child;

use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

/// How a process has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    ByItself,
    BySignal,
}

/// How a child has ended, if it has. It is not waited for, so that it stays a zombie: until then no other process and no
/// other group gets its number.
pub(super) fn ended(child: &Child) -> io::Result<Option<Ended>> {
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    let options = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    // SAFETY: it writes only to `info`, which has room for that.
    if unsafe { libc::waitid(libc::P_PID, child.id(), info.as_mut_ptr(), options) } == -1 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: zeros are a siginfo_t, and so is what the call has stored over them.
    let info = unsafe { info.assume_init() };
    Ok(match info.si_code {
        // No child has such an end: nothing was stored.
        0 => None,
        libc::CLD_EXITED => Some(Ended::ByItself),
        _ => Some(Ended::BySignal),
    })
}

/// Sends a signal to the group that a child leads, which was not waited for.
pub(super) fn signal(leader: &Child, signal: Signal) {
    if let Ok(pid) = i32::try_from(leader.id()) {
        // All of it may have ended by now, or belong to another user.
        let _ = killpg(Pid::from_raw(pid), signal);
    }
}

/// Whether a process lives in the group that a child leads, which was not waited for; `None` if /proc does not tell.
pub(super) fn lives(leader: &Child) -> Option<bool> {
    if !shows_this_namespace() {
        return None;
    }
    // Twice: a process whose entry is still to be read may start another one, whose place has been passed, and end.
    Some(has_member(leader.id())? || has_member(leader.id())?)
}

/// Whether /proc belongs to this process's pid namespace. If it does not, this process has several pids there.
fn shows_this_namespace() -> bool {
    // Names of processes are any bytes.
    let status = fs::read("/proc/self/status").unwrap_or_default();
    let status = String::from_utf8_lossy(&status);
    let pids = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
    pids.is_some_and(|pids| pids.split_whitespace().count() == 1)
}

fn has_member(group: u32) -> Option<bool> {
    for entry in fs::read_dir("/proc").ok()? {
        let entry = entry.ok()?;
        if !entry.file_name().as_encoded_bytes().first().is_some_and(u8::is_ascii_digit) {
            continue;
        }
        match fs::read(entry.path().join("stat")) {
            Ok(stat) if is_member(&String::from_utf8_lossy(&stat), group) => return Some(true),
            Ok(_) => {}
            // It has gone, or belongs to another user whose processes are hidden.
            Err(fault) if fault.kind() == ErrorKind::NotFound => {}
            Err(fault) if fault.kind() == ErrorKind::PermissionDenied => {}
            Err(fault) if fault.raw_os_error() == Some(Errno::ESRCH as i32) => {}
            Err(_) => return None,
        }
    }
    Some(false)
}

/// Whether /proc/PID/stat is of a process of the group that lives: proc(5).
fn is_member(stat: &str, group: u32) -> bool {
    // The name before it may have spaces and parentheses.
    let Some((_, rest)) = stat.rsplit_once(')') else { return false };
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let (Some(state), Some(of), Some(threads)) = (fields.first(), fields.get(2), fields.get(17))
    else {
        return false;
    };
    // The state is that of the first thread, which may have ended before the others.
    let lives =
        !["Z", "X"].contains(state) || threads.parse().is_ok_and(|threads: u32| threads > 1);
    lives && of.parse() == Ok(group)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_is_told_by_group_state_and_threads() {
        let member = |name: &str, state: &str, group: u32, threads: u32| {
            let filler = "0 ".repeat(14);
            is_member(&format!("7 ({name}) {state} 1 {group} {filler}{threads} 0 99\n"), 42)
        };
        assert!(member("sh", "S", 42, 1) && member("a) Z 1 7 (", "R", 42, 1));
        assert!(member("sh", "T", 42, 1) && member("first thread ended", "Z", 42, 2));
        assert!(
            !member("sh", "S", 43, 1) && !member("sh", "Z", 42, 1) && !member("sh", "X", 42, 1)
        );
        assert!(!is_member("", 42) && !is_member("7 (sh) S 1 42", 42));
    }
}

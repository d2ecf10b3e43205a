//! Forks without exec.

#![allow(unsafe_code)]

/// Runs `child` in a forked process and returns its exit status: 0 = success, else the number of the check that failed;
/// 1000 + n = killed by signal n.
pub(crate) fn fork(child: impl FnOnce() -> i32) -> i32 {
    // SAFETY: the C library's allocator is usable in the child of a threaded process, and the child uses
    // nothing else that another thread could have held locked; it ends through _exit.
    match unsafe { libc::fork() } {
        -1 => panic!("fork: {}", std::io::Error::last_os_error()),
        0 => {
            let status = child();
            // SAFETY: ends this process, which needs nothing any more.
            unsafe { libc::_exit(status) }
        }
        pid => status_of(pid),
    }
}

pub(crate) fn status_of(pid: i32) -> i32 {
    let mut status = 0;
    // SAFETY: waits for the child that was just made, into a local.
    assert_eq!(unsafe { libc::waitpid(pid, &mut status, 0) }, pid);
    if libc::WIFEXITED(status) { libc::WEXITSTATUS(status) } else { 1000 + libc::WTERMSIG(status) }
}

/// The number of the first check that does not hold, or 0.
pub(crate) fn first_failure(checks: &[bool]) -> i32 {
    checks.iter().position(|good| !good).map_or(0, |at| at as i32 + 1)
}

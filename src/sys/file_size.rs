//! The process's limit on the size of files (RLIMIT_FSIZE, `ulimit -f`). If a file would grow beyond it, the kernel
//! fails with EFBIG and sends the calling thread SIGXFSZ, which kills the process by default.

#![allow(unsafe_code)]

use std::io;
use std::{mem, ptr};

use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};

/// The largest file that this process may make, in bytes; `None` = no limit.
pub(crate) fn limit() -> Option<u64> {
    let (soft, _) = getrlimit(Resource::RLIMIT_FSIZE).ok()?;
    Some(soft).filter(|bytes| *bytes != RLIM_INFINITY)
}

/// Whether an error says that a file would grow beyond the limit.
pub(crate) fn is_beyond(fault: &io::Error) -> bool {
    fault.raw_os_error() == Some(libc::EFBIG)
}

/// Makes a file grow by `grow`, without letting a failure reach the program as a signal: SIGXFSZ is blocked in this
/// thread for that time, and taken back if the kernel has sent one.
pub(crate) fn without_signal<T>(grow: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    let signal = only_sigxfsz();
    // SAFETY: a set of signals is plain numbers.
    let mut before: libc::sigset_t = unsafe { mem::zeroed() };
    // SAFETY: reads one set and writes the other, both of which live until it returns.
    let rc = unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const signal, &raw mut before) };
    if rc != 0 {
        return Err(io::Error::from_raw_os_error(rc));
    }
    // A signal that was pending before, because the program had blocked it, stays pending.
    let waited = is_pending();
    let grown = grow();
    if !waited && grown.as_ref().is_err_and(is_beyond) {
        let at_once = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: reads the set and the time. It fails if there is no signal, because it is ignored; that is fine.
        unsafe { libc::sigtimedwait(&raw const signal, ptr::null_mut(), &raw const at_once) };
    }
    // SAFETY: reads the set that the first call wrote. It fails only for an unknown action.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const before, ptr::null_mut()) };
    grown
}

fn only_sigxfsz() -> libc::sigset_t {
    // SAFETY: a set of signals is plain numbers.
    let mut set: libc::sigset_t = unsafe { mem::zeroed() };
    // SAFETY: writes the set that it is given.
    unsafe { libc::sigemptyset(&raw mut set) };
    // SAFETY: changes the set that it is given.
    unsafe { libc::sigaddset(&raw mut set, libc::SIGXFSZ) };
    set
}

fn is_pending() -> bool {
    // SAFETY: a set of signals is plain numbers.
    let mut set: libc::sigset_t = unsafe { mem::zeroed() };
    // SAFETY: writes the set that it is given.
    unsafe { libc::sigpending(&raw mut set) };
    // SAFETY: reads the set that it is given.
    unsafe { libc::sigismember(&raw const set, libc::SIGXFSZ) == 1 }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::FromRawFd;

    use nix::sys::resource::setrlimit;

    use super::*;

    /// Runs it in a forked child, whose limit is its own; returns how that ended.
    fn forked(child: impl FnOnce() -> bool) -> i32 {
        // SAFETY: the C library's allocator works in the child, which uses nothing that another thread
        // could have locked, and ends through _exit.
        match unsafe { libc::fork() } {
            0 => {
                let good = child();
                // SAFETY: ends this process, which needs nothing any more.
                unsafe { libc::_exit(i32::from(!good)) }
            }
            pid => {
                let mut status = 0;
                // SAFETY: waits for the child that was just made, into a local.
                assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
                status
            }
        }
    }

    /// A file and a limit of one byte, as if the limit was set after it was read.
    fn limited() -> File {
        setrlimit(Resource::RLIMIT_FSIZE, 1, RLIM_INFINITY).unwrap();
        // SAFETY: the name is a string with an end.
        let fd = unsafe { libc::memfd_create(c"test".as_ptr(), 0) };
        // SAFETY: the descriptor was just made, and has no other owner.
        unsafe { File::from_raw_fd(fd) }
    }

    #[test]
    fn a_file_that_may_not_grow_is_an_error_and_no_signal() {
        let status = forked(|| {
            let file = limited();
            let grown = without_signal(|| file.set_len(2));
            // Twice: the first has left the mask as it was, and nothing pending.
            let again = without_signal(|| file.set_len(2));
            [grown, again].iter().all(|grown| grown.as_ref().is_err_and(is_beyond)) && !is_pending()
        });
        assert_eq!(status, 0);
        // The signal is unblocked again.
        let status = forked(|| {
            let file = limited();
            let _ = without_signal(|| file.set_len(2));
            file.set_len(2).is_ok()
        });
        assert_eq!(libc::WTERMSIG(status), libc::SIGXFSZ);
    }

    #[test]
    fn a_signal_that_waits_for_the_program_stays() {
        let status = forked(|| {
            let (file, set) = (limited(), only_sigxfsz());
            // SAFETY: reads the set.
            unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, ptr::null_mut()) };
            let _ = file.set_len(2);
            let _ = without_signal(|| file.set_len(2));
            is_pending()
        });
        assert_eq!(status, 0);
    }
}

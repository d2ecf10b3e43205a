//! A memory barrier on all processors that run a process which has registered for it: membarrier(2).

#![allow(unsafe_code)]

use std::io;

/// Registers this process: from now on, barriers of other processes reach its threads. A second call does nothing but
/// cost a system call. A forked child is registered if its parent is; a program that is executed is not.
pub(crate) fn register() -> io::Result<()> {
    call(libc::MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED)
}

/// Waits until every processor that runs a registered process has executed a full barrier, this one included.
pub(crate) fn everywhere() -> io::Result<()> {
    call(libc::MEMBARRIER_CMD_GLOBAL_EXPEDITED)
}

fn call(command: libc::c_int) -> io::Result<()> {
    // SAFETY: takes no pointers, and changes nothing but the order of memory accesses.
    let rc = unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) };
    if rc == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

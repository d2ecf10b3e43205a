//! Threads that the kernel refuses some calls.

#![allow(unsafe_code)]

/// The calls that a thread may not make.
pub(crate) enum Filter {
    /// All calls but this one, which fails.
    Without(libc::c_long),
    /// Only this call, which kills it.
    Only(libc::c_long),
}

/// Binds the calling thread to a filter, as some sandboxes do. Returns whether that worked.
pub(crate) fn filter(filter: Filter) -> bool {
    let (call, then, otherwise) = match filter {
        Filter::Without(call) => {
            (call, libc::SECCOMP_RET_ERRNO | libc::EPERM as u32, libc::SECCOMP_RET_ALLOW)
        }
        Filter::Only(call) => (call, libc::SECCOMP_RET_ALLOW, libc::SECCOMP_RET_KILL_PROCESS),
    };
    let statement =
        |code: u32, jt: u8, k: u32| libc::sock_filter { code: code as u16, jt, jf: 0, k };
    let mut statements = [
        // The system call's number lies at 0. If it is the one, skip a statement.
        statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0),
        statement(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 1, call as u32),
        statement(libc::BPF_RET | libc::BPF_K, 0, otherwise),
        statement(libc::BPF_RET | libc::BPF_K, 0, then),
    ];
    let program =
        libc::sock_fprog { len: statements.len() as u16, filter: statements.as_mut_ptr() };
    // SAFETY: takes numbers only.
    let bound = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    // SAFETY: the program lives until the call returns; the kernel copies it.
    let set = unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &program) };
    bound == 0 && set == 0
}

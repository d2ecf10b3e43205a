//! Sleepers and those who wake them, in processes of their own.

use slipring::{OpenError, Queue, WakeMode};

use crate::common::TempName;
use crate::common::child::{Child, tell};

/// Lets membarrier(2) fail for this thread, as under some sandboxes. Returns whether that worked.
#[allow(unsafe_code)]
fn forbid_membarrier() -> bool {
    let statement =
        |code: u32, jt: u8, k: u32| libc::sock_filter { code: code as u16, jt, jf: 0, k };
    let mut filter = [
        // The system call's number lies at 0. Unless it is the one, skip nothing and allow.
        statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0),
        statement(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 1, libc::SYS_membarrier as u32),
        statement(libc::BPF_RET | libc::BPF_K, 0, libc::SECCOMP_RET_ALLOW),
        statement(libc::BPF_RET | libc::BPF_K, 0, libc::SECCOMP_RET_ERRNO | libc::EPERM as u32),
    ];
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    // SAFETY: takes numbers only.
    let bound = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    // SAFETY: the program lives until the call returns; the kernel copies it.
    let set = unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &program) };
    bound == 0 && set == 0
}

/// Role: opens the queue `name` and makes another one, without membarrier.
pub(crate) fn without_membarrier(name: &str) {
    if !forbid_membarrier() {
        return tell("no filter");
    }
    let fault = Queue::<[u8]>::open(name).map(drop).unwrap_err();
    assert!(matches!(fault, OpenError::System(_)), "{fault:?}");
    tell(fault);
    // Who only looks wakes nobody.
    slipring::OpenOptions::new().snapshot(name).unwrap();
    let other = TempName::new("fallback");
    let queue = Queue::builder(&other).create().unwrap();
    tell(queue.wake_mode());
    assert_eq!(Queue::<[u8]>::open(&other).unwrap().wake_mode(), WakeMode::Fence);
}

#[test]
fn without_membarrier_new_queues_use_fences_and_others_are_refused() {
    let name = TempName::new("membarrier");
    let queue = Queue::builder(&name).create().unwrap();
    if queue.wake_mode() != WakeMode::Membarrier {
        println!("skipped: this kernel refuses membarrier(2)");
        return;
    }
    let mut child = Child::start(&format!("without-membarrier {}", &*name));
    let line = child.line().unwrap();
    if line == "no filter" {
        println!("skipped: this system lets nobody filter system calls");
        return;
    }
    let doing = "cannot register with membarrier(2), which the queue's wake mode needs: ";
    assert!(line.starts_with(doing), "{line}");
    child.expect("fence");
    child.finish();
}

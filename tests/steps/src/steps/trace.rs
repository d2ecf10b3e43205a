//! Steps a process from one mark to the next, one instruction at a time, and counts the states that other processes can
//! tell apart.

#![allow(unsafe_code)]

use std::collections::HashMap;
use std::mem::offset_of;

use nix::errno::Errno;
use nix::sys::ptrace;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;

use super::party::Party;
use super::shm::{Watch, What};

/// A mark: the traced process stops here for its tracer, before and after the operation.
pub(crate) fn mark() {
    // SAFETY: a breakpoint touches nothing. Without a tracer it would end the process.
    unsafe { std::arch::asm!("int3") };
}

/// Called by the process that is to be stepped.
pub(crate) fn let_be_traced() -> Result<(), String> {
    ptrace::traceme().map_err(|e| format!("may not be traced: {e}"))
}

const INT3: i64 = 0xcc;
const SYSCALL: i64 = 0x050f;

/// A step after which other processes see something else than before.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    /// Instructions since the first mark, this one included.
    pub(crate) step: u64,
    /// The address of the instruction.
    pub(crate) at: u64,
    /// How often the process has come to this instruction since the previous change, this time included.
    arrivals: u64,
    /// Steps since it came to it, or since the previous change: one, except for an instruction that repeats itself.
    repeats: u64,
    pub(crate) what: What,
}

/// One whole operation, stepped through.
#[derive(Debug, Default)]
pub(crate) struct Walk {
    pub(crate) steps: u64,
    pub(crate) changes: Vec<Change>,
}

/// Runs `victim` to its first mark.
pub(crate) fn to_mark(victim: &Party) -> Result<(), String> {
    trapped(victim.pid())?;
    ptrace::setoptions(victim.pid(), ptrace::Options::PTRACE_O_EXITKILL)
        .map_err(|e| format!("cannot trace the victim: {e}"))
}

/// Steps `victim` to the second mark, or until it has made `most` changes.
pub(crate) fn walk(victim: &Party, most: usize) -> Result<Walk, String> {
    let (pid, mut watch, mut walk) = (victim.pid(), Watch::begin()?, Walk::default());
    let mut came_to = HashMap::<u64, u64>::new();
    let (mut last, mut repeats) = (0, 0);
    while walk.changes.len() < most {
        let Some(next) = next(pid)? else { break };
        let came = came_to.entry(next.at).or_default();
        if last != next.at {
            (last, repeats) = (next.at, 0);
            *came += 1;
        }
        repeats += 1;
        walk.steps += 1;
        if let Some(what) = step(pid, &mut watch, next)? {
            let (step, at, arrivals) = (walk.steps, next.at, *came);
            walk.changes.push(Change { step, at, arrivals, repeats, what });
            came_to.clear();
            repeats = 0;
        }
    }
    Ok(walk)
}

/// Runs `victim` through `changes`, at full speed but for the instructions that make them. Returns whether each was as
/// it should be: it may go another way this time.
pub(crate) fn arrive(victim: &Party, changes: &[Change]) -> Result<bool, String> {
    let (pid, mut watch) = (victim.pid(), Watch::begin()?);
    for change in changes {
        if !run_to(pid, change)? {
            return Ok(false);
        }
        let mut what = None;
        for _ in 0..change.repeats {
            let next = next(pid)?.filter(|next| next.at == change.at && what.is_none());
            let Some(next) = next else { return Ok(false) };
            what = step(pid, &mut watch, next)?;
        }
        if !what.is_some_and(|what| what.is_like(&change.what)) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Runs `victim` to its second mark. It may be there already.
pub(crate) fn to_end(victim: &Party) -> Result<(), String> {
    if next(victim.pid())?.is_some() {
        ptrace::cont(victim.pid(), None).map_err(|e| format!("cannot continue the victim: {e}"))?;
        trapped(victim.pid())?;
    }
    Ok(())
}

/// Runs `pid` to the instruction that makes `change`. Returns whether it came there.
fn run_to(pid: Pid, change: &Change) -> Result<bool, String> {
    let fault = |e: Errno| format!("cannot continue the victim: {e}");
    let mut arrivals = u64::from(ptrace::getregs(pid).map_err(fault)?.rip == change.at);
    if arrivals < change.arrivals {
        break_at(pid, change.at)?;
    }
    while arrivals < change.arrivals {
        ptrace::cont(pid, None).map_err(fault)?;
        trapped(pid)?;
        if ptrace::getregs(pid).map_err(fault)?.rip != change.at {
            return Ok(false);
        }
        arrivals += 1;
    }
    clear_break(pid)?;
    Ok(true)
}

/// An instruction that is about to be executed.
#[derive(Clone, Copy, Debug)]
struct Next {
    at: u64,
    /// The number of the system call that it makes, if it makes one.
    call: Option<u64>,
}

/// The next instruction; `None` at a mark.
fn next(pid: Pid) -> Result<Option<Next>, String> {
    let fault = |e: Errno| format!("cannot step the victim: {e}");
    let registers = ptrace::getregs(pid).map_err(fault)?;
    let code = ptrace::read(pid, registers.rip as ptrace::AddressType).map_err(fault)?;
    let call = (code & 0xffff == SYSCALL).then_some(registers.rax);
    Ok((code & 0xff != INT3).then_some(Next { at: registers.rip, call }))
}

/// Executes the next instruction. Returns what other processes see of it.
fn step(pid: Pid, watch: &mut Watch, next: Next) -> Result<Option<What>, String> {
    ptrace::step(pid, None).map_err(|e| format!("cannot step the victim: {e}"))?;
    trapped(pid)?;
    let what = watch.look_at_memory();
    let Some(call) = next.call else { return Ok(what) };
    // A wake-up changes nothing that could be seen here, so the call itself counts.
    let woke = call == libc::SYS_futex as u64;
    let system = watch.look_at_system()?;
    Ok(system.or(what).or(woke.then_some(What::Wake)))
}

const DEBUG: usize = offset_of!(libc::user, u_debugreg);
/// Debug register 0 enabled, for instructions.
const ON: libc::c_long = 1;

/// Has the processor stop `pid` whenever it comes to the instruction at `at`.
fn break_at(pid: Pid, at: u64) -> Result<(), String> {
    debug_register(pid, 0, at as libc::c_long)?;
    debug_register(pid, 7, ON)
}

fn clear_break(pid: Pid) -> Result<(), String> {
    debug_register(pid, 7, 0)
}

fn debug_register(pid: Pid, register: usize, value: libc::c_long) -> Result<(), String> {
    let at = DEBUG + register * size_of::<libc::c_long>();
    ptrace::write_user(pid, at as ptrace::AddressType, value)
        .map_err(|e| format!("cannot set the processor's breakpoint {register}: {e}"))
}

fn trapped(pid: Pid) -> Result<(), String> {
    match stopped(pid)? {
        Some(Signal::SIGTRAP) => Ok(()),
        Some(other) => Err(format!("the victim got {other} in its operation")),
        None => Err("the victim has ended in its operation".to_owned()),
    }
}

/// The signal that the process stopped with; `None` if the process is gone.
fn stopped(pid: Pid) -> Result<Option<Signal>, String> {
    match waitpid(pid, None) {
        Ok(WaitStatus::Stopped(_, signal)) => Ok(Some(signal)),
        Ok(_) => Ok(None),
        Err(Errno::EINTR) => Err("the victim stands still: it is blocked".to_owned()),
        Err(e) => Err(format!("cannot wait for the victim: {e}")),
    }
}

/// The function and line of an instruction. The stepped processes are forks of this one, so addresses are the same.
pub(crate) fn name_of(at: u64) -> String {
    let mut names = Vec::new();
    backtrace::resolve(at as *mut std::ffi::c_void, |symbol| {
        let name = symbol.name().map_or("?".to_owned(), |name| format!("{name:#}"));
        let line = symbol.filename().zip(symbol.lineno());
        let line =
            line.map_or(String::new(), |(file, line)| format!(" ({}:{line})", file.display()));
        names.push(name + &line);
    });
    if names.is_empty() { format!("{at:#x}") } else { format!("{at:#x} {}", names.join(" in ")) }
}

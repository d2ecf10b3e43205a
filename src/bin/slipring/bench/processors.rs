//! The processors of this machine: which ones a thread may use, and what the kernel tells about them.

use std::fs;

use nix::sched::{CpuSet, sched_getaffinity, sched_getcpu, sched_setaffinity};
use nix::sys::resource::{UsageWho, getrusage};
use nix::unistd::Pid;

use super::findings::Findings;
use crate::failure::{Failure, io_failed};

/// What is shown where the kernel does not tell.
pub(crate) const UNKNOWN: &str = "unknown";

/// The processors that the calling thread may run on.
pub(crate) fn usable() -> Result<Vec<usize>, Failure> {
    let set = sched_getaffinity(Pid::from_raw(0))
        .map_err(|errno| io_failed("ask for the usable processors", &errno.into()))?;
    Ok((0..CpuSet::count()).filter(|cpu| set.is_set(*cpu).unwrap_or(false)).collect())
}

/// Pins the calling thread to one processor.
pub(crate) fn pin(cpu: usize) -> Result<(), Failure> {
    let pin = || {
        let mut set = CpuSet::new();
        set.set(cpu)?;
        sched_setaffinity(Pid::from_raw(0), &set)
    };
    pin().map_err(|errno| io_failed(&format!("run on processor {cpu}"), &errno.into()))
}

/// A fact about one processor, by its path in sysfs.
pub(crate) fn fact(cpu: usize, path: &str) -> String {
    file_line(&format!("/sys/devices/system/cpu/cpu{cpu}/{path}"))
}

/// The processors that share a core with this one, itself included, as the kernel lists them.
pub(crate) fn core_of(cpu: usize) -> String {
    fact(cpu, "topology/thread_siblings_list")
}

/// The content of a file of one line.
pub(crate) fn file_line(path: &str) -> String {
    match fs::read_to_string(path).unwrap_or_default().trim() {
        "" => UNKNOWN.to_owned(),
        text => text.to_owned(),
    }
}

/// What happens to the calling thread during a measurement.
pub(crate) struct ThreadUsage {
    processor: Option<usize>,
    preemptions: u64,
}

impl ThreadUsage {
    pub(crate) fn begin() -> ThreadUsage {
        ThreadUsage { processor: sched_getcpu().ok(), preemptions: preemptions() }
    }

    /// Notes how often the kernel gave the thread's processor to something else, and where the thread was seen.
    pub(crate) fn end(self, findings: &mut Findings) {
        findings.preemptions = preemptions().saturating_sub(self.preemptions);
        findings.processors = [self.processor, sched_getcpu().ok()].into_iter().flatten().collect();
    }
}

/// Involuntary context switches of the calling thread so far.
fn preemptions() -> u64 {
    let usage = getrusage(UsageWho::RUSAGE_THREAD);
    usage.map_or(0, |usage| usage.involuntary_context_switches().max(0) as u64)
}

/// How threads that wait for a message, or for room, are woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
#[cfg_attr(slipring_loom, allow(unreachable_pub, dead_code))]
pub enum WakeMode {
    /// No thread is woken: all poll, with short sleeps in between. For systems without futexes that processes share,
    /// and for programs that prefer to spend a processor instead of the microseconds of a wake-up.
    None = 0,
    /// Waiting threads sleep in the kernel. Sending and acking cost nothing for it as long as none sleeps: before a
    /// sleep, membarrier(2) interrupts every processor that runs a process which has registered for it, of this queue,
    /// of other queues, of other programs. The default, where the kernel has it.
    #[default]
    Membarrier = 1,
    /// Waiting threads sleep in the kernel. Sending and acking cost a fence each time, some nanoseconds. A new queue
    /// gets this mode where the kernel refuses membarrier(2).
    Fence = 2,
}

#[cfg(not(slipring_loom))]
impl WakeMode {
    /// The mode of a config; `None` if a newer version wrote it.
    pub(crate) fn of(number: u32) -> Option<WakeMode> {
        [WakeMode::None, WakeMode::Membarrier, WakeMode::Fence]
            .into_iter()
            .find(|mode| *mode as u32 == number)
    }
}

impl std::fmt::Display for WakeMode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            WakeMode::None => "none",
            WakeMode::Membarrier => "membarrier",
            WakeMode::Fence => "fence",
        })
    }
}

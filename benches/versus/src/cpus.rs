//! The two processors that the ends run on.

use std::sync::OnceLock;

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

static CHOSEN: OnceLock<Vec<usize>> = OnceLock::new();

/// One of the two ends.
#[derive(Clone, Copy)]
pub(crate) enum Side {
    Here,
    There,
}

/// The first two processors that this process may use, or the only one. Must be called before any thread is
/// pinned.
pub(crate) fn choose() -> &'static [usize] {
    CHOSEN.get_or_init(|| {
        let Ok(mask) = sched_getaffinity(Pid::from_raw(0)) else { return Vec::new() };
        let ours = (0..CpuSet::count()).filter(|&cpu| mask.is_set(cpu).unwrap_or(false));
        ours.take(2).collect()
    })
}

/// Whether each end has a processor of its own.
pub(crate) fn two() -> bool {
    choose().len() == 2
}

/// Pins the calling thread. Does nothing if there is only one usable processor.
pub(crate) fn pin(side: Side) {
    let &[here, there] = choose() else { return };
    let mut set = CpuSet::new();
    let cpu = match side {
        Side::Here => here,
        Side::There => there,
    };
    set.set(cpu).expect("a processor of our own mask");
    sched_setaffinity(Pid::from_raw(0), &set).expect("a processor of our own mask");
}

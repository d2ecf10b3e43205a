//! How to wait, and to be woken.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use slipring::{WaitStrategy, WakeMode};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ValueEnum)]
pub(crate) enum WaitArg {
    /// Poll: the shortest delay, for a whole processor
    Spin,
    /// Poll, but let other threads run in between
    Yield,
    /// Poll for a tenth of a millisecond, then sleep until woken
    Sleep,
}

impl From<WaitArg> for WaitStrategy {
    fn from(arg: WaitArg) -> WaitStrategy {
        match arg {
            WaitArg::Spin => WaitStrategy::spin(),
            WaitArg::Yield => WaitStrategy::spin_then_yield(),
            WaitArg::Sleep => WaitStrategy::spin_then_sleep(),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum WakeArg {
    /// A process that goes to sleep interrupts every processor that runs one of the queue's processes
    Membarrier,
    /// Each message and ack takes some nanoseconds more, and nothing is interrupted
    Fence,
    /// Nothing is woken: a waiting process polls once in a millisecond
    None,
}

impl From<WakeArg> for WakeMode {
    fn from(arg: WakeArg) -> WakeMode {
        match arg {
            WakeArg::Membarrier => WakeMode::Membarrier,
            WakeArg::Fence => WakeMode::Fence,
            WakeArg::None => WakeMode::None,
        }
    }
}

//! Runs a slice that needs one thread only.

use std::thread;

use crate::cpus::{Side, pin};

/// Runs it in a new thread, so that no other thread is pinned.
pub(crate) fn alone<R: Send>(run: impl FnOnce() -> R + Send) -> R {
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            pin(Side::Here);
            run()
        });
        thread.join().expect("a panic ends the process")
    })
}

//! Queues that a process makes for itself.

use std::path::Path;

use slipring::RemoveError;

/// The name of a queue. Dropping it removes the queue.
pub(crate) struct Temporary(String);

impl Temporary {
    /// `WHAT-PID`. Removes queues with such names that processes have left behind because they were killed.
    pub(crate) fn name(what: &str) -> Temporary {
        let me = std::process::id();
        for name in slipring::list().unwrap_or_default() {
            let pid = name.strip_prefix(what).and_then(|rest| rest.strip_prefix('-'));
            let pid = pid.and_then(|pid| pid.parse::<u32>().ok());
            if pid.is_some_and(|pid| pid == me || !Path::new(&format!("/proc/{pid}")).exists()) {
                // `remove` refuses a queue that is in use. Nobody will receive unacked messages of another one.
                if let Err(RemoveError::Unacked { .. }) = slipring::remove(&name) {
                    let _ = slipring::force_remove(&name);
                }
            }
        }
        Temporary(format!("{what}-{me}"))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = slipring::force_remove(&self.0);
    }
}

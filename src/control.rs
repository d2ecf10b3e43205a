//! The control lease of a queue, under which groups and consumer records are made, taken and freed.

use std::time::{Duration, Instant};

use crate::error::{ControlError, SystemError, known_pid};
use crate::layout::{View, lease_byte};
use crate::ring::figures;
use crate::ring::groups::free_half_made;
use crate::segment::{LeaseFile, QueueName};
use crate::sync::lease::{give_back, try_take};

/// The control lease, held until dropped.
#[derive(Debug)]
pub(crate) struct ControlGuard<'a> {
    view: &'a View,
    leases: &'a LeaseFile,
}

/// Time between two tries to take the control lease. Control operations take microseconds; with a longer pause,
/// processes that make many in a row would keep the others out.
const TRY_EVERY: Duration = Duration::from_micros(50);

impl<'a> ControlGuard<'a> {
    /// Waits for the control lease, at most `timeout`.
    pub(crate) fn take(
        name: &QueueName,
        view: &'a View,
        leases: &'a LeaseFile,
        timeout: Duration,
    ) -> Result<ControlGuard<'a>, ControlError> {
        let queue = name.shared();
        if leases.forked() {
            return Err(ControlError::Forked { queue: queue.clone() });
        }
        let since = Instant::now();
        let system =
            |source| SystemError::new(queue, "lock the queue for a control operation", source);
        while !try_take(leases, lease_byte::CONTROL).map_err(system)? {
            if since.elapsed() >= timeout {
                let pid = known_pid(figures::control_pid(view));
                let (queue, waited_ms) = (queue.clone(), timeout.as_millis() as u64);
                return Err(ControlError::Timeout { queue, pid, waited_ms });
            }
            std::thread::sleep(TRY_EVERY);
        }
        let guard = ControlGuard { view, leases };
        figures::set_control_pid(view);
        if leases.removed().map_err(system)? {
            return Err(ControlError::Removed { queue: queue.clone() });
        }
        free_half_made(view);
        Ok(guard)
    }
}

impl Drop for ControlGuard<'_> {
    fn drop(&mut self) {
        figures::clear_control_pid(self.view);
        give_back(self.leases, lease_byte::CONTROL);
    }
}

use std::io;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;

use nix::errno::Errno;
use nix::sys::mman::shm_unlink;

use super::OpenOptions;
use crate::attach::{CONTROL_TIMEOUT, Mapped};
use crate::control::ControlGuard;
use crate::error::{OpenError, Pids, RemoveError, SystemError, Unacked, known_pid};
use crate::group::pid_of;
use crate::layout::lease_byte;
use crate::ring::{figures, notify};
use crate::segment::{LeaseFile, QueueName, Trust, list_names, open_shared, shm_path};
use crate::snapshot::unacked;
use crate::sys::holder;

/// Names of all queues on this machine, of all users, sorted.
///
/// # Errors
/// If /dev/shm cannot be read.
pub fn list() -> Result<Vec<String>, SystemError> {
    list_names().map_err(|e| SystemError::of_no_queue("read /dev/shm", e))
}

/// Removes the queue called `name`: it loses its name at once, and its memory is freed with the last process that has
/// it mapped. Handles that are still attached fail with `Removed` on their slow paths. The queue's dead letters are in
/// other queues, which stay.
///
/// # Errors
/// [`RemoveError::Busy`] names the processes that hold a role; [`RemoveError::Unacked`] says which groups have not
/// acked how many messages (a queue without groups has none of these); [`RemoveError::Unreadable`] if it cannot be
/// opened (damaged, another version, another user's). [`force_remove`] removes it in each of these cases.
pub fn remove(name: &str) -> Result<(), RemoveError> {
    remove_trusting(name, false, &Trust::default())
}

/// Removes the queue called `name` even if processes hold roles in it, groups have not acked its messages, or it cannot
/// be opened; else as [`remove()`]. Messages that were not acked are lost.
///
/// # Errors
/// [`RemoveError::NotFound`] if there is none; [`RemoveError::System`] if the system does not let this user remove it.
pub fn force_remove(name: &str) -> Result<(), RemoveError> {
    remove_trusting(name, true, &Trust::default())
}

impl OpenOptions {
    /// Removes the queue called `name`, as [`remove()`] does, even if it belongs to an allowed user.
    ///
    /// # Errors
    /// As for [`remove()`].
    pub fn remove(&self, name: &str) -> Result<(), RemoveError> {
        remove_trusting(name, false, &self.trust)
    }

    /// Removes the queue called `name`, as [`force_remove()`] does, even if it belongs to an allowed user.
    ///
    /// # Errors
    /// As for [`force_remove()`].
    pub fn force_remove(&self, name: &str) -> Result<(), RemoveError> {
        remove_trusting(name, true, &self.trust)
    }
}

/// Removes a queue of a user that `trust` allows.
fn remove_trusting(name: &str, force: bool, trust: &Trust) -> Result<(), RemoveError> {
    let name = QueueName::new(name)?;
    let queue = name.shared().clone();
    let look = |source| look(&queue, source);
    // A queue of an untrusted owner or another version can be removed, if the kernel permits, but only by force:
    // whether it is in use is not known.
    match open_shared(&name, trust) {
        Ok(opened) => {
            // Where the kernel refuses the heavy barrier, a waiter that is overlooked below wakes by its own time
            // limit.
            let _ = opened.prepare_to_wake(&name);
            let (mapped, leases) = Mapped::new(name, opened)?;
            let control = ControlGuard::take(&mapped.name, mapped.view(), &leases, CONTROL_TIMEOUT);
            // A process that is stuck in a control operation must not keep a queue that is removed by force.
            let _control = match control {
                Err(_) if force => None,
                control => Some(control?),
            };
            let pids = role_holders(&mapped, &leases).map_err(look)?;
            if !force && !pids.as_slice().is_empty() {
                return Err(RemoveError::Busy { queue, pids });
            }
            // Nobody has a role, and under the control lease nobody gets one: these figures hold.
            if !force {
                let unacked = unacked(&mapped, &leases)?;
                if unacked != Unacked::default() {
                    return Err(RemoveError::Unacked { queue, unacked });
                }
            }
            unlink(&mapped.name, leases.id().map_err(look)?)?;
            notify::all_groups(mapped.view());
            notify::room(mapped.view());
            Ok(())
        }
        Err(OpenError::NotFound { queue }) => Err(RemoveError::NotFound { queue }),
        // It may not even be readable. Removing a name needs permission for the directory only.
        Err(_) if force => {
            let meta = std::fs::symlink_metadata(shm_path(&name.object())).map_err(look)?;
            unlink(&name, (meta.dev(), meta.ino()))
        }
        Err(reason) => Err(RemoveError::Unreadable { queue, reason }),
    }
}

fn look(queue: &Arc<str>, source: io::Error) -> SystemError {
    SystemError::new(queue, "check the queue's file", source)
}

fn role_holders(mapped: &Mapped, leases: &LeaseFile) -> io::Result<Pids> {
    let (view, mut held) = (mapped.view(), Vec::new());
    if leases.is_held(lease_byte::PRODUCER)? {
        let pid = known_pid(figures::producer_pid(view));
        held.push((pid, lease_byte::PRODUCER));
    }
    for record in 0..view.records().len() as u8 {
        let byte = lease_byte::consumer(record);
        if leases.is_held(byte)? {
            held.push((pid_of(view, record), byte));
        }
    }
    let own = held.iter().any(|(pid, byte)| holder::is_own(*pid, mapped.id(), *byte));
    let mut pids: Vec<_> = held.into_iter().map(|(pid, _)| pid).collect();
    pids.sort_unstable();
    pids.dedup();
    Ok(Pids { pids, own })
}

/// Removes the name, if it still is that of the object with this device and inode.
fn unlink(name: &QueueName, id: (u64, u64)) -> Result<(), RemoveError> {
    let queue = name.shared();
    let not_found = || RemoveError::NotFound { queue: queue.clone() };
    match std::fs::symlink_metadata(shm_path(&name.object())) {
        Ok(meta) if (meta.dev(), meta.ino()) == id => {}
        Ok(_) => return Err(not_found()),
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => return Err(not_found()),
        Err(fault) => return Err(look(queue, fault).into()),
    }
    shm_unlink(name.object().as_str()).map_err(|errno| match errno {
        Errno::ENOENT => not_found(),
        errno => SystemError::new(queue, "remove the queue's name", errno).into(),
    })
}

//! Creation: under a temporary name, then renamed. The real name is always ready. A creator that dies leaves nothing
//! but a temporary whose lease is free, which the next creator sweeps.

use std::fs::File;
use std::hash::{BuildHasher, Hasher};
use std::io;
use std::sync::Arc;

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, RenameFlags, posix_fallocate, renameat2};
use nix::sys::mman::shm_unlink;
use nix::sys::stat::{Mode, fchmod};

use super::lease::LeaseFile;
use super::name::{self, QueueName, shm_dir, shm_path};
use super::region::Region;
use crate::error::{CreateError, Free, SystemError};
use crate::layout::lease_byte;
use crate::sync::lease::{Leases, give_back, try_take};
use crate::sys::file_size;
use crate::sys::memory::FreeMemory;

/// What to do with the memory of a mapping.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Memory {
    pub(crate) prefault: bool,
    pub(crate) lock: bool,
}

impl Memory {
    pub(crate) fn apply(self, queue: &Arc<str>, region: &Region) -> Result<(), SystemError> {
        if self.prefault {
            region
                .prefault()
                .map_err(|e| SystemError::new(queue, "prefault the queue's memory", e))?;
        }
        if self.lock {
            let doing = "lock the queue's memory (raise RLIMIT_MEMLOCK, ulimit -l)";
            region.lock().map_err(|e| SystemError::new(queue, doing, e))?;
        }
        Ok(())
    }
}

/// What is to be created.
#[derive(Debug)]
pub(crate) struct Plan<'a> {
    pub(crate) name: &'a QueueName,
    pub(crate) size: usize,
    pub(crate) mode: u32,
    pub(crate) memory: Memory,
}

/// Tries of a creator whose temporary a sweeper removes between two system calls.
const TRIES: usize = 8;

/// Creates the object of `plan`, fills it, and gives it its name.
pub(crate) fn create(
    plan: &Plan<'_>,
    fill: impl FnOnce(&Region) -> Result<(), CreateError>,
) -> Result<(Region, LeaseFile), CreateError> {
    sweep();
    if shm_path(&plan.name.object()).exists() {
        return Err(CreateError::Exists { queue: plan.name.shared().clone() });
    }
    let queue = plan.name.shared();
    let need = plan.size as u64;
    if file_size::limit().is_some_and(|limit| limit < need) {
        return Err(too_large(queue, need));
    }
    let free = FreeMemory::of(&shm_dir());
    if !free.fits(need) {
        return Err(no_room(queue, need, free));
    }
    let make = |source| SystemError::new(queue, "create the queue's shared memory", source);
    for _ in 0..TRIES {
        let temporary = Temporary(Some(name::temporary(random())));
        let region = match Region::make(temporary.object(), plan.size) {
            // The limit was lowered after the check above.
            Err(fault) if file_size::is_beyond(&fault) => return Err(too_large(queue, need)),
            made => made.map_err(make)?,
        };
        let leases = match LeaseFile::open(temporary.object(), true) {
            // Swept.
            Err(fault) if fault.kind() == io::ErrorKind::NotFound => continue,
            opened => opened.map_err(make)?,
        };
        // From here on no sweeper takes it for a leftover. One may have done so before.
        let ours = try_take(&leases, lease_byte::CONTROL).map_err(make)?;
        if !ours || leases.removed().map_err(make)? {
            continue;
        }
        return finish(plan, temporary, region, leases, fill);
    }
    Err(make(io::Error::from(io::ErrorKind::Interrupted)).into())
}

fn finish(
    plan: &Plan<'_>,
    mut temporary: Temporary,
    region: Region,
    leases: LeaseFile,
    fill: impl FnOnce(&Region) -> Result<(), CreateError>,
) -> Result<(Region, LeaseFile), CreateError> {
    let queue = plan.name.shared();
    let need = plan.size as u64;
    let system = |doing| move |source: io::Error| SystemError::new(queue, doing, source);
    let file = leases.file().map_err(system("create the queue's shared memory"))?;
    // Before the first access: later a full file system would cause a SIGBUS.
    allocate(file, plan.size).map_err(|errno| match errno {
        Errno::ENOSPC | Errno::ENOMEM => no_room(queue, need, FreeMemory::of(&shm_dir())),
        errno => SystemError::new(queue, "allocate the queue's shared memory", errno).into(),
    })?;
    plan.memory.apply(queue, &region)?;
    fill(&region)?;
    let mode = Mode::from_bits_truncate(plan.mode);
    fchmod(file, mode).map_err(|e| SystemError::new(queue, "set the queue's permissions", e))?;
    let (from, to) = (shm_path(temporary.object()), shm_path(&plan.name.object()));
    match renameat2(AT_FDCWD, &from, AT_FDCWD, &to, RenameFlags::RENAME_NOREPLACE) {
        Ok(()) => temporary.0 = None,
        Err(Errno::EEXIST) => {
            return Err(CreateError::Exists { queue: plan.name.shared().clone() });
        }
        Err(errno) => return Err(SystemError::new(queue, "give the queue its name", errno).into()),
    }
    give_back(&leases, lease_byte::CONTROL);
    Ok((region, leases))
}

/// In steps: a signal undoes the current step, and a program that is profiled gets many signals.
fn allocate(file: &File, size: usize) -> nix::Result<()> {
    const STEP: usize = 8 << 20;
    for at in (0..size).step_by(STEP) {
        let len = STEP.min(size - at) as libc::off_t;
        while let Err(errno) = posix_fallocate(file, at as libc::off_t, len) {
            if errno != Errno::EINTR {
                return Err(errno);
            }
        }
    }
    Ok(())
}

fn too_large(queue: &Arc<str>, need: u64) -> CreateError {
    CreateError::FileSize { queue: queue.clone(), need, limit: file_size::limit().unwrap_or(0) }
}

fn no_room(queue: &Arc<str>, need: u64, free: FreeMemory) -> CreateError {
    CreateError::NoRoom {
        queue: queue.clone(),
        need,
        file_system: Free(free.file_system),
        machine: Free(free.machine),
        control_group: Free(free.control_group),
    }
}

/// An object that is removed again unless it got its real name.
#[derive(Debug)]
struct Temporary(Option<String>);

impl Temporary {
    fn object(&self) -> &str {
        self.0.as_deref().unwrap_or_default()
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if let Some(object) = &self.0 {
            // It may not have been made, or may have been swept already.
            let _ = shm_unlink(object.as_str());
        }
    }
}

/// Unlinks temporaries whose creator is gone. Best effort: an object that cannot be opened belongs to another user.
fn sweep() {
    for object in name::temporaries().unwrap_or_default() {
        if let Ok(leases) = LeaseFile::open(&object, true)
            && let Ok(true) = leases.try_lock(lease_byte::CONTROL)
        {
            // Under its lease: a creator that has just begun sees that it lost the name.
            let _ = shm_unlink(object.as_str());
        }
    }
}

/// A number that no other process gets at the same time; std seeds its hasher from the system.
pub(crate) fn random() -> u64 {
    let mut hasher = std::hash::RandomState::new().build_hasher();
    hasher.write_u32(std::process::id());
    hasher.finish()
}

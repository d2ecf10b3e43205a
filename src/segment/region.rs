#![allow(unsafe_code)]

use std::io;
use std::num::NonZeroUsize;
use std::os::fd::AsFd;
use std::ptr::NonNull;

use nix::sys::mman::{MapFlags, MmapAdvise, ProtFlags, madvise, mlock, mmap, munmap};
use shared_memory::{Shmem, ShmemConf, ShmemError};

use crate::sys::file_size;
use crate::sys::fork::{self, Inherited};

/// A mapped object. Only this file knows how a segment gets into memory.
#[derive(Debug)]
pub(crate) struct Region {
    at: NonNull<u8>,
    len: usize,
    mapping: Mapping,
    generation: u32,
}

enum Mapping {
    /// It unmaps itself when dropped, and never unlinks (its ownership is off).
    Shared(#[expect(dead_code, reason = "held for its drop")] Shmem),
    ReadOnly,
}

impl std::fmt::Debug for Mapping {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if matches!(self, Mapping::ReadOnly) { "ReadOnly" } else { "Shared" })
    }
}

// SAFETY: the pointers stand for memory that belongs to the process, not to a thread; a region hands out nothing but
// its address.
unsafe impl Send for Region {}
// SAFETY: as above.
unsafe impl Sync for Region {}

fn os_error(fault: ShmemError) -> io::Error {
    match fault {
        ShmemError::MapCreateFailed(errno)
        | ShmemError::MapOpenFailed(errno)
        | ShmemError::UnknownOsError(errno) => io::Error::from_raw_os_error(errno as i32),
        ShmemError::MappingIdExists => io::Error::from_raw_os_error(libc::EEXIST),
        other => io::Error::other(other.to_string()),
    }
}

impl Region {
    /// Makes the object, of `size` bytes that are not allocated yet, and maps it. No other function grows the object.
    pub(crate) fn make(object: &str, size: usize) -> io::Result<Region> {
        file_size::without_signal(|| {
            Region::shared(ShmemConf::new().os_id(object).size(size), ShmemConf::create)
        })
    }

    /// Maps an existing object, whole.
    pub(crate) fn open(object: &str) -> io::Result<Region> {
        Region::shared(ShmemConf::new().os_id(object), ShmemConf::open)
    }

    fn shared(
        conf: ShmemConf,
        map: fn(ShmemConf) -> Result<Shmem, ShmemError>,
    ) -> io::Result<Region> {
        fork::register(|inherited| {
            let mut shmem = map(conf).map_err(os_error)?;
            // It would unlink by name when dropped, whichever object has that name by then.
            shmem.set_owner(false);
            let at = NonNull::new(shmem.as_ptr())
                .ok_or_else(|| io::Error::from_raw_os_error(libc::ENOMEM))?;
            let len = shmem.len();
            Region::keep(at, len, Mapping::Shared(shmem), inherited)
        })
    }

    /// Maps an object for reading only.
    pub(crate) fn read_only(file: impl AsFd, len: usize) -> io::Result<Region> {
        let size =
            NonZeroUsize::new(len).ok_or_else(|| io::Error::from_raw_os_error(libc::EINVAL))?;
        fork::register(|inherited| {
            // SAFETY: a new mapping at an address of the kernel's choice affects no other memory.
            let at =
                unsafe { mmap(None, size, ProtFlags::PROT_READ, MapFlags::MAP_SHARED, file, 0) }?;
            Region::keep(at.cast(), len, Mapping::ReadOnly, inherited)
        })
    }

    fn keep(
        at: NonNull<u8>,
        len: usize,
        mapping: Mapping,
        inherited: &mut dyn FnMut(Inherited),
    ) -> io::Result<Region> {
        // SAFETY: the range is a mapping of this process; only children are affected.
        if let Err(errno) = unsafe { madvise(at.cast(), len, MmapAdvise::MADV_DONTFORK) } {
            if let Mapping::ReadOnly = mapping {
                // SAFETY: the caller has just mapped it, and has shared it with nobody.
                let _ = unsafe { munmap(at.cast(), len) };
            }
            return Err(errno.into());
        }
        inherited(Inherited::Mapping { at: at.as_ptr() as usize, len });
        Ok(Region { at, len, mapping, generation: fork::generation() })
    }

    pub(crate) fn at(&self) -> NonNull<u8> {
        self.at
    }

    /// Whether this process is a child of the one that mapped it: the memory is not there.
    pub(crate) fn forked(&self) -> bool {
        self.generation != fork::generation()
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Brings all pages into this process's page table, for writing.
    pub(crate) fn prefault(&self) -> io::Result<()> {
        // SAFETY: populating a mapping of this process changes no byte of it.
        let rc =
            unsafe { libc::madvise(self.at.as_ptr().cast(), self.len, libc::MADV_POPULATE_WRITE) };
        if rc == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// Keeps all pages in memory (RLIMIT_MEMLOCK permitting).
    pub(crate) fn lock(&self) -> io::Result<()> {
        // SAFETY: locking a mapping of this process changes no byte of it.
        Ok(unsafe { mlock(self.at.cast(), self.len) }?)
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // In a forked child an inaccessible stand-in lies there, which nobody registered.
        if !self.forked() {
            let entry = Inherited::Mapping { at: self.at.as_ptr() as usize, len: self.len };
            fork::unregister(entry, || {});
        }
        if let Mapping::ReadOnly = self.mapping {
            // SAFETY: the mapping belongs to this region, and all its views are gone: views live no longer than an Arc
            // of their region. A failure cannot be handled.
            let _ = unsafe { munmap(self.at.cast(), self.len) };
        }
    }
}

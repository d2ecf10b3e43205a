//! Leases as open-file-description locks (fcntl(2), F_OFD_SETLK).

use std::cell::RefCell;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::mman::shm_open;
use nix::sys::stat::{Mode, fstat};

use crate::sync::lease::{Leases, give_back};
use crate::sys::fork::{self, Inherited};

/// An open file description of a segment, never mapped: a mapping would keep its locks alive.
#[derive(Debug)]
pub(crate) struct LeaseFile {
    /// `None` only inside `drop`.
    file: Option<File>,
    /// The bytes this description holds: the kernel would grant them to it again.
    held: RefCell<Vec<u64>>,
    generation: u32,
}

fn lock_of(byte: u64, kind: libc::c_int) -> libc::flock {
    libc::flock {
        l_type: kind as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: byte as libc::off_t,
        l_len: 1,
        l_pid: 0,
    }
}

impl LeaseFile {
    /// Opens a shared memory object anew, for reading and writing or for reading only.
    pub(crate) fn open(object: &str, write: bool) -> io::Result<LeaseFile> {
        let access = if write { OFlag::O_RDWR } else { OFlag::O_RDONLY };
        fork::register(|inherited| {
            // Non-blocking: the object may have been replaced by a pipe, whose open would block and hold the fork lock.
            let flags = access | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
            let fd = shm_open(object, flags, Mode::empty())?;
            inherited(Inherited::Lease(fd.as_raw_fd()));
            Ok(LeaseFile {
                file: Some(File::from(fd)),
                held: RefCell::default(),
                generation: fork::generation(),
            })
        })
    }

    pub(crate) fn file(&self) -> io::Result<&File> {
        match &self.file {
            Some(file) if self.generation == fork::generation() => Ok(file),
            _ => Err(io::Error::from(io::ErrorKind::Unsupported)),
        }
    }

    /// Whether this handle was made before a fork.
    #[inline]
    pub(crate) fn forked(&self) -> bool {
        self.generation != fork::generation()
    }

    /// Whether the object has lost its name.
    pub(crate) fn removed(&self) -> io::Result<bool> {
        Ok(fstat(self.file()?)?.st_nlink == 0)
    }

    /// Device and inode.
    pub(crate) fn id(&self) -> io::Result<(u64, u64)> {
        let meta = self.file()?.metadata()?;
        Ok((meta.dev(), meta.ino()))
    }

    /// Whether another handle holds `byte`. It only tests, so it turns no other taker away.
    pub(crate) fn is_held(&self, byte: u64) -> io::Result<bool> {
        let mut lock = lock_of(byte, libc::F_WRLCK);
        fcntl(self.file()?, FcntlArg::F_OFD_GETLK(&mut lock))?;
        Ok(lock.l_type != libc::F_UNLCK as libc::c_short)
    }

    /// The same, but this handle counts as well.
    pub(crate) fn is_taken(&self, byte: u64) -> io::Result<bool> {
        Ok(self.held.borrow().contains(&byte) || self.is_held(byte)?)
    }

    /// Permission bits of the object.
    pub(crate) fn permissions(&self) -> io::Result<u32> {
        Ok(self.file()?.metadata()?.mode() & 0o777)
    }
}

impl Leases for LeaseFile {
    fn try_lock(&self, byte: u64) -> io::Result<bool> {
        if self.held.borrow().contains(&byte) {
            return Ok(false);
        }
        match fcntl(self.file()?, FcntlArg::F_OFD_SETLK(&lock_of(byte, libc::F_WRLCK))) {
            Ok(_) => {
                self.held.borrow_mut().push(byte);
                Ok(true)
            }
            Err(nix::Error::EAGAIN | nix::Error::EACCES) => Ok(false),
            Err(fault) => Err(fault.into()),
        }
    }

    fn unlock(&self, byte: u64) {
        self.held.borrow_mut().retain(|held| *held != byte);
        if let Ok(file) = self.file() {
            // Unlocking a byte of an open file does not fail; if it did, the close would free it.
            let _ = fcntl(file, FcntlArg::F_OFD_SETLK(&lock_of(byte, libc::F_UNLCK)));
        }
    }
}

impl Drop for LeaseFile {
    fn drop(&mut self) {
        // Closing is not enough: while another thread spawns a process, that process has a copy of the descriptor until
        // its exec, and no fork handler runs.
        for byte in self.held.take() {
            give_back(self, byte);
        }
        let Some(file) = self.file.take() else { return };
        let fd = OwnedFd::from(file).into_raw_fd();
        // In a forked child the handler has closed it already, and the number may belong to another file.
        if self.generation == fork::generation() {
            fork::unregister(Inherited::Lease(fd), || close(fd));
        }
    }
}

#[allow(unsafe_code)]
fn close(fd: i32) {
    // SAFETY: the descriptor was just taken out of its owner, and is closed only here.
    drop(unsafe { OwnedFd::from_raw_fd(fd) });
}

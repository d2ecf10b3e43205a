//! What other processes can see of a queue: the files in /dev/shm, their bytes, and the locks on them. And a private
//! /dev/shm, so that a run does not meet other queues and leaves nothing there.

#![allow(unsafe_code)]

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::num::NonZeroUsize;
use std::os::unix::fs::MetadataExt;
use std::ptr::NonNull;

use nix::fcntl::{FcntlArg, fcntl};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};
use nix::unistd::{getegid, geteuid};

use super::image::{CONTROL_LEASE, PRODUCER_LEASE};

pub(crate) const SHM: &str = "/dev/shm";
/// How many records' leases are watched. The queues here have fewer.
const RECORDS: u64 = 8;

/// Mounts a /dev/shm that only this process and its children see.
pub(crate) fn of_our_own() -> Result<(), String> {
    let alone = CloneFlags::CLONE_NEWNS;
    if unshare(alone).is_err() {
        let (uid, gid) = (geteuid(), getegid());
        unshare(alone | CloneFlags::CLONE_NEWUSER).map_err(|e| {
            format!("cannot have a mount namespace (root has one, or user namespaces): {e}")
        })?;
        let maps = [
            ("/proc/self/setgroups", "deny".to_owned()),
            ("/proc/self/uid_map", format!("{uid} {uid} 1")),
            ("/proc/self/gid_map", format!("{gid} {gid} 1")),
        ];
        for (file, text) in maps {
            fs::write(file, text).map_err(|e| format!("cannot write {file}: {e}"))?;
        }
    }
    let no = None::<&str>;
    mount(no, "/", no, MsFlags::MS_PRIVATE | MsFlags::MS_REC, no)
        .and_then(|()| {
            mount(Some("tmpfs"), SHM, Some("tmpfs"), MsFlags::empty(), Some("mode=1777"))
        })
        .map_err(|e| format!("cannot mount a /dev/shm of its own: {e}"))
}

/// Names of all files in /dev/shm.
pub(crate) fn names() -> Result<Vec<String>, String> {
    let read = || -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(SHM)? {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
        names.sort();
        Ok(names)
    };
    read().map_err(|e| format!("cannot read {SHM}: {e}"))
}

/// The file of a queue, if it has its name.
pub(crate) fn file_of(queue: &str) -> Option<File> {
    OpenOptions::new().read(true).write(true).open(format!("{SHM}/slipring.{queue}")).ok()
}

fn lock_of(byte: u64) -> libc::flock {
    libc::flock {
        l_type: libc::F_WRLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: byte as libc::off_t,
        l_len: 1,
        l_pid: 0,
    }
}

/// Whether another process has locked `byte`.
pub(crate) fn is_held(file: &File, byte: u64) -> bool {
    let mut lock = lock_of(byte);
    let asked = fcntl(file, FcntlArg::F_OFD_GETLK(&mut lock));
    asked.is_ok() && lock.l_type != libc::F_UNLCK as libc::c_short
}

/// Locks `byte` for as long as the file is open.
pub(crate) fn lock(file: &File, byte: u64) -> Result<(), String> {
    let locked = fcntl(file, FcntlArg::F_OFD_SETLK(&lock_of(byte)));
    locked.map(drop).map_err(|e| format!("cannot lock byte {byte}: {e}"))
}

/// A change that other processes can see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// A byte of a file: (file, offset). The random part of a temporary name is left out.
    Memory(String, usize),
    /// Names, sizes or permissions of files.
    Files,
    Locks,
    /// A wake-up of sleepers, which leaves no trace.
    Wake,
}

impl What {
    /// Whether both are the same change of the same file. Which byte differs first may depend on its old contents.
    pub(crate) fn is_like(&self, other: &What) -> bool {
        match (self, other) {
            (What::Memory(file, _), What::Memory(of, _)) => file == of,
            _ => self == other,
        }
    }
}

/// Compares what is visible with what was seen last.
#[derive(Debug)]
pub(crate) struct Watch {
    files: BTreeMap<u64, Segment>,
}

#[derive(Debug)]
struct Segment {
    name: String,
    file: File,
    about: (u64, u32),
    map: Option<Map>,
    seen: Vec<u8>,
    locks: u64,
}

#[derive(Debug)]
struct Map {
    at: NonNull<libc::c_void>,
    len: usize,
}

impl Map {
    fn of(file: &File, len: usize) -> Option<Map> {
        let size = NonZeroUsize::new(len)?;
        // SAFETY: a new mapping, at no address in particular.
        let at = unsafe { mmap(None, size, ProtFlags::PROT_READ, MapFlags::MAP_SHARED, file, 0) };
        Some(Map { at: at.ok()?, len })
    }

    /// The bytes as they are now. The process that changes them is stopped.
    fn bytes(&self) -> &[u8] {
        // SAFETY: mapped for reading, with that length; nothing shortens the file of a queue.
        unsafe { std::slice::from_raw_parts(self.at.cast::<u8>().as_ptr(), self.len) }
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        // SAFETY: unmaps what was mapped; nothing points into it any more.
        let _ = unsafe { munmap(self.at, self.len) };
    }
}

impl Segment {
    fn open(name: &str) -> Option<(u64, Segment)> {
        let file = File::open(format!("{SHM}/{name}")).ok()?;
        let meta = file.metadata().ok()?;
        let mut segment = Segment {
            name: name.to_owned(),
            file,
            about: (0, 0),
            map: None,
            seen: Vec::new(),
            locks: 0,
        };
        segment.look_about();
        segment.look_locks();
        Some((meta.ino(), segment))
    }

    /// Whether size or permissions have changed.
    fn look_about(&mut self) -> bool {
        let about = self.file.metadata().map_or((0, 0), |meta| (meta.len(), meta.mode()));
        let changed = self.about != about;
        if changed && self.about.0 != about.0 {
            self.map = Map::of(&self.file, about.0 as usize);
            self.seen = self.map.as_ref().map_or(Vec::new(), |map| map.bytes().to_vec());
        }
        self.about = about;
        changed
    }

    fn look_locks(&mut self) -> bool {
        let mut locks = 0;
        for (bit, byte) in (0..RECORDS).chain([PRODUCER_LEASE, CONTROL_LEASE]).enumerate() {
            locks |= u64::from(is_held(&self.file, byte)) << bit;
        }
        std::mem::replace(&mut self.locks, locks) != locks
    }

    /// The offset of the first byte that has changed.
    fn look(&mut self) -> Option<usize> {
        let now = self.map.as_ref()?.bytes();
        if now == self.seen {
            return None;
        }
        let at = now.iter().zip(&self.seen).position(|(now, seen)| now != seen);
        self.seen.copy_from_slice(now);
        at
    }
}

impl Watch {
    pub(crate) fn begin() -> Result<Watch, String> {
        let mut watch = Watch { files: BTreeMap::new() };
        watch.look_at_files()?;
        Ok(watch)
    }

    /// What has changed in memory since the last call.
    pub(crate) fn look_at_memory(&mut self) -> Option<What> {
        let mut changed = None;
        for segment in self.files.values_mut() {
            if let Some(at) = segment.look() {
                let name = match segment.name.split_once('.') {
                    Some((new @ "slipring-new", _)) => new,
                    _ => &segment.name,
                };
                changed = Some(What::Memory(name.to_owned(), at));
            }
        }
        changed
    }

    /// What only system calls change: files and locks.
    pub(crate) fn look_at_system(&mut self) -> Result<Option<What>, String> {
        if self.look_at_files()? {
            return Ok(Some(What::Files));
        }
        let locks = self.files.values_mut().fold(false, |any, file| file.look_locks() | any);
        Ok(locks.then_some(What::Locks))
    }

    fn look_at_files(&mut self) -> Result<bool, String> {
        let (mut changed, mut there) = (false, BTreeMap::new());
        for name in names()? {
            let Ok(meta) = fs::metadata(format!("{SHM}/{name}")) else { continue };
            match self.files.remove(&meta.ino()) {
                Some(mut segment) => {
                    changed |= segment.name != name;
                    changed |= segment.look_about();
                    segment.name = name;
                    there.insert(meta.ino(), segment);
                }
                None => {
                    changed = true;
                    there.extend(Segment::open(&name));
                }
            }
        }
        // The files that are left in the map have lost their names.
        changed |= !self.files.is_empty();
        self.files = there;
        Ok(changed)
    }
}

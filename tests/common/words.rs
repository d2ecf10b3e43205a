//! The segment's file as another program sees it: words at offsets.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;

use nix::fcntl::{FcntlArg, fcntl};

/// Offsets from docs/layout.md that tests read or change. tests/golden.rs has its own numbers.
pub(crate) const HEADER: u64 = 2048;
pub(crate) const TAIL: u64 = 2048;
pub(crate) const LIMIT: u64 = 2176;
pub(crate) const DATA: u64 = 2304;
pub(crate) const ROOM: u64 = 2432;
pub(crate) const THRESHOLD: u64 = 2440;
pub(crate) const GROUP_MARK: u64 = 2560;
pub(crate) const HOLDER: u64 = 2688;
pub(crate) const PRODUCER_PID: u64 = 2816;
pub(crate) const STATE: u64 = 2832;
pub(crate) const CLOSED_AT: u64 = 2840;
pub(crate) const PAYLOAD_BYTES: u64 = 2944;
pub(crate) const TIMES_FULL: u64 = 2952;
pub(crate) const GROUPS: u64 = 3200;
/// Bytes of a group record.
pub(crate) const GROUP: u64 = 768;

pub(crate) fn open(path: &Path) -> File {
    OpenOptions::new().read(true).write(true).open(path).unwrap()
}

pub(crate) fn get(file: &File, at: u64) -> u64 {
    let mut word = [0; 8];
    file.read_exact_at(&mut word, at).unwrap();
    u64::from_le_bytes(word)
}

pub(crate) fn get32(file: &File, at: u64) -> u32 {
    let mut word = [0; 4];
    file.read_exact_at(&mut word, at).unwrap();
    u32::from_le_bytes(word)
}

pub(crate) fn bytes(file: &File, at: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    file.read_exact_at(&mut bytes, at).unwrap();
    bytes
}

pub(crate) fn set(file: &File, at: u64, word: u64) {
    file.write_all_at(&word.to_le_bytes(), at).unwrap();
}

/// FNV-1a, written a second time, after docs/layout.md.
pub(crate) fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// Corrects the header's checksum after a change.
pub(crate) fn seal(file: &File) {
    let sum = fnv1a(&bytes(file, 0, HEADER as usize - 8));
    set(file, HEADER - 8, sum);
}

fn lock(byte: u64) -> libc::flock {
    libc::flock {
        l_type: libc::F_WRLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: byte as libc::off_t,
        l_len: 1,
        l_pid: 0,
    }
}

/// Takes the lease of `byte` for as long as `file` is open.
pub(crate) fn take_lease(file: &File, byte: u64) {
    fcntl(file, FcntlArg::F_OFD_SETLK(&lock(byte))).expect("the lease is free");
}

/// Releases it. Closing the file is not enough while another thread spawns a process.
pub(crate) fn give_lease_back(file: &File, byte: u64) {
    let mut lock = lock(byte);
    lock.l_type = libc::F_UNLCK as libc::c_short;
    fcntl(file, FcntlArg::F_OFD_SETLK(&lock)).unwrap();
}

/// Whether another description than `file` holds the lease of `byte`.
pub(crate) fn lease_is_held(file: &File, byte: u64) -> bool {
    let mut lock = lock(byte);
    fcntl(file, FcntlArg::F_OFD_GETLK(&mut lock)).unwrap();
    lock.l_type != libc::F_UNLCK as libc::c_short
}

//! Half a message at the end of a file, because a write was cut short by a full disk or a limit. A message that is
//! appended later must not be taken for its rest.

#![allow(unsafe_code)]

use std::fs::{self, File};
use std::io::{self, Seek, SeekFrom};
use std::os::fd::{AsFd, AsRawFd};

use nix::fcntl::{FcntlArg, OFlag, fcntl};

/// Where the next write goes, or has gone if it is to append.
pub(crate) fn position(mut file: &File) -> Option<u64> {
    file.stream_position().ok()
}

/// Cuts the last `half` bytes off, which end at `end`, if they are the file's last and no other process can
/// be writing there. Says what it did, or what to do.
pub(crate) fn cut_off(file: &File, half: u64, end: Option<u64>) -> String {
    let size = file.metadata().ok().map(|metadata| metadata.len());
    let is_last = size == end && position(file) == end;
    let Some(start) = end.filter(|_| is_last).and_then(|end| end.checked_sub(half)) else {
        return format!("half a message was written, {half} bytes: others write to the file, too");
    };
    if let Ok(true) = try_cut_off(file, start, start + half) {
        return format!(
            "the file ends with a whole message: {half} bytes of one more were cut off"
        );
    }
    let path = fs::read_link(format!("/proc/self/fd/{}", file.as_fd().as_raw_fd()));
    let path = path.map_or("FILE".to_owned(), |path| format!("{path:?}"));
    format!(
        "the file ends in half a message, {half} bytes; before more is appended:\n  truncate -s {start} {path}"
    )
}

/// Says whether it was done.
fn try_cut_off(mut file: &File, start: u64, end: u64) -> io::Result<bool> {
    let flags = OFlag::from_bits_retain(fcntl(file, FcntlArg::F_GETFL)?);
    // A program that appends expects others to append as well: without a lease their lines could be cut off.
    let shared = flags.contains(OFlag::O_APPEND);
    if shared && !lease(file, libc::F_WRLCK) {
        return Ok(false);
    }
    let mut cut = || -> io::Result<bool> {
        let is_last = file.metadata()?.len() == end;
        if is_last {
            file.set_len(start)?;
            file.seek(SeekFrom::Start(start))?;
        }
        Ok(is_last)
    };
    let cut = cut();
    if shared {
        lease(file, libc::F_UNLCK);
    }
    cut
}

/// Takes or returns the lease of a file. The kernel grants it only while no other process has the file open, and lets a
/// process that opens the file wait until it is returned.
fn lease(file: &File, kind: libc::c_int) -> bool {
    // SAFETY: takes numbers only; the descriptor is open as long as the file is.
    unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLEASE, libc::c_int::from(kind)) == 0 }
}

//! The standard input of a command: its message.

use std::fs::File;
use std::io::{self, Seek, Write, pipe};
use std::process::Stdio;
use std::thread;

use nix::sys::memfd::{MFdFlags, memfd_create};

use crate::file_size;

/// The message as a command's standard input: a file, because a pipe would have to be fed until the command has read
/// it. A message that is larger than a file may be goes through a pipe.
pub(super) fn holding(message: &[u8]) -> io::Result<Stdio> {
    match file(message) {
        Err(fault) if file_size::is_beyond(&fault) => through_pipe(message),
        file => Ok(file?.into()),
    }
}

fn file(message: &[u8]) -> io::Result<File> {
    let mut file = File::from(memfd_create(c"slipring message", MFdFlags::MFD_CLOEXEC)?);
    file.write_all(message)?;
    file.rewind()?;
    Ok(file)
}

/// The thread ends when the message is read, or when the last reader has gone: a process that the command has started
/// may outlive it, and the job does not wait for that.
fn through_pipe(message: &[u8]) -> io::Result<Stdio> {
    let (reader, mut writer) = pipe()?;
    let message = message.to_vec();
    thread::Builder::new().spawn(move || {
        // A command need not read all of its input.
        let _ = writer.write_all(&message);
    })?;
    Ok(reader.into())
}

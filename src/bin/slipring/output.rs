//! Standard output, in large writes, which notice a reader that has gone and a signal.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::failure::{Failure, io_failed};
use crate::stop::{SLICE, Stop};

/// What has piled up beyond this goes out at once.
const LARGE: usize = 1 << 20;
/// A pipe that is ready takes this much without blocking (PIPE_BUF).
const PIPE_STEP: usize = 4096;

/// Standard output with a buffer that is written when told.
#[derive(Debug)]
pub(crate) struct Output {
    file: File,
    buffer: Vec<u8>,
    /// Bytes to write at once; `None`: as many as there are, it never blocks for long.
    step: Option<usize>,
}

impl Output {
    pub(crate) fn stdout() -> Result<Output, Failure> {
        let open = || -> io::Result<Output> {
            let file = File::from(io::stdout().as_fd().try_clone_to_owned()?);
            let plain = file.metadata()?.is_file();
            Ok(Output { file, buffer: Vec::new(), step: (!plain).then_some(PIPE_STEP) })
        };
        open().map_err(|fault| io_failed("open standard output", &fault))
    }

    /// Where to put what is to be written.
    pub(crate) fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }

    pub(crate) fn is_large(&self) -> bool {
        self.buffer.len() >= LARGE
    }

    /// Writes the buffer out. A signal ends it between two writes.
    pub(crate) fn flush(&mut self, stop: &Stop) -> Result<(), Failure> {
        let mut written = 0;
        while let Some(rest) = self.buffer.get(written..).filter(|rest| !rest.is_empty()) {
            let step = match self.step {
                None => rest,
                Some(step) => {
                    while !self.ready(PollFlags::POLLOUT, SLICE.as_millis() as u16) {
                        stop.check()?;
                    }
                    rest.get(..step).unwrap_or(rest)
                }
            };
            match (&self.file).write(step) {
                Ok(n) => written += n,
                Err(fault) if fault.kind() == io::ErrorKind::Interrupted => stop.check()?,
                Err(fault) if fault.kind() == io::ErrorKind::WouldBlock => stop.check()?,
                Err(fault) => return Err(io_failed("write to standard output", &fault)),
            }
        }
        self.buffer.clear();
        Ok(())
    }

    /// Whether whoever read the output has gone. Only a pipe can tell.
    pub(crate) fn reader_gone(&self) -> bool {
        self.step.is_some() && self.ready(PollFlags::empty(), 0)
    }

    /// Whether one of `events`, or an error, is there; waits at most so many milliseconds.
    fn ready(&self, events: PollFlags, milliseconds: u16) -> bool {
        let mut fds = [PollFd::new(self.file.as_fd(), events)];
        match poll(&mut fds, PollTimeout::from(milliseconds)) {
            Ok(found) => found > 0,
            Err(Errno::EINTR) => false,
            // The write will say what is wrong.
            Err(_) => !events.is_empty(),
        }
    }
}

/// Prints a whole text and nothing else.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    let write = |out: &mut io::StdoutLock<'_>| -> io::Result<()> {
        out.write_all(text.as_bytes())?;
        out.flush()
    };
    write(&mut stdout).map_err(|fault| io_failed("write to standard output", &fault))
}

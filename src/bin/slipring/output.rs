//! Standard output, in large writes that notice a signal, and a reader that has gone.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::time::Duration;

use nix::poll::PollFlags;
use nix::unistd::close;

use crate::failure::{Failure, io_failed};
use crate::partial_write;
use crate::stop::{Stop, poll_for};
use crate::streams::Stream;

const DOING: &str = "write to standard output";
/// A buffer of this size is written at once.
const LARGE: usize = 1 << 20;
/// A pipe that is ready takes this much without blocking, and without the bytes of other writers in
/// between (PIPE_BUF).
const PIPE_STEP: usize = 4096;

/// Standard output with a buffer of messages, written by [`Output::flush`]. Into a pipe each goes out whole, or
/// alone if it is longer than PIPE_BUF.
#[derive(Debug)]
pub(crate) struct Output {
    file: File,
    /// A regular file never blocks for long.
    is_plain: bool,
    buffer: Vec<u8>,
    /// Where messages end in the buffer.
    ends: Vec<usize>,
}

impl Output {
    pub(crate) fn stdout() -> Result<Output, Failure> {
        Stream::Output.check()?;
        let open = || -> io::Result<Output> {
            let file = File::from(io::stdout().as_fd().try_clone_to_owned()?);
            let is_plain = file.metadata()?.is_file();
            Ok(Output { file, is_plain, buffer: Vec::new(), ends: Vec::new() })
        };
        open().map_err(|fault| io_failed("open standard output", &fault))
    }

    /// Adds a message: what `write` appends.
    pub(crate) fn put(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.buffer.len();
        write(&mut self.buffer);
        if self.buffer.len() > start {
            self.ends.push(self.buffer.len());
        }
    }

    pub(crate) fn is_large(&self) -> bool {
        self.buffer.len() >= LARGE
    }

    /// Writes the buffer out. A signal ends it between two writes.
    pub(crate) fn flush(&mut self, stop: &Stop) -> Result<(), Failure> {
        self.flush_telling(stop, || {})
    }

    /// The same; calls `moved` after each write.
    pub(crate) fn flush_telling(
        &mut self,
        stop: &Stop,
        mut moved: impl FnMut(),
    ) -> Result<(), Failure> {
        let mut written = 0;
        // Where a short write ended; the next write says why.
        let mut short = None;
        while written < self.buffer.len() {
            if !self.is_plain {
                stop.poll(self.file.as_fd(), PollFlags::POLLOUT)?;
            }
            let step = self.step(written);
            match (&self.file).write(step) {
                Ok(n) => {
                    if self.is_plain && n < step.len() {
                        short = partial_write::position(&self.file);
                    }
                    written += n;
                    moved();
                }
                Err(fault) if fault.kind() == io::ErrorKind::Interrupted => stop.check()?,
                Err(fault) if fault.kind() == io::ErrorKind::WouldBlock => stop.check()?,
                Err(fault) => return Err(self.failed(&fault, written, short)),
            }
        }
        self.buffer.clear();
        self.ends.clear();
        Ok(())
    }

    /// What to write next.
    fn step(&self, written: usize) -> &[u8] {
        let rest = self.buffer.get(written..).unwrap_or_default();
        if self.is_plain {
            return rest;
        }
        let whole = self.end_within(written + PIPE_STEP).saturating_sub(written);
        rest.get(..if whole > 0 { whole } else { PIPE_STEP }).unwrap_or(rest)
    }

    /// Where the last message ends that ends at or before `most`.
    fn end_within(&self, most: usize) -> usize {
        let count = self.ends.partition_point(|end| *end <= most);
        count.checked_sub(1).and_then(|last| self.ends.get(last)).map_or(0, |end| *end)
    }

    #[cold]
    fn failed(&self, fault: &io::Error, written: usize, short: Option<u64>) -> Failure {
        let failure = io_failed(DOING, fault);
        match written - self.end_within(written) {
            0 => failure,
            _ if !self.is_plain => failure,
            half => failure.hint(partial_write::cut_off(&self.file, half as u64, short)),
        }
    }

    /// Fails if the file system, such as a network's, reports only now that it could not keep what was written.
    pub(crate) fn close(self) -> Result<(), Failure> {
        close(self.file).map_err(|errno| io_failed("close standard output", &errno.into()))
    }

    /// Whether the reader of the output has gone. Only a pipe can tell.
    pub(crate) fn reader_gone(&self) -> bool {
        !self.is_plain && poll_for(self.file.as_fd(), PollFlags::empty(), Duration::ZERO)
    }

    /// Whether a stop was asked for, or the reader of the output has gone: a question for the waits of a queue.
    pub(crate) fn asked(
        &self,
        stop: &Stop,
    ) -> Result<impl Fn() -> bool + Send + Sync + use<>, Failure> {
        let copy =
            self.file.try_clone().map_err(|fault| io_failed("watch standard output", &fault))?;
        let output =
            Output { file: copy, is_plain: self.is_plain, buffer: Vec::new(), ends: Vec::new() };
        let stopped = stop.asked();
        Ok(move || stopped() || output.reader_gone())
    }
}

/// Prints a whole text and nothing else.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut output = Output::stdout()?;
    output.put(|buffer| buffer.extend_from_slice(text.as_bytes()));
    output.flush(&Stop::watched())?;
    output.close()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(messages: &[usize]) -> Vec<usize> {
        let file = File::open("/dev/null").unwrap();
        let mut output = Output { file, is_plain: false, buffer: Vec::new(), ends: Vec::new() };
        for len in messages {
            output.put(|buffer| buffer.resize(buffer.len() + len, 0));
        }
        let (mut steps, mut written) = (Vec::new(), 0);
        while written < output.buffer.len() {
            steps.push(output.step(written).len());
            written += output.step(written).len();
        }
        steps
    }

    #[test]
    fn writes_are_of_whole_messages_up_to_what_a_pipe_takes_at_once() {
        assert!(steps(&[]).is_empty());
        assert_eq!(steps(&[98; 100]), [41 * 98, 41 * 98, 18 * 98]);
        assert_eq!(steps(&[0, 4095, 0, 1, 1, 0]), [4096, 1]);
        assert_eq!(steps(&[10, 4097, 10]), [10, 4096, 11]);
        assert_eq!(steps(&[10, 3 * 4096]), [10, 4096, 4096, 4096]);
    }
}

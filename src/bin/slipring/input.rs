//! Messages from a file or a pipe: read in large blocks, cut into lines or records.

use std::fs::File;
use std::io::{self, BufRead, Read};
use std::ops::Range;
use std::os::fd::AsFd;
use std::path::Path;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::failure::{Failure, io_failed};
use crate::stop::Stop;
use crate::streams::Stream;

/// Bytes that are read at once.
const BLOCK: usize = 256 * 1024;
/// Milliseconds between two calls of `idle` in a wait, which also checks for a signal that came just before the wait.
const IDLE_EVERY: u16 = 100;
/// Messages of about so many bytes are gathered at most, or one that is longer.
const GATHERED: usize = 1 << 20;

/// How the input is cut into messages.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cut {
    /// One per line, at most `max` bytes long; longer ones are cut or refused.
    Lines { max: usize, truncate: bool },
    /// One per `size` bytes.
    Records { size: usize },
}

/// The input, and the messages found in it that were not taken yet.
#[derive(Debug)]
pub(crate) struct Input {
    file: File,
    cut: Cut,
    /// What was read and not taken: `buffer[start..end]`. Positions below are relative to `start`. Its
    /// size stays the same, whatever comes in.
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    messages: Vec<Range<usize>>,
    /// Where the next message begins.
    next: usize,
    /// Up to here there is no newline that ends the next message.
    searched: usize,
    /// The rest of a line that was cut is still to be skipped.
    skipping: bool,
    /// A line without a newline at the end of the input is a message, too.
    takes_half_line: bool,
    ended: bool,
    /// Messages found so far, those that were taken included.
    found: u64,
    fault: Option<Failure>,
}

enum Filled {
    /// So many bytes were read.
    Some(usize),
    /// There is nothing for now.
    Nothing,
    /// What was gathered must go first.
    Full,
    End,
}

impl Input {
    pub(crate) fn open(path: Option<&Path>, cut: Cut) -> Result<Input, Failure> {
        let file = match path {
            None => {
                Stream::Input.check()?;
                io::stdin().as_fd().try_clone_to_owned().map(File::from)
            }
            Some(path) => File::open(path),
        };
        let named = path.map_or("standard input".into(), |path| path.to_string_lossy());
        let file = file.map_err(|fault| io_failed(&format!("open {named}"), &fault))?;
        // There must be room for a message with its newline, and a whole block.
        let longest = match cut {
            Cut::Lines { max, .. } => max + 1,
            Cut::Records { size } => size,
        };
        Ok(Input {
            file,
            cut,
            buffer: vec![0; longest.max(GATHERED) + BLOCK],
            start: 0,
            end: 0,
            messages: Vec::new(),
            next: 0,
            searched: 0,
            skipping: false,
            takes_half_line: true,
            ended: false,
            found: 0,
            fault: None,
        })
    }

    /// Refuses a line without a newline at the end of the input.
    pub(crate) fn refuse_half_line(&mut self) {
        self.takes_half_line = false;
    }

    /// Finds up to `limit` messages, and no more than the buffer holds. Waits for the first, but not for
    /// more of them: what is there goes out when the input pauses, and also when it does not pause and a
    /// message has no end. None: the input has ended.
    ///
    /// Calls `idle` now and then while it waits.
    pub(crate) fn gather(
        &mut self,
        limit: usize,
        stop: &Stop,
        idle: &mut impl FnMut() -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let mut read = 0;
        loop {
            stop.check()?;
            self.split(limit);
            let some = !self.messages.is_empty();
            let enough = self.messages.len() >= limit || some && read >= GATHERED;
            if enough || self.ended || self.fault.is_some() {
                return Ok(());
            }
            if !some {
                idle()?;
            }
            match self.fill(!some, stop, idle)? {
                Filled::Some(bytes) => read += bytes,
                Filled::Nothing | Filled::Full => return Ok(()),
                Filled::End => self.finish(limit),
            }
        }
    }

    /// The messages that were gathered.
    pub(crate) fn messages(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        let window = self.window();
        self.messages.iter().map(move |range| window.get(range.clone()).unwrap_or_default())
    }

    /// Number of the first gathered message, from 1 on.
    pub(crate) fn first_number(&self) -> u64 {
        self.found - self.messages.len() as u64 + 1
    }

    /// What is wrong with the input after the gathered messages.
    pub(crate) fn fault(&mut self) -> Option<Failure> {
        self.fault.take()
    }

    /// Gives the gathered messages up.
    pub(crate) fn done(&mut self) {
        self.messages.clear();
        self.start += self.next;
        self.searched -= self.next;
        self.next = 0;
    }

    fn window(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }

    fn split(&mut self, limit: usize) {
        while self.messages.len() < limit && self.fault.is_none() && self.split_one() {}
    }

    /// Finds one more message, if it is there as a whole.
    fn split_one(&mut self) -> bool {
        match self.cut {
            Cut::Records { size } => {
                let whole = self.window().len() - self.next >= size;
                if whole {
                    self.push(size, size);
                }
                whole
            }
            Cut::Lines { max, truncate } => {
                let newline = newline(self.window().get(self.searched..).unwrap_or_default());
                let end = newline.map_or(self.window().len(), |at| self.searched + at);
                let len = end - self.next;
                self.searched = end;
                if self.skipping {
                    self.skipping = newline.is_none();
                    match newline {
                        Some(_) => self.pass(end + 1),
                        None => self.drop_rest(),
                    }
                    return newline.is_some();
                }
                if len > max && !truncate {
                    self.fault = Some(too_long(self.found + 1, max));
                    return false;
                }
                match newline {
                    Some(_) => self.push(len.min(max), len + 1),
                    // The rest of the line is not kept until its end comes.
                    None if len > max => {
                        self.push(max, max);
                        self.drop_rest();
                        self.skipping = true;
                    }
                    None => return false,
                }
                true
            }
        }
    }

    /// Adds a message of `len` bytes that takes `taken` bytes of the input.
    fn push(&mut self, len: usize, taken: usize) {
        self.messages.push(self.next..self.next + len);
        self.pass(self.next + taken);
        self.found += 1;
    }

    /// Lets the next message begin at `next`.
    fn pass(&mut self, next: usize) {
        self.next = next;
        self.searched = self.searched.max(next);
    }

    /// Drops what was read from the next message on.
    fn drop_rest(&mut self) {
        self.end = self.start + self.next;
        self.searched = self.next;
    }

    /// What is left at the end: a line without a newline, or a piece of a record.
    fn finish(&mut self, limit: usize) {
        self.split(limit);
        let left = self.window().len() - self.next;
        if self.messages.len() >= limit || self.fault.is_some() {
            return;
        }
        self.ended = true;
        if left == 0 {
            return;
        }
        match self.cut {
            Cut::Lines { .. } if self.takes_half_line => self.push(left, left),
            Cut::Lines { .. } => {
                let line = self.found + 1;
                self.fault = Some(
                    Failure::failed(format!("line {line}, the last one, has no newline"))
                        .hint(
                            "--source sends whole lines only: the writer of the input may have been killed \
                             inside this one",
                        )
                        .hint("start again once the line is complete, or add its newline"),
                );
            }
            Cut::Records { size } => {
                let offset = self.found as u128 * size as u128;
                self.fault = Some(Failure::failed(format!(
                    "the input ends inside a record: the one at byte {offset} has {left} of {size} bytes"
                )));
            }
        }
    }

    /// Reads a block. If `wait`, not before there is something.
    fn fill(
        &mut self,
        wait: bool,
        stop: &Stop,
        idle: &mut impl FnMut() -> Result<(), Failure>,
    ) -> Result<Filled, Failure> {
        if self.messages.is_empty() {
            self.done();
        }
        if self.buffer.len() - self.end < BLOCK {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
            if self.buffer.len() - self.end < BLOCK {
                return Ok(Filled::Full);
            }
        }
        while !self.readable(if wait { IDLE_EVERY } else { 0 })? {
            if !wait {
                return Ok(Filled::Nothing);
            }
            stop.check()?;
            idle()?;
        }
        let space = self.buffer.get_mut(self.end..self.end + BLOCK).unwrap_or_default();
        loop {
            match self.file.read(space) {
                Ok(0) => return Ok(Filled::End),
                Ok(n) => {
                    self.end += n;
                    return Ok(Filled::Some(n));
                }
                Err(fault) if fault.kind() == io::ErrorKind::Interrupted => stop.check()?,
                Err(fault) if fault.kind() == io::ErrorKind::WouldBlock => {
                    return Ok(if wait { Filled::Some(0) } else { Filled::Nothing });
                }
                Err(fault) => return Err(io_failed("read the input", &fault)),
            }
        }
    }

    fn readable(&self, milliseconds: u16) -> Result<bool, Failure> {
        let mut fds = [PollFd::new(self.file.as_fd(), PollFlags::POLLIN)];
        match poll(&mut fds, PollTimeout::from(milliseconds)) {
            Ok(found) => Ok(found > 0),
            Err(Errno::EINTR) => Ok(false),
            Err(errno) => Err(io_failed("wait for input", &errno.into())),
        }
    }
}

/// Where the first newline is. The standard library's search takes many bytes at a time.
fn newline(bytes: &[u8]) -> Option<usize> {
    let mut rest = bytes;
    let last = rest.skip_until(b'\n').ok()?.checked_sub(1)?;
    (bytes.get(last) == Some(&b'\n')).then_some(last)
}

fn too_long(line: u64, max: usize) -> Failure {
    Failure::failed(format!("line {line} is longer than the {max} bytes of a message"))
        .hint("cut long lines with --truncate, or create the queue with a larger --payload")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(text: &[u8], cut: Cut) -> Input {
        let path =
            std::env::temp_dir().join(format!("slipring-input-{}-{:p}", std::process::id(), text));
        std::fs::write(&path, text).unwrap();
        let input = Input::open(Some(&path), cut).unwrap();
        std::fs::remove_file(path).unwrap();
        input
    }

    fn all(text: &[u8], cut: Cut, limit: usize) -> (Vec<String>, Option<Failure>) {
        let stop = Stop::on_signals().unwrap();
        let mut input = input(text, cut);
        let mut seen = Vec::new();
        loop {
            input.gather(limit, &stop, &mut || Ok(())).unwrap();
            seen.extend(input.messages().map(|m| String::from_utf8_lossy(m).into_owned()));
            let none = input.messages().len() == 0;
            input.done();
            let fault = input.fault();
            if none || fault.is_some() {
                return (seen, fault);
            }
        }
    }

    const LINES: Cut = Cut::Lines { max: 3, truncate: false };

    #[test]
    fn every_line_is_a_message_also_an_empty_one_and_one_without_a_newline() {
        for limit in [1, 2, 100] {
            assert_eq!(all(b"a\n\nbcd\nef", LINES, limit).0, ["a", "", "bcd", "ef"]);
            assert_eq!(all(b"a\n", LINES, limit).0, ["a"]);
            assert!(all(b"", LINES, limit).0.is_empty());
        }
    }

    #[test]
    fn a_long_line_is_named_or_cut() {
        let (seen, fault) = all(b"a\nabcd\nb\n", LINES, 100);
        assert_eq!(seen, ["a"]);
        assert!(matches!(fault, Some(Failure::Failed(fault)) if fault.text.starts_with("line 2 ")));
        let cut = Cut::Lines { max: 3, truncate: true };
        assert_eq!(all(b"a\nabcd\nb\nabcdefgh", cut, 100).0, ["a", "abc", "b", "abc"]);
        let mut long = vec![b'x'; 3 * BLOCK];
        long.extend_from_slice(b"\nb\n");
        for limit in [1, 100] {
            assert_eq!(all(&long, cut, limit).0, ["xxx", "b"]);
        }
    }

    #[test]
    fn a_piece_of_a_record_is_an_error_with_its_place() {
        let cut = Cut::Records { size: 3 };
        assert_eq!(all(b"abcdef", cut, 1).0, ["abc", "def"]);
        let (seen, fault) = all(b"abcdefg", cut, 100);
        assert_eq!(seen, ["abc", "def"]);
        assert!(
            matches!(fault, Some(Failure::Failed(fault)) if fault.text.contains("byte 6 has 1 of 3"))
        );
    }
}

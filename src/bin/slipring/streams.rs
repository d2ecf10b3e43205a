//! Checks of standard input and output before anything is done. Messages for a closed output would be taken and lost,
//! and a closed input would look like an input that has ended.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use nix::fcntl::{FcntlArg, OFlag, fcntl};

use crate::failure::{Failure, io_failed};
use crate::inherited::is_closed;

#[derive(Clone, Copy, Debug)]
pub(crate) enum Stream {
    Input,
    Output,
}

impl Stream {
    /// Fails unless it is open in the right direction.
    pub(crate) fn check(self) -> Result<(), Failure> {
        let (name, number, use_, wrong, hint) = match self {
            Stream::Input => {
                let hint = "give it a file, a pipe, or nothing at all: < /dev/null";
                ("standard input", 0, "reading", OFlag::O_WRONLY, hint)
            }
            Stream::Output => {
                let hint = "give it a file or a pipe, or throw it away: > /dev/null";
                ("standard output", 1, "writing", OFlag::O_RDONLY, hint)
            }
        };
        if is_closed(number) {
            return Err(Failure::failed(format!("{name} is closed")).hint(hint));
        }
        let flags = match self {
            Stream::Input => access(io::stdin().as_fd()),
            Stream::Output => access(io::stdout().as_fd()),
        };
        match flags.map_err(|fault| io_failed(&format!("check {name}"), &fault))? {
            access if access == wrong => {
                Err(Failure::failed(format!("{name} is not open for {use_}")).hint(hint))
            }
            _ => Ok(()),
        }
    }
}

/// For reading, for writing, or for both.
fn access(stream: BorrowedFd<'_>) -> io::Result<OFlag> {
    Ok(OFlag::from_bits_retain(fcntl(stream, FcntlArg::F_GETFL)?) & OFlag::O_ACCMODE)
}

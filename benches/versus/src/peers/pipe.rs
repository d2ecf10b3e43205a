//! A pipe with the same capacity as the other queues.

use std::os::fd::OwnedFd;

use nix::fcntl::{FcntlArg, fcntl};

use crate::message::{CAPACITY, Msg};
use crate::peers::bytes::Bytes;
use crate::transport::{NotRun, Open, Put, Spin, Take, Transport};

/// `N` messages per call.
pub(crate) struct Pipe<const N: usize>;

impl<const N: usize> Transport for Pipe<N> {
    fn link(_: Spin) -> Result<(impl Open<End: Put>, impl Open<End: Take>), NotRun> {
        let (reader, writer) = std::io::pipe().map_err(NotRun::because)?;
        let size = (CAPACITY * size_of::<Msg>()) as i32;
        fcntl(&writer, FcntlArg::F_SETPIPE_SZ(size)).map_err(NotRun::because)?;
        let (reader, writer) = (OwnedFd::from(reader), OwnedFd::from(writer));
        Ok((move || Bytes::<N>::new(writer), move || Bytes::<N>::new(reader)))
    }
}

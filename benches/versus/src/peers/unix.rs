//! Unix sockets, with the default buffers of the system.

use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};

use crate::peers::bytes::Bytes;
use crate::transport::{NotRun, Open, Put, Spin, Take, Transport};

/// A stream; `N` messages per call.
pub(crate) struct Stream<const N: usize>;

/// Packets of `N` messages.
pub(crate) struct SeqPacket<const N: usize>;

fn link<const N: usize>(
    kind: SockType,
) -> Result<(impl Open<End = Bytes<N>>, impl Open<End = Bytes<N>>), NotRun> {
    let pair = socketpair(AddressFamily::Unix, kind, None, SockFlag::SOCK_CLOEXEC);
    let (here, there) = pair.map_err(NotRun::because)?;
    Ok((move || Bytes::new(here), move || Bytes::new(there)))
}

impl<const N: usize> Transport for Stream<N> {
    fn link(_: Spin) -> Result<(impl Open<End: Put>, impl Open<End: Take>), NotRun> {
        link::<N>(SockType::Stream)
    }
}

impl<const N: usize> Transport for SeqPacket<N> {
    fn link(_: Spin) -> Result<(impl Open<End: Put>, impl Open<End: Take>), NotRun> {
        link::<N>(SockType::SeqPacket)
    }
}

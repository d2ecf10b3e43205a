//! The peers, a file each.

pub(crate) mod bare_ring;
#[cfg(feature = "boost")]
pub(crate) mod boost;
mod bytes;
pub(crate) mod crossbeam;
pub(crate) mod disruptor;
pub(crate) mod futex;
pub(crate) mod iceoryx2;
pub(crate) mod memcpy;
pub(crate) mod nexus;
pub(crate) mod pipe;
pub(crate) mod posix_mq;
pub(crate) mod ringfire;
#[cfg(feature = "rte_ring")]
pub(crate) mod rte_ring;
pub(crate) mod rtrb;
pub(crate) mod shaq;
pub(crate) mod slipring;
pub(crate) mod unix;
#[cfg(feature = "zeromq")]
pub(crate) mod zeromq;

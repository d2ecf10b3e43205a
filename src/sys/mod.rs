//! Calls to the operating system other than those for files and mappings.

pub(crate) mod file_size;
pub(crate) mod fork;
pub(crate) mod futex;
pub(crate) mod holder;
pub(crate) mod membarrier;
pub(crate) mod memory;
pub(crate) mod process;
#[cfg(feature = "async")]
pub(crate) mod signals;
pub(crate) mod time_namespace;
pub(crate) mod users;

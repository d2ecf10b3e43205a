//! One error type for each act, with no variant that its act cannot give.
//!
//! Four rules hold for all of them:
//!
//! - `Display` says in one line what is wrong, with which queue, why, and what to do about it. To print an
//!   error is to print `{error}`.
//! - What `Display` has said, `source()` does not say again: a cause is part of the text, so it is no source but a
//!   field or an accessor `reason`. A program that prints the whole chain prints nothing twice.
//! - Each has a `code()`, whose number is fixed: see [`ErrorCode`]. code.rs has the table, coded.rs says which
//!   error has which.
//! - A variant about a queue carries its name in a field `queue`, shared with the mapping: naming it
//!   allocates nothing. Such errors are built in `#[cold]` code. `queue()` of any error has that name: see named.rs.

mod code;
mod coded;
mod control;
mod create;
mod group;
mod grow;
mod holder;
mod join;
mod letter;
mod name;
mod named;
mod open;
mod producer;
mod recv;
mod remove;
mod send;
mod system;

pub use crate::layout::GeometryError;
pub use code::ErrorCode;
pub use control::*;
pub use create::*;
pub use group::*;
pub use grow::*;
pub use holder::Pids;
pub(crate) use holder::known_pid;
pub use join::*;
pub use letter::*;
pub use name::*;
pub use open::*;
pub use producer::*;
pub use recv::*;
pub use remove::*;
pub(crate) use send::BlockingGroup;
pub use send::{Full, SendBatchError, SendError, Unconfirmed};
pub use system::*;

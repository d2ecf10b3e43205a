//! One error type for each act, with no variant that its act cannot give.
//!
//! Four rules hold for all of them:
//!
//! - `Display` says in one line what is wrong, with which queue, why, and what to do about it. To print an
//!   error is to print `{error}`.
//! - `source()` does not repeat what `Display` says: a cause is part of the text, so it is a field or an accessor
//!   `reason` and no source. A program that prints the whole chain prints nothing twice.
//! - Each has a `code()`, whose number is fixed: see [`ErrorCode`]. code.rs has the table, coded.rs gives each error
//!   its code.
//! - A variant about a queue has its name in a field `queue`, shared with the mapping, so that naming it allocates
//!   nothing. `#[cold]` code makes such errors. `queue()` of any error returns the name: see named.rs.

mod code;
mod coded;
mod control;
mod create;
mod group;
mod grow;
mod holder;
mod job;
mod join;
mod letter;
mod name;
mod named;
mod open;
mod producer;
mod recv;
mod remove;
mod send;
mod stage;
mod stream;
mod system;

pub use crate::layout::GeometryError;
pub use code::ErrorCode;
pub use control::*;
pub use create::*;
pub use group::*;
pub use grow::*;
pub use holder::Pids;
pub(crate) use holder::known_pid;
pub use job::*;
pub use join::*;
pub use letter::*;
pub use name::*;
pub use open::*;
pub use producer::*;
pub use recv::*;
pub use remove::*;
pub(crate) use send::BlockingGroup;
pub use send::{Full, SendBatchError, SendError, Unconfirmed};
pub use stage::*;
pub use stream::*;
pub use system::*;

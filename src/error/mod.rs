//! One small error type per act, each in a file of its own.
//!
//! Three rules hold for all of them:
//!
//! - `Display` says in one line what is wrong, with which queue, why, and what to do about it. To print an
//!   error is to print `{error}`.
//! - What `Display` has said, `source()` does not say again: a cause is part of the text, so it is no source but a
//!   public field, which thiserror leaves alone if it is declared as `r#source`. A program that prints
//!   the whole chain prints nothing twice.
//! - A variant about a queue carries its name in a field `queue`, shared with the mapping: naming it
//!   allocates nothing. Such errors are built in `#[cold]` code.

mod control;
mod create;
mod holder;
mod join;
mod letter;
mod name;
mod open;
mod recv;
mod remove;
mod send;
mod system;

pub use crate::layout::GeometryError;
pub use control::*;
pub use create::*;
pub use holder::Pids;
pub use join::*;
pub use letter::*;
pub use name::*;
pub use open::*;
pub use recv::*;
pub use remove::*;
pub(crate) use send::Holdup;
pub use send::{BatchError, Full, SendError, Unconfirmed};
pub use system::*;

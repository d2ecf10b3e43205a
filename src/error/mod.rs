//! One small error type per act. Each message says what is wrong and what to do about it; an error of the
//! operating system is kept as the source.

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
pub use send::*;
pub use system::*;

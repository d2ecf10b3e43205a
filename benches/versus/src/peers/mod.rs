//! The peers, a file each.

pub(crate) mod line;
pub(crate) mod rtrb;
pub(crate) mod slipring;

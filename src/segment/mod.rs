//! Named shared-memory objects: their names, their mappings, their leases, and how one comes to be.

mod create;
mod lease;
mod name;
mod open;
mod region;

pub(crate) use create::{Memory, Plan, create, random};
pub(crate) use lease::LeaseFile;
pub(crate) use name::{QueueName, check_name, list_names, shm_path};
pub(crate) use open::{Opened, Trust, open_read_only, open_shared};
pub(crate) use region::Region;

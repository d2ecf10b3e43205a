//! What lies where in a segment: records of atomics, made in place by the creator.
//!
//! ```text
//! Config    written once, checked and copied by each process that opens it
//! Control   tail, limit, wake words, marks, control holder, producer record
//! groups    GroupRecord  x max_groups
//! consumers ConsumerRecord x max_consumers
//! streams   StreamRecord x streams
//! slots     stamp, meta, payload  x capacity
//! cells     control word, sequence, meta, time, payload  x cells
//! ```
//! docs/layout.md has the byte maps; tests/golden.rs pins them.

mod cell;
#[cfg(not(slipring_loom))]
pub(crate) mod config;
mod consumer;
mod control;
mod geometry;
mod group;
mod ring;
mod slot;
mod stream;
mod view;
mod wake;

pub(crate) use cell::{Cell, Extent};
pub(crate) use consumer::{ConsumerRecord, HOLDS_CELLS, PUTS_LETTERS, add_to};
pub(crate) use control::Control;
#[cfg(not(slipring_loom))]
pub use geometry::GeometryError;
pub(crate) use geometry::{CELL_PAYLOAD_OFFSET, Geometry, PAYLOAD_OFFSET};
pub(crate) use group::GroupRecord;
#[cfg_attr(slipring_loom, allow(unreachable_pub))]
pub use group::Mode;
pub(crate) use group::{FLAG_JOINED, GroupState, Totals};
pub(crate) use group::{GROUP_NAME_MAX, Identity, InFlight, Target};
pub(crate) use ring::Ring;
#[cfg(not(slipring_loom))]
pub(crate) use ring::Slots;
#[cfg(not(slipring_loom))]
pub(crate) use slot::MetaWord;
pub(crate) use slot::{Meta, Slot};
pub(crate) use stream::StreamRecord;
pub(crate) use view::{Place, View};
#[cfg_attr(slipring_loom, allow(unreachable_pub))]
pub use wake::WakeMode;

/// Bytes in front of the first shared word.
pub(crate) const CONFIG_BYTES: usize = 2048;
/// The layout's version.
#[cfg(not(slipring_loom))]
pub(crate) const VERSION: u32 = 1;

/// Most groups and consumer records a segment can hold (a start word has 6 bits for the group, a head 8
/// for the claimer; the last value of each means none).
pub(crate) const MAX_GROUPS: usize = 63;
pub(crate) const MAX_CONSUMERS: usize = 255;
/// Most cells of a queue.
pub(crate) const MAX_CELLS: usize = 1 << 16;
/// Largest capacity, in messages.
pub(crate) const CAPACITY_MAX: u64 = 1 << 24;
/// Largest payload size, in bytes: 16 MiB, and room for the envelope of a dead letter of that size.
pub(crate) const PAYLOAD_MAX: usize = (1 << 24) + 512;
/// Payloads start at a multiple of this, so typed messages may ask for no more.
pub(crate) const PAYLOAD_ALIGN: usize = 16;

/// Bytes of the segment's file whose locks are the leases of roles.
pub(crate) mod lease_byte {
    /// Consumer record `i` is byte `i`; its adopter, for eviction, will be 256 + `i`.
    pub(crate) const fn consumer(record: u8) -> u64 {
        record as u64
    }
    pub(crate) const PRODUCER: u64 = 512;
    pub(crate) const CONTROL: u64 = 513;
}

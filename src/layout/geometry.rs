use super::cell::CellHeader;
use super::consumer::ConsumerRecord;
use super::control::Control;
use super::group::GroupRecord;
use super::slot::SlotHeader;
use super::stream::{MAX_STREAMS, SourceWords, StreamRecord};
use super::{
    CAPACITY_MAX, CONFIG_BYTES, MAX_CELLS, MAX_CONSUMERS, MAX_GROUPS, PAYLOAD_ALIGN, PAYLOAD_MAX,
};
use crate::packed::SEQ_NONE;
use crate::sync::Payload;

/// Slots have a multiple of this size: no two share a cache line.
const SLOT_ALIGN: usize = 64;

/// Where the payload begins in a slot.
pub(crate) const PAYLOAD_OFFSET: usize = size_of::<SlotHeader>().next_multiple_of(PAYLOAD_ALIGN);

/// Where the payload begins in a cell.
pub(crate) const CELL_PAYLOAD_OFFSET: usize =
    size_of::<CellHeader>().next_multiple_of(PAYLOAD_ALIGN);

/// Every size and offset of a segment, computed once from the options.
///
/// Invariant: only [`Geometry::new`] makes one, so the capacity is a power of two, the tables are within their bounds,
/// all offsets are aligned to 128, and `total` covers the last slot
/// and the last cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Geometry {
    pub(crate) capacity: u64,
    pub(crate) payload_size: usize,
    pub(crate) stride: usize,
    pub(crate) max_groups: usize,
    pub(crate) max_consumers: usize,
    /// The first sequence of the queue.
    pub(crate) base: u64,
    pub(crate) control: usize,
    pub(crate) groups: usize,
    pub(crate) consumers: usize,
    /// Where a slot has the words of its message's source, after the payload; 0 in a queue without.
    pub(crate) source_offset: usize,
    /// Offset of the table of streams; 0 for a queue without them, as their number.
    pub(crate) streams_at: usize,
    pub(crate) streams: usize,
    pub(crate) slots: usize,
    /// Cells of all groups together; 0 without, as the other figures of them.
    pub(crate) cells: usize,
    pub(crate) cell_stride: usize,
    /// Where a cell has the words of its message's source; 0 in a queue without streams.
    pub(crate) cell_source_offset: usize,
    pub(crate) cells_at: usize,
    /// Size of the segment in bytes.
    pub(crate) total: usize,
}

/// Why a queue of that shape cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[cfg_attr(slipring_loom, expect(unreachable_pub, reason = "public outside of the models"))]
pub enum GeometryError {
    /// Capacity out of range.
    #[error("a capacity of {0} messages is out of range: choose 1 to {CAPACITY_MAX}")]
    Capacity(u64),
    /// Payload size out of range.
    #[error("a payload size of {0} bytes is out of range: choose 1 to {PAYLOAD_MAX}")]
    Payload(usize),
    /// Group table out of range.
    #[error("a table of {0} groups is out of range: choose 1 to {MAX_GROUPS}")]
    Groups(usize),
    /// Consumer table out of range.
    #[error("a table of {0} consumers is out of range: choose 1 to {MAX_CONSUMERS}")]
    Consumers(usize),
    /// Table of streams out of range.
    #[error("a table of {0} streams is out of range: choose 1 to {MAX_STREAMS}, or none")]
    Streams(usize),
    /// Number of cells out of range.
    #[error(
        "{0} places for messages in flight are out of range: choose at most {MAX_CELLS}, those of all groups and spare ones together"
    )]
    Cells(usize),
    /// Base sequence out of range.
    #[error("a base sequence of {0} leaves no room for messages: choose one below 2^56 - 1")]
    Base(u64),
    /// The sum of all parts does not fit an address.
    #[error(
        "the queue would be larger than memory can address: lower its capacity or payload size"
    )]
    TooLarge,
}

impl Geometry {
    /// `capacity` is rounded up to a power of two.
    pub(crate) fn new(
        capacity: u64,
        payload_size: usize,
        max_groups: usize,
        max_consumers: usize,
        streams: usize,
        cells: usize,
        base: u64,
    ) -> Result<Geometry, GeometryError> {
        if !(1..=CAPACITY_MAX).contains(&capacity) {
            return Err(GeometryError::Capacity(capacity));
        }
        if !(1..=PAYLOAD_MAX).contains(&payload_size) {
            return Err(GeometryError::Payload(payload_size));
        }
        if !(1..=MAX_GROUPS).contains(&max_groups) {
            return Err(GeometryError::Groups(max_groups));
        }
        if !(1..=MAX_CONSUMERS).contains(&max_consumers) {
            return Err(GeometryError::Consumers(max_consumers));
        }
        if streams > MAX_STREAMS {
            return Err(GeometryError::Streams(streams));
        }
        if cells > MAX_CELLS {
            return Err(GeometryError::Cells(cells));
        }
        if base >= SEQ_NONE {
            return Err(GeometryError::Base(base));
        }
        let capacity = capacity.next_power_of_two();
        Self::place(capacity, payload_size, max_groups, max_consumers, streams, cells, base)
            .ok_or(GeometryError::TooLarge)
    }

    /// Computes all offsets in checked arithmetic; `None` if they do not fit.
    fn place(
        capacity: u64,
        payload_size: usize,
        max_groups: usize,
        max_consumers: usize,
        streams: usize,
        cells: usize,
        base: u64,
    ) -> Option<Geometry> {
        let source = if streams > 0 { size_of::<SourceWords>() } else { 0 };
        // Stride, and where the words of the source are, of places with their payload at `offset`.
        let places = |offset: usize| {
            let end = offset.checked_add(Payload::footprint(payload_size))?;
            let end = end.checked_next_multiple_of(size_of::<u64>())?;
            let stride = end.checked_add(source)?.checked_next_multiple_of(SLOT_ALIGN)?;
            Some((stride, if streams > 0 { end } else { 0 }))
        };
        let (stride, source_offset) = places(PAYLOAD_OFFSET)?;
        let (cell_stride, cell_source_offset) =
            if cells > 0 { places(CELL_PAYLOAD_OFFSET)? } else { (0, 0) };
        let control = CONFIG_BYTES;
        let after = |at: usize, size: usize, n: usize| {
            at.checked_add(size.checked_mul(n)?)?.checked_next_multiple_of(128)
        };
        let groups = after(control, size_of::<Control>(), 1)?;
        let consumers = after(groups, size_of::<GroupRecord>(), max_groups)?;
        let tables = after(consumers, size_of::<ConsumerRecord>(), max_consumers)?;
        let slots = after(tables, size_of::<StreamRecord>(), streams)?;
        let streams_at = if streams > 0 { tables } else { 0 };
        let slots_end = after(slots, stride, usize::try_from(capacity).ok()?)?;
        let cells_at = if cells > 0 { slots_end } else { 0 };
        let total = after(slots_end, cell_stride, cells)?;
        isize::try_from(total).ok()?;
        Some(Geometry {
            capacity,
            payload_size,
            stride,
            max_groups,
            max_consumers,
            base,
            control,
            groups,
            consumers,
            source_offset,
            streams_at,
            streams,
            slots,
            cells,
            cell_stride,
            cell_source_offset,
            cells_at,
            total,
        })
    }
}

#[cfg(all(test, not(slipring_loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_geometry_that_is_accepted_holds_its_parts(
            capacity in 1..=CAPACITY_MAX, payload in 1..=PAYLOAD_MAX, groups in 1..=MAX_GROUPS, consumers in 1..=MAX_CONSUMERS, streams in 0..=MAX_STREAMS,
            cells in 0..=MAX_CELLS,
        ) {
            let g = Geometry::new(capacity, payload, groups, consumers, streams, cells, 0).unwrap();
            prop_assert!(g.capacity.is_power_of_two() && g.capacity >= capacity && g.capacity < 2 * capacity);
            prop_assert!(g.stride >= PAYLOAD_OFFSET + payload && g.stride.is_multiple_of(SLOT_ALIGN));
            prop_assert!(g.slots + g.capacity as usize * g.stride <= g.total);
            prop_assert!(streams == 0 || g.stride >= g.source_offset + 16);
            prop_assert!(streams == 0 || g.source_offset >= PAYLOAD_OFFSET + payload);
            prop_assert!(g.slots >= g.streams_at + streams * size_of::<StreamRecord>());
            prop_assert!(cells == 0 || g.cells_at >= g.slots + g.capacity as usize * g.stride);
            prop_assert!(cells == 0 || g.cell_stride >= CELL_PAYLOAD_OFFSET + payload && g.cell_stride.is_multiple_of(SLOT_ALIGN));
            prop_assert!(cells == 0 || g.cells_at + cells * g.cell_stride <= g.total);
            prop_assert!(cells * streams == 0 || g.cell_source_offset >= CELL_PAYLOAD_OFFSET + payload);
            prop_assert!(cells * streams == 0 || g.cell_stride >= g.cell_source_offset + 16);
            prop_assert!(g.groups >= g.control + size_of::<Control>());
        }
    }

    #[test]
    fn each_value_out_of_range_has_its_own_error() {
        let new = Geometry::new;
        assert_eq!(new(0, 8, 8, 8, 0, 0, 0), Err(GeometryError::Capacity(0)));
        assert_eq!(
            new(CAPACITY_MAX + 1, 8, 8, 8, 0, 0, 0),
            Err(GeometryError::Capacity(CAPACITY_MAX + 1))
        );
        assert_eq!(new(8, 0, 8, 8, 0, 0, 0), Err(GeometryError::Payload(0)));
        assert_eq!(
            new(8, PAYLOAD_MAX + 1, 8, 8, 0, 0, 0),
            Err(GeometryError::Payload(PAYLOAD_MAX + 1))
        );
        assert_eq!(new(8, 8, 64, 8, 0, 0, 0), Err(GeometryError::Groups(64)));
        assert_eq!(new(8, 8, 8, 256, 0, 0, 0), Err(GeometryError::Consumers(256)));
        assert_eq!(new(8, 8, 8, 8, 128, 0, 0), Err(GeometryError::Streams(128)));
        assert_eq!(new(8, 8, 8, 8, 0, MAX_CELLS + 1, 0), Err(GeometryError::Cells(MAX_CELLS + 1)));
        assert_eq!(new(8, 8, 8, 8, 0, 0, SEQ_NONE), Err(GeometryError::Base(SEQ_NONE)));
    }
}

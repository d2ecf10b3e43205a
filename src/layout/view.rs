#![allow(unsafe_code)]

use std::fmt;
use std::ptr::NonNull;

use super::cell::{Cell, CellHeader, Extent};
use super::consumer::ConsumerRecord;
use super::control::Control;
use super::group::GroupRecord;
use super::ring::Ring;
use super::slot::{Slot, SlotHeader};
use super::stream::{SourceWords, StreamRecord};
use super::wake::WakeMode;
use super::{CELL_PAYLOAD_OFFSET, CONFIG_BYTES, Geometry, PAYLOAD_OFFSET};
use crate::sync::{AtomicU64, Payload};

/// Safe access to the records of a mapped segment.
///
/// Invariant V: `base` is aligned to 128, `geo.total` bytes from it stay mapped while this value lives, and the creator
/// has called [`View::init`]. Everything in the segment is an atomic or a payload area, so shared references to it are
/// sound whatever other processes store.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View {
    base: NonNull<u8>,
    ring: Ring,
    geo: Geometry,
    wake: WakeMode,
}

// SAFETY: all access goes through atomics, or through payload areas, of which the protocol (ring) promises that no
// other thread touches them. No part of a view belongs to one thread.
unsafe impl Send for View {}
// SAFETY: as above.
unsafe impl Sync for View {}

/// Where a record of a view lies, looked up once by handles that need it at each message.
///
/// Invariant: it was made from a reference to that record, which lies there while the view lives (invariant V).
pub(crate) struct Place<T>(NonNull<T>);

// SAFETY: as for a view: it leads to atomics, and only with the view.
unsafe impl<T: Sync> Send for Place<T> {}
// SAFETY: as above.
unsafe impl<T: Sync> Sync for Place<T> {}

impl<T> Clone for Place<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Place<T> {}

impl<T> fmt::Debug for Place<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Place").field(&self.0).finish()
    }
}

impl View {
    /// # Safety The caller guarantees invariant V.
    #[cfg(not(slipring_loom))]
    pub(crate) unsafe fn new(base: NonNull<u8>, geo: Geometry, wake: WakeMode) -> View {
        View { base, ring: Ring::of(base, &geo), geo, wake }
    }

    /// Makes every record in place. The creator calls it, before the segment has its name.
    ///
    /// # Safety Invariant V but for the records; no other thread or process accesses the memory yet.
    pub(crate) unsafe fn init(base: NonNull<u8>, geo: Geometry, wake: WakeMode) -> View {
        let at = |offset: usize| base.as_ptr().wrapping_add(offset);
        // SAFETY: inside the mapping by the geometry's invariant, aligned to 128, and not shared yet.
        unsafe { at(geo.control).cast::<Control>().write(Control::new(geo.base)) };
        #[cfg(not(slipring_loom))]
        // SAFETY: as above.
        unsafe {
            clear_padding(at(geo.control), &Control::USED)
        };
        for i in 0..geo.max_groups {
            let group = at(geo.groups).cast::<GroupRecord>().wrapping_add(i);
            // SAFETY: as above; i is below the table's size.
            unsafe { group.write(GroupRecord::new()) };
            #[cfg(not(slipring_loom))]
            // SAFETY: as above.
            unsafe {
                clear_padding(group.cast(), &GroupRecord::USED)
            };
        }
        for i in 0..geo.max_consumers {
            let record = at(geo.consumers).cast::<ConsumerRecord>().wrapping_add(i);
            // SAFETY: as above; i is below the table's size.
            unsafe { record.write(ConsumerRecord::new()) };
            #[cfg(not(slipring_loom))]
            // SAFETY: as above.
            unsafe {
                clear_padding(record.cast(), &ConsumerRecord::USED)
            };
        }
        for i in 0..geo.streams {
            let stream = at(geo.streams_at).cast::<StreamRecord>().wrapping_add(i);
            // SAFETY: as above; i is below the table's size.
            unsafe { stream.write(StreamRecord::new()) };
        }
        for i in 0..geo.capacity as usize {
            let slot = at(geo.slots + i * geo.stride);
            // SAFETY: as above; a slot begins with its header.
            unsafe { slot.cast::<SlotHeader>().write(SlotHeader::new()) };
            if geo.streams > 0 {
                let words = slot.wrapping_add(geo.source_offset).cast::<SourceWords>();
                // SAFETY: as above; with streams they lie after the payload area, inside the slot.
                unsafe { words.write(SourceWords::new()) };
            }
            // SAFETY: as above; the payload area lies after the header, inside the slot.
            unsafe { Payload::init(slot.wrapping_add(PAYLOAD_OFFSET)) };
        }
        for i in 0..geo.cells {
            let cell = at(geo.cells_at + i * geo.cell_stride);
            // SAFETY: as above; a cell begins with its header.
            unsafe { cell.cast::<CellHeader>().write(CellHeader::new()) };
            if geo.streams > 0 {
                let words = cell.wrapping_add(geo.cell_source_offset).cast::<SourceWords>();
                // SAFETY: as above; with streams they lie after the payload area, inside the cell.
                unsafe { words.write(SourceWords::new()) };
            }
            // SAFETY: as above; the payload area lies after the header, inside the cell.
            unsafe { Payload::init_shared(cell.wrapping_add(CELL_PAYLOAD_OFFSET)) };
        }
        View { base, ring: Ring::of(base, &geo), geo, wake }
    }

    #[inline]
    pub(crate) fn wake(&self) -> WakeMode {
        self.wake
    }

    #[inline]
    pub(crate) fn geo(&self) -> &Geometry {
        &self.geo
    }

    #[inline]
    fn at(&self, offset: usize) -> *mut u8 {
        self.base.as_ptr().wrapping_add(offset)
    }

    #[inline]
    pub(crate) fn control(&self) -> &Control {
        // SAFETY: invariant V; every geometry places a Control there.
        unsafe { &*self.at(CONFIG_BYTES).cast::<Control>() }
    }

    /// The group table; its length is the table's size.
    #[inline]
    pub(crate) fn groups(&self) -> &[GroupRecord] {
        // SAFETY: invariant V; the geometry places max_groups of them there.
        unsafe { std::slice::from_raw_parts(self.at(self.geo.groups).cast(), self.geo.max_groups) }
    }

    /// Group `index`, which is below the table's size: indexes come from this table.
    #[inline]
    pub(crate) fn group(&self, index: u8) -> &GroupRecord {
        &self.groups()[usize::from(index)]
    }

    /// Where group `index` lies.
    pub(crate) fn group_place(&self, index: u8) -> Place<GroupRecord> {
        Place(NonNull::from(self.group(index)))
    }

    /// Where consumer record `index` lies.
    pub(crate) fn record_place(&self, index: u8) -> Place<ConsumerRecord> {
        Place(NonNull::from(self.record(index)))
    }

    /// # Safety The place is one of this view, or of one that it is a copy of.
    #[inline(always)]
    pub(crate) unsafe fn record_at<T>(&self, place: Place<T>) -> &T {
        // SAFETY: by the place's invariant and the caller's promise.
        unsafe { place.0.as_ref() }
    }

    /// The consumer table; its length is the table's size.
    #[inline]
    pub(crate) fn records(&self) -> &[ConsumerRecord] {
        let at = self.at(self.geo.consumers).cast();
        // SAFETY: invariant V; the geometry places max_consumers of them there.
        unsafe { std::slice::from_raw_parts(at, self.geo.max_consumers) }
    }

    /// Consumer record `index`, which is below the table's size: indexes come from this table.
    #[inline]
    pub(crate) fn record(&self, index: u8) -> &ConsumerRecord {
        &self.records()[usize::from(index)]
    }

    /// The table of streams; empty in a queue without sources.
    #[inline]
    pub(crate) fn streams(&self) -> &[StreamRecord] {
        let at = self.at(self.geo.streams_at).cast();
        // SAFETY: invariant V; the geometry places so many of them there, at an aligned offset.
        unsafe { std::slice::from_raw_parts(at, self.geo.streams) }
    }

    /// Where the message `seq` has its position in its stream; `None` in a queue without sources.
    #[inline]
    pub(crate) fn position(&self, seq: u64) -> Option<&AtomicU64> {
        if self.geo.streams == 0 {
            return None;
        }
        let words = self.ring.at(seq).wrapping_add(self.geo.source_offset).cast::<SourceWords>();
        // SAFETY: invariant V; a slot begins there, and with streams it has these words after its payload.
        let words = unsafe { &*words };
        Some(&words.position)
    }

    /// The slots.
    #[inline(always)]
    pub(crate) fn ring(&self) -> &Ring {
        &self.ring
    }

    /// The cells `first..first + count`; `None` if the queue has no such cells, or these are none.
    pub(crate) fn extent(&self, first: u32, count: u32) -> Option<Extent> {
        Extent::of(first, count, self.geo.cells)
    }

    /// Number `i` of the cells of `extent`, which this view has made; the last one for a higher number.
    #[inline]
    pub(crate) fn cell(&self, extent: Extent, i: u32) -> Cell<'_> {
        let at = self.at(self.geo.cells_at + extent.index(i) * self.geo.cell_stride);
        // SAFETY: invariant V; by the extent's invariant the index is below the number of cells.
        let CellHeader { word, sequence, meta, received } = unsafe { &*at.cast::<CellHeader>() };
        let position = (self.geo.streams > 0).then(|| {
            let words = at.wrapping_add(self.geo.cell_source_offset).cast::<SourceWords>();
            // SAFETY: as above; with streams a cell has these words after its payload.
            unsafe { &(*words).position }
        });
        let area = at.wrapping_add(CELL_PAYLOAD_OFFSET);
        // SAFETY: the geometry keeps payload_size bytes, rounded up to words, after the header, at an offset that is a
        // multiple of 16 from a multiple of 64.
        let payload = unsafe { Payload::new(area, self.geo.payload_size) };
        Cell { word, sequence, meta, received, position, payload }
    }

    /// The slot of a sequence: any number is masked into the ring.
    #[inline(always)]
    pub(crate) fn slot(&self, seq: u64) -> Slot<'_> {
        self.ring.slot(seq)
    }
}

/// Zeroes the unused bytes of a record's cache lines. Writing the record has also copied its padding: bytes from the
/// creator's stack, which every process could read.
///
/// # Safety `record` has as many cache lines as `used` has entries, and no other thread or process accesses it yet.
#[cfg(not(slipring_loom))]
unsafe fn clear_padding(record: *mut u8, used: &[usize]) {
    const LINE: usize = size_of::<crate::sync::Line<u8>>();
    for (i, used) in used.iter().enumerate() {
        // SAFETY: inside the record; these bytes belong to none of its fields.
        unsafe { record.wrapping_add(i * LINE + used).write_bytes(0, LINE - used) };
    }
}

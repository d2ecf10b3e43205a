//! Slots taken for writing in place.

#![allow(unsafe_code)]

use crate::layout::Meta;
use crate::message::{Content, Message};
use crate::producer::Producer;
use crate::sync::Ordering;

/// Slots behind the queue's tail, to be written in place and then published. Dropping it publishes
/// nothing.
///
/// Lengths and kinds start at 0 (a typed message always has its full length); the bytes start as
/// whatever the slots last held. An observer that reads a slot meanwhile throws away what it saw.
#[derive(Debug)]
#[must_use = "a reservation that is dropped publishes nothing: call publish"]
pub struct Reservation<'p, M: Content + ?Sized = [u8]> {
    producer: &'p mut Producer<M>,
    slots: u64,
}

impl<'p, M: Content + ?Sized> Reservation<'p, M> {
    /// Room for `slots` was found.
    pub(crate) fn open(producer: &'p mut Producer<M>, slots: u64) -> Self {
        // A queue of typed messages has messages of one length only.
        let typed = producer.at.mapped.config.schema_hash != 0;
        let len = if typed { producer.at.view.geo().payload_size } else { 0 };
        for offset in 0..slots {
            let slot = producer.publisher.open(&producer.at.view, offset);
            // Relaxed: published by the stamp. pair P1.
            slot.meta.store(Meta { len, kind: 0 }.pack(), Ordering::Relaxed);
        }
        Reservation { producer, slots }
    }

    /// How many slots it has.
    pub fn len(&self) -> usize {
        self.slots as usize
    }

    /// Whether it has no slots.
    pub fn is_empty(&self) -> bool {
        self.slots == 0
    }

    /// The sequence that the first slot will have.
    pub fn sequence(&self) -> u64 {
        self.producer.publisher.tail()
    }

    fn area(&mut self, index: usize) -> Option<&mut [u8]> {
        if index as u64 >= self.slots {
            return None;
        }
        let slot = self.producer.at.view.slot(self.producer.publisher.tail() + index as u64);
        // SAFETY: this is the producer, borrowed exclusively; room was found for the slot (I2), and `open` has set
        // its stamp to 0. Observers have mappings of their own (docs/design.md, Writing in place beside observers).
        Some(unsafe { slot.payload.bytes_mut() })
    }

    fn change_meta(&mut self, index: usize, change: impl FnOnce(&mut Meta)) -> bool {
        if index as u64 >= self.slots {
            return false;
        }
        let slot = self.producer.at.view.slot(self.producer.publisher.tail() + index as u64);
        // Relaxed: only the producer stores it; published by the stamp. pair P1.
        let mut meta = Meta::unpack(slot.meta.load(Ordering::Relaxed));
        change(&mut meta);
        slot.meta.store(meta.pack(), Ordering::Relaxed);
        true
    }

    /// Gives message `index` a kind. Returns whether there is such a slot.
    pub fn set_kind(&mut self, index: usize, kind: u32) -> bool {
        self.change_meta(index, |meta| meta.kind = kind)
    }

    /// Publishes all slots; returns the sequence of the first.
    pub fn publish(self) -> u64 {
        let slots = self.len();
        self.publish_first(slots)
    }

    /// Publishes the first `count` slots (at most all) and gives the others back; returns the sequence
    /// of the first.
    pub fn publish_first(self, count: usize) -> u64 {
        let count = (count as u64).min(self.slots);
        let Producer { publisher, at, .. } = &mut *self.producer;
        let first = publisher.tail();
        let mut bytes = 0;
        publisher.stamp_all(&at.view, count, |seq| {
            // Relaxed: stored by this handle.
            let meta = at.view.slot(seq).meta.load(Ordering::Relaxed);
            bytes += Meta::unpack(meta).len as u64;
        });
        if count > 0 {
            publisher.advance(&at.view, count);
        }
        self.producer.count_bytes(bytes);
        first
    }
}

impl Reservation<'_, [u8]> {
    /// The whole payload area of slot `index`, or `None` if there is no such slot. Say with
    /// [`Reservation::set_len`] how much of it is the message.
    pub fn bytes_mut(&mut self, index: usize) -> Option<&mut [u8]> {
        self.area(index)
    }

    /// Makes the first `len` bytes of slot `index` the message. Returns whether there is such a slot
    /// and it holds that many bytes; else nothing changes.
    pub fn set_len(&mut self, index: usize, len: usize) -> bool {
        let config = &self.producer.at.mapped.config;
        let max = self.producer.at.view.geo().payload_size;
        // A queue of typed messages has no others.
        let fits = if config.schema_hash == 0 { len <= max } else { len == max };
        fits && self.change_meta(index, |meta| meta.len = len)
    }
}

impl<M: Message> Reservation<'_, M> {
    /// The message in slot `index`, or `None` if there is no such slot. It starts as whatever the slot
    /// last held.
    pub fn message_mut(&mut self, index: usize) -> Option<&mut M> {
        let area = self.area(index)?;
        debug_assert!(area.len() >= size_of::<M>() && area.as_ptr().cast::<M>().is_aligned());
        // SAFETY: typed handles are made only for queues of M's size, payload areas are aligned to 16,
        // and any bytes are an M; the area is borrowed exclusively.
        Some(unsafe { &mut *area.as_mut_ptr().cast::<M>() })
    }
}

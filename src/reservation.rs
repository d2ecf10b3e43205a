//! Slots that are reserved for writing in place.

#![allow(unsafe_code)]

use std::marker::PhantomData;
use std::time::{Duration, Instant};

use crate::error::SendError;
use crate::layout::{Meta, Ring, Slots};
use crate::message::{Content, Message};
use crate::producer::Producer;
use crate::ring::publish::stamp;
use crate::ring::sources::{self, Number};
use crate::wait::{Check, Deadline};

/// Reserved slots, to be written in place and then published. Dropping it publishes nothing.
///
/// Lengths and kinds start at 0, the length of a typed message at its full size. The bytes start as whatever the slots
/// held before. An observer that reads such a slot discards what it read.
#[derive(Debug)]
#[must_use = "a reservation that is dropped publishes nothing: call publish"]
pub struct Reservation<'p, M: Content + ?Sized = [u8]> {
    producer: &'p mut Producer<M>,
    /// A copy: the compiler must assume that a store to a slot changes the fields of a handle.
    ring: Ring,
    first: u64,
    slots: u64,
    /// Whether the slots' lengths and kinds are stored. If not, all have the initial ones.
    stored: bool,
    /// The stream that its messages come from, and the first one's position.
    source: Option<(Number, u64)>,
}

impl<M: Content + ?Sized> Producer<M> {
    /// Reserves `n` slots to write in place, if there is room for all of them. Never blocks.
    ///
    /// # Errors
    /// [`SendError::TooMany`] if the ring has fewer slots; else as for [`Producer::try_send`].
    #[inline]
    pub fn try_reserve(&mut self, n: usize) -> Result<Reservation<'_, M>, SendError> {
        let slots = self.slots(n)?;
        self.room(slots, Check::Fast)?;
        Ok(Reservation::open(self, slots))
    }

    /// Reserves `n` slots to write in place, waiting for room as long as it takes.
    ///
    /// # Errors
    /// As for [`Producer::try_reserve`], but never [`SendError::Full`].
    pub fn reserve(&mut self, n: usize) -> Result<Reservation<'_, M>, SendError> {
        self.reserve_by(n, || Deadline::NEVER)
    }

    /// Reserves `n` slots to write in place, waiting for room at most `timeout`.
    ///
    /// # Errors
    /// [`SendError::Timeout`]; else as for [`Producer::try_reserve`].
    pub fn reserve_timeout(
        &mut self,
        n: usize,
        timeout: Duration,
    ) -> Result<Reservation<'_, M>, SendError> {
        self.reserve_by(n, || Deadline::after(timeout))
    }

    /// Reserves `n` slots to write in place, waiting for room until `deadline` at most.
    ///
    /// # Errors
    /// As for [`Producer::reserve_timeout`].
    pub fn reserve_deadline(
        &mut self,
        n: usize,
        deadline: Instant,
    ) -> Result<Reservation<'_, M>, SendError> {
        self.reserve_by(n, || Deadline::at(deadline))
    }

    fn reserve_by(
        &mut self,
        n: usize,
        deadline: impl Fn() -> Deadline,
    ) -> Result<Reservation<'_, M>, SendError> {
        let slots = self.slots(n)?;
        self.wait_for_room(slots, deadline)?;
        Ok(Reservation::open(self, slots))
    }
}

impl<'p, M: Content + ?Sized> Reservation<'p, M> {
    /// Reserves `slots`, for which there is room.
    #[inline]
    pub(crate) fn open(producer: &'p mut Producer<M>, slots: u64) -> Self {
        let Producer { publisher, attachment, .. } = &mut *producer;
        publisher.reclaim_next(&attachment.view, slots);
        let (ring, first) = (*attachment.view.ring(), publisher.tail());
        Reservation { producer, ring, first, slots, stored: false, source: None }
    }

    /// Of messages of a stream, with the positions from `first` on.
    pub(crate) fn of_stream(self, number: Number, first: u64) -> Self {
        Reservation { source: Some((number, first)), ..self }
    }

    /// The number of slots.
    pub fn len(&self) -> usize {
        self.slots as usize
    }

    /// Whether it has no slots.
    pub fn is_empty(&self) -> bool {
        self.slots == 0
    }

    /// The sequence that the first slot will have.
    pub fn sequence(&self) -> u64 {
        self.first
    }

    /// Length and kind that a slot starts with. A queue of typed messages has messages of one length only.
    fn first_meta(&self) -> Meta {
        if let Some(schema) = M::SCHEMA {
            return Meta { len: schema.size, kind: 0 };
        }
        let Producer { attachment, .. } = &*self.producer;
        let typed = attachment.mapped.config.schema_hash != 0;
        Meta { len: if typed { attachment.view.geo().payload_size } else { 0 }, kind: 0 }
    }

    #[inline]
    fn area(&mut self, index: usize) -> Option<&mut [u8]> {
        if index as u64 >= self.slots {
            return None;
        }
        let slot = self.ring.slot(self.first + index as u64);
        // SAFETY: this is the producer, borrowed exclusively; room was found for the slot (invariant room-first), and `open` has set
        // its stamp to 0. Observers have mappings of their own (docs/design.md, Writing in place beside observers).
        Some(unsafe { slot.payload.bytes_mut() })
    }

    fn change_meta(&mut self, index: usize, change: impl FnOnce(&mut Meta)) -> bool {
        if index as u64 >= self.slots {
            return false;
        }
        let first = self.first_meta();
        let Producer { publisher, .. } = &*self.producer;
        if !self.stored {
            publisher.each_behind(&self.ring, self.slots, |_, slot| slot.meta.store(first));
            self.stored = true;
        }
        let slot = self.ring.slot(self.first + index as u64);
        let mut meta = slot.meta.load();
        change(&mut meta);
        slot.meta.store(meta);
        true
    }

    /// Gives message `index` a kind. Returns whether there is such a slot.
    pub fn set_kind(&mut self, index: usize, kind: u32) -> bool {
        self.change_meta(index, |meta| meta.kind = kind)
    }

    /// Publishes all slots; returns the sequence of the first.
    #[inline(always)]
    pub fn publish(self) -> u64 {
        let slots = self.len();
        self.publish_first(slots)
    }

    /// Publishes the first `count` slots (all, if there are not so many) and gives the others back; returns the
    /// sequence of the first.
    // Inlined, and with its parts handed on: a reservation of which a function gets the address is in memory all along.
    #[inline(always)]
    pub fn publish_first(self, count: usize) -> u64 {
        let first = self.first_meta();
        let Reservation { producer, ring, first: sequence, slots, stored, source } = self;
        let count = (count as u64).min(slots);
        if let Some((number, position)) = source {
            publish_from(producer, count, number, position, first, stored);
            return sequence;
        }
        if stored {
            publish_stored(producer, count);
            return sequence;
        }
        // With a copy: of what it borrows, a function that is not inlined would get the address.
        producer.publisher.each_behind(&ring, count, move |seq, slot| {
            slot.meta.store(first);
            stamp(&slot, seq);
        });
        producer.end_reservation(count, count * first.len as u64);
        sequence
    }
}

impl<M: Content + ?Sized> Producer<M> {
    /// Makes `count` stamped messages of so many bytes known.
    #[inline(always)]
    fn end_reservation(&mut self, count: u64, bytes: u64) {
        if count > 0 {
            self.publisher.advance(&self.attachment.view, count);
        }
        self.count_bytes(bytes);
    }
}

impl Reservation<'_, [u8]> {
    /// The whole payload area of slot `index`, or `None` if there is no such slot. [`Reservation::set_len`] sets how
    /// much of it is the message.
    pub fn bytes_mut(&mut self, index: usize) -> Option<&mut [u8]> {
        self.area(index)
    }

    /// Makes the first `len` bytes of slot `index` the message. Returns whether there is such a slot, and it holds that
    /// many bytes; else nothing changes.
    pub fn set_len(&mut self, index: usize, len: usize) -> bool {
        let config = &self.producer.attachment.mapped.config;
        let max = self.producer.attachment.view.geo().payload_size;
        // A queue of typed messages has messages of one length only.
        let fits = if config.schema_hash == 0 { len <= max } else { len == max };
        fits && self.change_meta(index, |meta| meta.len = len)
    }
}

impl<M: Message> Reservation<'_, M> {
    /// The message in slot `index`, or `None` if there is no such slot. It starts as whatever the slot
    /// last held.
    #[inline]
    pub fn message_mut(&mut self, index: usize) -> Option<&mut M> {
        let area = self.area(index)?;
        debug_assert!(area.len() >= size_of::<M>() && area.as_ptr().cast::<M>().is_aligned());
        // SAFETY: typed handles are made only for queues of M's size, payload areas are aligned to 16,
        // and any bytes are an M; the area is borrowed exclusively.
        Some(unsafe { &mut *area.as_mut_ptr().cast::<M>() })
    }

    /// The messages in all slots, in their order: without an index, and its check, for each. They start as
    /// whatever the slots held before.
    ///
    /// ```
    /// # slipring::message! { struct Sample { value: u64 } }
    /// # let name = format!("doc-slots-{}", std::process::id());
    /// # let queue = slipring::Queue::builder(&name).capacity(8).message::<Sample>().group("work").create()?;
    /// # let mut producer = slipring::Queue::open_typed::<Sample>(&name)?.producer()?;
    /// let mut slots = producer.reserve(3)?;
    /// for (message, value) in slots.iter_mut().zip([1, 2, 3]) {
    ///     *message = Sample { value };
    /// }
    /// slots.publish();
    /// # drop(producer);
    /// # slipring::force_remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn iter_mut(&mut self) -> impl ExactSizeIterator<Item = &mut M> {
        let slots = self.ring.slots(self.first, self.first + self.slots);
        Messages { slots, marker: PhantomData }
    }
}

/// The messages in the slots of a reservation, which is borrowed exclusively for as long.
struct Messages<'r, M> {
    slots: Slots<'r>,
    marker: PhantomData<&'r mut M>,
}

impl<'r, M: Message + 'r> Iterator for Messages<'r, M> {
    type Item = &'r mut M;

    #[inline]
    fn next(&mut self) -> Option<&'r mut M> {
        let slot = self.slots.next()?;
        // SAFETY: as in `area`, and each slot is lent once.
        let area = unsafe { slot.payload.bytes_mut() };
        // SAFETY: as in `message_mut`.
        Some(unsafe { &mut *area.as_mut_ptr().cast::<M>() })
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        self.slots.size_hint()
    }
}

impl<M: Message> ExactSizeIterator for Messages<'_, M> {}

/// Publishes `count` reserved slots, whose lengths and kinds are stored.
#[cold]
#[inline(never)]
fn publish_stored<M: Content + ?Sized>(producer: &mut Producer<M>, count: u64) {
    let Producer { publisher, attachment, .. } = &mut *producer;
    let mut bytes = 0;
    publisher.each_behind(attachment.view.ring(), count, |seq, slot| {
        bytes += slot.meta.load().len as u64;
        stamp(&slot, seq);
    });
    producer.end_reservation(count, bytes);
}

/// Publishes `count` reserved slots as messages of a stream, with positions from `position` on. All have the `first` meta,
/// unless lengths and kinds are `stored`.
#[cold]
#[inline(never)]
fn publish_from<M: Content + ?Sized>(
    producer: &mut Producer<M>,
    count: u64,
    number: Number,
    position: u64,
    first: Meta,
    stored: bool,
) {
    if count == 0 {
        return;
    }
    let Producer { publisher, attachment, .. } = &mut *producer;
    let (view, mut bytes) = (&attachment.view, 0);
    for offset in 0..count {
        let seq = publisher.tail() + offset;
        let slot = view.slot(seq);
        let meta = if stored { slot.meta.load() } else { first };
        bytes += meta.len as u64;
        sources::mark(view, seq, &slot, meta, number, position + offset);
    }
    let last = position + (count - 1);
    publisher.publish_from(view, count, number, last);
    producer.count_bytes(bytes);
    producer.note_sent(number, last);
}

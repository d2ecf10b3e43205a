//! The consumer of an exclusive group: it claims a run of messages, then acks it.
//!
//! It alone stores the group's head, so a claim changes no shared word but `delivered up to`, and the ack is one
//! store of the head (pair head). The head is the first message that is not acked; what was delivered above it comes
//! again after a death.

#![allow(unsafe_code)]

use super::available::{Available, Count};
use super::claim::{Claim, Corrupt, NO_LIMIT, OVERWRITTEN, TOO_MANY, uncount};
use super::notify;
use crate::layout::{ConsumerRecord, GroupRecord, Place, View, add_to};
use crate::packed::{Attempts, Head, NOBODY};
use crate::sync::{Ordering, mutant, order, step};

/// A consumer of an exclusive group. Invariant: it holds the lease of `record`, and invariant one-holder. A cache
/// line of its own: handles of two threads may lie side by side.
#[repr(align(128))]
#[derive(Debug)]
pub(crate) struct ExclusiveConsumer {
    pub(crate) group: u8,
    pub(crate) record: u8,
    /// Where the group and `record` lie in its view.
    places: (Place<GroupRecord>, Place<ConsumerRecord>),
    /// The group's head. This consumer alone stores it.
    head: u64,
    /// Everything below was delivered at least once, by this consumer or an earlier one.
    delivered: u64,
    available: Available,
    /// Deliveries that a message may have; `NO_LIMIT`: any number. One delivery more is claimed but not counted.
    pub(crate) limit: u8,
}

impl ExclusiveConsumer {
    /// Continues where the group's last consumer stopped. The record's lease is held.
    pub(crate) fn resume(view: &View, group: u8, record: u8) -> ExclusiveConsumer {
        let words = view.group(group);
        // Acquire. pair head: stronger than needed, the lease has ordered all of it already.
        let head = Head::unpack(words.head.load(Ordering::Acquire)).seq;
        // Relaxed: ordered by the lease of the last consumer. pair lease.
        let delivered = mutant!(
            words.delivery.up_to.load(Ordering::Relaxed),
            "resume-forgets-deliveries",
            head
        );
        let (available, limit) = (Available::new(), NO_LIMIT);
        let places = (view.group_place(group), view.record_place(record));
        ExclusiveConsumer { group, record, places, head, delivered, available, limit }
    }

    pub(crate) fn head(&self) -> u64 {
        self.head
    }

    /// Whether the message at the head was delivered before.
    #[cfg(not(slipring_loom))]
    pub(crate) fn holds(&self) -> bool {
        self.head < self.delivered
    }

    /// Waits for a run of messages, in a stream; see `available`.
    #[inline(always)]
    pub(crate) fn linger(&mut self, view: &View, max: u64) {
        if self.available.lingers(|| self.head) {
            self.available.linger(view, self.head, max);
        }
    }

    /// Sets whether this consumer ever lingers.
    #[cfg(not(slipring_loom))]
    pub(crate) fn set_lingering(&mut self, on: bool) {
        self.available.set_lingering(on);
    }

    /// Claims up to `max` messages from the head on. Messages that were delivered and not acked come first, and
    /// alone.
    #[inline]
    pub(crate) fn claim(&mut self, view: &View, max: u64) -> Result<Option<Claim>, Corrupt> {
        if self.head < self.delivered {
            self.claim_redelivery(view, max)
        } else {
            self.claim_new(view, max)
        }
    }

    /// The shortest path of a claim; `None` does not mean that there is nothing to claim.
    #[cfg(not(slipring_loom))]
    #[inline(always)]
    pub(crate) fn claim_fast(&mut self, view: &View, max: u64) -> Option<Claim> {
        if self.head < self.delivered { None } else { self.claim_new(view, max).ok().flatten() }
    }

    /// Claims messages that were not delivered before.
    #[inline(always)]
    fn claim_new(&mut self, view: &View, max: u64) -> Result<Option<Claim>, Corrupt> {
        let start = self.head;
        let Some(end) = self.published(view, start, max)? else { return Ok(None) };
        self.note_delivered(view, end);
        Ok(Some(Claim { start, end, last: end, again: start, record: 0, attempts: 1 }))
    }

    /// Claims messages that were delivered before.
    #[cold]
    fn claim_redelivery(&mut self, view: &View, max: u64) -> Result<Option<Claim>, Corrupt> {
        let start = self.head;
        let delivered = self.delivered;
        let most = self.redelivery_limit(max);
        let Some(end) = self.published(view, start, most)? else { return Ok(None) };
        let attempts = u32::from(self.count_attempt(view, end));
        if end > delivered {
            self.note_delivered(view, end);
        }
        let again = mutant!(delivered, "redelivered-as-new", start);
        Ok(Some(Claim { start, end, last: end, again, record: 0, attempts }))
    }

    /// The end of the run of published messages from `start` on, at most `max`; `None` if there is none.
    #[inline(always)]
    fn published(&mut self, view: &View, start: u64, max: u64) -> Result<Option<u64>, Corrupt> {
        match self.available.count(view, start, max) {
            Count::Some(count) => Ok(Some(start + count)),
            Count::None(stamp) if stamp <= start => Ok(None),
            Count::None(_) => Err(OVERWRITTEN),
            Count::TooMany => Err(TOO_MANY),
        }
    }

    #[inline(always)]
    fn words<'v>(&self, view: &'v View) -> &'v GroupRecord {
        // SAFETY: every call passes the view that the consumer was made with, or a copy of it.
        unsafe { view.record_at(self.places.0) }
    }

    #[inline(always)]
    fn own<'v>(&self, view: &'v View) -> &'v ConsumerRecord {
        // SAFETY: as above.
        unsafe { view.record_at(self.places.1) }
    }

    /// Stores that everything up to `end` is delivered.
    #[inline(always)]
    fn note_delivered(&mut self, view: &View, end: u64) {
        self.delivered = end;
        // Relaxed: the next consumer reads it under the lease (pair lease). Stored before the delivery, so that no
        // message is delivered again unmarked.
        let up_to = mutant!(end, "delivery-noted-short", end - 1);
        step!(
            self.words(view).delivery.up_to.store(up_to, Ordering::Relaxed),
            "delivery-not-noted"
        );
    }

    /// How many of the messages that were delivered before to claim at once. Where deliveries have a limit, one: the
    /// message that kills its consumer is then the one that is counted.
    #[cold]
    fn redelivery_limit(&self, max: u64) -> u64 {
        if mutant!(self.limit != NO_LIMIT, "redelivery-by-the-batch", false) {
            return 1;
        }
        // A death between the count of the first and the note of a new message would miscount one of the two.
        let left = self.delivered - self.head;
        mutant!(max.min(left), "redelivery-brings-new-ones", max)
    }

    /// Adds up to `max` of the messages after `claim` to it, and returns how many. The head stays. Where deliveries
    /// have a limit, messages that were delivered before are left out: they come alone.
    pub(crate) fn grow(
        &mut self,
        view: &View,
        claim: &mut Claim,
        max: u64,
    ) -> Result<u64, Corrupt> {
        debug_assert!(claim.start == self.head, "invariant borrow");
        let from = claim.end;
        let again = from < self.delivered;
        // A hostile tail must not make a claim lend one slot twice.
        let max = max.min(view.geo().capacity.saturating_sub(from - claim.start));
        if max == 0 || mutant!(again && self.limit != NO_LIMIT, "growth-brings-the-counted", false)
        {
            return Ok(0);
        }
        let Some(end) = self.published(view, from, max)? else { return Ok(0) };
        if again {
            add_to(&self.own(view).counters.redelivered, end.min(self.delivered) - from);
        }
        if end > self.delivered {
            self.delivered = end;
            // Relaxed, and stored before the delivery, as in `claim`. pair lease.
            let up_to = mutant!(end, "growth-noted-short", end - 1);
            step!(
                view.group(self.group).delivery.up_to.store(up_to, Ordering::Relaxed),
                "growth-not-noted"
            );
        }
        (claim.end, claim.last) = (end, end);
        Ok(end - from)
    }

    /// Counts the delivery of the message at the head, and that the messages up to `end` come again.
    #[cold]
    fn count_attempt(&mut self, view: &View, end: u64) -> u8 {
        let word = &view.group(self.group).delivery.attempts;
        // Relaxed: this consumer alone stores it, and the last one's lease has ordered it (pair lease).
        let seen = Attempts::unpack(word.load(Ordering::Relaxed));
        // Without a count, the message was delivered at least once, and exactly once where deliveries have a limit.
        let same =
            mutant!(seen.seq == self.head, "attempts-of-another-message", seen.seq < u64::MAX >> 8);
        let before = if same { seen.count } else { 1 };
        let count = before.saturating_add(1);
        if before >= self.limit {
            return count;
        }
        step!(
            word.store(Attempts { seq: self.head, count }.pack(), Ordering::Relaxed),
            "attempts-not-kept"
        );
        add_to(&self.own(view).counters.redelivered, end - self.head);
        count
    }

    /// Takes back the count of the `attempts`-th delivery of the message at the head.
    #[cold]
    pub(crate) fn uncount(&self, view: &View, attempts: u8) {
        uncount(&view.group(self.group).delivery.attempts, self.head, attempts);
    }

    /// Acks `claim` up to, not including, `to`: the producer may reuse the slots of those messages.
    #[inline(always)]
    pub(crate) fn ack(&mut self, view: &View, claim: &mut Claim, to: u64) {
        debug_assert!(
            claim.start == self.head && claim.start <= to && to <= claim.end,
            "invariant borrow"
        );
        let acked = to - claim.start;
        claim.start = to;
        self.head = to;
        // A copy, which stays in registers: the compiler must assume that a store to the segment changes `*view`.
        let here = *view;
        add_to(&self.own(&here).counters.acked, acked);
        // Release. pair head: carries all reads of the acked payloads.
        let head = Head { seq: to, claimer: NOBODY }.pack();
        self.words(&here).head.store(head, order!(Release, "ack-relaxed"));
        step!(notify::acked(view, here.control(), head), "ack-wakes-nobody");
    }
}

//! A member of a shared group: how it claims messages and acks them. `recovery` has what a dead member leaves.
//!
//! ```text
//! claim: 1 help the member that the head names     its PENDING becomes HELD if its range lies below the head
//!        2 store end, then start = PENDING         the gate counts the range from here on
//!        3 exchange the head, past the range       the claim has succeeded; the head names this member
//!        4 store start = HELD                      if 3 failed and the claim gives up: start = IDLE
//! ack:   5 store start = the first message left    after the last message: start = IDLE
//! ```
//!
//! A member may die after any step. PENDING alone does not tell whether step 3 happened. The head does, as long as it
//! names the member, and step 1 lets no member move it on before that claim is HELD. So the record of a dead member is
//! exact, and `recovery` can resolve it.
//!
//! The start word includes the group, because a record may move to another group while an old head still names it (so a
//! stale helper's compare fails). Within one group a start never returns to a PENDING that succeeded: sequences grow,
//! and the index of a group with a live member is not used again.

#![allow(unsafe_code)]

use super::available::{Available, Count};
use super::claim::{Claim, Corrupt, NO_LIMIT, TOO_MANY, uncount};
use super::notify;
use crate::layout::{ConsumerRecord, GroupRecord, Place, View, add_to, lease_byte};
use crate::packed::{Attempts, Head, Start, State, Tag};
use crate::sync::lease::{Leases, give_back};
#[cfg(slipring_loom)]
use crate::sync::tries;
use crate::sync::{Ordering, WordExt, mutant, order, step};

/// How often a claim starts over before it reports contention. Models set it.
#[cfg(not(slipring_loom))]
const fn tries() -> u32 {
    64
}

/// A member of a shared group. Invariant: it holds the leases of `record` and of `adopted`, and it alone stores their
/// words, except for the exchange that helpers make (PENDING to HELD).
#[derive(Debug)]
pub(crate) struct SharedMember {
    pub(crate) group: u8,
    pub(crate) record: u8,
    tag: Tag,
    /// Where the group and `record` lie in its view.
    pub(super) places: (Place<GroupRecord>, Place<ConsumerRecord>),
    /// Record of a dead member whose range this member works off.
    pub(crate) adopted: Option<u8>,
    /// Record of a range that this member gave back, and for how many more searches it ignores it.
    pub(super) shunned: Option<(u8, u32)>,
    /// Whether `record` holds a range. This member alone stores that word, so it need not read it.
    pub(super) holds: bool,
    available: Available,
    /// Deliveries that a message may have; `NO_LIMIT`: any number. One delivery more is claimed but not counted.
    pub(crate) limit: u8,
}

/// The result of a claim.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Claimed {
    Range(Claim),
    /// No published message is unclaimed.
    Empty,
    /// Other members were faster, at every try.
    Contended,
}

impl SharedMember {
    /// A member that holds no range. The record's lease is held.
    pub(super) fn new(view: &View, group: u8, record: u8) -> SharedMember {
        SharedMember {
            group,
            record,
            tag: Tag::of(group),
            places: (view.group_place(group), view.record_place(record)),
            adopted: None,
            shunned: None,
            holds: false,
            available: Available::new(),
            limit: NO_LIMIT,
        }
    }

    /// Whether it holds messages that were delivered and not acked.
    #[inline]
    pub(crate) fn holds(&self) -> bool {
        self.holds || self.adopted.is_some()
    }

    #[inline(always)]
    pub(super) fn words<'v>(&self, view: &'v View) -> &'v GroupRecord {
        // SAFETY: every call passes the view that the member was made with, or a copy of it.
        unsafe { view.record_at(self.places.0) }
    }

    #[inline(always)]
    fn own<'v>(&self, view: &'v View) -> &'v ConsumerRecord {
        // SAFETY: as above.
        unsafe { view.record_at(self.places.1) }
    }

    pub(super) fn start(view: &View, record: u8) -> (u64, Start) {
        // Acquire. pair start: what its owner stored before it (end, attempts). In recovery the lease brings that, too.
        let word = view.record(record).claim.start.load(Ordering::Acquire);
        (word, Start::unpack(word))
    }

    /// Claims up to `max` messages. A range that this member holds already, from a dropped batch or by adoption,
    /// comes first and alone; where deliveries have a limit, one message at a time.
    pub(crate) fn claim(&mut self, view: &View, max: u64) -> Result<Claimed, Corrupt> {
        if let Some(record) = self.holds.then_some(self.record).or(self.adopted) {
            let (_, start) = Self::start(view, record);
            return Ok(Claimed::Range(self.redeliver(view, record, start, max)?));
        }
        let mut tried = None;
        for _ in 0..tries() {
            let (word, head, count) = self.read_head(view, max);
            let missing = match count {
                Count::Some(count) => match self.move_head(view, word, head, count, &mut tried) {
                    Some(claim) => return Ok(Claimed::Range(claim)),
                    None => continue,
                },
                // The stamp/tail Acquire above orders this reload: a stamp of the next lap brings the head that allowed
                // it. If the head has moved, what was found says nothing about the message at the old head.
                _ if mutant!(
                    self.words(view).head.load(Ordering::Acquire) != word,
                    "empty-after-one-read",
                    false,
                    "corrupt-after-one-read",
                    matches!(count, Count::None(_))
                        && self.words(view).head.load(Ordering::Acquire) != word
                ) =>
                {
                    continue;
                }
                Count::None(_) => Ok(Claimed::Empty),
                Count::TooMany => Err(TOO_MANY),
            };
            self.withdraw(view, tried);
            return missing;
        }
        step!(self.withdraw(view, tried), "contended-leaves-pending");
        Ok(Claimed::Contended)
    }

    /// How many of `max` messages there are to claim, as far as is known; 0 only if there is certainly none.
    pub(super) fn published(&mut self, view: &View, max: u64) -> u64 {
        // Acquire. pair claim: as for a claim, which reads it again.
        let word = self.words(view).head.load(Ordering::Acquire);
        match self.available.count(view, Head::unpack(word).seq, max) {
            Count::Some(count) => count.min(view.geo().capacity),
            // As in `claim`: the stamp may be of the next lap.
            Count::None(_) if self.words(view).head.load(Ordering::Acquire) == word => 0,
            Count::None(_) | Count::TooMany => 1,
        }
    }

    /// Acks the range of its record up to its end, `to`: all of its messages are in cells. For a dead member, the holder of
    /// its lease does so.
    pub(super) fn ack_ring(&mut self, view: &View, to: u64) {
        let start = self.tag.start(to, State::Idle);
        // Release. pair start: the reads of the slots are done. pair cell: who finds the record idle finds the messages
        // in their cells.
        self.own(view).claim.start.store(start, order!(Release, "ring-acked-relaxed"));
        notify::room(view);
        self.holds = false;
    }

    /// Waits for a run of messages, in a stream; see `available`.
    #[inline(always)]
    pub(crate) fn linger(&mut self, view: &View, max: u64) {
        // Relaxed: a hint where to wait.
        let head = || Head::unpack(self.words(view).head.load(Ordering::Relaxed)).seq;
        if self.available.lingers(head) {
            self.available.linger(view, head(), max);
        }
    }

    /// Sets whether this member ever lingers.
    #[cfg(not(slipring_loom))]
    pub(crate) fn set_lingering(&mut self, on: bool) {
        self.available.set_lingering(on);
    }

    /// The shortest path of a claim; `None` does not mean that there is nothing to claim.
    #[inline(always)]
    pub(crate) fn claim_fast(&mut self, view: &View, max: u64) -> Option<Claim> {
        if self.holds() {
            return None;
        }
        let (word, head, Count::Some(count)) = self.read_head(view, max) else { return None };
        let mut tried = None;
        let claim = self.move_head(view, word, head, count, &mut tried);
        if claim.is_none() {
            step!(self.withdraw(view, tried), "fast-claim-leaves-pending");
        }
        claim
    }

    /// Reads the head, its sequence, and how many messages there are to claim from it. Helps the last claimer.
    #[inline(always)]
    fn read_head(&mut self, view: &View, max: u64) -> (u64, u64, Count) {
        // Acquire. pair claim: the PENDING of the last claimer, which it stored before this head.
        let word = self.words(view).head.load(order!(Acquire, "claim-head-relaxed"));
        let head = Head::unpack(word);
        if head.claimer != self.record {
            step!(self.help(view, head), "no-help");
        }
        let count = match self.available.count(view, head.seq, max) {
            // A garbled head may lie more than a ring below the known end.
            Count::Some(count) if max > 1 => Count::Some(count.min(view.geo().capacity)),
            count => count,
        };
        (word, head.seq, count)
    }

    /// Tries to move the head from `word` past `count` messages. `tried`: the start of a PENDING that an earlier try,
    /// or this one, left in the record.
    #[inline(always)]
    fn move_head(
        &mut self,
        view: &View,
        word: u64,
        start: u64,
        count: u64,
        tried: &mut Option<u64>,
    ) -> Option<Claim> {
        let me = &self.own(view).claim;
        let end = start + count;
        // Step 2. Relaxed: the start word, stored after it, carries it.
        me.end.store(end, Ordering::Relaxed);
        let pending = self.tag.start(start, State::Pending);
        // Release. pair start: a scan that reads this and none of the earlier acks must know those reads are done.
        me.start.store(pending, order!(Release, "pending-relaxed"));
        let retried = tried.replace(start).is_some();
        let next = Head { seq: end, claimer: self.record };
        // Step 3. Release. pair claim: carries end and PENDING. Relaxed on failure: the head is loaded again.
        let (release, relaxed) = (order!(Release, "head-exchange-relaxed"), Ordering::Relaxed);
        self.words(view).head.compare_exchange(word, next.pack(), release, relaxed).ok()?;
        let held = self.tag.start(start, State::Held);
        // Step 4. Release. pair start: a plain store ends the release sequence of the PENDING, so it must carry as
        // much. This is the only store that can race with a helper's exchange: after it, or after a recovery, helpers
        // find no PENDING.
        me.start.store_beside_exchange(held, Ordering::Release);
        step!(self.holds = true, "claim-not-noted");
        if retried {
            // The PENDING of the earlier try held the gate; this claim has raised it.
            step!(notify::room(view), "late-claim-wakes-nobody");
        }
        let record = u32::from(self.record);
        Some(Claim { start, end, last: end, again: start, record, attempts: 1 })
    }

    /// Step 1: notes for the last claimer that its claim succeeded, as the head proves.
    fn help(&self, view: &View, head: Head) {
        let Some(record) = view.records().get(usize::from(head.claimer)) else { return };
        // Acquire. pair claim. Relaxed would do: the head that names the record has brought this PENDING or a later
        // value (note 4 in docs/ordering.md).
        let word = record.claim.start.load(Ordering::Acquire);
        let start = Start::unpack(word);
        let same_group = mutant!(start.group == self.group, "help-any-group", true);
        let theirs = same_group && start.state == State::Pending;
        if theirs && mutant!(start.seq < head.seq, "help-at-the-head", start.seq <= head.seq) {
            let held = Start { state: State::Held, ..start };
            // It fails if the owner or another helper was faster. AcqRel, though Relaxed would do: any exchange
            // continues the release sequence of the PENDING (pair start).
            let (acq_rel, relaxed) = (Ordering::AcqRel, Ordering::Relaxed);
            mutant!(
                _ = record.claim.start.compare_exchange(word, held.pack(), acq_rel, relaxed),
                "help-by-store",
                record.claim.start.store_beside_exchange(held.pack(), Ordering::Release)
            );
        }
    }

    /// Takes back a PENDING whose exchange failed: it would hold the gate.
    fn withdraw(&self, view: &View, tried: Option<u64>) {
        if let Some(seq) = mutant!(tried, "withdraw-left-out", None) {
            let tag = mutant!(self.group, "withdraw-takes-the-tag", self.group ^ 1);
            let idle = Start::idle(seq, tag);
            // Release. pair start: carries the earlier acks, as the PENDING did.
            let me = &view.record(self.record).claim;
            me.start.store(idle.pack(), order!(Release, "withdraw-relaxed"));
            step!(notify::room(view), "withdraw-wakes-nobody");
        }
    }

    /// Claims the first `max` messages of a range that was delivered before, and counts the delivery of the first.
    #[cold]
    fn redeliver(
        &mut self,
        view: &View,
        record: u8,
        start: Start,
        max: u64,
    ) -> Result<Claim, Corrupt> {
        let words = &view.record(record).claim;
        // Relaxed: the start word carries it, or this member stored it.
        let last = words.end.load(Ordering::Relaxed);
        self.check_range(view, start, last)?;
        let seen = Attempts::unpack(words.attempts.load(Ordering::Relaxed));
        let alone = mutant!(self.limit != NO_LIMIT, "orphans-by-the-batch", false);
        let max = if alone { 1 } else { max };
        let reach = start.seq.saturating_add(max);
        let end = mutant!(last.min(reach), "orphans-beyond-their-range", reach);
        // Without a count, the message was delivered at least once, and exactly once where deliveries have a limit.
        let same =
            mutant!(seen.seq == start.seq, "orphan-counts-another", seen.seq != u64::MAX >> 8);
        let before = if same { seen.count } else { 1 };
        let count = mutant!(before.saturating_add(1), "orphan-not-counted", before);
        if before < self.limit {
            // Relaxed: stored before the delivery, for the member that recovers the record later. pair lease.
            words.attempts.store(Attempts { seq: start.seq, count }.pack(), Ordering::Relaxed);
            add_to(&self.own(view).counters.redelivered, end - start.seq);
        }
        let (record, attempts) = (u32::from(record), u32::from(count));
        let again = mutant!(end, "orphans-as-new", start.seq);
        Ok(Claim { start: start.seq, end, last, again, record, attempts })
    }

    pub(super) fn check_range(&self, view: &View, start: Start, end: u64) -> Result<(), Corrupt> {
        // Acquire. pair claim. The start that the caller read has brought the head that claimed the range (as HELD), or
        // was read after that head (as PENDING). So only a garbled range ends above this head.
        let head = Head::unpack(self.words(view).head.load(Ordering::Acquire)).seq;
        if start.seq < end && end - start.seq <= view.geo().capacity && end <= head {
            Ok(())
        } else {
            Err(Corrupt("a consumer record holds a range that its group never handed out"))
        }
    }

    /// Takes back the count of the `attempts`-th delivery of the first message of `claim`.
    #[cold]
    pub(crate) fn uncount(&self, view: &View, claim: &Claim, attempts: u8) {
        let record = mutant!(claim.record as u8, "uncounted-in-its-own-record", self.record);
        uncount(&view.record(record).claim.attempts, claim.start, attempts);
    }

    /// Acks `claim` up to, not including, `to`.
    #[inline(always)]
    pub(crate) fn ack(&mut self, view: &View, leases: &impl Leases, claim: &mut Claim, to: u64) {
        let acked = to - claim.start;
        claim.start = to;
        let last = mutant!(claim.last, "claim-ends-its-record", claim.end);
        let (record, done) = (claim.record as u8, to == last);
        // A copy, which stays in registers: the compiler must assume that a store to the segment changes `*view`.
        let here = *view;
        let own = self.own(&here);
        add_to(&own.counters.acked, acked);
        let held = if record == self.record { own } else { view.record(record) };
        if done {
            let start = self.tag.start(to, State::Idle);
            // Step 5. Release. pair start: carries all reads of the acked payloads.
            held.claim.start.store(start, order!(Release, "shared-ack-relaxed"));
            // A record that is idle does not count for the gate.
            let highest = mutant!(u64::MAX, "last-ack-judged-by-its-end", start);
            step!(notify::acked(view, here.control(), highest), "shared-ack-wakes-nobody");
            if record == self.record {
                self.holds = false;
            } else {
                self.drop_adopted(leases, record);
            }
        } else {
            let start = self.tag.start(to, State::Held);
            // Release. pair start: as above.
            held.claim.start.store(start, order!(Release, "shared-ack-relaxed"));
            step!(notify::acked(view, here.control(), start), "shared-ack-wakes-nobody");
        }
    }

    /// Gives an adopted record back, after the last ack of its range.
    #[cold]
    fn drop_adopted(&mut self, leases: &impl Leases, record: u8) {
        if self.adopted == Some(record) {
            self.adopted = None;
            step!(give_back(leases, lease_byte::consumer(record)), "adopted-lease-kept");
        }
    }
}

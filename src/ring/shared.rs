//! Groups whose members compete: each message goes to one of them.
//!
//! A member writes the range it wants into its record as PENDING and then tries to move the group's head
//! past it; the head names the member. If it dies between the two steps and its own note of success
//! (HELD), the head still tells whether it succeeded, as long as nobody has moved the head on. So
//! whoever wants to move the head first turns the PENDING of the member that the head names into HELD:
//! after a member's death its record is exact.
//!
//! The group is part of the start word, because a record may serve another group while an old head still
//! names it: a slow helper's exchange must then miss. A live member pins its group's index, and in one
//! group a record's start never returns to a value that its owner succeeded with.

#![allow(unsafe_code)]

use super::available::{Available, Count};
use super::claim::{Claim, Corrupt, NO_LIMIT, TOO_MANY, uncount};
use super::notify;
use crate::layout::{ConsumerRecord, GroupRecord, Offset, View, lease_byte};
use crate::packed::{Attempts, Head, Start, State};
use crate::sync::lease::{Leases, give_back};
#[cfg(slipring_loom)]
use crate::sync::tries;
use crate::sync::{Ordering, WordExt, mutant, order, step};

/// How often a claim starts over before it lets the others go first. A model may say otherwise.
#[cfg(not(slipring_loom))]
const fn tries() -> u32 {
    64
}

/// A member of a shared group. Invariant: it holds the leases of `record` and of `adopted`, and it alone
/// stores their words, but for the one exchange that helpers make (PENDING to HELD).
#[derive(Debug)]
pub(crate) struct SharedMember {
    pub(crate) group: u8,
    pub(crate) record: u8,
    /// Where the two lie in its view.
    pub(super) offsets: (Offset<GroupRecord>, Offset<ConsumerRecord>),
    /// Record of a member that died with a range, which this one works off.
    pub(crate) adopted: Option<u8>,
    /// Record of a range that this member gave back, and how many more looks it leaves it alone.
    pub(super) shunned: Option<(u8, u32)>,
    /// Whether `record` holds something. It alone stores that word, so there is no need to look.
    pub(super) holds: bool,
    available: Available,
    /// Where its last claim ended.
    seen: u64,
    pub(super) acked: u64,
    pub(super) redelivered: u64,
    /// Deliveries that a message may have, `NO_LIMIT` if any number. One more is a claim, and no delivery: it is not
    /// counted.
    pub(crate) limit: u8,
}

/// What came of an attempt to claim.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Claimed {
    Range(Claim),
    /// Nothing is published that is not claimed.
    Empty,
    /// The others were faster, every time.
    Contended,
}

impl SharedMember {
    /// One that holds nothing. The record's lease is held.
    pub(super) fn new(view: &View, group: u8, record: u8) -> SharedMember {
        SharedMember {
            group,
            record,
            offsets: (view.group_offset(group), view.record_offset(record)),
            adopted: None,
            shunned: None,
            holds: false,
            available: Available::new(),
            seen: 0,
            acked: 0,
            redelivered: 0,
            limit: NO_LIMIT,
        }
    }

    /// Whether it holds something that was delivered and not acked.
    #[inline]
    pub(crate) fn holds(&self) -> bool {
        self.holds || self.adopted.is_some()
    }

    #[inline(always)]
    pub(super) fn words<'v>(&self, view: &'v View) -> &'v GroupRecord {
        // SAFETY: every call of a member has the view that it was made with, or a copy.
        unsafe { view.record_at(self.offsets.0) }
    }

    #[inline(always)]
    fn own<'v>(&self, view: &'v View) -> &'v ConsumerRecord {
        // SAFETY: as above.
        unsafe { view.record_at(self.offsets.1) }
    }

    pub(super) fn start(view: &View, record: u8) -> (u64, Start) {
        // Acquire: what was stored before it, in recovery by a member that is dead.
        let word = view.record(record).claim.start.load(Ordering::Acquire);
        (word, Start::unpack(word))
    }

    /// Takes up to `max` messages. What this member holds already, because its batch was dropped or
    /// because it adopted it, comes first, and alone; one message at a time where deliveries have a limit.
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
                // Acquire: behind the look at stamp or tail. A head that has moved meanwhile means that
                // they may be of the next lap, and say nothing about what is at the head now.
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

    /// Waits a moment for a run of messages, in a stream; see `available`.
    #[inline(always)]
    pub(crate) fn linger(&mut self, view: &View, max: u64) {
        if self.available.lingers(self.seen) {
            // Relaxed: where to look.
            let head = self.words(view).head.load(Ordering::Relaxed);
            self.available.linger(view, Head::unpack(head).seq, max);
        }
    }

    /// Whether it ever does.
    #[cfg(not(slipring_loom))]
    pub(crate) fn set_lingering(&mut self, on: bool) {
        self.available.set_lingering(on);
    }

    /// The same on the shortest way; `None` says nothing.
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

    /// The head, its sequence, and how many messages there are to take from it.
    #[inline(always)]
    fn read_head(&mut self, view: &View, max: u64) -> (u64, u64, Count) {
        // Acquire. pair claim: the last claimer's PENDING, which was stored before its head.
        let word = self.words(view).head.load(order!(Acquire, "claim-head-relaxed"));
        let head = Head::unpack(word);
        if head.claimer != self.record {
            step!(self.help(view, head), "no-help");
        }
        (word, head.seq, self.available.count(view, head.seq, max.min(view.geo().capacity)))
    }

    /// Tries to move the head from `word` past `count` messages. `tried` is what an earlier try left behind, or
    /// this one.
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
        // Relaxed: carried by the start word, which must come behind it.
        me.end.store(end, Ordering::Relaxed);
        let pending = Start { seq: start, group: self.group, state: State::Pending };
        // Release. pair start: carries the earlier acks of this member to a producer that scans.
        me.start.store(pending.pack(), order!(Release, "pending-relaxed"));
        let retried = tried.replace(start).is_some();
        let next = Head { seq: end, claimer: self.record };
        // Release. pair claim: carries the PENDING above. Relaxed on failure: the head is loaded again.
        let (release, relaxed) = (order!(Release, "head-exchange-relaxed"), Ordering::Relaxed);
        self.words(view).head.compare_exchange(word, next.pack(), release, relaxed).ok()?;
        let held = Start { state: State::Held, ..pending };
        // Release: a plain store ends the release sequence of the PENDING, so it carries as much. The
        // one store that may meet a helper's exchange: all others come behind it, or behind recovery's,
        // and find no PENDING that a helper could have read.
        me.start.store_beside_exchange(held.pack(), Ordering::Release);
        step!(self.holds = true, "claim-not-noted");
        self.seen = end;
        if retried {
            // The PENDING of the try before, which held the gate, has gone up with this one.
            step!(notify::room(view), "late-claim-wakes-nobody");
        }
        let record = u32::from(self.record);
        Some(Claim { start, end, last: end, again: start, record, attempts: 1 })
    }

    /// Notes on behalf of the last claimer that its claim succeeded, which the head proves.
    fn help(&self, view: &View, head: Head) {
        let Some(record) = view.records().get(usize::from(head.claimer)) else { return };
        // Acquire. pair claim: the head has brought its PENDING already; more says nothing against it.
        let word = record.claim.start.load(Ordering::Acquire);
        let start = Start::unpack(word);
        let same_group = mutant!(start.group == self.group, "help-any-group", true);
        let theirs = same_group && start.state == State::Pending;
        if theirs && mutant!(start.seq < head.seq, "help-at-the-head", start.seq <= head.seq) {
            let held = Start { state: State::Held, ..start };
            // It fails if its owner, or another helper, was faster.
            // AcqRel: more than is asked for, as any exchange goes on with what the PENDING's Release began (pair start).
            let (acq_rel, relaxed) = (Ordering::AcqRel, Ordering::Relaxed);
            mutant!(
                _ = record.claim.start.compare_exchange(word, held.pack(), acq_rel, relaxed),
                "help-by-store",
                record.claim.start.store_beside_exchange(held.pack(), Ordering::Release)
            );
        }
    }

    /// Takes back a PENDING whose exchange failed: it would hold the gate down.
    fn withdraw(&self, view: &View, tried: Option<u64>) {
        if let Some(seq) = mutant!(tried, "withdraw-left-out", None) {
            let tag = mutant!(self.group, "withdraw-takes-the-tag", self.group ^ 1);
            let idle = Start::idle(seq, tag);
            // Release. pair start.
            let me = &view.record(self.record).claim;
            me.start.store(idle.pack(), order!(Release, "withdraw-relaxed"));
            step!(notify::room(view), "withdraw-wakes-nobody");
        }
    }

    /// Hands out the first `max` messages of a range that was delivered before, the first one counted.
    #[cold]
    fn redeliver(
        &mut self,
        view: &View,
        record: u8,
        start: Start,
        max: u64,
    ) -> Result<Claim, Corrupt> {
        let words = &view.record(record).claim;
        // Relaxed: carried by the start word, or stored by this member.
        let last = words.end.load(Ordering::Relaxed);
        self.check_range(view, start, last)?;
        let seen = Attempts::unpack(words.attempts.load(Ordering::Relaxed));
        let alone = mutant!(self.limit != NO_LIMIT, "orphans-by-the-batch", false);
        let max = if alone { 1 } else { max };
        let reach = start.seq.saturating_add(max);
        let end = mutant!(last.min(reach), "orphans-beyond-their-range", reach);
        // Without a count of its own, the message was delivered at least once, and exactly once where there is a limit.
        let same =
            mutant!(seen.seq == start.seq, "orphan-counts-another", seen.seq != u64::MAX >> 8);
        let before = if same { seen.count } else { 1 };
        let count = mutant!(before.saturating_add(1), "orphan-not-counted", before);
        if before < self.limit {
            // Relaxed, and before the delivery: for whoever recovers the record after us. pair lease.
            words.attempts.store(Attempts { seq: start.seq, count }.pack(), Ordering::Relaxed);
            self.redelivered += end - start.seq;
            let counters = &view.record(self.record).counters;
            // Relaxed: a figure for inspectors.
            counters.redelivered.store(self.redelivered, Ordering::Relaxed);
        }
        let (record, attempts) = (u32::from(record), u32::from(count));
        let again = mutant!(end, "orphans-as-new", start.seq);
        Ok(Claim { start: start.seq, end, last, again, record, attempts })
    }

    pub(super) fn check_range(&self, view: &View, start: Start, end: u64) -> Result<(), Corrupt> {
        // Acquire. pair claim.
        let head = Head::unpack(self.words(view).head.load(Ordering::Acquire)).seq;
        if start.seq < end && end - start.seq <= view.geo().capacity && end <= head {
            Ok(())
        } else {
            Err(Corrupt("a consumer record holds a range that its group never handed out"))
        }
    }

    /// The delivery of the first message of `claim`, its `attempts`-th, is not to count.
    #[cold]
    pub(crate) fn uncount(&self, view: &View, claim: &Claim, attempts: u8) {
        let record = mutant!(claim.record as u8, "uncounted-in-its-own-record", self.record);
        uncount(&view.record(record).claim.attempts, claim.start, attempts);
    }

    /// Acks `claim` up to, not including, `to`.
    #[inline(always)]
    pub(crate) fn ack(&mut self, view: &View, leases: &impl Leases, claim: &mut Claim, to: u64) {
        self.acked += to - claim.start;
        claim.start = to;
        let last = mutant!(claim.last, "claim-ends-its-record", claim.end);
        let (record, done) = (claim.record as u8, to == last);
        // Relaxed: a figure for inspectors.
        self.own(view).counters.acked.store(self.acked, Ordering::Relaxed);
        let state = if done { State::Idle } else { State::Held };
        let start = Start { seq: to, group: self.group, state }.pack();
        let held = if record == self.record { self.own(view) } else { view.record(record) };
        // Release. pair start: all reads of the acked payloads come before it.
        held.claim.start.store(start, order!(Release, "shared-ack-relaxed"));
        // A record that still holds something is part of the gate.
        let highest =
            if mutant!(done, "last-ack-judged-by-its-end", false) { u64::MAX } else { start };
        step!(notify::acked(view, highest), "shared-ack-wakes-nobody");
        if done && record == self.record {
            self.holds = false;
        } else if done {
            self.drop_adopted(leases, record);
        }
    }

    /// Behind the last ack of what another member left.
    #[cold]
    fn drop_adopted(&mut self, leases: &impl Leases, record: u8) {
        if self.adopted == Some(record) {
            self.adopted = None;
            step!(give_back(leases, lease_byte::consumer(record)), "adopted-lease-kept");
        }
    }
}

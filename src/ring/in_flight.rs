//! A member of a shared group with cells: how it receives.
//!
//! ```text
//! 1 holds = 1, if it was 0            a member that finds this one dead looks for its cells
//! 2 reserve a cell for each message   before the claim: after its death there is room for all that it has claimed
//! 3 claim                             as in `shared`
//! 4 fill the cells                    from here on a message is in the ring and in its cell
//! 5 start = IDLE                      the ring ack: from here on it is in its cell alone
//! ```
//!
//! It may die after any step; [`settle`](super::settle) does the rest of steps 4 and 5 for it then.

#![allow(unsafe_code)]

use std::io;
use std::ops::RangeInclusive;

use super::cells::{FULL_LOOK, InHand, Letter, Reserved, Table, is_delayed, sequence_of};
use super::claim::{Claim, Corrupt, Fault};
use super::groups;
use super::notify;
use super::records::records_of;
use super::settle::{may_have_left, settle};
use super::shared::{Claimed, SharedMember};
use crate::layout::{HOLDS_CELLS, View, lease_byte};
use crate::packed::{CellState, CellWord, Tick};
use crate::sync::lease::{Leases, give_back, try_take};
use crate::sync::{Ordering, WordExt, fence, mutant, order, step};

/// How often a member that wants a certain message tries to take it: others may change its cell's word each time.
const TAKES: u32 = 64;
/// Cells of its last receives in which a member looks for an empty one first: their lines are in its cache.
const RECENT: usize = 64;

/// A member of a shared group with cells. Between two calls it holds no range of the ring.
#[derive(Debug)]
pub(crate) struct CellMember {
    pub(crate) member: SharedMember,
    pub(crate) table: Table,
    /// Whether "holds" of its record says that it may have cells, for a member that finds this one dead.
    announced: bool,
    /// Empty again by now, perhaps.
    recent: Vec<u32>,
    /// Empty between two receives, which use its memory.
    reserved: Vec<Reserved>,
    /// Where it looks for an empty cell if none of these is.
    probe: u32,
    /// Tick of its last look at all cells: garbage in "next due" delays one by a full look at most.
    looked: Tick,
    /// Where that begins: after the cell that it took last.
    look: u32,
    /// The record at which its next search for dead members begins.
    ask_from: u8,
    /// Attempts for which it leaves a message to others that comes again without a delay.
    pub(crate) skip: Option<RangeInclusive<u8>>,
    /// Its last look at all cells left such a message.
    pub(crate) skipped: bool,
}

/// The result of a receive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Received {
    Some,
    /// No published message is unclaimed.
    Empty,
    /// Other members were faster, at every try.
    Contended,
    /// No cell is empty.
    NoCell,
}

/// Notes that the member of `record` has no cell: itself, which knows that, or what is left of it when it leaves.
pub(crate) fn renounce(view: &View, record: u8) {
    // Relaxed: for the next holder of this record's lease. pair lease.
    view.record(record).counters.holds.store(0, Ordering::Relaxed);
}

impl<P> InHand<P> {
    /// The same with another form of its payload.
    pub(crate) fn with<Q>(&self, payload: Q) -> InHand<Q> {
        let &InHand { seq, kind, attempts, origin, requeued, delayed, token, .. } = self;
        InHand { seq, kind, attempts, origin, requeued, delayed, token, payload }
    }
}

impl CellMember {
    /// A member of the group of `table`, with `record`, whose lease is held and which holds nothing.
    pub(crate) fn new(view: &View, table: Table, record: u8) -> CellMember {
        let records = view.records().len() as u64;
        let probe = u64::from(record) * u64::from(table.len()) / records.max(1);
        // Relaxed: this member has stored it. Of one that puts letters, the record has said so since it was taken.
        let announced = view.record(record).counters.holds.load_own(Ordering::Relaxed) != 0;
        CellMember {
            member: SharedMember::new(view, table.group, record),
            table,
            announced,
            recent: Vec::with_capacity(RECENT),
            reserved: Vec::new(),
            probe: probe as u32,
            looked: 0,
            look: probe as u32,
            ask_from: 0,
            skip: None,
            skipped: false,
        }
    }

    /// Receives up to `max` messages of the ring, and hands them to `out`, to copy their payloads. They are due one ack
    /// timeout after `now`.
    pub(crate) fn receive(
        &mut self,
        view: &View,
        max: u64,
        now: Tick,
        out: impl FnMut(&InHand<&[u8]>),
    ) -> Result<Received, Corrupt> {
        // First, so that a member that polls an empty queue reserves nothing.
        let wanted = mutant!(self.member.published(view, max), "timeout-read-first", {
            self.table.reload_timeout(view);
            self.member.published(view, max)
        });
        if wanted == 0 {
            return Ok(Received::Empty);
        }
        self.announce(view);
        let claimed_at = &view.record(self.member.record).claim.claimed_at;
        // Relaxed: for people. A member that is stopped from here on keeps what it has reserved.
        claimed_at.store(now, Ordering::Relaxed);
        self.reserve(view, wanted);
        if self.reserved.is_empty() {
            // Relaxed: for people.
            claimed_at.store(0, Ordering::Relaxed);
            return Ok(Received::NoCell);
        }
        let claimed = self.member.claim(view, self.reserved.len() as u64);
        let received = match claimed {
            Ok(Claimed::Range(claim)) => {
                self.move_to_cells(view, claim, now, out);
                Ok(Received::Some)
            }
            Ok(Claimed::Empty) => Ok(Received::Empty),
            Ok(Claimed::Contended) => Ok(Received::Contended),
            Err(corrupt) => Err(corrupt),
        };
        if !self.reserved.is_empty() {
            self.unreserve_rest(view);
        }
        // Relaxed: for people.
        claimed_at.store(0, Ordering::Relaxed);
        received
    }

    /// Empties the cells that it has reserved and does not need.
    #[cold]
    fn unreserve_rest(&mut self, view: &View) {
        for reserved in self.reserved.drain(..) {
            step!(self.table.unreserve(view, reserved), "reservations-kept");
        }
        step!(notify::cells(view, self.table.group), "unused-cells-wake-nobody");
    }

    /// Notes that this member may have cells.
    #[inline]
    fn announce(&mut self, view: &View) {
        if !self.announced {
            // Relaxed: for the next holder of this record's lease. pair lease.
            step!(
                view.record(self.member.record)
                    .counters
                    .holds
                    .store(HOLDS_CELLS, Ordering::Relaxed),
                "cells-not-announced"
            );
            self.announced = true;
        }
    }

    /// Notes that this member has no cell, if it has said that it may have some; the caller knows that none is left.
    pub(crate) fn renounce(&mut self, view: &View) {
        if self.announced {
            renounce(view, self.member.record);
            step!(self.announced = false, "renounced-for-good");
        }
    }

    /// Reserves an empty cell for a letter, if there is one, for [`put`](Self::put) or [`unreserve`](Self::unreserve).
    pub(crate) fn reserve_one(&mut self, view: &View) -> Option<Reserved> {
        self.reserve(view, 1);
        self.reserved.pop()
    }

    /// Puts a letter into a cell that this member has reserved, for any member to take at once.
    pub(crate) fn put(&self, view: &View, reserved: Reserved, letter: Letter<'_>, now: Tick) {
        self.table.put(view, reserved, letter, now);
    }

    /// The same in a group that goes with its last member: if that is gone, the letter would go with the group, and the cell is
    /// emptied. Returns whether the letter is there. The control lease is held, under which members leave.
    pub(crate) fn put_if_kept(
        &self,
        view: &View,
        leases: &impl Leases,
        reserved: Reserved,
        letter: Letter<'_>,
        now: Tick,
    ) -> io::Result<bool> {
        let (group, own) = (self.table.group, self.member.record);
        let kept = groups::is_abandoned(view, leases, group, own).map(|abandoned| !abandoned);
        match kept {
            Ok(true) => self.put(view, reserved, letter, now),
            Ok(false) | Err(_) => self.unreserve(view, reserved),
        }
        kept
    }

    /// Empties a cell that this member has reserved.
    pub(crate) fn unreserve(&self, view: &View, reserved: Reserved) {
        self.table.unreserve(view, reserved);
        notify::cells(view, self.table.group);
    }

    /// Reserves up to `wanted` cells: those that were its own last, then any.
    fn reserve(&mut self, view: &View, wanted: u64) {
        let (record, len) = (self.member.record, self.table.len());
        let wanted = wanted.min(u64::from(len)) as usize;
        let mut probes = 0;
        while self.reserved.len() < wanted {
            let cell = match self.recent.pop() {
                Some(cell) => cell,
                None if probes < len => {
                    let cell = self.probe;
                    self.probe = if cell + 1 < len { cell + 1 } else { 0 };
                    probes += 1;
                    cell
                }
                None => break,
            };
            self.reserved.extend(self.table.reserve(view, cell, record));
        }
    }

    /// Steps 4 and 5.
    fn move_to_cells(
        &mut self,
        view: &View,
        claim: Claim,
        now: Tick,
        mut out: impl FnMut(&InHand<&[u8]>),
    ) {
        let (owner, due) = (self.member.record, self.table.due(view, now));
        let held = CellWord { state: CellState::Held, owner, attempts: 1, due, generation: 0 };
        let CellMember { table, reserved, recent, .. } = self;
        let count = ((claim.end - claim.start) as usize).min(reserved.len());
        for (seq, reserved) in (claim.start..claim.end).zip(reserved.drain(..count)) {
            // SAFETY: of the claim that this member has just made, and acks below.
            unsafe { table.fill(view, reserved, seq, held, now, &mut out) };
            if recent.len() < RECENT {
                recent.push(reserved.cell);
            }
        }
        self.member.ack_ring(view, claim.end);
    }

    /// Takes the message of this sequence from the cell that it is in, due or not, in the hands of another member or not.
    #[cold]
    pub(crate) fn take_sequence(&mut self, view: &View, seq: u64, now: Tick) -> Option<InHand> {
        for _ in 0..TAKES {
            let (i, word) = self.find(view, seq)?;
            step!(self.announce(view), "take-not-announced");
            let due = self.table.due(view, now);
            let taken = self.table.take(view, i, word, self.member.record, due);
            if mutant!(taken.is_some(), "taken-at-one-try", true) {
                return taken;
            }
            // Its owner may have extended it.
        }
        None
    }

    /// The cell of the message of this sequence, and its word; of several, such as a dead letter that was sent again, the
    /// one that was delivered most often. `None` if there is none, or its member is still moving it from the ring.
    #[cold]
    fn find(&self, view: &View, seq: u64) -> Option<(u32, u64)> {
        let cells = (0..self.table.len()).filter_map(|i| {
            let cell = self.table.cell(view, i);
            // Acquire. pair cell: what was stored while the cell was reserved, and the owner's start before that.
            let word = cell.word.load(order!(Acquire, "cell-read-relaxed"));
            let found = CellWord::unpack(word);
            // Relaxed: carried by the cell's word. If it is of a later message, the take of this word fails.
            let has = cell.sequence.load(Ordering::Relaxed);
            let free = match found.state {
                CellState::Empty | CellState::Reserved => false,
                CellState::Held => mutant!(
                    !self.table.is_in_range(view, found.owner, has),
                    "take-ignores-the-ring",
                    true
                ),
                CellState::Delayed => true,
            };
            (free && sequence_of(has).0 == seq).then_some((found.attempts, i, word))
        });
        let most = mutant!(cells.max(), "least-delivered-taken", cells.min());
        most.map(|(_, i, word)| (i, word))
    }

    /// Looks at all cells if one may be due at `now`, takes up to `max` that are, and adds them to `out`, which is empty.
    #[inline]
    pub(crate) fn take_due(&mut self, view: &View, now: Tick, max: usize, out: &mut Vec<InHand>) {
        // Relaxed: a look that is missed is made up for within a full look.
        let next = self.table.next_due(view).load(Ordering::Relaxed);
        if next > now && now.saturating_sub(self.looked) < FULL_LOOK {
            return;
        }
        self.look_at_all(view, now, max, out);
    }

    /// Looks at all cells.
    #[cold]
    fn look_at_all(&mut self, view: &View, now: Tick, max: usize, out: &mut Vec<InHand>) {
        let hint = self.table.next_due(view);
        (self.looked, self.skipped) = (now, false);
        let far = now.saturating_add(FULL_LOOK);
        mutant!(
            // Relaxed. pair due: the fence orders it. Raised before the look, so that what is given back meanwhile lowers it.
            hint.store_beside_exchange(far, Ordering::Relaxed),
            "hint-raised-after-the-look",
            ()
        );
        // SeqCst fence. pair due: the hint above, the cells' words below.
        step!(fence(Ordering::SeqCst), "look-without-fence");
        let mut next = far;
        self.take_any(view, now, &mut next, max, out);
        if out.len() == max {
            // The other cells are looked at by whoever comes next.
            step!(next = now, "look-forgets-the-rest");
        }
        mutant!(
            // Relaxed. pair due: lower than what was stored above, or than what others have stored since.
            hint.fetch_min(next, Ordering::Relaxed),
            "hint-stored-after-the-look",
            {
                hint.store_beside_exchange(next, Ordering::Relaxed);
                0
            },
            "hint-raised-after-the-look",
            {
                hint.store_beside_exchange(next, Ordering::Relaxed);
                0
            }
        );
    }

    /// Takes messages that are due at `now`, until `out` has `max`, and lowers `next` to the earliest due of the others that it
    /// has seen.
    pub(crate) fn take_any(
        &mut self,
        view: &View,
        now: Tick,
        next: &mut Tick,
        max: usize,
        out: &mut Vec<InHand>,
    ) {
        let record = self.member.record;
        let len = mutant!(self.table.len(), "timeout-read-first", {
            self.table.reload_timeout(view);
            self.table.len()
        });
        let (first, rest) = (self.look..len, 0..self.look.min(len));
        for i in first.chain(rest) {
            let Some(word) = self.table.find_due(view, i, now, next) else { continue };
            if self.skips(CellWord::unpack(word)) {
                // It stays due for the others.
                (self.skipped, *next) = (true, now.min(*next));
                continue;
            }
            step!(self.announce(view), "take-not-announced");
            let due = self.table.due(view, now);
            let Some(message) = self.table.take(view, i, word, record, due) else {
                mutant!(continue, "look-ends-at-a-lost-one", return)
            };
            out.push(message);
            if mutant!(out.len() >= max, "look-takes-one-more", out.len() > max) {
                // Not at the same place: while many are due, each look is a short one.
                self.look = if i + 1 < len { i + 1 } else { 0 };
                return;
            }
        }
    }
}

impl CellMember {
    /// Whether it leaves a message to others that is due.
    fn skips(&self, found: CellWord) -> bool {
        let next = found.attempts.saturating_add(1);
        self.skip.as_ref().is_some_and(|attempts| attempts.contains(&next)) && !is_delayed(found)
    }

    /// Searches for dead members of the group, and settles them: asks about up to `most` of those that may be dead, and the
    /// next time about those after them. Returns whether there was one.
    #[cold]
    pub(crate) fn settle_dead(
        &mut self,
        view: &View,
        leases: &impl Leases,
        most: u32,
    ) -> Result<bool, Fault> {
        let (mut settled, mut asked) = (false, 0);
        let (group, from) = (self.table.group, std::mem::take(&mut self.ask_from));
        let rest = (from > 0).then(|| records_of(view, group).take_while(|record| *record < from));
        let all = records_of(view, group).skip_while(|record| *record < from);
        for record in all.chain(rest.into_iter().flatten()) {
            if record == self.member.record || !may_have_left(view, record) {
                continue;
            }
            if asked == most {
                self.ask_from = record;
                break;
            }
            asked += 1;
            let byte = lease_byte::consumer(record);
            if !mutant!(
                try_take(leases, byte).map_err(Fault::System)?,
                "settle-without-lease",
                true
            ) {
                continue;
            }
            let result = settle(view, &self.table, record);
            give_back(leases, byte);
            result.map_err(Fault::Corrupt)?;
            self.table.wake_takers(view);
            settled = true;
        }
        Ok(settled)
    }
}

//! How a producer finds room.

use std::time::Duration;

use super::Producer;
use crate::attach::Attachment;
use crate::clock::{coarse_ns, monotonic_ns};
use crate::error::{BlockingGroup, Full, SendError, Unconfirmed};
use crate::group::{identity_of, pid_of};
use crate::layout::{Identity, Mode, lease_byte};
use crate::message::Content;
use crate::packed::{SEQ_NONE, State};
use crate::ring::cells::Table;
use crate::ring::figures;
use crate::ring::gate::gate;
use crate::ring::groups;
use crate::ring::park::Waiter;
use crate::ring::publish::NoRoom;
use crate::ring::records;
use crate::sync::{mutant, step};
use crate::wait::{self, Check, Deadline, FutexPark, MAX_SLEEP, Waited};

/// Messages after which the slow path asks whether a check of the queue's name is due, and the least age of the last
/// check for that. A check is a system call, and a stream sends 256 messages in the time of one.
const NAME_CHECK_MESSAGES: u64 = 256;
const NAME_CHECK_PERIOD: Duration = Duration::from_millis(5);
/// Tries on a full queue between two checks of its name.
const TRIES: u32 = 64;

impl<M: Content + ?Sized> Producer<M> {
    /// Whether the message `offset` after the tail may be published without any check.
    #[inline]
    pub(crate) fn has_room_at(&self, offset: u64) -> bool {
        self.publisher.tail() + offset < self.bound
    }

    /// Whether the next message may be written and published at once.
    #[inline(always)]
    pub(super) fn is_ready(&self) -> bool {
        self.publisher.tail() < self.ready && !self.attachment.leases.forked()
    }

    /// Reclaims the slot of the next message, for which there is room, and some that follow.
    #[inline(never)]
    pub(super) fn make_ready(&mut self) {
        self.ready = self.publisher.reclaim_ahead(&self.attachment.view, 1).min(self.bound);
    }

    #[inline]
    fn fits(&self, n: u64) -> bool {
        self.has_room_at(n.saturating_sub(1))
    }

    #[inline]
    pub(crate) fn wait_for_room(
        &mut self,
        n: u64,
        deadline: impl Fn() -> Deadline,
    ) -> Result<(), SendError> {
        if self.fits(n) && !self.attachment.leases.forked() {
            return Ok(());
        }
        self.wait_for_room_slowly(n, deadline())
    }

    #[cold]
    fn wait_for_room_slowly(&mut self, n: u64, deadline: Deadline) -> Result<(), SendError> {
        if n <= self.publisher.known_room() {
            // Only the check of the name is due.
            return self.room(n, Check::Fast);
        }
        let mut last = None;
        let view = self.attachment.view;
        // Room that is enough, but below the threshold, is found when the sleep ends by itself.
        let room = Waiter::room(&view, self.publisher.threshold(&view, n));
        let park = FutexPark::new([room], || MAX_SLEEP);
        let mut wait_state = self.wait_state.clone();
        let mut blocked = false;
        let found =
            wait::until(deadline, &mut wait_state, park, |check| match self.room(n, check) {
                Ok(()) => Ok(Some(())),
                Err(SendError::Full(full)) => {
                    last = Some(full);
                    // Only waits that come to this are counted: in shorter ones the clock would take a part of the time.
                    if check == Check::Full && !blocked {
                        blocked = true;
                        figures::begin_blocked(&view, monotonic_ns());
                    }
                    Ok(None)
                }
                Err(fault) => Err(fault),
            });
        if blocked && !self.attachment.leases.forked() {
            figures::end_blocked(&view, monotonic_ns());
        }
        let found = found?;
        self.wait_state = wait_state;
        match (found, last) {
            (Waited::TimedOut, Some(full)) => Err(SendError::Timeout(full)),
            (Waited::Interrupted, _) => Err(SendError::Interrupted { queue: self.queue() }),
            _ => Ok(()),
        }
    }

    #[inline]
    pub(crate) fn room(&mut self, n: u64, check: Check) -> Result<(), SendError> {
        if self.fits(n) && !self.attachment.leases.forked() {
            return Ok(());
        }
        self.find_room(n, check)
    }

    #[cold]
    fn find_room(&mut self, n: u64, check: Check) -> Result<(), SendError> {
        if self.attachment.leases.forked() {
            return Err(SendError::Forked { queue: self.queue() });
        }
        self.write_counters();
        let check_due = self.publisher.tail() + n > self.check_name_at;
        if check == Check::Full
            || self.tries >= TRIES
            || (check_due && (n > NAME_CHECK_MESSAGES || self.name_check_is_due()))
        {
            self.check_name()?;
        } else if check_due {
            self.check_name_at = self.publisher.tail() + NAME_CHECK_MESSAGES;
        }
        match self.publisher.room(&self.attachment.view, n) {
            Ok(()) => {
                step!(self.last_full = None, "last-full-not-reset");
                // The end of the reserved slots, if that many may pass without a check of the name. The next send
                // checks then.
                let room = self.publisher.tail() + self.publisher.known_room();
                self.bound = mutant!(room.min(self.check_name_at), "name-never-checked", room);
                Ok(())
            }
            Err(NoRoom::Exhausted) => Err(SendError::Exhausted { queue: self.queue() }),
            Err(NoRoom::Full { .. }) if self.may_reap(check)? => self.find_room(n, Check::Fast),
            Err(NoRoom::Full { group, seq }) => {
                self.full = self.full.wrapping_add(1);
                self.tries = self.tries.saturating_add(1);
                let blocking = BlockingGroup { sequence: seq, ..self.holder(group, check)? };
                Err(SendError::Full(Full { queue: self.attachment.queue().clone(), blocking }))
            }
        }
    }

    /// Messages for which there is room, by reading the heads of all groups once.
    pub(super) fn free(&self) -> u64 {
        let Attachment { view, leases, .. } = &self.attachment;
        if leases.forked() {
            return 0;
        }
        let (tail, capacity) = (self.publisher.tail(), view.geo().capacity);
        let room = (gate(view, tail).seq + capacity).saturating_sub(tail).min(capacity);
        room.max(self.publisher.known_room()).min(SEQ_NONE - tail)
    }

    pub(super) fn check_name(&mut self) -> Result<(), SendError> {
        let tail = self.publisher.tail();
        if self
            .attachment
            .leases
            .removed()
            .map_err(self.attachment.system("check the queue's file"))?
        {
            // Later calls check, too.
            (self.bound, self.ready, self.check_name_at, self.tries) = (0, 0, 0, TRIES);
            let unconfirmed = Unconfirmed { first: self.name_seen_tail, end: tail };
            return Err(SendError::Removed { queue: self.queue(), unconfirmed });
        }
        (self.name_seen_tail, self.check_name_at, self.tries) =
            (tail, tail + NAME_CHECK_MESSAGES, 0);
        self.name_seen_at = coarse_ns();
        Ok(())
    }

    /// Checks the name if that is due, for a call that needs no room.
    #[cold]
    pub(crate) fn check_name_if_due(&mut self) -> Result<(), SendError> {
        if self.name_check_is_due() { self.check_name() } else { Ok(()) }
    }

    fn name_check_is_due(&self) -> bool {
        coarse_ns().wrapping_sub(self.name_seen_at) >= NAME_CHECK_PERIOD.as_nanos() as u64
    }

    /// Frees groups that go with their last member and have none any more, if it is time to ask the kernel for that.
    /// Returns whether it freed one.
    fn may_reap(&self, check: Check) -> Result<bool, SendError> {
        let ask = check == Check::Full || self.last_full.is_none();
        let system = self.attachment.system("find groups without members");
        Ok(ask && groups::reap(&self.attachment.view, &self.attachment.leases).map_err(system)?)
    }

    /// The group that keeps the queue full. Its live consumers are determined anew when the queue has just become full,
    /// when another group keeps it full, and before each sleep.
    #[inline]
    fn holder(&mut self, group: Option<u8>, check: Check) -> Result<BlockingGroup, SendError> {
        // The same index may belong to a new group, which has another generation.
        let of =
            group.map(|group| (group, Identity::generation(self.attachment.view.group(group))));
        match &self.last_full {
            Some((asked, known)) if *asked == of && check == Check::Fast => Ok(*known),
            _ => {
                self.check_name()?;
                let asked = blocking(&self.attachment, group);
                let known = asked
                    .map_err(self.attachment.system("find out which members of the group live"))?;
                self.last_full = Some((of, known));
                Ok(known)
            }
        }
    }
}

fn blocking(attachment: &Attachment, group: Option<u8>) -> std::io::Result<BlockingGroup> {
    let mut full = BlockingGroup {
        group: [0; _],
        group_len: 0,
        sequence: 0,
        pids: [0; _],
        holders: 0,
        live: 0,
        in_flight: false,
    };
    let Some(group) = group else { return Ok(full) };
    full.in_flight = Table::of(&attachment.view, group).is_ok_and(|table| table.is_some());
    let mut exclusive = false;
    if let Some(identity) = identity_of(attachment.view.group(group)) {
        full.group = identity.name;
        full.group_len = identity.name_len;
        exclusive = identity.mode == Mode::Exclusive as u8;
    }
    // The oldest claims, in order.
    let mut claims = [u64::MAX; BlockingGroup::PIDS];
    for record in records::records_of(&attachment.view, group) {
        if !attachment.leases.is_held(lease_byte::consumer(record))? {
            continue;
        }
        full.live = full.live.saturating_add(1);
        let start = records::start_of(&attachment.view, record);
        // The one consumer of an exclusive group has no claim in its record: the head says it.
        if start.state == State::Idle && !exclusive {
            continue;
        }
        full.holders = full.holders.saturating_add(1);
        let place = claims.partition_point(|older| *older <= start.seq);
        if place < BlockingGroup::PIDS {
            claims.copy_within(place..BlockingGroup::PIDS - 1, place + 1);
            full.pids.copy_within(place..BlockingGroup::PIDS - 1, place + 1);
            claims[place] = start.seq;
            full.pids[place] = pid_of(&attachment.view, record).unwrap_or(0);
        }
    }
    Ok(full)
}

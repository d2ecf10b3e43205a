//! How a producer comes by room.

use std::time::Duration;

use super::Producer;
use crate::attach::Attachment;
use crate::clock::coarse_ns;
use crate::error::{BlockingGroup, Full, SendError, Unconfirmed};
use crate::group::{identity_of, pid_of};
use crate::layout::{Identity, Mode, lease_byte};
use crate::message::Content;
use crate::packed::{SEQ_NONE, State};
use crate::ring::gate::gate;
use crate::ring::groups;
use crate::ring::park::Waiter;
use crate::ring::publish::NoRoom;
use crate::ring::records;
use crate::sync::{mutant, step};
use crate::wait::{self, Check, Deadline, FutexPark, MAX_SLEEP, Waited};

/// Messages between two questions whether a look at the queue's name is due, and how old the last one is then at least:
/// a look is a system call, and a stream sends 256 messages in the time that one takes.
const FULL_CHECK_EVERY: u64 = 256;
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// Tries for room between two of them, where the queue is full.
const TRIES: u32 = 64;

impl<M: Content + ?Sized> Producer<M> {
    /// Whether the message `offset` behind the tail may be published without a look at anything.
    #[inline]
    pub(super) fn is_open(&self, offset: u64) -> bool {
        self.publisher.tail() + offset < self.bound
    }

    #[inline]
    fn fits(&self, n: u64) -> bool {
        self.is_open(n.saturating_sub(1))
    }

    #[inline]
    pub(super) fn wait_for_room(
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
            // Only the name is to be looked at.
            return self.room(n, Check::Fast);
        }
        let mut last = None;
        let view = self.attachment.view;
        // Less than what is worth a wake-up, but enough, is found at the bound of the sleep.
        let room = Waiter::room(&view, self.publisher.threshold(&view, n));
        let park = FutexPark::new([room], || MAX_SLEEP);
        let mut wait_state = self.wait_state.clone();
        let found =
            wait::until(deadline, &mut wait_state, park, |look| match self.room(n, look) {
                Ok(()) => Ok(Some(())),
                Err(SendError::Full(full)) => {
                    last = Some(full);
                    Ok(None)
                }
                Err(fault) => Err(fault),
            })?;
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
        let asks = self.publisher.tail() + n > self.asks_at;
        if check == Check::Full
            || self.tries >= TRIES
            || (asks && (n > FULL_CHECK_EVERY || self.name_is_old()))
        {
            self.check_name()?;
        } else if asks {
            self.asks_at = self.publisher.tail() + FULL_CHECK_EVERY;
        }
        match self.publisher.room(&self.attachment.view, n) {
            Ok(()) => {
                step!(self.last_full = None, "last-full-not-reset");
                // Below the end of what is reserved, if that is more than may pass without a look: the next one
                // looks then.
                let room = self.publisher.tail() + self.publisher.known_room();
                self.bound = mutant!(room.min(self.asks_at), "name-never-checked", room);
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

    /// Messages for which there is room, by one look at the groups.
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
            .map_err(self.attachment.system("look at the queue's file"))?
        {
            // All that come after it look as well.
            (self.bound, self.asks_at, self.tries) = (0, 0, TRIES);
            let unconfirmed = Unconfirmed { first: self.named, end: tail };
            return Err(SendError::Removed { queue: self.queue(), unconfirmed });
        }
        (self.named, self.asks_at, self.tries) = (tail, tail + FULL_CHECK_EVERY, 0);
        self.looked_at = coarse_ns();
        Ok(())
    }

    fn name_is_old(&self) -> bool {
        coarse_ns().wrapping_sub(self.looked_at) >= LOOK_EVERY.as_nanos() as u64
    }

    /// Frees groups that nobody will ever ack for, when it is time to ask the system about them. Returns
    /// whether any was freed.
    fn may_reap(&self, check: Check) -> Result<bool, SendError> {
        let ask = check == Check::Full || self.last_full.is_none();
        let system = self.attachment.system("look for groups without members");
        Ok(ask && groups::reap(&self.attachment.view, &self.attachment.leases).map_err(system)?)
    }

    /// Says which group keeps the queue full. Which of its consumers live is asked again when the queue is
    /// newly full, held by another group, or a sleep is due.
    #[inline]
    fn holder(&mut self, group: Option<u8>, check: Check) -> Result<BlockingGroup, SendError> {
        // The same index may be another group's by now: that has another generation.
        let of =
            group.map(|group| (group, Identity::generation(self.attachment.view.group(group))));
        match &self.last_full {
            Some((asked, known)) if *asked == of && check == Check::Fast => Ok(*known),
            _ => {
                self.check_name()?;
                let asked = blocking(&self.attachment, group);
                let known = asked.map_err(self.attachment.system("look who is in the group"))?;
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
    };
    let Some(group) = group else { return Ok(full) };
    let mut exclusive = false;
    if let Some(identity) = identity_of(attachment.view.group(group)) {
        full.group = identity.name;
        full.group_len = identity.name_len;
        exclusive = identity.mode == Mode::Exclusive as u8;
    }
    // The oldest claims, in their order.
    let mut claims = [u64::MAX; BlockingGroup::PIDS];
    for record in records::records_of(&attachment.view, group) {
        if !attachment.leases.is_held(lease_byte::consumer(record))? {
            continue;
        }
        full.live = full.live.saturating_add(1);
        let start = records::start_of(&attachment.view, record);
        // The one consumer of an exclusive group claims nothing: it stands at the head.
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

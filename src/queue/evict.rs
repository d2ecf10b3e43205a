//! What an operator does about messages in flight: those of a member that hangs, and those that wait for their next delivery.

use std::thread;
use std::time::Duration;

use super::Queue;
use crate::attach::Attachment;
use crate::clock::HostClock;
use crate::error::EvictError;
use crate::group;
use crate::info::InFlightMessage;
use crate::layout::View;
use crate::message::Content;
use crate::packed::{AT_ONCE, CellState, DELAY_ENDED, due_after, ticks};
use crate::ring::cells::{Eviction, Table};
use crate::ring::claim::Corrupt;
use crate::ring::observe;

/// How often it looks at messages that are being moved from the ring, until their members count as stopped.
const LOOKS: u32 = 10;
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// What an eviction did; see [`Queue::evict`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Evictions {
    /// Sequences of the messages that were taken back.
    pub evicted: Vec<u64>,
    /// Records of members that have been in the middle of taking messages from the ring at all looks within 100 ms. Taking
    /// them is over in a moment, so such a member is stopped, unless it takes large messages one after the other; or it has
    /// died there, and the next member that looks settles that. What a stopped one is taking is freed by its end, or comes
    /// when it goes on. In the order of the messages, each once.
    pub taking: Vec<u8>,
}

impl<M: Content + ?Sized> Queue<M> {
    /// Takes messages in flight back from the live members that have them, for other members to take after `delay`: those
    /// for which `which` returns true. Their members' acks then fail with
    /// [`JobError::Evicted`](crate::JobError::Evicted). Needs no role. The attempts of a message stay as they are.
    ///
    /// Takes up to 100 ms while a member is taking messages from the ring, and has the control lease meanwhile, so that no
    /// member joins or leaves. `which` may be asked about a message several times.
    ///
    /// # Errors
    /// [`EvictError::NotFound`] and [`EvictError::NotInFlight`] if there is no such group, or it has no places for messages
    /// in flight; else if the control lease cannot be had.
    pub fn evict(
        &self,
        group: &str,
        delay: Duration,
        mut which: impl FnMut(&InFlightMessage) -> bool,
    ) -> Result<Evictions, EvictError> {
        self.with_cells(group, |view, table, clock| {
            let delay = u64::try_from(delay.as_nanos()).unwrap_or(u64::MAX);
            let due = match delay {
                0 => AT_ONCE,
                delay => due_after(clock.now(), ticks(delay)),
            };
            let mut done = Evictions::default();
            let mut left: Vec<u32> = (0..table.len()).collect();
            for look in 1..=LOOKS {
                done.taking.clear();
                left.retain(|&i| {
                    let Some(found) = observe::in_cell(view, table, i) else { return false };
                    let held = found.word.state == CellState::Held;
                    if !held || !which(&InFlightMessage::of(found, clock.now())) {
                        return false;
                    }
                    match table.evict(view, i, found.word, due, clock.now()) {
                        Eviction::Done => done.evicted.push(found.seq),
                        // Its owner was faster, and may still have it.
                        Eviction::Missed => return true,
                        Eviction::Taking => {
                            if !done.taking.contains(&found.word.owner) {
                                done.taking.push(found.word.owner);
                            }
                            return true;
                        }
                    }
                    false
                });
                if left.is_empty() || look == LOOKS {
                    break;
                }
                // It is taken in a moment, unless its member is stopped.
                thread::sleep(LOOK_EVERY);
            }
            done
        })
    }

    /// Ends the delays of messages in flight that wait for their next delivery
    /// ([`Job::retry_after`](crate::Job::retry_after)): of those for which `which` returns true. Any member may take them at
    /// once. Returns their sequences. Needs no role. The attempts of a message stay as they are.
    ///
    /// # Errors
    /// As of [`evict`](Queue::evict).
    pub fn retry_now(
        &self,
        group: &str,
        mut which: impl FnMut(&InFlightMessage) -> bool,
    ) -> Result<Vec<u64>, EvictError> {
        self.with_cells(group, |view, table, clock| {
            let now = clock.now();
            let mut ended = Vec::new();
            for found in observe::in_cells(view, table) {
                let waits = found.word.state == CellState::Delayed && found.word.due > DELAY_ENDED;
                if !waits || !which(&InFlightMessage::of(found, now)) {
                    continue;
                }
                let done = table.evict(view, found.cell, found.word, DELAY_ENDED, now);
                if done == Eviction::Done {
                    ended.push(found.seq);
                }
            }
            ended
        })
    }

    /// Runs `act` on the places of `group`, which stays meanwhile.
    fn with_cells<T>(
        &self,
        group: &str,
        act: impl FnOnce(&View, &Table, HostClock) -> T,
    ) -> Result<T, EvictError> {
        let attachment = Attachment::new(&self.mapped)?;
        let view = attachment.view;
        let _control = attachment.control(self.timeout)?;
        let (queue, name) = (|| attachment.queue().clone(), || group.to_owned());
        let index = group::find(&view, group)
            .ok_or_else(|| EvictError::NotFound { queue: queue(), group: name() })?;
        let corrupt = |Corrupt(what)| EvictError::Corrupt { queue: queue(), what };
        let table = Table::of(&view, index).map_err(corrupt)?;
        let table =
            table.ok_or_else(|| EvictError::NotInFlight { queue: queue(), group: name() })?;
        // In a time namespace of unknown offset, a delay may be off by that.
        Ok(act(&view, &table, HostClock::new_or_own()))
    }
}

//! What a worker shares with its jobs: they may outlive it, and are acked from any thread.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::attach::{Attachment, Mapped};
use crate::clock::HostClock;
use crate::dead_letter::policy::DeadLetterPolicy;
use crate::error::{ControlError, RecvError};
use crate::layout::View;
use crate::packed::{NEVER, Tick, due_after, nanoseconds_of, ticks};
use crate::ring::cells::{Evicted, Table, Token};
use crate::ring::receipts::Receipts;
use crate::ring::records::Purpose;
use crate::ring::{figures, groups, in_flight};
use crate::sys::fork;

/// Longest time that a worker which is dropped waits to leave its group. If it fails, the others find it gone by its lease,
/// as after a death.
const LEAVE_WITHIN: Duration = Duration::from_millis(100);

/// A membership in a group with cells. Leaves the group when the worker and all its jobs are gone.
#[derive(Debug)]
pub(crate) struct Flight {
    mapped: Arc<Mapped>,
    view: View,
    group: String,
    table: Table,
    record: u8,
    clock: HostClock,
    /// Whether the clock can be compared with those of other processes.
    comparable: bool,
    /// Of the process that joined.
    generation: u32,
    purpose: Purpose,
    receipts: Receipts,
    /// Deliveries that a message may have; one more makes it a dead letter.
    limit: u32,
    /// Letters are sent one at a time.
    policy: Mutex<DeadLetterPolicy>,
    /// The worker uses it, but not to receive; the last job leaves by it.
    attachment: Mutex<Attachment>,
}

impl Flight {
    pub(super) fn new(
        attachment: Attachment,
        table: Table,
        record: u8,
        purpose: Purpose,
        group: &str,
        clock: Option<HostClock>,
        policy: DeadLetterPolicy,
    ) -> Flight {
        Flight {
            mapped: Arc::clone(&attachment.mapped),
            view: attachment.view,
            group: group.to_owned(),
            table,
            record,
            comparable: clock.is_some(),
            clock: clock.unwrap_or(HostClock::own()),
            generation: fork::generation(),
            purpose,
            receipts: Receipts::new(table.len()),
            limit: policy.limit,
            policy: Mutex::new(policy),
            attachment: Mutex::new(attachment),
        }
    }

    pub(super) fn attachment(&self) -> MutexGuard<'_, Attachment> {
        // A panic under it leaves nothing half-done: the words that matter are in the segment.
        self.attachment.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For sending a letter. A panic of the program's handler leaves nothing half-done, either.
    pub(super) fn policy(&self) -> MutexGuard<'_, DeadLetterPolicy> {
        self.policy.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[inline]
    pub(super) fn limit(&self) -> u32 {
        self.limit
    }

    #[cfg(feature = "async")]
    pub(super) fn mapped(&self) -> &Arc<Mapped> {
        &self.mapped
    }

    pub(super) fn queue(&self) -> &Arc<str> {
        self.mapped.name.shared()
    }

    pub(super) fn group(&self) -> &str {
        &self.group
    }

    #[inline]
    pub(super) fn view(&self) -> &View {
        &self.view
    }

    #[inline]
    pub(super) fn table(&self) -> &Table {
        &self.table
    }

    #[inline]
    pub(super) fn receipts(&self) -> &Receipts {
        &self.receipts
    }

    pub(super) fn record(&self) -> u8 {
        self.record
    }

    #[inline]
    pub(super) fn clock(&self) -> HostClock {
        self.clock
    }

    /// Whether this is a child process made by fork(2), where the segment is not mapped.
    #[inline]
    pub(super) fn forked(&self) -> bool {
        self.generation != fork::generation()
    }

    #[inline]
    pub(super) fn ack(&self, token: Token) -> Result<(), Evicted> {
        self.table.ack(&self.view, token)?;
        figures::count_acked(&self.view, self.record);
        Ok(())
    }

    /// Acks a message of which `send` makes a dead letter, if it can.
    pub(super) fn ack_after<E>(
        &self,
        token: Token,
        send: impl FnOnce() -> Result<(), E>,
    ) -> Result<Result<(), Evicted>, E> {
        let acked = self.table.ack_after(&self.view, token, send)?;
        if acked.is_ok() {
            figures::count_acked(&self.view, self.record);
        }
        Ok(acked)
    }

    /// When a letter is put, for people: 0, not known, if the clock cannot be compared with theirs.
    pub(super) fn time_received(&self) -> Tick {
        if self.comparable { self.clock.now() } else { 0 }
    }

    /// Whether the worker is none that only puts letters, or an operator's.
    pub(super) fn receives(&self) -> bool {
        self.purpose == Purpose::Receive
    }

    pub(super) fn count_redelivery(&self) {
        figures::count_redelivery(&self.view, self.record);
    }

    /// The caller has the policy, so that no two threads count.
    pub(super) fn count_dead_letter(&self) {
        figures::count_dead_letter(&self.view, self.record);
    }

    /// When a time from now on is over, at the earliest.
    pub(super) fn due_after(&self, time: Duration) -> Tick {
        let time = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        due_after(self.clock.now(), ticks(time))
    }

    /// A message that was received without an ack timeout stays without one.
    pub(super) fn extend(&self, token: Token, time: Duration) -> Result<Token, Evicted> {
        let due = if token.due() >= NEVER { token.due() } else { self.due_after(time) };
        self.table.extend(&self.view, token, due, self.clock.now())
    }

    pub(super) fn set_attempts(&self, token: Token, attempts: u8) -> Result<Token, Evicted> {
        self.table.set_attempts(&self.view, token, attempts)
    }

    /// Time until others may take a message; `None`: never.
    pub(super) fn time_left(&self, token: Token) -> Option<Duration> {
        let left = token.due().saturating_sub(self.clock.now());
        (token.due() < NEVER).then(|| Duration::from_nanos(nanoseconds_of(left)))
    }

    pub(super) fn is_mine(&self, token: Token) -> bool {
        self.table.is_mine(&self.view, token)
    }

    pub(super) fn give_back(&self, token: Token, due: Tick, attempts: u8) -> Result<(), Evicted> {
        self.table.give_back(&self.view, token, due, attempts, self.clock.now())
    }

    /// Whether members can go by this process's clock. If not, it would take messages too early, or keep its own too long,
    /// once an operator has set the group's first ack timeout.
    #[inline]
    pub(super) fn check_clock(&self) -> Result<(), RecvError> {
        if self.comparable { Ok(()) } else { self.check_timeout() }
    }

    #[cold]
    fn check_timeout(&self) -> Result<(), RecvError> {
        if self.table.ack_timeout(&self.view).is_none() {
            return Ok(());
        }
        let (queue, group) = (self.queue().clone(), self.group.clone());
        Err(RecvError::Clock { queue, group })
    }

    #[cold]
    pub(super) fn corrupt(&self, what: &'static str) -> RecvError {
        RecvError::Corrupt { queue: self.queue().clone(), what }
    }
}

impl Flight {
    fn leave(&mut self) -> Result<(), ControlError> {
        let attachment = self.attachment.get_mut().unwrap_or_else(PoisonError::into_inner);
        let (view, leases, group) = (&attachment.view, &attachment.leases, self.table.group);
        let _control = attachment.control(LEAVE_WITHIN)?;
        in_flight::renounce(view, self.record);
        let left = groups::leave_group(view, leases, group, (self.record, None), self.purpose);
        Ok(left.map_err(attachment.system("remove the group"))?)
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        // On failure the record stays as after a death: closing the descriptor releases the lease.
        let _ = self.leave();
    }
}

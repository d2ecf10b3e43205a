//! How a dead letter comes back into a place of its group.

use super::Worker;
use super::flight::Core;
use crate::error::{RecvError, SystemError};
use crate::layout::lease_byte;
use crate::ring::cells::Letter;
use crate::ring::park::{Waiter, WaiterKind};
use crate::ring::{groups, records};
use crate::wait::{self, Deadline, FutexPark, MAX_SLEEP_WHILE_HELD, Waited};

impl Worker {
    /// Whether its group goes with its last member, and that is gone: then the group may go at any time, and its messages
    /// with it.
    pub(crate) fn group_is_going(&self) -> Result<bool, SystemError> {
        let Core { attachment, member, .. } = &*self.flight.core();
        let (view, group) = (&attachment.view, member.table.group);
        if !groups::goes_with_last_member(view, group) {
            return Ok(false);
        }
        for record in records::records_of(view, group).filter(|r| *r != member.member.record) {
            let held = attachment.leases.is_held(lease_byte::consumer(record));
            if held.map_err(attachment.system("find out which members of the group live"))? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Puts a letter into a place of the group, for any member to take at once. Waits for a free place until `deadline`;
    /// returns whether there was one.
    pub(crate) fn put_by(
        &mut self,
        letter: Letter<'_>,
        deadline: Deadline,
    ) -> Result<bool, RecvError> {
        if self.flight.forked() {
            return Err(RecvError::Forked { queue: self.queue() });
        }
        let (view, group) = (*self.flight.view(), self.flight.table().group);
        // Not at the word for messages: a message wakes one of its sleepers, which then has to take it.
        let waiter = Waiter::new(&view, WaiterKind::Cell { group });
        let park = FutexPark::new([waiter], || MAX_SLEEP_WHILE_HELD);
        let mut wait_state = self.wait_state.clone();
        let put = wait::until(deadline, &mut wait_state, park, |_| {
            let now = self.flight.clock().now();
            let Core { member, .. } = &mut *self.flight.core();
            Ok::<_, RecvError>(member.put(&view, letter, now).then_some(()))
        })?;
        match put {
            Waited::Found(()) => Ok(true),
            Waited::TimedOut => Ok(false),
            Waited::Interrupted => Err(RecvError::Interrupted { queue: self.queue() }),
        }
    }
}

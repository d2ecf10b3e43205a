//! How a dead letter comes back into a place of its group.

use super::Worker;
use super::flight::Core;
use crate::error::RecvError;
use crate::ring::cells::Letter;
use crate::ring::park::{Waiter, WaiterKind};
use crate::wait::{self, Deadline, FutexPark, MAX_SLEEP_WHILE_HELD, Waited};

impl Worker {
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

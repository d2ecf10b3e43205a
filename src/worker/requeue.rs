//! How a dead letter comes back into a place of its group.

use std::io;
use std::time::Duration;

use super::Worker;
use crate::attach::Attachment;
use crate::error::{ControlError, RecvError, RequeueReason};
use crate::ring::cells::{Letter, Reserved};
use crate::ring::groups;
use crate::ring::park::{Waiter, WaiterKind};
use crate::wait::{self, Check, Deadline, FutexPark, MAX_SLEEP_WHILE_HELD, Waited};

impl Worker {
    /// Puts a letter into a place of the group, for any member to take at once. Waits at most `timeout` for a free place, and
    /// as long for the control lease.
    pub(crate) fn put_letter(
        &mut self,
        letter: Letter<'_>,
        timeout: Duration,
    ) -> Result<(), RequeueReason> {
        let Some(reserved) = self.reserve_by(Deadline::after(timeout))? else {
            // Nobody would free a place of a group that goes.
            self.check_not_abandoned(timeout)?;
            let (queue, group) = (self.queue(), self.group_name().to_owned());
            return Err(RequeueReason::Full { queue, group, cells: self.in_flight_max() });
        };
        let attachment = self.flight.attachment();
        let (view, member, now) = (self.flight.view(), &self.member, self.flight.time_received());
        if !groups::is_released(view, self.flight.table().group) {
            member.put(view, reserved, letter, now);
            return Ok(());
        }
        let kept = match attachment.control(timeout) {
            Ok(_guard) => member.put_if_kept(view, &attachment.leases, reserved, letter, now),
            Err(fault) => {
                member.unreserve(view, reserved);
                return Err(fault.into());
            }
        };
        self.kept(&attachment, kept)
    }

    /// Checks that the group does not go at any time, and its messages with it: it is removed with its last member, and that is
    /// gone.
    pub(crate) fn check_not_abandoned(&self, timeout: Duration) -> Result<(), RequeueReason> {
        let attachment = self.flight.attachment();
        let (view, group) = (self.flight.view(), self.flight.table().group);
        if !groups::is_released(view, group) {
            return Ok(());
        }
        let _guard = attachment.control(timeout)?;
        let own = self.flight.record();
        let abandoned = groups::is_abandoned(view, &attachment.leases, group, own);
        self.kept(&attachment, abandoned.map(|abandoned| !abandoned))
    }

    fn kept(&self, attachment: &Attachment, kept: io::Result<bool>) -> Result<(), RequeueReason> {
        let system = attachment.system("find out which members of the group live");
        match kept.map_err(system).map_err(ControlError::System)? {
            true => Ok(()),
            false => {
                let (queue, group) = (self.queue(), self.group_name().to_owned());
                Err(RequeueReason::GroupAbandoned { queue, group })
            }
        }
    }

    /// Reserves a place for a letter; `None`: none was free until `deadline`.
    fn reserve_by(&mut self, deadline: Deadline) -> Result<Option<Reserved>, RecvError> {
        if self.flight.forked() {
            return Err(RecvError::Forked { queue: self.queue() });
        }
        let (view, group) = (*self.flight.view(), self.flight.table().group);
        // Not at the word for messages: a message wakes one of its sleepers, which then has to take it.
        let waiter = Waiter::new(&view, WaiterKind::Cell { group });
        let park = FutexPark::new([waiter], || MAX_SLEEP_WHILE_HELD);
        let mut wait_state = self.wait_state.clone();
        let reserved = wait::until(deadline, &mut wait_state, park, |check| {
            let reserved = self.member.reserve_one(&view);
            if reserved.is_some() || check == Check::Fast {
                return Ok::<_, RecvError>(reserved);
            }
            // A dead one may have reserved it, and there may be no other member to look after that.
            self.settle(self.flight.clock().now())?;
            Ok(self.member.reserve_one(&view))
        })?;
        match reserved {
            Waited::Found(reserved) => Ok(Some(reserved)),
            Waited::TimedOut => Ok(None),
            Waited::Interrupted => Err(RecvError::Interrupted { queue: self.queue() }),
        }
    }
}

//! How a queue makes workers. In a file of its own for the same reason as for consumers.

use super::Queue;
use crate::dead_letter::queue_sink::QueueSink;
use crate::error::JoinError;
use crate::group::Group;
use crate::message::Content;
use crate::worker::{Purpose, Worker};

impl<M: Content + ?Sized> Queue<M> {
    /// Joins a shared group with places for [messages in flight](Group::in_flight); makes it if it does not exist and `group`
    /// asks for some. Waits for other control operations, at most the control timeout.
    ///
    /// # Errors
    /// [`JoinError::InFlight`] if the group has no such places; [`JoinError::Clock`] if it has an ack timeout and this
    /// process is in a time namespace whose offset is not known; else as for [`Queue::consumer`].
    pub fn worker(&self, group: impl Into<Group>) -> Result<Worker<M>, JoinError> {
        let group = group.into();
        let purpose = group.purpose();
        self.worker_for(group, purpose)
    }

    pub(crate) fn worker_for(
        &self,
        group: Group,
        purpose: Purpose,
    ) -> Result<Worker<M>, JoinError> {
        let sink = Box::new(QueueSink::new(&self.mapped, &self.trust));
        Worker::join(&self.mapped, &group, self.timeout, sink, self.interrupt.clone(), purpose)
    }
}

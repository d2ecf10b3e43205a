//! How a queue makes consumers. In a file of its own, above the rest of the queue, because a consumer opens the queue
//! of its dead letters.

use super::Queue;
use crate::consumer::Consumer;
use crate::dead_letter::queue_sink::QueueSink;
use crate::error::JoinError;
use crate::group::Group;
use crate::message::Content;

impl<M: Content + ?Sized> Queue<M> {
    /// Joins a group; makes it if it does not exist. Waits for other control operations, at most the control timeout.
    ///
    /// A group that this makes starts where `group` says, and stays without consumers; if `group` is only a name, it
    /// starts at the oldest message and holds the queue. So a mistyped name makes a group that fills the queue.
    /// [`Group::existing`] joins only a group that exists; [`Consumer::made_group`] tells whether this made one.
    ///
    /// # Errors
    /// [`JoinError::Taken`] names the process that receives for the group; [`JoinError::TooManyConsumers`] and
    /// [`GroupError::TooMany`](crate::GroupError::TooMany) if a table is full.
    pub fn consumer(&self, group: impl Into<Group>) -> Result<Consumer<M>, JoinError> {
        let sink = QueueSink::new(&self.mapped, &self.trust);
        let (group, sink) = (group.into(), Box::new(sink));
        let interrupt = self.interrupt.clone();
        Consumer::join(&self.mapped, &group, self.timeout, &self.trust, sink, interrupt)
    }
}

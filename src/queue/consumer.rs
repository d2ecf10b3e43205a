//! How a queue gives out consumers. In a file of its own, above the rest of the queue: a consumer opens the queue of its
//! dead letters.

use super::Queue;
use crate::consumer::Consumer;
use crate::dead_letter::queue_sink::QueueSink;
use crate::error::JoinError;
use crate::group::Group;
use crate::message::Content;

impl<M: Content + ?Sized> Queue<M> {
    /// Joins a group, which is made if it does not exist. Waits for other control operations, at most
    /// the control timeout.
    ///
    /// A group that is made so starts where `group` says, and stays when nobody reads for it any more: at the oldest message,
    /// and holding the queue, if `group` is no more than a name. So a wrong name makes a group that fills the queue.
    /// [`Group::existing`] joins only a group that exists; [`Consumer::made_group`] tells whether there was none.
    ///
    /// # Errors
    /// [`JoinError::Taken`] names the process that reads for the group;
    /// [`JoinError::TooManyConsumers`] and [`GroupError::TooMany`](crate::GroupError::TooMany) if a table is full.
    pub fn consumer(&self, group: impl Into<Group>) -> Result<Consumer<M>, JoinError> {
        let sink = QueueSink::new(&self.mapped, &self.trust);
        let (group, sink) = (group.into(), Box::new(sink));
        let interrupt = self.interrupt.clone();
        Consumer::join(&self.mapped, &group, self.timeout, &self.trust, sink, interrupt)
    }
}

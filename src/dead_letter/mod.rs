//! Dead letters: messages that a group has given up.
//!
//! - [`letter`]: what a dead letter is, and how one is written as a message.
//! - [`policy`]: when a consumer makes one, and where it goes.
//! - [`queue_sink`]: how one gets into the dead-letter queue.
//! - [`letters`]: looking at the letters of a queue, purging and requeuing them.
//! - [`requeue`]: the ways of a letter back to its group.
//! - [`retries`]: how a group receives what was requeued.
//!
//! The files are on different floors of the library: the format is below groups, and whatever opens queues is above
//! queues.

pub(crate) mod letter;
pub(crate) mod letters;
pub(crate) mod policy;
pub(crate) mod queue_sink;
mod requeue;
pub(crate) mod retries;

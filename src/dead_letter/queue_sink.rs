//! Sending dead letters to their queue.

use std::sync::Arc;
use std::time::Duration;

use super::letter::{DeadLetter, DeadLetterSink};
use crate::attach::Mapped;
use crate::error::{AddGroupError, ControlError, DeadLetterSendError, ProducerError, SendError};
use crate::group::{self, Group};
use crate::layout::{Geometry, PAYLOAD_MAX};
use crate::producer::Producer;
use crate::queue::Queue;
use crate::ring::groups;
use crate::ring::publish::published_end;
use crate::segment::Trust;

/// The group of a dead-letter queue. It makes the queue fill up; without a group, old letters would be overwritten.
pub(crate) const DEAD_GROUP: &str = "dead";
/// Schema name of queues that are made for letters.
pub(crate) const SCHEMA: &str = "dead letters";
/// Most letters that a queue made for them holds; fewer if the queue that they come from has a lower capacity.
const CAPACITY_MAX: u64 = 1024;
/// Longest wait for the producer's role of a dead-letter queue, which several processes take in turn.
const ROLE_WITHIN: Duration = Duration::from_secs(1);

/// Takes the producer's role of the dead-letter queue for each letter.
#[derive(Debug)]
pub(crate) struct QueueSink {
    from: Arc<Mapped>,
    trust: Trust,
    /// The queue of the last letter, still open.
    queue: Option<Queue>,
    buffer: Vec<u8>,
}

impl QueueSink {
    pub(crate) fn new(from: &Arc<Mapped>, trust: &Trust) -> QueueSink {
        let (from, trust) = (Arc::clone(from), trust.clone());
        QueueSink { from, trust, queue: None, buffer: Vec::new() }
    }

    fn open(&self, target: &str) -> Result<Queue, DeadLetterSendError> {
        letter_queue(target, &self.from, &self.trust, &Group::named(DEAD_GROUP))
    }

    fn send(&self, queue: &Queue, kind: u32) -> Result<(), DeadLetterSendError> {
        let mut producer = take_role(queue)?;
        // The group may have been removed since.
        if group::find(queue.mapped.view(), DEAD_GROUP).is_none() {
            ensure(queue, &Group::named(DEAD_GROUP))?;
        }
        producer.try_send((kind, &self.buffer[..]))?;
        // If the queue was removed, the message must not be acked: nobody would find its letter.
        Ok(producer.check_removed()?)
    }
}

impl DeadLetterSink for QueueSink {
    fn send_letter(
        &mut self,
        target: &str,
        letter: &DeadLetter<'_>,
    ) -> Result<(), DeadLetterSendError> {
        letter.write(&mut self.buffer);
        if let Some(queue) = self.queue.take() {
            match self.send(&queue, letter.kind) {
                // The queue was removed since the last letter: open the new one of its name, or make one.
                Err(
                    DeadLetterSendError::Producer(ProducerError::Control(ControlError::Removed {
                        ..
                    }))
                    | DeadLetterSendError::Group(AddGroupError::Control(ControlError::Removed {
                        ..
                    }))
                    | DeadLetterSendError::Send(SendError::Removed { .. }),
                ) => {}
                sent => {
                    self.queue = sent.is_ok().then_some(queue);
                    return sent;
                }
            }
        }
        let queue = self.open(target)?;
        self.send(&queue, letter.kind)?;
        self.queue = Some(queue);
        Ok(())
    }
}

/// Opens the queue `name`, or makes it for letters from `from`, with the same permissions. It has the group then.
pub(crate) fn letter_queue(
    name: &str,
    from: &Mapped,
    trust: &Trust,
    group: &Group,
) -> Result<Queue, DeadLetterSendError> {
    let Geometry { capacity, payload_size, max_consumers, .. } = *from.view().geo();
    let wanted = Queue::builder(name)
        .capacity(capacity.min(CAPACITY_MAX))
        .payload_size((payload_size + DeadLetter::ENVELOPE).min(PAYLOAD_MAX))
        .group(group)
        .schema_name(SCHEMA)
        .max_consumers(max_consumers)
        .wake_mode(from.view().wake())
        .permissions(from.permissions)
        .trust(trust)
        .control_timeout(ROLE_WITHIN);
    let queue = wanted.open_or_create()?;
    match other_use(&queue, &group.name) {
        None => {
            ensure(&queue, group)?;
            Ok(queue)
        }
        Some(carries) => {
            let (queue, group) = (queue.mapped.name.shared().clone(), group.name.clone());
            Err(DeadLetterSendError::NotForLetters { queue, carries, group })
        }
    }
}

/// What a queue is used for, if not for letters. Three kinds count as for letters: a queue that was made for them, one
/// that was given their group beforehand, and one that nobody has used yet.
fn other_use(queue: &Queue, group: &str) -> Option<String> {
    let (config, view) = (&queue.mapped.config, queue.mapped.view());
    let name = config.schema_name();
    if config.schema_hash != 0 {
        return Some(format!("messages of type {name:?}"));
    }
    if name == SCHEMA || group::find(view, group).is_some() {
        return None;
    }
    if !name.is_empty() {
        return Some(format!("{name:?}"));
    }
    let new = groups::in_use(view).next().is_none()
        && published_end(view).is_ok_and(|end| end == view.geo().base);
    (!new).then(|| "other messages".to_owned())
}

/// Makes the group if there is none of its name. Without a group, the queue would overwrite old letters.
fn ensure(queue: &Queue, group: &Group) -> Result<(), DeadLetterSendError> {
    match queue.add_group(group) {
        Ok(()) | Err(AddGroupError::Exists { .. }) => Ok(()),
        Err(fault) => Err(fault.into()),
    }
}

/// Takes the producer's role of a queue that several processes send to in turn.
pub(crate) fn take_role(queue: &Queue) -> Result<Producer, ProducerError> {
    queue.producer_timeout(ROLE_WITHIN)
}

//! The ways of a dead letter back to the group that gave it up.

use std::sync::Arc;
use std::time::Duration;

use super::letter::{DeadLetter, retry_queue};
use super::queue_sink::{letter_queue, take_role};
use crate::attach::Attachment;
use crate::error::{ControlError, DeadLetterSendError, JoinError, RequeueReason};
use crate::group::{self, Group};
use crate::layout::Geometry;
use crate::queue::{OpenOptions, Queue};
use crate::ring::cells;
use crate::ring::notify;
use crate::wait::Interrupt;
use crate::worker::{Purpose, Worker};

/// The way from a dead-letter queue back to one group.
#[derive(Debug)]
pub(super) struct RequeueRoute {
    queue: String,
    group: String,
    way: Way,
}

#[derive(Debug)]
enum Way {
    /// Into the places of the group's messages in flight.
    Places(Places),
    /// Into a queue of its own, which the group's consumers read, too.
    Retries(RetryQueue),
}

impl RequeueRoute {
    pub(super) fn is_for(&self, letter: &DeadLetter<'_>) -> bool {
        self.queue == letter.queue && self.group == letter.group
    }

    pub(super) fn open(
        letter: &DeadLetter<'_>,
        options: &OpenOptions,
        interrupt: Interrupt,
    ) -> Result<RequeueRoute, RequeueReason> {
        let (queue, group) = (letter.queue.to_owned(), letter.group.to_owned());
        let mut main: Queue = options.open(&queue)?;
        main.interrupt = interrupt;
        let way = loop {
            if let Some(places) = Places::open(&main, &group, options.timeout)? {
                break Way::Places(places);
            }
            // None if another process has made the group anew meanwhile, with places.
            if let Some(retries) = RetryQueue::open(&main, &group, options)? {
                break Way::Retries(retries);
            }
        };
        Ok(RequeueRoute { queue, group, way })
    }

    /// Sends a letter, which is `message` of the dead-letter queue. The caller then acks it: dying in between, it has sent it
    /// twice.
    pub(super) fn send(
        &mut self,
        letter: &DeadLetter<'_>,
        message: &[u8],
    ) -> Result<(), RequeueReason> {
        match &mut self.way {
            Way::Places(places) => places.send(letter),
            Way::Retries(retries) => retries.send(letter.kind, message),
        }
    }
}

/// A member of a group that receives nothing, and puts letters into places of the group.
#[derive(Debug)]
struct Places {
    worker: Worker,
    timeout: Duration,
    /// Payload size of the queue, and whether its messages all have that size.
    size: usize,
    typed: bool,
}

impl Places {
    /// `None` if the group has no places for messages in flight.
    fn open(main: &Queue, group: &str, timeout: Duration) -> Result<Option<Places>, RequeueReason> {
        let worker = match main.worker_for(Group::named(group).existing(), Purpose::PutLetters) {
            Ok(worker) => worker,
            // The other way reports these faults in its own words.
            Err(
                JoinError::InFlight { .. }
                | JoinError::WrongMode { .. }
                | JoinError::UnknownMode { .. }
                | JoinError::NoSuchGroup { .. },
            ) => return Ok(None),
            Err(fault) => return Err(fault.into()),
        };
        let Geometry { payload_size: size, .. } = *main.mapped.view().geo();
        let typed = main.mapped.config.schema_hash != 0;
        let places = Places { worker, timeout, size, typed };
        places.worker.check_not_abandoned(timeout)?;
        Ok(Some(places))
    }

    fn send(&mut self, letter: &DeadLetter<'_>) -> Result<(), RequeueReason> {
        let (queue, len, size) = (self.worker.queue(), letter.payload.len(), self.size);
        if len > size || self.typed && len != size {
            let sequence = letter.sequence;
            return Err(RequeueReason::WrongLength { queue, sequence, len, size });
        }
        let DeadLetter { sequence: seq, kind, payload, .. } = *letter;
        let letter = cells::Letter { seq, kind, payload };
        self.worker.put_letter(letter, self.timeout)?;
        // A new queue of that name would not know of the letter.
        Ok(self.worker.check_removed()?)
    }
}

/// The queue of retries of a group without places for messages in flight.
#[derive(Debug)]
struct RetryQueue {
    /// Where the group's members sleep: at their queue, not at that of the retries.
    main: Attachment,
    retries: Queue,
}

impl RetryQueue {
    /// `None` if the group has such places.
    fn open(
        main: &Queue,
        group: &str,
        options: &OpenOptions,
    ) -> Result<Option<RetryQueue>, RequeueReason> {
        let attachment = Attachment::new(&main.mapped)?;
        let Some(like) = group::like(&attachment, group, options.timeout)? else {
            return Ok(None);
        };
        let name: Arc<str> = retry_queue(main.name(), group).into();
        let retries = letter_queue(&name, &main.mapped, &options.trust, &like);
        let retries = retries.map_err(|fault| RetryQueue::send_failed(&name, fault))?;
        // A queue that was made for another queue of that name: a typed consumer cannot read it.
        let (size, need) = (retries.payload_size(), main.payload_size());
        if size < need {
            return Err(RequeueReason::TooSmall { queue: name, size, need });
        }
        group::announce_retries(&attachment, group, options.timeout)?;
        Ok(Some(RetryQueue { main: attachment, retries }))
    }

    fn send_failed(queue: &Arc<str>, fault: DeadLetterSendError) -> RequeueReason {
        RequeueReason::Send { queue: queue.clone(), reason: Box::new(fault) }
    }

    fn send(&self, kind: u32, letter: &[u8]) -> Result<(), RequeueReason> {
        let send = || -> Result<(), DeadLetterSendError> {
            let mut producer = take_role(&self.retries)?;
            producer.try_send((kind, letter))?;
            Ok(producer.check_removed()?)
        };
        let retries = self.retries.mapped.name.shared();
        send().map_err(|fault| RetryQueue::send_failed(retries, fault))?;
        // A new queue of that name would not know of the retries.
        let queue = self.main.queue();
        let system = self.main.system("check the queue's file");
        let removed = self.main.leases.removed().map_err(system).map_err(ControlError::System)?;
        if removed {
            return Err(ControlError::Removed { queue: queue.clone() }.into());
        }
        notify::all_groups(&self.main.view);
        Ok(())
    }
}

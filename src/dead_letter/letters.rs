//! The dead letters of a queue: observing, purging and requeuing them.

use std::sync::Arc;

use super::letter::{DeadLetter, default_target};
use super::queue_sink::{DEAD_GROUP, SCHEMA};
use super::requeue::RequeueRoute;
use crate::attach::Mapped;
use crate::consumer::Consumer;
use crate::error::{
    JoinError, OpenError, PurgeError, PurgeReason, RecvError, RequeueError, RequeueReason,
};
use crate::group::{Group, Start};
use crate::message::Content;
use crate::observer::Observer;
use crate::queue::{OpenOptions, Queue};
use crate::segment::LeaseFile;
use crate::snapshot::{GroupInfo, Snapshot};
use crate::wait::Interrupt;

/// The dead letters in one dead-letter queue; [`Queue::dead_letters`] gives those of a queue.
///
/// Observing them ([`DeadLetters::observe`]) changes nothing. Purging and requeuing take them from the oldest on, as
/// the one consumer of the dead-letter queue's group `dead`.
///
/// ```
/// # let name = format!("doc-letters-{}", std::process::id());
/// # let queue = slipring::Queue::builder(&name).capacity(8).group("work").create()?;
/// # queue.producer()?.send("garbled")?;
/// queue.consumer("work")?.recv()?.reject()?;
///
/// let letters = queue.dead_letters()?;
/// let (mut observer, end) = letters.observe()?;
/// while observer.position() < end {
///     let message = observer.try_recv()?;
///     if let Some(letter) = message.dead_letter() {
///         println!("message {} of group {}: {}", letter.sequence, letter.group, letter.reason);
///         assert_eq!(letter.payload, b"garbled");
///     }
/// }
/// // The fault is mended: give them to the group again. Or `purge` deletes them.
/// letters.requeue(u64::MAX)?;
/// queue.consumer("work")?.recv()?.ack()?;
/// # slipring::remove(&name)?;
/// # slipring::remove(&format!("{name}.dead"))?;
/// # slipring::remove(&format!("{name}.work.retry"))?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct DeadLetters {
    queue: Queue,
    options: OpenOptions,
}

impl DeadLetters {
    /// Opens the dead-letter queue `<queue>.dead`.
    ///
    /// # Errors
    /// [`OpenError::NotFound`] if `queue` never had a dead letter.
    pub fn of(queue: &str, options: &OpenOptions) -> Result<DeadLetters, OpenError> {
        DeadLetters::open(&default_target(queue), options)
    }

    /// Opens the dead-letter queue called `name`.
    ///
    /// # Errors
    /// As for [`OpenOptions::open`].
    pub fn open(name: &str, options: &OpenOptions) -> Result<DeadLetters, OpenError> {
        Ok(DeadLetters { queue: options.open(name)?, options: options.clone() })
    }

    /// Observes the letters in the queue called `name`, like [`DeadLetters::observe`], from a read-only mapping: read
    /// permission is enough, and root may observe every user's queue.
    ///
    /// # Errors
    /// As for [`OpenOptions::observe`].
    pub fn observe_queue(name: &str, options: &OpenOptions) -> Result<(Observer, u64), OpenError> {
        observe_letters(options.map_read_only(name)?, Interrupt::default())
    }

    /// The dead-letter queue.
    pub fn queue(&self) -> &Queue {
        &self.queue
    }

    /// Observes all letters that wait, from the oldest on. Returns the observer, and the sequence in the dead-letter
    /// queue at which the letters of this moment end. [`Observation::dead_letter`](crate::Observation::dead_letter)
    /// reads each.
    ///
    /// # Errors
    /// As for [`Queue::observer`].
    pub fn observe(&self) -> Result<(Observer, u64), OpenError> {
        observe_letters(self.queue.map_read_only()?, self.queue.interrupt.clone())
    }

    /// Deletes the oldest `count` letters; returns how many there were.
    ///
    /// # Errors
    /// [`JoinError::NoSuchGroup`] if the queue was not made for letters and has no group `dead`, so that it has none;
    /// [`JoinError::Taken`] if another process purges or requeues them; [`RecvError::Removed`] if the dead-letter queue
    /// is removed at the same time. The error says how many letters were deleted before it.
    pub fn purge(&self, count: u64) -> Result<u64, PurgeError> {
        let mut done = 0;
        match self.purge_counting(count, &mut done) {
            Ok(()) => Ok(done),
            Err(reason) => Err(PurgeError { done, reason }),
        }
    }

    fn purge_counting(&self, count: u64, done: &mut u64) -> Result<(), PurgeReason> {
        let mut consumer = self.consumer()?;
        while *done < count {
            let max = (count - *done).min(256) as usize;
            let Some(batch) = until_closed(consumer.try_recv_batch(max))? else { break };
            let letters = batch.len() as u64;
            batch.ack().map_err(RecvError::from)?;
            *done += letters;
        }
        // There may be a new queue of that name, with other letters in it.
        Ok(consumer.check_removed()?)
    }

    /// Sends the oldest `count` letters again, each to the group that gave it up and to no other, while producers and
    /// consumers go on; returns how many. It stops at a message that is not a dead letter, which the error names.
    ///
    /// Letters of a group with places for [messages in flight](Group::in_flight) go into these places: this takes one of the
    /// queue's consumer records meanwhile, and waits at most the control timeout of the options for each free place. Those of
    /// another group go into the queue `<queue>.<group>.retry`, which that group's consumers read in addition to their own.
    ///
    /// From then on a letter is a message of its group. One that is removed with its last consumer
    /// ([`Retention::Release`](crate::Retention::Release)) gets a letter only while a consumer of it lives, or before its first one
    /// comes; when the last one goes, the letters in its places go with it, as all its messages do.
    ///
    /// # Errors
    /// As for [`DeadLetters::purge`]; [`RequeueReason::Full`] if no place is free in that time;
    /// [`RequeueReason::GroupAbandoned`] if the group is removed with its last consumer, and that is gone. The letter at which
    /// it stopped stays the oldest. If this process dies, or a queue is removed at the same time, the last letter may be sent
    /// twice.
    pub fn requeue(&self, count: u64) -> Result<u64, RequeueError> {
        let mut done = 0;
        match self.requeue_counting(count, &mut done) {
            Ok(()) => Ok(done),
            Err(reason) => Err(RequeueError { done, reason }),
        }
    }

    fn requeue_counting(&self, count: u64, done: &mut u64) -> Result<(), RequeueReason> {
        let mut consumer = self.consumer()?;
        let mut route: Option<RequeueRoute> = None;
        while *done < count {
            let Some(message) = until_closed(consumer.try_recv())? else { break };
            let Some(letter) = DeadLetter::parse(message.kind(), &message) else {
                let (queue, sequence) = (self.queue.mapped.name.shared(), message.sequence());
                return Err(RequeueReason::NotALetter { queue: queue.clone(), sequence });
            };
            let route = match &mut route {
                Some(route) if route.is_for(&letter) => route,
                _ => {
                    let interrupt = self.queue.interrupt.clone();
                    &mut *route.insert(RequeueRoute::open(&letter, &self.options, interrupt)?)
                }
            };
            route.send(&letter, &message)?;
            message.ack().map_err(RecvError::from)?;
            *done += 1;
        }
        Ok(consumer.check_removed()?)
    }

    fn consumer(&self) -> Result<Consumer, JoinError> {
        let group = Group::named(DEAD_GROUP).unlimited_attempts();
        // In a queue of other messages, the group would keep all that come from then on.
        let for_letters = self.queue.mapped.config.schema_name() == SCHEMA;
        self.queue.consumer(if for_letters { group } else { group.existing() })
    }
}

impl<M: Content + ?Sized> Queue<M> {
    /// The dead letters of this queue, in the queue `<queue>.dead`, opened with the options and the interrupt function
    /// of this queue. Letters of a group that names another queue ([`Group::dead_letters_to`]) are there; open that by
    /// [`DeadLetters::open`].
    ///
    /// # Errors
    /// [`OpenError::NotFound`] if this queue never had a dead letter; else as for [`OpenOptions::open`].
    pub fn dead_letters(&self) -> Result<DeadLetters, OpenError> {
        let (trust, timeout) = (self.trust.clone(), self.timeout);
        let options = OpenOptions { trust, timeout, ..OpenOptions::default() };
        let mut letters = DeadLetters::of(self.name(), &options)?;
        letters.queue.interrupt = self.interrupt.clone();
        Ok(letters)
    }
}

impl Snapshot {
    /// Whether dead letters go into the queue: it was made for them, or it was given the group that they have there
    /// beforehand: `dead`, or, in a queue of retries `<queue>.<group>.retry`, that group. A queue of typed messages never is.
    pub fn is_for_letters(&self) -> bool {
        let retried = |group: &str| self.name.ends_with(&format!(".{group}.retry"));
        let has = |info: &GroupInfo| info.name == DEAD_GROUP || retried(&info.name);
        self.schema_hash == 0 && (self.schema_name == SCHEMA || self.groups.iter().any(has))
    }
}

/// An observer of the letters in a queue that is mapped for it, and the sequence at which the letters of this moment
/// end.
fn observe_letters(
    (mapped, file): (Mapped, LeaseFile),
    interrupt: Interrupt,
) -> Result<(Observer, u64), OpenError> {
    let snapshot = Snapshot::take(&mapped, &file)?;
    let observer = Observer::new(Arc::new(mapped), file, first_letter(&snapshot), interrupt)?;
    Ok((observer, snapshot.tail))
}

/// Position of the first letter that waits.
fn first_letter(snapshot: &Snapshot) -> Start {
    let group = snapshot.groups.iter().find(|group| group.name == DEAD_GROUP);
    group.map_or(Start::Oldest, |group| Start::Sequence(group.head))
}

/// Converts the end of the letters that are there now to `None`. A closed dead-letter queue may get more at any time.
fn until_closed<T>(received: Result<T, RecvError>) -> Result<Option<T>, RecvError> {
    match received {
        Err(RecvError::Empty | RecvError::Closed { .. }) => Ok(None),
        received => received.map(Some),
    }
}

//! What becomes of dead letters: looked at, thrown away, or sent again.

use std::sync::Arc;

use super::undertaker::{DEAD_GROUP, letter_queue, turn};
use super::{OpenOptions, Queue};
use crate::attach::Attachment;
use crate::consumer::Consumer;
use crate::error::{
    BuryError, ControlError, JoinError, LettersError, OpenError, RecvError, RequeueError,
};
use crate::group::{self, Group, Start};
use crate::letter::{DeadLetter, default_target, retry_queue};
use crate::observer::Observer;
use crate::ring::wake;
use crate::snapshot::Snapshot;
use crate::strategy::Interrupt;

/// The dead letters of a queue.
///
/// Looking at them ([`DeadLetters::observe`]) leaves no trace. Throwing them away and sending them again
/// takes them from the oldest on, as the one consumer of the queue's group `dead`.
#[derive(Debug)]
pub struct DeadLetters {
    queue: Queue,
    options: OpenOptions,
}

impl DeadLetters {
    /// Opens the queue `<queue>.dead`.
    ///
    /// # Errors
    /// [`OpenError::NotFound`] if there never was a letter.
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

    /// Looks at the letters in the queue called `name`, like [`DeadLetters::observe`], by reading alone:
    /// read permission is enough, and root may look at everybody's.
    ///
    /// # Errors
    /// As for [`OpenOptions::observe`].
    pub fn look(name: &str, options: &OpenOptions) -> Result<(Observer, u64), OpenError> {
        let (mapped, file) = options.open_to_look(name)?;
        let look = Snapshot::take(&mapped, &file)?;
        let observer =
            Observer::new(Arc::new(mapped), file, first_letter(&look), Interrupt::default())?;
        Ok((observer, look.tail))
    }

    /// The queue they are in.
    pub fn queue(&self) -> &Queue {
        &self.queue
    }

    /// Looks at all letters that wait, from the oldest on. Returns the observer, and the sequence in the
    /// dead-letter queue at which those end that are there now. [`DeadLetter::parse`] reads them.
    ///
    /// # Errors
    /// As for [`Queue::observer`] and [`Queue::snapshot`].
    pub fn observe(&self) -> Result<(Observer, u64), RequeueError> {
        let look = self.queue.snapshot().map_err(|source| self.join_failed(source))?;
        let observer = self.queue.observer(first_letter(&look));
        let observer = observer.map_err(|source| RequeueError::Open {
            queue: self.queue.mapped.name.shared().clone(),
            source,
        })?;
        Ok((observer, look.tail))
    }

    /// Throws the oldest `count` letters away; returns how many there were.
    ///
    /// # Errors
    /// [`JoinError::ConsumerTaken`] if somebody else works on them; [`RecvError::Removed`] if the dead-letter queue
    /// was removed meanwhile. The error says how many went before it.
    pub fn purge(&self, count: u64) -> Result<u64, LettersError> {
        let mut done = 0;
        match self.purge_counting(count, &mut done) {
            Ok(()) => Ok(done),
            Err(source) => Err(LettersError { done, source }),
        }
    }

    fn purge_counting(&self, count: u64, done: &mut u64) -> Result<(), RequeueError> {
        let mut consumer = self.consumer()?;
        while *done < count {
            let max = (count - *done).min(256) as usize;
            let Some(batch) = some(consumer.try_recv_batch(max))? else { break };
            let letters = batch.len() as u64;
            batch.ack().map_err(RecvError::from)?;
            *done += letters;
        }
        // There may be a new queue of that name, and other letters in it.
        Ok(consumer.check_removed()?)
    }

    /// Sends the oldest `count` letters again, each to the group that gave it up and to nobody else, while
    /// producers and consumers go on; returns how many. They go into the queue `<queue>.<group>.retry`,
    /// which that group's consumers read beside their own. A message that is no letter is in the way: the
    /// error names it.
    ///
    /// # Errors
    /// As for [`DeadLetters::purge`]. The letter at which it stopped stays the oldest. If this process
    /// dies, or a queue is removed meanwhile, the last one may come twice.
    pub fn requeue(&self, count: u64) -> Result<u64, LettersError> {
        let mut done = 0;
        match self.requeue_counting(count, &mut done) {
            Ok(()) => Ok(done),
            Err(source) => Err(LettersError { done, source }),
        }
    }

    fn requeue_counting(&self, count: u64, done: &mut u64) -> Result<(), RequeueError> {
        let mut consumer = self.consumer()?;
        let mut way: Option<Way> = None;
        while *done < count {
            let Some(message) = some(consumer.try_recv())? else { break };
            let Some(letter) = DeadLetter::parse(message.kind(), &message) else {
                let (queue, sequence) = (self.queue.mapped.name.shared(), message.sequence());
                return Err(RequeueError::NotALetter { queue: queue.clone(), sequence });
            };
            let way = match &way {
                Some(way) if way.is_for(&letter) => way,
                _ => &*way.insert(Way::open(&letter, &self.options)?),
            };
            way.send(letter.kind, &message)?;
            message.ack().map_err(RecvError::from)?;
            *done += 1;
        }
        Ok(consumer.check_removed()?)
    }

    fn consumer(&self) -> Result<Consumer, RequeueError> {
        let group = Group::named(DEAD_GROUP).max_attempts(0);
        self.queue.consumer(group).map_err(|source| self.join_failed(source))
    }

    fn join_failed(&self, source: JoinError) -> RequeueError {
        RequeueError::Join { queue: self.queue.mapped.name.shared().clone(), source }
    }
}

/// Where the letters begin that nobody has taken yet.
fn first_letter(look: &Snapshot) -> Start {
    let group = look.groups.iter().find(|group| group.name == DEAD_GROUP);
    group.map_or(Start::Oldest, |group| Start::Sequence(group.head))
}

/// What was received. Of letters there may be more at any time, though somebody has closed their queue.
fn some<T>(received: Result<T, RecvError>) -> Result<Option<T>, RecvError> {
    match received {
        Err(RecvError::Empty | RecvError::Closed { .. }) => Ok(None),
        received => received.map(Some),
    }
}

/// From a dead-letter queue back to one group.
#[derive(Debug)]
struct Way {
    queue: String,
    group: String,
    /// The group's members sleep here, though its retries are in another queue.
    main: Attachment,
    retries: Queue,
}

impl Way {
    fn is_for(&self, letter: &DeadLetter<'_>) -> bool {
        self.queue == letter.queue && self.group == letter.group
    }

    fn open(letter: &DeadLetter<'_>, options: &OpenOptions) -> Result<Way, RequeueError> {
        let (queue, group) = (letter.queue.to_owned(), letter.group.to_owned());
        let main = options.open(&queue);
        let main =
            main.map_err(|source| RequeueError::Open { queue: letter.queue.into(), source })?;
        let name = main.mapped.name.shared().clone();
        let failed = |source| RequeueError::Join { queue: name.clone(), source };
        let at = Attachment::new(&main.mapped).map_err(|fault| failed(fault.into()))?;
        let like = group::like(&at, &group, options.timeout).map_err(failed)?;
        let name = retry_queue(&queue, &group);
        let retries = Way::make(&name, &main, options, &like).map_err(|fault| {
            RequeueError::Send { queue: name.as_str().into(), source: Box::new(fault) }
        })?;
        group::announce_retries(&at, &group, options.timeout).map_err(failed)?;
        Ok(Way { queue, group, main: at, retries })
    }

    fn make(
        name: &str,
        main: &Queue,
        options: &OpenOptions,
        group: &Group,
    ) -> Result<Queue, BuryError> {
        let retries = letter_queue(name, &main.mapped, &options.trust, group)?;
        // One that was made for another queue of that name: a typed consumer would not read it.
        let (size, need) = (retries.payload_size(), main.payload_size());
        if size < need {
            return Err(BuryError::TooSmall { queue: name.into(), size, need });
        }
        Ok(retries)
    }

    fn send(&self, kind: u32, letter: &[u8]) -> Result<(), RequeueError> {
        let send = || -> Result<(), BuryError> {
            let mut producer = turn(&self.retries)?;
            producer.try_send((kind, letter))?;
            Ok(producer.check_removed()?)
        };
        send().map_err(|fault| RequeueError::Send {
            queue: self.retries.mapped.name.shared().clone(),
            source: Box::new(fault),
        })?;
        // A new queue of that name would not know of the retries.
        let queue = self.main.queue();
        let system = self.main.system("look at the queue's file");
        let join = |source| RequeueError::Join { queue: queue.clone(), source };
        if self.main.leases.removed().map_err(|fault| join(system(fault).into()))? {
            return Err(join(ControlError::Removed { queue: queue.clone() }.into()));
        }
        wake::everybody(&self.main.view);
        Ok(())
    }
}

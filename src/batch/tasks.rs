//! A batch whose messages several threads work on.

#![allow(unsafe_code)]

use std::fmt;
use std::ops::Deref;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::Batch;
use crate::error::{AckError, RejectError};
use crate::info::{MessageInfo, message_accessors};
use crate::layout::View;
use crate::membership::RetryView;
use crate::message::Content;
use crate::source::Source;

/// The messages of a [`Batch`], handed out one by one to any thread that asks.
///
/// ```
/// # let name = format!("doc-tasks-{}", std::process::id());
/// # let queue = slipring::Queue::builder(&name).capacity(8).group("work").create()?;
/// # let mut producer = queue.producer()?;
/// # producer.send_batch(["one", "two", "three"])?;
/// # let mut consumer = queue.consumer("work")?;
/// let mut batch = consumer.recv_batch(32)?;
/// let tasks = batch.tasks();
/// std::thread::scope(|scope| {
///     for _ in 0..4 {
///         scope.spawn(|| {
///             while let Some(task) = tasks.take() {
///                 println!("{}: {:?}", task.sequence(), &*task);
///                 if let Err(fault) = task.ack() {
///                     eprintln!("{fault}");
///                 }
///             }
///         });
///     }
/// });
/// # assert!(batch.is_empty());
/// # drop(batch); drop((consumer, producer)); slipring::remove(&name)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "tasks are there to be taken"]
pub struct Tasks<'b, 'c, M: Content + ?Sized = [u8]> {
    /// Copies of the batch's, which is borrowed for as long.
    view: View,
    retry_view: RetryView,
    inner: Mutex<Inner<'b, 'c, M>>,
}

struct Inner<'b, 'c, M: Content + ?Sized> {
    batch: &'b mut Batch<'c, M>,
    /// The next place in the ring to hand out. Each is handed out once.
    next: u64,
}

impl<'b, 'c, M: Content + ?Sized> Tasks<'b, 'c, M> {
    pub(crate) fn new(batch: &'b mut Batch<'c, M>) -> Self {
        let (view, retry_view) = (batch.membership.attachment.view, batch.membership.retry_view);
        let next = batch.claim.start;
        Tasks { view, retry_view, inner: Mutex::new(Inner { batch, next }) }
    }

    fn lock(&self) -> MutexGuard<'_, Inner<'b, 'c, M>> {
        // A dead-letter handler that panics leaves the batch unchanged.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next message that is not acked and was not handed out. Waits only for other threads that take, ack or
    /// reject.
    pub fn take(&self) -> Option<Task<'_, 'b, 'c, M>> {
        let mut inner = self.lock();
        let Inner { batch, next } = &mut *inner;
        let acked = |place: &u64| batch.membership.acked.contains(*place);
        let place = (*next..batch.claim.end).find(|place| !acked(place))?;
        *next = place + 1;
        let (info, len) = batch.facts(&self.view, self.retry_view, place);
        Some(Task { tasks: self, place, info, len })
    }
}

impl<M: Content + ?Sized> fmt::Debug for Tasks<'_, '_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tasks").field("retry_view", &self.retry_view).finish_non_exhaustive()
    }
}

/// One message of a batch, for one thread. Dereferences to its content. Dropped without an ack, it stays in the batch.
///
/// ```compile_fail,E0505
/// fn after_the_ack(task: slipring::Task<'_, '_, '_>) -> u8 {
///     let bytes: &[u8] = &task;
///     let _ = task.ack();
///     bytes[0]
/// }
/// ```
#[must_use = "a task that is dropped without an ack stays in its batch"]
pub struct Task<'t, 'b, 'c, M: Content + ?Sized = [u8]> {
    tasks: &'t Tasks<'b, 'c, M>,
    /// Invariant: it lies in the batch's claim, is not acked, and is in no other task.
    place: u64,
    info: MessageInfo,
    len: usize,
}

impl<M: Content + ?Sized> Task<'_, '_, '_, M> {
    message_accessors!(view => view.info.kind(), view.tasks.retry_view.requeued());

    /// Where it comes from; `None` if its sender did not say, and for a dead letter that was sent again. The stream and
    /// the position are a key, by which effects outside of queues can be made idempotent: see [`Source`].
    pub fn source(&self) -> Option<Source> {
        let Tasks { view, retry_view, .. } = self.tasks;
        if retry_view.requeued() {
            None
        } else {
            Source::of(view, self.place, &view.slot(self.place))
        }
    }

    /// The content, for as long as it is not acked.
    pub fn content(&self) -> &M {
        self
    }

    /// Acks the message. Its slot is free for reuse once all messages before it in the batch are acked, too; see
    /// [`Batch::ack_one`].
    ///
    /// # Errors
    /// Today none: see [`AckError`].
    pub fn ack(self) -> Result<(), AckError> {
        let Task { tasks, place, .. } = self;
        tasks.lock().batch.ack_place(place);
        Ok(())
    }

    /// Makes the message a dead letter; see [`Batch::reject`].
    ///
    /// # Errors
    /// If the letter cannot be sent. The message stays in the batch then.
    pub fn reject(self) -> Result<(), RejectError> {
        let (tasks, sequence) = (self.tasks, self.sequence());
        tasks.lock().batch.reject(sequence)
    }
}

impl<M: Content + ?Sized> Deref for Task<'_, '_, '_, M> {
    type Target = M;

    fn deref(&self) -> &M {
        let slot = self.tasks.view.slot(self.place);
        // SAFETY: published and not acked, by the invariant: an ack consumes this task, which ends the
        // borrow, and the batch is out of reach meanwhile (invariant borrow).
        let area = unsafe { slot.payload.bytes() };
        M::from_payload(area, || self.len)
    }
}

impl<M: Content + ?Sized> fmt::Debug for Task<'_, '_, '_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task").field("info", &self.info()).finish_non_exhaustive()
    }
}

//! One handle that receives from several queues.

use std::cell::Cell;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::time::{Duration, Instant};

use crate::batch::{Batch, Received};
use crate::consumer::{Consumer, Found};
use crate::error::{AckError, RecvError, SelectError};
use crate::message::Content;
use crate::ring::park::Waiter;
use crate::wait::{self, Check, Deadline, FutexPark, MAX_SLEEP, MAX_SLEEP_WHILE_HELD, Waited};
use crate::wait::{Interrupt, WaitState, WaitStrategy};

/// Consumers of several queues, received from in turn. A queue has one producer; for several producers, make a queue
/// for each, and one `Select`.
///
/// Fair: after each batch the next consumer comes first, so a queue that is always full delays the others by one batch
/// at most. Messages of different queues have no order.
///
/// A wait sleeps at all queues at once (futex_waitv(2)). With more than 128 queues, or a queue whose wake mode is
/// `none`, and before Linux 5.16, it polls once in a millisecond instead.
///
/// ```
/// # let names: Vec<String> = (0..2).map(|n| format!("doc-select-{}-{n}", std::process::id())).collect();
/// use slipring::{Queue, Select};
///
/// let mut select = Select::new();
/// # let mut producers = Vec::new();
/// for name in &names {
///     let queue = Queue::builder(name).capacity(8).group("all").create()?;
///     select.add(queue.consumer("all")?);
/// #   producers.push(queue.producer()?);
/// }
/// # producers[0].send("one")?;
/// # producers[1].send("two")?;
/// for _ in 0..2 {
///     let message = select.recv()?;
///     println!("from {}: {:?}", message.index(), &**message);
///     message.ack()?;
/// }
/// # drop((select, producers));
/// # for name in &names { slipring::remove(name)?; }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Select<M: Content + ?Sized = [u8]> {
    consumers: Vec<Consumer<M>>,
    /// Where the next search begins.
    next: usize,
    wait_state: WaitState,
}

impl<M: Content + ?Sized> Default for Select<M> {
    fn default() -> Self {
        Select::new()
    }
}

impl<M: Content + ?Sized> Select<M> {
    /// Without a consumer, every wait lasts until its time limit.
    pub fn new() -> Select<M> {
        Select { consumers: Vec::new(), next: 0, wait_state: WaitState::here(Interrupt::default()) }
    }

    /// Adds a consumer; returns its index.
    pub fn add(&mut self, consumer: Consumer<M>) -> usize {
        self.consumers.push(consumer);
        self.consumers.len() - 1
    }

    /// Takes a consumer out; `None` if there is none of that index. The indexes of later ones go down by one.
    pub fn remove(&mut self, index: usize) -> Option<Consumer<M>> {
        (index < self.consumers.len()).then(|| self.consumers.remove(index))
    }

    /// Sets how to wait for messages. The strategies of its consumers have no effect here.
    pub fn set_wait_strategy(&mut self, strategy: WaitStrategy) {
        self.wait_state.set_strategy(strategy);
    }

    /// Sets a function that waits call; if it returns `true`, the wait ends with `Interrupted`. See
    /// [`Queue::set_interrupt`](crate::Queue::set_interrupt). The functions of its queues and consumers have no effect
    /// here.
    pub fn set_interrupt(&mut self, interrupt: impl Fn() -> bool + Send + Sync + 'static) {
        self.wait_state.interrupt = Interrupt::new(interrupt);
    }

    /// The consumers, by their indexes.
    pub fn consumers(&self) -> &[Consumer<M>] {
        &self.consumers
    }

    /// Receives up to `max` messages of one queue, if any queue has some. It does not wait for messages, and blocks no
    /// more than [`Consumer::try_recv_batch`].
    ///
    /// # Errors
    /// [`SelectError::Empty`] if no queue has a message now; [`SelectError::Closed`] once all queues are closed and
    /// their groups have acked everything; [`SelectError::Recv`] for any other error of a consumer, with its index:
    /// take that one out, and go on.
    pub fn try_recv_batch(&mut self, max: usize) -> Result<Selected<Batch<'_, M>>, SelectError> {
        let found = self.search(max, Check::Fast)?;
        self.lend(found.ok_or(SelectError::Empty)?)
    }

    /// Receives up to `max` messages of one queue, waiting for the first as long as it takes.
    ///
    /// # Errors
    /// As for [`Select::try_recv_batch`], but never [`SelectError::Empty`]; [`SelectError::Interrupted`] if the
    /// function of [`Select::set_interrupt`] returned `true`.
    pub fn recv_batch(&mut self, max: usize) -> Result<Selected<Batch<'_, M>>, SelectError> {
        self.batch_by(max, Deadline::NEVER)
    }

    /// Receives up to `max` messages of one queue, waiting for the first at most `timeout`.
    ///
    /// # Errors
    /// [`SelectError::Timeout`]; else as for [`Select::recv_batch`].
    pub fn recv_batch_timeout(
        &mut self,
        max: usize,
        timeout: Duration,
    ) -> Result<Selected<Batch<'_, M>>, SelectError> {
        self.batch_by(max, Deadline::after(timeout))
    }

    /// Receives up to `max` messages of one queue, waiting for the first until `deadline` at most.
    ///
    /// # Errors
    /// As for [`Select::recv_batch_timeout`].
    pub fn recv_batch_deadline(
        &mut self,
        max: usize,
        deadline: Instant,
    ) -> Result<Selected<Batch<'_, M>>, SelectError> {
        self.batch_by(max, Deadline::at(deadline))
    }

    /// Receives one message, if any queue has one. It does not wait for messages, and blocks no more than
    /// [`Consumer::try_recv_batch`] of each consumer.
    ///
    /// # Errors
    /// As for [`Select::try_recv_batch`].
    pub fn try_recv(&mut self) -> Result<Selected<Received<'_, M>>, SelectError> {
        Ok(self.try_recv_batch(1)?.received())
    }

    /// Receives one message, waiting for it as long as it takes.
    ///
    /// # Errors
    /// As for [`Select::recv_batch`].
    pub fn recv(&mut self) -> Result<Selected<Received<'_, M>>, SelectError> {
        Ok(self.recv_batch(1)?.received())
    }

    /// Receives one message, waiting for it at most `timeout`.
    ///
    /// # Errors
    /// [`SelectError::Timeout`]; else as for [`Select::recv_batch`].
    pub fn recv_timeout(
        &mut self,
        timeout: Duration,
    ) -> Result<Selected<Received<'_, M>>, SelectError> {
        Ok(self.recv_batch_timeout(1, timeout)?.received())
    }

    /// Receives one message, waiting for it until `deadline` at most.
    ///
    /// # Errors
    /// As for [`Select::recv_batch_timeout`].
    pub fn recv_deadline(
        &mut self,
        deadline: Instant,
    ) -> Result<Selected<Received<'_, M>>, SelectError> {
        Ok(self.recv_batch_deadline(1, deadline)?.received())
    }

    fn batch_by(
        &mut self,
        max: usize,
        deadline: Deadline,
    ) -> Result<Selected<Batch<'_, M>>, SelectError> {
        if let Some(found) = self.search(max, Check::Fast)? {
            return self.lend(found);
        }
        let (views, longest) =
            (self.consumers.iter().map(Consumer::view), Cell::new(MAX_SLEEP_WHILE_HELD));
        let views: Vec<_> = views.collect();
        let kinds = self.consumers.iter().map(Consumer::waiter_kind);
        let waiters = views.iter().zip(kinds).map(|(view, kind)| Waiter::new(view, kind));
        let park = FutexPark::new(waiters.collect::<Vec<_>>(), || longest.get());
        let mut wait_state = self.wait_state.clone();
        let worked = Cell::new(false);
        let found = wait::until_beside_work(deadline, &mut wait_state, park, &worked, |check| {
            let found = self.search(max, check);
            worked.set(self.consumers.iter().any(Consumer::letters_left));
            if check == Check::Full && matches!(found, Ok(None)) {
                longest.set(self.longest_sleep());
            }
            found
        })?;
        self.wait_state = wait_state;
        match found {
            Waited::Found(found) => self.lend(found),
            Waited::TimedOut => Err(SelectError::Timeout),
            Waited::Interrupted => Err(SelectError::Interrupted),
        }
    }

    /// Has each consumer search once, from the one after the last that found something. Returns its index, too.
    fn search(&mut self, max: usize, check: Check) -> Result<Option<(usize, Found)>, SelectError> {
        let count = self.consumers.len();
        let mut closed = 0;
        for step in 0..count {
            let index = (self.next + step) % count;
            match self.consumers[index].search(max, check) {
                Ok(None) => {}
                Ok(Some(found)) => {
                    self.next = index + 1;
                    return Ok(Some((index, found)));
                }
                // A new producer may open it again; the other consumers go on.
                Err(RecvError::Closed { .. }) => closed += 1,
                Err(reason) => {
                    // The others come first before this one is asked again.
                    self.next = index + 1;
                    return Err(SelectError::Recv { index, reason });
                }
            }
        }
        if closed > 0 && closed == count { Err(SelectError::Closed) } else { Ok(None) }
    }

    fn longest_sleep(&self) -> Duration {
        self.consumers.iter().map(Consumer::longest_sleep).min().unwrap_or(MAX_SLEEP)
    }

    fn lend(
        &mut self,
        (index, found): (usize, Found),
    ) -> Result<Selected<Batch<'_, M>>, SelectError> {
        let lent = self.consumers[index].lend(found);
        let inner = lent.map_err(|reason| SelectError::Recv { index, reason })?;
        Ok(Selected { index, inner })
    }
}

/// A batch or a message, with the index of its consumer. Dereferences to it.
#[must_use = "what is dropped without an ack is redelivered"]
pub struct Selected<T> {
    index: usize,
    inner: T,
}

impl<T> Selected<T> {
    /// The index of its consumer in the [`Select`].
    pub fn index(&self) -> usize {
        self.index
    }

    /// The batch or message alone, to be acked.
    pub fn into_inner(self) -> T {
        self.inner
    }
}

impl<'c, M: Content + ?Sized> Selected<Batch<'c, M>> {
    /// Acks all of the batch.
    ///
    /// # Errors
    /// As for [`Batch::ack`].
    pub fn ack(self) -> Result<(), AckError> {
        self.inner.ack()
    }

    fn received(self) -> Selected<Received<'c, M>> {
        Selected { index: self.index, inner: Received::new(self.inner) }
    }
}

impl<M: Content + ?Sized> Selected<Received<'_, M>> {
    /// Acks the message.
    ///
    /// # Errors
    /// As for [`Received::ack`].
    pub fn ack(self) -> Result<(), AckError> {
        self.inner.ack()
    }
}

impl<T> Deref for Selected<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.inner
    }
}

impl<T> DerefMut for Selected<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.inner
    }
}

impl<T: fmt::Debug> fmt::Debug for Selected<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Selected").field("index", &self.index).field("inner", &self.inner).finish()
    }
}

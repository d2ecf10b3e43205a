//! A worker whose waits are futures.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::readiness::Readiness;
use super::waiting::{Awaited, wait};
use crate::attach::Mapped;
use crate::error::RecvError;
use crate::message::Content;
use crate::ring::park::WaiterKind;
use crate::wait::Check;
use crate::worker::{Job, Worker};

/// A worker that waits without blocking its thread; made by [`Worker::into_async`]. `Send`, not `Sync`; its [jobs](Job) are
/// both, so each may be a task of its own.
///
/// What [`AsyncConsumer`](super::AsyncConsumer) says of runtimes, of the thread that sleeps for all futures and of what blocks
/// holds here, too. Acks, extensions and what gives a job back never block while the worker is there; once it is dropped, the
/// end of its last job leaves the group, and waits up to 100 ms for other control operations. [`Job::reject`] and
/// [`Job::fail`] may take a few seconds to send a dead letter, and so may each letter that a receive makes of a message which has
/// had its last attempt: up to 128 of them in one poll.
///
/// ```
/// # let name = format!("doc-async-worker-{}", std::process::id());
/// use slipring::{Group, Queue};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let jobs = Group::named("work").shared().in_flight(64);
/// let queue = Queue::builder(&name).capacity(8).group(&jobs).create()?;
/// let mut worker = queue.worker(&jobs)?.into_async();
/// queue.producer()?.send("resize 7.png")?;
/// let job = worker.recv().await?;
/// let done = tokio::spawn(async move {
///     // The work, while the worker receives the next job.
///     job.ack()
/// });
/// done.await??;
/// # drop(worker);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # slipring::remove(&name)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct AsyncWorker<M: Content + ?Sized = [u8]>(Worker<M>);

impl<M: Content + ?Sized> Worker<M> {
    /// Turns it into a worker whose waits are futures.
    pub fn into_async(self) -> AsyncWorker<M> {
        AsyncWorker(self)
    }

    /// Adds a descriptor to the worker, readable when a receive is worth trying.
    ///
    /// # Errors
    /// If the process has no free descriptor.
    pub fn with_readiness(self) -> io::Result<Readiness<Worker<M>>> {
        Readiness::new(self)
    }
}

impl<M: Content + ?Sized> AsyncWorker<M> {
    /// Receives one message, waiting for it as long as it takes.
    ///
    /// Cancel-safe: a future that is dropped has received nothing, so nothing is lost, and no attempt is counted.
    ///
    /// # Errors
    /// As for [`Worker::recv`]; [`RecvError::System`] also if the thread that sleeps for all futures cannot be started.
    pub async fn recv(&mut self) -> Result<Job<M>, RecvError> {
        self.recv_batch(1).await?.pop().ok_or(RecvError::Empty)
    }

    /// Receives up to `max` messages, waiting for the first as long as it takes.
    ///
    /// Cancel-safe, as [`AsyncWorker::recv`] is.
    ///
    /// # Errors
    /// As for [`AsyncWorker::recv`].
    pub async fn recv_batch(&mut self, max: usize) -> Result<Vec<Job<M>>, RecvError> {
        wait(NextJobs::new(&mut self.0, max)).await
    }

    /// The worker: to ask for its group's position and the like.
    pub fn get_ref(&self) -> &Worker<M> {
        &self.0
    }

    /// The worker: to set it up, or to receive without waiting. Its receives that wait block the thread.
    pub fn get_mut(&mut self) -> &mut Worker<M> {
        &mut self.0
    }

    /// Turns it back into a worker whose waits block.
    pub fn into_sync(self) -> Worker<M> {
        self.0
    }
}

impl<M: Content + ?Sized> Readiness<Worker<M>> {
    /// Receives up to `max` messages, if there are any; else the descriptor says when to try again. It does not wait
    /// for messages, and blocks no more than two calls of [`Worker::try_recv_batch`].
    ///
    /// # Errors
    /// As for [`Worker::try_recv_batch`]; [`RecvError::System`] also if the reactor's thread cannot be started.
    pub fn try_recv_batch(&mut self, max: usize) -> Result<Vec<Job<M>>, RecvError> {
        let found = self.poll(|worker| NextJobs::new(worker, max))?;
        found.ok_or(RecvError::Empty)
    }

    /// Receives one message, if there is one; else the descriptor says when to try again. It does not wait for
    /// messages, and blocks no more than two calls of [`Worker::try_recv`].
    ///
    /// # Errors
    /// As for [`Readiness::try_recv_batch`].
    pub fn try_recv(&mut self) -> Result<Job<M>, RecvError> {
        self.try_recv_batch(1)?.pop().ok_or(RecvError::Empty)
    }
}

/// A wait for up to `max` messages.
#[derive(Debug)]
struct NextJobs<'w, M: Content + ?Sized> {
    worker: &'w mut Worker<M>,
    max: usize,
    /// Whether it is announced as a wait for a cell.
    for_a_cell: bool,
}

impl<'w, M: Content + ?Sized> NextJobs<'w, M> {
    fn new(worker: &'w mut Worker<M>, max: usize) -> Self {
        NextJobs { worker, max, for_a_cell: false }
    }
}

impl<M: Content + ?Sized> Awaited for NextJobs<'_, M> {
    type Found = Vec<Job<M>>;
    type Error = RecvError;

    fn poll(&mut self, check: Check) -> Result<Option<Vec<Job<M>>>, RecvError> {
        let found = self.worker.search(self.max, check);
        if check == Check::Fast {
            self.for_a_cell = self.worker.is_full();
        }
        found
    }

    fn waiter_kind(&self) -> WaiterKind {
        self.worker.waiter_kind(self.for_a_cell)
    }

    fn queue(&self) -> &Arc<Mapped> {
        self.worker.mapped()
    }

    fn longest(&self) -> Duration {
        // The full check has found out only now that it waits at the wrong word.
        let right = self.for_a_cell == self.worker.is_full();
        if right { self.worker.longest_sleep() } else { Duration::ZERO }
    }
}

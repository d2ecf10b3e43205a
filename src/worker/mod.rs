//! The handle that receives for a shared group with messages in flight beside the ring.

mod evict;
mod flight;
mod job;
mod park;

use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use crate::attach::{Attachment, Mapped};
use crate::clock::HostClock;
use crate::dead_letter::letter::{DeadLetter, DeadLetterSink, Reason};
use crate::dead_letter::policy::DeadLetterPolicy;
use crate::error::{JoinError, RecvError};
use crate::group::{self, Group, Mode};
use crate::layout::Identity;
use crate::message::{Content, OneThread};
use crate::packed::{NEVER, nanoseconds_of};
use crate::queue::Queue;
use crate::ring::cells::{InHand, Table};
use crate::ring::claim::Corrupt;
use crate::ring::claim::Fault;
use crate::ring::close;
use crate::ring::in_flight::{CellMember, Received};
use crate::ring::records;
use crate::ring::settle;
use crate::wait::{
    self, Check, Deadline, Interrupt, MAX_SLEEP, MAX_SLEEP_WHILE_HELD, WaitState, WaitStrategy,
    Waited,
};
pub use evict::Evictions;
use flight::{Core, Flight};
pub use job::Job;
use park::CellPark;

/// Time between two searches for dead members while there are messages.
const SETTLE_EVERY: Duration = Duration::from_millis(2);
/// Claims in a row that other members may win before the head counts as damaged.
const CONTENDED_MAX: u32 = 1 << 16;
/// For how long a message is kept that is being made a dead letter.
const LETTER_WITHIN: Duration = Duration::from_secs(60);

/// A member of a shared group with places for [messages in flight](Group::in_flight). `Send`, not `Sync`; its [jobs](Job)
/// are both.
///
/// A message that it receives leaves the ring at once and is in one of the group's places until it is acked. So a job may
/// take as long as it likes: what bounds the group is the number of places, not the ring. If a worker dies, its messages go to
/// the others; if it hangs, or is stopped, they do so after the group's [ack timeout](Group::ack_timeout). It leaves the
/// group when it and all its jobs are dropped.
///
/// ```
/// # let name = format!("doc-worker-{}", std::process::id());
/// use std::time::Duration;
/// use slipring::{Group, Queue};
///
/// let jobs = Group::named("work").shared().in_flight(64).ack_timeout(Duration::from_secs(30));
/// let queue = Queue::builder(&name).capacity(16).group(&jobs).create()?;
/// queue.producer()?.send("resize 7.png")?;
///
/// let mut worker = queue.worker(&jobs)?;
/// let mut job = worker.recv()?;
/// let done = std::thread::spawn(move || {
///     job.extend(Duration::from_secs(600))?;
///     // The work.
///     job.ack()
/// });
/// done.join().unwrap()?;
/// # drop(worker);
/// # slipring::remove(&name)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Worker<M: Content + ?Sized = [u8]> {
    flight: Arc<Flight>,
    policy: Box<DeadLetterPolicy>,
    wait_state: WaitState,
    settled: Instant,
    /// The last message came again: the ring has its turn.
    came_again: bool,
    /// The last check found no empty cell.
    full: bool,
    marker: OneThread<M>,
}

impl<M: Content + ?Sized> Queue<M> {
    /// Joins a shared group with places for [messages in flight](Group::in_flight); makes it if it does not exist and `group`
    /// asks for some. Waits for other control operations, at most the control timeout.
    ///
    /// # Errors
    /// [`JoinError::InFlight`] if the group has no such places; [`JoinError::Clock`] if it has an ack timeout and this
    /// process is in a time namespace whose offset is not known; else as for [`Queue::consumer`].
    pub fn worker(&self, group: impl Into<Group>) -> Result<Worker<M>, JoinError> {
        let sink =
            Box::new(crate::dead_letter::queue_sink::QueueSink::new(&self.mapped, &self.trust));
        Worker::join(&self.mapped, &group.into(), self.timeout, sink, self.interrupt.clone())
    }
}

impl<M: Content + ?Sized> Worker<M> {
    fn join(
        mapped: &Arc<Mapped>,
        group: &Group,
        timeout: Duration,
        sink: Box<dyn DeadLetterSink>,
        interrupt: Interrupt,
    ) -> Result<Worker<M>, JoinError> {
        let group = group.clone().mode(Mode::Shared);
        let (queue, name) = (|| mapped.name.shared().clone(), || group.name.clone());
        group.check(mapped.name.shared())?;
        let attachment = Attachment::new(mapped)?;
        let guard = attachment.control(timeout)?;
        let system = attachment.system("take a consumer's lease");
        let view = attachment.view;
        let exists = group::find(&view, &group.name).is_some();
        let has = exists || group.in_flight.is_some();
        let without = || JoinError::InFlight { queue: queue(), group: name(), has: false };
        if !has && !group.is_existing() {
            // It would be made without places.
            return Err(without());
        }
        let (index, _) = group::find_or_make(&attachment, &group)?;
        let corrupt = |Corrupt(what)| JoinError::Corrupt { queue: queue(), what };
        let table = Table::of(&view, index).map_err(corrupt)?.ok_or_else(without)?;
        let clock = match HostClock::new() {
            Some(clock) => clock,
            // Without a timeout, only delays are measured by it, and looks at the cells.
            None if table.ack_timeout().is_none() => HostClock::own(),
            None => return Err(JoinError::Clock { queue: queue(), group: name() }),
        };
        let (identity, target) = Identity::load_with_target(view.group(index)).unzip();
        let max_attempts = identity.as_ref().and_then(group::limit_of);
        let target = target.as_ref().map_or(Ok(None), group::target_name).map_err(corrupt)?;
        let pid = std::process::id();
        let taken = records::take_record(&view, &attachment.leases, index, pid).map_err(system)?;
        let Some(record) = taken else {
            let (max, live) = group::consumers(&attachment)?;
            return Err(JoinError::TooManyConsumers { queue: queue(), max, live });
        };
        drop(guard);
        let member = CellMember::new(&view, table, record);
        let target = target.as_ref().map(|name| name.as_str());
        let policy =
            DeadLetterPolicy::new(mapped.name.shared(), &group.name, max_attempts, target, sink);
        Ok(Worker {
            flight: Arc::new(Flight::new(attachment, member, &group.name, clock)),
            policy: Box::new(policy),
            wait_state: WaitState::here(interrupt),
            settled: Instant::now(),
            came_again: false,
            full: false,
            marker: PhantomData,
        })
    }

    /// Name of the queue that it receives from.
    pub fn queue_name(&self) -> &str {
        self.flight.queue()
    }

    /// Name of the group that it receives for.
    pub fn group_name(&self) -> &str {
        self.flight.group()
    }

    /// Messages that the group can have in flight.
    pub fn in_flight_max(&self) -> u32 {
        self.flight.table().len()
    }

    /// How long a job has before another member may take it, if the group has an ack timeout.
    pub fn ack_timeout(&self) -> Option<Duration> {
        self.flight.table().ack_timeout().map(Duration::from_nanos)
    }

    /// Whether the last receive found all places of the group in use, so that no more could be received.
    pub fn is_full(&self) -> bool {
        self.full
    }

    /// Jobs of this worker that are neither acked nor given back nor dropped.
    pub fn jobs(&self) -> u64 {
        self.flight.jobs()
    }

    /// Sets how to wait for messages.
    pub fn set_wait_strategy(&mut self, strategy: WaitStrategy) {
        self.wait_state.set_strategy(strategy);
    }

    /// Sets a function that waits of this worker call; see [`Queue::set_interrupt`].
    pub fn set_interrupt(&mut self, interrupt: impl Fn() -> bool + Send + Sync + 'static) {
        self.wait_state.interrupt = Interrupt::new(interrupt);
    }

    /// Receives one message, if there is one.
    ///
    /// # Errors
    /// [`RecvError::Empty`] if there is none now, or all places of the group are in use ([`Worker::is_full`]);
    /// [`RecvError::Closed`] once the queue is closed and the group has acked everything; else as for
    /// [`Consumer::try_recv`](crate::Consumer::try_recv).
    pub fn try_recv(&mut self) -> Result<Job<M>, RecvError> {
        one(self.search(1, Check::Fast)?).ok_or(RecvError::Empty)
    }

    /// Receives up to `max` messages, if there are some. 0 counts as 1.
    ///
    /// # Errors
    /// As for [`Worker::try_recv`].
    pub fn try_recv_batch(&mut self, max: usize) -> Result<Vec<Job<M>>, RecvError> {
        self.search(max, Check::Fast)?.ok_or(RecvError::Empty)
    }

    /// Receives one message, waiting for it as long as it takes.
    ///
    /// # Errors
    /// As for [`Worker::try_recv`], but never [`RecvError::Empty`]; [`RecvError::Interrupted`].
    pub fn recv(&mut self) -> Result<Job<M>, RecvError> {
        one(Some(self.recv_by(1, Deadline::NEVER)?)).ok_or(RecvError::Empty)
    }

    /// Receives one message, waiting for it at most `timeout`.
    ///
    /// # Errors
    /// [`RecvError::Timeout`]; else as for [`Worker::recv`].
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<Job<M>, RecvError> {
        one(Some(self.recv_by(1, Deadline::after(timeout))?)).ok_or(RecvError::Empty)
    }

    /// Receives up to `max` messages, waiting for the first as long as it takes. All are due one ack timeout later.
    ///
    /// # Errors
    /// As for [`Worker::recv`].
    pub fn recv_batch(&mut self, max: usize) -> Result<Vec<Job<M>>, RecvError> {
        self.recv_by(max, Deadline::NEVER)
    }

    /// Receives up to `max` messages, waiting for the first at most `timeout`.
    ///
    /// # Errors
    /// As for [`Worker::recv_timeout`].
    pub fn recv_batch_timeout(
        &mut self,
        max: usize,
        timeout: Duration,
    ) -> Result<Vec<Job<M>>, RecvError> {
        self.recv_by(max, Deadline::after(timeout))
    }

    fn recv_by(&mut self, max: usize, deadline: Deadline) -> Result<Vec<Job<M>>, RecvError> {
        let (view, group) = (*self.flight.view(), self.flight.table().group);
        let (full, longest) = (Cell::new(false), Cell::new(MAX_SLEEP_WHILE_HELD));
        let park = CellPark::new(&view, group, &full, &longest);
        let mut wait_state = self.wait_state.clone();
        let found = wait::until(deadline, &mut wait_state, park, |check| {
            let found = self.search(max, check);
            if check == Check::Full {
                full.set(self.full);
                longest.set(self.longest_sleep());
            }
            found
        })?;
        self.wait_state = wait_state;
        let queue = self.flight.queue().clone();
        match found {
            Waited::Found(jobs) => Ok(jobs),
            Waited::TimedOut => Err(RecvError::Timeout { queue }),
            Waited::Interrupted => Err(RecvError::Interrupted { queue }),
        }
    }

    /// Looks once for messages: those that are due again and those of the ring, in turn.
    fn search(&mut self, max: usize, check: Check) -> Result<Option<Vec<Job<M>>>, RecvError> {
        let queue = self.flight.queue().clone();
        if self.flight.forked() {
            return Err(RecvError::Forked { queue });
        }
        self.full = false;
        let full_check = check == Check::Full;
        if full_check || self.settled.elapsed() >= SETTLE_EVERY {
            self.settle()?;
        }
        let again = std::mem::take(&mut self.came_again);
        if !again && let Some(job) = self.take_due()? {
            return Ok(Some(vec![job]));
        }
        let jobs = self.receive(max)?;
        if !jobs.is_empty() {
            return Ok(Some(jobs));
        }
        if again && let Some(job) = self.take_due()? {
            return Ok(Some(vec![job]));
        }
        let (view, group) = (self.flight.view(), self.flight.table().group);
        if close::has_ended(view, group, || true) {
            return Err(RecvError::Closed { queue });
        }
        if full_check {
            let mut core = self.flight.core();
            let Core { attachment, member } = &mut *core;
            let removed = attachment.leases.removed();
            if removed.map_err(attachment.system("check the queue's file"))? {
                return Err(RecvError::Removed { queue });
            }
            if self.flight.jobs() == 0 {
                // Others then sleep longer.
                member.renounce(view);
            }
        }
        Ok(None)
    }

    /// Receives from the ring.
    fn receive(&mut self, max: usize) -> Result<Vec<Job<M>>, RecvError> {
        let (view, mut messages) = (self.flight.view(), Vec::new());
        let now = self.flight.clock().now_or_later();
        let mut core = self.flight.core();
        for _ in 0..CONTENDED_MAX {
            let received = core.member.receive(view, max.max(1) as u64, now, &mut messages);
            match received.map_err(|Corrupt(what)| self.flight.corrupt(what))? {
                Received::Contended => std::hint::spin_loop(),
                Received::NoCell => {
                    self.full = true;
                    return Ok(Vec::new());
                }
                Received::Some | Received::Empty => {
                    let jobs = messages.into_iter().map(|message| Job::new(&self.flight, message));
                    return Ok(jobs.collect());
                }
            }
        }
        Err(self.flight.corrupt("a group's head never stands still"))
    }

    /// Takes a message that is due again. One that has had its last attempt becomes a dead letter.
    fn take_due(&mut self) -> Result<Option<Job<M>>, RecvError> {
        loop {
            let now = self.flight.clock().now();
            let taken = self.flight.core().member.take_due(self.flight.view(), now);
            let Some(message) = taken else { return Ok(None) };
            if u32::from(message.attempts) <= self.policy.limit {
                self.came_again = true;
                self.flight.count_redelivery();
                return Ok(Some(Job::new(&self.flight, message)));
            }
            self.exhaust(message)?;
        }
    }

    /// Makes a dead letter of a message: the letter first, then the ack. If it is taken from this worker meanwhile, there is
    /// a letter and the message once more.
    #[cold]
    fn exhaust(&mut self, message: InHand) -> Result<(), RecvError> {
        let Ok(token) = self.flight.extend(message.token, LETTER_WITHIN) else { return Ok(()) };
        let (queue, group) = (self.flight.queue().clone(), self.policy.group.clone());
        let sent = self.policy.send_letter(&DeadLetter {
            queue: &queue,
            group: &group,
            sequence: message.seq,
            // Without this attempt, which the message does not get.
            attempts: self.policy.limit as u8,
            time: SystemTime::now(),
            reason: Reason::MaxAttempts,
            kind: message.kind,
            payload: &message.payload,
        });
        if let Err(fault) = sent {
            // Another try in a second, without a count for this one.
            let due = self.flight.due_after(Duration::from_secs(1));
            let _ = self.flight.give_back(token, due, self.policy.limit as u8);
            return Err(fault.into());
        }
        // Evicted meanwhile: the message comes once more.
        let _ = self.flight.ack(token);
        self.flight.count_dead_letter();
        Ok(())
    }

    /// Settles dead members.
    #[cold]
    fn settle(&mut self) -> Result<(), RecvError> {
        self.settled = Instant::now();
        let mut core = self.flight.core();
        let Core { attachment, member } = &mut *core;
        let settled = member.settle_dead(&attachment.view, &attachment.leases);
        settled.map(|_| ()).map_err(|fault| match fault {
            Fault::Corrupt(Corrupt(what)) => self.flight.corrupt(what),
            Fault::System(source) => {
                attachment.system("find out which consumers are dead")(source).into()
            }
        })
    }

    /// Upper bound on the sleep after a search that found nothing: a death and the last ack of a closed queue wake nobody,
    /// and neither does time.
    fn longest_sleep(&self) -> Duration {
        let (view, table) = (self.flight.view(), self.flight.table());
        let others = records::records_of(view, table.group)
            .any(|record| settle::may_have_left(view, record));
        let bound = if others || close::closed_at(view).is_some() {
            MAX_SLEEP_WHILE_HELD
        } else {
            MAX_SLEEP
        };
        let next = table.look_due(view);
        let wait = next.saturating_sub(self.flight.clock().now()).min(NEVER);
        bound.min(Duration::from_nanos(nanoseconds_of(wait)).max(Duration::from_millis(1)))
    }
}

fn one<M: Content + ?Sized>(jobs: Option<Vec<Job<M>>>) -> Option<Job<M>> {
    jobs.and_then(|mut jobs| jobs.pop())
}

impl<M: Content + ?Sized> fmt::Debug for Worker<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker")
            .field("queue", &self.queue_name())
            .field("group", &self.group_name())
            .finish_non_exhaustive()
    }
}

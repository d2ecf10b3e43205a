//! The handle that receives for a shared group with messages in flight beside the ring.

mod copies;
mod flight;
mod job;
mod jobs;
mod park;
mod requeue;
mod search;

use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::attach::{Attachment, Mapped};
use crate::clock::HostClock;
use crate::dead_letter::letter::{DeadLetter, DeadLetterSink};
use crate::dead_letter::policy::DeadLetterPolicy;
use crate::error::{JoinError, RecvError};
use crate::group::{self, Group, Mode};
use crate::layout::Identity;
use crate::message::{Content, OneThread};
use crate::packed::Tick;
use crate::ring::cells::Table;
use crate::ring::claim::Corrupt;
use crate::ring::in_flight::CellMember;
pub(crate) use crate::ring::records::Purpose;
use crate::ring::{figures, groups, observe, records};
use crate::wait::{
    self, Check, Deadline, Interrupt, MAX_SLEEP_WHILE_HELD, WaitState, WaitStrategy, Waited,
};
use copies::Copies;
use flight::Flight;
pub use job::Job;
use jobs::{Jobs, One};
use park::CellPark;

/// Claims in a row that other members may win before the head counts as damaged.
const CONTENDED_MAX: u32 = 1 << 16;
/// How many members a search for dead ones asks the kernel about, except for one search a second. Each worker that waits searches
/// 200 times a second: of many that wait, each would ask about all others.
const ASKED_MAX: u32 = 16;

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
    /// Its copies of messages have it, too, and nothing else does.
    flight: Arc<Flight>,
    member: CellMember,
    copies: Copies<M>,
    made_group: bool,
    resumed: bool,
    notices_gone: bool,
    follows: bool,
    wait_state: WaitState,
    /// Tick of its last search for dead members: there is one in each, while there are messages.
    settled: Tick,
    /// When it asked about all members last.
    asked_all: Tick,
    /// The last message came again: the ring has its turn.
    came_again: bool,
    /// The last check found no empty cell.
    full: bool,
    /// The last search stopped because it had made as many dead letters as one search may.
    letters_left: bool,
    /// Checks in a row that found the queue empty.
    empty_checks: u32,
    marker: OneThread<M>,
}

impl<M: Content + ?Sized> Worker<M> {
    pub(crate) fn join(
        mapped: &Arc<Mapped>,
        group: &Group,
        timeout: Duration,
        sink: Box<dyn DeadLetterSink>,
        interrupt: Interrupt,
        purpose: Purpose,
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
        let clock = HostClock::new().map_err(attachment.system("read the clock's offset"))?;
        // Without a timeout, only delays are measured by it, and looks at the cells.
        let without_clock = || Err(JoinError::Clock { queue: queue(), group: name() });
        if clock.is_none() && !exists && group.ack_timeout.is_some() {
            // Before it is made.
            return without_clock();
        }
        let (index, existed) = group::find_or_make(&attachment, &group)?;
        let (made_group, resumed) = (!existed, groups::was_joined(&view, index));
        let corrupt = |Corrupt(what)| JoinError::Corrupt { queue: queue(), what };
        let table = Table::of(&view, index).map_err(corrupt)?.ok_or_else(without)?;
        // Who puts letters needs none, and an operator asks again when taking a message.
        let receives = purpose == Purpose::Receive;
        if receives && clock.is_none() && table.ack_timeout(&view).is_some() {
            return without_clock();
        }
        // An operator may set a timeout at any time.
        let table = if clock.is_none() { table.untimed() } else { table };
        let (identity, target) = Identity::load_with_target(view.group(index)).unzip();
        let max_attempts = identity.as_ref().and_then(group::limit_of);
        let target = target.as_ref().map_or(Ok(None), group::target_name).map_err(corrupt)?;
        let pid = std::process::id();
        let taken = records::take_record(&view, &attachment.leases, index, pid, purpose);
        if made_group && !matches!(taken, Ok(Some(_))) {
            // Leave no half-made group.
            groups::remove_group(&view, &attachment.leases, index).map_err(system)?;
        }
        let Some(record) = taken.map_err(system)? else {
            let (max, live) = group::consumers(&attachment)?;
            return Err(JoinError::TooManyConsumers { queue: queue(), max, live });
        };
        drop(guard);
        let member = CellMember::new(&view, table, record);
        let target = target.as_ref().map(|name| name.as_str());
        let policy =
            DeadLetterPolicy::new(mapped.name.shared(), &group.name, max_attempts, target, sink);
        let flight = Flight::new(attachment, table, record, purpose, &group.name, clock, policy);
        Ok(Worker {
            flight: Arc::new(flight),
            member,
            copies: Copies::new(view.geo().payload_size),
            made_group,
            resumed,
            notices_gone: false,
            follows: false,
            wait_state: WaitState::here(interrupt),
            settled: clock.unwrap_or(HostClock::own()).now(),
            asked_all: 0,
            came_again: false,
            full: false,
            letters_left: false,
            empty_checks: 0,
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

    /// The group's position: the next sequence to be received from the ring by a member. 0 in a child process made by
    /// fork(2).
    pub fn position(&self) -> u64 {
        if self.flight.forked() {
            return 0;
        }
        figures::head(self.flight.view(), self.flight.table().group)
    }

    /// Messages that wait in the ring for the group: published, and received by no member. Unlike
    /// [`GroupInfo::depth`](crate::GroupInfo::depth), it does not count messages in flight. A figure of this moment, without
    /// a system call. 0 in a child process made by fork(2).
    pub fn depth(&self) -> u64 {
        if self.flight.forked() {
            return 0;
        }
        observe::tail(self.flight.view()).saturating_sub(self.position())
    }

    /// Whether the group did not exist, so that this worker made it.
    pub fn made_group(&self) -> bool {
        self.made_group
    }

    /// Whether the group had a member before, so that this one continues from its position. False for a group that was
    /// declared and that nobody has joined yet.
    pub fn resumed(&self) -> bool {
        self.resumed
    }

    /// Messages that the group can have in flight.
    pub fn in_flight_max(&self) -> u32 {
        self.flight.table().len()
    }

    /// How long a job has before any member may take it, this one included, if the group has an ack timeout; see
    /// [`Queue::set_ack_timeout`](crate::Queue::set_ack_timeout). `None` in a child process made by fork(2).
    pub fn ack_timeout(&self) -> Option<Duration> {
        if self.flight.forked() {
            return None;
        }
        self.flight.table().ack_timeout(self.flight.view()).map(Duration::from_nanos)
    }

    /// Whether the last receive found all places of the group in use, so that no more could be received.
    pub fn is_full(&self) -> bool {
        self.full
    }

    /// Jobs of this worker that are neither acked nor given back nor dropped.
    pub fn jobs(&self) -> u64 {
        // Without the worker itself.
        let copies = Arc::strong_count(&self.flight) - 1;
        (copies - self.copies.unused()) as u64
    }

    /// Hands the dead letters of this worker and of its jobs to `handler` instead of sending them to the dead-letter queue. A
    /// message is acked once the handler returns without an error; until then it comes again. Other members of the group are
    /// not affected. It runs in the thread that makes the letter, one call at a time: it must not reject another job of this
    /// worker, which would wait for itself, and receives of this worker that make letters wait for it. A message is kept for it
    /// for 60 s; after that another member may take the message, and make a second letter.
    pub fn on_dead_letter<E>(
        &mut self,
        mut handler: impl FnMut(&DeadLetter<'_>) -> Result<(), E> + Send + 'static,
    ) where
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let handler = Box::new(move |letter: &DeadLetter<'_>| handler(letter).map_err(Into::into));
        self.flight.policy().set_handler(handler);
    }

    /// Calls `tell` with each dead letter that this worker or one of its jobs makes, once the letter is in the dead-letter
    /// queue, or the handler of [`Worker::on_dead_letter`] has taken it. Three calls make a letter, and each calls `tell`
    /// before it returns:
    ///
    /// - [`Job::reject`] and [`Job::reject_untried`];
    /// - [`Job::fail`] and [`Job::fail_after`] after the last attempt that the group allows;
    /// - a receive that finds a message which has had its last attempt. Nothing else reports that letter.
    ///
    /// It runs as the handler does. If it panics, the message is not acked, and becomes a dead letter a second time.
    pub fn notice_dead_letters(&mut self, tell: impl FnMut(&DeadLetter<'_>) + Send + 'static) {
        self.flight.policy().set_notice(Box::new(tell));
    }

    /// Whether a wait fails with [`RecvError::ProducerGone`] while the queue has no producer: the last one was dropped,
    /// or died, without closing the queue. Off by default. As [`Consumer::set_notice_producer_gone`], with messages in
    /// flight as those that another member holds: they do not count.
    ///
    /// [`Consumer::set_notice_producer_gone`]: crate::Consumer::set_notice_producer_gone
    pub fn set_notice_producer_gone(&mut self, on: bool) {
        self.notices_gone = on;
    }

    /// Whether a receive from a closed queue waits for the producer that opens it again, instead of failing with
    /// [`RecvError::Closed`]. Off by default.
    pub fn set_follow(&mut self, on: bool) {
        self.follows = on;
    }

    /// Sets which messages the receives of this worker leave to other members: those that come again without a delay, for
    /// which this would be attempt `from` or a later one. They come from members that died, that were not done in time, or that
    /// gave them back for now: one of them may end each process that works on it. A program that works on several messages
    /// at once takes such a message alone, so that the others are not counted with it, and leaves more of them while it has
    /// one. They stay due: this worker finds them once it leaves none (`None`, as at first), and meanwhile looks every 5 ms in a
    /// wait. A message without attempts left is not one of them, and becomes a dead letter.
    pub fn set_skip_suspects(&mut self, from: Option<u8>) {
        let last = u8::try_from(self.flight.limit()).unwrap_or(u8::MAX);
        self.member.skip = from.map(|from| from..=last);
    }

    /// Asks the kernel whether the queue still has its name. A queue that was removed may still get messages until its
    /// producer notices. One system call.
    ///
    /// # Errors
    /// [`RecvError::Removed`], even if there are messages left to be received; [`RecvError::Forked`] in a forked child.
    pub fn check_removed(&self) -> Result<(), RecvError> {
        if self.flight.forked() {
            return Err(RecvError::Forked { queue: self.queue() });
        }
        let attachment = self.flight.attachment();
        let removed = attachment.leases.removed();
        match removed.map_err(attachment.system("check the queue's file"))? {
            true => Err(RecvError::Removed { queue: self.queue() }),
            false => Ok(()),
        }
    }

    /// Sets how to wait for messages.
    pub fn set_wait_strategy(&mut self, strategy: WaitStrategy) {
        self.wait_state.set_strategy(strategy);
    }

    /// Sets a function that waits of this worker call; see
    /// [`Queue::set_interrupt`](crate::Queue::set_interrupt).
    pub fn set_interrupt(&mut self, interrupt: impl Fn() -> bool + Send + Sync + 'static) {
        self.wait_state.interrupt = Interrupt::new(interrupt);
    }

    /// Receives one message, if there is one.
    ///
    /// # Errors
    /// [`RecvError::Empty`] if there is none now, or it has sent 64 letters and found nothing else, or all places of the
    /// group are in use ([`Worker::is_full`]);
    /// [`RecvError::Closed`] once the queue is closed and the group has acked everything; [`RecvError::DeadLetter`] if a
    /// message that has had its last attempt cannot be made a dead letter: it stays, and the next receive after a second
    /// tries again; else as for [`Consumer::try_recv`](crate::Consumer::try_recv). It blocks only to send such
    /// letters: 64 of them at most, each for the second or so that the role in the queue of dead letters may take. A receive
    /// that waits asks the time, and its interrupt function, after as many.
    pub fn try_recv(&mut self) -> Result<Job<M>, RecvError> {
        let mut found = One(None);
        self.search_for(1, Check::Fast, &mut found)?;
        one(found)
    }

    /// Receives up to `max` messages, if there are some. 0 counts as 1.
    ///
    /// # Errors
    /// As for [`Worker::try_recv`].
    pub fn try_recv_batch(&mut self, max: usize) -> Result<Vec<Job<M>>, RecvError> {
        let mut jobs = Vec::new();
        self.search_for(max, Check::Fast, &mut jobs)?;
        if jobs.is_empty() { Err(RecvError::Empty) } else { Ok(jobs) }
    }

    /// Takes the message of this sequence out of turn, if it is in flight: before it is due again, and also from another
    /// member that has it, whose calls then fail with [`JobError::Evicted`](crate::JobError::Evicted). Counts an attempt,
    /// and no limit of attempts ends it here. For an operator, who [joins](crate::Group::as_operator) to
    /// [reject](Job::reject_untried) a message that fails again and again, and to touch no other. Of several messages of this sequence, such as a dead letter that was sent again, it
    /// takes the one that was delivered most often. `None` if none is in flight, or if another member takes or acks it at
    /// this moment. Does not block.
    ///
    /// # Errors
    /// [`RecvError::Forked`] in a forked child; [`RecvError::Clock`] if this process's clock cannot be compared with the host's and
    /// the group has an ack timeout now.
    #[cold]
    pub fn take(&mut self, sequence: u64) -> Result<Option<Job<M>>, RecvError> {
        if self.flight.forked() {
            return Err(RecvError::Forked { queue: self.queue() });
        }
        self.flight.check_clock()?;
        let (view, now) = (self.flight.view(), self.flight.clock().now());
        let taken = self.member.take_sequence(view, sequence, now);
        let job = taken.map(|message| self.job(&message));
        // To an operator it is not delivered.
        if self.flight.receives() && job.as_ref().is_some_and(Job::redelivered) {
            self.flight.count_redelivery();
        }
        Ok(job)
    }

    /// Receives one message, waiting for it as long as it takes.
    ///
    /// # Errors
    /// As for [`Worker::try_recv`], but never [`RecvError::Empty`]; [`RecvError::Interrupted`].
    pub fn recv(&mut self) -> Result<Job<M>, RecvError> {
        one(self.recv_by(1, Deadline::NEVER)?)
    }

    /// Receives one message, waiting for it at most `timeout`.
    ///
    /// # Errors
    /// [`RecvError::Timeout`]; else as for [`Worker::recv`].
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<Job<M>, RecvError> {
        one(self.recv_by(1, Deadline::after(timeout))?)
    }

    /// Receives one message, waiting for it until `deadline` at most.
    ///
    /// # Errors
    /// As for [`Worker::recv_timeout`].
    pub fn recv_deadline(&mut self, deadline: Instant) -> Result<Job<M>, RecvError> {
        one(self.recv_by(1, Deadline::at(deadline))?)
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

    /// Receives up to `max` messages, waiting for the first until `deadline` at most.
    ///
    /// # Errors
    /// As for [`Worker::recv_timeout`].
    pub fn recv_batch_deadline(
        &mut self,
        max: usize,
        deadline: Instant,
    ) -> Result<Vec<Job<M>>, RecvError> {
        self.recv_by(max, Deadline::at(deadline))
    }

    fn recv_by<J>(&mut self, max: usize, deadline: Deadline) -> Result<J, RecvError>
    where
        J: Jobs<M>,
    {
        let (view, group) = (*self.flight.view(), self.flight.table().group);
        let (full, longest) = (Cell::new(false), Cell::new(MAX_SLEEP_WHILE_HELD));
        let park = CellPark::new(&view, group, &full, &longest);
        let mut wait_state = self.wait_state.clone();
        let worked = Cell::new(false);
        let found = wait::until_beside_work(deadline, &mut wait_state, park, &worked, |check| {
            let found = self.search(max, check);
            worked.set(self.letters_left);
            if check == Check::Full && matches!(found, Ok(None)) {
                full.set(self.full);
                longest.set(self.longest_sleep());
            }
            found
        })?;
        self.wait_state = wait_state;
        match found {
            Waited::Found(jobs) => Ok(jobs),
            Waited::TimedOut => Err(RecvError::Timeout { queue: self.queue() }),
            Waited::Interrupted => Err(RecvError::Interrupted { queue: self.queue() }),
        }
    }

    /// The queue's name, for an error.
    #[cold]
    pub(crate) fn queue(&self) -> Arc<str> {
        self.flight.queue().clone()
    }
}

#[inline]
fn one<M: Content + ?Sized>(One(job): One<M>) -> Result<Job<M>, RecvError> {
    job.ok_or_else(|| RecvError::Empty)
}

impl<M: Content + ?Sized> fmt::Debug for Worker<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker")
            .field("queue", &self.queue_name())
            .field("group", &self.group_name())
            .finish_non_exhaustive()
    }
}

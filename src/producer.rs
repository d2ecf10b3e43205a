//! The handle that publishes.

#![allow(unsafe_code)]

mod batch;
pub(crate) mod progress;
mod room;

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::attach::{Attachment, Mapped};
use crate::clock::coarse_ns;
use crate::control::ControlGuard;
use crate::error::{BlockingGroup, ControlError, ProducerError, SendError, known_pid};
use crate::layout::config::Config;
use crate::layout::{Meta, lease_byte};
use crate::message::{Content, OneThread, Outgoing};
use crate::ring::claim::Corrupt;
use crate::ring::close;
use crate::ring::figures::{self, ProducerCounts};
use crate::ring::notify;
use crate::ring::publish::{Publisher, fill, stamp};
use crate::sync::lease::{give_back, try_take};
use crate::sys::holder;
use crate::wait::{Check, Deadline};
use crate::wait::{Interrupt, WaitState, WaitStrategy};
use progress::Progress;

/// The queue's producer: there is one at a time. `Send`, not `Sync`.
///
/// A send takes no lock and allocates nothing. While there is room and no consumer sleeps, it makes one system call in
/// some milliseconds, to check that the queue was not removed. A message is visible to all groups as soon as `send`
/// returns; messages of a batch become visible one after the other.
///
/// If the queue is removed, sends fail with [`SendError::Removed`]: a call that waits, times out or closes the queue
/// fails at once, and other sends fail within 256 messages after the last check is some 10 ms old (a reservation of
/// more than 256 messages is published whole). The error says which messages were sent after that check.
/// [`Producer::check_removed`] checks at once. Renaming a queue does not remove it.
///
/// When a producer is killed, the next one continues in the same queue: what was published stays, and a message that
/// was half written does not exist.
///
/// ```compile_fail,E0277
/// fn share<T: Sync>() {}
/// share::<slipring::Producer>();
/// ```
pub struct Producer<M: Content + ?Sized = [u8]> {
    pub(crate) publisher: Publisher,
    pub(crate) attachment: Attachment,
    lengths: Lengths,
    /// Payload bytes published and times the queue was full, stored in the segment on the slow path. They continue from
    /// the segment's figures, so they wrap.
    bytes: u64,
    full: u64,
    /// Below this sequence `bytes` counts the messages of a typed producer: all have one length.
    counted: u64,
    /// Below it there is room, and no check of the name is due.
    bound: u64,
    /// At most `bound`, and at most where the reclaimed slots end: below it a message is written at once.
    ready: u64,
    /// The tail and the time at the last check that found the name.
    name_seen_tail: u64,
    name_seen_at: u64,
    /// From this sequence on, the slow path decides whether the next check is due.
    check_name_at: u64,
    /// Times the queue was full since that check.
    tries: u32,
    /// The group that kept the queue full at the last check, with its generation, and its members; `None` once there
    /// was room.
    last_full: Option<(Option<(u8, u64)>, BlockingGroup)>,
    wait_state: WaitState,
    /// Of the streams that it has sent for, by their indexes in the table.
    pub(crate) progress: Vec<Option<Progress>>,
    reopened: bool,
    marker: OneThread<M>,
}

impl<M: Content + ?Sized> Producer<M> {
    /// Takes the role, waiting for it until `deadline`, and for the control lease at most `timeout` at each try.
    pub(crate) fn attach(
        mapped: &Arc<Mapped>,
        timeout: Duration,
        deadline: Deadline,
        interrupt: Interrupt,
    ) -> Result<Self, ProducerError> {
        let attachment = Attachment::new(mapped)?;
        // Under the control lease, so that a removal notices every role.
        let control = take_role(&attachment, timeout, deadline, &interrupt)?;
        figures::set_producer_pid(&attachment.view);
        let ProducerCounts { bytes, full } = figures::producer_counts(&attachment.view);
        let publisher = Publisher::take_over(&attachment.view).map_err(|Corrupt(what)| {
            ProducerError::Corrupt { queue: attachment.queue().clone(), what }
        })?;
        let reopened = close::closed_at(&attachment.view).is_some();
        close::reopen(&attachment.view);
        drop(control);
        let wait_state = WaitState::here(interrupt);
        let (bound, name_seen_tail) = (publisher.tail(), publisher.tail());
        let lengths = Lengths::of(&mapped.config);
        Ok(Producer {
            publisher,
            attachment,
            lengths,
            bytes,
            full,
            counted: bound,
            bound,
            ready: 0,
            name_seen_tail,
            name_seen_at: coarse_ns(),
            check_name_at: bound,
            tries: 0,
            last_full: None,
            wait_state,
            progress: Vec::new(),
            reopened,
            marker: PhantomData,
        })
    }

    /// Whether the queue was closed when this producer took the role, which opened it again. A program that sends nothing
    /// [closes](Producer::close) it then.
    pub fn reopened(&self) -> bool {
        self.reopened
    }

    /// Sets how to wait for room.
    pub fn set_wait_strategy(&mut self, strategy: WaitStrategy) {
        self.wait_state.set_strategy(strategy);
    }

    /// Sets a function that waits of this producer call; if it returns `true`, the wait ends with `Interrupted`. It
    /// replaces the one that the producer has from its [`Queue`](crate::Queue). See
    /// [`Queue::set_interrupt`](crate::Queue::set_interrupt).
    pub fn set_interrupt(&mut self, interrupt: impl Fn() -> bool + Send + Sync + 'static) {
        self.wait_state.interrupt = Interrupt::new(interrupt);
    }

    /// Name of the queue that it sends to.
    pub fn queue_name(&self) -> &str {
        self.attachment.queue()
    }

    /// Messages that can be sent now without waiting: the capacity less the slots from the oldest message that some
    /// group has not acked. Acks may raise the number at any time; only a group that joins can lower it. Reads the
    /// heads of all groups, without a system call. 0 in a child process made by fork(2).
    pub fn free_slots(&self) -> u64 {
        self.free()
    }

    /// The sequence that the next message will get.
    pub fn sequence(&self) -> u64 {
        self.publisher.tail()
    }

    /// Sends one message if there is room; returns its sequence. Never blocks.
    ///
    /// # Errors
    /// [`SendError::Full`] names the group that keeps the queue full. After any error, the message was not sent.
    #[inline]
    pub fn try_send<'m>(&mut self, message: impl Into<Outgoing<'m, M>>) -> Result<u64, SendError>
    where
        M: 'm,
    {
        self.send_after(message.into(), |this| this.room(1, Check::Fast))
    }

    /// Sends one message, waiting for room as long as it takes; returns its sequence.
    ///
    /// # Errors
    /// As for [`Producer::try_send`], but never [`SendError::Full`]; [`SendError::Interrupted`] if the function of
    /// [`Producer::set_interrupt`] returned `true`.
    #[inline]
    pub fn send<'m>(&mut self, message: impl Into<Outgoing<'m, M>>) -> Result<u64, SendError>
    where
        M: 'm,
    {
        self.send_by(message.into(), || Deadline::NEVER)
    }

    /// Sends one message, waiting for room at most `timeout`; returns its sequence.
    ///
    /// # Errors
    /// [`SendError::Timeout`] names the group that keeps the queue full; else as for [`Producer::try_send`].
    pub fn send_timeout<'m>(
        &mut self,
        message: impl Into<Outgoing<'m, M>>,
        timeout: Duration,
    ) -> Result<u64, SendError>
    where
        M: 'm,
    {
        self.send_by(message.into(), || Deadline::after(timeout))
    }

    /// Sends one message, waiting for room until `deadline` at most; returns its sequence.
    ///
    /// # Errors
    /// As for [`Producer::send_timeout`].
    pub fn send_deadline<'m>(
        &mut self,
        message: impl Into<Outgoing<'m, M>>,
        deadline: Instant,
    ) -> Result<u64, SendError>
    where
        M: 'm,
    {
        self.send_by(message.into(), || Deadline::at(deadline))
    }

    #[inline]
    fn send_by(
        &mut self,
        message: Outgoing<'_, M>,
        deadline: impl Fn() -> Deadline,
    ) -> Result<u64, SendError> {
        self.send_after(message, |this| this.wait_for_room(1, deadline))
    }

    /// Sends one message, after `find_room` where that is not known to be there.
    #[inline(always)]
    fn send_after(
        &mut self,
        message: Outgoing<'_, M>,
        find_room: impl FnOnce(&mut Self) -> Result<(), SendError>,
    ) -> Result<u64, SendError> {
        let bytes = self.fitting(message.content)?;
        if !self.is_ready() {
            find_room(self)?;
            self.make_ready();
        }
        let Producer { publisher, attachment, .. } = &mut *self;
        // A copy: the compiler must assume that a store to the slot changes the fields of a handle.
        let (seq, ring) = (publisher.tail(), *attachment.view.ring());
        let slot = ring.slot(seq);
        // SAFETY: `fitting` was called; there is room, and slots below `ready` are reclaimed, as by `make_ready`.
        unsafe { fill(&slot, Meta::of(bytes, message.kind), bytes, M::SCHEMA.is_some()) };
        stamp(&slot, seq);
        publisher.advance_to(&attachment.view, seq + 1);
        self.count_bytes(bytes.len() as u64);
        Ok(seq)
    }

    /// Closes the queue: declares that there will be no more messages, and gives up the role. Consumers receive what is
    /// there, and then get [`RecvError::Closed`](crate::RecvError::Closed), once their group has acked everything: a
    /// message that another member still holds would be theirs if that member died. Observers get it once they have
    /// read the last message. So do consumers and observers that come later, until a new producer opens the queue again
    /// by taking the role.
    ///
    /// A producer that is dropped, or dies, leaves the queue open.
    ///
    /// # Errors
    /// [`SendError::Forked`] if this handle was made before a fork; the queue stays open. [`SendError::Removed`] if the
    /// queue has lost its name; attached consumers find it closed all the same.
    pub fn close(mut self) -> Result<(), SendError> {
        if self.attachment.leases.forked() {
            return Err(SendError::Forked { queue: self.queue() });
        }
        close::close(&self.attachment.view, self.publisher.tail());
        // After the closing: a name that is there now was there when the queue was closed.
        self.check_name()
    }

    /// Checks that the queue still has its name. If so, everything that was sent until now is in a queue that consumers
    /// can join. One system call; for programs that do not close the queue when they are done.
    ///
    /// # Errors
    /// [`SendError::Removed`] says what was sent since the last check that found the name.
    pub fn check_removed(&mut self) -> Result<(), SendError> {
        if self.attachment.leases.forked() {
            return Err(SendError::Forked { queue: self.queue() });
        }
        self.check_name()
    }

    #[inline]
    pub(crate) fn slots(&self, n: usize) -> Result<u64, SendError> {
        let slots = n as u64;
        if slots > self.attachment.view.geo().capacity { Err(self.too_many(n)) } else { Ok(slots) }
    }

    #[cold]
    fn too_many(&self, asked: usize) -> SendError {
        let capacity = self.attachment.view.geo().capacity;
        SendError::TooMany { queue: self.queue(), asked, capacity }
    }

    /// The message's bytes, if the queue takes messages of that length.
    #[inline(always)]
    pub(crate) fn fitting<'m>(&self, content: &'m M) -> Result<&'m [u8], SendError> {
        let bytes = content.to_payload();
        if self.lengths.take::<M>(bytes.len()) { Ok(bytes) } else { Err(self.misfit(bytes.len())) }
    }

    #[cold]
    fn misfit(&self, len: usize) -> SendError {
        let (queue, max) = (self.queue(), self.attachment.view.geo().payload_size);
        if len > max {
            SendError::TooLong { queue, len, max }
        } else {
            SendError::WrongLength { queue, len, expected: max }
        }
    }

    /// Which queue it is: the random number that the queue got when it was created.
    pub(crate) fn instance(&self) -> [u64; 2] {
        self.attachment.mapped.config.instance
    }

    /// The queue's name, for an error.
    #[cold]
    pub(crate) fn queue(&self) -> Arc<str> {
        self.attachment.queue().clone()
    }

    /// Counts published bytes. Those of typed messages follow from the tail, in [`Producer::write_counters`].
    #[inline(always)]
    pub(crate) fn count_bytes(&mut self, bytes: u64) {
        if M::SCHEMA.is_none() {
            // Wrapping: it continues from a word that any process may have garbled.
            self.bytes = self.bytes.wrapping_add(bytes);
        }
    }

    fn write_counters(&mut self) {
        if let Some(schema) = M::SCHEMA {
            let messages = self.publisher.tail() - self.counted;
            self.bytes = self.bytes.wrapping_add(messages.wrapping_mul(schema.size as u64));
            self.counted += messages;
        }
        let counts = ProducerCounts { bytes: self.bytes, full: self.full };
        figures::set_producer_counts(&self.attachment.view, counts);
    }
}

impl<M: Content + ?Sized> fmt::Debug for Producer<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Producer")
            .field("queue", &self.queue_name())
            .field("sequence", &self.sequence())
            .finish_non_exhaustive()
    }
}

/// Lengths of the messages that a queue takes.
#[derive(Clone, Copy, Debug)]
struct Lengths {
    least: usize,
    /// How much longer the longest is.
    span: usize,
}

impl Lengths {
    fn of(config: &Config) -> Lengths {
        let most = config.payload_size as usize;
        let least = if config.schema_hash == 0 { 0 } else { most };
        Lengths { least, span: most - least }
    }

    #[inline(always)]
    fn take<M: Content + ?Sized>(self, len: usize) -> bool {
        // A typed handle was made for a queue of its type.
        M::SCHEMA.is_some() || len.wrapping_sub(self.least) <= self.span
    }
}

impl<M: Content + ?Sized> Drop for Producer<M> {
    fn drop(&mut self) {
        // In a forked child nothing is mapped, and the role is the parent's.
        if !self.attachment.leases.forked() {
            self.write_counters();
            figures::clear_producer_pid(&self.attachment.view);
            give_back(&self.attachment.leases, lease_byte::PRODUCER);
            // Some consumers want to know that the producer is gone.
            notify::all_groups(&self.attachment.view);
        }
    }
}

/// The first and the longest pause between two checks whether the role is free. A wait pauses for a sixteenth of the
/// time that it has lasted.
const PAUSE_MIN: Duration = Duration::from_micros(100);
const PAUSE_MAX: Duration = Duration::from_millis(10);

/// Takes the producer's lease. While it waits it holds nothing, so it does not block other processes.
fn take_role<'a>(
    attachment: &'a Attachment,
    timeout: Duration,
    deadline: Deadline,
    interrupt: &Interrupt,
) -> Result<ControlGuard<'a>, ProducerError> {
    let system = attachment.system("take the producer's lease");
    let since = Instant::now();
    loop {
        let control = attachment.control(timeout)?;
        if try_take(&attachment.leases, lease_byte::PRODUCER).map_err(system)? {
            return Ok(control);
        }
        drop(control);
        // Checks without taking the control lease: that is for processes that find the role free.
        while attachment.leases.is_held(lease_byte::PRODUCER).map_err(system)? {
            let left = deadline.left();
            if left.is_zero() {
                let pid = known_pid(figures::producer_pid(&attachment.view));
                let queue = attachment.queue().clone();
                let own = holder::is_own(pid, attachment.mapped.id(), lease_byte::PRODUCER);
                return Err(ProducerError::Taken { queue, pid, own });
            }
            if interrupt.is_requested() {
                return Err(ProducerError::Interrupted { queue: attachment.queue().clone() });
            }
            thread::sleep(left.min((since.elapsed() / 16).clamp(PAUSE_MIN, PAUSE_MAX)));
            if attachment.leases.removed().map_err(system)? {
                return Err(ControlError::Removed { queue: attachment.queue().clone() }.into());
            }
        }
    }
}

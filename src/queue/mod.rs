//! The queue as a whole: made, opened, listed, removed, and the place where handles come from.

mod builder;
mod consumer;
mod difference;
mod remove;

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::{Duration, Instant};

use zerocopy::IntoBytes;

pub use builder::Builder;
pub use difference::Difference;
pub use remove::{force_remove, list, remove};

use crate::attach::{Attachment, CONTROL_TIMEOUT, Mapped};
use crate::error::{AddGroupError, AttachError, OpenError, ProducerError, RemoveGroupError};
use crate::group::{self, Group, Start};
pub use crate::layout::WakeMode;
use crate::layout::config::Config;
use crate::layout::lease_byte;
use crate::message::{Content, fields_text, first_difference};
use crate::observer::Observer;
use crate::producer::Producer;
use crate::segment::{LeaseFile, Memory, QueueName, Trust, open_read_only, open_shared};
use crate::snapshot::{MemberInfo, Snapshot, unacked};
use crate::sys::holder;
use crate::wait::Deadline;
use crate::wait::Interrupt;

/// How to open a queue that exists.
///
/// ```no_run
/// let queue = slipring::OpenOptions::new().allow_owner(1000).open("ticks")?;
/// # let _ = queue;
/// # Ok::<(), slipring::OpenError>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "options do nothing until something is opened with them"]
pub struct OpenOptions {
    pub(crate) trust: Trust,
    pub(crate) memory: Memory,
    pub(crate) timeout: Duration,
}

impl Default for OpenOptions {
    fn default() -> OpenOptions {
        OpenOptions { trust: Trust::default(), memory: Memory::default(), timeout: CONTROL_TIMEOUT }
    }
}

impl OpenOptions {
    /// Queues of this user only, memory as it comes.
    pub fn new() -> OpenOptions {
        OpenOptions::default()
    }

    /// Also opens queues that belong to user `uid`. Whoever can write a queue can garble its messages.
    pub fn allow_owner(mut self, uid: u32) -> OpenOptions {
        self.trust.uids.push(uid);
        self
    }

    /// Brings all pages into the process's page table at once, so that no first touch is slow later.
    pub fn prefault(mut self, on: bool) -> OpenOptions {
        self.memory.prefault = on;
        self
    }

    /// Keeps all pages in memory (mlock(2)).
    pub fn mlock(mut self, on: bool) -> OpenOptions {
        self.memory.lock = on;
        self
    }

    /// How long control operations wait for one another; 5 s by default.
    pub fn control_timeout(mut self, timeout: Duration) -> OpenOptions {
        self.timeout = timeout;
        self
    }

    /// Opens the queue called `name` for taking part in it, with messages as bytes. Any queue can be opened so.
    ///
    /// # Errors
    /// [`OpenError`] has one variant for each thing that can be wrong with it.
    pub fn open(&self, name: &str) -> Result<Queue, OpenError> {
        self.open_typed(name)
    }

    /// The same, with messages of type `M` (or bytes, if `M` is `[u8]`).
    ///
    /// # Errors
    /// As for [`OpenOptions::open`]; [`OpenError::WrongSchema`] if the queue carries something else.
    pub fn open_typed<M: Content + ?Sized>(&self, name: &str) -> Result<Queue<M>, OpenError> {
        let name = QueueName::new(name)?;
        let opened = open_shared(&name, &self.trust)?;
        self.memory.apply(name.shared(), &opened.region)?;
        opened.prepare_to_wake(&name)?;
        check_schema::<M>(&name, &opened.config)?;
        let (mapped, _) = Mapped::new(name, opened)?;
        Ok(Queue::new(mapped, self.trust.clone(), self.timeout))
    }

    /// Opens the queue called `name` for watching from `start` on, with messages as bytes: its memory is mapped read-only.
    /// Read permission is enough; root may watch everybody's queues.
    ///
    /// # Errors
    /// As for [`OpenOptions::open`].
    pub fn observe(&self, name: &str, start: Start) -> Result<Observer, OpenError> {
        self.observe_typed(name, start)
    }

    /// The same, with messages of type `M` (or bytes, if `M` is `[u8]`).
    ///
    /// # Errors
    /// As for [`OpenOptions::open_typed`].
    pub fn observe_typed<M: Content + ?Sized>(
        &self,
        name: &str,
        start: Start,
    ) -> Result<Observer<M>, OpenError> {
        let name = QueueName::new(name)?;
        let opened = open_read_only(&name, &self.trust)?;
        check_schema::<M>(&name, &opened.config)?;
        let (mapped, file) = Mapped::new(name, opened)?;
        Observer::new(Arc::new(mapped), file, start, Interrupt::default())
    }

    /// Looks at the state of the queue called `name`, read-only. Root may look at everybody's queues.
    ///
    /// # Errors
    /// As for [`OpenOptions::open`].
    pub fn snapshot(&self, name: &str) -> Result<Snapshot, OpenError> {
        let (mapped, file) = self.map_read_only(name)?;
        Ok(Snapshot::take(&mapped, &file)?)
    }

    pub(crate) fn map_read_only(&self, name: &str) -> Result<(Mapped, LeaseFile), OpenError> {
        let name = QueueName::new(name)?;
        let opened = open_read_only(&name, &self.trust)?;
        Ok(Mapped::new(name, opened)?)
    }
}

/// Whether a queue holds what a handle for `M` expects. Bytes handles take any queue.
fn check_schema<M: Content + ?Sized>(name: &QueueName, config: &Config) -> Result<(), OpenError> {
    let Some(schema) = M::SCHEMA else { return Ok(()) };
    if config.schema_hash == schema.hash && config.payload_size == schema.size as u64 {
        return Ok(());
    }
    let show = |name: &str, hash: u64, size: u64| match hash {
        0 => format!("bytes (payload size {size})"),
        hash => format!("messages {name:?} (fields {hash:016x}, {size} bytes)"),
    };
    let difference = match config.schema_hash {
        0 => None,
        _ => Some(first_difference(config.schema_fields(), &fields_text(schema.fields))),
    };
    Err(OpenError::WrongSchema {
        queue: name.shared().clone(),
        found: show(config.schema_name(), config.schema_hash, config.payload_size),
        expected: show(schema.name, schema.hash, schema.size as u64),
        difference,
    })
}

/// A queue that is open in this process. Cheap to clone; handles keep the mapping alive by themselves.
///
/// `Queue<[u8]>`, the default, is for bytes up to the payload size; `Queue<T>` for a
/// [`Message`](crate::Message) `T`.
pub struct Queue<M: Content + ?Sized = [u8]> {
    pub(crate) mapped: Arc<Mapped>,
    pub(crate) trust: Trust,
    pub(crate) timeout: Duration,
    pub(crate) interrupt: Interrupt,
    marker: PhantomData<fn(&M)>,
}

impl<M: Content + ?Sized> Clone for Queue<M> {
    fn clone(&self) -> Self {
        Queue {
            mapped: Arc::clone(&self.mapped),
            trust: self.trust.clone(),
            timeout: self.timeout,
            interrupt: self.interrupt.clone(),
            marker: PhantomData,
        }
    }
}

impl<M: Content + ?Sized> fmt::Debug for Queue<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue")
            .field("name", &self.name())
            .field("capacity", &self.capacity())
            .field("payload_size", &self.payload_size())
            .finish_non_exhaustive()
    }
}

impl Queue<[u8]> {
    /// Opens the queue called `name`, with messages as bytes. Any queue can be opened so. See [`OpenOptions`] for more.
    ///
    /// # Errors
    /// [`OpenError`] has one variant for each thing that can be wrong with it.
    pub fn open(name: &str) -> Result<Queue, OpenError> {
        OpenOptions::new().open(name)
    }

    /// Opens the queue called `name`, with messages of type `M` (or bytes, if `M` is `[u8]`).
    ///
    /// ```
    /// # let name = format!("doc-open-typed-{}", std::process::id());
    /// slipring::message! {
    ///     struct Tick {
    ///         price: u64,
    ///     }
    /// }
    /// # let queue = slipring::Queue::builder(&name).message::<Tick>().create()?;
    /// let queue = slipring::Queue::open_typed::<Tick>(&name)?;
    /// queue.producer()?.send(&Tick { price: 12 })?;
    /// # slipring::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As for [`Queue::open`]; [`OpenError::WrongSchema`] if the queue carries something else.
    pub fn open_typed<M: Content + ?Sized>(name: &str) -> Result<Queue<M>, OpenError> {
        OpenOptions::new().open_typed(name)
    }
}

impl<M: Content + ?Sized> Queue<M> {
    fn new(mapped: Mapped, trust: Trust, timeout: Duration) -> Queue<M> {
        let interrupt = Interrupt::default();
        Queue { mapped: Arc::new(mapped), trust, timeout, interrupt, marker: PhantomData }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.mapped.name.as_str()
    }

    /// Messages that fit: a power of two.
    pub fn capacity(&self) -> u64 {
        self.mapped.view().geo().capacity
    }

    /// Bytes of the longest message that fits.
    pub fn payload_size(&self) -> usize {
        self.mapped.view().geo().payload_size
    }

    /// How those who wait are woken.
    pub fn wake_mode(&self) -> WakeMode {
        self.mapped.config.wake()
    }

    /// Sets a function that waits call; if it returns `true`, the wait ends with `Interrupted`. The waits are those of handles
    /// that are made from this queue (or a clone of it) from now on, and those for the producer's role. A program uses it to
    /// end its waits when it is told to stop, by a signal say. Without such a function, a wait goes on after a signal's
    /// handler has returned.
    ///
    /// A wait asks where it has looked and found nothing: before it sleeps and after it, and once in a millisecond
    /// while it stays awake. If the answer is `true`, it ends with `Interrupted`
    /// ([`RecvError::Interrupted`](crate::RecvError::Interrupted),
    /// [`SendError::Interrupted`](crate::SendError::Interrupted) and others of that name). Nothing is received or sent
    /// then, and nothing is lost: the same call can be made again. What is there is received, and what there is room for
    /// is sent, whatever the answer: a program that wants to stop beside a stream looks at its flag itself.
    ///
    /// A signal ends the sleep of the thread in which its handler runs, and the wait asks at once. If the handler
    /// runs in another thread, or between the question and the sleep, the wait asks when it wakes: after 100 ms at the
    /// latest. So it is with a [`Select`](crate::Select) and a handler that has SA_RESTART. Not asked are futures, which end when they are dropped, and the waits for other control operations and
    /// for a turn at the dead-letter queue, which end within some seconds.
    ///
    /// The closure is called in the thread that waits, and often, so it should be quick: load an atomic, say. If it
    /// panics, so does the wait; nothing is received or sent then either.
    ///
    /// ```
    /// # let name = format!("doc-interrupt-{}", std::process::id());
    /// use std::sync::Arc;
    /// use std::sync::atomic::{AtomicBool, Ordering};
    /// use slipring::{Queue, RecvError};
    ///
    /// // Set by a handler of SIGINT: signal_hook::flag::register(SIGINT, stop.clone()), for example.
    /// let stop = Arc::new(AtomicBool::new(false));
    /// let mut queue = Queue::builder(&name).capacity(8).group("work").create()?;
    /// let asked = stop.clone();
    /// queue.set_interrupt(move || asked.load(Ordering::Relaxed));
    /// let mut consumer = queue.consumer("work")?;
    /// # stop.store(true, Ordering::Relaxed);
    /// match consumer.recv() {
    ///     Ok(message) => message.ack()?,
    ///     Err(RecvError::Interrupted { .. }) => println!("told to stop"),
    ///     Err(error) => return Err(error.into()),
    /// }
    /// # drop(consumer);
    /// # slipring::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set_interrupt(&mut self, interrupt: impl Fn() -> bool + Send + Sync + 'static) {
        self.interrupt = Interrupt::new(interrupt);
    }

    /// Takes the role of the producer, after a dead one if there was one. A queue has one producer at a time; this
    /// does not wait for it (see [`Queue::producer_timeout`]), only for other control operations, at most the
    /// control timeout.
    ///
    /// # Errors
    /// [`ProducerError::Taken`] names the process that has it.
    pub fn producer(&self) -> Result<Producer<M>, ProducerError> {
        self.producer_by(Deadline::after(Duration::ZERO))
    }

    /// The same, waiting at most `timeout` for the producer that there is to end. For programs that send a little
    /// now and then from many processes: each takes the role, sends, and drops it. They get it in no certain order.
    ///
    /// It looks again and again, every 10 ms at last, and keeps nobody from joining or leaving meanwhile.
    ///
    /// # Errors
    /// [`ProducerError::Taken`] if the time is up and the role is still taken;
    /// [`ControlError::Removed`](crate::ControlError::Removed) in a [`ProducerError`] if the queue is removed meanwhile.
    ///
    /// ```
    /// # let name = format!("doc-turn-{}", std::process::id());
    /// # let queue = slipring::Queue::builder(&name).capacity(8).group("work").create()?;
    /// use std::time::Duration;
    /// queue.producer_timeout(Duration::from_secs(10))?.send("a job")?;
    /// # slipring::force_remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn producer_timeout(&self, timeout: Duration) -> Result<Producer<M>, ProducerError> {
        self.producer_by(Deadline::after(timeout))
    }

    /// The same, waiting until `deadline` at most.
    ///
    /// # Errors
    /// As for [`Queue::producer_timeout`].
    pub fn producer_deadline(&self, deadline: Instant) -> Result<Producer<M>, ProducerError> {
        self.producer_by(Deadline::at(deadline))
    }

    fn producer_by(&self, deadline: Deadline) -> Result<Producer<M>, ProducerError> {
        Producer::attach(&self.mapped, self.timeout, deadline, self.interrupt.clone())
    }

    /// Watches the queue from `start` on, through a read-only mapping of its own.
    ///
    /// # Errors
    /// [`OpenError::NotFound`] if the queue has lost its name meanwhile.
    pub fn observer(&self, start: Start) -> Result<Observer<M>, OpenError> {
        let (mapped, file) = self.map_read_only()?;
        Observer::new(Arc::new(mapped), file, start, self.interrupt.clone())
    }

    /// Maps the queue once more, read-only, if its name is still its own.
    pub(crate) fn map_read_only(&self) -> Result<(Mapped, LeaseFile), OpenError> {
        let opened = open_read_only(&self.mapped.name, &self.trust)?;
        // All of it: what was checked when this queue was opened must still be true.
        if opened.config.as_bytes() != self.mapped.config.as_bytes() {
            return Err(OpenError::NotFound { queue: self.mapped.name.shared().clone() });
        }
        Ok(Mapped::new(self.mapped.name.clone(), opened)?)
    }

    /// The pid of `member`, if that is proved to be its pid in this process's namespace: it holds the member's
    /// lease now, says /proc. Else a signal to that pid could hit another process: the member may be in
    /// another pid namespace or be gone, or /proc may not say (it shows other users' processes to root alone).
    pub fn pid_here(&self, member: &MemberInfo) -> Option<u32> {
        let lease = lease_byte::consumer(member.record);
        member.pid.filter(|pid| holder::holds(*pid, self.mapped.id(), lease))
    }

    /// Makes a group without joining it. Messages wait for it from now on.
    ///
    /// # Errors
    /// [`AddGroupError::Exists`]; [`GroupError`](crate::GroupError) if it cannot be made as it is asked for, or the table
    /// is full.
    pub fn add_group(&self, group: impl Into<Group>) -> Result<(), AddGroupError> {
        let attachment = Attachment::new(&self.mapped)?;
        group::declare(&attachment, &group.into(), self.timeout)
    }

    /// Removes a group that has acked everything.
    ///
    /// # Errors
    /// [`RemoveGroupError::Busy`] names its live members;
    /// [`RemoveGroupError::Unacked`] says how many messages it has not acked. Nothing has changed then.
    pub fn remove_group(&self, name: &str) -> Result<(), RemoveGroupError> {
        let attachment = Attachment::new(&self.mapped)?;
        group::remove(&attachment, name, self.timeout, || {
            let groups = unacked(&self.mapped, &attachment.leases)?.0;
            Ok(groups.iter().find(|(group, _)| group == name).map_or(0, |(_, messages)| *messages))
        })
    }

    /// Removes a group and with it its claim on messages that it has not acked, which it will never get then.
    ///
    /// # Errors
    /// [`RemoveGroupError::Busy`] names its live members, whom this does not remove either. Nothing has changed then.
    pub fn force_remove_group(&self, name: &str) -> Result<(), RemoveGroupError> {
        let attachment = Attachment::new(&self.mapped)?;
        group::remove(&attachment, name, self.timeout, || Ok(0))
    }

    /// The queue's state at this moment.
    ///
    /// # Errors
    /// [`AttachError::Removed`] if the queue has lost its name; else if the system refuses to look at its file.
    pub fn snapshot(&self) -> Result<Snapshot, AttachError> {
        let attachment = Attachment::new(&self.mapped)?;
        Ok(Snapshot::take(&self.mapped, &attachment.leases)?)
    }
}

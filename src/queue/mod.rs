//! The queue as a whole: creating, opening, listing and removing it, and making handles.

mod builder;
mod consumer;
mod difference;
mod evict;
mod remove;
mod worker;

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::{Duration, Instant};

use zerocopy::IntoBytes;

pub use builder::Builder;
pub use difference::Difference;
pub use evict::Evictions;
pub use remove::{force_remove, list, remove};

use crate::attach::{Attachment, CONTROL_TIMEOUT, Mapped};
use crate::error::{
    AckTimeoutError, AddGroupError, AttachError, OpenError, ProducerError, RemoveGroupError,
};
use crate::group::{self, Group, Start};
pub use crate::layout::WakeMode;
use crate::layout::config::Config;
use crate::layout::lease_byte;
use crate::message::{Content, fields_text, first_difference};
use crate::observer::Observer;
use crate::producer::Producer;
use crate::segment::{LeaseFile, Memory, QueueName, Trust, open_read_only, open_shared};
use crate::snapshot::{MemberInfo, Snapshot, unacked};
use crate::source::StreamInfo;
use crate::sys::holder;
use crate::wait::Deadline;
use crate::wait::Interrupt;

/// How to open an existing queue.
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
    /// Opens only queues of this user, without prefault or lock.
    pub fn new() -> OpenOptions {
        OpenOptions::default()
    }

    /// Also opens queues of user `uid`. A process that can write to a queue can garble its messages.
    pub fn allow_owner(mut self, uid: u32) -> OpenOptions {
        self.trust.uids.push(uid);
        self
    }

    /// Maps all pages into this process at once, so that no first access is slow later.
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

    /// Opens the queue called `name` for producers and consumers, with messages as bytes. Any queue can be opened so.
    ///
    /// # Errors
    /// [`OpenError`] has one variant for each fault.
    pub fn open(&self, name: &str) -> Result<Queue, OpenError> {
        self.open_typed(name)
    }

    /// Opens the queue called `name` for producers and consumers, with messages of type `M` (or bytes, if `M` is
    /// `[u8]`).
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

    /// Opens the queue called `name` for observing from `start` on, with messages as bytes, from a read-only mapping.
    /// Read permission is enough; root may observe every user's queues.
    ///
    /// # Errors
    /// As for [`OpenOptions::open`].
    pub fn observe(&self, name: &str, start: Start) -> Result<Observer, OpenError> {
        self.observe_typed(name, start)
    }

    /// Opens the queue called `name` for observing from `start` on, with messages of type `M` (or bytes, if `M` is
    /// `[u8]`).
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

    /// Reads the state of the queue called `name`, from a read-only mapping. Root may read that of every user's queues.
    ///
    /// # Errors
    /// As for [`OpenOptions::open`].
    pub fn snapshot(&self, name: &str) -> Result<Snapshot, OpenError> {
        let (mapped, file) = self.map_read_only(name)?;
        Ok(Snapshot::take(&mapped, &file)?)
    }

    /// The streams of the queue called `name`, as [`Queue::streams`] gives them, from a read-only mapping. Root may
    /// read those of every user's queues.
    ///
    /// # Errors
    /// As for [`OpenOptions::open`].
    pub fn streams(&self, name: &str) -> Result<Vec<StreamInfo>, OpenError> {
        let (mapped, _) = self.map_read_only(name)?;
        Ok(StreamInfo::all(mapped.view()))
    }

    pub(crate) fn map_read_only(&self, name: &str) -> Result<(Mapped, LeaseFile), OpenError> {
        let name = QueueName::new(name)?;
        let opened = open_read_only(&name, &self.trust)?;
        Ok(Mapped::new(name, opened)?)
    }
}

/// Whether a queue holds what a handle for `M` expects. A handle for bytes takes any queue.
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

/// A queue that is open in this process. Cheap to clone. Each handle keeps the mapping alive.
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
    /// [`OpenError`] has one variant for each fault.
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

    /// How waiters are woken.
    pub fn wake_mode(&self) -> WakeMode {
        self.mapped.config.wake()
    }

    /// Sets a function that waits call; if it returns `true`, the wait ends with `Interrupted`. It applies to the
    /// handles that are made from this queue (or a clone of it) from now on, and to waits for the producer's role. A
    /// program uses it to end its waits when it is told to stop, for example by a signal. Without such a function, a
    /// wait goes on after a signal handler has returned.
    ///
    /// A wait calls the function after a check that finds nothing: before and after each sleep, and every millisecond
    /// while it stays awake. If the function returns `true`, the wait ends with `Interrupted`
    /// ([`RecvError::Interrupted`](crate::RecvError::Interrupted),
    /// [`SendError::Interrupted`](crate::SendError::Interrupted) and others of that name). Nothing is received or sent
    /// then, and nothing is lost: the same call can be made again. A receive that finds a message, and a send that
    /// finds room, succeed without asking: so a program that wants to stop in the middle of a stream checks its flag
    /// itself.
    ///
    /// A signal ends the sleep of the thread in which its handler runs, and the wait calls the function at once. In
    /// three cases it does so only when it wakes, after 100 ms at the latest: if the handler runs in another thread; if
    /// it runs between the call and the sleep; and in a [`Select`](crate::Select) with a handler that has SA_RESTART.
    /// The function is not called by futures, which end when they are dropped, nor by the waits for other control
    /// operations and for a turn at the dead-letter queue, which end within some seconds.
    ///
    /// The function is called often, in the thread that waits, so it should be quick: one load of an atomic, for
    /// example. If it panics, the wait panics, and nothing is received or sent.
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

    /// Takes the producer's role. A queue has one producer at a time; the role of one that died is free. This does not
    /// wait for the role (see [`Queue::producer_timeout`]), only for other control operations, at most the control
    /// timeout.
    ///
    /// # Errors
    /// [`ProducerError::Taken`] names the process that has it.
    pub fn producer(&self) -> Result<Producer<M>, ProducerError> {
        self.producer_by(Deadline::after(Duration::ZERO))
    }

    /// Takes the producer's role, waiting at most `timeout` until it is free. For programs that send a little now and
    /// then from many processes: each takes the role, sends, and drops it. They get it in no particular order.
    ///
    /// It polls, in the end every 10 ms, and does not keep other processes from joining or leaving.
    ///
    /// # Errors
    /// [`ProducerError::Taken`] if the role is still taken after that time;
    /// [`ControlError::Removed`](crate::ControlError::Removed) in a [`ProducerError`] if the queue is removed during
    /// the wait.
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

    /// Takes the producer's role, waiting until `deadline` at most.
    ///
    /// # Errors
    /// As for [`Queue::producer_timeout`].
    pub fn producer_deadline(&self, deadline: Instant) -> Result<Producer<M>, ProducerError> {
        self.producer_by(Deadline::at(deadline))
    }

    fn producer_by(&self, deadline: Deadline) -> Result<Producer<M>, ProducerError> {
        Producer::attach(&self.mapped, self.timeout, deadline, self.interrupt.clone())
    }

    /// Makes an observer of the queue from `start` on, with a read-only mapping of its own.
    ///
    /// # Errors
    /// [`OpenError::NotFound`] if the queue has lost its name.
    pub fn observer(&self, start: Start) -> Result<Observer<M>, OpenError> {
        let (mapped, file) = self.map_read_only()?;
        Observer::new(Arc::new(mapped), file, start, self.interrupt.clone())
    }

    /// Maps the queue once more, read-only, if its name is still that of the same queue.
    pub(crate) fn map_read_only(&self) -> Result<(Mapped, LeaseFile), OpenError> {
        let opened = open_read_only(&self.mapped.name, &self.trust)?;
        // The whole header must be equal: what was checked when this queue was opened must still hold.
        if opened.config.as_bytes() != self.mapped.config.as_bytes() {
            return Err(OpenError::NotFound { queue: self.mapped.name.shared().clone() });
        }
        Ok(Mapped::new(self.mapped.name.clone(), opened)?)
    }

    /// The pid of `member`, if /proc proves that this process in its own namespace holds the member's lease. Without
    /// that proof, a signal to the pid could hit another process: the member may be dead or in another pid namespace.
    /// /proc shows other users' processes to root alone.
    pub fn pid_here(&self, member: &MemberInfo) -> Option<u32> {
        let lease = lease_byte::consumer(member.record);
        member.pid.filter(|pid| holder::holds(*pid, self.mapped.id(), lease))
    }

    /// Makes a group without joining it. Messages wait for it from now on.
    ///
    /// # Errors
    /// [`AddGroupError::Exists`]; [`GroupError`](crate::GroupError) if it cannot be made as asked for, or the table is
    /// full.
    pub fn add_group(&self, group: impl Into<Group>) -> Result<(), AddGroupError> {
        let attachment = Attachment::new(&self.mapped)?;
        group::declare(&attachment, &group.into(), self.timeout)
    }

    /// Changes the [ack timeout](Group::ack_timeout) of a group with places for messages in flight; `None` for none. Messages
    /// that are received from now on have it, by members of whatever process; so has each message that is sent, given back or
    /// evicted after this call. Messages that a member has already keep their time: [`Queue::evict`] takes them back. Waits for
    /// other control operations, at most the control timeout.
    ///
    /// If the group gets its first timeout, a member whose clock cannot be compared with those of others receives no more:
    /// [`RecvError::Clock`](crate::RecvError::Clock).
    ///
    /// # Errors
    /// [`AckTimeoutError::NotFound`] and [`AckTimeoutError::NotInFlight`] if there is no such group, or it has no places for
    /// messages in flight; [`GroupError::AckTimeout`](crate::GroupError::AckTimeout) if `timeout` is below 1 s; else if the
    /// control lease cannot be had.
    pub fn set_ack_timeout(
        &self,
        group: &str,
        timeout: Option<Duration>,
    ) -> Result<(), AckTimeoutError> {
        let attachment = Attachment::new(&self.mapped)?;
        group::set_ack_timeout(&attachment, group, timeout, self.timeout)
    }

    /// Removes a group that has acked everything.
    ///
    /// # Errors
    /// [`RemoveGroupError::Busy`] names its live members; [`RemoveGroupError::Unacked`] says how many messages it has
    /// not acked. The group stays then.
    pub fn remove_group(&self, name: &str) -> Result<(), RemoveGroupError> {
        let attachment = Attachment::new(&self.mapped)?;
        group::remove(&attachment, name, self.timeout, || {
            let groups = unacked(&self.mapped, &attachment.leases)?.0;
            Ok(groups.iter().find(|(group, _)| group == name).map_or(0, |(_, messages)| *messages))
        })
    }

    /// Removes a group even if it has not acked all messages. It never gets those.
    ///
    /// # Errors
    /// [`RemoveGroupError::Busy`] names its live members: it is not removed under them. The group stays then.
    pub fn force_remove_group(&self, name: &str) -> Result<(), RemoveGroupError> {
        let attachment = Attachment::new(&self.mapped)?;
        group::remove(&attachment, name, self.timeout, || Ok(0))
    }

    /// The streams that messages of this queue may come from ([`Builder::sources`]), in the order in which they were
    /// first used, as far as entries were not used again. Empty in a queue without sources. It looks at each slot once,
    /// to count the messages of each stream.
    ///
    /// # Errors
    /// [`AttachError::Removed`] if the queue has lost its name; else if the kernel refuses a call.
    pub fn streams(&self) -> Result<Vec<StreamInfo>, AttachError> {
        let view = Attachment::new(&self.mapped)?.view;
        Ok(StreamInfo::all(&view))
    }

    /// The queue's state at this moment.
    ///
    /// # Errors
    /// [`AttachError::Removed`] if the queue has lost its name; else if the kernel refuses a call.
    pub fn snapshot(&self) -> Result<Snapshot, AttachError> {
        let attachment = Attachment::new(&self.mapped)?;
        Ok(Snapshot::take(&self.mapped, &attachment.leases)?)
    }
}

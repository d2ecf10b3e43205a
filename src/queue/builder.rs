use std::marker::PhantomData;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::difference::Difference;
use super::{OpenOptions, Queue};
use crate::attach::{CONTROL_TIMEOUT, Mapped};
use crate::error::{AttachError, CreateError, OpenError, OpenOrCreateError};
use crate::group::{self, Group};
use crate::layout::config::{Config, SCHEMA_NAME_MAX, SchemaText};
use crate::layout::{Geometry, View, WakeMode};
use crate::message::{Content, Message, fields_text};
use crate::segment::{Memory, Opened, Plan, QueueName, Region, Trust, create, random};
use crate::sys::membarrier;

/// The shape of a new queue.
///
/// ```
/// # let name = format!("doc-builder-{}", std::process::id());
/// let queue = slipring::Queue::builder(&name)
///     .capacity(1024)
///     .payload_size(256)
///     .group("audit")
///     .create()?;
/// # slipring::remove(&name)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "a builder does nothing until the queue is created"]
pub struct Builder<M: Content + ?Sized = [u8]> {
    settings: Settings,
    marker: PhantomData<fn(&M)>,
}

#[derive(Clone, Debug)]
struct Settings {
    name: String,
    // `None`: not asked for, so an existing queue may have any value.
    capacity: Option<u64>,
    payload_size: Option<usize>,
    schema_name: Option<String>,
    mode: Option<u32>,
    max_groups: Option<usize>,
    max_consumers: Option<usize>,
    streams: Option<usize>,
    spare_cells: u32,
    base: u64,
    wake: Option<WakeMode>,
    memory: Memory,
    groups: Vec<Group>,
    trust: Trust,
    timeout: Duration,
}

impl Settings {
    /// Of all groups together.
    fn cells(&self) -> usize {
        let declared = self.groups.iter().filter_map(|group| group.in_flight);
        declared
            .chain([self.spare_cells])
            .map(|cells| cells as usize)
            .fold(0, usize::saturating_add)
    }
}

impl<M: Content + ?Sized> Clone for Builder<M> {
    fn clone(&self) -> Self {
        Builder { settings: self.settings.clone(), marker: PhantomData }
    }
}

impl Queue<[u8]> {
    /// Begins to make a queue called `name` (1 to 200 of `A-Z a-z 0-9 . _ -`).
    pub fn builder(name: &str) -> Builder<[u8]> {
        Builder::new(name)
    }
}

impl Builder<[u8]> {
    fn new(name: &str) -> Builder<[u8]> {
        let settings = Settings {
            name: name.to_owned(),
            capacity: None,
            payload_size: None,
            schema_name: None,
            mode: None,
            max_groups: None,
            max_consumers: None,
            streams: None,
            spare_cells: 0,
            base: 0,
            wake: None,
            memory: Memory::default(),
            groups: Vec::new(),
            trust: Trust::default(),
            timeout: CONTROL_TIMEOUT,
        };
        Builder { settings, marker: PhantomData }
    }

    /// Bytes of the longest message, 1 to 16 MiB (and 512 more, for envelopes of dead letters); 112 by default. A slot
    /// has 16 bytes more, rounded up to a multiple of 64: 48 and 112 waste nothing.
    pub fn payload_size(mut self, bytes: usize) -> Builder<[u8]> {
        self.settings.payload_size = Some(bytes);
        self
    }

    /// Makes it a queue of messages of type `M` instead of bytes. The payload size is that of `M`, and the queue takes
    /// no other messages.
    pub fn message<M: Message>(self) -> Builder<M> {
        let settings = Settings { payload_size: Some(size_of::<M>()), ..self.settings };
        Builder { settings, marker: PhantomData }
    }
}

impl<M: Content + ?Sized> Builder<M> {
    /// Messages that fit, 1 to 2^24, rounded up to a power of two; 4096 by default.
    pub fn capacity(mut self, messages: u64) -> Self {
        self.settings.capacity = Some(messages);
        self
    }

    /// A name for what the queue carries, for people to read, at most 128 bytes. By default a typed queue has the name
    /// of its message type.
    pub fn schema_name(mut self, name: &str) -> Self {
        self.settings.schema_name = Some(name.to_owned());
        self
    }

    /// Permission bits, set exactly, whatever the umask; 0600 by default. Producers and consumers need read and write,
    /// observers need read.
    pub fn permissions(mut self, mode: u32) -> Self {
        self.settings.mode = Some(mode);
        self
    }

    /// Most groups at a time, 1 to 63; 16 by default. Once in a quarter of the ring, the producer reads the heads of as
    /// many groups as ever existed at the same time.
    pub fn max_groups(mut self, groups: usize) -> Self {
        self.settings.max_groups = Some(groups);
        self
    }

    /// Most consumers at a time, 1 to 255; 64 by default.
    pub fn max_consumers(mut self, consumers: usize) -> Self {
        self.settings.max_consumers = Some(consumers);
        self
    }

    /// Lets messages say which stream they come from, and at which position in it, for up to `streams` streams at a
    /// time, 1 to 127; none by default. Each slot then has 16 bytes more: a message of 48 bytes takes two cache lines,
    /// one of 32 a single one. See [`Producer::stream`](crate::Producer::stream) for what this is good for.
    pub fn sources(mut self, streams: usize) -> Self {
        self.settings.streams = Some(streams);
        self
    }

    /// Places for messages in flight of groups that are made later ([`Group::in_flight`]), beside those of the groups that
    /// are declared here; none by default. A queue has 65536 at most.
    pub fn spare_cells(mut self, cells: u32) -> Self {
        self.settings.spare_cells = cells;
        self
    }

    /// The first message's sequence; 0 by default. A new queue can so continue another one's numbers.
    pub fn base_sequence(mut self, sequence: u64) -> Self {
        self.settings.base = sequence;
        self
    }

    /// How waiters are woken. Where the kernel refuses what [`WakeMode::Membarrier`] needs, the queue gets
    /// [`WakeMode::Fence`] instead.
    pub fn wake_mode(mut self, mode: WakeMode) -> Self {
        self.settings.wake = Some(mode);
        self
    }

    /// Maps all pages into this process at once, so that no first access is slow later.
    pub fn prefault(mut self, on: bool) -> Self {
        self.settings.memory.prefault = on;
        self
    }

    /// Keeps all pages in memory while this process lives (mlock(2)).
    pub fn mlock(mut self, on: bool) -> Self {
        self.settings.memory.lock = on;
        self
    }

    /// Declares a group, so that it gets the queue's first message already. May be called repeatedly.
    pub fn group(mut self, group: impl Into<Group>) -> Self {
        self.settings.groups.push(group.into());
        self
    }

    /// How long control operations on the returned queue wait for one another; 5 s by default.
    pub fn control_timeout(mut self, timeout: Duration) -> Self {
        self.settings.timeout = timeout;
        self
    }

    /// Also opens an existing queue of user `uid` ([`Builder::open_or_create`]), and queues of that user for the dead
    /// letters and retries of this one. May be called repeatedly.
    pub fn allow_owner(mut self, uid: u32) -> Self {
        self.settings.trust.uids.push(uid);
        self
    }

    pub(crate) fn trust(mut self, trust: &Trust) -> Self {
        self.settings.trust = trust.clone();
        self
    }

    /// Creates the queue. It appears under its name complete, or not at all.
    ///
    /// # Errors
    /// [`CreateError::Exists`] if the name is taken; [`CreateError::NoRoom`], with the figures, if memory is short. A
    /// failure leaves nothing in /dev/shm.
    pub fn create(&self) -> Result<Queue<M>, CreateError> {
        let name = QueueName::new(&self.settings.name)?;
        let geo = Geometry::new(
            self.settings.capacity.unwrap_or(4096),
            self.settings.payload_size.unwrap_or(112),
            self.settings.max_groups.unwrap_or(16),
            self.settings.max_consumers.unwrap_or(64),
            self.settings.streams.unwrap_or(0),
            self.settings.cells(),
            self.settings.base,
        )
        .map_err(|reason| CreateError::Geometry { queue: name.shared().clone(), reason })?;
        let fields = M::SCHEMA.map_or_else(String::new, |schema| fields_text(schema.fields));
        let schema = self.schema(&name, &fields)?;
        self.check_groups(&name)?;
        let mode = self.settings.mode.unwrap_or(0o600);
        if mode & 0o600 != 0o600 {
            let queue = name.shared().clone();
            return Err(CreateError::Permissions { queue, mode });
        }
        let instance = [random(), random()];
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let config = Config::new(
            &geo,
            self.wake(),
            &self.settings.name,
            &schema,
            instance,
            since_1970.as_nanos() as u64,
        );
        let plan = Plan { name: &name, size: geo.total, mode, memory: self.settings.memory };
        let (region, leases) = create(&plan, |region| {
            let view = fill(region, &config, geo);
            for group in &self.settings.groups {
                group::make(&view, &name, group)?;
            }
            Ok(())
        })?;
        let (mapped, _) = Mapped::new(name, Opened { leases, region, config, geo })?;
        Ok(Queue::new(mapped, self.settings.trust.clone(), self.settings.timeout))
    }

    /// Opens the queue if it exists, else creates it. An existing queue keeps its shape: it need not have the capacity,
    /// payload size or groups asked for here, but the message type must be the same. [`Builder::differences`] tells
    /// what differs:
    ///
    /// ```
    /// # let name = format!("doc-shape-{}", std::process::id());
    /// # let _there = slipring::Queue::builder(&name).capacity(64).create()?;
    /// let wanted = slipring::Queue::builder(&name).capacity(4096);
    /// let queue = wanted.open_or_create()?;
    /// for difference in wanted.differences(&queue)? {
    ///     eprintln!("queue {name:?} was there: {difference}"); // its capacity is 64, not 4096
    /// }
    /// # assert_eq!(wanted.differences(&queue)?.len(), 1);
    /// # slipring::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`OpenOptions::open`] and [`Builder::create`].
    pub fn open_or_create(&self) -> Result<Queue<M>, OpenOrCreateError> {
        let mut options = OpenOptions::new().control_timeout(self.settings.timeout);
        options.trust = self.settings.trust.clone();
        options = options.prefault(self.settings.memory.prefault).mlock(self.settings.memory.lock);
        loop {
            match options.open_typed(&self.settings.name) {
                Err(OpenError::NotFound { .. }) => {}
                opened => return Ok(opened?),
            }
            match self.create() {
                // Another process was faster.
                Err(CreateError::Exists { .. }) => {}
                created => return Ok(created?),
            }
        }
    }

    /// What differs between `queue`, which may have existed before, and what was asked for here: capacity (rounded up),
    /// payload size, sizes of the tables, places for messages in flight, wake mode, permissions, and each declared group's
    /// mode or absence. What was not asked for does not count. Empty for a queue that this builder created.
    ///
    /// # Errors
    /// As for [`Queue::snapshot`].
    pub fn differences(&self, queue: &Queue<M>) -> Result<Vec<Difference>, AttachError> {
        let (snapshot, settings) = (queue.snapshot()?, &self.settings);
        let capacity = settings.capacity.map(u64::next_power_of_two);
        let cells = Some(settings.cells()).filter(|cells| *cells > 0);
        let octal = |mode: u32| format!("{mode:03o}");
        let permissions = octal(queue.mapped.permissions);
        let shape = [
            Difference::of("capacity", snapshot.capacity, capacity),
            Difference::of("payload size", snapshot.payload_size, settings.payload_size),
            Difference::of("group table size", snapshot.max_groups, settings.max_groups),
            Difference::of("consumer table size", snapshot.max_consumers, settings.max_consumers),
            Difference::of("wake mode", snapshot.wake_mode, settings.wake.map(|_| self.wake())),
            Difference::of("stream table size", snapshot.max_streams, settings.streams),
            Difference::of("number of places in flight", snapshot.cells as usize, cells),
            Difference::of("mode", permissions, settings.mode.map(octal)),
        ];
        let groups = settings.groups.iter().map(|group| {
            let what = format!("group {:?}", group.name);
            let found = snapshot.groups.iter().find(|found| found.name == group.name);
            let found = match found.map(|found| found.mode) {
                Some(Some(mode)) => mode.to_string(),
                Some(None) => "of a kind that this program does not know".to_owned(),
                None => return Some(Difference::missing(&what)),
            };
            Difference::of(&what, found, Some(group.mode.to_string()))
        });
        Ok(shape.into_iter().chain(groups).flatten().collect())
    }

    fn wake(&self) -> WakeMode {
        match self.settings.wake.unwrap_or_default() {
            WakeMode::Membarrier if membarrier::register().is_err() => WakeMode::Fence,
            wake => wake,
        }
    }

    fn schema<'a>(
        &'a self,
        queue: &QueueName,
        fields: &'a str,
    ) -> Result<SchemaText<'a>, CreateError> {
        let (typed_name, hash) = M::SCHEMA.map_or(("", 0), |schema| (schema.name, schema.hash));
        let name = self.settings.schema_name.as_deref().unwrap_or(typed_name);
        if name.len() > SCHEMA_NAME_MAX {
            let (queue, max) = (queue.shared().clone(), SCHEMA_NAME_MAX);
            return Err(CreateError::SchemaName { queue, name: name.to_owned(), max });
        }
        Ok(SchemaText { name, hash, fields })
    }

    fn check_groups(&self, queue: &QueueName) -> Result<(), CreateError> {
        for (i, group) in self.settings.groups.iter().enumerate() {
            group.check(queue.shared())?;
            if self.settings.groups[..i].iter().any(|other| other.name == group.name) {
                let (queue, group) = (queue.shared().clone(), group.name.clone());
                return Err(CreateError::GroupTwice { queue, group });
            }
        }
        Ok(())
    }
}

#[allow(unsafe_code)]
fn fill(region: &Region, config: &Config, geo: Geometry) -> View {
    // SAFETY: the region is aligned to a page and longer than a config; no other process can map it before it has a
    // name.
    unsafe { region.at().cast::<Config>().write(*config) };
    // SAFETY: the region has the geometry's total size, and no other process can map it yet.
    unsafe { View::init(region.at(), geo, config.wake()) }
}

//! The description of a group, and what is done with a queue's groups under the control lease.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use crate::attach::Attachment;
use crate::dead_letter::letter::{default_target, retry_queue};
use crate::error::{
    AckTimeoutError, AddGroupError, GroupError, GroupNames, JoinError, NameError, Pids,
    RemoveGroupError, RequeueReason, SystemError, known_pid,
};
pub use crate::layout::Mode;
use crate::layout::{
    GroupRecord, GroupState, Identity, InFlight, MAX_CELLS, Target, View, lease_byte,
};
use crate::ring::cells;
use crate::ring::claim::Corrupt;
use crate::ring::close;
use crate::ring::groups::{self, Position, RETENTION_RELEASE};
use crate::ring::records::Purpose;
use crate::ring::{extents, figures, observe, records};
use crate::segment::{QueueName, check_name};
use crate::sys::holder;

const NAME_MAX: usize = crate::layout::GROUP_NAME_MAX;
/// The position at which a new group starts. An existing group keeps its own position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Start {
    /// At the oldest message that is still in the ring. At least three quarters of the ring are, if so many were
    /// published and no more than a quarter was reserved at once.
    #[default]
    Oldest,
    /// At the next message to be published.
    Newest,
    /// At this sequence, or at the oldest message that is still in the ring, if that is higher.
    Sequence(u64),
}

impl From<Start> for Position {
    fn from(start: Start) -> Position {
        match start {
            Start::Oldest => Position::Oldest,
            Start::Newest => Position::Newest,
            Start::Sequence(seq) => Position::Sequence(seq),
        }
    }
}

/// What happens to a group that has no consumers any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Retention {
    /// It stays and keeps its position: the queue fills until a consumer goes on. The default.
    #[default]
    Hold,
    /// It is removed with its last member, when that leaves or dies.
    Release,
}

/// Name and kind of a group, for declaring or joining it. A `&str` stands for a group with the defaults.
///
/// ```
/// use slipring::{Group, Start};
/// let group = Group::named("audit").start(Start::Newest);
/// # let _ = group;
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a group is only described by it: declare it, or join it"]
pub struct Group {
    pub(crate) name: String,
    pub(crate) start: Start,
    pub(crate) retention: Retention,
    pub(crate) mode: Mode,
    limit: Limit,
    dead_letters: Option<String>,
    pub(crate) in_flight: Option<u32>,
    pub(crate) ack_timeout: Option<Duration>,
    /// Join it only if it exists.
    existing: bool,
    /// Join it as an operator.
    operator: bool,
}

/// Deliveries after which a message becomes a dead letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Limit {
    /// The default of its mode.
    ByMode,
    Never,
    After(u8),
}

/// The default of shared groups.
const MAX_ATTEMPTS: u8 = 5;
/// Possible numbers of places in flight.
const CELLS: RangeInclusive<u32> = 1..=MAX_CELLS as u32;
/// The least ack timeout: the time between two looks at all places.
const ACK_TIMEOUT_MIN: Duration = Duration::from_secs(1);
/// Possible limits: a count of 255 stands for any higher number.
const LIMITS: RangeInclusive<u8> = 1..=254;

impl Group {
    /// A group called `name` (1 to 64 of `A-Z a-z 0-9 . _ -`) that starts at the oldest message and stays without
    /// consumers.
    pub fn named(name: impl Into<String>) -> Group {
        Group {
            name: name.into(),
            start: Start::default(),
            retention: Retention::default(),
            mode: Mode::default(),
            limit: Limit::ByMode,
            dead_letters: None,
            in_flight: None,
            ack_timeout: None,
            existing: false,
            operator: false,
        }
    }

    /// Where it starts, if this makes it.
    pub fn start(self, start: Start) -> Group {
        Group { start, ..self }
    }

    /// What happens to it without consumers, if this makes it.
    pub fn retention(self, retention: Retention) -> Group {
        Group { retention, ..self }
    }

    pub(crate) fn mode(self, mode: Mode) -> Group {
        Group { mode, ..self }
    }

    /// Makes it a shared group: each message goes to one of its members. An existing group must have the same mode.
    pub fn shared(self) -> Group {
        Group { mode: Mode::Shared, ..self }
    }

    /// Number of deliveries, 1 to 254, after which a message that was never acked becomes a dead letter; any other
    /// number is refused ([`GroupError::MaxAttempts`]) when the group is made or joined. A message counts as delivered
    /// once its batch was received, even if no work was done on it, unless [`Batch::uncount`](crate::Batch::uncount)
    /// takes the count back. Redelivered messages come one at a time, so that each is counted. By default 5 in a shared
    /// group, and no limit in an exclusive one. Kept in the queue: an existing group keeps its own limit.
    pub fn max_attempts(self, attempts: u8) -> Group {
        Group { limit: Limit::After(attempts), ..self }
    }

    /// Sets no limit of attempts: a message that is never acked is redelivered without end, in batches.
    /// [`attempts`](crate::Delivery::attempts) then counts the first message of a batch, and is 2, for "at least 2",
    /// for the others. Kept in the queue, as [`Group::max_attempts`].
    pub fn unlimited_attempts(self) -> Group {
        Group { limit: Limit::Never, ..self }
    }

    /// Queue for this group's dead letters instead of `<queue>.dead`. Kept in the queue, as
    /// [`Group::max_attempts`].
    pub fn dead_letters_to(self, queue: impl Into<String>) -> Group {
        Group { dead_letters: Some(queue.into()), ..self }
    }

    /// Gives a shared group places for up to `messages` messages in flight, 1 to 65536, beside the ring. Its members receive
    /// with [`Queue::worker`](crate::Queue::worker): a message that is received leaves the ring at once, so that a job of
    /// an hour holds no slot; jobs are acked in any order, from any thread, and can be given back with a delay. Once all
    /// places are in use, the members receive no more until one is acked: messages that wait for a delayed retry count.
    ///
    /// Each place takes the payload size and 32 bytes, rounded up to a multiple of 64. The queue has as many as its
    /// [builder](crate::Builder) was told of, by the groups that it declared and
    /// [`Builder::spare_cells`](crate::Builder::spare_cells). Kept in the queue: an existing group keeps its own number.
    pub fn in_flight(self, messages: u32) -> Group {
        Group { in_flight: Some(messages), ..self }
    }

    /// How long a member of a group with [places in flight](Group::in_flight) may work on a message, at least 1 s; without
    /// it, for ever. After that another member may take the message, although the first one lives: it may hang, or be
    /// stopped. [`Job::extend`](crate::Job::extend) asks for more time. More than 417 days count as 417 days. Kept in the
    /// queue: an existing group keeps its own timeout, which [`Queue::set_ack_timeout`](crate::Queue::set_ack_timeout)
    /// changes.
    pub fn ack_timeout(self, timeout: Duration) -> Group {
        Group { ack_timeout: Some(timeout), ..self }
    }

    /// Joins the group only if it exists: if it does not, [`Queue::consumer`](crate::Queue::consumer) fails with
    /// [`JoinError::NoSuchGroup`], which names the groups of the queue. Without it, a mistyped name makes a group that
    /// no other process receives for, and that holds the queue for good. It has no effect where a group is declared
    /// ([`Builder::group`](crate::Builder::group), [`Queue::add_group`](crate::Queue::add_group)).
    ///
    /// ```
    /// # let name = format!("doc-existing-{}", std::process::id());
    /// use slipring::{Group, JoinError, Queue};
    ///
    /// let queue = Queue::builder(&name).capacity(8).group("audit").create()?;
    /// assert!(queue.consumer(Group::named("audit").existing()).is_ok());
    /// let error = queue.consumer(Group::named("adit").existing()).unwrap_err();
    /// assert!(matches!(error, JoinError::NoSuchGroup { .. }));
    /// # slipring::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn existing(self) -> Group {
        Group { existing: true, ..self }
    }

    /// Joins the group as an operator does, who does something about a certain message ([`Worker::take`](crate::Worker::take),
    /// [`Consumer::reject_next`](crate::Consumer::reject_next)) and none of the group's work: such a member does not count as
    /// one that has joined the group, and does not end a group that goes with its last member
    /// ([`Retention::Release`]). The group must exist, as for [`Group::existing`].
    pub fn as_operator(self) -> Group {
        Group { operator: true, existing: true, ..self }
    }

    /// What a member that joins it so is for.
    pub(crate) fn purpose(&self) -> Purpose {
        if self.operator { Purpose::PutLetters } else { Purpose::Receive }
    }

    pub(crate) fn is_existing(&self) -> bool {
        self.existing
    }

    /// Undoes [`Group::existing`].
    pub(crate) fn made_if_missing(self) -> Group {
        Group { existing: false, ..self }
    }

    /// Checks that it can be a group of `queue`.
    pub(crate) fn check(&self, queue: &Arc<str>) -> Result<(), GroupError> {
        check_name(&self.name, "group", NAME_MAX)?;
        if let Some(target) = &self.dead_letters {
            QueueName::new(target)?;
        }
        check_ack_timeout(queue, &self.name, self.ack_timeout)?;
        let (queue, group) = (|| queue.clone(), || self.name.clone());
        match self.in_flight {
            Some(asked) if self.mode != Mode::Shared || !CELLS.contains(&asked) => {
                return Err(GroupError::InFlight { queue: queue(), group: group(), asked });
            }
            None if self.ack_timeout.is_some() => {
                return Err(GroupError::InFlight { queue: queue(), group: group(), asked: 0 });
            }
            _ => {}
        }
        match self.limit {
            Limit::After(asked) if !LIMITS.contains(&asked) => {
                Err(GroupError::MaxAttempts { queue: queue(), group: group(), asked })
            }
            _ => Ok(()),
        }
    }

    /// The limit as its record has it: 0 for none.
    fn most_attempts(&self) -> u8 {
        match (self.limit, self.mode) {
            (Limit::After(attempts), _) => attempts,
            (Limit::Never, _) | (Limit::ByMode, Mode::Exclusive) => 0,
            (Limit::ByMode, Mode::Shared) => MAX_ATTEMPTS,
        }
    }

    fn identity(&self, in_flight: Option<InFlight>) -> Identity {
        let mut name = [0; NAME_MAX];
        name[..self.name.len()].copy_from_slice(self.name.as_bytes());
        let retention = match self.retention {
            Retention::Hold => 0,
            Retention::Release => RETENTION_RELEASE as u8,
        };
        Identity {
            name,
            name_len: self.name.len() as u8,
            mode: self.mode as u8,
            retention,
            max_attempts: self.most_attempts(),
            in_flight,
        }
    }
}

impl From<&str> for Group {
    fn from(name: &str) -> Group {
        Group::named(name)
    }
}

impl From<&String> for Group {
    fn from(name: &String) -> Group {
        Group::named(name)
    }
}

impl From<String> for Group {
    fn from(name: String) -> Group {
        Group::named(name)
    }
}

impl From<&Group> for Group {
    fn from(group: &Group) -> Group {
        group.clone()
    }
}

pub(crate) fn identity_of(group: &GroupRecord) -> Option<Identity> {
    Identity::load(group)
}

/// Deliveries after which a message of the group becomes a dead letter, if it has a limit.
pub(crate) fn limit_of(identity: &Identity) -> Option<u8> {
    LIMITS.contains(&identity.max_attempts).then_some(identity.max_attempts)
}

/// The group's index. The control lease is held, so identities do not change.
pub(crate) fn find(view: &View, name: &str) -> Option<u8> {
    let named = |&index: &u8| {
        identity_of(view.group(index)).is_some_and(|found| found.name() == name.as_bytes())
    };
    groups::in_use(view).find(named)
}

/// Makes `group`. Its name was checked and is free; the control lease is held, or the queue has no name yet.
pub(crate) fn make(view: &View, queue: &QueueName, group: &Group) -> Result<u8, GroupError> {
    if group.dead_letters.is_none() && group.most_attempts() != 0 {
        // Checked now, rather than when the first letter is sent.
        let target = default_target(queue.as_str());
        if let Err(NameError { max, .. }) = QueueName::new(&target) {
            let (queue, group) = (queue.shared().clone(), group.name.clone());
            return Err(GroupError::DeadLetterName { queue, group, target, max });
        }
    }
    let tail = observe::tail(view);
    if let Start::Sequence(asked) = group.start
        && asked > tail
    {
        let (queue, group) = (queue.shared().clone(), group.name.clone());
        return Err(GroupError::AheadOfTail { queue, group, asked, tail });
    }
    let retries = retry_queue(queue.as_str(), &group.name);
    let own = |target: &String| target == queue.as_str() || *target == retries;
    if let Some(target) = group.dead_letters.as_ref().filter(|target| own(target)) {
        let (queue, group) = (queue.shared().clone(), group.name.clone());
        return Err(GroupError::DeadLetterLoop { queue, group, target: target.clone() });
    }
    let too_many = || GroupError::TooMany {
        queue: queue.shared().clone(),
        group: group.name.clone(),
        max: view.groups().len(),
    };
    let index = groups::free_group(view).ok_or_else(too_many)?;
    let in_flight = cells_for(view, queue, group)?;
    let target = group.dead_letters.as_deref().map_or(Target::NONE, Target::named);
    group.identity(in_flight).store(&target, view.group(index));
    // A group of this name may have existed before. A requeue from here on finds this one.
    let retries = QueueName::new(&retries).is_ok_and(|name| name.exists());
    groups::make_group(view, index, group.start.into(), retries);
    Ok(index)
}

/// Finds cells for a new group that asks for some, and empties them; `None` in a queue without cells.
fn cells_for(
    view: &View,
    queue: &QueueName,
    group: &Group,
) -> Result<Option<InFlight>, GroupError> {
    let Some(wanted) = group.in_flight else {
        return Ok((view.geo().cells > 0).then(InFlight::default));
    };
    let Some(extent) = extents::find(view, wanted) else {
        let (free, longest) = extents::free(view);
        let (queue, group) = (queue.shared().clone(), group.name.clone());
        return Err(GroupError::NoCells { queue, group, wanted, free, longest });
    };
    extents::empty(view, extent);
    let ack_timeout = ack_timeout_word(group.ack_timeout);
    Ok(Some(InFlight { ack_timeout, first_cell: extent.first(), cells: wanted }))
}

fn check_ack_timeout(
    queue: &Arc<str>,
    group: &str,
    timeout: Option<Duration>,
) -> Result<(), GroupError> {
    match timeout {
        Some(asked) if asked < ACK_TIMEOUT_MIN => {
            let (queue, group) = (queue.clone(), group.to_owned());
            Err(GroupError::AckTimeout { queue, group, asked })
        }
        _ => Ok(()),
    }
}

/// As a group's record has it: in nanoseconds, 0 for none.
fn ack_timeout_word(timeout: Option<Duration>) -> u64 {
    timeout.map_or(0, |timeout| u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX))
}

/// Changes the ack timeout of group `name`.
pub(crate) fn set_ack_timeout(
    attachment: &Attachment,
    name: &str,
    ack_timeout: Option<Duration>,
    timeout: Duration,
) -> Result<(), AckTimeoutError> {
    check_ack_timeout(attachment.queue(), name, ack_timeout)?;
    let _control = attachment.control(timeout)?;
    let (queue, group) = (|| attachment.queue().clone(), || name.to_owned());
    let index = find(&attachment.view, name)
        .ok_or_else(|| AckTimeoutError::NotFound { queue: queue(), group: group() })?;
    let record = attachment.view.group(index);
    if attachment.view.geo().cells == 0 || InFlight::load(record).cells == 0 {
        return Err(AckTimeoutError::NotInFlight { queue: queue(), group: group() });
    }
    InFlight::set_ack_timeout(record, ack_timeout_word(ack_timeout));
    Ok(())
}

/// The queue for a group's dead letters, if it names one.
pub(crate) fn target_name(target: &Target) -> Result<Option<QueueName>, Corrupt> {
    match target.name() {
        [] => Ok(None),
        name => QueueName::new(&String::from_utf8_lossy(name))
            .map(Some)
            .map_err(|_| Corrupt("a group's dead letters go to what is no queue's name")),
    }
}

/// Finds or makes `group`. The control lease is held. Returns its index, and whether it existed.
pub(crate) fn find_or_make(
    attachment: &Attachment,
    group: &Group,
) -> Result<(u8, bool), JoinError> {
    let view = &attachment.view;
    if let Some(index) = find(view, &group.name) {
        let (queue, name) = (|| attachment.queue().clone(), || group.name.clone());
        // Half-made groups were freed when the control lease was taken; other states are unknown to this version.
        let active = groups::state(view, index) == GroupState::Active;
        let identity = identity_of(view.group(index)).filter(|_| active);
        let Some(mode) = identity.and_then(|identity| Mode::of(identity.mode.into())) else {
            return Err(JoinError::UnknownMode { queue: queue(), group: name() });
        };
        if mode != group.mode {
            let (found, asked) = (mode, group.mode);
            return Err(JoinError::WrongMode { queue: queue(), group: name(), found, asked });
        }
        return Ok((index, true));
    }
    if group.existing {
        return Err(no_group_to_join(attachment, &group.name));
    }
    Ok((make(view, &attachment.mapped.name, group)?, false))
}

/// The control lease is held, so identities do not change.
#[cold]
fn no_group_to_join(attachment: &Attachment, name: &str) -> JoinError {
    let known = groups::in_use(&attachment.view)
        .filter_map(|index| identity_of(attachment.view.group(index)));
    let known = known.map(|found| String::from_utf8_lossy(found.name()).into_owned()).collect();
    JoinError::NoSuchGroup {
        queue: attachment.queue().clone(),
        group: name.to_owned(),
        known: GroupNames(known),
    }
}

pub(crate) fn pid_of(view: &View, record: u8) -> Option<u32> {
    known_pid(figures::consumer_pid(view, record))
}

/// Pids of the live members of `group`.
fn live_pids(attachment: &Attachment, group: u8) -> std::io::Result<Pids> {
    let mut live = Pids::default();
    for record in records::records_of(&attachment.view, group) {
        let byte = lease_byte::consumer(record);
        if attachment.leases.is_held(byte)? {
            let pid = pid_of(&attachment.view, record);
            live.own = live.own || holder::is_own(pid, attachment.mapped.id(), byte);
            live.pids.push(pid);
        }
    }
    Ok(live)
}

/// A group for another queue with the mode and the dead-letter rule of group `name`; `None` if that has its messages in
/// flight beside the ring.
pub(crate) fn like(
    attachment: &Attachment,
    name: &str,
    timeout: Duration,
) -> Result<Option<Group>, RequeueReason> {
    let _control = attachment.control(timeout)?;
    let index = find(&attachment.view, name).ok_or_else(|| no_such_group(attachment, name))?;
    let corrupt =
        |Corrupt(what)| RequeueReason::Corrupt { queue: attachment.queue().clone(), what };
    let in_flight = cells::Table::of(&attachment.view, index).map_err(corrupt)?.is_some();
    let known = Identity::load_with_target(attachment.view.group(index));
    let known = known.and_then(|(i, target)| Some((i, target, Mode::of(i.mode.into())?)));
    // Other states and modes than a worker could join: it would be sent here again and again.
    let fits = |mode| mode == Mode::Shared || !in_flight;
    let known = known.filter(|&(.., mode)| fits(mode));
    let active = groups::state(&attachment.view, index) == GroupState::Active;
    let Some((identity, target, mode)) = known.filter(|_| active) else {
        let (queue, group) = (attachment.queue().clone(), name.to_owned());
        return Err(RequeueReason::UnknownMode { queue, group });
    };
    if in_flight {
        return Ok(None);
    }
    let target = target_name(&target).map_err(corrupt)?;
    let target =
        target.map_or_else(|| default_target(attachment.mapped.name.as_str()), QueueName::into);
    let limit = limit_of(&identity).map_or(Limit::Never, Limit::After);
    Ok(Some(Group { mode, limit, dead_letters: Some(target), ..Group::named(name) }))
}

/// Tells the members of group `name` that there is a queue of retries.
pub(crate) fn announce_retries(
    attachment: &Attachment,
    name: &str,
    timeout: Duration,
) -> Result<(), RequeueReason> {
    let _control = attachment.control(timeout)?;
    let index = find(&attachment.view, name).ok_or_else(|| no_such_group(attachment, name))?;
    close::announce_retries(&attachment.view, index);
    Ok(())
}

fn no_such_group(attachment: &Attachment, name: &str) -> RequeueReason {
    RequeueReason::NoSuchGroup { queue: attachment.queue().clone(), group: name.to_owned() }
}

/// The number of consumer records, and how many belong to live consumers.
#[cold]
pub(crate) fn consumers(attachment: &Attachment) -> Result<(usize, usize), SystemError> {
    let max = attachment.view.records().len();
    let mut live = 0;
    for record in 0..max as u8 {
        let taken = attachment.leases.is_taken(lease_byte::consumer(record));
        live += usize::from(taken.map_err(attachment.system("find out which consumers live"))?);
    }
    Ok((max, live))
}

/// Declares `group` without joining it.
pub(crate) fn declare(
    attachment: &Attachment,
    group: &Group,
    timeout: Duration,
) -> Result<(), AddGroupError> {
    group.check(attachment.queue())?;
    let _control = attachment.control(timeout)?;
    if find(&attachment.view, &group.name).is_some() {
        let (queue, group) = (attachment.queue().clone(), group.name.clone());
        return Err(AddGroupError::Exists { queue, group });
    }
    make(&attachment.view, &attachment.mapped.name, group)?;
    Ok(())
}

/// Removes the group called `name`, unless it has live members, or `unacked` says that messages are left.
pub(crate) fn remove(
    attachment: &Attachment,
    name: &str,
    timeout: Duration,
    unacked: impl FnOnce() -> Result<u64, SystemError>,
) -> Result<(), RemoveGroupError> {
    let _control = attachment.control(timeout)?;
    let (queue, group) = (|| attachment.queue().clone(), || name.to_owned());
    let not_found = || RemoveGroupError::NotFound { queue: queue(), group: group() };
    let index = find(&attachment.view, name).ok_or_else(not_found)?;
    let system = attachment.system("find out which members of the group live");
    let live = || live_pids(attachment, index).map_err(system);
    let busy = |pids| RemoveGroupError::Busy { queue: queue(), group: group(), pids };
    let pids = live()?;
    if !pids.as_slice().is_empty() {
        return Err(busy(pids));
    }
    // Nobody can join now, so only the producer can change this figure.
    let messages = unacked()?;
    if messages > 0 {
        return Err(RemoveGroupError::Unacked { queue: queue(), group: group(), messages });
    }
    match groups::remove_group(&attachment.view, &attachment.leases, index).map_err(system)? {
        None => Ok(()),
        Some(_) => Err(busy(live()?)),
    }
}

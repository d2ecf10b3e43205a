//! What a group is asked to be.

use std::time::Duration;

use crate::attach::Attachment;
use crate::error::{JoinError, NameError, Pids, SystemError};
pub use crate::layout::Mode;
use crate::layout::{GroupRecord, GroupState, Identity, View, lease_byte};
use crate::ring::control::{self, Position, RETENTION_RELEASE};
use crate::segment::check_name;
use crate::sync::Ordering;

const NAME_MAX: usize = crate::layout::GROUP_NAME_MAX;
/// Where a new group starts to read. A group that exists goes on where it stopped, whatever is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Start {
    /// At the oldest message that is still there: at least three quarters of the ring, if so many were
    /// published and no more than a quarter was reserved at once.
    #[default]
    Oldest,
    /// At the next message to be published.
    Newest,
    /// At this sequence, or at the oldest that is still there, if that is above it.
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

/// What becomes of a group when nobody reads for it any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Retention {
    /// It stays and keeps its place: the queue fills until somebody reads on. The default.
    #[default]
    Hold,
    /// It goes with its last member, by leaving or by death.
    Release,
}

/// Name and kind of a group, for declaring or joining it. A `&str` will do for one with the defaults.
///
/// ```
/// use slipring::{Group, Start};
/// let group = Group::named("audit").start(Start::Newest);
/// # let _ = group;
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    pub(crate) name: String,
    pub(crate) start: Start,
    pub(crate) retention: Retention,
    pub(crate) mode: Mode,
}

impl Group {
    /// A group called `name` (1 to 64 of `A-Z a-z 0-9 . _ -`) that starts at the oldest message and
    /// stays when nobody reads for it.
    pub fn named(name: impl Into<String>) -> Group {
        Group {
            name: name.into(),
            start: Start::default(),
            retention: Retention::default(),
            mode: Mode::default(),
        }
    }

    /// Where it starts if it does not exist yet.
    pub fn start(self, start: Start) -> Group {
        Group { start, ..self }
    }

    /// What becomes of it without members, if it does not exist yet.
    pub fn retention(self, retention: Retention) -> Group {
        Group { retention, ..self }
    }

    /// A group whose consumers compete: each message goes to one of them. A group that exists must be
    /// of the same mode.
    pub fn shared(self) -> Group {
        Group { mode: Mode::Shared, ..self }
    }

    pub(crate) fn check(&self) -> Result<(), NameError> {
        check_name(&self.name, "group", NAME_MAX)
    }

    fn identity(&self) -> Identity {
        let mut name = [0; NAME_MAX];
        name[..self.name.len()].copy_from_slice(self.name.as_bytes());
        let retention = match self.retention {
            Retention::Hold => 0,
            Retention::Release => RETENTION_RELEASE as u8,
        };
        Identity { name, name_len: self.name.len() as u8, mode: self.mode as u8, retention }
    }
}

impl From<&str> for Group {
    fn from(name: &str) -> Group {
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
    Identity::load(&group.identity)
}

/// The group's index. The control lease is held, so identities stand still.
pub(crate) fn find(view: &View, name: &str) -> Option<u8> {
    let named = |&index: &u8| {
        identity_of(view.group(index)).is_some_and(|found| found.name() == name.as_bytes())
    };
    control::groups(view).find(named)
}

/// Makes `group`, whose name was checked and is not taken. The control lease is held, or the queue has
/// no name yet.
pub(crate) fn make(view: &View, group: &Group) -> Result<u8, JoinError> {
    // Acquire. pair P3. The slots below it are published.
    let tail = view.control().tail.load(Ordering::Acquire);
    if let Start::Sequence(asked) = group.start
        && asked > tail
    {
        return Err(JoinError::AheadOfTail { asked, tail });
    }
    let max = view.groups().len();
    let index = control::free_group(view).ok_or(JoinError::TooManyGroups { max })?;
    group.identity().store(&view.group(index).identity);
    control::make_group(view, index, group.start.into());
    Ok(index)
}

/// Finds or makes `group`. The control lease is held. Returns its index and whether it existed.
pub(crate) fn find_or_make(view: &View, group: &Group) -> Result<(u8, bool), JoinError> {
    if let Some(index) = find(view, &group.name) {
        let name = || group.name.clone();
        // Half-made ones were freed when the control lease was taken; other states are not known here.
        let active = control::state(view, index) == GroupState::Active;
        let identity = identity_of(view.group(index)).filter(|_| active);
        let Some(mode) = identity.and_then(|identity| Mode::of(identity.mode.into())) else {
            return Err(JoinError::UnknownMode { group: name() });
        };
        if mode != group.mode {
            return Err(JoinError::WrongMode { group: name(), found: mode, asked: group.mode });
        }
        return Ok((index, true));
    }
    Ok((make(view, group)?, false))
}

pub(crate) fn pid_of(view: &View, record: u8) -> u32 {
    // Relaxed: for people to read.
    view.record(record).claim.pid.load(Ordering::Relaxed) as u32
}

/// Pids of the members of `group` that live.
pub(crate) fn live_pids(at: &Attachment, group: u8) -> std::io::Result<Vec<u32>> {
    let mut pids = Vec::new();
    for record in control::records_of(&at.view, group) {
        if at.leases.is_held(lease_byte::consumer(record))? {
            pids.push(pid_of(&at.view, record));
        }
    }
    Ok(pids)
}

/// Declares `group` without joining it.
pub(crate) fn declare(at: &Attachment, group: &Group, timeout: Duration) -> Result<(), JoinError> {
    group.check()?;
    let _control = at.control(timeout)?;
    if find(&at.view, &group.name).is_some() {
        return Err(JoinError::GroupExists { group: group.name.clone() });
    }
    make(&at.view, group)?;
    Ok(())
}

/// Removes the group called `name`, unless it has live members.
pub(crate) fn remove(at: &Attachment, name: &str, timeout: Duration) -> Result<(), JoinError> {
    let _control = at.control(timeout)?;
    let index =
        find(&at.view, name).ok_or_else(|| JoinError::NoSuchGroup { group: name.to_owned() })?;
    let system = |source| SystemError::new("look who is in the group", source);
    match control::remove_group(&at.view, &at.leases, index).map_err(system)? {
        None => Ok(()),
        Some(_) => {
            let pids = Pids(live_pids(at, index).map_err(system)?);
            Err(JoinError::GroupBusy { group: name.to_owned(), pids })
        }
    }
}

//! One small error type per act. Each message says what is wrong and what to do about it; an error of the
//! operating system is kept as the source.

mod letter;

use std::fmt;
use std::io;

use thiserror::Error;

pub use crate::layout::GeometryError;
pub use letter::*;

/// The operating system refused something.
#[derive(Debug, Error)]
#[error("cannot {doing}: {source}")]
pub struct SystemError {
    pub(crate) doing: &'static str,
    pub(crate) source: io::Error,
}

impl SystemError {
    pub(crate) fn new(doing: &'static str, source: impl Into<io::Error>) -> SystemError {
        SystemError { doing, source: source.into() }
    }
}

/// A name that is not one.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{name:?} is not a {what} name: use 1 to {max} of the characters A-Z a-z 0-9 . _ -")]
pub struct NameError {
    pub(crate) name: String,
    pub(crate) what: &'static str,
    pub(crate) max: usize,
}

/// Pids, for people to read; 0 is shown as "unknown".
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Pids(pub(crate) Vec<u32>);

impl Pids {
    /// The pids in the order of their records. A pid of 0 is not known.
    pub fn as_slice(&self) -> &[u32] {
        &self.0
    }
}

impl fmt::Display for Pids {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, pid) in self.0.iter().enumerate() {
            let comma = if i == 0 { "" } else { ", " };
            match pid {
                0 => write!(f, "{comma}unknown")?,
                pid => write!(f, "{comma}{pid}")?,
            }
        }
        Ok(())
    }
}

/// A process that holds something, by its pid; 0 if that is not known.
struct Holder(u32);

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => f.write_str("a process whose pid is not known"),
            pid => write!(f, "process {pid}"),
        }
    }
}

/// The command that continues a stopped process.
struct Continue(u32);

impl fmt::Display for Continue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => f.write_str("kill -CONT"),
            pid => write!(f, "kill -CONT {pid}"),
        }
    }
}

/// Free bytes of one kind of memory, if they could be found out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Free(pub(crate) Option<u64>);

impl Free {
    /// Bytes, or `None` where the system does not say or sets no limit.
    pub fn bytes(self) -> Option<u64> {
        self.0
    }
}

impl fmt::Display for Free {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(bytes) => write!(f, "{bytes} bytes"),
            None => write!(f, "no limit"),
        }
    }
}

/// The control lease, which serialises making, joining and leaving, could not be had.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ControlError {
    /// Somebody holds it for longer than the timeout.
    #[error(
        "{} has been in the middle of a control operation for over {waited_ms} ms: if it is stopped, \
         continue it ({}) or kill it, then try again",
        Holder(*pid),
        Continue(*pid)
    )]
    Timeout {
        /// Who holds it; 0 if not known.
        pid: u32,
        /// How long this call waited, in milliseconds.
        waited_ms: u64,
    },
    /// The queue has lost its name.
    #[error("the queue has been removed: open it again by its name")]
    Removed,
    /// The handle was made before a fork.
    #[error("this handle belongs to the process that forked this one: open the queue again here")]
    Forked,
    /// The lock call itself failed.
    #[error(transparent)]
    System(#[from] SystemError),
}

/// A queue could not be created. Nothing is left behind.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CreateError {
    /// The name is not allowed.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The shape is not possible.
    #[error(transparent)]
    Geometry(#[from] GeometryError),
    /// There is one already.
    #[error("queue {name:?} exists already: open it, or remove it first")]
    Exists {
        /// The name.
        name: String,
    },
    /// A group that cannot be declared: more than the table holds, one twice, a start that is not there.
    #[error("cannot declare group {group:?}: {why}")]
    Group {
        /// The group.
        group: String,
        /// What is wrong with it.
        why: String,
    },
    /// The schema's name is too long.
    #[error("schema name {name:?} is longer than {max} bytes: shorten it")]
    SchemaName {
        /// The name.
        name: String,
        /// Bytes that fit.
        max: usize,
    },
    /// The owner could not use it.
    #[error("permissions {mode:03o} do not let the owner read and write (0600): add them")]
    Permissions {
        /// The bits asked for.
        mode: u32,
    },
    /// Not enough memory.
    #[error(
        "the queue needs {need} bytes, but free are: file system (/dev/shm) {file_system}, machine \
         {machine}, control group {control_group}: lower the capacity or the payload size, or free memory"
    )]
    NoRoom {
        /// Bytes the queue takes.
        need: u64,
        /// Free in /dev/shm.
        file_system: Free,
        /// Available on the machine.
        machine: Free,
        /// Left to this process's control group.
        control_group: Free,
    },
    /// The operating system refused something.
    #[error(transparent)]
    System(#[from] SystemError),
}

/// A queue could not be opened.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The name is not allowed.
    #[error(transparent)]
    Name(#[from] NameError),
    /// Nothing has that name.
    #[error("there is no queue {name:?}: create it first")]
    NotFound {
        /// The name.
        name: String,
    },
    /// Something else has that name.
    #[error("{name:?} is not a slipring queue: its first bytes are not ours; choose another name")]
    NotAQueue {
        /// The name.
        name: String,
    },
    /// A queue of another layout version.
    #[error(
        "the queue has layout version {found}, this program understands {supported}: use programs \
         built with the same slipring, or remove the queue and create it again"
    )]
    WrongVersion {
        /// The queue's version.
        found: u32,
        /// The version this program understands.
        supported: u32,
    },
    /// The queue uses something that this version does not know.
    #[error("the queue uses {what}, which this program does not know: use a newer slipring")]
    Unsupported {
        /// What it uses.
        what: String,
    },
    /// The file is shorter or longer than its header says.
    #[error(
        "the queue's file is {found} bytes long, its header says {expected}: it is damaged; remove \
         the queue and create it again"
    )]
    WrongSize {
        /// Bytes the header asks for; the header's own size if that did not fit.
        expected: u64,
        /// Bytes of the file.
        found: u64,
    },
    /// The header contradicts itself.
    #[error("the queue's header is damaged ({what}): remove the queue and create it again")]
    Damaged {
        /// What is off.
        what: &'static str,
    },
    /// The queue holds another type of message.
    #[error(
        "the queue holds {found}, this program expects {expected}: rebuild both sides from the same \
         message, or use another queue"
    )]
    WrongSchema {
        /// What the queue holds.
        found: String,
        /// What this handle is for.
        expected: String,
    },
    /// The queue belongs to another user.
    #[error("the queue belongs to user {uid}: allow that user when opening, if you trust it")]
    ForeignOwner {
        /// The owner.
        uid: u32,
    },
    /// The operating system refused something.
    #[error(transparent)]
    System(#[from] SystemError),
}

/// [`crate::Builder::open_or_create`] failed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OpenOrCreateError {
    /// It exists and could not be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// It does not exist and could not be created.
    #[error(transparent)]
    Create(#[from] CreateError),
}

/// A role (producer, consumer) could not be taken, or a group not be made or removed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum JoinError {
    /// Somebody else is the producer.
    #[error("{} is the queue's producer: there can be only one; stop it first", Holder(*pid))]
    ProducerTaken {
        /// The holder; 0 if not known.
        pid: u32,
    },
    /// The group's one place is taken.
    #[error("{} is the consumer of group {group:?}: use another group, or stop it first", Holder(*pid))]
    ConsumerTaken {
        /// The group.
        group: String,
        /// The holder; 0 if not known.
        pid: u32,
    },
    /// The group still has members.
    #[error("group {group:?} has live members (processes {pids}): stop them first")]
    GroupBusy {
        /// The group.
        group: String,
        /// Its live members.
        pids: Pids,
    },
    /// The group was made by a newer version, in a mode that this one does not know.
    #[error("group {group:?} is of a kind that this program does not know: use a newer slipring")]
    UnknownMode {
        /// The group.
        group: String,
    },
    /// The group is of the other mode.
    #[error("group {group:?} is {found}, not {asked}: join it as what it is, or use another group")]
    WrongMode {
        /// The group.
        group: String,
        /// What it is.
        found: crate::layout::Mode,
        /// What was asked for.
        asked: crate::layout::Mode,
    },
    /// The segment says something that cannot be.
    #[error("the queue is damaged ({what}): remove it and create it again")]
    Corrupt {
        /// What was seen.
        what: &'static str,
    },
    /// No such group.
    #[error("there is no group {group:?}")]
    NoSuchGroup {
        /// The group.
        group: String,
    },
    /// A group of that name exists.
    #[error("group {group:?} exists already")]
    GroupExists {
        /// The group.
        group: String,
    },
    /// The name is not allowed.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The group table is full.
    #[error("all {max} groups of the queue are in use: remove one, or create the queue with more")]
    TooManyGroups {
        /// Size of the table.
        max: usize,
    },
    /// The consumer table is full. Consumers that died with messages nobody of their group has taken over
    /// yet count for the table, but not as live.
    #[error(
        "the queue has records for {max} consumers and {live} live ones: stop one, or create the queue \
         with more"
    )]
    TooManyConsumers {
        /// Size of the table.
        max: usize,
        /// Consumers that live.
        live: usize,
    },
    /// A group cannot start at a message that is not published yet.
    #[error(
        "sequence {asked} is not published yet (the next will be {tail}): choose one at or below it"
    )]
    AheadOfTail {
        /// What was asked for.
        asked: u64,
        /// The next sequence to be published.
        tail: u64,
    },
    /// The control lease could not be had.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// The operating system refused something.
    #[error(transparent)]
    System(#[from] SystemError),
}

/// A message could not be sent. It was not: nothing of it is visible to anybody.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SendError {
    /// No room, because a group has not acked its oldest messages.
    #[error("{0}")]
    Full(Full),
    /// No room within the time given.
    #[error("timed out: {0}")]
    Timeout(Full),
    /// The message does not fit a slot.
    #[error(
        "the message has {len} bytes, a slot of this queue holds {max}: split it, or create the queue with a larger payload size"
    )]
    TooLong {
        /// Bytes of the message.
        len: usize,
        /// Bytes of a slot.
        max: usize,
    },
    /// The queue holds typed messages, which all have one size.
    #[error("the message has {len} bytes, the queue's messages have exactly {expected}")]
    WrongLength {
        /// Bytes of the message.
        len: usize,
        /// Bytes of the queue's message type.
        expected: usize,
    },
    /// More slots at once than the ring has.
    #[error("{asked} messages at once do not fit a ring of {capacity}: send fewer at once")]
    TooMany {
        /// What was asked for.
        asked: usize,
        /// Capacity of the queue.
        capacity: u64,
    },
    /// All sequence numbers are used (2^56 of them).
    #[error("the queue has used up its sequence numbers: create a new one")]
    Exhausted,
    /// The queue has lost its name.
    #[error("the queue has been removed: nobody can join it any more; open it again by its name")]
    Removed,
    /// The handle was made before a fork.
    #[error("this handle belongs to the process that forked this one: open the queue again here")]
    Forked,
    /// The operating system refused something.
    #[error(transparent)]
    System(#[from] SystemError),
}

/// Who keeps a full queue full. Plain data, so that a producer that polls pays no allocation for it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Full {
    pub(crate) group: [u8; crate::layout::GROUP_NAME_MAX],
    pub(crate) group_len: u8,
    pub(crate) sequence: u64,
    pub(crate) pids: [u32; Full::PIDS],
    pub(crate) members: u32,
}

impl Full {
    /// Members that are named; a larger group's others are counted only.
    pub(crate) const PIDS: usize = 4;

    /// Name of the group that holds the queue.
    pub fn group(&self) -> &str {
        str::from_utf8(&self.group[..usize::from(self.group_len)]).unwrap_or("")
    }

    /// The sequence that this group has not acked; its slot is the next one the producer needs.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Pids of the group's live consumers, at most four of them. Empty: nobody reads for this group. Asked
    /// when the queue was found full, not at every further try.
    pub fn pids(&self) -> &[u32] {
        &self.pids[..(self.members as usize).min(Full::PIDS)]
    }
}

impl fmt::Debug for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Full")
            .field("group", &self.group())
            .field("sequence", &self.sequence)
            .field("pids", &self.pids())
            .finish()
    }
}

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (group, sequence) = (self.group(), self.sequence);
        if group.is_empty() {
            return write!(f, "the queue is full, and its groups are just changing: try again");
        }
        write!(f, "the queue is full: group {group:?} has not acked message {sequence}")?;
        match self.pids() {
            [] => write!(f, "; it has no consumer: start one, or remove the group"),
            pids => {
                let others = if self.members as usize > Full::PIDS { " and others" } else { "" };
                write!(f, "; its consumer is process {}{others}", Pids(pids.to_vec()))
            }
        }
    }
}

/// Nothing could be received.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RecvError {
    /// Nothing came within the time given.
    #[error("no message came within the time given")]
    Timeout,
    /// The producer has closed the queue, and all its messages are worked off. A new producer opens it
    /// again; receive again then, with the same handle.
    #[error("the queue is closed, and all its messages are worked off")]
    Closed,
    /// There is no producer any more, and it has not closed the queue. Only for who asked to be told; see
    /// [`Consumer::notice_producer_gone`](crate::Consumer::notice_producer_gone).
    #[error("the queue's producer is gone, and has not closed the queue: start one that goes on")]
    ProducerGone,
    /// The queue has lost its name.
    #[error(
        "the queue has been removed: no producer can join it any more; open it again by its name"
    )]
    Removed,
    /// The handle was made before a fork.
    #[error("this handle belongs to the process that forked this one: open the queue again here")]
    Forked,
    /// The segment says something that cannot be.
    #[error("the queue is damaged ({what}): remove it and create it again")]
    Corrupt {
        /// What was seen.
        what: &'static str,
    },
    /// A message that is to become a dead letter could not; it stays with this consumer and comes again.
    #[error(transparent)]
    DeadLetter(#[from] Box<DeadLetterError>),
    /// The operating system refused something.
    #[error(transparent)]
    System(#[from] SystemError),
}

/// An ack, or a rejection, that does not lie inside its batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("sequence {asked} is not an unacked message of this batch ({start} to {last})")]
pub struct AckError {
    pub(crate) asked: u64,
    pub(crate) start: u64,
    pub(crate) last: u64,
}

/// A queue could not be removed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RemoveError {
    /// The name is not allowed.
    #[error(transparent)]
    Name(#[from] NameError),
    /// Nothing has that name.
    #[error("there is no queue {name:?}")]
    NotFound {
        /// The name.
        name: String,
    },
    /// Processes use it.
    #[error("queue {name:?} is in use by processes {pids}: stop them, or remove it by force")]
    Busy {
        /// The name.
        name: String,
        /// Holders of roles.
        pids: Pids,
    },
    /// It could not be opened, so who uses it cannot be told.
    #[error("who uses {name:?} cannot be told ({source}): remove it by force if it is yours")]
    Unreadable {
        /// The name.
        name: String,
        /// Why it could not be opened.
        source: OpenError,
    },
    /// The control lease could not be had.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// The operating system refused something.
    #[error(transparent)]
    System(#[from] SystemError),
}

/// Not all messages of a batch could be sent.
#[derive(Debug, Error)]
#[error("{sent} messages of the batch were sent, the next one was not: {source}")]
pub struct BatchError {
    /// Messages that were sent, from the batch's first on.
    pub sent: usize,
    /// Why the next one was not.
    pub source: SendError,
}

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use thiserror::Error;

use super::{Pids, SystemError, known_pid};

/// A message was not sent: no group sees any part of it.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SendError {
    /// No room, because a group has not acked its oldest messages.
    #[error("{0}")]
    Full(Full),
    /// No room within the time given.
    #[error("timed out: {0}")]
    Timeout(Full),
    /// The program's interrupt function ended the wait; see [`Queue::set_interrupt`](crate::Queue::set_interrupt).
    #[error(
        "the wait for room in queue {queue:?} was interrupted: the message was not sent; send it again to go on"
    )]
    Interrupted {
        /// The queue.
        queue: Arc<str>,
    },
    /// The message does not fit a slot.
    #[error(
        "the message has {len} bytes, but a slot of queue {queue:?} holds {max}: split it, or create the queue with a larger payload size"
    )]
    TooLong {
        /// The queue.
        queue: Arc<str>,
        /// Bytes of the message.
        len: usize,
        /// Bytes of a slot.
        max: usize,
    },
    /// The queue holds typed messages, which all have one size.
    #[error(
        "the message has {len} bytes, but those of queue {queue:?} have exactly {expected}: send one of the queue's type"
    )]
    WrongLength {
        /// The queue.
        queue: Arc<str>,
        /// Bytes of the message.
        len: usize,
        /// Bytes of the queue's message type.
        expected: usize,
    },
    /// More slots at once than the ring has.
    #[error(
        "{asked} messages at once do not fit queue {queue:?}, a ring of {capacity}: send fewer at once"
    )]
    TooMany {
        /// The queue.
        queue: Arc<str>,
        /// What was asked for.
        asked: usize,
        /// Capacity of the queue.
        capacity: u64,
    },
    /// All sequence numbers are used (2^56 of them).
    #[error("queue {queue:?} has used up its sequence numbers: create a new one")]
    Exhausted {
        /// The queue.
        queue: Arc<str>,
    },
    /// The queue has lost its name.
    #[error(
        "queue {queue:?} has been removed: nobody can join it any more; {unconfirmed}; open it again by its name"
    )]
    Removed {
        /// The queue.
        queue: Arc<str>,
        /// What was sent since the name was last seen.
        unconfirmed: Unconfirmed,
    },
    /// The handle was made before a fork.
    #[error(
        "this handle of queue {queue:?} belongs to the process that forked this one: open the queue again here"
    )]
    Forked {
        /// The queue.
        queue: Arc<str>,
    },
    /// The operating system refused a call.
    #[error(transparent)]
    System(#[from] SystemError),
}

/// Messages that a producer sent after its last check that found the queue's name, and before the check that did not.
/// Only consumers that were attached at the removal can receive those that were sent after it, and older ones that no
/// consumer had received; which messages these are is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unconfirmed {
    pub(crate) first: u64,
    pub(crate) end: u64,
}

impl Unconfirmed {
    /// Their sequences.
    pub fn sequences(&self) -> Range<u64> {
        self.first..self.end
    }
}

impl fmt::Display for Unconfirmed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Unconfirmed { first, end } = *self;
        match end - first {
            0 => return write!(f, "no message was sent since its name was last seen"),
            1 => write!(f, "message {first} was")?,
            _ => write!(f, "messages {first} to {} were", end - 1)?,
        }
        write!(
            f,
            " sent since its name was last seen, and may reach only consumers that were attached before"
        )
    }
}

/// Which group keeps a full queue full. Making it, and cloning it, allocates nothing: a producer may poll.
#[derive(Clone, PartialEq, Eq)]
pub struct Full {
    pub(crate) queue: Arc<str>,
    pub(crate) blocking: BlockingGroup,
}

/// The group that keeps a queue full, and its members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BlockingGroup {
    pub(crate) group: [u8; crate::layout::GROUP_NAME_MAX],
    pub(crate) group_len: u8,
    pub(crate) sequence: u64,
    /// 0 for a pid that is not known, rather than `None`: a `SendError` stays small.
    pub(crate) pids: [u32; BlockingGroup::PIDS],
    pub(crate) holders: u8,
    pub(crate) live: u8,
    /// It has places for messages in flight, whose messages keep no slot.
    pub(crate) in_flight: bool,
}

impl BlockingGroup {
    /// Most holders that are named; the others are only counted.
    pub(crate) const PIDS: usize = 3;

    pub(crate) fn group(&self) -> &str {
        str::from_utf8(&self.group[..usize::from(self.group_len)]).unwrap_or("")
    }
}

impl Full {
    /// Name of the queue.
    pub fn queue(&self) -> &str {
        &self.queue
    }

    /// Name of the group that keeps the queue full.
    pub fn group(&self) -> &str {
        self.blocking.group()
    }

    /// The sequence that this group has not acked; its slot is the next one the producer needs.
    pub fn sequence(&self) -> u64 {
        self.blocking.sequence
    }

    /// Pids of the group's live consumers that hold messages, at most three, that with the oldest message first; `None`
    /// where one is not known. Each is the consumer's pid in its own pid namespace: here it may be another process's
    /// ([`Queue::pid_here`](crate::Queue::pid_here) tells). Found out at the first try that finds the queue full, not
    /// at each further one.
    pub fn pids(&self) -> impl ExactSizeIterator<Item = Option<u32>> {
        let BlockingGroup { pids, holders, .. } = self.blocking;
        pids.into_iter().take(holders.into()).map(|pid| known_pid(pid.into()))
    }

    /// How many live consumers the group had then, including those that hold nothing. A member that has adopted the
    /// range of a dead one counts twice.
    pub fn consumers(&self) -> usize {
        self.blocking.live.into()
    }
}

impl fmt::Debug for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Full")
            .field("queue", &self.queue())
            .field("group", &self.group())
            .field("sequence", &self.sequence())
            .field("pids", &self.pids().collect::<Vec<_>>())
            .finish()
    }
}

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (queue, group, sequence) = (self.queue(), self.group(), self.sequence());
        if group.is_empty() {
            return write!(
                f,
                "queue {queue:?} is full, and its groups are changing at this moment: try again"
            );
        }
        write!(f, "queue {queue:?} is full: group {group:?} has not acked message {sequence}")?;
        let pids = Pids { pids: self.pids().collect(), own: false };
        match pids.as_slice() {
            [] if self.consumers() == 0 => {
                write!(f, "; it has no consumer: start one, or remove the group")
            }
            [] if self.blocking.in_flight => write!(
                f,
                "; its live consumers ({}) do not receive it: its places for messages in flight are all in use, or they are busy or stopped",
                self.consumers()
            ),
            [] => write!(
                f,
                "; none of its live consumers ({}) holds it: start another",
                self.consumers()
            ),
            [_] => write!(f, "; its consumer is process {pids}"),
            _ => {
                let more = usize::from(self.blocking.holders) > BlockingGroup::PIDS;
                let others = if more { " and others" } else { "" };
                write!(
                    f,
                    "; messages are held by processes {pids}{others}, the oldest by the first"
                )
            }
        }
    }
}

/// Not all messages of a batch could be sent. It becomes a [`SendError`] by `?`, without how many were sent.
#[derive(Debug, Error)]
#[error("{sent} messages of the batch were sent, the next one was not: {reason}")]
pub struct SendBatchError {
    pub(crate) sent: usize,
    pub(crate) reason: SendError,
}

impl SendBatchError {
    /// Messages that were sent, from the batch's first on.
    pub fn sent(&self) -> usize {
        self.sent
    }

    /// Why the next one was not sent.
    pub fn reason(&self) -> &SendError {
        &self.reason
    }

    /// Why the next one was not sent, by value.
    pub fn into_reason(self) -> SendError {
        self.reason
    }

    /// Adds `before` messages that were sent earlier.
    #[cold]
    pub(crate) fn after(self, before: usize) -> SendBatchError {
        SendBatchError { sent: before + self.sent, ..self }
    }
}

/// The reason alone, so that `?` works in functions that return a [`SendError`]. It drops the number of messages that
/// were sent: a caller that wants to send the rest asks [`SendBatchError::sent`] first.
impl From<SendBatchError> for SendError {
    fn from(fault: SendBatchError) -> SendError {
        fault.into_reason()
    }
}

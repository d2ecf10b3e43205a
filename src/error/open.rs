use std::fmt;
use std::sync::Arc;

use thiserror::Error;

use super::{NameError, SystemError};

/// A queue could not be opened.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The name is not allowed.
    #[error(transparent)]
    Name(#[from] NameError),
    /// There is no queue of that name.
    #[error("there is no queue {queue:?}: create it first")]
    NotFound {
        /// The queue.
        queue: Arc<str>,
    },
    /// Something else has that name.
    #[error(
        "{queue:?} is not a slipring queue: its file begins with other bytes; choose another name"
    )]
    NotAQueue {
        /// The name.
        queue: Arc<str>,
    },
    /// A queue of another layout version.
    #[error(
        "queue {queue:?} has layout version {found}, but this program supports {supported}: use programs \
         built with the same slipring, or remove the queue and create it again"
    )]
    WrongVersion {
        /// The queue.
        queue: Arc<str>,
        /// The queue's version.
        found: u32,
        /// The version that this program supports.
        supported: u32,
    },
    /// The queue uses something that this version does not know.
    #[error("queue {queue:?} uses {what}, which this program does not know: use a newer slipring")]
    Unsupported {
        /// The queue.
        queue: Arc<str>,
        /// What it uses.
        what: String,
    },
    /// The file is shorter or longer than its header says.
    #[error(
        "the file of queue {queue:?} is {found} bytes long, but its header says {expected}: it is damaged; remove \
         the queue and create it again"
    )]
    WrongSize {
        /// The queue.
        queue: Arc<str>,
        /// Bytes the header asks for; the header's own size if that did not fit.
        expected: u64,
        /// Bytes of the file.
        found: u64,
    },
    /// The header contradicts itself.
    #[error(
        "the header of queue {queue:?} is damaged ({what}): remove the queue and create it again"
    )]
    Damaged {
        /// The queue.
        queue: Arc<str>,
        /// What is wrong.
        what: &'static str,
    },
    /// The queue holds another type of message.
    #[error(
        "queue {queue:?} holds {found}, but this program expects {expected}{}: rebuild both sides from the same \
         message, or use another queue",
        InBrackets(difference.as_deref())
    )]
    WrongSchema {
        /// The queue.
        queue: Arc<str>,
        /// What the queue holds.
        found: String,
        /// What this handle is for.
        expected: String,
        /// The first field that differs; `None` if the queue holds bytes.
        difference: Option<String>,
    },
    /// The queue belongs to another user.
    #[error("queue {queue:?} belongs to user {uid}: allow that user when opening, if you trust it")]
    ForeignOwner {
        /// The queue.
        queue: Arc<str>,
        /// The owner.
        uid: u32,
    },
    /// This process's user namespace does not map the queue's owner, which so could be any user.
    #[error(
        "cannot tell who owns queue {queue:?}: this user namespace does not map its owner, and shows {uid} instead; use the \
         queue from a namespace that maps its owner"
    )]
    UnknownOwner {
        /// The queue.
        queue: Arc<str>,
        /// The uid that stands for all users that are not mapped.
        uid: u32,
    },
    /// The operating system refused a call.
    #[error(transparent)]
    System(#[from] SystemError),
}

/// A text in brackets, if there is one.
struct InBrackets<'a>(Option<&'a str>);

impl fmt::Display for InBrackets<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |text| write!(f, " ({text})"))
    }
}

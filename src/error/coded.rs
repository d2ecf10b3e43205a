//! The code of each error. An error that wraps another one has that one's code, unless it is of a kind of its own. Each
//! match is exhaustive, so a new variant needs its line here.

use super::*;

macro_rules! one_code {
    ($($error:ident => $code:expr;)*) => {$(
        impl $error {
            /// What kind of error it is, by a fixed number and name.
            pub fn code(&self) -> ErrorCode {
                $code
            }
        }
    )*};
}

one_code! {
    SystemError => ErrorCode::System;
    NameError => ErrorCode::BadName;
    GeometryError => ErrorCode::BadShape;
    DeadLetterError => ErrorCode::DeadLetterFailed;
}

impl CreateError {
    /// What kind of error it is, by a fixed number and name.
    pub fn code(&self) -> ErrorCode {
        match self {
            CreateError::Name(fault) => fault.code(),
            CreateError::Geometry { reason, .. } => reason.code(),
            CreateError::SchemaName { .. } => ErrorCode::BadShape,
            CreateError::Permissions { .. } => ErrorCode::BadShape,
            CreateError::Exists { .. } => ErrorCode::QueueExists,
            CreateError::Group(fault) => fault.code(),
            CreateError::GroupTwice { .. } => ErrorCode::GroupExists,
            CreateError::NoRoom { .. } => ErrorCode::NoMemory,
            CreateError::FileSize { .. } => ErrorCode::FileSizeLimit,
            CreateError::System(fault) => fault.code(),
        }
    }
}

impl OpenError {
    /// What kind of error it is, by a fixed number and name.
    pub fn code(&self) -> ErrorCode {
        match self {
            OpenError::Name(fault) => fault.code(),
            OpenError::NotFound { .. } => ErrorCode::NoSuchQueue,
            OpenError::NotAQueue { .. } => ErrorCode::NotAQueue,
            OpenError::WrongVersion { .. } => ErrorCode::WrongVersion,
            OpenError::Unsupported { .. } => ErrorCode::Unsupported,
            OpenError::WrongSize { .. } => ErrorCode::Damaged,
            OpenError::Damaged { .. } => ErrorCode::Damaged,
            OpenError::WrongSchema { .. } => ErrorCode::WrongSchema,
            OpenError::ForeignOwner { .. } => ErrorCode::ForeignOwner,
            OpenError::UnknownOwner { .. } => ErrorCode::UnknownOwner,
            OpenError::System(fault) => fault.code(),
        }
    }
}

impl OpenOrCreateError {
    /// What kind of error it is, by a fixed number and name.
    pub fn code(&self) -> ErrorCode {
        match self {
            OpenOrCreateError::Open(fault) => fault.code(),
            OpenOrCreateError::Create(fault) => fault.code(),
        }
    }
}

impl RemoveError {
    /// What kind of error it is, by a fixed number and name.
    pub fn code(&self) -> ErrorCode {
        match self {
            RemoveError::Name(fault) => fault.code(),
            RemoveError::NotFound { .. } => ErrorCode::NoSuchQueue,
            RemoveError::Busy { .. } => ErrorCode::QueueInUse,
            RemoveError::Unacked { .. } => ErrorCode::QueueUnacked,
            RemoveError::Unreadable { .. } => ErrorCode::QueueUnreadable,
            RemoveError::Control(fault) => fault.code(),
            RemoveError::System(fault) => fault.code(),
        }
    }
}

impl AttachError {
    /// What kind of error it is, by a fixed number and name.
    pub fn code(&self) -> ErrorCode {
        match self {
            AttachError::Removed { .. } => ErrorCode::Removed,
            AttachError::Forked { .. } => ErrorCode::Forked,
            AttachError::System(fault) => fault.code(),
        }
    }
}

impl ControlError {
    /// What kind of error it is, by a fixed number and name.
    pub fn code(&self) -> ErrorCode {
        match self {
            ControlError::Timeout { .. } => ErrorCode::ControlTimeout,
            ControlError::Removed { .. } => ErrorCode::Removed,
            ControlError::Forked { .. } => ErrorCode::Forked,
            ControlError::System(fault) => fault.code(),
        }
    }
}

impl ProducerError {
    /// What kind of error it is, by a fixed number and name.
    pub fn code(&self) -> ErrorCode {
        match self {
            ProducerError::Taken { .. } => ErrorCode::ProducerTaken,
            ProducerError::Interrupted { .. } => ErrorCode::Interrupted,
            ProducerError::Corrupt { .. } => ErrorCode::Damaged,
            ProducerError::Control(fault) => fault.code(),
            ProducerError::System(fault) => fault.code(),
        }
    }
}

impl GroupError {
    /// What kind of error it is, by a fixed number and name.
    pub fn code(&self) -> ErrorCode {
        match self {
            GroupError::Name(fault) => fault.code(),
            GroupError::MaxAttempts { .. } => ErrorCode::BadMaxAttempts,
            GroupError::AheadOfTail { .. } => ErrorCode::NotPublished,
            GroupError::DeadLetterLoop { .. } => ErrorCode::DeadLetterLoop,
            GroupError::DeadLetterName { .. } => ErrorCode::DeadLetterName,
            GroupError::TooMany { .. } => ErrorCode::TooManyGroups,
            GroupError::InFlight { .. } => ErrorCode::BadInFlight,
            GroupError::AckTimeout { .. } => ErrorCode::BadInFlight,
            GroupError::NoCells { .. } => ErrorCode::NoCells,
        }
    }
}

impl AddGroupError {
    /// What kind of error it is, by a fixed number and name.
    pub fn code(&self) -> ErrorCode {
        match self {
            AddGroupError::Exists { .. } => ErrorCode::GroupExists,
            AddGroupError::Group(fault) => fault.code(),
            AddGroupError::Control(fault) => fault.code(),
        }
    }
}

impl RemoveGroupError {
    /// What kind of error it is, by a fixed number and name.
    pub fn code(&self) -> ErrorCode {
        match self {
            RemoveGroupError::NotFound { .. } => ErrorCode::NoSuchGroup,
            RemoveGroupError::Busy { .. } => ErrorCode::GroupInUse,
            RemoveGroupError::Unacked { .. } => ErrorCode::GroupUnacked,
            RemoveGroupError::Control(fault) => fault.code(),
            RemoveGroupError::System(fault) => fault.code(),
        }
    }
}

impl JoinError {
    /// What kind of error it is, by a fixed number and name.
    pub fn code(&self) -> ErrorCode {
        match self {
            JoinError::Taken { .. } => ErrorCode::ConsumerTaken,
            JoinError::NoSuchGroup { .. } => ErrorCode::NoSuchGroup,
            JoinError::UnknownMode { .. } => ErrorCode::Unsupported,
            JoinError::WrongMode { .. } => ErrorCode::WrongMode,
            JoinError::InFlight { .. } => ErrorCode::WrongMode,
            JoinError::Clock { .. } => ErrorCode::NoHostClock,
            JoinError::TooManyConsumers { .. } => ErrorCode::TooManyConsumers,
            JoinError::Corrupt { .. } => ErrorCode::Damaged,
            JoinError::Group(fault) => fault.code(),
            JoinError::Control(fault) => fault.code(),
            JoinError::System(fault) => fault.code(),
        }
    }
}

impl JobError {
    /// What kind of error it is, by a fixed number and name.
    pub fn code(&self) -> ErrorCode {
        match self {
            JobError::Evicted { .. } => ErrorCode::Evicted,
            JobError::Forked { .. } => ErrorCode::Forked,
            JobError::DeadLetter(fault) => fault.code(),
        }
    }
}

impl EvictError {
    /// What kind of error it is, by a fixed number and name.
    pub fn code(&self) -> ErrorCode {
        match self {
            EvictError::NotFound { .. } => ErrorCode::NoSuchGroup,
            EvictError::NotInFlight { .. } => ErrorCode::NotInFlight,
            EvictError::Corrupt { .. } => ErrorCode::Damaged,
            EvictError::Control(fault) => fault.code(),
        }
    }
}

impl AckTimeoutError {
    /// What kind of error it is, by a fixed number and name.
    pub fn code(&self) -> ErrorCode {
        match self {
            AckTimeoutError::NotFound { .. } => ErrorCode::NoSuchGroup,
            AckTimeoutError::NotInFlight { .. } => ErrorCode::NotInFlight,
            AckTimeoutError::Group(fault) => fault.code(),
            AckTimeoutError::Control(fault) => fault.code(),
        }
    }
}

impl ReleaseError {
    /// What kind of error it is, by a fixed number and name.
    pub fn code(&self) -> ErrorCode {
        match self {
            ReleaseError::TooManyConsumers { .. } => ErrorCode::TooManyConsumers,
            ReleaseError::Control(fault) => fault.code(),
            ReleaseError::System(fault) => fault.code(),
        }
    }
}

impl SendError {
    /// What kind of error it is, by a fixed number and name.
    pub fn code(&self) -> ErrorCode {
        match self {
            SendError::Full(_) => ErrorCode::Full,
            SendError::Timeout(_) => ErrorCode::SendTimeout,
            SendError::Interrupted { .. } => ErrorCode::Interrupted,
            SendError::TooLong { .. } => ErrorCode::TooLong,
            SendError::WrongLength { .. } => ErrorCode::WrongLength,
            SendError::TooMany { .. } => ErrorCode::TooManyAtOnce,
            SendError::Exhausted { .. } => ErrorCode::Exhausted,
            SendError::Removed { .. } => ErrorCode::Removed,
            SendError::Forked { .. } => ErrorCode::Forked,
            SendError::System(fault) => fault.code(),
        }
    }
}

impl SendBatchError {
    /// What kind of error it is, by a fixed number and name.
    pub fn code(&self) -> ErrorCode {
        self.reason().code()
    }
}

impl RecvError {
    /// What kind of error it is, by a fixed number and name.
    pub fn code(&self) -> ErrorCode {
        match self {
            RecvError::Empty => ErrorCode::Empty,
            RecvError::Timeout { .. } => ErrorCode::RecvTimeout,
            RecvError::Interrupted { .. } => ErrorCode::Interrupted,
            RecvError::Closed { .. } => ErrorCode::Closed,
            RecvError::ProducerGone { .. } => ErrorCode::ProducerGone,
            RecvError::Removed { .. } => ErrorCode::Removed,
            RecvError::Forked { .. } => ErrorCode::Forked,
            RecvError::Corrupt { .. } => ErrorCode::Damaged,
            RecvError::Clock { .. } => ErrorCode::NoHostClock,
            RecvError::Ack(fault) => fault.code(),
            RecvError::DeadLetter(fault) => fault.code(),
            RecvError::System(fault) => fault.code(),
        }
    }
}

impl SelectError {
    /// What kind of error it is, by a fixed number and name.
    pub fn code(&self) -> ErrorCode {
        match self {
            SelectError::Empty => ErrorCode::Empty,
            SelectError::Timeout => ErrorCode::RecvTimeout,
            SelectError::Interrupted => ErrorCode::Interrupted,
            SelectError::Closed => ErrorCode::Closed,
            SelectError::Recv { reason, .. } => reason.code(),
        }
    }
}

impl GrowError {
    /// What kind of error it is, by a fixed number and name.
    pub fn code(&self) -> ErrorCode {
        match self {
            GrowError::Shared { .. } => ErrorCode::CannotGrow,
            GrowError::Forked { .. } => ErrorCode::Forked,
            GrowError::Corrupt { .. } => ErrorCode::Damaged,
        }
    }
}

impl AckError {
    /// What kind of error it is, by a fixed number and name.
    pub fn code(&self) -> ErrorCode {
        self.reason().code()
    }
}

impl AckReason {
    /// What kind of error it is, by a fixed number and name.
    pub fn code(&self) -> ErrorCode {
        match self {
            AckReason::NotInBatch { .. } => ErrorCode::NotInBatch,
            AckReason::Forked { .. } => ErrorCode::Forked,
        }
    }
}

impl DeadLetterSendError {
    /// What kind of error it is, by a fixed number and name.
    pub fn code(&self) -> ErrorCode {
        match self {
            DeadLetterSendError::Open(fault) => fault.code(),
            DeadLetterSendError::Group(fault) => fault.code(),
            DeadLetterSendError::Producer(fault) => fault.code(),
            DeadLetterSendError::Send(fault) => fault.code(),
            DeadLetterSendError::NotForLetters { .. } => ErrorCode::NotForLetters,
            DeadLetterSendError::Refused(_) => ErrorCode::HandlerRefused,
        }
    }
}

impl RejectError {
    /// What kind of error it is, by a fixed number and name.
    pub fn code(&self) -> ErrorCode {
        match self {
            RejectError::Ack(fault) => fault.code(),
            RejectError::DeadLetter(fault) => fault.code(),
        }
    }
}

impl PurgeError {
    /// What kind of error it is, by a fixed number and name.
    pub fn code(&self) -> ErrorCode {
        self.reason().code()
    }
}

impl PurgeReason {
    /// What kind of error it is, by a fixed number and name.
    pub fn code(&self) -> ErrorCode {
        match self {
            PurgeReason::Join(fault) => fault.code(),
            PurgeReason::Recv(fault) => fault.code(),
        }
    }
}

impl RequeueError {
    /// What kind of error it is, by a fixed number and name.
    pub fn code(&self) -> ErrorCode {
        self.reason().code()
    }
}

impl RequeueReason {
    /// What kind of error it is, by a fixed number and name.
    pub fn code(&self) -> ErrorCode {
        match self {
            RequeueReason::Join(fault) => fault.code(),
            RequeueReason::Recv(fault) => fault.code(),
            RequeueReason::NotALetter { .. } => ErrorCode::NotALetter,
            RequeueReason::Open(fault) => fault.code(),
            RequeueReason::NoSuchGroup { .. } => ErrorCode::NoSuchGroup,
            RequeueReason::GroupAbandoned { .. } => ErrorCode::GroupAbandoned,
            RequeueReason::UnknownMode { .. } => ErrorCode::Unsupported,
            RequeueReason::Full { .. } => ErrorCode::InFlightFull,
            RequeueReason::WrongLength { .. } => ErrorCode::WrongLength,
            RequeueReason::Corrupt { .. } => ErrorCode::Damaged,
            RequeueReason::Control(fault) => fault.code(),
            RequeueReason::TooSmall { .. } => ErrorCode::RetriesTooSmall,
            RequeueReason::Send { reason, .. } => reason.code(),
        }
    }
}

impl StreamError {
    /// What kind of error it is, by a fixed number and name.
    pub fn code(&self) -> ErrorCode {
        match self {
            StreamError::NoSources { .. } => ErrorCode::NoSources,
            StreamError::TooMany { .. } => ErrorCode::TooManyStreams,
            StreamError::Forked { .. } => ErrorCode::Forked,
        }
    }
}

impl StreamSendError {
    /// What kind of error it is, by a fixed number and name.
    pub fn code(&self) -> ErrorCode {
        match self {
            StreamSendError::NotRising { .. } => ErrorCode::NotRising,
            StreamSendError::Send(fault) => fault.code(),
        }
    }
}

impl SendFromError {
    /// What kind of error it is, by a fixed number and name.
    pub fn code(&self) -> ErrorCode {
        match self {
            SendFromError::Stream(fault) => fault.code(),
            SendFromError::Send(fault) => fault.code(),
        }
    }
}

impl ForgetStreamError {
    /// What kind of error it is, by a fixed number and name.
    pub fn code(&self) -> ErrorCode {
        match self {
            ForgetStreamError::InRing { .. } => ErrorCode::StreamInRing,
            ForgetStreamError::Forked { .. } => ErrorCode::Forked,
        }
    }
}

impl NewStageError {
    /// What kind of error it is, by a fixed number and name.
    pub fn code(&self) -> ErrorCode {
        match self {
            NewStageError::Shared { .. } => ErrorCode::NoStage,
            NewStageError::MaxAttempts { .. } => ErrorCode::NoStage,
            NewStageError::SameQueue { .. } => ErrorCode::NoStage,
            NewStageError::Stream(fault) => fault.code(),
        }
    }
}

impl StageError {
    /// What kind of error it is, by a fixed number and name.
    pub fn code(&self) -> ErrorCode {
        match self {
            StageError::Recv(fault) => fault.code(),
            StageError::Map { .. } => ErrorCode::MapFailed,
            StageError::FewerOutputs { .. } => ErrorCode::BadOutputs,
            StageError::TooManyOutputs { .. } => ErrorCode::BadOutputs,
            StageError::Requeued { .. } => ErrorCode::MapFailed,
            StageError::Stream(fault) => fault.code(),
            StageError::Send(fault) => fault.code(),
            StageError::Ack(fault) => fault.code(),
        }
    }
}

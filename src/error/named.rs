//! The queue of each error, so that a program can log it without a match. Each match is exhaustive, so a new variant
//! needs its place here.

use super::*;

/// For each error: the variants with a field `queue`, then the queue of each other variant.
macro_rules! named {
    ($($error:ident: [$($variant:ident),*] $($other:pat => $queue:expr),*;)*) => {$(
        impl $error {
            /// Name of the queue that it is about, if it is about one.
            pub fn queue(&self) -> Option<&str> {
                use $error::*;
                match self {
                    $($variant { queue, .. } => Some(queue),)*
                    $($other => $queue,)*
                }
            }
        }
    )*};
}

named! {
    CreateError: [Geometry, Exists, GroupTwice, SchemaName, Permissions, NoRoom, FileSize]
        Name(_) => None, Group(fault) => fault.queue(), System(fault) => fault.queue();
    OpenError: [
        NotFound, NotAQueue, WrongVersion, Unsupported, WrongSize, Damaged, WrongSchema, ForeignOwner, UnknownOwner
    ]
        Name(_) => None, System(fault) => fault.queue();
    OpenOrCreateError: []
        Open(fault) => fault.queue(), Create(fault) => fault.queue();
    RemoveError: [NotFound, Busy, Unacked, Unreadable]
        Name(_) => None, Control(fault) => fault.queue(), System(fault) => fault.queue();
    AttachError: [Removed, Forked]
        System(fault) => fault.queue();
    ControlError: [Timeout, Removed, Forked]
        System(fault) => fault.queue();
    ProducerError: [Taken, Interrupted, Corrupt]
        Control(fault) => fault.queue(), System(fault) => fault.queue();
    GroupError: [
        MaxAttempts, AheadOfTail, DeadLetterLoop, DeadLetterName, TooMany, InFlight, AckTimeout, NoCells
    ]
        Name(_) => None;
    AddGroupError: [Exists]
        Group(fault) => fault.queue(), Control(fault) => fault.queue();
    RemoveGroupError: [NotFound, Busy, Unacked]
        Control(fault) => fault.queue(), System(fault) => fault.queue();
    JoinError: [Taken, NoSuchGroup, UnknownMode, WrongMode, TooManyConsumers, Corrupt, InFlight, Clock]
        Group(fault) => fault.queue(), Control(fault) => fault.queue(), System(fault) => fault.queue();
    ReleaseError: [TooManyConsumers]
        Control(fault) => fault.queue(), System(fault) => fault.queue();
    SendError: [Interrupted, TooLong, WrongLength, TooMany, Exhausted, Removed, Forked]
        Full(full) | Timeout(full) => Some(full.queue()), System(fault) => fault.queue();
    StreamError: [NoSources, TooMany, Forked];
    StreamSendError: [NotRising]
        Send(fault) => fault.queue();
    SendFromError: []
        Stream(fault) => fault.queue(), Send(fault) => fault.queue();
    ForgetStreamError: [InRing, Forked];
    NewStageError: [Shared, MaxAttempts, SameQueue]
        Stream(fault) => fault.queue();
    StageError: [Map, FewerOutputs, TooManyOutputs, Requeued]
        Recv(fault) => fault.queue(), Stream(fault) => fault.queue(), Send(fault) => fault.queue(),
        Ack(fault) => Some(fault.queue());
    RecvError: [Timeout, Interrupted, Closed, ProducerGone, Removed, Forked, Corrupt, Clock]
        Empty => None, DeadLetter(fault) => Some(fault.queue()), Ack(fault) => Some(fault.queue()),
        System(fault) => fault.queue();
    JobError: [Evicted, Forked]
        DeadLetter(fault) => Some(fault.queue());
    EvictError: [NotFound, NotInFlight, Corrupt]
        Control(fault) => fault.queue();
    AckTimeoutError: [NotFound, NotInFlight]
        Group(fault) => fault.queue(), Control(fault) => fault.queue();
    SelectError: []
        Empty | Timeout | Interrupted | Closed => None, Recv { reason, .. } => reason.queue();
    GrowError: [Shared, Forked, Corrupt];
    AckReason: [NotInBatch, Forked];
    DeadLetterSendError: [NotForLetters]
        Open(fault) => fault.queue(), Group(fault) => fault.queue(), Producer(fault) => fault.queue(),
        Send(fault) => fault.queue(), Refused(_) => None;
    RejectError: []
        Ack(fault) => Some(fault.queue()), DeadLetter(fault) => Some(fault.queue());
    PurgeReason: []
        Join(fault) => fault.queue(), Recv(fault) => fault.queue();
    RequeueReason: [
        NotALetter, NoSuchGroup, GroupAbandoned, UnknownMode, Full, WrongLength, Corrupt, TooSmall, Send
    ]
        Join(fault) => fault.queue(), Recv(fault) => fault.queue(), Open(fault) => fault.queue(),
        Control(fault) => fault.queue();
}

/// For errors whose reason is one of these.
macro_rules! named_by_its_reason {
    ($($error:ident)*) => {$(
        impl $error {
            /// Name of the queue that it is about, if it is about one.
            pub fn queue(&self) -> Option<&str> {
                self.reason().queue()
            }
        }
    )*};
}

named_by_its_reason! { SendBatchError PurgeError RequeueError }

//! What is known of a message besides its content: the same in every view of it.

use std::fmt;
use std::time::Duration;

use crate::packed::{CellState, NEVER, Tick, nanoseconds_of};
use crate::ring::observe::InCell;

/// What is known of a message besides its content, in every view of it: [`Received`](crate::Received),
/// [`Delivery`](crate::Delivery), [`Task`](crate::Task), [`OwnedMessage`](crate::OwnedMessage) and
/// [`Observation`](crate::Observation).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct MessageInfo {
    sequence: u64,
    kind: u32,
    attempts: u16,
    // Neither a bool nor padding: either makes each copy slower.
    requeued: u16,
}

/// The accessors of a view that keeps a [`MessageInfo`] in its field `info`. The view may get kind and requeued from
/// elsewhere, so that only callers that ask for them pay for the load.
macro_rules! message_accessors {
    () => {
        $crate::info::message_accessors!(view => view.info.kind(), view.info.requeued());
    };
    ($view:ident => $kind:expr, $requeued:expr) => {
        /// What is known of it besides its content.
        pub fn info(&self) -> $crate::info::MessageInfo {
            self.info.with(self.kind(), self.requeued())
        }

        $crate::info::message_accessors!(
            $view => $view.info.sequence(), $kind, $view.info.attempts(), $requeued
        );
    };
    ($view:ident => $sequence:expr, $kind:expr, $attempts:expr, $requeued:expr) => {
        /// Its number in the queue, counted from the queue's first message.
        pub fn sequence(&self) -> u64 {
            let $view = self;
            $sequence
        }

        /// The kind that its sender gave it; 0 if none.
        pub fn kind(&self) -> u32 {
            let $view = self;
            $kind
        }

        /// How often it was delivered to the group, this time included, less the deliveries that were taken back
        /// ([`Batch::uncount`](crate::Batch::uncount)). 255 means 255 or more. Exact where the group has a limit of
        /// attempts; in other groups it may be too low, but is at least 2 for what was delivered before. 0 for an
        /// observer's message, which is no delivery.
        pub fn attempts(&self) -> u8 {
            let $view = self;
            $attempts
        }

        /// Whether it was delivered to the group before.
        pub fn redelivered(&self) -> bool {
            self.attempts() > 1
        }

        /// Whether it is a dead letter that was sent again to the group. Such a message comes alone, with its first
        /// sequence and kind, and its attempts count from 1 again.
        pub fn requeued(&self) -> bool {
            let $view = self;
            $requeued
        }
    };
}
pub(crate) use message_accessors;

impl MessageInfo {
    #[inline]
    pub(crate) fn new(sequence: u64, kind: u32, attempts: u8) -> MessageInfo {
        MessageInfo { sequence, kind, attempts: attempts.into(), requeued: 0 }
    }

    pub(crate) fn with(self, kind: u32, requeued: bool) -> MessageInfo {
        MessageInfo { kind, requeued: requeued.into(), ..self }
    }

    message_accessors!(
        info => info.sequence, info.kind, info.attempts as u8, info.requeued != 0
    );
}

impl fmt::Debug for MessageInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MessageInfo")
            .field("sequence", &self.sequence())
            .field("kind", &self.kind())
            .field("attempts", &self.attempts())
            .field("requeued", &self.requeued())
            .finish()
    }
}

/// A message in flight; [`Observer::in_flight`](crate::Observer::in_flight) shows its content. Times are of CLOCK_MONOTONIC,
/// in steps of 4 ms.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct InFlightMessage {
    /// Its sequence.
    pub sequence: u64,
    /// Record of the member that has it; `None` if it waits for any, from `due` on.
    pub record: Option<u8>,
    /// Whether it is a dead letter that was sent again. Its attempts count from then on.
    pub requeued: bool,
    /// Deliveries so far.
    pub attempts: u8,
    /// How long ago it was received first, or sent again; `None` if that is not known.
    pub received: Option<Duration>,
    /// In how long any member may take it; zero: now. `None`: never, as long as its member lives.
    pub due: Option<Duration>,
    /// Of its group's: it stays there until it is acked.
    pub(crate) cell: u32,
}

impl InFlightMessage {
    /// Whether its member's time is over: any other member may take it now, and none has done so.
    pub fn is_overdue(&self) -> bool {
        self.record.is_some() && self.due == Some(Duration::ZERO)
    }

    pub(crate) fn of(found: InCell, now: Tick) -> InFlightMessage {
        let InCell { cell, seq, requeued, received, word } = found;
        let time = |ticks| Duration::from_nanos(nanoseconds_of(ticks));
        InFlightMessage {
            sequence: seq,
            requeued,
            record: (word.state == CellState::Held).then_some(word.owner),
            attempts: word.attempts,
            received: (received > 0).then(|| time(now.saturating_sub(received))),
            due: (word.due < NEVER).then(|| time(word.due.saturating_sub(now))),
            cell,
        }
    }
}

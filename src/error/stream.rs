use std::sync::Arc;

use thiserror::Error;

use super::SendError;
use crate::source::StreamId;

/// A stream could not be had for sending.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StreamError {
    /// Messages of this queue do not say where they come from.
    #[error(
        "messages of queue {queue:?} have no sources: create the queue with sources (Builder::sources, or create --sources)"
    )]
    NoSources {
        /// The queue.
        queue: Arc<str>,
    },
    /// The queue's table of streams is full.
    #[error(
        "queue {queue:?} has room for {} streams, and all are in use ({}): forget one of which no message is in the ring or in flight (slipring streams forget {queue} STREAM), or create the queue with more",
        streams.len(),
        list(streams)
    )]
    TooMany {
        /// The queue.
        queue: Arc<str>,
        /// The streams in its table.
        streams: Vec<StreamId>,
    },
    /// The handle was made before a fork.
    #[error(
        "this handle of queue {queue:?} belongs to the process that forked this one: open the queue again here"
    )]
    Forked {
        /// The queue.
        queue: Arc<str>,
    },
}

/// A message of a stream could not be sent, or its position could not be passed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StreamSendError {
    /// The position is not above the one before it. That is a mistake of the program.
    #[error(
        "position {position} of stream {} does not rise: position {last} of it is in queue {queue:?}, or was passed; positions begin at 1 and rise strictly",
        show(*stream)
    )]
    NotRising {
        /// The queue.
        queue: Arc<str>,
        /// The stream.
        stream: StreamId,
        /// The position that was given.
        position: u64,
        /// The position before it.
        last: u64,
    },
    /// A message was not sent, for a reason that any send may have. Those before it in a batch were.
    #[error(transparent)]
    Send(#[from] SendError),
}

/// [`Producer::send_from`](crate::Producer::send_from) failed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SendFromError {
    /// The stream could not be had.
    #[error(transparent)]
    Stream(#[from] StreamError),
    /// The message could not be sent.
    #[error(transparent)]
    Send(#[from] StreamSendError),
}

/// A stream could not be forgotten.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ForgetStreamError {
    /// Messages of the stream are in the ring, or in flight, and would be taken for another stream's.
    #[error(
        "messages of stream {} are still in the ring of queue {queue:?}, acked or not, or in flight: forget it once {capacity} messages of other streams, or of none, have been sent after them, and none of them is in flight",
        show(*stream)
    )]
    InRing {
        /// The queue.
        queue: Arc<str>,
        /// The stream.
        stream: StreamId,
        /// Capacity of the queue.
        capacity: u64,
    },
    /// The handle was made before a fork.
    #[error(
        "this handle of queue {queue:?} belongs to the process that forked this one: open the queue again here"
    )]
    Forked {
        /// The queue.
        queue: Arc<str>,
    },
}

fn show(stream: StreamId) -> String {
    let label = stream.label();
    if label.is_empty() { stream.to_string() } else { format!("{label:?}") }
}

fn list(streams: &[StreamId]) -> String {
    streams.iter().map(|stream| show(*stream)).collect::<Vec<_>>().join(", ")
}

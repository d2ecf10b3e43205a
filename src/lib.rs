//! A lock-free message queue in shared memory.
//!
//! Processes on one host pass messages through a fixed-size ring in a named segment: one producer, many
//! consumers. The data path takes no lock and makes no system call while nobody sleeps, but for one look at the
//! queue's name in 256 messages sent. Every group of consumers sees every message;
//! inside a shared group each message goes to one member. A message stays until each group has acked it,
//! and what a killed member had not acked goes to another at once. Observers watch read-only and slow
//! nobody.
//!
//! ```
//! use slipring::Queue;
//!
//! # let name = format!("doc-lib-{}", std::process::id());
//! let queue = Queue::builder(&name).capacity(1024).payload_size(48).group("audit").create()?;
//! let mut producer = queue.producer()?;
//! producer.send("hello")?;
//!
//! // Usually in another process: Queue::open(&name)?
//! let mut consumer = queue.consumer("audit")?;
//! let message = consumer.recv()?;
//! assert_eq!(&*message, b"hello");
//! message.ack();
//! # drop((consumer, producer));
//! slipring::remove(&name, false)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Trade-offs
//!
//! - **Lossless for groups.** A producer never overwrites what a group has not acked: the slowest group
//!   holds the queue. Observers are the lossy way to read; they count what they missed.
//! - **At least once.** A consumer that dies before its ack leaves the message to the group's next one, or
//!   to another member. What is delivered too often, or rejected, becomes a [`DeadLetter`].
//! - **Order.** A group sees messages in the order they were sent. What comes again to a member of a shared
//!   group comes late.
//! - **Crash, not reboot.** The queue outlives every process, and dies with the machine.
//! - **Trust.** Whoever may write the segment may garble messages, but cannot make another process read
//!   or write outside it.
//! - **Linux, 64 bits, little-endian.**
//!
//! # Features
//!
//! - `async`: futures, a stream and a readiness handle, bound to no runtime; see `Consumer::into_async`.
//! - `cli`: the `slipring` program.
//!
//! # How it works
//!
//! A message's slot carries a stamp, its sequence number + 1, which is stored last and read first: it
//! publishes the message. Each group has a head, the next sequence it has to ack. The producer keeps
//! below the lowest head plus the capacity, and looks at the heads only once in a quarter of the ring. The
//! head of a shared group is the next sequence to be taken; what its members hold stands in their records.
//! A role belongs to whoever holds a lock on one byte of the segment's file; the kernel drops it when
//! the holder is gone, by whatever cause. `docs/design.md` has the protocol, `docs/ordering.md` what each
//! atomic operation is for.

#[cfg(not(all(target_os = "linux", target_pointer_width = "64", target_endian = "little")))]
compile_error!(
    "slipring needs Linux on a 64-bit little-endian machine: its segments are laid out for that"
);

// Floors, lowest first; tests/floors.rs checks that no file uses a higher one. A block is one floor.
mod seq;

#[cfg(not(slipring_loom))]
mod sys;

mod sync;

mod layout;

mod ring;

#[cfg(not(slipring_loom))]
mod clock;
#[cfg(not(slipring_loom))]
mod error;

#[cfg(not(slipring_loom))]
mod segment;

#[cfg(not(slipring_loom))]
mod strategy;
#[cfg(not(slipring_loom))]
mod wait;

#[cfg(not(slipring_loom))]
mod attach;

#[cfg(not(slipring_loom))]
mod letter;

#[cfg(not(slipring_loom))]
mod group;

#[cfg(not(slipring_loom))]
mod message;

#[cfg(not(slipring_loom))]
mod intake;

#[cfg(not(slipring_loom))]
mod burial;

#[cfg(not(slipring_loom))]
mod batch;
#[cfg(not(slipring_loom))]
mod tasks;

#[cfg(not(slipring_loom))]
mod retries;

#[cfg(not(slipring_loom))]
mod consumer;
#[cfg(not(slipring_loom))]
mod observer;
#[cfg(not(slipring_loom))]
mod producer;
#[cfg(not(slipring_loom))]
mod reservation;

#[cfg(not(slipring_loom))]
mod select;

#[cfg(all(not(slipring_loom), feature = "async"))]
mod asynchronous;

#[cfg(not(slipring_loom))]
mod snapshot;

#[cfg(not(slipring_loom))]
mod queue;

#[cfg(not(slipring_loom))]
mod public {
    #[cfg(feature = "async")]
    pub use crate::asynchronous::{
        AsyncConsumer, AsyncProducer, Messages, OwnedMessage, Readiness,
    };
    pub use crate::batch::{Batch, Delivery, Iter, MessageInfo, Received};
    pub use crate::clock::monotonic_ns;
    pub use crate::consumer::Consumer;
    pub use crate::error::*;
    pub use crate::group::{Group, Mode, Retention, Start};
    pub use crate::letter::{DeadLetter, Reason};
    pub use crate::message::{Content, Field, Message, Outgoing};
    pub use crate::observer::{Observation, Observer};
    pub use crate::producer::Producer;
    pub use crate::queue::{
        Builder, DeadLetters, Difference, OpenOptions, Queue, WakeMode, list, remove,
    };
    pub use crate::reservation::Reservation;
    pub use crate::select::{Select, Selected};
    pub use crate::snapshot::{GroupInfo, MemberInfo, ProducerInfo, Snapshot};
    pub use crate::strategy::WaitStrategy;
    pub use crate::tasks::{Task, Tasks};
}
#[cfg(not(slipring_loom))]
pub use public::*;

#[cfg(not(slipring_loom))]
#[doc(hidden)]
pub use zerocopy;

/// For [`message!`] only.
#[cfg(not(slipring_loom))]
#[doc(hidden)]
pub mod __private {
    pub use crate::message::complaint;
}

// The README's examples are tested with those of the documentation.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

#[cfg(test)]
#[cfg(slipring_loom)]
#[path = "../tests/loom/mod.rs"]
mod models;

// The same code under Miri, and as races of threads.
#[cfg(test)]
#[cfg(not(slipring_loom))]
#[path = "../tests/miri/mod.rs"]
mod interleaved;

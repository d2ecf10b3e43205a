//! The protocol: what is stored in which order, and why that is enough.
//!
//! # Invariants
//!
//! - **I1** One producer at a time (lease 512): it alone stores stamps, tail and limit.
//! - **I2** A slot is written for sequence `q` only if `q < verified`. What is verified never exceeds the
//!   limit word, nor gate + capacity, where the gate is the lowest head of any group: nobody still needs
//!   `q - capacity`.
//! - **I3** A consumer reads the payload of `q` in place only between seeing the stamp `q + 1` (or a tail
//!   above `q`) and storing a head above `q`. By I2 the slot stays as it is meanwhile.
//! - **I4** One consumer per exclusive group (the lease of every record with its tag): it alone stores
//!   the group's head. In a shared group, a range belongs to the one record that says so; whoever holds
//!   that record's lease hands it out. The gate counts such ranges like heads.
//! - **I5** Groups and consumer records are made, taken and freed under the control lease (513) alone.
//! - **I6** While the queue is closed, its tail is the closing sequence. The producer (lease 512) closes it
//!   behind its last message; the next one opens it before its first.
//!
//! # Pairs
//!
//! | pair | fact made visible | store side | load side |
//! | --- | --- | --- | --- |
//! | P1 | the payload is whole | [`publish`]: stamp, Release | [`available`], [`observe`]: stamp, Acquire |
//! | P2 | the payload was read | [`exclusive`]: head, Release | [`gate`]: head, Acquire |
//! | P3 | everything below the tail is published | [`publish`]: tail, Release | [`available`], [`observe`]: tail, Acquire |
//! | P4 | the slot is being written again | [`publish`]: stamp 0, fence | [`observe`]: fence, stamp |
//! | P5 | the producer sees the group, or the group sees the limit | [`publish`]: limit, fence, scan | [`groups`]: head and state, fence, limit |
//! | P6 | the freed group's last reads | [`groups`]: state FREE, Release | [`gate`]: state, Acquire |
//! | P7 | what the last holder of a lease did | [`crate::sync::lease`]: fence, give back | [`crate::sync::lease`]: take, fence |
//! | P8 | a new group's head | [`groups`]: mark, state, Release | [`gate`]: mark, state, Acquire |
//! | P9 | where the queue was closed | [`close`]: sequence, then state, Release | [`close`]: state, Acquire, then sequence |
//! | P10 | the queue of letters that were sent again | [`close`]: retries, Release | [`close`]: retries, Acquire |
//! | C1 | a claim, known by the head that it moved | [`shared`]: start, then head, Release | [`shared`]: head, then start, Acquire |
//! | W1 | what a waker did, or its sleeper's bit | [`notify`]: publication, fence, word | [`notify`], and for those whose sleep is left to it [`reactor`]: word, fence, look |
//! | W2 | who else has made room | [`notify`]: ack, fence | [`notify`]: scan |
//! | W3 | the bits that the data word's stands for | [`notify`]: group's word, data word, Release | [`notify`]: data word, Acquire, groups' words |
//! | W4 | the bits of those who were left asleep | [`notify`]: data word, group's word | [`notify`], the same producer: data word |
//! | C2 | a member's reads below its start | [`shared`]: start, Release | [`gate`]: head, then start, Acquire |
//!
//! docs/ordering.md adds the model and the mutant of each.

pub(crate) mod ack_set;
pub(crate) mod available;
pub(crate) mod claim;
pub(crate) mod close;
pub(crate) mod exclusive;
#[cfg(not(slipring_loom))]
pub(crate) mod figures;
pub(crate) mod gate;
pub(crate) mod groups;
pub(crate) mod notify;
pub(crate) mod observe;
pub(crate) mod park;
pub(crate) mod publish;
#[cfg(any(slipring_loom, feature = "async"))]
pub(crate) mod reactor;
#[cfg(not(slipring_loom))]
pub(crate) mod reader;
pub(crate) mod records;
pub(crate) mod recovery;
pub(crate) mod shared;

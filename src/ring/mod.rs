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
//! | P1 | the payload is whole | [`publish`]: stamp, Release | [`ready`], [`observe`]: stamp, Acquire |
//! | P2 | the payload was read | [`claim`]: head, Release | [`gate`]: head, Acquire |
//! | P3 | everything below the tail is published | [`publish`]: tail, Release | [`ready`], [`observe`]: tail, Acquire |
//! | P4 | the slot is being written again | [`publish`]: stamp 0, fence | [`observe`]: fence, stamp |
//! | P5 | the producer sees the group, or the group sees the limit | [`publish`]: limit, fence, scan | [`control`]: head and state, fence, limit |
//! | P6 | the freed group's last reads | [`control`]: state FREE, Release | [`gate`]: state, Acquire |
//! | P7 | what the last holder of a lease did | [`lease`]: fence, give back | [`lease`]: take, fence |
//! | P8 | a new group's head | [`control`]: mark, state, Release | [`gate`]: mark, state, Acquire |
//! | P9 | where the queue was closed | [`close`]: sequence, then state, Release | [`close`]: state, Acquire, then sequence |
//! | P10 | the queue of letters that were sent again | [`close`]: retries, Release | [`close`]: retries, Acquire |
//! | C1 | a claim, known by the head that it moved | [`compete`]: start, then head, Release | [`compete`]: head, then start, Acquire |
//! | W1 | what a waker did, or its sleeper's bit | [`wake`]: publication, fence, word | [`wake`], and for those whose sleep is left to it [`watch`]: word, fence, look |
//! | W2 | who else has made room | [`wake`]: ack, fence | [`wake`]: scan |
//! | W3 | the bits that the data word's stands for | [`wake`]: group's word, data word, Release | [`wake`]: data word, Acquire, groups' words |
//! | W4 | the bits of those who were left asleep | [`wake`]: data word, group's word | [`wake`], the same producer: data word |
//! | C2 | a member's reads below its start | [`compete`]: start, Release | [`gate`]: head, then start, Acquire |
//!
//! docs/ordering.md adds the model and the mutant of each.

pub(crate) mod claim;
pub(crate) mod close;
pub(crate) mod compete;
pub(crate) mod control;
pub(crate) mod done;
pub(crate) mod gate;
pub(crate) mod lease;
pub(crate) mod observe;
pub(crate) mod publish;
#[cfg(not(slipring_loom))]
pub(crate) mod reader;
pub(crate) mod ready;
pub(crate) mod wake;
#[cfg(any(slipring_loom, feature = "async"))]
pub(crate) mod watch;

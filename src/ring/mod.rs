//! The protocol: what is stored in which order, and why that is enough.
//!
//! | file | what is in it |
//! | --- | --- |
//! | [`publish`], [`gate`] | the producer: room, slots, stamps, the tail; the lowest sequence that a group still needs |
//! | [`exclusive`] | the one consumer of an exclusive group: claim, ack |
//! | [`shared`] | a member of a shared group: claim, ack |
//! | [`in_flight`], [`cells`], [`settle`] | a member of a shared group with cells: receive; the words of cells; what a dead member leaves |
//! | [`recovery`] | what a dead member of a shared group held, and what a live one gives back |
//! | [`claim`], [`available`], [`ack_set`] | what a claim is, how many messages there are to claim, acks out of order |
//! | [`groups`], [`records`] | how groups and consumer records are made, taken, freed |
//! | [`notify`], [`park`] | waking, sleeping; [`reactor`]: one thread that sleeps for many futures |
//! | [`close`] | the end of a queue |
//! | [`sources`] | which stream a message comes from, and where in it |
//! | [`observe`] | reading without a trace |
//! | [`reader`], [`receipts`], [`figures`] | for the handles: a consumer of either kind; which job a message in a cell is of; numbers for people to read |
//!
//! # Invariants
//!
//! - **one-producer**: There is one producer at a time (lease 512). It alone stores stamps, tail and limit.
//! - **room-first**: The producer writes the slot of sequence `q` only if `q < verified`. `verified` never exceeds the
//!   limit word, nor gate + capacity, where the gate is the lowest head of any group: no group needs `q - capacity`.
//! - **borrow**: A consumer reads the payload of `q` in place only after it has seen the stamp `q + 1` (or a tail
//!   above `q`) and before it stores a head above `q`. By room-first the slot does not change meanwhile.
//! - **one-holder**: An exclusive group has one consumer (the lease of every record with its tag), which alone stores
//!   the group's head. In a shared group, a range belongs to the one record that names it, and the holder of that
//!   record's lease hands it out. The gate counts such ranges like heads.
//! - **control-lease**: Groups and consumer records are made, taken and freed under the control lease (513) alone.
//! - **closed-tail**: While the queue is closed, its tail is the closing sequence. The producer closes it after its
//!   last message; the next producer opens it before its first.
//! - **in-flight**: In a group with cells, a message that is claimed and not acked is in the range of one consumer record, or in
//!   one cell that is HELD or DELAYED; in both only while the start of that cell's owner covers it, and then nobody but the
//!   owner, or the holder of its lease, moves the cell. What a cell has besides its word is stored while it is RESERVED.
//!   A record goes to another group or owner without cells only.
//!
//! # Pairs
//!
//! A comment `pair NAME` beside an atomic operation names a row of this table: which fact the operation makes visible,
//! or which fact it relies on. tests/floors.rs checks that both sides are there.
//!
//! | pair | fact made visible | store side | load side |
//! | --- | --- | --- | --- |
//! | payload | the payload is whole | [`publish`]: stamp, Release | [`available`], [`observe`], at a takeover [`publish`]: stamp, Acquire |
//! | head | the payload was read | [`exclusive`], [`groups`]: head, Release | [`gate`]: head, Acquire |
//! | tail | everything below the tail is published | [`publish`]: tail, Release | [`available`], [`observe`]: tail, Acquire |
//! | last | the messages of a stream up to a position are published | [`sources`]: last, Release | [`sources`]: last, Acquire |
//! | stream | an entry of the table has its id | [`sources`]: id, then state, Release | [`sources`]: state, Acquire |
//! | stream-reused | an entry of the table was given up | [`sources`]: state, fence, id, last | [`sources`]: id, last, fence, state |
//! | overwrite | the slot is being written again | [`publish`]: stamp 0, fence | [`observe`]: fence, stamp |
//! | join | the producer sees the group, or the group sees the limit | [`publish`]: limit, fence, scan | [`groups`]: head and state, fence, limit |
//! | group-freed | the last reads of a freed group are done | [`groups`]: state FREE, Release | [`gate`]: state, Acquire |
//! | group-made | a new group has its head | [`groups`]: mark and state, Release | [`gate`], [`notify`]: mark and state, Acquire |
//! | record-used | a record is in use | [`records`]: mark, Release | [`gate`], [`records`]: heads, then mark, Acquire |
//! | lease | what the last holder of a lease did | [`lease`]: fence, give back | [`lease`]: take, fence |
//! | closing | where the queue was closed | [`close`]: sequence, then state, Release | [`close`]: state, Acquire, then sequence |
//! | reopening | which producer opened it again | [`close`]: epoch, then state, Release | [`close`]: state, Acquire, then epoch |
//! | retries | there is a queue of letters that were sent again | [`close`]: retries, Release | [`close`]: retries, Acquire |
//! | claim | the start and end of the claim that moved the head | [`shared`]: end and start, then head, Release | [`shared`], [`resolve`], [`gate`], [`close`]: head, Acquire, then start |
//! | start | a member's reads below its start are done | [`shared`], [`resolve`], [`records`], [`groups`]: start, Release | [`gate`]: start, Acquire |
//! | park | the waiter sees what a waker did, or the waker sees the waiter's bit | [`notify`]: publication or ack, light barrier, word | [`park`]: word, heavy barrier, check |
//! | wake-up | what was published before a wake-up | [`notify`]: word, Release | [`park`], [`reactor`]: word, Acquire |
//! | threshold | the gate that the sleeping producer waits for | [`park`]: threshold, word, heavy barrier, check | [`notify`]: ack, light barrier, word, threshold |
//! | room | what others acked that makes the room | [`notify`]: ack, fence | [`notify`]: fence, scan |
//! | data-bit | the groups' bits that the data word's bit stands for | [`park`]: group's word, data word, Release | [`notify`]: data word, Acquire, groups' words |
//! | rearmed | the bits of waiters that the producer left asleep | [`notify`]: data word, group's word; at a takeover, data word | [`park`]: group's word; [`notify`], the same producer: data word, groups' words |
//! | cell | a cell has its message, and its owner's start says whether the ring has it, too | [`cells`]: words, then word, Release; [`shared`]: start, Release | [`cells`], [`observe`]: word, Acquire, then start |
//! | cell-refill | a cell is being filled again | [`cells`]: word reserved, fence, words | [`cells`], [`observe`]: words, fence, word |
//! | cell-empty | the last filler's stores are older | [`cells`]: word empty, Release | [`cells`]: word reserved, Acquire |
//! | due | a message is due, or a look is on | [`cells`]: word, fence, next due | [`in_flight`]: next due, fence, words |
//! | identity | a group's name, traits and dead-letter queue belong together | [`group`]: generation, fence, words, generation, Release | [`group`]: generation, Acquire, words, fence, generation |
//!
//! docs/ordering.md adds the weakest order, the models and the mutants of each.
//!
//! [`lease`]: crate::sync::lease
//! [`group`]: crate::layout

pub(crate) mod ack_set;
pub(crate) mod available;
pub(crate) mod cells;
pub(crate) mod claim;
pub(crate) mod close;
pub(crate) mod exclusive;
pub(crate) mod extents;
#[cfg(not(slipring_loom))]
pub(crate) mod figures;
pub(crate) mod gate;
pub(crate) mod groups;
pub(crate) mod in_flight;
pub(crate) mod notify;
pub(crate) mod observe;
pub(crate) mod park;
pub(crate) mod publish;
#[cfg(any(slipring_loom, feature = "async"))]
pub(crate) mod reactor;
#[cfg(not(slipring_loom))]
pub(crate) mod reader;
#[cfg(not(slipring_loom))]
pub(crate) mod receipts;
pub(crate) mod records;
pub(crate) mod recovery;
mod resolve;
pub(crate) mod settle;
pub(crate) mod shared;
pub(crate) mod sources;

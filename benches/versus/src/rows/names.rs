//! Rows that others are measured by, or that a target names.

pub(crate) const FUTEX: &str = "bare futex";
pub(crate) const OURS_ASLEEP: &str = "slipring, membarrier, two processes";

/// Those that use a line for each direction begin with this.
pub(crate) const TWO_LINES: &str = "bare: two lines";

/// Of those that are slipring's ring without crash safety.
pub(crate) const BARE_RING: &str = "bare ring";
pub(crate) const BARE_COPIED: &str = "bare ring of the same slots, 32 that are there already";
pub(crate) const BARE_IN_PLACE: &str = "bare ring of the same slots, 32 in place";
pub(crate) const BARE_SINGLE: &str = "bare ring of the same slots, one by one";
pub(crate) const BARE_CLAIMS: &str = "bare ring, a claim is one exchange";

pub(crate) const OURS: &str = "slipring";
pub(crate) const OURS_SHARED: &str = "slipring, shared group";

pub(crate) const RTRB: &str = "rtrb, push and pop";
pub(crate) const RTRB_CHUNKS: &str = "rtrb, chunks of 32";
pub(crate) const RTRB_SLICES: &str = "rtrb, slices of 32";

pub(crate) const SINGLE: &str = "slipring, one by one";
pub(crate) const SINGLE_SHARED: &str = "slipring, one by one, shared group";
pub(crate) const SLICES: &str = "slipring, send_slice of 32";
pub(crate) const SLICES_SHARED: &str = "slipring, send_slice of 32, shared group";
pub(crate) const BATCHES_SHARED: &str = "slipring, send_batch of 32, shared group";
pub(crate) const IN_PLACE_SHARED: &str = "slipring, 32 in place, shared group";

/// Of the calls that wait.
pub(crate) const WAITING: &str = "slipring, waiting calls";
pub(crate) const WAITING_SLICES: &str = "slipring, send_slice of 32, waiting calls";
pub(crate) const WAITING_SLICES_SHARED: &str =
    "slipring, send_slice of 32, shared group, waiting calls";
pub(crate) const WAITING_BATCHES_SHARED: &str =
    "slipring, send_batch of 32, shared group, waiting calls";
pub(crate) const WAITING_IN_PLACE_SHARED: &str =
    "slipring, 32 in place, shared group, waiting calls";

/// Of larger messages.
pub(crate) const LARGE_RTRB: &str = "rtrb, chunks of 32, written and read in place";
pub(crate) const LARGE_RTRB_COPIED: &str = "rtrb, slices of 32, read in place";
pub(crate) const LARGE_MEMCPY: &str = "memcpy in and out, 32, one thread";
pub(crate) const LARGE_COPIED: &str = "slipring, send_slice of 32, read in place";
pub(crate) const LARGE_IN_PLACE: &str = "slipring, reserve 32, written and read in place";
pub(crate) const LARGE_ICEORYX2: &str = "iceoryx2, written and read in place, one by one";

pub(crate) const WARM_BATCHES: &str = "slipring, send_batch of 32";
pub(crate) const WARM_SLICES: &str = "slipring, send_slice of 32";
pub(crate) const WARM_IN_PLACE: &str = "slipring, reserve 32, in place";

pub(crate) const SHAQ_ONE: &str = "shaq, one to one";
pub(crate) const SHAQ_MANY: &str = "shaq, many to many";
pub(crate) const RTE_RING: &str = "DPDK rte_ring";

pub(crate) const BARE_LINE: &str = "bare line, no queue";

pub(crate) const ONE_GROUP: &str = "slipring, 1 group";
pub(crate) const TWO_GROUPS: &str = "slipring, 2 groups";
pub(crate) const EIGHT_GROUPS: &str = "slipring, 8 groups";
pub(crate) const ATTACH_PRODUCER: &str = "open, producer";
pub(crate) const ATTACH_CONSUMER: &str = "open, consumer";

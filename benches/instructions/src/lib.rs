//! What the operations and their judge agree on.

/// Messages of each count: half of the ring, so that the producer's looks at the groups, once in a quarter of
/// it, are part of what a message costs.
pub const MESSAGES: usize = 2048;

//! Loom models of the protocol, run on the production code: the same records, over heap memory.
//!
//! `RUSTFLAGS='--cfg slipring_loom' cargo test --profile model --lib models`
//!
//! Every role is a thread of its own, and the main thread only joins them. Crash models run once for
//! each store at which the dying thread can die.

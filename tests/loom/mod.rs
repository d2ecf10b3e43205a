//! Loom models of the protocol, run on the production code: the same records, over heap memory.
//!
//! `RUSTFLAGS='--cfg slipring_loom' cargo test --profile model --lib models:: -- --nocapture`
//!
//! Every role is a thread of its own, and the main thread only prepares and, when all have joined, puts
//! things in order and checks that all is right. Crash models run once for each store at which the
//! dying thread can die. docs/ordering.md says what each model shows; tests/loom/mutants.sh shows that
//! they would notice.

mod explore;
mod heap;
mod in_flight;
mod ledger;
mod members;
mod roles;

mod acks;
mod cell_ends;
mod cell_groups;
mod cell_letters;
mod cell_takes;
mod cells;
mod close;
mod consume;
mod groups;
mod grow;
mod join;
mod observe;
mod orphans;
mod park;
mod passing;
mod reactor;
mod release;
mod room;
mod shared;
mod sources;
mod takeover;

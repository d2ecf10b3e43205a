//! The one place where the protocol's atomics come from.
//!
//! `native` is what ships: the atomics of `std` and payload bytes in place. `mocked` replaces them in
//! the loom models: every store is a point where its thread may die, and the payload is watched for
//! races. Ordering::SeqCst is for fences only: loom takes SeqCst accesses for AcqRel.

pub(crate) mod lease;
#[cfg(slipring_loom)]
mod mocked;
pub(crate) mod mutants;
#[cfg(not(slipring_loom))]
mod native;

#[cfg(slipring_loom)]
pub(crate) use mocked::*;
#[cfg(not(slipring_loom))]
pub(crate) use native::*;

pub(crate) use mutants::{mutant, order, step};

pub(crate) use std::sync::atomic::Ordering;

/// Operations that the models have in another form, each for what loom makes of the plain one.
pub(crate) trait WordExt {
    /// A word that the caller alone stores, read again.
    fn load_own(&self, order: Ordering) -> u64;

    /// A plain store to a word that others may exchange at the same time.
    fn store_beside_exchange(&self, value: u64, order: Ordering);
}

/// Half of a word like the next, where an alignment leaves one.
pub(crate) use std::sync::atomic::AtomicU32 as QuietHalf;
/// A word that decides nothing, of messages or of their end: a figure or a name for people to read, or the place of one.
/// The same atomic everywhere; in the models neither a place to switch threads nor one to die.
pub(crate) use std::sync::atomic::AtomicU64 as Quiet;

/// A cache line (two of them: processors fetch neighbours in pairs) of a shared record.
///
/// The size is part of the segment's layout, so it is fixed here and does not depend on the target as
/// `crossbeam_utils::CachePadded` does.
#[derive(Debug, Default)]
#[repr(C, align(128))]
pub(crate) struct Line<T>(pub(crate) T);

impl<T> std::ops::Deref for Line<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}

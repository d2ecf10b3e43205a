//! Where the protocol's atomics, barriers and leases come from.
//!
//! `native` is what ships: the atomics of `std`, and payload bytes in place. `mocked` replaces them in the loom models:
//! every store is a point where its thread may die, and the payload is watched for races. `Ordering::SeqCst` is for
//! fences only: loom treats SeqCst accesses as AcqRel.

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

/// Operations that the models replace, each because of a limit of loom.
pub(crate) trait WordExt {
    /// Reads again a word that the caller alone stores.
    fn load_own(&self, order: Ordering) -> u64;

    /// A plain store to a word that other threads may exchange at the same time.
    fn store_beside_exchange(&self, value: u64, order: Ordering);
}

/// Half an [`Unmodelled`] word, where an alignment leaves one.
pub(crate) use std::sync::atomic::AtomicU32 as UnmodelledHalf;
/// A word that decides nothing about messages or their end: a figure or a name for people to read. In the models, too,
/// it is the atomic of `std`: they neither switch threads nor die at it.
pub(crate) use std::sync::atomic::AtomicU64 as Unmodelled;

/// A cache line of a shared record; two of them, because processors fetch neighbours in pairs.
///
/// The size is part of the segment's layout. So it is fixed here, and does not depend on the target as that of
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

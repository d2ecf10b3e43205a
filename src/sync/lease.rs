//! Roles are leases: locks on single bytes of the segment's file. The kernel drops them when their holder is gone, so
//! "is the owner gone?" is "can I get the lease?".

use std::io;

use super::{Ordering, fence, step};

/// Where leases come from: the kernel, or a stand-in for it in the models.
pub(crate) trait Leases {
    /// Takes the lease of `byte` if nobody holds it, this handle included; never waits.
    fn try_lock(&self, byte: u64) -> io::Result<bool>;
    /// Gives back a lease that this handle holds.
    fn unlock(&self, byte: u64);
}

/// Takes a lease, and sees everything that its last holder did.
pub(crate) fn try_take(leases: &impl Leases, byte: u64) -> io::Result<bool> {
    let taken = leases.try_lock(byte)?;
    // Acquire fence. pair lease: the kernel hands locks over in order, but promises nothing to the language's memory
    // model. What follows must not be read before the lock was taken.
    step!(fence(Ordering::Acquire), "lease-without-acquire");
    Ok(taken)
}

/// Gives a lease back, after everything that was done under it.
pub(crate) fn give_back(leases: &impl Leases, byte: u64) {
    // Release fence. pair lease: what came before must not be stored after the lock is free.
    step!(fence(Ordering::Release), "lease-without-release");
    leases.unlock(byte);
}

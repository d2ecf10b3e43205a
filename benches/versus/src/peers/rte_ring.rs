//! DPDK's rte_ring, in a file in shared memory of our own: it needs no environment of DPDK's.

#![allow(unsafe_code)]

use std::ffi::{c_int, c_uint, c_void};
use std::fs::File;
use std::num::NonZeroUsize;
use std::ptr::NonNull;
use std::sync::Arc;

use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};

use crate::leftovers::TempFile;
use crate::message::{BATCH, CAPACITY, Filled, InOrder, Msg, Tally};
use crate::transport::{NotRun, Open, Put, Spin, Take, Transport};
use crate::works::compete::{Drain, Pool};

/// Bursts of up to `N`.
pub(crate) struct RteRing<const N: usize>;

/// Sent in bursts of 32, taken in bulk: none before 32 are there.
pub(crate) struct Bulk;

const ELEMENT: c_uint = size_of::<Msg>() as c_uint;
const SLOTS: c_uint = CAPACITY as c_uint;

unsafe extern "C" {
    safe fn versus_rte_ring_bytes(element: c_uint, slots: c_uint) -> isize;
    fn versus_rte_ring_init(ring: *mut c_void, slots: c_uint, shared: c_int) -> c_int;
    fn versus_rte_ring_put(
        ring: *mut c_void,
        from: *const Msg,
        element: c_uint,
        n: c_uint,
    ) -> c_uint;
    fn versus_rte_ring_take(ring: *mut c_void, to: *mut Msg, element: c_uint, n: c_uint) -> c_uint;
    fn versus_rte_ring_take_bulk(
        ring: *mut c_void,
        to: *mut Msg,
        element: c_uint,
        n: c_uint,
    ) -> c_uint;
    fn versus_rte_ring_share(ring: *mut c_void, to: *mut Msg, element: c_uint, n: c_uint)
    -> c_uint;
}

/// A ring that was initialised, for as long as it is mapped. Invariant R: at most one thread puts, and either
/// one takes (of a ring for one) or any number share (of a shared ring).
struct Ring {
    at: NonNull<c_void>,
    bytes: usize,
    _file: TempFile,
}

// SAFETY: a mapping may be used by any thread; who does what is R.
unsafe impl Send for Ring {}
// SAFETY: as above; the ring's own words are changed atomically.
unsafe impl Sync for Ring {}

impl Ring {
    fn new(shared: bool) -> Result<Arc<Ring>, NotRun> {
        // A ring that holds exactly so many has twice as many slots.
        let bytes = versus_rte_ring_bytes(ELEMENT, if shared { 2 * SLOTS } else { SLOTS });
        let bytes = usize::try_from(bytes).map_err(NotRun::because)?;
        let temp = TempFile::new();
        let mut options = File::options();
        let file = options.read(true).write(true).create_new(true).open(temp.path());
        let file = file.map_err(NotRun::because)?;
        file.set_len(bytes as u64).map_err(NotRun::because)?;
        let size = NonZeroUsize::new(bytes).ok_or_else(|| NotRun::because("no size"))?;
        let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a new mapping, at an address of the kernel's choice, of a file that is ours alone.
        let at = unsafe { mmap(None, size, access, MapFlags::MAP_SHARED, &file, 0) };
        let at = at.map_err(NotRun::because)?;
        let ring = Ring { at, bytes, _file: temp };
        // SAFETY: the mapping is as large as DPDK asks for, aligned to a page, and nobody else has it.
        let failed = unsafe { versus_rte_ring_init(ring.at.as_ptr(), SLOTS, c_int::from(shared)) };
        if failed != 0 {
            return Err(NotRun(format!("rte_ring_init says {failed}")));
        }
        Ok(Arc::new(ring))
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // SAFETY: mapped by `new` with this length; whoever has a pointer into it has this value, too.
        let _ = unsafe { munmap(self.at, self.bytes) };
    }
}

struct End<const N: usize>(Arc<Ring>, Spin);
struct Member<const N: usize>(Arc<Ring>);
struct InBulk(Arc<Ring>, Spin);

impl<const N: usize> Transport for RteRing<N> {
    fn link(spin: Spin) -> Result<(impl Open<End: Put>, impl Open<End: Take>), NotRun> {
        let ring = Ring::new(false)?;
        let other = ring.clone();
        Ok((move || End::<N>(ring, spin), move || End::<N>(other, spin)))
    }
}

impl Transport for Bulk {
    fn link(spin: Spin) -> Result<(impl Open<End: Put>, impl Open<End: Take>), NotRun> {
        let ring = Ring::new(false)?;
        let other = ring.clone();
        Ok((move || End::<BATCH>(ring, spin), move || InBulk(other, spin)))
    }
}

impl<const N: usize> Pool for RteRing<N> {
    fn pool() -> Result<(impl Open<End: Put>, [impl Open<End: Drain>; 2]), NotRun> {
        let ring = Ring::new(true)?;
        let members = [ring.clone(), ring.clone()].map(|ring| move || Member::<N>(ring));
        Ok((move || End::<BATCH>(ring, Spin::for_streams()), members))
    }
}

impl<const N: usize> Put for End<N> {
    #[inline]
    fn put(&mut self, from: u64, n: u64) {
        let (mut at, end) = (from, from + n);
        let mut filled = Filled::<N>::of_size();
        while at < end {
            let mut rest = filled.next(at, end);
            at += rest.len() as u64;
            while !rest.is_empty() {
                let (ring, size) = (self.0.at.as_ptr(), rest.len() as c_uint);
                // SAFETY: `rest` holds so many elements; the only thread that puts (R).
                let sent = unsafe { versus_rte_ring_put(ring, rest.as_ptr(), ELEMENT, size) };
                if sent == 0 {
                    self.1.again();
                }
                rest = &rest[sent as usize..];
            }
        }
    }
}

impl<const N: usize> Take for End<N> {
    #[inline]
    fn take(&mut self, from: u64, n: u64) {
        let mut batch = [Msg::ZERO; N];
        let mut expected = InOrder::expect(from, n);
        while expected.left() > 0 {
            let (ring, size) = (self.0.at.as_ptr(), N.min(expected.left() as usize) as c_uint);
            // SAFETY: `batch` has room for so many elements; the only thread that takes (R).
            let got = unsafe { versus_rte_ring_take(ring, batch.as_mut_ptr(), ELEMENT, size) };
            if got == 0 {
                self.1.again();
            }
            batch[..got as usize].iter().for_each(|msg| expected.see(msg));
        }
    }
}

impl Take for InBulk {
    #[inline]
    fn take(&mut self, from: u64, n: u64) {
        let mut batch = [Msg::ZERO; BATCH];
        let mut expected = InOrder::expect(from, n);
        while expected.left() > 0 {
            let (ring, size) = (self.0.at.as_ptr(), BATCH.min(expected.left() as usize) as c_uint);
            // SAFETY: `batch` has room for so many elements; the only thread that takes (R).
            let got = unsafe { versus_rte_ring_take_bulk(ring, batch.as_mut_ptr(), ELEMENT, size) };
            if got == 0 {
                self.1.again();
            }
            batch[..got as usize].iter().for_each(|msg| expected.see(msg));
        }
    }
}

impl<const N: usize> Drain for Member<N> {
    fn drain(&mut self) -> Tally {
        let mut tally = Tally::default();
        let mut batch = [Msg::ZERO; N];
        loop {
            let (ring, to) = (self.0.at.as_ptr(), batch.as_mut_ptr());
            // SAFETY: `batch` has room for so many elements; a shared ring (R).
            let got = unsafe { versus_rte_ring_share(ring, to, ELEMENT, N as c_uint) };
            if got == 0 {
                return tally;
            }
            batch[..got as usize].iter().for_each(|msg| tally.see(msg));
        }
    }
}

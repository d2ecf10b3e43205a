//! A segment without a kernel: records on the heap, and leases that are words.

#![allow(unsafe_code)]

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::cell::RefCell;
use std::io;
use std::ptr::NonNull;
use std::rc::Rc;

use loom::sync::atomic::AtomicU64;

use super::ledger::Ledger;
use super::members::Account;
use crate::layout::{Geometry, View, WakeMode, lease_byte};
use crate::ring::reactor::KeepMapped;
use crate::sync::lease::Leases;
use crate::sync::{Ordering, PAYLOAD, set_barriers_over, set_observed, set_tries};

/// Shape of a model's segment.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    pub(super) capacity: u64,
    pub(super) groups: usize,
    pub(super) records: usize,
    /// Whether observers read it, instead of groups.
    pub(super) observed: bool,
    /// Whether threads may sleep in it. The fences of that would hide other missing orders.
    pub(super) sleepers: bool,
    /// How many streams its messages may come from.
    pub(super) streams: usize,
    /// Of its groups that have cells.
    pub(super) cells: usize,
}

/// What all processes of one execution share; they are coroutines of one system thread.
pub(super) struct Segment {
    base: NonNull<u8>,
    layout: Layout,
    view: View,
    /// One word for each lease: 1 while it is held.
    leases: Vec<AtomicU64>,
    /// Outside of the model: what really happened.
    pub(super) ledger: Ledger,
    pub(super) account: Account,
}

fn geometry(shape: Shape) -> Geometry {
    let Shape { capacity, groups, records, streams, cells, .. } = shape;
    Geometry::new(capacity, PAYLOAD, groups, records, streams, cells, 0).unwrap()
}

impl Segment {
    pub(super) fn new(shape: Shape) -> Rc<Segment> {
        set_observed(shape.observed);
        set_barriers_over(false);
        set_tries(64);
        let geo = geometry(shape);
        let layout = Layout::from_size_align(geo.total, 128).unwrap();
        // SAFETY: a segment is never of size 0.
        let base = unsafe { alloc(layout) };
        let Some(base) = NonNull::new(base) else { handle_alloc_error(layout) };
        let wake = if shape.sleepers { WakeMode::Membarrier } else { WakeMode::None };
        // SAFETY: as long as the geometry says, aligned, and freed only with this value.
        let view = unsafe { View::init(base, geo, wake) };
        let leases = (0..shape.records + 2).map(|_| AtomicU64::new(0)).collect();
        let (ledger, account) = (Ledger::default(), Account::default());
        Rc::new(Segment { base, layout, view, leases, ledger, account })
    }

    pub(super) fn view(&self) -> &View {
        &self.view
    }

    fn lease(&self, byte: u64) -> &AtomicU64 {
        let records = self.view.records().len();
        &self.leases[match byte {
            lease_byte::PRODUCER => records,
            lease_byte::CONTROL => records + 1,
            record => record as usize,
        }]
    }
}

impl KeepMapped for Rc<Segment> {
    fn view(&self) -> &View {
        &self.view
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        // SAFETY: allocated in `new` with this layout; the records hold indexes into loom's own store
        // and need no drop (src/sync/mocked.rs asserts it).
        unsafe { dealloc(self.base.as_ptr(), self.layout) };
    }
}

/// One handle: what it holds goes when it dies.
pub(super) struct Process {
    pub(super) segment: Rc<Segment>,
    held: RefCell<Vec<u64>>,
}

impl Process {
    pub(super) fn new(segment: &Rc<Segment>) -> Process {
        Process { segment: Rc::clone(segment), held: RefCell::default() }
    }

    pub(super) fn view(&self) -> &View {
        self.segment.view()
    }

    pub(super) fn leases(&self) -> usize {
        self.held.borrow().len()
    }

    pub(super) fn holds(&self, byte: u64) -> bool {
        self.held.borrow().contains(&byte)
    }

    /// Whether anybody holds the lease.
    pub(super) fn is_held(&self, byte: u64) -> bool {
        // Relaxed, but an exchange, which sees the last there is: the kernel answers under a lock of its own.
        self.segment.lease(byte).fetch_or(0, Ordering::Relaxed) == 1
    }

    /// The kernel frees the locks of a dead process, after all that it stored.
    pub(super) fn torn_down(&self) {
        for byte in self.held.take() {
            self.segment.account.left(byte);
            self.segment.lease(byte).store(0, Ordering::Release);
        }
    }
}

impl Leases for Process {
    /// Relaxed, as `unlock`: the fences of sync::lease must do all the ordering. Neither is a point of
    /// death: both leave memory as it was.
    fn try_lock(&self, byte: u64) -> io::Result<bool> {
        if self.held.borrow().contains(&byte) {
            return Ok(false);
        }
        let lease = self.segment.lease(byte);
        let taken = lease.compare_exchange(0, 1, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if taken {
            self.held.borrow_mut().push(byte);
        }
        Ok(taken)
    }

    fn unlock(&self, byte: u64) {
        let before = self.held.borrow().len();
        self.held.borrow_mut().retain(|held| *held != byte);
        assert_eq!(self.held.borrow().len() + 1, before, "gave back a lease it does not hold");
        self.segment.account.left(byte);
        // An exchange: a plain store of loom's may be overtaken by the one of `is_held`.
        self.segment.lease(byte).swap(0, Ordering::Relaxed);
    }
}

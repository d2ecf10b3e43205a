//! Where a worker sleeps: at its group's word for messages, and at its word for cells if all are in use.

use std::cell::Cell;
use std::time::Duration;

use crate::layout::View;
use crate::ring::park::{self, Waiter, WaiterKind};
use crate::wait::{Deadline, Park, TimedPark};

/// Sleeps at one word or at both.
pub(super) struct CellPark<'v> {
    data: [Waiter<'v>; 1],
    /// For messages that are due, and for a cell.
    both: [Waiter<'v>; 2],
    /// Whether the last full check found no empty cell.
    full: &'v Cell<bool>,
    longest: &'v Cell<Duration>,
    timed: Option<TimedPark>,
}

impl<'v> CellPark<'v> {
    pub(super) fn new(
        view: &'v View,
        group: u8,
        full: &'v Cell<bool>,
        longest: &'v Cell<Duration>,
    ) -> CellPark<'v> {
        let data = || Waiter::new(view, WaiterKind::Consumer { group, shared: true });
        let cell = Waiter::new(view, WaiterKind::Cell { group });
        let timed = (!cell.can_be_woken()).then(TimedPark::new);
        CellPark { data: [data()], both: [data(), cell], full, longest, timed }
    }
}

impl Park for CellPark<'_> {
    fn park<T, E>(
        &mut self,
        end: Deadline,
        poll: impl FnMut() -> Result<Option<T>, E>,
    ) -> Result<Option<T>, E> {
        if let Some(timed) = &mut self.timed {
            return timed.park(end, poll);
        }
        let full = self.full.get();
        let waiters: &mut [Waiter<'_>] = if full { &mut self.both } else { &mut self.data };
        let longest = || {
            // The check has found out only now that it waits for a cell, at a word that is not among these.
            let announced = full || !self.full.get();
            if announced { end.left().min(self.longest.get()) } else { Duration::ZERO }
        };
        park::sleep(waiters, longest, poll)
    }
}

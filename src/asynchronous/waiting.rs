//! One wait, from poll to poll of its future.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::Duration;

use super::reactor::{self, Registration};
use crate::attach::Mapped;
use crate::error::SystemError;
use crate::ring::park::WaiterKind;
use crate::wait::Check;

/// An event that a future waits for.
pub(super) trait Awaited {
    type Found;
    type Error: From<SystemError>;
    /// Takes it if it is there.
    fn poll(&mut self, check: Check) -> Result<Option<Self::Found>, Self::Error>;
    fn queue(&self) -> &Arc<Mapped>;
    /// Where the waiter sleeps, so that the other side wakes it.
    fn waiter_kind(&self) -> WaiterKind;
    /// Longest time until the next poll without a wake-up.
    fn longest(&self) -> Duration;
}

/// What a future keeps between two polls: its registration. Dropping it ends the wait; nothing is lost with it.
#[derive(Debug, Default)]
pub(super) struct Waiting(Option<Registration>);

impl Waiting {
    /// Polls; if there is nothing, registers the waker, to be woken when it is time to poll again.
    pub(super) fn poll<A: Awaited>(
        &mut self,
        awaited: &mut A,
        waker: impl FnOnce() -> Waker,
    ) -> Result<Option<A::Found>, A::Error> {
        // Dropped after the poll: a message that woke it and that it did not take is passed on.
        let _before = self.0.take();
        let mut found = awaited.poll(Check::Fast)?;
        if found.is_some() {
            return Ok(found);
        }
        let (queue, kind) = (Arc::clone(awaited.queue()), awaited.waiter_kind());
        let doing = "start the thread that sleeps for all futures";
        let starting = |source| SystemError::new(queue.name.shared(), doing, source);
        let reactor = reactor::running().map_err(starting)?;
        let check = || -> Result<_, A::Error> {
            found = awaited.poll(Check::Full)?;
            Ok(found.is_none().then(|| awaited.longest()))
        };
        self.0 = reactor.wait(&queue, kind, check, waker)?;
        Ok(found)
    }
}

/// Waits until it is there, and takes it.
pub(super) async fn wait<A: Awaited>(mut awaited: A) -> Result<A::Found, A::Error> {
    let mut waiting = Waiting::default();
    poll_fn(|cx| match waiting.poll(&mut awaited, || cx.waker().clone()) {
        Ok(Some(found)) => Poll::Ready(Ok(found)),
        Ok(None) => Poll::Pending,
        Err(fault) => Poll::Ready(Err(fault)),
    })
    .await
}

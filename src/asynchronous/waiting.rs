//! One wait, from poll to poll.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::Duration;

use super::reactor::{self, Registration};
use crate::attach::Mapped;
use crate::error::SystemError;
use crate::ring::park::WaiterKind;
use crate::wait::Check;

/// What is waited for.
pub(super) trait Awaited {
    type Found;
    type Error: From<SystemError>;
    /// Takes it if it is there.
    fn poll(&mut self, check: Check) -> Result<Option<Self::Found>, Self::Error>;
    fn queue(&self) -> &Arc<Mapped>;
    /// Where who brings it wakes.
    fn waiter_kind(&self) -> WaiterKind;
    /// It is looked for again after this time, whether anybody wakes or not.
    fn longest(&self) -> Duration;
}

/// What stands between two looks. Dropped, it waits no more; nothing else is in it, so nothing else is lost.
#[derive(Debug, Default)]
pub(super) struct Waiting(Option<Registration>);

impl Waiting {
    /// Looks; if there is nothing, sees to it that the waker is woken when it is time to look again.
    pub(super) fn poll<A: Awaited>(
        &mut self,
        awaited: &mut A,
        waker: impl FnOnce() -> Waker,
    ) -> Result<Option<A::Found>, A::Error> {
        // Over behind the look: what it was woken for, and has not taken, is for others.
        let _before = self.0.take();
        let mut found = awaited.poll(Check::Fast)?;
        if found.is_some() {
            return Ok(found);
        }
        let (queue, kind) = (Arc::clone(awaited.queue()), awaited.waiter_kind());
        let doing = "start the thread that sleeps for all";
        let starting = |source| SystemError::new(queue.name.shared(), doing, source);
        let driver = reactor::running().map_err(starting)?;
        let check = || -> Result<_, A::Error> {
            found = awaited.poll(Check::Full)?;
            Ok(found.is_none().then(|| awaited.longest()))
        };
        self.0 = driver.wait(&queue, kind, check, waker)?;
        Ok(found)
    }
}

/// Waits until it is there.
pub(super) async fn wait<A: Awaited>(mut awaited: A) -> Result<A::Found, A::Error> {
    let mut waiting = Waiting::default();
    poll_fn(|cx| match waiting.poll(&mut awaited, || cx.waker().clone()) {
        Ok(Some(found)) => Poll::Ready(Ok(found)),
        Ok(None) => Poll::Pending,
        Err(fault) => Poll::Ready(Err(fault)),
    })
    .await
}

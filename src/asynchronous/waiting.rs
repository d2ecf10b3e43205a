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
    type Error: From<SystemError>;
    /// Whether it is there.
    fn look(&mut self, check: Check) -> Result<bool, Self::Error>;
    fn queue(&self) -> &Arc<Mapped>;
    /// Where who brings it wakes.
    fn word(&self) -> WaiterKind;
    /// It is looked for again after this time, whether anybody wakes or not.
    fn longest(&self) -> Duration;
}

/// What stands between two looks. Dropped, it waits no more; nothing else is in it, so nothing else is lost.
#[derive(Debug, Default)]
pub(super) struct Waiting(Option<Registration>);

impl Waiting {
    /// Looks; if there is nothing, sees to it that the waker is woken when it is time to look again.
    pub(super) fn look<S: Awaited>(
        &mut self,
        awaited: &mut S,
        waker: impl FnOnce() -> Waker,
    ) -> Result<bool, S::Error> {
        // Over behind the look: what it was woken for, and has not taken, is for others.
        let _before = self.0.take();
        if awaited.look(Check::Fast)? {
            return Ok(true);
        }
        let (queue, word) = (Arc::clone(awaited.queue()), awaited.word());
        let doing = "start the thread that sleeps for all";
        let starting = |source| SystemError::new(queue.name.shared(), doing, source);
        let driver = reactor::running().map_err(starting)?;
        let look = || -> Result<_, S::Error> {
            let found = awaited.look(Check::Full)?;
            Ok((!found).then(|| awaited.longest()))
        };
        self.0 = driver.wait(&queue, word, look, waker)?;
        Ok(self.0.is_none())
    }
}

/// Waits until it is there.
pub(super) async fn wait<S: Awaited>(mut awaited: S) -> Result<(), S::Error> {
    let mut waiting = Waiting::default();
    poll_fn(|cx| match waiting.look(&mut awaited, || cx.waker().clone()) {
        Ok(true) => Poll::Ready(Ok(())),
        Ok(false) => Poll::Pending,
        Err(fault) => Poll::Ready(Err(fault)),
    })
    .await
}

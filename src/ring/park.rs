//! Sleeping: the waiters' side of the wait words. `notify` has the wakers' side, and the protocol of the two.
//!
//! A waiter announces itself (it sets WAITING, then makes the heavy barrier), checks again, and sleeps for the value
//! that it left in the word. A wake-up after the check has changed the word, and the kernel does not let it sleep.

use std::time::Duration;

use super::notify::{self, PRODUCER_REARMED, WAITING};
use crate::layout::{View, WakeMode};
use crate::sync::{AtomicU64, Ordering, WaitWord, fence, heavy_barrier, mutant, order, step};

/// Bound of a sleep where the kernel denies the barrier although the process has registered: a filter came later.
pub(super) const DENIED_SLEEP: Duration = Duration::from_millis(1);

/// What a waiter waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WaiterKind {
    /// A message for the group. In a shared group, other members may wait at the same word.
    Consumer { group: u8, shared: bool },
    /// An empty cell of the group, of which all are in use.
    Cell { group: u8 },
    /// Room: a gate of at least `threshold` is worth a wake-up.
    Producer { threshold: u64 },
}

impl WaiterKind {
    pub(super) fn of(self, view: &View) -> &WaitWord {
        match self {
            WaiterKind::Consumer { group, .. } => &view.group(group).cold.wait.word,
            WaiterKind::Cell { group } => &view.group(group).cold.wait.cells,
            WaiterKind::Producer { .. } => &view.control().room.word,
        }
    }
}

/// What a waiter stores besides its bit.
#[derive(Debug)]
enum Announcement<'v> {
    /// The bit of the data word.
    Data { view: &'v View, group: u8, shared: bool },
    /// Nothing.
    Bit,
    /// The threshold, and where it is stored. The waiter's check may be content with less.
    Threshold(&'v AtomicU64, u64),
}

/// A waiter at one word of one queue. When a woken member of a shared group drops it, after its last check, it wakes
/// the next member.
#[derive(Debug)]
pub(crate) struct Waiter<'v> {
    mode: WakeMode,
    word: &'v WaitWord,
    announcement: Announcement<'v>,
    /// The word as the waiter left it before its barrier.
    value: Option<u32>,
    /// The word had changed after a sleep that did not time out: the wake-up may have been for others as well.
    woken: bool,
}

impl<'v> Waiter<'v> {
    pub(crate) fn new(view: &'v View, word: WaiterKind) -> Waiter<'v> {
        let announcement = match word {
            WaiterKind::Consumer { group, shared } => Announcement::Data { view, group, shared },
            WaiterKind::Cell { .. } => Announcement::Bit,
            WaiterKind::Producer { threshold } => {
                Announcement::Threshold(&view.control().room.threshold, threshold)
            }
        };
        Waiter { mode: view.wake(), word: word.of(view), announcement, value: None, woken: false }
    }

    /// A waiter for room.
    pub(crate) fn room(view: &'v View, threshold: u64) -> Waiter<'v> {
        Waiter::new(view, WaiterKind::Producer { threshold })
    }

    /// The word as `announce` left it: a sleep ends once the word is another.
    pub(super) fn value(&self) -> u32 {
        self.value.unwrap_or_default()
    }

    /// Returns whether wakers see the announcement without a barrier.
    fn announce(&mut self) -> bool {
        if let Announcement::Threshold(word, threshold) = self.announcement {
            // Relaxed. pair threshold: the fence after it orders it before the check.
            mutant!(
                word.store(threshold, Ordering::Relaxed),
                "threshold-never-lowered",
                if word.load(Ordering::Relaxed) < threshold {
                    word.store(threshold, Ordering::Relaxed);
                }
            );
        }
        // Acquire. pairs wake-up and rearmed: if a wake-up came before, in this word, the check sees what was
        // published. If it comes later, it changes the word, and the sleep does not begin.
        let seen = self.word.fetch_or(WAITING, order!(Acquire, "announced-relaxed"));
        // No wake-up since the last sleep here: the bit stands since before that sleep's barrier. The check sees all
        // earlier publications, and every later one changes the word.
        let mut known = mutant!(
            self.value == Some(seen),
            "barrier-once-for-all",
            self.value.is_some(),
            "anybodys-bit-trusted",
            seen & WAITING != 0
        );
        if let Announcement::Data { view, .. } = self.announcement {
            // Known, too, if the producer set the bits itself: it sees them at each later publication. pair rearmed.
            known |= seen & PRODUCER_REARMED != 0;
            if !known {
                // Release. pair data-bit: after the bit that it stands for.
                view.control().data.fetch_or(WAITING, order!(Release, "data-bit-set-relaxed"));
            }
        }
        self.value = Some(seen | WAITING);
        known
    }

    /// Takes the announcement back: the check has succeeded.
    pub(super) fn clear_waiting(&self) {
        if let Announcement::Threshold(..) = self.announcement {
            // Relaxed: the producer alone sleeps here. The bit would cost each ack a scan, and then a wake-up.
            self.word.fetch_and(!WAITING, Ordering::Relaxed);
        }
    }

    /// Whether wakers wake at all in this queue.
    pub(crate) fn can_be_woken(&self) -> bool {
        self.mode != WakeMode::None
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        // A model that has failed makes no more steps.
        let over = cfg!(slipring_loom) && std::thread::panicking();
        if let Announcement::Data { view, group, shared: true } = self.announcement
            && self.woken
            && !over
        {
            step!(notify::next_member(view, group), "sleeper-passes-nothing-on");
        }
    }
}

/// Returns whether the barrier was made.
fn make_barrier(everywhere: bool) -> bool {
    if everywhere {
        // SeqCst, here and on every processor that runs a waker. pair park: the bits above, the check below.
        return mutant!(heavy_barrier(), "sleeper-without-fence", true);
    }
    // SeqCst fence. pair park: as above.
    fence(Ordering::SeqCst);
    true
}

/// Announces all `waiters`. The caller must check again after it, and may sleep then, for the values that are stored
/// here. Returns whether all wakers see the announcement. Not in mode `none`.
pub(crate) fn announce(waiters: &mut [Waiter<'_>]) -> bool {
    let mut known = true;
    for waiter in mutant!(&mut *waiters, "one-queue-announced", &mut waiters[..1]) {
        let this = waiter.announce();
        mutant!(known &= this, "one-waiter-known-is-all", known = this);
    }
    known || make_barrier(waiters.iter().any(|waiter| waiter.mode == WakeMode::Membarrier))
}

/// Checks, and if the check finds nothing sleeps until one of `waiters` is woken, or for `longest`, which is asked
/// after the check. Checks again after a wake-up. `None`: the caller calls again. Not in mode `none`.
pub(crate) fn sleep<T, E>(
    waiters: &mut [Waiter<'_>],
    longest: impl FnOnce() -> Duration,
    mut check: impl FnMut() -> Result<Option<T>, E>,
) -> Result<Option<T>, E> {
    let visible = announce(waiters);
    let found = check()?;
    if found.is_some() {
        waiters.iter().for_each(Waiter::clear_waiting);
        return Ok(found);
    }
    // Without the barrier, wakers may overlook this waiter.
    let longest = if visible { longest() } else { longest().min(DENIED_SLEEP) };
    let woken = {
        let waiters = mutant!(&*waiters, "asleep-at-the-first", &waiters[..1]);
        // As announced. A load now, even an Acquire, would be wrong: a wake-up after the check may have changed it.
        let seen = |waiter: &Waiter<'_>| {
            mutant!(waiter.value(), "word-read-late", waiter.word.load(Ordering::Acquire))
        };
        WaitWord::sleep(waiters.iter().map(|waiter| (waiter.word, seen(waiter))), longest)
    };
    for waiter in waiters {
        // Acquire. pair wake-up: what the waker published. With several waiters, only some may have been woken.
        waiter.woken |= woken && waiter.word.load(Ordering::Acquire) != waiter.value();
        if !visible {
            waiter.value = None;
        }
    }
    // Check before another announcement: that would cost a barrier here, and the next publication a wake-up.
    if woken { check() } else { Ok(None) }
}

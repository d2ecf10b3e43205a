//! How a consumer or a producer goes to sleep.

use std::time::Duration;

use super::notify::{self, PRODUCER_REARMED, WAITING};
use crate::layout::{View, WakeMode};
use crate::sync::{AtomicU64, Ordering, WaitWord, fence, heavy_barrier, mutant, order, step};

/// Sleep of those whom the kernel denies the barrier, though they have registered: under a filter that came later.
pub(super) const DENIED_SLEEP: Duration = Duration::from_millis(1);

/// Which of a queue's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WaiterKind {
    /// Until there is a message for the group, for which others may wait as well if it is shared.
    Consumer { group: u8, shared: bool },
    /// Until there is room, of which the gate says how much is worth a wake-up.
    Producer { threshold: u64 },
}

impl WaiterKind {
    pub(super) fn of(self, view: &View) -> &WaitWord {
        match self {
            WaiterKind::Consumer { group, .. } => &view.group(group).cold.wait.word,
            WaiterKind::Producer { .. } => &view.control().room.word,
        }
    }
}

/// What a sleeper stores beside its bit.
#[derive(Debug)]
enum Announcement<'v> {
    /// The bit of the data word.
    Data { view: &'v View, group: u8, shared: bool },
    /// The gate that is worth a wake-up, and where to say so. The look may ask for less.
    Threshold(&'v AtomicU64, u64),
}

/// A word to sleep at, of one queue. Dropped behind the last look, it does the duty of those who were woken.
#[derive(Debug)]
pub(crate) struct Waiter<'v> {
    mode: WakeMode,
    word: &'v WaitWord,
    announcement: Announcement<'v>,
    /// The word as the sleeper left it, behind which it made a barrier.
    value: Option<u32>,
    /// It was another behind a sleep that was not over by itself: others may have been meant.
    woken: bool,
}

impl<'v> Waiter<'v> {
    pub(crate) fn new(view: &'v View, word: WaiterKind) -> Waiter<'v> {
        let announcement = match word {
            WaiterKind::Consumer { group, shared } => Announcement::Data { view, group, shared },
            WaiterKind::Producer { threshold } => {
                Announcement::Threshold(&view.control().room.threshold, threshold)
            }
        };
        Waiter { mode: view.wake(), word: word.of(view), announcement, value: None, woken: false }
    }

    /// Until there is room.
    pub(crate) fn room(view: &'v View, threshold: u64) -> Waiter<'v> {
        Waiter::new(view, WaiterKind::Producer { threshold })
    }

    /// The word as `announce` left it: a sleep at it is over once it is another.
    pub(super) fn value(&self) -> u32 {
        self.value.unwrap_or_default()
    }

    /// Returns whether wakers are bound to see it without a barrier.
    fn announce(&mut self) -> bool {
        if let Announcement::Threshold(word, threshold) = self.announcement {
            // Relaxed: the fence behind it orders it. pair threshold.
            mutant!(
                word.store(threshold, Ordering::Relaxed),
                "threshold-never-lowered",
                if word.load(Ordering::Relaxed) < threshold {
                    word.store(threshold, Ordering::Relaxed);
                }
            );
        }
        // Acquire. pairs wake-up and rearmed: if a waker came before, in this word, the caller's look sees what it published.
        // Before that look: a wake-up that comes in between changes the word, and the sleep does not begin.
        let seen = self.word.fetch_or(WAITING, order!(Acquire, "announced-relaxed"));
        // Nobody has woken since the last sleep here, so the bit has been there since the barrier before that one:
        // what was published before is seen anyway, and whoever published since will change the word.
        let mut known = mutant!(
            self.value == Some(seen),
            "barrier-once-for-all",
            self.value.is_some(),
            "anybodys-bit-trusted",
            seen & WAITING != 0
        );
        if let Announcement::Data { view, .. } = self.announcement {
            // Or the producer has set the bits, and sees them at each publication since.
            known |= seen & PRODUCER_REARMED != 0;
            if !known {
                // Release. pair data-bit: behind the bit that it stands for.
                view.control().data.fetch_or(WAITING, order!(Release, "data-bit-set-relaxed"));
            }
        }
        self.value = Some(seen | WAITING);
        known
    }

    /// What was waited for is there.
    pub(super) fn clear_waiting(&self) {
        if let Announcement::Threshold(..) = self.announcement {
            // Relaxed: nobody else sleeps here. Left, the bit would cost acks a scan each, and then a wake-up.
            self.word.fetch_and(!WAITING, Ordering::Relaxed);
        }
    }

    /// Whether anybody wakes who sleeps here.
    pub(crate) fn can_be_woken(&self) -> bool {
        self.mode != WakeMode::None
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        // A model that has failed is over.
        let over = cfg!(slipring_loom) && std::thread::panicking();
        if let Announcement::Data { view, group, shared: true } = self.announcement
            && self.woken
            && !over
        {
            step!(notify::next_member(view, group), "sleeper-passes-nothing-on");
        }
    }
}

/// Returns whether it was made.
fn make_barrier(everywhere: bool) -> bool {
    if everywhere {
        // SeqCst, here and on every processor that runs a waker. pair park: the bits above, the look below.
        return mutant!(heavy_barrier(), "sleeper-without-fence", true);
    }
    // SeqCst fence. pair park: as above.
    fence(Ordering::SeqCst);
    true
}

/// Says at each of `waiters` that somebody sleeps there, or is about to. Whoever said so looks again behind it, and
/// then sleeps unless a word is not any more what it was left as here. Returns whether all wakers are bound to see
/// it. Not in mode `none`.
pub(crate) fn announce(waiters: &mut [Waiter<'_>]) -> bool {
    let mut known = true;
    for waiter in mutant!(&mut *waiters, "one-queue-announced", &mut waiters[..1]) {
        let this = waiter.announce();
        mutant!(known &= this, "one-waiter-known-is-all", known = this);
    }
    known || make_barrier(waiters.iter().any(|waiter| waiter.mode == WakeMode::Membarrier))
}

/// Looks, and if there is nothing sleeps until somebody wakes at one of `waiters`, or for `longest`, which is
/// asked behind the look; looks again if it was not that long. `None`: the caller calls again. Not in mode `none`.
pub(crate) fn sleep<T, E>(
    waiters: &mut [Waiter<'_>],
    longest: impl FnOnce() -> Duration,
    mut look: impl FnMut() -> Result<Option<T>, E>,
) -> Result<Option<T>, E> {
    let visible = announce(waiters);
    let found = look()?;
    if found.is_some() {
        waiters.iter().for_each(Waiter::clear_waiting);
        return Ok(found);
    }
    // Who is not visible may be overlooked by wakers.
    let longest = if visible { longest() } else { longest().min(DENIED_SLEEP) };
    let woken = {
        let waiters = mutant!(&*waiters, "asleep-at-the-first", &waiters[..1]);
        // As announced: the word of now, though read with Acquire, may be that of a wake-up behind the look.
        let seen = |waiter: &Waiter<'_>| {
            mutant!(waiter.value(), "word-read-late", waiter.word.load(Ordering::Acquire))
        };
        WaitWord::sleep(waiters.iter().map(|waiter| (waiter.word, seen(waiter))), longest)
    };
    for waiter in waiters {
        // Acquire. pair wake-up: what the waker published. With several waiters, not all need be meant.
        waiter.woken |= woken && waiter.word.load(Ordering::Acquire) != waiter.value();
        if !visible {
            waiter.value = None;
        }
    }
    // Before it says that it sleeps again: that would cost it a barrier, and the next publication a wake-up.
    if woken { look() } else { Ok(None) }
}

//! Sleeping until there is something, and waking those who sleep.
//!
//! Consumers sleep at the data word, the producer at the space word. Bit 0 of such a word says that somebody
//! is asleep, or about to be; the rest counts wake-ups, so that the word changes with each.
//!
//! ```text
//! sleeper: v = word.fetch_or(1); heavy fence; look again; sleep unless the word is not v any more
//! waker:   publish or ack;       light fence; word & 1? exchange v for v + 1, wake all
//! ```
//!
//! Of the two fences one comes first: either the sleeper's look sees what was published, or the waker sees
//! the bit. Nothing counts the sleepers: one that dies asleep leaves the bit, which costs one wake-up that wakes
//! nobody, and no more.
//!
//! A waker may die between its publication and its wake-up, and a member that dies wakes nobody. So no sleep is
//! without a bound; that is a part of the protocol.

use std::time::Duration;

use crate::layout::{View, WakeMode};
use crate::sync::{Ordering, WaitWord, barrier_everywhere, barrier_of_compiler, fence};

/// Somebody sleeps at the word, or is about to.
pub(super) const WAITING: u32 = 1;
/// One wake-up.
const GENERATION: u32 = 2;

/// Wakes the consumers that sleep. Comes behind every publication, and behind what leaves a range to others.
#[inline(always)]
pub(crate) fn data(view: &View) {
    if waits(view, &view.control().data) {
        rouse_data(view);
    }
}

/// Wakes the producer if it sleeps. Comes behind all that raises the gate.
#[inline(always)]
pub(crate) fn space(view: &View) {
    if waits(view, &view.control().space) {
        rouse_space(view);
    }
}

#[inline(always)]
fn waits(view: &View, word: &WaitWord) -> bool {
    if view.wake() == WakeMode::Membarrier {
        // SeqCst, by the barrier that a sleeper makes everywhere. pair W1: publication above, word below; the
        // sleeper has its bit above and its look below.
        barrier_of_compiler();
    } else {
        std::hint::cold_path();
        if view.wake() == WakeMode::None {
            return false;
        }
        // SeqCst fence. pair W1, as above.
        fence(Ordering::SeqCst);
    }
    // Relaxed: the fence orders it. Nobody writes this line while nobody sleeps.
    word.load(Ordering::Relaxed) & WAITING != 0
}

// Of the view alone: that is at hand, while the word's address would be made at every message.
#[cold]
fn rouse_data(view: &View) {
    rouse(&view.control().data);
}

#[cold]
fn rouse_space(view: &View) {
    rouse(&view.control().space);
}

pub(super) fn rouse(word: &WaitWord) {
    // Relaxed: read again; if the bit is gone, another waker was faster.
    let seen = word.load(Ordering::Relaxed);
    if seen & WAITING == 0 {
        return;
    }
    // Release. pair W1: who announces itself later, in the same word, sees what was published. Relaxed on
    // failure: either another waker was faster, or a sleeper came later, which looks behind its own fence.
    let next = seen.wrapping_add(WAITING);
    if word.compare_exchange(seen, next, Ordering::Release, Ordering::Relaxed).is_ok() {
        // All: groups share the word, and a member that is woken may find that it was another's turn.
        word.wake_all();
    }
}

/// Whether a consumer seems to sleep. Without a fence, so it may overlook one that is just about to; in mode
/// `none` nobody does.
#[cfg(not(slipring_loom))]
#[inline(always)]
pub(crate) fn data_waits(view: &View) -> bool {
    // Relaxed: see above.
    view.control().data.load(Ordering::Relaxed) & WAITING != 0
}

/// A new producer's part: the last one may have died between a publication and its wake-up, or in the midst of
/// that, with the bit already taken back.
pub(crate) fn take_over(view: &View) {
    if view.wake() == WakeMode::None {
        return;
    }
    let words = view.control();
    // Release. pair W1: carries the stamps that were just walked.
    words.data.fetch_add(GENERATION, Ordering::Release);
    words.data.wake_all();
    // Relaxed: whoever slept here is gone. Left, the bit would cost the next consumer a wake-up.
    words.space.fetch_and(!WAITING, Ordering::Relaxed);
}

/// Which of a queue's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    /// Until there is a message.
    Data,
    /// Until there is room.
    Space,
}

impl Word {
    pub(super) fn of(self, view: &View) -> &WaitWord {
        match self {
            Word::Data => &view.control().data,
            Word::Space => &view.control().space,
        }
    }
}

/// A word to sleep at, of one queue.
#[derive(Debug)]
pub(crate) struct Place<'v> {
    mode: WakeMode,
    word: &'v WaitWord,
    /// The word as the sleeper left it.
    value: u32,
}

impl<'v> Place<'v> {
    pub(crate) fn new(view: &'v View, word: Word) -> Place<'v> {
        Place { mode: view.wake(), word: word.of(view), value: 0 }
    }

    /// Until there is a message.
    pub(crate) fn data(view: &'v View) -> Place<'v> {
        Place::new(view, Word::Data)
    }

    /// Until there is room.
    pub(crate) fn space(view: &'v View) -> Place<'v> {
        Place::new(view, Word::Space)
    }

    /// The word as `announce` left it: a sleep at it is over once it is another.
    #[cfg(any(slipring_loom, feature = "async"))]
    pub(super) fn value(&self) -> u32 {
        self.value
    }

    /// Whether anybody wakes who sleeps here.
    pub(crate) fn wakes(&self) -> bool {
        self.mode != WakeMode::None
    }
}

/// Says at each of `places` that somebody sleeps there, or is about to. Whoever said so looks again behind it, and
/// then sleeps unless a word is not any more what it was left as here. Not in mode `none`.
pub(crate) fn announce(places: &mut [Place<'_>]) {
    let mut everywhere = false;
    for place in places {
        // Acquire. pair W1: if a waker came before, in this word, the caller's look sees what it published. Before
        // that look: a wake-up that comes in between changes the word, and the sleep does not begin.
        place.value = place.word.fetch_or(WAITING, Ordering::Acquire) | WAITING;
        everywhere |= place.mode == WakeMode::Membarrier;
    }
    if everywhere {
        // SeqCst, here and on every processor that runs a waker. pair W1: the bits above, the caller's look below.
        barrier_everywhere();
    } else {
        // SeqCst fence. pair W1: as above.
        fence(Ordering::SeqCst);
    }
}

/// Looks once, and if there is nothing sleeps until somebody wakes at one of `places`, or for `longest`, which is
/// asked behind the look. The caller looks again then: `None` says nothing. Not in mode `none`.
pub(crate) fn sleep<T, E>(
    places: &mut [Place<'_>],
    longest: impl FnOnce() -> Duration,
    look: impl FnOnce() -> Result<Option<T>, E>,
) -> Result<Option<T>, E> {
    announce(places);
    let found = look()?;
    if found.is_none() {
        WaitWord::sleep(places.iter().map(|place| (place.word, place.value)), longest());
    }
    Ok(found)
}

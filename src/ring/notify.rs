//! Waking: the wakers' side of the wait words. `park` has the waiters' side.
//!
//! Consumers sleep at their group's wait word, the producer at the room word, and members that find no empty cell at their
//! group's cell word. Such a word has three parts: WAITING (a waiter sleeps here, or is about to), PRODUCER_REARMED (below),
//! and a generation that each wake-up raises.
//!
//! ```text
//! waiter: v = word.fetch_or(WAITING); heavy barrier; check again; sleep unless the word is not v any more
//! waker:  publish or ack;             light barrier; word & WAITING? clear it, raise the generation, wake
//! ```
//!
//! One of the two barriers comes first: either the waiter's check sees what was published, or the waker sees the bit
//! (pair park). Nothing counts the waiters. One that dies asleep leaves the bit, which costs one futile wake-up.
//!
//! **Messages.** The producer reads one word, the data word, at which no thread sleeps: its bit says that some group's
//! word has one (pair data-bit). A publication wakes one waiter of each group. A woken member of a shared group that
//! has claimed, or goes away, wakes the next one if unclaimed messages are left ([`next_member`]). The kernel tells
//! the waker whether more waiters sleep; then the producer sets the bits again for them, with PRODUCER_REARMED, which
//! tells a waiter that it needs no barrier (pair rearmed). Every other cause wakes the whole group.
//!
//! **Room.** Before the producer sleeps it stores a threshold, the gate that is worth waking it for. A consumer that
//! raises the gate and finds the bit scans, as the producer does, and wakes it once the gate has reached the threshold
//! (pair room).
//!
//! A waker may die between publication and wake-up. A woken waiter may die, or be stopped, before its check. A member
//! that dies wakes nobody. Therefore the protocol bounds every sleep. docs/ordering.md, "Waking", has the arguments.

use super::gate::gate;
use crate::layout::{Control, View, WakeMode};
use crate::packed::Head;
use crate::sync::{Ordering, WaitWord, fence, light_barrier};
use crate::sync::{mutant, order, step};

/// A waiter sleeps at the word, or is about to.
pub(crate) const WAITING: u32 = 1;
/// The producer set the bits again itself, for waiters that it left asleep.
pub(crate) const PRODUCER_REARMED: u32 = 2;
/// One wake-up.
pub(crate) const GENERATION: u32 = 4;

/// Wakes one waiter of each group. The producer alone calls it, after every publication. `words` are the view's: where
/// the caller has them in a register, they are not looked up again.
#[inline(always)]
pub(crate) fn one_per_group(view: &View, words: &Control) {
    if has_waiter(view, words, |words| &words.data) {
        wake_one_per_group(view);
    }
}

/// Wakes all consumers of all groups: at a closing, when a producer goes, at a removal.
#[cold]
pub(crate) fn all_groups(view: &View) {
    if view.wake() == WakeMode::None {
        return;
    }
    // SeqCst fence. pair park, with the fence of a joiner: if the mark below misses a group, the check of that group's
    // consumer comes after this.
    step!(fence(Ordering::SeqCst), "end-without-fence");
    // Acquire. pair group-made: the words of the groups below the mark.
    let mark = view.control().marks.groups.load(Ordering::Acquire);
    let made = mutant!(mark, "close-notifies-first-group", mark.min(1));
    for group in (0..view.groups().len() as u8).take(made as usize) {
        self::group(view, group);
    }
}

/// Wakes all consumers of a group: something was left to them that is no new message.
#[cold]
pub(crate) fn group(view: &View, group: u8) {
    let group = view.groups().get(usize::from(group));
    if let Some(group) = group.filter(|_| view.wake() != WakeMode::None) {
        let word = &group.cold.wait.word;
        // Release. pair wake-up, without a fence: a waiter that announced itself before, in this word, is woken or does
        // not fall asleep; one that does so later has seen what comes before this.
        step!(
            word.fetch_add(GENERATION, Ordering::Release),
            "close-skips-generation",
            "close-generation-late"
        );
        mutant!(
            word.wake_all(),
            "close-wakes-one",
            {
                word.wake_one();
            },
            "close-generation-late",
            {
                word.wake_all();
                // Release: as above, and too late.
                word.fetch_add(GENERATION, Ordering::Release);
            }
        );
    }
}

/// Wakes the producer if it sleeps and its threshold is reached. Called after everything that raises the gate.
#[inline(always)]
pub(crate) fn room(view: &View) {
    acked(view, view.control(), u64::MAX);
}

/// The same after an ack. The gate is at most the sequence in `highest`, the packed head or start that was stored. It
/// takes the packed word, which is in a register already.
#[inline(always)]
pub(crate) fn acked(view: &View, words: &Control, highest: u64) {
    if has_waiter(view, words, |words| &words.room.word) {
        wake_for_room(view, highest);
    }
}

/// Wakes the members of a group that wait for an empty cell. Called after everything that empties one, and after what
/// makes a message due at once: they may take that.
#[inline(always)]
pub(crate) fn cells(view: &View, group: u8) {
    if has_waiter(view, view.control(), |_| &view.group(group).cold.wait.cells) {
        wake_for_cells(view, group);
    }
}

#[cold]
fn wake_for_cells(view: &View, group: u8) {
    wake_waiters(&view.group(group).cold.wait.cells);
}

#[inline(always)]
fn has_waiter<'v>(
    view: &'v View,
    words: &'v Control,
    word: impl FnOnce(&'v Control) -> &'v WaitWord,
) -> bool {
    if view.wake() != WakeMode::Membarrier {
        return has_waiter_without_membarrier(view, word);
    }
    // SeqCst, by the waiter's heavy barrier. pair park: publication above, word below; the waiter has its bit above
    // its barrier and its check below.
    step!(light_barrier(), "waker-without-fence");
    // Relaxed: the barrier orders it. While nobody sleeps, this cache line is not written.
    word(words).load(Ordering::Relaxed) & WAITING != 0
}

#[cold]
#[inline(never)]
fn has_waiter_without_membarrier<'v>(
    view: &'v View,
    word: impl FnOnce(&'v Control) -> &'v WaitWord,
) -> bool {
    if view.wake() == WakeMode::None {
        return false;
    }
    // SeqCst fence. pair park: as above.
    fence(Ordering::SeqCst);
    // Relaxed: the fence orders it.
    word(view.control()).load(Ordering::Relaxed) & WAITING != 0
}

// It takes the view alone, which is in a register; the word's address would be computed at every message.
#[cold]
fn wake_one_per_group(view: &View) {
    let data = &view.control().data;
    // Acquire. pair data-bit: the bits in the groups' words of the waiters that set this one.
    data.fetch_and(!WAITING, order!(Acquire, "data-bit-taken-relaxed"));
    // Acquire. pair group-made: the groups of these waiters lie below the mark.
    let mark = view.control().marks.groups.load(Ordering::Acquire);
    let made = mutant!(mark, "first-group-woken", mark.min(1));
    for group in view.groups().iter().take(made as usize) {
        let word = &group.cold.wait.word;
        // Relaxed. pairs park and data-bit: ordered by the barrier in `has_waiter`, and by the exchange above.
        let low = word.load(Ordering::Relaxed) & (WAITING | PRODUCER_REARMED);
        if low & WAITING == 0 {
            continue;
        }
        // Release. pair wake-up: a waiter that announces itself later, in this word, sees what was published. The
        // producer alone clears these bits, so one addition clears them and counts.
        mutant!(
            word.fetch_add(GENERATION - low, Ordering::Release),
            "rearmed-without-waiters",
            word.fetch_add(GENERATION - WAITING, Ordering::Release),
            "generation-not-raised",
            word.fetch_and(!low, Ordering::Release)
        );
        let others = mutant!(word.wake_one(), "waiters-left-asleep", {
            word.wake_one();
            false
        });
        if others {
            // Relaxed, both. pair rearmed: this producer sees its own stores, and the next one sets the data word when
            // it takes over. A waiter that finds the bits, with Acquire, reads from the release sequence that the
            // addition above begins: it has seen all earlier publications.
            step!(data.fetch_or(WAITING, Ordering::Relaxed), "rearmed-without-the-data-word");
            word.fetch_or(WAITING | PRODUCER_REARMED, Ordering::Relaxed);
        }
    }
}

#[cold]
fn wake_for_room(view: &View, highest: u64) {
    let room = &view.control().room;
    // Relaxed. pair threshold: a waker whose ack the waiter's check missed has its fence after the waiter's, so it
    // finds the threshold of this sleep.
    let threshold = room.threshold.load(Ordering::Relaxed);
    let highest = Head::unpack(highest).seq;
    if mutant!(
        highest < threshold,
        "highest-must-be-more",
        highest <= threshold,
        "highest-compared-the-wrong-way",
        highest > threshold
    ) {
        return;
    }
    // SeqCst fence. pair room: own ack above, scan below, as for every waker that raises the gate. The barrier in
    // `has_waiter` may have been a compiler fence.
    step!(fence(Ordering::SeqCst), "scan-without-fence");
    // Without a group, everything has been read.
    let reached = gate(view, mutant!(u64::MAX, "no-group-no-room", 0)).seq;
    if mutant!(reached >= threshold, "room-must-be-more", reached > threshold) {
        wake_waiters(&room.word);
    }
}

/// Wakes the producer if there is any room. A member calls it before it sleeps while others of its group hold messages, or
/// while it has no place for more: the ring may stay so full for long that the threshold is not reached.
pub(crate) fn any_room(view: &View) {
    let words = view.control();
    // Relaxed: the member's own acks had their fence. If others acked meanwhile, they have notified the producer, or
    // the next call finds it.
    if words.room.word.load(Ordering::Relaxed) & WAITING == 0 {
        return;
    }
    // Acquire. pair tail. It may be old, since Acquire makes nothing fresher: then the producer is woken in vain.
    let tail = words.tail.load(Ordering::Acquire);
    let end = gate(view, u64::MAX).seq.saturating_add(view.geo().capacity);
    if mutant!(end > tail, "any-room-asks-for-two", end > tail + 1) {
        step!(wake_waiters(&words.room.word), "any-room-wakes-nobody");
    }
}

pub(super) fn wake_waiters(word: &WaitWord) {
    // Relaxed: read again; without the bit, another waker was faster.
    let seen = word.load(Ordering::Relaxed);
    if seen & WAITING == 0 {
        return;
    }
    // Release. pair wake-up: a waiter that announces itself later, in this word, sees what was published. Relaxed on
    // failure: another waker was faster, a waiter came later and checks after its own fence, or the producer has found
    // room and cleared its bit.
    let next = (seen & !WAITING).wrapping_add(GENERATION);
    if word.compare_exchange(seen, next, Ordering::Release, Ordering::Relaxed).is_ok() {
        word.wake_all();
    }
}

/// Whether a consumer sleeps, so that it is worth ending the run of a batch with a wake-up.
#[cfg(not(slipring_loom))]
#[inline(always)]
pub(crate) fn consumer_waits(view: &View) -> bool {
    // In mode `fence` this is no fence: one at every message costs more than the delay of a waiter that is overlooked
    // until the run ends.
    light_barrier();
    // Relaxed. pair park: ordered by that barrier, in mode `membarrier`. In mode `none` nobody sets the bit.
    view.control().data.load(Ordering::Relaxed) & WAITING != 0
}

/// Called by a new producer: the last one may have died between a publication and its wake-up, or within the wake-up,
/// after it had cleared bits.
pub(crate) fn rearm_after_takeover(view: &View) {
    if view.wake() == WakeMode::None {
        return;
    }
    all_groups(view);
    let words = view.control();
    // Relaxed. pair rearmed: this producer is the one that has to see it. From here on the bits in the groups' words
    // count again; without this the first publication would find no waiter.
    step!(words.data.fetch_or(WAITING, Ordering::Relaxed), "takeover-without-the-data-word");
    // Relaxed: the producer that slept here is gone. Its bit would cost the next consumer a wake-up.
    words.room.word.fetch_and(!WAITING, Ordering::Relaxed);
}

/// Called by a woken member after it has claimed, or when it goes elsewhere: wakes the next waiter if unclaimed
/// messages are left. In an exclusive group messages are left until the ack, and nobody else waits; but the reactor may
/// have been woken in the consumer's place.
#[cold]
pub(crate) fn next_member(view: &View, group: u8) {
    let words = view.group(group);
    // Acquire. pair claim. It may be old, since Acquire makes nothing fresher: that costs a futile wake-up.
    let head = Head::unpack(words.head.load(Ordering::Acquire)).seq;
    // Acquire. pair tail: it was stored before the wake-up that the caller had. Later publications have their own.
    let tail = view.control().tail.load(Ordering::Acquire);
    if mutant!(tail > head, "one-more-is-passed-on", tail == head + 1) {
        // It raises no generation: the publication has changed the word, and a waiter that announced itself after that
        // has seen it; or the producer is still to wake one.
        step!(words.cold.wait.word.wake_one(), "woken-passes-nothing-on");
    }
}

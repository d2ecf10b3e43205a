//! Sleeping until there is something, and waking those who sleep.
//!
//! The producer sleeps at the space word, consumers at their group's word. Bit 0 of such a word says that somebody
//! is asleep, or about to be; the bits above the second count wake-ups, so that the word changes with each.
//!
//! ```text
//! sleeper: v = word.fetch_or(1); heavy fence; look again; sleep unless the word is not v any more
//! waker:   publish or ack;       light fence; word & 1? take the bit away, count, wake
//! ```
//!
//! Of the two fences one comes first: either the sleeper's look sees what was published, or the waker sees
//! the bit. Nothing counts the sleepers: one that dies asleep leaves the bit, which costs one wake-up that wakes
//! nobody, and no more.
//!
//! **Messages.** The producer looks at one word, the data word, at which nobody sleeps: its bit says that some group's
//! word has one. A sleeper sets its group's bit first, and whoever takes the bit of the data word looks at all groups
//! behind that (pair data-bit), so none is left with a bit that nobody would look for. Only the producer takes these bits.
//!
//! A publication wakes one sleeper of each group, however many sleep and however many messages it has: members of a
//! shared group would find, all but a few, that others were faster. So a wake-up is a task: whoever was woken, and goes
//! on with what it has found, or goes away, looks whether something is left that nobody has claimed, and
//! then wakes the next one ([`Waiter`] does so when it is dropped).
//!
//! The kernel tells the waker whether others sleep on. The waker sets both bits for them again then, and bit 1, which
//! says so: who finds it need not make a barrier, since the only one who has to see the bits has stored them itself
//! (pair rearmed). Whatever else brings work to a group wakes all of it, bits or not.
//!
//! **Room.** The producer is woken when there is room worth a system call and a switch. Before it sleeps it says
//! which gate it wants. Whoever raises the gate and finds the bit scans, as the producer does, and leaves the bit
//! alone while the gate is lower. Several may have to raise it; of those that the sleeper's look did not see, or
//! that found its wish, the one whose fence comes last sees what all the others did (pair room). A scan is not taken at one
//! moment. It errs
//!
//! - high, if it misses a group that joins or a record that comes into use: a wake-up for nothing;
//! - low, by an old head or start, by a PENDING that comes to nothing, or by a group that starts low until it
//!   is made: whoever changes that does so behind the scan's fence, and scans in turn.
//!
//! It needs neither the limit nor the second scan of the producer (pair join), since nobody writes to a slot by it. A wish
//! from an earlier sleep, or of a producer that died, costs a wake-up of nobody at most: who sleeps has stored its own.
//! Garbage costs the bound of a sleep.
//!
//! A waker may die between its publication and its wake-up; who was woken may die, or be stopped, before it looks; and
//! a member that dies wakes nobody. So no sleep is without a bound; that is a part of the protocol.

use super::gate::gate;
use crate::layout::{View, WakeMode};
use crate::packed::Head;
use crate::sync::{Ordering, WaitWord, fence, light_barrier};
use crate::sync::{mutant, order, step};

/// Somebody sleeps at the word, or is about to.
pub(crate) const WAITING: u32 = 1;
/// The producer says so itself: it has left others asleep.
pub(crate) const PRODUCER_REARMED: u32 = 2;
/// One wake-up.
pub(crate) const GENERATION: u32 = 4;
/// Wakes one consumer that sleeps, of each group. The producer's alone; comes behind every publication.
#[inline(always)]
pub(crate) fn one_per_group(view: &View) {
    if has_waiter(view, &view.control().data) {
        wake_one_per_group(view);
    }
}

/// Wakes all consumers. For what is no message: an end, a producer that goes.
#[cold]
pub(crate) fn all_groups(view: &View) {
    if view.wake() == WakeMode::None {
        return;
    }
    // SeqCst fence. pair park, with that of a joiner: a mark that is not seen below is that of a group whose consumer
    // looks behind this.
    step!(fence(Ordering::SeqCst), "end-without-fence");
    // Acquire. pair group-made.
    let mark = view.control().marks.groups.load(Ordering::Acquire);
    let made = mutant!(mark, "close-notifies-first-group", mark.min(1));
    for group in (0..view.groups().len() as u8).take(made as usize) {
        self::group(view, group);
    }
}

/// Wakes all consumers of a group. For what somebody has left to them.
#[cold]
pub(crate) fn group(view: &View, group: u8) {
    let group = view.groups().get(usize::from(group));
    if let Some(group) = group.filter(|_| view.wake() != WakeMode::None) {
        let word = &group.cold.wait.word;
        // Release. pair wake-up, without a fence: who announces itself before, in this word, is woken or does not fall
        // asleep; who does so later has seen what comes before this.
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
                // Release, as above, and too late.
                word.fetch_add(GENERATION, Ordering::Release);
            }
        );
    }
}

/// Wakes the producer if it sleeps and there is room enough. Comes behind all that raises the gate.
#[inline(always)]
pub(crate) fn room(view: &View) {
    acked(view, u64::MAX);
}

/// The same behind an ack. The gate is at most the sequence in `highest`, a head or a start that was stored.
// Packed: that is at hand at every message.
#[inline(always)]
pub(crate) fn acked(view: &View, highest: u64) {
    if has_waiter(view, &view.control().room.word) {
        wake_for_room(view, highest);
    }
}

#[inline(always)]
fn has_waiter(view: &View, word: &WaitWord) -> bool {
    if view.wake() == WakeMode::Membarrier {
        // SeqCst, by the barrier that a sleeper makes everywhere. pair park: publication above, word below; the
        // sleeper has its bit above and its look below.
        step!(light_barrier(), "waker-without-fence");
    } else {
        std::hint::cold_path();
        if view.wake() == WakeMode::None {
            return false;
        }
        // SeqCst fence. pair park, as above.
        fence(Ordering::SeqCst);
    }
    // Relaxed: the fence orders it. Nobody writes this line while nobody sleeps.
    word.load(Ordering::Relaxed) & WAITING != 0
}

// Of the view alone: that is at hand, while the word's address would be made at every message.
#[cold]
fn wake_one_per_group(view: &View) {
    let data = &view.control().data;
    // Acquire. pair data-bit: the bits of those who have set this one.
    data.fetch_and(!WAITING, order!(Acquire, "data-bit-taken-relaxed"));
    // Acquire. pair group-made: the same of the groups.
    let mark = view.control().marks.groups.load(Ordering::Acquire);
    let made = mutant!(mark, "first-group-woken", mark.min(1));
    for group in view.groups().iter().take(made as usize) {
        let word = &group.cold.wait.word;
        // Relaxed. pairs park and data-bit: by the fence in `has_waiter`, and the bit above.
        let low = word.load(Ordering::Relaxed) & (WAITING | PRODUCER_REARMED);
        if low & WAITING == 0 {
            continue;
        }
        // Release. pair wake-up: who announces itself later, in this word, sees what was published. Nobody else takes
        // these bits, so this takes them and counts.
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
            // Relaxed, both: for this producer, which sees its own stores (pair rearmed), and a next one begins with its own.
            // Who finds the bits of the word has seen, by the count above, what was published before.
            step!(data.fetch_or(WAITING, Ordering::Relaxed), "rearmed-without-the-data-word");
            word.fetch_or(WAITING | PRODUCER_REARMED, Ordering::Relaxed);
        }
    }
}

#[cold]
fn wake_for_room(view: &View, highest: u64) {
    let room = &view.control().room;
    // Relaxed. pair threshold, like the bit: whoever the look of a sleeper missed has its fence above, behind the
    // sleeper's, so it finds what that one stored for this sleep.
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
    // SeqCst fence. pair room: own change above, scan below; the same for whoever else raises the gate. The fence
    // in `has_waiter` may have been one for the compiler.
    step!(fence(Ordering::SeqCst), "scan-without-fence");
    // Without any group there is room for all.
    let reached = gate(view, mutant!(u64::MAX, "no-group-no-room", 0)).seq;
    if mutant!(reached >= threshold, "room-must-be-more", reached > threshold) {
        wake_waiters(&room.word);
    }
}

/// Wakes the producer if there is any room. For a member that is about to sleep while others of its group hold
/// messages: those may be all that the ring has, and the room that is worth a wake-up long in coming.
pub(crate) fn any_room(view: &View) {
    let words = view.control();
    // Relaxed: an ack of its own has its fence above. What others acked meanwhile is found before the next
    // sleep, or has woken.
    if words.room.word.load(Ordering::Relaxed) & WAITING == 0 {
        return;
    }
    // Acquire. pair tail. An old one says that there is room where there is none.
    let tail = words.tail.load(Ordering::Acquire);
    let end = gate(view, u64::MAX).seq.saturating_add(view.geo().capacity);
    if mutant!(end > tail, "any-room-asks-for-two", end > tail + 1) {
        step!(wake_waiters(&words.room.word), "any-room-wakes-nobody");
    }
}

pub(super) fn wake_waiters(word: &WaitWord) {
    // Relaxed: read again; if the bit is gone, another waker was faster.
    let seen = word.load(Ordering::Relaxed);
    if seen & WAITING == 0 {
        return;
    }
    // Release. pair wake-up: who announces itself later, in the same word, sees what was published. Relaxed on
    // failure: another waker was faster, a sleeper came later, which looks behind its own fence, or the producer
    // has found room and took its bit back.
    let next = (seen & !WAITING).wrapping_add(GENERATION);
    if word.compare_exchange(seen, next, Ordering::Release, Ordering::Relaxed).is_ok() {
        word.wake_all();
    }
}

/// Whether a consumer sleeps, so that the publication that was just made had better be ended with a wake-up.
#[cfg(not(slipring_loom))]
#[inline(always)]
pub(crate) fn consumer_waits(view: &View) -> bool {
    // As in `has_waiter`, but in mode `fence`: one at every message costs more than the rare sleeper is worth that is
    // overlooked until the run ends.
    light_barrier();
    // Relaxed. pair park, by that barrier.
    view.wake() != WakeMode::None && view.control().data.load(Ordering::Relaxed) & WAITING != 0
}

/// A new producer's part: the last one may have died between a publication and its wake-up, or in the midst of
/// that, with bits already taken back.
pub(crate) fn rearm_after_takeover(view: &View) {
    all_groups(view);
    let words = view.control();
    // Relaxed: stored by the one who has to see it. What stands in the words of groups counts again, whatever
    // became of it; else the first publication finds that nobody sleeps.
    step!(words.data.fetch_or(WAITING, Ordering::Relaxed), "takeover-without-the-data-word");
    // Relaxed: whoever slept here is gone. Left, the bit would cost the next consumer a wake-up.
    words.room.word.fetch_and(!WAITING, Ordering::Relaxed);
}

/// The duty of a member that was woken, once it has claimed what it wants, or has something else to do: wakes another
/// one if there is something that nobody has claimed. In a group with one consumer there always is, until it acks, and
/// nobody else; but the watch may have been woken in its place.
#[cold]
pub(crate) fn next_member(view: &View, group: u8) {
    let words = view.group(group);
    // Acquire. pair claim. An old one costs a wake-up for nothing.
    let head = Head::unpack(words.head.load(Ordering::Acquire)).seq;
    // Acquire. pair tail. Stored before the wake-up that the caller had; of what came later others are told.
    let tail = view.control().tail.load(Ordering::Acquire);
    if mutant!(tail > head, "one-more-is-passed-on", tail == head + 1) {
        // Without a count: the publication has changed the word, and who announced itself behind that has seen it; or
        // its producer is still to wake one itself.
        step!(words.cold.wait.word.wake_one(), "woken-passes-nothing-on");
    }
}

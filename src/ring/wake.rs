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
//! behind that (W3), so none is left with a bit that nobody would look for. Only the producer takes these bits.
//!
//! A publication wakes one sleeper of each group, however many sleep and however many messages it has: members of a
//! shared group would find, all but a few, that others were faster. So a wake-up is a task: whoever was woken, and goes
//! on with what it has found, or goes away, looks whether something is left that nobody has claimed, and
//! then wakes the next one ([`Place`] does so when it is dropped).
//!
//! The kernel tells the waker whether others sleep on. The waker sets both bits for them again then, and bit 1, which
//! says so: who finds it need not make a barrier, since the only one who has to see the bits has stored them itself
//! (W4). Whatever else brings work to a group wakes all of it, bits or not.
//!
//! **Room.** The producer is woken when there is room worth a system call and a switch. Before it sleeps it says
//! which gate it wants. Whoever raises the gate and finds the bit scans, as the producer does, and leaves the bit
//! alone while the gate is lower. Several may have to raise it; of those that the sleeper's look did not see, or
//! that found its wish, the one whose fence comes last sees what all the others did (W2). A scan is not taken at one
//! moment. It errs
//!
//! - high, if it misses a group that joins or a record that comes into use: a wake-up for nothing;
//! - low, by an old head or start, by a PENDING that comes to nothing, or by a group that starts low until it
//!   is made: whoever changes that does so behind the scan's fence, and scans in turn.
//!
//! It needs neither the limit nor the second scan of the producer (P5), since nobody writes to a slot by it. A wish
//! from an earlier sleep, or of a producer that died, costs a wake-up of nobody at most: who sleeps has stored its own.
//! Garbage costs the bound of a sleep.
//!
//! A waker may die between its publication and its wake-up; who was woken may die, or be stopped, before it looks; and
//! a member that dies wakes nobody. So no sleep is without a bound; that is a part of the protocol.

use std::time::Duration;

use super::compete::pass_on;
use super::gate::gate;
use crate::layout::{View, WakeMode};
use crate::seq::Head;
use crate::sync::{AtomicU64, Ordering, WaitWord, barrier_everywhere, barrier_of_compiler, fence};
use crate::sync::{mutant, order, step};

/// Somebody sleeps at the word, or is about to.
pub(crate) const WAITING: u32 = 1;
/// The producer says so itself: it has left others asleep.
pub(crate) const KEPT: u32 = 2;
/// One wake-up.
pub(crate) const GENERATION: u32 = 4;
/// Sleep of those whom the kernel denies the barrier, though they have registered: under a filter that came later.
pub(super) const DEAF: Duration = Duration::from_millis(1);

/// Wakes one consumer that sleeps, of each group. The producer's alone; comes behind every publication.
#[inline(always)]
pub(crate) fn data(view: &View) {
    if waits(view, &view.control().data) {
        rouse_data(view);
    }
}

/// Wakes all consumers. For what is no message: an end, a producer that goes.
#[cold]
pub(crate) fn everybody(view: &View) {
    if view.wake() == WakeMode::None {
        return;
    }
    // SeqCst fence. pair W1, with that of a joiner: a mark that is not seen below is that of a group whose consumer
    // looks behind this.
    step!(fence(Ordering::SeqCst), "end-without-fence");
    // Acquire. pair P8.
    let mark = view.control().marks.groups.load(Ordering::Acquire);
    let made = mutant!(mark, "an-end-for-the-first-group", mark.min(1));
    for group in (0..view.groups().len() as u8).take(made as usize) {
        members(view, group);
    }
}

/// Wakes all consumers of a group. For what somebody has left to them.
#[cold]
pub(crate) fn members(view: &View, group: u8) {
    let group = view.groups().get(usize::from(group));
    if let Some(group) = group.filter(|_| view.wake() != WakeMode::None) {
        let word = &group.totals.wait;
        // Release. pair W1, without its fences: who announces itself before, in this word, is woken or does not fall
        // asleep; who does so later has seen what comes before this.
        step!(
            word.fetch_add(GENERATION, Ordering::Release),
            "an-end-counts-nothing",
            "an-end-counts-late"
        );
        mutant!(
            word.wake_all(),
            "an-end-wakes-one",
            {
                word.wake_one();
            },
            "an-end-counts-late",
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
pub(crate) fn space(view: &View) {
    acked(view, u64::MAX);
}

/// The same behind an ack. The gate is at most the sequence in `highest`, a head or a start that was stored.
// Packed: that is at hand at every message.
#[inline(always)]
pub(crate) fn acked(view: &View, highest: u64) {
    if waits(view, &view.control().space.word) {
        rouse_space(view, highest);
    }
}

#[inline(always)]
fn waits(view: &View, word: &WaitWord) -> bool {
    if view.wake() == WakeMode::Membarrier {
        // SeqCst, by the barrier that a sleeper makes everywhere. pair W1: publication above, word below; the
        // sleeper has its bit above and its look below.
        step!(barrier_of_compiler(), "waker-without-fence");
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
    let data = &view.control().data;
    // Acquire. pair W3: the bits of those who have set this one.
    data.fetch_and(!WAITING, order!(Acquire, "data-bit-taken-relaxed"));
    // Acquire. pair P8: the same of the groups.
    let mark = view.control().marks.groups.load(Ordering::Acquire);
    let made = mutant!(mark, "first-group-woken", mark.min(1));
    for group in view.groups().iter().take(made as usize) {
        let word = &group.totals.wait;
        // Relaxed. pairs W1 and W3: by the fence in `waits`, and the bit above.
        let low = word.load(Ordering::Relaxed) & (WAITING | KEPT);
        if low & WAITING == 0 {
            continue;
        }
        // Release. pair W1: who announces itself later, in this word, sees what was published. Nobody else takes
        // these bits, so this takes them and counts.
        mutant!(
            word.fetch_add(GENERATION - low, Ordering::Release),
            "bits-for-nobody",
            word.fetch_add(GENERATION - WAITING, Ordering::Release),
            "generation-not-raised",
            word.fetch_and(!low, Ordering::Release)
        );
        let others = mutant!(word.wake_one(), "sleepers-left-behind", {
            word.wake_one();
            false
        });
        if others {
            // Relaxed, both: for this producer, which sees its own stores (W4), and a next one begins with its own.
            // Who finds the bits of the word has seen, by the count above, what was published before.
            step!(data.fetch_or(WAITING, Ordering::Relaxed), "left-behind-without-the-data-word");
            word.fetch_or(WAITING | KEPT, Ordering::Relaxed);
        }
    }
}

#[cold]
fn rouse_space(view: &View, highest: u64) {
    let space = &view.control().space;
    // Relaxed. pair W1, like the bit: whoever the look of a sleeper missed has its fence above, behind the
    // sleeper's, so it finds what that one stored for this sleep.
    let wanted = space.wanted.load(Ordering::Relaxed);
    let highest = Head::unpack(highest).seq;
    if mutant!(
        highest < wanted,
        "highest-must-be-more",
        highest <= wanted,
        "highest-compared-the-wrong-way",
        highest > wanted
    ) {
        return;
    }
    // SeqCst fence. pair W2: own change above, scan below; the same for whoever else raises the gate. The fence
    // in `waits` may have been one for the compiler.
    step!(fence(Ordering::SeqCst), "scan-without-fence");
    // Without any group there is room for all.
    let reached = gate(view, mutant!(u64::MAX, "no-group-no-room", 0)).seq;
    if mutant!(reached >= wanted, "room-must-be-more", reached > wanted) {
        rouse(&space.word);
    }
}

/// Wakes the producer if there is any room. For a member that is about to sleep while others of its group hold
/// messages: those may be all that the ring has, and the room that is worth a wake-up long in coming.
pub(crate) fn starving(view: &View) {
    let words = view.control();
    // Relaxed: an ack of its own has its fence above. What others acked meanwhile is found before the next
    // sleep, or has woken.
    if words.space.word.load(Ordering::Relaxed) & WAITING == 0 {
        return;
    }
    // Acquire. pair P3. An old one says that there is room where there is none.
    let tail = words.tail.load(Ordering::Acquire);
    let end = gate(view, u64::MAX).seq.saturating_add(view.geo().capacity);
    if mutant!(end > tail, "starving-asks-for-two", end > tail + 1) {
        step!(rouse(&words.space.word), "starving-wakes-nobody");
    }
}

pub(super) fn rouse(word: &WaitWord) {
    // Relaxed: read again; if the bit is gone, another waker was faster.
    let seen = word.load(Ordering::Relaxed);
    if seen & WAITING == 0 {
        return;
    }
    // Release. pair W1: who announces itself later, in the same word, sees what was published. Relaxed on
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
pub(crate) fn data_waits(view: &View) -> bool {
    // As in `waits`, but in mode `fence`: one at every message costs more than the rare sleeper is worth that is
    // overlooked until the run ends.
    barrier_of_compiler();
    // Relaxed. pair W1, by that barrier.
    view.wake() != WakeMode::None && view.control().data.load(Ordering::Relaxed) & WAITING != 0
}

/// A new producer's part: the last one may have died between a publication and its wake-up, or in the midst of
/// that, with bits already taken back.
pub(crate) fn take_over(view: &View) {
    everybody(view);
    let words = view.control();
    // Relaxed: stored by the one who has to see it. What stands in the words of groups counts again, whatever
    // became of it; else the first publication finds that nobody sleeps.
    step!(words.data.fetch_or(WAITING, Ordering::Relaxed), "takeover-without-the-data-word");
    // Relaxed: whoever slept here is gone. Left, the bit would cost the next consumer a wake-up.
    words.space.word.fetch_and(!WAITING, Ordering::Relaxed);
}

/// Which of a queue's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    /// Until there is a message for the group, for which others may wait as well if it is shared.
    Data { group: u8, shared: bool },
    /// Until there is room, of which the gate says how much is worth a wake-up.
    Space { wanted: u64 },
}

impl Word {
    pub(super) fn of(self, view: &View) -> &WaitWord {
        match self {
            Word::Data { group, .. } => &view.group(group).totals.wait,
            Word::Space { .. } => &view.control().space.word,
        }
    }
}

/// What a sleeper stores beside its bit.
#[derive(Debug)]
enum Beside<'v> {
    /// The bit of the data word.
    Data { view: &'v View, group: u8, shared: bool },
    /// The gate that is worth a wake-up, and where to say so. The look may ask for less.
    Wish(&'v AtomicU64, u64),
}

/// A word to sleep at, of one queue. Dropped behind the last look, it does the duty of those who were woken.
#[derive(Debug)]
pub(crate) struct Place<'v> {
    mode: WakeMode,
    word: &'v WaitWord,
    beside: Beside<'v>,
    /// The word as the sleeper left it, behind which it made a barrier.
    value: Option<u32>,
    /// It was another behind a sleep that was not over by itself: others may have been meant.
    woken: bool,
}

impl<'v> Place<'v> {
    pub(crate) fn new(view: &'v View, word: Word) -> Place<'v> {
        let beside = match word {
            Word::Data { group, shared } => Beside::Data { view, group, shared },
            Word::Space { wanted } => Beside::Wish(&view.control().space.wanted, wanted),
        };
        Place { mode: view.wake(), word: word.of(view), beside, value: None, woken: false }
    }

    /// Until there is room.
    pub(crate) fn space(view: &'v View, wanted: u64) -> Place<'v> {
        Place::new(view, Word::Space { wanted })
    }

    /// The word as `announce` left it: a sleep at it is over once it is another.
    pub(super) fn value(&self) -> u32 {
        self.value.unwrap_or_default()
    }

    /// Returns whether wakers are bound to see it without a barrier.
    fn announce(&mut self) -> bool {
        if let Beside::Wish(word, wanted) = self.beside {
            // Relaxed: the fence behind it orders it. pair W1.
            mutant!(
                word.store(wanted, Ordering::Relaxed),
                "wish-never-lowered",
                if word.load(Ordering::Relaxed) < wanted {
                    word.store(wanted, Ordering::Relaxed);
                }
            );
        }
        // Acquire. pairs W1 and W4: if a waker came before, in this word, the caller's look sees what it published.
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
        if let Beside::Data { view, .. } = self.beside {
            // Or the producer has set the bits, and sees them at each publication since.
            known |= seen & KEPT != 0;
            if !known {
                // Release. pair W3: behind the bit that it stands for.
                view.control().data.fetch_or(WAITING, order!(Release, "data-bit-set-relaxed"));
            }
        }
        self.value = Some(seen | WAITING);
        known
    }

    /// What was waited for is there.
    pub(super) fn got_up(&self) {
        if let Beside::Wish(..) = self.beside {
            // Relaxed: nobody else sleeps here. Left, the bit would cost acks a scan each, and then a wake-up.
            self.word.fetch_and(!WAITING, Ordering::Relaxed);
        }
    }

    /// Whether anybody wakes who sleeps here.
    pub(crate) fn wakes(&self) -> bool {
        self.mode != WakeMode::None
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        // A model that has failed is over.
        let over = cfg!(slipring_loom) && std::thread::panicking();
        if let Beside::Data { view, group, shared: true } = self.beside
            && self.woken
            && !over
        {
            step!(pass_on(view, group), "sleeper-passes-nothing-on");
        }
    }
}

/// Returns whether it was made.
fn make_barrier(everywhere: bool) -> bool {
    if everywhere {
        // SeqCst, here and on every processor that runs a waker. pair W1: the bits above, the look below.
        return mutant!(barrier_everywhere(), "sleeper-without-fence", true);
    }
    // SeqCst fence. pair W1: as above.
    fence(Ordering::SeqCst);
    true
}

/// Says at each of `places` that somebody sleeps there, or is about to. Whoever said so looks again behind it, and
/// then sleeps unless a word is not any more what it was left as here. Returns whether all wakers are bound to see
/// it. Not in mode `none`.
pub(crate) fn announce(places: &mut [Place<'_>]) -> bool {
    let mut known = true;
    for place in mutant!(&mut *places, "one-queue-told", &mut places[..1]) {
        let this = place.announce();
        mutant!(known &= this, "one-place-known-is-all", known = this);
    }
    known || make_barrier(places.iter().any(|place| place.mode == WakeMode::Membarrier))
}

/// Looks, and if there is nothing sleeps until somebody wakes at one of `places`, or for `longest`, which is
/// asked behind the look; looks again if it was not that long. `None`: the caller calls again. Not in mode `none`.
pub(crate) fn sleep<T, E>(
    places: &mut [Place<'_>],
    longest: impl FnOnce() -> Duration,
    mut look: impl FnMut() -> Result<Option<T>, E>,
) -> Result<Option<T>, E> {
    let heard = announce(places);
    let found = look()?;
    if found.is_some() {
        places.iter().for_each(Place::got_up);
        return Ok(found);
    }
    // Who is not heard may be overlooked by wakers.
    let longest = if heard { longest() } else { longest().min(DEAF) };
    let woken = {
        let places = mutant!(&*places, "asleep-at-the-first", &places[..1]);
        // As announced: the word of now, though read with Acquire, may be that of a wake-up behind the look.
        let seen = |place: &Place<'_>| {
            mutant!(place.value(), "word-read-late", place.word.load(Ordering::Acquire))
        };
        WaitWord::sleep(places.iter().map(|place| (place.word, seen(place))), longest)
    };
    for place in places {
        // Acquire. pair W1: what the waker published. With several places, not all need be meant.
        place.woken |= woken && place.word.load(Ordering::Acquire) != place.value();
        if !heard {
            place.value = None;
        }
    }
    // Before it says that it sleeps again: that would cost it a barrier, and the next publication a wake-up.
    if woken { look() } else { Ok(None) }
}

//! The table of messages in flight of a shared group: cells beside the ring.
//!
//! A member moves the messages of a claim into cells and acks the ring at once ([`in_flight`](super::in_flight)). From
//! then on a message is in its cell until it is acked, and the cell's word says who has it:
//!
//! ```text
//! EMPTY    -> RESERVED  reserve     any member: an exchange
//! RESERVED -> HELD      fill        its owner, or the holder of its owner's lease: a store
//! RESERVED -> EMPTY     unreserve   the same
//! RESERVED -> DELAYED   put         who sends a dead letter again, a member that receives nothing: a store
//! HELD     -> EMPTY     ack         its owner: an exchange of the word that it stored last
//! HELD     -> HELD      extend      the same, with another due
//! HELD     -> DELAYED   give back   the same; settle and evict: of the word that they have read
//! DELAYED  -> DELAYED   end delay   an operator: of the word that it has read
//! either   -> HELD      take        any member, once the due has passed: of the word that it has read
//! ```
//!
//! An exchange that fails has changed nothing: the message is somebody else's by now. So a member that was stopped for
//! however long can do no harm when it goes on. The due is in the word because a word beside it could be extended and
//! taken at the same time.
//!
//! **The ring and the cells** must not both give a message away. A member can be stopped, or die, after it has filled a
//! cell and before it acks the ring. While its start word covers the message, nobody takes the cell, except for the
//! holder of its lease.

#![allow(unsafe_code)]

use super::claim::Corrupt;
use super::notify;
use super::sources::{self, Origin};
use crate::layout::{Cell, Extent, InFlight, Meta, View};
use crate::packed::{AT_ONCE, CellState, CellWord, LONGEST, NEVER, NOBODY, Start, State, Tick};
use crate::packed::{due_after, ticks};
use crate::sync::{AtomicU64, Ordering, WordExt, fence, mutant, order, step};

/// The shortest ack timeout, in nanoseconds.
pub(crate) const SHORTEST: u64 = 1_000_000_000;
/// Time between two looks at all cells, at most. No ack timeout is shorter.
pub(crate) const FULL_LOOK: Tick = SHORTEST.div_ceil(1 << 22);

/// Bit of a cell's sequence: the message is a dead letter that was sent again. The ring does not have it, though it may
/// have another message of that sequence by now.
const REQUEUED: u64 = 1 << 63;

/// The cells of a group.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Table {
    pub(crate) group: u8,
    extent: Extent,
    /// [`NEVER`]: no message is taken from a member that lives.
    timeout: Tick,
    untimed: bool,
}

/// Tells the message in a cell: the cell's word as its owner stored it last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) cell: u32,
    /// Of a held cell, so not 0.
    pub(crate) word: u64,
}

impl Token {
    pub(crate) fn attempts(self) -> u8 {
        CellWord::unpack(self.word).attempts
    }

    pub(crate) fn due(self) -> Tick {
        CellWord::unpack(self.word).due
    }
}

/// The message is not its former owner's any more. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Evicted;

/// A cell that its owner has reserved.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reserved {
    pub(super) cell: u32,
    generation: u16,
}

/// A message that its receiver has, with a copy of its own, or lent for it to make one.
#[derive(Debug)]
pub(crate) struct InHand<P = Vec<u8>> {
    pub(crate) seq: u64,
    pub(crate) kind: u32,
    pub(crate) attempts: u8,
    pub(crate) origin: Option<Origin>,
    /// It is a dead letter that was sent again.
    pub(crate) requeued: bool,
    /// It was given back with a delay, and comes again since that is over.
    pub(crate) delayed: bool,
    pub(crate) token: Token,
    pub(crate) payload: P,
}

/// A message that comes again though its group gave it up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Letter<'a> {
    pub(crate) seq: u64,
    pub(crate) kind: u32,
    /// At most of the queue's payload size.
    pub(crate) payload: &'a [u8],
}

/// What came of an operator's wish to let any member take a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Eviction {
    Done,
    /// Its word has changed meanwhile.
    Missed,
    /// Its owner has not acked the ring yet: only its death frees the message.
    Taking,
}

impl Table {
    /// The cells of `group`, if it has some. The group is one that cannot go: the caller is a member, or has the control
    /// lease.
    pub(crate) fn of(view: &View, group: u8) -> Result<Option<Table>, Corrupt> {
        let Some(record) = view.groups().get(usize::from(group)).filter(|_| view.geo().cells > 0)
        else {
            return Ok(None);
        };
        let InFlight { ack_timeout, first_cell, cells } = InFlight::load(record);
        if cells == 0 {
            return Ok(None);
        }
        let outside = Corrupt("a group's cells lie outside of the table of cells");
        let extent = view.extent(first_cell, cells).ok_or(outside)?;
        Ok(Some(Table { group, extent, timeout: timeout_of(ack_timeout), untimed: false }))
    }

    /// For a member whose clock cannot be compared with those of others: no message that it receives is due for them.
    pub(crate) fn untimed(self) -> Table {
        Table { timeout: NEVER, untimed: true, ..self }
    }

    /// Reads the ack timeout again, which an operator may have changed.
    pub(super) fn reload_timeout(&mut self, view: &View) {
        let ack_timeout = InFlight::ack_timeout(view.group(self.group));
        self.timeout = if mutant!(self.untimed, "untimed-goes-by-the-timeout", false) {
            NEVER
        } else {
            timeout_of(ack_timeout)
        };
    }

    pub(crate) fn len(&self) -> u32 {
        self.extent.len()
    }

    /// Nanoseconds after which a message can be taken from a member that lives, by the group's ack timeout of this moment;
    /// `None`: never.
    #[cfg(not(slipring_loom))]
    pub(crate) fn ack_timeout(&self, view: &View) -> Option<u64> {
        let timeout = InFlight::ack_timeout(view.group(self.group));
        (timeout != 0).then(|| timeout.clamp(SHORTEST, crate::packed::nanoseconds_of(LONGEST)))
    }

    /// When a message is due that is received at `now`. The caller has claimed it, or has found it in its cell: so it goes by
    /// an ack timeout that was set before the message was sent, given back or evicted.
    pub(super) fn due(&mut self, view: &View, now: Tick) -> Tick {
        step!(self.reload_timeout(view), "timeout-kept", "timeout-read-first");
        if self.timeout == NEVER {
            // Another one each tick: the generations alone come round after 512 messages.
            return NEVER | now & (NEVER - 1);
        }
        due_after(now, self.timeout)
    }

    #[inline]
    pub(crate) fn cell<'v>(&self, view: &'v View, i: u32) -> Cell<'v> {
        view.cell(self.extent, i)
    }

    #[inline]
    pub(super) fn next_due<'v>(&self, view: &'v View) -> &'v AtomicU64 {
        &view.group(self.group).delivery.next_due
    }

    /// When the cells are to be looked at next.
    pub(crate) fn look_due(&self, view: &View) -> Tick {
        // Relaxed: a hint.
        self.next_due(view).load(Ordering::Relaxed)
    }

    /// Reserves cell `i` for `owner`, if it is empty.
    #[inline]
    pub(super) fn reserve(&self, view: &View, i: u32, owner: u8) -> Option<Reserved> {
        let cell = self.cell(view, i);
        // Relaxed: the exchange compares it.
        let word = cell.word.load(Ordering::Relaxed);
        let found = CellWord::unpack(word);
        if found.state != CellState::Empty {
            return None;
        }
        let reserved = CellWord { state: CellState::Reserved, owner, ..found };
        // Acquire. pair cell-empty: the last filler's stores, which this member's must not come before. Relaxed on
        // failure: another member was faster.
        let (acquire, relaxed) = (Ordering::Acquire, Ordering::Relaxed);
        cell.word.compare_exchange(word, reserved.pack(), acquire, relaxed).ok()?;
        Some(Reserved { cell: i, generation: found.generation })
    }

    /// Empties a cell that is reserved by the caller, or by a dead member whose lease it holds. The caller then wakes
    /// those who wait for a cell.
    pub(super) fn unreserve(&self, view: &View, reserved: Reserved) {
        let empty = CellWord::empty(reserved.generation);
        // Release. pair cell-empty. A plain store: nobody exchanges the word of a reserved cell.
        self.cell(view, reserved.cell).word.store_beside_exchange(empty.pack(), Ordering::Release);
    }

    /// Copies message `seq` from its slot into a cell that is reserved by `owner`: the caller, or a dead member whose
    /// lease it holds. Then lends it to `out`, with its payload in the slot.
    ///
    /// # Safety The message is claimed with the record of `owner`, and not acked.
    #[inline]
    pub(super) unsafe fn fill(
        &self,
        view: &View,
        reserved: Reserved,
        seq: u64,
        held: CellWord,
        received: Tick,
        out: impl FnOnce(&InHand<&[u8]>),
    ) {
        let (cell, slot) = (self.cell(view, reserved.cell), view.slot(seq));
        let held = CellWord { generation: reserved.generation, ..held };
        let word = CellWord { generation: next_generation(held), ..held }.pack();
        // SAFETY: by the caller's promise the slot does not change (invariant borrow).
        let bytes = unsafe { slot.payload.bytes() };
        let meta = slot.meta.load();
        let payload = &bytes[..meta.len.min(bytes.len())];
        // Release fence. pair cell-refill: a taker of the message before, slow in its copy, that reads a word stored
        // below also finds that the cell's word has changed.
        step!(fence(Ordering::Release), "cell-filled-without-fence");
        // Relaxed, as what follows: the cell's word publishes it. pair cell.
        cell.sequence.store(seq, Ordering::Relaxed);
        cell.meta.copy_from(slot.meta);
        if let (Some(to), Some(from)) = (cell.position, view.position(seq)) {
            // Relaxed, both: as above, and by the claim.
            to.store(from.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        cell.received.store(received, Ordering::Relaxed);
        cell.payload.store_words(payload);
        // Release. pair cell: the copy is whole, and the owner's start says that the ring has the message, too.
        cell.word.store_beside_exchange(word, order!(Release, "cell-published-relaxed"));
        let token = Token { cell: reserved.cell, word };
        let origin = sources::origin(view, seq, &slot);
        let (kind, attempts, requeued, delayed) = (meta.kind, held.attempts, false, false);
        out(&InHand { seq, kind, attempts, origin, requeued, delayed, token, payload });
    }

    /// Puts a letter into a cell that the caller has reserved, for any member to take at once. The caller may die at any
    /// step: before the cell's word it has put nothing, after it the letter is there.
    pub(super) fn put(&self, view: &View, reserved: Reserved, letter: Letter<'_>, received: Tick) {
        let cell = self.cell(view, reserved.cell);
        // Never handed out: its next delivery is the first.
        let word = delayed(CellWord::empty(reserved.generation), AT_ONCE, 0).pack();
        // Release fence. pair cell-refill: as in `fill`.
        step!(fence(Ordering::Release), "letter-put-without-fence");
        // Relaxed, as what follows: the cell's word publishes it. pair cell.
        let sequence = mutant!(letter.seq | REQUEUED, "letter-without-its-bit", letter.seq);
        cell.sequence.store(sequence, Ordering::Relaxed);
        // It comes from no stream.
        cell.meta.store(Meta { len: letter.payload.len(), kind: letter.kind });
        cell.received.store(received, Ordering::Relaxed);
        cell.payload.store_words(letter.payload);
        // Release. pair cell: the copy is whole.
        cell.word.store_beside_exchange(word, order!(Release, "letter-published-relaxed"));
        step!(self.announce_due(view, AT_ONCE), "letter-lowers-no-hint");
        step!(self.wake_takers(view), "letter-wakes-nobody");
    }

    /// Exchanges the word of a message that its owner has.
    #[inline]
    fn exchange(&self, view: &View, token: Token, next: CellWord) -> Result<Token, Evicted> {
        let word = self.cell(view, token.cell).word;
        let next = next.pack();
        // Release. pair cell-empty: who fills the cell next stores after what came before this. pair cell: what the
        // filler stored stays published. Relaxed on failure: the caller has lost the message, and learns no more.
        let (release, relaxed) = (Ordering::Release, Ordering::Relaxed);
        let exchanged = mutant!(
            word.compare_exchange(token.word, next, release, relaxed),
            "cell-stored-by-its-owner",
            {
                word.store_beside_exchange(next, Ordering::Release);
                Ok(next)
            }
        );
        exchanged.map(|_| Token { word: next, ..token }).map_err(|_| Evicted)
    }

    /// Acks a message: its cell is empty.
    #[inline]
    pub(crate) fn ack(&self, view: &View, token: Token) -> Result<(), Evicted> {
        let had = CellWord::unpack(token.word);
        self.exchange(view, token, CellWord::empty(next_generation(had)))?;
        step!(notify::cells(view, self.group), "cell-ack-wakes-nobody");
        Ok(())
    }

    /// Acks a message of which `send` makes a dead letter, if it can. A member that dies between the two, or loses the
    /// message, leaves a letter too many, and never none.
    pub(crate) fn ack_after<E>(
        &self,
        view: &View,
        token: Token,
        send: impl FnOnce() -> Result<(), E>,
    ) -> Result<Result<(), Evicted>, E> {
        mutant!(send().map(|()| self.ack(view, token)), "acked-before-its-letter", {
            let acked = self.ack(view, token);
            send().map(|()| acked)
        })
    }

    /// Lets the caller keep a message until `due`. Returns the new token.
    pub(crate) fn extend(
        &self,
        view: &View,
        token: Token,
        due: Tick,
        now: Tick,
    ) -> Result<Token, Evicted> {
        let had = CellWord::unpack(token.word);
        let token = self.exchange(view, token, CellWord { due, ..had })?;
        if due < now.saturating_add(FULL_LOOK) {
            step!(self.announce_due(view, due), "extension-lowers-no-hint");
        }
        Ok(token)
    }

    /// Sets the attempts of a message that the caller keeps. Returns the new token.
    pub(crate) fn set_attempts(
        &self,
        view: &View,
        token: Token,
        attempts: u8,
    ) -> Result<Token, Evicted> {
        let had = CellWord::unpack(token.word);
        let next = CellWord { attempts, ..had };
        self.exchange(view, token, mutant!(next, "in-flight-not-uncounted", had))
    }

    /// Gives a message back, for any member to take from `due` on. `attempts` may take this delivery's count back.
    pub(crate) fn give_back(
        &self,
        view: &View,
        token: Token,
        due: Tick,
        attempts: u8,
        now: Tick,
    ) -> Result<(), Evicted> {
        let had = CellWord::unpack(token.word);
        self.exchange(view, token, delayed(had, due, attempts))?;
        self.announce(view, due, now);
        Ok(())
    }

    /// Whether the message is still the owner's. A figure of this moment.
    #[cfg(not(slipring_loom))]
    pub(crate) fn is_mine(&self, view: &View, token: Token) -> bool {
        // Relaxed: it may be another's at once.
        self.cell(view, token.cell).word.load(Ordering::Relaxed) == token.word
    }

    /// Notes that a cell is due before the next full look; after its exchange.
    pub(super) fn announce_due(&self, view: &View, due: Tick) {
        // SeqCst fence. pair due: the cell's word above, the hint below; a look has its fence between the two.
        step!(fence(Ordering::SeqCst), "give-back-without-fence");
        let next = self.next_due(view);
        // Relaxed, both: the fence orders them.
        if next.load(Ordering::Relaxed) > due {
            step!(next.fetch_min(due, Ordering::Relaxed), "give-back-lowers-no-hint");
        }
    }

    /// Wakes who may take what is due at once: the exchange that made it so wakes nobody.
    #[cold]
    pub(super) fn wake_takers(&self, view: &View) {
        step!(notify::group(view, self.group), "give-back-wakes-nobody");
        step!(notify::cells(view, self.group), "give-back-wakes-nobody");
    }

    /// Whether the ring still has message `seq`, which is in a cell of `owner`. The caller has read that cell's word.
    pub(super) fn is_in_range(&self, view: &View, owner: u8, seq: u64) -> bool {
        // Outside of the table: nobody's.
        let Some(record) = view.records().get(usize::from(owner)) else { return false };
        // Acquire, though Relaxed would do. pair cell: the cell's word has brought the PENDING of the claim, or what came
        // after it.
        let start = Start::unpack(record.claim.start.load(Ordering::Acquire));
        let on = start.group == self.group && start.state != State::Idle && start.seq <= seq;
        on && !sequence_of(seq).1
    }

    /// The word of cell `i` if it may be taken at `now`. Lowers `next` to the due of a cell that may not be taken yet.
    pub(super) fn find_due(&self, view: &View, i: u32, now: Tick, next: &mut Tick) -> Option<u64> {
        let cell = self.cell(view, i);
        // Acquire. pair cell: what was stored while the cell was reserved, and the owner's start before that.
        let word = cell.word.load(order!(Acquire, "cell-read-relaxed"));
        let found = CellWord::unpack(word);
        match found.state {
            CellState::Empty | CellState::Reserved => return None,
            CellState::Held | CellState::Delayed if found.due > now => {
                *next = (*next).min(found.due);
                return None;
            }
            CellState::Held => {
                // Relaxed: carried by the cell's word.
                let seq = cell.sequence.load(Ordering::Relaxed);
                if mutant!(self.is_in_range(view, found.owner, seq), "take-ignores-the-ring", false)
                {
                    return None;
                }
            }
            CellState::Delayed => {}
        }
        Some(word)
    }

    /// Takes the message of cell `i`, whose word `find_due` or `CellMember::find` returned, for `owner`, until `due`; `None` if
    /// its owner or another member was faster, or has taken it since.
    pub(super) fn take(
        &self,
        view: &View,
        i: u32,
        word: u64,
        owner: u8,
        due: Tick,
    ) -> Option<InHand> {
        let (cell, found) = (self.cell(view, i), CellWord::unpack(word));
        let attempts =
            mutant!(found.attempts.saturating_add(1), "take-not-counted", found.attempts);
        let generation = next_generation(found);
        let taken = CellWord { state: CellState::Held, owner, attempts, due, generation }.pack();
        // AcqRel, though Relaxed would do: an exchange continues the release sequence of the fill. Relaxed on failure:
        // its owner or another member was faster.
        let (acq_rel, relaxed) = (Ordering::AcqRel, Ordering::Relaxed);
        mutant!(
            cell.word.compare_exchange(word, taken, acq_rel, relaxed).ok()?,
            "take-by-a-store",
            {
                cell.word.store_beside_exchange(taken, Ordering::Release);
                word
            }
        );
        let delayed = is_delayed(found);
        self.copy(view, i, taken).map(|message| InHand { delayed, ..message })
    }

    /// Copies the message of cell `i`, which the caller has taken by storing `word`, or whose word it has read; `None` if it
    /// was taken meanwhile. The copy may be a mixture of two messages then.
    pub(super) fn copy(&self, view: &View, i: u32, word: u64) -> Option<InHand> {
        let cell = self.cell(view, i);
        // Relaxed, all: carried by the cell's word; whether they belong together is checked below. pair cell-refill.
        let seq = cell.sequence.load(Ordering::Relaxed);
        let meta = cell.meta.load();
        let number = cell.meta.stream();
        let position = cell.position.map(|position| position.load(Ordering::Relaxed));
        let mut payload = vec![0; meta.len.min(view.geo().payload_size)];
        cell.payload.load_words(&mut payload);
        let origin = position.and_then(|position| sources::origin_of(view, number, position));
        // Acquire fence. pair cell-refill: if a word above is of a later message, or an id of a later stream, the cell's word
        // below has changed.
        step!(fence(Ordering::Acquire), "cell-copied-without-fence");
        // Relaxed: the fence orders it.
        let still = cell.word.load(Ordering::Relaxed) == word;
        if !mutant!(still, "copy-not-checked", true) {
            return None;
        }
        let CellWord { attempts, .. } = CellWord::unpack(word);
        let Meta { kind, .. } = meta;
        let (seq, requeued) = sequence_of(seq);
        let token = Token { cell: i, word };
        let delayed = false;
        Some(InHand { seq, kind, attempts, origin, requeued, delayed, token, payload })
    }

    /// Lets any member take the message of cell `i`, whose word was found to be `found`, from `due` on: takes it from the
    /// member that has it, or, if it is delayed, gives it another due. The control lease is held, so the group stays.
    pub(crate) fn evict(
        &self,
        view: &View,
        i: u32,
        found: CellWord,
        due: Tick,
        now: Tick,
    ) -> Eviction {
        let cell = self.cell(view, i);
        // Relaxed: carried by the cell's word, which the caller has read. pair cell.
        let seq = cell.sequence.load(Ordering::Relaxed);
        if mutant!(self.is_in_range(view, found.owner, seq), "take-ignores-the-ring", false) {
            return Eviction::Taking;
        }
        let next = delayed(found, due, found.attempts).pack();
        // AcqRel: as for a take. Relaxed on failure: its owner was faster.
        let (acq_rel, relaxed) = (Ordering::AcqRel, Ordering::Relaxed);
        let exchanged = mutant!(
            cell.word.compare_exchange(found.pack(), next, acq_rel, relaxed),
            "eviction-by-a-store",
            {
                cell.word.store_beside_exchange(next, Ordering::Release);
                Ok(next)
            }
        );
        if exchanged.is_err() {
            return Eviction::Missed;
        }
        step!(self.announce(view, due, now), "eviction-tells-nobody");
        Eviction::Done
    }

    /// Tells the others of a message that may be taken from `due` on; after the exchange that made it so.
    fn announce(&self, view: &View, due: Tick, now: Tick) {
        if due < now.saturating_add(FULL_LOOK) {
            self.announce_due(view, due);
        }
        if due <= now {
            self.wake_takers(view);
        }
    }

    /// Whether a message is in a cell. The caller has read the group's head and starts before.
    pub(super) fn any_in_use(&self, view: &View) -> bool {
        (0..self.len()).any(|i| {
            // Acquire. pair cell: once the cell is empty, so is the start that was read before it.
            let word = self.cell(view, i).word.load(Ordering::Acquire);
            matches!(CellWord::unpack(word).state, CellState::Held | CellState::Delayed)
        })
    }

    /// The cells that are reserved by `owner` or have a message of its, with the state of each.
    pub(super) fn owned(
        &self,
        view: &View,
        owner: u8,
    ) -> impl Iterator<Item = (u32, u64, CellWord)> {
        (0..self.len()).filter_map(move |i| {
            // Acquire. pair cell: the sequence.
            let word = self.cell(view, i).word.load(Ordering::Acquire);
            let found = CellWord::unpack(word);
            let owns = matches!(found.state, CellState::Held | CellState::Reserved);
            (owns && found.owner == owner).then_some((i, word, found))
        })
    }

    /// A cell that `owned` found to be reserved.
    pub(super) fn reserved(i: u32, found: CellWord) -> Reserved {
        Reserved { cell: i, generation: found.generation }
    }

    /// Gives the message of a dead member's cell back, for any member to take at once. Its lease is held.
    pub(super) fn let_go(&self, view: &View, i: u32, word: u64, found: CellWord) {
        let next = delayed(found, AT_ONCE, found.attempts).pack();
        // AcqRel, as for a take. A failure: a member has taken it, since it was due.
        let (acq_rel, relaxed) = (Ordering::AcqRel, Ordering::Relaxed);
        let cell = self.cell(view, i);
        mutant!(
            _ = cell.word.compare_exchange(word, next, acq_rel, relaxed),
            "settle-gives-back-by-a-store",
            cell.word.store_beside_exchange(next, Ordering::Release)
        );
    }
}

/// In ticks, of an ack timeout in nanoseconds.
fn timeout_of(ack_timeout: u64) -> Tick {
    if ack_timeout == 0 { NEVER } else { ticks(ack_timeout.max(SHORTEST)).min(LONGEST) }
}

/// The sequence of a message by that of its cell, and whether it is a dead letter that was sent again.
pub(super) fn sequence_of(word: u64) -> (u64, bool) {
    (word & !REQUEUED, word & REQUEUED != 0)
}

/// Whether a message comes again after a delay. What the dead had, and what was given back for now, is due at once.
pub(super) fn is_delayed(found: CellWord) -> bool {
    found.state == CellState::Delayed && found.due != AT_ONCE
}

/// The word of a message that waits for any member.
fn delayed(had: CellWord, due: Tick, attempts: u8) -> CellWord {
    let generation = next_generation(had);
    CellWord { state: CellState::Delayed, owner: NOBODY, attempts, due, generation }
}

/// The generation after that of `had`.
fn next_generation(had: CellWord) -> u16 {
    mutant!(had.next_generation(), "cell-generation-stays", had.generation)
}

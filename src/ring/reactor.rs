//! One thread that sleeps for many.
//!
//! Who cannot sleep itself, since its thread has other work, announces itself at its queue's word and looks, as any
//! sleeper does; then it leaves an entry here instead of going to sleep. The watch is the thread that does that part:
//! it sleeps at the words of all entries, and at one of its own, at which those who come later wake it.
//!
//! ```text
//! who waits: announce at the queue's word, which leaves v; look; enter (word, v, until); wake the watch
//! the watch: v = own | 1; entries whose word is not v, or whose time is up: they are over
//!            none: sleep unless own, or an entry's word, is not its v any more
//! ```
//!
//! Nothing is lost between the look and the sleep, however long that takes: a wake-up that comes there has changed
//! the word, and the entry has the value from before. And an entry that the watch does not see was made behind
//! its look, so whoever made it sees the bit of its own word: the lock of the entries orders the two.
//!
//! What the watch itself reads of a word need not be new: it is asked again, under the kernel's eyes, before a sleep;
//! and those whose entry is over look for themselves.

use std::collections::{BTreeMap, HashSet};
use std::sync::PoisonError;
use std::time::{Duration, Instant};
use std::{ptr, slice};

use super::notify::{self, WAITING, wake_waiters};
use super::park::{DENIED_SLEEP, Waiter, WaiterKind, announce};
use crate::layout::View;
use crate::sync::{Mutex, MutexGuard, Ordering, WaitWord, mutant, step};

/// Keeps a queue mapped.
pub(crate) trait KeepMapped: Clone {
    fn view(&self) -> &View;
}

/// What somebody waits for.
#[derive(Debug)]
pub(crate) struct Entry<Q, T> {
    queue: Q,
    /// A word of the queue, and what `announce` left there; none if nobody would wake.
    at: Option<(WaiterKind, u32)>,
    /// It is over then in any case.
    until: Instant,
    /// For whoever waits to be told by.
    pub(crate) tell: T,
}

impl<Q: KeepMapped, T> Entry<Q, T> {
    fn is_woken(&self) -> bool {
        // Relaxed: whoever waits looks itself, and before a sleep the kernel asks. Whoever leaves has what the watch
        // was woken for by the entries' lock.
        self.at.is_some_and(|(word, value)| {
            word.of(self.queue.view()).load(Ordering::Relaxed) != value
        })
    }

    fn is_over(&self, now: Instant) -> bool {
        now >= self.until || self.is_woken()
    }
}

/// What somebody who waits has of its entry.
#[derive(Debug)]
pub(crate) struct EntryHandle<Q> {
    id: u64,
    queue: Q,
    /// The shared group at whose word it may be woken.
    group: Option<u8>,
}

#[derive(Debug)]
struct Entries<Q, T> {
    waiting: BTreeMap<u64, Entry<Q, T>>,
    next: u64,
}

#[derive(Debug)]
pub(crate) struct Reactor<Q, T> {
    /// Where the thread is woken for a new entry. Nobody else sleeps here.
    own: WaitWord,
    entries: Mutex<Entries<Q, T>>,
}

impl<Q: KeepMapped, T> Reactor<Q, T> {
    pub(crate) fn new() -> Reactor<Q, T> {
        let entries = Mutex::new(Entries { waiting: BTreeMap::new(), next: 0 });
        Reactor { own: WaitWord::new(), entries }
    }

    /// Nothing runs under it that is not of this file: what entries hold is dropped, and told, behind it.
    fn lock(&self) -> MutexGuard<'_, Entries<Q, T>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks; if there is nothing, `look` says how long to wait at most, and an entry is left that is over then, or when
    /// somebody wakes at the word. Returns the handle of that.
    pub(crate) fn wait<E>(
        &self,
        queue: &Q,
        word: WaiterKind,
        look: impl FnOnce() -> Result<Option<Duration>, E>,
        tell: impl FnOnce() -> T,
    ) -> Result<Option<EntryHandle<Q>>, E> {
        let queue = queue.clone();
        let mut waiter = Waiter::new(queue.view(), word);
        let visible = waiter.can_be_woken() && announce(slice::from_mut(&mut waiter));
        let Some(mut longest) = look()? else {
            waiter.clear_waiting();
            return Ok(None);
        };
        let at = visible.then(|| (word, waiter.value()));
        if !visible {
            longest = longest.min(DENIED_SLEEP);
        }
        let until = Instant::now() + longest;
        let group = match at {
            Some((WaiterKind::Consumer { group, shared: true }, _)) => Some(group),
            _ => None,
        };
        drop(waiter);
        let id = self.enter(Entry { queue: queue.clone(), at, until, tell: tell() });
        Ok(Some(EntryHandle { id, queue, group }))
    }

    fn enter(&self, entry: Entry<Q, T>) -> u64 {
        let mut entries = self.lock();
        let id = entries.next;
        entries.next += 1;
        entries.waiting.insert(id, entry);
        drop(entries);
        step!(wake_waiters(&self.own), "entry-wakes-nobody");
        id
    }

    /// Ends a wait, over or not: whoever waited has what it wants, or wants it no more. Returns what was left for it, if
    /// nobody was told. The thread is not woken for it; its queue stays mapped for as long as that sleeps, which is no
    /// longer than until the entry's time.
    pub(crate) fn leave(&self, handle: &EntryHandle<Q>) -> Option<Entry<Q, T>> {
        let entry = self.lock().waiting.remove(&handle.id);
        // If it was told, the lock has brought what the watch was woken for; if the watch is still to look, it leaves
        // this to whoever has an entry here.
        let woken = mutant!(
            entry.as_ref().is_none_or(Entry::is_woken),
            "untold-passes-nothing-on",
            entry.is_none()
        );
        if let Some(group) = handle.group
            && woken
        {
            step!(notify::next_member(handle.queue.view(), group), "dropped-passes-nothing-on");
        }
        entry
    }

    /// What the thread does again and again: returns the entries that are over, or sleeps if none is.
    pub(crate) fn poll(&self) -> Vec<Entry<Q, T>> {
        // Acquire. Before the look at the entries: whoever comes behind that finds the bit, by the lock, and changes
        // the word.
        let own = self.own.fetch_or(WAITING, Ordering::Acquire) | WAITING;
        let mut entries = self.lock();
        let now = Instant::now();
        let over: Vec<_> =
            entries.waiting.extract_if(.., |_, entry| entry.is_over(now)).map(|(_, e)| e).collect();
        if !over.is_empty() {
            return over;
        }
        let longest = entries.waiting.values().map(|entry| entry.until - now).min();
        // Each word once: the entries at it that are not over have one value, the last that any of them announced. The
        // lock has brought that, so those of older ones were over above.
        let mut known = HashSet::new();
        let asleep: Vec<_> = entries
            .waiting
            .values()
            .filter_map(|entry| entry.at.map(|(word, value)| (&entry.queue, word, value)))
            .filter(|(queue, word, _)| {
                let view = queue.view();
                known.insert(mutant!(
                    &raw const *word.of(view),
                    "reactor-hears-one-word-of-a-queue",
                    &raw const *view.control().data
                ))
            })
            .map(|(queue, word, value)| (queue.clone(), word, value))
            .collect();
        drop(entries);
        let visible = mutant!(
            &asleep[..],
            "reactor-deaf-to-entries",
            &[],
            "reactor-hears-one-queue",
            &asleep[..asleep.len().min(1)]
        );
        let words: Vec<_> = std::iter::once((&self.own, own))
            .chain(visible.iter().map(|(queue, word, value)| {
                let word = word.of(queue.view());
                // As announced: the word of now, Relaxed or not, may be that of a wake-up before the sleep.
                (word, mutant!(*value, "reactor-reads-words-late", word.load(Ordering::Relaxed)))
            }))
            .collect();
        WaitWord::sleep(words.into_iter(), longest.unwrap_or(Duration::MAX));
        for (queue, word, value) in &asleep {
            step!(self.pass_on(queue.view(), *word, *value), "reactor-drops-notify");
        }
        over
    }

    /// The thread may have been woken for somebody who has left meanwhile.
    fn pass_on(&self, view: &View, word: WaiterKind, value: u32) {
        let WaiterKind::Consumer { group, .. } = word else { return };
        let at = word.of(view);
        // Acquire. pair wake-up: what the waker published.
        if at.load(Ordering::Acquire) == value {
            return;
        }
        // Else it is told, or leaves in its turn.
        let waits = |entry: &Entry<Q, T>| {
            entry.is_woken()
                && entry.at.is_some_and(|(word, _)| ptr::eq(word.of(entry.queue.view()), at))
        };
        let nobody = !self.lock().waiting.values().any(waits);
        if mutant!(
            nobody,
            "reactor-notifies-shared-only",
            nobody && matches!(word, WaiterKind::Consumer { shared: true, .. })
        ) {
            notify::next_member(view, group);
        }
    }
}

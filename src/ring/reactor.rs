//! One thread that sleeps for many futures.
//!
//! A future cannot sleep, since its thread has other work. It announces itself at its queue's wait word and checks, as
//! any waiter does; then, instead of sleeping, it leaves an entry here. The reactor's thread sleeps at the words of all
//! entries, and at its own word, at which new entries wake it.
//!
//! ```text
//! future:  announce at the queue's word, which leaves v; check; insert the entry (word, v, until); wake the reactor
//! reactor: v = own | WAITING; entries whose word is not v, or whose time is up, are over
//!          none is: sleep unless the own word, or an entry's word, is not its v any more
//! ```
//!
//! No wake-up is lost between the check and the sleep, however long that takes: it has changed the word, and the entry
//! has the value from before. An entry that the reactor does not see is inserted after its pass through the entries, so
//! the future sees the bit of the own word: the lock of the entries orders the two.
//!
//! The reactor may read an old value of a word. The kernel compares the word again before a sleep, and a future whose
//! entry is over checks for itself.

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

/// What a future waits for.
#[derive(Debug)]
pub(crate) struct Entry<Q, T> {
    queue: Q,
    /// A wait word of the queue, and the value that `announce` left there; none if no waker would wake.
    announced: Option<(WaiterKind, u32)>,
    /// The entry is over then in any case.
    until: Instant,
    /// How the future is told.
    pub(crate) tell: T,
}

impl<Q: KeepMapped, T> Entry<Q, T> {
    fn is_woken(&self) -> bool {
        // Relaxed: the future checks for itself, and the kernel compares before a sleep. A future that leaves has what
        // the reactor was woken for by the lock of the entries.
        self.announced.is_some_and(|(word, value)| {
            word.of(self.queue.view()).load(Ordering::Relaxed) != value
        })
    }

    fn is_over(&self, now: Instant) -> bool {
        now >= self.until || self.is_woken()
    }
}

/// A future's part of its entry.
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
    /// Where a new entry wakes the thread. Only the reactor sleeps here.
    own: WaitWord,
    entries: Mutex<Entries<Q, T>>,
}

impl<Q: KeepMapped, T> Reactor<Q, T> {
    pub(crate) fn new() -> Reactor<Q, T> {
        let entries = Mutex::new(Entries { waiting: BTreeMap::new(), next: 0 });
        Reactor { own: WaitWord::new(), entries }
    }

    /// Only code of this file runs under the lock: what entries hold is dropped, and told, after it.
    fn lock(&self) -> MutexGuard<'_, Entries<Q, T>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Checks. If `check` finds nothing, it returns how long to wait at most, and an entry is left that is over then,
    /// or when the word is woken. Returns the entry's handle.
    pub(crate) fn wait<E>(
        &self,
        queue: &Q,
        word: WaiterKind,
        check: impl FnOnce() -> Result<Option<Duration>, E>,
        tell: impl FnOnce() -> T,
    ) -> Result<Option<EntryHandle<Q>>, E> {
        let queue = queue.clone();
        let mut waiter = Waiter::new(queue.view(), word);
        let visible = waiter.can_be_woken() && announce(slice::from_mut(&mut waiter));
        let Some(mut longest) = check()? else {
            waiter.clear_waiting();
            return Ok(None);
        };
        let announced = visible.then(|| (word, waiter.value()));
        if !visible {
            longest = longest.min(DENIED_SLEEP);
        }
        let until = Instant::now() + longest;
        let group = match announced {
            Some((WaiterKind::Consumer { group, shared: true }, _)) => Some(group),
            _ => None,
        };
        drop(waiter);
        let id = self.insert(Entry { queue: queue.clone(), announced, until, tell: tell() });
        Ok(Some(EntryHandle { id, queue, group }))
    }

    fn insert(&self, entry: Entry<Q, T>) -> u64 {
        let mut entries = self.lock();
        let id = entries.next;
        entries.next += 1;
        entries.waiting.insert(id, entry);
        drop(entries);
        step!(wake_waiters(&self.own), "entry-wakes-nobody");
        id
    }

    /// Ends a wait, over or not. Returns what the entry held, unless the future was told already. The thread is not
    /// woken for it: it keeps the queue mapped until its sleep ends, at the entry's time at the latest.
    pub(crate) fn leave(&self, handle: &EntryHandle<Q>) -> Option<Entry<Q, T>> {
        let entry = self.lock().waiting.remove(&handle.id);
        // If the future was told, the lock has brought what the reactor was woken for. If the reactor has not looked
        // yet, it leaves this to the future that has an entry here.
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

    /// One round of the thread: returns the entries that are over, or sleeps if none is.
    pub(crate) fn poll(&self) -> Vec<Entry<Q, T>> {
        // Acquire. Before the pass through the entries: a future that comes after it finds the bit, by the lock, and
        // changes the word.
        let own = self.own.fetch_or(WAITING, Ordering::Acquire) | WAITING;
        let mut entries = self.lock();
        let now = Instant::now();
        let over: Vec<_> =
            entries.waiting.extract_if(.., |_, entry| entry.is_over(now)).map(|(_, e)| e).collect();
        if !over.is_empty() {
            return over;
        }
        let longest = entries.waiting.values().map(|entry| entry.until - now).min();
        // Each word once. Entries at a word that are not over have one value, that of the latest announcement; the lock
        // has brought it, so entries with older values were over above.
        let mut known = HashSet::new();
        let asleep: Vec<_> = entries
            .waiting
            .values()
            .filter_map(|entry| entry.announced.map(|(word, value)| (&entry.queue, word, value)))
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
        let slept_at = mutant!(
            &asleep[..],
            "reactor-deaf-to-entries",
            &[],
            "reactor-hears-one-queue",
            &asleep[..asleep.len().min(1)]
        );
        let words: Vec<_> = std::iter::once((&self.own, own))
            .chain(slept_at.iter().map(|(queue, word, value)| {
                let word = word.of(queue.view());
                // As announced. A load now, even Relaxed, would be wrong: a wake-up may have changed it.
                (word, mutant!(*value, "reactor-reads-words-late", word.load(Ordering::Relaxed)))
            }))
            .collect();
        WaitWord::sleep(words.into_iter(), longest.unwrap_or(Duration::MAX));
        for (queue, word, value) in &asleep {
            step!(self.pass_on(queue.view(), *word, *value), "reactor-drops-notify");
        }
        over
    }

    /// The thread may have been woken for a future that has left meanwhile: then it wakes the next member.
    fn pass_on(&self, view: &View, word: WaiterKind, value: u32) {
        let WaiterKind::Consumer { group, .. } = word else { return };
        let wait_word = word.of(view);
        // Acquire. pair wake-up: what the waker published.
        if wait_word.load(Ordering::Acquire) == value {
            return;
        }
        // A future that is still here is told, or wakes the next member when it leaves.
        let waits = |entry: &Entry<Q, T>| {
            entry.is_woken()
                && entry
                    .announced
                    .is_some_and(|(word, _)| ptr::eq(word.of(entry.queue.view()), wait_word))
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

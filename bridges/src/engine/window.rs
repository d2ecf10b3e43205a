//! The messages between the first that is not confirmed and the last that was taken from the queue.

use std::collections::VecDeque;

/// What is in work at a time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) messages: usize,
    pub(crate) bytes: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// To be sent, for the first time or again.
    Waiting,
    Sent,
    Confirmed,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    id: u64,
    bytes: usize,
    state: State,
}

/// A sliding window. Messages leave it at the front, in order, once confirmed. What fails goes back to the first that is not
/// confirmed: everything from there on that the broker does not have is sent again, in order, and nothing that it has.
#[derive(Debug)]
pub(crate) struct Window {
    limits: Limits,
    entries: VecDeque<Entry>,
    sent: usize,
    sent_bytes: usize,
    /// No entry before this index is waiting.
    next: usize,
    /// So many may be in flight. After the broker did not take a message, one is; each confirm then allows one more. So a
    /// broker that is full gets few messages out of their order.
    allowed: usize,
    /// The broker did not take a message, and those that are in flight are to be told first.
    settling: bool,
}

impl Window {
    pub(crate) fn new(limits: Limits) -> Window {
        Window {
            limits,
            entries: VecDeque::new(),
            sent: 0,
            sent_bytes: 0,
            next: 0,
            allowed: limits.messages,
            settling: false,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Messages that are sent, and of which nothing is known.
    pub(crate) fn in_flight(&self) -> usize {
        self.sent
    }

    /// How many messages more may be taken from the queue.
    pub(crate) fn room(&self) -> usize {
        self.limits.messages.saturating_sub(self.entries.len())
    }

    /// Takes a message. Ids rise.
    pub(crate) fn push(&mut self, id: u64, bytes: usize) {
        self.entries.push_back(Entry { id, bytes, state: State::Waiting });
    }

    /// The index of the message that is to be sent now, if there is one before `end`. It counts as sent from here on.
    pub(crate) fn send_next(&mut self, end: Option<u64>) -> Option<usize> {
        if self.settling && self.sent > 0 {
            return None;
        }
        self.settling = false;
        while self.entries.get(self.next).is_some_and(|entry| entry.state != State::Waiting) {
            self.next += 1;
        }
        let (index, Entry { id, bytes, .. }) = (self.next, *self.entries.get(self.next)?);
        if end.is_some_and(|end| id >= end) {
            return None;
        }
        let fits = self.sent_bytes.saturating_add(bytes) <= self.limits.bytes || self.sent == 0;
        if self.sent >= self.allowed || !fits {
            return None;
        }
        if let Some(entry) = self.entries.get_mut(index) {
            entry.state = State::Sent;
        }
        (self.sent, self.sent_bytes, self.next) =
            (self.sent + 1, self.sent_bytes + bytes, index + 1);
        Some(index)
    }

    fn index_of(&self, id: u64) -> Option<usize> {
        self.entries.binary_search_by_key(&id, |entry| entry.id).ok()
    }

    fn settle(&mut self, id: u64, state: State) -> bool {
        let Some(index) = self.index_of(id) else { return false };
        let Some(entry) = self.entries.get_mut(index) else { return false };
        if entry.state != State::Sent {
            return false;
        }
        entry.state = state;
        (self.sent, self.sent_bytes) = (self.sent - 1, self.sent_bytes - entry.bytes);
        if state == State::Waiting {
            self.next = self.next.min(index);
        }
        true
    }

    /// The broker has it. Returns whether that is news.
    pub(crate) fn confirm(&mut self, id: u64) -> bool {
        let is_news = self.settle(id, State::Confirmed);
        // While settling, it says nothing about what goes next.
        if is_news && !self.settling {
            self.allowed = (self.allowed + 1).min(self.limits.messages);
        }
        is_news
    }

    /// The broker did not take it.
    pub(crate) fn fail(&mut self, id: u64) {
        if self.settle(id, State::Waiting) {
            (self.allowed, self.settling) = (1, true);
        }
    }

    /// What is in flight may be at the broker or not: it is sent again. Returns how many.
    pub(crate) fn fail_all(&mut self) -> usize {
        let failed = self.sent;
        let sent = self.entries.iter_mut().filter(|entry| entry.state == State::Sent);
        sent.for_each(|entry| entry.state = State::Waiting);
        (self.sent, self.sent_bytes, self.next, self.settling) = (0, 0, 0, false);
        failed
    }

    /// Everything counts as confirmed: the mutant that drops what a lost connection had in flight.
    #[cfg(slipring_mutants)]
    pub(crate) fn drop_all(&mut self) {
        let entries = self.entries.iter_mut().filter(|entry| entry.state == State::Sent);
        entries.for_each(|entry| entry.state = State::Confirmed);
        (self.sent, self.sent_bytes, self.settling) = (0, 0, false);
    }

    /// The first message, if it is not confirmed.
    pub(crate) fn first(&self) -> Option<u64> {
        self.entries.front().map(|entry| entry.id)
    }

    pub(crate) fn first_is_confirmed(&self) -> bool {
        self.entries.front().is_some_and(|entry| entry.state == State::Confirmed)
    }

    /// Takes the first message out.
    pub(crate) fn take_first(&mut self) {
        if self.first_is_confirmed() {
            self.entries.pop_front();
            self.next = self.next.saturating_sub(1);
        }
    }

    /// Takes those out that are confirmed, from the front on, and before `end`; returns their number and the bytes.
    pub(crate) fn take_confirmed(&mut self, end: Option<u64>) -> (usize, usize) {
        let ready = |entry: &&Entry| {
            entry.state == State::Confirmed && end.is_none_or(|end| entry.id < end)
        };
        let confirmed = self.entries.iter().take_while(ready).count();
        let bytes = self.entries.drain(..confirmed).map(|entry| entry.bytes).sum();
        self.next = self.next.saturating_sub(confirmed);
        (confirmed, bytes)
    }

    /// Empties it: its messages are taken from the queue again.
    pub(crate) fn clear(&mut self) {
        let Window { limits, allowed, .. } = *self;
        *self = Window { allowed, ..Window::new(limits) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(messages: usize, ids: std::ops::Range<u64>) -> Window {
        let mut window = Window::new(Limits { messages, bytes: 1000 });
        ids.for_each(|id| window.push(id, 100));
        window
    }

    fn send(window: &mut Window) -> Vec<usize> {
        std::iter::from_fn(|| window.send_next(None)).collect()
    }

    #[test]
    fn only_what_is_confirmed_up_to_the_first_gap_leaves() {
        let mut window = window(4, 10..14);
        assert_eq!((send(&mut window), window.room()), (vec![0, 1, 2, 3], 0));
        assert!(window.confirm(11) && window.confirm(13) && !window.confirm(13));
        assert_eq!(window.take_confirmed(None), (0, 0));
        assert!(window.confirm(10));
        assert_eq!(
            (window.take_confirmed(None), window.first(), window.room()),
            ((2, 200), Some(12), 2)
        );
    }

    #[test]
    fn what_comes_before_an_end_is_sent() {
        let mut window = window(4, 10..14);
        let sent: Vec<usize> = std::iter::from_fn(|| window.send_next(Some(12))).collect();
        assert_eq!(sent, [0, 1]);
        assert_eq!(send(&mut window), [2, 3]);
    }

    #[test]
    fn bytes_limit_what_is_in_flight_but_one_message_always_goes() {
        let mut window = Window::new(Limits { messages: 10, bytes: 250 });
        (0..3).for_each(|id| window.push(id, 100));
        window.push(3, 9000);
        assert_eq!(send(&mut window), [0, 1]);
        window.confirm(0);
        assert_eq!(send(&mut window), [2]);
        window.confirm(1);
        assert!(send(&mut window).is_empty());
        window.confirm(2);
        assert_eq!(send(&mut window), [3]);
    }

    #[test]
    fn a_lost_connection_sends_again_what_is_not_confirmed_in_order() {
        let mut window = window(6, 0..6);
        assert_eq!(send(&mut window).len(), 6);
        window.confirm(0);
        window.confirm(3);
        assert_eq!(window.fail_all(), 4);
        assert_eq!(send(&mut window), [1, 2, 4, 5]);
        assert_eq!(window.in_flight(), 4);
    }

    #[test]
    fn after_a_refusal_one_message_probes_and_confirms_open_the_window_again() {
        let mut window = window(8, 0..8);
        send(&mut window);
        window.confirm(0);
        window.fail(1);
        window.fail(2);
        // Nothing goes out while others are in flight: it would come before what they turn out to be.
        assert!(send(&mut window).is_empty());
        (3..8).for_each(|id| {
            window.confirm(id);
        });
        assert_eq!(send(&mut window), [1]);
        window.fail(1);
        assert_eq!(send(&mut window), [1]);
        window.confirm(1);
        assert_eq!(send(&mut window), [2]);
        window.confirm(2);
        assert_eq!(window.take_confirmed(None).0, 8);
    }

    #[test]
    fn outcomes_of_what_is_not_in_flight_change_nothing() {
        let mut window = window(4, 0..2);
        assert!(!window.confirm(0) && !window.confirm(99));
        window.fail(0);
        assert_eq!((send(&mut window), window.in_flight()), (vec![0, 1], 2));
        window.clear();
        assert_eq!((window.len(), window.in_flight(), window.first()), (0, 0, None));
    }
}

//! What is sent, and how the other end knows that it is right.

mod large;

pub(crate) use large::{Bytes256, Bytes1024, Bytes4096, Large, LargeBatch, LargeInOrder};

slipring::message! {
    /// 48 bytes: with slipring's header it fills one cache line.
    pub(crate) struct Msg {
        pub(crate) word: [u64; 6],
    }
}

/// Messages per batch, chunk or burst.
pub(crate) const BATCH: usize = 32;

/// Messages that every queue holds, where its maker lets us choose.
pub(crate) const CAPACITY: usize = 4096;

impl Msg {
    pub(crate) const ZERO: Msg = Msg { word: [0; 6] };

    /// Message number `i`: every word says so.
    #[inline]
    pub(crate) fn new(i: u64) -> Msg {
        Msg { word: [i; 6] }
    }

    /// The number that every word says.
    #[inline]
    pub(crate) fn number(&self) -> u64 {
        let i = self.word[0];
        assert!(self.differs(i) == 0, "a message came garbled");
        i
    }

    /// Zero if every word is that of message number `i`.
    #[inline]
    pub(crate) fn differs(&self, i: u64) -> u64 {
        self.word.iter().fold(0, |bits, word| bits | (word ^ i))
    }
}

/// The messages `from..from + n`, filled into a batch of `N` that is used again and again.
pub(crate) struct Filled<const N: usize> {
    batch: [Msg; N],
}

impl Filled<BATCH> {
    pub(crate) fn new() -> Self {
        Filled::of_size()
    }
}

impl<const N: usize> Filled<N> {
    /// No larger than it has to be: one that sends a single message has to make it, too.
    pub(crate) fn of_size() -> Self {
        Filled { batch: [Msg::ZERO; N] }
    }

    /// The next at most `N` of `at..end`.
    #[inline]
    pub(crate) fn next(&mut self, at: u64, end: u64) -> &[Msg] {
        let size = N.min((end - at) as usize);
        for (msg, i) in self.batch.iter_mut().zip(at..end) {
            *msg = Msg::new(i);
        }
        &self.batch[..size]
    }
}

/// A batch that is the same each time: its messages are numbers 0 to 31. What it costs to fill it is not on the clock.
pub(crate) struct Prepared([Msg; BATCH]);

impl Prepared {
    pub(crate) fn new() -> Prepared {
        Prepared(std::array::from_fn(|i| Msg::new(i as u64)))
    }

    /// The compiler does not get to know what is in it.
    #[inline]
    pub(crate) fn batch(&self) -> &[Msg; BATCH] {
        std::hint::black_box(&self.0)
    }
}

/// Sees messages that must come in order, each once.
pub(crate) struct InOrder {
    /// Which bits of a number its message holds.
    mask: u64,
    next: u64,
    end: u64,
    wrong: u64,
}

impl InOrder {
    /// Expects the messages `from..from + n`.
    #[inline]
    pub(crate) fn expect(from: u64, n: u64) -> InOrder {
        InOrder { mask: u64::MAX, next: from, end: from + n, wrong: 0 }
    }

    /// Expects so many messages of [`Prepared`] batches.
    #[inline]
    pub(crate) fn prepared(n: u64) -> InOrder {
        InOrder { mask: BATCH as u64 - 1, next: 0, end: n, wrong: 0 }
    }

    /// How many are still to come.
    #[inline]
    pub(crate) fn left(&self) -> u64 {
        self.end - self.next
    }

    #[inline]
    pub(crate) fn see(&mut self, msg: &Msg) {
        self.wrong |= msg.differs(self.next & self.mask);
        self.next += 1;
    }
}

impl Drop for InOrder {
    /// Once per call, not per message: that keeps the comparison free of branches.
    #[inline]
    fn drop(&mut self) {
        assert!(self.wrong == 0, "a message came garbled or out of order before {}", self.next);
    }
}

/// What came to one of several that share the messages, in whatever order.
#[derive(Clone, Copy, Default)]
pub(crate) struct Tally {
    pub(crate) count: u64,
    sum: u64,
    wrong: u64,
}

impl Tally {
    #[inline]
    pub(crate) fn see(&mut self, msg: &Msg) {
        let i = msg.word[0];
        self.wrong |= msg.differs(i);
        self.sum = self.sum.wrapping_add(i);
        self.count += 1;
    }

    /// Checks that the shares are together the messages `from..from + n`.
    pub(crate) fn check(shares: [Tally; 2], from: u64, n: u64) {
        let [a, b] = shares;
        assert_eq!(a.wrong | b.wrong, 0, "a message came garbled");
        assert_eq!(a.count + b.count, n, "messages are lost, or came twice");
        let sum = (from..from + n).fold(0, u64::wrapping_add);
        assert_eq!(a.sum.wrapping_add(b.sum), sum, "one message came twice, another not at all");
    }
}

#[cfg(test)]
mod tests {
    use super::{BATCH, InOrder, Msg, Prepared, Tally};

    fn see(messages: &[Msg]) {
        let mut expected = InOrder::expect(7, messages.len() as u64);
        messages.iter().for_each(|msg| expected.see(msg));
    }

    #[test]
    fn messages_in_order_are_right() {
        see(&[Msg::new(7), Msg::new(8)]);
    }

    #[test]
    #[should_panic(expected = "garbled or out of order")]
    fn a_message_of_two_halves_is_noticed() {
        let mut torn = Msg::new(8);
        torn.word[5] = 7;
        see(&[Msg::new(7), torn, Msg::new(9)]);
    }

    #[test]
    #[should_panic(expected = "garbled or out of order")]
    fn messages_that_changed_places_are_noticed() {
        see(&[Msg::new(8), Msg::new(7)]);
    }

    #[test]
    fn a_prepared_batch_comes_again_and_again() {
        let prepared = Prepared::new();
        let mut expected = InOrder::prepared(2 * BATCH as u64);
        (0..2).flat_map(|_| prepared.batch()).for_each(|msg| expected.see(msg));
        assert_eq!(expected.left(), 0);
    }

    #[test]
    #[should_panic(expected = "garbled or out of order")]
    fn a_prepared_message_that_is_missing_is_noticed() {
        let prepared = Prepared::new();
        let mut expected = InOrder::prepared(2);
        prepared.batch()[1..3].iter().for_each(|msg| expected.see(msg));
    }

    fn tally(messages: &[u64]) -> Tally {
        let mut tally = Tally::default();
        messages.iter().for_each(|&i| tally.see(&Msg::new(i)));
        tally
    }

    #[test]
    fn shares_may_be_of_any_size() {
        Tally::check([tally(&[9, 7]), tally(&[8])], 7, 3);
    }

    #[test]
    #[should_panic(expected = "one message came twice")]
    fn a_message_in_another_ones_place_is_noticed() {
        Tally::check([tally(&[7, 7]), tally(&[8])], 7, 3);
    }
}

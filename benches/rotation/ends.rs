//! The two ends of each transport, behind one pair of traits, so that all are driven by the same loops.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crossbeam_utils::CachePadded;
use slipring::{Consumer, Producer};

slipring::message! {
    /// 48 bytes: with its header it fills one cache line of a slot.
    pub(crate) struct Msg {
        pub(crate) word: [u64; 6],
    }
}

impl Msg {
    pub(crate) fn new(i: u64) -> Msg {
        Msg { word: [i; 6] }
    }
}

/// Messages per chunk, and per batch.
pub(crate) const BATCH: usize = 32;
/// Slots of every ring.
pub(crate) const CAPACITY: usize = 4096;

/// Set where both ends share one processor: spinning would then wait for the scheduler.
pub(crate) static ONE_CORE: AtomicBool = AtomicBool::new(false);

/// Between two looks. Round trips look again at once, streams pause: a sleepy look costs the one its
/// latency, an eager one costs the other its cache line.
#[inline]
pub(crate) fn again(pause: bool) {
    if ONE_CORE.load(Ordering::Relaxed) {
        std::thread::yield_now();
    } else if pause {
        std::hint::spin_loop();
    }
}

/// The end that sends.
pub(crate) trait Put {
    /// Sends the messages `from..from + n`, waiting for room.
    fn put(&mut self, from: u64, n: u64);
}

/// The end that receives.
pub(crate) trait Take {
    /// Receives `n` messages, waiting for them; returns the sum of a word of each.
    fn take(&mut self, n: u64) -> u64;
}

/// One message at a time.
pub(crate) struct Single<E> {
    end: E,
    pause: bool,
}

impl<E> Single<E> {
    /// Looks again at once.
    pub(crate) fn eager(end: E) -> Single<E> {
        Single { end, pause: false }
    }

    pub(crate) fn patient(end: E) -> Single<E> {
        Single { end, pause: true }
    }
}

/// Up to [`BATCH`] messages at a time.
pub(crate) struct Chunk<E>(pub(crate) E);

/// As [`Chunk`], but written in place.
pub(crate) struct InPlace<E>(pub(crate) E);

/// One message at a time, with the calls that wait by themselves.
pub(crate) struct Waiting<E>(pub(crate) E);

/// The least that can carry a message: one word on a cache line of its own.
pub(crate) struct Line {
    pub(crate) word: Arc<CachePadded<AtomicU64>>,
    pub(crate) seen: u64,
}

impl Put for Line {
    fn put(&mut self, from: u64, n: u64) {
        for i in from..from + n {
            self.word.store(i + 1, Ordering::Release);
        }
    }
}

impl Take for Line {
    /// Of one message only: a line holds no more.
    fn take(&mut self, _one: u64) -> u64 {
        loop {
            let word = self.word.load(Ordering::Acquire);
            if word != self.seen {
                self.seen = word;
                return word - 1;
            }
            again(false);
        }
    }
}

impl Put for Single<rtrb::Producer<Msg>> {
    fn put(&mut self, from: u64, n: u64) {
        for i in from..from + n {
            while self.end.push(Msg::new(i)).is_err() {
                again(self.pause);
            }
        }
    }
}

impl Take for Single<rtrb::Consumer<Msg>> {
    fn take(&mut self, n: u64) -> u64 {
        let (mut left, mut sum) = (n, 0u64);
        while left > 0 {
            match self.end.pop() {
                Ok(msg) => {
                    sum = sum.wrapping_add(msg.word[3]);
                    left -= 1;
                }
                Err(_) => again(self.pause),
            }
        }
        sum
    }
}

impl Put for Chunk<rtrb::Producer<Msg>> {
    fn put(&mut self, from: u64, n: u64) {
        let (mut at, end) = (from, from + n);
        while at < end {
            let size = BATCH.min((end - at) as usize);
            match self.0.write_chunk_uninit(size) {
                Ok(chunk) => at += chunk.fill_from_iter((at..end).map(Msg::new)) as u64,
                Err(_) => again(true),
            }
        }
    }
}

impl Take for Chunk<rtrb::Consumer<Msg>> {
    fn take(&mut self, n: u64) -> u64 {
        let (mut left, mut sum) = (n, 0u64);
        while left > 0 {
            let size = self.0.slots().min(BATCH).min(left as usize);
            match self.0.read_chunk(size) {
                Ok(chunk) if size > 0 => {
                    for msg in chunk {
                        sum = sum.wrapping_add(msg.word[3]);
                    }
                    left -= size as u64;
                }
                _ => again(true),
            }
        }
        sum
    }
}

impl Put for Single<Producer<Msg>> {
    fn put(&mut self, from: u64, n: u64) {
        for i in from..from + n {
            while self.end.try_send(&Msg::new(i)).is_err() {
                again(self.pause);
            }
        }
    }
}

impl Take for Single<Consumer<Msg>> {
    fn take(&mut self, n: u64) -> u64 {
        let (mut left, mut sum) = (n, 0u64);
        while left > 0 {
            match self.end.try_recv().expect("the queue is whole") {
                Some(msg) => {
                    sum = sum.wrapping_add(msg.word[3]);
                    msg.ack();
                    left -= 1;
                }
                None => again(self.pause),
            }
        }
        sum
    }
}

impl Put for Single<Producer> {
    fn put(&mut self, from: u64, n: u64) {
        for i in from..from + n {
            let msg = Msg::new(i);
            while self.end.try_send(slipring::zerocopy::IntoBytes::as_bytes(&msg)).is_err() {
                again(self.pause);
            }
        }
    }
}

impl Take for Single<Consumer> {
    fn take(&mut self, n: u64) -> u64 {
        let (mut left, mut sum) = (n, 0u64);
        while left > 0 {
            match self.end.try_recv().expect("the queue is whole") {
                Some(msg) => {
                    let (words, _) = msg.as_chunks::<8>();
                    sum = sum.wrapping_add(u64::from_le_bytes(words[3]));
                    msg.ack();
                    left -= 1;
                }
                None => again(self.pause),
            }
        }
        sum
    }
}

impl Put for Chunk<Producer<Msg>> {
    fn put(&mut self, from: u64, n: u64) {
        let (mut at, end) = (from, from + n);
        let mut chunk = [Msg::new(0); BATCH];
        while at < end {
            let size = BATCH.min((end - at) as usize);
            for (msg, i) in chunk.iter_mut().zip(at..end) {
                *msg = Msg::new(i);
            }
            let mut rest = chunk[..size].iter();
            while rest.len() > 0 {
                if self.0.try_send_batch(&mut rest).is_err() {
                    again(true);
                }
            }
            at += size as u64;
        }
    }
}

impl Put for InPlace<Producer<Msg>> {
    fn put(&mut self, from: u64, n: u64) {
        let (mut at, end) = (from, from + n);
        while at < end {
            let size = BATCH.min((end - at) as usize);
            let Ok(mut slots) = self.0.try_reserve(size) else {
                again(true);
                continue;
            };
            for k in 0..size {
                *slots.message_mut(k).expect("one of the slots") = Msg::new(at + k as u64);
            }
            slots.publish();
            at += size as u64;
        }
    }
}

impl Take for Chunk<Consumer<Msg>> {
    fn take(&mut self, n: u64) -> u64 {
        let (mut left, mut sum) = (n, 0u64);
        while left > 0 {
            let size = BATCH.min(left as usize);
            match self.0.try_batch(size).expect("the queue is whole") {
                Some(batch) => {
                    for msg in &batch {
                        sum = sum.wrapping_add(msg.word[3]);
                    }
                    left -= batch.len() as u64;
                    batch.ack();
                }
                None => again(true),
            }
        }
        sum
    }
}

impl Put for Waiting<Producer<Msg>> {
    fn put(&mut self, from: u64, n: u64) {
        for i in from..from + n {
            self.0.send(&Msg::new(i)).expect("the queue is whole");
        }
    }
}

impl Take for Waiting<Consumer<Msg>> {
    fn take(&mut self, n: u64) -> u64 {
        let mut sum = 0u64;
        for _ in 0..n {
            let msg = self.0.recv().expect("the queue is whole");
            sum = sum.wrapping_add(msg.word[3]);
            msg.ack();
        }
        sum
    }
}

//! What the tests share: queue names of their own, which are removed whatever happens; seeded random numbers; the words
//! of a segment's file; and processes that are killed whatever happens.

#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may")]

pub(crate) mod child;
pub(crate) mod fork;
pub(crate) mod limits;
pub(crate) mod words;

use std::sync::atomic::{AtomicUsize, Ordering};

use slipring::RecvError;

/// A queue name that no other test uses; the queue is removed when this is dropped, even by a panic.
pub(crate) struct TempName(String);

impl TempName {
    pub(crate) fn new(what: &str) -> TempName {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        TempName(format!("test-{what}-{}-{n}", std::process::id()))
    }

    /// Exactly this name.
    pub(crate) fn exactly(name: impl Into<String>) -> TempName {
        TempName(name.into())
    }

    /// A name of so many bytes.
    pub(crate) fn long(bytes: usize) -> TempName {
        let name = TempName::new("long");
        TempName(format!("{:x<bytes$}", &*name))
    }

    /// The file of the segment.
    pub(crate) fn path(&self) -> std::path::PathBuf {
        format!("/dev/shm/slipring.{}", self.0).into()
    }
}

impl std::ops::Deref for TempName {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl Drop for TempName {
    fn drop(&mut self) {
        let path = self.path();
        let _ = std::fs::remove_file(&path).or_else(|_| std::fs::remove_dir(&path));
    }
}

/// The result if there is one now; any other error fails the test.
pub(crate) fn there<T>(received: Result<T, RecvError>) -> Option<T> {
    match received {
        Err(RecvError::Empty) => None,
        received => Some(received.unwrap()),
    }
}

/// Random numbers from a seed that is printed, so that a failure can be repeated with SLIPRING_SEED.
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) fn new() -> Rng {
        let given = std::env::var("SLIPRING_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = given.unwrap_or_else(|| {
            let now = std::time::UNIX_EPOCH.elapsed().unwrap();
            now.as_nanos() as u64 ^ u64::from(std::process::id()) << 40
        });
        println!("SLIPRING_SEED={seed}");
        Rng(seed)
    }

    /// SplitMix64 (Steele, Lea, Flood 2014).
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
}

/// The bytes of a message, made from its number, which tells length, content and checksum.
pub(crate) fn message(number: u64, max: usize) -> Vec<u8> {
    let mut rng = Rng(number);
    let len = 8 + rng.below(max as u64 - 7) as usize;
    let mut bytes: Vec<u8> = (8..len).map(|_| rng.next() as u8).collect();
    bytes.extend_from_slice(&number.to_le_bytes());
    bytes
}

//! The demo's message.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use crate::failure::{Failure, io_failed};

const TEXT: usize = 80;
/// The most bytes of a file that are read, and the most lines that are sent.
const FILE_MAX: u64 = 64 << 20;
const LINES_MAX: usize = 1 << 16;

/// Kinds of messages: the phase that a message belongs to.
pub(crate) const FULL_SPEED: u32 = 1;
pub(crate) const PACED: u32 = 2;
pub(crate) const END: u32 = 3;

slipring::message! {
    /// A line of telemetry. With 112 bytes it fills a slot exactly.
    pub(crate) struct Record {
        /// Counted by the producer; equal to the sequence.
        pub(crate) number: u64,
        /// When it was due to be sent, in nanoseconds of the monotonic clock.
        pub(crate) due: u64,
        pub(crate) check: u64,
        pub(crate) source: u32,
        pub(crate) len: u32,
        pub(crate) text: [u8; 80],
    }
}

impl Record {
    pub(crate) fn new(number: u64, due: u64, source: usize, text: &[u8; TEXT]) -> Record {
        let mut record =
            Record { number, due, check: 0, source: source as u32, len: TEXT as u32, text: *text };
        record.check = record.sum();
        record
    }

    /// Whether the checksum is right.
    pub(crate) fn is_intact(&self) -> bool {
        self.check == self.sum()
    }

    fn sum(&self) -> u64 {
        let step =
            |sum: u64, word: u64| (sum ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
        let head = [self.number, self.due, u64::from(self.source) << 32 | u64::from(self.len)];
        let sum = head.into_iter().fold(1, step);
        let words = self.text.as_chunks::<8>().0;
        words.iter().map(|word| u64::from_le_bytes(*word)).fold(sum, step)
    }
}

/// The texts to send, over and over: the lines of a file, or made-up telemetry.
pub(crate) fn texts(path: Option<&Path>) -> Result<Vec<[u8; TEXT]>, Failure> {
    let Some(path) = path else {
        return Ok((0..1024u32).map(|i| fit(reading(i).as_bytes())).collect());
    };
    let failed = |fault| io_failed(&format!("read {}", path.display()), &fault);
    let file = File::open(path).map_err(failed)?;
    let mut file = BufReader::new(file.take(FILE_MAX));
    let (mut texts, mut line) = (Vec::new(), Vec::new());
    while texts.len() < LINES_MAX {
        line.clear();
        // The part of a line that is sent; the rest is skipped.
        let read = (&mut file).take(TEXT as u64).read_until(b'\n', &mut line).map_err(failed)?;
        if read == 0 {
            break;
        }
        if line.pop_if(|last| *last == b'\n').is_none() {
            file.skip_until(b'\n').map_err(failed)?;
        }
        texts.push(fit(&line));
    }
    if texts.is_empty() {
        return Err(Failure::failed(format!("{} has no lines to send", path.display())));
    }
    Ok(texts)
}

fn reading(i: u32) -> String {
    let celsius = 18.0 + f64::from(i * 37 % 80) / 10.0;
    let bar = 1.0 + f64::from(i * 11 % 50) / 100.0;
    format!("turbine={} temperature={celsius:.1} pressure={bar:.2} state=running", i % 16)
}

/// The first 80 bytes of a line, padded with zeros.
fn fit(line: &[u8]) -> [u8; TEXT] {
    let mut text = [0; TEXT];
    text.iter_mut().zip(line).for_each(|(to, from)| *to = *from);
    text
}

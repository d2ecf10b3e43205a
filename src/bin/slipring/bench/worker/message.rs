//! The benchmarks' message: its number, two times, and a pattern that depends on the number.

/// Words before the pattern.
const HEAD: usize = 3;
/// Kinds of messages: the consumer records the delay of a timed one.
pub(crate) const PLAIN: u32 = 0;
pub(crate) const TIMED: u32 = 1;

/// The start of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// Equal to the sequence.
    pub(crate) number: u64,
    /// When it was due to be sent, and when it was sent, in nanoseconds of the monotonic clock.
    pub(crate) due: u64,
    pub(crate) sent: u64,
}

/// A hash of the message's number. The sum over all messages shows whether the same ones were sent and received.
pub(crate) fn mark(number: u64) -> u64 {
    let mixed = (number ^ number >> 31).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed ^ mixed >> 29
}

/// Fills all of `bytes`, at least 24.
pub(crate) fn write(bytes: &mut [u8], head: Head) {
    let (words, rest) = bytes.as_chunks_mut::<8>();
    if let Some((first, pattern)) = words.split_first_chunk_mut::<HEAD>() {
        *first = [head.number, head.due, head.sent].map(u64::to_le_bytes);
        let mark = mark(head.number);
        for (i, word) in (0u64..).zip(pattern) {
            *word = mark.wrapping_add(i).to_le_bytes();
        }
    }
    rest.fill(head.number as u8);
}

/// The head of the message with this sequence; `None` if any byte is not as `write` made it.
pub(crate) fn read(bytes: &[u8], sequence: u64) -> Option<Head> {
    let (words, rest) = bytes.as_chunks::<8>();
    let (first, pattern) = words.split_first_chunk::<HEAD>()?;
    let [number, due, sent] = first.map(u64::from_le_bytes);
    let mark = mark(number);
    // A loop without an early exit compiles to SIMD instructions.
    let differences = (0u64..).zip(pattern).fold(number ^ sequence, |differences, (i, word)| {
        differences | (u64::from_le_bytes(*word) ^ mark.wrapping_add(i))
    });
    let whole = differences == 0 && rest.iter().all(|byte| *byte == number as u8);
    whole.then_some(Head { number, due, sent })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_wrong_byte_is_detected() {
        for len in [24, 27, 112] {
            let mut bytes = vec![0; len];
            let head = Head { number: 300, due: 7, sent: 8 };
            write(&mut bytes, head);
            assert_eq!(read(&bytes, 300), Some(head));
            assert_eq!(read(&bytes, 301), None);
            // The times have no check.
            for i in (0..8).chain(24..len) {
                bytes[i] ^= 1;
                assert_eq!(read(&bytes, 300), None, "byte {i} of {len}");
                bytes[i] ^= 1;
            }
        }
    }
}

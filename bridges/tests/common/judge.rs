//! Compares what came out with what went in.

use std::collections::HashSet;

/// Message `number`, of 64 bytes. None is part of another one.
pub(crate) fn message(number: u64) -> Vec<u8> {
    let mut text = format!("message {number:010} ").into_bytes();
    let fill = (number % 26) as u8 + b'a';
    text.resize(64, fill);
    text
}

/// The number of a message, if it is one to the last byte.
pub(crate) fn number(payload: &[u8]) -> Option<u64> {
    let digits = payload.get(8..18)?;
    let number = std::str::from_utf8(digits).ok()?.parse().ok()?;
    (message(number) == payload).then_some(number)
}

/// How the messages that came out differ from those that went in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// Sent, and not there.
    pub(crate) lost: u64,
    /// There, and not sent, or changed.
    pub(crate) unexpected: u64,
    /// Copies beyond the first one.
    pub(crate) duplicated: u64,
    /// First copies that are after the first copy of a later message.
    pub(crate) reordered: u64,
}

impl Verdict {
    /// All there, once, in order.
    pub(crate) const EXACT: Verdict =
        Verdict { lost: 0, unexpected: 0, duplicated: 0, reordered: 0 };
}

/// Compares with `sent` what came out, in the order in which it did; `None` is something that is no message of ours.
pub(crate) fn judge(
    sent: impl IntoIterator<Item = u64>,
    seen: impl IntoIterator<Item = Option<u64>>,
) -> Verdict {
    let sent: HashSet<u64> = sent.into_iter().collect();
    let mut first: HashSet<u64> = HashSet::new();
    let mut highest = 0;
    let mut verdict = Verdict::default();
    for number in seen {
        match number.filter(|number| sent.contains(number)) {
            None => verdict.unexpected += 1,
            Some(number) if !first.insert(number) => verdict.duplicated += 1,
            Some(number) if number < highest => verdict.reordered += 1,
            Some(number) => highest = number,
        }
    }
    verdict.lost = (sent.len() - first.len()) as u64;
    verdict
}

/// The judge sees each fault that it is there to see.
pub(crate) fn check_the_judge() {
    let seen = |numbers: &[u64]| judge(1..=5, numbers.iter().map(|number| Some(*number)));
    let but = Verdict::EXACT;
    assert_eq!(seen(&[1, 2, 3, 4, 5]), but);
    assert_eq!(seen(&[1, 2, 4, 5]), Verdict { lost: 1, ..but });
    assert_eq!(seen(&[1, 2, 3, 4, 5, 6]), Verdict { unexpected: 1, ..but });
    assert_eq!(seen(&[1, 2, 3, 2, 3, 4, 5]), Verdict { duplicated: 2, ..but });
    assert_eq!(seen(&[1, 3, 2, 4, 5]), Verdict { reordered: 1, ..but });
    assert_eq!(judge(1..=1, [Some(1), None]), Verdict { unexpected: 1, ..but });
    assert_eq!(number(&message(7)), Some(7));
    let mut changed = message(7);
    changed[63] = b'!';
    assert_eq!((number(&changed), number(b"short")), (None, None));
}

//! Where a message comes from: a stream, a position in it, and the position of the message before.

use slipring::StreamId;

/// Names of the headers.
pub(crate) mod header {
    pub(crate) const STREAM: &str = "slipring-stream";
    pub(crate) const LABEL: &str = "slipring-label";
    pub(crate) const POSITION: &str = "slipring-position";
    pub(crate) const PREVIOUS: &str = "slipring-previous";
    pub(crate) const TOMBSTONE: &str = "slipring-tombstone";
    pub(crate) const KIND: &str = "slipring-kind";
    pub(crate) const ATTEMPTS: &str = "slipring-attempts";
    pub(crate) const TIME: &str = "slipring-time-ns";
    /// Value of `PREVIOUS` for the first message of a group.
    pub(crate) const NONE: &str = "none";
}

/// What is known of the message before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Previous {
    /// There is none: this is the first.
    None,
    /// Its position.
    At(u64),
    /// Nothing: the message came again out of its order, as a dead letter does.
    Unknown,
}

/// Where a message comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) stream: StreamId,
    /// From 1 on: a message of a queue has its sequence + 1.
    pub(crate) position: u64,
    pub(crate) previous: Previous,
}

impl Identity {
    /// The one of message `sequence` of a group that began with message `began`.
    pub(crate) fn of(stream: StreamId, sequence: u64, began: u64) -> Identity {
        // A position is one higher than its sequence, so that of the message before is this sequence.
        let previous = if sequence == began { Previous::None } else { Previous::At(sequence) };
        Identity { stream, position: sequence.saturating_add(1), previous }
    }

    /// The same message, out of its order.
    pub(crate) fn out_of_order(self) -> Identity {
        Identity { previous: Previous::Unknown, ..self }
    }

    /// A key that no other message has.
    pub(crate) fn key(&self) -> String {
        format!("{}-{}", self.stream, self.position)
    }

    /// From the texts of headers; `None` if they say nothing that can be.
    pub(crate) fn from_headers(
        stream: &str,
        label: Option<&str>,
        position: u64,
        previous: Option<Previous>,
    ) -> Option<Identity> {
        let id = (stream.len() == 32).then(|| u128::from_str_radix(stream, 16).ok()).flatten()?;
        let previous = previous.unwrap_or(Previous::Unknown);
        let can_be = match previous {
            Previous::At(previous) => previous < position,
            Previous::None | Previous::Unknown => true,
        };
        (position > 0 && can_be).then(|| Identity {
            stream: StreamId::new(id).with_label(label.unwrap_or_default()),
            position,
            previous,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_begin_at_one_and_name_the_one_before() {
        let stream = StreamId::named("s");
        let first = Identity::of(stream, 0, 0);
        assert_eq!((first.position, first.previous), (1, Previous::None));
        let later = Identity::of(stream, 7, 5);
        assert_eq!((later.position, later.previous), (8, Previous::At(7)));
        assert_eq!(later.key(), format!("{stream}-8"));
    }

    #[test]
    fn headers_that_cannot_be_are_no_identity() {
        let id = format!("{}", StreamId::named("s"));
        let read = |stream: &str, position, previous| {
            Identity::from_headers(stream, Some("l"), position, previous)
        };
        assert_eq!(read(&id, 1, Some(Previous::None)).unwrap().stream, StreamId::named("s"));
        assert_eq!(read(&id, 1, None).unwrap().previous, Previous::Unknown);
        assert_eq!(read(&id, 0, None), None);
        assert_eq!(read(&id, 3, Some(Previous::At(3))), None);
        assert_eq!(read("short", 3, None), None);
        assert_eq!(read(&"x".repeat(32), 3, None), None);
    }
}

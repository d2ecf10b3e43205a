//! How far a stream has come.

/// What a producer handle knows of a stream.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Progress {
    /// Position of the last message that was there when it took the role.
    pub(crate) found: u64,
    /// Position of the last message that it has sent itself, or passed; 0 before the first.
    pub(crate) sent: u64,
}

impl Progress {
    /// Position of the last message of all.
    #[inline]
    pub(crate) fn last(self) -> u64 {
        self.found.max(self.sent)
    }

    /// Whether the message at `position` is to be sent: `Some(false)` if it is there already, `None` if this handle has
    /// sent it, or a later one, itself.
    #[inline]
    pub(crate) fn is_new(self, position: u64) -> Option<bool> {
        match position {
            0 => None,
            position if position > self.last() => Some(true),
            position if position <= self.found => Some(false),
            _ => None,
        }
    }
}

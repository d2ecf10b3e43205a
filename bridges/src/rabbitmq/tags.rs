//! Delivery tags of a channel: which are to be acked one by one, and which at once.

use std::collections::VecDeque;

use crate::source::Settled;

/// A frame for the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// Ack this tag and all before it.
    AckThrough(u64),
    Ack(u64),
    Reject(u64),
}

/// Deliveries that the broker waits for, in their order. An ack of several never crosses one that is kept.
#[derive(Debug, Default)]
pub(super) struct Tags {
    /// With what became of them.
    open: VecDeque<(u64, Option<Settled>)>,
}

impl Tags {
    pub(super) fn came(&mut self, tag: u64) {
        self.open.push_back((tag, None));
    }

    /// Takes what became of deliveries, and gives what to tell the broker.
    pub(super) fn settle(&mut self, settled: &[(u64, Settled)]) -> Vec<Reply> {
        let mut replies = Vec::new();
        for (tag, what) in settled {
            if let Ok(index) = self.open.binary_search_by_key(tag, |(tag, _)| *tag)
                && let Some((_, of)) = self.open.get_mut(index)
            {
                *of = Some(*what);
            }
        }
        // Up to the first that is kept, in runs.
        let mut run = None;
        while let Some((tag, Some(what))) = self.open.front().copied() {
            self.open.pop_front();
            match what {
                Settled::Done => run = Some(tag),
                Settled::Rejected => {
                    replies.extend(run.take().map(Reply::AckThrough));
                    replies.push(Reply::Reject(tag));
                }
            }
        }
        replies.extend(run.map(Reply::AckThrough));
        // After it, each alone.
        self.open.retain(|(tag, of)| {
            match of {
                Some(Settled::Done) => replies.push(Reply::Ack(*tag)),
                Some(Settled::Rejected) => replies.push(Reply::Reject(*tag)),
                None => return true,
            }
            false
        });
        replies
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(count: u64) -> Tags {
        let mut tags = Tags::default();
        (1..=count).for_each(|tag| tags.came(tag));
        tags
    }

    #[test]
    fn a_run_is_acked_at_once_and_never_across_one_that_is_kept() {
        let mut tags = tags(6);
        let done = |list: &[u64]| list.iter().map(|tag| (*tag, Settled::Done)).collect::<Vec<_>>();
        assert_eq!(
            tags.settle(&done(&[1, 2, 4, 6])),
            [Reply::AckThrough(2), Reply::Ack(4), Reply::Ack(6)]
        );
        assert_eq!(tags.open.len(), 2);
        assert_eq!(tags.settle(&done(&[5])), [Reply::Ack(5)]);
        assert_eq!(tags.settle(&done(&[3])), [Reply::AckThrough(3)]);
        assert_eq!(tags.open.len(), 0);
    }

    #[test]
    fn what_is_rejected_is_rejected_alone() {
        let mut tags = tags(5);
        let settled = [
            (1, Settled::Done),
            (2, Settled::Rejected),
            (3, Settled::Done),
            (5, Settled::Rejected),
            (99, Settled::Done),
        ];
        assert_eq!(
            tags.settle(&settled),
            [Reply::AckThrough(1), Reply::Reject(2), Reply::AckThrough(3), Reply::Reject(5)]
        );
        assert_eq!(tags.open.len(), 1);
    }
}

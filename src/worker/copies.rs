//! A worker's copies of messages. Their memory is used again, once their jobs are gone: to allocate it for each message costs
//! more than all else of a receive.

use std::borrow::BorrowMut;
use std::collections::VecDeque;
use std::sync::Arc;

use super::flight::Flight;
use crate::info::MessageInfo;
use crate::message::Content;
use crate::ring::cells::InHand;
use crate::source::Source;

/// Most copies whose memory is kept for later ones.
const KEPT_MAX: usize = 256;
/// How many it looks at for one whose job is done, the oldest first: one job may take long.
const TRIES: u32 = 2;
/// Payload bytes of these, if their messages are as long as the queue allows.
const KEPT_BYTES: usize = 1 << 20;

/// A message as its job has it.
pub(super) struct Copied<M: Content + ?Sized> {
    pub(super) flight: Arc<Flight>,
    pub(super) info: MessageInfo,
    pub(super) source: Option<Source>,
    pub(super) delayed: bool,
    pub(super) cell: u32,
    /// Its number among the messages that its worker has received into the cell.
    pub(super) number: u32,
    pub(super) content: M::Kept,
}

/// Copies that were handed out to jobs, the oldest first.
pub(super) struct Copies<M: Content + ?Sized> {
    copies: VecDeque<Arc<Copied<M>>>,
    max: usize,
}

impl<M: Content + ?Sized> Copies<M> {
    /// Of messages of up to `payload_size` bytes.
    pub(super) fn new(payload_size: usize) -> Copies<M> {
        let max = (KEPT_BYTES / payload_size.max(1)).min(KEPT_MAX);
        Copies { copies: VecDeque::new(), max }
    }

    /// Copies a message for its job.
    #[inline]
    pub(super) fn copy(&mut self, flight: &Arc<Flight>, message: &InHand<&[u8]>) -> Arc<Copied<M>> {
        for _ in 0..TRIES {
            let Some(mut copied) = self.copies.pop_front() else { break };
            let Some(room) = Arc::get_mut(&mut copied) else {
                self.copies.push_back(copied);
                continue;
            };
            room.fill(message);
            self.copies.push_back(Arc::clone(&copied));
            return copied;
        }
        let copied = Copied::of(flight, message);
        if self.copies.len() < self.max {
            self.copies.push_back(Arc::clone(&copied));
        }
        copied
    }

    /// Frees the memory of those whose jobs are gone.
    pub(super) fn clear(&mut self) {
        self.copies.clear();
    }

    /// How many have no job.
    pub(super) fn unused(&self) -> usize {
        self.copies.iter().filter(|copied| Arc::strong_count(copied) == 1).count()
    }
}

impl<M: Content + ?Sized> Copied<M> {
    #[cold]
    fn of(flight: &Arc<Flight>, message: &InHand<&[u8]>) -> Arc<Copied<M>> {
        let mut copied = Copied {
            flight: Arc::clone(flight),
            info: MessageInfo::new(0, 0, 0),
            source: None,
            delayed: false,
            cell: 0,
            number: 0,
            content: M::kept(),
        };
        copied.fill(message);
        Arc::new(copied)
    }

    fn fill(&mut self, message: &InHand<&[u8]>) {
        let &InHand { seq, kind, attempts, origin, requeued, delayed, token, payload } = message;
        self.info = MessageInfo::new(seq, kind, attempts).with(kind, requeued);
        self.source = origin.map(Source::from);
        self.delayed = delayed;
        self.cell = token.cell;
        self.number = self.flight.receipts().count(token.cell);
        M::copy(self.content.borrow_mut(), payload.len(), |to| {
            let len = to.len().min(payload.len());
            to[..len].copy_from_slice(&payload[..len]);
        });
    }
}

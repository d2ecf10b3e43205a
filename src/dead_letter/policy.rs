//! When a consumer makes a message a dead letter, and where the letter goes.

use std::fmt;
use std::sync::Arc;

use super::letter::{DeadLetter, DeadLetterSink, default_target};
use crate::error::{DeadLetterError, DeadLetterSendError};

/// Most dead letters that one look for messages makes of those that have had their last attempt: between two looks a receive
/// asks its deadline and its interrupt function.
pub(crate) const LETTERS_PER_LOOK: u32 = 64;

/// A consumer's copy of the rule that its group keeps in the queue.
#[derive(Debug)]
pub(crate) struct DeadLetterPolicy {
    /// Deliveries that a message may have; one more makes it a dead letter.
    pub(crate) limit: u32,
    pub(crate) queue: Arc<str>,
    pub(crate) group: String,
    target: String,
    sink: Box<dyn DeadLetterSink>,
    notice: Notice,
}

impl DeadLetterPolicy {
    pub(crate) fn new(
        queue: &Arc<str>,
        group: &str,
        max_attempts: Option<u8>,
        target: Option<&str>,
        sink: Box<dyn DeadLetterSink>,
    ) -> DeadLetterPolicy {
        let limit = max_attempts.map_or(u32::MAX, u32::from);
        let target = target.map_or_else(|| default_target(queue), str::to_owned);
        let (queue, group, notice) = (queue.clone(), group.to_owned(), Notice(None));
        DeadLetterPolicy { limit, queue, group, target, sink, notice }
    }

    /// Replaces the dead-letter queue by the program's own handler.
    pub(crate) fn set_handler(&mut self, handler: Box<Handler>) {
        self.sink = Box::new(HandlerSink { handler });
    }

    /// Sets the program's function that is told of each letter.
    pub(crate) fn set_notice(&mut self, notice: Box<Tell>) {
        self.notice = Notice(Some(notice));
    }

    /// Must succeed before the message is acked.
    #[cold]
    pub(crate) fn send_letter(
        &mut self,
        letter: &DeadLetter<'_>,
    ) -> Result<(), Box<DeadLetterError>> {
        self.sink.send_letter(&self.target, letter).map_err(|reason| {
            let (queue, sequence) = (self.queue.clone(), letter.sequence);
            Box::new(DeadLetterError { queue, sequence, target: self.target.clone(), reason })
        })?;
        // Before the ack, which frees the payload.
        if let Notice(Some(tell)) = &mut self.notice {
            tell(letter);
        }
        Ok(())
    }
}

/// The program's own handler for dead letters.
pub(crate) type Handler =
    dyn FnMut(&DeadLetter<'_>) -> Result<(), Box<dyn std::error::Error + Send + Sync>> + Send;

/// The program's function that is told of dead letters.
pub(crate) type Tell = dyn FnMut(&DeadLetter<'_>) + Send;

struct Notice(Option<Box<Tell>>);

impl fmt::Debug for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Notice({})", self.0.is_some())
    }
}

struct HandlerSink {
    handler: Box<Handler>,
}

impl DeadLetterSink for HandlerSink {
    fn send_letter(
        &mut self,
        _target: &str,
        letter: &DeadLetter<'_>,
    ) -> Result<(), DeadLetterSendError> {
        (self.handler)(letter).map_err(DeadLetterSendError::Refused)
    }
}

impl fmt::Debug for HandlerSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HandlerSink")
    }
}

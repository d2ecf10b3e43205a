//! What a sender finds in the queue of its own input, and passes over.

use slipring::{Producer, Queue, RecvError, Start, StreamId};

use crate::failure::Failure;
use crate::input::Input;
use crate::stop::Stop;

/// So many messages are passed over at once.
const AT_ONCE: u64 = 4096;

/// What a queue has of an input.
#[derive(Debug)]
pub(crate) struct SentBefore {
    queue: String,
    stream: StreamId,
    /// Number of its last message; 0 if it has none.
    last: u64,
    /// That message, if it is in the ring.
    message: Option<Vec<u8>>,
}

impl SentBefore {
    /// Also enters the stream into the queue's table.
    pub(crate) fn look_up(
        queue: &Queue,
        producer: &mut Producer,
        stream: StreamId,
    ) -> Result<SentBefore, Failure> {
        let last = producer.stream(stream)?.last_position().unwrap_or(0);
        let message = match last {
            0 => None,
            last => find(queue, producer.sequence(), stream, last)?,
        };
        Ok(SentBefore { queue: queue.name().to_owned(), stream, last, message })
    }

    /// Passes over the messages of the input that were sent before, `most` of them at most; returns how many. `unit` is
    /// what a message is in the input. Fails if the input is not the one that was sent before.
    pub(crate) fn pass_over(
        &self,
        input: &mut Input,
        most: u64,
        unit: &str,
        stop: &Stop,
        idle: &mut impl FnMut() -> Result<(), Failure>,
    ) -> Result<u64, Failure> {
        let (last, mut passed) = (self.last, 0);
        while passed < last.min(most) {
            input.gather((last.min(most) - passed).min(AT_ONCE) as usize, stop, idle)?;
            passed += input.messages().len() as u64;
            let differs = self.message.as_deref().is_some_and(|sent| {
                passed == last && input.messages().last().is_some_and(|found| found != sent)
            });
            let nothing = input.messages().len() == 0;
            input.done();
            if differs {
                let text = format!("{unit} {last} is not message {last} of {}", self.place());
                return Err(self.another(text));
            }
            if let Some(fault) = input.fault() {
                return Err(fault);
            }
            if nothing {
                let text = format!(
                    "the input ends after {unit} {passed}, and {} has {last} of them",
                    self.place()
                );
                return Err(self.another(text));
            }
        }
        Ok(passed)
    }

    fn place(&self) -> String {
        format!("source {:?} in queue {:?}", self.stream.label(), self.queue)
    }

    fn another(&self, text: String) -> Failure {
        Failure::failed(format!("{text}: this is another input, or a part of it")).hint(
            "start again with the input from its first line on, or give another input another name",
        )
    }
}

/// The message at a position of a stream, if it is in the ring: `tail` is one past the ring's last message. Only the
/// producer may ask: nothing is sent meanwhile.
fn find(
    queue: &Queue,
    tail: u64,
    stream: StreamId,
    position: u64,
) -> Result<Option<Vec<u8>>, Failure> {
    let mut observer = queue.observer(Start::Oldest)?;
    // Usually it is the very last one.
    for sequence in (observer.position()..tail).rev() {
        observer.seek(sequence);
        let message = match observer.try_recv() {
            Ok(message) if message.sequence() == sequence => message,
            Ok(_) | Err(RecvError::Empty | RecvError::Closed { .. }) => return Ok(None),
            Err(fault) => return Err(fault.into()),
        };
        let source = message.source();
        if source.is_some_and(|source| source.stream() == stream && source.position() == position) {
            return Ok(Some(message.to_vec()));
        }
    }
    Ok(None)
}

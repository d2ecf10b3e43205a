//! From queue to queue, each message once.

use std::fmt;

use crate::batch::{Batch, Delivery};
use crate::consumer::Consumer;
use crate::error::{NewStageError, StageError};
use crate::message::{Content, Outgoing};
use crate::producer::Producer;
use crate::queue::Queue;
use crate::source::StreamId;

/// Most messages that a stage takes at once.
const RUN: usize = 32;
/// Most outputs of one message.
const OUTPUTS_MAX: usize = 256;
/// Index of the last output of a message: its position says that the message is complete.
const LAST: u64 = 255;
/// Once the outputs have this many bytes, they are published before more messages are mapped.
const BYTES_MAX: usize = 1 << 20;

/// Reads the messages of a group of one queue (A), maps each to messages of another queue (B), and sends those: each
/// once, whatever process is killed at whatever moment, and however often. It acks a message of A after its outputs are
/// in B, and each output says which message it comes from, so a stage that is started again skips what is there
/// already. B needs [sources](crate::Builder::sources).
///
/// The group of A must be exclusive, and have no limit of attempts; then the order of A is kept, and no message becomes
/// a dead letter unseen by the stage. Dead letters of the group that were sent again are messages of a queue of their
/// own: their outputs are another stream of B, and come in the order in which the letters were sent again. The map
/// itself may run again for a message after a kill: what it does outside of B happens at least once. If a message has
/// several outputs, the map must give the same again.
///
/// The outputs' stream is [`Queue::group_stream`]: a group that is removed and made again is the same stream, another
/// group is another one, and so is the group of a queue that was removed and created again.
///
/// ```
/// # let (a, b) = (format!("doc-stage-a-{}", std::process::id()), format!("doc-stage-b-{}", std::process::id()));
/// use slipring::{Queue, Stage};
///
/// let from = Queue::builder(&a).group("upper").create()?;
/// let to = Queue::builder(&b).sources(4).group("work").create()?;
/// from.producer()?.send_batch(["one", "two"])?;
/// from.producer()?.close()?;
///
/// let mut stage = Stage::new(from.consumer("upper")?, to.producer()?)?;
/// stage.run(|message, outputs| {
///     outputs.push(&message.to_ascii_uppercase());
///     Ok::<(), std::convert::Infallible>(())
/// })?;
/// # drop(stage);
/// let mut consumer = to.consumer("work")?;
/// assert_eq!(&*consumer.recv()?, b"ONE");
/// # drop(consumer);
/// # slipring::force_remove(&a)?; slipring::force_remove(&b)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Stage<A: Content + ?Sized = [u8], B: Content + ?Sized = [u8]> {
    consumer: Consumer<A>,
    producer: Producer<B>,
    /// Of A.
    instance: [u64; 2],
    stream: StreamId,
    batch: usize,
    outputs: Outputs<B>,
}

/// What became of the messages that a stage took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Staged {
    /// Messages that were mapped, and acked.
    pub mapped: u64,
    /// Messages that were only acked: all their outputs were there already.
    pub already_there: u64,
    /// Outputs that were published.
    pub published: u64,
}

impl Staged {
    fn add(&mut self, other: Staged) {
        self.mapped += other.mapped;
        self.already_there += other.already_there;
        self.published += other.published;
    }
}

/// What a map gives for its message: see [`Stage::process`].
pub struct Outputs<B: Content + ?Sized = [u8]> {
    /// Kind and content, with their positions once their message is mapped.
    list: Vec<(u64, u32, B::Owned)>,
    /// Where those of the present message begin.
    first: usize,
    bytes: usize,
}

impl<B: Content + ?Sized> Outputs<B> {
    /// Copies a message for B, alone or with its kind. They are sent in this order.
    pub fn push<'m>(&mut self, message: impl Into<Outgoing<'m, B>>)
    where
        B: 'm,
    {
        let Outgoing { kind, content } = message.into();
        let bytes = content.to_payload();
        let mut owned = B::room();
        B::copy(&mut owned, bytes.len(), |to| to.copy_from_slice(bytes));
        self.bytes += bytes.len();
        self.list.push((0, kind, owned));
    }

    /// Outputs of the present message so far.
    pub fn len(&self) -> usize {
        self.list.len() - self.first
    }

    /// Whether the present message has none so far.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn clear(&mut self) {
        self.list.clear();
        (self.first, self.bytes) = (0, 0);
    }

    /// Takes back those of the present message.
    fn take_back(&mut self) {
        self.list.truncate(self.first);
    }

    /// Gives those of the present message their positions, and drops those up to `last`, which are in B already.
    fn settle(&mut self, base: u64, last: u64) {
        let outputs = self.list[self.first..].iter_mut();
        let end = outputs.len().saturating_sub(1) as u64;
        for (index, (position, ..)) in (0..).zip(outputs) {
            *position = base | if index == end { LAST } else { index };
        }
        let known = self.list[self.first..].iter().take_while(|(position, ..)| *position <= last);
        let known = known.count();
        self.list.drain(self.first..self.first + known);
        self.first = self.list.len();
    }
}

impl<B: Content + ?Sized> fmt::Debug for Outputs<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outputs").field("len", &self.len()).finish_non_exhaustive()
    }
}

/// Positions of the outputs of message `sequence` of a ring, less their indexes.
fn base(sequence: u64) -> u64 {
    // Wrapping: any process may have garbled the group's position.
    sequence.wrapping_add(1) << 8
}

impl<M: Content + ?Sized> Queue<M> {
    /// The stream of what a [`Stage`] makes of the messages of a group: a hash of this queue, as it was created, and
    /// the group's name. Its label is `QUEUE/GROUP`, or as much of that as fits.
    pub fn group_stream(&self, group: &str) -> StreamId {
        StreamId::of_group(self.mapped.config.instance, self.name(), group)
    }
}

impl<A: Content + ?Sized, B: Content + ?Sized> Stage<A, B> {
    /// Makes a stage of the consumer of a group of A and the producer of B. How they wait, and what interrupts their
    /// waits, stays as it was set.
    ///
    /// # Errors
    /// [`NewStageError`] says what the group must not be, and whether B can take a stream.
    pub fn new(
        consumer: Consumer<A>,
        mut producer: Producer<B>,
    ) -> Result<Stage<A, B>, NewStageError> {
        let (queue, group) = (consumer.queue(), consumer.group_name().to_owned());
        if consumer.is_shared() {
            return Err(NewStageError::Shared { queue, group });
        }
        if let Some(max_attempts) = consumer.max_attempts() {
            return Err(NewStageError::MaxAttempts { queue, group, max_attempts });
        }
        if consumer.instance() == producer.instance() {
            return Err(NewStageError::SameQueue { queue });
        }
        let instance = consumer.instance();
        let stream = StreamId::of_group(instance, &queue, &group);
        producer.stream(stream)?;
        let outputs = Outputs { list: Vec::new(), first: 0, bytes: 0 };
        Ok(Stage { consumer, producer, instance, stream, batch: RUN, outputs })
    }

    /// The stream of its outputs, without those of letters that were sent again.
    pub fn stream(&self) -> StreamId {
        self.stream
    }

    /// The producer of B: to set how it waits, or to ask for free slots. What it sends by itself has no source.
    pub fn producer(&mut self) -> &mut Producer<B> {
        &mut self.producer
    }

    /// The consumer of A: to set how it waits, or to ask for its depth. What it receives and acks by itself never gets
    /// to B.
    pub fn consumer(&mut self) -> &mut Consumer<A> {
        &mut self.consumer
    }

    /// Gives the handles back: to close B, for example.
    pub fn into_parts(self) -> (Consumer<A>, Producer<B>) {
        (self.consumer, self.producer)
    }

    /// Sets how many messages it takes at once, 1 to 32 (the default); numbers outside of that mean the next one
    /// inside. The outputs of all of them are published after the last one is mapped, so a slow map wants a low number.
    pub fn set_batch(&mut self, messages: usize) {
        self.batch = messages.clamp(1, RUN);
    }

    /// Takes the next messages of A, waiting for the first as long as it takes; maps each, publishes the outputs,
    /// waiting for room as long as it takes, and acks the messages. It does not map a message whose outputs are all in
    /// B.
    ///
    /// The map is given the message, and the outputs to [push](Outputs::push) to: none, or up to 256.
    ///
    /// # Errors
    /// [`StageError`]. If the map fails, the messages before are published and acked; its message and those after stay,
    /// and the next call maps them again.
    pub fn process<E>(
        &mut self,
        map: impl FnMut(&Delivery<'_, A>, &mut Outputs<B>) -> Result<(), E>,
    ) -> Result<Staged, StageError>
    where
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let batch = self.consumer.recv_batch(self.batch)?;
        let stream = stream_of(&batch, self.instance, self.stream)?;
        Work { producer: &mut self.producer, stream }.process(batch, &mut self.outputs, map)
    }

    /// The same, waiting for the first message at most `timeout`, but for room as long as it takes.
    ///
    /// # Errors
    /// As for [`Stage::process`]; [`RecvError::Timeout`](crate::RecvError::Timeout) in a [`StageError`].
    pub fn process_timeout<E>(
        &mut self,
        timeout: std::time::Duration,
        map: impl FnMut(&Delivery<'_, A>, &mut Outputs<B>) -> Result<(), E>,
    ) -> Result<Staged, StageError>
    where
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let batch = self.consumer.recv_batch_timeout(self.batch, timeout)?;
        let stream = stream_of(&batch, self.instance, self.stream)?;
        Work { producer: &mut self.producer, stream }.process(batch, &mut self.outputs, map)
    }

    /// Processes until A is closed and all its messages are acked. B stays open.
    ///
    /// # Errors
    /// As for [`Stage::process`].
    pub fn run<E>(
        &mut self,
        mut map: impl FnMut(&Delivery<'_, A>, &mut Outputs<B>) -> Result<(), E>,
    ) -> Result<Staged, StageError>
    where
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let mut total = Staged::default();
        loop {
            match self.process(&mut map) {
                Ok(staged) => total.add(staged),
                Err(StageError::Recv(crate::error::RecvError::Closed { .. })) => return Ok(total),
                Err(fault) => return Err(fault),
            }
        }
    }
}

/// The stream of a batch's outputs: `stream` for messages of the queue `instance`. Letters that were sent again are in
/// a queue of their own, with its sequences; under their first ones they would be taken for known, and lost.
fn stream_of<A: Content + ?Sized>(
    batch: &Batch<'_, A>,
    instance: [u64; 2],
    stream: StreamId,
) -> Result<StreamId, StageError> {
    if batch.instance() == instance {
        return Ok(stream);
    }
    batch.group_stream().ok_or_else(|| {
        let (queue, group) = batch.of();
        StageError::Requeued { queue, group }
    })
}

/// The side of B.
struct Work<'s, B: Content + ?Sized> {
    producer: &'s mut Producer<B>,
    stream: StreamId,
}

impl<B: Content + ?Sized> Work<'_, B> {
    fn process<A: Content + ?Sized, E>(
        mut self,
        mut batch: Batch<'_, A>,
        outputs: &mut Outputs<B>,
        mut map: impl FnMut(&Delivery<'_, A>, &mut Outputs<B>) -> Result<(), E>,
    ) -> Result<Staged, StageError>
    where
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        // A call before may have failed, or its map panicked.
        outputs.clear();
        let mut staged = Staged::default();
        let last = self.producer.stream(self.stream)?.last_position().unwrap_or(0);
        let (mut failed, mut through) = (None, None);
        for (place, message) in batch.placed() {
            let base = base(place);
            if last >= base | LAST {
                staged.already_there += 1;
            } else {
                if let Err(fault) = self.map_one(&batch, &message, base, last, outputs, &mut map) {
                    outputs.take_back();
                    failed = Some(fault);
                    break;
                }
                staged.mapped += 1;
            }
            through = Some(message.sequence());
            if outputs.bytes >= BYTES_MAX {
                staged.published += self.publish(outputs)?;
            }
        }
        // If that fails, nothing is acked: what is published is known by its position.
        staged.published += self.publish(outputs)?;
        if let Some(through) = through {
            // Outputs in a queue without a name are lost: the next queue of that name gets them.
            self.producer.check_removed()?;
            batch.ack_through(through)?;
        }
        failed.map_or(Ok(staged), Err)
    }

    fn map_one<A: Content + ?Sized, E>(
        &self,
        batch: &Batch<'_, A>,
        message: &Delivery<'_, A>,
        base: u64,
        last: u64,
        outputs: &mut Outputs<B>,
        map: &mut impl FnMut(&Delivery<'_, A>, &mut Outputs<B>) -> Result<(), E>,
    ) -> Result<(), StageError>
    where
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let sequence = message.sequence();
        if let Err(reason) = map(message, outputs) {
            let ((queue, group), reason) = (batch.of(), reason.into());
            return Err(StageError::Map { queue, group, sequence, reason });
        }
        let count = outputs.len();
        // Outputs up to `last` are there, none of which was the last one.
        let there = if last >= base { (last - base + 1) as usize } else { 0 };
        if there > 0 && count <= there {
            let (queue, group) = batch.of();
            return Err(StageError::FewerOutputs { queue, group, sequence, count, there });
        }
        if count > OUTPUTS_MAX {
            let (queue, group) = batch.of();
            return Err(StageError::TooManyOutputs { queue, group, sequence, count });
        }
        outputs.settle(base, last);
        Ok(())
    }

    /// Publishes the outputs that are complete.
    fn publish(&mut self, outputs: &mut Outputs<B>) -> Result<u64, StageError> {
        if outputs.list.is_empty() {
            return Ok(0);
        }
        let list = outputs.list.iter();
        let messages = list.map(|(position, kind, owned)| {
            (*position, Outgoing { kind: *kind, content: B::from_owned(owned) })
        });
        let sent = self.producer.stream(self.stream)?.send_batch(messages)?;
        outputs.clear();
        Ok(sent.published as u64)
    }
}

impl<A: Content + ?Sized, B: Content + ?Sized> fmt::Debug for Stage<A, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stage")
            .field("consumer", &self.consumer)
            .field("producer", &self.producer)
            .field("stream", &self.stream)
            .finish_non_exhaustive()
    }
}

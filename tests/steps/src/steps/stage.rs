//! What the processes of a run do with a queue, and the notes that they make of it in the book.

use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use slipring::{
    AckError, Batch, Builder, Consumer, Group, OpenOptions, Producer, Queue, RecvError, SendError,
    Sent, Source, Start, StreamId, StreamSendError,
};

use super::book::{Account, Book, check, message, note, noted};
use super::party::Outcome;

/// A call that takes longer counts as blocked.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
pub(crate) const CAPACITY: u64 = 8;
pub(crate) const PAYLOAD: usize = 40;

pub(crate) fn text(fault: impl std::fmt::Display) -> String {
    fault.to_string()
}

/// A run's queue and book.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stage {
    pub(crate) queue: &'static str,
    pub(crate) book: &'static Book,
}

/// The position of message `seq` in its stream.
pub(crate) fn position_of(seq: u64) -> u64 {
    10 * (seq + 1)
}

/// The groups as operations join them.
pub(crate) fn group(name: &str) -> Group {
    match name {
        "work" => Group::named(name).shared().unlimited_attempts(),
        "temp" => Group::named(name).retention(slipring::Retention::Release),
        name => Group::named(name),
    }
}

impl Stage {
    /// Makes the queue, with groups `store` and, if `work` is given, that.
    pub(crate) fn make(&self, work: Option<Group>) -> Result<Queue, String> {
        let builder = self.builder();
        work.into_iter().fold(builder, |builder, work| builder.group(work)).create().map_err(text)
    }

    pub(crate) fn builder(&self) -> Builder<[u8]> {
        let builder = Queue::builder(self.queue).capacity(CAPACITY).payload_size(PAYLOAD);
        builder.max_groups(3).max_consumers(6).group("store")
    }

    /// The queue with both groups, after `sent` messages of which each group has acked the first `acked`.
    pub(crate) fn make_used(&self, sent: u64, acked: u64) -> Outcome {
        self.make_used_by(group("work"), sent, [acked, acked])
    }

    /// The same with `work` as the group of that name; `acked`: of `store`, and of `work`.
    pub(crate) fn make_used_by(&self, work: Group, sent: u64, acked: [u64; 2]) -> Outcome {
        let queue = self.make(Some(work.clone()))?;
        self.use_queue(&queue, work, sent, acked, |_| None)
    }

    /// Sends `sent` messages of the streams that `of` says, and acks as many as `acked`: of `store`, and of `work`.
    pub(crate) fn use_queue(
        &self,
        queue: &Queue,
        work: Group,
        sent: u64,
        acked: [u64; 2],
        of: fn(u64) -> Option<&'static str>,
    ) -> Outcome {
        let mut producer = queue.producer().map_err(text)?;
        let mut store = queue.consumer("store").map_err(text)?;
        let mut work = queue.consumer(work).map_err(text)?;
        for seq in 0..sent {
            match of(seq) {
                Some(stream) => self.send_from(&mut producer, stream, 1)?,
                None => self.send(&mut producer, 1)?,
            }
            if seq < acked[0] {
                self.ack_one(&mut store, "store")?;
            }
            if seq < acked[1] {
                self.ack_one(&mut work, "work")?;
            }
        }
        Ok(())
    }

    pub(crate) fn open(&self) -> Result<Queue, String> {
        OpenOptions::new().control_timeout(PATIENCE).open(self.queue).map_err(text)
    }

    pub(crate) fn account(&self, group: &str) -> &'static Account {
        self.book.of(group)
    }

    /// Notes in the book that messages up to `to` are being sent, sends them, and notes that they are sent.
    pub(crate) fn sending<T>(&self, to: u64, send: impl FnOnce() -> T) -> T {
        self.book.sending.store(to, SeqCst);
        let sent = send();
        self.book.sent.store(to, SeqCst);
        sent
    }

    /// Sends `count` messages. There must be room for them.
    pub(crate) fn send(&self, producer: &mut Producer, count: u64) -> Outcome {
        for _ in 0..count {
            let (kind, bytes) = message(producer.sequence());
            self.book.note_source(producer.sequence(), None);
            self.sending(producer.sequence() + 1, || producer.try_send((kind, &bytes[..])))
                .map_err(text)?;
        }
        Ok(())
    }

    /// Sends `count` messages of a stream. There must be room for them.
    pub(crate) fn send_from(&self, producer: &mut Producer, name: &str, count: u64) -> Outcome {
        for _ in 0..count {
            let seq = producer.sequence();
            let ((kind, bytes), position) = (message(seq), position_of(seq));
            self.book.note_source(seq, Some((name, position)));
            let mut stream = producer.stream(name).map_err(text)?;
            let sent = self.sending(seq + 1, || stream.try_send(position, (kind, &bytes[..])));
            if sent.map_err(text)? != Sent::Published(seq) {
                return Err(format!("position {position} of {name} was not sent"));
            }
        }
        Ok(())
    }

    /// Checks where message `seq` comes from.
    pub(crate) fn check_source(&self, seq: u64, source: Option<Source>) -> Outcome {
        let known = self.book.source(seq);
        let is_known = |source: Source| {
            known.is_some_and(|(name, position)| {
                source.stream() == StreamId::named(name) && source.position() == position
            })
        };
        if source.map_or(known.is_none(), is_known) {
            return Ok(());
        }
        Err(format!("message {seq} says to come from {source:?}, and it was sent from {known:?}"))
    }

    /// Sends until the queue is full, or `most` messages, every other one from a stream if `sources` says that the queue
    /// has them. Returns how many.
    pub(crate) fn fill_from(
        &self,
        producer: &mut Producer,
        most: u64,
        sources: bool,
    ) -> Result<u64, String> {
        for count in 0..most {
            let seq = producer.sequence();
            if !sources || seq.is_multiple_of(2) {
                if self.fill(producer, 1)? == 0 {
                    return Ok(count);
                }
                continue;
            }
            let ((kind, bytes), position) = (message(seq), position_of(seq));
            self.book.note_source(seq, Some(("lines", position)));
            self.book.sending.store(seq + 1, SeqCst);
            match producer.stream("lines").map_err(text)?.try_send(position, (kind, &bytes[..])) {
                Ok(Sent::Published(_)) => self.book.sent.store(seq + 1, SeqCst),
                Ok(Sent::AlreadyThere) => return Err(format!("it knows position {position}")),
                Err(StreamSendError::Send(SendError::Full(_))) => return Ok(count),
                Err(fault) => return Err(text(fault)),
            }
        }
        Ok(most)
    }

    /// Sends until the queue is full, or `most` messages. Returns how many.
    pub(crate) fn fill(&self, producer: &mut Producer, most: u64) -> Result<u64, String> {
        for count in 0..most {
            let seq = producer.sequence();
            let (kind, bytes) = message(seq);
            self.book.note_source(seq, None);
            self.book.sending.store(seq + 1, SeqCst);
            match producer.try_send((kind, &bytes[..])) {
                Ok(_) => self.book.sent.store(seq + 1, SeqCst),
                Err(SendError::Full(_)) => return Ok(count),
                Err(fault) => return Err(text(fault)),
            }
        }
        Ok(most)
    }

    /// Checks received messages, and notes them in the book.
    pub(crate) fn got(&self, group: &str, batch: &Batch<'_>) -> Outcome {
        for message in batch {
            check(message.sequence(), message.kind(), &message)?;
            self.check_source(message.sequence(), message.source())?;
            note(&self.account(group).received, message.sequence());
        }
        Ok(())
    }

    /// Receives up to `max` messages that are there already.
    pub(crate) fn take<'c>(
        &self,
        consumer: &'c mut Consumer,
        group: &str,
        max: usize,
    ) -> Result<Batch<'c>, String> {
        let batch = consumer.try_recv_batch(max).map_err(text)?;
        self.got(group, &batch)?;
        Ok(batch)
    }

    /// Notes in the book that `seqs` are being acked, acks them, and notes that they are acked.
    pub(crate) fn acking(
        &self,
        group: &str,
        seqs: &[u64],
        ack: impl FnOnce() -> Result<(), AckError>,
    ) -> Outcome {
        let account = self.account(group);
        seqs.iter().for_each(|seq| note(&account.acking, *seq));
        ack().map_err(text)?;
        seqs.iter().for_each(|seq| note(&account.acked, *seq));
        Ok(())
    }

    fn ack_one(&self, consumer: &mut Consumer, group: &str) -> Outcome {
        let batch = self.take(consumer, group, 1)?;
        let seqs: Vec<u64> = batch.iter().map(|message| message.sequence()).collect();
        self.acking(group, &seqs, || batch.ack())
    }

    /// Receives and acks exactly what the book expects for group `name`, in an exclusive group in order. If there is an
    /// `end`, new messages from there on may come as well. Rejects again what was being rejected.
    pub(crate) fn drain(
        &self,
        consumer: &mut Consumer,
        name: &str,
        end: Option<u64>,
    ) -> Result<RecvError, String> {
        let account = self.account(name);
        let mut expected = account.expected();
        loop {
            let patience = if expected.is_empty() { Duration::ZERO } else { PATIENCE };
            let mut batch = match consumer.recv_batch_timeout(1, patience) {
                Ok(batch) => batch,
                Err(end @ (RecvError::Timeout { .. } | RecvError::Closed { .. }))
                    if expected.is_empty() =>
                {
                    return Ok(end);
                }
                Err(fault) => return Err(format!("{name} lacks {expected:?}: {fault}")),
            };
            let Some(message) = batch.first() else { return Err("an empty batch".to_owned()) };
            let (seq, attempts) = (message.sequence(), message.attempts());
            check(seq, message.kind(), &message)?;
            self.check_source(seq, message.source())?;
            let place = expected.iter().position(|(expected, _)| *expected == seq);
            match place.map(|place| (place, expected.remove(place).1)) {
                Some((_, due)) if due != attempts => {
                    return Err(format!("{name} got {seq} as attempt {attempts}, not {due}"));
                }
                Some((place, _)) if place != 0 && name != "work" => {
                    return Err(format!("{name} got {seq} before {expected:?}"));
                }
                Some(_) => {}
                None if end.is_some_and(|end| seq >= end) && attempts == 1 => {}
                None => {
                    return Err(format!(
                        "{name} got {seq}, attempt {attempts}, which it has acked, or somebody holds; due are {expected:?}"
                    ));
                }
            }
            note(&account.received, seq);
            if noted(&account.rejecting, seq) {
                batch.reject(seq).map_err(text)?;
            } else {
                batch.ack().map_err(text)?;
            }
            note(&account.acking, seq);
            note(&account.acked, seq);
        }
    }

    /// Reads everything from `start` on as an observer, and takes a snapshot. Both must end at `end`.
    pub(crate) fn observe(&self, start: Start, end: u64) -> Outcome {
        let mut observer = OpenOptions::new().observe(self.queue, start).map_err(text)?;
        let look = OpenOptions::new().snapshot(self.queue).map_err(text)?;
        if look.tail != end {
            return Err(format!("a snapshot says that {} is next, and it is {end}", look.tail));
        }
        read_on(*self, &mut observer)?;
        if observer.position() != end {
            return Err(format!("it came to {}, and the end is {end}", observer.position()));
        }
        Ok(())
    }
}

/// Reads to the end, and checks that messages are whole and in order.
pub(crate) fn read_on(stage: Stage, observer: &mut slipring::Observer) -> Outcome {
    let mut next = 0;
    loop {
        let seen = match observer.try_recv() {
            Ok(seen) => seen,
            Err(RecvError::Empty | RecvError::Closed { .. }) => return Ok(()),
            Err(fault) => return Err(text(fault)),
        };
        check(seen.sequence(), seen.kind(), &seen)?;
        stage.check_source(seen.sequence(), seen.source())?;
        if seen.sequence() < next {
            return Err(format!("{} after {next}", seen.sequence()));
        }
        next = seen.sequence() + 1;
    }
}

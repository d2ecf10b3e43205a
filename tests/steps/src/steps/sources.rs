//! Operations on messages that say where they come from, and what must hold of the table of streams.

use std::os::unix::fs::FileExt;
use std::sync::atomic::Ordering::SeqCst;

use slipring::{BatchSent, Producer, Sent, StreamId};

use super::book::{STREAMS, message};
use super::bystanders::Bystander::{Observer, Reader, Sleeper};
use super::image::Image;
use super::operations::{Operation, PLAIN, as_producer, operation};
use super::party::Outcome;
use super::roles::tail;
use super::shm;
use super::stage::{CAPACITY, Stage, group, position_of, text};

pub(crate) fn all() -> Vec<Operation> {
    sending().into_iter().chain(keeping()).collect()
}

/// A queue for two streams, after eleven messages, of which each group has acked nine.
fn used(stage: Stage, of: fn(u64) -> Option<&'static str>) -> Outcome {
    let queue = stage.builder().sources(2).group(group("work")).create().map_err(text)?;
    stage.use_queue(&queue, group("work"), 11, [9, 9], of)
}

/// Every other message comes from a stream.
fn lines(seq: u64) -> Option<&'static str> {
    seq.is_multiple_of(2).then_some("lines")
}

/// The first two messages, which are not in the ring any more, come from another stream.
fn old_then_lines(seq: u64) -> Option<&'static str> {
    if seq < 2 { Some("old") } else { lines(seq) }
}

/// Two streams in turn, with messages without a source between.
fn both(seq: u64) -> Option<&'static str> {
    [Some("lines"), Some("old"), None][seq as usize % 3]
}

fn sending() -> Vec<Operation> {
    vec![
        Operation {
            name: "send from a stream",
            prepare: |stage| used(stage, lines),
            with: &[Observer],
            victim: |stage| as_producer(stage, |producer| stage.send_from(producer, "lines", 3)),
            ..PLAIN
        },
        Operation {
            name: "send from a stream, a consumer sleeps",
            prepare: |stage| used(stage, lines),
            with: &[Sleeper],
            victim: |stage| as_producer(stage, |producer| stage.send_from(producer, "lines", 2)),
            ..PLAIN
        },
        Operation {
            name: "send from two streams, and from none",
            prepare: |stage| used(stage, both),
            with: &[Reader],
            victim: |stage| {
                as_producer(stage, |producer| {
                    stage.send_from(producer, "lines", 1)?;
                    stage.send(producer, 1)?;
                    stage.send_from(producer, "old", 1)?;
                    stage.send_from(producer, "lines", 1)
                })
            },
            ..PLAIN
        },
        Operation {
            name: "send from a stream, the first message of it",
            prepare: |stage| used(stage, lines),
            victim: |stage| as_producer(stage, |producer| stage.send_from(producer, "new", 2)),
            ..PLAIN
        },
        Operation {
            name: "send_batch from a stream, two are there",
            prepare: |stage| used(stage, lines),
            with: &[Observer],
            victim: |stage| {
                as_producer(stage, |producer| {
                    let next = producer.sequence();
                    (next..next + 4).for_each(|seq| note_lines(stage, seq, position_of(seq)));
                    let seqs = [8, 10].into_iter().chain(next..next + 4);
                    let all: Vec<_> = seqs.map(|seq| (position_of(seq), message(seq))).collect();
                    let all = all.iter().map(|(at, (kind, bytes))| (*at, (*kind, &bytes[..])));
                    let mut stream = producer.stream("lines").map_err(text)?;
                    match stage.sending(next + 4, || stream.send_batch(all)).map_err(text)? {
                        BatchSent { published: 4, already_there: 2 } => Ok(()),
                        other => Err(format!("{other:?}")),
                    }
                })
            },
            ..PLAIN
        },
        Operation {
            name: "reserve and publish from a stream",
            prepare: |stage| used(stage, lines),
            with: &[Observer],
            victim: |stage| {
                as_producer(stage, |producer| {
                    let (next, first) = (producer.sequence(), position_of(producer.sequence()));
                    (0..4).for_each(|offset| note_lines(stage, next + offset, first + offset));
                    let mut stream = producer.stream("lines").map_err(text)?;
                    let mut slots = stream.try_reserve(first, 4).map_err(text)?;
                    for index in 0..4 {
                        let (kind, bytes) = message(next + index as u64);
                        let slot = slots.bytes_mut(index).ok_or("no slot")?;
                        slot[..bytes.len()].copy_from_slice(&bytes);
                        if !slots.set_len(index, bytes.len()) || !slots.set_kind(index, kind) {
                            return Err("no slot".to_owned());
                        }
                    }
                    stage.sending(next + 3, || slots.publish_first(3));
                    Ok(())
                })
            },
            ..PLAIN
        },
    ]
}

fn note_lines(stage: Stage, seq: u64, position: u64) {
    stage.book.note_source(seq, Some(("lines", position)));
}

fn keeping() -> Vec<Operation> {
    vec![
        Operation {
            name: "pass a position of a stream",
            prepare: |stage| used(stage, lines),
            victim: |stage| {
                as_producer(stage, |producer| {
                    let account = stage.book.stream("lines");
                    for position in [position_of(10) + 5, position_of(11)] {
                        account.passing.store(position, SeqCst);
                        producer.stream("lines").map_err(text)?.pass(position).map_err(text)?;
                        account.passed.store(position, SeqCst);
                    }
                    stage.send_from(producer, "lines", 1)
                })
            },
            ..PLAIN
        },
        Operation {
            name: "forget a stream, and send from another",
            prepare: |stage| used(stage, old_then_lines),
            with: &[Reader],
            victim: |stage| {
                as_producer(stage, |producer| {
                    let account = stage.book.stream("old");
                    account.forgetting.store(1, SeqCst);
                    if !producer.forget_stream("old").map_err(text)? {
                        return Err("it was not there".to_owned());
                    }
                    account.forgotten.store(1, SeqCst);
                    stage.send_from(producer, "new", 2)
                })
            },
            ..PLAIN
        },
        Operation {
            name: "take over from a producer of two streams",
            prepare: |stage| {
                used(stage, both)?;
                // As if the producer had died after its last three stamps.
                tail(stage, 8)?;
                lower(stage, 8)
            },
            with: &[Reader, Observer],
            victim: |stage| {
                let queue = stage.open()?;
                operation(stage, || queue.producer().map(std::mem::forget).map_err(text))
            },
            ..PLAIN
        },
    ]
}

/// Sets the last position of each stream back to its last message below `tail`.
fn lower(stage: Stage, tail: u64) -> Outcome {
    let file = shm::file_of(stage.queue).ok_or("no queue")?;
    let image = Image::of(&file)?;
    for stream in image.streams() {
        let below = (0..tail).filter_map(|seq| stage.book.source(seq));
        let last =
            below.filter(|(name, _)| *name == stream.label).map(|(_, position)| position).max();
        let at = image.stream_at(stream.number) as u64 + 16;
        file.write_all_at(&last.unwrap_or(0).to_le_bytes(), at).map_err(text)?;
    }
    Ok(())
}

/// The first position of a stream.
fn first(stage: Stage, name: &str, end: u64) -> u64 {
    let messages = (0..end).filter_map(|seq| stage.book.source(seq));
    messages.filter(|(of, _)| *of == name).map(|(_, position)| position).min().unwrap_or(0)
}

/// What is published, or passed, of a stream: its positions that must be known at `end`, and that may be.
fn known(stage: Stage, name: &str, end: [u64; 2]) -> [u64; 2] {
    let account = stage.book.stream(name);
    let said = [account.passed.load(SeqCst), account.passing.load(SeqCst)];
    [0, 1].map(|at| {
        let messages = (0..end[at]).filter_map(|seq| stage.book.source(seq));
        let positions = messages.filter(|(of, _)| *of == name).map(|(_, position)| position);
        positions.max().unwrap_or(0).max(said[at])
    })
}

/// The slots and the table of streams must agree with the book. In a queue without sources no message may have one.
pub(crate) fn check(stage: Stage, image: &Image) -> Outcome {
    let streams = image.streams();
    for seq in image.end.saturating_sub(CAPACITY)..image.end {
        // What all groups have acked may be gone.
        if !image.holds(seq) {
            continue;
        }
        let (found, sent) = (image.source(seq), stage.book.source(seq));
        let found = found.map(|(number, position)| {
            let stream = streams.iter().find(|stream| stream.number == number);
            (stream.map_or("no stream", |stream| &stream.label), position)
        });
        if found != sent {
            return Err(format!("message {seq} is from {found:?}, and was sent from {sent:?}"));
        }
    }
    for name in STREAMS {
        let [least, most] = known(stage, name, [image.tail, image.end]);
        let account = stage.book.stream(name);
        let [forgetting, forgotten] =
            [&account.forgetting, &account.forgotten].map(|word| word.load(SeqCst) == 1);
        let found: Vec<_> = streams.iter().filter(|stream| stream.label == name).collect();
        match found[..] {
            [] if least == 0 || forgetting => {}
            [_] if forgotten => return Err(format!("{name} was given up, and is there")),
            [stream] if stream.id != StreamId::named(name).get() => {
                return Err(format!("{name} has the id {:x}", stream.id));
            }
            [stream] if !(least..=most).contains(&stream.last) => {
                let last = stream.last;
                return Err(format!(
                    "{name} has {last} as its last position, not {least} to {most}"
                ));
            }
            [stream] if stream.last > 0 && stream.start != first(stage, name, image.end) => {
                return Err(format!(
                    "{name} starts at {}, its last is {}",
                    stream.start, stream.last
                ));
            }
            [_] => {}
            _ => return Err(format!("{name} has not one entry, but {found:?}")),
        }
    }
    Ok(())
}

/// A new producer, which begins at `image`, must find the last position of each stream, and send no position again.
pub(crate) fn resume(stage: Stage, image: &Image, producer: &mut Producer) -> Outcome {
    if !image.has_sources() {
        return Ok(());
    }
    for name in STREAMS {
        let account = stage.book.stream(name);
        let [least, most] = known(stage, name, [image.end; 2]);
        let found = producer.last_position(name);
        let last = found.unwrap_or(0);
        if found.is_none() && account.forgetting.load(SeqCst) == 1 {
            continue;
        }
        if !(least..=most).contains(&last) {
            return Err(format!("a new producer finds {found:?} of {name}, not {least} to {most}"));
        }
        if last > 0 {
            let again = producer.stream(name).map_err(text)?.try_send(last, "again");
            if !matches!(again, Ok(Sent::AlreadyThere)) {
                return Err(format!("position {last} of {name} again: {again:?}"));
            }
        }
    }
    Ok(())
}

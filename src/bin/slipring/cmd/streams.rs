//! `slipring streams`

use slipring::{Producer, Queue, StreamId, StreamInfo};

use crate::args::{StreamForgetArgs, StreamListArgs, StreamPassArgs, StreamsArgs, StreamsCommand};
use crate::failure::{Failure, note, open_failed};
use crate::json::{self, Streams, Time};
use crate::output::print;
use crate::producer_role;
use crate::queue::{open_existing, options, snapshot};
use crate::stop::Stop;
use crate::table::Table;

pub(super) fn run(args: StreamsArgs) -> Result<(), Failure> {
    match (args.command, args.list) {
        (Some(StreamsCommand::Forget(args)), _) => forget(&args),
        (Some(StreamsCommand::Pass(args)), _) => pass(&args),
        (Some(StreamsCommand::Ls(args)), _) | (None, Some(args)) => list(&args),
        (None, None) => Err(Failure::usage("name a queue: slipring streams ls QUEUE")),
    }
}

fn list(args: &StreamListArgs) -> Result<(), Failure> {
    let name = &args.name;
    let streams = options().streams(name).map_err(|fault| open_failed(name, fault))?;
    let max_streams = snapshot(name)?.max_streams;
    if args.json {
        let streams = streams.iter().map(json::Stream::from).collect();
        return print(&json::line(&Streams {
            time: Time::now(),
            queue: name,
            max_streams,
            streams,
        }));
    }
    if streams.is_empty() {
        note(&match max_streams {
            0 => format!(
                "messages of queue {name:?} have no sources: slipring create QUEUE --sources N makes a queue for them"
            ),
            most => format!("queue {name:?} has no streams yet, and room for {most}"),
        });
        return Ok(());
    }
    let mut table = Table::new(&["NUMBER", "NAME", "ID", "START", "LAST", "IN-RING", "IN-FLIGHT"]);
    let position = |position: Option<u64>| position.map_or("-".to_owned(), |p| p.to_string());
    for info in &streams {
        table.row(vec![
            info.number.to_string(),
            name_of(info.stream),
            info.stream.to_string(),
            position(info.start),
            position(info.last),
            info.in_ring.to_string(),
            info.in_flight.to_string(),
        ]);
    }
    print(&table.text())
}

/// What a stream is called, or "-". Another process may have written anything there.
fn name_of(stream: StreamId) -> String {
    match stream.label() {
        label if label.is_empty() => "-".to_owned(),
        label => label.escape_debug().to_string(),
    }
}

fn forget(args: &StreamForgetArgs) -> Result<(), Failure> {
    let (queue, stop) = open(&args.name)?;
    let mut producer = producer_role::take(&queue, args.role.timeout, &stop)?;
    let known = queue.streams()?;
    let found = args.streams.iter().map(|stream| find(&known, stream, &args.name));
    let outcome = found.collect::<Result<Vec<_>, _>>().and_then(|found| {
        for info in found {
            if !producer.forget_stream(info.stream)? {
                // It was named twice.
                continue;
            }
            let last = match info.last {
                Some(last) => format!("its last position was {last}"),
                None => "it had no message".to_owned(),
            };
            let text = format!(
                "forgot stream {}: {last}; a sender that still uses it begins anew\n",
                show(info.stream)
            );
            print(&text)?;
        }
        Ok(())
    });
    leave(producer).and(outcome)
}

fn pass(args: &StreamPassArgs) -> Result<(), Failure> {
    let (queue, stop) = open(&args.name)?;
    let mut producer = producer_role::take(&queue, args.role.timeout, &stop)?;
    let outcome = find(&queue.streams()?, &args.stream, &args.name).and_then(|info| {
        producer.stream(info.stream)?.pass(args.position)?;
        let before = info.last.unwrap_or(0);
        let (stream, position) = (show(info.stream), args.position);
        print(&format!(
            "passed positions {} to {position} of stream {stream}: its sender goes on after them\n",
            before + 1
        ))
    });
    leave(producer).and(outcome)
}

fn open(name: &str) -> Result<(Queue, Stop), Failure> {
    let mut queue = open_existing(name)?;
    let stop = Stop::on_signals()?;
    queue.set_interrupt(stop.asked());
    Ok((queue, stop))
}

/// Gives the role back. A queue that was closed is closed again: nothing was sent.
fn leave(mut producer: Producer) -> Result<(), Failure> {
    let left = if producer.reopened() { producer.close() } else { producer.check_removed() };
    Ok(left?)
}

/// The stream that is called so, or has this id.
fn find<'a>(
    streams: &'a [StreamInfo],
    wanted: &str,
    queue: &str,
) -> Result<&'a StreamInfo, Failure> {
    let id = u128::from_str_radix(wanted, 16).ok().filter(|_| wanted.len() == 32);
    let is = |stream: StreamId| {
        // A label may be a part of the name only.
        stream == StreamId::named(wanted)
            || stream.label() == wanted
            || id.is_some_and(|id| stream == StreamId::new(id))
    };
    let found: Vec<_> = streams.iter().filter(|info| is(info.stream)).collect();
    let list = format!("slipring streams ls {queue}");
    match found[..] {
        [info] => Ok(info),
        [] => {
            let text = format!("queue {queue:?} has no stream {wanted:?}");
            Err(Failure::failed(text).hint(format!("{list}  (lists those that there are)")))
        }
        _ => {
            let ids: Vec<_> = found.iter().map(|info| info.stream.to_string()).collect();
            let text = format!(
                "queue {queue:?} has {} streams {wanted:?}: name the one that is meant by its id, {}",
                ids.len(),
                ids.join(" or ")
            );
            Err(Failure::failed(text).hint(list))
        }
    }
}

/// A stream in a sentence.
fn show(stream: StreamId) -> String {
    match stream.label() {
        label if label.is_empty() => stream.to_string(),
        label => format!("{label:?} ({stream})"),
    }
}

//! What an `out` would send, without sending it.

use std::io::{self, Write};

use serde::Serialize;
use slipring::{RecvError, Start};

use crate::bridge;
use crate::envelope::Envelope;
use crate::failure::Failure;
use crate::identity::{Identity, Previous};
use crate::options::OutOptions;
use crate::values::Format;

/// Messages that are shown unless `--count` says otherwise.
const SHOWN: u64 = 10;

#[derive(Serialize)]
struct Shown<'m> {
    sequence: u64,
    to: &'m str,
    message_id: String,
    stream: String,
    label: String,
    position: u64,
    previous: Option<u64>,
    kind: u32,
    bytes: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    envelope: Option<Envelope>,
    #[serde(skip_serializing_if = "Option::is_none")]
    poison: Option<String>,
}

/// Prints the first messages that wait for the group, one a line, as an observer.
pub(crate) fn run(options: &OutOptions, allowed: &[u32]) -> Result<(), Failure> {
    let (_, to) = bridge::sink(options)?;
    let queue = bridge::open(&options.queue, allowed)?;
    let snapshot = queue.snapshot()?;
    let info = snapshot.groups.iter().find(|info| info.name == options.group);
    let start = info.map_or(Start::Oldest, |info| Start::Sequence(info.head));
    let mut observer = queue.observer(start)?;
    let began = info.map_or(observer.position(), |info| info.began);
    let mut out = io::stdout().lock();
    for _ in 0..options.count.unwrap_or(SHOWN) {
        let message = match observer.try_recv() {
            Ok(message) => message,
            Err(RecvError::Empty | RecvError::Closed { .. }) => break,
            Err(fault) => return Err(fault.into()),
        };
        let sequence = message.sequence();
        let identity = Identity::of(queue.group_stream(&options.group), sequence, began);
        let unpacked = match options.format {
            Format::Payload => Ok((None, message.len())),
            Format::Envelope => {
                Envelope::unpack(&message).map(|(envelope, body)| (Some(envelope), body.len()))
            }
        };
        let (envelope, bytes, poison) = match unpacked {
            Ok((envelope, bytes)) => (envelope, bytes, None),
            Err(reason) => (None, message.len(), Some(reason)),
        };
        let shown = Shown {
            sequence,
            to: &to,
            message_id: identity.key(),
            stream: identity.stream.to_string(),
            label: identity.stream.label(),
            position: identity.position,
            previous: match identity.previous {
                Previous::At(previous) => Some(previous),
                Previous::None | Previous::Unknown => None,
            },
            kind: message.kind(),
            bytes,
            envelope,
            poison,
        };
        let line =
            serde_json::to_string(&shown).map_err(|fault| Failure::failed(fault.to_string()))?;
        match writeln!(out, "{line}") {
            Err(fault) if fault.kind() == io::ErrorKind::BrokenPipe => break,
            written => {
                written.map_err(|fault| Failure::failed(format!("cannot write: {fault}")))?;
            }
        }
    }
    Ok(())
}

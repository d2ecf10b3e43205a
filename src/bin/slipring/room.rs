//! Waiting for room in a full queue, and saying who holds it.

use std::fmt::Write;
use std::time::{Duration, Instant};

use slipring::{Content, Full, GroupInfo, Mode, Producer, Queue, SendError};

use crate::failure::{Failure, note};
use crate::stop::{SLICE, Stop};

/// A sender that waits longer than this says why.
const PATIENCE: Duration = Duration::from_secs(1);
/// The same group is not named again within this time.
const AGAIN: Duration = Duration::from_secs(30);

/// Waits for room, and remembers whom it has named.
#[derive(Debug)]
pub(crate) struct Room<'q, M: Content + ?Sized> {
    queue: &'q Queue<M>,
    named: Option<(String, Instant)>,
}

impl<'q, M: Content + ?Sized> Room<'q, M> {
    pub(crate) fn of(queue: &'q Queue<M>) -> Room<'q, M> {
        Room { queue, named: None }
    }

    /// Returns when there is room for a message.
    pub(crate) fn wait(&mut self, producer: &mut Producer<M>, stop: &Stop) -> Result<(), Failure> {
        let since = Instant::now();
        loop {
            stop.check()?;
            // A reservation that is dropped publishes nothing.
            match producer.reserve_timeout(1, SLICE) {
                Ok(_) => return Ok(()),
                Err(SendError::Timeout(full)) if since.elapsed() >= PATIENCE => self.explain(&full),
                Err(SendError::Timeout(_)) => {}
                Err(fault) => return Err(fault.into()),
            }
        }
    }

    fn explain(&mut self, full: &Full) {
        let recent =
            |(group, at): &(String, Instant)| group == full.group() && at.elapsed() < AGAIN;
        if self.named.as_ref().is_some_and(recent) {
            return;
        }
        self.named = Some((full.group().to_owned(), Instant::now()));
        let groups = self.queue.snapshot().map(|snapshot| snapshot.groups).unwrap_or_default();
        let group = groups.iter().find(|info| info.name == full.group());
        note(&explanation(self.queue.name(), full, group));
    }
}

fn explanation(queue: &str, full: &Full, info: Option<&GroupInfo>) -> String {
    let (group, sequence) = (full.group(), full.sequence());
    // A dead member's record stays until it is used again.
    let members = info.map_or(&[][..], |info| &info.members).iter().filter(|member| member.live);
    let mut live: Vec<u32> = members.map(|member| member.pid).collect();
    live.dedup();
    let shared =
        if info.is_some_and(|info| info.mode == Some(Mode::Shared)) { " --shared" } else { "" };
    let mut text = format!(
        "blocked: queue {queue:?} is full, because group {group:?} has not acked message {sequence}"
    );
    let mut say = |line: &str| {
        // Writing to a String does not fail.
        let _ = write!(text, "\n  {line}");
    };
    if live.is_empty() {
        say("it has no consumer. To free the queue, read on for it:");
        say(&format!("slipring recv {queue} --group {group}{shared}"));
        say("or drop the group with its messages:");
        say(&format!("slipring group rm {queue} {group}"));
    } else {
        let pids: Vec<String> = live.iter().map(u32::to_string).collect();
        let (one, pids) = (pids.len() == 1, pids.join(" "));
        let (who, it) =
            if one { ("consumer, process", "it") } else { ("consumers, processes", "them") };
        let are = if one { "is" } else { "are" };
        say(&format!("its {who} {pids}, {are} slow, or stopped (kill -CONT {pids})."));
        say(&format!("To free the queue, end {it}, and drop the group with its messages:"));
        say(&format!("kill {pids} && sleep 1 && slipring group rm {queue} {group}"));
    }
    text
}

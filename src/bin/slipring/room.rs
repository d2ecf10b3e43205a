//! Waiting for room in a full queue, and saying which consumer holds it.

use std::fmt::Write;
use std::time::{Duration, Instant};

use slipring::{
    Content, ErrorCode, Finding, FindingKind, Full, GroupInfo, MemberInfo, Mode, Monitor, Producer,
    Queue, SendError,
};

use crate::failure::{Failure, note};
use crate::queue::options;
use crate::stop::Stop;
use crate::table::pid;

/// A sender that waits longer than this says why, and checks this often whether another group is the reason by now.
const EXPLAIN_AFTER: Duration = Duration::from_secs(1);
/// The same group is not named again within this time.
const REPEAT_AFTER: Duration = Duration::from_secs(30);

/// Waits for room, and remembers which group it has named.
#[derive(Debug)]
pub(crate) struct Room<'q, M: Content + ?Sized> {
    queue: &'q Queue<M>,
    named: Option<(String, Instant)>,
    timeout: Option<Duration>,
}

impl<'q, M: Content + ?Sized> Room<'q, M> {
    pub(crate) fn of(queue: &'q Queue<M>) -> Room<'q, M> {
        Room { queue, named: None, timeout: None }
    }

    /// Each wait fails after this time.
    pub(crate) fn within(self, timeout: Option<Duration>) -> Room<'q, M> {
        Room { timeout, ..self }
    }

    /// Returns when there is room for a message. The producer's waits ask `stop`.
    pub(crate) fn wait(&mut self, producer: &mut Producer<M>, stop: &Stop) -> Result<(), Failure> {
        let since = Instant::now();
        loop {
            stop.check()?;
            let left = self
                .timeout
                .map_or(EXPLAIN_AFTER, |timeout| timeout.saturating_sub(since.elapsed()));
            // A reservation that is dropped publishes nothing.
            match producer.reserve_timeout(1, left.min(EXPLAIN_AFTER)) {
                Ok(_) => return Ok(()),
                Err(SendError::Interrupted { .. }) => return Err(stop.ended()),
                Err(SendError::Timeout(full))
                    if self.timeout.is_some_and(|timeout| since.elapsed() >= timeout) =>
                {
                    return Err(Failure::timeout(ErrorCode::SendTimeout, full.to_string()));
                }
                Err(SendError::Timeout(full)) if since.elapsed() >= EXPLAIN_AFTER => {
                    self.explain(&full)
                }
                Err(SendError::Timeout(_)) => {}
                Err(fault) => return Err(fault.into()),
            }
        }
    }

    fn explain(&mut self, full: &Full) {
        let recent =
            |(group, at): &(String, Instant)| group == full.group() && at.elapsed() < REPEAT_AFTER;
        if self.named.as_ref().is_some_and(recent) {
            return;
        }
        self.named = Some((full.group().to_owned(), Instant::now()));
        let groups = self.queue.snapshot().map(|snapshot| snapshot.groups).unwrap_or_default();
        let group = groups.iter().find(|info| info.name == full.group());
        if let Some(text) = group.and_then(|group| self.no_place(full, group)) {
            return note(&text);
        }
        let here = |member: &MemberInfo| self.queue.pid_here(member);
        note(&explanation(self.queue.name(), full, group, here));
    }

    /// What to say of a group whose places for messages in flight are all in use: another consumer would get nothing.
    fn no_place(&self, full: &Full, info: &GroupInfo) -> Option<String> {
        let in_flight = info.in_flight.as_ref().filter(|it| it.is_full())?;
        // It has no consumer, which may not be all that is wrong, or one that is stopped while it takes the message.
        let taking = |member: &MemberInfo| member.live && member.claimed.is_some();
        let nobody = !info.members.iter().any(|member| member.live) && info.exhausted() == 0;
        if nobody || info.members.iter().any(taking) {
            return None;
        }
        let queue = self.queue.name();
        let found = Monitor::open(queue, &options()).map(|it| it.stats(Duration::ZERO).findings());
        let mut found = found.unwrap_or_default();
        found.retain(|finding| finding.group.as_deref() == Some(full.group()));
        let (mut text, max) = (blocked(queue, full), in_flight.max);
        if !found.iter().any(|finding| finding.kind == FindingKind::InFlightFull) {
            text += &format!("\n  all its {max} places for messages in flight are in use");
        }
        let mut commands = vec![(
            format!("slipring group ls {queue}"),
            "shows which consumer has which message, since when, until when".to_owned(),
        )];
        for Finding { text: what, remedies, .. } in found {
            text += &format!("\n  {what}");
            commands.extend(remedies.into_iter().map(|it| (it.command, it.effect)));
        }
        let mut said = Vec::new();
        for (command, effect) in commands {
            if !said.contains(&command) {
                text += &format!("\n  {command}  # {effect}");
                said.push(command);
            }
        }
        Some(text)
    }
}

fn blocked(queue: &str, full: &Full) -> String {
    let (group, sequence) = (full.group(), full.sequence());
    format!(
        "blocked: queue {queue:?} is full, because group {group:?} has not acked message {sequence}"
    )
}

/// What to say, and what to do about it. `here` gives a consumer's pid if that is proved to be its pid in this
/// process's namespace: only such a pid may stand in a command.
fn explanation(
    queue: &str,
    full: &Full,
    info: Option<&GroupInfo>,
    here: impl Fn(&MemberInfo) -> Option<u32>,
) -> String {
    let (group, sequence) = (full.group(), full.sequence());
    // A dead member's record stays until it is used again.
    let members = info.map_or(&[][..], |info| &info.members).iter();
    let live: Vec<&MemberInfo> = members.filter(|member| member.live).collect();
    let shared = info.is_some_and(|info| info.mode == Some(Mode::Shared));
    let flag = if shared { " --shared" } else { "" };
    let mut text = blocked(queue, full);
    let mut say = |line: &str| {
        // Writing to a String does not fail.
        let _ = write!(text, "\n  {line}");
    };
    let Some((holder, others)) = holders(&live, shared, sequence) else {
        // As it is printed it acks nothing.
        let receive = format!("slipring recv {queue} --group {group}{flag} --exec \"$CMD\"");
        if live.is_empty() {
            say(
                "it has no consumer. To free the queue, start one; first set CMD to the command that handles a message:",
            );
            say(&receive);
            say("or drop the group with its messages:");
            say(&format!("slipring group rm {queue} {group} --force"));
        } else {
            say(&format!(
                "none of its live consumers ({}) holds it. Another one takes it; first set CMD to the command that handles a message:",
                live.len()
            ));
            say(&receive);
        }
        return text;
    };
    match here(holder) {
        Some(pid) => {
            say(&format!("its consumer, process {pid}, is slow, or stopped (kill -CONT {pid})."));
            if shared {
                say("To hand its messages to another consumer of the group, end it:");
                say(&format!("kill {pid}"));
            } else {
                say("If it hangs, end it: the group's next consumer goes on with its messages.");
                say(&format!("kill {pid}"));
                say("Without a next consumer, drop the group with its messages once it has ended:");
                say(&format!("slipring group rm {queue} {group} --force"));
            }
        }
        None => {
            say(&format!(
                "its consumer is slow, or stopped. It is recorded as process {}, perhaps of",
                pid(holder.pid)
            ));
            say("another pid namespace (a container): here that number may be another process's.");
            say("Continue it or end it where it runs.");
        }
    }
    if !others.is_empty() {
        let pids: Vec<String> = others.iter().map(|member| pid(member.pid)).collect();
        say(&format!("Later messages are held by consumers recorded as {}.", pids.join(", ")));
    }
    text
}

/// The live consumer that holds message `sequence`, and those that hold later ones, in their order.
fn holders<'m>(
    live: &[&'m MemberInfo],
    shared: bool,
    sequence: u64,
) -> Option<(&'m MemberInfo, Vec<&'m MemberInfo>)> {
    if !shared {
        // Its one consumer stands at the group's head.
        return live.first().map(|consumer| (*consumer, Vec::new()));
    }
    let claim = |member: &&'m MemberInfo| Some((member.claimed.as_ref()?.start, *member));
    let mut claims: Vec<(u64, &MemberInfo)> = live.iter().filter_map(claim).collect();
    claims.sort_by_key(|(start, member)| (*start, member.record));
    let (first, others) = claims.split_first()?;
    // Its holder may have gone since, or be dead.
    (first.0 <= sequence).then(|| (first.1, others.iter().map(|(_, member)| *member).collect()))
}

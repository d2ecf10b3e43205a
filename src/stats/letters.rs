//! What is wrong with dead letters: that they come, wait, or fill their queue, before and after they are sent again.

use super::findings::{Finding, FindingKind, LOOP, Remedy, Severity, count, remedy};
use super::rates::{GroupStats, Stats};
use crate::dead_letter::queue_sink::{DEAD_GROUP, SCHEMA};

/// What a command says that throws letters away.
const PURGES: &str = "throws them away, whichever queue they are of";

impl Stats {
    /// What is wrong with letters, if this group keeps them; `None` for any other group. No command that receives is printed:
    /// run as if these were jobs, it would ack letters that nobody has seen.
    pub(super) fn of_letters(&self, group: &GroupStats) -> Option<Vec<Finding>> {
        if !self.snapshot.is_for_letters() {
            return None;
        }
        if let Some(of) = self.retried(group) {
            let found = self.retries(group, of);
            return Some(found.into_iter().chain(self.looped_retry(group, of)).collect());
        }
        // Somebody may read a group that happens to be called so, in a queue that was not made for letters.
        let is_theirs = self.snapshot.schema_name == SCHEMA || group.consumers == 0;
        (is_theirs && group.info.name == DEAD_GROUP)
            .then(|| self.letters(group).into_iter().collect())
    }

    pub(super) fn new_letters(&self, group: &GroupStats) -> Option<Finding> {
        let rate = group.dead_letter_rate.value().filter(|rate| *rate > 0.0)?;
        let text = format!(
            "group {:?} gives messages up: {rate:.1} a second become dead letters, {} in all",
            group.info.name, group.dead_lettered
        );
        let target = group.info.dead_letters.as_ref();
        let target = target.map_or(String::new(), |queue| format!(" --dead-letters {queue}"));
        let command = format!("slipring dead ls {}{target}", self.queue());
        let remedies = vec![remedy(command, "lists them")];
        Some(self.finding(FindingKind::DeadLetters, Severity::Warning, Some(group), text, remedies))
    }

    /// What waits in a queue of dead letters.
    fn letters(&self, group: &GroupStats) -> Option<Finding> {
        let (queue, letters) = (self.queue(), group.info.depth);
        if letters == 0 {
            return None;
        }
        let (of, args) = match queue.strip_suffix(".dead") {
            Some(of) => (format!(" of queue {of:?}"), of.to_owned()),
            // Of whichever queues: a letter says it.
            None => (String::new(), format!("{queue} --dead-letters {queue}")),
        };
        let (waits, fills) = if letters == 1 { ("waits", "fills") } else { ("wait", "fill") };
        let mut text = format!(
            "{}{of} {waits} to be looked at",
            count(letters, "dead letter", "dead letters"),
        );
        let mut severity = Severity::Warning;
        if self.fills(group) {
            text += &format!(
                ", and {fills} queue {queue:?}: until one is requeued, moved or purged, no message becomes a dead letter, and a receiver that has to make one fails"
            );
            severity = Severity::Error;
        }
        let mut remedies = vec![
            remedy(format!("slipring dead ls {args}"), "lists them"),
            remedy(format!("slipring dead requeue {args}"), "sends them to their groups again"),
        ];
        if self.fills(group) {
            remedies.extend(self.make_room(letters));
        }
        remedies.push(remedy(format!("slipring dead purge {args}"), PURGES));
        Some(self.finding(FindingKind::DeadLetters, severity, Some(group), text, remedies))
    }

    /// Commands that move letters to another queue, from where they can be requeued as from this one: where the places of
    /// their group are in use by messages that wait for room in this queue, nothing else makes room and loses none.
    fn make_room(&self, letters: u64) -> [Remedy; 2] {
        let (queue, size, capacity) =
            (self.queue(), self.snapshot.payload_size, self.snapshot.capacity);
        let create = format!(
            "slipring create {queue}.more --payload {size} --capacity {capacity} --group {DEAD_GROUP} --sources 1"
        );
        let forward = format!(
            "slipring forward {queue} --group {DEAD_GROUP} --to {queue}.more --count {letters}"
        );
        let after = format!(
            "moves them there, which makes room; dead ls and requeue take them with --dead-letters {queue}.more"
        );
        [
            remedy(
                create,
                "if requeueing finds no place: makes a queue for more, unless it is there",
            ),
            remedy(forward, &after),
        ]
    }

    /// The queue whose group's retries are in this one.
    fn retried<'s>(&'s self, group: &GroupStats) -> Option<&'s str> {
        self.queue().strip_suffix(&format!(".{}.retry", group.info.name))
    }

    /// Letters that were sent again to a group of the queue `of`, and that no consumer takes, or that fill their queue.
    fn retries(&self, group: &GroupStats, of: &str) -> Option<Finding> {
        let (letters, name, fills) = (group.info.depth, &group.info.name, self.fills(group));
        if letters == 0 || !fills && group.consumers > 0 {
            return None;
        }
        let mut text = format!(
            "{} sent again {} for group {name:?} of queue {of:?}",
            count(letters, "dead letter that was", "dead letters that were"),
            if letters == 1 { "waits" } else { "wait" },
        );
        let (kind, why) = match group.consumers {
            0 => (FindingKind::NoConsumer, ", and none of its consumers has come for it"),
            _ => (FindingKind::GroupSlow, ""),
        };
        text += why;
        if fills {
            text += &format!("; queue {:?} is full, so requeueing fails", self.queue());
        }
        let mut remedies = vec![self.readers(of)];
        if group.consumers == 0 {
            remedies.push(Stats::start_of(of, group));
        }
        let severity = if fills { Severity::Error } else { Severity::Warning };
        Some(self.finding(kind, severity, Some(group), text, remedies))
    }

    /// One of these that is delivered again and again.
    fn looped_retry(&self, group: &GroupStats, of: &str) -> Option<Finding> {
        let attempts = group.members.iter().map(|member| member.info.attempts).max()?;
        if attempts < LOOP || group.info.depth == 0 {
            return None;
        }
        let (queue, name) = (self.queue(), &group.info.name);
        let text = format!(
            "a dead letter that was sent again to group {name:?} of queue {of:?} was delivered {attempts} times and never acked"
        );
        let look = format!("slipring peek {queue} --group {name} --count 1");
        let remedies = vec![
            remedy(look, "shows the first that waits: its payload, and then what a letter adds"),
            self.readers(of),
        ];
        let kind = FindingKind::MessageInLoop;
        Some(self.finding(kind, Severity::Warning, Some(group), text, remedies))
    }

    fn readers(&self, of: &str) -> Remedy {
        remedy(format!("slipring group ls {of}"), "shows which consumers its groups have")
    }
}

//! The state that the jobs of a worker share, and what is said of it.

use std::time::{Duration, Instant};

use crate::failure::{Failure, note};
use crate::reading::none_came;
use crate::table::grouped;

#[derive(Debug)]
pub(super) struct Board {
    /// Messages that may still be taken.
    pub(super) left: u64,
    /// Messages that were taken and are not done: each is with a job.
    busy: u64,
    /// Commands that run.
    running: u64,
    /// When a job was last done with its message, or will be: a message that was given back waits for another try until then.
    since: Instant,
    /// Why the jobs take no more.
    pub(super) end: Option<Failure>,
    /// Whether the person who stopped this worker was told what it waits for.
    told_stop: bool,
    /// The queue is closed and worked off.
    pub(super) closed: bool,
    pub(super) done: u64,
    pub(super) retried: u64,
    pub(super) rejected: u64,
    pub(super) given_up: u64,
    evicted: u64,
    /// A suspect is done: the job that receives may take another one.
    pub(super) suspect_done: bool,
}

impl Board {
    pub(super) fn new(count: Option<u64>) -> Board {
        Board {
            left: count.unwrap_or(u64::MAX),
            busy: 0,
            running: 0,
            since: Instant::now(),
            end: None,
            told_stop: false,
            closed: false,
            done: 0,
            retried: 0,
            rejected: 0,
            given_up: 0,
            evicted: 0,
            suspect_done: false,
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.closed || self.end.is_some()
    }

    /// Ends the worker. The first reason is the one that is reported. Says which commands it waits for.
    pub(super) fn end(&mut self, failure: Failure) {
        let over = self.is_over();
        let (commands, them) = match self.running {
            1 => ("command", "it"),
            _ => ("commands", "them"),
        };
        let waits = format!("note: waiting for {} {commands}", grouped(self.running));
        match &failure {
            _ if self.running == 0 => {}
            Failure::Closed => {}
            Failure::Stopped(_) if self.told_stop => {}
            // Also after another reason: a person waits for an answer.
            Failure::Stopped(_) => {
                note(&format!("{waits}; again to end at once, and leave {them}"));
                self.told_stop = true;
            }
            _ if over => {}
            _ => note(&format!("{waits}; no more is taken")),
        }
        if !over {
            self.end = Some(failure);
        }
    }

    /// Counts a message that was taken, if there may be one more.
    pub(super) fn take(&mut self) -> bool {
        let any = self.left > 0;
        if any {
            self.left -= 1;
            self.busy += 1;
        }
        any
    }

    pub(super) fn put_back(&mut self) {
        self.left += 1;
        self.rest();
    }

    pub(super) fn runs(&mut self, runs: bool) {
        self.running = if runs { self.running + 1 } else { self.running - 1 };
    }

    /// Whether a command runs.
    pub(super) fn is_running(&self) -> bool {
        self.running > 0
    }

    pub(super) fn settle(&mut self, total: fn(&mut Board) -> &mut u64) {
        *total(self) += 1;
        self.rest();
    }

    /// A message went back after a failure, for whatever worker is ready after `delay`.
    pub(super) fn retry_after(&mut self, delay: Duration) {
        self.retried += 1;
        self.put_back();
        self.since = self.since.max(Instant::now() + delay);
    }

    /// A message was taken from its job.
    pub(super) fn evicted(&mut self) {
        self.evicted += 1;
        self.put_back();
    }

    /// A message that no job had became a dead letter.
    pub(super) fn dead_lettered(&mut self) {
        self.given_up += 1;
        self.left = self.left.saturating_sub(1);
    }

    fn rest(&mut self) {
        self.busy -= 1;
        self.since = self.since.max(Instant::now());
    }

    /// Whether there is no reason to wait for another message.
    pub(super) fn takes_no_more(&self) -> bool {
        self.is_over() || self.left == 0
    }

    /// How long to wait for a message before asking again whether there was none for too long.
    pub(super) fn wait_left(&self, timeout: Option<Duration>) -> Option<Duration> {
        let waited = if self.busy == 0 { self.since.elapsed() } else { Duration::ZERO };
        timeout.map(|timeout| timeout.saturating_sub(waited))
    }

    /// Fails if there was no message for too long.
    pub(super) fn check_timeout(&self, timeout: Option<Duration>) -> Result<(), Failure> {
        match timeout {
            Some(limit) if self.busy == 0 && self.since.elapsed() >= limit => {
                Err(none_came(timeout))
            }
            _ => Ok(()),
        }
    }

    /// Messages that are done, one way or another.
    pub(super) fn settled(&self) -> u64 {
        self.done + self.rejected + self.given_up
    }

    pub(super) fn say_totals(&self, took: Duration) {
        // All jobs have ended: the messages that they still had are in the group again, for other workers.
        let [done, retried, rejected, given_up, unfinished] =
            [self.done, self.retried, self.rejected, self.given_up, self.busy].map(grouped);
        let evicted = match self.evicted {
            0 => String::new(),
            evicted => format!("taken back {}, ", grouped(evicted)),
        };
        note(&format!(
            "done {done}, retried {retried}, rejected {rejected}, given up {given_up}, {evicted}\
             unfinished {unfinished}, in {:.1} s",
            took.as_secs_f64()
        ));
    }
}

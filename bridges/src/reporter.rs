//! What is told to people while a bridge works: each state once, and again from time to time while it lasts.

use std::time::{Duration, Instant};

use crate::failure::note;

const REPEAT_AFTER: Duration = Duration::from_secs(30);

/// Says what changes.
#[derive(Debug)]
pub(crate) struct Reporter {
    name: String,
    last: Option<(String, Instant)>,
}

impl Reporter {
    pub(crate) fn new(name: String) -> Reporter {
        Reporter { name, last: None }
    }

    /// Says it, unless it was the last thing said, half a minute ago or less.
    pub(crate) fn say(&mut self, line: &str) {
        let known = self
            .last
            .as_ref()
            .is_some_and(|(last, when)| last == line && when.elapsed() < REPEAT_AFTER);
        if !known {
            note(&format!("{}: {line}", self.name));
            self.last = Some((line.to_owned(), Instant::now()));
        }
    }

    /// Says that a trouble is over, if one was told.
    pub(crate) fn recovered(&mut self, line: &str) {
        if self.last.as_ref().is_none_or(|(last, _)| last != line) {
            self.say(line);
        }
        // It is no news from here on, however long it lasts.
        self.last = Some((line.to_owned(), Instant::now()));
    }
}

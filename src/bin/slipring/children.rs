//! Child processes: this program again, each with one role of a benchmark or of the demo.
//!
//! A child reports events as lines of JSON on its standard output, and ends when its standard input does. So no child
//! outlives its parent, however the parent ends.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::failure::{Failure, io_failed};
use crate::output::print;
use crate::stop::Stop;

/// How long a child may take to end before it is killed.
const END_WITHIN: Duration = Duration::from_secs(2);

/// How often a parent that waits for events checks for signals and redraws its progress.
const POLL_EVERY: Duration = Duration::from_millis(100);

/// What a child reports to its parent; `F` is the type of its findings.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "event", content = "data", rename_all = "snake_case")]
pub(crate) enum Event<F> {
    /// It has joined the queue.
    Ready,
    /// It has sent or received so many messages.
    Count(u64),
    /// A phase begins, after which there will have been `total` messages. `line` describes it to people.
    Phase { line: String, total: u64 },
    /// It is done.
    Done(F),
}

impl<F: Serialize> Event<F> {
    /// Sends the event to the parent.
    pub(crate) fn report(&self) -> Result<(), Failure> {
        let line = serde_json::to_string(self)
            .map_err(|fault| Failure::failed(format!("cannot report to the parent: {fault}")))?;
        print(&format!("{line}\n"))
    }
}

/// An event with the index of its child; `None` when the child's output has ended.
type Heard<F> = (usize, Option<Event<F>>);

/// Children in the order of their start. Dropping them ends the processes.
#[derive(Debug)]
pub(crate) struct Children<F> {
    list: Vec<Member>,
    events: Receiver<Heard<F>>,
    sender: Sender<Heard<F>>,
}

#[derive(Debug)]
struct Member {
    label: String,
    process: Child,
    done: bool,
}

impl<F> Default for Children<F> {
    fn default() -> Children<F> {
        let (sender, events) = channel();
        Children { list: Vec::new(), events, sender }
    }
}

impl<F: DeserializeOwned + Send + 'static> Children<F> {
    pub(crate) fn labels(&self) -> Vec<String> {
        self.list.iter().map(|child| child.label.clone()).collect()
    }

    /// Starts this program with a hidden command and a role. Errors name the child by `label`.
    pub(crate) fn start(
        &mut self,
        label: &str,
        command: &str,
        role: &impl Serialize,
    ) -> Result<(), Failure> {
        let spawn = || {
            Command::new(std::env::current_exe()?)
                .args([command, &serde_json::to_string(role)?])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
        };
        let mut process =
            spawn().map_err(|fault| io_failed(&format!("start the {label}"), &fault))?;
        let (index, sender) = (self.list.len(), self.sender.clone());
        if let Some(output) = process.stdout.take() {
            thread::spawn(move || {
                for line in BufReader::new(output).lines().map_while(Result::ok) {
                    if let Ok(event) = serde_json::from_str(&line) {
                        let _ = sender.send((index, Some(event)));
                    }
                }
                let _ = sender.send((index, None));
            });
        }
        self.list.push(Member { label: label.to_owned(), process, done: false });
        Ok(())
    }

    /// Waits until every child has joined the queue.
    pub(crate) fn wait_until_ready(&mut self, stop: &Stop) -> Result<(), Failure> {
        let mut ready = 0;
        while ready < self.list.len() {
            ready += usize::from(matches!(self.next(stop)?, Some((_, Event::Ready))));
        }
        Ok(())
    }

    /// Waits for the findings of every child, in the order of their start. Calls `progress` with each event, and with
    /// `None` at least every 100 ms without one.
    pub(crate) fn findings(
        &mut self,
        stop: &Stop,
        mut progress: impl FnMut(Option<(usize, &Event<F>)>),
    ) -> Result<Vec<F>, Failure> {
        let mut findings: Vec<Option<F>> = self.list.iter().map(|_| None).collect();
        while findings.iter().any(Option::is_none) {
            let heard = self.next(stop)?;
            progress(heard.as_ref().map(|(index, event)| (*index, event)));
            if let Some((index, Event::Done(found))) = heard
                && let Some(slot) = findings.get_mut(index)
            {
                *slot = Some(found);
            }
        }
        Ok(findings.into_iter().flatten().collect())
    }

    /// The next event, if one comes soon. Fails if a child ends before it is done.
    fn next(&mut self, stop: &Stop) -> Result<Option<(usize, Event<F>)>, Failure> {
        stop.check()?;
        let (index, event) = match self.events.recv_timeout(POLL_EVERY) {
            Ok(heard) => heard,
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return Ok(None),
        };
        let Some(child) = self.list.get_mut(index) else { return Ok(None) };
        match event {
            Some(event) => {
                child.done |= matches!(event, Event::Done(_));
                Ok(Some((index, event)))
            }
            None if child.done => Ok(None),
            None => {
                // A Ctrl-C reaches all processes of the terminal at once.
                stop.check()?;
                let status = child.process.wait();
                let status = status.map_or("unknown".to_owned(), |status| status.to_string());
                let label = &child.label;
                Err(Failure::failed(format!("the {label} ended before it was done ({status})")))
            }
        }
    }
}

impl<F> Drop for Children<F> {
    fn drop(&mut self) {
        for child in &mut self.list {
            drop(child.process.stdin.take());
        }
        let since = Instant::now();
        for child in &mut self.list {
            while let Ok(None) = child.process.try_wait() {
                if since.elapsed() > END_WITHIN {
                    let _ = child.process.kill();
                    let _ = child.process.wait();
                    break;
                }
                thread::sleep(Duration::from_millis(5));
            }
        }
    }
}

/// The role of this process, from its argument.
pub(crate) fn role<R: DeserializeOwned>(text: &str) -> Result<R, serde_json::Error> {
    serde_json::from_str(text)
}

/// Makes this process stop when its parent ends.
pub(crate) fn stop_with_parent(stop: Stop) {
    thread::spawn(move || {
        let mut rest = [0; 64];
        while matches!(std::io::stdin().read(&mut rest), Ok(n) if n > 0) {}
        stop.set();
    });
}

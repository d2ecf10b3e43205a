//! This program again, as processes with a role each. They report in lines of JSON on their standard
//! output, and end when their standard input does: so none of them outlives the process that started them,
//! however that ends.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::failure::{Failure, io_failed};
use crate::output::print;
use crate::stop::Stop;

/// How long a process that was asked to end may take.
const END_WITHIN: Duration = Duration::from_secs(2);

/// How long to listen until a signal is looked for, and what is shown brought up to date.
const LISTEN_FOR: Duration = Duration::from_millis(100);

/// What a process says.
#[derive(Debug)]
pub(crate) enum Word {
    /// It has joined the queue.
    Ready,
    /// Messages so far.
    Count(u64),
    /// A phase begins (a line for people), after which there will have been `total` messages.
    Phase { line: String, total: u64 },
    /// It is done; its findings.
    Done(Value),
}

impl Word {
    /// Says it to the process that listens.
    pub(crate) fn say(self) -> Result<(), Failure> {
        let value = match self {
            Word::Ready => json!({ "word": "ready" }),
            Word::Count(count) => json!({ "word": "count", "count": count }),
            Word::Phase { line, total } => json!({ "word": "phase", "line": line, "total": total }),
            Word::Done(result) => json!({ "word": "done", "result": result }),
        };
        print(&format!("{value}\n"))
    }

    fn parse(line: &str) -> Option<Word> {
        let mut value: Value = serde_json::from_str(line).ok()?;
        match value.get("word")?.as_str()? {
            "ready" => Some(Word::Ready),
            "count" => Some(Word::Count(value.get("count")?.as_u64()?)),
            "phase" => Some(Word::Phase {
                line: value.get("line")?.as_str()?.to_owned(),
                total: value.get("total")?.as_u64()?,
            }),
            "done" => Some(Word::Done(value.get_mut("result")?.take())),
            _ => None,
        }
    }
}

/// All processes, in the order they were started. Dropped, it ends them.
#[derive(Debug)]
pub(crate) struct Crew {
    members: Vec<Member>,
    words: Receiver<(usize, Option<Word>)>,
    sender: Sender<(usize, Option<Word>)>,
}

#[derive(Debug)]
struct Member {
    label: String,
    child: Child,
    done: bool,
}

impl Default for Crew {
    fn default() -> Crew {
        let (sender, words) = channel();
        Crew { members: Vec::new(), words, sender }
    }
}

impl Crew {
    pub(crate) fn len(&self) -> usize {
        self.members.len()
    }

    pub(crate) fn labels(&self) -> Vec<String> {
        self.members.iter().map(|member| member.label.clone()).collect()
    }

    /// Starts a process: this program again, with these arguments.
    pub(crate) fn start(&mut self, label: &str, args: &[&str]) -> Result<(), Failure> {
        let spawn = || {
            Command::new(std::env::current_exe()?)
                .args(args)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
        };
        let mut child =
            spawn().map_err(|fault| io_failed(&format!("start the {label}"), &fault))?;
        let (who, sender) = (self.members.len(), self.sender.clone());
        if let Some(output) = child.stdout.take() {
            thread::spawn(move || {
                for line in BufReader::new(output).lines().map_while(Result::ok) {
                    if let Some(word) = Word::parse(&line) {
                        let _ = sender.send((who, Some(word)));
                    }
                }
                let _ = sender.send((who, None));
            });
        }
        self.members.push(Member { label: label.to_owned(), child, done: false });
        Ok(())
    }

    /// The next word of any of them, if one comes soon.
    pub(crate) fn listen(&mut self, stop: &Stop) -> Result<Option<(usize, Word)>, Failure> {
        stop.check()?;
        let (who, word) = match self.words.recv_timeout(LISTEN_FOR) {
            Ok(heard) => heard,
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return Ok(None),
        };
        let Some(member) = self.members.get_mut(who) else { return Ok(None) };
        match word {
            Some(word) => {
                member.done |= matches!(word, Word::Done(_));
                Ok(Some((who, word)))
            }
            None if member.done => Ok(None),
            None => {
                // A Ctrl-C reaches all processes of the terminal at once.
                stop.check()?;
                let how = member.child.wait().map_or("unknown".to_owned(), |how| how.to_string());
                let label = &member.label;
                Err(Failure::Failed(format!("the {label} ended before it was done ({how})")))
            }
        }
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        for member in &mut self.members {
            drop(member.child.stdin.take());
        }
        let since = Instant::now();
        for member in &mut self.members {
            while let Ok(None) = member.child.try_wait() {
                if since.elapsed() > END_WITHIN {
                    let _ = member.child.kill();
                    let _ = member.child.wait();
                    break;
                }
                thread::sleep(Duration::from_millis(5));
            }
        }
    }
}

/// Asks this process to stop when its standard input ends.
pub(crate) fn stop_with_parent(stop: Stop) {
    thread::spawn(move || {
        let mut rest = [0; 64];
        while matches!(std::io::stdin().read(&mut rest), Ok(n) if n > 0) {}
        stop.set();
    });
}

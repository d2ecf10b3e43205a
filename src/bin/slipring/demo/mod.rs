//! `slipring demo`: a producer, consumers of two groups and an observer, each a process of its own, over
//! a real queue. The process that was called only starts them, listens to them and cleans up.

mod args;
mod produce;
mod progress;
mod read;
mod record;
mod report;

use std::path::Path;

use serde_json::Value;
use slipring::Queue;

use crate::children::{self, Crew, Word};
use crate::failure::{Failure, io_failed};
use crate::output::print;
use crate::stop::Stop;
use crate::streams::Stream;
use crate::temporary::Temporary;
use args::Role;
pub(crate) use args::{DemoArgs, DemoRoleArgs};
use progress::Progress;
use record::Record;

/// Messages that fit: 2 MiB of records.
const CAPACITY: u64 = 16_384;
const GROUPS: [&str; 2] = ["audit", "dashboard"];
const OBSERVER: &str = "observer";
const PRODUCER: &str = "producer";

/// One process of the demo, told apart by the hidden command.
pub(crate) fn run_role(args: &DemoRoleArgs) -> Result<(), Failure> {
    Stream::Output.check()?;
    let stop = Stop::on_signals()?;
    children::stop_with_parent(stop.clone());
    match (args.role, &args.group) {
        (Role::Producer, _) => produce::run(&args.name, &args.load, &stop),
        (Role::Consumer, Some(group)) => read::consume(&args.name, group, &stop),
        (Role::Consumer, None) => Err(Failure::Usage("a consumer needs a --group".to_owned())),
        (Role::Observer, _) => read::observe(&args.name, &stop),
    }
}

pub(crate) fn run(args: &DemoArgs) -> Result<(), Failure> {
    Stream::Output.check()?;
    if let Some(path) = &args.file {
        record::texts(Some(path))?;
    }
    let stop = Stop::on_signals()?;
    let queue = Temporary::name("demo");
    let mut builder = Queue::builder(queue.as_str()).capacity(CAPACITY).message::<Record>();
    for group in GROUPS {
        builder = builder.group(group);
    }
    let bytes = builder.create()?.snapshot()?.bytes;
    let outcome = conduct(queue.as_str(), args, bytes, &stop);
    // Before the verdict, so that it is gone when the last line is read.
    drop(queue);
    outcome
}

/// Starts everybody, follows them, and prints what they found.
fn conduct(name: &str, args: &DemoArgs, bytes: usize, stop: &Stop) -> Result<(), Failure> {
    let mut crew = Crew::default();
    for group in GROUPS {
        crew.start(group, &["demo-role", "consumer", name, "--group", group])?;
    }
    crew.start(OBSERVER, &["demo-role", "observer", name])?;
    let progress = Progress::new(&crew.labels());
    let mut ready = 0;
    while ready < crew.len() {
        ready += usize::from(matches!(crew.listen(stop)?, Some((_, Word::Ready))));
    }
    start_producer(&mut crew, name, args)?;
    progress.add(PRODUCER);
    let mut results: Vec<Option<Value>> = vec![None; crew.len()];
    while results.iter().any(Option::is_none) {
        match crew.listen(stop)? {
            None | Some((_, Word::Ready)) => {}
            Some((who, Word::Count(count))) => progress.count(who, count),
            Some((_, Word::Phase { line, total })) => progress.phase(&line, total),
            Some((who, Word::Done(result))) => {
                progress.finish(who);
                if let Some(place) = results.get_mut(who) {
                    *place = Some(result);
                }
            }
        }
    }
    progress.clear();
    let results: Vec<Value> = results.into_iter().flatten().collect();
    let labels = crew.labels();
    let report = report::Report::new(&labels, &results);
    print(&report.text(CAPACITY, bytes))?;
    if report.holds() { Ok(()) } else { Err(Failure::failed("the proof failed: see above")) }
}

fn start_producer(crew: &mut Crew, name: &str, args: &DemoArgs) -> Result<(), Failure> {
    let seconds = args.seconds.as_secs_f64().to_string();
    let rate = args.rate.to_string();
    let count = args.count.map(|count| count.to_string());
    let mut load = vec!["demo-role", "producer", name, "--seconds", &seconds, "--rate", &rate];
    if let Some(count) = &count {
        load.extend(["--count", count]);
    }
    let file = match args.file.as_deref().map(Path::canonicalize).transpose() {
        Ok(file) => file,
        Err(fault) => return Err(io_failed("open the file", &fault)),
    };
    if let Some(path) = &file {
        load.push(path.to_str().ok_or_else(|| {
            Failure::failed("the file's path is not UTF-8: give the demo another name for it")
        })?);
    }
    crew.start(PRODUCER, &load)
}

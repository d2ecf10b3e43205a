//! `slipring demo`: a producer, consumers of two groups and an observer of a real queue, each a process of its own. The
//! parent process only starts them, shows their progress, checks what they report and cleans up.

mod args;
mod findings;
mod produce;
mod progress;
mod read;
mod record;
mod report;

use std::path::Path;

use slipring::Queue;

use crate::children::{self, Children, Event};
use crate::failure::{Failure, io_failed};
use crate::output::print;
use crate::stop::Stop;
use crate::streams::Stream;
use crate::temporary::Temporary;
use args::Role;
pub(crate) use args::{DemoArgs, DemoRoleArgs};
use findings::Findings;
use progress::Progress;
use record::Record;
use report::Report;

/// The queue's capacity: 2 MiB of records.
const CAPACITY: u64 = 16_384;
const GROUPS: [&str; 2] = ["audit", "dashboard"];
const OBSERVER: &str = "observer";
const PRODUCER: &str = "producer";

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
    let report = measure(queue.as_str(), args, &stop)?;
    // Before the report, so that the queue is gone when its last line is read.
    drop(queue);
    print(&report.text(CAPACITY, bytes))?;
    if report.holds() { Ok(()) } else { Err(Failure::failed("the proof failed: see above")) }
}

/// One process of the demo, started by the hidden command.
pub(crate) fn run_role(args: &DemoRoleArgs) -> Result<(), Failure> {
    Stream::Output.check()?;
    let stop = Stop::on_signals()?;
    children::stop_with_parent(stop.clone());
    let findings = match (args.role, &args.group) {
        (Role::Producer, _) => produce::run(&args.name, &args.load, &stop)?,
        (Role::Consumer, Some(group)) => read::consume(&args.name, group, &stop)?,
        (Role::Consumer, None) => {
            return Err(Failure::usage("a consumer needs a --group"));
        }
        (Role::Observer, _) => read::observe(&args.name, &stop)?,
    };
    Event::Done(findings).report()
}

/// Starts all processes, shows their progress, and collects their findings.
fn measure(name: &str, args: &DemoArgs, stop: &Stop) -> Result<Report, Failure> {
    let mut children = Children::<Findings>::default();
    let role = |args: &[&str]| args.iter().map(|arg| (*arg).to_owned()).collect::<Vec<_>>();
    for group in GROUPS {
        children.start(group, &role(&["demo-role", "consumer", name, "--group", group]))?;
    }
    children.start(OBSERVER, &role(&["demo-role", "observer", name]))?;
    children.wait_until_ready(stop)?;
    children.start(PRODUCER, &producer_args(name, args)?)?;
    let progress = Progress::new(&children.labels());
    let findings = children.findings(stop, |event| match event {
        None | Some((_, Event::Ready)) => {}
        Some((child, Event::Count(count))) => progress.count(child, *count),
        Some((_, Event::Phase { line, total })) => progress.phase(line, *total),
        Some((child, Event::Done(_))) => progress.finish(child),
    });
    progress.clear();
    Ok(Report::new(children.labels().into_iter().zip(findings?).collect()))
}

fn producer_args(name: &str, args: &DemoArgs) -> Result<Vec<String>, Failure> {
    let mut list = vec![
        "demo-role".to_owned(),
        "producer".to_owned(),
        name.to_owned(),
        format!("--seconds={}", args.seconds.as_secs_f64()),
        format!("--rate={}", args.rate),
    ];
    list.extend(args.count.map(|count| format!("--count={count}")));
    let file = args.file.as_deref().map(Path::canonicalize).transpose();
    if let Some(path) = file.map_err(|fault| io_failed("open the file", &fault))? {
        list.push(path.into_os_string().into_string().map_err(|_| {
            Failure::failed("the file's path is not UTF-8: give the demo another name for it")
        })?);
    }
    Ok(list)
}

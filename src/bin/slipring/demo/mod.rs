//! `slipring demo`: a producer, consumers of two groups and an observer of a real queue, each a process of its own. The
//! parent process only starts them, shows their progress, checks what they report and cleans up.

mod args;
mod findings;
mod produce;
mod progress;
mod read;
mod record;
mod report;
mod role;

use slipring::Queue;

use crate::children::{self, Children, Event};
use crate::failure::Failure;
use crate::output::print;
use crate::stop::Stop;
use crate::streams::Stream;
use crate::temporary::Temporary;
pub(crate) use args::DemoArgs;
use findings::Findings;
use progress::Progress;
use record::Record;
use report::Report;
pub(crate) use role::Role;
use role::{GROUPS, OBSERVER, PRODUCER, Task};

/// The queue's capacity: 2 MiB of records.
const CAPACITY: u64 = 16_384;

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

/// Runs one process of the demo.
pub(crate) fn run_role(Role { queue, task }: &Role) -> Result<(), Failure> {
    Stream::Output.check()?;
    let stop = Stop::on_signals()?;
    children::stop_with_parent(stop.clone());
    let findings = match task {
        Task::Produce(load) => produce::run(queue, load, &stop)?,
        Task::Consume(group) => read::consume(queue, group, &stop)?,
        Task::Observe => read::observe(queue, &stop)?,
    };
    Event::Done(findings).report()
}

/// Starts all processes, shows their progress, and collects their findings.
fn measure(queue: &str, args: &DemoArgs, stop: &Stop) -> Result<Report, Failure> {
    let mut children = Children::<Findings>::default();
    let role = |task| Role { queue: queue.to_owned(), task };
    for group in GROUPS {
        children.start(group, "demo-role", &role(Task::Consume(group.to_owned())))?;
    }
    children.start(OBSERVER, "demo-role", &role(Task::Observe))?;
    children.wait_until_ready(stop)?;
    children.start(PRODUCER, "demo-role", &role(Task::Produce(args.clone())))?;
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

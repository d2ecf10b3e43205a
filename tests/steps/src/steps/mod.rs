//! The options, the jobs that work them off, and the table of results.

mod between;
mod book;
mod bystanders;
mod clock;
mod image;
mod in_flight;
mod judge;
mod operations;
mod party;
mod records;
mod roles;
mod sabotage;
mod shm;
mod sources;
mod stage;
mod trace;
mod trial;

use std::fmt;
use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Instant;

use judge::Order;
use operations::Operation;
use party::Party;
use sabotage::Sabotage;
use trial::Trial;

const HELP: &str = "\
Kills a process at each state of its operations that others can tell from the one before.

  --operation NAME   only this one (--list names all)
  --change N         only the state behind its change N; 0 is where it begins, one more than
                     there are is where it has returned
  --order WHO        only with these survivors first: consumers, or producer
  --jobs N           so many operations at a time; as many as there are processors unless given
  --sabotage NAME    spoils each state as a broken queue would: the judge has to find it
  --list             names of operations and of acts of sabotage

Needs root, or user namespaces, for a /dev/shm of its own. Exit codes: 0 no violation, 1 some, 2 not done.";

/// The options of a run.
#[derive(Clone, Debug)]
pub(crate) struct Wish {
    operation: Option<String>,
    pub(crate) change: Option<usize>,
    pub(crate) order: Option<Order>,
    jobs: usize,
    pub(crate) sabotage: Option<Sabotage>,
}

/// The figures of one operation.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) steps: AtomicU64,
    pub(crate) states: AtomicU64,
    pub(crate) kills: AtomicU64,
    /// Kills at another state than the intended one.
    pub(crate) strays: AtomicU64,
    pub(crate) violations: AtomicU64,
    /// Operations that could not be run.
    pub(crate) failures: AtomicU64,
}

const OPERATIONS_MAX: usize = 128;

/// What all jobs share, in shared memory.
#[derive(Debug)]
struct Ledger {
    next: AtomicU64,
    tallies: [Tally; OPERATIONS_MAX],
}

impl book::Zeroed for Ledger {}

pub(crate) fn main() -> ExitCode {
    let all = operations::all();
    let asked =
        wish(&all).and_then(|wish| wish.map_or(Ok(None), |wish| run(&wish, &all).map(Some)));
    match asked {
        Ok(None | Some(true)) => ExitCode::SUCCESS,
        Ok(Some(false)) => ExitCode::FAILURE,
        Err(fault) => {
            eprintln!("steps: {fault}");
            ExitCode::from(2)
        }
    }
}

fn wish(all: &[Operation]) -> Result<Option<Wish>, String> {
    let jobs = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let mut wish = Wish { operation: None, change: None, order: None, jobs, sabotage: None };
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or(format!("{arg} needs a value"));
        let number = |value: String| value.parse().map_err(|_| format!("{value} is no number"));
        match arg.as_str() {
            "--help" => {
                println!("{HELP}");
                return Ok(None);
            }
            "--list" => {
                all.iter().for_each(|operation| println!("{}", operation.name));
                Sabotage::ALL.iter().for_each(|act| println!("--sabotage {}", act.name()));
                return Ok(None);
            }
            "--operation" => wish.operation = Some(value()?),
            "--change" => wish.change = Some(number(value()?)?),
            "--jobs" => wish.jobs = number(value()?)?.max(1),
            "--order" => {
                let name = value()?;
                let order = Order::ALL.into_iter().find(|order| order.name() == name);
                wish.order = Some(order.ok_or(format!("there is no order {name:?}"))?);
            }
            "--sabotage" => {
                let name = value()?;
                let act = Sabotage::ALL.into_iter().find(|act| act.name() == name);
                wish.sabotage = Some(act.ok_or(format!("there is no sabotage {name:?}"))?);
            }
            _ => return Err(format!("{arg} means nothing here; --help tells what does")),
        }
    }
    Ok(Some(wish))
}

/// Runs the chosen operations. Returns whether there was neither a violation nor a failure.
fn run(wish: &Wish, all: &[Operation]) -> Result<bool, String> {
    let asked =
        |operation: &&Operation| wish.operation.as_ref().is_none_or(|name| name == operation.name);
    let chosen: Vec<&Operation> = all.iter().filter(asked).collect();
    if chosen.is_empty() {
        return Err("there is no such operation; --list names all".to_owned());
    }
    let since = Instant::now();
    let ledger: &Ledger = book::shared().map_err(|e| format!("cannot share memory: {e}"))?;
    let mut jobs = Vec::new();
    for job in 0..wish.jobs.min(chosen.len()) {
        jobs.push(Party::start("a job", |_| work(wish, &chosen, ledger, job))?);
    }
    for job in jobs {
        job.finish()?;
    }
    let tallies = &ledger.tallies[..chosen.len()];
    let all = Tally::default();
    println!("| operation | instructions | states | kills | violations |");
    println!("| --- | ---: | ---: | ---: | ---: |");
    for (operation, tally) in chosen.iter().zip(tallies) {
        println!("| {} {tally}", operation.name);
        all.add(tally);
    }
    println!("| all {all}");
    let strays = all.strays.load(SeqCst);
    println!("\n{strays} kills were at another state than the one meant; {:.0?}", since.elapsed());
    Ok(all.violations.load(SeqCst) + all.failures.load(SeqCst) == 0)
}

impl Tally {
    fn add(&self, other: &Tally) {
        let pairs = [
            (&self.steps, &other.steps),
            (&self.states, &other.states),
            (&self.kills, &other.kills),
            (&self.strays, &other.strays),
            (&self.violations, &other.violations),
            (&self.failures, &other.failures),
        ];
        for (sum, figure) in pairs {
            sum.fetch_add(figure.load(SeqCst), SeqCst);
        }
    }
}

/// The figures of a row.
impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for figure in [&self.steps, &self.states, &self.kills, &self.violations] {
            write!(f, "| {} ", figure.load(SeqCst))?;
        }
        write!(f, "|")
    }
}

/// Takes one operation after the other until none is left.
fn work(wish: &Wish, chosen: &[&Operation], ledger: &Ledger, job: usize) -> party::Outcome {
    shm::of_our_own()?;
    trial::stay_on_processor(job)?;
    loop {
        let at = ledger.next.fetch_add(1, SeqCst) as usize;
        let Some(operation) = chosen.get(at) else { return Ok(()) };
        let (tally, since) = (&ledger.tallies[at], Instant::now());
        if let Err(fault) = Trial::new(wish, operation, tally).and_then(|trial| trial.run()) {
            println!("{}: not done: {fault}", operation.name);
            tally.failures.fetch_add(1, SeqCst);
        }
        let [kills, strays] = [&tally.kills, &tally.strays].map(|figure| figure.load(SeqCst));
        let (name, took) = (operation.name, since.elapsed());
        eprintln!("{name}: {kills} kills, {strays} of them astray, in {took:.1?}");
    }
}

//! The table of scenarios, and how they are run and printed.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crate::Options;
use crate::common::amqp::Kind;
use crate::common::broker::Broker;
use crate::common::judge::Verdict;
use crate::faults;
use crate::pipeline::{Pipeline, Plan, Report};

/// What a scenario does while the messages pass. It ends the pipeline and says what it found.
type Act = fn(Pipeline, &Dose) -> Finding;

pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    act: Act,
    /// It disturbs the whole broker: no other scenario runs meanwhile.
    alone: bool,
    /// Changes the plan.
    plan: fn(&mut Plan),
}

/// How much of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dose {
    /// How often the fault happens.
    pub(crate) faults: u64,
    /// How long a fault lasts that has a length.
    pub(crate) length: Duration,
}

/// What a scenario found, and what it may find.
#[derive(Debug)]
pub(crate) struct Finding {
    pub(crate) report: Report,
    /// Copies that the broker may have.
    pub(crate) duplicates: u64,
    /// Copies in the broker may be in another order: after a nack or a return.
    pub(crate) reordered: bool,
    /// Bridges may end with an error; the scenario has looked at it.
    pub(crate) failures: bool,
    pub(crate) note: String,
}

impl Finding {
    pub(crate) fn of(report: Report) -> Finding {
        let note = String::new();
        Finding { report, duplicates: 0, reordered: false, failures: false, note }
    }

    pub(crate) fn duplicates(mut self, most: u64) -> Finding {
        self.duplicates = most;
        self
    }

    pub(crate) fn failures(mut self) -> Finding {
        self.failures = true;
        self
    }

    pub(crate) fn reordered(mut self) -> Finding {
        self.reordered = true;
        self
    }

    pub(crate) fn note(mut self, note: impl Into<String>) -> Finding {
        self.note = note.into();
        self
    }

    /// What is wrong, if anything is.
    pub(crate) fn fault(&self) -> Option<String> {
        let report = &self.report;
        let broker = report.broker.unwrap_or_default();
        let mut wrong = Vec::new();
        let mut demand = |holds: bool, what: &str| {
            if !holds {
                wrong.push(what.to_owned());
            }
        };
        demand(broker.lost == 0, "lost before the broker");
        demand(broker.unexpected == 0, "unexpected in the broker");
        demand(broker.duplicated <= self.duplicates, "too many copies in the broker");
        demand(broker.reordered == 0 || self.reordered, "reordered in the broker");
        demand(report.local.lost == 0, "lost");
        demand(report.local.unexpected == 0, "unexpected");
        demand(report.local.duplicated == 0, "duplicated");
        demand(report.local.reordered == 0, "reordered");
        demand(!report.stalled, "stalled");
        if !self.failures
            && let Some(failures) = report.failures()
        {
            wrong.push(failures);
        }
        (!wrong.is_empty()).then(|| wrong.join(", "))
    }
}

const fn scenario(name: &'static str, act: Act) -> Scenario {
    Scenario { name, act, alone: false, plan: |_| {} }
}

const fn alone(name: &'static str, act: Act) -> Scenario {
    Scenario { name, act, alone: true, plan: |_| {} }
}

impl Scenario {
    const fn with(mut self, plan: fn(&mut Plan)) -> Scenario {
        self.plan = plan;
        self
    }
}

/// Names end with the bridge that has the fault; without one it is both.
pub(crate) const ALL: &[Scenario] = &[
    scenario("kill-out", faults::kill_out),
    scenario("kill-in", faults::kill_in),
    scenario("stop-out", faults::stop_out),
    scenario("stop-in", faults::stop_in),
    scenario("term-out", faults::term_out),
    scenario("term-in", faults::term_in),
    scenario("cut-out", faults::cut_out),
    scenario("cut-in", faults::cut_in),
    scenario("slow-out", faults::slow_out),
    scenario("slow-in", faults::slow_in),
    scenario("half-open-out", faults::half_open_out),
    scenario("half-open-in", faults::half_open_in),
    scenario("reject-publish", faults::reject_publish).with(|plan| {
        plan.kind = Kind::Rejecting(20);
        plan.rate = 50_000;
        plan.messages *= 5;
        plan.audited = false;
    }),
    scenario("queue-made-again", faults::made_again).with(|plan| plan.audited = false),
    scenario("credentials-out", faults::credentials_out).with(faults::own_users),
    scenario("credentials-in", faults::credentials_in).with(faults::own_users),
    scenario("producer-killed-out", faults::producer_killed),
    scenario("consumer-killed-in", faults::consumer_killed).with(|plan| plan.capacity_b = 64),
    scenario("full-out", faults::full_out).with(|plan| plan.capacity_a = 64),
    scenario("full-in", faults::full_in).with(|plan| plan.capacity_b = 64),
    scenario("removed-out", faults::removed_out),
    scenario("removed-in", faults::removed_in).with(|plan| {
        plan.capacity_b = 256;
        plan.gap_timeout = "1s";
    }),
    scenario("closed-out", faults::closed_out),
    scenario("closed-in", faults::closed_in),
    alone("memory-alarm", faults::memory_alarm),
    alone("broker-kill", faults::broker_kill),
    alone("broker-restart", faults::broker_restart),
];

/// A row of the table.
struct Row {
    scenario: &'static str,
    kind: &'static str,
    seconds: f64,
    outcome: Result<Finding, String>,
}

impl Row {
    fn fault(&self) -> Option<String> {
        match &self.outcome {
            Ok(finding) => finding.fault(),
            Err(text) => Some(text.clone()),
        }
    }

    fn print(&self) {
        let columns = |verdict: Option<Verdict>| {
            verdict.map_or_else(
                || format!("{:>6} {:>6} {:>6} {:>6}", "-", "-", "-", "-"),
                |v| {
                    format!(
                        "{:>6} {:>6} {:>6} {:>6}",
                        v.lost, v.unexpected, v.duplicated, v.reordered
                    )
                },
            )
        };
        let (broker, local, ends, note) = match &self.outcome {
            Ok(finding) => {
                let report = &finding.report;
                let ends = report.exits.iter().map(Vec::len).sum::<usize>();
                (report.broker, Some(report.local), ends, finding.note.as_str())
            }
            Err(_) => (None, None, 0, ""),
        };
        let (broker, local) = (columns(broker), columns(local));
        let result =
            self.fault().map_or_else(|| "ok".to_owned(), |fault| format!("FAILED: {fault}"));
        println!(
            "{:<20} {:<9} {:>6.1} {ends:>4} | {broker} | {local} | {result} {note}",
            self.scenario, self.kind, self.seconds
        );
    }
}

pub(crate) fn list(options: &Options) {
    for scenario in ALL.iter().filter(|scenario| matches(options, scenario)) {
        println!("{}: test", scenario.name);
    }
}

fn matches(options: &Options, scenario: &Scenario) -> bool {
    options.filter.is_empty() || options.filter.iter().any(|part| scenario.name.contains(part))
}

/// Runs the chosen scenarios and prints a row for each; false if one failed.
pub(crate) fn run(options: &Options) -> bool {
    let chosen: Vec<&Scenario> = ALL.iter().filter(|scenario| matches(options, scenario)).collect();
    if chosen.is_empty() {
        return true;
    }
    let Some(broker) = Broker::start() else { return true };
    let began = Instant::now();
    println!(
        "scenario             queue     second ends |   lost unexp.  dupl. reord. |   lost unexp.  dupl. reord. |"
    );
    println!(
        "                                           |     in the broker           |   back in slipring          |"
    );
    let kinds: &[Kind] =
        if options.long { &[Kind::Classic, Kind::Quorum] } else { &[Kind::Classic] };
    let jobs = |is_alone: bool| {
        let mut jobs = Vec::new();
        for scenario in chosen.iter().filter(|scenario| scenario.alone == is_alone) {
            for kind in kinds {
                jobs.extend((0..options.repeat).map(|number| (*scenario, *kind, number)));
            }
        }
        // The last one is taken first.
        jobs.reverse();
        jobs
    };
    // Scenarios mostly wait: four at a time keep two processors busy.
    let (good, bad) = (Mutex::new(0), Mutex::new(0));
    let work = |jobs: &Mutex<Vec<(&Scenario, Kind, u32)>>| {
        while let Some((scenario, kind, number)) = { jobs.lock().unwrap().pop() } {
            let row = play(&broker, scenario, kind, &number.to_string(), options.long, &[]);
            row.print();
            *if row.fault().is_none() { &good } else { &bad }.lock().unwrap() += 1;
        }
    };
    let together = Arc::new(Mutex::new(jobs(false)));
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| work(&together));
        }
    });
    work(&Mutex::new(jobs(true)));
    let (good, bad) = (good.into_inner().unwrap(), bad.into_inner().unwrap());
    println!("{good} passed, {bad} failed\nin {:.0} s", began.elapsed().as_secs_f64());
    bad == 0
}

/// Plays one scenario to its end. `tag` tells it from others of its name.
fn play(
    broker: &Broker,
    scenario: &Scenario,
    kind: Kind,
    tag: &str,
    long: bool,
    environment: &[(String, String)],
) -> Row {
    let began = Instant::now();
    let mut plan = Plan {
        name: format!("{}-{}-{tag}", scenario.name, kind.name()),
        kind,
        messages: if long { 40_000 } else { 4_000 },
        rate: 2_000,
        window: 100,
        capacity_a: 1024,
        capacity_b: 1024,
        gap_timeout: "30s",
        audited: true,
        users: None,
        patience: Duration::from_secs(60),
        environment: environment.to_vec(),
    };
    (scenario.plan)(&mut plan);
    if !environment.is_empty() || std::env::var_os("SLIPRING_MUTANT").is_some() {
        // A mutant's messages may never come.
        (plan.gap_timeout, plan.patience) = ("2s", Duration::from_secs(8));
    }
    let dose = Dose {
        faults: if long { 20 } else { 3 },
        length: Duration::from_secs(if long { 60 } else { 4 }),
    };
    let kind = plan.kind.name();
    let played =
        catch_unwind(AssertUnwindSafe(|| (scenario.act)(Pipeline::start(broker, plan), &dose)));
    let outcome = played.map_err(|cause| {
        let text = cause.downcast_ref::<String>().map(String::as_str);
        text.or(cause.downcast_ref::<&str>().copied()).unwrap_or("panicked").to_owned()
    });
    Row { scenario: scenario.name, kind, seconds: began.elapsed().as_secs_f64(), outcome }
}

/// Plays a scenario with a mutant of the bridge, and says how that was caught.
pub(crate) fn caught(broker: &Broker, scenario: &Scenario, mutant: &str) -> Option<String> {
    let environment = [("SLIPRING_MUTANT".to_owned(), mutant.to_owned())];
    let row = play(broker, scenario, Kind::Classic, mutant, false, &environment);
    row.fault()
}

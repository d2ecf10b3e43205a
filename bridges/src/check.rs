//! Whether bridges could work: their options, the queues of this machine, and the broker. Takes no message and makes nothing.

use std::io::{self, Write};
use std::path::Path;

use serde::Serialize;
use slipring::{Mode, Queue, Snapshot};

use crate::bridge;
#[cfg(feature = "tls")]
use crate::certificates;
use crate::failure::{Cause, Failure};
use crate::fault::Kind;
use crate::options::{Access, InOptions, OutOptions};
use crate::run::{Bridge, Plan};
use crate::stop::Stop;

/// What was found of one bridge.
#[derive(Debug, Serialize)]
struct Report {
    bridge: String,
    ok: bool,
    findings: Vec<Finding>,
}

#[derive(Debug, Serialize)]
struct Finding {
    what: &'static str,
    ok: bool,
    text: String,
    #[serde(skip)]
    cause: Cause,
}

#[derive(Serialize)]
struct Reports<'r> {
    bridges: &'r [Report],
}

/// How to look.
#[derive(Clone, Copy, Debug)]
pub(crate) struct How<'a> {
    /// Connects to no broker.
    pub(crate) offline: bool,
    pub(crate) json: bool,
    pub(crate) allowed: &'a [u32],
}

/// Checks what a file describes, and prints what it finds. Fails if one of the bridges could not work.
pub(crate) fn run(file: &Path, how: How<'_>, stop: &Stop) -> Result<(), Failure> {
    let plan = Plan::read(file)?;
    let reports: Vec<Report> = plan.bridges().map(|bridge| Checks::of(bridge, how, stop)).collect();
    if how.json {
        let text = serde_json::to_string(&Reports { bridges: &reports });
        show(&(text.map_err(|fault| Failure::failed(fault.to_string()))? + "\n"))?;
    } else {
        show(&reports.iter().map(Report::text).collect::<String>())?;
    }
    let mut wrong = reports.iter().flat_map(|report| &report.findings).filter(|found| !found.ok);
    wrong.next().map_or(Ok(()), |first| {
        let count = reports.iter().filter(|report| !report.ok).count();
        let text = format!("{count} of {} bridges could not work", reports.len());
        Err(Failure { cause: first.cause.clone(), ..Failure::failed(text) })
    })
}

/// On standard output. If nobody reads it any more, the exit code says how it ended.
fn show(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(fault) if fault.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::failed(format!("cannot write: {fault}")))
        }
        _ => Ok(()),
    }
}

impl Report {
    fn text(&self) -> String {
        let mut text = format!("{}\n", self.bridge);
        for Finding { what, ok, text: found, .. } in &self.findings {
            let verdict = if *ok { "ok" } else { "WRONG" };
            text.push_str(&format!("  {verdict:5} {what}: {found}\n"));
        }
        text
    }
}

struct Checks<'a> {
    how: How<'a>,
    findings: Vec<Finding>,
}

impl Checks<'_> {
    fn of(bridge: Bridge<'_>, how: How<'_>, stop: &Stop) -> Report {
        let mut checks = Checks { how, findings: Vec::new() };
        match bridge {
            Bridge::Out(options) => checks.out(options, stop),
            Bridge::In(options) => checks.in_(options, stop),
        }
        let ok = checks.findings.iter().all(|finding| finding.ok);
        Report { bridge: bridge.name(), ok, findings: checks.findings }
    }

    fn found(&mut self, what: &'static str, outcome: Result<String, Failure>) {
        let (ok, text, cause) = match outcome {
            Ok(text) => (true, text, Cause::Failed),
            Err(Failure { cause, text, .. }) => (false, text, cause),
        };
        self.findings.push(Finding { what, ok, text, cause });
    }

    fn out(&mut self, options: &OutOptions, stop: &Stop) {
        let built = bridge::sink(options).map(|(_, what)| format!("to {what}"));
        let sound = built.is_ok();
        self.found("options", built);
        self.certificates(options.access());
        if let Some((_, snapshot)) = self.queue(&options.queue) {
            self.found("group", group(options, &snapshot));
        }
        if sound && !self.how.offline {
            let probed = bridge::probe_out(options, stop);
            self.broker(probed, options.declare.is_some());
        }
    }

    fn in_(&mut self, options: &InOptions, stop: &Stop) {
        let built = bridge::source(options).map(|(_, what)| format!("from {what}"));
        let sound = built.is_ok();
        self.found("options", built);
        self.certificates(options.access());
        if options.create && Queue::open(&options.to).is_err() {
            self.found("queue", Ok("would be made".to_owned()));
        } else if let Some((_, snapshot)) = self.queue(&options.to) {
            let text = match snapshot.max_streams {
                0 => "none: a message is there once or several times (slipring create --sources \
                      N makes a queue for messages that are there once)"
                    .to_owned(),
                streams => format!("for {streams} streams: a message of a stream is there once"),
            };
            self.found("sources", Ok(text));
        }
        if sound && !self.how.offline {
            let probed = bridge::probe_in(options, stop);
            self.broker(probed, options.declare.is_some());
        }
    }

    #[cfg(feature = "tls")]
    fn certificates(&mut self, access: Access<'_>) {
        if let Some(path) = access.ca {
            self.found("ca", certificates::authorities(path));
        }
        if let Some(path) = access.cert {
            self.found("cert", certificates::own(path));
        }
    }

    #[cfg(not(feature = "tls"))]
    fn certificates(&mut self, _: Access<'_>) {}

    fn queue(&mut self, name: &str) -> Option<(Queue, Snapshot)> {
        let opened = bridge::open(name, self.how.allowed).and_then(|queue| {
            let snapshot = queue.snapshot()?;
            Ok((queue, snapshot))
        });
        let text = |snapshot: &Snapshot| {
            let Snapshot { capacity, payload_size, .. } = snapshot;
            format!("{capacity} messages of up to {payload_size} bytes")
        };
        match opened {
            Ok((queue, snapshot)) => {
                self.found("queue", Ok(text(&snapshot)));
                Some((queue, snapshot))
            }
            Err(failure) => {
                self.found("queue", Err(failure));
                None
            }
        }
    }

    fn broker(&mut self, probed: Result<(), crate::fault::Fault>, declares: bool) {
        let outcome = match probed {
            Ok(()) => Ok("connected, and the destination is there".to_owned()),
            Err(fault) if fault.kind == Kind::DestinationMissing && declares => {
                Ok(format!("connected, and --declare would make it: {fault}"))
            }
            Err(fault) if fault.kind == Kind::Refused => Err(Failure::refused(fault.text)),
            Err(fault) => Err(Failure::failed(fault.text)),
        };
        self.found("broker", outcome);
    }
}

fn group(options: &OutOptions, snapshot: &Snapshot) -> Result<String, Failure> {
    let group = &options.group;
    let Some(info) = snapshot.groups.iter().find(|info| info.name == *group) else {
        return Ok(format!("{group:?} would be made, from the oldest message on"));
    };
    if info.mode != Some(Mode::Exclusive) {
        return Err(Failure::failed(format!("{group:?} is shared: it has no order to keep")));
    }
    if let Some(limit) = info.max_attempts {
        return Err(Failure::failed(format!(
            "{group:?} gives a message up after {limit} deliveries: it must have no limit"
        )));
    }
    Ok(format!("{group:?}, {} messages wait", info.depth))
}

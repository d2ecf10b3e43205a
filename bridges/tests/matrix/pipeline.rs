//! Two local queues, a queue of the broker, and the bridges between them.

use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use slipring::{Group, Queue};

use crate::collector::Collector;
use crate::common::amqp::{Amqp, Kind};
use crate::common::broker::Broker;
use crate::common::judge::{Verdict, judge, number};
use crate::common::link::Link;
use crate::roles::Role;
use crate::supervisor::{Exit, Supervisor, was_killed};

/// One of the two bridges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Out,
    In,
}

/// How a scenario's pipeline is made.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) messages: u64,
    /// Messages a second that the producer sends.
    pub(crate) rate: u64,
    pub(crate) window: u64,
    pub(crate) capacity_a: u64,
    pub(crate) capacity_b: u64,
    /// How long `in` waits for a message that is missing.
    pub(crate) gap_timeout: &'static str,
    /// A second queue of the broker gets a copy of each message, and keeps it: what `out` wrote.
    pub(crate) audited: bool,
    /// Users of the broker, if not guest.
    pub(crate) users: Option<[String; 2]>,
    /// How long nothing may come before the scenario gives up.
    pub(crate) patience: Duration,
    /// For each bridge.
    pub(crate) environment: Vec<(String, String)>,
}

pub(crate) struct Pipeline<'a> {
    pub(crate) plan: Plan,
    pub(crate) broker: &'a Broker,
    pub(crate) a: String,
    pub(crate) b: String,
    pub(crate) links: [Link; 2],
    pub(crate) out: Supervisor,
    /// None while the scenario wants none.
    pub(crate) inward: Option<Supervisor>,
    pub(crate) collector: Collector,
    pub(crate) producer: Option<Role>,
    folder: PathBuf,
    stalled: bool,
}

/// What a scenario found.
#[derive(Debug)]
pub(crate) struct Report {
    /// None if the broker kept no copy.
    pub(crate) broker: Option<Verdict>,
    pub(crate) local: Verdict,
    pub(crate) exits: [Vec<Exit>; 2],
    /// Nothing came any more, though not all had come.
    pub(crate) stalled: bool,
}

impl<'a> Pipeline<'a> {
    pub(crate) fn start(broker: &'a Broker, plan: Plan) -> Pipeline<'a> {
        let amqp = Amqp::connect(&broker.url());
        amqp.declare(&plan.name, plan.kind);
        if plan.audited {
            let audit = plan.audit();
            amqp.declare(&audit, plan.kind);
            amqp.fan_out(&plan.name, &[&plan.name, &audit]);
        }
        let name = format!("matrix-{}-{}", std::process::id(), plan.name);
        let (a, b) = (format!("{name}-a"), format!("{name}-b"));
        let folder = std::env::temp_dir().join(&name);
        std::fs::create_dir(&folder).unwrap();
        create_a(&a, &plan);
        create_b(&b, &plan);
        let collector = Collector::of(&b);
        let links = [Link::to(&broker.address), Link::to(&broker.address)];
        let out = Supervisor::start(
            plan.out_args(&links[0], &a),
            plan.environment(0),
            &folder.join("out"),
        );
        let mut pipeline = Pipeline {
            plan,
            broker,
            a,
            b,
            links,
            out,
            inward: None,
            collector,
            producer: None,
            folder,
            stalled: false,
        };
        pipeline.start_in(&[]);
        pipeline
    }

    /// Starts the bridge from the broker, with more arguments.
    pub(crate) fn start_in(&mut self, more: &[&str]) {
        let mut args = self.plan.in_args(&self.links[1], &self.b);
        args.extend(more.iter().map(|arg| (*arg).to_owned()));
        self.inward =
            Some(Supervisor::start(args, self.plan.environment(1), &self.folder.join("in")));
    }

    /// Ends it by SIGTERM, and starts it no more.
    pub(crate) fn stop_in(&mut self) -> Vec<Exit> {
        self.inward.take().map_or_else(Vec::new, |mut inward| inward.stop())
    }

    pub(crate) fn bridge(&self, side: Side) -> &Supervisor {
        match side {
            Side::Out => &self.out,
            Side::In => self.inward.as_ref().unwrap(),
        }
    }

    pub(crate) fn link(&self, side: Side) -> &Link {
        &self.links[side as usize]
    }

    /// Starts to send all messages, and closes the queue after the last one.
    pub(crate) fn produce(&mut self) {
        self.produce_part(1, self.plan.messages, true);
    }

    pub(crate) fn produce_part(&mut self, first: u64, last: u64, close: bool) {
        self.producer = Some(Role::produce(&self.a, first, last, self.plan.rate, close));
    }

    /// A file of this scenario.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Waits until that many messages have come out; false, from then on at once, if nothing comes any more.
    pub(crate) fn wait_collected(&mut self, count: u64) -> bool {
        let mut had = self.collector.count();
        let mut since = Instant::now();
        while self.collector.count() < count && !self.stalled {
            thread::sleep(Duration::from_millis(2));
            let has = self.collector.count();
            if has > had {
                (had, since) = (has, Instant::now());
            }
            self.stalled = since.elapsed() > self.plan.patience;
        }
        !self.stalled
    }

    /// Waits until part `part` of `parts` of the messages has come out.
    pub(crate) fn wait_part(&mut self, part: u64, parts: u64) {
        let count = self.plan.messages * part / parts;
        self.wait_collected(count);
    }

    /// Waits for the last message and stops everything; compares with what was sent.
    pub(crate) fn finish(mut self) -> Report {
        let sent = 1..=self.plan.messages;
        if self.wait_collected(self.plan.messages) {
            // It was closed, and is worked off.
            self.out.join();
        }
        // A copy of the last message would come now.
        thread::sleep(Duration::from_millis(300));
        let exits = [self.out.stop(), self.stop_in()];
        let broker = self.audit().map(|seen| judge(sent.clone(), seen));
        let local = judge(sent, self.collector.seen());
        Report { broker, local, exits, stalled: self.stalled }
    }

    /// Stops everything; the scenario has judged for itself.
    pub(crate) fn finish_early(mut self) -> Report {
        let exits = [self.out.stop(), self.stop_in()];
        Report { broker: None, local: Verdict::EXACT, exits, stalled: self.stalled }
    }

    /// What the broker's second queue has.
    pub(crate) fn audit(&self) -> Option<Vec<Option<u64>>> {
        let audit = self.plan.audited.then(|| self.plan.audit())?;
        let stored = Amqp::connect(&self.broker.url()).drain(&audit);
        Some(stored.iter().map(|message| number(&message.body)).collect())
    }
}

impl Drop for Pipeline<'_> {
    fn drop(&mut self) {
        self.producer = None;
        self.out.stop_now();
        self.inward = None;
        let _ = (slipring::force_remove(&self.a), slipring::force_remove(&self.b));
        // Where the broker is down, its folder goes anyway.
        if !thread::panicking() {
            let amqp = Amqp::connect(&self.broker.url());
            amqp.delete(&self.plan.name);
            amqp.delete(&self.plan.audit());
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

pub(crate) fn create_a(name: &str, plan: &Plan) {
    let queue = Queue::builder(name).payload_size(64).capacity(plan.capacity_a).sources(4);
    queue.group("rabbit").create().unwrap();
}

pub(crate) fn create_b(name: &str, plan: &Plan) {
    let queue = Queue::builder(name).payload_size(64).capacity(plan.capacity_b).sources(4);
    queue.group(Group::named("collector")).create().unwrap();
}

impl Plan {
    fn audit(&self) -> String {
        format!("{}.audit", self.name)
    }

    fn url(&self, link: &Link) -> String {
        format!("amqp://{}/%2f?heartbeat=2", link.address)
    }

    fn out_args(&self, link: &Link, a: &str) -> Vec<String> {
        let (url, window) = (self.url(link), self.window.to_string());
        let mut args = vec!["out", a, "--group", "rabbit", "--to", &url, "--window", &window];
        args.extend(["--routing-key", &self.name]);
        if self.audited {
            args.extend(["--exchange", &self.name]);
        }
        self.with_user(0, args)
    }

    fn in_args(&self, link: &Link, b: &str) -> Vec<String> {
        let (url, prefetch) = (self.url(link), (2 * self.window).to_string());
        let mut args = vec!["in", &url, "--from", &self.name, "--to", b, "--prefetch", &prefetch];
        args.extend(["--gap-timeout", self.gap_timeout]);
        self.with_user(1, args)
    }

    fn with_user<'a>(&'a self, index: usize, mut args: Vec<&'a str>) -> Vec<String> {
        if let Some(users) = &self.users {
            args.extend(["--user", &users[index], "--password-env", "MATRIX_PASSWORD"]);
        }
        args.into_iter().map(str::to_owned).collect()
    }

    fn environment(&self, index: usize) -> Vec<(String, String)> {
        let mut all = self.environment.clone();
        if let Some(users) = &self.users {
            all.push(("MATRIX_PASSWORD".to_owned(), users[index].clone()));
        }
        all
    }
}

impl Report {
    /// How often a bridge had to be started again.
    pub(crate) fn kills(&self, side: Side) -> u64 {
        self.exits[side as usize].iter().filter(|exit| was_killed(exit)).count() as u64
    }

    /// Bridges that ended otherwise than by our signals or with success: what the last one said.
    pub(crate) fn failures(&self) -> Option<String> {
        let fine = |exit: &&Exit| {
            was_killed(exit) || [0, 128 + Signal::SIGTERM as i32].map(Some).contains(&exit.code())
        };
        let all = self.exits.iter().flatten();
        let failed: Vec<&Exit> = all.filter(|exit| !fine(exit)).collect();
        let last = failed.last()?;
        let said = last.said.lines().find(|line| line.starts_with("error")).unwrap_or(&last.said);
        Some(format!("{} bridges failed, the last with {}: {said}", failed.len(), last.status))
    }
}

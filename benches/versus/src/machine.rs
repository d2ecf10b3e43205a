//! The machine that the figures are of.

use std::fs;

use nix::sys::resource::{UsageWho, getrusage};
use serde::Serialize;

use crate::{cpus, ticks};

#[derive(Serialize)]
pub(crate) struct Machine {
    pub(crate) processor: String,
    pub(crate) processors: usize,
    /// Those that the ends are pinned to.
    pub(crate) pinned: Vec<usize>,
    pub(crate) kernel: String,
    /// What delays are taken from.
    pub(crate) clock: &'static str,
    /// Of this process: above 0 it gives way to others.
    pub(crate) nice: i64,
    /// What ran on it: the average of the minute before this began, and at the end. This itself makes up to 2 of that.
    pub(crate) load: [f64; 2],
    /// Of the time of the processors that the ends are pinned to, while this ran.
    pub(crate) others_percent: f64,
    pub(crate) steal_percent: f64,
    /// How often this and its other end were taken off a processor.
    pub(crate) involuntary_switches: i64,
    /// What spoils the figures.
    pub(crate) warnings: Vec<String>,
    #[serde(skip)]
    before: Ticks,
}

/// Of the processors that the ends are pinned to, in hundredths of a second; and of this process.
#[derive(Clone, Copy, Default)]
struct Ticks {
    all: i64,
    idle: i64,
    steal: i64,
    own: i64,
    involuntary: i64,
}

impl Machine {
    pub(crate) fn look() -> Machine {
        let info = read("/proc/cpuinfo");
        let field = |name: &str| {
            let line =
                info.lines().find(|line| line.trim_end_matches(|c| c != ':').starts_with(name));
            line.and_then(|line| line.split_once(':')).map_or("?", |(_, value)| value.trim())
        };
        let [name, family, model] = ["model name", "cpu family", "model\t"].map(field);
        let pinned = cpus::choose();
        Machine {
            processor: format!("{name}, family {family}, model {model}"),
            processors: info.lines().filter(|line| line.starts_with("processor")).count(),
            pinned: if cpus::two() { pinned.to_vec() } else { Vec::new() },
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            clock: ticks::source(),
            nice: nice(),
            load: [load(); 2],
            others_percent: 0.0,
            steal_percent: 0.0,
            involuntary_switches: 0,
            warnings: Vec::new(),
            before: Ticks::now(),
        }
    }

    /// To be called when all was measured. `moved`: the share of the works in which the ends moved.
    pub(crate) fn look_again(&mut self, moved: f64) {
        let (before, now) = (self.before, Ticks::now());
        let all = (now.all - before.all).max(1) as f64;
        let part = |ticks: i64| (100.0 * ticks as f64 / all).max(0.0);
        let busy = (now.all - now.idle) - (before.all - before.idle);
        self.load[1] = load();
        self.steal_percent = part(now.steal - before.steal);
        self.others_percent = part(busy - (now.own - before.own)) - self.steal_percent;
        self.others_percent = self.others_percent.max(0.0);
        self.involuntary_switches = now.involuntary - before.involuntary;
        let seconds = all / 100.0 / self.pinned.len().max(1) as f64;
        self.warnings = self.spoils(seconds, moved);
    }

    /// What makes these figures worse than the machine could.
    fn spoils(&self, seconds: f64, moved: f64) -> Vec<String> {
        let mut spoils = Vec::new();
        let mut warn = |spoilt, text: String| {
            if spoilt {
                spoils.push(text);
            }
        };
        let Machine { load, others_percent, steal_percent, nice, .. } = self;
        warn(
            load[0] > 0.5,
            format!("the load was {} before this began: end what runs beside it", load[0]),
        );
        warn(
            *others_percent > 3.0,
            format!("others had {others_percent:.0} % of the two processors meanwhile"),
        );
        warn(
            *steal_percent > 1.0,
            format!("the hypervisor gave {steal_percent:.0} % of the two processors to others"),
        );
        let switches = self.involuntary_switches as f64 / seconds;
        warn(
            switches > 100.0,
            format!("the ends were taken off their processors {switches:.0} times a second"),
        );
        warn(*nice > 0, format!("this ran at nice level {nice}, and gave way to others"));
        warn(
            self.pinned.is_empty(),
            "both ends share one processor: nothing here says how fast a queue is".to_owned(),
        );
        warn(
            moved > 0.2,
            format!(
                "in {:.0} % of the slices' time the processors moved nearer or farther",
                moved * 100.0
            ),
        );
        spoils
    }

    /// What it is, in lines.
    pub(crate) fn lines(&self) -> Vec<String> {
        let Machine { processor, processors, pinned, kernel, clock, nice, load, .. } = self;
        let ends = match &pinned[..] {
            [here, there] => format!("One end runs on processor {here}, the other on {there}."),
            _ => "Only one processor may be used: both ends run on it, and yield.".to_owned(),
        };
        vec![
            format!("{processors} processors ({processor}), Linux {kernel}. {ends}"),
            format!(
                "Delays are taken from {clock}. Nice level {nice}, load {} before this began.",
                load[0]
            ),
        ]
    }

    /// What happened meanwhile, in lines.
    pub(crate) fn after(&self) -> Vec<String> {
        let Machine { load, others_percent, steal_percent, involuntary_switches, .. } = self;
        let mut lines = vec![format!(
            "Load {} at the end (up to 2 of it this itself); steal {steal_percent:.1} %, others \
             {others_percent:.1} % of the two processors' time; {involuntary_switches} involuntary context switches.",
            load[1]
        )];
        lines.extend(self.warnings.iter().map(|warning| format!("**Warning**: {warning}.")));
        lines
    }
}

impl Ticks {
    fn now() -> Ticks {
        let mut ticks = Ticks::default();
        let stat = read("/proc/stat");
        for cpu in cpus::choose() {
            let name = format!("cpu{cpu} ");
            let line = stat.lines().find_map(|line| line.strip_prefix(&name)).unwrap_or("");
            // user nice system idle iowait irq softirq steal; the rest is in these already.
            let fields: Vec<i64> =
                line.split_whitespace().take(8).filter_map(|it| it.parse().ok()).collect();
            let field = |at: usize| fields.get(at).copied().unwrap_or(0);
            ticks.all += fields.iter().sum::<i64>();
            ticks.idle += field(3) + field(4);
            ticks.steal += field(7);
        }
        for who in [UsageWho::RUSAGE_SELF, UsageWho::RUSAGE_CHILDREN] {
            let Ok(usage) = getrusage(who) else { continue };
            for time in [usage.user_time(), usage.system_time()] {
                ticks.own += time.tv_sec() * 100 + time.tv_usec() / 10_000;
            }
            ticks.involuntary += usage.involuntary_context_switches();
        }
        ticks
    }
}

/// The 19th field of what the kernel says of this process; its name, the second, may hold anything.
fn nice() -> i64 {
    let stat = read("/proc/self/stat");
    let rest = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    rest.split_whitespace().nth(16).and_then(|it| it.parse().ok()).unwrap_or(0)
}

fn load() -> f64 {
    let load = read("/proc/loadavg");
    load.split(' ').next().and_then(|it| it.parse().ok()).unwrap_or(f64::NAN)
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::Machine;

    #[test]
    fn what_spoils_the_figures_is_said() {
        let mut machine = Machine::look();
        machine.load[0] = 0.0;
        machine.nice = 0;
        machine.pinned = vec![0, 1];
        assert_eq!(machine.spoils(10.0, 0.0), Vec::<String>::new());
        machine.load[0] = 7.5;
        machine.nice = 19;
        machine.steal_percent = 5.0;
        machine.others_percent = 40.0;
        machine.involuntary_switches = 100_000;
        let warnings = machine.spoils(10.0, 0.5).join("; ");
        for part in ["load was 7.5", "nice level 19", "5 %", "40 %", "10000 times", "50 %"] {
            assert!(warnings.contains(part), "{part}: {warnings}");
        }
    }
}

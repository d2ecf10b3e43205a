//! The machine on which the figures were measured.

use std::fs;

use nix::sys::resource::{UsageWho, getrusage};
use serde::Serialize;

use crate::{cpus, ticks};

#[derive(Serialize)]
pub(crate) struct Machine {
    pub(crate) processor: String,
    pub(crate) processors: usize,
    /// The processors that the ends are pinned to.
    pub(crate) pinned: Vec<usize>,
    pub(crate) kernel: String,
    /// The clock that delays are measured with.
    pub(crate) clock: &'static str,
    /// The nice level of this process.
    pub(crate) nice: i64,
    /// The load average of the minute before the start, and of the last minute. The benchmark itself adds up to 2.
    pub(crate) load: [f64; 2],
    /// Shares of the pinned processors' time during the measurement: other programs, and the hypervisor.
    pub(crate) others_percent: f64,
    pub(crate) steal_percent: f64,
    /// Involuntary context switches of this process and of the other end's processes.
    pub(crate) involuntary_switches: i64,
    /// What makes the figures unreliable.
    pub(crate) warnings: Vec<String>,
    #[serde(skip)]
    before: Ticks,
}

/// Times of the pinned processors and of this process, in hundredths of a second.
#[derive(Clone, Copy, Default)]
struct Ticks {
    all: i64,
    idle: i64,
    steal: i64,
    own: i64,
    involuntary: i64,
}

impl Machine {
    pub(crate) fn read() -> Machine {
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

    /// Completes it after the measurement. `moved` is the share of the works during which the placement changed.
    pub(crate) fn finish(&mut self, moved: f64) {
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
        self.warnings = self.warnings(seconds, moved);
    }

    /// What makes the figures unreliable.
    fn warnings(&self, seconds: f64, moved: f64) -> Vec<String> {
        let mut warnings = Vec::new();
        let mut warn = |condition, text: String| {
            if condition {
                warnings.push(text);
            }
        };
        let Machine { load, others_percent, steal_percent, nice, .. } = self;
        warn(
            load[0] > 0.5,
            format!("the load average was {} before the start: end the other programs", load[0]),
        );
        warn(
            *others_percent > 3.0,
            format!("other programs used {others_percent:.0} % of the two processors' time"),
        );
        warn(
            *steal_percent > 1.0,
            format!("the hypervisor took {steal_percent:.0} % of the two processors' time (steal)"),
        );
        let switches = self.involuntary_switches as f64 / seconds;
        warn(
            switches > 100.0,
            format!("other programs preempted the ends {switches:.0} times a second"),
        );
        warn(
            *nice > 0,
            format!("the benchmark ran at nice level {nice}: other programs went first"),
        );
        warn(
            self.pinned.is_empty(),
            "both ends share one processor: no figure here shows how fast a queue is".to_owned(),
        );
        warn(
            moved > 0.2,
            format!(
                "the distance of the processors changed during {:.0} % of the groups of slices",
                moved * 100.0
            ),
        );
        warnings
    }

    /// The machine, in lines.
    pub(crate) fn lines(&self) -> Vec<String> {
        let Machine { processor, processors, pinned, kernel, clock, nice, load, .. } = self;
        let ends = match &pinned[..] {
            [here, there] => format!("One end runs on processor {here}, the other on {there}."),
            _ => "There is only one usable processor: both ends run on it, and yield.".to_owned(),
        };
        vec![
            format!("{processors} processors ({processor}), Linux {kernel}. {ends}"),
            format!(
                "Delays are measured with {clock}. Nice level {nice}, load average {} before the start.",
                load[0]
            ),
        ]
    }

    /// What happened during the measurement, in lines.
    pub(crate) fn after(&self) -> Vec<String> {
        let Machine { load, others_percent, steal_percent, involuntary_switches, .. } = self;
        let mut lines = vec![format!(
            "Load average {} at the end (the benchmark itself adds up to 2); steal {steal_percent:.1} %, others \
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
            // user nice system idle iowait irq softirq steal; the fields after them are included in these.
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

/// The 19th field of proc_pid_stat(5). The second, the name, may contain spaces and parentheses.
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
    fn what_makes_the_figures_unreliable_has_a_warning() {
        let mut machine = Machine::read();
        machine.load[0] = 0.0;
        machine.nice = 0;
        machine.pinned = vec![0, 1];
        assert_eq!(machine.warnings(10.0, 0.0), Vec::<String>::new());
        machine.load[0] = 7.5;
        machine.nice = 19;
        machine.steal_percent = 5.0;
        machine.others_percent = 40.0;
        machine.involuntary_switches = 100_000;
        let warnings = machine.warnings(10.0, 0.5).join("; ");
        for part in ["load average was 7.5", "nice level 19", "5 %", "40 %", "10000 times", "50 %"]
        {
            assert!(warnings.contains(part), "{part}: {warnings}");
        }
    }
}

//! The machine on which the figures were measured.

use std::collections::BTreeSet;
use std::fs;

use jiff::Timestamp;
use serde::Serialize;

use super::processors::{self, UNKNOWN, core_of, fact, file_line};
use crate::json::Time;

#[derive(Debug, Serialize)]
pub(crate) struct Machine {
    processor: String,
    processors: usize,
    /// The processors that the program may use.
    pub(crate) usable: Vec<usize>,
    /// The processors of each core, as the kernel lists them. Those of one core share its execution units and caches.
    cores: BTreeSet<String>,
    caches: String,
    governor: String,
    #[serde(rename = "virtual")]
    is_virtual: bool,
    kernel: String,
    /// The kernel's clock source: reading it is part of some delays.
    clock: String,
    /// Of the start.
    time: Time,
    /// The load average of the minute before the start.
    pub(crate) load: f64,
    pub(crate) nice: i64,
    version: &'static str,
    pub(crate) build: &'static str,
    command: String,
}

impl Machine {
    /// Reads it from the kernel. To be called before the benchmark itself adds to the load.
    pub(crate) fn read() -> Machine {
        let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let field = |name: &str| {
            let line = info.lines().find(|line| line.starts_with(name));
            line.and_then(|line| line.split_once(':')).map_or("?", |(_, value)| value.trim())
        };
        let processor = match field("model name") {
            "?" => std::env::consts::ARCH.to_owned(),
            name => format!("{name}, family {}, model {}", field("cpu family"), field("model\t")),
        };
        let load = file_line("/proc/loadavg");
        let processors = info.lines().filter(|line| line.starts_with("processor")).count();
        let arguments = std::env::args_os().skip(1).map(|it| it.to_string_lossy().into_owned());
        Machine {
            processor,
            processors,
            usable: processors::usable().unwrap_or_default(),
            cores: (0..processors).map(core_of).collect(),
            caches: caches(),
            governor: fact(0, "cpufreq/scaling_governor"),
            is_virtual: field("flags").split(' ').any(|flag| flag == "hypervisor"),
            clock: file_line("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
            time: Time::now(),
            kernel: format!("Linux {}", file_line("/proc/sys/kernel/osrelease")),
            load: load.split(' ').next().and_then(|it| it.parse().ok()).unwrap_or(0.0),
            nice: nice(&file_line("/proc/self/stat")),
            version: env!("CARGO_PKG_VERSION"),
            build: if cfg!(debug_assertions) { "debug" } else { "release" },
            command: std::iter::once("slipring".to_owned())
                .chain(arguments)
                .collect::<Vec<_>>()
                .join(" "),
        }
    }

    /// In one line.
    pub(crate) fn text(&self) -> String {
        let Machine { processor, processors, kernel, load, version, .. } = self;
        format!(
            "{processors} processors ({processor}), {kernel}, load {load} before the start; slipring {version}"
        )
    }

    /// Names and values for people.
    pub(crate) fn lines(&self) -> [(&'static str, String); 13] {
        let usable: Vec<String> = self.usable.iter().map(usize::to_string).collect();
        let cores: Vec<&str> = self.cores.iter().map(String::as_str).collect();
        let start = Timestamp::try_from(self.time.0);
        let is_virtual = if self.is_virtual { "yes" } else { "no" };
        [
            ("Processor", self.processor.clone()),
            ("Processors", self.processors.to_string()),
            ("Usable processors", usable.join(", ")),
            ("Processors of each core", cores.join("; ")),
            ("Caches", self.caches.clone()),
            ("Frequency governor", self.governor.clone()),
            ("Virtual machine", is_virtual.to_owned()),
            ("Kernel and clock source", format!("{}, {}", self.kernel, self.clock)),
            ("Load average before the start", self.load.to_string()),
            ("Nice level", self.nice.to_string()),
            ("Start", start.map_or(UNKNOWN.to_owned(), |time| format!("{time:.0}"))),
            ("Program", format!("slipring {}, {} build", self.version, self.build)),
            ("Command", self.command.clone()),
        ]
    }
}

/// The 19th field of proc_pid_stat(5). The second, in parentheses, may contain spaces and parentheses.
fn nice(stat: &str) -> i64 {
    let rest = stat.rsplit(')').next().unwrap_or_default();
    rest.split_whitespace().nth(16).and_then(|word| word.parse().ok()).unwrap_or(0)
}

/// The caches of the first processor, from the smallest.
fn caches() -> String {
    let cache = |i| {
        let field = |name| fact(0, &format!("cache/index{i}/{name}"));
        let kind = match &*field("type") {
            "Data" => "d",
            "Instruction" => "i",
            _ => "",
        };
        format!("L{}{kind} {}", field("level"), field("size"))
    };
    let exists = |i: &usize| fs::exists(format!("/sys/devices/system/cpu/cpu0/cache/index{i}"));
    let caches: Vec<String> =
        (0..8).take_while(|i| exists(i).unwrap_or(false)).map(cache).collect();
    if caches.is_empty() { UNKNOWN.to_owned() } else { caches.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nice_level_is_found_after_any_name() {
        let before = "S 1 7 7 0 -1 4194304 99 0 0 0 1 2 0 0 30";
        assert_eq!(nice(&format!("7 (a b) 3) {before} 10 1 0 5 0 0")), 10);
        assert_eq!(nice(""), 0);
    }
}

//! The machine that the figures are of.

use std::collections::BTreeSet;
use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;

use crate::bench::warnings::{Kind, Warning};
use crate::bench::worker;

/// Where the kernel does not tell.
const UNKNOWN: &str = "unknown";

#[derive(Debug, Serialize)]
pub(crate) struct Machine {
    processor: String,
    processors: usize,
    /// Those that the program may run on.
    usable: Vec<usize>,
    /// Which processors each core has, as the kernel lists them: those of one core share its parts.
    cores: BTreeSet<String>,
    caches: String,
    governor: String,
    #[serde(rename = "virtual")]
    is_virtual: bool,
    kernel: String,
    /// What the kernel takes the time from; reading it is part of some delays.
    clock: String,
    /// Seconds since 1970.
    time: u64,
    /// The average of the minute before.
    load: f64,
    /// How far the program gives way to others: 0 unless somebody asked for it.
    nice: i64,
    version: &'static str,
    build: &'static str,
    command: String,
}

impl Machine {
    /// To be called before the load is the benchmark's own.
    pub(crate) fn look() -> Machine {
        let info = read("/proc/cpuinfo");
        let field = |name: &str| {
            let line = info.lines().find(|line| line.starts_with(name));
            line.and_then(|line| line.split_once(':')).map_or("?", |(_, value)| value.trim())
        };
        let processor = match field("model name") {
            "?" => std::env::consts::ARCH.to_owned(),
            name => format!("{name}, family {}, model {}", field("cpu family"), field("model\t")),
        };
        let load = read("/proc/loadavg");
        let processors = info.lines().filter(|line| line.starts_with("processor")).count();
        let cores = (0..processors).map(|i| of_processor(i, "topology/thread_siblings_list"));
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Machine {
            processor,
            processors,
            usable: worker::processors().unwrap_or_default(),
            cores: cores.collect(),
            caches: caches(),
            governor: of_processor(0, "cpufreq/scaling_governor"),
            is_virtual: field("flags").split(' ').any(|flag| flag == "hypervisor"),
            clock: told("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
            time: since_1970.as_secs(),
            kernel: format!("Linux {}", read("/proc/sys/kernel/osrelease").trim()),
            load: load.split(' ').next().and_then(|it| it.parse().ok()).unwrap_or(0.0),
            nice: nice(&read("/proc/self/stat")),
            version: env!("CARGO_PKG_VERSION"),
            build: if cfg!(debug_assertions) { "debug" } else { "release" },
            command: std::iter::once("slipring".to_owned())
                .chain(arguments())
                .collect::<Vec<_>>()
                .join(" "),
        }
    }

    /// What spoils the figures of whatever is measured.
    pub(crate) fn warnings(&self) -> Vec<Warning> {
        let Machine { load, nice, .. } = self;
        let mut list = Vec::new();
        if self.build == "debug" {
            let text = "a debug build, which is not worth measuring: build with --release";
            list.push(Warning::new(Kind::DebugBuild, text.to_owned()));
        }
        let processors = self.usable.len().max(1);
        if *load > processors as f64 {
            let count = crate::table::count(processors as u64, "processor", "processors");
            let text = format!(
                "the load was {load} on {count} when it began: other programs want them, or did in the minute before; \
                 run again when it is lower"
            );
            list.push(Warning::new(Kind::Load, text));
        }
        if *nice > 0 {
            let text = format!("the program runs at nice level {nice}: it gives way to others");
            list.push(Warning::new(Kind::Nice, text));
        }
        list
    }

    pub(crate) fn text(&self) -> String {
        let Machine { processor, processors, kernel, load, version, .. } = self;
        format!(
            "{processors} processors ({processor}), {kernel}, load {load} before; slipring {version}"
        )
    }

    /// Names and values for people.
    pub(crate) fn lines(&self) -> [(&'static str, String); 13] {
        let usable: Vec<String> = self.usable.iter().map(usize::to_string).collect();
        let cores: Vec<&str> = self.cores.iter().map(String::as_str).collect();
        let is_virtual = if self.is_virtual { "yes" } else { "no" };
        [
            ("Processor", self.processor.clone()),
            ("Processors", self.processors.to_string()),
            ("Processors it may use", usable.join(", ")),
            ("Processors of each core", cores.join("; ")),
            ("Caches", self.caches.clone()),
            ("Frequency governor", self.governor.clone()),
            ("Virtual machine", is_virtual.to_owned()),
            ("Kernel and its clock", format!("{}, {}", self.kernel, self.clock)),
            ("Load when it began", self.load.to_string()),
            ("Nice level", self.nice.to_string()),
            ("Began", utc(self.time)),
            ("Program", format!("slipring {}, {} build", self.version, self.build)),
            ("Command", self.command.clone()),
        ]
    }
}

/// The 19th field of proc_pid_stat(5). The second, in parentheses, may have anything in it.
fn nice(stat: &str) -> i64 {
    let rest = stat.rsplit(')').next().unwrap_or_default();
    rest.split_whitespace().nth(16).and_then(|word| word.parse().ok()).unwrap_or(0)
}

/// What the kernel says of one processor.
pub(crate) fn of_processor(i: usize, what: &str) -> String {
    told(&format!("/sys/devices/system/cpu/cpu{i}/{what}"))
}

/// Of the first processor, nearest first.
fn caches() -> String {
    let cache = |i| {
        let field = |name| of_processor(0, &format!("cache/index{i}/{name}"));
        let kind = match &*field("type") {
            "Data" => "d",
            "Instruction" => "i",
            _ => "",
        };
        format!("L{}{kind} {}", field("level"), field("size"))
    };
    let known = |i: &usize| fs::exists(format!("/sys/devices/system/cpu/cpu0/cache/index{i}"));
    let there = (0..8).take_while(|i| known(i).unwrap_or(false));
    let caches: Vec<String> = there.map(cache).collect();
    if caches.is_empty() { UNKNOWN.to_owned() } else { caches.join(", ") }
}

/// A time of the Gregorian calendar.
fn utc(time: u64) -> String {
    let leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let (mut year, mut day) = (1970, time / 86_400);
    while day >= 365 + u64::from(leap(year)) {
        day -= 365 + u64::from(leap(year));
        year += 1;
    }
    let february = 28 + u64::from(leap(year));
    let mut month = 1;
    for days in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30] {
        if day < days {
            break;
        }
        day -= days;
        month += 1;
    }
    let (hour, minute) = (time / 3600 % 24, time / 60 % 60);
    format!("{year}-{month:02}-{:02} {hour:02}:{minute:02} UTC", day + 1)
}

fn arguments() -> impl Iterator<Item = String> {
    std::env::args_os().skip(1).map(|it| it.to_string_lossy().into_owned())
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// What stands in a file of one line.
fn told(path: &str) -> String {
    match read(path).trim() {
        "" => UNKNOWN.to_owned(),
        text => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nice_level_is_found_whatever_the_name() {
        let before = "S 1 7 7 0 -1 4194304 99 0 0 0 1 2 0 0 30";
        assert_eq!(nice(&format!("7 (a b) 3) {before} 10 1 0 5 0 0")), 10);
        assert_eq!(nice(""), 0);
    }

    #[test]
    fn load_is_too_much_when_it_is_above_the_processors() {
        let warned = |load, nice| {
            let machine = Machine { load, nice, usable: vec![0, 1], ..Machine::look() };
            let kinds = machine.warnings().into_iter().map(|warning| warning.kind);
            kinds.filter(|kind| *kind != Kind::DebugBuild).collect::<Vec<_>>()
        };
        assert!(warned(2.0, 0).is_empty() && warned(0.0, -5).is_empty());
        assert_eq!(warned(2.1, 0), [Kind::Load]);
        assert_eq!(warned(0.0, 5), [Kind::Nice]);
    }

    #[test]
    fn times_are_dates() {
        let seen = [0, 951_782_399, 951_782_400, 951_868_800, 1_798_761_599].map(utc);
        let dates = [
            "1970-01-01 00:00 UTC",
            "2000-02-28 23:59 UTC",
            "2000-02-29 00:00 UTC",
            "2000-03-01 00:00 UTC",
            "2026-12-31 23:59 UTC",
        ];
        assert_eq!(seen, dates);
    }
}

//! The machine that the figures are of.

use std::fs;

use serde::Serialize;

use crate::cpus;

#[derive(Serialize)]
pub(crate) struct Machine {
    pub(crate) processor: String,
    pub(crate) processors: usize,
    /// Those that the ends are pinned to.
    pub(crate) pinned: Vec<usize>,
    pub(crate) kernel: String,
    /// What ran beside this: the average of a minute, when it began.
    pub(crate) load: f64,
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
        let load = read("/proc/loadavg");
        let pinned = cpus::choose();
        Machine {
            processor: format!("{name}, family {family}, model {model}"),
            processors: info.lines().filter(|line| line.starts_with("processor")).count(),
            pinned: if cpus::two() { pinned.to_vec() } else { Vec::new() },
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            load: load.split(' ').next().and_then(|it| it.parse().ok()).unwrap_or(f64::NAN),
        }
    }

    pub(crate) fn print(&self) {
        let Machine { processor, processors, pinned, kernel, load } = self;
        println!("{processors} processors ({processor}), Linux {kernel}, load {load}");
        match &pinned[..] {
            [here, there] => println!("One end runs on processor {here}, the other on {there}."),
            _ => println!("Only one processor may be used: both ends run on it, and yield."),
        }
        println!();
    }
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

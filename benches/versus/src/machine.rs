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
    /// What ran on it: the average of the minute before this began, and at the end.
    pub(crate) load: [f64; 2],
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
            load: [load(); 2],
        }
    }

    pub(crate) fn look_at_load(&mut self) {
        self.load[1] = load();
        println!("Load {} when this ended; it is up to 2 of that itself.\n", self.load[1]);
    }

    pub(crate) fn print(&self) {
        let Machine { processor, processors, pinned, kernel, load } = self;
        println!("{processors} processors ({processor}), Linux {kernel}, load {}", load[0]);
        match &pinned[..] {
            [here, there] => println!("One end runs on processor {here}, the other on {there}."),
            _ => println!("Only one processor may be used: both ends run on it, and yield."),
        }
        println!();
    }
}

fn load() -> f64 {
    let load = read("/proc/loadavg");
    load.split(' ').next().and_then(|it| it.parse().ok()).unwrap_or(f64::NAN)
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

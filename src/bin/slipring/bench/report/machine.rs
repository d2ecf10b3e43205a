//! The machine that the figures are of.

use std::fs;

use serde_json::{Value, json};

#[derive(Debug)]
pub(crate) struct Machine {
    processor: String,
    processors: usize,
    kernel: String,
    /// The average of the minute before.
    load: f64,
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
        Machine {
            processor,
            processors: info.lines().filter(|line| line.starts_with("processor")).count(),
            kernel: format!("Linux {}", read("/proc/sys/kernel/osrelease").trim()),
            load: load.split(' ').next().and_then(|it| it.parse().ok()).unwrap_or(0.0),
            version: env!("CARGO_PKG_VERSION"),
            build: if cfg!(debug_assertions) { "debug" } else { "release" },
            command: std::iter::once("slipring".to_owned())
                .chain(arguments())
                .collect::<Vec<_>>()
                .join(" "),
        }
    }

    pub(crate) fn value(&self) -> Value {
        json!({
            "processor": self.processor,
            "processors": self.processors,
            "kernel": self.kernel,
            "load": self.load,
            "version": self.version,
            "build": self.build,
            "command": self.command,
        })
    }

    pub(crate) fn text(&self) -> String {
        let Machine { processor, processors, kernel, load, version, .. } = self;
        let slow = if self.build == "debug" { ", DEBUG BUILD: not worth measuring" } else { "" };
        format!(
            "{processors} processors ({processor}), {kernel}, load {load} before; slipring {version}{slow}"
        )
    }

    /// Names and values for people.
    pub(crate) fn lines(&self) -> [(&'static str, String); 6] {
        [
            ("Processor", self.processor.clone()),
            ("Processors", self.processors.to_string()),
            ("Kernel", self.kernel.clone()),
            ("Load when it began", self.load.to_string()),
            ("Program", format!("slipring {}, {} build", self.version, self.build)),
            ("Command", self.command.clone()),
        ]
    }
}

fn arguments() -> impl Iterator<Item = String> {
    std::env::args_os().skip(1).map(|it| it.to_string_lossy().into_owned())
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

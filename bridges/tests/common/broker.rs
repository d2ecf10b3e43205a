//! A private RabbitMQ, by rabbitmq.sh.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Exit code of rabbitmq.sh where RabbitMQ is not installed.
const MISSING: i32 = 77;

/// A broker of this process alone. It ends with this value, or with the process.
#[derive(Debug)]
pub(crate) struct Broker {
    folder: PathBuf,
    /// As `127.0.0.1:PORT`.
    pub(crate) address: String,
}

impl Broker {
    /// `None` where RabbitMQ is not installed, after saying so; a failure if `SLIPRING_NEEDS_RABBITMQ` is set.
    pub(crate) fn start() -> Option<Broker> {
        Broker::start_with("")
    }

    /// With more lines of configuration.
    pub(crate) fn start_with(config: &str) -> Option<Broker> {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        // Relaxed: only the number matters.
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let name = format!("slipring-rabbitmq-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        let started = script_of("start", &folder).env("SLIPRING_BROKER_CONFIG", config).output();
        let started = started.unwrap();
        if started.status.code() == Some(MISSING) {
            assert!(std::env::var_os("SLIPRING_NEEDS_RABBITMQ").is_none(), "RabbitMQ is missing");
            println!("RabbitMQ is not installed: skipped");
            return None;
        }
        let url = done(started);
        let address = url.trim().strip_prefix("amqp://").unwrap().to_owned();
        Some(Broker { folder, address })
    }

    /// For the test's own connections.
    pub(crate) fn url(&self) -> String {
        format!("amqp://{}", self.address)
    }

    /// SIGKILL. The data stay.
    pub(crate) fn kill(&self) {
        done(script("kill", &self.folder, &[]));
    }

    /// Starts it again; stops it in order before, if it runs.
    pub(crate) fn restart(&self) {
        done(script("restart", &self.folder, &[]));
    }

    /// Processor time that it has used so far.
    pub(crate) fn processor_time(&self) -> Duration {
        let pid = done(script("pid", &self.folder, &[]));
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap();
        let (_, fields) = stat.rsplit_once(')').unwrap();
        // utime and stime, in hundredths of a second.
        let fields: Vec<u64> = fields
            .split_whitespace()
            .skip(11)
            .take(2)
            .map(|field| field.parse().unwrap())
            .collect();
        Duration::from_millis(10 * (fields[0] + fields[1]))
    }

    /// What rabbitmqctl prints.
    pub(crate) fn ctl(&self, args: &[&str]) -> String {
        done(script("ctl", &self.folder, args))
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        script("stop", &self.folder, &[]);
    }
}

fn script(command: &str, folder: &Path, args: &[&str]) -> Output {
    script_of(command, folder).args(args).output().unwrap()
}

fn script_of(command: &str, folder: &Path) -> Command {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/rabbitmq.sh");
    let mut run = Command::new(script);
    run.env("SLIPRING_BROKER_OWNER", std::process::id().to_string());
    run.arg(command).arg(folder);
    run
}

fn done(output: Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

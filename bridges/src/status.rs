//! A line at the terminal that says how far the bridges are.

use std::io::{self, IsTerminal};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::metrics::Metrics;

/// How often the line is written anew.
const EVERY: Duration = Duration::from_millis(200);
const BAR: &str = "{bar:30} {pos}/{len} {per_sec} {msg}";
const LINE: &str = "{spinner} {pos} {per_sec} {msg}";

static SHOWN: OnceLock<ProgressBar> = OnceLock::new();

/// The line, for as long as it lives.
#[derive(Debug)]
pub(crate) struct Status {
    ended: Arc<AtomicBool>,
}

impl Status {
    /// Shows it if standard error is a terminal: a bar towards `count`, or a line.
    pub(crate) fn show(bridges: Vec<Arc<Metrics>>, count: Option<u64>) -> Option<Status> {
        if !io::stderr().is_terminal() {
            return None;
        }
        let (bar, template) = match count {
            Some(count) => (ProgressBar::new(count), BAR),
            None => (ProgressBar::new_spinner(), LINE),
        };
        let style = match count {
            Some(_) => ProgressStyle::default_bar(),
            None => ProgressStyle::default_spinner(),
        };
        bar.set_style(style.clone().template(template).unwrap_or(style));
        let bar = SHOWN.get_or_init(|| bar);
        let ended = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&ended);
        thread::spawn(move || {
            while !told.load(Ordering::Relaxed) {
                write(bar, &bridges);
                thread::sleep(EVERY);
            }
        });
        Some(Status { ended })
    }
}

impl Drop for Status {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        if let Some(bar) = SHOWN.get() {
            bar.finish_and_clear();
        }
    }
}

fn write(bar: &ProgressBar, bridges: &[Arc<Metrics>]) {
    let sum = |of: fn(&Metrics) -> u64| bridges.iter().map(|metrics| of(metrics)).sum::<u64>();
    let up = bridges.iter().filter(|metrics| metrics.up.get() == 1).count();
    let lag = sum(|metrics| metrics.lag.get().unsigned_abs());
    let held = sum(|metrics| metrics.held.get().unsigned_abs());
    let again = sum(|metrics| metrics.counters.retried.get());
    bar.set_message(format!(
        "connected {up}/{}, waiting {lag}, held {held}, sent again {again}",
        bridges.len()
    ));
    bar.set_position(sum(|metrics| metrics.counters.done.get()));
    bar.tick();
}

/// Does something that writes to the terminal, with the line out of the way.
pub(crate) fn aside(write: impl FnOnce()) {
    match SHOWN.get().filter(|bar| !bar.is_finished()) {
        Some(bar) => bar.suspend(write),
        None => write(),
    }
}

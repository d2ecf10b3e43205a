//! The demo's progress: a bar for each process on a terminal, or else plain lines.

use std::fmt::Write;
use std::io::IsTerminal;

use indicatif::{MultiProgress, ProgressBar, ProgressState, ProgressStyle};

use crate::failure::note;
use crate::table::grouped;

pub(crate) struct Progress {
    all: MultiProgress,
    bars: Vec<ProgressBar>,
    drawn: bool,
}

impl Progress {
    pub(crate) fn new(labels: &[String]) -> Progress {
        let all = MultiProgress::new();
        let bars = labels.iter().map(|label| all.add(bar(label))).collect();
        Progress { all, bars, drawn: std::io::stderr().is_terminal() }
    }

    pub(crate) fn count(&self, child: usize, count: u64) {
        if let Some(bar) = self.bars.get(child) {
            bar.set_position(count);
        }
    }

    pub(crate) fn phase(&self, line: &str, total: u64) {
        if self.drawn {
            let _ = self.all.println(line);
        } else {
            note(line);
        }
        self.bars.iter().for_each(|bar| bar.set_length(total));
    }

    pub(crate) fn finish(&self, child: usize) {
        if let Some(bar) = self.bars.get(child) {
            bar.finish();
        }
    }

    pub(crate) fn clear(&self) {
        let _ = self.all.clear();
    }
}

fn bar(label: &str) -> ProgressBar {
    let template = "{prefix:>10} {bar:40} {human_pos} of {human_len}  {rate}";
    let style = ProgressStyle::with_template(template).map(|style| {
        style.with_key("rate", |state: &ProgressState, out: &mut dyn Write| {
            let _ = write!(out, "{}/s", grouped(state.per_sec() as u64));
        })
    });
    let bar = ProgressBar::new(0);
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.set_prefix(label.to_owned());
    bar
}

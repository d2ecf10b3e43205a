//! Bars while the demo runs, or plain lines where there is no terminal to draw them on.

use std::cell::RefCell;
use std::fmt::Write;
use std::io::IsTerminal;

use indicatif::{MultiProgress, ProgressBar, ProgressState, ProgressStyle};

use crate::failure::note;
use crate::table::grouped;

/// One bar per process.
pub(crate) struct Progress {
    all: MultiProgress,
    bars: RefCell<Vec<ProgressBar>>,
    drawn: bool,
}

impl Progress {
    pub(crate) fn new(labels: &[String]) -> Progress {
        let drawn = std::io::stderr().is_terminal();
        let progress = Progress { all: MultiProgress::new(), bars: RefCell::default(), drawn };
        labels.iter().for_each(|label| progress.add(label));
        progress
    }

    pub(crate) fn add(&self, label: &str) {
        let template = "{prefix:>10} {bar:40} {human_pos} of {human_len}  {rate}";
        let style = ProgressStyle::with_template(template).map(|style| {
            style.with_key("rate", |state: &ProgressState, out: &mut dyn Write| {
                let _ = write!(out, "{}/s", grouped(state.per_sec() as u64));
            })
        });
        let bar = self.all.add(ProgressBar::new(0));
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_prefix(label.to_owned());
        self.bars.borrow_mut().push(bar);
    }

    pub(crate) fn count(&self, who: usize, count: u64) {
        if let Some(bar) = self.bars.borrow().get(who) {
            bar.set_position(count);
        }
    }

    pub(crate) fn phase(&self, line: &str, total: u64) {
        if self.drawn {
            let _ = self.all.println(line);
        } else {
            note(line);
        }
        self.bars.borrow().iter().for_each(|bar| bar.set_length(total));
    }

    pub(crate) fn finish(&self, who: usize) {
        if let Some(bar) = self.bars.borrow().get(who) {
            bar.finish();
        }
    }

    pub(crate) fn clear(&self) {
        let _ = self.all.clear();
    }
}

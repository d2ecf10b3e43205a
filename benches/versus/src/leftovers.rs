//! Names of what lies in shared memory, and that nothing is left of it.
//!
//! Every name holds the process's mark. Whatever has a guard goes with its guard; on panic and on Ctrl-C all
//! that bears the mark is removed.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{panic, process, thread};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

pub(crate) const SHM: &str = "/dev/shm";

fn mark() -> String {
    format!("versus-{}-", process::id())
}

/// A name that nobody had before.
pub(crate) fn name() -> String {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    format!("{}{}", mark(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A file in shared memory that goes away with this value.
pub(crate) struct TempFile(PathBuf);

impl TempFile {
    pub(crate) fn new() -> TempFile {
        TempFile(Path::new(SHM).join(name()))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// A slipring queue that goes away with this value.
pub(crate) struct TempQueue(pub(crate) String);

impl TempQueue {
    pub(crate) fn name(&self) -> &str {
        &self.0
    }
}

impl Drop for TempQueue {
    fn drop(&mut self) {
        let _ = slipring::remove(&self.0, true);
    }
}

/// Removes all that bears this process's mark.
pub(crate) fn sweep() {
    let mark = mark();
    for entry in fs::read_dir(SHM).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().contains(&mark) {
            let path = entry.path();
            let _ = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
        }
    }
}

/// From here on a panic of any thread and the usual signals end the process, after a sweep: an end whose
/// other end is gone would spin for ever.
pub(crate) fn sweep_at_any_end() -> std::io::Result<()> {
    let report = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        report(info);
        sweep();
        process::exit(101);
    }));
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM])?;
    thread::spawn(move || {
        if let Some(signal) = signals.forever().next() {
            sweep();
            process::exit(128 + signal);
        }
    });
    Ok(())
}

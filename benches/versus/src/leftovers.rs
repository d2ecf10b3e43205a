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

const SHM: &str = "/dev/shm";

fn mark() -> String {
    format!("versus-{}-", process::id())
}

/// A name that nobody had before.
pub(crate) fn name() -> String {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    // It ends with a dash, so that none is the beginning of another.
    format!("{}{}-", mark(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A path in shared memory; what is there, and what a peer puts beside it under names that begin with its own,
/// goes away with this value.
pub(crate) struct TempFile {
    name: String,
    path: PathBuf,
}

impl TempFile {
    pub(crate) fn new() -> TempFile {
        let name = name();
        TempFile { path: Path::new(SHM).join(&name), name }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        remove_all(&self.name);
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
        let _ = slipring::force_remove(&self.0);
    }
}

/// Removes all that bears this process's mark.
pub(crate) fn sweep() {
    remove_all(&mark());
}

fn remove_all(part_of_name: &str) {
    for entry in fs::read_dir(SHM).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().contains(part_of_name) {
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

//! Names of files in shared memory, and their removal.
//!
//! Every name contains this process's mark. Dropping a guard removes its files. A panic or a signal removes all files
//! with the mark.

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

/// A unique name.
pub(crate) fn name() -> String {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    // The dash at the end keeps a name from being the prefix of another.
    format!("{}{}-", mark(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A path in shared memory. Dropping it removes the file, and every file with this name as a prefix: some peers make
/// several.
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

/// A slipring queue. Dropping it removes the queue.
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

/// Removes all files with this process's mark.
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

/// Makes a panic of any thread, SIGHUP, SIGINT and SIGTERM sweep and then end the process: an end would wait for ever
/// for the other end whose thread has panicked.
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

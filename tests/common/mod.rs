//! What the tests share: queue names of their own, removed whatever happens.

#![allow(dead_code, reason = "each test file uses its part")]

use std::sync::atomic::{AtomicUsize, Ordering};

/// A queue name that no other test uses; the queue goes away when this is dropped, also by a panic.
pub(crate) struct TempName(String);

impl TempName {
    pub(crate) fn new(what: &str) -> TempName {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        TempName(format!("test-{what}-{}-{n}", std::process::id()))
    }

    /// The file of the segment.
    pub(crate) fn path(&self) -> std::path::PathBuf {
        format!("/dev/shm/slipring.{}", self.0).into()
    }
}

impl std::ops::Deref for TempName {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl Drop for TempName {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(self.path());
    }
}

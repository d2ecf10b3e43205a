//! The limit on the size of files (RLIMIT_FSIZE, `ulimit -f`).

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::SIGXFSZ;
use signal_hook::flag;

use crate::inherited::is_ignored;

/// Makes a write beyond the limit an error instead of the end of this program. It installs a handler, which an exec
/// resets: commands that this program runs start as it did. A signal that is ignored stays ignored.
pub(crate) fn survive_limit() {
    if !is_ignored(SIGXFSZ) {
        // Without the handler such a write ends the program, as it does by default.
        let _ = flag::register(SIGXFSZ, Arc::new(AtomicBool::new(false)));
    }
}

/// Whether an error says that a file would grow beyond the limit.
pub(crate) fn is_beyond(fault: &io::Error) -> bool {
    fault.raw_os_error() == Some(libc::EFBIG)
}

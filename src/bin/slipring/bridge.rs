//! `slipring bridge`: another program, which need not be installed. It has many dependencies, and this one none of them.

use std::env;
use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::failure::Failure;
use crate::queue;

const PROGRAM: &str = "slipring-bridge";

/// Becomes that program: beside this one, or else on PATH. Returns only if that fails.
pub(crate) fn run(args: &[OsString]) -> Result<(), Failure> {
    let beside = env::current_exe().ok().and_then(|own| beside(&own));
    let program = beside.unwrap_or_else(|| PROGRAM.into());
    let allowed = queue::allowed().flat_map(|uid| ["--allow-uid".into(), uid.to_string()]);
    let fault = Command::new(&program).args(allowed).args(args).exec();
    if fault.kind() == io::ErrorKind::NotFound {
        let text = format!(
            "slipring bridge needs the program {PROGRAM}, which is neither beside slipring nor on PATH"
        );
        return Err(Failure::failed(text)
            .hint("in the source folder of slipring: cargo install --path bridges"));
    }
    Err(Failure::failed(format!("cannot run {}: {fault}", program.display())))
}

fn beside(own: &Path) -> Option<PathBuf> {
    Some(own.with_file_name(PROGRAM)).filter(|path| path.is_file())
}

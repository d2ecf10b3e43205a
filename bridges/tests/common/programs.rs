//! Programs that a test runs besides the bridge: `slipring`, and Python with pika.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

const PIKA: &str = "pika==1.3.2";

fn package() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The folder of the project.
pub(crate) fn project() -> &'static Path {
    package().parent().unwrap()
}

/// The folder of `slipring`, built if it is not up to date.
pub(crate) fn slipring() -> PathBuf {
    let mut build = Command::new(env!("CARGO"));
    // As the project's own tests build it.
    build.args(["build", "--quiet", "--features", "cli,async", "--bin", "slipring"]);
    let target = project().join("target");
    let status = build.current_dir(project()).env("CARGO_TARGET_DIR", &target).status();
    assert!(status.unwrap().success(), "slipring cannot be built");
    target.join("debug")
}

/// A folder with a Python that has pika. `None` where it cannot be made, after saying so; a failure if
/// `SLIPRING_NEEDS_RABBITMQ` is set.
pub(crate) fn python() -> Option<PathBuf> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _one = ONE_AT_A_TIME.lock().unwrap();
    let folder = package().join("target/pika");
    let python = folder.join("bin/python");
    let has = || {
        let import = Command::new(&python).args(["-c", "import pika"]).output();
        import.is_ok_and(|output| output.status.success())
    };
    if !has() {
        let _ = Command::new("python3").args(["-m", "venv"]).arg(&folder).status();
        let install = ["-m", "pip", "install", "--quiet", PIKA];
        let _ = Command::new(&python).args(install).status();
    }
    if !has() {
        assert!(std::env::var_os("SLIPRING_NEEDS_RABBITMQ").is_none(), "{PIKA} is missing");
        println!("{PIKA} cannot be installed: skipped");
        return None;
    }
    Some(folder)
}

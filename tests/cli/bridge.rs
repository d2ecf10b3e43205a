//! `slipring bridge`, which is a program of its own. What that does, its own tests show.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::tool::Ran;

/// A folder with the program in it, that goes away.
struct Installed(PathBuf);

impl Installed {
    fn new(what: &str) -> Installed {
        let name = format!("slipring-bridge-{what}-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir(&folder).unwrap();
        fs::copy(env!("CARGO_BIN_EXE_slipring"), folder.join("slipring")).unwrap();
        Installed(folder)
    }

    /// Prints its arguments, and ends with 7.
    fn add_bridge(&self, folder: &Path) {
        fs::create_dir_all(folder).unwrap();
        let bridge = folder.join("slipring-bridge");
        fs::write(&bridge, "#!/bin/sh\nprintf '<%s>' \"$0\" \"$@\"\nexit 7\n").unwrap();
        fs::set_permissions(&bridge, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn run(&self, path: &Path, args: &[&str]) -> Ran {
        let mut command = Command::new(self.0.join("slipring"));
        let ran: Output = command.args(args).env("PATH", path).output().unwrap();
        ran.into()
    }
}

impl Drop for Installed {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn the_program_beside_it_gets_all_arguments_as_they_are() {
    let installed = Installed::new("beside");
    installed.add_bridge(&installed.0);
    let path = Path::new("/usr/bin:/bin");
    for args in [&["bridge", "out", "q", "--to", "a b", "--", "-x"][..], &["bridge", "--help"]] {
        let ran = installed.run(path, args);
        let given: String = args[1..].iter().map(|arg| format!("<{arg}>")).collect();
        assert!(ran.code == Some(7) && ran.out.ends_with(&given), "{ran:?}");
    }
    let ran = installed.run(path, &["--allow-uid", "5", "bridge", "check"]);
    assert!(ran.code == Some(7) && ran.out.ends_with("<--allow-uid><5><check>"), "{ran:?}");
}

#[test]
fn the_program_may_be_on_the_path() {
    let installed = Installed::new("path");
    let bin = installed.0.join("bin");
    installed.add_bridge(&bin);
    let path = PathBuf::from(format!("{}:/usr/bin:/bin", bin.display()));
    let ran = installed.run(&path, &["bridge", "check", "x.toml"]);
    assert!(ran.code == Some(7) && ran.out.ends_with("<check><x.toml>"), "{ran:?}");
}

#[test]
fn without_the_program_it_says_how_to_install_it() {
    let installed = Installed::new("none");
    let ran = installed.run(Path::new("/nonexistent"), &["bridge", "out", "q"]);
    ran.says(1, &["slipring-bridge", "PATH", "cargo install --path bridges"]);
}

//! What the README shows of the command line works as it is printed, one block after the other.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use super::common::TempName;
use super::tool::Ran;

/// The blocks of the chapter, with names of this test's own for the queues.
fn blocks(jobs: &str, photos: &str) -> Vec<String> {
    let readme = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let chapter = readme.split("\n## On the command line\n").nth(1).unwrap();
    let chapter = chapter.split("\n## ").next().unwrap();
    let blocks = chapter.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let named = |block: &str| {
        block.replace(" jobs", &format!(" {jobs}")).replace(" photos", &format!(" {photos}"))
    };
    blocks.map(named).collect()
}

/// A folder that goes away with what is in it.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        let folder = std::env::temp_dir().join(format!("slipring-readme-{}", std::process::id()));
        fs::create_dir(&folder).unwrap();
        Folder(folder)
    }

    fn lines(&self, file: &str) -> usize {
        fs::read_to_string(self.0.join(file)).unwrap().lines().count()
    }

    /// Ends with the first command that fails.
    fn run(&self, block: &str) -> Ran {
        let program = PathBuf::from(env!("CARGO_BIN_EXE_slipring"));
        let path = std::env::var("PATH").unwrap();
        let bin = self.0.join("bin");
        let path = format!("{}:{}:{path}", bin.display(), program.parent().unwrap().display());
        let mut shell = Command::new("sh");
        shell.args(["-e", "-c", block]).current_dir(&self.0).env("PATH", path);
        let ran = Ran::from(shell.output().unwrap());
        assert_eq!(ran.code, Some(0), "{block}\n{ran:?}");
        ran
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn the_blocks_of_the_readme_work_one_after_the_other() {
    let (jobs, photos) = (TempName::new("readme-jobs"), TempName::new("readme-photos"));
    let left = ["dead", "work.retry"].map(|of| TempName::exactly(format!("{}.{of}", &*jobs)));
    let folder = Folder::new();
    fs::create_dir(folder.0.join("bin")).unwrap();
    let magick = folder.0.join("bin/magick");
    fs::write(&magick, "#!/bin/sh\ntest \"$2 $3\" = '-resize 200' && cp \"$1\" \"$4\"\n").unwrap();
    fs::set_permissions(&magick, fs::Permissions::from_mode(0o755)).unwrap();
    for photo in ["sea.jpg", "two words.jpg"] {
        fs::write(folder.0.join(photo), photo).unwrap();
    }
    let blocks = blocks(&jobs, &photos);
    let [streams, letters, work] = &blocks[..] else { panic!("{} blocks", blocks.len()) };

    let ran = folder.run(streams);
    assert!(ran.out.contains("store") && ran.out.contains("\"closed\":true"), "{ran:?}");
    assert_eq!((folder.lines("store.txt"), folder.lines("audit.jsonl")), (100_000, 100_000));
    // It loses what is overwritten, and sees what comes after it has begun.
    assert!(folder.0.join("seen.txt").exists());

    let ran = folder.run(letters);
    assert!(ran.out.contains("rejected") && ran.out.contains("requeued 1"), "{ran:?}");
    assert!(ran.out.contains("\nbad\n") && ran.out.contains("purged 0"), "{ran:?}");
    assert_eq!(fs::read_to_string(folder.0.join("bad")).unwrap(), "bad");

    folder.run(work);
    for photo in ["sea.jpg", "two words.jpg"] {
        assert_eq!(fs::read_to_string(folder.0.join("small").join(photo)).unwrap(), photo);
    }
    let names = slipring::list().unwrap();
    assert!(
        !names.iter().any(|name| name.starts_with(&*jobs) || name.starts_with(&*photos)),
        "{names:?}"
    );
    drop(left);
}

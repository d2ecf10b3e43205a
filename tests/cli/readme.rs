//! What README.md and docs/cli.md show of the command line works as it is printed, one block after the other.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use super::common::TempName;
use super::tool::Ran;

/// The shell blocks of `file` from the heading `chapter` on, with names of this test's own for the queues.
fn blocks(file: &str, chapter: &str, jobs: &str, photos: &str) -> Vec<String> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(file);
    let text = fs::read_to_string(path).unwrap();
    let (_, rest) = text.split_once(&format!("\n{chapter}\n")).unwrap();
    let blocks = rest.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let named = |block: &str| {
        let numbers = format!(" {jobs}.numbers");
        let block = block.replace(" jobs", &format!(" {jobs}")).replace(" numbers", &numbers);
        block.replace(" photos", &format!(" {photos}"))
    };
    blocks.map(named).collect()
}

/// A folder that goes away with what is in it.
struct Folder(PathBuf);

impl Folder {
    fn new(what: &str) -> Folder {
        let name = format!("slipring-{what}-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
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

fn assert_gone(names: [&str; 2]) {
    let there = slipring::list().unwrap();
    let left = |queue: &&String| names.iter().any(|name| queue.starts_with(name));
    assert!(!there.iter().any(|queue| left(&queue)), "{there:?}");
}

#[test]
fn the_block_of_the_readme_works() {
    let (jobs, photos) = (TempName::new("readme-jobs"), TempName::new("readme-photos"));
    let folder = Folder::new("readme");
    let blocks = blocks("README.md", "## On the command line", &jobs, &photos);
    let [streams] = &blocks[..] else { panic!("{} blocks", blocks.len()) };

    let ran = folder.run(streams);
    // `group ls` and `stats`: both groups have acked everything. That receivers ended says that the queue was closed.
    for group in ["store", "audit"] {
        let row = |begin: &str| ran.out.lines().find(|line| line.starts_with(begin));
        let listed =
            row(&format!("{group} ")).map(|line| line.split_whitespace().collect::<Vec<_>>());
        assert_eq!(
            listed.as_deref().map(|row| &row[1..5]),
            Some(&["exclusive", "hold", "100000", "0"][..]),
            "{ran:?}"
        );
        assert!(row(&format!("{}/{group} ", &*jobs)).is_some(), "{ran:?}");
    }
    assert_eq!((folder.lines("store.txt"), folder.lines("audit.jsonl")), (100_000, 100_000));
    // It loses what is overwritten, and sees what comes after it has begun.
    assert!(folder.0.join("seen.txt").exists());
    assert_gone([&jobs, &photos]);
}

#[test]
fn the_blocks_of_the_reference_work_one_after_the_other() {
    let (jobs, photos) = (TempName::new("cli-jobs"), TempName::new("cli-photos"));
    let left =
        ["dead", "work.retry", "numbers"].map(|of| TempName::exactly(format!("{}.{of}", &*jobs)));
    let folder = Folder::new("cli");
    fs::create_dir(folder.0.join("bin")).unwrap();
    let magick = folder.0.join("bin/magick");
    fs::write(&magick, "#!/bin/sh\ntest \"$2 $3\" = '-resize 200' && cp \"$1\" \"$4\"\n").unwrap();
    fs::set_permissions(&magick, fs::Permissions::from_mode(0o755)).unwrap();
    for photo in ["sea.jpg", "two words.jpg"] {
        fs::write(folder.0.join(photo), photo).unwrap();
    }
    let blocks = blocks("docs/cli.md", "## Making a queue", &jobs, &photos);
    let ran: Vec<Ran> = blocks.iter().map(|block| folder.run(block)).collect();
    let of = |what: &str| {
        let found = blocks.iter().zip(&ran).find(|(block, _)| block.contains(what));
        found.unwrap_or_else(|| panic!("no block has {what:?}")).1
    };

    assert_eq!((folder.lines("store.txt"), folder.lines("audit.jsonl")), (1001, 1001));
    let resumed = &of("--source").err;
    assert!(resumed.contains("sent 400 messages") && resumed.contains("600 lines"), "{resumed}");
    assert_eq!(of("slipring tail").out, "1\n2\n3\n");
    assert!(of("slipring info").out.contains("1001"), "{ran:?}");
    let groups = &of("slipring group add").out;
    assert!(groups.contains("101 messages wait") && groups.contains("\n901\n902\n"), "{groups}");
    for photo in ["sea.jpg", "two words.jpg"] {
        assert_eq!(fs::read_to_string(folder.0.join("small").join(photo)).unwrap(), photo);
    }
    let letters = &of("slipring dead ls").out;
    assert!(letters.contains("rejected") && letters.contains("requeued 1"), "{letters}");
    assert!(letters.contains("\nbad\n") && letters.contains("purged 0"), "{letters}");
    assert_eq!(fs::read_to_string(folder.0.join("bad")).unwrap(), "bad");
    assert_gone([&jobs, &photos]);
    drop(left);
}

//! What README.md and docs/cli.md show of the command line works as it is printed, one block after the other, and what the other
//! documents name is there.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use super::common::TempName;
use super::tool::{Ran, feed, parsed, run};

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
fn the_blocks_of_the_readme_work() {
    let (jobs, photos) = (TempName::new("readme-jobs"), TempName::new("readme-photos"));
    let folder = Folder::new("readme");
    let blocks = blocks("README.md", "## On the command line", &jobs, &photos);
    let [streams, work] = &blocks[..] else { panic!("{} blocks", blocks.len()) };

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

    let ran = folder.run(work);
    for photo in ["sea.jpg.gz", "lost.jpg.gz"] {
        assert!(folder.0.join(photo).exists(), "{ran:?}");
    }
    assert!(ran.err.contains("attempt 3: exit code 1; given up"), "{ran:?}");
    assert!(ran.out.contains("max-attempts") && ran.out.contains("requeued 1"), "{ran:?}");
    let waits = format!("1 dead letter of queue {:?} waits to be looked at", &*photos);
    let joined: Vec<&str> = ran.out.split_whitespace().collect();
    assert!(joined.join(" ").contains(&waits), "{ran:?}");
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

/// The words after `slipring` of what a document shows of the command line, in backquotes or as lines of an indented block.
fn shown(text: &str) -> Vec<String> {
    let spans = text.split('`').skip(1).step_by(2).map(str::to_owned);
    let lines = text.lines().filter(|line| line.starts_with("    ")).map(str::to_owned);
    let after = |shown: String| {
        let (before, words) = shown.split_once("slipring ")?;
        let begins = before.is_empty() || before.ends_with(['/', ' ', '=']);
        begins.then(|| words.split_whitespace().collect::<Vec<_>>().join(" "))
    };
    spans.chain(lines).filter_map(after).collect()
}

/// A chapter of docs/operating.md.
fn operating(chapter: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/operating.md");
    let text = fs::read_to_string(path).unwrap();
    let (_, rest) = text.split_once(&format!("\n## {chapter}\n")).unwrap();
    rest.split("\n## ").next().unwrap().to_owned()
}

#[test]
fn a_queue_is_changed_by_the_steps_that_are_shown() {
    let name = TempName::new("steps");
    let folder = Folder::new("steps");
    run(&["create", &name, "--capacity", "4", "--group", "store"]).quietly();
    feed(&["send", &name], b"0\n1\n2\n").quietly();
    let mut tail = String::new();
    let steps = shown(&operating("Changing a queue that runs"));
    let steps: Vec<_> = steps.iter().filter(|words| words.contains(" NAME")).collect();
    assert_eq!(steps.len(), 5, "{steps:?}");
    for words in steps {
        let line = format!("slipring {}", words.replace("NAME", &name).replace("TAIL", &tail));
        if words.starts_with("create") {
            folder.run(&format!("{line} --capacity 8 --group store"));
            continue;
        }
        let ran = folder.run(&line);
        if words.contains("--close") {
            run(&["recv", &name, "--group", "store"]).says(0, &["is closed"]);
        } else if words.starts_with("info") {
            let row = ran.out.lines().find_map(|line| line.strip_prefix("tail"));
            tail = row.unwrap().split_whitespace().next().unwrap().to_owned();
        }
    }
    assert_eq!(feed(&["send", &name, "--verbose"], b"3\n").code, Some(0));
    let received = run(&["recv", &name, "--group", "store", "--count", "1", "--json"]).quietly();
    assert_eq!((parsed(received.trim())["sequence"].as_u64(), &*tail), (Some(3), "3"));
    let look = run(&["info", &name]).quietly();
    assert!(look.contains("8 messages of up to"), "{look}");
}

#[test]
fn commands_of_the_chapters_on_users_and_containers_work() {
    let jobs = TempName::new("operating-jobs");
    let letters = TempName::exactly(format!("{}.dead", &*jobs));
    let folder = Folder::new("operating");
    let line = |chapter: &str, begin: &str| {
        let text = operating(chapter);
        let found = text.lines().find_map(|line| line.strip_prefix("    ")?.strip_prefix(begin));
        let line = format!("{begin}{}", found.unwrap());
        line.replace(" jobs", &format!(" {}", &*jobs)).replace(".jobs", &format!(".{}", &*jobs))
    };
    // Room for the letter of the longest message.
    folder.run(&line("Sharing between users", "slipring create"));
    run(&["create", &jobs, "--group", "work"]).quietly();
    feed(&["send", &jobs, "--close"], "x".repeat(112).as_bytes()).quietly();
    run(&["recv", &jobs, "--group", "work", "--exec", "exit 65"]).says(0, &["rejected"]);
    assert!(run(&["dead", "ls", &jobs]).quietly().contains("rejected"));
    // Which process has the queue's locks: this one.
    let queue = slipring::Queue::open(&jobs).unwrap();
    let _producer = queue.producer().unwrap();
    // Processes end while grep(1) reads, and it fails for that.
    let grep = line("Containers and namespaces", "grep");
    let found = folder.run(&format!("{grep} || true")).out;
    assert!(found.contains(&format!("/proc/{}/", std::process::id())), "{found}");
    drop(letters);
}

/// All options of a command, by its help.
fn options_of(words: &str) -> String {
    // Of two words, the second one may be a command, or an argument.
    let mut words = words.split(' ').map(|word| word.trim_end_matches([',', '.', ':', ';']));
    let (first, second) = (words.next().unwrap(), words.next().unwrap_or(""));
    let two = run(&["help", first, second]);
    let help = if two.code == Some(0) { two } else { run(&["help", first]) };
    if help.code == Some(0) { help.out } else { String::new() }
}

#[test]
fn every_command_and_option_that_a_document_names_exists() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let (mut commands, mut options) = (0, 0);
    for file in
        ["README.md", "docs/cli.md", "docs/operating.md", "docs/concepts.md", "docs/errors.md"]
    {
        let text = fs::read_to_string(root.join(file)).unwrap();
        for words in shown(&text) {
            let first = words.split(' ').next().unwrap();
            if !first.chars().all(|c| c.is_ascii_lowercase()) || first == "bridge" {
                continue;
            }
            let known = options_of(&words);
            assert!(!known.is_empty(), "{file}: there is no command for \"slipring {words}\"");
            commands += 1;
            for option in words.split(' ').filter(|word| word.starts_with("--")) {
                let option = option.trim_end_matches(|c: char| !c.is_ascii_lowercase());
                assert!(known.contains(option), "{file}: {option} of \"slipring {words}\"");
                options += 1;
            }
        }
    }
    assert!(commands > 60 && options > 20, "{commands} commands, {options} options");
}

//! The commands of docs/rabbitmq.md work as printed, with both spellings of the declaration.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use common::broker::Broker;
use common::programs;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

const QUORUM: &str =
    r#"channel.queue_declare(queue="hello", durable=True, arguments={"x-queue-type": "quorum"})"#;
const PLAIN: &str = r#"channel.queue_declare(queue="hello")"#;

/// A command block of the page, and what it prints.
struct Block {
    commands: String,
    prints: Vec<String>,
}

/// The blocks that are followed by what they print.
fn blocks(page: &str) -> Vec<Block> {
    let mut parts = page.split("```");
    let mut blocks: Vec<Block> = Vec::new();
    while let (Some(_), Some(fenced)) = (parts.next(), parts.next()) {
        let (language, text) = fenced.split_once('\n').unwrap();
        match language {
            "sh" => blocks.push(Block { commands: text.to_owned(), prints: Vec::new() }),
            "text" => {
                blocks.last_mut().unwrap().prints = text.lines().map(str::to_owned).collect();
            }
            _ => {}
        }
    }
    blocks.retain(|block| !block.prints.is_empty());
    blocks
}

/// A folder as that of the project is, as far as the page needs it, with the programs of this build.
struct Folder(PathBuf);

impl Folder {
    fn new(tag: &str, declaration: &str) -> Folder {
        let name = format!("slipring-article-{tag}-{}", std::process::id());
        let folder = Folder(std::env::temp_dir().join(name));
        let programs = folder.0.join("examples/rabbitmq");
        fs::create_dir_all(&programs).unwrap();
        for name in ["send.py", "receive.py"] {
            let original = programs::project().join("examples/rabbitmq").join(name);
            let text = fs::read_to_string(original).unwrap();
            assert!(text.contains(QUORUM), "{name} declares another queue");
            fs::write(programs.join(name), text.replace(QUORUM, declaration)).unwrap();
        }
        folder
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Runs a block until it has printed its lines, among others, in their order; Ctrl-C ends receive.py, as the
/// page says.
fn run(block: &Block, folder: &Path, path: &str) {
    let output = folder.join("output");
    let file = fs::File::create(&output).unwrap();
    let mut shell = Command::new("sh");
    shell.args(["-e", "-c", &block.commands]).current_dir(folder).stdin(Stdio::null());
    shell.env("PATH", path).env("PYTHONPATH", folder).env("PYTHONUNBUFFERED", "1");
    shell.stdout(file.try_clone().unwrap()).stderr(file).process_group(0);
    let mut shell = shell.spawn().unwrap();
    let group = Pid::from_raw(shell.id() as i32);
    let until = Instant::now() + Duration::from_secs(120);
    let mut ended = None;
    loop {
        let printed = fs::read_to_string(&output).unwrap();
        let mut lines = printed.lines();
        let all = block.prints.iter().all(|wanted| lines.any(|line| line == wanted));
        if all {
            break;
        }
        let late = Instant::now() > until || ended.is_some();
        if late {
            let _ = killpg(group, Signal::SIGKILL);
        }
        assert!(!late, "{}\nwants {:?}, printed\n{printed}", block.commands, block.prints);
        // What it has printed by its end is looked at once more.
        ended = shell.try_wait().unwrap();
        thread::sleep(Duration::from_millis(20));
    }
    while shell.try_wait().unwrap().is_none() && Instant::now() < until {
        if block.commands.contains("receive.py") {
            let _ = killpg(group, Signal::SIGINT);
        }
        thread::sleep(Duration::from_millis(300));
    }
    let _ = killpg(group, Signal::SIGKILL);
    let _ = shell.wait();
}

fn page_works(tag: &str, declaration: &str) {
    let Some(python) = programs::python() else { return };
    let Some(broker) = Broker::start() else { return };
    let page = fs::read_to_string(programs::project().join("docs/rabbitmq.md")).unwrap();
    assert!(page.contains(declaration), "the page shows another declaration");
    let folder = Folder::new(tag, declaration);
    symlink(python, folder.0.join("pika")).unwrap();
    // The broker of this test has another port than 5672, and the queues have names of their own.
    let (_, port) = broker.address.split_once(':').unwrap();
    let other_port = format!("import pika\npika.connection.Parameters.DEFAULT_PORT = {port}\n");
    fs::write(folder.0.join("sitecustomize.py"), other_port).unwrap();
    let name = format!("article-{tag}-{}", std::process::id());
    let bridge = Path::new(env!("CARGO_BIN_EXE_slipring-bridge")).parent().unwrap();
    let inherited = std::env::var("PATH").unwrap();
    let path = format!("{}:{}:{inherited}", programs::slipring().display(), bridge.display());

    let blocks = blocks(&page);
    assert_eq!(blocks.len(), 2, "blocks that say what they print");
    for block in &blocks {
        let commands =
            block.commands.replace("amqp://localhost", &format!("amqp://localhost:{port}"));
        let commands = commands.replace(" hello-local", &format!(" {name}-hello"));
        let commands = commands.replace(" jobs", &format!(" {name}-jobs"));
        run(&Block { commands, prints: block.prints.clone() }, &folder.0, &path);
    }
    let left = slipring::list().unwrap();
    assert!(!left.iter().any(|queue| queue.starts_with(&name)), "{left:?}");
}

#[test]
fn the_page_works_with_a_durable_quorum_queue() {
    page_works("quorum", QUORUM);
}

#[test]
fn the_page_works_with_the_plain_declaration() {
    page_works("plain", PLAIN);
}

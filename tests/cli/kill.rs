//! Senders and receivers are killed at any moment; what comes out is what went in.

use std::fs::File;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use super::common::{Rng, TempName};
use super::tool::{Running, TempDir, json, numbers, parsed, run};

const BATCH: u64 = 64;

/// Kills of each kind; tests/kill_resume.sh does 50, for two groups.
fn kills() -> u64 {
    std::env::var("SLIPRING_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(10)
}

fn look(name: &str) -> (u64, u64) {
    let look = json(&["inspect", name, "--json"]);
    (look["tail"].as_u64().unwrap(), look["groups"][0]["head"].as_u64().unwrap())
}

/// Sends what is not published yet, and kills the sender now and then.
fn send_all(name: &str, lines: &[String], dir: &std::path::Path, mut rng: Rng) {
    let mut left = kills();
    loop {
        let tail = look(name).0 as usize;
        if tail == lines.len() {
            break;
        }
        let path = dir.join("rest");
        std::fs::write(&path, lines[tail..].concat()).unwrap();
        let (input, none) = (File::open(&path).unwrap(), File::create("/dev/null").unwrap());
        let args = ["send", name, "--batch", "64"];
        let sender = Running::start_into(&args, Stdio::from(input), none);
        if left == 0 {
            sender.finish().quietly();
            continue;
        }
        thread::sleep(Duration::from_micros(rng.below(20_000)));
        left -= u64::from(sender.kill().code().is_none());
    }
}

#[test]
fn nothing_is_lost_and_nothing_comes_twice_but_what_was_not_acked() {
    let name = TempName::new("kill");
    let dir = TempDir::new(&name);
    run(&["create", &name, "--capacity", "256", "--payload", "48", "--group", "g"]).quietly();
    let count = 200_000;
    let lines: Vec<String> = numbers(0..count).lines().map(|line| format!("{line}\n")).collect();
    let mut rng = Rng::new();
    let seeds = Rng::new();
    let mut killed = 0;
    let mut parts = Vec::new();
    thread::scope(|scope| {
        let sender = scope.spawn(|| send_all(&name, &lines, &dir, seeds));
        while look(&name).1 < count {
            assert!(!sender.is_finished() || look(&name).0 == count, "the sender failed");
            let path = dir.join(format!("part-{}", parts.len()));
            parts.push(path.clone());
            let args =
                ["recv", &name, "--group", "g", "--json", "--batch", "64", "--timeout", "0.5"];
            let reader = Running::start_into(&args, Stdio::null(), File::create(&path).unwrap());
            if killed == kills() {
                reader.finish();
                continue;
            }
            thread::sleep(Duration::from_micros(rng.below(30_000)));
            killed += u64::from(reader.kill().code().is_none());
        }
    });
    let mut next = 0;
    let mut repeated = 0;
    for part in parts {
        let text = std::fs::read_to_string(part).unwrap();
        // A kill may have cut the last line.
        for line in text.split_inclusive('\n').filter(|line| line.ends_with('\n')) {
            let message = parsed(line);
            let sequence = message["sequence"].as_u64().unwrap();
            assert!(sequence <= next, "{next} is missing before {sequence}");
            if sequence < next {
                repeated += 1;
                continue;
            }
            assert_eq!(message["payload"], lines[sequence as usize].trim_end());
            next += 1;
        }
    }
    assert_eq!(next, count);
    assert!(repeated <= killed * BATCH, "{repeated} repeated after {killed} kills");
}

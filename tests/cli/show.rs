use super::common::TempName;
use super::tool::{Running, feed, groups, json, run};

#[test]
fn a_queue_is_shown_for_people_and_for_programs() {
    let name = TempName::new("show");
    run(&["create", &name, "--capacity", "100", "--payload", "48", "--group", "g"]).quietly();
    let add = ["group", "add", &name, "late", "--from", "newest", "--retention", "release"];
    feed(&["send", &name], b"0\n1\n").quietly();
    run(&add).quietly();
    assert_eq!(run(&["recv", &name, "--group", "g", "--count", "1"]).quietly(), "0\n");
    let look = json(&["inspect", &name, "--json"]);
    assert_eq!((&look["tail"], &look["capacity"]), (&2.into(), &128.into()));
    assert_eq!((&look["payload_size"], &look["depth"]), (&48.into(), &1.into()));
    assert_eq!(look["producer"]["live"], false);
    let groups = groups(&name);
    assert_eq!(groups, look["groups"]);
    assert_eq!(json(&["group", "ls", &name, "--json"])["queue"], *name);
    let seen: Vec<_> =
        groups.as_array().unwrap().iter().map(|g| (&g["name"], &g["head"])).collect();
    assert_eq!(seen, [(&"g".into(), &1.into()), (&"late".into(), &2.into())]);
    assert_eq!(groups[1]["retention"], "release");
    assert_eq!(run(&["groups", &name]).quietly(), run(&["group", "ls", &name]).quietly());
    for (command, words) in [
        (&["inspect", &*name][..], &["capacity  128", "tail      2", "producer  none", "late"][..]),
        (&["group", "ls", &name], &["GROUP", "late   exclusive  release", "no consumer"]),
    ] {
        let out = run(command).quietly();
        words.iter().for_each(|word| assert!(out.contains(word), "{word:?} in {out}"));
    }
}

#[test]
fn a_queue_goes_on_with_the_sequences_of_another() {
    let name = TempName::new("base");
    run(&["create", &name, "--group", "g", "--base", "41"]).quietly();
    feed(&["send", &name], b"a\n").quietly();
    let seen = run(&["recv", &name, "--group", "g", "--count", "1", "--json"]).quietly();
    assert!(seen.contains("\"sequence\":41"), "{seen}");
    let beyond = TempName::new("beyond");
    run(&["create", &beyond, "--base", "72057594037927935"]).says(2, &["--base"]);
    run(&["create", &beyond, "--base", "72057594037927934"]).quietly();
}

#[test]
fn how_to_wait_and_to_be_woken_is_chosen_by_flags() {
    for mode in ["membarrier", "fence", "none"] {
        let name = TempName::new("wake");
        run(&["create", &name, "--group", "g", "--wake", mode]).quietly();
        let shown = json(&["inspect", &name, "--json"])["wake_mode"].as_str().unwrap().to_owned();
        // Some kernels refuse membarrier(2).
        assert!(shown == mode || (mode, &*shown) == ("membarrier", "fence"));
        assert!(run(&["inspect", &name]).quietly().contains(&format!("wake      {shown}")));
        for wait in ["spin", "yield", "sleep"] {
            let args = ["recv", &name, "--group", "g", "--count", "3", "--wait", wait];
            let reader = Running::start(&args);
            let watcher = ["tail", &name, "--count", "3", "--from", "oldest", "--wait", wait];
            feed(&["send", &name, "--wait", wait], b"0\n1\n2\n").quietly();
            assert_eq!(reader.finish().quietly(), "0\n1\n2\n");
            assert_eq!(run(&watcher).quietly(), "0\n1\n2\n");
        }
    }
    let name = TempName::new("no-wake");
    run(&["create", &name]).quietly();
    run(&["send", &name, "--wake", "fence"]).says(2, &["--wake", "--create"]);
}

#[test]
fn all_queues_are_listed_also_those_that_cannot_be_opened() {
    let (good, bad) = (TempName::new("good"), TempName::new("bad"));
    run(&["create", &good, "--capacity", "8"]).quietly();
    std::fs::write(bad.path(), vec![7; 8192]).unwrap();
    let out = run(&["ls"]).quietly();
    let line = |name: &str| out.lines().find(|line| line.starts_with(name)).unwrap();
    assert!(out.starts_with("NAME") && line(&good).contains(" 8 "), "{out}");
    assert!(line(&bad).contains("not a slipring queue"), "{out}");
    let list = json(&["ls", "--json"]);
    let entry = |name: &str| {
        list["queues"]
            .as_array()
            .unwrap()
            .iter()
            .find(|entry| entry["name"] == name)
            .unwrap()
            .clone()
    };
    assert_eq!(entry(&good)["capacity"], 8);
    let error = &entry(&bad)["error"];
    assert_eq!((&error["number"], &error["name"]), (&201.into(), &"not-a-queue".into()));
    assert!(error["text"].as_str().unwrap().contains("not a slipring queue"));
    run(&["rm", &bad]).says(1, &["--force"]);
    run(&["rm", &bad, "--force"]).quietly();
    assert!(!bad.path().exists());
}

#[test]
fn a_queue_in_use_is_removed_by_force_only() {
    let name = TempName::new("busy");
    run(&["create", &name, "--group", "g"]).quietly();
    let mut sender = Running::start(&["send", &name]);
    sender.write(b"0\n");
    let mut reader = Running::start(&["recv", &name, "--group", "g"]);
    reader.lines(1);
    let pids = [sender.pid().to_string(), reader.pid().to_string()];
    run(&["rm", &name]).says(1, &[&pids[0], &pids[1], "--force"]);
    run(&["group", "rm", &name, "g"]).says(1, &[&pids[1]]);
    run(&["recv", &name, "--group", "g"]).says(1, &[&pids[1]]);
    run(&["send", &name, "--timeout", "0"]).says(3, &[&pids[0]]);
    run(&["rm", &name, "--force"]).quietly();
    assert!(!name.path().exists());
    reader.finish().says(1, &["removed"]);
    run(&["rm", &name]).says(4, &["no queue"]);
}

#[test]
fn a_group_can_be_removed_once_nobody_reads() {
    let name = TempName::new("leave");
    run(&["create", &name, "--capacity", "2", "--group", "g"]).quietly();
    feed(&["send", &name], b"0\n1\n").quietly();
    let force = format!("slipring group rm {} g --force", &*name);
    run(&["group", "rm", &name, "g"]).says(1, &["2 messages", &force]);
    assert_eq!(groups(&name)[0]["depth"], 2);
    run(&["group", "rm", &name, "g", "--force"]).quietly();
    assert_eq!(groups(&name), serde_json::json!([]));
    feed(&["send", &name], b"2\n").says(0, &["warning"]);
}

#[test]
fn messages_that_are_not_acked_go_by_force_only() {
    let name = TempName::new("unacked");
    run(&["create", &name, "--group", "store", "--shared-group", "work", "--group", "idle"])
        .quietly();
    feed(&["send", &name], b"0\n1\n2\n").quietly();
    run(&["recv", &name, "--group", "idle", "--count", "3"]).quietly();
    run(&["recv", &name, "--group", "work", "--shared", "--count", "1", "--batch", "1"]).quietly();
    let force = format!("slipring rm {} --force", &*name);
    let words = ["3 of group \"store\"", "2 of group \"work\"", &force];
    let ran = run(&["rm", &name]).says(1, &words);
    assert!(!ran.err.contains("idle"), "{}", ran.err);
    assert_eq!(run(&["recv", &name, "--group", "store", "--count", "3"]).quietly(), "0\n1\n2\n");
    run(&["rm", &name]).says(1, &["2 of group \"work\""]);
    run(&["rm", &name, "--force"]).quietly();
    assert!(!name.path().exists());
    // Messages that no group waits for keep nothing.
    run(&["create", &name]).quietly();
    feed(&["send", &name], b"0\n").says(0, &["warning"]);
    run(&["rm", &name]).quietly();
}

#[test]
fn a_new_group_says_where_it_starts_and_what_waits_for_it() {
    let name = TempName::new("starts");
    run(&["create", &name, "--capacity", "8"]).quietly();
    feed(&["send", &name], b"0\n1\n2\n").says(0, &["warning"]);
    let add =
        |group: &str, from: &str| run(&["group", "add", &name, group, "--from", from]).quietly();
    assert_eq!(add("a", "oldest"), "group \"a\" starts at message 0: 3 messages wait for it\n");
    assert_eq!(add("b", "2"), "group \"b\" starts at message 2: 1 message waits for it\n");
    assert_eq!(add("c", "newest"), "group \"c\" starts at message 3: 0 messages wait for it\n");
}

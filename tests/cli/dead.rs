//! Dead letters: looked at, thrown away, sent again.

use nix::sys::signal::Signal;
use slipring::{Consumer, DeadLetter, Group, Queue};

use super::common::{TempName, there};
use super::tool::{Running, feed, groups, json, parsed, run};

/// A queue with a shared group `work`, and its queues of dead letters and retries.
struct Bench {
    name: TempName,
    dead: TempName,
    retry: TempName,
}

impl Bench {
    fn new(what: &str, flags: &[&str]) -> Bench {
        let name = TempName::new(what);
        let dead = TempName::exactly(format!("{}.dead", &*name));
        let retry = TempName::exactly(format!("{}.work.retry", &*name));
        run(&[&["create", &name, "--shared-group", "work", "--in-flight", "0"], flags].concat())
            .quietly();
        Bench { name, dead, retry }
    }

    fn member(&self) -> Consumer {
        let queue = Queue::open(&self.name).unwrap();
        queue.consumer(Group::named("work").shared()).unwrap()
    }

    /// Sends these lines, and has them all rejected.
    fn reject(&self, lines: &[u8]) {
        feed(&["send", &self.name, "--kind", "7"], lines).quietly();
        let mut member = self.member();
        while let Some(message) = there(member.try_recv()) {
            message.reject().unwrap();
        }
    }

    /// Sequences of the letters that wait.
    fn waiting(&self) -> Vec<u64> {
        let out = run(&["dead", "ls", &self.name, "--json"]).quietly();
        out.lines().map(|line| parsed(line)["sequence"].as_u64().unwrap()).collect()
    }

    fn depth(&self) -> u64 {
        json(&["inspect", &self.dead, "--json"])["depth"].as_u64().unwrap()
    }
}

/// An outage has filled the dead-letter queue, and after that all places with messages that had their last attempt. The commands
/// that are printed make room, and lose nothing.
#[test]
fn a_full_dead_letter_queue_and_full_places_are_let_go_by_the_printed_commands() {
    let name = TempName::new("jam");
    let [dead, more] =
        ["dead", "dead.more"].map(|end| TempName::exactly(format!("{}.{end}", &*name)));
    let group = ["--shared-group", "work", "--max-attempts", "1", "--in-flight", "4"];
    run(&[&["create", &name, "--capacity", "4"][..], &group].concat()).quietly();
    let queue = Queue::open(&name).unwrap();
    let mut worker = queue.worker("work").unwrap();
    feed(&["send", &name], b"0\n1\n2\n3\n").quietly();
    for job in worker.recv_batch(4).unwrap() {
        job.reject().unwrap();
    }
    feed(&["send", &name], b"4\n5\n6\n7\n").quietly();
    for job in worker.recv_batch(4).unwrap() {
        job.fail().unwrap_err();
    }
    feed(&["send", &name], b"8\n9\n10\n11\n").quietly();
    drop(worker);
    let recv = |count: &str| {
        let recv = ["recv", &name, "--group", "work", "--shared", "--count", count];
        run(&[&recv[..], &["--exec", "cat; echo"]].concat())
    };
    let create =
        format!("slipring create {} --payload 408 --capacity 4 --group dead --sources 1", &*more);
    let forward = format!("slipring forward {} --group dead --to {} --count 4", &*dead, &*more);
    recv("1").says(1, &[&create, &forward, "slipring dead purge"]);
    let full = run(&["dead", "requeue", &name]);
    full.says(
        1,
        &["no place for the letter", "room in their dead-letter queue", &create, &forward],
    );
    let out = run(&["stats", &name]).quietly();
    let stats = format!("slipring stats {}", &*dead);
    for words in ["4 of them to become dead letters", &stats, &create, &forward] {
        assert!(out.contains(words), "{words:?} is not in {out}");
    }
    let wait = ["send", &name, "--timeout", "3"];
    feed(&wait, b"12\n").says(3, &["4 of them to become dead letters", &stats]);
    for command in [&create, &forward] {
        let words: Vec<&str> = command.split(' ').skip(1).collect();
        run(&words).quietly();
    }
    let mut done: Vec<String> = Vec::new();
    let mut work = |count: &str| {
        let ran = recv(count);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        done.extend(ran.out.lines().map(str::to_owned));
    };
    // What had its last attempt becomes a dead letter, and counts.
    work("8");
    let again = |more: &[&str]| run(&[&["dead", "requeue", &name], more].concat()).quietly();
    assert_eq!(again(&[]), "requeued 4 dead letters\n");
    work("4");
    assert_eq!(again(&["--dead-letters", &more]), "requeued 4 dead letters\n");
    work("4");
    let mut done: Vec<u64> = done.iter().map(|line| line.parse().unwrap()).collect();
    done.sort_unstable();
    assert_eq!(done, (0..12).collect::<Vec<_>>(), "each is done, and once");
}

#[test]
fn without_a_letter_there_is_nothing_to_do() {
    let bench = Bench::new("none", &[]);
    let ran = run(&["dead", "ls", &bench.name]).says(0, &["there never was one"]);
    assert_eq!(ran.out, "");
    assert_eq!(run(&["dead", "purge", &bench.name]).quietly(), "purged 0 dead letters\n");
    assert_eq!(run(&["dead", "requeue", &bench.name]).quietly(), "requeued 0 dead letters\n");
    run(&["dead", "show", &bench.name]).says(1, &["there is no dead letter"]);
    assert!(!bench.dead.path().exists());
    for command in ["ls", "show", "purge", "requeue"] {
        run(&["dead", command, &bench.dead]).says(4, &["there is no queue", "slipring create"]);
        assert_eq!(run(&["dead", command, "a/b"]).code, Some(2));
    }
    // A queue without a message gets no consumer.
    let others = ["dead", "purge", &bench.name, "--dead-letters", &bench.name];
    assert_eq!(run(&others).quietly(), "purged 0 dead letters\n");
    assert_eq!(groups(&bench.name).as_array().unwrap().len(), 1);
}

#[test]
fn letters_are_listed_for_people_and_for_programs() {
    let bench = Bench::new("list", &[]);
    bench.reject(b"one\n\xff\xfe\nthree\n");
    let out = run(&["dead", "ls", &bench.name]).quietly();
    let lines: Vec<&str> = out.lines().collect();
    assert!(lines[0].starts_with("SEQUENCE  QUEUE") && lines.len() == 4, "{out}");
    let cells: Vec<&str> = lines[2].split_whitespace().collect();
    assert_eq!(cells[..5], ["1", &*bench.name, "work", "1", "rejected"]);
    assert_eq!(cells[cells.len() - 3..], ["ago", "7", "2"]);
    let out = run(&["dead", "ls", &bench.name, "--json", "--count", "2"]).quietly();
    let lines: Vec<_> = out.lines().map(parsed).collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(
        (&lines[0]["payload"], &lines[1]["payload_base64"]),
        (&"one".into(), &"//4=".into())
    );
    let letter = &lines[1];
    assert_eq!((&letter["letter"], &letter["sequence"]), (&1.into(), &1.into()));
    assert_eq!((&letter["queue"], &letter["group"]), (&(*bench.name).into(), &"work".into()));
    assert_eq!((&letter["reason"], &letter["attempts"]), (&"rejected".into(), &1.into()));
    assert_eq!(letter["kind"], 7);
    assert!(letter["time"].as_str().unwrap().ends_with('Z'), "{letter}");
    assert_eq!(run(&["dead", "ls", &bench.name, "--count", "1"]).quietly().lines().count(), 2);
    assert_eq!(bench.depth(), 3, "a look takes nothing");
}

#[test]
fn the_name_of_the_dead_letter_queue_leads_to_the_queue_that_they_come_from() {
    let bench = Bench::new("itself", &[]);
    bench.reject(b"one\n");
    let holds = format!("holds the dead letters of queue {:?}", &*bench.name);
    let list = format!("slipring dead ls {}", &*bench.name);
    for command in ["ls", "show", "purge", "requeue"] {
        run(&["dead", command, &bench.dead]).says(1, &[&holds, &list]);
    }
    assert_eq!(bench.depth(), 1);
}

#[test]
fn a_letter_is_shown_as_it_was_sent() {
    let bench = Bench::new("shown", &[]);
    bench.reject(b"one\ntwo\n");
    let show = ["dead", "show", &bench.name];
    let ran =
        run(&show).says(0, &["message 0 of", "group \"work\"", "rejected", "kind 7, 3 bytes"]);
    assert_eq!(ran.out, "one");
    assert_eq!(run(&[&show[..], &["1"]].concat()).says(0, &["message 1 of"]).out, "two");
    let letter = json(&[&show[..], &["1", "--json"]].concat());
    assert_eq!((&letter["sequence"], &letter["payload"]), (&1.into(), &"two".into()));
    let list = format!("slipring dead ls {}", &*bench.name);
    run(&[&show[..], &["2"]].concat()).says(1, &["message 2", "is no dead letter", &list]);
    assert_eq!(bench.depth(), 2, "a look takes nothing");
}

#[test]
fn a_letter_is_shown_by_the_number_that_the_list_gives_it() {
    let bench = Bench::new("numbered", &[]);
    feed(&["send", &bench.name], b"0\n1\n2\n").quietly();
    let mut member = bench.member();
    (0..2).for_each(|_| member.recv().unwrap().ack().unwrap());
    member.recv().unwrap().reject().unwrap();
    let out = run(&["dead", "ls", &bench.name]).quietly();
    let number = out.lines().nth(1).unwrap().split_whitespace().next().unwrap();
    assert_eq!(number, "2", "{out}");
    let ran = run(&["dead", "show", &bench.name, number]).says(0, &["message 2 of"]);
    assert_eq!(ran.out, "2");
}

#[test]
fn queues_of_letters_are_called_what_they_are() {
    let bench = Bench::new("called", &[]);
    bench.reject(b"0\n1\n");
    run(&["dead", "requeue", &bench.name, "--count", "1"]).quietly();
    let name = &*bench.name;
    let retry = format!("retry queue of group \"work\" of queue {name:?}");
    let dead = format!("dead letters of queue {name:?}");
    for (queue, purpose) in [(&bench.retry, &retry), (&bench.dead, &dead)] {
        assert!(run(&["inspect", queue]).quietly().contains(purpose));
        assert_eq!(json(&["inspect", queue, "--json"])["purpose"], **purpose);
        let words = [purpose, "1 of group", &format!("slipring rm {} --force", &**queue)];
        run(&["rm", queue]).says(1, &words);
        assert!(queue.path().exists());
    }
    assert_eq!(json(&["inspect", name, "--json"])["purpose"], serde_json::Value::Null);
    let left = [
        format!(
            "1 dead letter in its queue of dead letters is still there:\n  slipring dead ls {name}  (shows it)\n  slipring rm {} --force  (throws it away)",
            &*bench.dead
        ),
        format!(
            "group \"work\" is still there:\n  slipring peek {} --group work  (",
            &*bench.retry
        ),
    ];
    run(&["rm", name]).says(0, &[&left[0], &left[1]]);
}

/// As operators do where several users share a queue.
#[test]
fn queues_of_letters_that_were_made_by_hand_are_called_so_too() {
    let bench = Bench::new("by-hand", &[]);
    let name = &*bench.name;
    let more = TempName::exactly(format!("{name}.more"));
    let room = ["--payload", "408", "--capacity", "16", "--group"];
    for (queue, group) in [(&bench.dead, "dead"), (&bench.retry, "work"), (&more, "dead")] {
        run(&[&["create", queue][..], &room, &[group]].concat()).quietly();
    }
    bench.reject(b"0\n1\n");
    run(&["dead", "requeue", name, "--count", "1"]).quietly();
    let retry = format!("retry queue of group \"work\" of queue {name:?}");
    let dead = format!("dead letters of queue {name:?}");
    for (queue, purpose) in [(&bench.retry, &*retry), (&bench.dead, &dead), (&more, "dead letters")]
    {
        assert_eq!(json(&["info", queue, "--json"])["purpose"], *purpose);
    }
    // They are watched with the queue that was named.
    let out = run(&["stats", name]).quietly();
    for words in [&format!("1 dead letter of queue {name:?}"), &format!("{}/work ", &*bench.retry)]
    {
        assert!(out.contains(words), "{words:?} is not in {out}");
    }
    let list = format!("slipring dead ls {name}");
    run(&["dead", "ls", &bench.dead]).says(1, &["itself holds the dead letters", &list]);
    run(&["rm", &bench.dead]).says(1, &[&dead, &list]);
}

/// They may be of any queue.
#[test]
fn letters_in_a_queue_of_another_name_are_told_with_commands_for_that_name() {
    let name = TempName::new("elsewhere");
    let letters = TempName::exactly(format!("{}.lost", &*name));
    run(&["create", &name, "--group", "work", "--dead-letters", &letters]).quietly();
    feed(&["send", &name], b"0\n").quietly();
    run(&["recv", &name, "--group", "work", "--count", "1", "--exec", "exit 65"]);
    let list = format!("slipring dead ls {0} --dead-letters {0}", &*letters);
    run(&["dead", "ls", &letters]).says(1, &["itself holds dead letters", &list]);
    run(&["rm", &letters]).says(1, &[&list, "slipring dead purge"]);
    let of = format!("1 dead letter in queue {:?}, perhaps of several queues,", &*letters);
    run(&["rm", &name]).says(0, &[&of, "is still there", &list, "throws it away"]);
    run(&list.split(' ').skip(1).collect::<Vec<_>>()).quietly();
}

#[test]
fn what_is_not_for_letters_is_not_called_so_when_its_namesake_is_removed() {
    let bench = Bench::new("foreign", &[]);
    for others in [&bench.dead, &bench.retry] {
        run(&["create", others]).quietly();
        feed(&["send", others], b"0\n1\n2\n").says(0, &["has no group"]);
    }
    run(&["rm", &bench.name]).quietly();
    // The group that letters have makes it a queue for them.
    run(&["create", &bench.name]).quietly();
    run(&["group", "add", &bench.dead, "dead", "--from", "newest"]).quietly();
    let empty = format!("which is empty, is still there: slipring rm {}\n", &*bench.dead);
    let ran = run(&["rm", &bench.name]).says(0, &[&empty]);
    assert!(!ran.err.contains(&*bench.retry), "{}", ran.err);
    // One that was made for letters, and has lost its group.
    let bench = Bench::new("no-group", &[]);
    bench.reject(b"0\n");
    run(&["group", "rm", &bench.dead, "dead", "--force"]).quietly();
    run(&["rm", &bench.name]).says(0, &["which has no group \"dead\", is still there"]);
}

#[test]
fn messages_of_a_queue_that_is_not_for_letters_are_not_thrown_away() {
    let bench = Bench::new("ordinary", &[]);
    run(&["create", &bench.dead, "--group", "own"]).quietly();
    feed(&["send", &bench.dead], b"0\n1\n").quietly();
    for command in ["purge", "requeue"] {
        let words = ["not a queue of dead letters", "no group \"dead\"", "slipring info"];
        run(&["dead", command, &bench.name]).says(1, &words);
    }
    let left = groups(&bench.dead);
    assert_eq!((left.as_array().unwrap().len(), &left[0]["depth"]), (1, &2.into()));
    // Whoever adds the group allows them there.
    run(&["group", "add", &bench.dead, "dead"]).quietly();
    assert_eq!(run(&["dead", "purge", &bench.name]).quietly(), "purged 2 dead letters\n");
}

#[test]
fn letters_are_thrown_away_from_the_oldest_on() {
    let bench = Bench::new("thrown", &[]);
    bench.reject(b"0\n1\n2\n3\n");
    let purge = ["dead", "purge", &bench.name];
    let count = |n| run(&[&purge[..], &["--count", n]].concat()).quietly();
    assert_eq!(count("1"), "purged 1 dead letter\n");
    assert_eq!(bench.waiting(), [1, 2, 3]);
    assert_eq!(count("0"), "purged 0 dead letters\n");
    assert_eq!(count("2"), "purged 2 dead letters\n");
    assert_eq!(run(&purge).quietly(), "purged 1 dead letter\n");
    assert_eq!(run(&["dead", "ls", &bench.name]).says(0, &["there is no dead letter"]).out, "");
}

#[test]
fn requeued_letters_come_again_and_groups_show_that_they_wait() {
    let bench = Bench::new("again", &[]);
    bench.reject(b"0\n1\n2\n");
    let retries = || groups(&bench.name)[0]["retries"].clone();
    assert_eq!(retries(), serde_json::Value::Null);
    let requeue = ["dead", "requeue", &bench.name];
    let some = [&requeue[..], &["--count", "2"]].concat();
    assert_eq!(run(&some).quietly(), "requeued 2 dead letters\n");
    assert_eq!((retries(), bench.waiting()), (2.into(), vec![2]));
    let receive = ["recv", &bench.name, "--group", "work", "--shared", "--count", "2", "--json"];
    let out = run(&receive).quietly();
    assert!(out.contains("\"sequence\":0,\"kind\":7,") && out.lines().count() == 2, "{out}");
    assert_eq!(retries(), 0);
    // It fails again, over and over, but is requeued no more than once.
    assert_eq!(run(&requeue).quietly(), "requeued 1 dead letter\n");
    let mut member = bench.member();
    member.recv().unwrap().reject().unwrap();
    assert_eq!(bench.waiting(), [2]);
    assert!(bench.retry.path().exists());
}

#[test]
fn who_works_on_the_letters_is_named() {
    let bench = Bench::new("taken", &[]);
    bench.reject(b"0\n");
    let dead = Queue::open(&bench.dead).unwrap();
    let busy = dead.consumer("dead").unwrap();
    let pid = std::process::id().to_string();
    for (command, did) in [("purge", "purged 0"), ("requeue", "requeued 0")] {
        let ran = run(&["dead", command, &bench.name]).says(1, &[&pid, "try again"]);
        assert_eq!(ran.out, format!("{did} dead letters\n"));
    }
    drop(busy);
    assert_eq!(bench.waiting(), [0]);
}

#[test]
fn a_full_queue_of_retries_says_who_has_to_read() {
    let bench = Bench::new("noroom", &["--capacity", "2"]);
    Queue::builder(&bench.dead).capacity(8).payload_size(512).group("dead").create().unwrap();
    bench.reject(b"0\n1\n");
    bench.reject(b"2\n");
    let receive = format!("slipring recv {} --group work", &*bench.name);
    let ran = run(&["dead", "requeue", &bench.name]);
    let ran = ran.says(1, &["is full", &receive, &format!("slipring group ls {}", &*bench.name)]);
    assert_eq!(ran.out, "requeued 2 dead letters\n");
    assert_eq!(bench.waiting(), [2]);
}

#[test]
fn what_cannot_be_requeued_says_what_to_do() {
    let bench = Bench::new("stuck", &[]);
    bench.reject(b"0\n");
    let purge = format!("slipring dead purge {} --count 1", &*bench.name);
    run(&["group", "rm", &bench.name, "work"]).quietly();
    let add = format!("slipring group add {} work", &*bench.name);
    let requeue = ["dead", "requeue", &bench.name];
    run(&requeue).says(4, &["no group \"work\"", &add, &purge]);
    run(&["group", "add", &bench.name, "work", "--shared"]).quietly();
    feed(&["send", &bench.dead], b"no letter\n").quietly();
    let ran = run(&requeue).says(1, &["message 1", "not a dead letter", &purge]);
    assert_eq!(ran.out, "requeued 1 dead letter\n");
    let out = run(&["dead", "ls", &bench.name]).quietly();
    assert!(out.contains("no letter"), "{out}");
    let error = &json(&["dead", "ls", &bench.name, "--json"])["error"];
    assert_eq!((&error["number"], &error["name"]), (&1003.into(), &"not-a-letter".into()));
    assert!(error["text"].is_string());
    let ran = run(&["rm", &bench.name, "--force"]);
    ran.says(0, &[&format!("slipring rm {} --force", &*bench.dead)]);
    // Its letters are still there.
    assert_eq!(run(&["dead", "purge", &bench.name]).quietly(), "purged 1 dead letter\n");
}

#[test]
fn a_group_may_have_its_letters_elsewhere() {
    let target = TempName::new("elsewhere-own");
    let bench = Bench::new("elsewhere", &["--dead-letters", &target]);
    bench.reject(b"0\n1\n");
    let list = format!("slipring dead ls {} --dead-letters {}", &*bench.name, &*target);
    run(&["dead", "ls", &bench.name]).says(0, &[&list, "there never was one"]);
    let with = |command: &str| {
        run(&["dead", command, &bench.name, "--dead-letters", &target, "--count", "1"]).quietly()
    };
    assert!(with("list").contains(&*bench.name));
    assert_eq!(with("requeue"), "requeued 1 dead letter\n");
    assert_eq!(with("purge"), "purged 1 dead letter\n");
}

#[test]
fn a_full_dead_letter_queue_ends_a_receiver_with_what_helps() {
    let bench = Bench::new("full", &["--max-attempts", "1"]);
    let dead = Queue::builder(&bench.dead).capacity(1).payload_size(112 + DeadLetter::ENVELOPE);
    drop(dead.group("dead").create().unwrap());
    feed(&["send", &bench.name], b"0\n1\n").quietly();
    let mut member = bench.member();
    member.recv().unwrap().reject().unwrap();
    // Delivered, and not acked.
    drop(member.recv().unwrap());
    drop(member);
    let receive = ["recv", &bench.name, "--group", "work", "--shared"];
    let help = |command| format!("slipring dead {command} {}", &*bench.name);
    let words = [help("ls"), help("purge"), help("requeue")];
    let ran = run(&receive).says(1, &["message 1", "is full", &words[0], &words[1], &words[2]]);
    assert_eq!(ran.out, "");
    assert_eq!(run(&["dead", "purge", &bench.name]).quietly(), "purged 1 dead letter\n");
    let receiver = Running::start(&receive);
    while bench.waiting() != [1] {
        std::thread::yield_now();
    }
    receiver.kill();
}

#[test]
fn what_a_receiver_did_not_write_is_no_attempt_even_if_it_has_one_only() {
    let name = TempName::new("single-attempt");
    let _dead = TempName::exactly(format!("{}.dead", &*name));
    run(&["create", &name, "--shared-group", "w", "--max-attempts", "1"]).quietly();
    // More than pipes hold.
    let lines: String = (0..3000).map(|n| format!("{n:0100}\n")).collect();
    feed(&["send", &name], lines.as_bytes()).quietly();
    let recv = ["recv", &name, "--group", "w", "--shared"];
    let mut reader = Running::start(&recv);
    reader.lines(1);
    reader.close_output();
    reader.finish().quietly();
    // Its output has no reader when it is stopped.
    let mut reader = Running::start(&recv);
    reader.lines(1);
    std::thread::sleep(std::time::Duration::from_millis(200));
    reader.signal(Signal::SIGTERM);
    reader.finish().says(143, &["received"]);
    let figure = |what: &str| groups(&name)[0][what].as_u64().unwrap();
    let left = figure("depth");
    let ran = run(&[&recv[..], &["--timeout", "0.3"]].concat()).says(3, &[]);
    assert_eq!((ran.out.lines().count() as u64, ran.err.contains("given up")), (left, false));
    assert_eq!((left > 0, figure("depth"), figure("dead_lettered")), (true, 0, 0));
}

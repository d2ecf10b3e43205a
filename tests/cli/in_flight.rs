//! Messages in flight: groups that have places for them, who has which, and what an operator takes back.

use serde_json::json;
use slipring::{Job, JobError, Queue};

use super::common::{TempName, words};
use super::tool::{Limit, Ran, Running, TempDir, command, feed, group, json, limited, parsed, run};

fn queue(what: &str, lines: &str) -> (TempName, Queue) {
    let name = TempName::new(what);
    run(&["create", &name, "--shared-group", "work", "--in-flight", "16"]).quietly();
    feed(&["send", &name], lines.as_bytes()).quietly();
    let queue = Queue::open(&name).unwrap();
    (name, queue)
}

#[test]
fn groups_have_the_places_and_the_ack_timeout_that_they_were_made_with() {
    let name = TempName::new("places");
    let create = ["create", &name, "--group", "audit", "--shared-group", "work"];
    run(&[&create[..], &["--in-flight", "16", "--ack-timeout", "1m", "--spare-cells", "24"]]
        .concat())
    .quietly();
    let add = |group: &str, more: &[&str]| run(&[&["group", "add", &name, group], more].concat());
    add("late", &["--shared", "--in-flight", "8"]).quietly();
    add("slow", &["--shared", "--in-flight", "4", "--ack-timeout", "0"]).quietly();
    add("none", &["--shared", "--in-flight", "0"]).quietly();
    let places = |of: &str| {
        let found = group(&name, of)["in_flight"].clone();
        (found["max"].as_u64(), found["ack_timeout_ms"].as_u64())
    };
    assert_eq!(places("audit"), (None, None));
    assert_eq!(places("work"), (Some(16), Some(60_000)));
    assert_eq!(places("late"), (Some(8), Some(30_000)));
    assert_eq!(places("slow"), (Some(4), None));
    assert_eq!(places("none"), (None, None));
    let look = json(&["inspect", &name, "--json"]);
    assert_eq!((&look["cells"], &look["free_cells"]), (&40.into(), &12.into()));
    let out = run(&["inspect", &name]).quietly();
    for words in [
        "40 places; 12 are free",
        "0 of 16 in flight, ack timeout 60 s",
        "0 of 4 in flight, no ack timeout",
    ] {
        assert!(out.contains(words), "{words:?} is not in {out}");
    }
    add("more", &["--shared", "--in-flight", "13"])
        .says(1, &["no room for 13 messages in flight", "12 places are free", "--spare-cells N"]);
    let join = ["recv", &name, "--group", "more", "--create", "--shared", "--in-flight", "13"];
    run(&[&join[..], &["--timeout", "0"]].concat()).says(1, &["--spare-cells N"]);
}

/// A process that may have no more descriptors cannot ask for its time namespace. That is no other namespace.
#[test]
fn a_full_table_of_descriptors_is_told_as_such() {
    let (name, _queue) = queue("descriptors", "");
    let args = ["recv", &name, "--group", "work", "--shared", "--exec", "true", "--timeout", "0"];
    let mut asked = false;
    for most in 4..16 {
        let ran: Ran =
            limited(&mut command(&args), Limit::Descriptors, most).output().unwrap().into();
        assert!(!ran.err.contains("mount /proc"), "{most}: {}", ran.err);
        if ran.err.contains("clock's offset") {
            asked = true;
            ran.says(1, &["Too many open files"]);
        }
    }
    assert!(asked, "no limit was met where the clock is asked");
}

#[test]
fn places_that_cannot_be_are_wrong_usage() {
    let name = TempName::new("noplaces");
    let create = ["create", &name, "--group", "g"];
    run(&[&create[..], &["--in-flight", "8"]].concat())
        .says(2, &["only a shared group", "--shared-group"]);
    let create = ["create", &name, "--shared-group", "g"];
    for (flags, words) in [
        (&["--in-flight", "65537"][..], "0..=65536"),
        (&["--in-flight", "8", "--ack-timeout", "0.5"], "1 s to 86400 s, or 0 for no timeout"),
        (&["--in-flight", "0", "--ack-timeout", "5"], "--in-flight N with N above 0"),
        (&["--spare-cells", "65537"], "0..=65536"),
    ] {
        run(&[&create[..], flags].concat()).says(2, &[words]);
    }
    let all = ["65792 places", "65536, those of all groups and spare ones together", "(256 unless"];
    run(&[&create[..], &["--spare-cells", "65536"]].concat()).says(1, &all);
    assert!(!name.path().exists());
    run(&create).quietly();
    let add = ["group", "add", &name, "h", "--in-flight", "8"];
    run(&add).says(2, &["only a shared group", "--shared"]);
    let recv = ["recv", &name, "--group", "g", "--in-flight", "8"];
    run(&recv).says(2, &["only a shared group", "--shared"]);
    run(&[&recv[..], &["--shared"]].concat()).says(2, &["only a new group takes --in-flight"]);
    run(&["send", &name, "--spare-cells", "8"]).says(2, &["--spare-cells", "--create"]);
}

#[test]
fn the_list_of_groups_says_who_has_which_message_since_when_and_until_when() {
    let (name, queue) = queue("who", "0\n1\n2\n3\n");
    let mut worker = queue.worker("work").unwrap();
    let jobs = worker.recv_batch(2).unwrap();
    let mut late = worker.recv().unwrap();
    late.extend(std::time::Duration::from_secs(7200)).unwrap();
    worker.recv().unwrap().retry_after(std::time::Duration::from_secs(3000)).unwrap();
    let out = run(&["group", "ls", &name]).quietly();
    let record = queue.snapshot().unwrap().groups[0].members[0].record;
    let who =
        format!("  process {}, consumer {record} has 3 in flight; acked 0\n", std::process::id());
    for words in [
        &who[..],
        "  4 of 16 in flight, ack timeout 30 s; 1 waits to be delivered again, in 50 min; the oldest is 0, received ",
        "\n    message 0: attempt 1, received ",
        "\n    message 2: attempt 1, received ",
        " s ago, due in 2 h\n",
        "\n  with no consumer, to be delivered again\n    message 3: attempt 1, received ",
    ] {
        assert!(out.contains(words), "{words:?} is not in {out}");
    }
    let work = group(&name, "work");
    let figures =
        ["depth", "ready", "unacked", "span"].map(|figure| work[figure].as_u64().unwrap());
    assert_eq!(figures, [4, 0, 4, 0]);
    let found = &work["in_flight"]["messages"];
    let of = |sequence: u64| {
        let mut all = found.as_array().unwrap().iter();
        all.find(|message| message["sequence"] == sequence).unwrap()
    };
    assert_eq!((&of(0)["record"], &of(0)["attempts"]), (&record.into(), &1.into()));
    assert_eq!((&of(3)["record"], &of(3)["attempts"]), (&json!(null), &1.into()));
    assert!(of(0)["due_ms"].as_u64().unwrap() <= 31_000 && of(0)["received_ms"].is_u64());
    assert!(of(2)["due_ms"].as_u64().unwrap() > 60_000);
    drop(jobs);
    late.ack().unwrap();
}

#[test]
fn the_list_of_groups_says_what_was_delivered_again() {
    let (name, queue) = queue("again", "0\n");
    let mut worker = queue.worker("work").unwrap();
    worker.recv().unwrap().fail().unwrap();
    // Its time is told in steps of some milliseconds.
    std::thread::sleep(std::time::Duration::from_millis(100));
    let again = worker.recv().unwrap();
    let out = run(&["group", "ls", &name]).quietly();
    for words in [
        "; the oldest is 0, first received ",
        "message 0: attempt 2, first received ",
        " ago, renewed ",
    ] {
        assert!(out.contains(words), "{words:?} is not in {out}");
    }
    // As long as it had when it was delivered first, but for what has passed since.
    let due = group(&name, "work")["in_flight"]["messages"][0]["due_ms"].as_u64().unwrap();
    assert!(due < 30_100 && out.contains(", due in "), "{due}: {out}");
    let message = &group(&name, "work")["in_flight"]["messages"][0];
    let [received, renewed] = ["received_ms", "renewed_ms"].map(|time| message[time].as_u64());
    assert!(renewed.unwrap() + 80 < received.unwrap(), "{message}");
    again.ack().unwrap();
}

/// It looks as if it was stopped after its reservation and before its claim.
#[test]
fn a_consumer_that_keeps_reserved_places_is_named() {
    // Where docs/layout.md has the first cell and the stride, and a record's tick.
    const CELLS: (u64, u64) = (968, 960);
    const CLAIMED_AT: u64 = 40;
    let name = TempName::new("reserves");
    let create = ["create", &name, "--shared-group", "work", "--in-flight", "4"];
    run(&[&create[..], &["--max-groups", "1"]].concat()).quietly();
    let queue = Queue::open(&name).unwrap();
    let worker = queue.worker("work").unwrap();
    let file = words::open(&name.path());
    for i in 0..4 {
        // Of record 0.
        words::set(&file, words::get(&file, CELLS.0) + i * words::get(&file, CELLS.1), 1);
    }
    words::set(&file, words::GROUPS + words::GROUP + CLAIMED_AT, 1);
    let out = run(&["group", "ls", &name]).quietly();
    let who = format!("process {}, consumer 0, stopped ", std::process::id());
    let taking =
        "while taking messages from the ring, with 4 places reserved: others get that once it ends";
    assert!(out.contains(&who) && out.contains(taking), "{out}");
    let reserved = &group(&name, "work")["in_flight"]["reserved"];
    assert_eq!(reserved, &json!([{"record": 0, "places": 4}]));
    for which in [&["--all"][..], &["--member", "0"]] {
        let out = run(&[&["group", "evict", &name, "work"], which].concat());
        out.says(1, &["consumer 0 has been in the middle", "places reserved", "kill -KILL"]);
    }
    drop(worker);
}

fn evicted(job: Job) -> bool {
    matches!(job.ack(), Err(JobError::Evicted { .. }))
}

#[test]
fn an_operator_takes_messages_back_one_or_all_of_a_consumer_or_all() {
    let (name, queue) = queue("evict", "0\n1\n2\n3\n");
    let (mut first, mut second) = (queue.worker("work").unwrap(), queue.worker("work").unwrap());
    let mut jobs = first.recv_batch(3).unwrap();
    let other = second.recv().unwrap();
    let evict = |more: &[&str]| run(&[&["group", "evict", &name, "work"], more].concat());
    assert_eq!(evict(&["--sequence", "1"]).quietly(), "took 1 message back: 1\n");
    assert!(jobs[0].is_mine() && !jobs[1].is_mine() && jobs[2].is_mine());
    assert!(evicted(jobs.remove(1)));
    let again = second.recv_timeout(std::time::Duration::from_secs(60)).unwrap();
    assert_eq!((again.sequence(), again.attempts()), (1, 2));
    let none = evict(&["--sequence", "7"]);
    assert_eq!(none.out, "took no message back\n", "consumers have others");
    none.says(1, &["no consumer of group \"work\" has message 7", "group ls"]);
    // Of one consumer, by the number that is shown.
    let record = queue.snapshot().unwrap().groups[0].members[0].record.to_string();
    let out = evict(&["--member", &record, "--delay", "1h", "--json"]).quietly();
    assert_eq!(parsed(&out)["evicted"], json!([0, 2]));
    assert!(jobs.into_iter().all(evicted) && other.is_mine());
    let waits = group(&name, "work")["in_flight"]["messages"].clone();
    let due = waits.as_array().unwrap().iter().filter(|message| message["record"].is_null());
    assert!(
        due.clone().count() == 2
            && due.clone().all(|message| message["due_ms"].as_u64().unwrap() > 60_000)
    );
    assert_eq!(evict(&["--all"]).quietly(), "took 2 messages back: 1, 3\n");
    assert!(evicted(other) && evicted(again));
    let none = "took no message back: no consumer has one in flight\n";
    assert_eq!(evict(&["--all"]).quietly(), none);
    let third = queue.worker("work").unwrap();
    let records = queue.snapshot().unwrap().groups[0].members.clone();
    let idle = records.iter().map(|member| member.record).max().unwrap();
    let none = format!("took no message back: consumer {idle} has none in flight\n");
    assert_eq!(evict(&["--member", &idle.to_string()]).quietly(), none);
    evict(&["--member", "7"]).says(1, &["group \"work\" has no consumer 7", "group ls"]);
    drop(third);
}

/// What all jobs need was missing, and is there again.
#[test]
fn an_operator_lets_delayed_messages_be_tried_at_once() {
    let (name, queue) = queue("retry", "0\n1\n2\n3\n");
    let mut worker = queue.worker("work").unwrap();
    for job in worker.recv_batch(3).unwrap() {
        job.retry_after(std::time::Duration::from_secs(3600)).unwrap();
    }
    let retry = |more: &[&str]| run(&[&["group", "retry", &name, "work"], more].concat());
    assert_eq!(retry(&["--sequence", "1"]).quietly(), "1 message is due now: 1\n");
    retry(&["--sequence", "1"])
        .says(1, &["message 1 of group \"work\" does not wait for another try", "group ls"]);
    retry(&["--sequence", "3"]).says(1, &["message 3"]);
    let out = retry(&["--all", "--json"]).quietly();
    assert_eq!(parsed(&out)["retried"], json!([0, 2]));
    assert_eq!(retry(&["--all"]).quietly(), "no message waits for another try\n");
    let exec = ["--count", "4", "--exec", "echo $SLIPRING_SEQUENCE $SLIPRING_ATTEMPTS"];
    let recv = ["recv", &name, "--group", "work", "--shared"];
    let out = run(&[&recv[..], &exec].concat()).with_totals_only();
    let mut lines: Vec<&str> = out.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["0 2", "1 2", "2 2", "3 1"]);
    assert_eq!(queue.snapshot().unwrap().groups[0].depth, 0);
}

#[test]
fn what_cannot_be_taken_back_is_told_with_what_helps() {
    let name = TempName::new("noevict");
    run(&["create", &name, "--group", "audit"]).quietly();
    let evict = |more: &[&str]| run(&[&["group", "evict", &name], more].concat());
    evict(&["adit", "--all"]).says(4, &["no group \"adit\"", "slipring group ls"]);
    evict(&["audit", "--all"]).says(1, &["no places for messages in flight", "slipring group ls"]);
    evict(&["audit"]).says(2, &["--member", "--sequence", "--all"]);
    evict(&["audit", "--all", "--sequence", "1"]).says(2, &["cannot be used with"]);
    let retry = |more: &[&str]| run(&[&["group", "retry", &name], more].concat());
    retry(&["adit", "--all"]).says(4, &["no group \"adit\"", "slipring group ls"]);
    retry(&["audit", "--all"]).says(1, &["no places for messages in flight", "slipring group ls"]);
    retry(&["audit"]).says(2, &["--sequence", "--all"]);
}

#[test]
fn an_operator_makes_a_dead_letter_of_one_message_in_flight_and_touches_no_other() {
    let (name, queue) = queue("reject", "0\n1\n2\n3\n");
    let _dead = TempName::exactly(format!("{}.dead", &*name));
    let mut worker = queue.worker("work").unwrap();
    let hour = std::time::Duration::from_secs(3600);
    let held = [worker.recv().unwrap(), worker.recv().unwrap()];
    worker.recv().unwrap().retry_after(hour).unwrap();
    let reject = |sequence: &str| run(&["group", "reject", &name, "work", "--sequence", sequence]);
    // One that a consumer has, and one that waits for another try.
    for sequence in ["0", "2"] {
        assert!(reject(sequence).quietly().contains(&format!("message {sequence} of group")));
    }
    assert!(!held[0].is_mine() && held[1].is_mine());
    let left = group(&name, "work")["in_flight"]["messages"].clone();
    let left: Vec<_> = left.as_array().unwrap().iter().collect();
    assert_eq!((left.len(), &left[0]["sequence"], &left[0]["attempts"]), (1, &1.into(), &1.into()));
    let letters = parsed_lines(&["dead", "ls", &name, "--json"]);
    let found = letters.iter().map(|letter| (&letter["sequence"], &letter["attempts"]));
    let right = [(&0.into(), &1.into()), (&2.into(), &1.into())];
    assert_eq!(found.collect::<Vec<_>>(), right, "the operator's attempt does not count");
    // In the ring, and nowhere.
    for sequence in ["3", "7"] {
        reject(sequence).says(1, &["does not have message", "group ls"]);
    }
    assert_eq!(worker.recv().unwrap().attempts(), 1);
    run(&["group", "add", &name, "still", "--shared", "--in-flight", "0"]).quietly();
    run(&["group", "reject", &name, "still", "--sequence", "0"]).says(1, &["group ls"]);
    run(&["group", "reject", &name, "adit", "--sequence", "0"]).says(4, &["group ls"]);
}

#[test]
fn an_operator_makes_a_dead_letter_of_an_exclusive_groups_next_message_and_touches_no_other() {
    for retention in ["hold", "release"] {
        let name = TempName::new("reject-next");
        let _others =
            ["dead", "work.retry"].map(|of| TempName::exactly(format!("{}.{of}", &*name)));
        run(&["create", &name]).quietly();
        run(&["group", "add", &name, "work", "--retention", retention]).quietly();
        feed(&["send", &name], b"0\n1\n2\n3\n").quietly();
        let dir = TempDir::new(&name);
        let go = dir.join("go");
        // It ends with the test.
        let test = format!("[ -e {} ] || [ ! -d {} ]", go.display(), dir.display());
        let hangs = format!("until {test}; do sleep 0.02; done");
        let command =
            format!("[ $SLIPRING_SEQUENCE = 0 ] && exit 65; echo $SLIPRING_SEQUENCE; {hangs}");
        let mut worker = Running::start(&["recv", &name, "--group", "work", "--exec", &command]);
        assert_eq!(worker.lines(1), ["1"]);
        // A letter that was sent again comes in turn with the queue, and may come first.
        run(&["dead", "requeue", &name]).quietly();
        let reject =
            |sequence: &str| run(&["group", "reject", &name, "work", "--sequence", sequence]);
        reject("1").says(1, &["has its one consumer", "group ls"]);
        // It waits for that one's end.
        let waits = ["group", "reject", &name, "work", "--sequence", "7", "--timeout", "60"];
        let waits = Running::start(&waits);
        worker.kill();
        std::fs::write(&go, "").unwrap();
        waits.finish().says(1, &["next message of group \"work\" is 1"]);
        for sequence in ["2", "7"] {
            reject(sequence).says(1, &["next message of group \"work\" is 1", "group ls"]);
        }
        assert!(reject("1").quietly().contains("message 1 of group \"work\""));
        // The next one, and then the letter that was sent again, of which it is no attempt either.
        reject("1").says(1, &["next message of group \"work\" is 2"]);
        reject("2").quietly();
        let mut consumer = Queue::open(&name).unwrap().consumer("work").unwrap();
        let mut left = Vec::new();
        while left.len() < 2 {
            let message = consumer.recv().unwrap();
            left.push((message.sequence(), message.attempts(), message.requeued()));
            message.ack().unwrap();
        }
        left.sort_unstable();
        assert_eq!(left, [(0, 1, true), (3, 1, false)]);
        let letters = parsed_lines(&["dead", "ls", &name, "--json"]);
        let found: Vec<_> = letters.iter().map(|letter| &letter["sequence"]).collect();
        assert_eq!(found, [&json!(1), &json!(2)]);
        drop(consumer);
        if retention == "hold" {
            reject("4").says(1, &["has no message 4 yet"]);
        }
        let fault = run(&["rm", &format!("{}.dead", &*name)]);
        let purge = format!("slipring dead purge {}  (", &*name);
        fault.says(
            1,
            &["dead letters of queue", "slipring dead ls", "slipring dead requeue", &purge],
        );
    }
}

#[test]
fn a_rejection_neither_begins_nor_ends_a_group() {
    for shape in [&[][..], &["--shared", "--in-flight", "2"]] {
        let name = TempName::new("reject-unjoined");
        let _dead = TempName::exactly(format!("{}.dead", &*name));
        run(&["create", &name, "--capacity", "4", "--group", "other", "--spare-cells", "2"])
            .quietly();
        let add = ["group", "add", &name, "work", "--retention", "release"];
        run(&[&add[..], shape].concat()).quietly();
        feed(&["send", &name], b"0\n1\n2\n3\n").quietly();
        run(&["recv", &name, "--group", "other", "--count", "4"]).quietly();
        let reject = ["group", "reject", &name, "work", "--sequence"];
        run(&[&reject[..], &["3"]].concat()).says(1, &["group ls"]);
        // It waits for its first consumer, and holds its messages.
        run(&["send", &name, "--timeout", "0"]).quietly();
        feed(&["send", &name, "--timeout", "0"], b"4\n").says(3, &["work"]);
        assert_eq!(group(&name, "work")["depth"], 4);
        if shape.is_empty() {
            run(&[&reject[..], &["0"]].concat()).quietly();
            feed(&["send", &name, "--timeout", "0"], b"4\n").quietly();
            assert_eq!(group(&name, "work")["depth"], 4);
        }
    }
}

#[test]
fn a_rejection_that_fails_counts_no_attempt_and_gives_nothing_up() {
    let name = TempName::new("reject-failed");
    let dead = TempName::exactly(format!("{}.dead", &*name));
    run(&["create", &name, "--group", "work", "--max-attempts", "2"]).quietly();
    feed(&["send", &name], b"0\n1\n").quietly();
    std::fs::write(dead.path(), "no queue").unwrap();
    let reject = |sequence: &str| run(&["group", "reject", &name, "work", "--sequence", sequence]);
    for _ in 0..4 {
        reject("0").says(1, &["cannot be sent to the dead-letter queue"]);
        reject("1").says(1, &["next message of group \"work\" is 0"]);
    }
    let shown = group(&name, "work");
    assert_eq!((&shown["depth"], &shown["redelivered"]), (&2.into(), &0.into()));
    let queue = Queue::open(&name).unwrap();
    assert_eq!(queue.consumer("work").unwrap().recv().unwrap().attempts(), 1);
    std::fs::remove_file(dead.path()).unwrap();
    reject("0").quietly();
    let letters = parsed_lines(&["dead", "ls", &name, "--json"]);
    assert_eq!((letters.len(), &letters[0]["attempts"]), (1, &1.into()));
}

fn parsed_lines(args: &[&str]) -> Vec<serde_json::Value> {
    run(args).quietly().lines().map(parsed).collect()
}

#[test]
fn a_shared_group_has_places_in_flight_unless_it_is_told_otherwise() {
    let name = TempName::new("default");
    let places = |of: &str| {
        let found = group(&name, of)["in_flight"].clone();
        (found["max"].as_u64(), found["ack_timeout_ms"].as_u64().map(|ms| (ms + 500) / 1000))
    };
    let bytes = || json(&["inspect", &name, "--json"])["bytes"].as_u64().unwrap();
    run(&["create", &name, "--group", "audit", "--shared-group", "work"]).quietly();
    assert_eq!((places("audit"), places("work")), ((None, None), (Some(256), Some(30))));
    run(&["rm", &name]).quietly();
    // No more bytes than the ring: slots of 128 bytes, places of 192.
    let small = ["create", &name, "--capacity", "16", "--shared-group", "work"];
    run(&small).quietly();
    assert_eq!(places("work"), (Some(10), Some(30)));
    let with = bytes();
    run(&["rm", &name]).quietly();
    run(&[&small[..], &["--in-flight", "0"]].concat()).quietly();
    assert_eq!(places("work"), (None, None));
    assert!((1..=16 * 128).contains(&(with - bytes())), "{with} {}", bytes());
    // There is no room for more in a queue that exists, unless it was made with some.
    let out = run(&["group", "add", &name, "late", "--shared"]).quietly();
    assert!(out.contains("no messages in flight: the queue has no spare cells"), "{out}");
    let none = ["recv", &name, "--create", "--group", "later", "--shared", "--timeout", "0"];
    run(&none).says(3, &["\"later\" has no messages in flight: the queue has no spare cells"]);
    run(&[&none[..], &["--spare-cells", "9"]].concat())
        .says(3, &["was there, and keeps its shape: its number of places in flight is 0"]);
    run(&["rm", &name]).quietly();
    run(&[&small[..], &["--spare-cells", "7", "--ack-timeout", "5"]].concat()).quietly();
    let out = run(&["group", "add", &name, "late", "--shared"]).quietly();
    assert!(out.ends_with("\n7 messages in flight at most\n"), "{out}");
    assert_eq!((places("work"), places("late")), ((Some(10), Some(5)), (Some(7), Some(30))));
    run(&["rm", &name]).quietly();
    // A receiver that makes its queue leaves room for its group.
    let recv = ["recv", &name, "--create", "--group", "work", "--shared", "--timeout", "0"];
    run(&recv).says(3, &["made group"]);
    assert_eq!(places("work"), (Some(256), Some(30)));
    run(&["rm", &name]).quietly();
    run(&[&recv[..], &["--in-flight", "3", "--ack-timeout", "9"]].concat())
        .says(3, &["made group"]);
    assert_eq!(places("work"), (Some(3), Some(9)));
}

#[test]
fn a_dead_letter_goes_back_to_its_group_without_a_queue_of_its_own() {
    let (name, _queue) = queue("requeue", "bad\n");
    let _dead = TempName::exactly(format!("{}.dead", &*name));
    let recv = ["recv", &name, "--group", "work", "--shared", "--count", "1"];
    run(&[&recv[..], &["--exec", "exit 65"]].concat()).says(0, &["rejected"]);
    assert_eq!(run(&["dead", "requeue", &name]).quietly(), "requeued 1 dead letter\n");
    assert_eq!(group(&name, "work")["in_flight"]["messages"][0]["sequence"], 0);
    let out = run(&[&recv[..], &["--json"]].concat()).quietly();
    let message = parsed(&out);
    assert_eq!((&message["sequence"], &message["attempts"]), (&0.into(), &1.into()));
    assert_eq!((&message["payload"], &group(&name, "work")["depth"]), (&"bad".into(), &0.into()));
}

#[test]
fn a_look_at_a_group_shows_what_is_in_flight_and_in_the_ring() {
    let name = TempName::new("peek");
    let create = ["create", &name, "--capacity", "4", "--shared-group", "work"];
    run(&[&create[..], &["--in-flight", "8"]].concat()).quietly();
    let queue = Queue::open(&name).unwrap();
    let mut worker = queue.worker("work").unwrap();
    let mut send = |lines: &[u8]| {
        feed(&["send", &name], lines).quietly();
        worker.recv().unwrap()
    };
    let (first, second) = (send(b"0\n"), send(b"1\n"));
    feed(&["send", &name], b"2\n").quietly();
    second.ack().unwrap();
    assert_eq!(run(&["peek", &name, "--group", "work"]).quietly(), "0\n2\n");
    let mut send = |lines: &[u8]| {
        feed(&["send", &name], lines).quietly();
        worker.recv().unwrap().ack().unwrap();
    };
    for line in ["3\n", "4\n", "5\n", "6\n"] {
        send(line.as_bytes());
    }
    // The ring has gone round, and the message is in its place in flight.
    let tail = ["tail", &name, "--from", "0", "--count", "1", "--timeout", "0"];
    assert_ne!(run(&tail).out, "0\n");
    let before = group(&name, "work");
    assert_eq!(run(&["peek", &name, "--group", "work"]).quietly(), "0\n6\n");
    let peek = |sequence| run(&["peek", &name, "--group", "work", "--sequence", sequence]);
    assert_eq!((peek("0").quietly(), peek("6").quietly()), ("0\n".to_owned(), "6\n".to_owned()));
    for sequence in ["1", "7"] {
        let words = format!("does not have message {sequence}");
        assert_eq!(peek(sequence).says(1, &[&words, "slipring group ls"]).out, "");
    }
    let after = group(&name, "work");
    for of in ["depth", "unacked", "redelivered"] {
        assert_eq!(before[of], after[of], "a look changes nothing");
    }
    assert!(first.is_mine() && first.attempts() == 1);
    first.ack().unwrap();
    assert_eq!(run(&["peek", &name, "--group", "work"]).quietly(), "6\n");
}

/// It has kept the sequence that it had there, where this queue has none yet, or another message.
#[test]
fn a_look_at_a_group_shows_a_dead_letter_of_a_former_queue() {
    let (name, former) = queue("peek-former", "0\nbad\n");
    let _dead = TempName::exactly(format!("{}.dead", &*name));
    drop(former);
    let exec = "test $SLIPRING_SEQUENCE = 0 || exit 65";
    let recv = ["recv", &name, "--group", "work", "--shared", "--count", "2", "--exec", exec];
    run(&recv).says(0, &["rejected"]);
    run(&["rm", &name]).says(0, &["is still there"]);
    run(&["create", &name, "--capacity", "4", "--shared-group", "work"]).quietly();
    assert_eq!(run(&["dead", "requeue", &name]).quietly(), "requeued 1 dead letter\n");
    let peek = || run(&["peek", &name, "--group", "work"]).quietly();
    assert_eq!(peek(), "bad\n");
    feed(&["send", &name], b"a\nb\n").quietly();
    assert_eq!(peek(), "bad\na\nb\n");
    let peek = run(&["peek", &name, "--group", "work", "--sequence", "1"]).quietly();
    assert_eq!(peek, "bad\nb\n");
}

#[test]
fn an_ack_timeout_is_changed_for_what_is_received_from_then_on() {
    let (name, queue) = queue("set", "0\n1\n2\n");
    let mut worker = queue.worker("work").unwrap();
    let mut left = || worker.recv().map(|job| (job.time_left(), job)).unwrap();
    let (first, _kept) = left();
    assert!(first.unwrap().as_secs() >= 20, "{first:?}");
    let set = |group: &str, time: &str| run(&["group", "set", &name, group, "--ack-timeout", time]);
    assert_eq!(set("work", "1h").quietly(), "");
    let (second, _kept) = left();
    assert!(second.unwrap().as_secs() > 3000, "{second:?}");
    assert_eq!(
        group(&name, "work")["in_flight"]["ack_timeout_ms"].as_u64().map(|ms| ms / 3_600_000),
        Some(1)
    );
    set("work", "0").quietly();
    let (third, _kept) = left();
    assert_eq!(
        (third, group(&name, "work")["in_flight"]["ack_timeout_ms"].clone()),
        (None, json!(null))
    );
    set("work", "0.5").says(2, &["1 s to 86400 s, or 0"]);
    run(&["group", "set", &name, "work"]).says(2, &["--ack-timeout"]);
    set("wrk", "5").says(4, &["no group \"wrk\"", "slipring group ls"]);
    run(&["group", "add", &name, "audit"]).quietly();
    set("audit", "5").says(1, &["slipring group ls"]);
}

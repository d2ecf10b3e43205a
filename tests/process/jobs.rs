//! Messages in flight beside the ring under a killer that also stops: members that are stopped for longer than the ack timeout
//! and go on after their messages went elsewhere, and clocks of two time namespaces.

use std::collections::{BTreeMap, BTreeSet};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use slipring::{Group, Job, JobError, Queue, RecvError};

use crate::common::child::{Child, hear, tell};
use crate::common::{Rng, TempName, message};
use crate::stream::LONG;
use crate::torture::produce;

const MAX: usize = 24;
const GROUP: &str = "work";
const MEMBERS: usize = 4;
const ACK_TIMEOUT: Duration = Duration::from_secs(1);
/// Stopped for so long, a member has lost what it had.
const STOPPED: Duration = Duration::from_millis(1300);

fn work() -> Group {
    Group::named(GROUP).shared().in_flight(256).ack_timeout(ACK_TIMEOUT).unlimited_attempts()
}

/// Role: sends until it is killed, some messages at a time, with pauses.
pub(crate) fn send_jobs(name: &str) {
    let queue = Queue::open(name).unwrap();
    let mut producer = produce(&queue);
    for way in 0u64.. {
        let next = producer.sequence();
        let batch: Vec<_> = (next..next + 1 + way % 8).map(|number| message(number, MAX)).collect();
        let _ = producer.send_batch(&batch).unwrap();
        thread::sleep(Duration::from_millis(2));
    }
}

/// Role: works on up to `max` jobs at a time until the queue is removed. Tells each delivery before the work, and what came of
/// each ack.
pub(crate) fn work_jobs(name: &str, max: usize) {
    let queue = Queue::open(name).unwrap();
    let mut worker = queue.worker(work()).unwrap();
    loop {
        let jobs = match worker.recv_batch(max) {
            Ok(jobs) => jobs,
            Err(RecvError::Removed { .. }) => return,
            Err(fault) => panic!("{fault}"),
        };
        for job in &jobs {
            assert_eq!(**job, *message(job.sequence(), MAX));
            tell(format_args!("got {} {}", job.sequence(), job.attempts()));
        }
        for job in jobs {
            let (sequence, attempts) = (job.sequence(), job.attempts());
            let what = match sequence % 50 {
                0 if attempts == 1 => job.retry_after(Duration::from_millis(30)).map(|()| "back"),
                other => {
                    thread::sleep(Duration::from_micros(other * 300));
                    job.ack().map(|()| "acked")
                }
            };
            match what {
                Ok(what) => tell(format_args!("{what} {sequence} {attempts}")),
                Err(JobError::Evicted { .. }) => {
                    tell(format_args!("evicted {sequence} {attempts}"))
                }
                Err(fault) => panic!("{fault}"),
            }
        }
    }
}

/// A member's report.
struct Told {
    what: String,
    seq: u64,
    attempts: u64,
    at: Instant,
}

fn start_member(
    name: &str,
    by: usize,
    told: &Sender<Told>,
    refused: &Arc<AtomicBool>,
) -> (Child, thread::JoinHandle<()>) {
    let mut child = Child::start(&format!("work-jobs {name} {}", 1 + by % 5));
    let (mut lines, told, refused) = (child.lines(), told.clone(), Arc::clone(refused));
    let listener = thread::spawn(move || {
        while let Some(line) = lines.line() {
            let [what, seq, attempts] = line.split(' ').collect::<Vec<_>>()[..] else {
                panic!("{line}")
            };
            if what == "evicted" {
                refused.store(true, Ordering::Relaxed);
            }
            let (seq, attempts) = (seq.parse().unwrap(), attempts.parse().unwrap());
            told.send(Told { what: what.to_owned(), seq, attempts, at: Instant::now() }).unwrap();
        }
    });
    (child, listener)
}

fn number_of(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().and_then(|n| n.parse().ok()).unwrap_or(default)
}

/// `SLIPRING_KILLS` (100) and `SLIPRING_STOPS` (5) say how many.
#[test]
fn stopped_and_killed_workers_lose_nothing_and_ack_nothing_twice() {
    let (kills, stops) = (number_of("SLIPRING_KILLS", 100), number_of("SLIPRING_STOPS", 5));
    let name = TempName::new("torture-jobs");
    let queue = Queue::builder(&name).capacity(64).payload_size(MAX).group(work());
    let queue = queue.max_consumers(16).create().unwrap();
    let mut rng = Rng::new();
    let (tell_us, told) = channel();
    let collector = thread::spawn(move || told.iter().collect::<Vec<Told>>());
    let mut producer = Child::start(&format!("send-jobs {}", &*name));
    let mut listeners = Vec::new();
    let mut started = 0;
    let refused = Arc::new(AtomicBool::new(false));
    let mut start = |listeners: &mut Vec<_>| {
        let (child, listener) = start_member(&name, started, &tell_us, &refused);
        listeners.push(listener);
        started += 1;
        child
    };
    let mut members: Vec<_> = (0..MEMBERS).map(|_| start(&mut listeners)).collect();
    // Until when each is stopped, at most two at a time.
    let mut stopped: BTreeMap<usize, Instant> = BTreeMap::new();
    let (mut killed, mut stopped_times) = (0, 0);
    // A member that was stopped may have had no message, or be killed: as many more are stopped as it takes for one to ack late.
    let late = || refused.load(Ordering::Relaxed);
    while killed < kills || stopped_times < stops || !stopped.is_empty() || !late() {
        thread::sleep(Duration::from_millis(rng.below(30)));
        for (member, _) in stopped.extract_if(.., |_, until| *until <= Instant::now()) {
            members[member].go_on();
        }
        let victim = rng.below(MEMBERS as u64 + 1) as usize;
        // So that both come to their end at about the same time.
        let stop = stopped_times < stops && killed * stops >= stopped_times * kills
            || killed >= kills && !late();
        if stop && victim < MEMBERS && stopped.len() < 2 && !stopped.contains_key(&victim) {
            members[victim].stop();
            stopped.insert(victim, Instant::now() + STOPPED);
            stopped_times += 1;
            assert!(stopped_times < stops + 100, "no member that was stopped has acked late");
        } else if killed < kills && (!stop || stopped_times * kills > killed * stops) {
            killed += 1;
            if victim == MEMBERS {
                producer.kill();
                producer = Child::start(&format!("send-jobs {}", &*name));
            } else if !stopped.contains_key(&victim) || rng.below(8) == 0 {
                // A stopped one now and then, too: what it was in the middle of is settled then.
                stopped.remove(&victim);
                members[victim].kill();
                members[victim] = start(&mut listeners);
            }
        }
    }
    producer.kill();
    drop(produce(&queue));
    let since = Instant::now();
    let look = loop {
        let look = queue.snapshot().unwrap();
        let group = &look.groups[0];
        let joined = group.members.iter().filter(|member| member.live).count() == MEMBERS;
        if joined && (group.head, group.depth) == (look.tail, 0) {
            break look;
        }
        assert!(since.elapsed() < LONG, "not all acked: {group:?}");
        thread::sleep(Duration::from_millis(5));
    };
    slipring::force_remove(&name).unwrap();
    members.into_iter().for_each(Child::finish);
    for listener in listeners {
        listener.join().unwrap();
    }
    drop(tell_us);
    let told = collector.join().unwrap();
    check(&told, look.tail, &format!("{killed} kills, {stopped_times} stops"));
}

/// Checks what members told of `tail` messages.
fn check(told: &[Told], tail: u64, what: &str) {
    let mut by_message: BTreeMap<u64, Vec<&Told>> = BTreeMap::new();
    for one in told {
        by_message.entry(one.seq).or_default().push(one);
    }
    let seen: BTreeSet<u64> = by_message.keys().copied().collect();
    assert!(seen.iter().copied().eq(0..tail), "every message was delivered");
    let (mut again, mut refused, mut waits) = (0, 0, Vec::new());
    for (seq, all) in &by_message {
        let of = |what: &'static str| all.iter().filter(move |one| one.what == what);
        let deliveries: BTreeMap<u64, Instant> =
            of("got").map(|one| (one.attempts, one.at)).collect();
        assert_eq!(deliveries.len(), of("got").count(), "{seq}: each delivery is counted");
        again += deliveries.len() - 1;
        assert!(of("acked").count() <= 1, "{seq}: acked twice");
        // What is acked is not delivered again, and only its latest delivery can be acked.
        let last = deliveries.keys().last().copied();
        assert!(of("acked").all(|one| Some(one.attempts) == last), "{seq}: came after its ack");
        for late in of("evicted") {
            refused += 1;
            let next = deliveries.get(&(late.attempts + 1));
            if let (Some(had), Some(next)) = (deliveries.get(&late.attempts), next) {
                waits.push(next.saturating_duration_since(*had + ACK_TIMEOUT));
            }
        }
    }
    waits.sort();
    println!(
        "{what}; {tail} messages, {again} delivered again, {refused} acks refused; from the end of the ack timeout to \
         redelivery: median {:?}, max {:?} of {}",
        waits.get(waits.len() / 2),
        waits.last(),
        waits.len(),
    );
}

/// Role: in a time namespace. Holds the first message, then takes the second one of another member.
pub(crate) fn shifted(name: &str) {
    let queue = Queue::open(name).unwrap();
    let mut worker = queue.worker(work()).unwrap();
    let held = worker.recv().unwrap();
    tell("holds");
    hear();
    tell(held.is_mine());
    drop(held);
    let taken = worker.recv_timeout(LONG).unwrap();
    tell(taken.attempts());
    taken.ack().unwrap();
}

/// The wrapper that shifts the clock of a process by a day forth or back, if this machine can do that.
fn shift(offset: &str) -> Option<Vec<&str>> {
    // With a fork: the process itself stays in its namespace on kernels that do not move it at its exec.
    let args = ["-r", "--time", "--monotonic", offset, "--fork", "--kill-child"];
    let tried = Command::new("unshare").args(args).arg("true").stderr(Stdio::null()).status();
    tried.is_ok_and(|status| status.success()).then(|| [&["unshare"][..], &args].concat())
}

#[test]
fn members_of_two_time_namespaces_agree_when_a_message_is_due() {
    for offset in ["86400", "-60"] {
        let Some(wrapper) = shift(offset) else {
            println!("skipped: unshare(1) cannot make a time namespace here");
            continue;
        };
        let name = TempName::new("time-namespace");
        let queue = Queue::builder(&name).capacity(8).payload_size(MAX).group(work());
        let queue = queue.create().unwrap();
        let _ = queue.producer().unwrap().send("theirs").unwrap();
        let mut child = Child::start_under(&wrapper, &format!("shifted {}", &*name));
        let since = Instant::now();
        child.expect("holds");
        let mut worker = queue.worker(GROUP).unwrap();
        let theirs: Job = worker.recv_timeout(LONG).unwrap();
        assert!(since.elapsed() >= ACK_TIMEOUT, "not before its time");
        assert_eq!((&*theirs, theirs.attempts()), (&b"theirs"[..], 2));
        theirs.ack().unwrap();
        // And the other way round: this one hangs, and the other takes its message.
        let _ = queue.producer().unwrap().send("ours").unwrap();
        let ours = worker.recv_timeout(LONG).unwrap();
        let (since, left) = (Instant::now(), ours.time_left().unwrap());
        child.say("go on");
        child.expect("false");
        child.expect("2");
        // The queue's clock counts in steps of some milliseconds.
        assert!(since.elapsed() + Duration::from_millis(50) >= left, "not before its time");
        assert!(matches!(ours.ack(), Err(JobError::Evicted { .. })));
        child.finish();
        assert_eq!(queue.snapshot().unwrap().groups[0].depth, 0);
    }
}

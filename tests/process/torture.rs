//! A shared group under a killer: one producer, four members, a process that joins and leaves, and one that makes and
//! removes groups. A random one is killed with SIGKILL and started again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use slipring::{Group, Producer, ProducerError, Queue, RecvError, Start};

use crate::common::child::{Child, tell};
use crate::common::{Rng, TempName, message, there};
use crate::stream::LONG;

const MAX: usize = 24;
const GROUP: &str = "work";
const MEMBERS: usize = 4;

fn shared() -> Group {
    // Some join and leave again and again with messages; that must not make dead letters.
    Group::named(GROUP).shared().unlimited_attempts()
}

/// Takes the role as soon as the dead predecessor's lease is free, which takes a moment after its death.
pub(crate) fn produce(queue: &Queue) -> Producer {
    let since = Instant::now();
    loop {
        match queue.producer() {
            Err(ProducerError::Taken { .. }) if since.elapsed() < LONG => thread::yield_now(),
            joined => return joined.unwrap(),
        }
    }
}

/// Role: sends until it is killed, one by one and in batches.
pub(crate) fn send_for_ever(name: &str) {
    let queue = Queue::open(name).unwrap();
    let mut producer = produce(&queue);
    for way in 0u64.. {
        let next = producer.sequence();
        let count = 1 + way % 5;
        let batch: Vec<_> = (next..next + count).map(|number| message(number, MAX)).collect();
        producer.send_batch(&batch).unwrap();
    }
}

/// Role: receives up to `max` messages at a time until the queue is removed; reports each with its attempts before its
/// ack.
pub(crate) fn compete(name: &str, max: usize) {
    let queue = Queue::open(name).unwrap();
    let mut member = queue.consumer(shared()).unwrap();
    loop {
        let batch = match member.recv_batch(max) {
            Ok(batch) => batch,
            Err(RecvError::Removed { .. }) => return,
            Err(fault) => panic!("{fault}"),
        };
        for delivered in &batch {
            assert_eq!(*delivered, *message(delivered.sequence(), MAX));
            tell(format_args!("{} {}", delivered.sequence(), delivered.attempts()));
        }
        batch.ack().unwrap();
    }
}

/// Role: joins the group and leaves it, for ever; gives back what it received.
pub(crate) fn come_and_go(name: &str) {
    let queue = Queue::open(name).unwrap();
    loop {
        let mut member = queue.consumer(shared()).unwrap();
        if let Some(mut batch) = there(member.try_recv_batch(2)) {
            // No attempt was made: the same message may come here hundreds of times.
            batch.uncount();
        }
    }
}

/// Role: makes and removes groups of its own, for ever.
pub(crate) fn make_and_remove(name: &str) {
    let queue = Queue::open(name).unwrap();
    for n in 0u64.. {
        let group = Group::named(format!("side-{}", n % 3)).start(Start::Newest);
        // A predecessor may have died between making and removing.
        let _ = queue.add_group(&group);
        queue.force_remove_group(&format!("side-{}", n % 3)).unwrap();
    }
}

/// A member's report: who, which message, which attempt, when it was heard.
struct Told {
    by: usize,
    seq: u64,
    attempts: u64,
    at: Instant,
}

/// Starts member number `by`, and listens to it.
fn start_member(name: &str, by: usize, told: &Sender<Told>) -> (Child, thread::JoinHandle<()>) {
    let mut child = Child::start(&format!("compete {name} {}", 1 + by % 7));
    let mut lines = child.lines();
    let told = told.clone();
    let listener = thread::spawn(move || {
        while let Some(line) = lines.line() {
            let (seq, attempts) = line.split_once(' ').unwrap();
            let (seq, attempts) = (seq.parse().unwrap(), attempts.parse().unwrap());
            told.send(Told { by, seq, attempts, at: Instant::now() }).unwrap();
        }
    });
    (child, listener)
}

/// Where attempts have no limit, redelivery is in batches, and all messages but the first of each say 2.
#[test]
fn killed_members_messages_go_to_others_and_to_nobody_twice() {
    torture("torture", shared(), |seq, attempts| {
        let firsts = attempts.iter().filter(|&&count| count == 1).count();
        assert!(firsts <= 1, "{seq}: delivered for the first time {firsts} times");
    });
}

/// Where attempts have a limit, each delivery is counted.
#[test]
fn killed_members_messages_are_counted_where_attempts_have_a_limit() {
    torture("torture-count", shared().max_attempts(254), |seq, attempts| {
        let rising = attempts.windows(2).all(|pair| pair[0] < pair[1]);
        assert!(rising, "{seq}: attempts {attempts:?}");
    });
}

/// `SLIPRING_KILLS` says how many (200). `check` gets each message's attempts, in rising order.
fn torture(name: &str, group: Group, check: impl Fn(u64, &[u64])) {
    let kills = std::env::var("SLIPRING_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(200);
    let name = TempName::new(name);
    let queue = Queue::builder(&name).capacity(64).payload_size(MAX).group(group);
    let queue = queue.max_consumers(16).create().unwrap();
    let mut rng = Rng::new();
    let (tell_us, told) = channel();
    let collector = thread::spawn(move || told.iter().collect::<Vec<Told>>());
    let others = ["send-for-ever", "come-and-go", "make-and-remove"];
    let start_other = |role: &str| Child::start(&format!("{role} {}", &*name));
    let mut others_running: Vec<Child> = others.iter().map(|role| start_other(role)).collect();
    let mut members = Vec::new();
    let mut listeners = Vec::new();
    let mut killed_at = BTreeMap::new();
    let mut started = 0;
    let mut start = |listeners: &mut Vec<_>| {
        let (child, listener) = start_member(&name, started, &tell_us);
        listeners.push(listener);
        started += 1;
        (started - 1, child)
    };
    for _ in 0..MEMBERS {
        members.push(start(&mut listeners));
    }
    for _ in 0..kills {
        thread::sleep(Duration::from_millis(rng.below(20)));
        let victim = rng.below((MEMBERS + others.len()) as u64) as usize;
        if let Some(other) = victim.checked_sub(MEMBERS) {
            others_running[other].kill();
            others_running[other] = start_other(others[other]);
        } else {
            killed_at.insert(members[victim].0, Instant::now());
            members[victim].1.kill();
            members[victim] = start(&mut listeners);
        }
    }
    // No more messages. The members end when the queue is removed, after they have had the rest.
    drop(others_running);
    drop(queue.producer().unwrap());
    let since = Instant::now();
    let look = loop {
        let look = queue.snapshot().unwrap();
        let group = look.groups.iter().find(|group| group.name == GROUP).unwrap();
        // A member that was just started cannot join once the queue is removed.
        let joined = group.members.iter().filter(|member| member.live).count() == MEMBERS;
        if joined && (group.head, group.depth) == (look.tail, 0) {
            break look;
        }
        assert!(since.elapsed() < LONG, "not all acked: {group:?}");
        thread::sleep(Duration::from_millis(5));
    };
    slipring::force_remove(&name).unwrap();
    for (_, member) in members {
        member.finish();
    }
    for listener in listeners {
        listener.join().unwrap();
    }
    drop(tell_us);
    let told = collector.join().unwrap();
    let mut by_message: BTreeMap<u64, Vec<&Told>> = BTreeMap::new();
    for one in &told {
        by_message.entry(one.seq).or_default().push(one);
    }
    let seen: BTreeSet<u64> = by_message.keys().copied().collect();
    assert!(seen.iter().copied().eq(0..look.tail), "every message was delivered");
    let mut twice = 0;
    let mut waits = BTreeMap::new();
    for (seq, deliveries) in &by_message {
        let mut attempts: Vec<u64> = deliveries.iter().map(|one| one.attempts).collect();
        attempts.sort();
        check(*seq, &attempts);
        twice += deliveries.len() - 1;
        // A live member has acked it. Lines are heard in no order, so which delivery was the last is not known.
        let living = deliveries.iter().filter(|one| !killed_at.contains_key(&one.by)).count();
        assert!(living <= 1, "{seq}: delivered to {living} members that live");
        for first in deliveries {
            let Some(killed) = killed_at.get(&first.by) else { continue };
            let later = deliveries.iter().filter(|next| next.by != first.by && next.at > *killed);
            for wait in later.map(|next| next.at - *killed) {
                let least = waits.entry(first.by).or_insert(wait);
                *least = wait.min(*least);
            }
        }
    }
    let mut waits: Vec<Duration> = waits.into_values().collect();
    waits.sort();
    println!(
        "{kills} kills, {} of them members; {} messages, {twice} delivered again; from SIGKILL to \
         redelivery, others busy: median {:?}, max {:?}",
        killed_at.len(),
        look.tail,
        waits.get(waits.len() / 2),
        waits.last(),
    );
}

//! A sleeping member, or one in another pid namespace, gets what a killed member held.

use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use slipring::{Consumer, Group, Queue, WakeMode};

use crate::common::child::{Child, hear, tell};
use crate::common::{TempName, there};
use crate::stream::LONG;

fn shared() -> Group {
    Group::named("work").shared().unlimited_attempts()
}

/// Role: takes one message and keeps it.
pub(crate) fn keep(name: &str) {
    let queue = Queue::open(name).unwrap();
    let mut member = queue.consumer(shared()).unwrap();
    tell("joined");
    let message = member.recv_timeout(LONG).unwrap();
    tell(format_args!("{} {}", message.sequence(), message.attempts()));
    hear();
}

fn receive(member: &mut Consumer) -> (u64, u8) {
    let message = member.recv_timeout(LONG).unwrap();
    let got = (message.sequence(), message.attempts());
    message.ack().unwrap();
    got
}

/// `SLIPRING_ROUNDS` says how often (10). Prints the times.
#[test]
fn a_sleeping_member_gets_what_a_killed_one_held() {
    let rounds = std::env::var("SLIPRING_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(10);
    for mode in [WakeMode::Membarrier, WakeMode::Fence, WakeMode::None] {
        sleeps_through_a_death(mode, rounds);
    }
}

fn sleeps_through_a_death(mode: WakeMode, rounds: u64) {
    let name = TempName::new("sleeper");
    let shape = Queue::builder(&name).capacity(4).wake_mode(mode).group(shared());
    let queue = shape.create().unwrap();
    let mut producer = queue.producer().unwrap();
    let mut sleeper = queue.consumer(shared()).unwrap();
    let mut waits = Vec::new();
    for round in 0..rounds {
        let mut keeper = Child::start(&format!("keep {}", &*name));
        keeper.expect("joined");
        producer.send("x").unwrap();
        keeper.expect(&format!("{round} 1"));
        let (mut member, slept) = thread::scope(|scope| {
            let asleep = scope.spawn(move || {
                let got = receive(&mut sleeper);
                (sleeper, got, Instant::now())
            });
            // Long enough for it to be in its longest sleeps.
            thread::sleep(Duration::from_millis(20 + round % 5));
            let killed = Instant::now();
            keeper.kill();
            let (sleeper, got, at) = asleep.join().unwrap();
            assert_eq!(got, (round, 2));
            (sleeper, at - killed)
        });
        waits.push(slept);
        assert!(there(member.try_recv()).is_none());
        sleeper = member;
    }
    waits.sort();
    println!(
        "{mode}: {rounds} kills; from SIGKILL to redelivery, the other asleep: median {:?}, max {:?}",
        waits[waits.len() / 2],
        waits[waits.len() - 1]
    );
}

#[test]
fn members_in_two_pid_namespaces_compete_and_recover_each_others_messages() {
    let wrapper = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child"];
    let works = Command::new(wrapper[0]).args(&wrapper[1..]).arg("true").status();
    if !works.is_ok_and(|status| status.success()) {
        println!("skipped: this user cannot make a pid namespace with unshare(1)");
        return;
    }
    let name = TempName::new("namespaces");
    let queue = Queue::builder(&name).capacity(4).group(shared()).create().unwrap();
    let mut producer = queue.producer().unwrap();
    let start = || {
        let mut keeper = Child::start_under(&wrapper, &format!("keep {}", &*name));
        keeper.expect("joined");
        keeper
    };
    // Each has the pid 1 or 2 in its own namespace.
    let (mut first, mut second) = (start(), start());
    producer.send_batch(["a", "b"]).unwrap();
    let mut kept: Vec<_> = [&mut first, &mut second].map(|keeper| keeper.line().unwrap()).into();
    kept.sort();
    assert_eq!(kept, ["0 1", "1 1"]);
    let mut member = queue.consumer(shared()).unwrap();
    assert!(there(member.try_recv()).is_none(), "both live");
    first.kill();
    let (seq, attempts) = receive(&mut member);
    assert_eq!(attempts, 2);
    assert!(there(member.try_recv()).is_none(), "the other still lives");
    second.kill();
    assert_eq!(receive(&mut member), (1 - seq, 2));
    let group = &queue.snapshot().unwrap().groups[0];
    assert_eq!((group.depth, group.unacked), (0, 0));
}

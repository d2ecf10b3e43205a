//! What happens in each scenario.

use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal::{SIGCONT, SIGKILL, SIGSTOP, SIGTERM};
use slipring::Queue;

use crate::collector::Collector;
use crate::common::amqp::Amqp;
use crate::common::judge::{Verdict, judge};
use crate::pipeline::{Pipeline, Plan, Side, create_a, create_b};
use crate::roles::Role;
use crate::scenarios::{Dose, Finding};

/// A fault at equal parts of the way.
fn along(p: &mut Pipeline, dose: &Dose, mut fault: impl FnMut(&mut Pipeline)) {
    p.produce();
    for number in 1..=dose.faults {
        p.wait_part(number, dose.faults + 1);
        fault(p);
    }
}

pub(crate) fn kill_out(mut p: Pipeline, dose: &Dose) -> Finding {
    along(&mut p, dose, |p| p.bridge(Side::Out).signal_sure(SIGKILL));
    let window = p.plan.window;
    let report = p.finish();
    let most = window * report.kills(Side::Out);
    Finding::of(report).duplicates(most)
}

pub(crate) fn kill_in(mut p: Pipeline, dose: &Dose) -> Finding {
    along(&mut p, dose, |p| p.bridge(Side::In).signal_sure(SIGKILL));
    Finding::of(p.finish())
}

/// Longer than the broker waits for heartbeats.
fn stop(p: &mut Pipeline, side: Side, dose: &Dose) {
    p.produce();
    p.wait_part(1, 3);
    p.bridge(side).signal_sure(SIGSTOP);
    thread::sleep(dose.length + Duration::from_secs(2));
    p.bridge(side).signal_sure(SIGCONT);
}

pub(crate) fn stop_out(mut p: Pipeline, dose: &Dose) -> Finding {
    stop(&mut p, Side::Out, dose);
    let window = p.plan.window;
    Finding::of(p.finish()).duplicates(window)
}

pub(crate) fn stop_in(mut p: Pipeline, dose: &Dose) -> Finding {
    stop(&mut p, Side::In, dose);
    Finding::of(p.finish())
}

/// It drains its window: no copies.
pub(crate) fn term_out(mut p: Pipeline, dose: &Dose) -> Finding {
    along(&mut p, dose, |p| p.bridge(Side::Out).signal_sure(SIGTERM));
    Finding::of(p.finish())
}

pub(crate) fn term_in(mut p: Pipeline, dose: &Dose) -> Finding {
    along(&mut p, dose, |p| p.bridge(Side::In).signal_sure(SIGTERM));
    Finding::of(p.finish())
}

/// With a delay, so that messages are on the way when it is cut.
fn cut(p: &mut Pipeline, side: Side, dose: &Dose) {
    p.link(side).slow(Duration::from_millis(5), 0);
    along(p, dose, |p| p.link(side).cut());
    p.link(side).refuse();
    thread::sleep(Duration::from_millis(500));
    p.link(side).open();
}

pub(crate) fn cut_out(mut p: Pipeline, dose: &Dose) -> Finding {
    cut(&mut p, Side::Out, dose);
    let most = p.plan.window * (dose.faults + 1);
    Finding::of(p.finish()).duplicates(most)
}

pub(crate) fn cut_in(mut p: Pipeline, dose: &Dose) -> Finding {
    cut(&mut p, Side::In, dose);
    Finding::of(p.finish())
}

fn slow(p: &mut Pipeline, side: Side, dose: &Dose) {
    p.produce();
    p.wait_part(1, 4);
    p.link(side).slow(Duration::from_millis(20), 50_000);
    thread::sleep(dose.length);
    p.link(side).open();
}

pub(crate) fn slow_out(mut p: Pipeline, dose: &Dose) -> Finding {
    slow(&mut p, Side::Out, dose);
    // Heartbeats may be late, and the connection made again.
    let window = p.plan.window;
    Finding::of(p.finish()).duplicates(window)
}

pub(crate) fn slow_in(mut p: Pipeline, dose: &Dose) -> Finding {
    slow(&mut p, Side::In, dose);
    Finding::of(p.finish())
}

fn half_open(p: &mut Pipeline, side: Side) {
    p.produce();
    p.wait_part(1, 3);
    p.link(side).freeze();
}

pub(crate) fn half_open_out(mut p: Pipeline, _: &Dose) -> Finding {
    half_open(&mut p, Side::Out);
    let window = p.plan.window;
    Finding::of(p.finish()).duplicates(window)
}

pub(crate) fn half_open_in(mut p: Pipeline, _: &Dose) -> Finding {
    half_open(&mut p, Side::In);
    Finding::of(p.finish())
}

/// The queue is full most of the time, and drains meanwhile: refused messages come after their successors.
pub(crate) fn reject_publish(mut p: Pipeline, dose: &Dose) -> Finding {
    p.link(Side::In).slow(Duration::from_millis(2), 0);
    along(&mut p, dose, |p| {
        p.stop_in();
        thread::sleep(Duration::from_millis(300));
        p.start_in(&[]);
    });
    Finding::of(p.finish()).reordered()
}

/// The broker's queue is removed while it is empty, messages wait meanwhile, and it is made again.
pub(crate) fn made_again(mut p: Pipeline, dose: &Dose) -> Finding {
    let (mut done, all) = (0, p.plan.messages);
    for number in 1..=dose.faults {
        let last = all * number / (dose.faults + 1);
        p.produce_part(done + 1, last, false);
        if !p.wait_collected(last) {
            break;
        }
        p.producer.take().unwrap().join();
        Amqp::connect(&p.broker.url()).delete(&p.plan.name);
        done = last;
        p.produce_part(done + 1, done + 500, false);
        thread::sleep(Duration::from_millis(1500));
        assert_eq!(p.collector.count(), done, "messages have come though there is no queue");
        Amqp::connect(&p.broker.url()).declare(&p.plan.name, p.plan.kind);
        done += 500;
        p.wait_collected(done);
    }
    p.produce_part(done + 1, all, true);
    Finding::of(p.finish()).reordered()
}

/// Each bridge has a user of its own, named after the scenario; the password is the name.
pub(crate) fn own_users(plan: &mut Plan) {
    plan.users = Some([format!("{}-o", plan.name), format!("{}-i", plan.name)]);
}

fn credentials(p: &mut Pipeline, side: Side) {
    let users = p.plan.users.clone().unwrap();
    let user = users[side as usize].as_str();
    let revoke = |p: &Pipeline| {
        p.broker.ctl(&["change_password", user, "another"]);
        p.broker.ctl(&["close_all_user_connections", user, "revoked"]);
    };
    for user in &users {
        p.broker.ctl(&["add_user", user, user]);
        p.broker.ctl(&["set_permissions", user, ".*", ".*", ".*"]);
    }
    p.produce();
    p.wait_part(1, 3);
    revoke(p);
    thread::sleep(Duration::from_millis(1500));
    p.broker.ctl(&["change_password", user, user]);
}

pub(crate) fn credentials_out(mut p: Pipeline, _: &Dose) -> Finding {
    credentials(&mut p, Side::Out);
    let window = p.plan.window;
    ended_refused(Finding::of(p.finish()).duplicates(window), Side::Out)
}

pub(crate) fn credentials_in(mut p: Pipeline, _: &Dose) -> Finding {
    credentials(&mut p, Side::In);
    ended_refused(Finding::of(p.finish()), Side::In)
}

/// It either waited or ended with exit code 5.
fn ended_refused(finding: Finding, side: Side) -> Finding {
    let exits = &finding.report.exits;
    let refused = exits[side as usize].iter().filter(|exit| exit.code() == Some(5)).count();
    let fine = |code| [Some(0), Some(5), Some(143)].contains(&code);
    assert!(exits.iter().flatten().all(|exit| fine(exit.code())), "{exits:?}");
    finding.failures().note(format!("{refused} bridges ended as refused"))
}

pub(crate) fn producer_killed(mut p: Pipeline, dose: &Dose) -> Finding {
    along(&mut p, dose, |p| {
        p.producer.as_mut().unwrap().kill();
        p.produce();
    });
    Finding::of(p.finish())
}

/// A second group of B, whose consumer is killed: what it holds keeps the ring full meanwhile.
pub(crate) fn consumer_killed(mut p: Pipeline, dose: &Dose) -> Finding {
    Queue::open(&p.b).unwrap().add_group("victim").unwrap();
    let log = p.file("victim");
    let log = log.to_str().unwrap();
    let consume = |p: &Pipeline| Role::consume(&p.b, "victim", log);
    let mut victim = consume(&p);
    along(&mut p, dose, |p| {
        victim.kill();
        thread::sleep(Duration::from_millis(300));
        victim = consume(p);
    });
    let all = p.plan.messages;
    p.wait_collected(all);
    wait_lines(log, all as usize);
    victim.kill();
    let written = std::fs::read_to_string(log).unwrap();
    let numbers = written.lines().map(|line| {
        let (_, number) = line.split_once("Some(").unwrap();
        number.trim_end_matches(')').parse().ok()
    });
    // A message between its line and its ack comes again.
    let seen = judge(1..=all, numbers);
    let again = Verdict { duplicated: seen.duplicated, ..Verdict::EXACT };
    assert!(seen == again && seen.duplicated <= dose.faults, "the killed consumer's log: {seen:?}");
    Finding::of(p.finish())
}

fn wait_lines(file: &str, count: usize) {
    let until = Instant::now() + Duration::from_secs(60);
    let lines = || std::fs::read_to_string(file).unwrap_or_default().lines().count();
    while lines() < count {
        assert!(Instant::now() < until, "{} lines of {count}", lines());
        thread::sleep(Duration::from_millis(20));
    }
}

/// The producer waits for the bridge, whose link is slow, and which is killed.
pub(crate) fn full_out(mut p: Pipeline, _: &Dose) -> Finding {
    p.link(Side::Out).slow(Duration::from_millis(20), 0);
    p.produce();
    p.wait_part(1, 4);
    p.bridge(Side::Out).signal_sure(SIGKILL);
    p.wait_part(1, 2);
    p.link(Side::Out).open();
    let window = p.plan.window;
    Finding::of(p.finish()).duplicates(window)
}

/// The collector takes nothing for a while. The bridge takes no more from the broker than its prefetch, and is killed.
pub(crate) fn full_in(mut p: Pipeline, dose: &Dose) -> Finding {
    p.produce();
    p.wait_part(1, 4);
    p.collector.pause(true);
    thread::sleep(dose.length.min(Duration::from_secs(5)) / 2);
    let held = unacked(&p);
    assert!(held <= 2 * p.plan.window, "the bridge has taken {held} messages from the broker");
    p.bridge(Side::In).signal_sure(SIGKILL);
    thread::sleep(dose.length.min(Duration::from_secs(5)) / 2);
    p.collector.pause(false);
    Finding::of(p.finish()).note(format!("held {held} of the broker's"))
}

fn unacked(p: &Pipeline) -> u64 {
    let listed = p.broker.ctl(&["-q", "list_queues", "name", "messages_unacknowledged"]);
    let mine = |line: &&str| line.split_whitespace().next() == Some(&p.plan.name);
    let line = listed.lines().find(mine).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// A is removed and made again under its name. What `out` had not sent is gone with it.
pub(crate) fn removed_out(mut p: Pipeline, _: &Dose) -> Finding {
    let half = p.plan.messages / 2;
    p.produce_part(1, half, false);
    p.wait_collected(half / 2);
    p.producer = None;
    slipring::force_remove(&p.a).unwrap();
    let exits = p.out.wait_exits(1);
    let first = exits.first().unwrap();
    assert!(first.code().is_some_and(|code| [1, 4].contains(&code)), "{first:?}");
    create_a(&p.a, &p.plan);
    p.produce_part(half + 1, p.plan.messages, true);
    // All of it, or what was sent and confirmed of the first half.
    p.out.join();
    let known = p.audit().unwrap();
    let split = known.iter().position(|number| *number > Some(half)).unwrap();
    p.wait_collected(known.len() as u64);
    let sent: Vec<u64> = (1..=split as u64).chain(half + 1..=p.plan.messages).collect();
    let broker = judge(sent.iter().copied(), known);
    let local = judge(sent, p.collector.seen());
    let mut report = p.finish_early();
    (report.broker, report.local) = (Some(broker), local);
    Finding::of(report)
        .failures()
        .note(format!("removed after {split}; {}", first_line(&first.said)))
}

/// B is removed and made again: `in` stops, and goes on when it is told to.
pub(crate) fn removed_in(mut p: Pipeline, _: &Dose) -> Finding {
    p.produce();
    p.wait_part(1, 3);
    slipring::force_remove(&p.b).unwrap();
    let exits = p.bridge(Side::In).wait_exits(1);
    let first = exits.first().unwrap().clone();
    assert!(first.code().is_some_and(|code| [1, 4].contains(&code)), "{first:?}");
    create_b(&p.b, &p.plan);
    let new = Collector::of(&p.b);
    let old = std::mem::replace(&mut p.collector, new);
    // Into a queue that does not know the stream it does not go on by itself.
    let stopped = p.bridge(Side::In).exits().len();
    let exits = p.bridge(Side::In).wait_exits(stopped + 2);
    let second = exits.last().unwrap().clone();
    assert!(second.said.contains("--adopt"), "{second:?}");
    assert_eq!(p.collector.count(), 0, "it went on by itself");
    p.stop_in();
    p.start_in(&["--adopt"]);
    p.out.join();
    let all = p.plan.messages;
    let last = |p: &Pipeline| p.collector.seen().last().copied().flatten() == Some(all);
    let until = Instant::now() + p.plan.patience;
    while !last(&p) && Instant::now() < until {
        thread::sleep(Duration::from_millis(10));
    }
    // What is missing was in the ring that was removed. What was there and not acked at the broker comes again.
    let (before, after) = (old.seen(), p.collector.seen());
    let (read, begin) = (before.len() as u64, after.first().copied().flatten().unwrap_or(0));
    assert!(begin <= read + 1 + p.plan.capacity_b, "{read} were read, then {begin} came");
    assert_eq!(judge(1..=read, before), Verdict::EXACT, "before it was removed");
    let mut report = p.finish_early();
    report.local = judge(begin..=all, after);
    let note = format!("read to {read}, then from {begin}; {}", first_line(&second.said));
    Finding::of(report).failures().note(note)
}

fn first_line(text: &str) -> &str {
    text.lines().find(|line| line.starts_with("error")).unwrap_or("")
}

/// A is closed before the bridge has seen any of it.
pub(crate) fn closed_out(mut p: Pipeline, _: &Dose) -> Finding {
    p.bridge(Side::Out).signal_sure(SIGSTOP);
    p.plan.messages = p.plan.capacity_a;
    p.produce();
    p.producer.as_mut().unwrap().join();
    p.bridge(Side::Out).signal_sure(SIGCONT);
    Finding::of(p.finish())
}

/// Another producer has closed B while the bridge was away.
pub(crate) fn closed_in(mut p: Pipeline, _: &Dose) -> Finding {
    p.produce();
    p.wait_part(1, 3);
    p.stop_in();
    Queue::open(&p.b).unwrap().producer().unwrap().close().unwrap();
    p.start_in(&[]);
    Finding::of(p.finish())
}

pub(crate) fn memory_alarm(mut p: Pipeline, dose: &Dose) -> Finding {
    let watermark = |p: &Pipeline, part| p.broker.ctl(&["set_vm_memory_high_watermark", part]);
    along(&mut p, &Dose { faults: dose.faults.min(3), ..*dose }, |p| {
        watermark(p, "0.0000001");
        thread::sleep(Duration::from_millis(1500));
        let had = p.collector.count();
        thread::sleep(Duration::from_millis(500));
        let has = p.collector.count();
        watermark(p, "0.4");
        assert!(has == had, "{} messages passed during the alarm", has - had);
    });
    Finding::of(p.finish())
}

pub(crate) fn broker_kill(mut p: Pipeline, dose: &Dose) -> Finding {
    let faults = (dose.faults / 3).max(1);
    along(&mut p, &Dose { faults, ..*dose }, |p| {
        p.broker.kill();
        p.broker.restart();
    });
    let window = p.plan.window;
    Finding::of(p.finish()).duplicates(window * faults)
}

pub(crate) fn broker_restart(mut p: Pipeline, dose: &Dose) -> Finding {
    let faults = (dose.faults / 3).max(1);
    along(&mut p, &Dose { faults, ..*dose }, |p| p.broker.restart());
    let window = p.plan.window;
    Finding::of(p.finish()).duplicates(window * faults)
}

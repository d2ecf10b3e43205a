//! Instructions per message, counted by valgrind: the one figure that a busy machine does not change.
//!
//! `cargo bench --bench instructions`. Each operation runs in a process of its own, over some messages and
//! over twice as many; the difference is what the messages cost. As a test it only runs the operations.

// A benchmark that cannot go on should stop where it is.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

use std::error::Error;
use std::hint::black_box;
use std::process::Command;

use slipring::zerocopy::IntoBytes;
use slipring::{Consumer, Content, Producer, Queue, Start};

slipring::message! {
    struct Msg {
        word: [u64; 6],
    }
}

const BATCH: usize = 32;
/// Twice as many are half of the ring: the look at the groups once in a quarter of it is part of the cost.
const MESSAGES: usize = 1024;
const CAPACITY: u64 = 4096;

fn send<M: Content + ?Sized>(producer: &mut Producer<M>, msg: &M, n: usize) {
    for _ in 0..n {
        producer.try_send(black_box(msg)).unwrap();
    }
}

fn send_batch<M: Content + ?Sized>(producer: &mut Producer<M>, msg: &M, n: usize) {
    for _ in 0..n / BATCH {
        producer.try_send_batch(&mut black_box([msg; BATCH]).into_iter()).unwrap();
    }
}

fn reserve(producer: &mut Producer<Msg>, msg: &Msg, n: usize) {
    for _ in 0..n / BATCH {
        let mut slots = producer.try_reserve(BATCH).unwrap();
        for i in 0..BATCH {
            *slots.message_mut(i).unwrap() = *black_box(msg);
        }
        slots.publish();
    }
}

fn recv<M: Content + ?Sized>(consumer: &mut Consumer<M>, n: usize) {
    for _ in 0..n {
        let message = consumer.try_recv().unwrap().unwrap();
        black_box(&*message);
        message.ack();
    }
}

fn batch<M: Content + ?Sized>(consumer: &mut Consumer<M>, n: usize) {
    for _ in 0..n / BATCH {
        let batch = consumer.try_batch(BATCH).unwrap().unwrap();
        for message in &batch {
            black_box(&*message);
        }
        batch.ack();
    }
}

fn observe(queue: &Queue<Msg>, n: usize) {
    let mut observer = queue.observer(Start::Oldest).unwrap();
    for _ in 0..n {
        black_box(observer.try_recv().unwrap().unwrap());
    }
}

/// Name, and what to run over so many messages; where it receives, they were sent before.
type Op = (&'static str, fn(&Queue<Msg>, &Queue, usize));

const SENDS: &[Op] = &[
    ("send", |typed, _, n| send(&mut typed.producer().unwrap(), &MSG, n)),
    ("send, bytes", |_, bytes, n| send(&mut bytes.producer().unwrap(), MSG.as_bytes(), n)),
    ("send_batch of 32", |typed, _, n| send_batch(&mut typed.producer().unwrap(), &MSG, n)),
    ("reserve 32, write, publish", |typed, _, n| {
        reserve(&mut typed.producer().unwrap(), &MSG, n);
    }),
];
const RECEIVES: &[Op] = &[
    ("recv, ack", |typed, _, n| recv(&mut typed.consumer("bench").unwrap(), n)),
    ("recv, ack, bytes", |_, bytes, n| recv(&mut bytes.consumer("bench").unwrap(), n)),
    ("batch of 32, ack", |typed, _, n| batch(&mut typed.consumer("bench").unwrap(), n)),
    ("batch of 32, ack, bytes", |_, bytes, n| batch(&mut bytes.consumer("bench").unwrap(), n)),
    ("observe, copied", |typed, _, n| observe(typed, n)),
];
const MSG: Msg = Msg { word: [7; 6] };

/// A queue that goes away with this value.
struct Temp(String);

impl Drop for Temp {
    fn drop(&mut self) {
        let _ = slipring::remove(&self.0, true);
    }
}

fn run((_, op): &Op, sent_before: bool, n: usize) -> Result<(), Box<dyn Error>> {
    let temp = Temp(format!("instructions-{}", std::process::id()));
    let builder = Queue::builder(&temp.0).capacity(CAPACITY).message::<Msg>();
    let typed = builder.group("bench").create()?;
    let bytes = Queue::open(&temp.0)?;
    if sent_before {
        typed.producer()?.send_batch(&[MSG; 2 * MESSAGES])?;
    }
    op(&typed, &bytes, n);
    Ok(())
}

/// The least that valgrind counts in a few runs of `op` over `n` messages (setting up costs more when
/// others use /dev/shm meanwhile); `None` without valgrind.
fn least(op: &str, n: usize) -> Option<u64> {
    (0..5).filter_map(|_| count(op, n)).min()
}

fn count(op: &str, n: usize) -> Option<u64> {
    let out = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe().ok()?)
        .args(["--one", op, &n.to_string()])
        .output()
        .ok()?;
    if !out.status.success() {
        return None;
    }
    let text = String::from_utf8(out.stderr).ok()?;
    text.lines().find_map(|line| line.split("Collected :").nth(1))?.trim().parse().ok()
}

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let ops = || SENDS.iter().map(|op| (op, false)).chain(RECEIVES.iter().map(|op| (op, true)));
    if let [one, name, n] = &args[..]
        && one == "--one"
    {
        let (op, sent_before) = ops().find(|(op, _)| op.0 == name).ok_or("no such operation")?;
        return run(op, sent_before, n.parse()?);
    }
    let measure =
        args.iter().any(|arg| arg == "--bench") && !args.iter().any(|arg| arg == "--test");
    for (op, sent_before) in ops() {
        if !measure {
            run(op, sent_before, MESSAGES)?;
            continue;
        }
        match (least(op.0, MESSAGES), least(op.0, 2 * MESSAGES)) {
            (Some(some), Some(twice)) => {
                let each = twice.saturating_sub(some) as f64 / MESSAGES as f64;
                println!("{:28} {each:6.1} instructions", op.0);
            }
            _ => println!("{:28} not counted: is valgrind installed?", op.0),
        }
    }
    Ok(())
}

//! Members of a shared group make random calls, in one process; each step is compared with a simple model of what they
//! may get.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may")]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use common::{Rng, TempName, there};
use slipring::{Batch, Consumer, DeadLetter, Group, JoinError, Queue, Reason, RecvError};

const CAPACITY: u64 = 8;
const MEMBERS: usize = 3;
const LIMIT: u8 = 4;

fn group(limit: Option<u8>) -> Group {
    let group = Group::named("work").shared();
    match limit {
        Some(limit) => group.max_attempts(limit),
        None => group.unlimited_attempts(),
    }
}

/// The model of the messages.
#[derive(Default)]
struct Account {
    /// Deliveries that a message may have.
    limit: Option<u8>,
    sent: u64,
    closed: bool,
    /// Deliveries so far; a claim counts for all messages in it.
    deliveries: BTreeMap<u64, u8>,
    acked: BTreeSet<u64>,
    letters: Arc<Mutex<Vec<(u64, u8, Reason)>>>,
    lettered: usize,
    /// Messages that were redelivered after another one of their batch.
    in_batches: u64,
}

impl Account {
    fn done(&mut self, seq: u64) {
        assert!(self.acked.insert(seq), "{seq} is done a second time");
    }

    fn delivered(&mut self, batch: &Batch<'_>) {
        for (place, message) in batch.iter().enumerate() {
            let seq = message.sequence();
            assert!(seq < self.sent && !self.acked.contains(&seq), "{seq} was done");
            let count = self.deliveries.entry(seq).or_default();
            *count += 1;
            // Without a limit, only the first message of a batch is counted.
            let least = if self.limit.is_some() { *count } else { 2.min(*count) };
            assert!(
                (least..=*count).contains(&message.attempts()),
                "{seq}: {}",
                message.attempts()
            );
            assert_eq!(*message, seq.to_le_bytes());
            let alone = self.limit.is_none() || batch.len() == 1;
            assert!(*count == 1 || alone, "what comes again comes alone");
            self.in_batches += u64::from(*count > 1 && place > 0);
        }
    }

    /// Dead letters since the last check.
    fn settle_letters(&mut self) {
        let new: Vec<_> = self.letters.lock().unwrap()[self.lettered..].to_vec();
        self.lettered += new.len();
        for (seq, attempts, reason) in new {
            let count = self.deliveries[&seq];
            let least = if self.limit.is_some() { count } else { 2.min(count) };
            assert!((least..=count).contains(&attempts), "{seq}: {attempts}");
            assert!(reason == Reason::Rejected || Some(attempts) == self.limit);
            self.done(seq);
        }
    }

    /// Acks or rejects some messages of a batch, in any order. Those after one that was left are redelivered, even if
    /// they were acked.
    fn work(&mut self, batch: &mut Batch<'_>, rng: &mut Rng) {
        let mut left: Vec<u64> = batch.iter().map(|message| message.sequence()).collect();
        let mut acked = BTreeSet::new();
        let all = left.clone();
        for _ in 0..rng.below(all.len() as u64 + 1) {
            let seq = left.swap_remove(rng.below(left.len() as u64) as usize);
            if batch.first().is_some_and(|first| first.sequence() == seq) && rng.below(4) == 0 {
                batch.reject(seq).unwrap();
                self.settle_letters();
            } else {
                batch.ack_one(seq).unwrap();
                acked.insert(seq);
            }
            assert!(batch.ack_one(seq).is_err());
        }
        let prefix = batch.first().map_or(u64::MAX, |first| first.sequence());
        for seq in acked.into_iter().filter(|seq| *seq < prefix) {
            self.done(seq);
        }
    }
}

fn join(queue: &Queue, account: &Account) -> Option<Consumer> {
    match queue.consumer(group(account.limit)) {
        Ok(mut member) => {
            let letters = Arc::clone(&account.letters);
            member.on_dead_letter(move |letter: &DeadLetter<'_>| {
                letters.lock().unwrap().push((letter.sequence, letter.attempts, letter.reason));
                Ok::<(), String>(())
            });
            Some(member)
        }
        Err(JoinError::TooManyConsumers { .. }) => None,
        Err(fault) => panic!("{fault}"),
    }
}

fn step(queue: &Queue, member: &mut Option<Consumer>, account: &mut Account, rng: &mut Rng) {
    let Some(consumer) = member else {
        *member = join(queue, account);
        return;
    };
    if rng.below(12) == 0 {
        // The other members get what it holds.
        *member = None;
        return;
    }
    let received = consumer.try_recv_batch(1 + rng.below(4) as usize);
    // Some may have become dead letters.
    account.settle_letters();
    let over = account.closed && account.acked.len() as u64 == account.sent;
    let batch = match received {
        Err(RecvError::Closed { .. }) => {
            assert!(over, "closed, though not all is acked");
            return;
        }
        received => there(received),
    };
    assert!(!over, "nobody was told that it is over");
    let Some(mut batch) = batch else { return };
    account.delivered(&batch);
    account.work(&mut batch, rng);
    // No attempt was made on the rest. Only the first message was counted alone.
    if rng.below(4) == 0
        && let Some(first) = batch.first().map(|first| first.sequence())
    {
        batch.uncount();
        *account.deliveries.get_mut(&first).unwrap() -= 1;
    }
    match rng.below(3) {
        0 => {
            let rest: Vec<u64> = batch.iter().map(|message| message.sequence()).collect();
            batch.ack().unwrap();
            rest.into_iter().for_each(|seq| account.done(seq));
        }
        // Back to the group; if there is no record to go on with, it stays.
        1 => drop(batch.release()),
        _ => drop(batch),
    }
}

#[test]
fn whatever_members_do_each_message_is_done_once_and_counted() {
    members_do_whatever(Some(LIMIT));
}

#[test]
fn whatever_members_do_without_a_limit_each_message_is_done_once() {
    members_do_whatever(None);
}

fn members_do_whatever(limit: Option<u8>) {
    let mut rng = Rng::new();
    let (mut sent, mut lettered, mut in_batches) = (0, 0, 0);
    for round in 0..60 {
        let name = TempName::new("shared-model");
        let queue = Queue::builder(&name).capacity(CAPACITY).payload_size(8).group(group(limit));
        let queue = queue.max_consumers(MEMBERS + 1).create().unwrap();
        let mut producer = queue.producer().ok();
        let mut account = Account { limit, ..Account::default() };
        let mut members: [Option<Consumer>; MEMBERS] = [const { None }; MEMBERS];
        for _ in 0..400 {
            match rng.below(3) {
                0 if rng.below(8) == 0 => {
                    account.closed = true;
                    if let Some(producer) = producer.take() {
                        producer.close().unwrap();
                    }
                }
                0 if account.closed && rng.below(8) != 0 => {}
                0 => {
                    account.closed = false;
                    let producer = producer.get_or_insert_with(|| queue.producer().unwrap());
                    if let Ok(seq) = producer.try_send(&account.sent.to_le_bytes()) {
                        assert_eq!(seq, account.sent);
                        account.sent += 1;
                    }
                }
                _ => {
                    let who = rng.below(MEMBERS as u64) as usize;
                    step(&queue, &mut members[who], &mut account, &mut rng);
                }
            }
        }
        // One member is left, and gets all that the others held.
        drop(members);
        let mut producer = producer.unwrap_or_else(|| queue.producer().unwrap());
        let mut last = join(&queue, &account).unwrap();
        loop {
            let batch = there(last.try_recv_batch(9));
            account.settle_letters();
            let Some(batch) = batch else { break };
            account.delivered(&batch);
            let all: Vec<u64> = batch.iter().map(|message| message.sequence()).collect();
            batch.ack().unwrap();
            all.into_iter().for_each(|seq| account.done(seq));
        }
        assert!(account.acked.iter().copied().eq(0..account.sent), "round {round}");
        let group = &queue.snapshot().unwrap().groups[0];
        assert_eq!((group.depth, group.unacked), (0, 0));
        assert_eq!(group.acked, account.sent);
        assert_eq!(group.dead_lettered, account.lettered as u64);
        for _ in 0..CAPACITY {
            producer.try_send("x").unwrap();
        }
        sent += account.sent;
        lettered += account.lettered;
        in_batches += account.in_batches;
    }
    assert!(sent > 1000 && lettered > 100, "it did something: {sent} {lettered}");
    assert_eq!(in_batches > 100, limit.is_none(), "{in_batches} came again behind another one");
}

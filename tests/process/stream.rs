use std::time::Duration;

use slipring::{Queue, Start};

use crate::common::child::{Child, tell};
use crate::common::{Rng, TempName, message};

const MAX: usize = 100;
/// A safety net, far beyond any wait.
pub(crate) const LONG: Duration = Duration::from_secs(120);

/// Role: sends messages up to `count`, one by one and in batches.
pub(crate) fn send(name: &str, count: u64) {
    let queue = Queue::open(name).unwrap();
    let mut producer = queue.producer().unwrap();
    let mut rng = Rng::new();
    tell("ready");
    while producer.sequence() < count {
        let next = producer.sequence();
        let n = (1 + rng.below(100)).min(count - next);
        if rng.below(2) == 0 {
            let batch: Vec<_> = (next..next + n).map(|number| message(number, MAX)).collect();
            assert_eq!(producer.send_batch(&batch).unwrap(), batch.len());
        } else {
            for number in next..next + n {
                let sent = producer.send_timeout((number as u32, &message(number, MAX)[..]), LONG);
                assert_eq!(sent.unwrap(), number);
            }
        }
    }
    tell("done");
}

/// Role: receives `count` messages for `group` and checks every one.
pub(crate) fn receive(name: &str, group: &str, count: u64) {
    let queue = Queue::open(name).unwrap();
    let mut consumer = queue.consumer(group).unwrap();
    let mut rng = Rng::new();
    tell("ready");
    let mut next = 0;
    while next < count {
        let mut batch = consumer.recv_batch_timeout(1 + rng.below(80) as usize, LONG).unwrap();
        while let Some(received) = batch.first() {
            assert_eq!(received.sequence(), next);
            assert_eq!(*received, *message(next, MAX));
            assert!(!received.redelivered());
            next += 1;
            if rng.below(8) == 0 {
                let seq = received.sequence();
                batch.ack_through(seq).unwrap();
            } else {
                batch.ack_first().unwrap();
            }
        }
    }
    tell(next);
}

#[test]
fn two_groups_in_processes_of_their_own_see_every_message_over_many_wraps() {
    const COUNT: u64 = 200_000;
    let name = TempName::new("stream");
    let shape = Queue::builder(&name).capacity(64).payload_size(MAX);
    let queue = shape.group("a").group("b").create().unwrap();
    let mut readers = ["a", "b"].map(|group| {
        let mut reader = Child::start(&format!("receive {} {group} {COUNT}", &*name));
        reader.expect("ready");
        reader
    });
    let mut observer = queue.observer(Start::Oldest).unwrap();
    let mut writer = Child::start(&format!("send {} {COUNT}", &*name));
    writer.expect("ready");
    let mut seen = 0;
    while observer.position() < COUNT {
        let Ok(message_seen) = observer.recv_timeout(LONG) else { panic!("nothing to observe") };
        assert_eq!(*message_seen, *message(message_seen.sequence(), MAX));
        seen += 1;
    }
    assert_eq!(seen + observer.missed(), COUNT);
    writer.expect("done");
    writer.finish();
    for reader in &mut readers {
        reader.expect(&COUNT.to_string());
    }
    readers.into_iter().for_each(Child::finish);
    let snapshot = queue.snapshot().unwrap();
    assert_eq!(snapshot.tail, COUNT);
    assert!(snapshot.groups.iter().all(|group| group.depth == 0 && group.members.is_empty()));
    assert!(!snapshot.producer.live);
}

//! `in` with a source that behaves as a quorum queue does.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU32, Ordering};

use clap::Parser;

use super::*;

/// A quorum queue. Before `in` comes, a consumer whose link is half-open holds the first messages; the queue has them back after
/// some time. It sends what came back before everything else, in the order in which it came back, and `prefetch` messages ahead
/// of their acks.
#[derive(Debug)]
struct Quorum {
    prefetch: usize,
    dead: VecDeque<u64>,
    back_after: Duration,
    returned: VecDeque<u64>,
    fresh: VecDeque<u64>,
    unacked: BTreeMap<u64, u64>,
    tokens: u64,
    since: Instant,
    opened: Arc<AtomicU32>,
}

impl Quorum {
    fn new(prefetch: usize, dead: u64, messages: u64, back_after: Duration) -> Quorum {
        Quorum {
            prefetch,
            dead: (1..=dead).collect(),
            back_after,
            returned: VecDeque::new(),
            fresh: (dead + 1..=messages).collect(),
            unacked: BTreeMap::new(),
            tokens: 0,
            since: Instant::now(),
            opened: Arc::default(),
        }
    }

    /// The queue notices that the link is half-open, whether or not anything is asked of it.
    fn notice(&mut self) {
        if self.since.elapsed() >= self.back_after {
            self.returned.append(&mut self.dead);
        }
    }
}

impl Source for Quorum {
    fn open(&mut self, _: &Stop) -> Result<(), Fault> {
        self.opened.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn next(&mut self, max: usize, until: Instant) -> Result<Next, Fault> {
        self.notice();
        let mut arrivals = Vec::new();
        while arrivals.len() < max && self.unacked.len() < self.prefetch {
            let next = self.returned.pop_front().or_else(|| self.fresh.pop_front());
            let Some(position) = next else { break };
            self.tokens += 1;
            self.unacked.insert(self.tokens, position);
            let previous = match position {
                1 => Previous::None,
                position => Previous::At(position - 1),
            };
            arrivals.push(Arrival {
                token: self.tokens,
                body: position.to_string().into_bytes(),
                kind: 0,
                identity: Some(Identity { stream: StreamId::named("s"), position, previous }),
                tombstone: false,
                envelope: None,
            });
        }
        if arrivals.is_empty() {
            std::thread::sleep(until.saturating_duration_since(Instant::now()));
        }
        Ok(Next::Arrivals(arrivals))
    }

    fn most_unsettled(&self) -> usize {
        self.prefetch
    }

    fn settle(&mut self, settled: &[(u64, Settled)]) -> Result<(), Fault> {
        settled.iter().for_each(|(token, _)| {
            self.unacked.remove(token);
        });
        Ok(())
    }

    fn close(&mut self) {
        self.notice();
        self.returned.extend(std::mem::take(&mut self.unacked).into_values());
    }
}

#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    options: InOptions,
}

/// Receives from the source into a queue with sources; gives what the queue then has, and how often the source was opened.
fn play(test: &str, source: Quorum, more: &[&str]) -> (Result<(), Failure>, Vec<String>, u32) {
    let name = format!("test-bridge-in-{test}-{}", std::process::id());
    let queue = Queue::builder(&name).capacity(64).payload_size(16).sources(2).group("g");
    let queue = queue.create().unwrap();
    let line = ["in", "test:", "--to", &name];
    let options = Line::try_parse_from(line.iter().chain(more)).unwrap().options;
    let opened = Arc::clone(&source.opened);
    let metrics = Arc::new(Metrics::new(name.clone(), "in"));
    let source = Box::new(source);
    let bridge = In::new(&options, "test".to_owned(), source, Stop::default(), metrics);
    let outcome = bridge.run(Queue::open(&name).unwrap());
    let mut consumer = queue.consumer("g").unwrap();
    let mut found = Vec::new();
    while let Ok(message) = consumer.try_recv() {
        found.push(String::from_utf8(message.to_vec()).unwrap());
        message.ack().unwrap();
    }
    slipring::force_remove(&name).unwrap();
    (outcome, found, opened.load(Ordering::Relaxed))
}

fn numbers(range: std::ops::RangeInclusive<u64>) -> Vec<String> {
    range.map(|number| number.to_string()).collect()
}

#[test]
fn what_a_half_open_link_holds_comes_although_everything_else_came_before_it() {
    let source = Quorum::new(8, 5, 40, Duration::from_millis(300));
    let (outcome, found, opened) =
        play("half-open", source, &["--count", "40", "--gap-timeout", "4"]);
    outcome.unwrap();
    assert_eq!(found, numbers(1..=40));
    assert!(opened > 1, "nothing can come while its prefetch is full");
}

#[test]
fn what_comes_back_shortly_before_the_gap_timeout_is_not_missing() {
    let source = Quorum::new(8, 5, 40, Duration::from_millis(1950));
    let (outcome, found, opened) = play("late", source, &["--count", "40", "--gap-timeout", "2"]);
    outcome.unwrap();
    assert_eq!(found, numbers(1..=40));
    assert!(opened <= 4, "opened {opened} times");
}

#[test]
fn what_does_not_come_to_a_new_consumer_either_is_an_error() {
    let never = Duration::MAX;
    // More messages than the prefetch, and fewer. Each opening after the first one is a delivery of what waits.
    for (test, messages, most) in [("full", 40, 4), ("few", 8, 2)] {
        let source = Quorum::new(8, 5, messages, never);
        let (outcome, found, opened) = play(test, source, &["--gap-timeout", "1"]);
        let failure = outcome.unwrap_err();
        assert!(failure.text.contains("does not know stream"), "{}", failure.text);
        assert!(found.is_empty() && (2..=most).contains(&opened), "opened {opened} times");
    }
}

#[test]
fn a_stream_is_adopted_although_the_prefetch_is_full() {
    let source = Quorum::new(8, 5, 40, Duration::MAX);
    let args = ["--count", "35", "--gap-timeout", "2", "--adopt"];
    let (outcome, found, opened) = play("adopt", source, &args);
    outcome.unwrap();
    assert_eq!((found, opened), (numbers(6..=40), 1));
}

//! `out` with a sink that does what a broker rarely does.

use std::sync::Mutex;

use clap::Parser;

use super::*;

/// What a sink was told, connection by connection.
type Told = Arc<Mutex<Vec<Vec<u64>>>>;

/// Its first connection takes messages and never confirms them; the second one works.
#[derive(Debug, Default)]
struct Silent {
    told: Told,
    confirmed: Vec<Outcome>,
}

impl Sink for Silent {
    fn open(&mut self, _: &Stop) -> Result<(), Fault> {
        self.told.lock().unwrap().push(Vec::new());
        Ok(())
    }

    fn misfit(&self, _: &Record) -> Option<String> {
        None
    }

    fn publish(&mut self, records: Vec<Record>) -> Result<(), Fault> {
        let mut told = self.told.lock().unwrap();
        let works = told.len() > 1;
        let ids: Vec<u64> = records.iter().map(|record| record.id).collect();
        if works {
            self.confirmed.extend(ids.iter().copied().map(Outcome::Confirmed));
        }
        told.last_mut().unwrap().extend(ids);
        Ok(())
    }

    fn poll(&mut self, until: Instant, outcomes: &mut Vec<Outcome>) -> Result<Health, Fault> {
        if self.confirmed.is_empty() {
            std::thread::sleep(until.saturating_duration_since(Instant::now()));
        }
        outcomes.append(&mut self.confirmed);
        Ok(Health::Ready)
    }

    fn close(&mut self) {}
}

#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    options: OutOptions,
}

#[test]
fn a_connection_without_confirms_is_given_up_and_its_messages_are_sent_again() {
    let name = format!("test-bridge-out-silent-{}", std::process::id());
    let queue = Queue::builder(&name).payload_size(16).group("g").create().unwrap();
    let mut producer = queue.producer().unwrap();
    producer.send_slice(&["a", "b", "c"]).unwrap();
    producer.close().unwrap();
    let line = ["out", &name, "--group", "g", "--to", "test:"];
    let options = Line::try_parse_from(line).unwrap().options;
    let metrics = Arc::new(Metrics::new(name.clone(), "out"));
    let sink = Silent::default();
    let told = Arc::clone(&sink.told);
    let what = "test".to_owned();
    let out = Out::new(&options, what, Box::new(sink), Stop::default(), Arc::clone(&metrics));
    out.run(Queue::open(&name).unwrap()).unwrap();
    assert_eq!(*told.lock().unwrap(), [[0, 1, 2], [0, 1, 2]]);
    assert_eq!(queue.snapshot().unwrap().groups[0].depth, 0);
    assert_eq!((metrics.counters.done.get(), metrics.counters.retried.get()), (3, 3));
    slipring::force_remove(&name).unwrap();
}

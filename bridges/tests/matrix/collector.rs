//! The end of the pipeline: what came out of the local queue, in its order.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use slipring::{Queue, RecvError};

use crate::common::judge::number;

#[derive(Debug, Default)]
struct Shared {
    seen: Mutex<Vec<Option<u64>>>,
    stop: AtomicBool,
    paused: AtomicBool,
}

/// Receives for the group `collector` until it is dropped.
#[derive(Debug)]
pub(crate) struct Collector {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Collector {
    pub(crate) fn of(queue: &str) -> Collector {
        let shared = Arc::new(Shared::default());
        let mut consumer = Queue::open(queue).unwrap().consumer("collector").unwrap();
        consumer.set_follow(true);
        let with = Arc::clone(&shared);
        let thread = thread::spawn(move || {
            // Relaxed, here and below: a flag that stands alone.
            while !with.stop.load(Ordering::Relaxed) {
                if with.paused.load(Ordering::Relaxed) {
                    thread::sleep(Duration::from_millis(10));
                    continue;
                }
                match consumer.recv_batch_timeout(256, Duration::from_millis(50)) {
                    Ok(batch) => {
                        let numbers = batch.iter().map(|message| number(&message));
                        with.seen.lock().unwrap().extend(numbers);
                        batch.ack().unwrap();
                    }
                    Err(RecvError::Timeout { .. }) => {}
                    Err(RecvError::Removed { .. }) => return,
                    Err(fault) => panic!("{fault}"),
                }
            }
        });
        Collector { shared, thread: Some(thread) }
    }

    pub(crate) fn pause(&self, on: bool) {
        self.shared.paused.store(on, Ordering::Relaxed);
    }

    /// How many have come.
    pub(crate) fn count(&self) -> u64 {
        self.shared.seen.lock().unwrap().len() as u64
    }

    /// All that have come, in order.
    pub(crate) fn seen(&self) -> Vec<Option<u64>> {
        self.shared.seen.lock().unwrap().clone()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

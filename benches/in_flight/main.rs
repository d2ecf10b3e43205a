//! What messages in flight beside the ring cost their receivers: to receive, read and ack.
//!
//! `alone`: one thread, as a consumer of a shared group without places for them and as a worker of one with 256.
//! `members`: two threads, besides that beside two receivers of one channel of crossbeam.
//!
//! Each round fills every queue, off the clock, and has it emptied on the clock, one queue after the other; it begins with
//! another queue each time. Printed are medians over all rounds. Arguments choose parts by name.

// A benchmark that cannot go on should stop where it is.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::print_stdout)]

mod alone;
mod ends;
mod members;

/// Messages in each queue.
const CAPACITY: usize = 1024;
/// Bytes of a message.
const PAYLOADS: [usize; 3] = [48, 240, 4096];
const ROUNDS: usize = 401;

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

fn main() {
    // Cargo adds "--bench".
    let names: Vec<String> = std::env::args().skip(1).filter(|name| name != "--bench").collect();
    let wanted = |part: &str| names.is_empty() || names.iter().any(|name| name == part);
    if wanted("alone") {
        alone::run();
    }
    if wanted("members") {
        members::run();
    }
}

//! One thread fills and empties.

use std::time::{Duration, Instant};

use slipring::Group;

use crate::ends::Ends;
use crate::{CAPACITY, PAYLOADS, ROUNDS, median};

pub(crate) fn run() {
    let shared = || Group::named("bench").shared();
    println!("| bytes | at a time | in the ring | in flight | in flight, with an ack timeout |");
    println!("| ---: | ---: | ---: | ---: | ---: |");
    for payload in PAYLOADS {
        let (message, timeout) = (vec![7; payload], Duration::from_secs(30));
        let mut all = [
            Ends::queue("ring", payload, shared(), 1),
            Ends::queue("in flight", payload, shared().in_flight(256), 1),
            Ends::queue("timeout", payload, shared().in_flight(256).ack_timeout(timeout), 1),
        ];
        for batch in [1, 32] {
            let mut times = [vec![], vec![], vec![]];
            for round in 0..ROUNDS {
                for turn in 0..all.len() {
                    let which = (round + turn) % all.len();
                    all[which].fill(&message);
                    let begin = Instant::now();
                    assert_eq!(all[which].members[0].empty(batch), CAPACITY);
                    times[which].push(begin.elapsed().as_nanos() as f64 / CAPACITY as f64);
                }
            }
            let [ring, cells, timeout] = times.map(median);
            println!("| {payload} | {batch} | {ring:.0} ns | {cells:.0} ns | {timeout:.0} ns |");
        }
    }
}

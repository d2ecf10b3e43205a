//! Garbage in shared words, as a hostile or broken process may leave it: errors, and never a panic, a hang
//! or a read outside the segment. Debug builds check the arithmetic, too.

mod common;

use common::{TempName, words};
use slipring::{Queue, RecvError};

#[test]
fn a_tail_that_cannot_be_never_lends_out_more_than_the_ring() {
    let name = TempName::new("far-tail");
    let queue = Queue::builder(&name).capacity(4).group("g").create().unwrap();
    queue.producer().unwrap().send("x").unwrap();
    let mut consumer = queue.consumer("g").unwrap();
    words::set(&words::open(&name.path()), 1024, 1 << 40);
    for _ in 0..3 {
        assert!(matches!(consumer.try_batch(99), Err(RecvError::Corrupt { .. })));
    }
    words::set(&words::open(&name.path()), 1024, 1);
    assert_eq!(consumer.try_batch(99).unwrap().unwrap().len(), 1);
}

//! What handles and received messages show of themselves.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;

use common::TempName;
use slipring::{Batch, Consumer, Producer, Queue, SendBatchError, SendError};

fn queue(name: &TempName) -> (Queue, Producer, Consumer) {
    let queue = Queue::builder(name).capacity(8).payload_size(16).group("g").create().unwrap();
    let (producer, consumer) = (queue.producer().unwrap(), queue.consumer("g").unwrap());
    (queue, producer, consumer)
}

fn pending(batch: &Batch<'_>) -> Vec<u64> {
    batch.pending().map(|message| message.sequence()).collect()
}

/// An ack out of order leaves its message in the batch, but not among the pending ones.
#[test]
fn pending_leaves_out_what_was_acked_out_of_order() {
    let name = TempName::new("pending");
    let (_queue, mut producer, mut consumer) = queue(&name);
    producer.send_batch(["0", "1", "2", "3"]).unwrap();
    let mut batch = consumer.recv_batch(8).unwrap();
    assert_eq!(pending(&batch), [0, 1, 2, 3]);
    batch.ack_one(1).unwrap();
    batch.ack_one(3).unwrap();
    assert_eq!((batch.len(), pending(&batch)), (4, vec![0, 2]));
    assert_eq!(batch.iter().map(|message| message.sequence()).collect::<Vec<_>>(), [0, 1, 2, 3]);
    assert!(batch.pending().map(|message| message.to_vec()).eq([b"0", b"2"]));
    batch.ack_one(0).unwrap();
    assert_eq!((batch.len(), pending(&batch)), (2, vec![2]));
    batch.ack_one(2).unwrap();
    assert_eq!((batch.len(), pending(&batch)), (0, vec![]));
    drop(batch);
    producer.send("4").unwrap();
    assert_eq!(pending(&consumer.recv_batch(8).unwrap()), [4]);
}

#[test]
fn the_content_of_a_message_can_be_asked_for() {
    let name = TempName::new("content");
    let (_queue, mut producer, mut consumer) = queue(&name);
    producer.send_batch(["one", "two"]).unwrap();
    let message = consumer.recv().unwrap();
    assert_eq!(message.content(), b"one");
    message.ack().unwrap();
    let mut batch = consumer.recv_batch(8).unwrap();
    assert_eq!(batch.tasks().take().unwrap().content(), b"two");
}

/// For logs: short, with names and positions, and without contents of messages or of the segment.
#[test]
fn what_is_printed_for_debugging_is_short_and_tells_where_it_is() {
    let name = TempName::new("debug");
    let (queue, mut producer, mut consumer) = queue(&name);
    producer.send_batch([(3, "secret"), (4, "secret")]).unwrap();
    let name = &*name;
    let said = |text: String, expected: &str| {
        assert_eq!(text, expected.replace("NAME", name));
    };
    said(format!("{queue:?}"), "Queue { name: \"NAME\", capacity: 8, payload_size: 16, .. }");
    said(format!("{producer:?}"), "Producer { queue: \"NAME\", sequence: 2, .. }");
    said(format!("{consumer:?}"), "Consumer { queue: \"NAME\", group: \"g\", position: 0, .. }");
    let message = consumer.recv().unwrap();
    said(
        format!("{message:?}"),
        "Received { info: MessageInfo { sequence: 0, kind: 3, attempts: 1, requeued: false }, .. }",
    );
    message.ack().unwrap();
    let batch = consumer.recv_batch(8).unwrap();
    said(format!("{batch:?}"), "Batch { queue: \"NAME\", group: \"g\", sequences: 1..2, .. }");
}

#[test]
fn sending_batches_and_messages_fails_alike_for_one_that_only_passes_it_on() {
    fn send(producer: &mut Producer) -> Result<(), SendError> {
        producer.try_send("one")?;
        producer.send_slice(&["two", "far too long for this queue"])?;
        Ok(())
    }
    let name = TempName::new("mixed");
    let (_queue, mut producer, _consumer) = queue(&name);
    let fault = send(&mut producer).unwrap_err();
    assert!(matches!(fault, SendError::TooLong { len: 27, max: 16, .. }), "{fault}");
    let batch: SendBatchError = producer.send_slice(&[&[0; 17][..]]).unwrap_err();
    assert!(matches!(SendError::from(batch), SendError::TooLong { len: 17, .. }));
}

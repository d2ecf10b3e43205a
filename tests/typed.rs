//! Typed messages: which programs may open which queue, and what the bytes of a message may be.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may")]

mod common;

use std::time::Duration;

use common::{TempName, there};
use slipring::{
    Consumer, Message, Observer, OpenError, OpenOptions, Producer, Queue, RecvError, SendError,
    Start,
};

const SOON: Duration = Duration::from_millis(1);

slipring::message! {
    struct Order { id: u64, price: i64 }
}

/// Types of other programs that resemble an `Order`; all have its size and name.
mod others {
    pub(crate) mod same {
        slipring::message! { pub(crate) struct Order { pub(crate) id: u64, pub(crate) price: i64 } }
    }
    pub(crate) mod renamed {
        slipring::message! { pub(crate) struct Order { pub(crate) key: u64, pub(crate) price: i64 } }
    }
    pub(crate) mod retyped {
        slipring::message! { pub(crate) struct Order { pub(crate) id: u64, pub(crate) price: u64 } }
    }
    pub(crate) mod reordered {
        slipring::message! { pub(crate) struct Order { pub(crate) price: i64, pub(crate) id: u64 } }
    }
    pub(crate) mod split {
        slipring::message! {
            pub(crate) struct Order { pub(crate) id: u64, pub(crate) price: i32, pub(crate) pad: i32 }
        }
    }
    pub(crate) mod longer {
        slipring::message! {
            pub(crate) struct Order { pub(crate) id: u64, pub(crate) price: i64, pub(crate) at: u64 }
        }
    }
}

#[track_caller]
fn refused<M: Message>(name: &str, says: &str) {
    let fault = Queue::open_typed::<M>(name).map(drop).unwrap_err();
    assert!(matches!(fault, OpenError::WrongSchema { .. }), "{fault}");
    assert!(fault.to_string().contains(says), "{fault}");
    assert!(fault.to_string().contains(&format!("{name:?}")), "{fault}");
    let options = OpenOptions::new();
    let fault = options.observe_typed::<M>(name, Start::Oldest).map(drop).unwrap_err();
    assert!(matches!(fault, OpenError::WrongSchema { .. }), "{fault}");
    let builder = Queue::builder(name).message::<M>();
    assert!(builder.open_or_create().is_err());
}

#[test]
fn only_the_same_message_opens_a_typed_queue() {
    let name = TempName::new("schema");
    drop(Queue::builder(&name).message::<Order>().capacity(2).create().unwrap());
    refused::<others::renamed::Order>(
        &name,
        r#"field 1 is "id: u64 @0" there, "key: u64 @0" here"#,
    );
    refused::<others::retyped::Order>(
        &name,
        r#"field 2 is "price: i64 @8" there, "price: u64 @8" here"#,
    );
    refused::<others::reordered::Order>(&name, r#"field 1 is "id: u64 @0" there"#);
    refused::<others::split::Order>(&name, r#""price: i32 @8" here"#);
    refused::<others::longer::Order>(&name, r#"field 3, "at: u64 @16", is here only"#);
    Queue::open_typed::<others::same::Order>(&name).unwrap();
    let bytes = TempName::new("schema-bytes");
    Queue::builder(&bytes).payload_size(16).schema_name("Order").create().unwrap();
    refused::<Order>(&bytes, "bytes (payload size 16)");
}

#[test]
fn a_field_that_is_configured_out_is_no_part_of_a_message() {
    slipring::message! {
        /// The same fields as `Order`.
        struct Configured {
            /// Its number.
            #[allow(dead_code)]
            id: u64,
            #[cfg(not(test))]
            left_out: [u8; 3],
            #[cfg(test)]
            #[cfg(target_os = "linux")]
            price: i64,
        }
    }
    assert_eq!(Configured::HASH, Order::HASH);
    assert_eq!(Configured::FIELDS, Order::FIELDS);
    assert_eq!(Configured { id: 1, price: 2 }.price, 2);
}

slipring::message! {
    struct Many {
        a_field_with_a_name_that_takes_a_good_deal_of_the_place_that_there_is_for_all_of_them_and_then_so: u64,
        b_field_with_a_name_that_takes_a_good_deal_of_the_place_that_there_is_for_all_of_them_and_then_so: u64,
        c_field_with_a_name_that_takes_a_good_deal_of_the_place_that_there_is_for_all_of_them_and_then_so: u64,
        d_field_with_a_name_that_takes_a_good_deal_of_the_place_that_there_is_for_all_of_them_and_then_so: u64,
        e: u64,
        f: u64,
    }
}
mod other {
    slipring::message! {
        pub(crate) struct Many {
            a_field_with_a_name_that_takes_a_good_deal_of_the_place_that_there_is_for_all_of_them_and_then_so: u64,
            b_field_with_a_name_that_takes_a_good_deal_of_the_place_that_there_is_for_all_of_them_and_then_so: u64,
            c_field_with_a_name_that_takes_a_good_deal_of_the_place_that_there_is_for_all_of_them_and_then_so: u64,
            d_field_with_a_name_that_takes_a_good_deal_of_the_place_that_there_is_for_all_of_them_and_then_so: u64,
            e_field_with_a_name_that_does_not_fit: u64,
            f: u64,
        }
    }
}

#[test]
fn fields_that_have_no_place_in_the_queue_end_the_list() {
    let name = TempName::new("many");
    drop(Queue::builder(&name).message::<Many>().capacity(2).create().unwrap());
    let fields = OpenOptions::new().snapshot(&name).unwrap().schema_fields;
    assert!(fields.starts_with("a_field_") && fields.len() <= 448, "{fields}");
    refused::<Order>(&name, "field 1 is");
    let other = Queue::open_typed::<other::Many>(&name).map(drop).unwrap_err();
    assert!(other.to_string().contains("the first 4 fields agree"), "{other}");
}

#[test]
fn typed_messages_arrive_whole_by_every_way_of_sending() {
    let name = TempName::new("typed");
    let queue = Queue::builder(&name).message::<Order>().capacity(8).group("g").create().unwrap();
    let mut producer = queue.producer().unwrap();
    let mut consumer = queue.consumer("g").unwrap();
    let mut observer = queue.observer(Start::Oldest).unwrap();
    let orders: Vec<_> = (0..5).map(|id| Order { id, price: -(id as i64) }).collect();
    producer.send((3, &orders[0])).unwrap();
    producer.send_batch(&orders[1..3]).unwrap();
    let mut slots = producer.try_reserve(2).unwrap();
    *slots.message_mut(0).unwrap() = orders[3];
    slots.message_mut(1).unwrap().clone_from(&orders[4]);
    assert!(slots.message_mut(2).is_none());
    slots.publish();
    for order in &orders {
        assert_eq!(*observer.try_recv().unwrap(), *order);
    }
    let mut copied = Order { id: 99, price: 99 };
    let info = consumer.recv_into_timeout(&mut copied, SOON).unwrap();
    assert_eq!((copied, info.sequence(), info.kind(), info.attempts()), (orders[0], 0, 3, 1));
    let batch = consumer.try_recv_batch(9).unwrap();
    let seen: Vec<Order> = batch.iter().map(|message| *message).collect();
    assert_eq!(seen, orders[1..]);
    batch.ack().unwrap();
    assert!(matches!(
        consumer.recv_into_timeout(&mut copied, SOON),
        Err(RecvError::Timeout { .. })
    ));
    assert_eq!(copied, orders[0]);
}

#[test]
fn bytes_are_copied_with_their_length() {
    let name = TempName::new("bytes-copied");
    let queue = Queue::builder(&name).payload_size(13).capacity(4).group("g").create().unwrap();
    let mut producer = queue.producer().unwrap();
    let mut consumer = queue.consumer("g").unwrap();
    let mut out = vec![1; 40];
    for len in (0..=13).rev() {
        let text = &b"0123456789abc"[..len];
        producer.send((len as u32, text)).unwrap();
        assert_eq!(consumer.recv_into_timeout(&mut out, SOON).unwrap().kind(), len as u32);
        assert_eq!(out, text);
    }
    let fault = producer.try_send(&[0; 14]).unwrap_err();
    assert!(matches!(fault, SendError::TooLong { len: 14, max: 13, .. }), "{fault}");
}

#[test]
fn a_bytes_handle_on_a_typed_queue_keeps_to_its_length() {
    let name = TempName::new("typed-bytes");
    let typed = Queue::builder(&name).message::<Order>().capacity(8).group("g").create().unwrap();
    let bytes = Queue::open(&name).unwrap();
    let mut producer = bytes.producer().unwrap();
    for len in [0, 1, 15] {
        let fault = producer.try_send(&vec![0; len]).unwrap_err();
        assert!(matches!(fault, SendError::WrongLength { expected: 16, .. }), "{fault}");
    }
    assert!(matches!(producer.try_send(&[0; 17]), Err(SendError::TooLong { .. })));
    let fault = producer.send_batch([&[1; 16][..], &[2; 3], &[3; 16]]).unwrap_err();
    assert!(
        fault.sent() == 1 && matches!(fault.reason(), SendError::WrongLength { .. }),
        "{fault}"
    );
    let mut slots = producer.try_reserve(1).unwrap();
    assert!(!slots.set_len(0, 5) && slots.set_len(0, 16));
    slots.bytes_mut(0).unwrap().fill(2);
    slots.publish();
    let mut consumer = typed.consumer("g").unwrap();
    for byte in [1, 2] {
        let received = consumer.try_recv().unwrap();
        assert_eq!(received.id, u64::from_le_bytes([byte; 8]));
        received.ack().unwrap();
    }
    assert!(there(consumer.try_recv()).is_none());
}

slipring::message! {
    struct Wide { wide: u128, odd: [u8; 16] }
}

#[test]
fn messages_are_aligned_to_sixteen_wherever_they_are_read() {
    assert_eq!(align_of::<Wide>(), 16);
    let name = TempName::new("aligned");
    let queue = Queue::builder(&name).message::<Wide>().capacity(4).group("g").create().unwrap();
    let mut producer = queue.producer().unwrap();
    let mut consumer = queue.consumer("g").unwrap();
    let mut observer = queue.observer(Start::Oldest).unwrap();
    for i in 0..9 {
        producer.send(&Wide { wide: u128::MAX - i, odd: [i as u8; 16] }).unwrap();
        let received = consumer.recv().unwrap();
        assert!(std::ptr::from_ref(&*received).is_aligned());
        assert_eq!(received.wide, u128::MAX - i);
        received.ack().unwrap();
        let observed = observer.recv().unwrap();
        assert!(std::ptr::from_ref(observed.content()).is_aligned());
        assert_eq!(observed.odd, [i as u8; 16]);
    }
}

#[test]
fn handles_move_between_threads() {
    fn send<T: Send>() {}
    fn share<T: Sync>() {}
    send::<Producer>();
    send::<Consumer<Order>>();
    send::<Observer<Order>>();
    send::<Queue<Order>>();
    share::<Queue>();
}

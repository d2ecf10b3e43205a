//! `slipring-bridge out` beside a bare loop of the same client, in the same run: messages a second, and latency.
//!
//!     cargo bench --manifest-path bridges/Cargo.toml --bench rabbitmq [-- MESSAGES [ROUNDS]]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../tests/common/mod.rs"]
mod common;

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use common::amqp::{Amqp, Kind};
use common::broker::Broker;
use futures_core::Stream;
use lapin::options::{BasicConsumeOptions, BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{
    BasicProperties, Channel, Confirmation, Connection, ConnectionProperties, PublisherConfirm,
};
use slipring::{Group, Queue};
use tokio::runtime::{Builder, Runtime};

const LENGTH: usize = 256;
const WINDOW: usize = 1000;
/// Messages of the measurement of latency, and how many a second.
const PACED: u64 = 3000;
const PACE: u64 = 1000;

fn main() {
    let mut numbers = std::env::args().skip(1).filter_map(|arg| arg.parse().ok());
    let messages: u64 = numbers.next().unwrap_or(100_000);
    let rounds: u64 = numbers.next().unwrap_or(3);
    let Some(broker) = Broker::start() else { return };
    println!("{messages} persistent messages of {LENGTH} bytes, window {WINDOW}");
    println!(
        "queue     bare lapin    headers     bridge    to bare to headers   (messages a second, median of {rounds} rounds)"
    );
    for kind in [Kind::Classic, Kind::Quorum] {
        // In turns: what else the machine does meets all of them.
        let ways: [Send; 3] = [
            |broker, messages| publish(broker, messages, false),
            |broker, messages| publish(broker, messages, true),
            bridge,
        ];
        let mut rates = [const { Vec::new() }; 3];
        let mut costs = [const { Vec::new() }; 3];
        for _ in 0..rounds {
            for (index, way) in ways.iter().enumerate() {
                let before = broker.processor_time();
                rates[index].push(rate(&broker, kind, messages, *way));
                let cost = broker.processor_time() - before;
                costs[index].push(cost.as_secs_f64() * 1e6 / messages as f64);
            }
        }
        let [bare, headers, bridged] = rates.map(median);
        println!(
            "{:<9} {bare:>10.0} {headers:>10.0} {bridged:>10.0} {:>10.2} {:>10.2}",
            kind.name(),
            bridged / bare,
            bridged / headers
        );
        let [bare, headers, bridged] = costs.map(median);
        println!(
            "          {bare:>10.0} {headers:>10.0} {bridged:>10.0}            microseconds of the broker's processor a message"
        );
    }
    println!(
        "queue     bare lapin     bridge   added   (microseconds, p50, {PACE} messages a second)"
    );
    for kind in [Kind::Classic, Kind::Quorum] {
        let bare = latency(&broker, kind, false);
        let bridged = latency(&broker, kind, true);
        println!("{:<9} {bare:>10.0} {bridged:>10.0} {:>7.0}", kind.name(), bridged - bare);
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Sends so many messages; how long that took.
type Send = fn(&Broker, u64) -> Duration;

/// Messages a second into an empty queue.
fn rate(broker: &Broker, kind: Kind, messages: u64, send: Send) -> f64 {
    let amqp = Amqp::connect(&broker.url());
    amqp.declare("bench", kind);
    let took = send(broker, messages);
    assert_eq!(amqp.delete("bench"), messages);
    messages as f64 / took.as_secs_f64()
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

async fn channel(broker: &Broker) -> (Connection, Channel) {
    let options = ConnectionProperties::default();
    let connection = Connection::connect(&broker.url(), options).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    (connection, channel)
}

/// As many properties and headers as a message of the bridge has, and as long.
fn as_the_bridge(number: u64) -> BasicProperties {
    let stream = "0123456789abcdef0123456789abcdef";
    let text = |text: &str| AMQPValue::LongString(text.into());
    let mut headers = FieldTable::default();
    headers.insert("slipring-stream".into(), text(stream));
    headers.insert("slipring-label".into(), text("bench-12345/rabbit"));
    headers.insert("slipring-position".into(), AMQPValue::LongLongInt(number as i64 + 1));
    headers.insert("slipring-previous".into(), AMQPValue::LongLongInt(number as i64));
    headers.insert("slipring-time-ns".into(), AMQPValue::LongLongInt(number as i64));
    BasicProperties::default()
        .with_content_type("application/octet-stream".into())
        .with_message_id(format!("{stream}-{number}").into())
        .with_timestamp(number)
        .with_headers(headers)
}

async fn publish_one(
    channel: &Channel,
    body: &[u8],
    properties: BasicProperties,
) -> PublisherConfirm {
    let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
    let properties = properties.with_delivery_mode(2);
    channel.basic_publish("".into(), "bench".into(), options, body, properties).await.unwrap()
}

/// The bare loop; its messages have what those of the bridge have, or nothing.
fn publish(broker: &Broker, messages: u64, with_headers: bool) -> Duration {
    runtime().block_on(async {
        let (connection, channel) = channel(broker).await;
        channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
        let body = [b'x'; LENGTH];
        let mut window: VecDeque<PublisherConfirm> = VecDeque::new();
        let began = Instant::now();
        for number in 0..messages {
            if window.len() == WINDOW {
                let confirm = window.pop_front().unwrap().await.unwrap();
                assert!(matches!(confirm, Confirmation::Ack(None)));
            }
            let properties =
                if with_headers { as_the_bridge(number) } else { BasicProperties::default() };
            window.push_back(publish_one(&channel, &body, properties).await);
        }
        for confirm in window {
            assert!(matches!(confirm.await.unwrap(), Confirmation::Ack(None)));
        }
        let took = began.elapsed();
        connection.close(200, "done".into()).await.unwrap();
        took
    })
}

/// A local queue, and the bridge that empties it into the broker's.
struct Bridged {
    name: String,
    queue: Queue,
    bridge: Option<Child>,
}

impl Bridged {
    fn new(capacity: u64) -> Bridged {
        let name = format!("bench-{}", std::process::id());
        let builder = Queue::builder(&name).payload_size(LENGTH).capacity(capacity);
        let queue = builder.group(Group::named("rabbit")).create().unwrap();
        Bridged { name, queue, bridge: None }
    }

    fn start(&mut self, broker: &Broker) {
        let mut bridge = Command::new(env!("CARGO_BIN_EXE_slipring-bridge"));
        let (window, url) = (WINDOW.to_string(), broker.url());
        bridge.args(["out", &self.name, "--group", "rabbit", "--to", &url, "--window", &window]);
        bridge.args(["--routing-key", "bench"]).stderr(Stdio::null());
        self.bridge = Some(bridge.spawn().unwrap());
    }

    fn depth(&self) -> u64 {
        self.queue.snapshot().unwrap().groups[0].depth
    }
}

impl Drop for Bridged {
    fn drop(&mut self) {
        if let Some(bridge) = &mut self.bridge {
            let _ = bridge.kill();
            let _ = bridge.wait();
        }
        let _ = slipring::force_remove(&self.name);
    }
}

/// From the first ack to the last: without the start of the program and its connection.
fn bridge(broker: &Broker, messages: u64) -> Duration {
    let mut bridged = Bridged::new(messages.next_power_of_two());
    let mut producer = bridged.queue.producer().unwrap();
    for _ in 0..messages {
        producer.send([b'x'; LENGTH].as_slice()).unwrap();
    }
    producer.close().unwrap();
    bridged.start(broker);
    while bridged.depth() == messages {
        thread::sleep(Duration::from_micros(200));
    }
    let (began, left) = (Instant::now(), bridged.depth());
    while bridged.depth() > 0 {
        thread::sleep(Duration::from_micros(200));
    }
    began.elapsed().mul_f64(messages as f64 / left as f64)
}

/// Median of the microseconds from the send to the arrival at a consumer of the broker's queue.
fn latency(broker: &Broker, kind: Kind, through_bridge: bool) -> f64 {
    let amqp = Amqp::connect(&broker.url());
    amqp.declare("bench", kind);
    let began = Instant::now();
    let stamp = move || (began.elapsed().as_nanos() as u64).to_le_bytes();
    let url = broker.url();
    let receiver = thread::spawn(move || receive(&url, began));
    if through_bridge {
        let mut bridged = Bridged::new(4096);
        bridged.start(broker);
        thread::sleep(Duration::from_secs(1));
        let mut producer = bridged.queue.producer().unwrap();
        let first = Instant::now();
        for number in 0..PACED {
            let due = first + Duration::from_nanos(number * (1_000_000_000 / PACE));
            thread::sleep(due.saturating_duration_since(Instant::now()));
            let mut body = [0; LENGTH];
            body[..8].copy_from_slice(&stamp());
            producer.send(body.as_slice()).unwrap();
        }
        let times = receiver.join().unwrap();
        amqp.delete("bench");
        return median(times);
    }
    runtime().block_on(async {
        let (connection, channel) = channel(broker).await;
        channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        let mut tick = tokio::time::interval(Duration::from_nanos(1_000_000_000 / PACE));
        let mut confirms = Vec::new();
        for _ in 0..PACED {
            tick.tick().await;
            let mut body = [0; LENGTH];
            body[..8].copy_from_slice(&stamp());
            confirms.push(publish_one(&channel, &body, BasicProperties::default()).await);
        }
        for confirm in confirms {
            confirm.await.unwrap();
        }
        connection.close(200, "done".into()).await.unwrap();
    });
    let times = receiver.join().unwrap();
    amqp.delete("bench");
    median(times)
}

fn receive(url: &str, began: Instant) -> Vec<f64> {
    runtime().block_on(async {
        let connection = Connection::connect(url, ConnectionProperties::default()).await.unwrap();
        let channel = connection.create_channel().await.unwrap();
        let options = BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() };
        let none = FieldTable::default();
        let consumed = channel.basic_consume("bench".into(), "".into(), options, none);
        let mut consumer = consumed.await.unwrap();
        let mut times = Vec::new();
        while (times.len() as u64) < PACED {
            let next = poll_fn(|context| Pin::new(&mut consumer).poll_next(context));
            let delivery = next.await.unwrap().unwrap();
            let sent = u64::from_le_bytes(delivery.data[..8].try_into().unwrap());
            times.push((began.elapsed().as_nanos() as u64 - sent) as f64 / 1000.0);
        }
        connection.close(200, "done".into()).await.unwrap();
        times
    })
}

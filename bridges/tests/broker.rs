//! The program and a private RabbitMQ: what it does with queues, limits and logins. Faults are in the matrix.

#![cfg(feature = "rabbitmq")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod common;

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use common::amqp::{Amqp, Kind};
use common::broker::Broker;
use slipring::Queue;

/// One for all tests. rabbitmq.sh ends it with this process.
fn broker() -> Option<&'static Broker> {
    static BROKER: OnceLock<Option<Broker>> = OnceLock::new();
    BROKER.get_or_init(Broker::start).as_ref()
}

/// Local queues of a test, which go away.
struct Queues {
    from: String,
    to: String,
}

impl Queues {
    fn new(what: &str) -> Queues {
        let name = format!("test-rabbit-{what}-{}", std::process::id());
        Queues { from: format!("{name}-a"), to: format!("{name}-b") }
    }

    fn send(&self, messages: &[&str]) -> Queue {
        let builder = Queue::builder(&self.from).capacity(64).payload_size(256).group("g");
        let queue = builder.create().unwrap();
        let mut producer = queue.producer().unwrap();
        producer.send_slice(messages).unwrap();
        producer.close().unwrap();
        queue
    }

    fn make_other(&self) -> Queue {
        let builder = Queue::builder(&self.to).capacity(64).payload_size(1024).sources(4);
        builder.group("g").create().unwrap()
    }

    fn out(&self, broker: &Broker, more: &[&str]) -> Command {
        let url = broker.url();
        bridge(&[&["out", &self.from, "--group", "g", "--to", &url], more].concat())
    }

    fn in_(&self, broker: &Broker, more: &[&str]) -> Command {
        let url = broker.url();
        bridge(&[&["in", &url, "--to", &self.to], more].concat())
    }
}

impl Drop for Queues {
    fn drop(&mut self) {
        let of = |what: &str| format!("{}{what}", self.from);
        for name in [of(""), of(".dead"), of(".g.retry"), self.to.clone()] {
            let _ = slipring::force_remove(&name);
        }
    }
}

fn bridge(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_slipring-bridge"));
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

#[track_caller]
fn says(mut command: Command, code: i32, words: &[&str]) -> String {
    let output = command.output().unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{err}");
    words.iter().for_each(|word| assert!(err.contains(word), "{word:?} is not in {err:?}"));
    String::from_utf8(output.stdout).unwrap()
}

/// Waits until it says this.
fn await_line(child: &mut Child, words: &str) {
    let lines = BufReader::new(child.stderr.as_mut().unwrap()).lines();
    let found = lines.map(Result::unwrap).find(|line| line.contains(words));
    assert!(found.is_some(), "{words:?} was never said");
}

fn received(queue: &Queue) -> Vec<String> {
    let mut consumer = queue.consumer("g").unwrap();
    let mut found = Vec::new();
    while let Ok(message) = consumer.try_recv() {
        found.push(String::from_utf8(message.to_vec()).unwrap());
        message.ack().unwrap();
    }
    found
}

#[test]
fn a_queue_that_is_missing_is_waited_for() {
    let Some(broker) = broker() else { return };
    let queues = Queues::new("missing");
    let queue = queues.send(&["one", "two"]);
    let mut child = queues.out(broker, &["--routing-key", "later"]).spawn().unwrap();
    await_line(&mut child, "waiting for the destination");
    assert_eq!(queue.snapshot().unwrap().groups[0].depth, 2);
    let amqp = Amqp::connect(&broker.url());
    amqp.declare("later", Kind::Classic);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let bodies: Vec<Vec<u8>> = amqp.drain("later").into_iter().map(|stored| stored.body).collect();
    assert_eq!(bodies, [b"one", b"two"]);
}

#[test]
fn a_message_above_the_brokers_limit_stops_it_or_leaves_a_tombstone() {
    let Some(broker) = broker() else { return };
    let queues = Queues::new("poison");
    let long = "x".repeat(200);
    let queue = queues.send(&["one", &long, "three"]);
    let limit = |bytes: u32| {
        // RabbitMQ 3 looks at the one, RabbitMQ 4 at the other.
        let set = format!(
            "application:set_env(rabbit, max_message_size, {bytes}), persistent_term:put(max_message_size, {bytes})."
        );
        broker.ctl(&["eval", &set]);
    };
    limit(100);
    let args = ["--routing-key", "limited", "--declare", "classic"];
    says(queues.out(broker, &args), 6, &["message 1 of queue", "200 bytes", "broker takes 100"]);
    assert_eq!(queue.snapshot().unwrap().groups[0].head, 1);
    let args = [&args[..], &["--poison", "dead-letter"]].concat();
    says(queues.out(broker, &args), 0, &["made a dead letter of message 1"]);
    limit(134_217_728);
    let letters = Queue::open(&format!("{}.dead", queues.from)).unwrap();
    assert_eq!(letters.snapshot().unwrap().tail, 1);
    let other = queues.make_other();
    says(queues.in_(broker, &["--from", "limited", "--count", "2", "--timeout", "60"]), 0, &[]);
    assert_eq!(received(&other), ["one", "three"]);
    let stream = other.streams().unwrap().remove(0);
    assert_eq!((stream.stream, stream.last), (queue.group_stream("g"), Some(3)));
}

#[test]
fn a_wrong_password_is_refused_at_once() {
    let Some(broker) = broker() else { return };
    let queues = Queues::new("login");
    let _queue = queues.send(&[]);
    let mut command = queues.out(broker, &["--user", "guest", "--password-env", "WRONG"]);
    command.env("WRONG", "wrong");
    says(command, 5, &["ACCESS_REFUSED"]);
}

#[test]
fn a_queue_with_other_properties_is_not_declared_anew() {
    let Some(broker) = broker() else { return };
    let queues = Queues::new("differs");
    let _queue = queues.send(&["one"]);
    Amqp::connect(&broker.url()).declare("is-classic", Kind::Classic);
    let args = ["--routing-key", "is-classic", "--declare", "quorum"];
    says(queues.out(broker, &args), 5, &["inequivalent arg 'x-queue-type'"]);
    says(queues.out(broker, &args[..2]), 0, &[]);
}

#[test]
fn an_envelope_goes_through_a_local_queue_and_comes_back_the_same() {
    let Some(broker) = broker() else { return };
    let queues = Queues::new("envelope");
    let _queue = queues.send(&["one", "two"]);
    let amqp = Amqp::connect(&broker.url());
    for queue in ["first", "second"] {
        amqp.declare(queue, Kind::Classic);
    }
    says(queues.out(broker, &["--routing-key", "first", "--content-type", "text/x"]), 0, &[]);
    let other = queues.make_other();
    let args = ["--from", "first", "--count", "2", "--format", "envelope", "--timeout", "60"];
    says(queues.in_(broker, &args), 0, &[]);
    other.producer().unwrap().close().unwrap();
    let url = broker.url();
    let args = ["out", &queues.to, "--group", "g", "--to", &url, "--routing-key", "second"];
    says(bridge(&[&args[..], &["--format", "envelope"]].concat()), 0, &[]);
    let stored = amqp.drain("second");
    let bodies: Vec<&[u8]> = stored.iter().map(|stored| &stored.body[..]).collect();
    assert_eq!(bodies, [b"one", b"two"]);
    for stored in &stored {
        let content_type = stored.properties.content_type().as_ref().map(|it| it.as_str());
        assert_eq!(content_type, Some("text/x"));
    }
}

/// A message of format envelope, with this header.
fn envelope(header: &str, body: &str) -> Vec<u8> {
    let length = (header.len() as u32).to_le_bytes();
    [b"SLE1", &length[..], header.as_bytes(), body.as_bytes()].concat()
}

#[test]
fn an_envelope_that_cannot_be_stops_it_before_what_comes_after_is_sent() {
    let Some(broker) = broker() else { return };
    let queues = Queues::new("malformed");
    let queue = Queue::builder(&queues.from).payload_size(256).group("g").create().unwrap();
    let mut producer = queue.producer().unwrap();
    for (header, body) in
        [("{}", "one"), (r#"{"properties":{"priority":"high"}}"#, "two"), ("{}", "three")]
    {
        producer.send(envelope(header, body).as_slice()).unwrap();
    }
    producer.close().unwrap();
    let amqp = Amqp::connect(&broker.url());
    amqp.declare("malformed", Kind::Classic);
    let bodies = || amqp.drain("malformed").into_iter().map(|stored| stored.body);
    let args = ["--routing-key", "malformed", "--format", "envelope"];
    says(queues.out(broker, &args), 6, &["message 1 of queue", "priority"]);
    assert_eq!(bodies().collect::<Vec<_>>(), [b"one"]);
    assert_eq!(queue.snapshot().unwrap().groups[0].head, 1);
}

#[test]
fn a_dead_letter_that_is_sent_again_arrives_without_a_place_in_the_stream() {
    let Some(broker) = broker() else { return };
    let queues = Queues::new("letter");
    let queue = Queue::builder(&queues.from).payload_size(256).group("g").create().unwrap();
    let mut producer = queue.producer().unwrap();
    producer.send(envelope("{}", "one").as_slice()).unwrap();
    producer.send("no envelope").unwrap();
    producer.send(envelope("{}", "three").as_slice()).unwrap();
    producer.close().unwrap();
    let amqp = Amqp::connect(&broker.url());
    for name in ["letter", "letter.copy"] {
        amqp.declare(name, Kind::Classic);
    }
    amqp.fan_out("letter", &["letter", "letter.copy"]);
    let args = ["--exchange", "letter", "--routing-key", "letter", "--poison", "dead-letter"];
    let enveloped = [&args[..], &["--format", "envelope"]].concat();
    says(queues.out(broker, &enveloped), 0, &["made a dead letter of message 1", "SLE1"]);
    assert_eq!(queue.dead_letters().unwrap().requeue(u64::MAX).unwrap(), 1);
    // As it is, this time.
    says(queues.out(broker, &args), 0, &[]);
    let other = queues.make_other();
    says(queues.in_(broker, &["--from", "letter", "--count", "3", "--timeout", "60"]), 0, &[]);
    assert_eq!(received(&other), ["one", "three", "no envelope"]);
    assert_eq!(other.streams().unwrap()[0].last, Some(3));
    // Its key is that of its tombstone, and nothing is said of the message before.
    let stored = amqp.drain("letter.copy");
    let key = |at: usize| stored[at].properties.message_id().clone().unwrap();
    assert_eq!((stored.len(), key(3)), (4, key(1)));
    let headers = stored[3].properties.headers().clone().unwrap();
    assert!(!headers.inner().contains_key("slipring-previous"));
    assert!(!headers.inner().contains_key("slipring-tombstone"));
}

#[test]
fn check_finds_what_is_there_and_what_is_not() {
    let Some(broker) = broker() else { return };
    let queues = Queues::new("check");
    let _queue = queues.send(&[]);
    Amqp::connect(&broker.url()).declare("there", Kind::Quorum);
    let file = std::env::temp_dir().join(format!("{}.toml", queues.from));
    let plan = |key: &str| {
        let (queue, url) = (&queues.from, broker.url());
        let text =
            format!("[[out]]\nqueue='{queue}'\ngroup='g'\nto='{url}'\nrouting_key='{key}'\n");
        std::fs::write(&file, text).unwrap();
        bridge(&["check", file.to_str().unwrap()])
    };
    assert!(says(plan("there"), 0, &[]).contains("ok    broker"));
    assert!(says(plan("not-there"), 1, &[]).contains("NOT_FOUND"));
    std::fs::remove_file(&file).unwrap();
}

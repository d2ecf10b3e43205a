//! Python's pika reads what `out` has written, and writes what `in` reads.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use common::amqp::{Amqp, Kind};
use common::broker::Broker;
use common::programs;
use serde_json::{Value, json};
use slipring::{Group, Queue, RecvError};

/// A broker with a queue, and a local queue that goes with this value.
struct Setup {
    broker: Broker,
    python: std::path::PathBuf,
    name: String,
    local: Queue,
}

impl Setup {
    fn new(test: &str) -> Option<Setup> {
        let python = programs::python()?.join("bin/python");
        let broker = Broker::start()?;
        Amqp::connect(&broker.url()).declare("there", Kind::Classic);
        let name = format!("opinion-{test}-{}", std::process::id());
        let builder = Queue::builder(&name).payload_size(1024).capacity(64).sources(4);
        let local = builder.group(Group::named("g")).create().unwrap();
        Some(Setup { broker, python, name, local })
    }

    fn bridge(&self, args: &[&str]) -> Output {
        let mut bridge = Command::new(env!("CARGO_BIN_EXE_slipring-bridge"));
        let output = bridge.args(args).stdin(Stdio::null()).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        output
    }

    fn send_out(&self, more: &[&str]) {
        let url = self.broker.url();
        let args = ["out", &self.name, "--group", "g", "--to", &url, "--routing-key", "there"];
        self.bridge(&[&args, more].concat());
    }

    fn take_in(&self, more: &[&str]) {
        let url = self.broker.url();
        self.bridge(&[&["in", &url, "--from", "there", "--to", &self.name], more].concat());
    }

    fn peer(&self, command: &str, count: &str, input: &str) -> String {
        let (_, port) = self.broker.address.split_once(':').unwrap();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pika/peer.py");
        let mut peer = Command::new(&self.python);
        peer.arg(script).args([port, command, "there", count]);
        let mut peer = peer.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        peer.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = peer.wait_with_output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn peer_reads(&self, count: usize) -> Vec<Value> {
        let lines = self.peer("read", &count.to_string(), "");
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn peer_writes(&self, messages: &[Value]) {
        let lines: String = messages.iter().map(|message| format!("{message}\n")).collect();
        self.peer("write", "0", &lines);
    }

    /// All that is in the local queue: payload and kind.
    fn local(&self) -> Vec<(String, u32)> {
        let mut consumer = self.local.consumer("g").unwrap();
        let mut all = Vec::new();
        loop {
            match consumer.try_recv() {
                Ok(message) => {
                    all.push((String::from_utf8_lossy(&message).into_owned(), message.kind()));
                    message.ack().unwrap();
                }
                Err(RecvError::Empty) => return all,
                Err(fault) => panic!("{fault}"),
            }
        }
    }
}

impl Drop for Setup {
    fn drop(&mut self) {
        let _ = slipring::force_remove(&self.name);
    }
}

fn hex(text: &str) -> Value {
    let digits: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
    json!({ "hex": digits })
}

#[test]
fn pika_reads_bodies_and_identities_that_out_has_written() {
    let Some(setup) = Setup::new("out") else { return };
    let mut producer = setup.local.producer().unwrap();
    producer.send("first").unwrap();
    producer.send((7, b"second".as_slice())).unwrap();
    producer.send(b"\xff\x00".as_slice()).unwrap();
    producer.close().unwrap();
    setup.send_out(&[]);

    let stream = setup.local.group_stream("g").to_string();
    let read = setup.peer_reads(3);
    let bodies: Vec<&Value> = read.iter().map(|message| &message["body"]).collect();
    assert_eq!(bodies, [&hex("first"), &hex("second"), &json!({ "hex": "ff00" })]);
    for (number, message) in (1..).zip(&read) {
        let properties = &message["properties"];
        let headers = &properties["headers"];
        let previous = if number == 1 { json!("none") } else { json!(number - 1) };
        assert_eq!(headers["slipring-stream"], json!(stream), "{message}");
        assert_eq!(headers["slipring-position"], json!(number), "{message}");
        assert_eq!(headers["slipring-previous"], previous, "{message}");
        assert_eq!(properties["message_id"], json!(format!("{stream}-{number}")), "{message}");
        assert_eq!(properties["delivery_mode"], json!(2), "{message}");
        assert_eq!(properties["content_type"], json!("application/octet-stream"), "{message}");
        let kind = if number == 2 { json!(7) } else { Value::Null };
        assert_eq!(headers["slipring-kind"], kind, "{message}");
    }
}

#[test]
fn in_reads_what_pika_has_written_each_identity_once_and_in_order() {
    let Some(setup) = Setup::new("in") else { return };
    let stream = "00112233445566778899aabbccddeeff";
    let of = |body: &str, position: u64, previous: Value| {
        let headers = json!({
            "slipring-stream": stream, "slipring-position": position, "slipring-previous": previous,
        });
        json!({ "body": hex(body), "properties": { "headers": headers } })
    };
    let plain = |body: &str, headers: Value| json!({ "body": hex(body), "properties": { "headers": headers } });
    setup.peer_writes(&[
        of("one", 1, json!("none")),
        of("two", 2, json!(1)),
        of("two", 2, json!(1)),
        of("four", 4, json!(3)),
        of("five", 5, json!(4)),
        plain("no identity", json!({})),
        of("four", 4, json!(3)),
        of("three", 3, json!(2)),
        plain("with a kind", json!({ "slipring-kind": 9 })),
        plain("no identity", json!({})),
    ]);
    setup.take_in(&["--count", "8"]);

    let local = setup.local();
    let of_stream = |(body, _): &&(String, u32)| !body.contains(' ');
    let ordered: Vec<&str> =
        local.iter().filter(of_stream).map(|(body, _)| body.as_str()).collect();
    assert_eq!(ordered, ["one", "two", "three", "four", "five"]);
    let others: Vec<_> = local.iter().filter(|message| !of_stream(message)).cloned().collect();
    let plain = ("no identity".to_owned(), 0);
    assert_eq!(others, [plain.clone(), ("with a kind".to_owned(), 9), plain]);
    assert_eq!(Amqp::connect(&setup.broker.url()).waiting("there"), 0, "not acked");
}

/// Through an envelope nothing of a message is lost: what pika has written is what pika reads.
#[test]
fn an_envelope_brings_properties_and_headers_back() {
    let Some(setup) = Setup::new("envelope") else { return };
    let headers = json!({
        "text": "Grüße", "number": -5, "large": 1_i64 << 40, "yes": true, "nothing": null,
        "table": { "inner": [1, "two", { "three": 3 }] }, "when": { "time": 1_700_000_000 },
    });
    let properties = json!({
        "content_type": "text/plain", "content_encoding": "none", "headers": headers, "delivery_mode": 2,
        "priority": 3, "correlation_id": "c", "reply_to": "r", "expiration": "600000", "message_id": "m",
        "timestamp": 1_700_000_000, "type": "t", "app_id": "a",
    });
    let message = json!({ "body": hex("body"), "properties": properties });
    setup.peer_writes(std::slice::from_ref(&message));
    setup.take_in(&["--format", "envelope", "--count", "1"]);
    setup.send_out(&["--format", "envelope", "--count", "1"]);

    let read = setup.peer_reads(1);
    assert_eq!(read[0]["body"], message["body"]);
    let (sent, came) = (&message["properties"], &read[0]["properties"]);
    for (name, value) in sent.as_object().unwrap() {
        if name != "headers" {
            assert_eq!(&came[name], value, "{name}");
        }
    }
    for (name, value) in headers.as_object().unwrap() {
        assert_eq!(&came["headers"][name], value, "header {name}");
    }
}

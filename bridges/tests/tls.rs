//! `amqps://`: a broker with a certificate of a private authority, which asks for one of its clients.

#![cfg(all(feature = "rabbitmq", feature = "tls"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod common;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use common::amqp::{Amqp, Kind};
use common::broker::Broker;
use slipring::Queue;

/// A folder with two authorities; the first has signed the certificates `server` and `client`.
struct Certificates(PathBuf);

impl Certificates {
    fn new() -> Certificates {
        let folder = std::env::temp_dir().join(format!("slipring-tls-{}", std::process::id()));
        fs::create_dir(&folder).unwrap();
        let certificates = Certificates(folder);
        for authority in ["ca", "other-ca"] {
            let key = format!("{authority}.key");
            let pem = format!("{authority}.pem");
            let subject = format!("/CN={authority}");
            certificates.openssl(&[
                &["req", "-x509", "-days", "2", "-subj", &subject, "-keyout", &key, "-out", &pem],
                &NEW_KEY[..],
            ]);
        }
        fs::write(certificates.0.join("names"), "subjectAltName=DNS:localhost,IP:127.0.0.1\n")
            .unwrap();
        for name in ["server", "client"] {
            let key = format!("{name}.key");
            let pem = format!("{name}.pem");
            let subject = format!("/CN={name}");
            certificates.openssl(&[
                &["req", "-subj", &subject, "-keyout", &key, "-out", "request"],
                &NEW_KEY[..],
            ]);
            certificates.openssl(&[
                &["x509", "-req", "-days", "2", "-in", "request", "-out", &pem],
                &["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "names"],
            ]);
        }
        certificates
    }

    fn openssl(&self, args: &[&[&str]]) {
        let made = Command::new("openssl").args(args.concat()).current_dir(&self.0).output();
        let made = made.unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }
}

const NEW_KEY: [&str; 5] = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];

impl Drop for Certificates {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn command(args: &[&[&str]]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_slipring-bridge"));
    command.args(args.concat()).env_remove("SSL_CERT_FILE").env_remove("SSL_CERT_DIR");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

#[track_caller]
fn succeeds(mut command: Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// It waits, and says why; then it is killed.
#[track_caller]
fn waits(mut command: Command, words: &str) {
    let mut child: Child = command.spawn().unwrap();
    let mut said = String::new();
    let mut lines = BufReader::new(child.stderr.take().unwrap());
    while !said.contains(words) && lines.read_line(&mut said).unwrap() > 0 {}
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(said.contains(words), "{said}");
    assert!(!said.contains("connected"), "{said}");
}

#[test]
fn a_broker_of_a_private_authority_is_trusted_by_its_certificate_alone() {
    let of = Certificates::new();
    let port = free_port();
    let [ca, pem, key] = ["ca.pem", "server.pem", "server.key"].map(|name| of.path(name));
    let config = format!(
        "listeners.ssl.default = 127.0.0.1:{port}\nssl_options.cacertfile = {ca}\nssl_options.certfile = {pem}\n\
         ssl_options.keyfile = {key}\nssl_options.verify = verify_peer\nssl_options.fail_if_no_peer_cert = true\n"
    );
    let Some(broker) = Broker::start_with(&config) else { return };
    Amqp::connect(&broker.url()).declare("tls", Kind::Classic);

    let name = format!("test-tls-{}", std::process::id());
    let queue = Queue::builder(&name).payload_size(64).group("g").create().unwrap();
    let mut producer = queue.producer().unwrap();
    producer.send_slice(&["one", "two"]).unwrap();
    producer.close().unwrap();
    let url = format!("amqps://127.0.0.1:{port}");
    let out = ["out", &name, "--group", "g", "--to", &url, "--routing-key", "tls"];
    let [other, cert, key] = ["other-ca.pem", "client.pem", "client.key"].map(|name| of.path(name));
    let certificate = ["--cert", &cert, "--key", &key];

    // Neither a stranger nor a client without a certificate comes through.
    waits(command(&[&out, &certificate]), "UnknownIssuer");
    waits(command(&[&out, &certificate, &["--ca", &other]]), "UnknownIssuer");
    waits(command(&[&out, &["--ca", &ca]]), "waiting for the broker");
    assert_eq!(queue.snapshot().unwrap().groups[0].depth, 2);

    succeeds(command(&[&out, &certificate, &["--ca", &ca]]));
    // The variable takes the place of the system's authorities.
    let into = format!("{name}-b");
    let made = Queue::builder(&into).payload_size(64).group("g").create().unwrap();
    let in_ = ["in", &url, "--from", "tls", "--to", &into, "--count", "2", "--timeout", "60"];
    let mut receive = command(&[&in_, &certificate]);
    receive.env("SSL_CERT_FILE", &ca);
    succeeds(receive);
    assert_eq!(made.snapshot().unwrap().tail, 2);

    let plan = of.path("plan.toml");
    let text = format!(
        "[[out]]\nqueue='{name}'\ngroup='g'\nto='{url}'\nrouting_key='tls'\nca='{ca}'\ncert='{cert}'\nkey='{key}'\n"
    );
    fs::write(&plan, text).unwrap();
    let said = succeeds(command(&[&["check", &plan]]));
    for words in
        ["ok    ca: 1 of 1 certificates are valid", "ok    cert: valid until 20", "renew it"]
    {
        assert!(said.contains(words), "{said}");
    }
    for name in [&name, &into] {
        slipring::force_remove(name).unwrap();
    }
}

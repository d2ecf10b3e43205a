//! What `metrics` tells Prometheus.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::TcpStream;

use nix::sys::signal::Signal;
use slipring::Queue;

use super::common::TempName;
use super::tool::{Running, feed, run};

const DOC: &str = include_str!("../../docs/metrics.md");

/// A page by series, checked as a strict parser would: each family once and together, types known, numbers numbers.
fn parsed(page: &str, open: bool) -> (BTreeMap<String, f64>, BTreeMap<String, String>) {
    let (mut series, mut types) = (BTreeMap::new(), BTreeMap::new());
    let mut family = String::new();
    let mut lines = page.lines().peekable();
    while let Some(line) = lines.next() {
        if line == "# EOF" {
            assert!(open && lines.peek().is_none(), "{page}");
            return (series, types);
        }
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert_eq!(name, family, "a type follows its help");
            assert!(["gauge", "counter", "info"].contains(&kind), "{line}");
            assert!(types.insert(name.to_owned(), kind.to_owned()).is_none(), "{name} comes twice");
        } else if let Some(rest) = line.strip_prefix("# HELP ") {
            family = rest.split_once(' ').unwrap().0.to_owned();
        } else {
            let (name, value) = line.rsplit_once(' ').unwrap();
            assert!(name.starts_with(&family), "{line} is among {family}");
            let value: f64 = value.parse().unwrap();
            assert!(series.insert(name.to_owned(), value).is_none(), "{name} comes twice");
        }
    }
    assert!(!open, "the page has no end:\n{page}");
    (series, types)
}

#[test]
fn a_page_has_the_figures_of_queue_and_group() {
    let name = TempName::new("metrics");
    run(&["create", &name, "--capacity", "64", "--group", "store", "--group", "audit"]).quietly();
    feed(&["send", &name], b"a\nbb\nccc\n").quietly();
    run(&["recv", &name, "--group", "store", "--count", "2"]).says(0, &[]);
    let page = run(&["metrics", &name, "--once", "--interval", "0.05"]).says(0, &[]);
    let (series, _) = parsed(&page.out, false);
    let queue = format!("{{queue=\"{}\"}}", &*name);
    let group = |group| format!("{{queue=\"{}\",group=\"{group}\"}}", &*name);
    for (metric, labels, value) in [
        ("slipring_queue_up", queue.clone(), 1.0),
        ("slipring_queue_capacity_messages", queue.clone(), 64.0),
        ("slipring_queue_used_messages", queue.clone(), 3.0),
        ("slipring_queue_published_messages_total", queue.clone(), 3.0),
        ("slipring_producer_up", queue, 0.0),
        ("slipring_group_ready_messages", group("store"), 1.0),
        ("slipring_group_done_messages_total", group("store"), 2.0),
        ("slipring_group_ready_messages", group("audit"), 3.0),
        ("slipring_group_done_messages_total", group("audit"), 0.0),
        ("slipring_group_consumers", group("audit"), 0.0),
    ] {
        assert_eq!(
            series.get(&format!("{metric}{labels}")),
            Some(&value),
            "{metric}{labels}\n{}",
            page.out
        );
    }
}

#[test]
fn the_documents_list_every_metric_with_its_type() {
    let name = TempName::new("metrics-doc");
    let queue = Queue::builder(&name).capacity(64).group("work").create().unwrap();
    let _consumer = queue.consumer("work").unwrap();
    let page = run(&["metrics", &name, "--once", "--members", "--interval", "0.05"]).says(0, &[]);
    let (_, types) = parsed(&page.out, false);
    let told: BTreeSet<(String, String)> = types.into_iter().collect();
    let listed: BTreeSet<(String, String)> = DOC
        .lines()
        .filter_map(|line| line.strip_prefix("| `slipring_"))
        .map(|line| {
            let mut cells = line.split('|').map(str::trim);
            let name = format!("slipring_{}", cells.next().unwrap().trim_end_matches('`'));
            // The text format knows no info.
            (name, cells.next().unwrap().replace("info", "gauge"))
        })
        .collect();
    assert_eq!(told, listed);
    for (file, text) in [
        ("alerts.yml", include_str!("../../docs/alerts.yml")),
        ("grafana.json", include_str!("../../docs/grafana.json")),
    ] {
        for word in text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_') {
            let is_metric = word.starts_with("slipring_");
            assert!(!is_metric || listed.iter().any(|(name, _)| name == word), "{file}: {word}");
        }
    }
}

#[test]
fn a_server_answers_in_the_form_that_is_accepted_and_sees_queues_come_and_go() {
    let name = TempName::new("metrics-serve");
    let args = ["metrics", &name, "--listen", "127.0.0.1:0", "--interval", "0.05"];
    let mut server = Running::start(&args);
    let line = server.wait_for("http://");
    let address = line.split("http://").nth(1).unwrap().split('/').next().unwrap().to_owned();
    let ask = |accept: &str| {
        let mut stream = TcpStream::connect(&address).unwrap();
        write!(stream, "GET /metrics HTTP/1.1\r\nHost: x\r\nAccept: {accept}\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200"), "{answer}");
        (head.to_owned(), body.to_owned())
    };
    let up = format!("slipring_queue_up{{queue=\"{}\"}}", &*name);
    let (head, body) = ask("text/plain");
    assert!(head.contains("text/plain; version=0.0.4"), "{head}");
    assert_eq!(parsed(&body, false).0.get(&up), Some(&0.0), "{body}");
    // A client that says nothing keeps nobody waiting for ever.
    let _silent = TcpStream::connect(&address).unwrap();
    let queue = Queue::builder(&name).capacity(64).group("work").create().unwrap();
    let (head, body) = ask("application/openmetrics-text;version=1.0.0,text/plain;q=0.1");
    assert!(head.contains("application/openmetrics-text; version=1.0.0"), "{head}");
    assert_eq!(parsed(&body, true).0.get(&up), Some(&1.0), "{body}");
    queue.producer().unwrap().send("x").unwrap();
    drop(queue);
    slipring::force_remove(&name).unwrap();
    assert_eq!(parsed(&ask("*/*").1, false).0.get(&up), Some(&0.0));
    server.signal(Signal::SIGTERM);
    server.finish().says(143, &[]);
}

#[test]
fn an_address_that_cannot_be_listened_on_is_an_error_with_a_hint() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    run(&["metrics", "--listen", &address]).says(1, &[&address, "--listen"]);
    run(&["metrics", "--listen", "nowhere"]).says(2, &["--listen"]);
}

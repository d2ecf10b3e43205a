//! That the benchmarks run, check and report; how fast anything is does not matter here.

use std::path::PathBuf;

use nix::sched::{CpuSet, sched_getaffinity};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::tool::{Ran, Running, TempDir, children_of, lives, run};

/// The queue of the benchmark that ran as this process.
fn queue_of(pid: u32) -> PathBuf {
    format!("/dev/shm/slipring.bench-{pid}").into()
}

fn bench(args: &[&str]) -> Ran {
    let running = Running::start(&[&["bench"], args].concat());
    let pid = running.pid();
    let ran = running.finish();
    assert!(!queue_of(pid).exists());
    ran
}

fn json(args: &[&str]) -> Value {
    let value: Value = serde_json::from_str(&bench(args).quietly()).unwrap();
    assert_eq!(value["bench"], args[0]);
    let hardware = ["processor", "processors", "cores", "caches", "governor", "virtual"];
    let software = ["kernel", "clock", "time", "load", "version", "build", "command"];
    for field in hardware.iter().chain(&software) {
        assert!(!value["machine"][field].is_null(), "{field}");
    }
    for field in ["seconds", "payload", "capacity", "wait", "pin"] {
        assert!(!value["settings"][field].is_null(), "{field}");
    }
    value
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is not a count"))
}

#[track_caller]
fn assert_rates(result: &Value, names: &[&str]) {
    for name in names {
        assert!(result[name].as_f64().unwrap() > 0.0, "{name}: {result}");
    }
}

#[track_caller]
fn assert_distribution(value: &Value, count: u64) {
    assert_eq!(number(&value["count"]), count);
    let quantiles =
        ["p50", "p90", "p99", "p99_9", "p99_99", "max"].map(|name| number(&value[name]));
    assert!(quantiles.is_sorted() && quantiles[0] > 0, "{value}");
    assert!(value["mean"].as_f64().unwrap() > 0.0);
}

#[test]
fn latency_has_a_delay_for_each_message_that_was_due() {
    let value =
        json(&["latency", "--json", "--seconds", "0.1", "--rate", "5000", "--wait", "yield"]);
    let result = &value["results"][0];
    assert_eq!((number(&result["sent"]), number(&result["received"])), (500, 500));
    assert_distribution(&result["from_due"], 500);
    assert_distribution(&result["from_sent"], 500);
    assert_rates(result, &["publish_rate"]);
    assert_eq!(
        (&value["settings"]["rate"], &value["settings"]["wait"]),
        (&5000.0.into(), &"yield".into())
    );
}

#[test]
fn a_paced_sender_that_must_wait_counts_it_as_delay() {
    // More than goes through two slots by sleeping: were the delays counted from the time of sending, waiting
    // for room would be nobody's.
    let value = json(&["latency", "--json", "--smoke", "--rate", "100000", "--capacity", "2"]);
    let result = &value["results"][0];
    assert_eq!((number(&result["sent"]), number(&result["received"])), (5000, 5000));
    let most = |what: &str| number(&result[what]["max"]);
    assert!(most("from_due") >= most("from_sent"), "{result}");
}

#[test]
fn throughput_measures_each_batch_size() {
    let value = json(&["throughput", "--json", "--smoke", "--batch", "8,1", "--payload", "27"]);
    let results = value["results"].as_array().unwrap();
    let batches: Vec<u64> = results.iter().map(|result| number(&result["batch"])).collect();
    assert_eq!(batches, [1, 8]);
    for result in results {
        assert!(number(&result["sent"]) > 0);
        assert_eq!(result["sent"], result["received"]);
        assert_rates(result, &["publish_rate", "service_rate", "bytes_rate"]);
        let samples = result["samples"].as_array().unwrap();
        assert!(samples.iter().all(|sample| sample.as_array().unwrap().len() == 2));
    }
}

#[test]
fn fanout_gives_every_group_everything() {
    let value = json(&["fanout", "--json", "--smoke", "--groups", "1,3"]);
    for (result, groups) in value["results"].as_array().unwrap().iter().zip([1, 3]) {
        assert_eq!(number(&result["groups"]), groups);
        assert_eq!(number(&result["received"]), number(&result["sent"]) * groups);
        assert_eq!(result["reader_rates"].as_array().unwrap().len() as u64, groups);
        assert_rates(result, &["publish_rate"]);
    }
}

#[test]
fn group_members_share_everything() {
    let value = json(&["group", "--json", "--smoke", "--members", "1,3", "--batch", "4"]);
    for (result, members) in value["results"].as_array().unwrap().iter().zip([1, 3]) {
        assert_eq!(number(&result["members"]), members);
        assert_eq!(result["received"], result["sent"]);
        assert_eq!(number(&result["redelivered"]), 0);
        let shares = result["shares"].as_array().unwrap();
        let sum: f64 = shares.iter().map(|share| share.as_f64().unwrap()).sum();
        assert!(shares.len() as u64 == members && (sum - 1.0).abs() < 1e-9, "{result}");
        assert_rates(result, &["publish_rate", "service_rate", "fairness"]);
    }
}

#[test]
fn wake_measures_each_mode() {
    let value = json(&["wake", "--json", "--smoke", "--modes", "fence,none", "--pause", "0.001"]);
    assert_wakes(&value, &["fence", "none"]);
    let value = json(&["wake", "--json", "--smoke", "--modes", "fence", "--members", "3"]);
    assert_wakes(&value, &["fence"]);
    assert_eq!(value["settings"]["members"], 3);
}

fn assert_wakes(value: &Value, modes: &[&str]) {
    let results = value["results"].as_array().unwrap();
    assert_eq!(results.len(), modes.len());
    for (result, mode) in results.iter().zip(modes) {
        assert_eq!((&result["wake"], &result["sent"]), (&(*mode).into(), &result["received"]));
        // A second message follows each that wakes.
        let count = number(&result["sent"]) / 2;
        for what in ["delay", "send_asleep", "send_awake"] {
            assert_distribution(&result[what], count);
        }
    }
}

#[test]
fn a_pinned_benchmark_prints_a_table_and_nothing_else() {
    let set = sched_getaffinity(Pid::from_raw(0)).unwrap();
    let cpu = (0..CpuSet::count()).find(|cpu| set.is_set(*cpu).unwrap()).unwrap();
    let pin = format!("{cpu},{cpu}");
    let text = bench(&["throughput", "--smoke", "--batch", "2", "--pin", &pin]).quietly();
    for word in ["BATCH", "PUBLISH RATE/s", "SERVICE RATE/s", "BYTES/s", "processors", "Linux"] {
        assert!(text.contains(word), "{text}");
    }
}

#[test]
fn the_page_needs_nothing_and_has_every_plot() {
    let dir = TempDir::new(&format!("bench-{}", std::process::id()));
    let rate = "messages per second";
    let percentile = "percentile of the messages, %";
    let delay = ("Latency percentiles", [percentile, "delay (log scale)"]);
    let time = ("Throughput over time", ["time since the first message, s", rate]);
    let batch = ("Batch curve", ["messages in a batch", rate]);
    let fanout = ("Fan-out curve", ["exclusive groups, each with a reader process", rate]);
    let members = "members of the shared group, processes";
    let group = ("Rate of a shared group", [members, rate]);
    let shares = ("Shares of the members", [members, "share of the messages, %"]);
    let wake = ("Delay of waking", [percentile, "publication to receipt (log scale)"]);
    let cost = ("Cost of a publication", [percentile, "time of the call (log scale)"]);
    for (name, plots) in [
        ("latency", &[delay, time][..]),
        ("throughput", &[batch, time]),
        ("fanout", &[fanout, time]),
        ("group", &[group, shares, time]),
        ("wake", &[wake, cost]),
    ] {
        let path = dir.join(format!("{name}.html"));
        bench(&[name, "--smoke", "--html", path.to_str().unwrap()]).quietly();
        let page = std::fs::read_to_string(&path).unwrap();
        assert_eq!(page.matches("<svg").count(), plots.len(), "{name}");
        for (title, axes) in plots {
            let plot =
                page.split("<svg").find(|part| part.contains(&format!(">{title}<"))).unwrap();
            assert!(plot.contains("<polyline"), "{name}: {title}");
            for axis in axes {
                assert!(plot.contains(&format!(">{axis}<")), "{name}: {title}: {axis}");
            }
        }
        for word in ["prefers-color-scheme: dark", "Processor", "Kernel", "Load", "slipring bench"]
        {
            assert!(page.contains(word), "{name}: {word}");
        }
        for word in ["http", "<script", "<link", "<img", "NaN", "inf"] {
            assert!(!page.contains(word), "{name}: {word}");
        }
    }
}

#[test]
fn arguments_that_cannot_be_say_what_to_do() {
    run(&["bench"]).says(2, &["latency", "throughput", "fanout", "group", "wake"]);
    let bench = |args: &[&str]| run(&[&["bench"], args].concat());
    bench(&["throughput", "--smoke", "--pin", "4096"])
        .says(2, &["no processor 4096", "choose from"]);
    bench(&["throughput", "--payload", "8"]).says(2, &["24"]);
    bench(&["throughput", "--smoke", "--batch", "64", "--capacity", "32"])
        .says(2, &["a batch of 64 does not fit in a ring of 32", "--capacity"]);
    bench(&["fanout", "--groups", "17"]).says(2, &["16"]);
    bench(&["latency", "--rate", "0"]).says(2, &["messages per second"]);
    bench(&["latency", "--seconds", "0"]).says(2, &["0.01 to 86400"]);
    bench(&["wake", "--pause", "11"]).says(2, &["0.0001 to 10"]);
    bench(&["group", "--smoke", "--seconds", "1"]).says(2, &["--smoke"]);
    bench(&["wake", "--smoke", "--html", "/nowhere/report.html"])
        .says(1, &["cannot write the report /nowhere/report.html", "a directory that exists"]);
}

#[test]
fn an_interrupted_benchmark_leaves_nothing() {
    let (running, children) = under_way();
    let pid = running.pid();
    running.signal(Signal::SIGINT);
    assert_eq!(running.finish().code, Some(130));
    assert!(!queue_of(pid).exists());
    assert!(children.iter().all(|&child| !lives(child)));
}

#[test]
fn a_benchmark_whose_consumer_dies_fails() {
    let (running, children) = under_way();
    let pid = running.pid();
    kill(Pid::from_raw(children[0] as i32), Signal::SIGKILL).unwrap();
    running.finish().says(1, &["consumer 1 ended before it was done"]);
    assert!(!queue_of(pid).exists());
    assert!(children.iter().all(|&child| !lives(child)));
}

/// A long benchmark with two consumers, once all processes were started.
fn under_way() -> (Running, Vec<u32>) {
    let running = Running::start(&["bench", "group", "--seconds", "600", "--members", "2"]);
    loop {
        let children = children_of(running.pid());
        if children.len() == 3 {
            return (running, children);
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

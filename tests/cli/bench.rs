//! The benchmarks run, check every message and report. How fast anything is does not matter here.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::tool::{Ran, Running, TempDir, children_of, lives, parsed, run};

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
    let value = parsed(&bench(args).quietly());
    assert_eq!(value["bench"], args[0]);
    let hardware = ["processor", "processors", "cores", "caches", "governor", "virtual"];
    let software = ["kernel", "clock", "time", "load", "version", "build", "command"];
    for field in hardware.iter().chain(&software).chain(&["usable", "nice"]) {
        assert!(!value["machine"][field].is_null(), "{field}");
    }
    assert_report(&value);
    value
}

/// What every benchmark reports besides its results.
fn assert_report(value: &Value) {
    for field in ["seconds", "runs", "payload", "capacity", "wait", "pin"] {
        assert!(!value["settings"][field].is_null(), "{field}");
    }
    for field in ["steal", "preemptions", "preempted_runs", "runs"] {
        assert!(value["interference"][field].as_f64().unwrap() >= 0.0, "{field}");
    }
    for end in ["producer", "consumer"] {
        assert!(!value["placement"][end].as_array().unwrap().is_empty(), "{end}");
    }
    assert!(!value["results"].as_array().unwrap().is_empty());
}

/// The kinds of its warnings.
fn warnings(value: &Value) -> Vec<&str> {
    let warnings = value["warnings"].as_array().unwrap();
    assert!(warnings.iter().all(|warning| !warning["text"].as_str().unwrap().is_empty()));
    warnings.iter().map(|warning| warning["kind"].as_str().unwrap()).collect()
}

/// The processors that this thread and the processes that it starts may use.
fn processors() -> Vec<usize> {
    let set = sched_getaffinity(Pid::from_raw(0)).unwrap();
    (0..CpuSet::count()).filter(|cpu| set.is_set(*cpu).unwrap()).collect()
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is not a count"))
}

/// Of two runs.
#[track_caller]
fn assert_spread(spread: &Value) {
    assert_spread_of(spread, 2);
}

#[track_caller]
fn assert_spread_of(spread: &Value, count: usize) {
    let of = |name: &str| spread[name].as_f64().unwrap();
    let order = [of("min"), of("median"), of("max")];
    assert!(order.is_sorted() && order[0] > 0.0, "{spread}");
    let runs = spread["runs"].as_array().unwrap();
    assert_eq!(runs.len(), count);
    assert!(runs.iter().all(|run| (order[0]..=order[2]).contains(&run.as_f64().unwrap())));
}

#[track_caller]
fn assert_spreads(result: &Value, names: &[&str]) {
    names.iter().for_each(|name| assert_spread(&result[name]));
}

/// It has the quantiles beyond which at least 10 messages lie, and no others.
#[track_caller]
fn assert_distribution(value: &Value, count: u64) {
    assert_eq!(number(&value["count"]), count);
    let needed = [
        ("p50", 1),
        ("p90", 100),
        ("p99", 1000),
        ("p99_9", 10_000),
        ("p99_99", 100_000),
        ("max", 1),
    ];
    let (given, left_out): (Vec<_>, Vec<_>) =
        needed.iter().partition(|(_, needed)| count >= *needed);
    let times: Vec<u64> = given.iter().map(|(name, _)| number(&value[name])).collect();
    assert!(times.is_sorted() && times[0] > 0, "{value}");
    assert!(left_out.iter().all(|(name, _)| value[name].is_null()), "{value}");
    assert!(value["mean"].as_f64().unwrap() > 0.0);
    assert_spread(&value["runs"]["p50"]);
}

#[test]
fn latency_has_a_delay_for_each_message_that_was_due() {
    let value = json(&[
        "latency",
        "--json",
        "--seconds",
        "0.1",
        "--runs",
        "2",
        "--rate",
        "5000",
        "--wait",
        "yield",
    ]);
    let result = &value["results"][0];
    assert_eq!((number(&result["sent"]), number(&result["received"])), (1000, 1000));
    assert_distribution(&result["from_due"], 1000);
    assert_distribution(&result["from_sent"], 1000);
    // Neither of the two runs has enough messages by itself.
    assert!(result["from_sent"]["runs"]["p99"].is_null());
    assert_spreads(result, &["publish_rate"]);
    assert_eq!(
        (number(&value["settings"]["runs"]), &value["settings"]["seconds"]),
        (2, &0.1.into())
    );
    assert_eq!(
        (&value["settings"]["rate"], &value["settings"]["wait"]),
        (&5000.0.into(), &"yield".into())
    );
}

#[test]
fn waiting_for_room_counts_as_delay_of_paced_messages() {
    // The producer must wait for room. A delay that began with the send would leave this time out.
    let value = json(&["latency", "--json", "--smoke", "--rate", "100000", "--capacity", "2"]);
    let result = &value["results"][0];
    assert_eq!((number(&result["sent"]), number(&result["received"])), (10_000, 10_000));
    let max = |what: &str| number(&result[what]["max"]);
    assert!(max("from_due") >= max("from_sent"), "{result}");
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
        assert_spreads(result, &["publish_rate", "service_rate", "bytes_rate"]);
        let samples = result["samples"].as_array().unwrap();
        assert!(samples.iter().all(|sample| sample.as_array().unwrap().len() == 2));
    }
}

#[test]
fn fanout_gives_every_group_every_message() {
    let value = json(&["fanout", "--json", "--smoke", "--groups", "1,3"]);
    for (result, groups) in value["results"].as_array().unwrap().iter().zip([1, 3]) {
        assert_eq!(number(&result["groups"]), groups);
        assert_eq!(number(&result["received"]), number(&result["sent"]) * groups);
        assert_eq!(result["consumer_rates"].as_array().unwrap().len() as u64, groups);
        let names = ["publish_rate", "slowest_consumer", "fastest_consumer", "delivery_rate"];
        assert_spreads(result, &names);
    }
}

#[test]
fn group_members_share_all_messages() {
    let value = json(&["group", "--json", "--smoke", "--members", "1,3", "--batch", "4"]);
    for (result, members) in value["results"].as_array().unwrap().iter().zip([1, 3]) {
        assert_eq!(number(&result["members"]), members);
        assert_eq!(result["received"], result["sent"]);
        assert_eq!(number(&result["redelivered"]), 0);
        let shares = result["shares"].as_array().unwrap();
        let sum: f64 = shares.iter().map(|share| share.as_f64().unwrap()).sum();
        assert!(shares.len() as u64 == members && (sum - 1.0).abs() < 1e-9, "{result}");
        assert_spreads(result, &["publish_rate", "service_rate", "fairness", "largest_share"]);
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
        // A second message follows each one that wakes a consumer.
        let count = number(&result["sent"]) / 2;
        for what in ["delay", "send_asleep", "send_awake"] {
            assert_distribution(&result[what], count);
        }
    }
}

#[test]
fn a_benchmark_prints_its_machine_its_placement_and_a_table() {
    let text = bench(&["throughput", "--smoke", "--batch", "2"]).quietly();
    let words = ["BATCH", "PUBLISH RATE/s", "SERVICE RATE/s", "MIN", "MAX", "BYTES/s", "2 runs"];
    for word in words.iter().chain(&["processors", "Linux", "placement: producer on processor"]) {
        assert!(text.contains(word), "{word}: {text}");
    }
}

#[test]
fn each_end_has_a_processor_of_its_own_unless_told_otherwise() {
    let usable = processors();
    let smoke = ["throughput", "--json", "--smoke", "--batch", "2"];
    let value = json(&smoke);
    assert_eq!(value["machine"]["usable"], serde_json::json!(usable));
    let ends = &value["placement"];
    if usable.len() > 1 {
        let place = |end: &str| {
            assert_eq!(ends[end].as_array().unwrap().len(), 1, "{ends}");
            number(&ends[end][0])
        };
        assert_ne!(place("producer"), place("consumer"));
        assert_eq!(
            value["settings"]["pin"],
            serde_json::json!([place("producer"), place("consumer")])
        );
        assert_eq!(ends["pinned"], true);
        // Null if the two processors were never available at the same time.
        let trips = &ends["round_trip"];
        let distance = trips["median"].as_f64().map(|trip| match trip {
            ..90.0 => "near",
            ..=250.0 => "far",
            _ => "remote",
        });
        assert_eq!(ends["distance"].as_str(), distance);
        if distance.is_some() {
            assert_spread_of(trips, trips["runs"].as_array().unwrap().len());
        }
        assert!(!warnings(&value).contains(&"shared_processor"));
        // In the order given.
        let pin = format!("{},{}", usable[1], usable[0]);
        let value = json(&[&smoke[..], &["--pin", &pin]].concat());
        assert_eq!(value["placement"]["producer"], serde_json::json!([usable[1]]));
        assert_eq!(value["placement"]["consumer"], serde_json::json!([usable[0]]));
    }
    let value = json(&[&smoke[..], &["--pin", "none"]].concat());
    assert_eq!(value["settings"]["pin"], serde_json::json!([]));
    assert_eq!(
        (&value["placement"]["pinned"], &value["placement"]["distance"]),
        (&false.into(), &Value::Null)
    );
}

#[test]
fn ends_on_one_processor_have_a_warning_in_every_form_of_report() {
    let dir = TempDir::new(&format!("bench-one-{}", std::process::id()));
    let path = dir.join("one.html");
    let cpu = processors()[0];
    let said = format!("both ends ran on processor {cpu}");
    let pin = format!("{cpu},{cpu}");
    let smoke = ["throughput", "--smoke", "--batch", "2", "--pin", &pin];
    let text = bench(&[&smoke[..], &["--html", path.to_str().unwrap()]].concat()).quietly();
    assert!(text.contains(&format!("warning: {said}")), "{text}");
    let page = std::fs::read_to_string(&path).unwrap();
    assert!(page.contains(&format!("<li>{said}")), "{page}");
    let value = json(&[&smoke[..], &["--json"]].concat());
    assert!(warnings(&value).contains(&"shared_processor"), "{value}");
    assert_eq!(value["placement"]["distance"], Value::Null);

    // With one usable processor there is nothing to choose.
    let value = std::thread::spawn(move || {
        let mut set = CpuSet::new();
        set.set(cpu).unwrap();
        sched_setaffinity(Pid::from_raw(0), &set).unwrap();
        json(&["throughput", "--smoke", "--json", "--batch", "2"])
    });
    let value = value.join().unwrap();
    assert_eq!(
        (&value["placement"]["pinned"], &value["settings"]["pin"]),
        (&false.into(), &serde_json::json!([]))
    );
    assert!(warnings(&value).contains(&"shared_processor"), "{value}");
}

#[test]
fn a_nice_level_has_a_warning() {
    let args = ["bench", "throughput", "--smoke", "--batch", "2", "--json"];
    let mut command = Command::new("nice");
    command.args(["-n", "7", env!("CARGO_BIN_EXE_slipring")]).args(args);
    let output = command.stdin(Stdio::null()).output().unwrap();
    let value: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(value["machine"]["nice"], 7);
    assert!(warnings(&value).contains(&"nice"), "{value}");
}

#[test]
fn all_benchmarks_have_one_report() {
    let dir = TempDir::new(&format!("bench-all-{}", std::process::id()));
    let path = dir.join("all.html");
    let html = ["--html", path.to_str().unwrap()];
    // A capacity in which larger batches do not fit.
    let all =
        ["all", "--smoke", "--runs", "1", "--payload", "48", "--wait", "yield", "--capacity", "16"];
    let ran = bench(&[&all[..], &html, &["--json"]].concat());
    let ran = ran.says(0, &["\"1 of 5, latency\"", "\"5 of 5, wake\""]);
    let value = parsed(&ran.out);
    assert_eq!(value["bench"], "all");
    assert!(!value["machine"]["processor"].is_null() && value["warnings"].is_array());
    let names = ["latency", "throughput", "fanout", "group", "wake"];
    let reports = value["benchmarks"].as_array().unwrap();
    assert_eq!(reports.iter().map(|report| &report["bench"]).collect::<Vec<_>>(), names);
    for report in reports {
        assert_report(report);
        let settings = &report["settings"];
        assert_eq!((number(&settings["payload"]), number(&settings["runs"])), (48, 1));
        let wait = if report["bench"] == "wake" { "sleep" } else { "yield" };
        assert_eq!(settings["wait"], wait);
    }
    let batches = reports[1]["results"].as_array().unwrap().iter();
    assert_eq!(batches.map(|result| number(&result["batch"])).collect::<Vec<_>>(), [1, 16]);
    let page = std::fs::read_to_string(&path).unwrap();
    for name in names {
        assert!(page.contains(&format!("<h2>{name}</h2>")), "{name}");
    }
    assert_eq!(page.matches("<figure").count(), 11);
}

#[test]
fn the_page_loads_nothing_and_has_every_plot() {
    let dir = TempDir::new(&format!("bench-{}", std::process::id()));
    let rate = "messages per second";
    let percentile = "percentile of the messages, %";
    let delay = ("Latency percentiles", [percentile, "delay D (log scale)"]);
    let time = ("Throughput over time", ["time since the first message, s", rate]);
    let batch = ("Batch curve", ["messages in a batch", rate]);
    let fanout = ("Fan-out curve", ["exclusive groups, each with a consumer process", rate]);
    let members = "members of the shared group, processes";
    let group = ("Rate of a shared group", [members, rate]);
    let shares = ("Shares of the members", [members, "share of the messages, %"]);
    let wake = ("Wake-up delay", [percentile, "publication to receipt, D (log scale)"]);
    let cost = ("Cost of a send", [percentile, "time of the call (log scale)"]);
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
        let figures: Vec<&str> = page.split("<figure>").skip(1).collect();
        assert_eq!(figures.len(), plots.len(), "{name}");
        for ((title, axes), figure) in plots.iter().zip(figures) {
            let (plot, legend) = figure.split_once("class=\"legend\"").unwrap();
            assert!(plot.contains(title) && legend.contains("<li>"), "{name}: {title}");
            assert!(plot.contains("<polyline"), "{name}: {title}");
            for axis in axes {
                assert!(plot.contains(axis), "{name}: {title}: {axis}");
            }
        }
        for word in [
            "prefers-color-scheme: dark",
            "Kernel",
            "Load",
            "slipring bench",
            "<p>Placement: producer on",
        ] {
            assert!(page.contains(word), "{name}: {word}");
        }
        let loads = ["<script", "<link", "<img", "src=", "href=", "url(", "@import"];
        for word in loads.iter().chain(&["NaN", "inf"]) {
            assert!(!page.contains(word), "{name}: {word}");
        }
    }
}

#[test]
fn the_help_explains_the_figures() {
    for name in ["all", "latency", "throughput", "fanout", "group", "wake"] {
        let help = run(&["help", "bench", name]).quietly();
        for words in [
            "P is the publish rate",
            "the median of its runs",
            "Near is less than 90 ns",
            "fewer than 10 messages",
        ] {
            assert!(help.contains(words), "{name}: {words}");
        }
    }
}

#[test]
fn errors_in_arguments_say_what_to_do() {
    run(&["bench"]).says(2, &["all", "latency", "throughput", "fanout", "group", "wake"]);
    let bench = |args: &[&str]| run(&[&["bench"], args].concat());
    bench(&["throughput", "--smoke", "--pin", "4096"])
        .says(2, &["cannot run on a processor 4096", "choose from"]);
    bench(&["throughput", "--smoke", "--pin", "0;1"]).says(2, &["such as 0,1", "auto"]);
    bench(&["all", "--runs", "0"]).says(2, &["1..=100"]);
    bench(&["throughput", "--payload", "8"]).says(2, &["24"]);
    bench(&["throughput", "--smoke", "--batch", "64", "--capacity", "32"]).says(
        2,
        &["a batch of 64 messages does not fit in a queue with capacity 32", "--capacity"],
    );
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

/// A long benchmark with two consumers, after all its processes have started.
fn under_way() -> (Running, Vec<u32>) {
    let running = Running::start(&["bench", "group", "--seconds", "600", "--members", "2"]);
    loop {
        let children = children_of(running.pid());
        if children.len() == 3 {
            return (running, children);
        }
        assert!(lives(running.pid()), "it ended before its processes had started");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

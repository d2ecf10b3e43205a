//! Figures of a bridge, and how they are told.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Upper bounds of the histogram of confirms, in seconds.
const BOUNDS: [f64; 12] =
    [0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0];

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// What a bridge counts. Each figure stands alone, so all are relaxed.
        #[derive(Debug, Default)]
        pub(crate) struct Counters { $($(#[$doc])* pub(crate) $name: Counter),* }
    };
}

counters! {
    /// Messages that the broker confirmed, or that are in the local queue.
    done,
    /// Messages that were sent again.
    retried,
    /// Messages that were put aside.
    dead,
    /// Messages that were there already.
    already_there,
    /// Bytes of `done`.
    bytes,
    /// Messages that can never be taken.
    poison,
    /// Tombstones.
    tombstones,
}

/// A number that rises.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, n: usize) {
        self.0.fetch_add(n as u64, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A number that rises and falls.
#[derive(Debug, Default)]
pub(crate) struct Gauge(AtomicI64);

impl Gauge {
    pub(crate) fn set(&self, value: u64) {
        self.0.store(i64::try_from(value).unwrap_or(i64::MAX), Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Figures of one bridge.
#[derive(Debug)]
pub(crate) struct Metrics {
    /// Such as `jobs/rabbit -> amqp://host`.
    name: String,
    direction: &'static str,
    pub(crate) counters: Counters,
    pub(crate) in_flight: Gauge,
    /// Messages that wait in the local queue for an `out`.
    pub(crate) lag: Gauge,
    pub(crate) held: Gauge,
    pub(crate) position: Gauge,
    pub(crate) up: Gauge,
    pub(crate) oldest_ms: Gauge,
    pub(crate) blocked_ms: Counter,
    rest: Mutex<Rest>,
}

#[derive(Debug, Default)]
struct Rest {
    reconnects: BTreeMap<&'static str, u64>,
    confirms: [u64; BOUNDS.len()],
    confirm_count: u64,
    confirm_seconds: f64,
}

impl Metrics {
    pub(crate) fn new(name: String, direction: &'static str) -> Metrics {
        Metrics {
            name,
            direction,
            counters: Counters::default(),
            in_flight: Gauge::default(),
            lag: Gauge::default(),
            held: Gauge::default(),
            position: Gauge::default(),
            up: Gauge::default(),
            oldest_ms: Gauge::default(),
            blocked_ms: Counter::default(),
            rest: Mutex::default(),
        }
    }

    fn rest(&self) -> MutexGuard<'_, Rest> {
        self.rest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn reconnected(&self, reason: &'static str) {
        *self.rest().reconnects.entry(reason).or_default() += 1;
    }

    /// The oldest message in flight was confirmed after this time.
    pub(crate) fn confirmed_after(&self, time: Duration) {
        let seconds = time.as_secs_f64();
        let mut rest = self.rest();
        let within = BOUNDS.iter().position(|bound| seconds <= *bound);
        if let Some(slot) = within.and_then(|index| rest.confirms.get_mut(index)) {
            *slot += 1;
        }
        rest.confirm_count += 1;
        rest.confirm_seconds += seconds;
    }
}

struct Text {
    text: String,
}

impl Text {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a String never fails.
        let _ = writeln!(
            self.text,
            "# HELP slipring_bridge_{name} {help}\n# TYPE slipring_bridge_{name} {kind}"
        );
    }

    fn value(&mut self, name: &str, of: &Metrics, label: &str, value: impl std::fmt::Display) {
        let escaped = of.name.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let direction = of.direction;
        let _ = writeln!(
            self.text,
            "slipring_bridge_{name}{{bridge=\"{escaped}\",direction=\"{direction}\"{label}}} {value}"
        );
    }
}

/// All figures, in Prometheus' text format.
pub(crate) fn text<'m>(bridges: impl Iterator<Item = &'m Metrics> + Clone) -> String {
    let mut out = Text { text: String::new() };
    out.family("messages_total", "counter", "Messages, by what became of them.");
    for of in bridges.clone() {
        let counters = &of.counters;
        let results = [
            ("confirmed", &counters.done),
            ("retried", &counters.retried),
            ("dead", &counters.dead),
            ("already_there", &counters.already_there),
            ("poison", &counters.poison),
            ("tombstone", &counters.tombstones),
        ];
        for (result, counter) in results {
            out.value("messages_total", of, &format!(",result=\"{result}\""), counter.get());
        }
    }
    out.family("bytes_total", "counter", "Bytes of the bodies of confirmed messages.");
    bridges.clone().for_each(|of| out.value("bytes_total", of, "", of.counters.bytes.get()));
    type Get = fn(&Metrics) -> f64;
    let gauges: [(&str, &str, Get); 7] = [
        ("up", "1 while connected to the broker.", |of| of.up.get() as f64),
        ("inflight", "Messages sent and not confirmed, or received and not acked.", |of| {
            of.in_flight.get() as f64
        }),
        ("lag", "Messages of the local queue that are not confirmed.", |of| of.lag.get() as f64),
        ("held", "Messages that came ahead of their turn.", |of| of.held.get() as f64),
        ("position", "Position of the last message that is done.", |of| of.position.get() as f64),
        ("oldest_unconfirmed_seconds", "Age of the oldest message in flight.", |of| {
            of.oldest_ms.get() as f64 / 1000.0
        }),
        ("blocked_seconds_total", "Time during which the broker took nothing.", |of| {
            of.blocked_ms.get() as f64 / 1000.0
        }),
    ];
    for (name, help, get) in gauges {
        let kind = if name.ends_with("_total") { "counter" } else { "gauge" };
        out.family(name, kind, help);
        bridges.clone().for_each(|of| out.value(name, of, "", get(of)));
    }
    out.family("reconnects_total", "counter", "Connections that were given up, by the reason.");
    for of in bridges.clone() {
        for (reason, count) in &of.rest().reconnects {
            out.value("reconnects_total", of, &format!(",reason=\"{reason}\""), count);
        }
    }
    out.family("confirm_seconds", "histogram", "From the sending of a message to its confirm.");
    for of in bridges {
        let rest = of.rest();
        let mut below = 0;
        for (bound, count) in BOUNDS.iter().zip(rest.confirms) {
            below += count;
            out.value("confirm_seconds_bucket", of, &format!(",le=\"{bound}\""), below);
        }
        out.value("confirm_seconds_bucket", of, ",le=\"+Inf\"", rest.confirm_count);
        out.value("confirm_seconds_sum", of, "", rest.confirm_seconds);
        out.value("confirm_seconds_count", of, "", rest.confirm_count);
    }
    out.text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_has_each_family_once_and_escapes_labels() {
        let metrics = Metrics::new("a\"b\\c".into(), "out");
        metrics.counters.done.add(3);
        metrics.reconnected("rebuild");
        metrics.confirmed_after(Duration::from_micros(200));
        metrics.confirmed_after(Duration::from_secs(100));
        let text = text([&metrics, &Metrics::new("other".into(), "in")].into_iter());
        let line = |line: &str| assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        line(
            r#"slipring_bridge_messages_total{bridge="a\"b\\c",direction="out",result="confirmed"} 3"#,
        );
        line(
            r#"slipring_bridge_messages_total{bridge="other",direction="in",result="confirmed"} 0"#,
        );
        line(
            r#"slipring_bridge_reconnects_total{bridge="a\"b\\c",direction="out",reason="rebuild"} 1"#,
        );
        line(
            r#"slipring_bridge_confirm_seconds_bucket{bridge="a\"b\\c",direction="out",le="0.0001"} 0"#,
        );
        line(
            r#"slipring_bridge_confirm_seconds_bucket{bridge="a\"b\\c",direction="out",le="0.0003"} 1"#,
        );
        line(
            r#"slipring_bridge_confirm_seconds_bucket{bridge="a\"b\\c",direction="out",le="+Inf"} 2"#,
        );
        let mut types: Vec<&str> = text.lines().filter(|line| line.starts_with("# TYPE")).collect();
        let all = types.len();
        types.dedup();
        assert_eq!(types.len(), all);
    }
}

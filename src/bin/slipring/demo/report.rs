//! What the demo found.

use serde_json::Value;

use super::{GROUPS, OBSERVER, PRODUCER};
use crate::table::{Table, bytes, grouped, nanoseconds};

/// What the processes said at the end.
pub(crate) struct Report<'a> {
    results: Vec<(&'a str, &'a Value)>,
    sent: u64,
}

impl<'a> Report<'a> {
    pub(crate) fn new(labels: &'a [String], results: &'a [Value]) -> Report<'a> {
        let results: Vec<_> = labels.iter().map(String::as_str).zip(results).collect();
        let producer = results.iter().find(|(label, _)| *label == PRODUCER);
        let sent = producer.map_or(0, |(_, result)| number(result, "messages"));
        Report { results, sent }
    }

    /// Whether every group got every message once, in order and whole, and the observer no damaged one.
    pub(crate) fn holds(&self) -> bool {
        let groups = self.of_groups().count() == GROUPS.len();
        groups && self.readers().all(|(label, result)| self.fault(label, result).is_none())
    }

    pub(crate) fn text(&self, capacity: u64, size: usize) -> String {
        let mut table = Table::new(&[
            "CONSUMER", "MESSAGES", "RATE/s", "BYTES/s", "P50", "P99", "P99.9", "MAX", "LOST",
        ]);
        for (label, result) in self.readers() {
            let rate = |what| result.get(what).and_then(Value::as_f64).unwrap_or(0.0);
            let mut row = vec![
                label.to_owned(),
                grouped(number(result, "messages")),
                grouped(rate("rate") as u64),
                bytes(rate("bytes_rate")),
            ];
            let latency = result.get("latency").and_then(Value::as_array);
            let times = latency.into_iter().flatten().filter_map(Value::as_u64);
            let timed = number(result, "paced") > 0;
            row.extend(times.map(|time| if timed { nanoseconds(time) } else { "-".to_owned() }));
            row.push(grouped(number(result, "missed")));
            table.row(row);
        }
        let mut text = format!(
            "\nRates are of the full-speed phase; latencies of the paced one, from the time a message \
             was due.\nThe ring holds {} messages in {}.\n\n{}\n",
            grouped(capacity),
            bytes(size as f64),
            table.text()
        );
        for (label, result) in self.of_groups() {
            let (got, sent) = (grouped(number(result, "messages")), grouped(self.sent));
            text.push_str(&match self.fault(label, result) {
                None => format!(
                    "{label}: {got} of {sent} messages, each once, in order, checksums good\n"
                ),
                Some(fault) => format!("{label}: FAILED: {got} of {sent} messages, {fault}\n"),
            });
        }
        for (label, result) in self.readers().filter(|(label, _)| *label == OBSERVER) {
            let (got, missed) = (number(result, "messages"), number(result, "missed"));
            let (got, missed, sent) = (grouped(got), grouped(missed), grouped(self.sent));
            text.push_str(&match self.fault(label, result) {
                None => format!("{label}: {got} seen and {missed} missed make {sent} messages\n"),
                Some(fault) => format!("{label}: FAILED: {got} of {sent} messages, {fault}\n"),
            });
        }
        text
    }

    fn readers(&self) -> impl Iterator<Item = (&'a str, &'a Value)> {
        self.results.iter().copied().filter(|(label, _)| *label != PRODUCER)
    }

    fn of_groups(&self) -> impl Iterator<Item = (&'a str, &'a Value)> {
        self.readers().filter(|(label, _)| GROUPS.contains(label))
    }

    /// What is wrong with a reader's findings.
    fn fault(&self, label: &str, result: &Value) -> Option<String> {
        let missed = number(result, "missed");
        let counts = [
            (number(result, "out_of_order"), "out of order"),
            (number(result, "again"), "more than once"),
            (number(result, "damaged"), "damaged"),
            (self.sent.abs_diff(number(result, "messages") + missed), "too many or too few"),
            (if label == OBSERVER { 0 } else { missed }, "lost"),
        ];
        let wrong = counts.iter().filter(|(count, _)| *count > 0);
        let texts: Vec<String> = wrong.map(|(count, what)| format!("{count} {what}")).collect();
        (!texts.is_empty()).then(|| texts.join(", "))
    }
}

fn number(result: &Value, what: &str) -> u64 {
    result.get(what).and_then(Value::as_u64).unwrap_or(0)
}

//! What the demo found, and whether it proves what it promises.

use super::findings::Findings;
use super::role::{GROUPS, OBSERVER, PRODUCER};
use crate::table::{Table, bytes, grouped, nanoseconds};

/// The findings of all processes, with their labels.
pub(crate) struct Report {
    /// Of the consumers and the observer.
    readers: Vec<(String, Findings)>,
    sent: u64,
}

impl Report {
    pub(crate) fn new(findings: Vec<(String, Findings)>) -> Report {
        let (producer, readers): (Vec<_>, Vec<_>) =
            findings.into_iter().partition(|(label, _)| label == PRODUCER);
        let sent = producer.first().map_or(0, |(_, findings)| findings.messages);
        Report { readers, sent }
    }

    /// Whether every group received every message once, in order and undamaged, and the observer no damaged one.
    pub(crate) fn holds(&self) -> bool {
        let groups = self.readers.iter().filter(|(label, _)| GROUPS.contains(&&**label)).count();
        groups == GROUPS.len()
            && self.readers.iter().all(|(label, found)| self.fault(label, found).is_none())
    }

    pub(crate) fn text(&self, capacity: u64, size: usize) -> String {
        let mut table = Table::new(&[
            "CONSUMER", "MESSAGES", "RATE/s", "BYTES/s", "P50", "P99", "P99.9", "MAX", "MISSED",
        ]);
        for (label, found) in &self.readers {
            let mut row = vec![
                label.clone(),
                grouped(found.messages),
                grouped(found.rate as u64),
                bytes(found.bytes_rate),
            ];
            row.extend(match &found.latency {
                Some(it) => [it.p50, it.p99, it.p99_9, it.max].map(nanoseconds),
                None => [(); 4].map(|()| "-".to_owned()),
            });
            row.push(grouped(found.missed));
            table.row(row);
        }
        let mut text = format!(
            "\nRates are of the full-speed phase. Latencies are of the paced phase, from the time a message was \
             due.\nThe queue has capacity {} in {}.\n\n{}\n",
            grouped(capacity),
            bytes(size as f64),
            table.text()
        );
        text.extend(self.readers.iter().map(|(label, found)| self.verdict(label, found)));
        text
    }

    fn verdict(&self, label: &str, found: &Findings) -> String {
        let [received, missed, sent] = [found.messages, found.missed, self.sent].map(grouped);
        match self.fault(label, found) {
            Some(fault) => {
                format!("{label}: FAILED: {received} of {sent} messages, {fault}\n")
            }
            None if label == OBSERVER => {
                format!("{label}: {received} seen and {missed} missed make {sent} messages\n")
            }
            None => {
                format!(
                    "{label}: {received} of {sent} messages, each once, in order, checksums good\n"
                )
            }
        }
    }

    /// What is wrong with a reader's findings.
    fn fault(&self, label: &str, found: &Findings) -> Option<String> {
        let counts = [
            (found.out_of_order, "out of order"),
            (found.redelivered, "more than once"),
            (found.damaged, "damaged"),
            (self.sent.abs_diff(found.messages + found.missed), "too many or too few"),
            (if label == OBSERVER { 0 } else { found.missed }, "lost"),
        ];
        let wrong = counts.iter().filter(|(count, _)| *count > 0);
        let texts: Vec<String> = wrong.map(|(count, what)| format!("{count} {what}")).collect();
        (!texts.is_empty()).then(|| texts.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(audit: Findings, observer: Findings) -> Report {
        let sent = |messages| Findings { messages, ..Findings::default() };
        let findings = [("audit", audit), ("dashboard", sent(10)), (OBSERVER, observer)];
        let findings = findings.into_iter().chain([(PRODUCER, sent(10))]);
        Report::new(findings.map(|(label, found)| (label.to_owned(), found)).collect())
    }

    #[test]
    fn any_message_that_is_lost_doubled_damaged_or_out_of_order_is_a_failure() {
        let good = || Findings { messages: 10, ..Findings::default() };
        let missing = || Findings { messages: 7, missed: 3, ..Findings::default() };
        assert!(report(good(), missing()).holds());
        for bad in [
            Findings { messages: 9, ..good() },
            Findings { messages: 11, ..good() },
            Findings { redelivered: 1, ..good() },
            Findings { damaged: 1, ..good() },
            Findings { out_of_order: 1, ..good() },
            missing(),
        ] {
            let text = format!("{bad:?}");
            let report = report(bad, missing());
            assert!(!report.holds() && report.text(8, 8).contains("audit: FAILED"), "{text}");
        }
        assert!(
            !report(good(), Findings { messages: 7, missed: 2, ..Findings::default() }).holds()
        );
        assert!(!report(good(), Findings { damaged: 1, ..missing() }).holds());
    }
}

//! What the processes of a benchmark said.

use hdrhistogram::Histogram;
use serde_json::Value;
use slipring::WakeMode;

use super::delays::Delays;
use super::meter;
use super::spread::Spread;
use crate::failure::Failure;

/// What came of one run.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) producer: Said,
    pub(crate) consumers: Vec<Said>,
    /// The mode that the queue has, which may be another than was asked for.
    pub(crate) wake: WakeMode,
}

/// What one process said.
#[derive(Debug)]
pub(crate) struct Said(pub(super) Value);

impl Said {
    pub(crate) fn number(&self, what: &str) -> u64 {
        self.0.get(what).and_then(Value::as_u64).unwrap_or(0)
    }

    /// Messages per second, from its first to its last.
    pub(crate) fn rate(&self) -> f64 {
        per_second(self.number("messages"), self.number("begin"), self.number("end"))
    }

    pub(crate) fn histogram(&self, what: &str) -> Result<Histogram<u64>, Failure> {
        meter::told(self.0.get(what).unwrap_or(&Value::Null))
    }

    /// Seconds since `begin`, and messages per second up to then.
    pub(crate) fn over_time(&self, begin: u64) -> Vec<(f64, f64)> {
        meter::rates(self.0.get("samples").unwrap_or(&Value::Null), begin)
    }

    /// The processors on which it was seen.
    pub(crate) fn processors(&self) -> impl Iterator<Item = usize> {
        let seen = self.0.get("processors").and_then(Value::as_array);
        seen.into_iter().flatten().filter_map(Value::as_u64).map(|cpu| cpu as usize)
    }

    /// How often per second something else took its processor.
    pub(crate) fn interruptions(&self) -> f64 {
        per_second(self.number("interruptions"), self.number("begin"), self.number("end"))
    }
}

impl Outcome {
    /// The only consumer.
    pub(crate) fn consumer(&self) -> Result<&Said, Failure> {
        self.consumers.first().ok_or_else(|| Failure::failed("there was no consumer"))
    }

    /// What all consumers saw.
    pub(crate) fn histogram(&self, what: &str) -> Result<Histogram<u64>, Failure> {
        let mut all = meter::histogram()?;
        for said in &self.consumers {
            // It has the same bounds.
            let _ = all.add(said.histogram(what)?);
        }
        Ok(all)
    }

    pub(crate) fn sent(&self) -> u64 {
        self.producer.number("messages")
    }

    /// Messages that all consumers got.
    pub(crate) fn received(&self) -> u64 {
        self.consumers.iter().map(|said| said.number("messages")).sum()
    }

    /// Messages per second that all consumers of a shared group took together.
    pub(crate) fn service_rate(&self) -> f64 {
        let of = |what| self.consumers.iter().map(move |said| said.number(what));
        let (begin, end) = (of("begin").min().unwrap_or(0), of("end").max().unwrap_or(0));
        per_second(self.received(), begin, end)
    }

    /// What the first consumer got per second, sample by sample.
    pub(crate) fn over_time(&self) -> Vec<(f64, f64)> {
        let begin = self.producer.number("begin");
        self.consumers.first().map_or_else(Vec::new, |said| said.over_time(begin))
    }

    /// The producer and the first consumer.
    pub(crate) fn ends(&self) -> impl Iterator<Item = &Said> {
        std::iter::once(&self.producer).chain(self.consumers.first())
    }

    /// Fails unless each group got every message once.
    pub(super) fn check(&self, shared: bool) -> Result<(), Failure> {
        let totals = |of: &[Said]| {
            let marks = of.iter().map(|said| said.number("marks"));
            let messages: u64 = of.iter().map(|said| said.number("messages")).sum();
            (messages, marks.fold(0, u64::wrapping_add))
        };
        let sent = totals(std::slice::from_ref(&self.producer));
        let groups = if shared { self.consumers.len() } else { 1 };
        for group in self.consumers.chunks(groups.max(1)) {
            let got = totals(group);
            if got != sent {
                let text = format!("{} messages were sent, and {} came", sent.0, got.0);
                let hint = "or others than were sent; nothing that was measured is worth anything";
                return Err(Failure::Failed(text).hint(hint));
            }
        }
        Ok(())
    }
}

fn per_second(messages: u64, begin: u64, end: u64) -> f64 {
    messages as f64 * 1e9 / end.saturating_sub(begin).max(1) as f64
}

/// All runs of one measurement.
#[derive(Debug, Default)]
pub(crate) struct Runs {
    pub(crate) label: String,
    pub(crate) outcomes: Vec<Outcome>,
}

impl Runs {
    /// A figure of each run.
    pub(crate) fn spread(&self, figure: impl Fn(&Outcome) -> f64) -> Spread {
        Spread::of(self.outcomes.iter().map(figure).collect())
    }

    /// A count, of all runs together.
    pub(crate) fn total(&self, count: impl Fn(&Outcome) -> u64) -> u64 {
        self.outcomes.iter().map(count).sum()
    }

    /// The run whose service rate is in the middle.
    pub(crate) fn middle(&self) -> Result<&Outcome, Failure> {
        let mut sorted: Vec<_> = self.outcomes.iter().collect();
        sorted.sort_by(|one, other| one.service_rate().total_cmp(&other.service_rate()));
        let middle = sorted.get(sorted.len().saturating_sub(1) / 2);
        middle.copied().ok_or_else(|| Failure::failed("there was no run"))
    }

    /// A distribution of each run.
    pub(crate) fn delays(
        &self,
        of: impl Fn(&Outcome) -> Result<Histogram<u64>, Failure>,
    ) -> Result<Delays, Failure> {
        Delays::of(self.outcomes.iter().map(of).collect::<Result<_, _>>()?)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_group_must_get_what_was_sent_and_nothing_else() {
        let said =
            |messages: u64, marks: u64| Said(json!({ "messages": messages, "marks": marks }));
        let whole = |shared, consumers: &[(u64, u64)]| {
            let consumers = consumers.iter().map(|(messages, marks)| said(*messages, *marks));
            let consumers = consumers.collect();
            let outcome = Outcome { producer: said(3, 60), consumers, wake: WakeMode::None };
            outcome.check(shared).is_ok()
        };
        assert!(whole(false, &[(3, 60), (3, 60)]) && whole(true, &[(1, 10), (2, 50), (0, 0)]));
        assert!(!whole(false, &[(3, 60), (2, 50)]) && !whole(true, &[(1, 10), (1, 20)]));
        // As many, but not the same.
        assert!(!whole(false, &[(3, 61)]) && !whole(true, &[(1, 10), (2, 40)]));
    }
}

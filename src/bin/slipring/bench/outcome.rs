//! What one run found, and what all runs of one measurement did.

use slipring::WakeMode;

use super::delays::Delays;
use super::findings::{Findings, per_second};
use super::spread::Spread;
use crate::failure::Failure;
use crate::histogram::{self, Buckets};

/// The findings of one run.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) producer: Findings,
    pub(crate) consumers: Vec<Findings>,
    /// The queue's wake mode: the kernel may not have the one that was asked for.
    pub(crate) wake: WakeMode,
}

impl Outcome {
    pub(crate) fn sent(&self) -> u64 {
        self.producer.messages
    }

    /// Messages that all consumers received together.
    pub(crate) fn received(&self) -> u64 {
        self.consumers.iter().map(|consumer| consumer.messages).sum()
    }

    /// Messages per second that all consumers received together.
    pub(crate) fn service_rate(&self) -> f64 {
        let begin = self.consumers.iter().map(|consumer| consumer.begin).min().unwrap_or(0);
        let end = self.consumers.iter().map(|consumer| consumer.end).max().unwrap_or(0);
        per_second(self.received(), begin, end)
    }

    /// Messages per second of the first consumer, from sample to sample.
    pub(crate) fn over_time(&self) -> Vec<(f64, f64)> {
        let begin = self.producer.begin;
        self.consumers.first().map_or_else(Vec::new, |consumer| consumer.over_time(begin))
    }

    /// The two ends: the producer and the first consumer.
    pub(crate) fn ends(&self) -> impl Iterator<Item = &Findings> {
        std::iter::once(&self.producer).chain(self.consumers.first())
    }

    /// Fails unless each group received every message once.
    pub(crate) fn check(&self, shared: bool) -> Result<(), Failure> {
        let totals = |of: &[Findings]| {
            let messages: u64 = of.iter().map(|it| it.messages).sum();
            (messages, of.iter().map(|it| it.marks).fold(0, u64::wrapping_add))
        };
        let sent = totals(std::slice::from_ref(&self.producer));
        let group_size = if shared { self.consumers.len() } else { 1 };
        for group in self.consumers.chunks(group_size.max(1)) {
            let received = totals(group);
            if received != sent {
                let (sent, received) = (sent.0, received.0);
                let text = format!(
                    "a group did not receive the messages that were sent: {sent} sent, {received} received"
                );
                return Err(Failure::failed(text).hint("no figure of this benchmark is valid"));
            }
        }
        Ok(())
    }
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

    /// A count, summed over all runs.
    pub(crate) fn total(&self, count: impl Fn(&Outcome) -> u64) -> u64 {
        self.outcomes.iter().map(count).sum()
    }

    /// The run with the median service rate; of an even count, the lower one in the middle.
    pub(crate) fn median_run(&self) -> Result<&Outcome, Failure> {
        let mut sorted: Vec<_> = self.outcomes.iter().collect();
        sorted.sort_by(|one, other| one.service_rate().total_cmp(&other.service_rate()));
        let median = sorted.get(sorted.len().saturating_sub(1) / 2);
        median.copied().ok_or_else(|| Failure::failed("there was no run"))
    }

    /// A distribution of times, as each consumer measured it.
    pub(crate) fn consumer_delays(&self, of: fn(&Findings) -> &Buckets) -> Result<Delays, Failure> {
        self.delays(|outcome| outcome.consumers.iter().map(of).collect())
    }

    /// A distribution of times, as the producer measured it.
    pub(crate) fn producer_delays(&self, of: fn(&Findings) -> &Buckets) -> Result<Delays, Failure> {
        self.delays(|outcome| vec![of(&outcome.producer)])
    }

    fn delays(&self, of: impl Fn(&Outcome) -> Vec<&Buckets>) -> Result<Delays, Failure> {
        let run = |outcome| {
            let mut histogram = histogram::empty()?;
            of(outcome).into_iter().for_each(|buckets| buckets.add_to(&mut histogram));
            Ok(histogram)
        };
        Delays::of(self.outcomes.iter().map(run).collect::<Result<_, Failure>>()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_group_must_receive_what_was_sent_and_nothing_else() {
        let findings = |messages, marks| Findings { messages, marks, ..Findings::default() };
        let whole = |shared, consumers: &[(u64, u64)]| {
            let consumers = consumers.iter().map(|(messages, marks)| findings(*messages, *marks));
            let consumers = consumers.collect();
            let outcome = Outcome { producer: findings(3, 60), consumers, wake: WakeMode::None };
            outcome.check(shared).is_ok()
        };
        assert!(whole(false, &[(3, 60), (3, 60)]) && whole(true, &[(1, 10), (2, 50), (0, 0)]));
        assert!(!whole(false, &[(3, 60), (2, 50)]) && !whole(true, &[(1, 10), (1, 20)]));
        // As many, but not the same.
        assert!(!whole(false, &[(3, 61)]) && !whole(true, &[(1, 10), (2, 40)]));
    }
}

//! Several bridges at once, from a file.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::thread;

use serde::Deserialize;

use crate::bridge;
use crate::failure::{Cause, Failure};
use crate::listener;
use crate::metrics::Metrics;
use crate::options::{InOptions, OutOptions};
use crate::status::Status;
use crate::stop::Stop;

/// What a file says.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Plan {
    #[serde(default)]
    pub(crate) out: Vec<OutOptions>,
    #[serde(default, rename = "in")]
    pub(crate) in_: Vec<InOptions>,
    #[serde(default)]
    pub(crate) metrics: Listen,
}

/// Where the figures are told.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Listen {
    pub(crate) listen: Option<SocketAddr>,
}

/// One bridge of a plan.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Bridge<'p> {
    Out(&'p OutOptions),
    In(&'p InOptions),
}

impl Bridge<'_> {
    pub(crate) fn name(self) -> String {
        match self {
            Bridge::Out(options) => options.name(),
            Bridge::In(options) => options.name(),
        }
    }

    /// Messages after which it ends.
    fn count(self) -> Option<u64> {
        match self {
            Bridge::Out(options) => options.count,
            Bridge::In(options) => options.count,
        }
    }

    fn metrics(self) -> Arc<Metrics> {
        let direction = match self {
            Bridge::Out(_) => "out",
            Bridge::In(_) => "in",
        };
        Arc::new(Metrics::new(self.name(), direction))
    }

    fn run(self, allowed: &[u32], stop: Stop, metrics: Arc<Metrics>) -> Result<(), Failure> {
        match self {
            Bridge::Out(options) => bridge::run_out(options, allowed, stop, metrics),
            Bridge::In(options) => bridge::run_in(options, allowed, stop, metrics),
        }
    }
}

impl Plan {
    pub(crate) fn read(path: &Path) -> Result<Plan, Failure> {
        let text = std::fs::read_to_string(path)
            .map_err(|fault| Failure::usage(format!("cannot read {}: {fault}", path.display())))?;
        let plan: Plan = toml::from_str(&text)
            .map_err(|fault| Failure::usage(format!("{}: {fault}", path.display())))?;
        let Plan { out, in_, .. } = &plan;
        if out.is_empty() && in_.is_empty() {
            return Err(Failure::usage(format!("{} has no bridge", path.display()))
                .hint("[[out]] or [[in]] begins one"));
        }
        Ok(plan)
    }

    pub(crate) fn bridges(&self) -> impl Iterator<Item = Bridge<'_>> {
        let out = self.out.iter().map(Bridge::Out);
        out.chain(self.in_.iter().map(Bridge::In))
    }
}

/// Runs bridges until all are done. The first that fails stops the others, and its failure is told.
pub(crate) fn run<'p>(
    bridges: impl Iterator<Item = Bridge<'p>>,
    listen: Option<SocketAddr>,
    allowed: &[u32],
    stop: &Stop,
) -> Result<(), Failure> {
    let bridges: Vec<(Bridge<'p>, Arc<Metrics>)> =
        bridges.map(|bridge| (bridge, bridge.metrics())).collect();
    if let Some(address) = listen {
        listener::serve(address, bridges.iter().map(|(_, metrics)| Arc::clone(metrics)).collect())?;
    }
    let all = bridges.iter().map(|(_, metrics)| Arc::clone(metrics)).collect();
    // A bar needs to know where all of them end.
    let count = bridges.iter().map(|(bridge, _)| bridge.count()).sum();
    let _status = Status::show(all, count);
    let only = bridges.len() == 1;
    let failures = thread::scope(|scope| {
        let start = |(bridge, metrics): &(Bridge<'p>, Arc<Metrics>)| {
            let (bridge, metrics, stop) = (*bridge, Arc::clone(metrics), stop.clone());
            scope.spawn(move || {
                let outcome = bridge.run(allowed, stop.clone(), metrics);
                if outcome.is_err() {
                    stop.ask();
                }
                outcome.map_err(|failure| if only { failure } else { failure.at(bridge.name()) })
            })
        };
        let threads: Vec<_> = bridges.iter().map(start).collect();
        let ended = threads.into_iter().map(|thread| {
            // A panic was printed already.
            thread.join().unwrap_or_else(|_| Err(Failure::failed("a bridge panicked")))
        });
        ended.filter_map(Result::err).collect::<Vec<Failure>>()
    });
    // Those that were stopped because of another one are not the reason.
    let mut failures = failures.into_iter();
    let mut first = failures.next();
    for failure in failures {
        if first.as_ref().is_some_and(|first| matches!(first.cause, Cause::Stopped(_))) {
            first = Some(failure);
        }
    }
    first.map_or(Ok(()), Err)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(text: &str) -> Result<Plan, toml::de::Error> {
        toml::from_str(text)
    }

    #[test]
    fn a_file_has_the_keys_of_the_flags() {
        let plan = plan(
            r#"
            [[out]]
            queue = "ticks"
            group = "rabbit"
            to = "amqps://broker/%2f"
            exchange = ""
            routing_key = "hello"
            user = "feed"
            password_env = "RABBIT_PASSWORD"
            window = 500
            window_bytes = "4MiB"
            format = "envelope"
            poison = "dead-letter"
            declare = "quorum"
            drain = "5s"
            [[in]]
            url = "amqp://broker"
            from = "hello"
            to = "local"
            create = true
            sources = 3
            gap_timeout = 60
            [metrics]
            listen = "127.0.0.1:9187"
            "#,
        )
        .unwrap();
        assert_eq!((plan.out[0].window(), plan.out[0].window_bytes()), (500, 4 << 20));
        assert_eq!(plan.in_[0].gap_timeout().as_secs(), 60);
        assert_eq!(plan.metrics.listen.unwrap().port(), 9187);
        let names: Vec<String> = plan.bridges().map(Bridge::name).collect();
        assert_eq!(names, ["ticks/rabbit -> amqps://broker/%2f", "amqp://broker hello -> local"]);
    }

    #[test]
    fn unknown_and_missing_keys_are_errors_that_name_them() {
        let fault = |text| plan(text).unwrap_err().to_string();
        assert!(fault("[[out]]\nqueue='q'\ngroup='g'\nto='t'\nwindw=1").contains("windw"));
        assert!(fault("[[out]]\nqueue='q'\nto='t'").contains("group"));
        assert!(fault("[[in]]\nurl='u'\nto='q'\nwindow=1").contains("window"));
        assert!(fault("[[in]]\nurl='u'\nto='q'\npoison='drop'").contains("drop"));
        assert!(fault("[other]").contains("other"));
    }
}

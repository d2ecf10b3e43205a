//! Waiting for the producer's role, which one process has at a time.

use std::time::{Duration, Instant};

use slipring::{ErrorCode, Producer, ProducerError, Queue};

use crate::failure::{Failure, note};
use crate::stop::Stop;

/// A sender that waits longer than this says for which process.
const EXPLAIN_AFTER: Duration = Duration::from_secs(1);
/// It says so again after this time.
const REPEAT_AFTER: Duration = Duration::from_secs(30);

/// Takes the role, waiting for it `timeout` at most; without one, as long as it takes. The queue's waits ask `stop`.
pub(crate) fn take(
    queue: &Queue,
    timeout: Option<Duration>,
    stop: &Stop,
) -> Result<Producer, Failure> {
    let (name, since) = (queue.name(), Instant::now());
    let mut due = EXPLAIN_AFTER;
    loop {
        stop.check()?;
        let left = timeout.map_or(due, |timeout| timeout.min(due)).saturating_sub(since.elapsed());
        let pid = match queue.producer_timeout(left) {
            Err(ProducerError::Taken { pid, .. }) => pid,
            Err(ProducerError::Interrupted { .. }) => return Err(stop.ended()),
            taken => return Ok(taken?),
        };
        let waited = since.elapsed();
        let other = pid.map_or(String::new(), |pid| format!(" (process {pid})"));
        if let Some(timeout) = timeout.filter(|timeout| waited >= *timeout) {
            return Err(Failure::timeout(
                ErrorCode::ProducerTaken,
                format!(
                    "another sender{other} has had queue {name:?} for {} s, and there is one at a time",
                    timeout.as_secs_f64()
                ),
            ));
        }
        if waited >= due {
            due = waited + REPEAT_AFTER;
            note(&format!(
                "waiting: another sender{other} has queue {name:?}, and there is one at a time (--timeout bounds \
                 the wait)"
            ));
        }
    }
}

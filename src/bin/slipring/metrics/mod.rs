//! `slipring metrics`: the figures of queues and groups for Prometheus. It only watches, from read-only mappings.

mod families;
mod http;

use std::net::TcpListener;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::poll::PollFlags;
use slipring::Stats;

use crate::args::MetricsArgs;
use crate::failure::{Failure, io_failed, note};
use crate::output::print;
use crate::stop::{Stop, poll_for};
use crate::watched::Watched;

pub(crate) use families::Form;

/// Longest wait in one piece, after which a signal is noticed.
const LATEST: Duration = Duration::from_millis(100);
/// Figures that take two looks are of so long a time. From one answer to the next look it may be no time at all.
const WINDOW: Duration = Duration::from_secs(10);

pub(crate) fn run(args: &MetricsArgs) -> Result<(), Failure> {
    let stop = Stop::on_signals()?;
    let mut watched = Watched::open_any(&args.names)?;
    if args.once {
        watched.wait(args.interval, &stop)?;
        return print(&page(&watched, args, Form::Text)?);
    }
    let failed = |doing: &str, fault| {
        io_failed(&format!("{doing} {}", args.listen), &fault)
            .hint("--listen ADDRESS:PORT takes another address or port")
    };
    let listener = TcpListener::bind(args.listen).map_err(|fault| failed("listen on", fault))?;
    listener.set_nonblocking(true).map_err(|fault| failed("listen on", fault))?;
    let address = listener.local_addr().map_err(|fault| failed("listen on", fault))?;
    note(&format!("serving http://{address}/metrics"));
    if !address.ip().is_loopback() {
        note("hosts that reach this address see the names and figures of all queues");
    }
    loop {
        let start = Instant::now();
        for moment in watched.moments(args.interval) {
            serve_until(&listener, start + moment, &mut watched, args, &stop)?;
            watched.glance();
        }
        serve_until(&listener, start + args.interval, &mut watched, args, &stop)?;
        // A failure may pass; each answer looks as well, and tells the client.
        let _ = watched.look();
    }
}

/// Answers what is asked until then.
fn serve_until(
    listener: &TcpListener,
    until: Instant,
    watched: &mut Watched,
    args: &MetricsArgs,
    stop: &Stop,
) -> Result<(), Failure> {
    loop {
        stop.check()?;
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        if poll_for(listener.as_fd(), PollFlags::POLLIN, left.min(LATEST)) {
            let Ok((stream, _)) = listener.accept() else {
                // The client is gone, or too many files are open, which polling in a loop would not mend.
                stop.sleep(LATEST)?;
                continue;
            };
            let answer = |form| -> Result<String, Failure> {
                watched.look()?;
                page(watched, args, form)
            };
            http::answer(&stream, answer);
        }
    }
}

fn page(watched: &Watched, args: &MetricsArgs, form: Form) -> Result<String, Failure> {
    let stats: Vec<Stats> = watched.stats(WINDOW.max(args.interval));
    let closed = watched.closed().iter().map(|(name, _)| name.clone()).collect();
    families::encode(stats, closed, args.members, form)
        .map_err(|_| Failure::failed("the figures cannot be written as text"))
}
